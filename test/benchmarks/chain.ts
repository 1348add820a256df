/**
 * A bulk-made devnet chain: the protocol's real contracts, hundreds of traders, makers, liquidators, and as many protocol
 * events as a benchmark wants, about EVENTS_PER_BLOCK in each block. Made once per content, kept as raw transactions, replayed.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { encodeFunctionData, keccak256, toBytes, type Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { InvariantError } from '../../core/errors.ts'
import { freePort } from '../../core/ports.ts'
import { fromFloat } from '../../core/units.ts'
import { actionsOf } from '../../devnet/actions.ts'
import { CHAIN_FLAGS, startAnvil } from '../../devnet/anvil.ts'
import { serveArchive } from '../../devnet/archive.ts'
import { compileOwnContracts, type OwnArtifacts } from '../../devnet/artifacts.ts'
import { type Draft, mineBlock, type RawBlock, readHead, Signer } from '../../devnet/chain.ts'
import { approveAll, deploymentBlocks, type Plan, planDeployment, priceCall, sqrtPriceX96 } from '../../devnet/deploy.ts'
import { GENESIS_HASH, GENESIS_TIMESTAMP_SEC } from '../../devnet/genesis.ts'
import { type History, loadHistory, type Progress, saveHistory } from '../../devnet/history.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount, devnetAccounts } from '../../devnet/keys.ts'
import { lensOf } from '../../devnet/lens.ts'
import { MARKETS, TICK_SPACING } from '../../devnet/markets.ts'
import { type Random, random } from '../../devnet/random.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Address } from '../../protocols/curie/deployments.ts'
import { type Handler, type Instance, type Log, matcherOf } from './triggers.ts'

export const EVENTS_PER_BLOCK = 20

const BLOCK_SEC = 12
const SEED = 50_000
/** New traders come as the chain grows, one per so many blocks: the book of a long chain is larger. */
const BLOCKS_PER_TRADER = 5
const FIRST_TRADERS = 40
/** One in so many traders takes nine times its margin, which is what gets liquidated. */
const RECKLESS_ONE_IN = 8
/** Every source reports once in so many blocks. */
const REPORT_EVERY_BLOCKS = 8
/** The index swings by this fraction around the opening price, once in so many blocks: what liquidates. */
const SWING = 0.12
const SWING_BLOCKS = 700
const MARGIN_USD = 100_000
const RECKLESS_MARGIN_USD = 2_000
const TRADERS_PER_MINT = 200

const usd = (amount: number): bigint => fromFloat(amount, 6, 'floor')
const e18 = (amount: number): bigint => fromFloat(amount, 9, 'floor') * 10n ** 9n

/** Names the cache entry: everything that the chain's content depends on. */
export function bulkKey(plan: Plan, handlers: readonly Handler[], events: number): string {
  const require = createRequire(import.meta.url)
  const hash = createHash('sha256').update(JSON.stringify([events, CHAIN_FLAGS, GENESIS_HASH, handlers.map(({ address, topic0, topics }) => [address, topic0, topics])]))
  for (const file of ['./chain.ts', '../../devnet/actions.ts', '../../devnet/chain.ts', '../../devnet/random.ts', '../../devnet/lens.ts']) hash.update(readFileSync(new URL(file, import.meta.url)))
  for (const name of ['@foundry-rs/anvil', 'viem']) hash.update((require(`${name}/package.json`) as { version: string }).version)
  for (const draft of plan.blocks.flat()) hash.update(typeof draft === 'string' ? draft : draft.data)
  return `bulk-${hash.digest('hex').slice(0, 16)}`
}

/** Every address of the deployment for every template: before indexing, nothing better is known, and nothing else emits a template's events. */
export function likelyInstances(handlers: readonly Handler[], plan: Plan): readonly Instance[] {
  const addresses = [...new Set(JSON.stringify(plan.deployment).match(/0x[0-9a-fA-F]{40}(?![0-9a-fA-F])/g))].map((address) => address.toLowerCase())
  const templates = [...new Set(handlers.filter(({ address }) => address === null).map(({ manifestIndex }) => manifestIndex))]
  const taken = new Set(handlers.flatMap(({ address, topic0 }) => (address === null ? [] : [`${address} ${topic0}`])))
  return templates.flatMap((manifestIndex) => {
    const topics = handlers.filter((handler) => handler.manifestIndex === manifestIndex).map(({ topic0 }) => topic0)
    return addresses.filter((address) => !topics.some((topic) => taken.has(`${address} ${topic}`))).map((address) => ({ manifestIndex, address, fromBlock: 0 }))
  })
}

