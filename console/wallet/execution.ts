/** What a wallet is to send, held against what this page derived: a call that does anything else is not sent. Pure. */
import { concatHex, decodeFunctionData, parseAbi } from 'viem'
import type { Hex } from 'viem'
import type { TypedData } from './safeTx.ts'

const ABI = parseAbi([
  'function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)',
  'function executeBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt) payable',
])
const FIELDS = ['to', 'value', 'data', 'operation', 'safeTxGas', 'baseGas', 'gasPrice', 'gasToken', 'refundReceiver'] as const

export type Transaction = { readonly chainId: number; readonly to: string; readonly value: string; readonly data: string; readonly gas: string }

const same = (a: unknown, b: unknown): boolean => String(a).toLowerCase() === String(b).toLowerCase()

/** What is wrong with it, in a sentence; null where it executes exactly that transaction of the Safe with those signatures. */
export function wrongWithExecution(transaction: Transaction, signed: TypedData, signatures: readonly { readonly signer: string; readonly signature: string }[]): string | null {
  const { domain, message } = signed
  if (transaction.chainId !== domain.chainId || !same(transaction.to, domain.verifyingContract) || transaction.value !== '0') return 'Found a call to something else than the Safe, allowed is its execTransaction; nothing was sent'
  try {
    const { functionName, args } = decodeFunctionData({ abi: ABI, data: transaction.data as Hex })
    if (functionName !== 'execTransaction') return `Found a call of ${functionName}, allowed is execTransaction; nothing was sent`
    const other = FIELDS.find((field, index) => !same(args[index], message[field]))
    if (other !== undefined) return `Found another ${other} than this page derives, allowed are the fields that were signed; nothing was sent`
    const given = signatures.toSorted((a, b) => (BigInt(a.signer) < BigInt(b.signer) ? -1 : 1)).map(({ signature }) => signature.toLowerCase())
    // The Safe takes as many as it wants; each has to be one of those shown.
    const used = given.filter((each) => args[9].toLowerCase().includes(each.slice(2)))
    if (!same(args[9], concatHex(used as Hex[]))) return 'Found signatures that are not those shown on this page; nothing was sent'
    return null
  } catch {
    return 'Found a call that cannot be read, allowed is execTransaction; nothing was sent'
  }
}

/** The same for what a timelock holds: `calls` are those that the signed transaction scheduled. */
export function wrongWithQueued(transaction: Transaction, chainId: number, timelock: string, calls: readonly { readonly to: string; readonly value: string; readonly data: string }[]): string | null {
  if (transaction.chainId !== chainId || !same(transaction.to, timelock) || transaction.value !== '0') return 'Found a call to something else than the timelock, allowed is its executeBatch; nothing was sent'
  try {
    const { functionName, args } = decodeFunctionData({ abi: ABI, data: transaction.data as Hex })
    if (functionName !== 'executeBatch') return `Found a call of ${functionName}, allowed is executeBatch; nothing was sent`
    const [targets, values, payloads] = args
    const agree = targets.length === calls.length && calls.every((call, index) => same(call.to, targets[index]) && same(call.value, values[index]) && same(call.data, payloads[index]))
    return agree ? null : 'Found calls that are not those that were scheduled; nothing was sent'
  } catch {
    return 'Found a call that cannot be read, allowed is executeBatch; nothing was sent'
  }
}
