/** Margins that do not jump when markets do: the three ways of EMIR, and how much is left to jump. */
import { BadInputError } from '../../core/errors.ts'
import { withStressWeight } from './haircut.ts'
import { SampleTooSmallError } from './errors.ts'

/** Least buffer, least weight of stress, and least look-back of the regulation. */
export const EMIR = { buffer: 0.25, stressWeight: 0.25, lookbackYears: 10 } as const

/** One of the three ways of article 28(1). */
export type AntiProcyclicality =
  /** (a) A buffer on top that may be used up while margins rise. `previous`: the margin that stood before, null at the start; `restore`: share of the core margin that comes back per step. */
  | { readonly way: 'buffer'; readonly buffer: number; readonly previous: number | null; readonly restore: number }
  /** (b) A weight on the margin of stressed observations. */
  | { readonly way: 'stress'; readonly stressed: number; readonly weight: number }
  /** (c) No lower than the margin at the volatility of a long look-back. */
  | { readonly way: 'floor'; readonly longRun: number; readonly lookbackYears: number }

/** A margin after one of the ways, as a fraction of notional. */
export type SmoothedMargin = {
  readonly margin: number
  readonly core: number
  readonly way: AntiProcyclicality['way']
  readonly binding: 'core' | 'full buffer' | 'buffer in use' | 'buffer used up' | 'stressed observations' | 'long-run floor'
  /** What is left of the buffer, share of the core margin; null for the other ways. */
  readonly bufferLeft: number | null
  /** Whether the numbers are at least those of the regulation. */
  readonly meetsRegulation: boolean
}

/**
 * Core margin → margin against procyclicality, by the way chosen.
 *
 * (a) between core and (1 + buffer)·core: the previous margin is kept while it lies there, so that a rising core eats the buffer first; it is restored by
 * `restore`·core per step. (b) (1 − w)·core + w·max(core, stressed). (c) max(core, long run).
 * All fractions ≥ 0; never below core. Throws BadInputError otherwise.
 * Source: Commission Delegated Regulation (EU) 153/2013, art. 28(1)(a), (b), (c); Murphy, Vasios, Vause, Bank of England WP 525, 2014 (how they act).
 */
export function antiProcyclical(core: number, way: AntiProcyclicality): SmoothedMargin {
  const numbers = { core, ...(way.way === 'buffer' ? { buffer: way.buffer, previous: way.previous ?? 0, restore: way.restore } : way.way === 'stress' ? { stressed: way.stressed, weight: way.weight } : { longRun: way.longRun, lookbackYears: way.lookbackYears }) }
  for (const [field, value] of Object.entries(numbers)) {
    if (!(value >= 0) || !Number.isFinite(value)) throw new BadInputError(`${field}: found ${value}, allowed is a number from 0; 0.05 means 5 % of notional`, { field })
  }
  switch (way.way) {
    case 'buffer': {
      const full = (1 + way.buffer) * core
      const margin = way.previous === null ? full : Math.max(core, Math.min(full, way.previous + (way.previous < full ? way.restore * core : 0)))
      const binding = margin === full ? 'full buffer' : margin === core ? 'buffer used up' : 'buffer in use'
      return { margin, core, way: 'buffer', binding, bufferLeft: core === 0 ? way.buffer : margin / core - 1, meetsRegulation: way.buffer >= EMIR.buffer }
    }
    case 'stress': {
      const margin = withStressWeight(core, Math.max(core, way.stressed), way.weight)
      return { margin, core, way: 'stress', binding: margin > core ? 'stressed observations' : 'core', bufferLeft: null, meetsRegulation: way.weight >= EMIR.stressWeight }
    }
    case 'floor': {
      const margin = Math.max(core, way.longRun)
      return { margin, core, way: 'floor', binding: margin > core ? 'long-run floor' : 'core', bufferLeft: null, meetsRegulation: way.lookbackYears >= EMIR.lookbackYears }
    }
  }
}

/** How much a series of margins swings. */
export type Procyclicality = {
  /** Largest margin over the smallest. */
  readonly peakToTrough: number
  /** Largest margin over the one `steps` earlier. */
  readonly largestJump: number
  readonly steps: number
  readonly observations: number
}

/**
 * Peak-to-trough ratio and the largest rise over `steps` of a margin’s history, both ≥ 1 for one that moves at all up.
 *
 * margins > 0 in time order; at least steps + 1 of them. Source: Murphy, Vasios, Vause, Bank of England WP 525, 2014, §3.
 */
export function procyclicality(margins: readonly number[] | Float64Array, steps = 5): Procyclicality {
  if (!Number.isInteger(steps) || steps < 1) throw new BadInputError(`Found ${steps} steps, allowed is a whole number from 1; 5 days are usual`)
  if (margins.length <= steps) throw new SampleTooSmallError({ statistic: 'procyclicality', found: margins.length, needed: steps + 1 })
  let [low, high, largestJump] = [Infinity, 0, 0]
  for (let i = 0; i < margins.length; i++) {
    const margin = margins[i] as number
    if (!(margin > 0) || !Number.isFinite(margin)) throw new BadInputError(`Found a margin of ${margin}, allowed are numbers above 0; leave out what was unknown`)
    low = Math.min(low, margin)
    high = Math.max(high, margin)
    if (i >= steps) largestJump = Math.max(largestJump, margin / (margins[i - steps] as number))
  }
  return { peakToTrough: high / low, largestJump, steps, observations: margins.length }
}
