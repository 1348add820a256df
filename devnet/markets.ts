/** What the devnet starts with. Plausible, and imperfect on purpose: some values are too loose, some too tight. */

/** A market at its launch. Ratios are 1e6 = 100 %. */
export type MarketSetup = {
  readonly symbol: string
  readonly name: string
  readonly pair: string
  /** Index price of the first day, in USD. */
  readonly initialPriceUsd: number
  readonly feeRatioE6: number
  readonly insuranceFundFeeRatioE6: number
  /** Band of market price around index price; 0 leaves the protocol's default of 10 %. */
  readonly maxPriceSpreadRatioE6: number
  readonly maxTickCrossed: number
}

export const MARKETS: readonly MarketSetup[] = [
  { symbol: 'vETH', name: 'Virtual Ether', pair: 'ETH / USD', initialPriceUsd: 3_200, feeRatioE6: 1_000, insuranceFundFeeRatioE6: 100_000, maxPriceSpreadRatioE6: 0, maxTickCrossed: 1_000 },
  { symbol: 'vBTC', name: 'Virtual Bitcoin', pair: 'BTC / USD', initialPriceUsd: 68_000, feeRatioE6: 1_000, insuranceFundFeeRatioE6: 100_000, maxPriceSpreadRatioE6: 100_000, maxTickCrossed: 300 },
  { symbol: 'vOP', name: 'Virtual Optimism', pair: 'OP / USD', initialPriceUsd: 2.4, feeRatioE6: 1_500, insuranceFundFeeRatioE6: 200_000, maxPriceSpreadRatioE6: 200_000, maxTickCrossed: 1_000 },
]

/** Uniswap's own fee tier of the pools; traders pay `feeRatioE6` instead. */
export const POOL_FEE_E6 = 3_000
export const TICK_SPACING = 60

/** Past prices that a pool keeps: enough for 30 minutes of one swap every 6 seconds. */
export const POOL_OBSERVATIONS = 300

/** A feed whose last valid price is older than this counts as timed out. */
export const FEED_TIMEOUT_SEC = 2_400

/** Average that the feeds cache: the interval of collateral prices and funding. */
export const FEED_TWAP_SEC = 900

export const COLLATERAL = { symbol: 'WETH', collateralRatioE6: 850_000, discountRatioE6: 50_000, depositCap: 20_000n * 10n ** 18n } as const

/** Arguments of CollateralManager.initialize. Amounts in USDC, 6 decimals. */
export const COLLATERAL_RULES = {
  maxCollateralTokensPerAccount: 4,
  debtNonSettlementTokenValueRatioE6: 750_000,
  liquidationRatioE6: 500_000,
  mmRatioBufferE6: 5_000,
  insuranceFundFeeRatioE6: 30_000,
  debtThresholdE6: 10_000_000_000n,
  collateralValueDustE6: 500_000_000n,
} as const

/** USDC, 6 decimals. */
export const SETTLEMENT_CAP_E6 = 500_000_000_000_000n
export const DISTRIBUTION_THRESHOLD_E6 = 250_000_000_000n

/** The Safe that owns the protocol. */
export const SAFE_THRESHOLD = 2
