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
  /** Of the expected shortfalls. */
  readonly level: number
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
  return { markets, level: context.policy.level, penalty: context.ratio('liquidationPenaltyRatio', parameter.subject), buffer, minRatio, min, max, initialHorizonSec, liquidationHorizonSec }
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
    { label: `ES ${percent(data.level)} over ${hours} h now`, value: percent(which === 'initial' ? market.initialNow : market.liquidationNow), unit: 'of notional', source },
    { label: `ES ${percent(data.level)} over ${hours} h at the window’s volatility`, value: percent(which === 'initial' ? market.initialLongRun : market.liquidationLongRun), unit: 'of notional', source },
    { label: 'Impact of closing', value: percent(market.impact), unit: 'of notional', source: `${market.method}, ${money(market.notional, 'USD')}` },
    { label: 'Liquidation penalty', value: percent(data.penalty), unit: 'of notional', source: 'the protocol’s current value' },
    { label: 'Buffer', value: percent(data.buffer), unit: 'of ES', source: 'policy, after EMIR RTS 153/2013 art. 28(1)(a)' },
    { label: 'Initial over maintenance, at least', value: String(data.minRatio), unit: '', source: 'policy' },
    ...all.map((m) => ({ label: `Asked for by ${m.market.symbol}`, value: percent(m.result[which]), unit: 'of notional', source: 'the same model' })),
    ...(which === 'initial' ? [{ label: 'Decided by', value: result.binding, unit: '', source: market.symbol }] : []),
  ]
}

/** First half of the sentence, with the terms that add up to the margin; the impact leads where it is most of it. */
export function marginBecause(data: MarginData, which: 'initial' | 'maintenance'): string {
  const { market, result } = marginOf(data, which)
  const { symbol, impact } = market
  const horizon = (sec: number): string => `over ${sec / 3600} h`
  const shortfall = `the ${percent(data.level)} expected shortfall in ${symbol}`
  const asked = `${which === 'initial' ? 'an initial' : 'a maintenance'} margin of ${percent(result[which])}`
  const byMaintenance = which === 'maintenance' || result.binding === 'ratio to maintenance'
  const thin = impact > (byMaintenance ? result.maintenance : result.initial) / 2
  const lead = thin ? `closing ${money(market.notional, 'USD')} in ${symbol}, which is too thin for its positions, costs ${percent(impact)}: ` : ''
  const cost = thin ? 'that impact' : `${percent(impact)} of impact`
  if (byMaintenance) {
    const terms = `${shortfall} of ${percent(result.maintenanceShortfall)} ${horizon(data.liquidationHorizonSec)}, ${cost} and the penalty of ${percent(data.penalty)}`
    if (which === 'maintenance') return `${lead}${terms} ask for ${asked}`
    return `${lead}${terms} ask for a maintenance margin of ${percent(result.maintenance)}, and ${data.minRatio} times that for ${asked}`
  }
  const over = horizon(data.initialHorizonSec)
  const buffered = (1 + data.buffer) * market.initialNow
  switch (result.binding) {
    case 'current volatility':
      return `${lead}${shortfall} of ${percent(market.initialNow)} ${over}, the buffer of ${percent(data.buffer)} on it and ${cost} ask for ${asked}`
    case 'long-run floor':
      return `${lead}${shortfall} of ${percent(market.initialLongRun)} ${over} at the window’s volatility and ${cost} ask for ${asked}`
    default:
      return `${lead}${shortfall} ${over}, ${percent(Math.max(market.initialLongRun, buffered))} with its buffer, is held to the policy’s bound of ${percent(result.initial - impact)}, which with ${cost} asks for ${asked}`
  }
}

export const marginRaw = (value: number, parameter: ParameterInput): bigint => fromFloat(Math.min(1, value), parameter.decimals, 'ceil')

export const marginConfidence = (data: MarginData): Confidence => leastConfident(data.markets.map((m) => m.confidence))
