/** How often somebody may ask, counted in this process: several servers behind one name each count their own. */
import { ipKeyGenerator, MemoryStore, rateLimit } from 'express-rate-limit'
import type { RateLimitRequestHandler } from 'express-rate-limit'
import { BulwarkError } from '../../core/errors.ts'
import type { PermittedMutation } from '../auth/roles.ts'

/** All in times a minute. */
export type RateOptions = {
  /** Of one address, to /auth. */
  readonly auth: number
  /** Of one address, to /graphql. */
  readonly requests: number
  /** Mutations of one account, or of one address where nobody has signed in: each one is kept in the audit log. */
  readonly mutations: number
  /** Of the same, those that cost more: a simulation starts a chain of its own. */
  readonly costly: Readonly<Partial<Record<PermittedMutation, number>>>
}

export const RATES: RateOptions = { auth: 20, requests: 3_000, mutations: 120, costly: { simulateProposal: 6, draftProposal: 30, importBatch: 30, publishProposal: 12, pullSignatures: 12, startRiskRun: 30 } }

const WINDOW_MS = 60_000

/** Somebody asks more often than is allowed; the same question is answered again within a minute. */
export class RateLimitedError extends BulwarkError {
  constructor(facts: { what: string; max: number; againSec: number }) {
    super(`Found more than ${facts.max} ${facts.what} in a minute, allowed are ${facts.max}; ask again in ${facts.againSec} s`, { code: 'RATE_LIMITED', facts })
  }
}

export type Rates = {
  readonly auth: RateLimitRequestHandler
  readonly requests: RateLimitRequestHandler
  /** Counts an operation over WebSocket, as `requests` counts one over HTTP, of the same address. Throws RateLimitedError. */
  operation(ip: string): Promise<void>
  /** Counts one mutation of somebody. Throws RateLimitedError. */
  mutation(name: string, who: { readonly address: string | null; readonly ip: string }): Promise<void>
  close(): void
}

/** `refuse` answers an HTTP request that comes too often. */
export function createRates(options: RateOptions, refuse: (error: RateLimitedError) => object): Rates {
  const stores = new Map<string, MemoryStore>()
  const store = (name: string): MemoryStore => {
    const known = stores.get(name)
    if (known !== undefined) return known
    const made = new MemoryStore()
    made.init({ windowMs: WINDOW_MS } as Parameters<MemoryStore['init']>[0])
    stores.set(name, made)
    return made
  }
  const take = async (name: string, what: string, max: number, key: string): Promise<void> => {
    const { totalHits, resetTime } = await store(name).increment(key)
    if (totalHits > max) throw new RateLimitedError({ what, max, againSec: secondsTo(resetTime) })
  }
  const handler = (what: string, max: number): RateLimitRequestHandler =>
    rateLimit({
      windowMs: WINDOW_MS,
      limit: max,
      store: store(what),
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      // Whether X-Forwarded-For counts is API_PROXIES' to say; where it does not, it is not read.
      validate: { xForwardedForHeader: false, forwardedHeader: false },
      handler: (request, response) => {
        const { resetTime } = (request as typeof request & { rateLimit: { resetTime: Date | undefined } }).rateLimit
        response.status(429).json(refuse(new RateLimitedError({ what, max, againSec: secondsTo(resetTime) })))
      },
    })
  return {
    auth: handler('requests to sign in', options.auth),
    requests: handler('requests', options.requests),
    operation: (ip) => take('requests', 'requests', options.requests, ipKeyGenerator(ip)),
    mutation: async (name, { address, ip }) => {
      const key = address ?? ipKeyGenerator(ip)
      await take('all', 'mutations', options.mutations, key)
      const max = options.costly[name as PermittedMutation]
      if (max !== undefined) await take(name, `of ${name}`, max, key)
    },
    close: () => stores.forEach((one) => one.shutdown()),
  }
}

const secondsTo = (time: Date | undefined): number => (time === undefined ? WINDOW_MS / 1000 : Math.max(1, Math.ceil((time.getTime() - Date.now()) / 1000)))
