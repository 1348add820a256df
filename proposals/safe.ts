/**
 * The Safe's own formats, in our own few lines: transaction, hashes, MultiSend packing. Pure: no network.
 * `build.ts` compares the results with protocol-kit's and the contract's.
 */
import { concatHex, decodeFunctionData, encodeAbiParameters, encodeFunctionData, encodePacked, keccak256, parseAbi, size, slice, zeroAddress } from 'viem'
import type { Address, Call, Hex } from '../protocols/adapter.ts'
import { TamperedError } from './errors.ts'

export const SAFE_ABI = parseAbi([
  'function VERSION() view returns (string)',
  'function nonce() view returns (uint256)',
  'function getThreshold() view returns (uint256)',
  'function getOwners() view returns (address[])',
  'function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) view returns (bytes32)',
  'function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)',
  'error Error(string)',
])
const MULTI_SEND_ABI = parseAbi(['function multiSend(bytes transactions) payable'])

/** keccak256 of `ExecutionSuccess(bytes32,uint256)` and `ExecutionFailure(bytes32,uint256)`; the hash is indexed from 1.4.1 on. */
export const EXECUTION_SUCCESS_TOPIC: Hex = '0x442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e'
export const EXECUTION_FAILURE_TOPIC: Hex = '0x23428b18acfb3ea64b08dc0c1d296ea9c09702c09083ca5272e64d115b687d23'

/** The fields that an owner signs, in the order of the type. `operation`: 0 is a call, 1 a delegatecall. */
export type SafeTx = {
  readonly to: Address
  readonly value: bigint
  readonly data: Hex
  readonly operation: 0 | 1
  readonly safeTxGas: bigint
  readonly baseGas: bigint
  readonly gasPrice: bigint
  readonly gasToken: Address
  readonly refundReceiver: Address
  readonly nonce: bigint
}

/** `safeTxHash` is what is signed; a hardware wallet shows `domainHash` and `messageHash`. */
export type SafeTxHashes = { readonly domainHash: Hex; readonly messageHash: Hex; readonly safeTxHash: Hex }

export const SAFE_TX_TYPES = {
  SafeTx: [
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'data', type: 'bytes' },
    { name: 'operation', type: 'uint8' },
    { name: 'safeTxGas', type: 'uint256' },
    { name: 'baseGas', type: 'uint256' },
    { name: 'gasPrice', type: 'uint256' },
    { name: 'gasToken', type: 'address' },
    { name: 'refundReceiver', type: 'address' },
    { name: 'nonce', type: 'uint256' },
  ],
} as const

const DOMAIN_TYPEHASH: Hex = '0x47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218'
const SAFE_TX_TYPEHASH: Hex = '0xbb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8'

/** Versions whose domain is (chainId, verifyingContract). Older ones leave the chain out: a signature could be replayed elsewhere. */
export const SUPPORTED_SAFE_VERSIONS = ['1.3.0', '1.4.1', '1.5.0'] as const

/** `multiSend(bytes)` calldata: each call packed as operation 0 ‖ to ‖ value ‖ data length ‖ data. */
export function encodeMultiSend(calls: readonly Call[]): Hex {
  const packed = concatHex(calls.map((call) => encodePacked(['uint8', 'address', 'uint256', 'uint256', 'bytes'], [0, call.to, call.value, BigInt(size(call.data)), call.data])))
  return encodeFunctionData({ abi: MULTI_SEND_ABI, functionName: 'multiSend', args: [packed] })
}

/** A call inside a MultiSend batch. `operation`: 0 is a call, 1 a delegatecall, which MultiSendCallOnly refuses. */
export type BatchedCall = Call & { readonly operation: number }

/** The calls of `multiSend(bytes)` calldata. null where `data` is not exactly what `encodeMultiSend` makes of them, operations aside. */
export function decodeMultiSend(data: Hex): readonly BatchedCall[] | null {
  try {
    const [packed] = decodeFunctionData({ abi: MULTI_SEND_ABI, data }).args
    // Solidity ignores trailing bytes and other offsets: what is not the one encoding could be shown differently than it runs.
    if (encodeFunctionData({ abi: MULTI_SEND_ABI, functionName: 'multiSend', args: [packed] }) !== data.toLowerCase()) return null
    const calls: BatchedCall[] = []
    for (let at = 0; at < size(packed); ) {
      const dataAt = at + 1 + 20 + 32 + 32
      const end = dataAt + Number(BigInt(slice(packed, dataAt - 32, dataAt)))
      if (end > size(packed)) return null
      calls.push({ operation: Number(slice(packed, at, at + 1)), to: slice(packed, at + 1, at + 21), value: BigInt(slice(packed, at + 21, at + 53)), data: end === dataAt ? '0x' : slice(packed, dataAt, end) })
      at = end
    }
    return calls
  } catch {
    return null
  }
}

