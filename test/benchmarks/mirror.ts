/** The mirror: rows per second into PostgreSQL, memory while the book grows, and how long a block takes to be seen in our GraphQL. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { readEntities, type Entity } from '../../api/mirror/entities.ts'
import { PROJECT } from '../../cli/options.ts'
import { Part } from '../../cli/supervisor.ts'
import { UnavailableError } from '../../core/errors.ts'
import { freePort } from '../../core/ports.ts'
import { migrate } from '../../prisma/migrate.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { buildSubgraph } from '../../subgraph/build.ts'
import { serveBulk } from './chain.ts'
import { startIndexing, type GraphNodeRun } from './graph-node.ts'
import { benchLatency, type LatencyResult } from './latency.ts'
import { handlersOf, parseManifest } from './triggers.ts'
import { benchWrites, countRows, readBatches, type WriteResult } from './writes.ts'

export type FollowResult = {
  /** Accounts of the index when the follower started from nothing; each beyond the chain's own has one position. */
  readonly accounts: number
  /** Rows of the index that it stored. */
  readonly rows: number
  readonly seconds: number
  /** graph-node's answers included. */
  readonly rowsPerSecond: number
  /** Resident memory of its process, MiB: largest, and at the end. */
  readonly peakMiB: number
  readonly endMiB: number
}

export type MirrorResult = WriteResult & { readonly follow: readonly FollowResult[]; readonly latency: LatencyResult }

export type MirrorOptions = {
  /** Events of the chain whose rows are written. */
  readonly events: number
  /** Sizes of the book that the follower starts on. */
  readonly books: readonly number[]
  readonly rounds: number
  readonly blocks: number
  readonly quietBlocks: number
  readonly dir: string
  readonly cacheDir: string
  readonly progress: (text: string) => void
}

export async function benchMirror(options: MirrorOptions): Promise<MirrorResult> {
  const { events, books, rounds, dir, cacheDir, progress } = options
  const stored = await benchStore({ events, books, rounds, dir, cacheDir, progress })
  const latency = await benchLatency({ blocks: options.blocks, quietBlocks: options.quietBlocks, dir: join(dir, 'stack'), progress })
  return { ...stored, latency }
}

async function benchStore({ events, books, rounds, dir, cacheDir, progress }: Pick<MirrorOptions, 'events' | 'books' | 'rounds' | 'dir' | 'cacheDir' | 'progress'>): Promise<WriteResult & Pick<MirrorResult, 'follow'>> {
  const entities = readEntities()
  const { dir: build, manifest } = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
  const handlers = handlersOf(parseManifest(readFileSync(join(build, 'subgraph.yaml'), 'utf8')))
  const report = (done: number, total: number): void => progress(`the chain: ${done} of ${total} events`)
  const chain = await serveBulk({ events, handlers, cacheDir, dir: join(dir, 'chain'), ports: { chain: await freePort(), archive: await freePort() }, onProgress: report })
  try {
    const head = await chain.growTo(events, report)
    // It remembers answers by block, and the rows below a block are to grow here: it is to remember those of no subgraph. (A memory of 0
    // blocks makes it divide by zero at its first query.)
    const env = { GRAPH_CACHED_SUBGRAPH_IDS: 'none' }
    const graphNode = await startIndexing({ manifest, rpcUrl: chain.url, network: 'devnet', dir: join(dir, 'run'), env })
    try {
      progress(`indexing ${head} blocks`)
      await graphNode.untilAt(head)
      const databases = await databasesOf(graphNode.databaseUrl('bulwark'))
      try {
        const follow: FollowResult[] = []
        let batches
        for (const accounts of [0, ...books]) {
          const url = await databases.fresh()
          const grown = await growBook(graphNode, accounts, devnet.startBlock + 30)
          const result = await followOnce({ accounts: grown, head, databaseUrl: url, graphNode, entities, rpcUrl: chain.url, dir })
          progress(`the follower stored ${result.rows} rows of ${grown} accounts in ${result.seconds.toFixed(1)} s, at most ${result.peakMiB.toFixed(0)} MiB`)
          follow.push(result)
          batches ??= await readBatches(url, entities, 100_000)
        }
        const writes = await benchWrites(batches ?? [], entities, rounds, () => databases.fresh())
        return { ...writes, follow }
      } finally {
        await databases.close()
      }
    } finally {
      await graphNode.stop()
    }
  } finally {
    await chain.stop()
  }
}

