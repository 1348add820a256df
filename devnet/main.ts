/**
 * The devnet as a process: a chain with the protocol and its history, which then goes on living.
 * Events go to stdout as lines of JSON (and to the parent over IPC, where there is one); logs go to stderr.
 */
import { existsSync, fstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { decodeFunctionResult, encodeFunctionData, type Hex, numberToHex } from 'viem'
import { BadInputError, BulwarkError, UnavailableError } from '../core/errors.ts'
import { createLogger } from '../core/log.ts'
import { freePort } from '../core/ports.ts'
import { type Anvil, startAnvil } from './anvil.ts'
import { serveArchive } from './archive.ts'
import { compileOwnContracts, type OwnArtifacts } from './artifacts.ts'
import { type Draft, type Head, mineBlock, readHead, Signer } from './chain.ts'
import { assertRecorded, deploymentBlocks, type Plan, planDeployment, writeDeployment } from './deploy.ts'
import { DEFAULT_HISTORY, generateHistory, type History, historyKey, type HistoryOptions, loadHistory, replay, saveHistory } from './history.ts'
import { DEVNET_CHAIN_ID, devnetAccounts, ROLES, type Role } from './keys.ts'
import { lensOf, Watch } from './lens.ts'
import { LIVE_BLOCK_SEC, LiveLog, record, replayLive } from './live.ts'
import { Market } from './market.ts'
import { correlated, isReportDue, OPENING_SEC, type Report } from './prices.ts'
import { random } from './random.ts'
import { type RpcClient, RpcError } from './rpc.ts'

const log = createLogger('devnet')

/** Live blocks between two in which the market acts, a minute of chain time; those between are empty unless someone else sends. */
const MARKET_EVERY_BLOCKS = 30
/** Expected number of takers that act when the market does. */
const LIVE_ACTIVITY = 0.6
/** Annual volatility of live prices. */
const LIVE_VOLATILITY = [0.6, 0.5, 0.9]
const SECONDS_PER_YEAR = 31_557_600

export type DevnetEvent =
  /** The chain answers; `archiveUrl` also knows the states of the protocol's first blocks, which `url` forgets. */
  | { event: 'rpc-ready'; url: string; archiveUrl: string | null; chainId: number }
  | { event: 'progress'; step: 'generate' | 'replay' | 'replay-live'; done: number; total: number }
  | { event: 'ready'; url: string; headHash: Hex; headNumber: number; headTimestamp: number; historyHead: number }

type Options = { stateDir: string; cacheDir: string; port: number; blockTimeMs: number; history: HistoryOptions; archivePort: number | null; stopAfterHistory: boolean }

const USAGE = 'usage: tsx devnet/main.ts --state-dir DIR --cache-dir DIR --port N [--seed N] [--days N] [--block-time-ms N] [--archive-port N] [--stop-after-history] | --write-addresses'

function emit(event: DevnetEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
  process.send?.(event)
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new BadInputError(`Found --${name} ${text}, allowed are whole numbers from ${min} to ${max}; ${USAGE}`)
}

function dayCount(text: string): number {
  const value = Number(text)
  if (value >= 0.1 && value <= 365) return value
  throw new BadInputError(`Found --days ${text}, allowed are numbers from 0.1 to 365; ${USAGE}`)
}

function readOptions(): Options | 'write-addresses' {
  let values
  try {
    values = parseArgs({
      options: {
        'state-dir': { type: 'string', default: '.bulwark' },
        'cache-dir': { type: 'string', default: '.bulwark/cache' },
        port: { type: 'string', default: '8545' },
        seed: { type: 'string', default: String(DEFAULT_HISTORY.seed) },
        days: { type: 'string', default: String(DEFAULT_HISTORY.days) },
        'block-time-ms': { type: 'string', default: '2000' },
        'archive-port': { type: 'string' },
        'stop-after-history': { type: 'boolean', default: false },
        'write-addresses': { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new BadInputError(`${(error as Error).message}; ${USAGE}`)
  }
  if (values['write-addresses']) return 'write-addresses'
  return {
    stateDir: join(resolve(values['state-dir']), 'devnet'),
    cacheDir: resolve(values['cache-dir']),
    port: wholeNumber('port', values.port, 1024, 65_535),
    blockTimeMs: wholeNumber('block-time-ms', values['block-time-ms'], 50, 3_600_000),
    history: { seed: wholeNumber('seed', values.seed, 0, 2 ** 31 - 1), days: dayCount(values.days) },
    archivePort: values['archive-port'] === undefined ? null : wholeNumber('archive-port', values['archive-port'], 1024, 65_535),
    stopAfterHistory: values['stop-after-history'],
  }
}

/** Which history the state folder's live blocks stand on. */
type ChainRecord = { readonly historyKey: string; readonly seed: number; readonly days: number }

/**
 * The history that this state folder stands on, and its key. Whoever indexed the folder's chain holds it to be this one:
 * throws BadInputError where it cannot be had again exactly.
 */
function chooseHistory(options: Options, plan: Plan, live: LiveLog): { key: string; cached: History | undefined } {
  const file = join(options.stateDir, 'chain.json')
  const key = historyKey(plan, options.history)
  const cached = loadHistory(options.cacheDir, key)
  const action = 'run npm run reset to begin anew, or name another --state-dir'
  if (!existsSync(file)) {
    if (live.blocks === 0) return { key, cached }
    throw new BadInputError(`Found ${live.blocks} live blocks in ${options.stateDir} and no chain.json that names the history below them; ${action}`)
  }
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as ChainRecord
  if (recorded.seed !== options.history.seed || recorded.days !== options.history.days) {
    throw new BadInputError(
      `Found a chain with seed ${recorded.seed} and ${recorded.days} days in ${options.stateDir}, asked for was seed ${options.history.seed} and ${options.history.days} days; ${action}`,
    )
  }
  if (recorded.historyKey !== key) throw new BadInputError(`Found a chain in ${options.stateDir} that stands on ${recorded.historyKey}, this version of devnet/ makes ${key}; ${action}`)
  if (cached === undefined) throw new BadInputError(`Found a chain in ${options.stateDir} that stands on ${key}, which is no longer in ${options.cacheDir}; put it back, or ${action}`)
  return { key, cached }
}

/**
 * Throws UnavailableError where a block lacks a transaction that was sent for it: on a machine that is short of time, anvil now
 * and then leaves some out and says nothing. What was recorded then never replays to the same head.
 */
async function assertWhole(rpc: RpcClient, { blocks }: History): Promise<void> {
  for (let from = 0; from < blocks.length; from += 200) {
    const part = blocks.slice(from, from + 200)
    const taken = await rpc.batch(part.map((_, i) => ['eth_getBlockTransactionCountByNumber', [numberToHex(from + i + 1)]]))
    const short = part.findIndex((block, i) => Number(taken[i]) !== block.transactions.length)
    if (short === -1) continue
    throw new UnavailableError({ part: 'devnet', found: `anvil took ${Number(taken[short])} of ${part[short]!.transactions.length} transactions into block ${from + short + 1} of the new history`, action: 'start again, while the machine has less to do' })
  }
}

async function bringUp(anvil: Anvil, options: Options, plan: Plan, own: OwnArtifacts, live: LiveLog, { key, cached }: ReturnType<typeof chooseHistory>): Promise<{ historyHead: Head; head: Head }> {
  const { rpc } = anvil
  let historyHead: Head
  if (cached === undefined) {
    log.info({ days: options.history.days, seed: options.history.seed }, 'generating the history, once')
    const history = await generateHistory({ rpc, plan, own, signer: new Signer() }, options.history, (done, total) => emit({ event: 'progress', step: 'generate', done, total }))
    await assertWhole(rpc, history)
    saveHistory(options.cacheDir, key, history)
    historyHead = history.head
  } else {
    historyHead = await replay(rpc, cached, (done, total) => emit({ event: 'progress', step: 'replay', done, total }))
  }
  mkdirSync(options.stateDir, { recursive: true })
  writeFileSync(join(options.stateDir, 'chain.json'), JSON.stringify({ historyKey: key, ...options.history } satisfies ChainRecord))

  if (live.blocks > 0) await replayLive(rpc, live.entries, (done) => emit({ event: 'progress', step: 'replay-live', done, total: live.blocks }))
  const head = await readHead(rpc)
  const last = live.entries.at(-1)
  if (last !== undefined && last.hash !== head.hash) {
    log.warn({ found: head.hash, recorded: last.hash, block: head.number }, 'the live blocks were replayed to another hash: something outside changed the chain (a reorganisation or an impersonated transaction)')
  }
  return { historyHead, head }
}

/** A second, small chain that stands still after the deployment, and the address that puts both together. */
async function startArchive(port: number, chainUrl: string, stateDir: string, plan: Plan): Promise<{ url: string; stop(): Promise<void> }> {
  const still = await startAnvil({ port: await freePort(), stateDir: join(stateDir, 'archive') })
  try {
    const hashes = new Set<string>()
    const blocks = await deploymentBlocks(plan, new Signer())
    for (const block of blocks) {
      await mineBlock(still.rpc, block)
      hashes.add((await readHead(still.rpc)).hash)
    }
    const gateway = await serveArchive({ port, chainUrl, archiveUrl: still.url, blocks: { last: blocks.length, hashes } })
    return { url: gateway.url, stop: async () => (gateway.close(), still.stop()) }
  } catch (error) {
    await still.stop()
    throw error
  }
}

/** What each market's source reported last. */
async function lastReports(rpc: RpcClient, plan: Plan, own: OwnArtifacts): Promise<Report[]> {
  const { abi } = own.Aggregator
  const data = encodeFunctionData({ abi, functionName: 'latestRoundData' })
  const answers = (await rpc.batch(plan.tools.aggregators.map((to) => ['eth_call', [{ to, data }, 'latest']]))) as Hex[]
  return answers.map((answer) => {
    const [, price, , updatedAt] = decodeFunctionResult({ abi, functionName: 'latestRoundData', data: answer }) as readonly bigint[]
    return { priceUsd: Number(price) / 1e8, timestampSec: Number(updatedAt) }
  })
}

/** Accounts that no transaction of ours touches and every fork of the chain asks for: the coinbase, the precompiles, what `eth_call` sends from. */
const ASKED_BY_FORKS = Array.from({ length: 32 }, (_, i) => `0x${i.toString(16).padStart(40, '0')}`)
/** A block takes milliseconds; an anvil that needs this long stands still for good. */
const ANSWER_MS = 5_000

/** Mines a block every `blockTimeMs` until told to stop. Other people's transactions in the mempool are mined with ours. */
async function goOn(anvil: Anvil, options: Options, plan: Plan, own: OwnArtifacts, live: LiveLog, historyHead: number, stopping: AbortSignal): Promise<void> {
  const { rpc } = anvil
  // anvil fetches an account that it has not seen from the chain that it forks, and can stand still when that meets a block being mined: see them now.
  for (const address of ASKED_BY_FORKS) await rpc.call('eth_getBalance', [address, 'latest'])
  let head = await readHead(rpc)
  const lens = lensOf(rpc, plan.deployment, own)
  // The head decides the sequence, so that a restart neither repeats nor depends on what came before.
  const rng = random(head.number ^ options.history.seed)
  const market = new Market(plan, own, lens, head.number + options.history.seed)
  const watch = new Watch(lens, market.watched)
  const scripted = (Object.keys(ROLES) as Role[]).filter((r) => r !== 'spare').flatMap((r) => devnetAccounts(r, DEVNET_CHAIN_ID))
  let prices = (await lastReports(rpc, plan, own)).map((r) => r.priceUsd)

  /** What the market sends in the block after `at`, with fresh eyes: reports that are due, arbitrage, trades, liquidations. */
  const act = async (at: Head): Promise<Draft[]> => {
    const timestampSec = at.timestampSec + LIVE_BLOCK_SEC
    const reports = await lastReports(rpc, plan, own)
    await watch.start()
    const reporting = reports.flatMap((last, i) => (isReportDue(last, prices[i] ?? 0, timestampSec, MARKET_EVERY_BLOCKS * LIVE_BLOCK_SEC) ? [i] : []))
    const moment = { regime: 'calm', pricesUsd: prices, reporting, broken: null, liquidatorsAwake: true, activity: LIVE_ACTIVITY } as const
    return [...market.liveStep(moment, watch.sight, (timestampSec - OPENING_SEC) / 3_600), ...(await market.rescue(watch.sight))]
  }

  while (!stopping.aborted) {
    const due = Date.now() + options.blockTimeMs
    const noise = correlated(rng)
    prices = prices.map((p, i) => p * Math.exp((LIVE_VOLATILITY[i] ?? 0) * Math.sqrt(LIVE_BLOCK_SEC / SECONDS_PER_YEAR) * (noise[i] ?? 0)))
    const drafts = head.number % MARKET_EVERY_BLOCKS === 0 ? await act(head) : []
    // Someone else may use the scripted keys (the Safe's owners do): nonces are read, never assumed.
    const senders = [...new Set(drafts.map((d) => d.from.address))].filter((a) => scripted.some((s) => s.address === a))
    const nonces = senders.length === 0 ? [] : ((await rpc.batch(senders.map((a) => ['eth_getTransactionCount', [a, 'pending']]))) as Hex[])
    const signer = new Signer()
    for (const [i, address] of senders.entries()) signer.setNonce(address, Number(nonces[i]))
    const transactions: Hex[] = []
    for (const draft of drafts) transactions.push(await signer.sign(draft))
    try {
      await answered(mineBlock(rpc, { timestampSec: head.timestampSec + LIVE_BLOCK_SEC, transactions }))
    } catch (error) {
      // Someone else sent from a scripted account, or mined, in between: the next block will do.
      if (!(error instanceof RpcError)) throw error
      log.warn({ block: head.number + 1 }, error.message)
    }
    const dropped = await record(rpc, live, historyHead, log)
    if (dropped > 0) log.warn({ recordedAgain: dropped }, 'the chain was reorganised')
    head = await readHead(rpc)
    await pause(due - Date.now(), stopping)
  }
}

/** Throws UnavailableError where anvil has stood still for ANSWER_MS: whoever started this process then starts it again, at the same head. */
function answered<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new UnavailableError({ part: 'devnet', found: `anvil has not answered for ${ANSWER_MS / 1000} s`, action: 'start it again; nothing that was mined is lost' })), ANSWER_MS)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function pause(ms: number, stopping: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (stopping.aborted || ms <= 0) return done()
    const finish = () => {
      clearTimeout(timer)
      stopping.removeEventListener('abort', finish)
      done()
    }
    const timer = setTimeout(finish, ms)
    stopping.addEventListener('abort', finish)
  })
}

/** Calls back once when someone asks us to stop, or when the process that started us is gone. */
function onStop(stop: (reason: string) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal))
  process.on('disconnect', () => stop('the parent closed the channel'))
  const stdin = fstatSync(0)
  if (stdin.isFIFO() || stdin.isSocket()) {
    process.stdin.on('end', () => stop('standard input was closed')).resume()
    process.stdin.unref?.()
  }
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && stop('the parent ended'), 1_000).unref()
}

