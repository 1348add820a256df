/**
 * Who may do what: one table, and nothing that is not in it. Anyone reads. Stewards, whom the DAO's policy names, draft and cancel.
 * Owners of the Safe attach signatures. Nobody executes anything by the API.
 */
import { BulwarkError } from '../../core/errors.ts'
import type { Address } from '../../protocols/adapter.ts'

export type Role = 'STEWARD' | 'OWNER'

/** Roles of which one is enough; ANYONE needs no sign-in. A mutation that is not here is refused to all. */
export const PERMISSIONS = {
  draftProposal: ['STEWARD'],
  importBatch: ['STEWARD'],
  simulateProposal: ['STEWARD', 'OWNER'],
  requestSignatures: ['STEWARD'],
  addSignature: ['OWNER'],
  draftRollback: ['STEWARD'],
  cancelProposal: ['STEWARD'],
  publishProposal: ['STEWARD', 'OWNER'],
  pullSignatures: ['STEWARD', 'OWNER'],
  resetBreaker: ['STEWARD', 'OWNER'],
  startRiskRun: ['ANYONE'],
  cancelRiskRun: ['ANYONE'],
  signOut: ['ANYONE'],
} as const satisfies Readonly<Record<string, readonly (Role | 'ANYONE')[]>>

export type PermittedMutation = keyof typeof PERMISSIONS

export class ForbiddenError extends BulwarkError {
  constructor(facts: { action: string; found: string; allowed: readonly string[] }) {
    super(`Found ${facts.found} for ${facts.action}, allowed is ${facts.allowed.length === 0 ? 'nobody' : facts.allowed.join(' or ')}; ${facts.found === 'nobody signed in' ? 'sign in first' : 'ask one of them'}`, { code: facts.found === 'nobody signed in' ? 'UNAUTHENTICATED' : 'FORBIDDEN', facts })
  }
}

const WORDS: Readonly<Record<Role, string>> = { STEWARD: "a steward of the DAO's policy", OWNER: 'an owner of the Safe' }

/** Throws ForbiddenError. `actor` is null for somebody who has not signed in. */
export function assertPermitted(mutation: string, actor: Address | null, roles: readonly Role[]): void {
  const allowed: readonly (Role | 'ANYONE')[] = (PERMISSIONS as Readonly<Record<string, readonly (Role | 'ANYONE')[]>>)[mutation] ?? []
  if (allowed.includes('ANYONE')) return
  const words = allowed.flatMap((role) => (role === 'ANYONE' ? [] : [WORDS[role]]))
  if (actor === null) throw new ForbiddenError({ action: mutation, found: 'nobody signed in', allowed: words })
  if (!roles.some((role) => allowed.includes(role))) throw new ForbiddenError({ action: mutation, found: `${actor}, who is ${roles.length === 0 ? 'neither steward nor owner' : roles.map((role) => WORDS[role]).join(' and ')},`, allowed: words })
}

/** What an address is, by the policy and by the Safe as the chain has it. */
export type RoleBook = { rolesOf(address: Address): Promise<readonly Role[]> }

/** Owners are asked of the chain, and remembered for `keepMs`. Where it does not answer, nobody is an owner: fail closed. */
export function createRoleBook(options: { readonly stewards: readonly Address[]; readonly owners: () => Promise<readonly Address[]>; readonly keepMs?: number; readonly now?: () => number }): RoleBook {
  const { stewards, owners, keepMs = 5_000, now = Date.now } = options
  let known: { readonly owners: readonly Address[]; readonly at: number } | null = null
  return {
    async rolesOf(address) {
      if (known === null || now() - known.at > keepMs) known = { owners: await owners().catch(() => []), at: now() }
      const is = (list: readonly Address[]): boolean => list.some((each) => each.toLowerCase() === address.toLowerCase())
      return [...(is(stewards) ? (['STEWARD'] as const) : []), ...(is(known.owners) ? (['OWNER'] as const) : [])]
    },
  }
}
