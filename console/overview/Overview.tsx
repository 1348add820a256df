/** The page that stays open all day: whether the protocol is safe now, by what, and what to do next. */
import { useEffect, useRef, useSyncExternalStore } from 'react'
import { isOutOfReach, useAnswer } from '../data/client.ts'
import type { Asked } from '../data/client.ts'
import { useConnection, useStatus } from '../data/live.ts'
import { OverviewBreakersDocument, OverviewFundDocument, OverviewOraclesDocument, OverviewQueueDocument, StatusDocument } from '../generated/operations.ts'
import type { OverviewBreakersQuery, OverviewFundQuery, OverviewOraclesQuery, OverviewQueueQuery } from '../generated/operations.ts'
import { Hint } from '../ui/parts.tsx'
import { Breakers } from './Breakers.tsx'
import { Feed } from './Feed.tsx'
import { Markets } from './Markets.tsx'
import { Backlog, Fund, Oracles } from './Reserves.tsx'
import { Underway, Urgent } from './Work.tsx'
import { aged, answerOf, asOf, lastKnown, limitsOf, notHad, ofBreakers, ofFigures, ofFund, ofOracles, ofQueue, outdated } from './safety.ts'
import type { Answer, Check, PriceLimit, Verdict } from './safety.ts'
import './overview.css'

/** Told apart by shape as well. */
const MARK: Readonly<Record<Verdict, string>> = { asking: '○', safe: '●', watch: '▲', unknown: '○', danger: '■' }
const SAID: Readonly<Record<Verdict, string>> = { asking: 'asked for', safe: 'safe', watch: 'to be watched', unknown: 'unknown', danger: 'not safe' }

const HOW = 'No: a breaker at RESTRICT or HALT; accounts that cannot be closed without a loss for others, that nobody can take, or more work for liquidators than margins count on (the limit under Liquidation backlog); a fund that holds less than one account can lose in the worst scenario; a feed that fails. Not known: a part of this is not measured, the fund’s shortfall is not simulated, a part of the server is not up, or a price in the figures is older than its feed’s limit (under Oracles). With care: a breaker at WATCH, accounts due, a fund below its target, a price that is late or off the market. Otherwise yes.'

type Stood = { readonly provenance: { readonly block: { readonly timestamp: string } } } | null | undefined

/** On what an answer is judged. `stood`: what says on which block it stands. That the whole API is away (`isLost`) is said once, by the figures. */
type Ground<Data> = { readonly indexedSec: number | null; readonly limits: readonly PriceLimit[]; readonly stood: (data: Data) => Stood; readonly isLost: boolean }

function checked<Data>(what: string, of: Asked<Data>, judge: (data: Data) => Check, { indexedSec, limits, stood, isLost }: Ground<Data>): Check {
  if (of.data === undefined) return of.error ? notHad(what, of.error) : { verdict: 'asking', figure: '…', why: '' }
  const block = stood(of.data)?.provenance.block
  return asOf(what, judge(of.data), block && indexedSec !== null ? outdated(limits, Number(block.timestamp), indexedSec) : null, of.error && !(isLost && isOutOfReach(of.error)) ? of.error.message : null)
}

type Parts = { readonly breakers: Asked<OverviewBreakersQuery>; readonly queue: Asked<OverviewQueueQuery>; readonly fund: Asked<OverviewFundQuery>; readonly oracles: Asked<OverviewOraclesQuery> }

/** Whether nobody can see the page: it then asks for nothing by itself, and its answers grow old without anything being wrong. */
const useHidden = (): boolean => useSyncExternalStore((changed) => { document.addEventListener('visibilitychange', changed); return () => document.removeEventListener('visibilitychange', changed) }, () => document.hidden)

/** A page in the background says it by its title. */
function useTitle(now: Answer, ageSec: number | null): void {
  const isHidden = useHidden()
  const known = useRef(now)
  known.current = lastKnown(known.current, now, isHidden)
  const { verdict } = known.current
  const answer = verdict === 'asking' ? '' : `${MARK[verdict]} ${aged(known.current, now, ageSec)} · `
  useEffect(() => { document.title = `${answer}Overview · Bulwark` }, [answer])
}

/** By itself, for it is judged anew each second: figures grow old while nothing comes. */
function Safety({ breakers, queue, fund, oracles }: Parts) {
  const { asked: status, ageSec } = useStatus()
  const isLost = useConnection().connection === 'lost'
  const indexed = status.data?.status.indexed
  const indexedSec = indexed ? Number(indexed.timestamp) : null
  const limits = oracles.data ? limitsOf(oracles.data) : []
  const check = <Data,>(what: string, of: Asked<Data>, judge: (data: Data) => Check, stood: (data: Data) => Stood): Check => checked(what, of, judge, { indexedSec, limits, stood, isLost })
  const checks: readonly (readonly [href: string, name: string, check: Check])[] = [
    ['#breakers', 'Breakers', check('breakers', breakers, ofBreakers, (data) => data.circuitBreakers)],
    ['#backlog', 'Liquidations', check('liquidations', queue, ofQueue, (data) => data.liquidationQueue)],
    ['#fund', 'Insurance fund', check('the insurance fund', fund, ofFund, (data) => data.insuranceFund?.target)],
    ['#oracles', 'Oracles', check('oracles', oracles, ofOracles, (data) => data.oracleHealth)],
    ['#main', 'Figures', check('the status', status, (data) => ofFigures(data, ageSec, isLost, limits), () => null)],
  ]
  const { verdict, word, reasons } = answerOf(checks.map(([, , one]) => one))
  useTitle({ verdict, word }, ageSec)
  return (
    <section className={`overview-answer ${verdict}${verdict === 'asking' ? ' loading' : ''}`} aria-labelledby="overview-question">
      <h1 id="overview-question"><Hint text={HOW}>Is the protocol safe now?</Hint></h1>
      <p><b>{word}:</b> <span>{reasons}</span></p>
      {/* The figures in the reasons change with each block: only the word is read out. */}
      <span className="sr" role="status">{verdict === 'asking' ? '' : word}</span>
      <ul>
        {checks.map(([href, name, { verdict: own, figure, why }]) => (
          <li key={name} className={own}>
            <a href={href} title={why}>
              <span className="name"><i aria-hidden="true">{MARK[own]}</i>{name}<span className="sr"> {SAID[own]}</span></span>
              <b>{figure}</b>
              <small>{why}</small>
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function Overview() {
  const indexed = useAnswer(StatusDocument, {}, 'block').data?.status.indexed
  const indexedSec = indexed ? Number(indexed.timestamp) : null
  const breakers = useAnswer(OverviewBreakersDocument, {}, 'block')
  const queue = useAnswer(OverviewQueueDocument, {}, 'block')
  const fund = useAnswer(OverviewFundDocument, {}, 'block')
  const oracles = useAnswer(OverviewOraclesDocument, {}, 'block')
  return (
    <div className="stack">
      <Safety breakers={breakers} queue={queue} fund={fund} oracles={oracles} />
      <div className="overview-columns">
        <div className="stack">
          <Markets breakers={breakers.data?.circuitBreakers?.markets} />
          <Breakers of={breakers} />
          <Oracles of={oracles} />
          <Backlog of={queue} />
          <Underway indexedSec={indexedSec} />
        </div>
        <div className="stack">
          <Feed indexedSec={indexedSec} />
          <Urgent />
          <Fund of={fund} />
        </div>
      </div>
    </div>
  )
}
