/** What prices say: volatility, VaR and expected shortfall, backtests, margins that follow them, and margins of whole books. */
import { BadInputError } from '../../../core/errors.ts'
import { toFloat } from '../../../core/units.ts'
import type { MarketFacts } from '../../recommendations/context.ts'
import { carriedSize, horizonParts } from '../../recommendations/horizon.ts'
import { stressAssetOf } from '../../recommendations/context.ts'
import {
  backtest, bookMargin, correlationBand, correlationMatrices, decayOf, fitGarch, forecastBasis, forecastRisk, gridNamed, historicalRisk, jointReturns, requireBook,
  SampleTooSmallError, scaleVolatility, volatilityMargin, ewmaVolatility, type BacktestModel, type BarSeries, type Book, type Leg, type Returns, type RiskForecast, type Side as ModelSide,
} from '../../risk/index.ts'
import type { Context } from '../context.ts'
import type { BacktestInput, LegInput, Maybe, PortfolioInput, QueryBacktestArgs, QueryDynamicMarginArgs, QueryPortfolioMarginArgs, QueryVolatilityArgs, Side, VolatilityModel } from '../generated/resolvers.ts'
import { address } from '../lookup.ts'
import { atField, numbers, provenance, tell, UserInputError, wholeWithin, within, type Answer, type UnknownAnswer } from './answer.ts'
import type { BookFacts, DeskBook } from './book.ts'
import { marketOf, nodeOf, protocolRatio } from './liquidations.ts'
import { severityOf } from './stress.ts'

const YEAR_SEC = 365 * 86_400
const DAY_SEC = 86_400

const modelSide = (side: Side): ModelSide => (side === 'UP' ? 'up' : 'down')
const sideOf = (side: ModelSide): Side => (side === 'up' ? 'UP' : 'DOWN')

/** One in a hundred thousand: beyond that no sample of ours holds a tail. */
const LEVEL_MAX = 0.99999

export const checkLevel = (level: number, field: string): number => {
  if (!(level > 0 && level <= LEVEL_MAX)) throw new UserInputError(`${field}: found ${level}, allowed is above 0 and up to ${LEVEL_MAX}; 0.99 means 99 %`, field)
  return level
}

const checkBar = (book: BookFacts, barSec: number, field: string): number => {
  const { barSec: unit } = book.inputs.policy
  if (!Number.isInteger(barSec) || barSec % unit !== 0 || barSec < unit || barSec > DAY_SEC) throw new UserInputError(`${field}: found ${barSec}, allowed are multiples of ${unit} up to ${DAY_SEC}; choose the length of a bar in seconds`, field)
  return barSec
}

/** Bars and returns of a market. Throws SampleTooSmallError for one without a feed or without two prices. */
function seriesOf(book: DeskBook, facts: MarketFacts, barSec: number): { bars: BarSeries; returns: Returns } {
  const bars = book.bars(facts, barSec)
  if (bars === null || bars.bars.length < 2) throw new SampleTooSmallError({ statistic: `prices of ${facts.input.symbol}`, found: bars?.bars.length ?? 0, needed: 2 })
  return { bars, returns: book.returns(bars) }
}

const sampleOf = (bars: BarSeries, returns: Returns): Answer<'Sample'> => ({ barSec: bars.barSec, from: BigInt(bars.startSec), to: BigInt(bars.startSec + bars.barCount * bars.barSec), bars: bars.barCount, returns: returns.values.length, gapBars: returns.gapBars, dropped: returns.dropped })

const MODEL_OF: Readonly<Record<RiskForecast['model'], VolatilityModel>> = { 'normal-ewma': 'NORMAL_EWMA', 'normal-garch': 'NORMAL_GARCH', 'fhs-ewma': 'FHS_EWMA', 'fhs-garch': 'FHS_GARCH', historical: 'HISTORICAL' }

