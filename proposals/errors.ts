import { BulwarkError, BadInputError } from '../core/errors.ts'

/** The draft holds faults that a proposal must not have. One sentence each in `facts.faults`. */
export class DraftRefusedError extends BadInputError {
  constructor(faults: readonly string[]) {
    super(faults.length === 1 ? faults[0]! : `Found ${faults.length} faults in the draft: ${faults.map((fault, i) => `(${i + 1}) ${fault}`).join(' ')}`, { faults })
  }
}

/** The proposal is in a state that does not allow what was asked. */
export class WrongStateError extends BulwarkError {
  constructor(facts: { id: string; found: string; allowed: readonly string[]; action: string }) {
    const allowed = facts.allowed.length === 0 ? 'no state allows it' : `allowed is ${facts.allowed.join(', ')}`
    super(`Found proposal ${facts.id} in state ${facts.found}, to ${facts.action} ${allowed}; look at its history, or draft a new one`, { code: 'WRONG_STATE', facts })
  }
}

/** The Safe on chain is not the one that the deployment records. */
export class SafeMismatchError extends BulwarkError {
  constructor(facts: { safe: string; what: string; found: string; recorded: string }) {
    super(`Found ${facts.what} ${facts.found} at Safe ${facts.safe}, recorded is ${facts.recorded}; correct the deployment's record before anything is signed`, { code: 'SAFE_MISMATCH', facts })
  }
}

/** The timelock on chain is not as the deployment records it. */
export class GovernanceMismatchError extends BulwarkError {
  constructor(facts: { timelock: string; what: string; found: string; recorded: string }) {
    super(`Found ${facts.what} ${facts.found} at the timelock ${facts.timelock}, recorded is ${facts.recorded}; correct the deployment's record before anything is signed`, { code: 'GOVERNANCE_MISMATCH', facts })
  }
}

/** The network has no Safe to propose to. */
export class NoSafeError extends BulwarkError {
  constructor(facts: { network: string }) {
    super(`Found no Safe recorded for network ${facts.network}; record the protocol's owner in its deployment to draft proposals`, { code: 'NO_SAFE', facts })
  }
}

/** The chain does not have the precondition contract that every batch begins with. */
export class GuardMissingError extends BulwarkError {
  constructor(facts: { network: string; address: string; found: string }) {
    super(`Found ${facts.found} at ${facts.address} on network ${facts.network}, where the precondition contract has to be; deploy it once with: npm run bulwark -- deploy-guard`, { code: 'GUARD_MISSING', facts })
  }
}

/** What is stored, derived or hashed in two ways came out differently: somebody or something changed bytes. */
export class TamperedError extends BulwarkError {
  constructor(facts: { what: string; found: string; expected: string }) {
    super(`Found ${facts.what} ${facts.found}, derived is ${facts.expected}; do not sign or execute, and draft it again from its intent`, { code: 'TAMPERED', facts })
  }
}

/** A signature that does not count. */
export class SignatureRefusedError extends BadInputError {}

/** Policy or lint stop it now, though they did not when it was drafted. One text per rule in `facts.rules`. */
export class BlockedError extends BulwarkError {
  constructor(facts: { id: string; rules: readonly string[] }) {
    super(`Found proposal ${facts.id} against ${facts.rules.join('; ')}; draft another, or wait until that is over`, { code: 'BLOCKED', facts })
  }
}

/** The world moved since the draft, so the batch must not be executed as it stands. */
export class StaleProposalError extends BulwarkError {
  constructor(message: string, facts: Readonly<Record<string, string | bigint>>) {
    super(message, { code: 'STALE_PROPOSAL', facts })
  }
}

/** The chain refused the execution, or the batch failed inside the Safe. */
export class ExecutionFailedError extends BulwarkError {
  constructor(facts: { id: string; reason: string; action: string }) {
    super(`Execution of proposal ${facts.id} failed: ${facts.reason}; ${facts.action}`, { code: 'EXECUTION_FAILED', facts })
  }
}
