/** One indexing of one subgraph from nothing: a new PostgreSQL and a new graph-node, run as `npm start` runs them, until they stand at a block. */
import { readFileSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { InvariantError, UnavailableError } from '../../core/errors.ts'
import { freePort } from '../../core/ports.ts'
import { postgresUrl } from '../../cli/services/databases.ts'
import { subgraphUrl } from '../../cli/services/graphNode.ts'
import { PROJECT } from '../../cli/options.ts'
import { Part } from '../../cli/supervisor.ts'
import type { Rates } from './floor.ts'
import type { Instance } from './triggers.ts'

export type HandlerTime = { readonly count: number; readonly seconds: number }

export type Indexing = {
  /** From the first block's start of processing to the commit of the last one, by graph-node's own log, s. */
  readonly seconds: number
  /** Processor time of graph-node's process since it started, PostgreSQL's not included, s: steadier than `seconds` where the machine is shared. */
  readonly cpuSeconds: number
  /** Triggers that ran, by graph-node's count. */
  readonly events: number
  readonly handlers: ReadonlyMap<string, HandlerTime>
  /** Where the time of its main thread and of its writer went, s: `process/run_handler`. */
  readonly sections: ReadonlyMap<string, number>
  /** Rows in the tables, all versions: immutable, mutable, samples, and buckets of aggregations. */
  readonly rows: Rates & { readonly buckets: number; readonly byTable: ReadonlyMap<string, number> }
  /** Where templates were instantiated. */
  readonly instances: readonly Instance[]
}

/** An indexing that stands still this long has failed. */
const STANDSTILL_MS = 60_000

export type GraphNodeRun = {
  readonly queryUrl: string
  /** PostgreSQL of its own, with the databases `graph` and `bulwark`. */
  databaseUrl(name: 'graph' | 'bulwark'): string
  /** Waits until it stands at a block; answers with what that took. */
  untilAt(head: number): Promise<Indexing>
  /** Name of the schema that holds the subgraph's tables in the database `graph`. */
  schema(): Promise<string>
  stop(): Promise<void>
}

/** Starts a new PostgreSQL and a new graph-node in `dir`, which is emptied, and deploys one subgraph. `env`: settings of graph-node's. */
export async function startIndexing(options: { manifest: string; rpcUrl: string; network: string; dir: string; env?: Readonly<Record<string, string>> }): Promise<GraphNodeRun> {
  const { manifest, rpcUrl, network, dir } = options
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  const parts: Part[] = []
  let failure: string | undefined
  const start = async (name: string, args: readonly string[], env: Record<string, string> = {}): Promise<Part> => {
    const part = new Part({ name, entry: join(PROJECT, `cli/services/${name}.ts`), args, env, readyEvent: 'ready' }, {
      stateDir: dir,
      onEvent: (_, event) => {
        if (event.event === 'gave-up' || event.event === 'restarting') failure = String(event['reason'])
      },
    }).start()
    parts.push(part)
    await part.ready()
    return part
  }
  const stop = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part.stop()
    await rm(dir, { recursive: true, force: true })
  }
  const postgresDir = join(dir, 'postgres')
  const [postgresPort, http, admin, index, metrics] = (await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()])) as [number, number, number, number, number]
  const databaseUrl = (name: 'graph' | 'bulwark'): string => postgresUrl(postgresDir, postgresPort, name)
  try {
    await start('postgres', ['--dir', postgresDir, '--port', String(postgresPort)])
    const graphNode = await start('graphNode', [
      ...['--dir', join(dir, 'graph-node'), '--network', network, '--subgraph', manifest],
      ...['--http-port', String(http), '--admin-port', String(admin), '--index-port', String(index), '--metrics-port', String(metrics)],
    ], { ...options.env, GRAPH_DATABASE_URL: databaseUrl('graph'), GRAPH_RPC_URL: rpcUrl })
    return {
      queryUrl: subgraphUrl(http),
      databaseUrl,
      stop,
      schema: () => withClient(databaseUrl('graph'), (client) => schemaOf(client, manifest)),
      untilAt: async (head) => {
        await untilAt(head, manifest, index, () => failure)
        const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
        const log = await readFile(graphNode.logFile, 'utf8')
        return { seconds: secondsOf(log, head), cpuSeconds: cpuSecondsOf(graphNode.pid), ...metricsOf(text), ...(await withClient(databaseUrl('graph'), (client) => tablesOf(client, manifest))) }
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Indexes a chain from nothing up to its head. */
export async function indexFrom(options: { manifest: string; rpcUrl: string; network: string; head: number; dir: string }): Promise<Indexing> {
  const run = await startIndexing(options)
  try {
    return await run.untilAt(options.head)
  } finally {
    await run.stop()
  }
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function schemaOf(client: pg.Client, manifest: string): Promise<string> {
  const [deployment] = (await client.query<{ name: string }>('SELECT name FROM deployment_schemas WHERE subgraph = $1', [manifest])).rows
  if (deployment === undefined) throw new InvariantError(`graph-node has no tables for ${manifest}`)
  return deployment.name
}

/** User and system time of the children of a process, s; NaN where the system does not say. */
function cpuSecondsOf(wrapper: number | undefined): number {
  try {
    const children = readFileSync(`/proc/${wrapper}/task/${wrapper}/children`, 'utf8').trim().split(' ')
    // Fields 14 and 15 of stat, counted after the name in brackets; ticks are hundredths of a second on Linux.
    const ticks = children.map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []).map((fields) => Number(fields[11]) + Number(fields[12]))
    return ticks.reduce((sum, one) => sum + one, 0) / 100
  } catch {
    return NaN
  }
}

type IndexingStatus = { subgraph: string; fatalError: { message: string } | null; chains: { latestBlock: { number: string } | null }[] }

/** Throws where graph-node does not answer. */
async function statusesOf(indexPort: number): Promise<{ indexingStatuses: IndexingStatus[] } | undefined> {
  const response = await fetch(`http://127.0.0.1:${indexPort}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ indexingStatuses { subgraph fatalError { message } chains { latestBlock { number } } } }' }),
  })
  return ((await response.json()) as { data?: { indexingStatuses: IndexingStatus[] } }).data
}

async function untilAt(head: number, manifest: string, indexPort: number, failure: () => string | undefined): Promise<void> {
  let last = -1
  let since = performance.now()
  let unanswered: string | undefined
  for (;;) {
    const failed = failure()
    if (failed !== undefined) throw new UnavailableError({ part: 'graph-node', found: failed, action: 'see its log' })
    const data = await statusesOf(indexPort).catch((error: unknown) => {
      const { cause } = error as { cause?: unknown }
      unanswered = cause instanceof Error ? cause.message : String(error)
      return undefined
    })
    const status = data?.indexingStatuses.find(({ subgraph }) => subgraph === manifest)
    if (status?.fatalError != null) throw new InvariantError(`the subgraph ${manifest} failed: ${status.fatalError.message}`)
    const block = data === undefined ? last : Number(status?.chains[0]?.latestBlock?.number ?? -1)
    if (block >= head) return
    if (data !== undefined) unanswered = undefined
    if (block !== last) since = performance.now()
    if (performance.now() - since > STANDSTILL_MS) throw new UnavailableError({ part: 'graph-node', found: `${manifest} has stood at block ${last} of ${head} for ${STANDSTILL_MS / 1_000} s${unanswered === undefined ? '' : ` (${unanswered})`}`, action: 'see its log' })
    last = block
    await sleep(200)
  }
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

type LogLine = { readonly atMs: number; readonly text: string }

/** graph-node's lines with their time; they are coloured where it believes to write to a terminal, and name no year. */
function linesOf(log: string, year: number): LogLine[] {
  return log.replaceAll(COLOUR, '').split('\n').flatMap((line) => {
    const [, stamp, text = ''] = /^(\w{3} \d{2} [\d:.]+) \w+ (.*)$/.exec(line) ?? []
    return stamp === undefined ? [] : [{ atMs: Date.parse(`${year} ${stamp} UTC`), text }]
  })
}

const COMMITTED = /^Committed write batch,.* block_number: (\d+)/

/** When graph-node committed the batch that ends with a block, by block, ms since 1970. */
export const commitsIn = (log: string, year: number): Map<number, number> =>
  new Map(linesOf(log, year).flatMap(({ atMs, text }) => {
    const block = COMMITTED.exec(text)?.[1]
    return block === undefined ? [] : [[Number(block), atMs] as const]
  }))

/** Seconds between graph-node's first "Start processing block" and the commit that holds `head`. Throws InvariantError where its log lacks them. */
export function secondsOf(log: string, head: number): number {
  const lines = linesOf(log, 2024)
  const from = lines.find(({ text }) => text.startsWith('Start processing block'))
  const to = lines.findLast(({ text }) => Number(COMMITTED.exec(text)?.[1] ?? -1) >= head)
  if (from === undefined || to === undefined) throw new InvariantError(`graph-node's log does not say when it began and when it committed block ${head}`)
  return (to.atMs - from.atMs) / 1_000
}

/** graph-node's own times from its Prometheus text. */
export function metricsOf(text: string): Pick<Indexing, 'events' | 'handlers' | 'sections'> {
  const handlers = new Map<string, { count: number; seconds: number }>()
  const sections = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^(deployment_handler_execution_time_sum|deployment_handler_execution_time_count|deployment_sync_secs)\{(.*)\} (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const label = (key: string): string => new RegExp(`(?:^|,)${key}="([^"]*)"`).exec(labels)?.[1] ?? ''
    if (name === 'deployment_sync_secs') sections.set(`${label('stage')}/${label('section')}`, Number(value))
    else {
      const entry = handlers.get(label('handler')) ?? { count: 0, seconds: 0 }
      if (name.endsWith('_count')) entry.count += Number(value)
      else entry.seconds += Number(value)
      handlers.set(label('handler'), entry)
    }
  }
  return { handlers, sections, events: [...handlers.values()].reduce((sum, { count }) => sum + count, 0) }
}

async function tablesOf(client: pg.Client, manifest: string): Promise<Pick<Indexing, 'rows' | 'instances'>> {
  const name = await schemaOf(client, manifest)
  const schema = client.escapeIdentifier(name)
  const { rows: columns } = await client.query<{ table_name: string; column_name: string; data_type: string }>(
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = $1 AND table_name NOT LIKE '%$'", [name],
  )
  const byTable = new Map<string, number>()
  const totals = { facts: 0, states: 0, samples: 0, buckets: 0 }
  for (const table of new Set(columns.map(({ table_name }) => table_name))) {
    const own = columns.filter(({ table_name }) => table_name === table)
    const [count] = (await client.query<{ count: string }>(`SELECT count(*) AS count FROM ${schema}.${client.escapeIdentifier(table)}`)).rows
    const rows = Number(count?.count ?? 0)
    if (rows === 0) continue
    byTable.set(table, rows)
    const isMutable = own.some(({ column_name }) => column_name === 'block_range')
    const isSeries = own.some(({ column_name, data_type }) => column_name === 'id' && data_type === 'bigint')
    totals[isMutable ? 'states' : !isSeries ? 'facts' : /_(hour|day)$/.test(table) ? 'buckets' : 'samples'] += rows
  }
  const { rows: made } = await client.query<{ manifest_idx: number; param: Buffer; from: number }>(`SELECT manifest_idx, param, lower(block_range) AS from FROM ${schema}."data_sources$"`)
  const instances = made.map(({ manifest_idx, param, from }) => ({ manifestIndex: manifest_idx, address: `0x${param.toString('hex')}`, fromBlock: from }))
  return { rows: { ...totals, byTable: new Map([...byTable].toSorted(([, a], [, b]) => b - a)) }, instances }
}
