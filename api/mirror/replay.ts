/**
 * Runs the protocol's reducer over the facts in the tables: within the transaction of a step over that step's blocks, and
 * over all facts where the rows that are there were computed otherwise.
 */
import { InvariantError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Fact, Reducer, ReplayNeed, ReplayRow } from '../../protocols/adapter.ts'
import { protocols } from '../../protocols/index.ts'
import type { Store } from './store.ts'
import { TroubleError } from './trouble.ts'

/** The reducer of a protocol by its name in the index; undefined where it has none. */
export type FindReducer = (protocol: string) => Reducer | undefined

export const findReducer: FindReducer = (protocol) => protocols.find(({ name }) => name === protocol)?.reducer

export type Replay = {
  /** Whether the stored rows are not what this version's reducer makes of the facts up to `block`. */
  isStale(block: bigint): Promise<boolean>
  /** Reduces the facts of the blocks above `known` (null: of all) up to `target`. Within a transaction; `known` must not be stale. */
  advance(known: bigint | null, target: bigint, undoBlock: bigint | null): Promise<void>
  /** Computes all rows again, with undo rows as they would stand had the mirror followed with this reducer. Within a transaction. Returns how many facts it took. */
  recompute(): Promise<number>
}

/** Facts that are reduced at a time, whole blocks: bounds memory, and how long the reducer keeps this process from anything else. */
const CHUNK_FACTS = 2_000
const PROGRESS_MS = 5_000

export function createReplay(store: Store, find: FindReducer, log: Logger): Replay {
  const current = async (): Promise<Reducer | undefined> => {
    const protocol = await store.protocolName()
    return protocol === null ? undefined : find(protocol)
  }

  async function reduce(reducer: Reducer, after: bigint, upTo: bigint, undoBlock: bigint | null, onFacts: (facts: readonly Fact[]) => void = () => undefined): Promise<void> {
    for await (const facts of store.facts(reducer.facts, after, upTo, CHUNK_FACTS)) {
      const rows = await store.replayRows(attempt(facts, (): readonly ReplayNeed[] => reducer.needs(facts)))
      const changed = attempt(facts, () => reducer.reduce(rows, facts))
      for (const row of changed) assertStorable(row)
      await store.writeReplay(changed, undoBlock)
      onFacts(facts)
    }
  }

  return {
    isStale: async (block) => {
      const reducer = await current()
      if (reducer === undefined) return false
      const status = await store.replayStatus()
      return status?.version !== reducer.version || status.blockNumber !== block
    },

    advance: async (known, target, undoBlock) => {
      const reducer = await current()
      if (reducer === undefined) return
      // No status: nothing was reduced yet, whatever the tables hold.
      const from = known === null || (await store.replayStatus()) === null ? -1n : known
      await reduce(reducer, from, target, undoBlock)
      await store.setReplayStatus({ version: reducer.version, blockNumber: target })
    },

    recompute: async () => {
      const reducer = await current()
      await store.clearReplay()
      if (reducer === undefined) return 0
      let count = 0
      let saidMs = performance.now()
      const checkpoints = (await store.checkpoints()).toReversed()
      const newest = checkpoints.at(-1)
      let from = -1n
      for (const { number } of checkpoints) {
        // There is no way back beyond the first checkpoint.
        await reduce(reducer, from, number, from === -1n ? null : number, (facts) => {
          count += facts.length
          if (performance.now() - saidMs < PROGRESS_MS) return
          saidMs = performance.now()
          log.info({ facts: count, block: facts.at(-1)?.blockNumber, of: newest?.number.toString() }, 'Computing the replayed rows again')
        })
        from = number
      }
      if (newest !== undefined) await store.setReplayStatus({ version: reducer.version, blockNumber: newest.number })
      return count
    },
  }
}

function attempt<T>(facts: readonly Fact[], work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const blocks = `${facts[0]?.blockNumber ?? ''} to ${facts.at(-1)?.blockNumber ?? ''}`
    throw new TroubleError('REPLAY_FAILED', `the protocol's reducer refused the facts of blocks ${blocks} (${cause instanceof Error ? cause.message : String(cause)})`, 'report it; what was stored before stays', cause)
  }
}

/** PostgreSQL takes a whole null back as no value at all when a row is rewound. */
function assertStorable({ kind, key, value }: ReplayRow): void {
  if (value === null || value === undefined || kind.includes(':')) {
    throw new InvariantError(`The reducer gave ${kind}:${key} the value ${JSON.stringify(value)}, allowed is any JSON but null, and a kind without a colon`)
  }
}