const forecastAnswer = (f: RiskForecast): Answer<'RiskForecast'> => ({
  model: MODEL_OF[f.model],
  side: sideOf(f.side),
  level: f.level,
  horizonSec: f.horizonSec,
  valueAtRisk: f.valueAtRisk,
  expectedShortfall: f.expectedShortfall,
  valueAtRiskLow: f.valueAtRiskInterval?.[0] ?? null,
  valueAtRiskHigh: f.valueAtRiskInterval?.[1] ?? null,
  scaling: f.scaling,
  observations: f.observations,
  tailPoints: f.tailPoints,
  warnings: [...f.warnings],
  unknown: null,
})

const VOLATILITY = { model: 'ewma, garch-1-1, filtered historical simulation', version: '1', source: 'api/risk/volatility.ts, garch.ts, forecast.ts: RiskMetrics 1996; Bollerslev 1986; Barone-Adesi, Giannopoulos, Vosper 1999; risk models §7' } as const

export async function resolveVolatility(_: unknown, args: QueryVolatilityArgs, context: Context): Promise<Maybe<Answer<'Volatility'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  return { ...(await book.ask('volatility', { ...args, market: facts.input.id })), market: node }
}

/** `market` as its id. Throws UserInputError and SampleTooSmallError. */
export function computeVolatility(book: DeskBook, args: QueryVolatilityArgs): Omit<Answer<'Volatility'>, 'market'> {
  const facts = book.context.market(args.market)
  const level = checkLevel(args.level ?? 0.99, 'level')
  const barSec = checkBar(book, args.barSec ?? 300, 'barSec')
  const horizonSec = wholeWithin('horizonSec', args.horizonSec ?? 3_600, 1, 30 * DAY_SEC, 'seconds')
  const { bars, returns } = seriesOf(book, facts, barSec)
  const { halfLifeSec } = book.inputs.policy
  const lambda = decayOf(halfLifeSec, barSec)
  const perYear = (sigma: number): number => scaleVolatility(sigma, barSec, YEAR_SEC)
  const ewma = tell('EWMA volatility', () => ewmaVolatility(returns, lambda))
  const garch = tell('GARCH(1,1)', () => fitGarch(returns))
  const horizonBars = horizonSec / barSec
  const nothing = (model: VolatilityModel, side: ModelSide, unknown: UnknownAnswer): Answer<'RiskForecast'> => ({ model, side: sideOf(side), level, horizonSec, valueAtRisk: null, expectedShortfall: null, valueAtRiskLow: null, valueAtRiskHigh: null, scaling: null, observations: returns.values.length, tailPoints: 0, warnings: [], unknown })
  const of = (model: VolatilityModel, side: ModelSide, forecast: () => RiskForecast): Answer<'RiskForecast'> => {
    const told = tell(model, forecast)
    return told.value === null ? nothing(model, side, told.unknown) : forecastAnswer(told.value)
  }
  const ewmaBasis = tell('EWMA volatility', () => forecastBasis(returns, { kind: 'ewma', lambda }))
  const garchBasis = tell('GARCH(1,1)', () => forecastBasis(returns, { kind: 'garch' }))
  const from = (model: VolatilityModel, basis: typeof ewmaBasis, shape: 'normal' | 'filtered', side: ModelSide): Answer<'RiskForecast'> => {
    const { value, unknown } = basis
    return value === null ? nothing(model, side, unknown) : of(model, side, () => forecastRisk(value, { shape, level, horizonBars, side }))
  }
  return {
    provenance: provenance(VOLATILITY, book.block, { bars: bars.bars, startSec: bars.startSec }, { ...args, halfLifeSec }),
    sample: sampleOf(bars, returns),
    ewma: ewma.value && { now: ewma.value.current, longRun: ewma.value.longRun, nowPerYear: perYear(ewma.value.current), longRunPerYear: perYear(ewma.value.longRun), halfLifeSec },
    garch: garch.value && { ...garch.value.parameters, persistence: garch.value.persistence, halfLifeBars: garch.value.halfLifeBars, now: garch.value.path.current, longRun: garch.value.longRun, nowPerYear: perYear(garch.value.path.current), longRunPerYear: perYear(garch.value.longRun), logLikelihood: garch.value.logLikelihood, warnings: [...garch.value.warnings] },
    unknown: [ewma.unknown, garch.unknown].filter((one) => one !== null),
    forecasts: (['down', 'up'] as const).flatMap((side) => [
      from('NORMAL_EWMA', ewmaBasis, 'normal', side),
      from('NORMAL_GARCH', garchBasis, 'normal', side),
      from('FHS_EWMA', ewmaBasis, 'filtered', side),
      from('FHS_GARCH', garchBasis, 'filtered', side),
      of('HISTORICAL', side, () => historicalRisk(bars, { level, horizonBars: Math.max(1, Math.round(horizonBars)), side, maxSpan: Math.max(1, book.inputs.policy.maxGapSec / barSec) })),
    ]),
  }
}

