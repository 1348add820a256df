/** A signed Safe transaction sent by anybody, after everything that can be checked has been checked again. */
import { BaseError, HttpRequestError, createWalletClient, http, zeroAddress } from 'viem'
import type { Account, PublicClient, TransactionReceipt } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Address, Call, Hex } from '../protocols/adapter.ts'
import { cancellation as cancellationOf, readRecordedSafe, rejection, safeOf, verify } from './build.ts'
import type { Signable } from './build.ts'
import { labelOf } from './draft.ts'
import type { Target } from './draft.ts'
import { ExecutionFailedError, StaleProposalError, TamperedError, WrongStateError } from './errors.ts'
import { executeQueuedCall, mayExecute, readQueued, safeDeadlineSec } from './paths.ts'
import { receiptOf } from './receipt.ts'
import { EXECUTION_FAILURE_TOPIC, EXECUTION_SUCCESS_TOPIC, encodeExecution, hashesOf, lower, safeTxFromJson } from './safe.ts'
import { joinSignatures } from './sign.ts'
import { readParameter, revertReason } from './simulate.ts'
import type { ReviewFile } from './review.ts'
import type { ProposalState } from './state.ts'
import type { Cancellation, ProposalRecord } from './store.ts'

const RECEIPT_TIMEOUT_MS = 120_000

export type Execution = { readonly txHash: Hex; readonly block: bigint; readonly timestamp: bigint; readonly gasUsed: bigint }

/** What executing needs of a proposal: a row of the database has it, and so has a file. */
export type Executable = Pick<ProposalRecord, 'id' | 'state' | 'chainId' | 'safe' | 'nonce' | 'changes' | 'validUntil' | 'calls' | 'safeTx' | 'hashes' | 'signatures' | 'cancellation'>

/** A file as something to execute. `state` says what is to be done with it: nobody but its reader keeps its state. */
export function executableOf({ deployment }: Target, file: ReviewFile, state: ProposalState, cancellation: Cancellation | null = null): Executable {
  const changes = file.intent.changes.map((each) => ({ ...each, subjectLabel: labelOf(deployment, each.scope, each.subject), from: BigInt(each.from), to: BigInt(each.to) }))
  return {
    id: `${file.intent.nonce}-${file.batch.hashes.safeTxHash.slice(2, 10)}`,
    state,
    chainId: file.chainId,
    safe: file.safe,
    nonce: Number(file.intent.nonce),
    changes: changes as unknown as Executable['changes'],
    validUntil: BigInt(file.intent.validUntilSec),
    calls: file.batch.calls.map((call) => ({ ...call, value: BigInt(call.value) })),
    safeTx: safeTxFromJson(file.batch.safeTx),
    hashes: file.batch.hashes,
    signatures: file.signatures,
    cancellation,
  }
}

/** What a Safe's log says of one of its transactions. */
export type ExecutionLog = { readonly kind: 'SUCCESS' | 'FAILURE'; readonly safeTxHash: Hex; readonly txHash: Hex; readonly block: bigint }

type RawLog = { readonly address: string; readonly topics: readonly Hex[]; readonly data: Hex; readonly transactionHash: Hex | null; readonly blockNumber: bigint | Hex | null }

/** ExecutionSuccess and ExecutionFailure of one Safe; the hash is a topic from 1.4.1 on and the first word of the data before. */
export function executionLogs(safe: string, logs: readonly RawLog[]): readonly ExecutionLog[] {
  return logs.flatMap((log) => {
    const kind = log.topics[0] === EXECUTION_SUCCESS_TOPIC ? 'SUCCESS' : log.topics[0] === EXECUTION_FAILURE_TOPIC ? 'FAILURE' : null
    if (kind === null || log.address.toLowerCase() !== safe.toLowerCase() || log.transactionHash === null || log.blockNumber === null) return []
    return [{ kind, safeTxHash: log.topics[1] ?? (log.data.slice(0, 66) as Hex), txHash: log.transactionHash, block: BigInt(log.blockNumber) } as const]
  })
}

/** A call that any account may send and pay for, tried out at the chain's head. `gas`: a third more than the trial took, because other transactions may land before and make storage writes dearer. */
export type Sendable = Call & { readonly gas: bigint }

/**
 * What executes a READY proposal. Before it is given: bytes rebuilt from the intent, Safe as recorded, nonce ours and next, deadline
 * not passed by chain time, every parameter on chain still at `from`, and a dry run of the very call. `sender`: null where nobody is known yet.
 * Throws WrongStateError, TamperedError, SafeMismatchError, StaleProposalError, ExecutionFailedError, UnavailableError.
 */
