/** Rules to try on a book or a figure of one's own: an option's value, tiers of every account, what a backstop would offer, size and open interest. */
import {
  antiProcyclical, auctionOffer, blackGreeks, DEFAULT_AUCTION, dailyVolatility, fillablePrice, forecastRisk, greeksAddOns, LIQUIDATION_TIERS, liquidationDistance, openInterestCap, procyclicality, SampleTooSmallError, sizeDiscount, skewScaleForDepth, stressScenarios, worstFall,
  type LiquidationAccount, type LiquidationTier,
} from '../../risk/index.ts'
import { depthOf } from '../../recommendations/horizon.ts'
import type { Health } from '../../../protocols/adapter.ts'
import type { Context } from '../context.ts'
import type { Maybe, OptionInput, QueryAntiProcyclicalityArgs, QueryBackstopOffersArgs, QueryCollateralDiscountArgs, QueryLiquidationStatesArgs, QueryMarketCapacityArgs } from '../generated/resolvers.ts'
import { address } from '../lookup.ts'
import { page } from '../paging.ts'
import { atField, finite, notMeasured, provenance, tell, UserInputError, wholeWithin, within, type Answer } from './answer.ts'
import type { DeskBook } from './book.ts'
import { marketOf, oncePerBook, tiersOf, toE18Float, type AccountTier } from './liquidations.ts'
import { checkLevel } from './statistics.ts'

const LARGEST = 1e15

/** Checks a number as an option's rules do, under the field's own name. */
const positive = (field: string, value: number): number => within(field, value, 1e-12, LARGEST, 'above 0')

export function resolveOption(_: unknown, { input }: { input: OptionInput }): Answer<'OptionValue'> {
  const { call, size } = input
  const forward = positive('input.forward', input.forward)
  const strike = positive('input.strike', input.strike)
  const years = within('input.years', input.years, 0, 100, 'years of 365 days to expiry')
  const volatility = within('input.volatility', input.volatility, 0, 100, 'a year: 0.6 is 60 %')
  const discount = within('input.discount', input.discount ?? 1, 1e-6, 10, '1 means no interest')
  const units = within('input.size', size ?? 1, -LARGEST, LARGEST, 'base, a short is negative')
  const move = within('input.move', input.move ?? 0.12, 0, 10, '0.12 is 12 % of the forward')
  const points = within('input.points', input.points ?? 0.15, 0, 10, '0.15 is 15 points of volatility')
  const { price, ...greeks } = atField('input', () => blackGreeks({ call, forward, strike, years, volatility, discount }))
  const of = (value: number): number => value * units
  const book = { delta: of(greeks.delta), gamma: of(greeks.gamma), vega: of(greeks.vega), vanna: of(greeks.vanna), volga: of(greeks.volga), theta: of(greeks.theta) }
  const addOns = greeksAddOns({ price, ...book }, { forward, move, points })
  const { gamma, vega, total } = addOns
  // A forward and a strike near the ends of what is allowed may leave the range of a float.
  if (![price, ...Object.values(book), total].every((value) => Number.isFinite(value))) throw new UserInputError('input: found prices, times and a volatility whose sensitivities are beyond any number, allowed are such as have one; choose them nearer to each other', 'input')
  return { price, value: of(price), greeks: book, addOns: { gamma, vega, total } }
}

const TIERS = { model: 'liquidation-tiers', version: '3', source: 'api/risk/liquidation.ts; risk models §5 and §8; sizes of AccountBalance.getLiquidatablePositionSize of Curie v2' } as const

const stateOf = (account: LiquidationAccount, tier: AccountTier): Answer<'LiquidationState'> => ({
  account: account.id,
  tier: tier.tier,
  why: tier.why,
  distance: finite(liquidationDistance(account)),
  value: account.value,
  recoverable: account.recoverable,
  requirement: account.requirement,
  closingCost: tier.closingCost,
  deficit: tier.deficit,
  fromFund: tier.fromFund,
  fromWinners: tier.fromWinners,
  socialised: tier.socialised,
  unknown: tier.unknown,
})

const rankOf = (tier: LiquidationTier): number => LIQUIDATION_TIERS.length - 1 - LIQUIDATION_TIERS.indexOf(tier)
/** Worst tier first, then the nearest to its requirement, then by id. */
const placeOf = ({ tier, id }: Pick<AccountTier, 'tier' | 'id'>): readonly string[] => [String(rankOf(tier)), id]
const comesAfter = (place: readonly string[], key: readonly string[]): boolean => Number(place[0]) > Number(key[0]) || (place[0] === key[0] && (place[1] as string) > (key[1] as string))

