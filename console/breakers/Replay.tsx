/** Would this setting have tripped in the last days, and what would it have done: entries of one's own over what was known at each time. */
import { useMemo, useState } from 'react'
import { useSearchParams } from 'wouter'
import { ask } from '../data/client.ts'
import { ReplayBreakerDocument } from '../generated/operations.ts'
import type { BreakerPartsFragment, ReplayBreakerInput, ReplayBreakerQuery } from '../generated/operations.ts'
import { duration, float, percent, whole, words } from '../ui/format.ts'
import { Notice, Panel, Provenance, Sums, Tag, Time, sentence } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { LEVELS, LevelTag, TRIGGERS, unitOf } from '../ui/breakers.tsx'
import { typedNumber } from '../ui/number.ts'
import { LevelsChart } from './levels.tsx'
import { spansOf } from './spans.ts'

type Entry = { readonly watch: string; readonly restrict: string; readonly halt: string }
/** As typed. An empty field is "as in use", or "never" for an entry and "nobody" for the reset. */
type Form = { readonly subject: string; readonly entries: Readonly<Record<string, Entry>>; readonly numbers: Readonly<Record<NumberName, string>>; readonly stops: 'PROTOCOL' | 'REDUCE_ONLY' }

const NUMBERS = [
  { name: 'days', label: 'Days back', unit: '1 to 30', first: '7', min: 1, max: 30, whole: true, empty: false },
  { name: 'stepSec', label: 'One observation every, s', unit: '60 to 86,400', first: '300', min: 60, max: 86_400, whole: true, empty: false },
  { name: 'confirmations', label: 'Observations in a row', unit: 'from 1; empty: as in use', first: '', min: 1, max: 10_000, whole: true, empty: true },
  { name: 'exitFactor', label: 'Leaves below, share of entry', unit: 'above 0 to 1', first: '', min: 1e-9, max: 1, whole: false, empty: true },
  { name: 'cooldownSec', label: 'Cooldown of one level, s', unit: 'from 0; empty: as in use', first: '', min: 0, max: 604_800, whole: true, empty: true },
  { name: 'reactionSec', label: 'From trip to action, s', unit: '0 to 604,800', first: '3600', min: 0, max: 604_800, whole: true, empty: false },
  { name: 'assumedResetSec', label: 'A HALT is lifted after, s', unit: 'from 0; empty: by nobody', first: '3600', min: 0, max: 2_592_000, whole: true, empty: true },
  { name: 'harmHorizonSec', label: 'False if nothing follows in, s', unit: '0 to 604,800', first: '3600', min: 0, max: 604_800, whole: true, empty: false },
] as const
type NumberName = (typeof NUMBERS)[number]['name']

const ENTRIES = ['watch', 'restrict', 'halt'] as const
const text = (value: number | null): string => (value === null ? '' : String(value))

const inUse = (of: BreakerPartsFragment): Form => ({
  subject: of.label,
  entries: Object.fromEntries(of.triggers.filter(({ state }) => state !== 'NOT_APPLICABLE').map(({ name, watch, restrict, halt }) => [name, { watch: text(watch), restrict: text(restrict), halt: text(halt) }])),
  numbers: { ...(Object.fromEntries(NUMBERS.map(({ name, first }) => [name, first])) as Record<NumberName, string>), exitFactor: text(of.triggers[0]?.exitFactor ?? null) },
  stops: 'PROTOCOL',
})

/** Faults by field: what was found, what is allowed. */
function faultsOf(form: Form): Readonly<Record<string, string>> {
  const faults: Record<string, string> = {}
  for (const { name, unit, min, max, whole: wholly, empty } of NUMBERS) {
    const typed = form.numbers[name].trim()
    const value = typedNumber(typed)
    if (typed === '' ? !empty : value === null || value < min || value > max || (wholly && !Number.isInteger(value))) faults[name] = `Found ${typed === '' ? 'nothing' : `“${typed.slice(0, 20)}”`}, allowed: ${unit}${wholly ? ', whole numbers' : ''}`
  }
  for (const [name, entry] of Object.entries(form.entries)) {
    let least = 0
    for (const at of ENTRIES) {
      const typed = entry[at].trim()
      if (typed === '') continue
      const value = typedNumber(typed)
      if (value === null || value <= 0) faults[`${name}.${at}`] = `Found “${typed.slice(0, 20)}”, allowed: above 0, or empty for never`
      else if (value < least) faults[`${name}.${at}`] = `Found ${typed}, allowed: no lower than the level below it, ${least}`
      else least = value
    }
  }
  if (Object.values(form.entries).every((entry) => ENTRIES.every((at) => entry[at].trim() === ''))) faults['entries'] = 'No trigger asks for anything: give at least one entry'
  return faults
}

