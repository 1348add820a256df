/**
 * Where books are gathered and computed with: a process beside the server, so that no model keeps it from answering.
 *
 * `createDesk` is the desk itself, `forkDesk` one in a process of its own (worker.ts), kept warm, with the same methods. Questions go one after
 * another but for stress, which runs on threads. A process and no thread: tsx loads no TypeScript in threads.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { serialize } from 'node:v8'
import { BadInputError, BulwarkError, InvariantError, UnavailableError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { Prisma, PrismaClient } from '../../../prisma/client.ts'
import type { Deployment, Protocol } from '../../../protocols/adapter.ts'
import type { Holdings } from '../../mirror/margins.ts'
import { latestCheckpoint, type MirroredBlock } from '../../mirror/read.ts'
import type { FoundBeta } from '../../recommendations/context.ts'
import { DEFAULT_POLICY, gather, runRecommendations, summaryOf, type ChainReads, type RunInputs, type RunSummary } from '../../recommendations/index.ts'
import type { VolatilityStatistics } from '../../recommendations/statistics.ts'
import { ModelFitError, SampleTooSmallError } from '../../risk/index.ts'
import type { IndexedBlock } from '../context.ts'
import { asKnownError } from '../errors.ts'
import { readAccounts, type AccountBook } from '../margins.ts'
import { UserInputError, type Answer } from './answer.ts'
import { BOOK_GONE, makeBook, type DeskBook } from './book.ts'
import { computeReplay, createBreakers, type Breakers, type ReplayTask } from './breakers.ts'
import { createEngine, type Engine } from './engine.ts'
import { computeAdl, computeDeleveraging, computeKeepers, computeLadder, computeQueue } from './liquidations.ts'
import { computeConcentration, computeShortfalls } from './reserves.ts'
import { computeProcyclicality, computeState, computeStates } from './rules.ts'
import { computeBacktest, computeDynamicMargin, computePortfolio, computeVolatility } from './statistics.ts'
import { computeStress } from './stress.ts'

/** What may be asked of a book: by name, a function of the book and of plain data, whose answer is plain data. */
const QUESTIONS = {
  stress: (book, task: Parameters<typeof computeStress>[2], engine) => computeStress(book, engine, task),
  ladder: computeLadder,
  queue: computeQueue,
  states: computeStates,
  state: computeState,
  adl: computeAdl,
  deleveraging: computeDeleveraging,
  keepers: computeKeepers,
  concentration: computeConcentration,
  shortfalls: computeShortfalls,
  volatility: computeVolatility,
  backtest: computeBacktest,
  dynamicMargin: computeDynamicMargin,
  portfolio: computePortfolio,
  procyclicality: computeProcyclicality,
} satisfies Record<string, (book: DeskBook, task: never, engine: Engine) => unknown>

type Questions = typeof QUESTIONS
export type Question = keyof Questions
export type Tasks = { readonly [K in Question]: Parameters<Questions[K]>[1] }
export type Answers = { readonly [K in Question]: Awaited<ReturnType<Questions[K]>> }
export type Ask = <K extends Question>(kind: K, task: Tasks[K]) => Promise<Answers[K]>

/** A book without what only computations need: it crosses from process to process at each block. */
export type BookHead = {
  readonly block: IndexedBlock
  readonly inputs: Omit<RunInputs, 'series' | 'accounts'>
  readonly accountCount: number
  readonly digest: string
  /** By feed: the statistic, or what it lacks. */
  readonly volatility: readonly (readonly [string, VolatilityStatistics | { readonly shortage: SampleTooSmallError['shortage'] }])[]
  /** By feed: what scenarios are multiplied with for a price outside BTC and ETH. */
  readonly betas: readonly (readonly [string, FoundBeta])[]
}

export type Desk = {
  /** The book of the block `hash` (null: whichever the mirror stands on) as it stands in the database, or in a transaction's exported snapshot; null where that is another block. */
  read(of: { readonly hash: string | null; readonly snapshot: string | null }): Promise<BookHead | null>
  /** Computes over the book of a block that was read. Throws UnavailableError with BOOK_GONE where the desk no longer has it. */
  ask<K extends Question>(hash: string, kind: K, task: Tasks[K]): Promise<Answers[K]>
  /** Observes the breakers over what the mirror has stored since; null where there is nothing new, or another process does it. */
  observe(): ReturnType<Breakers['observe']>
  /** Reads a window of history as a transaction's exported snapshot sees it, and replays it. */
  replay(snapshot: string, task: ReplayTask): Promise<Answer<'BreakerReplay'>>
  /** Block and inputs of a book, for a run's own process (worker.ts). */
  pack(hash: string): Promise<Uint8Array>
  /** Runs every recommendation model over the book that the mirror stands on, and stores what they say. Throws UnavailableError before the first block. */
  recommend(): Promise<RunSummary>
  close(): Promise<void>
}