export async function executionCall(target: Target, client: PublicClient, proposal: Executable, sender: Address | null): Promise<Sendable> {
  if (proposal.state !== 'READY') throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['READY'], action: 'execute' })
  const built = verify(target, proposal)
  await assertCurrent(target, client, proposal, safeDeadlineSec(target.deployment, proposal.validUntil))
  return safeCall(target, client, proposal, { ...built, signatures: proposal.signatures }, sender)
}

/** What executes the Safe's transaction that rejects a proposal, or takes it out of the timelock. Throws as `executionCall` does. */
export async function cancellationCall(target: Target, client: PublicClient, proposal: Executable, sender: Address | null): Promise<Sendable> {
  const { cancellation } = proposal
  if (proposal.state !== 'CANCELLING' || cancellation === null) throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['CANCELLING'], action: 'execute its cancellation' })
  assertCancellation(target, proposal)
  return safeCall(target, client, proposal, cancellation, sender)
}

/** What executes the call that a timelock holds, once its delay is over, by whoever may. Throws as `executionCall` does. */
export async function queuedCall(target: Target, client: PublicClient, proposal: Executable, sender: Address | null): Promise<Sendable> {
  const { queued } = verify(target, proposal)
  if (proposal.state !== 'QUEUED' || queued === null) throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['QUEUED'], action: 'execute in the timelock' })
  const status = await readQueued(client, queued)
  if (status.state !== 'READY') {
    throw new StaleProposalError(`Found the operation ${status.state} in the timelock${status.secondsLeft === null || status.secondsLeft === 0n ? '' : `, for ${status.secondsLeft} s more`}, allowed is READY; ${status.state === 'WAITING' ? 'wait' : 'track the proposal to see what became of it'}`, { id: proposal.id, operation: queued.id })
  }
  await assertCurrent(target, client, proposal, proposal.validUntil)
  if (!(await mayExecute(client, queued, sender ?? zeroAddress))) {
    throw new ExecutionFailedError({ id: proposal.id, reason: sender === null ? `not everybody may execute at the timelock ${queued.address}` : `${lower(sender)} may not execute at the timelock ${queued.address}`, action: 'send it from an account that has the executor role' })
  }
  return tried(client, proposal.id, executeQueuedCall(queued), sender)
}

/** Executes a READY proposal. Throws as `executionCall` does. */
export async function execute(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const call = await executionCall(target, client, proposal, executor.address)
  return sendSafeTx(target, client, rpcUrl, proposal, proposal.hashes.safeTxHash, call, executor)
}

/** Executes the Safe's transaction that rejects a proposal, or takes it out of the timelock. Throws as `cancellationCall` does. */
export async function executeCancellation(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const call = await cancellationCall(target, client, proposal, executor.address)
  return sendSafeTx(target, client, rpcUrl, proposal, proposal.cancellation!.hashes.safeTxHash, call, executor)
}

/** Derives a proposal's cancellation again and compares every byte of it. Throws TamperedError. */
export function assertCancellation(target: Target, proposal: Executable): void {
  const { cancellation } = proposal
  if (cancellation === null) return
  const { queued } = verify(target, proposal)
  const derived = cancellation.kind === 'REJECTION' || queued === null ? rejection(target.deployment, BigInt(proposal.nonce)) : cancellationOf(target.deployment, queued, cancellation.safeTx.nonce)
  if (derived.hashes.safeTxHash !== cancellation.hashes.safeTxHash || hashesOf({ chainId: target.deployment.chainId, safe: safeOf(target.deployment).address }, cancellation.safeTx).safeTxHash !== derived.hashes.safeTxHash) {
    throw new TamperedError({ what: 'the cancellation of the proposal', found: cancellation.hashes.safeTxHash, expected: derived.hashes.safeTxHash })
  }
}

/** Executes what a timelock holds, once its delay is over, by whoever may. Throws as `queuedCall` does. */
export async function executeQueued(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const call = await queuedCall(target, client, proposal, executor.address)
  const receipt = await mined(client, proposal.id, await send(rpcUrl, proposal.id, call, executor))
  return executionOf(client, receipt)
}

/** Throws StaleProposalError where the deadline has passed by chain time, or a parameter on chain is not at `from` any more. */
async function assertCurrent(target: Target, client: PublicClient, proposal: Executable, untilSec: bigint): Promise<void> {
  const head = await client.getBlock()
  if (head.timestamp > untilSec) throw new StaleProposalError(`Found chain time ${head.timestamp}, the proposal is valid until ${untilSec}; draft it again`, { id: proposal.id, chainTime: head.timestamp })
  for (const change of proposal.changes) {
    const now = await readParameter(target, client, change)
    if (now !== change.from) throw new StaleProposalError(`Found ${change.parameter} of ${change.subjectLabel} at ${now}, it was ${change.from} when this was drafted; draft it again`, { id: proposal.id, found: now, from: change.from })
  }
}

