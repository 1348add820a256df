/** What stands behind the book: collateral and its haircuts, the feeds that value it, and the insurance fund. */
import { toFloat } from '../../../core/units.ts'
import { protocolRatio, symbolsOf } from './liquidations.ts'
import { stressScenarios, type ScenarioShortfall } from '../../risk/index.ts'
import { assumedBetas, stressAssetOf } from '../../recommendations/context.ts'
import {
  collateralConcentration, collateralHaircut, depegComponent, dailyVolatility, DEFAULT_ORACLE, depositCap, feeToTarget, fillingAtFee, insuranceTarget, oracleHealth, scaleVolatility, stalenessComponent, withStressWeight, worstFall,
  type Holding, type SimulatedShortfall,
} from '../../risk/index.ts'
import { priceOfSqrtX96 } from '../../../protocols/curie/uniswap-v3.ts'
import type { Context } from '../context.ts'
import type { InsuranceFundTargetArgs, Maybe } from '../generated/resolvers.ts'
import type { CollateralAssetNode } from '../model.ts'
import { notMeasured, provenance, tell, UserInputError, within, type Answer } from './answer.ts'
import type { DeskBook, RiskBook } from './book.ts'
import { bookScenarioOf, type Engine } from './engine.ts'

const YEAR_SEC = 365 * 86_400
const HAIRCUTS = { model: 'collateral-haircut', version: '1', source: 'api/risk/collateral.ts: CPSS-IOSCO, Principles for financial market infrastructures, 2012, 3.5; Regulation (EU) 153/2013, art. 28(1)(b); risk models §8' } as const
/** Above these shares a sentence warns. */
const CONCENTRATION = { maxAssetShare: 0.5, maxHolderShare: 0.25 } as const
const MAX_IMPACT = 0.02
const MAX_VOLUME_SHARE = 0.1

/** Meant to be worth a dollar, in which index prices are; other currencies' tokens have no peg that a price here could leave. */
const isPegged = (symbol: string): boolean => stressAssetOf(symbol) === 'STABLE' && !/EUR/i.test(symbol)

/** Who holds how much of each collateral. */
export function computeConcentration({ inputs }: DeskBook) {
  const tokens = new Map(inputs.collaterals.map((token) => [token.id, { decimals: token.decimals, price: token.oracle === null ? null : toFloat(BigInt(token.oracle.priceE18), 18) }]))
  const holdings = inputs.accounts.flatMap((account): Holding[] =>
    account.collaterals.flatMap(({ asset, amount }) => {
      const { decimals = 18, price = null } = tokens.get(asset) ?? {}
      return price === null || BigInt(amount) <= 0n ? [] : [{ asset, holder: account.id, value: toFloat(BigInt(amount), decimals) * price }]
    }),
  )
  return collateralConcentration(holdings, CONCENTRATION)
}

