// One module for all data sources: it is compiled once, and graph-node keeps one copy of it.
export { handleFundingPaymentSettled, handleFundingUpdated, handleLiquidityChanged, handlePnlRealized, handlePositionChanged, handlePositionClosed, handlePositionLiquidated } from './clearing-house'
export {
  handleCLInsuranceFundFeeRatioChanged, handleClearingHousePaused, handleClearingHouseUnpaused, handleCollateralManagerPaused, handleCollateralManagerUnpaused,
  handleCollateralRatioChanged, handleCollateralValueDustChanged, handleDebtNonSettlementTokenValueRatioChanged, handleDebtThresholdChanged, handleDepositCapChanged,
  handleDiscountRatioChanged, handleDistributionThresholdChanged, handleFeeRatioChanged, handleInsuranceFundFeeRatioChanged, handleInsuranceFundPaused,
  handleInsuranceFundUnpaused, handleLiquidationPenaltyRatioChanged, handleLiquidationRatioChanged, handleMarkPriceMarketTwapIntervalChanged,
  handleMarkPricePremiumIntervalChanged, handleMarketMaxPriceSpreadRatioChanged, handleMaxCollateralTokensPerAccountChanged, handleMaxFundingRateChanged,
  handleMaxMarketsPerAccountChanged, handleMaxOrdersPerMarketChanged, handleMaxTickCrossedWithinBlockChanged, handleMmRatioBufferChanged, handlePartialCloseRatioChanged,
  handleSettlementTokenBalanceCapChanged, handleSurplusBeneficiaryChanged, handleTwapIntervalChanged, handleVaultPaused, handleVaultUnpaused, handleWhitelistedDebtThresholdChanged,
} from './governance'
export { handleFeeDistributed, handleFundReceived, handleFundSent, handleRepaid } from './insurance-fund'
export { handleCollateralAdded, handleCollateralPriceFeedChanged, handleMarketPriceFeedChanged, handleMarketStatusUpdated, handlePoolAdded } from './markets'
export { handleChainlinkPriceUpdated, handleDispatcherStatusUpdated } from './oracle'
export { handleBadDebtSettled, handleCollateralLiquidated, handleDeposited, handleWithdrawn } from './vault'
