/**
 * The margin of every account at one indexed block, worked out by the protocol from the mirror's rows alone: the chain is
 * not asked. Made once per block and kept while that block is served.
 */
import type { PrismaClient } from '../../prisma/client.ts'
import type { Logger } from '../../core/log.ts'
import type { Deployment, Health, MarginBook, MarketDepth, Protocol } from '../../protocols/adapter.ts'
import { readMarginInputs, type MarginInputs } from '../mirror/margins.ts'
import { readAtCheckpoint } from '../mirror/read.ts'
import { integer } from './model.ts'
import type { AccountNode, CollateralBalanceNode, Db } from './model.ts'

export type { Health } from '../../protocols/adapter.ts'

/** An account with open positions or ranges; nulls where its margin is unknown. */
export type RankedAccount = { readonly id: string; readonly marginRatioE18: bigint | null; readonly positionValueE18: bigint | null }

export type AccountBook = {
  readonly blockHash: string
  /** By market id, E18; a market whose price is unknown is not in it. */
  readonly markPricesE18: ReadonlyMap<string, bigint>
  readonly ranked: readonly RankedAccount[]
  /** Why something is unknown, in words; empty where nothing is. */
  readonly gaps: readonly string[]
  /** null where it is unknown; undefined for an account without open positions or ranges. */
  exposed(id: string): Health | null | undefined
  /** moveE6: 1e6 = 100 %; null where the market's liquidity is unknown. Throws BadInputError where it is not within 0 and 1e6. */
  depth(market: string, moveE6: bigint): MarketDepth | null
  /** Margin of an account without open positions or ranges: its collateral alone. null where a price is unknown. */
  unexposed(account: AccountNode, balances: readonly CollateralBalanceNode[]): Health | null
}

export type MarginService = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: { readonly hash: string; readonly timestamp: bigint }, db: () => Promise<Db>): Promise<AccountBook>
  /** What the last book says of itself, for the status; null before the first. */
  last(): { readonly gaps: readonly string[]; readonly accounts: number } | null
}

/** Books kept: requests that began before a step still ask for the block before. */
const KEPT = 3

type Options = { readonly protocol: Pick<Protocol, 'margins' | 'reducer'>; readonly deployment: Deployment }
type Block = { readonly hash: string; readonly timestamp: bigint }

/**
 * Requests for one block share its book, and it is read on a snapshot of its own: no request that ends early takes it from
 * the others. `prisma` needs a pool of its own, because the requests that wait for a book hold connections meanwhile.
 */
export function createMargins({ prisma, log, ...options }: Options & { readonly prisma: PrismaClient; readonly log: Logger }): MarginService {
  const books = new Map<string, Promise<AccountBook | null>>()
  let last: { gaps: readonly string[]; accounts: number } | null = null

  const make = (block: Block, read: MarginInputs, started: number): AccountBook => {
    const book = makeBook(options, block, read)
    if (book.gaps.length > 0 && last?.gaps.join() !== book.gaps.join()) log.warn({ block: block.hash, gaps: book.gaps }, 'some margins are unknown')
    log.debug({ block: block.hash, accounts: book.ranked.length, rows: read.rows.length, ms: Math.round(performance.now() - started) }, 'margins computed')
    last = { gaps: book.gaps, accounts: book.ranked.length }
    return book
  }

  /** null where the mirror stands on another block already. */
  const makeShared = async ({ hash }: Block): Promise<AccountBook | null> => {
    const started = performance.now()
    const found = await readAtCheckpoint(prisma, async (tx, block) => (block?.hash === hash ? { block, read: await readMarginInputs(tx, options, block) } : null))
    return found && make(found.block, found.read, started)
  }

  const shared = (block: Block): Promise<AccountBook | null> => {
    const kept = books.get(block.hash)
    if (kept) return kept
    const made = makeShared(block)
    books.set(block.hash, made)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    made.catch(() => books.get(block.hash) === made && books.delete(block.hash))
    return made
  }

  return {
    last: () => last,
    // Where a step fell between the request's snapshot and the book's, the request reads its own block on its own snapshot.
    at: async (block, db) => (await shared(block)) ?? make(block, await readMarginInputs(await db(), options, block), performance.now()),
  }
}

function makeBook({ protocol, deployment }: Options, block: Block, { states, rows, gap }: MarginInputs): AccountBook {
  const book: MarginBook | null = gap === null ? protocol.margins.book({ deployment, rows, states, timestampSec: Number(block.timestamp) }) : null
  const gaps = gap === null ? [...(book?.gaps ?? [])] : [gap]
  const healths = new Map<string, Health | null>(states.accounts.map(({ id }) => [id, book?.health(id) ?? null]))
  const unknown = [...healths.values()].filter((health) => health === null).length
  if (unknown > 0) gaps.push(`${unknown} of ${healths.size} accounts with positions have no margin`)
  return {
    blockHash: block.hash,
    gaps,
    markPricesE18: book?.markPricesE18 ?? new Map<string, bigint>(),
    ranked: [...healths].map(([id, health]) => ({ id, marginRatioE18: health?.marginRatioE18 ?? null, positionValueE18: health?.totalAbsPositionValueE18 ?? null })),
    exposed: (id) => healths.get(id),
    depth: (market, moveE6) => book?.depth(market, moveE6) ?? null,
    unexposed: (account, balances) =>
      book?.unexposed(
        { id: account.id, settlementBalance: integer(account.settlementBalance), owedRealizedPnlE18: integer(account.owedRealizedPnlE18) },
        balances.map(({ accountId, assetId, amount }) => ({ accountId, assetId, amount: integer(amount) })),
      ) ?? null,
  }
}
