/** Circuit breakers over the mirror: an observation per block in which something happened, kept with its history; what a setting would have done; playbooks. */
import { BadInputError, BulwarkError, UnavailableError } from '../../../core/errors.ts'
import { toFloat } from '../../../core/units.ts'
import type { Prisma, PrismaClient } from '../../../prisma/client.ts'
import type { Call, Deployment } from '../../../protocols/adapter.ts'
import { priceOfSqrtX96 } from '../../../protocols/curie/uniswap-v3.ts'
import { latestCheckpoint } from '../../mirror/read.ts'
import { canonicalJson, curiePlaybooks, CURIE_STOPS, DEFAULT_POLICY, type Policy } from '../../recommendations/index.ts'
import {
  BREAKER_TRIGGERS, checkBreakerConfig, DEFAULT_BREAKER, DEFAULT_STOPS, depthWithin, INITIAL_BREAKER_BOARD, intentsOf, moreSevere, notApplicable, observeFund, observeMarket, replayBreaker, resetBreaker, stepBoard,
  type BoardObservation, type BreakerBoard, type BreakerConfig, type BreakerEntries, type BreakerLevel, type BreakerObservation, type BreakerTransition, type MarketHistory, type PricePoint,
  type FundValue, type ReplayEvent, type StepWindow,
} from '../../risk/index.ts'
import type { Context, IndexedBlock } from '../context.ts'
import { displayValue, specOf } from '../display.ts'
import type { BreakerHistoryArgs, Maybe, QueryPlaybooksArgs, QueryReplayBreakerArgs, ReplayBreakerInput } from '../generated/resolvers.ts'
import { findMarket, subject as subjectOf } from '../lookup.ts'
import { integer } from '../model.ts'
import type { BreakerNode, Db } from '../model.ts'
import { page } from '../paging.ts'
import { atField, numbers, provenance, UserInputError, wholeWithin, within, type Answer } from './answer.ts'
import { marketOf } from './liquidations.ts'
import { haircutRatiosE6 } from './reserves.ts'

const DAY_SEC = 86_400
const HOUR_SEC = 3_600
const QUARTER_SEC = 900
/** Two half-lives of the band's volatility. */
const BAND_DAYS = 2
/** Boards kept; the history of changes is kept whole. */
const KEEP_BOARDS = 1_000n
/** Blocks observed of one step, its last ones: a step may hold thousands while the mirror catches up, and nobody waits for what they would have said. */
const MAX_PER_STEP = 500
/** Key of the advisory lock that one writer holds. */
const LOCK = 7_204_001
const TICK = Math.log(1.0001)

export type BreakerConfigs = { readonly protocol: BreakerConfig; readonly market: BreakerConfig }
export const DEFAULT_CONFIGS: BreakerConfigs = { protocol: DEFAULT_BREAKER, market: DEFAULT_BREAKER }

export type Breakers = {
  readonly config: BreakerConfigs
  /** Observes every block of the mirror's step in which something happened, and the one that it stands on; null where that was done, another process does it, or there is no block. */
  observe(): Promise<{ readonly block: IndexedBlock; readonly changes: number } | null>
  /** A person lifts a HALT. Throws BadInputError where nothing is latched, or a trigger still asks for it. */
  reset(subject: string, by: { readonly who: string; readonly why: string }): Promise<void>
}

const float = (value: { toFixed(places: number): string }, decimals = 18): number => toFloat(integer(value), decimals)
const asJson = (value: unknown): Prisma.InputJsonValue => JSON.parse(canonicalJson(value)) as Prisma.InputJsonValue

