/** What the index cannot tell is null with a reason, never a number: resolvers over a book that lacks it. */
import { describe, expect, test } from '@jest/globals'
import { makeBook, type RiskBook } from '../../api/graphql/risk/book.ts'
import { computeShortfalls, resolveFundTarget, resolveOracles } from '../../api/graphql/risk/reserves.ts'
import { computeQueue, resolveQueue, type QueueTask } from '../../api/graphql/risk/liquidations.ts'
import { computeStates, resolveStates } from '../../api/graphql/risk/rules.ts'
import { createEngine } from '../../api/graphql/risk/engine.ts'
import type { Context } from '../../api/graphql/context.ts'
import type { AccountBook } from '../../api/graphql/margins.ts'
import type { RunInputs } from '../../api/recommendations/inputs.ts'
import { AS_OF_SEC, book, ETH, FEEDS, OP } from '../recommendations/book.ts'

const BLOCK = { number: 7n, hash: '0x07', timestamp: BigInt(AS_OF_SEC) }
const E18 = 10n ** 18n

type Held = { readonly value: number; readonly requirement: number; readonly market: string; readonly notional: number }

/** A request over a book: what resolvers of the risk engine ask of it, and accounts as their protocol values them. */
function request(inputs: RunInputs, held: Readonly<Record<string, Held>> = {}, simulation: unknown = null, timeoutSec: string | null = null): Context {
  const margins = {
    gaps: [],
    exposedIds: Object.keys(held),
    walk: async function* () {
      yield Object.entries(held).map(([id, one]) => [{ id }, of(one)])
    },
    exposed: (id: string) => of(held[id] as Held),
  } as unknown as AccountBook
  const made = makeBook(BLOCK, inputs, async () => margins)
  const engine = createEngine({ threads: 1 })
  const riskBook = {
    ...made,
    ask: async (kind: string, task: unknown) => {
      if (kind === 'queue') return computeQueue(made, task as QueueTask)
      if (kind === 'states') return computeStates(made, task as Parameters<typeof computeStates>[1])
      if (kind !== 'shortfalls') throw new Error(`nobody answers ${kind} here`)
      const answer = await computeShortfalls(made, null, engine)
      await engine.close()
      return answer
    },
  } as unknown as RiskBook
  const feed = (id: string) => ({ id, priceE18: { toFixed: () => (3_000n * E18).toString() }, priceTimestamp: BigInt(AS_OF_SEC - 600), freezeReason: 0, fallback: false, timeoutSec: timeoutSec === null ? null : { toFixed: () => timeoutSec } })
  const of = ({ value, requirement, market, notional }: Held) => ({
    accountValueE18: BigInt(value) * E18, marginRequirementE18: BigInt(requirement) * E18, belowMaintenance: value < requirement, liquidatable: value < requirement,
    positions: [{ market, positionValueE18: BigInt(notional) * E18, unrealizedPnlE18: 0n }],
  })
  return {
    riskBook: async () => riskBook,
    margins: { told: () => {} },
    db: async () => ({ oracleFeed: { findMany: async () => [feed(FEEDS.ETH)] }, liquidation: { findMany: async () => [] } }),
    markets: async () => new Map([ETH, OP].map((id) => [id, { id, symbol: id }])),
    risk: { runs: { simulation: async () => simulation } },
  } as unknown as Context
}

/** Nobody makes or trades vOP. */
const still: RunInputs = { ...book(), markets: book().markets.map((m) => (m.id === OP ? { ...m, volumeE18: '0', ranges: [] } : m)) }

