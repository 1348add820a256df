import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { BLOCK, addressOf, deployment, log, noChain, seed, services, stepTo } from './support.ts'
import { seedRisk } from './risk-support.ts'
import type { Services } from '../../api/graphql/context.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createWebhooks, signatureOf, verifySignature } from '../../api/graphql/webhooks.ts'
import { pruneRuns, simulationTask } from '../../api/recommendations/gather.ts'
import { DEFAULT_POLICY } from '../../api/recommendations/index.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { bearer, steward } from '../support/signIn.ts'

jest.setTimeout(30_000)

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let shared: Services
const eth = deployment.markets[0]!.baseToken.toLowerCase()

const ask = async (query: string, variables: object = {}, session: Record<string, string> = {}): Promise<any> => (await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...session }, body: JSON.stringify({ query, variables }) })).json() // oxlint-disable-line typescript/no-explicit-any
const client = () => createClient({ url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, lazy: false, retryAttempts: 0, onNonLazyError: () => {} })
/** The next event; ended by whoever takes it. */
const next = async (events: AsyncIterator<any>): Promise<any> => (await events.next()).value // oxlint-disable-line typescript/no-explicit-any
/** The server has taken the subscription once the query that follows it on the same connection is answered. */
const taken = async (ws: ReturnType<typeof client>): Promise<void> => void (await next(ws.iterate({ query: '{ status { network } }' })))

/** The mirror steps to a block, `sec` later. */
const step = (number: bigint, sec: number): Promise<void> => stepTo(prisma, number, BLOCK.timestamp + BigInt(sec))

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

