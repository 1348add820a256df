/** Owners' signatures of a Safe transaction: made, checked, put in the order that the Safe wants. Pure: no network. */
import { z } from 'zod'
import { concatHex, hashMessage, isHex, numberToHex, recoverAddress, size, slice } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { BadInputError } from '../core/errors.ts'
import type { Address, Hex } from '../protocols/adapter.ts'
import { SignatureRefusedError } from './errors.ts'
import { SAFE_TX_TYPES, lower } from './safe.ts'
import type { SafeTx } from './safe.ts'

export type OwnerSignature = { readonly signer: Address; readonly signature: Hex }

/** What a wallet's `eth_signTypedData_v4` takes, with decimal strings for JSON. */
export function typedDataOf(domain: { chainId: number; safe: Address }, tx: SafeTx) {
  return { domain: { chainId: domain.chainId, verifyingContract: domain.safe }, types: SAFE_TX_TYPES, primaryType: 'SafeTx' as const, message: tx }
}

/** Signs with a key that the caller holds; nothing here keeps or prints it. Returns the signer, lower case, and 65 bytes r ‖ s ‖ v with v 27 or 28. */
export async function signWithKey(privateKey: Hex, domain: { chainId: number; safe: Address }, tx: SafeTx): Promise<OwnerSignature> {
  const account = privateKeyToAccount(privateKey)
  return { signer: lower(account.address), signature: await account.signTypedData(typedDataOf(domain, tx)) }
}

/** Half of the order of secp256k1: of a signature's two forms, wallets make the one with `s` up to it. */
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/**
 * The signature as the Safe takes it, once it is proved to be the owner's own over exactly `safeTxHash`.
 * Typed-data signatures have v 27 or 28 (0 or 1 from some hardware wallets); `eth_sign` ones 31 or 32.
 * Throws SignatureRefusedError: not 65 bytes, not an owner, signed before, other bytes than these, or the second form that anybody can
 * make of an owner's signature.
 */
export async function checkSignature(facts: {
  safeTxHash: Hex
  owners: readonly Address[]
  signed: readonly Address[]
  signer: Address
  signature: Hex
}): Promise<OwnerSignature> {
  const signer = lower(facts.signer)
  const owners = facts.owners.map(lower)
  if (!owners.includes(signer)) {
    throw new SignatureRefusedError(`Found signer ${signer}, allowed are the Safe's owners ${owners.join(', ')}; sign with one of them`, { signer, owners })
  }
  if (facts.signed.map(lower).includes(signer)) {
    throw new SignatureRefusedError(`Found a second signature by ${signer}, allowed is one per owner; another owner has to sign`, { signer })
  }
  if (!isHex(facts.signature) || size(facts.signature) !== 65) {
    throw new SignatureRefusedError(`Found a signature of ${isHex(facts.signature) ? `${size(facts.signature)} bytes` : 'something that is not hex'}, allowed are 65 bytes (r, s, v); sign the Safe transaction as EIP-712 typed data`, { signer })
  }
  const v = Number.parseInt(slice(facts.signature, 64), 16)
  const prefixed = v === 31 || v === 32
  const ecdsaV = v < 2 ? v + 27 : prefixed ? v - 4 : v
  const ecdsa = concatHex([slice(facts.signature, 0, 64), numberToHex(ecdsaV, { size: 1 })])
  const hash = prefixed ? hashMessage({ raw: facts.safeTxHash }) : facts.safeTxHash
  const recovered = ecdsaV === 27 || ecdsaV === 28 ? await recoverAddress({ hash, signature: ecdsa }).catch(() => null) : null
  if (recovered === null || lower(recovered) !== signer) {
    throw new SignatureRefusedError(`Found a signature that is not ${signer}'s over ${facts.safeTxHash}, allowed is a signature of exactly that Safe transaction; compare the hashes on the signing device and sign again`, {
      signer,
      recovered: recovered === null ? null : lower(recovered),
      safeTxHash: facts.safeTxHash,
    })
  }
  if (BigInt(slice(facts.signature, 32, 64)) > HALF_ORDER) throw new SignatureRefusedError(`Found the second form of a signature by ${signer}, allowed is the one that wallets make; ask its signer for it`, { signer })
  return { signer, signature: prefixed ? facts.signature : ecdsa }
}

/** `threshold` signatures joined by ascending signer, as `checkNSignatures` walks them; more would only cost gas. */
export function joinSignatures(signatures: readonly OwnerSignature[], threshold: number): Hex {
  const sorted = signatures.toSorted((a, b) => (BigInt(a.signer) < BigInt(b.signer) ? -1 : 1))
  return concatHex(sorted.slice(0, threshold).map(({ signature }) => signature))
}

/** Stands for the sender's own consent: padded owner ‖ 32 zero bytes ‖ 01. */
export const preValidatedSignature = (owner: Address): Hex => concatHex([numberToHex(BigInt(owner), { size: 32 }), numberToHex(0n, { size: 32 }), '0x01'])

const SIGNATURE_BYTES_MAX = 10_000
const hexOf = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`), `is not ${bytes} bytes of hex`).transform((text) => text.toLowerCase() as Hex)

/** One signature as a file that a person can send: what it signs, by whom. */
const signatureSchema = z
  .object({
    format: z.literal('bulwark-signature'),
    version: z.literal(1),
    /** CHANGE: of the proposal's own transaction. CANCELLATION: of the one that keeps it from happening. */
    kind: z.enum(['CHANGE', 'CANCELLATION']),
    chainId: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
    safe: hexOf(20),
    /** Of the Safe, for people: `safeTxHash` holds it. */
    nonce: z.string().regex(/^(?:0|[1-9][0-9]{0,77})$/, 'is not an unsigned integer in decimal digits'),
    safeTxHash: hexOf(32),
    signer: hexOf(20),
    signature: hexOf(65),
  })
  .strict()

export type SignatureFile = z.infer<typeof signatureSchema>

export const serializeSignature = (file: SignatureFile): string => `${JSON.stringify(signatureSchema.parse(file), null, 2)}\n`

/** A signature file's text. Whether it is the signer's own is `checkSignature`'s to say. Throws BadInputError. */
export function parseSignature(text: string): SignatureFile {
  let value: unknown
  try {
    value = text.length > SIGNATURE_BYTES_MAX ? null : JSON.parse(text)
  } catch {
    value = null
  }
  const parsed = signatureSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'the file'} ${issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase())}`)
  throw new BadInputError(`Found a signature file in which ${faults.join('; ')}; allowed is a file as "bulwark proposal sign" writes it, get it again from its signer`, { faults })
}
