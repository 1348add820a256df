import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BulwarkError } from '../core/errors.ts'
import { isRunning } from './services/orphans.ts'

class AlreadyRunningError extends BulwarkError {
  constructor(facts: { stateDir: string; pid: number }) {
    super(`Found process ${facts.pid} running on ${facts.stateDir}, allowed is one at a time; stop it (Ctrl-C in its terminal) or give another --state-dir`, {
      code: 'ALREADY_RUNNING',
      facts,
    })
  }
}

/** Throws AlreadyRunningError where a supervisor holds the state folder. */
export function assertNotRunning(stateDir: string): void {
  const file = join(stateDir, 'supervisor.pid')
  if (!existsSync(file)) return
  const pid = Number(readFileSync(file, 'utf8'))
  if (pid !== process.pid && isRunning(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('cli/main.ts')) {
    throw new AlreadyRunningError({ stateDir, pid })
  }
}
