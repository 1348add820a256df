/** The API's server: GraphQL, the console's pages, health checks and metrics, on one port. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ApolloServer } from '@apollo/server'
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer'
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled'
import { expressMiddleware } from '@as-integrations/express5'
import compression from 'compression'
import express from 'express'
import type { NextFunction, Request, Response } from 'express'
import type { GraphQLSchema } from 'graphql'
import helmet from 'helmet'
import { BadInputError } from '../../core/errors.ts'
import type { BulwarkError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { callerOf } from './caller.ts'
import { createContext } from './context.ts'
import type { Context, Services } from './context.ts'
import { errorFormatter } from './errors.ts'
import { exportAccounts } from './exports.ts'
import { LIMITS, limitRules, limitsPlugin } from './limits.ts'
import type { Limits } from './limits.ts'
import { createMetrics } from './metrics.ts'
import type { Metrics } from './metrics.ts'
import { createRates, RATES } from './rates.ts'
import type { RateOptions } from './rates.ts'
import { createReach } from './reach.ts'
import type { Reach } from './reach.ts'
import { createReadiness } from './ready.ts'
import { resolvers } from './resolvers.ts'
import { signInRoutes } from './signIn.ts'
import { serveSubscriptions } from './subscriptions.ts'

export type ServerOptions = Services & {
  readonly log: Logger
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Names that requests may come for, beside `host`, localhost and addresses. */
  readonly names?: readonly string[]
  /** Pages elsewhere that may ask, by their origin; none where left out. */
  readonly origins?: readonly string[]
  /** Proxies in front of this server, whose X-Forwarded-For and X-Forwarded-Proto count; none where left out. */
  readonly proxies?: number
  readonly rates?: RateOptions
  readonly limits?: Limits
  /** Made here where left out. */
  readonly metrics?: Metrics
  /** The built console; console/dist where left out. */
  readonly pagesDir?: string
}

export type ApiServer = { readonly url: string; readonly port: number; close(): Promise<void> }

const schemaFile = new URL('../../schema.graphql', import.meta.url)
const builtPages = fileURLToPath(new URL('../../console/dist', import.meta.url))

/** Nothing but what this server itself gives may load, and no other page may frame it. */
const headers = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], scriptSrc: ["'self'"], styleSrc: ["'self'"], imgSrc: ["'self'"], fontSrc: ["'self'"], connectSrc: ["'self'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
  },
  frameguard: { action: 'deny' },
  referrerPolicy: { policy: 'no-referrer' },
})

/** Listens once the returned promise is there. Throws BadInputError where the port is taken. */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const { log, host, port, names = [], origins = [], proxies = 0, limits = LIMITS, pagesDir = builtPages, metrics = createMetrics(options.status) } = options
  const readiness = createReadiness(options.prisma)
  const app = express()
  const http = createServer(app)
  let schema: GraphQLSchema | undefined
  const reach = createReach({ host, names, origins })
  const rates = createRates(options.rates ?? RATES, (error) => answer(error.code, error.message))
  const apollo = new ApolloServer<Context>({
    typeDefs: readFileSync(schemaFile, 'utf8'),
    resolvers,
    validationRules: limitRules(limits),
    allowBatchedHttpRequests: false,
    csrfPrevention: true,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: limits.maxTokens },
    formatError: errorFormatter(log),
    logger: { debug: () => {}, info: (message) => log.info(message), warn: (message) => log.warn(message), error: (message) => log.error(message) },
    plugins: [
      { serverWillStart: async (started) => void (schema = started.schema) },
      limitsPlugin<Context>(limits),
      closeSnapshots,
      metrics.plugin,
      // It weighs each field of each node, a fifth of the time of a long list, to find that nothing may be cached.
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginDrainHttpServer({ httpServer: http, stopGracePeriodMillis: 2000 }),
    ],
  })
  await apollo.start()

  app.disable('x-powered-by')
  app.set('trust proxy', proxies)
  app.use(headers)
  // Before the check of names: whoever watches this server knows it by a name of their own network, and nothing here is secret or changes anything.
  app.get('/healthz', (_request, response) => void response.json({ alive: true }))
  app.get('/readyz', async (_request, response) => {
    const reason = await readiness()
    response.status(reason === null ? 200 : 503).json(reason === null ? { ready: true } : { ready: false, reason })
  })
  app.get('/metrics', async (_request, response) => void response.set('Content-Type', metrics.contentType).send(await metrics.text()))
  app.use(refuseForeignHosts(reach), openTo(reach))
  app.use('/auth', rates.auth, signInRoutes(options, reach, log, answer))
  // After /auth: the length of a compressed answer would tell of the token in it. Of GraphQL's, 92 kB become 16 in a millisecond.
  app.use(compression())
  // A browser that opens the address gets the query page; a GET with a query is GraphQL's own.
  app.get('/graphql', (request, response, next) => {
    if (request.query['query'] === undefined && request.accepts(['json', 'html']) === 'html') sendPage(pagesDir, 'sandbox.html', response)
    else next()
  })
  app.use('/graphql', neverCached, rates.requests, express.json({ limit: '256kb' }), expressMiddleware(apollo, { context: async ({ req }) => createContext(options, { caller: () => callerOf(req, options.auth.sessions, reach), rates }) }))
  app.get('/export/accounts.csv', rates.requests, exportAccounts(options, () => schema as unknown as GraphQLSchema, log))
  app.use('/assets', express.static(`${pagesDir}/assets`, { immutable: true, maxAge: '1y', fallthrough: true }))
  app.get('/{*place}', (request, response, next) => {
    if (isPlace(request)) sendPage(pagesDir, 'index.html', response)
    else next()
  })
  app.use((request, response) => {
    response.status(404).json(answer('NOT_FOUND', `Found no page ${request.path.slice(0, 100)}, allowed are / for the console and /graphql for queries; open one of these`))
  })
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    const { status, type } = error as { status?: number; type?: string }
    if (error instanceof URIError) {
      const found = 'Found an address whose percent signs are no UTF-8 text, allowed is one such as /accounts/0x…; correct it, or open / for the console'
      if (request.accepts(['json', 'html']) === 'html') response.status(400).type('html').send(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Bulwark</title><p>${found.replace('/ for the console', '<a href="/">the console</a>')}.</p></html>`)
      else response.status(400).json(answer('BAD_INPUT', found))
    } else if (type === 'entity.too.large') response.status(413).json(answer('BAD_INPUT', 'Found a request above 256 kB, allowed is less; ask for less in one request'))
    else if (typeof status === 'number' && status < 500) response.status(status).json(answer('BAD_INPUT', 'Found a body that is no JSON object, allowed is {"query": "…", "variables": {…}}; correct it'))
    else {
      log.error({ err: error }, 'a request failed before GraphQL')
      response.status(500).json(answer('INTERNAL', 'Internal error; see the server’s log'))
    }
  })

  await new Promise<void>((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
    http.listen(port, host, resolve)
  })
  const bound = (http.address() as AddressInfo).port
  const name = host.includes(':') ? `[${host}]` : host === '0.0.0.0' ? '127.0.0.1' : host
  const subscribed = serveSubscriptions({ http, schema: schema as unknown as GraphQLSchema, services: options, limits, log, reach, rates, proxies })
  return {
    url: `http://${name}:${bound}`,
    port: bound,
    close: async () => {
      await subscribed.close()
      await apollo.stop()
      rates.close()
    },
  }
}

