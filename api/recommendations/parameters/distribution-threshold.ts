import { fromFloat } from '../../../core/units.ts'
import { insuranceTarget, type InsuranceTarget, type QuantileInterval, type ScenarioShortfall, type SimulatedShortfall } from '../../risk/index.ts'
import { assumedBetas, leastConfident, type Confidence, type RunContext } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { register, type Evidence } from '../model.ts'

/** The simulated shortfall as the fund's models use it; `ageSec` against the run's own time. */
type Simulated = Pick<SimulatedShortfall, 'paths' | 'horizonSec' | 'seed' | 'expectedShortfall' | 'meanPerDay' | 'standardError' | 'lossShare' | 'capacityBoundShare'> & { readonly quantile: QuantileInterval; readonly block: string; readonly ageSec: number }

export type FundData = {
  readonly shortfalls: readonly ScenarioShortfall[]
  readonly simulation: Simulated | null
  /** Why there is no simulation, half a sentence; null with one. */
  readonly simulationUnknown: string | null
  readonly openInterest: number
  readonly kappa: number
  /** Quote; null where the fund is not indexed. */
  readonly capacity: number | null
  /** What the fund takes of trading fees now, quote a day. */
  readonly incomePerDay: number
  readonly refillSec: number
  readonly accounts: number
  /** Prices that scenarios move by an assumption, in words. */
  readonly assumedBetas: readonly string[]
  readonly confidence: Confidence
}

/** What the fund's target is computed from. Throws SampleTooSmallError where a scenario cannot be priced. */
export function fundData(context: RunContext): FundData {
  const shortfalls = context.shortfalls()
  if (shortfalls.value === null) throw shortfalls.unknown
  const { simulation, asOfSec } = context.inputs
  const confidences = context.markets.filter((m) => m.openInterest > 0).map((m) => context.confidence(m.input.oracle?.feed ?? null, m.alarm))
  const done = simulation.state === 'DONE' ? simulation : null
  return {
    shortfalls: shortfalls.value.map((s) => ({ ...s })),
    simulation: done && {
      block: done.block,
      ageSec: Math.max(0, asOfSec - done.timestampSec),
      paths: done.result.paths,
      horizonSec: done.result.horizonSec,
      seed: done.result.seed,
      quantile: done.result.quantile,
      expectedShortfall: done.result.expectedShortfall,
      meanPerDay: done.result.meanPerDay,
      standardError: done.result.standardError,
      lossShare: done.result.lossShare,
      capacityBoundShare: done.result.capacityBoundShare,
    },
    simulationUnknown: simulation.state === 'NONE' ? simulation.why : null,
    openInterest: context.openInterest,
    kappa: context.policy.fund.kappa,
    capacity: context.fundCapacity,
    incomePerDay: context.markets.reduce((sum, m) => sum + m.feesPerDay * (context.parameter(context.names.fundShareOfFees, m.input.id) === null ? 0 : context.ratio(context.names.fundShareOfFees, m.input.id)), 0),
    refillSec: context.policy.margin.refillSec,
    accounts: context.inputs.accounts.length,
    assumedBetas: assumedBetas(context).map(({ symbol, why }) => `${symbol}: ${why}`),
    confidence: done === null ? leastConfident(confidences, 0.8, 'no simulation, and scenarios carry no probabilities') : leastConfident(confidences),
  }
}

export const fundTargetOf = (data: FundData): InsuranceTarget =>
  insuranceTarget({ stress: data.shortfalls, simulation: data.simulation, openInterest: data.openInterest, kappa: data.kappa, fund: Math.max(0, data.capacity ?? 0), incomePerDay: data.incomePerDay })

const worstOf = (data: FundData): ScenarioShortfall => data.shortfalls.reduce((a, b) => (b.total > a.total ? b : a))

/** First half of the sentence, with the term that decides; its value is the target. */
function becauseOf(data: FundData, result: InsuranceTarget, symbol: string): string {
  const scenarios = count(data.shortfalls.length)
  const { simulation } = data
  if (result.target === 0) return `none of ${scenarios} stress scenarios${simulation === null ? '' : ` and fewer than ${percent(1 - simulation.quantile.level)} of ${count(simulation.paths)} simulated days`} leaves a loss${data.openInterest === 0 ? ', and there is no open interest' : ''}: the book asks for`
  switch (result.binding) {
    case 'simulated quantile':
      return `${percent(simulation?.quantile.level ?? 0)} of ${count(simulation?.paths ?? 0)} simulated days leave at most ${money(result.target, symbol)} unpaid (${intervalText(simulation?.quantile ?? null, symbol)}), more than any two accounts of ${scenarios} stress scenarios, which asks for`
    case 'share of open interest':
      return `${percent(data.kappa)} of ${money(data.openInterest, symbol)} open interest, above what the stress scenarios${simulation === null ? '' : ' and the simulation'} take, asks for`
    case 'cover-2':
      return `the two largest account losses of one stress scenario, ${money(result.cover2, symbol)} in ${result.scenario}, ask for`
    default: {
      const worst = worstOf(data)
      return `the worst quarter of ${scenarios} stress scenarios leaves ${money(result.scenarioShortfall, symbol)} unpaid on average (most in ${worst.id}, ${money(worst.total, symbol)} by ${count(worst.accountsInLoss)} of ${count(data.accounts)} accounts), which asks for`
    }
  }
}

