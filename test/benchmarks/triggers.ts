/** What a manifest listens to, and which logs of a chain it would see. Pure. */
import { keccak256, toBytes, type Hex } from 'viem'
import { parse } from 'yaml'
import { BadInputError } from '../../core/errors.ts'

/** An event handler of a manifest. `address` null: of a template, whose instances are known only when it has been indexed. */
export type Handler = {
  readonly dataSource: string
  /** Place among the manifest's data sources and then its templates: graph-node's own number. */
  readonly manifestIndex: number
  readonly abi: string
  readonly address: string | null
  readonly startBlock: number
  /** As the manifest writes it: `Transfer(indexed address,indexed address,uint256)`. */
  readonly event: string
  readonly topic0: Hex
  /** A log with another number of indexed arguments is another event of the same name and types. */
  readonly indexed: number
  /** Allowed values of topics 1 to 3; null allows all. */
  readonly topics: readonly (readonly string[] | null)[]
  readonly handler: string
}

/** Where a template was instantiated: from this block on it sees the logs of this address. */
export type Instance = { readonly manifestIndex: number; readonly address: string; readonly fromBlock: number }

export type Log = { readonly address: string; readonly topics: readonly string[]; readonly blockNumber: number; readonly logIndex: number }

type RawSource = {
  name: string
  source: { address?: string; abi: string; startBlock?: number }
  mapping: { file: string; abis: { name: string; file: string }[]; eventHandlers?: RawHandler[]; callHandlers?: unknown[]; blockHandlers?: unknown[] }
}
type RawHandler = { event: string; handler: string; topic0?: string; topic1?: string[]; topic2?: string[]; topic3?: string[] }
export type RawManifest = { specVersion: string; indexerHints?: unknown; dataSources: RawSource[]; templates?: RawSource[] } & Record<string, unknown>

export const parseManifest = (text: string): RawManifest => parse(text) as RawManifest

/** Canonical signature of a manifest's event: without `indexed` and blanks. */
export const signatureOf = (event: string): string => event.replaceAll(/\bindexed\b/g, '').replaceAll(/\s/g, '')

/** Every event handler of a manifest. Throws BadInputError for handlers of calls or blocks, which no benchmark here counts. */
export function handlersOf(manifest: RawManifest): readonly Handler[] {
  return [...manifest.dataSources, ...(manifest.templates ?? [])].flatMap(({ name, source, mapping }, manifestIndex) => {
    const others = [...(mapping.callHandlers ?? []), ...(mapping.blockHandlers ?? [])]
    if (others.length > 0) throw new BadInputError(`Found ${others.length} call or block handlers in data source ${name}, counted are event handlers alone; teach test/benchmarks/triggers.ts to count them`)
    return (mapping.eventHandlers ?? []).map((raw): Handler => ({
      dataSource: name,
      manifestIndex,
      abi: source.abi,
      address: source.address?.toLowerCase() ?? null,
      startBlock: source.startBlock ?? 0,
      event: raw.event,
      topic0: (raw.topic0 as Hex | undefined) ?? keccak256(toBytes(signatureOf(raw.event))),
      indexed: raw.event.match(/\bindexed\b/g)?.length ?? 0,
      topics: [raw.topic1, raw.topic2, raw.topic3].map((allowed) => allowed?.map(asTopic) ?? null),
      handler: raw.handler,
    }))
  })
}

/** A filter may be written as an address; a topic is 32 bytes. */
const asTopic = (value: string): string => `0x${value.slice(2).toLowerCase().padStart(64, '0')}`

/** Answers which handlers see a log, in the manifest's order; one log may be seen by several, and each is an event to count. */
export function matcherOf(handlers: readonly Handler[], instances: readonly Instance[]): (log: Log) => readonly Handler[] {
  const placed = handlers.flatMap((handler) =>
    handler.address === null
      ? instances.filter((instance) => instance.manifestIndex === handler.manifestIndex).map(({ address, fromBlock }) => ({ handler, address: address.toLowerCase(), fromBlock }))
      : [{ handler, address: handler.address, fromBlock: handler.startBlock }],
  )
  const byKey = new Map<string, (typeof placed)[number][]>()
  for (const one of placed) {
    const key = `${one.address} ${one.handler.topic0}`
    byKey.set(key, [...(byKey.get(key) ?? []), one])
  }
  return (log) =>
    (byKey.get(`${log.address.toLowerCase()} ${log.topics[0]}`) ?? [])
      .filter(({ handler, fromBlock }) => log.blockNumber >= fromBlock && log.topics.length === handler.indexed + 1 && handler.topics.every((allowed, i) => allowed === null || allowed.includes(log.topics[i + 1] ?? '')))
      .map(({ handler }) => handler)
}

/** How often each handler runs over these logs, most often first. */
export function countByHandler(logs: readonly Log[], match: (log: Log) => readonly Handler[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const log of logs) for (const { handler } of match(log)) counts.set(handler, (counts.get(handler) ?? 0) + 1)
  return new Map([...counts].toSorted(([, a], [, b]) => b - a))
}
