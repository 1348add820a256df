/** Liquidations as an analyst asks for them: who is near, what is due, what a price would set off, who would be deleveraged, who pays keepers, and whether the past was just. */
import { abs, E18, max, mulDiv, toFloat } from '../../../core/units.ts'
import type { Health } from '../../../protocols/adapter.ts'
import { collateralOf, shockFrom, stressAssetOf, type MarketFacts } from '../../recommendations/context.ts'
import { capacityPerHour, horizonParts } from '../../recommendations/horizon.ts'
import { CALM } from '../../recommendations/simulation.ts'
import { curieLiquidationRules } from '../../recommendations/index.ts'
import {
  adlAllocate, adlQueue, costOfClosing, dailyVolatility, deficitOf, deleverage, keeperEconomics, LIQUIDATION_TIERS, liquidationLadder, liquidationQueue, liquidationTiers, reviewLiquidations, SampleTooSmallError, scaleVolatility,
  summariseReview, takeableOf, type AdlMethod, type AdlPosition, type LiquidationAccount, type LiquidationRules, type TieredAccount,
} from '../../risk/index.ts'
import type { Context } from '../context.ts'
import type { Maybe, QueryAdlQueueArgs, QueryDeleveragingArgs, QueryKeeperEconomicsArgs, QueryLiquidationLadderArgs, QueryLiquidationQueueArgs, QueryLiquidationReviewArgs } from '../generated/resolvers.ts'
import { marketId } from '../lookup.ts'
import { e18 } from '../model.ts'
import type { MarketNode } from '../model.ts'
import { checkFirst } from '../paging.ts'
import { atField, digestsOf, finite, notMeasured, numbers, provenance, UserInputError, wholeWithin, within, type Answer, type UnknownAnswer } from './answer.ts'
import type { BookFacts, DeskBook } from './book.ts'
import { MIN_OBSERVATIONS, pastLiquidations } from '../../recommendations/timing.ts'

const QUARTER_SEC = 900

export const toE18Float = (amountE18: bigint): number => toFloat(amountE18, 18)

/** The market that an argument names, as the models and as the API know it. Throws UserInputError. */
export async function marketOf(context: Context, book: BookFacts, id: string, field = 'market'): Promise<{ facts: MarketFacts; node: MarketNode }> {
  const found = await marketId(context, id).catch((error: unknown) => atField<never>(field, () => { throw error }))
  const node = found === null ? undefined : (await context.markets()).get(found)
  if (found === null || node === undefined) throw new UserInputError(`${field}: found no market, allowed is a symbol or an address; name one`, field)
  return { facts: book.context.market(found), node }
}

export const nodeOf = async (context: Context, id: string): Promise<MarketNode> => {
  const node = (await context.markets()).get(id.toLowerCase())
  if (node === undefined) throw new SampleTooSmallError({ statistic: `market ${id}`, found: 0, needed: 1 })
  return node
}

/** A ratio parameter of the whole protocol as a fraction. Throws SampleTooSmallError where it is not indexed. */
export const protocolRatio = ({ context, inputs }: BookFacts, name: string): number => context.ratio(name, inputs.parameters.find((p) => p.name === name)?.subject ?? '')

export const rulesOf = (book: BookFacts): LiquidationRules => curieLiquidationRules(protocolRatio(book, 'liquidationPenaltyRatio'))

/** What the pools take in an hour for at most the keeper's share of the penalty. */
export function capacityOf(book: BookFacts, facts: readonly MarketFacts[]): number {
  const penalty = protocolRatio(book, 'liquidationPenaltyRatio')
  return facts.reduce((sum, market) => sum + capacityPerHour(market, penalty, book.inputs.policy.margin.refillSec), 0)
}

type Found = {
  readonly accounts: readonly LiquidationAccount[]
  /** By account: markets of its positions whose closing cost nobody measured, by symbol. */
  readonly unmeasured: ReadonlyMap<string, readonly string[]>
  /** Accounts with positions whose margin is unknown: they are left out. */
  readonly unknown: number
  /** Of all positions that have one, quote. */
  readonly winnersProfit: number
}

