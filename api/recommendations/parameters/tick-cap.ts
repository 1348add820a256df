import { depthWithin, MAX_TICKS, moveOf, ticksOf } from '../../risk/index.ts'
import { bandFrom, type BandData } from '../context.ts'
import { count, money, percent } from '../format.ts'
import { register } from '../model.ts'
import { bandBecause, bandEvidence } from './price-band.ts'

/** Quote that it takes to move the price by the ticks asked for; null without ranges or price. */
type Data = BandData & { readonly depth: { readonly up: number; readonly down: number } | null }

register<Data>({
  parameter: 'maxTickCrossedWithinBlock',
  model: 'volatility-band-ticks',
  version: '2',
  tightWay: 'down',
  // Exchange.swap reverts at 0 (EX_MIP); liquidations go on.
  atZero: 'trading is stopped by a tick cap of 0; people reopen it',
  prepare: (context, parameter) => {
    const data = context.band(parameter.subject)
    const { ranges, indexPrice } = context.market(parameter.subject)
    if (ranges.length === 0 || indexPrice === null) return { ...data, depth: null }
    const { quoteUp, quoteDown } = depthWithin(ranges, Math.sqrt(indexPrice), ticksOf(bandFrom(data).band))
    return { ...data, depth: { up: quoteUp, down: quoteDown } }
  },
  evaluate: (data, _parameter, symbol) => {
    const { band } = bandFrom(data)
    const ticks = ticksOf(band)
    return {
      raw: BigInt(ticks),
      value: ticks,
      because: bandBecause(data, ticks === MAX_TICKS ? `${count(ticks)} ticks, the most the contract takes (a move of ${percent(moveOf(ticks))} for a band of ${percent(band)})` : `${count(ticks)} ticks, a move of ${percent(moveOf(ticks))}`),
      evidence: [
        ...bandEvidence(data),
        { label: 'Move that the ticks allow', value: percent(moveOf(ticks)), unit: 'of price', source: '1.0001^ticks − 1' },
        data.depth === null
          ? { label: 'Depth within those ticks', value: 'unknown', unit: symbol, source: 'no liquidity ranges' }
          : { label: 'Depth within those ticks', value: `${money(data.depth.up, symbol)} up, ${money(data.depth.down, symbol)} down`, unit: symbol, source: 'makers’ ranges around the index price' },
      ],
      confidence: data.confidence,
    }
  },
})
