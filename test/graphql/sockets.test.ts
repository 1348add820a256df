/** What is asked over a WebSocket counts with the requests over HTTP of the same address. */
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { log, noChain, seed, services, stepTo } from './support.ts'
import { RATES } from '../../api/graphql/rates.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer, ServerOptions } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

jest.setTimeout(30_000)

const NETWORK = '{ status { network } }'
const REFUSED = { message: expect.stringMatching(/^Found more than 3 requests in a minute, allowed are 3; ask again in \d+ s$/), extensions: expect.objectContaining({ code: 'RATE_LIMITED' }) }

let postgres: TestPostgres
let prisma: PrismaClient
const servers: ApiServer[] = []

const start = async (options: Partial<ServerOptions> = {}): Promise<ApiServer> => {
  const server = await startServer({ ...services(prisma, noChain), log, host: '127.0.0.1', port: 0, rates: { ...RATES, requests: 3 }, ...options })
  servers.push(server)
  return server
}
/** Answers of one question each, over one connection. */
const socket = ({ url }: ApiServer, headers: Record<string, string> = {}) => {
  class Dressed extends WebSocket {
    constructor(at: string, protocol: string) {
      super(at, protocol, { headers })
    }
  }
  const client = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: Dressed, retryAttempts: 0 })
  const ask = (query: string): Promise<unknown> => new Promise((resolve) => {
    let answer: unknown
    client.subscribe({ query }, { next: (one) => (answer = one), error: (errors) => resolve({ errors }), complete: () => resolve(answer) })
  })
  return { client, ask }
}
const http = async ({ url }: ApiServer, headers: Record<string, string> = {}): Promise<{ status: number | undefined; body: unknown }> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString())).on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) as unknown }))
    })
    sent.on('error', reject).end(JSON.stringify({ query: NETWORK }))
  })
const OK = { data: { status: { network: 'devnet' } } }

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
}, 240_000)
afterAll(async () => {
  for (const server of servers) await server.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

describe('rates over WebSocket', () => {
  test('error: questions over HTTP and WebSocket are counted together, refused ones as well, and above the limit refused by the same sentence', async () => {
    const server = await start()
    const one = socket(server)
    const other = socket(server)
    expect((await http(server)).status).toBe(200)
    expect(await one.ask('mutation { cancelRiskRun(id: "x") { id } }')).toMatchObject({ errors: [{ extensions: { code: 'BAD_INPUT' } }] })
    expect(await other.ask(NETWORK)).toEqual(OK)
    // The fourth, on any connection, and over HTTP.
    expect(await one.ask(NETWORK)).toEqual({ errors: [REFUSED] })
    expect(await other.ask('subscription { blockIndexed { number } }')).toEqual({ errors: [REFUSED] })
    expect(await http(server)).toMatchObject({ status: 429, body: { errors: [{ ...REFUSED, extensions: { code: 'RATE_LIMITED' } }] } })
    for (const { client } of [one, other]) await client.dispose()
  })

  test('behavior: a refusal ends its own question, and what the connection is told goes on', async () => {
    const own = services(prisma, noChain)
    const server = await start(own)
    await own.risk.events.look()
    const { client, ask } = socket(server)
    const blocks = client.iterate({ query: 'subscription { blockIndexed { number } }' })
    expect([await ask(NETWORK), await ask(NETWORK), await ask(NETWORK)]).toEqual([OK, OK, { errors: [REFUSED] }])
    for (const number of [1001n, 1002n]) {
      await stepTo(prisma, number, 1_800_000_000n + number)
      await own.risk.events.look()
      expect((await blocks.next()).value).toEqual({ data: { blockIndexed: { number: String(number) } } })
    }
    await client.dispose()
  })

  test('behavior: behind a proxy each address that it names has its own count, over HTTP and WebSocket alike; without one nobody names their own', async () => {
    const behind = await start({ proxies: 1 })
    // Whoever asks may write what they like before what the proxy adds.
    const forged = socket(behind, { 'x-forwarded-for': '203.0.113.200, 203.0.113.7' })
    expect([await forged.ask(NETWORK), (await http(behind, { 'x-forwarded-for': '203.0.113.7' })).status, await forged.ask(NETWORK), await forged.ask(NETWORK)]).toEqual([OK, 200, OK, { errors: [REFUSED] }])
    const other = socket(behind, { 'x-forwarded-for': '203.0.113.8' })
    expect(await other.ask(NETWORK)).toEqual(OK)
    expect((await http(behind, { 'x-forwarded-for': '198.51.100.1, 203.0.113.7' })).status).toBe(429)

    const open = await start()
    const askers = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4'].map((address) => socket(open, { 'x-forwarded-for': address }))
    const answers: unknown[] = []
    for (const asker of askers) answers.push(await asker.ask(NETWORK))
    expect(answers).toEqual([OK, OK, OK, { errors: [REFUSED] }])
    for (const { client } of [forged, other, ...askers]) await client.dispose()
  })
})
