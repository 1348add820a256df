/** One chaos run: everything real, everything killed, and in the end every table as a clean run makes it. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createGraphNode } from '../../api/mirror/graphNode.ts'
import { postgresUrl } from '../../cli/services/databases.ts'
import { askForFreshDeployment, subgraphUrl } from '../../cli/services/graphNode.ts'
import { assertPortFree } from '../../cli/services/ports.ts'
import { BulwarkError, UnavailableError } from '../../core/errors.ts'
import { migrate } from '../../prisma/migrate.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { buildSubgraph } from '../../subgraph/build.ts'
import { startChain, type ChaosChain } from './chain.ts'
import { compareMirrors, compareRollups, type Comparison } from './compare.ts'
import { startProxy, type FaultProxy } from './proxy.ts'
import { DEEPEST, scheduleOf, type Entry, type Happening, type Link } from './schedule.ts'
import { Server } from './server.ts'

export type ChaosOptions = {
  readonly kills: number
  readonly reorgs: number
  readonly seed: number
  /** Days of history below the first block of the run. */
  readonly days: number
  readonly cacheDir: string
  /** Emptied first; all that the run writes. */
  readonly workDir: string
  /** The first of 14 ports of 127.0.0.1. */
  readonly port: number
  /** In place of a schedule from the seed. */
  readonly schedule?: readonly Entry[]
  /** Blocks of the deepest reorg in it. */
  readonly deepest?: number
  /** The chain forgets what it reorganises away, as anvil does: graph-node may then ask for a block for ever, and only a new deployment helps. */
  readonly forgetful?: boolean
  /** Told what happens, line by line. */
  readonly log: (line: string) => void
  /** Ends the run early: everything is stopped, and it throws. */
  readonly signal?: AbortSignal
}

export type ChaosReport = Omit<Comparison, 'examples'> & {
  readonly kills: number
  readonly reorgs: number
  /** Answers that were spoilt, and connections that were cut. */
  readonly faults: number
  readonly seed: number
  readonly blocks: number
  readonly deepestReorg: number
  /** Reorgs that the mirror rewound, and how many blocks they took back in all. */
  readonly rewinds: number
  readonly rewoundBlocks: number
  /** Times that the mirror was built again from the index. */
  readonly rebuilds: number
  /** graph-node's deployment id is the same at the end as at the start. */
  readonly sameDeployment: boolean
  /** Buckets that the clean graph-node's own aggregations have as well, and those in which the two differ. */
  readonly buckets: number
  readonly mismatchedBuckets: number
  /** Times that graph-node was called stuck. */
  readonly stuck: number
  /** Parts that ended without having been killed. */
  readonly deaths: number
  /** From the last event until every part stood at the head again, s. */
  readonly settledSec: number
  readonly seconds: number
  readonly examples: readonly string[]
}

/** graph-node pauses for 120 s once its own retries have run out. */
const SETTLE_MS = 600_000
const REVIVE_MS = 300_000
const INDEX_MS = 600_000
/** From `port` on. */
const PORTS = 14
/** Blocks after the last event: a reorg of the same height is noticed at the next block. */
const LAST_BLOCKS = 12

const since = (ms: number): number => Math.round((performance.now() - ms) / 100) / 10

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const startedMs = performance.now()
  const { workDir, log } = options
  const say = (line: string): void => log(`${since(startedMs).toFixed(1).padStart(6)} s  ${line}`)
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  // PostgreSQL runs as another user where we are root.
  chmodSync(workDir, 0o755)
  const closers: (() => Promise<unknown>)[] = []
  const interrupted = new Promise<never>((_, reject) => {
    options.signal?.addEventListener('abort', () => reject(new BulwarkError('The run was interrupted; start it again with the same --seed', { code: 'INTERRUPTED' })), { once: true })
  })
  interrupted.catch(() => undefined)
  try {
    return await Promise.race([interrupted, play(options, closers, say, startedMs)])
  } finally {
    for (const close of closers.toReversed()) await close().catch((error: unknown) => say(String(error)))
  }
}

