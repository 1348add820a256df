/**
 * The API as a process of its own. Environment: DATABASE_URL, GRAPH_NODE_URL, GRAPH_NODE_API_KEY, RPC_URL, RPC_BATCH, NETWORK, API_HOST, API_PORT, API_NAMES, STATE_DIR, WEBHOOK_URLS, WEBHOOK_SECRET,
 * POLICY_FILE, SAFE_SERVICE_URL, SAFE_SERVICE_KEY, SESSION_SECRET, CORS_ORIGINS, API_PROXIES.
 * Standard output carries JSON lines for whoever started it: {"event":"ready","url"} once it listens,
 * {"event":"recommendations","run"} per run. SIGTERM, SIGINT and a closed stdin pipe end it cleanly.
 */
import { fstatSync } from 'node:fs'
import { loadConfig } from '../../core/config.ts'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { createPrisma } from '../../prisma/client.ts'
import { readSafe } from '../../proposals/build.ts'
import { createProposals, createTransactionService, loadPolicy } from '../../proposals/index.ts'
import { curie } from '../../protocols/curie/index.ts'
import { STEP_CHANNEL, latestCheckpoint, mirrorStatus } from '../mirror/read.ts'
import { createRoleBook } from '../auth/roles.ts'
import { createSessions } from '../auth/session.ts'
import { DEFAULT_POLICY, simulationTask } from '../recommendations/index.ts'
import { createChain } from './chain.ts'
import { createEvents } from './events.ts'
import { createJob, farBehind, listen } from './jobs.ts'
import type { JobObserver } from './jobs.ts'
import { createMargins } from './margins.ts'
import { createMetrics } from './metrics.ts'
import { createRiskBooks } from './risk/book.ts'
import { createBreakers } from './risk/breakers.ts'
import { forkDesk } from './risk/desk.ts'
import type { Risk } from './risk/index.ts'
import { createComparison } from './risk/recompute.ts'
import { createRuns } from './risk/runs.ts'
import { startServer } from './server.ts'
import { createStatus } from './status.ts'
import { createWebhooks } from './webhooks.ts'

/** A run of all models costs a fraction of a second beside the server, and some 300 kB of inputs; steps come every two. */
const RECOMMEND_EVERY_MS = 5_000
const TRACK_EVERY_MS = 1000
/** A breaker that sees every step still leaves the other jobs their turn. */
const BREAKERS_EVERY_MS = 500
const ALERTS_EVERY_MS = 2_000
/** Proposals also expire and are replaced while nothing is indexed. */
const TRACK_IDLE_MS = 15_000
const LOOK_EVERY_MS = 10_000