async function safeCall(target: Target, client: PublicClient, proposal: Executable, signed: Signable & { readonly signatures: Executable['signatures'] }, sender: Address | null): Promise<Sendable> {
  const { deployment } = target
  const safe = safeOf(deployment)
  const { id } = proposal
  const chainId = await client.getChainId()
  if (chainId !== deployment.chainId) throw new UnavailableError({ part: 'chain', found: `chain id ${chainId}, the deployment's is ${deployment.chainId}`, action: 'name the RPC of the right network' })
  const onChain = await readRecordedSafe(client, deployment)
  const { safeTx } = signed
  if (onChain.nonce !== safeTx.nonce) {
    throw new StaleProposalError(`Found the Safe at nonce ${onChain.nonce}, this transaction has ${safeTx.nonce}; ${onChain.nonce < safeTx.nonce ? 'execute what is queued before it' : 'its nonce is used, draft it again'}`, { id, nonce: onChain.nonce })
  }
  const owners = new Set(onChain.owners)
  const valid = signed.signatures.filter(({ signer }) => owners.has(signer))
  if (valid.length < onChain.threshold) throw new WrongStateError({ id, found: `${proposal.state} with ${valid.length} of ${onChain.threshold} signatures`, allowed: ['READY with all signatures'], action: 'execute' })
  return tried(client, id, { to: safe.address, value: 0n, data: encodeExecution(safeTx, joinSignatures(valid, onChain.threshold)) }, sender)
}

async function sendSafeTx(target: Target, client: PublicClient, rpcUrl: string, { id }: Executable, safeTxHash: Hex, call: Sendable, executor: Account): Promise<Execution> {
  const safe = safeOf(target.deployment)
  const receipt = await mined(client, id, await send(rpcUrl, id, call, executor))
  const log = executionLogs(safe.address, receipt.logs).find((each) => each.safeTxHash === safeTxHash)
  if (log?.kind !== 'SUCCESS') throw new ExecutionFailedError({ id, reason: `transaction ${receipt.transactionHash} went through without ExecutionSuccess of ${safeTxHash} at ${lower(safe.address)}`, action: 'look at its logs before anything else' })
  return executionOf(client, receipt)
}

async function mined(client: PublicClient, id: string, hash: Hex): Promise<TransactionReceipt> {
  const receipt = await receiptOf(client, hash, { timeoutMs: RECEIPT_TIMEOUT_MS, everyMs: 250 })
  if (receipt === null) throw new ExecutionFailedError({ id, reason: `transaction ${hash} is not mined after ${RECEIPT_TIMEOUT_MS / 1000} s`, action: 'do not send it again: tracking finds it once it is mined' })
  if (receipt.status !== 'success') throw new ExecutionFailedError({ id, reason: `transaction ${receipt.transactionHash} reverted in block ${receipt.blockNumber}`, action: 'simulate it again to see which call fails' })
  return receipt
}

async function executionOf(client: PublicClient, receipt: TransactionReceipt): Promise<Execution> {
  const block = await client.getBlock({ blockNumber: receipt.blockNumber })
  return { txHash: receipt.transactionHash, block: receipt.blockNumber, timestamp: block.timestamp, gasUsed: receipt.gasUsed }
}

/** A dry run of the very call. Throws ExecutionFailedError with the contract's own reason. */
const tried = (client: PublicClient, id: string, call: Call, sender: Address | null): Promise<Sendable> =>
  explained(id, async () => {
    const gas = await client.estimateGas({ account: sender ?? zeroAddress, to: call.to, data: call.data })
    return { ...call, gas: (gas * 4n) / 3n }
  })

const send = (rpcUrl: string, id: string, { to, data, gas }: Sendable, executor: Account): Promise<Hex> =>
  explained(id, () => createWalletClient({ account: executor, transport: http(rpcUrl) }).sendTransaction({ chain: null, to, data, gas }))

/** A refusal carries the contract's own reason; an RPC that does not answer stays what it is. */
async function explained<T>(id: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof BaseError) || error.walk((each) => each instanceof HttpRequestError) !== null) throw error
    const reason = revertReason(error)
    throw new ExecutionFailedError({ id, reason, action: reason.includes('GS026') ? 'check the signatures and whether the nonce has moved' : 'simulate it again to see which call fails' })
  }
}