const BACKTEST = { model: 'backtest', version: '1', source: 'api/risk/backtest.ts: Kupiec 1995; Christoffersen 1998; Basel Committee 1996; Acerbi, Székely 2014' } as const

function backtestModel(model: VolatilityModel, lambda: number, path: string): BacktestModel {
  switch (model) {
    case 'NORMAL_EWMA':
      return { kind: 'normal-ewma', lambda }
    case 'FHS_EWMA':
      return { kind: 'fhs-ewma', lambda }
    case 'FHS_GARCH':
      return { kind: 'fhs-garch', refitEvery: 250 }
    case 'HISTORICAL':
      return { kind: 'historical' }
    case 'NORMAL_GARCH':
      throw new UserInputError(`${path}.model: found NORMAL_GARCH, allowed are NORMAL_EWMA, FHS_EWMA, FHS_GARCH and HISTORICAL; choose one of them`, `${path}.model`)
  }
}

/** A backtest whose arguments are checked. Plain data: it may be computed anywhere. */
export type BacktestTask = { readonly market: string; readonly name: VolatilityModel; readonly model: BacktestModel; readonly level: number; readonly barSec: number; readonly side: ModelSide }

/** Throws UserInputError, so that a run refuses before it starts. */
export async function backtestTask(context: Context, book: BookFacts, input: BacktestInput, path = 'input'): Promise<BacktestTask> {
  const { facts } = await marketOf(context, book, input.market, `${path}.market`)
  const barSec = checkBar(book, input.barSec ?? 300, `${path}.barSec`)
  const name = input.model ?? 'FHS_EWMA'
  return { market: facts.input.id, name, model: backtestModel(name, decayOf(book.inputs.policy.halfLifeSec, barSec), path), level: checkLevel(input.level ?? 0.99, `${path}.level`), barSec, side: modelSide(input.side ?? 'DOWN') }
}

/** The answer but for its market. Throws SampleTooSmallError. */
export function computeBacktest(book: DeskBook, task: BacktestTask): Omit<Answer<'Backtest'>, 'market'> {
  const { name, model, level, side } = task
  const { bars, returns } = seriesOf(book, book.context.market(task.market), task.barSec)
  const result = backtest(returns, { model, level, side })
  const test = ({ likelihoodRatio, pValue, rejected }: { likelihoodRatio: number; pValue: number; rejected: boolean }) => ({ likelihoodRatio, pValue, rejected })
  return {
    provenance: provenance(BACKTEST, book.block, { bars: bars.bars, startSec: bars.startSec }, task),
    sample: sampleOf(bars, returns),
    model: name,
    level,
    side: sideOf(side),
    observations: result.observations,
    exceptions: result.exceptions,
    expected: result.expected,
    coverage: test(result.coverage),
    independence: test(result.independence),
    conditional: test(result.conditional),
    zone: result.zones?.last.zone ?? null,
    worstZone: result.zones?.worst.zone ?? null,
    shortfallZ: result.expectedShortfall.z,
    shortfallRejected: result.expectedShortfall.rejected,
    // The regulation's zones are of days.
    warnings: [...result.warnings, ...(result.zones === null || task.barSec === DAY_SEC ? [] : [`the zones count ${result.zones.last.observations} forecasts of ${task.barSec} s each, ${Math.round((result.zones.last.observations * task.barSec) / 3_600)} hours in all, and not the 250 days of the regulation`])],
  }
}

