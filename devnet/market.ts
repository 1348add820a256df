import { encodeFunctionData, type Hex } from 'viem'
import { fromFloat } from '../core/units.ts'
import type { Address } from '../protocols/curie/deployments.ts'
import { actionsOf, type Actions, governanceCall } from './actions.ts'
import type { OwnArtifacts } from './artifacts.ts'
import type { Draft } from './chain.ts'
import { approveAll, type Plan, priceCall, safeTransaction, sqrtPriceX96 } from './deploy.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount, devnetAccounts } from './keys.ts'
import type { AccountView, Lens, MarketView, Sight } from './lens.ts'
import { MARKETS, TICK_SPACING } from './markets.ts'
import type { Regime } from './prices.ts'
import { type Random, random } from './random.ts'

/** What the people of the market know at one moment. */
export type Moment = {
  readonly regime: Regime
  readonly pricesUsd: readonly number[]
  readonly reporting: readonly number[]
  readonly broken: number | null
  readonly liquidatorsAwake: boolean
  /** How many takers act, on average. */
  readonly activity: number
}

/** How one taker behaves; the same taker in every run. */
type Taker = {
  readonly account: DevnetAccount
  readonly leverage: number
  readonly marginUsd: number
  /** Share of the margin that is brought as ether. */
  readonly etherShare: number
  readonly favourite: number
  /** Follows the price (positive) or bets against it. */
  readonly trend: number
}

/** A maker's range: prices `1/width … width` around the centre. */
type Range = { readonly maker: number; readonly market: number; readonly valueUsd: number; readonly width: number; readonly policy: 'stay' | 'follow' | 'narrow' | 'leave'; readonly leaveHour?: number }
type OpenRange = { readonly lowerTick: number; readonly upperTick: number; readonly sinceHour: number }

const RANGES: readonly Range[] = [
  { maker: 0, market: 0, valueUsd: 10_000_000, width: 4, policy: 'stay' },
  { maker: 0, market: 1, valueUsd: 12_000_000, width: 3, policy: 'stay' },
  { maker: 0, market: 2, valueUsd: 1_500_000, width: 5, policy: 'stay' },
  { maker: 1, market: 0, valueUsd: 3_000_000, width: 1.3, policy: 'follow' },
  { maker: 1, market: 1, valueUsd: 4_000_000, width: 1.25, policy: 'follow' },
  { maker: 2, market: 0, valueUsd: 800_000, width: 1.08, policy: 'narrow' },
  { maker: 3, market: 2, valueUsd: 500_000, width: 1.5, policy: 'follow' },
  { maker: 3, market: 1, valueUsd: 2_000_000, width: 1.6, policy: 'follow' },
  { maker: 4, market: 1, valueUsd: 1_500_000, width: 1.15, policy: 'leave', leaveHour: 330 },
  { maker: 4, market: 0, valueUsd: 1_000_000, width: 1.2, policy: 'leave', leaveHour: 336 },
]

/** USDC that each maker puts into the vault. */
const MAKER_MARGIN_USD = [9_000_000, 2_500_000, 800_000, 1_800_000, 1_200_000]
const LIQUIDATOR_MARGIN_USD = 6_000_000
const ARBITRAGEUR_MARGIN_USD = 20_000_000
const FUND_DONATION_USD = 600_000

/** Largest trade that a taker sends at once: a fraction of a percent of price impact. */
const TRADE_CAP_USD = [120_000, 160_000, 9_000]

/** Distance between pool and index that makes arbitrage worth a transaction. */
const ARBITRAGE_THRESHOLD = [0.006, 0.0055, 0.011]

/** Hours in which takers go to the limit of their margin: just before the worst crash, while nobody expects it. */
const EUPHORIA = { fromHour: 480, toHour: 481.6 } as const

/** Fee collection of a maker's range, in hours. */
const COLLECT_EVERY_HOURS = 48

/** Reports after which the collateral's feed is refreshed: about once an hour. */
const COLLATERAL_FEED_EVERY = 3

const KEEPER_GAS = 3_000_000n

