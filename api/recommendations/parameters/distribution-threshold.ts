import { fromFloat } from '../../../core/units.ts'
import { fundTarget, type FundTarget, type ScenarioShortfall } from '../../risk/index.ts'
import { leastConfident, type Confidence, type RunContext } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'

export type FundData = {
  readonly shortfalls: readonly ScenarioShortfall[]
  readonly openInterest: number
  readonly kappa: number
  readonly capacity: number | null
  readonly accounts: number
  readonly confidence: Confidence
}

/** What the fund's target is computed from. Throws SampleTooSmallError where a scenario cannot be priced. */
export function fundData(context: RunContext): FundData {
  const shortfalls = context.shortfalls()
  if (shortfalls.value === null) throw shortfalls.unknown
  const confidences = context.markets.filter((m) => m.openInterest > 0).map((m) => context.confidence(m.input.oracle?.feed ?? null, m.alarm))
  return {
    shortfalls: shortfalls.value.map((s) => ({ ...s })),
    openInterest: context.openInterest,
    kappa: context.policy.fund.kappa,
    capacity: context.fundCapacity,
    accounts: context.inputs.accounts.length,
    confidence: leastConfident(confidences, 0.8, 'scenarios carry no probabilities'),
  }
}

/** First half of the sentence, with the term that decides; its value is the target. */
function becauseOf(data: FundData, result: FundTarget, symbol: string): string {
  const scenarios = count(data.shortfalls.length)
  if (result.target === 0) return `none of ${scenarios} stress scenarios leaves a loss${data.openInterest === 0 ? ', and there is no open interest' : ''}: the book asks for`
  switch (result.binding) {
    case 'share of open interest':
      return `${percent(data.kappa)} of ${money(data.openInterest, symbol)} open interest, above what the stress scenarios take, asks for`
    case 'cover-2': {
      const { id } = data.shortfalls.reduce((a, b) => (b.cover2 > a.cover2 ? b : a))
      return `the two largest account losses of one stress scenario, ${money(result.cover2, symbol)} in ${id}, ask for`
    }
    default:
      return `the worst quarter of ${scenarios} stress scenarios leaves ${money(result.expectedShortfall, symbol)} unpaid on average (most in ${result.worst.id}, ${money(result.worst.total, symbol)} by ${count(result.worst.accountsInLoss)} of ${count(data.accounts)} accounts), which asks for`
  }
}

register<FundData>({
  parameter: 'distributionThreshold',
  model: 'fund-target',
  version: '2',
  tightWay: 'up',
  // InsuranceFund.distributeFee reverts at 0 (IF_DTEZ): the tightest value there is, although it is the smallest number.
  atZero: 'distribution is off, a threshold of 0 pays nothing out; people switch it on',
  prepare: (context) => fundData(context),
  evaluate: (data, parameter, symbol) => {
    const result = fundTarget(data.shortfalls, data.openInterest, data.kappa)
    return {
      raw: fromFloat(result.target, parameter.decimals, 'ceil'),
      value: result.target,
      because: `${becauseOf(data, result, symbol)} a threshold of ${money(result.target, symbol)}`,
      evidence: [
        { label: 'Shortfall in the worst scenario', value: money(result.worst.total, symbol), unit: symbol, source: `${result.worst.id}, all accounts at once at index prices` },
        { label: 'Cover-1', value: money(result.cover1, symbol), unit: symbol, source: 'largest single loss over the scenarios' },
        { label: 'Cover-2', value: money(result.cover2, symbol), unit: symbol, source: 'two largest losses of one scenario' },
        { label: 'Expected shortfall', value: money(result.expectedShortfall, symbol), unit: symbol, source: 'mean of the worst quarter of the scenarios' },
        { label: `${percent(data.kappa)} of open interest`, value: money(result.openInterestTerm, symbol), unit: symbol, source: 'policy, larger side of each market at the index price' },
        { label: 'Fund now', value: data.capacity === null ? 'unknown' : money(data.capacity, symbol), unit: symbol, source: 'wallet and vault balance, what is on the way between them included' },
        { label: 'Decided by', value: result.binding, unit: '', source: 'the largest of the three' },
        { label: 'Approximated', value: 'index price for mark price; no liquidation during the shock', unit: '', source: 'unsettled funding and uncollected maker fees are left out' },
      ],
      confidence: data.confidence,
    }
  },
})
