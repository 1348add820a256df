/**
 * What a DAO lets its stewards propose: which parameters, how far, how fast, for how long, and what must hold between them.
 * One YAML file per DAO. Drafting holds proposals against it, and signers hold them against their own copy. Pure.
 */
import { getAddress, isAddress } from 'viem'
import { parse } from 'yaml'
import { z } from 'zod'
import { BadInputError } from '../core/errors.ts'
import { abs } from '../core/units.ts'
import type { Address, ParameterSpec, Scope } from '../protocols/adapter.ts'
import { hiddenZero, keyOf, labelOf, resolveSubject, type Change, type Target } from './draft.ts'
import { lower } from './safe.ts'
import { parseDuration, parseValue } from './values.ts'
import { durationWords, valueWords } from './words.ts'

/** Limits of one parameter. Raw values; `null` is no limit of that kind. */
export type ParameterLimits = {
  readonly min: bigint | null
  readonly max: bigint | null
  /** Largest step. `relativeE6`: share of the old value, 1e6 = 100 %. A step must keep to both. */
  readonly step: { readonly relativeE6: bigint | null; readonly absolute: bigint | null }
  /** Between two changes of the same parameter of the same subject, s. */
  readonly minDelaySec: number
  /** Values that may be gone to, and left, whatever the step and the delay: the switches of playbooks. */
  readonly exempt: readonly bigint[]
}

/** Σ coefficient · raw value ≤ `atMost`, per market or collateral where one of the parameters belongs to one. */
export type Invariant = { readonly name: string; readonly sum: Readonly<Record<string, number>>; readonly atMost: bigint }

export type DaoPolicy = {
  readonly network: string
  /** Who may draft and cancel, lower case. */
  readonly stewards: readonly Address[]
  readonly validity: { readonly defaultSec: number; readonly maxSec: number }
  readonly evidenceMaxAgeSec: number
  /** A parameter that is not here may not be proposed. */
  readonly parameters: ReadonlyMap<string, ParameterLimits>
  readonly invariants: readonly Invariant[]
  /** Parameters of one subject that are changed in one batch or not at all. */
  readonly together: readonly (readonly string[])[]
}

/** `UNKNOWN`: a fact that the rule needs was not there; whoever must be sure treats it as BLOCK. */
export type PolicyRule = 'policy-parameter' | 'policy-bounds' | 'policy-step' | 'policy-delay' | 'policy-validity' | 'policy-evidence-age' | 'policy-invariant' | 'policy-together'
export type PolicyFinding = { readonly rule: PolicyRule; readonly severity: 'BLOCK' | 'UNKNOWN'; readonly parameter: string | null; readonly subject: Address | null; readonly text: string }

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)
const duration = z.string().transform((value, context) => {
  const seconds = parseDuration(value)
  if (seconds !== null) return Number(seconds)
  context.addIssue({ code: 'custom', message: `is "${value}", allowed is a time such as "15 min", "6 h" or "3 d"` })
  return z.NEVER
})

/** The file as it is written; values are read with the catalog's units by `policyOf`. */
export const policySchema = z
  .object({
    version: z.literal(1),
    network: z.string(),
    stewards: z.array(z.string().refine((one) => isAddress(one, { strict: false }), 'is not an address')).max(100).default([]),
    validity: z.object({ default: duration, max: duration }).strict().default({ default: '3 d', max: '14 d' }),
    evidenceMaxAge: duration.default('6 h'),
    parameters: z.record(z.object({ min: text.optional(), max: text.optional(), step: z.object({ relative: z.string().optional(), absolute: text.optional() }).strict().optional(), minDelay: duration.optional(), exempt: z.array(text).optional() }).strict().nullable()),
    invariants: z.array(z.object({ name: z.string().min(1).max(120), sum: z.record(z.number().int().safe()), atMost: z.union([z.string(), z.number().int()]) }).strict()).default([]),
    together: z.array(z.array(z.string()).min(2)).default([]),
  })
  .strict()

export type PolicyFile = z.input<typeof policySchema>

/** A policy out of its YAML text. Throws BadInputError with every fault. */
export function parsePolicy(target: Target, yaml: string): DaoPolicy {
  let data: unknown
  try {
    data = parse(yaml, { maxAliasCount: 0, uniqueKeys: true })
  } catch (error) {
    throw new BadInputError(`Found a policy that is no YAML (${(error as Error).message.split('\n')[0]}), allowed is the form of policies/devnet.yaml; correct it`)
  }
  return policyOf(target, data)
}

