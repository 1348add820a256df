import { Address, BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { CollateralAsset, Market, MarketStatusChange } from '../generated/schema'
import { BaseToken as BaseTokenSource } from '../generated/templates'
import { BaseToken, PriceFeedChanged as MarketPriceFeedChanged, StatusUpdated } from '../generated/templates/BaseToken/BaseToken'
import { CollateralAdded, PriceFeedChanged as CollateralPriceFeedChanged } from '../generated/CollateralManager/CollateralManager'
import { PoolAdded } from '../generated/MarketRegistry/MarketRegistry'
import { ERC20 } from '../generated/MarketRegistry/ERC20'
import { DECIMALS, SYMBOLS } from '../generated/network'
import { readMarketParameters, readPause, readProtocolParameters } from './initial'
import { linkFeed } from './oracle'
import { introduceContract } from './ownership'
import { setParameter, setReadParameter } from './parameters'
import { followPool } from './pools'
import { loadMarket, loadProtocol, protocolId, saveMarket, saveProtocol } from './states'
import { ZERO, addressToInt, factId, known } from './units'

export function handlePoolAdded(event: PoolAdded): void { addMarket(event) }
export function handleMarketPriceFeedChanged(event: MarketPriceFeedChanged): void { changeMarketFeed(event) }
export function handleMarketStatusUpdated(event: StatusUpdated): void { changeMarketStatus(event) }
export function handleCollateralAdded(event: CollateralAdded): void { addCollateral(event) }
export function handleCollateralPriceFeedChanged(event: CollateralPriceFeedChanged): void { changeCollateralFeed(event) }

function symbolOf(token: Address): string {
  const symbol = known(SYMBOLS, token)
  if (symbol !== null) return symbol
  const answer = ERC20.bind(token).try_symbol()
  return answer.reverted ? token.toHexString() : answer.value
}

/**
 * A market. Its trading fee starts at the fee tier of the pool, which is what feeRatio is in this event alone;
 * FeeRatioChanged moves the trading fee and never the tier.
 */
function addMarket(event: PoolAdded): void {
  const p = event.params
  const protocol = loadProtocol()
  if (protocol.marketCount == 0) readProtocolParameters(event)
  protocol.marketCount += 1
  saveProtocol(protocol, event)

  const market = new Market(p.baseToken)
  market.protocol = protocol.id
  market.symbol = symbolOf(p.baseToken)
  market.pool = p.pool
  market.poolFeeE6 = p.feeRatio
  market.state = 'OPEN'
  market.openInterestLongE18 = ZERO
  market.openInterestShortE18 = ZERO
  market.volumeE18 = ZERO
  market.liquidatedNotionalE18 = ZERO
  market.liquidationCount = 0
  market.feesE18 = ZERO
  market.createdAtBlock = event.block.number
  market.createdAtTimestamp = event.block.timestamp

  setParameter(event, 'feeRatio', 'MARKET', p.baseToken, BigInt.fromI32(p.feeRatio))
  readMarketParameters(event, p.baseToken)

  const baseToken = BaseToken.bind(p.baseToken)
  const priceFeed = baseToken.try_getPriceFeed()
  if (!priceFeed.reverted) {
    setReadParameter(event, p.baseToken, 'baseTokenPriceFeed', 'MARKET', p.baseToken, addressToInt(priceFeed.value))
    market.feed = linkFeed(priceFeed.value, event)
  }
  // Releases before the market status existed revert here, and their markets are always open.
  const isOpen = baseToken.try_isOpen()
  if (!isOpen.reverted) {
    if (!isOpen.value) market.state = 'PAUSED'
    setReadParameter(event, p.baseToken, 'marketStatus', 'MARKET', p.baseToken, BigInt.fromI32(isOpen.value ? 0 : 1))
  }
  saveMarket(market, event)
  BaseTokenSource.create(p.baseToken)
  introduceContract(event, p.baseToken, market.symbol, baseToken.try_owner())
  followPool(event, p.baseToken, p.pool, p.feeRatio)
}

function changeMarketFeed(event: MarketPriceFeedChanged): void {
  const market = loadMarket(event.address)
  market.feed = linkFeed(event.params.priceFeed, event)
  saveMarket(market, event)
  setParameter(event, 'baseTokenPriceFeed', 'MARKET', event.address, addressToInt(event.params.priceFeed))
}

/** 0 open, 1 paused, 2 closed. The event names no price: the contract is asked, at most twice in a market's life. */
function changeMarketStatus(event: StatusUpdated): void {
  const market = loadMarket(event.address)
  const oldState = market.state
  const status = event.params.status
  const newState = status == 0 ? 'OPEN' : status == 1 ? 'PAUSED' : 'CLOSED'
  market.state = newState
  const baseToken = BaseToken.bind(event.address)
  if (status == 1) {
    const pausedPrice = baseToken.try_getPausedIndexPrice()
    if (!pausedPrice.reverted) market.pausedIndexPriceE18 = pausedPrice.value
  } else if (status == 2) {
    const closedPrice = baseToken.try_getClosedPrice()
    if (!closedPrice.reverted) market.closedPriceE18 = closedPrice.value
  }
  saveMarket(market, event)
  // Anyone may close a market that has been paused long enough, and no argument tells who did.
  setParameter(event, 'marketStatus', 'MARKET', event.address, BigInt.fromI32(status), 0, status != 2)

  const change = new MarketStatusChange(factId(event))
  change.market = market.id
  change.oldState = oldState
  change.newState = newState
  change.priceE18 = status == 1 ? market.pausedIndexPriceE18 : status == 2 ? market.closedPriceE18 : null
  change.sender = event.transaction.from
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

function addCollateral(event: CollateralAdded): void {
  const p = event.params
  const asset = new CollateralAsset(p.token)
  asset.protocol = protocolId(event)
  asset.symbol = symbolOf(p.token)
  asset.decimals = decimalsOf(p.token)
  asset.priceFeed = p.priceFeed
  asset.feed = linkFeed(p.priceFeed, event)
  asset.totalBalance = ZERO
  saveAsset(asset, event)

  setParameter(event, 'collateralPriceFeed', 'COLLATERAL', p.token, addressToInt(p.priceFeed), 0)
  setParameter(event, 'collateralRatio', 'COLLATERAL', p.token, BigInt.fromI32(p.collateralRatio), 1)
  setParameter(event, 'discountRatio', 'COLLATERAL', p.token, BigInt.fromI32(p.discountRatio), 2)
  setParameter(event, 'depositCap', 'COLLATERAL', p.token, p.depositCap, 3)
  // CollateralManager may be younger than the first market.
  readPause(event, event.address, false)
}

function changeCollateralFeed(event: CollateralPriceFeedChanged): void {
  const p = event.params
  const asset = CollateralAsset.load(p.token)
  if (asset !== null) {
    asset.priceFeed = p.priceFeed
    asset.feed = linkFeed(p.priceFeed, event)
    saveAsset(asset, event)
  }
  setParameter(event, 'collateralPriceFeed', 'COLLATERAL', p.token, addressToInt(p.priceFeed))
}

function decimalsOf(token: Address): i32 {
  const decimals = known(DECIMALS, token)
  if (decimals !== null) return I32.parseInt(decimals)
  return ERC20.bind(token).decimals()
}

function saveAsset(asset: CollateralAsset, event: ethereum.Event): void {
  asset.updatedAtBlock = event.block.number
  asset.updatedAtTimestamp = event.block.timestamp
  asset.save()
}
