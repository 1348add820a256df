import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  blackPrice, DERIBIT_27, GRID_NAMES, gridNamed, ownScenario, PMRM2_33, PMRM_23, regimeGrid, scanMargin, spanGrid, TIMS_10, type Book, type Grid, type GridScenario, type Leg,
} from '../../api/risk/index.ts'

const SPAN = spanGrid({ priceScanRange: 0.12, volatilityScanRange: 0.15 })
const CALL = { kind: 'option', asset: 'ETH', call: true, strike: 2000, years: 30 / 365, volatility: 0.6 } as const
const ten = (...legs: Leg[]): Book => ({ prices: { ETH: 2000 }, legs })
const GRIDS: readonly [string, Grid][] = [SPAN, DERIBIT_27, PMRM_23, PMRM2_33, TIMS_10, regimeGrid([{ asset: 'ETH', standsFor: 'ETH', beta: 1 }, { asset: 'BTC', standsFor: 'BTC', beta: 1 }], 'severe')].map((grid) => [grid.id, grid])

describe('SPAN', () => {
  test('vector: ten short calls scan 1889.40 in row 11, and 1267.81 in row 15', () => {
    const scan = scanMargin(ten({ ...CALL, size: -10 }), SPAN)
    expect(scan.scan).toBeCloseTo(1889.4, 2)
    expect(scan.scenario).toBe('11')
    expect(scan.profits[14]).toBeCloseTo(-1267.81, 2)
    expect(scan.initial).toBe(scan.scan)
  })

  test('vector: one long perpetual scans 240, and five of them take ten short calls to 689.40', () => {
    expect(scanMargin(ten({ kind: 'perp', asset: 'ETH', size: 1 }), SPAN).scan).toBeCloseTo(240, 9)
    expect(scanMargin(ten({ ...CALL, size: -10 }, { kind: 'perp', asset: 'ETH', size: 5 }), SPAN).scan).toBeCloseTo(689.4, 2)
  })

  test('vector: the risk array of a future is 0, ⅓, ⅔ and 1 of its range, and 7/10 in the extremes (McMillan, Options as a strategic investment, ch. 34)', () => {
    const array = scanMargin({ prices: { SP: 100_000 }, legs: [{ kind: 'perp', asset: 'SP', size: 1 }] }, spanGrid({ priceScanRange: 0.1, volatilityScanRange: 0.1 })).profits
    expect([...array].map(Math.round)).toEqual([0, 0, 3333, 3333, -3333, -3333, 6667, 6667, -6667, -6667, 10_000, 10_000, -10_000, -10_000, 7000, -7000])
  })

  test('behavior: a minimum per short option holds where the scan asks for less', () => {
    const grid = spanGrid({ priceScanRange: 0.12, volatilityScanRange: 0.15, shortOptionMinimum: 0.03 })
    const far = scanMargin(ten({ ...CALL, size: -1, strike: 8000, years: 8 / 365 }), grid)
    expect(far.scan).toBeLessThan(1)
    expect(far.initial).toBeCloseTo(60, 9)
  })

  test('error: refuses a range of more than the price', () => {
    expect(() => spanGrid({ priceScanRange: 12, volatilityScanRange: 0.15 })).toThrow(BadInputError)
  })
})