/** Every account with positions as its protocol's own arithmetic values it. */
async function liquidationAccounts(book: DeskBook): Promise<Found> {
  const margins = await book.margins()
  const unmeasured = new Map<string, string[]>()
  const accounts: LiquidationAccount[] = []
  const penalty = protocolRatio(book, book.context.names.liquidationPenalty)
  const holders = new Map(book.inputs.accounts.flatMap((account) => (account.collaterals.length === 0 ? [] : [[account.id, account] as const])))
  let [unknown, winnersProfit] = [0, 0]
  const add = (id: string, health: Health): void => {
    const positions = health.positions.map((p) => ({ market: p.market.toLowerCase(), notional: toE18Float(p.positionValueE18) }))
    let closingCost = 0
    for (const { market, notional } of positions) {
      if (notional === 0) continue
      const facts = book.context.market(market)
      const closing = book.context.closingCost(facts, Math.abs(notional))
      if (closing === null) unmeasured.set(id, [...(unmeasured.get(id) ?? []), facts.input.symbol])
      // The penalty is due whatever the impact is.
      closingCost += Math.abs(notional) * costOfClosing(closing?.cost ?? 0, penalty)
    }
    winnersProfit += health.positions.reduce((sum, p) => sum + Math.max(0, toE18Float(p.unrealizedPnlE18)), 0)
    const value = toE18Float(health.accountValueE18)
    const holder = holders.get(id)
    accounts.push({
      id,
      value,
      recoverable: holder === undefined ? value : collateralOf(book.context, holder).reduce((sum, { counted, recovered }) => sum + recovered - counted, value),
      requirement: toE18Float(health.marginRequirementE18),
      positions,
      closingCost,
      hindered: health.belowMaintenance && !health.liquidatable ? 'it has liquidity in an open market, which has to be cancelled first, or no position in an open one' : null,
    })
  }
  for await (const some of margins.walk()) {
    for (const [{ id }, health] of some) {
      if (health === null) unknown++
      else add(id, health)
    }
  }
  return { accounts, unmeasured, unknown, winnersProfit }
}

/** An account's tier; null is what the fund or closing costs that nobody measured leave unknown, and `unknown` says why. */
export type AccountTier = Pick<TieredAccount, 'id' | 'tier' | 'why'> & { readonly [figure in 'closingCost' | 'deficit' | 'fromFund' | 'fromWinners' | 'socialised']: number | null } & { readonly unknown: UnknownAnswer | null }

type Tiered = Found & { readonly tiers: ReadonlyMap<string, AccountTier> }

/** What is worked out once of a book, whoever asks; what failed is worked out anew. */
export function oncePerBook<Made>(make: (book: DeskBook) => Promise<Made>): (book: DeskBook) => Promise<Made> {
  const all = new WeakMap<DeskBook, Promise<Made>>()
  return (book) => {
    const known = all.get(book)
    if (known !== undefined) return known
    const made = make(book)
    all.set(book, made)
    made.catch(() => all.delete(book))
    return made
  }
}

/** Every account with its tier: where something is unknown, the least severe one that it can be. */
export const tiersOf = oncePerBook(async (book): Promise<Tiered> => {
  const found = await liquidationAccounts(book)
  const { accounts, unmeasured, winnersProfit } = found
  const fund = book.context.fundCapacity
  // A fund that nobody knows may pay everything, and an impact that nobody measured may be below the penalty: no tier comes out worse than it is.
  const all = liquidationTiers(accounts, { rules: rulesOf(book), fund: fund === null ? Infinity : Math.max(0, fund), winnersProfit })
  // Who pays one deficit depends on all the others.
  const blind = accounts.filter(({ id, recoverable }) => recoverable < 0 && unmeasured.has(id))
  const openFund = fund === null ? FUND_UNKNOWN : null
  const pockets = openFund ?? (blind.length === 0 ? null : costUnknown(blind.flatMap(({ id }) => unmeasured.get(id) ?? [])))
  const tiers = all.map((tier, i): AccountTier => {
    const account = accounts[i] as LiquidationAccount
    const { id, recoverable, closingCost } = account
    const missing = unmeasured.get(id)
    const cost = missing === undefined ? null : costUnknown(missing)
    if (recoverable >= 0) return { ...tier, closingCost: cost === null ? closingCost : null, why: cost !== null && (tier.tier === 'PARTIAL' || tier.tier === 'FULL') ? `${tier.why}; whether closing uses up what is left is unknown` : tier.why, unknown: cost }
    if (cost === null && pockets === null) return { ...tier, closingCost, unknown: null }
    return { id, tier: tier.tier, closingCost: cost === null ? closingCost : null, deficit: cost === null ? tier.deficit : null, fromFund: null, fromWinners: null, socialised: null, why: `lacks ${cost === null ? tier.deficit.toFixed(2) : `at least ${deficitOf(account).toFixed(2)}`}: who pays is unknown`, unknown: cost ?? pockets }
  })
  return { ...found, tiers: new Map(tiers.map((one) => [one.id, one])) }
})

