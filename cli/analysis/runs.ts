/** A long run in the API's background: progress on stderr, Ctrl-C cancels it there. */
import { setTimeout as sleep } from 'node:timers/promises'
import { BulwarkError } from '../../core/errors.ts'
import type { RunState } from '../generated/analysis.ts'
import { InterruptedError } from '../graphql.ts'
import { number } from './format.ts'
import type { Ask, Io } from './io.ts'

export type Progress = { readonly id: string; readonly state: RunState; readonly progress: number; readonly errorCode: string | null; readonly error: string | null }

class RunFailedError extends BulwarkError {
  constructor(what: string, run: Progress) {
    super(run.error ?? `${what} was cancelled by somebody else (run ${run.id}); start it again`, { code: run.errorCode ?? 'RUN_CANCELLED', facts: { run: run.id } })
  }
}

const POLL_MS = 250
const ENDED: ReadonlySet<RunState> = new Set(['DONE', 'FAILED', 'CANCELLED'])

/**
 * Follows a run to its end, `poll` giving its newest state; the last answer comes back.
 * Throws InterruptedError after Ctrl-C (the run is cancelled first), RunFailedError where it ends otherwise than done.
 */
export async function follow<T>(what: string, started: Progress, poll: () => Promise<T>, progressOf: (answer: T) => Progress | null, { ask, io }: { readonly ask: Ask; readonly io: Io }): Promise<T> {
  let shown = ''
  for (;;) {
    if (io.signal.aborted) {
      await ask.still('runs', 'Cancel', { id: started.id })
      throw new InterruptedError(what)
    }
    let answer: T
    try {
      answer = await poll()
    } catch (error) {
      if (io.signal.aborted) continue
      throw error
    }
    const run = progressOf(answer)
    if (run === null) throw new BulwarkError(`The API no longer knows run ${started.id}; start it again`, { code: 'NOT_FOUND' })
    const line = run.state === 'QUEUED' ? 'waits for another run to end' : `${number(run.progress * 100)} %`
    if (line !== shown && run.state !== 'FAILED') io.err(`${what}: ${(shown = line)}\n`)
    if (run.state === 'DONE') return answer
    if (ENDED.has(run.state)) throw new RunFailedError(what, run)
    await sleep(POLL_MS, undefined, { signal: io.signal }).catch(() => {})
  }
}
