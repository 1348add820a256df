import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Hex, keccak256, numberToHex } from 'viem'
import type { Logger } from '../core/log.ts'
import type { RawBlock } from './chain.ts'
import type { RpcClient } from './rpc.ts'

/** A block that was mined after the history, as it is kept on disk. */
export type LiveBlock = RawBlock & { readonly number: number; readonly hash: Hex }

type ChainBlock = { readonly number: Hex; readonly hash: Hex; readonly parentHash: Hex; readonly timestamp: Hex; readonly transactions: readonly { readonly hash: Hex }[] }

/**
 * The blocks since the history, one line of JSON each in `<dir>/live.ndjson`.
 * A line that was cut off by a sudden end is dropped; everything before it is kept.
 */
export class LiveLog {
  readonly #file: string
  readonly #blocks: LiveBlock[]

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true })
    this.#file = join(dir, 'live.ndjson')
    const { blocks, torn } = read(this.#file)
    this.#blocks = blocks
    if (torn) this.#rewrite()
  }

  get blocks(): readonly LiveBlock[] {
    return this.#blocks
  }

  append(block: LiveBlock): void {
    this.#blocks.push(block)
    appendFileSync(this.#file, `${JSON.stringify(block)}\n`)
  }

  /** Forgets the last blocks, which a reorganisation has taken off the chain. */
  dropLast(count: number): void {
    this.#blocks.splice(this.#blocks.length - count, count)
    this.#rewrite()
  }

  #rewrite(): void {
    writeFileSync(`${this.#file}.new`, this.#blocks.map((b) => `${JSON.stringify(b)}\n`).join(''))
    renameSync(`${this.#file}.new`, this.#file)
  }
}

function read(file: string): { blocks: LiveBlock[]; torn: boolean } {
  if (!existsSync(file)) return { blocks: [], torn: false }
  const blocks: LiveBlock[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue
    try {
      blocks.push(JSON.parse(line) as LiveBlock)
    } catch {
      return { blocks, torn: true }
    }
  }
  return { blocks, torn: false }
}

/**
 * Brings the log up to the chain's head, whoever mined: new blocks are added, blocks that a reorganisation removed are
 * dropped. `historyHead` is the last block that the log does not hold. Returns the number of blocks that were dropped.
 */
export async function record(rpc: RpcClient, log: LiveLog, historyHead: number, logger: Logger): Promise<number> {
  const dropped = await dropOrphans(rpc, log)
  const head = Number(await rpc.call<Hex>('eth_blockNumber'))
  for (let number = historyHead + log.blocks.length + 1; number <= head; number++) {
    const block = await rpc.call<ChainBlock>('eth_getBlockByNumber', [numberToHex(number), false])
    const hashes = block.transactions as unknown as readonly Hex[]
    const raws = hashes.length === 0 ? [] : ((await rpc.batch(hashes.map((hash) => ['eth_getRawTransactionByHash', [hash]]))) as (Hex | null)[])
    const transactions = raws.flatMap((raw, i) => {
      if (raw !== null && keccak256(raw) === hashes[i]) return [raw]
      logger.warn({ block: number, transaction: hashes[i] }, 'a transaction without a signature of its own (impersonated) will be missing after a restart')
      return []
    })
    log.append({ number, hash: block.hash, timestampSec: Number(block.timestamp), transactions })
  }
  return dropped
}

async function dropOrphans(rpc: RpcClient, log: LiveLog): Promise<number> {
  let count = 0
  for (;;) {
    const last = log.blocks[log.blocks.length - 1 - count]
    if (last === undefined) break
    const block = await rpc.call<ChainBlock | null>('eth_getBlockByNumber', [numberToHex(last.number), false])
    if (block?.hash === last.hash) break
    count++
  }
  if (count > 0) log.dropLast(count)
  return count
}
