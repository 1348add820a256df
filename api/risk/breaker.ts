/**
 * Circuit breakers as a pure reducer: observations in, states, transitions and intents out. Time and block are arguments.
 *
 * NORMAL → WATCH → RESTRICT → HALT. A trigger rises to a level when its value is at or above that level's entry for n consecutive
 * observations, and stays there until the value is below `exitFactor` times the entry (hysteresis). The state is the highest level of its
 * triggers; it rises at once and falls one level per quiet cooldown. HALT is latched: it falls only after a person has reset it.
 *
 * What a state asks of the chain are intents in words of no protocol; an adapter maps them, and may map one to nothing. No intent stops
 * liquidations: there is none to ask for that.
 * Source: SEC/NYSE Limit Up-Limit Down plan (limit state before pause), CME velocity logic; risk models §11.
 */
import { BadInputError } from '../../core/errors.ts'

/** In order of severity. Nothing is loosened above NORMAL. */
export const BREAKER_LEVELS = ['NORMAL', 'WATCH', 'RESTRICT', 'HALT'] as const
export type BreakerLevel = (typeof BREAKER_LEVELS)[number]

/** 0 for NORMAL to 3 for HALT. */
export const severityOf = (level: BreakerLevel): number => BREAKER_LEVELS.indexOf(level)
const levelAt = (severity: number): BreakerLevel => BREAKER_LEVELS[Math.min(3, Math.max(0, severity))] as BreakerLevel
export const moreSevere = (a: BreakerLevel, b: BreakerLevel): BreakerLevel => levelAt(Math.max(severityOf(a), severityOf(b)))

/** What is watched. Each value is a number from 0 that grows with danger; null is unknown. */
export const BREAKER_TRIGGERS = ['staleness', 'deviation', 'band', 'velocity', 'fundDrawdown', 'utilisation'] as const
export type BreakerTrigger = (typeof BREAKER_TRIGGERS)[number]
export type BreakerValues = Readonly<Partial<Record<BreakerTrigger, number | null>>>

/** Entries of one trigger, rising; null where the trigger never asks for that level. */
export type BreakerEntries = { readonly WATCH: number | null; readonly RESTRICT: number | null; readonly HALT: number | null }

export type BreakerConfig = {
  readonly entries: Readonly<Partial<Record<BreakerTrigger, BreakerEntries>>>
  /** Exit as a share of the entry, in (0, 1). */
  readonly exitFactor: number
  /** Consecutive observations at or above an entry before it counts, from 1. */
  readonly confirmations: number
  /** Quiet time before the state falls by one level, s. */
  readonly cooldownSec: number
}

/**
 * What each trigger counts, and when it trips: staleness in heartbeats of the feed (1.2 is late), deviation in multiples of the price band
 * (k·σ, 1 is unusual), band as the 5-minute move over the band (1 is a limit state), velocity as liquidated notional over the capacity of
 * the same time (1: more is falling due than can be taken), fundDrawdown as the share of the fund lost in 24 h, utilisation of what backs
 * the market (0.9 = 90 %). WATCH entries by risk models §11; a data feed alone never halts below four heartbeats.
 */
export const DEFAULT_BREAKER: BreakerConfig = {
  entries: {
    staleness: { WATCH: 1.2, RESTRICT: 2, HALT: 4 },
    deviation: { WATCH: 1, RESTRICT: 2, HALT: 4 },
    band: { WATCH: 0.8, RESTRICT: 1, HALT: 2 },
    velocity: { WATCH: 0.5, RESTRICT: 1, HALT: 3 },
    fundDrawdown: { WATCH: 0.1, RESTRICT: 0.2, HALT: 0.5 },
    utilisation: { WATCH: 0.9, RESTRICT: 0.95, HALT: null },
  },
  exitFactor: 0.6,
  confirmations: 2,
  cooldownSec: 1_800,
}

/** What a trigger remembers: the level it holds, and for each level how many observations in a row were at or above its entry. */
export type TriggerMemory = { readonly held: number; readonly streaks: readonly [watch: number, restrict: number, halt: number] }