const FUND_UNKNOWN = notMeasured('insurance fund', 'Found no balance of the insurance fund in the index, needed is one to tell who pays a deficit; wait until it is indexed')
const costUnknown = (symbols: readonly string[]): UnknownAnswer => {
  const names = [...new Set(symbols)].toSorted().join(', ')
  return notMeasured(`closing cost in ${names}`, `Found neither ranges nor traded volume of ${names} to measure a closing cost by, needed is one of them; wait for trades or makers`)
}

/** Tiers whose accounts leave a deficit. */
const PAID: ReadonlySet<string> = new Set(['FUND', 'ADL', 'SOCIALISED'])

/** Of the schema's type, with a market's id where the type has the market. */
type OfMarket<Type> = Omit<Type, 'market'> & { readonly market: string }

/** The least time to close that the margin model counts on, of the markets with open positions. */
function backlogLimit({ context }: DeskBook): OfMarket<Answer<'BacklogLimit'>> | null {
  const limits = context.markets.flatMap((facts): OfMarket<Answer<'BacklogLimit'>>[] => {
    if (facts.notionals.length === 0) return []
    return horizonParts(context, facts).flatMap(({ name, value, origin, why }) => (name === 'liquidationSec' ? [{ seconds: value, market: facts.input.id, origin, why }] : []))
  })
  return limits.toSorted((a, b) => a.seconds - b.seconds)[0] ?? null
}

const QUEUE = { model: 'liquidation-queue', version: '3', source: 'api/risk/liquidation.ts; risk models §8; AccountBalance.getLiquidatablePositionSize of Curie v2' } as const

/** `capacityPerHour`: null for the one that the book itself gives. `liquidated15Min`: notional, quote. */
export type QueueTask = { readonly capacityPerHour: number | null; readonly liquidated15Min: number; readonly first: number }

export async function resolveQueue(_: unknown, args: QueryLiquidationQueueArgs, context: Context): Promise<Maybe<Answer<'LiquidationQueue'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const first = checkFirst(args.first)
  const capacityPerHour = args.capacityPerHour == null ? null : within('capacityPerHour', args.capacityPerHour, 0, 1e15, 'quote notional that can be taken in an hour')
  const recent = await (await context.db()).liquidation.findMany({ where: { timestamp: { gt: book.block.timestamp - BigInt(QUARTER_SEC) } }, select: { notionalE18: true } })
  const liquidated15Min = recent.reduce((sum, row) => sum + Number(row.notionalE18.toFixed(0)) / 1e18, 0)
  const { entries, margins, ...answer } = await book.ask('queue', { capacityPerHour, liquidated15Min, first })
  context.margins.told({ block: book.block, ...margins })
  const nodes = await context.markets()
  const marketNode = (id: string): MarketNode => nodes.get(id) as MarketNode
  return {
    ...answer,
    backlogLimit: answer.backlogLimit && { ...answer.backlogLimit, market: marketNode(answer.backlogLimit.market) },
    entries: entries.map((entry) => ({ ...entry, positions: entry.positions.map((position) => ({ ...position, market: marketNode(position.market) })) })),
  }
}

/** With the capacity that the book itself gives: the same for all who ask. */
const ownQueues = new WeakMap<DeskBook, ReturnType<typeof queueOf>>()

/** `margins`: what the walk over all accounts says of them. Throws SampleTooSmallError. */
export async function computeQueue(book: DeskBook, { first, ...task }: QueueTask) {
  let made = task.capacityPerHour === null ? ownQueues.get(book) : undefined
  if (made === undefined) {
    made = queueOf(book, task)
    if (task.capacityPerHour === null) ownQueues.set(book, made)
    made.catch(() => ownQueues.delete(book))
  }
  const { queued, ...answer } = await made
  const [{ tiers }, { gaps, exposedIds }] = [await tiersOf(book), await book.margins()]
  return {
    ...answer,
    margins: { gaps, accounts: exposedIds.length },
    entries: queued.slice(0, first).map((entry) => ({ ...entry, positions: [...entry.positions], account: entry.id, tier: tiers.get(entry.id)?.tier ?? 'HEALTHY', why: tiers.get(entry.id)?.why ?? '' })),
  }
}

