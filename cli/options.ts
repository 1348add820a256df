import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BadInputError } from '../core/errors.ts'
import { freePort } from '../core/ports.ts'
import { deploymentOf } from '../protocols/curie/deployments.ts'
import type { Deployment } from '../protocols/curie/deployments.ts'
import { assertPortFree } from './services/ports.ts'

export const PROJECT = resolve(import.meta.dirname, '..')

/** Every port that a run listens on. `option` is its flag, `variable` its name in the environment or `.env`. */
export const PORTS = {
  api: { part: 'the API and the console', fallback: 4000, option: '--api-port', variable: 'API_PORT' },
  rpc: { part: 'the chain', fallback: 8545, option: '--rpc-port', variable: 'RPC_PORT' },
  archive: { part: "the chain's archive of first blocks", fallback: 8546, option: '--archive-port', variable: 'ARCHIVE_PORT' },
  postgres: { part: 'PostgreSQL', fallback: 15432, option: '--postgres-port', variable: 'POSTGRES_PORT' },
  graphHttp: { part: "graph-node's queries", fallback: 18000, option: '--graph-http-port', variable: 'GRAPH_HTTP_PORT' },
  graphAdmin: { part: "graph-node's administration", fallback: 18020, option: '--graph-admin-port', variable: 'GRAPH_ADMIN_PORT' },
  graphIndex: { part: "graph-node's status", fallback: 18030, option: '--graph-index-port', variable: 'GRAPH_INDEX_PORT' },
  graphMetrics: { part: "graph-node's metrics", fallback: 18040, option: '--graph-metrics-port', variable: 'GRAPH_METRICS_PORT' },
} as const

export type PortName = keyof typeof PORTS
export type Ports = Readonly<Record<PortName, number>>

/** Parts that are there already: none of them is started where it is named. null: ours. */
export type RealParts = {
  /** JSON-RPC of the network. */
  readonly rpcUrl: string | null
  /** Query endpoint of the subgraph. */
  readonly graphNodeUrl: string | null
  readonly graphNodeApiKey: string | null
  /** PostgreSQL of the console. */
  readonly databaseUrl: string | null
  /** PostgreSQL of a graph-node of ours; beside `databaseUrl` on the same server where that is given and this is not. */
  readonly graphDatabaseUrl: string | null
}

export type RunOptions = {
  readonly stateDir: string
  readonly cacheDir: string
  readonly deployment: Deployment
  readonly real: RealParts
  readonly ports: Ports
  readonly json: boolean
  /** More arguments for the devnet, e.g. `--stop-after-history`: for programs that mine its blocks themselves. */
  readonly chainArgs?: readonly string[]
}

/** Flag, variable, and the schemes that its value may have. What holds a password or is a key has no flag: a command line can be read by every user of the machine. */
export const REAL_PARTS = {
  rpcUrl: { option: '--rpc-url', variable: 'RPC_URL', schemes: ['http:', 'https:'] },
  graphNodeUrl: { option: '--graph-node-url', variable: 'GRAPH_NODE_URL', schemes: ['http:', 'https:'] },
  graphNodeApiKey: { option: null, variable: 'GRAPH_NODE_API_KEY', schemes: null },
  databaseUrl: { option: null, variable: 'DATABASE_URL', schemes: ['postgresql:', 'postgres:'] },
  graphDatabaseUrl: { option: null, variable: 'GRAPH_DATABASE_URL', schemes: ['postgresql:', 'postgres:'] },
} as const satisfies Record<keyof RealParts, { option: string | null; variable: string; schemes: readonly string[] | null }>

const portNames = Object.keys(PORTS) as PortName[]
/** An empty variable counts as none. */
const set = (value: string | undefined): string | undefined => (value === '' ? undefined : value)
const flag = (name: PortName): string => PORTS[name].option.slice(2)

function parsePort(name: PortName, text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new BadInputError(`Found ${PORTS[name].option} "${text}", allowed is a whole number from 1 to 65535; choose one of those`)
  }
  return port
}

/** What stands in `.env`, under what stands in the environment already. */
export function loadEnvFile(): void {
  if (existsSync(join(PROJECT, '.env'))) process.loadEnvFile(join(PROJECT, '.env'))
}

