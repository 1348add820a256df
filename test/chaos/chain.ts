/**
 * The chain of a chaos run: anvil with the protocol and a short history, on which people then trade, and which is
 * reorganised. Whatever happens on it follows from the seed and the number of blocks, not from the clock.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { numberToHex, type Hex } from 'viem'
import { UnavailableError } from '../../core/errors.ts'
import { freePort } from '../../core/ports.ts'
import { actionsOf } from '../../devnet/actions.ts'
import { anvilBinary, CHAIN_FLAGS } from '../../devnet/anvil.ts'
import { serveArchive } from '../../devnet/archive.ts'
import { compileOwnContracts } from '../../devnet/artifacts.ts'
import { mineBlock, readHead, Signer, type Draft, type Head } from '../../devnet/chain.ts'
import { deploymentBlocks, planDeployment, priceCall, type Plan } from '../../devnet/deploy.ts'
import { GENESIS_TIMESTAMP_SEC } from '../../devnet/genesis.ts'
import { generateHistory, historyKey, loadHistory, replay, saveHistory } from '../../devnet/history.ts'
import { DEVNET_CHAIN_ID, devnetAccounts, type DevnetAccount } from '../../devnet/keys.ts'
import { lensOf } from '../../devnet/lens.ts'
import { MARKETS } from '../../devnet/markets.ts'
import { random, type Random } from '../../devnet/random.ts'
import { RpcClient } from '../../devnet/rpc.ts'
import { serveOrphans } from './orphans.ts'
import type { OwnArtifacts } from '../../devnet/artifacts.ts'

const KEEPER_GAS = 8_000_000n
/** Wall time until anvil answers, at most. */
const START_MS = 120_000

export type ChaosChain = {
  /** Where anvil answers; the first blocks' state and the blocks that a reorg took away, which it forgets, are at `archiveUrl` as well. */
  readonly url: string
  readonly archiveUrl: string
  /** The same without the blocks that a reorg took away. */
  readonly forgetfulUrl: string
  head(): Promise<Head>
  /** Mines one block in which people act. */
  mine(): Promise<void>
  /** Takes the last `depth` blocks back and puts as many others in their place, with other transactions in them. */
  reorg(depth: number): Promise<void>
  stop(): Promise<void>
}

/**
 * An anvil that keeps `keptStates` past states: so deep it can reorganise. With a genesis of its own, not a fork as the
 * devnet's: after `anvil_reorg` a forked anvil (1.7.1) still holds some of what the orphaned blocks had written, and its
 * chain is then one that no node would compute. Without a fork, 40 reorgs replayed elsewhere gave the same receipts.
 */
async function startAnvil(port: number, stateDir: string, keptStates: number): Promise<{ rpc: RpcClient; url: string; stop(): Promise<void> }> {
  const args = [...CHAIN_FLAGS, '--timestamp', String(GENESIS_TIMESTAMP_SEC), '--host', '127.0.0.1', '--port', String(port), '--cache-path', join(stateDir, 'states'), '--prune-history', String(keptStates), '--quiet']
  const child = spawn(anvilBinary(), args, { stdio: ['ignore', 'ignore', 'ignore'], env: { ...process.env, RUST_BACKTRACE: '0' } })
  const url = `http://127.0.0.1:${port}`
  const rpc = new RpcClient(url)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    rpc.close()
  }
  for (const untilMs = Date.now() + START_MS; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      await rpc.call('eth_chainId')
      return { rpc, url, stop }
    } catch (cause) {
      if (Date.now() < untilMs && child.exitCode === null) continue
      await stop()
      throw new UnavailableError({ part: 'anvil', found: `it did not answer on port ${port}`, action: 'see that the port is free' }, cause)
    }
  }
}

