/** One proposal: what it does, to whom, what is signed, and what became of it. Signers open it once, with care. */
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { ask, renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { BatchFileDocument, CancelProposalDocument, DraftRollbackDocument, ProposalChangedDocument, ProposalDocument, ProposalExecutionDocument, RequestSignaturesDocument, SafeDocument, SimulateProposalDocument, StatusDocument } from '../generated/operations.ts'
import type { ReviewFragment } from '../generated/operations.ts'
import { download } from '../ui/export.ts'
import { ActButton, useLanding } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { duration, time, usd, whole, words } from '../ui/format.ts'
import { Address, Copy, Empty, Facts, Loaded, Notice, PageHead, Panel, Sums, Tag, Time, Unknown } from '../ui/parts.tsx'
import { SessionLine, useAct } from '../wallet/Session.tsx'
import type { Checked } from '../wallet/safeTx.ts'
import { Wallets, useSigner, useWallet } from '../wallet/wallet.tsx'
import { CallsPanel } from './Calls.tsx'
import { Confirm } from './Confirm.tsx'
import type { Question } from './Confirm.tsx'
import { Execute, Sendings, stepOf } from './Execute.tsx'
import { hindranceOfOpen } from './hindrance.ts'
import { ImpactPanel } from './Impact.tsx'
import { dropSignatures } from './kept.ts'
import { HashesPanel, SignPanel, isSame, signableOf, useChecked, useContracts } from './Signing.tsx'
import type { AskFor, Contracts, SafeNow, Signable } from './Signing.tsx'
import { NEXT, StateTag, Steps } from './state.tsx'
import './proposal.css'

export default function Proposal({ id }: { id: string }) {
  const found = useAnswer(ProposalDocument, { id }, 'minute')
  useEvents(ProposalChangedDocument, { id }, () => void renew('Proposal', 'Safe'))
  return (
    <Loaded of={found} height={600} title="Proposal">
      {({ proposal }) => proposal ? <Wallets fallback={<div className="loading page" />}><Review of={proposal} /></Wallets> : <><PageHead title="No such proposal" /><Empty>There is no proposal {id} here. <Link href="/proposals">See all proposals</Link>.</Empty></>}
    </Loaded>
  )
}

const OPEN = new Set(['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY'])
/** Half an hour: accounts and prices are others by then. */
const OLD_SEC = 1800
const SIGNING = new Set(['AWAITING_SIGNATURES', 'READY'])

function Review({ of: proposal }: { of: ReviewFragment }) {
  const safe = useAnswer(SafeDocument, {}, 'minute')
  const now: SafeNow | undefined = safe.data?.protocol?.safe ?? undefined
  const cancelling = proposal.state === 'CANCELLING' || (proposal.state === 'CANCELLED' && proposal.cancellation !== null)
  const signable = signableOf(proposal, cancelling ? 'CANCELLATION' : 'CHANGE')
  const checked = useChecked(signable, now)
  const contracts = useContracts(checked)
  const { impact } = proposal
  const block = useAnswer(StatusDocument, {}, 'block').data?.status.indexed
  const oldSec = proposal.simulation?.timestamp && block ? Number(block.timestamp) - Number(proposal.simulation.timestamp) : null
  const signing = SIGNING.has(proposal.state) || proposal.state === 'CANCELLING'
  const [asked, askFor] = useState<Parameters<AskFor>[0] | null>(null)
  const landing = useLanding()
  const step = stepOf(proposal)
  const [at, next] = [now?.address, now?.onChain.nonce]
  useEffect(() => { if (at !== undefined && next !== undefined) dropSignatures((each) => each.chainId === proposal.chainId && isSame(each.safe, at) && each.nonce < next) }, [proposal.chainId, at, next])
  return (
    <div className="proposal">
      <PageHead title={proposal.title} note={<><StateTag of={proposal.state} /> <Copy text={proposal.id} label="Proposal">{proposal.id}</Copy></>}>
        <Link href="/proposals">All proposals</Link>
      </PageHead>
      <NowPanel proposal={proposal} landing={landing}>{step && signable && now && <Execute key={step} proposal={proposal} step={step} signable={signable} checked={checked} contracts={contracts} safe={now} askFor={askFor} landing={landing} />}</NowPanel>
      {now?.onChain.mismatch && <Notice kind="down" title="The Safe on chain is not the one that this deployment records.">{now.onChain.mismatch}</Notice>}
      {safe.error && <Notice kind="degraded" title="The Safe’s owners could not be asked of the chain.">{safe.error.message}. Signing waits for that.</Notice>}
      {OPEN.has(proposal.state) && oldSec !== null && oldSec > OLD_SEC && <Notice kind="degraded" title={`The simulation is ${duration(oldSec)} old.`}>Prices and accounts have moved since block {whole(proposal.simulation?.block ?? '0')}; simulate again before you rely on what it says of them.</Notice>}
      <div className="desk">
        <div className="stack">
          <ChangesPanel of={proposal} />
          {proposal.aftermath && <AftermathPanel of={proposal} />}
          {impact ? <ImpactPanel of={impact} /> : <Panel id="impact" title="Affected accounts"><Empty>{proposal.simulation ? 'The simulation failed, so what it does to accounts is not known.' : 'Not simulated yet: what it does to accounts is not known.'}</Empty></Panel>}
          <CallsPanel of={proposal} />
          {proposal.simulation && <SimulationPanel of={proposal} />}
        </div>
        <div className="stack">
          {signable && <HashesPanel proposal={proposal} signable={signable} checked={checked} signing={signing} safe={now} />}
          {signable && now && signing && <SignPanel key={signable.told.safeTxHash} proposal={proposal} signable={signable} checked={checked} contracts={contracts} safe={now} unasked={safe.error !== null} askFor={askFor} />}
          {!signing && <SignedPanel of={proposal} />}
          <WayPanel of={proposal} />
          <FindingsPanel of={proposal} />
          <HistoryPanel of={proposal} />
        </div>
      </div>
      <OpenConfirm asked={asked} close={() => askFor(null)} proposal={proposal} signable={signable} checked={checked} contracts={contracts} safe={now ?? null} unasked={safe.error !== null} />
    </div>
  )
}

/** The dialog before a signature or a transaction. While it is open, all that it stands on is asked again with each block, and what moved blocks it with the reason. */
function OpenConfirm({ asked, close, proposal, signable, checked, contracts, safe, unasked }: { asked: Parameters<AskFor>[0] | null; close: () => void; proposal: ReviewFragment; signable: Signable | null; checked: Checked | undefined; contracts: Contracts; safe: SafeNow | null; unasked: boolean }) {
  const wallet = useWallet()
  const opened = asked?.opened
  const isOpen = opened !== undefined
  const block = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.number
  useEffect(() => { if (isOpen) void renew('Proposal', 'Safe') }, [block, isOpen])
  const again = useAnswer(ProposalExecutionDocument, { id: proposal.id, of: opened?.kind ?? 'CHANGE', sender: opened?.account ?? null }, 'block', opened?.deed === 'send')
  const found = again.data?.proposalExecution
  const refused = opened?.deed !== 'send' ? null : again.error ? `It could not be checked again: ${again.error.message.replace(/\.$/, '')}; send nothing.` : found && !found.transaction ? `${(found.reason ?? 'Found nothing to send').replace(/\.$/, '')}.` : null
  const hindrance = opened === undefined ? null : hindranceOfOpen(opened, {
    kind: signable?.kind ?? null, safeTxHash: signable?.told.safeTxHash ?? null, state: proposal.state, stateReason: proposal.stateReason, account: wallet.account, isElsewhere: wallet.elsewhere !== null,
    safe: safe?.onChain ?? null, unasked, isDerived: checked !== undefined && checked.faults.length === 0 && contracts.known && contracts.faults.length === 0, refused,
  })
  return <Confirm of={asked} close={close} hindrance={hindrance} />
}

/** Where it stands, until when, and the one next step. */
function NowPanel({ proposal, children, landing }: { proposal: ReviewFragment; children: ReactNode; landing: Landing }) {
  const { has } = useSigner()
  const { busy, fault, act } = useAct()
  const [question, setQuestion] = useState<Question | null>(null)
  const [, go] = useLocation()
  const { id, state, queue } = proposal
  const steward = has('STEWARD')
  const stewardOrOwner = steward || has('OWNER')
  const run = (name: string, work: () => Promise<unknown>) => void act(name, async () => { await work(); await renew('Proposal', 'Proposals') }, 'The proposal is as it was')
  const button = (name: string, doing: string, may: boolean, click: () => void, kind?: 'main' | 'danger') => <ActButton className={kind} disabled={!may} busy={busy !== null} title={may ? undefined : 'Sign in below with an account that may'} onClick={() => { landing.expect(); click() }}>{busy === name ? doing : name}</ActButton>
  const simulate = () => run('Simulate', () => ask(SimulateProposalDocument, { id }))
  const cancel = () => setQuestion(
    state === 'DRAFT' || state === 'SIMULATED'
      ? { title: 'Withdraw this proposal?', text: <p>Nobody was asked to sign it yet. It stays in the list as withdrawn, and its nonce is free again.</p>, yes: 'Withdraw it', danger: true, act: () => run('Withdraw', () => ask(CancelProposalDocument, { id })) }
      : { title: 'Cancel this proposal?', text: <p>Signatures that were given stay valid until the chain has the cancellation: owners sign a transaction that uses up its nonce, and somebody executes it. Until then anybody can still execute the proposal itself.</p>, yes: 'Ask the owners to cancel it', danger: true, act: () => run('Cancel', () => ask(CancelProposalDocument, { id })) },
  )
  const wanted = state === 'DRAFT' || state === 'SIMULATED' ? 'Stewards sign in to carry it on.' : state === 'EXECUTED' || state === 'APPLIED' ? 'Stewards sign in to draft the way back.' : undefined
  const cancellable = ['AWAITING_SIGNATURES', 'READY', 'QUEUED', 'STALE', 'EXPIRED'].includes(state)
  return (
    <section className="panel" id="now" aria-label="Now">
      <Steps state={state} reached={new Set(proposal.events.map(({ toState }) => toState))} timelock={queue !== null} />
      <div className="body proposal-now">
        <p key={state} ref={landing.land} tabIndex={-1}><b>{NEXT[state]}</b>{proposal.stateReason && <> {proposal.stateReason}</>}</p>
        <Deadline of={proposal} />
      </div>
      {queue && <Timelock of={proposal} queue={queue} />}
      <div className="body actions proposal-now">
        {state === 'DRAFT' && button('Simulate', 'Simulating on a fork …', stewardOrOwner, simulate, 'main')}
        {state === 'SIMULATED' && button('Ask owners to sign', 'Asking …', steward, () => run('Ask owners to sign', () => ask(RequestSignaturesDocument, { id })), 'main')}
        {state === 'AWAITING_SIGNATURES' && <a className="button main" href="#hashes">Compare and sign</a>}
        {children}
        {(state === 'SIMULATED' || SIGNING.has(state)) && button('Simulate again', 'Simulating on a fork …', stewardOrOwner, () => run('Simulate again', () => ask(SimulateProposalDocument, { id })))}
        {(state === 'EXECUTED' || state === 'APPLIED') && proposal.rollback.exists && button('Draft the way back', 'Drafting …', steward, () => void act('Draft the way back', async () => {
          const { draftRollback } = await ask(DraftRollbackDocument, { id })
          await renew('Proposals')
          go(`/proposals/${draftRollback.id}`)
        }))}
        {(state === 'DRAFT' || state === 'SIMULATED') && button('Withdraw', 'Withdrawing …', steward, cancel, 'danger')}
        {cancellable && button('Cancel', 'Cancelling …', steward, cancel, 'danger')}
        <Exports of={proposal} />
      </div>
      <Sendings of={proposal} landing={landing} />
      {busy?.startsWith('Simulate') && <progress aria-label="Simulating" className="proposal-progress" />}
      {fault && <div ref={landing.land} tabIndex={-1}><Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} /></div>}
      {!SIGNING.has(state) && state !== 'CANCELLING' ? <SessionLine {...(wanted === undefined ? {} : { why: wanted })} /> : null}
      <Confirm of={question} close={() => setQuestion(null)} />
    </section>
  )
}