export async function resolveStates(_: unknown, args: Partial<QueryLiquidationStatesArgs>, context: Context): Promise<Maybe<Answer<'LiquidationStates'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const tier = args.tier ?? null
  let answer = {} as Awaited<ReturnType<typeof computeStates>>
  const connection = await page<Answer<'LiquidationState'>>(
    {
      list: 'liquidation states, worst tier first',
      parts: ['int32', 'text'],
      key: ({ tier: own, account }) => placeOf({ tier: own, id: account }),
      rows: async (key, take) => (answer = await book.ask('states', { tier, key, take })).rows,
      total: async () => answer.total,
    },
    args,
  )
  return { provenance: answer.provenance, ...connection, unknownMargins: answer.unknown }
}

/** Accounts of each tier, of all where it is null, in their order, with the digest of what they were made of. */
const listsOf = oncePerBook(async (book) => {
  const { tiers } = await tiersOf(book)
  const all = [...tiers.values()].sort((a, b) => rankOf(a.tier) - rankOf(b.tier) || (a.id < b.id ? -1 : 1))
  return { all, provenances: new Map<LiquidationTier | null, ReturnType<typeof provenance>>() }
})

/** `key`: the place after which the rows begin, at most `take` of them. */
export async function computeStates(book: DeskBook, { tier, key, take }: { readonly tier: LiquidationTier | null; readonly key: readonly string[] | null; readonly take: number }) {
  const { accounts, unknown } = await tiersOf(book)
  const { all, provenances } = await listsOf(book)
  const chosen = tier === null ? all : all.filter((one) => one.tier === tier)
  const made = provenances.get(tier) ?? provenance(TIERS, book.block, { accounts, book: book.digest }, { tier })
  provenances.set(tier, made)
  const rows = (key === null ? chosen : chosen.filter((one) => comesAfter(placeOf(one), key))).slice(0, take)
  const wanted = new Set(rows.map(({ id }) => id))
  const byId = new Map(accounts.flatMap((account) => (wanted.has(account.id) ? [[account.id, account]] : [])))
  return { provenance: made, unknown, total: chosen.length, rows: rows.map((one) => stateOf(byId.get(one.id) as LiquidationAccount, one)) }
}

/** An account's own; null for one without positions, and where its margin is unknown. */
export async function resolveState({ id }: { readonly id: string }, _: unknown, context: Context): Promise<Maybe<Answer<'LiquidationState'>>> {
  const book = await context.riskBook()
  const found = book && (await book.ask('state', { id }))
  return found && stateOf(found.account, found.tier)
}

/** An account with its tier and margin; null as in `resolveState`. */
export async function computeState(book: DeskBook, { id }: { readonly id: string }): Promise<{ readonly account: LiquidationAccount; readonly tier: AccountTier; readonly health: Health } | null> {
  const { accounts, tiers } = await tiersOf(book)
  const [account, tier, health] = [accounts.find((one) => one.id === id), tiers.get(id), (await book.margins()).exposed(id)]
  return account === undefined || tier === undefined || health == null ? null : { account, tier, health }
}

const BACKSTOP = { model: 'backstop', version: '1', source: 'api/risk/backstop.ts: dYdX v4, clob/keeper/liquidations.go; Derive v2-core, DutchAuction; risk models §5' } as const

export async function resolveBackstop(_: unknown, args: QueryBackstopOffersArgs, context: Context): Promise<Maybe<Answer<'BackstopOffers'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const id = address('an account', args.account, 'account')
  const elapsedSec = within('elapsedSec', args.elapsedSec ?? 0, 0, 7 * 86_400, 'seconds since the auction began')
  const spread = within('spread', args.spread ?? 0.1, 0, 1, '0.1 is 10 % of a position’s maintenance margin')
  const aggression = within('aggression', args.aggression ?? 1, 0, 100, '1 offers the whole spread to an account without value')
  const reserved = within('reserved', args.reserved ?? 0, 0, LARGEST, 'quote')
  const found = await book.ask('state', { id })
  if (found === null) throw new UserInputError(`account: found ${id}, which has no position with a known margin, allowed is one that has; see liquidationStates`, 'account')
  const { account, health } = found
  const markets = await context.markets()
  const mm = account.positions.reduce((sum, p) => sum + Math.abs(p.notional), 0) > 0 ? account.requirement / account.positions.reduce((sum, p) => sum + Math.abs(p.notional), 0) : 0
  const positions = health.positions.flatMap((p): Answer<'FillableOffer'>[] => {
    const market = markets.get(p.market.toLowerCase())
    const size = toE18Float(p.totalSizeE18)
    const value = toE18Float(p.positionValueE18)
    if (market === undefined || size === 0 || !(account.requirement > 0) || !(value / size > 0)) return []
    const offer = fillablePrice({ size, price: value / size, collateral: account.value, requirement: account.requirement, positionRequirement: Math.abs(value) * mm, spread, aggression })
    return [{ market, size, price: value / size, ...offer }]
  })
  const bufferMargin = account.value - account.requirement
  const auction = bufferMargin < 0 ? auctionOffer({ value: account.value, bufferMargin, maintenance: bufferMargin, reserved, elapsedSec }) : null
  return {
    provenance: provenance(BACKSTOP, book.block, { account }, { elapsedSec, spread, aggression, reserved, schedule: DEFAULT_AUCTION }),
    account: id,
    tier: found.tier.tier,
    value: account.value,
    requirement: account.requirement,
    positions,
    auction: auction && { solvent: auction.kind === 'solvent', discount: auction.discount, share: auction.share, price: auction.price, fromBackstop: auction.fromBackstop },
  }
}

