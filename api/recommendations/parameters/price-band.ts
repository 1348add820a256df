import { fromFloat } from '../../../core/units.ts'
import { bandFrom, type BandData } from '../context.ts'
import { count, percent } from '../format.ts'
import { register, type Evidence } from '../model.ts'

/** Evidence that a band and a tick cap share. */
export function bandEvidence(data: BandData): Evidence[] {
  const from = 'oracle price updates, last value of each 5-minute bar'
  return [
    { label: '5-minute volatility now', value: percent(data.sigma5MinNow), unit: 'of price', source: `EWMA over ${from}` },
    { label: '5-minute volatility of the window', value: percent(data.sigma5MinLongRun), unit: 'of price', source: from },
    { label: 'Bars in the window', value: count(data.barCount), unit: '5-minute bars', source: from },
    { label: 'Bars without an update', value: count(data.gapBars), unit: '5-minute bars', source: 'left as gaps; a return over k bars counts as k bars' },
    { label: 'Returns', value: count(data.observations), unit: 'observations', source: data.dropped === 0 ? from : `${from}; ${count(data.dropped)} over feed outages left out` },
    data.spread === null
      ? { label: 'Spread that trades usually show', value: 'unknown', unit: 'of index price', source: `${count(data.trades)} trades in the window, too few` }
      : { label: `Spread that ${percent(data.spreadQuantile)} of trades stay within`, value: percent(data.spread), unit: 'of index price', source: `${count(data.trades)} trades in the window` },
    { label: 'Usual spreads in the band', value: String(data.spreadFactor), unit: '× spread', source: 'policy' },
    { label: 'Volatilities in the band', value: String(data.k), unit: 'σ', source: 'policy' },
    { label: 'Narrowest band', value: percent(data.floor), unit: 'of index price', source: 'policy' },
  ]
}

/** First half of the sentence; `asked` names what the band means for the parameter. */
export function bandBecause(data: BandData, asked: string): string {
  const volatility = `5-minute volatility of ${percent(data.sigma5Min)} over ${count(data.barCount)} bars`
  const { binding } = bandFrom(data)
  if (binding === 'volatility') return `${volatility} asks for ${asked}`
  if (binding === 'usual spread') return `${percent(data.spreadQuantile)} of ${count(data.trades)} trades end within ${percent(data.spread ?? 0)} of the index, and ${data.spreadFactor} times that asks for ${asked} (${volatility} asks for less)`
  return `${volatility} asks for ${asked}, the narrowest that the policy allows`
}

register<BandData>({
  parameter: 'marketMaxPriceSpreadRatio',
  model: 'volatility-band',
  version: '2',
  tightWay: 'down',
  prepare: (context, parameter) => context.band(parameter.subject),
  evaluate: (data, parameter) => {
    const { band } = bandFrom(data)
    return {
      raw: fromFloat(band, parameter.decimals, 'ceil'),
      value: band,
      because: bandBecause(data, `a band of ${percent(band)}`),
      evidence: bandEvidence(data),
      confidence: data.confidence,
    }
  },
})
