import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BulwarkError } from '../core/errors.ts'
import { migrate } from '../prisma/migrate.ts'
import { devnet, type Deployment } from '../protocols/curie/deployments.ts'
import { buildSubgraph } from '../subgraph/build.ts'
import { takeState } from './lock.ts'
import { assertPortsFree, PROJECT, type RunOptions } from './options.ts'
import { subgraphUrl } from './services/graphNode.ts'
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
  /** The chain as it stood when its history was complete. */
  readonly head: { readonly number: number; readonly hash: string }
  stop(): Promise<void>
}

class StartInterruptedError extends BulwarkError {
  constructor() {
    super('The start was interrupted; start again whenever you like, what was there is kept', { code: 'INTERRUPTED' })
  }
}

/**
 * Starts everything in order and returns when the mirror stands at the chain's head and the API answers.
 * What an earlier run left in the state folder goes on where it stood. Stops what it started when a step fails, when a part is given up
 * before everything is up, or when `signal` fires.
 */
export async function startStack(options: RunOptions, progress: (step: string, detail: string) => void, signal: AbortSignal): Promise<Stack> {
  const state = await takeState(options.stateDir)
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
    await assertPortsFree(options.ports)
    return await Promise.race([failed, bringUp(options, progress, { parts, signal, fail, stop })])
  } catch (error) {
    await stop()
    throw error
  }
}

async function bringUp(
  { stateDir, cacheDir, network, ports }: RunOptions,
  progress: (step: string, detail: string) => void,
  { parts, signal, fail, stop }: { parts: Part[]; signal: AbortSignal; fail: (error: Error) => void; stop: () => Promise<void> },
): Promise<Stack> {
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
    if (event.event === 'stuck') {
      progress('graph-node', `${reason}; starting it again`)
      void graphNode?.restart()
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
  const postgres = start({ name: 'postgres', entry: 'cli/services/postgres.ts', args: ['--dir', postgresDir, '--port', String(ports.postgres)], readyEvent: 'ready' })
  const chain = start({
    name: 'chain',
    entry: 'devnet/main.ts',
    args: ['--state-dir', stateDir, '--cache-dir', cacheDir, '--port', String(ports.rpc), '--archive-port', String(ports.archive)],
    readyEvent: 'ready',
  })
  // A deployment that has indexed blocks must not meet a chain that is still short of them.
  const indexed = join(stateDir, 'graph-node', 'indexed')
  const [built] = await Promise.all([buildSubgraph({ network, deployment: devnet, cacheDir }), postgres.ready(), existsSync(indexed) ? chain.ready() : chain.event('rpc-ready')])
  progress('postgres', `ready on port ${ports.postgres}`)
  const databaseUrl = postgresUrl(postgresDir, ports.postgres, 'bulwark')
  const { applied } = await migrate(databaseUrl)
  if (applied.length > 0) progress('postgres', `migrated: ${applied.join(', ')}`)

  const rpcUrl = `http://127.0.0.1:${ports.rpc}`
  // The chain forgets old states; the mappings read the first blocks' parameters, which the archive keeps.
  const archiveUrl = `http://127.0.0.1:${ports.archive}`
  graphNode = start({
    name: 'graph-node',
    entry: 'cli/services/graphNode.ts',
    args: [
      ...['--dir', join(stateDir, 'graph-node'), '--network', network, '--rpc-url', archiveUrl, '--subgraph', built.manifest],
      ...['--http-port', String(ports.graphHttp), '--admin-port', String(ports.graphAdmin)],
      ...['--index-port', String(ports.graphIndex), '--metrics-port', String(ports.graphMetrics)],
    ],
    env: { GRAPH_DATABASE_URL: postgresUrl(postgresDir, ports.postgres, 'graph') },
    readyEvent: 'ready',
  })
  await graphNode.ready()
  writeFileSync(indexed, '')
  progress('graph-node', `indexing ${built.manifest}`)

  const graphNodeUrl = subgraphUrl(ports.graphHttp)
  const env = {
    DATABASE_URL: databaseUrl,
    GRAPH_NODE_URL: graphNodeUrl,
    RPC_URL: rpcUrl,
    NETWORK: network,
    API_HOST: '127.0.0.1',
    API_PORT: String(ports.api),
    STATE_DIR: stateDir,
  }
  // Their state folder stands on the command line only so that a later run knows whose they are.
  const mirror = start({ name: 'mirror', entry: 'api/mirror/main.ts', args: ['--state-dir', stateDir], env, readyEvent: 'ready' })
  await mirror.ready()
  const ready = await chain.ready()
  const head = { number: Number(ready['headNumber']), hash: String(ready['headHash']) }
  progress('chain', `block ${head.number}, ${head.hash}`)
  // Not before: on a chain in the middle of its replay, a past block would pass for the present one.
  const api = start({ name: 'api', entry: 'api/graphql/main.ts', args: ['--state-dir', stateDir], env, readyEvent: 'ready' })
  const apiUrl = String((await api.ready())['url'])
  progress('api', `ready at ${apiUrl}`)
  await new Promise<void>((resolve) => {
    onMirrored = (): void => {
      progress('mirror', `block ${mirrored} of ${head.number}`)
      if (mirrored >= head.number) resolve()
    }
    onMirrored()
  })
  onMirrored = (): void => {}
  up = true
  return { deployment: devnet, apiUrl, rpcUrl, graphNodeUrl, databaseUrl, stateDir, head, stop }
}

function describeProgress(event: PartEvent): string {
  const step = typeof event['step'] === 'string' ? event['step'] : 'working'
  return typeof event['done'] === 'number' && typeof event['total'] === 'number' ? `${step}: ${event['done']} of ${event['total']}` : step
}
