import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createPublicClient, http, parseAbi, type Hex } from 'viem'
import { queryApi } from '../../cli/graphql.ts'
import { PORTS, PROJECT, type PortName } from '../../cli/options.ts'
import { freePort } from '../../cli/services/ports.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { mulDiv } from '../../core/units.ts'
import { commandLineOf, isRunning } from '../../cli/services/orphans.ts'

const MINUTE = 60_000
const GETTERS = parseAbi([
  'function getAccountValue(address trader) view returns (int256)',
  'function getFreeCollateral(address trader) view returns (uint256)',
  'function getMarginRequirementForLiquidation(address trader) view returns (int256)',
])
let stateDir: string
let ports: Record<PortName, number>
let running: ChildProcess | null = null

type Status = {
  status: { network: string; chainId: number; health: string; indexed: { number: string; hash: string; timestamp: string }; ageSec: number; parts: { name: string; health: string; detail: string }[] }
  markets: { symbol: string; oracleAgeSec: number; oracleFreezeReason: number }[]
  liquidations: { totalCount: number }
  parameterChanges: { totalCount: number }
}
const STATUS = '{ status { network chainId health ageSec indexed { number hash timestamp } parts { name health detail } } markets { symbol oracleAgeSec oracleFreezeReason } liquidations(first: 1) { totalCount } parameterChanges(first: 1) { totalCount } }'

/** `npm start` as a user has it. */
function launch(): { child: ChildProcess; output: string[]; onLine: (listener: (line: string) => void) => void } {
  const flags = (Object.keys(PORTS) as PortName[]).flatMap((name) => [PORTS[name].option, String(ports[name])])
  const child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'start', '--state-dir', stateDir, ...flags], { cwd: PROJECT, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output: string[] = []
  const listeners = [(line: string): unknown => output.push(line)]
  for (const input of [child.stdout!, child.stderr!]) createInterface({ input }).on('line', (line) => listeners.forEach((listener) => listener(line)))
  return { child, output, onLine: (listener) => listeners.push(listener) }
}

/** Resolves with the output when it names its addresses, rejects when it ends before. */
function start(): Promise<{ child: ChildProcess; output: string[] }> {
  const { child, output, onLine } = launch()
  return new Promise((resolve, reject) => {
    onLine((line) => {
      if (!line.includes('Ctrl-C stops everything')) return
      running = child
      resolve({ child, output })
    })
    child.once('close', (code) => reject(new Error(`npm start ended with ${code}:\n${output.join('\n')}`)))
  })
}

function ended(child: ChildProcess): Promise<number | null> {
  return child.exitCode !== null || child.signalCode !== null ? Promise.resolve(child.exitCode) : new Promise((resolve) => child.once('exit', resolve))
}

/** Processes on this machine whose command line names the state folder or something below it. */
function processesOf(folder: string): { pid: number; commandLine: string }[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isRunning(pid))
    .map((pid) => ({ pid, commandLine: commandLineOf(pid).join(' ') }))
    .filter(({ commandLine }) => commandLine.includes(folder) && !commandLine.includes('cli/main.ts'))
}

/** Asks until the answer is right; an API that does not answer yet is asked again. The test's own time limit bounds it. */
async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask().catch(() => null)
    if (answer !== null && isRight(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

async function rpc<T>(method: string, params: unknown[]): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${ports.rpc}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
  return ((await response.json()) as { result: T }).result
}

/** graph-node's id of the deployment that answers under our name. */
async function deploymentId(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${ports.graphHttp}/subgraphs/name/bulwark`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ _meta { deployment } }' }) })
  return ((await response.json()) as { data: { _meta: { deployment: string } } }).data._meta.deployment
}

const apiUrl = (): string => `http://127.0.0.1:${ports.api}`

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'bulwark-start-'))
  // Where root runs this, PostgreSQL runs as another user, who must be able to enter.
  chmodSync(stateDir, 0o755)
  ports = Object.fromEntries(await Promise.all((Object.keys(PORTS) as PortName[]).map(async (name) => [name, await freePort()]))) as Record<PortName, number>
})

afterAll(async () => {
  if (running !== null && running.exitCode === null) {
    running.kill('SIGINT')
    await ended(running)
  }
  rmSync(stateDir, { recursive: true, force: true })
}, MINUTE)

