/** The book of accounts that this process keeps current from block to block, and stress over it on threads. It runs beside the server, never in it (desk.ts). */
import { BadInputError } from '../../../core/errors.ts'
import { toFloat } from '../../../core/units.ts'
import { createStressPool, type StressPool } from '../../engine/pool.ts'
import { shockFrom, stressAccounts, type RunContext } from '../../recommendations/context.ts'
import { curieLiquidationRules, type RunInputs } from '../../recommendations/index.ts'
import {
  createAccountBook, dailyVolatility, impactCoefficient, movePrices, setImpacts, updateAccounts,
  type AccountBook, type BookAsset, type BookScenario, type StressAccount, type StressScenario,
} from '../../risk/index.ts'

type AccountInput = RunInputs['accounts'][number]
type RangeInput = RunInputs['markets'][number]['ranges'][number]

/** What an account holds, as the index says it: raw amounts, so that a price that moved is no change of the account. */
type Holdings = { readonly account: AccountInput; readonly ranges: readonly { readonly market: string; readonly range: RangeInput }[] }

/** Everything that the accounts are valued with. */
type Standing = {
  readonly holdings: ReadonlyMap<string, Holdings>
  readonly assets: readonly BookAsset[]
  /** Quote per unit by asset; a collateral's after the liquidation discount; null where there is none. */
  readonly prices: readonly (number | null)[]
  readonly maintenanceMargin: number
}

/** How a book became current: wholly made anew, or by what changed alone. */
export type Synced = { readonly way: 'made' | 'same' | 'updated'; readonly accounts: number; readonly prices: number }