function Exports({ of: { id } }: { of: ReviewFragment }) {
  const { busy, fault, act } = useAct()
  return (
    <>
      <button type="button" className="quiet" disabled={busy !== null} onClick={() => void act('batch', async () => {
        const { proposal } = await ask(BatchFileDocument, { id })
        download(`batch-${id}.json`, `${JSON.stringify(proposal?.batchFile, null, 2)}\n`, 'application/json')
      })}>Transaction Builder file</button>
      {fault && <Notice kind="down" title={fault} />}
    </>
  )
}

/** In the chain's own time, which stands still between blocks. */
function Deadline({ of: { validUntil, governance, state, queue } }: { of: ReviewFragment }) {
  const now = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.timestamp
  if (!OPEN.has(state) && state !== 'QUEUED') return null
  const until = state === 'QUEUED' || queue === null ? Number(validUntil) : Number(validUntil) - governance.delaySec
  const left = now === undefined ? null : until - Number(now)
  return (
    <p className="proposal-deadline">
      {left === null ? 'Until' : left >= 0 ? <><b className={left < 3600 ? 'warn' : undefined}>{duration(left)} left</b>, until</> : <b className="down">The deadline is over, it was</b>} <Time at={until} /> <small className="muted">chain time</small>
    </p>
  )
}

