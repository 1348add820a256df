import { fromFloat } from '../../../core/units.ts'
import { dynamicMargin, quantile, SampleTooSmallError, type DynamicMargin } from '../../risk/index.ts'
import { leastConfident, type Confidence, type RunContext } from '../context.ts'
import { count, money, percent } from '../format.ts'
import type { ParameterInput } from '../inputs.ts'
import type { Evidence } from '../model.ts'

type MarketMargin = {
  readonly symbol: string
  readonly initialNow: number
  readonly initialLongRun: number
  readonly liquidationNow: number
  readonly liquidationLongRun: number
  readonly impact: number
  readonly method: string
  readonly notional: number
  readonly observations: number
  readonly tailPoints: number
  readonly confidence: Confidence
}

export type MarginData = {
  readonly markets: readonly MarketMargin[]
  readonly penalty: number
  readonly buffer: number
  readonly minRatio: number
  readonly min: number
  readonly max: number
  readonly initialHorizonSec: number
  readonly liquidationHorizonSec: number
}

/** What both margin ratios are computed from. Throws SampleTooSmallError where a market's tail is unknown. */
export function marginData(context: RunContext, parameter: ParameterInput): MarginData {
  const { margin } = context.policy
  const markets = context.markets
    .filter((facts) => facts.input.open)
    .map((facts): MarketMargin => {
      const tail = context.tail(facts.input.oracle?.feed ?? null, facts.input.symbol)
      const notional = facts.notionals.length === 0 ? 0 : quantile(facts.notionals, margin.sizeQuantile)
      const closing = notional === 0 ? { cost: 0, method: 'no open position' } : context.closingCost(facts, notional)
      if (closing === null) throw new SampleTooSmallError({ statistic: `cost of closing in ${facts.input.symbol}`, found: 0, needed: 1 })
      return { symbol: facts.input.symbol, ...tail, impact: closing.cost, method: closing.method, notional, confidence: context.confidence(facts.input.oracle?.feed ?? null, facts.alarm) }
    })
  if (markets.length === 0) throw new SampleTooSmallError({ statistic: 'open markets', found: 0, needed: 1 })
  const { buffer, minRatio, min, max, initialHorizonSec, liquidationHorizonSec } = margin
  return { markets, penalty: context.ratio('liquidationPenaltyRatio', parameter.subject), buffer, minRatio, min, max, initialHorizonSec, liquidationHorizonSec }
}

/** The market that asks for the most, since the protocol has one ratio for all. */
export function marginOf(data: MarginData, which: 'initial' | 'maintenance'): { market: MarketMargin; result: DynamicMargin; all: readonly { market: MarketMargin; result: DynamicMargin }[] } {
  const all = data.markets.map((market) => ({
    market,
    result: dynamicMargin({ ...data, initialNow: market.initialNow, initialLongRun: market.initialLongRun, maintenanceNow: market.liquidationNow, maintenanceLongRun: market.liquidationLongRun, impact: market.impact }),
  }))
  const worst = all.reduce((a, b) => (b.result[which] > a.result[which] ? b : a))
  return { ...worst, all }
}

export function marginEvidence(data: MarginData, which: 'initial' | 'maintenance'): Evidence[] {
  const { market, result, all } = marginOf(data, which)
  const hours = (which === 'initial' ? data.initialHorizonSec : data.liquidationHorizonSec) / 3600
  const source = `filtered historical simulation, ${count(market.observations)} residuals, ${count(market.tailPoints)} in the tail`
  return [
    { label: `ES 99 % over ${hours} h now`, value: percent(which === 'initial' ? market.initialNow : market.liquidationNow), unit: 'of notional', source },
    { label: `ES 99 % over ${hours} h at the window’s volatility`, value: percent(which === 'initial' ? market.initialLongRun : market.liquidationLongRun), unit: 'of notional', source },
    { label: 'Impact of closing', value: percent(market.impact), unit: 'of notional', source: `${market.method}, ${money(market.notional, 'USD')}` },
    { label: 'Liquidation penalty', value: percent(data.penalty), unit: 'of notional', source: 'the protocol’s current value' },
    { label: 'Buffer', value: percent(data.buffer), unit: 'of ES', source: 'policy, after EMIR RTS 153/2013 art. 28(1)(a)' },
    { label: 'Initial over maintenance, at least', value: String(data.minRatio), unit: '', source: 'policy' },
    ...all.map((m) => ({ label: `Asked for by ${m.market.symbol}`, value: percent(m.result[which]), unit: 'of notional', source: 'the same model' })),
    ...(which === 'initial' ? [{ label: 'Decided by', value: result.binding, unit: '', source: market.symbol }] : []),
  ]
}

export const marginRaw = (value: number, parameter: ParameterInput): bigint => fromFloat(Math.min(1, value), parameter.decimals, 'ceil')

export const marginConfidence = (data: MarginData): Confidence => leastConfident(data.markets.map((m) => m.confidence))
