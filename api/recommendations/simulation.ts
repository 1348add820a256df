/** The insurance fund's simulated shortfall over a run's book: what its paths are drawn from, in parts that can be reported on, and when it is due again. Pure. */
import {
  dailyVolatility, decayOf, jointResiduals, jointReturns, SampleTooSmallError, simulatePaths, summariseShortfall, type BarSeries, type JointResiduals, type PathLosses, type ShortfallOptions,
  type SimulatedShortfall, type StressScenario,
} from '../risk/index.ts'
import { shockFrom, stressAccounts, type RunContext } from './context.ts'
import { capacityPerHour } from './horizon.ts'
import { barsOf, commonBars, maxSpanOf } from './statistics.ts'

/** What is simulated; the policy's own for recommendations. Level and confidence in (0, 1). */
export type FundTask = { readonly paths: number; readonly hours: number; readonly seed: number; readonly level: number; readonly confidence: number }

/** What a simulation stood on, to tell when the book has moved away from it. */
export type SimulationBasis = {
  readonly openInterest: number
  /** σ of a day per market, the larger of now and the window's. */
  readonly dailyVolatility: Readonly<Record<string, number>>
  readonly accounts: number
}

export type FundSimulation = SimulatedShortfall & { readonly basis: SimulationBasis }

/** Nothing moves: the costs of closing as they are. */
export const CALM: StressScenario = { id: 'calm', title: 'As it is', source: 'none', shock: { BTC: 0, ETH: 0, OTHER: 0, STABLE: 0 }, named: {}, volumeFactor: 1, oracleFreezeSec: 0, outageSec: 0, correlation: null }

/** Bars to try, the longest first: fewer steps to a path. */
const BARS_SEC = [3_600, 1_800, 900, 300] as const
const PART = 250

/** Residuals of all feeds at once, on the longest bars that hold enough of them. */
function residualsOf({ inputs }: RunContext, feeds: readonly string[]): { joint: JointResiduals; barSec: number; lambda: number } {
  const { policy } = inputs
  let shortage: SampleTooSmallError | undefined
  for (const barSec of BARS_SEC) {
    const series = feeds.map((feed): BarSeries => {
      const found = inputs.series.find((one) => one.feed === feed)
      if (found === undefined) throw new SampleTooSmallError({ statistic: `prices of ${feed}`, found: 0, needed: 500 })
      return barsOf(found, policy, barSec)
    })
    const lambda = decayOf(policy.halfLifeSec, barSec)
    try {
      return { joint: jointResiduals(jointReturns(commonBars(series), { maxSpan: maxSpanOf(policy, barSec) }), lambda), barSec, lambda }
    } catch (error) {
      if (!(error instanceof SampleTooSmallError)) throw error
      shortage = error
    }
  }
  throw shortage ?? new SampleTooSmallError({ statistic: 'simulated shortfall', found: 0, needed: 500 })
}

export function simulationBasis(context: RunContext): SimulationBasis {
  const { barSec } = context.policy
  const sigmas = context.markets.flatMap((facts) => {
    const found = facts.statistics?.volatility.value
    return found == null || facts.openInterest === 0 ? [] : [[facts.input.id, dailyVolatility(Math.max(found.now, found.longRun), barSec)] as const]
  })
  return { openInterest: context.openInterest, dailyVolatility: Object.fromEntries(sigmas), accounts: context.inputs.accounts.length }
}

/**
 * Runs the paths part by part; `report` hears the share that is done. Liquidators take per bar what the pools' depth allows.
 * Throws SampleTooSmallError where history or a price of the book is missing.
 */
export function simulateFund(context: RunContext, task: FundTask, report: (share: number) => void = () => {}): FundSimulation {
  const { inputs, policy } = context
  const priced = [...context.markets.filter((m) => m.input.open).map((m) => m.input), ...inputs.collaterals].flatMap(({ id, oracle }) => (oracle === null ? [] : [{ id, feed: oracle.feed }]))
  // A collateral whose feed no market has moves with nothing that is simulated, and stands still.
  const feeds = [...new Set(priced.map((one) => one.feed))].filter((feed) => context.markets.some((m) => m.input.oracle?.feed === feed))
  const moving = priced.filter((one) => feeds.includes(one.feed))
  const { joint, barSec, lambda } = residualsOf(context, feeds)
  const index = (feed: string): number => feeds.indexOf(feed)
  const { costOf } = shockFrom(context, CALM)
  const penalty = context.protocolRatio(context.names.liquidationPenalty)
  const capacity = new Map(context.markets.map((m) => [m.input.id, (capacityPerHour(m, penalty, policy.margin.refillSec) * barSec) / 3_600]))
  const options: ShortfallOptions = {
    assets: moving.map((one) => one.id),
    source: { kind: 'fhs', residuals: moving.map((one) => joint.residuals[index(one.feed)] as Float64Array), sigmaPerBar: moving.map((one) => joint.sigmaPerBar[index(one.feed)] as number), lambda },
    steps: Math.round((task.hours * 3_600) / barSec),
    barSec,
    paths: task.paths,
    seed: task.seed,
    capacityPerStep: (asset) => capacity.get(asset) ?? 0,
    costOf,
    rules: context.liquidationRules(),
    level: task.level,
    confidence: task.confidence,
  }
  const accounts = stressAccounts(context)
  const parts: PathLosses[] = []
  for (let from = 0; from < task.paths; from += PART) {
    parts.push(simulatePaths(accounts, options, { from, to: Math.min(task.paths, from + PART) }))
    report(Math.min(1, (from + PART) / task.paths))
  }
  return { ...summariseShortfall(parts, options), basis: simulationBasis(context) }
}

const moved = (was: number, is: number, by: number): boolean => Math.abs(is - was) > by * Math.max(was, is)

/** Why the simulation is to be run again, half a sentence; null while the last one still speaks of this book. */
export function simulationDue(context: RunContext): string | null {
  const { simulation, asOfSec } = context.inputs
  const { refreshSec, bookMove, volatilityMove } = context.policy.fund.simulation
  if (simulation.state === 'NONE') return simulation.triedSec === null || asOfSec - simulation.triedSec > refreshSec ? 'there is none yet' : null
  if (asOfSec - simulation.timestampSec > refreshSec) return `it is older than ${refreshSec} s`
  const [was, is] = [simulation.result.basis, simulationBasis(context)]
  if (moved(was.openInterest, is.openInterest, bookMove)) return `open interest went from ${was.openInterest.toFixed(0)} to ${is.openInterest.toFixed(0)}`
  for (const market of new Set([...Object.keys(was.dailyVolatility), ...Object.keys(is.dailyVolatility)])) {
    if (moved(was.dailyVolatility[market] ?? 0, is.dailyVolatility[market] ?? 0, volatilityMove)) return `the volatility of ${market} went from ${((was.dailyVolatility[market] ?? 0) * 100).toFixed(2)} to ${((is.dailyVolatility[market] ?? 0) * 100).toFixed(2)} % a day`
  }
  return null
}
