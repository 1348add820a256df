/** Long runs: each in a process of its own, one after the other, with its progress and result in the database. */
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { BadInputError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/log.ts'
import type { Prisma, PrismaClient } from '../../../prisma/client.ts'
import type { RiskRun } from '../../../prisma/generated/client.ts'
import { canonicalJson, CODE_VERSION, DEFAULT_POLICY, digestOf } from '../../recommendations/index.ts'
import { pruneRuns, simulationAt, simulationBy } from '../../recommendations/gather.ts'
import type { SimulatedShortfall } from '../../risk/index.ts'
import type { Context, IndexedBlock } from '../context.ts'
import type { Maybe, MutationStartRiskRunArgs, QueryRiskRunsArgs, RiskRunInput, RunKind, RunState } from '../generated/resolvers.ts'
import type { Db } from '../model.ts'
import { checkFirst } from '../paging.ts'
import { UserInputError, type Answer } from './answer.ts'
import type { RiskBook } from './book.ts'
import { forkWorker } from './desk.ts'
import { nodeOf } from './liquidations.ts'
import { simulationAnswer, type StoredSimulation } from './reserves.ts'
import { fundTask } from './simulate.ts'
import { backtestTask } from './statistics.ts'
import { stressTask } from './stress.ts'
import type { RunInput, RunMessage, RunOrder, RunTask } from './worker.ts'

export type RiskRuns = {
  /** Gives back a run of the same task over the same inputs that is under way or done; else starts one. */
  start(book: RiskBook, task: RunTask): Promise<RiskRun>
  cancel(id: string): Promise<RiskRun>
  /**
   * The newest finished simulation of the policy's own at or before a block, which recommendations stand on as well; null before the first.
   * With `id` the one of that run. It stands on the chain that the mirror stands on. Throws UserInputError for an id of no such run.
   */
  simulation(context: Context, block: IndexedBlock, id?: string | null): Promise<StoredSimulation | null>
  /** Ends what is under way; resolves when its rows say so. */
  stop(): Promise<void>
}

const KEEP = 200
/** Rows of a process that wrote none of them for this long are of one that is gone, ms. */
const LOST_AFTER_MS = 60_000
const BEAT_MS = 10_000
const MAX_QUEUED = 20
const SAVE_EVERY_MS = 250
/** A computation that does not hear that it is cancelled is ended after this long, ms. */
const GRACE_MS = 1_000

const asJson = (value: unknown): Prisma.InputJsonValue => JSON.parse(canonicalJson(JSON.parse(JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))))) as Prisma.InputJsonValue

