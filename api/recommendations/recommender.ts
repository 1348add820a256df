/** Runs the models over the mirror and stores what they say. */
import { UnavailableError } from '../../core/errors.ts'
import type { Prisma, PrismaClient } from '../../prisma/client.ts'
import type { Deployment, Protocol } from '../../protocols/adapter.ts'
import { readAtCheckpoint, type MirroredBlock } from '../mirror/read.ts'
import { canonicalJson, digestOf } from './canonical.ts'
import { createContext, type RunContext } from './context.ts'
import { gather, simulationTask, type ChainReads } from './gather.ts'
import type { RunInputs } from './inputs.ts'
import { DEFAULT_POLICY, type Policy } from './policy.ts'
import { recomputeRun, type RecommendationContent, type RecommendationInputs } from './run.ts'
import { simulationDue } from './simulation.ts'
import { known } from './statistics.ts'

/** Raised with any change that lets the same inputs give another answer. */
export const CODE_VERSION = '7'

const KEEP_RUNS = 20

/** One run. `stored` is false where the newest run already came from these very inputs; its id and block are then that run's. */
export type Run = {
  readonly id: string
  readonly block: MirroredBlock
  readonly inputsDigest: string
  readonly recommendations: readonly (RecommendationContent & { readonly id: string })[]
  readonly stored: boolean
  /** Why the insurance fund's shortfall is to be simulated again (`simulationTask`), half a sentence; null while the last one still speaks of this book. */
  readonly simulationDue: string | null
}

/** A run as other processes hear of it. `changes`: recommendations that ask for one. */
export type RunSummary = Pick<Run, 'id' | 'block' | 'stored' | 'simulationDue'> & { readonly changes: number }

export const summaryOf = ({ id, block, stored, simulationDue, recommendations }: Run): RunSummary => ({ id, block, stored, simulationDue, changes: recommendations.filter((r) => r.direction !== 'HOLD').length })

/** What was gathered at a block, with the context that was made of it. */
export type Gathered = { readonly block: MirroredBlock; readonly inputs: RunInputs; readonly context?: RunContext }

export type RunOptions = {
  readonly prisma: PrismaClient
  readonly protocol: Protocol
  readonly deployment: Deployment
  /** The block that is asked for; the mirror must stand on it. Left out: the one it stands on. */
  readonly block?: { readonly number: bigint }
  readonly chainReads?: ChainReads
  readonly policy?: Policy
  /** Inputs that somebody has gathered at the mirror's block already, under the same policy. */
  readonly gathered?: Gathered
  /** Runs that stay stored beside those that a proposal names; 20 where left out, at least 1. */
  readonly keepRuns?: number
}

/**
 * Gathers the inputs at the mirror's block, runs every model, and stores the run unless the newest one has the same inputs.
 * Throws UnavailableError before the first mirrored block, and where the mirror stands on another block than the one asked for.
 */
export async function runRecommendations(options: RunOptions): Promise<Run> {
  const { prisma } = options
  const { block, inputs, context = createContext(inputs) } = options.gathered ?? (await gatherAtCheckpoint(options))
  const due = await dueOf(prisma, context)
  const inputsDigest = digestOf(inputs)
  const newest = await prisma.recommendationRun.findFirst({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], select: { id: true, inputsDigest: true, codeVersion: true, blockNumber: true, blockHash: true, blockTimestamp: true } })
  const withIds = (runId: string, from: RunInputs) => recomputeRun(from, from === inputs ? context : undefined).map((content) => ({ ...content, id: `${runId}:${content.parameter}:${content.subject}` }))
  const before = newest === null || newest.codeVersion !== CODE_VERSION || newest.blockNumber > block.number ? null : newest.inputsDigest === inputsDigest ? inputs : await asBefore(prisma, newest, inputs)
  if (newest !== null && before !== null) {
    return { id: newest.id, block: { number: newest.blockNumber, hash: newest.blockHash, timestamp: newest.blockTimestamp }, inputsDigest: newest.inputsDigest, recommendations: withIds(newest.id, before), stored: false, simulationDue: due }
  }
  const id = `${block.number}-${inputsDigest.slice(0, 16)}`
  const recommendations = withIds(id, inputs)
  await store(prisma, { id, block, inputs, inputsDigest, recommendations }, options.keepRuns ?? KEEP_RUNS)
  return { id, block, inputsDigest, recommendations, stored: true, simulationDue: due }
}

const gatherAtCheckpoint = ({ prisma, protocol, deployment, chainReads, policy = DEFAULT_POLICY, block: asked }: RunOptions): Promise<Gathered> =>
  readAtCheckpoint(prisma, async (tx, standing) => {
    if (standing === null) throw new UnavailableError({ part: 'mirror', found: 'no block is stored yet', action: 'wait for its first step' })
    if (asked !== undefined && asked.number !== standing.number) {
      throw new UnavailableError({ part: 'mirror', found: `block ${standing.number} is stored, ${asked.number} was asked for`, action: 'run again after its next step' })
    }
    return { block: standing, inputs: await gather(tx, standing, { protocol, deployment, policy, ...(chainReads === undefined ? {} : { chainReads }) }) }
  })

