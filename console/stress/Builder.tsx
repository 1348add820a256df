/** The question of a stress run: regimes of history, shocks of one's own, and what liquidations do to prices. */
import { useRef } from 'react'
import { Dial, linear, read } from '../ui/Dial.tsx'
import { duration, percent, signedPercent, words } from '../ui/format.ts'
import { Empty, Hint } from '../ui/parts.tsx'
import type { RegimeFragment, Severity } from '../generated/operations.ts'
import { MOVE, MOVE_SCALE, PERSISTENCE, SECONDS, SECONDS_SCALE, SEVERITIES, SEVERITY_SAYS, VOLUME, VOLUME_SCALE, newShock } from './question.ts'
import type { Question, Shock } from './question.ts'

export type Library = Readonly<Record<Severity, readonly RegimeFragment[]>>

type Change = (change: Partial<Question>) => void

export function Builder({ question, change, library, symbols }: { question: Question; change: Change; library: Library; symbols: readonly string[] }) {
  return (
    <>
      <Regimes question={question} change={change} library={library} />
      <Shocks question={question} change={change} symbols={symbols} />
      <Liquidations question={question} change={change} />
    </>
  )
}

/** What a title says of its severity, which the list says once. */
const WINDOW = /, (high|open) to low of .*$/

function Regimes({ question: { severities, regimes }, change, library }: { question: Question; change: Change; library: Library }) {
  const ids = library.SEVERE.map(({ id }) => id)
  const chosen = new Set(regimes === 'all' ? ids : ids.filter((id) => regimes.includes(id)))
  const choose = (next: ReadonlySet<string>) => change({ regimes: ids.every((id) => next.has(id)) ? 'all' : ids.filter((id) => next.has(id)) })
  const toggle = (id: string) => choose(chosen.has(id) ? new Set([...chosen].filter((one) => one !== id)) : new Set([...chosen, id]))
  const shown: readonly Severity[] = severities.length > 0 ? severities : ['SEVERE']
  return (
    <fieldset className="stress-part">
      <legend>Regimes of history</legend>
      <div className="stress-row">
        <span className="stress-toggles" role="group" aria-label="Severity">
          {SEVERITIES.map((one) => (
            <button key={one} type="button" aria-pressed={severities.includes(one)} title={SEVERITY_SAYS[one]} onClick={() => change({ severities: SEVERITIES.filter((other) => (other === one ? !severities.includes(one) : severities.includes(other))) })}>{words(one)}</button>
          ))}
        </span>
        <span className="muted stress-count">{chosen.size} of {ids.length}</span>
        <button type="button" className="quiet" disabled={chosen.size === ids.length} onClick={() => change({ regimes: 'all' })}>All</button>
        <button type="button" className="quiet" disabled={chosen.size === 0} onClick={() => change({ regimes: [] })}>None</button>
      </div>
      <ul className="stress-regimes" tabIndex={0} aria-label="Regimes">
        {library.SEVERE.map(({ id, title, source }) => (
          <li key={id}>
            <label>
              <input type="checkbox" checked={chosen.has(id)} onChange={() => toggle(id)} />
              <span>
                <b>{title.replace(WINDOW, '')}</b>
                {shown.map((severity) => {
                  const regime = library[severity].find((one) => one.id === id)
                  return regime && <small key={severity}>{shown.length > 1 && `${words(severity)}: `}{movesOf(regime)}</small>
                })}
              </span>
            </label>
            <Hint text={`${title}. Source: ${source}.`}>source</Hint>
          </li>
        ))}
      </ul>
    </fieldset>
  )
}

/** `BTC −28.3 %, ETH −28.5 %, others −28.5 %, stable 0 %`, and what else is unusual. */
export function movesOf({ moves, volumeFactor, oracleFreezeSec, outageSec }: RegimeFragment): string {
  return [
    ...moves.flatMap(({ name, value }) => (value === 0 ? [] : [`${name === 'OTHER' ? 'others' : name === 'STABLE' ? 'stable' : name} ${signedPercent(value).replace(/\.?0+ %/, ' %')}`])),
    ...(volumeFactor === 1 ? [] : [`${percent(volumeFactor, 0)} of the volume`]),
    ...(oracleFreezeSec > 0 ? [`oracle frozen ${duration(oracleFreezeSec)}`] : []),
    ...(outageSec > 0 ? [`outage ${duration(outageSec)}`] : []),
  ].join(', ')
}

