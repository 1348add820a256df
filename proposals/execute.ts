/** A signed Safe transaction sent by anybody, after everything that can be checked has been checked again. */
import { BaseError, HttpRequestError, createWalletClient, http } from 'viem'
import type { Account, PublicClient, TransactionReceipt } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Hex } from '../protocols/adapter.ts'
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

/**
 * Executes a READY proposal. Before sending: bytes rebuilt from the intent, Safe as recorded, nonce ours and next, deadline
 * not passed by chain time, every parameter on chain still at `from`, and a dry run of the very call.
 * Throws WrongStateError, TamperedError, SafeMismatchError, StaleProposalError, ExecutionFailedError, UnavailableError.
 */
export async function execute(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const { deployment } = target
  if (proposal.state !== 'READY') throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['READY'], action: 'execute' })
  const built = verify(target, proposal)
  await assertCurrent(target, client, proposal, safeDeadlineSec(deployment, proposal.validUntil))
  return sendSafeTx(target, client, rpcUrl, proposal, { ...built, signatures: proposal.signatures }, executor)
}

/** Executes the Safe's transaction that rejects a proposal, or takes it out of the timelock. Throws as `execute` does. */
export async function executeCancellation(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const { cancellation } = proposal
  if (proposal.state !== 'CANCELLING' || cancellation === null) throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['CANCELLING'], action: 'execute its cancellation' })
  assertCancellation(target, proposal)
  return sendSafeTx(target, client, rpcUrl, proposal, cancellation, executor)
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

/** Executes what a timelock holds, once its delay is over, by whoever may. Throws as `execute` does. */
export async function executeQueued(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, executor: Account): Promise<Execution> {
  const { queued } = verify(target, proposal)
  if (proposal.state !== 'QUEUED' || queued === null) throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['QUEUED'], action: 'execute in the timelock' })
  const status = await readQueued(client, queued)
  if (status.state !== 'READY') {
    throw new StaleProposalError(`Found the operation ${status.state} in the timelock${status.secondsLeft === null || status.secondsLeft === 0n ? '' : `, for ${status.secondsLeft} s more`}, allowed is READY; ${status.state === 'WAITING' ? 'wait' : 'track the proposal to see what became of it'}`, { id: proposal.id, operation: queued.id })
  }
  await assertCurrent(target, client, proposal, proposal.validUntil)
  if (!(await mayExecute(client, queued, executor.address))) throw new ExecutionFailedError({ id: proposal.id, reason: `${lower(executor.address)} may not execute at the timelock ${queued.address}`, action: 'send it from an account that has the executor role' })
  const { to, data } = executeQueuedCall(queued)
  const receipt = await mined(client, proposal.id, await send(client, rpcUrl, proposal.id, to, data, executor))
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

async function sendSafeTx(target: Target, client: PublicClient, rpcUrl: string, proposal: Executable, signed: Signable & { readonly signatures: Executable['signatures'] }, executor: Account): Promise<Execution> {
  const { deployment } = target
  const safe = safeOf(deployment)
  const { id } = proposal
  const chainId = await client.getChainId()
  if (chainId !== deployment.chainId) throw new UnavailableError({ part: 'chain', found: `chain id ${chainId}, the deployment's is ${deployment.chainId}`, action: 'name the RPC of the right network' })
  const onChain = await readRecordedSafe(client, deployment)
  const { safeTx, hashes } = signed
  if (onChain.nonce !== safeTx.nonce) {
    throw new StaleProposalError(`Found the Safe at nonce ${onChain.nonce}, this transaction has ${safeTx.nonce}; ${onChain.nonce < safeTx.nonce ? 'execute what is queued before it' : 'its nonce is used, draft it again'}`, { id, nonce: onChain.nonce })
  }
  const owners = new Set(onChain.owners)
  const valid = signed.signatures.filter(({ signer }) => owners.has(signer))
  if (valid.length < onChain.threshold) throw new WrongStateError({ id, found: `${proposal.state} with ${valid.length} of ${onChain.threshold} signatures`, allowed: ['READY with all signatures'], action: 'execute' })
  const data = encodeExecution(safeTx, joinSignatures(valid, onChain.threshold))
  const receipt = await mined(client, id, await send(client, rpcUrl, id, safe.address, data, executor))
  const log = executionLogs(safe.address, receipt.logs).find((each) => each.safeTxHash === hashes.safeTxHash)
  if (log?.kind !== 'SUCCESS') throw new ExecutionFailedError({ id, reason: `transaction ${receipt.transactionHash} went through without ExecutionSuccess of ${hashes.safeTxHash} at ${lower(safe.address)}`, action: 'look at its logs before anything else' })
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

/** Dry run, then the transaction itself. A refusal carries the contract's own reason. */
async function send(client: PublicClient, rpcUrl: string, id: string, to: Hex, data: Hex, executor: Account): Promise<Hex> {
  try {
    const gas = await client.estimateGas({ account: executor, to, data })
    const wallet = createWalletClient({ account: executor, transport: http(rpcUrl) })
    // A third more than estimated: other transactions may land before and make storage writes dearer.
    return await wallet.sendTransaction({ chain: null, to, data, gas: (gas * 4n) / 3n })
  } catch (error) {
    if (!(error instanceof BaseError) || error.walk((each) => each instanceof HttpRequestError) !== null) throw error
    const reason = revertReason(error)
    throw new ExecutionFailedError({ id, reason, action: reason.includes('GS026') ? 'check the signatures and whether the nonce has moved' : 'simulate it again to see which call fails' })
  }
}
