/** A run's inputs in the form that models take: statistics per feed, float64 amounts, alarms. Pure; computed once per run. */
import { InvariantError } from '../../core/errors.ts'
import { toE18, toFloat } from '../../core/units.ts'
import type { RiskRules } from '../../protocols/adapter.ts'
import { protocolByName } from '../../protocols/index.ts'
import {
  betaTo, breakerLevel, costOfClosing, dailyVolatility, jointReturns, moreSevere, poolImpact, priceBand, quantile, SampleTooSmallError, scaleVolatility, scenarioShortfall, shockOf, squareRootImpact, stressBeta, stressScenarios,
  type BarSeries, type Beta, type BreakerLevel, type CollateralExposure, type Returns, type ForecastBasis, type LiquidationRules, type Range, type ScenarioShortfall, type Shock, type StressAccount, type StressAsset, type StressScenario,
} from '../risk/index.ts'
import { count, percent } from './format.ts'
import { groupBy, type AccountInput, type CollateralInput, type MarketInput, type OracleInput, type ParameterInput, type RunInputs } from './inputs.ts'
import type { Policy } from './policy.ts'
import { barsOf, commonBars, feedStatistics, known, maxSpanOf, type FeedStatistics, type Known, type VolatilityStatistics } from './statistics.ts'

const FIVE_MINUTES_SEC = 300
const DAY_SEC = 86_400
/** Bars that betas are measured on: on shorter ones a feed that shows a move later than the other looks independent of it. */
const BETA_BAR_SEC = 3_600

/** How far a result is to be trusted, 0 to 1, and why. */
export type Confidence = { readonly value: number; readonly because: string }

export type Alarm = { readonly level: BreakerLevel; readonly reasons: readonly string[] }

/** What a band and a tick cap are computed from. */
export type BandData = {
  readonly sigma5Min: number
  readonly sigma5MinNow: number
  readonly sigma5MinLongRun: number
  readonly barCount: number
  readonly observations: number
  readonly gapBars: number
  readonly dropped: number
  /** Spread that 95 % of the window's trades stayed within; null where there were too few. */
  readonly spread: number | null
  readonly trades: number
  readonly k: number
  readonly floor: number
  readonly spreadFactor: number
  readonly spreadQuantile: number
  readonly confidence: Confidence
}

export type MarketFacts = {
  readonly input: MarketInput
  readonly asset: StressAsset
  /** Quote per base; the price at which a market that is not open stands; null while there is none. */
  readonly indexPrice: number | null
  readonly ranges: readonly Range[]
  readonly dailyVolume: number
  readonly feesPerDay: number
  /** |size|·price of each open position. */
  readonly notionals: readonly number[]
  readonly openInterest: number
  readonly statistics: FeedStatistics | null
  readonly alarm: Alarm
}

export type RunContext = {
  readonly inputs: RunInputs
  readonly policy: Policy
  readonly markets: readonly MarketFacts[]
  market(id: string): MarketFacts
  collateral(id: string): CollateralInput
  parameter(name: string, subject: string): ParameterInput | null
  /** The value of a ratio parameter as a fraction. Throws SampleTooSmallError where it is not indexed. */
  ratio(name: string, subject: string): number
  /** The same of a parameter of the whole protocol. */
  protocolRatio(name: string): number
  /** What the protocol calls the parameters that models read. */
  readonly names: RiskRules['parameters']
  /** How the protocol liquidates, at its current penalty. */
  liquidationRules(): LiquidationRules
  volatility(feed: string | null, what: string): VolatilityStatistics
  /** What forecasts of a feed start from. Throws SampleTooSmallError. */
  basis(feed: string | null, what: string): ForecastBasis
  /** From the sample's size, the backtest and the feed's alarms. */
  confidence(feed: string | null, alarm: Alarm): Confidence
  band(market: string): BandData
  /**
   * What a scenario is multiplied with for a price outside BTC and ETH: the larger of its betas to the markets of these two, on hourly
   * returns, at least 1; 1 for all others. Where too few returns are shared: σ over that of ETH, which is beta at a correlation of 1, or 1 without either.
   */
  beta(feed: string | null, asset: StressAsset): number
  /** Why that beta is an assumption and no measurement, half a sentence; null where it was measured, and for prices that need none. */
  betaAssumed(feed: string | null, asset: StressAsset): string | null
  /** Beta of one feed to another, on hourly returns; null where too few are shared or the other never moved. */
  betaBetween(feed: string, reference: string): Beta | null
  /** Impact of closing a notional in a market, fraction, the cheaper way: at once against the pool's ranges, or over a day by the square-root law; null where neither is known. */
  closingCost(market: MarketFacts, notional: number): { cost: number; method: string } | null
  alarmOf(scope: ParameterInput['scope'], subject: string): Alarm
  readonly openInterest: number
  readonly fundCapacity: number | null
  /** Shortfall of all accounts per scenario, at index prices. */
  shortfalls(): Known<readonly ScenarioShortfall[]>
}

