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
export { handleAnswerUpdated, handleChainlinkPriceUpdated, handleDispatcherStatusUpdated } from './oracle'
export {
  handleAddedOwner, handleApproveHash, handleCallExecuted, handleCallScheduled, handleCancelled, handleChangedFallbackHandler, handleChangedGuard, handleChangedModuleGuard,
  handleChangedThreshold, handleDisabledModule, handleEnabledModule, handleExecutionFailure, handleExecutionFromModuleFailure, handleExecutionFromModuleSuccess,
  handleExecutionSuccess, handleMinDelayChange, handleRemovedOwner, handleRoleGranted, handleRoleRevoked, handleSafeSetup, handleSignMsg,
} from './owners'
export {
  handleAccountBalanceChanged, handleAdminChanged, handleBorrowerChanged, handleClearingHouseChanged, handleClearingHouseConfigChanged, handleCollateralManagerChanged,
  handleDelegateApprovalChanged, handleExchangeChanged, handleOwnershipTransferred, handleTrustedForwarderChanged, handleTrustedForwarderUpdated,
  handleUniswapV3PriceFeedUpdated, handleUpgraded, handleVaultChanged, handleWETH9Changed, handleWhitelistAdded, handleWhitelistRemoved,
} from './ownership'
export { handleBurn, handleIncreaseObservationCardinalityNext, handleMint, handleSwap } from './pools'
export { handleBadDebtSettled, handleCollateralLiquidated, handleDeposited, handleWithdrawn } from './vault'