describe('Derive’s portfolio margin against its reference cases', () => {
  // Those cases stop at +300 % and dampen the far moves by 0.036 / |move|.
  const tails = (weights: readonly (readonly [number, number])[]): GridScenario[] => weights.map(([move, weight]) => ({ id: `tail ${move}`, move, volatility: 'up', weight, tail: true }))
  const reference = (weights: readonly (readonly [number, number])[] = [[-0.66, 0.036 / 0.66], [-0.33, 0.036 / 0.33], [0.5, 0.072], [1, 0.036], [2, 0.018], [3, 0.012]]): Grid => ({
    ...PMRM2_33,
    scenarios: [...PMRM2_33.scenarios.filter((s) => !s.tail), ...tails(weights)],
  })
  const ETH_10_DAYS = { kind: 'option', asset: 'ETH', call: true, years: 794_852 / 31_536_000, forward: 2682.9997436016715, discount: 0.9962264490688729 } as const
  const eth = (...legs: Leg[]): Book => ({ prices: { ETH: 2681.6029850999994 }, legs })

  test('vector: test 29, one perpetual at 3100 over an index of 3000 with 10 of funding', () => {
    const scan = scanMargin({ prices: { ETH: 3000 }, legs: [{ kind: 'perp', asset: 'ETH', size: 1, mark: 3100 }], cash: 10 }, reference())
    expect(scan.scan).toBeCloseTo(558, 9)
    expect(scan.initialMargin).toBeCloseTo(-608, 9)
    expect(scan.maintenanceMargin).toBeCloseTo(-481.4, 9)
    expect(scan.parts).toEqual([
      { name: 'worst scenario', initial: 558, maintenance: expect.closeTo(446.4, 9) },
      { name: 'perpetuals', initial: 60, maintenance: 45 },
    ])
  })

  test('vector: test 18, a call spread out of the money', () => {
    const scan = scanMargin(eth({ ...ETH_10_DAYS, size: -1, strike: 4000, volatility: 0.8795543651099665 }, { ...ETH_10_DAYS, size: 1, strike: 4200, volatility: 0.8833255402190362 }), reference())
    expect(scan.value).toBeCloseTo(-0.1944703408568294, 9)
    expect(scan.scan).toBeCloseTo(22.15596034331399, 8)
    expect(scan.scenario).toBe('+18 %, volatility up')
    expect(scan.initialMargin).toBeCloseTo(-35.75844560967082, 8)
    expect(scan.maintenanceMargin).toBeCloseTo(-25.96404757080802, 8)
  })

  test('vector: test 20, a short put on BTC', () => {
    const scan = scanMargin(
      { prices: { BTC: 95_663.50604855 }, legs: [{ kind: 'option', asset: 'BTC', size: -1, call: false, strike: 100_000, years: 1_399_652 / 31_536_000, volatility: 0.4547630768795904, forward: 95_923.63240250274, discount: 0.9924833379307125 }] },
      reference(),
    )
    expect(scan.scan).toBeCloseTo(15_603.263080487519, 6)
    expect(scan.initialMargin).toBeCloseTo(-22_163.82044010292, 6)
    expect(scan.maintenanceMargin).toBeCloseTo(-18_851.840811908318, 6)
  })

  test('vector: test 34, a short call that only a far move finds', () => {
    const scan = scanMargin(eth({ ...ETH_10_DAYS, size: -1, strike: 4000, volatility: 0.8795543651099665 }), reference([[-0.66, 4], [-0.33, 2], [0.5, 1], [2, 5]]))
    expect(scan.scan).toBeCloseTo(20_246.949927574693, 5)
    expect(scan.initialMargin).toBeCloseTo(-20_260.64050580988, 5)
  })

  test('vector: test 41, a tilt of the smile decides, and test 46, a long call falls with price and volatility', () => {
    const option = { kind: 'option', asset: 'ETH', call: true, years: 3_214_052 / 31_536_000, forward: 2695.7814942763334, discount: 0.9788248561009755 } as const
    const steep = reference()
    const tilted: Grid = {
      ...steep,
      scenarios: steep.scenarios.map((s) => (s.volatility === 'skew' ? { ...s, weight: 2 } : s)),
      volatility: {
        kind: 'relative', up: 0.5, down: 0.275, shortPower: 0.3, longPower: 0.13, floorDays: 1, minimumUp: 0.45,
        skew: { skew: { cap: 9.5, capPerRootYear: -0.05 }, smile: { cap: 0.15, capPerRootYear: -0.05 }, minimum: 0.01, width: 5, level: 4.5, levelPerRootYear: 4.9 },
      },
    }
    const short = scanMargin(eth({ ...option, size: -15, strike: 5500, volatility: 0.8843198050170489 }), tilted)
    expect(short.scenario).toBe('skew')
    expect(short.scan).toBeCloseTo(1579.5431735562624, 6)
    expect(short.maintenanceMargin).toBeCloseTo(-1413.5868439463693, 6)
    const long = scanMargin(eth({ ...option, size: 1, strike: 2700, volatility: 0.6425252744469268 }), reference())
    expect(long.scenario).toBe('-13.5 %, volatility down')
    expect(long.initialMargin).toBeCloseTo(29.655702000696692, 8)
    expect(long.maintenanceMargin).toBeCloseTo(66.45704396072537, 8)
  })

  test('behavior: the first manager multiplies loss and charges alike, and counts what is owned for less, by hand', () => {
    // A fall of 20 % of 3000 is 600, 3 % of charge 90: 690, times 1.25 to begin with; a peg of 0.98 adds 4·0.01.
    const book: Book = { prices: { ETH: 3000 }, legs: [{ kind: 'perp', asset: 'ETH', size: -1 }] }
    expect(scanMargin(book, PMRM_23)).toMatchObject({ scan: expect.closeTo(600, 9), maintenance: expect.closeTo(690, 9), initial: expect.closeTo(862.5, 9) })
    expect(scanMargin({ ...book, stablePrice: 0.98 }, PMRM_23).initial).toBeCloseTo(690 * 1.29, 9)
    // A call deep in the money, half a year to go: at +20 % it is worth 3100, of which 0.95·e^(−0.06) counts against 2500 now; at −20 % 1900 of the same.
    const deep: Leg = { kind: 'option', asset: 'ETH', size: 1, call: true, strike: 500, years: 0.5, volatility: 0.05 }
    const scan = scanMargin({ prices: { ETH: 3000 }, legs: [deep] }, PMRM_23)
    const counted = 0.95 * Math.exp(-0.06)
    expect(scan.profits[0]).toBeCloseTo(3100 * counted - 2500, 6)
    expect(scan.scan).toBeCloseTo(2500 - 1900 * counted, 6)
    expect(scan.maintenance).toBeCloseTo(scan.scan, 9)
  })

  test('behavior: a settlement token below its peg raises the initial requirement alone', () => {
    const book: Book = { prices: { ETH: 3000 }, legs: [{ kind: 'perp', asset: 'ETH', size: 1 }] }
    const [whole, broken] = [scanMargin(book, PMRM2_33), scanMargin({ ...book, stablePrice: 0.93 }, PMRM2_33)]
    // 0.05 below the threshold of 0.98, times 2.
    expect(broken.initial - whole.initial).toBeCloseTo(0.1 * 540, 9)
    expect(broken.maintenance).toBe(whole.maintenance)
  })
})

