import { afterAll, describe, expect, jest, test } from '@jest/globals'
import { createEngine, type Synced } from '../../api/graphql/risk/engine.ts'
import { makeBook, type DeskBook } from '../../api/graphql/risk/book.ts'
import { computeShortfalls } from '../../api/graphql/risk/reserves.ts'
import { computeStress, scenariosOf, type Asked, type StressTask } from '../../api/graphql/risk/stress.ts'
import { shockFrom } from '../../api/recommendations/context.ts'
import type { AccountInput, RunInputs } from '../../api/recommendations/inputs.ts'
import { accountsUnder, accountUnder, createRandom, liquidationLadder, liquidationQueue, scenarioShortfall, stressScenarios, type LiquidationAccount, type Random, type StressAccount } from '../../api/risk/index.ts'
import { computeLadder } from '../../api/graphql/risk/liquidations.ts'
import type { Address, AccountHealth } from '../../protocols/adapter.ts'
import { accountHealth } from '../../protocols/curie/margin.ts'
import { book, ETH, normals, OP, sqrtX96, WETH } from '../recommendations/book.ts'

jest.setTimeout(60_000)

const BLOCK = { number: 7n, hash: '0x07', timestamp: 1_800_000_000n }
const e18 = (x: number): string => (BigInt(Math.round(x * 1e9)) * 10n ** 9n).toString()
const PRICE: Record<string, number> = { [ETH]: 3_000, [OP]: 2 }

/** Longs and shorts with 7 % to 60 % of their gross as equity; every fifth holds WETH. */
function trader(id: string, random: Random): AccountInput {
  const positions = [ETH, OP].flatMap((market) => {
    if (random.next() < 0.3) return []
    const notional = (random.next() < 0.5 ? -1 : 1) * Math.exp(9 + random.normal())
    return [{ market, sizeE18: e18(notional / (PRICE[market] as number)), openNotionalE18: e18(-notional) }]
  })
  const gross = positions.reduce((sum, p) => sum + Math.abs(Number(p.openNotionalE18) / 1e18), 0)
  const collaterals = random.next() < 0.2 ? [{ asset: WETH, amount: e18(gross / 30_000) }] : []
  return { id, settlementBalance: String(Math.round(gross * (0.07 + 0.5 * random.next() ** 2) * 1e6)), owedRealizedPnlE18: e18(10 * random.normal()), positions, collaterals }
}

/** Eighty traders and six makers around the small book. */
function inputs(seed = 3): RunInputs {
  const random = createRandom(seed)
  const base = book()
  const traders = Array.from({ length: 80 }, (_, i) => trader(`0xt${String(i).padStart(3, '0')}`, random))
  const makers = Array.from({ length: 6 }, (_, i): AccountInput => ({ ...trader(`0xz${i}`, random), settlementBalance: String(Math.round(20_000e6 * random.next())) }))
  return {
    ...base,
    accounts: [...base.accounts, ...traders, ...makers],
    markets: base.markets.map((m) => (m.id === ETH ? { ...m, ranges: [...m.ranges, ...makers.map(({ id }, i) => ({ account: id, lowerTick: 79_980 - 60 * (i + 1), upperTick: 80_100 + 60 * i, liquidity: e18(2_000), baseDebtE18: e18(1 + i), quoteDebtE18: e18(9_000) }))] } : m)),
  }
}

const bookOf = (of: RunInputs): DeskBook => makeBook(BLOCK, of)
const ALL: readonly Asked[] = (['base', 'severe', 'day'] as const).flatMap((severity) => stressScenarios(severity).map((scenario) => ({ scenario, severity: null })))
const task = (more: Partial<StressTask> = {}): StressTask => ({ asked: ALL, worst: 10, persistence: null, args: null, ...more })

