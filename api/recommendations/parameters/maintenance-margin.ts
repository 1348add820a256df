import { register } from '../model.ts'
import { marginBecause, marginConfidence, marginData, marginEvidence, marginOf, marginRaw, type MarginData } from './margin-ratios.ts'

register<MarginData>({
  parameter: 'mmRatio',
  model: 'dynamic-margin',
  version: '3',
  tightWay: 'up',
  prepare: marginData,
  evaluate: (data, parameter) => {
    const { result } = marginOf(data, 'maintenance')
    return {
      raw: marginRaw(result.maintenance, parameter),
      value: result.maintenance,
      because: marginBecause(data, 'maintenance'),
      evidence: marginEvidence(data, 'maintenance'),
      confidence: marginConfidence(data),
    }
  },
})
