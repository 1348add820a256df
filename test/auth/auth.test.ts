import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createPublicClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { createSiweMessage } from 'viem/siwe'
import { appendAudit, brokenAudit } from '../../api/auth/audit.ts'
import { assertPermitted, createRoleBook, PERMISSIONS, type Role } from '../../api/auth/roles.ts'
import { createSessions, SESSION_SEC, type Sessions } from '../../api/auth/session.ts'
import type { BulwarkError } from '../../core/errors.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

jest.setTimeout(60_000)

const account = privateKeyToAccount(devnetAccounts('spare', DEVNET_CHAIN_ID)[1]!.privateKey)
const other = privateKeyToAccount(devnetAccounts('spare', DEVNET_CHAIN_ID)[2]!.privateKey)
const HERE = 'console.example:4000'
let postgres: TestPostgres
let prisma: PrismaClient
let clock: number
let sessions: Sessions

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
})
afterAll(async () => {
  await prisma?.$disconnect()
  await postgres?.stop()
})
beforeEach(() => {
  clock = Date.parse('2026-02-01T12:00:00Z')
  // A signature of a key is checked without the chain; only a contract's would be asked for there.
  sessions = createSessions({ prisma, chainId: 31_337, client: createPublicClient({ transport: http('http://127.0.0.1:9') }), secret: 'a secret of the test, 32 characters', now: () => clock })
})

type Fields = Partial<Parameters<typeof createSiweMessage>[0]>
const messageOf = (nonce: string, fields: Fields = {}): string => createSiweMessage({ address: account.address, domain: HERE, uri: `http://${HERE}`, version: '1', chainId: 31_337, nonce, issuedAt: new Date(clock), ...fields })
async function signIn(fields: Fields = {}, by = account) {
  const message = messageOf(await sessions.nonce(), fields)
  return sessions.signIn({ message, signature: await by.signMessage({ message }), domains: (domain) => domain === HERE })
}