export type RpcLog = { address: string; topics: string[]; blockNumber: Hex; logIndex: Hex }
export const logOf = ({ address, topics, blockNumber, logIndex }: RpcLog): Log => ({ address, topics, blockNumber: Number(blockNumber), logIndex: Number(logIndex) })

/** Every log of blocks `from` to `to`. */
export async function logsOf(rpc: RpcClient, from: number, to: number): Promise<Log[]> {
  const logs: Log[] = []
  for (let start = from; start <= to; start += 200) {
    const page = await rpc.call<RpcLog[]>('eth_getLogs', [{ fromBlock: `0x${start.toString(16)}`, toBlock: `0x${Math.min(to, start + 199).toString(16)}` }])
    logs.push(...page.map(logOf))
  }
  return logs
}

type Trader = { readonly account: DevnetAccount; readonly isReckless: boolean; readonly open: Map<number, { entryUsd: number; side: 'long' | 'short' }>; isIn: boolean }
type Range = { readonly maker: DevnetAccount; readonly market: number; readonly lowerTick: number; readonly upperTick: number }

const traderAt = (index: number): Trader => {
  const privateKey = keccak256(toBytes(`a trader of the benchmark's chain ${index}`))
  return { account: { address: privateKeyToAccount(privateKey).address, privateKey }, isReckless: index % RECKLESS_ONE_IN === RECKLESS_ONE_IN - 1, open: new Map(), isIn: false }
}