async function play(options: ChaosOptions, closers: (() => Promise<unknown>)[], say: (line: string) => void, startedMs: number): Promise<ChaosReport> {
  const { seed } = options
  const stage = await setUp(options, closers, say)
  const { chain, follower, graphNode, graphUrl, databaseUrl, proxies, recovering } = stage
  const before = await untilFollowed(chain, databaseUrl, INDEX_MS)
  say(`everything stands at block ${(await chain.head()).number}, deployment ${before}`)

  const counts = { kills: 0, reorgs: 0, deepest: 0 }
  const firstBlock = (await chain.head()).number
  for (const { blocks, everyMs, followed, happening } of options.schedule ?? scheduleOf(seed, options.kills, options.reorgs)) {
    const mineOne = async (): Promise<void> => {
      await chain.mine()
      await sleep(everyMs)
    }
    for (let i = 0; i < blocks; i++) await mineOne()
    // A part that is down cannot be killed; the chain goes on until it is back.
    const name = happening.kind === 'kill' ? happening.target : happening.kind === 'weather' ? happening.link : ''
    while (recovering.has(name)) await mineOne()
    if (followed) {
      await Promise.all(recovering.values())
      await untilFollowed(chain, databaseUrl, SETTLE_MS)
    }
    say(describe(happening, (await chain.head()).number))
    const recovered = await perform(happening, stage)
    if (happening.kind === 'kill') counts.kills++
    if (happening.kind === 'reorg') {
      counts.reorgs++
      counts.deepest = Math.max(counts.deepest, happening.depth)
    }
    if (recovered !== null) note(recovering, name, recovered.whole)
  }
  await Promise.all(recovering.values())
  for (let i = 0; i < LAST_BLOCKS; i++) {
    await chain.mine()
    await sleep(250)
  }
  const lastMs = performance.now()
  const head = await chain.head()
  say(`the last event is over; the chain stands at block ${head.number}`)
  const after = await untilFollowed(chain, databaseUrl, SETTLE_MS)
  const settledSec = since(lastMs)
  say(`everything stands at the head again after ${settledSec} s`)
  const served = (await createGraphNode(graphUrl).meta()).deployment
  const mirror = await figures(databaseUrl)
  await follower.stop()
  await graphNode.stop()

  const clean = await cleanRun(stage, options, head.number, closers)
  say('the clean run stands at the same block')
  const { examples, ...comparison } = await compareMirrors(databaseUrl, clean.databaseUrl)
  const rollups = await compareRollups(clean.graphUrl, databaseUrl)
  return {
    kills: counts.kills,
    reorgs: counts.reorgs,
    faults: Object.values(proxies).reduce((all, { injected }) => [...injected.values()].reduce((a, b) => a + b, all), 0),
    ...comparison,
    seed,
    blocks: head.number - firstBlock,
    deepestReorg: counts.deepest,
    ...mirror,
    sameDeployment: before === after && after === served,
    ...rollups,
    stuck: stage.stuck(),
    deaths: stage.deaths(),
    settledSec,
    seconds: since(startedMs),
    examples,
  }
}

/** Until it is whole again nothing else happens to it. */
function note(recovering: Map<string, Promise<void>>, name: string, work: Promise<void>): void {
  const whole = work.finally(() => recovering.delete(name))
  // A failed revival is met where all are awaited; until then it must not count as unhandled.
  whole.catch(() => undefined)
  recovering.set(name, whole)
}

type Stage = {
  readonly chain: ChaosChain
  readonly postgres: Server
  readonly graphNode: Server
  readonly follower: Server
  readonly graphUrl: string
  readonly databaseUrl: string
  readonly manifest: string
  readonly proxies: Readonly<Record<Link, FaultProxy>>
  /** What is down or disturbed, by name. */
  readonly recovering: Map<string, Promise<void>>
  stuck(): number
  deaths(): number
}

function graphNodeServer(options: ChaosOptions, name: string, database: string, rpcUrl: string, manifest: string, ports: number, onDeath?: (reason: string) => void): { server: Server; url: string } {
  const { workDir } = options
  const url = new URL(postgresUrl(join(workDir, 'postgres'), options.port + 1, 'graph'))
  url.pathname = `/${database}`
  const server = new Server({
    name,
    entry: 'cli/services/graphNode.ts',
    args: [
      ...['--dir', join(workDir, name), '--network', 'devnet', '--rpc-url', rpcUrl, '--subgraph', manifest],
      ...['--http-port', String(ports), '--admin-port', String(ports + 1), '--index-port', String(ports + 2), '--metrics-port', String(ports + 3)],
    ],
    env: { GRAPH_DATABASE_URL: url.href },
    logFile: join(workDir, `${name}.log`),
    ...(onDeath === undefined ? {} : { onDeath }),
  })
  return { server, url: subgraphUrl(ports) }
}

