/** Numbers as people type them: the one reader of every field that takes one. */

/** Signs before; commas only as groups of three that do not begin with a nought, since `0,050` is a decimal comma; a point before the decimals. */
const TYPED = /^([+−-]?)([1-9]\d{0,2}(?:,\d{3})+|\d+)?(?:\.(\d*))?$/

/** Plain decimal text of what was typed, digit for digit: `−1,234.50` is `-1234.50`, `.5` is `0.5`; null for what is no number, such as `2,5`, `1 000` or `1e3`. */
export function decimalOf(text: string): string | null {
  const [, sign, whole = '', fraction = ''] = TYPED.exec(text.trim()) ?? []
  if (whole === '' && fraction === '') return null
  return `${sign === '-' || sign === '−' ? '-' : ''}${whole.replaceAll(',', '') || '0'}${fraction && `.${fraction}`}`
}

/** The number that was typed; null where it is none, or too large for a float. */
export function typedNumber(text: string): number | null {
  const decimal = decimalOf(text)
  return decimal !== null && Number.isFinite(Number(decimal)) ? Number(decimal) : null
}

/** Raw value of `6.25` with 4 decimals: 62500n; null where it is no number, is below 0, or has more decimals than the contract keeps. */
export function rawOf(text: string, decimals: number): bigint | null {
  const decimal = decimalOf(text)
  if (decimal === null || decimal.startsWith('-')) return null
  const [whole = '', fraction = ''] = decimal.split('.')
  const kept = fraction.replace(/0+$/, '')
  return kept.length > decimals ? null : BigInt(`${whole}${kept.padEnd(decimals, '0')}`)
}
