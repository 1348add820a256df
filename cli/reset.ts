import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseRunOptions, PROJECT } from './options.ts'
import { assertNotRunning } from './lock.ts'

/** `npm run reset`: empties the state folder, caches included. Throws where something still runs on it. */
export async function reset(args: readonly string[]): Promise<void> {
  const { stateDir } = await parseRunOptions(args, { stateDir: join(PROJECT, '.bulwark'), ephemeral: false })
  assertNotRunning(stateDir)
  assertNotRunning(join(stateDir, 'demo'))
  rmSync(stateDir, { recursive: true, force: true })
  process.stdout.write(`${stateDir} is empty.\n`)
}
