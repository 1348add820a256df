/**
 * The reducer and the valuation against the deployed bytecode: a market that lives through everything, its facts reduced block
 * by block, and what we work out compared with what the contracts answer.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodeDeployData, maxUint256, zeroHash } from 'viem'
import { oracle } from '../../devnet/artifacts.ts'
import { abs, E18, E6 } from '../../core/units.ts'
import type { Address, Fact, Hex } from '../../protocols/adapter.ts'
import { reducer } from '../../protocols/curie/reducer.ts'
import { amountsOfRange } from '../../protocols/curie/uniswap-v3.ts'
import { reasonOf, valuation, valueOf, type Answer, type IndexStates } from '../../protocols/curie/valuation.ts'
import { ABIS, callOf, DEPLOYER, deployment, person, RowStore, SAFE, World, type Call, type Seen } from './world.ts'

const { clearingHouse: HOUSE, vault: VAULT, exchange: EXCHANGE, orderBook: ORDER_BOOK, accountBalance: ACCOUNT_BALANCE, clearingHouseConfig: CONFIG, marketRegistry: REGISTRY, collateralManager: COLLATERALS, insuranceFund: FUND } = deployment.contracts
const [ETH, BTC, OP] = deployment.markets.map((market) => market.baseToken) as [Address, Address, Address]
const POOLS = new Map(deployment.markets.map((market) => [market.baseToken, market.pool]))
const WETH = deployment.collaterals[0]?.token as Address
const USDC = deployment.settlementToken.address
const makers = [person(1), person(2), person(3)]
const takers = [person(4), person(5), person(6), person(7), person(8)]
const liquidator = person(9)
const victim = person(10)
const everyone = [...makers, ...takers, liquidator, victim, FUND]

const open = (from: Address, baseToken: Address, isBaseToQuote: boolean, isExactInput: boolean, amount: bigint, sqrtPriceLimitX96 = 0n): Call =>
  callOf(from, HOUSE, ABIS.house, 'openPosition', [{ baseToken, isBaseToQuote, isExactInput, amount, oppositeAmountBound: 0n, deadline: maxUint256, sqrtPriceLimitX96, referralCode: zeroHash }])
const close = (from: Address, baseToken: Address): Call => callOf(from, HOUSE, ABIS.house, 'closePosition', [{ baseToken, sqrtPriceLimitX96: 0n, oppositeAmountBound: 0n, deadline: maxUint256, referralCode: zeroHash }])
const provide = (from: Address, baseToken: Address, base: bigint, quote: bigint, lowerTick: number, upperTick: number): Call =>
  callOf(from, HOUSE, ABIS.house, 'addLiquidity', [{ baseToken, base, quote, lowerTick, upperTick, minBase: 0n, minQuote: 0n, useTakerBalance: false, deadline: maxUint256 }])
const withdrawLiquidity = (from: Address, baseToken: Address, lowerTick: number, upperTick: number, liquidity: bigint): Call =>
  callOf(from, HOUSE, ABIS.house, 'removeLiquidity', [{ baseToken, lowerTick, upperTick, liquidity, minBase: 0n, minQuote: 0n, deadline: maxUint256 }])
const deposit = (from: Address, usd: bigint): Call => callOf(from, VAULT, ABIS.vault, 'deposit', [USDC, usd * E6])

let world: World
/** How often each kind of thing was seen to happen, and to be compared. */
const seenOf = new Map<string, number>()
const count = (what: string): void => void seenOf.set(what, (seenOf.get(what) ?? 0) + 1)

/** Ours in the words of a getter. */
const asSeen = <T>(answer: Answer<T>, shape: (value: T) => unknown = (value) => value): Seen => {
  if ('value' in answer) return { value: shape(answer.value) }
  if ('reverted' in answer) return { reverted: answer.reverted }
  throw new Error(`unknown: ${reasonOf(answer)}`)
}

const isHeld = (states: IndexStates, account: string, market: string): boolean =>
  states.positions.some((held) => held.accountId === account && held.marketId === market && held.rawSizeE18 !== 0n) || states.ranges.some((range) => range.accountId === account && range.marketId === market)