/** Makes the chain block by block on a fresh anvil until `countOf` has seen `events`. `countOf`: how many events a block's logs hold. */
export async function generateBulk(
  context: { rpc: RpcClient; plan: Plan; own: OwnArtifacts; signer: Signer },
  options: { events: number; countOf: (logs: readonly Log[]) => number },
  onProgress: Progress,
): Promise<History> {
  const { rpc, plan, own, signer } = context
  const { deployment, tools } = plan
  const act = actionsOf(deployment)
  const lens = lensOf(rpc, deployment, own)
  const rng = random(SEED)
  const role = (name: Parameters<typeof devnetAccounts>[0]): readonly DevnetAccount[] => devnetAccounts(name, DEVNET_CHAIN_ID)
  const [deployer, keeper, donor, arbitrageur] = (['deployer', 'keeper', 'donor', 'arbitrageur'] as const).map((name) => role(name)[0]) as [DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount]
  const makers = role('maker')
  const liquidators = role('liquidator')
  const bases = deployment.markets.map(({ baseToken }) => baseToken)
  const usdc = deployment.settlementToken.address
  const blocks: RawBlock[] = []
  let seen = 0

  const mine = async (timestampSec: number, drafts: readonly Draft[]): Promise<number> => {
    const transactions: Hex[] = []
    for (const draft of drafts) transactions.push(await signer.sign(draft))
    const block = { timestampSec, transactions }
    await mineBlock(rpc, block)
    blocks.push(block)
    const found = options.countOf(await logsOf(rpc, blocks.length, blocks.length))
    seen += found
    return found
  }
  const mint = (people: readonly Address[], amountE6: bigint): Draft => ({
    from: deployer, to: usdc, gas: 30_000_000n, data: encodeFunctionData({ abi: own.TestUSDC.abi, functionName: 'mint', args: [people, people.map(() => amountE6)] }),
  })
  const report = (prices: readonly number[], markets: readonly number[]): Draft => ({
    from: keeper, to: tools.priceKeeper, gas: 3_000_000n, data: priceCall(own, tools, prices, markets, markets.includes(0)),
  })

  for (const block of await deploymentBlocks(plan, signer)) {
    await mineBlock(rpc, block)
    blocks.push(block)
  }
  const start = GENESIS_TIMESTAMP_SEC + 60
  const everyMarket = MARKETS.map((_, i) => i)
  const opening = MARKETS.map(({ initialPriceUsd }) => initialPriceUsd)
  const rich = [donor, arbitrageur, ...makers, ...liquidators]
  await mine(start, [mint(rich.map(({ address }) => address), usd(50_000_000)), ...rich.map((one) => approveAll(one, usdc, deployment.contracts.vault))])
  await mine(start + 60, [
    ...[arbitrageur, ...makers, ...liquidators].map((one) => act.deposit(one, usd(12_000_000))),
    ...makers.map((maker) => act.depositEther(maker, e18(50))),
    act.payInsuranceFund(donor, usd(500_000)),
  ])
  await mine(start + 120, [report(opening, everyMarket)])

  const aligned = (price: number): number => Math.round(Math.log(price) / Math.log(1.0001) / TICK_SPACING) * TICK_SPACING
  const rangeOf = (maker: DevnetAccount, market: number, priceUsd: number, width: number): Range => ({ maker, market, lowerTick: aligned(priceUsd / width), upperTick: aligned(priceUsd * width) })
  const provide = ({ maker, market, lowerTick, upperTick }: Range, priceUsd: number, valueUsd: number): Draft =>
    act.addLiquidity(maker, { base: bases[market] as Address, baseE18: e18(valueUsd / 2 / priceUsd), quoteE18: e18(valueUsd / 2), lowerTick, upperTick })
  const wide = everyMarket.flatMap((market) => makers.slice(0, 2).map((maker) => rangeOf(maker, market, opening[market] ?? 0, 3)))
  // A pool's price average needs 30 minutes of past before the first liquidity may come.
  const first = start + 2_700
  await mine(first, [report(opening, everyMarket), ...wide.map((range) => provide(range, opening[range.market] ?? 0, 12_000_000))])

  const traders: Trader[] = []
  const narrow: Range[] = []
  const indexAt = (block: number): number[] => opening.map((price, i) => price * (1 + SWING * Math.sin((2 * Math.PI * block) / (SWING_BLOCKS * (1 + i / 3)))))
  let perTransaction = 6

  for (let block = 1; seen < options.events; block++) {
    const prices = indexAt(block)
    const drafts: Draft[] = []
    let wanted = Math.round(Math.max(0, EVENTS_PER_BLOCK * block - seen) / perTransaction)
    if (block === 1 || traders.length < FIRST_TRADERS + block / BLOCKS_PER_TRADER) {
      if (traders.length % TRADERS_PER_MINT === 0) {
        const next = Array.from({ length: TRADERS_PER_MINT }, (_, i) => traderAt(traders.length + i))
        drafts.push(mint(next.map(({ account }) => account.address), usd(1_000_000)))
      }
      traders.push(traderAt(traders.length))
    }
    const markets = await lens.read([])
    if (block % REPORT_EVERY_BLOCKS === 0) {
      drafts.push(report(prices, everyMarket))
      wanted -= 1
    }
    // One market at a time is pulled to its index, so that prices and positions move.
    const pulled = block % MARKETS.length
    const pool = markets.markets[pulled]
    const target = prices[pulled] ?? 0
    if (pool !== undefined && Math.abs(pool.poolPriceUsd / target - 1) > 0.002) {
      const reach = 1.0001 ** ((MARKETS[pulled]?.maxTickCrossed ?? 0) * 0.7)
      const goal = Math.min(Math.max(target, pool.poolPriceUsd / reach), pool.poolPriceUsd * reach)
      const side = goal > pool.poolPriceUsd ? 'long' : 'short'
      drafts.push(act.trade(arbitrageur, { base: bases[pulled] as Address, side, unit: side === 'long' ? 'quote' : 'base', amountE18: side === 'long' ? e18(4_000_000) : e18(4_000_000 / pool.poolPriceUsd), limitX96: sqrtPriceX96(goal) }))
      wanted -= 1
    }
    const marks = markets.markets.map(({ poolPriceUsd }) => poolPriceUsd)
    drafts.push(...liquidations(traders, marks, liquidators, bases, act).slice(0, 1))
    const actors = new Set<Trader>()
    for (let i = 0; i < wanted; i++) {
      const lot = rng.unit()
      if (lot < 0.05) drafts.push(...(await tend(rng, makers, narrow, marks, { provide, rangeOf, liquidityOf: (...range) => lens.rangeLiquidity(...range), act, bases })))
      else {
        const trader = rng.pick(traders)
        if (actors.has(trader)) continue
        actors.add(trader)
        drafts.push(...moveOf(trader, lot, rng, marks, { act, bases, usdc, vault: deployment.contracts.vault }))
      }
    }
    const found = await mine(first + BLOCK_SEC * block, drafts)
    if (drafts.length > 0) perTransaction = 0.95 * perTransaction + 0.05 * (found / drafts.length)
    if (block % 50 === 0) onProgress(Math.min(seen, options.events), options.events)
  }
  onProgress(options.events, options.events)
  return { head: await readHead(rpc), blocks }
}