describe('breakers over the mirror', () => {
  const board = async () => (await ask('{ circuitBreakers { protocol { level } markets { label level effective latched triggers { name value level } asks { action } history { nodes { from to why resetBy } totalCount } } } }')).data.circuitBreakers
  const market = async (label: string) => (await board()).markets.find((one: { label: string }) => one.label === label)

  test('behavior: are unknown before the first observation, and take one per block', async () => {
    expect(await board()).toBeNull()
    expect((await shared.risk.breakers.observe())?.block.number).toBe(BLOCK.number)
    expect(await shared.risk.breakers.observe()).toBeNull()
    const found = await market('vETH')
    expect(found).toMatchObject({ level: 'NORMAL', latched: false, asks: [] })
    // The price is 30 s old, the heartbeat 1,200 s.
    expect(found.triggers.find((t: { name: string }) => t.name === 'staleness').value).toBeCloseTo(30 / 1200, 9)
  })

  test('behavior: rise to a latched HALT with a stale feed, tell it over WebSocket, and only a person lifts it once the cause is gone', async () => {
    const ws = client()
    await shared.risk.events.look()
    const changes = ws.iterate({ query: 'subscription { breakerChanged(subject: "vETH") { label from to why block { number } } }' })
    const blocks = ws.iterate({ query: 'subscription { blockIndexed { number } }' })
    await taken(ws)
    // Five heartbeats old, twice.
    await step(1001n, 6_000)
    await shared.risk.breakers.observe()
    await step(1002n, 6_002)
    await shared.risk.breakers.observe()
    await shared.risk.events.look()
    expect((await next(changes)).data.breakerChanged).toMatchObject({ label: 'vETH', from: 'NORMAL', to: 'HALT', block: { number: '1002' } })
    expect((await next(blocks)).data.blockIndexed).toEqual({ number: '1002' })
    expect((await market('vETH')).asks.map((one: { action: string }) => one.action)).toContain('stop-trading')

    const reset = 'mutation { resetBreaker(subject: "vETH", why: "the feed is back") { level latched } }'
    expect((await ask(reset)).errors[0].extensions).toMatchObject({ code: 'UNAUTHENTICATED' })
    const session = await bearer(server.url, steward)
    expect((await ask(reset, {}, session)).errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'subject' } })
    await prisma.priceUpdate.create({ data: { id: '0xfresh', feedId: deployment.markets[0]!.chainlinkFeed.toLowerCase(), priceE18: '1800000000000000000000', priceTimestamp: BLOCK.timestamp + 6_003n, freezeReason: 0, ageSec: '1', blockNumber: 1003n, timestamp: BLOCK.timestamp + 6_004n, transactionHash: '0x01', logIndex: 0 } })
    await step(1003n, 6_004)
    await shared.risk.breakers.observe()
    // Calm, and latched all the same.
    expect(await market('vETH')).toMatchObject({ level: 'HALT', latched: true })
    expect((await ask(reset, {}, session)).data.resetBreaker).toEqual({ level: 'RESTRICT', latched: false })
    expect((await market('vETH')).history).toMatchObject({ totalCount: 2, nodes: [{ from: 'HALT', to: 'RESTRICT', resetBy: steward.address.toLowerCase() }, { from: 'NORMAL', to: 'HALT', resetBy: null }] })
    await changes.return?.()
    await blocks.return?.()
    await ws.dispose()
  })

  test('behavior: after a reorganisation go on from the common block, and forget what was taken back', async () => {
    await prisma.checkpoint.deleteMany({ where: { blockNumber: { gt: 1001n } } })
    await prisma.checkpoint.create({ data: { blockNumber: 1002n, blockHash: `0x${'ee'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 6_005n, rowCount: 1 } })
    await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1002n } })
    expect((await shared.risk.breakers.observe())?.block.number).toBe(1002n)
    // The fresh price is dated before this block: one stale observation is no confirmation.
    expect(await market('vETH')).toMatchObject({ level: 'NORMAL', history: { totalCount: 0 } })
  })
})

describe('triggers of a breaker', () => {
  test('behavior: what the index cannot tell is UNKNOWN, what belongs elsewhere or nowhere NOT_APPLICABLE, and surplus paid out is no loss of the fund', async () => {
    const fundId = deployment.contracts.insuranceFund.toLowerCase()
    const flow = (block: bigint, kind: 'TRANSFER_IN' | 'DISTRIBUTED' | 'BAD_DEBT', amount: number, after: number) => ({ id: `0xflow${block}`, fundId, kind, amountE18: `${BigInt(amount) * 10n ** 18n}`, counterparty: addressOf(9), balanceAfterE18: `${BigInt(after) * 10n ** 18n}`, blockNumber: block, timestamp: BLOCK.timestamp + 6_010n + block - 1_000n, transactionHash: '0x0b', logIndex: 0 })
    await prisma.insuranceFundFlow.createMany({ data: [flow(1003n, 'TRANSFER_IN', 99, 100), flow(1004n, 'DISTRIBUTED', -60, 40), flow(1005n, 'BAD_DEBT', -2, 38)] })
    await step(1006n, 6_100)
    await shared.risk.breakers.observe()
    const TRIGGERS = 'label level triggers { name state why value }'
    const { protocol, markets } = (await ask(`{ circuitBreakers { protocol { ${TRIGGERS} } markets { ${TRIGGERS} } } }`)).data.circuitBreakers
    const of = (breaker: { triggers: { name: string; state: string; value: number | null; why: string | null }[] }) => Object.fromEntries(breaker.triggers.map(({ name, state }) => [name, state]))
    expect(of(protocol)).toEqual({ staleness: 'NOT_APPLICABLE', deviation: 'NOT_APPLICABLE', band: 'NOT_APPLICABLE', velocity: 'NOT_APPLICABLE', fundDrawdown: 'MEASURED', utilisation: 'NOT_APPLICABLE' })
    // 2 of the 40 that were left, not 62 of 100.
    expect(protocol).toMatchObject({ level: 'NORMAL' })
    expect(protocol.triggers.find(({ name }: { name: string }) => name === 'fundDrawdown').value).toBeCloseTo(0.05, 12)
    expect(of(markets.find(({ label }: { label: string }) => label === 'vETH'))).toMatchObject({ staleness: 'MEASURED', fundDrawdown: 'NOT_APPLICABLE', utilisation: 'NOT_APPLICABLE' })
    for (const { state, why, value } of [protocol, ...markets].flatMap(({ triggers }) => triggers)) expect([state !== 'NOT_APPLICABLE', state === 'MEASURED']).toEqual([why === null, value !== null])
    // No loan book: nobody observes its use, and a replay does not count it among what is unknown.
    const { replayBreaker } = (await ask('{ replayBreaker(input: { market: "vETH", days: 1 }) { known { name } } }')).data
    expect(replayBreaker.known.map(({ name }: { name: string }) => name)).toEqual(['staleness', 'deviation', 'band', 'velocity'])
    await prisma.insuranceFundFlow.deleteMany({ where: { id: { startsWith: '0xflow' } } })
    await prisma.breakerBoard.deleteMany({ where: { blockNumber: { gt: 1002n } } })
    await prisma.checkpoint.deleteMany({ where: { blockNumber: { gt: 1002n } } })
    await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1002n } })
  })
})

describe('blocks within one step', () => {
  test('behavior: a breaker sees each block in which something happened, not the ends of the mirror’s steps alone', async () => {
    const feedId = deployment.markets[0]!.chainlinkFeed.toLowerCase()
    const price = (block: bigint, sec: number, usd: string) => ({ id: `0xwithin${block}`, feedId, priceE18: `${usd}000000000000000000`, priceTimestamp: BLOCK.timestamp + BigInt(sec), freezeReason: 0, ageSec: '1', blockNumber: block, timestamp: BLOCK.timestamp + BigInt(sec), transactionHash: '0x0a', logIndex: 0 })
    // Of a block that was taken back.
    await prisma.priceUpdate.delete({ where: { id: '0xfresh' } })
    // Fresh at the step's start and at its end, and 40 % lower at two blocks between them.
    await prisma.priceUpdate.createMany({ data: [price(1010n, 20_000, '1800'), price(1020n, 20_400, '1080'), price(1021n, 20_402, '1080'), price(1022n, 20_404, '1800')] })
    await step(1010n, 20_001)
    await shared.risk.breakers.observe()
    await step(1100n, 21_500)
    await shared.risk.breakers.observe()
    const { data } = await ask('{ circuitBreakers { markets { label history { nodes { from to seenBlock seenAt why block { number } } } } } }')
    const { nodes } = data.circuitBreakers.markets.find((one: { label: string }) => one.label === 'vETH').history
    const rise = nodes.findLast((one: { to: string; seenBlock: string }) => one.to === 'HALT')
    // Two blocks of it confirm a HALT, and the second is named with its own time.
    expect(rise).toMatchObject({ seenBlock: '1021', seenAt: String(BLOCK.timestamp + 20_402n), block: { number: '1100' } })
    await prisma.priceUpdate.deleteMany({ where: { id: { startsWith: '0xwithin' } } })
    await prisma.breakerBoard.deleteMany()
    await prisma.breakerChange.deleteMany()
    await prisma.checkpoint.deleteMany({ where: { blockNumber: { gt: 1002n } } })
    await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1002n } })
  })
})

describe('subscriptions', () => {
  test('behavior: a liquidation is told to those who asked for its market, with fields of the block that holds it', async () => {
    const ws = client()
    await shared.risk.events.look()
    const events = ws.iterate({ query: 'subscription { liquidated(market: "vETH") { account notional { value } market { symbol } } }' })
    await taken(ws)
    await prisma.liquidation.create({ data: { id: '0xbeef', accountId: addressOf(4), marketId: eth, liquidator: addressOf(9), sizeE18: '1', notionalE18: '5000000000000000000', penaltyE18: '1', liquidatorFeeE18: '1', sizeAfterE18: '0', blockNumber: 1004n, timestamp: BLOCK.timestamp + 6_006n, transactionHash: '0x02', logIndex: 0 } })
    await step(1004n, 6_006)
    await shared.risk.events.look()
    expect((await next(events)).data.liquidated).toEqual({ account: addressOf(4), notional: { value: '5' }, market: { symbol: 'vETH' } })
    await events.return?.()
    await ws.dispose()
  })

  test('behavior: who was away names the last block that they took, and gets what was since and what comes, without a gap', async () => {
    const ws = client()
    await shared.risk.events.look()
    const events = ws.iterate({ query: 'subscription { liquidated(sinceBlock: "1004") { id block } }' })
    expect((await next(events)).data.liquidated).toEqual({ id: '0xbeef', block: '1004' })
    await prisma.liquidation.create({ data: { id: '0xcafe', accountId: addressOf(4), marketId: eth, liquidator: addressOf(9), sizeE18: '1', notionalE18: '1', penaltyE18: '1', liquidatorFeeE18: '1', sizeAfterE18: '0', blockNumber: 1005n, timestamp: BLOCK.timestamp + 6_007n, transactionHash: '0x03', logIndex: 0 } })
    await step(1005n, 6_007)
    await shared.risk.events.look()
    expect((await next(events)).data.liquidated).toEqual({ id: '0xcafe', block: '1005' })
    const runs = ws.iterate({ query: 'subscription { recommendationsAdded(sinceBlock: "0") { parameter urgency } }' })
    // Of the seed: an older run with the band at 100, then one with mmRatio (90) and the band (80), most urgent first.
    expect((await next(runs)).data.recommendationsAdded.map((one: { urgency: number }) => one.urgency)).toEqual([100])
    expect((await next(runs)).data.recommendationsAdded.map((one: { urgency: number }) => one.urgency)).toEqual([90, 80])
    await events.return?.()
    await runs.return?.()
    await ws.dispose()
  })

  test('behavior: a reorganisation is said with the last common block, and what took the place of its blocks is told anew', async () => {
    const ws = client()
    await shared.risk.events.look()
    const said = ws.iterate({ query: 'subscription { reorganised { common { number } from { number hash } to { number hash } } }' })
    const events = ws.iterate({ query: 'subscription { liquidated { id block } }' })
    await taken(ws)
    await prisma.checkpoint.deleteMany({ where: { blockNumber: 1005n } })
    await prisma.liquidation.update({ where: { id: '0xcafe' }, data: { blockNumber: 1006n } })
    await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: 1006n } })
    await prisma.checkpoint.create({ data: { blockNumber: 1006n, blockHash: `0x${'dd'.repeat(32)}`, blockTimestamp: BLOCK.timestamp + 6_008n, rowCount: 1 } })
    await shared.risk.events.look()
    expect((await next(said)).data.reorganised).toEqual({ common: { number: '1004' }, from: { number: '1005', hash: `0x${(1005n).toString(16).padStart(64, '0')}` }, to: { number: '1006', hash: `0x${'dd'.repeat(32)}` } })
    expect((await next(events)).data.liquidated).toEqual({ id: '0xcafe', block: '1006' })
    await said.return?.()
    await events.return?.()
    await ws.dispose()
  })

  test('behavior: subscriptions that wait, and questions whose asker has gone, hold no transaction of the database', async () => {
    const held = async (): Promise<number> => Number((await prisma.$queryRaw<{ count: bigint }[]>`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`)[0]!.count)
    const waiting = client()
    const events = Array.from({ length: 12 }, () => waiting.iterate({ query: 'subscription { liquidated(market: "vETH") { id } }' }))
    for (const one of events) void one.next()
    await taken(waiting)
    const gone = client()
    for (let i = 0; i < 12; i++) void next(gone.iterate({ query: '{ markets { id markPrice { value } } accounts { nodes { id } } }' })).catch(() => {})
    await gone.dispose()
    expect((await ask('{ markets { symbol } }')).data.markets).toHaveLength(3)
    // The last answers of those who have gone are still being made.
    const until = Date.now() + 10_000
    while ((await held()) > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await held()).toBe(0)
    await waiting.dispose()
  })

  test('behavior: a subscription that is ended or whose asker has gone listens no longer, though nothing has happened, and leaves its place to others', async () => {
    const { events } = shared.risk
    const listen = events.listen.bind(events)
    let listening = 0
    const counted = jest.spyOn(events, 'listen').mockImplementation(((topic: 'breaker') => {
      const iterator = listen(topic)
      const end = iterator.return!.bind(iterator)
      let isOpen = true
      listening++
      return Object.assign(iterator, { return: async () => {
        if (isOpen) listening--
        isOpen = false
        return await end()
      } })
    }) as typeof events.listen)
    const none = async (): Promise<void> => {
      const until = Date.now() + 5_000
      while (listening > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 10))
      expect(listening).toBe(0)
    }
    const ws = client()
    // More than one connection may hold at a time.
    for (let i = 0; i < 25; i++) {
      const one = ws.iterate({ query: 'subscription { breakerChanged(subject: "nobody") { label } }' })
      void one.next()
      await taken(ws)
      expect(listening).toBe(1)
      await one.return?.()
      await none()
    }
    for (const query of ['subscription { breakerChanged(subject: "nobody") { label } }', 'subscription { reorganised { to { number } } }', 'subscription { blockIndexed { number } }']) void ws.iterate({ query }).next().catch(() => {})
    await taken(ws)
    expect(listening).toBe(3)
    await ws.dispose()
    await none()
    counted.mockRestore()
  })

  test('error: an operation that the document does not hold is refused, over and over', async () => {
    const ws = client()
    for (let i = 0; i < 25; i++) await expect(next(ws.iterate({ query: 'query a { status { network } }', operationName: 'b' }))).rejects.toMatchObject([{ message: 'Found no operation b in the document, allowed is one; name it in operationName' }])
    await taken(ws)
    await ws.dispose()
  })

  test('error: a block that cannot be and a run that is not are said on their own subscription, and the connection goes on', async () => {
    const ws = client()
    const first = await next(ws.iterate({ query: 'subscription { liquidated(sinceBlock: "-1") { id } }' }))
    expect(first.errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['sinceBlock'] })
    const second = await next(ws.iterate({ query: 'subscription { riskRun(id: "none") { id } }' }))
    expect(second.errors[0].extensions.code).toBe('NOT_FOUND')
    expect((await next(ws.iterate({ query: '{ status { network } }' }))).data.status.network).toBe('devnet')
    await ws.dispose()
  })

  test('behavior: a listener that takes nothing is ended with what to do, and the others go on', async () => {
    const [slow, fast] = [shared.risk.events.listen('run'), shared.risk.events.listen('run')]
    const heard: string[] = []
    for (let i = 0; i <= 1_000; i++) {
      shared.risk.events.publish('run', String(i))
      const { value } = await fast.next()
      heard.push(value as string)
    }
    await expect(slow.next()).rejects.toMatchObject({ code: 'TOO_SLOW' })
    expect(heard).toHaveLength(1_001)
    await fast.return?.()
  })

  test('error: limits hold as for queries, and pages of other origins are refused', async () => {
    const ws = client()
    const many = Array.from({ length: 31 }, (_, i) => `a${i}: status { network }`).join(' ')
    await expect(next(ws.iterate({ query: `{ ${many} }` }))).rejects.toMatchObject([{ message: expect.stringContaining('aliases') }])
    await ws.dispose()
    const foreign = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { origin: 'https://evil.example' })
    const status = await new Promise((resolve) => foreign.once('unexpected-response', (_request, response) => resolve(response.statusCode)).once('open', () => resolve('open')).on('error', () => {}))
    expect(status).toBe(403)
  })

  test('error: aliases beyond the limit and batches are refused over HTTP', async () => {
    const many = Array.from({ length: 31 }, (_, i) => `a${i}: status { network }`).join(' ')
    expect((await ask(`{ ${many} }`)).errors[0].message).toContain('aliases')
    const batch = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify([{ query: '{ __typename }' }, { query: '{ __typename }' }]) })
    expect(batch.status).toBe(400)
  })
})

describe('long runs', () => {
  const RUN = 'id kind state progress error fund { paths quantile lower } stress { scenarios { id } } backtest { market { symbol } exceptions }'

  test('behavior: a run reports until it is done, its result is kept, and the same question gives it back', async () => {
    const ws = client()
    const { data: { startRiskRun: started } } = await ask(`mutation { startRiskRun(input: { stress: { regimes: ["covid-2020-03-12"], severities: [SEVERE, DAY] } }) { ${RUN} } }`)
    const states: string[] = []
    let last: any // oxlint-disable-line typescript/no-explicit-any
    for await (const event of ws.iterate({ query: `subscription($id: ID!) { riskRun(id: $id) { ${RUN} } }`, variables: { id: started.id } }) as AsyncIterable<any>) { // oxlint-disable-line typescript/no-explicit-any
      last = event.data.riskRun
      states.push(last.state)
    }
    expect(last).toMatchObject({ state: 'DONE', progress: 1, stress: { scenarios: [{ id: 'covid-2020-03-12' }, { id: 'covid-2020-03-12' }] } })
    expect(states.at(-1)).toBe('DONE')
    const again = await ask(`mutation { startRiskRun(input: { stress: { regimes: ["covid-2020-03-12"], severities: [SEVERE, DAY] } }) { id state input } }`)
    expect(again.data.startRiskRun).toEqual({ id: started.id, state: 'DONE', input: { regimes: ['covid-2020-03-12'], severities: ['SEVERE', 'DAY'], worst: 5, cascade: true, persistence: 1 } })
    await ws.dispose()
  })

  test('behavior: a simulated shortfall has its interval, and the fund’s target stands on the policy’s own or on the one that is named', async () => {
    const ws = client()
    type Simulated = { id: string; fund: { quantile: number; lower: number } }
    const simulated = async (fund: string): Promise<Simulated> => {
      const { data: { startRiskRun: started } } = await ask(`mutation { startRiskRun(input: { fund: ${fund} }) { id } }`)
      let last: any // oxlint-disable-line typescript/no-explicit-any
      for await (const event of ws.iterate({ query: `subscription($id: ID!) { riskRun(id: $id) { ${RUN} } }`, variables: { id: started.id } }) as AsyncIterable<any>) last = event.data.riskRun // oxlint-disable-line typescript/no-explicit-any
      expect(last).toMatchObject({ state: 'DONE', error: null, fund: { paths: 10_000 } })
      return last as Simulated
    }
    const targetOf = async (args = ''): Promise<any> => (await ask(`{ insuranceFund { target${args} { target gap simulation { run paths seed level quantile horizonSec block { number } } simulationUnknown { reason } feeShare feeUnknown { what } runwayDays } } }`)).data.insuranceFund.target // oxlint-disable-line typescript/no-explicit-any

    // Anybody's run is theirs: other hours, another seed or a milder level do not move what the fund should hold.
    const theirs = await simulated('{ hours: 1, seed: 7 }')
    expect(await targetOf()).toMatchObject({ simulation: null, simulationUnknown: { reason: 'NOT_MEASURED' }, feeShare: null, feeUnknown: { what: 'simulated shortfall' }, runwayDays: null })
    expect(await targetOf(`(simulation: "${theirs.id}")`)).toMatchObject({ simulation: { run: theirs.id, seed: 7, horizonSec: 3600, quantile: theirs.fund.quantile }, simulationUnknown: null, feeUnknown: null })

    const own = await simulated('{}')
    const head = await prisma.checkpoint.findFirstOrThrow({ orderBy: { blockNumber: 'desc' } })
    expect(own.fund.lower).toBeLessThanOrEqual(own.fund.quantile)
    const { data: { riskRun: kept } } = await ask(`{ riskRun(id: "${own.id}") { input fund { paths lossShare meanPerDay mean histogramUnknown { message } histogram { from to paths } } } }`)
    expect(kept.input).toEqual({ paths: 10_000, hours: 24, seed: 1, level: 0.999, confidence: 0.95 })
    expect(kept.fund.histogramUnknown).toBeNull()
    expect(kept.fund.histogram.reduce((sum: number, bin: { paths: number }) => sum + bin.paths, 0)).toBe(10_000)
    expect(1 - kept.fund.histogram[0].paths / 10_000).toBeCloseTo(kept.fund.lossShare, 12)
    const target = await targetOf()
    expect(target).toMatchObject({ simulation: { run: own.id, paths: 10_000, seed: 1, level: 0.999, horizonSec: 86_400, quantile: own.fund.quantile, block: { number: String(head.blockNumber) } }, simulationUnknown: null, feeUnknown: null })
    expect(target.target).toBeGreaterThanOrEqual(own.fund.quantile)
    expect(target.feeShare).toBeGreaterThanOrEqual(0)
    await simulated('{ seed: 8, level: 0.5 }')
    expect(await targetOf()).toEqual(target)

    const wrong = async (id: string) => (await ask(`{ insuranceFund { target(simulation: "${id}") { target } } }`)).errors[0].extensions
    expect(await wrong('moon')).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'simulation' } })
    // A reorganisation took its block back: nobody's target stands on it any more, whether named or not.
    await prisma.riskRun.updateMany({ where: { kind: 'FUND' }, data: { blockHash: `0x${'dead'.repeat(16)}` } })
    expect((await targetOf()).simulation).toBeNull()
    expect(await wrong(theirs.id)).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'simulation' } })
    await ws.dispose()
  })

  test('behavior: two hundred later runs do not delete the simulation that recommendations stand on', async () => {
    const own = await prisma.riskRun.findFirstOrThrow({ where: { kind: 'FUND', state: 'DONE', arguments: { equals: simulationTask(DEFAULT_POLICY) } } })
    const theirs = await prisma.riskRun.findFirstOrThrow({ where: { kind: 'FUND', state: 'DONE', NOT: { arguments: { equals: simulationTask(DEFAULT_POLICY) } } } })
    const { result: _result, arguments: _arguments, ...row } = theirs
    const startedAt = new Date(Date.now() + 60_000)
    await prisma.riskRun.createMany({ data: Array.from({ length: 200 }, (_, i) => ({ ...row, id: `later-${i}`, key: `later-${i}`, kind: 'STRESS', arguments: {}, startedAt })) })
    await prisma.riskRun.createMany({ data: [{ ...row, id: 'own-older', key: 'own-older', blockNumber: 1n, arguments: own.arguments ?? {}, startedAt: new Date(0) }, { ...row, id: 'own-oldest', key: 'own-oldest', blockNumber: 0n, arguments: own.arguments ?? {}, startedAt: new Date(0) }] })
    await pruneRuns(prisma, 200, DEFAULT_POLICY)
    const left = (await prisma.riskRun.findMany({ select: { id: true } })).map(({ id }) => id).filter((id) => !id.startsWith('later-'))
    // Below the oldest checkpoint nothing is taken back: of those the newest is enough.
    expect(left.toSorted()).toEqual([own.id, 'own-older'].toSorted())
    await prisma.riskRun.deleteMany()
  })

  test('behavior: a run that is cancelled ends, and stays cancelled', async () => {
    const { data: { startRiskRun: started } } = await ask(`mutation { startRiskRun(input: { fund: { paths: 1000000, hours: 168 } }) { id state } }`)
    expect((await ask(`mutation { cancelRiskRun(id: "${started.id}") { state } }`)).data.cancelRiskRun.state).toBe('CANCELLED')
    await shared.risk.runs.stop()
    expect((await ask(`{ riskRun(id: "${started.id}") { state fund { paths } } }`)).data.riskRun).toEqual({ state: 'CANCELLED', fund: null })
  })

  test('error: refuses before it starts, with the field’s path', async () => {
    const fault = async (input: string) => (await ask(`mutation { startRiskRun(input: ${input}) { id } }`)).errors[0].extensions
    expect(await fault('{}')).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'input' } })
    expect(await fault('{ fund: { paths: 10 } }')).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'input.fund.paths' } })
    expect(await fault('{ backtest: { market: "vX" } }')).toMatchObject({ code: 'BAD_USER_INPUT', facts: { field: 'input.backtest.market' } })
  })
})

describe('webhooks', () => {
  test('behavior: the signature is HMAC-SHA256 over timestamp and body, and an old or changed request fails', () => {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
    const [secret, timestamp, body] = ['0123456789abcdef', '1700000000', '{"a":1}']
    const signature = signatureOf(secret, timestamp, body)
    expect(signature).toBe('v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23')
    expect(verifySignature({ secret, timestamp, body, signature, nowSec: 1_700_000_100 })).toBe(true)
    expect(verifySignature({ secret, timestamp, body, signature, nowSec: 1_700_000_301 })).toBe(false)
    expect(verifySignature({ secret, timestamp, body: '{"a":2}', signature, nowSec: 1_700_000_100 })).toBe(false)
    expect(verifySignature({ secret: 'another secret 16', timestamp, body, signature, nowSec: 1_700_000_100 })).toBe(false)
  })

  test('behavior: each event is written once, sent again with backoff until it is taken, and never after', async () => {
    const heard: { id: string; event: string; ok: boolean; kind: string }[] = []
    let refuse = true
    const secret = 'a secret of tests'
    const receiver = createServer((request, response) => {
      let body = ''
      request.on('data', (part: Buffer) => (body += part.toString())).on('end', () => {
        const { headers } = request
        heard.push({ id: String(headers['bulwark-delivery']), event: JSON.parse(body).key, kind: String(headers['bulwark-event']), ok: verifySignature({ secret, timestamp: String(headers['bulwark-timestamp']), body, signature: String(headers['bulwark-signature']), nowSec: Number(headers['bulwark-timestamp']) }) })
        response.writeHead(refuse ? 503 : 204).end()
      })
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
    let now = 1_700_000_000_000
    const hooks = createWebhooks({ prisma, log, urls: [url], secret, now: () => now })
    const head = await prisma.checkpoint.findFirstOrThrow({ orderBy: { blockNumber: 'desc' } })
    await prisma.breakerChange.create({ data: { id: `${head.blockNumber}:protocol:0`, blockNumber: head.blockNumber, blockHash: head.blockHash, blockTimestamp: head.blockTimestamp, subject: 'protocol', subjectLabel: 'protocol', fromLevel: 'NORMAL', toLevel: 'WATCH', why: 'fund lost in 24 h is 12.0 %', reasons: [] } })
    // Of the seed: vETH's band is urgent (80) and mmRatio (90), and two proposals wait.
    const first = await hooks.run()
    expect(first.queued).toBeGreaterThanOrEqual(5)
    expect(first).toMatchObject({ sent: 0, failed: first.queued })
    // Not due yet.
    expect(await hooks.run()).toEqual({ queued: 0, sent: 0, failed: 0 })
    now += 5_001
    refuse = false
    const second = await hooks.run()
    expect(second).toEqual({ queued: 0, sent: first.queued, failed: 0 })
    now += 3_600_000
    expect(await hooks.run()).toEqual({ queued: 0, sent: 0, failed: 0 })
    expect(heard.every((one) => one.ok)).toBe(true)
    // Twice each, under the same id.
    expect(new Set(heard.map((one) => one.id)).size).toBe(first.queued)
    expect(heard).toHaveLength(2 * first.queued)
    expect(new Set(heard.map((one) => one.kind))).toEqual(new Set(['BREAKER_CHANGE', 'URGENT_RECOMMENDATION', 'PROPOSAL_AWAITS_SIGNATURE']))
    // Two senders at once take each delivery once.
    await prisma.webhookDelivery.updateMany({ data: { deliveredAt: null, nextAttemptAt: new Date(now) } })
    heard.length = 0
    await Promise.all([hooks.run(), createWebhooks({ prisma, log, urls: [url], secret, now: () => now }).run()])
    expect(heard).toHaveLength(first.queued)
    await new Promise((resolve) => receiver.close(resolve))
  })

  test('behavior: an urgency that went on is told once; one that ended and returns with the same values is told again', async () => {
    await prisma.webhookDelivery.deleteMany()
    const run = await prisma.recommendationRun.findFirstOrThrow({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }] })
    const [urgent] = await prisma.recommendation.findMany({ where: { runId: run.id, urgency: { gte: 60 }, direction: { not: 'HOLD' } }, orderBy: { urgency: 'desc' } })
    const again = async (n: number, more: object): Promise<void> => {
      const runId = `later-run-${n}`
      await prisma.recommendationRun.create({ data: { ...run, inputs: {}, id: runId, blockNumber: run.blockNumber + BigInt(n) } })
      await prisma.recommendation.create({ data: { ...urgent!, inputs: {}, evidence: [], adjustments: [], id: `${runId}:x`, runId, ...more } })
    }
    const hooks = createWebhooks({ prisma, log, urls: ['http://127.0.0.1:9/hook'], secret: 'a secret of tests', send: async () => new Response(null, { status: 204 }) })
    const told = async (): Promise<number> => {
      await hooks.run()
      return prisma.webhookDelivery.count({ where: { kind: 'URGENT_RECOMMENDATION', eventKey: { contains: `:${urgent!.parameter}:${urgent!.subject}:` } } })
    }
    expect(await told()).toBe(1)
    expect(await told()).toBe(1)
    // Another run, a little less urgent on the way: the same urgency.
    await again(1, { urgency: 55 })
    await again(2, {})
    expect(await told()).toBe(1)
    await again(3, { direction: 'HOLD', urgency: 0, recommended: urgent!.current })
    expect(await told()).toBe(1)
    await again(4, {})
    expect(await told()).toBe(2)
    await again(5, {})
    expect(await told()).toBe(2)
    await prisma.recommendationRun.deleteMany({ where: { id: { startsWith: 'later-run' } } })
  })

  test('behavior: the outbox keeps what was taken or given up for thirty days, and what still lasts for as long as it does', async () => {
    await prisma.webhookDelivery.deleteMany()
    let now = Date.now()
    const hooks = createWebhooks({ prisma, log, urls: ['http://127.0.0.1:9/hook'], secret: 'a secret of tests', now: () => now, send: async () => new Response(null, { status: 204 }) })
    const { queued } = await hooks.run()
    expect(queued).toBeGreaterThan(0)
    const row = { url: 'http://127.0.0.1:9/hook', kind: 'BREAKER_CHANGE', body: '{}', createdAt: new Date(now) }
    await prisma.webhookDelivery.createMany({ data: [{ ...row, eventKey: 'taken', deliveredAt: new Date(now) }, { ...row, eventKey: 'given up', givenUpAt: new Date(now) }] })
    now += 29 * 86_400_000
    await hooks.run()
    expect(await prisma.webhookDelivery.count()).toBe(queued + 2)
    now += 2 * 86_400_000
    expect((await hooks.run()).queued).toBe(0)
    expect(await prisma.webhookDelivery.count()).toBe(queued)
  })
})
