/**
 * The margin of every account at one indexed block, worked out by the protocol from the mirror's rows alone: the chain is
 * not asked. Made once per block and kept while that block is served. What accounts hold is kept from block to block by what
 * changed, a single margin is worked out when it is asked for, and all of them in small turns, between which others are answered.
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

export type AccountBook = {
  readonly block: Block
  readonly blockHash: string
  /** By market id, E18; a market whose price is unknown is not in it. */
  readonly markPricesE18: ReadonlyMap<string, bigint>
  /** Why something is unknown, in words; empty where nothing is. How many margins are unknown is said once all were worked out, of a small book at once. */
  readonly gaps: readonly string[]
  /** Accounts with open positions or ranges, by id. */
  readonly exposedIds: readonly string[]
  /** null where it is unknown; undefined for an account without open positions or ranges. */
  exposed(id: string): Health | null | undefined
  /** Of accounts with and without positions, in the order asked; null where it is unknown, or the account is not in the book. */
  healths(ids: readonly string[]): readonly (Health | null)[]
  /** Of every account with open positions or ranges, by id: worked out in turns. */
  walk(): AsyncGenerator<readonly [id: string, Health | null]>
  holding(id: string): Holding | undefined
  /** Every account in every order: worked out in turns when it is first asked for. */
  standings(): Promise<Standings>
  /** moveE6: 1e6 = 100 %; null where the market's liquidity is unknown. Throws BadInputError where it is not within 0 and 1e6. */
  depth(market: string, moveE6: bigint): MarketDepth | null
  /** Margin of an account without open positions or ranges: its collateral alone. null where a price is unknown. */
  unexposed(account: AccountNode, balances: readonly CollateralBalanceNode[]): Health | null
}

export type MarginService = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: Block, db: () => Promise<Db>): Promise<AccountBook>
  /** The book of a block that is still kept, whichever the mirror stands on. Throws NotFoundError. */
  kept(hash: string): Promise<AccountBook>
  /** Makes the standings of the block that the mirror stands on, if anybody asked for some within the last minute. */
  warm(): Promise<void>
  /** What the last book says of itself, for the status; null before the first. */
  last(): { readonly gaps: readonly string[]; readonly accounts: number } | null
}

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

type Options = { readonly protocol: Pick<Protocol, 'margins' | 'reducer'>; readonly deployment: Deployment }
type Read = { readonly market: MarketInputs; readonly holdings: Holdings }

/**
 * Requests for one block share its book, and it is read on a snapshot of its own: no request that ends early takes it from
 * the others. `prisma` needs a pool of its own, because the requests that wait for a book hold connections meanwhile.
 */
export function createMargins({ prisma, log, ...options }: Options & { readonly prisma: PrismaClient; readonly log: Logger }): MarginService {
  const books = new Map<string, Promise<AccountBook | null>>()
  /** What accounts hold at the newest block that was read. */
  let newest: Holdings | null = null
  let last: AccountBook | null = null
  let warned = ''
  let askedMs = -Infinity
  /** Orders that were asked for: of the next block they are made before they are. */
  const orders = new Map<string, readonly [AccountOrder, Direction]>()

  const read = async (db: Parameters<typeof readMarketInputs>[0], block: Block): Promise<Read> => {
    const market = await readMarketInputs(db, options, block)
    const holdings = await readHoldings(db, options, block, newest)
    if (newest === null || holdings.block.number >= newest.block.number) newest = holdings
    return { market, holdings }
  }
  const make = async (block: Block, inputs: Read, started: number): Promise<AccountBook> => {
    const book = makeBook(options, block, inputs, (order, direction) => {
      askedMs = performance.now()
      orders.set(`${order} ${direction}`, [order, direction])
    })
    if (book.exposedIds.length <= SMALL) await book.standings()
    if (book.gaps.length > 0 && warned !== book.gaps.join()) log.warn({ block: block.hash, gaps: book.gaps }, 'some margins are unknown')
    warned = book.gaps.join()
    log.debug({ block: block.hash, accounts: book.exposedIds.length, ms: Math.round(performance.now() - started) }, 'margins read')
    return (last = book)
  }

  /** null where the mirror stands on another block already. */
  const makeShared = async ({ hash }: Block): Promise<AccountBook | null> => {
    const started = performance.now()
    const found = await readAtCheckpoint(prisma, async (tx, block) => (block?.hash === hash ? { block, inputs: await read(tx, block) } : null), READ_TIMEOUT_MS)
    return found && make(found.block, found.inputs, started)
  }

  const keep = (hash: string, book: Promise<AccountBook | null>): Promise<AccountBook | null> => {
    books.delete(hash)
    books.set(hash, book)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    return book
  }

  const shared = (block: Block): Promise<AccountBook | null> => {
    const known = books.get(block.hash)
    if (known) return keep(block.hash, known)
    const made = makeShared(block)
    made.catch(() => books.get(block.hash) === made && books.delete(block.hash))
    return keep(block.hash, made)
  }

  return {
    last: () => last && { gaps: last.gaps, accounts: last.exposedIds.length },
    // Where a step fell between the request's snapshot and the book's, the request reads its own block on its own snapshot.
    at: async (block, db) => (await shared(block)) ?? make(block, await read(await db(), block), performance.now()),
    kept: async (hash) => {
      const known = books.get(hash)
      const book = known === undefined ? null : await keep(hash, known)
      if (book === null) throw new NotFoundError({ what: 'kept table of block', id: hash.slice(0, 66), hint: 'ask without `block` for the newest one' })
      return book
    },
    warm: async () => {
      if (performance.now() - askedMs > WARM_MS) return
      const block = await readAtCheckpoint(prisma, async (_, checkpoint) => checkpoint)
      const book = block && (await shared(block))
      const standings = await book?.standings()
      for (const [order, direction] of orders.values()) {
        await turn()
        standings?.order(order, direction)
      }
    },
  }
}

