import type { FundQuery, FundRunQuery, FundSimulationInput, StartFundMutation } from '../generated/analysis.ts'
import { decimalUsd, duration, money, number, percent, sentence } from './format.ts'
import { numberIn, printJson, type Ask, type Command, type Io } from './io.ts'
import { follow } from './runs.ts'
import { footer, known } from './standing.ts'
import { paragraph, renderFacts } from './table.ts'

export type FundTarget = NonNullable<NonNullable<FundQuery['insuranceFund']>['target']>

export const fund: Command = {
  name: 'fund',
  about: 'the insurance fund against what it should hold, how long it lasts, and the fee that fills it',
  flags: {
    kappa: { type: 'string', value: 'SHARE', about: 'least share of open interest, fraction (default: 0.01)' },
    days: { type: 'string', value: 'N', about: 'days in which fees are to fill it (default: 90)' },
    simulate: { type: 'boolean', about: 'simulate its shortfall first, in the background of the API' },
    paths: { type: 'string', value: 'N', about: 'of the simulation, 10000 to 1000000 (default: 10000)' },
    hours: { type: 'string', value: 'N', about: 'of a path, 1 to 168 (default: 24)' },
    seed: { type: 'string', value: 'N', about: 'the same seed over the same inputs gives the same paths (default: 1)' },
  },
  examples: ['', '--simulate --paths 50000', '--days 30 --json'],
  run: async (given, ask, io) => {
    const number = (name: string, low: number, high: number) => {
      const value = numberIn(given, name, low, high, 'whole')
      return value === undefined ? {} : { [name]: value }
    }
    const variables = { kappa: numberIn(given, 'kappa', 0, 1) ?? 0.01, days: numberIn(given, 'days', 0.01, 36_500) ?? 90 }
    const input = { ...number('paths', 10_000, 1_000_000), ...number('hours', 1, 168), ...number('seed', 0, 2 ** 31 - 1) }
    // What was asked for is what is shown: without it the target stands on the policy's own simulation.
    const simulation = given.on('simulate') ? await simulate(input, ask, io) : null
    const answer = await ask.one<FundQuery>('fund', 'Fund', { ...variables, simulation })
    if (given.on('json')) return printJson(io, answer)
    io.out(fundText(answer, io))
  },
}

/** Simulates the fund's shortfall in the background of the API, with progress on stderr; gives back the run's id. */
export async function simulate(input: FundSimulationInput, ask: Ask, io: Io): Promise<string> {
  const { startRiskRun: started } = await ask.still<StartFundMutation>('fund', 'StartFund', { input })
  await follow('Simulation', started, () => ask.one<FundRunQuery>('fund', 'FundRun', { id: started.id }), (one) => one.riskRun, { ask, io })
  return started.id
}

/** Runway in words: null is a fund that does not shrink, or one that nobody has simulated. */
export const runwayText = (target: FundTarget): string =>
  target.runwayDays !== null ? `${number(target.runwayDays)} days` : target.fund === null ? 'unknown: the fund is not indexed' : target.simulation === null ? 'unknown: nothing was simulated' : 'without end: fees outweigh the expected loss'

/** The simulated quantile with its interval. */
export function quantileText({ simulation }: Pick<FundTarget, 'simulation'>): string {
  if (simulation === null) return 'unknown: no simulation is stored at or before this block; npm run bulwark -- fund --simulate makes one'
  const { level, quantile, lower, upper, confidence, paths, horizonSec, seed, block } = simulation
  return `${money(quantile)} USD at ${percent(level, 1)}, with ${percent(confidence, 0)} confidence from ${money(lower)} to ${upper === null ? 'unknown (the sample is too small)' : money(upper)} (${number(paths)} paths of ${duration(horizonSec)}, seed ${seed}, block ${block.number})`
}

/** The fee that fills the gap. */
export function feeText(target: FundTarget): string {
  if (target.feeShare === null) return `unknown: ${target.fund === null ? 'the fund is not indexed' : target.simulation === null ? 'nothing was simulated, so the expected loss is unknown' : 'there were no fees in 30 days'}`
  if (target.feeShare === 0) return 'none is needed'
  return `${percent(target.feeShare, 1)} of fees${target.feeOfTurnover === null ? '' : ` (${percent(target.feeOfTurnover, 4)} of turnover)`} reaches the target in ${number(target.days, Number.isInteger(target.days) ? 0 : 1)} days${target.feeReachable === false ? ', which is more than there is' : ''}`
}

export const gapText = (target: FundTarget): string => (target.gap === null ? 'unknown: the fund is not indexed' : target.gap > 0 ? `${money(target.gap)} USD missing` : `${money(-target.gap)} USD above it`)

function fundText({ status, insuranceFund }: FundQuery, { width }: Pick<Io, 'width'>): string {
  const { capacity, wallet, vault, inflow, outflow, badDebt, target: one } = known(insuranceFund)
  const target = known(one)
  const facts = renderFacts(
    [
      ['Fund', `${decimalUsd(capacity.value)} USD (wallet ${decimalUsd(wallet.value)}, vault ${decimalUsd(vault.value)})`],
      ['Target', `${money(target.target)} USD, decided by ${target.binding}`],
      ['Against target', gapText(target)],
      ['Cover-1, cover-2', `${money(target.cover1)}, ${money(target.cover2)} USD (${target.scenario})`],
      ['Worst quarter of scenarios', `${money(target.scenarioShortfall)} USD on average`],
      ['Share of open interest', `${money(target.openInterestTerm)} USD`],
      ['Simulated shortfall', quantileText(target)],
      ['Runway', runwayText(target)],
      ['Fees of 30 days', `${money(target.feesPerDay)} USD a day`],
      ['Fee to fill it', feeText(target)],
      ['Since the start', `${decimalUsd(inflow.value)} in, ${decimalUsd(outflow.value)} out, ${decimalUsd(badDebt.value)} bad debt, USD`],
    ],
    width,
  )
  return `${facts}\n${paragraph(sentence(target.why), width)}\n${footer(status, target.provenance, width)}`
}
