/** The real thing below a page: everything that `npm start` starts, on ports and in a state folder of its own. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { freePort } from '../../core/ports.ts'
import { queryApi } from '../../cli/graphql.ts'
import { PORTS, PROJECT, type PortName } from '../../cli/options.ts'
import { commandLineOf, processesOn } from '../../cli/services/orphans.ts'
import { createPublicClient, http, parseAbi } from 'viem'
import { devnet } from '../../protocols/curie/deployments.ts'
import { startServiceDouble, type ServiceDouble } from '../proposals/service-double.ts'

export type Desk = {
  /** Of the console and its API. */
  readonly url: string
  readonly rpcUrl: string
  /** The Safe Transaction Service that its API asks. */
  readonly service: ServiceDouble
  /** Ends the API as a crash does; whoever runs it starts it again. */
  killApi(): void
  close(): Promise<void>
}

/** Longer than a start takes on a slow machine, with its history to build; for `beforeAll`. */
export const DESK_MS = 600_000

/**
 * Ready once the index has caught up, breakers are observed, and a first run of the models is there. DESK_URL and DESK_RPC_URL name one
 * that runs already, for whoever writes a test: it is neither stopped nor harmed, so what kills its API cannot run there.
 */
export async function startDesk(): Promise<Desk> {
  const { DESK_URL, DESK_RPC_URL } = process.env
  if (DESK_URL !== undefined) {
    await filled(DESK_URL)
    return { url: DESK_URL, rpcUrl: DESK_RPC_URL ?? 'http://127.0.0.1:8545', get service(): never { throw new TypeError('the stack of DESK_URL asks no Transaction Service of ours') }, killApi: () => { throw new TypeError('the stack of DESK_URL is not ours to kill') }, close: async () => {} }
  }
  const stateDir = mkdtempSync(join(tmpdir(), 'bulwark-desk-'))
  // Where root runs this, PostgreSQL runs as another user, who must be able to enter.
  chmodSync(stateDir, 0o755)
  const names = Object.keys(PORTS) as PortName[]
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()]))) as Record<PortName, number>
  const flags = names.flatMap((name) => [PORTS[name].option, String(ports[name])])
  const rpcUrl = `http://127.0.0.1:${ports.rpc}`
  const safe = devnet.safe!
  const client = createPublicClient({ transport: http(rpcUrl) })
  const service = await startServiceDouble({ chainId: devnet.chainId, address: safe.address, owners: safe.owners, nonce: () => client.readContract({ address: safe.address, abi: parseAbi(['function nonce() view returns (uint256)']), functionName: 'nonce' }) })
  const child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'start', '--state-dir', stateDir, ...flags], { cwd: PROJECT, env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '', SAFE_SERVICE_URL: service.url }, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const output: string[] = []
  await new Promise<void>((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        output.push(line)
        if (line.includes('Ctrl-C stops everything')) resolve()
      })
    }
    child.once('close', (code) => reject(new TypeError(`npm start ended with ${code}:\n${output.join('\n')}`)))
  })
  const url = `http://127.0.0.1:${ports.api}`
  await filled(url)
  return {
    url,
    rpcUrl,
    service,
    killApi: () => {
      for (const pid of processesOn(stateDir, [], ['node'])) if (commandLineOf(pid).some((word) => word.endsWith('api/graphql/main.ts'))) process.kill(pid, 'SIGKILL')
    },
    close: async () => {
      child.kill('SIGINT')
      await ended
      await service.close()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

type Filled = { recommendations: { id: string }[]; circuitBreakers: object | null }

const FILLED = '{ recommendations { id } circuitBreakers { provenance { inputsDigest } } }'

/** Looks again with every block until what comes after the index is there as well. */
async function filled(url: string): Promise<void> {
  const ws = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 })
  try {
    for await (const _block of ws.iterate({ query: 'subscription { blockIndexed { number } }' })) {
      const { recommendations, circuitBreakers } = await queryApi<Filled>(url, FILLED)
      if (recommendations.length > 0 && circuitBreakers !== null) return
    }
  } finally {
    await ws.dispose()
  }
}
