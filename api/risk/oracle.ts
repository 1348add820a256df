/** Health of a price feed: how old, how far off, why it may not be trusted, and what its silence can cost. */
import { BadInputError } from '../../core/errors.ts'
import { normalCdf, normalPdf } from './distributions.ts'

const YEAR_SEC = 31_536_000

/**
 * Price move that a stale oracle can hide: z·σ_ann·√(age / year), as a fraction.
 *
 * σ per year (0.6 = 60 %), age ≥ 0 s. (z 3, 60 %, 3600 s) gives 1.923 %. Source: risk models §11.
 */
export const stalenessLoss = (z: number, sigmaPerYear: number, ageSec: number): number => z * sigmaPerYear * Math.sqrt(ageSec / YEAR_SEC)

/**
 * What positions opened or kept at a stale price are expected to lose beyond their margin, as a share of notional:
 *   E[(|r| − m)⁺] / 2 = s·φ(m/s) − m·Φ(−m/s), r ~ N(0, s²), s = σ_ann·√(age / year)
 *
 * One side of the book loses at a time, so this is per unit of open interest on either side. `margin` m ≥ 0 is what stands before the loss
 * (the maintenance margin; 0 for all of the move). σ ≥ 0 per year, age ≥ 0 s; 0 where either is 0.
 * Source: Bachelier, Théorie de la spéculation, 1900 (expected excess of a normal move); the normal stands for minutes, not for crashes.
 */
export function expectedStalenessLoss(p: { sigmaPerYear: number; ageSec: number; margin: number }): number {
  const { sigmaPerYear, ageSec, margin } = p
  if (![sigmaPerYear, ageSec, margin].every((x) => x >= 0 && Number.isFinite(x))) throw new BadInputError(`Found volatility ${sigmaPerYear}, age ${ageSec} s and margin ${margin}, allowed are numbers from 0; check the feed`)
  const s = sigmaPerYear * Math.sqrt(ageSec / YEAR_SEC)
  return s === 0 ? 0 : Math.max(0, s * normalPdf(margin / s) - margin * normalCdf(-margin / s))
}

/** Why a feed keeps its last price instead of its source's, by the number that it emits (IChainlinkPriceFeedV3.FreezedReason). */
export const FREEZE_REASONS = ['not frozen', 'no response', 'incorrect decimals', 'no round id', 'invalid timestamp', 'price not positive'] as const

/** A feed at one moment; null is unknown or not applicable. */
export type OracleObservation = {
  readonly nowSec: number
  readonly priceTimestampSec: number | null
  readonly price: number | null
  /** The same price elsewhere: the market's own, or a second feed's. */
  readonly referencePrice: number | null
  /** Index into FREEZE_REASONS. */
  readonly freezeReason: number
  /** True where the feed has gone over to its second source. */
  readonly fallback: boolean
  /** Half-width of the source's own confidence interval over the price. */
  readonly confidence: number | null
  /** Time since the sequencer came back up; null where it never was down or there is none. */
  readonly sequencerUpForSec: number | null
  /** Rounds that the source skipped since the last price. */
  readonly skippedRounds: number | null
}

export type OracleConfig = {
  readonly heartbeatSec: number
  /** Late from this share of the heartbeat on; 1.2. */
  readonly lateFactor: number
  /** After this age the feed itself gives up; null where it has no timeout. */
  readonly timeoutSec: number | null
  /** Volatilities of a 5-minute bar that the reference may lie away, and that volatility. */
  readonly k: number
  readonly sigma5Min: number | null
  readonly maxConfidence: number
  readonly sequencerGraceSec: number
  /** For the losses: multiple of σ, σ per year, margin in front, and open interest of the larger side in quote. */
  readonly z: number
  readonly sigmaPerYear: number | null
  readonly margin: number
  readonly openInterest: number
}

/** Limits of risk models §11; the feed's own numbers are the caller's. */
export const DEFAULT_ORACLE: Omit<OracleConfig, 'heartbeatSec' | 'timeoutSec' | 'sigma5Min' | 'sigmaPerYear' | 'margin' | 'openInterest'> = { lateFactor: 1.2, k: 6, maxConfidence: 0.01, sequencerGraceSec: 3_600, z: 3 }

export type OracleFlag = { readonly flag: 'NO_PRICE' | 'LATE' | 'TIMED_OUT' | 'DEVIATION' | 'FROZEN' | 'FALLBACK' | 'WIDE_CONFIDENCE' | 'SEQUENCER_GRACE' | 'SKIPPED_ROUNDS' | 'FROM_THE_FUTURE'; readonly severity: 'WARN' | 'FAIL'; readonly text: string }

