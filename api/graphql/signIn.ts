/** POST /auth/nonce, /auth/sign-in and /auth/sign-out. JSON alone: no page elsewhere can send that without being asked first. */
import { Router, json } from 'express'
import type { Request, Response } from 'express'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { appendAudit } from '../auth/audit.ts'
import { SESSION_SEC, SignInError } from '../auth/session.ts'
import type { Hex } from '../../protocols/adapter.ts'
import { ForeignOriginError, SESSION_COOKIE, callerOf, tokenOf } from './caller.ts'
import type { Services } from './context.ts'
import { asKnownError } from './errors.ts'
import { codeOf } from './guarded.ts'
import type { Reach } from './reach.ts'

const STATUS: Readonly<Record<string, number>> = { BAD_INPUT: 400, UNAUTHENTICATED: 401, FORBIDDEN_ORIGIN: 403, UNAVAILABLE: 503 }

/** `answer` makes a body of an error's code and sentence. */
export function signInRoutes(services: Services, reach: Reach, log: Logger, answer: (code: string, message: string) => object): Router {
  const { prisma, deployment, auth } = services
  const router = Router()
  router.use(json({ limit: '16kb' }), (request, response, next) => {
    response.set('Cache-Control', 'no-store')
    next()
  })

  const route = (path: string, act: (request: Request, response: Response) => Promise<object>): void => {
    router.post(path, (request, response) => {
      void (async () => {
        try {
          if (request.is('application/json') === false) throw new BadInputError('Found a body of another type, allowed is application/json; send {} where there is nothing to say')
          const { origin, host } = request.headers
          if (origin !== undefined && !reach.own(origin, host) && !reach.opened(origin)) throw new ForeignOriginError(origin)
          response.json(await act(request, response))
        } catch (error) {
          const known = asKnownError(error)
          if (!(known instanceof BulwarkError) || known.code === 'INVARIANT') log.error({ err: error }, 'a sign-in failed')
          const [code, message] = known instanceof BulwarkError && known.code !== 'INVARIANT' ? [known.code, known.message] : ['INTERNAL', 'Internal error; see the server’s log']
          response.status(STATUS[code] ?? 500).json(answer(code, message))
        }
      })()
    })
  }

  route('/nonce', async () => ({ nonce: await auth.sessions.nonce(), chainId: deployment.chainId }))

  route('/sign-in', async (request, response) => {
    const asked = { host: request.headers.host, localAddress: request.socket.localAddress }
    try {
      const { message, signature } = credentials(request.body)
      const { token, viewer } = await auth.sessions.signIn({ message, signature, domains: (domain) => reach.signsFor(domain, asked) })
      const roles = await auth.roles.rolesOf(viewer.address)
      await appendAudit(prisma, { actor: viewer.address, roles, action: 'signIn', subject: viewer.sessionId, details: {}, outcome: 'OK' })
      response.cookie(SESSION_COOKIE, token, { ...cookieOf(request), maxAge: SESSION_SEC * 1000 })
      return { token, address: viewer.address, roles, expiresAt: viewer.expiresAt.toISOString() }
    } catch (error) {
      await appendAudit(prisma, { actor: null, roles: [], action: 'signIn', subject: null, details: { reason: error instanceof BulwarkError ? error.message : null }, outcome: codeOf(error) })
      throw error
    }
  })

  route('/sign-out', async (request, response) => {
    const { viewer, refusal } = await callerOf(request, auth.sessions, reach)
    if (refusal instanceof ForeignOriginError) throw refusal
    if (tokenOf(request)?.cookie === true) response.clearCookie(SESSION_COOKIE, cookieOf(request))
    if (viewer !== null) {
      await auth.sessions.signOut(viewer.sessionId)
      await appendAudit(prisma, { actor: viewer.address, roles: await auth.roles.rolesOf(viewer.address), action: 'signOut', subject: viewer.sessionId, details: {}, outcome: 'OK' })
    }
    return { signedOut: viewer !== null }
  })
  return router
}

/** No script reads it, and no page elsewhere makes a browser send it. */
const cookieOf = (request: Request) => ({ httpOnly: true, sameSite: 'strict', secure: request.secure, path: '/' }) as const

function credentials(body: unknown): { readonly message: string; readonly signature: Hex } {
  const { message, signature } = (body ?? {}) as Record<string, unknown>
  if (typeof message !== 'string' || typeof signature !== 'string' || !/^0x([0-9a-f]{2}){1,4096}$/i.test(signature)) {
    throw new SignInError('Found no message and signature, allowed is {"message": "…", "signature": "0x…"} with the EIP-4361 message as it was signed; send that')
  }
  return { message, signature: signature as Hex }
}
