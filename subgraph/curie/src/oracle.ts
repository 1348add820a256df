import { Address, BigInt, Bytes, dataSource, ethereum, log } from '@graphprotocol/graph-ts'
import { Contract, FeedSnapshot, OracleAnswer, OracleFeed, OracleSourceChange, PriceSample, PriceUpdate } from '../generated/schema'
import { Aggregator as AggregatorSource, ChainlinkPriceFeedV3 as PriceFeedSource, PriceFeedDispatcher as DispatcherSource } from '../generated/templates'
import { Aggregator, AnswerUpdated } from '../generated/templates/Aggregator/Aggregator'
import { ChainlinkPriceFeedV3, ChainlinkPriceUpdated } from '../generated/templates/ChainlinkPriceFeedV3/ChainlinkPriceFeedV3'
import { PriceFeedDispatcher, StatusUpdated } from '../generated/templates/PriceFeedDispatcher/PriceFeedDispatcher'
import { FEEDS } from '../generated/network'
import { introduceContract, loadContract, saveContract, wireFallbackPool } from './ownership'
import { FEED_CONTEXT, ZERO, contextOf, factId, known, tenTo } from './units'

export function handleChainlinkPriceUpdated(event: ChainlinkPriceUpdated): void { updatePrice(event) }
export function handleDispatcherStatusUpdated(event: StatusUpdated): void { updateDispatcher(event) }
export function handleAnswerUpdated(event: AnswerUpdated): void { recordAnswer(event) }

/**
 * Follows the feed behind the contract that consumers ask, and answers with its id.
 * null: not a ChainlinkPriceFeedV3; the older feeds announce no prices.
 */
export function linkFeed(asked: Address, event: ethereum.Event): Bytes | null {
  const emitter = emitterBehind(asked)
  if (emitter === null) return null
  const address = Address.fromBytes(emitter)
  const isDispatcher = asked.notEqual(address)
  let feed = OracleFeed.load(emitter)
  // What is followed already must not be followed twice: each of its events would be handled twice.
  if (feed !== null && (!isDispatcher || Contract.load(asked) !== null)) return emitter

  const contract = ChainlinkPriceFeedV3.bind(address)
  if (feed === null) {
    const decimals = contract.try_decimals()
    if (decimals.reverted) return null
    feed = new OracleFeed(emitter)
    feed.dispatcher = asked
    feed.freezeReason = 0
    feed.fallback = false
    feed.updateCount = 0
    feed.decimals = decimals.value
    const timeout = contract.try_getTimeout()
    if (!timeout.reverted) feed.timeoutSec = timeout.value
    const price = contract.try_getLastValidPrice()
    const time = contract.try_getLastValidTimestamp()
    if (!price.reverted && !time.reverted && price.value.gt(ZERO)) {
      feed.priceE18 = price.value.times(tenTo(18 - decimals.value))
      feed.priceTimestamp = time.value
    }
    const aggregator = contract.try_getAggregator()
    if (!aggregator.reverted) {
      feed.aggregator = aggregator.value
      feed.answerSource = followAggregator(event, aggregator.value)
    }
    saveFeed(feed, event)
    PriceFeedSource.create(address)
  }
  const snapshot = snapshotFeed(event, feed, asked, contract)
  if (isDispatcher) {
    DispatcherSource.createWithContext(asked, contextOf(FEED_CONTEXT, emitter))
    introduceContract(event, asked, 'PriceFeedDispatcher', PriceFeedDispatcher.bind(asked).try_owner())
    const fallback = snapshot.fallbackSource
    if (fallback !== null) wireFallbackPool(event, asked, Address.fromBytes(fallback))
  }
  return emitter
}

/** The contract that emits the price events behind the one that is asked; null where there is none. */
function emitterBehind(asked: Address): Bytes | null {
  const recorded = known(FEEDS, asked)
  if (recorded !== null) return Address.fromString(recorded)
  if (!ChainlinkPriceFeedV3.bind(asked).try_getLastValidPrice().reverted) return asked
  const behind = PriceFeedDispatcher.bind(asked).try_getChainlinkPriceFeedV3()
  if (behind.reverted) return null
  return behind.value
}

/**
 * Follows the contract that announces an aggregator's answers, and answers with its address. Chainlink gives feeds a proxy, which emits
 * nothing and is not heard of when it moves on to its next aggregator.
 */
function followAggregator(event: ethereum.Event, asked: Address): Bytes {
  const behind = Aggregator.bind(asked).try_aggregator()
  const source = behind.reverted ? asked : behind.value
  if (Contract.load(source) !== null) return source
  const contract = loadContract(source, event)
  contract.name = 'Aggregator'
  saveContract(contract, event)
  AggregatorSource.create(source)
  return source
}

