import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BadInputError } from '../core/errors.ts'
import { assertPortFree, freePort } from './services/ports.ts'

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

export type RunOptions = {
  readonly stateDir: string
  readonly cacheDir: string
  readonly network: 'devnet'
  readonly ports: Ports
  readonly json: boolean
}

const portNames = Object.keys(PORTS) as PortName[]
const flag = (name: PortName): string => PORTS[name].option.slice(2)

function parsePort(name: PortName, text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) {
    throw new BadInputError(`Found ${PORTS[name].option} "${text}", allowed is a whole number from 1 to 65535; choose one of those`)
  }
  return port
}

/**
 * Command line and environment (flag over variable over default) → options of a run.
 * `ephemeral` picks free ports where none is given, so that runs do not meet. All faults of form are BadInputErrors.
 */
export async function parseRunOptions(args: readonly string[], defaults: { stateDir: string; ephemeral: boolean }): Promise<RunOptions> {
  if (existsSync(join(PROJECT, '.env'))) process.loadEnvFile(join(PROJECT, '.env'))
  let values: Record<string, string | boolean | undefined>
  try {
    ;({ values } = parseArgs({
      args: [...args],
      options: {
        network: { type: 'string' },
        'state-dir': { type: 'string' },
        json: { type: 'boolean' },
        ...Object.fromEntries(portNames.map((name) => [flag(name), { type: 'string' as const }])),
      },
    }))
  } catch (error) {
    const allowed = ['--network', '--state-dir', '--json', ...portNames.map((name) => PORTS[name].option)].join(', ')
    throw new BadInputError(`Found ${(error as Error).message.split('. ')[0]}, allowed are ${allowed}; correct the command line`)
  }
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined)
  const network = text('network') ?? process.env['NETWORK'] ?? 'devnet'
  if (network !== 'devnet') {
    throw new BadInputError(`Found network "${network}", allowed is devnet; other networks can be indexed (subgraph/networks.json) but not yet run from here`)
  }
  const ports: Partial<Record<PortName, number>> = {}
  for (const name of portNames) {
    const given = text(flag(name)) ?? (defaults.ephemeral ? undefined : process.env[PORTS[name].variable])
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
    stateDir: resolve(text('state-dir') ?? defaults.stateDir),
    cacheDir: join(PROJECT, '.bulwark', 'cache'),
    network,
    ports: ports as Ports,
    json: values['json'] === true,
  }
}

/** Throws PortTakenError for the first port in use. */
export async function assertPortsFree(ports: Ports): Promise<void> {
  for (const name of portNames) await assertPortFree({ part: PORTS[name].part, port: ports[name], option: PORTS[name].option })
}
