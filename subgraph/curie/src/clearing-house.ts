import { BigInt, Bytes } from '@graphprotocol/graph-ts'
import { FundingPayment, FundingUpdate, Liquidation, LiquidityChange, LiquidityRange, Market, MarketSample, PositionChange } from '../generated/schema'
import { FundingPaymentSettled, LiquidityChanged, PositionChanged, PositionClosed, PositionLiquidated } from '../generated/ClearingHouse/ClearingHouse'
import { PnlRealized } from '../generated/AccountBalance/AccountBalance'
import { FundingUpdated } from '../generated/Exchange/Exchange'
import { recordFundIncome } from './insurance-fund'
import { countOpenPosition, loadAccount, loadMarket, loadPosition, loadProtocol, saveAccount, saveMarket, savePosition, saveProtocol } from './states'
import { ZERO, factId, isDust } from './units'

export function handlePositionChanged(event: PositionChanged): void { changePosition(event) }
export function handlePositionClosed(event: PositionClosed): void { closePosition(event) }
export function handlePositionLiquidated(event: PositionLiquidated): void { liquidate(event) }
export function handleLiquidityChanged(event: LiquidityChanged): void { changeLiquidity(event) }
export function handleFundingPaymentSettled(event: FundingPaymentSettled): void { settleFunding(event) }
export function handlePnlRealized(event: PnlRealized): void { realizePnl(event) }
export function handleFundingUpdated(event: FundingUpdated): void { updateFunding(event) }

/**
 * The only place where owed PnL changes, a withdrawal apart. Fees, funding, penalties and realised PnL of every other event
 * are announced here as well: adding them again from PositionChanged, FundingPaymentSettled or LiquidityChanged counts twice.
 */
function realizePnl(event: PnlRealized): void {
  const account = loadAccount(event.params.trader, event)
  account.owedRealizedPnlE18 = account.owedRealizedPnlE18.plus(event.params.amount)
  saveAccount(account, event)
}

/**
 * A swap, either side of a liquidation, or a removed range turning into a position.
 *
 * Arguments: exchangedPositionNotional is before the fee, although its interface says "include fee";
 * openNotional is the value after the event; realizedPnl has the fee taken off already (it comes from notional − fee), so
 * openNotional after = openNotional before + notional − fee − realizedPnl.
 * A liquidator's notional includes the reward: it takes the position over at a discount.
 */
function changePosition(event: PositionChanged): void {
  const p = event.params
  const market = loadMarket(p.baseToken)
  const position = loadPosition(p.trader, p.baseToken, event)
  const sizeBeforeE18 = position.sizeE18

  let rawSizeE18 = position.rawSizeE18.plus(p.exchangedPositionSize)
  // The protocol forgets size and notional when both are dust and no range is left. It keeps the dust otherwise, answers 0 for
  // it, and builds the next position upon it. A forgotten notional reads 0 in this very event, a kept one is 10 wei or more.
  if (isDust(rawSizeE18) && p.openNotional.isZero() && position.openRangeCount == 0) rawSizeE18 = ZERO

  position.rawSizeE18 = rawSizeE18
  position.sizeE18 = isDust(rawSizeE18) ? ZERO : rawSizeE18
  position.openNotionalE18 = p.openNotional
  position.realizedPnlE18 = position.realizedPnlE18.plus(p.realizedPnl)
  savePosition(position, event)
  countOpenPosition(p.trader, sizeBeforeE18, position.sizeE18, event)

  // Only a swap pays a fee or moves the price; a liquidation and a removed range exchange nothing with the pool.
  const lastSqrtPriceX96 = market.sqrtPriceX96
  const isSwap = p.fee.gt(ZERO) || (lastSqrtPriceX96 !== null && lastSqrtPriceX96.notEqual(p.sqrtPriceAfterX96))
  if (isSwap) {
    market.volumeE18 = market.volumeE18.plus(p.exchangedPositionNotional.abs())
    market.feesE18 = market.feesE18.plus(p.fee)
  }
  market.sqrtPriceX96 = p.sqrtPriceAfterX96
  moveOpenInterest(market, sizeBeforeE18, position.sizeE18)
  saveMarket(market, event)
  if (isSwap || position.sizeE18.notEqual(sizeBeforeE18)) sampleMarket(market, isSwap ? p.exchangedPositionNotional.abs() : ZERO, p.fee, ZERO)

  const change = new PositionChange(factId(event))
  change.account = p.trader
  change.market = p.baseToken
  change.sizeDeltaE18 = p.exchangedPositionSize
  change.notionalDeltaE18 = p.exchangedPositionNotional
  change.feeE18 = p.fee
  change.sizeAfterE18 = position.sizeE18
  change.openNotionalAfterE18 = p.openNotional
  change.realizedPnlE18 = p.realizedPnl
  change.sqrtPriceAfterX96 = p.sqrtPriceAfterX96
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()

  // The fund's share of a trading fee was realised earlier in this transaction, by a log that names neither market nor trader.
  if (p.fee.gt(ZERO)) recordFundIncome(event, 'TRADING_FEE', p.trader, p.baseToken)
}

