import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { BLOCK, addressOf, deployment, log, noChain, seed, services } from './support.ts'
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
/** No chain answers: margins come out of the rows alone. */
const start = async (marginsPrisma = prisma): Promise<string> => {
  const server = await startServer({ ...services(prisma, noChain, { marginsPrisma }), log, host: '127.0.0.1', port: 0 })
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
    const url = await start()
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
    const url = await start()
    const { data } = await ask(url, `{ account(id: "${addressOf(2)}") { margin { accountValue { value } initialMargin { value } freeCollateral { value } } } }`)
    // 1,000 USDC; 1 ETH sold at 1,900, marked at 1,800: the quote of 1,900 is no debt, the base is one of 1,800; min(1000, 1100) − 180.
    expect(data.account.margin).toEqual({ accountValue: { value: '1100' }, initialMargin: { value: '180' }, freeCollateral: { value: '820' } })
  })

  test('behavior: an account without positions is worth its collateral after the haircut', async () => {
    const url = await start()
    const { data } = await ask(url, `{ account(id: "${addressOf(6)}") { margin { accountValue { value } positionValue { value } marginRatio } } }`)
    // 1,000 USDC + 3.000000000000000001 WETH · 1,500 · 70 %.
    expect(data.account.margin).toEqual({ accountValue: { value: '4150.00000000000000105' }, positionValue: { value: '0' }, marginRatio: null })
  })

  test('behavior: MARGIN_RATIO puts the most endangered first, POSITION_VALUE the largest, and accounts without positions last', async () => {
    const url = await start()
    const { data } = await ask(url, '{ ratio: accounts(orderBy: MARGIN_RATIO) { nodes { id margin { marginRatio } } } value: accounts(orderBy: POSITION_VALUE) { nodes { id } } }')
    // 3: (1000 − 900) / 1000; 1: 800 / 3600; 4, 5: 900 / 1800; 2 (short): 1100 / 1800.
    expect(data.ratio.nodes.map((node: { id: string }) => node.id)).toEqual([3, 1, 4, 5, 2, 6, 7].map(addressOf))
    expect(data.ratio.nodes[0].margin.marginRatio).toBe(0.1)
    expect(data.value.nodes.map((node: { id: string }) => node.id)).toEqual([1, 2, 4, 5, 3, 6, 7].map(addressOf))
  })

  test('behavior: pages of the ranked order hold every account once', async () => {
    const url = await start()
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

  /** Answers with one replayed row changed, and puts it back. */
  async function without<T>(id: string, change: (value: Record<string, unknown>) => Record<string, unknown> | null, run: () => Promise<T>): Promise<T> {
    const row = await prisma.replayRow.findUniqueOrThrow({ where: { id } })
    const changed = change(row.value as Record<string, unknown>)
    await prisma.replayRow.delete({ where: { id } })
    if (changed !== null) await prisma.replayRow.create({ data: { ...row, value: changed as object } })
    try {
      return await run()
    } finally {
      await prisma.replayRow.deleteMany({ where: { id } })
      await prisma.replayRow.create({ data: { ...row, value: row.value as object } })
    }
  }

  test('behavior: where one market has no mark price, its accounts’ margins are unknown, the rest is known, and the part says which', async () => {
    const id = btc!.baseToken.toLowerCase()
    const { data, later } = await without(`market:${id}`, () => null, async () => {
      const url = await start()
      const { data } = await ask(url, '{ accounts { nodes { id margin { marginRatio } } } markets { symbol markPrice { value } } }')
      const { data: later } = await ask(url, '{ status { parts { name health detail } } }')
      return { data, later }
    })
    expect(data.accounts.nodes.map((node: { id: string }) => node.id)).toEqual([1, 4, 5, 2, 3, 6, 7].map(addressOf))
    expect(data.accounts.nodes[4].margin).toBeNull()
    expect(data.markets.slice(0, 2)).toEqual([{ symbol: 'vETH', markPrice: { value: '1800' } }, { symbol: 'vBTC', markPrice: null }])
    expect(later.status.parts.find((part: { name: string }) => part.name === 'margin')).toMatchObject({ health: 'DEGRADED', detail: `Unknown in part: vBTC has no mark price: market ${id} has no snapshot of its pool; 1 of 5 accounts with positions have no margin. It is worked out again at the next block.` })
  })

  test('behavior: an oracle that is not indexed, or a contract that would revert, is a gap with its reason', async () => {
    const gapsWith = (id: string, more: object): Promise<readonly string[]> =>
      without(id, (value) => ({ ...value, ...more }), async () => {
        const context = createContext(services(prisma, noChain))
        await context.indexed()
        const book = await context.book()
        await context.close()
        return book?.gaps ?? []
      })
    const feed = btc!.chainlinkFeed.toLowerCase()
    expect(await gapsWith(`feed:${feed}`, { answerSource: null })).toEqual([`vBTC has no mark price: the oracle behind the price feed ${feed} is not indexed`, '1 of 5 accounts with positions have no margin'])
    // A price that no observation of its time knows: the feed's own check refuses to average.
    expect(await gapsWith(`feed:${feed}`, { observationPriceE18: '1' })).toEqual(['vBTC has no mark price: the contract reverts (CT_IPWCT)', '1 of 5 accounts with positions have no margin'])
  })

  test('behavior: before the facts are replayed, and by another version, no margin is known', async () => {
    const gaps = async (): Promise<readonly string[]> => {
      const context = createContext(services(prisma, noChain))
      await context.indexed()
      const book = await context.book()
      await context.close()
      return book?.gaps ?? []
    }
    const status = await prisma.replayStatus.findUniqueOrThrow({ where: { id: 1 } })
    await prisma.replayStatus.update({ where: { id: 1 }, data: { version: 999 } })
    expect(await gaps()).toEqual(['the mirror has replayed the facts up to block 1000 with version 999, and is to replay them again', '5 of 5 accounts with positions have no margin'])
    await prisma.replayStatus.delete({ where: { id: 1 } })
    expect(await gaps()).toEqual(['the mirror has not replayed the facts of devnet yet', '5 of 5 accounts with positions have no margin'])
    await prisma.replayStatus.create({ data: status })
    expect(await gaps()).toEqual([])
  })

  test('behavior: the rows are read once per block, not once per request', async () => {
    let reads = 0
    const counting = new Proxy(prisma, { get: (target, name) => { if (name === '$transaction') reads++; return Reflect.get(target, name) as unknown } })
    const url = await start(counting)
    await ask(url, '{ accounts { nodes { margin { marginRatio } } } }')
    await Promise.all([1, 2, 3].map(() => ask(url, '{ accounts { nodes { margin { marginRatio } positions { liquidationPrice { value } } } } markets { markPrice { value } } }')))
    expect(reads).toBe(1)
  })

  test('behavior: a request that ends early does not take the book from one that shares it', async () => {
    const shared = services(prisma, noChain)
    const [first, second] = [createContext(shared), createContext(shared)]
    await Promise.all([first.indexed(), second.indexed()])
    const [asked, others] = [first.book(), second.book()]
    await first.close()
    expect((await others)?.exposed(addressOf(1))?.accountValueE18).toBe(800n * 10n ** 18n)
    expect((await asked)?.blockHash).toBe(BLOCK.hash)
    await second.close()
  })

  test('behavior: a request that began before a step gets the margins of its own block', async () => {
    const before = createContext(services(prisma, noChain))
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
    const server = await startServer({ ...services(prisma, noChain, { marginsPrisma }), log, host: '127.0.0.1', port: 0 })
    open.push(server)
    const answers = await Promise.all(Array.from({ length: 25 }, () => ask(server.url, '{ accounts(first: 1) { nodes { margin { marginRatio } } } }')))
    expect(new Set(answers.map(({ data }) => data?.accounts.nodes[0].margin?.marginRatio))).toEqual(new Set([0.1]))
    await marginsPrisma.$disconnect()
  })

  test('behavior: more accounts than one statement can name have their margins', async () => {
    const many = createPrisma(await postgres.freshDatabase())
    await seed(many)
    // Prisma puts 32,766 values into one statement, and refuses some queries with more.
    await many.$executeRaw`
      INSERT INTO "Account" SELECT (jsonb_populate_record(a, jsonb_build_object('id', '0x' || lpad(to_hex(n), 40, '0')))).*
      FROM "Account" a, generate_series(1001, 41000) n WHERE a."id" = ${addressOf(1)}`
    const context = createContext(services(many, noChain))
    await context.indexed()
    const book = await context.book()
    await context.close()
    expect([book?.exposedIds.length, book?.gaps, book?.exposed(addressOf(41_000))?.accountValueE18]).toEqual([40_005, [], 1000n * 10n ** 18n])
    await many.$disconnect()
  })
})