export type OracleHealth = {
  readonly status: 'OK' | 'WARN' | 'FAIL'
  readonly ageSec: number | null
  /** age / heartbeat. */
  readonly heartbeats: number | null
  /** (price − reference) / reference, signed fraction. */
  readonly deviation: number | null
  readonly deviationLimit: number | null
  readonly freezeReason: (typeof FREEZE_REASONS)[number]
  /** Move that the age can hide at z volatilities, fraction; null without a volatility. */
  readonly stalenessLoss: number | null
  /** Expected loss beyond margin at this age, quote, on the larger side; null likewise. */
  readonly expectedLoss: number | null
  readonly flags: readonly OracleFlag[]
}

const percent = (x: number): string => `${(x * 100).toFixed(2)} %`

/**
 * What is wrong with a feed, in flags with numbers, and what its age may cost.
 *
 * FAIL: the price must not decide anything (none, timed out, frozen, from the future). WARN: it may still be right (late, far off, on its
 * fallback, wide, after an outage, rounds skipped). A fallback of Curie's dispatcher is for good: it never returns by itself.
 * Throws BadInputError for a heartbeat at or below 0 or an unknown freeze reason. Source: risk models §1.5 and §11; Pyth, best practices
 * (confidence 1 %); Chainlink, L2 sequencer uptime feeds (grace 3600 s).
 */
export function oracleHealth(observation: OracleObservation, config: OracleConfig): OracleHealth {
  const { heartbeatSec } = config
  if (!(heartbeatSec > 0)) throw new BadInputError(`Found a heartbeat of ${heartbeatSec} s, allowed is above 0; give the feed's heartbeat`, { field: 'heartbeatSec' })
  const freezeReason = FREEZE_REASONS[observation.freezeReason]
  if (freezeReason === undefined) throw new BadInputError(`Found freeze reason ${observation.freezeReason}, allowed is 0 to ${FREEZE_REASONS.length - 1}; check the feed's status`, { field: 'freezeReason' })

  const flags: OracleFlag[] = []
  const flag = (name: OracleFlag['flag'], severity: OracleFlag['severity'], text: string): void => void flags.push({ flag: name, severity, text })
  const age = observation.priceTimestampSec === null ? null : observation.nowSec - observation.priceTimestampSec
  const ageSec = age === null ? null : Math.max(0, age)
  if (observation.price === null || !(observation.price > 0) || ageSec === null) flag('NO_PRICE', 'FAIL', 'the feed has no price above 0')
  if (age !== null && age < 0) flag('FROM_THE_FUTURE', 'FAIL', `the price is dated ${-age} s after the block`)
  if (ageSec !== null && config.timeoutSec !== null && ageSec > config.timeoutSec) flag('TIMED_OUT', 'FAIL', `the price is ${ageSec} s old, the feed gives up after ${config.timeoutSec} s`)
  const lateSec = config.lateFactor * heartbeatSec
  if (ageSec !== null && ageSec > lateSec) flag('LATE', 'WARN', `the price is ${ageSec} s old, due every ${heartbeatSec} s and late after ${Math.round(lateSec)} s`)
  if (observation.freezeReason !== 0) flag('FROZEN', 'FAIL', `the feed keeps its last price: ${freezeReason}`)
  if (observation.fallback) flag('FALLBACK', 'WARN', 'the feed is on its second source and does not return by itself')

  const deviation = observation.price === null || observation.referencePrice === null || !(observation.referencePrice > 0) ? null : observation.price / observation.referencePrice - 1
  const deviationLimit = config.sigma5Min === null ? null : config.k * config.sigma5Min
  if (deviation !== null && deviationLimit !== null && Math.abs(deviation) > deviationLimit) flag('DEVIATION', 'WARN', `the price is ${percent(deviation)} off its reference, usual are up to ${percent(deviationLimit)} (${config.k} five-minute volatilities)`)
  if (observation.confidence !== null && observation.confidence > config.maxConfidence) flag('WIDE_CONFIDENCE', 'WARN', `the source is sure to ${percent(observation.confidence)} only, allowed is ${percent(config.maxConfidence)}`)
  if (observation.sequencerUpForSec !== null && observation.sequencerUpForSec < config.sequencerGraceSec) flag('SEQUENCER_GRACE', 'WARN', `the sequencer is back for ${observation.sequencerUpForSec} s, prices settle within ${config.sequencerGraceSec} s`)
  if (observation.skippedRounds !== null && observation.skippedRounds > 0) flag('SKIPPED_ROUNDS', 'WARN', `${observation.skippedRounds} rounds were skipped before this price`)

  const sigma = config.sigmaPerYear
  return {
    status: flags.some((f) => f.severity === 'FAIL') ? 'FAIL' : flags.length > 0 ? 'WARN' : 'OK',
    ageSec,
    heartbeats: ageSec === null ? null : ageSec / heartbeatSec,
    deviation,
    deviationLimit,
    freezeReason,
    stalenessLoss: ageSec === null || sigma === null ? null : stalenessLoss(config.z, sigma, ageSec),
    expectedLoss: ageSec === null || sigma === null ? null : config.openInterest * expectedStalenessLoss({ sigmaPerYear: sigma, ageSec, margin: config.margin }),
    flags,
  }
}
