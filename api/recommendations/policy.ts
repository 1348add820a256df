/**
 * The numbers that a DAO decides and no statistic can: horizons, safety factors, how far and how fast a parameter may move.
 * They are part of a run's inputs, so that an old recommendation is recomputed under its own policy.
 */

/** How one parameter may move. Raw values are decimal strings in the parameter's unit; `Rel` is a share of the current value. */
export type ParameterPolicy = {
  readonly min: string
  readonly max: string
  /** Largest step: the larger of the share and the raw amount. */
  readonly tightenRel: number
  readonly loosenRel: number
  readonly stepFloor: string
  /** Smallest step worth a transaction: the larger of the share and the raw amount. */
  readonly deadbandRel: number
  readonly deadbandFloor: string
  readonly tightenCooldownSec: number
  readonly loosenCooldownSec: number
  readonly quantum: string
}

export type Policy = {
  readonly version: string
  /** Grid of the price series, and how far back it goes. */
  readonly barSec: number
  readonly windowSec: number
  /** Returns over a longer gap are an outage of the feed. */
  readonly maxGapSec: number
  /** Weights of the EWMA halve in this time. */
  readonly halfLifeSec: number
  readonly level: number
  /** Normal quantile of `level`. */
  readonly z: number
  readonly heartbeatSec: number
  readonly band: { readonly k: number; readonly floor: number; readonly spreadQuantile: number; readonly spreadFactor: number; readonly minTrades: number }
  readonly collateral: { readonly horizonHours: number; readonly stressWeight: number; readonly floor: number; readonly assumedDailyVolumeUsd: number }
  readonly penalty: { readonly latencySec: number; readonly gasCostUsd: number; readonly keeperShare: number; readonly profitMargin: number; readonly capShare: number; readonly sizeQuantile: number }
  readonly fund: {
    readonly kappa: number
    readonly fillDays: number
    readonly maxImpact: number
    /** The fund's simulated shortfall, and when it is run again: at an age, or when open interest or a volatility has moved by a share. */
    readonly simulation: { readonly paths: number; readonly hours: number; readonly seed: number; readonly level: number; readonly confidence: number; readonly refreshSec: number; readonly bookMove: number; readonly volatilityMove: number }
  }
  /** `reactionSec`: what the initial margin carries beyond the liquidation's own time; `refillSec`: how long a pool takes to be as deep again. */
  readonly margin: { readonly reactionSec: number; readonly refillSec: number; readonly assumedLiquidationSec: number; readonly buffer: number; readonly minRatio: number; readonly min: number; readonly max: number; readonly sizeQuantile: number }
  readonly parameters: Readonly<Record<string, ParameterPolicy>>
}

const HOUR = 3_600
const DAY = 86_400

export const DEFAULT_POLICY: Policy = {
  version: '2',
  barSec: 300,
  windowSec: 30 * DAY,
  maxGapSec: HOUR,
  halfLifeSec: DAY,
  level: 0.99,
  z: 2.326,
  heartbeatSec: 1_200,
  // Six volatilities as in risk models §11; below 2 % the band would stop trades that a feed's own deviation threshold causes.
  band: { k: 6, floor: 0.02, spreadQuantile: 0.95, spreadFactor: 1.5, minTrades: 100 },
  // The chain does not know how much of a collateral the rest of the world trades: assumed, and named in the evidence.
  collateral: { horizonHours: 1, stressWeight: 0.25, floor: 0.1, assumedDailyVolumeUsd: 500_000_000 },
  // Half of the penalty goes to the keeper, the rest to the insurance fund. A keeper may take a part at a time, so it must pay for the
  // middle position; margins must cover the largest ones.
  penalty: { latencySec: 60, gasCostUsd: 0.5, keeperShare: 0.5, profitMargin: 0.1, capShare: 0.5, sizeQuantile: 0.5 },
  // 99.9 % of 10,000 days, seeded: the same book and prices give the same bytes.
  fund: { kappa: 0.01, fillDays: 90, maxImpact: 0.25, simulation: { paths: 10_000, hours: 24, seed: 1, level: 0.999, confidence: 0.95, refreshSec: 6 * HOUR, bookMove: 0.1, volatilityMove: 0.2 } },
  // Arbitrage is not in the index's facts: how fast a pool fills again is assumed, and named in the evidence.
  margin: { reactionSec: 3 * HOUR, refillSec: 600, assumedLiquidationSec: HOUR, buffer: 0.25, minRatio: 1.3, min: 0.02, max: 0.5, sizeQuantile: 0.95 },
  parameters: {
    marketMaxPriceSpreadRatio: { min: '10000', max: '200000', tightenRel: 0.5, loosenRel: 0.25, stepFloor: '5000', deadbandRel: 0.1, deadbandFloor: '2000', tightenCooldownSec: 6 * HOUR, loosenCooldownSec: 2 * DAY, quantum: '1000' },
    maxTickCrossedWithinBlock: { min: '50', max: '1000', tightenRel: 0.5, loosenRel: 0.25, stepFloor: '50', deadbandRel: 0.1, deadbandFloor: '20', tightenCooldownSec: 6 * HOUR, loosenCooldownSec: 2 * DAY, quantum: '10' },
    collateralRatio: { min: '300000', max: '950000', tightenRel: 0.1, loosenRel: 0.03, stepFloor: '20000', deadbandRel: 0.01, deadbandFloor: '10000', tightenCooldownSec: DAY, loosenCooldownSec: 7 * DAY, quantum: '5000' },
    liquidationPenaltyRatio: { min: '5000', max: '100000', tightenRel: 0.25, loosenRel: 0.2, stepFloor: '2500', deadbandRel: 0.1, deadbandFloor: '1000', tightenCooldownSec: 2 * DAY, loosenCooldownSec: 7 * DAY, quantum: '500' },
    distributionThreshold: { min: '10000000000', max: '1000000000000000', tightenRel: 1, loosenRel: 0.2, stepFloor: '50000000000', deadbandRel: 0.1, deadbandFloor: '5000000000', tightenCooldownSec: DAY, loosenCooldownSec: 14 * DAY, quantum: '10000000000' },
    insuranceFundFeeRatio: { min: '50000', max: '500000', tightenRel: 0.5, loosenRel: 0.2, stepFloor: '25000', deadbandRel: 0.1, deadbandFloor: '10000', tightenCooldownSec: DAY, loosenCooldownSec: 7 * DAY, quantum: '5000' },
    imRatio: { min: '20000', max: '500000', tightenRel: 0.25, loosenRel: 0.2, stepFloor: '5000', deadbandRel: 0.1, deadbandFloor: '2000', tightenCooldownSec: DAY, loosenCooldownSec: 14 * DAY, quantum: '1000' },
    mmRatio: { min: '10000', max: '400000', tightenRel: 0.25, loosenRel: 0.2, stepFloor: '5000', deadbandRel: 0.1, deadbandFloor: '2000', tightenCooldownSec: DAY, loosenCooldownSec: 14 * DAY, quantum: '1000' },
  },
}
