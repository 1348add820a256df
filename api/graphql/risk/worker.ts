/**
 * The process beside the server: `desk` answers questions about books until its parent is gone, `run` computes one long run and ends.
 *
 * Environment of the desk: DATABASE_URL, NETWORK, RPC_URL, RPC_BATCH.
 */
import { deserialize } from 'node:v8'
import { loadConfig } from '../../../core/config.ts'
import { BadInputError, BulwarkError } from '../../../core/errors.ts'
import { createLogger } from '../../../core/log.ts'
import { createPrisma } from '../../../prisma/client.ts'
import { curie } from '../../../protocols/curie/index.ts'
import type { RunInputs } from '../../recommendations/index.ts'
import { createChain, readParameter } from '../chain.ts'
import type { IndexedBlock } from '../context.ts'
import { makeBook } from './book.ts'
import { createDesk, faultOf, type Reply, type Request } from './desk.ts'
import { createEngine } from './engine.ts'
import { computeFund, type FundTask } from './simulate.ts'
import { computeBacktest, type BacktestTask } from './statistics.ts'
import { computeStress, type StressTask } from './stress.ts'

/** What a run computes. Plain data. */
export type RunTask = { readonly kind: 'STRESS'; readonly task: StressTask } | { readonly kind: 'FUND'; readonly task: FundTask } | { readonly kind: 'BACKTEST'; readonly task: BacktestTask }
/** `book` as a desk packed it. */
export type RunInput = { readonly book: Uint8Array; readonly task: RunTask }
/** What a run is told. Cancelled, it ends without a word; a computation that does not listen has to be ended. */
export type RunOrder = RunInput | { readonly cancel: true }
export type RunMessage = { readonly progress: number } | { readonly result: unknown } | { readonly error: { readonly code: string; readonly message: string } }

/** No more often than this, ms. */
const REPORT_EVERY_MS = 100

async function compute({ book: packed, task }: RunInput, signal: AbortSignal, report: (share: number) => void): Promise<unknown> {
  const { block, inputs } = deserialize(packed) as { block: IndexedBlock; inputs: RunInputs }
  const book = makeBook(block, inputs)
  if (task.kind === 'FUND') return computeFund(book, task.task, report)
  if (task.kind === 'BACKTEST') return computeBacktest(book, task.task)
  const engine = createEngine()
  try {
    return await computeStress(book, engine, task.task, { signal, report })
  } finally {
    await engine.close()
  }
}

function serveRun(): void {
  const stop = new AbortController()
  const send = (message: RunMessage): void => void process.send?.(message)
  const start = async (input: RunInput): Promise<void> => {
    let last = 0
    try {
      send({
        result: await compute(input, stop.signal, (progress) => {
          const now = performance.now()
          if (now - last < REPORT_EVERY_MS) return
          last = now
          send({ progress })
        }),
      })
    } catch (error) {
      if (!stop.signal.aborted) {
        if (!(error instanceof BulwarkError)) throw error
        send({ error: { code: error.code, message: error.message } })
      }
    }
    process.disconnect()
  }
  process.on('message', (order: RunOrder) => ('cancel' in order ? stop.abort() : void start(order)))
}

function serveDesk(): void {
  const config = loadConfig(['DATABASE_URL', 'NETWORK', 'RPC_URL', 'RPC_BATCH'])
  const log = createLogger('risk')
  const deployment = curie.deployments[config.NETWORK]
  if (deployment === undefined) throw new BadInputError(`Found NETWORK ${config.NETWORK}, allowed are ${Object.keys(curie.deployments).join(', ')} for ${curie.title}; set one of these`)
  const prisma = createPrisma(config.DATABASE_URL)
  const chain = createChain(config.RPC_URL, config.RPC_BATCH)
  const desk = createDesk({ prisma, protocol: curie, deployment, chainReads: (ref, block) => readParameter(chain, curie.catalog, deployment, ref, block.hash) })
  const answer = async (request: Request): Promise<Reply> => {
    const { id } = request
    try {
      // Each operation is a method of the desk by its name.
      const method = desk[request.op] as (...args: readonly unknown[]) => Promise<unknown>
      return { id, value: await method(...request.args) }
    } catch (error) {
      const fault = faultOf(error)
      if (fault === null) log.error({ err: error, op: request.op }, 'a question failed')
      return { id, fault: fault ?? { code: 'INVARIANT', message: 'A computation failed for a reason that the log names', facts: {} } }
    }
  }
  process.on('message', (request: Request) => void answer(request).then((reply) => process.connected && process.send?.(reply)))
  // Its parent is gone, however it went: nobody waits for an answer.
  process.once('disconnect', () => process.exit())
}

if (process.argv[2] === 'run') serveRun()
else serveDesk()
