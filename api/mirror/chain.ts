import { endpointOf } from '../../core/endpoint.ts'
import { TroubleError } from './trouble.ts'

export type Block = {
  readonly number: bigint
  readonly hash: string
  /** Chain time, s. */
  readonly timestamp: bigint
}

export type Chain = {
  /** The canonical block at a height; null above the head. Throws TroubleError. */
  block(at: bigint | 'latest'): Promise<Block | null>
}

const TIMEOUT_MS = 10_000

/** The chain's own word on what is canonical, over JSON-RPC. */
export function createChain(rpcUrl: string): Chain {
  const { url, headers } = endpointOf(rpcUrl)
  const fail = (found: string, cause?: unknown): TroubleError => new TroubleError('CHAIN_UNREACHABLE', found, 'check RPC_URL and that the node runs; the mirror goes on by itself', cause)

  return {
    block: async (at) => {
      const params = [at === 'latest' ? 'latest' : `0x${at.toString(16)}`, false]
      let answer: { result?: { number: string; hash: string; timestamp: string } | null; error?: { message?: string } }
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        })
        if (!response.ok) throw fail(`the node answered HTTP ${response.status}`)
        answer = (await response.json()) as typeof answer
      } catch (cause) {
        throw cause instanceof TroubleError ? cause : fail('the node did not answer', cause)
      }
      if (answer.error !== undefined) throw fail(`the node refused eth_getBlockByNumber (${answer.error.message ?? 'no reason given'})`)
      const block = answer.result
      // Without a result it is no answer: a null says that there is no such block.
      if (block === undefined || (block !== null && typeof block.hash !== 'string')) throw fail('the node gave no block and no error')
      return block === null ? null : { number: BigInt(block.number), hash: block.hash.toLowerCase(), timestamp: BigInt(block.timestamp) }
    },
  }
}
