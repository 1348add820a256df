/** Two followers on one database, as processes: how long it takes until the second leads after the first is gone. */
import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { account, hex, World } from './world.ts'

/** What the issue allows. */
const TAKE_OVER_MS = 10_000

let postgres: TestPostgres
let world: World
let env: Record<string, string>
let db: pg.Client
const running: ChildProcess[] = []

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})
beforeEach(async () => {
  world = new World()
  const { graphNodeUrl, rpcUrl } = await world.start()
  const databaseUrl = await postgres.freshDatabase()
  env = { DATABASE_URL: databaseUrl, GRAPH_NODE_URL: graphNodeUrl, RPC_URL: rpcUrl, BULWARK_LOG_LEVEL: 'silent' }
  db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  world.mine(3, [account(1, 1n)])
  world.catchUp()
})
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
  await db.end()
  await world.stop()
})

type Event = { event: string; number?: number }

/** A follower as `npm start` runs it, and a wait for what it says. */
async function follower(overrides: Readonly<Record<string, string>> = {}): Promise<{ child: ChildProcess; said(event: string, number?: number): Promise<void> }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'api/mirror/main.ts'], { env: { ...process.env, ...env, ...overrides }, stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  const events: Event[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    events.push(JSON.parse(line) as Event)
    for (const look of waiting) look()
  })
  const said = (event: string, number?: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!events.some((e) => e.event === event && (number === undefined || e.number === number))) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  await said('ready')
  return { child, said }
}

const owed = async (): Promise<string | undefined> => (await db.query<{ owed: string }>('SELECT "owedRealizedPnlE18"::text AS owed FROM "Account" WHERE id = $1', [hex(1, 20)])).rows[0]?.owed
const leader = async (): Promise<string> => (await db.query<{ leader: string }>('SELECT leader FROM "MirrorStatus"')).rows[0]?.leader ?? ''

/** The leader is gone by `signal`: ms until the other one has stored the next block. */
async function takeOverMs(signal: 'SIGKILL' | 'SIGSTOP'): Promise<number> {
  const first = await follower()
  await first.said('block', 2)
  const second = await follower()
  await second.said('standby')
  expect(await leader()).toMatch(new RegExp(`:${first.child.pid}$`))
  const sinceMs = performance.now()
  first.child.kill(signal)
  world.mine(1, [account(1, 2n)])
  world.catchUp()
  await second.said('block', 3)
  const tookMs = performance.now() - sinceMs
  expect(await owed()).toBe('2')
  expect(await leader()).toMatch(new RegExp(`:${second.child.pid}$`))
  // One that comes to itself again stores nothing: its session and whatever it had begun are gone.
  first.child.kill('SIGCONT')
  if (signal === 'SIGSTOP') await first.said('standby')
  expect(await leader()).toMatch(new RegExp(`:${second.child.pid}$`))
  return tookMs
}

describe('two followers on one database', () => {
  test('behavior: one that is killed is replaced within 10 s', async () => {
    expect(await takeOverMs('SIGKILL')).toBeLessThan(TAKE_OVER_MS)
  })

  test('behavior: one that hangs is replaced within 10 s, and stands by once it goes on', async () => {
    expect(await takeOverMs('SIGSTOP')).toBeLessThan(TAKE_OVER_MS)
  })

  test('behavior: one whose machine no longer answers is replaced within 10 s', async () => {
    // The connection stays open and nothing comes through it any more, in either direction.
    const sockets: Socket[] = []
    const wire = createServer((from) => {
      const to = connect(Number(new URL(env['DATABASE_URL'] ?? '').port), '127.0.0.1')
      for (const [a, b] of [[from, to], [to, from]] as const) a.on('error', () => undefined).pipe(b)
      sockets.push(from, to)
    })
    await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve))
    const wired = new URL(env['DATABASE_URL'] ?? '')
    wired.port = String((wire.address() as AddressInfo).port)
    const first = await follower({ DATABASE_URL: wired.href })
    await first.said('block', 2)
    const second = await follower()
    await second.said('standby')
    const sinceMs = performance.now()
    for (const socket of sockets) socket.unpipe().pause()
    world.mine(1, [account(1, 2n)])
    world.catchUp()
    await second.said('block', 3)
    expect(performance.now() - sinceMs).toBeLessThan(TAKE_OVER_MS)
    for (const socket of sockets) socket.destroy()
    wire.close()
  })
})
