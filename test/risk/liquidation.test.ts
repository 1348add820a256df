import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import {
  accountShortfall, DEFAULT_LIQUIDATION_RULES, liquidationLadder, liquidationQueue, liquidationTiers, takeableOf,
  type LiquidationAccount, type LiquidationRules, type StressAccount,
} from '../../api/risk/index.ts'
import { liquidatableSize } from '../../protocols/curie/margin.ts'

/** Curie: half at a time above half of the requirement; a share below 1/33.55443 of gross makes the 24-bit ratio overflow. */
const CURIE: LiquidationRules = { ...DEFAULT_LIQUIDATION_RULES, smallestShare: 1 / (2 * 16.777215) }
const account = (id: string, value: number, requirement: number, notionals: readonly number[], more: Partial<LiquidationAccount> = {}): LiquidationAccount => ({ id, value, recoverable: value, requirement, positions: notionals.map((notional, i) => ({ market: `m${i}`, notional })), closingCost: 0, ...more })
const market = { rules: CURIE, capacityPerHour: 10_000, liquidated15Min: 500, openInterest: 100_000 }

describe('liquidation tiers', () => {
  const tiersOf = (list: readonly LiquidationAccount[], fund = 0, winnersProfit = 0): string[] => liquidationTiers(list, { rules: CURIE, fund, winnersProfit }).map((t) => t.tier)
  test('behavior: each tier by hand, for a requirement of 100', () => {
    const list = [120, 119.9, 99, 49, 3, -10].map((value, i) => account(`a${i}`, value, 100, [1600], { closingCost: 5 }))
    expect(tiersOf(list, 1000)).toEqual(['HEALTHY', 'WARN', 'PARTIAL', 'FULL', 'BACKSTOP', 'FUND'])
  })
  test('behavior: what counts of collateral says who is due, what is recovered of it what is lacking', () => {
    // Below the requirement of 100 by what counts; 20 more, or 20 less, are recovered. Closing costs 5.
    const at = (value: number, recoverable: number) => liquidationTiers([account('a', value, 100, [1600], { recoverable, closingCost: 5 })], { rules: CURIE, fund: 1000, winnersProfit: 0 })[0]
    expect(at(95, 115)).toMatchObject({ tier: 'PARTIAL', deficit: 0 })
    expect(at(-10, 10)).toMatchObject({ tier: 'FULL', deficit: 0 })
    expect(at(-17, 3)).toMatchObject({ tier: 'BACKSTOP', deficit: 0, why: 'can recover 3.00, closing costs 5.00' })
    expect(at(10, -10)).toMatchObject({ tier: 'FUND', deficit: 15 })
    // Nobody may close what is above its requirement.
    expect(at(130, -10)).toMatchObject({ tier: 'FUND', deficit: 10 })
  })
  test('behavior: the fund pays first, then winners, then all, the furthest below first', () => {
    const list = [account('near', -10, 1, [100]), account('far', -60, 1, [100]), account('mid', -30, 1, [100])]
    const tiers = liquidationTiers(list, { rules: CURIE, fund: 70, winnersProfit: 25 })
    expect(tiers.map((t) => [t.id, t.tier, t.fromFund, t.fromWinners, t.socialised])).toEqual([['near', 'SOCIALISED', 0, 5, 5], ['far', 'FUND', 60, 0, 0], ['mid', 'ADL', 10, 20, 0]])
    expect(tiers[2]?.why).toBe('lacks 30.00: the fund pays 10.00, winners 20.00, all 0.00')
  })
  test('property: pockets pay the deficits exactly, and a larger fund leaves no less to the others', () => {
    const list = fc.array(fc.tuple(fc.double({ min: -100, max: 100, noNaN: true }), fc.double({ min: 0, max: 50, noNaN: true }), fc.double({ min: 0, max: 20, noNaN: true })), { maxLength: 15 }).map((rows) => rows.map(([value, requirement, closingCost], i) => account(`a${i}`, value, requirement, [500], { closingCost })))
    fc.assert(
      fc.property(list, fc.double({ min: 0, max: 300, noNaN: true }), fc.double({ min: 0, max: 300, noNaN: true }), fc.double({ min: 0, max: 300, noNaN: true }), (accounts, fund, winnersProfit, more) => {
        const at = (f: number) => liquidationTiers(accounts, { rules: CURIE, fund: f, winnersProfit })
        const total = (f: number, of: 'fromFund' | 'socialised' | 'deficit'): number => at(f).reduce((sum, t) => sum + t[of], 0)
        for (const t of at(fund)) expect(t.fromFund + t.fromWinners + t.socialised).toBeCloseTo(t.deficit, 9)
        expect(total(fund, 'fromFund')).toBeLessThanOrEqual(fund + 1e-9)
        expect(total(fund + more, 'socialised')).toBeLessThanOrEqual(total(fund, 'socialised') + 1e-9)
        expect(total(fund, 'deficit')).toBeCloseTo(accounts.reduce((sum, a) => sum + (a.value < 0 ? a.closingCost - a.value : 0), 0), 9)
      }),
    )
  })
})

