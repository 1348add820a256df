/**
 * A proposal's intent in words, made from the catalog and the deployment of the installed package alone: nothing that a
 * proposal's file says about itself is ever repeated here. The same text on every machine. Pure.
 */
import { getAddress } from 'viem'
import { grouped } from '../api/recommendations/format.ts'
import { abs, formatUnits } from '../core/units.ts'
import type { Address, Governance, ParameterSpec } from '../protocols/adapter.ts'
import { effectiveOf, zeroWords } from '../protocols/adapter.ts'
import { labelOf } from './draft.ts'
import type { Change, Target } from './draft.ts'

const UINT256_MAX = 2n ** 256n - 1n

/** What a change is told by: without the label that a caller might have taken from elsewhere. */
export type ToldChange = Pick<Change, 'parameter' | 'subject' | 'from' | 'to'>

export type ChangeWords = {
  /** `Price band`. */
  readonly title: string
  /** `vETH`, `the protocol`, `account 0x…`. */
  readonly subject: string
  /** In the parameter's unit: `5.00 %`. */
  readonly from: string
  readonly to: string
  /** How far, against the old value: `−20.00 %`; `+less than 0.01 %`; `none` where both mean the same; `switched` for what has no size; `from 0` where there is no share of it. */
  readonly step: string
  /** `Price band of vETH: 5.00 % → 4.00 % (raw 50000 → 40000)`. */
  readonly sentence: string
  /** What the parameter does. */
  readonly description: string
  /** What the contract fails to refuse, or what a legal value does that surprises; null where nothing is known. */
  readonly note: string | null
  /** The chain has no way back. */
  readonly irreversible: boolean
}

/** Of how many accounts an impact's totals are: `of 41 valued; 8 unknown`. `valued`: null where nobody counted them. */
export function coverageWords({ indexed, valued }: { readonly indexed: number; readonly valued: number | null }): string {
  if (valued === null) return `of an unknown share of ${grouped(String(indexed))} indexed`
  return valued === indexed ? `of all ${grouped(String(indexed))} indexed` : `of ${grouped(String(valued))} valued; ${grouped(String(indexed - valued))} unknown`
}

/** One change in words. Throws UnknownParameterError. */
export function changeWords(target: Target, change: ToldChange): ChangeWords {
  const spec = target.catalog.find(change.parameter)
  const subject = subjectWords(target, spec, change.subject)
  const [from, to] = [valueWords(target, spec, change.subject, change.from), valueWords(target, spec, change.subject, change.to)]
  return {
    title: spec.title,
    subject,
    from,
    to,
    step: stepWords(spec, change.from, change.to),
    sentence: `${spec.title} of ${subject}: ${from} → ${to} (raw ${change.from} → ${change.to})`,
    description: spec.description,
    note: spec.bounds.note,
    irreversible: spec.irreversible,
  }
}

/** A raw value in its unit: `5.00 %`, `900 s (15 min)`, `250 ticks (2.53 %)`, `1,000.00 USDC`, `yes`, an address; `10.00 % (raw 0)` and `no distribution (raw 0)` where a raw 0 means that. */
export function valueWords({ deployment }: Pick<Target, 'deployment'>, spec: ParameterSpec, subject: Address, raw: bigint): string {
  const { unit } = spec
  const zero = zeroWords(spec, raw)
  if (zero !== null) return zero
  const effective = effectiveOf(spec, raw)
  if (effective !== raw) return `${valueWords({ deployment }, spec, subject, effective)} (raw ${raw})`
  switch (unit.kind) {
    case 'RATIO':
      return `${decimal(raw, unit.decimals - 2)} %`
    case 'RATIO_PER_DAY':
      return `${decimal(raw, unit.decimals - 2)} % a day`
    case 'SECONDS':
      return durationWords(raw)
    case 'COUNT':
      return grouped(raw.toString())
    case 'TICKS':
      return `${grouped(raw.toString())} ticks (${((1.0001 ** Number(raw) - 1) * 100).toFixed(2)} %)`
    case 'SETTLEMENT_TOKEN':
      return amount(raw, unit.decimals, deployment.settlementToken.symbol)
    case 'COLLATERAL_TOKEN': {
      const collateral = deployment.collaterals.find((each) => each.token.toLowerCase() === subject.toLowerCase())
      return collateral === undefined ? `${grouped(raw.toString())} of the token's smallest units` : amount(raw, collateral.decimals, collateral.symbol)
    }
    case 'ADDRESS':
      return raw < 2n ** 160n ? addressWords({ deployment }, `0x${raw.toString(16).padStart(40, '0')}`) : `no address: ${raw}`
    case 'BOOLEAN':
      return raw === 0n ? 'no' : raw === 1n ? 'yes' : `neither yes nor no: ${raw}`
  }
}

