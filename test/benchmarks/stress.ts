/** Every account of a generated book under every scenario, on threads, beside a plain loop over objects. */
import { setImmediate as breath } from 'node:timers/promises'
import { createStressPool } from '../../api/engine/pool.ts'
import {
  baseFigures, createAccountBook, createRandom, impactCoefficient, movePrices, updateAccounts,
  type BookAsset, type BookScenario, type BookStress, type Random, type StressAccount,
} from '../../api/risk/index.ts'
import { InvariantError } from '../../core/errors.ts'
import { median } from './report.ts'

const MARKETS = Array.from({ length: 20 }, (_, i) => `market ${i + 1}`)
const COLLATERALS = Array.from({ length: 4 }, (_, i) => `collateral ${i + 1}`)
const RULES = { fullBelow: 0.5, partialShare: 0.5, wholeUpTo: 100, penalty: 0.025 }
const MARGIN = 0.0625
/** Collateral ratio and discount of every collateral: what counts of it, and what a liquidation loses of it. */
const RATIO = 0.7
const DISCOUNT = 0.1
const SEED = 20_200_312

/** Daily volumes from 2 billion down, as markets are. */
const ASSETS: readonly BookAsset[] = [
  ...MARKETS.map((asset, i) => ({ asset, impact: impactCoefficient({ dailyVolatility: 0.05, dailyVolume: 2e9 / (i + 1) }), maxImpact: 0.3 })),
  ...COLLATERALS.map((asset) => ({ asset, impact: 0, maxImpact: 0 })),
]

/**
 * A book: 2 to 6 positions per account in different markets (4 on average), notionals lognormal around 3,000, equity of 8 % to 108 % of gross,
 * for every second account a tenth of gross as one of the collaterals, counted at 70 % and recovered at 90 %.
 */
export function generateAccounts(count: number, random: Random): StressAccount[] {
  const places = MARKETS.map((_, i) => i)
  return Array.from({ length: count }, (_, k): StressAccount => {
    const positions = Array.from({ length: 2 + (k % 5) }, (_, i) => {
      const at = i + random.below(places.length - i)
      ;[places[i], places[at]] = [places[at] as number, places[i] as number]
      return { asset: MARKETS[places[i] as number] as string, value: (random.next() < 0.5 ? -1 : 1) * Math.exp(8 + random.normal()) }
    })
    const gross = positions.reduce((sum, p) => sum + Math.abs(p.value), 0)
    const equity = gross * (0.08 + random.next() ** 2)
    const collateral = k % 2 === 0 ? [] : [{ asset: COLLATERALS[random.below(COLLATERALS.length)] as string, counted: (RATIO * gross) / 10, recovered: ((1 - DISCOUNT) * gross) / 10 }]
    return { id: `account ${k}`, cash: equity - positions.reduce((sum, p) => sum + p.value, 0) - collateral.reduce((sum, c) => sum + c.counted, 0), positions, ranges: [], collateral, maintenanceMargin: MARGIN }
  })
}

/** Scenarios: a common move of 8 % (one standard deviation) and own moves of 4 %, every fourth with a fifth of the liquidity, every tenth with a haircut of 10 % more. */
export function generateScenarios(count: number, random: Random): BookScenario[] {
  return Array.from({ length: count }, (_, s): BookScenario => {
    const common = 0.08 * random.normal()
    const moves = new Map(ASSETS.map(({ asset }) => [asset, Math.max(-0.9, common + 0.04 * random.normal())]))
    const liquidity = s % 4 === 3 ? 0.2 : 1
    const recovery = s % 10 === 9 ? 0.9 : 1
    return { id: `scenario ${s}`, changeOf: (asset) => moves.get(asset) ?? 0, liquidityOf: () => liquidity, recoveryOf: (asset) => (asset.startsWith('collateral') ? recovery : 1) }
  })
}

type PlainAccount = { readonly cash: number; readonly margin: number; readonly positions: readonly { readonly asset: number; readonly value: number }[]; readonly collateral: readonly { readonly asset: number; readonly counted: number; readonly recovered: number }[] }

