/** Reads a run's inputs from the mirror: one snapshot, one block, everything in a defined order. */
import { InvariantError } from '../../core/errors.ts'
import { abs } from '../../core/units.ts'
import { Prisma } from '../../prisma/client.ts'
import type { Address, Deployment, ParameterRef, ParameterSpec, Protocol, RiskRules } from '../../protocols/adapter.ts'
import type { MirroredBlock } from '../mirror/read.ts'
import type { BreakerBoard } from '../risk/index.ts'
import { groupBy, type AccountInput, type CollateralInput, type MarketInput, type OracleInput, type ParameterInput, type RangeInput, type RunInputs, type SeriesInput, type SimulationInput } from './inputs.ts'
import { models } from './model.ts'
import './parameters/index.ts'
import type { Policy } from './policy.ts'
import type { FundSimulation, FundTask } from './simulation.ts'
import { measure } from './timing.ts'

/** Reads a parameter from the chain at the run's block; asked only for what the index does not hold. */
export type ChainReads = (ref: ParameterRef, block: MirroredBlock) => Promise<bigint>

export type GatherOptions = { readonly protocol: Protocol; readonly deployment: Deployment; readonly policy: Policy; readonly chainReads?: ChainReads }

type Tx = Prisma.TransactionClient
const lower = (text: string): string => text.toLowerCase()

