/**
 * What one RPC says about a Safe and the parameters of a proposal, all at one block. An RPC can lie or be lied to, so its
 * answer is a witness's statement: `verify` holds several against each other.
 */
import { createPublicClient, http, keccak256, parseAbi, toHex } from 'viem'
import { canonicalJson } from '../api/recommendations/canonical.ts'
import type { Address, Hex, ParameterRef } from '../protocols/adapter.ts'
import { keyOf } from './draft.ts'
import type { Target } from './draft.ts'
import { TIMELOCK_ABI } from './paths.ts'
import { SAFE_ABI, lower } from './safe.ts'
import type { SafeTx } from './safe.ts'

export type Head = { readonly number: bigint; readonly hash: Hex; readonly timestampSec: bigint }

/** What is asked. */
export type Questions = {
  readonly safe: Address
  /** Contracts whose code hash is wanted, beside that of the Safe's guard. */
  readonly code: readonly Address[]
  /** A block whose hash and time are wanted; null for none. */
  readonly block: bigint | null
  readonly refs: readonly ParameterRef[]
  /** A transaction that the Safe's own getter shall hash; null for none. */
  readonly safeTx: SafeTx | null
  /** A TimelockController at which the Safe schedules; null for none. */
  readonly timelock: Address | null
}

export type Statement = {
  readonly chainId: number
  readonly at: Head
  readonly safe: {
    readonly version: string
    /** Ascending. */
    readonly owners: readonly Address[]
    readonly threshold: number
    readonly nonce: bigint
    /** Slot 0 of the proxy. */
    readonly singleton: Address
    /** null: none is set. */
    readonly guard: Address | null
    /** Ascending. */
    readonly modules: readonly Address[]
    readonly fallbackHandler: Address | null
  }
  /** keccak256 of the code by address, lower case; null where there is none. */
  readonly codeHashes: Readonly<Record<string, Hex | null>>
  /** null: not asked, or the chain has no such block. */
  readonly block: Head | null
  /** Raw values by `keyOf`; null where the getter does not answer. */
  readonly values: Readonly<Record<string, bigint | null>>
  /** By the Safe's own getter; null where not asked. */
  readonly safeTxHash: Hex | null
  /** `safeMay`: the Safe may schedule and cancel. null where not asked. */
  readonly timelock: { readonly minDelaySec: bigint; readonly safeMay: boolean } | null
}

export type Witness = {
  /** Host and port: the rest of a URL may be a key. */
  readonly name: string
  head(): Promise<Head>
  /** Throws where anything that a Safe must answer stays without an answer. */
  state(questions: Questions, blockNumber: bigint): Promise<Statement>
}

/** keccak256("guard_manager.guard.address") and keccak256("fallback_manager.handler.address"). Source: GuardManager.sol, FallbackManager.sol. */
const GUARD_SLOT: Hex = '0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8'
const FALLBACK_SLOT: Hex = '0x6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5'
const SENTINEL: Address = '0x0000000000000000000000000000000000000001'
const MODULES_MAX = 100n
const MODULES_ABI = parseAbi(['function getModulesPaginated(address start, uint256 pageSize) view returns (address[] array, address next)'])

const role = (name: string): Hex => keccak256(toHex(name))
const [PROPOSER_ROLE, CANCELLER_ROLE] = [role('PROPOSER_ROLE'), role('CANCELLER_ROLE')]

const TIMEOUT_MS = 15_000

