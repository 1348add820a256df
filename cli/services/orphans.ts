import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether the process runs (a zombie counts as gone). */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/**
 * Ends a process that an earlier run left behind: SIGINT, then SIGKILL after 10 s.
 * It is touched only if its command line holds `mark`, so that a reused pid of somebody else's process is safe.
 */
export async function endOrphan(pid: number, mark: string): Promise<boolean> {
  let commandLine: string
  try {
    commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return false
  }
  if (!commandLine.includes(mark)) return false
  process.kill(pid, 'SIGINT')
  for (let waited = 0; waited < 100; waited++) {
    if (!isRunning(pid)) return true
    await sleep(100)
  }
  process.kill(pid, 'SIGKILL')
  return true
}
