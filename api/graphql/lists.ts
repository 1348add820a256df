/** The lists of the API as page sources: facts newest first, states by id, accounts by their margin. */
import type { Prisma } from '../../prisma/client.ts'
import type { Context } from './context.ts'
import type { AccountBook, RankedAccount } from './margins.ts'
import type { AccountNode, Db } from './model.ts'
import type { PageSource } from './paging.ts'

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

function olderThan([block = '0', log = '0', id = '']: readonly string[]): object {
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

/** Accounts without an open position or range have no margin to rank. */
const UNEXPOSED: Prisma.AccountWhereInput = { openPositionCount: 0, openRangeCount: 0 }

/**
 * Accounts in three groups: with a known rank, in its order; exposed with an unknown margin; not exposed. The last two by id.
 * The first two stand in the book, which is in memory; the third is read from the database.
 */
export function accounts(context: Context, order: 'MARGIN_RATIO' | 'POSITION_VALUE' | 'ID'): PageSource<AccountNode> {
  const list = `accounts by ${order}`
  const total = async () => (await context.db()).account.count()
  const byId = async (where: Prisma.AccountWhereInput, after: string | null, take: number) =>
    (await context.db()).account.findMany({ where: after === null ? where : { AND: [where, { id: { gt: after } }] }, orderBy: { id: 'asc' }, take })
  if (order === 'ID') return { list, parts: ['text'], key: (row) => [row.id], total, rows: (key, take) => byId({}, key?.[0] ?? null, take) }

  const places = new Map<string, readonly string[]>()
  return {
    list,
    parts: ['integer', 'integer', 'text'],
    total,
    key: (row) => places.get(row.id) ?? ['2', '0', row.id],
    rows: async (key, take) => {
      const ranked = rank(await context.book(), order)
      const start = key === null ? 0 : key[0] === '2' ? ranked.length : ranked.findIndex((one) => compare(one.place, key) > 0)
      const slice = start < 0 ? [] : ranked.slice(start, start + take)
      for (const one of slice) places.set(one.id, one.place)
      const rows = (await context.accounts.loadMany(slice.map((one) => one.id))).filter((row): row is AccountNode => row !== null && !(row instanceof Error))
      if (slice.length >= take) return rows
      const rest = await byId(UNEXPOSED, key !== null && key[0] === '2' ? (key[2] ?? '') : null, take - slice.length)
      return [...rows, ...rest]
    },
  }
}

/** [group, rank as an integer, id] */
type Place = readonly [group: '0' | '1', rank: string, id: string]

function rank(book: AccountBook | null, order: 'MARGIN_RATIO' | 'POSITION_VALUE'): readonly { id: string; place: Place }[] {
  // Lowest ratio first; largest value first.
  const valueOf = (one: RankedAccount) => (order === 'MARGIN_RATIO' ? one.marginRatioE18 : one.positionValueE18 === null ? null : -one.positionValueE18)
  return [...(book?.ranked ?? [])]
    .map((one) => {
      const value = valueOf(one)
      return { id: one.id, place: (value === null ? ['1', '0', one.id] : ['0', value.toString(), one.id]) as Place }
    })
    .toSorted((a, b) => compare(a.place, b.place))
}

function compare(a: readonly string[], b: readonly string[]): number {
  const [groupA = '', rankA = '0', idA = ''] = a
  const [groupB = '', rankB = '0', idB = ''] = b
  if (groupA !== groupB) return groupA < groupB ? -1 : 1
  const [x, y] = [BigInt(rankA), BigInt(rankB)]
  if (x !== y) return x < y ? -1 : 1
  return idA < idB ? -1 : idA > idB ? 1 : 0
}
