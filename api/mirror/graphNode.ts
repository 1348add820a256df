import { randomBytes } from 'node:crypto'
import { endpointOf } from '../../core/endpoint.ts'
import type { Entity, Rollup } from './entities.ts'
import { TroubleError, type TroubleKind } from './trouble.ts'

export type Head = { readonly number: bigint; readonly hash: string }

export type Meta = {
  readonly head: Head
  /** Chain time of the head, s; null where graph-node does not say. */
  readonly timestamp: bigint | null
  readonly deployment: string
  readonly hasIndexingErrors: boolean
}

/** A row as it is stored: column name → text, number, boolean or null. */
export type Row = Readonly<Record<string, unknown>>

export type Page = {
  /** What graph-node stood on while it answered. */
  readonly head: Head
  readonly rows: ReadonlyMap<Entity, readonly Row[]>
}

/** What to ask an entity for: the rows that changed from `fromBlock` on (null: all), as they are at a block. */
export type PageRequest = { readonly entity: Entity; readonly afterId: string | null }

/** graph-node's first block lies above the one asked for. */
export class BlockTooEarlyError extends Error {
  readonly earliest: bigint

  constructor(earliest: bigint) {
    super(`graph-node's data starts at block ${earliest}`)
    this.earliest = earliest
  }
}

/** graph-node followed a reorg while it answered. */
export class MovedError extends Error {
  constructor() {
    super('the chain was reorganised while graph-node answered')
  }
}

/** A point of a timeseries: its time, s, and its fields, a reference as the other's id. */
export type Sample = { readonly timestampSec: bigint; readonly values: Readonly<Record<string, string>> }

export type SampleRequest = { readonly rollup: Rollup; readonly afterId: string | null }

export type SamplePage = { readonly head: Head; readonly samples: readonly { readonly request: SampleRequest; readonly samples: readonly Sample[]; readonly lastId: string | null }[] }

export type GraphNode = {
  /** Throws TroubleError. */
  meta(): Promise<Meta>
  /** Up to PAGE_ROWS rows of each entity asked for, in the order of their ids. Throws TroubleError, BlockTooEarlyError, MovedError. */
  page(requests: readonly PageRequest[], at: bigint, fromBlock: bigint | null): Promise<Page>
  /** Up to PAGE_ROWS points of each timeseries asked for, as they are at a block, with times in [fromSec, untilSec), in the order in which they came about. Throws as `page` does. */
  samples(requests: readonly SampleRequest[], at: bigint, fromSec: bigint, untilSec: bigint): Promise<SamplePage>
}

/** graph-node's own limit on `first`. */
export const PAGE_ROWS = 1000

/**
 * graph-node remembers answers by the query and the block's number: what it answered for a block before a reorg it would
 * answer for the other block of that height again, under a `_meta` of the new branch. An id that no row has makes each
 * query one that was never asked.
 */
const FRESH_BYTES = 12

const PAGE_TIMEOUT_MS = 60_000
const META_TIMEOUT_MS = 10_000

/** graph-node's Timestamp counts these. */
const MICROSECONDS = 1_000_000n

/** What to do where a deployment failed. */
export const FAILED_ACTION = 'deploy a corrected build, or mend what its error names (a failed call of its RPC, for one); what was stored before stays'

const trouble = (kind: TroubleKind) => (found: string, action: string, cause?: unknown): TroubleError => new TroubleError(kind, found, action, cause)
const unreachable = trouble('GRAPH_NODE_UNREACHABLE')
const refused = trouble('GRAPH_NODE_REFUSED')

type GraphQLAnswer = { data?: Record<string, unknown> | null; errors?: readonly { message: string }[] }