export async function resolveHaircuts(_: unknown, __: unknown, context: Context): Promise<Maybe<Answer<'CollateralHaircuts'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { inputs } = book
  const { collateral: policy, z, barSec, level } = inputs.policy
  const nodes = await context.collaterals()
  const priceOf = new Map(inputs.collaterals.map((c) => [c.id, c.oracle === null ? null : toFloat(BigInt(c.oracle.priceE18), 18)]))
  const concentration = await book.ask('concentration', undefined)
  const ofAsset = new Map(concentration.assets.map((a) => [a.asset, a]))
  const scenarios = stressScenarios('severe')
  const peggedFeeds = inputs.collaterals.flatMap((token) => (isPegged(token.symbol) && token.oracle !== null ? [token.oracle.feed] : []))
  const days = peggedFeeds.length === 0 ? [] : await (await context.db()).priceStats.findMany({ where: { feedId: { in: peggedFeeds }, interval: 'day', timestamp: { gte: book.block.timestamp - BigInt(inputs.policy.windowSec) } }, select: { feedId: true, lowE18: true } })
  const collaterals = inputs.collaterals.flatMap((token): Answer<'CollateralHaircut'>[] => {
    const asset = nodes.get(token.id)
    if (asset === undefined) return []
    const own = ofAsset.get(token.id)
    const price = priceOf.get(token.id) ?? null
    const held = toFloat(BigInt(token.totalBalance), token.decimals)
    const pegged = isPegged(token.symbol)
    // How far below its peg each day's lowest price was; a token of another feed's days has none.
    const lows = days.flatMap((day) => (day.feedId === token.oracle?.feed ? [1 - toFloat(BigInt(day.lowE18.toFixed(0)), 18)] : []))
    const told = tell(`haircut of ${token.symbol}`, () => {
      const sigma = book.context.volatility(token.oracle?.feed ?? null, token.symbol)
      const daily = dailyVolatility(Math.max(sigma.now, sigma.longRun), barSec)
      const standsFor = stressAssetOf(token.symbol)
      const { fall } = worstFall(scenarios, standsFor, book.context.beta(token.oracle?.feed ?? null, standsFor))
      const ageSec = Math.max(0, Number(book.block.timestamp) - (token.oracle?.priceTimestampSec ?? 0))
      const value = held * (price ?? 0)
      const result = collateralHaircut({
        z,
        dailyVolatility: daily,
        horizonHours: policy.horizonHours,
        quantity: value,
        dailyVolume: policy.assumedDailyVolumeUsd,
        floor: policy.floor,
        addOns: [
          { name: 'liquidation discount', value: book.context.ratio('discountRatio', token.id) },
          stalenessComponent({ z, sigmaPerYear: scaleVolatility(daily, 86_400, YEAR_SEC), ageSec }),
          // A peg breaks at once and not by volatility; its stress is the library's depeg.
          pegged ? depegComponent({ discounts: lows.length > 0 ? lows : [1 - (price ?? 1)], level, stressed: fall, weight: policy.stressWeight })
          // EMIR's weight on stressed observations: what it adds to the calm part.
          : { name: 'stress', value: Math.max(0, withStressWeight(z * daily * Math.sqrt(policy.horizonHours / 24), fall, policy.stressWeight) - z * daily * Math.sqrt(policy.horizonHours / 24)) },
        ],
      })
      const cap = price === null ? null : depositCap({ dailyVolume: policy.assumedDailyVolumeUsd / price, dailyVolatility: daily, horizonHours: policy.horizonHours, maxImpact: MAX_IMPACT, maxVolumeShare: MAX_VOLUME_SHARE, circulatingSupply: null, maxSupplyShare: 1, held })
      return { result, cap }
    })
    return [{
      asset: asset as CollateralAssetNode,
      haircut: told.value?.result.haircut ?? null,
      collateralRatio: told.value?.result.collateralRatio ?? null,
      currentRatio: tell('collateralRatio', () => book.context.ratio('collateralRatio', token.id)).value,
      floored: told.value?.result.floored ?? false,
      components: [...(told.value?.result.components ?? [])],
      held: own?.value ?? 0,
      share: own?.share ?? 0,
      holders: own?.holders ?? 0,
      topHolder: own?.topHolder ?? null,
      topHolderShare: own?.topHolderShare ?? 0,
      holderHerfindahl: own?.herfindahl ?? 0,
      warnings: (own?.warnings ?? []).map((text) => text.replace(token.id, token.symbol)),
      depositCap: told.value?.cap?.cap ?? null,
      depositCapWhy: told.value?.cap?.why ?? null,
      unknown: told.unknown,
    }]
  })
  return {
    provenance: provenance(HAIRCUTS, book.block, book.digest, { CONCENTRATION, MAX_IMPACT, MAX_VOLUME_SHARE }),
    total: concentration.total,
    herfindahl: concentration.herfindahl,
    collaterals,
    assumptions: [
      `each token trades ${policy.assumedDailyVolumeUsd} quote a day elsewhere`,
      `it is sold within ${policy.horizonHours} h, at most ${MAX_VOLUME_SHARE * 100} % of the volume of that time and ${MAX_IMPACT * 100} % of impact`,
      'its supply is not indexed and does not cap deposits',
      ...assumedBetas(book.context).filter(({ symbol }) => inputs.collaterals.some((c) => c.symbol === symbol)).map(({ symbol, why }) => `${symbol}: ${why}`),
      'a token named after the dollar is pegged to it: its depeg part is the 99 % quantile of how far each day’s lowest price of 30 days was below 1, with a quarter of the weight on the library’s depeg',
    ],
  }
}

const ORACLE = { model: 'oracle-health', version: '1', source: 'api/risk/oracle.ts: risk models §1.5 and §11; Bachelier 1900; Chainlink, L2 sequencer uptime feeds' } as const

/** Age from which a feed's price is not counted on, s. */
function lateLimit(heartbeatSec: number, timeoutSec: number | null): { lateSec: number; lateWhy: string } {
  const { lateFactor } = DEFAULT_ORACLE
  const lateSec = lateFactor * heartbeatSec
  return timeoutSec !== null && timeoutSec < lateSec ? { lateSec: timeoutSec, lateWhy: `the feed itself gives up after ${timeoutSec} s` } : { lateSec, lateWhy: `oracle rules: late after ${lateFactor} heartbeats, and the risk policy’s heartbeat is ${heartbeatSec} s` }
}

