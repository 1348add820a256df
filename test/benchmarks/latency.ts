/** How long a block takes from the chain to our GraphQL, on a whole console as `npm start` runs it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Hex } from 'viem'
import { STEP_CHANNEL } from '../../api/mirror/read.ts'
import { queryApi } from '../../cli/graphql.ts'
import { parseRunOptions } from '../../cli/options.ts'
import { startStack, type Stack } from '../../cli/stack.ts'
import { UnavailableError } from '../../core/errors.ts'
import { actionsOf } from '../../devnet/actions.ts'
import { type Draft, mineBlock, readHead, Signer } from '../../devnet/chain.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { RpcClient } from '../../devnet/rpc.ts'
import { commitsIn } from './graph-node.ts'
import { quantile } from './report.ts'

/** Milliseconds since the order to mine the block; `minedMs`: that order, in ms since 1970. */
export type Sighting = { readonly number: number; readonly minedMs: number; readonly mirrorMs: number; readonly apiMs: number }

export type LatencySummary = {
  readonly blocks: number
  /** From the order to mine until the API's indexed block is this one, ms. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly maxMs: number
  /** Of these: until graph-node's commit (by its log), from there to the follower's commit, from there to the API's answer. Medians, ms. */
  readonly graphNodeMs: number
  readonly mirrorMs: number
  readonly apiMs: number
}

export type LatencyResult = {
  /** A block every 2 s, each with a deposit and a trade. */
  readonly every2s: LatencySummary
  /** Single blocks, each after a minute without any; null where none was asked for. */
  readonly afterQuietMinute: LatencySummary | null
}

const BLOCK_MS = 2_000
const QUIET_MS = 60_000
/** Blocks before the first that counts. */
const WARM_UP_BLOCKS = 10
const LONGEST_MS = 60_000
/** Pause between two questions to the API. */
const ASK_EVERY_MS = 10

export async function benchLatency(options: { blocks: number; quietBlocks: number; dir: string; progress: (text: string) => void }): Promise<LatencyResult> {
  const { blocks, quietBlocks, dir, progress } = options
  const runOptions = await parseRunOptions([], { stateDir: dir, ephemeral: true })
  const stack = await startStack({ ...runOptions, chainArgs: ['--stop-after-history'] }, (part, detail) => progress(`${part}: ${detail}`), new AbortController().signal)
  const rpc = new RpcClient(stack.rpcUrl)
  try {
    const act = await actor(stack, rpc)
    const listener = await listenTo(stack)
    try {
      for (let i = 0; i < WARM_UP_BLOCKS; i++) await sightBlock(stack, rpc, listener, await act(i), BLOCK_MS)
      const every2s: Sighting[] = []
      for (let i = 0; i < blocks; i++) {
        every2s.push(await sightBlock(stack, rpc, listener, await act(i), BLOCK_MS))
        if (i % 10 === 9) progress(`${i + 1} of ${blocks} blocks, one every ${BLOCK_MS / 1_000} s`)
      }
      const quiet: Sighting[] = []
      for (let i = 0; i < quietBlocks; i++) {
        await sleep(QUIET_MS)
        quiet.push(await sightBlock(stack, rpc, listener, await act(i), 0))
        progress(`a single block after ${QUIET_MS / 1_000} s: ${quiet.at(-1)?.apiMs.toFixed(0)} ms`)
      }
      const commits = commitsIn(await readFile(join(dir, 'logs', 'graph-node.log'), 'utf8'), new Date().getUTCFullYear())
      return { every2s: summaryOf(every2s, commits), afterQuietMinute: quiet.length === 0 ? null : summaryOf(quiet, commits) }
    } finally {
      await listener.close()
    }
  } finally {
    rpc.close()
    await stack.stop()
  }
}

/** `commits`: when graph-node committed which block, ms since 1970. */
export function summaryOf(sightings: readonly Sighting[], commits: ReadonlyMap<number, number>): LatencySummary {
  const at = (q: number, of: (one: Sighting) => number): number => quantile(sightings.map(of), q)
  const graphNodeMs = ({ number, minedMs }: Sighting): number => (commits.get(number) ?? NaN) - minedMs
  return {
    blocks: sightings.length,
    p50Ms: at(0.5, ({ apiMs }) => apiMs),
    p95Ms: at(0.95, ({ apiMs }) => apiMs),
    maxMs: at(1, ({ apiMs }) => apiMs),
    graphNodeMs: at(0.5, graphNodeMs),
    mirrorMs: at(0.5, (one) => one.mirrorMs - graphNodeMs(one)),
    apiMs: at(0.5, ({ mirrorMs, apiMs }) => apiMs - mirrorMs),
  }
}