/** The GraphQL endpoint of one subgraph of a graph-node; `apiKey` is what a hosted one or The Graph Network wants. */
export function createGraphNode(address: string, apiKey?: string | null): GraphNode {
  const { url, headers } = endpointOf(address, apiKey)

  async function ask(query: string, variables: Readonly<Record<string, unknown>> = {}, timeoutMs = PAGE_TIMEOUT_MS): Promise<GraphQLAnswer> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (!response.ok) throw unreachable(`it answered HTTP ${response.status}`, 'check GRAPH_NODE_URL and that the subgraph is deployed; the mirror goes on by itself')
      return (await response.json()) as GraphQLAnswer
    } catch (cause) {
      throw cause instanceof TroubleError ? cause : unreachable('it did not answer', 'check GRAPH_NODE_URL and that graph-node runs; the mirror goes on by itself', cause)
    }
  }

  function refusal(errors: GraphQLAnswer['errors']): Error {
    const words = (errors ?? []).map((error) => error.message).join(' ')
    const earliest = /only has data starting at block number (\d+)/.exec(words)?.[1]
    if (earliest !== undefined) return new BlockTooEarlyError(BigInt(earliest))
    // Both are what a revert under way looks like: the head that we were told of is gone again.
    if (/was reorganized while executing|has only indexed up to block number/.test(words)) return new MovedError()
    if (/has no field|Cannot query field|unknown field/i.test(words)) {
      return refused(`the deployed subgraph lacks an entity or a field (${words.slice(0, 200)})`, 'deploy the subgraph of this version')
    }
    if (/indexing_error/.test(words)) return new TroubleError('GRAPH_NODE_FAILED', 'the subgraph failed', FAILED_ACTION)
    if (/has not started syncing/.test(words)) return new TroubleError('GRAPH_NODE_BEHIND', 'the subgraph has not indexed a block yet', 'wait until it has; the mirror goes on by itself')
    if (/does not exist/.test(words)) return refused(`it does not have the subgraph (${words.slice(0, 200)})`, 'deploy the subgraph, or correct its name in GRAPH_NODE_URL')
    return refused(`it refused a query (${words.slice(0, 200) || 'no reason given'})`, 'see its log; the mirror tries again by itself')
  }

  return {
    meta: async () => {
      const { data, errors } = await ask('{ _meta { block { number hash timestamp } deployment hasIndexingErrors } }', {}, META_TIMEOUT_MS)
      const meta = data?.['_meta'] as { block: { number: number; hash: string | null; timestamp: number | null }; deployment: string; hasIndexingErrors: boolean } | null | undefined
      if (meta === null || meta === undefined) throw refusal(errors)
      if (meta.block.hash === null) throw refused('it gave its head without a hash', 'see its log; the mirror tries again by itself')
      return {
        head: { number: BigInt(meta.block.number), hash: meta.block.hash.toLowerCase() },
        timestamp: meta.block.timestamp === null ? null : BigInt(meta.block.timestamp),
        deployment: meta.deployment,
        hasIndexingErrors: meta.hasIndexingErrors,
      }
    },

    page: async (requests, at, fromBlock) => {
      // What varies is in variables: the same few texts are asked again and again.
      const variables: Record<string, unknown> = { at: Number(at), fresh: `0x${randomBytes(FRESH_BYTES).toString('hex')}`, ...(fromBlock === null ? {} : { from: Number(fromBlock) }) }
      const declared = ['$at: Int!', '$fresh: Bytes!', ...(fromBlock === null ? [] : ['$from: Int!'])]
      const lists = requests.map(({ entity, afterId }) => {
        const filters = ['id_not: $fresh', ...(fromBlock === null ? [] : ['_change_block: { number_gte: $from }'])]
        if (afterId !== null) {
          const name = `after${entity.name}`
          variables[name] = afterId
          declared.push(`$${name}: Bytes!`)
          filters.push(`id_gt: $${name}`)
        }
        const selection = entity.columns.map(({ field, reference }) => (reference ? `${field} { id }` : field ?? '')).join(' ')
        return `${entity.queryField}(first: ${PAGE_ROWS}, orderBy: id, orderDirection: asc, block: { number: $at }, where: { ${filters.join(', ')} }) { ${selection} }`
      })
      const { data, errors } = await ask(`query Page(${declared.join(', ')}) { _meta { block { number hash } } ${lists.join(' ')} }`, variables)
      if (data === null || data === undefined || (errors?.length ?? 0) > 0) throw refusal(errors)
      const { block } = data['_meta'] as { block: { number: number; hash: string } }
      const rows = requests.map(({ entity }) => [entity, (data[entity.queryField] as Record<string, unknown>[]).map((row) => flatten(entity, row))] as const)
      return { head: { number: BigInt(block.number), hash: block.hash.toLowerCase() }, rows: new Map(rows) }
    },

    samples: async (requests, at, fromSec, untilSec) => {
      const variables: Record<string, unknown> = { at: Number(at), fresh: `-${randomBytes(FRESH_BYTES).readUIntBE(0, 6) + 1}`, from: (fromSec * MICROSECONDS).toString(), until: (untilSec * MICROSECONDS).toString() }
      const declared = ['$at: Int!', '$fresh: Int8!', '$from: Timestamp!', '$until: Timestamp!']
      const lists = requests.map(({ rollup, afterId }, i) => {
        const after = afterId === null ? '' : `, id_gt: $after${i}`
        if (afterId !== null) {
          variables[`after${i}`] = afterId
          declared.push(`$after${i}: Int8!`)
        }
        const fields = new Set(rollup.aggregates.flatMap(({ field }) => (field === null ? [] : [field])))
        const selection = [...rollup.dimensions.map(({ field, reference }) => (reference ? `${field} { id }` : field)), ...fields].join(' ')
        return `list${i}: ${rollup.sourceField}(first: ${PAGE_ROWS}, orderBy: id, orderDirection: asc, block: { number: $at }, where: { timestamp_gte: $from, timestamp_lt: $until, id_not: $fresh${after} }) { id timestamp ${selection} }`
      })
      const { data, errors } = await ask(`query Samples(${declared.join(', ')}) { _meta { block { number hash } } ${lists.join(' ')} }`, variables)
      if (data === null || data === undefined || (errors?.length ?? 0) > 0) throw refusal(errors)
      const { block } = data['_meta'] as { block: { number: number; hash: string } }
      return {
        head: { number: BigInt(block.number), hash: block.hash.toLowerCase() },
        samples: requests.map((request, i) => {
          const points = data[`list${i}`] as Record<string, string | { id: string }>[]
          const samples = points.map(({ timestamp, ...rest }) => ({
            timestampSec: BigInt(timestamp as string) / MICROSECONDS,
            values: Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, typeof value === 'object' ? value.id : value])),
          }))
          return { request, samples, lastId: samples.at(-1)?.values['id'] ?? null }
        }),
      }
    },
  }
}