describe('tiers and deficits', () => {
  const held = {
    '0xa': { value: -10, requirement: 50, market: OP, notional: 800 },
    '0xb': { value: -20, requirement: 50, market: ETH, notional: 800 },
    '0xc': { value: 24, requirement: 50, market: OP, notional: 800 },
    '0xd': { value: 500, requirement: 50, market: ETH, notional: 800 },
  }
  const states = async (inputs: RunInputs) => new Map((await resolveStates(null, { first: 50 }, request(inputs, held)))?.nodes.map((one) => [one.account, one]))

  test('behavior: a market whose closing cost nobody measured makes no account free to close', async () => {
    const all = await states(still)
    // The penalty of 2.5 % of 800 is known.
    expect(all.get('0xa')).toMatchObject({ tier: 'FUND', closingCost: null, deficit: null, fromFund: null, fromWinners: null, socialised: null, why: 'lacks at least 30.00: who pays is unknown', unknown: { reason: 'NOT_MEASURED', what: 'closing cost in vOP' } })
    // Its own deficit is known; what the fund has left for it is not.
    expect(all.get('0xb')).toMatchObject({ tier: 'FUND', closingCost: expect.any(Number), fromFund: null, unknown: { what: 'closing cost in vOP' } })
    expect(all.get('0xb')?.deficit).toBeGreaterThan(20)
    expect(all.get('0xc')).toMatchObject({ tier: 'FULL', closingCost: null, deficit: 0, why: 'holds 48.0 % of its requirement, taken whole below 50 %; whether closing uses up what is left is unknown', unknown: { what: 'closing cost in vOP' } })
    expect(all.get('0xd')).toMatchObject({ tier: 'HEALTHY', unknown: null })
    const queue = await resolveQueue(null, { first: 50 }, request(still, held))
    expect(queue?.unknown.map(({ what }) => what)).toEqual(['closing cost in vOP'])
    expect(queue?.tiers.find(({ tier }) => tier === 'FUND')).toMatchObject({ accounts: 2, deficit: null, fromFund: null, socialised: null })
    expect(queue?.tiers.find(({ tier }) => tier === 'FULL')).toMatchObject({ accounts: 1, deficit: 0, fromFund: 0 })
  })

  test('behavior: a fund that is not indexed is none that holds nothing', async () => {
    const all = await states({ ...book(), fund: null })
    expect(all.get('0xb')).toMatchObject({ tier: 'FUND', fromFund: null, socialised: null, unknown: { what: 'insurance fund' } })
    expect(all.get('0xb')?.deficit).toBeGreaterThan(20)
    // A fund that holds nothing is known, and pays nothing.
    const empty = await states({ ...book(), fund: { walletBalance: '0', inTransit: '0', vaultBalanceE18: '0' } })
    expect(empty.get('0xb')).toMatchObject({ tier: 'SOCIALISED', fromFund: 0, unknown: null })
    expect(empty.get('0xb')?.socialised).toBe(empty.get('0xb')?.deficit)
  })
})

describe('what a backlog is held against', () => {
  const limit = async (inputs: RunInputs) => (await resolveQueue(null, { first: 1 }, request(inputs)))?.backlogLimit

  test('behavior: the least time to close of the markets with open positions, none without them', async () => {
    // Nobody makes vOP: the policy's hour. vETH: 95 % of positions are below 862,500, and the penalty of 2.5 % takes 200,000 · √3000 · (1 − 1/√1.025) = 134,416
    // every 600 s: seven times.
    expect(await limit(book())).toMatchObject({ seconds: 3600, market: { symbol: OP }, origin: 'ASSUMED' })
    const without = (...markets: string[]): RunInputs => ({ ...book(), accounts: book().accounts.map((account) => ({ ...account, positions: account.positions.filter(({ market }) => !markets.includes(market)) })) })
    expect(await limit(without(OP))).toMatchObject({ seconds: 4200, market: { symbol: ETH }, origin: 'MEASURED' })
    expect(await limit(without(ETH, OP))).toBeNull()
  })
})

