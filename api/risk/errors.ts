import { BulwarkError } from '../../core/errors.ts'

/** Too few observations for a statistic to mean anything. The answer is then "unknown", never a guess. */
export class SampleTooSmallError extends BulwarkError {
  constructor(facts: { statistic: string; found: number; needed: number }) {
    super(`${facts.statistic}: found ${facts.found} observations, needed are at least ${facts.needed}; wait for more history`, { code: 'SAMPLE_TOO_SMALL', facts })
  }
}
