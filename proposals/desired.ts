/** A file of desired values → wishes: what stands there already is no change. Pure. */
import { parse } from 'yaml'
import { z } from 'zod'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import type { ParameterRef, Scope } from '../protocols/adapter.ts'
import { confirmationOf, labelOf, resolveSubject, type Intent, type Target } from './draft.ts'
import { DraftRefusedError } from './errors.ts'
import { parseDuration, parseValue } from './values.ts'

const values = z.record(z.union([z.string(), z.number(), z.boolean()]).transform(String))
const group = z.record(values).default({})
const schema = z
  .object({
    title: z.string(),
    validFor: z.string().optional(),
    protocol: values.default({}),
    markets: group,
    collaterals: group,
    accounts: group,
    /** What is typed to confirm changes that cannot be undone: `marketStatus of vETH`. */
    confirm: z.array(z.string()).default([]),
  })
  .strict()

/** A desired value of one parameter of one subject, raw. */
export type Desired = ParameterRef & { readonly value: bigint; readonly confirm: string | null }
export type DesiredState = { readonly title: string; readonly validForSec: number | null; readonly values: readonly Desired[] }

const SCOPES = { protocol: 'PROTOCOL', markets: 'MARKET', collaterals: 'COLLATERAL', accounts: 'ACCOUNT' } as const satisfies Record<string, Scope>

/** The file of a desired state, YAML or JSON. Throws DraftRefusedError with every fault. */
export function parseDesired(target: Target, text: string): DesiredState {
  let data: unknown
  try {
    data = parse(text, { maxAliasCount: 0, uniqueKeys: true })
  } catch (error) {
    throw new BadInputError(`Found a file that is no YAML (${(error as Error).message.split('\n')[0]}), allowed is the form that the README shows; correct it`)
  }
  const parsed = schema.safeParse(data)
  if (!parsed.success) throw new DraftRefusedError(parsed.error.issues.map((issue) => `Found ${issue.path.join('.') || 'the file'} ${issue.message}, allowed is the form that the README shows; correct it`))
  const file = parsed.data
  const faults: string[] = []
  const found: Desired[] = []
  const confirmed = new Set(file.confirm)
  const validForSec = file.validFor === undefined ? null : parseDuration(file.validFor)
  if (file.validFor !== undefined && validForSec === null) faults.push(`Found validFor "${file.validFor}", allowed is a time such as "3 d"; write it so`)
  const read = (scope: Scope, subject: string | null, parameters: Readonly<Record<string, string>>): void => {
    for (const [name, written] of Object.entries(parameters)) {
      try {
        const spec = target.catalog.find(name)
        if (spec.scope !== scope) throw new BadInputError(`Found ${name} among those of ${scope.toLowerCase()} scope, allowed is ${spec.scope.toLowerCase()}; move it there`)
        const address = resolveSubject(target, spec, subject)
        const confirm = confirmationOf({ parameter: spec.name, subjectLabel: labelOf(target.deployment, scope, address) })
        if (found.some((one) => one.name === spec.name && one.subject === address)) throw new BadInputError(`Found ${confirm} twice, allowed is once; keep the one that is meant`)
        found.push({ name: spec.name, subject: address, value: parseValue(target, spec, address, written), confirm: confirmed.has(confirm) ? confirm : null })
      } catch (error) {
        if (!(error instanceof BulwarkError)) throw error
        faults.push(error.message)
      }
    }
  }
  read('PROTOCOL', null, file.protocol)
  for (const key of ['markets', 'collaterals', 'accounts'] as const) for (const [subject, parameters] of Object.entries(file[key])) read(SCOPES[key], subject, parameters)
  if (faults.length > 0) throw new DraftRefusedError(faults)
  if (found.length === 0) throw new DraftRefusedError(['Found a file without values, allowed are one or more under protocol, markets, collaterals or accounts; name what is wanted'])
  return { title: file.title, validForSec: validForSec === null ? null : Number(validForSec), values: found }
}

/** Those that differ from the present, as wishes. A value that nobody knows is a wish too: drafting says what is missing. */
export function intentsOf(desired: DesiredState, current: (ref: ParameterRef) => bigint | null): readonly Intent[] {
  return desired.values.flatMap((one) => (current(one) === one.value ? [] : [{ parameter: one.name, subject: one.subject, to: one.value, confirm: one.confirm }]))
}
