/** The console as it stands in the checkout, built once for every test that serves it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { digest } from '../../cli/build.ts'
import { PROJECT } from '../../cli/options.ts'

const INPUTS = ['console', 'console/generated', 'schema.graphql', 'vite.config.ts', 'package-lock.json']
const CACHE = join(PROJECT, '.bulwark', 'cache')
const OLD_MS = 3_600_000

/** A folder for `pagesDir`: of these very sources, whoever built it. Not console/dist, which others may be building while a test reads it. */
export async function builtPages(): Promise<string> {
  const dir = join(CACHE, `pages-${digest(INPUTS.map((input) => join(PROJECT, input))).slice(0, 16)}`)
  if (existsSync(dir)) return dir
  await mkdir(CACHE, { recursive: true })
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name)
    if (name.startsWith('pages-') && Date.now() - (await stat(path)).mtimeMs > OLD_MS) await rm(path, { recursive: true, force: true })
  }
  const own = `${dir}-${process.pid}`
  await promisify(execFile)(process.execPath, [join(PROJECT, 'node_modules/vite/bin/vite.js'), 'build', '--outDir', own, '--emptyOutDir', '--logLevel', 'error'], { cwd: PROJECT, env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' } })
  // Another may have been first: what it built is the same.
  await rename(own, dir).catch(() => rm(own, { recursive: true, force: true }))
  return dir
}
