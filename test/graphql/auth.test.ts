/** Who may do what, asked of the real API: by its doors alone, over HTTP and WebSocket. */
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { buildSchema } from 'graphql'
import { createClient } from 'graphql-ws'
import { decodeJwt, SignJWT } from 'jose'
import { createPublicClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { PrivateKeyAccount } from 'viem/accounts'
import { createSiweMessage } from 'viem/siwe'
import { WebSocket } from 'ws'
import { brokenAudit } from '../../api/auth/audit.ts'
import { PERMISSIONS, type Role } from '../../api/auth/roles.ts'
import { createReach } from '../../api/graphql/reach.ts'
import { RATES } from '../../api/graphql/rates.ts'
import { resolvers } from '../../api/graphql/resolvers.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { devnetAccounts } from '../../devnet/keys.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import type { Proposals } from '../../proposals/index.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { bearer, owners, steward, stranger } from '../support/signIn.ts'
import { addressOf, deployment, log, noChain, seed, services } from './support.ts'

jest.setTimeout(60_000)

let postgres: TestPostgres
let prisma: PrismaClient
let server: ApiServer
const open: ApiServer[] = []
const many = { ...RATES, auth: 10_000, requests: 100_000, mutations: 10_000, costly: {} }
const base = { log, host: '127.0.0.1', port: 0, rates: many }

/** Whatever passes the door gets here. */
const passed = { id: 'p1' }
const proposals = Object.fromEntries(['draft', 'importBatch', 'simulate', 'requestSignatures', 'addSignature', 'publish', 'cancel'].map((name) => [name, async () => passed])) as unknown as Partial<Proposals>
const all = { ...proposals, pull: async () => ({ proposal: passed, added: 0 }) as never }
const risk = { breakers: { reset: async () => {} } as never }

const start = async (options: Partial<Parameters<typeof startServer>[0]> = {}): Promise<ApiServer> => {
  const started = await startServer({ ...services(prisma, noChain, { proposals: all, risk }), ...base, ...options })
  open.push(started)
  return started
}

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  server = await start()
}, 90_000)
afterAll(async () => {
  await Promise.all(open.map((one) => one.close()))
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

type Answer = { data?: any; errors?: { message: string; extensions: { code: string } }[] } // oxlint-disable-line typescript/no-explicit-any
const ask = async (query: string, headers: Record<string, string> = {}, url = server.url, variables: object = {}): Promise<Answer & { status: number }> => {
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables }) })
  return { ...((await response.json()) as Answer), status: response.status }
}
const post = async (path: string, body: object | string, headers: Record<string, string> = {}, url = server.url) => {
  const response = await fetch(`${url}/auth/${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) })
  return { status: response.status, headers: response.headers, body: (await response.json().catch(() => null)) as any } // oxlint-disable-line typescript/no-explicit-any
}
/** fetch sets Host and Origin itself. */
const raw = (url: string, method: string, headers: Record<string, string>, body = ''): Promise<{ status: number; headers: Record<string, unknown>; body: any }> => // oxlint-disable-line typescript/no-explicit-any
  new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text === '' ? null : JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
const codeOf = ({ errors }: Answer): string | undefined => errors?.[0]?.extensions.code

type Fields = Partial<Parameters<typeof createSiweMessage>[0]>
const message = async (account: PrivateKeyAccount, fields: Fields = {}, url = server.url): Promise<string> =>
  createSiweMessage({ address: account.address, chainId: deployment.chainId, domain: new URL(url).host, uri: url, nonce: (await post('nonce', {}, {}, url)).body.nonce as string, version: '1', issuedAt: new Date(), ...fields })
const signed = async (account: PrivateKeyAccount, fields: Fields = {}, url = server.url) => {
  const text = await message(account, fields, url)
  return { message: text, signature: await account.signMessage({ message: text }) }
}
/** The page's way: a cookie. */
const cookieFor = async (account: PrivateKeyAccount, url = server.url): Promise<string> => (await post('sign-in', await signed(account, {}, url), {}, url)).headers.get('set-cookie')!.split(';')[0]!

const MUTATIONS: Readonly<Record<keyof typeof PERMISSIONS, string | null>> = {
  draftProposal: '{ draftProposal(input: { title: "x", changes: [] }) { id } }',
  importBatch: '{ importBatch(input: { file: "{}" }) { id } }',
  simulateProposal: '{ simulateProposal(id: "p1") { id } }',
  requestSignatures: '{ requestSignatures(id: "p1") { id } }',
  addSignature: `{ addSignature(id: "p1", signer: "${addressOf(1)}", signature: "0x12") { id } }`,
  draftRollback: '{ draftRollback(id: "p1") { id } }',
  cancelProposal: '{ cancelProposal(id: "p1") { id } }',
  publishProposal: '{ publishProposal(id: "p1") { id } }',
  pullSignatures: '{ pullSignatures(id: "p1") { id } }',
  // Nothing was observed yet, so that what passes the door is told so.
  resetBreaker: '{ resetBreaker(subject: "protocol", why: "the feed is back") { level } }',
  startRiskRun: '{ startRiskRun(input: {}) { id } }',
  cancelRiskRun: '{ cancelRiskRun(id: "none") { id } }',
  signOut: null,
}

describe('roles and mutations', () => {
  test('behavior: every mutation of the schema has a place in the table, and goes through the door', () => {
    const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
    const names = Object.keys(schema.getMutationType()!.getFields()).toSorted()
    expect(names.filter((name) => !(name in PERMISSIONS))).toEqual([])
    expect(Object.keys(PERMISSIONS).filter((name) => name !== 'signOut').toSorted()).toEqual(names)
    expect(Object.keys(resolvers.Mutation!).toSorted()).toEqual(names)
    // None that executes.
    expect(names.filter((name) => /execut|send|broadcast/i.test(name))).toEqual([])
  })

  test('error: a mutation that is not in the table is refused to all, by the same door', async () => {
    const { guarded } = await import('../../api/graphql/guarded.ts')
    const { createContext } = await import('../../api/graphql/context.ts')
    let reached = false
    const { executeProposal } = guarded({ executeProposal: () => (reached = true) })
    const shared = services(prisma, noChain)
    const viewer = { address: owners[0]!.address.toLowerCase() as `0x${string}`, sessionId: 's', expiresAt: new Date() }
    const context = createContext(shared, { caller: async () => ({ viewer, refusal: null, ip: '127.0.0.1' }), rates: null })
    await expect((executeProposal as unknown as (...args: unknown[]) => Promise<unknown>)(null, {}, context, null)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await context.close()
    expect(reached).toBe(false)
  })

  const who: readonly [string, PrivateKeyAccount | null, readonly Role[]][] = [
    ['nobody', null, []],
    ['a stranger', stranger, []],
    ['a steward', steward, ['STEWARD']],
    ['an owner', owners[1]!, ['OWNER']],
  ]
  const sessions = new Map<string, Record<string, string>>()
  beforeAll(async () => {
    for (const [name, account] of who) sessions.set(name, account === null ? {} : await bearer(server.url, account))
  })

  test.each(Object.entries(MUTATIONS).flatMap(([mutation, query]) => (query === null ? [] : who.map(([name, account, roles]) => [mutation, name, account, roles, query] as const))))('behavior: %s by %s', async (mutation, name, account, roles, query) => {
    const allowed = PERMISSIONS[mutation as keyof typeof PERMISSIONS] as readonly string[]
    const may = allowed.includes('ANYONE') || roles.some((role) => allowed.includes(role))
    const before = await prisma.auditEntry.count()
    const answer = await ask(`mutation ${query}`, sessions.get(name))
    const door = ['UNAUTHENTICATED', 'FORBIDDEN'].find((code) => code === codeOf(answer)) ?? 'passed'
    expect(door).toBe(may ? 'passed' : account === null ? 'UNAUTHENTICATED' : 'FORBIDDEN')
    const entries = await prisma.auditEntry.findMany({ orderBy: { id: 'desc' }, take: 1 })
    expect(await prisma.auditEntry.count()).toBe(before + 1)
    expect(entries[0]).toMatchObject({ action: mutation, actor: account?.address.toLowerCase() ?? null, roles: [...roles], outcome: codeOf(answer) ?? 'OK' })
    expect(JSON.stringify(entries[0]!.details)).not.toContain('"0x12"')
  })

  test('behavior: both roles of one account count, and a role that is lost is lost at once', async () => {
    let own: readonly `0x${string}`[] = [steward.address]
    const shared = services(prisma, noChain, { proposals: all })
    const { createRoleBook } = await import('../../api/auth/roles.ts')
    const api = await start({ ...shared, auth: { ...shared.auth, roles: createRoleBook({ stewards: shared.auth.policy.stewards, owners: async () => own, keepMs: -1 }) } })
    const session = await bearer(api.url, steward)
    expect((await ask('{ viewer { address roles } }', session, api.url)).data.viewer).toEqual({ address: steward.address.toLowerCase(), roles: ['STEWARD', 'OWNER'] })
    expect((await ask(`mutation ${MUTATIONS.addSignature}`, session, api.url)).errors).toBeUndefined()
    own = []
    expect(codeOf(await ask(`mutation ${MUTATIONS.addSignature}`, session, api.url))).toBe('FORBIDDEN')
  })

  test('behavior: the drafter is whoever has signed in, never an argument', async () => {
    const drafted: unknown[] = []
    const api = await start(services(prisma, noChain, { proposals: { ...all, draft: async (input) => { drafted.push(input); return passed as never }, cancel: async (...args) => { drafted.push(args); return passed as never } } }))
    const session = await bearer(api.url, steward)
    await ask(`mutation ${MUTATIONS.draftProposal}`, session, api.url)
    await ask(`mutation ${MUTATIONS.cancelProposal}`, session, api.url)
    expect(drafted).toEqual([expect.objectContaining({ by: steward.address.toLowerCase() }), ['p1', steward.address.toLowerCase()]])
  })
})

describe('sign-in', () => {
  test('behavior: gives a token and a cookie that no script reads and no other site sends', async () => {
    const { status, body, headers } = await post('sign-in', await signed(owners[0]!))
    expect([status, body.address, body.roles]).toEqual([200, owners[0]!.address.toLowerCase(), ['OWNER']])
    const cookie = headers.get('set-cookie')!
    for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/', 'Max-Age=1800']) expect(cookie).toContain(part)
    expect(cookie).not.toContain('Secure')
    expect(headers.get('cache-control')).toBe('no-store')
  })

  test('behavior: behind a proxy that says https, the cookie is for https alone', async () => {
    const api = await start({ proxies: 1 })
    const { headers } = await post('sign-in', await signed(owners[0]!, {}, api.url), { 'x-forwarded-proto': 'https' }, api.url)
    expect(headers.get('set-cookie')).toContain('Secure')
    // Without a proxy, the same header is anybody's word.
    expect((await post('sign-in', await signed(owners[0]!), { 'x-forwarded-proto': 'https' })).headers.get('set-cookie')).not.toContain('Secure')
  })

  test.each<[string, () => Promise<object>, number]>([
    ['for another site', () => signed(steward, { domain: 'evil.example' }), 401],
    ['for another port of this machine', () => signed(steward, { domain: '127.0.0.1:1' }), 401],
    ['for another chain', () => signed(steward, { chainId: 1 }), 401],
    ['with a nonce that nobody gave', () => signed(steward, { nonce: 'abcdefgh12345678' }), 401],
    ['without a signature', async () => ({ message: await message(steward) }), 401],
    ['of no form', async () => ({ message: 5, signature: {} }), 401],
  ])('error: refuses a message %s, and writes that down', async (_, made, status) => {
    const answer = await post('sign-in', await made())
    expect([answer.status, answer.body.errors[0].extensions.code]).toEqual([status, 'UNAUTHENTICATED'])
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(await prisma.auditEntry.findFirst({ orderBy: { id: 'desc' } })).toMatchObject({ action: 'signIn', actor: null, outcome: 'UNAUTHENTICATED' })
  })

  test('error: a message counts once, and another account’s signature not at all', async () => {
    const once = await signed(steward)
    expect((await post('sign-in', once)).status).toBe(200)
    expect((await post('sign-in', once)).status).toBe(401)
    const text = await message(steward)
    // No chain answers whether a contract stands at that address: refused all the same.
    expect([401, 503]).toContain((await post('sign-in', { message: text, signature: await stranger.signMessage({ message: text }) })).status)
  })

  test('error: takes JSON alone, and from no page of another origin', async () => {
    expect((await post('nonce', '', { 'content-type': 'text/plain' })).status).toBe(400)
    expect((await raw(`${server.url}/auth/nonce`, 'POST', { 'content-type': 'application/json', origin: 'https://evil.example' }, '{}')).status).toBe(403)
    expect((await raw(`${server.url}/auth/nonce`, 'POST', { 'content-type': 'application/json', origin: server.url }, '{}')).status).toBe(200)
  })

  test('behavior: a session ends with sign-out, at once and everywhere', async () => {
    const session = await bearer(server.url, steward)
    expect((await ask('{ viewer { roles } }', session)).data.viewer.roles).toEqual(['STEWARD'])
    expect((await post('sign-out', {}, session)).body).toEqual({ signedOut: true })
    expect((await ask('{ viewer { roles } }', session)).data.viewer).toBeNull()
    expect(codeOf(await ask(`mutation ${MUTATIONS.cancelProposal}`, session))).toBe('UNAUTHENTICATED')
    expect((await post('sign-out', {}, session)).body).toEqual({ signedOut: false })
  })
})

describe('tokens', () => {
  const mutation = `mutation ${MUTATIONS.cancelProposal}`
  const claims = (secret: string, fields: { sub?: string; jti?: string; aud?: string; exp?: number } = {}) =>
    new SignJWT({}).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuer('bulwark').setAudience(fields.aud ?? String(deployment.chainId)).setSubject(fields.sub ?? steward.address.toLowerCase()).setJti(fields.jti ?? 'none').setIssuedAt().setExpirationTime(fields.exp ?? '30m').sign(new TextEncoder().encode(secret))

  test('error: refuses tokens that are forged, of another server, of another form or over; reading goes on', async () => {
    const secret = 'a secret that is long enough to be one'
    const { createSessions } = await import('../../api/auth/session.ts')
    const shared = services(prisma, noChain, { proposals: all })
    let now = Date.now()
    const api = await start({ ...shared, auth: { ...shared.auth, sessions: createSessions({ prisma, chainId: deployment.chainId, client: createPublicClient({ transport: http('http://127.0.0.1:9') }), secret, now: () => now }) } })
    const good = await bearer(api.url, steward)
    const jti = decodeJwt(good.authorization.slice(7)).jti!
    const forged = [
      ...(await Promise.all([claims('another secret that is long enough!!'), claims(secret), claims(secret, { jti, sub: owners[0]!.address.toLowerCase() }), claims(secret, { jti, aud: '1' }), claims(secret, { jti, exp: 1 })])),
      (await bearer(server.url, steward)).authorization.slice(7),
      `${good.authorization.slice(7)}x`,
    ].map((token) => `Bearer ${token}`)
    for (const authorization of [...forged, 'Bearer', 'Basic YTpi', `Bearer ${good.authorization}`]) {
      const answer = await ask(mutation, { authorization }, api.url)
      expect([authorization.slice(0, 20), codeOf(answer)]).toEqual([authorization.slice(0, 20), 'UNAUTHENTICATED'])
      expect((await ask('{ viewer { address } status { network } }', { authorization }, api.url)).data).toEqual({ viewer: null, status: { network: 'devnet' } })
    }
    expect((await ask(mutation, good, api.url)).errors).toBeUndefined()
    now += 30 * 60_000 + 1_000
    expect(codeOf(await ask(mutation, good, api.url))).toBe('UNAUTHENTICATED')
  })
})

describe('cookies', () => {
  const mutation = JSON.stringify({ query: `mutation ${MUTATIONS.cancelProposal}` })
  const send = (headers: Record<string, string>) => raw(`${server.url}/graphql`, 'POST', { 'content-type': 'application/json', ...headers }, mutation)

  test('behavior: count for the page of this server alone', async () => {
    const cookie = await cookieFor(steward)
    expect((await send({ cookie, origin: server.url })).body.errors).toBeUndefined()
    expect((await send({ cookie, origin: server.url, 'sec-fetch-site': 'same-origin' })).body.errors).toBeUndefined()
    for (const headers of [{ cookie }, { cookie, origin: 'https://evil.example' }, { cookie, origin: 'null' }, { cookie, origin: 'http://127.0.0.1:1' }, { cookie, origin: server.url, 'sec-fetch-site': 'same-site' }]) {
      expect([headers, (await send(headers)).body.errors?.[0].extensions.code]).toEqual([headers, 'FORBIDDEN_ORIGIN'])
    }
    // A cookie beside a token: the token says who it is.
    expect((await send({ cookie, ...(await bearer(server.url, stranger)) })).body.errors[0].extensions.code).toBe('FORBIDDEN')
  })

  test('error: another site cannot sign anybody out with them', async () => {
    const cookie = await cookieFor(steward)
    const out = (origin: string) => raw(`${server.url}/auth/sign-out`, 'POST', { 'content-type': 'application/json', cookie, origin }, '{}')
    expect((await out('https://evil.example')).status).toBe(403)
    const answer = await out(server.url)
    expect([answer.status, answer.body]).toEqual([200, { signedOut: true }])
    expect(String(answer.headers['set-cookie'])).toMatch(/bulwark_session=;.*Expires=Thu, 01 Jan 1970/)
  })

  test.each([['a form', 'application/x-www-form-urlencoded'], ['plain text', 'text/plain']])('error: a mutation sent as %s, which needs no leave of a browser, is refused', async (_, type) => {
    const { status } = await raw(`${server.url}/graphql`, 'POST', { 'content-type': type, cookie: await cookieFor(steward), origin: server.url }, mutation)
    expect(status).toBe(400)
  })

  test('error: a mutation by GET is refused', async () => {
    const { status } = await raw(`${server.url}/graphql?query=${encodeURIComponent(`mutation ${MUTATIONS.cancelProposal}`)}`, 'GET', { accept: 'application/json', 'apollo-require-preflight': '1', cookie: await cookieFor(steward), origin: server.url })
    expect(status).toBe(405)
  })
})

describe('reach', () => {
  const preflight = (url: string, origin: string) => raw(`${url}/graphql`, 'OPTIONS', { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization, content-type' })

  test('behavior: no other page may ask, unless CORS_ORIGINS names it, and never with cookies', async () => {
    const api = await start({ origins: ['https://risk.example'] })
    const refused = await preflight(server.url, 'https://risk.example')
    expect([refused.status, refused.headers['access-control-allow-origin'], refused.body.errors[0].extensions.code]).toEqual([403, undefined, 'FORBIDDEN_ORIGIN'])
    const opened = await preflight(api.url, 'https://risk.example')
    expect([opened.status, opened.headers['access-control-allow-origin'], opened.headers['access-control-allow-credentials']]).toEqual([204, 'https://risk.example', undefined])
    for (const origin of ['https://risk.example.evil', 'http://risk.example', 'https://evil.example', 'null']) expect((await preflight(api.url, origin)).status).toBe(403)
    const answer = await raw(`${server.url}/graphql`, 'POST', { 'content-type': 'application/json', origin: 'https://evil.example' }, JSON.stringify({ query: '{ status { network } }' }))
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('error: requests for a name of others are refused at every door', async () => {
    for (const path of ['graphql', 'auth/nonce', 'auth/sign-in', 'auth/sign-out']) {
      const { status, body } = await raw(`${server.url}/${path}`, 'POST', { 'content-type': 'application/json', host: 'evil.example' }, '{}')
      expect([path, status, body.errors[0].extensions.code]).toEqual([path, 403, 'FORBIDDEN_HOST'])
    }
  })

  test('error: nobody signs in for an address that is not this machine’s, whatever the Host header says', async () => {
    const message = await signed(steward, { domain: '203.0.113.7', uri: 'http://203.0.113.7' })
    const { status, body } = await raw(`${server.url}/auth/sign-in`, 'POST', { 'content-type': 'application/json', host: '203.0.113.7' }, JSON.stringify(message))
    expect([status, body.errors[0].message]).toEqual([401, expect.stringContaining('Found a message for 203.0.113.7')])
    const reach = createReach({ host: '127.0.0.1', names: ['risk.example'], origins: ['https://app.example'] })
    const at = (host: string) => ({ host, localAddress: '::ffff:192.168.1.5' })
    expect(['risk.example', 'app.example', 'localhost:4000', '192.168.1.5:4000'].map((domain) => reach.signsFor(domain, at(domain)))).toEqual([true, true, true, true])
    expect(['evil.example', '10.0.0.1:4000', 'localhost:4001'].map((domain) => reach.signsFor(domain, at(domain === 'localhost:4001' ? 'localhost:4000' : domain)))).toEqual([false, false, false])
  })

  test('behavior: says what browsers should hold it to', async () => {
    const { headers } = await fetch(`${server.url}/healthz`)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect([headers.get('x-content-type-options'), headers.get('x-frame-options'), headers.get('referrer-policy'), headers.get('x-powered-by')]).toEqual(['nosniff', 'DENY', 'no-referrer', null])
    expect(headers.get('strict-transport-security')).toContain('max-age=')
  })
})

describe('limits', () => {
  test('error: more than 20 tries to sign in within a minute are refused, whoever the headers say it is', async () => {
    const api = await start({ rates: RATES })
    const codes: number[] = []
    for (let i = 0; i < RATES.auth + 2; i++) codes.push((await post('nonce', {}, { 'x-forwarded-for': `198.51.100.${i}` }, api.url)).status)
    expect(codes).toEqual([...Array(RATES.auth).fill(200), 429, 429])
    const { body, headers } = await post('nonce', {}, {}, api.url)
    expect(body.errors[0]).toMatchObject({ message: expect.stringMatching(/^Found more than 20 requests to sign in in a minute, allowed are 20; ask again in \d+ s$/), extensions: { code: 'RATE_LIMITED' } })
    expect(headers.get('ratelimit')).toContain('r=0')
    // Reading is another matter.
    expect((await ask('{ status { network } }', {}, api.url)).status).toBe(200)
  })

  test('error: a simulation costs a chain of its own, so an account has few in a minute, over all its sessions', async () => {
    const api = await start({ rates: { ...many, costly: { simulateProposal: 2 } } })
    const [one, two, other] = [await bearer(api.url, steward), await bearer(api.url, steward), await bearer(api.url, owners[0]!)]
    const simulate = async (session: Record<string, string>) => codeOf(await ask(`mutation ${MUTATIONS.simulateProposal}`, session, api.url)) ?? 'OK'
    expect([await simulate(one), await simulate(two), await simulate(one), await simulate(other)]).toEqual(['OK', 'OK', 'RATE_LIMITED', 'OK'])
    // By aliases in one request, too.
    expect((await ask('mutation { a: simulateProposal(id: "p1") { id } b: simulateProposal(id: "p1") { id } }', other, api.url)).errors?.map((error) => error.extensions.code)).toEqual(['RATE_LIMITED'])
  })

  test('error: whoever floods it cannot fill the audit log', async () => {
    const api = await start({ rates: { ...many, mutations: 3 } })
    const before = await prisma.auditEntry.count()
    const codes: unknown[] = []
    for (let i = 0; i < 6; i++) codes.push(codeOf(await ask(`mutation ${MUTATIONS.cancelProposal}`, {}, api.url)))
    expect(codes).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED'])
    expect(await prisma.auditEntry.count()).toBe(before + 3)
  })

  test('error: too many requests of any kind are refused', async () => {
    const api = await start({ rates: { ...many, requests: 2 } })
    const codes: number[] = []
    for (let i = 0; i < 3; i++) codes.push((await ask('{ status { network } }', {}, api.url)).status)
    expect(codes).toEqual([200, 200, 429])
  })
})

describe('over WebSocket', () => {
  const client = (connectionParams: Record<string, unknown>, headers: Record<string, string> = {}) => {
    class Dressed extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { headers })
      }
    }
    return createClient({ url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: Dressed, connectionParams, retryAttempts: 0 })
  }
  const first = async (ws: ReturnType<typeof client>, query: string): Promise<any> => (await ws.iterate({ query }).next()).value // oxlint-disable-line typescript/no-explicit-any

  test('behavior: a token says who reads; nobody need have one; mutations are refused', async () => {
    const token = (await bearer(server.url, steward)).authorization.slice(7)
    const [mine, anybody] = [client({ token }), client({})]
    expect((await first(mine, '{ viewer { roles } }')).data.viewer).toEqual({ roles: ['STEWARD'] })
    expect((await first(anybody, '{ viewer { roles } status { network } }')).data).toEqual({ viewer: null, status: { network: 'devnet' } })
    const before = await prisma.auditEntry.count()
    await expect(first(mine, `mutation ${MUTATIONS.cancelProposal}`)).rejects.toMatchObject([{ message: expect.stringContaining('Found a mutation over WebSocket') }])
    expect(await prisma.auditEntry.count()).toBe(before)
    await mine.dispose()
    await anybody.dispose()
  })

  test.each([['forged', 'a.b.c'], ['of another kind', 5]])('error: a token that is %s ends the connection', async (_, token) => {
    const ws = client({ token })
    await expect(first(ws, '{ status { network } }')).rejects.toMatchObject({ code: 4403 })
    await ws.dispose()
  })

  test('error: a page of another origin cannot connect', async () => {
    const ws = client({}, { origin: 'https://evil.example', cookie: await cookieFor(steward) })
    await expect(first(ws, '{ status { network } }')).rejects.toBeDefined()
    await ws.dispose()
    const own = client({}, { origin: server.url, cookie: await cookieFor(steward) })
    expect((await first(own, '{ viewer { roles } }')).data.viewer).toEqual({ roles: ['STEWARD'] })
    await own.dispose()
  })

  test('behavior: proposalChanged tells of every step of a proposal, as it stands then', async () => {
    const shared = services(prisma, noChain, { proposals: { ...all, cancel: async (id) => { await prisma.$transaction([prisma.proposal.update({ where: { id }, data: { state: 'CANCELLING' } }), prisma.proposalEvent.create({ data: { proposalId: id, fromState: 'AWAITING_SIGNATURES', toState: 'CANCELLING', note: 'Cancelling' } })]); return { id } as never } } })
    const api = await start(shared)
    const ws = createClient({ url: `${api.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 })
    await shared.risk.events.look()
    const events = ws.iterate<any>({ query: 'subscription { proposalChanged(id: "p2") { id state events { toState } } }' }) // oxlint-disable-line typescript/no-explicit-any
    await ws.iterate({ query: '{ status { network } }' }).next()
    const next = events.next()
    const session = await bearer(api.url, steward)
    await ask('mutation { cancelProposal(id: "p1") { id } }', session, api.url)
    await ask('mutation { cancelProposal(id: "p2") { id } }', session, api.url)
    expect((await next).value.data.proposalChanged).toEqual({ id: 'p2', state: 'CANCELLING', events: [{ toState: 'DRAFT' }, { toState: 'CANCELLING' }] })
    await events.return?.()
    await ws.dispose()
  })
})