async function main(): Promise<void> {
  const options = readOptions()
  if (options === 'write-addresses') {
    writeDeployment((await planDeployment(await compileOwnContracts(resolve('.bulwark/cache')))).deployment)
    return
  }
  const stopping = new AbortController()
  let reason = ''
  onStop((why) => {
    reason = why
    stopping.abort()
  })
  const own = await compileOwnContracts(options.cacheDir)
  const plan = await planDeployment(own)
  assertRecorded(plan.deployment)
  mkdirSync(dirname(options.stateDir), { recursive: true })
  const live = new LiveLog(options.stateDir)
  const chosen = chooseHistory(options, plan, live)
  const anvil = await startAnvil({ port: options.port, stateDir: options.stateDir })
  let stopped = false
  const died = anvil.ended.then((why) => {
    if (stopped || stopping.signal.aborted) return
    throw new UnavailableError({ part: 'devnet', found: why, action: 'start it again; nothing that was mined is lost' })
  })
  let archive: Awaited<ReturnType<typeof startArchive>> | undefined
  try {
    if (options.archivePort !== null) archive = await startArchive(options.archivePort, anvil.url, options.stateDir, plan)
    emit({ event: 'rpc-ready', url: anvil.url, archiveUrl: archive?.url ?? null, chainId: DEVNET_CHAIN_ID })
    const work = (async () => {
      const { historyHead, head } = await bringUp(anvil, options, plan, own, live, chosen)
      emit({ event: 'ready', url: anvil.url, headHash: head.hash, headNumber: head.number, headTimestamp: head.timestampSec, historyHead: historyHead.number })
      if (options.stopAfterHistory) await new Promise<void>((done) => stopping.signal.addEventListener('abort', () => done(), { once: true }))
      else await goOn(anvil, options, plan, own, live, historyHead.number, stopping.signal)
    })()
    const asked = new Promise<void>((done) => stopping.signal.addEventListener('abort', () => done(), { once: true }))
    // Once asked to stop, the block being mined may finish; a history being replayed need not.
    await Promise.race([
      work.catch(async (error: unknown) => {
        // Where the chain died, its own last words say more than the call that found it gone.
        await Promise.race([died, new Promise((done) => setTimeout(done, 500))])
        if (!stopping.signal.aborted) throw error
      }),
      died,
      asked,
    ])
    await Promise.race([work.catch(() => undefined), new Promise((done) => setTimeout(done, 1_000))])
    if (reason !== '') log.info({ reason }, 'stopping')
  } finally {
    stopped = true
    await Promise.all([anvil.stop(), archive?.stop()])
  }
}

try {
  await main()
  process.exit(0)
} catch (error) {
  if (error instanceof BulwarkError) log.error({ code: error.code, ...error.facts }, error.message)
  else log.error({ err: error }, 'the devnet failed')
  process.exit(1)
}
