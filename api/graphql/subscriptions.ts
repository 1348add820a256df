/** Subscriptions over WebSocket (graphql-transport-ws), on the server's own port and under its limits. */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { GraphQLError, Kind, OperationTypeNode, getOperationAST, parse, subscribe, validate, type ExecutionArgs, type ExecutionResult, type GraphQLFormattedError, type GraphQLSchema } from 'graphql'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import type { Logger } from '../../core/log.ts'
import type { BreakerChange } from '../../prisma/generated/client.ts'
import { byUrgency } from '../recommendations/index.ts'
import { NOBODY, addressBehind, callerOf } from './caller.ts'
import type { Caller } from './caller.ts'
import { createContext } from './context.ts'
import type { Context, Services } from './context.ts'
import { errorFormatter } from './errors.ts'
import type { Happened, Told, Topic } from './events.ts'
import type { SubscriptionResolvers } from './generated/resolvers.ts'
import { checkOperation, validationRules } from './limits.ts'
import type { Limits } from './limits.ts'
import { PROPOSAL_PARTS } from './lists.ts'
import { marketId } from './lookup.ts'
import { RateLimitedError } from './rates.ts'
import type { Rates } from './rates.ts'
import type { Reach } from './reach.ts'
import { UserInputError, type Answer } from './risk/answer.ts'
import { changeAnswer } from './risk/breakers.ts'
import { runById } from './risk/runs.ts'

/** Subscriptions that one connection may hold, and bytes of one message. */
const MAX_SUBSCRIPTIONS = 20
const MAX_MESSAGE = 256 * 1024
const ENDED = new Set(['DONE', 'FAILED', 'CANCELLED'])

/**
 * What was told before, then what happens, without a gap between the two. `before` reads the rows of blocks from `sinceBlock` on that were told up to
 * the last look; events that `choose` makes nothing of are left out. What a reorganisation replaces meanwhile may come twice, under the same id.
 */
async function* each<T extends Topic, Out>(context: Context, topic: T, choose: (event: Happened[T]) => Promise<Out | null> | Out | null, before: ((told: Told) => Promise<readonly Happened[T][]>) | null = null): AsyncGenerator<Out> {
  const { events } = context.risk
  if (before !== null && events.told() === null) await events.look()
  const coming = listen(context, topic)
  const told = events.told()
  try {
    for (const event of before === null || told === null ? [] : await before(told)) {
      const out = await choose(event)
      if (out !== null) yield out
    }
    for await (const event of coming) {
      const out = await choose(event)
      if (out !== null) yield out
    }
  } finally {
    await coming.return?.()
  }
}

/** Events of a topic until the operation ends. A generator that waits for the next one hears of its own `return` only after it: the listener is told. */
function listen<T extends Topic>(context: Context, topic: T): AsyncIterableIterator<Happened[T]> {
  const coming = context.risk.events.listen(topic)
  const { ending } = context as Context & Partial<Operation>
  const end = (): void => void coming.return?.()
  if (ending?.aborted === true) end()
  ending?.addEventListener('abort', end, { once: true })
  return coming
}

/** Events that a subscription gives of what was before it. */
const MAX_BEFORE = 1_000

const tooMany = (what: string, query: string): UserInputError => new UserInputError(`sinceBlock: found more than ${MAX_BEFORE} ${what} from that block on, allowed are ${MAX_BEFORE}; read the earlier ones with ${query}, and subscribe from the last of their blocks`, 'sinceBlock')

/** The block that a subscriber goes on from; null where it named none. Throws UserInputError. */
function sinceOf(since: bigint | null | undefined): bigint | null {
  if (since == null) return null
  if (since < 0n || since >= 2n ** 63n) throw new UserInputError(`sinceBlock: found ${String(since).slice(0, 40)}, allowed is the number of a block; take that of the last event`, 'sinceBlock')
  return since
}

async function* progressOf(context: Context, id: string) {
  const events = listen(context, 'run')
  try {
    let row = await runById(context.prisma, id)
    if (row === null) throw new GraphQLError(`There is no run ${id.slice(0, 60)}; see riskRuns`, { extensions: { code: 'NOT_FOUND' } })
    yield row
    while (!ENDED.has(row.state)) {
      const { value, done } = await events.next()
      if (done === true) return
      if (value !== id) continue
      row = await runById(context.prisma, id)
      if (row === null) return
      yield row
    }
  } finally {
    await events.return?.()
  }
}

const as = <Name extends string, Out>(name: Name, context: Context, source: AsyncGenerator<Out>): AsyncGenerator<Record<Name, Out>> =>
  (async function* () {
    for await (const value of source) {
      ;(context as Context & Partial<Operation>).renew?.()
      yield { [name]: value } as Record<Name, Out>
    }
  })()

type Operation = {
  /** A new snapshot from here on; the one before is let go of. */
  renew(): void
  /** Nobody listens any more. */
  end(): void
  readonly ending: AbortSignal
}