export async function resolveBacktest(_: unknown, { input }: QueryBacktestArgs, context: Context): Promise<Maybe<Answer<'Backtest'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const task = await backtestTask(context, book, input)
  if (task.name === 'FHS_GARCH') throw new UserInputError('input.model: found FHS_GARCH, which is fitted again and again, allowed in a request are NORMAL_EWMA, FHS_EWMA and HISTORICAL; use startRiskRun', 'input.model')
  return { ...(await book.ask('backtest', task)), market: await nodeOf(context, task.market) }
}

const DYNAMIC = { model: 'volatility-margin', version: '1', source: 'api/risk/dynamic.ts: risk models §7 and §8; Commission Delegated Regulation (EU) 153/2013, art. 28(1)(a) and (c)' } as const

export async function resolveDynamicMargin(_: unknown, args: QueryDynamicMarginArgs, context: Context): Promise<Maybe<Answer<'DynamicMargin'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  return { ...(await book.ask('dynamicMargin', { ...args, market: facts.input.id })), market: node }
}

/** `market` as its id. Throws UserInputError and SampleTooSmallError. */
export function computeDynamicMargin(book: DeskBook, args: QueryDynamicMarginArgs): Omit<Answer<'DynamicMargin'>, 'market'> {
  const facts = book.context.market(args.market)
  const { policy } = book.inputs
  const level = checkLevel(args.level ?? 0.99, 'level')
  const { returns, bars } = seriesOf(book, facts, policy.barSec)
  const given = (field: 'oracleAgeSec' | 'detectionSec' | 'liquidationSec'): number | null => (args[field] == null ? null : within(field, args[field], 0, 7 * DAY_SEC, 'seconds'))
  const parts = horizonParts(book.context, facts).map(({ name, ...measured }): Answer<'HorizonPart'> => {
    const own = given(name)
    return own === null ? { name, ...measured } : { name, value: own, origin: 'GIVEN', why: 'an argument of this query' }
  })
  const size = carriedSize(book.context, facts) ?? 0
  const closing = size === 0 ? { cost: 0 } : book.context.closingCost(facts, size)
  if (closing === null) throw new SampleTooSmallError({ statistic: `cost of closing in ${facts.input.symbol}`, found: 0, needed: 1 })
  const at = (i: number): number => (parts[i] as { value: number }).value
  const margin = volatilityMargin({
    returns,
    volatility: args.garch ? { kind: 'garch' } : { kind: 'ewma', lambda: decayOf(policy.halfLifeSec, policy.barSec) },
    level,
    horizon: { oracleAgeSec: at(0), detectionSec: at(1), liquidationSec: at(2) },
    reactionSec: within('reactionSec', args.reactionSec ?? policy.margin.reactionSec, 0, 7 * DAY_SEC, 'seconds'),
    impact: closing.cost,
    penalty: protocolRatio(book, 'liquidationPenaltyRatio'),
    buffer: policy.margin.buffer,
    minRatio: policy.margin.minRatio,
    min: policy.margin.min,
    max: policy.margin.max,
  })
  const current = (name: string): number | null => tell(name, () => protocolRatio(book, name)).value
  return {
    provenance: provenance(DYNAMIC, book.block, { bars: bars.bars, startSec: bars.startSec, parts, book: book.digest }, args),
    initial: margin.initial,
    maintenance: margin.maintenance,
    currentInitial: current('imRatio'),
    currentMaintenance: current('mmRatio'),
    binding: margin.binding,
    components: [...margin.components],
    horizon: parts,
    horizonSec: margin.horizonSec,
    initialHorizonSec: margin.initialHorizonSec,
    side: sideOf(margin.side),
    forecast: forecastAnswer(margin.forecast),
    warnings: [...margin.warnings],
  }
}