const KEPT = 4
/** A large book on a busy machine: it is read whole once, and a reader that gives up would begin again each time. */
const READ_TIMEOUT_MS = 600_000

export type DeskOptions = { readonly prisma: PrismaClient; readonly protocol: Protocol; readonly deployment: Deployment; /** Parameters that the index does not hold. */ readonly chainReads?: ChainReads; /** Of stress; as many as cores where left out. */ readonly threads?: number }

/** A desk in this process. */
export function createDesk({ prisma, threads, ...options }: DeskOptions): Desk {
  const books = new Map<string, DeskBook>()
  /** Being gathered: whoever asks for the same block meanwhile waits for it. */
  const reading = new Map<string, Promise<DeskBook>>()
  const breakers = createBreakers({ prisma, deployment: options.deployment })
  const engine = createEngine(threads === undefined ? {} : { threads })

  /** Last asked for, last dropped. By block: two of them may have the same digest, and an answer says its block. */
  const keep = (book: DeskBook): DeskBook => {
    books.delete(book.block.hash)
    books.set(book.block.hash, book)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    return book
  }
  const found = (hash: string): DeskBook => {
    const book = books.get(hash)
    if (book === undefined) throw new UnavailableError({ part: 'the risk engine', found: BOOK_GONE, action: 'ask again' })
    return keep(book)
  }
  /** One snapshot of the database: its own, or the one that another transaction exported. */
  const readIn = <T>(snapshot: string | null, read: (tx: Prisma.TransactionClient) => Promise<T>): Promise<T> => {
    if (snapshot !== null && !/^[0-9A-Fa-f-]+$/.test(snapshot)) throw new InvariantError(`Found the snapshot ${snapshot}, allowed is a name that PostgreSQL gave; export one`)
    return prisma.$transaction(
      async (tx) => {
        // Before any read of the transaction.
        if (snapshot !== null) await tx.$executeRawUnsafe(`SET TRANSACTION SNAPSHOT '${snapshot}'`)
        return read(tx)
      },
      { isolationLevel: 'RepeatableRead', timeout: READ_TIMEOUT_MS, maxWait: 10_000 },
    )
  }
  /** What accounts held at the newest block that was read. */
  let newest: Holdings | null = null
  const readMargins = async (tx: Prisma.TransactionClient, block: IndexedBlock): Promise<AccountBook> => {
    const { book, holdings } = await readAccounts(tx, options, block, newest)
    if (newest === null || holdings.block.number >= newest.block.number) newest = holdings
    return book
  }
  /** The book is given as soon as it is gathered; its accounts are read after it in the same snapshot, for the mirror may leave the block before somebody asks for their margins. */
  const readBook = (snapshot: string | null, hash: string | null): Promise<DeskBook | null> => {
    let give: (book: DeskBook | null | Promise<DeskBook>) => void = () => {}
    const given = new Promise<DeskBook | null>((resolve) => (give = resolve))
    const read = readIn(snapshot, async (tx) => {
      const block: MirroredBlock | null = await latestCheckpoint(tx)
      if (block === null || (hash !== null && block.hash !== hash)) return give(null)
      const known = books.get(block.hash) ?? reading.get(block.hash)
      if (known !== undefined) return give(known)
      const made: Promise<DeskBook> = gather(tx, block, { ...options, policy: DEFAULT_POLICY }).then((inputs) => keep(makeBook(block, inputs, () => margins)))
      const margins: Promise<AccountBook> = made.then(() => readMargins(tx, block)).catch((error: unknown) => {
        // Read whole anew by whoever asks next.
        books.delete(block.hash)
        throw new UnavailableError({ part: 'the risk engine', found: BOOK_GONE, action: 'ask again' }, error)
      })
      reading.set(block.hash, made)
      try {
        give(await made)
      } finally {
        reading.delete(block.hash)
        // The snapshot lasts until they are read; who asks for them hears of a failure.
        await margins.catch(() => {})
      }
    })
    return Promise.race([given, read.then(() => given)])
  }
  return {
    read: async ({ hash, snapshot }) => {
      const book = await readBook(snapshot, hash)
      return book && headOf(book)
    },
    observe: () => breakers.observe(),
    replay: (snapshot, task) => readIn(snapshot, (tx) => computeReplay(tx, options.deployment, task)),
    ask: async (hash, kind, task) => (await QUESTIONS[kind](found(hash), task as never, engine)) as Answers[typeof kind],
    pack: async (hash) => {
      const { block, inputs } = found(hash)
      return serialize({ block, inputs })
    },
    recommend: async () => {
      const gathered = await readBook(null, null)
      if (gathered === null) throw new UnavailableError({ part: 'mirror', found: 'no block is stored yet', action: 'wait for its first step' })
      return summaryOf(await runRecommendations({ prisma, ...options, gathered }))
    },
    close: () => engine.close(),
  }
}