/** The plain loop: an object per account, one scenario after another, prices looked up by number. It makes no maps and no garbage: a fair opponent. */
export function straightforward(accounts: readonly PlainAccount[], scenario: BookScenario) {
  const factors = ASSETS.map(({ asset }) => (1 + scenario.changeOf(asset)) * (scenario.recoveryOf?.(asset) ?? 1))
  const impacts = ASSETS.map(({ asset, impact }) => (impact ?? 0) / Math.sqrt(scenario.liquidityOf?.(asset) ?? 1))
  const sum = { value: 0, requirement: 0, liquidatable: 0, liquidatableNotional: 0, liquidatedNotional: 0, shortfall: 0, cover1: 0, cover2: 0, accountsInLoss: 0 }
  let second = 0
  let values = 0
  let requirements = 0
  for (const account of accounts) {
    let value = account.cash
    let gross = 0
    for (const p of account.positions) {
      const notional = p.value * (factors[p.asset] as number)
      value += notional
      gross += Math.abs(notional)
    }
    let recoverable = value
    for (const c of account.collateral) {
      value += c.counted * (factors[c.asset] as number)
      recoverable += c.recovered * (factors[c.asset] as number)
    }
    const requirement = account.margin * gross
    values += value
    requirements += requirement
    if (value >= requirement && recoverable >= 0) continue
    let cost = 0
    if (value < requirement) {
      let grossToday = 0
      for (const p of account.positions) {
        const notional = Math.abs(p.value * (factors[p.asset] as number))
        grossToday += Math.abs(p.value)
        cost += notional * Math.max(RULES.penalty, Math.min((ASSETS[p.asset] as BookAsset).maxImpact, (impacts[p.asset] as number) * Math.sqrt(notional)))
      }
      sum.liquidatable++
      sum.liquidatableNotional += gross
      sum.liquidatedNotional += gross * (value < RULES.fullBelow * requirement || grossToday <= RULES.wholeUpTo ? 1 : RULES.partialShare)
    }
    const loss = Math.max(0, cost - recoverable)
    if (loss === 0) continue
    sum.shortfall += loss
    sum.accountsInLoss++
    second = Math.max(second, Math.min(sum.cover1, loss))
    sum.cover1 = Math.max(sum.cover1, loss)
  }
  return { ...sum, value: values, requirement: requirements, cover2: sum.cover1 + second }
}

/** Largest difference between the two ways, relative to the book's gross notional or to the count; throws beyond 1e-9. */
export function largestDifference(ours: readonly BookStress[], plain: readonly ReturnType<typeof straightforward>[], gross: number): number {
  let largest = 0
  plain.forEach((expected, i) => {
    for (const [name, value] of Object.entries(expected)) {
      const found = (ours[i] as BookStress)[name as keyof typeof expected]
      const difference = Math.abs(found - value) / (name === 'liquidatable' || name === 'accountsInLoss' ? 1 : gross)
      if (!(difference < 1e-9)) throw new InvariantError(`Found ${name} of ${found} against ${value} in scenario ${i}, allowed is a difference below 1e-9; the engine is wrong`)
      largest = Math.max(largest, difference)
    }
  })
  return largest
}

export type StressResult = {
  readonly accounts: number
  readonly positions: number
  readonly markets: number
  readonly collaterals: number
  readonly scenarios: number
  readonly threads: number
  /** Wall time of all accounts under all scenarios, the median of `rounds` after a warm-up. */
  readonly seconds: number
  readonly rounds: readonly number[]
  readonly nsPerPositionScenario: number
  /** The plain loop in one thread, over `straightforwardScenarios` of them. */
  readonly straightforwardNsPerPositionScenario: number
  /** The same two in time of processors, all threads added up: what remains comparable on a machine that does something else. */
  readonly cpuNsPerPositionScenario: number
  readonly straightforwardCpuNsPerPositionScenario: number
  readonly straightforwardScenarios: number
  readonly speedup: number
  readonly largestDifference: number
  readonly peakRssMiB: number
  readonly bookMiB: number
  /** Mean share of accounts that a scenario makes liquidatable: they cost more than others. */
  readonly liquidatableShare: number
  readonly buildSeconds: number
  readonly cascade: { readonly scenarios: number; readonly seconds: number; readonly meanRounds: number; readonly mostRounds: number }
  /** Base figures after each event, ms, medians; a full recomputation: of all accounts in place, and from the accounts as objects. */
  readonly incremental: { readonly touchedAccounts: number; readonly afterBlockMs: number; readonly afterBlockMaxMs: number; readonly afterPriceMoveMs: number; readonly fullInPlaceMs: number; readonly fullFromObjectsMs: number }
}

