import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { UnavailableError } from '../../core/errors.ts'
import { byUrgency, canonicalJson, DEFAULT_POLICY, inputsOf, recompute, recomputeRun, runInputsOf, runRecommendations, simulationTask } from '../../api/recommendations/index.ts'
import { createContext } from '../../api/recommendations/context.ts'
import { simulateFund } from '../../api/recommendations/simulation.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { curie } from '../../protocols/curie/index.ts'
import { insertRows } from '../support/rows.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { AS_OF_SEC, book, ETH, FEEDS, OP, PROTOCOL, WETH } from './book.ts'

// PostgreSQL beside other tests.
jest.setTimeout(60_000)

let postgres: TestPostgres
let prisma: PrismaClient
const at = { updatedAtBlock: 1n, updatedAtTimestamp: BigInt(AS_OF_SEC) }
const born = { createdAtBlock: 1n, createdAtTimestamp: BigInt(AS_OF_SEC - 30 * 86_400), ...at }

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await fill(prisma)
}, 60_000)
afterAll(async () => {
  await prisma.$disconnect()
  await postgres.stop()
})

/** The made-up book as mirrored rows. */
async function fill(db: PrismaClient): Promise<void> {
  const inputs = book()
  await db.protocol.create({ data: { id: PROTOCOL, name: 'curie', settlementToken: devnet.settlementToken.address.toLowerCase(), settlementTokenDecimals: 6, marketCount: 2, accountCount: 4, openPositionCount: 4, liquidationCount: 0, ...at } })
  for (const series of inputs.series) {
    const updates = series.bars.map(([index, priceE18], i) => {
      const time = BigInt(series.startSec + index * 300 + 7)
      return { id: `${series.feed}-${i}`, feedId: series.feed, priceE18, priceTimestamp: time, freezeReason: 0, ageSec: '2', blockNumber: BigInt(i + 1), timestamp: time + 2n, transactionHash: '0x00', logIndex: 0 }
    })
    await insertRows(db, 'PriceUpdate', [...updates, { ...(updates[0] as (typeof updates)[0]), id: `${series.feed}-refused`, freezeReason: 4, priceE18: '1' }])
    const last = updates.at(-1)
    await db.oracleFeed.create({ data: { id: series.feed, dispatcher: series.feed, priceE18: last?.priceE18 ?? null, priceTimestamp: last?.priceTimestamp ?? null, freezeReason: 0, fallback: false, updateCount: updates.length, ...at } })
  }
  for (const m of inputs.markets) {
    await db.market.create({
      data: { id: m.id, protocolId: PROTOCOL, symbol: m.symbol, pool: '0x', poolFeeE6: 3000, state: 'OPEN', feedId: m.oracle?.feed ?? null, sqrtPriceX96: m.sqrtPriceX96, openInterestLongE18: m.openInterestLongE18, openInterestShortE18: m.openInterestShortE18, volumeE18: m.volumeE18, liquidatedNotionalE18: 0, liquidationCount: 0, feesE18: m.feesE18, ...born },
    })
    for (const r of m.ranges) await db.liquidityRange.create({ data: { id: `${r.account}-${m.id}`, accountId: r.account, marketId: m.id, lowerTick: r.lowerTick, upperTick: r.upperTick, liquidity: r.liquidity, baseDebtE18: r.baseDebtE18, quoteDebtE18: r.quoteDebtE18, feesCollectedE18: 0, ...born } })
    await db.positionChange.createMany({
      data: Array.from({ length: 120 }, (_, i) => ({ id: `${m.id}-${i}`, accountId: '0xa1', marketId: m.id, sizeDeltaE18: '1', notionalDeltaE18: '-1000000000000000000000', feeE18: '1000000000000000000', sizeAfterE18: '1', openNotionalAfterE18: '0', realizedPnlE18: '0', sqrtPriceAfterX96: m.sqrtPriceX96, blockNumber: 3_000n + BigInt(i), timestamp: BigInt(AS_OF_SEC - 1_000 + i), transactionHash: '0x00', logIndex: 0 })),
    })
    // Before the window, and in it: both sides of a liquidation, a removed range, a settlement. None of them is a swap.
    const other = { accountId: '0xa1', marketId: m.id, sizeDeltaE18: '1', notionalDeltaE18: '-9000000000000000000000', feeE18: 0, sizeAfterE18: '1', openNotionalAfterE18: '0', realizedPnlE18: '0', transactionHash: '0x00' }
    await db.positionChange.createMany({
      data: [
        { ...other, id: `${m.id}-before`, sqrtPriceAfterX96: m.sqrtPriceX96, blockNumber: 1n, logIndex: 0, timestamp: BigInt(AS_OF_SEC - 40 * 86_400) },
        { ...other, id: `${m.id}-first`, sqrtPriceAfterX96: m.sqrtPriceX96, blockNumber: 2_999n, logIndex: 0, timestamp: BigInt(AS_OF_SEC - 1_001) },
        { ...other, id: `${m.id}-liquidated`, sqrtPriceAfterX96: m.sqrtPriceX96, blockNumber: 3_050n, logIndex: 1, timestamp: BigInt(AS_OF_SEC - 950) },
        { ...other, id: `${m.id}-liquidator`, sqrtPriceAfterX96: m.sqrtPriceX96, blockNumber: 3_050n, logIndex: 2, timestamp: BigInt(AS_OF_SEC - 950) },
        { ...other, id: `${m.id}-settled`, sqrtPriceAfterX96: null, blockNumber: 3_060n, logIndex: 1, timestamp: BigInt(AS_OF_SEC - 940) },
      ],
    })
  }
  await db.collateralAsset.create({ data: { id: WETH, protocolId: PROTOCOL, symbol: 'WETH', decimals: 18, priceFeed: FEEDS.ETH, feedId: FEEDS.ETH, totalBalance: '25000000000000000000', ...at } })
  for (const a of inputs.accounts) {
    await db.account.create({ data: { id: a.id, protocolId: PROTOCOL, owedRealizedPnlE18: a.owedRealizedPnlE18, settlementBalance: a.settlementBalance, openPositionCount: a.positions.length, openRangeCount: a.id === '0xm1' ? 1 : 0, liquidationCount: 0, badDebtE18: 0, ...born } })
    for (const p of a.positions) await db.position.create({ data: { id: `${a.id}-${p.market}`, accountId: a.id, marketId: p.market, sizeE18: p.sizeE18, rawSizeE18: p.sizeE18, openNotionalE18: p.openNotionalE18, realizedPnlE18: 0, fundingPaidE18: 0, openRangeCount: 0, ...born } })
    for (const c of a.collaterals) await db.collateralBalance.create({ data: { id: `${a.id}-${c.asset}`, accountId: a.id, assetId: c.asset, amount: c.amount, ...at } })
  }
  await db.insuranceFund.create({ data: { id: '0xf', protocolId: PROTOCOL, walletBalance: '40000000000', vaultBalanceE18: '10000000000000000000000', inTransit: '2500000', inflowE18: 0, outflowE18: 0, badDebtE18: 0, ...at } })
  for (const p of inputs.parameters) await db.parameter.create({ data: { id: `${p.name}-${p.subject}`, protocolId: PROTOCOL, name: p.name, scope: p.scope, subject: p.subject, contract: '0x', value: p.current, source: 'EVENT', changeCount: 0, ...at } })
  await step(db, 5_000n, AS_OF_SEC + 10)
}

