import { BigInt, Bytes, ethereum } from '@graphprotocol/graph-ts'
import { GovernanceEvent } from '../generated/schema'
import {
  AddedOwner, ApproveHash, ChangedFallbackHandler, ChangedGuard, ChangedModuleGuard, ChangedThreshold, DisabledModule, EnabledModule, ExecutionFailure,
  ExecutionFromModuleFailure, ExecutionFromModuleSuccess, ExecutionSuccess, RemovedOwner, SafeSetup, SignMsg,
} from '../generated/templates/Safe/Safe'
import { CallExecuted, CallScheduled, Cancelled, MinDelayChange, RoleGranted, RoleRevoked } from '../generated/templates/TimelockController/TimelockController'
import { followOwner } from './ownership'
import { factId } from './units'

// A Safe. Releases up to 1.3.0 do not index all of these arguments, which is the manifest's business: the order is the same.
export function handleExecutionSuccess(event: ExecutionSuccess): void { record(event, 'SAFE_EXECUTED', event.params.txHash, null, null) }
export function handleExecutionFailure(event: ExecutionFailure): void { record(event, 'SAFE_FAILED', event.params.txHash, null, null) }
export function handleAddedOwner(event: AddedOwner): void { record(event, 'SAFE_OWNER_ADDED', null, event.params.owner, null) }
export function handleRemovedOwner(event: RemovedOwner): void { record(event, 'SAFE_OWNER_REMOVED', null, event.params.owner, null) }
export function handleChangedThreshold(event: ChangedThreshold): void { record(event, 'SAFE_THRESHOLD_CHANGED', null, null, event.params.threshold) }
export function handleEnabledModule(event: EnabledModule): void { record(event, 'SAFE_MODULE_ENABLED', null, event.params.module, null) }
export function handleDisabledModule(event: DisabledModule): void { record(event, 'SAFE_MODULE_DISABLED', null, event.params.module, null) }
export function handleExecutionFromModuleSuccess(event: ExecutionFromModuleSuccess): void { record(event, 'SAFE_MODULE_EXECUTED', null, event.params.module, null) }
export function handleExecutionFromModuleFailure(event: ExecutionFromModuleFailure): void { record(event, 'SAFE_MODULE_FAILED', null, event.params.module, null) }
export function handleChangedGuard(event: ChangedGuard): void { record(event, 'SAFE_GUARD_CHANGED', null, event.params.guard, null) }
/** The guard of what modules execute, since 1.5.0. */
export function handleChangedModuleGuard(event: ChangedModuleGuard): void { record(event, 'SAFE_GUARD_CHANGED', null, event.params.moduleGuard, null) }
export function handleChangedFallbackHandler(event: ChangedFallbackHandler): void { record(event, 'SAFE_FALLBACK_HANDLER_CHANGED', null, event.params.handler, null) }
export function handleSafeSetup(event: SafeSetup): void { record(event, 'SAFE_SETUP', null, event.params.initiator, event.params.threshold) }
export function handleApproveHash(event: ApproveHash): void { record(event, 'SAFE_HASH_APPROVED', event.params.approvedHash, event.params.owner, null) }
export function handleSignMsg(event: SignMsg): void { record(event, 'SAFE_MESSAGE_SIGNED', event.params.msgHash, null, null) }

// A timelock.
export function handleCallScheduled(event: CallScheduled): void { record(event, 'TIMELOCK_SCHEDULED', event.params.id, event.params.target, event.params.index) }
export function handleCallExecuted(event: CallExecuted): void { record(event, 'TIMELOCK_EXECUTED', event.params.id, event.params.target, event.params.index) }
export function handleCancelled(event: Cancelled): void { record(event, 'TIMELOCK_CANCELLED', event.params.id, null, null) }
export function handleMinDelayChange(event: MinDelayChange): void { record(event, 'TIMELOCK_DELAY_CHANGED', null, null, event.params.newDuration) }
export function handleRoleGranted(event: RoleGranted): void {
  record(event, 'TIMELOCK_ROLE_GRANTED', event.params.role, event.params.account, null)
  // Who proposes to the timelock, or executes, is most often a Safe.
  followOwner(event, event.params.account)
}
export function handleRoleRevoked(event: RoleRevoked): void { record(event, 'TIMELOCK_ROLE_REVOKED', event.params.role, event.params.account, null) }

function record(event: ethereum.Event, kind: string, operation: Bytes | null, subject: Bytes | null, value: BigInt | null): void {
  const fact = new GovernanceEvent(factId(event))
  fact.contract = event.address
  fact.kind = kind
  fact.operation = operation
  fact.subject = subject
  fact.value = value
  fact.sender = event.transaction.from
  fact.blockNumber = event.block.number
  fact.timestamp = event.block.timestamp
  fact.transactionHash = event.transaction.hash
  fact.logIndex = event.logIndex.toI32()
  fact.save()
}
