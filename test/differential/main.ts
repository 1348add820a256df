/**
 * `npm run differential -- [--blocks 50] [--seed 1] [--history default|quirks] [--history-seed 1] [--json]`: at random blocks of a devnet
 * history, what our own code computes from the indexed facts alone against what the contracts answer at that block.
 * Exit code 0 only where every figure agrees.
 */
import { parseArgs } from 'node:util'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { HISTORIES, run, type Report } from './run.ts'

/** Mismatches of each figure that are shown. */
const SHOWN = 2

function readOptions(): { blocks: number; seed: number; history: keyof typeof HISTORIES; historySeed: number; cacheDir: string; json: boolean } {
  const { values } = parseArgs({
    options: {
      blocks: { type: 'string', default: '50' },
      seed: { type: 'string', default: '1' },
      history: { type: 'string', default: 'default' },
      'history-seed': { type: 'string', default: '1' },
      'cache-dir': { type: 'string', default: '.bulwark/cache' },
      json: { type: 'boolean', default: false },
    },
  })
  const whole = (name: 'blocks' | 'seed' | 'history-seed', least: number): number => {
    const value = Number(values[name])
    if (!Number.isSafeInteger(value) || value < least) throw new BadInputError(`Found --${name} ${values[name]}, allowed is a whole number from ${least}; correct it`)
    return value
  }
  const history = values.history
  if (history !== 'default' && history !== 'quirks') throw new BadInputError(`Found --history ${history}, allowed are ${Object.keys(HISTORIES).join(', ')}; take one of these`)
  return { blocks: whole('blocks', 1), seed: whole('seed', 0), history, historySeed: whole('history-seed', 0), cacheDir: values['cache-dir'], json: values.json }
}

function table(report: Report): string {
  const fields = Object.entries(report.byField).toSorted(([, a], [, b]) => b.mismatches - a.mismatches)
  const width = Math.max(...fields.map(([name]) => name.length))
  const line = (name: string, cells: readonly string[]): string => `${name.padEnd(width)}  ${cells.map((cell) => cell.padStart(12)).join('  ')}`
  return [
    `${report.blocks} blocks of the history \`${report.history}\` (seed ${report.seed}), ${report.accounts} accounts: ${report.comparisons} figures compared, ${report.mismatches} do not agree`,
    '',
    line('figure', ['compared', 'agree', 'equal', 'refused', 'max wei', 'max relative']),
    ...fields.map(([name, f]) => line(name, [String(f.comparisons), String(f.comparisons - f.mismatches), String(f.exact), String(f.reverts), f.maxAbsWei.length > 12 ? Number(f.maxAbsWei).toExponential(3) : f.maxAbsWei, f.maxRelative.toExponential(1)])),
    ...(report.firstMismatches.length === 0 ? [] : ['', 'the first of each figure that do not agree:']),
    ...report.firstMismatches.map((m) => `  block ${m.block}  ${m.field}  ${m.subject}\n    ours   ${m.ours}\n    theirs ${m.theirs}`),
    '',
    `seconds: ${Object.entries(report.seconds).map(([step, sec]) => `${step} ${sec}`).join(', ')}`,
    '',
  ].join('\n')
}

// An exit, and not a death, so that what was started is ended.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  const options = readOptions()
  const report = await run({ ...options, shown: SHOWN, log: (line) => process.stderr.write(`${line}\n`) })
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : table(report))
  process.exitCode = report.mismatches === 0 ? 0 : 1
} catch (error) {
  if (!(error instanceof BulwarkError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
