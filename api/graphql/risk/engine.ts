/** The book of accounts that this process keeps current from block to block, and stress over it on threads. It runs beside the server, never in it (desk.ts). */
import { isDeepStrictEqual } from 'node:util'
import { BadInputError } from '../../../core/errors.ts'
import { toFloat } from '../../../core/units.ts'
import { createStressPool, type StressPool } from '../../engine/pool.ts'
import { shockFrom, stressAccounts, type RunContext } from '../../recommendations/context.ts'
import type { RunInputs } from '../../recommendations/index.ts'
import {
  createAccountBook, dailyVolatility, impactCoefficient, movePrices, setImpacts, updateAccounts,
  type AccountBook, type BookAsset, type BookRules, type BookScenario, type StressAccount, type StressScenario,
} from '../../risk/index.ts'

type AccountInput = RunInputs['accounts'][number]
type RangeInput = RunInputs['markets'][number]['ranges'][number]

type PlacedRange = { readonly market: string; readonly range: RangeInput }
const NONE: readonly PlacedRange[] = []

/** Everything that the accounts are valued with. */
type Standing = {
  /** What accounts hold, as the index says it: raw amounts, so that a price that moved is no change of an account. */
  readonly accounts: readonly AccountInput[]
  readonly ranges: ReadonlyMap<string, readonly PlacedRange[]>
  readonly assets: readonly BookAsset[]
  /** Quote per unit by asset; null where there is none. */
  readonly prices: readonly (number | null)[]
  /** What governance says of every account: a change of it leaves no account as it was. */
  readonly governed: { readonly maintenanceMargin: number; readonly rules: BookRules; /** By collateral, in the order of assets; null where nobody holds it. */ readonly weights: readonly (readonly [collateralRatio: number, discount: number] | null)[] }
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
  const ranges = new Map<string, PlacedRange[]>()
  for (const market of inputs.markets) {
    for (const range of market.ranges) {
      const own = ranges.get(range.account)
      if (own === undefined) ranges.set(range.account, [{ market: market.id, range }])
      else own.push({ market: market.id, range })
    }
  }
  const held = new Set<string>()
  for (const account of inputs.accounts) for (const { asset } of account.collaterals) held.add(asset)
  const { fullBelow, partialShare, wholeUpTo, penalty } = context.liquidationRules()
  const { collateralRatio, collateralDiscount, maintenanceMargin } = context.names
  return {
    accounts: inputs.accounts,
    ranges,
    assets: bookAssets(context),
    prices: [
      ...context.markets.map((facts) => facts.indexPrice),
      ...inputs.collaterals.map(({ id, oracle }) => (oracle === null || !held.has(id) ? null : toFloat(BigInt(oracle.priceE18), 18))),
    ],
    governed: {
      maintenanceMargin: context.protocolRatio(maintenanceMargin),
      rules: { fullBelow, partialShare, wholeUpTo, penalty },
      // Asked for where somebody holds the token alone: elsewhere they may be unknown.
      weights: inputs.collaterals.map(({ id }) => (held.has(id) ? [context.ratio(collateralRatio, id), context.ratio(collateralDiscount, id)] : null)),
    },
  }
}

const sameHoldings = (a: AccountInput, b: AccountInput): boolean =>
  a.settlementBalance === b.settlementBalance && a.owedRealizedPnlE18 === b.owedRealizedPnlE18 && sameLists(a.positions, b.positions) && sameLists(a.collaterals, b.collaterals)

const sameRanges = (a: readonly PlacedRange[], b: readonly PlacedRange[]): boolean => a.length === b.length && a.every(({ market, range }, i) => market === b[i]?.market && sameFields(range, b[i]?.range))

function sameLists<T extends object>(a: readonly T[], b: readonly T[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!sameFields(a[i] as T, b[i])) return false
  return true
}

function sameFields<T extends object>(a: T, b: T | undefined): boolean {
  if (b === undefined) return false
  for (const key in a) if (a[key] !== b[key]) return false
  return true
}

/** Accounts that changed or are new, and ids of those that are gone, in one walk: both lists are in the order of their ids. One that is out of order counts as changed. */
function differences(before: Standing, after: Standing): { readonly changed: readonly AccountInput[]; readonly gone: readonly string[] } {
  const changed: AccountInput[] = []
  const gone: string[] = []
  for (let i = 0, j = 0; i < before.accounts.length || j < after.accounts.length; ) {
    const [a, b] = [before.accounts[i], after.accounts[j]]
    if (a !== undefined && b !== undefined && a.id === b.id) {
      if ((a !== b && !sameHoldings(a, b)) || (after.ranges.size + before.ranges.size > 0 && !sameRanges(before.ranges.get(a.id) ?? NONE, after.ranges.get(a.id) ?? NONE))) changed.push(b)
      i++
      j++
    } else if (b === undefined || (a !== undefined && a.id < b.id)) {
      gone.push((a as AccountInput).id)
      i++
    } else {
      changed.push(b)
      j++
    }
  }
  const here = new Set(changed.map((account) => account.id))
  return { changed, gone: gone.filter((id) => !here.has(id)) }
}

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
  if (!isDeepStrictEqual(after.governed, before.governed) || after.assets.length !== before.assets.length || after.assets.some(({ asset }, i) => asset !== before.assets[i]?.asset)) return null
  if (after.prices.some((price, i) => (price === null) !== (made[i] === null) || (price !== null && !(price > 0 && (made[i] as number) > 0)))) return null
  const { changed, gone } = differences(before, after)
  const touched = changed.length + gone.length
  if (touched > MOST_CHANGED * before.accounts.length) return null
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
    const book = createAccountBook(accounts, { assets: standing.assets, rules: standing.governed.rules })
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