/** Every answer that we give, against the contract's own, at the latest block. */
async function expectSameAsContracts(): Promise<void> {
  const states = await world.states(everyone)
  const now = world.valuation(states)
  const ours: Record<string, unknown> = {}
  const theirs: Record<string, unknown> = {}
  const waits: Promise<void>[] = []
  const compare = (what: string, mine: Seen, to: Address, abi: (typeof ABIS)[keyof typeof ABIS], functionName: string, args: readonly unknown[] = [], shape: (value: never) => unknown = (value) => value): void => {
    ours[what] = mine
    count(functionName)
    waits.push(
      world.see(to, abi, functionName, args).then((seen) => {
        if ('reverted' in seen) count(`${functionName} reverts`)
        theirs[what] = 'value' in seen ? { value: shape(seen.value as never) } : seen
      }),
    )
  }

  // Where funding was settled and came to exactly 0, no event says so: what is pending may then differ by less than 1 wei each time.
  const silent = new Set<string>()
  for (const { accountId, marketId } of states.positions) {
    const info = await world.value<{ lastTwPremiumGrowthGlobalX96: bigint }>(ACCOUNT_BALANCE, ABIS.accountBalance, 'getAccountInfo', [accountId, marketId])
    const row = world.store.rows.get(`position:${accountId}:${marketId}`)?.value as Readonly<Record<string, string>> | undefined
    if (row !== undefined && row['lastTwPremiumX96'] !== String(info.lastTwPremiumGrowthGlobalX96) && isHeld(states, accountId, marketId)) silent.add(`${accountId}:${marketId}`)
  }
  for (const each of silent) count(`silent ${each}`)
  const near = (answer: Answer<bigint>, isSilent: boolean) => (theirs: bigint): bigint => {
    const mine = valueOf(answer)
    return isSilent && mine !== null && abs(theirs - mine) <= 3n ? mine : theirs
  }

  for (const { baseToken, symbol } of deployment.markets) {
    const pool = POOLS.get(baseToken) as Address
    const row = world.store.rows.get(`market:${baseToken}`)?.value as Readonly<Record<string, number>>
    compare(`${symbol} slot0`, asSeen(now.pool(baseToken), (p) => [p.sqrtPriceX96, p.tick, row['observationIndex'], row['observationCardinality'], row['observationCardinalityNext']]), pool, ABIS.pool, 'slot0', [], (answer: readonly unknown[]) => answer.slice(0, 5))
    compare(`${symbol} liquidity`, asSeen(now.pool(baseToken), (p) => p.liquidity), pool, ABIS.pool, 'liquidity')
    for (const secondsAgo of [0, 1, 7, 300, 900, 1_800, 5_000]) compare(`${symbol} observe ${secondsAgo}`, asSeen(now.tickCumulative(baseToken, secondsAgo)), pool, ABIS.pool, 'observe', [[secondsAgo]], (answer: readonly (readonly bigint[])[]) => answer[0]?.[0])
    for (const interval of [0, 9, 15, 900, 1_800]) compare(`${symbol} sqrt average ${interval}`, asSeen(now.sqrtMarketTwapX96(baseToken, interval)), EXCHANGE, ABIS.exchange, 'getSqrtMarketTwapX96', [baseToken, interval])
    for (const interval of [0, 60, 900, 1_800]) compare(`${symbol} index ${interval}`, asSeen(now.indexPrice(baseToken, interval)), baseToken, ABIS.baseToken, 'getIndexPrice', [interval])
    compare(`${symbol} mark`, asSeen(now.markPrice(baseToken)), ACCOUNT_BALANCE, ABIS.accountBalance, 'getMarkPrice', [baseToken])
    for (const [id, { kind, value }] of world.store.rows) {
      if (kind !== 'tick' || !id.includes(baseToken)) continue
      const tick = value as Readonly<Record<string, string>>
      compare(id, { value: [tick['liquidityGross'], tick['liquidityNet'], tick['liquidityGross'] !== '0'] }, pool, ABIS.pool, 'ticks', [Number(id.split(':')[2])], (answer: readonly unknown[]) => [String(answer[0]), String(answer[1]), answer[7]])
    }
    for (const account of everyone) {
      const funding = now.pendingFunding(account, baseToken)
      const isSilent = silent.has(`${account}:${baseToken}`)
      compare(`${symbol} funding of ${account}`, asSeen(funding), EXCHANGE, ABIS.exchange, 'getPendingFundingPayment', [account, baseToken], near(funding, isSilent))
      for (const { lowerTick, upperTick } of states.ranges.filter((range) => range.accountId === account && range.marketId === baseToken)) {
        compare(`${symbol} fee of ${account} ${lowerTick} ${upperTick}`, asSeen(now.pendingFee(account, baseToken, lowerTick, upperTick)), ORDER_BOOK, ABIS.orderBook, 'getPendingFee', [account, baseToken, lowerTick, upperTick])
        if (isSilent) continue
        const range = world.store.rows.get(`range:${account}:${baseToken}:${lowerTick}:${upperTick}`)?.value as Readonly<Record<string, string>>
        compare(`${symbol} order of ${account} ${lowerTick} ${upperTick}`, { value: [range['liquidity'], range['lastFeeGrowthInsideX128'], range['lastTwPremiumInsideX96'], range['lastTwPremiumBelowX96'], range['lastTwPremiumDivBySqrtPriceInsideX96']] }, ORDER_BOOK, ABIS.orderBook, 'getOpenOrder', [account, baseToken, lowerTick, upperTick], (order: Readonly<Record<string, bigint>>) =>
          ['liquidity', 'lastFeeGrowthInsideX128', 'lastTwPremiumGrowthInsideX96', 'lastTwPremiumGrowthBelowX96', 'lastTwPremiumDivBySqrtPriceGrowthInsideX96'].map((field) => String(order[field])))
      }
    }
  }
  compare('collateral price', asSeen(now.collateralPrice(WETH), (priceE18) => priceE18 / 10n ** 10n), COLLATERALS, ABIS.collateralManager, 'getPrice', [WETH, 900n])
  for (const account of everyone) {
    const funding = now.allPendingFunding(account)
    compare(`all funding of ${account}`, asSeen(funding), EXCHANGE, ABIS.exchange, 'getAllPendingFundingPayment', [account], near(funding, deployment.markets.some(({ baseToken }) => silent.has(`${account}:${baseToken}`))))
    compare(`value of ${account}`, asSeen(now.accountValue(account)), VAULT, ABIS.vault, 'getAccountValue', [account])
    compare(`settlement value of ${account}`, asSeen(now.settlementTokenValue(account)), VAULT, ABIS.vault, 'getSettlementTokenValue', [account])
    for (const ratioE6 of [100_000n, 62_500n]) compare(`free collateral of ${account} at ${ratioE6}`, asSeen(now.freeCollateral(account, ratioE6)), VAULT, ABIS.vault, 'getFreeCollateralByRatio', [account, Number(ratioE6)])
    compare(`requirement of ${account}`, asSeen(now.marginRequirement(account)), ACCOUNT_BALANCE, ABIS.accountBalance, 'getMarginRequirementForLiquidation', [account])
    compare(`debt of ${account}`, asSeen(now.totalDebtValue(account)), ACCOUNT_BALANCE, ABIS.accountBalance, 'getTotalDebtValue', [account])
    compare(`collateral liquidatable of ${account}`, asSeen(now.collateralLiquidatable(account)), VAULT, ABIS.vault, 'isLiquidatable', [account])
    compare(`pnl of ${account}`, asSeen(now.health(account), (h) => [h.unrealizedPnlE18, valueOf(now.allPendingFees(account))]), ACCOUNT_BALANCE, ABIS.accountBalance, 'getPnlAndPendingFee', [account], (answer: readonly bigint[]) => answer.slice(1))
  }
  await Promise.all(waits)
  const plain = (answers: Record<string, unknown>): unknown => JSON.parse(JSON.stringify(answers, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)))
  expect({ block: world.history.length, ...(plain(ours) as object) }).toEqual({ block: world.history.length, ...(plain(theirs) as object) })
}