/** Rows of a process that wrote none of them for this long are of one that is gone, ms. */
const LOST_AFTER_MS = 60_000

/** Why to simulate again; null as well while that is under way, and where the book lacks what the fund's recommendation names. */
async function dueOf(prisma: PrismaClient, context: RunContext): Promise<string | null> {
  const due = known(() => simulationDue(context)).value
  if (due === null) return null
  const since = new Date(Date.now() - LOST_AFTER_MS)
  // One that ended after the inputs were gathered counts as well.
  const underWay = await prisma.riskRun.count({
    where: { kind: 'FUND', arguments: { equals: simulationTask(context.policy) }, OR: [{ state: { in: ['QUEUED', 'RUNNING'] }, updatedAt: { gt: since } }, { state: { in: ['DONE', 'FAILED'] }, finishedAt: { gt: since } }] },
  })
  return underWay === 0 ? due : null
}

/** The inputs of a run that these are but for what that run itself came to recommend, since nothing has happened after it; else null. */
async function asBefore(prisma: PrismaClient, run: { readonly id: string; readonly inputsDigest: string }, inputs: RunInputs): Promise<RunInputs | null> {
  const [row] = await prisma.$queryRaw<{ standing: (string | null)[] }[]>`SELECT jsonb_path_query_array("inputs", '$.parameters[*].standing') AS "standing" FROM "RecommendationRun" WHERE "id" = ${run.id}`
  const own: RunInputs = { ...inputs, parameters: inputs.parameters.map((p, i) => ({ ...p, standing: row?.standing[i] ?? null })) }
  return digestOf(own) === run.inputsDigest ? own : null
}

const asJson = (value: unknown): Prisma.InputJsonValue => JSON.parse(canonicalJson(value)) as Prisma.InputJsonValue

async function store(prisma: PrismaClient, run: { id: string; block: MirroredBlock; inputs: RunInputs; inputsDigest: string; recommendations: Run['recommendations'] }, keepRuns: number): Promise<void> {
  const { id, block, inputs, inputsDigest, recommendations } = run
  const kept = await keptRuns(prisma, id, keepRuns - 1)
  await prisma.$transaction([
    // A run above this block stands on blocks that a reorg took back; one with this id is the same run.
    prisma.recommendation.deleteMany({ where: { runId: { notIn: kept } } }),
    prisma.recommendationRun.deleteMany({ where: { id: { notIn: kept } } }),
    prisma.recommendationRun.create({ data: { id, blockNumber: block.number, blockHash: block.hash, blockTimestamp: block.timestamp, inputsDigest, codeVersion: CODE_VERSION, inputs: asJson(inputs) } }),
    prisma.recommendation.createMany({
      data: recommendations.map((r) => ({
        id: r.id,
        runId: id,
        parameter: r.parameter,
        scope: r.scope,
        subject: r.subject,
        subjectLabel: r.subjectLabel,
        current: r.current.toString(),
        recommended: r.recommended.toString(),
        modelValue: r.modelValue,
        direction: r.direction,
        urgency: r.urgency,
        confidence: r.confidence,
        reason: r.reason,
        evidence: asJson(r.evidence),
        adjustments: asJson(r.adjustments),
        model: r.model,
        modelVersion: r.modelVersion,
        inputsDigest: r.inputsDigest,
        inputs: asJson(r.inputs),
        settable: r.settable,
        advisory: r.advisory,
      })),
    }),
  ])
}

/** Ids of the runs that stay: the newest ones that the mirror still stands on, and every run that a proposal names. */
async function keptRuns(prisma: PrismaClient, next: string, recentCount: number): Promise<string[]> {
  const block = await prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' }, select: { blockNumber: true } })
  const recent = await prisma.recommendationRun.findMany({ where: { blockNumber: { lte: block?.blockNumber ?? 0n } }, orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], take: recentCount, select: { id: true } })
  const proposals = await prisma.proposal.findMany({ select: { recommendationIds: true } })
  const named = proposals.flatMap((p) => p.recommendationIds.map((id) => id.split(':')[0] ?? id))
  return [...new Set([...recent.map((r) => r.id), ...named])].filter((id) => id !== next)
}

/** Stored inputs of a recommendation, as `recompute` takes them. */
export const inputsOf = (row: { inputs: Prisma.JsonValue }): RecommendationInputs => row.inputs as unknown as RecommendationInputs

/** Stored inputs of a run, as `recomputeRun` takes them. */
export const runInputsOf = (row: { inputs: Prisma.JsonValue }): RunInputs => row.inputs as unknown as RunInputs
