/** A small made-up book for tests: prices from a seeded walk, two markets, one collateral, four accounts. */
import { curie } from '../../protocols/curie/index.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import type { ParameterInput, RunInputs, SeriesInput } from '../../api/recommendations/inputs.ts'
import { DEFAULT_POLICY } from '../../api/recommendations/policy.ts'

export const AS_OF_SEC = 1_800_000_000
export const DAYS = 30
export const FEEDS = { ETH: `0x${'e1'.repeat(20)}`, OP: `0x${'0b'.repeat(20)}` } as const
const lower = (x: string): string => x.toLowerCase()
export const [ETH, BTC, OP] = devnet.markets.map((m) => lower(m.baseToken)) as [string, string, string]
export const WETH = lower(devnet.collaterals[0]?.token ?? '')
export const PROTOCOL = lower(devnet.contracts.clearingHouse)

/** Lehmer generator into a normal by Box–Muller. */
export function normals(n: number, seed: number): number[] {
  let state = seed
  const uniform = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
  return Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()))
}

/** A price every `everyBars` bars with volatility `sigma` per bar, ending at `last`. */
export function walk(feed: string, options: { sigma: number; last: number; everyBars: number; seed: number; updates: number }): SeriesInput {
  const { sigma, last, everyBars, seed, updates } = options
  const steps = normals(updates - 1, seed).map((z) => z * sigma * Math.sqrt(everyBars))
  const logs = [0]
  for (const step of steps) logs.push((logs.at(-1) as number) + step)
  const shift = Math.log(last) - (logs.at(-1) as number)
  const startSec = AS_OF_SEC - updates * everyBars * 300
  return { feed, startSec, endSec: AS_OF_SEC, bars: logs.map((log, i) => [i * everyBars, BigInt(Math.round(Math.exp(log + shift) * 1e8)).toString() + '0000000000'] as const) }
}

export function parameter(name: string, subject: string, current: bigint, overrides: Partial<ParameterInput> = {}): ParameterInput {
  const spec = curie.catalog.find(name)
  return {
    name, subject, subjectLabel: { [ETH]: 'vETH', [OP]: 'vOP', [WETH]: 'WETH' }[subject] ?? 'protocol', scope: spec.scope, unit: spec.unit.kind, decimals: spec.unit.decimals ?? 18,
    min: spec.bounds.min.toString(), max: spec.bounds.max.toString(), settable: spec.setter !== null, advisory: spec.advisoryReason, current: current.toString(), changedAtSec: null, standing: null, ...overrides,
  }
}

const e18 = (x: number): string => `${BigInt(Math.round(x * 1e9))}000000000`
const root = (price: number): string => BigInt(Math.floor(Math.sqrt(price) * 2 ** 48)).toString() + '' // scaled below
export const sqrtX96 = (price: number): string => (BigInt(root(price)) << 48n).toString()

export function book(): RunInputs {
  const oracle = (feed: string, price: number) => ({ feed, priceE18: e18(price), priceTimestampSec: AS_OF_SEC - 600, freezeReason: 0, fallback: false })
  const spreadsE6 = normals(400, 5).map((z) => Math.round(Math.abs(z) * 2_000))
  return {
    version: '3',
    protocol: 'curie',
    network: 'devnet',
    settlement: { symbol: 'USDC', decimals: 6 },
    asOfSec: AS_OF_SEC,
    policy: DEFAULT_POLICY,
    series: [
      walk(FEEDS.OP, { sigma: 0.004, last: 2, everyBars: 4, seed: 17, updates: 2_160 }),
      walk(FEEDS.ETH, { sigma: 0.0041, last: 3_000, everyBars: 4, seed: 13, updates: 2_160 }),
    ],
    markets: [
      {
        id: ETH, symbol: 'vETH', open: true, heldPriceE18: null, oracle: oracle(FEEDS.ETH, 3_000), sqrtPriceX96: sqrtX96(3_001), openInterestLongE18: e18(500), openInterestShortE18: e18(480), volumeE18: e18(30_000_000), feesE18: e18(30_000),
        observedSec: DAYS * 86_400, spreadsE6, ranges: [{ account: '0xm1', lowerTick: 69_060, upperTick: 90_060, liquidity: e18(200_000), baseDebtE18: e18(600), quoteDebtE18: e18(4_500_000) }],
      },
      {
        id: OP, symbol: 'vOP', open: true, heldPriceE18: null, oracle: oracle(FEEDS.OP, 2), sqrtPriceX96: sqrtX96(2.01), openInterestLongE18: e18(150_000), openInterestShortE18: e18(90_000), volumeE18: e18(1_500_000), feesE18: e18(2_250),
        observedSec: DAYS * 86_400, spreadsE6, ranges: [],
      },
    ],
    collaterals: [{ id: WETH, symbol: 'WETH', decimals: 18, oracle: oracle(FEEDS.ETH, 3_000), totalBalance: e18(100) }],
    accounts: [
      { id: '0xa1', settlementBalance: '100000000000', owedRealizedPnlE18: '0', positions: [{ market: ETH, sizeE18: e18(300), openNotionalE18: `-${e18(900_000)}` }], collaterals: [] },
      { id: '0xa2', settlementBalance: '20000000000', owedRealizedPnlE18: e18(500), positions: [{ market: ETH, sizeE18: e18(50), openNotionalE18: `-${e18(151_000)}` }, { market: OP, sizeE18: `-${e18(40_000)}`, openNotionalE18: e18(82_000) }], collaterals: [{ asset: WETH, amount: e18(5) }] },
      { id: '0xa3', settlementBalance: '-5000000000', owedRealizedPnlE18: '0', positions: [{ market: OP, sizeE18: e18(100_000), openNotionalE18: `-${e18(199_000)}` }], collaterals: [{ asset: WETH, amount: e18(20) }] },
      { id: '0xm1', settlementBalance: '2000000000000', owedRealizedPnlE18: '0', positions: [], collaterals: [] },
    ],
    fund: { walletBalance: '40000000000', inTransit: '0', vaultBalanceE18: e18(10_000) },
    timing: {
      blockSec: null, liquidations: 0, untold: 0, detectionSec: null, liquidationSec: null,
      oracles: Object.values(FEEDS).map((feed) => ({ feed, ageSec: null, gapSec: { median: 1_200, p95: 1_200, p99: 1_200, max: 1_200, observations: 2_159 } })),
    },
    simulation: { state: 'NONE', why: 'no simulation has finished at or before this block', triedSec: null },
    breakers: [],
    parameters: [
      parameter('collateralRatio', WETH, 850_000n),
      parameter('discountRatio', WETH, 50_000n),
      parameter('distributionThreshold', PROTOCOL, 250_000_000_000n),
      parameter('feeRatio', ETH, 1_000n),
      parameter('feeRatio', OP, 1_500n),
      parameter('imRatio', PROTOCOL, 100_000n),
      parameter('insuranceFundFeeRatio', ETH, 100_000n),
      parameter('insuranceFundFeeRatio', OP, 200_000n),
      parameter('liquidationPenaltyRatio', PROTOCOL, 25_000n),
      parameter('marketMaxPriceSpreadRatio', ETH, 100_000n),
      parameter('marketMaxPriceSpreadRatio', OP, 200_000n),
      parameter('maxTickCrossedWithinBlock', ETH, 1_000n),
      parameter('maxTickCrossedWithinBlock', OP, 1_000n),
      parameter('mmRatio', PROTOCOL, 62_500n),
    ],
  }
}
