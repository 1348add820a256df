/** Every account of a book in every order: one column of numbers for each figure, an order made when it is first asked for, a page a slice of it. */
import { abs, E18 } from '../../core/units.ts'
import type { Health, MarginTier } from '../../protocols/adapter.ts'
import type { Holding } from '../mirror/margins.ts'

/** Figures that accounts stand by. E18 of a ratio, quote or count; null where there is none. */
const FIGURES = {
  MARGIN_RATIO: (_, health) => health?.marginRatioE18 ?? null,
  DISTANCE_TO_LIQUIDATION: (_, health) => health?.distanceE18 ?? null,
  ACCOUNT_VALUE: (_, health) => health?.accountValueE18 ?? null,
  POSITION_VALUE: ({ exposed }, health) => (exposed ? (health?.totalAbsPositionValueE18 ?? null) : null),
  LEVERAGE: ({ exposed }, health) => (exposed && health !== null && health.accountValueE18 > 0n ? (health.totalAbsPositionValueE18 * E18) / health.accountValueE18 : null),
  FREE_COLLATERAL: (_, health) => health?.freeCollateralImE18 ?? null,
  MAINTENANCE_MARGIN: ({ exposed }, health) => (exposed ? (health?.marginRequirementE18 ?? null) : null),
  UNREALIZED_PNL: ({ exposed }, health) => (exposed ? (health?.unrealizedPnlE18 ?? null) : null),
  BAD_DEBT: ({ badDebtE18 }) => badDebtE18,
  LIQUIDATIONS: ({ liquidationCount }) => BigInt(liquidationCount) * E18,
} satisfies Record<string, (holding: Holding, health: Health | null) => bigint | null>

type Figure = keyof typeof FIGURES
export type AccountOrder = Figure | 'ID'
/** null: what a risk analyst looks at first comes first. */
export type Direction = 'ASC' | 'DESC' | null | undefined

/** Upwards where no direction is named; the others downwards. */
const ASCENDING: ReadonlySet<AccountOrder> = new Set(['MARGIN_RATIO', 'DISTANCE_TO_LIQUIDATION', 'FREE_COLLATERAL', 'UNREALIZED_PNL', 'ID'])
export const isDescending = (order: AccountOrder, direction: Direction): boolean => (direction == null ? !ASCENDING.has(order) : direction === 'DESC')

/** Of each that is given, an account must pass all. Addresses in lower case. */
export type AccountFilter = {
  readonly prefix?: string
  /** Market in which it has a position or a range. */
  readonly market?: string
  /** In that market, or in any where none is named: a position of this side. */
  readonly side?: 'LONG' | 'SHORT'
  readonly collateral?: string
  readonly tiers?: readonly MarginTier[]
  readonly liquidatable?: boolean
  readonly withPositions?: boolean
  /** Quote. */
  readonly minPositionValue?: number
  readonly unknown?: boolean
}

/** A place in an order: group (0 known, 1 unknown, 2 none by nature), the figure as it is sorted upwards, id. */
export type Place = readonly [group: string, rank: string, id: string]

export type Standings = {
  readonly ids: readonly string[]
  /** Accounts with positions whose margin is unknown. */
  readonly unknown: number
  /** Places in `ids` of all: known figures first, then unknown ones, then accounts that have none, both by id. */
  order(order: AccountOrder, direction: Direction): Uint32Array
  /** The same of those that pass. */
  list(order: AccountOrder, direction: Direction, filter: AccountFilter): Uint32Array
  /** First of a list that comes after a place. */
  after(list: Uint32Array, order: AccountOrder, direction: Direction, place: readonly string[]): number
}

const SIDE = { LONG: 1, SHORT: 2 } as const
const TIERS: readonly MarginTier[] = ['HEALTHY', 'WARN', 'PARTIAL', 'FULL', 'BAD_DEBT']
const UNKNOWN = 255
const NONE = 254
/** Filtered lists kept. */
const LISTS = 32