/** A position settled in a closed market. closedPositionSize is the position as it was, not what it changed by. */
function closePosition(event: PositionClosed): void {
  const p = event.params
  const market = loadMarket(p.baseToken)
  const position = loadPosition(p.trader, p.baseToken, event)
  const sizeBeforeE18 = position.sizeE18

  position.rawSizeE18 = ZERO
  position.sizeE18 = ZERO
  position.openNotionalE18 = ZERO
  position.realizedPnlE18 = position.realizedPnlE18.plus(p.realizedPnl)
  savePosition(position, event)
  countOpenPosition(p.trader, sizeBeforeE18, ZERO, event)

  moveOpenInterest(market, sizeBeforeE18, ZERO)
  saveMarket(market, event)
  if (!sizeBeforeE18.isZero()) sampleMarket(market, ZERO, ZERO, ZERO)

  const change = new PositionChange(factId(event))
  change.account = p.trader
  change.market = p.baseToken
  change.sizeDeltaE18 = p.closedPositionSize.neg()
  change.notionalDeltaE18 = p.closedPositionNotional
  change.feeE18 = ZERO
  change.sizeAfterE18 = ZERO
  change.openNotionalAfterE18 = ZERO
  change.realizedPnlE18 = p.realizedPnl
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

/**
 * The last log of a liquidation: both sides' PositionChanged and PnlRealized came before it, so no balance moves here.
 * liquidationFee is the whole penalty. The fund gets half of it, rounded up; nothing when the account was worth less than zero
 * before, and then the liquidator gets all. No argument tells which: what the fund was paid does.
 */
function liquidate(event: PositionLiquidated): void {
  const p = event.params
  const fundShareE18 = recordFundIncome(event, 'LIQUIDATION_PENALTY', p.trader, p.baseToken)

  const account = loadAccount(p.trader, event)
  account.liquidationCount += 1
  saveAccount(account, event)

  const market = loadMarket(p.baseToken)
  market.liquidationCount += 1
  market.liquidatedNotionalE18 = market.liquidatedNotionalE18.plus(p.positionNotional)
  saveMarket(market, event)
  sampleMarket(market, ZERO, ZERO, p.positionNotional)

  const protocol = loadProtocol()
  protocol.liquidationCount += 1
  saveProtocol(protocol, event)

  const liquidation = new Liquidation(factId(event))
  liquidation.account = p.trader
  liquidation.market = p.baseToken
  liquidation.liquidator = p.liquidator
  liquidation.sizeE18 = p.positionSize
  liquidation.notionalE18 = p.positionNotional
  liquidation.penaltyE18 = p.liquidationFee
  liquidation.liquidatorFeeE18 = p.liquidationFee.minus(fundShareE18)
  liquidation.sizeAfterE18 = loadPosition(p.trader, p.baseToken, event).sizeE18
  liquidation.blockNumber = event.block.number
  liquidation.timestamp = event.block.timestamp
  liquidation.transactionHash = event.transaction.hash
  liquidation.logIndex = event.logIndex.toI32()
  liquidation.save()
}

/**
 * Liquidity added (all positive) or removed (base, quote and liquidity negative). liquidity 0 only collects fees.
 * A removal's base and quote are what came out of the pool. The debt falls by the removed share of liquidity instead, and the
 * difference is the position that the PositionChanged of the same transaction adds.
 */
function changeLiquidity(event: LiquidityChanged): void {
  const p = event.params
  const account = loadAccount(p.maker, event)
  const id = p.maker.concat(p.baseToken).concatI32(p.lowerTick).concatI32(p.upperTick)
  let range = LiquidityRange.load(id)
  if (range === null) {
    range = new LiquidityRange(id)
    range.account = account.id
    range.market = p.baseToken
    range.lowerTick = p.lowerTick
    range.upperTick = p.upperTick
    range.liquidity = ZERO
    range.baseDebtE18 = ZERO
    range.quoteDebtE18 = ZERO
    range.feesCollectedE18 = ZERO
    range.createdAtBlock = event.block.number
    range.createdAtTimestamp = event.block.timestamp
  }

  const liquidityBefore = range.liquidity
  const liquidityAfter = liquidityBefore.plus(p.liquidity)
  if (p.liquidity.gt(ZERO)) {
    range.baseDebtE18 = range.baseDebtE18.plus(p.base)
    range.quoteDebtE18 = range.quoteDebtE18.plus(p.quote)
  } else if (p.liquidity.lt(ZERO)) {
    const removed = p.liquidity.neg()
    range.baseDebtE18 = range.baseDebtE18.minus(range.baseDebtE18.times(removed).div(liquidityBefore))
    range.quoteDebtE18 = range.quoteDebtE18.minus(range.quoteDebtE18.times(removed).div(liquidityBefore))
  }
  range.liquidity = liquidityAfter
  range.feesCollectedE18 = range.feesCollectedE18.plus(p.quoteFee)
  range.updatedAtBlock = event.block.number
  range.updatedAtTimestamp = event.block.timestamp
  range.save()

  if (liquidityBefore.isZero() != liquidityAfter.isZero()) {
    const step = liquidityBefore.isZero() ? 1 : -1
    account.openRangeCount += step
    saveAccount(account, event)

    const position = loadPosition(p.maker, p.baseToken, event)
    position.openRangeCount += step
    // removeLiquidity tells of the position first and of the range last, when the protocol has already forgotten the dust.
    // Cancelling excess orders tells in the other order, and then PositionChanged settles it.
    const isForgotten = position.openRangeCount == 0 && position.sizeE18.isZero() && position.openNotionalE18.isZero()
    if (isForgotten && !position.rawSizeE18.isZero() && followsPositionChange(event, position.id)) position.rawSizeE18 = ZERO
    savePosition(position, event)
  }

  const change = new LiquidityChange(factId(event))
  change.account = p.maker
  change.market = p.baseToken
  change.lowerTick = p.lowerTick
  change.upperTick = p.upperTick
  change.liquidityDelta = p.liquidity
  change.baseDeltaE18 = p.base
  change.quoteDeltaE18 = p.quote
  change.feeE18 = p.quoteFee
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

/** True when the log just before this one changed the same position. */
function followsPositionChange(event: LiquidityChanged, positionId: Bytes): boolean {
  const previous = PositionChange.load(event.transaction.hash.concatI32(event.logIndex.toI32() - 1))
  if (previous === null) return false
  return previous.account.concat(previous.market).equals(positionId)
}

/** fundingPayment is paid by the trader when positive. The owed PnL fell by it in the PnlRealized just before. */
function settleFunding(event: FundingPaymentSettled): void {
  const p = event.params
  const position = loadPosition(p.trader, p.baseToken, event)
  position.fundingPaidE18 = position.fundingPaidE18.plus(p.fundingPayment)
  position.fundingSettledAtTimestamp = event.block.timestamp
  savePosition(position, event)

  const payment = new FundingPayment(factId(event))
  payment.account = p.trader
  payment.market = p.baseToken
  payment.amountE18 = p.fundingPayment
  payment.blockNumber = event.block.number
  payment.timestamp = event.block.timestamp
  payment.transactionHash = event.transaction.hash
  payment.logIndex = event.logIndex.toI32()
  payment.save()
}

/** Emitted once per market and second. Both averages are E18. */
function updateFunding(event: FundingUpdated): void {
  const market = loadMarket(event.params.baseToken)
  market.fundingMarketTwapE18 = event.params.marketTwap
  market.fundingIndexTwapE18 = event.params.indexTwap
  market.fundingUpdatedAtTimestamp = event.block.timestamp
  saveMarket(market, event)

  const update = new FundingUpdate(factId(event))
  update.market = market.id
  update.marketTwapE18 = event.params.marketTwap
  update.indexTwapE18 = event.params.indexTwap
  update.blockNumber = event.block.number
  update.timestamp = event.block.timestamp
  update.transactionHash = event.transaction.hash
  update.logIndex = event.logIndex.toI32()
  update.save()
}

/** What this log added to the market's rollups; the open interest is the market's own. */
function sampleMarket(market: Market, volumeE18: BigInt, feesE18: BigInt, liquidatedNotionalE18: BigInt): void {
  const sample = new MarketSample(0)
  sample.market = market.id
  sample.volumeE18 = volumeE18
  sample.feesE18 = feesE18
  sample.liquidatedNotionalE18 = liquidatedNotionalE18
  sample.openInterestLongE18 = market.openInterestLongE18
  sample.openInterestShortE18 = market.openInterestShortE18
  sample.save()
}

function moveOpenInterest(market: Market, beforeE18: BigInt, afterE18: BigInt): void {
  market.openInterestLongE18 = market.openInterestLongE18.minus(longPart(beforeE18)).plus(longPart(afterE18))
  market.openInterestShortE18 = market.openInterestShortE18.minus(longPart(beforeE18.neg())).plus(longPart(afterE18.neg()))
}

function longPart(sizeE18: BigInt): BigInt {
  return sizeE18.gt(ZERO) ? sizeE18 : ZERO
}