/** A change of parameters that the Safe executes at an hour of the history. */
type Governance = { readonly hour: number; readonly calls: (plan: Plan) => { to: Address; data: Hex }[] }

const GOVERNANCE: readonly Governance[] = [
  {
    hour: 70,
    calls: ({ deployment: d }) => [0, 1].map((i) => governanceCall('MarketRegistry', d.contracts.marketRegistry, 'setInsuranceFundFeeRatio', [d.markets[i]?.baseToken, 150_000])),
  },
  { hour: 160, calls: ({ deployment: d }) => [governanceCall('CollateralManager', d.contracts.collateralManager, 'setDepositCap', [d.collaterals[0]?.token, 30_000n * 10n ** 18n])] },
  {
    hour: 310,
    calls: ({ deployment: d }) => [
      governanceCall('MarketRegistry', d.contracts.marketRegistry, 'setMarketMaxPriceSpreadRatio', [d.markets[2]?.baseToken, 250_000]),
      governanceCall('ClearingHouseConfig', d.contracts.clearingHouseConfig, 'setMaxFundingRate', [120_000]),
    ],
  },
  { hour: 388, calls: ({ deployment: d }) => [governanceCall('Exchange', d.contracts.exchange, 'setMaxTickCrossedWithinBlock', [d.markets[1]?.baseToken, 250])] },
  {
    hour: 490,
    calls: ({ deployment: d }) => [
      governanceCall('ClearingHouseConfig', d.contracts.clearingHouseConfig, 'setLiquidationPenaltyRatio', [30_000]),
      governanceCall('CollateralManager', d.contracts.collateralManager, 'setMmRatioBuffer', [10_000]),
      governanceCall('InsuranceFund', d.contracts.insuranceFund, 'setDistributionThreshold', [300_000_000_000n]),
    ],
  },
  {
    hour: 600,
    calls: ({ deployment: d }) => [
      governanceCall('ClearingHouseConfig', d.contracts.clearingHouseConfig, 'setPartialCloseRatio', [300_000]),
      governanceCall('CollateralManager', d.contracts.collateralManager, 'setDebtThreshold', [15_000_000_000n]),
    ],
  },
  { hour: 660, calls: ({ deployment: d }) => [governanceCall('ClearingHouseConfig', d.contracts.clearingHouseConfig, 'setLiquidationPenaltyRatio', [25_000])] },
]

/** Money of the insurance fund that moves at an hour of the history. */
const FUND_EVENTS: readonly { readonly hour: number; readonly kind: 'distribute' | 'donate' }[] = [
  { hour: 120, kind: 'distribute' },
  { hour: 240, kind: 'distribute' },
  { hour: 400, kind: 'distribute' },
  { hour: 478, kind: 'distribute' },
  { hour: 500, kind: 'donate' },
  { hour: 700, kind: 'distribute' },
]

const usdToE6 = (usd: number): bigint => fromFloat(usd, 6, 'floor')
/** float64 carries 53 bits: amounts of a script are rounded to 1e-9 of a token first. */
const toE18 = (amount: number): bigint => fromFloat(amount, 9, 'floor') * 10n ** 9n
const tickOf = (price: number): number => Math.log(price) / Math.log(1.0001)
const alignedTick = (price: number): number => Math.round(tickOf(price) / TICK_SPACING) * TICK_SPACING
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)

/** The people of the devnet: what they send, given what they see. Holds no connection; `lens` reads for it. */
export class Market {
  readonly #plan: Plan
  readonly #own: OwnArtifacts
  readonly #lens: Lens
  readonly #rng: Random
  readonly #do: Actions
  readonly #keeper: DevnetAccount
  readonly #deployer: DevnetAccount
  readonly #donor: DevnetAccount
  readonly #makers: readonly DevnetAccount[]
  readonly #liquidators: readonly DevnetAccount[]
  readonly #arbitrageur: DevnetAccount
  readonly #takers: readonly Taker[]
  readonly #ranges = new Map<Range, OpenRange>()
  readonly #left = new Set<Range>()
  /** Takers that do nothing before this hour. */
  readonly #restingUntil = new Map<Address, number>()
  #premium = MARKETS.map(() => 0)
  #safeNonce = 1
  #reports = 0
  #hour = 0