/** All entries, the first to be liquidated first. */
async function queueOf(book: DeskBook, { capacityPerHour: given, liquidated15Min }: Omit<QueueTask, 'first'>) {
  const rules = rulesOf(book)
  const { accounts, tiers: tierOf } = await tiersOf(book)
  const tiers = [...tierOf.values()]
  const capacityPerHour = given ?? capacityOf(book, book.context.markets)
  const options = { rules, capacityPerHour, liquidated15Min, openInterest: book.context.openInterest }
  const queue = liquidationQueue(accounts, options)
  return {
    queued: queue.entries,
    provenance: provenance(QUEUE, book.block, { accounts: await digestsOf(accounts), book: book.digest }, options),
    entryCount: queue.entries.length,
    buckets: queue.buckets.map((bucket) => ({ ...bucket, from: finite(bucket.from) })),
    dueAccounts: queue.dueAccounts,
    dueNotional: queue.dueNotional,
    takeableNotional: queue.takeableNotional,
    capacityPerHour,
    backlogHours: queue.backlogRatio,
    etaSec: queue.etaSec,
    backlogLimit: backlogLimit(book),
    velocity: queue.velocity,
    assumptions: [
      ...(given === null ? [`a pool is as deep again ${book.inputs.policy.margin.refillSec} s after it was traded through: arbitrage is not in the index's facts`, 'liquidators take what costs them at most their share of the penalty'] : ['what can be taken in an hour is as given']),
      'closing costs an account the penalty, or, where it is more, the impact: the cheaper of the pool’s ranges at once and the square-root law over a day',
      'other collateral counts at its collateral ratio for who is due, and at its price less the liquidation discount for what is left to pay a deficit',
    ],
    unknown: [...new Map(tiers.flatMap(({ unknown }) => (unknown === null ? [] : [[unknown.what, unknown]]))).values()],
    tiers: LIQUIDATION_TIERS.map((tier) => {
      const own = tiers.filter((t) => t.tier === tier)
      // An account of unknown deficit may belong to any of the last tiers.
      const open = PAID.has(tier) && tiers.some((t) => t.fromFund === null)
      const sum = (key: 'deficit' | 'fromFund' | 'fromWinners' | 'socialised'): number | null => (open ? null : own.reduce((total, t) => total + (t[key] ?? 0), 0))
      return { tier, accounts: own.length, deficit: sum('deficit'), fromFund: sum('fromFund'), fromWinners: sum('fromWinners'), socialised: sum('socialised') }
    }),
  }
}

const LADDER = { model: 'liquidation-ladder', version: '2', source: 'api/risk/liquidation.ts; risk models §8 and §10' } as const
const STEPS = Array.from({ length: 21 }, (_, i) => Math.round((i - 10) * 5) / 100)
const MAX_RUNGS = 100

/** Prices as they are: what a calm day's closing costs are taken from. */
export async function resolveLadder(_: unknown, args: QueryLiquidationLadderArgs, context: Context): Promise<Maybe<Answer<'LiquidationLadder'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  return { ...(await book.ask('ladder', { ...args, market: facts.input.id })), market: node }
}

/**
 * How far every other price moves with one market's, per unit of its change: 1 for a collateral of the same feed or coin; for others 0, or where they
 * move jointly their measured beta, and 1 where there is none, which `unknown` says. A market that is not open stands still.
 */
function betasTo({ context, inputs }: DeskBook, facts: MarketFacts, joint: boolean) {
  const reference = facts.input.oracle?.feed ?? null
  const unknown: UnknownAnswer[] = []
  const others = [
    ...context.markets.filter((m) => m !== facts).map((m) => ({ ...m.input, stands: m.input.heldPriceE18 !== null, same: false })),
    ...inputs.collaterals.map((c) => ({ ...c, stands: false, same: c.oracle?.feed === reference || (facts.asset !== 'OTHER' && stressAssetOf(c.symbol) === facts.asset) })),
  ]
  const rows = others.map(({ id, symbol, oracle, stands, same }) => {
    if (stands || same || !joint) return { id, symbol, beta: same ? 1 : 0 }
    const found = oracle === null || reference === null ? null : context.betaBetween(oracle.feed, reference)
    if (found === null) unknown.push(notMeasured(`beta of ${symbol}`, `Found too few hours in which ${symbol} and ${facts.input.symbol} both have a price, needed are 30; it is moved alike`))
    return { id, symbol, beta: found?.beta ?? 1 }
  })
  return { of: new Map(rows.map(({ id, beta }) => [id, beta])), named: rows.map(({ symbol, beta }) => ({ name: symbol, value: beta })), unknown }
}

