/**
 * The margin of every account at one indexed block, worked out by the protocol from the mirror's rows alone: the chain is
 * not asked. Made once per block and kept while that block is served. What accounts hold is kept from block to block by what
 * changed, a single margin is worked out when it is asked for, and all of them in small turns, between which others are answered.
 * What the markets alone tell is read beside it: a large book of accounts is read only where somebody asks for an account.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { PrismaClient } from '../../prisma/client.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Deployment, Health, MarginBook, MarketDepth, Protocol } from '../../protocols/adapter.ts'
import { readHoldings, readMarketInputs, type Holding, type Holdings, type MarketInputs } from '../mirror/margins.ts'
import { readAtCheckpoint } from '../mirror/read.ts'
import { integer } from './model.ts'
import type { AccountNode, CollateralBalanceNode, Db } from './model.ts'
import { createStandings, type AccountOrder, type Direction, type Standings } from './standings.ts'

export type { Health } from '../../protocols/adapter.ts'
export type { Holding } from '../mirror/margins.ts'

type Block = { readonly number: bigint; readonly hash: string; readonly timestamp: bigint }

/** What of a block's margins no account is needed for. */
export type MarketBook = {
  readonly block: Block
  readonly blockHash: string
  /** By market id, E18; a market whose price is unknown is not in it. */
  readonly markPricesE18: ReadonlyMap<string, bigint>
  /** Why something is unknown, in words; empty where nothing is. */
  readonly gaps: readonly string[]
  /** moveE6: 1e6 = 100 %; null where the market's liquidity is unknown. Throws BadInputError where it is not within 0 and 1e6. */
  depth(market: string, moveE6: bigint): MarketDepth | null
  /** Margin of an account without open positions or ranges: its collateral alone. null where a price is unknown. */
  unexposed(account: AccountNode, balances: readonly CollateralBalanceNode[]): Health | null
}

/** `gaps` also says how many margins are unknown, once all were worked out; of a small book that is at once. */
export type AccountBook = MarketBook & {
  /** Accounts with open positions or ranges, by id. */
  readonly exposedIds: readonly string[]
  /** null where it is unknown; undefined for an account without open positions or ranges. */
  exposed(id: string): Health | null | undefined
  /** Of accounts with and without positions, in the order asked; null where it is unknown, or the account is not in the book. */
  healths(ids: readonly string[]): readonly (Health | null)[]
  /** Of every account with open positions or ranges, by id: worked out in turns, each of which comes whole. */
  walk(): AsyncGenerator<readonly Margin[]>
  holding(id: string): Holding | undefined
  /** Every account in every order: worked out in turns when it is first asked for. */
  standings(): Promise<Standings>
}

/** An account with its margin; null where it is unknown. */
export type Margin = readonly [holding: Holding, health: Health | null]

export type MarginService = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: Block, db: () => Promise<Db>): Promise<AccountBook>
  /** The same of what the markets alone tell: no account is read for it. */
  marketsAt(block: Block, db: () => Promise<Db>): Promise<MarketBook>
  /** The book of a block that is still kept, whichever the mirror stands on. Throws NotFoundError. */
  kept(hash: string): Promise<AccountBook>
  /** Makes the standings of the block that the mirror stands on, if anybody asked for some within the last minute. */
  warm(): Promise<void>
  /** What the last book says of itself, for the status; null before the first. */
  last(): Told | null
  /** Hears what a book that was made elsewhere says of itself. */
  told(of: Told): void
}

/** `accounts`: with positions; null where none were read yet. */
export type Told = { readonly block: Block; readonly gaps: readonly string[]; readonly accounts: number | null }

/** Books kept, the last asked for: requests that began before a step, and tables that are read on at their block. */
const KEPT = 4
/** Books of so many accounts are worked out whole at once. */
const SMALL = 5_000
/** Accounts worked out at a time: some ten milliseconds. */
const PER_TURN = 200
/** Accounts that share one preparation of the markets. */
const PER_BOOK = 1_000
/** A large book on a busy machine: it is read whole once, and a reader that gives up would begin again each time. */
const READ_TIMEOUT_MS = 600_000
/** Somebody who asked for standings within this time will ask again at the next block, ms. */
const WARM_MS = 60_000

export type MarginOptions = { readonly protocol: Pick<Protocol, 'margins' | 'reducer'>; readonly deployment: Deployment }
type Reading = Parameters<typeof readMarketInputs>[0]
type Asked = (order: AccountOrder, direction: Direction) => void

/**
 * Requests for one block share its book, and it is read on a snapshot of its own: no request that ends early takes it from
 * the others. `prisma` needs a pool of its own, because the requests that wait for a book hold connections meanwhile.
 */