describe('npm start', () => {
  let first: Status
  let firstDeployment: string
  let firstHead: { number: string; hash: string }

  test('behavior: ends with the addresses to open, and everything behind them is up', async () => {
    const { output } = await start()
    expect(output.join('\n')).toContain(apiUrl())
    // The first recommendations come a moment after the index has caught up.
    first = await until(async () => queryApi<Status>(apiUrl(), STATUS), (answer) => answer.status.health === 'UP')
    expect(first.status).toMatchObject({ network: 'devnet', chainId: 31337, health: 'UP' })
    expect(first.status.parts.filter((part) => part.health !== 'UP')).toEqual([])
    expect(first.markets.map((market) => market.symbol).toSorted()).toHaveLength(3)
    expect((await fetch(`${apiUrl()}/`)).headers.get('content-type')).toContain('text/html')
    firstDeployment = await deploymentId()
    firstHead = { number: first.status.indexed.number, hash: first.status.indexed.hash }
  }, 6 * MINUTE)

  test("behavior: every account's margin equals the contracts' own getters at the indexed block, to the unit they are kept in", async () => {
    type Margins = { status: { indexed: { number: string } }; accounts: { totalCount: number; nodes: { id: Hex; margin: { accountValue: { raw: string }; freeCollateral: { raw: string }; maintenanceMargin: { raw: string }; exactness: string } | null }[] } }
    const answer = await queryApi<Margins>(apiUrl(), '{ status { indexed { number } } accounts(first: 200) { totalCount nodes { id margin { accountValue { raw } freeCollateral { raw } maintenanceMargin { raw } exactness } } } }')
    const blockNumber = BigInt(answer.status.indexed.number)
    const client = createPublicClient({ transport: http(`http://127.0.0.1:${ports.rpc}`) })
    const { clearingHouse, vault, accountBalance } = devnet.contracts
    expect(answer.accounts.nodes).toHaveLength(answer.accounts.totalCount)
    expect(answer.accounts.totalCount).toBeGreaterThanOrEqual(43) // 3 makers and 40 takers at least
    for (const { id, margin } of answer.accounts.nodes) {
      const read = (address: Hex, functionName: 'getAccountValue' | 'getFreeCollateral' | 'getMarginRequirementForLiquidation'): Promise<bigint> => client.readContract({ address, abi: GETTERS, functionName, args: [id], blockNumber })
      const [value, free, requirement] = await Promise.all([read(clearingHouse, 'getAccountValue'), read(vault, 'getFreeCollateral'), read(accountBalance, 'getMarginRequirementForLiquidation')])
      // The getter rounds the account value down to settlement decimals.
      const valueE6 = mulDiv(BigInt(margin!.accountValue.raw), 1n, 10n ** 12n, 'floor')
      expect({ id, exactness: margin?.exactness, valueE6, requirement: BigInt(margin!.maintenanceMargin.raw) }).toEqual({ id, exactness: 'EXACT', valueE6: value / 10n ** 12n, requirement })
      // The getter speaks in settlement decimals and is never below 0.
      const freeE6 = BigInt(margin!.freeCollateral.raw) / 10n ** 12n
      expect({ id, free: freeE6 < 0n ? 0n : freeE6 }).toEqual({ id, free })
    }
  }, MINUTE)

  test('error: a second one on the same state folder names the first', async () => {
    await expect(start()).rejects.toThrow(/Found process \d+ running on .*, allowed is one at a time/)
  }, MINUTE)

  test('behavior: Ctrl-C stops everything that it started', async () => {
    const child = spawnedStart()
    child.kill('SIGINT')
    expect(await ended(child)).toBe(0)
    expect(processesOf(stateDir)).toEqual([])
  }, MINUTE)

  test('behavior: Ctrl-C while it starts is obeyed at once', async () => {
    const { child, output } = launch()
    await new Promise<void>((resolve) => createInterface({ input: child.stderr! }).once('line', () => resolve()))
    child.kill('SIGINT')
    expect(await ended(child)).toBe(1)
    expect(output.join('\n')).toContain('The start was interrupted')
    expect(processesOf(stateDir)).toEqual([])
  }, MINUTE)

  test('behavior: comes back on the same chain and deployment, with nothing indexed twice and no feed fallen stale', async () => {
    await start()
    const second = await queryApi<Status>(apiUrl(), STATUS)
    const block = await rpc<{ hash: string }>('eth_getBlockByNumber', [`0x${BigInt(firstHead.number).toString(16)}`, false])
    expect(block.hash).toBe(firstHead.hash)
    expect(await deploymentId()).toBe(firstDeployment)
    expect(Number(second.status.indexed.number)).toBeGreaterThanOrEqual(Number(firstHead.number))
    // Chain time goes on by two seconds a block, whatever the wall clock did meanwhile.
    const blocks = Number(second.status.indexed.number) - Number(firstHead.number)
    expect(Number(second.status.indexed.timestamp) - Number(first.status.indexed.timestamp)).toBe(2 * blocks)
    expect(second.parameterChanges).toEqual(first.parameterChanges)
    for (const market of second.markets) expect(market).toMatchObject({ oracleFreezeReason: 0 })
    for (const market of second.markets) expect(market.oracleAgeSec).toBeLessThan(3600)
  }, 4 * MINUTE)

  test.each([
    ['mirror', 'api/mirror/main.ts'],
    ['api', 'api/graphql/main.ts'],
    ['graph-node', 'cli/services/graphNode.ts'],
    ['postgres', 'cli/services/postgres.ts'],
    ['chain', 'devnet/main.ts'],
  ])('behavior: %s, killed, is named, started again, and the index goes on', async (name, entry) => {
    const child = spawnedStart()
    const named = new Promise<string>((resolve) => {
      createInterface({ input: child.stderr! }).on('line', (line) => {
        if (line.includes('starting it again')) resolve(line)
      })
    })
    const before = await queryApi<Status>(apiUrl(), STATUS)
    const [victim, ...others] = processesOf(stateDir).filter(({ commandLine }) => commandLine.includes(entry))
    expect(others).toEqual([])
    process.kill(victim!.pid, 'SIGKILL')
    expect(await named).toContain(`${name} failed: it ended with SIGKILL`)
    const target = Number(before.status.indexed.number) + 3
    const now = await until(async () => queryApi<Status>(apiUrl(), STATUS), (answer) => Number(answer.status.indexed.number) >= target && answer.status.health === 'UP')
    expect(await deploymentId()).toBe(firstDeployment)
    expect(now.parameterChanges).toEqual(first.parameterChanges)
  }, 2 * MINUTE)

  test('behavior: a supervisor that is killed takes its parts with it, and the next start finds a sound state', async () => {
    const child = spawnedStart()
    child.kill('SIGKILL')
    await ended(child)
    const { output } = await start()
    expect(output.join('\n')).toContain('Bulwark runs on devnet')
    expect(await deploymentId()).toBe(firstDeployment)
    expect((await queryApi<Status>(apiUrl(), STATUS)).parameterChanges).toEqual(first.parameterChanges)
  }, 4 * MINUTE)
})

/** The one that runs now. */
function spawnedStart(): ChildProcess {
  expect(running).not.toBeNull()
  return running!
}