/** A context that stands anew at each event: its fields read the block that is served when it comes. */
function renewing(services: Services, caller: Caller, rates: Rates): Context & Operation {
  const asking = { caller: async () => caller, rates }
  let current = createContext(services, asking)
  const renew = (): void => {
    void current.close()
    current = createContext(services, asking)
  }
  const ending = new AbortController()
  const operation: Operation = { renew, end: () => ending.abort(), ending: ending.signal }
  return new Proxy(operation as Context & Operation, { get: (_, name) => Reflect.get(name in operation ? operation : current, name) })
}

export const subscriptions: SubscriptionResolvers<Context> = {
  breakerChanged: {
    subscribe: (_, { subject, sinceBlock }, context) => {
      const since = sinceOf(sinceBlock)
      const before = async (told: Told) => {
        const rows = await context.prisma.breakerChange.findMany({ where: { blockNumber: { gte: since ?? 0n }, sequence: { lte: told.breaker } }, orderBy: { sequence: 'asc' }, take: MAX_BEFORE + 1 })
        if (rows.length > MAX_BEFORE) throw tooMany('changes', 'circuitBreakers { protocol { history } markets { history } }')
        return rows
      }
      const choose: (row: BreakerChange) => Answer<'BreakerChange'> | null = (row) => (subject == null || [row.subject, row.subjectLabel].some((one) => one.toLowerCase() === subject.toLowerCase()) ? changeAnswer(row) : null)
      return as('breakerChanged', context, each(context, 'breaker', choose, since === null ? null : before))
    },
  },
  recommendationsAdded: {
    subscribe: (_, { sinceBlock }, context) => {
      const since = sinceOf(sinceBlock)
      const before = async ({ run }: Told) => {
        if (run === null) return []
        // Runs are kept for a while alone, and far fewer than this.
        const rows = await context.prisma.recommendationRun.findMany({ where: { blockNumber: { gte: since ?? 0n, lte: run.blockNumber } }, orderBy: [{ blockNumber: 'asc' }, { id: 'asc' }], select: { id: true }, take: MAX_BEFORE })
        return rows.map(({ id }) => id)
      }
      const choose = async (runId: string) => {
        const run = await context.prisma.recommendationRun.findUnique({ where: { id: runId }, omit: { inputs: true } })
        if (run === null) return null
        const rows = await context.prisma.recommendation.findMany({ where: { runId, direction: { not: 'HOLD' } }, omit: { inputs: true } })
        return rows.toSorted(byUrgency).map((row) => ({ ...row, run }))
      }
      return as('recommendationsAdded', context, each(context, 'recommendations', choose, since === null ? null : before))
    },
  },
  liquidated: {
    subscribe: async (_, { market, sinceBlock }, context) => {
      const since = sinceOf(sinceBlock)
      const id = await marketId(context, market)
      const before = async (told: Told) => {
        const rows = await context.prisma.liquidation.findMany({ where: { blockNumber: { gte: since ?? 0n, lte: told.block }, ...(id === null ? {} : { marketId: id }) }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }, { id: 'asc' }], take: MAX_BEFORE + 1 })
        if (rows.length > MAX_BEFORE) throw tooMany('liquidations', 'liquidations(first, after)')
        return rows
      }
      return as('liquidated', context, each(context, 'liquidation', (row) => (id === null || row.marketId === id ? row : null), since === null ? null : before))
    },
  },
  proposalChanged: {
    subscribe: (_, { id }, context) => {
      const choose = (changed: string) => (id == null || id === changed ? context.prisma.proposal.findUnique({ where: { id: changed }, include: PROPOSAL_PARTS }) : null)
      return as('proposalChanged', context, each(context, 'proposal', choose))
    },
  },
  reorganised: { subscribe: (_, __, context) => as('reorganised', context, each(context, 'reorganisation', (one) => one)) },
  riskRun: { subscribe: (_, { id }, context) => as('riskRun', context, progressOf(context, id)) },
  blockIndexed: { subscribe: (_, __, context) => as('blockIndexed', context, each(context, 'block', (block) => block)) },
}

/** An event stream that fails says why and ends; left to itself it would end the whole connection. Whoever ends it ends what it listens to. */
async function subscribeSafely(args: ExecutionArgs): Promise<ExecutionResult | AsyncGenerator<ExecutionResult>> {
  const stream = await subscribe(args)
  if (!(Symbol.asyncIterator in stream)) return stream
  const source = stream
  const operation = args.contextValue as Context & Operation
  const told = (async function* () {
    try {
      yield* source
    } catch (error) {
      const original = error instanceof Error ? error : new Error(String(error))
      yield { errors: [original instanceof GraphQLError ? original : new GraphQLError(original.message, { originalError: original })] }
    } finally {
      operation.end()
      void operation.close()
    }
  })()
  const finish = told.return.bind(told)
  return Object.assign(told, {
    return: (value: void | PromiseLike<void>) => {
      operation.end()
      return finish(value)
    },
  })
}

export type SubscriptionServer = { close(): Promise<void> }

