import { BigInt, ethereum } from '@graphprotocol/graph-ts'
import {
  LiquidationPenaltyRatioChanged, MarkPriceMarketTwapIntervalChanged, MarkPricePremiumIntervalChanged, MaxFundingRateChanged,
  MaxMarketsPerAccountChanged, PartialCloseRatioChanged, SettlementTokenBalanceCapChanged, TwapIntervalChanged,
} from '../generated/ClearingHouseConfig/ClearingHouseConfig'
import { Paused as ClearingHousePaused, Unpaused as ClearingHouseUnpaused } from '../generated/ClearingHouse/ClearingHouse'
import { MaxTickCrossedWithinBlockChanged } from '../generated/Exchange/Exchange'
import { Paused as VaultPaused, Unpaused as VaultUnpaused } from '../generated/Vault/Vault'
import { DistributionThresholdChanged, Paused as InsuranceFundPaused, SurplusBeneficiaryChanged, Unpaused as InsuranceFundUnpaused } from '../generated/InsuranceFund/InsuranceFund'
import {
  CLInsuranceFundFeeRatioChanged, CollateralRatioChanged, CollateralValueDustChanged, DebtNonSettlementTokenValueRatioChanged,
  DebtThresholdChanged, DepositCapChanged, DiscountRatioChanged, LiquidationRatioChanged, MaxCollateralTokensPerAccountChanged,
  MmRatioBufferChanged, Paused as CollateralManagerPaused, Unpaused as CollateralManagerUnpaused, WhitelistedDebtThresholdChanged,
} from '../generated/CollateralManager/CollateralManager'
import { FeeRatioChanged, InsuranceFundFeeRatioChanged, MarketMaxPriceSpreadRatioChanged, MaxOrdersPerMarketChanged } from '../generated/MarketRegistry/MarketRegistry'
import { setParameter, setProtocolParameter } from './parameters'
import { addressToInt } from './units'

/** What MarketRegistry answers while a market's own spread ratio is 0 (its constant, 10 %). */
const DEFAULT_PRICE_SPREAD_RATIO_E6: i32 = 100000

// ClearingHouseConfig
export function handleLiquidationPenaltyRatioChanged(event: LiquidationPenaltyRatioChanged): void { setProtocolParameter(event, 'liquidationPenaltyRatio', BigInt.fromI32(event.params.liquidationPenaltyRatio)) }
export function handlePartialCloseRatioChanged(event: PartialCloseRatioChanged): void { setProtocolParameter(event, 'partialCloseRatio', BigInt.fromI32(event.params.partialCloseRatio)) }
export function handleTwapIntervalChanged(event: TwapIntervalChanged): void { setProtocolParameter(event, 'twapInterval', event.params.twapInterval) }
export function handleMaxMarketsPerAccountChanged(event: MaxMarketsPerAccountChanged): void { setProtocolParameter(event, 'maxMarketsPerAccount', BigInt.fromI32(event.params.maxMarketsPerAccount)) }
export function handleSettlementTokenBalanceCapChanged(event: SettlementTokenBalanceCapChanged): void { setProtocolParameter(event, 'settlementTokenBalanceCap', event.params.cap) }
export function handleMaxFundingRateChanged(event: MaxFundingRateChanged): void { setProtocolParameter(event, 'maxFundingRate', BigInt.fromI32(event.params.rate)) }
export function handleMarkPriceMarketTwapIntervalChanged(event: MarkPriceMarketTwapIntervalChanged): void { setProtocolParameter(event, 'markPriceMarketTwapInterval', event.params.twapInterval) }
export function handleMarkPricePremiumIntervalChanged(event: MarkPricePremiumIntervalChanged): void { setProtocolParameter(event, 'markPricePremiumInterval', event.params.premiumInterval) }

// MarketRegistry
export function handleMaxOrdersPerMarketChanged(event: MaxOrdersPerMarketChanged): void { setProtocolParameter(event, 'maxOrdersPerMarket', BigInt.fromI32(event.params.maxOrdersPerMarket)) }
export function handleFeeRatioChanged(event: FeeRatioChanged): void { setParameter(event, 'feeRatio', 'MARKET', event.params.baseToken, BigInt.fromI32(event.params.feeRatio)) }
/** The argument is called feeRatio; it is the fund's share of the fee. */
export function handleInsuranceFundFeeRatioChanged(event: InsuranceFundFeeRatioChanged): void { setParameter(event, 'insuranceFundFeeRatio', 'MARKET', event.params.baseToken, BigInt.fromI32(event.params.feeRatio)) }
export function handleMarketMaxPriceSpreadRatioChanged(event: MarketMaxPriceSpreadRatioChanged): void { setPriceSpreadRatio(event) }