/** Mulberry32: the same history at every run. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
const random = randomOf(20_230_412)
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
const between = (low: number, high: number): number => low + Math.floor(random() * (high - low))
const usd = (low: number, high: number): bigint => BigInt(between(low, high)) * E18 + BigInt(between(0, 1e9)) * 1_000_000_007n

const prices = [3_200, 68_000, 2.4]
const indexOf = new Map([[ETH, 0], [BTC, 1], [OP, 2]])

/** One thing that somebody does; it may fail, as in life. */
async function something(): Promise<Call[]> {
  const market = pick([ETH, ETH, BTC, OP])
  const price = prices[indexOf.get(market) ?? 0] ?? 1
  const base = (quoteE18: bigint): bigint => (quoteE18 * 10n ** 9n) / BigInt(Math.round(price * 1e9))
  const tick = Math.floor(Math.log(price) / Math.log(1.0001))
  const states = await world.states(makers)
  switch (pick(['open', 'open', 'open', 'open', 'limit', 'close', 'add', 'add', 'remove', 'collect', 'price', 'price', 'withdraw', 'settle', 'liquidate', 'answer', 'observations'])) {
    case 'open': {
      const [isBaseToQuote, isExactInput, amount] = [random() < 0.5, random() < 0.5, usd(5, 200_000)]
      return [open(pick([...takers, ...makers]), market, isBaseToQuote, isExactInput, isBaseToQuote === isExactInput ? base(amount) : amount)]
    }
    case 'limit': {
      const { value } = (await world.see(POOLS.get(market) as Address, ABIS.pool, 'slot0')) as { value: readonly [bigint] }
      const isBaseToQuote = random() < 0.5
      const isExactInput = random() < 0.5
      const amount = usd(50_000, 400_000)
      return [open(pick(takers), market, isBaseToQuote, isExactInput, isBaseToQuote === isExactInput ? base(amount) : amount, isBaseToQuote ? (value[0] * 998n) / 1_000n : (value[0] * 1_002n) / 1_000n)]
    }
    case 'close':
      return [close(pick(takers), market)]
    case 'add': {
      const lower = Math.round((tick + between(-4_000, 600)) / 300) * 300
      return [provide(pick(makers), market, base(usd(1_000, 400_000)), usd(1_000, 400_000), lower, lower + between(1, 16) * 300)]
    }
    case 'remove': {
      const range = pick(states.ranges)
      return range === undefined ? [] : [withdrawLiquidity(range.accountId as Address, range.marketId as Address, range.lowerTick, range.upperTick, random() < 0.4 ? range.liquidity : range.liquidity / BigInt(between(2, 9)))]
    }
    case 'collect': {
      const range = pick(states.ranges)
      return range === undefined ? [] : [withdrawLiquidity(range.accountId as Address, range.marketId as Address, range.lowerTick, range.upperTick, 0n)]
    }
    case 'price':
      for (const index of prices.keys()) prices[index] = (prices[index] ?? 1) * (1 + (random() - 0.5) * 0.03)
      return [world.push(prices)]
    case 'withdraw':
      return [callOf(pick([...takers, ...makers]), VAULT, ABIS.vault, 'withdraw', [USDC, BigInt(between(1, 500)) * E6])]
    case 'settle': {
      const account = pick([...takers, ...makers])
      return [callOf(account, HOUSE, ABIS.house, 'settleAllFunding', [account])]
    }
    case 'liquidate': {
      const victim = pick([...takers, ...makers])
      return [callOf(liquidator, HOUSE, ABIS.house, 'cancelAllExcessOrders', [victim, market]), callOf(liquidator, HOUSE, ABIS.house, 'liquidate', [victim, market])]
    }
    case 'answer':
      // Refused answers as well: of the future, of the past, not positive; and good ones that nobody has taken over.
      return [world.report(indexOf.get(market) ?? 0, pick([BigInt(Math.round(price * 1e8)), 0n, -5n]), world.nowSec + pick([-1_000, -3, 0, 0, 5_000]))]
    default:
      return [callOf(pick(takers), POOLS.get(market) as Address, ABIS.pool, 'increaseObservationCardinalityNext', [between(300, 340)])]
  }
}