/** All inputs at a block. `tx` must be one snapshot that stands on it (readAtCheckpoint). */
export async function gather(tx: Tx, block: MirroredBlock, options: GatherOptions): Promise<RunInputs> {
  const { protocol, deployment, policy } = options
  const asOfSec = Math.floor(Number(block.timestamp) / policy.barSec) * policy.barSec
  const fromSec = asOfSec - policy.windowSec
  const protocolId = protocol.risk.indexId(deployment)

  const markets = await tx.market.findMany({ where: { protocolId }, include: { feed: true }, orderBy: { id: 'asc' } })
  const collaterals = await tx.collateralAsset.findMany({ where: { protocolId }, include: { feed: true }, orderBy: { id: 'asc' } })
  const feeds = [...new Set([...markets, ...collaterals].flatMap((m) => (m.feedId === null ? [] : [m.feedId])))].toSorted()

  const updates = await tx.$queryRaw<{ feedId: string; priceE18: string; priceTimestamp: bigint; blockNumber: bigint; logIndex: number }[]>`
    SELECT "feedId", "priceE18"::text AS "priceE18", "priceTimestamp", "blockNumber", "logIndex" FROM "PriceUpdate"
    WHERE "feedId" = ANY(${feeds}) AND "freezeReason" = 0 AND "priceE18" > 0 AND "timestamp" >= ${BigInt(fromSec)} AND "blockNumber" <= ${block.number}
    ORDER BY "feedId", "blockNumber", "logIndex"`
  const byFeed = groupBy(updates, (u) => u.feedId)

  const marketIds = markets.map((m) => m.id)
  const changes = await tx.$queryRaw<(ChangeRow & { marketId: string; notional: string; blockNumber: bigint; logIndex: number })[]>`
    SELECT "marketId", "sqrtPriceAfterX96"::text AS "sqrtPriceAfterX96", abs("notionalDeltaE18")::text AS "notional", "feeE18"::text AS "fee", "blockNumber", "logIndex" FROM "PositionChange"
    WHERE "marketId" = ANY(${marketIds}) AND "timestamp" >= ${BigInt(fromSec)} AND "timestamp" < ${BigInt(asOfSec)}
    ORDER BY "marketId", "blockNumber", "logIndex"`
  const changesByMarket = groupBy(changes, (c) => c.marketId)
  const before = await tx.$queryRaw<{ marketId: string; sqrtPriceX96: string | null }[]>`
    SELECT m."id" AS "marketId", (SELECT c."sqrtPriceAfterX96"::text FROM "PositionChange" c
      WHERE c."marketId" = m."id" AND c."timestamp" < ${BigInt(fromSec)} AND c."sqrtPriceAfterX96" IS NOT NULL ORDER BY c."blockNumber" DESC, c."logIndex" DESC LIMIT 1) AS "sqrtPriceX96"
    FROM "Market" m WHERE m."id" = ANY(${marketIds})`
  const priceBefore = new Map(before.map((b) => [b.marketId, b.sqrtPriceX96]))

  const ranges = await tx.$queryRaw<(RangeInput & { marketId: string })[]>`
    SELECT "marketId", "accountId" AS "account", "lowerTick", "upperTick", "liquidity"::text AS "liquidity", "baseDebtE18"::text AS "baseDebtE18", "quoteDebtE18"::text AS "quoteDebtE18"
    FROM "LiquidityRange" WHERE "marketId" = ANY(${marketIds}) AND "liquidity" > 0 ORDER BY "marketId", "id"`
  const rangesByMarket = groupBy(ranges, (r) => r.marketId)

  const fund = await tx.insuranceFund.findFirst({ where: { protocolId }, orderBy: { id: 'asc' } })
  const inputs: Omit<RunInputs, 'timing' | 'simulation' | 'breakers'> = {
    version: '3',
    protocol: protocol.name,
    network: deployment.network,
    settlement: { symbol: deployment.settlementToken.symbol, decimals: deployment.settlementToken.decimals },
    asOfSec,
    policy,
    series: feeds.map((feed) => seriesOf(feed, byFeed.get(feed) ?? [], fromSec, asOfSec, policy.barSec)),
    markets: markets.map((m): MarketInput => {
      const own = swapsOf(changesByMarket.get(m.id) ?? [], priceBefore.get(m.id) ?? null)
      return {
        id: m.id,
        symbol: m.symbol,
        open: m.state === 'OPEN',
        heldPriceE18: m.state === 'OPEN' ? null : ((m.closedPriceE18 ?? m.pausedIndexPriceE18)?.toFixed(0) ?? null),
        oracle: oracleOf(m.feed),
        sqrtPriceX96: m.sqrtPriceX96?.toFixed(0) ?? null,
        openInterestLongE18: m.openInterestLongE18.toFixed(0),
        openInterestShortE18: m.openInterestShortE18.toFixed(0),
        volumeE18: own.reduce((sum, t) => sum + BigInt(t.notional), 0n).toString(),
        feesE18: own.reduce((sum, t) => sum + BigInt(t.fee), 0n).toString(),
        observedSec: Math.max(0, asOfSec - Math.max(fromSec, Number(m.createdAtTimestamp))),
        spreadsE6: m.feedId === null ? [] : spreadsOf(own, byFeed.get(m.feedId) ?? [], protocol.risk.poolPriceE18),
        ranges: (rangesByMarket.get(m.id) ?? []).map(({ account, lowerTick, upperTick, liquidity, baseDebtE18, quoteDebtE18 }) => ({ account, lowerTick, upperTick, liquidity, baseDebtE18, quoteDebtE18 })),
      }
    }),
    collaterals: collaterals.map((c): CollateralInput => ({ id: c.id, symbol: c.symbol, decimals: c.decimals, oracle: oracleOf(c.feed), totalBalance: c.totalBalance.toFixed(0) })),
    accounts: await accountsOf(tx, protocolId, fund?.id ?? ''),
    fund: fund === null ? null : { walletBalance: fund.walletBalance.toFixed(0), inTransit: fund.inTransit.toFixed(0), vaultBalanceE18: fund.vaultBalanceE18.toFixed(0) },
    parameters: await parametersOf(tx, block, options, new Map([...markets, ...collaterals].map((s) => [s.id, s.symbol]))),
  }
  return { ...inputs, timing: await measure(tx, inputs, deployment), simulation: await simulationOf(tx, block, policy), breakers: await breakersOf(tx, block) }
}

type FeedRow = { id: string; priceE18: { toFixed(places: number): string } | null; priceTimestamp: bigint | null; freezeReason: number; fallback: boolean } | null

function oracleOf(feed: FeedRow): OracleInput | null {
  if (feed === null || feed.priceE18 === null || feed.priceTimestamp === null) return null
  return { feed: feed.id, priceE18: feed.priceE18.toFixed(0), priceTimestampSec: Number(feed.priceTimestamp), freezeReason: feed.freezeReason, fallback: feed.fallback }
}

/** Updates → the last price of each bar, by the oracle's own time; from the first price on, where the feed is younger than the window. */
export function seriesOf(feed: string, updates: readonly { priceE18: string; priceTimestamp: bigint }[], fromSec: number, asOfSec: number, barSec: number): SeriesInput {
  // Stable sort: among equal oracle times the later log wins.
  const ordered = updates.map((u) => ({ at: Number(u.priceTimestamp), priceE18: u.priceE18 })).sort((a, b) => a.at - b.at)
  const first = ordered.find((u) => u.at >= fromSec)
  const startSec = first === undefined ? asOfSec : Math.min(asOfSec, Math.floor(first.at / barSec) * barSec)
  const bars: [number, string][] = []
  for (const { at, priceE18 } of ordered) {
    if (at < startSec || at >= asOfSec) continue
    const index = Math.floor((at - startSec) / barSec)
    const last = bars.at(-1)
    if (last !== undefined && last[0] === index) last[1] = priceE18
    else bars.push([index, priceE18])
  }
  return { feed, startSec, endSec: asOfSec, bars }
}

