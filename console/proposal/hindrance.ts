/** What speaks against a signature or a transaction now. Pure. */
import type { ProposalState, SignatureKind } from '../generated/operations.ts'
import { words } from '../ui/format.ts'

export type OnChain = { readonly nonce: number; readonly mismatch: string | null }
export type Deed = 'sign' | 'send'

/**
 * Why nothing of nonce `nonce` may be signed or sent, in a sentence; null where the Safe has nothing against it. `unasked`: the chain did not
 * answer last, so that what is known of the Safe is older.
 */
export function hindranceOfSafe({ nonce: next, mismatch }: OnChain, nonce: number, unasked: boolean, deed: Deed = 'sign'): string | null {
  if (mismatch !== null) return `Found on chain what this deployment does not record, as said above; ${deed} nothing until the two agree.`
  if (next > nonce) return `Found the Safe at nonce ${next}, so nonce ${nonce} is used and this can never be executed; ${deed} nothing.`
  if (unasked) return `The chain did not say who owns the Safe now, and those listed are the last known; ${deed === 'sign' ? 'signing' : 'sending'} waits until it does.`
  return null
}

type Safe = OnChain & { readonly owners: readonly string[]; readonly threshold: number }

/** What a dialog was opened over. `account`: of the wallet that signs or sends. */
export type Opened = { readonly deed: Deed; readonly kind: SignatureKind; readonly safeTxHash: string; readonly nonce: number; readonly state: ProposalState; readonly account: string | null; readonly safe: Safe }

/**
 * The same as it is now. `safe`: null where it is not known. `isDerived`: what the API tells is what this page derives. `refused`: why the
 * transaction does not go through any more; null where it does, or where nothing is sent.
 */
export type Now = { readonly kind: SignatureKind | null; readonly safeTxHash: string | null; readonly state: ProposalState; readonly stateReason: string | null; readonly account: string | null; readonly isElsewhere: boolean; readonly safe: Safe | null; readonly unasked: boolean; readonly isDerived: boolean; readonly refused: string | null }

const SIGNED_IN: Readonly<Record<SignatureKind, readonly ProposalState[]>> = { CHANGE: ['AWAITING_SIGNATURES', 'READY'], CANCELLATION: ['CANCELLING'] }

/** Why what an open dialog asks must not be done any more, in a sentence; null where all that it was opened over still holds. */
export function hindranceOfOpen(opened: Opened, now: Now): string | null {
  const { deed } = opened
  const stays = deed === 'sign' ? SIGNED_IN[opened.kind].includes(now.state) : now.state === opened.state
  if (!stays || now.kind !== opened.kind) return `The proposal became “${words(now.state)}” while this was open${now.stateReason === null ? '' : `: ${now.stateReason.replace(/\.$/, '')}`}; ${deed} nothing, go back and look at it as it is now.`
  if (now.safeTxHash !== opened.safeTxHash || !now.isDerived) return `What the API tells changed while this was open; ${deed} nothing, go back and compare again.`
  // A timelock’s operation is past the Safe: its nonce is used by then.
  const ofSafe = now.safe === null ? null : hindranceOfSafe({ ...now.safe, nonce: opened.state === 'QUEUED' && deed === 'send' && opened.kind === 'CHANGE' ? opened.nonce : now.safe.nonce }, opened.nonce, now.unasked, deed)
  if (ofSafe !== null) return ofSafe
  if (now.safe === null || now.safe.threshold !== opened.safe.threshold || setOf(now.safe.owners) !== setOf(opened.safe.owners)) return `The Safe’s owners, or how many of them it wants, changed while this was open; ${deed} nothing, go back and look again.`
  if (now.isElsewhere || now.account === null || now.account !== opened.account) return `The wallet is on another account or network than when this was opened; go back and choose again.`
  return now.refused
}

const setOf = (owners: readonly string[]): string => owners.map((owner) => owner.toLowerCase()).toSorted().join()
