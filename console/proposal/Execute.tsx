/** Sends what the owners signed, by the wallet in this browser, and says what became of it until the index has it. */
import { useCallback, useEffect, useState } from 'react'
import { ask, renew, useAnswer } from '../data/client.ts'
import { ProposalExecutionDocument, SafeDocument, StatusDocument } from '../generated/operations.ts'
import type { ReviewFragment } from '../generated/operations.ts'
import { ActButton } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { short, time, whole, words } from '../ui/format.ts'
import { Address, Facts, Notice } from '../ui/parts.tsx'
import { wrongWithExecution, wrongWithQueued } from '../wallet/execution.ts'
import type { Transaction } from '../wallet/execution.ts'
import { useAct } from '../wallet/Session.tsx'
import type { Checked } from '../wallet/safeTx.ts'
import { useWallet } from '../wallet/wallet.tsx'
import type { Standing } from '../wallet/wallet.tsx'
import { isUndone, walletWords } from '../wallet/words.ts'
import { dropSending, keepSending, useSendings } from './kept.ts'
import type { Sending, Step } from './kept.ts'
import type { AskFor, Contracts, SafeNow, Signable } from './Signing.tsx'

/** Blocks after which a transaction of which nothing is known counts as one that does not come. */
const PATIENCE_BLOCKS = 3

const UNKNOWN = 'Whether it was sent is not known: look in the wallet'

/** What can be sent now; null: nothing. */
export const stepOf = ({ state }: ReviewFragment): Step | null => (state === 'READY' ? 'CHANGE' : state === 'QUEUED' ? 'QUEUED' : state === 'CANCELLING' ? 'CANCELLATION' : null)

const useBlock = (): number | null => {
  const number = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.number
  return number == null ? null : Number(number)
}