describe('sign-in', () => {
  test('behavior: a signed message gives a session that says who signed, for half an hour', async () => {
    const { token, viewer } = await signIn()
    expect(viewer).toMatchObject({ address: account.address.toLowerCase(), expiresAt: new Date(clock + SESSION_SEC * 1000) })
    expect(await sessions.viewer(token)).toEqual(viewer)
    clock += SESSION_SEC * 1000 - 1
    expect(await sessions.viewer(token)).toEqual(viewer)
    clock += 1
    await expect(sessions.viewer(token)).rejects.toThrow('sign in again')
  })

  test('behavior: a session that was signed out is over, and no other', async () => {
    const [first, second] = [await signIn(), await signIn()]
    await sessions.signOut(first.viewer.sessionId)
    await expect(sessions.viewer(first.token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    expect(await sessions.viewer(second.token)).toEqual(second.viewer)
  })

  test('error: a message counts once', async () => {
    const message = messageOf(await sessions.nonce())
    const request = { message, signature: await account.signMessage({ message }), domains: () => true }
    await sessions.signIn(request)
    await expect(sessions.signIn(request)).rejects.toThrow('Found a nonce that is used, over or none of ours')
  })

  test.each<[string, Fields, RegExp]>([
    ['for another site', { domain: 'evil.example' }, /^Found a message for evil.example, allowed is the address that this server is reached by/],
    ['with a URI elsewhere', { uri: 'https://evil.example/x' }, /^Found a message for console.example:4000, allowed/],
    ['for another chain', { chainId: 1 }, /^Found chain id 1, allowed is 31337/],
    ['that ended', { expirationTime: new Date('2026-02-01T11:59:59Z') }, /^Found a message that is not valid now \(it ends 2026-02-01T11:59:59.000Z\)/],
    ['that begins later', { notBefore: new Date('2026-02-01T13:00:00Z') }, /^Found a message that is not valid now/],
    ['of yesterday', { issuedAt: new Date('2026-01-31T12:00:00Z') }, /^Found a message issued at 2026-01-31/],
    ['of tomorrow', { issuedAt: new Date('2026-02-02T12:00:00Z') }, /^Found a message issued at 2026-02-02/],
    ['with a nonce of its own', { nonce: 'abcdefgh12345678' }, /^Found a nonce that is used, over or none of ours/],
  ])('error: refuses a message %s', async (_, fields, sentence) => {
    await expect(signIn(fields)).rejects.toThrow(sentence)
  })

  test('error: refuses the signature of another account, and text that is no message', async () => {
    await expect(signIn({}, other)).rejects.toMatchObject({ code: expect.stringMatching(/UNAUTHENTICATED|UNAVAILABLE/) })
    await expect(sessions.signIn({ message: 'let me in', signature: '0x', domains: () => true })).rejects.toThrow(/^Found no EIP-4361 message/)
  })

  test('error: refuses tokens that were not made here: another key, another algorithm, none', async () => {
    const elsewhere = createSessions({ prisma, chainId: 31_337, client: createPublicClient({ transport: http('http://127.0.0.1:9') }), secret: null, now: () => clock })
    const { token } = await signIn()
    await expect(elsewhere.viewer(token)).rejects.toThrow('none of ours')
    const [, payload] = token.split('.')
    const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${payload}.`
    for (const forged of [none, `${token}x`, '', 'a.b.c']) await expect(sessions.viewer(forged)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })
})

describe('roles', () => {
  const roles: readonly [string, Address | null, readonly Role[]][] = [
    ['nobody', null, []],
    ['a stranger', account.address, []],
    ['a steward', account.address, ['STEWARD']],
    ['an owner', account.address, ['OWNER']],
    ['a steward who is an owner', account.address, ['STEWARD', 'OWNER']],
  ]
  const allowed: Readonly<Record<string, readonly string[]>> = {
    draftProposal: ['a steward', 'a steward who is an owner'],
    importBatch: ['a steward', 'a steward who is an owner'],
    simulateProposal: ['a steward', 'an owner', 'a steward who is an owner'],
    requestSignatures: ['a steward', 'a steward who is an owner'],
    addSignature: ['an owner', 'a steward who is an owner'],
    draftRollback: ['a steward', 'a steward who is an owner'],
    cancelProposal: ['a steward', 'a steward who is an owner'],
    publishProposal: ['a steward', 'an owner', 'a steward who is an owner'],
    pullSignatures: ['a steward', 'an owner', 'a steward who is an owner'],
    resetBreaker: ['a steward', 'an owner', 'a steward who is an owner'],
    startRiskRun: roles.map(([name]) => name),
    cancelRiskRun: roles.map(([name]) => name),
    signOut: roles.map(([name]) => name),
    executeProposal: [],
  }
  test.each(Object.keys({ ...PERMISSIONS, executeProposal: 0 }).flatMap((mutation) => roles.map((role) => [mutation, ...role] as const)))('behavior: %s by %s', (mutation, name, actor, has) => {
    const attempt = () => assertPermitted(mutation, actor, has)
    const code = (): string => {
      try {
        attempt()
        return 'OK'
      } catch (error) {
        return (error as BulwarkError).code
      }
    }
    expect(code()).toBe(allowed[mutation]!.includes(name) ? 'OK' : actor === null ? 'UNAUTHENTICATED' : 'FORBIDDEN')
  })

  test('behavior: stewards are the policy’s, owners the chain’s, and where the chain is silent nobody is an owner', async () => {
    let owners: () => Promise<readonly Address[]> = async () => [other.address]
    let now = 0
    const book = createRoleBook({ stewards: [account.address.toLowerCase() as Address], owners: () => owners(), now: () => now })
    expect(await book.rolesOf(account.address)).toEqual(['STEWARD'])
    expect(await book.rolesOf(other.address)).toEqual(['OWNER'])
    owners = async () => {
      throw new Error('away')
    }
    expect(await book.rolesOf(other.address)).toEqual(['OWNER'])
    now = 5_001
    expect(await book.rolesOf(other.address)).toEqual([])
  })
})

describe('audit log', () => {
  const event = (n: number) => ({ actor: account.address, roles: ['STEWARD' as const], action: 'draftProposal', subject: `p${n}`, details: { title: 'x'.repeat(1000), signature: '0x1234' as Hex, n: 10n }, outcome: 'OK' })

  test('behavior: entries follow from one another, carry no signature, and a row that was changed shows', async () => {
    await Promise.all([1, 2, 3].map((n) => appendAudit(prisma, event(n))))
    expect(await brokenAudit(prisma)).toBeNull()
    const rows = await prisma.auditEntry.findMany({ orderBy: { id: 'asc' } })
    expect(rows.map((row) => row.details)).toEqual(Array(3).fill({ title: `${'x'.repeat(300)}…`, signature: '…', n: '10' }))
    await expect(prisma.auditEntry.update({ where: { id: rows[1]!.id }, data: { outcome: 'NO' } })).rejects.toThrow(/append-only/)
    await expect(prisma.auditEntry.deleteMany()).rejects.toThrow(/append-only/)
    await expect(prisma.$executeRaw`TRUNCATE "AuditEntry"`).rejects.toThrow(/append-only/)
    // Somebody with the database's own rights.
    await prisma.$transaction([prisma.$executeRaw`ALTER TABLE "AuditEntry" DISABLE TRIGGER ALL`, prisma.$executeRaw`UPDATE "AuditEntry" SET "outcome" = 'NO' WHERE "id" = ${rows[1]!.id}`, prisma.$executeRaw`ALTER TABLE "AuditEntry" ENABLE TRIGGER ALL`])
    expect(await brokenAudit(prisma)).toBe(rows[1]!.id)
  })
})
