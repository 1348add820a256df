/**
 * The margin of every account at one indexed block: indexed facts, with prices, pending funding and pending fees read
 * from the contracts at that same block. Made once per block and kept while that block is served.
 */
import type { PrismaClient } from '../../prisma/client.ts'
import { BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { mulDiv } from '../../core/units.ts'
import type { Address, Deployment, ParameterCatalog } from '../../protocols/adapter.ts'
import { accountHealth } from '../../protocols/curie/margin.ts'
import type { AccountFacts, AccountHealth, MarginParams } from '../../protocols/curie/margin.ts'
import { all, each, pendingReads, priceReads } from '../../protocols/curie/read.ts'
import type { MarketPrices } from '../../protocols/curie/read.ts'
import { readAtCheckpoint } from '../mirror/read.ts'
import type { Chain } from './chain.ts'
import { firstLine, readParameter } from './chain.ts'
import { groupBy, integer } from './model.ts'
import type { AccountNode, CollateralAssetNode, CollateralBalanceNode, Db } from './model.ts'

export type Health = AccountHealth & {
  /** Total debt value · imRatio, E18, rounded down: what Vault._getFreeCollateralByRatio takes off for the initial margin. */
  readonly initialMarginE18: bigint
}

/** An account with open positions or ranges; nulls where its margin is unknown. */
export type RankedAccount = { readonly id: string; readonly marginRatioE18: bigint | null; readonly positionValueE18: bigint | null }

export type AccountBook = {
  readonly blockHash: string
  /** By market id, E18; a market whose price cannot be read is not in it. */
  readonly markPricesE18: ReadonlyMap<string, bigint>
  readonly ranked: readonly RankedAccount[]
  /** Why something is unknown, in words; empty where nothing is. */
  readonly gaps: readonly string[]
  /** null where it is unknown; undefined for an account without open positions or ranges. */
  exposed(id: string): Health | null | undefined
  /** Margin of an account without open positions or ranges: its collateral alone. null where a price is unknown. */
  unexposed(account: AccountNode, balances: readonly CollateralBalanceNode[]): Health | null
}

export type MarginService = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: { readonly hash: string }, db: () => Promise<Db>): Promise<AccountBook>
  /** What the last book says of itself, for the status; null before the first. */
  last(): { readonly gaps: readonly string[]; readonly accounts: number } | null
}

/** Books kept: requests that began before a step still ask for the block before. */
const KEPT = 3
/** A book with gaps is made again after this, ms: the chain may be back. */
const RETRY_MS = 4000

/**
 * Requests for one block share its book, and it is read on a snapshot of its own: no request that ends early takes it from
 * the others. `prisma` needs a pool of its own, because the requests that wait for a book hold connections meanwhile.
 */
export function createMargins({ prisma, chain, deployment, catalog, log }: { prisma: PrismaClient; chain: Chain; deployment: Deployment; catalog: ParameterCatalog; log: Logger }): MarginService {
  const books = new Map<string, { made: Promise<AccountBook | null>; until: number }>()
  let last: { gaps: readonly string[]; accounts: number } | null = null

  const make = async (hash: string, rows: Rows): Promise<AccountBook> => {
    const started = performance.now()
    const book = await makeBook({ chain, deployment, catalog, hash, rows })
    if (book.gaps.length > 0 && last?.gaps.join() !== book.gaps.join()) log.warn({ block: hash, gaps: book.gaps }, 'some margins are unknown')
    log.debug({ block: hash, accounts: book.ranked.length, ms: Math.round(performance.now() - started) }, 'margins computed')
    last = { gaps: book.gaps, accounts: book.ranked.length }
    return book
  }

  /** null where the mirror stands on another block already. */
  const makeShared = async (hash: string): Promise<AccountBook | null> => {
    const rows = await readAtCheckpoint(prisma, async (tx, block) => (block?.hash === hash ? readRows(tx) : null))
    return rows && make(hash, rows)
  }

  const shared = (hash: string): Promise<AccountBook | null> => {
    const kept = books.get(hash)
    if (kept && Date.now() < kept.until) return kept.made
    const entry = { made: makeShared(hash), until: Infinity }
    books.set(hash, entry)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    entry.made.then(
      (book) => {
        if (book !== null && book.gaps.length > 0) entry.until = Date.now() + RETRY_MS
      },
      () => books.get(hash) === entry && books.delete(hash),
    )
    return entry.made
  }

  return {
    last: () => last,
    // Where a step fell between the request's snapshot and the book's, the request reads its own block on its own snapshot.
    at: async ({ hash }, db) => (await shared(hash)) ?? (await make(hash, await readRows(await db()))),
  }
}

