/**
 * The Safe Transaction Service: where owners that use other tools look for what waits for them. It is somebody else's server:
 * what it says is checked like what a stranger says, and never decides what is signed.
 */
import ApiKitModule from '@safe-global/api-kit'
import { getAddress, isHex, size } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Address, Hex } from '../protocols/adapter.ts'
import { hashesOf, lower, type SafeTx, type SafeTxHashes } from './safe.ts'
import type { OwnerSignature } from './sign.ts'

/** The kit's default export is the class in one module system and the module in another. */
const SafeApiKit = ((ApiKitModule as unknown as { default?: unknown }).default ?? ApiKitModule) as unknown as typeof ApiKitModule.default

/** A transaction that waits in the service's queue, with the signatures that it holds, unchecked. */
export type Queued = { readonly safeTxHash: Hex; readonly nonce: bigint; readonly safeTx: SafeTx; readonly signatures: readonly OwnerSignature[] }

export type TransactionService = {
  /** Everything that has not been executed from `fromNonce` on. What has another hash than its own fields give is left out. */
  queue(fromNonce: bigint): Promise<readonly Queued[]>
  /** Puts a transaction into the queue with its first signature, or adds the signature where it is there already. `origin` is a note for people. */
  publish(tx: SafeTx, hashes: SafeTxHashes, signature: OwnerSignature, origin: string): Promise<void>
  /** Signatures that the service holds for a transaction, unchecked; empty where it does not know it. */
  signatures(safeTxHash: Hex): Promise<readonly OwnerSignature[]>
}

/** More pages than a queue has. */
const PAGE = 100
const PAGES_MAX = 10

/** `url` ends before `/v2/…`; null takes the official service of the chain, which wants a key. */
export function createTransactionService(options: { readonly url: string | null; readonly apiKey: string | null; readonly chainId: number; readonly safe: Address }): TransactionService {
  const kit = new SafeApiKit({ chainId: BigInt(options.chainId), ...(options.url === null ? {} : { txServiceUrl: options.url.replace(/\/$/, '') }), ...(options.apiKey === null ? {} : { apiKey: options.apiKey }) })
  const safe = getAddress(options.safe)

  const asked = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      const status = (error as { statusCode?: number }).statusCode
      const said = error instanceof Error && status !== undefined ? `status ${status}: ${error.message.slice(0, 200)}` : 'no answer'
      // Without the cause: its text may name the service's URL with a key in it.
      throw new UnavailableError({ part: 'Safe Transaction Service', found: said, action: 'check SAFE_SERVICE_URL and its key, or pass signatures on by file' })
    }
  }

  const signatures = async (safeTxHash: Hex): Promise<readonly OwnerSignature[]> => {
    try {
      const answer = await kit.getTransactionConfirmations(safeTxHash)
      return answer.results.flatMap(signatureOf)
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return []
      return asked(() => Promise.reject(error as Error))
    }
  }

  return {
    queue: (fromNonce) =>
      asked(async () => {
        const found: Queued[] = []
        for (let page = 0; page < PAGES_MAX; page++) {
          const answer = await kit.getPendingTransactions(safe, { currentNonce: Number(fromNonce), limit: PAGE, offset: page * PAGE })
          for (const each of answer.results) {
            const queued = queuedOf(each as unknown as Pending, options)
            if (queued !== null && queued.nonce >= fromNonce) found.push(queued)
          }
          if (answer.next == null) break
        }
        return found
      }),
    publish: (tx, hashes, { signer, signature }, origin) =>
      asked(async () => {
        const known = await kit.getTransaction(hashes.safeTxHash).then(
          () => true,
          (error: unknown) => {
            if ((error as { statusCode?: number }).statusCode === 404) return false
            throw error
          },
        )
        if (known) return void (await kit.confirmTransaction(hashes.safeTxHash, signature))
        await kit.proposeTransaction({
          safeAddress: safe,
          safeTransactionData: { ...tx, to: getAddress(tx.to), value: String(tx.value), safeTxGas: String(tx.safeTxGas), baseGas: String(tx.baseGas), gasPrice: String(tx.gasPrice), gasToken: getAddress(tx.gasToken), refundReceiver: getAddress(tx.refundReceiver), nonce: Number(tx.nonce) } as never,
          safeTxHash: hashes.safeTxHash,
          senderAddress: getAddress(signer),
          senderSignature: signature,
          origin,
        })
      }),
    signatures,
  }
}

type Pending = Record<string, unknown> & { readonly confirmations?: readonly Confirmation[] }
type Confirmation = { readonly owner?: unknown; readonly signature?: unknown }

function signatureOf({ owner, signature }: Confirmation): OwnerSignature[] {
  if (typeof owner !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(owner) || !isHex(signature) || size(signature) !== 65) return []
  return [{ signer: lower(owner as Address), signature: signature.toLowerCase() as Hex }]
}

/** null where a field is missing, or the hash is not the fields' own. */
function queuedOf(each: Pending, { chainId, safe }: { readonly chainId: number; readonly safe: Address }): Queued | null {
  try {
    // Anything else than a text or a number is none of the service's forms, and fails below.
    const integer = (key: string): bigint => BigInt((each[key] as string | number | null | undefined) ?? 0)
    const address = (key: string): Address => lower((each[key] as Address | null | undefined) ?? `0x${'0'.repeat(40)}`)
    const operation = Number(each['operation'])
    if (operation !== 0 && operation !== 1) return null
    const safeTx: SafeTx = { to: address('to'), value: integer('value'), data: ((each['data'] as Hex | null) ?? '0x').toLowerCase() as Hex, operation, safeTxGas: integer('safeTxGas'), baseGas: integer('baseGas'), gasPrice: integer('gasPrice'), gasToken: address('gasToken'), refundReceiver: address('refundReceiver'), nonce: integer('nonce') }
    const { safeTxHash } = hashesOf({ chainId, safe }, safeTx)
    return safeTxHash === String(each['safeTxHash']).toLowerCase() ? { safeTxHash, nonce: safeTx.nonce, safeTx, signatures: (each.confirmations ?? []).flatMap(signatureOf) } : null
  } catch {
    return null
  }
}
