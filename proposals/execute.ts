/** A signed Safe transaction sent by anybody, after everything that can be checked has been checked again. */
import { BaseError, HttpRequestError, createWalletClient, http } from 'viem'
import type { Account, PublicClient } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Hex } from '../protocols/adapter.ts'
import { readRecordedSafe, safeOf, verify } from './build.ts'
import type { Target } from './draft.ts'
import { ExecutionFailedError, StaleProposalError, WrongStateError } from './errors.ts'
import { receiptOf } from './receipt.ts'
import { EXECUTION_FAILURE_TOPIC, EXECUTION_SUCCESS_TOPIC, encodeExecution, lower } from './safe.ts'
import { joinSignatures } from './sign.ts'
import { readParameter, revertReason } from './simulate.ts'
import type { ProposalRecord } from './store.ts'

const RECEIPT_TIMEOUT_MS = 120_000

export type Execution = { readonly txHash: Hex; readonly block: bigint; readonly timestamp: bigint; readonly gasUsed: bigint }

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
export async function execute(target: Target, client: PublicClient, rpcUrl: string, proposal: ProposalRecord, executor: Account): Promise<Execution> {
  const { deployment } = target
  const safe = safeOf(deployment)
  if (proposal.state !== 'READY') throw new WrongStateError({ id: proposal.id, found: proposal.state, allowed: ['READY'], action: 'execute' })
  const built = verify(target, proposal)
  const chainId = await client.getChainId()
  if (chainId !== deployment.chainId) throw new UnavailableError({ part: 'chain', found: `chain id ${chainId}, the deployment's is ${deployment.chainId}`, action: 'name the RPC of the right network' })
  const [onChain, head] = await Promise.all([readRecordedSafe(client, deployment), client.getBlock()])
  if (onChain.nonce !== built.safeTx.nonce) {
    throw new StaleProposalError(`Found the Safe at nonce ${onChain.nonce}, this transaction has ${built.safeTx.nonce}; ${onChain.nonce < built.safeTx.nonce ? 'execute what is queued before it' : 'its nonce is used, draft it again'}`, { id: proposal.id, nonce: onChain.nonce })
  }
  if (head.timestamp > proposal.validUntil) {
    throw new StaleProposalError(`Found chain time ${head.timestamp}, the proposal is valid until ${proposal.validUntil}; draft it again`, { id: proposal.id, chainTime: head.timestamp })
  }
  for (const change of proposal.changes) {
    const now = await readParameter(target, client, change)
    if (now !== change.from) {
      throw new StaleProposalError(`Found ${change.parameter} of ${change.subjectLabel} at ${now}, it was ${change.from} when this was drafted; draft it again`, { id: proposal.id, found: now, from: change.from })
    }
  }
  const owners = new Set(onChain.owners)
  const valid = proposal.signatures.filter(({ signer }) => owners.has(signer))
  if (valid.length < onChain.threshold) throw new WrongStateError({ id: proposal.id, found: `${proposal.state} with ${valid.length} of ${onChain.threshold} signatures`, allowed: ['READY with all signatures'], action: 'execute' })

  const data = encodeExecution(built.safeTx, joinSignatures(valid, onChain.threshold))
  const hash = await send(client, rpcUrl, proposal.id, safe.address, data, executor)
  const receipt = await receiptOf(client, hash, { timeoutMs: RECEIPT_TIMEOUT_MS, everyMs: 250 })
  if (receipt === null) throw new ExecutionFailedError({ id: proposal.id, reason: `transaction ${hash} is not mined after ${RECEIPT_TIMEOUT_MS / 1000} s`, action: 'do not send it again: tracking finds it once it is mined' })
  if (receipt.status !== 'success') throw new ExecutionFailedError({ id: proposal.id, reason: `transaction ${receipt.transactionHash} reverted in block ${receipt.blockNumber}`, action: 'simulate it again to see which call fails' })
  const log = executionLogs(safe.address, receipt.logs).find((each) => each.safeTxHash === proposal.safeTxHash)
  if (log?.kind !== 'SUCCESS') throw new ExecutionFailedError({ id: proposal.id, reason: `transaction ${receipt.transactionHash} went through without ExecutionSuccess of ${proposal.safeTxHash} at ${lower(safe.address)}`, action: 'look at its logs before anything else' })
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
