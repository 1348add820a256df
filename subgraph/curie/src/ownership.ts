import { Address, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { Contract, ContractUpgrade, OwnershipChange, WiringChange } from '../generated/schema'
import { Safe as SafeSource, TimelockController as TimelockSource } from '../generated/templates'
import { AdminChanged, OwnershipTransferred, TrustedForwarderChanged, TrustedForwarderUpdated, Upgraded, DelegateApprovalChanged } from '../generated/ClearingHouse/ClearingHouse'
import { Owner } from '../generated/ClearingHouse/Owner'
import { ClearingHouseChanged, CollateralManagerChanged, WETH9Changed } from '../generated/Vault/Vault'
import { BorrowerChanged, VaultChanged } from '../generated/InsuranceFund/InsuranceFund'
import { AccountBalanceChanged } from '../generated/Exchange/Exchange'
import { ExchangeChanged } from '../generated/OrderBook/OrderBook'
import { ClearingHouseConfigChanged } from '../generated/CollateralManager/CollateralManager'
import { WhitelistAdded, WhitelistRemoved } from '../generated/QuoteToken/QuoteToken'
import { UniswapV3PriceFeedUpdated } from '../generated/templates/PriceFeedDispatcher/PriceFeedDispatcher'
import { UniswapV3PriceFeed } from '../generated/templates/PriceFeedDispatcher/UniswapV3PriceFeed'
import { CONTRACTS } from '../generated/network'
import { readAgain } from './initial'
import { protocolId } from './states'
import { factId, known, partId } from './units'

// Several contracts emit each of these: an argument is decoded by the emitter's own ABI, indexed or not, and read by its place.
export function handleOwnershipTransferred(event: OwnershipTransferred): void { transferOwnership(event) }
export function handleUpgraded(event: Upgraded): void { upgrade(event) }
export function handleAdminChanged(event: AdminChanged): void { wire(event, 'proxyAdmin', event.params.newAdmin) }
export function handleTrustedForwarderChanged(event: TrustedForwarderChanged): void { wire(event, 'trustedForwarder', event.params.forwarder) }
export function handleTrustedForwarderUpdated(event: TrustedForwarderUpdated): void { wire(event, 'trustedForwarder', event.params.trustedForwarder) }
export function handleDelegateApprovalChanged(event: DelegateApprovalChanged): void { wire(event, 'delegateApproval', event.params.delegateApproval) }
export function handleClearingHouseChanged(event: ClearingHouseChanged): void { wire(event, 'clearingHouse', event.params.clearingHouse) }
export function handleCollateralManagerChanged(event: CollateralManagerChanged): void { wire(event, 'collateralManager', event.params.collateralManager) }
export function handleWETH9Changed(event: WETH9Changed): void { wire(event, 'WETH9', event.params.WETH9) }
export function handleBorrowerChanged(event: BorrowerChanged): void { wire(event, 'borrower', event.params.borrower) }
export function handleVaultChanged(event: VaultChanged): void { wire(event, 'vault', event.params.vault) }
export function handleAccountBalanceChanged(event: AccountBalanceChanged): void { wire(event, 'accountBalance', event.params.accountBalance) }
export function handleExchangeChanged(event: ExchangeChanged): void { wire(event, 'exchange', event.params.exchange) }
export function handleClearingHouseConfigChanged(event: ClearingHouseConfigChanged): void { wire(event, 'clearingHouseConfig', event.params.clearingHouseConfig) }
export function handleUniswapV3PriceFeedUpdated(event: UniswapV3PriceFeedUpdated): void {
  wire(event, 'fallbackSource', event.params.uniswapV3PriceFeed)
  wireFallbackPool(event, event.address, event.params.uniswapV3PriceFeed)
}
/** Whoever holds virtual tokens can trade in the pool past ClearingHouse's checks, so who may hold them matters. */
export function handleWhitelistAdded(event: WhitelistAdded): void { wire(event, 'holderAdded', event.params.account) }
export function handleWhitelistRemoved(event: WhitelistRemoved): void { wire(event, 'holderRemoved', event.params.account) }

/** The contract; created, unsaved, at its first mention. */
export function loadContract(address: Bytes, event: ethereum.Event): Contract {
  const stored = Contract.load(address)
  if (stored !== null) return stored
  const contract = new Contract(address)
  contract.protocol = protocolId(event)
  const name = known(CONTRACTS, address)
  contract.name = name === null ? address.toHexString() : name
  return contract
}

export function saveContract(contract: Contract, event: ethereum.Event): void {
  contract.updatedAtBlock = event.block.number
  contract.updatedAtTimestamp = event.block.timestamp
  contract.save()
}

/** Writes down a contract that a template follows from now on, whose owner was announced before that. */
export function introduceContract(event: ethereum.Event, address: Address, name: string, owner: ethereum.CallResult<Address>): void {
  const contract = loadContract(address, event)
  contract.name = name
  if (!owner.reverted) contract.owner = owner.value
  saveContract(contract, event)
  if (!owner.reverted) followOwner(event, owner.value)
}

/**
 * Follows an owner that is a Safe or a timelock. The sender of a transaction is neither; others are asked what they are until they
 * are known, so an owner without code is asked again at each contract that it gets.
 */
export function followOwner(event: ethereum.Event, owner: Address): void {
  if (owner.equals(event.transaction.from) || owner.equals(Address.zero()) || Contract.load(owner) !== null) return
  let name = ''
  const asked = Owner.bind(owner)
  if (!asked.try_getThreshold().reverted) {
    name = 'Safe'
    SafeSource.create(owner)
  } else if (!asked.try_getMinDelay().reverted) {
    name = 'Timelock'
    TimelockSource.create(owner)
  } else return
  const contract = loadContract(owner, event)
  contract.name = name
  saveContract(contract, event)
}

function transferOwnership(event: OwnershipTransferred): void {
  const contract = loadContract(event.address, event)
  contract.owner = event.params.newOwner
  saveContract(contract, event)

  const change = new OwnershipChange(factId(event))
  change.contract = contract.id
  change.oldOwner = event.params.previousOwner
  change.newOwner = event.params.newOwner
  change.sender = event.transaction.from
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()

  followOwner(event, event.params.newOwner)
}

/** Other code may answer otherwise without an event, so what was read from this contract is read again. */
function upgrade(event: Upgraded): void {
  const contract = loadContract(event.address, event)

  const change = new ContractUpgrade(factId(event))
  change.contract = contract.id
  change.oldImplementation = contract.implementation
  change.newImplementation = event.params.implementation
  change.sender = event.transaction.from
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()

  contract.implementation = event.params.implementation
  saveContract(contract, event)
  readAgain(event)
}

/** The pool whose average a dispatcher falls back to, as the source says; it never changes. */
export function wireFallbackPool(event: ethereum.Event, dispatcher: Address, source: Address): void {
  const pool = UniswapV3PriceFeed.bind(source).try_pool()
  if (!pool.reverted) wireContract(event, partId(event, 1), dispatcher, 'fallbackPool', pool.value)
}

function wire(event: ethereum.Event, role: string, newAddress: Address): void {
  wireContract(event, factId(event), event.address, role, newAddress)
}

function wireContract(event: ethereum.Event, id: Bytes, address: Address, role: string, newAddress: Address): void {
  const contract = loadContract(address, event)
  saveContract(contract, event)

  const change = new WiringChange(id)
  change.contract = contract.id
  change.role = role
  change.newAddress = newAddress
  change.sender = event.transaction.from
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}
