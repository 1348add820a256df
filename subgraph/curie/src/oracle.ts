import { Address, Bytes, DataSourceContext, dataSource, ethereum, log } from '@graphprotocol/graph-ts'
import { OracleFeed, PriceUpdate } from '../generated/schema'
import { PriceFeed as PriceFeedSource, PriceFeedDispatcher as DispatcherSource } from '../generated/templates'
import { ChainlinkPriceFeedV3, ChainlinkPriceUpdated } from '../generated/templates/PriceFeed/ChainlinkPriceFeedV3'
import { PriceFeedDispatcher, StatusUpdated } from '../generated/templates/PriceFeedDispatcher/PriceFeedDispatcher'
import { FEEDS } from '../generated/network'
import { ZERO, factId, tenTo } from './units'

export function handleChainlinkPriceUpdated(event: ChainlinkPriceUpdated): void { updatePrice(event) }
export function handleDispatcherStatusUpdated(event: StatusUpdated): void { updateDispatcher(event) }

/**
 * Follows the feed behind the contract that consumers ask, and answers with its id.
 * null: not a ChainlinkPriceFeedV3; the older feeds announce no prices.
 */
export function linkFeed(asked: Address, event: ethereum.Event): Bytes | null {
  const emitter = emitterBehind(asked)
  if (emitter === null) return null
  // A feed that is followed already must not be followed twice: each of its events would be handled twice.
  if (OracleFeed.load(emitter) !== null) return emitter

  const address = Address.fromBytes(emitter)
  const decimals = ChainlinkPriceFeedV3.bind(address).try_decimals()
  if (decimals.reverted) return null

  const feed = new OracleFeed(emitter)
  feed.dispatcher = asked
  feed.freezeReason = 0
  feed.fallback = false
  feed.updateCount = 0
  saveFeed(feed, event)

  const context = new DataSourceContext()
  context.setI32('decimals', decimals.value)
  PriceFeedSource.createWithContext(address, context)
  if (asked.notEqual(address)) {
    const dispatcherContext = new DataSourceContext()
    dispatcherContext.setBytes('feed', emitter)
    DispatcherSource.createWithContext(asked, dispatcherContext)
  }
  return emitter
}

/** The contract that emits the price events behind the one that is asked; null where there is none. */
function emitterBehind(asked: Address): Bytes | null {
  const text = asked.toHexString()
  for (let i = 0; i + 1 < FEEDS.length; i += 2) if (FEEDS[i] == text) return Address.fromString(FEEDS[i + 1])
  if (!ChainlinkPriceFeedV3.bind(asked).try_getLastValidPrice().reverted) return asked
  const behind = PriceFeedDispatcher.bind(asked).try_getChainlinkPriceFeedV3()
  if (behind.reverted) return null
  return behind.value
}

/**
 * price has the feed's decimals (8 at Chainlink), not 18. With a freeze reason other than 0 the oracle's answer was refused, and
 * price and timestamp are the last valid ones again: (0, 0) when there was none yet. A refused answer is announced anew at every use.
 */
function updatePrice(event: ChainlinkPriceUpdated): void {
  const p = event.params
  const feed = OracleFeed.load(event.address)
  if (feed === null) {
    log.critical('price feed {} was never linked', [event.address.toHexString()])
    return
  }
  const priceE18 = p.price.times(tenTo(18 - dataSource.context().getI32('decimals')))
  if (p.price.gt(ZERO)) {
    feed.priceE18 = priceE18
    feed.priceTimestamp = p.timestamp
  }
  feed.freezeReason = p.freezedReason
  feed.updateCount += 1
  saveFeed(feed, event)

  const update = new PriceUpdate(factId(event))
  update.feed = event.address
  update.priceE18 = priceE18
  update.priceTimestamp = p.timestamp
  update.freezeReason = p.freezedReason
  update.blockNumber = event.block.number
  update.timestamp = event.block.timestamp
  update.transactionHash = event.transaction.hash
  update.logIndex = event.logIndex.toI32()
  update.save()
}

/** 0 asks Chainlink; 1 has fallen back to the on-chain average, for good. */
function updateDispatcher(event: StatusUpdated): void {
  const feed = OracleFeed.load(dataSource.context().getBytes('feed'))
  if (feed === null) return
  feed.fallback = event.params.status == 1
  saveFeed(feed, event)
}

function saveFeed(feed: OracleFeed, event: ethereum.Event): void {
  feed.updatedAtBlock = event.block.number
  feed.updatedAtTimestamp = event.block.timestamp
  feed.save()
}