async function setUp(options: ChaosOptions, closers: (() => Promise<unknown>)[], say: (line: string) => void): Promise<Stage> {
  const { workDir, cacheDir, seed, days, port } = options
  const recovering = new Map<string, Promise<void>>()
  let deaths = 0
  /** A supervisor starts a part again that has died by itself. */
  const supervised = (server: () => Server) => (reason: string): void => {
    deaths++
    say(`${server().name} has ended by itself: ${reason}`)
    note(recovering, server().name, revive(server()))
  }
  const postgres: Server = new Server({ onDeath: supervised(() => postgres), name: 'postgres', entry: 'cli/services/postgres.ts', args: ['--dir', join(workDir, 'postgres'), '--port', String(port + 1)], logFile: join(workDir, 'postgres.log') })
  closers.push(() => postgres.stop())
  // One after the other where one may fail: what was started is then known, and ended.
  for (let i = 0; i < PORTS; i++) await assertPortFree({ part: 'the chaos run', port: port + i, option: '--port' })
  const { manifest } = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
  await postgres.start()
  const chain = await startChain({ cacheDir, workDir: join(workDir, 'chain'), seed, days, port, deepest: options.deepest ?? DEEPEST })
  closers.push(() => chain.stop())
  const databaseUrl = postgresUrl(join(workDir, 'postgres'), port + 1, 'bulwark')
  await migrate(databaseUrl)

  const through = async (target: string, at: number): Promise<FaultProxy> => {
    const proxy = await startProxy(target, at)
    closers.push(() => proxy.stop())
    return proxy
  }
  const toChain = await through(options.forgetful === true ? chain.forgetfulUrl : chain.archiveUrl, port + 2)
  const { server: graphNode, url: graphUrl } = graphNodeServer(options, 'graph-node', 'graph', toChain.url, manifest, port + 5, supervised(() => graphNode))
  const proxies: Stage['proxies'] = { 'graph-node to chain': toChain, 'mirror to chain': await through(chain.url, port + 3), 'mirror to graph-node': await through(graphUrl, port + 4) }
  await graphNode.start()
  closers.push(() => graphNode.stop())
  let stuck = 0
  const follower: Server = new Server({
    onDeath: supervised(() => follower),
    name: 'follower',
    entry: 'api/mirror/main.ts',
    args: ['--state-dir', workDir],
    env: { DATABASE_URL: databaseUrl, GRAPH_NODE_URL: proxies['mirror to graph-node'].url, GRAPH_NODE_STATUS_URL: `http://127.0.0.1:${port + 7}/graphql`, RPC_URL: proxies['mirror to chain'].url, MIRROR_POLL_MS: '100' },
    logFile: join(workDir, 'follower.log'),
    onEvent: ({ event, times, reason }) => {
      if (event !== 'stuck') return
      stuck++
      say(`the follower says: ${String(reason)}`)
      // As the supervisor of cli/stack.ts.
      if (recovering.has('graph-node') || Number(times) > 2) return
      if (times === 2) askForFreshDeployment(join(workDir, 'graph-node'))
      note(recovering, 'graph-node', graphNode.kill().then(() => revive(graphNode)))
    },
  })
  await follower.start()
  closers.push(() => follower.stop())
  return { chain, postgres, graphNode, follower, graphUrl, databaseUrl, manifest, proxies, recovering, stuck: () => stuck, deaths: () => deaths }
}

/** Lets it happen. Where something is broken by it, `whole` resolves when that is mended. */
async function perform(happening: Happening, stage: Stage): Promise<{ whole: Promise<void> } | null> {
  const { chain, proxies } = stage
  if (happening.kind === 'reorg') {
    await chain.reorg(happening.depth)
    return null
  }
  if (happening.kind === 'weather') {
    const { link, faults, probability, seed, lastsMs } = happening
    proxies[link].weather(faults, probability, seed)
    return { whole: sleep(lastsMs).then(() => proxies[link].weather([], 0, 0)) }
  }
  if (happening.target === 'connection') {
    const both = [proxies['graph-node to chain'], proxies['mirror to chain']]
    for (const proxy of both) proxy.cut(true)
    const mend = sleep(happening.downMs).then(() => {
      for (const proxy of both) proxy.cut(false)
    })
    return { whole: mend }
  }
  const server = { follower: stage.follower, 'graph-node': stage.graphNode, postgres: stage.postgres }[happening.target]
  await server.kill()
  return { whole: sleep(happening.downMs).then(() => revive(server)) }
}

