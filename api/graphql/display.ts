/** A parameter's raw value for people. */
import type { Deployment, ParameterCatalog, ParameterSpec, Scope } from '../../protocols/adapter.ts'
import { UnknownParameterError, effectiveOf, zeroWords } from '../../protocols/adapter.ts'
import { formatRaw } from '../recommendations/format.ts'

/** A contract's way to say "no limit". */
const NO_LIMIT = 2n ** 255n

/** `6.25 %`, `900 s`, `10,000 USDC`, `no limit`, an address, `yes`; `10 % (raw 0)` and `no distribution (raw 0)` where a raw 0 means that. `subject` decides the decimals of a collateral's amount. */
export function displayValue(spec: ParameterSpec, raw: bigint, subject: string, deployment: Deployment): string {
  const zero = zeroWords(spec, raw)
  if (zero !== null) return zero
  const effective = effectiveOf(spec, raw)
  if (effective !== raw) return `${displayValue(spec, effective, subject, deployment)} (raw ${raw})`
  const { unit } = spec
  switch (unit.kind) {
    case 'ADDRESS':
      return `0x${raw.toString(16).padStart(40, '0')}`
    case 'BOOLEAN':
      return raw === 0n ? 'no' : 'yes'
    case 'SETTLEMENT_TOKEN':
    case 'COLLATERAL_TOKEN': {
      if (raw >= NO_LIMIT) return 'no limit'
      const decimals = unit.decimals ?? collateralOf(deployment, subject)?.decimals ?? 0
      return formatRaw(raw, 'SETTLEMENT_TOKEN', decimals, displayUnit(spec, subject, deployment))
    }
    default:
      return formatRaw(raw, unit.kind, unit.decimals ?? 0, deployment.settlementToken.symbol)
  }
}

/** Decimals of the value as people write it in `displayUnit`: raw = value · 10^decimals; null where it is no number. */
export function inputDecimals({ unit }: ParameterSpec, subject: string, deployment: Deployment): number | null {
  switch (unit.kind) {
    case 'RATIO':
    case 'RATIO_PER_DAY':
      return (unit.decimals ?? 0) - 2
    case 'ADDRESS':
    case 'BOOLEAN':
      return null
    case 'COLLATERAL_TOKEN':
      return unit.decimals ?? collateralOf(deployment, subject)?.decimals ?? 0
    default:
      return unit.decimals ?? 0
  }
}

/** The unit alone: `%`, `s`, `USDC`. */
export function displayUnit(spec: ParameterSpec, subject: string, deployment: Deployment): string {
  switch (spec.unit.kind) {
    case 'RATIO':
      return '%'
    case 'RATIO_PER_DAY':
      return '% a day'
    case 'SECONDS':
      return 's'
    case 'TICKS':
      return 'ticks'
    case 'SETTLEMENT_TOKEN':
      return deployment.settlementToken.symbol
    case 'COLLATERAL_TOKEN':
      return collateralOf(deployment, subject)?.symbol ?? 'raw units'
    case 'ADDRESS':
      return 'address'
    case 'BOOLEAN':
      return 'yes or no'
    case 'COUNT':
      return ''
  }
}

/** The catalog's entry; for a name that the index has and the catalog does not, one that claims nothing. */
export function specOf(catalog: ParameterCatalog, name: string, scope: Scope): ParameterSpec {
  try {
    return catalog.find(name)
  } catch (error) {
    if (!(error instanceof UnknownParameterError)) throw error
    return {
      name,
      title: name,
      description: 'Indexed, but not in the catalog of this version: the value is raw.',
      contract: '',
      scope,
      unit: { kind: 'COUNT', decimals: 0 },
      bounds: { min: 0n, max: 2n ** 256n - 1n, note: 'The bounds are not known.' },
      zeroMeans: null,
      zeroIs: null,
      setter: null,
      advisoryReason: 'advisory: this version of the catalog does not know the parameter',
      irreversible: false,
    }
  }
}

const collateralOf = (deployment: Deployment, subject: string) => deployment.collaterals.find((collateral) => collateral.token.toLowerCase() === subject.toLowerCase())