type Rows = Awaited<ReturnType<typeof readRows>>

/** What the margins depend on, as of one snapshot. */
async function readRows(db: Db) {
  const accounts = await db.account.findMany({ where: { OR: [{ openPositionCount: { gt: 0 } }, { openRangeCount: { gt: 0 } }] }, orderBy: { id: 'asc' } })
  const ofThem = { accountId: { in: accounts.map((account) => account.id) } }
  return {
    accounts,
    positions: await db.position.findMany({ where: ofThem }),
    ranges: await db.liquidityRange.findMany({ where: { ...ofThem, liquidity: { not: 0 } } }),
    balances: await db.collateralBalance.findMany({ where: { ...ofThem, amount: { not: 0 } } }),
    assets: await db.collateralAsset.findMany({ include: { feed: true } }),
    parameters: await db.parameter.findMany(),
  }
}

type BookOptions = { readonly chain: Chain; readonly deployment: Deployment; readonly catalog: ParameterCatalog; readonly hash: string; readonly rows: Rows }

async function makeBook(options: BookOptions): Promise<AccountBook> {
  const { chain, deployment, hash, rows: { accounts, parameters, ...rows } } = options
  const ids = accounts.map((account) => account.id)
  const positions = groupBy(rows.positions, (row) => row.accountId)
  const ranges = groupBy(rows.ranges, (row) => row.accountId)
  const balances = groupBy(rows.balances, (row) => row.accountId)
  const assets = new Map(rows.assets.map((row) => [row.id, row]))

  const gaps: string[] = []
  const reads = all({
    prices: priceReads(deployment, { indexIntervalSec: 0 }),
    pending: each(ids as Address[], (id) => pendingReads(deployment, id)),
  })
  let answered: ReturnType<typeof reads.decode> | null = null
  let params: Params | null = null
  try {
    const [answers, values] = await Promise.all([chain.callAll(reads.calls, hash), paramsOf(options, parameters)])
    answered = reads.decode(answers)
    params = values
  } catch (error) {
    gaps.push(error instanceof BulwarkError ? error.message : `the chain did not answer (${firstLine(error)})`)
  }

  // The deployment's addresses carry checksums, the index's do not.
  const lowered = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> => new Map([...map].map(([key, value]) => [key.toLowerCase(), value]))
  const markets: ReadonlyMap<string, MarketPrices> = answered ? lowered(answered.prices.markets) : new Map()
  const collateralPrices = answered ? lowered(answered.prices.collaterals) : new Map()
  const symbolOf = (id: string) => deployment.markets.find((market) => market.baseToken.toLowerCase() === id)?.symbol ?? id
  if (answered) {
    for (const [id, prices] of markets) if (prices.markPriceE18 === null) gaps.push(`the mark price of ${symbolOf(id)} cannot be read`)
    for (const [id, price] of collateralPrices) if (price === null) gaps.push(`the price of ${assets.get(id)?.symbol ?? id} cannot be read`)
  }

  const collateralFacts = (owned: readonly CollateralBalanceNode[]): AccountFacts['collaterals'] | null => {
    const found = owned.map((row) => {
      const asset: CollateralAssetNode | undefined = assets.get(row.assetId)
      const price = collateralPrices.get(row.assetId)
      const collateralRatioE6 = params?.collateralRatioE6.get(row.assetId)
      if (!asset || price == null || collateralRatioE6 === undefined) return null
      return { token: row.assetId as Address, amount: integer(row.amount), decimals: asset.decimals, priceE18: price.priceE18, collateralRatioE6 }
    })
    return found.some((one) => one === null) ? null : (found as AccountFacts['collaterals'][number][])
  }

  const healthOf = (account: AccountNode, parts: Pick<AccountFacts, 'positions' | 'pendingFundingE18' | 'pendingFeeE18'> | null, rows: readonly CollateralBalanceNode[]): Health | null => {
    const collaterals = collateralFacts(rows)
    if (params === null || parts === null || collaterals === null) return null
    const health = accountHealth({ settlementBalance: integer(account.settlementBalance), owedRealizedPnlE18: integer(account.owedRealizedPnlE18), collaterals, ...parts }, params.of(account.id))
    return { ...health, initialMarginE18: mulDiv(health.totalDebtValueE18, params.of(account.id).imRatioE6, 1_000_000n) }
  }

  const partsOf = (account: AccountNode): Pick<AccountFacts, 'positions' | 'pendingFundingE18' | 'pendingFeeE18'> | null => {
    const pending = answered?.pending.get(account.id as Address)
    if (!pending || pending.pendingFundingE18 === null) return null
    const taken = positions.get(account.id) ?? []
    const placed = groupBy(ranges.get(account.id) ?? [], (row) => row.marketId)
    const marketIds = new Set([...taken.filter((row) => !row.rawSizeE18.isZero() || !row.openNotionalE18.isZero()).map((row) => row.marketId), ...placed.keys()])
    const found: AccountFacts['positions'][number][] = []
    for (const marketId of marketIds) {
      const prices = markets.get(marketId)
      const row = taken.find((one) => one.marketId === marketId)
      if (!prices || prices.markPriceE18 === null || prices.state === null) return null
      found.push({
        market: marketId as Address,
        sizeE18: row ? integer(row.rawSizeE18) : 0n,
        openNotionalE18: row ? integer(row.openNotionalE18) : 0n,
        markPriceE18: prices.markPriceE18,
        indexPriceE18: prices.indexPriceE18,
        state: prices.state,
        sqrtPriceX96: prices.sqrtPriceX96,
        ranges: (placed.get(marketId) ?? []).map((range) => ({ lowerTick: range.lowerTick, upperTick: range.upperTick, liquidity: integer(range.liquidity), baseDebtE18: integer(range.baseDebtE18), quoteDebtE18: integer(range.quoteDebtE18) })),
      })
    }
    return { positions: found, pendingFundingE18: pending.pendingFundingE18, pendingFeeE18: pending.pendingFeeE18 }
  }

  const healths = new Map<string, Health | null>()
  for (const account of accounts) healths.set(account.id, healthOf(account, partsOf(account), balances.get(account.id) ?? []))
  const unknown = [...healths.values()].filter((health) => health === null).length
  if (unknown > 0) gaps.push(`${unknown} of ${accounts.length} accounts with positions have no margin`)

  return {
    blockHash: hash,
    gaps,
    markPricesE18: new Map([...markets].flatMap(([id, { markPriceE18 }]) => (markPriceE18 === null ? [] : [[id, markPriceE18] as const]))),
    ranked: [...healths].map(([id, health]) => ({ id, marginRatioE18: health?.marginRatioE18 ?? null, positionValueE18: health?.totalAbsPositionValueE18 ?? null })),
    exposed: (id) => healths.get(id),
    unexposed: (account, rows) => healthOf(account, { positions: [], pendingFundingE18: 0n, pendingFeeE18: 0n }, rows),
  }
}

