import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { createStressPool, type StressPool, type StressProgress } from '../../api/engine/pool.ts'
import { cascadeBook, createAccountBook, movePrices, stressBook, updateAccounts, type BookStress, type StressAccount } from '../../api/risk/index.ts'
import { UnavailableError } from '../../core/errors.ts'
import { assets, bookAccounts, rules, scenarios } from '../risk/books.ts'

/** More than one shard, every tenth list with its makers. */
const BOOK = fc.sample(bookAccounts, { numRuns: 2_000, seed: 11 }).flatMap((list, i) => list.map((a): StressAccount => ({ ...a, id: `${i} ${a.id}`, ranges: i % 10 === 0 ? a.ranges : [] })))
const LIST = fc.sample(scenarios, { numRuns: 8, seed: 12 }).flat().slice(0, 70)

let dir: string
let pool: StressPool
/** What the plain loop answers, asked once. */
let expected: readonly BookStress[]
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bulwark-engine-'))
  pool = await createStressPool({ threads: 2 })
  expected = stressBook(createAccountBook(BOOK, { assets, rules }), LIST)
})
afterAll(async () => {
  await pool.close()
  await rm(dir, { recursive: true, force: true })
})

describe('stress on threads', () => {
  test('second method: the kernel gives the bits of the plain loop, makers and several shards included', async () => {
    const book = createAccountBook(BOOK, { assets, rules })
    expect(book.accounts).toBeGreaterThan(8_192)
    expect(book.makers.size).toBeGreaterThan(100)
    expect(await pool.stress(book, LIST)).toEqual(expected)
  })

  test('property: any book, any number of threads', async () => {
    const alone = await createStressPool({ threads: 1 })
    try {
      await fc.assert(
        fc.asyncProperty(bookAccounts, scenarios, async (accounts, list) => {
          const book = createAccountBook(accounts, { assets, rules })
          const plain = stressBook(book, list)
          expect(await alone.stress(book, list)).toEqual(plain)
          expect(await pool.stress(book, list)).toEqual(plain)
          expect(await pool.cascade(book, list, { persistence: 1 })).toEqual(cascadeBook(book, list, { persistence: 1 }))
        }),
        { numRuns: 25 },
      )
    } finally {
      await alone.close()
    }
  })

  test('behavior: runs that are asked for together wait for one another, and the book for them', async () => {
    const book = createAccountBook(BOOK, { assets, rules })
    const both = [pool.stress(book, LIST), pool.cascade(book, LIST.slice(0, 3), { persistence: 1 })]
    expect(() => movePrices(book, { A: 0.1 })).toThrow('Found a run that still reads the book')
    // Another reader of the same memory would write over the one that is there.
    await Promise.resolve()
    expect(() => stressBook(book, LIST)).toThrow('Found a run over the book under way')
    expect(await both[0]).toEqual(expected)
    await both[1]
    movePrices(book, { A: 0.1 })
    updateAccounts(book, BOOK.slice(0, 10))
    const few = LIST.slice(0, 5)
    expect(await pool.stress(book, few)).toEqual(stressBook(book, few))
  })

  test('behavior: says how far it is, round by round', async () => {
    const seen: StressProgress[] = []
    const book = createAccountBook(BOOK, { assets, rules })
    const results = await pool.cascade(book, LIST, { persistence: 1, onProgress: (p) => void seen.push(p) })
    const ends = seen.filter((p) => p.done === p.of)
    expect(Math.max(...results.map((r) => r.rounds))).toBeGreaterThan(1)
    expect(new Set(ends.map((p) => p.round)).size).toBe(Math.max(...results.map((r) => r.rounds)))
    expect(ends[0]).toMatchObject({ round: 1, scenarios: LIST.length })
    for (const p of seen) expect(p.done).toBeLessThanOrEqual(p.of)
  })

  test('behavior: a cancelled run ends with the signal’s reason, and the next one is right', async () => {
    const book = createAccountBook(BOOK, { assets, rules })
    const stop = new AbortController()
    const reason = new Error('the analyst closed the page')
    // Cancelled when the first round has ended and others follow.
    const run = pool.cascade(book, LIST, { persistence: 1, signal: stop.signal, onProgress: () => stop.abort(reason) })
    await expect(run).rejects.toBe(reason)
    await expect(pool.stress(book, LIST, { signal: stop.signal })).rejects.toBe(reason)
    expect(book.readers).toBe(0)
    expect(await pool.stress(book, LIST)).toEqual(expected)
  })

  test('behavior: a run is cancelled while its threads work', async () => {
    const book = createAccountBook(BOOK.map((a) => ({ ...a, ranges: [] })), { assets, rules })
    const many = Array.from({ length: 300 }, () => LIST).flat()
    const stop = new AbortController()
    const seen: StressProgress[] = []
    const run = pool.stress(book, many, { signal: stop.signal, onProgress: (p) => void seen.push(p) })
    // The run has begun by then, in a microtask.
    setImmediate(() => stop.abort())
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    for (const p of seen) expect(p.done).toBeLessThan(p.of)
    const few = LIST.slice(0, 5)
    expect(await pool.stress(book, few)).toEqual(stressBook(book, few))
  })

  test('error: a thread that dies ends its run as one to try again, which then succeeds', async () => {
    const worker = new URL('../../api/engine/worker.mjs', import.meta.url).href
    // The first thread to make the file dies at its first job; the others, and those hired later, are as usual.
    const program = `
      import { openSync } from 'node:fs'
      import { parentPort } from 'node:worker_threads'
      let doomed = true
      try { openSync(${JSON.stringify(join(dir, 'doomed'))}, 'wx') } catch { doomed = false }
      if (doomed) parentPort.on('message', () => process.exit(7))
      else await import(${JSON.stringify(worker)})`
    const mortal = await createStressPool({ threads: 2, entry: new URL(`data:text/javascript,${encodeURIComponent(program)}`) })
    try {
      const book = createAccountBook(BOOK, { assets, rules })
      const failed = mortal.stress(book, LIST)
      await expect(failed).rejects.toBeInstanceOf(UnavailableError)
      await expect(failed).rejects.toThrow('a thread of the stress engine: ended with code 7; run it again')
      expect(await mortal.stress(book, LIST)).toEqual(expected)
    } finally {
      await mortal.close()
    }
  })

  test('error: a closed pool and impossible scenarios are refused in a sentence', async () => {
    const short = await createStressPool({ threads: 1 })
    await short.close()
    const book = createAccountBook([], { assets, rules })
    await expect(short.stress(book, LIST)).rejects.toThrow('the stress engine: it is closed; make a new one')
    await expect(pool.stress(book, [{ id: 'x', changeOf: () => NaN }])).rejects.toThrow('Found a change of NaN for A in x')
    expect(await pool.stress(book, LIST.slice(0, 1))).toMatchObject([{ value: 0, liquidatable: 0 }])
    expect(book.readers).toBe(0)
    await expect(createStressPool({ threads: 0 })).rejects.toThrow('Found 0 threads')
  })
})