function inputOf(form: Form): ReplayBreakerInput {
  const number = (name: NumberName): number | null => typedNumber(form.numbers[name])
  return {
    market: form.subject === 'protocol' ? null : form.subject,
    days: number('days'), stepSec: number('stepSec'), exitFactor: number('exitFactor'), confirmations: number('confirmations'), cooldownSec: number('cooldownSec'),
    reactionSec: number('reactionSec'), assumedResetSec: number('assumedResetSec'), harmHorizonSec: number('harmHorizonSec'), stops: form.stops,
    entries: Object.entries(form.entries).map(([trigger, one]) => ({ trigger, watch: typedNumber(one.watch), restrict: typedNumber(one.restrict), halt: typedNumber(one.halt) })),
  }
}

/** A form out of a link; null where it is none of this shape. */
function formOf(link: string | null, breakers: readonly BreakerPartsFragment[]): Form | null {
  if (link === null) return null
  try {
    const { subject, entries, numbers, stops } = JSON.parse(link) as Partial<Form>
    const breaker = breakers.find(({ label }) => label === subject)
    if (!breaker) return null
    const base = inUse(breaker)
    const typed = (value: unknown, otherwise: string): string => (typeof value === 'string' ? value.slice(0, 30) : otherwise)
    return {
      ...base,
      entries: Object.fromEntries(Object.entries(base.entries).map(([name, one]) => [name, Object.fromEntries(ENTRIES.map((at) => [at, typed(entries?.[name]?.[at], one[at])])) as Entry])),
      numbers: Object.fromEntries(NUMBERS.map(({ name }) => [name, typed(numbers?.[name], base.numbers[name])])) as Form['numbers'],
      stops: stops === 'REDUCE_ONLY' ? 'REDUCE_ONLY' : 'PROTOCOL',
    }
  } catch {
    return null
  }
}

type Result = NonNullable<ReplayBreakerQuery['replayBreaker']>