describe('liquidation queue', () => {
  test('behavior: buckets, backlog, time and velocity by hand', () => {
    const queue = liquidationQueue(
      [account('c', 70, 62.5, [1000]), account('a', 50, 62.5, [1000]), account('b', 20, 62.5, [1000]), account('d', 87.5, 62.5, [1000]), account('e', 500, 62.5, [1000]), account('flat', 10, 0, [])],
      market,
    )
    expect(queue.entries.map((e) => [e.id, e.due])).toEqual([['b', true], ['a', true], ['c', false], ['d', false]])
    // b stands below half of its requirement and is due whole; a is due by half.
    expect(queue.dueNotional).toBe(1500)
    expect(queue.buckets.map((x) => [x.to, x.accounts, x.notional])).toEqual([[0, 2, 2000], [0.01, 1, 1000], [0.03, 1, 1000], [0.05, 0, 0]])
    expect(queue).toMatchObject({ dueAccounts: 2, takeableNotional: 1500, backlogRatio: 0.15, etaSec: 540, velocity: 0.005 })
  })
  test('behavior: what brings an account back: (62.5 − 50) / (6.25 % − 2.5 %) = 333.33', () => {
    const [entry] = liquidationQueue([account('a', 50, 62.5, [1000])], market).entries
    expect(entry?.cureNotional).toBeCloseTo(333.3333, 4)
    // Second method: take it. Value falls by the penalty, requirement by the margin of what is gone.
    const taken = entry?.cureNotional ?? 0
    expect(50 - 0.025 * taken).toBeCloseTo(0.0625 * (1000 - taken), 9)
    // A penalty as large as the margin never cures.
    expect(liquidationQueue([account('a', 50, 62.5, [1000])], { ...market, rules: { ...CURIE, penalty: 0.07 } }).entries[0]?.cureNotional).toBeNull()
  })
  test('vector: a position of 3,000 beside 100,000 cannot be taken while value ≥ half of the requirement; 3,300 can', () => {
    const at = (small: number, share: number): (number | null)[] => {
      const gross = 100_000 + small
      const [entry] = liquidationQueue([account('a', share * 0.0625 * gross, 0.0625 * gross, [small, -100_000])], market).entries
      return (entry?.positions ?? []).map((p) => p.takeable)
    }
    expect(at(3_000, 0.9)).toEqual([51_500, null])
    expect(at(3_300, 0.9)).toEqual([51_650, 3_300])
    expect(at(3_000, 0.4)).toEqual([100_000, 3_000])
    const [entry] = liquidationQueue([account('a', 5_800, 6_437.5, [3_000, -100_000])], market).entries
    expect(entry?.positions[1]?.blocked).toBe("less than 2.98 % of the account's gross notional: the contract reverts, take the largest position first")
  })
  test('second method: Curie’s own liquidatable size, for any account', () => {
    const e18 = (x: number): bigint => BigInt(Math.round(x * 1e6)) * 10n ** 12n
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: -20, max: 110 }).filter((x) => x !== 50 && x !== 100), (notional, other, percent) => {
        const gross = notional + other
        const requirement = 0.0625 * gross
        const mine = takeableOf(account('a', (requirement * percent) / 100, requirement, [notional, other]), notional, CURIE)
        const theirs = percent >= 100 ? 0n : liquidatableSize({ sizeE18: e18(notional), valueE18: e18(notional), accountValueE18: e18((requirement * percent) / 100), marginRequirementE18: e18(requirement), totalAbsPositionValueE18: e18(gross) })
        // Shares are whole millionths on chain.
        const off = mine === null || theirs === null ? (mine === null && theirs === null ? 0 : Infinity) : Math.abs(mine - Number(theirs / 10n ** 12n) / 1e6)
        expect(off).toBeLessThan(1e-6 * notional + 1e-5)
      }),
    )
  })
  test('behavior: a hindered account is due and cannot be taken', () => {
    const queue = liquidationQueue([account('a', 10, 62.5, [1000], { hindered: 'it has open liquidity' })], market)
    expect(queue).toMatchObject({ dueNotional: 1000, takeableNotional: 0 })
    expect(queue.entries[0]?.positions[0]).toMatchObject({ takeable: 0, blocked: 'it has open liquidity' })
  })
  test('behavior: without capacity a backlog has no end, and no backlog is none', () => {
    expect(liquidationQueue([account('a', 10, 62.5, [1000])], { ...market, capacityPerHour: 0 })).toMatchObject({ backlogRatio: null, etaSec: null })
    expect(liquidationQueue([], { ...market, capacityPerHour: 0, openInterest: 0 })).toMatchObject({ backlogRatio: 0, etaSec: 0, velocity: null })
  })
  test('error: refuses rules and figures out of range', () => {
    expect(() => liquidationQueue([], { ...market, rules: { ...CURIE, partialShare: 0 } })).toThrow(BadInputError)
    expect(() => liquidationQueue([], { ...market, openInterest: -1 })).toThrow(BadInputError)
  })
})

