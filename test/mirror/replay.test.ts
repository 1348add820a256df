import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import pg from 'pg'
import { createMirror, type Mirror, type Step } from '../../api/mirror/mirror.ts'
import { createLogger } from '../../core/log.ts'
import type { Fact, Reducer, ReplayRow } from '../../protocols/adapter.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { change, hex, World, type Change } from './world.ts'

const log = createLogger('test', 'silent')
/** Against a real PostgreSQL, on a machine that may be busy. */
/** What a reducer was given, call by call: block and log of each fact. */
let seen: string[][] = []

/**
 * Keeps two things per feed that depend on the order of facts: a digest (times 31 plus price, modulo a prime beyond 2^53) and,
 * under keys that share a prefix, the last prices by their parity.
 */
const PRIME = 2n ** 61n - 1n
const reducerOf = (version: number): Reducer => ({
  version,
  facts: ['PriceUpdate', 'FundingPayment'],
  needs: (facts) => facts.flatMap(({ feedId, marketId }) => [{ kind: 'digest', prefix: `${String(feedId ?? marketId)}` }, { kind: 'last', prefix: `${String(feedId ?? marketId)}/` }]),
  reduce: (rows, facts) => {
    seen.push(facts.map(({ blockNumber, logIndex }) => `${blockNumber}.${logIndex}`))
    const state = new Map(rows.map((row) => [`${row.kind}:${row.key}`, row]))
    const changed = new Map<string, ReplayRow>()
    const put = (row: ReplayRow): void => {
      for (const map of [state, changed]) map.set(`${row.kind}:${row.key}`, row)
    }
    for (const fact of facts) {
      const subject = String(fact['feedId'] ?? fact['marketId'])
      const amount = BigInt(String(fact['priceE18'] ?? fact['amountE18']))
      const before = state.get(`digest:${subject}`)?.value as { value: string } | undefined
      put({ kind: 'digest', key: subject, value: { value: ((BigInt(before?.value ?? 0) * 31n + amount + BigInt(version)) % PRIME).toString() } })
      put({ kind: 'last', key: `${subject}/${amount % 2n}`, value: [amount.toString(), fact.logIndex, true, null] })
    }
    return [...changed.values()]
  },
})

/** What a reduction of these facts from nothing gives, as the table shows it. */
function reduced(facts: readonly Fact[], version = 1): readonly string[] {
  const kept = seen
  const rows = facts.length === 0 ? [] : reducerOf(version).reduce([], facts)
  seen = kept
  return rows.map(({ kind, key, value }) => `${kind}:${key} ${JSON.stringify(value)}`).toSorted()
}

const PROTOCOL = change('Protocol', hex(1, 20), { name: 'tiny' })
let logs = 0
const price = (n: number, feed: number, priceE18: bigint, blockNumber: number): Change =>
  change('PriceUpdate', hex(n, 36), { feed: { id: hex(feed, 20) }, priceE18: priceE18.toString(), blockNumber: String(blockNumber), logIndex: ++logs })
const funding = (n: number, market: number, amountE18: bigint, blockNumber: number): Change =>
  change('FundingPayment', hex(n, 36), { market: { id: hex(market, 20) }, amountE18: amountE18.toString(), blockNumber: String(blockNumber), logIndex: ++logs })

let postgres: TestPostgres
let world: World
let urls: { graphNodeUrl: string; rpcUrl: string; statusUrl: string }
let databaseUrl: string
let db: pg.Client
const open: Mirror[] = []

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})
beforeEach(async () => {
  world = new World()
  urls = await world.start()
  databaseUrl = await postgres.freshDatabase()
  db = new pg.Client({ connectionString: databaseUrl })
  await db.connect()
  seen = []
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
  await db.end()
  await world.stop()
})

function follower(version: number | null = 1, url = databaseUrl): Mirror {
  const made = createMirror({ databaseUrl: url, ...urls, log, pollIntervalMs: 10, reducers: (name) => (name === 'tiny' && version !== null ? reducerOf(version) : undefined) })
  open.push(made)
  return made
}

async function settle(one: Mirror): Promise<Step['kind'][]> {
  const kinds: Step['kind'][] = []
  for (let i = 0; i < 80; i++) {
    const { kind } = await one.step()
    if (kind === 'current') return kinds
    kinds.push(kind)
  }
  throw new Error(`did not settle: ${kinds.join(' ')}`)
}

