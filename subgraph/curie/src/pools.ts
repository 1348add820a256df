import { Address, BigInt, Bytes, dataSource, ethereum } from '@graphprotocol/graph-ts'
import { PoolLiquidityChange, PoolObservationsIncrease, PoolSnapshot, PoolSwap } from '../generated/schema'
import { UniswapV3Pool as PoolSource } from '../generated/templates'
import { Burn, IncreaseObservationCardinalityNext, Mint, Swap } from '../generated/templates/UniswapV3Pool/UniswapV3Pool'
import { UniswapV3Pool } from '../generated/MarketRegistry/UniswapV3Pool'
import { MARKET_CONTEXT, ZERO, contextOf, factId } from './units'

export function handleSwap(event: Swap): void { swap(event) }
export function handleMint(event: Mint): void { changePoolLiquidity(event, event.params.owner, event.params.tickLower, event.params.tickUpper, event.params.amount, event.params.amount0, event.params.amount1) }
export function handleBurn(event: Burn): void { burn(event) }
export function handleIncreaseObservationCardinalityNext(event: IncreaseObservationCardinalityNext): void { increaseObservations(event) }

/** Follows the pool of a new market, and writes what it holds. A pool that cannot be read is followed all the same. */
export function followPool(event: ethereum.Event, market: Bytes, address: Address, feeE6: i32): void {
  PoolSource.createWithContext(address, contextOf(MARKET_CONTEXT, market))

  const pool = UniswapV3Pool.bind(address)
  const slot0 = pool.try_slot0()
  const liquidity = pool.try_liquidity()
  const tickSpacing = pool.try_tickSpacing()
  if (slot0.reverted || liquidity.reverted || tickSpacing.reverted) return
  const newest = pool.try_observations(BigInt.fromI32(slot0.value.getObservationIndex()))
  if (newest.reverted) return

  const snapshot = new PoolSnapshot(factId(event))
  snapshot.market = market
  snapshot.pool = address
  snapshot.feeE6 = feeE6
  snapshot.sqrtPriceX96 = slot0.value.getSqrtPriceX96()
  snapshot.tick = slot0.value.getTick()
  snapshot.liquidity = liquidity.value
  snapshot.tickSpacing = tickSpacing.value
  snapshot.observationIndex = slot0.value.getObservationIndex()
  snapshot.observationCardinality = slot0.value.getObservationCardinality()
  snapshot.observationCardinalityNext = slot0.value.getObservationCardinalityNext()
  snapshot.observationTimestamp = newest.value.getBlockTimestamp()
  snapshot.observationTickCumulative = newest.value.getTickCumulative()
  snapshot.blockNumber = event.block.number
  snapshot.timestamp = event.block.timestamp
  snapshot.transactionHash = event.transaction.hash
  snapshot.logIndex = event.logIndex.toI32()
  snapshot.save()
}

/** amount0 is base and amount1 quote: MarketRegistry accepts a pool only where the base token's address is the lower one. */
function swap(event: Swap): void {
  const p = event.params
  const swap = new PoolSwap(factId(event))
  swap.market = dataSource.context().getBytes(MARKET_CONTEXT)
  swap.baseDeltaE18 = p.amount0
  swap.quoteDeltaE18 = p.amount1
  swap.sqrtPriceX96 = p.sqrtPriceX96
  swap.liquidity = p.liquidity
  swap.tick = p.tick
  swap.blockNumber = event.block.number
  swap.timestamp = event.block.timestamp
  swap.transactionHash = event.transaction.hash
  swap.logIndex = event.logIndex.toI32()
  swap.save()
}

/** A burn of 0 only makes the pool count fees, which nobody in Curie is paid by. */
function burn(event: Burn): void {
  const p = event.params
  if (p.amount.isZero()) return
  changePoolLiquidity(event, p.owner, p.tickLower, p.tickUpper, p.amount.neg(), p.amount0, p.amount1)
}

function changePoolLiquidity(event: ethereum.Event, owner: Bytes, lowerTick: i32, upperTick: i32, liquidityDelta: BigInt, baseE18: BigInt, quoteE18: BigInt): void {
  const change = new PoolLiquidityChange(factId(event))
  change.market = dataSource.context().getBytes(MARKET_CONTEXT)
  change.owner = owner
  change.lowerTick = lowerTick
  change.upperTick = upperTick
  change.liquidityDelta = liquidityDelta
  change.baseE18 = baseE18
  change.quoteE18 = quoteE18
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

function increaseObservations(event: IncreaseObservationCardinalityNext): void {
  const increase = new PoolObservationsIncrease(factId(event))
  increase.market = dataSource.context().getBytes(MARKET_CONTEXT)
  increase.oldCardinalityNext = event.params.observationCardinalityNextOld
  increase.newCardinalityNext = event.params.observationCardinalityNextNew
  increase.blockNumber = event.block.number
  increase.timestamp = event.block.timestamp
  increase.transactionHash = event.transaction.hash
  increase.logIndex = event.logIndex.toI32()
  increase.save()
}
