/**
 * Margin of one account in words that every protocol shares: cross-margined over its positions, exact in bigint.
 *
 * A protocol's own arithmetic (protocols/<name>/margin.ts) decides where a chain decides. This one serves hypothetical books and
 * protocols whose rules are these: what an account owes is rounded up, what it has is rounded down, so that it errs against the account.
 */
import { BadInputError } from '../../core/errors.ts'
import { abs, E18, E6, max, min, mulDiv } from '../../core/units.ts'

/** A position in one market. */
export type MarginPosition = {
  readonly market: string
  /** Base, signed: a short is negative. */
  readonly sizeE18: bigint
  /** Quote paid (−, a long) or received (+, a short) for it. */
  readonly openNotionalE18: bigint
  /** Price that it is valued at, quote per base, above 0. */
  readonly markPriceE18: bigint
  /** Initial and maintenance margin of the market, share of notional (1e6 = 100 %), 0 ≤ maintenance ≤ initial; maintenance below 100 %. */
  readonly imRatioE6: bigint
  readonly mmRatioE6: bigint
}

/** Collateral other than cash, quote at its price, and the share of it that counts (1 − haircut). */
export type MarginCollateral = { readonly asset: string; readonly valueE18: bigint; readonly ratioE6: bigint }

/** An account. `cashE18`: settlement balance with owed PnL, pending funding and fees, signed quote. */
export type MarginAccount = { readonly cashE18: bigint; readonly collaterals: readonly MarginCollateral[]; readonly positions: readonly MarginPosition[] }

export type PositionMargin = {
  readonly market: string
  readonly notionalE18: bigint
  readonly unrealizedPnlE18: bigint
  readonly initialMarginE18: bigint
  readonly maintenanceMarginE18: bigint
  /** Mark price at which account value meets the maintenance margin, all else equal; null where no price above 0 does, or without a size. */
  readonly liquidationPriceE18: bigint | null
  /** Mark price at which account value is 0, all else equal; null likewise. */
  readonly bankruptcyPriceE18: bigint | null
  /** Adverse move of the mark price until liquidation, 1e6 = 100 % of it; negative beyond it. */
  readonly distanceE6: bigint | null
}

export type AccountMargin = {
  /** cash + Σ collateral value · ratio. */
  readonly collateralValueE18: bigint
  readonly unrealizedPnlE18: bigint
  /** collateral value + unrealised PnL. */
  readonly accountValueE18: bigint
  readonly grossNotionalE18: bigint
  readonly netNotionalE18: bigint
  readonly initialMarginE18: bigint
  readonly maintenanceMarginE18: bigint
  /** min(collateral value, account value) − initial margin: gains that are not realised open nothing. Negative: nothing may be opened or withdrawn. */
  readonly freeCollateralE18: bigint
  /** account value / gross notional, floor; null without positions. */
  readonly marginRatioE6: bigint | null
  /** gross notional / account value, floor; null without a positive account value. */
  readonly leverageE6: bigint | null
  /** (account value − maintenance margin) / gross notional, floor; null without positions. */
  readonly distanceE6: bigint | null
  readonly liquidatable: boolean
  readonly positions: readonly PositionMargin[]
}

function check(account: MarginAccount): void {
  for (const p of account.positions) {
    if (p.markPriceE18 <= 0n) throw new BadInputError(`${p.market}: found a mark price of ${p.markPriceE18}, allowed is above 0; give the market's price`, { field: 'markPriceE18', market: p.market })
    if (p.mmRatioE6 < 0n || p.imRatioE6 < p.mmRatioE6 || p.mmRatioE6 >= E6) {
      throw new BadInputError(`${p.market}: found margins of ${p.imRatioE6} and ${p.mmRatioE6} (1e6 = 100 %), allowed is 0 ≤ maintenance ≤ initial with maintenance below 100 %; correct the ratios`, { field: 'mmRatioE6', market: p.market })
    }
  }
  for (const c of account.collaterals) {
    if (c.valueE18 < 0n || c.ratioE6 < 0n || c.ratioE6 > E6) throw new BadInputError(`${c.asset}: found a value of ${c.valueE18} at a ratio of ${c.ratioE6}, allowed are a value from 0 and a ratio of 0 to 1000000; correct the collateral`, { field: 'collaterals', asset: c.asset })
  }
  if (new Set(account.positions.map((p) => p.market)).size !== account.positions.length) throw new BadInputError('Found two positions in one market, allowed is one; net them first', { field: 'positions' })
}

/**
 * Price P at which A + s·P = M + |s|·P·mm, all else equal, E18; null where none is above 0.
 *   long  P = (M − A) / (s·(1 − mm)), short P = (A − M) / (|s|·(1 + mm))
 * `valueWithoutE18` A: account value without s·price. `otherRequirementE18` M: requirement of the other positions. mm 0 and M 0 give the
 * bankruptcy price. Rounded to the side that is reached first: up for a long, down for a short. Source: risk models §1.2 (derived).
 */
export function priceWhereMarginMeets(p: { sizeE18: bigint; valueWithoutE18: bigint; otherRequirementE18: bigint; mmRatioE6: bigint }): bigint | null {
  const { sizeE18, valueWithoutE18, otherRequirementE18, mmRatioE6 } = p
  if (sizeE18 === 0n) return null
  const price =
    sizeE18 > 0n
      ? mulDiv((otherRequirementE18 - valueWithoutE18) * E18, E6, sizeE18 * (E6 - mmRatioE6), 'ceil')
      : mulDiv((valueWithoutE18 - otherRequirementE18) * E18, E6, -sizeE18 * (E6 + mmRatioE6), 'floor')
  return price > 0n ? price : null
}