function mined(count: number, make: (block: number) => readonly Change[] = () => []): void {
  const at = world.chain.length + count - 1
  world.mine(count, make(at))
  world.catchUp()
}

/** Facts of what graph-node has indexed, in the chain's order. */
const indexedFacts = (): Fact[] =>
  (['FundingPayment', 'PriceUpdate'] as const)
    .flatMap((entity) => [...world.rowsAt(entity, Infinity).values()].map(({ row }) => ({ entity, ...row, feedId: (row['feed'] as { id: string } | undefined)?.id ?? null, marketId: (row['market'] as { id: string } | undefined)?.id ?? null }) as unknown as Fact))
    .toSorted((a, b) => Number(a.blockNumber) - Number(b.blockNumber) || a.logIndex - b.logIndex)

async function stored(client: pg.Client = db): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string; value: unknown }>('SELECT id, value FROM "ReplayRow" ORDER BY id')
  return rows.map(({ id, value }) => `${id} ${JSON.stringify(value)}`).toSorted()
}
const replayStatus = async (): Promise<unknown> => (await db.query('SELECT version, "blockNumber"::int AS at FROM "ReplayStatus"')).rows[0]

describe('the reducer in a step', () => {
  test('default: takes the facts of the step in the order block, log index, and its rows stand beside them', async () => {
    const one = follower()
    mined(1, () => [PROTOCOL])
    // Ids in the opposite order of logs: the order of pages is not that of the chain.
    mined(1, (at) => [price(9, 1, 5n, at), funding(8, 2, -7n, at), price(7, 1, 2n ** 70n, at)])
    await settle(one)
    expect(seen).toEqual([[`1.${logs - 2}`, `1.${logs - 1}`, `1.${logs}`]])
    expect(await stored()).toEqual(reduced(indexedFacts()))
    expect(await replayStatus()).toEqual({ version: 1, at: 1 })
    mined(2, (at) => [price(1, 1, 3n, at)])
    mined(5)
    await settle(one)
    expect(await stored()).toEqual(reduced(indexedFacts()))
    expect(await replayStatus()).toEqual({ version: 1, at: 8 })
  })

  test('behavior: gives amounts as text, whole numbers of 32 bits as numbers, and references under their columns', async () => {
    const given: Fact[] = []
    const spy: Reducer = { ...reducerOf(1), reduce: (_, facts) => (given.push(...facts), []) }
    const one = createMirror({ databaseUrl, ...urls, log, reducers: () => spy })
    open.push(one)
    mined(1, (at) => [PROTOCOL, price(1, 3, -(2n ** 255n), at)])
    await settle(one)
    expect(given).toEqual([
      { entity: 'PriceUpdate', id: hex(1, 36), feedId: hex(3, 20), priceE18: (-(2n ** 255n)).toString(), priceTimestamp: '0', freezeReason: 0, ageSec: null, blockNumber: '0', timestamp: '0', transactionHash: '0x', logIndex: logs },
    ])
  })

  test('behavior: facts come in pieces of whole blocks', async () => {
    const one = follower()
    mined(1, () => [PROTOCOL])
    for (let block = 1; block <= 5; block++) mined(1, (at) => Array.from({ length: 900 }, (_, i) => price(1000 * block + i, i % 7, BigInt(i), at)))
    mined(1, (at) => Array.from({ length: 4_500 }, (_, i) => price(10_000 + i, i % 7, BigInt(i), at)))
    await settle(one)
    const blocks = seen.map((facts) => [...new Set(facts.map((fact) => fact.split('.')[0]))].join(' '))
    expect(blocks).toEqual(['1 2', '3 4', '5', '6'])
    expect(await stored()).toEqual(reduced(indexedFacts()))
  })

  test('behavior: a protocol without a reducer keeps no rows', async () => {
    mined(2, (at) => [PROTOCOL, price(1, 1, 5n, at)])
    await settle(follower(null))
    expect(await stored()).toEqual([])
    expect(await replayStatus()).toBeUndefined()
  })

  test('error: facts that the reducer refuses leave everything as it was', async () => {
    const one = createMirror({
      databaseUrl, ...urls, log,
      reducers: () => ({ ...reducerOf(1), reduce: (rows, facts) => {
        if (facts.some((fact) => fact['priceE18'] === '13')) throw new Error('a price of 13')
        return reducerOf(1).reduce(rows, facts)
      } }),
    })
    open.push(one)
    mined(2, (at) => [PROTOCOL, price(1, 1, 5n, at)])
    await settle(one)
    const before = await stored()
    mined(1, (at) => [price(2, 1, 13n, at)])
    await expect(one.step()).rejects.toThrow("index: the protocol's reducer refused the facts of blocks 2 to 2 (a price of 13); report it")
    expect(await stored()).toEqual(before)
    expect((await db.query('SELECT count(*)::int AS n FROM "PriceUpdate"')).rows).toEqual([{ n: 1 }])
  })
})