function makeBook({ protocol, deployment }: Options, block: Block, { market, holdings }: Read, asked: (order: AccountOrder, direction: Direction) => void): AccountBook {
  const { all } = holdings
  const places = new Map(all.map(({ id }, place) => [id, place]))
  const exposedIds = all.flatMap(({ id, exposed }) => (exposed ? [id] : []))
  const bookOf = (some: readonly Holding[], marketIds: Iterable<string> = []): MarginBook | null => {
    if (market.gap !== null) return null
    const unheld = [...marketIds].map((marketId) => ({ accountId: '', marketId, rawSizeE18: 0n, openNotionalE18: 0n }))
    const states = { ...market.states, accounts: some.flatMap((one) => one.states.accounts), positions: [...unheld, ...some.flatMap((one) => one.states.positions)], ranges: some.flatMap((one) => one.states.ranges), balances: some.flatMap((one) => one.states.balances) }
    return protocol.margins.book({ deployment, rows: [...market.rows, ...some.flatMap(({ rows }) => rows)], states, timestampSec: Number(block.timestamp) })
  }
  // Prices are needed of each market that anybody is in, whether or not it was replayed.
  const markets = bookOf([], new Set(all.flatMap(({ states }) => [...states.positions, ...states.ranges].map(({ marketId }) => marketId))))
  const gaps = market.gap === null ? [...(markets?.gaps ?? [])] : [market.gap]

  async function* work(some: readonly Holding[]): AsyncGenerator<readonly [Holding, Health | null]> {
    for (let from = 0; from < some.length; from += PER_BOOK) {
      const part = some.slice(from, from + PER_BOOK)
      const book = bookOf(part)
      for (const [i, holding] of part.entries()) {
        if (i % PER_TURN === 0) await turn()
        yield [holding, book?.health(holding.id) ?? null]
      }
    }
  }

  /** Margins that were asked for one by one: a page's, an account's for each of its positions. */
  const known = new Map<string, Health | null>()
  const healths = (ids: readonly string[]): readonly (Health | null)[] => {
    if (known.size + ids.length > SMALL) known.clear()
    const missing = ids.flatMap((id) => (known.has(id) ? [] : (all[places.get(id) ?? -1] ?? [])))
    if (missing.length > 0) {
      const book = bookOf(missing)
      for (const { id } of missing) known.set(id, book?.health(id) ?? null)
    }
    return ids.map((id) => known.get(id) ?? null)
  }

  let standings: Promise<Standings> | undefined
  return {
    block,
    blockHash: block.hash,
    gaps,
    markPricesE18: markets?.markPricesE18 ?? new Map<string, bigint>(),
    exposedIds,
    exposed: (id) => (all[places.get(id) ?? -1]?.exposed === true ? healths([id])[0] : undefined),
    healths,
    async *walk() {
      for await (const [{ id }, health] of work(all.filter(({ exposed }) => exposed))) yield [id, health] as const
    },
    holding: (id) => all[places.get(id) ?? -1],
    standings: () =>
      (standings ??= (async () => {
        const made = await createStandings(all, work(all), asked)
        if (made.unknown > 0) gaps.push(`${made.unknown} of ${exposedIds.length} accounts with positions have no margin`)
        return made
      })()),
    depth: (id, moveE6) => markets?.depth(id, moveE6) ?? null,
    unexposed: (account, balances) =>
      markets?.unexposed(
        { id: account.id, settlementBalance: integer(account.settlementBalance), owedRealizedPnlE18: integer(account.owedRealizedPnlE18) },
        balances.map(({ accountId, assetId, amount }) => ({ accountId, assetId, amount: integer(amount) })),
      ) ?? null,
  }
}
