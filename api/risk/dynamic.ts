import { BadInputError } from '../../core/errors.ts'
import { forecastBasis, forecastRisk, type ForecastBasis, type RiskForecast, type VolatilityModel } from './forecast.ts'
import type { GarchSummary } from './garch.ts'
import { dynamicMargin, type DynamicMargin } from './margin.ts'
import type { Returns } from './series.ts'

/** Time that a position takes to be gone once it should be, s; each part measured or set elsewhere. */
export type LiquidationHorizon = {
  /** Age of the oracle’s price when it is acted on. */
  readonly oracleAgeSec: number
  /** From liquidatable on chain to the first liquidation. */
  readonly detectionSec: number
  /** From the first to the last part of the position. */
  readonly liquidationSec: number
}

/** Sum of the parts, s. Throws BadInputError for a part below 0 or a sum of 0. */
export function horizonSec(horizon: LiquidationHorizon): number {
  const { oracleAgeSec, detectionSec, liquidationSec } = horizon
  for (const [field, value] of Object.entries({ oracleAgeSec, detectionSec, liquidationSec })) {
    if (!(value >= 0) || !Number.isFinite(value)) throw new BadInputError(`${field}: found ${value}, allowed are seconds from 0; measure it from blocks and liquidations`, { field })
  }
  const sum = oracleAgeSec + detectionSec + liquidationSec
  if (sum === 0) throw new BadInputError('Found a liquidation horizon of 0 s, allowed is at least one part above 0; no position is gone at once')
  return sum
}

/**
 * Time to liquidate through the depth there is: T = ⌈Q / depth⌉·refill.
 *
 * Q notional of the position, `depth` what the market takes at once at an acceptable price (both in one unit, depth > 0), `refillSec` until it
 * takes as much again. Source: risk models §2.1 (Synthetix’s liquidation windows: ⌈size / windowAmount⌉·window), the same for a pool’s depth.
 */
export function liquidationTime(input: { notional: number; depth: number; refillSec: number }): number {
  const { notional, depth, refillSec } = input
  if (!(notional >= 0) || !(depth > 0) || !(refillSec >= 0)) throw new BadInputError(`Found a notional of ${notional} against a depth of ${depth} every ${refillSec} s, allowed are numbers from 0 with a depth above 0; check the market's liquidity`)
  return Math.ceil(notional / depth) * refillSec
}

/** Expected shortfalls that margins are made of, fraction of notional, worse side: at today's volatility and at the whole sample's. */
export type LiquidationShortfalls = {
  readonly initialNow: number
  readonly initialLongRun: number
  readonly maintenanceNow: number
  readonly maintenanceLongRun: number
  /** The one at today's volatility over the liquidation horizon. */
  readonly forecast: RiskForecast
}

/** Expected shortfall of the worse side by filtered historical simulation, over both horizons (s, above 0). Throws like `forecastRisk`. */
export function liquidationShortfalls(basis: ForecastBasis, options: { readonly level: number; readonly liquidationSec: number; readonly initialHorizonSec: number }): LiquidationShortfalls {
  const { longRun } = basis.path
  const of = (sec: number, sigmaPerBar: number | null): RiskForecast => {
    const sides = (['down', 'up'] as const).map((side) =>
      forecastRisk(basis, { shape: 'filtered', level: options.level, horizonBars: sec / basis.returns.barSec, side, ...(sigmaPerBar === null ? {} : { sigmaPerBar }) }),
    )
    return sides.reduce((a, b) => (b.expectedShortfall > a.expectedShortfall ? b : a))
  }
  const forecast = of(options.liquidationSec, null)
  return {
    initialNow: of(options.initialHorizonSec, null).expectedShortfall,
    initialLongRun: of(options.initialHorizonSec, longRun).expectedShortfall,
    maintenanceNow: forecast.expectedShortfall,
    maintenanceLongRun: of(options.liquidationSec, longRun).expectedShortfall,
    forecast,
  }
}

