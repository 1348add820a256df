import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { accountUnder } from '../../api/risk/index.ts'
import { byUrgency, canonicalJson, DEFAULT_POLICY, digestOf, models, mostUrgentSettable, recompute, recomputeRun, type RecommendationContent } from '../../api/recommendations/index.ts'
import { createContext, fundCapacityE18, stressAccounts, stressAssetOf } from '../../api/recommendations/context.ts'
import { formatRaw, percent } from '../../api/recommendations/format.ts'
import { modelOf } from '../../api/recommendations/model.ts'
import { seriesOf, spreadsOf, swapsOf } from '../../api/recommendations/gather.ts'
import type { RunInputs } from '../../api/recommendations/inputs.ts'
import { curie } from '../../protocols/curie/index.ts'
import { AS_OF_SEC, book, ETH, FEEDS, OP, PROTOCOL, sqrtX96, walk, WETH } from './book.ts'

const find = (all: readonly RecommendationContent[], parameter: string, subject: string): RecommendationContent => {
  const found = all.find((r) => r.parameter === parameter && r.subject === subject)
  if (found === undefined) throw new Error(`no recommendation for ${parameter} of ${subject}`)
  return found
}
const patch = (inputs: RunInputs, name: string, subject: string, change: object): RunInputs => ({ ...inputs, parameters: inputs.parameters.map((p) => (p.name === name && p.subject === subject ? { ...p, ...change } : p)) })