/** What somebody sends for the next block: a deposit of ether and a trade, from accounts that no script uses. */
export async function actor(stack: Stack, rpc: RpcClient): Promise<(i: number) => Promise<Draft[]>> {
  const act = actionsOf(stack.deployment)
  const people = devnetAccounts('spare', DEVNET_CHAIN_ID)
  const bases = stack.deployment.markets.map(({ baseToken }) => baseToken)
  const head = await readHead(rpc)
  const signer = new Signer()
  const transactions: Hex[] = []
  for (const person of people) transactions.push(await signer.sign(act.depositEther(person, 10n ** 18n)))
  await mineBlock(rpc, { timestampSec: head.timestampSec + 2, transactions })
  return async (i) => {
    const person = people[i % people.length]
    const base = bases[i % bases.length]
    if (person === undefined || base === undefined) return []
    return [act.depositEther(person, 10n ** 15n), act.trade(person, { base, side: i % 20 < 10 ? 'long' : 'short', unit: 'quote', amountE18: 20n * 10n ** 18n })]
  }
}

type Listener = {
  /** When the follower committed this block or a later one, in ms since 1970. Throws UnavailableError after LONGEST_MS. */
  committed(block: number): Promise<number>
  close(): Promise<void>
}

/** The follower's commits, as PostgreSQL tells of them. */
export async function listenTo(stack: Stack): Promise<Listener> {
  const client = new pg.Client({ connectionString: stack.databaseUrl })
  await client.connect()
  let newest = { block: -1, at: 0 }
  let waiting: { block: number; resolve: (at: number) => void } | undefined
  client.on('notification', ({ payload }) => {
    newest = { block: Number(payload), at: nowMs() }
    if (waiting !== undefined && newest.block >= waiting.block) waiting.resolve(newest.at)
  })
  await client.query(`LISTEN ${STEP_CHANNEL}`)
  return {
    committed: (block) =>
      new Promise((resolve, reject) => {
        if (newest.block >= block) return resolve(newest.at)
        const timer = setTimeout(() => reject(new UnavailableError({ part: 'mirror', found: `it has not stored block ${block} within ${LONGEST_MS / 1_000} s`, action: `see the logs in ${stack.stateDir}` })), LONGEST_MS)
        waiting = {
          block,
          resolve: (at) => {
            clearTimeout(timer)
            waiting = undefined
            resolve(at)
          },
        }
      }),
    close: () => client.end(),
  }
}

/** Wall time with fractions of a millisecond. */
export const nowMs = (): number => performance.timeOrigin + performance.now()

const signers = new WeakMap<RpcClient, Signer>()

/** Mines one block and watches it come through; answers no earlier than `lastsMs` after it was mined. */
export async function sightBlock(stack: Stack, rpc: RpcClient, listener: Listener, drafts: readonly Draft[], lastsMs: number): Promise<Sighting> {
  const head = await readHead(rpc)
  const signer = signers.get(rpc) ?? new Signer()
  signers.set(rpc, signer)
  for (const { from } of drafts) signer.setNonce(from.address, Number(await rpc.call('eth_getTransactionCount', [from.address, 'latest'])))
  const transactions: Hex[] = []
  for (const draft of drafts) transactions.push(await signer.sign(draft))
  const number = head.number + 1
  const minedMs = nowMs()
  await mineBlock(rpc, { timestampSec: head.timestampSec + 2, transactions })
  // Before the follower's commit nobody can see the block, and asking would take from those who work on it.
  const mirrorAt = await listener.committed(number)
  let apiAt: number | undefined
  while (apiAt === undefined) {
    const { status } = await queryApi<{ status: { indexed: { number: string } | null } }>(stack.apiUrl, '{ status { indexed { number } } }')
    if (Number(status.indexed?.number ?? -1) >= number) apiAt = nowMs()
    else if (nowMs() - minedMs > LONGEST_MS) throw new UnavailableError({ part: 'API', found: `it does not show block ${number} ${LONGEST_MS / 1_000} s after it was mined`, action: `see the logs in ${stack.stateDir}` })
    else await sleep(ASK_EVERY_MS)
  }
  await sleep(Math.max(0, lastsMs - (nowMs() - minedMs)))
  return { number, minedMs, mirrorMs: mirrorAt - minedMs, apiMs: apiAt - minedMs }
}