type ChangeRow = { readonly sqrtPriceAfterX96: string | null; readonly fee: string }

/**
 * The swaps among a market's position changes, in the chain's order: those that paid a fee or moved the price, as in Market.volumeE18.
 * Either side of a liquidation, a removed range and a settlement in a closed market exchange nothing with the pool.
 * `sqrtPriceBeforeX96` is the price that the change before the first one left; null where there is none.
 */
export function swapsOf<T extends ChangeRow>(changes: readonly T[], sqrtPriceBeforeX96: string | null): T[] {
  let last = sqrtPriceBeforeX96
  return changes.filter((change) => {
    const moved = last !== null && change.sqrtPriceAfterX96 !== null && change.sqrtPriceAfterX96 !== last
    last = change.sqrtPriceAfterX96 ?? last
    return BigInt(change.fee) > 0n || moved
  })
}

/** |market − index| / index in 1e6 after each trade, with the index price that stood before it in the chain's order. */
export function spreadsOf(
  trades: readonly { sqrtPriceAfterX96: string | null; blockNumber: bigint; logIndex: number }[],
  updates: readonly { priceE18: string; blockNumber: bigint; logIndex: number }[],
  poolPriceE18: RiskRules['poolPriceE18'],
): number[] {
  const spreads: number[] = []
  let next = 0
  let indexE18: bigint | null = null
  for (const trade of trades) {
    for (let u = updates[next]; u !== undefined && (u.blockNumber < trade.blockNumber || (u.blockNumber === trade.blockNumber && u.logIndex < trade.logIndex)); u = updates[++next]) indexE18 = BigInt(u.priceE18)
    if (trade.sqrtPriceAfterX96 === null || indexE18 === null) continue
    const marketE18 = poolPriceE18(BigInt(trade.sqrtPriceAfterX96))
    spreads.push(Number((abs(marketE18 - indexE18) * 1_000_000n) / indexE18))
  }
  return spreads
}

/** Accounts that a price can hurt: with a position, a range, other collateral, or a debt. The fund's own account is no trader. */
async function accountsOf(tx: Tx, protocolId: string, fundId: string): Promise<AccountInput[]> {
  const positions = await tx.$queryRaw<{ account: string; market: string; sizeE18: string; openNotionalE18: string }[]>`
    SELECT p."accountId" AS "account", p."marketId" AS "market", p."sizeE18"::text AS "sizeE18", p."openNotionalE18"::text AS "openNotionalE18"
    FROM "Position" p JOIN "Market" m ON m."id" = p."marketId" WHERE m."protocolId" = ${protocolId} AND (p."sizeE18" <> 0 OR p."openNotionalE18" <> 0) ORDER BY p."id"`
  const collaterals = await tx.$queryRaw<{ account: string; asset: string; amount: string }[]>`
    SELECT b."accountId" AS "account", b."assetId" AS "asset", b."amount"::text AS "amount"
    FROM "CollateralBalance" b JOIN "CollateralAsset" a ON a."id" = b."assetId" WHERE a."protocolId" = ${protocolId} AND b."amount" <> 0 ORDER BY b."id"`
  const accounts = await tx.$queryRaw<{ id: string; settlementBalance: string; owedRealizedPnlE18: string; openRangeCount: number; inDebt: boolean }[]>`
    SELECT "id", "settlementBalance"::text AS "settlementBalance", "owedRealizedPnlE18"::text AS "owedRealizedPnlE18", "openRangeCount", ("settlementBalance" < 0 OR "owedRealizedPnlE18" < 0) AS "inDebt"
    FROM "Account" WHERE "protocolId" = ${protocolId} AND "id" <> ${fundId} ORDER BY "id"`
  const positionsOf = groupBy(positions, (p) => p.account)
  const collateralsOf = groupBy(collaterals, (c) => c.account)
  return accounts
    .filter((a) => a.openRangeCount > 0 || a.inDebt || positionsOf.has(a.id) || collateralsOf.has(a.id))
    .map((a) => ({
      id: a.id,
      settlementBalance: a.settlementBalance,
      owedRealizedPnlE18: a.owedRealizedPnlE18,
      positions: (positionsOf.get(a.id) ?? []).map(({ market, sizeE18, openNotionalE18 }) => ({ market, sizeE18, openNotionalE18 })),
      collaterals: (collateralsOf.get(a.id) ?? []).map(({ asset, amount }) => ({ asset, amount })),
    }))
}

