import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  betaTo, bookMargin, correlatedRisk, correlationBand, correlationMatrices, DERIBIT_27, portfolioMargin, regimeGrid, SampleTooSmallError, scanMargin, spanGrid,
  stressBeta, validCorrelation, type Book, type CorrelationMatrices, type Returns, type RiskExposure,
} from '../../api/risk/index.ts'
import { normals, unbroken } from './samples.ts'

const pair = (low: number, median: number, high: number): CorrelationMatrices => correlationMatrices(['BTC', 'ETH'], () => ({ low, median, high }))
const HEDGED: readonly RiskExposure[] = [{ asset: 'BTC', value: 100_000, volatility: 0.035 }, { asset: 'ETH', value: -60_000, volatility: 0.045 }]
const BAND = pair(0.677, 0.838, 0.96)

describe('portfolio margin with correlation', () => {
  test('vector: +100k BTC and −60k ETH at 99 % for three correlations, gross 14,423.36', () => {
    const risk = correlatedRisk(HEDGED, BAND, 0.99)
    expect(risk.byCorrelation.median).toBeCloseTo(4475.91, 2)
    expect(risk.byCorrelation.low).toBeCloseTo(6041.66, 2)
    expect(risk.byCorrelation.high).toBeCloseTo(2748.64, 2)
    expect(risk.gross).toBeCloseTo(14_423.36, 2)
    expect(risk).toMatchObject({ binding: 'low', risk: risk.byCorrelation.low, shrunk: 0 })
  })

  test('behavior: a book on one side fears the high correlation, and three assets both ends at once', () => {
    expect(correlatedRisk(HEDGED.map((e) => ({ ...e, value: Math.abs(e.value) })), BAND, 0.99).binding).toBe('high')
    const mixed: RiskExposure[] = [...HEDGED, { asset: 'OP', value: 50_000, volatility: 0.06 }]
    const band = correlationMatrices(['BTC', 'ETH', 'OP'], () => ({ low: 0.5, median: 0.7, high: 0.9 }))
    const risk = correlatedRisk(mixed, band, 0.99)
    expect(risk.binding).toBe('pair by pair')
    // By hand: w = (3500, −2700, 3000); BTC–ETH and ETH–OP at 0.5, BTC–OP at 0.9.
    const variance = 3500 ** 2 + 2700 ** 2 + 3000 ** 2 - 2 * 0.5 * 3500 * 2700 - 2 * 0.5 * 2700 * 3000 + 2 * 0.9 * 3500 * 3000
    expect(risk.risk).toBeCloseTo(2.3263478740408408 * Math.sqrt(variance), 6)
  })

  test('behavior: the worst scenario, the correlated risk or the cap decides, and the worth of offsets is gross less margin', () => {
    const of = (scenarioLoss: number, creditCap: number) => portfolioMargin({ exposures: HEDGED, correlations: BAND, level: 0.99, creditCap, scenarioLoss, scenario: 'storm' })
    expect(of(0, 0.8)).toMatchObject({ binding: 'correlated risk', margin: expect.closeTo(6041.66, 2), diversification: expect.closeTo(8381.7, 1), offsetCredit: expect.closeTo(0.5811, 4) })
    expect(of(7000, 0.8)).toMatchObject({ binding: 'worst scenario', margin: 7000, scenario: 'storm' })
    // At most 40 % off 14,423.36.
    expect(of(0, 0.4)).toMatchObject({ binding: 'credit cap', margin: expect.closeTo(8654.01, 2), offsetCredit: expect.closeTo(0.4, 12), uncappedCredit: expect.closeTo(0.5811, 4) })
  })

  test('error: refuses a cap of everything, and matrices of another size', () => {
    expect(() => portfolioMargin({ exposures: HEDGED, correlations: BAND, level: 0.99, creditCap: 1 })).toThrow(BadInputError)
    expect(() => correlatedRisk(HEDGED.slice(1), BAND, 0.99)).toThrow(BadInputError)
  })

  const exposures = fc.array(fc.record({ asset: fc.constant('x'), value: fc.double({ min: 1, max: 1e6, noNaN: true }).chain((v) => fc.constantFrom(v, -v)), volatility: fc.double({ min: 0.001, max: 0.3, noNaN: true }) }), { minLength: 1, maxLength: 5 })
  const band = (n: number, a: number, b: number): CorrelationMatrices => correlationMatrices(Array.from({ length: n }, (_, i) => String(i)), () => ({ low: Math.min(a, b), median: (a + b) / 2, high: Math.max(a, b) }))
  const rho = fc.double({ min: -0.9, max: 1, noNaN: true })

  test('property: between nothing and gross, homogeneous, the same for the mirrored book, and growing with the band', () => {
    fc.assert(
      fc.property(exposures, rho, rho, fc.double({ min: 0, max: 0.99, noNaN: true }), (list, a, b, cap) => {
        const of = (k: number, low = a, high = b) => portfolioMargin({ exposures: list.map((e) => ({ ...e, value: k * e.value })), correlations: band(list.length, low, high), level: 0.99, creditCap: cap })
        const one = of(1)
        const near = 1e-6 * (1 + one.gross)
        expect(one.margin).toBeLessThanOrEqual(one.gross + near)
        expect(one.offsetCredit).toBeLessThanOrEqual(cap + 1e-9)
        expect(Math.abs(of(3).margin - 3 * one.margin)).toBeLessThan(3 * near)
        expect(Math.abs(of(-1).margin - one.margin)).toBeLessThan(near)
        expect(one.diversification).toBeCloseTo(one.gross - one.margin, 9)
      }),
    )
  })

  test('property: two exposures: a wider band never needs less', () => {
    fc.assert(
      fc.property(exposures.filter((l) => l.length >= 2), rho, fc.double({ min: 0, max: 0.3, noNaN: true }), (list, mid, width) => {
        const two = list.slice(0, 2)
        const of = (w: number): number => correlatedRisk(two, band(2, Math.max(-1, mid - w), Math.min(1, mid + w)), 0.99).risk
        expect(of(width)).toBeGreaterThanOrEqual(of(0) - 1e-6)
      }),
    )
  })
})

