/**
 * A chain and a graph-node at the far end of HTTP: the two protocols that the mirror speaks, over blocks that a test
 * writes. The GraphQL is executed by graphql-js over the index's own schema, so a query that is not valid GraphQL for
 * that schema fails here too. The end-to-end tests meet the real ones.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildSchema, execute, getNamedType, isEnumType, isNonNullType, isObjectType, parse, validate, type DocumentNode } from 'graphql'

export type Change = { readonly entity: string; readonly row: Readonly<Record<string, unknown>> & { readonly id: string } }
export type WorldBlock = { readonly number: number; readonly hash: string; readonly timestamp: number; readonly changes: readonly Change[] }

const sdl = readFileSync(new URL('../../subgraph/schema.graphql', import.meta.url), 'utf8')
const isSeries = (name: string): boolean => sdl.includes(`type ${name} @entity(timeseries: true)`)
const names = [...sdl.matchAll(/type (\w+) @entity/g)].map(([, name = '']) => name)
const queryField = (name: string): string => `${name.charAt(0).toLowerCase()}${name.slice(1)}s`

const schema = buildSchema(`
  directive @entity(immutable: Boolean, timeseries: Boolean) on OBJECT
  directive @derivedFrom(field: String!) on FIELD_DEFINITION
  scalar Bytes
  scalar BigInt
  scalar Int8
  scalar Timestamp
  directive @aggregation(intervals: [String!]!, source: String!) on OBJECT
  directive @aggregate(fn: String!, arg: String, cumulative: Boolean) on FIELD_DEFINITION
  ${sdl}
  enum Order { asc }
  enum OrderBy { id }
  input ChangeBlock { number_gte: Int! }
  input Where { id_gt: Bytes, id_not: Bytes, _change_block: ChangeBlock }
  input SeriesWhere { id_gt: Int8, id_not: Int8, timestamp_gte: Timestamp, timestamp_lt: Timestamp }
  input At { number: Int! }
  type MetaBlock { number: Int!, hash: String, timestamp: Int }
  type Meta { block: MetaBlock!, deployment: String!, hasIndexingErrors: Boolean! }
  type Query {
    _meta: Meta
    ${names.map((name) => `${queryField(name)}(first: Int!, orderBy: OrderBy!, orderDirection: Order!, block: At!, where: ${isSeries(name) ? 'SeriesWhere' : 'Where'}): [${name}!]!`).join('\n')}
  }
`)

const isWithin = (time: string, from: string, until: string): boolean => BigInt(time) >= BigInt(from) && BigInt(time) < BigInt(until)

/** Valid queries by their text. */
const documents = new Map<string, DocumentNode>()

export class World {
  /** What the node holds to be canonical. */
  chain: WorldBlock[] = []
  /** What graph-node has indexed; `catchUp()` brings it to the chain. */
  indexed: WorldBlock[] = []
  secondsPerBlock = 2
  deployment = 'QmFirst'
  hasIndexingErrors = false
  /** Called before each page is answered, with its count since the start. */
  beforePage: (count: number) => void | Promise<void> = () => undefined
  /** `_change_block` of each page asked for; null where it had none. */
  readonly asked: (number | null)[] = []
  /** What every page is refused with; null: none is. */
  refusal: string | null = null
  /** What the status endpoint answers; null: it is not there. */
  indexingStatus: unknown = null
  /** Heights at which the node says that it has no block. */
  readonly missing = new Set<number>()
  graphDown = false
  chainDown = false
  #server: Server | undefined
  #forks = 0