/** One scenario over the book, object by object: the plain method. */
function byObjects(of: DeskBook, accounts: readonly StressAccount[], { scenario }: Asked, worst: number) {
  const shock = shockFrom(of.context, scenario)
  const row = { liquidatableAccounts: 0, liquidatableNotional: 0, badDebt: 0 }
  const losses: { account: string; value: number; recoverable: number; gross: number; requirement: number; shortfall: number }[] = []
  for (const account of accounts) {
    const { value, recoverable, gross, cost } = accountUnder(account, shock)
    const requirement = account.maintenanceMargin * gross
    const due = gross > 0 && value < requirement
    if (due) {
      row.liquidatableAccounts++
      row.liquidatableNotional += gross
    }
    const shortfall = Math.max(0, (due ? cost : 0) - recoverable)
    if (shortfall <= 0) continue
    row.badDebt += shortfall
    losses.push({ account: account.id, value, recoverable, gross, requirement, shortfall })
  }
  losses.sort((a, b) => b.shortfall - a.shortfall || (a.account < b.account ? -1 : 1))
  const [first, second] = [losses[0]?.shortfall ?? 0, losses[1]?.shortfall ?? 0]
  const fundUsed = Math.min(Math.max(0, of.context.fundCapacity ?? 0), row.badDebt)
  return { ...row, cover1: first, cover2: first + second, fundUsed, uncovered: row.badDebt - fundUsed, worstAccounts: losses.slice(0, worst) }
}

const sizeOf = (accounts: readonly StressAccount[]): number => accounts.reduce((sum, a) => sum + Math.abs(a.cash) + a.positions.reduce((s, p) => s + Math.abs(p.value), 0), 1)

/** Both ways over all scenarios, figure by figure. */
async function expectEqual(of: DeskBook, engine = shared): Promise<void> {
  const accounts = of.stressAccounts()
  const size = sizeOf(accounts)
  const { scenarios } = await computeStress(of, engine, task())
  expect(scenarios).toHaveLength(ALL.length)
  let losers = 0
  for (const asked of ALL) {
    const expected = byObjects(of, accounts, asked, 10)
    const found = scenarios.find((one) => one.id === asked.scenario.id && one.title === asked.scenario.title)!
    const { worstAccounts, liquidatableAccounts, ...amounts } = expected
    expect(found.liquidatableAccounts).toBe(liquidatableAccounts)
    for (const [name, value] of Object.entries(amounts)) expect(Math.abs(found[name as keyof typeof amounts]! - value) / size).toBeLessThan(1e-9)
    expect(found.worstAccounts.map((one) => one.account)).toEqual(worstAccounts.map((one) => one.account))
    worstAccounts.forEach((one, i) => {
      const { account: _, ...figures } = one
      for (const [name, value] of Object.entries(figures)) expect(Math.abs(found.worstAccounts[i]![name as keyof typeof figures] - value) / size).toBeLessThan(1e-9)
    })
    losers += worstAccounts.length
  }
  // The comparison is of something.
  expect(losers).toBeGreaterThan(20)
}

const shared = createEngine({ threads: 1 })
afterAll(() => shared.close())

describe('stress of the book of a block', () => {
  test('second method: every figure of every regime is that of a loop over accounts as objects, worst accounts and makers included, to 1e-9', async () => {
    await expectEqual(bookOf(inputs()))
  })

  test('second method: the fund’s target stands on the same shortfalls as the plain loop’s', async () => {
    const of = bookOf(inputs())
    const found = await computeShortfalls(of, null, shared)
    const accounts = of.stressAccounts()
    stressScenarios('severe').forEach((scenario, i) => {
      const expected = scenarioShortfall(accounts, shockFrom(of.context, scenario))
      expect(found[i]).toMatchObject({ id: expected.id, accountsInLoss: expected.accountsInLoss })
      for (const name of ['total', 'cover1', 'cover2'] as const) expect(Math.abs(found[i]![name] - expected[name]) / sizeOf(accounts)).toBeLessThan(1e-9)
    })
  })

  test('behavior: moves, titles and order are those of the question, worst first', async () => {
    const of = bookOf(inputs())
    const asked = scenariosOf({ shocks: [{ id: 'calm', moves: [{ name: 'vETH', value: -0.01 }] }, { id: 'hard', moves: [{ name: 'vETH', value: -0.3 }, { name: 'vOP', value: 0.2 }] }] }, ['vETH', 'vOP', 'WETH'])
    const { scenarios, accounts } = await computeStress(of, shared, task({ asked }))
    expect(accounts).toBe(90)
    expect(scenarios.map((one) => one.id)).toEqual(['hard', 'calm'])
    expect(scenarios[0]!.moves).toEqual([{ name: 'vETH', value: -0.3 }, { name: 'vOP', value: 0.2 }, { name: 'WETH', value: 0 }])
    expect(scenarios[0]).toMatchObject({ cascade: null, cascadeUnknown: null })
  })

  test('error: a book without a price is unknown', async () => {
    const of = inputs()
    const book = bookOf({ ...of, markets: of.markets.map((m) => (m.id === OP ? { ...m, oracle: null } : m)) })
    await expect(computeStress(book, shared, task())).rejects.toMatchObject({ code: 'SAMPLE_TOO_SMALL', message: expect.stringContaining('prices of vOP') })
    // The next book is right all the same.
    await expectEqual(bookOf(of))
  })
})

