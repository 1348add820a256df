/** What a breaker would have done: past observations under a setting, and past events under what it would have stopped. */
import { BadInputError } from '../../core/errors.ts'
import { BREAKER_LEVELS, INITIAL_BREAKER_STATE, resetBreaker, severityOf, stepBreaker, type BreakerConfig, type BreakerLevel, type BreakerObservation, type BreakerTransition } from './breaker.ts'

/** What accounts did that a breaker may stop. Liquidations and withdrawals of free collateral are never among these. */
export type StoppableKind = 'increase' | 'decrease' | 'deposit'

/** Something that happened. `amount` in quote, ≥ 0: notional, value, or the debt that was left. */
export type ReplayEvent = { readonly timestampSec: number; readonly kind: StoppableKind | 'liquidation' | 'badDebt'; readonly account: string; readonly amount: number }

export type ReplayOptions = {
  readonly config: BreakerConfig
  /** One per block or bar, in order. */
  readonly observations: readonly BreakerObservation[]
  /** In time order. */
  readonly events: readonly ReplayEvent[]
  /** From a trip to its action on chain (signatures, block), s; the same for taking it back. */
  readonly reactionSec: number
  /** What a level's actions stop in this protocol. */
  readonly stops: Readonly<Record<BreakerLevel, readonly StoppableKind[]>>
  /** A person is assumed to lift a HALT after it was quiet for this long, s; null: nobody does. */
  readonly assumedResetSec: number | null
  /** A trip after which nothing happened within this time was false, s. */
  readonly harmHorizonSec: number
}

/** What a protocol with reduce-only would stop. */
export const DEFAULT_STOPS: ReplayOptions['stops'] = { NORMAL: [], WATCH: [], RESTRICT: ['increase', 'deposit'], HALT: ['increase', 'decrease', 'deposit'] }

type Tally = { readonly count: number; readonly amount: number }

/** One time above NORMAL. */
export type BreakerTrip = {
  readonly startSec: number
  /** null while it lasts. */
  readonly endSec: number | null
  readonly peak: BreakerLevel
  readonly why: string
  /** Liquidated notional and bad debt from its start to its end and harmHorizonSec beyond. */
  readonly liquidated: number
  readonly badDebt: number
  /** Reached RESTRICT or above, and neither followed. */
  readonly falseAlarm: boolean
}

export type BreakerReplay = {
  readonly fromSec: number
  readonly toSec: number
  readonly observations: number
  readonly secondsAt: Readonly<Record<BreakerLevel, number>>
  readonly transitions: readonly BreakerTransition[]
  readonly trips: readonly BreakerTrip[]
  readonly stopped: Readonly<Record<StoppableKind, Tally>>
  /** Bad debt of accounts, by the share of their increases that would have been stopped, quote: at most what the setting would have saved. */
  readonly preventedBadDebt: number
  /** Liquidations that went on while something was stopped. */
  readonly liquidationsWhileTripped: Tally
  readonly falseAlarms: number
  readonly summary: string
}

/**
 * Would this setting have tripped, when, and what would it have prevented.
 *
 * Observations run through stepBreaker from NORMAL; an event is stopped where the level in force `reactionSec` earlier stops its kind. Bad
 * debt is prevented in the share of the account's earlier increases that were stopped: an upper estimate, since a stopped account may come
 * back later. Amounts in quote, times in s. Throws BadInputError without observations, for events out of order, and as stepBreaker does.
 */