/** What a volatility-dynamic margin is computed from. */
export type VolatilityMarginInput = {
  readonly returns: Returns
  readonly volatility: VolatilityModel
  readonly level: number
  /** How long a position runs beyond its maintenance margin. */
  readonly horizon: LiquidationHorizon
  /** Time more that the initial margin must carry: until an owner can react, s. */
  readonly reactionSec: number
  /** Cost of closing the largest position that counts, fraction of notional. */
  readonly impact: number
  readonly penalty: number
  /** EMIR’s 0.25 on top of the initial margin’s shortfall. */
  readonly buffer: number
  /** Least initial over maintenance margin; 1.3. */
  readonly minRatio: number
  /** Bounds of the initial margin before impact. */
  readonly min: number
  readonly max: number
}

/** Margins of one market with everything that they are made of. Fractions of notional. */
export type VolatilityMargin = DynamicMargin & {
  readonly model: 'volatility-margin'
  readonly version: '1'
  /** Long or short side, whichever loses more. */
  readonly side: RiskForecast['side']
  readonly horizonSec: number
  readonly initialHorizonSec: number
  /** Parts of the maintenance margin; they add up to it. */
  readonly components: readonly { readonly name: 'expected shortfall' | 'impact' | 'penalty'; readonly value: number }[]
  /** The forecast at today’s volatility over the liquidation horizon, of the worse side. */
  readonly forecast: RiskForecast
  readonly fit: GarchSummary | null
  readonly warnings: readonly string[]
}

/**
 * Initial and maintenance margin of a market from the expected shortfall over the time that a liquidation takes.
 *
 * MM = max(ES now, ES at long-run volatility)(h) + impact + penalty with h = oracle age + detection + time to liquidate;
 * IM = clamp(max(ES at long run, (1 + buffer)·ES now)(h + reaction), min, max) + impact, at least minRatio·MM; each of the worse side, by filtered
 * historical simulation. Grows with volatility, horizon, impact and penalty. The value is not smoothed: steps, hysteresis and cooldown are the
 * controller’s. Throws SampleTooSmallError and ModelFitError like `forecastBasis` and `forecastRisk`, BadInputError for parts below 0.
 * Source: risk models §7 and §8; Commission Delegated Regulation (EU) 153/2013, art. 28(1)(a) and (c).
 */
export function volatilityMargin(input: VolatilityMarginInput): VolatilityMargin {
  const { returns, volatility, level, impact, penalty, buffer, minRatio, min, max, reactionSec } = input
  if (!(reactionSec >= 0) || !Number.isFinite(reactionSec)) throw new BadInputError(`reactionSec: found ${reactionSec}, allowed are seconds from 0; give owners time to act`, { field: 'reactionSec' })
  const liquidationSec = horizonSec(input.horizon)
  const initialHorizonSec = liquidationSec + reactionSec
  const { forecast, ...shortfalls } = liquidationShortfalls(forecastBasis(returns, volatility), { level, liquidationSec, initialHorizonSec })
  const result = dynamicMargin({ ...shortfalls, impact, penalty, buffer, minRatio, min, max })
  const warnings = [...forecast.warnings]
  if (penalty > result.maintenance / 2) warnings.push('the penalty is more than half of the maintenance margin: it eats what is left when a liquidation begins')
  if (result.maintenance >= 1) warnings.push('the maintenance margin is all of the notional: the market is too thin or too wild for leverage')
  return {
    ...result,
    model: 'volatility-margin',
    version: '1',
    side: forecast.side,
    horizonSec: liquidationSec,
    initialHorizonSec,
    components: [
      { name: 'expected shortfall', value: result.maintenanceShortfall },
      { name: 'impact', value: impact },
      { name: 'penalty', value: penalty },
    ],
    forecast,
    fit: forecast.fit,
    warnings,
  }
}
