import { BadInputError } from '../../core/errors.ts'
import { SampleTooSmallError } from './errors.ts'
import { rangeAmounts, type Range } from './liquidity.ts'

/** An exposure that moves with one price. `value` is signed quote (size × price), `asset` names the price. */
export type Exposure = { readonly asset: string; readonly value: number }

/** Liquidity that a maker placed, with what it owes for it; whole tokens. `price` is today's quote per base. */
export type RangeExposure = { readonly asset: string; readonly price: number; readonly range: Range; readonly baseDebt: number; readonly quoteDebt: number }

/**
 * Collateral other than the settlement token, at today's price: one value for margin, another for what it can pay.
 * `counted`: what the protocol counts of it towards account value (market value × collateral ratio). `recovered`: what a liquidation of it
 * brings in (market value × (1 − discount)). Quote, from 0; both move with the price of `asset`.
 */
export type CollateralExposure = { readonly asset: string; readonly counted: number; readonly recovered: number }

/** A margin account as a scenario sees it; amounts in quote (USD). */
export type StressAccount = {
  readonly id: string
  /** What no price moves: settlement balance, owed PnL, and the quote side of its positions (negative for a long). */
  readonly cash: number
  /** Σ size·price per market at today's prices. */
  readonly positions: readonly Exposure[]
  readonly ranges: readonly RangeExposure[]
  readonly collateral: readonly CollateralExposure[]
  /** Maintenance margin ratio, fraction of gross notional. */
  readonly maintenanceMargin: number
}

/** Prices and costs of one scenario. */
export type Shock = {
  readonly id: string
  /** Relative change of an asset's price, above −1. */
  readonly changeOf: (asset: string) => number
  /** What closing a notional in an asset costs its account, fraction of it; `costOfClosing` makes it of impact and penalty. */
  readonly costOf: (asset: string, notional: number) => number
}

/**
 * What a forced close costs the account that is closed, fraction of notional: max(impact, penalty), both from 0.
 *
 * A protocol that closes at the index price takes the penalty out of the account, and whoever takes the position over bears the impact out of it. Where
 * the impact is larger nobody would take it for the penalty, and what is missing falls to whoever stands behind the account. What a fund earns of
 * penalties is not counted. Source: ClearingHouse._liquidate of Curie v2.6.0 (index price; the penalty to liquidator and fund).
 */
export const costOfClosing = (impact: number, penalty: number): number => Math.max(penalty, impact)

/**
 * An account at shocked prices: its two values, the gross notional of its positions (ranges' inventory included), and the cost of closing them.
 *
 * value = cash + positions + ranges + Σ counted: what decides, against its requirement, whether it is liquidatable. recoverable = the same with
 * Σ recovered: what is there to pay with once it is. A range is revalued with the inventory it holds at the shocked price, as if the market followed
 * the index. Quote units, signed. Source: Vault._getNonSettlementTokenValue (collateralRatio) and
 * getLiquidatableCollateralBySettlement (discountRatio), Curie v2.6.0.
 */
export function accountUnder(account: StressAccount, shock: Shock): { value: number; recoverable: number; gross: number; cost: number } {
  let value = account.cash
  const net = new Map<string, number>()
  const add = (asset: string, notional: number): void => void net.set(asset, (net.get(asset) ?? 0) + notional)
  for (const position of account.positions) add(position.asset, position.value * (1 + shock.changeOf(position.asset)))
  for (const { asset, price, range, baseDebt, quoteDebt } of account.ranges) {
    const after = price * (1 + shock.changeOf(asset))
    const held = rangeAmounts(range, Math.sqrt(after))
    value += held.quote - quoteDebt
    add(asset, (held.base - baseDebt) * after)
  }
  let gross = 0
  let cost = 0
  for (const [asset, notional] of net) {
    value += notional
    gross += Math.abs(notional)
    cost += Math.abs(notional) * shock.costOf(asset, Math.abs(notional))
  }
  let recoverable = value
  for (const { asset, counted, recovered } of account.collateral) {
    const factor = 1 + shock.changeOf(asset)
    value += counted * factor
    recoverable += recovered * factor
  }
  return { value, recoverable, gross, cost }
}

