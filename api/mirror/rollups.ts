/**
 * The buckets that a step completes, computed from the timeseries' points.
 *
 * graph-node keeps aggregations of its own. They are right while it runs; where it restarts or follows a reorg it takes up at
 * the last bucket that has a row, and of the buckets that ended since then it fills the first alone (`Layout::rollup`,
 * store/postgres/src/relational.rs in 0.45). The points are rows with a block like any other, and exact at every block.
 */
import { InvariantError } from '../../core/errors.ts'
import { INTERVAL_SEC, type Entity, type Interval, type Rollup } from './entities.ts'
import { PAGE_ROWS, type GraphNode, type Head, type Row, type SampleRequest } from './graphNode.ts'
import type { Store } from './store.ts'

type Bucket = { readonly startSec: bigint; readonly dimensions: Readonly<Record<string, string>>; readonly values: Map<string, bigint> }

const floor = (timeSec: bigint, interval: Interval): bigint => timeSec - (timeSec % INTERVAL_SEC[interval])

/** Takes one value into a bucket: of a point, or (`isBucket`) of a shorter bucket. Both come in the order of time. */
function take(bucket: Bucket, { aggregates }: Rollup, valueOf: (source: string) => string | undefined, isBucket: boolean): void {
  for (const { column, fn, field } of aggregates) {
    const before = bucket.values.get(column)
    if (fn === 'count' && !isBucket) {
      bucket.values.set(column, (before ?? 0n) + 1n)
      continue
    }
    const text = valueOf(isBucket ? column : (field ?? ''))
    if (text === undefined) throw new InvariantError(`A point of a timeseries has no ${field ?? column}, which ${column} is computed from`)
    const value = BigInt(text)
    if (before === undefined) bucket.values.set(column, value)
    else if (fn === 'sum' || fn === 'count') bucket.values.set(column, before + value)
    else if (fn === 'min' ? value < before : fn === 'max' ? value > before : fn === 'last') bucket.values.set(column, value)
  }
}

class Buckets {
  readonly #rollup: Rollup
  readonly #interval: Interval
  readonly #buckets = new Map<string, Bucket>()

  constructor(rollup: Rollup, interval: Interval) {
    this.#rollup = rollup
    this.#interval = interval
  }

  add(timeSec: bigint, dimensions: Readonly<Record<string, string>>, valueOf: (source: string) => string | undefined, isBucket: boolean): void {
    const startSec = floor(timeSec, this.#interval)
    const id = [this.#interval, ...Object.values(dimensions), startSec].join(':')
    const bucket = this.#buckets.get(id) ?? { startSec, dimensions, values: new Map() }
    this.#buckets.set(id, bucket)
    take(bucket, this.#rollup, valueOf, isBucket)
  }

  rows(): Row[] {
    return [...this.#buckets].map(([id, { startSec, dimensions, values }]) => ({
      id,
      interval: this.#interval,
      timestamp: startSec.toString(),
      ...dimensions,
      ...Object.fromEntries([...values].map(([column, value]) => [column, value.toString()])),
    }))
  }
}

/**
 * Writes the rows of all buckets whose end lies in (knownSec, targetSec], times of the blocks that the tables stand on and
 * will stand on (null: on none). Within the step's transaction. `note` is told of each head that graph-node answered for.
 * Returns how many rows it wrote.
 */
export async function storeRollups(
  { store, graphNode, entities }: { store: Store; graphNode: GraphNode; entities: readonly Entity[] },
  step: { knownSec: bigint | null; targetSec: bigint; target: bigint; undoBlock: bigint | null; note: (head: Head) => void },
): Promise<number> {
  const { target, undoBlock } = step
  let rowCount = 0
  const put = async (entity: Entity, rows: readonly Row[]): Promise<void> => {
    for (let i = 0; i < rows.length; i += PAGE_ROWS) await store.write(entity, rows.slice(i, i + PAGE_ROWS), undoBlock)
    rowCount += rows.length
  }

  const shortest = new Map<Interval, { entity: Entity; rollup: Rollup }[]>()
  for (const entity of entities) {
    const { rollup } = entity
    const interval = rollup?.intervals[0]
    if (rollup === null || interval === undefined) continue
    shortest.set(interval, [...(shortest.get(interval) ?? []), { entity, rollup }])
  }

  for (const [interval, members] of shortest) {
    const fromSec = floor(step.knownSec ?? 0n, interval)
    const untilSec = floor(step.targetSec, interval)
    if (fromSec >= untilSec) continue
    const buckets = new Map(members.map(({ rollup }) => [rollup, new Buckets(rollup, interval)]))
    let requests: SampleRequest[] = members.map(({ rollup }) => ({ rollup, afterId: null }))
    while (requests.length > 0) {
      const page = await graphNode.samples(requests, target, fromSec, untilSec)
      step.note(page.head)
      requests = []
      for (const { request, samples, lastId } of page.samples) {
        for (const { timestampSec, values } of samples) {
          const dimensions = Object.fromEntries(request.rollup.dimensions.map(({ column, field }) => [column, values[field ?? ''] ?? '']))
          buckets.get(request.rollup)?.add(timestampSec, dimensions, (field) => values[field], false)
        }
        if (samples.length === PAGE_ROWS) requests.push({ rollup: request.rollup, afterId: lastId })
      }
    }
    for (const { entity, rollup } of members) await put(entity, buckets.get(rollup)?.rows() ?? [])

    for (const { entity, rollup } of members) {
      for (const longer of rollup.intervals.slice(1)) {
        const fromLonger = floor(step.knownSec ?? 0n, longer)
        const untilLonger = floor(step.targetSec, longer)
        if (fromLonger >= untilLonger) continue
        const merged = new Buckets(rollup, longer)
        for (const row of await store.buckets(entity, interval, fromLonger, untilLonger)) {
          const dimensions = Object.fromEntries(rollup.dimensions.map(({ column }) => [column, String(row[column])]))
          merged.add(BigInt(String(row['timestamp'])), dimensions, (column) => String(row[column]), true)
        }
        await put(entity, merged.rows())
      }
    }
  }
  return rowCount
}
