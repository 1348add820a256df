/**
 * `npm run chaos -- --kills 20 --reorgs 20 --json`: kills, reorgs and faults over a real chain, graph-node, PostgreSQL and
 * follower, then every table against a clean run. Exit code 1 where a row differs or the deployment changed
 * (which it may with --forgetful).
 */
import { randomInt } from 'node:crypto'
import { join, resolve } from 'node:path'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { runChaos } from './run.ts'

const USAGE = 'usage: npm run chaos -- [--kills N] [--reorgs N] [--seed N] [--days N] [--port N] [--work-dir DIR] [--cache-dir DIR] [--forgetful] [--json]'

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0 && value <= max) return value
  throw new BadInputError(`Found --${name} ${text}, allowed are whole numbers from 0 to ${max}; ${USAGE}`)
}

const stop = new AbortController()
try {
  let values
  try {
    values = parseArgs({
      options: {
        kills: { type: 'string', default: '20' },
        reorgs: { type: 'string', default: '20' },
        seed: { type: 'string', default: String(randomInt(2 ** 31)) },
        days: { type: 'string', default: '0.5' },
        port: { type: 'string', default: '14200' },
        'work-dir': { type: 'string', default: join(tmpdir(), 'bulwark-chaos') },
        'cache-dir': { type: 'string', default: '.bulwark/cache' },
        forgetful: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    }).values
  } catch (cause) {
    throw new BadInputError(`${cause instanceof Error ? cause.message : String(cause)}; ${USAGE}`)
  }
  const days = Number(values.days)
  if (!(days >= 0.1 && days <= 365)) throw new BadInputError(`Found --days ${values.days}, allowed are 0.1 to 365; ${USAGE}`)
  const seed = wholeNumber('seed', values.seed, 2 ** 31 - 1)
  process.stderr.write(`seed ${seed}\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const report = await runChaos({
    signal: stop.signal,
    kills: wholeNumber('kills', values.kills, 1_000),
    reorgs: wholeNumber('reorgs', values.reorgs, 1_000),
    seed,
    days,
    port: wholeNumber('port', values.port, 65_000),
    workDir: resolve(values['work-dir']),
    cacheDir: resolve(values['cache-dir']),
    forgetful: values.forgetful,
    log: (line) => process.stderr.write(`${line}\n`),
  })
  const { examples, ...shown } = report
  for (const example of examples) process.stderr.write(`${example}\n`)
  process.stdout.write(values.json ? `${JSON.stringify(shown)}\n` : `${Object.entries(shown).map(([name, value]) => `${name.padEnd(18)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}\n`).join('')}`)
  process.exitCode = report.mismatchedRows === 0 && report.mismatchedBuckets === 0 && (report.sameDeployment || values.forgetful) ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof BulwarkError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exitCode = 1
}
// What was under way when it was interrupted is not waited for.
if (stop.signal.aborted) process.exit(1)
