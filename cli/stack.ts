import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate } from '../prisma/migrate.ts'
import { devnet, type Deployment } from '../protocols/curie/deployments.ts'
import { buildSubgraph } from '../subgraph/build.ts'
import { assertNotRunning } from './lock.ts'
import { assertPortsFree, PROJECT, type RunOptions } from './options.ts'
import { subgraphUrl } from './services/graphNode.ts'
import { postgresUrl } from './services/databases.ts'
import { endLeftParts, Part, type PartEvent, type PartSpec } from './supervisor.ts'

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

/**
 * Starts everything in order and returns when the mirror stands at the chain's head and the API answers.
 * What an earlier run left in the state folder goes on where it stood. Stops what it started when a step fails.
 */
export async function startStack(options: RunOptions, progress: (step: string, detail: string) => void): Promise<Stack> {
  const { stateDir, cacheDir, network, ports } = options
  mkdirSync(stateDir, { recursive: true })
  assertNotRunning(stateDir)
  await endLeftParts(stateDir)
  await assertPortsFree(ports)
  writeFileSync(join(stateDir, 'supervisor.pid'), String(process.pid))

  const parts: Part[] = []
  let mirrored = -1
  // Until everything is up, a part that is given up fails the start, and the error says why.
  let started = false
  let onMirrored: (() => void) | null = null
  const onEvent = (part: string, event: PartEvent): void => {
    if (event.event === 'progress') progress(part, describeProgress(event))
    if (event.event === 'restarting') progress(part, `${String(event['reason'])}; starting it again (attempt ${String(event['attempt'])})`)
    if (event.event === 'gave-up' && started) progress(part, `${String(event['reason'])}; it stays down`)
    if (event.event === 'stuck') progress(part, String(event['reason']))
    if (part === 'mirror' && event.event === 'block') {
      mirrored = Number(event['number'])
      onMirrored?.()
    }
  }
  const start = (spec: PartSpec): Part => {
    const part = new Part({ ...spec, entry: join(PROJECT, spec.entry) }, { stateDir, onEvent })
    parts.push(part)
    return part.start()
  }
  const stop = async (): Promise<void> => {
    for (const part of parts.toReversed()) await part.stop()
    rmSync(join(stateDir, 'supervisor.pid'), { force: true })
  }

  try {
    const postgresDir = join(stateDir, 'postgres')
    const postgres = start({ name: 'postgres', entry: 'cli/services/postgres.ts', args: ['--dir', postgresDir, '--port', String(ports.postgres)], readyEvent: 'ready' })
    const chain = start({
      name: 'chain',
      entry: 'devnet/main.ts',
      args: ['--state-dir', stateDir, '--cache-dir', cacheDir, '--port', String(ports.rpc), '--archive-port', String(ports.archive)],
      readyEvent: 'ready',
    })
    // A deployment that has indexed blocks must not meet a chain that is still short of them.
    const indexedBefore = existsSync(join(stateDir, 'graph-node', 'indexed'))
    const [built] = await Promise.all([
      buildSubgraph({ network, deployment: devnet, cacheDir }),
      postgres.ready(),
      indexedBefore ? chain.ready() : chain.event('rpc-ready'),
    ])
    progress('postgres', `ready on port ${ports.postgres}`)
    const databaseUrl = postgresUrl(postgresDir, ports.postgres, 'bulwark')
    const { applied } = await migrate(databaseUrl)
    if (applied.length > 0) progress('postgres', `migrated: ${applied.join(', ')}`)

    const rpcUrl = `http://127.0.0.1:${ports.rpc}`
    // The chain forgets old states; the mappings read the first blocks' parameters, which the archive keeps.
    const archiveUrl = `http://127.0.0.1:${ports.archive}`
    const graphNode = start({
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
    writeFileSync(join(stateDir, 'graph-node', 'indexed'), '')
    progress('graph-node', `indexing ${built.manifest}`)

    const graphNodeUrl = subgraphUrl(ports.graphHttp)
    const env = {
      DATABASE_URL: databaseUrl,
      GRAPH_NODE_URL: graphNodeUrl,
      GRAPH_NODE_STATUS_URL: `http://127.0.0.1:${ports.graphIndex}/graphql`,
      RPC_URL: rpcUrl,
      NETWORK: network,
      API_HOST: '127.0.0.1',
      API_PORT: String(ports.api),
      STATE_DIR: stateDir,
    }
    const mirror = start({ name: 'mirror', entry: 'api/mirror/main.ts', args: [], env, readyEvent: 'ready' })
    const ready = await chain.ready()
    const head = { number: Number(ready['headNumber']), hash: String(ready['headHash']) }
    progress('chain', `block ${head.number}, ${head.hash}`)
    await mirror.ready()
    await new Promise<void>((resolve, reject) => {
      onMirrored = (): void => {
        if (mirrored >= head.number) resolve()
      }
      onMirrored()
      mirror.event('gave-up').catch(reject)
      graphNode.event('gave-up').catch(reject)
    })
    onMirrored = null
    progress('mirror', `block ${mirrored}`)
    const api = start({ name: 'api', entry: 'api/graphql/main.ts', args: [], env, readyEvent: 'ready' })
    const apiUrl = String((await api.ready())['url'])
    progress('api', `ready at ${apiUrl}`)
    started = true
    return { deployment: devnet, apiUrl, rpcUrl, graphNodeUrl, databaseUrl, stateDir, head, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function describeProgress(event: PartEvent): string {
  const step = typeof event['step'] === 'string' ? event['step'] : 'working'
  return typeof event['done'] === 'number' && typeof event['total'] === 'number' ? `${step}: ${event['done']} of ${event['total']}` : step
}
