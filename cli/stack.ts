import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BulwarkError } from '../core/errors.ts'
import { hideSecretsOf, maskUrls } from '../core/log.ts'
import { migrate } from '../prisma/migrate.ts'
import type { Deployment } from '../protocols/curie/deployments.ts'
import { buildSubgraph } from '../subgraph/build.ts'
import { examineDatabase, examineGraphDatabase } from './checks/database.ts'
import { assertFit, type Finding } from './checks/finding.ts'
import { examineGraphNode } from './checks/graphNode.ts'
import { examineRpc } from './checks/rpc.ts'
import { takeState } from './lock.ts'
import { assertPortsFree, needsPostgres, PROJECT, usedPorts, type RunOptions } from './options.ts'
import { askForFreshDeployment, subgraphUrl } from './services/graphNode.ts'
import { postgresUrl } from './services/databases.ts'
import { Part, type PartEvent, type PartSpec } from './supervisor.ts'

/** A running console with everything below it. */
export type Stack = {
  readonly deployment: Deployment
  readonly apiUrl: string
  readonly rpcUrl: string
  readonly graphNodeUrl: string
  readonly databaseUrl: string
  readonly stateDir: string
  /** The devnet as it stood when its history was complete; null on a chain that is not ours. */
  readonly head: { readonly number: number; readonly hash: string } | null
  stop(): Promise<void>
}

class StartInterruptedError extends BulwarkError {
  constructor() {
    super('The start was interrupted; start again whenever you like, what was there is kept', { code: 'INTERRUPTED' })
  }
}

/**
 * Starts everything in order, but for the parts that `options.real` names. On the devnet it returns when the mirror stands at the
 * chain's head; on another network, whose first synchronisation takes hours or days, when the API answers.
 * What an earlier run left in the state folder goes on where it stood. Stops what it started when a step fails, when a part is given up
 * before everything is up, or when `signal` fires.
 */
export async function startStack(options: RunOptions, progress: (step: string, detail: string) => void, signal: AbortSignal): Promise<Stack> {
  const state = await takeState(options.stateDir, options.deployment.network)
  const parts: Part[] = []
  const stop = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part.stop()
    state.release()
  }
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_, reject) => {
    fail = reject
    signal.addEventListener('abort', () => reject(new StartInterruptedError()), { once: true })
  })
  failed.catch(() => {})
  try {
    await assertPortsFree(options.ports, usedPorts(options))
    return await Promise.race([failed, bringUp(options, progress, { parts, signal, fail, stop })])
  } catch (error) {
    await stop()
    throw error
  }
}

type Progress = (step: string, detail: string) => void

/** What the examination of the given parts decided for ours. */
type Fit = {
  /** graph-node's settings for this RPC. */
  readonly graphNodeEnv: Readonly<Record<string, string>>
  readonly rpcBatch: number
}

/** Examines every part that was given, before anything is started on it. Throws UnfitPartError. */
export async function examine({ deployment, real }: RunOptions, progress: Progress): Promise<Fit> {
  const { rpcUrl, graphNodeUrl, graphNodeApiKey, databaseUrl, graphDatabaseUrl } = real
  const hide = hideSecretsOf([rpcUrl, graphNodeUrl, databaseUrl, graphDatabaseUrl].filter((url) => url !== null), [graphNodeApiKey])
  const say = ({ part, level, sentence }: Finding): void => progress(part, hide(level === 'warn' ? `NOTE ${sentence}` : sentence))
  let rpcBatch = 100
  let logBlocks: number | null = null
  if (rpcUrl !== null) {
    progress('rpc', `examining ${maskUrls(rpcUrl)}`)
    const examined = await examineRpc({ url: rpcUrl, deployment, history: graphNodeUrl === null, nowSec: Date.now() / 1000 })
    assertFit(examined.findings, say)
    rpcBatch = examined.batch
    logBlocks = examined.logBlocks
  }
  const database = databaseUrl === null ? null : await examineDatabase(databaseUrl, deployment)
  if (database !== null) assertFit(database.findings, say)
  if (graphNodeUrl !== null) assertFit(await examineGraphNode({ url: graphNodeUrl, apiKey: graphNodeApiKey, rpcUrl: rpcUrl!, deployment, stored: database?.stored ?? null }), say)
  else if (databaseUrl !== null || graphDatabaseUrl !== null) assertFit(await examineGraphDatabase(graphDatabaseUrl ?? besideUrl(databaseUrl!), { createFrom: graphDatabaseUrl === null ? databaseUrl : null }), say)
  // A remote chain is asked less often than a local one, and in ranges that it accepts; graph-node's own default scans 2,000 blocks
  // or about 100 events at a time, which leaves a fast RPC idle.
  const graphNodeEnv = logBlocks === null ? {} : { GRAPH_ETHEREUM_MAX_BLOCK_RANGE_SIZE: String(logBlocks), GRAPH_ETHEREUM_TARGET_TRIGGERS_PER_BLOCK_RANGE: '1000', ETHEREUM_POLLING_INTERVAL: '1000' }
  return { graphNodeEnv, rpcBatch }
}