/** An account as the contracts value it where the mark price is the index price and no funding is open: what the stress of today's prices approximates by nothing. */
function healthOf(of: RunInputs, account: AccountInput): AccountHealth {
  const ratio = (name: string): bigint => BigInt(of.parameters.find((p) => p.name === name)!.current)
  const priceOf = (id: string): bigint => BigInt([...of.markets, ...of.collaterals].find((one) => one.id === id)!.oracle!.priceE18)
  const markets = new Set([...account.positions.map((p) => p.market), ...of.markets.flatMap((m) => (m.ranges.some((r) => r.account === account.id) ? [m.id] : []))])
  return accountHealth(
    {
      settlementBalance: BigInt(account.settlementBalance), owedRealizedPnlE18: BigInt(account.owedRealizedPnlE18), pendingFundingE18: 0n, pendingFeeE18: 0n,
      collaterals: account.collaterals.map(({ asset, amount }) => ({ token: asset as Address, amount: BigInt(amount), decimals: 18, priceE18: priceOf(asset), collateralRatioE6: ratio('collateralRatio') })),
      positions: [...markets].map((id) => {
        const held = account.positions.find((p) => p.market === id)
        const ranges = of.markets.find((m) => m.id === id)!.ranges.filter((r) => r.account === account.id)
        return {
          market: id as Address, sizeE18: BigInt(held?.sizeE18 ?? 0), openNotionalE18: BigInt(held?.openNotionalE18 ?? 0), markPriceE18: priceOf(id), indexPriceE18: priceOf(id), sqrtPriceX96: BigInt(sqrtX96(PRICE[id] as number)),
          ranges: ranges.map((r) => ({ lowerTick: r.lowerTick, upperTick: r.upperTick, liquidity: BigInt(r.liquidity), baseDebtE18: BigInt(r.baseDebtE18), quoteDebtE18: BigInt(r.quoteDebtE18) })),
        }
      }),
    },
    { settlementDecimals: of.settlement.decimals, imRatioE6: ratio('imRatio'), mmRatioE6: ratio('mmRatio'), mmRatioBufferE6: 0n, debtNonSettlementTokenValueRatioE6: 750_000n, debtThreshold: 1n },
  )
}

