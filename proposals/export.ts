/** A proposal as the batch file of Safe's Transaction Builder, so that signers can load it without this console. Pure. */
import { keccak256, toHex } from 'viem'
import type { Hex } from '../protocols/adapter.ts'
import { TamperedError } from './errors.ts'
import { decodeMultiSend } from './safe.ts'
import type { ProposalRecord } from './store.ts'

export type BatchFile = {
  readonly version: '1.0'
  readonly chainId: string
  /** Chain time of the draft, ms. */
  readonly createdAt: number
  readonly meta: { readonly name: string; readonly description: string; readonly createdFromSafeAddress: string; readonly checksum: Hex }
  readonly transactions: readonly { readonly to: string; readonly value: string; readonly data: Hex }[]
}

/** The file holds no nonce, operation or gas: the app that loads it chooses them, so compare safeTxHash before signing. */
export function batchFile(proposal: ProposalRecord): BatchFile {
  // What the Safe itself calls: where a timelock stands between, the changes are inside one of these.
  const calls = decodeMultiSend(proposal.safeTx.data)
  if (calls === null) throw new TamperedError({ what: 'Safe transaction field data', found: `${proposal.safeTx.data.slice(0, 10)}… that is no batch`, expected: 'multiSend(bytes) of plain calls' })
  const file = {
    version: '1.0' as const,
    chainId: String(proposal.chainId),
    createdAt: Number(proposal.draftedAt.timestamp) * 1000,
    meta: {
      name: proposal.title,
      description: `${proposal.changes.map((change) => `${change.parameter} of ${change.subjectLabel}: ${change.from} → ${change.to}`).join('; ')}. Nonce ${proposal.nonce}, safeTxHash ${proposal.safeTxHash}`,
      createdFromSafeAddress: proposal.safe,
    },
    transactions: calls.map((call) => ({ to: call.to, value: call.value.toString(), data: call.data })),
  }
  return { ...file, meta: { ...file.meta, checksum: batchChecksum(file) } }
}

/** Transaction Builder's checksum: keccak256 of a canonical text without `meta.checksum` and with `meta.name` null. Finds damage, not malice. */
export function batchChecksum(file: { readonly meta: Readonly<Record<string, unknown>> } & Readonly<Record<string, unknown>>): Hex {
  const { checksum: _, ...meta } = file.meta
  return keccak256(toHex(canonical({ ...file, meta: { ...meta, name: null } })))
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value).toSorted()
    return `{${JSON.stringify(keys)}${keys.map((key) => `${canonical((value as Record<string, unknown>)[key])},`).join('')}}`
  }
  return value === undefined ? 'null' : JSON.stringify(value)
}