/** State of one breaker. Plain data: it can be stored and given back. */
export type BreakerState = {
  readonly level: BreakerLevel
  /** Block and chain time of the last observation; −1 before the first. */
  readonly block: number
  readonly timestampSec: number
  /** Chain time since when the level stands. */
  readonly sinceSec: number
  /** Since when no trigger asks for the level; null while one does. */
  readonly quietSinceSec: number | null
  readonly memory: Readonly<Partial<Record<BreakerTrigger, TriggerMemory>>>
}

export const INITIAL_BREAKER_STATE: BreakerState = { level: 'NORMAL', block: -1, timestampSec: 0, sinceSec: 0, quietSinceSec: null, memory: {} }

/** Values of one moment. One observation per block; blocks rise and time does not fall. */
export type BreakerObservation = { readonly block: number; readonly timestampSec: number; readonly values: BreakerValues }

export type BreakerReason = { readonly trigger: BreakerTrigger; readonly level: BreakerLevel; readonly value: number | null; readonly entry: number; readonly exit: number; readonly text: string }

export type BreakerTransition = { readonly from: BreakerLevel; readonly to: BreakerLevel; readonly block: number; readonly timestampSec: number; readonly reasons: readonly BreakerReason[]; readonly why: string }

export type BreakerStep = {
  readonly state: BreakerState
  /** null where the level did not change. */
  readonly transition: BreakerTransition | null
  /** Triggers that hold a level above NORMAL now. */
  readonly reasons: readonly BreakerReason[]
  /** What the level asks of the chain. */
  readonly intents: readonly BreakerIntent[]
}

/** What a breaker may ask of a protocol. Everything here leaves liquidations and withdrawals of free collateral alone. */
export type BreakerAction = 'hold-loosening' | 'narrow-price-band' | 'stop-increasing-risk' | 'stop-collateral-deposits' | 'keep-fund' | 'stop-trading'

export type BreakerIntent = { readonly action: BreakerAction; readonly why: string }

const INTENTS: Readonly<Record<BreakerLevel, readonly BreakerIntent[]>> = {
  NORMAL: [],
  WATCH: [{ action: 'hold-loosening', why: 'a signal is unusual: no parameter is loosened until it is quiet again' }],
  RESTRICT: [
    { action: 'hold-loosening', why: 'a signal is beyond its limit' },
    { action: 'narrow-price-band', why: 'trades further from the index would open positions at prices that the book does not stand for' },
    { action: 'stop-increasing-risk', why: 'positions may shrink and not grow while the price or the backlog cannot be trusted' },
    { action: 'stop-collateral-deposits', why: 'collateral that is valued wrongly must not buy margin' },
    { action: 'keep-fund', why: 'the fund pays nothing out while it may be needed' },
  ],
  HALT: [
    { action: 'hold-loosening', why: 'trading is stopped' },
    { action: 'stop-trading', why: 'no trade at a price that is known to be wrong; liquidations go on' },
    { action: 'stop-collateral-deposits', why: 'collateral that is valued wrongly must not buy margin' },
    { action: 'keep-fund', why: 'the fund pays nothing out while it may be needed' },
  ],
}

/** What a level asks of the chain; nothing in NORMAL. No level asks for less than the one below it protects. */
export const intentsOf = (level: BreakerLevel): readonly BreakerIntent[] => INTENTS[level]

const ENTRY_LEVELS = ['WATCH', 'RESTRICT', 'HALT'] as const

