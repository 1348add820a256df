/** The chain as the API asks it: the head, and read-only calls at one block. */
import { RpcRequestError, createPublicClient, http } from 'viem'
import type { PublicClient } from 'viem'
import { UnavailableError } from '../../core/errors.ts'
import { endpointOf } from '../../core/endpoint.ts'
import { maskUrls } from '../../core/log.ts'
import type { Call, Deployment, Hex, ParameterCatalog, ParameterRef } from '../../protocols/adapter.ts'

export type Chain = {
  readonly client: PublicClient
  head(): Promise<{ number: bigint; hash: Hex; timestamp: bigint }>
  /** Answers in the order of `calls`, as of the block with this hash; null for a call that reverted. Throws UnavailableError where the chain does not have the block or does not answer. */
  callAll(calls: readonly Call[], blockHash: string): Promise<(Hex | null)[]>
}

const TIMEOUT_MS = 10_000

/** `batchSize`: the most calls that the RPC takes in one request; 1 sends each alone. */
export function createChain(rpcUrl: string, batchSize = 100): Chain {
  const { url, headers } = endpointOf(rpcUrl)
  const client = createPublicClient({ transport: http(url, { batch: batchSize > 1 ? { batchSize } : false, timeout: TIMEOUT_MS, retryCount: 1, fetchOptions: { headers } }), cacheTime: 0 })
  const call = async ({ to, data }: Call, blockHash: string): Promise<Hex | null> => {
    try {
      return await client.request({ method: 'eth_call', params: [{ to, data }, { blockHash }] } as never)
    } catch (error) {
      if (isRevert(error)) return null
      // viem's error names the RPC's whole address, which may hold a key: it is no cause to hand on.
      throw new UnavailableError({ part: 'chain', found: `a call at block ${blockHash} was refused (${firstLine(error)})`, action: 'check that the RPC keeps the state of recent blocks' })
    }
  }
  return {
    client,
    head: async () => {
      const { number, hash, timestamp } = await client.getBlock()
      return { number, hash, timestamp }
    },
    callAll: (calls, blockHash) => Promise.all(calls.map((one) => call(one, blockHash))),
  }
}

/** A parameter's raw value by its getter, for one that no event has announced. Throws UnavailableError where the contract does not answer. */
export async function readParameter(chain: Chain, catalog: ParameterCatalog, deployment: Deployment, ref: ParameterRef, blockHash: string): Promise<bigint> {
  const [data] = await chain.callAll([catalog.encodeRead(deployment, ref)], blockHash)
  if (data == null) throw new UnavailableError({ part: 'chain', found: `${ref.name} of ${ref.subject} cannot be read at block ${blockHash}`, action: 'check that the chain is the one that the deployment records' })
  return catalog.decodeRead(ref, data)
}

/** True for an answer of the contract; false for a node that could not run the call. */
function isRevert(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof RpcRequestError) return cause.code === 3 || /revert|invalid opcode|out of gas/i.test(cause.details || cause.message)
  }
  return false
}

/** What went wrong in a few words, without the request that viem adds, and of an address its origin alone. */
export const firstLine = (error: unknown): string => maskUrls((error as { details?: string }).details ?? (error instanceof Error ? error.message : String(error))).split('\n')[0]!.slice(0, 160)