describe('the fund’s target', () => {
  const target = async (inputs: RunInputs, simulation: unknown = null) => resolveFundTarget(null, { kappa: 0.01, days: 90 }, request(inputs, {}, simulation))
  const simulation = { id: 'r', block: BLOCK, result: { paths: 10_000, horizonSec: 86_400, seed: 1, quantile: { level: 0.999, value: 1, confidence: 0.95, lower: 0, upper: 2 }, expectedShortfall: 1, meanPerDay: 20, mean: 20, standardError: 1, lossShare: 0, capacityBoundShare: 0 } }

  test('behavior: without the fund the target is known, its gap, runway and fee are not', async () => {
    expect(await target({ ...book(), fund: null }, simulation)).toMatchObject({ fund: null, fundUnknown: { what: 'insurance fund' }, target: expect.any(Number), gap: null, runwayDays: null, feeShare: null, feeOfTurnover: null, feeReachable: null, feeUnknown: { what: 'insurance fund' } })
  })

  test('behavior: the fee pays the expected loss as well, and is unknown where nothing was simulated', async () => {
    expect(await target(book())).toMatchObject({ fund: 50_000, fundUnknown: null, feeShare: null, feeUnknown: { what: 'simulated shortfall' } })
    const known = await target(book(), simulation)
    // Fees of 30,000 + 2,250 in 30 days; the gap over 90 days and 20 a day of losses.
    expect(known?.feeShare).toBeCloseTo(((known?.gap ?? 0) / 90 + 20) / (32_250 / 30), 9)
    expect(known?.feeUnknown).toBeNull()
  })

  test('behavior: tells what a fee would fill, from the fund, its expected loss and turnover alone, and where that is unknown', async () => {
    const at = async (of: RunInputs, fees: readonly number[], run: unknown = simulation) => resolveFundTarget(null, { kappa: 1, days: 90, fees: [...fees] }, request(of, {}, run))
    const known = await at(book(), [0, 0.001])
    // Nothing but losses of 20 a day: never. A tenth of a percent of turnover, less the losses.
    const [none, some] = known?.atFees ?? []
    expect(none).toMatchObject({ feeOfTurnover: 0, incomePerDay: 0, netPerDay: -20, days: null })
    const turnover = known?.turnoverPerDay ?? 0
    expect(turnover).toBeGreaterThan(0)
    expect(some?.netPerDay).toBeCloseTo(turnover / 1000 - 20, 6)
    expect(some?.days).toBeCloseTo((known?.gap ?? 0) / (turnover / 1000 - 20), 6)
    expect(known?.atFeesUnknown).toBeNull()
    expect(await at(book(), [0.001], null)).toMatchObject({ atFees: null, atFeesUnknown: { what: 'simulated shortfall' } })
    expect(await at({ ...book(), fund: null }, [0.001])).toMatchObject({ atFees: null, atFeesUnknown: { what: 'insurance fund' } })
    await expect(at(book(), [0.06])).rejects.toThrow('fees.0: found 0.06, allowed is 0 to 0.05')
    await expect(at(book(), Array.from({ length: 101 }, () => 0))).rejects.toThrow('fees: found 101')
  })

  test('behavior: a run from before the distribution of losses was kept says so, and is not one without losses', async () => {
    expect((await target(book(), simulation))?.simulation).toMatchObject({ histogram: null, histogramUnknown: { reason: 'NOT_MEASURED' } })
    const histogram = [{ from: 0, to: 0, paths: 10_000 }]
    expect((await target(book(), { ...simulation, result: { ...simulation.result, histogram } }))?.simulation).toMatchObject({ histogram, histogramUnknown: null })
  })
})

describe('a feed’s expected loss', () => {
  const feed = async (inputs: RunInputs) => (await resolveOracles(null, {}, request(inputs)))?.feeds[0]

  test('behavior: without the maintenance margin it is unknown, and not that of a margin of 0', async () => {
    expect(await feed(book())).toMatchObject({ expectedLoss: expect.any(Number), expectedLossUnknown: null })
    expect(await feed({ ...book(), parameters: book().parameters.filter(({ name }) => name !== 'mmRatio') })).toMatchObject({ expectedLoss: null, expectedLossUnknown: { reason: 'SAMPLE_TOO_SMALL', what: 'mmRatio' } })
  })

  test('behavior: without a volatility it says so', async () => {
    expect(await feed({ ...book(), series: book().series.map((one) => ({ ...one, bars: one.bars.slice(0, 10) })) })).toMatchObject({ expectedLoss: null, expectedLossUnknown: { what: 'volatility of vETH, WETH' } })
  })
})

describe('the limit of a price’s age', () => {
  const feed = async (timeoutSec: string | null) => (await resolveOracles(null, {}, request(book(), {}, null, timeoutSec)))?.feeds[0]

  test('behavior: 1.2 heartbeats of the policy, or the feed’s own timeout where that is sooner', async () => {
    const rules = 'oracle rules: late after 1.2 heartbeats, and the risk policy’s heartbeat is 1200 s'
    expect(await feed(null)).toMatchObject({ heartbeatSec: 1200, lateSec: 1440, lateWhy: rules })
    expect(await feed('1440')).toMatchObject({ lateSec: 1440, lateWhy: rules })
    expect(await feed('1439')).toMatchObject({ lateSec: 1439, lateWhy: 'the feed itself gives up after 1439 s' })
  })
})
