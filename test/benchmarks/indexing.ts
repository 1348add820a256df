/**
 * Events per second of our subgraph against a floor that sees the same events, writes as many rows of each kind and computes nothing:
 * same chain, same graph-node, one after the other in one run, each from nothing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../core/ports.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { buildSubgraph } from '../../subgraph/build.ts'
import { logsOf, serveBulk } from './chain.ts'
import { buildFloor, type Rates } from './floor.ts'
import { indexFrom, type Indexing } from './graph-node.ts'
import { median } from './report.ts'
import { countByHandler, handlersOf, matcherOf, parseManifest } from './triggers.ts'

export type HandlerCost = {
  readonly handler: string
  readonly events: number
  readonly msPerEvent: number
  /** Of the time that all handlers took. */
  readonly share: number
}

export type SizeResult = {
  /** Triggers that ran: a log counts once for each handler of the manifest that sees it. */
  readonly events: number
  readonly blocks: number
  readonly eventsPerBlock: number
  /** Rows in the subgraph's own tables for each event, all versions of mutable ones, samples and buckets of aggregations included. */
  readonly rowsPerEvent: number
  readonly floorRowsPerEvent: number
  readonly oursEventsPerSecond: number
  readonly floorEventsPerSecond: number
  /** One immutable row for each event. */
  readonly bareEventsPerSecond: number
  readonly ratio: number
  readonly oursMsPerEvent: number
  readonly floorMsPerEvent: number
  /** Each run's seconds and graph-node's processor time, in the order in which they ran. */
  readonly runs: readonly { readonly what: 'ours' | 'floor' | 'bare'; readonly seconds: number; readonly cpuSeconds: number }[]
}

export type IndexingResult = Pick<SizeResult, 'events' | 'rowsPerEvent' | 'oursEventsPerSecond' | 'floorEventsPerSecond' | 'ratio'> & {
  readonly sizes: readonly SizeResult[]
  /** Cost per event of each size over that of the smallest, minus 1. */
  readonly growth: readonly { readonly events: number; readonly ours: number; readonly floor: number }[]
  /** Of the largest size's runs. */
  readonly handlers: readonly HandlerCost[]
  readonly rowsByTable: Readonly<Record<string, number>>
  readonly sections: Readonly<Record<string, { readonly oursSeconds: number; readonly floorSeconds: number }>>
}

export type IndexingOptions = { readonly sizes: readonly number[]; readonly rounds: number; readonly dir: string; readonly cacheDir: string; readonly progress: (text: string) => void }

export async function benchIndexing({ sizes, rounds, dir, cacheDir, progress }: IndexingOptions): Promise<IndexingResult> {
  const { dir: ours, manifest: oursManifest } = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
  const manifest = parseManifest(readFileSync(join(ours, 'subgraph.yaml'), 'utf8'))
  const handlers = handlersOf(manifest)
  const largest = Math.max(...sizes)
  const report = (what: string) => (done: number, total: number) => progress(`${what}: ${done} of ${total} events`)
  const chain = await serveBulk({
    events: largest, handlers, cacheDir, dir: join(dir, 'chain'), ports: { chain: await freePort(), archive: await freePort() }, onProgress: report('making the chain'),
  })
  const results: SizeResult[] = []
  let last: { ours: Indexing[]; floor: Indexing[] } = { ours: [], floor: [] }
  try {
    for (const size of sizes) {
      const head = await chain.growTo(size, report('replaying the chain'))
      const index = async (what: 'ours' | 'floor' | 'bare', path: string): Promise<Indexing> => {
        const indexing = await indexFrom({ manifest: path, rpcUrl: chain.url, network: 'devnet', head, dir: join(dir, 'run') })
        progress(`${what}: ${indexing.events} events in ${indexing.seconds.toFixed(1)} s, graph-node's processor time ${indexing.cpuSeconds.toFixed(1)} s`)
        runs.push({ what, seconds: indexing.seconds, cpuSeconds: indexing.cpuSeconds })
        return indexing
      }
      const runs: { what: 'ours' | 'floor' | 'bare'; seconds: number; cpuSeconds: number }[] = []
      const first = await index('ours', oursManifest)
      const { events, instances } = first
      const match = matcherOf(handlers, instances)
      const seen = countByHandler(await logsOf(chain.rpc, 1, head), match)
      assertSeen(first, seen)
      const rates = { facts: first.rows.facts / events, states: first.rows.states / events, samples: first.rows.samples / events }
      const build = (its: Rates): Promise<string> => buildFloor({ ours, manifest, instances, rates: its, cacheDir })
      const floorManifest = await build(rates)
      const all = { ours: [first], floor: [] as Indexing[] }
      for (let round = 0; round < rounds; round++) {
        // Alternating order: whatever drifts during a run meets both.
        const order = round % 2 === 0 ? (['ours', 'floor'] as const) : (['floor', 'ours'] as const)
        for (const what of order) {
          if (round === 0 && what === 'ours') continue
          all[what].push(await index(what, what === 'ours' ? oursManifest : floorManifest))
        }
      }
      const bare = await index('bare', await build({ facts: 1, states: 0, samples: 0 }))
      results.push(sizeResult(head, all, bare, runs))
      last = all
    }
  } finally {
    await chain.stop()
  }
  const [smallest] = results
  const whole = results.find(({ events }) => events >= 50_000) ?? results.at(-1)
  if (smallest === undefined || whole === undefined) throw new RangeError('no size was asked for')
  const { events, rowsPerEvent, oursEventsPerSecond, floorEventsPerSecond, ratio } = whole
  return {
    events, rowsPerEvent, oursEventsPerSecond, floorEventsPerSecond, ratio,
    sizes: results,
    growth: results.map((one) => ({ events: one.events, ours: one.oursMsPerEvent / smallest.oursMsPerEvent - 1, floor: one.floorMsPerEvent / smallest.floorMsPerEvent - 1 })),
    handlers: handlerCosts(last.ours),
    rowsByTable: Object.fromEntries(last.ours[0]?.rows.byTable ?? []),
    sections: sectionsOf(last),
  }
}