/** What the timelock holds, since when, and from when until when it may be executed there. */
function Timelock({ of: { state, governance, changes }, queue }: { of: ReviewFragment; queue: NonNullable<ReviewFragment['queue']> }) {
  const now = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.timestamp
  const { status, readyAt, executeUntil, scheduleUntil, scheduledAtBlock, scheduledTxHash, operation } = queue
  const isDue = readyAt !== null && now !== undefined && Number(now) >= Number(readyAt)
  // The block that ends the delay is none that tells of itself.
  useEffect(() => { if (isDue && status === 'WAITING') void renew('Proposal') }, [isDue, status, now])
  const delay = duration(governance.delaySec)
  if (status === 'NOT_SCHEDULED' && !OPEN.has(state)) return null
  return (
    <div className="body proposal-timelock">
      <p>
        <Tag kind={status === 'READY' ? 'accent' : status === 'EXPIRED' ? 'down' : 'quiet'}>timelock: {words(status)}</Tag>{' '}
        {status === 'NOT_SCHEDULED' && <>Executing it at the Safe schedules it; then it waits {delay}. {now !== undefined && Number(now) <= Number(scheduleUntil) && <>Scheduled now, it may be executed at the earliest at <b><Time at={Number(now) + governance.delaySec} /></b>. </>}It has to be scheduled by <Time at={scheduleUntil} /> to be executed by <Time at={executeUntil} />.</>}
        {status === 'WAITING' && readyAt !== null && <>It may be executed at the earliest at <b><Time at={readyAt} /></b>{now !== undefined && Number(readyAt) > Number(now) && <>, in {duration(Number(readyAt) - Number(now))}</>}, and by <Time at={executeUntil} /> at the latest. Until it is executed, the Safe can take it out.</>}
        {status === 'READY' && readyAt !== null && <>Its delay of {delay} is over since <b><Time at={readyAt} /></b>: it may be executed by whom the timelock lets, by <Time at={executeUntil} /> at the latest.</>}
        {status === 'EXPIRED' && <>It could be executed until <b><Time at={executeUntil} /></b>; its precondition reverts it now, and the Safe can only take it out.</>}
        {status === 'DONE' && <>It was executed there; nothing waits.</>}
        {status === 'CANCELLED' && <>The Safe has taken it out; nothing waits.</>}
      </p>
      {(status === 'WAITING' || status === 'READY') && (
        <>
          <p className="muted">What waits there, scheduled{scheduledAtBlock ? <> in block {whole(scheduledAtBlock)}</> : ''}{scheduledTxHash && <> by <Address of={scheduledTxHash} label="Transaction" /></>}, as operation <Address of={operation} label="Operation" />:</p>
          <ul aria-label="What waits in the timelock">{changes.map(({ sentence }) => <li key={sentence}>{sentence}</li>)}</ul>
        </>
      )}
    </div>
  )
}