const CAPACITY = { model: 'open-interest-cap', version: '1', source: 'api/risk/open-interest.ts: square-root impact inverted; risk models §8 and §10; Synthetix V3 (skew scale)' } as const

export async function resolveCapacity(_: unknown, args: QueryMarketCapacityArgs, context: Context): Promise<Maybe<Answer<'MarketCapacity'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  const maxImpact = within('maxImpact', args.maxImpact ?? 0.1, 1e-6, 1, '0.1 is 10 % of the price')
  const kappa = within('kappa', args.kappa ?? 0.01, 1e-6, 1, '0.01: the fund is to be 1 % of open interest')
  const depthMove = within('depthMove', args.depthMove ?? 0.01, 1e-6, 0.5, '0.01 is a move of 1 %')
  const side = (raw: { toFixed(places: number): string }): number | null => (facts.indexPrice === null ? null : toE18Float(BigInt(raw.toFixed(0))) * facts.indexPrice)
  const [long, short] = [side(node.openInterestLongE18), side(node.openInterestShortE18)]
  const sigma = tell(`volatility of ${node.symbol}`, () => book.context.volatility(facts.input.oracle?.feed ?? null, facts.input.symbol))
  const fund = book.context.fundCapacity === null ? null : Math.max(0, book.context.fundCapacity)
  const cap = sigma.value === null || !(facts.dailyVolume > 0) ? null : openInterestCap({ maxImpact, dailyVolatility: dailyVolatility(Math.max(sigma.value.now, sigma.value.longRun), book.inputs.policy.barSec), dailyVolume: facts.dailyVolume, fund, kappa })
  const depth = depthOf(facts, depthMove)
  const largest = long === null || short === null ? null : Math.max(long, short)
  return {
    provenance: provenance(CAPACITY, book.block, book.digest, { market: node.id, maxImpact, kappa, depthMove }),
    market: node,
    openInterestLong: long,
    openInterestShort: short,
    cap: cap === null ? null : finite(cap.cap),
    binding: cap?.binding ?? null,
    impactTerm: cap === null ? null : finite(cap.terms.impact),
    fundTerm: cap?.terms.fund ?? null,
    utilisation: cap === null || largest === null || !(cap.cap > 0) ? null : finite(largest / cap.cap),
    dailyVolume: facts.dailyVolume,
    depth,
    skewScale: depth === null || !(depth > 0) || facts.indexPrice === null ? null : finite(skewScaleForDepth({ depth: depth / facts.indexPrice, slippage: depthMove })),
    unknown: sigma.unknown ?? (facts.dailyVolume > 0 ? null : notMeasured(`trades of ${node.symbol}`, `Found no trade of ${node.symbol} in the last 30 days, needed is a volume to weigh impact by; wait for trades`)),
  }
}

const DISCOUNT = { model: 'size-discount', version: '1', source: 'api/risk/collateral.ts: Synthetix V3, PerpsCollateralConfiguration.sol; risk models §2.1' } as const

export async function resolveDiscount(_: unknown, args: QueryCollateralDiscountArgs, context: Context): Promise<Maybe<Answer<'CollateralDiscount'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const tokens = [...(await context.collaterals()).values()]
  const asset = tokens.find((one) => one.id === args.asset.toLowerCase() || one.symbol.toLowerCase() === args.asset.toLowerCase())
  if (asset === undefined) throw new UserInputError(`asset: found "${args.asset.slice(0, 60)}", allowed are ${tokens.map((one) => one.symbol).join(', ') || 'none yet'} and their addresses; take one of these`, 'asset')
  if (asset.feed?.priceE18 == null) throw new SampleTooSmallError({ statistic: `prices of ${asset.symbol}`, found: 0, needed: 1 })
  const amount = within('amount', args.amount, 0, LARGEST, 'tokens')
  const skewScale = within('skewScale', args.skewScale, 1e-9, LARGEST, 'tokens')
  const scalar = within('scalar', args.scalar ?? 1, 0, 1e6, 'no unit')
  const upper = within('upper', args.upper ?? 1, 0, 1, '0.1 is 10 %')
  const lower = within('lower', args.lower ?? 0, 0, upper, 'at most `upper`')
  const price = toE18Float(BigInt(asset.feed.priceE18.toFixed(0)))
  const result = sizeDiscount({ amount, price, skewScale, scalar, lower, upper })
  return { provenance: provenance(DISCOUNT, book.block, { asset: asset.id, price }, { amount, skewScale, scalar, lower, upper }), asset, amount, price, gross: amount * price, ...result }
}