/** The value is never in the sentence: it may hold a password or a key. */
function parseAddress(name: keyof RealParts, text: string): string {
  const { option, variable, schemes } = REAL_PARTS[name]
  if (schemes === null) return text
  const what = option ?? variable
  const protocol = URL.canParse(text) ? new URL(text).protocol : null
  if (name === 'rpcUrl' && (protocol === 'ws:' || protocol === 'wss:')) {
    throw new BadInputError(`Found a websocket address (${protocol}//) for ${what}, allowed is http:// or https://, by which graph-node asks; take the provider's HTTP address`)
  }
  if (protocol === null || !(schemes as readonly string[]).includes(protocol)) {
    throw new BadInputError(`Found ${protocol === null ? 'no URL' : `a URL that begins with ${protocol}//`} for ${what}, allowed is one that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}; correct it`)
  }
  return text
}

/** A run with a state folder of its own beside the devnet's: a graph-node's database belongs to one chain. */
export const NETWORKS_DIR = 'networks'

/**
 * Command line and environment (flag over variable over default) → options of a run.
 * `ephemeral` picks free ports where none is given, so that runs do not meet, and knows the devnet alone; `stateOnly` asks for no RPC. All faults of form are BadInputErrors.
 */
export async function parseRunOptions(args: readonly string[], defaults: { stateDir: string; ephemeral: boolean; stateOnly?: boolean }): Promise<RunOptions> {
  loadEnvFile()
  let values: Record<string, string | boolean | undefined>
  try {
    ;({ values } = parseArgs({
      args: [...args],
      options: {
        network: { type: 'string' },
        'rpc-url': { type: 'string' },
        'graph-node-url': { type: 'string' },
        'state-dir': { type: 'string' },
        json: { type: 'boolean' },
        ...Object.fromEntries(portNames.map((name) => [flag(name), { type: 'string' as const }])),
      },
    }))
  } catch (error) {
    const allowed = ['--network', '--rpc-url', '--graph-node-url', '--state-dir', '--json', ...portNames.map((name) => PORTS[name].option)].join(', ')
    throw new BadInputError(`Found ${(error as Error).message.split('. ')[0]}, allowed are ${allowed}; correct the command line`)
  }
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined)
  const network = text('network') ?? (defaults.ephemeral ? 'devnet' : set(process.env['NETWORK'])) ?? 'devnet'
  const deployment = deploymentOf(network)
  const real = Object.fromEntries(
    (Object.keys(REAL_PARTS) as (keyof RealParts)[]).map((name) => {
      const { option, variable } = REAL_PARTS[name]
      const given = (option === null ? undefined : text(option.slice(2))) ?? (defaults.ephemeral ? undefined : set(process.env[variable]))
      return [name, given === undefined ? null : parseAddress(name, given)]
    }),
  ) as RealParts
  const local = network === 'devnet' && real.rpcUrl === null
  if (defaults.ephemeral && !local) throw new BadInputError(`Found ${network === 'devnet' ? '--rpc-url' : `--network ${network}`} for the demo, allowed is the devnet that it starts itself: its owners' keys are known; leave it out, or use npm start`)
  if (defaults.stateOnly !== true && real.rpcUrl === null && (network !== 'devnet' || real.graphNodeUrl !== null)) {
    throw new BadInputError(`Found no RPC for ${network}, needed is the JSON-RPC endpoint of ${real.graphNodeUrl === null ? 'an archive node' : 'a node'} of chain ${deployment.chainId}; set RPC_URL in .env or in the shell, or give --rpc-url`)
  }
  const ports: Partial<Record<PortName, number>> = {}
  for (const name of portNames) {
    const given = text(flag(name)) ?? (defaults.ephemeral ? undefined : set(process.env[PORTS[name].variable]))
    ports[name] = given !== undefined ? parsePort(name, given) : defaults.ephemeral ? await freePort() : PORTS[name].fallback
  }
  const taken = new Map<number, PortName>()
  for (const name of portNames) {
    const port = ports[name]!
    const other = taken.get(port)
    if (other !== undefined) {
      throw new BadInputError(`Found port ${port} for both ${PORTS[other].part} and ${PORTS[name].part}, allowed is one use each; change ${PORTS[name].option}`)
    }
    taken.set(port, name)
  }
  return {
    stateDir: resolve(text('state-dir') ?? (local ? defaults.stateDir : join(defaults.stateDir, NETWORKS_DIR, network))),
    cacheDir: join(PROJECT, '.bulwark', 'cache'),
    deployment,
    real,
    ports: ports as Ports,
    json: values['json'] === true,
  }
}

/** Ports of the parts that this run starts itself. */
export function usedPorts({ real }: Pick<RunOptions, 'real'>): readonly PortName[] {
  const used: Record<PortName, boolean> = {
    api: true,
    rpc: real.rpcUrl === null,
    archive: real.rpcUrl === null,
    postgres: needsPostgres(real),
    graphHttp: real.graphNodeUrl === null,
    graphAdmin: real.graphNodeUrl === null,
    graphIndex: real.graphNodeUrl === null,
    graphMetrics: real.graphNodeUrl === null,
  }
  return portNames.filter((name) => used[name])
}

/** Whether a PostgreSQL of ours is needed. */
export const needsPostgres = (real: RealParts): boolean => real.databaseUrl === null

/** Throws PortTakenError for the first port in use. */
export async function assertPortsFree(ports: Ports, names: readonly PortName[] = portNames): Promise<void> {
  for (const name of names) await assertPortFree({ part: PORTS[name].part, port: ports[name], option: PORTS[name].option })
}
