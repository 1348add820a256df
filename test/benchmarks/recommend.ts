/** All recommendations at a new block of the devnet, on a whole console as `npm start` runs it, and what their parts take. */
import { setTimeout as sleep } from 'node:timers/promises'
import { canonicalJson, DEFAULT_POLICY, digestOf, gather, recomputeRun } from '../../api/recommendations/index.ts'
import { readAtCheckpoint } from '../../api/mirror/read.ts'
import { parseRunOptions } from '../../cli/options.ts'
import { startStack } from '../../cli/stack.ts'
import { UnavailableError } from '../../core/errors.ts'
import { RpcClient } from '../../devnet/rpc.ts'
import { createPrisma } from '../../prisma/client.ts'
import { curie } from '../../protocols/curie/index.ts'
import { actor, listenTo, nowMs, sightBlock } from './latency.ts'
import { median, quantile } from './report.ts'

export type RecommendResult = {
  readonly blocks: number
  readonly accounts: number
  readonly recommendations: number
  /** Size of a run's inputs as canonical JSON, bytes. */
  readonly inputBytes: number
  /** From the mirror's commit of a block until all recommendations at it are stored, ms; blocks are apart, so that none waits for the run before. */
  readonly storedP50Ms: number
  readonly storedMaxMs: number
  /** In a process that does nothing else, medians, ms: reading the inputs, every model over them, and the digest of the inputs. */
  readonly gatherMs: number
  readonly modelsMs: number
  readonly digestMs: number
}

/** Longer than the API's pause between two runs. */
const APART_MS = 6_500
const LONGEST_MS = 60_000
const ASK_EVERY_MS = 5
/** Until code and plans are warm. */
const WARM_UP = 3

export async function benchRecommend({ blocks, rounds, dir, progress }: { readonly blocks: number; readonly rounds: number; readonly dir: string; readonly progress: (text: string) => void }): Promise<RecommendResult> {
  const options = await parseRunOptions([], { stateDir: dir, ephemeral: true })
  const stack = await startStack({ ...options, chainArgs: ['--stop-after-history'] }, (part, detail) => progress(`${part}: ${detail}`), new AbortController().signal)
  const rpc = new RpcClient(stack.rpcUrl)
  const prisma = createPrisma(stack.databaseUrl)
  try {
    const act = await actor(stack, rpc)
    const listener = await listenTo(stack)
    const stored: number[] = []
    try {
      for (let i = 0; i < WARM_UP + blocks; i++) {
        await sleep(APART_MS)
        const { number, minedMs, mirrorMs } = await sightBlock(stack, rpc, listener, await act(i), 0)
        while ((await prisma.recommendationRun.findFirst({ where: { blockNumber: { gte: BigInt(number) } }, select: { id: true } })) === null) {
          if (nowMs() - minedMs > LONGEST_MS) throw new UnavailableError({ part: 'recommendations', found: `none stand on block ${number} ${LONGEST_MS / 1_000} s after it was mined`, action: `see the logs in ${stack.stateDir}` })
          await sleep(ASK_EVERY_MS)
        }
        const took = nowMs() - minedMs - mirrorMs
        if (i >= WARM_UP) stored.push(took)
        progress(`recommendations at block ${number} ${took.toFixed(0)} ms after the mirror had it`)
      }
    } finally {
      await listener.close()
    }
    const times = { gather: [] as number[], models: [] as number[], digest: [] as number[] }
    const timed = async <T>(into: number[], work: () => T | Promise<T>): Promise<T> => {
      const started = performance.now()
      const result = await work()
      into.push(performance.now() - started)
      return result
    }
    let last = { accounts: 0, recommendations: 0, inputBytes: 0 }
    for (let i = 0; i < WARM_UP + rounds; i++) {
      const inputs = await timed(times.gather, () =>
        readAtCheckpoint(prisma, async (tx, block) => {
          if (block === null) throw new UnavailableError({ part: 'mirror', found: 'no block is stored', action: 'run the benchmark again' })
          return gather(tx, block, { protocol: curie, deployment: stack.deployment, policy: DEFAULT_POLICY })
        }),
      )
      const said = await timed(times.models, () => recomputeRun(inputs))
      await timed(times.digest, () => digestOf(inputs))
      last = { accounts: inputs.accounts.length, recommendations: said.length, inputBytes: canonicalJson(inputs).length }
    }
    const warm = (list: readonly number[]): number => median(list.slice(WARM_UP))
    return { blocks, ...last, storedP50Ms: median(stored), storedMaxMs: quantile(stored, 1), gatherMs: warm(times.gather), modelsMs: warm(times.models), digestMs: warm(times.digest) }
  } finally {
    await prisma.$disconnect()
    rpc.close()
    await stack.stop()
  }
}
