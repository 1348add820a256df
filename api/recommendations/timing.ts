/** What the models need and only the index's own facts can tell: how long blocks, prices and liquidations take, and how past liquidations stood. */
import { toFloat } from '../../core/units.ts'
import type { Prisma } from '../../prisma/client.ts'
import type { Liquidation } from '../../prisma/generated/client.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { protocolByName } from '../../protocols/index.ts'
import { quantile, surplusAt, type PastLiquidation, type PricePoint } from '../risk/index.ts'
import { groupBy, type RunInputs, type Timing, type TimingQuantiles } from './inputs.ts'

type Db = Prisma.TransactionClient
/** What must be gathered before anything can be timed. */
export type Measured = Pick<RunInputs, 'protocol' | 'asOfSec' | 'policy' | 'settlement' | 'markets' | 'collaterals' | 'parameters'>

/** Fewest observations for quantiles to be given at all. */
export const MIN_OBSERVATIONS = 5
/** Liquidations looked at, newest first. */
const MAX_LIQUIDATIONS = 500
const HOUR_SEC = 3_600
const DAY_SEC = 86_400

export function quantilesOf(values: readonly number[]): TimingQuantiles | null {
  if (values.length < MIN_OBSERVATIONS) return null
  return { median: quantile(values, 0.5), p95: quantile(values, 0.95), p99: quantile(values, 0.99), max: quantile(values, 1), observations: values.length }
}

/** Where in the chain a fact of an account stands. */
const PLACE = { accountId: true, blockNumber: true, logIndex: true, transactionHash: true, timestamp: true } as const

/** A liquidation with the account's state before it; null where the index alone cannot tell that. */
export type Past = { readonly row: Liquidation; readonly past: PastLiquidation | null; readonly whyNot: string | null; /** Chain time of the account's last change before it, s. */ readonly changedSec: number }

export type PastBook = { readonly list: readonly Past[]; /** By market id: index prices by block time, and the oracle's own announcements. */ readonly own: Readonly<Record<string, readonly PricePoint[]>>; readonly second: Readonly<Record<string, readonly PricePoint[]>> }

/** A numeric(78, 0) column as the integer it is. */
const integer = (value: { toFixed(places: number): string }): bigint => BigInt(value.toFixed(0))
const float = (value: { toFixed(places: number): string }, decimals = 18): number => toFloat(integer(value), decimals)

/**
 * The newest liquidations with each account's value and requirement just before.
 *
 * Value = settlement tokens in − out + Σ (quote received − fees) − funding − penalties + debts taken over + Σ size·price + other collateral after
 * its haircut. The liquidated market counts at the price that was used, the others at their index price of that moment; ratios are those of
 * now. Accounts that ever provided liquidity are not told: their fees and ranges are not in these facts.
 */
