/** What people write against what the contract takes, by bigint alone. Pure. */
import { unscaled } from '../parameters/values.ts'
import { rawOf } from '../ui/number.ts'

/** How a parameter is written: its unit, and the decimals between that and the raw value; null where it is no amount. */
export type Written = { readonly unit: string; readonly inputDecimals: number | null; /** What is in force. */ readonly raw: string }
export type ReadValue = { readonly raw: bigint; readonly fault: null } | { readonly raw: null; readonly fault: string }

export const isYesNo = ({ unit }: Pick<Written, 'unit'>): boolean => unit === 'yes or no'
export const isAddress = ({ unit }: Pick<Written, 'unit'>): boolean => unit === 'address'

/** All that a contract's word of 256 bits holds. */
const MAX_RAW = 2n ** 256n - 1n
/** More of what was typed is not repeated. */
const SHOWN = 30
const found = (text: string): string => (text.length > SHOWN ? `Found “${text.slice(0, SHOWN)}…” of ${text.length} characters` : `Found “${text}”`)

/** As one would write it. */
export const valueText = (of: Written, raw: string): string => (isAddress(of) ? `0x${BigInt(raw).toString(16).padStart(40, '0')}` : of.inputDecimals === null ? raw : unscaled(raw, of.inputDecimals))

/** The raw value that a text says, or one sentence on what was found and what is allowed. The unit may be written behind the number. */
export function valueOf(of: Written, text: string): ReadValue {
  const { unit, inputDecimals } = of
  const refuse = (allowed: string): ReadValue => ({ raw: null, fault: `${found(text)}, allowed is ${allowed}; write for example ${valueText(of, of.raw)}.` })
  if (isAddress(of)) return /^0x[0-9a-f]{40}$/i.test(text.trim()) ? { raw: BigInt(text.trim()), fault: null } : refuse('an address of 20 bytes, 0x and 40 digits')
  if (isYesNo(of)) return text === '0' || text === '1' ? { raw: BigInt(text), fault: null } : refuse('0 for no, 1 for yes')
  const bare = unit !== '' && text.trim().endsWith(unit) ? text.trim().slice(0, -unit.length) : text
  const raw = inputDecimals === null ? null : rawOf(bare, inputDecimals)
  if (raw === null) return refuse(`a number from 0 with at most ${inputDecimals ?? 0} decimals${unit ? `, in ${unit}` : ''}`)
  if (raw > MAX_RAW) return refuse(`at most ${valueText(of, String(MAX_RAW))}${unit ? ` ${unit}` : ''}, all that the contract’s 256 bits hold`)
  return { raw, fault: null }
}

/** Whole seconds of what is typed in hours, at most `maxSec`; null without a fault where nothing is typed. */
export function hoursOf(text: string, maxSec: number): { readonly sec: number | null; readonly fault: string | null } {
  if (text === '') return { sec: null, fault: null }
  const sec = /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 3600) : Infinity
  return sec <= maxSec ? { sec, fault: null } : { sec: null, fault: `${found(text)}, allowed is a number of hours up to ${maxSec / 3600}, with a point before decimals; write for example 1.5.` }
}