type Tools = { readonly act: ReturnType<typeof actionsOf>; readonly bases: readonly Address[] }

/** What one trader sends: its first margin, a trade, a close, a deposit, a withdrawal, or a funding settlement. */
function moveOf(trader: Trader, lot: number, rng: Random, marks: readonly number[], { act, bases, usdc, vault }: Tools & { usdc: Address; vault: Address }): Draft[] {
  const { account, open, isReckless } = trader
  if (!trader.isIn) {
    trader.isIn = true
    return [approveAll(account, usdc, vault), act.deposit(account, usd(isReckless ? RECKLESS_MARGIN_USD : MARGIN_USD))]
  }
  if (lot < 0.09) return [act.deposit(account, usd(rng.between(20, 200)))]
  if (lot < 0.12) return isReckless ? [] : [act.withdraw(account, usdc, usd(rng.between(20, 200)))]
  if (lot < 0.14) return [act.settleFunding(account)]
  const market = rng.index(marks.length)
  const base = bases[market] as Address
  if (open.has(market) && rng.chance(isReckless ? 0.05 : 0.45)) {
    open.delete(market)
    return [act.close(account, base)]
  }
  if (isReckless && open.size > 0) return []
  const side = open.get(market)?.side ?? (rng.chance(0.5) ? 'long' : 'short')
  const size = isReckless ? RECKLESS_MARGIN_USD * 9 : rng.between(200, 4_000)
  if (!open.has(market)) open.set(market, { entryUsd: marks[market] ?? 0, side })
  return [act.trade(account, { base, side, unit: 'quote', amountE18: e18(size) })]
}

/** Reckless traders whose loss has eaten the margin that a position of nine times it needs; the contract decides whether it is so. */
function liquidations(traders: readonly Trader[], marks: readonly number[], liquidators: readonly DevnetAccount[], bases: readonly Address[], act: Tools['act']): Draft[] {
  return traders.flatMap((trader, i) =>
    !trader.isReckless ? [] : [...trader.open].flatMap(([market, { entryUsd, side }]) => {
      const move = ((marks[market] ?? 0) / entryUsd - 1) * (side === 'long' ? 1 : -1)
      if (move > -0.065) return []
      // The whole position goes in a few bites; forgotten after the deepest of them.
      if (move < -0.11) trader.open.delete(market)
      return [act.liquidate(liquidators[i % liquidators.length] as DevnetAccount, trader.account.address, bases[market] as Address)]
    }),
  )
}