/**
 * Connections only read, signed in or not: a token (`connectionParams: { token }`) or a cookie of the page says who reads, and a token that
 * does not count ends the connection. A page of another origin is refused unless CORS_ORIGINS names it: a browser asks no leave for these.
 * What is asked is counted with the requests of the same address; what is told is not. `proxies`: as the server's own.
 */
export function serveSubscriptions({ http, schema, services, limits, log, reach, rates, proxies }: { readonly http: Server; readonly schema: GraphQLSchema; readonly services: Services; readonly limits: Limits; readonly log: Logger; readonly reach: Reach; readonly rates: Rates; readonly proxies: number }): SubscriptionServer {
  const wss = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE })
  const format = errorFormatter(log)
  const visible = (errors: readonly GraphQLError[]): GraphQLFormattedError[] => errors.map((error) => format(error.toJSON(), error))
  const open = new WeakMap<object, number>()
  const callers = new WeakMap<object, Caller>()
  const cleanup = useServer<Record<string, unknown>, { socket: object; request: IncomingMessage }>(
    {
      schema,
      subscribe: subscribeSafely as never,
      // A connection that says nothing is closed.
      connectionInitWaitTimeout: 3_000,
      onConnect: async ({ extra, connectionParams }) => {
        const token = connectionParams?.['token']
        const { cookie, origin, host } = extra.request.headers
        const ip = addressBehind(proxies, extra.request)
        const shown = typeof token === 'string' ? { headers: { authorization: `Bearer ${token}` } } : token === undefined ? { headers: { cookie, origin, host } } : null
        const caller = shown === null ? null : await callerOf({ ...shown, ip }, services.auth.sessions, reach)
        // graphql-ws closes with 4403.
        if (caller === null || (caller.refusal !== null && typeof token === 'string')) return false
        callers.set(extra.socket, caller)
        return true
      },
      onSubscribe: async ({ extra }, _id, { query, operationName, variables }) => {
        const caller = callers.get(extra.socket) ?? NOBODY
        try {
          await rates.operation(caller.ip)
        } catch (error) {
          if (!(error instanceof RateLimitedError)) throw error
          return [new GraphQLError(error.message, { extensions: { code: error.code, facts: error.facts } })]
        }
        const held = open.get(extra.socket) ?? 0
        if (held >= MAX_SUBSCRIPTIONS) return [new GraphQLError(`Found ${held} subscriptions on this connection, allowed are ${MAX_SUBSCRIPTIONS}; end some`, { extensions: { code: 'TOO_MANY_SUBSCRIPTIONS' } })]
        let document
        try {
          document = parse(query, { maxTokens: limits.maxTokens })
        } catch (error) {
          return [error as GraphQLError]
        }
        if (document.definitions.some((one) => one.kind === Kind.OPERATION_DEFINITION && one.operation === OperationTypeNode.MUTATION)) {
          return [new GraphQLError('Found a mutation over WebSocket, allowed are subscriptions and queries; send it as POST /graphql', { extensions: { code: 'BAD_INPUT' } })]
        }
        if (getOperationAST(document, operationName) == null) return [new GraphQLError(`Found no ${operationName ? `operation ${operationName.slice(0, 60)}` : 'single operation'} in the document, allowed is one; name it in operationName`, { extensions: { code: 'BAD_INPUT' } })]
        const faults = validate(schema, document, validationRules(limits))
        if (faults.length > 0) return [...faults]
        try {
          checkOperation(schema, document, operationName ?? null, variables ?? {}, limits)
        } catch (error) {
          return [error as GraphQLError]
        }
        open.set(extra.socket, held + 1)
        return { schema, document, operationName: operationName ?? null, variableValues: variables ?? null, contextValue: renewing(services, caller, rates) }
      },
      // A query has been answered, or a subscription has looked up what it names: it may wait for its first event for hours.
      onOperation: (_ctx, _id, _payload, { contextValue }) => void (contextValue as Context).close(),
      onNext: (_ctx, _id, _payload, args, result) => {
        void (args.contextValue as Context).close()
        return result.errors === undefined ? undefined : { data: result.data ?? null, errors: visible(result.errors) }
      },
      onError: (_ctx, _id, _payload, errors) => visible(errors as readonly GraphQLError[]),
      onComplete: ({ extra }) => void open.set(extra.socket, Math.max(0, (open.get(extra.socket) ?? 1) - 1)),
    },
    wss,
  )
  const upgrade = (request: { url?: string; headers: { host?: string; origin?: string } }, socket: Duplex, head: Buffer): void => {
    const refuse = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
    const path = (request.url ?? '').split('?')[0]
    const { host, origin } = request.headers
    if (path !== '/graphql') return refuse('404 Not Found')
    if (!reach.serves(host) || (origin !== undefined && !reach.own(origin, host) && !reach.opened(origin))) return refuse('403 Forbidden')
    wss.handleUpgrade(request as never, socket, head, (ws) => wss.emit('connection', ws, request))
  }
  http.on('upgrade', upgrade as never)
  return {
    close: async () => {
      http.off('upgrade', upgrade as never)
      services.risk.events.close()
      await cleanup.dispose()
    },
  }
}
