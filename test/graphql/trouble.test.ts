/** graph-node in trouble, seen through the API: a real mirror over a real PostgreSQL, with a graph-node and a chain that answer what the test says. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { freePort } from '../../core/ports.ts'
import { createChain } from '../../api/graphql/chain.ts'
import { startServer, type ApiServer } from '../../api/graphql/server.ts'
import { createMirror } from '../../api/mirror/mirror.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { BLOCK, deployment, log, seed, services } from './support.ts'

jest.setTimeout(60_000)

/** The chain goes on at 2 s a block from the block that is stored. */
const HEAD = 1100n
const blockOf = (number: bigint): { number: string; hash: string; timestamp: string } => ({
  number: `0x${number.toString(16)}`,
  hash: number === BLOCK.number ? BLOCK.hash : `0x${number.toString(16).padStart(64, '0')}`,
  timestamp: `0x${(BLOCK.timestamp + (number - BLOCK.number) * 2n).toString(16)}`,
})

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
let databaseUrl: string
let graphNodeUrl: string
let rpcUrl: string
/** What graph-node answers; null breaks the connection. */
let graphNode: (query: string) => object | null = () => null
const servers: Server[] = []

async function serve(answer: (body: string) => object | null): Promise<string> {
  const one = createServer((request, response) => {
    void text(request).then((body) => {
      const said = answer(body)
      if (said === null) response.destroy()
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(said))
    })
  })
  servers.push(one)
  await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(one.address() as AddressInfo).port}`
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  databaseUrl = await postgres.freshDatabase()
  prisma = createPrisma(databaseUrl)
  await seed(prisma)
  graphNodeUrl = await serve((body) => graphNode(body))
  rpcUrl = await serve((body) => {
    const answer = ({ id, method, params }: { id: number; method: string; params?: string[] }): object => {
      const number = params?.[0] === 'latest' ? HEAD : BigInt(params?.[0] ?? '0')
      const result = method === 'eth_chainId' ? `0x${deployment.chainId.toString(16)}` : method === 'eth_getBlockByNumber' ? (number > HEAD ? null : { ...blockOf(number), transactions: [] }) : null
      return { jsonrpc: '2.0', id, result }
    }
    const asked = JSON.parse(body) as Parameters<typeof answer>[0] | Parameters<typeof answer>[0][]
    return Array.isArray(asked) ? asked.map(answer) : answer(asked)
  })
  server = await startServer({ ...services(prisma, createChain(rpcUrl)), log, host: '127.0.0.1', port: 0 })
}, 90_000)

afterAll(async () => {
  await server?.close()
  await prisma?.$disconnect()
  for (const one of servers) {
    one.closeAllConnections()
    one.close()
  }
  await postgres?.stop()
}, 30_000)

type Seen = { status: { indexed: { number: string }; ageSec: number; lagBlocks: number; parts: { name: string; health: string; detail: string }[] }; liquidations: { totalCount: number } }

/** Runs the mirror until the API tells of a trouble of this kind, and answers with what it says. */
async function follow(kind: string, url = graphNodeUrl, stored = 'QmOurs'): Promise<Seen & { metrics: string; detail: string; health: string }> {
  await prisma.mirrorStatus.update({ where: { id: 1 }, data: { deployment: stored, error: null, errorKind: null, errorPart: null } })
  const mirror = createMirror({ databaseUrl, graphNodeUrl: url, rpcUrl, log, pollIntervalMs: 20, stuckAfterMs: 1500 })
  const stop = new AbortController()
  const running = mirror.run(stop.signal)
  try {
    for (;;) {
      if ((await prisma.mirrorStatus.findUniqueOrThrow({ where: { id: 1 } })).errorKind === kind) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    // The status shares a look for a second.
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ status { indexed { number } ageSec lagBlocks parts { name health detail } } liquidations(first: 1) { totalCount } }' }) })
    const { data } = (await response.json()) as { data: Seen }
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    const part = data.status.parts.find(({ name }) => name === 'graph-node')!
    return { ...data, metrics, detail: part.detail, health: part.health }
  } finally {
    stop.abort()
    await running
    await mirror.close()
  }
}

/** The API serves the last good block, and says how old it is: (1100 − 1000) · 2 s. */
const served = { status: { indexed: { number: '1000' }, ageSec: 200, lagBlocks: 100 }, liquidations: { totalCount: 5 } }
const meta = (at: { number: number; hash: string; deployment: string; hasIndexingErrors: boolean }): object => ({ data: { _meta: { block: { number: at.number, hash: at.hash, timestamp: 0 }, deployment: at.deployment, hasIndexingErrors: at.hasIndexingErrors } } })

describe('graph-node in trouble', () => {
  test('error: unreachable', async () => {
    const seen = await follow('GRAPH_NODE_UNREACHABLE', `http://127.0.0.1:${await freePort()}`)
    expect(seen).toMatchObject(served)
    expect([seen.health, seen.detail]).toEqual(['DOWN', 'graph-node: it did not answer; check GRAPH_NODE_URL and that graph-node runs; the mirror goes on by itself'])
    expect(seen.metrics).toContain('bulwark_mirror_trouble{kind="GRAPH_NODE_UNREACHABLE",part="graph-node"} 1')
    expect(seen.metrics).toMatch(/bulwark_mirror_errors_total\{kind="GRAPH_NODE_UNREACHABLE"\} [1-9]/)
    expect(seen.metrics).toContain('bulwark_lag_seconds 200')
    expect(seen.metrics).toContain('bulwark_indexed_block 1000')
  })

  test('error: failed', async () => {
    graphNode = () => meta({ number: 1050, hash: blockOf(1050n).hash, deployment: 'QmOurs', hasIndexingErrors: true })
    const seen = await follow('GRAPH_NODE_FAILED')
    expect(seen).toMatchObject(served)
    expect([seen.health, seen.detail]).toEqual(['DOWN', expect.stringMatching(/^graph-node: the subgraph failed at block 1050.*; .*deploy a corrected/)])
    expect(seen.metrics).toContain('bulwark_mirror_trouble{kind="GRAPH_NODE_FAILED",part="graph-node"} 1')
  })

  test('error: another deployment that has not come as far', async () => {
    graphNode = () => meta({ number: 900, hash: blockOf(900n).hash, deployment: 'QmTheirs', hasIndexingErrors: false })
    const seen = await follow('OTHER_DEPLOYMENT')
    expect(seen).toMatchObject(served)
    expect([seen.health, seen.detail]).toEqual(['DEGRADED', 'graph-node: it serves deployment QmTheirs at block 900, stored is QmOurs at block 1000; wait until the new deployment has caught up; the mirror is then built again from it'])
  })

  test('error: standing still while the chain goes on', async () => {
    // Near the head, on a branch that the chain has left, and it does not follow.
    graphNode = () => meta({ number: 1095, hash: `0x${'0b'.repeat(32)}`, deployment: 'QmOurs', hasIndexingErrors: false })
    const seen = await follow('GRAPH_NODE_STUCK')
    expect(seen).toMatchObject(served)
    expect([seen.health, seen.detail]).toEqual(['DOWN', expect.stringMatching(/^graph-node: it has stood at block 1095 for more than [\d.]+ s while the chain went on; restart it, and where that does not help deploy the subgraph under a new path$/)])
    expect(seen.metrics).toContain('bulwark_mirror_trouble{kind="GRAPH_NODE_STUCK",part="graph-node"} 1')
  })

  test('behavior: one that never was near the head is behind, not stuck', async () => {
    graphNode = () => meta({ number: 1000, hash: BLOCK.hash, deployment: 'QmOurs', hasIndexingErrors: false })
    // It counts as catching up, and has more time.
    await prisma.mirrorStatus.update({ where: { id: 1 }, data: { errorKind: null, error: null, errorPart: null } })
    const mirror = createMirror({ databaseUrl, graphNodeUrl, rpcUrl, log, pollIntervalMs: 20, stuckAfterMs: 1500 })
    expect(await mirror.step()).toMatchObject({ kind: 'current', lagBlocks: 100n })
    await mirror.close()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ status { ageSec parts { name health detail } } }' }) })
    const { data } = (await response.json()) as { data: Seen }
    expect(data.status.ageSec).toBe(200)
    expect(data.status.parts.find(({ name }) => name === 'graph-node')).toMatchObject({ health: 'DEGRADED', detail: 'It stands at block 1000, 100 blocks behind the chain; wait while it catches up.' })
  })
})
