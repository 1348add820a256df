/** Numbers as people read them; the same text on every machine (no locale). */
import { formatUnits } from '../../core/units.ts'

/** Thousands separated: `8,640`, `-1,234.5`. */
export function grouped(text: string): string {
  const [whole = '', fraction] = text.split('.')
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`)
}

/** A fraction as a percentage with at most two decimals: 0.0041 is `0.41 %`. */
export const percent = (fraction: number): string => `${grouped((fraction * 100).toFixed(2).replace(/\.?0+$/, ''))} %`

export const money = (value: number, symbol: string): string => `${grouped(value.toFixed(Math.abs(value) < 100 ? 2 : 0))} ${symbol}`

export const count = (value: number): string => grouped(String(value))

/** A raw value in its unit: ratios as percentages, ticks and seconds by name, settlement tokens in whole tokens. */
export function formatRaw(raw: bigint, unit: string, decimals: number, settlementSymbol: string): string {
  switch (unit) {
    case 'RATIO':
      return `${grouped(formatUnits(raw, decimals - 2))} %`
    case 'RATIO_PER_DAY':
      return `${grouped(formatUnits(raw, decimals - 2))} % a day`
    case 'TICKS':
      return `${grouped(raw.toString())} ticks`
    case 'SECONDS':
      return `${grouped(raw.toString())} s`
    case 'SETTLEMENT_TOKEN':
      return `${grouped(formatUnits(raw, decimals))} ${settlementSymbol}`
    default:
      return grouped(formatUnits(raw, decimals))
  }
}
