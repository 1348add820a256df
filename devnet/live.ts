import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Hex, keccak256, numberToHex } from 'viem'
import type { Logger } from '../core/log.ts'
import { mineBlock, type RawBlock } from './chain.ts'
import type { RpcClient } from './rpc.ts'

/** Seconds of chain time between two live blocks, however much wall time has passed: a pause makes no feed stale. */
export const LIVE_BLOCK_SEC = 2

/** Blocks that one entry may stand for: after a reorganisation, this many are read from the chain again. */
const LONGEST_RUN = 1_000

/** Lines that are appended before the file is written anew, with runs in the place of single empty blocks. */
const COMPACT_EVERY_LINES = 1_000

/**
 * What was mined after the history, as it is kept on disk: one block, or a run of `count` empty ones, LIVE_BLOCK_SEC apart.
 * Number, hash and time are the last block's.
 */
export type LiveEntry = RawBlock & { readonly number: number; readonly hash: Hex; readonly count: number }

type ChainBlock = { readonly number: Hex; readonly hash: Hex; readonly timestamp: Hex; readonly transactions: readonly Hex[] }

/** Both entries as one, where the second goes on what the first is: nothing but empty blocks at the usual distance. */
function merged(last: LiveEntry, next: LiveEntry): LiveEntry | undefined {
  const count = last.count + next.count
  const firstOfNextSec = next.timestampSec - (next.count - 1) * LIVE_BLOCK_SEC
  const fits = last.transactions.length === 0 && next.transactions.length === 0 && firstOfNextSec === last.timestampSec + LIVE_BLOCK_SEC && count <= LONGEST_RUN
  return fits ? { ...next, count } : undefined
}

/**
 * The blocks since the history, lines of JSON in `<dir>/live.ndjson`. Every block is a line as soon as it is mined; now
 * and then the file is written anew with runs of empty blocks as single lines.
 * A line that was cut off by a sudden end is dropped; everything before it is kept.
 */
export class LiveLog {
  readonly #file: string
  readonly #entries: LiveEntry[] = []
  #blocks = 0
  #appended = 0

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true })
    this.#file = join(dir, 'live.ndjson')
    if (!existsSync(this.#file)) return
    for (const entry of read(this.#file)) this.#add(entry)
    this.#rewrite()
  }

  get entries(): readonly LiveEntry[] {
    return this.#entries
  }

  /** How many blocks the entries stand for. */
  get blocks(): number {
    return this.#blocks
  }

  append(entry: LiveEntry): void {
    this.#add(entry)
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`)
    if (++this.#appended >= COMPACT_EVERY_LINES) this.#rewrite()
  }

  /** Forgets the last entries. */
  dropLast(entries: number): void {
    for (const { count } of this.#entries.splice(this.#entries.length - entries, entries)) this.#blocks -= count
    this.#rewrite()
  }

  #add(entry: LiveEntry): void {
    this.#blocks += entry.count
    const last = this.#entries.at(-1)
    const both = last === undefined ? undefined : merged(last, entry)
    if (both === undefined) this.#entries.push(entry)
    else this.#entries[this.#entries.length - 1] = both
  }

  #rewrite(): void {
    writeFileSync(`${this.#file}.new`, this.#entries.map((e) => `${JSON.stringify(e)}\n`).join(''))
    renameSync(`${this.#file}.new`, this.#file)
    this.#appended = 0
  }
}

function read(file: string): LiveEntry[] {
  const entries: LiveEntry[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue
    try {
      entries.push(JSON.parse(line) as LiveEntry)
    } catch {
      return entries
    }
  }
  return entries
}

/** Mines recorded entries on a chain that stands just before them; a run of empty blocks is one request. */
export async function replayLive(rpc: RpcClient, entries: readonly LiveEntry[], onProgress: (done: number) => void): Promise<void> {
  let done = 0
  // Anvil's own interval counts from the block before; the one that anvil_mine takes counts from the wall clock.
  await rpc.call('anvil_setBlockTimestampInterval', [LIVE_BLOCK_SEC])
  for (const [i, { count, timestampSec, transactions }] of entries.entries()) {
    await mineBlock(rpc, { timestampSec: timestampSec - (count - 1) * LIVE_BLOCK_SEC, transactions })
    if (count > 1) await rpc.call('anvil_mine', [numberToHex(count - 1)])
    done += count
    if (count > 100 || i % 100 === 99) onProgress(done)
  }
  await rpc.call('anvil_removeBlockTimestampInterval')
}

/**
 * Brings the log up to the chain's head, whoever mined: new blocks are added, entries with blocks that a reorganisation
 * removed are read from the chain again. `historyHead` is the last block that the log does not hold.
 * Returns the number of blocks that were forgotten first; 0 where the chain went on.
 */
export async function record(rpc: RpcClient, log: LiveLog, historyHead: number, logger: Logger): Promise<number> {
  const forgotten = await dropOrphans(rpc, log)
  const head = Number(await rpc.call<Hex>('eth_blockNumber'))
  for (let number = historyHead + log.blocks + 1; number <= head; number++) {
    const block = await rpc.call<ChainBlock>('eth_getBlockByNumber', [numberToHex(number), false])
    const hashes = block.transactions
    const raws = hashes.length === 0 ? [] : ((await rpc.batch(hashes.map((hash) => ['eth_getRawTransactionByHash', [hash]]))) as (Hex | null)[])
    const transactions = raws.flatMap((raw, i) => {
      if (raw !== null && keccak256(raw) === hashes[i]) return [raw]
      logger.warn({ block: number, transaction: hashes[i] }, 'a transaction without a signature of its own (impersonated) will be missing after a restart')
      return []
    })
    log.append({ number, hash: block.hash, timestampSec: Number(block.timestamp), count: 1, transactions })
  }
  return forgotten
}

async function dropOrphans(rpc: RpcClient, log: LiveLog): Promise<number> {
  const before = log.blocks
  let count = 0
  for (;;) {
    const last = log.entries[log.entries.length - 1 - count]
    if (last === undefined) break
    const block = await rpc.call<ChainBlock | null>('eth_getBlockByNumber', [numberToHex(last.number), false])
    if (block?.hash === last.hash) break
    count++
  }
  if (count > 0) log.dropLast(count)
  return before - log.blocks
}