function ChangesPanel({ of: proposal }: { of: ReviewFragment }) {
  return (
    <Panel id="changes" title="What it does" note={`${proposal.changes.length === 1 ? 'one change' : `${proposal.changes.length} changes, in this order`}, drafted at block ${whole(proposal.draftedAt.number)}`}>
      <ol className="proposal-changes">
        {proposal.changes.map((change) => (
          <li key={`${change.parameter}${change.subject}`}>
            <h3>{change.title} of {change.subjectLabel} {change.irreversible && <Tag kind="down">cannot be undone</Tag>}</h3>
            <p className="proposal-shift"><span>{change.fromDisplay}</span><i aria-hidden="true">→</i><span className="sr">becomes</span><b>{change.toDisplay}</b><em>{change.step}</em></p>
            <p className="muted">Raw <code>{change.fromRaw}</code> → <code>{change.toRaw}</code> · <code>{change.parameter}</code> of <Address of={change.subject} label="Subject" /></p>
            <p>{change.description}</p>
            {change.note && <p className="muted">{change.note}</p>}
          </li>
        ))}
      </ol>
      <p className="provenance">{proposal.governance.words}{proposal.evidence.length > 0 && <> Taken from {proposal.evidence.map(({ recommendation }, index) => <span key={recommendation}>{index > 0 && ', '}<Link href={`/recommendations/${encodeURIComponent(recommendation)}`}>{index === 0 ? `recommendation ${recommendation.split(':')[1] ?? recommendation}` : recommendation.split(':')[1] ?? recommendation}</Link></span>)}.</>}</p>
    </Panel>
  )
}

