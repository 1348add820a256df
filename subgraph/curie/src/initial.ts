import { Address, BigInt, ethereum } from '@graphprotocol/graph-ts'
import { ClearingHouse } from '../generated/MarketRegistry/ClearingHouse'
import { ClearingHouseConfig } from '../generated/MarketRegistry/ClearingHouseConfig'
import { CollateralManager } from '../generated/MarketRegistry/CollateralManager'
import { Exchange } from '../generated/MarketRegistry/Exchange'
import { InsuranceFund } from '../generated/MarketRegistry/InsuranceFund'
import { MarketRegistry } from '../generated/MarketRegistry/MarketRegistry'
import { Vault } from '../generated/MarketRegistry/Vault'
import { clearingHouseAddress, clearingHouseConfigAddress, collateralManagerAddress, exchangeAddress, insuranceFundAddress, marketRegistryAddress, vaultAddress } from '../generated/network'
import { setReadParameter } from './parameters'
import { addressToInt } from './units'

function setInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<i32>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', clearingHouseAddress(), BigInt.fromI32(answer.value))
}

function setBigInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<BigInt>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', clearingHouseAddress(), answer.value)
}

function setFlag(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<boolean>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'PROTOCOL', clearingHouseAddress(), BigInt.fromI32(answer.value ? 1 : 0))
}

/**
 * Reads, once, the protocol's parameters that its contracts set without an event when they were initialised.
 * A call answers for the end of the block. What the deployed release does not have reverts and stays unknown.
 */
export function readProtocolParameters(event: ethereum.Event): void {
  const config = ClearingHouseConfig.bind(clearingHouseConfigAddress())
  setInt(event, clearingHouseConfigAddress(), 'imRatio', config.try_getImRatio())
  setInt(event, clearingHouseConfigAddress(), 'mmRatio', config.try_getMmRatio())
  setInt(event, clearingHouseConfigAddress(), 'liquidationPenaltyRatio', config.try_getLiquidationPenaltyRatio())
  setInt(event, clearingHouseConfigAddress(), 'partialCloseRatio', config.try_getPartialCloseRatio())
  setInt(event, clearingHouseConfigAddress(), 'maxMarketsPerAccount', config.try_getMaxMarketsPerAccount())
  setInt(event, clearingHouseConfigAddress(), 'maxFundingRate', config.try_getMaxFundingRate())
  setBigInt(event, clearingHouseConfigAddress(), 'twapInterval', config.try_getTwapInterval())
  setBigInt(event, clearingHouseConfigAddress(), 'settlementTokenBalanceCap', config.try_getSettlementTokenBalanceCap())
  const markPrice = config.try_getMarkPriceConfig()
  if (!markPrice.reverted) {
    setReadParameter(event, clearingHouseConfigAddress(), 'markPriceMarketTwapInterval', 'PROTOCOL', clearingHouseAddress(), markPrice.value.value0)
    setReadParameter(event, clearingHouseConfigAddress(), 'markPricePremiumInterval', 'PROTOCOL', clearingHouseAddress(), markPrice.value.value1)
  }
  setInt(event, marketRegistryAddress(), 'maxOrdersPerMarket', MarketRegistry.bind(marketRegistryAddress()).try_getMaxOrdersPerMarket())

  const fund = InsuranceFund.bind(insuranceFundAddress())
  setBigInt(event, insuranceFundAddress(), 'distributionThreshold', fund.try_getDistributionThreshold())
  const beneficiary = fund.try_getSurplusBeneficiary()
  if (!beneficiary.reverted) setReadParameter(event, insuranceFundAddress(), 'surplusBeneficiary', 'PROTOCOL', clearingHouseAddress(), addressToInt(beneficiary.value))

  setFlag(event, clearingHouseAddress(), 'clearingHousePaused', ClearingHouse.bind(clearingHouseAddress()).try_paused())
  setFlag(event, vaultAddress(), 'vaultPaused', Vault.bind(vaultAddress()).try_paused())
  setFlag(event, collateralManagerAddress(), 'collateralManagerPaused', CollateralManager.bind(collateralManagerAddress()).try_paused())
  setFlag(event, insuranceFundAddress(), 'insuranceFundPaused', fund.try_paused())
}

/** Reads a new market's parameters that no event has announced. */
export function readMarketParameters(event: ethereum.Event, baseToken: Address): void {
  const registry = MarketRegistry.bind(marketRegistryAddress())
  setMarketInt(event, marketRegistryAddress(), 'insuranceFundFeeRatio', baseToken, registry.try_getInsuranceFundFeeRatio(baseToken))
  setMarketInt(event, marketRegistryAddress(), 'marketMaxPriceSpreadRatio', baseToken, registry.try_getMarketMaxPriceSpreadRatio(baseToken))
  setMarketInt(event, exchangeAddress(), 'maxTickCrossedWithinBlock', baseToken, Exchange.bind(exchangeAddress()).try_getMaxTickCrossedWithinBlock(baseToken))
}

function setMarketInt(event: ethereum.Event, contract: Address, name: string, baseToken: Address, answer: ethereum.CallResult<i32>): void {
  if (!answer.reverted) setReadParameter(event, contract, name, 'MARKET', baseToken, BigInt.fromI32(answer.value))
}