describe('correlation matrices', () => {
  test('behavior: pairs that cannot all be true are shrunk just enough', () => {
    // Two that move together cannot both part from a third: smallest eigenvalue of (1, .9, .9, −.9) is −0.8; λ = 0.8/1.8.
    const impossible = [[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]
    const valid = validCorrelation(impossible)
    expect(valid.shrunk).toBeCloseTo(0.8 / 1.8, 6)
    expect(valid.matrix[0]?.[1]).toBeCloseTo(0.9 * (1 - 0.8 / 1.8), 6)
    expect(validCorrelation([[1, 1], [1, 1]]).shrunk).toBe(0)
  })

  test('property: no weights find a negative variance in what comes out', () => {
    const entry = fc.double({ min: -1, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.array(entry, { minLength: 10, maxLength: 10 }), fc.array(entry, { minLength: 5, maxLength: 5 }), (entries, w) => {
        let at = 0
        const matrix = Array.from({ length: 5 }, () => Array.from({ length: 5 }, () => 1))
        for (let i = 0; i < 5; i++) for (let j = 0; j < i; j++) (matrix[i] as number[])[j] = (matrix[j] as number[])[i] = entries[at++] as number
        const valid = validCorrelation(matrix).matrix
        const variance = w.reduce((sum, x, i) => sum + w.reduce((inner, y, j) => inner + x * y * (valid[i]?.[j] as number), 0), 0)
        expect(variance).toBeGreaterThan(-1e-9)
      }),
    )
  })

  test('behavior: a pair of which nothing is known neither hedges nor diversifies', () => {
    const unknown = correlationMatrices(['A', 'B'], () => null)
    expect(correlatedRisk([{ asset: 'A', value: 100, volatility: 0.1 }, { asset: 'B', value: 100, volatility: 0.1 }], unknown, 0.99)).toMatchObject({ binding: 'high', risk: expect.closeTo(2.3263 * 20, 2) })
    expect(correlatedRisk([{ asset: 'A', value: 100, volatility: 0.1 }, { asset: 'B', value: -100, volatility: 0.1 }], unknown, 0.99).risk).toBeCloseTo(2.3263 * 10 * Math.SQRT2, 2)
  })

  test('error: refuses what is no correlation matrix', () => {
    for (const matrix of [[[1, 2], [2, 1]], [[1, 0.5], [0.4, 1]], [[0.9]], [[1, 0.5]]]) expect(() => validCorrelation(matrix)).toThrow(BadInputError)
  })
})

describe('measured correlation and beta', () => {
  const joint = (n: number, of: (z: number, e: number) => number): [Returns, Returns] => {
    const [z, e] = [normals(n, 71), normals(n, 72)]
    return [unbroken(z.map((x, i) => of(x, e[i] as number))), unbroken(z.map((x) => 0.03 * x))]
  }

  test('behavior: finds the correlation and beta that a sample was made with', () => {
    // a = 1.2·b + 0.02·e: beta 1.2, correlation 0.036 / √(0.036² + 0.02²) = 0.874.
    const sample = joint(2000, (z, e) => 1.2 * 0.03 * z + 0.02 * e)
    expect(betaTo(...sample)).toMatchObject({ beta: expect.closeTo(1.2, 1), correlation: expect.closeTo(0.874, 1), observations: 2000 })
    const band = correlationBand(...sample, 90)
    expect(band.low).toBeLessThan(band.median)
    expect(band.median).toBeLessThan(band.high)
    expect(band.median).toBeCloseTo(0.874, 1)
    expect(band.windows).toBe(1911)
  })

  test('behavior: a market that falls harder than it rises gets the beta of falls in a stress, and at least 1', () => {
    const sample = joint(3000, (z) => (z < -1 ? 2 : 0.5) * 0.03 * z)
    const beta = betaTo(...sample, 0.03)
    expect(beta.beta).toBeLessThan(1.6)
    expect(beta.onFalls).toBeCloseTo(2, 6)
    expect(stressBeta(beta, null)).toBeCloseTo(2, 6)
    expect(stressBeta({ beta: 0.4, correlation: 0.3, observations: 100, onFalls: null }, null)).toBe(1)
    expect(stressBeta(null, null)).toBe(1)
  })

  test('behavior: a return over four bars counts as four of a quarter', () => {
    const [a, b] = joint(400, (z, e) => 0.03 * z + 0.01 * e)
    const [wide, wider] = [a, b].map((r) => ({ ...r, values: r.values.map((x) => 2 * x), spans: new Float64Array(400).fill(4) })) as [Returns, Returns]
    expect(betaTo(wide, wider).beta).toBeCloseTo(betaTo(a, b).beta, 12)
  })

  test('error: too few pairs are unknown, never a guess', () => {
    expect(() => betaTo(...joint(29, (z) => z))).toThrow(SampleTooSmallError)
    expect(() => correlationBand(...joint(119, (z) => z), 90)).toThrow(SampleTooSmallError)
    expect(correlationBand(...joint(120, (z, e) => z + e), 90).warnings).toHaveLength(1)
    expect(() => correlationBand(...joint(200, () => 0), 90)).toThrow(BadInputError)
    expect(() => betaTo(unbroken(normals(40, 1)), unbroken(normals(41, 1)))).toThrow(BadInputError)
  })
})

describe('margin of a book with options', () => {
  const option = { kind: 'option', asset: 'ETH', call: true, strike: 2000, years: 30 / 365, volatility: 0.6 } as const
  const input = {
    grid: DERIBIT_27,
    volatilities: { ETH: 0.045, BTC: 0.035 },
    correlations: (assets: readonly string[]) => correlationMatrices(assets, () => ({ low: 0.677, median: 0.838, high: 0.96 })),
    level: 0.99,
    creditCap: 0.8,
  }
  const of = (legs: Book['legs'], prices = { ETH: 2000, BTC: 60_000 }) => bookMargin({ ...input, book: { prices, legs } })

  test('behavior: one asset never needs less than its scan, and a hedged pair less than both', () => {
    const one = of([{ kind: 'perp', asset: 'ETH', size: 10 }])
    expect(one.margin.margin).toBeCloseTo(0.16 * 20_000, 6)
    const pair = of([{ kind: 'perp', asset: 'ETH', size: 10 }, { kind: 'perp', asset: 'BTC', size: -0.3 }])
    expect(pair.margin.gross).toBeCloseTo(0.16 * 38_000, 6)
    // Both at 16 %: √(20² + 18² − 2·0.677·20·18)·0.16 thousand.
    expect(pair.margin.margin).toBeCloseTo(160 * Math.sqrt(400 + 324 - 2 * 0.677 * 360), 4)
    expect(pair.margin.correlated.binding).toBe('low')
  })

  test('behavior: a book without delta still pays for its curvature, and another asset does not hedge that', () => {
    const delta = scanMargin({ prices: { ETH: 2000 }, legs: [{ ...option, size: 1 }] }, DERIBIT_27).assets[0]?.greeks.delta ?? NaN
    const neutral = of([{ ...option, size: -10 }, { kind: 'perp', asset: 'ETH', size: 10 * delta }])
    expect(neutral.assets[0]?.unhedged).toBeCloseTo(neutral.scan.scan, 6)
    expect(neutral.margin.margin).toBeCloseTo(neutral.scan.scan, 6)
    const more = of([{ ...option, size: -10 }, { kind: 'perp', asset: 'ETH', size: 10 * delta }, { kind: 'perp', asset: 'BTC', size: -0.1 }])
    expect(more.margin.margin).toBeGreaterThan(neutral.margin.margin)
  })

  test('behavior: requirements carry the grid’s factors and charges, and netting within and across assets is told apart', () => {
    const result = of([{ ...option, size: -10 }, { kind: 'perp', asset: 'ETH', size: 5 }, { kind: 'perp', asset: 'BTC', size: -0.1 }])
    // Ten short calls at 1 % of 2000; Deribit's maintenance is 80 % of both.
    expect(result.initial).toBeCloseTo(result.margin.margin + 200, 6)
    expect(result.maintenance).toBeCloseTo(0.8 * (result.margin.margin + 200), 6)
    expect(result.initialMargin).toBeCloseTo(result.value - result.initial, 9)
    const alone = (legs: Book['legs']): number => of(legs).margin.margin
    expect(result.isolated).toBeCloseTo(alone([{ ...option, size: -10 }]) + alone([{ kind: 'perp', asset: 'ETH', size: 5 }]) + alone([{ kind: 'perp', asset: 'BTC', size: -0.1 }]), 6)
    expect(result.isolated).toBeGreaterThan(result.margin.gross)
    expect(result.margin.gross).toBeGreaterThan(result.margin.margin)
  })

  test('behavior: joint regimes stand beside the correlations, and decide for a book that history hurts more', () => {
    const joint = regimeGrid([{ asset: 'ETH', standsFor: 'ETH', beta: 1 }, { asset: 'BTC', standsFor: 'BTC', beta: 1 }], 'severe')
    const book: Book = { prices: { ETH: 2000, BTC: 60_000 }, legs: [{ kind: 'perp', asset: 'ETH', size: 10 }, { kind: 'perp', asset: 'BTC', size: 0.3 }] }
    const result = bookMargin({ ...input, book, joint, grid: spanGrid({ priceScanRange: 0.12, volatilityScanRange: 0.15 }) })
    // Covid: 28.5 % of 20,000 and 28.3 % of 18,000.
    expect(result.margin).toMatchObject({ binding: 'worst scenario', scenario: 'covid-2020-03-12', margin: expect.closeTo(0.285 * 20_000 + 0.283 * 18_000, 6) })
  })

  test('property: between the capped gross and gross, homogeneous, and no less than any asset’s share of the cap', () => {
    const size = fc.double({ min: 0.1, max: 20, noNaN: true }).chain((s) => fc.constantFrom(s, -s))
    fc.assert(
      fc.property(size, size, size, fc.double({ min: 0.1, max: 9, noNaN: true }), (a, b, c, k) => {
        const legs = (f: number): Book['legs'] => [{ kind: 'perp', asset: 'ETH', size: a * f }, { ...option, size: b * f }, { kind: 'perp', asset: 'BTC', size: (c * f) / 30 }]
        const [one, many] = [of(legs(1)), of(legs(k))]
        expect(one.margin.margin).toBeLessThanOrEqual(one.margin.gross * (1 + 1e-9))
        expect(one.margin.margin).toBeGreaterThanOrEqual(0.2 * one.margin.gross * (1 - 1e-9))
        expect(many.margin.margin / (k * one.margin.margin)).toBeCloseTo(1, 6)
        for (const [i, asset] of one.assets.entries()) expect(asset.alone).toBeGreaterThanOrEqual((one.scan.assets[i]?.loss ?? NaN) * (1 - 1e-9))
      }),
      { numRuns: 60 },
    )
  })

  test('behavior: a book of cash alone needs nothing', () => {
    expect(bookMargin({ ...input, book: { prices: {}, legs: [], cash: 50 } })).toMatchObject({ initial: 0, maintenance: 0, initialMargin: 50, isolated: 0, margin: { margin: 0, gross: 0, offsetCredit: 0 } })
  })

  test('error: names the asset whose volatility is missing', () => {
    expect(() => bookMargin({ ...input, volatilities: { BTC: 0.03 }, book: { prices: { ETH: 2000 }, legs: [{ kind: 'perp', asset: 'ETH', size: 1 }] } })).toThrow(
      expect.objectContaining({ facts: { field: 'volatilities.ETH' } }),
    )
  })
})