/** `market` as its id. Throws UserInputError and SampleTooSmallError. */
export function computeLadder(book: DeskBook, args: QueryLiquidationLadderArgs): Omit<Answer<'LiquidationLadder'>, 'market'> {
  const facts = book.context.market(args.market)
  const changes = [...new Set(args.changes ?? STEPS)]
  if (changes.length > MAX_RUNGS) throw new UserInputError(`changes: found ${changes.length}, allowed are at most ${MAX_RUNGS}; ask for fewer`, 'changes')
  changes.forEach((change, i) => within(`changes.${i}`, change, -0.99, 10, '-0.1 means 10 % down'))
  const price = facts.indexPrice
  if (price === null) throw new SampleTooSmallError({ statistic: `prices of ${facts.input.symbol}`, found: 0, needed: 1 })
  const fund = book.context.fundCapacity === null ? null : Math.max(0, book.context.fundCapacity)
  const betas = betasTo(book, facts, args.joint === true)
  const rungs = atField('changes', () =>
    liquidationLadder(book.stressAccounts(), {
      asset: facts.input.id,
      price,
      changes,
      fund: fund ?? 0,
      moveOf: (asset, change) => (betas.of.get(asset) ?? 0) * change,
      costOf: shockFrom(book.context, CALM).costOf,
    }),
  )
  return { provenance: provenance(LADDER, book.block, book.digest, { ...args, changes }), price, fund, betas: betas.named, unknown: betas.unknown, rungs: rungs.map(({ notionalInAsset, fundUsed, uncovered, ...rung }) => ({ ...rung, fundUsed: fund === null ? null : fundUsed, uncovered: fund === null ? null : uncovered, notionalInMarket: notionalInAsset })) }
}

const ADL = { model: 'adl', version: '2', source: 'api/risk/adl.ts; BitMEX and Binance auto-deleveraging; Chitra, arXiv:2512.01112 and 2602.15182; risk models §9' } as const
const METHODS = { BITMEX: 'bitmex', BINANCE: 'binance', PRORATA: 'prorata', RISK_AWARE: 'riskAware' } as const satisfies Record<string, AdlMethod>

/** Every position of a market as the queue ranks it. Throws SampleTooSmallError without a mark price. */
async function adlPositions(book: DeskBook, market: string): Promise<readonly AdlPosition[]> {
  const margins = await book.margins()
  const mark = margins.markPricesE18.get(market)
  if (mark === undefined) throw new SampleTooSmallError({ statistic: `mark price of ${book.context.market(market).input.symbol}`, found: 0, needed: 1 })
  const positions: AdlPosition[] = []
  for await (const some of margins.walk()) {
    for (const [{ id }, health] of some) {
      const own = health?.positions.find((p) => p.market.toLowerCase() === market)
      if (health === null || own === undefined || own.totalSizeE18 === 0n) continue
      // What was paid per base; a position that has already given back more than it cost counts as bought for next to nothing.
      const entryPriceE18 = max(1n, mulDiv(-own.totalOpenNotionalE18, E18, own.totalSizeE18))
      positions.push({ id, sizeE18: own.totalSizeE18, entryPriceE18, markPriceE18: mark, bankruptcyPriceE18: own.bankruptcyPriceE18, walletE18: health.totalCollateralValueE18, accountPnlE18: health.positions.reduce((sum, p) => sum + p.unrealizedPnlE18, 0n), maintenanceMarginE18: health.marginRequirementE18 })
    }
  }
  return positions
}

/** Beyond this an amount is none that a chain could hold: uint256. */
const MOST_RAW = 2n ** 255n

export async function resolveDeleveraging(_: unknown, args: QueryDeleveragingArgs, context: Context): Promise<Maybe<Answer<'Deleveraging'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { size, price } = args
  if (size === 0n || abs(size) >= MOST_RAW) throw new UserInputError(`size: found ${String(size).slice(0, 90)}, allowed is a size other than 0 that a contract could hold; give base, raw with 18 decimals`, 'size')
  if (price <= 0n || price >= MOST_RAW) throw new UserInputError(`price: found ${String(price).slice(0, 90)}, allowed is a price above 0 that a contract could hold; give quote, raw with 18 decimals`, 'price')
  const { facts, node } = await marketOf(context, book, args.market)
  return { ...(await book.ask('deleveraging', { market: facts.input.id, method: args.method ?? 'RISK_AWARE', size, price })), market: node }
}

type Method = keyof typeof METHODS