function SimulationPanel({ of: { simulation } }: { of: ReviewFragment }) {
  if (!simulation) return null
  const { rollback } = simulation
  return (
    <Panel id="simulation" title="Simulation" note={`on a fork of block ${whole(simulation.block)}${simulation.timestamp ? `, ${time(simulation.timestamp)}` : ''}`}>
      {simulation.success ? <Notice kind="good" title={`All ${simulation.calls.length} calls succeed.`}>{simulation.gasUsed && `${whole(simulation.gasUsed)} gas.`}</Notice> : <Notice kind="down" title={simulation.failure ?? 'It fails.'} />}
      {simulation.warnings.map((each) => <Notice key={each} kind="degraded" title={each} />)}
      <Facts of={[
        ['Other parameters', simulation.otherParametersChanged.length === 0 ? `${whole(simulation.otherParametersRead)} read before and after, none changed` : `${simulation.otherParametersChanged.map(({ name }) => name).join(', ')} changed although the batch does not name them`],
        ['The way back', rollback === null ? 'There is none, or the batch failed' : rollback.success ? `Run right after it: everything is as before${rollback.gasUsed ? `, ${whole(rollback.gasUsed)} gas` : ''}` : rollback.failure ?? 'It fails'],
      ]} />
      <ol className="proposal-trace">{simulation.calls.map((call, index) => <li key={index}><i className={call.success ? 'up' : 'down'} aria-hidden="true">{call.success ? '✓' : '×'}</i><span className="sr">{call.success ? 'succeeds' : 'fails'}</span> {call.what} <span className="muted">{call.gasUsed && `${whole(call.gasUsed)} gas`}</span>{call.error && <span className="down"> {call.error}</span>}</li>)}</ol>
    </Panel>
  )
}

/** After signing: who signed, and the transaction that did it. */
function SignedPanel({ of: proposal }: { of: ReviewFragment }) {
  return (
    <Panel id="signed" title="Signatures" note={`${proposal.signatures.length} of ${proposal.threshold}`}>
      {proposal.signatures.length === 0 ? <Empty>{OPEN.has(proposal.state) ? 'The owners were not asked yet.' : 'None was given here.'}</Empty> : <ul className="proposal-owners">{proposal.signatures.map(({ signer, signature }) => <li key={signer}><i className="up" aria-hidden="true">✓</i><Address of={signer} label="Owner" /> signed <Copy text={signature} label="Signature">copy</Copy></li>)}</ul>}
      {proposal.executionTxHash && <Facts of={[['Executed by', <Address key="tx" of={proposal.executionTxHash} label="Transaction" />], ['In block', proposal.executedAtBlock ? whole(proposal.executedAtBlock) : null], ['Applied at block', proposal.appliedAtBlock ? whole(proposal.appliedAtBlock) : <Unknown key="applied" why="The index does not show every value yet" />]]} />}
    </Panel>
  )
}

