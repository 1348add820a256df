/**
 * The inputs of every model at one indexed block, gathered once per block and shared by the requests that stand on it.
 *
 * They are gathered and computed with beside the server (desk.ts). What the server itself holds of a book is its head: enough to check arguments
 * by and to look things up in; everything that takes time is asked for.
 */
import { InvariantError, UnavailableError } from '../../../core/errors.ts'
import { createContext, stressAccounts, type MarketFacts, type RunContext } from '../../recommendations/context.ts'
import { bookDigest, type RunInputs } from '../../recommendations/index.ts'
import { barsOf, maxSpanOf, type FeedStatistics } from '../../recommendations/statistics.ts'
import { SampleTooSmallError, toReturns, type BarSeries, type Returns, type StressAccount } from '../../risk/index.ts'
import type { IndexedBlock } from '../context.ts'
import type { AccountBook } from '../margins.ts'
import type { Db } from '../model.ts'
import type { Answer } from './answer.ts'
import type { ReplayTask } from './breakers.ts'
import type { Answers, Ask, BookHead, Desk } from './desk.ts'

/** What both sides know of a book. */
export type BookFacts = {
  readonly block: IndexedBlock
  /** But for the series of prices and what accounts hold, which the desk alone has. */
  readonly inputs: Omit<RunInputs, 'series' | 'accounts'>
  /** That a price can hurt. */
  readonly accountCount: number
  /** SHA-256 of the inputs, but for what was simulated from earlier ones and what was recommended before. */
  readonly digest: string
  /** Beside the desk its statistics are those of volatility and betas, and it has no accounts and none of their notionals; whatever else these say is asked for. */
  readonly context: RunContext
}

/** A book as resolvers have it. */
export type RiskBook = BookFacts & {
  /** The answer of a computation beside the server; the same question about the same book is computed once. Throws what the computation throws. */
  readonly ask: Ask
  /** A replay over the history that `db`, the request's snapshot, sees. */
  replay(db: Db, task: ReplayTask): Promise<Answer<'BreakerReplay'>>
  /** All inputs, packed for a process that has nothing else. */
  pack(): Promise<Uint8Array>
}

/** A book where it is computed with. */
export type DeskBook = Omit<BookFacts, 'inputs'> & {
  readonly inputs: RunInputs
  /** Margins of its block. Rejected where its accounts could not be read. */
  margins(): Promise<AccountBook>
  /** Every account that a price can hurt. Throws SampleTooSmallError where a price of the book is unknown. */
  stressAccounts(): readonly StressAccount[]
  /** Index prices of a market on bars of `barSec`, a multiple of the policy's; null for a market without a feed. */
  bars(facts: MarketFacts, barSec: number): BarSeries | null
  returns(bars: BarSeries): Returns
}

export type RiskBooks = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: IndexedBlock, db: () => Promise<Db>): Promise<RiskBook>
  /** Of the block that the mirror stands on now; null before the first. */
  latest(): Promise<RiskBook | null>
  /** After a step: makes the new block's book before somebody asks for it, if anybody asked for one lately. */
  warm(): Promise<void>
}

/** The fact `found` of the error for a book that the desk has dropped or lost. */
export const BOOK_GONE = 'it no longer has this block’s book'

/** Somebody who looks at figures of risk looks again, ms. */
const LATELY_MS = 60_000

/** Heads kept: requests that began before a step still ask for the block before. */
const KEPT = 4

