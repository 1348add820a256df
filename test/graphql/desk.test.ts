import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { BLOCK, addressOf, deployment, log, noChain, seed, services, startGetters } from './support.ts'
import { seedRisk } from './risk-support.ts'
import { createContext } from '../../api/graphql/context.ts'
import { createRiskBooks, type RiskBook } from '../../api/graphql/risk/book.ts'
import { createDesk, forkDesk, type Desk, type Question } from '../../api/graphql/risk/desk.ts'
import { resolveQueue } from '../../api/graphql/risk/liquidations.ts'
import { startServer, type ApiServer } from '../../api/graphql/server.ts'
import { curie } from '../../protocols/curie/index.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

jest.setTimeout(120_000)

let postgres: TestPostgres
let prisma: PrismaClient
let rpc: Awaited<ReturnType<typeof startGetters>>
let env: Record<string, string>
let here: Desk
let forked: Desk

/** Every question that a model answers, with what makes it of the seeded book. */
const QUERIES: Readonly<Record<Question, string>> = {
  stress: '{ stressTest { provenance { inputsDigest } accounts scenarios { id badDebt liquidatedNotional cover2 worstAccounts { account shortfall } cascade { rounds badDebt prices { name low high } } cascadeUnknown { reason } } unknown { what } } }',
  queue: '{ liquidationQueue(first: 50) { provenance { inputsDigest } entryCount buckets { accounts notional } tiers { tier accounts deficit } backlogLimit { seconds market { symbol } } entries { account tier why positions { market { symbol } notional takeable } } } }',
  states: '{ liquidationStates(first: 3) { provenance { inputsDigest } totalCount unknownMargins pageInfo { hasNextPage endCursor } nodes { account tier value } } }',
  state: `{ account(id: "${addressOf(1)}") { liquidation { account tier why value requirement } } }`,
  adl: '{ adlQueue(market: "vETH", deficit: "1000000000000000000") { provenance { inputsDigest } market { symbol } entryCount paid { raw } entries { account rank haircut { raw } } } }',
  deleveraging: '{ deleveraging(market: "vETH", size: "1000000000000000000", price: "1800000000000000000000") { provenance { inputsDigest } market { symbol } fills { account size { raw } } left { raw } } }',
  keepers: '{ keeperEconomics(market: "vETH", gasPricesGwei: [1, 1000]) { provenance { inputsDigest } market { symbol } levels { name orphanCount orphans { account market { symbol } takeable } } } }',
  concentration: '{ collateralHaircuts { total herfindahl collaterals { asset { symbol } held topHolder } } }',
  ladder: '{ liquidationLadder(market: "vETH") { price market { symbol } rungs { change accounts badDebt } } }',
  shortfalls: '{ insuranceFund { target { target cover1 cover2 scenario why } } }',
  volatility: '{ volatility(market: "vETH") { market { symbol } ewma { now } garch { persistence } forecasts { model side valueAtRisk } } }',
  backtest: '{ backtest(input: { market: "vETH" }) { market { symbol } exceptions coverage { pValue } } }',
  dynamicMargin: '{ dynamicMargin(market: "vETH") { market { symbol } initial maintenance horizon { name value origin } } }',
  portfolio: `{ portfolioMargin(input: { account: "${addressOf(1)}" }) { margin gross provenance { inputsDigest } } }`,
  procyclicality: '{ antiProcyclicality(market: "vETH") { market { symbol } core longRun stressed ways { way margin } swing { peakToTrough } } }',
}

