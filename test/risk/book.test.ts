import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { BadInputError } from '../../core/errors.ts'
import { toFloat } from '../../core/units.ts'
import {
  accountAt, accountsUnder, accountUnder, baseFigures, bookScenario, cascadeBook, createAccountBook, impactCoefficient, liquidationLadder, MAX_CASCADE_ROUNDS, movePrices, scenarioShortfall, squareRootImpact, stressBook, stressScenario, updateAccounts,
  type AccountBook, type AssetKind, type BookAsset, type BookScenario, type StressAccount,
} from '../../api/risk/index.ts'
import { assets, bookAccounts, costOf, markets, rules, scenarios } from './books.ts'

const X: BookAsset = { asset: 'X', impact: 0.001, maxImpact: 0.5 }
const strict = { fullBelow: 0.5, partialShare: 0.5, wholeUpTo: 0, penalty: 0 }
/** Collateral that counts for all that it recovers. */
const backed = (asset: string, value: number): StressAccount['collateral'][number] => ({ asset, counted: value, recovered: value })
const holder = (id: string, cash: number, value: number, collateral: StressAccount['collateral'] = []): StressAccount => ({ id, cash, positions: value === 0 ? [] : [{ asset: 'X', value }], ranges: [], collateral, maintenanceMargin: 0.1 })
const falls = (change: number, more: Partial<BookScenario> = {}): BookScenario => ({ id: `${change}`, changeOf: () => change, ...more })

/** Amounts around the size of the book: what 1e-9 is meant of. */
const sizeOf = (accounts: readonly StressAccount[]): number =>
  1 + accounts.reduce((sum, a) => sum + Math.abs(a.cash) + [...a.positions.map((p) => p.value), ...a.collateral.flatMap((c) => [c.counted, c.recovered])].reduce((s, x) => s + Math.abs(x), 0) + a.ranges.reduce((s, r) => s + Math.abs(r.quoteDebt) + Math.abs(r.baseDebt * r.price), 0), 0)

function expectNear(found: number, expected: number, size: number): void {
  expect(Math.abs(found - expected) / size).toBeLessThan(1e-9)
}

/** The same figures by a loop over the accounts as they come. */
function straightforward(accounts: readonly StressAccount[], scenario: BookScenario) {
  const sum = { value: 0, requirement: 0, liquidatable: 0, liquidatableNotional: 0, liquidatedNotional: 0 }
  for (const account of accounts) {
    const { value, gross } = accountUnder(account, { id: scenario.id, changeOf: scenario.changeOf, costOf: () => 0 })
    const { gross: grossToday } = accountUnder(account, { id: 'today', changeOf: () => 0, costOf: () => 0 })
    const requirement = account.maintenanceMargin * gross
    sum.value += value
    sum.requirement += requirement
    if (gross === 0 || value >= requirement) continue
    sum.liquidatable++
    sum.liquidatableNotional += gross
    sum.liquidatedNotional += gross * (value < rules.fullBelow * requirement || grossToday <= rules.wholeUpTo ? 1 : rules.partialShare)
  }
  return sum
}

