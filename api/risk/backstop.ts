/** Who takes an account that keepers leave, at what price, and how long the taking lasts: windows, fillable prices, auctions. */
import { BadInputError } from '../../core/errors.ts'

const HOUR_SEC = 3_600

function requireFinite(what: string, values: Readonly<Record<string, number>>, least = -Infinity): void {
  for (const [field, value] of Object.entries(values)) {
    if (!Number.isFinite(value) || value < least) throw new BadInputError(`${what}: found ${value} for ${field}, allowed is a finite number${least === 0 ? ' from 0' : ''}; check the input`, { field })
  }
}

/** How much a market lets liquidators take at a time. */
export type LiquidationWindow = {
  /** Base per window; Infinity where the protocol sets no limit. */
  readonly amount: number
  /** Quote per hour; Infinity likewise. */
  readonly capacityPerHour: number
  /** Windows that a size takes, and the time until it is gone, s. */
  readonly windows: number
  readonly timeSec: number
}

/**
 * Liquidation by windows: amount = (maker fee + taker fee)·skew scale·multiplier·seconds; windows = ⌈|size| / amount⌉; time = windows·seconds.
 *
 * Fees are fractions, sizes in base, price in quote per base. An amount of 0 means no limit (Synthetix): one window, no waiting. This time
 * is the horizon that a margin has to cover. ((0 + 0.1 %)·20 M·1.5·30 s gives 900,000.) Source: Synthetix V3, PerpsMarketConfiguration.sol:93-106.
 */
export function liquidationWindow(p: { readonly makerFee: number; readonly takerFee: number; readonly skewScale: number; readonly multiplier: number; readonly seconds: number; readonly size: number; readonly price: number }): LiquidationWindow {
  const { size, ...rest } = p
  requireFinite('liquidation window', rest, 0)
  requireFinite('liquidation window', { size })
  const amount = (p.makerFee + p.takerFee) * p.skewScale * p.multiplier * p.seconds
  if (amount === 0 || p.seconds === 0) return { amount: Infinity, capacityPerHour: Infinity, windows: size === 0 ? 0 : 1, timeSec: 0 }
  const windows = Math.ceil(Math.abs(size) / amount - 1e-12)
  return { amount, capacityPerHour: (amount * p.price * HOUR_SEC) / p.seconds, windows, timeSec: windows * p.seconds }
}

/** Prices between which a position is sold out of an account. */
export type FillablePrice = {
  /** Price at which the sale leaves its share of the account's collateral at 0. */
  readonly bankruptcyPrice: number
  /** Price that the protocol offers now: the oracle's, less a spread that grows as the account sinks. */
  readonly fillablePrice: number
  /** Share of the spread that is on offer, in [0, 1]. */
  readonly adjustment: number
}

/**
 * Fillable and bankruptcy price of a whole position:
 *   adjustment = clamp(BA·(1 − TNC/TMMR), 0, 1); fillable = (value − adjustment·spread·PMMR)/size; bankruptcy = (value − TNC·PMMR/TMMR)/size
 *
 * `size` signed, ≠ 0; `collateral` TNC the account's total net collateral, `requirement` TMMR its total and `positionRequirement` PMMR this
 * position's maintenance margin (> 0); `spread` SMMR and `aggression` BA from 0. For a short the value is negative and prices lie above.
 * (0.1 at 50,000, TNC 499, TMMR 500, PMMR 500, SMMR 0.1, BA 1 gives 49,999.) Source: dYdX v4, clob/keeper/liquidations.go:396-636.
 */
export function fillablePrice(p: { readonly size: number; readonly price: number; readonly collateral: number; readonly requirement: number; readonly positionRequirement: number; readonly spread: number; readonly aggression: number }): FillablePrice {
  const { size, price, collateral, requirement, positionRequirement, spread, aggression } = p
  requireFinite('fillable price', { spread, aggression, positionRequirement }, 0)
  if (size === 0 || !(price > 0) || !(requirement > 0) || !Number.isFinite(collateral)) throw new BadInputError(`Found size ${size}, price ${price} and requirement ${requirement}, allowed are a size other than 0 and numbers above 0; check the position`, { field: 'size' })
  const value = size * price
  const adjustment = Math.min(1, Math.max(0, aggression * (1 - collateral / requirement)))
  return { bankruptcyPrice: (value - (collateral * positionRequirement) / requirement) / size, fillablePrice: (value - adjustment * spread * positionRequirement) / size, adjustment }
}

/** Discounts of an auction over time: fractions of mark-to-market, linear between. */
export type AuctionSchedule = { readonly start: number; readonly fastEnd: number; readonly fastSec: number; readonly slowSec: number; readonly insolventSec: number }

/** 95 % falling to 70 % in 15 minutes, to 0 in 12 hours more; an insolvent account's price over 60 minutes. Source: Derive v2-core, DutchAuction. */
export const DEFAULT_AUCTION: AuctionSchedule = { start: 0.95, fastEnd: 0.7, fastSec: 900, slowSec: 43_200, insolventSec: 3_600 }

/** What an auction offers at one moment. */
export type AuctionOffer = {
  readonly kind: 'solvent' | 'insolvent'
  /** Share of the account's value that a bidder pays; null for an insolvent account, whose bidders are paid. */
  readonly discount: number | null
  /** Largest share of the account that one bid may take, in [0, 1]. */
  readonly share: number
  /** Quote that a bidder pays for that share; negative is paid to the bidder by the backstop. */
  readonly price: number
  /** What the backstop pays, quote ≥ 0. */
  readonly fromBackstop: number
}

/**
 * Offer of a Dutch auction for an account below its margin.
 *
 * Solvent (value > 0): discount d falls with time; share f = BM / (BM − MtM·d − R·(1 − d)) is what brings the buffer margin back to 0, where
 * BM < 0 is the buffer margin, MtM the value and R cash already reserved. (MtM 1000, BM −300, d 0.95 gives 0.24.) Insolvent: the whole
 * account for a payment that grows from −MtM to −MM. `value`, `bufferMargin`, `maintenance` (account value less requirement) in quote.
 * Throws BadInputError for a buffer margin from 0 on: such an account is not auctioned. Source: Derive v2-core, DutchAuction; risk models §5.
 */
export function auctionOffer(p: { readonly value: number; readonly bufferMargin: number; readonly maintenance: number; readonly reserved: number; readonly elapsedSec: number; readonly schedule?: AuctionSchedule }): AuctionOffer {
  const { value, bufferMargin, maintenance, reserved, elapsedSec, schedule = DEFAULT_AUCTION } = p
  requireFinite('auction', { value, bufferMargin, maintenance })
  requireFinite('auction', { reserved, elapsedSec }, 0)
  if (!(bufferMargin < 0)) throw new BadInputError(`Found a buffer margin of ${bufferMargin}, allowed is below 0; an account above it is not auctioned`, { field: 'bufferMargin' })
  if (value > 0) {
    const { start, fastEnd, fastSec, slowSec } = schedule
    const discount = elapsedSec <= fastSec ? start + ((fastEnd - start) * elapsedSec) / fastSec : Math.max(0, fastEnd * (1 - (elapsedSec - fastSec) / slowSec))
    const share = Math.min(1, bufferMargin / (bufferMargin - value * discount - reserved * (1 - discount)))
    return { kind: 'solvent', discount, share, price: share * value * discount, fromBackstop: 0 }
  }
  const progress = Math.min(1, elapsedSec / schedule.insolventSec)
  const paid = Math.max(0, -(value + (Math.min(maintenance, value) - value) * progress))
  return { kind: 'insolvent', discount: null, share: 1, price: -paid, fromBackstop: paid }
}