/** A policy out of plain data of the same form. Throws BadInputError with every fault. */
export function policyOf(target: Target, data: unknown): DaoPolicy {
  const parsed = policySchema.safeParse(data)
  if (!parsed.success) throw new BadInputError(`Found a policy with faults: ${parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the whole'} ${issue.message}`).join('; ')}; correct them`)
  const file = parsed.data
  const faults: string[] = []
  const attempt = <T>(fallback: T, read: () => T): T => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof BadInputError)) throw error
      faults.push(error.message)
      return fallback
    }
  }
  if (file.network !== target.deployment.network) faults.push(`found a policy for network ${file.network}, allowed is ${target.deployment.network}`)
  const parameters = new Map<string, ParameterLimits>()
  for (const [name, limits] of Object.entries(file.parameters)) {
    const spec = attempt<ParameterSpec | null>(null, () => target.catalog.find(name))
    if (spec === null) continue
    if (spec.unit.kind === 'COLLATERAL_TOKEN' && (limits?.min ?? limits?.max ?? limits?.step?.absolute) !== undefined) faults.push(`${name} has a limit in tokens, of which each collateral has its own; allowed is a relative step`)
    const value = (written: string | undefined): bigint | null => (written === undefined ? null : attempt(null, () => parseValue(target, spec, anySubject(target, spec), written)))
    const relative = limits?.step?.relative
    const share = relative === undefined ? null : attempt(null, () => parseShare(name, relative))
    const entry: ParameterLimits = {
      min: value(limits?.min),
      max: value(limits?.max),
      step: { relativeE6: share, absolute: value(limits?.step?.absolute) },
      minDelaySec: limits?.minDelay ?? 0,
      exempt: (limits?.exempt ?? []).map(value).filter((one) => one !== null),
    }
    const zero = hiddenZero(spec)
    if (zero !== null && entry.exempt.includes(0n)) faults.push(`it exempts 0 of ${name}, which the contract takes as ${zero.is}: no draft may set it`)
    if (entry.min !== null && entry.max !== null && entry.min > entry.max) faults.push(`${name} has a minimum above its maximum`)
    parameters.set(spec.name, entry)
  }
  const invariants = file.invariants.map((one): Invariant => {
    const specs = Object.keys(one.sum).map((name) => attempt<ParameterSpec | null>(null, () => target.catalog.find(name)))
    const units = new Set(specs.map((spec) => spec?.unit.kind))
    const scopes = new Set(specs.map((spec) => spec?.scope).filter((scope) => scope !== 'PROTOCOL'))
    if (specs.length === 0) faults.push(`invariant "${one.name}" has no terms`)
    if (units.size > 1) faults.push(`invariant "${one.name}" adds different units`)
    if (scopes.size > 1) faults.push(`invariant "${one.name}" adds parameters of different kinds of subjects`)
    const first = specs[0]
    return { name: one.name, sum: one.sum, atMost: first == null ? 0n : one.atMost === 0 ? 0n : attempt(0n, () => parseValue(target, first, anySubject(target, first), String(one.atMost))) }
  })
  for (const group of file.together) {
    const scopes = new Set(group.map((name) => attempt<Scope | null>(null, () => target.catalog.find(name).scope)))
    if (scopes.size > 1) faults.push(`"together" names ${group.join(', ')}, allowed are parameters of one kind of subject`)
  }
  if (file.validity.default > file.validity.max) faults.push('validity.default is above validity.max')
  if (faults.length > 0) throw new BadInputError(`Found a policy with faults: ${faults.join('; ')}; correct them`)
  return {
    network: file.network,
    stewards: file.stewards.map((one) => lower(getAddress(one))),
    validity: { defaultSec: file.validity.default, maxSec: file.validity.max },
    evidenceMaxAgeSec: file.evidenceMaxAge,
    parameters,
    invariants,
    together: file.together,
  }
}

/** What a proposal says and the world knows. null is unknown. */
export type PolicyFacts = {
  readonly changes: readonly Pick<Change, 'parameter' | 'subject' | 'from' | 'to'>[]
  /** Before the batch. */
  readonly currentOf: (parameter: string, subject: Address) => bigint | null
  /** Chain time of the last change of a parameter, s; 0 where it never changed. */
  readonly lastChangeSec: (parameter: string, subject: Address) => number | null
  /** Chain time, s. */
  readonly nowSec: number | null
  readonly validUntilSec: bigint
  /** Chain time of the block that the proposal was drafted on, s: its deadline counts from there. */
  readonly draftedSec: number
  /** Chain time of the oldest evidence, s; null where none is claimed. */
  readonly evidenceSec: number | null
}

/**
 * Everything in which a batch leaves the policy. Empty where it keeps to it.
 *
 * A step is measured from the value that the batch expects; it must keep to the relative and to the absolute limit. From 0 a share allows
 * nothing. Invariants must hold after every single call of the batch, or a call must at least not make a broken one worse.
 */
export function checkPolicy(target: Target, policy: DaoPolicy, facts: PolicyFacts): readonly PolicyFinding[] {
  const found: PolicyFinding[] = []
  const add = (rule: PolicyRule, sentence: string, change: { parameter: string; subject: Address } | null = null, severity: PolicyFinding['severity'] = 'BLOCK'): void =>
    void found.push({ rule, severity, parameter: change?.parameter ?? null, subject: change?.subject ?? null, text: sentence })

  const valid = Number(facts.validUntilSec) - facts.draftedSec
  if (valid > policy.validity.maxSec) add('policy-validity', `found ${durationWords(BigInt(valid))} for signers, allowed are at most ${durationWords(BigInt(policy.validity.maxSec))}; draft it again with less`)
  // Against the draft's own time: signers take days, and drift is what the precondition is for.
  if (facts.evidenceSec !== null && facts.draftedSec - facts.evidenceSec > policy.evidenceMaxAgeSec) {
    add('policy-evidence-age', `found evidence that was ${durationWords(BigInt(facts.draftedSec - facts.evidenceSec))} old when it was drafted, allowed are ${durationWords(BigInt(policy.evidenceMaxAgeSec))}; draft it again`)
  }
  for (const change of facts.changes) {
    const spec = target.catalog.find(change.parameter)
    const label = `${change.parameter} of ${labelOf(target.deployment, spec.scope, change.subject)}`
    const words = (raw: bigint): string => valueWords(target, spec, change.subject, raw)
    const limits = policy.parameters.get(change.parameter)
    if (limits === undefined) {
      add('policy-parameter', `found a change of ${label}, which the policy does not list, allowed are ${[...policy.parameters.keys()].join(', ')}; leave it out or have the policy changed`, change)
      continue
    }
    if (limits.exempt.includes(change.to)) continue
    if ((limits.min !== null && change.to < limits.min) || (limits.max !== null && change.to > limits.max)) {
      add('policy-bounds', `found ${words(change.to)} for ${label}, the policy allows ${limits.min === null ? 'anything' : words(limits.min)} to ${limits.max === null ? 'anything' : words(limits.max)}; choose a value in that range`, change)
    }
    if (limits.exempt.includes(change.from)) continue
    const step = abs(change.to - change.from)
    const { relativeE6, absolute } = limits.step
    if (absolute !== null && step > absolute) add('policy-step', `found a step from ${words(change.from)} to ${words(change.to)} for ${label}, the policy allows ${words(absolute)} at a time; go there in several`, change)
    if (relativeE6 !== null && step * 1_000_000n > change.from * relativeE6) {
      add('policy-step', `found a step from ${words(change.from)} to ${words(change.to)} for ${label}, the policy allows ${Number(relativeE6) / 10_000} % of the old value at a time; go there in several`, change)
    }
    if (limits.minDelaySec > 0) {
      const last = facts.lastChangeSec(change.parameter, change.subject)
      if (last === null || facts.nowSec === null) add('policy-delay', `when ${label} was last changed is unknown, the policy wants ${durationWords(BigInt(limits.minDelaySec))} in between; ask an index or an RPC that knows`, change, 'UNKNOWN')
      else if (last > 0 && facts.nowSec - last < limits.minDelaySec) {
        add('policy-delay', `found ${durationWords(BigInt(Math.max(0, facts.nowSec - last)))} since the last change of ${label}, the policy wants ${durationWords(BigInt(limits.minDelaySec))}; wait`, change)
      }
    }
  }
  for (const group of policy.together) {
    for (const change of facts.changes.filter((one) => group.includes(one.parameter))) {
      const missing = group.filter((name) => !facts.changes.some((one) => one.parameter === name && lower(one.subject) === lower(change.subject)))
      if (missing.length > 0) add('policy-together', `found ${change.parameter} of ${labelOf(target.deployment, target.catalog.find(change.parameter).scope, change.subject)} without ${missing.join(', ')}, which the policy ties to it; change them in one batch`, change)
    }
  }
  for (const invariant of policy.invariants) found.push(...brokenBy(target, invariant, facts))
  return found
}

/** Where a batch breaks an invariant, the first call that does, per subject. */
function brokenBy(target: Target, invariant: Invariant, facts: PolicyFacts): PolicyFinding[] {
  const names = Object.keys(invariant.sum)
  const spec = target.catalog.find(names[0]!)
  const touched = facts.changes.filter((change) => names.includes(change.parameter))
  if (touched.length === 0) return []
  const scope = names.map((name) => target.catalog.find(name).scope).find((each) => each !== 'PROTOCOL') ?? 'PROTOCOL'
  // A protocol-wide term is touched for every subject that the others belong to.
  const all = scope === 'PROTOCOL' ? [null] : touched.some((change) => target.catalog.find(change.parameter).scope === 'PROTOCOL') ? subjectsOf(target, names.find((name) => target.catalog.find(name).scope === scope)!) : [...new Set(touched.map((change) => lower(change.subject)))]
  return all.flatMap((subject): PolicyFinding[] => {
    const set = new Map<string, bigint>()
    const at = (name: string): { key: string; address: Address } => {
      const address = target.catalog.find(name).scope === 'PROTOCOL' ? resolveSubject(target, target.catalog.find(name), null) : subject!
      return { key: keyOf({ parameter: name, subject: address }), address }
    }
    const unknown = names.filter((name) => facts.currentOf(name, at(name).address) === null && !facts.changes.some((change) => keyOf(change) === at(name).key))
    const where = subject === null ? '' : ` for ${labelOf(target.deployment, scope, subject)}`
    if (unknown.length > 0) return [{ rule: 'policy-invariant', severity: 'UNKNOWN', parameter: unknown[0]!, subject, text: `"${invariant.name}"${where} cannot be checked: ${unknown.join(', ')} is unknown; name an RPC` }]
    // The value that the batch expects stands for one that nobody else knows.
    const before = (name: string): bigint => facts.currentOf(name, at(name).address) ?? facts.changes.find((change) => keyOf(change) === at(name).key)!.from
    const total = (): bigint => names.reduce((sum, name) => sum + BigInt(invariant.sum[name]!) * (set.get(at(name).key) ?? before(name)), 0n)
    let last = total()
    for (const [index, change] of facts.changes.entries()) {
      set.set(keyOf(change), change.to)
      const now = total()
      if (now > invariant.atMost && now > last) {
        const sum = names.map((name) => `${invariant.sum[name]} × ${name} (${set.get(at(name).key) ?? before(name)})`).join(' + ')
        return [{ rule: 'policy-invariant', severity: 'BLOCK', parameter: change.parameter, subject: change.subject, text: `call ${index + 1} of ${facts.changes.length} breaks "${invariant.name}"${where}: ${sum} = ${now}, allowed is at most ${invariant.atMost} (raw, ${spec.unit.kind}); change the order or the values` }]
      }
      last = now
    }
    return []
  })
}

const subjectsOf = ({ catalog, deployment }: Target, parameter: string): Address[] => catalog.refs(deployment).filter((ref) => ref.name === parameter).map((ref) => lower(ref.subject))

/** Whose decimals a limit of a parameter is written in. */
const anySubject = ({ catalog, deployment }: Target, spec: ParameterSpec): Address => catalog.refs(deployment).find((ref) => ref.name === spec.name)?.subject ?? deployment.contracts.clearingHouse

function parseShare(name: string, written: string): bigint {
  const found = /^(\d{1,6})(?:\.(\d{1,4}))? ?%$/.exec(written.trim())
  if (found === null) throw new BadInputError(`Found "${written}" as the relative step of ${name}, allowed is a percentage of the old value such as "50 %"; write it so`)
  return BigInt(found[1]!) * 10_000n + BigInt((found[2] ?? '').padEnd(4, '0'))
}
