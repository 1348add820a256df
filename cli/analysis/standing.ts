/** Where an answer stands: the block, its age, the digest of its inputs. */
import { BulwarkError } from '../../core/errors.ts'
import { duration, time } from './format.ts'
import { paragraph } from './table.ts'

export type Block = { readonly number: string; readonly hash: string; readonly timestamp: string }
export type Standing = { readonly network: string; readonly indexed: Block | null; readonly ageSec: number | null }
export type Provenance = { readonly model: string; readonly version: string; readonly source: string; readonly block: Block; readonly inputsDigest: string }

/** Age of figures of `block`, s of chain time: the index's own age and how far the block lies behind it; null where unknown. */
export const ageOf = (status: Standing, block: Block): number | null =>
  status.ageSec === null || status.indexed === null ? null : status.ageSec + Math.max(0, Number(status.indexed.timestamp) - Number(block.timestamp))

export const standsOn = (status: Standing, block: Block): string => {
  const age = ageOf(status, block)
  return `${status.network}, block ${block.number} of ${time(block.timestamp)}, ${age === null ? 'age unknown' : `${duration(age)} old`}`
}

/** The line under a table that says what it stands on. */
export const footer = (status: Standing, provenance: Provenance, width: number | null): string =>
  paragraph(`${standsOn(status, provenance.block)}; model ${provenance.model} ${provenance.version}, inputs ${provenance.inputsDigest}`, width)

/** What every query answers before the first block is indexed. */
export function known<T>(answer: T | null | undefined): T {
  if (answer === null || answer === undefined) throw new BulwarkError('Found no indexed block yet, needed is one to compute on; wait for the first (status { sync { … } })', { code: 'NOT_INDEXED' })
  return answer
}
