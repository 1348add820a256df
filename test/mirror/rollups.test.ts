import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import pg from 'pg'
import { readEntities } from '../../api/mirror/entities.ts'
import { createMirror, type Mirror } from '../../api/mirror/mirror.ts'
import { createLogger } from '../../core/log.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { change, hex, World, type Change } from './world.ts'

const log = createLogger('test', 'silent')
/** Against a real PostgreSQL, on a machine that may be busy. */
/** Of the world's first block; its hour began 13 minutes and 20 seconds before it, its day 22 hours before that. */
const START_SEC = 1_700_000_000
const HOUR = 3_600
const DAY = 24 * HOUR

let postgres: TestPostgres
let world: World
let urls: { graphNodeUrl: string; rpcUrl: string; statusUrl: string }
let db: pg.Client
let mirror: Mirror
let points = 0

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})
beforeEach(async () => {
  world = new World()
  world.secondsPerBlock = 600
  urls = await world.start()
  const databaseUrl = await postgres.freshDatabase()
  db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  mirror = createMirror({ databaseUrl, ...urls, log, pollIntervalMs: 10 })
})
afterEach(async () => {
  await mirror.close()
  await db.end()
  await world.stop()
})

/** A price of feed `n`: the last, the highest, the lowest, a sum and a count are kept of it. */
const priced = (n: number, price: bigint, squaredReturn: bigint): Change =>
  change('PriceSample', String(++points), { feed: { id: hex(n, 20) }, priceE18: price.toString(), squaredReturnE18: squaredReturn.toString() })

function mined(count: number, changes: readonly Change[] = []): void {
  world.mine(count, changes)
  world.catchUp()
}

async function settle(one: Mirror = mirror): Promise<string[]> {
  const kinds: string[] = []
  for (let i = 0; i < 100; i++) {
    const { kind } = await one.step()
    if (kind === 'current') return kinds
    kinds.push(kind)
  }
  throw new Error(`did not settle: ${kinds.join(' ')}`)
}

const stored = async (client: pg.Client = db): Promise<string[]> =>
  (await client.query<{ row: string }>(`SELECT concat_ws(' ', id, "feedId", "timestamp", "priceE18", "highE18", "lowE18", "squaredReturnE18", samples) AS row FROM "PriceStats" ORDER BY id`)).rows.map(({ row }) => row)

/** The same by another way: every bucket from the points of the chain, one by one. */
function expected(): string[] {
  const headSec = world.chain.at(-1)?.timestamp ?? 0
  const buckets = new Map<string, { feed: string; start: number; prices: bigint[]; squares: bigint[] }>()
  for (const { timestamp, changes } of world.chain) {
    for (const { entity, row } of changes) {
      if (entity !== 'PriceSample') continue
      for (const [interval, length] of [['hour', HOUR], ['day', DAY]] as const) {
        const start = Math.floor(timestamp / length) * length
        if (start + length > headSec) continue
        const feed = (row['feed'] as { id: string }).id
        const id = `${interval}:${feed}:${start}`
        const bucket = buckets.get(id) ?? { feed, start, prices: [], squares: [] }
        bucket.prices.push(BigInt(String(row['priceE18'])))
        bucket.squares.push(BigInt(String(row['squaredReturnE18'])))
        buckets.set(id, bucket)
      }
    }
  }
  const order = (values: readonly bigint[]): bigint[] => values.toSorted((a, b) => (a < b ? -1 : 1))
  return [...buckets]
    .map(([id, { feed, start, prices, squares }]) => [id, feed, start, prices.at(-1), order(prices).at(-1), order(prices)[0], squares.reduce((a, b) => a + b, 0n), prices.length].join(' '))
    .toSorted()
}

describe('reading the schema', () => {
  test('default: an aggregation is a rollup over its timeseries, and a timeseries is no entity', () => {
    const entities = readEntities()
    expect(entities.filter(({ name }) => name.endsWith('Sample'))).toEqual([])
    const rollup = entities.find(({ name }) => name === 'PriceStats')?.rollup
    expect(rollup).toMatchObject({ intervals: ['hour', 'day'], sourceField: 'priceSamples', dimensions: [{ field: 'feed', column: 'feedId', reference: true }] })
    expect(rollup?.aggregates.map(({ column, fn, field }) => [column, fn, field])).toEqual([
      ['priceE18', 'last', 'priceE18'],
      ['highE18', 'max', 'priceE18'],
      ['lowE18', 'min', 'priceE18'],
      ['squaredReturnE18', 'sum', 'squaredReturnE18'],
      ['samples', 'count', null],
    ])
  })

  test('error: refuses what it cannot compute', () => {
    const schema = (fn: string, intervals = '["hour"]'): string => `
      type P @entity(timeseries: true) { id: Int8! timestamp: Timestamp! v: BigInt! }
      type S @aggregation(intervals: ${intervals}, source: "P") { id: Int8! timestamp: Timestamp! v: BigInt! @aggregate(${fn}) }`
    expect(() => readEntities(schema('fn: "sum", arg: "v * v"'))).toThrow('S.v is sum(v * v), the mirror computes sum, min, max, first, last, count of single fields')
    expect(() => readEntities(schema('fn: "sum", arg: "v", cumulative: true'))).toThrow('not cumulative')
    expect(() => readEntities(schema('fn: "sum", arg: "v"', '["week"]'))).toThrow('S has buckets of a week, the mirror knows hour, day')
  })
})