/** A server over a desk. */
async function serve(desk: Desk): Promise<{ readonly server: ApiServer; readonly ask: (query: string) => Promise<unknown>; readonly close: () => Promise<void> }> {
  const shared = services(prisma, noChain, { risk: { books: createRiskBooks({ desk }) } })
  const server = await startServer({ ...shared, log, host: '127.0.0.1', port: 0 })
  return {
    server,
    ask: async (query) => (await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', connection: 'close' }, body: JSON.stringify({ query }) })).json(),
    close: async () => {
      await shared.risk.runs.stop()
      await server.close()
    },
  }
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  const url = await postgres.freshDatabase()
  prisma = createPrisma(url)
  await seed(prisma)
  await seedRisk(prisma)
  rpc = await startGetters()
  env = { DATABASE_URL: url, NETWORK: 'devnet', RPC_URL: rpc.url, RPC_BATCH: '100' }
  here = createDesk({ prisma, protocol: curie, deployment, threads: 1, chainReads: async () => 1n })
  forked = forkDesk({ log, env })
}, 240_000)
afterAll(async () => {
  await Promise.all([here?.close(), forked?.close()])
  rpc?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 60_000)

describe('the desk', () => {
  test('second method: in a process of its own it gives the answers of one in this process', async () => {
    const [a, b] = [await serve(here), await serve(forked)]
    try {
      for (const query of Object.values(QUERIES)) {
        const expected = await a.ask(query)
        expect(expected).not.toHaveProperty('errors')
        expect(await b.ask(query)).toEqual(expected)
      }
      const replay = '{ replayBreaker(input: { market: "vETH", days: 1, entries: [{ trigger: "staleness", restrict: 0.01 }] }) { observations trips { start peak } provenance { inputsDigest } } }'
      expect(await a.ask(replay)).toMatchObject({ data: { replayBreaker: { observations: 289 } } })
      expect(await b.ask(replay)).toEqual(await a.ask(replay))
      // Faults keep their code and the path of the argument.
      for (const query of ['{ volatility(market: "vETH", barSec: 301) { sample { bars } } }', '{ portfolioMargin(input: { legs: [{ kind: PERP, asset: "vETH", size: 1 }], grid: "NONE" }) { margin } }']) {
        const expected = await a.ask(query)
        expect(expected).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] })
        expect(await b.ask(query)).toEqual(expected)
      }
    } finally {
      await a.close()
      await b.close()
    }
  })

  test('behavior: resolvers leave every computation to it, and while it computes the server answers everything else', async () => {
    const asked: Question[] = []
    let release = (): void => {}
    const busy = new Promise<void>((resolve) => (release = resolve))
    let all = (): void => {}
    const everything = new Promise<void>((resolve) => (all = resolve))
    const slow: Desk = {
      ...here,
      ask: async (hash, kind, task) => {
        asked.push(kind)
        if (asked.length === Object.keys(QUERIES).length) all()
        await busy
        return here.ask(hash, kind, task)
      },
    }
    const { server, ask, close } = await serve(slow)
    try {
      // A request holds a connection while it waits, of which there are ten: three questions in each.
      const [alone, ...rest] = Object.values(QUERIES)
      const together = Array.from({ length: Math.ceil(rest.length / 3) }, (_, i) => `{ ${rest.slice(3 * i, 3 * i + 3).map((query) => query.slice(1, -1)).join(' ')} }`)
      const answers = Promise.all([alone!, ...together].map(ask))
      await everything
      expect([...asked].sort()).toEqual(Object.keys(QUERIES).sort())
      // None of them is answered, all of these are.
      expect(await (await fetch(`${server.url}/healthz`)).json()).toEqual({ alive: true })
      expect(await ask('{ markets { symbol } }')).toMatchObject({ data: { markets: [{ symbol: 'vETH' }, {}, {}] } })
      expect(await ask('{ oracleHealth { feeds { status } } }')).not.toHaveProperty('errors')
      // Once more while it computes: the same question of the same block is not asked again.
      const again = ask(QUERIES.stress)
      release()
      const [first] = await answers
      expect(await again).toEqual(first)
      expect(asked).toHaveLength(Object.keys(QUERIES).length)
      for (const answer of await answers) expect(answer).not.toHaveProperty('errors')
    } finally {
      release()
      await close()
    }
  })

  test('behavior: no account is read or valued beside it for its answers, prices and depth, and what it tells of a book holds none', async () => {
    const shared = services(prisma, noChain, { risk: { books: createRiskBooks({ desk: here }) } })
    let books = 0
    const margins: typeof shared.margins = { ...shared.margins, at: (...of) => (books++, shared.margins.at(...of)) }
    const server = await startServer({ ...shared, margins, log, host: '127.0.0.1', port: 0 })
    // An account's own margin is the server's.
    const { portfolio: _, ...queries } = QUERIES
    for (const query of [...Object.values(queries), '{ markets { markPrice { value } depth { buyQuote { value } } } }']) {
      const answer = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', connection: 'close' }, body: JSON.stringify({ query }) })
      expect(await answer.json()).not.toHaveProperty('errors')
    }
    expect(books).toBe(0)
    expect(Object.keys((await here.read({ hash: null, snapshot: null }))!.inputs)).not.toContain('accounts')
    await shared.risk.runs.stop()
    await server.close()
  })

  test('behavior: a queue that several wait for does not fail with the one who asked first and has gone', async () => {
    let [started, release] = [() => {}, () => {}]
    const [begun, busy] = [new Promise<void>((resolve) => (started = resolve)), new Promise<void>((resolve) => (release = resolve))]
    const slow: Desk = { ...here, ask: async (...of) => (started(), await busy, here.ask(...of)) }
    const shared = services(prisma, noChain, { risk: { books: createRiskBooks({ desk: slow }) } })
    const [first, second] = [createContext(shared), createContext(shared)]
    const asked = [first, second].map((context) => resolveQueue(null, { first: 7 }, context))
    await begun
    await Promise.all([first.close(), second.markets()])
    release()
    const [, others] = await Promise.allSettled(asked)
    expect(others).toMatchObject({ status: 'fulfilled', value: { entryCount: expect.any(Number) } })
    await second.close()
  })

  test('behavior: a request goes on with the block that it began with, though the mirror has left it', async () => {
    const context = createContext(services(prisma, noChain, { risk: { books: createRiskBooks({ desk: forked }) } }))
    try {
      const began = await context.indexed()
      expect(began?.number).toBe(BLOCK.number)
      // The mirror steps, and account 1 loses all that it had.
      await prisma.checkpoint.create({ data: { blockNumber: 1_001n, blockHash: `0x${'cd'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 2n, rowCount: 1 } })
      await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1_001n } })
      const before = await prisma.account.findUniqueOrThrow({ where: { id: addressOf(1) } })
      await prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: '-1' } })
      // This desk has never seen the block.
      const fresh = createDesk({ prisma, protocol: curie, deployment, threads: 1, chainReads: async () => 1n })
      const own = await createRiskBooks({ desk: fresh }).at(began!, () => context.db())
      expect(own.block.number).toBe(BLOCK.number)
      const valueIn = async (book: RiskBook) => (await book.ask('state', { id: addressOf(1) }))?.account.value
      // 1,000 paid in; 2 vETH were bought for 1,900 each, and stand at 1,800.
      expect([before.settlementBalance.toFixed(0), await valueIn(own)]).toEqual(['1000000000', 800])
      expect((await own.ask('stress', { asked: [], worst: 0, persistence: null, args: null })).accounts).toBe(own.accountCount)
      await fresh.close()
      const now = await createRiskBooks({ desk: forked }).latest()
      expect(now?.block.number).toBe(1_001n)
      expect(await valueIn(now!)).toBe(-200.000001)
      await prisma.account.update({ where: { id: addressOf(1) }, data: { settlementBalance: before.settlementBalance } })
      await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: BLOCK.number } })
      await prisma.checkpoint.delete({ where: { blockNumber: 1_001n } })
    } finally {
      await context.close()
    }
  })

  test('behavior: a desk that began anew reads the block again and answers', async () => {
    const other = createDesk({ prisma, protocol: curie, deployment, threads: 1, chainReads: async () => 1n })
    let desk = here
    const books = createRiskBooks({ desk: { read: (of) => desk.read(of), ask: (...of) => desk.ask(...of), pack: (hash) => desk.pack(hash), replay: (...of) => desk.replay(...of), observe: () => desk.observe(), recommend: () => desk.recommend(), close: async () => {} } })
    const book = await books.at({ ...BLOCK }, () => Promise.reject(new Error('no snapshot is needed')))
    desk = other
    expect(await book.ask('shortfalls', null)).toEqual(await here.ask(BLOCK.hash, 'shortfalls', null))
    expect((await book.pack()).byteLength).toBeGreaterThan(1_000)
    await other.close()
  })

  test('error: one that cannot start is a reason to try again, and the next question starts another', async () => {
    const wrong = { ...env, RPC_BATCH: 'many' }
    const desk = forkDesk({ log, env: wrong })
    await expect(desk.read({ hash: null, snapshot: null })).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('its process ended with code 1') })
    wrong.RPC_BATCH = '100'
    expect((await desk.read({ hash: null, snapshot: null }))?.block.hash).toBe(BLOCK.hash)
    // A book that it never read.
    await expect(desk.ask('00', 'shortfalls', null)).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('no longer has this block') })
    await desk.close()
    await expect(desk.read({ hash: null, snapshot: null })).rejects.toMatchObject({ message: expect.stringContaining('it is closed') })
  })
})
