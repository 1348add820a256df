/**
 * `npm start -- --network optimism` against an RPC that behaves as a provider: a key in its path, a limit of logs. Behind it is an anvil
 * with Optimism's chain id, whose blocks begin shortly before the protocol's first, and with the deployed bytecode of one contract at
 * its address on Optimism. The rest of the protocol is not on it: this is a test of the way from an RPC to the API, not of figures.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { createTestClient, encodeFunctionData, http, parseAbi, publicActions, type Hex } from 'viem'
import { freePort } from '../../core/ports.ts'
import { queryApi } from '../../cli/graphql.ts'
import { PORTS, PROJECT, type PortName } from '../../cli/options.ts'
import { commandLineOf } from '../../cli/services/orphans.ts'
import { anvilBinary } from '../../devnet/anvil.ts'
import { optimism } from '../../protocols/curie/deployments.ts'

const KEY = 'aKeyThatNobodyElseMaySee0123456789'
/** anvil's first block; the protocol begins at 513,473. */
const GENESIS = 513_400
/** As many blocks in one eth_getLogs as the provider takes. */
const LOG_BLOCKS = 500
const OWNER = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'
const CONFIG = parseAbi(['function initialize()', 'function setMaxMarketsPerAccount(uint8)', 'function owner() view returns (address)'])

let stateDir: string
/** Not below the state folder: what a run finds there of an earlier one, it ends. */
let chainDir: string
let anvil: ChildProcess
let proxy: Server
let console_: ChildProcess | null = null
let head: bigint
const output: string[] = []
const ranges: number[] = []
let ports: Record<PortName, number>

const apiUrl = (): string => `http://127.0.0.1:${ports.api}`
const listen = (server: Server): Promise<number> => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))

async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask().catch(() => null)
    if (answer !== null && isRight(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'bulwark-optimism-'))
  chmodSync(stateDir, 0o755)
  chainDir = mkdtempSync(join(tmpdir(), 'bulwark-chain-'))
  ports = Object.fromEntries(await Promise.all((Object.keys(PORTS) as PortName[]).map(async (name) => [name, await freePort()]))) as Record<PortName, number>

  const anvilPort = await freePort()
  const startedSec = Math.floor(Date.now() / 1000) - 1500
  anvil = spawn(anvilBinary(), ['--host', '127.0.0.1', '--port', String(anvilPort), '--chain-id', '10', '--number', String(GENESIS), '--timestamp', String(startedSec), '--no-mining', '--cache-path', chainDir, '--silent'], { stdio: 'ignore' })
  const client = createTestClient({ mode: 'anvil', transport: http(`http://127.0.0.1:${anvilPort}`), cacheTime: 0 }).extend(publicActions)
  await until(() => client.getChainId(), (id) => id === 10)

  const artifact = createRequire(import.meta.url)('@perp/curie-deployments/optimism/core/artifacts/contracts/ClearingHouseConfig.sol/ClearingHouseConfig.json') as { deployedBytecode: Hex }
  const config = optimism.contracts.clearingHouseConfig
  await client.setCode({ address: config, bytecode: artifact.deployedBytecode })
  // The examination looks for ClearingHouse alone; its code is never called here.
  await client.setCode({ address: optimism.contracts.clearingHouse, bytecode: '0x00' })
  await client.mine({ blocks: 300, interval: 2 })
  const send = async (data: Hex): Promise<void> => {
    await client.request({ method: 'eth_sendTransaction', params: [{ from: OWNER, to: config, data, gas: '0x7a1200' }] } as never)
    await client.mine({ blocks: 1, interval: 2 })
  }
  await send(encodeFunctionData({ abi: CONFIG, functionName: 'initialize' }))
  await send(encodeFunctionData({ abi: CONFIG, functionName: 'setMaxMarketsPerAccount', args: [7] }))
  await client.mine({ blocks: 300, interval: 2 })
  head = await client.getBlockNumber()

  proxy = createServer((request, response) => {
    void text(request).then(async (body) => {
      if (request.url !== `/v2/${KEY}`) return response.writeHead(401).end('{"error":"invalid key"}')
      const asked = JSON.parse(body) as object
      for (const call of (Array.isArray(asked) ? asked : [asked]) as { id: number; method: string; params: [{ fromBlock: string; toBlock: string }] }[]) {
        if (call.method !== 'eth_getLogs' || call.params[0].fromBlock === undefined) continue
        const blocks = Number(call.params[0].toBlock) - Number(call.params[0].fromBlock) + 1
        ranges.push(blocks)
        if (blocks > LOG_BLOCKS) return response.writeHead(413, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: call.id, error: { code: -32614, message: `eth_getLogs is limited to a ${LOG_BLOCKS} range` } }))
      }
      const single = asked as { id: number; method: string; params: [string] }
      if (single.method === 'eth_getBlockByNumber' && Number(single.params[0]) < GENESIS) {
        // Where Optimism has blocks too, and only whether they exist is asked.
        const number = single.params[0]
        return response.end(JSON.stringify({ jsonrpc: '2.0', id: single.id, result: { number, hash: `0x${number.slice(2).padStart(64, '0')}`, timestamp: '0x1' } }))
      }
      const answer = await fetch(`http://127.0.0.1:${anvilPort}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      return response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    }).catch(() => response.destroy())
  })
  const proxyPort = await listen(proxy)

  const flags = (Object.keys(PORTS) as PortName[]).flatMap((name) => [PORTS[name].option, String(ports[name])])
  console_ = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', 'start', '--network', 'optimism', '--state-dir', stateDir, ...flags], {
    cwd: PROJECT,
    env: { ...process.env, NODE_OPTIONS: '', RPC_URL: `http://127.0.0.1:${proxyPort}/v2/${KEY}`, GRAPH_ETHEREUM_GENESIS_BLOCK_NUMBER: String(GENESIS) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const started = new Promise<void>((resolve, reject) => {
    for (const input of [console_!.stdout!, console_!.stderr!]) {
      createInterface({ input }).on('line', (line) => {
        output.push(line)
        if (line.includes('Ctrl-C stops everything')) resolve()
      })
    }
    console_!.once('close', (code) => reject(new Error(`npm start ended with ${code}:\n${output.join('\n')}`)))
  })
  await started
})

