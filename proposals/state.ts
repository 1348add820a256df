/**
 * The life of a proposal: one table of allowed transitions, nothing else decides.
 *
 * DRAFT → SIMULATED → AWAITING_SIGNATURES → READY → EXECUTED → APPLIED is the way forward. What happens on chain wins:
 * signatures that left this system can be executed by anybody, so even a CANCELLED, EXPIRED or STALE proposal becomes
 * EXECUTED when the chain says so, and an EXECUTED one goes back when a reorganisation takes its transaction away.
 */
import { WrongStateError } from './errors.ts'

export const PROPOSAL_STATES = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'EXECUTED', 'APPLIED', 'STALE', 'REPLACED', 'EXPIRED', 'CANCELLED'] as const
export type ProposalState = (typeof PROPOSAL_STATES)[number]

/** States that still hold their Safe nonce. */
export const OPEN_STATES = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY'] as const satisfies readonly ProposalState[]
/** States whose signatures, if any were given, can still be executed by others until the nonce is used. */
export const ABANDONED_STATES = ['STALE', 'EXPIRED', 'CANCELLED'] as const satisfies readonly ProposalState[]

const ENDS = ['EXECUTED', 'STALE', 'REPLACED', 'EXPIRED', 'CANCELLED'] as const satisfies readonly ProposalState[]

/** From each state, where a proposal may go. A state in its own list may be entered again with a new note. */
export const TRANSITIONS: Readonly<Record<ProposalState, readonly ProposalState[]>> = {
  /** DRAFT → DRAFT: a simulation failed. */
  DRAFT: ['DRAFT', 'SIMULATED', ...ENDS],
  /** Back to DRAFT: simulated again, and it failed. */
  SIMULATED: ['SIMULATED', 'DRAFT', 'AWAITING_SIGNATURES', ...ENDS],
  /** To itself: a signature short of the threshold, or simulated again. */
  AWAITING_SIGNATURES: ['AWAITING_SIGNATURES', 'READY', ...ENDS],
  /** Back to AWAITING_SIGNATURES: the Safe's owners or threshold changed. */
  READY: ['READY', 'AWAITING_SIGNATURES', ...ENDS],
  /** Back to READY or AWAITING_SIGNATURES: a reorganisation took the execution away. */
  EXECUTED: ['EXECUTED', 'APPLIED', 'READY', 'AWAITING_SIGNATURES'],
  APPLIED: [],
  STALE: ['EXECUTED'],
  EXPIRED: ['EXECUTED'],
  CANCELLED: ['EXECUTED'],
  REPLACED: [],
}

export const isOpen = (state: ProposalState): boolean => (OPEN_STATES as readonly ProposalState[]).includes(state)

export const canGo = (from: ProposalState, to: ProposalState): boolean => TRANSITIONS[from].includes(to)

/** Throws WrongStateError where the table has no way from `from` to `to`. */
export function assertTransition(id: string, from: ProposalState, to: ProposalState): void {
  if (!canGo(from, to)) throw new WrongStateError({ id, found: from, allowed: PROPOSAL_STATES.filter((state) => canGo(state, to)), action: `become ${to}` })
}
