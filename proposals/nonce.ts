/** Which nonce a proposal takes, by everything that is known to wait for one. Pure. */

/** A transaction that waits for its turn. `what` names it for people: `proposal 7-ab12cd34`, `the Transaction Service's 0x…`. */
export type Waiting = { readonly nonce: bigint; readonly what: string }

export type NonceChoice = {
  /** The lowest nonce, from the Safe's own on, that nothing known holds. */
  readonly nonce: bigint
  /** What has to be executed or rejected first, by nonce. */
  readonly first: readonly Waiting[]
  /** What waits at higher nonces: it was made before, and comes after. */
  readonly after: readonly Waiting[]
  /** Nonces between this one and the highest in `after` that nothing holds: until something fills them, what stands above waits. */
  readonly gaps: readonly bigint[]
}

/** A queue further ahead than this is a mistake, or an attempt to make us count. */
const GAPS_MAX = 100

/**
 * The lowest free nonce. A gap in the queue is filled first: nothing above it could be executed before. Nonces below
 * `chainNonce` are used, so what still waits there waits for nothing and is left out. Two waiting at one nonce hold one nonce.
 */
export function nextNonce(chainNonce: bigint, waiting: readonly Waiting[]): NonceChoice {
  const ahead = waiting.filter((each) => each.nonce >= chainNonce).toSorted((a, b) => (a.nonce < b.nonce ? -1 : a.nonce > b.nonce ? 1 : 0))
  const held = new Set(ahead.map((each) => each.nonce))
  let nonce = chainNonce
  while (held.has(nonce)) nonce += 1n
  const after = ahead.filter((each) => each.nonce > nonce)
  const gaps: bigint[] = []
  for (let at = nonce + 1n; at < (after.at(-1)?.nonce ?? 0n) && gaps.length < GAPS_MAX; at += 1n) if (!held.has(at)) gaps.push(at)
  return { nonce, first: ahead.filter((each) => each.nonce < nonce), after, gaps }
}

/** What a drafter is told about the queue; null where nothing waits. */
export function nonceNote({ nonce, first, after, gaps }: NonceChoice): string | null {
  const list = (waiting: readonly Waiting[]): string => waiting.map((each) => `${each.nonce} (${each.what})`).join(', ')
  const parts = [
    ...(first.length === 0 ? [] : [`executed or rejected first: ${list(first)}`]),
    ...(after.length === 0 ? [] : [`queued above it: ${list(after)}`]),
    ...(gaps.length === 0 ? [] : [`held by nothing: ${gaps.join(', ')}${gaps.length === GAPS_MAX ? ' and more' : ''}, so what is above waits until they are filled`]),
  ]
  return parts.length === 0 ? null : `Nonce ${nonce}; ${parts.join('; ')}`
}
