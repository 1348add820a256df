import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { bridgeComponent, collateralConcentration, collateralHaircut, depegComponent, depositCap, SampleTooSmallError, sizeDiscount, squareRootImpact, stalenessComponent } from '../../api/risk/index.ts'

const eth = { z: 2.326, dailyVolatility: 0.045, horizonHours: 1, quantity: 0.005, dailyVolume: 1, floor: 0 }

describe('haircut with its components', () => {
  test('vector: z 2.326, 4.5 %, 1 h, Q/V 0.005 is 2.14 + 0.32 = 2.455 %, and each part is named', () => {
    const found = collateralHaircut({ ...eth, addOns: [{ name: 'depeg', value: 0.01 }] })
    expect(found.components.map((c) => c.name)).toEqual(['volatility', 'impact', 'depeg'])
    expect(found.components[0]?.value).toBeCloseTo(0.021366, 6)
    expect(found.components[1]?.value).toBeCloseTo(0.003182, 6)
    expect(found.haircut).toBeCloseTo(0.034548, 6)
    expect(collateralHaircut({ ...eth, floor: 0.1 })).toMatchObject({ haircut: 0.1, floored: true })
  })
  test('property: never falls with the age of the price; an hour at 60 % and z 3 is 1.923 %', () => {
    expect(stalenessComponent({ z: 3, sigmaPerYear: 0.6, ageSec: 3600 }).value).toBeCloseTo(0.01923, 5)
    const age = fc.integer({ min: 0, max: 86_400 })
    fc.assert(
      fc.property(age, age, (ageSec, more) => {
        const at = (a: number): number => collateralHaircut({ ...eth, addOns: [stalenessComponent({ z: 3, sigmaPerYear: 0.6, ageSec: a })] }).haircut
        expect(at(ageSec + more)).toBeGreaterThanOrEqual(at(ageSec))
      }),
    )
    expect(() => stalenessComponent({ z: 3, sigmaPerYear: 0.6, ageSec: -1 })).toThrow(BadInputError)
  })
  test('property: never falls with volatility, size, horizon or an add-on', () => {
    const u = fc.double({ min: 0, max: 0.5, noNaN: true })
    fc.assert(
      fc.property(u, u, u, u, u, (sigma, quantity, hours, addOn, more) => {
        const at = (s: number, q: number, h: number, a: number): number => collateralHaircut({ ...eth, dailyVolatility: s, quantity: q, horizonHours: h, addOns: [{ name: 'depeg', value: a }] }).haircut
        const base = at(sigma, quantity, hours, addOn)
        for (const bigger of [at(sigma + more, quantity, hours, addOn), at(sigma, quantity + more, hours, addOn), at(sigma, quantity, hours + more, addOn), at(sigma, quantity, hours, addOn + more)]) expect(bigger).toBeGreaterThanOrEqual(base - 1e-15)
        expect(base).toBeGreaterThanOrEqual(0)
        expect(base).toBeLessThanOrEqual(1)
      }),
    )
  })
  test('behavior: a depeg of a hundredth day and a quarter of the stressed one', () => {
    // 100 days: 97 at the peg, one at 1 %, 2 % and 3 % below. 99 % quantile is 2 %: 0.75·2 % + 0.25·12 % = 4.5 %.
    const discounts = [...Array.from({ length: 97 }, () => 0), 0.01, 0.02, 0.03]
    expect(depegComponent({ discounts, level: 0.99, stressed: 0.12, weight: 0.25 })).toEqual({ name: 'depeg', value: 0.75 * 0.02 + 0.25 * 0.12 })
    expect(depegComponent({ discounts: [-0.01], level: 0.99, stressed: 0, weight: 0 }).value).toBe(0)
    expect(() => depegComponent({ discounts: [], level: 0.99, stressed: 0.1, weight: 0 })).toThrow(SampleTooSmallError)
  })
  test('behavior: a bridge of one hour at 60 % hides what an oracle of that age hides, plus its own floor', () => {
    expect(bridgeComponent({ z: 3, sigmaPerYear: 0.6, finalitySec: 1800, bridgeSec: 1800, riskFloor: 0.005 }).value).toBeCloseTo(0.01923 + 0.005, 5)
  })
})