describe('today’s prices', () => {
  /** Accounts whose collateral makes the difference: above the requirement by what is recovered of it, below by what counts, and the other way round where more counts. */
  const between = (collateralRatio: string): RunInputs => {
    const start = inputs()
    const extra = Array.from({ length: 20 }, (_, i): AccountInput => {
      const size = 5 + i
      // Account value 3,000·size + cash + 15,000·ratio around the requirement of 187.50·size, from 2,000 below it to 1,800 above.
      const cash = 187.5 * size - 15_000 * 0.85 - 2_000 + 200 * i
      return { id: `0xw${String(i).padStart(2, '0')}`, settlementBalance: String(Math.round(cash * 1e6)), owedRealizedPnlE18: '0', positions: [{ market: ETH, sizeE18: e18(size), openNotionalE18: e18(-3_000 * size) }], collaterals: [{ asset: WETH, amount: e18(5) }] }
    })
    const accounts = [...start.accounts, ...extra].sort((a, b) => (a.id < b.id ? -1 : 1))
    return { ...start, accounts, parameters: start.parameters.map((p) => (p.name === 'collateralRatio' ? { ...p, current: collateralRatio } : p)) }
  }

  test.each(['850000', '700000', '1000000'])('second method: at a collateral ratio of %s millionths, stress without a move, a ladder’s rung at 0 and the queue hold the accounts that the contracts would let be liquidated, with their values', async (ratio) => {
    const now = between(ratio)
    const of = bookOf(now)
    const healths = new Map(now.accounts.map((account) => [account.id, healthOf(now, account)]))
    const float = (x: bigint): number => Number(x / 10n ** 9n) / 1e9
    // Without a position there is nothing to take, whatever is owed.
    const isDue = ({ belowMaintenance, totalAbsPositionValueE18 }: AccountHealth): boolean => belowMaintenance && totalAbsPositionValueE18 > 0n
    const due = [...healths].flatMap(([id, health]) => (isDue(health) ? [id] : []))
    // The comparison is of something: some are due for what does not count of their collateral alone.
    const stressed = new Map(of.stressAccounts().map((account) => [account.id, accountUnder(account, { id: 'still', changeOf: () => 0, costOf: () => 0 })]))
    const byRatioAlone = due.filter((id) => stressed.get(id)!.recoverable >= float(healths.get(id)!.marginRequirementE18))
    expect(byRatioAlone.length).toBeGreaterThanOrEqual(ratio === '1000000' ? 0 : 3)

    const asked = scenariosOf({ shocks: [{ id: 'still', moves: [], volumeFactor: 0.999 }] }, ['vETH', 'vOP', 'WETH'])
    const { scenarios: [still] } = await computeStress(of, shared, task({ asked }))
    expect(still!.liquidatableAccounts).toBe(due.length)
    const notional = due.reduce((sum, id) => sum + float(healths.get(id)!.totalAbsPositionValueE18), 0)
    expect(Math.abs(still!.liquidatableNotional - notional)).toBeLessThan(1e-6 * (1 + notional))

    await shared.withBook(of, async (held) => {
      const found = accountsUnder(held, { id: 'still', changeOf: () => 0 })
      held.ids.forEach((id, a) => {
        const health = healths.get(id)!
        const scale = 1e-9 * (1e6 + float(health.totalAbsPositionValueE18))
        expect(Math.abs(found.value[a]! - float(health.accountValueE18))).toBeLessThan(scale)
        expect(Math.abs(found.requirement[a]! - float(health.marginRequirementE18))).toBeLessThan(scale)
        expect(found.gross[a]! > 0 && found.value[a]! < found.requirement[a]!).toBe(isDue(health))
      })
    })

    const rung = computeLadder(of, { market: ETH, changes: [0], joint: false }).rungs[0]!
    expect(rung).toMatchObject({ change: 0, accounts: due.length })
    expect(Math.abs(rung.notional - notional)).toBeLessThan(1e-6 * (1 + notional))

    const accounts = [...healths].map(([id, health]): LiquidationAccount => ({ id, value: float(health.accountValueE18), recoverable: stressed.get(id)!.recoverable, requirement: float(health.marginRequirementE18), positions: health.positions.map((p) => ({ market: p.market, notional: float(p.positionValueE18) })), closingCost: 0 }))
    const queue = liquidationQueue(accounts, { rules: of.context.liquidationRules(), capacityPerHour: 0, liquidated15Min: 0, openInterest: 1 })
    expect(queue.entries.filter((one) => one.due).map((one) => one.id).sort()).toEqual(due.sort())
  })
})

