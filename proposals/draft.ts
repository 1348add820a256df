/** Intent → changes → calls: what a person wants, made exact and refused where it cannot be meant. Pure: no network, no database. */
import { isAddress } from 'viem'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import { UnknownSubjectError } from '../protocols/adapter.ts'
import type { Address, Call, Deployment, ParameterCatalog, ParameterRef, ParameterSpec, Scope } from '../protocols/adapter.ts'
import { DraftRefusedError } from './errors.ts'
import { lower } from './safe.ts'

/**
 * One wish: a parameter's new raw value. `subject` is an address or a symbol; left out, it is the protocol.
 * `confirm`: for a change that the chain cannot take back, what `confirmationOf` asks to be typed.
 */
export type Intent = { readonly parameter: string; readonly subject?: string | null; readonly to: bigint; readonly confirm?: string | null }

/** One change of a proposal. Raw values in the catalog's unit; `subject` is lower case. */
export type Change = {
  readonly parameter: string
  readonly scope: Scope
  readonly subject: Address
  /** `vETH`, `WETH`, `protocol`, or the account's address. */
  readonly subjectLabel: string
  readonly from: bigint
  readonly to: bigint
}

/** As stored: integers as decimal strings. */
export type ChangeJson = Omit<Change, 'from' | 'to'> & { readonly from: string; readonly to: string }

/** The protocol being proposed to, in the words of its adapter. */
export type Target = { readonly catalog: ParameterCatalog; readonly deployment: Deployment }

const TITLE_MAX = 200
/** More than a person can check before signing is not one decision. */
const CHANGES_MAX = 50

/** The title without space around it, as a proposal's file takes it. Throws BadInputError unless it is one line of 1 to 200 characters that all show. */
export function checkedTitle(title: string): string {
  const trimmed = title.trim()
  if (trimmed === '' || trimmed.length > TITLE_MAX) throw new BadInputError(`Found a title of ${trimmed.length} characters, allowed are 1 to ${TITLE_MAX}; say in a few words what the proposal does`)
  const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u.exec(trimmed)?.[0]
  if (hidden !== undefined) {
    throw new BadInputError(`Found character U+${hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} in the title, allowed is a single line without control and invisible characters; write it in one line`)
  }
  return trimmed
}

/** Throws DraftRefusedError unless a draft has 1 to 50 changes. */
export function assertCount(changes: number): void {
  if (changes === 0) throw new DraftRefusedError(['Found a draft without changes, allowed is one or more; name recommendations or changes'])
  if (changes > CHANGES_MAX) throw new DraftRefusedError([`Found a draft of ${changes} changes, allowed are at most ${CHANGES_MAX}; split it into several proposals`])
}

/** One parameter of one subject as a key: equal for what is the same on chain. */
export const keyOf = (change: { parameter: string; subject: string }): string => `${change.parameter}:${change.subject.toLowerCase()}`

/** The subject's address. Throws UnknownSubjectError. */
export function resolveSubject({ catalog, deployment }: Target, spec: ParameterSpec, subject: string | null | undefined): Address {
  const refs = catalog.refs(deployment).filter((ref) => ref.name === spec.name)
  if (spec.scope === 'PROTOCOL' && (subject === null || subject === undefined || subject === 'protocol')) {
    const only = refs[0]
    if (only !== undefined) return lower(only.subject)
  }
  if (spec.scope === 'ACCOUNT') {
    if (typeof subject === 'string' && isAddress(subject, { strict: false })) return lower(subject)
    throw new UnknownSubjectError({ parameter: spec.name, found: subject ?? 'none', allowed: ['the address of an account'] })
  }
  const wanted = subject?.toLowerCase()
  const found = refs.find((ref) => ref.subject.toLowerCase() === wanted || labelOf(deployment, spec.scope, ref.subject).toLowerCase() === wanted)
  if (found === undefined) {
    throw new UnknownSubjectError({ parameter: spec.name, found: subject ?? 'none', allowed: refs.map((ref) => `${labelOf(deployment, spec.scope, ref.subject)} (${lower(ref.subject)})`) })
  }
  return lower(found.subject)
}

/** A subject's name for people. */
export function labelOf(deployment: Deployment, scope: Scope, subject: Address): string {
  if (scope === 'PROTOCOL') return 'protocol'
  const id = subject.toLowerCase()
  const market = deployment.markets.find((each) => each.baseToken.toLowerCase() === id)
  const collateral = deployment.collaterals.find((each) => each.token.toLowerCase() === id)
  return (scope === 'MARKET' ? market?.symbol : scope === 'COLLATERAL' ? collateral?.symbol : undefined) ?? lower(subject)
}

