import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { startServer, type ApiServer } from '../../api/graphql/server.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { LARGE, addressOf, deployment, log, noChain, seed, seedHistory, services } from './support.ts'

jest.setTimeout(30_000)

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
const safe = deployment.safe!.address.toLowerCase()

const ask = async (query: string, variables: Record<string, unknown> = {}): Promise<any> => { // oxlint-disable-line typescript/no-explicit-any
  const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) })
  const { data, errors } = (await response.json()) as { data: unknown; errors?: unknown }
  expect(errors).toBeUndefined()
  return data
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  await seedHistory(prisma)
  // Liquidity of 1,000 over all prices, in E18.
  await prisma.$executeRaw`UPDATE "ReplayRow" SET "value" = jsonb_set("value"::jsonb, '{liquidity}', '"1000000000000000000000"') WHERE "kind" = 'market'`
  server = await startServer({ ...services(prisma, noChain), log, host: '127.0.0.1', port: 0 })
}, 90_000)

afterAll(async () => {
  await server?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

describe('a parameter change', () => {
  test('behavior: names its source, who was let do it, and what the Safe said in the same transaction, in order', async () => {
    const { parameterChanges } = await ask('{ parameterChanges(name: "marketMaxPriceSpreadRatio") { nodes { block source sender executor governance { kind operation contract { name } } } } }')
    expect(parameterChanges.nodes).toEqual([
      { block: '602', source: 'EVENT', sender: addressOf(8), executor: null, governance: [] },
      {
        block: '601',
        source: 'EVENT',
        sender: addressOf(8),
        executor: safe,
        governance: [
          { kind: 'SAFE_HASH_APPROVED', operation: null, contract: { name: 'Safe' } },
          { kind: 'SAFE_EXECUTED', operation: `0x${(400).toString(16).padStart(64, '0')}`, contract: { name: 'Safe' } },
        ],
      },
      { block: '600', source: 'EVENT', sender: addressOf(8), executor: null, governance: [] },
    ])
  })
})

describe('a parameter', () => {
  test('behavior: says what a stored 0 is where it is not 0 of its unit, and which those are', async () => {
    await prisma.parameter.updateMany({ where: { name: 'distributionThreshold' }, data: { value: '0' } })
    const { parameters } = await ask('{ parameters { name zeroMeansRaw zeroWords display } }')
    const special = new Map(parameters.filter((one: { zeroMeansRaw: string | null; zeroWords: string | null }) => one.zeroMeansRaw !== null || one.zeroWords !== null).map((one: { name: string }) => [one.name, one]))
    // MarketRegistry.sol answers 10 % for it; InsuranceFund.sol distributes nothing (IF_DTEZ). No account has a threshold of its own here.
    expect([...special.values()]).toEqual(expect.arrayContaining([
      expect.objectContaining({ name: 'marketMaxPriceSpreadRatio', zeroMeansRaw: '100000', zeroWords: null }),
      { name: 'distributionThreshold', zeroMeansRaw: null, zeroWords: 'no distribution', display: 'no distribution (raw 0)' },
    ]))
    expect(special.size).toBe(2)
  })
})

describe('contracts', () => {
  test('behavior: say who owns them, which code runs, and how both came about', async () => {
    const { contracts } = await ask('{ contracts { name owner ownerName implementation upgrades { totalCount nodes { block oldImplementation newImplementation contract { name } } } ownershipChanges { nodes { block oldOwner newOwner } } } }')
    expect(contracts).toEqual([
      {
        name: 'MarketRegistry',
        owner: safe,
        ownerName: 'Safe',
        implementation: addressOf(61),
        upgrades: { totalCount: 1, nodes: [{ block: '610', oldImplementation: null, newImplementation: addressOf(61), contract: { name: 'MarketRegistry' } }] },
        ownershipChanges: { nodes: [{ block: '611', oldOwner: addressOf(8), newOwner: safe }] },
      },
      { name: 'Safe', owner: null, ownerName: null, implementation: null, upgrades: { totalCount: 0, nodes: [] }, ownershipChanges: { nodes: [] } },
    ])
  })

  test('behavior: governance events are paged, newest first, and can be had for one contract', async () => {
    const query = 'query ($after: String, $contract: ID) { governanceEvents(first: 2, after: $after, contract: $contract) { totalCount nodes { kind value } pageInfo { hasNextPage endCursor } } }'
    const { governanceEvents: first } = await ask(query, { contract: safe })
    expect(first).toMatchObject({ totalCount: 3, nodes: [{ kind: 'SAFE_THRESHOLD_CHANGED', value: '3' }, { kind: 'SAFE_EXECUTED', value: null }], pageInfo: { hasNextPage: true } })
    const { governanceEvents: second } = await ask(query, { contract: safe, after: first.pageInfo.endCursor })
    expect(second).toMatchObject({ nodes: [{ kind: 'SAFE_HASH_APPROVED' }], pageInfo: { hasNextPage: false } })
    expect((await ask(query, { contract: addressOf(1) })).governanceEvents.totalCount).toBe(0)
  })
})

describe('depth', () => {
  test('behavior: is what constant liquidity gives up and takes in over the move', async () => {
    const amounts = 'move buyBase { value } buyQuote { value } sellBase { value } sellQuote { value }'
    const { market } = await ask(`{ market(id: "vETH") { up: depth(move: 0.21) { ${amounts} } down: depth(move: 0.19) { ${amounts} } } }`)
    // The pool stands at p = 1,800, L = 1,000: base = L / sqrt(p) · |1 − 1 / sqrt(1 ± move)|, quote = L · sqrt(p) · |sqrt(1 ± move) − 1|; sqrt(1.21) = 1.1, sqrt(0.81) = 0.9.
    expect(Number(market.up.buyBase.value)).toBeCloseTo((1000 / 42.42640687119285) * (1 - 1 / 1.1), 9)
    expect(Number(market.up.buyQuote.value)).toBeCloseTo(4242.640687119285, 6)
    expect(Number(market.down.sellBase.value)).toBeCloseTo((1000 / 42.42640687119285) * (1 / 0.9 - 1), 9)
    expect(Number(market.down.sellQuote.value)).toBeCloseTo(4242.640687119285, 6)
    expect([market.up.move, market.down.move]).toEqual([0.21, 0.19])
  })
})

describe('an oracle', () => {
  test('behavior: says how old its price is, when that is too old, and what became of each update', async () => {
    const { market } = await ask('{ market(id: "vETH") { oracle { ageSec timeoutSec stale freezeReason fallback updates(first: 1) { totalCount nodes { block ageSec freezeReason price { raw } } } sourceChanges { nodes { block fallback } } } } }')
    // Price 30 s before the indexed block, time-out 29 s.
    expect(market.oracle).toEqual({
      ageSec: 30, timeoutSec: '29', stale: true, freezeReason: 0, fallback: false,
      updates: { totalCount: 3, nodes: [{ block: '802', ageSec: '0', freezeReason: 0, price: { raw: '2000000000000000000000' } }] },
      sourceChanges: { nodes: [{ block: '620', fallback: true }] },
    })
  })

  test('behavior: realised volatility is the root of the sum of squared returns, a year has 8,760 hours', async () => {
    const { market } = await ask('{ market(id: "vETH") { oracle { stats(first: 1) { totalCount nodes { timestamp interval realizedVolatility realizedVolatilityAnnualised samples } } } } }')
    const [bucket] = market.oracle.stats.nodes
    expect(bucket).toMatchObject({ timestamp: '1699214400', interval: 'HOUR', samples: '2' })
    // sqrt(0.0005) = 0.022360679774997897, times sqrt(8760) = 93.59487165438075.
    expect(bucket.realizedVolatility).toBeCloseTo(0.022360679774997897, 15)
    expect(bucket.realizedVolatilityAnnualised).toBeCloseTo(2.092844953645635, 12)
    expect(market.oracle.stats.totalCount).toBe(5)
  })
})

describe('statistics', () => {
  test("behavior: a market's hours are paged by time, with amounts to the wei", async () => {
    const query = 'query ($after: String) { market(id: "vETH") { stats(first: 3, after: $after) { nodes { timestamp volume { raw } openInterestLong { raw } } pageInfo { hasNextPage endCursor } } } }'
    const { market: one } = await ask(query)
    expect(one.stats.nodes.map((node: { timestamp: string }) => node.timestamp)).toEqual(['1699214400', '1699210800', '1699207200'])
    expect(one.stats.nodes[0]).toMatchObject({ volume: { raw: LARGE }, openInterestLong: { raw: '3' } })
    const { market: two } = await ask(query, { after: one.stats.pageInfo.endCursor })
    expect(two.stats).toMatchObject({ nodes: [{ timestamp: '1699203600' }, { timestamp: '1699200000' }], pageInfo: { hasNextPage: false } })
  })

  test("behavior: the fund's balance is a time series, signed", async () => {
    const { insuranceFund } = await ask('{ insuranceFund { stats { nodes { interval timestamp balance { raw } lowest { raw } inflow { raw } outflow { raw } badDebt { raw } } } hours: stats(interval: HOUR) { totalCount } } }')
    expect(insuranceFund.stats.nodes).toEqual([{ interval: 'DAY', timestamp: '1699142400', balance: { raw: '-7' }, lowest: { raw: '-9' }, inflow: { raw: '2' }, outflow: { raw: '11' }, badDebt: { raw: '11' } }])
    expect(insuranceFund.hours.totalCount).toBe(0)
  })

  test('error: a page too large is refused in a sentence', async () => {
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ market(id: "vETH") { stats(first: 201) { totalCount } } }' }) })
    expect(await response.text()).toContain('Found first: 201, allowed is 1 to 200')
  })
})
