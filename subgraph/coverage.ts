import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import { devnet } from '../protocols/curie/deployments.ts'
import { abiNames, abiOf, eventSignature, renderManifest } from './build.ts'

const CURIE = join(import.meta.dirname, 'curie')

/** An event as the manifest writes it, e.g. `Deposited(indexed address,indexed address,uint256)`, of an ABI of the manifest. */
export type EventOfAbi = { readonly abi: string; readonly event: string }
export type Excuse = EventOfAbi & { readonly reason: string }

/** How much of what the contracts can say is indexed. */
export type Coverage = {
  /** Events of all ABIs. */
  readonly events: number
  readonly indexed: number
  readonly excused: number
  /** Neither indexed nor excused. */
  readonly missing: readonly EventOfAbi[]
  readonly byAbi: Readonly<Record<string, { readonly indexed: readonly string[]; readonly excused: readonly Excuse[] }>>
}

/** The events that excused.json leaves out, each with the reason why it says nothing about risk. */
export function readExcuses(): readonly Excuse[] {
  return JSON.parse(readFileSync(join(CURIE, 'excused.json'), 'utf8')) as readonly Excuse[]
}

/** What a manifest handles, by ABI of the data sources and templates: event → handlers. */
export function handlersOf(manifest: string): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const byAbi = new Map<string, Map<string, string[]>>()
  for (const source of manifest.split(/^ {2}- kind: ethereum$/m).slice(1)) {
    const abi = /^ {6}abi: (\w+)$/m.exec(source)?.[1] ?? ''
    const handlers = byAbi.get(abi) ?? new Map<string, string[]>()
    byAbi.set(abi, handlers)
    for (const [, event = '', handler = ''] of source.matchAll(/^ {8}- event: (.+)\n {10}handler: (\w+)$/gm)) handlers.set(event, [...(handlers.get(event) ?? []), handler])
  }
  return byAbi
}

/** The manifest as a build fills it in; networks differ in addresses and start blocks alone. */
export function generatedManifest(): string {
  return renderManifest(readFileSync(join(CURIE, 'subgraph.yaml'), 'utf8'), devnet)
}

/**
 * Compares a manifest with every event of its ABIs.
 * Throws BadInputError for an excuse without a reason, of an event that is indexed or that no ABI has, and for one that is made twice.
 */
export async function coverageOf(manifest: string, excuses: readonly Excuse[]): Promise<Coverage> {
  const handled = handlersOf(manifest)
  const names = new Set(abiNames())
  const byAbi: Record<string, { indexed: string[]; excused: Excuse[] }> = {}
  const missing: EventOfAbi[] = []
  for (const abi of names) {
    const entry: { indexed: string[]; excused: Excuse[] } = { indexed: [], excused: [] }
    byAbi[abi] = entry
    for (const item of await abiOf(abi)) {
      if (item.type !== 'event') continue
      const event = eventSignature(item)
      const found = excuses.filter((excuse) => excuse.abi === abi && excuse.event === event)
      if (found.length > 1) throw new BadInputError(`Found ${found.length} excuses of ${abi}.${event}, allowed is one; delete the others from excused.json`)
      const [excuse] = found
      if (handled.get(abi)?.has(event) === true) {
        if (excuse !== undefined) throw new BadInputError(`Found an excuse of ${abi}.${event}, which is indexed, allowed are events that are not; delete it from excused.json`)
        entry.indexed.push(event)
      } else if (excuse === undefined) missing.push({ abi, event })
      else if (excuse.reason.trim() === '') throw new BadInputError(`Found an excuse of ${abi}.${event} without a reason, allowed are reasons why it says nothing about risk; give one in excused.json`)
      else entry.excused.push(excuse)
    }
  }
  const known = (excuse: Excuse): boolean => byAbi[excuse.abi]?.excused.includes(excuse) === true
  const stray = excuses.find((excuse) => !known(excuse))
  if (stray !== undefined) throw new BadInputError(`Found an excuse of ${stray.abi}.${stray.event}, allowed are events of ${[...names].join(', ')}; correct or delete it in excused.json`)
  const sum = (count: (entry: (typeof byAbi)[string]) => number): number => Object.values(byAbi).reduce((total, entry) => total + count(entry), 0)
  const indexed = sum((entry) => entry.indexed.length)
  const excused = sum((entry) => entry.excused.length)
  return { events: indexed + excused + missing.length, indexed, excused, missing, byAbi }
}

function describe(coverage: Coverage): string {
  const lines = Object.entries(coverage.byAbi).flatMap(([abi, { indexed, excused }]) => [
    `${abi}: ${indexed.length} indexed${excused.length === 0 ? '' : `, ${excused.length} excused`}`,
    ...excused.map(({ event, reason }) => `  - ${event}: ${reason}`),
  ])
  const missing = coverage.missing.map(({ abi, event }) => `missing: ${abi}.${event}: index it, or say in excused.json why it says nothing about risk`)
  return [...lines, ...missing, `${coverage.events} events: ${coverage.indexed} indexed, ${coverage.excused} excused, ${coverage.missing.length} missing`].join('\n')
}

/** `npm run coverage [-- --json]`: exit code 0 only when every event of every ABI is indexed or excused. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } })
    const coverage = await coverageOf(generatedManifest(), readExcuses())
    const { events, indexed, excused, missing } = coverage
    process.stdout.write(`${values.json ? JSON.stringify({ events, indexed, excused, missing }) : describe(coverage)}\n`)
    process.exitCode = missing.length === 0 ? 0 : 1
  } catch (error) {
    if (!(error instanceof BulwarkError) && !(error instanceof TypeError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
