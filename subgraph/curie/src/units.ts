import { BigInt, Bytes, DataSourceContext, ethereum } from '@graphprotocol/graph-ts'
import { SETTLEMENT_TOKEN_DECIMALS } from '../generated/network'

export const ZERO = BigInt.zero()

/** Where a template's context holds the market, or the feed, that it speaks of. */
export const MARKET_CONTEXT = 'market'
export const FEED_CONTEXT = 'feed'

export function contextOf(key: string, value: Bytes): DataSourceContext {
  const context = new DataSourceContext()
  context.setBytes(key, value)
  return context
}

/** Value that stands after the key in a flat list of pairs; null where there is none. */
export function known(pairs: string[], key: Bytes): string | null {
  const text = key.toHexString()
  for (let i = 0; i + 1 < pairs.length; i += 2) if (pairs[i] == text) return pairs[i + 1]
  return null
}

/** Below this a taker's position counts as none (AccountBalance: 10 wei). */
const DUST = BigInt.fromI32(10)

/** Id of the fact that a log gives. */
export function factId(event: ethereum.Event): Bytes {
  return event.transaction.hash.concatI32(event.logIndex.toI32())
}

/** Id of one of several facts that a log gives. */
export function partId(event: ethereum.Event, part: i32): Bytes {
  return factId(event).concatI32(part)
}

export function isDust(sizeE18: BigInt): boolean {
  return sizeE18.abs().lt(DUST)
}

/** 10^digits. */
export function tenTo(digits: i32): BigInt {
  return BigInt.fromI32(10).pow(<u8>digits)
}

/** Settlement decimals → E18. Exact. */
export function settlementToE18(amount: BigInt): BigInt {
  return amount.times(tenTo(18 - SETTLEMENT_TOKEN_DECIMALS))
}

/**
 * E18 → settlement decimals, rounded toward minus infinity as the Vault does it; BigInt division truncates toward zero.
 * −1 wei of PnL becomes −1 unit of the settlement token.
 */
export function e18ToSettlement(amountE18: BigInt): BigInt {
  const scale = tenTo(18 - SETTLEMENT_TOKEN_DECIMALS)
  const quotient = amountE18.div(scale)
  const isInexact = !quotient.times(scale).equals(amountE18)
  return amountE18.lt(ZERO) && isInexact ? quotient.minus(BigInt.fromI32(1)) : quotient
}

/** An address as its unsigned integer. */
export function addressToInt(address: Bytes): BigInt {
  // BigInt reads little endian, an address is big endian. Bytes.reverse() would turn the address itself around.
  const littleEndian = new Bytes(address.length)
  for (let i = 0; i < address.length; i++) littleEndian[i] = address[address.length - 1 - i]
  return BigInt.fromUnsignedBytes(littleEndian)
}

/** The address that an unsigned integer stands for. */
export function intToAddress(value: BigInt): Bytes {
  const address = new Bytes(20)
  for (let i = 0; i < 20; i++) address[19 - i] = i < value.length ? value[i] : 0
  return address
}
