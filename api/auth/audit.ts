/** Who did what, or tried to: rows that the database itself refuses to change, each with the hash of the one before. */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../recommendations/index.ts'
import type { Prisma, PrismaClient } from '../../prisma/client.ts'
import type { Address } from '../../protocols/adapter.ts'
import type { Role } from './roles.ts'

export type AuditEvent = {
  readonly actor: Address | null
  readonly roles: readonly Role[]
  /** Name of the mutation, or signIn and signOut. */
  readonly action: string
  readonly subject: string | null
  readonly details: unknown
  /** OK, or the error's code. */
  readonly outcome: string
}

const GENESIS = '0'.repeat(64)
/** Signatures are kept with what they sign, and titles may be long. */
const TEXT_MAX = 300

/** hash = SHA-256(previous hash ‖ canonical JSON of the fields). */
export const auditHash = (previous: string, at: Date, event: AuditEvent): string =>
  createHash('sha256').update(previous).update(canonicalJson({ at: at.toISOString(), actor: event.actor, roles: event.roles, action: event.action, subject: event.subject, details: event.details, outcome: event.outcome })).digest('hex')

/** Appends one entry; entries of all replicas form one chain. */
export async function appendAudit(prisma: PrismaClient, event: AuditEvent): Promise<void> {
  const details = JSON.parse(canonicalJson(shortened(event.details))) as Prisma.InputJsonValue
  await prisma.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended('audit', 0))) AS locked`
    const last = await tx.auditEntry.findFirst({ orderBy: { id: 'desc' }, select: { hash: true } })
    const at = new Date()
    await tx.auditEntry.create({ data: { at, actor: event.actor, roles: [...event.roles], action: event.action, subject: event.subject, details, outcome: event.outcome, hash: auditHash(last?.hash ?? GENESIS, at, { ...event, details }) } })
  })
}

/** The id of the first entry that does not follow from the one before; null where all do. */
export async function brokenAudit(prisma: PrismaClient): Promise<number | null> {
  let previous = GENESIS
  let after = 0
  for (;;) {
    const rows = await prisma.auditEntry.findMany({ where: { id: { gt: after } }, orderBy: { id: 'asc' }, take: 1000 })
    if (rows.length === 0) return null
    for (const row of rows) {
      const event: AuditEvent = { actor: row.actor as Address | null, roles: row.roles as Role[], action: row.action, subject: row.subject, details: row.details, outcome: row.outcome }
      if (auditHash(previous, row.at, event) !== row.hash) return row.id
      previous = row.hash
      after = row.id
    }
  }
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value
  if (Array.isArray(value)) return value.slice(0, 100).map(shortened)
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? value.toString() : value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, key === 'signature' || key === 'token' ? '…' : shortened(each)]))
}