describe('a ladder whose prices move together', () => {
  test('behavior: every other price moves by its measured beta to the market’s, and collateral that is its coin alike', () => {
    const start = inputs()
    const n = 30 * 288
    const { asOfSec } = start
    const eth = normals(n, 13).map((z) => 0.002 * z)
    const series = (feed: string, last: number, returns: readonly number[]): RunInputs['series'][number] => {
      const logs: number[] = []
      for (const r of returns) logs.push((logs.at(-1) ?? 0) + r)
      return { feed, startSec: asOfSec - n * 300, endSec: asOfSec, bars: logs.map((log, i) => [i, e18(last * Math.exp(log))] as const) }
    }
    const [opFeed, ethFeed] = [start.markets.find((m) => m.id === OP)!.oracle!.feed, start.markets.find((m) => m.id === ETH)!.oracle!.feed]
    // vOP moves 1.5 times as vETH, to the last digit.
    const of = bookOf({ ...start, series: [series(opFeed, 2, eth.map((r) => 1.5 * r)), series(ethFeed, 3_000, eth)] })
    const joint = computeLadder(of, { market: ETH, changes: [-0.2], joint: true })
    expect(joint.unknown).toEqual([])
    expect(joint.betas).toEqual([{ name: 'vOP', value: expect.closeTo(1.5, 6) }, { name: 'WETH', value: 1 }])
    const costs = shockFrom(of.context, { ...stressScenarios('base')[0]!, volumeFactor: 1 }).costOf
    const [expected] = liquidationLadder(of.stressAccounts(), { asset: ETH, price: 3_000, changes: [-0.2], fund: 0, costOf: costs, moveOf: (asset) => (asset === OP ? -0.3 : -0.2) })
    expect(joint.rungs[0]).toMatchObject({ accounts: expected!.accounts })
    expect(joint.rungs[0]!.badDebt / expected!.badDebt).toBeCloseTo(1, 6)
    expect(computeLadder(of, { market: ETH, changes: [-0.2], joint: false }).betas).toEqual([{ name: 'vOP', value: 0 }, { name: 'WETH', value: 1 }])
    // From the other side: vETH moves 2/3 as far, and so does WETH.
    expect(computeLadder(of, { market: OP, changes: [-0.2], joint: true }).betas).toEqual([{ name: 'vETH', value: expect.closeTo(2 / 3, 6) }, { name: 'WETH', value: expect.closeTo(2 / 3, 6) }])
    const blind = computeLadder(bookOf({ ...start, series: [] }), { market: ETH, changes: [-0.2], joint: true })
    expect(blind).toMatchObject({ betas: [{ name: 'vOP', value: 1 }, { name: 'WETH', value: 1 }], unknown: [{ reason: 'NOT_MEASURED', what: 'beta of vOP' }] })
  })
})

