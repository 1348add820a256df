import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { auctionOffer, fillablePrice, liquidationWindow } from '../../api/risk/index.ts'

describe('liquidation windows', () => {
  const goat = { makerFee: 0, takerFee: 0.001, skewScale: 20e6, multiplier: 1.5, seconds: 30, size: 1_000_000, price: 0.5 }
  test('vector: (0 + 0.1 %) · 20 M · 1.5 · 30 s is 900,000 units, so a million takes two windows and a minute', () => {
    // 900,000 · 0.5 every 30 s is 54,000,000 an hour.
    expect(liquidationWindow(goat)).toEqual({ amount: 900_000, capacityPerHour: 54_000_000, windows: 2, timeSec: 60 })
    expect(liquidationWindow({ ...goat, size: -900_000 }).windows).toBe(1)
  })
  test('behavior: an amount of 0 means that there is no limit', () => {
    expect(liquidationWindow({ ...goat, takerFee: 0 })).toEqual({ amount: Infinity, capacityPerHour: Infinity, windows: 1, timeSec: 0 })
    expect(() => liquidationWindow({ ...goat, skewScale: -1 })).toThrow(BadInputError)
  })
})

describe('fillable price', () => {
  const long = { size: 0.1, price: 50_000, collateral: 499, requirement: 500, positionRequirement: 500, spread: 0.1, aggression: 1 }
  test('vector: 0.1 at 50,000 with 499 of 500 is offered at 49,999, and bankrupt at 45,010', () => {
    const found = fillablePrice(long)
    expect(found.fillablePrice).toBeCloseTo(49_999, 9)
    expect(found.bankruptcyPrice).toBeCloseTo((5_000 - 499) / 0.1, 9)
    expect(found.adjustment).toBeCloseTo(0.002, 12)
  })
  test('property: mirror: a short is offered as far above as the long below', () => {
    fc.assert(
      fc.property(fc.double({ min: -100, max: 600, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true }), (collateral, aggression) => {
        const a = fillablePrice({ ...long, collateral, aggression })
        const b = fillablePrice({ ...long, size: -0.1, collateral, aggression })
        expect(a.fillablePrice + b.fillablePrice).toBeCloseTo(100_000, 6)
        expect(a.bankruptcyPrice + b.bankruptcyPrice).toBeCloseTo(100_000, 6)
        expect(a.fillablePrice).toBeLessThanOrEqual(50_000)
      }),
    )
  })
  test('property: selling at the bankruptcy price uses up the collateral that stands behind the position', () => {
    fc.assert(
      fc.property(fc.double({ min: -100, max: 600, noNaN: true }), fc.double({ min: 1, max: 500, noNaN: true }), (collateral, positionRequirement) => {
        const { bankruptcyPrice } = fillablePrice({ ...long, collateral, positionRequirement })
        expect(long.size * (long.price - bankruptcyPrice)).toBeCloseTo((collateral * positionRequirement) / 500, 6)
      }),
    )
  })
  test('error: no price without a size', () => {
    expect(() => fillablePrice({ ...long, size: 0 })).toThrow(BadInputError)
  })
})

describe('auction', () => {
  const account = { value: 1000, bufferMargin: -300, maintenance: -100, reserved: 0, elapsedSec: 0 }
  test('vector: value 1000, buffer margin −300 and 95 % offer 24 % of the account', () => {
    const offer = auctionOffer(account)
    expect(offer).toMatchObject({ kind: 'solvent', discount: 0.95, fromBackstop: 0 })
    expect(offer.share).toBeCloseTo(0.24, 12)
    expect(offer.price).toBeCloseTo(228, 9)
  })
  test('behavior: 95 % to 70 % in 15 minutes, to 0 in 12 hours', () => {
    const discount = (elapsedSec: number): number => auctionOffer({ ...account, elapsedSec }).discount ?? NaN
    expect([450, 900, 900 + 21_600, 900 + 43_200, 90_000].map(discount).map((d) => Math.round(d * 1e6) / 1e6)).toEqual([0.825, 0.7, 0.35, 0, 0])
    expect(auctionOffer({ ...account, elapsedSec: 90_000 }).share).toBe(1)
  })
  test('property: what remains after a bid of that share has its buffer margin back', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e6, noNaN: true }), fc.double({ min: -1e6, max: -1, noNaN: true }), fc.double({ min: 0, max: 44_000, noNaN: true }), (value, bufferMargin, elapsedSec) => {
        const { share, price } = auctionOffer({ ...account, value, bufferMargin, elapsedSec })
        // The rest keeps its part of the buffer margin; what was paid is cash, which counts in full.
        expect(Math.abs((1 - share) * bufferMargin + price)).toBeLessThan(1e-9 * (Math.abs(bufferMargin) + value) + (share === 1 ? value : 0))
      }),
    )
  })
  test('behavior: an insolvent account pays its taker more and more, from its debt to its requirement', () => {
    const insolvent = { ...account, value: -100, bufferMargin: -500, maintenance: -400 }
    expect([0, 1_800, 3_600, 9_999].map((elapsedSec) => auctionOffer({ ...insolvent, elapsedSec }).fromBackstop)).toEqual([100, 250, 400, 400])
    expect(() => auctionOffer({ ...account, bufferMargin: 1 })).toThrow(/not auctioned/)
  })
})