/** An RPC as a witness. Nothing is asked yet. */
export function rpcWitness(target: Target, url: string): Witness {
  const client = createPublicClient({ transport: http(url, { timeout: TIMEOUT_MS, retryCount: 1, batch: { wait: 2 } }), cacheTime: 0 })
  const headOf = (block: { number: bigint | null; hash: Hex | null; timestamp: bigint }): Head => ({ number: block.number!, hash: block.hash!, timestampSec: block.timestamp })

  async function state(questions: Questions, blockNumber: bigint): Promise<Statement> {
    const { safe: address } = questions
    const at = { blockNumber }
    const read = <N extends 'VERSION' | 'nonce' | 'getThreshold' | 'getOwners'>(functionName: N) => client.readContract({ address, abi: SAFE_ABI, functionName, ...at })
    const slot = async (index: Hex): Promise<Address | null> => {
      const word = BigInt((await client.getStorageAt({ address, slot: index, ...at })) ?? '0x0')
      return word === 0n ? null : `0x${word.toString(16).padStart(40, '0').slice(-40)}`
    }
    const tx = questions.safeTx
    const [chainId, block, version, owners, threshold, nonce, singleton, guard, fallbackHandler, modules, safeTxHash, timelock, named, codes, values] = await Promise.all([
      client.getChainId(),
      client.getBlock(at),
      read('VERSION'),
      read('getOwners'),
      read('getThreshold'),
      read('nonce'),
      slot('0x0'),
      slot(GUARD_SLOT),
      slot(FALLBACK_SLOT),
      client.readContract({ address, abi: MODULES_ABI, functionName: 'getModulesPaginated', args: [SENTINEL, MODULES_MAX], ...at }),
      tx === null
        ? null
        : client.readContract({ address, abi: SAFE_ABI, functionName: 'getTransactionHash', args: [tx.to, tx.value, tx.data, tx.operation, tx.safeTxGas, tx.baseGas, tx.gasPrice, tx.gasToken, tx.refundReceiver, tx.nonce], ...at }),
      timelockOf(questions, blockNumber),
      questions.block === null || questions.block > blockNumber ? null : client.getBlock({ blockNumber: questions.block }).then(headOf, () => null),
      Promise.all(questions.code.map(async (each) => [lower(each), hashOf(await client.getCode({ address: each, ...at }))] as const)),
      Promise.all(questions.refs.map(async (ref) => [keyOf({ parameter: ref.name, subject: ref.subject }), await valueOf(ref, blockNumber)] as const)),
    ])
    // The guard's address is an answer itself, so its code is asked for after it.
    const guardCode = guard === null ? [] : [[guard, hashOf(await client.getCode({ address: guard, ...at }))] as const]
    return {
      chainId,
      at: headOf(block),
      safe: {
        version,
        owners: owners.map(lower).toSorted(),
        threshold: Number(threshold),
        nonce,
        singleton: singleton ?? '0x0000000000000000000000000000000000000000',
        guard,
        modules: modules[0].map(lower).toSorted(),
        fallbackHandler,
      },
      codeHashes: Object.fromEntries([...codes, ...guardCode]),
      block: named,
      values: Object.fromEntries(values),
      safeTxHash,
      timelock,
    }
  }

  async function valueOf(ref: ParameterRef, blockNumber: bigint): Promise<bigint | null> {
    const read = target.catalog.encodeRead(target.deployment, ref)
    try {
      const { data } = await client.call({ to: read.to, data: read.data, blockNumber })
      return data === undefined ? null : target.catalog.decodeRead(ref, data)
    } catch {
      return null
    }
  }

  async function timelockOf({ timelock: address, safe }: Questions, blockNumber: bigint): Promise<Statement['timelock']> {
    if (address === null) return null
    const may = (of: Hex): Promise<boolean> => client.readContract({ address, abi: TIMELOCK_ABI, functionName: 'hasRole', args: [of, safe], blockNumber })
    const [minDelaySec, proposes, cancels] = await Promise.all([client.readContract({ address, abi: TIMELOCK_ABI, functionName: 'getMinDelay', blockNumber }), may(PROPOSER_ROLE), may(CANCELLER_ROLE)])
    return { minDelaySec, safeMay: proposes && cancels }
  }

  return { name: new URL(url).host, head: async () => headOf(await client.getBlock()), state }
}

/** What two statements say otherwise, in words; empty where they agree. */
export function differencesOf(a: Statement, b: Statement): string[] {
  const parts: string[] = []
  if (a.chainId !== b.chainId) parts.push('the chain id')
  if (json(a.at) !== json(b.at)) parts.push('the block itself')
  for (const key of Object.keys(a.safe) as (keyof Statement['safe'])[]) if (json(a.safe[key]) !== json(b.safe[key])) parts.push(`the Safe's ${key}`)
  if (json(a.codeHashes) !== json(b.codeHashes)) parts.push('the code behind addresses')
  if (json(a.block) !== json(b.block)) parts.push("the proposal's block")
  if (json(a.timelock) !== json(b.timelock)) parts.push('the timelock')
  if (a.safeTxHash !== b.safeTxHash) parts.push("the Safe's own hash")
  for (const key of new Set([...Object.keys(a.values), ...Object.keys(b.values)])) if (a.values[key] !== b.values[key]) parts.push(`the value of ${key}`)
  return parts
}

const json = canonicalJson

const hashOf = (code: Hex | undefined): Hex | null => (code === undefined || code === '0x' ? null : keccak256(code))