const PORTFOLIO = { model: 'portfolio-margin', version: '1', source: 'api/risk/scan.ts and portfolio.ts: CME SPAN; Deribit; Derive PMRMLib.sol; Markowitz 1952; risk models §6' } as const
const REVALUATIONS = { FULL: 'full', GREEKS: 'greeks', NEAR_STRIKES_IN_FULL: 'near strikes in full' } as const
/** Bars and windows of the correlation band: 90 hours. */
const CORRELATION = { barSec: 3_600, window: 90 } as const

function legOf(leg: LegInput, i: number): Leg {
  const { kind, asset, size } = leg
  const stray = (['call', 'strike', 'years', 'volatility', 'forward', 'discount'] as const).find((name) => leg[name] != null)
  if (kind !== 'OPTION' && stray !== undefined) throw new UserInputError(`input.legs.${i}.${stray}: found one of a ${kind}, allowed is one of an OPTION; leave it out`, `input.legs.${i}.${stray}`)
  if (kind === 'SPOT') return { kind: 'spot', asset, size }
  if (kind === 'PERP') return { kind: 'perp', asset, size, ...(leg.mark == null ? {} : { mark: leg.mark }) }
  const { call, strike, years, volatility, forward, discount } = leg
  for (const [name, value] of Object.entries({ call, strike, years, volatility })) if (value == null) throw new UserInputError(`input.legs.${i}.${name}: found none, which every option has; give it`, `input.legs.${i}.${name}`)
  return { kind: 'option', asset, size, call: call as boolean, strike: strike as number, years: years as number, volatility: volatility as number, ...(forward == null ? {} : { forward }), ...(discount == null ? {} : { discount }) }
}

function uniqueNumbers(list: PortfolioInput['prices'], field: string): Record<string, number> {
  const out: Record<string, number> = {}
  for (const [i, { name, value }] of (list ?? []).entries()) {
    if (Object.hasOwn(out, name)) throw new UserInputError(`${field}.${i}.name: found ${name.slice(0, 60)} twice, allowed is each once; leave one out`, `${field}.${i}.name`)
    out[name] = value
  }
  return out
}

type OwnLegs = { readonly legs: readonly Leg[]; readonly cash: number }

/** An account's own legs: perpetuals with what ranges hold, other collateral after its ratio as spot, and cash with unrealised profit. */
async function ownLegs(context: Context, book: BookFacts, id: string): Promise<OwnLegs> {
  const accountId = atField('input.account', () => address('an account', id))
  const row = await context.accounts.load(accountId)
  if (row === null) throw new UserInputError(`input.account: found ${accountId}, which the index does not hold, allowed is an account of the protocol; correct it`, 'input.account')
  const health = await context.healthOf(row)
  if (health === null) throw new SampleTooSmallError({ statistic: `margin of ${accountId}`, found: 0, needed: 1 })
  const markets = await context.markets()
  const legs: Leg[] = health.positions.flatMap((p): Leg[] => {
    const symbol = markets.get(p.market.toLowerCase())?.symbol
    return symbol === undefined || p.totalSizeE18 === 0n ? [] : [{ kind: 'perp', asset: symbol, size: toFloat(p.totalSizeE18, 18) }]
  })
  for (const balance of await context.balancesOf.load(accountId)) {
    const token = book.inputs.collaterals.find((c) => c.id === balance.assetId)
    if (token === undefined) continue
    legs.push({ kind: 'spot', asset: token.symbol, size: toFloat(BigInt(balance.amount.toFixed(0)), token.decimals) * book.context.ratio('collateralRatio', token.id) })
  }
  return { legs, cash: toFloat(health.settlementTokenValueE18, 18) }
}

