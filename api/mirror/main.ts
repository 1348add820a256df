/**
 * The mirror as a process of its own. Environment: DATABASE_URL, GRAPH_NODE_URL, GRAPH_NODE_API_KEY, GRAPH_NODE_STATUS_URL, RPC_URL, MIRROR_POLL_MS.
 * Standard output carries JSON lines for whoever started it: {"event":"ready"} once the follower runs,
 * {"event":"block","number","hash","lagBlocks"} per stored step and for where it stands at the start, {"event":"reorg","from","to"} per rewind,
 * {"event":"standby"} when another follower leads this database,
 * {"event":"stuck","times","graphNodeBlock","chainBlock","reason"} when graph-node stands still while the chain goes on, and again
 * ("times": 2, 3 …) as that lasts.
 *
 * `--stop-at N` ends the process with exit code 0 once the tables hold exactly the state at block N, after {"event":"stopped","number","hash"}.
 */
import { fstatSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { loadConfig } from '../../core/config.ts'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { createMirror, type Step } from './mirror.ts'

async function main(): Promise<void> {
  const { 'stop-at': stopAt } = parseArgs({ options: { 'stop-at': { type: 'string' }, 'state-dir': { type: 'string' } } }).values
  if (stopAt !== undefined && !/^\d{1,18}$/.test(stopAt)) throw new BadInputError(`Found --stop-at ${stopAt}, allowed are block numbers; give one`)
  const config = loadConfig(['DATABASE_URL', 'GRAPH_NODE_URL', 'GRAPH_NODE_API_KEY', 'GRAPH_NODE_STATUS_URL', 'RPC_URL', 'MIRROR_POLL_MS'])
  const emit = (event: Readonly<Record<string, unknown>>): boolean => process.stdout.write(`${JSON.stringify(event)}\n`)
  const mirror = createMirror({
    databaseUrl: config.DATABASE_URL,
    graphNodeUrl: config.GRAPH_NODE_URL,
    graphNodeApiKey: config.GRAPH_NODE_API_KEY,
    statusUrl: config.GRAPH_NODE_STATUS_URL,
    rpcUrl: config.RPC_URL,
    pollIntervalMs: config.MIRROR_POLL_MS,
    log: createLogger('mirror'),
  })

  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  // A pipe that closes means that whoever started this process is gone, however it went.
  const input = fstatSync(0)
  if (input.isFIFO() || input.isSocket()) process.stdin.once('close', () => stop.abort()).resume()

  emit({ event: 'ready' })
  const tell = (step: Step): void => {
    if ((step.kind === 'stored' || step.kind === 'current') && step.block !== null) {
      emit({ event: 'block', number: Number(step.block.number), hash: step.block.hash, lagBlocks: Number(step.lagBlocks) })
    } else if (step.kind === 'rewound') {
      emit({ event: 'reorg', from: Number(step.from.number), to: Number(step.to.number) })
    } else if (step.kind === 'standby') {
      emit({ event: 'standby' })
    } else if (step.kind === 'stuck') {
      emit({ event: 'stuck', times: step.times, graphNodeBlock: Number(step.graphNodeBlock), chainBlock: Number(step.chainBlock), reason: step.error.message })
    }
  }
  if (stopAt === undefined) {
    await mirror.run(stop.signal, tell)
  } else {
    const block = await mirror.standAt(BigInt(stopAt), stop.signal, tell)
    if (block !== null) emit({ event: 'stopped', number: Number(block.number), hash: block.hash })
  }
  await mirror.close()
  process.stdin.destroy()
}

try {
  await main()
} catch (error) {
  createLogger('mirror').fatal(error instanceof BulwarkError ? { code: error.code } : { err: error }, error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