export type Engine = {
  /**
   * Runs `use` with the accounts of a context, current, while nobody changes them. `digest` names the content: equal ones are equal books.
   * Throws SampleTooSmallError where a price or ratio of the book is unknown.
   */
  withBook<T>(of: { readonly digest: string; readonly context: RunContext }, use: (book: AccountBook, pool: StressPool, synced: Synced) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Every price of a context: markets by the square-root law on their own volume, collaterals without impact, since the protocol sells them to whoever pays their price less the discount. */
export function bookAssets({ markets, inputs, policy }: RunContext): readonly BookAsset[] {
  return [
    ...markets.map((facts): BookAsset => {
      const sigma = facts.statistics?.volatility.value
      const measured = sigma !== null && sigma !== undefined && facts.dailyVolume > 0
      return { asset: facts.input.id, impact: measured ? impactCoefficient({ dailyVolatility: dailyVolatility(Math.max(sigma.now, sigma.longRun), policy.barSec), dailyVolume: facts.dailyVolume }) : null, maxImpact: policy.fund.maxImpact }
    }),
    ...inputs.collaterals.map(({ id }): BookAsset => ({ asset: id, impact: 0, maxImpact: 0 })),
  ]
}

/** A scenario of the library, or of a user, over the book of a context. */
export function bookScenarioOf(context: RunContext, scenario: StressScenario): BookScenario {
  const { changeOf } = shockFrom(context, scenario)
  return { id: scenario.id, changeOf, liquidityOf: () => scenario.volumeFactor }
}

function standingOf(context: RunContext): Standing {
  const { inputs } = context
  const ranges = new Map<string, { market: string; range: RangeInput }[]>()
  for (const market of inputs.markets) {
    for (const range of market.ranges) {
      const own = ranges.get(range.account)
      if (own === undefined) ranges.set(range.account, [{ market: market.id, range }])
      else own.push({ market: market.id, range })
    }
  }
  const held = new Set(inputs.accounts.flatMap((account) => account.collaterals.map((c) => c.asset)))
  return {
    holdings: new Map(inputs.accounts.map((account) => [account.id, { account, ranges: ranges.get(account.id) ?? [] }])),
    assets: bookAssets(context),
    prices: [
      ...context.markets.map((facts) => facts.indexPrice),
      // The ratio is asked for where somebody holds the token alone: elsewhere it may be unknown.
      ...inputs.collaterals.map(({ id, oracle }) => (oracle === null || !held.has(id) ? null : toFloat(BigInt(oracle.priceE18), 18) * (1 - context.ratio('discountRatio', id)))),
    ],
    maintenanceMargin: context.ratio('mmRatio', inputs.parameters.find((p) => p.name === 'mmRatio')?.subject ?? ''),
  }
}

const sameHoldings = (a: Holdings, b: Holdings): boolean =>
  a.account.settlementBalance === b.account.settlementBalance &&
  a.account.owedRealizedPnlE18 === b.account.owedRealizedPnlE18 &&
  a.account.positions.length === b.account.positions.length &&
  a.account.collaterals.length === b.account.collaterals.length &&
  a.ranges.length === b.ranges.length &&
  a.account.positions.every((p, i) => sameFields(p, b.account.positions[i])) &&
  a.account.collaterals.every((c, i) => sameFields(c, b.account.collaterals[i])) &&
  a.ranges.every(({ market, range }, i) => market === b.ranges[i]?.market && sameFields(range, b.ranges[i]?.range))

const sameFields = <T extends object>(a: T, b: T | undefined): boolean => b !== undefined && (Object.keys(a) as (keyof T)[]).every((key) => a[key] === b[key])

const emptied = (id: string): StressAccount => ({ id, cash: 0, positions: [], ranges: [], collateral: [], maintenanceMargin: 0 })

/** Of a change to more accounts than this share, a new book is made. */
const MOST_CHANGED = 0.25

/**
 * Brings `book`, made of `before`, to `after`: prices first, then the accounts that changed. null where it has to be made anew.
 *
 * A price is set from the one that it was made at, so rounding does not add up over moves. Accounts that are new come last and those that are gone
 * stay empty, so the order of a sum, and with it the last bits of a figure, depends on how the book came here (below 1e-12 of its gross).
 */
function follow(book: AccountBook, made: readonly (number | null)[], before: Standing, after: Standing, accountsOf: (accounts: readonly AccountInput[]) => readonly StressAccount[]): Synced | null {
  if (after.maintenanceMargin !== before.maintenanceMargin || after.assets.length !== before.assets.length || after.assets.some(({ asset }, i) => asset !== before.assets[i]?.asset)) return null
  if (after.prices.some((price, i) => (price === null) !== (made[i] === null) || (price !== null && !(price > 0 && (made[i] as number) > 0)))) return null
  const changed: AccountInput[] = []
  for (const [id, holdings] of after.holdings) {
    const known = before.holdings.get(id)
    if (known === undefined || (known !== holdings && !sameHoldings(known, holdings))) changed.push(holdings.account)
  }
  const gone = [...before.holdings.keys()].filter((id) => !after.holdings.has(id))
  const touched = changed.length + gone.length
  if (touched > MOST_CHANGED * before.holdings.size) return null
  const moves: Record<string, number> = {}
  after.prices.forEach((price, i) => {
    if (price !== before.prices[i]) moves[(after.assets[i] as BookAsset).asset] = (price as number) / (made[i] as number) / (book.price[i] as number) - 1
  })
  const prices = Object.keys(moves).length
  if (prices > 0) movePrices(book, moves)
  if (after.assets.some(({ impact, maxImpact }, i) => impact !== before.assets[i]?.impact || maxImpact !== before.assets[i]?.maxImpact)) setImpacts(book, after.assets)
  try {
    if (touched > 0) updateAccounts(book, [...accountsOf(changed), ...gone.map(emptied)])
  } catch (error) {
    // Its spare room is used up.
    if (error instanceof BadInputError) return null
    throw error
  }
  return { way: touched + prices === 0 ? 'same' : 'updated', accounts: touched, prices }
}

/** `threads`: as many as there are cores where left out. The threads start with the first question. */
export function createEngine({ threads }: { readonly threads?: number } = {}): Engine {
  let pool: Promise<StressPool> | undefined
  let kept: { readonly digest: string; readonly book: AccountBook; readonly made: readonly (number | null)[]; readonly standing: Standing } | null = null
  let turn: Promise<unknown> = Promise.resolve()

  const current = (of: { readonly digest: string; readonly context: RunContext }): { book: AccountBook; synced: Synced } => {
    if (kept?.digest === of.digest) return { book: kept.book, synced: { way: 'same', accounts: 0, prices: 0 } }
    const standing = standingOf(of.context)
    if (kept !== null) {
      const { book, made, standing: before } = kept
      // A fault on the way leaves a book that is neither; the next question makes a new one.
      kept = null
      const synced = follow(book, made, before, standing, (accounts) => stressAccounts(of.context, accounts))
      if (synced !== null) {
        kept = { digest: of.digest, book, made, standing }
        return { book, synced }
      }
    }
    const accounts = stressAccounts(of.context)
    const { fullBelow, partialShare, wholeUpTo } = curieLiquidationRules(0)
    const book = createAccountBook(accounts, { assets: standing.assets, rules: { fullBelow, partialShare, wholeUpTo } })
    kept = { digest: of.digest, book, made: standing.prices, standing }
    return { book, synced: { way: 'made', accounts: accounts.length, prices: standing.prices.length } }
  }

  return {
    withBook: (of, use) => {
      // One after another: the next may want the book of another block.
      const mine = turn.then(async () => {
        const { book, synced } = current(of)
        pool ??= createStressPool(threads === undefined ? {} : { threads })
        return use(book, await pool, synced)
      })
      turn = mine.catch(() => {})
      return mine
    },
    close: async () => {
      await turn
      if (pool !== undefined) await (await pool).close()
    },
  }
}
