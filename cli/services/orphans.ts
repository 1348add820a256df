import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whether the process runs (a zombie counts as gone). */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** The process's command line, word by word; empty where there is no such process. */
export function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** Programs that a run consists of: only these are ever ended. */
const PROGRAMS = ['node', 'postgres', 'gnd', 'anvil'] as const

/**
 * Running processes of ours, this one excepted: one of `programs`, with `folder` itself, or one of `below` or a path in it, as a word
 * of its command line. Each part and each server carries its folder there, so that a reused pid or a stranger's process is
 * never taken for one.
 */
export function processesOn(folder: string, below: readonly string[], programs: readonly (typeof PROGRAMS)[number][] = PROGRAMS): number[] {
  const isOn = (word: string): boolean => word === folder || below.some((inner) => word === inner || word.startsWith(`${inner}/`))
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isRunning(pid))
    .filter((pid) => {
      const [program, ...words] = commandLineOf(pid)
      return program !== undefined && (programs as readonly string[]).includes(basename(program)) && words.some(isOn)
    })
}

/** Lets the processes end by themselves for `patienceMs`, then asks them (SIGINT), then kills them. */
export async function endProcesses(pids: readonly number[], patienceMs: number): Promise<void> {
  const gone = async (waitMs: number): Promise<boolean> => {
    for (let waited = 0; pids.some(isRunning); waited += 50) {
      if (waited >= waitMs) return false
      await sleep(50)
    }
    return true
  }
  const signal = (name: 'SIGINT' | 'SIGKILL'): void => {
    for (const pid of pids.filter(isRunning)) process.kill(pid, name)
  }
  if (await gone(patienceMs)) return
  signal('SIGINT')
  if (await gone(10_000)) return
  signal('SIGKILL')
  await gone(2_000)
}