describe('discount by size', () => {
  const setting = { price: 2, skewScale: 1000, scalar: 0.5, lower: 0.01, upper: 0.1 }
  test('vector: 100 / 1000 · 0.5 is 5 %; SCCP-357 keeps cbBTC within 1 to 7.5 %', () => {
    expect(sizeDiscount({ ...setting, amount: 100 })).toEqual({ discount: 0.05, value: 190, binding: 'size' })
    expect(sizeDiscount({ ...setting, amount: 1, scalar: 1, upper: 0.075 })).toMatchObject({ discount: 0.01, binding: 'lower' })
    expect(sizeDiscount({ ...setting, amount: 900, scalar: 1, upper: 0.075 })).toMatchObject({ discount: 0.075, binding: 'upper' })
  })
  test('property: the discount grows with the amount, and stays within its bounds', () => {
    const amount = fc.double({ min: 0, max: 1e4, noNaN: true })
    fc.assert(
      fc.property(amount, amount, (a, more) => {
        const [one, two] = [sizeDiscount({ ...setting, amount: a }), sizeDiscount({ ...setting, amount: a + more })]
        expect(two.discount).toBeGreaterThanOrEqual(one.discount)
        expect(one.discount).toBeGreaterThanOrEqual(0.01)
        expect(two.discount).toBeLessThanOrEqual(0.1)
      }),
    )
  })
  test('error: refuses bounds that would brick the valuation', () => {
    expect(() => sizeDiscount({ ...setting, amount: 1, upper: 1.1 })).toThrow(BadInputError)
    expect(() => sizeDiscount({ ...setting, amount: 1, lower: 0.2 })).toThrow(BadInputError)
    expect(() => sizeDiscount({ ...setting, amount: 1, skewScale: 0 })).toThrow(BadInputError)
  })
})

describe('concentration', () => {
  test('behavior: shares and indexes by hand', () => {
    const found = collateralConcentration(
      [{ asset: 'WETH', holder: 'a', value: 600 }, { asset: 'WETH', holder: 'b', value: 200 }, { asset: 'OP', holder: 'a', value: 100 }, { asset: 'OP', holder: 'c', value: 100 }, { asset: 'WETH', holder: 'b', value: 0 }],
      { maxAssetShare: 0.7, maxHolderShare: 0.6 },
    )
    // 0.8² + 0.2² = 0.68; WETH 0.75² + 0.25² = 0.625.
    expect(found.herfindahl).toBeCloseTo(0.68, 12)
    expect(found.effectiveAssets).toBeCloseTo(1 / 0.68, 12)
    expect(found.assets.map((a) => [a.asset, a.share, a.topHolder, a.topHolderShare, a.herfindahl, a.holders])).toEqual([['WETH', 0.8, 'a', 0.75, 0.625, 2], ['OP', 0.2, 'a', 0.5, 0.5, 2]])
    expect(found.assets[0]?.warnings).toEqual(['WETH is 80.0 % of all collateral, limit 70.0 %', 'a holds 75.0 % of all WETH, limit 60.0 %'])
    expect(collateralConcentration([], { maxAssetShare: 1, maxHolderShare: 1 })).toMatchObject({ total: 0, herfindahl: 0, effectiveAssets: 0, assets: [] })
  })
  test('property: the index lies between 1/n and 1, and splitting a holder in two lowers it', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 1, maxLength: 12 }), (values) => {
        const of = (list: readonly number[]): number => collateralConcentration(list.map((value, i) => ({ asset: 'X', holder: `h${i}`, value })), { maxAssetShare: 1, maxHolderShare: 1 }).assets[0]?.herfindahl ?? NaN
        const whole = of(values)
        expect(whole).toBeGreaterThanOrEqual(1 / values.length - 1e-12)
        expect(whole).toBeLessThanOrEqual(1 + 1e-12)
        expect(of([(values[0] as number) / 2, (values[0] as number) / 2, ...values.slice(1)])).toBeLessThan(whole)
      }),
    )
  })
})

describe('deposit cap', () => {
  const input = { dailyVolume: 1e6, dailyVolatility: 0.05, horizonHours: 24, maxImpact: 0.01, maxVolumeShare: 0.1, circulatingSupply: 1e6, maxSupplyShare: 0.05, held: 100 }
  test('behavior: the least of what impact, volume and supply allow', () => {
    // (1 % / 5 %)² = 4 % of 1,000,000; a tenth of it; 5 % of the supply.
    const found = depositCap(input)
    expect(found.cap).toBeCloseTo(40_000, 6)
    expect(found).toMatchObject({ binding: 'impact', belowHeld: false })
    expect(depositCap({ ...input, horizonHours: 2.4 })).toMatchObject({ cap: 10_000, binding: 'volume' })
    expect(depositCap({ ...input, circulatingSupply: 1000, held: 51 })).toMatchObject({ cap: 50, binding: 'supply', belowHeld: true })
    expect(depositCap({ ...input, circulatingSupply: null }).terms).toHaveLength(2)
  })
  test('property: round trip: selling the cap costs the impact that set it', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 0.5, noNaN: true }), fc.double({ min: 0.001, max: 0.2, noNaN: true }), (sigma, maxImpact) => {
        const { terms } = depositCap({ ...input, dailyVolatility: sigma, maxImpact })
        expect(squareRootImpact({ dailyVolatility: sigma, quantity: terms[0]?.tokens ?? NaN, dailyVolume: 1e6 })).toBeCloseTo(maxImpact, 12)
      }),
    )
  })
})
