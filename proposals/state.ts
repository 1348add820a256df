/**
 * The life of a proposal: one table of allowed transitions, nothing else decides.
 *
 * DRAFT → SIMULATED → AWAITING_SIGNATURES → READY → EXECUTED → APPLIED is the way forward; where a timelock stands between, what the
 * Safe executed is QUEUED until it is executed there. What happens on chain wins: signatures that left this system can be executed by
 * anybody, so even a WITHDRAWN, CANCELLING, EXPIRED or STALE proposal goes on when the chain says so, and what the chain did goes back when
 * a reorganisation takes it away. CANCELLED is the chain's word alone: a rejection was executed at that nonce, or the timelock was told.
 */
import { WrongStateError } from './errors.ts'

export const PROPOSAL_STATES = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'EXECUTED', 'APPLIED', 'STALE', 'REPLACED', 'EXPIRED', 'WITHDRAWN', 'CANCELLING', 'CANCELLED'] as const
export type ProposalState = (typeof PROPOSAL_STATES)[number]

/** States that still hold their Safe nonce for their own transaction. */
export const OPEN_STATES = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY'] as const satisfies readonly ProposalState[]

/** The chain may do these to whatever has not been executed. */
const BY_CHAIN = ['QUEUED', 'EXECUTED', 'REPLACED', 'CANCELLED'] as const satisfies readonly ProposalState[]
const ENDS = [...BY_CHAIN, 'STALE', 'EXPIRED'] as const satisfies readonly ProposalState[]

/** From each state, where a proposal may go. A state in its own list may be entered again with a new note. */
export const TRANSITIONS: Readonly<Record<ProposalState, readonly ProposalState[]>> = {
  /** DRAFT → DRAFT: a simulation failed. */
  DRAFT: ['DRAFT', 'SIMULATED', 'WITHDRAWN', ...ENDS],
  /** Back to DRAFT: simulated again, and it failed. */
  SIMULATED: ['SIMULATED', 'DRAFT', 'AWAITING_SIGNATURES', 'WITHDRAWN', ...ENDS],
  /** To itself: a signature short of the threshold, or simulated again. */
  AWAITING_SIGNATURES: ['AWAITING_SIGNATURES', 'READY', 'CANCELLING', ...ENDS],
  /** Back to AWAITING_SIGNATURES: the Safe's owners or threshold changed. */
  READY: ['READY', 'AWAITING_SIGNATURES', 'CANCELLING', ...ENDS],
  /** Back to READY or AWAITING_SIGNATURES: a reorganisation took the scheduling away. STALE, EXPIRED: its precondition would revert it in the timelock. */
  QUEUED: ['QUEUED', 'EXECUTED', 'READY', 'AWAITING_SIGNATURES', 'STALE', 'EXPIRED', 'CANCELLING', 'CANCELLED'],
  /** Back to where it was: a reorganisation took the execution away. */
  EXECUTED: ['EXECUTED', 'APPLIED', 'READY', 'AWAITING_SIGNATURES', 'QUEUED'],
  /** Back to where it was: a reorganisation took the execution away. */
  APPLIED: ['READY', 'AWAITING_SIGNATURES', 'QUEUED'],
  STALE: ['QUEUED', 'EXECUTED', 'CANCELLING', 'CANCELLED'],
  EXPIRED: ['QUEUED', 'EXECUTED', 'CANCELLING', 'CANCELLED'],
  WITHDRAWN: ['QUEUED', 'EXECUTED'],
  /** To itself: a signature of the rejection. To QUEUED or EXECUTED: the proposal itself was faster. */
  CANCELLING: ['CANCELLING', ...BY_CHAIN],
  /** Back: a reorganisation took the rejection away. */
  CANCELLED: ['CANCELLING'],
  /** Back: a reorganisation took what replaced it away. */
  REPLACED: ['DRAFT', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'EXECUTED'],
}

export const isOpen = (state: ProposalState): boolean => (OPEN_STATES as readonly ProposalState[]).includes(state)

export const canGo = (from: ProposalState, to: ProposalState): boolean => TRANSITIONS[from].includes(to)

/** Throws WrongStateError where the table has no way from `from` to `to`. */
export function assertTransition(id: string, from: ProposalState, to: ProposalState): void {
  if (!canGo(from, to)) throw new WrongStateError({ id, found: from, allowed: PROPOSAL_STATES.filter((state) => canGo(state, to)), action: `become ${to}` })
}