export function replayBreaker(options: ReplayOptions): BreakerReplay {
  const { config, observations, events, reactionSec, stops, assumedResetSec, harmHorizonSec } = options
  const [first] = observations
  if (first === undefined) throw new BadInputError('Found no observations, allowed is at least one; choose a window that the index covers', { field: 'observations' })
  if (!(reactionSec >= 0) || !(harmHorizonSec >= 0)) throw new BadInputError(`Found a reaction of ${reactionSec} s and a horizon of ${harmHorizonSec} s, allowed are numbers from 0; give seconds`, { field: 'reactionSec' })
  for (let i = 1; i < events.length; i++) if ((events[i] as ReplayEvent).timestampSec < (events[i - 1] as ReplayEvent).timestampSec) throw new BadInputError('Found events out of order, allowed is time order; sort by time', { field: 'events' })

  const secondsAt: Record<BreakerLevel, number> = { NORMAL: 0, WATCH: 0, RESTRICT: 0, HALT: 0 }
  const transitions: BreakerTransition[] = []
  /** When each level began. */
  const path: { readonly atSec: number; readonly level: BreakerLevel }[] = [{ atSec: first.timestampSec, level: 'NORMAL' }]
  let state = INITIAL_BREAKER_STATE
  const record = (transition: BreakerTransition | null): void => {
    if (transition === null) return
    transitions.push(transition)
    path.push({ atSec: transition.timestampSec, level: transition.to })
  }
  for (const observation of observations) {
    const before = state
    const step = stepBreaker(config, state, observation)
    if (before.block >= 0) secondsAt[before.level] += observation.timestampSec - before.timestampSec
    record(step.transition)
    state = step.state
    const quiet = state.level === 'HALT' && state.quietSinceSec !== null && assumedResetSec !== null && observation.timestampSec - state.quietSinceSec >= assumedResetSec
    if (quiet) {
      const reset = resetBreaker(state, { who: 'the replay', why: `assumed after ${assumedResetSec} s of quiet`, timestampSec: observation.timestampSec })
      record(reset.transition)
      state = reset.state
    }
  }
  const toSec = state.timestampSec

  const levelAt = (timestampSec: number): BreakerLevel => {
    let low = 0
    let high = path.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((path[middle] as { atSec: number }).atSec <= timestampSec) low = middle + 1
      else high = middle
    }
    return low === 0 ? 'NORMAL' : (path[low - 1] as { level: BreakerLevel }).level
  }

  const stopped: Record<StoppableKind, { count: number; amount: number }> = { increase: { count: 0, amount: 0 }, decrease: { count: 0, amount: 0 }, deposit: { count: 0, amount: 0 } }
  const liquidationsWhileTripped = { count: 0, amount: 0 }
  const increases = new Map<string, { all: number; stopped: number }>()
  let preventedBadDebt = 0
  for (const event of events) {
    if (event.timestampSec < first.timestampSec || event.timestampSec > toSec) continue
    const inForce = stops[levelAt(event.timestampSec - reactionSec)]
    const own = increases.get(event.account) ?? { all: 0, stopped: 0 }
    if (event.kind === 'badDebt') preventedBadDebt += own.all > 0 ? event.amount * (own.stopped / own.all) : 0
    else if (event.kind === 'liquidation') {
      if (inForce.length > 0) {
        liquidationsWhileTripped.count++
        liquidationsWhileTripped.amount += event.amount
      }
    } else {
      const isStopped = inForce.includes(event.kind)
      if (isStopped) {
        stopped[event.kind].count++
        stopped[event.kind].amount += event.amount
      }
      if (event.kind === 'increase') increases.set(event.account, { all: own.all + event.amount, stopped: own.stopped + (isStopped ? event.amount : 0) })
    }
  }

  const trips: BreakerTrip[] = []
  type Open = { readonly startSec: number; readonly peak: BreakerLevel; readonly why: string }
  const close = (trip: Open, endSec: number | null): void => {
    const until = (endSec ?? toSec) + harmHorizonSec
    const sum = (kind: ReplayEvent['kind']): number => events.reduce((total, e) => total + (e.kind === kind && e.timestampSec >= trip.startSec && e.timestampSec <= until ? e.amount : 0), 0)
    const liquidated = sum('liquidation')
    const badDebt = sum('badDebt')
    trips.push({ ...trip, endSec, liquidated, badDebt, falseAlarm: severityOf(trip.peak) >= 2 && liquidated === 0 && badDebt === 0 })
  }
  let open = null as Open | null
  for (const t of transitions) {
    if (open === null) open = { startSec: t.timestampSec, peak: t.to, why: t.why }
    else if (severityOf(t.to) > severityOf(open.peak)) open = { startSec: open.startSec, peak: t.to, why: t.why }
    if (t.to === 'NORMAL') {
      close(open, t.timestampSec)
      open = null
    }
  }
  if (open !== null) close(open, null)

  const restricted = trips.filter((t) => severityOf(t.peak) >= 2)
  const falseAlarms = trips.filter((t) => t.falseAlarm).length
  const above = BREAKER_LEVELS.slice(1).reduce((sum, level) => sum + secondsAt[level], 0)
  return {
    fromSec: first.timestampSec,
    toSec,
    observations: observations.length,
    secondsAt,
    transitions,
    trips,
    stopped,
    preventedBadDebt,
    liquidationsWhileTripped,
    falseAlarms,
    summary:
      trips.length === 0
        ? `would not have tripped in ${observations.length} observations over ${toSec - first.timestampSec} s`
        : `would have tripped ${trips.length} times, ${restricted.length} of them to RESTRICT or above (${falseAlarms} for nothing), ${above} s above NORMAL in all; would have stopped ${stopped.increase.count} increases of ${stopped.increase.amount.toFixed(0)} and hindered ${stopped.decrease.count} decreases of ${stopped.decrease.amount.toFixed(0)}, and prevented at most ${preventedBadDebt.toFixed(0)} of bad debt`,
  }
}