/** Throws BadInputError, naming the field, for a setting that could flap, fall while it should rise, or never trip. */
export function checkBreakerConfig(config: BreakerConfig): void {
  if (!(config.exitFactor > 0 && config.exitFactor < 1)) throw new BadInputError(`Found an exit factor of ${config.exitFactor}, allowed is above 0 and below 1; 0.6 leaves a level at 60 % of its entry`, { field: 'exitFactor' })
  if (!Number.isInteger(config.confirmations) || config.confirmations < 1) throw new BadInputError(`Found ${config.confirmations} confirmations, allowed are whole numbers from 1; 2 ignores a single bad block`, { field: 'confirmations' })
  if (!(config.cooldownSec >= 0) || !Number.isFinite(config.cooldownSec)) throw new BadInputError(`Found a cooldown of ${config.cooldownSec} s, allowed is a number from 0; give seconds`, { field: 'cooldownSec' })
  let any = false
  for (const trigger of BREAKER_TRIGGERS) {
    const entries = config.entries[trigger]
    if (entries === undefined) continue
    let last = 0
    for (const level of ENTRY_LEVELS) {
      const entry = entries[level]
      if (entry === null) continue
      any = true
      if (!(entry > 0) || !Number.isFinite(entry) || entry < last) throw new BadInputError(`${trigger}: found an entry of ${entry} for ${level}, allowed is a number above 0 and at least the entry of the level below, ${last}; order the entries`, { field: `entries.${trigger}.${level}` })
      last = entry
    }
  }
  if (!any) throw new BadInputError('Found no entry for any trigger, allowed is at least one; a breaker without entries never trips', { field: 'entries' })
}

/** Values as people read them: shares as percentages, multiples with two decimals. */
function reasonText(trigger: BreakerTrigger, value: number | null, entry: number, exit: number): string {
  const show = (x: number): string => (trigger === 'fundDrawdown' || trigger === 'utilisation' ? `${(x * 100).toFixed(1)} %` : x.toFixed(2))
  const what = { staleness: 'age of the price in heartbeats', deviation: 'distance from the index in price bands', band: '5-minute move in price bands', velocity: 'liquidations over capacity', fundDrawdown: 'fund lost in 24 h', utilisation: 'utilisation' }[trigger]
  return `${what} is ${value === null ? 'unknown since it passed its limit' : show(value)}, enters at ${show(entry)}, leaves below ${show(exit)}`
}

function remember(memory: TriggerMemory, entries: BreakerEntries, value: number | null, config: BreakerConfig): TriggerMemory {
  // Unknown is no alarm, and no proof of calm either: everything stays as it was.
  if (value === null) return memory
  const streaks = ENTRY_LEVELS.map((level, i) => {
    const entry = entries[level]
    return entry !== null && value >= entry ? Math.min(config.confirmations, (memory.streaks[i] as number) + 1) : 0
  }) as [number, number, number]
  let held = 0
  ENTRY_LEVELS.forEach((level, i) => {
    const entry = entries[level]
    if (entry === null) return
    const stays = memory.held > i && value >= config.exitFactor * entry
    if ((streaks[i] as number) >= config.confirmations || stays) held = i + 1
  })
  return { held, streaks }
}

/**
 * One observation later.
 *
 * Throws BadInputError for a setting that checkBreakerConfig refuses, a value below 0 or not finite, a block that is not above the last
 * one, and time that runs backwards: after a reorg, go on from the state that was stored at the common block.
 */
