/** What this browser keeps of proposals for its user: signatures that nobody has taken yet, and what was sent. Every tab sees the same. */
import { stored } from '../data/stored.ts'

type Key = { readonly safeTxHash: string; readonly signer: string }
/** A signature that the API has not taken yet. */
export type KeptSignature = Key & { readonly chainId: number; readonly safe: string; readonly nonce: number; readonly signature: string }

/** Which of a proposal's transactions: the Safe's own, the timelock's, or the cancellation. */
export type Step = 'CHANGE' | 'QUEUED' | 'CANCELLATION'
/** `hash`: null where it is not known whether it was sent, and `words` say why. `block`: the last that was indexed then. */
export type Sending = { readonly id: string; readonly step: Step; readonly hash: string | null; readonly words: string | null; readonly block: number }

const listOf = <T>(isOne: (each: Record<string, unknown>) => boolean) => (value: unknown): value is readonly T[] => Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null && isOne(each as Record<string, unknown>))
const signatures = stored<readonly KeptSignature[]>('bulwark.signatures', [], listOf<KeptSignature>((each) => ['safeTxHash', 'signer', 'safe', 'signature'].every((name) => typeof each[name] === 'string') && ['chainId', 'nonce'].every((name) => typeof each[name] === 'number')))
const sendings = stored<readonly Sending[]>('bulwark.sent', [], listOf<Sending>((each) => typeof each['id'] === 'string' && typeof each['step'] === 'string' && typeof each['block'] === 'number' && (each['hash'] === null || typeof each['hash'] === 'string') && (each['words'] === null || typeof each['words'] === 'string')))

/** Not at all where none is dropped: every tab is told of a change. */
function drop<T>(from: { get(): readonly T[]; set(value: readonly T[]): void }, which: (each: T) => boolean): void {
  const left = from.get().filter((each) => !which(each))
  if (left.length < from.get().length) from.set(left)
}

export const useKeptSignatures = (): readonly KeptSignature[] => signatures.use()
export const dropSignatures = (which: (each: KeptSignature) => boolean): void => drop(signatures, which)
export function keepSignature(one: KeptSignature): void {
  signatures.set([...signatures.get().filter(({ safeTxHash, signer }) => safeTxHash !== one.safeTxHash || signer !== one.signer), one])
}

export const useSendings = (): readonly Sending[] => sendings.use()
const isOf = (id: string, step: Step) => (each: Sending): boolean => each.id === id && each.step === step
export const dropSending = (id: string, step: Step): void => drop(sendings, isOf(id, step))
export function keepSending(one: Sending): void {
  sendings.set([...sendings.get().filter((each) => !isOf(one.id, one.step)(each)), one])
}
