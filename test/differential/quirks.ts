/**
 * A second, short history, for the comparison alone: what a month of ordinary trading does not bring about. Every
 * transaction in it has to succeed; a step that does not do what its line says ends the script.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { decodeFunctionResult, encodeDeployData, encodeFunctionData, getContractAddress, maxUint256, parseAbi, zeroHash, type Abi, type Hex } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import { E18, E6 } from '../../core/units.ts'
import { actionsOf, governanceCall, type Order } from '../../devnet/actions.ts'
import { curie, openZeppelin, oracle, type OwnArtifacts, uniswap, weth } from '../../devnet/artifacts.ts'
import { mineBlock, readHead, Signer, type Draft, type RawBlock } from '../../devnet/chain.ts'
import { approveAll, deploymentBlocks, priceCall, safeTransaction, sqrtPriceX96, type Plan } from '../../devnet/deploy.ts'
import { GENESIS_TIMESTAMP_SEC } from '../../devnet/genesis.ts'
import { historyKey, DEFAULT_HISTORY, type History, type Progress } from '../../devnet/history.ts'
import { DEVNET_CHAIN_ID, devnetAccounts, type DevnetAccount } from '../../devnet/keys.ts'
import { MARKETS, TICK_SPACING } from '../../devnet/markets.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Address } from '../../protocols/adapter.ts'

type World = { readonly own: OwnArtifacts; readonly plan: Plan }

/** Names the cache entry: everything that the default history depends on, and this script. */
export function quirksKey({ plan }: World): string {
  const hash = createHash('sha256').update(historyKey(plan, DEFAULT_HISTORY)).update(readFileSync(new URL(import.meta.url)))
  return `history-quirks-${hash.digest('hex').slice(0, 16)}`
}

const GAS = 6_000_000n
const ETH = 0
const BTC = 1
const OP = 2
const MINUTE = 60
const HOUR = 3_600

const usd = (amount: number): bigint => BigInt(Math.round(amount * 1e6))
const e18 = (amount: number): bigint => BigInt(Math.round(amount * 1e9)) * 10n ** 9n
const tickAt = (price: number): number => Math.floor(Math.log(price) / Math.log(1.0001) / TICK_SPACING) * TICK_SPACING

type Pool = { readonly tick: number; readonly priceUsd: number }
type Place = { readonly market: number; readonly lowerTick: number; readonly upperTick: number }

class Script {
  readonly #rpc: RpcClient
  readonly #world: World
  readonly #signer = new Signer()
  readonly blocks: RawBlock[] = []
  #timeSec = GENESIS_TIMESTAMP_SEC
  #safeNonce = 1
  #prices: readonly number[] = MARKETS.map((m) => m.initialPriceUsd)
  readonly act: ReturnType<typeof actionsOf>

  constructor(rpc: RpcClient, world: World) {
    this.#rpc = rpc
    this.#world = world
    this.act = actionsOf(world.plan.deployment)
  }

  get deployment(): Plan['deployment'] {
    return this.#world.plan.deployment
  }

  get tools(): Plan['tools'] {
    return this.#world.plan.tools
  }

  base(market: number): Address {
    return this.deployment.markets[market]?.baseToken as Address
  }

