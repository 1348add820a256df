/** How far a first synchronisation is, and how fast: rates over the last minutes, since blocks differ in what they hold. */

export type SyncSample = {
  readonly atMs: number
  /** Block that the tables stand on; null before the first step. */
  readonly indexedBlock: bigint | null
  /** Rows stored since the mirror's first step. */
  readonly rows: bigint
}

export type SyncRates = {
  /** null before two samples lie apart. */
  readonly blocksPerSec: number | null
  readonly rowsPerSec: number | null
}

/** Samples are kept for as long, ms. */
const WINDOW_MS = 300_000
/** Two samples nearer than this say little, ms. */
const APART_MS = 2_000

/** Collects samples, oldest first; a fall (a reorg, a rebuild) starts over. */
export function createRates(): { add(sample: SyncSample): void; read(): SyncRates } {
  let samples: SyncSample[] = []
  return {
    add: (sample) => {
      const last = samples.at(-1)
      if (last !== undefined && (sample.rows < last.rows || (sample.indexedBlock ?? 0n) < (last.indexedBlock ?? 0n))) samples = []
      if (last !== undefined && sample.atMs - last.atMs < APART_MS && samples.length > 1) return
      // A window that began before the first step would count the blocks below the protocol's first.
      if (sample.indexedBlock !== null) samples = [...samples.filter(({ atMs }) => sample.atMs - atMs <= WINDOW_MS), sample]
    },
    read: () => {
      const [first, last] = [samples[0], samples.at(-1)]
      if (first === undefined || last === undefined || last.atMs - first.atMs < APART_MS) return { blocksPerSec: null, rowsPerSec: null }
      const sec = (last.atMs - first.atMs) / 1000
      return { blocksPerSec: Number(last.indexedBlock! - first.indexedBlock!) / sec, rowsPerSec: Number(last.rows - first.rows) / sec }
    },
  }
}