export function stepBreaker(config: BreakerConfig, state: BreakerState, observation: BreakerObservation): BreakerStep {
  checkBreakerConfig(config)
  const { block, timestampSec, values } = observation
  if (!(block > state.block) || timestampSec < state.timestampSec) {
    throw new BadInputError(`Found block ${block} at ${timestampSec} s after block ${state.block} at ${state.timestampSec} s, allowed are a higher block and time that does not fall; after a reorg go on from the state stored at the common block`, { field: 'block' })
  }
  const memory: Partial<Record<BreakerTrigger, TriggerMemory>> = {}
  const reasons: BreakerReason[] = []
  let demand = 0
  for (const trigger of BREAKER_TRIGGERS) {
    const entries = config.entries[trigger]
    if (entries === undefined) continue
    const value = values[trigger] ?? null
    if (value !== null && !(value >= 0 && Number.isFinite(value))) throw new BadInputError(`${trigger}: found ${value}, allowed is a number from 0, or null where it is unknown; check the signal`, { field: `values.${trigger}` })
    const next = remember(state.memory[trigger] ?? { held: 0, streaks: [0, 0, 0] }, entries, value, config)
    memory[trigger] = next
    demand = Math.max(demand, next.held)
    if (next.held > 0) {
      const level = levelAt(next.held)
      const entry = entries[level as 'WATCH'] as number
      const exit = entry * config.exitFactor
      reasons.push({ trigger, level, value, entry, exit, text: reasonText(trigger, value, entry, exit) })
    }
  }

  const now = severityOf(state.level)
  const kept = { block, timestampSec, memory }
  const finish = (level: BreakerLevel, sinceSec: number, quietSinceSec: number | null, why: string): BreakerStep => ({
    state: { ...kept, level, sinceSec, quietSinceSec },
    transition: level === state.level ? null : { from: state.level, to: level, block, timestampSec, reasons, why },
    reasons,
    intents: intentsOf(level),
  })

  if (demand > now) return finish(levelAt(demand), timestampSec, null, reasons.filter((r) => severityOf(r.level) === demand).map((r) => r.text).join('; '))
  if (demand === now) return finish(state.level, state.sinceSec, null, '')
  const quietSinceSec = state.quietSinceSec ?? timestampSec
  if (state.level === 'HALT' || timestampSec - quietSinceSec < config.cooldownSec) return finish(state.level, state.sinceSec, quietSinceSec, '')
  return finish(levelAt(now - 1), timestampSec, demand < now - 1 ? timestampSec : null, `quiet for ${timestampSec - quietSinceSec} s, the cooldown is ${config.cooldownSec} s`)
}

/**
 * A person lifts a HALT: the breaker goes to RESTRICT, and from there falls by its own cooldowns.
 *
 * Throws BadInputError where nothing is latched, and while a trigger still asks for HALT: the cause has to go first.
 */
export function resetBreaker(state: BreakerState, by: { readonly who: string; readonly why: string; readonly timestampSec: number }): BreakerStep {
  if (state.level !== 'HALT') throw new BadInputError(`Found the breaker in ${state.level}, allowed is HALT; only a latched breaker is reset`)
  const holding = BREAKER_TRIGGERS.filter((trigger) => (state.memory[trigger]?.held ?? 0) === 3)
  if (holding.length > 0) throw new BadInputError(`Found ${holding.join(', ')} still asking for HALT, allowed is a reset once no trigger does; remove the cause first`)
  if (by.who.trim() === '' || by.why.trim() === '') throw new BadInputError('Found a reset without a name or a reason, allowed is one with both; say who lifts the halt and why')
  const timestampSec = Math.max(state.timestampSec, by.timestampSec)
  return {
    state: { ...state, level: 'RESTRICT', sinceSec: timestampSec, quietSinceSec: timestampSec, timestampSec },
    transition: { from: 'HALT', to: 'RESTRICT', block: state.block, timestampSec, reasons: [], why: `lifted by ${by.who}: ${by.why}` },
    reasons: [],
    intents: intentsOf('RESTRICT'),
  }
}

/** All breakers of a protocol: its own, and one per market. */
export type BreakerBoard = { readonly protocol: BreakerState; readonly markets: Readonly<Record<string, BreakerState>> }

export const INITIAL_BREAKER_BOARD: BreakerBoard = { protocol: INITIAL_BREAKER_STATE, markets: {} }

/** One moment of all of them. */
export type BoardObservation = { readonly block: number; readonly timestampSec: number; readonly protocol: BreakerValues; readonly markets: Readonly<Record<string, BreakerValues>> }

export type BoardStep = {
  readonly board: BreakerBoard
  readonly protocol: BreakerStep
  readonly markets: Readonly<Record<string, BreakerStep & { /** The higher of its own level and the protocol's. */ readonly effective: BreakerLevel }>>
}

/**
 * One observation of every breaker. A market stands at the higher of its own level and the protocol's. Markets that the observation does
 * not name keep their state. Throws as stepBreaker does.
 */