  async deploy(): Promise<void> {
    for (const block of await deploymentBlocks(this.#world.plan, this.#signer)) {
      await mineBlock(this.#rpc, block)
      this.blocks.push(block)
      this.#timeSec = block.timestampSec
    }
  }

  /** Mines one block `afterSec` after the last one. Throws InvariantError where one of its transactions reverts. */
  async block(afterSec: number, ...drafts: readonly (Draft | Promise<Draft>)[]): Promise<void> {
    const made: Draft[] = []
    const transactions: Hex[] = []
    for (const draft of drafts) {
      const ready = await draft
      made.push(ready)
      transactions.push(await this.#signer.sign(ready))
    }
    this.#timeSec += afterSec
    const block = { timestampSec: this.#timeSec, transactions }
    await mineBlock(this.#rpc, block)
    this.blocks.push(block)
    const mined = await this.#rpc.call<{ number: Hex; transactions: Hex[] }>('eth_getBlockByNumber', ['latest', false])
    if (mined.transactions.length !== transactions.length) throw new InvariantError(`block ${Number(mined.number)} of the script holds ${mined.transactions.length} of ${transactions.length} transactions`)
    for (const [i, hash] of mined.transactions.entries()) {
      const { status } = await this.#rpc.call<{ status: Hex }>('eth_getTransactionReceipt', [hash])
      if (status === '0x1') continue
      const draft = made[i] as Draft
      throw new InvariantError(`transaction ${i} of block ${Number(mined.number)} (${this.blocks.length}) of the script reverted: ${await this.#why(draft)}`)
    }
  }

  /** Empty blocks, so that time passes with nothing else. */
  async rest(...afterSec: readonly number[]): Promise<void> {
    for (const seconds of afterSec) await this.block(seconds)
  }

  async #why(draft: Draft): Promise<string> {
    try {
      await this.#rpc.call('eth_call', [{ from: draft.from.address, to: draft.to, data: draft.data, gas: '0x1312d00', value: `0x${(draft.value ?? 0n).toString(16)}` }, 'latest'])
      return `${draft.data.slice(0, 10)} to ${draft.to}, which would pass a block later`
    } catch (error) {
      return `${draft.data.slice(0, 10)} to ${draft.to}: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  /** A report of prices by their sources; `feeds: false` leaves the feeds to find out for themselves. */
  report(prices: Partial<Readonly<Record<number, number>>>, options: { feeds?: boolean; collateral?: boolean } = {}): Draft {
    this.#prices = this.#prices.map((p, i) => prices[i] ?? p)
    const markets = Object.keys(prices).map(Number)
    const { own } = this.#world
    const keeper = devnetAccounts('keeper', DEVNET_CHAIN_ID)[0] as DevnetAccount
    const tools = options.feeds === false ? { ...this.tools, feeds: [] } : this.tools
    return { from: keeper, to: this.tools.priceKeeper, data: priceCall(own, tools, MARKETS.map((_, i) => prices[i] ?? 0), markets, options.collateral ?? true), gas: GAS }
  }

  /** All three sources report what they reported last. */
  again(): Draft {
    return this.report(Object.fromEntries(this.#prices.map((p, i) => [i, p])))
  }

  govern(...calls: readonly { to: Address; data: Hex }[]): Promise<Draft> {
    return safeTransaction(this.deployment.safe as NonNullable<Plan['deployment']['safe']>, this.#safeNonce++, calls, GAS)
  }

  call(from: DevnetAccount, to: Address, abi: Abi, functionName: string, args: readonly unknown[] = [], value = 0n): Draft {
    return { from, to, data: encodeFunctionData({ abi, functionName, args }), gas: GAS, value }
  }

  house(from: DevnetAccount, functionName: string, args: readonly unknown[]): Draft {
    return this.call(from, this.deployment.contracts.clearingHouse, curie('ClearingHouse').abi, functionName, args)
  }

  vault(from: DevnetAccount, functionName: string, args: readonly unknown[], value = 0n): Draft {
    return this.call(from, this.deployment.contracts.vault, curie('Vault').abi, functionName, args, value)
  }

  trade(from: DevnetAccount, market: number, side: Order['side'], unit: Order['unit'], amount: number, limitUsd?: number): Draft {
    return this.act.trade(from, { base: this.base(market), side, unit, amountE18: e18(amount), ...(limitUsd === undefined ? {} : { limitX96: sqrtPriceX96(limitUsd) }) })
  }

  async read<T>(to: Address, abi: Abi, functionName: string, args: readonly unknown[] = []): Promise<T> {
    const data = await this.#rpc.call<Hex>('eth_call', [{ to, data: encodeFunctionData({ abi, functionName, args }), gas: '0x1312d00' }, 'latest'])
    return decodeFunctionResult({ abi, functionName, data }) as T
  }

  async pool(market: number): Promise<Pool> {
    const [sqrt, tick] = await this.read<readonly [bigint, number]>(this.deployment.markets[market]?.pool as Address, uniswap('UniswapV3Pool').abi, 'slot0')
    return { tick, priceUsd: (Number(sqrt) / 2 ** 96) ** 2 }
  }

  add(from: DevnetAccount, { market, lowerTick, upperTick }: Place, valueUsd: { base: number; quote: number }, priceUsd: number): Draft {
    return this.act.addLiquidity(from, { base: this.base(market), baseE18: e18(valueUsd.base / priceUsd), quoteE18: e18(valueUsd.quote), lowerTick, upperTick })
  }

  async liquidity(maker: DevnetAccount, { market, lowerTick, upperTick }: Place): Promise<bigint> {
    return (await this.read<{ liquidity: bigint }>(this.deployment.contracts.orderBook, curie('OrderBook').abi, 'getOpenOrder', [maker.address, this.base(market), lowerTick, upperTick])).liquidity
  }

  remove(from: DevnetAccount, { market, lowerTick, upperTick }: Place, liquidity: bigint): Draft {
    return this.act.removeLiquidity(from, { base: this.base(market), lowerTick, upperTick, liquidity })
  }

  async size(account: DevnetAccount, market: number): Promise<bigint> {
    return await this.read<bigint>(this.deployment.contracts.accountBalance, curie('AccountBalance').abi, 'getTakerPositionSize', [account.address, this.base(market)])
  }

  async valueUsd(account: DevnetAccount): Promise<number> {
    return Number(await this.read<bigint>(this.deployment.contracts.vault, curie('Vault').abi, 'getAccountValue', [account.address])) / 1e6
  }

  /** Holds that something is so at this point of the script. */
  expect(what: string, holds: boolean): void {
    if (!holds) throw new InvariantError(`block ${this.blocks.length} of the script: ${what} does not hold`)
  }
}

/** Plays the script on an empty chain and records it. */
export async function generateQuirks(rpc: RpcClient, world: World, onProgress: Progress): Promise<History> {
  const s = new Script(rpc, world)
  const { act, deployment } = s
  const { contracts } = deployment
  const role = (name: Parameters<typeof devnetAccounts>[0]) => devnetAccounts(name, DEVNET_CHAIN_ID)
  const first = (name: Parameters<typeof devnetAccounts>[0]): DevnetAccount => role(name)[0] as DevnetAccount
  const deployer = first('deployer')
  const donor = first('donor')
  const [wide, narrow, sliver, early, aside] = role('maker') as [DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount]
  const [rescuer, buyer] = role('liquidator') as [DevnetAccount, DevnetAccount]
  const pusher = first('arbitrageur')
  const [bull, bear, whale, debtor, etherOnly, mixed, gambler, delegate, dwarf, quitter, stayer] = role('taker') as [DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount, DevnetAccount]
  const people = [donor, wide, narrow, sliver, early, aside, rescuer, buyer, pusher, bull, bear, whale, debtor, etherOnly, mixed, gambler, delegate, dwarf, quitter, stayer]
  const usdc = deployment.settlementToken.address
  const wethToken = deployment.collaterals[0]?.token as Address
  const config = (name: string, args: readonly unknown[]) => governanceCall('ClearingHouseConfig', contracts.clearingHouseConfig, name, args)
  const registry = (name: string, args: readonly unknown[]) => governanceCall('MarketRegistry', contracts.marketRegistry, name, args)
  const manager = (name: string, args: readonly unknown[]) => governanceCall('CollateralManager', contracts.collateralManager, name, args)
  const tickCap = (market: number, ticks: number) => governanceCall('Exchange', contracts.exchange, 'setMaxTickCrossedWithinBlock', [s.base(market), ticks])

  await s.deploy()

  // Money, and a first range while neither the mark price nor, at first, the price spread can be had: a pool of 20 minutes.
  await s.block(MINUTE, {
    from: deployer, to: usdc, gas: 10_000_000n,
    data: encodeFunctionData({ abi: world.own.TestUSDC.abi, functionName: 'mint', args: [people.map((p) => p.address), people.map(() => usd(50_000_000))] }),
  }, ...people.map((p) => approveAll(p, usdc, contracts.vault)))
  await s.block(
    MINUTE, s.again(),
    act.deposit(wide, usd(5_000_000)), act.deposit(narrow, usd(1_000_000)), act.deposit(sliver, usd(1_000_000)), act.deposit(early, usd(500_000)), act.deposit(aside, usd(500_000)),
    act.deposit(rescuer, usd(3_000_000)), act.deposit(pusher, usd(10_000_000)), act.deposit(bull, usd(1_000_000)), act.deposit(bear, usd(1_000_000)), act.deposit(whale, usd(3_000_000)),
    act.payInsuranceFund(donor, usd(400_000)),
  )
  await s.block(18 * MINUTE, s.again())
  const earlyPlace: Place = { market: ETH, lowerTick: tickAt(2_600), upperTick: tickAt(2_900) }
  await s.block(MINUTE, s.add(early, earlyPlace, { base: 0, quote: 200_000 }, 3_200))
  await s.rest(30, 5 * MINUTE)
  await s.block(15 * MINUTE, s.again())

  // Ranges of every kind: wide, narrow, one spacing, above the price, below it, two makers in the same one, one maker in several.
  const eth = await s.pool(ETH)
  const here = Math.floor(eth.tick / TICK_SPACING) * TICK_SPACING
  const wideEth: Place = { market: ETH, lowerTick: tickAt(2_000), upperTick: tickAt(5_000) }
  const wideBtc: Place = { market: BTC, lowerTick: tickAt(40_000), upperTick: tickAt(110_000) }
  const wideOp: Place = { market: OP, lowerTick: tickAt(1.2), upperTick: tickAt(5) }
  const narrowEth: Place = { market: ETH, lowerTick: here - 5 * TICK_SPACING, upperTick: here + 5 * TICK_SPACING }
  const sliverEth: Place = { market: ETH, lowerTick: here, upperTick: here + TICK_SPACING }
  const aboveEth: Place = { market: ETH, lowerTick: here + 2 * TICK_SPACING, upperTick: here + 8 * TICK_SPACING }
  const belowEth: Place = { market: ETH, lowerTick: here - 8 * TICK_SPACING, upperTick: here - 2 * TICK_SPACING }
  await s.block(
    2 * MINUTE, s.again(),
    s.add(wide, wideEth, { base: 2_000_000, quote: 2_000_000 }, 3_200), s.add(wide, wideBtc, { base: 3_000_000, quote: 3_000_000 }, 68_000), s.add(wide, wideOp, { base: 500_000, quote: 500_000 }, 2.4),
  )
  await s.block(MINUTE, s.add(narrow, narrowEth, { base: 250_000, quote: 250_000 }, 3_200), s.add(sliver, sliverEth, { base: 100_000, quote: 100_000 }, 3_200))
  await s.block(MINUTE, s.add(sliver, aboveEth, { base: 150_000, quote: 0 }, 3_200), s.add(narrow, belowEth, { base: 0, quote: 150_000 }, 3_200), s.add(sliver, belowEth, { base: 0, quote: 75_000 }, 3_200))
  await s.block(MINUTE, s.add(sliver, narrowEth, { base: 80_000, quote: 80_000 }, 3_200))
  onProgress(1, 10)

  // The price goes back and forth over all their bounds, by exact inputs and exact outputs, within one block and over several.
  for (let round = 0; round < 10; round++) {
    const up = round % 2 === 0
    await s.block(
      round % 3 === 0 ? 13 : 2 * MINUTE,
      s.trade(bull, ETH, up ? 'long' : 'short', 'quote', 90_000 + 7_000 * round),
      s.trade(bear, ETH, up ? 'long' : 'short', 'base', 18 + 3 * round),
      s.trade(whale, ETH, up ? 'short' : 'long', 'base', 1.5),
    )
    if (round % 2 === 1) await s.rest(7)
  }
  await s.block(3 * MINUTE, s.again(), s.trade(bull, BTC, 'long', 'base', 2), s.trade(bear, BTC, 'short', 'quote', 90_000))
  await s.block(17, s.trade(bull, ETH, 'long', 'base', 30), s.trade(bull, ETH, 'short', 'base', 55), s.trade(bear, ETH, 'long', 'quote', 160_000))
  // More into a range that is there, part of it out again, fees alone out of another.
  const someSliver = await s.liquidity(sliver, narrowEth)
  await s.block(5 * MINUTE, s.add(narrow, narrowEth, { base: 60_000, quote: 60_000 }, 3_200), s.remove(sliver, narrowEth, someSliver / 3n), s.remove(wide, wideEth, 0n))
  await s.block(9, s.trade(bear, ETH, 'short', 'quote', 60_000), s.remove(sliver, sliverEth, (await s.liquidity(sliver, sliverEth)) / 2n), s.trade(bull, ETH, 'long', 'quote', 45_000))
  // A maker who trades as a taker too, in the same market and in another.
  await s.block(2 * MINUTE, s.trade(narrow, ETH, 'long', 'quote', 120_000), s.trade(sliver, BTC, 'short', 'base', 0.7))
  await s.rest(HOUR / 2)
  await s.block(MINUTE, s.again(), s.call(narrow, contracts.clearingHouse, curie('ClearingHouse').abi, 'settleAllFunding', [narrow.address]))
  onProgress(2, 10)

  // Collateral in every way: for someone else, as ether, as a token, all out again.
  await s.block(MINUTE, s.vault(etherOnly, 'depositEther', [], 20n * E18), s.vault(mixed, 'depositEther', [], 5n * E18), act.deposit(mixed, usd(8_000)), s.vault(donor, 'depositFor', [dwarf.address, usdc, usd(900)]), s.vault(donor, 'depositEtherFor', [gambler.address], 3n * E18))
  await s.block(MINUTE, s.call(mixed, wethToken, weth().abi, 'deposit', [], 2n * E18), approveAll(mixed, wethToken, contracts.vault), s.vault(mixed, 'deposit', [wethToken, 2n * E18]))
  await s.block(MINUTE, s.trade(etherOnly, BTC, 'long', 'quote', 150_000), s.trade(mixed, OP, 'long', 'quote', 12_000), s.trade(dwarf, OP, 'short', 'quote', 60), act.deposit(debtor, usd(30_000)))
  await s.block(MINUTE, s.vault(mixed, 'withdrawEther', [E18]), s.vault(whale, 'withdrawAll', [usdc]), s.vault(gambler, 'withdrawEther', [E18 / 2n]))
  await s.block(MINUTE, s.vault(gambler, 'withdrawAllEther', []))
  await s.block(MINUTE, act.deposit(whale, usd(3_000_000)))
  // Someone trades for another.
  const approvalAbi = curie('DelegateApproval').abi
  await s.block(MINUTE, s.call(stayer, s.tools.delegateApproval, approvalAbi, 'approve', [delegate.address, 1]), act.deposit(stayer, usd(40_000)))
  await s.block(MINUTE, s.house(delegate, 'openPositionFor', [stayer.address, { baseToken: s.base(OP), isBaseToQuote: false, isExactInput: false, amount: e18(4_000), oppositeAmountBound: maxUint256, deadline: maxUint256, sqrtPriceLimitX96: 0n, referralCode: zeroHash }]))

  // A close that the tick cap cuts to a part of the position; a reversal; a full close.
  await s.block(2 * MINUTE, s.again(), s.trade(whale, ETH, 'long', 'quote', 200_000))
  await s.block(2 * MINUTE, s.trade(whale, ETH, 'long', 'quote', 200_000))
  await s.block(MINUTE, s.govern(tickCap(ETH, 60)))
  const before = await s.size(whale, ETH)
  await s.block(2 * MINUTE, act.close(whale, s.base(ETH)))
  const after = await s.size(whale, ETH)
  s.expect('the close is cut to a part', after > 0n && after < before)
  await s.block(MINUTE, s.govern(tickCap(ETH, 1_000), config('setPartialCloseRatio', [400_000])))
  await s.block(2 * MINUTE, s.trade(whale, ETH, 'short', 'base', (Number(after) / 1e18) * 1.5))
  await s.block(2 * MINUTE, act.close(whale, s.base(ETH)))
  s.expect('the close is whole', (await s.size(whale, ETH)) === 0n)
  // What is left of a position is dust, which the getter answers as none; then it grows again.
  const exactly = (side: Order['side'], amountE18: bigint) => act.trade(whale, { base: s.base(BTC), side, unit: 'base', amountE18 })
  await s.block(MINUTE, exactly('long', E18))
  await s.block(MINUTE, exactly('short', E18 - 7n))
  s.expect('dust is answered as none', (await s.size(whale, BTC)) === 0n)
  await s.rest(20)
  await s.block(MINUTE, exactly('long', E18 / 10n))
  await s.block(MINUTE, act.close(whale, s.base(BTC)))
  onProgress(3, 10)

  // Averages over other times, another funding cap, other fees; with time passing in between.
  await s.block(MINUTE, s.govern(config('setTwapInterval', [1_800]), config('setMarkPriceMarketTwapInterval', [600]), config('setMarkPricePremiumInterval', [1_200])))
  await s.rest(11, 95)
  await s.block(4 * MINUTE, s.again(), s.trade(bull, BTC, 'long', 'quote', 40_000), s.trade(bear, ETH, 'short', 'quote', 30_000))
  await s.rest(3, 20 * MINUTE)
  await s.block(MINUTE, s.govern(config('setMaxFundingRate', [3_000]), registry('setFeeRatio', [s.base(ETH), 2_500]), registry('setInsuranceFundFeeRatio', [s.base(ETH), 333_333]), registry('setMaxOrdersPerMarket', [7])))
  await s.block(2 * MINUTE, s.again(), s.trade(bull, ETH, 'long', 'base', 12), s.trade(bear, ETH, 'short', 'base', 31))
  await s.rest(HOUR / 4)
  await s.block(MINUTE, s.govern(config('setMaxFundingRate', [100_000]), manager('setMmRatioBuffer', [12_500]), manager('setWhitelistedDebtThreshold', [etherOnly.address, usd(20_000)]), manager('setDebtThreshold', [usd(9_000)])))
  // Averages below 10 s are the spot price.
  await s.block(MINUTE, s.govern(config('setTwapInterval', [9]), config('setMarkPriceMarketTwapInterval', [5]), config('setMarkPricePremiumInterval', [8])), s.trade(bull, ETH, 'short', 'quote', 25_000))
  await s.block(40, s.trade(bull, ETH, 'long', 'quote', 11_000), s.again())
  await s.rest(HOUR / 5)
  // An average longer than the pool remembers: no mark price, no requirement, no account value for whoever holds a position.
  await s.block(MINUTE, s.govern(config('setMarkPriceMarketTwapInterval', [30 * 86_400])))
  await s.rest(25, MINUTE)
  await s.block(MINUTE, act.deposit(dwarf, usd(100)))
  await s.block(MINUTE, s.govern(config('setMarkPriceMarketTwapInterval', [1_800]), config('setTwapInterval', [30 * 86_400])))
  await s.rest(45)
  await s.block(MINUTE, s.govern(config('setTwapInterval', [900]), config('setMarkPricePremiumInterval', [900])))
  onProgress(4, 10)

  // Sources: one that reports before its feed notices, one that breaks, one that falls silent; a feed of another kind takes over and stays.
  await s.block(MINUTE, s.report({ [ETH]: 3_215 }, { feeds: false }))
  await s.rest(30)
  await s.block(30, s.trade(bull, ETH, 'long', 'quote', 5_000))
  await s.block(2 * MINUTE, s.report({ [BTC]: 0, [ETH]: 3_210 }))
  await s.rest(50)
  await s.block(MINUTE, s.trade(bear, BTC, 'short', 'quote', 12_000))
  await s.block(4 * MINUTE, s.report({ [BTC]: 67_700, [OP]: 2.41 }))
  const uniswapFeed = getContractAddress({ from: deployer.address, nonce: BigInt(await nonceOf(rpc, deployer.address)) })
  await s.block(MINUTE, { from: deployer, to: null, data: encodeDeployData({ ...oracle('UniswapV3PriceFeed'), args: [deployment.markets[BTC]?.pool] }), gas: GAS })
  await s.block(MINUTE, s.govern({ to: deployment.markets[BTC]?.priceFeed as Address, data: encodeFunctionData({ abi: oracle('PriceFeedDispatcher').abi, functionName: 'setUniswapV3PriceFeed', args: [uniswapFeed] }) }))
  await s.block(20 * MINUTE, s.report({ [ETH]: 3_190, [OP]: 2.43 }))
  await s.block(18 * MINUTE, s.report({ [ETH]: 3_200 }))
  // Timed out, and nobody has told the dispatcher yet.
  await s.rest(2 * MINUTE, 3 * MINUTE)
  await s.block(MINUTE, s.trade(bull, BTC, 'short', 'quote', 30_000))
  await s.rest(40)
  await s.block(3 * MINUTE, s.report({ [BTC]: 67_000, [ETH]: 3_205 }))
  await s.block(MINUTE, s.trade(bear, BTC, 'long', 'base', 0.4))
  await s.rest(10 * MINUTE)
  await s.block(MINUTE, s.again())
  // A silent source without another one: the last price stands, its average flattens.
  await s.rest(HOUR, HOUR)
  await s.block(MINUTE, s.again(), s.trade(bull, ETH, 'short', 'quote', 9_000))
  // Another dispatcher over another feed.
  const newFeed = getContractAddress({ from: deployer.address, nonce: BigInt(await nonceOf(rpc, deployer.address)) })
  const newDispatcher = getContractAddress({ from: deployer.address, nonce: BigInt((await nonceOf(rpc, deployer.address)) + 1) })
  await s.block(
    MINUTE,
    { from: deployer, to: null, data: encodeDeployData({ ...oracle('ChainlinkPriceFeedV3'), args: [s.tools.aggregators[BTC], 1_200n, 900n] }), gas: GAS },
    { from: deployer, to: null, data: encodeDeployData({ ...oracle('PriceFeedDispatcher'), args: [newFeed] }), gas: GAS },
  )
  await s.block(MINUTE, s.call(deployer, newFeed, oracle('ChainlinkPriceFeedV3').abi, 'update'))
  await s.block(MINUTE, s.govern({ to: s.base(BTC), data: encodeFunctionData({ abi: curie('BaseToken').abi, functionName: 'setPriceFeed', args: [newDispatcher] }) }))
  await s.block(3 * MINUTE, s.report({ [BTC]: 67_300, [ETH]: 3_200, [OP]: 2.4 }))
  await s.block(MINUTE, s.trade(bear, BTC, 'long', 'base', 0.2), s.call(deployer, newFeed, oracle('ChainlinkPriceFeedV3').abi, 'cacheTwap', [900n]))
  await s.rest(4 * MINUTE)
  // Another feed for the collateral, which is asked directly.
  const collateralFeed = getContractAddress({ from: deployer.address, nonce: BigInt(await nonceOf(rpc, deployer.address)) })
  await s.block(MINUTE, { from: deployer, to: null, data: encodeDeployData({ ...oracle('ChainlinkPriceFeedV3'), args: [s.tools.aggregators[ETH], 3_600n, 1_800n] }), gas: GAS })
  await s.block(30, s.call(deployer, collateralFeed, oracle('ChainlinkPriceFeedV3').abi, 'update'))
  await s.block(2 * MINUTE, s.report({ [ETH]: 3_195 }))
  await s.block(MINUTE, s.govern(manager('setPriceFeed', [wethToken, collateralFeed])))
  await s.block(2 * MINUTE, s.report({ [ETH]: 3_202 }), s.call(deployer, collateralFeed, oracle('ChainlinkPriceFeedV3').abi, 'update'))
  await s.rest(90)
  // The pool remembers more.
  await s.block(MINUTE, s.call(deployer, deployment.markets[BTC]?.pool as Address, uniswap('UniswapV3Pool').abi, 'increaseObservationCardinalityNext', [320]))
  for (let i = 0; i < 3; i++) await s.block(30, s.trade(bull, BTC, i % 2 === 0 ? 'long' : 'short', 'quote', 3_000))
  onProgress(5, 10)

  // A debtor who sits in a market that is about to be paused, so that nobody can settle his debt yet.
  const op = await s.pool(OP)
  const debtorPlace: Place = { market: OP, lowerTick: tickAt(op.priceUsd / 1.6), upperTick: tickAt(op.priceUsd / 1.4) }
  await s.block(MINUTE, s.again(), s.add(debtor, debtorPlace, { base: 0, quote: 500 }, 2.4), act.deposit(quitter, usd(20_000)), s.trade(debtor, ETH, 'long', 'quote', 130_000))
  await s.block(MINUTE, s.trade(quitter, OP, 'short', 'quote', 15_000), s.trade(debtor, ETH, 'long', 'quote', 110_000), act.deposit(aside, usd(50_000)))
  const asidePlace: Place = { market: OP, lowerTick: tickAt(op.priceUsd / 1.1), upperTick: tickAt(op.priceUsd * 1.1) }
  await s.block(MINUTE, s.add(aside, asidePlace, { base: 30_000, quote: 30_000 }, op.priceUsd), s.trade(stayer, OP, 'long', 'quote', 9_000))
  await s.block(5 * MINUTE, s.report({ [ETH]: 3_195, [OP]: 2.3 }))
  const opToken = curie('BaseToken').abi
  await s.block(2 * MINUTE, s.govern({ to: s.base(OP), data: encodeFunctionData({ abi: opToken, functionName: 'pause' }) }))
  await s.rest(70)
  await s.block(10 * MINUTE, s.report({ [OP]: 1.9 }), s.trade(bull, ETH, 'long', 'quote', 4_000))
  await s.block(MINUTE, s.call(stayer, contracts.clearingHouse, curie('ClearingHouse').abi, 'settleAllFunding', [stayer.address]))
  onProgress(6, 10)

  // The crash of ether: excess orders are cancelled, positions liquidated in part, whole, and with bad debt; collateral too.
  await s.block(MINUTE, act.deposit(gambler, usd(1_000)), s.vault(gambler, 'depositEther', [], 2n * E18))
  await s.block(MINUTE, s.trade(gambler, ETH, 'long', 'quote', 45_000), s.trade(mixed, BTC, 'long', 'quote', 90_000), s.vault(etherOnly, 'depositEther', [], E18))
  const limit = (market: number, factor: number) => s.pool(market).then(({ priceUsd }) => priceUsd * factor)
  for (const price of [3_050, 2_950, 2_900]) {
    await s.block(6 * MINUTE, s.report({ [ETH]: price, [BTC]: 67_300 * (price / 3_200) }), s.trade(pusher, ETH, 'short', 'base', 400, Math.max(price * 0.995, await limit(ETH, 0.94))), s.trade(pusher, BTC, 'short', 'base', 30, await limit(BTC, 0.975)))
    await s.rest(20)
  }
  const accountBalanceAbi = curie('AccountBalance').abi
  const inDanger = async (account: DevnetAccount): Promise<boolean> =>
    BigInt(Math.floor((await s.valueUsd(account)) * 1e6)) * 10n ** 12n < (await s.read<bigint>(contracts.accountBalance, accountBalanceAbi, 'getMarginRequirementForLiquidation', [account.address]))
  const victims: readonly [DevnetAccount, number][] = [[gambler, ETH], [mixed, BTC], [etherOnly, BTC]]
  // First a part that the liquidator chooses, then as much as may be.
  let parts = 0
  for (const [victim, market] of victims) {
    if (!(await inDanger(victim))) continue
    await s.block(13, { ...s.call(rescuer, contracts.clearingHouse, parseAbi(['function liquidate(address trader, address baseToken, int256 positionSize)']), 'liquidate', [victim.address, s.base(market), (await s.size(victim, market)) / 10n]), affects: victim.address })
    parts++
    if (await inDanger(victim)) await s.block(13, act.liquidate(rescuer, victim.address, s.base(market)))
  }
  s.expect('somebody was liquidated in part', parts > 0)
  for (const price of [2_780, 2_650]) {
    await s.block(6 * MINUTE, s.report({ [ETH]: price, [BTC]: 67_300 * (price / 3_200) }), s.trade(pusher, ETH, 'short', 'base', 600, Math.max(price * 0.995, await limit(ETH, 0.93))), s.trade(pusher, BTC, 'short', 'base', 30, await limit(BTC, 0.975)))
    for (let round = 0; round < 2; round++) {
      for (const [victim, market] of victims) if ((await s.size(victim, market)) !== 0n && (await inDanger(victim))) await s.block(13, act.liquidate(rescuer, victim.address, s.base(market)))
    }
  }
  onProgress(7, 10)
  await s.rest(20 * MINUTE)
  await s.block(5 * MINUTE, s.again())
  s.expect('the debtor is under water', (await s.valueUsd(debtor)) < 0)
  await s.block(13, act.liquidate(rescuer, debtor.address, s.base(ETH)))
  s.expect('the debtor has been liquidated whole', (await s.size(debtor, ETH)) === 0n)
  s.expect('the debtor owes', (await s.valueUsd(debtor)) < 0)
  // Collateral: half of the debt, then the rest, by amounts of the collateral and of the settlement token.
  const vaultAbi = curie('Vault').abi
  const collateralOf = async (account: DevnetAccount): Promise<readonly [bigint, bigint]> => await s.read(contracts.vault, vaultAbi, 'getMaxRepaidSettlementAndLiquidatableCollateral', [account.address, wethToken])
  await s.block(MINUTE, s.govern(manager('setWhitelistedDebtThreshold', [etherOnly.address, usd(12_000)])))
  let seized = 0
  for (let round = 0; round < 4; round++) {
    for (const victim of [etherOnly, mixed, gambler]) {
      if (!(await s.read<boolean>(contracts.vault, vaultAbi, 'isLiquidatable', [victim.address]))) continue
      const [repaid, collateral] = await collateralOf(victim)
      if (collateral < 10n) continue
      const inSettlement = round % 2 === 1
      await s.block(17, s.vault(buyer, 'liquidateCollateral', [victim.address, wethToken, ((inSettlement ? repaid : collateral) * 95n) / 100n, inSettlement]))
      seized++
    }
  }
  s.expect('collateral was seized', seized >= 2)
  onProgress(8, 10)

  // Makers in trouble: their excess orders are cancelled by someone else.
  const lean: Place = { market: ETH, lowerTick: tickAt(2_300), upperTick: tickAt(3_000) }
  const ethNow = (await s.pool(ETH)).priceUsd
  await s.block(MINUTE, s.again(), act.deposit(dwarf, usd(4_000)))
  await s.block(MINUTE, s.add(dwarf, lean, { base: 14_000, quote: 14_000 }, ethNow), s.trade(dwarf, ETH, 'long', 'quote', 5_000))
  for (const factor of [0.95, 0.9]) {
    await s.block(6 * MINUTE, s.report({ [ETH]: ethNow * factor, [BTC]: 55_000 }), s.trade(pusher, ETH, 'short', 'base', 600, Math.max(ethNow * factor * 0.99, await limit(ETH, 0.93))))
  }
  const freeAtMm = async (account: DevnetAccount): Promise<bigint> => await s.read(contracts.vault, vaultAbi, 'getFreeCollateralByRatio', [account.address, 62_500])
  for (let factor = 0.87; (await freeAtMm(dwarf)) >= 0n && factor > 0.7; factor -= 0.03) {
    await s.block(6 * MINUTE, s.report({ [ETH]: ethNow * factor }), s.trade(pusher, ETH, 'short', 'base', 900, Math.max(ethNow * factor * 0.99, await limit(ETH, 0.93))))
  }
  await s.block(11, act.cancelOrders(rescuer, dwarf.address, s.base(ETH)))
  await s.rest(2 * MINUTE)

  // The paused market is closed; some quit, one stays; the debtor takes his range out, and only then his debt is settled, by its own transaction.
  await s.block(MINUTE, s.govern({ to: s.base(OP), data: encodeFunctionData({ abi: parseAbi(['function close(uint256 closedPrice)']), functionName: 'close', args: [2_120_000_000_000_000_000n] }) }))
  await s.rest(35)
  await s.block(MINUTE, s.house(quitter, 'quitMarket', [quitter.address, s.base(OP)]), s.house(rescuer, 'quitMarket', [aside.address, s.base(OP)]))
  await s.block(MINUTE, s.remove(debtor, debtorPlace, await s.liquidity(debtor, debtorPlace)))
  s.expect('the debt is still there', (await s.valueUsd(debtor)) < 0)
  await s.rest(15)
  await s.block(MINUTE, act.settleBadDebt(rescuer, debtor.address))
  s.expect('the debt is gone', (await s.valueUsd(debtor)) >= 0)
  onProgress(9, 10)

  // The fund: taken from, given to, repaid, distributed; pauses; and the code behind a proxy replaced.
  const fundInVault = await s.read<bigint>(contracts.vault, vaultAbi, 'getSettlementTokenValue', [contracts.insuranceFund])
  if (fundInVault < 0n) await s.block(MINUTE, act.repayInsuranceFund(donor))
  await s.block(MINUTE, act.payInsuranceFund(donor, usd(123_456.789)))
  await s.block(MINUTE, s.report({ [ETH]: (await s.pool(ETH)).priceUsd, [BTC]: (await s.pool(BTC)).priceUsd }), s.trade(pusher, ETH, 'long', 'base', 300, await limit(ETH, 1.06)), s.trade(pusher, BTC, 'long', 'base', 20, await limit(BTC, 1.02)))
  await s.block(MINUTE, s.govern(governanceCall('InsuranceFund', contracts.insuranceFund, 'setDistributionThreshold', [100_000n * E6])))
  await s.block(MINUTE, act.distributeFee(donor))
  await s.block(MINUTE, s.govern(governanceCall('ClearingHouse', contracts.clearingHouse, 'pause', []), governanceCall('Vault', contracts.vault, 'pause', [])))
  await s.rest(5 * MINUTE)
  await s.block(MINUTE, s.govern(governanceCall('ClearingHouse', contracts.clearingHouse, 'unpause', []), governanceCall('Vault', contracts.vault, 'unpause', [])))
  await s.block(MINUTE, s.again(), s.trade(bull, ETH, 'long', 'quote', 20_000), s.trade(bear, ETH, 'short', 'base', 7))
  const newCode = getContractAddress({ from: deployer.address, nonce: BigInt(await nonceOf(rpc, deployer.address)) })
  await s.block(MINUTE, { from: deployer, to: null, data: curie('ClearingHouseConfig').bytecode, gas: 7_000_000n })
  await s.block(MINUTE, s.govern({ to: contracts.proxyAdmin, data: encodeFunctionData({ abi: openZeppelin('ProxyAdmin').abi, functionName: 'upgrade', args: [contracts.clearingHouseConfig, newCode] }) }))
  await s.block(MINUTE, s.govern(manager('setCollateralRatio', [wethToken, 700_000]), manager('setDiscountRatio', [wethToken, 80_000]), manager('setWhitelistedDebtThreshold', [etherOnly.address, 0n]), config('setLiquidationPenaltyRatio', [30_000])))
  for (const seconds of [7, 31, 240]) await s.block(seconds, s.trade(bear, ETH, seconds === 31 ? 'long' : 'short', 'quote', 15_000))
  // Everyone of a range leaves it, whole; one closes what is left to take.
  await s.block(MINUTE, s.remove(narrow, narrowEth, await s.liquidity(narrow, narrowEth)), s.remove(narrow, belowEth, await s.liquidity(narrow, belowEth)), s.remove(sliver, sliverEth, await s.liquidity(sliver, sliverEth)))
  await s.block(2 * MINUTE, act.close(bull, s.base(BTC)))
  await s.rest(HOUR)
  onProgress(10, 10)
  return { head: await readHead(rpc), blocks: s.blocks }
}

const nonceOf = async (rpc: RpcClient, address: Address): Promise<number> => Number(await rpc.call<Hex>('eth_getTransactionCount', [address, 'latest']))