export async function pastLiquidations(db: Db, inputs: Measured, deployment: Deployment, options: { readonly take: number; readonly marketId?: string | null }): Promise<PastBook> {
  const rows = await db.liquidation.findMany({ where: options.marketId == null ? {} : { marketId: options.marketId }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], take: options.take })
  const ids = [...new Set(rows.map((row) => row.accountId))]
  const oldest = rows.at(-1)?.timestamp ?? 0n
  const ofThem = { accountId: { in: ids } }
  const [changes, deposits, funding, seized, debts, all, earned, makers] = [
    // What is computed with alone: most of a row's cost is its amounts.
    await db.positionChange.findMany({ where: ofThem, select: { ...PLACE, marketId: true, sizeDeltaE18: true, notionalDeltaE18: true, feeE18: true } }),
    await db.collateralChange.findMany({ where: ofThem, select: { ...PLACE, token: true, kind: true, amount: true } }),
    await db.fundingPayment.findMany({ where: ofThem, select: { ...PLACE, amountE18: true } }),
    await db.collateralLiquidation.findMany({ where: ofThem, select: { ...PLACE, token: true, repaid: true, amount: true } }),
    await db.badDebt.findMany({ where: ofThem, select: { ...PLACE, amount: true } }),
    await db.liquidation.findMany({ where: ofThem, select: { ...PLACE, penaltyE18: true } }),
    await db.liquidation.findMany({ where: { liquidator: { in: ids } }, select: { ...PLACE, liquidator: true, liquidatorFeeE18: true } }),
    new Set((await db.liquidityChange.findMany({ where: ofThem, distinct: ['accountId'], select: { accountId: true } })).map((row) => row.accountId)),
  ]
  const settlement = deployment.settlementToken.address.toLowerCase()
  const settle = (value: { toFixed(places: number): string }): number => float(value, inputs.settlement.decimals)
  const feedOf = new Map([...inputs.markets, ...inputs.collaterals].flatMap((one) => (one.oracle === null ? [] : [[one.id, one.oracle.feed] as const])))
  const updates = groupBy(await db.priceUpdate.findMany({ where: { feedId: { in: [...new Set(feedOf.values())] }, freezeReason: 0, timestamp: { gte: oldest - BigInt(DAY_SEC) } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select: { feedId: true, timestamp: true, priceE18: true } }), (row) => row.feedId)
  const pointsOf = (id: string): PricePoint[] => (updates.get(feedOf.get(id) ?? '') ?? []).flatMap((row) => (integer(row.priceE18) > 0n ? [{ timestampSec: Number(row.timestamp), price: float(row.priceE18) }] : []))
  const prices = new Map([...inputs.markets, ...inputs.collaterals].map((one) => [one.id, pointsOf(one.id)]))
  const priceAt = (id: string, sec: number): number | null => prices.get(id)?.findLast((point) => point.timestampSec <= sec)?.price ?? null
  const names = protocolByName(inputs.protocol).risk.parameters
  const ratioOf = (name: string, subject: string | null): number | null => {
    const found = inputs.parameters.find((p) => p.name === name && (subject === null || p.subject === subject))
    return found === undefined ? null : toFloat(BigInt(found.current), found.decimals)
  }
  const mm = ratioOf(names.maintenanceMargin, null)
  const decimalsOf = new Map(inputs.collaterals.map((one) => [one.id, one.decimals]))

  type Placed = { readonly blockNumber: bigint; readonly logIndex: number; readonly transactionHash: string }
  const of = <Row extends Placed & { readonly accountId: string }>(list: readonly Row[]): ((id: string) => readonly Row[]) => {
    const grouped = groupBy(list, (row) => row.accountId)
    return (id) => grouped.get(id) ?? []
  }
  const [changesOf, depositsOf, fundingOf, seizedOf, debtsOf, liquidationsOf] = [of(changes), of(deposits), of(funding), of(seized), of(debts), of(all)]
  const earnedBy = groupBy(earned, (row) => row.liquidator)

  const stateBefore = (row: Liquidation): Past => {
    const untold = (whyNot: string): Past => ({ row, past: null, whyNot, changedSec: 0 })
    if (makers.has(row.accountId)) return untold('the account provided liquidity, whose fees and ranges these facts do not hold')
    if (mm === null) return untold('the maintenance margin ratio is not indexed')
    const taken = float(row.sizeE18)
    if (!(taken > 0)) return untold('nothing was taken')
    const price = float(row.notionalE18) / taken
    if (!(price > 0)) return untold('the price that was used is not above 0')
    const before = (fact: Placed): boolean => fact.transactionHash !== row.transactionHash && (fact.blockNumber < row.blockNumber || (fact.blockNumber === row.blockNumber && fact.logIndex < row.logIndex))
    // Funding is settled at the start of the liquidation itself, and was pending before.
    const settledFunding = (fact: Placed): boolean => before(fact) || (fact.transactionHash === row.transactionHash && fact.logIndex < row.logIndex)
    const sum = <Row>(list: readonly Row[], value: (one: Row) => number): number => list.reduce((total, one) => total + value(one), 0)
    const own = changesOf(row.accountId).filter(before)
    const moved = depositsOf(row.accountId).filter(before)
    const direction = (kind: string): number => (kind === 'DEPOSIT' ? 1 : -1)
    const cash =
      sum(moved.filter((c) => c.token === settlement), (c) => direction(c.kind) * settle(c.amount)) +
      sum(own, (c) => float(c.notionalDeltaE18) - float(c.feeE18)) -
      sum(fundingOf(row.accountId).filter(settledFunding), (f) => float(f.amountE18)) -
      sum(liquidationsOf(row.accountId).filter(before), (l) => float(l.penaltyE18)) +
      sum((earnedBy.get(row.accountId) ?? []).filter(before), (l) => float(l.liquidatorFeeE18)) +
      sum(seizedOf(row.accountId).filter(before), (s) => settle(s.repaid)) +
      sum(debtsOf(row.accountId).filter(before), (d) => settle(d.amount))
    const sizes = new Map<string, number>()
    for (const change of own) sizes.set(change.marketId, (sizes.get(change.marketId) ?? 0) + float(change.sizeDeltaE18))
    const size = sizes.get(row.marketId) ?? 0
    if (Math.abs(size) < 1e-15) return untold('the position before it is not in the index')
    let [value, requirement] = [cash, 0]
    const sec = Number(row.timestamp)
    for (const [market, held] of sizes) {
      if (Math.abs(held) < 1e-15) continue
      const at = market === row.marketId ? price : priceAt(market, sec)
      if (at === null) return untold('another market that it stood in had no price')
      value += held * at
      requirement += mm * Math.abs(held * at)
    }
    const tokens = new Map<string, number>()
    for (const change of moved) if (change.token !== settlement) tokens.set(change.token, (tokens.get(change.token) ?? 0) + direction(change.kind) * float(change.amount, decimalsOf.get(change.token) ?? 18))
    for (const one of seizedOf(row.accountId).filter(before)) tokens.set(one.token, (tokens.get(one.token) ?? 0) - float(one.amount, decimalsOf.get(one.token) ?? 18))
    for (const [token, held] of tokens) {
      if (Math.abs(held) < 1e-15) continue
      const [at, ratio] = [priceAt(token, sec), ratioOf(names.collateralRatio, token)]
      if (at === null || ratio === null) return untold('a collateral of the account had no price or ratio')
      value += held * at * ratio
    }
    const touched = [...own, ...moved, ...liquidationsOf(row.accountId).filter(before)]
    return {
      row,
      whyNot: null,
      changedSec: Math.max(0, ...touched.map((fact) => Number(fact.timestamp))),
      past: { id: row.id, timestampSec: sec, account: row.accountId, market: row.marketId, price, positionSize: size, takenSize: Math.sign(size) * taken, penalty: float(row.penaltyE18), accountValue: value, requirement, maintenanceMargin: mm },
    }
  }

  return { list: rows.map(stateBefore), own: Object.fromEntries(inputs.markets.map((m) => [m.id, prices.get(m.id) ?? []])), second: await announcements(db, inputs, oldest) }
}

