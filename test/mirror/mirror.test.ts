import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { hostname } from 'node:os'
import pg from 'pg'
import { createLogger } from '../../core/log.ts'
import { readEntities } from '../../api/mirror/entities.ts'
import { createMirror, type Mirror, type Step } from '../../api/mirror/mirror.ts'
import { latestCheckpoint, mirrorStatus, readAtCheckpoint, toBigInt } from '../../api/mirror/read.ts'
import { createPrisma } from '../../prisma/client.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { account, change, feed, hex, priceUpdate, World, type Change } from './world.ts'

const entities = readEntities()
const log = createLogger('test', 'silent')
/** Against a real PostgreSQL, on a machine that may be busy. */
let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})

let world: World
let urls: { graphNodeUrl: string; rpcUrl: string; statusUrl: string }
let databaseUrl: string
let db: pg.Client
let mirror: Mirror
const extra: Mirror[] = []

beforeEach(async () => {
  world = new World()
  urls = await world.start()
  databaseUrl = await postgres.freshDatabase()
  db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  mirror = createMirror({ databaseUrl, ...urls, log, pollIntervalMs: 10 })
})

afterEach(async () => {
  await Promise.all([mirror, ...extra.splice(0)].map((one) => one.close()))
  await db.end()
  await world.stop()
})

/** A follower that knows nothing of what `mirror` holds in memory. */
function another(url = databaseUrl): Mirror {
  const made = createMirror({ databaseUrl: url, ...urls, log, pollIntervalMs: 10 })
  extra.push(made)
  return made
}

