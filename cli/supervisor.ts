import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { BulwarkError } from '../core/errors.ts'

/** A JSON line that a part writes to its stdout. */
export type PartEvent = { readonly event: string } & Readonly<Record<string, unknown>>

export type PartSpec = {
  /** As in messages and log files: `graph-node`. */
  readonly name: string
  /** TypeScript file that is the process. */
  readonly entry: string
  readonly args: readonly string[]
  /** Added to the environment; the only way by which a secret reaches a part. */
  readonly env?: Readonly<Record<string, string>>
  /** The event that says it can be used. */
  readonly readyEvent: string
}

export class PartFailedError extends BulwarkError {
  constructor(facts: { part: string; reason: string; log: string }) {
    super(`${facts.part} failed: ${facts.reason}; its log is ${facts.log}`, { code: 'PART_FAILED', facts })
  }
}

/** Restarts after a death, counted while the part never stayed up for `STABLE_MS`. */
const MAX_RESTARTS = 5
const STABLE_MS = 60_000
/** A part that does not end by itself within this time is killed. */
const STOP_MS = 15_000

/** One supervised process: started, watched, restarted when it dies, stopped. */
export class Part {
  readonly name: string
  readonly logFile: string
  readonly #spec: PartSpec
  readonly #onEvent: (part: string, event: PartEvent) => void
  readonly #events: PartEvent[] = []
  #waiters: { event: string; resolve: (event: PartEvent) => void; reject: (error: Error) => void }[] = []
  #child: ChildProcess | null = null
  /** Being ended on purpose: its exit is no failure. */
  #stopping = false
  #finished = false
  #suspended: Promise<void> | null = null
  #restarts = 0
  #failure: PartFailedError | null = null

  constructor(spec: PartSpec, options: { stateDir: string; onEvent: (part: string, event: PartEvent) => void }) {
    this.name = spec.name
    this.#spec = spec
    this.#onEvent = options.onEvent
    const logs = join(options.stateDir, 'logs')
    mkdirSync(logs, { recursive: true })
    this.logFile = join(logs, `${spec.name}.log`)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): this {
    if (this.#finished || this.#child !== null) return this
    this.#stopping = false
    const startedAt = Date.now()
    // Its own process group: Ctrl-C reaches the supervisor alone, which then stops the parts in order.
    const child = spawn(process.execPath, ['--import', 'tsx', this.#spec.entry, ...this.#spec.args], {
      env: { ...process.env, ...this.#spec.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child = child
    const log = createWriteStream(this.logFile, { flags: 'a' })
    child.stderr.pipe(log, { end: false })
    child.once('close', () => log.end())
    // A part that has just died cannot be told anything; its exit says so.
    child.stdin.on('error', () => {})
    let reason: string | null = null
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = parseEvent(line)
      if (event === null) {
        log.write(`${line}\n`)
        return
      }
      if (event.event === 'failed') reason = String(event['reason'])
      this.#deliver(event)
    })
    child.on('exit', (code, signal) => {
      this.#child = null
      if (this.#stopping) return
      const failure = new PartFailedError({ part: this.name, reason: reason ?? `it ended with ${signal ?? `code ${code}`}`, log: this.logFile })
      this.#restarts = Date.now() - startedAt > STABLE_MS ? 1 : this.#restarts + 1
      const wasReady = this.#events.some((event) => event.event === this.#spec.readyEvent)
      if (!wasReady || this.#restarts > MAX_RESTARTS) {
        this.#failure = failure
        for (const waiter of this.#waiters.splice(0)) waiter.reject(failure)
        this.#onEvent(this.name, { event: 'gave-up', reason: failure.message })
        return
      }
      this.#onEvent(this.name, { event: 'restarting', reason: failure.message, attempt: this.#restarts })
      void sleep(250 * 2 ** this.#restarts).then(() => {
        if (!this.#stopping) this.start()
      })
    })
    return this
  }

  /** The first such event, past or to come. Throws PartFailedError when the part is given up. */
  async event(name: string): Promise<PartEvent> {
    const past = this.#events.find((event) => event.event === name)
    if (past !== undefined) return past
    if (this.#failure !== null) throw this.#failure
    return new Promise((resolve, reject) => this.#waiters.push({ event: name, resolve, reject }))
  }

  ready(): Promise<PartEvent> {
    return this.event(this.#spec.readyEvent)
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#finished = true
    await this.#end()
  }

  /** Ends it until `resume`. */
  suspend(): void {
    this.#suspended ??= this.#end()
  }

  /** Starts it again after `suspend`; does nothing where it was not suspended. */
  resume(): void {
    const suspended = this.#suspended
    this.#suspended = null
    void suspended?.then(() => this.start())
  }

  /** Ends it and starts it again. */
  async restart(): Promise<void> {
    if (this.#suspended !== null) return
    await this.#end()
    this.start()
  }

  /** Closes its stdin, which every part takes as the end; kills it after STOP_MS. */
  async #end(): Promise<void> {
    this.#stopping = true
    const child = this.#child
    if (child === null) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.stdin?.end()
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(timer)
  }

  #deliver(event: PartEvent): void {
    // Only the first of a kind is kept: later ones are for listeners.
    if (!this.#events.some((past) => past.event === event.event)) this.#events.push(event)
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.event !== event.event) return true
      waiter.resolve(event)
      return false
    })
    this.#onEvent(this.name, event)
  }
}

function parseEvent(line: string): PartEvent | null {
  if (!line.startsWith('{"event"')) return null
  try {
    return JSON.parse(line) as PartEvent
  } catch {
    return null
  }
}
