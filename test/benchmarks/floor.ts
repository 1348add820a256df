/**
 * The subgraph that ours is measured against: the same events from the same addresses, as many rows of each kind for each event,
 * and nothing computed, loaded or called.
 */
import { createHash, randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { SubgraphBuildError } from '../../subgraph/build.ts'
import { handlersOf, type Instance, type RawManifest } from './triggers.ts'

/** Rows that one event writes, on average. */
export type Rates = { readonly facts: number; readonly states: number; readonly samples: number }

const KINDS = ['facts', 'states', 'samples'] as const

/** Longest run of rows of one kind for one event: what keeps the ids of a block's states apart. */
const MOST = 16

/**
 * Rows of one kind that the floor writes for a log: ⌊rate⌋, and one more for that share of the logs which the rest of the rate says.
 * The mapping does the same arithmetic in 32 bits, so that what it wrote can be checked.
 */
export function rowsFor(rate: number, kind: number, blockNumber: number, logIndex: number): number {
  const permille = Math.round(rate * 1_000)
  let x = (Math.imul(blockNumber, 2_654_435_761) + Math.imul(logIndex, 40_503) + Math.imul(kind, 374_761_393)) >>> 0
  x = Math.imul(x ^ (x >>> 15), 2_246_822_519) >>> 0
  x = (x ^ (x >>> 13)) >>> 0
  return Math.floor(permille / 1_000) + (x % 1_000 < permille % 1_000 ? 1 : 0)
}

/** The floor's manifest: every handler of ours, on a data source of its own address; instances of templates stand where ours made them. */
export function floorManifest(manifest: RawManifest, instances: readonly Instance[]): RawManifest {
  const numbers = new Map(handlersOf(manifest).map((handler, i) => [`${handler.manifestIndex} ${handler.event} ${handler.handler}`, i]))
  const all = [...manifest.dataSources, ...(manifest.templates ?? [])]
  const dataSources = all.flatMap((source, manifestIndex) => {
    const places = source.source.address === undefined ? instances.filter((one) => one.manifestIndex === manifestIndex).map(({ address, fromBlock }) => ({ address, startBlock: fromBlock })) : [{ address: source.source.address, startBlock: source.source.startBlock ?? 0 }]
    const { abis, eventHandlers } = source.mapping
    return places.map(({ address, startBlock }, i) => ({
      ...source,
      name: places.length === 1 ? source.name : `${source.name}${i}`,
      source: { address: address.toLowerCase(), abi: source.source.abi, startBlock },
      mapping: {
        kind: 'ethereum/events', apiVersion: '0.0.9', language: 'wasm/assemblyscript', file: './floor.ts', entities: ['Fact'],
        abis: abis.filter(({ name }) => name === source.source.abi),
        eventHandlers: (eventHandlers ?? []).map(({ event, handler, topic0, topic1, topic2, topic3 }) => ({
          event,
          ...Object.fromEntries(Object.entries({ topic0, topic1, topic2, topic3 }).filter(([, value]) => value !== undefined)),
          handler: `handle${numbers.get(`${manifestIndex} ${event} ${handler}`)}`,
        })),
      },
    }))
  })
  return { specVersion: manifest.specVersion, indexerHints: manifest.indexerHints, schema: { file: './schema.graphql' }, dataSources }
}

export const FLOOR_SCHEMA = `type Fact @entity(immutable: true) {
  id: Bytes!
  value: BigInt!
  blockNumber: BigInt!
  timestamp: BigInt!
  transactionHash: Bytes!
  logIndex: Int!
}
type State @entity(immutable: false) {
  id: Bytes!
  value: BigInt!
  updatedAtBlock: BigInt!
  updatedAtTimestamp: BigInt!
}
type Sample @entity(timeseries: true) {
  id: Int8!
  timestamp: Timestamp!
  value: BigInt!
}
type Stats @aggregation(intervals: ["hour", "day"], source: "Sample") {
  id: Int8!
  timestamp: Timestamp!
  value: BigInt! @aggregate(fn: "sum", arg: "value")
}
`

/** The floor's mapping, with one exported handler for each of ours. */
export function floorMapping(handlers: number, rates: Rates): string {
  const permille = KINDS.map((kind) => Math.round(rates[kind] * 1_000))
  return `import { BigInt, Bytes, Entity, Value, ethereum, store } from '@graphprotocol/graph-ts'

function rows(permille: u32, kind: u32, event: ethereum.Event): i32 {
  let x: u32 = <u32>event.block.number.toI32() * 2654435761 + <u32>event.logIndex.toI32() * 40503 + kind * 374761393
  x = (x ^ (x >> 15)) * 2246822519
  x = x ^ (x >> 13)
  return <i32>(permille / 1000 + (x % 1000 < permille % 1000 ? 1 : 0))
}

function write(event: ethereum.Event, handler: i32): void {
  const facts = rows(${permille[0]}, 0, event)
  for (let i = 0; i < facts; i++) {
    const id = event.transaction.hash.concatI32(event.logIndex.toI32()).concatI32(handler * ${MOST} + i)
    const fact = new Entity()
    fact.set('id', Value.fromBytes(id))
    fact.set('value', Value.fromBigInt(event.block.timestamp))
    fact.set('blockNumber', Value.fromBigInt(event.block.number))
    fact.set('timestamp', Value.fromBigInt(event.block.timestamp))
    fact.set('transactionHash', Value.fromBytes(event.transaction.hash))
    fact.set('logIndex', Value.fromI32(event.logIndex.toI32()))
    store.set('Fact', id.toHexString(), fact)
  }
  const states = rows(${permille[1]}, 1, event)
  for (let i = 0; i < states; i++) {
    const id = Bytes.fromI32(event.logIndex.toI32() * ${MOST} + i)
    const state = new Entity()
    state.set('id', Value.fromBytes(id))
    state.set('value', Value.fromBigInt(event.block.timestamp))
    state.set('updatedAtBlock', Value.fromBigInt(event.block.number))
    state.set('updatedAtTimestamp', Value.fromBigInt(event.block.timestamp))
    store.set('State', id.toHexString(), state)
  }
  const samples = rows(${permille[2]}, 2, event)
  for (let i = 0; i < samples; i++) {
    const sample = new Entity()
    sample.set('id', Value.fromI64(0))
    sample.set('timestamp', Value.fromTimestamp(event.block.timestamp.toI64() * 1000000))
    sample.set('value', Value.fromBigInt(event.block.timestamp))
    store.set('Sample', 'auto', sample)
  }
}

${Array.from({ length: handlers }, (_, i) => `export function handle${i}(event: ethereum.Event): void { write(event, ${i}) }`).join('\n')}
`
}

/** Builds the floor beside ours, once per content. `ours`: the folder of our build. Answers with the built manifest. */
export async function buildFloor(options: { ours: string; manifest: RawManifest; instances: readonly Instance[]; rates: Rates; cacheDir: string }): Promise<string> {
  const { ours, manifest, instances, rates } = options
  const files = { 'subgraph.yaml': stringify(floorManifest(manifest, instances)), 'schema.graphql': FLOOR_SCHEMA, 'floor.ts': floorMapping(handlersOf(manifest).length, rates) }
  const require = createRequire(import.meta.url)
  const packageDir = (name: string): string => dirname(require.resolve(`${name}/package.json`))
  const version = JSON.parse(await readFile(join(packageDir('@graphprotocol/graph-cli'), 'package.json'), 'utf8')) as { version: string }
  const hash = createHash('sha256').update(JSON.stringify([files, version.version])).digest('hex').slice(0, 16)
  const dir = join(resolve(options.cacheDir), `floor-${hash}`)
  const built = join(dir, 'build', 'subgraph.yaml')
  if (existsSync(built)) return built
  const draft = `${dir}.${randomBytes(4).toString('hex')}`
  try {
    await mkdir(draft, { recursive: true })
    for (const [name, content] of Object.entries(files)) await writeFile(join(draft, name), content)
    await cp(join(ours, 'abis'), join(draft, 'abis'), { recursive: true })
    await symlink(resolve(packageDir('@graphprotocol/graph-ts'), '..', '..'), join(draft, 'node_modules'))
    const child = spawn(process.execPath, [join(packageDir('@graphprotocol/graph-cli'), 'bin', 'run.js'), 'build', 'subgraph.yaml'], { cwd: draft, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const exitCode = await new Promise<number>((done, fail) => child.on('error', fail).on('close', (code) => done(code ?? 1)))
    if (exitCode !== 0) throw new SubgraphBuildError({ step: 'floor build', exitCode, output: output.slice(-4_000) })
    await rm(join(draft, 'node_modules'))
    await rename(draft, dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return built
}