function headOf({ block, inputs: { series, accounts, ...inputs }, digest, context }: DeskBook): BookHead {
  const volatility = series.map(({ feed }) => {
    try {
      return [feed, context.volatility(feed, feed)] as const
    } catch (error) {
      if (error instanceof SampleTooSmallError) return [feed, { shortage: error.shortage }] as const
      throw error
    }
  })
  return { block, inputs, accountCount: accounts.length, digest, volatility, betas: series.map(({ feed }) => [feed, { beta: context.beta(feed, 'OTHER'), assumed: context.betaAssumed(feed, 'OTHER') }] as const) }
}

/** What crosses to the process and back; each with the number of its question. */
type Op = Exclude<keyof Desk, 'close'>
export type Request = { [K in Op]: { readonly id: number; readonly op: K; readonly args: Parameters<Desk[K]> } }[Op]
export type Reply = { readonly id: number } & ({ readonly value: unknown } | { readonly fault: Fault })

/** An error as plain data: a class does not survive the way between two processes. */
export type Fault = { readonly code: string; readonly message: string; readonly facts: BulwarkError['facts'] }

/** null for a fault of ours, which is not to be told. */
export function faultOf(error: unknown): Fault | null {
  const known = asKnownError(error)
  return known instanceof BulwarkError ? { code: known.code, message: known.message, facts: known.facts } : null
}

/** The error that `faultOf` was given, by its code. */
export function errorOf({ code, message, facts }: Fault): BulwarkError {
  // What its constructor was given: these three keep just that.
  const of = facts as never
  switch (code) {
    case 'SAMPLE_TOO_SMALL':
      return new SampleTooSmallError(of)
    case 'MODEL_FIT':
      return new ModelFitError(of)
    case 'UNAVAILABLE':
      return new UnavailableError(of)
    case 'BAD_INPUT':
      return new BadInputError(message, facts)
    case 'BAD_USER_INPUT':
      return new UserInputError(message, String(facts['field'] ?? ''))
    default:
      return new BulwarkError(message, { code, facts })
  }
}

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** The program of worker.ts in a process of its own, by the loader that the project runs by, whatever started this one. */
export const forkWorker = (role: 'desk' | 'run', env: NodeJS.ProcessEnv = {}): ChildProcess =>
  fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), [role], { execArgv: ['--import', LOADER], env: { ...process.env, ...env, NODE_OPTIONS: '' }, serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })

/**
 * A desk in a process of its own, which reads its database and chain from the environment (`env` over that of this process). It is started at
 * once, and anew with the next question when it dies; questions under way are then rejected with an UnavailableError.
 */
export function forkDesk({ log, env = {} }: { readonly log: Logger; readonly env?: NodeJS.ProcessEnv }): Desk {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  let child: ChildProcess | null = null
  let closed = false
  let last = 0

  const hire = (): ChildProcess => {
    const worker = forkWorker('desk', env)
    worker.on('message', (message) => {
      const reply = message as Reply
      const asker = waiting.get(reply.id)
      waiting.delete(reply.id)
      if ('fault' in reply) asker?.reject(errorOf(reply.fault))
      else asker?.resolve(reply.value)
    })
    const gone = (found: string, cause?: unknown): void => {
      if (child !== worker) return
      child = null
      if (!closed) log.error({ err: cause, found }, 'the risk engine’s process ended; the next question starts another')
      for (const asker of waiting.values()) asker.reject(new UnavailableError({ part: 'the risk engine', found, action: 'ask again' }, cause))
      waiting.clear()
    }
    worker.once('error', (error) => gone('its process could not be started', error))
    worker.once('exit', (code, signal) => gone(`its process ended with ${signal ?? `code ${code}`}`))
    return worker
  }
  const send = (request: { readonly op: Op; readonly args: readonly unknown[] }): Promise<never> => {
    if (closed) return Promise.reject(new UnavailableError({ part: 'the risk engine', found: 'it is closed', action: 'start the server again' }))
    const worker = (child ??= hire())
    const id = ++last
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
      worker.send({ id, ...request }, (error) => {
        if (error === null || !waiting.delete(id)) return
        reject(new UnavailableError({ part: 'the risk engine', found: 'its process does not listen', action: 'ask again' }, error))
      })
    })
  }
  child = hire()
  return {
    read: (...args) => send({ op: 'read', args }),
    ask: (...args) => send({ op: 'ask', args }),
    pack: (...args) => send({ op: 'pack', args }),
    recommend: (...args) => send({ op: 'recommend', args }),
    replay: (...args) => send({ op: 'replay', args }),
    observe: (...args) => send({ op: 'observe', args }),
    close: async () => {
      closed = true
      const worker = child
      if (worker === null) return
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      // It ends itself once nobody listens.
      worker.disconnect()
      await ended
    },
  }
}