/** Every row of every entity, in PostgreSQL's own text. */
async function dump(client: pg.Client = db): Promise<string> {
  const parts: string[] = []
  for (const { name } of entities) {
    const { rows } = await client.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM "${name}" t ORDER BY id`)
    parts.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  return parts.join('\n')
}

/** Steps until nothing is new, at most 50 times. */
async function settle(one: Mirror = mirror): Promise<Step[]> {
  const steps: Step[] = []
  for (let i = 0; i < 50; i++) {
    const step = await one.step()
    if (step.kind === 'current') return steps
    steps.push(step)
  }
  throw new Error(`did not settle: ${JSON.stringify(steps.map(({ kind }) => kind))}`)
}

const mined = (count: number, changes: readonly Change[] = []): void => {
  world.mine(count, changes)
  world.catchUp()
}

const owed = async (n: number): Promise<string | undefined> =>
  (await db.query<{ owed: string }>('SELECT "owedRealizedPnlE18"::text AS owed FROM "Account" WHERE id = $1', [hex(n, 20)])).rows[0]?.owed
const count = async (table: string): Promise<number> => (await db.query<{ n: number }>(`SELECT count(*)::int AS n FROM "${table}"`)).rows[0]?.n ?? -1

describe('following', () => {
  test('default: stores every column of every entity as the index gives it', async () => {
    const plain = entities.filter(({ kind }) => kind !== 'ROLLUP')
    const changes = plain.map(({ name }) => change(name, hex(7, 20)))
    mined(2, [...changes, account(1, -(2n ** 255n)), feed(2, null)])
    await settle()
    for (const { name } of plain) expect([name, await count(name)]).toEqual([name, name === 'Account' || name === 'OracleFeed' ? 2 : 1])
    expect(await owed(1)).toBe((-(2n ** 255n)).toString())
    const { rows } = await db.query('SELECT "protocolId", "createdAtBlock" FROM "Account" WHERE id = $1', [hex(7, 20)])
    expect(rows).toEqual([{ protocolId: hex(1, 20), createdAtBlock: '0' }])
  })

  test('behavior: asks only for what changed since the checkpoint', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    mined(3, [account(2, 2n)])
    await settle()
    expect(world.asked).toEqual([null, 5])
    expect(await count('Account')).toBe(2)
  })

  test('behavior: pages through more rows than one answer holds', async () => {
    mined(2, [...Array.from({ length: 2500 }, (_, i) => priceUpdate(i, BigInt(i))), ...Array.from({ length: 1000 }, (_, i) => account(i, BigInt(i)))])
    const [step] = await settle()
    expect(step).toMatchObject({ kind: 'stored', rows: 3500 })
    expect(await count('PriceUpdate')).toBe(2500)
    expect(await count('Account')).toBe(1000)
    // All lists at once, then two that were full, then one.
    expect(world.asked.length).toBe(3)
  })

  test('behavior: announces each stored step with its block number', async () => {
    const heard: (string | undefined)[] = []
    db.on('notification', ({ channel, payload }) => heard.push(`${channel} ${payload}`))
    await db.query('LISTEN mirror_step')
    mined(4)
    await settle()
    mined(1)
    await settle()
    await db.query('SELECT 1')
    expect(heard).toEqual(['mirror_step 3', 'mirror_step 4'])
  })

  test('behavior: a new follower goes on where the checkpoint stands', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    await mirror.close()
    mined(5, [account(1, 2n)])
    const next = another()
    const steps = await settle(next)
    expect(steps.map(({ kind }) => kind)).toEqual(['stored'])
    expect(world.asked.at(-1)).toBe(5)
    expect(await owed(1)).toBe('2')
  })

  test('behavior: one follower leads, another stands by until the lead is given up', async () => {
    mined(3)
    await settle()
    const second = another()
    expect(await second.step()).toEqual({ kind: 'standby' })
    await mirror.close()
    mined(1)
    expect((await second.step()).kind).toBe('stored')
  })

  test('behavior: a long history is stored up to the undo depth in one step, then 25 blocks a step', async () => {
    mined(500, [account(1, 1n)])
    mined(400, [account(1, 2n)])
    const steps = await settle()
    expect(steps.map((step) => (step.kind === 'stored' ? Number(step.block.number) : step.kind))).toEqual([599, ...Array.from({ length: 12 }, (_, i) => 624 + 25 * i)])
    expect(await owed(1)).toBe('2')
  })
})

describe('stopping', () => {
  test('behavior: stands exactly at each block asked for, one after another, and goes on from there', async () => {
    for (let i = 0; i < 900; i++) world.mine(1, i % 100 === 0 ? [account(1, BigInt(i))] : [])
    world.catchUp()
    const { signal } = new AbortController()
    for (const stop of [7n, 8n, 350n, 700n, 813n]) {
      expect((await mirror.standAt(stop, signal))?.hash).toBe(world.chain[Number(stop)]?.hash)
      expect(await count('Checkpoint')).toBeGreaterThan(0)
      expect(await owed(1)).toBe(String(stop - (stop % 100n)))
    }
    await expect(mirror.standAt(812n, signal)).rejects.toThrow('Found the mirror on block 813, asked for was 812, allowed is a block above')
    await settle()
    expect(await owed(1)).toBe('800')
  })

  test('behavior: waits for a block that is not mined yet', async () => {
    mined(3, [account(1, 1n)])
    const standing = mirror.standAt(4n, new AbortController().signal)
    mined(1)
    mined(3, [account(1, 2n)])
    expect((await standing)?.number).toBe(4n)
    expect(await owed(1)).toBe('1')
  })
})

describe('a step is stored whole or not at all', () => {
  test('behavior: killed between two pages it leaves what was there, and the next one completes it', async () => {
    mined(2, [account(1, 1n)])
    await settle()
    const before = await dump()
    mined(1, [account(1, 2n), ...Array.from({ length: 2500 }, (_, i) => priceUpdate(i, 1n))])
    let killed = false
    world.beforePage = async (page) => {
      // The third page of the step: rows of the first two are written, none committed.
      if (page !== 3 || killed) return
      killed = true
      await db.query(`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'bulwark mirror' AND datname = current_database()`)
    }
    await expect(mirror.step()).rejects.toThrow(/^database: /)
    expect(killed).toBe(true)
    expect(await dump()).toBe(before)
    expect(await count('UndoLog')).toBe(0)
    await settle()
    expect(await count('PriceUpdate')).toBe(2500)
    expect(await owed(1)).toBe('2')
  })

  test('behavior: a graph-node that dies between two pages leaves what was there', async () => {
    mined(2, Array.from({ length: 2500 }, (_, i) => priceUpdate(i, 1n)))
    world.beforePage = (page) => {
      if (page === 1) world.graphDown = true
    }
    // The second page still answers: it was accepted before. The third is refused.
    await expect(mirror.step()).rejects.toThrow(/^graph-node: it did not answer/)
    expect(await count('PriceUpdate')).toBe(0)
    expect(await count('Checkpoint')).toBe(0)
  })

  test('behavior: a reorg between two pages stores nothing of either chain', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    const before = await dump()
    mined(1, Array.from({ length: 1500 }, (_, i) => priceUpdate(i, 1n)))
    world.beforePage = (page) => {
      if (page !== 2) return
      world.drop(1)
      mined(2, Array.from({ length: 1500 }, (_, i) => priceUpdate(i, 2n)))
    }
    expect((await mirror.step()).kind).toBe('unsettled')
    expect(await dump()).toBe(before)
    await settle()
    const { rows } = await db.query('SELECT DISTINCT "priceE18"::int AS price FROM "PriceUpdate"')
    expect(rows).toEqual([{ price: 2 }])
  })
})

describe('a reorg', () => {
  test('behavior: rows that fell back to an older version are put back, rows that vanished are taken out', async () => {
    mined(3, [account(1, 10n)])
    await settle()
    mined(1, [account(2, 20n)])
    await settle()
    const common = await dump()
    mined(1, [account(1, 11n), account(3, 30n), priceUpdate(1, 1n)])
    await settle()
    mined(1, [account(1, 12n), account(2, 22n)])
    await settle()
    // The new branch touches account 4 alone: nothing of it says that accounts 1, 2 and 3 fell back.
    world.drop(2)
    world.mine(1)
    expect(await mirror.step()).toMatchObject({ kind: 'rewound', from: { number: 5n }, to: { number: 3n } })
    expect(await dump()).toBe(common)
    world.mine(2, [account(4, 40n)])
    world.catchUp()
    await settle()
    expect(await Promise.all([owed(1), owed(2), owed(3), owed(4)])).toEqual(['10', '20', undefined, '40'])
    expect(await count('PriceUpdate')).toBe(0)
  })

  test('behavior: waits while graph-node stands on the branch that the chain has left', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    mined(1, [account(1, 2n)])
    await settle()
    world.drop(1)
    world.mine(3, [account(1, 3n)])
    expect((await mirror.step()).kind).toBe('rewound')
    expect((await mirror.step()).kind).toBe('unsettled')
    expect(await owed(1)).toBe('1')
    world.catchUp()
    await settle()
    expect(await owed(1)).toBe('3')
  })

  test('behavior: a graph-node that says it was reorganised while it answered is asked again', async () => {
    mined(5, [account(1, 1n)])
    world.refusal = 'Store error: the chain was reorganized while executing the query'
    expect((await mirror.step()).kind).toBe('unsettled')
    world.refusal = null
    await settle()
    expect(await owed(1)).toBe('1')
  })

  test('behavior: what graph-node remembers of a block from before a reorg is not taken for the block of that height after it', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    for (const value of [2n, 3n]) {
      mined(1, [account(1, value), priceUpdate(Number(value), value)])
      await settle()
      expect(await owed(1)).toBe(String(value))
      expect((await db.query('SELECT "priceE18"::int AS price FROM "PriceUpdate"')).rows).toEqual([{ price: Number(value) }])
      // The same pages are asked for again: rows of block 5, changed since block 5.
      world.drop(1)
    }
  })

  test('behavior: a node that is behind the mirror proves no reorg', async () => {
    mined(10, [account(1, 1n)])
    await settle()
    const { chain } = world
    world.chain = chain.slice(0, 6)
    await expect(mirror.step()).rejects.toThrow("chain: the node's head is block 5, the mirror stands on 9; wait until")
    world.chain = chain
    expect((await mirror.step()).kind).toBe('current')
  })

  test('behavior: checkpoints and undo rows reach 300 blocks back and no farther, and lead back 250 blocks', async () => {
    mined(5, [account(1, 0n)])
    await settle()
    for (let i = 14; i <= 334; i += 10) {
      mined(10, i % 50 === 4 ? [account(1, BigInt(i)), account(1000 + i, 1n)] : [account(2, BigInt(i))])
      await mirror.step()
    }
    const { rows } = await db.query('SELECT min("blockNumber")::int AS least, count(*)::int AS n FROM "Checkpoint"')
    expect(rows).toEqual([{ least: 34, n: 31 }])
    const undo = await db.query('SELECT min("blockNumber")::int AS least, count(DISTINCT "blockNumber")::int AS n FROM "UndoLog"')
    expect(undo.rows).toEqual([{ least: 44, n: 30 }])
    world.drop(250)
    mined(251, [account(3, 3n)])
    const steps = await settle()
    expect(steps[0]).toMatchObject({ kind: 'rewound', to: { number: 84n } })
    expect(steps.some((step) => step.kind === 'stored' && step.rebuilt)).toBe(false)
    expect(await Promise.all([owed(1), owed(2), owed(3), owed(1054), owed(1104)])).toEqual(['54', '84', '3', '1', undefined])
  })

  test('behavior: deeper than every checkpoint it is built again from the index, in one step', async () => {
    mined(10, [account(1, 1n)])
    await settle()
    world.drop(8)
    mined(20, [account(2, 2n)])
    const steps = await settle()
    expect(steps).toMatchObject([{ kind: 'stored', rebuilt: true }])
    expect(await Promise.all([owed(1), owed(2)])).toEqual([undefined, '2'])
  })

  test('behavior: whatever the chain does, the mirror ends in the bytes of one that was run from nothing', async () => {
    const action = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('mine' as const), blocks: fc.integer({ min: 1, max: 4 }), touched: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), depth: fc.integer({ min: 1, max: 6 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('catchUp' as const) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('step' as const) }) },
    )
    let run = 0
    const fresh = databaseUrl
    const reference = await postgres.freshDatabase()
    const clients = [db, new pg.Client({ connectionString: reference })] as const
    await clients[1].connect()
    const tables = [...entities.map(({ name }) => name), 'Checkpoint', 'UndoLog', 'MirrorStatus'].map((name) => `"${name}"`).join(', ')
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 40 }), async (actions) => {
        await Promise.all(clients.map((client) => client.query(`TRUNCATE ${tables}`)))
        world.chain = []
        world.deployment = `Qm${++run}`
        let value = 0n
        mined(3, [account(1, 0n)])
        const one = another(fresh)
        for (const next of actions) {
          if (next.kind === 'mine') world.mine(next.blocks, next.touched.map((n) => (n > 4 ? priceUpdate(Number(++value), value) : account(n, ++value))))
          else if (next.kind === 'drop') {
            world.drop(Math.min(next.depth, world.chain.length - 1))
            world.mine(1)
          } else if (next.kind === 'catchUp') world.catchUp()
          else await one.step().catch(() => undefined)
        }
        // Higher than any branch before, so that the node's head proves what is canonical.
        mined(200, [account(9, 9n)])
        await settle(one)
        const two = another(reference)
        await settle(two)
        const [got, expected] = await Promise.all(clients.map((client) => dump(client)))
        await Promise.all([one.close(), two.close()])
        expect(got).toBe(expected)
        const stored = [...(got ?? '').matchAll(/^Account .*?"id": "(\w+)".*?"owedRealizedPnlE18": (-?\d+)/gm)].map(([, id, amount]) => `${id} ${amount}`)
        expect(stored).toEqual([...world.rowsAt('Account', Infinity)].map(([id, { row }]) => `${id} ${String(row['owedRealizedPnlE18'])}`).toSorted())
      }),
      { numRuns: 8, seed: 7 },
    )
    await clients[1].end()
  })
})

describe('faults are said, not thrown', () => {
  async function runUntil(condition: () => Promise<boolean>): Promise<void> {
    const stop = new AbortController()
    const running = mirror.run(stop.signal)
    const deadline = Date.now() + 120_000
    while (!(await condition()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    stop.abort()
    await running
  }
  const error = async (): Promise<string | null> => (await db.query<{ error: string | null }>('SELECT error FROM "MirrorStatus"')).rows[0]?.error ?? null

  test('error: a graph-node that is down is named, and the mirror goes on once it is back', async () => {
    mined(3, [account(1, 1n)])
    world.graphDown = true
    await runUntil(async () => (await error()) !== null)
    expect(await error()).toBe('graph-node: it did not answer; check GRAPH_NODE_URL and that graph-node runs; the mirror goes on by itself')
    world.graphDown = false
    await runUntil(async () => (await owed(1)) === '1')
    expect(await error()).toBeNull()
    const { rows } = await db.query('SELECT state, "lastError" LIKE $1 AS kept, "indexedBlock"::int AS at FROM "MirrorStatus"', ['graph-node: it did not answer%'])
    expect(rows).toEqual([{ state: 'FOLLOWING', kept: true, at: 2 }])
  })

  test('error: a chain that is down is named', async () => {
    mined(3)
    world.chainDown = true
    await runUntil(async () => (await error()) !== null)
    expect(await error()).toMatch(/^chain: the node did not answer; check RPC_URL/)
  })

  test('error: a subgraph that failed is named, and what was stored stays', async () => {
    mined(3, [account(1, 1n)])
    await settle()
    mined(1, [account(1, 2n)])
    world.hasIndexingErrors = true
    await expect(mirror.step()).rejects.toThrow('graph-node: the subgraph failed at block 3; deploy a corrected build')
    expect(await owed(1)).toBe('1')
  })

  test('error: why a subgraph failed is said in the words of its status endpoint', async () => {
    mined(3, [account(1, 1n)])
    world.hasIndexingErrors = true
    world.indexingStatus = { health: 'failed', fatalError: { message: 'Mapping aborted at subgraph/x.ts,\n line 3', block: { number: '2' } }, nonFatalErrors: [] }
    await runUntil(async () => (await error()) !== null)
    expect(await error()).toBe(
      'graph-node: the subgraph failed at block 2 (failed at block 2: Mapping aborted at subgraph/x.ts, line 3); deploy a corrected build, or mend what its error names (a failed call of its RPC, for one); what was stored before stays',
    )
    const { rows } = await db.query('SELECT "errorKind", "errorPart", "errorCounts" FROM "MirrorStatus"')
    expect(rows).toEqual([{ errorKind: 'GRAPH_NODE_FAILED', errorPart: 'graph-node', errorCounts: { GRAPH_NODE_FAILED: 1 } }])
  })

  test('error: a graph-node that was near the head and falls behind is named while it goes on', async () => {
    mined(5, [account(1, 1n)])
    const impatient = createMirror({ databaseUrl, ...urls, log, pollIntervalMs: 10, stuckAfterMs: 400 })
    extra.push(impatient)
    const stop = new AbortController()
    const running = impatient.run(stop.signal)
    while (impatient.status().indexed?.number !== 4n) await new Promise((resolve) => setTimeout(resolve, 10))
    world.mine(100)
    // It moves, a block at a time, and is never called stuck.
    while ((await error()) === null) {
      world.indexed = world.chain.slice(0, world.indexed.length + 1)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    expect(await error()).toMatch(/^graph-node: it is \d+ blocks behind the chain's 104; wait while it catches up; where it does not/)
    expect((await db.query('SELECT state, "errorKind" FROM "MirrorStatus"')).rows).toEqual([{ state: 'CATCHING_UP', errorKind: 'GRAPH_NODE_BEHIND' }])
    world.catchUp()
    while ((await error()) !== null) await new Promise((resolve) => setTimeout(resolve, 10))
    stop.abort()
    await running
  })

  test('error: a node that has its head and not what lies below proves no reorg', async () => {
    mined(10, [account(1, 1n)])
    await settle()
    world.mine(2)
    world.missing.add(9)
    await expect(mirror.step()).rejects.toThrow('chain: the node has no block 9, its head was block 11; the mirror tries again')
    world.missing.clear()
    world.catchUp()
    expect((await settle()).map(({ kind }) => kind)).toEqual(['stored'])
  })

  test('default: counts steps, rows, reorgs and troubles, and never less', async () => {
    mined(3, [account(1, 1n), account(2, 1n)])
    await settle()
    mined(2, [account(1, 2n)])
    await settle()
    world.drop(2)
    mined(4, [account(3, 3n)])
    await settle()
    world.deployment = 'QmSecond'
    mined(1)
    await settle()
    for (const down of [true, false, true, false]) {
      world.chainDown = down
      await runUntil(async () => ((await error()) !== null) === down)
    }
    const { rows } = await db.query('SELECT "stepCount"::int AS steps, "rowCount"::int AS rows, "reorgCount" AS reorgs, "reorgBlocks"::int AS blocks, "rebuildCount" AS rebuilds, "lastStepRows" AS last, "errorCounts" AS errors, leader FROM "MirrorStatus"')
    expect(rows).toEqual([{ steps: 4, rows: 2 + 1 + 1 + 3, reorgs: 1, blocks: 2, rebuilds: 1, last: 3, errors: { CHAIN_UNREACHABLE: 2 }, leader: `${hostname()}:${process.pid}` }])
  })

  test('error: another deployment that is behind is waited for, and once ahead taken from the beginning', async () => {
    mined(5, [account(1, 1n)])
    await settle()
    world.deployment = 'QmSecond'
    world.chain[4] = { ...(world.chain[4] as (typeof world.chain)[number]), changes: [account(2, 2n)] }
    world.indexed = world.chain.slice(0, 3)
    await expect(mirror.step()).rejects.toThrow('it serves deployment QmSecond at block 2, stored is QmFirst at block 4; wait until')
    world.mine(1)
    world.catchUp()
    expect(await settle()).toMatchObject([{ kind: 'stored', rebuilt: true }])
    expect(await Promise.all([owed(1), owed(2)])).toEqual([undefined, '2'])
  })

  test('behavior: another deployment takes over from a long history in one step: nothing older is served meanwhile', async () => {
    // More than the first step of a first sync takes.
    mined(50_000, [account(1, 1n)])
    mined(1_000, [account(1, 2n)])
    await settle()
    await mirror.close()
    world.deployment = 'QmSecond'
    expect(await another().step()).toMatchObject({ kind: 'stored', rebuilt: true, block: { number: 50_999n - 300n } })
    expect(await owed(1)).toBe('1')
  })

  test('error: a deployment that lacks an entity is named', async () => {
    mined(1, [{ entity: 'Account', row: { ...account(1, 1n).row, owedRealizedPnlE18: null } }])
    await expect(mirror.step()).rejects.toThrow(/^graph-node: it refused a query \(Cannot return null/)
  })

  test('error: a graph-node that stands still while the chain moves on is called stuck', async () => {
    mined(5)
    const impatient = createMirror({ databaseUrl, ...urls, log, pollIntervalMs: 10, stuckAfterMs: 200 })
    extra.push(impatient)
    await settle(impatient)
    world.drop(2)
    world.mine(5)
    const seen: Step[] = []
    const stop = new AbortController()
    const running = impatient.run(stop.signal, (step) => {
      seen.push(step)
      if (step.kind === 'stuck') stop.abort()
    })
    await running
    expect(seen.map(({ kind }) => kind)).toEqual(['rewound', 'stuck'].slice(seen.length === 2 ? 0 : 1))
    expect(await error()).toMatch(/^graph-node: it has stood at block 4 for more than 0.2 s while the chain went on; restart it, and where that does not help deploy the subgraph under a new path$/)
  })

  test('error: a database that is down is named', async () => {
    const lost = another('postgresql://postgres:scratch@127.0.0.1:9/none')
    await expect(lost.step()).rejects.toThrow('database: PostgreSQL did not accept a connection; check DATABASE_URL')
  })
})

describe('reading', () => {
  test('default: gives the block that the rows stand on, and amounts exactly', async () => {
    mined(3, [account(1, -(2n ** 200n) - 1n)])
    await settle()
    const prisma = createPrisma(databaseUrl)
    expect(await latestCheckpoint(prisma)).toEqual({ number: 2n, hash: world.chain[2]?.hash, timestamp: 1_700_000_004n })
    const amount = await readAtCheckpoint(prisma, async (tx, block) => ({ block: block?.number, row: await tx.account.findUniqueOrThrow({ where: { id: hex(1, 20) } }) }))
    expect(amount.block).toBe(2n)
    expect(toBigInt(amount.row.owedRealizedPnlE18)).toBe(-(2n ** 200n) - 1n)
    expect(toBigInt(null)).toBeNull()
    expect(await mirrorStatus(prisma)).toMatchObject({ state: 'FOLLOWING', indexedBlock: 2n, deployment: 'QmFirst', graphNodeBlock: 2n, chainBlock: 2n, error: null })
    await prisma.$disconnect()
  })
})