/** Tokens that are meant to be worth a unit of a currency, by the name inside their symbols. */
const STABLE_COINS = /USD|^v?(s?DAI|FRAX|GHO|MIM|MAI|USTC?|EUR[A-Z]|agEUR)$/i

/** Historical asset that stands for a token: by the name inside its symbol. */
export function stressAssetOf(symbol: string): StressAsset {
  if (/BTC/i.test(symbol)) return 'BTC'
  if (/ETH/i.test(symbol)) return 'ETH'
  return STABLE_COINS.test(symbol) ? 'STABLE' : 'OTHER'
}

const round2 = (value: number): number => Math.round(value * 100) / 100

/** The least trusted of several, times what else weakens the result. */
export function leastConfident(all: readonly Confidence[], factor = 1, note?: string): Confidence {
  const worst = all.reduce((a, b) => (b.value < a.value ? b : a), { value: 0.95, because: 'no statistic is involved' })
  return { value: round2(worst.value * factor), because: note === undefined ? worst.because : `${worst.because}; ${note}` }
}

const e18 = (text: string): number => toFloat(BigInt(text), 18)

/** What a stress is multiplied with, and why it is an assumption; null where it was measured. */
export type FoundBeta = { readonly beta: number; readonly assumed: string | null }

/** `statistics` and `betas` by feed, where they are known already: then the series are not looked at. */
export function createContext(inputs: RunInputs, statistics: ReadonlyMap<string, FeedStatistics> = new Map(inputs.series.map((series) => [series.feed, feedStatistics(series, inputs.policy)])), betas: ReadonlyMap<string, FoundBeta> = new Map()): RunContext {
  const { policy } = inputs
  const rules = protocolByName(inputs.protocol).risk
  const statisticsOf = (feed: string | null): FeedStatistics | null => (feed === null ? null : (statistics.get(feed) ?? null))
  const parameters = new Map(inputs.parameters.map((p) => [`${p.name}:${p.subject}`, p]))

  const ratio = (name: string, subject: string): number => {
    const found = parameters.get(`${name}:${subject}`)
    if (found === undefined) throw new SampleTooSmallError({ statistic: `current value of ${name}`, found: 0, needed: 1 })
    return toFloat(BigInt(found.current), found.decimals)
  }
  const volatility = (feed: string | null, what: string): VolatilityStatistics => {
    const found = statisticsOf(feed)?.volatility
    if (found === undefined) throw new SampleTooSmallError({ statistic: `prices of ${what}`, found: 0, needed: 1 })
    if (found.value === null) throw shortageOf(found.unknown, what)
    return found.value
  }
  const basis = (feed: string | null, what: string): ForecastBasis => {
    const found = statisticsOf(feed)?.basis
    if (found === undefined) throw new SampleTooSmallError({ statistic: `prices of ${what}`, found: 0, needed: 1 })
    if (found.value === null) throw shortageOf(found.unknown, what)
    return found.value
  }

  const alarmFor = (oracle: OracleInput | null, deviation: number | null, deviationLimit: number | null): Alarm =>
    breakerLevel({
      oracleAgeSec: oracle === null ? null : Math.max(0, inputs.asOfSec - oracle.priceTimestampSec),
      heartbeatSec: policy.heartbeatSec,
      deviation,
      deviationLimit,
      oracleImpaired: oracle !== null && (oracle.freezeReason !== 0 || oracle.fallback),
    })

  const bandOf = (input: MarketInput): Known<Omit<BandData, 'confidence'>> =>
    known(() => {
      const found = volatility(input.oracle?.feed ?? null, input.symbol)
      const at5Min = (sigma: number): number => scaleVolatility(sigma, policy.barSec, FIVE_MINUTES_SEC)
      const trades = input.spreadsE6.length
      return {
        sigma5Min: at5Min(Math.max(found.now, found.longRun)),
        sigma5MinNow: at5Min(found.now),
        sigma5MinLongRun: at5Min(found.longRun),
        barCount: found.barCount,
        observations: found.observations,
        gapBars: found.gapBars,
        dropped: found.dropped,
        spread: trades < policy.band.minTrades ? null : quantile(input.spreadsE6, policy.band.spreadQuantile) / 1e6,
        trades,
        k: policy.band.k,
        floor: policy.band.floor,
        spreadFactor: policy.band.spreadFactor,
        spreadQuantile: policy.band.spreadQuantile,
      }
    })

  const markets = inputs.markets.map((input): MarketFacts => {
    const priceE18 = input.heldPriceE18 ?? input.oracle?.priceE18
    const indexPrice = priceE18 === undefined ? null : e18(priceE18)
    const deviation = input.sqrtPriceX96 === null || indexPrice === null ? null : Math.abs(toFloat(rules.poolPriceE18(BigInt(input.sqrtPriceX96)), 18) / indexPrice - 1)
    const band = bandOf(input).value
    const notionals: number[] = []
    if (indexPrice !== null) {
      for (const account of inputs.accounts) {
        for (const position of account.positions) if (position.market === input.id) notionals.push(Math.abs(e18(position.sizeE18)) * indexPrice)
      }
    }
    const days = Math.max(1, input.observedSec / DAY_SEC)
    return {
      input,
      asset: stressAssetOf(input.symbol),
      indexPrice,
      ranges: input.ranges.map((r) => ({ lowerTick: r.lowerTick, upperTick: r.upperTick, liquidity: e18(r.liquidity) })),
      dailyVolume: e18(input.volumeE18) / days,
      feesPerDay: e18(input.feesE18) / days,
      notionals,
      openInterest: indexPrice === null ? 0 : Math.max(e18(input.openInterestLongE18), e18(input.openInterestShortE18)) * indexPrice,
      statistics: statisticsOf(input.oracle?.feed ?? null),
      alarm: alarmFor(input.oracle, deviation, band === null ? null : bandFrom(band).band),
    }
  })

  const marketById = new Map(markets.map((m) => [m.input.id, m]))
  const collateralById = new Map(inputs.collaterals.map((c) => [c.id, c]))
  const market = (id: string): MarketFacts => {
    const found = marketById.get(id)
    if (found === undefined) throw new InvariantError(`Found no market ${id} in the inputs, allowed are those that a parameter names; gather them together`)
    return found
  }

  const confidence = (feed: string | null, alarm: Alarm): Confidence => {
    const found = statisticsOf(feed)
    const observations = found?.volatility.value?.observations ?? 0
    const backtest = found?.backtest.value
    let value = 0.95 * Math.min(1, observations / 1000)
    const because = [`${count(observations)} returns${observations < 1000 ? ' of the 1,000 that full confidence takes' : ''}`]
    if (backtest === null || backtest === undefined) {
      value *= 0.85
      because.push('no backtest yet')
    } else {
      const { coverage, independence } = backtest
      if (coverage.rejected) value *= 0.7
      if (independence.rejected) value *= 0.9
      because.push(`${percent(policy.level)} VaR backtest ${coverage.rejected ? 'rejected' : 'passed'} (${count(backtest.exceptions)} exceptions in ${count(backtest.observations)} forecasts, ${count(Math.round(backtest.expected))} expected, p ${percent(coverage.pValue)}${independence.rejected ? `; they cluster, p ${percent(independence.pValue)}` : ''}${backtest.zones === null ? '' : `; Basel zone over the last ${count(backtest.zones.last.observations)} forecasts of ${count(policy.barSec / 60)} min each, not days: ${backtest.zones.last.zone}`})`)
    }
    if (alarm.level !== 'NORMAL') {
      value *= 0.6
      because.push(alarm.reasons.join(', '))
    }
    return { value: round2(value), because: because.join('; ') }
  }

  const ethVolatility = markets.find((m) => m.asset === 'ETH')?.statistics?.volatility.value?.longRun ?? null
  const hourly = new Map<string, BarSeries | null>()
  const hourlyOf = (feed: string): BarSeries | null => {
    const series = inputs.series.find((one) => one.feed === feed)
    const bars = hourly.get(feed) ?? (series === undefined ? null : barsOf(series, policy, BETA_BAR_SEC))
    hourly.set(feed, bars)
    return bars
  }
  const betaBetween = (feed: string, reference: string): Beta | null => {
    const pair = [feed, reference].flatMap((one) => hourlyOf(one) ?? [])
    if (pair.length !== 2) return null
    const [own, theirs] = jointReturns(commonBars(pair), { maxSpan: maxSpanOf(policy, BETA_BAR_SEC) }) as [Returns, Returns]
    return theirs.values.every((r) => r === 0) ? null : known(() => betaTo(own, theirs)).value
  }
  const found = new Map(betas)
  const stressBetaOf = (feed: string | null, asset: StressAsset): FoundBeta => {
    if (asset !== 'OTHER') return { beta: 1, assumed: null }
    if (feed === null) return { beta: 1, assumed: 'it has no feed, and is moved like the worse of BTC and ETH' }
    const known = found.get(feed)
    if (known !== undefined) return known
    const [toBtc, toEth] = (['BTC', 'ETH'] as const).map((reference) => {
      const other = markets.find((m) => m.asset === reference && m.input.oracle !== null)?.input.oracle?.feed
      return other === undefined ? null : betaBetween(feed, other)
    }) as [Beta | null, Beta | null]
    const own = statisticsOf(feed)?.volatility.value?.longRun
    const few = 'it shares too few hourly returns with a market of BTC or ETH'
    const result: FoundBeta =
      toBtc !== null || toEth !== null ? { beta: stressBeta(toBtc, toEth), assumed: null }
      : own === undefined || ethVolatility === null || ethVolatility === 0 ? { beta: 1, assumed: `${few}, and a volatility is unknown: it is moved like the worse of them` }
      : { beta: Math.max(1, own / ethVolatility), assumed: `${few}: it is moved by its volatility over that of ETH, at least 1, as if they were wholly correlated` }
    found.set(feed, result)
    return result
  }
  const beta = (feed: string | null, asset: StressAsset): number => stressBetaOf(feed, asset).beta

  const closingCost = (facts: MarketFacts, notional: number): { cost: number; method: string } | null => {
    if (facts.indexPrice === null) return null
    const ways: { cost: number; method: string }[] = []
    const root = Math.sqrt(facts.indexPrice)
    const atOnce = (['up', 'down'] as const).map((side) => poolImpact(facts.ranges, root, notional / (facts.indexPrice as number), side))
    if (atOnce.every((cost) => cost !== null)) ways.push({ cost: Math.max(...atOnce), method: 'at once against the makers’ ranges' })
    const sigma = facts.statistics?.volatility.value
    if (sigma !== null && sigma !== undefined && facts.dailyVolume > 0) {
      ways.push({ cost: squareRootImpact({ dailyVolatility: dailyVolatility(Math.max(sigma.now, sigma.longRun), policy.barSec), quantity: notional, dailyVolume: facts.dailyVolume }), method: 'over a day, by the square-root law on the market’s volume' })
    }
    return ways.length === 0 ? null : ways.reduce((a, b) => (b.cost < a.cost ? b : a))
  }

  const worst = (alarms: readonly Alarm[]): Alarm => ({ level: alarms.reduce<BreakerLevel>((level, alarm) => moreSevere(level, alarm.level), 'NORMAL'), reasons: alarms.flatMap((alarm) => alarm.reasons) })
  const breakerOf = (subject: string, label: string): Alarm => {
    const found = inputs.breakers.find((one) => one.subject === subject)
    return found === undefined ? { level: 'NORMAL', reasons: [] } : { level: found.level, reasons: [`${label} breaker stands at ${found.level}`] }
  }
  const protocolBreaker = breakerOf('protocol', 'the protocol’s')
  const named = (facts: MarketFacts): Alarm => ({ level: facts.alarm.level, reasons: facts.alarm.reasons.map((r) => `${facts.input.symbol}: ${r}`) })

  let shortfallsCache: Known<readonly ScenarioShortfall[]> | undefined
  const context: RunContext = {
    inputs,
    policy,
    markets,
    market,
    collateral: (id) => {
      const found = collateralById.get(id)
      if (found === undefined) throw new InvariantError(`Found no collateral ${id} in the inputs, allowed are those that a parameter names; gather them together`)
      return found
    },
    parameter: (name, subject) => parameters.get(`${name}:${subject}`) ?? null,
    ratio,
    protocolRatio: (name) => ratio(name, inputs.parameters.find((p) => p.name === name)?.subject ?? ''),
    names: rules.parameters,
    liquidationRules: () => rules.liquidationRules(context.protocolRatio(rules.parameters.liquidationPenalty)),
    volatility,
    basis,
    confidence,
    band: (id) => {
      const facts = market(id)
      const data = bandOf(facts.input)
      if (data.value === null) throw data.unknown
      return { ...data.value, confidence: confidence(facts.input.oracle?.feed ?? null, facts.alarm) }
    },
    beta,
    betaAssumed: (feed, asset) => stressBetaOf(feed, asset).assumed,
    betaBetween,
    closingCost,
    alarmOf: (scope, subject) => {
      if (scope === 'MARKET') return worst([named(market(subject)), breakerOf(subject, `${market(subject).input.symbol}’s`), protocolBreaker])
      if (scope === 'COLLATERAL') return worst([alarmFor(collateralById.get(subject)?.oracle ?? null, null, null), protocolBreaker])
      return worst([...markets.flatMap((m) => [named(m), breakerOf(m.input.id, `${m.input.symbol}’s`)]), protocolBreaker])
    },
    openInterest: markets.reduce((sum, m) => sum + m.openInterest, 0),
    fundCapacity: inputs.fund === null ? null : toFloat(fundCapacityE18(inputs.fund, inputs.settlement.decimals), 18),
    shortfalls: () => (shortfallsCache ??= known(() => allShortfalls(context))),
  }
  return context
}

