import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { BadInputError, UnavailableError } from '../core/errors.ts'
import { BLOCK_GAS_LIMIT, serveGenesis } from './genesis.ts'
import { ACCOUNT_COUNT, DEVNET_CHAIN_ID, MNEMONIC } from './keys.ts'
import { RpcClient } from './rpc.ts'

const HOST = '127.0.0.1'

/**
 * Everything that the block hashes depend on besides the transactions and their timestamps.
 * Gas is free; blocks are mined only when the driver says so, in the order in which transactions came.
 */
export const CHAIN_FLAGS = [
  '--chain-id', String(DEVNET_CHAIN_ID),
  '--hardfork', 'cancun',
  '--mnemonic', MNEMONIC,
  '--accounts', String(ACCOUNT_COUNT),
  '--balance', '100000',
  '--gas-limit', String(BLOCK_GAS_LIMIT),
  '--gas-price', '0',
  '--base-fee', '0',
  '--order', 'fifo',
  '--no-mining',
] as const

/**
 * States of past blocks that anvil keeps in memory: reorganisations and historical calls reach this far back.
 * Each is a copy of the whole state (1–3 MB); with anvil's own default a history puts 5 GB of them on disk.
 */
export const KEPT_STATES = 128

export type Anvil = {
  readonly url: string
  readonly rpc: RpcClient
  readonly process: ChildProcess
  /** Ends the process; resolves when it is gone. */
  stop(): Promise<void>
  /** Resolves when the process has ended, with the reason in words. */
  readonly ended: Promise<string>
}

/** Path of the anvil binary that npm installed. Throws where npm has none for this machine. */
export function anvilBinary(): string {
  const require = createRequire(import.meta.url)
  const name = `@foundry-rs/anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  try {
    return join(require.resolve(`${name}/package.json`), '..', 'bin', 'anvil')
  } catch (cause) {
    throw new UnavailableError({ part: 'devnet', found: `npm installed no ${name}`, action: 'run npm ci, with optional dependencies, on linux-x64' }, cause)
  }
}

/** Starts anvil on a port of the loopback interface and waits until it answers. `stateDir` takes the states it puts on disk. */
export async function startAnvil(options: { port: number; stateDir: string; flags?: readonly string[] }): Promise<Anvil> {
  mkdirSync(options.stateDir, { recursive: true })
  const pidFile = join(options.stateDir, 'anvil.pid')
  // A process that was killed holds its port a moment longer than its name.
  const patienceMs = endLeftover(pidFile, options.stateDir) ? 5_000 : 0
  await refuseTakenPort(options.port, Date.now() + patienceMs)
  const genesis = await serveGenesis()
  const args = [...CHAIN_FLAGS, '--fork-url', genesis.url, '--fork-block-number', '0', '--fork-chain-id', String(DEVNET_CHAIN_ID), '--no-storage-caching', '--no-rate-limit', '--host', HOST, '--port', String(options.port), '--cache-path', join(options.stateDir, 'states'), '--prune-history', String(KEPT_STATES), '--quiet', ...(options.flags ?? [])]
  const child = spawn(anvilBinary(), args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, RUST_BACKTRACE: '0' } })
  if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid))
  let lastWords = ''
  child.stderr.on('data', (chunk: Buffer) => (lastWords = (lastWords + chunk.toString('utf8')).slice(-500)))
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`anvil could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(`anvil ended ${signal === null ? `with code ${code}` : `by ${signal}`}${lastWords === '' ? '' : `: ${lastWords.trim()}`}`))
  })
  const url = `http://${HOST}:${options.port}`
  const rpc = new RpcClient(url)
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(force)
    rpc.close()
    genesis.close()
  }
  const early = ended.then((reason) => {
    throw new UnavailableError({ part: 'devnet', found: reason, action: `look at port ${options.port} and at ${options.stateDir}` })
  })
  early.catch(() => undefined)
  await Promise.race([untilAnswering(rpc), early])
  return { url, rpc, process: child, stop, ended }
}

/** Ends an anvil of ours that outlived its driver (which was killed): same state folder, same binary, recorded pid. */
function endLeftover(pidFile: string, stateDir: string): boolean {
  if (!existsSync(pidFile)) return false
  const pid = Number(readFileSync(pidFile, 'utf8'))
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    if (!command.includes('anvil') || !command.includes(join(stateDir, 'states'))) return false
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

async function untilAnswering(rpc: RpcClient): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rpc.call('eth_chainId')
      return
    } catch (error) {
      if (attempt === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** Throws BadInputError when the port is still taken at `deadlineMs` (Date.now()). */
async function refuseTakenPort(port: number, deadlineMs: number): Promise<void> {
  for (;;) {
    const code = await new Promise<string | undefined>((resolve) => {
      const server = createServer()
      server.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message))
      server.listen(port, HOST, () => server.close(() => resolve(undefined)))
    })
    if (code === undefined) return
    if (code !== 'EADDRINUSE') throw new BadInputError(`Found that port ${port} cannot be opened (${code}), allowed are free ports from 1024 to 65535; choose another port for the chain`, { port })
    if (Date.now() >= deadlineMs) throw new BadInputError(`Found port ${port} taken by another process, the devnet needs it free; stop that process or choose another port for the chain`, { port })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
