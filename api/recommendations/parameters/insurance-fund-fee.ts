import { fromFloat } from '../../../core/units.ts'
import { feeToTarget, SampleTooSmallError } from '../../risk/index.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'
import { fundData, fundTargetOf, runwayEvidence, type FundData } from './distribution-threshold.ts'

type Data = FundData & { readonly symbol: string; readonly share: number; readonly feesPerDay: number; readonly turnoverPerDay: number; readonly days: number }

register<Data>({
  parameter: 'insuranceFundFeeRatio',
  model: 'fund-filling',
  version: '3',
  tightWay: 'up',
  prepare: (context, parameter) => {
    const facts = context.market(parameter.subject)
    const data = fundData(context)
    if (data.capacity === null) throw new SampleTooSmallError({ statistic: 'insurance fund balance', found: 0, needed: 1 })
    if (facts.feesPerDay === 0) throw new SampleTooSmallError({ statistic: `trading fees of ${facts.input.symbol}`, found: 0, needed: 1 })
    return { ...data, symbol: facts.input.symbol, share: context.openInterest === 0 ? 0 : facts.openInterest / context.openInterest, feesPerDay: facts.feesPerDay, turnoverPerDay: facts.dailyVolume, days: context.policy.fund.fillDays }
  },
  evaluate: (data, parameter, symbol) => {
    const result = fundTargetOf(data)
    const { target } = result
    const capacity = data.capacity as number
    const gap = (target - capacity) * data.share
    const lossPerDay = (data.simulation?.meanPerDay ?? 0) * data.share
    const fee = feeToTarget({ gap, days: data.days, feesPerDay: data.feesPerDay, turnoverPerDay: data.turnoverPerDay, expectedLossPerDay: lossPerDay, otherIncomePerDay: 0 })
    // Fees cannot give more than all of themselves; the policy's maximum is far below.
    const ratio = Math.min(1, fee.shareOfFees)
    const losses = lossPerDay >= 0.005 ? ` and ${money(lossPerDay, symbol)} of expected losses a day` : ''
    return {
      raw: fromFloat(ratio, parameter.decimals, 'ceil'),
      value: ratio,
      because:
        gap <= 0
          ? `the fund of ${money(capacity, symbol)} is above its target of ${money(target, symbol)}${ratio === 0 ? ' and asks for no more than the smallest share of fees' : `, and${losses.slice(4)} in ${data.symbol} alone ask for a share of fees of ${percent(ratio)}`}`
          : `the fund lacks ${money(target - capacity, symbol)}; ${data.symbol}’s part of ${percent(data.share)}${losses} in ${count(data.days)} days of fees at ${money(data.feesPerDay, symbol)} a day asks for a share of ${fee.reachable ? percent(ratio) : 'more than 100 %'}`,
      evidence: [
        { label: 'Fund target', value: money(target, symbol), unit: symbol, source: 'as for distributionThreshold' },
        { label: 'Fund now', value: money(capacity, symbol), unit: symbol, source: 'wallet and vault balance, what is on the way between them included' },
        { label: 'Market’s part of the gap', value: percent(data.share), unit: 'of gap', source: 'its share of open interest' },
        { label: 'Trading fees', value: money(data.feesPerDay, symbol), unit: `${symbol} per day`, source: 'mean over the window' },
        { label: 'Expected losses', value: data.simulation === null ? 'unknown' : money(lossPerDay, symbol), unit: `${symbol} per day`, source: data.simulation === null ? (data.simulationUnknown ?? '') : 'market’s part of the simulation’s mean' },
        { label: 'Time to fill', value: count(data.days), unit: 'days', source: 'policy' },
        runwayEvidence(data, result, symbol),
      ],
      confidence: data.confidence,
    }
  },
})
