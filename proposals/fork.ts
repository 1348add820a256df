/** A private copy of the chain at one block, for trying things out: anvil as a child on a loopback port, gone afterwards. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createTestClient, http, publicActions, walletActions } from 'viem'
import type { PublicActions, TestClient, WalletActions } from 'viem'
import { UnavailableError } from '../core/errors.ts'
import type { Call, Hex } from '../protocols/adapter.ts'

export type ForkClient = TestClient<'anvil'> & PublicActions & WalletActions
export type Fork = {
  readonly client: ForkClient
  readonly url: string
  /** Answers of many calls at the fork's head, in their order; null where one reverts. */
  read(calls: readonly Call[]): Promise<readonly (Hex | null)[]>
  close(): Promise<void>
}

const START_TIMEOUT_MS = 20_000
const READ_TIMEOUT_MS = 60_000
/** What anvil asks of the chain. */
const FORWARD_TIMEOUT_MS = 60_000
/** Calls in one request to the fork. */
const BATCH = 250
/** Above anvil's own limit for calls of a getter over many markets. */
const CALL_GAS = '0x11e1a300'
/** JSON-RPC's code of a call that the contract reverts. */
const REVERTED = 3
const require = createRequire(import.meta.url)
const running = new Set<ChildProcess>()
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** anvil's own binary, as its npm package carries it. Throws UnavailableError where this platform has none. */
export function anvilPath(): string {
  const name = `@foundry-rs/anvil-${process.platform === 'win32' ? 'win32' : process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  try {
    return require.resolve(`${name}/bin/anvil${process.platform === 'win32' ? '.exe' : ''}`)
  } catch (error) {
    throw new UnavailableError({ part: 'fork', found: `package ${name} is not installed`, action: 'run npm ci on a platform that anvil is built for' }, error)
  }
}

/**
 * Starts a fork of `rpcUrl` at `blockNumber`. The caller closes it.
 * Nothing is cached between forks: a block number is not an identity while a chain can be reorganised or started anew.
 * Throws UnavailableError where anvil does not answer in 20 s.
 */
export async function openFork(options: { rpcUrl: string; blockNumber: bigint; chainId: number; stateDir: string }): Promise<Fork> {
  const cachePath = join(options.stateDir, 'cache', 'fork')
  await mkdir(cachePath, { recursive: true })
  // Before anything listens that would have to be closed again.
  const binary = anvilPath()
  const upstream = await forward(options.rpcUrl)
  const args = ['--fork-url', upstream.url, '--fork-block-number', String(options.blockNumber), '--chain-id', String(options.chainId), '--host', '127.0.0.1', '--port', '0', '--no-storage-caching', '--no-rate-limit', '--cache-path', cachePath]
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const close = async (): Promise<void> => {
    upstream.close()
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  try {
    const url = await listening(child)
    const client = createTestClient({ mode: 'anvil', transport: http(url, { retryCount: 0, timeout: 60_000 }), cacheTime: 0 }).extend(publicActions).extend(walletActions)
    return { client, url, read: (calls) => readMany(url, calls), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Reads in batches of JSON-RPC. Throws UnavailableError where the fork answers otherwise than with a value or a revert. */
async function readMany(url: string, calls: readonly Call[]): Promise<readonly (Hex | null)[]> {
  const answers: (Hex | null)[] = []
  for (let from = 0; from < calls.length; from += BATCH) {
    const part = calls.slice(from, from + BATCH)
    const body = JSON.stringify(part.map((call, id) => ({ jsonrpc: '2.0', id, method: 'eth_call', params: [{ to: call.to, data: call.data, gas: CALL_GAS }, 'latest'] })))
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal: AbortSignal.timeout(READ_TIMEOUT_MS) }).catch((error: unknown) => {
      throw new UnavailableError({ part: 'fork', found: `no answer to ${part.length} calls (${error instanceof Error ? error.name : 'unknown reason'})`, action: 'check that the chain answers at that block, and simulate again' })
    })
    const found = (await response.json()) as readonly { readonly id: number; readonly result?: Hex; readonly error?: { readonly code: number; readonly message: string } }[]
    const byId = new Map(found.map((each) => [each.id, each]))
    for (const [id, call] of part.entries()) {
      const answer = byId.get(id)
      if (answer?.result !== undefined) answers.push(answer.result)
      else if (answer?.error !== undefined && (answer.error.code === REVERTED || answer.error.message.includes('revert'))) answers.push(null)
      else throw new UnavailableError({ part: 'fork', found: `${answer?.error?.message.split('\n')[0] ?? 'no answer'} for a call to ${call.to}`, action: 'check that the chain answers at that block, and simulate again' })
    }
  }
  return answers
}

/**
 * Passes JSON-RPC on to `rpcUrl` from a loopback port. anvil takes the chain's URL on its command line alone, where every
 * user of the machine can read it, and a URL may carry a key. While the fork lives, they can use the port, but not keep the key.
 */
async function forward(rpcUrl: string): Promise<{ readonly url: string; close(): void }> {
  const target = new URL(rpcUrl)
  const headers = new Headers({ 'content-type': 'application/json' })
  if (target.username !== '') headers.set('authorization', `Basic ${btoa(`${decodeURIComponent(target.username)}:${decodeURIComponent(target.password)}`)}`)
  target.username = ''
  target.password = ''
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // A timer of its own: Node 20 may collect a timeout that only `AbortSignal.any` refers to.
    const asking = new AbortController()
    const stop = (): void => asking.abort()
    const late = setTimeout(stop, FORWARD_TIMEOUT_MS)
    // Nobody waits for the answer any more: anvil has gone, or the fork was closed.
    response.once('close', stop)
    if (response.destroyed) stop()
    try {
      const answer = await fetch(target, { method: 'POST', headers, body: await text(request), signal: asking.signal })
      const body = await answer.text()
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(body)
    } catch {
      // Without the cause: it would carry the URL into anvil's output.
      response.writeHead(502).end()
    } finally {
      clearTimeout(late)
    }
  }
  // One at a time: an anvil that is asked for many unknown accounts at once while it mines can stand still for good.
  let last: Promise<void> = Promise.resolve()
  const server = createServer((request, response) => {
    last = last.then(() => pass(request, response))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** The address that anvil prints once it listens: port 0 lets the system choose a free one. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = (found: string): void => {
      settle()
      reject(new UnavailableError({ part: 'fork', found, action: 'check that the chain answers at that block, and simulate again' }))
    }
    const timer = setTimeout(() => fail(`anvil did not listen within ${START_TIMEOUT_MS / 1000} s`), START_TIMEOUT_MS)
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      const found = /Listening on (127\.0\.0\.1:\d+)/.exec(output)
      if (found !== null) {
        settle()
        resolve(`http://${found[1]}`)
      }
    }
    const pipes = [child.stdout, child.stderr]
    const settle = (): void => {
      clearTimeout(timer)
      // Read on, and kept no more: a full pipe would stop anvil.
      for (const pipe of pipes) pipe?.off('data', read).resume()
    }
    for (const pipe of pipes) pipe?.on('data', read)
    child.once('error', (error) => fail(`anvil did not start (${error.message})`))
    child.once('exit', (code, signal) => fail(`anvil ended with ${signal ?? `code ${code}`} (${output.trim().split('\n').at(-1) ?? 'no output'})`))
  })
}
