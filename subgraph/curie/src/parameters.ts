import { Address, BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { Parameter, ParameterChange } from '../generated/schema'
import { clearingHouseAddress } from '../generated/network'
import { partId } from './units'

/** Id of a parameter: UTF-8 of its name ++ subject. */
export function parameterId(name: string, subject: Bytes): Bytes {
  return Bytes.fromUTF8(name).concat(subject)
}

/** Writes a parameter that an event announced, and the change. part tells several parameters of one log apart. */
export function setParameter(event: ethereum.Event, name: string, scope: string, subject: Bytes, value: BigInt, part: i32 = 0): void {
  const id = parameterId(name, subject)
  let parameter = Parameter.load(id)
  let oldValue: BigInt | null = null
  if (parameter === null) {
    parameter = newParameter(id, name, scope, subject)
  } else if (parameter.source == 'EVENT' || parameter.updatedAtBlock.notEqual(event.block.number)) {
    oldValue = parameter.value
  }
  // What was read in this very block is the value at its end, which this event made.
  parameter.contract = event.address
  parameter.value = value
  parameter.source = 'EVENT'
  parameter.changeCount += 1
  parameter.updatedAtBlock = event.block.number
  parameter.updatedAtTimestamp = event.block.timestamp
  parameter.save()

  const change = new ParameterChange(partId(event, part))
  change.parameter = id
  change.name = name
  change.scope = scope
  change.subject = subject
  change.contract = event.address
  change.oldValue = oldValue
  change.newValue = value
  change.sender = event.transaction.from
  change.blockNumber = event.block.number
  change.timestamp = event.block.timestamp
  change.transactionHash = event.transaction.hash
  change.logIndex = event.logIndex.toI32()
  change.save()
}

export function setProtocolParameter(event: ethereum.Event, name: string, value: BigInt): void {
  setParameter(event, name, 'PROTOCOL', clearingHouseAddress(), value)
}

/** Writes a parameter that was read from its contract; an announced value stands. */
export function setReadParameter(event: ethereum.Event, contract: Address, name: string, scope: string, subject: Bytes, value: BigInt): void {
  const id = parameterId(name, subject)
  if (Parameter.load(id) !== null) return
  const parameter = newParameter(id, name, scope, subject)
  parameter.contract = contract
  parameter.value = value
  parameter.source = 'CALL'
  parameter.updatedAtBlock = event.block.number
  parameter.updatedAtTimestamp = event.block.timestamp
  parameter.save()
}

function newParameter(id: Bytes, name: string, scope: string, subject: Bytes): Parameter {
  const parameter = new Parameter(id)
  parameter.protocol = clearingHouseAddress()
  parameter.name = name
  parameter.scope = scope
  parameter.subject = subject
  parameter.changeCount = 0
  return parameter
}
