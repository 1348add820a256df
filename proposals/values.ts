/** A parameter's value as people write it → raw. The other way stands in `words.ts`; what that says, this reads. Pure. */
import { isAddress } from 'viem'
import { BadInputError } from '../core/errors.ts'
import type { Address, ParameterSpec } from '../protocols/adapter.ts'
import type { Target } from './draft.ts'
import { valueWords } from './words.ts'

const UINT256_MAX = 2n ** 256n - 1n
/** Thousands in threes or not at all; no sign, no exponent. */
const AMOUNT = String.raw`(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?`
const DURATIONS: Readonly<Record<string, bigint>> = { s: 1n, min: 60n, h: 3_600n, d: 86_400n }

/**
 * Raw value of a parameter out of a text with its unit: `5 %`, `10 % a day`, `900 s`, `15 min`, `6 h`, `250 ticks`, `10,000 USDC`,
 * `no limit`, `yes`, an address, `raw 50000` for any, or all that `valueWords` says of a value: `10.00 % (raw 0)`. A number alone is a count and nothing else: 5 could mean 5 % or 0.0005 %.
 * Throws BadInputError: another unit, more digits than the unit has.
 */
export function parseValue(target: Target, spec: ParameterSpec, subject: Address, text: string): bigint {
  const written = text.trim().replace(/\s+/g, ' ')
  const raw = /^raw (0|[1-9]\d{0,77})$/.exec(written)
  if (raw !== null) {
    const value = BigInt(raw[1]!)
    if (value <= UINT256_MAX) return value
  }
  // A 0 that stands for another value and the largest integer are told by what they mean.
  for (const value of [0n, UINT256_MAX]) if (written === valueWords(target, spec, subject, value)) return value
  const explained = /^(.*?) \(.*\)$/.exec(written)
  if (explained !== null) {
    const value = parseValue(target, spec, subject, explained[1]!)
    if (written === valueWords(target, spec, subject, value)) return value
  }
  const { unit } = spec
  const refuse = (allowed: string): never => {
    throw new BadInputError(`Found "${text.slice(0, 60)}" for ${spec.name}, allowed is ${allowed}, or "raw" and the integer; write the unit`)
  }
  const amount = (suffix: string, decimals: number, allowed: string): bigint => {
    const found = new RegExp(`^${AMOUNT} ?${suffix}$`).exec(written)
    if (found === null) return refuse(allowed)
    const [, whole = '', fraction = ''] = found
    if (fraction.length > decimals) throw new BadInputError(`Found "${text.slice(0, 60)}" for ${spec.name}, allowed are ${decimals} digits after the point; round it`)
    return BigInt(whole.replaceAll(',', '')) * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0')
  }
  switch (unit.kind) {
    case 'RATIO':
      return amount('%', unit.decimals - 2, 'a percentage such as "5 %"')
    case 'RATIO_PER_DAY':
      return amount('% a day', unit.decimals - 2, 'a percentage a day such as "10 % a day"')
    case 'SECONDS':
      return parseDuration(written) ?? refuse('a time such as "900 s", "15 min", "6 h" or "3 d"')
    case 'COUNT':
      return amount('', 0, 'a whole number')
    case 'TICKS':
      return amount('ticks', 0, 'a number of ticks such as "250 ticks"')
    case 'SETTLEMENT_TOKEN': {
      const { symbol } = target.deployment.settlementToken
      return written === 'no limit' ? UINT256_MAX : amount(literal(symbol), unit.decimals, `an amount such as "10,000 ${symbol}", or "no limit"`)
    }
    case 'COLLATERAL_TOKEN': {
      const collateral = target.deployment.collaterals.find((each) => each.token.toLowerCase() === subject.toLowerCase())
      if (collateral === undefined) return refuse('its raw integer, since the deployment does not know this token')
      return written === 'no limit' ? UINT256_MAX : amount(literal(collateral.symbol), collateral.decimals, `an amount such as "10 ${collateral.symbol}", or "no limit"`)
    }
    case 'ADDRESS':
      return isAddress(written, { strict: /[A-F]/.test(written) }) ? BigInt(written) : refuse('an address')
    case 'BOOLEAN':
      return written === 'yes' || written === 'true' ? 1n : written === 'no' || written === 'false' ? 0n : refuse('yes or no')
  }
}

/** Seconds out of `900 s`, `15 min`, `6 h` or `3 d`; null for anything else. */
export function parseDuration(text: string): bigint | null {
  const found = /^(\d{1,3}(?:,\d{3})+|\d{1,12}) ?(s|min|h|d)$/.exec(text.trim())
  return found === null ? null : BigInt(found[1]!.replaceAll(',', '')) * DURATIONS[found[2]!]!
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
