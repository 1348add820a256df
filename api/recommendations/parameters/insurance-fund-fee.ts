import { fromFloat } from '../../../core/units.ts'
import { fundFeeRatio, fundTarget, SampleTooSmallError } from '../../risk/index.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'
import { fundData, type FundData } from './distribution-threshold.ts'

type Data = FundData & { readonly symbol: string; readonly share: number; readonly feesPerDay: number; readonly days: number }

register<Data>({
  parameter: 'insuranceFundFeeRatio',
  model: 'fund-filling',
  version: '2',
  tightWay: 'up',
  prepare: (context, parameter) => {
    const facts = context.market(parameter.subject)
    const data = fundData(context)
    if (data.capacity === null) throw new SampleTooSmallError({ statistic: 'insurance fund balance', found: 0, needed: 1 })
    if (facts.feesPerDay === 0) throw new SampleTooSmallError({ statistic: `trading fees of ${facts.input.symbol}`, found: 0, needed: 1 })
    return { ...data, symbol: facts.input.symbol, share: context.openInterest === 0 ? 0 : facts.openInterest / context.openInterest, feesPerDay: facts.feesPerDay, days: context.policy.fund.fillDays }
  },
  evaluate: (data, parameter, symbol) => {
    const { target } = fundTarget(data.shortfalls, data.openInterest, data.kappa)
    const capacity = data.capacity as number
    const gap = (target - capacity) * data.share
    // Fees cannot give more than all of themselves; the policy's maximum is far below.
    const ratio = Math.min(1, fundFeeRatio({ gap, feesPerDay: data.feesPerDay, days: data.days }))
    return {
      raw: fromFloat(ratio, parameter.decimals, 'ceil'),
      value: ratio,
      because:
        gap <= 0
          ? `the fund of ${money(capacity, symbol)} is above its target of ${money(target, symbol)} and asks for no more than the smallest share of fees`
          : `the fund lacks ${money(target - capacity, symbol)}; ${data.symbol}’s part of ${percent(data.share)} in ${count(data.days)} days of fees at ${money(data.feesPerDay, symbol)} a day asks for a share of ${ratio < 1 ? percent(ratio) : 'more than 100 %'}`,
      evidence: [
        { label: 'Fund target', value: money(target, symbol), unit: symbol, source: 'as for distributionThreshold' },
        { label: 'Fund now', value: money(capacity, symbol), unit: symbol, source: 'wallet and vault balance, what is on the way between them included' },
        { label: 'Market’s part of the gap', value: percent(data.share), unit: 'of gap', source: 'its share of open interest' },
        { label: 'Trading fees', value: money(data.feesPerDay, symbol), unit: `${symbol} per day`, source: 'mean over the window' },
        { label: 'Time to fill', value: count(data.days), unit: 'days', source: 'policy' },
      ],
      confidence: data.confidence,
    }
  },
})