export async function resolvePortfolio(_: unknown, { input }: QueryPortfolioMarginArgs, context: Context): Promise<Maybe<Answer<'PortfolioMargin'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  return book.ask('portfolio', { input, own: input.account == null ? { legs: [], cash: 0 } : await ownLegs(context, book, input.account) })
}

/** `own`: the legs and cash of the account that the input names. Throws UserInputError and SampleTooSmallError. */
export function computePortfolio(book: DeskBook, { input, own }: { readonly input: PortfolioInput; readonly own: OwnLegs }): Answer<'PortfolioMargin'> {
  const { inputs } = book
  const level = checkLevel(input.level ?? 0.99, 'input.level')
  const horizonSec = wholeWithin('input.horizonSec', input.horizonSec ?? DAY_SEC, 300, 30 * DAY_SEC, 'seconds')
  const hypothetical = (input.legs ?? []).map(legOf)
  if (input.account == null && hypothetical.length === 0) throw new UserInputError('input.legs: found none and no account, allowed is at least one position; name an account or legs', 'input.legs')
  // Legs that were asked for come first, so that a fault names the place where it was written.
  const legs = [...hypothetical, ...own.legs]
  const indexed = new Map<string, number>()
  for (const m of book.context.markets) if (m.indexPrice !== null) indexed.set(m.input.symbol, m.indexPrice)
  for (const c of inputs.collaterals) if (c.oracle !== null) indexed.set(c.symbol, toFloat(BigInt(c.oracle.priceE18), 18))
  const named = [...new Set(legs.map((leg) => leg.asset))]
  const prices = { ...Object.fromEntries(named.flatMap((name) => (indexed.has(name) ? [[name, indexed.get(name) as number] as const] : []))), ...uniqueNumbers(input.prices, 'input.prices') }
  const theBook: Book = { prices, legs, cash: own.cash + (input.cash ?? 0) }
  atField('input', () => requireBook(theBook))

  const feedOf = new Map([...inputs.markets, ...inputs.collaterals].map((one) => [one.symbol, one.oracle?.feed ?? null]))
  const measured: Record<string, number> = {}
  for (const name of named) {
    const sigma = tell(name, () => book.context.volatility(feedOf.get(name) ?? null, name)).value
    if (sigma !== null) measured[name] = scaleVolatility(Math.max(sigma.now, sigma.longRun), inputs.policy.barSec, horizonSec)
  }
  const volatilities = { ...measured, ...uniqueNumbers(input.volatilities, 'input.volatilities') }
  const severity = severityOf(input.severity ?? 'SEVERE')
  const histories = named.map((asset) => ({ asset, standsFor: stressAssetOf(asset), beta: book.context.beta(feedOf.get(asset) ?? null, stressAssetOf(asset)) }))
  const grid = atField('input', () =>
    gridNamed(input.grid ?? 'SPAN-16', { priceScanRange: input.priceScanRange ?? protocolRatio(book, 'imRatio'), volatilityScanRange: input.volatilityScanRange ?? 0.25, assets: histories, severity }),
  )
  const correlations = bandsOf(book, named, feedOf)
  const bandOf = (a: string, b: string) => correlations.find((pair) => pair.assets.includes(a) && pair.assets.includes(b) && a !== b)?.band ?? null
  const result = atField('input', () =>
    bookMargin({
      book: theBook,
      grid,
      joint: gridNamed('REGIMES', { assets: histories, severity }),
      volatilities,
      correlations: (assets) => correlationMatrices(assets, bandOf),
      level,
      creditCap: within('input.creditCap', input.creditCap ?? 0.8, 0, 0.999_999, '0.8 lets offsets take 80 % off at most'),
      revaluation: REVALUATIONS[input.revaluation ?? 'FULL'],
    }),
  )
  const { margin, scan } = result
  const scanOf = new Map(scan.assets.map((a) => [a.asset, a]))
  return {
    provenance: provenance(PORTFOLIO, book.block, { book: theBook, volatilities, correlations: correlations.map(({ assets, band }) => ({ assets, band })), digest: book.digest }, input),
    grid: grid.id,
    gridSource: grid.source,
    initial: result.initial,
    maintenance: result.maintenance,
    parts: result.parts.map((part) => ({ ...part })),
    value: result.value,
    initialSurplus: result.initialMargin,
    maintenanceSurplus: result.maintenanceMargin,
    margin: margin.margin,
    binding: margin.binding,
    gross: margin.gross,
    isolated: result.isolated,
    diversification: margin.diversification,
    netting: result.isolated - margin.gross,
    offsetCredit: margin.offsetCredit,
    creditCap: margin.creditCap,
    scenarioLoss: margin.scenarioLoss,
    scenario: margin.scenario,
    correlated: numbers(margin.correlated.byCorrelation),
    correlations: correlations.map(({ assets, band, unknown }) => ({ assets, low: band?.low ?? null, median: band?.median ?? null, high: band?.high ?? null, observations: band?.observations ?? 0, unknown })),
    assets: result.assets.map((asset) => {
      const own = scanOf.get(asset.asset)
      const greeks = own?.greeks
      return {
        ...asset,
        price: prices[asset.asset] ?? 0,
        grossNotional: own?.grossNotional ?? 0,
        scanLoss: own?.loss ?? 0,
        scenario: own?.scenario ?? null,
        greeks: { delta: greeks?.delta ?? 0, gamma: greeks?.gamma ?? 0, vega: greeks?.vega ?? 0, vanna: greeks?.vanna ?? 0, volga: greeks?.volga ?? 0, theta: greeks?.theta ?? 0 },
        explained: own?.explained == null ? null : numbers(own.explained),
      }
    }),
  }
}

