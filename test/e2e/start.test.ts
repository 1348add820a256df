import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createClient } from 'graphql-ws'
import { createPublicClient, http, parseAbi, type Hex } from 'viem'
import { WebSocket } from 'ws'
import { verifySignature } from '../../api/graphql/webhooks.ts'
import { queryApi } from '../../cli/graphql.ts'
import { PORTS, PROJECT, type PortName } from '../../cli/options.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { freePort } from '../../core/ports.ts'
import { mulDiv } from '../../core/units.ts'
import { commandLineOf, isRunning } from '../../cli/services/orphans.ts'
import { ask, historicalExceptions, PRICE_TOPIC, questions, returnsOf, riskQueries, type PriceLog } from './questions.ts'

const MINUTE = 60_000
const GETTERS = parseAbi([
  'function getAccountValue(address trader) view returns (int256)',
  'function getFreeCollateral(address trader) view returns (uint256)',
  'function getMarginRequirementForLiquidation(address trader) view returns (int256)',
])
let stateDir: string
let ports: Record<PortName, number>
let running: ChildProcess | null = null

/** Alerts that the console has sent, as their receiver got them. */
type Alert = { readonly kind: string; readonly delivery: string; readonly isSigned: boolean; readonly body: { readonly kind: string; readonly key: string; readonly data: { readonly urgency?: number; readonly reason?: string } } }
/** Answers that stand on their arguments alone. */
const NO_INPUTS = new Set(['optionValue'])
const SECRET = 'a secret of the receivers'
const alerts: Alert[] = []
let receiver: Server
let receiverUrl: string

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
  const child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'start', '--state-dir', stateDir, ...flags], { cwd: PROJECT, env: { ...process.env, NODE_OPTIONS: '', WEBHOOK_URLS: receiverUrl, WEBHOOK_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'pipe'] })
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

