/** What the Safe on chain has against a signature. Pure. */

export type OnChain = { readonly nonce: number; readonly mismatch: string | null }

/**
 * Why nothing of nonce `nonce` may be signed, in a sentence; null where the Safe has nothing against it. `unasked`: the chain did not answer
 * last, so that what is known of the Safe is older.
 */
export function hindranceOfSafe({ nonce: next, mismatch }: OnChain, nonce: number, unasked: boolean): string | null {
  if (mismatch !== null) return 'Found on chain what this deployment does not record, as said above; sign nothing until the two agree.'
  if (next > nonce) return `Found the Safe at nonce ${next}, so nonce ${nonce} is used and this can never be executed; sign nothing.`
  if (unasked) return 'The chain did not say who owns the Safe now, and those listed are the last known; signing waits until it does.'
  return null
}
