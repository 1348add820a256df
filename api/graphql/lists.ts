/** The lists of the API as page sources: facts newest first, states by id, accounts by their margin. */
import type { Prisma } from '../../prisma/client.ts'
import { BadInputError } from '../../core/errors.ts'
import type { Context } from './context.ts'
import type { AccountFilterInput } from './generated/resolvers.ts'
import { marketId } from './lookup.ts'
import type { AccountBook, Health, Holding } from './margins.ts'
import type { AccountNode, Db, RecommendationNode } from './model.ts'
import type { PageSource } from './paging.ts'
import { isDescending, placeOf, type AccountFilter, type AccountOrder, type Direction, type Standings } from './standings.ts'

/** A fact's place on the chain. */
type Fact = { readonly id: string; readonly blockNumber: bigint; readonly logIndex: number }

type FactTable = 'liquidation' | 'collateralLiquidation' | 'insuranceFundFlow' | 'parameterChange' | 'priceUpdate' | 'oracleSourceChange' | 'contractUpgrade' | 'ownershipChange' | 'governanceEvent'
type FactRow<Table extends FactTable> = Awaited<ReturnType<Db[Table]['findFirstOrThrow']>>

/** Facts that match, newest first. */
export function facts<Table extends FactTable>(context: Context, table: Table, where: object): PageSource<FactRow<Table>> {
  // Prisma's delegates share these two calls, but not a type that says so.
  type Delegate = { findMany(query: object): Promise<FactRow<Table>[]>; count(query: object): Promise<number> }
  const delegate = async () => (await context.db())[table] as unknown as Delegate
  return {
    list: `${table}s, newest first`,
    parts: ['int64', 'int32', 'text'],
    key: (row) => [(row as Fact).blockNumber.toString(), String((row as Fact).logIndex), row.id],
    rows: async (key, take) =>
      (await delegate()).findMany({ where: key === null ? where : { AND: [where, olderThan(key)] }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }, { id: 'desc' }], take }),
    total: async () => (await delegate()).count({ where }),
  }
}

export function olderThan([block = '0', log = '0', id = '']: readonly string[]): object {
  const blockNumber = BigInt(block)
  const logIndex = Number(log)
  return { blockNumber: { lte: blockNumber }, OR: [{ blockNumber: { lt: blockNumber } }, { logIndex: { lt: logIndex } }, { logIndex, id: { lt: id } }] }
}

type StatsTable = 'marketStats' | 'priceStats' | 'fundStats'
type StatsRow<Table extends StatsTable> = Awaited<ReturnType<Db[Table]['findFirstOrThrow']>>

/** Buckets of one subject and one length, newest first. */
export function stats<Table extends StatsTable>(context: Context, table: Table, interval: 'HOUR' | 'DAY', of: object): PageSource<StatsRow<Table>> {
  type Delegate = { findMany(query: object): Promise<StatsRow<Table>[]>; count(query: object): Promise<number> }
  const delegate = async () => (await context.db())[table] as unknown as Delegate
  const where = { ...of, interval: interval.toLowerCase() }
  return {
    list: `${table} by ${interval}, newest first`,
    parts: ['int64'],
    key: (row) => [row.timestamp.toString()],
    rows: async (key, take) => (await delegate()).findMany({ where: key === null ? where : { ...where, timestamp: { lt: BigInt(key[0] ?? '0') } }, orderBy: { timestamp: 'desc' }, take }),
    total: async () => (await delegate()).count({ where }),
  }
}

/** Open positions by id. */
export function openPositions(context: Context, marketId: string | null): PageSource<Awaited<ReturnType<Db['position']['findFirstOrThrow']>>> {
  const where: Prisma.PositionWhereInput = { sizeE18: { not: 0 }, ...(marketId === null ? {} : { marketId }) }
  return {
    list: 'open positions',
    parts: ['text'],
    key: (row) => [row.id],
    rows: async (key, take) => (await context.db()).position.findMany({ where: key === null ? where : { AND: [where, { id: { gt: key[0] ?? '' } }] }, orderBy: { id: 'asc' }, take }),
    total: async () => (await context.db()).position.count({ where }),
  }
}