export function Replay({ breakers }: { breakers: readonly BreakerPartsFragment[] }) {
  const [params, setParams] = useSearchParams()
  const [first] = breakers.filter(({ label }) => label !== 'protocol')
  const [form, setForm] = useState<Form | undefined>(() => formOf(params.get('replay'), breakers) ?? (first && inUse(first)))
  const [state, setState] = useState<{ running: boolean; problem?: string; result?: Result; asked?: Form }>({ running: false })
  const [tried, setTried] = useState(false)
  const faults = useMemo(() => (form ? faultsOf(form) : {}), [form])
  if (!form) return null
  const breaker = breakers.find(({ label }) => label === form.subject)
  const own = breaker && JSON.stringify(inUse(breaker).entries) !== JSON.stringify(form.entries)
  const choose = (label: string) => {
    const next = breakers.find((one) => one.label === label)
    if (next) setForm({ ...inUse(next), numbers: form.numbers, stops: form.stops })
  }
  const run = async () => {
    setTried(true)
    if (Object.keys(faults).length > 0) return
    setState((now) => ({ ...now, running: true }))
    const input = inputOf(form)
    setParams((now) => { const next = new URLSearchParams(now); next.set('replay', JSON.stringify(form)); return next }, { replace: true })
    try {
      const { replayBreaker } = await ask(ReplayBreakerDocument, { input })
      setState(replayBreaker ? { running: false, result: replayBreaker, asked: form } : { running: false, problem: 'No block is indexed yet.' })
    } catch (error) {
      setState((now) => ({ ...now, running: false, problem: sentence(error) }))
    }
  }
  const fault = (key: string) => (tried ? faults[key] : undefined)
  return (
    <Panel id="replay" title="Would this setting have tripped?" note="Past observations, each from what was known at its time, under entries of your own" className="breakers-panel">
      <form className="replay" noValidate onSubmit={(event) => { event.preventDefault(); void run() }}>
        <div className="controls">
          <label className="field">Breaker<select value={form.subject} onChange={(event) => choose(event.target.value)}>{breakers.map(({ label }) => <option key={label}>{label}</option>)}</select></label>
          {NUMBERS.map(({ name, label, unit }) => (
            <label key={name} className="field replay-number">{label}
              <input inputMode="decimal" value={form.numbers[name]} placeholder={unit} title={unit} aria-invalid={fault(name) ? true : undefined} aria-describedby={fault(name) ? `replay-${name}-fault` : undefined} onChange={(event) => setForm({ ...form, numbers: { ...form.numbers, [name]: event.target.value } })} />
              {fault(name) && <span id={`replay-${name}-fault`} className="replay-fault">{fault(name)}</span>}
            </label>
          ))}
          <label className="field">What actions stop<select value={form.stops} onChange={(event) => setForm({ ...form, stops: event.target.value as Form['stops'] })}><option value="PROTOCOL">What this protocol can</option><option value="REDUCE_ONLY">As one with reduce-only</option></select></label>
        </div>
        <div className="scroll"><table className="replay-entries" role="table" aria-label="Entries">
          <thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Trigger</th><th role="columnheader" scope="col">Unit</th>{ENTRIES.map((at) => <th key={at} role="columnheader" scope="col">{at.toUpperCase()} from</th>)}</tr></thead>
          <tbody role="rowgroup">{Object.entries(form.entries).map(([name, entry]) => (
            <tr key={name} role="row"><td role="rowheader">{TRIGGERS[name]?.title ?? name}</td><td role="cell" data-label="Unit" className="muted">{unitOf(name)}</td>
              {ENTRIES.map((at) => (
                <td key={at} role="cell" data-label={at.toUpperCase()}><div>
                  <input inputMode="decimal" aria-label={`${TRIGGERS[name]?.title ?? name}: ${at.toUpperCase()} from`} placeholder="never" value={entry[at]} aria-invalid={fault(`${name}.${at}`) ? true : undefined} aria-describedby={fault(`${name}.${at}`) ? `replay-${name}-${at}-fault` : undefined} onChange={(event) => setForm({ ...form, entries: { ...form.entries, [name]: { ...entry, [at]: event.target.value } } })} />
                  {fault(`${name}.${at}`) && <span id={`replay-${name}-${at}-fault`} className="replay-fault">{fault(`${name}.${at}`)}</span>}
                </div></td>
              ))}
            </tr>
          ))}</tbody>
        </table></div>
        {fault('entries') && <Notice kind="down" title={fault('entries')} />}
        <div className="controls"><button type="submit" className="main" disabled={state.running}>{state.running ? 'Replaying …' : 'Replay'}</button>{own && breaker && <button type="button" className="quiet" onClick={() => setForm({ ...form, entries: inUse(breaker).entries })}>Back to the entries in use</button>}<span className="muted" role="status">{own ? 'Entries of your own.' : 'The entries in use.'}{tried && Object.keys(faults).length > 0 ? ` ${Object.keys(faults).length} to correct.` : ''}</span></div>
      </form>
      {state.problem && <Notice kind="down" title={state.problem} />}
      {state.result && state.asked && <Shown of={state.result} label={state.asked.subject} old={JSON.stringify(state.asked) !== JSON.stringify(form)} />}
    </Panel>
  )
}