async function parametersOf(tx: Tx, block: MirroredBlock, { protocol, deployment, chainReads }: GatherOptions, symbols: ReadonlyMap<string, string>): Promise<ParameterInput[]> {
  const names = new Set([...models().map((m) => m.parameter), ...Object.values(protocol.risk.parameters)])
  const refs = protocol.catalog.refs(deployment).filter((ref) => names.has(ref.name))
  const rows = await tx.parameter.findMany({ where: { name: { in: [...names] } } })
  const rowOf = new Map(rows.map((row) => [`${row.name}:${row.subject}`, row]))
  const standing = await standingOf(tx, block)
  const out: ParameterInput[] = []
  for (const ref of refs) {
    const subject = lower(ref.subject)
    const spec = protocol.catalog.find(ref.name)
    const row = rowOf.get(`${ref.name}:${subject}`)
    const current = row === undefined ? await chainReads?.(ref, block) : BigInt(row.value.toFixed(0))
    // Neither indexed nor readable: models that need it say "unknown".
    if (current === undefined) continue
    out.push({
      name: ref.name,
      subject,
      subjectLabel: spec.scope === 'PROTOCOL' ? 'protocol' : (symbols.get(subject) ?? labelIn(deployment, subject)),
      scope: spec.scope,
      unit: spec.unit.kind,
      decimals: decimalsOf(spec, deployment, subject),
      min: spec.bounds.min.toString(),
      max: spec.bounds.max.toString(),
      settable: spec.setter !== null,
      advisory: spec.advisoryReason,
      current: current.toString(),
      standing: standing.get(`${ref.name}:${subject}:${current}`) ?? null,
      changedAtSec: row === undefined || row.changeCount === 0 ? null : Number(row.updatedAtTimestamp),
    })
  }
  return out.toSorted((a, b) => (a.name === b.name ? (a.subject < b.subject ? -1 : 1) : a.name < b.name ? -1 : 1))
}

/** What the newest run at or before a block asked for, by `name:subject:current value`. */
async function standingOf(tx: Tx, block: MirroredBlock): Promise<ReadonlyMap<string, string>> {
  const run = await tx.recommendationRun.findFirst({ where: { blockNumber: { lte: block.number } }, orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], select: { recommendations: { where: { direction: { not: 'HOLD' } }, select: { parameter: true, subject: true, current: true, recommended: true } } } })
  return new Map((run?.recommendations ?? []).map((r) => [`${r.parameter}:${r.subject}:${r.current.toFixed(0)}`, r.recommended.toFixed(0)]))
}

/** What a simulation of the policy's own stands in the database as. */
export const simulationTask = ({ fund }: Policy): { readonly kind: 'FUND'; readonly task: FundTask } => {
  const { paths, hours, seed, level, confidence } = fund.simulation
  return { kind: 'FUND', task: { paths, hours, seed, level, confidence } }
}

/** A run of RiskRun `r` stands on this chain: a block that a reorg took back has no checkpoint any more; below the oldest checkpoint nothing is taken back. */
const STANDS = Prisma.sql`(r."blockNumber" < (SELECT min("blockNumber") FROM "Checkpoint") OR EXISTS (SELECT 1 FROM "Checkpoint" c WHERE c."blockNumber" = r."blockNumber" AND c."blockHash" = r."blockHash"))`

export type SimulationRow = { readonly id: string; readonly state: string; readonly blockNumber: bigint; readonly blockHash: string; readonly blockTimestamp: bigint; readonly inputsDigest: string; readonly result: FundSimulation | null; readonly error: string | null }