/** A second anvil that stands still after the deployment, and the address that puts both together. */
async function startArchive(chainUrl: string, workDir: string, plan: Plan): Promise<{ url: string; stop(): Promise<void> }> {
  const still = await startAnvil(await freePort(), join(workDir, 'archive'), 64)
  const hashes = new Set<string>()
  const blocks = await deploymentBlocks(plan, new Signer())
  for (const block of blocks) {
    await mineBlock(still.rpc, block)
    hashes.add((await readHead(still.rpc)).hash)
  }
  const gateway = await serveArchive({ port: await freePort(), chainUrl, archiveUrl: still.url, blocks: { last: blocks.length, hashes } })
  return {
    url: gateway.url,
    stop: async () => {
      gateway.close()
      await still.stop()
    },
  }
}

/** Starts the chain with `days` of history, made once and kept in `cacheDir`, and above it as many blocks of trading as a reorg may take back. */
export async function startChain(options: { cacheDir: string; workDir: string; seed: number; days: number; port: number; deepest: number }): Promise<ChaosChain> {
  const { cacheDir, workDir, seed, days, port, deepest } = options
  mkdirSync(workDir, { recursive: true })
  const own = await compileOwnContracts(cacheDir)
  const plan = await planDeployment(own)
  const history = { seed: 1, days }
  const key = `chaos-${historyKey(plan, history)}`
  const anvil = await startAnvil(port, workDir, deepest + 64)
  const closers = [() => anvil.stop()]
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close().catch(() => undefined)
  }
  try {
    const known = loadHistory(cacheDir, key)
    if (known === undefined) saveHistory(cacheDir, key, await generateHistory({ rpc: anvil.rpc, plan, own, signer: new Signer() }, history, () => undefined))
    else await replay(anvil.rpc, known, () => undefined)
    const archive = await startArchive(anvil.url, workDir, plan)
    closers.push(() => archive.stop())
    const orphans = await serveOrphans(archive.url)
    closers.push(() => orphans.stop())
    const people = new People(anvil.rpc, plan, own, seed)
    await people.arrive()
    for (let i = 0; i < deepest; i++) await people.mine()
    return { url: anvil.url, archiveUrl: orphans.url, forgetfulUrl: archive.url, head: () => readHead(anvil.rpc), mine: () => people.mine(), reorg: async (depth) => {
        const { number } = await readHead(anvil.rpc)
        await orphans.remember(anvil.rpc, number - depth + 1, number)
        await people.reorg(depth)
      }, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Who acts on the chain: takers, makers, a keeper that reports prices, someone who pays into the fund. */
class People {
  readonly #rpc: RpcClient
  readonly #plan: Plan
  readonly #own: OwnArtifacts
  readonly #rng: Random
  readonly #do: ReturnType<typeof actionsOf>
  readonly #takers = devnetAccounts('taker', DEVNET_CHAIN_ID).slice(0, 12)
  readonly #makers = devnetAccounts('maker', DEVNET_CHAIN_ID)
  readonly #liquidator = devnetAccounts('liquidator', DEVNET_CHAIN_ID)[0] as DevnetAccount
  readonly #keeper = devnetAccounts('keeper', DEVNET_CHAIN_ID)[0] as DevnetAccount
  readonly #donor = devnetAccounts('donor', DEVNET_CHAIN_ID)[0] as DevnetAccount
  #prices: number[] = MARKETS.map(() => 1)

  constructor(rpc: RpcClient, plan: Plan, own: OwnArtifacts, seed: number) {
    this.#rpc = rpc
    this.#plan = plan
    this.#own = own
    this.#rng = random(seed)
    this.#do = actionsOf(plan.deployment)
  }

  /** Everyone has money in the vault before anything happens. */
  async arrive(): Promise<void> {
    const { markets } = await lensOf(this.#rpc, this.#plan.deployment, this.#own).read([])
    this.#prices = markets.map(({ poolPriceUsd }) => poolPriceUsd)
    await this.#mine(this.#takers.map((taker) => this.#do.deposit(taker, 5_000_000_000n)))
  }

  async mine(): Promise<void> {
    await this.#mine(this.#drafts())
  }

  async reorg(depth: number): Promise<void> {
    const head = await readHead(this.#rpc)
    const common = numberToHex(head.number - depth)
    const blocks = Array.from({ length: depth }, () => this.#drafts())
    const signer = await this.#signer(blocks.flat(), common)
    const pairs: [Hex, number][] = []
    for (const [i, drafts] of blocks.entries()) for (const draft of drafts) pairs.push([await signer.sign(draft), i])
    // Without it every block of the branch has the time of the last one that is left.
    await this.#rpc.call('anvil_setBlockTimestampInterval', [1 + this.#rng.index(400)])
    await this.#rpc.call('anvil_reorg', [depth, pairs])
    await this.#rpc.call('anvil_removeBlockTimestampInterval')
  }

  async #mine(drafts: readonly Draft[]): Promise<void> {
    const head = await readHead(this.#rpc)
    const signer = await this.#signer(drafts, 'latest')
    const transactions: Hex[] = []
    for (const draft of drafts) transactions.push(await signer.sign(draft))
    // Minutes between blocks, so that a run completes hours and days of the rollups.
    await mineBlock(this.#rpc, { timestampSec: head.timestampSec + 1 + this.#rng.index(400), transactions })
  }

  async #signer(drafts: readonly Draft[], at: Hex | 'latest'): Promise<Signer> {
    const senders = [...new Set(drafts.map(({ from }) => from.address))]
    const nonces = senders.length === 0 ? [] : ((await this.#rpc.batch(senders.map((address) => ['eth_getTransactionCount', [address, at]]))) as Hex[])
    const signer = new Signer()
    for (const [i, address] of senders.entries()) signer.setNonce(address, Number(nonces[i]))
    return signer
  }

  /** What is sent in one block: often nothing, sometimes much. A call that the protocol refuses is a transaction without logs. */
  #drafts(): Draft[] {
    const rng = this.#rng
    const drafts: Draft[] = []
    const base = this.#plan.deployment.markets[rng.index(MARKETS.length)]?.baseToken ?? this.#takers[0]!.address
    if (rng.chance(0.6)) {
      // Now and then a fall that makes someone liquidatable.
      this.#prices = this.#prices.map((price) => price * Math.exp(rng.chance(0.04) ? -0.08 : 0.004 * rng.normal()))
      drafts.push({ from: this.#keeper, to: this.#plan.tools.priceKeeper, data: priceCall(this.#own, this.#plan.tools, this.#prices, MARKETS.map((_, i) => i), rng.chance(0.3)), gas: KEEPER_GAS })
    }
    const e18 = (amount: number): bigint => BigInt(Math.round(amount * 1e6)) * 10n ** 12n
    for (let i = rng.index(4); i > 0; i--) {
      const taker = rng.pick(this.#takers)
      const kind = rng.unit()
      if (kind < 0.6) drafts.push(this.#do.trade(taker, { base, side: rng.chance(0.5) ? 'long' : 'short', amountE18: e18(rng.between(20, rng.chance(0.2) ? 20_000 : 900)), unit: 'quote' }))
      else if (kind < 0.7) drafts.push(this.#do.close(taker, base))
      else if (kind < 0.78) drafts.push(this.#do.deposit(taker, BigInt(rng.index(500) + 1) * 1_000_000n))
      else if (kind < 0.84) drafts.push(this.#do.withdraw(taker, this.#plan.deployment.settlementToken.address, BigInt(rng.index(50) + 1) * 1_000_000n))
      else if (kind < 0.9) drafts.push(this.#do.settleFunding(taker))
      else if (kind < 0.95) drafts.push(this.#do.liquidate(this.#liquidator, taker.address, base))
      else drafts.push(this.#do.payInsuranceFund(this.#donor, BigInt(rng.index(20) + 1) * 1_000_000n))
    }
    if (rng.chance(0.1)) {
      const maker = rng.pick(this.#makers)
      const range = { base, lowerTick: -600_000, upperTick: 600_000 }
      drafts.push(rng.chance(0.7) ? this.#do.addLiquidity(maker, { ...range, baseE18: e18(rng.between(0.01, 0.5)), quoteE18: e18(rng.between(10, 900)) }) : this.#do.removeLiquidity(maker, { ...range, liquidity: 1_000_000_000n }))
    }
    return drafts
  }
}