/** `changed` hears the id of each run whose row has changed. */
export function createRuns({ prisma, log, changed = () => {} }: { readonly prisma: PrismaClient; readonly log: Logger; readonly changed?: (id: string) => void }): RiskRuns {
  const queue: { readonly id: string; readonly input: RunInput }[] = []
  let current: { readonly id: string; readonly worker: ChildProcess; readonly ended: Promise<void> } | null = null
  let stopped = false

  const write = async (id: string, data: Prisma.RiskRunUpdateManyMutationInput, from: readonly string[] = ['QUEUED', 'RUNNING']): Promise<boolean> => {
    const { count } = await prisma.riskRun.updateMany({ where: { id, state: { in: [...from] } }, data: { ...data, updatedAt: new Date() } })
    if (count > 0) changed(id)
    return count > 0
  }
  const beat = setInterval(() => {
    const own = [...queue.map(({ id }) => id), ...(current === null ? [] : [current.id])]
    if (own.length > 0) prisma.riskRun.updateMany({ where: { id: { in: own } }, data: { updatedAt: new Date() } }).catch((error: unknown) => log.debug({ err: error }, 'runs could not be kept alive'))
  }, BEAT_MS)
  beat.unref()

  const startNext = (): void => {
    if (current !== null || stopped) return
    const job = queue.shift()
    if (job === undefined) return
    const worker = forkWorker('run')
    const ended = execute(job.id, worker, job.input).catch((error: unknown) => log.error({ err: error, run: job.id }, 'a run could not be written'))
    current = { id: job.id, worker, ended }
    void ended.then(() => {
      current = null
      startNext()
    })
  }

  /** Tells a run that it is over, and ends it where it does not listen. */
  const end = (worker: ChildProcess): void => {
    if (worker.connected) worker.send({ cancel: true } satisfies RunOrder, () => {})
    const timer = setTimeout(() => worker.kill('SIGKILL'), GRACE_MS)
    worker.once('exit', () => clearTimeout(timer))
  }

  async function execute(id: string, worker: ChildProcess, input: RunInput): Promise<void> {
    let outcome: RunMessage | null = null
    let saving: Promise<unknown> = Promise.resolve()
    let savedAt = 0
    worker.on('message', (sent) => {
      const message = sent as RunMessage
      if (!('progress' in message)) outcome = message
      else if (performance.now() - savedAt > SAVE_EVERY_MS) {
        savedAt = performance.now()
        // A row that is no longer RUNNING was cancelled, maybe by another process.
        saving = saving.then(async () => (await write(id, { progress: message.progress })) || end(worker)).catch(() => {})
      }
    })
    let fault: unknown = null
    worker.once('error', (error) => (fault = error))
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()).once('error', () => resolve()))
    if (await write(id, { state: 'RUNNING' })) worker.send(input satisfies RunOrder, (error) => (fault ??= error))
    else worker.kill('SIGKILL')
    await exited
    await saving
    const finishedAt = new Date()
    const message = outcome as RunMessage | null
    if (message !== null && 'result' in message) await write(id, { state: 'DONE', progress: 1, result: asJson(message.result), finishedAt })
    else if (message !== null && 'error' in message) await write(id, { state: 'FAILED', errorCode: message.error.code, error: message.error.message, finishedAt })
    else {
      if (fault !== null) log.error({ err: fault, run: id }, 'a run failed')
      await write(id, { state: stopped ? 'CANCELLED' : 'FAILED', errorCode: stopped ? null : 'INTERNAL', error: stopped ? null : 'Found a fault of ours, which the log names under this run’s id; tell who runs this server', finishedAt })
    }
  }

  return {
    start: async (book, task) => {
      const key = digestOf({ task: JSON.parse(JSON.stringify(task)) as unknown, inputs: book.digest, code: CODE_VERSION })
      await prisma.riskRun.updateMany({ where: { state: { in: ['QUEUED', 'RUNNING'] }, updatedAt: { lt: new Date(Date.now() - LOST_AFTER_MS) } }, data: { state: 'FAILED', errorCode: 'LOST', error: 'Found its process gone before it ended; start it again', finishedAt: new Date() } })
      const known = await prisma.riskRun.findFirst({ where: { key, state: { in: ['QUEUED', 'RUNNING', 'DONE'] } }, orderBy: { startedAt: 'desc' } })
      if (known !== null) return known
      if (queue.length >= MAX_QUEUED) throw new BadInputError(`Found ${queue.length} runs waiting, allowed are ${MAX_QUEUED}; wait for some, or cancel them`, { queued: queue.length })
      const input = { book: await book.pack(), task }
      const { block } = book
      const row = await prisma.riskRun.create({ data: { id: randomUUID(), kind: task.kind, key, arguments: asJson(task), blockNumber: block.number, blockHash: block.hash, blockTimestamp: block.timestamp, inputsDigest: book.digest, state: 'QUEUED' } })
      await pruneRuns(prisma, KEEP, DEFAULT_POLICY)
      queue.push({ id: row.id, input })
      changed(row.id)
      startNext()
      return row
    },
    cancel: async (id) => {
      await write(id, { state: 'CANCELLED', finishedAt: new Date() })
      const place = queue.findIndex((job) => job.id === id)
      if (place >= 0) queue.splice(place, 1)
      if (current?.id === id) end(current.worker)
      const row = await prisma.riskRun.findUnique({ where: { id } })
      if (row === null) throw new BadInputError(`Found no run ${id.slice(0, 60)}, allowed is one that was started; see riskRuns`, { field: 'id' })
      return row
    },
    simulation: async (context, block, id = null) => {
      const db = await context.db()
      const row = id === null ? await simulationAt(db, block, DEFAULT_POLICY) : await simulationBy(db, id, block)
      if (id !== null && row === null) throw new UserInputError(`simulation: found "${id.slice(0, 60)}", allowed is the id of a FUND run that is DONE at or before block ${block.number} and stands on this chain; see riskRuns(kind: FUND)`, 'simulation')
      return row === null || row.state !== 'DONE' || row.result === null ? null : { id: row.id, block: blockOf(row), result: row.result }
    },
    stop: async () => {
      stopped = true
      clearInterval(beat)
      for (const { id } of queue.splice(0)) await write(id, { state: 'CANCELLED', finishedAt: new Date() })
      current?.worker.kill('SIGKILL')
      await current?.ended
    },
  }
}

