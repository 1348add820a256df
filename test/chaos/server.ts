/** A part as `npm start` runs it, to be killed with all that it has started, and started again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, readdirSync, readFileSync, type WriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { BulwarkError } from '../../core/errors.ts'

export type ServerEvent = { readonly event: string } & Readonly<Record<string, unknown>>

/** The process and everything below it, by /proc. */
function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      // pid (name) state ppid …; the name may hold anything but its last parenthesis.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // Gone since the folder was read.
    }
  }
  const below = (of: number): number[] => [of, ...(children.get(of) ?? []).flatMap(below)]
  return below(pid)
}

function killTree(pid: number): void {
  for (const one of treeOf(pid)) {
    try {
      process.kill(one, 'SIGKILL')
    } catch {
      // It ended by itself in between.
    }
  }
}

export class Server {
  readonly name: string
  readonly #entry: string
  readonly #args: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  readonly #onEvent: (event: ServerEvent) => void
  readonly #onDeath: (reason: string) => void
  readonly #log: WriteStream
  readonly #said = new Set<string>()
  readonly #waiting = new Set<() => void>()
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()

  constructor(options: { name: string; entry: string; args: readonly string[]; env?: Readonly<Record<string, string>>; logFile: string; onEvent?: (event: ServerEvent) => void; /** It was ready and has ended by itself. */ onDeath?: (reason: string) => void }) {
    this.name = options.name
    this.#entry = options.entry
    this.#args = options.args
    this.#env = options.env ?? {}
    this.#onEvent = options.onEvent ?? (() => undefined)
    this.#onDeath = options.onDeath ?? (() => undefined)
    this.#log = createWriteStream(options.logFile, { flags: 'a' })
  }

  /** Resolves when it says `ready`. Throws BulwarkError where it ends before. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, ['--import', 'tsx', this.#entry, ...this.#args], { env: { ...process.env, ...this.#env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#child = child
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()))
    child.stdin.on('error', () => undefined)
    child.stderr.pipe(this.#log, { end: false })
    let reason = ''
    let isReady = false
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.startsWith('{"event"')) return
        const event = JSON.parse(line) as ServerEvent
        if (event.event === 'failed') reason = `: ${String(event['reason'])}`
        if (event.event === 'ready') {
          isReady = true
          resolve()
        }
        this.#onEvent(event)
        this.#said.add(event.event)
        for (const look of [...this.#waiting]) look()
      })
      // 'close', not 'exit': its last words have been read then.
      child.once('close', (code, signal) => {
        const isOwnDoing = this.#child === child
        if (isOwnDoing) this.#child = null
        const words = `${signal ?? `code ${code}`}${reason}`
        if (!isReady) reject(new BulwarkError(`${this.name} ended (${words}) before it was ready; see its log`, { code: 'CHAOS_PART' }))
        else if (isOwnDoing) this.#onDeath(words)
      })
    })
  }

  /** The first event of that name, past or to come. Throws BulwarkError where it does not come within `limitMs`. */
  async event(name: string, limitMs: number): Promise<void> {
    if (this.#said.has(name)) return
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => reject(new BulwarkError(`${this.name} has not said "${name}" after ${limitMs / 1000} s; see its log`, { code: 'CHAOS_PART' })), limitMs)
      const look = (): void => {
        if (!this.#said.has(name)) return
        clearTimeout(limit)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
    })
  }

  /** SIGKILL to it and to everything that it has started. */
  async kill(): Promise<void> {
    const pid = this.#child?.pid
    if (pid === undefined) return
    this.#child = null
    killTree(pid)
    await this.#ended
  }

  /** Asks it to end, as a closed stdin does. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === null) return
    const pid = child.pid
    this.#child = null
    const force = setTimeout(() => {
      if (pid !== undefined) killTree(pid)
    }, 15_000)
    child.stdin?.end()
    await this.#ended
    clearTimeout(force)
    this.#log.end()
  }
}