describe('the book under scenarios', () => {
  test('second method: every figure is that of a loop over accounts as objects, makers included, to 1e-9', () => {
    fc.assert(
      fc.property(bookAccounts, scenarios, (accounts, list) => {
        const book = createAccountBook(accounts, { assets, rules })
        const size = sizeOf(accounts)
        for (const [i, result] of stressBook(book, list).entries()) {
          const scenario = list[i]!
          const { liquidatable, ...amounts } = straightforward(accounts, scenario)
          expect(result.liquidatable).toBe(liquidatable)
          for (const [name, expected] of Object.entries(amounts)) expectNear(result[name as keyof typeof amounts], expected, size)
          const loss = scenarioShortfall(accounts, { id: 'x', changeOf: scenario.changeOf, costOf: (asset, notional) => costOf(asset, notional / (scenario.liquidityOf?.(asset) ?? 1)) })
          expectNear(result.shortfall, loss.total, size)
          expectNear(result.cover1, loss.cover1, size)
          expectNear(result.cover2, loss.cover2, size)
          expect(result.accountsInLoss).toBe(loss.accountsInLoss)
        }
      }),
      { numRuns: 80 },
    )
  })

  test('second method: a rung of the liquidation ladder is the book under that price', () => {
    fc.assert(
      fc.property(bookAccounts, (accounts) => {
        const changes = [-0.5, -0.1, 0, 0.3]
        const ladder = liquidationLadder(accounts, { asset: 'A', price: 10, changes, fund: 0, costOf })
        const results = stressBook(createAccountBook(accounts, { assets, rules }), changes.map((change) => ({ id: `${change}`, changeOf: (asset) => (asset === 'A' ? change : 0) })))
        const size = sizeOf(accounts)
        results.forEach((result, i) => {
          expect(result.liquidatable).toBe(ladder[i]!.accounts)
          expectNear(result.liquidatableNotional, ladder[i]!.notional, size)
          expectNear(result.shortfall, ladder[i]!.badDebt, size)
        })
      }),
      { numRuns: 50 },
    )
  })

  test('behavior: a haircut takes from collateral, and thin liquidity makes closing dearer', () => {
    // Long 10,000 on debt of 9,900, with 1,000 of collateral that falls 10 % and loses a fifth to the haircut: 1,000·0.9·0.8 = 720.
    const book = createAccountBook([holder('a', -9_900, 10_000, [backed('C', 1_000)])], { assets: [X, { asset: 'C', impact: 0, maxImpact: 0 }], rules: strict })
    const [result] = stressBook(book, [falls(-0.1, { recoveryOf: (asset) => (asset === 'C' ? 0.8 : 1), liquidityOf: () => 0.25 })])
    // 9,000 − 9,900 + 720 = −180. Closing 9,000 into a quarter of the liquidity: 0.001·√(9,000/0.25) = 18.9737 %.
    expect(result!.value).toBeCloseTo(-180, 9)
    expect(result!.shortfall).toBeCloseTo(180 + 9_000 * 0.001 * Math.sqrt(36_000), 9)
    expect(result!.taken).toEqual([{ asset: 'X', longs: 9_000, shorts: 0 }, { asset: 'C', longs: 0, shorts: 0 }])
  })

  test('behavior: what counts of collateral decides who is due, what is recovered of it decides the loss, by hand', () => {
    const C: BookAsset = { asset: 'C', impact: 0, maxImpact: 0 }
    // 10,000 at 10 % margin asks 1,000. −9,600 + 10,000 + 700 = 1,100 is enough; 5 % down: −9,600 + 9,500 + 665 = 565 of 950, due.
    const book = createAccountBook([holder('a', -9_600, 10_000, [{ asset: 'C', counted: 700, recovered: 900 }])], { assets: [{ ...X, impact: 0 }, C], rules: { ...strict, penalty: 0.08 } })
    const [still, down, further] = stressBook(book, [falls(0), falls(-0.05), falls(-0.08)])
    expect(still).toMatchObject({ liquidatable: 0, shortfall: 0 })
    expect(still!.value).toBeCloseTo(1_100, 9)
    expect(down).toMatchObject({ liquidatable: 1, liquidatedNotional: 4_750 })
    // −9,600 + 9,500 + 855 = 755; the penalty of 8 % takes 760.
    expect(down!.shortfall).toBeCloseTo(5, 9)
    // −9,600 + 9,200 + 644 = 244, below half of 920: whole. −9,600 + 9,200 + 828 = 428; the penalty takes 736.
    expect(further).toMatchObject({ liquidatable: 1, liquidatedNotional: 9_200 })
    expect(further!.shortfall).toBeCloseTo(308, 9)
    const { value, recoverable } = accountsUnder(book, falls(-0.08))
    expect(value[0]).toBeCloseTo(244, 9)
    expect(recoverable[0]).toBeCloseTo(428, 9)
  })

  test('behavior: whoever owes more than all its collateral brings in leaves the rest, also where the protocol counts more', () => {
    const C: BookAsset = { asset: 'C', impact: 0, maxImpact: 0 }
    // −10,600 + 10,000 + 2,000 = 1,400 of the 1,000 that are asked; a liquidation of the collateral brings 500 against 600 of debt.
    const book = createAccountBook([holder('a', -10_600, 10_000, [{ asset: 'C', counted: 2_000, recovered: 500 }])], { assets: [X, C], rules: strict })
    expect(stressBook(book, [falls(0)])[0]).toMatchObject({ liquidatable: 0, accountsInLoss: 1, shortfall: 100, value: 1_400 })
  })

  test('behavior: depth that nobody knows costs the cap', () => {
    const book = createAccountBook([holder('a', -9_500, 10_000)], { assets: [{ asset: 'X', impact: null, maxImpact: 0.3 }], rules: strict })
    // At −10 %: 9,000 − 9,500 = −500, and 30 % of 9,000.
    expect(stressBook(book, [falls(-0.1)])[0]!.shortfall).toBeCloseTo(3_200, 9)
  })

  test('behavior: the impact coefficient gives the square-root impact', () => {
    const k = impactCoefficient({ dailyVolatility: 0.05, dailyVolume: 1e9 })
    expect(k * Math.sqrt(1e6)).toBeCloseTo(squareRootImpact({ dailyVolatility: 0.05, quantity: 1e6, dailyVolume: 1e9 }), 15)
  })

  test('property: the error of a value stays within the bound that the book states', () => {
    const e18 = fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n })
    fc.assert(
      fc.property(e18, fc.array(e18, { maxLength: 20 }), (cash, amounts) => {
        const values = amounts.map((a) => toFloat(a, 18))
        const account: StressAccount = { id: 'a', cash: toFloat(cash, 18), positions: [], ranges: [], collateral: values.map((value) => backed('X', value)), maintenanceMargin: 0 }
        const { value } = accountAt(createAccountBook([account], { assets: [X], rules: strict }), 'a')!
        // Exact difference in units of 1e-18 and of 2^-80: the float as a fraction of whole numbers.
        const scaled = BigInt(Math.round(value * 2 ** 10)) << 70n
        const exact = (amounts.reduce((a, b) => a + b, cash) << 80n) / 10n ** 18n
        const bound = (amounts.length + 4) * 2 ** -52 * (Math.abs(account.cash) + values.reduce((s, v) => s + Math.abs(v), 0))
        expect(Math.abs(Number(scaled - exact)) / 2 ** 80).toBeLessThanOrEqual(bound + 2 ** -10)
      }),
    )
  })
})

