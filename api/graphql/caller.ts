/** Who a request is from: a bearer token, or the cookie of the page that this server itself gives. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { BulwarkError } from '../../core/errors.ts'
import { SignInError } from '../auth/session.ts'
import type { Sessions, Viewer } from '../auth/session.ts'
import type { Reach } from './reach.ts'

export const SESSION_COOKIE = 'bulwark_session'

/** `refusal`: why what the request showed does not count; null where it counts, or where it showed nothing. It may read all the same. */
export type Caller = { readonly viewer: Viewer | null; readonly refusal: BulwarkError | null; readonly ip: string }

export const NOBODY: Caller = { viewer: null, refusal: null, ip: '127.0.0.1' }

/** A cookie came with a request that no page of ours made: a browser sends cookies for whoever asks. */
export class ForeignOriginError extends BulwarkError {
  constructor(origin: string | undefined) {
    super(`Found a session's cookie with ${origin === undefined ? 'no Origin' : `Origin ${origin.slice(0, 100)}`}, allowed is the page that this server gives; ask from there, or send the token as "Authorization: Bearer"`, { code: 'FORBIDDEN_ORIGIN' })
  }
}

type Asked = { readonly headers: IncomingHttpHeaders; readonly ip?: string | undefined }

/** The token that a request shows, and whether a browser may have added it by itself; null where it shows none. Throws SignInError where it is of another form. */
export function tokenOf({ headers }: Asked): { readonly token: string; readonly cookie: boolean } | null {
  const { authorization } = headers
  if (authorization !== undefined) {
    const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1]
    if (token === undefined) throw new SignInError('Found an Authorization header of another form, allowed is "Bearer" and a session’s token; sign in to get one')
    return { token, cookie: false }
  }
  const token = new RegExp(`(?:^|;\\s*)${SESSION_COOKIE}=([^;]+)`).exec(headers.cookie ?? '')?.[1]
  return token === undefined ? null : { token, cookie: true }
}

/** The address of a request that express has not seen, as `trust proxy` tells it: behind so many proxies, the one that the first of them names. */
export function addressBehind(proxies: number, { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>): string {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',').map((one) => one.trim()).filter(Boolean)
  const addresses = [socket.remoteAddress ?? NOBODY.ip, ...forwarded.toReversed()]
  return addresses[Math.min(proxies, addresses.length - 1)] ?? NOBODY.ip
}

/** Throws nothing that the caller did wrong: that is `refusal`, for those who want to do more than read. */
export async function callerOf(asked: Asked, sessions: Sessions, reach: Reach): Promise<Caller> {
  const ip = asked.ip ?? NOBODY.ip
  try {
    const shown = tokenOf(asked)
    if (shown === null) return { viewer: null, refusal: null, ip }
    const { origin, host } = asked.headers
    const site = asked.headers['sec-fetch-site']
    if (shown.cookie && (!reach.own(origin, host) || (site !== undefined && site !== 'same-origin'))) throw new ForeignOriginError(origin)
    return { viewer: await sessions.viewer(shown.token), refusal: null, ip }
  } catch (error) {
    if (error instanceof SignInError || error instanceof ForeignOriginError) return { viewer: null, refusal: error, ip }
    throw error
  }
}
