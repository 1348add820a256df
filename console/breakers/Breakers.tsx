/** The state of every breaker: what each trigger measures against its entries, what changed when, what can be done, and what another setting would have done. */
import { Dialog } from '@base-ui/react/dialog'
import { useMemo, useState } from 'react'
import { Link, useSearchParams } from 'wouter'
import { ask, renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { useViewer } from '../data/session.ts'
import { BreakerHistoryDocument, BreakerMovedDocument, BreakersDocument, ResetBreakerDocument } from '../generated/operations.ts'
import type { BreakerHistoryQuery, BreakerPartsFragment, BreakersQuery } from '../generated/operations.ts'
import { age, duration, float, percent, whole, words } from '../ui/format.ts'
import { Address, Empty, Hint, Loaded, Notice, PageHead, Panel, Provenance, Time, Unknown, sentence } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { LevelTag, TRIGGERS, showTrigger } from '../ui/breakers.tsx'
import { LevelsChart } from './levels.tsx'
import { Playbooks } from './Playbooks.tsx'
import { Replay } from './Replay.tsx'
import { spansOf } from './spans.ts'
import './breakers.css'

export default function Breakers() {
  const breakers = useAnswer(BreakersDocument, {}, 'block')
  useEvents(BreakerMovedDocument, {}, () => void renew('BreakerHistory', 'Playbooks'))
  return (
    <>
      <PageHead title="Circuit breakers" note="None stops liquidations. What a level asks for, people do by a proposal" />
      <Loaded of={breakers} height={700}>{({ circuitBreakers }) => (circuitBreakers ? <Shown of={circuitBreakers} /> : <Empty>No block has been observed yet: the breakers begin with the first step of the mirror.</Empty>)}</Loaded>
    </>
  )
}

function Shown({ of }: { of: NonNullable<BreakersQuery['circuitBreakers']> }) {
  const all = [of.protocol, ...of.markets]
  const now = Number(of.provenance.block.timestamp)
  return (
    <>
      <div className="grid breakers-grid">{all.map((one) => <One key={one.subject} of={one} now={now} />)}</div>
      <History now={now} />
      <Playbooks breakers={all} />
      <Replay breakers={all} />
      <details className="panel breakers-fold">
        <summary><h2>What the observations assume</h2></summary>
        <ul>{of.assumptions.map((one) => <li key={one}>{one}</li>)}</ul>
        <Provenance of={of.provenance} />
      </details>
    </>
  )
}

function One({ of, now }: { of: BreakerPartsFragment; now: number }) {
  const applies = of.triggers.filter(({ state }) => state !== 'NOT_APPLICABLE')
  const others = of.triggers.filter(({ state }) => state === 'NOT_APPLICABLE')
  const since = of.since === '0' ? 'since the first observation' : <>since <Time at={of.since} /> ({age(now - Number(of.since))})</>
  return (
    <Panel id={`breaker-${of.label}`} title={of.label === 'protocol' ? 'Protocol' : <Link href={`/markets/${of.label}`}>{of.label}</Link>} note={<><LevelTag level={of.level} /> {since}</>} actions={of.latched ? <Reset of={of} /> : undefined}>
      {of.effective !== of.level && <p className="breaker-line">In effect <LevelTag level={of.effective} />: the protocol’s breaker stands higher.</p>}
      {of.latched && <Notice kind="down" title="Latched.">A HALT falls only after a person has reset it, once no trigger asks for it any more.</Notice>}
      {of.level !== 'NORMAL' && <p className="breaker-line">{of.quietSince ? <>No trigger asks for {of.level} since <Time at={of.quietSince} /> ({age(now - Number(of.quietSince))}){of.latched ? '' : '; it falls by one level after its cooldown'}.</> : <>A trigger asks for {of.level} now.</>}</p>}
      {of.asks.map(({ action, why }) => <p key={action} className="breaker-line"><b>{words(action.replaceAll('-', '_'))}</b>: {why}.</p>)}
      <ul className="breaker-triggers">{applies.map((trigger) => <Trigger key={trigger.name} of={trigger} />)}</ul>
      {others.length > 0 && <p className="breaker-others">Does not apply: {others.map(({ name, why }, index) => <span key={name}>{index > 0 && ', '}<Hint text={why ?? 'It does not apply here'}>{TRIGGERS[name]?.title ?? name}</Hint></span>)}</p>}
    </Panel>
  )
}

/** A bar from 0 to beyond the highest entry: the value, and where each level is entered. */
function Trigger({ of }: { of: BreakerPartsFragment['triggers'][number] }) {
  const { name, state, value, level, watch, restrict, halt, exitFactor } = of
  const known = TRIGGERS[name]
  const entries = ([['WATCH', watch], ['RESTRICT', restrict], ['HALT', halt]] as const).flatMap(([at, entry]) => (entry === null ? [] : [{ at, entry }]))
  const most = Math.max(1e-9, ...entries.map(({ entry }) => entry), Math.min(value ?? 0, 2 * Math.max(...entries.map(({ entry }) => entry)))) * 1.12
  const place = (at: number): string => `${Math.min(100, (at / most) * 100).toFixed(2)}%`
  const exit = level === 'NORMAL' ? null : entries.find(({ at }) => at === level)
  const spoken = `${known?.title ?? name}: ${value === null ? 'unknown' : showTrigger(name, value)}; ${entries.map(({ at, entry }) => `${at} from ${showTrigger(name, entry)}`).join(', ')}`
  return (
    <li>
      <div className="breaker-name"><Hint text={known?.what ?? name}>{known?.title ?? name}</Hint>{level !== 'NORMAL' && <LevelTag level={level} />}</div>
      <div className="breaker-value">{value === null ? <Unknown why="The index cannot tell it now: no alarm, and no proof of calm" /> : <b title={String(value)}>{showTrigger(name, value)}</b>}</div>
      <div className="breaker-bullet" role="img" aria-label={spoken}>
        {entries.map(({ at, entry }, index) => <i key={at} className={`zone ${at.toLowerCase()}`} style={{ left: place(entry), right: entries[index + 1] ? `calc(100% - ${place(entries[index + 1]?.entry ?? most)})` : '0' }} />)}
        {value !== null && <i className="value" style={{ width: place(value) }} />}
      </div>
      <p className="breaker-note">{entries.map(({ at, entry }) => `${at.charAt(0)}${at.slice(1).toLowerCase()} ${bare(name, entry)}`).join(' · ')}{exit && `; leaves ${exit.at} below ${bare(name, exit.entry * exitFactor)}`}{state === 'UNKNOWN' && '. Unknown now: no alarm, and no proof of calm'}</p>
    </li>
  )
}

const bare = (name: string, value: number): string => (TRIGGERS[name]?.unit === 'share' ? percent(value, 0) : float(value, value % 1 === 0 ? 0 : Number.isInteger(value * 10) ? 1 : 2))

type Past = NonNullable<BreakerHistoryQuery['circuitBreakers']>
type Move = Past['protocol']['history']['nodes'][number] & { readonly label: string }

const WINDOWS = [['Day', 86_400], ['Week', 604_800], ['30 days', 2_592_000]] as const

const MOVES: readonly Column<Move>[] = [
  { key: 'at', head: 'Observed at', value: (row) => row.seenAt, cell: (row) => <Time at={row.seenAt} /> },
  { key: 'label', head: 'Breaker', value: (row) => row.label },
  { key: 'move', head: 'From → to', words: true, value: (row) => `${row.from} → ${row.to}`, cell: (row) => <><LevelTag level={row.from} /> → <LevelTag level={row.to} /></> },
  { key: 'why', head: 'Why', words: true, value: (row) => row.why },
  { key: 'by', head: 'By', value: (row) => row.resetBy ?? 'trigger or cooldown', cell: (row) => (row.resetBy ? <Address of={row.resetBy} label="Reset by" /> : <span className="muted">trigger or cooldown</span>) },
  { key: 'block', head: 'Block', numeric: true, value: (row) => row.seenBlock, cell: (row) => whole(row.seenBlock) },
]

function History({ now }: { now: number }) {
  const [params, setParams] = useSearchParams()
  const past = useAnswer(BreakerHistoryDocument, {}, 'event')
  const name = params.get('window') ?? 'Day'
  const length = WINDOWS.find(([one]) => one === name)?.[1] ?? 86_400
  const all = useMemo(() => (past.data?.circuitBreakers ? [past.data.circuitBreakers.protocol, ...past.data.circuitBreakers.markets] : []), [past.data])
  const moves = useMemo(() => all.flatMap(({ label, history }) => history.nodes.map((node) => ({ ...node, label }))).toSorted((a, b) => Number(b.seenAt) - Number(a.seenAt) || Number(b.seenBlock) - Number(a.seenBlock)), [all])
  // The axis ends at the block; a minute is fine enough for it not to be drawn anew with each.
  const to = Math.ceil(now / 60) * 60
  const rows = useMemo(() => all.map(({ label, level, history }) => {
    const own = history.nodes.map((node) => ({ at: Number(node.seenAt), from: node.from, to: node.to, why: node.why })).toReversed()
    const inside = own.filter(({ at }) => at > to - length)
    const before = own.findLast(({ at }) => at <= to - length)
    return { label, spans: spansOf(inside, { from: to - length, to, level: before?.to ?? inside[0]?.from ?? level, observed: before !== undefined }) }
  }), [all, to, length])
  const shown = moves.filter(({ seenAt }) => Number(seenAt) > to - length)
  return (
    <Panel id="history" title="History" note="Levels by block time" className="breakers-panel" actions={<>
      <div className="actions" role="group" aria-label="Time shown">{WINDOWS.map(([one]) => <button key={one} type="button" aria-pressed={one === name} onClick={() => setParams((old) => { const next = new URLSearchParams(old); next.set('window', one); return next }, { replace: true })}>{one}</button>)}</div>
      <CsvButton title="Breaker changes" columns={MOVES} rows={moves} />
    </>}>
      <Loaded of={past} height={300}>{() => (
        <>
          <LevelsChart title="Levels" summary={shown.length === 0 ? `No breaker moved in the last ${duration(length)}. Dashed: as far as it was observed at all.` : `${shown.length} ${shown.length === 1 ? 'move' : 'moves'} in the last ${duration(length)}. Dashed: before the first move, as far as it was observed at all.`} rows={rows} from={to - length} to={to} />
          <Table title="Changes" columns={MOVES} rows={moves} rowKey={({ id }) => id} few={8} empty="No breaker has left NORMAL since the first observation." />
          {all.some(({ history }) => history.totalCount > history.nodes.length) && <p className="empty">The last 100 of each breaker; `circuitBreakers {'{ markets { history } }'}` of the API pages through all.</p>}
        </>
      )}</Loaded>
    </Panel>
  )
}

const MAY = ['STEWARD', 'OWNER']

/** A person lifts a latched HALT, and says why. */
function Reset({ of }: { of: BreakerPartsFragment }) {
  const viewer = useViewer()
  const [open, setOpen] = useState(false)
  const [why, setWhy] = useState('')
  const [state, setState] = useState<{ sending: boolean; problem?: string }>({ sending: false })
  const may = viewer?.roles.some((role) => MAY.includes(role)) === true
  const fits = why.trim().length >= 1 && why.length <= 300
  const reset = async () => {
    setState({ sending: true })
    try {
      await ask(ResetBreakerDocument, { subject: of.subject, why: why.trim() })
      await renew('Breakers', 'BreakerHistory')
      setState({ sending: false })
      setOpen(false)
      setWhy('')
    } catch (error) {
      setState({ sending: false, problem: sentence(error) })
    }
  }
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className="danger">Reset …</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title>Reset the HALT of {of.label === 'protocol' ? 'the protocol' : of.label}</Dialog.Title>
          <Dialog.Description>It goes to RESTRICT and falls from there by its own cooldowns. Nothing on chain changes. Stewards of the policy and owners of the Safe may; it is kept with your address and words.</Dialog.Description>
          {viewer === null && <Notice kind="degraded" title="You have not signed in.">Sign in with the wallet of a steward or an owner, at the top right of the page. What you type here stays.</Notice>}
          {viewer && !may && <Notice kind="degraded" title="You may not.">You have signed in as {viewer.address}, which is neither a steward of the policy nor an owner of the Safe.</Notice>}
          <form onSubmit={(event) => { event.preventDefault(); if (may && fits && !state.sending) void reset() }}>
            <label className="field">Why, 1 to 300 characters<textarea rows={3} maxLength={300} value={why} onChange={(event) => setWhy(event.target.value)} /></label>
            {state.problem && <Notice kind="down" title={state.problem} />}
            <div className="actions"><Dialog.Close>Cancel</Dialog.Close><button type="submit" className="main" disabled={!may || !fits || state.sending}>{state.sending ? 'Resetting …' : 'Reset to RESTRICT'}</button></div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