/** Starts it again and again, as a supervisor does: what it needs may be down as well. */
async function revive(server: Server): Promise<void> {
  for (const untilMs = Date.now() + REVIVE_MS; ; await sleep(500)) {
    try {
      return await server.start()
    } catch (error) {
      if (Date.now() > untilMs) throw error
    }
  }
}

function describe(happening: Happening, block: number): string {
  if (happening.kind === 'kill') return `block ${block}: kill ${happening.target}, back in ${happening.downMs} ms`
  if (happening.kind === 'reorg') return `block ${block}: reorg of ${happening.depth}`
  return `block ${block}: ${happening.link}: ${happening.faults.join(', ')} at ${Math.round(happening.probability * 100)} % for ${happening.lastsMs} ms`
}

async function query<R extends pg.QueryResultRow>(databaseUrl: string, text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  try {
    await client.connect()
    return (await client.query<R>(text)).rows
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** What the mirror says of itself. */
async function figures(databaseUrl: string): Promise<Pick<ChaosReport, 'rewinds' | 'rewoundBlocks' | 'rebuilds'>> {
  const [row] = await query<{ rewinds: number; rewoundBlocks: number; rebuilds: number }>(databaseUrl, 'SELECT "reorgCount" AS rewinds, "reorgBlocks"::int AS "rewoundBlocks", "rebuildCount" AS rebuilds FROM "MirrorStatus"')
  return row ?? { rewinds: 0, rewoundBlocks: 0, rebuilds: 0 }
}

/** Waits until the mirror's tables hold the chain's head; answers with the deployment that they come from. */
async function untilFollowed(chain: ChaosChain, databaseUrl: string, limitMs: number): Promise<string> {
  let last: unknown
  for (const untilMs = Date.now() + limitMs; Date.now() < untilMs; await sleep(200)) {
    const head = await chain.head()
    try {
      const [row] = await query<{ hash: string; number: string; deployment: string; error: string | null }>(databaseUrl, 'SELECT c."blockHash" AS hash, c."blockNumber" AS number, s."deployment", s."error" FROM "Checkpoint" c, "MirrorStatus" s ORDER BY c."blockNumber" DESC LIMIT 1')
      last = row
      if (row?.hash === head.hash) return row.deployment
    } catch (error) {
      last = String(error)
    }
  }
  throw new UnavailableError({ part: 'mirror', found: `it does not stand at the head after ${limitMs / 1000} s (${JSON.stringify(last)})`, action: 'see the logs in the work folder' })
}

/** The same blocks into an empty graph-node and from there into an empty mirror, undisturbed. */
async function cleanRun(stage: Stage, options: ChaosOptions, head: number, closers: (() => Promise<unknown>)[]): Promise<{ databaseUrl: string; graphUrl: string }> {
  for (const name of ['graph_clean', 'bulwark_clean']) await query(stage.databaseUrl, `CREATE DATABASE ${name}`)
  const url = new URL(stage.databaseUrl)
  url.pathname = '/bulwark_clean'
  const databaseUrl = url.href
  await migrate(databaseUrl)
  const { server, url: graphUrl } = graphNodeServer(options, 'graph-node-clean', 'graph_clean', stage.chain.archiveUrl, stage.manifest, options.port + 10)
  await server.start()
  closers.push(() => server.stop())
  const graphNode = createGraphNode(graphUrl)
  for (const untilMs = Date.now() + INDEX_MS; ; await sleep(250)) {
    const meta = await graphNode.meta().catch(() => null)
    if (meta !== null && meta.head.number >= BigInt(head)) break
    if (Date.now() > untilMs) throw new UnavailableError({ part: 'graph-node', found: `the clean one stands at block ${meta?.head.number ?? 'none'} after ${INDEX_MS / 1000} s`, action: 'see its log in the work folder' })
  }
  const mirror = new Server({
    name: 'mirror-clean',
    entry: 'api/mirror/main.ts',
    args: ['--state-dir', options.workDir, '--stop-at', String(head)],
    env: { DATABASE_URL: databaseUrl, GRAPH_NODE_URL: graphUrl, RPC_URL: stage.chain.url },
    logFile: join(options.workDir, 'mirror-clean.log'),
  })
  closers.push(() => mirror.stop())
  await mirror.start()
  await mirror.event('stopped', INDEX_MS)
  return { databaseUrl, graphUrl }
}
