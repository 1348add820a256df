/** How every part is doing. It answers whatever is down, and keeps the last block that it saw. */
import type { PrismaClient } from '../../prisma/client.ts'
import type { MirrorStatus } from '../../prisma/generated/client.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import type { Chain } from './chain.ts'
import { firstLine } from './chain.ts'
import type { IndexedBlock } from './context.ts'
import type { PartHealth, PartStatus, Status, Sync } from './generated/resolvers.ts'
import type { MarginService } from './margins.ts'
import { createRates } from './progress.ts'
import type { SyncRates } from './progress.ts'

/** `read(indexed)` names the block that the caller's other figures stand on; without one, the newest that was seen. */
export type StatusService = {
  read(indexed?: IndexedBlock | null): Promise<Status>
  /** The follower's own row as the last look found it; null while the database does not answer, or before it has ever run. */
  mirror(): MirrorStatus | null
}

/** A job that runs in this process says how its last run went. */
export type Job = { readonly name: string; health(): { readonly health: PartHealth; readonly detail: string } }

const ASK_MS = 2500
/** Answers are shared by the requests of this long, ms. */
const SHARED_MS = 1000
/** A mirror that has written nothing for this long is gone, ms. */
const MIRROR_SILENT_MS = 30_000
/** Behind the chain by more than this, the index is late, blocks. */
const LATE_BLOCKS = 30n

export function createStatus(options: { prisma: PrismaClient; chain: Chain; deployment: Deployment; margins: MarginService; jobs: readonly Job[]; now?: () => number }): StatusService {
  const { prisma, chain, deployment, margins, jobs, now = Date.now } = options
  const rates = createRates()
  let lastIndexed: IndexedBlock | null = null
  let lastMirror: MirrorStatus | null = null
  /** The newest head that was seen, and when. */
  let lastHead: { readonly number: bigint; readonly timestamp: bigint; readonly seenMs: number } | null = null
  /** A chain's id does not change while a URL answers. */
  let chainId: number | null = null
  let shared: { answer: Promise<(indexed: IndexedBlock | null) => Status>; until: number } | null = null

  const look = async (): Promise<(indexed: IndexedBlock | null) => Status> => {
    const [database, head] = await Promise.all([
      attempt(async () => {
        const [mirror, checkpoint] = await Promise.all([prisma.mirrorStatus.findUnique({ where: { id: 1 } }), prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })])
        return { mirror, checkpoint }
      }),
      attempt(async () => {
        const [block, id] = await Promise.all([chain.head(), chainId ?? chain.client.getChainId()])
        if (id === deployment.chainId) chainId = id
        return { ...block, chainId: id }
      }),
    ])
    if ('value' in database) {
      const { checkpoint } = database.value
      lastIndexed = checkpoint && { number: checkpoint.blockNumber, hash: checkpoint.blockHash, timestamp: checkpoint.blockTimestamp }
      lastMirror = database.value.mirror
      rates.add({ atMs: now(), indexedBlock: lastIndexed?.number ?? null, rows: lastMirror?.rowCount ?? 0n })
    } else {
      lastMirror = null
    }
    if ('value' in head) {
      if (head.value.chainId === deployment.chainId) lastHead = { number: head.value.number, timestamp: head.value.timestamp, seenMs: now() }
    } else {
      chainId = null
    }
    const answers = 'value' in head && head.value.chainId === deployment.chainId
    const block = lastHead && { ...lastHead, timestamp: answers ? lastHead.timestamp : lastHead.timestamp + BigInt(Math.round((now() - lastHead.seenMs) / 1000)) }
    const parts: PartStatus[] = [
      chainPart(head, deployment),
      graphNodePart(database, now()),
      mirrorPart(database, now()),
      'value' in database ? up('database', 'It answers.') : down('database', `It does not answer (${database.error}); start it or check DATABASE_URL, figures come back by themselves.`),
      marginPart(margins),
      ...jobs.map((job) => ({ name: job.name, ...job.health() })),
      up('api', 'It answers.'),
    ]
    const health = parts.some((part) => part.health === 'DOWN') ? 'DOWN' : parts.some((part) => part.health === 'DEGRADED') ? 'DEGRADED' : 'UP'
    // The head may have been looked at a moment before the indexed block: that is no negative age.
    return (indexed) => ({
      network: deployment.network,
      chainId: deployment.chainId,
      indexed,
      ageSec: block && indexed ? Math.max(0, Number(block.timestamp - indexed.timestamp)) : null,
      lagBlocks: block && indexed ? Math.max(0, Number(block.number - indexed.number)) : null,
      health,
      parts,
      sync: block && syncOf({ startBlock: BigInt(deployment.startBlock), indexed: indexed?.number ?? null, graphNode: lastMirror?.graphNodeBlock ?? null, head: block.number, rates: rates.read() }),
    })
  }

  return {
    mirror: () => lastMirror,
    read: async (indexed = null) => {
      if (shared === null || now() > shared.until) shared = { answer: look(), until: now() + SHARED_MS }
      const answer = await shared.answer
      return answer(indexed ?? lastIndexed)
    },
  }
}

/** Shares of blocks, since nobody knows beforehand how many events they hold. */
function syncOf({ startBlock, indexed, graphNode, head, rates }: { startBlock: bigint; indexed: bigint | null; graphNode: bigint | null; head: bigint; rates: SyncRates }): Sync {
  const total = Number(head - startBlock) + 1
  const done = indexed === null ? 0 : Math.max(0, Math.min(total, Number(indexed - startBlock) + 1))
  const left = total - done
  const complete = indexed !== null && left <= Number(LATE_BLOCKS)
  const { blocksPerSec, rowsPerSec } = rates
  return {
    startBlock,
    indexedBlock: indexed,
    graphNodeBlock: graphNode,
    headBlock: head,
    share: total <= 0 ? 1 : done / total,
    blocksPerSec,
    rowsPerSec,
    secondsLeft: complete ? 0 : blocksPerSec === null || blocksPerSec <= 0 ? null : left / blocksPerSec,
    complete,
  }
}