/** A maker opens a narrow range, takes fees out of one, or closes one. */
async function tend(
  rng: Random, makers: readonly DevnetAccount[], narrow: Range[], marks: readonly number[],
  tools: Tools & {
    provide: (range: Range, priceUsd: number, valueUsd: number) => Draft
    rangeOf: (maker: DevnetAccount, market: number, priceUsd: number, width: number) => Range
    liquidityOf: (maker: Address, base: Address, lowerTick: number, upperTick: number) => Promise<bigint>
  },
): Promise<Draft[]> {
  const oldest = narrow[0]
  if (oldest !== undefined && (narrow.length > 20 || rng.chance(0.4))) {
    const base = tools.bases[oldest.market] as Address
    const liquidity = rng.chance(0.3) ? 0n : await tools.liquidityOf(oldest.maker.address, base, oldest.lowerTick, oldest.upperTick)
    if (liquidity > 0n) narrow.shift()
    return [tools.act.removeLiquidity(oldest.maker, { base, lowerTick: oldest.lowerTick, upperTick: oldest.upperTick, liquidity })]
  }
  const market = rng.index(marks.length)
  const range = tools.rangeOf(rng.pick(makers), market, marks[market] ?? 0, rng.between(1.02, 1.2))
  if (!narrow.some((one) => one.maker === range.maker && one.market === market && one.lowerTick === range.lowerTick && one.upperTick === range.upperTick)) narrow.push(range)
  return [tools.provide(range, marks[market] ?? 0, rng.between(2_000, 50_000))]
}

export type BulkChain = {
  /** JSON-RPC of the chain, which also answers for the states of its first blocks. */
  readonly url: string
  readonly rpc: RpcClient
  /** Mines on until the chain holds so many events; answers with the head. */
  growTo(events: number, onProgress: Progress): Promise<number>
  stop(): Promise<void>
}

/** An anvil with the bulk-made chain of `events` events, made first where the cache has none; it stands before its first block until it is told to grow. */
export async function serveBulk(options: { events: number; handlers: readonly Handler[]; cacheDir: string; dir: string; ports: { chain: number; archive: number }; onProgress: Progress }): Promise<BulkChain> {
  const { events, handlers, cacheDir, dir, ports } = options
  const own = await compileOwnContracts(cacheDir)
  const plan = await planDeployment(own)
  const match = matcherOf(handlers, likelyInstances(handlers, plan))
  const countOf = (logs: readonly Log[]): number => logs.reduce((sum, log) => sum + match(log).length, 0)
  const key = bulkKey(plan, handlers, events)
  let history = loadHistory(cacheDir, key)
  if (history === undefined) {
    const anvil = await startAnvil({ port: ports.chain, stateDir: join(dir, 'making') })
    try {
      history = await generateBulk({ rpc: anvil.rpc, plan, own, signer: new Signer() }, { events, countOf }, options.onProgress)
    } finally {
      await anvil.stop()
    }
    saveHistory(cacheDir, key, history)
  }
  const { blocks, head } = history
  const started: { stop(): unknown }[] = []
  const stop = async (): Promise<void> => {
    for (const part of started.toReversed()) await part.stop()
  }
  try {
    const chain = await startAnvil({ port: ports.chain, stateDir: join(dir, 'chain') })
    started.push(chain)
    // The first blocks' states are asked for by mappings that read what no event says, and the chain forgets them.
    const still = await startAnvil({ port: await freePort(), stateDir: join(dir, 'still') })
    started.push(still)
    const hashes = new Set<string>()
    for (const block of blocks.slice(0, plan.blocks.length)) {
      await mineBlock(still.rpc, block)
      hashes.add((await readHead(still.rpc)).hash)
    }
    const gateway = await serveArchive({ port: ports.archive, chainUrl: chain.url, archiveUrl: still.url, blocks: { last: hashes.size, hashes } })
    started.push({ stop: () => gateway.close() })
    let mined = 0
    let seen = 0
    return {
      url: gateway.url,
      rpc: chain.rpc,
      stop,
      growTo: async (wanted, onProgress) => {
        for (; mined < blocks.length && seen < wanted; mined++) {
          await mineBlock(chain.rpc, blocks[mined] as RawBlock)
          seen += countOf(await logsOf(chain.rpc, mined + 1, mined + 1))
          if (mined % 50 === 0) onProgress(Math.min(seen, wanted), wanted)
        }
        if (mined === blocks.length) {
          const found = await readHead(chain.rpc)
          if (found.hash !== head.hash) throw new InvariantError(`the replayed chain ends at block ${found.number} ${found.hash}, recorded is ${head.number} ${head.hash}`)
        }
        return mined
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}