/** Blocks of one to four things, seconds to an hour apart, compared after every one. */
async function live(blocks: number, drift: readonly number[] = [1, 1, 1]): Promise<void> {
  for (let block = 0; block < blocks; block += 1) {
    const calls: Call[] = []
    const things = between(1, 5)
    for (let thing = 0; thing < things; thing += 1) calls.push(...(await something()))
    if (drift.some((factor) => factor !== 1)) {
      for (const [index, factor] of drift.entries()) prices[index] = (prices[index] ?? 1) * factor
      calls.push(world.push(prices))
      for (const [index, factor] of drift.entries()) if (factor !== 1) calls.push(open(makers[0] as Address, [ETH, BTC, OP][index] as Address, factor < 1, factor < 1 === false, factor < 1 ? 10n ** 30n : 10n ** 26n, await limitAt(index)))
    }
    const outcomes = await world.mine(pick(drift.some((factor) => factor !== 1) ? [16, 60, 900] : [2, 2, 2, 4, 12, 16, 40, 200, 900, 1_700, 3_600]), calls)
    for (const outcome of outcomes) count(outcome ? 'call' : 'failed call')
    for (const fact of world.history.at(-1) ?? []) count(fact.entity)
    await expectSameAsContracts()
  }
}

/** Brings every index to its pool's price, and its average as well. */
async function alignIndex(): Promise<void> {
  for (const [market, index] of indexOf) prices[index] = (Number((await world.value<readonly [bigint]>(POOLS.get(market) as Address, ABIS.pool, 'slot0'))[0]) / 2 ** 96) ** 2
  await world.mine(20, [world.push(prices)])
  await world.mine(1_000, [world.push(prices)])
}