afterAll(async () => {
  if (console_ !== null && console_.exitCode === null) {
    console_.kill('SIGINT')
    await new Promise((resolve) => console_!.once('exit', resolve))
  }
  anvil?.kill('SIGKILL')
  proxy?.closeAllConnections()
  proxy?.close()
  for (const dir of [stateDir, chainDir]) rmSync(dir, { recursive: true, force: true })
})

describe('npm start on Optimism', () => {
  test('behavior: examines the RPC, says what it found, and indexes within its limit', async () => {
    expect(output.join('\n')).toContain(`NOTE RPC 127.0.0.1:${(proxy.address() as AddressInfo).port}: it gives the logs of at most 500 blocks at once ("eth_getLogs is limited to a 500 range"); graph-node is set to that`)
    const examined = ranges.findIndex((blocks) => blocks <= LOG_BLOCKS)
    expect(ranges.slice(0, examined)).toHaveLength(1)
    const { status } = await until(
      () => queryApi<{ status: { network: string; chainId: number; sync: { startBlock: string; headBlock: string; indexedBlock: string; share: number; secondsLeft: number; complete: boolean } } }>(apiUrl(), '{ status { network chainId sync { startBlock headBlock indexedBlock share secondsLeft complete } } }'),
      (answer) => answer.status.sync?.complete,
    )
    expect(status).toMatchObject({ network: 'optimism', chainId: 10, sync: { startBlock: '513473', headBlock: head.toString(), secondsLeft: 0 } })
    await until(async () => output.join('\n'), (all) => all.includes('complete: block'))
    expect(Math.max(...ranges.slice(examined))).toBeLessThanOrEqual(LOG_BLOCKS)
  })

  test("behavior: an event of the deployed contract's bytecode at its address is indexed", async () => {
    const { parameterChanges } = await until(
      () => queryApi<{ parameterChanges: { nodes: { name: string; newRaw: string; sender: string }[] } }>(apiUrl(), '{ parameterChanges(name: "maxMarketsPerAccount") { nodes { name newRaw sender } } }'),
      (answer) => answer.parameterChanges.nodes.length > 0,
    )
    expect(parameterChanges.nodes).toEqual([{ name: 'maxMarketsPerAccount', newRaw: '7', sender: OWNER }])
  })

  test("error: the RPC's key is in no log, no process's command line, no answer", async () => {
    const logs = join(stateDir, 'logs')
    for (const name of readdirSync(logs)) expect([name, readFileSync(join(logs, name), 'utf8').includes(KEY)]).toEqual([name, false])
    expect(output.join('\n')).not.toContain(KEY)
    for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) expect(commandLineOf(pid).join(' ')).not.toContain(KEY)
    expect(await (await fetch(`${apiUrl()}/metrics`)).text()).not.toContain(KEY)
    expect(JSON.stringify(await queryApi(apiUrl(), '{ status { parts { name detail } } }'))).not.toContain(KEY)
  })
})
