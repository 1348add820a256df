import { fromFloat } from '../../../core/units.ts'
import { dynamicMargin, EMIR, horizonSec, liquidationShortfalls, SampleTooSmallError, type DynamicMargin } from '../../risk/index.ts'
import { leastConfident, type Confidence, type RunContext } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { carriedSize, horizonOf, horizonParts, type HorizonPart } from '../horizon.ts'
import type { ParameterInput } from '../inputs.ts'
import type { Evidence } from '../model.ts'

type MarketMargin = {
  readonly symbol: string
  readonly horizon: readonly HorizonPart[]
  /** Expected shortfalls of one unit of notional, worse side: over the liquidation's own time, and with the reaction time of owners on top. */
  readonly initialNow: number
  readonly initialLongRun: number
  readonly maintenanceNow: number
  readonly maintenanceLongRun: number
  readonly side: 'down' | 'up'
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
  readonly reactionSec: number
  readonly windowSec: number
}

/** What both margin ratios are computed from. Throws SampleTooSmallError where a market's tail is unknown. */
export function marginData(context: RunContext, parameter: ParameterInput): MarginData {
  const { level, margin, windowSec } = context.policy
  const markets = context.markets
    .filter((facts) => facts.input.open)
    .map((facts): MarketMargin => {
      const { symbol, oracle } = facts.input
      const basis = context.basis(oracle?.feed ?? null, symbol)
      const parts = horizonParts(context, facts)
      const liquidationSec = horizonSec(horizonOf(parts))
      const { forecast, ...shortfalls } = liquidationShortfalls(basis, { level, liquidationSec, initialHorizonSec: liquidationSec + margin.reactionSec })
      const notional = carriedSize(context, facts) ?? 0
      const closing = notional === 0 ? { cost: 0, method: 'no open position' } : context.closingCost(facts, notional)
      if (closing === null) throw new SampleTooSmallError({ statistic: `cost of closing in ${symbol}`, found: 0, needed: 1 })
      const assumed = parts.filter((part) => part.origin === 'ASSUMED')
      const confidence = leastConfident([context.confidence(oracle?.feed ?? null, facts.alarm)], 1 - 0.05 * assumed.length, assumed.length === 0 ? undefined : `${assumed.length} of ${parts.length} parts of the horizon assumed`)
      return { symbol, horizon: parts, ...shortfalls, side: forecast.side, impact: closing.cost, method: closing.method, notional, observations: forecast.observations, tailPoints: forecast.tailPoints, confidence }
    })
  if (markets.length === 0) throw new SampleTooSmallError({ statistic: 'open markets', found: 0, needed: 1 })
  const { buffer, minRatio, min, max, reactionSec } = margin
  return { markets, level, penalty: context.ratio(context.names.liquidationPenalty, parameter.subject), buffer, minRatio, min, max, reactionSec, windowSec }
}

/** The market that asks for the most, since the protocol has one ratio for all. */
export function marginOf(data: MarginData, which: 'initial' | 'maintenance'): { market: MarketMargin; result: DynamicMargin; all: readonly { market: MarketMargin; result: DynamicMargin }[] } {
  const all = data.markets.map((market) => ({ market, result: dynamicMargin({ ...data, ...market }) }))
  const worst = all.reduce((a, b) => (b.result[which] > a.result[which] ? b : a))
  return { ...worst, all }
}

const liquidationSecOf = (market: MarketMargin): number => horizonSec(horizonOf(market.horizon))
const initialSecOf = (data: MarginData, market: MarketMargin): number => liquidationSecOf(market) + data.reactionSec

/** `45 min`, `3.5 h`. */
const time = (sec: number): string => (sec < 2 * 3_600 ? `${count(Math.round(sec / 6) / 10)} min` : `${count(Math.round(sec / 360) / 10)} h`)

const PART_NAMES: Readonly<Record<HorizonPart['name'], string>> = { oracleAgeSec: 'age of the oracle’s price', detectionSec: 'detection', liquidationSec: 'time to liquidate' }

