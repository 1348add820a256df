import { Address, BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { Contract, Parameter, ParameterChange } from '../generated/schema'
import { clearingHouseAddress } from '../generated/network'
import { protocolId } from './states'
import { factId, partId } from './units'

/** Id of a parameter: UTF-8 of its name ++ subject. */
export function parameterId(name: string, subject: Bytes): Bytes {
  return Bytes.fromUTF8(name).concat(subject)
}

/**
 * Writes a parameter that an event announced, and the change. part tells several parameters of one log apart.
 * Only its owner can call a contract's setters, which proves the executor; anyone may do what `isOwners` says is not the owner's.
 */
export function setParameter(event: ethereum.Event, name: string, scope: string, subject: Bytes, value: BigInt, part: i32 = 0, isOwners: boolean = true): void {
  const id = parameterId(name, subject)
  let parameter = Parameter.load(id)
  let oldValue: BigInt | null = null
  if (parameter === null) {
    parameter = newParameter(event, id, name, scope, subject)
  } else if (parameter.source == 'EVENT' || parameter.updatedAtBlock.notEqual(event.block.number)) {
    oldValue = parameter.value
  }
  // What was read in this very block is the value at its end, which this event made.
  parameter.changeCount += 1
  saveParameter(parameter, event, event.address, value, 'EVENT')

  let executor: Bytes | null = null
  if (isOwners) {
    const contract = Contract.load(event.address)
    if (contract !== null) executor = contract.owner
  }
  recordChange(event, partId(event, part), parameter, oldValue, executor)
}

export function setProtocolParameter(event: ethereum.Event, name: string, value: BigInt): void {
  setParameter(event, name, 'PROTOCOL', clearingHouseAddress(), value)
}

/** Writes a parameter that was read from its contract, and from where its history starts; what is known already stands. */
export function setReadParameter(event: ethereum.Event, contract: Address, name: string, scope: string, subject: Bytes, value: BigInt): void {
  const id = parameterId(name, subject)
  if (Parameter.load(id) !== null) return
  const parameter = newParameter(event, id, name, scope, subject)
  saveParameter(parameter, event, contract, value, 'CALL')
  recordChange(event, readId(event, parameter), parameter, null, null)
}

/** Writes a parameter that was read again because its contract's code is another; where it answers as before, nothing. */
export function setParameterReadAgain(event: ethereum.Event, contract: Address, name: string, scope: string, subject: Bytes, value: BigInt): void {
  const parameter = Parameter.load(parameterId(name, subject))
  if (parameter === null) {
    setReadParameter(event, contract, name, scope, subject, value)
    return
  }
  if (parameter.value.equals(value)) return
  const oldValue = parameter.value
  saveParameter(parameter, event, contract, value, 'CALL')
  recordChange(event, readId(event, parameter), parameter, oldValue, null)
}

function readId(event: ethereum.Event, parameter: Parameter): Bytes {
  return factId(event).concat(parameter.id)
}

function newParameter(event: ethereum.Event, id: Bytes, name: string, scope: string, subject: Bytes): Parameter {
  const parameter = new Parameter(id)
  parameter.protocol = protocolId(event)
  parameter.name = name
  parameter.scope = scope
  parameter.subject = subject
  parameter.changeCount = 0
  return parameter
}

function saveParameter(parameter: Parameter, event: ethereum.Event, contract: Bytes, value: BigInt, source: string): void {
  parameter.contract = contract
  parameter.value = value
  parameter.source = source
  parameter.updatedAtBlock = event.block.number
  parameter.updatedAtTimestamp = event.block.timestamp
  parameter.save()
}

/** The change that gave the parameter the value, and the source, that it has now. */
function recordChange(event: ethereum.Event, id: Bytes, parameter: Parameter, oldValue: BigInt | null, executor: Bytes | null): void {
  const change = new ParameterChange(id)
  change.parameter = parameter.id
  change.name = parameter.name
  change.scope = parameter.scope
  change.subject = parameter.subject
  change.contract = parameter.contract
  change.oldValue = oldValue
  change.newValue = parameter.value
  change.source = parameter.source
  change.sender = event.transaction.from
  change.executor = executor
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}
