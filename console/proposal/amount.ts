/** What people write against what the contract takes, by bigint alone; the way back is `unscaled` of parameters/values.ts. Pure. */

/** Raw value of `6.25` with 4 decimals: 62500n; null where it is no number, or has more decimals than the contract keeps. */
export function rawOf(text: string, decimals: number): bigint | null {
  const match = /^(\d{1,3}(?:,\d{3})+|\d+)?(?:\.(\d*))?$/.exec(text.trim().replace(/\s/g, ''))
  if (!match || (match[1] === undefined && !match[2])) return null
  const [, whole = '0', fraction = ''] = match
  const kept = fraction.replace(/0+$/, '')
  if (kept.length > decimals) return null
  return BigInt(`${whole.replaceAll(',', '')}${kept.padEnd(decimals, '0')}`)
}