export async function createStandings(holdings: readonly Holding[], work: AsyncIterable<readonly (readonly [Holding, Health | null])[]>, asked: (order: AccountOrder, direction: Direction) => void): Promise<Standings> {
  const count = holdings.length
  const ids = holdings.map(({ id }) => id)
  const figures = Object.entries(FIGURES) as [Figure, (holding: Holding, health: Health | null) => bigint | null][]
  // Order is that of float64, which a difference in the seventeenth digit does not reach; then that of ids.
  const columns = Object.fromEntries(figures.map(([name]) => [name, new Float64Array(count).fill(NaN)])) as Record<Figure, Float64Array>
  const tier = new Uint8Array(count).fill(NONE)
  const liquidatable = new Uint8Array(count)
  const exposed = new Uint8Array(count)
  /** By market: 1 long, 2 short, 4 in ranges; by collateral: 1. */
  const held = new Map<string, Uint8Array>()
  const mark = (of: string, index: number, bits: number): void => {
    let flags = held.get(of)
    if (flags === undefined) held.set(of, (flags = new Uint8Array(count)))
    flags[index] = (flags[index] ?? 0) | bits
  }
  const markets = new Set<string>()

  let index = 0
  let unknown = 0
  for await (const margins of work) {
    for (const [holding, health] of margins) {
      for (const [name, of] of figures) {
        const figure = of(holding, health)
        if (figure !== null) columns[name][index] = Number(figure)
      }
      exposed[index] = holding.exposed ? 1 : 0
      if (holding.exposed) tier[index] = health === null ? UNKNOWN : TIERS.indexOf(health.tier)
      if (holding.exposed && health === null) unknown++
      liquidatable[index] = health?.liquidatable === true ? 1 : 0
      for (const { marketId, rawSizeE18 } of holding.states.positions) {
        markets.add(marketId)
        // Below 10 wei it is dust, which the protocol counts as none.
        if (abs(rawSizeE18) >= 10n) mark(marketId, index, rawSizeE18 > 0n ? SIDE.LONG : SIDE.SHORT)
      }
      for (const { marketId } of holding.states.ranges) {
        markets.add(marketId)
        mark(marketId, index, 4)
      }
      for (const { assetId } of holding.states.balances) mark(assetId, index, 1)
      index++
    }
  }

  /** 0 its figure is known, 1 unknown, 2 it has none by nature. */
  const groupOf = (order: AccountOrder, at: number): 0 | 1 | 2 => (order === 'ID' || !Number.isNaN(columns[order][at]) ? 0 : exposed[at] === 1 ? 1 : 2)
  /** What is sorted upwards. */
  const rankOf = (order: AccountOrder, at: number, descending: boolean): number => (order === 'ID' ? 0 : ((columns[order][at] ?? 0) * (descending ? -1 : 1)))

  const orders = new Map<string, Uint32Array>()
  const orderOf = (order: AccountOrder, direction: Direction): Uint32Array => {
    const descending = isDescending(order, direction)
    const name = `${order} ${descending}`
    const made = orders.get(name)
    if (made !== undefined) return made
    const places = new Uint32Array(count)
    const column = order === 'ID' ? null : columns[order]
    let next = 0
    for (let at = 0; at < count; at++) if (column === null || !Number.isNaN(column[at])) places[next++] = at
    const known = places.subarray(0, next)
    if (column !== null) sortBy(column, known, descending)
    else if (descending) known.reverse()
    for (const wanted of [1, 0]) for (let at = 0; column !== null && at < count; at++) if (Number.isNaN(column[at]) && exposed[at] === wanted) places[next++] = at
    orders.set(name, places)
    return places
  }

  const lists = new Map<string, Uint32Array>()
  const passes = (filter: AccountFilter): ((at: number) => boolean) => {
    const nobody = new Uint8Array(count)
    const inMarket = filter.market === undefined ? [...markets].map((id) => held.get(id) ?? nobody) : [held.get(filter.market) ?? nobody]
    const bits = filter.side === undefined ? 7 : SIDE[filter.side]
    const holds = filter.collateral === undefined ? null : (held.get(filter.collateral) ?? nobody)
    const tiers = filter.tiers === undefined ? null : new Set(filter.tiers.map((one) => TIERS.indexOf(one)))
    const { prefix, minPositionValue = 0 } = filter
    const least = minPositionValue * 1e18
    return (at) =>
      (filter.withPositions === undefined || (exposed[at] === 1) === filter.withPositions) &&
      (filter.liquidatable === undefined || (liquidatable[at] === 1) === filter.liquidatable) &&
      (filter.unknown === undefined || (tier[at] === UNKNOWN) === filter.unknown) &&
      (tiers === null || tiers.has(tier[at] as number)) &&
      (least <= 0 || (columns.POSITION_VALUE[at] as number) >= least) &&
      (holds === null || holds[at] === 1) &&
      ((filter.market === undefined && filter.side === undefined) || inMarket.some((flags) => ((flags[at] as number) & bits) !== 0)) &&
      (prefix === undefined || (ids[at] as string).startsWith(prefix))
  }

  return {
    ids,
    unknown,
    order: orderOf,
    list: (order, direction, filter) => {
      asked(order, direction)
      if (Object.keys(filter).length === 0) return orderOf(order, direction)
      const name = `${order} ${isDescending(order, direction)} ${JSON.stringify(Object.entries(filter).toSorted(([a], [b]) => (a < b ? -1 : 1)))}`
      const made = lists.get(name) ?? orderOf(order, direction).filter(passes(filter))
      lists.delete(name)
      lists.set(name, made)
      for (const old of [...lists.keys()].slice(0, -LISTS)) lists.delete(old)
      return made
    },
    after: (list, order, direction, [group = '0', rank = '0', id = '']) => {
      const descending = isDescending(order, direction)
      const [wanted, value] = [Number(group), Number(rank)]
      const comesAfter = (at: number): boolean => {
        const own = groupOf(order, at)
        if (own !== wanted) return own > wanted
        const one = ids[at] as string
        if (order === 'ID') return descending ? one < id : one > id
        const ownRank = own === 0 ? rankOf(order, at, descending) : 0
        return own === 0 && ownRank !== value ? ownRank > value : one > id
      }
      let [low, high] = [0, list.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if (comesAfter(list[middle] as number)) high = middle
        else low = middle + 1
      }
      return low
    },
  }
}

