import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync, writeFileSync, existsSync } from 'node:fs'
import { join, sep } from 'node:path'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import { NETWORKS_DIR, PROJECT } from './options.ts'
import { commandLineOf, endProcesses, isRunning, processesOn } from './services/orphans.ts'

/** Names a folder as a state folder of ours: nothing without it is ever emptied. */
const MARK = 'bulwark.json'
const LOCK = 'supervisor.pid'
/** Parts of a supervisor that was killed end by themselves within this time. */
const LEFT_PARTS_MS = 10_000

/** The servers' folders in a state folder. The caches beside them belong to every run, and another run may lie beside them too. */
const SERVERS = ['postgres', 'graph-node', 'devnet']
const leftOn = (stateDir: string): number[] => processesOn(stateDir, SERVERS.map((name) => join(stateDir, name)))

class AlreadyRunningError extends BulwarkError {
  constructor(facts: { stateDir: string; pid: number }) {
    super(`Found process ${facts.pid} running on ${facts.stateDir}, allowed is one at a time; stop it (Ctrl-C in its terminal) or give another --state-dir`, {
      code: 'ALREADY_RUNNING',
      facts,
    })
  }
}

/** The supervisor that holds the state folder, or null. */
function holder(stateDir: string): number | null {
  let pid: number
  try {
    pid = Number(readFileSync(join(stateDir, LOCK), 'utf8'))
  } catch {
    return null
  }
  return pid !== process.pid && isRunning(pid) && commandLineOf(pid).some((word) => word.endsWith(join('cli', 'main.ts'))) ? pid : null
}

/** Throws AlreadyRunningError where a supervisor holds the state folder. */
export function assertNotRunning(stateDir: string): void {
  const pid = holder(stateDir)
  if (pid !== null) throw new AlreadyRunningError({ stateDir, pid })
}

/** The network whose state the folder holds; null where it holds none. */
function networkOf(stateDir: string): string | null {
  if (!SERVERS.some((name) => existsSync(join(stateDir, name)))) return null
  try {
    return (JSON.parse(readFileSync(join(stateDir, MARK), 'utf8')) as { network?: string }).network ?? 'devnet'
  } catch {
    return null
  }
}

/**
 * Takes the state folder for this process, and ends what a killed supervisor left on it.
 * Throws AlreadyRunningError, or BadInputError where the folder cannot be made or written, or holds another network's state.
 */
export async function takeState(stateDir: string, network = 'devnet'): Promise<{ release(): void }> {
  assertNotRunning(stateDir)
  const lock = join(stateDir, LOCK)
  const held = networkOf(stateDir)
  if (held !== null && held !== network) {
    throw new BadInputError(`Found the state of ${held} in ${stateDir}, allowed is that of ${network} or an empty folder; give another --state-dir`, { stateDir })
  }
  try {
    mkdirSync(stateDir, { recursive: true })
    writeFileSync(join(stateDir, MARK), `${JSON.stringify({ folder: 'state of a Bulwark run; npm run reset empties it', network })}\n`)
    rmSync(lock, { force: true })
    // Exclusive: of two that start at the same moment, one gets it.
    const file = openSync(lock, 'wx')
    writeSync(file, String(process.pid))
    closeSync(file)
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST' && holder(stateDir) !== null) assertNotRunning(stateDir)
    throw new BadInputError(`Found state folder ${stateDir} not to be written (${(error as { code?: string }).code ?? String(error)}), allowed is a folder of your own; give another --state-dir`, { stateDir })
  }
  await endProcesses(leftOn(stateDir), LEFT_PARTS_MS)
  return { release: () => rmSync(lock, { force: true }) }
}

/**
 * Removes a state folder, but for other networks' states in it, which may be days of work. Throws AlreadyRunningError while something runs on it, and BadInputError for a folder that is not ours:
 * one that holds the project or the working directory, or that no run has marked.
 */
export async function emptyState(stateDir: string): Promise<void> {
  assertNotRunning(stateDir)
  if (!existsSync(stateDir)) return
  const holds = (path: string): boolean => path === stateDir || path.startsWith(stateDir.endsWith(sep) ? stateDir : stateDir + sep)
  const ours = existsSync(join(stateDir, MARK)) || stateDir === join(PROJECT, '.bulwark')
  if (holds(PROJECT) || holds(process.cwd()) || !(ours || readdirSync(stateDir).length === 0)) {
    throw new BadInputError(`Found ${stateDir}, which is no state folder of a run, allowed is one that npm start or npm run demo made; nothing was removed, give another --state-dir`, { stateDir })
  }
  await endProcesses(leftOn(stateDir), LEFT_PARTS_MS)
  const kept = existsSync(join(stateDir, NETWORKS_DIR))
  if (!kept) rmSync(stateDir, { recursive: true, force: true })
  else for (const name of readdirSync(stateDir)) if (name !== NETWORKS_DIR) rmSync(join(stateDir, name), { recursive: true, force: true })
}