describe('liquidation ladder', () => {
  const costOf = (): number => 0
  const long: StressAccount = { id: 'l', cash: -90, positions: [{ asset: 'ETH', value: 100 }], ranges: [], collateral: [], maintenanceMargin: 0.0625 }
  const short: StressAccount = { id: 's', cash: 115, positions: [{ asset: 'ETH', value: -100 }], ranges: [], collateral: [], maintenanceMargin: 0.0625 }
  test('behavior: each rung by hand', () => {
    const ladder = liquidationLadder([long, short], { asset: 'ETH', price: 2000, changes: [0.2, -0.05, -0.2, 0], fund: 8, costOf })
    // Long: 10 of equity, liquidatable below 6.25 of 100: at −5 % 5 < 5.94; at −20 % −10 is missing, 8 of it in the fund.
    // Short: 15 of equity; at +20 % −5 is missing.
    expect(ladder.map((r) => [r.change, r.price, r.accounts, r.notional, r.badDebt, r.fundUsed, r.uncovered])).toEqual([
      [-0.2, 1600, 1, 80, 10, 8, 2],
      [-0.05, 1900, 1, 95, 0, 0, 0],
      [0, 2000, 0, 0, 0, 0, 0],
      [0.2, 2400, 1, 120, 5, 5, 0],
    ])
  })
  test('behavior: collateral in the same coin falls with it, other markets move by their beta', () => {
    const backed: StressAccount = { ...long, cash: -100, collateral: [{ asset: 'WETH', counted: 10, recovered: 10 }] }
    const at = (moveOf?: (asset: string, change: number) => number) => liquidationLadder([backed], { asset: 'ETH', price: 1, changes: [-0.2], fund: 0, costOf, ...(moveOf === undefined ? {} : { moveOf }) })[0]?.badDebt
    expect(at()).toBeCloseTo(10, 12)
    expect(at((_, change) => change)).toBeCloseTo(12, 12)
  })
  test('property: bad debt is the sum of every account’s shortfall, and grows away from today’s price for one-sided books', () => {
    const u = fc.double({ min: 1, max: 100, noNaN: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(u, u), { maxLength: 10 }), fc.array(fc.double({ min: -0.9, max: 0, noNaN: true }), { minLength: 2, maxLength: 6 }), (rows, changes) => {
        const accounts = rows.map(([notional, equity], i): StressAccount => ({ ...long, id: `a${i}`, cash: equity - notional, positions: [{ asset: i % 3 === 2 ? 'BTC' : 'ETH', value: notional }] }))
        const ladder = liquidationLadder(accounts, { asset: 'ETH', price: 1, changes, fund: 50, costOf })
        ladder.forEach((rung, i) => {
          const direct = accounts.reduce((sum, a) => sum + accountShortfall(a, { id: 'x', changeOf: (asset) => (asset === 'ETH' ? rung.change : 0), costOf }), 0)
          expect(rung.badDebt).toBeCloseTo(direct, 9)
          expect(rung.fundUsed + rung.uncovered).toBeCloseTo(rung.badDebt, 9)
          expect(rung.badDebt).toBeGreaterThanOrEqual((ladder[i + 1]?.badDebt ?? 0) - 1e-9)
        })
      }),
    )
  })
  test('error: refuses a price that vanishes', () => {
    expect(() => liquidationLadder([], { asset: 'ETH', price: 1, changes: [-1], fund: 0, costOf })).toThrow(BadInputError)
    expect(() => liquidationLadder([], { asset: 'ETH', price: 1, changes: [], fund: 0, costOf })).toThrow(BadInputError)
  })
})
