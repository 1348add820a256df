import { describe, expect, test } from '@jest/globals'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import type { Hex } from 'viem'
import { freePort } from '../../core/ports.ts'
import { Signer } from '../../devnet/chain.ts'
import { historyKey } from '../../devnet/history.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount, devnetAccounts } from '../../devnet/keys.ts'
import { LiveLog } from '../../devnet/live.ts'
import { RpcClient } from '../../devnet/rpc.ts'
import { CACHE_DIR, plan, withFolder } from './world.ts'

type Ready = { headHash: Hex; headNumber: number; headTimestamp: number; historyHead: number }

/** Runs `devnet/main.ts` as the supervisor does, and stops it afterwards whatever happens. */
async function withDevnet<T>(stateDir: string, extra: readonly string[], work: (devnet: { ready: Ready; rpc: RpcClient; process: ChildProcess; ended: Promise<number | null> }) => Promise<T>): Promise<T> {
  const port = await freePort()
  const args = ['--import', 'tsx', resolve('devnet/main.ts'), '--state-dir', stateDir, '--cache-dir', CACHE_DIR, '--port', String(port), '--days', '0.1', ...extra]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString('utf8')))
  const ended = new Promise<number | null>((done) => child.once('exit', done))
  const ready = new Promise<Ready>((done, fail) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const line = text.split('\n').find((l) => l.includes('"event":"ready"'))
      if (line !== undefined && text.includes('\n', text.indexOf(line))) done(JSON.parse(line) as Ready)
    })
    void ended.then((code) => fail(new Error(`ended with ${code}: ${words}`)))
  })
  const rpc = new RpcClient(`http://127.0.0.1:${port}`)
  try {
    return await work({ ready: await ready, rpc, process: child, ended })
  } finally {
    rpc.close()
    if (child.exitCode === null) child.kill('SIGTERM')
    await ended
  }
}

const until = async (condition: () => Promise<boolean>): Promise<void> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await condition()) return
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error('it did not come about within 10 s')
}

describe('the devnet as a process', () => {
  test('behavior: lives on by 2 seconds of chain time a block, mines what others send, and comes back to the same head', async () => {
    await withFolder(async (dir) => {
      const live = () => readFileSync(join(dir, 'devnet', 'live.ndjson'), 'utf8').trim().split('\n').map((l) => JSON.parse(l) as { number: number; hash: Hex; timestampSec: number; transactions: Hex[] })
      const history = await withDevnet(dir, ['--block-time-ms', '200'], async ({ ready, rpc, process: child, ended }) => {
        const sender = devnetAccounts('spare', DEVNET_CHAIN_ID)[0] as DevnetAccount
        const raw = await new Signer().sign({ from: sender, to: sender.address, data: '0x', gas: 21_000n })
        const hash = await rpc.call<Hex>('eth_sendRawTransaction', [raw])
        await until(async () => (await rpc.call('eth_getTransactionReceipt', [hash])) !== null)
        await until(async () => Number(await rpc.call<Hex>('eth_blockNumber')) > ready.headNumber + 6)
        child.kill('SIGINT')
        expect(await ended).toBe(0)
        expect(live().some((b) => b.transactions.includes(raw))).toBe(true)
        return ready
      })
      const blocks = live()
      expect(blocks[0]?.number).toBe(history.historyHead + 1)
      for (const [i, block] of blocks.entries()) expect(block.timestampSec).toBe(history.headTimestamp + 2 * (i + 1))
      await withDevnet(dir, ['--stop-after-history'], async ({ ready }) => {
        expect(ready.headHash).toBe(blocks.at(-1)?.hash)
        expect(ready.historyHead).toBe(history.historyHead)
      })
    })
  })

  test('error: names the taken port and what to do', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    try {
      await new Promise((done) => server.once('listening', done))
      const { port } = server.address() as { port: number }
      await withFolder(async (dir) => {
        await expect(withDevnet(dir, ['--port', String(port)], async () => undefined)).rejects.toThrow(new RegExp(`Found port ${port} taken by another process.*choose another port`))
      })
    } finally {
      server.close()
    }
  })

  test('error: says when the chain dies', async () => {
    await withFolder(async (dir) => {
      await withDevnet(dir, ['--block-time-ms', '200'], async ({ ended }) => {
        process.kill(Number(readFileSync(join(dir, 'devnet', 'anvil.pid'), 'utf8')), 'SIGKILL')
        expect(await ended).toBe(1)
      })
    })
  })

  test('error: says what it found and what to do where the history below a state folder cannot be had again', async () => {
    const world = await plan()
    const uncached = { seed: 77_001, days: 0.1 }
    for (const [record, extra, words] of [
      [{ historyKey: 'history-of-another-version', seed: 1, days: 0.1 }, [], /stands on history-of-another-version, this version of devnet\/ makes history-[0-9a-f]{16}; run npm run reset/],
      [{ historyKey: historyKey(world.plan, uncached), ...uncached }, ['--seed', '77001'], /stands on history-[0-9a-f]{16}, which is no longer in .*; put it back, or run npm run reset/],
      [undefined, [], /Found 1 live blocks in .* and no chain\.json .*; run npm run reset/],
    ] as const) {
      await withFolder(async (dir) => {
        const folder = join(dir, 'devnet')
        mkdirSync(folder)
        if (record === undefined) new LiveLog(folder).append({ number: 1, hash: '0x01', timestampSec: 1, count: 1, transactions: [] })
        else writeFileSync(join(folder, 'chain.json'), JSON.stringify(record))
        await expect(withDevnet(dir, extra, async () => undefined)).rejects.toThrow(words)
        // Nothing was started on it.
        expect(existsSync(join(folder, 'anvil.pid'))).toBe(false)
      })
    }
  })
})
