/** Generated books and scenarios of the tests. */
import fc from 'fast-check'
import { type BookAsset, type BookScenario, type StressAccount } from '../../api/risk/index.ts'

export const markets = ['A', 'B', 'C'] as const
export const rules = { fullBelow: 0.5, partialShare: 0.5, wholeUpTo: 100, penalty: 0.02 }
export const assets: readonly BookAsset[] = [
  { asset: 'A', impact: 1e-4, maxImpact: 0.3 },
  { asset: 'B', impact: 3e-3, maxImpact: 0.1 },
  { asset: 'C', impact: null, maxImpact: 0.2 },
  { asset: 'WETH', impact: 0, maxImpact: 0 },
]

/** What `assets` and the penalty say, as a function of a notional. */
export function costOf(asset: string, notional: number): number {
  const { impact, maxImpact } = assets.find((a) => a.asset === asset)!
  return Math.max(rules.penalty, impact === null ? maxImpact : Math.min(maxImpact, impact * Math.sqrt(notional)))
}

const cents = (most: number) => fc.integer({ min: -most * 100, max: most * 100 }).map((x) => x / 100)

const range = fc
  .record({ asset: fc.constantFrom(...markets), lower: fc.integer({ min: 20_000, max: 22_900 }), width: fc.integer({ min: 10, max: 3_000 }), liquidity: fc.integer({ min: 0, max: 500 }), baseDebt: fc.integer({ min: 0, max: 100 }), quoteDebt: fc.integer({ min: 0, max: 1_000 }) })
  .map((r) => ({ asset: r.asset, price: 10, range: { lowerTick: r.lower, upperTick: r.lower + r.width, liquidity: r.liquidity }, baseDebt: r.baseDebt / 10, quoteDebt: r.quoteDebt }))

/** Some accounts around their requirement: longs and shorts, several positions in one market, collateral, a few makers. */
export const bookAccounts: fc.Arbitrary<readonly StressAccount[]> = fc
  .array(
    fc.record({
      id: fc.integer({ min: 0, max: 30 }).map((i) => `account ${i}`),
      equity: cents(3_000),
      positions: fc.array(fc.record({ asset: fc.constantFrom(...markets), value: cents(20_000) }), { maxLength: 5 }),
      ranges: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(range, { minLength: 1, maxLength: 2 }) }),
      collateral: fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }).map((x) => x / 100), fc.constantFrom(0, 0.7, 1), fc.constantFrom(0.5, 0.9, 1)).map(([value, ratio, kept]) => ({ asset: 'WETH', counted: value * ratio, recovered: value * kept })), { maxLength: 1 }),
      maintenanceMargin: fc.constantFrom(0.0625, 0.1),
    }),
    { maxLength: 12 },
  )
  .map((list) => [...new Map(list.map(({ equity, ...a }): [string, StressAccount] => [a.id, { ...a, cash: equity - a.positions.reduce((sum, p) => sum + p.value, 0) }])).values()])

/** Up to 40 scenarios: more than one tile. */
export const scenarios: fc.Arbitrary<readonly BookScenario[]> = fc.array(
  fc.record({ id: fc.constant('s'), changes: fc.array(fc.integer({ min: -900, max: 1_000 }).map((x) => x / 1_000), { minLength: 4, maxLength: 4 }), liquidity: fc.constantFrom(1, 0.2, 2) }).map(
    ({ id, changes, liquidity }): BookScenario => ({ id, changeOf: (asset) => changes[assets.findIndex((a) => a.asset === asset)]!, liquidityOf: () => liquidity }),
  ),
  { minLength: 1, maxLength: 40 },
)
