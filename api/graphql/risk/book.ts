/** The inputs of every model at one indexed block, gathered once per block and shared by the requests that stand on it. */
import { InvariantError } from '../../../core/errors.ts'
import { toFloat } from '../../../core/units.ts'
import type { PrismaClient } from '../../../prisma/client.ts'
import type { Deployment, Protocol } from '../../../protocols/adapter.ts'
import { readAtCheckpoint } from '../../mirror/read.ts'
import { createContext, stressAccounts, type MarketFacts, type RunContext } from '../../recommendations/context.ts'
import { DEFAULT_POLICY, digestOf, gather, type ChainReads, type RunInputs } from '../../recommendations/index.ts'
import { toBars, toReturns, type BarSeries, type Returns, type StressAccount } from '../../risk/index.ts'
import type { IndexedBlock } from '../context.ts'
import type { Db } from '../model.ts'
import { measure, type Timing } from './measure.ts'

export type RiskBook = {
  readonly block: IndexedBlock
  readonly inputs: RunInputs
  readonly timing: Timing
  /** SHA-256 of inputs and timing. */
  readonly digest: string
  readonly context: RunContext
  /** Every account that a price can hurt. Throws SampleTooSmallError where a price of the book is unknown. */
  stressAccounts(): readonly StressAccount[]
  /** Index prices of a market on bars of `barSec`, a multiple of the policy's; null for a market without a feed. */
  bars(facts: MarketFacts, barSec: number): BarSeries | null
  returns(bars: BarSeries): Returns
}

export type RiskBooks = {
  /** The book of a block that the request's snapshot `db` stands on. */
  at(block: IndexedBlock, db: () => Promise<Db>): Promise<RiskBook>
  /** Of the block that the mirror stands on now; null before the first. */
  latest(): Promise<RiskBook | null>
}

export type RiskBookOptions = { readonly protocol: Protocol; readonly deployment: Deployment; /** Parameters that the index does not hold. */ readonly chainReads?: ChainReads }

/** Books kept: requests that began before a step still ask for the block before. */
const KEPT = 2

/** `prisma` needs a pool of its own: requests that wait for a book hold connections meanwhile. */
export function createRiskBooks({ prisma, ...options }: RiskBookOptions & { readonly prisma: PrismaClient }): RiskBooks {
  const books = new Map<string, Promise<RiskBook | null>>()
  const read = async (db: Db, block: IndexedBlock): Promise<RiskBook> => {
    const inputs = await gather(db, block, { ...options, policy: DEFAULT_POLICY })
    return makeBook(block, inputs, await measure(db, inputs, options.deployment))
  }
  const keep = (hash: string, made: Promise<RiskBook | null>): Promise<RiskBook | null> => {
    books.set(hash, made)
    for (const old of [...books.keys()].slice(0, -KEPT)) books.delete(old)
    made.then((book) => book === null && books.get(hash) === made && books.delete(hash), () => books.get(hash) === made && books.delete(hash))
    return made
  }
  const shared = (hash: string): Promise<RiskBook | null> => books.get(hash) ?? keep(hash, readAtCheckpoint(prisma, async (tx, block) => (block?.hash === hash ? await read(tx, block) : null)))
  return {
    // Where a step fell between the request's snapshot and the book's, the request reads its own block on its own snapshot.
    at: async (block, db) => (await shared(block.hash)) ?? (await read(await db(), block)),
    latest: () => readAtCheckpoint(prisma, async (tx, block) => (block === null ? null : ((await books.get(block.hash)) ?? (await keep(block.hash, read(tx, block)))))),
  }
}

export function makeBook(block: IndexedBlock, inputs: RunInputs, timing: Timing): RiskBook {
  const context = createContext(inputs)
  let accounts: readonly StressAccount[] | undefined
  const series = new Map(inputs.series.map((one) => [one.feed, one]))
  return {
    block,
    inputs,
    timing,
    digest: digestOf({ inputs, timing }),
    context,
    stressAccounts: () => (accounts ??= stressAccounts(context)),
    bars: ({ input }, barSec) => {
      const found = series.get(input.oracle?.feed ?? '')
      if (found === undefined) return null
      if (barSec % inputs.policy.barSec !== 0) throw new InvariantError(`Found bars of ${barSec} s, allowed are multiples of ${inputs.policy.barSec}; check the argument first`)
      const points = found.bars.map(([index, priceE18]) => ({ timestampSec: found.startSec + index * inputs.policy.barSec, price: toFloat(BigInt(priceE18), 18) }))
      return toBars(points, { startSec: Math.ceil(found.startSec / barSec) * barSec, endSec: Math.max(Math.ceil(found.startSec / barSec), Math.floor(found.endSec / barSec)) * barSec, barSec })
    },
    // A gap longer than an hour is an outage of the feed; for longer bars, longer than one bar.
    returns: (bars) => toReturns(bars, { maxSpan: Math.max(1, inputs.policy.maxGapSec / bars.barSec) }),
  }
}