/** The chain's logs, matched by ourselves, must give the triggers that graph-node ran. */
function assertSeen({ handlers }: Indexing, seen: ReadonlyMap<string, number>): void {
  const wrong = [...new Set([...handlers.keys(), ...seen.keys()])].filter((name) => (handlers.get(name)?.count ?? 0) !== (seen.get(name) ?? 0))
  if (wrong.length > 0) throw new RangeError(`Found other counts of events in graph-node than in the chain's logs: ${wrong.map((name) => `${name} ${handlers.get(name)?.count ?? 0} and ${seen.get(name) ?? 0}`).join(', ')}`)
}

function sizeResult(head: number, { ours, floor }: { ours: readonly Indexing[]; floor: readonly Indexing[] }, bare: Indexing, runs: SizeResult['runs']): SizeResult {
  const rowsPerEvent = (one: Indexing | undefined): number => (one === undefined ? NaN : (one.rows.facts + one.rows.states + one.rows.samples + one.rows.buckets) / one.events)
  const events = ours[0]?.events ?? NaN
  const oursSeconds = median(ours.map(({ seconds }) => seconds))
  const floorSeconds = median(floor.map(({ seconds }) => seconds))
  return {
    events,
    blocks: head,
    eventsPerBlock: events / head,
    rowsPerEvent: rowsPerEvent(ours[0]),
    floorRowsPerEvent: rowsPerEvent(floor[0]),
    oursEventsPerSecond: events / oursSeconds,
    floorEventsPerSecond: events / floorSeconds,
    bareEventsPerSecond: events / bare.seconds,
    ratio: floorSeconds / oursSeconds,
    oursMsPerEvent: (1_000 * oursSeconds) / events,
    floorMsPerEvent: (1_000 * floorSeconds) / events,
    runs,
  }
}

function handlerCosts(runs: readonly Indexing[]): HandlerCost[] {
  const total = runs.reduce((sum, run) => sum + [...run.handlers.values()].reduce((s, { seconds }) => s + seconds, 0), 0)
  const names = new Set(runs.flatMap(({ handlers }) => [...handlers.keys()]))
  return [...names]
    .map((handler) => {
      const seconds = runs.reduce((sum, run) => sum + (run.handlers.get(handler)?.seconds ?? 0), 0)
      const count = runs.reduce((sum, run) => sum + (run.handlers.get(handler)?.count ?? 0), 0)
      return { handler, events: Math.round(count / runs.length), msPerEvent: (1_000 * seconds) / count, share: seconds / total }
    })
    .toSorted((a, b) => b.share - a.share)
}

function sectionsOf({ ours, floor }: { ours: readonly Indexing[]; floor: readonly Indexing[] }): IndexingResult['sections'] {
  const mean = (runs: readonly Indexing[], name: string): number => runs.reduce((sum, { sections }) => sum + (sections.get(name) ?? 0), 0) / runs.length
  const names = [...new Set([...ours, ...floor].flatMap(({ sections }) => [...sections.keys()]))]
  return Object.fromEntries(
    names
      .map((name) => [name, { oursSeconds: mean(ours, name), floorSeconds: mean(floor, name) }] as const)
      .filter(([, { oursSeconds, floorSeconds }]) => Math.max(oursSeconds, floorSeconds) >= 0.01)
      .toSorted(([, a], [, b]) => b.oursSeconds - a.oursSeconds),
  )
}
