/** What one request works with: a snapshot of the database, and loaders over it. */
import DataLoader from 'dataloader'
import { InvariantError } from '../../core/errors.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { Deployment, Protocol } from '../../protocols/adapter.ts'
import type { AccountBook, Health, MarginService, MarketBook } from './margins.ts'
import { groupBy } from './model.ts'
import type { AccountNode, CollateralAssetNode, ContractNode, Db, GovernanceEventNode, MarketNode } from './model.ts'
import type { DaoPolicy, Proposals } from '../../proposals/index.ts'
import type { Role, RoleBook } from '../auth/roles.ts'
import type { Sessions } from '../auth/session.ts'
import { NOBODY } from './caller.ts'
import type { Caller } from './caller.ts'
import type { Rates } from './rates.ts'
import type { RiskBook } from './risk/book.ts'
import type { Risk } from './risk/index.ts'
import type { StatusService } from './status.ts'

export type IndexedBlock = { readonly number: bigint; readonly hash: string; readonly timestamp: bigint }

/** What lives as long as the server. */
export type Services = {
  readonly prisma: PrismaClient
  readonly protocol: Protocol
  readonly deployment: Deployment
  readonly margins: MarginService
  readonly proposals: Proposals
  readonly status: StatusService
  readonly risk: Risk
  /** Who is who, and what the DAO lets them do. */
  readonly auth: { readonly sessions: Sessions; readonly roles: RoleBook; readonly policy: DaoPolicy }
}

/** What is known of one request. `rates`: null where nobody counts. */
export type Asking = { readonly caller: () => Promise<Caller>; readonly rates: Rates | null }
const BY_NOBODY: Asking = { caller: async () => NOBODY, rates: null }

export type Context = Services & {
  readonly rates: Rates | null
  /** Who asks; looked up once, when it is first needed. */
  caller(): Promise<Caller>
  /** What they may do now: none for somebody who has not signed in. */
  roles(): Promise<readonly Role[]>
  /** The database as it stood when this request first asked: all its figures are of one block. */
  db(): Promise<Db>
  close(): Promise<void>
  /** The block that the snapshot stands on; null before the first step. */
  indexed(): Promise<IndexedBlock | null>
  /** Margins at that block; null before the first step. */
  book(): Promise<AccountBook | null>
  /** What the markets alone tell of margins at that block, for which no account is read; null before the first step. */
  prices(): Promise<MarketBook | null>
  /** Inputs of the risk models at that block; null before the first step. */
  riskBook(): Promise<RiskBook | null>
  /** An account's margin at that block; null where it is unknown. */
  healthOf(account: AccountNode): Promise<Health | null>
  markets(): Promise<ReadonlyMap<string, MarketNode>>
  collaterals(): Promise<ReadonlyMap<string, CollateralAssetNode>>
  parameters(): Promise<readonly ParameterRow[]>
  contracts(): Promise<ReadonlyMap<string, ContractNode>>
  /** Events of Safes and timelocks in a transaction, in the order of their logs; the key is `transactionKey`. */
  readonly governanceIn: DataLoader<string, GovernanceEventNode[]>
  readonly accounts: DataLoader<string, AccountRow | null>
  readonly positionsOf: DataLoader<string, PositionRow[]>
  readonly balancesOf: DataLoader<string, BalanceRow[]>
  readonly rangesOf: DataLoader<string, RangeRow[]>
}

type Row<Model extends 'account' | 'position' | 'collateralBalance' | 'liquidityRange' | 'parameter'> = Awaited<ReturnType<PrismaClient[Model]['findFirstOrThrow']>>
type AccountRow = Row<'account'>
type PositionRow = Row<'position'>
type BalanceRow = Row<'collateralBalance'>
type RangeRow = Row<'liquidityRange'>
type ParameterRow = Row<'parameter'>

/** How long a request may hold its snapshot, ms. */
const SNAPSHOT_TIMEOUT_MS = 60_000