describe('cascades', () => {
  const hard = (): readonly Asked[] => scenariosOf({ shocks: [{ id: 'hard', moves: [{ name: 'vETH', value: -0.25 }, { name: 'vOP', value: -0.3 }] }] }, ['vETH', 'vOP', 'WETH'])

  test('behavior: the settled figures stand beside the first round’s and are no smaller, with rounds and final prices', async () => {
    const of = bookOf(inputs())
    const { scenarios: [alone] } = await computeStress(of, shared, task({ asked: hard() }))
    const { scenarios: [both] } = await computeStress(of, shared, task({ asked: hard(), persistence: 1 }))
    const { cascade, cascadeUnknown, ...first } = both!
    expect({ ...first, cascade: null, cascadeUnknown: null }).toEqual(alone)
    expect(cascadeUnknown).toBeNull()
    expect(cascade!.settled).toBe(true)
    expect(cascade!.rounds).toBeGreaterThan(1)
    expect(cascade!.badDebt).toBeGreaterThan(first.badDebt)
    expect(cascade!.liquidatedNotional).toBeGreaterThanOrEqual(first.liquidatedNotional)
    expect(cascade!.liquidatableAccounts).toBeGreaterThanOrEqual(first.liquidatableAccounts)
    expect(cascade!.fundUsed! + cascade!.uncovered!).toBeCloseTo(cascade!.badDebt, 6)
    const [eth, op] = cascade!.prices
    expect(eth).toMatchObject({ name: 'vETH', move: -0.25 })
    expect(op).toMatchObject({ name: 'vOP', move: -0.3 })
    // Longs were sold into the fall.
    expect(eth!.low).toBeLessThan(-0.25)
    for (const { low, move, high } of cascade!.prices) {
      expect(low).toBeLessThanOrEqual(move)
      expect(high).toBeGreaterThanOrEqual(move)
    }
  })

  test('behavior: a market’s final price is the scenario’s less persistence·σ·√(taken / volume left)', async () => {
    const start = inputs()
    // vETH alone, so that all that is taken is taken there.
    const of = bookOf({ ...start, accounts: start.accounts.map((a) => ({ ...a, positions: a.positions.filter((p) => p.market === ETH), settlementBalance: String(Math.max(1, Number(a.settlementBalance))) })) })
    const asked = scenariosOf({ shocks: [{ id: 'thin', moves: [{ name: 'vETH', value: -0.1 }], volumeFactor: 0.2 }] }, ['vETH', 'vOP', 'WETH'])
    const { scenarios: [one] } = await computeStress(of, shared, task({ asked, persistence: 0.5 }))
    const { dailyVolume, statistics } = of.context.market(ETH)
    const { now, longRun } = statistics!.volatility.value!
    // A day has 288 bars of five minutes.
    const daily = Math.max(now, longRun) * Math.sqrt(288)
    const [eth] = one!.cascade!.prices
    const [down, up] = [1 - (1 + eth!.low) / 0.9, (1 + eth!.high) / 0.9 - 1]
    expect(down).toBeGreaterThan(0)
    // Below the policy's most, where the law no longer holds.
    expect(Math.max(down, up)).toBeLessThan(0.25)
    const takenBy = (push: number): number => (push / (0.5 * daily)) ** 2 * dailyVolume * 0.2
    expect((takenBy(down) + takenBy(up)) / one!.cascade!.liquidatedNotional).toBeCloseTo(1, 9)
  })

  test('behavior: without persistence no price moves, and one round is all', async () => {
    const { scenarios: [one] } = await computeStress(bookOf(inputs()), shared, task({ asked: hard(), persistence: 0 }))
    const { cascade, ...first } = one!
    expect(cascade).toMatchObject({ rounds: 1, settled: true, badDebt: first.badDebt, cover2: first.cover2, worstAccounts: first.worstAccounts })
    expect(cascade!.prices.every((p) => p.low === p.move && p.high === p.move)).toBe(true)
  })

  test('error: where liquidations fall into a market that nobody measured, the cascade is unknown and says where', async () => {
    const of = inputs()
    const quiet = bookOf({ ...of, markets: of.markets.map((m) => (m.id === OP ? { ...m, volumeE18: '0' } : m)) })
    const { scenarios: [one], unknown } = await computeStress(quiet, shared, task({ asked: hard(), persistence: 1 }))
    expect(one!.cascade).toBeNull()
    expect(one!.cascadeUnknown).toMatchObject({ reason: 'NOT_MEASURED', what: 'cascade', message: expect.stringContaining('vOP') })
    expect(unknown).toMatchObject([{ reason: 'NOT_MEASURED', what: 'impact in vOP' }])
    // What falls due elsewhere alone is known.
    const asked = scenariosOf({ shocks: [{ id: 'flat', moves: [{ name: 'vETH', value: 0.0001 }] }] }, ['vETH', 'vOP', 'WETH'])
    const calm = bookOf({ ...of, accounts: of.accounts.map((a) => ({ ...a, settlementBalance: '900000000000000' })), markets: quiet.inputs.markets })
    expect((await computeStress(calm, shared, task({ asked, persistence: 1 }))).scenarios[0]).toMatchObject({ cascadeUnknown: null, cascade: { rounds: 1 } })
  })

  test('behavior: progress only grows and ends at 1, and a cancelled run gives the signal’s reason', async () => {
    const shares: number[] = []
    await computeStress(bookOf(inputs()), shared, task({ persistence: 1 }), { report: (share) => void shares.push(share) })
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
    expect(shares.at(-1)).toBe(1)
    expect(shares.length).toBeGreaterThan(2)
    const stop = new AbortController()
    const reason = new Error('the analyst closed the page')
    const run = computeStress(bookOf(inputs()), shared, task({ persistence: 1 }), { signal: stop.signal, report: () => stop.abort(reason) })
    await expect(run).rejects.toBe(reason)
    await expectEqual(bookOf(inputs()))
  })
})

