import { BadInputError } from '../../core/errors.ts'

/** A liquidation penalty and what it must pay for, fractions of the liquidated notional. */
export type LiquidationPenalty = {
  /** Recommended penalty, after the cap. */
  readonly penalty: number
  /** What keepers need before the cap. */
  readonly needed: number
  readonly cap: number
  /** True where the need is above the cap: keepers may not come. */
  readonly capped: boolean
  readonly components: readonly { readonly name: string; readonly value: number }[]
}

/**
 * Penalty that pays a keeper for what liquidating costs, below half of the maintenance margin.
 *
 * cost = impact + gas / notional + trading fee + z·σ_bar·√(latency / barSec); penalty = cost·(1 + margin) / keeperShare, at most mm·capShare.
 * Fractions of notional; gas and notional in quote, notional > 0; keeperShare in (0, 1] is the part of the penalty that the keeper gets.
 * Above half of the maintenance margin the penalty eats the equity that is left when liquidation begins.
 */
export function liquidationPenalty(input: {
  impact: number
  tradingFee: number
  gasCost: number
  notional: number
  z: number
  sigmaPerBar: number
  barSec: number
  latencySec: number
  keeperShare: number
  profitMargin: number
  maintenanceMargin: number
  capShare: number
}): LiquidationPenalty {
  const { impact, tradingFee, gasCost, notional, z, sigmaPerBar, barSec, latencySec, keeperShare, profitMargin, maintenanceMargin, capShare } = input
  if (!(notional > 0) || !(keeperShare > 0 && keeperShare <= 1) || !(maintenanceMargin > 0)) {
    throw new BadInputError(`Found notional ${notional}, keeper share ${keeperShare}, maintenance margin ${maintenanceMargin}, allowed are numbers above 0 (share up to 1); check the book`)
  }
  const components = [
    { name: 'impact', value: impact },
    { name: 'trading fee', value: tradingFee },
    { name: 'gas', value: gasCost / notional },
    { name: 'latency', value: z * sigmaPerBar * Math.sqrt(latencySec / barSec) },
  ]
  const needed = (components.reduce((total, c) => total + c.value, 0) * (1 + profitMargin)) / keeperShare
  const cap = maintenanceMargin * capShare
  return { penalty: Math.min(needed, cap), needed, cap, capped: needed > cap, components }
}
