/** What happened, told once to everyone who listens in this process: found in the database after each step, so that any number of servers tell the same. */
import { BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { BreakerChange, Liquidation } from '../../prisma/generated/client.ts'
import type { IndexedBlock } from './context.ts'

export type Reorganisation = { /** The last block that stands on both sides; null where none that was told of does. */ readonly common: IndexedBlock | null; readonly from: IndexedBlock; readonly to: IndexedBlock }

export type Happened = {
  readonly block: IndexedBlock
  readonly reorganisation: Reorganisation
  readonly breaker: BreakerChange
  readonly liquidation: Liquidation
  /** Id of a run of recommendations. */
  readonly recommendations: string
  /** Id of a long run whose row has changed. */
  readonly run: string
  /** Id of a proposal to which something has happened. */
  readonly proposal: string
}
export type Topic = keyof Happened

/** What was told up to a look: everything at or before it was, everything after it is to come. */
export type Told = { readonly block: bigint; readonly breaker: number; readonly run: { readonly id: string; readonly blockNumber: bigint } | null }

export type Events = {
  /** Events of a topic from now on, until the iterator is returned. Throws TooSlowError where they were not taken in time. */
  listen<T extends Topic>(topic: T): AsyncIterableIterator<Happened[T]>
  publish<T extends Topic>(topic: T, event: Happened[T]): void
  /** Finds what is new since the last look; the first look only notes where it stands. Looks never overlap. */
  look(): Promise<void>
  /** Where the last look stood; null before the first. Read in one breath with `listen`, it leaves no gap between what was and what comes. */
  told(): Told | null
  /** Ends every listener. */
  close(): void
}

/** A listener that leaves so many events waiting is ended: it is gone, or too slow to be told everything. */
export const MAX_WAITING = 1_000
/** Rows read at once. */
const BATCH = 500
/** Events of proposals that are read again at every look: one may have been numbered before another, and written after it. */
const LATE = 100n
/** Blocks remembered, to name the one that a reorganisation left standing. */
const REMEMBERED = 1_024

/** Events were not taken as fast as they came. */
export class TooSlowError extends BulwarkError {
  constructor() {
    super(`Found ${MAX_WAITING} events waiting for this subscriber, allowed are fewer; subscribe again with sinceBlock: the block of the last event that was taken`, { code: 'TOO_SLOW', facts: { max: MAX_WAITING } })
  }
}

export function createEvents({ prisma, log }: { readonly prisma: PrismaClient; readonly log: Logger }): Events {
  const listeners = new Map<Topic, Set<{ give(event: unknown): void; end(): void }>>()
  let looking: Promise<void> | null = null
  let again = false
  let since: (Told & { readonly head: IndexedBlock | null }) | null = null
  /** Blocks that were told of, oldest first. */
  let seen: IndexedBlock[] = []
  /** Events of proposals that were told of, by id; null before the first look. */
  let proposals: ReadonlySet<bigint> | null = null

  const publish = (topic: Topic, event: unknown): void => listeners.get(topic)?.forEach((one) => one.give(event))

  /** The last block told of that the mirror still stands on, where it no longer stands on the last one; undefined where it does. */
  const takenBack = async (head: IndexedBlock): Promise<IndexedBlock | null | undefined> => {
    const [oldest] = await prisma.checkpoint.findMany({ orderBy: { blockNumber: 'asc' }, take: 1, select: { blockNumber: true } })
    const kept = new Set((await prisma.checkpoint.findMany({ where: { blockHash: { in: seen.map((block) => block.hash) } }, select: { blockHash: true } })).map((row) => row.blockHash))
    // Older than what is kept to go back by: nothing can say that it was taken back.
    if (kept.has(head.hash) || (oldest !== undefined && head.number < oldest.blockNumber)) return undefined
    return seen.findLast((block) => kept.has(block.hash)) ?? null
  }

  const lookAtProposals = async (): Promise<void> => {
    const newest = proposals === null ? await prisma.proposalEvent.findFirst({ orderBy: { id: 'desc' }, select: { id: true } }) : null
    const from = (proposals === null ? (newest?.id ?? 0n) : [...proposals].reduce((a, b) => (a > b ? a : b), 0n)) - LATE
    const rows = await prisma.proposalEvent.findMany({ where: { id: { gt: from } }, orderBy: { id: 'asc' }, select: { id: true, proposalId: true } })
    const told = proposals
    proposals = new Set(rows.map((row) => row.id))
    if (told !== null) for (const id of new Set(rows.filter((row) => !told.has(row.id)).map((row) => row.proposalId))) publish('proposal', id)
  }

  const lookOnce = async (): Promise<void> => {
    await lookAtProposals()
    const row = await prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })
    const head = row && { number: row.blockNumber, hash: row.blockHash, timestamp: row.blockTimestamp }
    const breaker = await prisma.breakerChange.findFirst({ orderBy: { sequence: 'desc' }, select: { sequence: true } })
    const run = await prisma.recommendationRun.findFirst({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], select: { id: true, blockNumber: true } })
    const before = since
    const moved = head !== null && head.hash !== before?.head?.hash
    const common = moved && before?.head != null ? await takenBack(before.head) : undefined
    since = { head, block: head?.number ?? 0n, breaker: Math.max(breaker?.sequence ?? 0, before?.breaker ?? 0), run }
    if (common !== undefined) seen = seen.filter((block) => common !== null && block.number <= common.number)
    if (moved) seen = [...seen, head].slice(-REMEMBERED)
    if (before === null) return
    if (moved) {
      // Before anything of the blocks that took their place.
      if (common !== undefined && before.head !== null) publish('reorganisation', { common, from: before.head, to: head })
      publish('block', head)
      const from = common === undefined ? before.block : (common?.number ?? -1n)
      for (let skip = 0; ; skip += BATCH) {
        const rows = await prisma.liquidation.findMany({ where: { blockNumber: { gt: from, lte: head.number } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }, { id: 'asc' }], skip, take: BATCH })
        for (const one of rows) publish('liquidation', one)
        if (rows.length < BATCH || !(listeners.get('liquidation')?.size ?? 0)) break
      }
    }
    if (since.breaker > before.breaker) for (const one of await prisma.breakerChange.findMany({ where: { sequence: { gt: before.breaker } }, orderBy: { sequence: 'asc' } })) publish('breaker', one)
    if (run !== null && run.id !== before.run?.id) {
      const later = await prisma.recommendationRun.findMany({ where: { blockNumber: { gt: before.run?.blockNumber ?? -1n } }, orderBy: [{ blockNumber: 'asc' }, { id: 'asc' }], select: { id: true } })
      // A reorganisation may have brought back an earlier one.
      for (const { id } of later.length > 0 ? later : [run]) publish('recommendations', id)
    }
  }

  return {
    publish,
    told: () => since,
    look: () => {
      again = true
      looking ??= (async () => {
        while (again) {
          again = false
          await lookOnce().catch((error: unknown) => log.debug({ err: error instanceof BulwarkError ? error.message : error }, 'events could not be read'))
        }
        looking = null
      })()
      return looking
    },
    listen: <T extends Topic>(topic: T) => {
      const waiting: Happened[T][] = []
      let wake: (() => void) | null = null
      let ended = false
      let slow = false
      const listener = {
        give: (event: unknown) => {
          if (waiting.push(event as Happened[T]) > MAX_WAITING) {
            slow = true
            waiting.length = 0
            listener.end()
          }
          wake?.()
        },
        end: () => {
          ended = true
          own.delete(listener)
          wake?.()
        },
      }
      const own = listeners.get(topic) ?? new Set()
      listeners.set(topic, own.add(listener))
      const iterator: AsyncIterableIterator<Happened[T]> = {
        next: async () => {
          while (waiting.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve))
          if (slow) throw new TooSlowError()
          const value = waiting.shift()
          return value === undefined ? { done: true, value: undefined } : { done: false, value }
        },
        return: async () => {
          waiting.length = 0
          listener.end()
          return { done: true, value: undefined }
        },
        [Symbol.asyncIterator]: () => iterator,
      }
      return iterator
    },
    close: () => listeners.forEach((set) => [...set].forEach((one) => one.end())),
  }
}