/** A band from its data; the tick cap and the alarm limit take the same one. */
export const bandFrom = (data: Omit<BandData, 'confidence'>): ReturnType<typeof priceBand> =>
  priceBand({ sigma5Min: data.sigma5Min, k: data.k, floor: data.floor, usualSpread: data.spread === null ? 0 : data.spread * data.spreadFactor })

/** What the insurance fund can pay, E18: its wallet, what is on the way from there to the vault, and its account in the vault (InsuranceFund.getInsuranceFundCapacity). */
export const fundCapacityE18 = (fund: NonNullable<RunInputs['fund']>, settlementDecimals: number): bigint => toE18(BigInt(fund.walletBalance) + BigInt(fund.inTransit), settlementDecimals) + BigInt(fund.vaultBalanceE18)

/** A shortage that was kept, named for one subject. */
const shortageOf = ({ shortage }: SampleTooSmallError, what: string): SampleTooSmallError => new SampleTooSmallError({ ...shortage, statistic: `${shortage.statistic} of ${what}` })

/**
 * Collateral other than the settlement token, at index prices: counted at the protocol's collateral ratio, recovered at 1 − its liquidation discount.
 * Throws SampleTooSmallError where a price or a ratio is unknown.
 */
export const collateralOf = (context: RunContext, account: AccountInput): readonly CollateralExposure[] =>
  account.collaterals.map(({ asset, amount }) => {
    const token = context.collateral(asset)
    if (token.oracle === null) throw new SampleTooSmallError({ statistic: `prices of ${token.symbol}`, found: 0, needed: 1 })
    const value = toFloat(BigInt(amount), token.decimals) * e18(token.oracle.priceE18)
    return { asset, counted: value * context.ratio(context.names.collateralRatio, asset), recovered: value * (1 - context.ratio(context.names.collateralDiscount, asset)) }
  })

