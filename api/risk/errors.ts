import { BulwarkError } from '../../core/errors.ts'

/** Which statistic lacks how much. */
export type Shortage = { readonly statistic: string; readonly found: number; readonly needed: number }

/** Too few observations for a statistic to mean anything. The answer is then "unknown", never a guess. */
export class SampleTooSmallError extends BulwarkError {
  readonly shortage: Shortage

  constructor(facts: Shortage) {
    super(`${facts.statistic}: found ${facts.found} observations, needed are at least ${facts.needed}; wait for more history`, { code: 'SAMPLE_TOO_SMALL', facts })
    this.shortage = facts
  }
}

/** A model whose fit must not be used. The caller falls back to the model that `action` names, or says "unknown". */
export class ModelFitError extends BulwarkError {
  constructor(facts: { model: string; found: string; action: string }) {
    super(`${facts.model}: found ${facts.found}; ${facts.action}`, { code: 'MODEL_FIT', facts })
  }
}