export function createContext(services: Services, asking: Asking = BY_NOBODY): Context {
  const { prisma } = services
  const snapshot = openSnapshot(prisma)
  const db = snapshot.db
  const once = <T>(load: () => Promise<T>): (() => Promise<T>) => {
    let loaded: Promise<T> | undefined
    return () => (loaded ??= load())
  }
  const grouped = <R extends { accountId: string }>(load: (db: Db, ids: string[]) => Promise<R[]>) =>
    new DataLoader<string, R[]>(async (ids) => {
      const rows = groupBy(await load(await db(), [...ids]), (row) => row.accountId)
      return ids.map((id) => rows.get(id) ?? [])
    })
  const indexed = once(async () => {
    const last = await (await db()).checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })
    return last && { number: last.blockNumber, hash: last.blockHash, timestamp: last.blockTimestamp }
  })
  const book = once(async () => {
    const block = await indexed()
    return block && (await services.margins.at(block, db))
  })
  const prices = once(async () => {
    const block = await indexed()
    return block && (await services.margins.marketsAt(block, db))
  })
  const riskBook = once(async () => {
    const block = await indexed()
    return block && (await services.risk.books.at(block, db))
  })
  const caller = once(asking.caller)
  const balancesOf = grouped((tx, ids) => tx.collateralBalance.findMany({ where: { accountId: { in: ids }, amount: { not: 0 } }, orderBy: { id: 'asc' } }))
  return {
    ...services,
    rates: asking.rates,
    caller,
    roles: once(async () => {
      const { viewer } = await caller()
      return viewer === null ? [] : await services.auth.roles.rolesOf(viewer.address)
    }),
    db,
    close: snapshot.close,
    indexed,
    book,
    prices,
    riskBook,
    healthOf: async (account) => {
      const made = await book()
      if (made === null) return null
      const health = made.exposed(account.id)
      return health === undefined ? made.unexposed(account, await balancesOf.load(account.id)) : health
    },
    markets: once(async () => byId(await (await db()).market.findMany({ include: { feed: true }, orderBy: [{ createdAtBlock: 'asc' }, { id: 'asc' }] }))),
    collaterals: once(async () => byId(await (await db()).collateralAsset.findMany({ include: { feed: true }, orderBy: { id: 'asc' } }))),
    parameters: once(async () => (await db()).parameter.findMany({ orderBy: [{ scope: 'asc' }, { subject: 'asc' }, { name: 'asc' }] })),
    contracts: once(async () => byId(await (await db()).contract.findMany({ orderBy: [{ name: 'asc' }, { id: 'asc' }] }))),
    governanceIn: new DataLoader<string, GovernanceEventNode[]>(async (keys) => {
      // By block first: that has an index.
      const blocks = [...new Set(keys.map((key) => BigInt(key.split(':')[0] ?? '0')))]
      const events = await (await db()).governanceEvent.findMany({ where: { blockNumber: { in: blocks } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }, { id: 'asc' }] })
      const grouped = groupBy(events, transactionKey)
      return keys.map((key) => grouped.get(key) ?? [])
    }),
    accounts: new DataLoader(async (ids) => {
      const rows = byId(await (await db()).account.findMany({ where: { id: { in: [...ids] } } }))
      return ids.map((id) => rows.get(id) ?? null)
    }),
    positionsOf: grouped((tx, ids) => tx.position.findMany({ where: { accountId: { in: ids }, sizeE18: { not: 0 } }, orderBy: { id: 'asc' } })),
    balancesOf,
    rangesOf: grouped((tx, ids) => tx.liquidityRange.findMany({ where: { accountId: { in: ids }, liquidity: { not: 0 } }, orderBy: { id: 'asc' } })),
  }
}

/** `block:transaction` of a fact. */
export const transactionKey = ({ blockNumber, transactionHash }: { blockNumber: bigint; transactionHash: string }): string => `${blockNumber}:${transactionHash}`

const byId = <R extends { id: string }>(rows: readonly R[]): ReadonlyMap<string, R> => new Map(rows.map((row) => [row.id, row]))

/**
 * A repeatable-read transaction that opens at the first `db()` and ends with `close()`: the mirror's steps do not show within it.
 * A close before the transaction has begun ends it as soon as it begins; after a close, nothing opens any more.
 */
function openSnapshot(prisma: PrismaClient): { db: () => Promise<Db>; close: () => Promise<void> } {
  let opened: Promise<Db> | undefined
  let transaction: Promise<unknown> = Promise.resolve()
  let closed = false
  let release = (): void => {}
  const released = new Promise<void>((end) => (release = end))
  return {
    db: async () => {
      if (closed && opened === undefined) throw new InvariantError('Found a read after the answer went out, allowed is one before; await every read within its resolver')
      opened ??= new Promise<Db>((resolve, reject) => {
        const hold = async (tx: Db) => {
          resolve(tx)
          await released
        }
        transaction = prisma.$transaction(hold, { isolationLevel: 'RepeatableRead', maxWait: 5000, timeout: SNAPSHOT_TIMEOUT_MS }).catch(reject)
      })
      return opened
    },
    close: async () => {
      closed = true
      release()
      await transaction
    },
  }
}