/** The accounts, all where left out, as scenarios see them: index prices, other collateral by `collateralOf`, fees and funding not yet settled left out. */
export function stressAccounts(context: RunContext, accounts: readonly AccountInput[] = context.inputs.accounts): readonly StressAccount[] {
  const { inputs } = context
  const maintenanceMargin = context.protocolRatio(context.names.maintenanceMargin)
  // A book without one of its prices has no value: unknown, rather than a part of it left out.
  const indexPrice = (facts: MarketFacts): number => {
    if (facts.indexPrice === null) throw new SampleTooSmallError({ statistic: `prices of ${facts.input.symbol}`, found: 0, needed: 1 })
    return facts.indexPrice
  }
  const rangesOf = groupBy(context.markets.flatMap((m) => m.input.ranges.map((range) => ({ m, range }))), ({ range }) => range.account)
  return accounts.map(
    (account): StressAccount => ({
      id: account.id,
      cash: toFloat(BigInt(account.settlementBalance), inputs.settlement.decimals) + e18(account.owedRealizedPnlE18) + account.positions.reduce((sum, p) => sum + e18(p.openNotionalE18), 0),
      positions: account.positions.map((p) => ({ asset: p.market, value: e18(p.sizeE18) * indexPrice(context.market(p.market)) })),
      ranges: (rangesOf.get(account.id) ?? []).map(({ m, range: r }) => ({ asset: m.input.id, price: indexPrice(m), range: { lowerTick: r.lowerTick, upperTick: r.upperTick, liquidity: e18(r.liquidity) }, baseDebt: e18(r.baseDebtE18), quoteDebt: e18(r.quoteDebtE18) })),
      collateral: collateralOf(context, account),
      maintenanceMargin,
    }),
  )
}