describe('the base case', () => {
  const fresh = (book: AccountBook, accounts: ReadonlyMap<string, StressAccount>) => ({ book: baseFigures(book), anew: baseFigures(createAccountBook([...accounts.values()], { assets, rules })) })

  test('property: after any updates and moves of price it is that of a book made anew', () => {
    const step = fc.oneof(bookAccounts.map((accounts) => ({ accounts: accounts.slice(0, 3), move: null })), fc.record({ accounts: fc.constant([]), move: fc.record({ asset: fc.constantFrom(...markets), change: fc.integer({ min: -400, max: 400 }).map((x) => x / 1000) }) }))
    fc.assert(
      fc.property(bookAccounts, fc.array(step, { maxLength: 6 }), (start, steps) => {
        const now = new Map(start.map((a) => [a.id, a]))
        const book = createAccountBook(start, { assets, rules })
        let size = sizeOf(start)
        for (const { accounts, move } of steps) {
          if (move === null) {
            updateAccounts(book, accounts)
            for (const a of accounts) now.set(a.id, a)
          } else {
            movePrices(book, { [move.asset]: move.change })
            const moved = (p: StressAccount['positions'][number]) => (p.asset === move.asset ? { ...p, value: p.value * (1 + move.change) } : p)
            const movedToo = (c: StressAccount['collateral'][number]) => (c.asset === move.asset ? { ...c, counted: c.counted * (1 + move.change), recovered: c.recovered * (1 + move.change) } : c)
            for (const [id, a] of now) now.set(id, { ...a, positions: a.positions.map(moved), collateral: a.collateral.map(movedToo), ranges: a.ranges.map((r) => (r.asset === move.asset ? { ...r, price: r.price * (1 + move.change) } : r)) })
          }
          size = Math.max(size, sizeOf([...now.values()]))
        }
        const { book: found, anew } = fresh(book, now)
        expect(book.positions).toBe(createAccountBook([...now.values()], { assets, rules }).positions)
        expect(found.liquidatable).toBe(anew.liquidatable)
        for (const name of ['value', 'requirement', 'liquidatableNotional', 'liquidatedNotional', 'shortfall', 'cover1', 'cover2'] as const) expectNear(found[name], anew[name], size)
      }),
      { numRuns: 60 },
    )
  })

  test('behavior: is the scenario in which nothing moves', () => {
    const accounts = fc.sample(bookAccounts, { numRuns: 20, seed: 5 }).flatMap((list, i) => list.map((a) => ({ ...a, id: `${i}-${a.id}` })))
    const book = createAccountBook(accounts, { assets, rules })
    const { id: _, taken, ...still } = stressBook(book, [falls(0)])[0]!
    expect(taken).toHaveLength(assets.length)
    const base = baseFigures(book)
    expect(base.liquidatable).toBe(still.liquidatable)
    for (const name of Object.keys(still) as (keyof typeof still)[]) expectNear(base[name], still[name], sizeOf(accounts))
  })

  test('behavior: says how one account stands', () => {
    const book = createAccountBook([holder('a', -9_500, 10_000)], { assets: [X], rules: strict })
    expect(accountAt(book, 'a')).toEqual({ value: 500, requirement: 1_000, gross: 10_000, liquidatable: true, loss: 10_000 * 0.001 * 100 - 500 })
    expect(accountAt(book, 'b')).toBeNull()
  })

  test('error: a book without room left asks to be made anew, and stays as it was', () => {
    const book = createAccountBook([holder('a', 10, 100)], { assets: [X], rules: strict, spare: 0 })
    const before = baseFigures(book)
    const many = Array.from({ length: 80 }, (_, i) => holder(`n${i}`, 0, 0))
    expect(() => updateAccounts(book, many)).toThrow('Found no room for account n64')
    expect(baseFigures(book)).toEqual(before)
    expect(book.accounts).toBe(65)
  })
})