export function marginEvidence(data: MarginData, which: 'initial' | 'maintenance'): Evidence[] {
  const { market, result, all } = marginOf(data, which)
  const over = time(which === 'initial' ? initialSecOf(data, market) : liquidationSecOf(market))
  const source = `filtered historical simulation, ${market.symbol} going ${market.side}, ${count(market.observations)} residuals, ${count(market.tailPoints)} in the tail`
  const [now, longRun] = which === 'initial' ? [market.initialNow, market.initialLongRun] : [market.maintenanceNow, market.maintenanceLongRun]
  const years = data.windowSec / (365 * 86_400)
  return [
    ...market.horizon.map((part): Evidence => ({ label: `Horizon: ${PART_NAMES[part.name]}`, value: count(Math.round(part.value)), unit: 's', source: `${part.origin.toLowerCase()}: ${part.why}` })),
    ...(which === 'initial' ? [{ label: 'Horizon: reaction of owners', value: count(data.reactionSec), unit: 's', source: 'policy' }] : []),
    { label: `ES ${percent(data.level)} over ${over} now`, value: percent(now), unit: 'of notional', source },
    { label: `ES ${percent(data.level)} over ${over} at the window’s volatility`, value: percent(longRun), unit: 'of notional', source: `${source}; a floor against margins that jump with volatility, EMIR RTS 153/2013 art. 28(1)(c), over ${count(Math.round(data.windowSec / 86_400))} days where the regulation asks for ${EMIR.lookbackYears} years${years >= EMIR.lookbackYears ? '' : ', which the index does not hold'}` },
    { label: 'Impact of closing', value: percent(market.impact), unit: 'of notional', source: `${market.method}, ${money(market.notional, 'USD')}` },
    { label: 'Liquidation penalty', value: percent(data.penalty), unit: 'of notional', source: 'the protocol’s current value' },
    { label: 'Buffer', value: percent(data.buffer), unit: 'of ES', source: 'policy, after EMIR RTS 153/2013 art. 28(1)(a)' },
    { label: 'Initial over maintenance, at least', value: String(data.minRatio), unit: '', source: 'policy' },
    { label: 'Initial over maintenance', value: (result.initial / result.maintenance).toFixed(2), unit: '', source: `${market.symbol}, the same model` },
    ...all.map((m) => ({ label: `Asked for by ${m.market.symbol}`, value: percent(m.result[which]), unit: 'of notional', source: `the same model, over ${time(which === 'initial' ? initialSecOf(data, m.market) : liquidationSecOf(m.market))}` })),
    ...(which === 'initial' ? [{ label: 'Decided by', value: result.binding, unit: '', source: market.symbol }] : []),
  ]
}

/** First half of the sentence, with the terms that add up to the margin; the impact leads where it is most of it. */
export function marginBecause(data: MarginData, which: 'initial' | 'maintenance'): string {
  const { market, result } = marginOf(data, which)
  const { symbol, impact } = market
  const shortfall = `the ${percent(data.level)} expected shortfall in ${symbol}`
  const asked = `${which === 'initial' ? 'an initial' : 'a maintenance'} margin of ${percent(result[which])}`
  const byMaintenance = which === 'maintenance' || result.binding === 'ratio to maintenance'
  const thin = impact > (byMaintenance ? result.maintenance : result.initial) / 2
  const lead = thin ? `closing ${money(market.notional, 'USD')} in ${symbol}, which is too thin for its positions, costs ${percent(impact)}: ` : ''
  const cost = thin ? 'that impact' : `${percent(impact)} of impact`
  if (byMaintenance) {
    const terms = `${shortfall} of ${percent(result.maintenanceShortfall)} over the ${time(liquidationSecOf(market))} that a liquidation takes, ${cost} and the penalty of ${percent(data.penalty)}`
    if (which === 'maintenance') return `${lead}${terms} ask for ${asked}`
    return `${lead}${terms} ask for a maintenance margin of ${percent(result.maintenance)}, and ${data.minRatio} times that for ${asked}`
  }
  const over = `over ${time(initialSecOf(data, market))}`
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
