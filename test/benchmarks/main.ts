/** `npm run bench -- indexing|mirror|stress|recommend|reading [--json]`: see README.md in this folder. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { PROJECT } from '../../cli/options.ts'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { stepsText } from '../console/reading.ts'
import { benchIndexing, type IndexingResult } from './indexing.ts'
import type { LatencySummary } from './latency.ts'
import { benchMirror, type MirrorResult } from './mirror.ts'
import { readable, table } from './report.ts'
import { benchReading, type ReadingResult } from './reading.ts'
import { benchRecommend, type RecommendResult } from './recommend.ts'
import { benchStress, type StressResult } from './stress.ts'

const USAGE = 'usage: npm run bench -- indexing [--json] [--long] [--sizes 10000,50000] [--rounds 3], npm run bench -- mirror [--json] [--long], npm run bench -- stress [--json] [--sizes 250000] [--scenarios 1000] [--rounds 5], npm run bench -- recommend [--json] [--rounds 10], or npm run bench -- reading [--json]'

function whole(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new BadInputError(`Found --${name} ${text}, allowed are whole numbers from 1; ${USAGE}`)
  return value
}

async function main(): Promise<void> {
  let parsed
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, long: { type: 'boolean', default: false }, sizes: { type: 'string' }, scenarios: { type: 'string' }, rounds: { type: 'string' } },
    })
  } catch (error) {
    throw new BadInputError(`${(error as Error).message}; ${USAGE}`)
  }
  const { values, positionals } = parsed
  const what = positionals[0]
  const cacheDir = join(PROJECT, '.bulwark', 'cache')
  const dir = await mkdtemp(join(tmpdir(), 'bulwark-bench-'))
  // PostgreSQL refuses to run as root, and the user that it runs as instead must be able to enter.
  await chmod(dir, 0o755)
  const startedMs = performance.now()
  const progress = (text: string): void => void process.stderr.write(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(5)} s  ${text}\n`)
  const machine = { cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown', memoryGiB: Math.round(totalmem() / 2 ** 30), node: process.version, platform: `${process.platform}-${process.arch}` }
  try {
    if (what === 'indexing') {
      const sizes = values.sizes?.split(',').map((text) => whole('sizes', text)) ?? (values.long ? [10_000, 50_000, 200_000] : [10_000, 50_000])
      const result = await benchIndexing({ sizes: sizes.toSorted((a, b) => a - b), rounds: whole('rounds', values.rounds ?? '3'), dir, cacheDir, progress })
      process.stdout.write(values.json ? `${JSON.stringify({ ...result, machine, seconds: (performance.now() - startedMs) / 1_000 })}\n` : `${indexingText(result)}\n${machineText(machine)}\n`)
    } else if (what === 'mirror') {
      const result = await benchMirror({
        events: whole('sizes', values.sizes ?? '50000'), books: [10_000, 50_000, 200_000], rounds: whole('rounds', values.rounds ?? '5'), blocks: 60, quietBlocks: values.long ? 5 : 2, dir, cacheDir, progress,
      })
      process.stdout.write(values.json ? `${JSON.stringify({ ...result, machine, seconds: (performance.now() - startedMs) / 1_000 })}\n` : `${mirrorText(result)}\n${machineText(machine)}\n`)
    } else if (what === 'stress') {
      const result = await benchStress({ accounts: whole('sizes', values.sizes ?? '250000'), scenarios: whole('scenarios', values.scenarios ?? '1000'), rounds: whole('rounds', values.rounds ?? '5'), progress })
      process.stdout.write(values.json ? `${JSON.stringify({ ...result, machine })}\n` : `${stressText(result)}\n${machineText(machine)}\n`)
    } else if (what === 'recommend') {
      const rounds = whole('rounds', values.rounds ?? '10')
      const result = await benchRecommend({ blocks: rounds, rounds, dir, progress })
      process.stdout.write(values.json ? `${JSON.stringify({ ...result, machine })}\n` : `${recommendText(result)}\n${machineText(machine)}\n`)
    } else if (what === 'reading') {
      const result = await benchReading({ progress })
      process.stdout.write(values.json ? `${JSON.stringify({ ...result, machine })}\n` : `${readingText(result)}\n${machineText(machine)}\n`)
    } else throw new BadInputError(`Found ${what === undefined ? 'no benchmark' : `the benchmark "${what}"`}, allowed are indexing, mirror, stress, recommend and reading; ${USAGE}`)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const machineText = ({ cores, cpu, memoryGiB, node, platform }: { cores: number; cpu: string; memoryGiB: number; node: string; platform: string }): string =>
  `${cores} cores (${cpu}), ${memoryGiB} GiB, Node ${node}, ${platform}`

const recommendText = (r: RecommendResult): string =>
  table(
    ['blocks', 'accounts', 'recommendations', 'input kB', 'stored p50 ms', 'stored max ms', 'gather ms', 'models ms', 'digest ms'],
    [[r.blocks, r.accounts, r.recommendations, readable(r.inputBytes / 1_000), ...[r.storedP50Ms, r.storedMaxMs, r.gatherMs, r.modelsMs, r.digestMs].map((ms) => ms.toFixed(0))]],
  )

function readingText({ accounts, overview, newBlockMs, steps }: ReadingResult): string {
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
  return [
    `${accounts} accounts`,
    table(
      ['the overview, s', 'first paint', 'all figures'],
      [
        ...overview.map(({ paintMs, filledMs }, i) => [i === 0 ? 'first visit after the start' : 'second', seconds(paintMs), seconds(filledMs)]),
        [`open, at a new block (${newBlockMs.length})`, '', newBlockMs.map(seconds).join(', ')],
      ],
    ),
    '',
    stepsText(steps),
  ].join('\n')
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

function indexingText({ sizes, growth, handlers, sections, rowsByTable }: IndexingResult): string {
  return [
    table(
      ['events', 'blocks', 'events/block', 'rows/event', 'floor rows/event', 'ours events/s', 'floor events/s', 'bare events/s', 'ratio', 'ours ms/event', 'growth'],
      sizes.map((size, i) => [
        size.events, size.blocks, readable(size.eventsPerBlock), readable(size.rowsPerEvent), readable(size.floorRowsPerEvent), readable(size.oursEventsPerSecond), readable(size.floorEventsPerSecond),
        readable(size.bareEventsPerSecond), readable(size.ratio), readable(size.oursMsPerEvent), percent(growth[i]?.ours ?? 0),
      ]),
    ),
    '',
    table(['handler', 'events', 'ms/event', 'of all handlers'], handlers.map(({ handler, events, msPerEvent, share }) => [handler, events, readable(msPerEvent), percent(share)])),
    '',
    table(['stage of graph-node', 'ours s', 'floor s'], Object.entries(sections).map(([name, { oursSeconds, floorSeconds }]) => [name, readable(oursSeconds), readable(floorSeconds)])),
    '',
    table(['table', 'rows'], Object.entries(rowsByTable)),
    '',
  ].join('\n')
}

function mirrorText({ rows, tables, copyRowsPerSecond, rowsPerSecond, ratio, undo, replacing, follow, latency }: MirrorResult): string {
  const row = (name: string, one: LatencySummary | null): (string | number)[][] =>
    one === null ? [] : [[name, one.blocks, ...[one.p50Ms, one.p95Ms, one.maxMs, one.graphNodeMs, one.mirrorMs, one.apiMs].map((ms) => ms.toFixed(0))]]
  return [
    `${rows} rows of ${tables} tables`,
    table(
      ['way of writing', 'rows/s', 'of COPY'],
      [
        ['plain COPY', readable(copyRowsPerSecond), readable(1)],
        ['mirror, first sync', readable(rowsPerSecond), readable(ratio)],
        ['mirror, new rows with undo log', readable(undo.rowsPerSecond), readable(undo.ratio)],
        ['mirror, replacing rows with undo log', readable(replacing.rowsPerSecond), readable(replacing.ratio)],
      ],
    ),
    '',
    table(
      ['accounts', 'rows stored', 's', 'rows/s with graph-node', 'peak MiB', 'end MiB'],
      follow.map((one) => [one.accounts, one.rows, readable(one.seconds), readable(one.rowsPerSecond), one.peakMiB.toFixed(0), one.endMiB.toFixed(0)]),
    ),
    '',
    table(
      ['from mined to seen', 'blocks', 'p50 ms', 'p95 ms', 'max ms', 'graph-node ms', 'mirror ms', 'API ms'],
      [...row('a block every 2 s', latency.every2s), ...row('single, after a quiet minute', latency.afterQuietMinute)],
    ),
    '',
  ].join('\n')
}

function stressText(r: StressResult): string {
  const { cascade, incremental } = r
  return [
    `${r.accounts} accounts with ${r.positions} positions in ${r.markets} markets, ${r.collaterals} collaterals, ${r.scenarios} scenarios; ${percent(r.liquidatableShare)} of the accounts liquidatable on average`,
    table(
      ['way', 'ns per position-scenario', 's'],
      [
        [`engine, ${r.threads} threads`, readable(r.nsPerPositionScenario), readable(r.seconds)],
        [`plain loop over objects, ${r.straightforwardScenarios} scenarios`, readable(r.straightforwardNsPerPositionScenario), readable((r.straightforwardNsPerPositionScenario * r.positions * r.straightforwardScenarios) / 1e9)],
      ],
    ),
    `${readable(r.speedup)} times as fast; largest difference ${r.largestDifference.toExponential(1)} of gross; book ${readable(r.bookMiB)} MiB, peak ${readable(r.peakRssMiB)} MiB`,
    '',
    `cascades: ${cascade.scenarios} scenarios in ${readable(cascade.seconds)} s, ${readable(cascade.meanRounds)} rounds on average, at most ${cascade.mostRounds}`,
    '',
    table(
      ['base figures current again', 'ms'],
      [
        [`after a block that touched ${incremental.touchedAccounts} accounts`, readable(incremental.afterBlockMs)],
        ['after a price move of one market', readable(incremental.afterPriceMoveMs)],
        ['all accounts anew', readable(incremental.fullInPlaceMs)],
        ['book made anew from objects', readable(incremental.fullFromObjectsMs)],
      ],
    ),
    '',
  ].join('\n')
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof BulwarkError ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
}
