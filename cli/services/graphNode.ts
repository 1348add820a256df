/**
 * graph-node as a supervised process:
 * `graphNode.ts --dir DIR --network NAME --subgraph MANIFEST --http-port N --admin-port N --index-port N --metrics-port N`,
 * with the database's URL in GRAPH_DATABASE_URL and the chain's in GRAPH_RPC_URL (or, where it holds no key, in --rpc-url). What else
 * stands in the environment is graph-node's own, over the settings below.
 *
 * `gnd dev` indexes the manifests that it is given from the beginning at each start, so it is given an empty one, and ours is
 * deployed through the admin port: graph-node knows that deployment by its path and goes on where it stood.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { BadInputError, UnavailableError } from '../../core/errors.ts'
import { createLogger, hideSecretsOf } from '../../core/log.ts'
import { hurryHeads } from './heads.ts'
import { emit, onEnd } from './lifeline.ts'
import { endProcesses, isRunning, processesOn } from './orphans.ts'

/** Name under which the subgraph is deployed, hence the path of its query endpoint. */
export const SUBGRAPH_NAME = 'bulwark'

/** Where graph-node answers queries for our subgraph. */
export const subgraphUrl = (httpPort: number): string => `http://127.0.0.1:${httpPort}/subgraphs/name/${SUBGRAPH_NAME}`

/** In graph-node's folder: asks for a deployment under a new path at the next start. */
const FRESH_MARK = 'deploy-afresh'

/**
 * Lets the next start deploy the same build under a new path: it indexes from the beginning, and the old deployment is left.
 * The cure for one that asks the chain for a block that no node has any more, which no restart helps.
 */
export function askForFreshDeployment(dir: string): void {
  writeFileSync(join(dir, FRESH_MARK), '')
}

/** The path that the manifest is deployed under: its own, or that of the copy which took its place. */
function deploymentPath(dir: string, manifest: string): string {
  const file = join(dir, 'deployment.json')
  const copied = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { manifest: string; copy: string }) : null
  if (!existsSync(join(dir, FRESH_MARK))) return copied?.manifest === manifest ? copied.copy : manifest
  // The build as it stands under a path of its own: the deployment's id is that path.
  const folder = join(dir, 'deployments', randomBytes(6).toString('hex'))
  cpSync(dirname(manifest), folder, { recursive: true })
  const copy = join(folder, basename(manifest))
  writeFileSync(file, JSON.stringify({ manifest, copy }))
  rmSync(join(dir, FRESH_MARK))
  return copy
}

/** Migrations of a new database included, it answers within seconds. */
const START_MS = 90_000

/** `gnd dev` wants a manifest of its own; this one indexes nothing. */
function emptyManifest(dir: string, network: string): string {
  const build = join(dir, 'empty', 'build')
  mkdirSync(build, { recursive: true })
  writeFileSync(join(build, 'schema.graphql'), 'type Nothing @entity(immutable: true) { id: ID! }\n')
  // The smallest valid WebAssembly module: magic number and version.
  writeFileSync(join(build, 'empty.wasm'), Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))
  writeFileSync(
    join(build, 'abi.json'),
    JSON.stringify([{ type: 'event', name: 'Never', inputs: [], anonymous: false }]),
  )
  const manifest = `specVersion: 1.2.0
schema: { file: ./schema.graphql }
dataSources:
  - kind: ethereum
    name: Nothing
    network: ${network}
    source: { address: '0x0000000000000000000000000000000000000001', abi: Nothing, startBlock: 0 }
    mapping:
      kind: ethereum/events
      apiVersion: 0.0.9
      language: wasm/assemblyscript
      file: ./empty.wasm
      entities: [Nothing]
      abis: [{ name: Nothing, file: ./abi.json }]
      eventHandlers: [{ event: Never(), handler: never }]
`
  // gnd wants the manifest beside the build folder as well as in it.
  for (const folder of [join(dir, 'empty'), build]) writeFileSync(join(folder, 'subgraph.yaml'), manifest)
  return `${join(dir, 'empty', 'subgraph.yaml')}:build`
}

/** gnd insists on an IPFS that answers; a subgraph without IPFS calls needs only its refusals. */
function startIpfsStandIn(): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    response.statusCode = request.url?.startsWith('/ipfs/') === true ? 412 : 200
    response.end()
  })
  return new Promise((ready) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      ready({ url: `http://127.0.0.1:${port}`, close: () => new Promise((closed) => server.close(() => closed())) })
    })
  })
}

async function adminCall(port: number, method: string, params: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  const body = (await response.json()) as { result?: unknown; error?: { message: string } }
  if (body.error !== undefined) throw new UnavailableError({ part: 'graph-node', found: `${method} answered "${body.error.message}"`, action: 'its log says more' })
  return body.result
}

