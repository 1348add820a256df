import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { toFunctionSelector } from 'viem'
import { contracts } from './contracts.ts'
import { BLOCK, addressOf, chainAt, deployment, log, seed, services } from './support.ts'
import { createContext } from '../../api/graphql/context.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

const [, btc] = deployment.markets

jest.setTimeout(30_000)

let postgres: TestPostgres
let prisma: PrismaClient
let databaseUrl: string
const open: ApiServer[] = []
const ask = async (url: string, query: string) => (await (await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) })).json()) as { data: any; errors?: unknown } // oxlint-disable-line typescript/no-explicit-any
const start = async (answers: typeof contracts): Promise<string> => {
  const server = await startServer({ ...services(prisma, chainAt(BLOCK.number, BLOCK.timestamp, answers)), log, host: '127.0.0.1', port: 0 })
  open.push(server)
  return server.url
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  databaseUrl = await postgres.freshDatabase()
  prisma = createPrisma(databaseUrl)
  await seed(prisma)
}, 90_000)
afterAll(async () => {
  await Promise.all(open.map((one) => one.close()))
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

describe('margin at the indexed block', () => {
  test('behavior: equals the hand arithmetic to the wei', async () => {
    const url = await start(contracts)
    const { data, errors } = await ask(url, `{ account(id: "${addressOf(1)}") { margin { accountValue { value } collateralValue { value } unrealizedPnl { value } positionValue { value } initialMargin { value } maintenanceMargin { value } freeCollateral { value } marginRatio distanceToLiquidation liquidatable exactness missing } positions { entryPrice { value } unrealizedPnl { value } liquidationPrice { value } bankruptcyPrice { value } } } }`)
    expect(errors).toBeUndefined()
    // 1,000 USDC; 2 ETH bought at 1,900, marked at 1,800: value 3,600, loss 200, account value 800.
    // im 10 % of the debt, which is the 3,800 paid; mm 6.25 % of the value.
    expect(data.account.margin).toEqual({
      accountValue: { value: '800' }, collateralValue: { value: '1000' }, unrealizedPnl: { value: '-200' }, positionValue: { value: '3600' }, initialMargin: { value: '380' }, maintenanceMargin: { value: '225' },
      // min(1000, 800) − debt 3,800 · 10 %
      freeCollateral: { value: '420' },
      marginRatio: 0.2222222222222222, distanceToLiquidation: 0.1597222222222222, liquidatable: false, exactness: 'EXACT', missing: [],
    })
    // P* = (3800 − 1000) / (2 · (1 − 0.0625)) = 1493.33…, bankruptcy 2800 / 2.
    expect(data.account.positions).toEqual([{ entryPrice: { value: '1900' }, unrealizedPnl: { value: '-200' }, liquidationPrice: { value: '1493.333333333333333333' }, bankruptcyPrice: { value: '1400' } }])
  })

  test('behavior: a short owes base, so its initial margin is taken at the mark price, and free collateral is what that leaves', async () => {
    const url = await start(contracts)
    const { data } = await ask(url, `{ account(id: "${addressOf(2)}") { margin { accountValue { value } initialMargin { value } freeCollateral { value } } } }`)
    // 1,000 USDC; 1 ETH sold at 1,900, marked at 1,800: the quote of 1,900 is no debt, the base is one of 1,800; min(1000, 1100) − 180.
    expect(data.account.margin).toEqual({ accountValue: { value: '1100' }, initialMargin: { value: '180' }, freeCollateral: { value: '820' } })
  })

  test('behavior: an account without positions is worth its collateral after the haircut', async () => {
    const url = await start(contracts)
    const { data } = await ask(url, `{ account(id: "${addressOf(6)}") { margin { accountValue { value } positionValue { value } marginRatio } } }`)
    // 1,000 USDC + 3.000000000000000001 WETH · 1,500 · 70 %.
    expect(data.account.margin).toEqual({ accountValue: { value: '4150.00000000000000105' }, positionValue: { value: '0' }, marginRatio: null })
  })

  test('behavior: MARGIN_RATIO puts the most endangered first, POSITION_VALUE the largest, and accounts without positions last', async () => {
    const url = await start(contracts)
    const { data } = await ask(url, '{ ratio: accounts(orderBy: MARGIN_RATIO) { nodes { id margin { marginRatio } } } value: accounts(orderBy: POSITION_VALUE) { nodes { id } } }')
    // 3: (1000 − 900) / 1000; 1: 800 / 3600; 4, 5: 900 / 1800; 2 (short): 1100 / 1800.
    expect(data.ratio.nodes.map((node: { id: string }) => node.id)).toEqual([3, 1, 4, 5, 2, 6, 7].map(addressOf))
    expect(data.ratio.nodes[0].margin.marginRatio).toBe(0.1)
    expect(data.value.nodes.map((node: { id: string }) => node.id)).toEqual([1, 2, 4, 5, 3, 6, 7].map(addressOf))
  })

  test('behavior: pages of the ranked order hold every account once', async () => {
    const url = await start(contracts)
    const ids: string[] = []
    let after = ''
    for (let more = true; more; ) {
      const { data } = await ask(url, `{ accounts(first: 2${after}) { nodes { id } pageInfo { hasNextPage endCursor } } }`)
      ids.push(...data.accounts.nodes.map((node: { id: string }) => node.id))
      more = data.accounts.pageInfo.hasNextPage
      after = `, after: "${data.accounts.pageInfo.endCursor}"`
    }
    expect(ids).toEqual([3, 1, 4, 5, 2, 6, 7].map(addressOf))
  })

  test('behavior: where one market has no mark price, its accounts’ margins are unknown, the rest is known, and the part says which', async () => {
    const url = await start((to, data) => (data.startsWith(toFunctionSelector('getMarkPrice(address)')) && data.toLowerCase().includes(btc!.baseToken.slice(2).toLowerCase()) ? null : contracts(to, data)))
    const { data } = await ask(url, '{ accounts { nodes { id margin { marginRatio } } } markets { symbol markPrice { value } } }')
    expect(data.accounts.nodes.map((node: { id: string }) => node.id)).toEqual([1, 4, 5, 2, 3, 6, 7].map(addressOf))
    expect(data.accounts.nodes[4].margin).toBeNull()
    expect(data.markets.slice(0, 2)).toEqual([{ symbol: 'vETH', markPrice: { value: '1800' } }, { symbol: 'vBTC', markPrice: null }])
    const { data: later } = await ask(url, '{ status { parts { name health detail } } }')
    expect(later.status.parts.find((part: { name: string }) => part.name === 'margin')).toMatchObject({ health: 'DEGRADED', detail: expect.stringContaining('the mark price of vBTC cannot be read; 1 of 5 accounts with positions have no margin') })
  })

  test('behavior: the chain is asked once per block, not once per request', async () => {
    let calls = 0
    const url = await start((to, data) => { calls++; return contracts(to, data) })
    await ask(url, '{ accounts { nodes { margin { marginRatio } } } }')
    const first = calls
    expect(first).toBeGreaterThan(0)
    await Promise.all([1, 2, 3].map(() => ask(url, '{ accounts { nodes { margin { marginRatio } positions { liquidationPrice { value } } } } markets { markPrice { value } } }')))
    expect(calls).toBe(first)
  })

  test('behavior: a request that ends early does not take the book from one that shares it', async () => {
    const shared = services(prisma, chainAt(BLOCK.number, BLOCK.timestamp, contracts))
    const [first, second] = [createContext(shared), createContext(shared)]
    await Promise.all([first.indexed(), second.indexed()])
    const [asked, others] = [first.book(), second.book()]
    await first.close()
    expect((await others)?.exposed(addressOf(1))?.accountValueE18).toBe(800n * 10n ** 18n)
    expect((await asked)?.blockHash).toBe(BLOCK.hash)
    await second.close()
  })

  test('behavior: a request that began before a step gets the margins of its own block', async () => {
    const before = createContext(services(prisma, chainAt(BLOCK.number, BLOCK.timestamp, contracts)))
    await before.indexed()
    await prisma.$transaction([
      prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: '5000000000' } }),
      prisma.checkpoint.create({ data: { blockNumber: 1001n, blockHash: `0x${'cd'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } }),
    ])
    try {
      const book = await before.book()
      expect(book?.blockHash).toBe(BLOCK.hash)
      expect(book?.exposed(addressOf(1))?.accountValueE18).toBe(800n * 10n ** 18n)
    } finally {
      await before.close()
      await prisma.checkpoint.delete({ where: { blockNumber: 1001n } })
      await prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: '1000000000' } })
    }
  })

  test('behavior: more requests at once than the pool has connections all get their margins', async () => {
    const marginsPrisma = createPrisma(databaseUrl)
    const server = await startServer({ ...services(prisma, chainAt(BLOCK.number, BLOCK.timestamp, contracts), { marginsPrisma }), log, host: '127.0.0.1', port: 0 })
    open.push(server)
    const answers = await Promise.all(Array.from({ length: 25 }, () => ask(server.url, '{ accounts(first: 1) { nodes { margin { marginRatio } } } }')))
    expect(new Set(answers.map(({ data }) => data?.accounts.nodes[0].margin?.marginRatio))).toEqual(new Set([0.1]))
    await marginsPrisma.$disconnect()
  })
})