/** New migrated databases beside an empty one. */
async function databasesOf(emptyUrl: string): Promise<{ fresh(): Promise<string>; close(): Promise<void> }> {
  await migrate(emptyUrl)
  const client = new pg.Client({ connectionString: emptyUrl.replace(/\/bulwark$/, '/postgres') })
  await client.connect()
  let last: string | undefined
  let count = 0
  return {
    fresh: async () => {
      if (last !== undefined) await client.query(`DROP DATABASE ${last} WITH (FORCE)`)
      last = `bench_${++count}`
      await client.query(`CREATE DATABASE ${last} TEMPLATE bulwark`)
      return emptyUrl.replace(/\/bulwark$/, `/${last}`)
    },
    close: () => client.end(),
  }
}

/**
 * Copies the newest account and its position in graph-node's tables until there are `accounts` of them, valid from `fromBlock` on: a
 * chain of so many accounts would take hours to make, and the follower cannot tell. Answers with how many there are.
 */
async function growBook(graphNode: GraphNodeRun, accounts: number, fromBlock: number): Promise<number> {
  const client = new pg.Client({ connectionString: graphNode.databaseUrl('graph') })
  await client.connect()
  try {
    const schema = client.escapeIdentifier(await graphNode.schema())
    const count = async (): Promise<number> => Number((await client.query<{ count: string }>(`SELECT count(DISTINCT id) AS count FROM ${schema}.account`)).rows[0]?.count ?? 0)
    const there = await count()
    const wanted = accounts - there
    if (wanted <= 0) return there
    for (const table of ['account', 'position']) {
      const { rows } = await client.query<{ column_name: string }>("SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2", [await graphNode.schema(), table])
      const names = rows.map(({ column_name }) => column_name)
      const id = `decode(lpad(to_hex(${there} + n), 40, '0'), 'hex')`
      const filled: Readonly<Record<string, string>> = {
        vid: `(SELECT max(vid) FROM ${schema}.${table}) + n`,
        id: table === 'account' ? id : `${id} || t.market`,
        account: id,
        block_range: `int4range(${fromBlock}, NULL)`,
      }
      await client.query(`INSERT INTO ${schema}.${table} (${names.map((name) => client.escapeIdentifier(name)).join(', ')})
        SELECT ${names.map((name) => filled[name] ?? `t.${client.escapeIdentifier(name)}`).join(', ')}
        FROM (SELECT * FROM ${schema}.${table} ORDER BY vid DESC LIMIT 1) AS t, generate_series(1, ${wanted}) AS n`)
    }
    await client.query('ANALYZE')
    return await count()
  } finally {
    await client.end()
  }
}

/** Longest that a follower may take from nothing to the head. */
const FOLLOW_MS = 600_000

/** The follower's own process, from an empty database to graph-node's head. */
async function followOnce(options: { accounts: number; head: number; databaseUrl: string; graphNode: GraphNodeRun; entities: readonly Entity[]; rpcUrl: string; dir: string }): Promise<FollowResult> {
  const { accounts, head, databaseUrl, graphNode, entities, rpcUrl, dir } = options
  let at = -1
  const part = new Part(
    {
      name: 'mirror',
      entry: join(PROJECT, 'api/mirror/main.ts'),
      args: [],
      env: { DATABASE_URL: databaseUrl, GRAPH_NODE_URL: graphNode.queryUrl, RPC_URL: rpcUrl, METRICS_PORT: '0' },
      readyEvent: 'ready',
    },
    { stateDir: join(dir, 'follower'), onEvent: (_, event) => (event.event === 'block' ? (at = Number(event['number'])) : undefined) },
  ).start()
  try {
    await part.ready()
    const startedMs = performance.now()
    let peakMiB = 0
    let rssMiB = 0
    while (at < head) {
      rssMiB = residentMiB(part.pid) ?? rssMiB
      peakMiB = Math.max(peakMiB, rssMiB)
      if (performance.now() - startedMs > FOLLOW_MS) throw new UnavailableError({ part: 'mirror', found: `it stands at block ${at} of ${head} after ${FOLLOW_MS / 1_000} s`, action: `see ${part.logFile}` })
      await sleep(100)
    }
    const seconds = (performance.now() - startedMs) / 1_000
    const rows = [...(await countRows(databaseUrl, entities)).values()].reduce((sum, count) => sum + count, 0)
    return { accounts, rows, seconds, rowsPerSecond: rows / seconds, peakMiB, endMiB: residentMiB(part.pid) ?? rssMiB }
  } finally {
    await part.stop()
  }
}

/** Resident memory of a process, MiB; undefined once it is gone. */
function residentMiB(pid: number | undefined): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1_024
  } catch {
    return undefined
  }
}
