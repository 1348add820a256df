import { percent } from '../format.ts'
import { register } from '../model.ts'
import { marginConfidence, marginData, marginEvidence, marginOf, marginRaw, type MarginData } from './margin-ratios.ts'

register<MarginData>({
  parameter: 'imRatio',
  model: 'dynamic-margin',
  version: '1',
  tightWay: 'up',
  prepare: marginData,
  evaluate: (data, parameter) => {
    const { market, result } = marginOf(data, 'initial')
    return {
      raw: marginRaw(result.initial, parameter),
      value: result.initial,
      because: `the 99 % expected shortfall in ${market.symbol} of ${percent(result.initialShortfall)} over ${data.initialHorizonSec / 3600} h asks for an initial margin of ${percent(result.initial)}`,
      evidence: marginEvidence(data, 'initial'),
      confidence: marginConfidence(data),
    }
  },
})