function WayPanel({ of: { rollback, governance, queue, validUntil, nonce, safe, threshold } }: { of: ReviewFragment }) {
  return (
    <Panel id="way" title="Way there and way back">
      <Facts of={[
        ['Safe', <span key="safe"><Address of={safe} />, {threshold} signatures, nonce {nonce}</span>],
        ['Precondition', 'The first call reverts all of it where a value has moved since, or after the deadline'],
        ['Valid until', <Time key="until" at={validUntil} />],
        ...(governance.timelock ? ([['Timelock', <span key="timelock"><Address of={governance.timelock} />, {duration(governance.delaySec)} delay{queue ? `, ${words(queue.status)}` : ''}</span>]] as const) : []),
        ['Way back', rollback.exists ? <span key="back">prepared: the same changes backwards, <Address of={rollback.safeTxHash ?? ''} label="safeTxHash of the way back" /></span> : <span key="back" className="warn">{rollback.reason}</span>],
      ]} />
    </Panel>
  )
}

function FindingsPanel({ of: proposal }: { of: ReviewFragment }) {
  // One sentence may hold for several parameters.
  const findings = proposal.findings.filter((each, index, all) => all.findIndex(({ text }) => text === each.text) === index)
  return (
    <Panel id="findings" title="Policy and lint" note="when it was drafted">
      {findings.length === 0 ? <Empty>Nothing to say: every rule of the policy and of lint holds.</Empty> : <ul className="proposal-findings">{findings.map((each, index) => <li key={index}><Tag kind={each.severity === 'BLOCK' ? 'down' : 'warn'}>{words(each.severity)}</Tag> <span>{each.text} <code className="muted">{each.rule}</code></span></li>)}</ul>}
    </Panel>
  )
}

function HistoryPanel({ of: { events, draftedBy } }: { of: ReviewFragment }) {
  return (
    <Panel id="history" title="History" note={draftedBy ? <>drafted by {draftedBy.startsWith('0x') ? <Address of={draftedBy} /> : draftedBy}</> : undefined}>
      <ol className="proposal-history">{events.toReversed().map((event, index) => <li key={index}><Time at={Date.parse(event.at) / 1000} /> <StateTag of={event.toState} /> <span>{event.note}</span></li>)}</ol>
    </Panel>
  )
}

/** Predicted against what happened, for a day. */
function AftermathPanel({ of: { aftermath, changes } }: { of: ReviewFragment }) {
  if (!aftermath) return null
  const { liquidations, parameters } = aftermath
  const moved = parameters.filter(({ kept }) => !kept)
  return (
    <Panel id="aftermath" title="Predicted and actual" note={aftermath.complete ? 'the whole day after it' : `until ${time(aftermath.untilSec)}, for 24 hours`}>
      <Sums of={[
        ['Values kept', `${parameters.length - moved.length} of ${parameters.length}`],
        ['Foretold to be liquidatable', liquidations.predicted ? whole(liquidations.predicted.accounts) : <Unknown why="The simulation foretold nothing" />, liquidations.predicted ? `${whole(liquidations.predicted.liquidated)} of them were liquidated` : undefined],
        ['Liquidated', whole(liquidations.accounts), `accounts, ${whole(liquidations.count)} liquidations`],
        ['Not foretold', whole(liquidations.others.length), 'accounts'],
        ['Notional', usd(liquidations.notional.value), 'USD'],
        ['Bad debt', usd(liquidations.badDebtAmount.value), 'settlement token'],
      ]} />
      {moved.map((each) => <Notice key={`${each.parameter}${each.subject}`} kind="degraded" title={`${changes.find(({ parameter, subject }) => parameter === each.parameter && subject === each.subject)?.title ?? each.parameter} was set to raw ${each.predicted} and is ${each.actual ?? 'unknown'} now.`} />)}
    </Panel>
  )
}
