import { Address, BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { ClearingHouse } from '../generated/MarketRegistry/ClearingHouse'
import { ClearingHouseConfig } from '../generated/MarketRegistry/ClearingHouseConfig'
import { CollateralManager } from '../generated/MarketRegistry/CollateralManager'
import { Exchange } from '../generated/MarketRegistry/Exchange'
import { InsuranceFund } from '../generated/MarketRegistry/InsuranceFund'
import { MarketRegistry } from '../generated/MarketRegistry/MarketRegistry'
import { Vault } from '../generated/MarketRegistry/Vault'
import { clearingHouseAddress, clearingHouseConfigAddress, collateralManagerAddress, exchangeAddress, insuranceFundAddress, marketRegistryAddress, vaultAddress } from '../generated/network'
import { setParameterReadAgain, setReadParameter } from './parameters'
import { loadProtocol } from './states'
import { addressToInt } from './units'

/**
 * Reads, once, the protocol's parameters that its contracts set without an event when they were initialised.
 * A call answers for the end of the block. What the deployed release does not have reverts and stays unknown.
 */
export function readProtocolParameters(event: ethereum.Event): void {
  readConfig(event, false)
  readRegistry(event, false)
  readFund(event, false)
  readPause(event, clearingHouseAddress(), false)
  readPause(event, vaultAddress(), false)
  readPause(event, collateralManagerAddress(), false)
}

/**
 * Reads what is read from the contract whose code is another now; imRatio and mmRatio have no other way to change, and what the code
 * before did not have becomes known.
 */
export function readAgain(event: ethereum.Event): void {
  const address = event.address
  if (address.equals(clearingHouseConfigAddress())) readConfig(event, true)
  else if (address.equals(insuranceFundAddress())) readFund(event, true)
  else if (address.equals(marketRegistryAddress())) {
    readRegistry(event, true)
    const markets = loadProtocol().markets.load()
    for (let i = 0; i < markets.length; i++) readMarketOfRegistry(event, Address.fromBytes(markets[i].id), true)
  } else if (address.equals(exchangeAddress())) {
    const markets = loadProtocol().markets.load()
    for (let i = 0; i < markets.length; i++) readMarketOfExchange(event, Address.fromBytes(markets[i].id), true)
  } else readPause(event, address, true)
}

function readConfig(event: ethereum.Event, isAgain: boolean): void {
  const address = clearingHouseConfigAddress()
  const config = ClearingHouseConfig.bind(address)
  setInt(event, address, 'imRatio', config.try_getImRatio(), isAgain)
  setInt(event, address, 'mmRatio', config.try_getMmRatio(), isAgain)
  setInt(event, address, 'liquidationPenaltyRatio', config.try_getLiquidationPenaltyRatio(), isAgain)
  setInt(event, address, 'partialCloseRatio', config.try_getPartialCloseRatio(), isAgain)
  setInt(event, address, 'maxMarketsPerAccount', config.try_getMaxMarketsPerAccount(), isAgain)
  setInt(event, address, 'maxFundingRate', config.try_getMaxFundingRate(), isAgain)
  setBigInt(event, address, 'twapInterval', config.try_getTwapInterval(), isAgain)
  setBigInt(event, address, 'settlementTokenBalanceCap', config.try_getSettlementTokenBalanceCap(), isAgain)
  const markPrice = config.try_getMarkPriceConfig()
  if (!markPrice.reverted) {
    set(event, address, 'markPriceMarketTwapInterval', markPrice.value.value0, isAgain)
    set(event, address, 'markPricePremiumInterval', markPrice.value.value1, isAgain)
  }
}

function readRegistry(event: ethereum.Event, isAgain: boolean): void {
  setInt(event, marketRegistryAddress(), 'maxOrdersPerMarket', MarketRegistry.bind(marketRegistryAddress()).try_getMaxOrdersPerMarket(), isAgain)
}

function readFund(event: ethereum.Event, isAgain: boolean): void {
  const fund = InsuranceFund.bind(insuranceFundAddress())
  setBigInt(event, insuranceFundAddress(), 'distributionThreshold', fund.try_getDistributionThreshold(), isAgain)
  const beneficiary = fund.try_getSurplusBeneficiary()
  if (!beneficiary.reverted) set(event, insuranceFundAddress(), 'surplusBeneficiary', addressToInt(beneficiary.value), isAgain)
  setFlag(event, insuranceFundAddress(), 'insuranceFundPaused', fund.try_paused(), isAgain)
}

/** Reads whether one of the three contracts that have no other parameter of their own to read is paused. */
export function readPause(event: ethereum.Event, contract: Address, isAgain: boolean): void {
  if (contract.equals(clearingHouseAddress())) setFlag(event, contract, 'clearingHousePaused', ClearingHouse.bind(contract).try_paused(), isAgain)
  else if (contract.equals(vaultAddress())) setFlag(event, contract, 'vaultPaused', Vault.bind(contract).try_paused(), isAgain)
  else if (contract.equals(collateralManagerAddress())) setFlag(event, contract, 'collateralManagerPaused', CollateralManager.bind(contract).try_paused(), isAgain)
}

/** Reads a new market's parameters that no event has announced. */
export function readMarketParameters(event: ethereum.Event, baseToken: Address): void {
  readMarketOfRegistry(event, baseToken, false)
  readMarketOfExchange(event, baseToken, false)
}

function readMarketOfRegistry(event: ethereum.Event, baseToken: Address, isAgain: boolean): void {
  const registry = MarketRegistry.bind(marketRegistryAddress())
  setMarketInt(event, marketRegistryAddress(), 'insuranceFundFeeRatio', baseToken, registry.try_getInsuranceFundFeeRatio(baseToken), isAgain)
  setMarketInt(event, marketRegistryAddress(), 'marketMaxPriceSpreadRatio', baseToken, registry.try_getMarketMaxPriceSpreadRatio(baseToken), isAgain)
}

function readMarketOfExchange(event: ethereum.Event, baseToken: Address, isAgain: boolean): void {
  setMarketInt(event, exchangeAddress(), 'maxTickCrossedWithinBlock', baseToken, Exchange.bind(exchangeAddress()).try_getMaxTickCrossedWithinBlock(baseToken), isAgain)
}

function setMarketInt(event: ethereum.Event, contract: Address, name: string, baseToken: Address, answer: ethereum.CallResult<i32>, isAgain: boolean): void {
  if (!answer.reverted) write(event, contract, name, 'MARKET', baseToken, BigInt.fromI32(answer.value), isAgain)
}

function setInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<i32>, isAgain: boolean): void {
  if (!answer.reverted) set(event, contract, name, BigInt.fromI32(answer.value), isAgain)
}

function setBigInt(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<BigInt>, isAgain: boolean): void {
  if (!answer.reverted) set(event, contract, name, answer.value, isAgain)
}

function setFlag(event: ethereum.Event, contract: Address, name: string, answer: ethereum.CallResult<boolean>, isAgain: boolean): void {
  if (!answer.reverted) set(event, contract, name, BigInt.fromI32(answer.value ? 1 : 0), isAgain)
}

function set(event: ethereum.Event, contract: Address, name: string, value: BigInt, isAgain: boolean): void {
  write(event, contract, name, 'PROTOCOL', clearingHouseAddress(), value, isAgain)
}

function write(event: ethereum.Event, contract: Address, name: string, scope: string, subject: Bytes, value: BigInt, isAgain: boolean): void {
  if (isAgain) setParameterReadAgain(event, contract, name, scope, subject, value)
  else setReadParameter(event, contract, name, scope, subject, value)
}
