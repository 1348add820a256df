/** What the margins of accounts depend on, out of the mirror's rows at one block: of all of them at once, or kept from block to block by what changed. */
import { Prisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { Deployment, IndexStates, Json, Protocol, ReplayRow } from '../../protocols/adapter.ts'
import { toBigInt } from './read.ts'

type Db = PrismaClient | Prisma.TransactionClient

export type MarginInputs = { readonly states: IndexStates; readonly rows: readonly ReplayRow[]; /** Why there are no rows, in words; null where there are. */ readonly gap: string | null }

export type MarginOptions = {
  readonly protocol: Pick<Protocol, 'margins' | 'reducer'>
  readonly deployment: Deployment
  /** Also accounts that hold collateral beside the settlement token and no position: a debt alone may let it be liquidated. Off where left out. */
  readonly withCollateral?: boolean
}

/** Accounts with positions or ranges. As of one snapshot: `db` must stand on the block. */
export async function readMarginInputs(db: Db, { protocol, deployment, withCollateral = false }: MarginOptions, block: { readonly hash: string; readonly timestamp: bigint }): Promise<MarginInputs> {
  const states = await readStates(db, withCollateral)
  const gap = await gapOf(db, { protocol, deployment }, block)
  if (gap !== null) return { states, rows: [], gap }

  const { accountKinds } = protocol.margins
  const ids = states.accounts.map(({ id }) => id)
  const ofAccounts = rowsOf(await db.$queryRaw<Stored[]>`SELECT "id", "kind", "value" FROM "ReplayRow" WHERE "kind" IN (${Prisma.join([...accountKinds])}) AND split_part("id", ':', 2) = ANY(${ids})`)
  return { states, rows: [...(await readMarketRows(db, protocol, states, block)), ...ofAccounts], gap: null }
}

/** Why the replayed rows are not those of the block, in words; null where they are. */
async function gapOf(db: Db, { protocol, deployment }: Pick<MarginOptions, 'protocol' | 'deployment'>, block: { readonly hash: string }): Promise<string | null> {
  const status = await db.replayStatus.findUnique({ where: { id: 1 } })
  const checkpoint = await db.checkpoint.findFirst({ where: { blockHash: block.hash } })
  if (status === null) return `the mirror has not replayed the facts of ${deployment.network} yet`
  if (status.version !== protocol.reducer?.version || status.blockNumber !== checkpoint?.blockNumber) return `the mirror has replayed the facts up to block ${status.blockNumber} with version ${status.version}, and is to replay them again`
  return null
}

/** Rows that belong to no account. */
async function readMarketRows(db: Db, protocol: MarginOptions['protocol'], states: IndexStates, block: { readonly timestamp: bigint }): Promise<ReplayRow[]> {
  const { accountKinds, series } = protocol.margins
  const rows = rowsOf(await db.$queryRaw<Stored[]>`SELECT "id", "kind", "value" FROM "ReplayRow" WHERE "kind" NOT IN (${Prisma.join([...accountKinds, ...series.kinds])})`)
  const sinceSec = protocol.margins.sinceSec(rows, states, Number(block.timestamp))
  const inSeries = rowsOf(await db.$queryRaw<Stored[]>`
    WITH "series" AS MATERIALIZED (
      SELECT "id", "kind", "value", ("value"->>${series.field})::bigint AS "at", left("id", -strpos(reverse("id"), ':')) AS "owner"
      FROM "ReplayRow" WHERE "kind" IN (${Prisma.join([...series.kinds])})
    ), "before" AS (SELECT "owner", max("at") AS "at" FROM "series" WHERE "at" <= ${BigInt(sinceSec)} GROUP BY "owner")
    SELECT "id", "kind", "value" FROM "series" LEFT JOIN "before" USING ("owner") WHERE "series"."at" > ${BigInt(sinceSec)} OR "series"."at" = "before"."at"`)
  return [...rows, ...inSeries]
}

// ─── From block to block ───────────────────────────────────────────────────────────────────────────────────────────

/** One account with all that its margin depends on beside the markets. */
export type Holding = {
  readonly id: string
  /** It has a position or a range, or what is left of one. */
  readonly exposed: boolean
  readonly liquidationCount: number
  readonly badDebtE18: bigint
  readonly states: Pick<IndexStates, 'accounts' | 'positions' | 'ranges' | 'balances'>
  readonly rows: readonly ReplayRow[]
}

/** What all margins share at a block. */
export type MarketInputs = { readonly states: Pick<IndexStates, 'assets' | 'parameters'>; /** Markets that anybody has a position or a range in, by id. */ readonly held: readonly string[]; readonly rows: readonly ReplayRow[]; readonly gap: string | null }

/** Every account as of a block, by id. `version`: of the rows that it was read from; rows of another are read anew. */
export type Holdings = { readonly block: { readonly number: bigint; readonly hash: string }; readonly version: string; readonly all: readonly Holding[] }

export async function readMarketInputs(db: Db, options: MarginOptions, block: { readonly hash: string; readonly timestamp: bigint }): Promise<MarketInputs> {
  const { assets, parameters } = await readShared(db)
  const gap = await gapOf(db, options, block)
  const held = await db.$queryRaw<{ id: string }[]>`
    SELECT "id" FROM "Market" AS m WHERE EXISTS (SELECT FROM "Position" AS p WHERE p."marketId" = m."id" AND (p."rawSizeE18" <> 0 OR p."openNotionalE18" <> 0))
      OR EXISTS (SELECT FROM "LiquidityRange" AS r WHERE r."marketId" = m."id" AND r."liquidity" <> 0) ORDER BY "id"`
  return { states: { assets, parameters }, held: held.map(({ id }) => id), rows: gap === null ? await readMarketRows(db, options.protocol, { accounts: [], positions: [], ranges: [], balances: [], assets, parameters }, block) : [], gap }
}

/** Accounts read at a time: what one answer of the database holds up the process for. */
const ACCOUNTS_AT_ONCE = 1_000
/** More changed accounts than this are read anew with all the others. */
const MOST_CHANGED = 5_000

/**
 * Every account at the block that `db` stands on. Where `before` is a block that the undo log leads back to, only what
 * changed since is read; the rest is taken over from it.
 */
export async function readHoldings(db: Db, { protocol }: MarginOptions, block: { readonly number: bigint; readonly hash: string }, before: Holdings | null): Promise<Holdings> {
  const [replay, mirror] = [await db.replayStatus.findUnique({ where: { id: 1 } }), await db.mirrorStatus.findUnique({ where: { id: 1 }, select: { rebuildCount: true } })]
  const version = `${replay?.version ?? 'none'}:${mirror?.rebuildCount ?? 0}`
  const changed = before?.version === version ? await changedSince(db, protocol, before.block) : null
  if (before !== null && changed !== null) return { block, version, all: merged(before.all, await readSome(db, protocol, changed)) }

  const all: Holding[] = []
  for (let after = ''; ; ) {
    const page = await readWhere(db, protocol, Prisma.sql`a."id" > ${after}`, ACCOUNTS_AT_ONCE)
    all.push(...page)
    if (page.length < ACCOUNTS_AT_ONCE) return { block, version, all }
    after = page.at(-1)?.id ?? ''
  }
}

/** Addresses of accounts that steps after a checkpoint wrote; null where the undo log does not say, or it is too many. */
async function changedSince(db: Db, protocol: MarginOptions['protocol'], { number, hash }: Holdings['block']): Promise<string[] | null> {
  const steps = await db.checkpoint.findMany({ where: { blockNumber: { gte: number } }, orderBy: { blockNumber: 'asc' }, select: { blockNumber: true, blockHash: true, rowCount: true } })
  if (steps[0]?.blockNumber !== number || steps[0].blockHash !== hash) return null
  const logged = new Set((await db.$queryRaw<{ blockNumber: bigint }[]>`SELECT DISTINCT "blockNumber" FROM "UndoLog" WHERE "blockNumber" > ${number}`).map((row) => row.blockNumber))
  if (steps.slice(1).some(({ blockNumber, rowCount }) => rowCount > 0 && !logged.has(blockNumber))) return null
  // Ids of what accounts have begin with the account's address: 42 characters.
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT DISTINCT CASE WHEN "entity" = 'ReplayRow' THEN split_part("rowId", ':', 2) ELSE left("rowId", 42) END AS "id" FROM "UndoLog"
    WHERE "blockNumber" > ${number} AND ("entity" IN ('Account', 'Position', 'LiquidityRange', 'CollateralBalance') OR ("entity" = 'ReplayRow' AND split_part("rowId", ':', 1) IN (${Prisma.join([...protocol.margins.accountKinds])})))
    LIMIT ${MOST_CHANGED + 1}`
  return rows.length > MOST_CHANGED ? null : rows.map(({ id }) => id)
}

async function readSome(db: Db, protocol: MarginOptions['protocol'], ids: readonly string[]): Promise<Holding[]> {
  const read: Holding[] = []
  for (let i = 0; i < ids.length; i += ACCOUNTS_AT_ONCE) read.push(...(await readWhere(db, protocol, Prisma.sql`a."id" = ANY(${ids.slice(i, i + ACCOUNTS_AT_ONCE)})`, ACCOUNTS_AT_ONCE)))
  return read
}

/** Both by id; of an account in both, the newer. */
function merged(before: readonly Holding[], changed: readonly Holding[]): readonly Holding[] {
  if (changed.length === 0) return before
  const newer = new Map(changed.map((one) => [one.id, one]))
  const all = before.map((one) => {
    const now = newer.get(one.id)
    if (now === undefined) return one
    newer.delete(one.id)
    return now
  })
  return newer.size === 0 ? all : [...all, ...newer.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** What an account has, as the database packs it: a driver that makes objects of a hundred thousand rows takes seconds for it. */
type Packed = { readonly id: string; readonly exposed: boolean; readonly liquidations: number; readonly badDebt: string; readonly settlement: string; readonly owed: string; readonly positions: string | null; readonly ranges: string | null; readonly balances: string | null }

/** Accounts by id that `where` names (of table a). */
async function readWhere(db: Db, protocol: MarginOptions['protocol'], where: Prisma.Sql, take: number): Promise<Holding[]> {
  const accounts = await db.$queryRaw<Packed[]>`
    SELECT a."id", a."openPositionCount" > 0 OR a."openRangeCount" > 0 AS "exposed", a."liquidationCount" AS "liquidations", a."badDebtE18"::text AS "badDebt", a."settlementBalance"::text AS "settlement", a."owedRealizedPnlE18"::text AS "owed",
      (SELECT json_agg(json_build_array(p."marketId", p."rawSizeE18"::text, p."openNotionalE18"::text))::text FROM "Position" AS p WHERE p."accountId" = a."id" AND (p."rawSizeE18" <> 0 OR p."openNotionalE18" <> 0)) AS "positions",
      (SELECT json_agg(json_build_array(r."marketId", r."lowerTick", r."upperTick", r."liquidity"::text, r."baseDebtE18"::text, r."quoteDebtE18"::text))::text FROM "LiquidityRange" AS r WHERE r."accountId" = a."id" AND r."liquidity" <> 0) AS "ranges",
      (SELECT json_agg(json_build_array(b."assetId", b."amount"::text))::text FROM "CollateralBalance" AS b WHERE b."accountId" = a."id" AND b."amount" <> 0) AS "balances"
    FROM "Account" AS a WHERE ${where} ORDER BY a."id" LIMIT ${take}`
  // U+10FFFF is the last character in the order of bytes, which is this column's.
  const [replayed] = await db.$queryRaw<{ rows: string | null }[]>`
    SELECT json_agg(json_build_array(r."id", r."kind", r."value"))::text AS "rows" FROM unnest(${protocol.margins.accountKinds.flatMap((kind) => accounts.map(({ id }) => `${kind}:${id}:`))}::text[]) AS p(prefix)
    JOIN "ReplayRow" AS r ON r."id" >= p.prefix COLLATE "C" AND r."id" <= (p.prefix || chr(1114111)) COLLATE "C"`
  const rowsOfAccount = new Map<string, ReplayRow[]>()
  for (const [id, kind, value] of unpack<[string, string, Json]>(replayed?.rows ?? null)) {
    const key = id.slice(kind.length + 1)
    const account = key.slice(0, key.indexOf(':'))
    const rows = rowsOfAccount.get(account)
    if (rows === undefined) rowsOfAccount.set(account, [{ kind, key, value }])
    else rows.push({ kind, key, value })
  }
  return accounts.map(({ id: accountId, ...row }): Holding => {
    const positions = unpack<[string, string, string]>(row.positions)
    return {
      id: accountId,
      exposed: row.exposed || positions.length > 0,
      liquidationCount: row.liquidations,
      badDebtE18: BigInt(row.badDebt),
      states: {
        accounts: [{ id: accountId, settlementBalance: BigInt(row.settlement), owedRealizedPnlE18: BigInt(row.owed) }],
        positions: positions.map(([marketId, size, notional]) => ({ accountId, marketId, rawSizeE18: BigInt(size), openNotionalE18: BigInt(notional) })),
        ranges: unpack<[string, number, number, string, string, string]>(row.ranges).map(([marketId, lowerTick, upperTick, liquidity, base, quote]) => ({ accountId, marketId, lowerTick, upperTick, liquidity: BigInt(liquidity), baseDebtE18: BigInt(base), quoteDebtE18: BigInt(quote) })),
        balances: unpack<[string, string]>(row.balances).map(([assetId, amount]) => ({ accountId, assetId, amount: BigInt(amount) })),
      },
      rows: rowsOfAccount.get(accountId) ?? [],
    }
  })
}

const unpack = <Row>(packed: string | null): Row[] => (packed === null ? [] : (JSON.parse(packed) as Row[]))

type Stored = { readonly id: string; readonly kind: string; readonly value: Json }
const rowsOf = (stored: readonly Stored[]): ReplayRow[] => stored.map(({ id, kind, value }) => ({ kind, key: id.slice(kind.length + 1), value }))

async function readStates(db: Db, withCollateral: boolean): Promise<IndexStates> {
  const holds = withCollateral ? [{ collateralBalances: { some: { amount: { not: 0 } } } }] : []
  const exposed = { OR: [...holds, { openPositionCount: { gt: 0 } }, { openRangeCount: { gt: 0 } }, { positions: { some: { OR: [{ rawSizeE18: { not: 0 } }, { openNotionalE18: { not: 0 } }] } } }] }
  const accounts = await db.account.findMany({ where: exposed, orderBy: { id: 'asc' }, select: { id: true, settlementBalance: true, owedRealizedPnlE18: true } })
  // By the same condition and not by their ids, of which one statement takes 32,766.
  const ofThem = { account: exposed }
  const positions = await db.position.findMany({ where: ofThem, select: { accountId: true, marketId: true, rawSizeE18: true, openNotionalE18: true } })
  const ranges = await db.liquidityRange.findMany({ where: { ...ofThem, liquidity: { not: 0 } }, select: { accountId: true, marketId: true, lowerTick: true, upperTick: true, liquidity: true, baseDebtE18: true, quoteDebtE18: true } })
  const balances = await db.collateralBalance.findMany({ where: { ...ofThem, amount: { not: 0 } }, select: { accountId: true, assetId: true, amount: true } })
  return {
    ...(await readShared(db)),
    accounts: accounts.map((row) => ({ id: row.id, settlementBalance: toBigInt(row.settlementBalance), owedRealizedPnlE18: toBigInt(row.owedRealizedPnlE18) })),
    positions: positions.map((row) => ({ ...row, rawSizeE18: toBigInt(row.rawSizeE18), openNotionalE18: toBigInt(row.openNotionalE18) })),
    ranges: ranges.map((row) => ({ ...row, liquidity: toBigInt(row.liquidity), baseDebtE18: toBigInt(row.baseDebtE18), quoteDebtE18: toBigInt(row.quoteDebtE18) })),
    balances: balances.map((row) => ({ ...row, amount: toBigInt(row.amount) })),
  }
}

async function readShared(db: Db): Promise<Pick<IndexStates, 'assets' | 'parameters'>> {
  const parameters = await db.parameter.findMany({ select: { name: true, subject: true, value: true } })
  return { assets: await db.collateralAsset.findMany({ select: { id: true, decimals: true } }), parameters: parameters.map((row) => ({ ...row, value: toBigInt(row.value) })) }
}