const SMOOTHED = { model: 'anti-procyclicality', version: '1', source: 'api/risk/procyclicality.ts: Commission Delegated Regulation (EU) 153/2013, art. 28(1)(a), (b), (c); Murphy, Vasios, Vause, Bank of England WP 525, 2014' } as const
const DAY_SEC = 86_400
const YEARS = 365 * DAY_SEC
/** Days over which a rise is measured, as the source does. */
const SWING_DAYS = 5

export async function resolveProcyclicality(_: unknown, args: QueryAntiProcyclicalityArgs, context: Context): Promise<Maybe<Answer<'AntiProcyclicality'>>> {
  const book = await context.riskBook()
  if (book === null) return null
  const { facts, node } = await marketOf(context, book, args.market)
  const level = checkLevel(args.level ?? 0.99, 'level')
  const task = {
    market: facts.input.id,
    level,
    horizonSec: wholeWithin('horizonSec', args.horizonSec ?? DAY_SEC, 300, 30 * DAY_SEC, 'seconds'),
    buffer: within('buffer', args.buffer ?? 0.25, 0, 10, '0.25 is 25 % on top'),
    stressWeight: within('stressWeight', args.stressWeight ?? 0.25, 0, 1, '0.25 is 25 %'),
    previous: args.previous == null ? null : within('previous', args.previous, 0, 10, '0.1 is 10 % of notional'),
  }
  return { ...(await book.ask('procyclicality', task)), market: node }
}

/** Arguments that are checked. Throws SampleTooSmallError. */
export function computeProcyclicality(book: DeskBook, task: { readonly market: string; readonly level: number; readonly horizonSec: number; readonly buffer: number; readonly stressWeight: number; readonly previous: number | null }): Omit<Answer<'AntiProcyclicality'>, 'market'> {
  const { level, horizonSec, buffer, stressWeight, previous } = task
  const facts = book.context.market(task.market)
  const { policy } = book.inputs
  const basis = book.context.basis(facts.input.oracle?.feed ?? null, facts.input.symbol)
  const shortfall = (sigmaPerBar: number): number => Math.max(...(['down', 'up'] as const).map((side) => forecastRisk(basis, { shape: 'filtered', level, horizonBars: horizonSec / policy.barSec, side, sigmaPerBar }).expectedShortfall))
  const core = Math.max(0, shortfall(basis.path.current))
  const longRun = Math.max(0, shortfall(basis.path.longRun))
  // Falls of an hour for margins of up to an hour, those of a day beyond.
  const stressed = worstFall(stressScenarios(horizonSec > 3_600 ? 'day' : 'severe'), facts.asset, book.context.beta(facts.input.oracle?.feed ?? null, facts.asset))
  const ways = [
    // What was used up comes back by a twentieth of the core margin a step.
    antiProcyclical(core, { way: 'buffer', buffer, previous, restore: 0.05 }),
    antiProcyclical(core, { way: 'stress', stressed: stressed.fall, weight: stressWeight }),
    antiProcyclical(core, { way: 'floor', longRun, lookbackYears: policy.windowSec / YEARS }),
  ]
  // A margin in proportion to σ swings as σ does: one a day, at the bar that ends it.
  const daily: number[] = []
  let bars = 0
  for (const [i, span] of basis.returns.spans.entries()) {
    const day = Math.floor((bars * policy.barSec) / DAY_SEC)
    bars += span
    if (Math.floor((bars * policy.barSec) / DAY_SEC) > day) daily.push(basis.path.before[i] as number)
  }
  const swing = tell(`swing of ${facts.input.symbol}'s margin`, () => procyclicality(daily.filter((sigma) => sigma > 0), SWING_DAYS))
  return {
    provenance: provenance(SMOOTHED, book.block, book.digest, task),
    core,
    longRun,
    stressed: stressed.fall,
    stressRegime: stressed.scenario,
    ways: ways.map(({ way, margin, binding, bufferLeft, meetsRegulation }) => ({ way, margin, binding, bufferLeft, meetsRegulation })),
    swing: swing.value && { peakToTrough: swing.value.peakToTrough, largestJump: swing.value.largestJump, observations: swing.value.observations },
    unknown: swing.unknown,
  }
}
