import { type Hex, keccak256, serializeTransaction } from 'viem'
import { sign } from 'viem/accounts'
import type { Address } from '../protocols/curie/deployments.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount } from './keys.ts'
import type { RpcCall, RpcClient } from './rpc.ts'

/** A transaction before it has a nonce and a signature. `to` null creates a contract. */
export type Draft = { readonly from: DevnetAccount; readonly to: Address | null; readonly data: Hex; readonly value?: bigint; readonly gas: bigint; /** Another account whose state it changes. */ readonly affects?: Address }

/** A block as it is kept: what happened and when. Replaying the same blocks gives the same hashes. */
export type RawBlock = { readonly timestampSec: number; readonly transactions: readonly Hex[] }

/** Signs drafts with nonces counted here, so that no transaction costs a round trip. Gas is free on the devnet. */
export class Signer {
  readonly #nonces = new Map<Address, number>()

  /** Where the accounts stand on a chain that is already running. */
  setNonce(address: Address, nonce: number): void {
    this.#nonces.set(address, nonce)
  }

  nonce(address: Address): number {
    return this.#nonces.get(address) ?? 0
  }

  async sign(draft: Draft): Promise<Hex> {
    const nonce = this.nonce(draft.from.address)
    this.#nonces.set(draft.from.address, nonce + 1)
    const unsigned = { type: 'legacy', chainId: DEVNET_CHAIN_ID, nonce, gasPrice: 0n, gas: draft.gas, to: draft.to, value: draft.value ?? 0n, data: draft.data } as const
    const { r, s, v } = await sign({ hash: keccak256(serializeTransaction(unsigned)), privateKey: draft.from.privateKey })
    return serializeTransaction(unsigned, { r, s, v: v ?? 27n })
  }
}

/**
 * The calls that mine one block with exactly these transactions, in this order, at this time.
 * One block per request: anvil works on the calls of a batch at the same time, and transactions of a later block would slip into an earlier one.
 */
export const blockCalls = (block: RawBlock): RpcCall[] => [
  ...block.transactions.map((raw): RpcCall => ['eth_sendRawTransaction', [raw]]),
  // The time goes with the order to mine: named beforehand, it would be there for others to see and to use up.
  ['evm_mine', [block.timestampSec]],
]

/**
 * Mines one block with these transactions, and with whatever else waits in the mempool.
 * Throws RpcError when the chain refuses one of them. Only the block's hash tells that it took no others: who replays blocks compares that.
 */
export async function mineBlock(rpc: RpcClient, block: RawBlock): Promise<void> {
  await rpc.batch(blockCalls(block))
}

export type Head = { readonly number: number; readonly hash: Hex; readonly timestampSec: number; readonly transactions: number }

export async function readHead(rpc: RpcClient): Promise<Head> {
  const block = await rpc.call<{ number: Hex; hash: Hex; timestamp: Hex; transactions: unknown[] }>('eth_getBlockByNumber', ['latest', false])
  return { number: Number(block.number), hash: block.hash, timestampSec: Number(block.timestamp), transactions: block.transactions.length }
}