/** Correlation bands of every pair of assets of a book, by hourly returns that both have. */
function bandsOf(book: DeskBook, assets: readonly string[], feedOf: ReadonlyMap<string, string | null>) {
  const factsOf = (asset: string): MarketFacts | undefined => book.context.markets.find((m) => m.input.oracle?.feed === feedOf.get(asset))
  return assets.flatMap((a, i) =>
    assets.slice(i + 1).map((b) => {
      const told = tell(`correlation of ${a} and ${b}`, () => {
        if (feedOf.get(a) != null && feedOf.get(a) === feedOf.get(b)) return { low: 1, median: 1, high: 1, observations: 0 }
        const bars = [a, b].map((asset) => {
          const facts = factsOf(asset)
          const found = facts === undefined ? null : book.bars(facts, CORRELATION.barSec)
          if (found === null) throw new SampleTooSmallError({ statistic: `prices of ${asset}`, found: 0, needed: CORRELATION.window })
          return found
        }) as [BarSeries, BarSeries]
        const start = Math.max(...bars.map((one) => one.startSec))
        const end = Math.min(...bars.map((one) => one.startSec + one.barCount * one.barSec))
        const common = bars.map((one): BarSeries => {
          const shift = (start - one.startSec) / one.barSec
          const barCount = Math.max(0, (end - start) / one.barSec)
          return { startSec: start, barSec: one.barSec, barCount, bars: one.bars.flatMap((bar) => (bar.index >= shift && bar.index - shift < barCount ? [{ index: bar.index - shift, close: bar.close }] : [])) }
        })
        const [x, y] = jointReturns(common, { maxSpan: 1 }) as [Returns, Returns]
        try {
          return correlationBand(x, y, CORRELATION.window)
        } catch (error) {
          // A price that never moves correlates with nothing that could be measured.
          if (error instanceof BadInputError) throw new SampleTooSmallError({ statistic: `moves of ${a} and ${b}`, found: 0, needed: CORRELATION.window })
          throw error
        }
      })
      return { assets: [a, b], band: told.value, unknown: told.unknown }
    }),
  )
}