export function createMargins({ prisma, log, ...options }: MarginOptions & { readonly prisma: PrismaClient; readonly log: Logger }): MarginService {
  /** What accounts hold at the newest block that was read. */
  let newest: Holdings | null = null
  let last: Told | null = null
  let warned: ReadonlySet<string> = new Set()
  let askedMs = -Infinity
  /** Orders that were asked for: of the next block they are made before they are. */
  const orders = new Map<string, readonly [AccountOrder, Direction]>()

  const note = (told: Told): void => {
    if (last !== null && told.block.number < last.block.number) return
    // Of the markets alone: what was counted of the accounts is no news.
    const gaps = new Set(told.accounts === null ? [...told.gaps, ...warned] : told.gaps)
    if (told.gaps.some((gap) => !warned.has(gap))) log.warn({ block: told.block.hash, gaps: told.gaps }, 'some margins are unknown')
    warned = gaps
    if (told.accounts !== null || told.block.hash !== last?.block.hash) last = { ...told, accounts: told.accounts ?? last?.accounts ?? null }
  }
  const make = async (db: Reading, block: Block): Promise<AccountBook> => {
    const started = performance.now()
    const { book, holdings } = await readAccounts(db, options, block, newest, (order, direction) => {
      askedMs = performance.now()
      orders.set(`${order} ${direction}`, [order, direction])
    })
    if (newest === null || holdings.block.number >= newest.block.number) newest = holdings
    void markets.keep(block.hash, Promise.resolve(book))
    log.debug({ block: block.hash, accounts: book.exposedIds.length, ms: Math.round(performance.now() - started) }, 'margins read')
    return book
  }
  const makeMarkets = async (db: Reading, block: Block): Promise<MarketBook> => {
    const { book } = marketsOf(options, block, await readMarketInputs(db, options, block))
    note({ block, gaps: book.gaps, accounts: null })
    return book
  }
  /** null where the mirror stands on another block already. */
  const atBlock = <T>({ hash }: Block, read: (tx: Reading, block: Block) => Promise<T>): Promise<T | null> => readAtCheckpoint(prisma, async (tx, block) => (block?.hash === hash ? read(tx, block) : null), READ_TIMEOUT_MS)
  /** Outside the snapshot: it takes turns. */
  const finish = async (book: AccountBook | null): Promise<AccountBook | null> => {
    if (book !== null && book.exposedIds.length <= SMALL) await book.standings()
    if (book !== null) note({ block: book.block, gaps: book.gaps, accounts: book.exposedIds.length })
    return book
  }
  const books = keeping<AccountBook>(async (block) => finish(await atBlock(block, make)))
  const markets = keeping<MarketBook>((block) => atBlock(block, makeMarkets))

  return {
    last: () => last,
    told: note,
    // Where a step fell between the request's snapshot and the book's, the request reads its own block on its own snapshot.
    at: async (block, db) => (await books.of(block)) ?? ((await finish(await make(await db(), block))) as AccountBook),
    marketsAt: async (block, db) => (await markets.of(block)) ?? makeMarkets(await db(), block),
    kept: async (hash) => {
      const book = await books.known(hash)
      if (book === null) throw new NotFoundError({ what: 'kept table of block', id: hash.slice(0, 66), hint: 'ask without `block` for the newest one' })
      return book
    },
    warm: async () => {
      if (performance.now() - askedMs > WARM_MS) return
      const block = await readAtCheckpoint(prisma, async (_, checkpoint) => checkpoint)
      const book = block && (await books.of(block))
      const standings = await book?.standings()
      for (const [order, direction] of orders.values()) {
        await turn()
        standings?.order(order, direction)
      }
    },
  }
}

type Kept<Book> = {
  /** Made where it is not known; null where the mirror has left the block. */
  of(block: Block): Promise<Book | null>
  /** null where it is not kept. */
  known(hash: string): Promise<Book | null>
  keep(hash: string, book: Promise<Book | null>): Promise<Book | null>
}

/** Books by block, the last asked for, shared by all who ask; one that fails is made again. */
function keeping<Book>(make: (block: Block) => Promise<Book | null>): Kept<Book> {
  const books = new Map<string, Promise<Book | null>>()
  const keep = (hash: string, book: Promise<Book | null>): Promise<Book | null> => {
    books.delete(hash)
    books.set(hash, book)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    return book
  }
  return {
    keep,
    known: async (hash) => {
      const known = books.get(hash)
      return known === undefined ? null : await keep(hash, known)
    },
    of: (block) => {
      const known = books.get(block.hash)
      if (known !== undefined) return keep(block.hash, known)
      const made = make(block)
      made.catch(() => books.get(block.hash) === made && books.delete(block.hash))
      return keep(block.hash, made)
    },
  }
}