const intervalText = (quantile: QuantileInterval | null, symbol: string): string =>
  quantile === null ? 'unknown' : `${percent(quantile.confidence)} interval ${money(quantile.lower, symbol)} to ${quantile.upper === null ? 'beyond the sample' : money(quantile.upper, symbol)}`

/** `3 h`, `20 min`. */
const age = (sec: number): string => (sec < 7_200 ? `${count(Math.round(sec / 60))} min` : `${count(Math.round(sec / 3_600))} h`)

/** How long the fund lasts, as both of its parameters show it. */
export function runwayEvidence(data: FundData, result: InsuranceTarget, symbol: string): Evidence {
  const { simulation, capacity } = data
  const label = 'Runway'
  if (simulation === null || capacity === null) return { label, value: 'unknown', unit: 'days', source: capacity === null ? 'the fund is not indexed' : (data.simulationUnknown ?? '') }
  const flows = `${money(simulation.meanPerDay, symbol)} of losses a day are expected, ${money(data.incomePerDay, symbol)} of fees a day come in`
  return { label, value: result.runwayDays === null ? 'does not shrink' : count(Math.round(result.runwayDays)), unit: result.runwayDays === null ? '' : 'days', source: flows }
}

register<FundData>({
  parameter: 'distributionThreshold',
  model: 'fund-target',
  version: '4',
  tightWay: 'up',
  // InsuranceFund.distributeFee reverts at 0 (IF_DTEZ): the tightest value there is, although it is the smallest number.
  atZero: 'distribution is off, a threshold of 0 pays nothing out; people switch it on',
  prepare: (context) => fundData(context),
  evaluate: (data, parameter, symbol) => {
    const result = fundTargetOf(data)
    const { simulation } = data
    const worst = worstOf(data)
    return {
      raw: fromFloat(result.target, parameter.decimals, 'ceil'),
      value: result.target,
      because: `${becauseOf(data, result, symbol)} a threshold of ${money(result.target, symbol)}`,
      evidence: [
        { label: 'Shortfall in the worst scenario', value: money(worst.total, symbol), unit: symbol, source: `${worst.id}, all accounts at once at index prices` },
        { label: 'Cover-1', value: money(result.cover1, symbol), unit: symbol, source: 'largest single loss over the scenarios' },
        { label: 'Cover-2', value: money(result.cover2, symbol), unit: symbol, source: `two largest losses of one scenario, ${result.scenario}` },
        { label: 'Expected shortfall over scenarios', value: money(result.scenarioShortfall, symbol), unit: symbol, source: 'mean of the worst quarter of them' },
        ...(simulation === null
          ? [{ label: 'Simulated shortfall', value: 'unknown', unit: symbol, source: data.simulationUnknown ?? '' }]
          : [
              { label: `Simulated shortfall, ${percent(simulation.quantile.level)} quantile`, value: money(simulation.quantile.value, symbol), unit: symbol, source: `${intervalText(simulation.quantile, symbol)}; ${count(simulation.paths)} paths of ${count(simulation.horizonSec / 3_600)} h by filtered historical simulation, seed ${simulation.seed}, at block ${count(Number(simulation.block))}, ${age(simulation.ageSec)} before` },
              { label: 'Simulated shortfall, mean beyond it', value: money(simulation.expectedShortfall, symbol), unit: symbol, source: `${percent(simulation.lossShare)} of paths leave any loss` },
              { label: 'Paths on which liquidators run out of depth', value: percent(simulation.capacityBoundShare), unit: 'of paths', source: `a pool’s depth is assumed to be there again after ${count(data.refillSec)} s` },
            ]),
        { label: `${percent(data.kappa)} of open interest`, value: money(result.openInterestTerm, symbol), unit: symbol, source: 'policy, larger side of each market at the index price' },
        { label: 'Fund now', value: data.capacity === null ? 'unknown' : money(data.capacity, symbol), unit: symbol, source: 'wallet and vault balance, what is on the way between them included' },
        runwayEvidence(data, result, symbol),
        { label: 'Decided by', value: result.binding, unit: '', source: `the largest of ${simulation === null ? 'three' : 'four'}` },
        ...(data.assumedBetas.length === 0 ? [] : [{ label: 'Assumed moves', value: count(data.assumedBetas.length), unit: 'prices', source: data.assumedBetas.join('; ') }]),
        { label: 'Approximated', value: 'index price for mark price; scenarios liquidate nothing, paths do not move prices by liquidations', unit: '', source: 'unsettled funding and uncollected maker fees are left out' },
      ],
      confidence: data.confidence,
    }
  },
})
