/**
 * What Bulwark calls of Curie's deployed contracts (v2.6.0, Optimism 2023-04-12), per contract.
 * A test holds every line to the artifacts in @perp/curie-deployments. Subgraph mappings keep their own ABIs.
 */
import { parseAbi } from 'viem'

export const clearingHouseConfigAbi = parseAbi([
  'function getImRatio() view returns (uint24)',
  'function getMmRatio() view returns (uint24)',
  'function getLiquidationPenaltyRatio() view returns (uint24)',
  'function getPartialCloseRatio() view returns (uint24)',
  'function getTwapInterval() view returns (uint32)',
  'function getMaxMarketsPerAccount() view returns (uint8)',
  'function getSettlementTokenBalanceCap() view returns (uint256)',
  'function getMaxFundingRate() view returns (uint24)',
  'function getMarkPriceConfig() view returns (uint32, uint32)',
  'function setLiquidationPenaltyRatio(uint24 liquidationPenaltyRatioArg)',
  'function setPartialCloseRatio(uint24 partialCloseRatioArg)',
  'function setTwapInterval(uint32 twapIntervalArg)',
  'function setMaxMarketsPerAccount(uint8 maxMarketsPerAccountArg)',
  'function setSettlementTokenBalanceCap(uint256 cap)',
  'function setMaxFundingRate(uint24 rate)',
  'function setMarkPriceMarketTwapInterval(uint32 twapIntervalArg)',
  'function setMarkPricePremiumInterval(uint32 premiumIntervalArg)',
])

export const marketRegistryAbi = parseAbi([
  'struct MarketInfo { address pool; uint24 exchangeFeeRatio; uint24 uniswapFeeRatio; uint24 insuranceFundFeeRatio; uint24 maxPriceSpreadRatio; }',
  'function getMaxOrdersPerMarket() view returns (uint8)',
  'function getFeeRatio(address baseToken) view returns (uint24)',
  'function getInsuranceFundFeeRatio(address baseToken) view returns (uint24)',
  'function getMarketMaxPriceSpreadRatio(address baseToken) view returns (uint24)',
  'function getMarketInfo(address baseToken) view returns (MarketInfo)',
  'function setMaxOrdersPerMarket(uint8 maxOrdersPerMarketArg)',
  'function setFeeRatio(address baseToken, uint24 feeRatio)',
  'function setInsuranceFundFeeRatio(address baseToken, uint24 insuranceFundFeeRatioArg)',
  'function setMarketMaxPriceSpreadRatio(address baseToken, uint24 ratio)',
])

export const exchangeAbi = parseAbi([
  'function getMaxTickCrossedWithinBlock(address baseToken) view returns (uint24)',
  'function setMaxTickCrossedWithinBlock(address baseToken, uint24 maxTickCrossedWithinBlock)',
  'function getAllPendingFundingPayment(address trader) view returns (int256)',
  'function getPendingFundingPayment(address trader, address baseToken) view returns (int256)',
  'function getSqrtMarketTwapX96(address baseToken, uint32 twapInterval) view returns (uint160)',
])

export const collateralManagerAbi = parseAbi([
  'struct Config { address priceFeed; uint24 collateralRatio; uint24 discountRatio; uint256 depositCap; }',
  'function getCollateralConfig(address token) view returns (Config)',
  'function getPrice(address token, uint256 interval) view returns (uint256)',
  'function getPriceFeedDecimals(address token) view returns (uint8)',
  'function getMaxCollateralTokensPerAccount() view returns (uint8)',
  'function getMmRatioBuffer() view returns (uint24)',
  'function getDebtNonSettlementTokenValueRatio() view returns (uint24)',
  'function getLiquidationRatio() view returns (uint24)',
  'function getCLInsuranceFundFeeRatio() view returns (uint24)',
  'function getDebtThreshold() view returns (uint256)',
  'function getDebtThresholdByTrader(address trader) view returns (uint256)',
  'function getCollateralValueDust() view returns (uint256)',
  'function setPriceFeed(address token, address priceFeed)',
  'function setCollateralRatio(address token, uint24 collateralRatio)',
  'function setDiscountRatio(address token, uint24 discountRatio)',
  'function setDepositCap(address token, uint256 depositCap)',
  'function setMaxCollateralTokensPerAccount(uint8 maxCollateralTokensPerAccount)',
  'function setMmRatioBuffer(uint24 mmRatioBuffer)',
  'function setDebtNonSettlementTokenValueRatio(uint24 debtNonSettlementTokenValueRatio)',
  'function setLiquidationRatio(uint24 liquidationRatio)',
  'function setCLInsuranceFundFeeRatio(uint24 clInsuranceFundFeeRatio)',
  'function setDebtThreshold(uint256 debtThreshold)',
  'function setWhitelistedDebtThreshold(address trader, uint256 whitelistedDebtThreshold)',
  'function setCollateralValueDust(uint256 collateralValueDust)',
  'function paused() view returns (bool)',
  'function pause()',
  'function unpause()',
])

