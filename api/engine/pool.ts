/** Stress runs on threads over the memory of a book. */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setImmediate as breath } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { BadInputError, UnavailableError } from '../../core/errors.ts'
import { cascadeRounds, finishStress, KERNEL_ADDRESSES, kernelCall, planStress, runMakers, type AccountBook, type BookScenario, type BookStress, type CascadeOptions, type CascadeStress } from '../risk/index.ts'
import { assembleKernel } from './assemble.ts'

/** How far a run is. A cascade's rounds count their tasks anew, since nobody knows beforehand how many there will be. */
export type StressProgress = { readonly round: number; readonly done: number; readonly of: number; /** Scenarios that the round values. */ readonly scenarios: number }

export type RunOptions = {
  /** Ends the run within a few milliseconds; it then throws the signal's reason. */
  readonly signal?: AbortSignal
  /** Told at most ten times a second, and at the end of each round. */
  readonly onProgress?: (progress: StressProgress) => void
}

export type StressPool = {
  readonly threads: number
  /** Every account under every scenario: what `stressBook` answers. */
  stress(book: AccountBook, scenarios: readonly BookScenario[], options?: RunOptions): Promise<readonly BookStress[]>
  /** What `cascadeBook` answers. */
  cascade(book: AccountBook, scenarios: readonly BookScenario[], options: CascadeOptions & RunOptions): Promise<readonly CascadeStress[]>
  /** Ends the threads; runs under way are rejected. */
  close(): Promise<void>
}

const PROGRESS_MS = 100

/** What the threads are given. `control`: the next task that nobody does yet, tasks done, 1 when the run is over early. */
export type Job = {
  readonly memory: WebAssembly.Memory
  readonly control: Int32Array
  /** Arguments of the kernel, task after task, without the last. */
  readonly calls: Int32Array
  readonly tasks: number
  readonly fullBelow: number
  readonly penalty: number
}
const DONE = 1
const CANCELLED = 2

type Reply = { readonly error: string | null }

/**
 * Threads that stay, `threads` of them (as many as there are cores where left out). Runs wait for one another, and a book does not change under its run.
 *
 * A thread that dies ends its run with an UnavailableError, which may be tried again: the next run has a new one. `entry` replaces the program
 * of the threads, for tests.
 */
export async function createStressPool(options: { readonly threads?: number; readonly entry?: URL } = {}): Promise<StressPool> {
  const { threads = availableParallelism(), entry = new URL('./worker.mjs', import.meta.url) } = options
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= 256)) throw new BadInputError(`Found ${threads} threads, allowed are 1 to 256; choose one of these`)
  const module = await assembleKernel()
  const workers = new Set<Worker>()
  let closed = false
  let turn: Promise<unknown> = Promise.resolve()

  const hire = (): Worker => {
    const worker = new Worker(entry, { workerData: { module }, execArgv: [], env: {} })
    // A thread without work keeps no process alive.
    worker.unref()
    workers.add(worker)
    // Whatever ends it between runs is found when the next one needs it.
    worker.on('error', () => {})
    worker.once('exit', () => workers.delete(worker))
    return worker
  }

  /** One worker's share of a run; rejects when it dies. */
  const work = async (worker: Worker, job: Job): Promise<void> => {
    const over = new AbortController()
    worker.ref()
    worker.postMessage(job)
    const { signal } = over
    try {
      const failure = await Promise.race([
        once(worker, 'message', { signal }).then(([reply]: Reply[]) => reply?.error ?? null),
        once(worker, 'exit', { signal }).then(([code]: number[]) => `ended with code ${code}`),
      ])
      if (failure !== null) throw new UnavailableError({ part: 'a thread of the stress engine', found: failure, action: 'run it again' })
    } catch (error) {
      if (error instanceof UnavailableError) throw error
      throw new UnavailableError({ part: 'a thread of the stress engine', found: error instanceof Error ? error.message : String(error), action: 'run it again' }, error)
    } finally {
      over.abort()
      worker.unref()
    }
  }

  const round = async (book: AccountBook, scenarios: readonly BookScenario[], number: number, { signal, onProgress }: RunOptions, pushes?: Parameters<typeof planStress>[2]): Promise<readonly BookStress[]> => {
    if (closed) throw new UnavailableError({ part: 'the stress engine', found: 'it is closed', action: 'make a new one' })
    signal?.throwIfAborted()
    const plan = planStress(book, scenarios, pushes)
    book.running = true
    const control = new Int32Array(new SharedArrayBuffer(3 * 4))
    const words = KERNEL_ADDRESSES.length
    const calls = new Int32Array(new SharedArrayBuffer(plan.tasks * words * 4))
    for (let task = 0; task < plan.tasks; task++) calls.set(kernelCall(book, plan, task), task * words)
    const job: Job = { memory: book.memory, control, calls, tasks: plan.tasks, fullBelow: book.rules.fullBelow, penalty: book.rules.penalty }
    const cancel = (): void => void Atomics.store(control, CANCELLED, 1)
    signal?.addEventListener('abort', cancel)
    const tell = (): void => onProgress?.({ round: number, done: Atomics.load(control, DONE), of: plan.tasks, scenarios: scenarios.length })
    const timer = onProgress === undefined ? undefined : setInterval(tell, PROGRESS_MS)
    try {
      while (workers.size < threads) hire()
      const makers = async (): Promise<void> => {
        for (let tile = 0; tile < plan.tiles && Atomics.load(control, CANCELLED) === 0; tile++) {
          runMakers(book, plan, tile)
          // This thread has others to answer.
          if (book.makers.size > 0) await breath()
        }
      }
      const ends = await Promise.allSettled([
        ...[...workers].map(async (worker) => {
          try {
            await work(worker, job)
          } catch (error) {
            cancel()
            throw error
          }
        }),
        makers(),
      ])
      signal?.throwIfAborted()
      for (const end of ends) if (end.status === 'rejected') throw end.reason
      tell()
      return finishStress(book, plan)
    } finally {
      book.running = false
      clearInterval(timer)
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** One run after another, each with the book to itself. */
  const inTurn = <T>(book: AccountBook, run: () => Promise<T>): Promise<T> => {
    book.readers++
    const mine = turn.then(run).finally(() => void book.readers--)
    turn = mine.catch(() => {})
    return mine
  }

  return {
    threads,
    stress: (book, scenarios, run = {}) => inTurn(book, () => round(book, scenarios, 1, run)),
    cascade: (book, scenarios, { persistence, maxRounds, ...run }) =>
      inTurn(book, async () => {
        const rounds = cascadeRounds(book, scenarios, maxRounds === undefined ? { persistence } : { persistence, maxRounds })
        let step = rounds.next()
        for (let number = 1; step.done !== true; number++) step = rounds.next(await round(book, step.value.scenarios, number, run, step.value.pushes))
        return step.value
      }),
    close: async () => {
      closed = true
      await Promise.all([...workers].map((worker) => worker.terminate()))
    },
  }
}