/** What the runs that are kept say of one parameter, newest first. */
export function recommendationsOf(context: Context, { name, subject }: { readonly name: string; readonly subject: string }) {
  const where = async (): Promise<Prisma.RecommendationWhereInput> => ({ parameter: name, subject, run: { blockNumber: { lte: (await context.indexed())?.number ?? -1n } } })
  return {
    list: 'recommendations, newest first',
    parts: ['int64', 'text'],
    key: (row) => [row.run.blockNumber.toString(), row.id],
    rows: async (key, take) => {
      const block = key === null ? null : BigInt(key[0] ?? '0')
      const after: Prisma.RecommendationWhereInput = block === null ? {} : { OR: [{ run: { blockNumber: { lt: block } } }, { run: { blockNumber: block }, id: { lt: key?.[1] ?? '' } }] }
      return (await context.db()).recommendation.findMany({ where: { AND: [await where(), after] }, omit: { inputs: true }, include: { run: { omit: { inputs: true } } }, orderBy: [{ run: { blockNumber: 'desc' } }, { id: 'desc' }], take })
    },
    total: async () => (await context.db()).recommendation.count({ where: await where() }),
  } satisfies PageSource<RecommendationNode>
}

/** Proposals, newest first. */
export function proposals(context: Context, where: Prisma.ProposalWhereInput) {
  return {
    list: 'proposals, newest first',
    parts: ['int64', 'text'],
    key: (row) => [row.draftedAtTimestamp.toString(), row.id],
    rows: async (key, take) => {
      const before = key === null ? null : BigInt(key[0] ?? '0')
      const after: Prisma.ProposalWhereInput = before === null ? {} : { draftedAtTimestamp: { lte: before }, OR: [{ draftedAtTimestamp: { lt: before } }, { id: { lt: key?.[1] ?? '' } }] }
      return (await context.db()).proposal.findMany({ where: { AND: [where, after] }, include: PROPOSAL_PARTS, orderBy: [{ draftedAtTimestamp: 'desc' }, { id: 'desc' }], take })
    },
    total: async () => (await context.db()).proposal.count({ where }),
  } satisfies PageSource<Prisma.ProposalGetPayload<{ include: typeof PROPOSAL_PARTS }>>
}

export const PROPOSAL_PARTS = { signatures: { orderBy: { signer: 'asc' } }, events: { orderBy: { id: 'asc' } } } as const satisfies Prisma.ProposalInclude

export type AccountListArgs = { readonly orderBy?: AccountOrder | null | undefined; readonly direction?: Direction; readonly filter?: AccountFilterInput | null | undefined }

/**
 * Accounts in three groups: with a known figure, in its order; exposed with an unknown one; those that have none. The last two by id.
 * All but the plain order of ids stand in the book, which is in memory.
 */
export async function accounts(context: Context, args: AccountListArgs): Promise<PageSource<AccountNode>> {
  const { direction } = args
  const order = args.orderBy ?? 'MARGIN_RATIO'
  const filter = await accountFilter(context, args.filter)
  const descending = isDescending(order, direction)
  const list = `accounts by ${order}${descending === isDescending(order, null) ? '' : descending ? ' DESC' : ' ASC'}`
  if (order === 'ID' && Object.keys(filter).length === 0) {
    const rows = async (key: readonly string[] | null, take: number) =>
      (await context.db()).account.findMany({ where: key === null ? {} : { id: descending ? { lt: key[0] ?? '' } : { gt: key[0] ?? '' } }, orderBy: { id: descending ? 'desc' : 'asc' }, take })
    return { list, parts: ['text'], key: (row) => [row.id], total: async () => (await context.db()).account.count(), rows }
  }

  const standings = async () => (await context.book())?.standings()
  const places = new Map<string, readonly string[]>()
  // A cursor of ids is the id alone, whoever made it.
  const placeIn = (key: readonly string[]): readonly string[] => (order === 'ID' ? ['0', '0', key[0] ?? ''] : key)
  return {
    list,
    parts: order === 'ID' ? ['text'] : ['integer', 'integer', 'text'],
    total: async () => (await standings())?.list(order, direction, filter).length ?? (await context.db()).account.count(),
    key: (row) => places.get(row.id) ?? [row.id],
    rows: async (key, take) => {
      const [book, made] = [await context.book(), await standings()]
      if (book === null || made === undefined) return []
      const all = made.list(order, direction, filter)
      const start = key === null ? 0 : made.after(all, order, direction, placeIn(key))
      const ids = idsOf(made, all, start, take)
      const healths = book.healths(ids)
      for (const [i, id] of ids.entries()) {
        const holding = book.holding(id)
        const place = holding && placeOf(order, direction, holding, healths[i] ?? null)
        if (place !== undefined) places.set(id, order === 'ID' ? [id] : place)
      }
      return (await context.accounts.loadMany(ids)).filter((row): row is AccountNode => row !== null && !(row instanceof Error))
    },
  }
}