function allShortfalls(context: RunContext): readonly ScenarioShortfall[] {
  const accounts = stressAccounts(context)
  return stressScenarios('severe').map((scenario) => scenarioShortfall(accounts, shockFrom(context, scenario)))
}

/** Prices of the book that stress moves by an assumption, by symbol with the reason. */
export const assumedBetas = (context: RunContext): readonly { readonly symbol: string; readonly why: string }[] =>
  [...context.markets.filter(({ input }) => input.heldPriceE18 === null).map(({ input }) => input), ...context.inputs.collaterals].flatMap(({ symbol, oracle }) => {
    const why = context.betaAssumed(oracle?.feed ?? null, stressAssetOf(symbol))
    return why === null ? [] : [{ symbol, why }]
  })

/** A scenario as the book's prices and costs: each market and collateral by what stands for it, or by its symbol where the scenario names it. */
export function shockFrom(context: RunContext, scenario: StressScenario): Shock {
  const { policy } = context
  const penalty = context.protocolRatio(context.names.liquidationPenalty)
  const changes = new Map<string, number>()
  const costs = new Map<string, (notional: number) => number>()
  for (const facts of context.markets) {
    // A market that is paused or closed stands at its price whatever the oracle says.
    changes.set(facts.input.id, facts.input.heldPriceE18 === null ? shockOf(scenario, facts.asset, context.beta(facts.input.oracle?.feed ?? null, facts.asset), facts.input.symbol) : 0)
    const sigma = facts.statistics?.volatility.value
    const impact = (notional: number): number =>
      sigma === null || sigma === undefined || facts.dailyVolume <= 0
        ? policy.fund.maxImpact
        : Math.min(policy.fund.maxImpact, squareRootImpact({ dailyVolatility: dailyVolatility(Math.max(sigma.now, sigma.longRun), policy.barSec), quantity: notional, dailyVolume: facts.dailyVolume * scenario.volumeFactor }))
    costs.set(facts.input.id, (notional) => costOfClosing(impact(notional), penalty))
  }
  for (const token of context.inputs.collaterals) {
    const asset = stressAssetOf(token.symbol)
    changes.set(token.id, shockOf(scenario, asset, context.beta(token.oracle?.feed ?? null, asset), token.symbol))
  }
  return { id: scenario.id, changeOf: (asset) => changes.get(asset) ?? 0, costOf: (asset, notional) => costs.get(asset)?.(notional) ?? 0 }
}