  constructor(plan: Plan, own: OwnArtifacts, lens: Lens, seed: number) {
    this.#plan = plan
    this.#own = own
    this.#lens = lens
    this.#rng = random(seed)
    this.#do = actionsOf(plan.deployment)
    const role = (name: Parameters<typeof devnetAccounts>[0]) => devnetAccounts(name, DEVNET_CHAIN_ID)
    const first = (name: Parameters<typeof devnetAccounts>[0]) => role(name)[0] as DevnetAccount
    this.#keeper = first('keeper')
    this.#deployer = first('deployer')
    this.#donor = first('donor')
    this.#makers = role('maker')
    this.#liquidators = role('liquidator')
    this.#arbitrageur = first('arbitrageur')
    const character = random(20_220_512)
    this.#takers = role('taker').map((account, i) => {
      const daring = character.unit()
      return {
        account,
        leverage: daring < 0.35 ? character.between(1, 3) : daring < 0.7 ? character.between(3, 6) : character.between(6, 9.6),
        marginUsd: Math.min(60_000, Math.max(1_500, Math.exp(Math.log(7_000) + 0.9 * character.normal()))),
        etherShare: i % 10 === 1 || i % 10 === 4 ? 1 : i % 10 === 7 ? 0.6 : 0,
        favourite: i % 3,
        trend: character.between(-0.6, 1),
      }
    })
  }

  /** Everyone whose health the scripts watch. */
  get watched(): readonly Address[] {
    return [...this.#takers.map((t) => t.account), ...this.#makers, ...this.#liquidators, this.#arbitrageur].map((a) => a.address)
  }

  /** The drafts before the first trade: money, approvals, margins of makers and liquidators, the insurance fund. */
  preparation(): Draft[][] {
    const { deployment } = this.#plan
    const usdc = deployment.settlementToken.address
    const people = [this.#donor, ...this.#makers, ...this.#liquidators, this.#arbitrageur, ...this.#takers.map((t) => t.account)]
    const mint: Draft = {
      from: this.#deployer,
      to: usdc,
      data: encodeFunctionData({ abi: this.#own.TestUSDC.abi, functionName: 'mint', args: [people.map((p) => p.address), people.map(() => usdToE6(50_000_000))] }),
      gas: 10_000_000n,
    }
    const approvals = people.map((p) => approveAll(p, usdc, deployment.contracts.vault))
    const margins = [
      ...this.#makers.map((m, i) => this.#do.deposit(m, usdToE6(MAKER_MARGIN_USD[i] ?? 0))),
      ...this.#liquidators.map((l) => this.#do.deposit(l, usdToE6(LIQUIDATOR_MARGIN_USD))),
      this.#do.deposit(this.#arbitrageur, usdToE6(ARBITRAGEUR_MARGIN_USD)),
      this.#do.payInsuranceFund(this.#donor, usdToE6(FUND_DONATION_USD)),
    ]
    return [[mint, ...approvals], margins]
  }

  /** The makers' first ranges, around the opening prices. */
  opening(pricesUsd: readonly number[]): Draft[] {
    return RANGES.map((range) => this.#openRange(range, pricesUsd[range.market] ?? 0))
  }

  /** Reports of prices: every source that speaks, and a zero from one that is broken. The collateral's feed takes part in every `collateralEvery`-th. */
  report(moment: Moment, collateralEvery = COLLATERAL_FEED_EVERY): Draft[] {
    if (moment.reporting.length === 0) return []
    const prices = moment.pricesUsd.map((p, i) => (i === moment.broken ? 0 : p))
    return [{ from: this.#keeper, to: this.#plan.tools.priceKeeper, data: priceCall(this.#own, this.#plan.tools, prices, moment.reporting, moment.reporting.includes(0) && this.#reports++ % collateralEvery === 0), gas: KEEPER_GAS }]
  }

  /** One block of the market. `hour` counts from the opening; it drives what is scheduled. */
  async step(moment: Moment, sight: Sight, hour: number, totalHours: number): Promise<Draft[]> {
    const before = this.#hour
    this.#hour = hour
    const due = <T extends { hour: number }>(list: readonly T[]): T[] => list.filter((e) => e.hour > before && e.hour <= hour)
    const drafts: Draft[] = [...this.report(moment), ...this.#arbitrage(moment, sight)]
    for (const event of due(GOVERNANCE)) drafts.push(await safeTransaction(this.#safe(), this.#safeNonce++, event.calls(this.#plan), 3_000_000n))
    for (const event of due(FUND_EVENTS)) {
      if (event.kind === 'distribute') drafts.push(this.#do.distributeFee(this.#donor))
      else drafts.push(this.#do.payInsuranceFund(this.#donor, usdToE6(FUND_DONATION_USD / 3)))
    }
    if (Math.floor(hour) > Math.floor(before) && (await this.#lens.fundSettlementE6()) < -1_000_000n) drafts.push(this.#do.repayInsuranceFund(this.#donor))
    if (moment.regime !== 'crash') drafts.push(...(await this.#tendRanges(sight, before, hour)))
    drafts.push(...this.#unwind(sight))
    drafts.push(...this.#trade(moment, sight, totalHours - hour))
    return drafts
  }

  /** One block after the history: prices, arbitrage, trades; nothing is scheduled. Arbitrage looks at every market, whether its source reports or not. */
  liveStep(moment: Moment, sight: Sight, hour: number): Draft[] {
    this.#hour = hour
    const everywhere = { ...moment, reporting: MARKETS.map((_, i) => i) }
    return [...this.report(moment, 1), ...this.#arbitrage(everywhere, sight), ...this.#unwind(sight), ...this.#trade(moment, sight, Infinity)]
  }

  /** Liquidations that are possible now; empty when there are none. */
  async rescue(sight: Sight): Promise<Draft[]> {
    const drafts: Draft[] = []
    const { deployment } = this.#plan
    const token = deployment.collaterals[0]?.token as Address
    const helpers = new Set([...this.#liquidators, this.#arbitrageur].map((a) => a.address))
    for (const account of sight.accounts) {
      if (helpers.has(account.address)) continue
      const liquidator = this.#liquidators[drafts.length % this.#liquidators.length] as DevnetAccount
      const exposures = account.sizes.map((size, i) => Math.abs(size) * (sight.markets[i]?.markUsd ?? 0))
      const largest = exposures.indexOf(Math.max(...exposures))
      if (account.valueUsd < account.requirementUsd && exposures[largest] !== 0) {
        const base = deployment.markets[largest]?.baseToken as Address
        drafts.push(account.hasOrder ? this.#do.cancelOrders(liquidator, account.address, base) : this.#do.liquidate(liquidator, account.address, base))
      } else if (account.collateralLiquidatable && account.collateralE18 > 0n) {
        const most = await this.#lens.liquidatableCollateral(account.address, token)
        // A price that moves by a hair must not make the amount too large.
        const amount = most === account.collateralE18 ? most : (most * 98n) / 100n
        if (amount > 0n) drafts.push(this.#do.liquidateCollateral(liquidator, account.address, token, amount))
      } else if (account.valueUsd < -1 && account.collateralE18 === 0n && sum(exposures) === 0) {
        drafts.push(this.#do.settleBadDebt(liquidator, account.address))
      }
      if (drafts.length >= 12) break
    }
    return drafts
  }

  #safe(): NonNullable<Plan['deployment']['safe']> {
    return this.#plan.deployment.safe as NonNullable<Plan['deployment']['safe']>
  }

  #base(market: number): Address {
    return this.#plan.deployment.markets[market]?.baseToken as Address
  }

  /** Pulls a pool back to where the index (and a slowly wandering premium) says it should be. */
  #arbitrage(moment: Moment, sight: Sight): Draft[] {
    this.#premium = this.#premium.map((p, i) => p * 0.97 + 0.0006 * (i + 1) ** 0.5 * this.#rng.normal() + 0.00002)
    return moment.pricesUsd.flatMap((index, i) => {
      const market = sight.markets[i]
      if (market === undefined || !moment.reporting.includes(i) || i === moment.broken) return []
      const target = index * (1 + (this.#premium[i] ?? 0))
      const deviation = market.poolPriceUsd / target - 1
      if (Math.abs(deviation) < (ARBITRAGE_THRESHOLD[i] ?? 0)) return []
      return [this.#tradeTo(this.#arbitrageur, i, market, target, 4_000_000)]
    })
  }

  /** Buys or sells until the pool stands at a price, within nine tenths of what the tick cap lets through. */
  #tradeTo(from: DevnetAccount, index: number, market: MarketView, targetUsd: number, maxUsd: number): Draft {
    const reach = 1.0001 ** ((MARKETS[index]?.maxTickCrossed ?? 0) * 0.75)
    const price = market.poolPriceUsd
    const reachable = Math.min(Math.max(targetUsd, price / reach), price * reach)
    const side = reachable > price ? 'long' : 'short'
    const amountE18 = side === 'long' ? toE18(maxUsd) : toE18(maxUsd / price)
    return this.#do.trade(from, { base: this.#base(index), side, unit: side === 'long' ? 'quote' : 'base', amountE18, limitX96: sqrtPriceX96(reachable) })
  }

  /** Positions that nobody wanted (liquidators', a leaving maker's) are sold off in slices of 0.8 % of price impact. */
  #unwind(sight: Sight): Draft[] {
    const sellers = [...this.#liquidators, ...this.#makers.filter((_, i) => RANGES.filter((r) => r.maker === i).every((r) => this.#left.has(r)))]
    return sellers.flatMap((seller) => {
      const view = sight.accounts.find((a) => a.address === seller.address)
      if (view === undefined) return []
      return view.sizes.flatMap((size, i) => {
        const market = sight.markets[i]
        if (market === undefined || Math.abs(size) * market.poolPriceUsd < 200 || !this.#rng.chance(0.6)) return []
        const side = size > 0 ? 'short' : 'long'
        const limit = market.poolPriceUsd * (size > 0 ? 0.992 : 1.008)
        const sizeE18 = view.sizesE18[i] ?? 0n
        return [this.#do.trade(seller, { base: this.#base(i), side, unit: 'base', amountE18: sizeE18 < 0n ? -sizeE18 : sizeE18, limitX96: sqrtPriceX96(limit) })]
      })
    })
  }

  #openRange(range: Range, priceUsd: number): Draft {
    const lowerTick = alignedTick(priceUsd / range.width)
    const upperTick = alignedTick(priceUsd * range.width)
    this.#ranges.set(range, { lowerTick, upperTick, sinceHour: this.#hour })
    return this.#do.addLiquidity(this.#makers[range.maker] as DevnetAccount, {
      base: this.#base(range.market),
      baseE18: toE18(range.valueUsd / 2 / priceUsd),
      quoteE18: toE18(range.valueUsd / 2),
      lowerTick,
      upperTick,
    })
  }

  /** Makers collect fees, follow the price, stay out of range, or leave. */
  async #tendRanges(sight: Sight, before: number, hour: number): Promise<Draft[]> {
    if (Math.floor(hour) === Math.floor(before)) return []
    const drafts: Draft[] = []
    for (const [order, range] of RANGES.entries()) {
      const open = this.#ranges.get(range)
      const market = sight.markets[range.market]
      if (open === undefined || market === undefined || this.#left.has(range)) continue
      const maker = this.#makers[range.maker] as DevnetAccount
      const base = this.#base(range.market)
      const age = hour - open.sinceHour
      const place = (market.tick - open.lowerTick) / (open.upperTick - open.lowerTick)
      const leaving = range.policy === 'leave' && hour >= (range.leaveHour ?? Infinity)
      const moving = (range.policy === 'follow' && age > 12 && (place < 0.15 || place > 0.85)) || (range.policy === 'narrow' && age > 120 && (place < 0 || place > 1))
      if (leaving || moving) {
        const liquidity = await this.#lens.rangeLiquidity(maker.address, base, open.lowerTick, open.upperTick)
        if (liquidity > 0n) drafts.push(this.#do.removeLiquidity(maker, { base, lowerTick: open.lowerTick, upperTick: open.upperTick, liquidity }))
        this.#ranges.delete(range)
        if (leaving) this.#left.add(range)
        else drafts.push(this.#openRange(range, market.poolPriceUsd))
      } else if (Math.floor((hour + order * 3) / COLLECT_EVERY_HOURS) > Math.floor((before + order * 3) / COLLECT_EVERY_HOURS)) {
        drafts.push(this.#do.removeLiquidity(maker, { base, lowerTick: open.lowerTick, upperTick: open.upperTick, liquidity: 0n }))
      }
    }
    return drafts
  }

  /** A handful of takers, chosen by lot, do what their character and account suggest. */
  #trade(moment: Moment, sight: Sight, hoursLeft: number): Draft[] {
    const views = new Map(sight.accounts.map((a) => [a.address, a]))
    const count = Math.floor(moment.activity) + (this.#rng.chance(moment.activity % 1) ? 1 : 0)
    const chosen = new Set<Taker>()
    while (chosen.size < count) chosen.add(this.#rng.pick(this.#takers))
    const drafts = [...chosen].flatMap((taker) => {
      const view = views.get(taker.account.address)
      return view === undefined || this.#hour < (this.#restingUntil.get(view.address) ?? 0) ? [] : this.#decide(taker, view, moment, sight)
    })
    if ((hoursLeft <= 5.5 && hoursLeft > 4) || (this.#hour >= EUPHORIA.fromHour && this.#hour < EUPHORIA.toHour)) drafts.push(...this.#overreach(chosen, views, moment, sight))
    return drafts
  }

  /** Some takers go to the limit of their margin: before the crash, and so that the history ends with accounts in danger. */
  #overreach(acted: ReadonlySet<Taker>, views: ReadonlyMap<Address, AccountView>, moment: Moment, sight: Sight): Draft[] {
    return this.#takers.flatMap((taker, i) => {
      const view = views.get(taker.account.address)
      if (i % 3 !== 0 || acted.has(taker) || view === undefined) return []
      if (view.valueUsd < 300) return this.#bringMargin(taker, moment, 1)
      const market = i % 9 === 0 ? 2 : i % 2
      if (view.sizes.some((s) => s < 0)) return view.sizes.flatMap((s, m) => (s < 0 ? [this.#do.close(taker.account, this.#base(m))] : []))
      return this.#order(taker, market, 'long', Math.min(view.freeUsd * 9, (TRADE_CAP_USD[market] ?? 0) * 1.5), view, sight)
    })
  }

  #decide(taker: Taker, view: AccountView, moment: Moment, sight: Sight): Draft[] {
    const rng = this.#rng
    const held = view.sizes.flatMap((size, i) => (size === 0 ? [] : [i]))
    const exposure = sum(view.sizes.map((s, i) => Math.abs(s) * (sight.markets[i]?.markUsd ?? 0)))
    if (view.valueUsd < 200 && held.length === 0) {
      if (view.valueUsd < -1) return []
      // After a loss some come back soon, some later.
      if (rng.chance(0.3)) this.#restingUntil.set(view.address, this.#hour + rng.between(6, 48))
      return this.#bringMargin(taker, moment, rng.between(0.6, 1.4))
    }
    if (held.length === 0) {
      if (rng.chance(0.12)) return this.#takeOut(taker, view)
      return this.#enter(taker, view, moment, sight)
    }
    const endangered = view.valueUsd < 1.25 * view.requirementUsd
    if (endangered) {
      if (view.valueUsd > view.requirementUsd * 1.1 && rng.chance(0.35)) return this.#close(taker, rng.pick(held), view, sight)
      return rng.chance(0.3) ? [this.#do.deposit(taker.account, usdToE6(Math.max(300, exposure * 0.05)))] : []
    }
    const lot = rng.unit()
    if (lot < 0.42) return this.#close(taker, rng.pick(held), view, sight)
    if (lot < 0.56) return this.#order(taker, held[0] ?? 0, (view.sizes[held[0] ?? 0] ?? 0) > 0 ? 'short' : 'long', exposure * rng.between(0.2, 0.5), view, sight, true)
    if (lot < 0.84) return this.#enter(taker, view, moment, sight)
    if (lot < 0.92) return this.#takeOut(taker, view)
    return [this.#do.deposit(taker.account, usdToE6(taker.marginUsd * rng.between(0.1, 0.4)))]
  }

  #bringMargin(taker: Taker, moment: Moment, factor: number): Draft[] {
    const usd = taker.marginUsd * factor
    const ether = (usd * taker.etherShare) / (moment.pricesUsd[0] ?? 1)
    return [
      ...(ether > 0 ? [this.#do.depositEther(taker.account, toE18(ether))] : []),
      ...(taker.etherShare < 1 ? [this.#do.deposit(taker.account, usdToE6(usd * (1 - taker.etherShare)))] : []),
    ]
  }

  #takeOut(taker: Taker, view: AccountView): Draft[] {
    const share = BigInt(this.#rng.index(50) + 20)
    if (view.withdrawableCollateralE18 > 10n ** 16n && (view.withdrawableE6 < 50_000_000n || this.#rng.chance(0.5))) {
      return [this.#do.withdraw(taker.account, this.#plan.deployment.collaterals[0]?.token as Address, (view.withdrawableCollateralE18 * share) / 100n)]
    }
    if (view.withdrawableE6 < 50_000_000n) return []
    return [this.#do.withdraw(taker.account, this.#plan.deployment.settlementToken.address, (view.withdrawableE6 * share) / 100n)]
  }

  /** Opens or adds, in the direction that the taker's character and the pool's distance from the index suggest. */
  #enter(taker: Taker, view: AccountView, moment: Moment, sight: Sight): Draft[] {
    const rng = this.#rng
    const market = rng.chance(0.6) ? taker.favourite : rng.index(MARKETS.length)
    const size = view.sizes[market] ?? 0
    const pool = sight.markets[market]
    if (pool === undefined) return []
    const cheap = pool.poolPriceUsd < (moment.pricesUsd[market] ?? 0)
    const side = size !== 0 ? (size > 0 ? 'long' : 'short') : rng.chance(0.55) ? (cheap ? 'long' : 'short') : rng.chance(0.5 + 0.3 * taker.trend) ? 'long' : 'short'
    const exposure = sum(view.sizes.map((s, i) => Math.abs(s) * (sight.markets[i]?.markUsd ?? 0)))
    const wanted = Math.max(0, view.valueUsd * taker.leverage - exposure) * rng.between(0.5, 1)
    return this.#order(taker, market, side, Math.min(wanted, view.freeUsd * 8.8), view, sight)
  }

  #order(taker: Taker, market: number, side: 'long' | 'short', notionalUsd: number, view: AccountView, sight: Sight, reducing = false): Draft[] {
    const size = Math.min(notionalUsd, TRADE_CAP_USD[market] ?? 0)
    if (size < 50) return []
    if (reducing && size > Math.abs(view.sizes[market] ?? 0) * (sight.markets[market]?.markUsd ?? 0) * 0.9) return []
    return [this.#do.trade(taker.account, { base: this.#base(market), side, unit: 'quote', amountE18: toE18(size) })]
  }

  #close(taker: Taker, market: number, view: AccountView, sight: Sight): Draft[] {
    const worth = Math.abs(view.sizes[market] ?? 0) * (sight.markets[market]?.markUsd ?? 0)
    const cap = TRADE_CAP_USD[market] ?? 0
    if (worth > cap * 1.3) return this.#order(taker, market, (view.sizes[market] ?? 0) > 0 ? 'short' : 'long', cap, view, sight, true)
    return [this.#do.close(taker.account, this.#base(market))]
  }
}
