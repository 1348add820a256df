/** Work that follows the mirror's steps in this process: it never overlaps itself, and a failure shows in the status alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { PartHealth } from './generated/resolvers.ts'

export type Job = {
  readonly name: string
  /** Asks for a run; asked while one is under way, another follows. */
  trigger(): void
  health(): { readonly health: PartHealth; readonly detail: string }
  /** No further runs; resolves when the one under way has ended. */
  stop(): Promise<void>
}

/** After a run that had nothing to do, or failed, the next may come this soon, ms. */
const RETRY_MS = 2000

/** What a run did, in a few words; why it waits, in a sentence; null where there was nothing to do yet. */
export type Outcome = string | { readonly waits: string } | null

/** Told of each run that did something, waited or failed, and how long it took, s. */
export type JobObserver = (job: string, outcome: 'done' | 'waited' | 'failed', seconds: number) => void

/** Further behind the chain than this, what a run would find is about to be overtaken, blocks. */
const FAR_BEHIND_BLOCKS = 300n

/** Why a job had better wait, while the mirror is far behind the chain; null where it need not. */
export function farBehind(mirror: { readonly indexedBlock: bigint | null; readonly chainBlock: bigint | null } | null): { readonly waits: string } | null {
  if (mirror?.chainBlock == null) return null
  const behind = mirror.chainBlock - (mirror.indexedBlock ?? 0n)
  return behind <= FAR_BEHIND_BLOCKS ? null : { waits: `It waits while the mirror is ${behind} blocks behind the chain, and goes on by itself from ${FAR_BEHIND_BLOCKS}.` }
}

/**
 * A run that waits or fails is tried again by itself, without a step of the mirror.
 * `gapMs` lies between the end of one run and the start of the next: steps come every second or two.
 */
export function createJob({ name, gapMs, log, run, observe = () => {} }: { name: string; gapMs: number; log: Logger; run: () => Promise<Outcome>; observe?: JobObserver }): Job {
  const stop = new AbortController()
  let wanted = false
  let running: Promise<void> | null = null
  let done: { at: Date; detail: string } | null = null
  let failed: { since: Date; sentence: string } | null = null
  let waits: string | null = null

  /** True where it did something that the gap is meant to space out. */
  const once = async (): Promise<boolean> => {
    const started = performance.now()
    const seconds = (): number => (performance.now() - started) / 1000
    try {
      const outcome = await run()
      const detail = typeof outcome === 'string' ? outcome : null
      waits = typeof outcome === 'object' ? (outcome?.waits ?? null) : null
      if (failed) log.info({ job: name }, 'a job works again')
      failed = null
      if (detail !== null) done = { at: new Date(), detail }
      if (detail !== null || waits !== null) observe(name, detail === null ? 'waited' : 'done', seconds())
      return detail !== null
    } catch (error) {
      const sentence = error instanceof BulwarkError ? error.message : 'it failed for a reason that the log names'
      if (failed?.sentence !== sentence) log.error({ job: name, err: error }, 'a job failed; it is tried again')
      failed = { since: failed?.since ?? new Date(), sentence }
      observe(name, 'failed', seconds())
      return false
    }
  }
  const loop = async (): Promise<void> => {
    while (wanted && !stop.signal.aborted) {
      wanted = false
      const worked = await once()
      if (failed || waits !== null) wanted = true
      await sleep(worked ? gapMs : Math.min(gapMs, RETRY_MS), undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
    running = null
  }
  return {
    name,
    trigger: () => {
      wanted = true
      running ??= loop()
    },
    health: () => {
      if (failed) return { health: 'DEGRADED', detail: `Since ${failed.since.toISOString()}: ${failed.sentence}. It is tried again every few seconds.` }
      if (waits !== null) return { health: 'DEGRADED', detail: done ? `${waits} ${done.detail} (${done.at.toISOString()}).` : waits }
      if (done) return { health: 'UP', detail: `${done.detail} (${done.at.toISOString()}).` }
      return { health: 'UP', detail: 'Nothing to do yet; it starts with the first indexed block.' }
    },
    stop: async () => {
      stop.abort()
      await running
    },
  }
}

/** Calls `heard` for each notification of a PostgreSQL channel, and once after each (re)connection, until stopped. */
export function listen(databaseUrl: string, channel: string, heard: () => void, log: Logger): { stop(): Promise<void> } {
  const stop = new AbortController()
  const session = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: databaseUrl, keepAlive: true })
    const ended = new Promise<void>((resolve) => {
      client.once('error', () => resolve())
      client.once('end', resolve)
      stop.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    try {
      await client.connect()
      client.on('notification', heard)
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`)
      heard()
      await ended
    } finally {
      await client.end().catch(() => {})
    }
  }
  const loop = (async () => {
    while (!stop.signal.aborted) {
      await session().catch((error: unknown) => log.debug({ err: error, channel }, 'not listening'))
      await sleep(1000, undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
  })()
  return {
    stop: async () => {
      stop.abort()
      await loop
    },
  }
}
