/**
 * What an owner signs, derived by this page from the transaction's own fields: hashes that the API tells are compared, never signed.
 * A page from a server that was taken over can lie here as well; the check that trusts no server is `bulwark verify`. Pure.
 */
import { concatHex, encodeFunctionData, encodePacked, hashDomain, hashMessage, hashStruct, hashTypedData, numberToHex, parseAbi, recoverAddress, size, slice, zeroAddress } from 'viem'
import type { Hex } from 'viem'
import { wrongWithDeeds } from './deeds.ts'
import type { Shown } from './deeds.ts'

/** By EIP-712, as the Safe's contract has them since 1.3.0. */
const TYPES = {
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
const DOMAIN = { EIP712Domain: [{ name: 'chainId', type: 'uint256' }, { name: 'verifyingContract', type: 'address' }] } as const

const ABI = parseAbi(['function multiSend(bytes transactions)', 'function cancel(bytes32 id)'])

export type Hashes = { readonly domainHash: Hex; readonly messageHash: Hex; readonly safeTxHash: Hex }

type Message = { readonly to: Hex; readonly value: bigint; readonly data: Hex; readonly operation: 0 | 1; readonly safeTxGas: bigint; readonly baseGas: bigint; readonly gasPrice: bigint; readonly gasToken: Hex; readonly refundReceiver: Hex; readonly nonce: bigint }

export type TypedData = { readonly domain: { readonly chainId: number; readonly verifyingContract: Hex }; readonly types: typeof TYPES; readonly primaryType: 'SafeTx'; readonly message: Message }

/** As the API tells a transaction of the Safe. */
export type Told = { readonly chainId: number; readonly safe: string; readonly safeTx: unknown; readonly typedData: unknown; readonly nonce: number; readonly domainHash: string; readonly messageHash: string; readonly safeTxHash: string }

/** What the transaction is to do, by which its bytes are made again here. */
export type Doing =
  | (Shown & { readonly kind: 'CHANGE' })
  | { readonly kind: 'REJECTION' }
  | { readonly kind: 'TIMELOCK'; readonly timelock: string; readonly operation: string }

/** `typedData` and `hashes` are this page's own; null where the fields are not those of a Safe transaction. With any fault, nothing may be signed. */
export type Checked = { readonly typedData: TypedData | null; readonly hashes: Hashes | null; readonly faults: readonly string[] }

const HEX = /^0x(?:[0-9a-f]{2})*$/i
const isAddress = (value: unknown): value is Hex => typeof value === 'string' && /^0x[0-9a-f]{40}$/i.test(value)
const isUint = (value: unknown): value is string => typeof value === 'string' && /^(?:0|[1-9]\d{0,77})$/.test(value)
const same = (a: unknown, b: unknown): boolean => String(a).toLowerCase() === String(b).toLowerCase()

function messageOf(safeTx: unknown): Message | null {
  if (typeof safeTx !== 'object' || safeTx === null) return null
  const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce, ...more } = safeTx as Record<string, unknown>
  if (Object.keys(more).length > 0 || !isAddress(to) || !isAddress(gasToken) || !isAddress(refundReceiver) || typeof data !== 'string' || !HEX.test(data)) return null
  if (!isUint(value) || !isUint(safeTxGas) || !isUint(baseGas) || !isUint(gasPrice) || !isUint(nonce) || (operation !== 0 && operation !== 1)) return null
  return { to, value: BigInt(value), data: data as Hex, operation, safeTxGas: BigInt(safeTxGas), baseGas: BigInt(baseGas), gasPrice: BigInt(gasPrice), gasToken, refundReceiver, nonce: BigInt(nonce) }
}

