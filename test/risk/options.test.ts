import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { blackGreeks, blackPrice, createRandom, greeksAddOns, greeksChange, sumGreeks, type EuropeanOption } from '../../api/risk/index.ts'

const REFERENCE: EuropeanOption = { call: true, forward: 2000, strike: 2000, years: 30 / 365, volatility: 0.6 }

const anyOption = fc.record({
  call: fc.boolean(),
  forward: fc.double({ min: 500, max: 5000, noNaN: true }),
  strike: fc.double({ min: 800, max: 3500, noNaN: true }),
  years: fc.double({ min: 0.02, max: 2, noNaN: true }),
  volatility: fc.double({ min: 0.15, max: 2, noNaN: true }),
  discount: fc.double({ min: 0.8, max: 1, noNaN: true }),
})

describe('Black-76', () => {
  test('vector: published prices of options on futures (Haug 2007 §1.1.5; Hull, 9th ed., example 18.6)', () => {
    const haug = { forward: 19, strike: 19, years: 0.75, volatility: 0.28, discount: Math.exp(-0.1 * 0.75) }
    expect(blackPrice({ ...haug, call: true })).toBeCloseTo(1.7011, 4)
    expect(blackPrice({ ...haug, call: false })).toBeCloseTo(1.7011, 4)
    expect(blackPrice({ call: false, forward: 20, strike: 20, years: 4 / 12, volatility: 0.25, discount: Math.exp(-0.09 * (4 / 12)) })).toBeCloseTo(1.12, 2)
  })

  test('vector: price and sensitivities of 30 days at the money, 60 %', () => {
    const greeks = blackGreeks(REFERENCE)
    expect(greeks.price).toBeCloseTo(137.078814, 6)
    expect(greeks.delta).toBeCloseTo(0.53427, 5)
    // The vector's 0.00115491 contradicts its own vega: Γ = ν / (F²σT) = 227.9019 / (4e6·0.6·30/365) = 0.00115534, and its ΔΓν figure needs that too.
    expect(greeks.gamma).toBeCloseTo(227.9019 / (4e6 * 0.6 * (30 / 365)), 8)
    expect(greeks.vega).toBeCloseTo(227.9019, 4)
    expect(greeks.vanna).toBeCloseTo(0.056975, 6)
    expect(greeks.volga).toBeCloseTo(-2.80975, 5)
  })

  test('behavior: agrees with 400,000 simulated lognormal prices within four standard errors', () => {
    const { forward, strike, years, volatility } = { ...REFERENCE, strike: 2300 }
    const random = createRandom(3)
    const deviation = volatility * Math.sqrt(years)
    const n = 200_000
    let sum = 0
    let squares = 0
    for (let i = 0; i < n; i++) {
      // Antithetic pairs: each draw with its mirror.
      const z = random.normal()
      const pay = (x: number): number => Math.max(0, forward * Math.exp(deviation * x - (deviation * deviation) / 2) - strike)
      const value = (pay(z) + pay(-z)) / 2
      sum += value
      squares += value * value
    }
    const mean = sum / n
    const error = Math.sqrt((squares / n - mean * mean) / n)
    expect(Math.abs(blackPrice({ ...REFERENCE, strike }) - mean)).toBeLessThan(4 * error)
  })

  test('property: a call less a put is the discounted forward less strike', () => {
    fc.assert(fc.property(anyOption, (o) => Math.abs(blackPrice({ ...o, call: true }) - blackPrice({ ...o, call: false }) - o.discount * (o.forward - o.strike)) < 1e-9))
  })

  test('property: every sensitivity is the slope of the price, by central differences', () => {
    fc.assert(
      fc.property(anyOption, (o) => {
        const greeks = blackGreeks(o)
        const at = (change: Partial<EuropeanOption>): number => blackPrice({ ...o, ...change })
        const h = o.forward * 1e-4
        const s = 1e-4
        const rate = -Math.log(o.discount) / o.years
        const t = o.years * 1e-5
        const later = (by: number): number => at({ years: o.years - by, discount: Math.exp(-rate * (o.years - by)) })
        const up = (f: number, v: number): number => at({ forward: o.forward + f * h, volatility: o.volatility + v * s })
        // Differences err by their third or fourth derivative; what is left is far below one part in 1,000 of the option's scale.
        const near = (found: number, expected: number, scale: number): void => expect(Math.abs(found - expected)).toBeLessThan(1e-3 * Math.abs(expected) + 1e-5 * scale)
        near(greeks.delta, (up(1, 0) - up(-1, 0)) / (2 * h), 1)
        near(greeks.gamma, (up(1, 0) - 2 * up(0, 0) + up(-1, 0)) / (h * h), 1)
        near(greeks.vega, (up(0, 1) - up(0, -1)) / (2 * s), o.forward)
        near(greeks.vanna, (up(1, 1) - up(1, -1) - up(-1, 1) + up(-1, -1)) / (4 * h * s), 10)
        near(greeks.volga, (up(0, 1) - 2 * up(0, 0) + up(0, -1)) / (s * s), o.forward * 10)
        near(greeks.theta, (later(t) - later(-t)) / (2 * t), o.forward)
      }),
      { numRuns: 200 },
    )
  })

  test('property: gamma and vega are never negative, a call rises with the forward, all options with volatility', () => {
    fc.assert(
      fc.property(anyOption, fc.double({ min: 0.001, max: 0.5, noNaN: true }), (o, more) => {
        const { gamma, vega, delta } = blackGreeks(o)
        expect(gamma).toBeGreaterThanOrEqual(0)
        expect(vega).toBeGreaterThanOrEqual(0)
        expect(o.call ? delta : -delta).toBeGreaterThanOrEqual(0)
        expect(blackPrice({ ...o, volatility: o.volatility + more })).toBeGreaterThanOrEqual(blackPrice(o) - 1e-9)
      }),
    )
  })

  test('behavior: at expiry it is worth what exercise pays, and only delta is left', () => {
    expect(blackPrice({ ...REFERENCE, years: 0, strike: 1900 })).toBe(100)
    expect(blackGreeks({ ...REFERENCE, years: 0, strike: 1900 })).toEqual({ price: 100, delta: 1, gamma: 0, vega: 0, vanna: 0, volga: 0, theta: 0 })
    expect(blackGreeks({ ...REFERENCE, call: false, years: 0, strike: 1900 }).delta).toBe(0)
  })

  test('vector: +16 % and +35 % of volatility change ten short calls by −2817.457 by the sensitivities and −2617.596 in full', () => {
    const change = greeksChange(blackGreeks(REFERENCE), { price: 320, volatility: 0.21 })
    expect(-10 * change).toBeCloseTo(-2817.457, 3)
    expect(-10 * (blackPrice({ ...REFERENCE, forward: 2320, volatility: 0.81 }) - blackPrice(REFERENCE))).toBeCloseTo(-2617.596, 3)
  })

  test('behavior: small moves are told by the sensitivities, large ones are not', () => {
    const greeks = blackGreeks(REFERENCE)
    const change = (price: number, volatility: number): number => blackPrice({ ...REFERENCE, forward: 2000 + price, volatility: 0.6 + volatility }) - greeks.price
    expect(greeksChange(greeks, { price: 10, volatility: 0.01 })).toBeCloseTo(change(10, 0.01), 2)
    expect(Math.abs(greeksChange(greeks, { price: 320, volatility: 0.21 }) / change(320, 0.21) - 1)).toBeGreaterThan(0.05)
  })

  test('behavior: a book’s sensitivities are the sum of its legs', () => {
    const greeks = blackGreeks(REFERENCE)
    const flat = sumGreeks([{ greeks, size: 3 }, { greeks, size: -3 }])
    expect(Object.values(flat)).toEqual([0, 0, 0, 0, 0, 0, 0])
    expect(sumGreeks([{ greeks, size: -10 }]).vega).toBeCloseTo(-2279.019, 3)
  })

  test('behavior: add-ons for curvature and volatility, by hand, for either side', () => {
    // Ten options: ½·0.0115534·(2000·12 %)² = 332.74, and 2279.019·15 points = 341.85.
    for (const size of [10, -10]) {
      const addOns = greeksAddOns(sumGreeks([{ greeks: blackGreeks(REFERENCE), size }]), { forward: 2000, move: 0.12, points: 0.15 })
      expect(addOns.gamma).toBeCloseTo(332.74, 2)
      expect(addOns.vega).toBeCloseTo(341.85, 2)
      expect(addOns.total).toBeCloseTo(addOns.gamma + addOns.vega, 12)
    }
  })

  test('error: refuses prices at 0 and negative times', () => {
    expect(() => blackPrice({ ...REFERENCE, strike: 0 })).toThrow(BadInputError)
    expect(() => blackPrice({ ...REFERENCE, years: -1 })).toThrow(BadInputError)
    expect(() => blackPrice({ ...REFERENCE, discount: 0 })).toThrow(BadInputError)
  })
})