/** The snapshot of a request ends when its answer goes out. */
const closeSnapshots = {
  requestDidStart: async () => ({ willSendResponse: async ({ contextValue }: { contextValue: Context }) => contextValue.close() }),
}

const neverCached = (_request: Request, response: Response, next: NextFunction): void => {
  response.set('Cache-Control', 'no-store')
  next()
}

const answer = (code: string, message: string) => ({ errors: [{ message, extensions: { code } }] })

/** Whether the console shows something there: which places it has, and which not, it says itself. A script or a picture that is missing is none. */
function isPlace(request: Request): boolean {
  if (request.path === '/') return true
  const [first] = request.path.slice(1).split('/')
  return first !== 'auth' && first !== 'assets' && first !== 'graphql' && extname(request.path) === '' && request.accepts(['json', 'html']) === 'html'
}

function sendPage(pagesDir: string, name: string, response: Response): void {
  // Who asks for JSON under the same address gets another answer.
  if (existsSync(join(pagesDir, name))) response.vary('Accept').set('Cache-Control', 'no-cache').sendFile(name, { root: pagesDir })
  else response.status(503).type('text/plain').send('The pages are not built yet: run npm run build, and reload.\nThe API itself answers POST /graphql.\n')
}

/**
 * A browser on this machine reaches this server for any web page whose name is made to resolve to 127.0.0.1, so only names of ours,
 * and plain addresses, are served.
 */
function refuseForeignHosts(reach: Reach) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const { host } = request.headers
    if (reach.serves(host)) next()
    else response.status(403).json(answer('FORBIDDEN_HOST', `Found a request for host "${(host ?? '').replace(/:\d+$/, '').slice(0, 100)}", allowed are ${[...reach.names].join(', ')} and IP addresses; open one of these, or add the name to API_NAMES`))
  }
}

/** Pages of other origins may read and, with a token, write, where CORS_ORIGINS names them; their cookies count nowhere. */
function openTo(reach: Reach) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const { origin } = request.headers
    const opened = reach.opened(origin)
    response.vary('Origin')
    if (opened) response.set('Access-Control-Allow-Origin', origin)
    if (request.method !== 'OPTIONS') next()
    else if (opened) response.set({ 'Access-Control-Allow-Methods': 'GET, POST', 'Access-Control-Allow-Headers': 'authorization, content-type, apollo-require-preflight', 'Access-Control-Max-Age': '600' }).status(204).end()
    else response.status(403).json(answer('FORBIDDEN_ORIGIN', `Found a question of Origin ${(origin ?? 'none').slice(0, 100)} whether it may ask, allowed are this server's own page and the origins of CORS_ORIGINS; add it there if it is yours`))
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): BulwarkError {
  if (error.code === 'EADDRINUSE') return new BadInputError(`Found port ${port} of ${host} taken, allowed is a free one; stop what listens there or set API_PORT`, { port })
  if (error.code === 'EACCES') return new BadInputError(`Found no right to listen on port ${port}, allowed is 1024 or above; set API_PORT`, { port })
  return new BadInputError(`Found no way to listen on ${host}:${port} (${error.code ?? error.message}), allowed is an address of this machine; set API_HOST and API_PORT`, { port })
}