describe('a cascade', () => {
  // Margin 10 %, impact 0.001·√notional. At −5 % a holds 600 of 950 and half of it is due, b holds 1,200 and is safe.
  const a = holder('a', -8_900, 10_000)
  const b = holder('b', -8_300, 10_000)
  const short = holder('c', 12_000, -10_000)

  test('vector: two longs fall one after the other, by hand', () => {
    const [result] = cascadeBook(createAccountBook([a, b, short], { assets: [X], rules: strict }), [falls(-0.05)], { persistence: 1 })
    // Round 1: half of a, 4,750, pushes 0.001·√4,750 = 6.892 %: 8,845.26. a −54.74 whole; b 545.26 of 884.53, half of it.
    // Round 2: 9,500 + 4,750 push 11.937 %: 8,365.95. b 65.95, whole. Round 3: 19,000 push 13.784 %: 8,190.52. Round 4 finds nothing more.
    const price = 9_500 * (1 - 0.001 * Math.sqrt(19_000))
    expect(price).toBeCloseTo(8_190.515, 2)
    const closing = price * 0.001 * Math.sqrt(price)
    expect(result).toMatchObject({ rounds: 4, settled: true, liquidatable: 2, liquidatedNotional: 19_000 })
    expect(result!.shortfall).toBeCloseTo(8_900 - price + closing + (8_300 - price + closing), 6)
    expect(result!.pushed).toEqual([{ asset: 'X', down: 0.001 * Math.sqrt(19_000), up: 0 }])
    // Alone: 600 against closing 9,500·0.001·√9,500 = 925.95.
    expect(result!.before).toMatchObject({ liquidatable: 1, liquidatedNotional: 4_750 })
    expect(result!.before.shortfall).toBeCloseTo(9.5 * Math.sqrt(9_500) - 600, 9)
    // The short gains 500 from the scenario, nothing from the push: 2,500, and the longs 2·price − 17,200.
    expect(result!.value).toBeCloseTo(2_500 + 2 * price - 17_200, 6)
  })

  test('behavior: without impact it is over after one round, and is the plain stress', () => {
    const book = createAccountBook([a, b, short], { assets: [{ ...X, impact: 0 }], rules: strict })
    const [result] = cascadeBook(book, [falls(-0.05)], { persistence: 1 })
    expect(result).toMatchObject({ rounds: 1, settled: true, pushed: [], ...stressBook(book, [falls(-0.05)])[0] })
    const kept = createAccountBook([a, b, short], { assets: [X], rules: strict })
    expect(cascadeBook(kept, [falls(-0.05)], { persistence: 0 })[0]).toMatchObject({ rounds: 1, pushed: [] })
  })

  test('behavior: one that is cut short says that it is a lower bound', () => {
    const book = createAccountBook([a, b, short], { assets: [X], rules: strict })
    const [cut] = cascadeBook(book, [falls(-0.05)], { persistence: 1, maxRounds: 2 })
    expect(cut).toMatchObject({ rounds: 2, settled: false })
    expect(cut!.shortfall).toBeLessThan(cascadeBook(book, [falls(-0.05)], { persistence: 1 })[0]!.shortfall)
  })

  test('behavior: shorts are squeezed upwards, and the book’s scenarios do not see each other', () => {
    const book = createAccountBook([holder('s', 11_000, -10_000), a], { assets: [X], rules: strict })
    const [up, still] = cascadeBook(book, [falls(0.08), falls(0)], { persistence: 1 })
    expect(up!.pushed[0]).toMatchObject({ down: 0 })
    expect(up!.pushed[0]!.up).toBeGreaterThan(0)
    expect(still).toMatchObject({ rounds: 1, pushed: [], liquidatable: 0 })
  })

  const takers = bookAccounts.map((accounts) => accounts.map((account) => ({ ...account, ranges: [] })))
  const withImpact = (scale: number): readonly BookAsset[] => assets.map((asset) => ({ ...asset, impact: asset.impact === null ? null : asset.impact * scale }))

  test('property: more impact, and less recovery of it, never loses less', () => {
    fc.assert(
      fc.property(takers, scenarios, (accounts, list) => {
        const lossAt = (scale: number, persistence: number) => cascadeBook(createAccountBook(accounts, { assets: withImpact(scale), rules }), list, { persistence })
        const runs = [lossAt(1, 0), lossAt(1, 0.5), lossAt(1, 1), lossAt(3, 1)]
        const slack = 1e-9 * sizeOf(accounts)
        list.forEach((_, i) => {
          for (let r = 1; r < runs.length; r++) {
            expect(runs[r]![i]!.shortfall).toBeGreaterThanOrEqual(runs[r - 1]![i]!.shortfall - slack)
            expect(runs[r]![i]!.liquidatable).toBeGreaterThanOrEqual(runs[r - 1]![i]!.liquidatable)
          }
          for (const run of runs) {
            expect(run[i]!.settled).toBe(true)
            expect(run[i]!.rounds).toBeLessThanOrEqual(MAX_CASCADE_ROUNDS)
            expect(run[i]!.shortfall).toBeGreaterThanOrEqual(run[i]!.before.shortfall - slack)
          }
        })
      }),
      { numRuns: 50 },
    )
  })

  test('property: the worst of two sets of scenarios together is no better than that of either', () => {
    const worst = (results: readonly { shortfall: number }[]): number => Math.max(...results.map((r) => r.shortfall))
    fc.assert(
      fc.property(takers, scenarios, scenarios, (accounts, one, two) => {
        const book = createAccountBook(accounts, { assets, rules })
        const of = (list: readonly BookScenario[]): number => worst(cascadeBook(book, list, { persistence: 1 }))
        expect(of([...one, ...two])).toBe(Math.max(of(one), of(two)))
      }),
      { numRuns: 50 },
    )
  })
})