/** How many of the accounts with positions have no margin, as a gap. */
const unknownGap = (unknown: number, of: number): string => `${unknown} of ${of} accounts with positions have no margin`

/** All accounts of the block that `db` stands on: of what `before` holds, what changed since is read. */
export async function readAccounts(db: Reading, options: MarginOptions, block: Block, before: Holdings | null, asked: Asked = () => {}): Promise<{ readonly book: AccountBook; readonly holdings: Holdings }> {
  const markets = marketsOf(options, block, await readMarketInputs(db, options, block))
  const holdings = await readHoldings(db, options, block, before)
  return { book: accountsOf(markets, holdings, asked), holdings }
}

type Markets = { readonly book: MarketBook; readonly bookOf: (some: readonly Holding[]) => MarginBook | null }

function marketsOf({ protocol, deployment }: MarginOptions, block: Block, market: MarketInputs): Markets {
  const bookOf = (some: readonly Holding[], marketIds: readonly string[] = []): MarginBook | null => {
    if (market.gap !== null) return null
    const unheld = marketIds.map((marketId) => ({ accountId: '', marketId, rawSizeE18: 0n, openNotionalE18: 0n }))
    const states = { ...market.states, accounts: some.flatMap((one) => one.states.accounts), positions: [...unheld, ...some.flatMap((one) => one.states.positions)], ranges: some.flatMap((one) => one.states.ranges), balances: some.flatMap((one) => one.states.balances) }
    return protocol.margins.book({ deployment, rows: [...market.rows, ...some.flatMap(({ rows }) => rows)], states, timestampSec: Number(block.timestamp) })
  }
  // Prices are needed of each market that anybody is in, whether or not it was replayed.
  const made = bookOf([], market.held)
  return {
    bookOf,
    book: {
      block,
      blockHash: block.hash,
      gaps: market.gap === null ? [...(made?.gaps ?? [])] : [market.gap],
      markPricesE18: made?.markPricesE18 ?? new Map<string, bigint>(),
      depth: (id, moveE6) => made?.depth(id, moveE6) ?? null,
      unexposed: (account, balances) =>
        made?.unexposed(
          { id: account.id, settlementBalance: integer(account.settlementBalance), owedRealizedPnlE18: integer(account.owedRealizedPnlE18) },
          balances.map(({ accountId, assetId, amount }) => ({ accountId, assetId, amount: integer(amount) })),
        ) ?? null,
    },
  }
}

function accountsOf({ book: shared, bookOf }: Markets, { all }: Holdings, asked: Asked): AccountBook {
  const exposed = all.filter((one) => one.exposed)
  const exposedIds = exposed.map(({ id }) => id)
  const gaps = [...shared.gaps]
  let unknownSaid = false
  const sayUnknown = (unknown: number): void => {
    if (unknown > 0 && !unknownSaid) gaps.push(unknownGap(unknown, exposedIds.length))
    unknownSaid = true
  }
  /** Made for whoever looks one up. */
  let placed: ReadonlyMap<string, Holding> | undefined
  const holding = (id: string): Holding | undefined => (placed ??= new Map(all.map((one) => [one.id, one]))).get(id)

  async function* work(some: readonly Holding[]): AsyncGenerator<readonly Margin[]> {
    for (let from = 0; from < some.length; from += PER_BOOK) {
      const part = some.slice(from, from + PER_BOOK)
      const book = bookOf(part)
      for (let i = 0; i < part.length; i += PER_TURN) {
        await turn()
        yield part.slice(i, i + PER_TURN).map((one) => [one, book?.health(one.id) ?? null])
      }
    }
  }

  /** Margins that were asked for one by one: a page's, an account's for each of its positions. */
  const known = new Map<string, Health | null>()
  const healths = (ids: readonly string[]): readonly (Health | null)[] => {
    if (known.size + ids.length > SMALL) known.clear()
    const missing = ids.flatMap((id) => (known.has(id) ? [] : (holding(id) ?? [])))
    if (missing.length > 0) {
      const book = bookOf(missing)
      for (const { id } of missing) known.set(id, book?.health(id) ?? null)
    }
    return ids.map((id) => known.get(id) ?? null)
  }

  let standings: Promise<Standings> | undefined
  return {
    ...shared,
    gaps,
    exposedIds,
    exposed: (id) => (holding(id)?.exposed === true ? healths([id])[0] : undefined),
    healths,
    async *walk() {
      let unknown = 0
      for await (const margins of work(exposed)) {
        for (const [, health] of margins) if (health === null) unknown++
        yield margins
      }
      sayUnknown(unknown)
    },
    holding,
    standings: () =>
      (standings ??= (async () => {
        const made = await createStandings(all, work(all), asked)
        sayUnknown(made.unknown)
        return made
      })()),
  }
}