export function createRiskBooks({ desk }: { readonly desk: Desk }): RiskBooks {
  const books = new Map<string, Promise<RiskBook | null>>()
  let askedAt = -Infinity
  const keep = (hash: string, made: Promise<RiskBook | null>): Promise<RiskBook | null> => {
    books.delete(hash)
    books.set(hash, made)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    made.then((book) => book === null && books.get(hash) === made && books.delete(hash), () => books.get(hash) === made && books.delete(hash))
    return made
  }
  const open = (head: BookHead | null): RiskBook | null => head && bookOf(head, desk, () => books.delete(head.block.hash))
  const shared = (hash: string): Promise<RiskBook | null> => books.get(hash) ?? keep(hash, desk.read({ hash, snapshot: null }).then(open))
  const latest = async (): Promise<RiskBook | null> => {
    const head = await desk.read({ hash: null, snapshot: null })
    return head && (books.get(head.block.hash) ?? keep(head.block.hash, Promise.resolve(open(head))))
  }
  return {
    at: async (block, db) => {
      askedAt = performance.now()
      const found = await shared(block.hash)
      if (found !== null) return found
      // A step fell between: the desk reads what this request sees. Whoever asks next for this block shares it.
      const snapshot = await exported(await db())
      const own = await keep(block.hash, desk.read({ hash: block.hash, snapshot }).then(open))
      if (own === null) throw new UnavailableError({ part: 'the risk engine', found: `block ${block.number} is no longer stored`, action: 'ask again' })
      return own
    },
    latest,
    warm: async () => {
      if (performance.now() - askedAt < LATELY_MS) await latest()
    },
  }
}

/** A name by which another process sees what this transaction sees, as long as it lives. */
async function exported(db: Db): Promise<string> {
  const [row] = await db.$queryRaw<{ snapshot: string }[]>`SELECT pg_export_snapshot() AS "snapshot"`
  return row?.snapshot ?? ''
}

/** What the head's statistics leave out; resolvers that want it ask. */
const elsewhere = (statistic: string) => ({ value: null, unknown: new SampleTooSmallError({ statistic: `${statistic} beside the desk`, found: 0, needed: 1 }) }) as const

function bookOf({ block, inputs, accountCount, digest, volatility, betas }: BookHead, desk: Desk, gone: () => unknown): RiskBook {
  const statistics = new Map(
    volatility.map(([feed, found]): [string, FeedStatistics] => [
      feed,
      { volatility: 'shortage' in found ? { value: null, unknown: new SampleTooSmallError(found.shortage) } : { value: found, unknown: null }, basis: elsewhere('forecasts'), backtest: elsewhere('backtest') },
    ]),
  )
  const asked = new Map<string, Promise<unknown>>()
  /** Once more, where the desk has meanwhile begun anew and the mirror still stands on the block. */
  const again = async <T>(compute: () => Promise<T>): Promise<T> => {
    try {
      return await compute()
    } catch (error) {
      if (!(error instanceof UnavailableError && error.facts['found'] === BOOK_GONE)) throw error
      gone()
      if ((await desk.read({ hash: block.hash, snapshot: null }))?.digest !== digest) throw error
      return compute()
    }
  }
  return {
    block,
    inputs,
    accountCount,
    digest,
    context: createContext({ ...inputs, series: [], accounts: [] }, statistics, new Map(betas)),
    ask: (kind, task) => {
      const key = `${kind} ${JSON.stringify(task, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))}`
      let answer = asked.get(key) as Promise<Answers[typeof kind]> | undefined
      if (answer === undefined) {
        answer = again(() => desk.ask(block.hash, kind, task))
        asked.set(key, answer)
        answer.catch(() => asked.delete(key))
      }
      return answer
    },
    replay: async (db, task) => desk.replay(await exported(db), task),
    pack: () => again(() => desk.pack(block.hash)),
  }
}

/** `margins`: none are known of a book that was packed for a run. */
export function makeBook(block: IndexedBlock, inputs: RunInputs, margins: DeskBook['margins'] = () => Promise.reject(new InvariantError('Found a question about margins in a run, allowed are those that inputs answer; ask the desk'))): DeskBook {
  const context = createContext(inputs)
  let accounts: readonly StressAccount[] | undefined
  const series = new Map(inputs.series.map((one) => [one.feed, one]))
  return {
    block,
    inputs,
    accountCount: inputs.accounts.length,
    digest: bookDigest(inputs),
    context,
    margins,
    stressAccounts: () => (accounts ??= stressAccounts(context)),
    bars: ({ input }, barSec) => {
      const found = series.get(input.oracle?.feed ?? '')
      if (found === undefined) return null
      return barsOf(found, inputs.policy, barSec)
    },
    returns: (bars) => toReturns(bars, { maxSpan: maxSpanOf(inputs.policy, bars.barSec) }),
  }
}
