/**
 * A book of many accounts over the small one of `support.ts`, written by the database itself: no chain, and no client's rows.
 * Every figure of an account follows from its number alone, so that two fillings are the same.
 */
import type { PrismaClient } from '../../prisma/client.ts'
import { deployment } from './support.ts'

export type LargeBook = {
  readonly accounts: number
  /** With a position. */
  readonly exposed: number
}

/** First of the numbers that the accounts are made of. */
const FROM = 1_000
/** Prices that `seed` marks the markets and WETH at, USD. */
const MARKS = [1_800, 1_000, 1_000] as const
const WETH = 1_500

/**
 * Of ten accounts nine hold a position (worth 100 to 1,000,000 USD, log-uniform, at 0.5 to 18 times its account's value, most of them low), two
 * another one in the next market, one WETH. One of a hundred was liquidated before. Call it after `seed`.
 */
export async function seedLargeBook(prisma: PrismaClient, accounts: number): Promise<LargeBook> {
  return await prisma.$transaction(async (tx) => {
    const run = (text: string, ...values: unknown[]) => tx.$executeRawUnsafe(text, ...values)
    const [protocol, weth] = [deployment.contracts.clearingHouse.toLowerCase(), deployment.collaterals[0]!.token.toLowerCase()]
    const markets = deployment.markets.map(({ baseToken }) => baseToken.toLowerCase())
    // A share of 0 to 1 out of a number and a letter.
    await run(`CREATE FUNCTION pg_temp.share(n int, of text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT (('x' || left(md5(n || of), 7))::bit(28)::int)::numeric / 268435455 $$`)
    await run(
      `CREATE TEMP TABLE one AS
       SELECT n, '0x' || md5('a' || n) || left(md5('b' || n), 8) AS id, n % 10 <> 0 AS exposed, n % 10 IN (1, 2) AS two, n % 10 = 3 AS collateral, CASE WHEN n % 100 = 7 THEN 1 + n % 5 ELSE 0 END AS liquidated,
              n % 3 AS market, CASE WHEN pg_temp.share(n, 'side') < 0.55 THEN 1 ELSE -1 END AS side, round(power(10, 2 + 4 * pg_temp.share(n, 'size')), 6) AS notional,
              0.5 + 17.5 * power(pg_temp.share(n, 'leverage'), 3) AS leverage, 0.95 + 0.1 * pg_temp.share(n, 'entry') AS entry
       FROM generate_series($1::int, $1::int + $2::int - 1) AS n`,
      FROM, accounts,
    )
    await run(
      `CREATE TEMP TABLE held AS
       SELECT n, id, market, side * trunc(notional / mark, 18) AS size, mark, entry FROM (
         SELECT n, id, market, side, notional, entry, ($1::numeric[])[market + 1] AS mark FROM one WHERE exposed
         UNION ALL SELECT n, id, (market + 1) % 3, -side, notional / 4, 1, ($1::numeric[])[(market + 1) % 3 + 1] FROM one WHERE two
       ) AS p`,
      MARKS,
    )
    const at = `10, 1699000000, 900, 1699999000`
    // The account is worth notional / leverage now: its balance is that without the profit of its positions and the collateral.
    await run(
      `INSERT INTO "Account" ("id", "protocolId", "owedRealizedPnlE18", "settlementBalance", "openPositionCount", "openRangeCount", "liquidationCount", "badDebtE18", "createdAtBlock", "createdAtTimestamp", "updatedAtBlock", "updatedAtTimestamp")
       SELECT id, $1, 0, CASE WHEN exposed THEN trunc((notional / leverage - coalesce(profit, 0)) * 1000000) ELSE n * 10000 END, coalesce(positions, 0), 0, liquidated, CASE WHEN n % 1000 = 7 THEN n * 1000000000000000000::numeric ELSE 0 END, ${at}
       FROM one LEFT JOIN (SELECT n, count(*) AS positions, sum(size * mark * (1 - entry)) AS profit FROM held GROUP BY n) AS p USING (n)`,
      protocol,
    )
    await run(
      `INSERT INTO "Position" ("id", "accountId", "marketId", "sizeE18", "rawSizeE18", "openRangeCount", "openNotionalE18", "realizedPnlE18", "fundingPaidE18", "createdAtBlock", "createdAtTimestamp", "updatedAtBlock", "updatedAtTimestamp")
       SELECT id || substr(m, 3), id, m, size * 1e18::numeric, size * 1e18::numeric, 0, trunc(-size * mark * entry * 1e18::numeric), 0, 0, ${at} FROM (SELECT *, ($1::text[])[market + 1] AS m FROM held) AS p`,
      markets,
    )
    await run(`INSERT INTO "ReplayRow" ("id", "kind", "value") SELECT 'position:' || id || ':' || ($1::text[])[market + 1], 'position', '{"lastTwPremiumX96":"0"}' FROM held`, markets)
    await run(
      `INSERT INTO "CollateralBalance" ("id", "accountId", "assetId", "amount", "updatedAtBlock", "updatedAtTimestamp") SELECT id || substr($1, 3), id, $1, trunc(notional / ${WETH} / 10 * 1e18::numeric), 900, 1699999000 FROM one WHERE collateral`,
      weth,
    )
    await run(
      `INSERT INTO "PositionChange" ("id", "accountId", "marketId", "sizeDeltaE18", "notionalDeltaE18", "feeE18", "sizeAfterE18", "openNotionalAfterE18", "realizedPnlE18", "blockNumber", "timestamp", "transactionHash", "logIndex")
       SELECT 'large' || id || market, id, ($1::text[])[market + 1], size * 1e18::numeric, trunc(-size * mark * entry * 1e18::numeric), trunc(abs(size) * mark * 1e15::numeric), size * 1e18::numeric, trunc(-size * mark * entry * 1e18::numeric), 0, 400, 1699000400, '0x' || md5('t' || n) || md5('u' || n), market FROM held WHERE n % 100 = 7`,
      markets,
    )
    await run(
      `INSERT INTO "Liquidation" ("id", "accountId", "marketId", "liquidator", "sizeE18", "notionalE18", "penaltyE18", "liquidatorFeeE18", "sizeAfterE18", "blockNumber", "timestamp", "transactionHash", "logIndex")
       SELECT 'large' || id || k, id, ($1::text[])[market + 1], '0x' || md5('l') || left(md5('m'), 8), 1e18::numeric, 1000e18::numeric, 25e18::numeric, 12.5e18::numeric, 1e18::numeric, 450 + k, 1699000450 + k, '0x' || md5('q' || n || k) || md5('r' || n || k), n % 1000 FROM one, generate_series(1, liquidated) AS k`,
      markets,
    )
    await run(`UPDATE "Market" SET "openInterestLongE18" = s.long, "openInterestShortE18" = s.short FROM (SELECT "marketId", coalesce(sum("sizeE18") FILTER (WHERE "sizeE18" > 0), 0) AS long, coalesce(-sum("sizeE18") FILTER (WHERE "sizeE18" < 0), 0) AS short FROM "Position" GROUP BY 1) AS s WHERE id = "marketId"`)
    await run(`UPDATE "Protocol" SET "accountCount" = (SELECT count(*) FROM "Account"), "openPositionCount" = (SELECT count(*) FROM "Position" WHERE "sizeE18" <> 0), "liquidationCount" = (SELECT count(*) FROM "Liquidation")`)
    await run('ANALYZE')
    return { accounts: await tx.account.count(), exposed: await tx.account.count({ where: { openPositionCount: { gt: 0 } } }) }
  }, { timeout: 300_000, maxWait: 30_000 })
}
