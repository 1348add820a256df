import { setTimeout as sleep } from 'node:timers/promises'
import { BadInputError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { createChain, type Block } from './chain.ts'
import { readEntities } from './entities.ts'
import { BlockTooEarlyError, createGraphNode, FAILED_ACTION, failureOf, MovedError, PAGE_ROWS, type GraphNode, type Head, type Meta, type PageRequest } from './graphNode.ts'
import { createReplay, findReducer, type FindReducer } from './replay.ts'
import { storeRollups } from './rollups.ts'
import { createStore, UNDO_DEPTH, type MirrorState, type StatusPatch } from './store.ts'
import { TroubleError, type TroubleKind } from './trouble.ts'

export type MirrorOptions = {
  readonly databaseUrl: string
  /** GraphQL endpoint of the subgraph. */
  readonly graphNodeUrl: string
  /** Bearer key of a hosted graph-node. */
  readonly graphNodeApiKey?: string | null
  /** graph-node's status endpoint (`…:8030/graphql`), which knows why a deployment failed. */
  readonly statusUrl?: string | null
  /** JSON-RPC of the chain that graph-node indexes: it decides what is canonical. */
  readonly rpcUrl: string
  readonly log: Logger
  /** Pause between two looks at graph-node while nothing is new. */
  readonly pollIntervalMs?: number
  /** How long graph-node may stand still while the chain moves on before it is called stuck. */
  readonly stuckAfterMs?: number
  /** Reducers by the protocol's name in the index; those of protocols/ by default. */
  readonly reducers?: FindReducer
}

/** What one `step()` did. */
export type Step =
  /** Rows up to `block` are stored. */
  | { readonly kind: 'stored'; readonly block: Block; readonly rows: number; readonly lagBlocks: bigint; readonly rebuilt: boolean; readonly durationMs: number }
  /** The chain left `from`; the mirror stands on `to` again. */
  | { readonly kind: 'rewound'; readonly from: Block; readonly to: Block; readonly rows: number }
  /** The rows that the reducer keeps were computed again from `facts` facts. */
  | { readonly kind: 'replayed'; readonly block: Block; readonly facts: number }
  /** Nothing new. */
  | { readonly kind: 'current'; readonly block: Block | null; readonly lagBlocks: bigint }
  /** graph-node and the chain do not agree yet, or moved while they were read: to be tried again. */
  | { readonly kind: 'unsettled'; readonly error: TroubleError }
  /** graph-node has not moved for `stuckAfterMs` while the chain has: waiting will not help, whoever runs graph-node must act. */
  | { readonly kind: 'stuck'; /** How often it was found so at this head: once more for each `stuckAfterMs` in which it could have moved. */ readonly times: number; readonly graphNodeBlock: bigint; readonly chainBlock: bigint; readonly error: TroubleError }
  /** Another follower leads this database. */
  | { readonly kind: 'standby' }

export type Status = { readonly state: MirrorState; readonly standby: boolean; readonly indexed: Block | null; readonly error: string | null; readonly kind: TroubleKind | null }

export type Mirror = {
  /**
   * One look and at most one transaction, which ends on block `stopAt` at the latest. Throws TroubleError where a part is out of
   * reach; what is stored stays whole.
   */
  step(stopAt?: bigint): Promise<Step>
  /** Steps until `signal` aborts; never throws for a part that is out of reach. `onStep` sees every stored and rewound step, a `current` one that comes first, a `stuck` one at the beginning of a standstill and each time that another `stuckAfterMs` have passed, and the first `standby` one each time that another leads. */
  run(signal: AbortSignal, onStep?: (step: Step) => void): Promise<void>
  /**
   * Steps as `run` does until the tables hold exactly the state at block `number`, and gives that block: call it again with a
   * higher one to go on. Null where `signal` aborted first. Throws BadInputError where the tables stand above that block already.
   */
  standAt(number: bigint, signal: AbortSignal, onStep?: (step: Step) => void): Promise<Block | null>
  /** How this process's follower is doing. Other processes read the table MirrorStatus. */
  status(): Status
  /** Ends the connection and gives up the lead. */
  close(): Promise<void>
}

/** A mirror this close to the chain's head is following, one farther off is catching up. A minute of Optimism's blocks, as in the API's status. */
const NEAR_BLOCKS = 30n
/** A first sync takes this many blocks a step, then as many as give about ROWS_PER_STEP rows: a killed step costs little. */
const FIRST_SPAN = 50_000n
const ROWS_PER_STEP = 50_000
/** Where a reorg can reach, a step takes at most this many blocks: a reorg takes the mirror back to a step's end. */
const UNDO_SPAN = 25n
/** How long graph-node and the chain may disagree before it is called a fault: graph-node follows a reorg within seconds. */
const UNSETTLED_GRACE_MS = 10_000
/** graph-node was back within 12 s after faults of its RPC and its database; longer than this it does not come back by itself. */
const STUCK_AFTER_MS = 30_000
/** While it catches up it writes batches of up to 300 s, and its head moves with them alone. */
const STUCK_CATCHING_UP_MS = 330_000
const FIRST_BACKOFF_MS = 250
const LAST_BACKOFF_MS = 3_000
/** graph-node indexes while we read: during a first sync fewer and larger steps take less from it. */
const CATCHING_UP_PAUSE_MS = 1_000
/** Pause between two status writes while nothing happens. */
const HEARTBEAT_MS = 2_000
/** No block is higher: int8. */
const MAX_BLOCK = 2n ** 63n - 1n

type Plan = { /** Where the tables stand; null where nothing in them counts. */ readonly known: Block | null; readonly target: Block; readonly fromBlock: bigint | null; readonly undoBlock: bigint | null; readonly clear: boolean }

export function createMirror(options: MirrorOptions): Mirror {
  const entities = readEntities()
  const store = createStore(options.databaseUrl, entities)
  const graphNode = createGraphNode(options.graphNodeUrl, options.graphNodeApiKey)
  const chain = createChain(options.rpcUrl)
  const { log, pollIntervalMs = 200, stuckAfterMs = STUCK_AFTER_MS } = options
  const replay = createReplay(store, options.reducers ?? findReducer, log)
  let current: Status = { state: 'STARTING', standby: false, indexed: null, error: null, kind: null }
  let span = FIRST_SPAN
  /** graph-node's first block, once it has said so. */
  let earliest = 0n
  /** graph-node's head, since when it is that, since when it could have moved and has not, and how often it was called stuck there. */
  let still: { readonly hash: string; readonly firstMs: number; sinceMs: number; times: number } | undefined
  /** The deployment that has been seen near the chain's head. */
  let metNear: string | undefined
  /** What the last look saw of the chain and of graph-node, for readers of the status. */
  let seen: StatusPatch = {}
  let lastHeartbeatMs = 0
  let errorSince: Date | undefined
  /** Since when a graph-node that was near the chain's head is not. */
  let behindSinceMs: number | undefined
  const pendingErrors = new Map<string, number>()

  async function step(stopAt: bigint = MAX_BLOCK): Promise<Step> {
    try {
      return await look(stopAt)
    } catch (error) {
      if (error instanceof MovedError) return reorganised()
      throw error
    }
  }

  async function look(stopAt: bigint): Promise<Step> {
    const startedMs = performance.now()
    if (!(await store.lead())) {
      current = { ...current, standby: true }
      return { kind: 'standby' }
    }
    const checkpoint = await store.latestCheckpoint()
    current = { ...current, standby: false, indexed: checkpoint }

    const latest = await chain.block('latest')
    if (latest === null) throw new TroubleError('CHAIN_BEHIND', 'the node has no block yet', 'wait until the chain has started')
    seen = { ...seen, chainBlock: latest.number, chainTimestamp: latest.timestamp }

    let clear = false
    if (checkpoint !== null) {
      const common = await lastCommonCheckpoint(checkpoint, latest)
      if (common === undefined) {
        log.warn({ block: checkpoint.number.toString(), hash: checkpoint.hash }, 'No stored block is on the chain any more; the mirror is built again from the index')
        clear = true
      } else if (common.number !== checkpoint.number) {
        return await rewind(checkpoint, common)
      } else {
        if (await replay.isStale(checkpoint.number)) return await recompute(checkpoint)
        if (checkpoint.number >= stopAt) return { kind: 'current', block: checkpoint, lagBlocks: latest.number - checkpoint.number }
      }
    }

    const meta = await graphNode.meta().catch((error: unknown) => {
      // One that was away is given its time anew.
      if (still !== undefined) still.sinceMs = performance.now()
      throw error
    })
    seen = { ...seen, graphNodeBlock: meta.head.number }
    noteHead(meta, latest)
    if (latest.number - meta.head.number <= NEAR_BLOCKS) metNear = meta.deployment
    if (meta.hasIndexingErrors) {
      const failure = await failureOf(options.statusUrl ?? null, meta.deployment)
      const words = failure === null ? '' : ` (${failure.health}${failure.block === null ? '' : ` at block ${failure.block}`}: ${failure.message})`
      throw new TroubleError('GRAPH_NODE_FAILED', `the subgraph failed at block ${meta.head.number}${words}`, FAILED_ACTION)
    }

    const deployment = await store.deployment()
    if (checkpoint !== null && deployment !== null && deployment !== meta.deployment) {
      if (meta.head.number < checkpoint.number) {
        throw new TroubleError('OTHER_DEPLOYMENT', `it serves deployment ${meta.deployment} at block ${meta.head.number}, stored is ${deployment} at block ${checkpoint.number}`, 'wait until the new deployment has caught up; the mirror is then built again from it')
      }
      log.warn({ stored: deployment, served: meta.deployment }, 'graph-node serves another deployment; the mirror is built again from it')
      clear = true
    }
    const known = clear ? null : checkpoint
    const lagBlocks = latest.number > meta.head.number ? latest.number - meta.head.number : 0n

    if (known !== null && meta.head.number <= known.number) {
      if (meta.head.number < known.number) return unsettled(`it stands at block ${meta.head.number}, below the mirror's ${known.number}`, 'wait until it has caught up')
      const stuck = stuckStep(meta, latest, metNear === meta.deployment ? stuckAfterMs : STUCK_CATCHING_UP_MS)
      if (stuck !== null) return stuck
      await heartbeat(meta, latest, lagBlocks)
      return { kind: 'current', block: known, lagBlocks }
    }

    const headBlock = await chain.block(meta.head.number)
    if (headBlock?.hash !== meta.head.hash) {
      const stuck = stuckStep(meta, latest, stuckAfterMs)
      if (stuck !== null) return stuck
      return unsettled(`its block ${meta.head.number} (${meta.head.hash}) is not the chain's (${headBlock?.hash ?? 'none yet'})`, 'wait until it has followed the reorg; where that lasts, check that GRAPH_NODE_URL and RPC_URL name the same chain')
    }

    const target = await targetBlock(known, headBlock, latest, stopAt, clear)
    if (target === null) return unsettled(`the chain lost a block below ${meta.head.number} while it was read`, 'the mirror tries again by itself')
    const plan: Plan = {
      known,
      target,
      fromBlock: known === null ? null : known.number + 1n,
      undoBlock: known !== null && target.number > latest.number - UNDO_DEPTH ? target.number : null,
      clear,
    }
    let rows: number | null
    try {
      rows = await storeStep(plan, meta, latest, lagBlocks, startedMs)
    } catch (error) {
      if (!(error instanceof BlockTooEarlyError) || error.earliest <= earliest) throw error
      earliest = error.earliest
      return unsettled(`its data starts at block ${earliest}`, 'the mirror tries again by itself')
    }
    if (rows === null) return reorganised()
    if (plan.undoBlock === null) span = rows > ROWS_PER_STEP ? span / 2n + 1n : span * 2n
    current = { ...current, indexed: target }
    return { kind: 'stored', block: target, rows, lagBlocks: latest.number > target.number ? latest.number - target.number : 0n, rebuilt: clear, durationMs: performance.now() - startedMs }
  }

  /** The newest checkpoint that is on the chain; undefined where none is. Checkpoints above the chain's head prove nothing: a node may lag. */
  async function lastCommonCheckpoint(newest: Block, latest: Block): Promise<Block | undefined> {
    // A null would not be "another block": a node that answers for its head and not for what lies below it lags, or moves right now.
    const isCanonical = async (block: Block): Promise<boolean> => {
      const found = await chain.block(block.number)
      if (found === null) throw new TroubleError('CHAIN_BEHIND', `the node has no block ${block.number}, its head was block ${latest.number}`, 'the mirror tries again by itself; where that lasts, give one node in RPC_URL in place of several')
      return found.hash === block.hash
    }
    if (newest.number <= latest.number && (await isCanonical(newest))) return newest
    const comparable = (await store.checkpoints()).filter(({ number }) => number <= latest.number)
    // A block is canonical only if all below it are: search for the first canonical one, newest first, by halves.
    let low = 0
    let high = comparable.length
    while (low < high) {
      const middle = (low + high) >> 1
      const candidate = comparable[middle]
      if (candidate !== undefined && (await isCanonical(candidate))) high = middle
      else low = middle + 1
    }
    if (newest.number > latest.number && low === 0) {
      throw new TroubleError('CHAIN_BEHIND', `the node's head is block ${latest.number}, the mirror stands on ${newest.number}`, 'wait until the node has caught up, or name the right one in RPC_URL')
    }
    return comparable[low]
  }

  async function rewind(from: Block, to: Block): Promise<Step> {
    const rows = await counting((errors) => store.transaction(async () => {
      const changed = await store.rewind(to.number)
      await store.count({ reorgBlocks: from.number - to.number, errors })
      await store.status({ indexedBlock: to.number, indexedHash: to.hash, indexedTimestamp: to.timestamp, lastReorgDepth: from.number - to.number, lastReorgAt: new Date() })
      await store.announce(to.number)
      return changed
    }))
    current = { ...current, indexed: to }
    return { kind: 'rewound', from, to, rows }
  }

  async function recompute(block: Block): Promise<Step> {
    log.info({ block: block.number.toString() }, 'The replayed rows are of another version of the reducer; computing them again')
    const facts = await store.transaction(async () => {
      const count = await replay.recompute()
      await store.announce(block.number)
      return count
    })
    return { kind: 'replayed', block, facts }
  }

  /**
   * The block that the next step ends on. More than UNDO_DEPTH below the chain's head no reorg is expected: large steps
   * without an undo log up to there, then steps of UNDO_SPAN up to graph-node's head. Null where the chain has no such block.
   * Rows that are there are served until their like is: where they are cleared, one step goes all the way.
   */
  async function targetBlock(known: Block | null, head: Block, latest: Block, stopAt: bigint, clear: boolean): Promise<Block | null> {
    const settled = latest.number - UNDO_DEPTH
    const start = known?.number ?? (earliest === 0n ? 0n : earliest - 1n)
    let number = start >= settled ? start + UNDO_SPAN : clear || settled < start + span ? settled : start + span
    if (number > stopAt) number = stopAt
    if (number < earliest) number = earliest
    return number >= head.number ? head : await chain.block(number)
  }

  /** One transaction; null where the chain moved under the pages, and nothing was stored. */
  async function storeStep(plan: Plan, meta: Meta, latest: Block, lagBlocks: bigint, startedMs: number): Promise<number | null> {
    const { known, target, fromBlock, undoBlock, clear } = plan
    const heads = new Map<bigint, string>()
    let agree = true
    const note = (head: Head): void => {
      if ((heads.get(head.number) ?? head.hash) !== head.hash || head.number < target.number) agree = false
      heads.set(head.number, head.hash)
    }
    let requests: PageRequest[] = entities.filter(({ kind }) => kind !== 'ROLLUP').map((entity) => ({ entity, afterId: null }))
    // A rejection is met where the page is awaited; until then it must not count as unhandled.
    const ask = (): ReturnType<GraphNode['page']> => {
      const page = graphNode.page(requests, target.number, fromBlock)
      page.catch(() => undefined)
      return page
    }
    let pending = ask()
    const moved = Symbol('moved')
    try {
      return await counting((errors) => store.transaction(async () => {
        if (clear) await store.clear()
        let rowCount = 0
        while (requests.length > 0) {
          const page = await pending
          note(page.head)
          requests = [...page.rows].filter(([, rows]) => rows.length === PAGE_ROWS).map(([entity, rows]) => ({ entity, afterId: String(rows.at(-1)?.['id']) }))
          // graph-node composes the next page while PostgreSQL takes this one.
          if (requests.length > 0) pending = ask()
          for (const [entity, rows] of page.rows) {
            await store.write(entity, rows, undoBlock)
            rowCount += rows.length
          }
        }
        rowCount += await storeRollups({ store, graphNode, entities }, { knownSec: known?.timestamp ?? null, targetSec: target.timestamp, target: target.number, undoBlock, note })
        // Pages answer for the chain that graph-node stood on. Where all of those heads are canonical, and the target is
        // asked for last, the target's rows are the canonical ones.
        for (const [number, hash] of heads) if ((await chain.block(number))?.hash !== hash) agree = false
        if (!agree || (await chain.block(target.number))?.hash !== target.hash) throw moved

        await replay.advance(known?.number ?? null, target.number, undoBlock)
        await store.checkpoint(target, rowCount, undoBlock !== null)
        await store.status({
          ...health(lagBlocks, target, meta, latest),
          deployment: meta.deployment,
          indexedBlock: target.number,
          indexedHash: target.hash,
          indexedTimestamp: target.timestamp,
          graphNodeBlock: meta.head.number,
          chainBlock: latest.number,
          chainTimestamp: latest.timestamp,
          lastStepAt: new Date(),
        })
        await store.count({ steps: { rows: rowCount, ms: Math.round(performance.now() - startedMs) }, rebuilds: clear ? 1 : 0, errors })
        await store.announce(target.number)
        return rowCount
      }))
    } catch (error) {
      await pending.catch(() => undefined)
      if (error === moved) return null
      throw error
    }
  }

  function health(lagBlocks: bigint, stored: Block, meta: Meta, latest: Block): StatusPatch {
    const state = lagBlocks + (meta.head.number - stored.number) <= NEAR_BLOCKS ? 'FOLLOWING' : 'CATCHING_UP'
    const nowMs = performance.now()
    if (lagBlocks <= NEAR_BLOCKS || metNear !== meta.deployment) behindSinceMs = undefined
    else behindSinceMs ??= nowMs
    if (behindSinceMs !== undefined && nowMs - behindSinceMs > stuckAfterMs) {
      const action = 'wait while it catches up; where it does not, look at its log, and give it a faster RPC or machine'
      const trouble = new TroubleError('GRAPH_NODE_BEHIND', `it is ${lagBlocks} blocks behind the chain's ${latest.number}`, action)
      if (current.kind !== trouble.kind) begin(trouble)
      current = { ...current, state, error: trouble.message, kind: trouble.kind }
      return { state, ...faultOf(trouble) }
    }
    current = { ...current, state, error: null, kind: null }
    errorSince = undefined
    return { state, error: null, errorPart: null, errorKind: null, errorSince: null }
  }

  async function heartbeat(meta: Meta, latest: Block, lagBlocks: bigint): Promise<void> {
    if (current.error === null && performance.now() - lastHeartbeatMs < HEARTBEAT_MS) return
    lastHeartbeatMs = performance.now()
    const stored = current.indexed ?? latest
    await store.status({ ...health(lagBlocks, stored, meta, latest), graphNodeBlock: meta.head.number, chainBlock: latest.number, chainTimestamp: latest.timestamp })
  }

  /** A head that stays the same stands still only while the chain is ahead of it, or elsewhere. */
  function noteHead(meta: Meta, latest: Block): void {
    const nowMs = performance.now()
    if (still?.hash !== meta.head.hash || latest.hash === meta.head.hash) still = { hash: meta.head.hash, firstMs: nowMs, sinceMs: nowMs, times: 0 }
  }

  /** graph-node can stay `healthy` for ever while it asks for a block that the chain has forgotten. Null where it has not stood still for `limitMs`. */
  function stuckStep(meta: Meta, latest: Block, limitMs: number): Step | null {
    if (still === undefined) return null
    const nowMs = performance.now()
    if (nowMs - still.sinceMs > limitMs) {
      still.sinceMs = nowMs
      still.times++
    }
    if (still.times === 0) return null
    const found = `it has stood at block ${meta.head.number} for more than ${Math.floor((nowMs - still.firstMs) / limitMs) * (limitMs / 1000)} s while the chain went on`
    const error = new TroubleError('GRAPH_NODE_STUCK', found, 'restart it, and where that does not help deploy the subgraph under a new path')
    return { kind: 'stuck', times: still.times, graphNodeBlock: meta.head.number, chainBlock: latest.number, error }
  }

  const reorganised = (): Step => unsettled('the chain was reorganised while it was read', 'the mirror tries again by itself')
  const unsettled = (found: string, action: string): Step => ({ kind: 'unsettled', error: new TroubleError('GRAPH_NODE_UNSETTLED', found, action) })

  /** A trouble that was not there a moment ago: to the log, and to be counted. */
  function begin(trouble: TroubleError): void {
    pendingErrors.set(trouble.kind, (pendingErrors.get(trouble.kind) ?? 0) + 1)
    errorSince ??= new Date()
    log.warn({ code: trouble.code, kind: trouble.kind, facts: trouble.facts }, trouble.message)
  }

  /** Runs `work` with the errors that are not counted in the database yet; it may itself have been the trouble. They are kept where `work` throws. */
  async function counting<T>(work: (errors: Readonly<Record<string, number>>) => Promise<T>): Promise<T> {
    const taken = [...pendingErrors]
    pendingErrors.clear()
    try {
      return await work(Object.fromEntries(taken))
    } catch (error) {
      for (const [kind, count] of taken) pendingErrors.set(kind, (pendingErrors.get(kind) ?? 0) + count)
      throw error
    }
  }

  const faultOf = (trouble: TroubleError): StatusPatch => ({
    error: trouble.message,
    errorPart: String(trouble.facts['part']),
    errorKind: trouble.kind,
    errorSince: errorSince ?? null,
    lastError: trouble.message,
    lastErrorAt: new Date(),
  })

  /** Shows a fault to readers; where the database itself is the fault, the log alone has it until it is back. */
  async function report(trouble: TroubleError): Promise<void> {
    if (current.kind !== trouble.kind) begin(trouble)
    current = { ...current, state: 'WAITING', error: trouble.message, kind: trouble.kind }
    await counting(async (errors) => {
      await store.status({ ...seen, state: 'WAITING', ...faultOf(trouble) })
      await store.count({ errors })
    }).catch(() => undefined)
  }

  async function run(signal: AbortSignal, onStep?: (step: Step) => void, stopAt?: bigint): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS
    let unsettledSinceMs: number | undefined
    let said = false
    let saidStuck = 0
    let standing = false
    const pause = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal }).catch(() => undefined)
    while (!signal.aborted) {
      try {
        const result = await step(stopAt)
        if (stopAt !== undefined && (current.indexed?.number ?? -1n) >= stopAt && result.kind === 'current') return
        backoffMs = FIRST_BACKOFF_MS
        if (result.kind !== 'unsettled') unsettledSinceMs = undefined
        if (result.kind !== 'stuck') saidStuck = 0
        if (standing && result.kind !== 'standby') {
          log.info('This follower leads now')
          said = false
        }
        const stoodBy = standing
        standing = result.kind === 'standby'
        const first = !said
        said ||= result.kind === 'stored' || result.kind === 'current'
        switch (result.kind) {
          case 'stored':
            log.debug({ block: result.block.number.toString(), rows: result.rows, durationMs: Math.round(result.durationMs) }, 'Stored a step')
            onStep?.(result)
            if (result.lagBlocks > UNDO_DEPTH) await pause(CATCHING_UP_PAUSE_MS)
            break
          case 'rewound':
            log.warn({ from: result.from.number.toString(), to: result.to.number.toString(), rows: result.rows }, 'The chain was reorganised; went back to the last common block')
            onStep?.(result)
            break
          case 'replayed':
            log.info({ block: result.block.number.toString(), facts: result.facts }, 'Computed the replayed rows again')
            break
          case 'unsettled':
            unsettledSinceMs ??= performance.now()
            if (performance.now() - unsettledSinceMs > UNSETTLED_GRACE_MS) await report(result.error)
            await pause(pollIntervalMs)
            break
          case 'stuck':
            await report(result.error)
            if (result.times !== saidStuck) onStep?.(result)
            saidStuck = result.times
            await pause(CATCHING_UP_PAUSE_MS)
            break
          case 'standby':
            if (!stoodBy) {
              log.info('Another follower leads this database; this one stands by')
              onStep?.(result)
            }
            await pause(CATCHING_UP_PAUSE_MS)
            break
          case 'current':
            if (first) onStep?.(result)
            await pause(pollIntervalMs)
        }
      } catch (error) {
        const isKnown = error instanceof TroubleError
        if (!isKnown) log.error({ err: error }, 'A step failed')
        await report(isKnown ? error : new TroubleError('STEP_FAILED', `a step failed (${error instanceof Error ? error.message : String(error)})`, 'report it; the mirror tries again by itself', error))
        await pause(backoffMs)
        backoffMs = Math.min(backoffMs * 2, LAST_BACKOFF_MS)
      }
    }
  }

  async function standAt(number: bigint, signal: AbortSignal, onStep?: (step: Step) => void): Promise<Block | null> {
    await run(signal, onStep, number)
    const { indexed } = current
    if (signal.aborted) return null
    if (indexed === null || indexed.number !== number) {
      throw new BadInputError(`Found the mirror on block ${indexed?.number ?? 'none'}, asked for was ${number}, allowed is a block above the one that it stands on; name a higher one, or start from an empty database`)
    }
    return indexed
  }

  return { step, run, standAt, status: () => current, close: () => store.close() }
}