// Exchange
export function handleMaxTickCrossedWithinBlockChanged(event: MaxTickCrossedWithinBlockChanged): void { setParameter(event, 'maxTickCrossedWithinBlock', 'MARKET', event.params.baseToken, BigInt.fromI32(event.params.maxTickCrossedWithinBlock)) }

// CollateralManager
export function handleCollateralRatioChanged(event: CollateralRatioChanged): void { setParameter(event, 'collateralRatio', 'COLLATERAL', event.params.token, BigInt.fromI32(event.params.collateralRatio)) }
export function handleDiscountRatioChanged(event: DiscountRatioChanged): void { setParameter(event, 'discountRatio', 'COLLATERAL', event.params.token, BigInt.fromI32(event.params.discountRatio)) }
export function handleDepositCapChanged(event: DepositCapChanged): void { setParameter(event, 'depositCap', 'COLLATERAL', event.params.token, event.params.depositCap) }
export function handleMaxCollateralTokensPerAccountChanged(event: MaxCollateralTokensPerAccountChanged): void { setProtocolParameter(event, 'maxCollateralTokensPerAccount', BigInt.fromI32(event.params.maxCollateralTokensPerAccount)) }
export function handleMmRatioBufferChanged(event: MmRatioBufferChanged): void { setProtocolParameter(event, 'mmRatioBuffer', BigInt.fromI32(event.params.mmRatioBuffer)) }
export function handleDebtNonSettlementTokenValueRatioChanged(event: DebtNonSettlementTokenValueRatioChanged): void { setProtocolParameter(event, 'debtNonSettlementTokenValueRatio', BigInt.fromI32(event.params.debtNonSettlementTokenValueRatio)) }
export function handleLiquidationRatioChanged(event: LiquidationRatioChanged): void { setProtocolParameter(event, 'liquidationRatio', BigInt.fromI32(event.params.liquidationRatio)) }
export function handleCLInsuranceFundFeeRatioChanged(event: CLInsuranceFundFeeRatioChanged): void { setProtocolParameter(event, 'clInsuranceFundFeeRatio', BigInt.fromI32(event.params.clInsuranceFundFeeRatio)) }
export function handleDebtThresholdChanged(event: DebtThresholdChanged): void { setProtocolParameter(event, 'debtThreshold', event.params.debtThreshold) }
export function handleCollateralValueDustChanged(event: CollateralValueDustChanged): void { setProtocolParameter(event, 'collateralValueDust', event.params.collateralValueDust) }
export function handleWhitelistedDebtThresholdChanged(event: WhitelistedDebtThresholdChanged): void { setParameter(event, 'whitelistedDebtThreshold', 'ACCOUNT', event.params.trader, event.params.whitelistedDebtThreshold) }

// InsuranceFund
export function handleDistributionThresholdChanged(event: DistributionThresholdChanged): void { setProtocolParameter(event, 'distributionThreshold', event.params.distributionThreshold) }
export function handleSurplusBeneficiaryChanged(event: SurplusBeneficiaryChanged): void { setProtocolParameter(event, 'surplusBeneficiary', addressToInt(event.params.surplusBeneficiary)) }

// Pauses
export function handleClearingHousePaused(event: ClearingHousePaused): void { setPaused(event, 'clearingHousePaused', 1) }
export function handleClearingHouseUnpaused(event: ClearingHouseUnpaused): void { setPaused(event, 'clearingHousePaused', 0) }
export function handleVaultPaused(event: VaultPaused): void { setPaused(event, 'vaultPaused', 1) }
export function handleVaultUnpaused(event: VaultUnpaused): void { setPaused(event, 'vaultPaused', 0) }
export function handleCollateralManagerPaused(event: CollateralManagerPaused): void { setPaused(event, 'collateralManagerPaused', 1) }
export function handleCollateralManagerUnpaused(event: CollateralManagerUnpaused): void { setPaused(event, 'collateralManagerPaused', 0) }
export function handleInsuranceFundPaused(event: InsuranceFundPaused): void { setPaused(event, 'insuranceFundPaused', 1) }
export function handleInsuranceFundUnpaused(event: InsuranceFundUnpaused): void { setPaused(event, 'insuranceFundPaused', 0) }

/** 0 is no band of 0: it means the default. */
function setPriceSpreadRatio(event: MarketMaxPriceSpreadRatioChanged): void {
  const announcedE6 = event.params.spreadRatio
  const effectiveE6 = announcedE6 == 0 ? DEFAULT_PRICE_SPREAD_RATIO_E6 : announcedE6
  setParameter(event, 'marketMaxPriceSpreadRatio', 'MARKET', event.params.baseToken, BigInt.fromI32(effectiveE6))
}

function setPaused(event: ethereum.Event, name: string, flag: i32): void {
  setProtocolParameter(event, name, BigInt.fromI32(flag))
}
