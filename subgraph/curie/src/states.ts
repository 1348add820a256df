import { BigInt, Bytes, ethereum, log } from '@graphprotocol/graph-ts'
import { Account, Market, Position, Protocol } from '../generated/schema'
import { clearingHouseAddress, PROTOCOL_NAME, settlementTokenAddress, SETTLEMENT_TOKEN_DECIMALS } from '../generated/network'
import { ZERO } from './units'

/** The protocol; created, unsaved, at its first event. */
export function loadProtocol(): Protocol {
  const stored = Protocol.load(clearingHouseAddress())
  if (stored !== null) return stored
  const protocol = new Protocol(clearingHouseAddress())
  protocol.name = PROTOCOL_NAME
  protocol.settlementToken = settlementTokenAddress()
  protocol.settlementTokenDecimals = SETTLEMENT_TOKEN_DECIMALS
  protocol.marketCount = 0
  protocol.accountCount = 0
  protocol.openPositionCount = 0
  protocol.liquidationCount = 0
  return protocol
}

export function saveProtocol(protocol: Protocol, event: ethereum.Event): void {
  protocol.updatedAtBlock = event.block.number
  protocol.updatedAtTimestamp = event.block.timestamp
  protocol.save()
}

/** Id of the protocol, which is there from the first row on that refers to it: graph-node refuses to answer for a reference to nothing. */
export function protocolId(event: ethereum.Event): Bytes {
  if (Protocol.load(clearingHouseAddress()) === null) saveProtocol(loadProtocol(), event)
  return clearingHouseAddress()
}

/** The account; created and saved at its first event. The insurance fund has one as well: the protocol pays its fees there. */
export function loadAccount(trader: Bytes, event: ethereum.Event): Account {
  const stored = Account.load(trader)
  if (stored !== null) return stored

  const protocol = loadProtocol()
  protocol.accountCount += 1
  saveProtocol(protocol, event)

  const account = new Account(trader)
  account.protocol = protocol.id
  account.owedRealizedPnlE18 = ZERO
  account.settlementBalance = ZERO
  account.openPositionCount = 0
  account.openRangeCount = 0
  account.liquidationCount = 0
  account.badDebtE18 = ZERO
  account.createdAtBlock = event.block.number
  account.createdAtTimestamp = event.block.timestamp
  saveAccount(account, event)
  return account
}

export function saveAccount(account: Account, event: ethereum.Event): void {
  account.updatedAtBlock = event.block.number
  account.updatedAtTimestamp = event.block.timestamp
  account.save()
}

/** The market. PoolAdded comes before every other event of a market: its absence is a defect, and the index stops. */
export function loadMarket(baseToken: Bytes): Market {
  const market = Market.load(baseToken)
  if (market === null) log.critical('market {} was never added to MarketRegistry', [baseToken.toHexString()])
  return market!
}

export function saveMarket(market: Market, event: ethereum.Event): void {
  market.updatedAtBlock = event.block.number
  market.updatedAtTimestamp = event.block.timestamp
  market.save()
}

/** The account's position in the market; created, unsaved, at its first event there. */
export function loadPosition(trader: Bytes, baseToken: Bytes, event: ethereum.Event): Position {
  const id = trader.concat(baseToken)
  const stored = Position.load(id)
  if (stored !== null) return stored
  const position = new Position(id)
  position.account = loadAccount(trader, event).id
  position.market = baseToken
  position.sizeE18 = ZERO
  position.rawSizeE18 = ZERO
  position.openRangeCount = 0
  position.openNotionalE18 = ZERO
  position.realizedPnlE18 = ZERO
  position.fundingPaidE18 = ZERO
  position.createdAtBlock = event.block.number
  position.createdAtTimestamp = event.block.timestamp
  return position
}

export function savePosition(position: Position, event: ethereum.Event): void {
  position.updatedAtBlock = event.block.number
  position.updatedAtTimestamp = event.block.timestamp
  position.save()
}

/** Counts a position that opened or closed; leaves the stores alone when neither happened. */
export function countOpenPosition(trader: Bytes, before: BigInt, after: BigInt, event: ethereum.Event): void {
  if (before.isZero() == after.isZero()) return
  const step = before.isZero() ? 1 : -1

  const account = loadAccount(trader, event)
  account.openPositionCount += step
  saveAccount(account, event)

  const protocol = loadProtocol()
  protocol.openPositionCount += step
  saveProtocol(protocol, event)
}