describe('the grids as data', () => {
  test('behavior: each has the rows of its name, under ids of their own', () => {
    const sizes = new Map([['SPAN-16', 16], ['DERIBIT-27', 27], ['PMRM-23', 23], ['PMRM2-33', 33], ['TIMS-10', 10], ['REGIMES-severe', 18]])
    for (const [id, { scenarios }] of GRIDS) {
      expect([id, scenarios.length]).toEqual([id, sizes.get(id)])
      expect(new Set(scenarios.map((s) => s.id)).size).toBe(scenarios.length)
    }
  })

  test('behavior: Deribit’s volatility goes up by 38 % at 30 days and by 38 %·2^0.3 at 15', () => {
    const of = (days: number): number => {
      const years = days / 365
      const scan = scanMargin(ten({ ...CALL, size: 1, years }), DERIBIT_27)
      const shift = 0.38 * (30 / days) ** 0.3
      const expected = blackPrice({ call: true, forward: 2000, strike: 2000, years, volatility: 0.6 * (1 + shift) }) - blackPrice({ call: true, forward: 2000, strike: 2000, years, volatility: 0.6 })
      return (scan.profits[12] ?? NaN) - expected
    }
    expect(of(30)).toBeCloseTo(0, 9)
    expect(of(15)).toBeCloseTo(0, 9)
  })

  test('behavior: TIMS sets nine tenths of a gain against a loss, the regimes all of it, SPAN none', () => {
    const book: Book = { prices: { ETH: 2000, BTC: 60_000 }, legs: [{ kind: 'perp', asset: 'ETH', size: 5 }, { kind: 'perp', asset: 'BTC', size: -0.1 }] }
    // At −15 % ETH loses 1500 and BTC gains 900.
    expect(scanMargin(book, TIMS_10)).toMatchObject({ scan: expect.closeTo(1500 - 0.9 * 900, 9), scenario: '-15 %, volatility held' })
    expect(scanMargin(book, SPAN).scan).toBeCloseTo(1200 + 720, 9)
    // Yen unwind, severe: ETH −16.9 %, BTC −7.5 %.
    const regimes = scanMargin(book, regimeGrid([{ asset: 'ETH', standsFor: 'ETH', beta: 1 }, { asset: 'BTC', standsFor: 'BTC', beta: 1 }], 'severe'))
    expect(regimes.profits[9]).toBeCloseTo(-0.169 * 10_000 + 0.075 * 6000, 9)
    expect(regimes.scenario).toBe('correlation-break-mirrored')
  })

  test('behavior: a user’s own shock is a grid like the others', () => {
    const own = regimeGrid([{ asset: 'ETH', standsFor: 'ETH', beta: 1 }], [ownScenario({ id: 'mine', moves: { ETH: -0.5 } }, ['ETH'])])
    expect(scanMargin(ten({ kind: 'perp', asset: 'ETH', size: 1 }), own)).toMatchObject({ scan: 1000, scenario: 'mine' })
  })
})

