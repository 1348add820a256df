/** Typed facts of an error, printed beside its sentence in logs and in GraphQL `extensions.facts`. */
export type ErrorFacts = Readonly<Record<string, string | number | bigint | boolean | null | readonly string[]>>

/**
 * Base of every error that a person may read.
 * The message is one sentence: what was found, what is allowed, what to do. `code` is stable and is what callers match.
 */
export class BulwarkError extends Error {
  readonly code: string
  readonly facts: ErrorFacts

  constructor(message: string, options: { code: string; facts?: ErrorFacts; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = options.code
    this.facts = options.facts ?? {}
  }
}

/** The input is wrong; trying again with the same input gives the same answer. */
export class BadInputError extends BulwarkError {
  constructor(message: string, facts?: ErrorFacts) {
    super(message, facts === undefined ? { code: 'BAD_INPUT' } : { code: 'BAD_INPUT', facts })
  }
}

/** The thing asked for does not exist. */
export class NotFoundError extends BulwarkError {
  constructor(facts: { what: string; id: string; hint: string }) {
    super(`There is no ${facts.what} ${facts.id}; ${facts.hint}`, { code: 'NOT_FOUND', facts })
  }
}

/** A part that we depend on did not answer or answered wrongly; the same call may succeed later. */
export class RetryableError extends BulwarkError {}

/** A part (database, graph-node, chain …) is out of reach. */
export class UnavailableError extends RetryableError {
  constructor(facts: { part: string; found: string; action: string }, cause?: unknown) {
    super(`${facts.part}: ${facts.found}; ${facts.action}`, { code: 'UNAVAILABLE', facts, cause })
  }
}

/** A state that the code holds to be impossible: a defect of ours, never a user's mistake. */
export class InvariantError extends BulwarkError {
  constructor(message: string, facts?: ErrorFacts) {
    super(message, facts === undefined ? { code: 'INVARIANT' } : { code: 'INVARIANT', facts })
  }
}