async function waitForPort(url: string, alive: () => boolean): Promise<void> {
  for (const until = Date.now() + START_MS; ; ) {
    if (Date.now() > until) throw new UnavailableError({ part: 'graph-node', found: `it did not answer within ${START_MS / 1000} s`, action: 'its log says what it waits for' })
    if (!alive()) throw new UnavailableError({ part: 'graph-node', found: 'it ended while starting', action: 'its log says why' })
    try {
      await fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
      return
    } catch {
      await sleep(50)
    }
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      network: { type: 'string' },
      'rpc-url': { type: 'string' },
      subgraph: { type: 'string' },
      'http-port': { type: 'string' },
      'admin-port': { type: 'string' },
      'index-port': { type: 'string' },
      'metrics-port': { type: 'string' },
    },
  })
  const { dir, network, subgraph } = values
  const rpcUrl = values['rpc-url'] ?? process.env['GRAPH_RPC_URL']
  const databaseUrl = process.env['GRAPH_DATABASE_URL']
  const adminPort = Number(values['admin-port'])
  if (dir === undefined || network === undefined || rpcUrl === undefined || subgraph === undefined || databaseUrl === undefined) {
    throw new BadInputError('Found an incomplete command line, needed are --dir, --network, --subgraph, four ports, GRAPH_RPC_URL and GRAPH_DATABASE_URL; give them')
  }
  const log = createLogger('graph-node')
  mkdirSync(dir, { recursive: true })
  // One that a killed wrapper left.
  await endProcesses(processesOn(resolve(dir), [resolve(dir)], ['gnd']), 0)

  const ipfs = await startIpfsStandIn()
  const gnd = join(dirname(createRequire(import.meta.url).resolve('@graphprotocol/gnd-linux-x64/package.json')), 'bin', 'gnd')
  const child = spawn(
    gnd,
    [
      'dev',
      ...['--manifests', emptyManifest(resolve(dir), network)],
      ...['--ipfs', ipfs.url],
      ...['--http-port', values['http-port'] ?? ''],
      ...['--admin-port', values['admin-port'] ?? ''],
      ...['--index-node-port', values['index-port'] ?? ''],
      ...['--metrics-port', values['metrics-port'] ?? ''],
    ],
    {
      cwd: dir,
      env: {
        // These two let it follow a live head at once.
        ETHEREUM_POLLING_INTERVAL: '100',
        GRAPH_STORE_DISABLE_CHAIN_HEAD_PTR_CACHE: 'true',
        GRAPH_SUBGRAPH_ERROR_RETRY_CEIL_SECS: '3',
        // It asks eth_getLogs once for each of the manifest's filters and each range of blocks, and by default chooses ranges of about
        // 100 events: 26 questions for 5 busy blocks. With ten times that, indexing a busy chain took a third less time.
        GRAPH_ETHEREUM_TARGET_TRIGGERS_PER_BLOCK_RANGE: '1000',
        GRAPH_LOG: 'info',
        ...process.env,
        // Not on the command line, which every user of the machine may read.
        POSTGRES_URL: databaseUrl,
        ETHEREUM_RPC: `${network}:${rpcUrl}`,
        // A backtrace on its hot path makes indexing three times slower.
        RUST_BACKTRACE: '0',
        RUST_LIB_BACKTRACE: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  )
  // graph-node writes the chain's URL into its log, and a URL may carry a key.
  const hide = hideSecretsOf([rpcUrl, databaseUrl])
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on('line', (line) => {
      process.stderr.write(`${hide(line)}\n`)
      // Started while PostgreSQL is away, it neither tries again nor ends.
      if (line.includes('database setup failed')) child.kill('SIGKILL')
    })
  }
  let ended = false
  let stopping = false
  child.on('exit', (code, signal) => {
    ended = true
    if (!stopping) {
      emit({ event: 'failed', reason: `gnd ended with ${signal ?? `code ${code}`}` })
      process.exit(1)
    }
  })
  const leaveHeads = hurryHeads(databaseUrl, network)
  onEnd(async () => {
    stopping = true
    child.kill('SIGINT')
    void leaveHeads()
    const pid = child.pid
    for (let waited = 0; waited < 100 && pid !== undefined && !ended && isRunning(pid); waited++) await sleep(50)
    if (!ended) child.kill('SIGKILL')
    await ipfs.close()
  })

  process.on('exit', () => child.kill('SIGINT'))

  await waitForPort(`http://127.0.0.1:${adminPort}/`, () => !ended)
  const deployment = deploymentPath(resolve(dir), resolve(subgraph))
  await adminCall(adminPort, 'subgraph_create', { name: SUBGRAPH_NAME }).catch((error: unknown) => {
    if (!/exists/i.test(String(error))) throw error
  })
  await adminCall(adminPort, 'subgraph_deploy', { name: SUBGRAPH_NAME, ipfs_hash: deployment, node_id: 'default' })
  // gnd's own deployment has done its part; unassigned, it costs nothing more.
  await adminCall(adminPort, 'subgraph_remove', { name: 'subgraph-0' })
  log.info({ deployment }, 'subgraph deployed')
  emit({ event: 'ready', queryUrl: subgraphUrl(Number(values['http-port'])) })
}

if (import.meta.filename === process.argv[1]) {
  main().catch((error: unknown) => {
    emit({ event: 'failed', reason: error instanceof Error ? error.message : String(error) })
    process.exit(1)
  })
}