function snapshotFeed(event: ethereum.Event, feed: OracleFeed, dispatcher: Address, contract: ChainlinkPriceFeedV3): FeedSnapshot {
  const snapshot = new FeedSnapshot(factId(event))
  snapshot.feed = feed.id
  snapshot.dispatcher = dispatcher
  const fallback = PriceFeedDispatcher.bind(dispatcher).try_getUniswapV3PriceFeed()
  if (!fallback.reverted && fallback.value.notEqual(Address.zero())) snapshot.fallbackSource = fallback.value
  snapshot.aggregator = feed.aggregator
  snapshot.answerSource = feed.answerSource
  snapshot.decimals = feed.decimals
  snapshot.timeoutSec = feed.timeoutSec
  snapshot.priceE18 = feed.priceE18
  snapshot.priceTimestamp = feed.priceTimestamp
  const scale = tenTo(18 - feed.decimals)
  const index = contract.try_currentObservationIndex()
  if (!index.reverted) {
    snapshot.observationIndex = index.value
    const newest = contract.try_observations(BigInt.fromI32(index.value))
    if (!newest.reverted && newest.value.getTimestamp().gt(ZERO)) {
      snapshot.observationPriceE18 = newest.value.getPrice().times(scale)
      snapshot.observationPriceCumulativeE18 = newest.value.getPriceCumulative().times(scale)
      snapshot.observationTimestamp = newest.value.getTimestamp()
    }
  }
  const aggregator = feed.aggregator
  if (aggregator !== null) {
    const round = Aggregator.bind(Address.fromBytes(aggregator)).try_latestRoundData()
    if (!round.reverted) {
      snapshot.answer = round.value.getAnswer()
      snapshot.roundId = round.value.getRoundId()
      snapshot.answerTimestamp = round.value.getUpdatedAt()
    }
  }
  snapshot.blockNumber = event.block.number
  snapshot.timestamp = event.block.timestamp
  snapshot.transactionHash = event.transaction.hash
  snapshot.logIndex = event.logIndex.toI32()
  snapshot.save()
  return snapshot
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
  const priceE18 = p.price.times(tenTo(18 - feed.decimals))
  const isKnown = p.price.gt(ZERO)
  if (isKnown) {
    if (p.freezedReason == 0) samplePrice(event, feed.priceE18, priceE18)
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
  if (isKnown) update.ageSec = event.block.timestamp.minus(p.timestamp)
  update.blockNumber = event.block.number
  update.timestamp = event.block.timestamp
  update.transactionHash = event.transaction.hash
  update.logIndex = event.logIndex.toI32()
  update.save()
}

/** A simple return, squared, in integers: it is rounded toward zero, and what is below 1e-9 is 0. */
function samplePrice(event: ethereum.Event, beforeE18: BigInt | null, priceE18: BigInt): void {
  const sample = new PriceSample(0)
  sample.feed = event.address
  sample.priceE18 = priceE18
  if (beforeE18 === null) sample.squaredReturnE18 = ZERO
  else {
    const move = priceE18.minus(beforeE18)
    sample.squaredReturnE18 = move.times(move).times(tenTo(18)).div(beforeE18.times(beforeE18))
  }
  sample.save()
}

/** 0 asks Chainlink; 1 has fallen back to the on-chain average, for good. */
function updateDispatcher(event: StatusUpdated): void {
  const feed = OracleFeed.load(dataSource.context().getBytes(FEED_CONTEXT))
  if (feed === null) return
  feed.fallback = event.params.status == 1
  saveFeed(feed, event)

  const change = new OracleSourceChange(factId(event))
  change.feed = feed.id
  change.dispatcher = event.address
  change.fallback = feed.fallback
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

function recordAnswer(event: AnswerUpdated): void {
  const answer = new OracleAnswer(factId(event))
  answer.aggregator = event.address
  answer.answer = event.params.current
  answer.roundId = event.params.roundId
  answer.answerTimestamp = event.params.updatedAt
  answer.blockNumber = event.block.number
  answer.timestamp = event.block.timestamp
  answer.transactionHash = event.transaction.hash
  answer.logIndex = event.logIndex.toI32()
  answer.save()
}

function saveFeed(feed: OracleFeed, event: ethereum.Event): void {
  feed.updatedAtBlock = event.block.number
  feed.updatedAtTimestamp = event.block.timestamp
  feed.save()
}