const idsOf = (standings: Standings, list: Uint32Array, offset: number, take: number): string[] => [...list.subarray(offset, offset + take)].map((place) => standings.ids[place] as string)

/** What stands in the filter of a query, with its names looked up. Throws BadInputError. */
async function accountFilter(context: Context, input: AccountFilterInput | null | undefined): Promise<AccountFilter> {
  if (input == null) return {}
  const { address, market, side, collateral, tiers, liquidatable, withPositions, minPositionValue, unknownMargin } = input
  const prefix = address?.trim().toLowerCase()
  if (prefix != null && !/^0x[0-9a-f]{0,40}$/.test(prefix)) throw new BadInputError(`Found "${prefix.slice(0, 60)}" for the beginning of an address, allowed is 0x and up to 40 hexadecimal digits; correct it`, { field: 'filter.address', found: prefix.slice(0, 60) })
  if (minPositionValue != null && !(minPositionValue >= 0 && minPositionValue <= 1e18)) throw new BadInputError(`Found minPositionValue: ${minPositionValue}, allowed is 0 to 1e18, in quote; choose one in that range`, { field: 'filter.minPositionValue' })
  if (tiers?.length === 0) throw new BadInputError('Found no tier in `tiers`, allowed is at least one; leave `tiers` out for accounts of every tier', { field: 'filter.tiers' })
  const assets = collateral == null ? [] : [...(await context.collaterals()).values()]
  const asset = assets.find(({ id, symbol }) => id === collateral?.toLowerCase() || symbol.toLowerCase() === collateral?.toLowerCase())
  if (collateral != null && asset === undefined) throw new BadInputError(`Found collateral "${collateral.slice(0, 60)}", allowed are ${assets.map(({ symbol }) => symbol).join(', ') || 'none yet'} and their addresses; take one of these`, { field: 'filter.collateral', found: collateral.slice(0, 60) })
  const marketFound = await marketId(context, market, 'filter.market')
  return {
    ...(prefix == null || prefix === '0x' ? {} : { prefix }),
    ...(marketFound === null ? {} : { market: marketFound }),
    ...(side == null ? {} : { side }),
    ...(asset === undefined ? {} : { collateral: asset.id }),
    ...(tiers == null ? {} : { tiers: [...tiers] }),
    ...(liquidatable == null ? {} : { liquidatable }),
    ...(withPositions == null ? {} : { withPositions }),
    ...(minPositionValue == null || minPositionValue === 0 ? {} : { minPositionValue }),
    ...(unknownMargin == null ? {} : { unknown: unknownMargin }),
  }
}

/** An account as a table shows it: all of it out of one book. */
export type AccountRowNode = { readonly holding: Holding; readonly health: Health | null }

/** The whole list at one block: the newest, or one that is still kept. null before the first step. */
export async function tableOf(context: Context, args: AccountListArgs & { readonly block?: string | null | undefined }): Promise<{ readonly book: AccountBook; readonly count: number; rows(offset: number, take: number): readonly AccountRowNode[] } | null> {
  const filter = await accountFilter(context, args.filter)
  const book = args.block == null ? await context.book() : await context.margins.kept(args.block.toLowerCase())
  if (book === null) return null
  const standings = await book.standings()
  const list = standings.list(args.orderBy ?? 'MARGIN_RATIO', args.direction, filter)
  return {
    book,
    count: list.length,
    rows: (offset, take) => {
      const ids = idsOf(standings, list, offset, take)
      const healths = book.healths(ids)
      return ids.flatMap((id, i) => {
        const holding = book.holding(id)
        return holding === undefined ? [] : [{ holding, health: healths[i] ?? null }]
      })
    },
  }
}