/** READY, QUEUED or CANCELLING: what any account can send then, once `askFor` has shown it. */
export function Execute({ proposal, step, signable, checked, contracts, safe, askFor, landing }: { proposal: ReviewFragment; step: Step; signable: Signable; checked: Checked | undefined; contracts: Contracts; safe: SafeNow; askFor: AskFor; landing: Landing }) {
  const wallet = useWallet()
  const { busy, fault, act, stop } = useAct()
  const block = useBlock() ?? 0
  const { id } = proposal
  const queued = step === 'QUEUED'
  const isSent = useSendings().some((each) => each.id === id && each.step === step)

  const wrong = (transaction: Transaction): string | null =>
    checked === undefined || checked.faults.length > 0 || !contracts.known || contracts.faults.length > 0 ? contracts.faults[0] ?? 'Found hashes or calls that differ, allowed are those that this page derives; nothing was sent'
    : queued
      ? wrongWithQueued(transaction, proposal.chainId, proposal.queue?.timelock ?? '', proposal.deeds.filter(({ depth }) => depth === 2))
      : checked.typedData ? wrongWithExecution(transaction, checked.typedData, signable.signatures) : 'Found fields that are not those of a Safe transaction; nothing was sent'

  const send = ({ to, data, gas }: Transaction) => act('send', async () => {
    try {
      keepSending({ id, step, hash: await wallet.send({ to: to as `0x${string}`, value: 0n, data: data as `0x${string}`, gas: BigInt(gas) }), words: null, block })
    } catch (error) {
      if (!isUndone(error)) return keepSending({ id, step, hash: null, words: walletWords(error, UNKNOWN), block })
      dropSending(id, step)
      throw error
    }
  }, 'Nothing was sent')

  const look = () => act('look', async () => {
    const { proposalExecution: found } = await ask(ProposalExecutionDocument, { id, of: signable.kind, sender: wallet.account })
    if (!found?.transaction) throw new Error(found?.reason ?? 'Found nothing to send')
    const { transaction } = found
    const faultOf = wrong(transaction)
    if (faultOf !== null) throw new Error(faultOf)
    askFor({
      title: queued ? 'Execute it at the timelock?' : signable.kind === 'CHANGE' ? (proposal.queue ? 'Schedule it at the timelock?' : 'Execute it now?') : 'Execute its cancellation?',
      text: (
        <div className="proposal-prose">
          {signable.kind === 'CHANGE' ? <ul>{proposal.changes.map(({ sentence }) => <li key={sentence}><b>{sentence}</b></li>)}</ul> : <p><b>{proposal.title}</b> can no longer happen after this.</p>}
          <p>Everything was checked at the chain’s head just now, and the call was tried out: it goes through. What the chain has done cannot be taken back, only changed anew{proposal.rollback.exists && signable.kind === 'CHANGE' ? ' (a way back exists)' : ''}.</p>
          <Facts of={[['Sent by', <Address key="from" of={wallet.account ?? ''} />], ['To', <span key="to"><Address of={transaction.to} /> {queued ? 'the timelock' : 'the Safe'}</span>], ['Gas limit', whole(transaction.gas)], ['Network', `${wallet.network}, chain ${transaction.chainId}`]]} />
        </div>
      ),
      yes: 'Send it',
      danger: signable.kind === 'CANCELLATION',
      opened: { deed: 'send', kind: signable.kind, safeTxHash: signable.told.safeTxHash, nonce: signable.told.nonce, state: proposal.state, account: wallet.account, safe: safe.onChain },
      act: () => void send(transaction),
    })
  })

  const name = queued ? 'Execute at the timelock' : signable.kind === 'CANCELLATION' ? 'Execute the cancellation' : proposal.queue ? 'Schedule at the timelock' : 'Execute'
  const ofWallet = wallet.account === null ? 'Connect any account below to send it; it pays the gas.' : wallet.elsewhere !== null ? `The wallet is on chain ${wallet.elsewhere}; switch it to ${wallet.network} (chain ${wallet.chainId}).` : contracts.again !== null ? 'The wallet’s node did not say what code the transaction goes to; it is asked again with the next block.' : !contracts.known ? 'The wallet’s node is asked what code the transaction goes to.' : null
  const early = queued && proposal.queue?.status === 'WAITING' && proposal.queue.readyAt !== null ? `The timelock lets nobody execute it before ${time(proposal.queue.readyAt)}.` : null
  const hindrance = early ?? ofWallet
  return (
    <>
      <ActButton className={signable.kind === 'CANCELLATION' ? 'danger' : 'main'} disabled={hindrance !== null || isSent} busy={busy !== null} onClick={() => { landing.expect(); void look() }}>
        {busy === 'look' ? 'Checking at the chain’s head …' : busy === 'send' ? 'Waiting for the wallet …' : name}
      </ActButton>
      {busy === 'send' && <button type="button" className="quiet" onClick={() => { stop(); keepSending({ id, step, hash: null, words: `The wallet has not answered. ${UNKNOWN}`, block }) }}>Stop waiting</button>}
      {hindrance !== null && <span className="muted">{hindrance}</span>}
      {fault && <div ref={landing.land} tabIndex={-1}><Notice kind="down" title={`${fault.replace(/\.$/, '')}.`} /></div>}
    </>
  )
}

/** What was sent from this browser for a proposal, until it is clear what became of each. */
export const Sendings = ({ of: proposal, landing }: { of: ReviewFragment; landing: Landing }) => useSendings().filter(({ id }) => id === proposal.id).map((each) => <Sent key={`${each.step}${each.hash}`} of={proposal} sending={each} landing={landing} />)

function Sent({ of: proposal, sending, landing: { expect, land } }: { of: ReviewFragment; sending: Sending; landing: Landing }) {
  // It goes again by itself, and hands the focus on to what comes then.
  const arrive = useCallback((element: HTMLElement | null) => {
    land(element)
    if (element !== null && document.activeElement === element) expect()
  }, [expect, land])
  return <div ref={arrive} tabIndex={-1}>{sending.hash === null ? <Doubtful of={sending} /> : <Known of={proposal} sending={sending} hash={sending.hash} />}</div>
}