type Attempt<T> = { readonly value: T } | { readonly error: string }

/** Never throws, and never takes longer than `ASK_MS`. */
async function attempt<T>(ask: () => Promise<T>): Promise<Attempt<T>> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Attempt<T>>((resolve) => (timer = setTimeout(() => resolve({ error: `no answer within ${ASK_MS / 1000} s` }), ASK_MS)))
  try {
    return await Promise.race([late, ask().then((value) => ({ value }), (error: unknown) => ({ error: reason(error) }))])
  } finally {
    clearTimeout(timer)
  }
}

/** A driver's reason without its invocation, address or credentials. */
function reason(error: unknown): string {
  const texts: string[] = []
  for (let cause = error; cause instanceof Error && texts.length < 5; cause = cause.cause) texts.push(`${(cause as { code?: string }).code ?? ''} ${cause.message}`)
  const known = /ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|does not exist|authentication failed|P1001|fetch failed|Can't reach/i.exec(texts.join(' '))?.[0]
  return known === undefined ? firstLine(error).trim() || 'no reason given' : /ECONNREFUSED|P1001|Can't reach|fetch failed/i.test(known) ? 'connection refused' : known
}

const up = (name: string, detail: string): PartStatus => ({ name, health: 'UP', detail })
const degraded = (name: string, detail: string): PartStatus => ({ name, health: 'DEGRADED', detail })
const down = (name: string, detail: string): PartStatus => ({ name, health: 'DOWN', detail })

function chainPart(head: Attempt<{ number: bigint; chainId: number }>, deployment: Deployment): PartStatus {
  if ('error' in head) return down('chain', `It does not answer (${head.error}); start it or check RPC_URL. The last indexed block is served meanwhile.`)
  if (head.value.chainId !== deployment.chainId) return down('chain', `Found chain id ${head.value.chainId}, ${deployment.network} has ${deployment.chainId}; point RPC_URL at ${deployment.network}.`)
  return up('chain', `Its head is block ${head.value.number}.`)
}

type Stored = Attempt<{ mirror: MirrorStatus | null }>
/** Kinds of trouble that pass by waiting: graph-node works, and is not where it should be. */
const PASSING: ReadonlySet<string> = new Set(['GRAPH_NODE_BEHIND', 'GRAPH_NODE_UNSETTLED', 'OTHER_DEPLOYMENT'])
const UNKNOWN = 'Not known while the database does not answer.'

const silentFor = (mirror: MirrorStatus, now: number): number => now - mirror.updatedAt.getTime()

function graphNodePart(database: Stored, now: number): PartStatus {
  if ('error' in database) return degraded('graph-node', UNKNOWN)
  const { mirror } = database.value
  if (mirror === null) return degraded('graph-node', 'Not known before the mirror has asked it.')
  if (silentFor(mirror, now) > MIRROR_SILENT_MS) return degraded('graph-node', 'Not known while the mirror is silent.')
  if (mirror.errorPart === 'graph-node' && mirror.error !== null) return (PASSING.has(mirror.errorKind ?? '') ? degraded : down)('graph-node', mirror.error)
  if (mirror.graphNodeBlock === null) return degraded('graph-node', 'It has indexed no block yet.')
  const behind = mirror.chainBlock === null ? 0n : mirror.chainBlock - mirror.graphNodeBlock
  if (behind > LATE_BLOCKS) return degraded('graph-node', `It stands at block ${mirror.graphNodeBlock}, ${behind} blocks behind the chain; wait while it catches up.`)
  return up('graph-node', `It stands at block ${mirror.graphNodeBlock}.`)
}

function mirrorPart(database: Stored, now: number): PartStatus {
  if ('error' in database) return degraded('mirror', UNKNOWN)
  const { mirror } = database.value
  if (mirror === null) return degraded('mirror', 'It has not started yet; wait for its first step.')
  const silent = silentFor(mirror, now)
  if (silent > MIRROR_SILENT_MS) return down('mirror', `It has said nothing for ${Math.round(silent / 1000)} s; see its log and start it again.`)
  if (mirror.error !== null) return degraded('mirror', `${mirror.error}. Block ${mirror.indexedBlock ?? 'none'} is served meanwhile.`)
  if (mirror.state === 'FOLLOWING') return up('mirror', `It follows at block ${mirror.indexedBlock ?? 0n}${mirror.reorgCount > 0 ? `, after ${mirror.reorgCount} reorganisations` : ''}.`)
  return degraded('mirror', mirror.state === 'CATCHING_UP' ? `It is catching up at block ${mirror.indexedBlock ?? 0n}; wait until it is near the chain's head.` : 'It is starting; wait for its first step.')
}

function marginPart(margins: MarginService): PartStatus {
  const last = margins.last()
  if (last === null) return up('margin', 'Not asked for yet.')
  if (last.gaps.length === 0) return up('margin', last.accounts === null ? 'Prices of all markets are known; margins of accounts were not asked for yet.' : `Margins of ${last.accounts} accounts with positions are known.`)
  return degraded('margin', `Unknown in part: ${last.gaps.join('; ')}. It is worked out again at the next block.`)
}