export async function benchStress(options: { readonly accounts: number; readonly scenarios: number; readonly rounds: number; readonly progress: (text: string) => void }): Promise<StressResult> {
  const { progress } = options
  const random = createRandom(SEED)
  progress(`making a book of ${options.accounts} accounts`)
  const accounts = generateAccounts(options.accounts, random)
  const scenarios = generateScenarios(options.scenarios, random)
  let cpuMs = 0
  const timed = async (run: () => unknown): Promise<number> => {
    // Between measurements, so that what the last one left behind is not on the bill of the next.
    await breath()
    const start = performance.now()
    const cpu = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(cpu)
    cpuMs = (user + system) / 1_000
    return performance.now() - start
  }
  let book = createAccountBook(accounts, { assets: ASSETS, rules: RULES })
  const buildMs = await timed(() => void (book = createAccountBook(accounts, { assets: ASSETS, rules: RULES })))
  const work = book.positions * scenarios.length

  progress('the plain loop')
  const index = new Map(ASSETS.map(({ asset }, i) => [asset, i]))
  const numbered = <T extends { readonly asset: string }>(list: readonly T[]) => list.map((one) => ({ ...one, asset: index.get(one.asset) as number }))
  let plainAccounts: PlainAccount[] | null = accounts.map((a) => ({ cash: a.cash, margin: a.maintenanceMargin, positions: numbered(a.positions), collateral: numbered(a.collateral) }))
  const some = scenarios.slice(0, Math.max(1, Math.round(scenarios.length / 50)))
  for (const scenario of Array.from({ length: 8 }, (_, i) => some[i % some.length] as BookScenario)) straightforward(plainAccounts, scenario)
  let plain: ReturnType<typeof straightforward>[] = []
  const plainMs = await timed(() => void (plain = some.map((scenario) => straightforward(plainAccounts as PlainAccount[], scenario))))
  const plainCpuMs = cpuMs
  plainAccounts = null

  const pool = await createStressPool()
  try {
    progress(`${scenarios.length} scenarios on ${pool.threads} threads, ${options.rounds} times`)
    await pool.stress(book, scenarios.slice(0, 64))
    let results: readonly BookStress[] = []
    const rounds: number[] = []
    const cpu: number[] = []
    for (let i = 0; i < options.rounds; i++) {
      rounds.push((await timed(async () => void (results = await pool.stress(book, scenarios)))) / 1_000)
      cpu.push(cpuMs)
      progress(`${rounds.at(-1)?.toFixed(2)} s`)
    }
    const gross = accounts.reduce((sum, a) => sum + a.positions.reduce((s, p) => s + Math.abs(p.value), 0), 0)
    const difference = largestDifference(results, plain, gross)

    progress('cascades')
    const few = scenarios.slice(0, 64)
    let steps: readonly { readonly rounds: number }[] = []
    const cascadeMs = await timed(async () => void (steps = await pool.cascade(book, few, { persistence: 1 })))

    progress('base figures')
    const repeated = async (times: number, prepare: (i: number) => () => unknown): Promise<number[]> => {
      const all: number[] = []
      for (let i = 0; i < times; i++) all.push(await timed(prepare(i)))
      return all
    }
    const touched = Math.min(100, accounts.length)
    const block = await repeated(50, () => {
      const changed = Array.from({ length: touched }, () => {
        const account = accounts[random.below(accounts.length)] as StressAccount
        return { ...account, cash: account.cash + random.normal(), positions: account.positions.map((p) => ({ ...p, value: p.value * (1 + 0.1 * random.next()) })) }
      })
      return () => {
        updateAccounts(book, changed)
        baseFigures(book)
      }
    })
    const price = await repeated(20, (i) => () => {
      movePrices(book, { [MARKETS[i % MARKETS.length] as string]: i % 2 === 0 ? 0.01 : -0.01 })
      baseFigures(book)
    })
    const everything = Object.fromEntries(ASSETS.map(({ asset }) => [asset, 1e-6]))
    const full = await repeated(10, () => () => {
      movePrices(book, everything)
      baseFigures(book)
    })
    const nsPerPositionScenario = (median(rounds) * 1e9) / work
    const straightforwardNs = (plainMs * 1e6) / (book.positions * some.length)
    return {
      accounts: book.accounts, positions: book.positions, markets: MARKETS.length, collaterals: COLLATERALS.length, scenarios: scenarios.length, threads: pool.threads,
      seconds: median(rounds), rounds, nsPerPositionScenario, straightforwardNsPerPositionScenario: straightforwardNs, straightforwardScenarios: some.length, speedup: straightforwardNs / nsPerPositionScenario,
      cpuNsPerPositionScenario: (median(cpu) * 1e6) / work, straightforwardCpuNsPerPositionScenario: (plainCpuMs * 1e6) / (book.positions * some.length),
      largestDifference: difference, peakRssMiB: process.resourceUsage().maxRSS / 1024, bookMiB: book.layout.free / 2 ** 20,
      liquidatableShare: results.reduce((sum, r) => sum + r.liquidatable, 0) / (results.length * book.accounts), buildSeconds: buildMs / 1_000,
      cascade: { scenarios: few.length, seconds: cascadeMs / 1_000, meanRounds: steps.reduce((sum, s) => sum + s.rounds, 0) / steps.length, mostRounds: Math.max(...steps.map((s) => s.rounds)) },
      incremental: { touchedAccounts: touched, afterBlockMs: median(block), afterBlockMaxMs: Math.max(...block), afterPriceMoveMs: median(price), fullInPlaceMs: median(full), fullFromObjectsMs: buildMs },
    }
  } finally {
    await pool.close()
  }
}