function flatten(entity: Entity, row: Record<string, unknown>): Row {
  const flat: Record<string, unknown> = {}
  for (const { field, column, reference } of entity.columns) {
    const value = field === null ? null : (row[field] ?? null)
    flat[column] = reference && value !== null ? (value as { id: string }).id : value
  }
  return flat
}

export type Failure = { readonly health: string; readonly message: string; readonly block: string | null }

/**
 * What graph-node's own status endpoint says of a deployment that failed; null where it says nothing, or does not answer:
 * it adds to an error's words and is never an error itself.
 */
export async function failureOf(statusUrl: string | null, deployment: string): Promise<Failure | null> {
  if (statusUrl === null) return null
  try {
    const { url, headers } = endpointOf(statusUrl)
    const query = 'query Status($of: [String!]) { indexingStatuses(subgraphs: $of) { health fatalError { message block { number } } nonFatalErrors { message block { number } } } }'
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables: { of: [deployment] } }), signal: AbortSignal.timeout(META_TIMEOUT_MS) })
    type Fault = { message: string; block: { number: string } | null }
    const { data } = (await response.json()) as { data?: { indexingStatuses: { health: string; fatalError: Fault | null; nonFatalErrors: Fault[] }[] } }
    const status = data?.indexingStatuses[0]
    const fault = status?.fatalError ?? status?.nonFatalErrors.at(-1)
    if (status === undefined || fault === undefined) return null
    return { health: status.health, message: fault.message.replaceAll(/\s+/g, ' ').slice(0, 300), block: fault.block?.number ?? null }
  } catch {
    return null
  }
}
