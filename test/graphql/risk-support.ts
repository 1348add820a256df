/** Thirty days of prices, trades and liquidations over the small book of `support.ts`: enough for every statistic. */
import type { PrismaClient } from '../../prisma/client.ts'
import { normals } from '../recommendations/book.ts'
import { insertRows } from '../support/rows.ts'
import { BLOCK, addressOf, deployment } from './support.ts'

const lower = (text: string): string => text.toLowerCase()
const hash = (n: number): string => `0x${(n + 5_000_000).toString(16).padStart(64, '0')}`
const STEP_SEC = 300
const COUNT = (30 * 86_400) / STEP_SEC

/** √price · 2^96, by float: the pool's price to fifteen figures. */
const sqrtX96 = (price: number): string => (BigInt(Math.floor(Math.sqrt(price) * 2 ** 48)) * 2n ** 48n).toString()

/** Prices every five minutes up to the block; the last is `last`. 0.3 % a bar. */
export function pricesOf(seed: number, last: number): number[] {
  const z = normals(COUNT - 1, seed)
  const logs = [0]
  for (const shock of z) logs.push((logs.at(-1) as number) + 0.003 * shock)
  const shift = Math.log(last) - (logs.at(-1) as number)
  return logs.map((log) => Math.exp(log + shift))
}

export const secOf = (i: number): number => Number(BLOCK.timestamp) - 30 - (COUNT - 1 - i) * STEP_SEC

/** Feeds of vETH (1,800), vBTC and the third market (1,000), WETH (1,500); a trade of vETH every hour; a range of depth; the fund and ratios that models need. */
export async function seedRisk(prisma: PrismaClient): Promise<void> {
  const weth = deployment.collaterals[0]!
  const wethFeed = lower(weth.priceFeed)
  await prisma.priceUpdate.deleteMany()
  await prisma.oracleFeed.create({ data: { id: wethFeed, dispatcher: wethFeed, priceE18: '1500000000000000000000', priceTimestamp: BLOCK.timestamp - 30n, freezeReason: 0, fallback: false, updateCount: 3, updatedAtBlock: 900n, updatedAtTimestamp: 1_699_999_000n } })
  await prisma.collateralAsset.update({ where: { id: lower(weth.token) }, data: { feedId: wethFeed } })
  const feeds = [...deployment.markets.map((m, i) => ({ id: lower(m.chainlinkFeed), seed: 11 + i, last: i === 0 ? 1_800 : 1_000 })), { id: wethFeed, seed: 11, last: 1_500 }]
  for (const [f, feed] of feeds.entries()) {
    const prices = pricesOf(feed.seed, feed.last)
    const e18 = (price: number): string => `${BigInt(Math.round(price * 1e6))}000000000000`
    await insertRows(
      prisma, 'PriceUpdate',
      prices.map((price, i) => ({ id: `${hash(f * 100_000 + i)}`, feedId: feed.id, priceE18: e18(price), priceTimestamp: BigInt(secOf(i)), freezeReason: 0, ageSec: '10', blockNumber: BigInt(i + 1) * BLOCK.number / BigInt(COUNT + 1), timestamp: BigInt(secOf(i) + 10), transactionHash: hash(i), logIndex: i * 4 + f })),
    )
    await prisma.oracleFeed.update({ where: { id: feed.id }, data: { priceE18: e18(feed.last), priceTimestamp: BLOCK.timestamp - 30n } })
  }
  const eth = lower(deployment.markets[0]!.baseToken)
  for (const [i, market] of deployment.markets.entries()) {
    await prisma.market.update({ where: { id: lower(market.baseToken) }, data: { openInterestLongE18: `${4n * 10n ** 18n}`, openInterestShortE18: `${10n ** 18n}`, createdAtTimestamp: BLOCK.timestamp - 40n * 86_400n, ...(i === 0 ? { sqrtPriceX96: sqrtX96(1_801) } : {}) } })
  }
  // Trades of a round-tripper: 1 base in, 1 base out, each hour; pool 0.05 % off the index.
  const prices = pricesOf(11, 1_800)
  await insertRows(
    prisma, 'PositionChange',
    Array.from({ length: 720 }, (_, k) => {
      const i = k * 12 + 3
      const price = prices[i]! * (k % 2 === 0 ? 1.0005 : 0.9995)
      const side = k % 2 === 0 ? 1n : -1n
      return { id: hash(900_000 + k), accountId: addressOf(40), marketId: eth, sizeDeltaE18: `${side * 10n ** 18n}`, notionalDeltaE18: `${-side * BigInt(Math.round(price * 1e6)) * 10n ** 12n}`, feeE18: `${BigInt(Math.round(price * 1e3)) * 10n ** 12n}`, sizeAfterE18: side > 0n ? `${10n ** 18n}` : '0', openNotionalAfterE18: '0', realizedPnlE18: '0', sqrtPriceAfterX96: sqrtX96(price), blockNumber: BigInt(i + 1) * BLOCK.number / BigInt(COUNT + 1), timestamp: BigInt(secOf(i) + 20), transactionHash: hash(900_000 + k), logIndex: 50 }
    }),
  )
  const at = { createdAtBlock: 10n, createdAtTimestamp: 1_699_000_000n, updatedAtBlock: 900n, updatedAtTimestamp: 1_699_999_000n }
  // Liquidity 2,000 around 1,800 (ticks 72,000 to 78,000): the account provides it and owes what it put in.
  await prisma.account.create({ data: { id: addressOf(30), protocolId: lower(deployment.contracts.clearingHouse), owedRealizedPnlE18: '0', settlementBalance: '1000000000000', openPositionCount: 0, openRangeCount: 0, liquidationCount: 0, badDebtE18: '0', ...at } })
  await prisma.liquidityRange.create({ data: { id: `${addressOf(30)}range`, accountId: addressOf(30), marketId: eth, lowerTick: 72_000, upperTick: 78_000, liquidity: `${2_000n * 10n ** 18n}`, baseDebtE18: '0', quoteDebtE18: '0', feesCollectedE18: '0', ...at } })
  await prisma.insuranceFund.updateMany({ data: { walletBalance: '50000000', vaultBalanceE18: '0' } })
  for (const [name, value] of [['liquidationPenaltyRatio', '25000'], ['discountRatio', '50000'], ['feeRatio', '1000'], ['insuranceFundFeeRatio', '100000'], ['marketMaxPriceSpreadRatio', '100000'], ['maxTickCrossedWithinBlock', '1000'], ['depositCap', `${10n ** 24n}`], ['distributionThreshold', '250000000000']] as const) await prisma.parameter.updateMany({ where: { name }, data: { value } })
}
