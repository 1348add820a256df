/**
 * The index of a history, as it runs in production: a chain, PostgreSQL, graph-node with our subgraph, and the mirror,
 * which stops at the blocks that it is told.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGraphNode } from '../../api/mirror/graphNode.ts'
import { createMirror } from '../../api/mirror/mirror.ts'
import { Part } from '../../cli/supervisor.ts'
import { subgraphUrl } from '../../cli/services/graphNode.ts'
import { BulwarkError, UnavailableError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import { freePort } from '../../core/ports.ts'
import { type Anvil, startAnvil } from '../../devnet/anvil.ts'
import { serveArchive } from '../../devnet/archive.ts'
import { mineBlock, readHead, Signer } from '../../devnet/chain.ts'
import { deploymentBlocks, type Plan } from '../../devnet/deploy.ts'
import { migrate } from '../../prisma/migrate.ts'
import { startScratchPostgres } from '../../prisma/scratch.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { buildSubgraph } from '../../subgraph/build.ts'

/** graph-node wrote 700 and more facts a second on two busy cores; a history has about 30,000. */
const INDEX_MS = 300_000

export type Stand = {
  readonly anvil: Anvil
  readonly databaseUrl: string
  /** Starts graph-node on the chain as it stands, and waits until it has indexed up to `block`. */
  index(block: { number: number; hash: string }): Promise<void>
  /** Lets the mirror follow up to exactly this block. Blocks only go up. */
  advance(block: { number: number; hash: string }): Promise<void>
  stop(): Promise<void>
}

/** Starts an empty chain and an empty database. What it needs on disk lies below `workDir`, which goes when it stops. */
export async function startStand(options: { plan: Plan; cacheDir: string; workDir: string; log: (line: string) => void }): Promise<Stand> {
  const { plan, cacheDir, workDir, log } = options
  const closers: (() => Promise<unknown>)[] = []
  // The other parts end when this process does; a chain has to be told, in the middle of its start too.
  const abandon = (): void => {
    for (const name of ['chain', 'archive']) {
      const file = join(workDir, name, 'anvil.pid')
      if (existsSync(file)) process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL')
    }
    rmSync(workDir, { recursive: true, force: true })
  }
  process.once('exit', abandon)
  const startChain = async (name: string): Promise<Anvil> => {
    const chain = await startAnvil({ port: await freePort(), stateDir: join(workDir, name) })
    closers.push(() => chain.stop())
    return chain
  }
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close().catch((error: unknown) => log(String(error)))
    process.off('exit', abandon)
    rmSync(workDir, { recursive: true, force: true })
  }
  try {
    mkdirSync(workDir, { recursive: true })
    const building = buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
    building.catch(() => undefined)
    const anvil = await startChain('chain')
    const postgres = await startScratchPostgres()
    closers.push(() => postgres.stop())
    for (const database of ['graph', 'bulwark']) await postgres.createDatabase(database)
    const databaseUrl = postgres.url('bulwark')
    await migrate(databaseUrl)
    let mirror: ReturnType<typeof createMirror> | undefined
    closers.push(async () => mirror?.close())

    return {
      anvil,
      databaseUrl,
      index: async (block) => {
        const archiveUrl = await startArchive(anvil, await startChain('archive'), plan, closers)
        const { manifest } = await building
        const ports = { http: await freePort(), admin: await freePort(), index: await freePort(), metrics: await freePort() }
        const graphNode = new Part(
          {
            name: 'graph-node',
            entry: 'cli/services/graphNode.ts',
            args: [
              ...['--dir', join(workDir, 'graph-node'), '--network', 'devnet', '--rpc-url', archiveUrl, '--subgraph', manifest],
              ...['--http-port', String(ports.http), '--admin-port', String(ports.admin), '--index-port', String(ports.index), '--metrics-port', String(ports.metrics)],
            ],
            env: { GRAPH_DATABASE_URL: postgres.url('graph') },
            readyEvent: 'ready',
          },
          { stateDir: workDir, onEvent: (_, event) => event.event !== 'ready' && log(`graph-node: ${JSON.stringify(event)}`) },
        ).start()
        closers.push(() => graphNode.stop())
        await graphNode.ready()
        const url = subgraphUrl(ports.http)
        await untilIndexed(url, block.number, graphNode.logFile)
        mirror = createMirror({ databaseUrl, graphNodeUrl: url, rpcUrl: anvil.url, log: createLogger('mirror') })
      },
      advance: async (block) => {
        if (mirror === undefined) throw new UnavailableError({ part: 'mirror', found: 'it was not started', action: 'call index() first' })
        for (;;) {
          const step = await mirror.step(BigInt(block.number))
          if (step.kind === 'unsettled' || step.kind === 'stuck') log(step.error.message)
          const at = mirror.status().indexed
          if (at?.number === BigInt(block.number)) {
            if (at.hash !== block.hash) throw new BulwarkError(`The mirror stands on ${at.hash} at block ${block.number}, recorded is ${block.hash}`, { code: 'OTHER_CHAIN' })
            return
          }
          if (step.kind !== 'stored') await sleep(50)
        }
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** graph-node reads what no event says at the first blocks, whose state the chain has forgotten: a second chain stands still there. */
async function startArchive(chain: Anvil, still: Anvil, plan: Plan, closers: (() => Promise<unknown>)[]): Promise<string> {
  const hashes = new Set<string>()
  const blocks = await deploymentBlocks(plan, new Signer())
  for (const block of blocks) {
    await mineBlock(still.rpc, block)
    hashes.add((await readHead(still.rpc)).hash)
  }
  const gateway = await serveArchive({ port: await freePort(), chainUrl: chain.url, archiveUrl: still.url, blocks: { last: blocks.length, hashes } })
  closers.push(async () => gateway.close())
  return gateway.url
}

async function untilIndexed(url: string, block: number, logFile: string): Promise<void> {
  const graphNode = createGraphNode(url)
  for (const until = Date.now() + INDEX_MS; ; await sleep(250)) {
    const meta = await graphNode.meta().catch((error: unknown) => {
      if (error instanceof UnavailableError) return null
      throw error
    })
    if (meta?.hasIndexingErrors === true) throw new BulwarkError(`The subgraph failed at block ${meta.head.number}; its log is ${logFile}`, { code: 'SUBGRAPH_FAILED' })
    if (meta !== null && meta.head.number >= BigInt(block)) return
    if (Date.now() > until) throw new UnavailableError({ part: 'graph-node', found: `it stands at block ${String(meta?.head.number)} after ${INDEX_MS / 1000} s, wanted is ${block}`, action: `see ${logFile}` })
  }
}