describe('from block to block', () => {
  const syncs = (engine: ReturnType<typeof createEngine>, of: DeskBook): Promise<Synced> => engine.withBook(of, async (_book, _pool, synced) => synced)

  test('behavior: only what changed is touched, and every figure equals that of a book made anew', async () => {
    const engine = createEngine({ threads: 1 })
    try {
      const random = createRandom(99)
      let now = inputs()
      expect(await syncs(engine, bookOf(now))).toEqual({ way: 'made', accounts: 90, prices: 3 })
      expect(await syncs(engine, bookOf(now))).toMatchObject({ way: 'same' })

      // A block that touched two accounts and moved no price.
      now = { ...now, accounts: now.accounts.map((a, i) => (i === 5 || i === 40 ? { ...trader(a.id, random) } : a)) }
      expect(await syncs(engine, bookOf(now))).toEqual({ way: 'updated', accounts: 2, prices: 0 })
      await expectEqual(bookOf(now), engine)

      // vETH and WETH follow one feed.
      const moved = (price: number): RunInputs => ({ ...now, markets: now.markets.map((m) => (m.id === ETH ? { ...m, oracle: { ...m.oracle!, priceE18: e18(price) } } : m)), collaterals: now.collaterals.map((c) => ({ ...c, oracle: { ...c.oracle!, priceE18: e18(price) } })) })
      now = moved(2_900)
      expect(await syncs(engine, bookOf(now))).toEqual({ way: 'updated', accounts: 0, prices: 2 })
      await expectEqual(bookOf(now), engine)

      // One gone, one new, one range changed, another price, another volume.
      now = moved(3_050.5)
      now = {
        ...now,
        accounts: [...now.accounts.filter((a) => a.id !== '0xt010'), trader('0xnew', random)],
        markets: now.markets.map((m) => ({ ...m, volumeE18: e18(Number(m.volumeE18) / 1.1e18), ranges: m.ranges.map((r, i) => (i === 2 ? { ...r, liquidity: e18(1_500) } : r)) })),
      }
      expect(await syncs(engine, bookOf(now))).toEqual({ way: 'updated', accounts: 3, prices: 2 })
      await expectEqual(bookOf(now), engine)

      // What governance sets is in every account.
      for (const [name, current] of [['discountRatio', '100000'], ['collateralRatio', '700000'], ['liquidationPenaltyRatio', '12500'], ['mmRatio', '70000']] as const) {
        now = { ...now, parameters: now.parameters.map((p) => (p.name === name ? { ...p, current } : p)) }
        expect(await syncs(engine, bookOf(now))).toMatchObject({ way: 'made' })
        await expectEqual(bookOf(now), engine)
      }
    } finally {
      await engine.close()
    }
  })

  test('behavior: a hundred moves later nothing has added up', async () => {
    const engine = createEngine({ threads: 1 })
    try {
      const random = createRandom(5)
      const start = inputs()
      const at = (price: number): DeskBook => bookOf({ ...start, series: [], markets: start.markets.map((m) => (m.id === ETH ? { ...m, oracle: { ...m.oracle!, priceE18: e18(price) } } : m)) })
      for (let i = 0; i < 100; i++) await syncs(engine, at(3_000 * (1 + 0.1 * random.next())))
      const last = at(3_000)
      const fresh = createEngine({ threads: 1 })
      const valueOf = (of: typeof engine): Promise<Float64Array> => of.withBook(last, async (held) => held.base.value.slice(0, held.accounts))
      const [followed, made] = [await valueOf(engine), await valueOf(fresh)]
      await fresh.close()
      followed.forEach((value, i) => expect(Math.abs(value - made[i]!)).toBeLessThan(1e-9 * (1 + Math.abs(value))))
    } finally {
      await engine.close()
    }
  })
})
