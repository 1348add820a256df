import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { BLOCK, addressOf, deployment, log, noChain, seed, services } from './support.ts'
import { seedRisk } from './risk-support.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import type { Services } from '../../api/graphql/context.ts'
import { compareRows, type IndexRows } from '../../api/graphql/risk/recompute.ts'
import { runInputsOf, runRecommendations } from '../../api/recommendations/index.ts'
import { curie } from '../../protocols/curie/index.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

jest.setTimeout(60_000)

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let shared: Services

type Answer = { data: any; errors?: { message: string; path?: unknown[]; extensions: { code: string; path?: unknown[]; facts?: Record<string, unknown> } }[] } // oxlint-disable-line typescript/no-explicit-any
const ask = async (query: string, variables: object = {}): Promise<Answer> =>
  (await (await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) })).json()) as Answer
const good = async (query: string, variables: object = {}): Promise<any> => { // oxlint-disable-line typescript/no-explicit-any
  const { data, errors } = await ask(query, variables)
  expect(errors).toBeUndefined()
  return data
}
/** Code and field of the only error. */
const fault = async (query: string, variables: object = {}): Promise<[string | undefined, unknown]> => {
  const { errors } = await ask(query, variables)
  expect(errors).toHaveLength(1)
  return [errors?.[0]?.extensions.code, errors?.[0]?.extensions.facts?.['field']]
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  await seedRisk(prisma)
  shared = services(prisma, noChain)
  server = await startServer({ ...shared, log, host: '127.0.0.1', port: 0 })
}, 240_000)
afterAll(async () => {
  await shared?.risk.runs.stop()
  await server?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

describe('margin of an account', () => {
  test('behavior: says tier, leverage, and each position with its own requirements, prices and distance', async () => {
    const { account } = await good(`{ account(id: "${addressOf(1)}") { margin { tier leverage provenance { model block { number } inputsDigest } positions { market { symbol } size { value } value { value } initialMargin { value } maintenanceMargin { value } liquidationPrice { value } bankruptcyPrice { value } distanceToLiquidation } } } }`)
    // 2 vETH at 1,800: 3,600 of value over 800 of account value; 10 % and 6.25 % of it.
    expect(account.margin).toMatchObject({ tier: 'HEALTHY', leverage: 4.5, provenance: { model: 'curie-margin', block: { number: String(BLOCK.number) } } })
    expect(account.margin.provenance.inputsDigest).toMatch(/^[0-9a-f]{64}$/)
    // (1800 − 1493.33…) / 1800 = 17.037 %, rounded down to a millionth.
    expect(account.margin.positions).toEqual([{ market: { symbol: 'vETH' }, size: { value: '2' }, value: { value: '3600' }, initialMargin: { value: '360' }, maintenanceMargin: { value: '225' }, liquidationPrice: { value: '1493.333333333333333333' }, bankruptcyPrice: { value: '1400' }, distanceToLiquidation: 0.17037 }])
  })
})

describe('liquidations', () => {
  test('behavior: the queue holds accounts within 5 %, by distance, with what is due and the tiers of all', async () => {
    const { liquidationQueue: queue } = await good('{ liquidationQueue(capacityPerHour: 500) { provenance { version } entryCount entries { account tier distance value requirement gross due hindered positions { market { symbol } notional takeable } } buckets { from to accounts } dueAccounts dueNotional backlogHours capacityPerHour tiers { tier accounts } } }')
    // Account 3: 1 vBTC bought at 1,900, marked 1,000: value 100, requirement 62.5, gross 1,000: (100 − 62.5) / 1000.
    expect(queue.entries).toMatchObject([{ account: addressOf(3), distance: 0.0375, value: 100, requirement: 62.5, gross: 1000, due: false, hindered: null, positions: [{ market: { symbol: 'vBTC' }, notional: 1000, takeable: 0 }] }])
    expect(queue).toMatchObject({ entryCount: 1, dueAccounts: 0, dueNotional: 0, backlogHours: 0, capacityPerHour: 500 })
    expect(queue.buckets.map((b: { accounts: number }) => b.accounts)).toEqual([0, 0, 0, 1])
    // Account 30 stands on its range alone.
    expect(queue.tiers.reduce((sum: number, t: { accounts: number }) => sum + t.accounts, 0)).toBe(5)
  })

  test('behavior: the ladder counts, at each price, the accounts that it makes due', async () => {
    const { liquidationLadder: ladder } = await good('{ liquidationLadder(market: "vETH", changes: [-0.3, 0, 0.8]) { price fund market { symbol } rungs { change price accounts notional badDebt fundUsed uncovered } } }')
    expect(ladder).toMatchObject({ price: 1800, fund: 50, market: { symbol: 'vETH' } })
    // At 1,260: account 1 is worth 1000 + 2·(1260 − 1900) = −280; 4 and 5: 1000 − 640 = 360 of 1,260. At 3,240 the short of account 2 is worth 1000 + 1900 − 3240 = −340.
    const [down, still, up] = ladder.rungs
    expect(down).toMatchObject({ change: -0.3, price: 1260, fundUsed: 50 })
    expect(down.badDebt).toBeGreaterThanOrEqual(280)
    // Account 7 owes 0.000001 USDC, whatever prices do.
    expect(still).toMatchObject({ change: 0, accounts: 0, badDebt: 0.000001 })
    expect(up.badDebt).toBeGreaterThanOrEqual(340)
  })

  test('error: refuses steps below −99 % with the field’s path, and markets that there are not', async () => {
    expect(await fault('{ liquidationLadder(market: "vETH", changes: [0.1, -1.5]) { price } }')).toEqual(['BAD_USER_INPUT', 'changes.1'])
    expect(await fault('{ liquidationLadder(market: "vDOGE") { price } }')).toEqual(['BAD_USER_INPUT', 'market'])
  })

  test('behavior: a deficit goes to the winners of the other side, exactly', async () => {
    const { adlQueue } = await good('{ adlQueue(market: "vETH", method: PRORATA, deficit: "40000000000000000001", side: SHORT) { entries { account rank unrealizedPnl { value } haircut { raw } } entryCount paid { raw } socialised { raw } } }')
    // Only account 2 is short; it has 100 of profit.
    expect(adlQueue).toMatchObject({ entryCount: 1, entries: [{ account: addressOf(2), rank: 1, unrealizedPnl: { value: '100' }, haircut: { raw: '40000000000000000001' } }], paid: { raw: '40000000000000000001' }, socialised: { raw: '0' } })
  })

  test('behavior: a keeper needs a larger position the dearer its gas is, and small ones are nobody’s', async () => {
    const { keeperEconomics } = await good('{ keeperEconomics(market: "vETH", gasPricesGwei: [0.001, 1, 50], gasUnits: 700000) { market { symbol } assumptions { name value } levels { name gas breakEven orphanCount orphanNotional orphans { account bestProfit penaltyNeeded } } } }')
    const [cheap, middle, dear] = keeperEconomics.levels
    // 700,000 gas at 50 gwei and 1,800 a token: 63.
    expect(dear.gas).toBeCloseTo(63, 9)
    expect(cheap.orphanCount).toBe(0)
    expect(dear.orphanCount).toBe(4)
    expect(middle.breakEven).toBeGreaterThan(cheap.breakEven)
    // Whatever 63 of gas would leave, the impact of that size takes.
    expect(dear.breakEven).toBeNull()
  })

  test('behavior: timing is measured from the index, and what is not there is unknown and says why', async () => {
    const { liquidationTiming: timing } = await good('{ liquidationTiming { blockSec { median observations } oracles { symbols gapSec { median max observations } ageSec { p95 } } detectionSec { median } liquidations untold unknown { reason what } } }')
    const eth = timing.oracles.find((one: { symbols: string[] }) => one.symbols.includes('vETH'))
    expect(eth).toMatchObject({ gapSec: { median: 300, max: 300, observations: 8639 }, ageSec: { p95: 10 } })
    expect(timing.detectionSec).toBeNull()
    expect(timing.unknown).toContainEqual({ reason: 'NOT_MEASURED', what: 'detectionSec' })
  })

  test('behavior: a past liquidation whose state the index cannot tell is UNKNOWN with its reason', async () => {
    const { liquidationReview: review } = await good('{ liquidationReview(first: 3) { counts { name value } harm reviews { verdict why liquidation { id account } } } }')
    expect(review.reviews).toHaveLength(3)
    expect(review.reviews[0]).toMatchObject({ verdict: 'UNKNOWN', why: 'the position before it is not in the index' })
    expect(review.counts).toContainEqual({ name: 'UNKNOWN', value: 3 })
  })
})

describe('stress', () => {
  test('behavior: a shock of one’s own equals the hand arithmetic', async () => {
    const { stressTest } = await good('query($input: StressInput) { stressTest(input: $input) { provenance { model inputsDigest } fund accounts scenarios { id severity moves { name value } liquidatableAccounts badDebt fundUsed uncovered worstAccounts { account value gross shortfall } } approximations } }', { input: { shocks: [{ id: 'mine', moves: [{ name: 'vBTC', value: -0.2 }] }], worst: 2 } })
    const [mine] = stressTest.scenarios
    expect(stressTest.scenarios).toHaveLength(1)
    // Account 3: 1000 + 800 − 1900 = −100, and closing 800 costs something on top.
    expect(mine).toMatchObject({ id: 'mine', severity: null, liquidatableAccounts: 1 })
    expect(mine.moves).toContainEqual({ name: 'vBTC', value: -0.2 })
    expect(mine.worstAccounts[0]).toMatchObject({ account: addressOf(3) })
    expect(mine.worstAccounts[0].value).toBeCloseTo(-100, 6)
    expect(mine.badDebt).toBeGreaterThanOrEqual(100)
    expect(mine.fundUsed).toBe(50)
    expect(mine.uncovered).toBeCloseTo(mine.badDebt - 50, 6)
  })

  test('behavior: without an input all regimes run, worst first, and the same question has the same digest', async () => {
    const one = await good('{ stressTest { provenance { inputsDigest } scenarios { id badDebt } } stressRegimes { id } }')
    const two = await good('{ stressTest { provenance { inputsDigest } scenarios { id badDebt } } }')
    expect(one.stressTest.scenarios).toHaveLength(one.stressRegimes.length)
    const debts = one.stressTest.scenarios.map((s: { badDebt: number }) => s.badDebt)
    expect(debts).toEqual([...debts].sort((a: number, b: number) => b - a))
    expect(two.stressTest).toEqual(one.stressTest)
  })

  test('error: an impossible scenario names the path of its field', async () => {
    const stress = 'query($input: StressInput) { stressTest(input: $input) { accounts } }'
    expect(await fault(stress, { input: { shocks: [{ id: 'a', others: -0.1 }, { id: 'b', moves: [{ name: 'vETH', value: -30 }] }] } })).toEqual(['BAD_USER_INPUT', 'input.shocks.1.moves.vETH'])
    expect(await fault(stress, { input: { shocks: [{ id: 'a', moves: [{ name: 'vDOGE', value: -0.3 }] }] } })).toEqual(['BAD_USER_INPUT', 'input.shocks.0.moves.vDOGE'])
    expect(await fault(stress, { input: { shocks: [{ id: 'nothing' }] } })).toEqual(['BAD_USER_INPUT', 'input.shocks.0.moves'])
    expect(await fault(stress, { input: { regimes: ['covid-2020-03-12', 'covid-2030'] } })).toEqual(['BAD_USER_INPUT', 'input.regimes.1'])
    expect(await fault(stress, { input: { worst: 51 } })).toEqual(['BAD_USER_INPUT', 'input.worst'])
  })

  test('error: a field that fails does not take the others with it', async () => {
    const { data, errors } = await ask('{ stressTest(input: { regimes: ["none"] }) { accounts } markets { symbol } }')
    expect(data.stressTest).toBeNull()
    expect(data.markets[0].symbol).toBe('vETH')
    expect(errors?.[0]?.path).toEqual(['stressTest'])
  })
})

describe('statistics', () => {
  test('behavior: volatility is that of the series, with VaR below expected shortfall, and models of one price agree roughly', async () => {
    const { volatility } = await good('{ volatility(market: "vETH", level: 0.99, horizonSec: 300) { sample { barSec bars returns gapBars } ewma { now longRun longRunPerYear } garch { omega alpha beta persistence } unknown { reason } forecasts { model side valueAtRisk expectedShortfall tailPoints unknown { message } } } }')
    expect(volatility.sample).toMatchObject({ barSec: 300 })
    // The walk was drawn at 0.3 % a bar.
    expect(volatility.ewma.longRun).toBeGreaterThan(0.0028)
    expect(volatility.ewma.longRun).toBeLessThan(0.0032)
    expect(volatility.forecasts).toHaveLength(10)
    for (const f of volatility.forecasts) {
      if (f.unknown !== null) continue
      expect(f.expectedShortfall).toBeGreaterThanOrEqual(f.valueAtRisk)
      // 2.326 · 0.3 % is 0.7 %.
      expect(f.valueAtRisk).toBeGreaterThan(0.0055)
      expect(f.valueAtRisk).toBeLessThan(0.0085)
    }
    expect(volatility.forecasts.filter((f: { unknown: unknown }) => f.unknown === null).length).toBeGreaterThanOrEqual(6)
  })

  test('error: what is too short for a statistic is unknown with numbers, never a number', async () => {
    const { volatility } = await good('{ volatility(market: "vETH", barSec: 86400, horizonSec: 86400) { ewma { now } unknown { reason found needed } forecasts { model valueAtRisk unknown { reason found needed message } } } }')
    // 30 days hold 29 daily returns at most, an EWMA needs 30.
    expect(volatility.ewma).toBeNull()
    expect(volatility.unknown[0]).toMatchObject({ reason: 'SAMPLE_TOO_SMALL', needed: 30 })
    expect(volatility.forecasts.every((f: { valueAtRisk: number | null; unknown: { reason: string } | null }) => f.valueAtRisk === null && f.unknown?.reason === 'SAMPLE_TOO_SMALL')).toBe(true)
  })

  test('behavior: a backtest of the model that drew the prices is not rejected', async () => {
    const { backtest } = await good('{ backtest(input: { market: "vETH" }) { observations exceptions expected coverage { pValue rejected } conditional { rejected } zone warnings model provenance { source } } }')
    expect(backtest.observations).toBeGreaterThan(7000)
    expect(backtest.coverage.rejected).toBe(false)
    expect(backtest.expected).toBeCloseTo(backtest.observations * 0.01, 6)
    // 250 bars of five minutes are no 250 days.
    expect(backtest.warnings).toContain('the zones count 250 forecasts of 300 s each, 21 hours in all, and not the 250 days of the regulation')
  })

  test('error: levels, bars and models out of range name their field', async () => {
    expect(await fault('{ volatility(market: "vETH", level: 1) { sample { bars } } }')).toEqual(['BAD_USER_INPUT', 'level'])
    expect(await fault('{ volatility(market: "vETH", barSec: 301) { sample { bars } } }')).toEqual(['BAD_USER_INPUT', 'barSec'])
    expect(await fault('{ backtest(input: { market: "vETH", model: NORMAL_GARCH }) { expected } }')).toEqual(['BAD_USER_INPUT', 'input.model'])
    expect(await fault('{ backtest(input: { market: "vX" }) { expected } }')).toEqual(['BAD_USER_INPUT', 'input.market'])
  })

  test('behavior: the dynamic margin is made of its parts, and says which times were measured', async () => {
    const { dynamicMargin: margin } = await good('{ dynamicMargin(market: "vETH", liquidationSec: 600) { initial maintenance currentInitial currentMaintenance components { name value } horizon { name value origin } horizonSec initialHorizonSec binding } }')
    expect(margin).toMatchObject({ currentInitial: 0.1, currentMaintenance: 0.0625 })
    expect(margin.components.reduce((sum: number, c: { value: number }) => sum + c.value, 0)).toBeCloseTo(margin.maintenance, 12)
    // Gaps of 300 s measured, no liquidation timed, 600 s given; three hours more for owners.
    expect(margin.horizon).toEqual([{ name: 'oracleAgeSec', value: 300, origin: 'MEASURED' }, { name: 'detectionSec', value: 60, origin: 'ASSUMED' }, { name: 'liquidationSec', value: 600, origin: 'GIVEN' }])
    expect(margin).toMatchObject({ horizonSec: 960, initialHorizonSec: 11_760 })
    expect(margin.initial).toBeGreaterThanOrEqual(1.3 * margin.maintenance - 1e-12)
    // Of closing the largest position, 2 vETH: what every other answer says that this costs.
    const { liquidationStates } = await good('{ liquidationStates { nodes { account closingCost } } }')
    const cost = liquidationStates.nodes.find((one: { account: string }) => one.account === addressOf(1)).closingCost
    // An account that is closed pays the impact, and at least the penalty of 2.5 %.
    expect(Math.max(0.025, margin.components[1].value)).toBeCloseTo(cost / (2 * 1800), 9)
  })
})

describe('portfolio margin', () => {
  const QUERY = 'query($input: PortfolioInput!) { portfolioMargin(input: $input) { grid initial maintenance margin gross isolated diversification netting offsetCredit binding correlations { assets low median high observations unknown { reason } } assets { asset price deltaNotional volatility alone scanLoss scenario greeks { delta gamma vega theta } } } }'

  test('behavior: a hypothetical book of one perpetual needs its scan range, and nothing offsets', async () => {
    const { portfolioMargin } = await good(QUERY, { input: { legs: [{ kind: 'PERP', asset: 'vETH', size: 10 }], priceScanRange: 0.12, horizonSec: 300 } })
    // 10 · 1,800 · 12 %, and the regimes of history may ask for more of the whole book.
    expect(portfolioMargin.assets[0]).toMatchObject({ asset: 'vETH', price: 1800, deltaNotional: 18000 })
    expect(portfolioMargin.assets[0].scanLoss).toBeCloseTo(2160, 6)
    expect(portfolioMargin.gross).toBeCloseTo(2160, 6)
    expect(portfolioMargin.netting).toBeCloseTo(0, 6)
  })

  test('behavior: a protective put lowers the requirement of a long, and gross stands beside it', async () => {
    const long = { kind: 'PERP', asset: 'vETH', size: 10 }
    const put = { kind: 'OPTION', asset: 'vETH', size: 10, call: false, strike: 1800, years: 0.25, volatility: 0.6 }
    const { portfolioMargin: bare } = await good(QUERY, { input: { legs: [long], priceScanRange: 0.12 } })
    const { portfolioMargin: hedged } = await good(QUERY, { input: { legs: [long, put], priceScanRange: 0.12 } })
    expect(hedged.assets[0].scanLoss).toBeLessThan(bare.assets[0].scanLoss)
    expect(hedged.isolated).toBeGreaterThan(hedged.gross)
    expect(hedged.assets[0].greeks.gamma).toBeGreaterThan(0)
  })

  test('behavior: an account’s own book is taken from the index', async () => {
    const { portfolioMargin } = await good(QUERY, { input: { account: addressOf(1) } })
    expect(portfolioMargin.assets).toMatchObject([{ asset: 'vETH', deltaNotional: 3600 }])
  })

  test('behavior: two markets are correlated by what the index measured', async () => {
    const { portfolioMargin } = await good(QUERY, { input: { legs: [{ kind: 'PERP', asset: 'vETH', size: 1 }, { kind: 'PERP', asset: 'vBTC', size: -1 }] } })
    const [pair] = portfolioMargin.correlations
    expect(pair).toMatchObject({ assets: ['vETH', 'vBTC'], unknown: null })
    expect(pair.low).toBeLessThan(pair.high)
    // Drawn apart from one another.
    expect(Math.abs(pair.median)).toBeLessThan(0.3)
  })

  test('error: an impossible book names the path of its field', async () => {
    const of = (legs: object[], more: object = {}) => fault(QUERY, { input: { legs, ...more } })
    expect(await of([])).toEqual(['BAD_USER_INPUT', 'input.legs'])
    expect(await of([{ kind: 'PERP', asset: 'vETH', size: 1 }, { kind: 'PERP', asset: 'vETH', size: 0 }])).toEqual(['BAD_USER_INPUT', 'input.legs.1.size'])
    expect(await of([{ kind: 'PERP', asset: 'GOLD', size: 1 }])).toEqual(['BAD_USER_INPUT', 'input.legs.0.asset'])
    expect(await of([{ kind: 'OPTION', asset: 'vETH', size: 1, call: true, strike: -5, years: 1, volatility: 0.5 }])).toEqual(['BAD_USER_INPUT', 'input.legs.0.strike'])
    expect(await of([{ kind: 'OPTION', asset: 'vETH', size: 1, call: true, years: 1, volatility: 0.5 }])).toEqual(['BAD_USER_INPUT', 'input.legs.0.strike'])
    expect(await of([{ kind: 'PERP', asset: 'vETH', size: 1, strike: 5 }])).toEqual(['BAD_USER_INPUT', 'input.legs.0.strike'])
    expect(await of([{ kind: 'PERP', asset: 'GOLD', size: 1 }], { prices: [{ name: 'GOLD', value: 4000 }] })).toEqual(['BAD_USER_INPUT', 'input.volatilities.GOLD'])
    expect(await of([{ kind: 'PERP', asset: 'vETH', size: 1 }], { grid: 'NONE' })).toEqual(['BAD_USER_INPUT', 'input.grid'])
  })

  test('error: the path stands as a list beside the code, for the models’ own refusals and for those of the language', async () => {
    const path = async (query: string, variables: object = {}) => (await ask(query, variables)).errors?.[0]?.extensions.path
    expect(await path(QUERY, { input: { legs: [{ kind: 'PERP', asset: 'vETH', size: 1 }, { kind: 'PERP', asset: 'vETH', size: 0 }] } })).toEqual(['input', 'legs', 1, 'size'])
    expect(await path(QUERY, { input: { legs: [{ kind: 'PERP', asset: 'vETH', size: 'much' }] } })).toEqual(['input', 'legs', 0, 'size'])
    expect(await path('query($first: Int!) { liquidationQueue(first: $first) { entryCount } }', { first: 1.5 })).toEqual(['first'])
    expect(await path('{ liquidationQueue(first: 0) { entryCount } }')).toEqual(['first'])
    expect(await path('{ liquidationLadder(market: "vX") { price } }')).toEqual(['market'])
    expect(await path('{ account(id: "0x12") { id } }')).toEqual(['id'])
  })
})

describe('rules to try', () => {
  test('behavior: an option has Black’s value, its sensitivities by size, and what a venue of delta alone would add', async () => {
    const { optionValue } = await good('{ optionValue(input: { call: true, forward: 100, strike: 100, years: 1, volatility: 0.2, size: -10, move: 0.1, points: 0.15 }) { price value greeks { delta gamma vega theta } addOns { gamma vega total } } }')
    // d1 = 0.1: 100·(2Φ(0.1) − 1) = 7.9656; Φ(0.1) = 0.5398; φ(0.1)/20 = 0.0198476; 100·φ(0.1) = 39.6953.
    expect(optionValue.price).toBeCloseTo(7.9656, 4)
    expect(optionValue.value).toBeCloseTo(-79.656, 3)
    expect(optionValue.greeks.delta).toBeCloseTo(-5.398278, 5)
    expect(optionValue.greeks.gamma).toBeCloseTo(-0.1984763, 6)
    expect(optionValue.greeks.vega).toBeCloseTo(-396.9525, 3)
    // ½·0.198476·(100·0.1)² and 396.9525·0.15.
    expect(optionValue.addOns.gamma).toBeCloseTo(9.923813, 5)
    expect(optionValue.addOns.vega).toBeCloseTo(59.54288, 4)
    expect(await fault('{ optionValue(input: { call: true, forward: 0, strike: 100, years: 1, volatility: 0.2 }) { price } }')).toEqual(['BAD_USER_INPUT', 'input.forward'])
  })

  test('behavior: every account with positions stands in a tier, by pages, and an account says its own', async () => {
    const { liquidationStates: all } = await good('{ liquidationStates { totalCount unknownMargins nodes { account tier why value requirement deficit } } }')
    expect(all.totalCount + all.unknownMargins).toBe(5)
    const { liquidationStates: first } = await good('{ liquidationStates(first: 2) { nodes { account } pageInfo { hasNextPage endCursor } } }')
    const { liquidationStates: rest } = await good('query($after: String) { liquidationStates(first: 200, after: $after) { nodes { account } pageInfo { hasNextPage } } }', { after: first.pageInfo.endCursor })
    expect([...first.nodes, ...rest.nodes].map((one) => one.account)).toEqual(all.nodes.map((one: { account: string }) => one.account))
    const { account } = await good(`{ account(id: "${addressOf(1)}") { liquidation { tier value requirement } } none: account(id: "${addressOf(6)}") { liquidation { tier } } }`)
    // 800 against 6.25 % of 3,600.
    expect(account.liquidation).toEqual({ tier: 'HEALTHY', value: 800, requirement: 225 })
  })

  test('behavior: a backstop’s price lies at the mark for a healthy account, and only one below its requirement is auctioned', async () => {
    const { backstopOffers } = await good(`{ backstopOffers(account: "${addressOf(1)}") { tier value requirement positions { size price fillablePrice bankruptcyPrice adjustment } auction { share } } }`)
    // adjustment: 1 − 800/225 is below 0. Bankruptcy: (3600 − 800·225/225)/2.
    expect(backstopOffers).toMatchObject({ tier: 'HEALTHY', auction: null, positions: [{ size: 2, price: 1800, fillablePrice: 1800, bankruptcyPrice: 1400, adjustment: 0 }] })
    expect(await fault(`{ backstopOffers(account: "${addressOf(99)}") { value } }`)).toEqual(['BAD_USER_INPUT', 'account'])
  })

  test('behavior: a market’s capacity is the lesser of what its impact and the fund allow', async () => {
    const { marketCapacity } = await good('{ marketCapacity(market: "vETH", kappa: 0.01) { openInterestLong openInterestShort cap binding impactTerm fundTerm utilisation depth skewScale } }')
    // 4 and 1 base at 1,800; a fund of 50 at 1 %.
    expect(marketCapacity).toMatchObject({ openInterestLong: 7200, openInterestShort: 1800, fundTerm: 5000, cap: Math.min(5000, marketCapacity.impactTerm) })
    expect(marketCapacity.utilisation).toBeCloseTo(7200 / marketCapacity.cap, 9)
    expect(marketCapacity.skewScale).toBeCloseTo(marketCapacity.depth / 1800 / 0.02, 6)
  })

  test('behavior: deleveraging closes a bankrupt long against the shorts, and says what no one held', async () => {
    const { deleveraging } = await good('{ deleveraging(market: "vETH", size: "3000000000000000000", price: "1700000000000000000000") { fills { account size { value } forgone { value } } left { value } } }')
    // The one short of the book holds 1: closed at 1,700 instead of 1,800 it gains 100.
    expect(deleveraging).toEqual({ fills: [{ account: addressOf(2), size: { value: '-1' }, forgone: { value: '-100' } }], left: { value: '2' } })
    expect(await fault('{ deleveraging(market: "vETH", size: "0", price: "1") { left { raw } } }')).toEqual(['BAD_USER_INPUT', 'size'])
  })

  test('behavior: a margin is smoothed by each way of the regulation, and never below its core', async () => {
    const { antiProcyclicality: smoothed } = await good('{ antiProcyclicality(market: "vETH", horizonSec: 3600) { core longRun stressed stressRegime ways { way margin binding bufferLeft meetsRegulation } swing { peakToTrough largestJump observations } unknown { reason } } }')
    const way = (name: string) => smoothed.ways.find((one: { way: string }) => one.way === name)
    expect(way('buffer')).toMatchObject({ margin: 1.25 * smoothed.core, binding: 'full buffer', meetsRegulation: true })
    expect(way('stress').margin).toBeCloseTo(0.75 * smoothed.core + 0.25 * Math.max(smoothed.core, smoothed.stressed), 12)
    expect(way('floor')).toMatchObject({ margin: Math.max(smoothed.core, smoothed.longRun), meetsRegulation: false })
    expect(smoothed.swing.peakToTrough).toBeGreaterThanOrEqual(1)
    expect(smoothed.swing.observations).toBeGreaterThan(20)
  })

  test('behavior: a discount grows with the amount up to its cap', async () => {
    // 100 / 1,000 · 0.5 = 5 %; at 1,500 a token.
    const { collateralDiscount } = await good('{ collateralDiscount(asset: "WETH", amount: 100, skewScale: 1000, scalar: 0.5) { price gross discount value binding } }')
    expect(collateralDiscount).toEqual({ price: 1500, gross: 150000, discount: 0.05, value: 142500, binding: 'size' })
    expect(await fault('{ collateralDiscount(asset: "DOGE", amount: 1, skewScale: 1) { value } }')).toEqual(['BAD_USER_INPUT', 'asset'])
  })

  test('behavior: a playbook is a batch of calls that decode to its changes', async () => {
    const { playbooks } = await good('{ playbooks { playbooks { id changes { parameter subject toRaw } calls { to value data } refused } } }')
    let calls = 0
    for (const playbook of playbooks.playbooks) {
      expect(playbook.refused).toEqual([])
      expect(playbook.calls.map((call: { to: string; data: string }) => curie.catalog.decodeChange(deployment, { to: call.to as `0x${string}`, value: 0n, data: call.data as `0x${string}` })?.value.toString())).toEqual(playbook.changes.map((change: { toRaw: string }) => change.toRaw))
      calls += playbook.calls.length
    }
    expect(calls).toBeGreaterThan(10)
  })
})

describe('review of a past liquidation', () => {
  test('behavior: one at a price that neither the second feed nor what followed agrees with is UNJUST, with the harm that it did', async () => {
    const [eth] = deployment.markets
    const sec = Number(BLOCK.timestamp) - 1_000
    const account = addressOf(41)
    const at = (sec: number, block: bigint, logIndex: number, tx: string) => ({ blockNumber: block, timestamp: BigInt(sec), transactionHash: tx, logIndex })
    const marketId = eth!.baseToken.toLowerCase()
    const answerSource = addressOf(90)
    await prisma.oracleFeed.update({ where: { id: eth!.chainlinkFeed.toLowerCase() }, data: { answerSource, decimals: 8 } })
    await prisma.oracleAnswer.create({ data: { id: '0xa1', aggregator: answerSource, answer: '180000000000', roundId: '1', answerTimestamp: BigInt(sec - 10), ...at(sec - 10, 989n, 0, '0xa1') } })
    await prisma.collateralChange.create({ data: { id: '0xc1', accountId: account, token: deployment.settlementToken.address.toLowerCase(), kind: 'DEPOSIT', amount: '1000000000', ...at(sec - 5_000, 900n, 0, '0xc1') } })
    const e18 = (x: number) => `${BigInt(x) * 10n ** 18n}`
    await prisma.positionChange.create({ data: { id: '0xd1', accountId: account, marketId, sizeDeltaE18: e18(2), notionalDeltaE18: e18(-3_800), feeE18: '0', sizeAfterE18: e18(2), openNotionalAfterE18: e18(-3_800), realizedPnlE18: '0', ...at(sec - 4_000, 910n, 0, '0xd1') } })
    // The liquidation's own transfer comes before it in the same transaction, and is no part of the state before.
    await prisma.positionChange.create({ data: { id: '0xd2', accountId: account, marketId, sizeDeltaE18: e18(-1), notionalDeltaE18: e18(1_400), feeE18: '0', sizeAfterE18: e18(1), openNotionalAfterE18: e18(-1_900), realizedPnlE18: '0', ...at(sec, 990n, 1, '0xe1') } })
    await prisma.liquidation.create({ data: { id: '0xe1', accountId: account, marketId, liquidator: addressOf(9), sizeE18: e18(1), notionalE18: e18(1_400), penaltyE18: e18(35), liquidatorFeeE18: '1', sizeAfterE18: e18(1), ...at(sec, 990n, 2, '0xe1') } })
    const { liquidationReview: review } = await good('{ liquidationReview(first: 1) { harm reviews { verdict price secondPrice laterPrice deviation surplusUsed surplusSecond harm why } } }')
    // At 1,400: 1000 − 3800 + 2·1400 = 0 against 2800·6.25 % = 175. At 1,800: 800 against 225. Harm: 35, and 400 on the 1 that was taken.
    expect(review.reviews[0]).toMatchObject({ verdict: 'UNJUST', price: 1400, secondPrice: 1800, surplusUsed: -175, surplusSecond: 575, harm: 435 })
    expect(review.reviews[0].deviation).toBeCloseTo(1400 / 1800 - 1, 12)
  })
})

describe('playbooks and replays', () => {
  test('behavior: a market’s HALT is prepared, says what it stops and how it is undone, and never stops liquidation', async () => {
    const { playbooks } = await good('{ playbooks(subject: "vETH", trigger: "HALT") { playbooks { id trigger subjectLabel stops changes { parameter fromRaw toRaw fromDisplay toDisplay sideEffects undo } } } }')
    expect(playbooks.playbooks).toHaveLength(1)
    expect(playbooks.playbooks[0]).toMatchObject({ trigger: 'HALT', subjectLabel: 'vETH', stops: ['close', 'open'] })
    expect(playbooks.playbooks[0].changes[0]).toMatchObject({ parameter: 'maxTickCrossedWithinBlock', fromRaw: '1000', toRaw: '0' })
    expect(await fault('{ playbooks(trigger: "PANIC") { playbooks { id } } }')).toEqual(['BAD_USER_INPUT', 'trigger'])
  })

  test('behavior: a setting that a calm week never reaches would not have tripped, a touchy one would', async () => {
    const QUERY = 'query($input: ReplayBreakerInput!) { replayBreaker(input: $input) { observations known { name value } trips { start peak } falseAlarms summary secondsAt { name value } } }'
    const { replayBreaker: calm } = await good(QUERY, { input: { market: 'vETH', days: 2, entries: [{ trigger: 'staleness', watch: 3, restrict: 4 }] } })
    // Two days in steps of 300 s, both ends.
    expect(calm).toMatchObject({ observations: 577, trips: [], falseAlarms: 0 })
    const { replayBreaker: touchy } = await good(QUERY, { input: { market: 'vETH', days: 2, entries: [{ trigger: 'staleness', restrict: 0.01 }] } })
    expect(touchy.trips).toHaveLength(1)
    expect(touchy.trips[0].peak).toBe('RESTRICT')
  })

  test('error: a setting that could flap names its field', async () => {
    const of = (input: object) => fault('query($input: ReplayBreakerInput!) { replayBreaker(input: $input) { summary } }', { input })
    expect(await of({ exitFactor: 1.5 })).toEqual(['BAD_USER_INPUT', 'input.exitFactor'])
    expect(await of({ entries: [{ trigger: 'moon', watch: 1 }] })).toEqual(['BAD_USER_INPUT', 'input.entries.0.trigger'])
    expect(await of({ entries: [{ trigger: 'band', watch: 2, restrict: 1 }] })).toEqual(['BAD_USER_INPUT', 'input.entries.band.RESTRICT'])
    expect(await of({ days: 31 })).toEqual(['BAD_USER_INPUT', 'input.days'])
  })
})

describe('recomputing a recommendation', () => {
  test('behavior: stored inputs give the same bytes, and without graph-node the comparison says so', async () => {
    const run = await runRecommendations({ prisma, protocol: curie, deployment })
    const { recomputeRecommendation: again } = await good('query($id: ID!) { recomputeRecommendation(id: $id) { identical differs inputsDigest recommendation { id inputsDigest } comparison { state detail block { number } } } }', { id: run.recommendations[0]!.id })
    expect(again).toMatchObject({ identical: true, differs: [], comparison: { state: 'UNAVAILABLE', block: { number: String(BLOCK.number) } } })
    expect(again.inputsDigest).toBe(again.recommendation.inputsDigest)
    // A byte of the stored reason changed afterwards is found.
    await prisma.recommendation.update({ where: { id: run.recommendations[0]!.id }, data: { reason: 'Because.' } })
    const { recomputeRecommendation: changed } = await good('query($id: ID!) { recomputeRecommendation(id: $id) { identical differs } }', { id: run.recommendations[0]!.id })
    expect(changed.identical).toBe(false)
    expect(changed.differs[0]).toMatch(/^reason: stored "Because\."/)
  })

  test('behavior: rows of the index are compared with the inputs value by value', async () => {
    const { inputs } = await prisma.recommendationRun.findFirstOrThrow({ orderBy: { blockNumber: 'desc' }, where: { inputsDigest: { not: 'aa'.repeat(32) } } })
    const stored = runInputsOf({ inputs })
    const rows: IndexRows = {
      parameters: stored.parameters.map((p) => ({ name: p.name, subject: p.subject, value: p.current })),
      markets: stored.markets.map((m) => ({ id: m.id, sqrtPriceX96: m.sqrtPriceX96, openInterestLongE18: m.openInterestLongE18, openInterestShortE18: m.openInterestShortE18 })),
      oracleFeeds: [...stored.markets, ...stored.collaterals].map((m) => ({ id: m.oracle!.feed, priceE18: m.oracle!.priceE18, priceTimestamp: String(m.oracle!.priceTimestampSec), freezeReason: m.oracle!.freezeReason, fallback: m.oracle!.fallback })),
      insuranceFunds: [{ id: '0xfund', ...stored.fund! }],
      accounts: stored.accounts.map(({ id, settlementBalance, owedRealizedPnlE18 }) => ({ id, settlementBalance, owedRealizedPnlE18 })),
      // In an order of the index's own, with what no run takes: another protocol's market and the fund's own account.
      positions: [{ account: { id: '0xa' }, market: { id: '0xelsewhere' }, sizeE18: '1', openNotionalE18: '1' }, ...stored.accounts.flatMap(({ id, positions }) => positions.map((p) => ({ account: { id }, market: { id: p.market }, sizeE18: p.sizeE18, openNotionalE18: p.openNotionalE18 })))].toReversed(),
      collateralBalances: [{ account: { id: '0xfund' }, asset: { id: stored.collaterals[0]!.id }, amount: '5' }, ...stored.accounts.flatMap(({ id, collaterals }) => collaterals.map((c) => ({ account: { id }, asset: { id: c.asset }, amount: c.amount })))],
      liquidityRanges: stored.markets.flatMap(({ id, ranges }) => ranges.map(({ account, ...range }) => ({ account: { id: account }, market: { id }, ...range }))),
      prices: Object.fromEntries(stored.series.map(({ feed, bars }) => [feed, [{ priceE18: '1', priceTimestamp: '100', blockNumber: '1', logIndex: 0 }, { priceE18: bars.at(-1)![1], priceTimestamp: '100', blockNumber: '1', logIndex: 1 }]])),
    }
    const same = compareRows(stored, rows)
    expect(same.differs).toEqual([])
    // Balances of each account; of three lists count and digest; of positions the accounts that hold them; a price of each feed.
    expect(same.compared).toBe(stored.parameters.length + 3 * stored.markets.length + 4 * (stored.markets.length + stored.collaterals.length) + 3 + 2 * stored.accounts.length + 2 * 3 + 1 + stored.series.length)
    expect(same.notCompared.join()).toMatch(/prices before the last one.*volumes.*times of liquidations.*simulation/)
    expect(compareRows(stored, { ...rows, insuranceFunds: [{ id: '0xfund', ...stored.fund!, walletBalance: '1' }] }).differs).toEqual(['fund’s walletBalance: stored 50000000, graph-node has 1'])
    // One wei of one position.
    const wei = rows.positions!.map((p, i) => (i === 0 ? { ...p, sizeE18: String(BigInt(p.sizeE18) + 1n) } : p))
    expect(compareRows(stored, { ...rows, positions: wei }).differs).toEqual([expect.stringMatching(/^SHA-256 of the amounts of positions: stored [0-9a-f]{64}, graph-node has [0-9a-f]{64}$/)])
    expect(compareRows(stored, { ...rows, positions: rows.positions!.slice(1) }).differs).toContainEqual(expect.stringMatching(/^number of positions: stored/))
    expect(compareRows(stored, { ...rows, liquidityRanges: [] }).differs[0]).toBe('number of liquidity ranges: stored 1, graph-node has 0')
    expect(compareRows(stored, { ...rows, accounts: rows.accounts!.map((a, i) => (i === 0 ? { ...a, settlementBalance: '1' } : a)) }).differs).toEqual([`settlement balance of ${stored.accounts[0]!.id}: stored ${stored.accounts[0]!.settlementBalance}, graph-node has 1`])
    expect(compareRows(stored, { ...rows, prices: {} }).differs).toHaveLength(stored.series.length)
    // A list beyond what is fetched is said, not passed over.
    expect(compareRows(stored, { ...rows, positions: null }).notCompared[0]).toBe('positions: the index holds more than 50000')
  })
})

describe('reserves', () => {
  test('behavior: a haircut is the sum of its components, and says who holds the collateral', async () => {
    const { collateralHaircuts } = await good('{ collateralHaircuts { total collaterals { asset { symbol } haircut collateralRatio currentRatio floored components { name value } held holders topHolder topHolderShare warnings unknown { reason } } assumptions } }')
    const [weth] = collateralHaircuts.collaterals
    expect(weth).toMatchObject({ asset: { symbol: 'WETH' }, currentRatio: 0.7, holders: 1, topHolder: addressOf(6), topHolderShare: 1, unknown: null })
    // 3.000000000000000001 · 1,500.
    expect(weth.held).toBeCloseTo(4500, 9)
    // The floor is 10 %.
    expect(Math.max(0.1, weth.components.reduce((sum: number, c: { value: number }) => sum + c.value, 0))).toBeCloseTo(weth.haircut, 12)
    expect(weth.haircut + weth.collateralRatio).toBeCloseTo(1, 12)
  })

  test('behavior: a feed’s health counts its age in chain time', async () => {
    const { oracleHealth } = await good('{ oracleHealth { feeds { symbols status ageSec heartbeatSec lateSec lateWhy deviation stalenessLoss flags { flag } } } }')
    const eth = oracleHealth.feeds.find((one: { symbols: string[] }) => one.symbols.includes('vETH'))
    // Dated 30 s before the block; the pool is 1/1801 above.
    expect(eth).toMatchObject({ status: 'OK', ageSec: 30, lateSec: 1440, lateWhy: 'oracle rules: late after 1.2 heartbeats, and the risk policy’s heartbeat is 1200 s', flags: [] })
    expect(eth.deviation).toBeCloseTo(1800 / 1801 - 1, 6)
  })

  test('behavior: the fund’s target stands on its terms, and a simulation that was not run is unknown', async () => {
    const { insuranceFund } = await good('{ insuranceFund { target(days: 30) { fund target gap binding cover1 cover2 scenario openInterestTerm simulation { quantile } simulationUnknown { reason message } feesPerDay feeShare runwayDays why } } }')
    const { target } = insuranceFund
    expect(target.fund).toBe(50)
    expect(target.target).toBeGreaterThanOrEqual(target.cover2)
    expect(target.cover2).toBeGreaterThanOrEqual(target.cover1)
    expect(target.gap).toBeCloseTo(target.target - 50, 9)
    expect(target).toMatchObject({ simulation: null, runwayDays: null, simulationUnknown: { reason: 'NOT_MEASURED' } })
    expect(target.feesPerDay).toBeGreaterThan(0)
  })
})