/** graph-node's database on the console's server: the console's name with `_graph` after it. */
function besideUrl(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  url.pathname = `${url.pathname}_graph`
  return url.href
}

async function bringUp(
  options: RunOptions,
  progress: Progress,
  { parts, signal, fail, stop }: { parts: Part[]; signal: AbortSignal; fail: (error: Error) => void; stop: () => Promise<void> },
): Promise<Stack> {
  const { stateDir, cacheDir, deployment, real, ports } = options
  const { network } = deployment
  const fit = await examine(options, progress)
  let mirrored = -1
  let up = false
  let onMirrored: () => void = () => {}
  let graphNode: Part | null = null
  const onEvent = (part: string, event: PartEvent): void => {
    const reason = String(event['reason'])
    if (event.event === 'progress') progress(part, describeProgress(event))
    if (event.event === 'restarting') progress(part, `${reason}; starting it again (attempt ${String(event['attempt'])})`)
    if (event.event === 'gave-up') {
      if (up) progress(part, `${reason}; it stays down`)
      else fail(new BulwarkError(reason, { code: 'PART_FAILED' }))
    }
    if (event.event === 'stuck' && graphNode !== null) {
      const times = Number(event['times'])
      // A restart helps where it lost its way; where it asks for a block that the chain has forgotten, only a new deployment does.
      if (times === 2) askForFreshDeployment(join(stateDir, 'graph-node'))
      progress('graph-node', `${reason}${times === 1 ? '; starting it again' : times === 2 ? '; deploying the subgraph under a new path' : ''}`)
      if (times <= 2) void graphNode.restart()
    }
    // A chain that comes back is short of its blocks until it is ready again, and graph-node must not see that.
    if (part === 'chain' && event.event === 'restarting') graphNode?.suspend()
    if (part === 'chain' && event.event === 'ready') graphNode?.resume()
    if (part === 'mirror' && event.event === 'block') {
      mirrored = Number(event['number'])
      onMirrored()
    }
  }
  const start = (spec: PartSpec): Part => {
    if (signal.aborted) throw new StartInterruptedError()
    const part = new Part({ ...spec, entry: join(PROJECT, spec.entry) }, { stateDir, onEvent })
    parts.push(part)
    return part.start()
  }

  const postgresDir = join(stateDir, 'postgres')
  const postgres = needsPostgres(real) ? start({ name: 'postgres', entry: 'cli/services/postgres.ts', args: ['--dir', postgresDir, '--port', String(ports.postgres)], readyEvent: 'ready' }) : null
  const chain =
    real.rpcUrl === null
      ? start({
          name: 'chain',
          entry: 'devnet/main.ts',
          args: ['--state-dir', stateDir, '--cache-dir', cacheDir, '--port', String(ports.rpc), '--archive-port', String(ports.archive), ...(options.chainArgs ?? [])],
          readyEvent: 'ready',
        })
      : null
  // A deployment that has indexed blocks must not meet a chain that is still short of them.
  const indexed = join(stateDir, 'graph-node', 'indexed')
  const built = real.graphNodeUrl === null ? buildSubgraph({ network, deployment, cacheDir }) : null
  await Promise.all([built, postgres?.ready(), existsSync(indexed) ? chain?.ready() : chain?.event('rpc-ready')])
  if (postgres !== null) progress('postgres', `ready on port ${ports.postgres}`)
  const databaseUrl = real.databaseUrl ?? postgresUrl(postgresDir, ports.postgres, 'bulwark')
  const { applied } = await migrate(databaseUrl)
  if (applied.length > 0) progress('postgres', `migrated: ${applied.join(', ')}`)

  const rpcUrl = real.rpcUrl ?? `http://127.0.0.1:${ports.rpc}`
  if (built !== null) {
    const { manifest } = await built
    const graphDatabaseUrl = real.graphDatabaseUrl ?? (real.databaseUrl === null ? postgresUrl(postgresDir, ports.postgres, 'graph') : besideUrl(real.databaseUrl))
    graphNode = start({
      name: 'graph-node',
      entry: 'cli/services/graphNode.ts',
      args: [
        ...['--dir', join(stateDir, 'graph-node'), '--network', network, '--subgraph', manifest],
        ...['--http-port', String(ports.graphHttp), '--admin-port', String(ports.graphAdmin)],
        ...['--index-port', String(ports.graphIndex), '--metrics-port', String(ports.graphMetrics)],
      ],
      env: {
        ...fit.graphNodeEnv,
        GRAPH_DATABASE_URL: graphDatabaseUrl,
        // The devnet forgets old states; the mappings read the first blocks' parameters, which its archive keeps.
        GRAPH_RPC_URL: real.rpcUrl ?? `http://127.0.0.1:${ports.archive}`,
      },
      readyEvent: 'ready',
    })
    await graphNode.ready()
    writeFileSync(indexed, '')
    progress('graph-node', `indexing ${manifest}`)
  }

  const graphNodeUrl = real.graphNodeUrl ?? subgraphUrl(ports.graphHttp)
  const env = {
    DATABASE_URL: databaseUrl,
    GRAPH_NODE_URL: graphNodeUrl,
    GRAPH_NODE_API_KEY: real.graphNodeApiKey ?? '',
    GRAPH_NODE_STATUS_URL: real.graphNodeUrl === null ? `http://127.0.0.1:${ports.graphIndex}/graphql` : (process.env['GRAPH_NODE_STATUS_URL'] ?? ''),
    RPC_URL: rpcUrl,
    RPC_BATCH: String(fit.rpcBatch),
    NETWORK: network,
    API_HOST: '127.0.0.1',
    API_PORT: String(ports.api),
    STATE_DIR: stateDir,
    MIRROR_POLL_MS: chain === null ? '1000' : '200',
  }
  // Their state folder stands on the command line only so that a later run knows whose they are.
  const mirror = start({ name: 'mirror', entry: 'api/mirror/main.ts', args: ['--state-dir', stateDir], env, readyEvent: 'ready' })
  await mirror.ready()
  // On a chain in the middle of its replay, a past block would pass for the present one: the API waits for the devnet.
  const ready = await chain?.ready()
  const head = ready === undefined ? null : { number: Number(ready['headNumber']), hash: String(ready['headHash']) }
  if (head !== null) progress('chain', `block ${head.number}, ${head.hash}`)
  const api = start({ name: 'api', entry: 'api/graphql/main.ts', args: ['--state-dir', stateDir], env, readyEvent: 'ready' })
  const apiUrl = String((await api.ready())['url'])
  progress('api', `ready at ${apiUrl}`)
  if (head !== null) {
    await new Promise<void>((resolve) => {
      onMirrored = (): void => {
        progress('mirror', `block ${mirrored} of ${head.number}`)
        if (mirrored >= head.number) resolve()
      }
      onMirrored()
    })
    onMirrored = (): void => {}
  }
  up = true
  return { deployment, apiUrl, rpcUrl, graphNodeUrl, databaseUrl, stateDir, head, stop }
}

function describeProgress(event: PartEvent): string {
  const step = typeof event['step'] === 'string' ? event['step'] : 'working'
  return typeof event['done'] === 'number' && typeof event['total'] === 'number' ? `${step}: ${event['done']} of ${event['total']}` : step
}