describe('audit log', () => {
  test('behavior: anybody reads it, newest first, by actor and by subject; and it is whole', async () => {
    const session = await bearer(server.url, steward)
    await ask('mutation { cancelProposal(id: "of-this-test") { id } }', session)
    const { data } = await ask('query ($actor: Address) { auditLog(first: 1, actor: $actor, subject: "of-this-test") { totalCount nodes { actor roles action subject details outcome at hash } pageInfo { hasNextPage } } }', {}, server.url, { actor: steward.address })
    expect(data.auditLog).toMatchObject({ totalCount: 1, nodes: [{ actor: steward.address.toLowerCase(), roles: ['STEWARD'], action: 'cancelProposal', subject: 'of-this-test', details: { id: 'of-this-test' }, outcome: 'OK', hash: expect.stringMatching(/^[0-9a-f]{64}$/) }], pageInfo: { hasNextPage: false } })
    const pages = await ask('{ one: auditLog(first: 2) { nodes { id } pageInfo { endCursor } } }')
    const { nodes, pageInfo } = pages.data.one
    const rest = await ask('query ($after: String) { auditLog(first: 1, after: $after) { nodes { id } } }', {}, server.url, { after: pageInfo.endCursor })
    expect(Number(rest.data.auditLog.nodes[0].id)).toBeLessThan(Number(nodes[1].id))
    expect(await brokenAudit(prisma)).toBeNull()
  })
})

test('behavior: the stewards of the devnet are accounts whose keys nobody else uses', () => {
  expect(owners).toHaveLength(3)
  expect(devnetAccounts('spare', deployment.chainId).map(({ privateKey }) => privateKeyToAccount(privateKey).address)).toContain(steward.address)
})