/** `900 s (15 min)`: seconds, and the largest units that say it exactly. */
export function durationWords(seconds: bigint): string {
  const parts: string[] = []
  let rest = seconds
  for (const [size, name] of [[86_400n, 'd'], [3_600n, 'h'], [60n, 'min'], [1n, 's']] as const) {
    if (rest >= size) parts.push(`${grouped((rest / size).toString())} ${name}`)
    rest %= size
  }
  const plain = `${grouped(seconds.toString())} s`
  return parts.length === 0 || seconds < 60n ? plain : `${plain} (${parts.join(' ')})`
}

/** Chain time for people: `2026-02-01 12:00:00 UTC`. */
export function timeWords(seconds: bigint): string {
  // Beyond the year 9999, a Date has no such text.
  return seconds > 253_402_300_799n ? `second ${grouped(seconds.toString())}, beyond the year 9999` : new Date(Number(seconds) * 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
}

/** How the changes come into force, and until when. */
export function pathWords(governance: Governance, validUntilSec: bigint): string {
  const end = `not after ${timeWords(validUntilSec)}`
  switch (governance.kind) {
    case 'SAFE':
      return `The Safe makes the changes at once when it executes, ${end}.`
    case 'TIMELOCK':
      return `The Safe schedules them at the timelock ${governance.address}; they can be executed ${durationWords(BigInt(governance.minDelaySec))} after that, ${end}.`
  }
}

/** What the package's deployment calls an address: `vETH's market`, `the vault`; null where it is none of them. */
export function nameOfAddress({ deployment }: Pick<Target, 'deployment'>, address: string): string | null {
  const id = address.toLowerCase()
  const is = (other: string | null): boolean => other !== null && other.toLowerCase() === id
  for (const [name, each] of Object.entries(deployment.contracts)) if (is(each)) return name
  for (const market of deployment.markets) {
    if (is(market.baseToken)) return market.symbol
    if (is(market.priceFeed)) return `price feed of ${market.symbol}`
    if (is(market.pool)) return `pool of ${market.symbol}`
  }
  for (const collateral of deployment.collaterals) {
    if (is(collateral.token)) return collateral.symbol
    if (is(collateral.priceFeed)) return `price feed of ${collateral.symbol}`
  }
  if (is(deployment.settlementToken.address)) return deployment.settlementToken.symbol
  if (deployment.safe !== null) {
    if (is(deployment.safe.address)) return 'the Safe'
    if (is(deployment.safe.multiSendCallOnly)) return 'MultiSendCallOnly'
  }
  return null
}

function addressWords(target: Pick<Target, 'deployment'>, address: Address): string {
  const name = nameOfAddress(target, address)
  return `${getAddress(address)} (${name ?? 'an address that the deployment does not know'})`
}

function subjectWords({ deployment }: Target, spec: ParameterSpec, subject: Address): string {
  if (spec.scope === 'PROTOCOL') return 'the protocol'
  if (spec.scope === 'ACCOUNT') return `account ${getAddress(subject)}`
  return labelOf(deployment, spec.scope, subject)
}

function stepWords(spec: ParameterSpec, fromRaw: bigint, toRaw: bigint): string {
  if (spec.unit.kind === 'ADDRESS' || spec.unit.kind === 'BOOLEAN') return 'switched'
  const [from, to] = [effectiveOf(spec, fromRaw), effectiveOf(spec, toRaw)]
  if (from === to) return 'none'
  if (zeroWords(spec, fromRaw) !== null || zeroWords(spec, toRaw) !== null) return 'switched'
  if (from === 0n) return 'from 0'
  const hundredths = (abs(to - from) * 10_000n) / from
  const sign = to < from ? '−' : '+'
  return hundredths === 0n ? `${sign}less than 0.01 %` : `${sign}${decimal(hundredths, 2)} %`
}

/** At least two decimals, and as many more as the value has: a digit that is not shown could be the one that was changed. */
function decimal(raw: bigint, decimals: number): string {
  const [whole, fraction = ''] = formatUnits(raw, decimals).split('.')
  return grouped(`${whole}.${fraction.padEnd(2, '0')}`)
}

function amount(raw: bigint, decimals: number, symbol: string): string {
  return raw === UINT256_MAX ? `2^256 − 1, that is no limit (${symbol})` : `${decimal(raw, decimals)} ${symbol}`
}
