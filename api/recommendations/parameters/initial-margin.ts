import { register } from '../model.ts'
import { marginBecause, marginConfidence, marginData, marginEvidence, marginOf, marginRaw, type MarginData } from './margin-ratios.ts'

register<MarginData>({
  parameter: 'imRatio',
  model: 'dynamic-margin',
  version: '3',
  tightWay: 'up',
  prepare: marginData,
  evaluate: (data, parameter) => {
    const { result } = marginOf(data, 'initial')
    return {
      raw: marginRaw(result.initial, parameter),
      value: result.initial,
      because: marginBecause(data, 'initial'),
      evidence: marginEvidence(data, 'initial'),
      confidence: marginConfidence(data),
    }
  },
})