  /** Adds blocks on top; `changes` go into the last of them. */
  mine(count = 1, changes: readonly Change[] = []): void {
    for (let i = 0; i < count; i++) {
      const number = this.chain.length
      const timestamp = (this.chain.at(-1)?.timestamp ?? 1_700_000_000 - this.secondsPerBlock) + this.secondsPerBlock
      const hash = `0x${createHash('sha256').update(`${this.#forks}:${number}:${this.chain.at(-1)?.hash ?? ''}`).digest('hex')}`
      // graph-node gives a point of a timeseries its block's time.
      const timed = changes.map(({ entity, row }) => ({ entity, row: isSeries(entity) ? { ...row, timestamp: `${timestamp}000000` } : row }))
      this.chain.push({ number, hash, timestamp, changes: i === count - 1 ? timed : [] })
    }
  }

  /** Takes the last `depth` blocks off the chain; graph-node keeps them until it catches up. */
  drop(depth: number): void {
    this.chain.splice(this.chain.length - depth)
    this.#forks++
  }

  catchUp(): void {
    this.indexed = [...this.chain]
  }

  /** Rows of an entity as of a block, by replaying what graph-node has indexed. */
  rowsAt(entity: string, block: number): Map<string, { row: Change['row']; changedAt: number }> {
    const rows = new Map<string, { row: Change['row']; changedAt: number }>()
    for (const { number, changes } of this.indexed) {
      if (number > block) break
      for (const change of changes) if (change.entity === entity) rows.set(change.row.id, { row: change.row, changedAt: number })
    }
    return rows
  }

  /** Answers by query, as graph-node remembers them: a list at a block's number is not asked for again, whatever branch it was of. */
  readonly #remembered = new Map<string, unknown>()

  async #graph(query: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    const key = JSON.stringify([this.deployment, query, variables])
    const lists = (this.#remembered.get(key) ?? (await this.#answer(query, variables))) as { data?: Record<string, unknown> }
    if (lists.data !== undefined) this.#remembered.set(key, lists)
    // _meta is of the present head and never remembered.
    return lists.data?.['_meta'] === undefined ? lists : { data: { ...lists.data, ...((await this.#answer('{ _meta { block { number hash timestamp } deployment hasIndexingErrors } }', {})) as { data: object }).data } }
  }

  async #answer(query: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (query.startsWith('query Page')) {
      if (this.refusal !== null) return { errors: [{ message: this.refusal }] }
      await this.beforePage(this.asked.length)
      this.asked.push((variables['from'] as number | undefined) ?? null)
    }
    let document = documents.get(query)
    if (document === undefined) {
      document = parse(query)
      const errors = validate(schema, document)
      if (errors.length > 0) return { errors }
      documents.set(query, document)
    }
    const head = this.indexed.at(-1)
    const root: Record<string, unknown> = {
      _meta: { block: { number: head?.number, hash: head?.hash, timestamp: head?.timestamp }, deployment: this.deployment, hasIndexingErrors: this.hasIndexingErrors },
    }
    for (const name of names) {
      const isPast = (id: string, after: string): boolean => (isSeries(name) ? BigInt(id) > BigInt(after || -1) : id > after)
      root[queryField(name)] = ({ first, block, where }: { first: number; block: { number: number }; where?: { id_gt?: string; _change_block?: { number_gte: number }; timestamp_gte?: string; timestamp_lt?: string } }) =>
        [...this.rowsAt(name, block.number).values()]
          .filter(({ row, changedAt }) => isPast(row.id, where?.id_gt ?? '') && changedAt >= (where?._change_block?.number_gte ?? 0))
          .filter(({ row }) => where?.timestamp_gte === undefined || where.timestamp_lt === undefined || isWithin(row['timestamp'] as string, where.timestamp_gte, where.timestamp_lt))
          .map(({ row }) => row)
          .toSorted((a, b) => (isPast(b.id, a.id) ? -1 : 1))
          .slice(0, first)
    }
    return await execute({ schema, document, rootValue: root, variableValues: variables })
  }

  #rpc(params: [string, boolean]): unknown {
    const block = params[0] === 'latest' ? this.chain.at(-1) : this.missing.has(Number(params[0])) ? undefined : this.chain[Number(params[0])]
    return { jsonrpc: '2.0', id: 1, result: block === undefined ? null : { number: `0x${block.number.toString(16)}`, hash: block.hash, timestamp: `0x${block.timestamp.toString(16)}` } }
  }

  async start(): Promise<{ graphNodeUrl: string; rpcUrl: string; statusUrl: string }> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as { query: string; variables: Record<string, unknown>; params: [string, boolean] }
        const graph = request.url === '/graph'
        if (graph ? this.graphDown : this.chainDown) return response.destroy()
        if (request.url === '/status') {
          if (this.indexingStatus === null) response.statusCode = 404
          return response.end(JSON.stringify({ data: { indexingStatuses: [this.indexingStatus] } }))
        }
        void (async () => {
          response.setHeader('content-type', 'application/json')
          response.end(JSON.stringify(graph ? await this.#graph(body.query, body.variables) : this.#rpc(body.params)))
        })()
      })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return { graphNodeUrl: `http://127.0.0.1:${port}/graph`, rpcUrl: `http://127.0.0.1:${port}/rpc`, statusUrl: `http://127.0.0.1:${port}/status` }
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise<void>((resolve) => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())))
  }
}

export const hex = (n: number, bytes: number): string => `0x${n.toString(16).padStart(2 * bytes, '0')}`

/** A row with all that the index requires, and what the test says. */
export function change(entity: string, id: string, values: Readonly<Record<string, unknown>> = {}): Change {
  const row: Record<string, unknown> & { id: string } = { id }
  const type = schema.getType(entity)
  if (!isObjectType(type)) throw new TypeError(`no entity ${entity}`)
  for (const { name, type: field } of Object.values(type.getFields())) {
    if (name === 'id') continue
    const named = getNamedType(field)
    if (!isNonNullType(field)) row[name] = null
    else if (isEnumType(named)) row[name] = named.getValues()[0]?.value
    else if (isObjectType(named)) row[name] = { id: hex(1, 20) }
    else row[name] = { Int: 0, Boolean: false, BigInt: '0', Bytes: '0x', String: '', Timestamp: '0', Int8: '0' }[named.name]
  }
  return { entity, row: { ...row, ...values } }
}

export const account = (n: number, owedE18: bigint): Change => change('Account', hex(n, 20), { owedRealizedPnlE18: owedE18.toString() })
export const feed = (n: number, priceE18: bigint | null): Change => change('OracleFeed', hex(n, 20), { priceE18: priceE18?.toString() ?? null })
export const priceUpdate = (n: number, priceE18: bigint): Change => change('PriceUpdate', hex(n, 36), { priceE18: priceE18.toString() })
