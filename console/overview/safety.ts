/** "Is the protocol safe now?": one judgement per part, each with its sentence, and the answer that they make together. What is unknown is not safe. */
import type { OverviewBreakersQuery, OverviewFundQuery, OverviewOraclesQuery, OverviewQueueQuery, StatusQuery } from '../generated/operations.ts'
import { TRIGGERS, severityOf } from '../ui/breakers.tsx'
import { age, compact, duration, percent, whole, words } from '../ui/format.ts'

/** In order of severity; `asking` before the first answer. */
export type Verdict = 'asking' | 'safe' | 'watch' | 'unknown' | 'danger'
export type Check = { readonly verdict: Verdict; readonly figure: string; readonly why: string }

/** `vETH`, `vETH and vBTC`, `vETH, vBTC and vOP`. */
export const list = (names: readonly string[]): string => (names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`)
const some = (count: number, one: string, many = `${one}s`): string => `${whole(count)} ${count === 1 ? one : many}`

type Breakers = NonNullable<OverviewBreakersQuery['circuitBreakers']>
export const boardOf = ({ protocol, markets }: Breakers): readonly Breakers['protocol'][] => [protocol, ...markets]

export function ofBreakers({ circuitBreakers }: OverviewBreakersQuery): Check {
  if (!circuitBreakers) return { verdict: 'unknown', figure: 'Unknown', why: 'no breaker has been observed yet' }
  const board = boardOf(circuitBreakers)
  const worst = board.reduce((a, b) => (severityOf(b.effective) > severityOf(a.effective) ? b : a)).effective
  const raised = board.filter(({ level }) => level !== 'NORMAL').toSorted((a, b) => severityOf(b.level) - severityOf(a.level))
  const blind = board.map(({ label, triggers }) => ({ label, names: triggers.filter(({ state }) => state === 'UNKNOWN').map(({ name }) => (TRIGGERS[name]?.title ?? name).toLowerCase()) })).filter(({ names }) => names.length > 0)
  const unknown = blind.length > 0 ? `${list(blind.map(({ label, names }) => `${list(names)} of ${label}`))} ${blind.length === 1 && blind[0]?.names.length === 1 ? 'is' : 'are'} not measured` : ''
  const what = raised.length > 0 ? list(raised.map(({ label, level }) => `${label === 'protocol' ? 'the protocol' : label} stands at ${level}`)) : ''
  const why = [what, unknown].filter(Boolean).join('; ') || 'every breaker is normal'
  return { verdict: severityOf(worst) >= 2 ? 'danger' : unknown ? 'unknown' : worst === 'WATCH' ? 'watch' : 'safe', figure: worst, why }
}

export function ofQueue({ liquidationQueue: queue }: OverviewQueueQuery): Check {
  if (!queue) return { verdict: 'unknown', figure: 'Unknown', why: 'nothing is indexed that accounts could be measured by' }
  const beyond = queue.tiers.filter(({ tier, accounts }) => accounts > 0 && ['BACKSTOP', 'FUND', 'ADL', 'SOCIALISED'].includes(tier)).reduce((sum, { accounts }) => sum + accounts, 0)
  const stuck = queue.dueNotional - queue.takeableNotional
  const figure = `${whole(queue.dueAccounts)} due`
  const due = `${some(queue.dueAccounts, 'account')} due, ${compact(queue.dueNotional)} USD`
  if (beyond > 0) return { verdict: 'danger', figure, why: `${some(beyond, 'account')} cannot be closed without a loss for others` }
  if (queue.dueAccounts > 0 && stuck > 0.5) return { verdict: 'danger', figure, why: `${due}, of which ${compact(stuck)} USD cannot be taken` }
  const limit = queue.backlogLimit
  if (queue.dueAccounts > 0 && queue.etaSec === null) return { verdict: 'danger', figure, why: `${due}: nobody can take it at this depth` }
  if (limit !== null && queue.etaSec !== null && queue.etaSec > limit.seconds) return { verdict: 'danger', figure, why: `${due}: ${duration(queue.etaSec)} of work for liquidators, and margins of ${limit.market.symbol} count on ${duration(limit.seconds)}` }
  if (queue.unknown.length > 0) return { verdict: 'unknown', figure, why: `whether accounts can be closed without loss is not fully known: ${queue.unknown[0]?.message ?? ''}`.replace(/\.$/, '') }
  if (queue.dueAccounts > 0 && limit === null) return { verdict: 'unknown', figure, why: `${due}, and how long they may wait is not known` }
  if (queue.dueAccounts > 0) return { verdict: 'watch', figure, why: `${due}, ${duration(queue.etaSec ?? 0)} of work for liquidators` }
  return { verdict: 'safe', figure, why: 'no account is due for liquidation' }
}

export function ofFund({ insuranceFund }: OverviewFundQuery): Check {
  const target = insuranceFund?.target
  if (!insuranceFund || !target) return { verdict: 'unknown', figure: 'Unknown', why: insuranceFund ? 'the fund’s target is unknown' : 'the insurance fund has not been indexed yet' }
  if (target.fund === null || target.gap === null) return { verdict: 'unknown', figure: 'Unknown', why: `the insurance fund is unknown: ${target.fundUnknown?.message ?? ''}`.replace(/[.: ]+$/, '') }
  const figure = target.target > 0 ? `${percent(Math.floor((target.fund / target.target) * 100 + 1e-9) / 100, 0)} of target` : 'No target'
  const runway = target.runwayDays === null ? '' : `, and lasts ${duration(target.runwayDays * 86_400)}`
  if (target.fund < target.cover1) return { verdict: 'danger', figure, why: `the insurance fund holds ${compact(target.fund)} USD and one account can lose ${compact(target.cover1)} USD more than it has` }
  if (target.gap > 0) return { verdict: 'watch', figure, why: `the insurance fund lacks ${compact(target.gap)} USD of its target${runway}` }
  if (target.simulationUnknown) return { verdict: 'unknown', figure, why: 'the insurance fund’s target lacks its simulated shortfall' }
  return { verdict: 'safe', figure, why: 'the insurance fund holds its target' }
}

export function ofOracles({ oracleHealth }: OverviewOraclesQuery): Check {
  if (!oracleHealth || oracleHealth.feeds.length === 0) return { verdict: 'unknown', figure: 'Unknown', why: 'no price feed has been indexed yet' }
  const { feeds } = oracleHealth
  const names = (some: typeof feeds): string => list(some.flatMap(({ symbols, feed }) => (symbols.length > 0 ? symbols : [feed])))
  const failed = feeds.filter(({ status }) => status === 'FAIL')
  const silent = feeds.filter(({ ageSec }) => ageSec === null)
  const warned = feeds.filter(({ status }) => status === 'WARN')
  const figure = `${feeds.filter(({ status }) => status === 'OK').length} of ${feeds.length} ok`
  if (failed.length > 0) return { verdict: 'danger', figure, why: `the price of ${names(failed)} cannot be trusted` }
  if (silent.length > 0) return { verdict: 'unknown', figure, why: `${names(silent)} ${silent.length === 1 ? 'has' : 'have'} no price yet` }
  if (warned.length > 0) return { verdict: 'watch', figure, why: `the price of ${names(warned)} is late or off the market` }
  return { verdict: 'safe', figure, why: 'every price is fresh' }
}

/** From which age a feed's price is no longer counted on, s, by whose word, and when its price was given, Unix s; null where that was too long ago by itself. */
export type PriceLimit = { readonly name: string; readonly lateSec: number; readonly why: string; readonly atSec: number | null }

export function limitsOf({ oracleHealth }: OverviewOraclesQuery): readonly PriceLimit[] {
  if (!oracleHealth) return []
  const blockSec = Number(oracleHealth.provenance.block.timestamp)
  return oracleHealth.feeds.map(({ symbols, feed, ageSec, lateSec, lateWhy }) => ({ name: list(symbols.length > 0 ? symbols : [feed]), lateSec, why: lateWhy, atSec: ageSec === null || ageSec > lateSec ? null : blockSec - ageSec }))
}

/** What stands for too long: by how much, s, and the price in it that has passed its limit meanwhile. */
export type Outdated = { readonly behindSec: number; readonly why: string }

/**
 * Whether a price in what stands at `stoodSec` is past its feed's limit at `nowSec`; null where none is. A price that was late when it was looked
 * at is the oracles' own matter: it counts from `stoodSec`.
 */
export function outdated(limits: readonly PriceLimit[], stoodSec: number, nowSec: number): Outdated | null {
  const [first] = limits
    .map((limit) => ({ ...limit, ageSec: nowSec - Math.min(limit.atSec ?? stoodSec, stoodSec) }))
    .filter(({ ageSec, lateSec }) => nowSec > stoodSec && ageSec > lateSec)
    .toSorted((a, b) => b.ageSec - b.lateSec - (a.ageSec - a.lateSec))
  return first ? { behindSec: nowSec - stoodSec, why: `a price of ${first.name} of then is ${age(first.ageSec)} old by now, limit ${age(first.lateSec)}` } : null
}

/** Parts without which the figures themselves cannot be relied on. */
const BEARING = ['chain', 'graph-node', 'mirror', 'database', 'margin', 'breakers', 'api']

/** `ageSec`: of the indexed block, now. */
export function ofFigures({ status }: StatusQuery, ageSec: number | null, isLost: boolean, limits: readonly PriceLimit[]): Check {
  const figure = status.indexed ? `Block ${whole(status.indexed.number)}` : 'None yet'
  if (isLost) return { verdict: 'unknown', figure, why: 'the API does not answer, so nothing newer is known' }
  if (!status.indexed) return { verdict: 'unknown', figure, why: 'no block has been indexed yet' }
  const lame = status.parts.filter(({ name, health }) => health !== 'UP' && BEARING.includes(name))
  if (lame.length > 0) return { verdict: 'unknown', figure, why: `${list(lame.map(({ name, health }) => `${name} is ${words(health)}`))}, so figures may be missing or old` }
  if (ageSec === null) return { verdict: 'unknown', figure, why: 'the age of the figures is unknown' }
  const old = outdated(limits, Number(status.indexed.timestamp), Number(status.indexed.timestamp) + ageSec)
  if (old) return { verdict: 'unknown', figure, why: `the figures are ${age(old.behindSec)} old: ${old.why}` }
  return { verdict: 'safe', figure, why: 'figures are current' }
}

/**
 * What a judgement is worth where its answer could not be renewed (`fault`, in words), or is outdated at the indexed block: what was bad
 * stays so, all else is unknown.
 */
export function asOf(what: string, last: Check, old: Outdated | null, fault: string | null): Check {
  const why = fault !== null ? `${what} cannot be asked for again: ${fault.replace(/\.$/, '')}` : old ? `${what} ${what.endsWith('s') ? 'were' : 'was'} last seen ${age(old.behindSec)} before the indexed block: ${old.why}` : null
  if (why === null) return last
  return last.verdict === 'danger' ? { ...last, why: `${last.why}; ${why}` } : { ...last, verdict: 'unknown', why: `${why}; before that ${last.why}` }
}

/** What an answer that cannot be had leaves. */
export const notHad = (what: string, error: Error): Check => ({ verdict: 'unknown', figure: 'Unknown', why: `${what}: ${error.message.replace(/\.$/, '')}` })

const ANSWERS: Readonly<Record<Exclude<Verdict, 'asking'>, string>> = { safe: 'Yes', watch: 'With care', unknown: 'Not known', danger: 'No' }

/** The worst word, then the reasons for it; what is only to be watched, or also unknown, after them. */
export function answerOf(checks: readonly Check[]): { readonly verdict: Verdict; readonly word: string; readonly reasons: string } {
  const of = (verdict: Verdict): string[] => checks.filter((check) => check.verdict === verdict).map(({ why }) => why)
  const [danger, unknown, watch] = [of('danger'), of('unknown'), of('watch')]
  if (danger.length === 0 && checks.some(({ verdict }) => verdict === 'asking')) return { verdict: 'asking', word: '…', reasons: 'asking the API' }
  const verdict = danger.length > 0 ? 'danger' : unknown.length > 0 ? 'unknown' : watch.length > 0 ? 'watch' : 'safe'
  const first = verdict === 'danger' ? danger : verdict === 'unknown' ? unknown : verdict === 'watch' ? watch : of('safe')
  const also = [...(verdict === 'danger' ? unknown.map((why) => `not known: ${why}`) : []), ...(verdict === 'danger' || verdict === 'unknown' ? watch : [])]
  return { verdict, word: ANSWERS[verdict], reasons: `${[...first, ...also].join('; ')}.` }
}

export type Answer = { readonly verdict: Verdict; readonly word: string }

/** The answer for those who do not look: a page that nobody can see asks for nothing, and that its figures have grown old unseen makes no news. Whatever else it is told, is. */
export const lastKnown = (before: Answer, now: Answer, isHidden: boolean): Answer => (isHidden && now.verdict === 'unknown' && before.verdict !== 'asking' ? before : now)

/** In minutes and longer: a title that changes each second asks for a look each second. */
const AGE_SAID_SEC = 120

/** The word of what was known last, with the age of its figures where it is not what is known now. */
export const aged = (known: Answer, now: Answer, ageSec: number | null): string => (known.verdict === now.verdict ? known.word : `${known.word}, ${ageSec === null ? 'of unknown age' : ageSec < AGE_SAID_SEC ? 'a moment ago' : `${age(ageSec)} ago`}`)
