/** How long a block takes from the chain to our GraphQL, on a whole console as `npm start` runs it. */
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
import { quantile } from './report.ts'

/** Milliseconds since the block was mined. */
type Sighting = { readonly graphNodeMs: number; readonly mirrorMs: number; readonly apiMs: number }

export type LatencySummary = {
  readonly blocks: number
  /** From the order to mine until the API's indexed block is this one, ms. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly maxMs: number
  /** Of these: until graph-node's `_meta` names the block, from there to the follower's commit, from there to the API's answer. Medians, ms. */
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
/** Pause between two questions to the same part; half of it is in every figure. */
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
      return { every2s: summaryOf(every2s), afterQuietMinute: quiet.length === 0 ? null : summaryOf(quiet) }
    } finally {
      await listener.close()
    }
  } finally {
    rpc.close()
    await stack.stop()
  }
}

export function summaryOf(sightings: readonly Sighting[]): LatencySummary {
  const at = (q: number, of: (one: Sighting) => number): number => quantile(sightings.map(of), q)
  return {
    blocks: sightings.length,
    p50Ms: at(0.5, ({ apiMs }) => apiMs),
    p95Ms: at(0.95, ({ apiMs }) => apiMs),
    maxMs: at(1, ({ apiMs }) => apiMs),
    graphNodeMs: at(0.5, ({ graphNodeMs }) => graphNodeMs),
    mirrorMs: at(0.5, ({ graphNodeMs, mirrorMs }) => mirrorMs - graphNodeMs),
    apiMs: at(0.5, ({ mirrorMs, apiMs }) => apiMs - mirrorMs),
  }
}

/** What somebody sends for the next block: a deposit of ether and a trade, from accounts that no script uses. */
async function actor(stack: Stack, rpc: RpcClient): Promise<(i: number) => Promise<Draft[]>> {
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

type Listener = { readonly steps: Map<number, number>; close(): Promise<void> }

/** When the follower committed which block, as PostgreSQL tells it. */
async function listenTo(stack: Stack): Promise<Listener> {
  const client = new pg.Client({ connectionString: stack.databaseUrl })
  await client.connect()
  const steps = new Map<number, number>()
  client.on('notification', ({ payload }) => {
    const block = Number(payload)
    if (!steps.has(block)) steps.set(block, performance.now())
  })
  await client.query(`LISTEN ${STEP_CHANNEL}`)
  return { steps, close: () => client.end() }
}

const signers = new WeakMap<RpcClient, Signer>()

/** Mines one block and watches it come through; answers no earlier than `lastsMs` after it was mined. */
async function sightBlock(stack: Stack, rpc: RpcClient, listener: Listener, drafts: readonly Draft[], lastsMs: number): Promise<Sighting> {
  const head = await readHead(rpc)
  const signer = signers.get(rpc) ?? new Signer()
  signers.set(rpc, signer)
  for (const { from } of drafts) signer.setNonce(from.address, Number(await rpc.call('eth_getTransactionCount', [from.address, 'latest'])))
  const transactions: Hex[] = []
  for (const draft of drafts) transactions.push(await signer.sign(draft))
  const number = head.number + 1
  const minedMs = performance.now()
  await mineBlock(rpc, { timestampSec: head.timestampSec + 2, transactions })
  const until = async (what: string, isThere: () => Promise<boolean>): Promise<number> => {
    for (;;) {
      if (await isThere()) return performance.now()
      if (performance.now() - minedMs > LONGEST_MS) throw new UnavailableError({ part: what, found: `it does not show block ${number} ${LONGEST_MS / 1_000} s after it was mined`, action: `see the logs in ${stack.stateDir}` })
      await sleep(ASK_EVERY_MS)
    }
  }
  const [graphNodeAt, apiAt] = await Promise.all([
    until('graph-node', async () => (await graphNodeBlock(stack.graphNodeUrl)) >= number),
    until('API', async () => Number((await queryApi<{ status: { indexed: { number: string } | null } }>(stack.apiUrl, '{ status { indexed { number } } }')).status.indexed?.number ?? -1) >= number),
  ])
  const mirrorAt = [...listener.steps].find(([block]) => block >= number)?.[1] ?? apiAt
  await sleep(Math.max(0, lastsMs - (performance.now() - minedMs)))
  return { graphNodeMs: graphNodeAt - minedMs, mirrorMs: mirrorAt - minedMs, apiMs: apiAt - minedMs }
}

async function graphNodeBlock(url: string): Promise<number> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: '{ _meta { block { number } } }' }) })
  const { data } = (await response.json()) as { data?: { _meta: { block: { number: number } } | null } }
  return data?._meta?.block.number ?? -1
}
