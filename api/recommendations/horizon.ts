/** How long a position of a market takes to be gone once it should be, from what the index has seen. Pure. */
import { depthWithin, liquidationTime, quantile, type LiquidationHorizon } from '../risk/index.ts'
import type { MarketFacts, RunContext } from './context.ts'

const LN_TICK = Math.log(1.0001)

/** One part of the horizon, s. MEASURED in the index; ASSUMED by policy where the index holds too little. `why`: where the number comes from. */
export type HorizonPart = { readonly name: keyof LiquidationHorizon; readonly value: number; readonly origin: 'MEASURED' | 'ASSUMED'; readonly why: string }

/** Quote that a market's ranges take at once, the thinner side, until the price has moved by `move` (fraction); null where its price is unknown. */
export function depthOf(facts: MarketFacts, move: number): number | null {
  if (facts.indexPrice === null) return null
  const { quoteUp, quoteDown } = depthWithin(facts.ranges, Math.sqrt(facts.indexPrice), Math.log1p(move) / LN_TICK)
  return Math.min(quoteUp, quoteDown)
}

/** What a pool takes in an hour for at most the keeper's share of the penalty, quote: moving the price by the penalty costs half of it on average. */
export const capacityPerHour = (facts: MarketFacts, penalty: number, refillSec: number): number => ((depthOf(facts, penalty) ?? 0) * 3_600) / refillSec

const whole = (value: number): string => value.toFixed(0)

/** Size of the position that margins must carry: the policy's quantile of the market's open positions, quote; null without any. */
export const carriedSize = (context: RunContext, facts: MarketFacts): number | null => (facts.notionals.length === 0 ? null : quantile(facts.notionals, context.policy.margin.sizeQuantile))

/**
 * Age of the oracle's price + detection + time to liquidate, each from the index where it holds enough.
 * Throws SampleTooSmallError where the liquidation penalty is not indexed.
 */
export function horizonParts(context: RunContext, facts: MarketFacts): readonly HorizonPart[] {
  const { policy, inputs } = context
  const { margin, penalty } = policy
  const { timing } = inputs
  const part = (name: HorizonPart['name'], measured: { value: number; why: string } | null, assumed: { value: number; why: string }): HorizonPart =>
    measured === null ? { name, ...assumed, origin: 'ASSUMED' } : { name, ...measured, origin: 'MEASURED' }
  const gaps = timing.oracles.find((one) => one.feed === facts.input.oracle?.feed)?.gapSec ?? null
  const { detectionSec, liquidationSec } = timing
  const size = carriedSize(context, facts)
  const depth = depthOf(facts, context.protocolRatio(context.names.liquidationPenalty))
  const through = size === null || depth === null || !(depth > 0) ? null : liquidationTime({ notional: size, depth, refillSec: margin.refillSec })
  return [
    part('oracleAgeSec', gaps && { value: gaps.p95, why: `95 % of ${gaps.observations} gaps between two prices of the feed were shorter` }, { value: policy.heartbeatSec, why: 'fewer than 5 gaps between prices were seen; the policy’s heartbeat stands in' }),
    part('detectionSec', detectionSec && { value: detectionSec.p95, why: `95 % of ${detectionSec.observations} liquidations came sooner after the index price made them due` }, { value: penalty.latencySec, why: 'fewer than 5 liquidations could be timed; the policy’s latency stands in' }),
    part(
      'liquidationSec',
      through === null
        ? liquidationSec && { value: liquidationSec.p95, why: `95 % of ${liquidationSec.observations} accounts were liquidated within it; the depth is not known` }
        : { value: Math.max(through, liquidationSec?.p95 ?? 0), why: `a position of ${whole(size ?? 0)} (${margin.sizeQuantile * 100} % are smaller) through ${whole(depth ?? 0)} of depth that is assumed to be there again every ${margin.refillSec} s` },
      { value: margin.assumedLiquidationSec, why: 'neither depth nor liquidations are indexed; the policy’s time stands in' },
    ),
  ]
}

/** The parts as the models take them. */
export const horizonOf = (parts: readonly HorizonPart[]): LiquidationHorizon => {
  const at = (name: HorizonPart['name']): number => parts.find((part) => part.name === name)?.value ?? 0
  return { oracleAgeSec: at('oracleAgeSec'), detectionSec: at('detectionSec'), liquidationSec: at('liquidationSec') }
}
