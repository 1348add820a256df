/** What the margins of all accounts depend on, out of the mirror's rows at one block. */
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
  const status = await db.replayStatus.findUnique({ where: { id: 1 } })
  const checkpoint = await db.checkpoint.findFirst({ where: { blockHash: block.hash } })
  if (status === null) return { states, rows: [], gap: `the mirror has not replayed the facts of ${deployment.network} yet` }
  if (status.version !== protocol.reducer?.version || status.blockNumber !== checkpoint?.blockNumber) return { states, rows: [], gap: `the mirror has replayed the facts up to block ${status.blockNumber} with version ${status.version}, and is to replay them again` }

  const { accountKinds, series } = protocol.margins
  const ids = states.accounts.map(({ id }) => id)
  const rows = rowsOf(await db.$queryRaw<Stored[]>`
    SELECT "id", "kind", "value" FROM "ReplayRow"
    WHERE "kind" NOT IN (${Prisma.join([...accountKinds, ...series.kinds])}) OR ("kind" IN (${Prisma.join([...accountKinds])}) AND split_part("id", ':', 2) = ANY(${ids}))`)
  const sinceSec = protocol.margins.sinceSec(rows, states, Number(block.timestamp))
  const inSeries = rowsOf(await db.$queryRaw<Stored[]>`
    WITH "series" AS MATERIALIZED (
      SELECT "id", "kind", "value", ("value"->>${series.field})::bigint AS "at", left("id", -strpos(reverse("id"), ':')) AS "owner"
      FROM "ReplayRow" WHERE "kind" IN (${Prisma.join([...series.kinds])})
    ), "before" AS (SELECT "owner", max("at") AS "at" FROM "series" WHERE "at" <= ${BigInt(sinceSec)} GROUP BY "owner")
    SELECT "id", "kind", "value" FROM "series" LEFT JOIN "before" USING ("owner") WHERE "series"."at" > ${BigInt(sinceSec)} OR "series"."at" = "before"."at"`)
  return { states, rows: [...rows, ...inSeries], gap: null }
}

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
  const parameters = await db.parameter.findMany({ select: { name: true, subject: true, value: true } })
  return {
    accounts: accounts.map((row) => ({ id: row.id, settlementBalance: toBigInt(row.settlementBalance), owedRealizedPnlE18: toBigInt(row.owedRealizedPnlE18) })),
    positions: positions.map((row) => ({ ...row, rawSizeE18: toBigInt(row.rawSizeE18), openNotionalE18: toBigInt(row.openNotionalE18) })),
    ranges: ranges.map((row) => ({ ...row, liquidity: toBigInt(row.liquidity), baseDebtE18: toBigInt(row.baseDebtE18), quoteDebtE18: toBigInt(row.quoteDebtE18) })),
    balances: balances.map((row) => ({ ...row, amount: toBigInt(row.amount) })),
    assets: await db.collateralAsset.findMany({ select: { id: true, decimals: true } }),
    parameters: parameters.map((row) => ({ ...row, value: toBigInt(row.value) })),
  }
}