describe('one scenario, account by account', () => {
  test('property: the accounts add up to the book, also at the prices on which a cascade settled', () => {
    fc.assert(
      fc.property(bookAccounts, scenarios, (accounts, list) => {
        const book = createAccountBook(accounts, { assets, rules })
        const [plain] = stressBook(book, list.slice(0, 1))
        const [cascade] = cascadeBook(book, list.slice(0, 1), { persistence: 1 })
        const sum = (xs: Float64Array): number => xs.reduce((s, x) => s + x, 0)
        for (const [result, pushed] of [[plain!, undefined], [cascade!, cascade!.pushed]] as const) {
          const found = accountsUnder(book, list[0]!, pushed)
          expectNear(sum(found.value), result.value, sizeOf(accounts))
          expectNear(sum(found.requirement), result.requirement, sizeOf(accounts))
          expectNear(sum(found.loss), result.shortfall, sizeOf(accounts))
        }
      }),
      { numRuns: 50 },
    )
  })

  test('behavior: a regime of the library moves each asset as what stands for it, and thins out all of them', () => {
    const kinds: Record<string, AssetKind> = { A: { standsFor: 'BTC' }, B: { standsFor: 'OTHER', beta: 1.5 }, C: { standsFor: 'ETH', frozen: true }, WETH: { standsFor: 'ETH' } }
    const covid = bookScenario(stressScenario('covid-2020-03-12', 'day'), (asset) => kinds[asset]!)
    expect(assets.map(({ asset }) => covid.changeOf(asset))).toEqual([-0.509, expect.closeTo(-0.804, 9), 0, -0.536])
    const thin = bookScenario(stressScenario('liquidity-minus-80', 'base'), (asset) => kinds[asset]!)
    expect(thin.liquidityOf!('A')).toBe(0.2)
  })
})

