/** What happened, told once to everyone who listens in this process: found in the database after each step, so that any number of servers tell the same. */
import { BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { BreakerChange, Liquidation } from '../../prisma/generated/client.ts'
import type { IndexedBlock } from './context.ts'

export type Happened = {
  readonly block: IndexedBlock
  readonly breaker: BreakerChange
  readonly liquidation: Liquidation
  /** Id of a run of recommendations. */
  readonly recommendations: string
  /** Id of a long run whose row has changed. */
  readonly run: string
}
export type Topic = keyof Happened

export type Events = {
  /** Events of a topic from now on, until the iterator is returned. */
  listen<T extends Topic>(topic: T): AsyncIterableIterator<Happened[T]>
  publish<T extends Topic>(topic: T, event: Happened[T]): void
  /** Finds what is new since the last look; the first look only notes where it stands. Looks never overlap. */
  look(): Promise<void>
  /** Ends every listener. */
  close(): void
}

/** A listener that takes nothing for so many events is ended: it is gone, or too slow to be told everything. */
const MAX_WAITING = 1_000

export function createEvents({ prisma, log }: { readonly prisma: PrismaClient; readonly log: Logger }): Events {
  const listeners = new Map<Topic, Set<{ give(event: unknown): void; end(): void }>>()
  let looking: Promise<void> | null = null
  let again = false
  let since: { block: bigint; hash: string; breaker: number; run: string | null } | null = null

  const publish = (topic: Topic, event: unknown): void => listeners.get(topic)?.forEach((one) => one.give(event))

  const lookOnce = async (): Promise<void> => {
    const block = await prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })
    const breaker = await prisma.breakerChange.findFirst({ orderBy: { sequence: 'desc' }, select: { sequence: true } })
    const run = await prisma.recommendationRun.findFirst({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], select: { id: true } })
    const now = { block: block?.blockNumber ?? 0n, hash: block?.blockHash ?? '', breaker: breaker?.sequence ?? 0, run: run?.id ?? null }
    const before = since
    since = { ...now, breaker: Math.max(now.breaker, before?.breaker ?? 0) }
    if (before === null) return
    if (block !== null && now.hash !== before.hash) {
      publish('block', { number: block.blockNumber, hash: block.blockHash, timestamp: block.blockTimestamp })
      // After a reorganisation the blocks from the common one on are told again by what replaced them.
      const rows = await prisma.liquidation.findMany({ where: { blockNumber: { gt: before.block < now.block ? before.block : now.block - 1n, lte: now.block } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], take: MAX_WAITING })
      for (const row of rows) publish('liquidation', row)
    }
    if (now.breaker > before.breaker) for (const row of await prisma.breakerChange.findMany({ where: { sequence: { gt: before.breaker } }, orderBy: { sequence: 'asc' }, take: MAX_WAITING })) publish('breaker', row)
    if (now.run !== null && now.run !== before.run) publish('recommendations', now.run)
  }

  return {
    publish,
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
      const listener = {
        give: (event: unknown) => {
          if (waiting.push(event as Happened[T]) > MAX_WAITING) listener.end()
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
