/** One door for every mutation: who asks, whether they may, how often; and a line in the audit log, whatever comes of it. */
import { GraphQLError } from 'graphql'
import type { GraphQLResolveInfo } from 'graphql'
import { BulwarkError } from '../../core/errors.ts'
import { appendAudit } from '../auth/audit.ts'
import { assertPermitted } from '../auth/roles.ts'
import type { Context } from './context.ts'
import { asKnownError } from './errors.ts'

type Args = Readonly<Record<string, unknown>>
type Resolve = (parent: unknown, args: Args, context: Context, info: GraphQLResolveInfo) => unknown

/** Every one of them, held to PERMISSIONS by its name. */
export const guarded = <Mutations extends Readonly<Record<string, unknown>>>(mutations: Mutations): Mutations =>
  Object.fromEntries(Object.entries(mutations).map(([name, resolve]) => [name, hold(name, resolve as Resolve)])) as Mutations

const hold =
  (name: string, resolve: Resolve): Resolve =>
  async (parent, args, context, info) => {
    const { viewer, refusal, ip } = await context.caller()
    const actor = viewer?.address ?? null
    // Before anything is written: what comes too often must not fill the audit log.
    await context.rates?.mutation(name, { address: actor, ip })
    const roles = await context.roles()
    const audit = (subject: string | null, outcome: string): Promise<void> => appendAudit(context.prisma, { actor, roles, action: name, subject, details: args, outcome })
    let result: unknown
    try {
      if (refusal !== null) throw refusal
      assertPermitted(name, actor, roles)
      result = await resolve(parent, args, context, info)
    } catch (error) {
      await audit(subjectOf(args), codeOf(error))
      throw error
    }
    await audit(subjectOf(args) ?? idOf(result), 'OK')
    // Those who listen need not wait for the next block.
    void context.risk.events.look()
    return result
  }

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value.slice(0, 200) : null)
const subjectOf = ({ id, subject }: Args): string | null => textOf(id) ?? textOf(subject)
const idOf = (result: unknown): string | null => (typeof result === 'object' && result !== null && 'id' in result ? textOf(result.id) : null)

/** A stable code of what went wrong, as the client gets it. */
export function codeOf(error: unknown): string {
  const known = asKnownError(error)
  if (known instanceof BulwarkError) return known.code
  const code = known instanceof GraphQLError ? known.extensions['code'] : undefined
  return typeof code === 'string' ? code : 'INTERNAL'
}
