import { percent } from '../format.ts'
import { register } from '../model.ts'
import { marginConfidence, marginData, marginEvidence, marginOf, marginRaw, type MarginData } from './margin-ratios.ts'

register<MarginData>({
  parameter: 'mmRatio',
  model: 'dynamic-margin',
  version: '1',
  tightWay: 'up',
  prepare: marginData,
  evaluate: (data, parameter) => {
    const { market, result } = marginOf(data, 'maintenance')
    return {
      raw: marginRaw(result.maintenance, parameter),
      value: result.maintenance,
      because: `the 99 % expected shortfall in ${market.symbol} of ${percent(result.maintenanceShortfall)} over ${data.liquidationHorizonSec / 3600} h, ${percent(market.impact)} of impact and the penalty of ${percent(data.penalty)} ask for a maintenance margin of ${percent(result.maintenance)}`,
      evidence: marginEvidence(data, 'maintenance'),
      confidence: marginConfidence(data),
    }
  },
})
