import { join } from 'node:path'
import { assertNotRunning, emptyState } from './lock.ts'
import { parseRunOptions, PROJECT } from './options.ts'

/** `npm run reset`: empties the state folder of the devnet, caches included, or of `--network`. Throws where something still runs on it. */
export async function reset(args: readonly string[]): Promise<void> {
  const { stateDir } = await parseRunOptions(args, { stateDir: join(PROJECT, '.bulwark'), ephemeral: false, stateOnly: true })
  assertNotRunning(join(stateDir, 'demo'))
  await emptyState(stateDir)
  process.stdout.write(`${stateDir} is empty.\n`)
}