export function stepBoard(config: { readonly protocol: BreakerConfig; readonly market: BreakerConfig }, board: BreakerBoard, observation: BoardObservation): BoardStep {
  const { block, timestampSec } = observation
  const protocol = stepBreaker(config.protocol, board.protocol, { block, timestampSec, values: observation.protocol })
  const states: Record<string, BreakerState> = { ...board.markets }
  const markets: Record<string, BoardStep['markets'][string]> = {}
  for (const id of Object.keys(observation.markets).sort()) {
    const step = stepBreaker(config.market, board.markets[id] ?? INITIAL_BREAKER_STATE, { block, timestampSec, values: observation.markets[id] as BreakerValues })
    const effective = moreSevere(step.state.level, protocol.state.level)
    states[id] = step.state
    markets[id] = { ...step, effective, intents: intentsOf(effective) }
  }
  return { board: { protocol: protocol.state, markets: states }, protocol, markets }
}

/** What a market shows at one moment; null is unknown. */
export type MarketMoment = {
  /** Age of the oracle's last price and what its heartbeat allows, s. */
  readonly oracleAgeSec: number | null
  readonly heartbeatSec: number
  /** |market − index| / index, and the band that is usual (fractions). */
  readonly deviation: number | null
  readonly priceBand: number | null
  /** |price / price five minutes ago − 1|. */
  readonly move5Min: number | null
  /** Notional liquidated in a window and what could be taken in the same window, quote. */
  readonly liquidatedNotional: number | null
  readonly liquidationCapacity: number | null
  /** Share of what backs the market that is used, in [0, …). */
  readonly utilisation: number | null
}

const over = (a: number | null, b: number | null): number | null => (a === null || b === null || !(b > 0) ? null : a / b)

/** A market's signals in the units of DEFAULT_BREAKER; unknown where either side is. A capacity of 0 with liquidations due is reported as 1e9. */
export function marketValues(m: MarketMoment): BreakerValues {
  return {
    staleness: over(m.oracleAgeSec, m.heartbeatSec),
    deviation: over(m.deviation, m.priceBand),
    band: over(m.move5Min, m.priceBand),
    velocity: m.liquidationCapacity === 0 && m.liquidatedNotional !== null ? (m.liquidatedNotional > 0 ? 1e9 : 0) : over(m.liquidatedNotional, m.liquidationCapacity),
    utilisation: m.utilisation,
  }
}

/** Share of the fund lost since its highest value in the window: max(0, 1 − now / peak); null without a peak above 0. Values in any one unit. */
export function fundDrawdown(now: number, windowValues: readonly number[]): number | null {
  const peak = Math.max(now, ...windowValues)
  return peak > 0 ? Math.min(1, Math.max(0, 1 - now / peak)) : null
}

/** Signals of one moment. null is unknown and raises no alarm by itself. */
export type BreakerSignals = {
  /** Age of the oracle's last price, s, and what the feed's heartbeat allows. */
  readonly oracleAgeSec: number | null
  readonly heartbeatSec: number
  /** |market − index| / index. */
  readonly deviation: number | null
  /** Deviation that counts as unusual: k·σ_5min. */
  readonly deviationLimit: number | null
  /** The feed refuses its source or has fallen back to another. */
  readonly oracleImpaired: boolean
}

/**
 * WATCH when the oracle is older than 1.2 heartbeats, impaired, or the market is further from it than the limit; with each reason in words.
 *
 * Memoryless: what one block shows, for evidence that has to be the same from the same inputs. What acts needs stepBreaker's memory.
 */
export function breakerLevel(signals: BreakerSignals): { level: 'NORMAL' | 'WATCH'; reasons: string[] } {
  const reasons: string[] = []
  if (signals.oracleAgeSec !== null && signals.oracleAgeSec > 1.2 * signals.heartbeatSec) reasons.push(`the oracle price is ${signals.oracleAgeSec} s old, limit ${Math.round(1.2 * signals.heartbeatSec)} s`)
  if (signals.oracleImpaired) reasons.push('the oracle refuses its source or has fallen back')
  if (signals.deviation !== null && signals.deviationLimit !== null && signals.deviation > signals.deviationLimit) {
    reasons.push(`the market is ${(signals.deviation * 100).toFixed(2)} % off the index, limit ${(signals.deviationLimit * 100).toFixed(2)} %`)
  }
  return { level: reasons.length === 0 ? 'NORMAL' : 'WATCH', reasons }
}