/** `size` base, signed, and `price` quote, raw with 18 decimals. Throws SampleTooSmallError. */
export async function computeDeleveraging(book: DeskBook, { market, method, size, price }: { readonly market: string; readonly method: Method; readonly size: bigint; readonly price: bigint }): Promise<Omit<Answer<'Deleveraging'>, 'market'>> {
  const positions = await adlPositions(book, market)
  const { fills, leftE18 } = deleverage(positions, { method: METHODS[method], sizeE18: size, priceE18: price })
  return {
    provenance: provenance(ADL, book.block, { positions }, { method, size, price }),
    method,
    fills: fills.map((fill) => ({ account: fill.id, size: e18(fill.sizeE18), forgone: e18(fill.forgoneE18) })),
    left: e18(leftE18),
  }
}

export async function resolveAdl(_: unknown, args: QueryAdlQueueArgs, context: Context): Promise<Maybe<Answer<'AdlQueue'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const first = checkFirst(args.first)
  const { facts, node } = await marketOf(context, book, args.market)
  return { ...(await book.ask('adl', { market: facts.input.id, method: args.method ?? 'RISK_AWARE', side: args.side ?? null, deficit: args.deficit ?? 0n, first })), market: node }
}

type AdlTask = { readonly market: string; readonly method: Method; /** Both where null. */ readonly side: 'LONG' | 'SHORT' | null; /** Quote, raw with 18 decimals. */ readonly deficit: bigint; readonly first: number }

/** Throws UserInputError for a deficit that cannot be, and SampleTooSmallError. */
export async function computeAdl(book: DeskBook, { market, method: name, side: only, deficit: deficitE18, first }: AdlTask): Promise<Omit<Answer<'AdlQueue'>, 'market'>> {
  const positions = await adlPositions(book, market)
  const method = METHODS[name]
  const side = only === null ? {} : { side: only === 'LONG' ? ('long' as const) : ('short' as const) }
  const queue = adlQueue(positions, method, side.side)
  const allocation = atField('deficit', () => adlAllocate(positions, { method, deficitE18, ...side }))
  const shares = new Map(allocation.shares.map((share) => [share.id, share]))
  return {
    provenance: provenance(ADL, book.block, { positions }, { method, deficit: deficitE18, ...side }),
    method: name,
    entries: queue.slice(0, first).map((entry) => ({
      account: entry.id,
      rank: entry.rank,
      quantile: entry.quantile,
      lights: entry.lights,
      size: e18(entry.sizeE18),
      unrealizedPnl: e18(entry.unrealizedPnlE18),
      score: entry.score,
      leverage: finite(entry.leverage),
      haircut: e18(shares.get(entry.id)?.haircutE18 ?? 0n),
      closedSize: e18(shares.get(entry.id)?.closedSizeE18 ?? 0n),
    })),
    entryCount: queue.length,
    deficit: e18(deficitE18),
    paid: e18(allocation.paidE18),
    socialised: e18(allocation.socialisedE18),
  }
}

const KEEPER = { model: 'keeper-economics', version: '1', source: 'api/risk/keeper.ts; square-root impact, risk models §8; Curie pays the liquidator half of the penalty' } as const
const SIZES = [100, 1_000, 10_000, 100_000, 1_000_000]
const ORPHANS_SHOWN = 20

export async function resolveKeepers(_: unknown, args: QueryKeeperEconomicsArgs, context: Context): Promise<Maybe<Answer<'KeeperEconomics'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  const { levels, ...answer } = await book.ask('keepers', { args, market: facts.input.id })
  return { ...answer, market: node, levels: levels.map((level) => ({ ...level, orphans: level.orphans.map((orphan) => ({ ...orphan, market: node })) })) }
}