/** The newest simulation of the policy's own that ended and stands on this chain at or before the block, a finished one before any that failed; null without. */
export async function simulationAt(tx: Pick<Tx, '$queryRaw'>, block: { readonly number: bigint }, policy: Policy): Promise<SimulationRow | null> {
  const [row] = await tx.$queryRaw<SimulationRow[]>`
    SELECT r."id", r."state", r."blockNumber", r."blockHash", r."blockTimestamp", r."inputsDigest", r."result", r."error" FROM "RiskRun" r
    WHERE r."kind" = 'FUND' AND r."arguments" = ${JSON.stringify(simulationTask(policy))}::jsonb AND r."blockNumber" <= ${block.number}
      AND (r."state" = 'FAILED' OR (r."state" = 'DONE' AND r."result" ? 'basis')) AND ${STANDS}
    ORDER BY (r."state" = 'DONE') DESC, r."blockNumber" DESC, r."startedAt" DESC LIMIT 1`
  return row ?? null
}

/** A finished simulation by its run's id; null where there is none that stands on this chain at or before the block. */
export async function simulationBy(tx: Pick<Tx, '$queryRaw'>, id: string, block: { readonly number: bigint }): Promise<SimulationRow | null> {
  const [row] = await tx.$queryRaw<SimulationRow[]>`
    SELECT r."id", r."state", r."blockNumber", r."blockHash", r."blockTimestamp", r."inputsDigest", r."result", r."error" FROM "RiskRun" r
    WHERE r."id" = ${id} AND r."kind" = 'FUND' AND r."state" = 'DONE' AND r."blockNumber" <= ${block.number} AND ${STANDS}`
  return row ?? null
}

/**
 * Deletes the oldest ended runs beyond `keep`. Simulations of the policy's own stay while recommendations may stand on them: those of blocks that
 * a reorganisation can still take back, and the newest below these.
 */
export async function pruneRuns(tx: Pick<Tx, '$executeRaw'>, keep: number, policy: Policy): Promise<void> {
  const own = Prisma.sql`"kind" = 'FUND' AND "state" = 'DONE' AND "arguments" = ${JSON.stringify(simulationTask(policy))}::jsonb`
  await tx.$executeRaw`
    DELETE FROM "RiskRun" WHERE "state" NOT IN ('QUEUED', 'RUNNING') AND "id" NOT IN (SELECT "id" FROM "RiskRun" ORDER BY "startedAt" DESC LIMIT ${keep})
      AND NOT (${own} AND "blockNumber" >= coalesce((SELECT max("blockNumber") FROM "RiskRun" WHERE ${own} AND "blockNumber" < (SELECT min("blockNumber") FROM "Checkpoint")), 0))`
}

async function simulationOf(tx: Tx, block: MirroredBlock, policy: Policy): Promise<SimulationInput> {
  const row = await simulationAt(tx, block, policy)
  if (row === null) return { state: 'NONE', why: 'no simulation has finished at or before this block', triedSec: null }
  if (row.state !== 'DONE' || row.result === null) return { state: 'NONE', why: row.error ?? 'the simulation failed', triedSec: Number(row.blockTimestamp) }
  // No model reads the histogram: inputs hold what the answer depends on.
  const { histogram: _, ...result } = row.result
  return { state: 'DONE', block: row.blockNumber.toString(), timestampSec: Number(row.blockTimestamp), bookDigest: row.inputsDigest, result }
}

async function breakersOf(tx: Tx, block: MirroredBlock): Promise<RunInputs['breakers']> {
  const row = await tx.breakerBoard.findFirst({ where: { blockNumber: { lte: block.number } }, orderBy: { blockNumber: 'desc' }, select: { board: true } })
  if (row === null) return []
  const board = row.board as unknown as BreakerBoard
  return [['protocol', board.protocol.level] as const, ...Object.entries(board.markets).map(([id, state]) => [id, state.level] as const)]
    .flatMap(([subject, level]) => (level === 'NORMAL' ? [] : [{ subject, level }]))
    .toSorted((a, b) => (a.subject < b.subject ? -1 : 1))
}

function labelIn(deployment: Deployment, subject: string): string {
  const is = (address: Address): boolean => lower(address) === subject
  return deployment.markets.find((m) => is(m.baseToken))?.symbol ?? deployment.collaterals.find((c) => is(c.token))?.symbol ?? subject
}

function decimalsOf(spec: ParameterSpec, deployment: Deployment, subject: string): number {
  if (spec.unit.decimals !== null) return spec.unit.decimals
  const token = deployment.collaterals.find((c) => lower(c.token) === subject)
  if (token === undefined) throw new InvariantError(`Found ${spec.name} of ${subject} in units of a collateral, allowed are the deployment's collaterals; correct its records`)
  return token.decimals
}
