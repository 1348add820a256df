import { Address, BigInt, ethereum } from '@graphprotocol/graph-ts'
import { ClearingHouse } from '../generated/MarketRegistry/ClearingHouse'
import { ClearingHouseConfig } from '../generated/MarketRegistry/ClearingHouseConfig'
import { CollateralManager } from '../generated/MarketRegistry/CollateralManager'
import { Exchange } from '../generated/MarketRegistry/Exchange'
import { InsuranceFund } from '../generated/MarketRegistry/InsuranceFund'
import { MarketRegistry } from '../generated/MarketRegistry/MarketRegistry'
import { Vault } from '../generated/MarketRegistry/Vault'
import { CLEARING_HOUSE, CLEARING_HOUSE_CONFIG, COLLATERAL_MANAGER, EXCHANGE, INSURANCE_FUND, MARKET_REGISTRY, VAULT } from '../generated/network'
import { setReadParameter } from './parameters'
import { addressToInt } from './units'

function setInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<i32>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', CLEARING_HOUSE, BigInt.fromI32(answer.value))
}

function setBigInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<BigInt>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', CLEARING_HOUSE, answer.value)
}

function setFlag(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<boolean>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', CLEARING_HOUSE, BigInt.fromI32(answer.value ? 1 : 0))
}

/**
 * Reads, once, the protocol's parameters that its contracts set without an event when they were initialised.
 * A call answers for the end of the block. What the deployed release does not have reverts and stays unknown.
 */
export function readProtocolParameters(event: ethereum.Event): void {
  const config = ClearingHouseConfig.bind(CLEARING_HOUSE_CONFIG)
  setInt(event, CLEARING_HOUSE_CONFIG, 'imRatio', config.try_getImRatio())
  setInt(event, CLEARING_HOUSE_CONFIG, 'mmRatio', config.try_getMmRatio())
  setInt(event, CLEARING_HOUSE_CONFIG, 'liquidationPenaltyRatio', config.try_getLiquidationPenaltyRatio())
  setInt(event, CLEARING_HOUSE_CONFIG, 'partialCloseRatio', config.try_getPartialCloseRatio())
  setInt(event, CLEARING_HOUSE_CONFIG, 'maxMarketsPerAccount', config.try_getMaxMarketsPerAccount())
  setInt(event, CLEARING_HOUSE_CONFIG, 'maxFundingRate', config.try_getMaxFundingRate())
  setBigInt(event, CLEARING_HOUSE_CONFIG, 'twapInterval', config.try_getTwapInterval())
  setBigInt(event, CLEARING_HOUSE_CONFIG, 'settlementTokenBalanceCap', config.try_getSettlementTokenBalanceCap())
  const markPrice = config.try_getMarkPriceConfig()
  if (!markPrice.reverted) {
    setReadParameter(event, CLEARING_HOUSE_CONFIG, 'markPriceMarketTwapInterval', 'PROTOCOL', CLEARING_HOUSE, markPrice.value.value0)
    setReadParameter(event, CLEARING_HOUSE_CONFIG, 'markPricePremiumInterval', 'PROTOCOL', CLEARING_HOUSE, markPrice.value.value1)
  }
  setInt(event, MARKET_REGISTRY, 'maxOrdersPerMarket', MarketRegistry.bind(MARKET_REGISTRY).try_getMaxOrdersPerMarket())

  const fund = InsuranceFund.bind(INSURANCE_FUND)
  setBigInt(event, INSURANCE_FUND, 'distributionThreshold', fund.try_getDistributionThreshold())
  const beneficiary = fund.try_getSurplusBeneficiary()
  if (!beneficiary.reverted) setReadParameter(event, INSURANCE_FUND, 'surplusBeneficiary', 'PROTOCOL', CLEARING_HOUSE, addressToInt(beneficiary.value))

  setFlag(event, CLEARING_HOUSE, 'clearingHousePaused', ClearingHouse.bind(CLEARING_HOUSE).try_paused())
  setFlag(event, VAULT, 'vaultPaused', Vault.bind(VAULT).try_paused())
  setFlag(event, COLLATERAL_MANAGER, 'collateralManagerPaused', CollateralManager.bind(COLLATERAL_MANAGER).try_paused())
  setFlag(event, INSURANCE_FUND, 'insuranceFundPaused', fund.try_paused())
}

/** Reads a new market's parameters that no event has announced. */
export function readMarketParameters(event: ethereum.Event, baseToken: Address): void {
  const registry = MarketRegistry.bind(MARKET_REGISTRY)
  setMarketInt(event, MARKET_REGISTRY, 'insuranceFundFeeRatio', baseToken, registry.try_getInsuranceFundFeeRatio(baseToken))
  setMarketInt(event, MARKET_REGISTRY, 'marketMaxPriceSpreadRatio', baseToken, registry.try_getMarketMaxPriceSpreadRatio(baseToken))
  setMarketInt(event, EXCHANGE, 'maxTickCrossedWithinBlock', baseToken, Exchange.bind(EXCHANGE).try_getMaxTickCrossedWithinBlock(baseToken))
}

function setMarketInt(event: ethereum.Event, contract: Address, name: string, baseToken: Address, answer: ethereum.CallResult<i32>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'MARKET', baseToken, BigInt.fromI32(answer.value))
}