/**
 * Throws TamperedError unless the transaction makes plain calls alone: itself a call, or the one delegatecall to
 * MultiSendCallOnly with plain calls in it. protocol-kit's `onlyCalls` does not look at a single transaction.
 */
export function assertPlainCalls(tx: SafeTx, multiSendCallOnly: Address): void {
  if (tx.operation === 0) return
  if (lower(tx.to) !== lower(multiSendCallOnly)) throw new TamperedError({ what: 'a delegatecall to', found: lower(tx.to), expected: `MultiSendCallOnly at ${lower(multiSendCallOnly)}` })
  const calls = decodeMultiSend(tx.data)
  if (calls === null) throw new TamperedError({ what: 'batch data', found: `${tx.data.slice(0, 10)}… that is no batch`, expected: 'multiSend(bytes) of plain calls' })
  const other = calls.findIndex((call) => call.operation !== 0)
  if (other !== -1) throw new TamperedError({ what: `operation of call ${other + 1} in the batch`, found: String(calls[other]!.operation), expected: '0' })
}

/**
 * One Safe transaction out of several calls. They go through MultiSendCallOnly, which alone is delegate-called and can itself
 * make plain calls only. Every gas-refund field is zero.
 */
export function batchTxOf(calls: readonly [Call, Call, ...Call[]], options: { multiSendCallOnly: Address; nonce: bigint }): SafeTx {
  return safeTxOf({ to: lower(options.multiSendCallOnly), value: 0n, data: encodeMultiSend(calls), operation: 1 }, options.nonce)
}

/** One plain call as a Safe transaction. */
export const singleTxOf = (call: Call, nonce: bigint): SafeTx => safeTxOf({ to: lower(call.to), value: call.value, data: call.data, operation: 0 }, nonce)

const safeTxOf = (inner: Pick<SafeTx, 'to' | 'value' | 'data' | 'operation'>, nonce: bigint): SafeTx => ({ ...inner, safeTxGas: 0n, baseGas: 0n, gasPrice: 0n, gasToken: zeroAddress, refundReceiver: zeroAddress, nonce })

/** EIP-712 hashes of a Safe ≥ 1.3.0: safeTxHash = keccak(0x1901 ‖ domainHash ‖ messageHash). */
export function hashesOf(domain: { chainId: number; safe: Address }, tx: SafeTx): SafeTxHashes {
  const domainHash = keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }, { type: 'address' }], [DOMAIN_TYPEHASH, BigInt(domain.chainId), domain.safe]))
  const messageHash = keccak256(
    encodeAbiParameters(
      [{ type: 'bytes32' }, ...SAFE_TX_TYPES.SafeTx.map(({ type }) => ({ type: type === 'bytes' ? 'bytes32' : type }))],
      [SAFE_TX_TYPEHASH, tx.to, tx.value, keccak256(tx.data), tx.operation, tx.safeTxGas, tx.baseGas, tx.gasPrice, tx.gasToken, tx.refundReceiver, tx.nonce],
    ),
  )
  return { domainHash, messageHash, safeTxHash: keccak256(concatHex(['0x1901', domainHash, messageHash])) }
}

/** Calldata of `execTransaction`. */
export const encodeExecution = (tx: SafeTx, signatures: Hex): Hex =>
  encodeFunctionData({
    abi: SAFE_ABI,
    functionName: 'execTransaction',
    args: [tx.to, tx.value, tx.data, tx.operation, tx.safeTxGas, tx.baseGas, tx.gasPrice, tx.gasToken, tx.refundReceiver, signatures],
  })

export type SafeTxJson = { readonly [K in keyof SafeTx]: K extends 'operation' ? 0 | 1 : K extends 'to' | 'data' | 'gasToken' | 'refundReceiver' ? Hex : string }

/** Decimal strings and hex: what is stored and shown. */
export const safeTxToJson = (tx: SafeTx): SafeTxJson => ({
  ...tx,
  value: tx.value.toString(),
  safeTxGas: tx.safeTxGas.toString(),
  baseGas: tx.baseGas.toString(),
  gasPrice: tx.gasPrice.toString(),
  nonce: tx.nonce.toString(),
})

export const safeTxFromJson = (json: SafeTxJson): SafeTx => ({
  ...json,
  value: BigInt(json.value),
  safeTxGas: BigInt(json.safeTxGas),
  baseGas: BigInt(json.baseGas),
  gasPrice: BigInt(json.gasPrice),
  nonce: BigInt(json.nonce),
})

export const lower = (address: Address): Address => address.toLowerCase() as Address