/** The square root price that a market's index stands at. */
const limitAt = async (index: number): Promise<bigint> => BigInt(Math.floor(Math.sqrt(prices[index] ?? 1) * 2 ** 48)) << 48n

beforeAll(async () => {
  world = await World.start(21_000)
  await world.fund([...makers, ...takers, liquidator, victim, SAFE, world.tools.priceKeeper])
  const funded = everyone
  await world.mine(10, [callOf(DEPLOYER, USDC, ABIS.erc20, 'mint', [funded, funded.map(() => 500_000_000n * E6)]), world.push(prices)])
  await world.mine(10, funded.slice(0, -1).map((from) => callOf(from, USDC, ABIS.erc20, 'approve', [VAULT, maxUint256])))
  await world.mine(10, [...makers, liquidator].map((from) => deposit(from, 20_000_000n)))
  await world.mine(10, [...takers.map((from, index) => deposit(from, [5_000n, 20_000n, 200_000n, 1_000_000n, 5_000n][index] ?? 0n)), deposit(victim, 10_000n), callOf(takers[4] as Address, VAULT, ABIS.vault, 'depositEther', [], 30n * E18)])
}, 60_000)

afterAll(() => world?.stop(), 30_000)

describe('against the contracts', () => {
  test('behavior: before the first trade, and while the pool is too young for its averages', async () => {
    await expectSameAsContracts()
    // ln(3200)/ln(1.0001) = 80714, ln(68000) … = 111280, ln(2.4) … = 8755.
    await world.mine(60, [provide(makers[0] as Address, ETH, 1_000n * E18, 3_200_000n * E18, 76_500, 84_000), provide(makers[1] as Address, ETH, 500n * E18, 1_600_000n * E18, 79_800, 81_600)])
    await world.mine(60, [provide(makers[0] as Address, BTC, 50n * E18, 3_400_000n * E18, 108_000, 114_000), provide(makers[2] as Address, OP, 2_000_000n * E18, 4_800_000n * E18, -12_000, 12_000)])
    await expectSameAsContracts()
    await world.mine(2, [open(takers[0] as Address, ETH, false, true, 1_000n * E18)])
    await expectSameAsContracts()
    await live(12)
    expect(seenOf.get('getMarkPrice reverts')).toBeGreaterThan(0)
  }, 60_000)

  test('behavior: through trades of every kind, changes of liquidity, funding, liquidations and refused answers', async () => {
    await live(70)
    for (const what of ['PoolSwap', 'LiquidityChange', 'FundingPayment', 'PriceUpdate', 'OracleAnswer', 'PoolObservationsIncrease', 'failed call']) expect([what, (seenOf.get(what) ?? 0) > 2]).toEqual([what, true])
  }, 300_000)

  test('behavior: an account without ranges is liquidated, in part and whole', async () => {
    await world.mine(40, [world.push(prices), open(victim, ETH, false, true, 90_000n * E18)])
    let liquidations = 0
    for (let step = 0; step < 12; step += 1) {
      prices[0] = (prices[0] ?? 1) * 0.985
      const outcomes = await world.mine(40, [world.push(prices), open(makers[0] as Address, ETH, true, true, 10n ** 30n, await limitAt(0)), callOf(liquidator, HOUSE, ABIS.house, 'liquidate', [victim, ETH])])
      if (outcomes[2] === true) liquidations += 1
      await expectSameAsContracts()
    }
    expect(liquidations).toBeGreaterThan(1)
  }, 120_000)

  test('behavior: down a long way, across the ends of the pools\' bitmap words and below price 1', async () => {
    await alignIndex()
    await world.mine(20, [provide(makers[1] as Address, ETH, 300n * E18, 600_000n * E18, 60_000, 84_000), provide(makers[1] as Address, OP, 300_000n * E18, 600_000n * E18, -18_000, 15_600)])
    await live(24, [0.97, 1, 0.94])
    const [eth, op] = await Promise.all([ETH, OP].map(async (market) => (await world.value<readonly [bigint, number]>(POOLS.get(market) as Address, ABIS.pool, 'slot0'))[1]))
    expect(eth).toBeLessThan(76_800)
    expect(op).toBeLessThan(0)
  }, 120_000)

  test('behavior: a pool without liquidity in range, whose price anyone may move for nothing', async () => {
    for (const range of (await world.states(makers)).ranges.filter(({ marketId }) => marketId === ETH)) await world.mine(4, [withdrawLiquidity(range.accountId as Address, ETH, range.lowerTick, range.upperTick, range.liquidity)])
    const pool = POOLS.get(ETH) as Address
    const before = await world.value<readonly [bigint, number]>(pool, ABIS.pool, 'slot0')
    // Code that stops at once: the pool calls its swapper back, and asks to be paid nothing.
    const mover = person(20)
    await world.fund([mover])
    await world.rpc('anvil_setCode', [mover, '0x00'])
    expect(await world.mine(30, [callOf(mover, pool, ABIS.pool, 'swap', [mover, false, 1n, (before[0] * 11n) / 10n, '0x'])])).toEqual([true])
    await expectSameAsContracts()
    expect((await world.value<readonly [bigint, number]>(pool, ABIS.pool, 'slot0'))[1]).toBeGreaterThan(before[1] + 1_000)
    await alignIndex()
    expect(await world.mine(30, [provide(makers[0] as Address, ETH, 1_000n * E18, 1_000_000n * E18, 60_000, 90_000)])).toEqual([true])
    await live(4)
  }, 60_000)

  test('behavior: while the Safe changes the parameters that fees, funding and prices depend on', async () => {
    const set = (to: Address, abi: (typeof ABIS)[keyof typeof ABIS], functionName: string, args: readonly unknown[]): Call => callOf(SAFE, to, abi, functionName, args)
    for (const calls of [
      [set(REGISTRY, ABIS.registry, 'setFeeRatio', [ETH, 3_333]), set(REGISTRY, ABIS.registry, 'setInsuranceFundFeeRatio', [ETH, 1_000_000])],
      [set(CONFIG, ABIS.config, 'setMaxFundingRate', [5_000]), set(CONFIG, ABIS.config, 'setTwapInterval', [600])],
      [set(REGISTRY, ABIS.registry, 'setFeeRatio', [ETH, 0]), set(CONFIG, ABIS.config, 'setMarkPriceMarketTwapInterval', [300])],
      [set(CONFIG, ABIS.config, 'setMarkPricePremiumInterval', [1_200]), set(CONFIG, ABIS.config, 'setTwapInterval', [9])],
      [set(REGISTRY, ABIS.registry, 'setFeeRatio', [ETH, 1_000]), set(REGISTRY, ABIS.registry, 'setInsuranceFundFeeRatio', [ETH, 0]), set(CONFIG, ABIS.config, 'setTwapInterval', [900]), set(CONFIG, ABIS.config, 'setMarkPricePremiumInterval', [900])],
    ]) {
      const outcomes = await world.mine(4, [world.push(prices), ...calls, open(takers[3] as Address, ETH, true, false, 40_000n * E18), open(takers[2] as Address, ETH, false, true, 30_000n * E18)])
      expect(outcomes.slice(0, calls.length + 1)).not.toContain(false)
      await expectSameAsContracts()
      await live(3)
    }
  }, 120_000)

  test('behavior: while an index falls below its premium, the mark price reverts, and what does not need it answers', async () => {
    const before = seenOf.get('getMarkPrice reverts') ?? 0
    await world.mine(4, [world.push([...prices.slice(0, 2), 5_000])])
    await world.mine(120, [world.push(prices), deposit(takers[2] as Address, 10n)])
    await expectSameAsContracts()
    expect(seenOf.get('getMarkPrice reverts')).toBeGreaterThan(before)
    await world.mine(1_900, [world.push(prices)])
    await expectSameAsContracts()
  }, 30_000)

  test('behavior: a market paused and closed, settled and left', async () => {
    await world.mine(4, [callOf(SAFE, BTC, ABIS.baseToken, 'pause', []), callOf(SAFE, ETH, ABIS.baseToken, 'pause', [])])
    await expectSameAsContracts()
    await live(8)
    await world.mine(600, [callOf(SAFE, BTC, ABIS.baseToken, 'close', [61_234n * E18]), ...takers.map((account) => callOf(account, HOUSE, ABIS.house, 'settleAllFunding', [account]))])
    await expectSameAsContracts()
    expect(await world.mine(5, [...makers, ...takers].map((account) => callOf(liquidator, HOUSE, ABIS.house, 'quitMarket', [account, BTC])))).toContain(true)
    await expectSameAsContracts()
    await world.mine(5 * 86_400, [world.push(prices), callOf(takers[1] as Address, ETH, ABIS.baseToken, 'close', [])])
    await expectSameAsContracts()
    await live(6)
  }, 120_000)

  test('behavior: a price feed that times out falls back to its pool\'s average, for good once a trade has met it', async () => {
    const dispatcher = deployment.markets[2]?.priceFeed as Address
    const source = oracle('UniswapV3PriceFeed')
    const created = await world.rpc<Hex>('eth_sendTransaction', [{ from: DEPLOYER, data: encodeDeployData({ ...source, args: [POOLS.get(OP)] }), gas: '0x200000', gasPrice: '0x0' }])
    await world.mine(4, [world.push(prices)])
    const { contractAddress } = await world.rpc<{ contractAddress: Address }>('eth_getTransactionReceipt', [created])
    expect(await world.mine(4, [callOf(SAFE, dispatcher, ABIS.dispatcher, 'setUniswapV3PriceFeed', [contractAddress])])).toEqual([true])
    await expectSameAsContracts()
    const index = async (): Promise<bigint> => (await world.value<bigint>(OP, ABIS.baseToken, 'getIndexPrice', [0]))
    const before = await index()

    await world.mine(2_500, [])
    await expectSameAsContracts()
    expect(await index()).not.toBe(before)
    // A fresh answer undoes it, as long as nobody has traded meanwhile.
    await world.mine(4, [world.push(prices)])
    await expectSameAsContracts()
    expect(await index()).toBe(before)

    await world.mine(2_500, [callOf(takers[3] as Address, HOUSE, ABIS.house, 'settleAllFunding', [takers[3]]), open(takers[3] as Address, OP, false, true, 100n * E18)])
    expect(world.history.at(-1)?.some((fact) => fact.entity === 'OracleSourceChange' && fact['fallback'] === true)).toBe(true)
    await world.mine(4, [world.push(prices)])
    await expectSameAsContracts()
    expect(await index()).not.toBe(before)

    const elsewhere = new RowStore()
    elsewhere.step(world.history.flat().filter((fact) => fact['role'] !== 'fallbackPool'))
    const now = valuation({ rows: [...elsewhere.rows.values()], states: await world.states([]), timestampSec: world.nowSec, settlementDecimals: 6 })
    expect(reasonOf(now.markPrice(OP))).toMatch(/has fallen back to the average of a pool that is not indexed/)
  }, 60_000)

  test('behavior: depth within a price move is what the ranges give up and take in over it', async () => {
    const states = await world.states(everyone)
    const now = world.valuation(states)
    const pool = valueOf(now.pool(OP))
    const depth = valueOf(now.depth(OP, 100_000n))
    if (pool === null || depth === null) throw new Error('the pool is unknown')
    const held = (sqrtPriceX96: bigint): { base: bigint; quote: bigint } =>
      states.ranges.filter(({ marketId }) => marketId === OP).reduce((sum, range) => {
        const { baseE18, quoteE18 } = amountsOfRange(range, sqrtPriceX96)
        return { base: sum.base + baseE18, quote: sum.quote + quoteE18 }
      }, { base: 0n, quote: 0n })
    // √1.1 and √0.9 to 18 figures; the square root price has 29 or so.
    const before = held(pool.sqrtPriceX96)
    const up = held((pool.sqrtPriceX96 * 1_048_808_848_170_151_547n) / E18)
    const down = held((pool.sqrtPriceX96 * 948_683_298_050_513_799n) / E18)
    const close = (found: bigint, expected: bigint): boolean => abs(found - expected) <= expected / 10n ** 12n + 1_000n
    expect([close(depth.up.baseE18, before.base - up.base), close(depth.up.quoteE18, up.quote - before.quote), close(depth.down.baseE18, down.base - before.base), close(depth.down.quoteE18, before.quote - down.quote)]).toEqual([true, true, true, true])
    expect(depth.down.quoteE18).toBeGreaterThan(0n)
  })
})