export const insuranceFundAbi = parseAbi([
  'function getDistributionThreshold() view returns (uint256)',
  'function getSurplusBeneficiary() view returns (address)',
  'function getInsuranceFundCapacity() view returns (int256)',
  'function setDistributionThreshold(uint256 distributionThreshold)',
  'function setSurplusBeneficiary(address surplusBeneficiary)',
  'function paused() view returns (bool)',
  'function pause()',
  'function unpause()',
])

export const baseTokenAbi = parseAbi([
  'function getPriceFeed() view returns (address)',
  'function getIndexPrice(uint256 interval) view returns (uint256)',
  'function getPausedIndexPrice() view returns (uint256)',
  'function getClosedPrice() view returns (uint256)',
  'function isOpen() view returns (bool)',
  'function isPaused() view returns (bool)',
  'function isClosed() view returns (bool)',
  'function setPriceFeed(address priceFeedArg)',
  'function pause()',
])

export const clearingHouseAbi = parseAbi([
  'function getAccountValue(address trader) view returns (int256)',
  'function paused() view returns (bool)',
  'function pause()',
  'function unpause()',
])

export const vaultAbi = parseAbi([
  'function getAccountValue(address trader) view returns (int256)',
  'function getBalance(address trader) view returns (int256)',
  'function getBalanceByToken(address trader, address token) view returns (int256)',
  'function getCollateralTokens(address trader) view returns (address[])',
  'function getFreeCollateral(address trader) view returns (uint256)',
  'function getFreeCollateralByRatio(address trader, uint24 ratio) view returns (int256)',
  'function getSettlementTokenValue(address trader) view returns (int256)',
  'function getMarginRequirementForCollateralLiquidation(address trader) view returns (int256)',
  'function getMaxRepaidSettlementAndLiquidatableCollateral(address trader, address token) view returns (uint256, uint256)',
  'function isLiquidatable(address trader) view returns (bool)',
  'function paused() view returns (bool)',
  'function pause()',
  'function unpause()',
])

export const accountBalanceAbi = parseAbi([
  'struct Info { int256 takerPositionSize; int256 takerOpenNotional; int256 lastTwPremiumGrowthGlobalX96; }',
  'function getAccountInfo(address trader, address baseToken) view returns (Info)',
  'function getBaseTokens(address trader) view returns (address[])',
  'function getLiquidatablePositionSize(address trader, address baseToken, int256 accountValue) view returns (int256)',
  'function getMarginRequirementForLiquidation(address trader) view returns (int256)',
  'function getMarkPrice(address baseToken) view returns (uint256)',
  'function getPnlAndPendingFee(address trader) view returns (int256, int256, uint256)',
  'function getTotalAbsPositionValue(address trader) view returns (uint256)',
  'function getTotalDebtValue(address trader) view returns (uint256)',
  'function getTotalOpenNotional(address trader, address baseToken) view returns (int256)',
  'function getTotalPositionSize(address trader, address baseToken) view returns (int256)',
])

export const orderBookAbi = parseAbi([
  'struct OpenOrder { uint128 liquidity; int24 lowerTick; int24 upperTick; uint256 lastFeeGrowthInsideX128; int256 lastTwPremiumGrowthInsideX96; int256 lastTwPremiumGrowthBelowX96; int256 lastTwPremiumDivBySqrtPriceGrowthInsideX96; uint256 baseDebt; uint256 quoteDebt; }',
  'function getOpenOrderIds(address trader, address baseToken) view returns (bytes32[])',
  'function getOpenOrderById(bytes32 orderId) view returns (OpenOrder)',
])

/** Uniswap V3 pool (v3-core 1.0.1). */
export const poolAbi = parseAbi([
  'function slot0() view returns (uint160 sqrtPriceX96, int24 tick, uint16 observationIndex, uint16 observationCardinality, uint16 observationCardinalityNext, uint8 feeProtocol, bool unlocked)',
])