export function createBreakers({ prisma, deployment, policy = DEFAULT_POLICY, config = DEFAULT_CONFIGS }: { readonly prisma: PrismaClient; readonly deployment: Deployment; readonly policy?: Policy; readonly config?: BreakerConfigs }): Breakers {
  const fundId = deployment.contracts.insuranceFund.toLowerCase()
  const locked = async <T>(run: (tx: Db) => Promise<T>): Promise<T | null> =>
    await prisma.$transaction(async (tx) => {
      const [held] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(${LOCK}) AS "held"`
      return held?.held === true ? await run(tx) : null
    }, { isolationLevel: 'RepeatableRead', timeout: 20_000 })

  const store = async (tx: Db, block: IndexedBlock, subjects: ReadonlyMap<string, string>, transitions: readonly { subject: string; transition: BreakerTransition; resetBy: string | null; seen: Moment | null }[]): Promise<void> => {
    for (const { subject, transition, resetBy, seen } of transitions) {
      const n = await tx.breakerChange.count({ where: { subject, blockNumber: block.number } })
      await tx.breakerChange.create({
        data: { id: `${block.number}:${subject}:${n}`, blockNumber: block.number, blockHash: block.hash, blockTimestamp: block.timestamp, ...(seen === null || seen.number === block.number ? {} : { seenBlock: seen.number, seenTimestamp: seen.timestamp }), subject, subjectLabel: subjects.get(subject) ?? subject, fromLevel: transition.from, toLevel: transition.to, why: transition.why, reasons: asJson(transition.reasons), resetBy },
      })
    }
  }

  return {
    config,
    observe: () =>
      locked(async (tx) => {
        const block = await latestCheckpoint(tx)
        if (block === null) return null
        // What a reorg took back never happened: boards and changes of blocks that the mirror does not stand on any more.
        const orphan = `"blockNumber" > ${block.number} OR ("blockNumber" >= (SELECT min("blockNumber") FROM "Checkpoint") AND NOT EXISTS (SELECT 1 FROM "Checkpoint" c WHERE c."blockNumber" = t."blockNumber" AND c."blockHash" = t."blockHash"))`
        await tx.$executeRawUnsafe(`DELETE FROM "BreakerBoard" t WHERE ${orphan}`)
        await tx.$executeRawUnsafe(`DELETE FROM "BreakerChange" t WHERE ${orphan}`)
        const last = await tx.breakerBoard.findFirst({ orderBy: { blockNumber: 'desc' } })
        if (last !== null && last.blockNumber >= block.number) return null
        let board = last === null ? INITIAL_BREAKER_BOARD : (last.board as unknown as BreakerBoard)
        const moments = [...(last === null ? [] : await momentsBetween(tx, last.blockNumber, block.number)), { number: block.number, timestamp: block.timestamp }]
        const { observations, labels } = await observeAll(tx, moments, { policy, fundId })
        const transitions: { subject: string; transition: BreakerTransition; resetBy: null; seen: Moment }[] = []
        for (const [i, observation] of observations.entries()) {
          const step = stepBoard(config, board, observation)
          board = step.board
          for (const [subject, { transition }] of [['protocol', step.protocol] as const, ...Object.entries(step.markets)]) if (transition !== null) transitions.push({ subject, transition, resetBy: null, seen: moments[i] as Moment })
        }
        await tx.breakerBoard.create({ data: { blockNumber: block.number, blockHash: block.hash, blockTimestamp: block.timestamp, board: asJson(board), observation: asJson(observations.at(-1)) } })
        await store(tx, block, labels, transitions)
        await tx.$executeRaw`DELETE FROM "BreakerBoard" WHERE "blockNumber" < (SELECT min("blockNumber") FROM (SELECT "blockNumber" FROM "BreakerBoard" ORDER BY "blockNumber" DESC LIMIT ${KEEP_BOARDS}) newest)`
        return { block, changes: transitions.length }
      }),
    reset: async (subject, { who, why }) => {
      const done = await locked(async (tx) => {
        const last = await tx.breakerBoard.findFirst({ orderBy: { blockNumber: 'desc' } })
        const board = last?.board as unknown as BreakerBoard | undefined
        const state = subject === 'protocol' ? board?.protocol : board?.markets[subject]
        if (last === null || board === undefined || state === undefined) throw new BadInputError(`Found no breaker of ${subject.slice(0, 60)}, allowed are protocol and the markets that were observed; wait for the next block`, { field: 'subject' })
        const step = resetBreaker(state, { who, why, timestampSec: Number(last.blockTimestamp) })
        const next: BreakerBoard = subject === 'protocol' ? { ...board, protocol: step.state } : { ...board, markets: { ...board.markets, [subject]: step.state } }
        await tx.breakerBoard.update({ where: { blockNumber: last.blockNumber }, data: { board: asJson(next) } })
        const labels = new Map((await tx.market.findMany({ select: { id: true, symbol: true } })).map((m) => [m.id, m.symbol]))
        const block = { number: last.blockNumber, hash: last.blockHash, timestamp: last.blockTimestamp }
        if (step.transition !== null) await store(tx, block, labels.set('protocol', 'protocol'), [{ subject, transition: step.transition, resetBy: who.trim(), seen: null }])
        return true
      })
      if (done === null) throw new UnavailableError({ part: 'breakers', found: 'another process writes them', action: 'ask again in a second' })
    },
  }
}

type Moment = { readonly number: bigint; readonly timestamp: bigint }

/** Blocks between two, neither included, in which a price, a trade, a liquidation or a flow of the fund was indexed; the last MAX_PER_STEP, oldest first. */
async function momentsBetween(db: Db, after: bigint, before: bigint): Promise<Moment[]> {
  const rows = await db.$queryRaw<Moment[]>`
    SELECT "blockNumber" AS "number", max("timestamp") AS "timestamp" FROM (
      SELECT "blockNumber", "timestamp" FROM "PriceUpdate" WHERE "blockNumber" > ${after} AND "blockNumber" < ${before}
      UNION ALL SELECT "blockNumber", "timestamp" FROM "PositionChange" WHERE "blockNumber" > ${after} AND "blockNumber" < ${before}
      UNION ALL SELECT "blockNumber", "timestamp" FROM "Liquidation" WHERE "blockNumber" > ${after} AND "blockNumber" < ${before}
      UNION ALL SELECT "blockNumber", "timestamp" FROM "InsuranceFundFlow" WHERE "blockNumber" > ${after} AND "blockNumber" < ${before}
    ) facts GROUP BY "blockNumber" ORDER BY "blockNumber" DESC LIMIT ${MAX_PER_STEP}`
  return rows.reverse()
}

type Sources = { readonly policy: Policy; readonly fundId: string }

/** What was known of a market's history at a block: `knownSec` is when each index price came on chain. */
type Known = { readonly history: MarketHistory; readonly knownSec: readonly number[] }

/** The history without the prices that came on chain after a moment. What depends on later trades and liquidations is left out by observeMarket itself. */
const knownAt = ({ history, knownSec }: Known, sec: number): MarketHistory => ({ ...history, index: history.index.filter((_, i) => (knownSec[i] as number) <= sec) })

/** Prices, trades and liquidations of a market from `fromSec` to `toSec`, as observeMarket takes them. */
async function historyOf(db: Db, market: { id: string; feedId: string | null }, range: { fromSec: number; toSec: number; capacityPer15Min: number | null }, sources: Sources): Promise<MarketHistory> {
  return (await knownHistory(db, market, range, sources)).history
}

async function knownHistory(db: Db, market: { id: string; feedId: string | null }, range: { fromSec: number; toSec: number; capacityPer15Min: number | null }, { policy }: Sources): Promise<Known> {
  const [from, to] = [BigInt(range.fromSec), BigInt(range.toSec)]
  const updates = market.feedId === null ? [] : await db.priceUpdate.findMany({ where: { feedId: market.feedId, freezeReason: 0, priceE18: { gt: 0 }, timestamp: { gte: from, lte: to } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select: { priceE18: true, priceTimestamp: true, timestamp: true } })
  const dated = updates.map((row) => ({ timestampSec: Number(row.priceTimestamp), price: float(row.priceE18), knownSec: Number(row.timestamp) })).sort((a, b) => a.timestampSec - b.timestampSec)
  const select = { sqrtPriceAfterX96: true, timestamp: true } as const
  const priced = { marketId: market.id, sqrtPriceAfterX96: { not: null } } as const
  const before = await db.positionChange.findFirst({ where: { ...priced, timestamp: { lt: from } }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], select })
  const changes = await db.positionChange.findMany({ where: { ...priced, timestamp: { gte: from, lte: to } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select })
  const liquidations = await db.liquidation.findMany({ where: { marketId: market.id, timestamp: { gte: from, lte: to } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select: { timestamp: true, notionalE18: true } })
  const history: MarketHistory = {
    index: dated.map(({ timestampSec, price }) => ({ timestampSec, price })),
    market: [...(before === null ? [] : [before]), ...changes].flatMap((row): PricePoint[] => {
      const price = row.sqrtPriceAfterX96 === null ? 0 : toFloat(priceOfSqrtX96(integer(row.sqrtPriceAfterX96)), 18)
      return price > 0 ? [{ timestampSec: Number(row.timestamp), price }] : []
    }),
    liquidations: liquidations.map((row) => ({ timestampSec: Number(row.timestamp), amount: float(row.notionalE18) })),
    capacityPer15Min: range.capacityPer15Min,
    heartbeatSec: policy.heartbeatSec,
    k: policy.band.k,
    floor: policy.band.floor,
    halfLifeSec: policy.halfLifeSec,
  }
  return { history, knownSec: dated.map((one) => one.knownSec) }
}

/** Quote that a market's ranges take in 15 minutes while the price moves by at most the penalty, if they are as deep again every `refillSec`; null where nothing is indexed to tell. */
async function capacityPer15Min(db: Db, market: { id: string; feed: { priceE18: { toFixed(places: number): string } | null } | null }, { policy: { margin: { refillSec } } }: Sources): Promise<number | null> {
  const penalty = await db.parameter.findFirst({ where: { name: 'liquidationPenaltyRatio' } })
  if (penalty === null || market.feed?.priceE18 == null) return null
  const ranges = await db.liquidityRange.findMany({ where: { marketId: market.id, liquidity: { gt: 0 } }, select: { lowerTick: true, upperTick: true, liquidity: true } })
  const { quoteUp, quoteDown } = depthWithin(ranges.map((r) => ({ lowerTick: r.lowerTick, upperTick: r.upperTick, liquidity: float(r.liquidity) })), Math.sqrt(float(market.feed.priceE18)), Math.log1p(float(penalty.value, 6)) / TICK)
  return (Math.min(quoteUp, quoteDown) * QUARTER_SEC) / refillSec
}

/** Flows of the fund that somebody decided: they are neither loss nor income. REPAID moves its own money, and nothing in sum. */
const EXTERNAL = new Set(['DISTRIBUTED', 'TRANSFER_IN', 'TRANSFER_OUT'])

async function fundValues(db: Db, fundId: string, fromSec: number, toSec: number): Promise<FundValue[]> {
  const select = { timestamp: true, balanceAfterE18: true, kind: true, amountE18: true } as const
  const before = await db.insuranceFundFlow.findFirst({ where: { fundId, timestamp: { lt: BigInt(fromSec) } }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], select })
  const flows = await db.insuranceFundFlow.findMany({ where: { fundId, timestamp: { gte: BigInt(fromSec), lte: BigInt(toSec) } }, orderBy: [{ blockNumber: 'asc' }, { logIndex: 'asc' }], select })
  return [...(before === null ? [] : [before]), ...flows].map((row) => ({ timestampSec: Number(row.timestamp), amount: float(row.balanceAfterE18), external: EXTERNAL.has(row.kind) ? float(row.amountE18) : 0 }))
}

/**
 * What every breaker observes at each of some blocks, oldest first, from what was indexed by each. Ranges, states of markets and parameters are not kept
 * block by block: what the pools can take, and which markets are open, are those of the last one.
 */
async function observeAll(db: Db, moments: readonly Moment[], sources: Sources): Promise<{ observations: BoardObservation[]; labels: Map<string, string> }> {
  const secs = moments.map((moment) => Number(moment.timestamp))
  const [first, last] = [secs[0] as number, secs.at(-1) as number]
  const moment = (sec: number): StepWindow => ({ startSec: sec, endSec: sec, stepSec: 1 })
  const only = (list: readonly BreakerObservation[]): BreakerObservation['values'] => (list[0] as BreakerObservation).values
  const markets = await db.market.findMany({ include: { feed: true }, orderBy: { id: 'asc' } })
  const known = new Map<string, Known>()
  // A market that is paused or closed stands at its price: nothing of it can trip any more.
  for (const market of markets) if (market.state === 'OPEN') known.set(market.id, await knownHistory(db, market, { fromSec: first - BAND_DAYS * DAY_SEC, toSec: last, capacityPer15Min: await capacityPer15Min(db, market, sources) }, sources))
  const fund = await fundValues(db, sources.fundId, first - DAY_SEC, last)
  const observations = moments.map(({ number }, i): BoardObservation => {
    const sec = secs[i] as number
    return {
      block: Number(number),
      timestampSec: sec,
      protocol: only(observeFund(fund, moment(sec))),
      markets: Object.fromEntries([...known].map(([id, one]) => [id, only(observeMarket(knownAt(one, sec), moment(sec)))])),
    }
  })
  return { observations, labels: new Map([['protocol', 'protocol'], ...markets.map((m) => [m.id, m.symbol] as const)]) }
}

const BREAKER = { model: 'circuit-breaker', version: '1', source: 'api/risk/breaker.ts and observe.ts: SEC/NYSE Limit Up-Limit Down plan; CME velocity logic; risk models §11' } as const

/** What an observation stands on that the index does not show. */
const assumptionsOf = ({ heartbeatSec, margin: { refillSec } }: Policy): string[] => [
  `a healthy feed gives a price every ${heartbeatSec} s: a feed does not say its own heartbeat`,
  `a pool is as deep again ${refillSec} s after it was traded through: arbitrage is not in the index's facts`,
  `within one step of the mirror, each block in which a price, a trade, a liquidation or a flow of the fund was indexed is observed, at most the last ${MAX_PER_STEP}; depth, parameters and states of markets are those of the step's end`,
  'a block in which nothing happened is not observed: between two facts only the age of prices grows, and the next observation has it',
]

type Board = { readonly block: IndexedBlock; readonly protocol: BreakerNode; readonly markets: readonly BreakerNode[]; readonly digest: unknown }

/** Every breaker as of the newest observation at or before the request's block; `now` reads what was just written instead. */
async function boardOf(context: Context, now = false): Promise<Board | null> {
  const db = now ? context.prisma : await context.db()
  const row = await db.breakerBoard.findFirst({ orderBy: { blockNumber: 'desc' } })
  if (row === null) return null
  const [board, observation] = [row.board as unknown as BreakerBoard, row.observation as unknown as BoardObservation]
  const symbols = await context.markets()
  return {
    block: { number: row.blockNumber, hash: row.blockHash, timestamp: row.blockTimestamp },
    protocol: { subject: 'protocol', label: 'protocol', state: board.protocol, effective: board.protocol.level, values: observation.protocol },
    markets: Object.entries(board.markets).map(([id, state]) => ({ subject: id, label: symbols.get(id)?.symbol ?? id, state, effective: moreSevere(state.level, board.protocol.level), values: observation.markets[id] ?? {} })),
    digest: { board, observation },
  }
}

export async function resolveBreakers(_: unknown, __: unknown, context: Context): Promise<Maybe<Answer<'CircuitBreakers'>>> {
  const board = await boardOf(context)
  return board && { provenance: provenance(BREAKER, board.block, board.digest, context.risk.breakers.config), protocol: board.protocol, markets: [...board.markets], assumptions: assumptionsOf(DEFAULT_POLICY) }
}

/** `protocol`, or the market's id. Throws UserInputError. */
async function breakerSubject(context: Context, id: string): Promise<string> {
  if (id.toLowerCase() === 'protocol') return 'protocol'
  const market = await findMarket(context, id)
  if (market === null) throw new UserInputError(`subject: found "${id.slice(0, 60)}", allowed are protocol, ${[...(await context.markets()).values()].map((m) => m.symbol).join(', ')} and their addresses; take one of these`, 'subject')
  return market.id
}

/** By whoever has signed in; the door of mutations has let nobody else through. */
export async function resetOf(_: unknown, { subject, why }: { subject: string; why: string }, context: Context): Promise<BreakerNode> {
  if (why.trim().length < 1 || why.length > 300) throw new UserInputError(`why: found ${why.trim().length} characters, allowed are 1 to 300; say why`, 'why')
  const who = (await context.caller()).viewer?.address ?? 'nobody'
  const id = await breakerSubject(context, subject)
  await context.risk.breakers.reset(id, { who, why }).catch((error: unknown) => atField<never>('subject', () => { throw error }))
  const board = await boardOf(context, true)
  const found = id === 'protocol' ? board?.protocol : board?.markets.find((one) => one.subject === id)
  if (found === undefined) throw new UnavailableError({ part: 'breakers', found: 'the breaker is gone', action: 'ask again' })
  return found
}

export const breakerFields = {
  level: ({ state }: BreakerNode) => state.level,
  since: ({ state }: BreakerNode) => BigInt(state.sinceSec),
  quietSince: ({ state }: BreakerNode) => (state.quietSinceSec === null ? null : BigInt(state.quietSinceSec)),
  latched: ({ state }: BreakerNode) => state.level === 'HALT',
  triggers: ({ subject, state, values }: BreakerNode, _: unknown, context: Context) => {
    const config = subject === 'protocol' ? context.risk.breakers.config.protocol : context.risk.breakers.config.market
    const levels = ['NORMAL', 'WATCH', 'RESTRICT', 'HALT'] as const
    return BREAKER_TRIGGERS.flatMap((name) => {
      const entries = config.entries[name]
      if (entries === undefined) return []
      const why = notApplicable(name, subject === 'protocol' ? 'protocol' : 'market')
      const value = why === null ? (values[name] ?? null) : null
      return [{ name, state: why !== null ? 'NOT_APPLICABLE' as const : value === null ? 'UNKNOWN' as const : 'MEASURED' as const, why, value, level: levels[state.memory[name]?.held ?? 0] ?? 'NORMAL', watch: entries.WATCH, restrict: entries.RESTRICT, halt: entries.HALT, exitFactor: config.exitFactor }]
    })
  },
  asks: ({ effective }: BreakerNode) => intentsOf(effective).map((intent) => ({ ...intent })),
  history: ({ subject }: BreakerNode, args: Partial<BreakerHistoryArgs>, context: Context) =>
    page<ChangeRow & { readonly sequence: number }>(
      {
        list: 'breaker changes, newest first',
        parts: ['int32'],
        key: (row) => [String(row.sequence)],
        rows: async (key, take) => (await context.db()).breakerChange.findMany({ where: { subject, ...(key === null ? {} : { sequence: { lt: Number(key[0]) } }) }, orderBy: { sequence: 'desc' }, take }),
        total: async () => (await context.db()).breakerChange.count({ where: { subject } }),
      },
      args,
    ).then(({ nodes, ...rest }) => ({ ...rest, nodes: nodes.map(changeAnswer) })),
}

type ChangeRow = { readonly id: string; readonly subject: string; readonly subjectLabel: string; readonly fromLevel: string; readonly toLevel: string; readonly why: string; readonly resetBy: string | null; readonly blockNumber: bigint; readonly blockHash: string; readonly blockTimestamp: bigint; readonly seenBlock: bigint | null; readonly seenTimestamp: bigint | null }

export const changeAnswer = (row: ChangeRow): Answer<'BreakerChange'> => ({ id: row.id, subject: row.subject, label: row.subjectLabel, from: row.fromLevel as BreakerLevel, to: row.toLevel as BreakerLevel, why: row.why, resetBy: row.resetBy, block: { number: row.blockNumber, hash: row.blockHash, timestamp: row.blockTimestamp }, seenBlock: row.seenBlock ?? row.blockNumber, seenAt: row.seenTimestamp ?? row.blockTimestamp })

const REPLAY = { model: 'breaker-replay', version: '1', source: 'api/risk/replay.ts and observe.ts; each observation from what was known at its time' } as const

/** The setting that an input asks for. Throws UserInputError. */
function configOf(input: ReplayBreakerInput, used: BreakerConfig): BreakerConfig {
  const entries: Record<string, BreakerEntries> = {}
  for (const [i, { trigger, watch, restrict, halt }] of (input.entries ?? []).entries()) {
    const field = `input.entries.${i}.trigger`
    if (!(BREAKER_TRIGGERS as readonly string[]).includes(trigger)) throw new UserInputError(`${field}: found "${trigger.slice(0, 40)}", allowed are ${BREAKER_TRIGGERS.join(', ')}; take one of these`, field)
    if (entries[trigger] !== undefined) throw new UserInputError(`${field}: found ${trigger} twice, allowed is each once; leave one out`, field)
    entries[trigger] = { WATCH: watch ?? null, RESTRICT: restrict ?? null, HALT: halt ?? null }
  }
  const config: BreakerConfig = { entries: input.entries == null ? used.entries : entries, exitFactor: input.exitFactor ?? used.exitFactor, confirmations: input.confirmations ?? used.confirmations, cooldownSec: input.cooldownSec ?? used.cooldownSec }
  atField('input', () => checkBreakerConfig(config))
  return config
}

export async function resolveReplay(_: unknown, { input }: QueryReplayBreakerArgs, context: Context): Promise<Maybe<Answer<'BreakerReplay'>>> {
  const block = await context.indexed()
  const book = await context.riskBook()
  if (block === null || book === null) return null
  const days = wholeWithin('input.days', input.days ?? 7, 1, 30, 'days')
  const stepSec = wholeWithin('input.stepSec', input.stepSec ?? 300, 60, DAY_SEC, 'seconds')
  const seconds = (field: 'reactionSec' | 'harmHorizonSec', fallback: number): number => within(`input.${field}`, input[field] ?? fallback, 0, 7 * DAY_SEC, 'seconds')
  const market = input.market == null ? null : (await marketOf(context, book, input.market, 'input.market')).facts.input.id
  const { config: used } = context.risk.breakers
  const config = configOf(input, market === null ? used.protocol : used.market)
  const endSec = Number(block.timestamp)
  return book.replay(await context.db(), {
    block,
    market,
    config,
    window: { startSec: endSec - days * DAY_SEC, endSec, stepSec },
    reactionSec: seconds('reactionSec', HOUR_SEC),
    harmHorizonSec: seconds('harmHorizonSec', HOUR_SEC),
    assumedResetSec: input.assumedResetSec === undefined ? HOUR_SEC : input.assumedResetSec,
    reduceOnly: input.stops === 'REDUCE_ONLY',
    args: { ...input },
  })
}

/** A replay whose arguments are checked but for what the model itself refuses; `market` as its id, null for the protocol. Plain data. */
export type ReplayTask = {
  readonly block: IndexedBlock
  readonly market: string | null
  readonly config: BreakerConfig
  readonly window: StepWindow
  readonly reactionSec: number
  readonly harmHorizonSec: number
  readonly assumedResetSec: number | null
  readonly reduceOnly: boolean
  readonly args: object
}

/** Reads the window's history and replays it. `db` stands on the task's block. Throws UserInputError. */
export async function computeReplay(db: Db, deployment: Deployment, { block, market: marketId, config, window, reactionSec, harmHorizonSec, assumedResetSec, reduceOnly, args }: ReplayTask): Promise<Answer<'BreakerReplay'>> {
  const sources: Sources = { policy: DEFAULT_POLICY, fundId: deployment.contracts.insuranceFund.toLowerCase() }
  const market = marketId === null ? null : await db.market.findUniqueOrThrow({ where: { id: marketId }, include: { feed: true } })
  const { startSec, endSec } = window
  const fromSec = startSec - BAND_DAYS * DAY_SEC
  const observations =
    market === null
      ? observeFund(await fundValues(db, sources.fundId, fromSec, endSec), window)
      : observeMarket(await historyOf(db, market, { fromSec, toSec: endSec, capacityPer15Min: await capacityPer15Min(db, market, sources) }, sources), window)
  const events = await eventsOf(db, deployment, marketId, window)
  const replay = atField('input', () =>
    replayBreaker({ config, observations, events, reactionSec, stops: reduceOnly ? DEFAULT_STOPS : CURIE_STOPS, assumedResetSec, harmHorizonSec }),
  )
  return {
    provenance: provenance(REPLAY, block, { observations, events }, { ...args, config }),
    subject: marketId ?? 'protocol',
    from: BigInt(replay.fromSec),
    to: BigInt(replay.toSec),
    observations: replay.observations,
    known: BREAKER_TRIGGERS.flatMap((name) => (config.entries[name] === undefined || notApplicable(name, marketId === null ? 'protocol' : 'market') !== null ? [] : [{ name, value: observations.filter((o) => o.values[name] != null).length }])),
    secondsAt: numbers(replay.secondsAt),
    transitions: replay.transitions.map((t) => ({ from: t.from, to: t.to, timestamp: BigInt(t.timestampSec), why: t.why })),
    trips: replay.trips.map(({ startSec, endSec: until, ...trip }) => ({ ...trip, start: BigInt(startSec), end: until === null ? null : BigInt(until) })),
    stopped: Object.entries(replay.stopped).map(([kind, tally]) => ({ kind, ...tally })),
    preventedBadDebt: replay.preventedBadDebt,
    liquidationsWhileTripped: { kind: 'liquidation', ...replay.liquidationsWhileTripped },
    assumptions: [
      `depth of the pools, and what they take, are today's; a pool is as deep again after ${sources.policy.margin.refillSec} s`,
      `one observation every ${window.stepSec} s, each from what was known at its time; deposits at today's prices`,
      'what is stopped does not change what others do: nobody moves elsewhere, and prices stay as they were',
    ],
    falseAlarms: replay.falseAlarms,
    summary: replay.summary,
  }
}

/** What accounts did in the window, of one market or all; deposits and bad debt belong to no market. */
async function eventsOf(db: Db, deployment: Deployment, marketId: string | null, { startSec, endSec }: StepWindow): Promise<ReplayEvent[]> {
  const timestamp = { gte: BigInt(startSec), lte: BigInt(endSec) }
  const inMarket = marketId === null ? {} : { marketId }
  const liquidations = await db.liquidation.findMany({ where: { timestamp, ...inMarket }, select: { timestamp: true, accountId: true, notionalE18: true, transactionHash: true } })
  const taken = new Set(liquidations.map((row) => row.transactionHash))
  const changes = await db.positionChange.findMany({ where: { timestamp, ...inMarket }, select: { timestamp: true, accountId: true, notionalDeltaE18: true, sizeDeltaE18: true, sizeAfterE18: true, transactionHash: true } })
  const deposits = await db.collateralChange.findMany({ where: { timestamp, kind: 'DEPOSIT' }, select: { timestamp: true, accountId: true, token: true, amount: true } })
  const debts = await db.badDebt.findMany({ where: { timestamp }, select: { timestamp: true, accountId: true, amount: true } })
  const { address: settlement, decimals } = deployment.settlementToken
  const collaterals = new Map((await db.collateralAsset.findMany({ include: { feed: true } })).map((row) => [row.id, row]))
  const valueOf = (token: string, amount: { toFixed(places: number): string }): number => {
    if (token === settlement.toLowerCase()) return float(amount, decimals)
    const asset = collaterals.get(token)
    // At today's price: a tally of deposits, not a valuation of then.
    return asset?.feed?.priceE18 == null ? 0 : float(amount, asset.decimals) * float(asset.feed.priceE18)
  }
  const at = (row: { timestamp: bigint; accountId: string }) => ({ timestampSec: Number(row.timestamp), account: row.accountId })
  const events: ReplayEvent[] = [
    ...liquidations.map((row): ReplayEvent => ({ ...at(row), kind: 'liquidation', amount: float(row.notionalE18) })),
    ...changes.filter((row) => !taken.has(row.transactionHash)).map((row): ReplayEvent => {
      const [after, delta] = [float(row.sizeAfterE18), float(row.sizeDeltaE18)]
      return { ...at(row), kind: Math.abs(after) > Math.abs(after - delta) ? 'increase' : 'decrease', amount: Math.abs(float(row.notionalDeltaE18)) }
    }),
    ...deposits.map((row): ReplayEvent => ({ ...at(row), kind: 'deposit', amount: valueOf(row.token, row.amount) })),
    ...debts.map((row): ReplayEvent => ({ ...at(row), kind: 'badDebt', amount: float(row.amount, decimals) })),
  ]
  return events.sort((a, b) => a.timestampSec - b.timestampSec)
}

/** The calls that make a playbook's changes, and what the contract would refuse of them. */
function callsOf({ protocol: { catalog }, deployment }: Context, changes: readonly { readonly parameter: string; readonly subject: string; readonly subjectLabel: string; readonly to: bigint }[]): { calls: Call[]; refused: string[] } {
  const [calls, refused]: [Call[], string[]] = [[], []]
  for (const { parameter, subject, subjectLabel, to } of changes) {
    try {
      calls.push(catalog.encodeChange(deployment, { name: parameter, subject: subject as Call['to'] }, to))
    } catch (error) {
      if (!(error instanceof BulwarkError)) throw error
      refused.push(`${parameter} of ${subjectLabel}: ${error.message}`)
    }
  }
  return { calls, refused }
}

const PLAYBOOKS = { model: 'playbooks', version: '1', source: 'api/risk/playbook.ts; api/recommendations/playbooks.ts: setters of the deployed Curie v2 contracts' } as const

export async function resolvePlaybooks(_: unknown, args: QueryPlaybooksArgs, context: Context): Promise<Maybe<Answer<'Playbooks'>>> {
  const block = await context.indexed()
  if (block === null) return null
  const parameters = new Map((await context.parameters()).map((row) => [`${row.name}:${row.subject}`, integer(row.value)]))
  const { catalog } = context.protocol
  const protocol = await subjectOf(context, 'protocol')
  const ratios = await haircutRatiosE6(context)
  const markets = [...(await context.markets()).values()].filter((m) => m.state === 'OPEN').map(({ id, symbol }) => ({ id, symbol }))
  const collaterals = [...(await context.collaterals()).values()].map(({ id, symbol, totalBalance }) => ({ id, symbol, held: integer(totalBalance), haircutRatioE6: ratios.get(id) ?? null }))
  const all = curiePlaybooks({
    // A parameter of the whole protocol has one subject, whichever contract that is.
    currentOf: (name, subject) => parameters.get(`${name}:${subject}`) ?? (catalog.find(name).scope === 'PROTOCOL' ? ([...parameters].find(([key]) => key.startsWith(`${name}:`))?.[1] ?? null) : null),
    protocol,
    markets,
    collaterals,
  })
  const wanted = args.subject == null ? null : await subjectOf(context, args.subject).catch((error: unknown) => atField<never>('subject', () => { throw error }))
  const triggerOf = (p: (typeof all)[number]): string => (p.trigger.kind === 'level' ? p.trigger.level : p.trigger.emergency)
  const triggers = [...new Set(all.map(triggerOf))]
  if (args.trigger != null && !triggers.includes(args.trigger)) throw new UserInputError(`trigger: found "${args.trigger.slice(0, 40)}", allowed are ${triggers.join(', ')}; take one of these`, 'trigger')
  const chosen = all.filter((p) => (wanted === null || p.subject.id === wanted) && (args.trigger == null || triggerOf(p) === args.trigger))
  const show = (name: string, raw: bigint, subject: string): string => displayValue(specOf(catalog, name, catalog.find(name).scope), raw, subject, context.deployment)
  return {
    provenance: provenance(PLAYBOOKS, block, { parameters: Object.fromEntries(parameters), collaterals }, args),
    playbooks: chosen.map((p) => ({
      id: p.id,
      title: p.title,
      when: p.when,
      trigger: triggerOf(p),
      subject: p.subject.id,
      subjectLabel: p.subject.label,
      stops: [...p.stops],
      changes: p.changes.map((c) => ({ parameter: c.parameter, subject: c.subject, subjectLabel: c.subjectLabel, fromRaw: c.from, fromDisplay: show(c.parameter, c.from, c.subject), toRaw: c.to, toDisplay: show(c.parameter, c.to, c.subject), why: c.why, sideEffects: [...c.sideEffects], stops: [...c.stops], undo: c.undo.how })),
      ...callsOf(context, p.changes),
      notDone: p.notDone.map((n) => ({ action: n.action, subjectLabel: n.subjectLabel, why: n.why })),
    })),
  }
}