describe('reduction', () => {
  test('property: in one go, block by block or in any pieces, the rows are the same', () => {
    const inOneGo = new RowStore()
    inOneGo.step(world.history.flat())
    expect(inOneGo.plain()).toEqual(world.store.plain())
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: world.history.length - 1 }), { minLength: 1, maxLength: 12 }), (cuts) => {
        const store = new RowStore()
        const ends = [...cuts.toSorted((a, b) => a - b), world.history.length]
        for (const [index, end] of ends.entries()) store.step(world.history.slice(ends[index - 1] ?? 0, end).flat())
        expect(store.plain()).toEqual(inOneGo.plain())
      }),
      { numRuns: 12, seed: 4 },
    )
  }, 120_000)

  test('behavior: what a step asks for does not grow with the step', () => {
    const all = reducer.needs(world.history.flat())
    const accounts = everyone.length * deployment.markets.length
    // Per market its row, ticks and parameters; per feed, dispatcher and oracle one; per account and market two; the protocol's.
    expect(all.length).toBeLessThan(3 * deployment.markets.length + 20 + 2 * accounts)
    expect(reducer.needs([])).toEqual([])
  })

  test('error: facts that contradict each other make their market unknown, with the numbers, and no other', async () => {
    const facts = world.history.flat()
    const states = await world.states([makers[0] as Address])
    const alter = (entity: string, field: string, change: (value: string) => string): void => {
      const at = facts.findLastIndex((fact) => fact.entity === entity && fact[field] !== '0')
      const store = new RowStore()
      store.step(facts.map((fact, index) => (index === at ? ({ ...fact, [field]: change(String(fact[field])) } as Fact) : fact)))
      const now = valuation({ rows: [...store.rows.values()], states, timestampSec: world.nowSec, settlementDecimals: 6 })
      const market = String(facts[at]?.['marketId'])
      reasons.push(reasonOf(now.pool(market)) ?? 'none')
      expect(reasonOf(now.fundingGrowth(market))).toBe(reasons.at(-1))
      const others = deployment.markets.map(({ baseToken }) => baseToken.toLowerCase()).filter((other) => other !== market)
      expect(others.map((other) => reasonOf(now.pool(other)))).toEqual(others.map(() => null))
    }
    const reasons: string[] = []
    const more = (value: string): string => String(BigInt(value) + 1n)
    alter('LiquidityChange', 'feeE18', more)
    alter('PoolSwap', 'liquidity', more)
    alter('FundingUpdate', 'marketTwapE18', more)
    alter('PoolSwap', 'sqrtPriceX96', (price) => String(BigInt(price) - 10n ** 20n))
    expect(reasons[0]).toMatch(/the replay of market 0x\w+ stopped: Found a pending fee of \d+ at LiquidityChange/)
    expect(reasons[1]).toMatch(/a replayed fee of \d+ and liquidity \d+/)
    expect(reasons[2]).toMatch(/market average of \d+/)
    expect(reasons[3]).not.toBe('none')
  })

  test('behavior: a market without a snapshot of its pool has no rows, and every answer about it is unknown', async () => {
    const store = new RowStore()
    store.step(world.history.flat().filter((fact) => fact.entity !== 'PoolSnapshot'))
    expect([...store.rows.values()].filter(({ kind }) => ['market', 'tick', 'observation', 'range', 'position'].includes(kind))).toEqual([])
    const now = valuation({ rows: [...store.rows.values()], states: await world.states([makers[0] as Address]), timestampSec: world.nowSec, settlementDecimals: 6 })
    for (const answer of [now.pool(ETH), now.markPrice(ETH), now.fundingGrowth(ETH), now.depth(ETH, 1n), now.pendingFunding(makers[0] as Address, ETH)]) expect(reasonOf(answer)).toBe(`market ${ETH} has no snapshot of its pool`)
  })
})
