import { moveOf, ticksOf } from '../../risk/index.ts'
import { bandFrom, type BandData } from '../context.ts'
import { count, percent } from '../format.ts'
import { register } from '../model.ts'
import { bandBecause, bandEvidence } from './price-band.ts'

register<BandData>({
  parameter: 'maxTickCrossedWithinBlock',
  model: 'volatility-band-ticks',
  version: '1',
  tightWay: 'down',
  prepare: (context, parameter) => context.band(parameter.subject),
  evaluate: (data) => {
    const { band } = bandFrom(data)
    const ticks = ticksOf(band)
    return {
      raw: BigInt(ticks),
      value: ticks,
      because: bandBecause(data, `${count(ticks)} ticks, a move of ${percent(band)}`),
      evidence: [...bandEvidence(data), { label: 'Move that the ticks allow', value: percent(moveOf(ticks)), unit: 'of price', source: '1.0001^ticks − 1' }],
      confidence: data.confidence,
    }
  },
})