describe('revaluation by sensitivities', () => {
  /** ±16 % with volatility up 35 % or down 25 %, as in the vector. */
  const wide: Grid = { ...SPAN, id: 'wide', moveUnit: 0.16, scenarios: [1, -1].flatMap((move) => (['up', 'down'] as const).map((volatility): GridScenario => ({ id: `${move} ${volatility}`, move, volatility, weight: 1, tail: false }))), volatility: { kind: 'points', up: 0.21, down: 0.15 } }

  test('vector: ten short calls lose 2617.596 in full and 2817.457 by sensitivities, 7.6 % more', () => {
    const book = ten({ ...CALL, size: -10 })
    expect(scanMargin(book, wide).scan).toBeCloseTo(2617.596, 3)
    const byGreeks = scanMargin(book, wide, 'greeks')
    expect(byGreeks.scan).toBeCloseTo(2817.457, 3)
    expect(byGreeks.scan / 2617.596 - 1).toBeCloseTo(0.076, 3)
    expect(byGreeks.revaluation).toEqual({ inFull: 0, byGreeks: 1 })
  })

  test('behavior: near a strike or a week before expiry it revalues in full, elsewhere not', () => {
    const at = (change: Partial<typeof CALL> | { strike: number } | { years: number }) => scanMargin(ten({ ...CALL, ...change, size: -10 }), wide, 'near strikes in full').revaluation.inFull
    expect(at({})).toBe(1)
    expect(at({ strike: 2300 })).toBe(1)
    expect(at({ strike: 2400, years: 60 / 365 })).toBe(0)
    expect(at({ strike: 2400, years: 6 / 365 })).toBe(1)
  })

  test('behavior: the worst row is told by its sensitivities, which add up to it', () => {
    const [asset] = scanMargin(ten({ ...CALL, size: -10 }, { kind: 'perp', asset: 'ETH', size: 1 }), wide).assets
    const explained = asset?.explained
    // −10·0.53427·320 + 320, ½·Γ·320², ν·0.21; the rest is what the curve gives back.
    expect(explained?.delta).toBeCloseTo(-10 * 0.534269 * 320 + 320, 1)
    expect(explained?.gamma).toBeCloseTo(-591.53, 1)
    expect(explained?.vega).toBeCloseTo(-478.59, 1)
    expect(explained?.rest).toBeCloseTo(2817.457 - 2617.596, 2)
    expect(Object.values(explained ?? {}).reduce((sum, x) => sum + x, 0)).toBeCloseTo(-(asset?.loss ?? NaN), 9)
    expect(scanMargin(ten({ ...CALL, size: 1, strike: 1 }, { kind: 'perp', asset: 'ETH', size: -1 }), { ...wide, scenarios: wide.scenarios.slice(0, 1) }).assets[0]?.explained).toBeNull()
  })

  test('behavior: perps and options share one margin, and the sensitivities of both', () => {
    const scan = scanMargin(ten({ ...CALL, size: -10 }, { kind: 'perp', asset: 'ETH', size: 5.3427 }), wide)
    const greeks = scan.assets[0]?.greeks
    expect(greeks?.delta).toBeCloseTo(0, 3)
    expect(greeks?.vega).toBeCloseTo(-2279.019, 2)
    expect(scan.scan).toBeLessThan(2617.596 / 2)
  })
})