describe('what a book refuses', () => {
  const make = (account: Partial<StressAccount>) => () => createAccountBook([{ ...holder('a', 0, 100), ...account }], { assets: [X], rules: strict })
  test.each<[string, () => unknown, RegExp]>([
    ['an asset without a price', make({ positions: [{ asset: 'Y', value: 1 }] }), /Found Y in account a, allowed are X; /],
    ['an amount that is no number', make({ cash: NaN }), /Found cash of NaN in account a/],
    ['a margin in percent', make({ maintenanceMargin: 6.25 }), /Found a maintenance margin of 6.25/],
    ['an account twice', () => createAccountBook([holder('a', 0, 1), holder('a', 0, 1)], { assets: [X], rules: strict }), /Found account a twice/],
    ['a cap beyond which selling cheaper would pay', () => createAccountBook([], { assets: [{ ...X, maxImpact: 0.7 }], rules: strict }), /caps? from 0 to 2\/3/],
    ['a price through zero', () => stressBook(createAccountBook([], { assets: [X], rules: strict }), [falls(-1)]), /Found a change of -1 for X/],
    ['no liquidity at all', () => stressBook(createAccountBook([], { assets: [X], rules: strict }), [falls(0, { liquidityOf: () => 0 })]), /Found a liquidity of 0/],
    ['more recovered than there is', () => stressBook(createAccountBook([], { assets: [X], rules: strict }), [falls(0, { recoveryOf: () => 1.1 })]), /Found a recovery of 1.1/],
    ['a move of what it does not hold', () => movePrices(createAccountBook([], { assets: [X], rules: strict }), { Y: 0.1 }), /Found a move of Y, allowed are X/],
    ['rounds without end', () => cascadeBook(createAccountBook([], { assets: [X], rules: strict }), [], { persistence: 1, maxRounds: Infinity }), /Found Infinity rounds, allowed are 1 to 100/],
  ])('error: refuses %s', (_, run, sentence) => {
    expect(run).toThrow(BadInputError)
    expect(run).toThrow(sentence)
  })
})
