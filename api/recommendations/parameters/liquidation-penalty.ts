import { fromFloat } from '../../../core/units.ts'
import { liquidationPenalty, quantile, SampleTooSmallError } from '../../risk/index.ts'
import { leastConfident, type Confidence } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'

type MarketNeed = { readonly symbol: string; readonly impact: number; readonly method: string; readonly tradingFee: number; readonly notional: number; readonly positions: number; readonly sigmaPerBar: number; readonly confidence: Confidence }

type Data = {
  readonly markets: readonly MarketNeed[]
  readonly maintenanceMargin: number
  readonly barSec: number
  readonly z: number
  readonly latencySec: number
  readonly gasCostUsd: number
  readonly keeperShare: number
  readonly profitMargin: number
  readonly capShare: number
  readonly sizeQuantile: number
}

register<Data>({
  parameter: 'liquidationPenaltyRatio',
  model: 'keeper-cost',
  version: '2',
  tightWay: 'up',
  prepare: (context, parameter) => {
    const { penalty, barSec, z } = context.policy
    const markets: MarketNeed[] = []
    for (const facts of context.markets) {
      if (!facts.input.open || facts.notionals.length === 0) continue
      const found = context.volatility(facts.input.oracle?.feed ?? null, facts.input.symbol)
      const notional = quantile(facts.notionals, penalty.sizeQuantile)
      const closing = context.closingCost(facts, notional)
      if (closing === null) throw new SampleTooSmallError({ statistic: `cost of closing in ${facts.input.symbol}`, found: 0, needed: 1 })
      markets.push({
        symbol: facts.input.symbol,
        impact: closing.cost,
        method: closing.method,
        tradingFee: context.ratio(context.names.tradingFee, facts.input.id),
        notional,
        positions: facts.notionals.length,
        sigmaPerBar: Math.max(found.now, found.longRun),
        confidence: context.confidence(facts.input.oracle?.feed ?? null, facts.alarm),
      })
    }
    if (markets.length === 0) throw new SampleTooSmallError({ statistic: 'open positions', found: 0, needed: 1 })
    return {
      markets,
      maintenanceMargin: context.ratio(context.names.maintenanceMargin, parameter.subject),
      barSec,
      z,
      latencySec: penalty.latencySec,
      gasCostUsd: penalty.gasCostUsd,
      keeperShare: penalty.keeperShare,
      profitMargin: penalty.profitMargin,
      capShare: penalty.capShare,
      sizeQuantile: penalty.sizeQuantile,
    }
  },
  evaluate: (data, parameter) => {
    const needs = data.markets.map((market) => ({ market, result: liquidationPenalty({ ...data, impact: market.impact, tradingFee: market.tradingFee, gasCost: data.gasCostUsd, notional: market.notional, sigmaPerBar: market.sigmaPerBar }) }))
    const worst = needs.reduce((a, b) => (b.result.needed > a.result.needed ? b : a))
    const { market, result } = worst
    const largest = result.components.reduce((a, b) => (b.value > a.value ? b : a))
    return {
      raw: fromFloat(result.penalty, parameter.decimals, 'floor'),
      value: result.penalty,
      because: `a keeper who closes ${money(market.notional, 'USD')} in ${market.symbol} needs a penalty of ${percent(result.needed)}, for ${largest.name} of ${percent(largest.value)} above all${result.capped ? ` (at most ${percent(result.cap)} is asked for, ${percent(data.capShare)} of the maintenance margin)` : ''}`,
      evidence: [
        ...result.components.map((c) => ({
          label: `Cost: ${c.name}`,
          value: percent(c.value),
          unit: 'of notional',
          source: c.name === 'impact' ? market.method : c.name === 'trading fee' ? `${market.symbol}’s fee ratio` : c.name === 'gas' ? `policy: ${money(data.gasCostUsd, 'USD')} a liquidation` : `${data.z} σ over ${data.latencySec} s, σ from the oracle’s updates`,
        })),
        ...needs.map((n) => ({ label: `Penalty that ${n.market.symbol} needs`, value: percent(n.result.needed), unit: 'of notional', source: `${percent(data.sizeQuantile)} of ${count(n.market.positions)} positions are at most ${money(n.market.notional, 'USD')}` })),
        { label: 'Keeper’s share of the penalty', value: percent(data.keeperShare), unit: 'of penalty', source: 'the protocol gives the rest to the insurance fund' },
        { label: 'Keeper’s margin', value: percent(data.profitMargin), unit: 'of cost', source: 'policy' },
        { label: 'Cap', value: percent(result.cap), unit: 'of notional', source: `${percent(data.capShare)} of the maintenance margin of ${percent(data.maintenanceMargin)}` },
      ],
      confidence: leastConfident(data.markets.map((m) => m.confidence)),
    }
  },
})