/** The parameters that a draft touches, for reading their current values. Throws DraftRefusedError with every fault found. */
export function refsOf(target: Target, intents: readonly Intent[]): readonly ParameterRef[] {
  assertCount(intents.length)
  return collect(intents, (intent) => {
    const spec = target.catalog.find(intent.parameter)
    return { name: spec.name, subject: resolveSubject(target, spec, intent.subject) }
  })
}

/**
 * Exact changes out of wishes and current values, linted: unknown, not settable, out of bounds, unchanged, twice in one
 * batch, irreversible. `current` answers for `refsOf` and what bounds them, null where there is no value.
 * Throws DraftRefusedError with one sentence per fault.
 */
export function draftChanges(target: Target, intents: readonly Intent[], current: (ref: ParameterRef) => bigint | null): readonly [Change, ...Change[]] {
  const refs = refsOf(target, intents)
  const seen = new Set<string>()
  const changes = collect(intents, (intent, index): Change => {
    const ref = refs[index]!
    const spec = target.catalog.find(ref.name)
    const subjectLabel = labelOf(target.deployment, spec.scope, ref.subject)
    const name = `${spec.name} of ${subjectLabel}`
    if (spec.irreversible && intent.confirm !== name) {
      throw new DraftRefusedError([`Found a change of ${name}, which the chain cannot take back and no rollback exists for, with ${intent.confirm == null || intent.confirm === '' ? 'no confirmation' : 'another confirmation'}; type "${name}" to confirm it`])
    }
    // Encoding asks the catalog for everything that the contract would refuse: no setter, out of bounds, unknown subject.
    target.catalog.encodeChange(target.deployment, ref, intent.to, current)
    const zero = intent.to === 0n ? hiddenZero(spec) : null
    if (zero !== null) throw new DraftRefusedError([`Found 0 for ${name}, which the contract takes as ${zero.is} and answers by that: nobody could confirm that it is in force; choose ${zero.choose} where that is meant`])
    const key = keyOf({ parameter: ref.name, subject: ref.subject })
    if (seen.has(key)) throw new DraftRefusedError([`Found two changes of ${name}, allowed is one per proposal; keep the one that is meant`])
    seen.add(key)
    const from = current(ref)
    if (from === null) throw new DraftRefusedError([`Found no current value of ${name} in the index, allowed are parameters that are indexed; wait for the index to reach it, or check the subject`])
    if (from === intent.to) throw new DraftRefusedError([`Found ${intent.to} for ${name}, which is its value already; leave it out or choose another value`])
    return { parameter: spec.name, scope: spec.scope, subject: ref.subject, subjectLabel, from, to: intent.to }
  })
  return changes as unknown as readonly [Change, ...Change[]]
}

/** What has to be typed to confirm a change that cannot be undone: `marketStatus of vETH`. */
export const confirmationOf = (change: Pick<Change, 'parameter' | 'subjectLabel'>): string => `${change.parameter} of ${change.subjectLabel}`

/** What the getter answers where a raw 0 is stored, so that nobody could confirm that a 0 is in force, and what to choose for it; null where it answers 0. */
export function hiddenZero({ zeroMeans, zeroIs }: ParameterSpec): { readonly is: string; readonly choose: string } | null {
  if (zeroMeans !== null) return { is: zeroMeans.toString(), choose: zeroMeans.toString() }
  return zeroIs === null || zeroIs.of === null ? null : { is: zeroIs.words, choose: `the value of ${zeroIs.of}` }
}

/** The calls that make the changes, in their order. */
export function callsOf({ catalog, deployment }: Target, changes: readonly [Change, ...Change[]]): readonly [Call, ...Call[]] {
  const calls = changes.map((change) => {
    const call = catalog.encodeChange(deployment, { name: change.parameter, subject: change.subject }, change.to)
    return { to: lower(call.to), value: call.value, data: call.data }
  })
  return calls as unknown as readonly [Call, ...Call[]]
}

export const changeToJson = (change: Change): ChangeJson => ({ ...change, from: change.from.toString(), to: change.to.toString() })
export const changeFromJson = (json: ChangeJson): Change => ({ ...json, from: BigInt(json.from), to: BigInt(json.to) })

/** Runs `make` over all, and throws the faults of all together. */
function collect<T, R>(items: readonly T[], make: (item: T, index: number) => R): R[] {
  const faults: string[] = []
  const results: R[] = []
  for (const [index, item] of items.entries()) {
    try {
      results.push(make(item, index))
    } catch (error) {
      if (error instanceof DraftRefusedError) faults.push(...(error.facts['faults'] as readonly string[]))
      else if (error instanceof BulwarkError) faults.push(error.message)
      else throw error
    }
  }
  if (faults.length > 0) throw new DraftRefusedError([...new Set(faults)])
  return results
}