/** Derives typed data and hashes from the fields, and holds everything else that the API tells against them. `served`: chain and Safe of this deployment. */
export function check(told: Told, doing: Doing, served: { readonly chainId: number; readonly safe: string }): Checked {
  const message = messageOf(told.safeTx)
  if (message === null || !isAddress(told.safe)) return { typedData: null, hashes: null, faults: ['Found fields that are not those of a Safe transaction, allowed are its ten; do not sign, and tell who runs this server'] }
  const typedData: TypedData = { domain: { chainId: told.chainId, verifyingContract: told.safe }, types: TYPES, primaryType: 'SafeTx', message }
  const hashes: Hashes = {
    domainHash: hashDomain({ domain: { ...typedData.domain, chainId: BigInt(told.chainId) }, types: DOMAIN }),
    messageHash: hashStruct({ data: message, primaryType: 'SafeTx', types: TYPES }),
    safeTxHash: hashTypedData(typedData),
  }
  const faults: string[] = []
  const hold = (what: string, found: unknown, derived: unknown): void => {
    if (!same(found, derived)) faults.push(`Found ${what} ${String(found)}, this page derives ${String(derived)}; do not sign, and compare with your own verify`)
  }
  hold('chain id', told.chainId, served.chainId)
  hold('Safe', told.safe, served.safe)
  hold('nonce', told.nonce, message.nonce)
  for (const name of ['domainHash', 'messageHash', 'safeTxHash'] as const) hold(name, told[name], hashes[name])
  for (const name of ['safeTxGas', 'baseGas', 'gasPrice', 'value'] as const) hold(name, message[name], 0n)
  for (const name of ['gasToken', 'refundReceiver'] as const) hold(name, message[name], zeroAddress)
  holdTypedData(told.typedData, typedData, hold)
  if (doing.kind === 'CHANGE') {
    const packed = concatHex(doing.deeds.filter(({ depth }) => depth === 1).map(({ to, value, data }) => encodePacked(['uint8', 'address', 'uint256', 'uint256', 'bytes'], [0, to as Hex, BigInt(value), BigInt(size(data as Hex)), data as Hex])))
    hold('operation', message.operation, 1)
    if (!same(message.data, encodeFunctionData({ abi: ABI, functionName: 'multiSend', args: [packed] }))) faults.push('Found bytes that are not the calls shown on this page, allowed are those alone; do not sign, and compare with your own verify')
    faults.push(...wrongWithDeeds(doing))
  } else {
    hold('operation', message.operation, 0)
    hold('target', message.to, doing.kind === 'REJECTION' ? told.safe : doing.timelock)
    hold('data', message.data, doing.kind === 'REJECTION' ? '0x' : encodeFunctionData({ abi: ABI, functionName: 'cancel', args: [doing.operation as Hex] }))
  }
  return { typedData, hashes, faults }
}

/** What the API would have a wallet sign must be what this page has it sign. */
function holdTypedData(told: unknown, own: TypedData, hold: (what: string, found: unknown, derived: unknown) => void): void {
  const { domain, types, primaryType, message } = (told ?? {}) as Record<string, unknown>
  hold('primary type', primaryType, own.primaryType)
  hold('types', JSON.stringify(types), JSON.stringify(TYPES))
  const flat = (of: unknown): string => Object.entries((of ?? {}) as object).map(([name, value]) => `${name} ${String(value).toLowerCase()}`).toSorted((a, b) => (a < b ? -1 : 1)).join(', ')
  hold('domain', flat(domain), flat(own.domain))
  hold('message', flat(message), flat(own.message))
}

/** Who made a signature over a hash, EIP-712 (v 27, 28; 0, 1 from some devices) or `eth_sign` (v 31, 32); null where nobody can be told. */
export async function signerOf(safeTxHash: Hex, signature: string): Promise<Hex | null> {
  if (!/^0x[0-9a-f]{130}$/i.test(signature)) return null
  const v = Number(slice(signature as Hex, 64))
  const prefixed = v === 31 || v === 32
  const plain = v < 2 ? v + 27 : prefixed ? v - 4 : v
  if (plain !== 27 && plain !== 28) return null
  try {
    return await recoverAddress({ hash: prefixed ? hashMessage({ raw: safeTxHash }) : safeTxHash, signature: concatHex([slice(signature as Hex, 0, 64), numberToHex(plain, { size: 1 })]) })
  } catch {
    return null
  }
}