describe('buckets', () => {
  test('default: a bucket is there once a block stands at or after its end, and not before', async () => {
    const hourStart = START_SEC - (START_SEC % HOUR)
    expect(START_SEC - hourStart).toBe(800)
    mined(1, [priced(1, 100n, 1n)])
    mined(1, [priced(1, 120n, 2n), priced(2, 7n, 0n)])
    mined(1, [priced(1, 90n, 4n)])
    mined(2)
    await settle()
    // Block 4 is of 800 + 4 · 600 = 3,200 s into the hour.
    expect(await stored()).toEqual([])
    mined(1)
    await settle()
    expect(await stored()).toEqual([
      `hour:${hex(1, 20)}:${hourStart} ${hex(1, 20)} ${hourStart} 90 120 90 7 3`,
      `hour:${hex(2, 20)}:${hourStart} ${hex(2, 20)} ${hourStart} 7 7 7 0 1`,
    ])
  })

  test('behavior: a block that stands exactly at the end completes the bucket', async () => {
    world.secondsPerBlock = 400
    mined(1, [priced(1, 5n, 1n)])
    mined(6)
    await settle()
    expect(await stored()).toEqual([])
    mined(1)
    await settle()
    expect((await stored()).length).toBe(1)
  })

  test('behavior: days are made of their hours, whichever steps stored these', async () => {
    for (let i = 0; i < 400; i++) mined(1, [priced(1 + (i % 3), BigInt((i * 7_919) % 1_000), BigInt(i))])
    await settle()
    const rows = await stored()
    expect(rows).toEqual(expected())
    expect(rows.filter((row) => row.startsWith('day')).length).toBe(9)
  })

  test('behavior: more points than one answer holds', async () => {
    mined(1, Array.from({ length: 2_500 }, (_, i) => priced(1, BigInt(i), 1n)))
    mined(10)
    await settle()
    expect((await stored())[0]).toContain(' 2499 2499 0 2500 2500')
  })

  test('behavior: a reorg takes back the buckets that were complete on the branch alone, and fills them anew', async () => {
    mined(3, [priced(1, 100n, 1n)])
    await settle()
    mined(2, [priced(1, 200n, 1n)])
    mined(1)
    await settle()
    expect(await stored()).toEqual(expected())
    world.drop(3)
    world.mine(1, [priced(1, 300n, 5n)])
    world.mine(2)
    expect((await mirror.step()).kind).toBe('rewound')
    expect(await stored()).toEqual([])
    mined(7)
    await settle()
    expect(await stored()).toEqual(expected())
    expect((await stored())[0]).toContain(' 300 300 100 6 2')
  })

  test('property: whatever the chain does and wherever it is stepped, the buckets are those of the points that are left', async () => {
    const action = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('mine' as const), blocks: fc.integer({ min: 1, max: 12 }), feeds: fc.array(fc.integer({ min: 1, max: 2 }), { maxLength: 3 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), depth: fc.integer({ min: 1, max: 20 }) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('step' as const) }) },
    )
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 40 }), fc.integer({ min: 200, max: 5_000 }), async (actions, secondsPerBlock) => {
        const url = await postgres.freshDatabase()
        const client = new pg.Client({ connectionString: url })
        await client.connect()
        world.chain = []
        world.deployment = `Qm${++run}`
        world.secondsPerBlock = secondsPerBlock
        mined(1)
        const one = createMirror({ databaseUrl: url, ...urls, log })
        for (const next of actions) {
          if (next.kind === 'mine') mined(next.blocks, next.feeds.map((n) => priced(n, BigInt((points * 31) % 97), BigInt(points))))
          else if (next.kind === 'drop') {
            world.drop(Math.min(next.depth, world.chain.length - 1))
            mined(1)
          } else await one.step().catch(() => undefined)
        }
        mined(350)
        await settle(one)
        expect(await stored(client)).toEqual(expected())
        await one.close()
        await client.end()
      }),
      { numRuns: 8, seed: 3 },
    )
  })
})