/**
 * Margin figures of an account.
 *   value_i = size·price; PnL = value + open notional; AV = cash + Σ collateral·ratio + Σ PnL; IM, MM = Σ |value_i|·ratio_i
 * E18 quote unless the name says otherwise. Liquidatable where AV < MM. Homogeneous of degree 1 but for the last wei of each rounding.
 * Throws BadInputError, with the field, for prices at or below 0, ratios out of order, negative collateral and a market named twice.
 * Source: risk models §1.2; Basel Committee/IOSCO, Margin requirements for non-centrally cleared derivatives, 2020, for initial above maintenance.
 */
export function accountMargin(account: MarginAccount): AccountMargin {
  check(account)
  const values = account.positions.map((p) => mulDiv(p.sizeE18, p.markPriceE18, E18, 'floor'))
  const requirement = (i: number, ratioE6: bigint): bigint => mulDiv(abs(values[i] as bigint), ratioE6, E6, 'ceil')
  const sum = (list: readonly bigint[]): bigint => list.reduce((a, b) => a + b, 0n)

  const pnls = account.positions.map((p, i) => (values[i] as bigint) + p.openNotionalE18)
  const initials = account.positions.map((p, i) => requirement(i, p.imRatioE6))
  const maintenances = account.positions.map((p, i) => requirement(i, p.mmRatioE6))
  const collateralValueE18 = account.cashE18 + sum(account.collaterals.map((c) => mulDiv(c.valueE18, c.ratioE6, E6, 'floor')))
  const unrealizedPnlE18 = sum(pnls)
  const accountValueE18 = collateralValueE18 + unrealizedPnlE18
  const grossNotionalE18 = sum(values.map(abs))
  const initialMarginE18 = sum(initials)
  const maintenanceMarginE18 = sum(maintenances)
  const perGross = (amountE18: bigint): bigint | null => (grossNotionalE18 === 0n ? null : mulDiv(amountE18, E6, grossNotionalE18, 'floor'))

  return {
    collateralValueE18,
    unrealizedPnlE18,
    accountValueE18,
    grossNotionalE18,
    netNotionalE18: sum(values),
    initialMarginE18,
    maintenanceMarginE18,
    freeCollateralE18: min(collateralValueE18, accountValueE18) - initialMarginE18,
    marginRatioE6: perGross(accountValueE18),
    leverageE6: accountValueE18 > 0n ? mulDiv(grossNotionalE18, E6, accountValueE18, 'floor') : null,
    distanceE6: perGross(accountValueE18 - maintenanceMarginE18),
    liquidatable: accountValueE18 < maintenanceMarginE18,
    positions: account.positions.map((p, i) => {
      const valueWithoutE18 = accountValueE18 - (values[i] as bigint)
      const liquidationPriceE18 = priceWhereMarginMeets({ sizeE18: p.sizeE18, valueWithoutE18, otherRequirementE18: maintenanceMarginE18 - (maintenances[i] as bigint), mmRatioE6: p.mmRatioE6 })
      const away = liquidationPriceE18 === null ? null : p.sizeE18 > 0n ? p.markPriceE18 - liquidationPriceE18 : liquidationPriceE18 - p.markPriceE18
      return {
        market: p.market,
        notionalE18: abs(values[i] as bigint),
        unrealizedPnlE18: pnls[i] as bigint,
        initialMarginE18: initials[i] as bigint,
        maintenanceMarginE18: maintenances[i] as bigint,
        liquidationPriceE18,
        bankruptcyPriceE18: priceWhereMarginMeets({ sizeE18: p.sizeE18, valueWithoutE18, otherRequirementE18: 0n, mmRatioE6: 0n }),
        distanceE6: away === null ? null : mulDiv(away, E6, p.markPriceE18, 'floor'),
      }
    }),
  }
}

/** A liquidation penalty and who gets it, E18 quote. */
export type PenaltySplit = { readonly penaltyE18: bigint; readonly toKeeperE18: bigint; readonly toFundE18: bigint }

/**
 * Penalty = |notional|·ratio (truncated), the keeper's share of it rounded down, the rest to the fund: the two always sum to the penalty.
 * All of it goes to the keeper where the account's value is below 0, as Curie does. Ratios 1e6 = 100 %, in [0, 1e6]. Source: risk models §1.2.
 */
export function penaltySplit(p: { notionalE18: bigint; penaltyRatioE6: bigint; keeperShareE6: bigint; accountValueE18: bigint }): PenaltySplit {
  for (const ratio of [p.penaltyRatioE6, p.keeperShareE6]) if (ratio < 0n || ratio > E6) throw new BadInputError(`Found a ratio of ${ratio}, allowed is 0 to 1000000 (100 %); correct the penalty`)
  const penaltyE18 = mulDiv(abs(p.notionalE18), p.penaltyRatioE6, E6)
  const toKeeperE18 = p.accountValueE18 < 0n ? penaltyE18 : mulDiv(penaltyE18, p.keeperShareE6, E6)
  return { penaltyE18, toKeeperE18, toFundE18: max(0n, penaltyE18 - toKeeperE18) }
}