const TRIPS: readonly Column<Result['trips'][number]>[] = [
  { key: 'start', head: 'From', value: (row) => row.start, cell: (row) => <Time at={row.start} /> },
  { key: 'for', head: 'For', name: 'For, s', numeric: true, value: (row) => (row.end === null ? null : Number(row.end) - Number(row.start)), cell: (row) => (row.end === null ? <span className="muted">lasts</span> : duration(Number(row.end) - Number(row.start))) },
  { key: 'peak', head: 'Peak', value: (row) => row.peak, cell: (row) => <LevelTag level={row.peak} /> },
  { key: 'why', head: 'Why', words: true, value: (row) => row.why },
  { key: 'liquidated', head: 'Liquidated after', name: 'Liquidated until it was told true or false, USD', numeric: true, value: (row) => row.liquidated, cell: (row) => float(row.liquidated) },
  { key: 'badDebt', head: 'Bad debt', name: 'Bad debt, USD', numeric: true, value: (row) => row.badDebt, cell: (row) => float(row.badDebt) },
  { key: 'false', head: 'Was', value: (row) => (row.falseAlarm ? 'false alarm' : LEVELS.indexOf(row.peak) < 2 ? 'watched alone' : 'followed by harm'), cell: (row) => (row.falseAlarm ? <Tag kind="warn">false alarm</Tag> : <span className="muted">{LEVELS.indexOf(row.peak) < 2 ? 'watched alone' : 'followed by harm'}</span>) },
]

function Shown({ of, label, old }: { of: Result; label: string; old: boolean }) {
  const [from, to] = [Number(of.from), Number(of.to)]
  const rows = useMemo(() => [{ label, spans: spansOf(of.transitions.map((one) => ({ at: Number(one.timestamp), from: one.from, to: one.to, why: one.why })), { from, to, level: 'NORMAL', observed: true }) }], [of, label, from, to])
  const total = of.secondsAt.reduce((sum, { value }) => sum + value, 0)
  return (
    <div className="replay-result" role="status" aria-busy={old}>
      {old && <p className="breaker-line"><b>Of the setting before:</b> the form above asks for another one since. Replay it to see what that would have done.</p>}
      <p className="breaker-line"><b>{of.summary.charAt(0).toUpperCase()}{of.summary.slice(1).replace(/\.?$/, '.')}</b></p>
      <Sums of={[
        ['Trips', whole(of.trips.length), `${whole(of.observations)} observations`],
        ['False alarms', whole(of.falseAlarms), 'RESTRICT or HALT, and nothing followed'],
        ...of.secondsAt.map(({ name, value }) => [`At ${name}`, duration(value), total > 0 ? percent(value / total) : null] as const),
        ['Bad debt spared, at most', <>{float(of.preventedBadDebt, 2)} <u>USD</u></>],
        ['Liquidations while tripped', whole(of.liquidationsWhileTripped.count), `${float(of.liquidationsWhileTripped.amount, 2)} USD, none of them stopped`],
      ]} />
      <LevelsChart title={`Levels of ${label} under this setting`} summary={`${of.transitions.length} moves from ${duration(to - from)} of the past.`} rows={rows} from={from} to={to} />
      <Table title="Trips" columns={TRIPS} rows={of.trips} rowKey={({ start, why }) => `${start} ${why}`} few={10} empty="It would not have left NORMAL." />
      <div className="grid replay-more">
        <Table title="What its actions would have stopped" rowKey={({ kind }) => kind} rows={of.stopped} empty="Nothing would have been stopped." columns={[
          { key: 'kind', head: 'Stopped', value: (row) => words(row.kind) },
          { key: 'count', head: 'Number', numeric: true, value: (row) => row.count },
          { key: 'amount', head: 'USD', numeric: true, value: (row) => row.amount, cell: (row) => float(row.amount, 2) },
        ]} />
        <Table title="How often each trigger had a value" rowKey={({ name }) => name} rows={of.known} columns={[
          { key: 'name', head: 'Trigger', value: (row) => TRIGGERS[row.name]?.title ?? row.name },
          { key: 'known', head: 'Observations with a value', numeric: true, value: (row) => row.value, cell: (row) => `${whole(row.value)} of ${whole(of.observations)}` },
        ]} />
      </div>
      <details className="breakers-fold"><summary><h3>What the replay assumes</h3></summary><ul>{of.assumptions.map((one) => <li key={one}>{one}</li>)}</ul></details>
      <div className="controls"><CsvButton title={`Replay of ${label}, trips`} columns={TRIPS} rows={of.trips} /></div>
      <Provenance of={of.provenance} />
    </div>
  )
}