function Shocks({ question: { shocks }, change, symbols }: { question: Question; change: Change; symbols: readonly string[] }) {
  const put = (index: number, next: Shock) => change({ shocks: shocks.map((shock, i) => (i === index ? next : shock)) })
  const add = useRef<HTMLButtonElement>(null)
  // The button that was pressed goes with its shock: the focus stays in this part.
  const remove = (index: number) => {
    change({ shocks: shocks.filter((_, i) => i !== index) })
    add.current?.focus()
  }
  return (
    <fieldset className="stress-part">
      <legend>Shocks of your own</legend>
      {shocks.map((shock, index) => <OwnShock key={index} shock={shock} index={index} symbols={symbols} put={(next) => put(index, next)} remove={() => remove(index)} />)}
      {shocks.length === 0 && <Empty>None yet: one moves each market and collateral by as much as you say.</Empty>}
      <button ref={add} type="button" onClick={() => change({ shocks: [...shocks, newShock(shocks)] })}>Add a shock</button>
    </fieldset>
  )
}

function OwnShock({ shock, index, symbols, put, remove }: { shock: Shock; index: number; symbols: readonly string[]; put: (shock: Shock) => void; remove: () => void }) {
  const named = [...new Set([...symbols, ...Object.keys(shock.moves)])]
  // What is wrong with the others is said once, there.
  const followed = read(shock.others, { name: '', ...MOVE }).fault === null ? shock.others : '0'
  return (
    <div className="stress-shock" role="group" aria-label={`Shock ${shock.id || index + 1}`}>
      <div className="stress-row">
        <label>Name <input value={shock.id} maxLength={64} spellCheck={false} autoComplete="off" onChange={(event) => put({ ...shock, id: event.target.value })} /></label>
        <button type="button" className="quiet" aria-label={`Remove ${shock.id || `shock ${index + 1}`}`} onClick={remove}>Remove</button>
      </div>
      {named.map((symbol) => {
        const text = shock.moves[symbol]
        return (
          <Dial
            key={symbol} range={{ name: symbol, ...MOVE }} label={symbol} text={text ?? followed} scale={MOVE_SCALE} quiet={text === undefined} change={(next) => put({ ...shock, moves: { ...shock.moves, [symbol]: next } })}
            aside={text !== undefined && <button type="button" className="stress-back" title={`Move ${symbol} as all others`} aria-label={`Move ${symbol} as all others`} onClick={() => put({ ...shock, moves: Object.fromEntries(Object.entries(shock.moves).filter(([name]) => name !== symbol)) })}>↺</button>}
          />
        )
      })}
      <Dial range={{ name: 'All others', ...MOVE }} label="All others" text={shock.others} scale={MOVE_SCALE} change={(others) => put({ ...shock, others })} ends={['−99 %', '+1,000 %']} />
      <Dial range={VOLUME} label="Volume left" text={shock.volume} scale={VOLUME_SCALE} change={(volume) => put({ ...shock, volume })} ends={['0.001×', '10×']} />
      <Dial range={{ name: 'Oracle freeze', ...SECONDS }} label="Oracle freeze" text={shock.freeze} scale={SECONDS_SCALE} change={(freeze) => put({ ...shock, freeze })} valueText={duration} />
      <Dial range={{ name: 'Outage', ...SECONDS }} label="Outage" text={shock.outage} scale={SECONDS_SCALE} change={(outage) => put({ ...shock, outage })} valueText={duration} ends={['none', '7 d']}>
        A freeze and an outage are said with the result; no figure depends on them. Give the gap that they end in as moves.
      </Dial>
    </div>
  )
}

function Liquidations({ question: { cascade, persistence }, change }: { question: Question; change: Change }) {
  return (
    <fieldset className="stress-part">
      <legend>What liquidations do to prices</legend>
      <label className="stress-check"><input type="checkbox" checked={cascade} onChange={(event) => change({ cascade: event.target.checked })} /> <span>Cascade: what is liquidated moves prices, and moved prices make more due</span></label>
      {cascade && (
        <Dial range={PERSISTENCE} label="Persistence" text={persistence} scale={linear(0, 1, 0.01)} change={(next) => change({ persistence: next })} ends={['0', '1']}>
          Share of a forced trade’s impact that stands when the next one comes. 1: nothing recovers, an upper bound. About 0.67 once impact has relaxed. 0: no price moves.
        </Dial>
      )}
    </fieldset>
  )
}