/**
 * Loss that an account leaves behind under a shock: L = max(0, −(recoverable − cost of closing)).
 *
 * The cost of closing counts only where the shock makes the account liquidatable (value < mm·gross, by the value that counts for margin): an
 * account that stays above is not closed, and a cost that its own equity can pay is no loss to anyone else. An account that owes more than all that it
 * has would bring in leaves the rest, liquidatable or not. Homogeneous of degree 1 in the account while impact is 0. Quote units, ≥ 0.
 * Source: risk models §10.
 */
export function accountShortfall(account: StressAccount, shock: Shock): number {
  const { value, recoverable, gross, cost } = accountUnder(account, shock)
  const closed = gross > 0 && value < account.maintenanceMargin * gross
  return Math.max(0, (closed ? cost : 0) - recoverable)
}

/** What a set of accounts leaves behind under one shock. */
export type ScenarioShortfall = {
  readonly id: string
  readonly total: number
  /** Sums of the largest one and two. */
  readonly cover1: number
  readonly cover2: number
  readonly accountsInLoss: number
}

/** Shortfall of all accounts under one shock. */
export function scenarioShortfall(accounts: readonly StressAccount[], shock: Shock): ScenarioShortfall {
  let first = 0
  let second = 0
  let total = 0
  let accountsInLoss = 0
  for (const account of accounts) {
    const loss = accountShortfall(account, shock)
    if (loss <= 0) continue
    accountsInLoss++
    total += loss
    if (loss > first) [first, second] = [loss, first]
    else if (loss > second) second = loss
  }
  return { id: shock.id, total, cover1: first, cover2: first + second, accountsInLoss }
}

/** How large the fund should be, and which term decides. */
export type FundTarget = {
  readonly target: number
  readonly binding: 'cover-2' | 'expected shortfall over scenarios' | 'share of open interest'
  readonly cover1: number
  readonly cover2: number
  /** Mean total shortfall of the worst quarter of the scenarios. */
  readonly expectedShortfall: number
  readonly openInterestTerm: number
  readonly worst: ScenarioShortfall
}

/**
 * Insurance fund target = max(cover-2, ES of total shortfall over the scenarios, κ·open interest), quote.
 *
 * cover-k: the k largest account losses of a scenario, at the worst scenario. ES: mean of the worst ⌈n/4⌉ totals (scenarios are few and
 * carry no probabilities; a quarter keeps one extreme from deciding alone). κ in [0, 1]. Throws SampleTooSmallError without scenarios.
 * Source: Eurex Clearing, default fund dimensioning (cover-2); risk models §10.
 */
export function fundTarget(shortfalls: readonly ScenarioShortfall[], openInterest: number, kappa: number): FundTarget {
  if (shortfalls.length === 0) throw new SampleTooSmallError({ statistic: 'insurance fund target', found: 0, needed: 1 })
  if (!(kappa >= 0 && kappa <= 1) || !(openInterest >= 0)) throw new BadInputError(`Found κ ${kappa} and open interest ${openInterest}, allowed are κ from 0 to 1 and an open interest from 0; check the policy`)
  const totals = shortfalls.map((s) => s.total).sort((a, b) => b - a)
  const tail = totals.slice(0, Math.ceil(totals.length / 4))
  const expectedShortfall = tail.reduce((a, b) => a + b, 0) / tail.length
  const cover1 = Math.max(...shortfalls.map((s) => s.cover1))
  const cover2 = Math.max(...shortfalls.map((s) => s.cover2))
  const worst = shortfalls.reduce((a, b) => (b.total > a.total ? b : a))
  const openInterestTerm = kappa * openInterest
  const target = Math.max(cover2, expectedShortfall, openInterestTerm)
  const binding = target === openInterestTerm && openInterestTerm > Math.max(cover2, expectedShortfall) ? 'share of open interest' : expectedShortfall > cover2 ? 'expected shortfall over scenarios' : 'cover-2'
  return { target, binding, cover1, cover2, expectedShortfall, openInterestTerm, worst }
}