describe('canonical JSON', () => {
  test('behavior: keys are sorted, bigint is decimal text, and reading it back writes it the same', () => {
    expect(canonicalJson({ b: [1, 'x', null], a: { d: 5n, c: 0.1 } })).toBe('{"a":{"c":0.1,"d":"5"},"b":[1,"x",null]}')
    fc.assert(fc.property(fc.jsonValue(), (value) => canonicalJson(JSON.parse(canonicalJson(value))) === canonicalJson(value)))
  })
  test('error: refuses what JSON cannot hold', () => {
    expect(() => canonicalJson({ a: undefined })).toThrow('Found undefined')
    expect(() => canonicalJson(Number.NaN)).toThrow('Found NaN')
  })
  test('vector: SHA-256 of "{}"', () => {
    expect(digestOf({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
  })
})

describe('a run', () => {
  const inputs = book()
  const all = recomputeRun(inputs)

  test('behavior: speaks of every parameter that it has a model for, once per subject', () => {
    expect(all.map((r) => `${r.parameter}:${r.subjectLabel}`)).toEqual([
      'collateralRatio:WETH', 'distributionThreshold:protocol', 'imRatio:protocol', 'insuranceFundFeeRatio:vETH', 'insuranceFundFeeRatio:vOP', 'liquidationPenaltyRatio:protocol',
      'marketMaxPriceSpreadRatio:vETH', 'marketMaxPriceSpreadRatio:vOP', 'maxTickCrossedWithinBlock:vETH', 'maxTickCrossedWithinBlock:vOP', 'mmRatio:protocol',
    ].sort())
    expect(models()).toHaveLength(8)
  })

  test('behavior: a band of 10 % over a 5-minute volatility of about 0.41 % is halved, since one step moves at most half', () => {
    const band = find(all, 'marketMaxPriceSpreadRatio', ETH)
    expect(band).toMatchObject({ current: 100_000n, recommended: 50_000n, direction: 'TIGHTEN', settable: true, advisory: null })
    // 6 × 0.41 % = 2.46 %; the sample's own σ of 2,159 returns lies within 3 standard errors, 4.6 %.
    expect(band.modelValue).toBeGreaterThan(0.0246 * 0.95)
    expect(band.modelValue).toBeLessThan(0.0246 * 1.1)
    expect(band.reason).toMatch(/^5-minute volatility of 0\.4\d? % over 8,640 bars asks for a band of 2\.\d+ %, it is 10 %; this step goes to 5 % \(rate limit\)$/)
    expect(band.evidence.find((e) => e.label === 'Bars without an update')?.value).toBe('6,480')
  })

  test('behavior: the tick cap follows from the band: ln(1 + b) / ln 1.0001', () => {
    const band = find(all, 'marketMaxPriceSpreadRatio', ETH).modelValue ?? 0
    expect(find(all, 'maxTickCrossedWithinBlock', ETH).modelValue).toBe(Math.round(Math.log(1 + band) / Math.log(1.0001)))
  })

  test('behavior: the tick cap shows how much it takes to move the price that far, and says when that is unknown', () => {
    const depth = (subject: string): string | undefined => find(all, 'maxTickCrossedWithinBlock', subject).evidence.find((e) => e.label === 'Depth within those ticks')?.value
    // L 200,000 at √3000 = 54.7723; √(1 + b) − 1 for the ticks t is e^(t·ln 1.0001/2) − 1, so L·√P·that.
    const ticks = find(all, 'maxTickCrossedWithinBlock', ETH).modelValue ?? 0
    const up = 200_000 * Math.sqrt(3_000) * Math.expm1((ticks * Math.log(1.0001)) / 2)
    expect(Number(depth(ETH)?.split(' ')[0]?.replaceAll(',', ''))).toBeCloseTo(up, -1)
    expect(depth(OP)).toBe('unknown')
  })

  test('behavior: the ticks’ sentence gives the move that they allow, and says where the contract takes no more', () => {
    const calm = find(all, 'maxTickCrossedWithinBlock', ETH)
    const ticks = calm.modelValue ?? 0
    expect(calm.reason).toContain(`asks for ${ticks} ticks, a move of ${percent(1.0001 ** ticks - 1)}, it is`)
    // σ of 2 % per 5 minutes asks for about 12 %, while 1.0001^1000 − 1 = 10.52 %.
    const stormy: RunInputs = { ...inputs, series: inputs.series.map((s) => (s.feed === FEEDS.ETH ? walk(FEEDS.ETH, { sigma: 0.02, last: 3_000, everyBars: 4, seed: 13, updates: 2_160 }) : s)) }
    const capped = find(recomputeRun(stormy), 'maxTickCrossedWithinBlock', ETH)
    expect(capped.modelValue).toBe(1000)
    expect(capped.reason).toMatch(/asks for 1,000 ticks, the most the contract takes \(a move of 10\.52 % for a band of 1\d\.\d+ %\), it is 1,000 ticks/)
  })

  test('behavior: margin ratios are advisory, because the protocol has no setter', () => {
    for (const name of ['imRatio', 'mmRatio']) {
      const margin = find(all, name, PROTOCOL)
      expect(margin.settable).toBe(false)
      expect(margin.advisory).toMatch(/^advisory: needs an upgrade/)
    }
    const [initial, maintenance] = ['imRatio', 'mmRatio'].map((name) => find(all, name, PROTOCOL).modelValue ?? 0) as [number, number]
    expect(initial / maintenance).toBeGreaterThanOrEqual(1.3 - 1e-12)
  })

  test('behavior: every recommended value is one that the contract accepts, in whole quanta or as it stands', () => {
    for (const r of all) {
      const { min, max } = curie.catalog.find(r.parameter).bounds
      expect(r.recommended >= min && r.recommended <= max).toBe(true)
      const quantum = BigInt(DEFAULT_POLICY.parameters[r.parameter]?.quantum ?? '1')
      expect(r.direction === 'HOLD' || r.recommended % quantum === 0n).toBe(true)
      expect(r.urgency).toBeGreaterThanOrEqual(0)
      expect(r.urgency).toBeLessThanOrEqual(100)
      expect(r.direction === 'HOLD').toBe(r.recommended === r.current)
    }
  })

  test('behavior: the same inputs give the same bytes, through a database’s reordering of keys as well', () => {
    const stored = JSON.parse(JSON.stringify(inputs, Object.keys(flattenKeys(inputs)).reverse())) as RunInputs
    expect(canonicalJson(stored)).toBe(canonicalJson(inputs))
    expect(canonicalJson(recomputeRun(stored))).toBe(canonicalJson(all))
  })

  test('behavior: each recommendation is recomputed from its own stored inputs, byte for byte', () => {
    for (const r of all) expect(canonicalJson(recompute(JSON.parse(canonicalJson(r.inputs))))).toBe(canonicalJson(r))
  })

  test('error: refuses inputs of a model version that is not here', () => {
    expect(() => recompute({ ...(all[0] as RecommendationContent).inputs, modelVersion: '0' })).toThrow(BadInputError)
  })

  test('behavior: applied, a recommendation cools down, and the next most urgent takes its place', () => {
    const first = mostUrgentSettable(all)
    if (first === null) throw new Error('nothing to do')
    const after = recomputeRun(patch(inputs, first.parameter, first.subject, { current: first.recommended.toString(), changedAtSec: AS_OF_SEC - 60 }))
    const again = find(after, first.parameter, first.subject)
    expect(again.direction).toBe('HOLD')
    expect(again.adjustments.at(-1)?.step).toBe('cooldown')
    const next = mostUrgentSettable(after)
    expect(next === null || next.parameter !== first.parameter || next.subject !== first.subject).toBe(true)
  })

  test('property: no flapping: step after step every settable parameter settles, and stays', () => {
    let state = inputs
    for (let i = 0; i < 40; i++) {
      for (const r of recomputeRun(state)) state = patch(state, r.parameter, r.subject, { current: r.recommended.toString() })
    }
    // Margin ratios feed the penalty's cap and are not set by anyone; all others have settled.
    const moving = recomputeRun(state).filter((r) => r.settable && r.direction !== 'HOLD')
    expect(moving.map((r) => r.parameter)).toEqual([])
  })

  test('behavior: a larger volatility widens the band, and a WATCH keeps it from being loosened', () => {
    const stormy: RunInputs = patch({ ...inputs, series: inputs.series.map((s) => (s.feed === FEEDS.ETH ? walk(FEEDS.ETH, { sigma: 0.02, last: 3_000, everyBars: 4, seed: 13, updates: 2_160 }) : s)) }, 'marketMaxPriceSpreadRatio', ETH, { current: '20000' })
    expect(find(recomputeRun(stormy), 'marketMaxPriceSpreadRatio', ETH).direction).toBe('LOOSEN')
    const stale: RunInputs = { ...stormy, markets: stormy.markets.map((m) => (m.id === ETH && m.oracle !== null ? { ...m, oracle: { ...m.oracle, priceTimestampSec: AS_OF_SEC - 1_500 } } : m)) }
    const held = find(recomputeRun(stale), 'marketMaxPriceSpreadRatio', ETH)
    expect(held.direction).toBe('HOLD')
    expect(held.adjustments.at(-1)?.step).toBe('breaker')
    expect(held.evidence.some((e) => e.label === 'Alarm' && e.value.includes('1500 s old'))).toBe(true)
  })
})

describe('sentences of the margins', () => {
  const parameter = book().parameters.find((p) => p.name === 'imRatio')
  if (parameter === undefined) throw new Error('no parameter')
  const horizon = [{ name: 'oracleAgeSec', value: 1_200, origin: 'MEASURED', why: '' }, { name: 'detectionSec', value: 600, origin: 'MEASURED', why: '' }, { name: 'liquidationSec', value: 1_800, origin: 'ASSUMED', why: '' }]
  const market = { symbol: 'vETH', horizon, side: 'down', initialNow: 0.06, initialLongRun: 0.05, maintenanceNow: 0.03, maintenanceLongRun: 0.025, impact: 0.005, method: 'at once', notional: 1_000, observations: 600, tailPoints: 6, confidence: { value: 1, because: '' } }
  const data = { markets: [market], level: 0.975, penalty: 0.005, buffer: 0.25, minRatio: 1.3, min: 0.02, max: 0.5, reactionSec: 10_800, windowSec: 2_592_000 }
  const say = (name: string, change: object, more: object = {}): string => modelOf(name)?.evaluate(JSON.parse(JSON.stringify({ ...data, ...more, markets: [{ ...market, ...change }] })), parameter, 'USDC').because ?? ''

  test('behavior: the terms that are named add up to the margin, whichever of them decides', () => {
    // 3 + 0.5 + 0.5 = 4; 1.25 · 6 + 0.5 = 8.
    expect(say('mmRatio', {})).toBe('the 97.5 % expected shortfall in vETH of 3 % over the 60 min that a liquidation takes, 0.5 % of impact and the penalty of 0.5 % ask for a maintenance margin of 4 %')
    expect(say('imRatio', {})).toBe('the 97.5 % expected shortfall in vETH of 6 % over 4 h, the buffer of 25 % on it and 0.5 % of impact ask for an initial margin of 8 %')
    // 9 + 0.5 > 1.25 · 6 + 0.5.
    expect(say('imRatio', { initialLongRun: 0.09 })).toBe('the 97.5 % expected shortfall in vETH of 9 % over 4 h at the window’s volatility and 0.5 % of impact ask for an initial margin of 9.5 %')
    // 3 + 0.5 + 4.5 = 8, times 1.3 = 10.4 > 8.
    expect(say('imRatio', {}, { penalty: 0.045 })).toBe('the 97.5 % expected shortfall in vETH of 3 % over the 60 min that a liquidation takes, 0.5 % of impact and the penalty of 4.5 % ask for a maintenance margin of 8 %, and 1.3 times that for an initial margin of 10.4 %')
    // 1.25 · 48 = 60, held to 50.
    expect(say('imRatio', { initialNow: 0.48 })).toBe('the 97.5 % expected shortfall in vETH over 4 h, 60 % with its buffer, is held to the policy’s bound of 50 %, which with 0.5 % of impact asks for an initial margin of 50.5 %')
  })

  test('behavior: a margin that is mostly impact says that the market is too thin', () => {
    expect(say('mmRatio', { impact: 0.8676 })).toBe('closing 1,000 USD in vETH, which is too thin for its positions, costs 86.76 %: the 97.5 % expected shortfall in vETH of 3 % over the 60 min that a liquidation takes, that impact and the penalty of 0.5 % ask for a maintenance margin of 90.26 %')
    expect(say('imRatio', { impact: 0.8676 })).toMatch(/^closing 1,000 USD in vETH, which is too thin for its positions, .* ask for a maintenance margin of 90\.26 %, and 1\.3 times that for an initial margin of 117\.34 %$/)
  })
})

describe('sentence of the distribution threshold', () => {
  const s = (id: string, total: number, cover1: number, cover2: number) => ({ id, total, cover1, cover2, accountsInLoss: 3 })
  const parameter = book().parameters.find((p) => p.name === 'distributionThreshold')
  if (parameter === undefined) throw new Error('no parameter')
  const say = (shortfalls: readonly object[], openInterest: number): string =>
    modelOf('distributionThreshold')?.evaluate(JSON.parse(JSON.stringify({ shortfalls, openInterest, kappa: 0.01, capacity: 0, incomePerDay: 0, simulation: null, simulationUnknown: 'none', refillSec: 600, accounts: 4, assumedBetas: [], confidence: { value: 1, because: '' } })), parameter, 'USDC').because ?? ''

  test('behavior: names the term that decides, with the value that is asked for', () => {
    // Cover-2 is largest where the total is not; ⌈3/4⌉ = 1 worst total.
    expect(say([s('a', 100, 40, 170), s('b', 160, 50, 100), s('c', 0, 0, 0)], 100)).toBe('the two largest account losses of one stress scenario, 170 USDC in a, ask for a threshold of 170 USDC')
    // ⌈5/4⌉ = 2 worst: (1,000 + 600)/2 = 800.
    expect(say([s('a', 1000, 400, 700), s('b', 600, 300, 500), s('c', 0, 0, 0), s('d', 0, 0, 0), s('e', 0, 0, 0)], 100)).toBe('the worst quarter of 5 stress scenarios leaves 800 USDC unpaid on average (most in a, 1,000 USDC by 3 of 4 accounts), which asks for a threshold of 800 USDC')
    expect(say([s('a', 100, 40, 70)], 50_000)).toBe('1 % of 50,000 USDC open interest, above what the stress scenarios take, asks for a threshold of 500 USDC')
    expect(say([s('a', 0, 0, 0), s('b', 0, 0, 0)], 0)).toBe('none of 2 stress scenarios leaves a loss, and there is no open interest: the book asks for a threshold of 0.00 USDC')
  })
})

describe('factors in sentences and evidence', () => {
  const inputs = book()
  test('behavior: where the usual spread decides, its factor is named and makes the band', () => {
    // 400 spreads of 4 %: 1.5 × 4 % = 6 %, above 6 volatilities of about 0.41 %.
    const wide: RunInputs = { ...inputs, markets: inputs.markets.map((m) => ({ ...m, spreadsE6: m.spreadsE6.map(() => 40_000) })) }
    const band = find(recomputeRun(wide), 'marketMaxPriceSpreadRatio', ETH)
    expect(band.modelValue).toBeCloseTo(0.06, 12)
    expect(band.reason).toMatch(/^95 % of 400 trades end within 4 % of the index, and 1\.5 times that asks for a band of 6 % \(5-minute volatility of 0\.4\d? % over 8,640 bars asks for less\), it is 10 %/)
    expect(band.evidence.find((e) => e.label === 'Usual spreads in the band')?.value).toBe('1.5')
  })
  test('behavior: a haircut names its impact, and the floor where that decides', () => {
    const at = (floor: number): string => find(recomputeRun({ ...inputs, policy: { ...inputs.policy, collateral: { ...inputs.policy.collateral, floor } } }), 'collateralRatio', WETH).reason
    expect(at(0.1)).toMatch(/, [\d.]+ % of impact and the liquidation discount of 5 % ask for a haircut of 1\d\.\d+ %, a collateral ratio of 8\d\.\d+ %, it is 85 %/)
    expect(at(0.4)).toMatch(/ ask for less than the smallest haircut that the policy allows, 40 %, a collateral ratio of 60 %, it is 85 %/)
  })
  test('behavior: the penalty’s cap is the policy’s share of the maintenance margin, and its largest cost is named', () => {
    const capped: RunInputs = { ...inputs, policy: { ...inputs.policy, penalty: { ...inputs.policy.penalty, capShare: 0.1 } } }
    const penalty = find(recomputeRun(capped), 'liquidationPenaltyRatio', PROTOCOL)
    // 10 % of 6.25 %, rounded to two decimals.
    expect(penalty.reason).toMatch(/^A keeper who closes .* needs a penalty of [\d.]+ %, for (impact|gas|trading fee|latency) of [\d.]+ % above all \(at most 0\.63 % is asked for, 10 % of the maintenance margin\)/)
    expect(penalty.modelValue).toBeCloseTo(0.00625, 12)
  })
})

describe('values that are switches', () => {
  test('behavior: a distribution threshold of 0 pays nothing out, so that any other value would be looser: held', () => {
    // InsuranceFund.distributeFee: require(distributionThreshold > 0, "IF_DTEZ").
    const held = find(recomputeRun(patch(book(), 'distributionThreshold', PROTOCOL, { current: '0' })), 'distributionThreshold', PROTOCOL)
    expect(held).toMatchObject({ current: 0n, recommended: 0n, direction: 'HOLD', urgency: 0 })
    expect(held.modelValue).toBeGreaterThan(0)
    expect(held.reason).toMatch(/, it is 0 USDC; held \(switched off: distribution is off, a threshold of 0 pays nothing out; people switch it on\)$/)
    expect(held.adjustments).toHaveLength(1)
    const open = find(recomputeRun(patch(book(), 'distributionThreshold', PROTOCOL, { current: '1' })), 'distributionThreshold', PROTOCOL)
    expect(open.direction).toBe('TIGHTEN')
  })

  test('behavior: a tick cap of 0 stops trading on purpose, and is never loosened', () => {
    // Exchange.swap: require(_maxTickCrossedWithinBlockMap[baseToken] > 0, "EX_MIP").
    const all = recomputeRun(patch(book(), 'maxTickCrossedWithinBlock', ETH, { current: '0' }))
    const held = find(all, 'maxTickCrossedWithinBlock', ETH)
    expect(held).toMatchObject({ current: 0n, recommended: 0n, direction: 'HOLD', urgency: 0 })
    expect(held.reason).toMatch(/, it is 0 ticks; held \(switched off: trading is stopped by a tick cap of 0; people reopen it\)$/)
    expect(find(recomputeRun(patch(book(), 'maxTickCrossedWithinBlock', ETH, { current: '50' })), 'maxTickCrossedWithinBlock', ETH).direction).toBe('LOOSEN')
    expect(canonicalJson(recompute(held.inputs))).toBe(canonicalJson(held))
  })
})

describe('small samples', () => {
  const inputs = book()
  const short = (updates: number): RunInputs => ({ ...inputs, series: inputs.series.map((s) => (s.feed === FEEDS.ETH ? walk(FEEDS.ETH, { sigma: 0.004, last: 3_000, everyBars: 4, seed: 13, updates }) : s)) })

  test('behavior: below 30 returns the band is unknown, and says so', () => {
    const band = find(recomputeRun(short(30)), 'marketMaxPriceSpreadRatio', ETH)
    expect(band).toMatchObject({ direction: 'HOLD', modelValue: null, urgency: 0, confidence: 0, recommended: 100_000n })
    expect(band.reason).toBe('Unknown: EWMA volatility of vETH: found 29 observations, needed are at least 30; wait for more history')
  })
  test('behavior: below 500 residuals the band is known and margins are not', () => {
    const all = recomputeRun(short(300))
    expect(find(all, 'marketMaxPriceSpreadRatio', ETH).modelValue).not.toBeNull()
    expect(find(all, 'imRatio', PROTOCOL).modelValue).toBeNull()
    expect(find(all, 'imRatio', PROTOCOL).reason).toContain('found 269 observations, needed are at least 500')
  })
  test('behavior: a small sample lowers confidence, so it is less urgent', () => {
    expect(find(recomputeRun(short(300)), 'marketMaxPriceSpreadRatio', ETH).urgency).toBeLessThan(find(recomputeRun(inputs), 'marketMaxPriceSpreadRatio', ETH).urgency)
  })
  test('behavior: without any price everything that needs one is unknown, and nothing is settable', () => {
    const blind: RunInputs = { ...inputs, series: [], markets: inputs.markets.map((m) => ({ ...m, oracle: null })), collaterals: inputs.collaterals.map((c) => ({ ...c, oracle: null })) }
    const all = recomputeRun(blind)
    for (const name of ['marketMaxPriceSpreadRatio', 'maxTickCrossedWithinBlock']) expect(find(all, name, ETH).modelValue).toBeNull()
    expect(find(all, 'collateralRatio', WETH).modelValue).toBeNull()
    expect(find(all, 'distributionThreshold', PROTOCOL).modelValue).toBeNull()
    expect(mostUrgentSettable(all)).toBeNull()
  })
})

describe('stress accounts', () => {
  test('behavior: without a shock an account is worth collateral plus PnL, by hand', () => {
    const [one, two] = stressAccounts(createContext(book()))
    const still = { id: 'still', changeOf: () => 0, costOf: () => 0 }
    if (one === undefined || two === undefined) throw new Error('no accounts')
    // 100,000 + 300·3,000 − 900,000.
    expect(accountUnder(one, still).value).toBeCloseTo(100_000, 6)
    // 20,000 + 500 + (150,000 − 151,000) + (82,000 − 80,000) + 5·3,000·0.85; a liquidation would recover 95 %.
    expect(accountUnder(two, still).value).toBeCloseTo(34_250, 6)
    expect(accountUnder(two, still).recoverable).toBeCloseTo(35_750, 6)
    expect(accountUnder(two, still).gross).toBeCloseTo(230_000, 6)
  })
  test('behavior: history stands for a market by the name in its symbol', () => {
    expect(['vETH', 'WETH', 'vBTC', 'vOP'].map(stressAssetOf)).toEqual(['ETH', 'ETH', 'BTC', 'OTHER'])
  })
})

describe('policy', () => {
  test('property: every parameter’s limits can move every value that its bounds allow', () => {
    for (const [name, policy] of Object.entries(DEFAULT_POLICY.parameters)) {
      const { min, max } = curie.catalog.find(name).bounds
      expect(BigInt(policy.min) >= min && BigInt(policy.max) <= max).toBe(true)
      fc.assert(
        fc.property(fc.bigInt({ min: BigInt(policy.min), max: BigInt(policy.max) }), (current) => {
          const at = (rel: number, floor: string): number => Math.max(Number(current) * rel, Number(floor))
          const least = at(policy.deadbandRel, policy.deadbandFloor) + Number(policy.quantum)
          expect(at(policy.tightenRel, policy.stepFloor)).toBeGreaterThanOrEqual(least)
          expect(at(policy.loosenRel, policy.stepFloor)).toBeGreaterThanOrEqual(least)
        }),
      )
      expect(policy.loosenCooldownSec).toBeGreaterThanOrEqual(policy.tightenCooldownSec)
    }
  })
})

describe('most urgent', () => {
  test('behavior: highest urgency, then parameter, then subject; HOLD and advisory never', () => {
    const r = (urgency: number, parameter: string, subject: string, more: object = {}) => ({ urgency, parameter, subject, settable: true, direction: 'TIGHTEN', ...more })
    expect(mostUrgentSettable([r(5, 'b', '1'), r(9, 'b', '2'), r(9, 'a', '3'), r(9, 'a', '2'), r(99, 'a', '1', { settable: false }), r(99, 'a', '0', { direction: 'HOLD' })])).toMatchObject({ parameter: 'a', subject: '2' })
    expect(mostUrgentSettable([])).toBeNull()
  })
  test('property: the order of urgency is total and does not depend on the order before', () => {
    const row = fc.record({ urgency: fc.integer({ min: 0, max: 3 }), parameter: fc.constantFrom('imRatio', 'mmRatio', 'Zeta'), subject: fc.constantFrom('0xa', '0xB', '0xb') })
    fc.assert(
      fc.property(fc.array(row), fc.array(fc.nat(), { minLength: 1 }), (rows, keys) => {
        const shuffled = rows.map((r, i) => ({ r, key: keys[i % keys.length] ?? 0 })).sort((a, b) => a.key - b.key).map(({ r }) => r)
        expect(shuffled.sort(byUrgency)).toEqual(rows.toSorted(byUrgency))
        const sorted = rows.toSorted(byUrgency)
        expect(sorted.map((r) => r.urgency)).toEqual(rows.map((r) => r.urgency).toSorted((a, b) => b - a))
      }),
    )
    expect([{ urgency: 1, parameter: 'b', subject: '2' }, { urgency: 1, parameter: 'b', subject: '1' }, { urgency: 1, parameter: 'a', subject: '3' }, { urgency: 2, parameter: 'z', subject: '9' }].sort(byUrgency).map((r) => r.subject)).toEqual(['9', '3', '1', '2'])
  })
})

describe('insurance fund', () => {
  test('behavior: what is on the way from the wallet to the vault is counted, by hand', () => {
    // 40,000 − 7.5 + 7.5 in USDC with 6 decimals, and 10,000 in the vault.
    const fund = { walletBalance: '39992500000', inTransit: '7500000', vaultBalanceE18: '10000000000000000000001' }
    expect(fundCapacityE18(fund, 6)).toBe(50_000_000000000000000001n)
    const capacity = (change: object): string | undefined => find(recomputeRun({ ...book(), fund: { ...fund, ...change } }), 'distributionThreshold', PROTOCOL).evidence.find((e) => e.label === 'Fund now')?.value
    expect(capacity({})).toBe('50,000 USDC')
    expect(capacity({ inTransit: '1007500000' })).toBe('51,000 USDC')
  })
  test('error: refuses run inputs of another version', () => {
    expect(() => recomputeRun({ ...book(), version: '1' } as unknown as RunInputs)).toThrow('Found run inputs of version 1, allowed is 3')
  })
})

describe('gathering', () => {
  test('behavior: bars are the oracle’s own time, the window starts with the first price, what is newer than the last whole bar waits', () => {
    const at = (sec: number, price: string) => ({ priceTimestamp: BigInt(sec), priceE18: price })
    expect(seriesOf('f', [at(900, '2'), at(650, '1'), at(1_250, '3'), at(1_499, '4'), at(1_500, '5')], 0, 1_500, 300)).toEqual({ feed: 'f', startSec: 600, endSec: 1_500, bars: [[0, '1'], [1, '2'], [2, '4']] })
    expect(seriesOf('f', [], 0, 1_500, 300)).toEqual({ feed: 'f', startSec: 1_500, endSec: 1_500, bars: [] })
  })
  test('behavior: swaps pay a fee or move the price; liquidations, removed ranges and closed markets do neither', () => {
    const change = (id: string, fee: string, sqrtPriceAfterX96: string | null) => ({ id, fee, sqrtPriceAfterX96 })
    const changes = [
      change('removed range', '0', '100'), change('swap', '5', '120'), change('liquidated', '0', '120'), change('liquidator', '0', '120'),
      change('swap in a market without fee', '0', '130'), change('settled in a closed market', '0', null), change('liquidated after it', '0', '130'), change('swap back', '7', '130'),
    ]
    const ids = (before: string | null): string[] => swapsOf(changes, before).map((c) => c.id)
    expect(ids('100')).toEqual(['swap', 'swap in a market without fee', 'swap back'])
    expect(ids(null)).toEqual(['swap', 'swap in a market without fee', 'swap back'])
    // The price that the window begins with tells whether its first change moved it.
    expect(ids('99')).toEqual(['removed range', 'swap', 'swap in a market without fee', 'swap back'])
  })
  test('behavior: a trade’s spread is against the index price before it', () => {
    const trade = (blockNumber: bigint, logIndex: number, price: number | null) => ({ blockNumber, logIndex, sqrtPriceAfterX96: price === null ? null : sqrtX96(price) })
    const update = (blockNumber: bigint, logIndex: number, priceE18: bigint) => ({ blockNumber, logIndex, priceE18: priceE18.toString() })
    const spreads = spreadsOf([trade(1n, 0, 100), trade(2n, 5, 101), trade(3n, 1, null), trade(3n, 2, 99)], [update(2n, 1, 100n * 10n ** 18n), update(3n, 9, 50n * 10n ** 18n)], curie.risk.poolPriceE18)
    expect(spreads).toHaveLength(2)
    expect(spreads[0]).toBeGreaterThanOrEqual(9_998)
    expect(spreads[0]).toBeLessThanOrEqual(10_000)
    // As the contract rounds: ⌊⌊s²/2⁹⁶⌋·10¹⁸/2⁹⁶⌋. (2⁹⁶ + 2⁹⁴)² = 1.5625 · 2¹⁹², 562,500 above 1.
    expect(spreadsOf([{ blockNumber: 2n, logIndex: 1, sqrtPriceAfterX96: (2n ** 96n + 2n ** 94n).toString() }], [update(1n, 0, 10n ** 18n)], curie.risk.poolPriceE18)).toEqual([562_500])
    // (2⁷²)²/2¹⁹² · 10¹⁸ = 3,552.7 wei, truncated: nothing off an index of 3,552 wei.
    expect(spreadsOf([{ blockNumber: 2n, logIndex: 1, sqrtPriceAfterX96: (2n ** 72n).toString() }], [update(1n, 0, 3_552n)], curie.risk.poolPriceE18)).toEqual([0])
    expect(spreads[1]).toBeGreaterThanOrEqual(9_999)
    expect(spreads[1]).toBeLessThanOrEqual(10_002)
  })
})

describe('format', () => {
  test('behavior: numbers read the same everywhere', () => {
    expect(formatRaw(62_500n, 'RATIO', 6, 'USDC')).toBe('6.25 %')
    expect(formatRaw(1_234_500_000n, 'SETTLEMENT_TOKEN', 6, 'USDC')).toBe('1,234.5 USDC')
    expect(formatRaw(1000n, 'TICKS', 0, 'USDC')).toBe('1,000 ticks')
    expect(percent(0.0041)).toBe('0.41 %')
    expect(percent(0.1)).toBe('10 %')
    expect(percent(-0.293)).toBe('-29.3 %')
  })
})

/** Every key of a value, so that JSON.stringify writes them in another order. */
function flattenKeys(value: unknown, into: Record<string, true> = {}): Record<string, true> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      into[key] = true
      flattenKeys(inner, into)
    }
  }
  return into
}
