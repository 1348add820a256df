/**
 * `npx tsx prisma/generate.ts`: generates the Prisma client into prisma/generated, unless the one that stands there
 * came from the same schema and the same version of Prisma.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BulwarkError } from '../core/errors.ts'

const here = dirname(fileURLToPath(import.meta.url))
const schemaDir = join(here, 'schema')
const outputDir = join(here, 'generated')
const stampFile = join(outputDir, '.schema-hash')
const require = createRequire(import.meta.url)

/** SHA-256 of all schema files and of the generator's version. */
function schemaHash(): string {
  const hash = createHash('sha256')
  hash.update((require('prisma/package.json') as { version: string }).version)
  for (const file of readdirSync(schemaDir).filter((name) => name.endsWith('.prisma')).toSorted()) {
    hash.update(file).update(readFileSync(join(schemaDir, file)))
  }
  return hash.digest('hex')
}

/** Returns true where a client was generated, false where the present one is current. Throws BulwarkError with Prisma's own words. */
export function generateClient(): boolean {
  const hash = schemaHash()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return false
  // Prisma wants a schema engine binary to exist, but does not run it to generate: any executable will do, and nothing is downloaded.
  const run = spawnSync(process.execPath, [require.resolve('prisma/build/index.js'), 'generate', '--schema', schemaDir], {
    cwd: dirname(here),
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1', NO_COLOR: '1' },
    encoding: 'utf8',
  })
  if (run.status !== 0) {
    throw new BulwarkError(`Prisma refused prisma/schema, a valid schema is needed to generate the client; correct what it names: ${run.stderr || run.stdout}`, { code: 'PRISMA_GENERATE' })
  }
  writeFileSync(stampFile, hash)
  return true
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(generateClient() ? 'Prisma client generated\n' : 'Prisma client is current\n')
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