async function main(): Promise<void> {
  const config = loadConfig(['DATABASE_URL', 'GRAPH_NODE_URL', 'GRAPH_NODE_API_KEY', 'RPC_URL', 'RPC_BATCH', 'NETWORK', 'API_HOST', 'API_PORT', 'API_NAMES', 'STATE_DIR', 'WEBHOOK_URLS', 'WEBHOOK_SECRET', 'POLICY_FILE', 'SAFE_SERVICE_URL', 'SAFE_SERVICE_KEY', 'SESSION_SECRET', 'CORS_ORIGINS', 'API_PROXIES'])
  const log = createLogger('api')
  const emit = (event: Readonly<Record<string, unknown>>): boolean => process.stdout.write(`${JSON.stringify(event)}\n`)
  const protocol = curie
  const deployment = protocol.deployments[config.NETWORK]
  if (deployment === undefined) throw new BadInputError(`Found NETWORK ${config.NETWORK}, allowed are ${Object.keys(protocol.deployments).join(', ')} for ${protocol.title}; set one of these`)
  const prisma = createPrisma(config.DATABASE_URL)
  const chain = createChain(config.RPC_URL, config.RPC_BATCH)
  const marginsPrisma = createPrisma(config.DATABASE_URL)
  const margins = createMargins({ prisma: marginsPrisma, protocol, deployment, log })
  const policy = await loadPolicy({ catalog: protocol.catalog, deployment }, config.POLICY_FILE)
  const service = deployment.safe === null || config.SAFE_SERVICE_URL === null ? null : createTransactionService({ url: config.SAFE_SERVICE_URL, apiKey: config.SAFE_SERVICE_KEY, chainId: deployment.chainId, safe: deployment.safe.address })
  const proposals = createProposals({ prisma, catalog: protocol.catalog, deployment, rpcUrl: config.RPC_URL, policy, service, stateDir: config.STATE_DIR, log: createLogger('proposals') })
  const auth = {
    policy,
    sessions: createSessions({ prisma, chainId: deployment.chainId, client: chain.client, secret: config.SESSION_SECRET }),
    roles: createRoleBook({ stewards: policy.stewards, owners: async () => (deployment.safe === null ? [] : (await readSafe(chain.client, deployment)).owners) }),
  }
  const events = createEvents({ prisma, log })
  const desk = forkDesk({ log: createLogger('risk'), env: { DATABASE_URL: config.DATABASE_URL, NETWORK: config.NETWORK, RPC_URL: config.RPC_URL, RPC_BATCH: String(config.RPC_BATCH) } })
  const runs = createRuns({ prisma, log: createLogger('runs'), changed: (id) => events.publish('run', id) })
  const risk: Risk = {
    books: createRiskBooks({ desk }),
    runs,
    events,
    breakers: createBreakers({ prisma, deployment }),
    compare: createComparison({ graphNodeUrl: config.GRAPH_NODE_URL, apiKey: config.GRAPH_NODE_API_KEY, chain }),
  }

  const behind = async () => farBehind(await mirrorStatus(prisma))
  const stored = async (): Promise<boolean> => (await latestCheckpoint(prisma)) !== null
  const observe: JobObserver = (...run) => metrics.observeJob(...run)
  const recommend = createJob({
    name: 'recommendations',
    gapMs: RECOMMEND_EVERY_MS,
    log,
    observe,
    run: async () => {
      // While the index catches up, every step would be a run over a past that is about to be overtaken.
      const waits = await behind()
      if (waits !== null || !(await stored())) return waits
      const started = performance.now()
      const run = await desk.recommend()
      log.debug({ run: run.id, stored: run.stored, changes: run.changes, simulationDue: run.simulationDue, ms: Math.round(performance.now() - started) }, 'recommendations')
      if (run.simulationDue !== null) {
        const book = await risk.books.latest()
        if (book !== null) await runs.start(book, simulationTask(DEFAULT_POLICY))
      }
      if (run.stored) emit({ event: 'recommendations', run: run.id })
      await events.look()
      return `The last run stands on block ${run.block.number}`
    },
  })
  const track = createJob({
    name: 'proposals',
    gapMs: TRACK_EVERY_MS,
    log,
    observe,
    run: async () => {
      const waits = deployment.safe === null ? null : await behind()
      if (waits !== null || deployment.safe === null || !(await stored())) return waits
      await proposals.track()
      return 'Their states are those of the chain and the index'
    },
  })
  const breakers = createJob({
    name: 'breakers',
    gapMs: BREAKERS_EVERY_MS,
    log,
    observe,
    run: async () => {
      const waits = await behind()
      if (waits !== null) return waits
      const done = await desk.observe()
      await events.look()
      return done && `The last observation stands on block ${done.block.number}`
    },
  })
  if (config.WEBHOOK_URLS.length > 0 && config.WEBHOOK_SECRET === null) throw new BadInputError('Found WEBHOOK_URLS without WEBHOOK_SECRET, needed is a secret that receivers check alerts with; set both')
  const webhooks = createWebhooks({ prisma, log: createLogger('webhooks'), urls: config.WEBHOOK_URLS, secret: config.WEBHOOK_SECRET ?? '' })
  const alerts = createJob({
    name: 'alerts',
    gapMs: ALERTS_EVERY_MS,
    log,
    observe,
    run: async () => {
      const { queued, sent, failed } = await webhooks.run()
      return queued + sent + failed === 0 ? null : `${queued} alerts written, ${sent} taken, ${failed} to be sent again`
    },
  })
  const alerting = config.WEBHOOK_URLS.length > 0
  const jobs = [recommend, track, breakers, ...(alerting ? [alerts] : [])]
  const status = createStatus({ prisma, chain, deployment, margins, jobs })
  const metrics = createMetrics(status)
  const server = await startServer({ prisma, protocol, deployment, margins, proposals, status, risk, auth, metrics, log, host: config.API_HOST, port: config.API_PORT, names: config.API_NAMES, origins: config.CORS_ORIGINS, proxies: config.API_PROXIES })

  const heard = (): void => {
    void events.look()
    for (const job of jobs) job.trigger()
    margins.warm().catch((error: unknown) => log.debug({ err: error }, 'the new block’s margins were not made before somebody asks'))
    risk.books.warm().catch((error: unknown) => log.debug({ err: error }, 'the new block’s book was not made before somebody asks'))
  }
  const listener = listen(config.DATABASE_URL, STEP_CHANNEL, heard, log)
  const idle = setInterval(() => track.trigger(), TRACK_IDLE_MS)
  // What was not taken is due again whether or not blocks come.
  const resend = setInterval(() => alerting && alerts.trigger(), ALERTS_EVERY_MS)
  // Rates of the synchronisation come of regular looks, whoever asks.
  const looks = setInterval(() => void status.read(), LOOK_EVERY_MS)

  let stopping: Promise<void> | undefined
  const stop = (): void => {
    stopping ??= (async () => {
      clearInterval(idle)
      clearInterval(resend)
      clearInterval(looks)
      await server.close()
      await Promise.all([listener.stop(), runs.stop(), ...jobs.map((job) => job.stop())])
      await Promise.all([desk.close(), prisma.$disconnect(), marginsPrisma.$disconnect()])
      process.stdin.destroy()
    })()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  // A pipe that closes means that whoever started this process is gone, however it went.
  const input = fstatSync(0)
  if (input.isFIFO() || input.isSocket()) process.stdin.once('close', stop).resume()
  emit({ event: 'ready', url: server.url })
}

try {
  await main()
} catch (error) {
  createLogger('api').fatal(error instanceof BulwarkError ? error.message : error)
  process.exitCode = 1
  // What was opened before the fault would keep the process alive.
  setImmediate(() => process.exit())
}
