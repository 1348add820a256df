/** One long run in a process of its own, told over its channel what to run: the server goes on answering, and to cancel is to end the process. */
import { BulwarkError } from '../../../core/errors.ts'
import type { RunInputs } from '../../recommendations/index.ts'
import type { IndexedBlock } from '../context.ts'
import { makeBook } from './book.ts'
import type { Timing } from './measure.ts'
import { computeFund, type FundTask } from './simulate.ts'
import { computeBacktest, type BacktestTask } from './statistics.ts'
import { runStress, stressAnswer, type Asked, type StressRow } from './stress.ts'

/** What a run computes. Plain data. */
export type RunTask = { readonly kind: 'STRESS'; readonly asked: readonly Asked[]; readonly worst: number; readonly args: unknown } | { readonly kind: 'FUND'; readonly task: FundTask } | { readonly kind: 'BACKTEST'; readonly task: BacktestTask }
export type WorkerInput = { readonly block: IndexedBlock; readonly inputs: RunInputs; readonly timing: Timing; readonly task: RunTask }
export type WorkerMessage = { readonly progress: number } | { readonly result: unknown } | { readonly error: { readonly code: string; readonly message: string } }

/** No more often than this, ms. */
const REPORT_EVERY_MS = 100

function run({ block, inputs, timing, task }: WorkerInput, report: (share: number) => void): unknown {
  const book = makeBook(block, inputs, timing)
  if (task.kind === 'FUND') return computeFund(book, task.task, report)
  if (task.kind === 'BACKTEST') return computeBacktest(book, task.task)
  const accounts = book.stressAccounts()
  const rows: StressRow[] = []
  for (const { scenario } of task.asked) {
    rows.push(runStress(book, accounts, scenario, task.worst))
    report(rows.length / task.asked.length)
  }
  return stressAnswer(book, task.asked, rows, task.args)
}

const send = (message: WorkerMessage): void => void process.send?.(message)

process.once('message', (input) => {
  let last = 0
  try {
    const result = run(input as WorkerInput, (progress) => {
      const now = performance.now()
      if (now - last < REPORT_EVERY_MS) return
      last = now
      send({ progress })
    })
    send({ result })
  } catch (error) {
    if (!(error instanceof BulwarkError)) throw error
    send({ error: { code: error.code, message: error.message } })
  }
  process.disconnect?.()
})