const step = (db: PrismaClient, number: bigint, timestamp: number) => db.checkpoint.create({ data: { blockNumber: number, blockHash: `0x${number.toString(16).padStart(64, '0')}`, blockTimestamp: BigInt(timestamp), rowCount: 1 } })

describe('recommendations over the mirror', () => {
  test('behavior: a run stands on the mirror’s block and stores what it says', async () => {
    const run = await runRecommendations({ prisma, protocol: curie, deployment: devnet })
    expect(run.stored).toBe(true)
    expect(run.id).toBe(`5000-${run.inputsDigest.slice(0, 16)}`)
    const rows = await prisma.recommendation.findMany({ where: { runId: run.id } })
    expect(rows).toHaveLength(run.recommendations.length)
    const band = rows.find((r) => r.parameter === 'marketMaxPriceSpreadRatio' && r.subject === ETH)
    expect(band).toMatchObject({ subjectLabel: 'vETH', direction: 'TIGHTEN', settable: true, scope: 'MARKET' })
    expect(band?.recommended.toFixed(0)).toBe('50000')
  })

  test('behavior: what is stored gives the same bytes again, recommendation by recommendation and as a run', async () => {
    const stored = await prisma.recommendationRun.findFirstOrThrow({ include: { recommendations: true } })
    const again = recomputeRun(runInputsOf(stored))
    expect(again).toHaveLength(stored.recommendations.length)
    for (const row of stored.recommendations) {
      const one = recompute(inputsOf(row))
      expect(canonicalJson(again.find((r) => r.parameter === row.parameter && r.subject === row.subject))).toBe(canonicalJson(one))
      expect(one.inputsDigest).toBe(row.inputsDigest)
      expect(canonicalJson({ e: one.evidence, a: one.adjustments, r: one.reason, v: one.modelValue, u: one.urgency, c: one.confidence, n: one.recommended })).toBe(
        canonicalJson({ e: row.evidence, a: row.adjustments, r: row.reason, v: row.modelValue, u: row.urgency, c: row.confidence, n: BigInt(row.recommended.toFixed(0)) }),
      )
    }
  })

  test('behavior: refused oracle answers are no prices', async () => {
    const stored = await prisma.recommendationRun.findFirstOrThrow()
    for (const series of runInputsOf(stored).series) expect(series.bars.some(([, price]) => price === '1')).toBe(false)
  })

  test('behavior: volume, fees and usual spread are those of swaps, 120 of 1,000 each', async () => {
    const stored = await prisma.recommendationRun.findFirstOrThrow()
    for (const market of runInputsOf(stored).markets) {
      expect(market.volumeE18).toBe('120000000000000000000000')
      expect(market.feesE18).toBe('120000000000000000000')
      expect(market.spreadsE6).toHaveLength(120)
    }
  })

  test('behavior: the fund is gathered with what is on the way to the vault', async () => {
    expect(runInputsOf(await prisma.recommendationRun.findFirstOrThrow()).fund).toEqual({ walletBalance: '40000000000', inTransit: '2500000', vaultBalanceE18: '10000000000000000000000' })
  })

  test('behavior: stored rows sort by urgency as the contents that they came from', async () => {
    const { inputs, recommendations } = await prisma.recommendationRun.findFirstOrThrow({ include: { recommendations: true } })
    const ids = (all: readonly { parameter: string; subject: string }[]) => all.map((r) => `${r.parameter}:${r.subject}`)
    expect(ids(recommendations.toSorted(byUrgency))).toEqual(ids(recomputeRun(runInputsOf({ inputs })).toSorted(byUrgency)))
  })

  test('behavior: a quiet block stores no second run', async () => {
    await step(prisma, 5_001n, AS_OF_SEC + 12)
    // What stands recommended now is what that run asked for, and nothing else has happened.
    const one = await runRecommendations({ prisma, protocol: curie, deployment: devnet })
    const two = await runRecommendations({ prisma, protocol: curie, deployment: devnet })
    expect(one?.stored).toBe(false)
    expect(one?.block.number).toBe(5_000n)
    expect(two?.id).toBe(one?.id)
    expect(await prisma.recommendationRun.count()).toBe(1)
  })

  test('behavior: the fund’s simulation is asked for once, taken in where it stands on this chain, and a breaker’s level with it', async () => {
    const run = () => runRecommendations({ prisma, protocol: curie, deployment: devnet })
    const threshold = async () => (await run()).recommendations.find((r) => r.parameter === 'distributionThreshold')
    const source = async (label: string) => (await threshold())?.evidence.find((e) => e.label.startsWith(label))?.source
    const hash = (n: bigint): string => `0x${n.toString(16).padStart(64, '0')}`
    const result = JSON.parse(canonicalJson(simulateFund(createContext(book()), { paths: 200, hours: 2, seed: 1, level: 0.9, confidence: 0.95 }))) as object
    const row = (id: string, more: object) => ({ id, kind: 'FUND', key: id, arguments: simulationTask(DEFAULT_POLICY), blockNumber: 5_001n, blockHash: hash(5_001n), blockTimestamp: BigInt(AS_OF_SEC), inputsDigest: 'd', state: 'DONE', progress: 1, result, startedAt: new Date(0), updatedAt: new Date(0), finishedAt: new Date(0), ...more })

    expect((await run()).simulationDue).toBe('there is none yet')
    expect(await source('Simulated shortfall')).toBe('no simulation has finished at or before this block')
    await prisma.riskRun.create({ data: row('running', { state: 'RUNNING', updatedAt: new Date() }) })
    expect((await run()).simulationDue).toBeNull()
    // Of another block at that height, of other arguments, and of a later block.
    await prisma.riskRun.createMany({ data: [row('orphan', { blockHash: hash(1n) }), row('other', { arguments: { kind: 'FUND', task: { ...simulationTask(DEFAULT_POLICY).task, seed: 2 } } }), row('later', { blockNumber: 9_999n })] })
    await prisma.riskRun.update({ where: { id: 'running' }, data: { state: 'FAILED', error: 'Found too little, needed is more', errorCode: 'SAMPLE_TOO_SMALL' } })
    expect(await source('Simulated shortfall')).toBe('Found too little, needed is more')
    expect((await run()).simulationDue).toBeNull()
    await prisma.riskRun.create({ data: row('own', {}) })
    expect(await source('Simulated shortfall, 90 % quantile')).toMatch(/ at block 5,001, 0 min before$/)
    expect((await run()).simulationDue).toBeNull()

    const calm = (await threshold())?.evidence.some((e) => e.label === 'Alarm')
    await prisma.breakerBoard.create({ data: { blockNumber: 5_001n, blockHash: hash(5_001n), blockTimestamp: BigInt(AS_OF_SEC), board: { protocol: { level: 'NORMAL' }, markets: { [OP]: { level: 'RESTRICT' } } }, observation: {} } })
    expect([calm, await source('Alarm'), (await threshold())?.evidence.find((e) => e.label === 'Alarm')?.value]).toEqual([false, 'nothing is loosened meanwhile', 'vOP’s breaker stands at RESTRICT'])
    await prisma.breakerBoard.deleteMany()
    await prisma.riskRun.deleteMany()
    await prisma.recommendationRun.deleteMany({ where: { id: { not: (await prisma.recommendationRun.findFirstOrThrow({ orderBy: { blockNumber: 'asc' } })).id } } })
  })

  test('behavior: a parameter that was changed on chain is seen, and cools down', async () => {
    await prisma.parameter.update({ where: { id: `marketMaxPriceSpreadRatio-${OP}` }, data: { value: '100000', changeCount: 1, updatedAtTimestamp: BigInt(AS_OF_SEC + 13), updatedAtBlock: 5_002n } })
    await step(prisma, 5_002n, AS_OF_SEC + 14)
    const run = await runRecommendations({ prisma, protocol: curie, deployment: devnet })
    const band = run.recommendations.find((r) => r.parameter === 'marketMaxPriceSpreadRatio' && r.subject === OP)
    expect(band).toMatchObject({ current: 100_000n, recommended: 100_000n, direction: 'HOLD' })
    expect(await prisma.recommendationRun.count()).toBe(2)
  })

  test('behavior: a reorg takes back the runs above its common block', async () => {
    await prisma.checkpoint.deleteMany({ where: { blockNumber: { gt: 5_000n } } })
    await prisma.parameter.update({ where: { id: `marketMaxPriceSpreadRatio-${OP}` }, data: { value: '150000', changeCount: 0 } })
    await runRecommendations({ prisma, protocol: curie, deployment: devnet })
    expect((await prisma.recommendationRun.findMany()).every((r) => r.blockNumber <= 5_000n)).toBe(true)
  })

  test('behavior: the newest runs are kept, and those that a proposal names', async () => {
    const first = await prisma.recommendationRun.findFirstOrThrow({ include: { recommendations: { take: 1 } } })
    await prisma.proposal.create({
      data: {
        id: 'p1', title: 't', state: 'DRAFT', network: 'devnet', chainId: 31337, safe: '0x', threshold: 2, nonce: 0, changes: [], calls: [], safeTx: {}, safeTxHash: '0x1', domainHash: '0x', messageHash: '0x',
        draftedAtBlock: 1n, draftedAtBlockHash: '0x', draftedAtTimestamp: 1n, validUntil: 2n, recommendationIds: [first.recommendations[0]?.id ?? ''],
      },
    })
    for (let i = 0; i < 4; i++) {
      await prisma.parameter.update({ where: { id: `liquidationPenaltyRatio-${PROTOCOL}` }, data: { value: String(20_000 + i) } })
      await step(prisma, 6_000n + BigInt(i), AS_OF_SEC + 20 + i)
      await runRecommendations({ prisma, protocol: curie, deployment: devnet, keepRuns: 2 })
    }
    const ids = (await prisma.recommendationRun.findMany()).map((r) => r.id)
    expect(ids).toHaveLength(3)
    expect(ids).toContain(first.id)
    expect(await prisma.recommendation.count({ where: { runId: first.id } })).toBeGreaterThan(0)
  })

  test('error: says so before the first mirrored block, and on another block than the one asked for', async () => {
    await expect(runRecommendations({ prisma, protocol: curie, deployment: devnet, block: { number: 1n } })).rejects.toThrow(UnavailableError)
    const empty = createPrisma(await postgres.freshDatabase())
    await expect(runRecommendations({ prisma: empty, protocol: curie, deployment: devnet })).rejects.toThrow('no block is stored yet')
    await empty.$disconnect()
  })
})