describe('rewind and rebuild', () => {
  test('behavior: a reorg takes the rows back, whichever steps changed them', async () => {
    const one = follower()
    mined(3, (at) => [PROTOCOL, price(1, 1, 10n, at)])
    await settle(one)
    mined(1, (at) => [price(2, 2, 20n, at)])
    await settle(one)
    const common = await stored()
    for (let i = 3; i < 8; i++) {
      mined(1, (at) => [price(i, 1, BigInt(i), at), price(i + 20, i, 1n, at)])
      await settle(one)
    }
    world.drop(5)
    world.mine(1)
    expect((await one.step()).kind).toBe('rewound')
    expect(await stored()).toEqual(common)
    expect(await replayStatus()).toEqual({ version: 1, at: 3 })
    mined(8, (at) => [price(50, 1, 77n, at)])
    expect(await settle(one)).toEqual(['stored'])
    expect(await stored()).toEqual(reduced(indexedFacts()))
  })

  test('behavior: another deployment starts it from nothing', async () => {
    const one = follower()
    mined(3, (at) => [PROTOCOL, price(1, 1, 10n, at)])
    await settle(one)
    world.deployment = 'QmSecond'
    world.chain[2] = { ...(world.chain[2] as (typeof world.chain)[number]), changes: [PROTOCOL, price(1, 1, 11n, 2)] }
    mined(1)
    await settle(one)
    expect(await stored()).toEqual(reduced(indexedFacts()))
  })
})

describe('a raised version', () => {
  test('behavior: computes all rows again, and they can be rewound as if they had been followed', async () => {
    const old = follower(1)
    for (let i = 1; i <= 40; i++) {
      mined(10, (at) => [...(i === 1 ? [PROTOCOL] : []), price(i, i % 3, BigInt(i), at)])
      await settle(old)
    }
    expect(await stored()).toEqual(reduced(indexedFacts(), 1))
    await old.close()
    const one = follower(2)
    expect(await settle(one)).toEqual(['replayed'])
    expect(await stored()).toEqual(reduced(indexedFacts(), 2))
    expect(await replayStatus()).toEqual({ version: 2, at: 399 })
    world.drop(250)
    mined(251, (at) => [price(100, 1, 5n, at)])
    const kinds = await settle(one)
    expect(kinds[0]).toBe('rewound')
    expect(kinds).not.toContain('replayed')
    expect(await stored()).toEqual(reduced(indexedFacts(), 2))
  })

  test('behavior: tables that were filled before there was a reducer are reduced', async () => {
    const without = follower(null)
    mined(3, (at) => [PROTOCOL, price(1, 1, 10n, at)])
    await settle(without)
    await without.close()
    const one = follower(1)
    expect(await settle(one)).toEqual(['replayed'])
    expect(await stored()).toEqual(reduced(indexedFacts()))
  })
})

test('property: whatever the chain does, the rows are those of one reduction of the facts that are left', async () => {
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('mine' as const), blocks: fc.integer({ min: 1, max: 4 }), feeds: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), depth: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('step' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('raise' as const) }) },
  )
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 30 }), async (actions) => {
      const url = await postgres.freshDatabase()
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      world.chain = []
      world.deployment = `Qm${++run}`
      let version = 1
      let n = 0
      mined(1, () => [PROTOCOL])
      let one = follower(version, url)
      for (const next of actions) {
        if (next.kind === 'mine') mined(next.blocks, (at) => next.feeds.map((f) => price(++n, f, BigInt(n * n), at)))
        else if (next.kind === 'drop') {
          world.drop(Math.min(next.depth, world.chain.length - 1))
          mined(1)
        } else if (next.kind === 'raise') {
          await one.close()
          one = follower(++version, url)
        } else await one.step().catch(() => undefined)
      }
      mined(100)
      await settle(one)
      expect(await stored(client)).toEqual(reduced(indexedFacts(), version))
      await one.close()
      await client.end()
    }),
    { numRuns: 8, seed: 11 },
  )
})