/** Throws UserInputError with the argument at fault, and SampleTooSmallError. */
export async function computeKeepers(book: DeskBook, { args, market: id }: { readonly args: QueryKeeperEconomicsArgs; readonly market: string }) {
  const facts = book.context.market(id)
  const prices = args.gasPricesGwei ?? []
  if (prices.length < 1 || prices.length > 20) throw new UserInputError(`gasPricesGwei: found ${prices.length}, allowed are 1 to 20; name the gas prices to judge by`, 'gasPricesGwei')
  prices.forEach((price, i) => within(`gasPricesGwei.${i}`, price, 0, 1e6, 'gwei'))
  const gasUnits = wholeWithin('gasUnits', args.gasUnits ?? 700_000, 21_000, 30_000_000, 'gas of one liquidation')
  const dataFee = within('dataFee', args.dataFee ?? 0, 0, 1e6, 'quote')
  const gasTokenPrice = args.gasTokenPrice ?? book.context.markets.find((m) => m.asset === 'ETH')?.indexPrice ?? null
  if (gasTokenPrice === null) throw new UserInputError('gasTokenPrice: found none, and no ETH market to take it from, allowed is a price above 0; give it in quote', 'gasTokenPrice')
  within('gasTokenPrice', gasTokenPrice, 1e-9, 1e9, 'quote per gas token')
  const { penalty: policy } = book.inputs.policy
  const sigma = book.context.volatility(facts.input.oracle?.feed ?? null, facts.input.symbol)
  const perBar = Math.max(sigma.now, sigma.longRun)
  if (!(facts.dailyVolume > 0)) throw new SampleTooSmallError({ statistic: `trades of ${facts.input.symbol}`, found: 0, needed: 1 })
  const market = {
    penalty: protocolRatio(book, 'liquidationPenaltyRatio'),
    keeperShare: policy.keeperShare,
    tradingFee: book.context.ratio('feeRatio', facts.input.id),
    impactPerRoot: dailyVolatility(perBar, book.inputs.policy.barSec) / Math.sqrt(facts.dailyVolume),
    latencyCost: scaleVolatility(perBar, book.inputs.policy.barSec, policy.latencySec),
    minProfit: 0,
  }
  const rules = rulesOf(book)
  const { accounts } = await tiersOf(book)
  const positions = accounts.flatMap((account) => {
    const own = account.positions.find((p) => p.market === id)
    if (own === undefined || own.notional === 0) return []
    // What could be taken once it falls due: just below its requirement, or as far below as it stands.
    const takeable = takeableOf({ ...account, value: Math.min(account.value, account.requirement * (1 - 1e-9)) }, own.notional, rules)
    return takeable === null ? [] : [{ id: account.id, takeable, ...(account.value < 0 ? { keeperShare: 1 } : {}) }]
  })
  const levels = keeperEconomics({ market, gas: { gasUnits, dataFee, gasTokenPrice }, levels: prices.map((gwei) => ({ name: `${gwei} gwei`, gasPriceWei: gwei * 1e9 })), sizes: SIZES, positions })
  return {
    provenance: provenance(KEEPER, book.block, { book: book.digest, positions }, { ...args, gasTokenPrice }),
    assumptions: numbers({ ...market, gasUnits, dataFee, gasTokenPrice, dailyVolume: facts.dailyVolume, latencySec: policy.latencySec }),
    levels: levels.map((level) => ({
      name: level.name,
      gasPriceWei: level.gasPriceWei,
      gas: level.gas,
      breakEven: level.choice.breakEven,
      largestWorthwhile: level.choice.largestWorthwhile === null ? null : finite(level.choice.largestWorthwhile),
      sizes: level.bySize.map((one) => ({ ...one })),
      orphans: [...level.orphans].sort((a, b) => b.takeable - a.takeable || (a.id < b.id ? -1 : 1)).slice(0, ORPHANS_SHOWN).map((o) => ({ account: o.id, takeable: o.takeable, bestProfit: o.bestProfit, penaltyNeeded: finite(o.penaltyNeeded) ?? 1e9 })),
      orphanCount: level.orphans.length,
      orphanNotional: level.orphanNotional,
      orphanShare: level.orphanShare,
    })),
  }
}

const REVIEW = { model: 'liquidation-review', version: '1', source: 'api/risk/review.ts; second feed: the oracle’s own announcements (OracleAnswer)' } as const

export async function resolveReview(_: unknown, args: QueryLiquidationReviewArgs, context: Context): Promise<Maybe<Answer<'LiquidationReview'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const take = checkFirst(args.first)
  const maxAgeSec = wholeWithin('maxAgeSec', args.maxAgeSec ?? 3_600, 1, 86_400, 'seconds')
  const laterSec = wholeWithin('laterSec', args.laterSec ?? 3_600, 1, 86_400, 'seconds')
  const { list, own, second } = await pastLiquidations(await context.db(), book.inputs, context.deployment, { take, marketId: await marketId(context, args.market) })
  const reviews = reviewLiquidations(list.flatMap(({ past }) => (past === null ? [] : [past])), { own, second, maxAgeSec, laterSec })
  const byId = new Map(reviews.map((review) => [review.id, review]))
  const { counts, harm } = summariseReview(reviews)
  const untold = list.length - reviews.length
  return {
    provenance: provenance(REVIEW, book.block, { past: list.map(({ past, row }) => past ?? row.id), own, second }, { maxAgeSec, laterSec }),
    counts: numbers({ ...counts, UNKNOWN: counts.UNKNOWN + untold }),
    harm,
    reviews: list.map(({ row, whyNot }) => {
      const review = byId.get(row.id)
      const taken = Number(row.sizeE18.toFixed(0))
      if (review === undefined) return { liquidation: row, verdict: 'UNKNOWN', price: taken > 0 ? Number(row.notionalE18.toFixed(0)) / taken : 0, secondPrice: null, laterPrice: null, deviation: null, surplusUsed: null, surplusSecond: null, surplusLater: null, harm: 0, why: whyNot ?? 'its state before it is not known' }
      return { liquidation: row, verdict: review.verdict, price: review.price, secondPrice: review.secondPrice, laterPrice: review.laterPrice, deviation: review.deviation, surplusUsed: review.surplus.used, surplusSecond: review.surplus.second, surplusLater: review.surplus.later, harm: review.harm, why: review.why }
    }),
  }
}