/**
 * Sorts places by their numbers, those of equal ones staying as they are: by the 64 bits of each, 16 at a time from the lowest, which takes some
 * milliseconds for 100,000 where a comparison of each with each other takes ten times as many.
 */
function sortBy(column: Float64Array, places: Uint32Array, descending: boolean): void {
  const bits = new Uint16Array(column.length * 4)
  const floats = new Float64Array(bits.buffer)
  const count = places.length
  for (let i = 0; i < count; i++) {
    const at = places[i] as number
    // −0 equals 0.
    floats[at] = (column[at] as number) + 0
    // As whole numbers, floats are in order once the sign of positive ones, and every bit of negative ones, is turned.
    const negative = ((bits[at * 4 + 3] as number) & 0x8000) !== 0
    for (let part = 0; part < 4; part++) bits[at * 4 + part] = (bits[at * 4 + part] as number) ^ (negative ? 0xffff : part === 3 ? 0x8000 : 0) ^ (descending ? 0xffff : 0)
  }
  let [from, to] = [places.slice(), new Uint32Array(count)]
  const starts = new Uint32Array(65_537)
  for (let part = 0; part < 4; part++) {
    starts.fill(0)
    for (let i = 0; i < count; i++) {
      const value = bits[(from[i] as number) * 4 + part] as number
      starts[value + 1] = (starts[value + 1] as number) + 1
    }
    for (let value = 0; value < 65_536; value++) starts[value + 1] = (starts[value + 1] as number) + (starts[value] as number)
    for (let i = 0; i < count; i++) {
      const at = from[i] as number
      const value = bits[at * 4 + part] as number
      const place = starts[value] as number
      to[place] = at
      starts[value] = place + 1
    }
    ;[from, to] = [to, from]
  }
  places.set(from)
}

/** Where an account stands in an order: what a cursor names. */
export function placeOf(order: AccountOrder, direction: Direction, holding: Holding, health: Health | null): Place {
  if (order === 'ID') return ['0', '0', holding.id]
  const figure = FIGURES[order](holding, health)
  if (figure === null) return [holding.exposed ? '1' : '2', '0', holding.id]
  return ['0', String(isDescending(order, direction) ? -figure : figure), holding.id]
}