/** What the oracles behind the markets' feeds announced themselves, by market: a second feed beside the protocol's own. */
async function announcements(db: Db, inputs: Measured, since: bigint): Promise<Record<string, PricePoint[]>> {
  const feeds = new Map((await db.oracleFeed.findMany({ select: { id: true, answerSource: true, decimals: true } })).map((feed) => [feed.id, feed]))
  const sources = [...new Set([...feeds.values()].flatMap((feed) => (feed.answerSource === null ? [] : [feed.answerSource])))]
  const answers = groupBy(await db.oracleAnswer.findMany({ where: { aggregator: { in: sources }, timestamp: { gte: since - BigInt(DAY_SEC) } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select: { aggregator: true, timestamp: true, answer: true } }), (row) => row.aggregator)
  return Object.fromEntries(
    inputs.markets.map((market) => {
      const feed = feeds.get(market.oracle?.feed ?? '')
      const rows = (feed?.answerSource == null ? undefined : answers.get(feed.answerSource)) ?? []
      return [market.id, rows.flatMap((row) => (integer(row.answer) > 0n ? [{ timestampSec: Number(row.timestamp), price: float(row.answer, feed?.decimals ?? 8) }] : []))]
    }),
  )
}

/** How long an account had been liquidatable at index prices when it was liquidated, s; null where the index price did not make it so. */
export function detectionOf({ past, changedSec }: Past, own: readonly PricePoint[]): number | null {
  if (past === null) return null
  let since: number | null = null
  for (let i = own.findLastIndex((point) => point.timestampSec <= past.timestampSec); i >= 0; i--) {
    const point = own[i] as PricePoint
    if (surplusAt(past, point.price) >= 0) break
    since = Math.max(point.timestampSec, changedSec)
    if (point.timestampSec <= changedSec) break
  }
  return since === null ? null : past.timestampSec - since
}

/** All of it over the inputs' window. `db`: one snapshot that stands on the inputs' block. */
export async function measure(db: Db, inputs: Measured, deployment: Deployment): Promise<Timing> {
  const from = BigInt(inputs.asOfSec - inputs.policy.windowSec)
  const blocks = await db.$queryRaw<{ sec: number }[]>`
    WITH "seen" AS (SELECT "blockNumber", max("timestamp") AS "timestamp" FROM "PriceUpdate" WHERE "timestamp" >= ${from} GROUP BY "blockNumber"
      UNION SELECT "blockNumber", max("timestamp") FROM "PositionChange" WHERE "timestamp" >= ${from} GROUP BY "blockNumber"),
    "steps" AS (SELECT "blockNumber" - lag("blockNumber") OVER w AS "blocks", "timestamp" - lag("timestamp") OVER w AS "sec" FROM "seen" WINDOW w AS (ORDER BY "blockNumber"))
    SELECT ("sec"::float8 / "blocks"::float8) AS "sec" FROM "steps" WHERE "blocks" > 0`
  const updates = await db.$queryRaw<{ feedId: string; priceTimestamp: bigint; age: number | null }[]>`
    SELECT "feedId", "priceTimestamp", "ageSec"::float8 AS "age" FROM "PriceUpdate" WHERE "timestamp" >= ${from} AND "freezeReason" = 0 ORDER BY "feedId", "blockNumber", "logIndex"`
  const oracles = [...groupBy(updates, (row) => row.feedId)].map(([feed, rows]) => ({
    feed,
    gapSec: quantilesOf(rows.slice(1).map((row, i) => Number(row.priceTimestamp - (rows[i] as { priceTimestamp: bigint }).priceTimestamp)).filter((gap) => gap > 0)),
    ageSec: quantilesOf(rows.flatMap((row) => (row.age === null ? [] : [row.age]))),
  }))
  const { list, own } = await pastLiquidations(db, inputs, deployment, { take: MAX_LIQUIDATIONS })
  const recent = list.filter(({ row }) => row.timestamp >= from)
  const detections: number[] = []
  const durations: number[] = []
  let untold = 0
  for (const series of groupBy([...recent].reverse(), ({ row }) => row.accountId).values()) {
    let [start, end] = [0, -Infinity]
    const close = (): unknown => end > -Infinity && durations.push(end - start)
    for (const one of series) {
      const sec = Number(one.row.timestamp)
      if (sec - end <= HOUR_SEC) {
        end = sec
        continue
      }
      close()
      start = sec
      end = sec
      const detection = detectionOf(one, own[one.row.marketId] ?? [])
      if (detection === null) untold++
      else detections.push(detection)
    }
    close()
  }
  return { blockSec: quantilesOf(blocks.map(({ sec }) => sec)), oracles, detectionSec: quantilesOf(detections), liquidationSec: quantilesOf(durations), liquidations: recent.length, untold }
}