const TIMING = { model: 'liquidation-timing', version: '1', source: 'api/recommendations/timing.ts; order statistics of the index’s facts of the last 30 days' } as const

export async function resolveTiming(_: unknown, __: unknown, context: Context): Promise<Maybe<Answer<'LiquidationTiming'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { timing } = book.inputs
  const few = (what: string): string => `${what}: found fewer than ${MIN_OBSERVATIONS} observations in the index, needed are at least ${MIN_OBSERVATIONS}; wait for more history`
  return {
    provenance: provenance(TIMING, book.block, timing),
    blockSec: timing.blockSec,
    oracles: timing.oracles.map(({ feed, gapSec, ageSec }) => ({ feed, symbols: symbolsOf(book, feed), gapSec, ageSec })),
    detectionSec: timing.detectionSec,
    liquidationSec: timing.liquidationSec,
    liquidations: timing.liquidations,
    untold: timing.untold,
    unknown: (['blockSec', 'detectionSec', 'liquidationSec'] as const).flatMap((what) => (timing[what] === null ? [notMeasured(what, few(what))] : [])),
  }
}

/** Markets and collaterals that a feed prices. */
export const symbolsOf = ({ inputs }: BookFacts, feed: string): string[] => [...inputs.markets, ...inputs.collaterals].flatMap((one) => (one.oracle?.feed === feed ? [one.symbol] : []))

const MARGIN = { model: 'curie-margin', version: '2', source: 'protocols/curie/margin.ts and valuation.ts: AccountBalance, ClearingHouse and Vault of Curie v2.6.0, to the wei' } as const

/** What account.margin says beyond the account's own figures. */
export async function marginParts(context: Context, accountId: string, health: Health): Promise<Pick<Answer<'AccountMargin'>, 'tier' | 'collateralMaintenanceMargin' | 'freeCollateralToReduce' | 'leverage' | 'positions' | 'provenance'>> {
  const [markets, parameters, block] = [await context.markets(), await context.parameters(), await context.indexed()]
  const ratio = (name: string): bigint => {
    const row = parameters.find((one) => one.name === name)
    return row === undefined ? 0n : BigInt(row.value.toFixed(0))
  }
  const [im, mm] = [ratio('imRatio'), ratio('mmRatio')]
  return {
    tier: health.tier,
    collateralMaintenanceMargin: e18(health.collateralMarginRequirementE18),
    freeCollateralToReduce: e18(health.freeCollateralMmE18),
    leverage: health.accountValueE18 > 0n ? toE18Float(health.totalAbsPositionValueE18) / toE18Float(health.accountValueE18) : null,
    positions: health.positions.flatMap((p) => {
      const market = markets.get(p.market.toLowerCase())
      if (market === undefined) return []
      const share = (ratioE6: bigint) => e18(mulDiv(abs(p.positionValueE18), ratioE6, 1_000_000n, 'ceil'))
      return [{
        market,
        size: e18(p.totalSizeE18),
        value: e18(p.positionValueE18),
        unrealizedPnl: e18(p.unrealizedPnlE18),
        initialMargin: share(im),
        maintenanceMargin: share(mm),
        liquidatableSize: p.liquidatableSizeE18 === null ? null : e18(p.liquidatableSizeE18),
        liquidationPrice: p.liquidationPriceE18 === null ? null : e18(p.liquidationPriceE18),
        bankruptcyPrice: p.bankruptcyPriceE18 === null ? null : e18(p.bankruptcyPriceE18),
        distanceToLiquidation: p.distanceToLiquidationE6 === null ? null : Number(p.distanceToLiquidationE6) / 1e6,
      }]
    }),
    provenance: provenance(MARGIN, block ?? { number: 0n, hash: '0x', timestamp: 0n }, { account: accountId, health }),
  }
}