export async function resolveOracles(_: unknown, __: unknown, context: Context): Promise<Maybe<Answer<'OracleHealth'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const rows = await (await context.db()).oracleFeed.findMany({ orderBy: { id: 'asc' } })
  const { policy } = book.inputs
  const margin = tell('mmRatio', () => protocolRatio(book, 'mmRatio'))
  const feeds = rows.map((row): Answer<'FeedHealth'> => {
    const markets = book.context.markets.filter((m) => m.input.oracle?.feed === row.id)
    const sigma = tell(`volatility of ${symbolsOf(book, row.id).join(', ') || row.id}`, () => book.context.volatility(row.id, row.id))
    const perBar = sigma.value === null ? null : Math.max(sigma.value.now, sigma.value.longRun)
    const reference = markets[0]?.input.sqrtPriceX96 ?? null
    const price = row.priceE18 === null ? null : toFloat(BigInt(row.priceE18.toFixed(0)), 18)
    const timeoutSec = row.timeoutSec === null ? null : Number(row.timeoutSec.toFixed(0))
    const health = oracleHealth(
      { nowSec: Number(book.block.timestamp), priceTimestampSec: row.priceTimestamp === null ? null : Number(row.priceTimestamp), price, referencePrice: reference === null ? null : toFloat(priceOfSqrtX96(BigInt(reference)), 18), freezeReason: row.freezeReason, fallback: row.fallback, confidence: null, sequencerUpForSec: null, skippedRounds: null },
      { ...DEFAULT_ORACLE, heartbeatSec: policy.heartbeatSec, timeoutSec, sigma5Min: perBar === null ? null : scaleVolatility(perBar, policy.barSec, 300), sigmaPerYear: perBar === null ? null : scaleVolatility(perBar, policy.barSec, YEAR_SEC), margin: margin.value ?? 0, openInterest: markets.reduce((sum, m) => sum + m.openInterest, 0) },
    )
    const { flags, heartbeats: _heartbeats, ...rest } = health
    const sigmaUnknown = sigma.unknown ?? (health.expectedLoss === null ? notMeasured('age of the price', 'Found no price of this feed, needed is one for its age; wait for the first') : null)
    return { ...rest, expectedLoss: margin.value === null ? null : rest.expectedLoss, expectedLossUnknown: margin.unknown ?? sigmaUnknown, feed: row.id, symbols: symbolsOf(book, row.id), heartbeatSec: policy.heartbeatSec, ...lateLimit(policy.heartbeatSec, timeoutSec), fallback: row.fallback, flags: [...flags] }
  })
  return { provenance: provenance(ORACLE, book.block, { rows: rows.map((row) => ({ id: row.id, price: row.priceE18?.toFixed(0) ?? null, at: row.priceTimestamp, reason: row.freezeReason, fallback: row.fallback })), book: book.digest }), feeds }
}

const MAX_FEES = 100
/** A fee that the fund gets of turnover; above it a trade would cost more than a liquidation. */
const MAX_FEE = 0.05
const FUND = { model: 'insurance-target', version: '1', source: 'api/risk/shortfall.ts and fund.ts: Eurex Clearing, default fund dimensioning; Barone-Adesi et al. 1999; risk models §10' } as const

export type StoredSimulation = { readonly id: string; readonly block: { readonly number: bigint; readonly hash: string; readonly timestamp: bigint }; readonly result: SimulatedShortfall }

export const simulationAnswer = ({ id, block, result }: StoredSimulation): Answer<'FundSimulation'> => ({
  run: id,
  block,
  paths: result.paths,
  horizonSec: result.horizonSec,
  seed: result.seed,
  level: result.quantile.level,
  quantile: result.quantile.value,
  confidence: result.quantile.confidence,
  lower: result.quantile.lower,
  upper: result.quantile.upper,
  expectedShortfall: result.expectedShortfall,
  mean: result.mean,
  standardError: result.standardError,
  lossShare: result.lossShare,
  capacityBoundShare: result.capacityBoundShare,
  meanPerDay: result.meanPerDay,
  histogram: result.histogram === undefined ? null : [...result.histogram],
  histogramUnknown: result.histogram === undefined ? notMeasured('distribution of losses', 'Found a run that kept no distribution of its losses, needed is one of this version; start it again with startRiskRun') : null,
})

/** All trading fees of the window, and the fund's own share of them, quote a day. */
function feesOf(book: RiskBook): { fees: number; turnover: number; income: number } {
  const { markets } = book.context
  const sum = (value: (market: (typeof markets)[number]) => number): number => markets.reduce((total, m) => total + value(m), 0)
  return {
    fees: sum((m) => m.feesPerDay),
    turnover: sum((m) => m.dailyVolume),
    income: sum((m) => m.feesPerDay * (tell('insuranceFundFeeRatio', () => book.context.ratio('insuranceFundFeeRatio', m.input.id)).value ?? 0)),
  }
}