/** Nobody knows whether it was sent: sending again waits until the Safe was looked at some blocks later. */
function Doubtful({ of: { id, step, words: why, block: since } }: { of: Sending }) {
  const block = useBlock()
  const until = since + PATIENCE_BLOCKS
  useEffect(() => {
    if (block === null) return
    let stopped = false
    void renew('Proposal', 'Safe')
    if (block >= until) ask(SafeDocument, {}).then(({ protocol }) => { if (!stopped && protocol?.safe) dropSending(id, step) }, () => { /* Asked again with the next block. */ })
    return () => { stopped = true }
  }, [block, until, id, step])
  return <Notice kind="degraded" title={`${why ?? UNKNOWN}.`}>Sending it again waits until the Safe is looked at in block {whole(String(until))}.</Notice>
}

/** Asked of the wallet's own node with every block. */
function Known({ of: proposal, sending: { id, step, block: since }, hash }: { of: ReviewFragment; sending: Sending; hash: string }) {
  const wallet = useWallet()
  const block = useBlock()
  const [standing, setStanding] = useState<Standing | null>(null)
  const isOver = stepOf(proposal) !== step
  useEffect(() => {
    let stopped = false
    void wallet.standing(hash as `0x${string}`).then((found) => { if (!stopped) setStanding(found) })
    return () => { stopped = true }
  }, [hash, block, wallet.account, isOver])
  const { executionTxHash, queue, state } = proposal
  const isIndexed = [executionTxHash, queue?.scheduledTxHash].some((each) => each?.toLowerCase() === hash.toLowerCase())
  const isDone = isIndexed || (isOver && standing?.status === 'success')
  useEffect(() => { if (isDone) dropSending(id, step) }, [isDone, id, step])
  if (isDone) return null
  const forget = () => dropSending(id, step)
  const its = <Address of={hash} label="Transaction" />
  const other = step === 'CHANGE' && queue !== null ? queue.scheduledTxHash : executionTxHash
  // Which transaction cancelled it nobody tells: this one may have.
  const isOurs = state === 'CANCELLED' && step === 'CANCELLATION' && standing?.status !== 'reverted'
  if (isOver && !isOurs) {
    const first = other !== null || state === 'CANCELLED' ? <>Another transaction did it first{other !== null && <> (<Address of={other} label="Transaction" />)</>}.</> : <>The proposal became “{words(state)}” meanwhile.</>
    const seen = <button type="button" onClick={forget}>I have seen it</button>
    if (standing?.status === 'reverted') return <Notice kind="down" title={`Your transaction ${short(hash)} reverted in block ${whole(String(standing.block))}: it changed nothing, and its gas was paid.`}>{first} {its} {seen}</Notice>
    return <Notice kind="degraded" title={first}>{standing?.status === 'waiting' ? <>Yours, {its}, still waits for its block{other !== null && ': it will change nothing, and cost its gas'}, unless you cancel it in the wallet.</> : standing?.status === 'unknown' ? <>The wallet’s node does not know yours, {its}: it was dropped or replaced.</> : <>What became of yours, {its}, is not known; a connected wallet’s node tells it.</>} {seen}</Notice>
  }
  if (standing?.status === 'reverted') return <Notice kind="down" title={`Transaction ${short(hash)} reverted in block ${whole(String(standing.block))}: nothing was changed.`}><button type="button" onClick={forget}>Check and try again</button></Notice>
  const isDropped = !isOver && standing?.status === 'unknown' && block !== null && block >= since + PATIENCE_BLOCKS
  if (isDropped) return <Notice kind="degraded" title={`The wallet’s node does not know transaction ${short(hash)}.`}>It was dropped, or replaced in the wallet; look there first. {its} <button type="button" className="quiet" onClick={forget}>It was dropped: send again</button></Notice>
  return <Notice kind="good" title={standing?.status === 'success' ? `In block ${whole(String(standing.block))}.` : 'Sent.'}>Transaction {its}; {standing?.status === 'success' ? 'the index is following.' : 'waiting for its block.'}</Notice>
}