describe('scenario margin', () => {
  const leg = fc.oneof(
    fc.record({ kind: fc.constant('perp' as const), asset: fc.constantFrom('ETH', 'BTC'), size: fc.double({ min: 0.1, max: 50, noNaN: true }).chain((s) => fc.constantFrom(s, -s)) }),
    fc.record({
      kind: fc.constant('option' as const),
      asset: fc.constantFrom('ETH', 'BTC'),
      size: fc.double({ min: 0.1, max: 50, noNaN: true }).chain((s) => fc.constantFrom(s, -s)),
      call: fc.boolean(),
      strike: fc.constantFrom(1600, 2000, 2500, 50_000, 60_000, 75_000),
      years: fc.constantFrom(2 / 365, 30 / 365, 0.5),
      volatility: fc.double({ min: 0.3, max: 1.5, noNaN: true }),
    }),
  )
  const legs = fc.array(leg, { minLength: 1, maxLength: 6 })
  const book = (list: readonly Leg[], k = 1): Book => ({ prices: { ETH: 2000, BTC: 60_000 }, legs: list.map((l) => ({ ...l, size: l.size * k })) })

  test.each(GRIDS)('property: %s is homogeneous, margin(k·book) = k·margin(book)', (_, grid) => {
    fc.assert(
      fc.property(legs, fc.double({ min: 0.01, max: 20, noNaN: true }), (list, k) => {
        const [one, many] = [scanMargin(book(list), grid), scanMargin(book(list, k), grid)]
        // Legs may cancel but for a trillionth of their notional: rounding is a share of that, not of what is left.
        const near = 1e-12 * k * list.reduce((sum, { asset, size }) => sum + Math.abs(size) * (asset === 'BTC' ? 60_000 : 2000), 0) + 1e-9 * (1 + k * one.initial)
        expect(Math.abs(many.initial - k * one.initial)).toBeLessThan(near)
        expect(Math.abs(many.maintenance - k * one.maintenance)).toBeLessThan(near)
      }),
      { numRuns: 30 },
    )
  })

  test.each(GRIDS.filter(([, grid]) => grid.discount === null))('property: %s is sub-additive, two books together need no more than each alone', (_, grid) => {
    fc.assert(
      fc.property(legs, legs, (a, b) => {
        const of = (list: readonly Leg[]): number => scanMargin(book(list), grid).scan
        expect(of([...a, ...b])).toBeLessThanOrEqual(of(a) + of(b) + 1e-6)
      }),
      { numRuns: 30 },
    )
  })

  test('property: the worst of two grids is the larger of the two', () => {
    fc.assert(
      fc.property(legs, fc.integer({ min: 1, max: 26 }), (list, cut) => {
        const of = (scenarios: readonly GridScenario[]): number[] => scanMargin(book(list), { ...DERIBIT_27, scenarios }).assets.map((a) => a.loss)
        const [first, second, both] = [of(DERIBIT_27.scenarios.slice(0, cut)), of(DERIBIT_27.scenarios.slice(cut)), of(DERIBIT_27.scenarios)]
        expect(both).toEqual(first.map((loss, i) => Math.max(loss, second[i] ?? NaN)))
      }),
      { numRuns: 30 },
    )
  })

  test.each(GRIDS.filter(([id]) => !id.startsWith('REGIMES')))('property: %s mirrors long and short perpetuals', (_, grid) => {
    // Far moves up and down differ; within the range a grid is symmetric.
    const symmetric = { ...grid, scenarios: grid.scenarios.filter((s) => !s.tail) }
    fc.assert(fc.property(fc.double({ min: 0.1, max: 100, noNaN: true }), (size) => {
      const of = (s: number): number => scanMargin(ten({ kind: 'perp', asset: 'ETH', size: s }), symmetric).initial
      expect(of(size)).toBeCloseTo(of(-size), 6)
    }), { numRuns: 20 })
  })

  test('behavior: the result names each asset’s worst row and what the requirement is made of', () => {
    const scan = scanMargin(book([{ ...CALL, size: -10 }, { kind: 'perp', asset: 'BTC', size: 1 }]), DERIBIT_27)
    expect(scan.assets.map((a) => [a.asset, a.scenario])).toEqual([['ETH', '+16 %, volatility up'], ['BTC', '-16 %, volatility up']])
    expect(scan.scan).toBeCloseTo((scan.assets[0]?.loss ?? NaN) + 9600, 6)
    expect(scan.parts.map((p) => p.name)).toEqual(['worst scenario', 'short options'])
    expect(scan.initial).toBeCloseTo(scan.parts.reduce((sum, p) => sum + p.initial, 0), 9)
    // 1 % of 2000 for each of ten.
    expect(scan.parts[1]?.initial).toBeCloseTo(200, 9)
  })

  test.each<[string, Partial<Book>, string]>([
    ['an asset without a price', { legs: [{ kind: 'perp', asset: 'OP', size: 1 }] }, 'legs[0].asset'],
    ['an asset named like a part of every object', { legs: [{ kind: 'perp', asset: 'toString', size: 1 }] }, 'legs[0].asset'],
    ['more than all the money there is', { legs: [{ kind: 'perp', asset: 'ETH', size: 1e15 }] }, 'legs[0].size'],
    ['a size of nothing', { legs: [{ kind: 'perp', asset: 'ETH', size: 0 }] }, 'legs[0].size'],
    ['a strike below 0', { legs: [{ kind: 'perp', asset: 'ETH', size: 1 }, { ...CALL, size: 1, strike: -5 }] }, 'legs[1].strike'],
    ['a volatility in percent', { legs: [{ ...CALL, size: 1, volatility: 60 }] }, 'legs[0].volatility'],
    ['an expired option', { legs: [{ ...CALL, size: 1, years: -0.1 }] }, 'legs[0].years'],
    ['a price of 0', { prices: { ETH: 0 } }, 'prices.ETH'],
  ])('error: refuses a book with %s, and names the field', (_, change, field) => {
    expect(() => scanMargin({ ...ten({ ...CALL, size: 1 }), ...change }, SPAN)).toThrow(expect.objectContaining({ name: 'BadInputError', facts: { field } }))
  })

  test('property: whatever book is accepted gets finite numbers from every grid, by either revaluation', () => {
    const wild = fc.record({
      kind: fc.constant('option' as const),
      asset: fc.constantFrom('ETH', 'BTC'),
      size: fc.constantFrom(-1e6, -1e-6, 1e-6, 1e6),
      call: fc.boolean(),
      strike: fc.constantFrom(1e-6, 2000, 1e9),
      years: fc.constantFrom(0, 1e-6, 1 / 365, 10),
      volatility: fc.constantFrom(1e-3, 0.6, 20),
      forward: fc.constantFrom(1e-6, 2000, 1e9),
      discount: fc.constantFrom(0.5, 1, 1.1),
    })
    fc.assert(
      fc.property(fc.array(fc.oneof(leg, wild), { minLength: 1, maxLength: 4 }), fc.constantFrom(...GRIDS.map(([, grid]) => grid)), fc.constantFrom('full' as const, 'near strikes in full' as const), (list, grid, revaluation) => {
        const scan = scanMargin(book(list), grid, revaluation)
        expect([scan.scan, scan.initial, scan.maintenance, scan.value, ...scan.profits].every(Number.isFinite)).toBe(true)
        expect(scan.scan).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 150 },
    )
  })

  test('behavior: every grid has its name for users, and asks for what it lacks', () => {
    const options = { priceScanRange: 0.12, volatilityScanRange: 0.15, assets: [{ asset: 'ETH', standsFor: 'ETH', beta: 1 }] } as const
    for (const name of GRID_NAMES) expect(gridNamed(name, options).id).toMatch(new RegExp(`^${name}`))
    expect(gridNamed('SPAN-16', options)).toEqual(SPAN)
    const refusal = (field: string) => expect.objectContaining({ name: 'BadInputError', facts: { field } })
    expect(() => gridNamed('SPAN-16')).toThrow(refusal('priceScanRange'))
    expect(() => gridNamed('REGIMES')).toThrow(refusal('assets'))
    expect(() => gridNamed('SPAN-17', options)).toThrow(refusal('grid'))
  })

  test('error: refuses a grid that does not move an asset of the book', () => {
    expect(() => scanMargin(book([{ kind: 'perp', asset: 'BTC', size: 1 }]), regimeGrid([{ asset: 'ETH', standsFor: 'ETH', beta: 1 }], 'base'))).toThrow(/Found no move of BTC/)
  })
})
