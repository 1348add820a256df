import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Hex } from 'viem'
import { InvariantError } from '../core/errors.ts'
import type { Address } from '../protocols/curie/deployments.ts'
import { CHAIN_FLAGS } from './anvil.ts'
import { GENESIS_HASH, GENESIS_TIMESTAMP_SEC } from './genesis.ts'
import type { OwnArtifacts } from './artifacts.ts'
import { type Draft, type Head, mineBlock, type RawBlock, readHead, type Signer } from './chain.ts'
import { deploymentBlocks, type Plan } from './deploy.ts'
import { lensOf, Watch } from './lens.ts'
import { Market, type Moment } from './market.ts'
import { OPENING_SEC, pricePath, type PriceStep } from './prices.ts'
import { random } from './random.ts'
import type { RpcClient } from './rpc.ts'

/** What a history is a function of. */
export type HistoryOptions = { readonly seed: number; readonly days: number }

export const DEFAULT_HISTORY: HistoryOptions = { seed: 1, days: 30.25 }

/** A recorded chain: every block with its transactions, and the hash that replaying them must end in. */
export type History = { readonly head: Head; readonly blocks: readonly RawBlock[] }

export type Progress = (done: number, total: number) => void

/** Takers that act in one step, on average. */
const ACTIVITY = { calm: 0.65, volatile: 0.8, crash: 1.1, squeeze: 1.1, slide: 1.5 } as const

/** Seconds after a price report at which liquidators are through. */
const RESCUE_DELAY_SEC = 4

/** Plays the whole history on a fresh chain and records it. The chain ends as the history ends. */
export async function generateHistory(context: { rpc: RpcClient; plan: Plan; own: OwnArtifacts; signer: Signer }, options: HistoryOptions, onProgress: Progress): Promise<History> {
  const { rpc, plan, own, signer } = context
  const lens = lensOf(rpc, plan.deployment, own)
  const market = new Market(plan, own, lens, options.seed)
  const path = pricePath(random(options.seed ^ 0x5eed), options.days)
  const blocks: RawBlock[] = []
  const mine = async (block: RawBlock) => {
    await mineBlock(rpc, block)
    blocks.push(block)
  }
  const mineDrafts = async (timestampSec: number, drafts: readonly Draft[]) => {
    const transactions: Hex[] = []
    for (const draft of drafts) transactions.push(await signer.sign(draft))
    await mine({ timestampSec, transactions })
  }

  for (const block of await deploymentBlocks(plan, signer)) await mine(block)
  for (const [i, drafts] of market.preparation().entries()) await mineDrafts(GENESIS_TIMESTAMP_SEC + 60 * (i + 1), drafts)
  const [first, ...rest] = path
  if (first === undefined) throw new InvariantError('a price path has no steps')
  await mineDrafts(OPENING_SEC - 600, market.report(momentOf(first)))
  await mineDrafts(OPENING_SEC, [...market.report(momentOf(first)), ...market.opening(first.pricesUsd)])

  const watch = new Watch(lens, market.watched)
  await watch.start()
  for (const [i, step] of rest.entries()) {
    const drafts = await market.step(momentOf(step), watch.sight, step.hour, options.days * 24)
    await mineDrafts(step.timestampSec, drafts)
    const sight = await watch.update(actorsOf(drafts))
    const rescue = step.liquidatorsAwake ? await market.rescue(sight) : []
    if (rescue.length > 0) {
      await mineDrafts(step.timestampSec + RESCUE_DELAY_SEC, rescue)
      await watch.update(actorsOf(rescue))
    }
    if (i % 50 === 0) onProgress(i, rest.length)
  }
  onProgress(rest.length, rest.length)
  return { head: await readHead(rpc), blocks }
}

/** Everyone whose account a draft changes. */
const actorsOf = (drafts: readonly Draft[]): Set<Address> => new Set(drafts.flatMap((d) => [d.from.address, ...(d.affects === undefined ? [] : [d.affects])]))

const momentOf = (step: PriceStep): Moment => ({
  regime: step.regime,
  pricesUsd: step.pricesUsd,
  reporting: step.reporting,
  broken: step.broken,
  liquidatorsAwake: step.liquidatorsAwake,
  activity: ACTIVITY[step.regime],
})

/** Mines recorded blocks on a chain that stands just before them. Throws InvariantError when it ends on another hash. */
export async function replay(rpc: RpcClient, history: History, onProgress: Progress): Promise<Head> {
  const { blocks } = history
  for (const [i, block] of blocks.entries()) {
    await mineBlock(rpc, block)
    if (i % 50 === 49) onProgress(i + 1, blocks.length)
  }
  onProgress(blocks.length, blocks.length)
  const head = await readHead(rpc)
  if (head.hash !== history.head.hash) {
    throw new InvariantError(`the replayed history ends at block ${head.number} ${head.hash}, recorded is ${history.head.number} ${history.head.hash}`)
  }
  return head
}

/** Names the cache entry of a history: a hash over everything that the history depends on. */
export function historyKey(plan: Plan, options: HistoryOptions): string {
  const require = createRequire(import.meta.url)
  const hash = createHash('sha256')
  const here = new URL('./', import.meta.url)
  // The scripts themselves: a changed line is a changed market.
  for (const file of readdirSync(here).filter((f) => f.endsWith('.ts') && f !== 'main.ts').toSorted()) hash.update(file).update(readFileSync(new URL(file, here)))
  for (const name of ['@foundry-rs/anvil', 'viem']) hash.update((require(`${name}/package.json`) as { version: string }).version)
  hash.update(JSON.stringify(CHAIN_FLAGS)).update(GENESIS_HASH).update(JSON.stringify(options))
  for (const draft of plan.blocks.flat()) hash.update(typeof draft === 'string' ? draft : draft.data)
  return `history-${hash.digest('hex').slice(0, 16)}`
}

const fileOf = (cacheDir: string, key: string) => join(cacheDir, key, 'blocks.json.gz')

/** The cached history, or undefined where there is none that can be read. */
export function loadHistory(cacheDir: string, key: string): History | undefined {
  try {
    return JSON.parse(gunzipSync(readFileSync(fileOf(cacheDir, key))).toString('utf8')) as History
  } catch {
    return undefined
  }
}

/** Keeps a history under its key; written beside and renamed, so that a reader never sees half of one. */
export function saveHistory(cacheDir: string, key: string, history: History): void {
  mkdirSync(join(cacheDir, key), { recursive: true })
  const file = fileOf(cacheDir, key)
  writeFileSync(`${file}.${process.pid}`, gzipSync(JSON.stringify(history), { level: 6 }))
  renameSync(`${file}.${process.pid}`, file)
}