const blockOf = (row: Pick<RiskRun, 'blockNumber' | 'blockHash' | 'blockTimestamp'>): IndexedBlock => ({ number: row.blockNumber, hash: row.blockHash, timestamp: row.blockTimestamp })

/** The one task that an input names. Throws UserInputError. */
async function taskOf(context: Context, book: RiskBook, input: RiskRunInput): Promise<RunTask> {
  const { stress, fund, backtest } = input
  const given = [stress, fund, backtest].filter((one) => one != null).length
  if (given !== 1) throw new UserInputError(`input: found ${given} of stress, fund and backtest, allowed is exactly one; start several runs`, 'input')
  if (stress != null) return { kind: 'STRESS', task: stressTask(book, stress, 'input.stress') }
  if (fund != null) return { kind: 'FUND', task: fundTask(fund, 'input.fund') }
  return { kind: 'BACKTEST', task: await backtestTask(context, book, backtest as NonNullable<typeof backtest>, 'input.backtest') }
}

export async function startRun(_: unknown, { input }: MutationStartRiskRunArgs, context: Context): Promise<RiskRun> {
  const book = await context.riskBook()
  if (book === null) throw new UserInputError('input: found no indexed block yet, needed is one to run over; wait for the first', 'input')
  return context.risk.runs.start(book, await taskOf(context, book, input))
}

export async function runsList(_: unknown, args: Partial<QueryRiskRunsArgs>, context: Context): Promise<RiskRun[]> {
  return (await context.db()).riskRun.findMany({ where: args.kind == null ? {} : { kind: args.kind }, orderBy: { startedAt: 'desc' }, take: checkFirst(args.first ?? 20) })
}

/** Of the database now: progress is not a figure of a block. */
export const runById = (db: Pick<Db, 'riskRun'>, id: string): Promise<RiskRun | null> => db.riskRun.findUnique({ where: { id } })

export const runFields = {
  kind: (row: RiskRun) => row.kind as RunKind,
  state: (row: RiskRun) => row.state as RunState,
  block: blockOf,
  input: (row: RiskRun): unknown => {
    const { kind, task } = row.arguments as unknown as RunTask
    return kind === 'STRESS' ? ((task.args as { input?: unknown } | null)?.input ?? null) : task
  },
  startedAt: (row: RiskRun) => row.startedAt.toISOString(),
  finishedAt: (row: RiskRun) => row.finishedAt?.toISOString() ?? null,
  stress: (row: RiskRun): Maybe<Answer<'StressTest'>> => {
    if (row.kind !== 'STRESS' || row.result === null) return null
    const result = row.result as unknown as Answer<'StressTest'>
    return { ...result, provenance: { ...result.provenance, block: blockOf(row) } }
  },
  fund: (row: RiskRun): Maybe<Answer<'FundSimulation'>> => (row.kind === 'FUND' && row.result !== null ? simulationAnswer({ id: row.id, block: blockOf(row), result: row.result as unknown as SimulatedShortfall }) : null),
  backtest: async (row: RiskRun, _: unknown, context: Context): Promise<Maybe<Answer<'Backtest'>>> => {
    if (row.kind !== 'BACKTEST' || row.result === null) return null
    const result = row.result as unknown as Omit<Answer<'Backtest'>, 'market'>
    const { market } = (row.arguments as unknown as { task: { market: string } }).task
    return { ...result, market: await nodeOf(context, market), sample: { ...result.sample, from: BigInt(result.sample.from), to: BigInt(result.sample.to) }, provenance: { ...result.provenance, block: blockOf(row) } }
  },
}