type Params = { readonly collateralRatioE6: ReadonlyMap<string, bigint>; of(account: string): MarginParams }
type ParameterRow = Awaited<ReturnType<Db['parameter']['findFirstOrThrow']>>

const MARGIN_PARAMETERS = { imRatioE6: 'imRatio', mmRatioE6: 'mmRatio', mmRatioBufferE6: 'mmRatioBuffer', debtNonSettlementTokenValueRatioE6: 'debtNonSettlementTokenValueRatio', debtThreshold: 'debtThreshold' } as const
const COLLATERAL_RATIO = 'collateralRatio'
const ACCOUNT_THRESHOLD = 'whitelistedDebtThreshold'

/** What margin depends on, out of the index, and by their getters where no event has announced them. Throws UnavailableError. */
async function paramsOf({ chain, deployment, catalog, hash }: Pick<BookOptions, 'chain' | 'deployment' | 'catalog' | 'hash'>, rows: readonly ParameterRow[]): Promise<Params> {
  const indexed = new Map(rows.map((row) => [`${row.name}:${row.subject}`, integer(row.value)]))
  const refs = catalog.refs(deployment)
  const valuesOf = (name: string): Promise<(readonly [subject: string, value: bigint])[]> =>
    Promise.all(
      refs.filter((ref) => ref.name === name).map(async (ref) => {
        const subject = ref.subject.toLowerCase()
        return [subject, indexed.get(`${name}:${subject}`) ?? (await readParameter(chain, catalog, deployment, ref, hash))] as const
      }),
    )
  const names = Object.entries(MARGIN_PARAMETERS)
  const values = await Promise.all(names.map(async ([key, name]) => [key, (await valuesOf(name))[0]?.[1] ?? 0n] as const))
  const base = { settlementDecimals: deployment.settlementToken.decimals, ...(Object.fromEntries(values) as Record<keyof typeof MARGIN_PARAMETERS, bigint>) }
  const ownThreshold = new Map(rows.filter((row) => row.name === ACCOUNT_THRESHOLD).map((row) => [row.subject, integer(row.value)]))
  return {
    collateralRatioE6: new Map(await valuesOf(COLLATERAL_RATIO)),
    // An account's own threshold of 0 means that it has none.
    of: (account) => ({ ...base, debtThreshold: ownThreshold.get(account) || base.debtThreshold }),
  }
}
