/** The insurance fund's simulated shortfall over a book: what its paths are drawn from, in parts that can be reported on. */
import { shockFrom } from '../../recommendations/context.ts'
import { decayOf, jointResiduals, jointReturns, SampleTooSmallError, simulatePaths, summariseShortfall, type BarSeries, type JointResiduals, type PathLosses, type ShortfallOptions, type SimulatedShortfall } from '../../risk/index.ts'
import type { FundSimulationInput } from '../generated/resolvers.ts'
import { wholeWithin, within } from './answer.ts'
import type { RiskBook } from './book.ts'
import { CALM, capacityOf, rulesOf } from './liquidations.ts'

export type FundTask = { readonly paths: number; readonly hours: number; readonly seed: number; readonly level: number; readonly confidence: number }

/** Throws UserInputError. */
export const fundTask = (input: FundSimulationInput, path = 'input'): FundTask => ({
  paths: wholeWithin(`${path}.paths`, input.paths ?? 10_000, 10_000, 1_000_000, 'paths'),
  hours: wholeWithin(`${path}.hours`, input.hours ?? 24, 1, 168, 'hours of a path'),
  seed: wholeWithin(`${path}.seed`, input.seed ?? 1, 0, 2 ** 31 - 1, 'any of these'),
  level: within(`${path}.level`, input.level ?? 0.999, 0.5, 0.9999, '0.999 means 99.9 %'),
  confidence: within(`${path}.confidence`, input.confidence ?? 0.95, 0.5, 0.999, '0.95 means 95 %'),
})

/** Bars to try, the longest first: fewer steps to a path. */
const BARS_SEC = [3_600, 1_800, 900, 300] as const
const PART = 250

/** Residuals of all feeds at once, on the longest bars that hold enough of them. */
function residualsOf(book: RiskBook, feeds: readonly string[]): { joint: JointResiduals; barSec: number; lambda: number } {
  let shortage: SampleTooSmallError | undefined
  for (const barSec of BARS_SEC) {
    const series = feeds.map((feed): BarSeries => {
      const facts = book.context.markets.find((m) => m.input.oracle?.feed === feed)
      const bars = facts === undefined ? null : book.bars(facts, barSec)
      if (bars === null) throw new SampleTooSmallError({ statistic: `prices of ${feed}`, found: 0, needed: 500 })
      return bars
    })
    const start = Math.max(...series.map((one) => one.startSec))
    const common = series.map((one): BarSeries => {
      const shift = (start - one.startSec) / barSec
      return { startSec: start, barSec, barCount: Math.max(0, one.barCount - shift), bars: one.bars.flatMap((bar) => (bar.index >= shift ? [{ index: bar.index - shift, close: bar.close }] : [])) }
    })
    const lambda = decayOf(book.inputs.policy.halfLifeSec, barSec)
    try {
      return { joint: jointResiduals(jointReturns(common, { maxSpan: Math.max(1, book.inputs.policy.maxGapSec / barSec) }), lambda), barSec, lambda }
    } catch (error) {
      if (!(error instanceof SampleTooSmallError)) throw error
      shortage = error
    }
  }
  throw shortage ?? new SampleTooSmallError({ statistic: 'simulated shortfall', found: 0, needed: 500 })
}

/** Runs the paths part by part; `report` hears the share that is done. Throws SampleTooSmallError. */
export function computeFund(book: RiskBook, task: FundTask, report: (share: number) => void): SimulatedShortfall {
  const priced = [...book.context.markets.filter((m) => m.input.open).map((m) => m.input), ...book.inputs.collaterals].flatMap(({ id, oracle }) => (oracle === null ? [] : [{ id, feed: oracle.feed }]))
  // A collateral whose feed no market has moves with nothing that is simulated, and stands still.
  const feeds = [...new Set(priced.map((one) => one.feed))].filter((feed) => book.context.markets.some((m) => m.input.oracle?.feed === feed))
  const moving = priced.filter((one) => feeds.includes(one.feed))
  const { joint, barSec, lambda } = residualsOf(book, feeds)
  const index = (feed: string): number => feeds.indexOf(feed)
  const { impactOf } = shockFrom(book.context, CALM)
  const capacity = new Map(book.context.markets.map((m) => [m.input.id, (capacityOf(book, [m]) * barSec) / 3_600]))
  const options: ShortfallOptions = {
    assets: moving.map((one) => one.id),
    source: { kind: 'fhs', residuals: moving.map((one) => joint.residuals[index(one.feed)] as Float64Array), sigmaPerBar: moving.map((one) => joint.sigmaPerBar[index(one.feed)] as number), lambda },
    steps: Math.round((task.hours * 3_600) / barSec),
    barSec,
    paths: task.paths,
    seed: task.seed,
    capacityPerStep: (asset) => capacity.get(asset) ?? 0,
    impactOf,
    rules: rulesOf(book),
    level: task.level,
    confidence: task.confidence,
  }
  const accounts = book.stressAccounts()
  const parts: PathLosses[] = []
  for (let from = 0; from < task.paths; from += PART) {
    parts.push(simulatePaths(accounts, options, { from, to: Math.min(task.paths, from + PART) }))
    report(Math.min(1, (from + PART) / task.paths))
  }
  return summariseShortfall(parts, options)
}
