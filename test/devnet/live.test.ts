import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Hex } from 'viem'
import { createLogger } from '../../core/log.ts'
import { mineBlock, readHead, Signer } from '../../devnet/chain.ts'
import { GENESIS_TIMESTAMP_SEC } from '../../devnet/genesis.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount, devnetAccounts } from '../../devnet/keys.ts'
import { LIVE_BLOCK_SEC, type LiveEntry, LiveLog, record, replayLive } from '../../devnet/live.ts'
import { withChain, withFolder } from './world.ts'

const log = createLogger('test', 'silent')
const nobody = () => undefined
const sender = devnetAccounts('spare', DEVNET_CHAIN_ID)[0] as DevnetAccount
const entry = (number: number, timestampSec: number, transactions: readonly Hex[] = []): LiveEntry => ({ number, hash: `0x${number.toString(16).padStart(64, '0')}`, timestampSec, count: 1, transactions })

describe('the record of live blocks', () => {
  test('behavior: empty blocks at the usual distance are one entry, of a thousand blocks at most; any other block is one of its own', async () => {
    await withFolder(async (dir) => {
      const live = new LiveLog(dir)
      for (let n = 1; n <= 2_500; n++) live.append(entry(n, 2 * n))
      live.append(entry(2_501, 5_002, ['0x01']))
      live.append(entry(2_502, 5_004))
      live.append(entry(2_503, 5_009))
      const counts = [1_000, 1_000, 500, 1, 1, 1]
      expect(live.entries.map((e) => e.count)).toEqual(counts)
      expect(live.entries[1]).toEqual({ ...entry(2_000, 4_000), count: 1_000 })
      expect(live.blocks).toBe(2_503)

      const again = new LiveLog(dir)
      expect(again.entries).toEqual(live.entries)
      const lines = readFileSync(join(dir, 'live.ndjson'), 'utf8').trim().split('\n')
      expect(lines.map((l) => (JSON.parse(l) as LiveEntry).count)).toEqual(counts)
      again.dropLast(4)
      expect(again.blocks).toBe(2_000)
    })
  })

  test('behavior: replayed in runs, the chain ends on the hash that it had block by block', async () => {
    await withFolder(async (dir) => {
      const live = new LiveLog(dir)
      const head = await withChain(async ({ rpc }) => {
        const signer = new Signer()
        for (let n = 1; n <= 700; n++) {
          // Empty stretches, transactions between them, and one jump in time such as a person makes.
          const transactions = n % 150 === 0 ? [await signer.sign({ from: sender, to: sender.address, data: '0x', gas: 21_000n })] : []
          await mineBlock(rpc, { timestampSec: GENESIS_TIMESTAMP_SEC + LIVE_BLOCK_SEC * n + (n > 400 ? 1_000 : 0), transactions })
          if (n % 100 === 0) await record(rpc, live, 0, log)
        }
        return readHead(rpc)
      })
      expect(live.entries.map((e) => e.count)).toEqual([149, 1, 149, 1, 100, 49, 1, 149, 1, 100])
      await withChain(async ({ rpc }) => {
        await replayLive(rpc, new LiveLog(dir).entries, nobody)
        expect(await readHead(rpc)).toEqual(head)
        // The interval is gone: the next block's time is the miner's own.
        await mineBlock(rpc, { timestampSec: head.timestampSec + 60, transactions: [] })
        expect((await readHead(rpc)).timestampSec).toBe(head.timestampSec + 60)
      })
    })
  })

  test('behavior: a reorganisation inside a run of empty blocks is followed', async () => {
    await withFolder(async (dir) => {
      const live = new LiveLog(dir)
      const head = await withChain(async ({ rpc }) => {
        const mine = async (from: number, to: number) => {
          for (let n = from; n <= to; n++) await mineBlock(rpc, { timestampSec: GENESIS_TIMESTAMP_SEC + LIVE_BLOCK_SEC * n, transactions: [] })
        }
        await mine(1, 50)
        expect(await record(rpc, live, 0, log)).toBe(0)
        await rpc.call('anvil_rollback', [20])
        const raw = await new Signer().sign({ from: sender, to: sender.address, data: '0x', gas: 21_000n })
        await mineBlock(rpc, { timestampSec: GENESIS_TIMESTAMP_SEC + 61 * LIVE_BLOCK_SEC, transactions: [raw] })
        expect(await record(rpc, live, 0, log)).toBe(50)
        return readHead(rpc)
      })
      expect(live.blocks).toBe(31)
      await withChain(async ({ rpc }) => {
        await replayLive(rpc, live.entries, nobody)
        expect(await readHead(rpc)).toEqual(head)
      })
    })
  })
})
