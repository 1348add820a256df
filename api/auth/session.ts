/**
 * Sign-In with Ethereum (EIP-4361) and the short sessions that follow it. A session says which address signed, and nothing of what
 * it may do: roles are looked up anew at every request.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import type { PublicClient } from 'viem'
import { BaseError } from 'viem'
import { generateSiweNonce, parseSiweMessage, validateSiweMessage } from 'viem/siwe'
import { BulwarkError, UnavailableError } from '../../core/errors.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'

/** Who asks has not signed in, or not in a way that counts. */
export class SignInError extends BulwarkError {
  constructor(message: string) {
    super(message, { code: 'UNAUTHENTICATED' })
  }
}

/** s. */
export const SESSION_SEC = 30 * 60
const NONCE_SEC = 5 * 60
/** A message may be dated this far ahead of our clock, s. */
const SKEW_SEC = 60
const MESSAGE_MAX = 4_000

export type Viewer = { readonly address: Address; readonly sessionId: string; readonly expiresAt: Date }

export type Sessions = {
  /** A number to sign in with, once, within five minutes. */
  nonce(): Promise<string>
  /** A session's token for a signed EIP-4361 message. `domains`: authorities that this server is reached by. Throws SignInError, UnavailableError. */
  signIn(request: { readonly message: string; readonly signature: Hex; readonly domains: (domain: string) => boolean }): Promise<{ readonly token: string; readonly viewer: Viewer }>
  /** Who holds a token. Throws SignInError where it is none of ours, over, or revoked. */
  viewer(token: string): Promise<Viewer>
  signOut(sessionId: string): Promise<void>
}

export type SessionOptions = {
  readonly prisma: PrismaClient
  readonly chainId: number
  /** For signatures of contracts (EIP-1271). */
  readonly client: Pick<PublicClient, 'verifyMessage'>
  /** 32 characters or more; null makes one, and sessions end with the process. */
  readonly secret: string | null
  /** ms since the epoch; the clock where left out. */
  readonly now?: () => number
}

const ISSUER = 'bulwark'

/** Sessions kept in the database, so that every replica knows of a sign-out. */
export function createSessions({ prisma, chainId, client, secret, now = Date.now }: SessionOptions): Sessions {
  const key = secret === null ? randomBytes(32) : new TextEncoder().encode(secret)

  return {
    async nonce() {
      const nonce = generateSiweNonce()
      await prisma.$transaction([prisma.signInNonce.deleteMany({ where: { expiresAt: { lt: new Date(now()) } } }), prisma.signInNonce.create({ data: { nonce, expiresAt: new Date(now() + NONCE_SEC * 1000) } })])
      return nonce
    },

    async signIn({ message, signature, domains }) {
      if (message.length > MESSAGE_MAX) throw new SignInError(`Found a message of ${message.length} characters, allowed are ${MESSAGE_MAX}; sign a plain EIP-4361 message`)
      const fields = parseSiweMessage(message)
      const { address, domain, nonce, uri, version, issuedAt, expirationTime } = fields
      if (address === undefined || domain === undefined || nonce === undefined || uri === undefined || version !== '1') throw new SignInError('Found no EIP-4361 message of version 1, allowed is one with domain, address, URI, version, chain id, nonce and issued-at; sign that')
      if (!domains(domain) || !URL.canParse(uri) || !domains(new URL(uri).host)) throw new SignInError(`Found a message for ${domain.slice(0, 100)}, allowed is the address that this server is reached by; check the page that you are on before you sign`)
      if (fields.chainId !== chainId) throw new SignInError(`Found chain id ${fields.chainId}, allowed is ${chainId}; switch the wallet's network`)
      if (issuedAt === undefined || issuedAt.getTime() > now() + SKEW_SEC * 1000 || issuedAt.getTime() < now() - NONCE_SEC * 1000) throw new SignInError(`Found a message issued at ${issuedAt?.toISOString() ?? 'no time'}, allowed are the last ${NONCE_SEC / 60} minutes; sign a new one`)
      if (!validateSiweMessage({ message: fields, time: new Date(now()) })) throw new SignInError(`Found a message that is not valid now${expirationTime === undefined ? '' : ` (it ends ${expirationTime.toISOString()})`}; sign a new one`)
      // Taken before the signature is looked at: whoever tries twice needs a new one.
      const taken = await prisma.signInNonce.deleteMany({ where: { nonce, expiresAt: { gt: new Date(now()) } } })
      if (taken.count !== 1) throw new SignInError('Found a nonce that is used, over or none of ours, allowed is one from this server, once; ask for a new one')
      if (!(await signed(client, address, message, signature))) throw new SignInError(`Found a signature that is not ${address}'s over this message; sign it with that account`)
      const id = randomUUID()
      const issued = Math.floor(now() / 1000)
      const expiresAt = new Date((issued + SESSION_SEC) * 1000)
      await prisma.session.create({ data: { id, address: address.toLowerCase(), issuedAt: new Date(issued * 1000), expiresAt } })
      await prisma.session.deleteMany({ where: { expiresAt: { lt: new Date(now() - 86_400_000) } } })
      const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuer(ISSUER).setAudience(String(chainId)).setSubject(address.toLowerCase()).setJti(id).setIssuedAt(issued).setExpirationTime(issued + SESSION_SEC).sign(key)
      return { token, viewer: { address: address.toLowerCase() as Address, sessionId: id, expiresAt } }
    },

    async viewer(token) {
      const over = new SignInError('Found a session that is over or none of ours, allowed is one from this server within half an hour; sign in again')
      const read = await jwtVerify(token, key, { issuer: ISSUER, audience: String(chainId), algorithms: ['HS256'], currentDate: new Date(now()) }).catch(() => null)
      const id = read?.payload.jti
      if (read === null || id === undefined) throw over
      const session = await prisma.session.findUnique({ where: { id } })
      if (session === null || session.revokedAt !== null || session.address !== read.payload.sub || session.expiresAt.getTime() <= now()) throw over
      return { address: session.address as Address, sessionId: id, expiresAt: session.expiresAt }
    },

    async signOut(sessionId) {
      await prisma.session.updateMany({ where: { id: sessionId, revokedAt: null }, data: { revokedAt: new Date(now()) } })
    },
  }
}

/** By the account's key, or by the contract at its address (EIP-1271, ERC-6492). */
async function signed(client: SessionOptions['client'], address: Address, message: string, signature: Hex): Promise<boolean> {
  try {
    return await client.verifyMessage({ address, message, signature })
  } catch (error) {
    if (!(error instanceof BaseError)) throw error
    // Without the cause: its text names the RPC's URL.
    throw new UnavailableError({ part: 'chain', found: 'it did not answer whether a contract signed', action: 'check that the chain runs and sign in again' })
  }
}