/** Errors and data of one request; the errors are part of the answer. */
async function request(query: string, variables: object = {}): Promise<{ data?: any; errors?: { message: string; path?: (string | number)[]; extensions: { code: string; facts?: { field?: string } } }[] }> { // oxlint-disable-line typescript/no-explicit-any
  const response = await fetch(`${apiUrl()}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) })
  return (await response.json()) as Awaited<ReturnType<typeof request>>
}

/** A receiver of alerts: takes what is signed, and refuses the first of all, which has to come again. */
async function receive(): Promise<void> {
  let isFirst = true
  receiver = createServer((incoming, response) => {
    const parts: Buffer[] = []
    incoming.on('data', (part: Buffer) => parts.push(part))
    incoming.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8')
      const header = (name: string): string => String(incoming.headers[name] ?? '')
      const isSigned = verifySignature({ secret: SECRET, timestamp: header('bulwark-timestamp'), signature: header('bulwark-signature'), body, nowSec: Date.now() / 1000 })
      alerts.push({ kind: header('bulwark-event'), delivery: header('bulwark-delivery'), isSigned, body: JSON.parse(body) as Alert['body'] })
      response.writeHead(isFirst ? 503 : 200).end()
      isFirst = false
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/alerts`
}

beforeAll(async () => {
  await receive()
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
  receiver.close()
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

  test('behavior: answers every query of the risk engine, with every field of its schema, on one indexed block each', async () => {
    // The first run of the models ends a moment after the index has caught up.
    const { recommendations, accounts } = await until(async () => queryApi<{ recommendations: { id: string }[]; accounts: { nodes: { id: string }[] } }>(apiUrl(), '{ recommendations { id } accounts(first: 1) { nodes { id } } }'), (answer) => answer.recommendations.length > 0)
    const asked = questions(accounts.nodes[0]!.id, recommendations[0]!.id)
    expect(riskQueries().filter((name) => !asked.some(([field]) => field === name))).toEqual([])
    for (const [field, args] of asked) {
      const { data, errors } = await request(ask(field, args))
      const answer = field.split('.').reduce((value, name) => value?.[name], data)
      // Lists hold something; the rest says what it stands on, a recommendation recomputed by its inputs.
      const standsOn = Array.isArray(answer) ? answer.length > 0 : NO_INPUTS.has(field) || /^[0-9a-f]{64}$/.test(String((answer?.provenance ?? answer)?.inputsDigest))
      expect({ field, errors, standsOn }).toEqual({ field, errors: undefined, standsOn: true })
    }
  }, 3 * MINUTE)

  test("behavior: recommendations come out of their inputs byte for byte, and the inputs are graph-node's own at their block's hash", async () => {
    const { recommendations } = await queryApi<{ recommendations: { id: string; inputsDigest: string }[] }>(apiUrl(), '{ recommendations { id inputsDigest } }')
    expect(recommendations.length).toBeGreaterThan(10)
    for (const { id, inputsDigest } of recommendations) {
      const { recomputeRecommendation: again } = await queryApi<{ recomputeRecommendation: object }>(apiUrl(), 'query ($id: ID!) { recomputeRecommendation(id: $id) { identical inputsDigest differs comparison { state compared differs } } }', { id })
      expect({ id, ...again }).toEqual({ id, identical: true, inputsDigest, differs: [], comparison: { state: 'SAME', compared: expect.any(Number), differs: [] } })
    }
  }, MINUTE)

  test("behavior: a backtest runs on the chain's own prices in bars of 5 minutes, and counts the exceptions that counting them in the logs does", async () => {
    for (const { symbol, chainlinkFeed } of devnet.markets) {
      const { backtest } = await queryApi<{ backtest: { provenance: { block: { number: string; timestamp: string } }; sample: { barSec: number; returns: number }; observations: number; exceptions: number; coverage: { rejected: boolean }; zone: string } }>(apiUrl(), `{ backtest(input: { market: "${symbol}", model: HISTORICAL }) { provenance { block { number timestamp } } sample { barSec returns } observations exceptions coverage { rejected } zone } }`)
      const { number, timestamp } = backtest.provenance.block
      const returns = returnsOf(await rpc<PriceLog[]>('eth_getLogs', [{ fromBlock: '0x0', toBlock: `0x${BigInt(number).toString(16)}`, address: chainlinkFeed, topics: [PRICE_TOPIC] }]), Number(timestamp))
      expect(returns.values.length).toBeGreaterThan(1_000)
      expect({ symbol, returns: backtest.sample.returns, observations: backtest.observations, exceptions: backtest.exceptions }).toEqual({ symbol, returns: returns.values.length, ...historicalExceptions(returns) })
      expect(backtest.sample.barSec).toBe(300)
    }
    // Thirty days of daily bars are no sample: unknown, with how many there would have to be, and not a zone.
    const { data, errors } = await request('{ backtest(input: { market: "vETH", barSec: 86400 }) { zone exceptions } }')
    expect({ data, codes: errors?.map(({ path, extensions }) => [path, extensions.code]) }).toEqual({ data: { backtest: null }, codes: [[['backtest'], 'SAMPLE_TOO_SMALL']] })
  }, 2 * MINUTE)

  test('behavior: every liquidation of the month split its penalty to the wei: half of it rounded down to the liquidator, or all of it', async () => {
    type Page = { liquidations: { nodes: { notional: { raw: string }; penalty: { raw: string }; liquidatorFee: { raw: string } }[]; totalCount: number } }
    const { liquidations } = await queryApi<Page>(apiUrl(), '{ liquidations(first: 200) { totalCount nodes { notional { raw } penalty { raw } liquidatorFee { raw } } } }')
    expect(liquidations.nodes.length).toBe(Math.min(200, liquidations.totalCount))
    const { parameterChanges } = await queryApi<{ parameterChanges: { nodes: { newRaw: string }[] } }>(apiUrl(), '{ parameterChanges(name: "liquidationPenaltyRatio") { nodes { newRaw } } }')
    const ratios = parameterChanges.nodes.map(({ newRaw }) => BigInt(newRaw))
    for (const one of liquidations.nodes) {
      const [notional, penalty, fee] = [BigInt(one.notional.raw), BigInt(one.penalty.raw), BigInt(one.liquidatorFee.raw)]
      expect(ratios.some((ratio) => ((notional < 0n ? -notional : notional) * ratio) / 1_000_000n === penalty)).toBe(true)
      expect([penalty / 2n, penalty]).toContain(fee)
    }
  }, MINUTE)

  test('behavior: new recommendations, blocks and the progress of a long run come over WebSocket, and the run is cancelled', async () => {
    const ws = createClient({ url: `${apiUrl().replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 })
    try {
      const recommended = ws.iterate<{ recommendationsAdded: { id: string; reason: string }[] }>({ query: 'subscription { recommendationsAdded { id reason block { number } } }' })
      const blocks = ws.iterate<{ blockIndexed: { number: string } }>({ query: 'subscription { blockIndexed { number } }' })
      const first = BigInt((await blocks.next()).value!.data!.blockIndexed.number)
      expect(BigInt((await blocks.next()).value!.data!.blockIndexed.number)).toBeGreaterThan(first)

      const { startRiskRun: run } = await queryApi<{ startRiskRun: { id: string; state: string } }>(apiUrl(), 'mutation { startRiskRun(input: { fund: { paths: 1000000, hours: 168 } }) { id state } }')
      const states: string[] = []
      for await (const { data } of ws.iterate<{ riskRun: { state: string; progress: number } }>({ query: 'subscription ($id: ID!) { riskRun(id: $id) { state progress } }', variables: { id: run.id } })) {
        const { state, progress } = data!.riskRun
        if (states.at(-1) !== state) states.push(state)
        if (state === 'RUNNING' && progress > 0) await queryApi(apiUrl(), 'mutation ($id: ID!) { cancelRiskRun(id: $id) { state } }', { id: run.id })
      }
      expect(states.slice(-2)).toEqual(['RUNNING', 'CANCELLED'])
      const cancelled = await queryApi<{ riskRun: { state: string; finishedAt: string; fund: unknown } }>(apiUrl(), 'query ($id: ID!) { riskRun(id: $id) { state finishedAt fund { paths } } }', { id: run.id })
      expect(cancelled.riskRun).toEqual({ state: 'CANCELLED', finishedAt: expect.any(String), fund: null })

      const added = (await recommended.next()).value!.data!.recommendationsAdded
      expect(added.length).toBeGreaterThan(0)
      for (const { reason } of added) expect(reason).toMatch(/\d/)
    } finally {
      await ws.dispose()
    }
  }, 2 * MINUTE)

  test('behavior: urgent recommendations reach a receiver signed; one that it refused comes again, and nothing that it took comes twice', async () => {
    const urgent = (await queryApi<{ recommendations: { urgency: number; direction: string }[] }>(apiUrl(), '{ recommendations { urgency direction } }')).recommendations.filter(({ urgency, direction }) => urgency >= 60 && direction !== 'HOLD')
    expect(urgent.length).toBeGreaterThan(0)
    await until(async () => alerts, (got) => got.filter(({ delivery }) => delivery === got[0]?.delivery).length > 1)
    expect(alerts.filter(({ isSigned }) => !isSigned)).toEqual([])
    expect(alerts.filter(({ kind }) => kind === 'URGENT_RECOMMENDATION').length).toBeGreaterThanOrEqual(urgent.length)
    for (const { kind, body } of alerts) expect([kind, typeof body.key]).toEqual([body.kind, 'string'])
    const taken = alerts.slice(1).map(({ delivery }) => delivery)
    expect(new Set(taken).size).toBe(taken.length)
  }, MINUTE)

  test('error: what is impossible names its field, and what is too much is refused before it runs', async () => {
    const of = async (query: string) => (await request(query)).errors?.map(({ extensions }) => [extensions.code, extensions.facts?.field])
    expect(await of('{ volatility(market: "vETH", level: 2) { sample { bars } } }')).toEqual([['BAD_USER_INPUT', 'level']])
    expect(await of('{ stressTest(input: { shocks: [{ id: "x", moves: [{ name: "vETH", value: -3 }] }] }) { accounts } }')).toEqual([['BAD_USER_INPUT', 'input.shocks.0.moves.vETH']])
    expect(await of('{ portfolioMargin(input: { legs: [{ kind: PERP, asset: "vETH", size: 0 }] }) { margin } }')).toEqual([['BAD_USER_INPUT', 'input.legs.0.size']])
    expect(await of(`{ ${Array.from({ length: 31 }, (_, i) => `a${i}: status { network }`).join(' ')} }`)).toHaveLength(1)
    const dear = `{ accounts(first: 200) { nodes { positions { market { parameters { history(first: 200) { nodes { id } } } } } } } }`
    expect((await of(dear))?.[0]?.[0]).toBe('QUERY_TOO_LARGE')
    const batch = await fetch(`${apiUrl()}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify([{ query: '{ status { network } }' }, { query: '{ status { network } }' }]) })
    expect(batch.ok).toBe(false)
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
    expect(await ended(child)).toBe(130)
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