/** What all accounts leave behind under each regime. Throws SampleTooSmallError. */
export const computeShortfalls = (book: DeskBook, _task: null, engine: Engine): Promise<readonly ScenarioShortfall[]> =>
  engine.withBook(book, async (accounts, pool) => {
    const results = await pool.stress(accounts, stressScenarios('severe').map((scenario) => bookScenarioOf(book.context, scenario)))
    return results.map(({ id, shortfall, cover1, cover2, accountsInLoss }) => ({ id, total: shortfall, cover1, cover2, accountsInLoss }))
  })

export async function resolveFundTarget(_: unknown, args: InsuranceFundTargetArgs, context: Context): Promise<Maybe<Answer<'FundTarget'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const kappa = within('kappa', args.kappa ?? 0.01, 0, 1, '0.01 is 1 % of open interest')
  const days = within('days', args.days ?? 90, 1, 3_650, 'days in which the gap is to be filled')
  const fees = args.fees ?? []
  if (fees.length > MAX_FEES) throw new UserInputError(`fees: found ${fees.length}, allowed are up to ${MAX_FEES}; ask for fewer`, 'fees')
  fees.forEach((fee, i) => within(`fees.${i}`, fee, 0, MAX_FEE, '0.0001 is one basis point of turnover'))
  const capacity = book.context.fundCapacity
  const fund = capacity === null ? null : Math.max(0, capacity)
  const simulation = await context.risk.runs.simulation(context, book.block, args.simulation)
  const stress = await book.ask('shortfalls', null)
  const { fees: feesPerDay, turnover, income } = feesOf(book)
  // The target does not depend on what the fund holds; what does is unknown with it.
  const target = insuranceTarget({ stress, simulation: simulation?.result ?? null, openInterest: book.context.openInterest, kappa, fund: fund ?? 0, incomePerDay: income })
  const gap = fund === null ? null : target.gap
  const fundUnknown = fund === null ? notMeasured('insurance fund', 'Found no balance of the insurance fund in the index, needed is one for the gap, the runway and the fee; wait until it is indexed') : null
  const simulationUnknown = simulation === null ? notMeasured('simulated shortfall', 'Found no finished simulation of the policy’s own at or before this block, needed is one for its quantile, the runway and the fee; wait for the one that recommendations start, or start it with startRiskRun(input: { fund: {} })') : null
  const fee = gap === null || simulation === null ? { value: null, unknown: fundUnknown ?? simulationUnknown } : tell('fee', () => feeToTarget({ gap, days, feesPerDay, turnoverPerDay: turnover, expectedLossPerDay: simulation.result.meanPerDay, otherIncomePerDay: 0 }))
  return {
    provenance: provenance(FUND, book.block, { book: book.digest, simulation: simulation && { block: simulation.block.hash, result: simulation.result } }, { kappa, days }),
    fund,
    fundUnknown,
    target: target.target,
    gap,
    binding: target.binding,
    cover1: target.cover1,
    cover2: target.cover2,
    scenario: target.scenario,
    scenarioShortfall: target.scenarioShortfall,
    openInterestTerm: target.openInterestTerm,
    simulation: simulation && simulationAnswer(simulation),
    simulationUnknown,
    runwayDays: simulation === null || fund === null ? null : target.runwayDays,
    feesPerDay,
    turnoverPerDay: turnover,
    incomePerDay: income,
    feeShare: fee.value?.shareOfFees ?? null,
    feeOfTurnover: fee.value?.shareOfTurnover ?? null,
    feeReachable: fee.value?.reachable ?? null,
    feeUnknown: fee.unknown,
    atFees: gap === null || simulation === null ? null : fees.map((feeOfTurnover) => ({ feeOfTurnover, ...fillingAtFee({ feeOfTurnover, gap, feesPerDay, turnoverPerDay: turnover, expectedLossPerDay: simulation.result.meanPerDay, otherIncomePerDay: 0 }) })),
    atFeesUnknown: fundUnknown ?? simulationUnknown,
    days,
    why: target.why,
  }
}

/** Haircut ratio that the model gives a collateral, 1e6 = 100 %, for playbooks; null where it gives none. */
export async function haircutRatiosE6(context: Context): Promise<ReadonlyMap<string, bigint>> {
  const answer = await resolveHaircuts(null, null, context)
  return new Map((answer?.collaterals ?? []).flatMap((one) => (one.collateralRatio == null ? [] : [[one.asset.id, BigInt(Math.floor(one.collateralRatio * 1e6))] as const])))
}

