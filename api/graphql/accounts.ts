/** The table of accounts, and what an account's page asks beside its margin: what moves it to liquidation, and what happened to it. */
import { setImmediate as turn } from 'node:timers/promises'
import { abs, E18, formatUnits, max, mulDiv, toE18, toFloat } from '../../core/units.ts'
import { BadInputError } from '../../core/errors.ts'
import type { Health } from '../../protocols/adapter.ts'
import type { Context } from './context.ts'
import type { AccountEventKind, AccountRowResolvers, AccountTableResolvers, MarginTier, QueryResolvers } from './generated/resolvers.ts'
import { olderThan, tableOf, type AccountListArgs, type AccountRowNode } from './lists.ts'
import type { AccountBook } from './margins.ts'
import { e18, integer } from './model.ts'
import type { AccountNode, AmountNode, MarketNode } from './model.ts'
import { checkFirst, page, type PageArgs, type PageSource } from './paging.ts'
import type { Answer } from './risk/answer.ts'

// ─── Table ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type AccountTableNode = { readonly book: AccountBook; readonly totalCount: number; readonly rows: readonly AccountRowNode[] }

/** Beyond it no list reaches. */
const LARGEST_OFFSET = 2 ** 31 - 1

export const accountTable: NonNullable<QueryResolvers<Context>['accountTable']> = async (_, args, context) => {
  const first = checkFirst(args.first ?? 100)
  const offset = args.offset ?? 0
  if (!Number.isInteger(offset) || offset < 0 || offset > LARGEST_OFFSET) throw new BadInputError(`Found offset: ${offset}, allowed is a row's number from 0; choose one below totalCount`, { field: 'offset', offset })
  const table = await tableOf(context, args)
  return table && { book: table.book, totalCount: table.count, rows: table.rows(offset, first) }
}

export const accountTableFields: AccountTableResolvers<Context> = {
  block: ({ book }) => book.block,
  rows: ({ rows }) => [...rows],
}

const amountOf = (pick: (health: Health) => bigint, ofExposed = false) => ({ holding, health }: AccountRowNode): AmountNode | null => (health === null || (ofExposed && !holding.exposed) ? null : e18(pick(health)))
const ratioOf = (valueE18: bigint | null | undefined): number | null => (valueE18 == null ? null : toFloat(valueE18, 18))

export const accountRowFields: AccountRowResolvers<Context> = {
  account: ({ holding }) => holding.id,
  accountValue: amountOf((health) => health.accountValueE18),
  positionValue: amountOf((health) => health.totalAbsPositionValueE18, true),
  maintenanceMargin: amountOf((health) => health.marginRequirementE18, true),
  freeCollateral: amountOf((health) => health.freeCollateralImE18),
  unrealizedPnl: amountOf((health) => health.unrealizedPnlE18, true),
  marginRatio: ({ health }) => ratioOf(health?.marginRatioE18),
  distanceToLiquidation: ({ health }) => ratioOf(health?.distanceE18),
  leverage: leverageOf,
  tier: ({ holding, health }) => (holding.exposed ? ((health?.tier ?? null) as MarginTier | null) : null),
  liquidatable: ({ holding, health }) => (holding.exposed ? (health?.liquidatable ?? null) : null),
  exactness: ({ health }) => health?.exactness ?? null,
  // Of a kept block, a page asks the database for nothing.
  positions: ({ health }, _, { deployment }) =>
    (health?.positions ?? []).map(({ market, totalSizeE18 }) => {
      const id = market.toLowerCase()
      return { market: id, symbol: deployment.markets.find(({ baseToken }) => baseToken.toLowerCase() === id)?.symbol ?? id, size: e18(totalSizeE18) }
    }),
  liquidationCount: ({ holding }) => holding.liquidationCount,
  badDebt: ({ holding }) => e18(holding.badDebtE18),
  unknownMargin: ({ holding, health }) => holding.exposed && health === null,
}

function leverageOf({ holding, health }: AccountRowNode): number | null {
  return !holding.exposed || health === null || health.accountValueE18 <= 0n ? null : toFloat(health.totalAbsPositionValueE18, 18) / toFloat(health.accountValueE18, 18)
}

// ─── CSV ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The unit stands in the head; quote is the settlement token's. Amounts are exact decimals. */
const CSV_HEAD = ['account', 'account value (quote)', 'position value (quote)', 'maintenance margin (quote)', 'free collateral (quote)', 'unrealised PnL (quote)', 'margin ratio (fraction)', 'distance to liquidation (fraction)', 'leverage (ratio)', 'tier', 'liquidatable', 'positions (base by market)', 'liquidations (count)', 'bad debt (quote)', 'margin unknown', 'block', 'block time (UTC)']
const CSV_AT_ONCE = 200

/** Lines of the whole list and the number of its block, a few hundred rows at a time. Throws BadInputError and NotFoundError before the first. */
export async function accountsCsv(context: Context, args: AccountListArgs & { readonly block?: string | null }): Promise<{ readonly block: bigint; readonly lines: AsyncGenerator<string> } | null> {
  const table = await tableOf(context, args)
  if (table === null) return null
  const symbols = new Map([...(await context.markets()).values()].map(({ id, symbol }) => [id, symbol]))
  const { book: { block }, count } = table
  const at = `${block.number},${new Date(Number(block.timestamp) * 1000).toISOString()}`
  const decimal = (raw: bigint | null | undefined): string => (raw == null ? '' : formatUnits(raw, 18))
  const line = (row: AccountRowNode): string => {
    const { holding, health } = row
    const own = holding.exposed ? health : null
    return [
      holding.id, decimal(health?.accountValueE18), decimal(own?.totalAbsPositionValueE18), decimal(own?.marginRequirementE18), decimal(health?.freeCollateralImE18), decimal(own?.unrealizedPnlE18),
      decimal(own?.marginRatioE18), decimal(own?.distanceE18), leverageOf(row) ?? '', own?.tier ?? '', own?.liquidatable ?? '',
      (own?.positions ?? []).map(({ market, totalSizeE18 }) => `${symbols.get(market.toLowerCase()) ?? market} ${decimal(totalSizeE18)}`).join('; '), holding.liquidationCount, decimal(holding.badDebtE18), holding.exposed && health === null, at,
    ].join(',')
  }
  const lines = async function* (): AsyncGenerator<string> {
    yield `${CSV_HEAD.join(',')}\r\n`
    for (let offset = 0; offset < count; offset += CSV_AT_ONCE) {
      yield table.rows(offset, CSV_AT_ONCE).map((row) => `${line(row)}\r\n`).join('')
      await turn()
    }
  }
  return { block: block.number, lines: lines() }
}

// ─── What moves it ─────────────────────────────────────────────────────────────────────────────────────────────────

const MOVES: readonly number[] = Array.from({ length: 21 }, (_, i) => (i - 10) / 20)
const MOST_MOVES = 101

type Move = Answer<'AccountMove'>

/** Value and requirement as straight lines in a change of prices: value + change · `exposure`, requirement + change · `weight`. */
type Lines = { readonly valueE18: bigint; readonly requirementE18: bigint; readonly exposureE18: bigint; readonly weightE18: bigint }

export async function movesOf(row: AccountNode, { changes }: { readonly changes?: readonly number[] | null | undefined }, context: Context): Promise<Move[] | null> {
  const asked = changes ?? MOVES
  if (asked.length > MOST_MOVES) throw new BadInputError(`Found ${asked.length} changes, allowed are at most ${MOST_MOVES}; ask for fewer`, { field: 'changes' })
  for (const [i, change] of asked.entries()) if (!(change > -1 && change <= 100)) throw new BadInputError(`Found a change of ${change}, allowed is a fraction above −1 and at most 100 (0.05 is 5 %); correct it`, { field: `changes.${i}` })
  const health = await context.healthOf(row)
  if (health === null) return null
  const [markets, ranges] = [await context.markets(), await context.rangesOf.load(row.id)]
  const [valueE18, requirementE18, grossE18] = [health.accountValueE18, health.marginRequirementE18, health.totalAbsPositionValueE18]
  const alone = health.positions.flatMap((position): Move[] => {
    const market = markets.get(position.market.toLowerCase())
    if (market === undefined) return []
    const made = ranges.some(({ marketId }) => marketId === market.id)
    const unknown =
      market.state !== 'OPEN' ? `${market.symbol} is ${market.state.toLowerCase()}: its price no longer moves`
      : made ? `It has liquidity in ${market.symbol}, whose position changes with the price`
      : null
    const absolute = abs(position.positionValueE18)
    return [moveOf(market, { valueE18, requirementE18, exposureE18: position.positionValueE18, weightE18: grossE18 === 0n ? 0n : mulDiv(requirementE18, absolute, grossE18) }, asked, unknown)]
  })
  if (alone.length === 0) return []
  const exposureE18 = health.positions.reduce((sum, { positionValueE18 }) => sum + positionValueE18, health.nonSettlementTokenValueE18)
  const together = moveOf(null, { valueE18, requirementE18, exposureE18, weightE18: requirementE18 }, asked, alone.find(({ unknown }) => unknown !== null)?.unknown ?? null)
  return [...alone, together]
}

function moveOf(market: MarketNode | null, lines: Lines, changes: readonly number[], unknown: string | null): Move {
  if (unknown !== null) return { market, liquidationChange: null, bankruptcyChange: null, points: [], unknown }
  const { valueE18, requirementE18, exposureE18, weightE18 } = lines
  return {
    market,
    liquidationChange: rootOf(valueE18 - requirementE18, exposureE18 - weightE18),
    bankruptcyChange: rootOf(valueE18, exposureE18),
    points: changes.map((change) => {
      const changeE18 = BigInt(Math.round(change * 1e9)) * 10n ** 9n
      return { change, accountValue: e18(valueE18 + mulDiv(exposureE18, changeE18, E18)), maintenanceMargin: e18(max(0n, requirementE18 + mulDiv(weightE18, changeE18, E18))) }
    }),
    unknown: null,
  }
}

/** Where a + change · b is 0; null where it never is, or only for prices of 0 or below. */
function rootOf(a: bigint, b: bigint): number | null {
  if (b === 0n) return null
  const change = toFloat(mulDiv(-a, E18, b), 18)
  return change > -1 ? change : null
}

// ─── History ───────────────────────────────────────────────────────────────────────────────────────────────────────

type Event = Answer<'AccountEvent'>
type Found = { readonly blockNumber: bigint; readonly logIndex: number; readonly id: string; readonly event: Event }

const NOTHING = { market: null, size: null, notional: null, price: null, fee: null, realizedPnl: null, sizeAfter: null, amount: null, token: null, settled: null, liquidator: null, lowerTick: null, upperTick: null }
const KINDS: readonly AccountEventKind[] = ['TRADE', 'LIQUIDATION', 'COLLATERAL_LIQUIDATION', 'DEPOSIT', 'WITHDRAWAL', 'BAD_DEBT', 'LIQUIDITY', 'FUNDING']

export async function historyOf(account: AccountNode, args: PageArgs & { readonly kinds?: readonly AccountEventKind[] | null | undefined }, context: Context) {
  if (args.kinds?.length === 0) throw new BadInputError('Found no kind in `kinds`, allowed is at least one; leave `kinds` out for all of them', { field: 'kinds' })
  const kinds = new Set(args.kinds ?? KINDS)
  const markets = await context.markets()
  const collaterals = await context.collaterals()
  const settlement = context.deployment.settlementToken
  const settles = (token: string): boolean => token === settlement.address.toLowerCase()
  const settled = (raw: bigint): AmountNode => ({ raw, decimals: settlement.decimals })
  const e18Of = (raw: { toFixed(places: number): string }): AmountNode => e18(integer(raw))
  const marketOf = (id: string) => markets.get(id) ?? null
  const tokenOf = (id: string): { readonly symbol: string; readonly decimals: number } => {
    if (settles(id)) return settlement
    return collaterals.get(id) ?? { symbol: id, decimals: 0 }
  }
  const priceOf = (notional: bigint, size: bigint): AmountNode | null => (size === 0n ? null : e18(abs((notional * E18) / size)))
  type Fact = { readonly id: string; readonly blockNumber: bigint; readonly timestamp: bigint; readonly transactionHash: string; readonly logIndex: number }
  const found = (fact: Fact, kind: AccountEventKind, more: Partial<Event>): Found => {
    const { id, blockNumber, logIndex, timestamp, transactionHash } = fact
    return { id, blockNumber, logIndex, event: { ...NOTHING, ...more, id: `${kind}:${id}`, kind, block: blockNumber, timestamp, transactionHash } }
  }

  type Where = object
  type Reader = { readonly kinds: readonly AccountEventKind[]; read(where: Where, take: number): Promise<Found[]>; count(where: Where): Promise<number> }
  const db = await context.db()
  const order = [{ blockNumber: 'desc' as const }, { logIndex: 'desc' as const }, { id: 'desc' as const }]
  const readers: Reader[] = [
    {
      kinds: ['TRADE'],
      read: async (where, take) =>
        (await db.positionChange.findMany({ where, orderBy: order, take })).map((row) => {
          const [size, notional] = [integer(row.sizeDeltaE18), integer(row.notionalDeltaE18)]
          return found(row, 'TRADE', { market: marketOf(row.marketId), size: e18(size), notional: e18(notional), price: priceOf(notional, size), fee: e18Of(row.feeE18), realizedPnl: e18Of(row.realizedPnlE18), sizeAfter: e18Of(row.sizeAfterE18) })
        }),
      count: (where) => db.positionChange.count({ where }),
    },
    {
      kinds: ['LIQUIDATION'],
      read: async (where, take) =>
        (await db.liquidation.findMany({ where, orderBy: order, take })).map((row) => {
          const [size, notional] = [integer(row.sizeE18), integer(row.notionalE18)]
          return found(row, 'LIQUIDATION', { market: marketOf(row.marketId), size: e18(size), notional: e18(notional), price: priceOf(notional, size), fee: e18Of(row.penaltyE18), sizeAfter: e18Of(row.sizeAfterE18), liquidator: row.liquidator })
        }),
      count: (where) => db.liquidation.count({ where }),
    },
    {
      kinds: ['COLLATERAL_LIQUIDATION'],
      read: async (where, take) =>
        (await db.collateralLiquidation.findMany({ where, orderBy: order, take })).map((row) => {
          const { symbol, decimals } = tokenOf(row.token)
          const fee = integer(row.insuranceFundFee)
          return found(row, 'COLLATERAL_LIQUIDATION', { amount: { raw: integer(row.amount), decimals }, token: symbol, settled: settled(integer(row.repaid) + fee), fee: e18(toE18(fee, settlement.decimals)), liquidator: row.liquidator })
        }),
      count: (where) => db.collateralLiquidation.count({ where }),
    },
    {
      kinds: ['DEPOSIT', 'WITHDRAWAL'],
      read: async (where, take) =>
        (await db.collateralChange.findMany({ where, orderBy: order, take })).map((row) => {
          const { symbol, decimals } = tokenOf(row.token)
          const amount = integer(row.amount)
          const kind = row.kind === 'DEPOSIT' ? 'DEPOSIT' : 'WITHDRAWAL'
          return found(row, kind, { amount: { raw: amount, decimals }, token: symbol, settled: settles(row.token) ? settled(kind === 'DEPOSIT' ? amount : -amount) : null })
        }),
      count: (where) => db.collateralChange.count({ where }),
    },
    {
      kinds: ['BAD_DEBT'],
      read: async (where, take) => (await db.badDebt.findMany({ where, orderBy: order, take })).map((row) => found(row, 'BAD_DEBT', { amount: settled(integer(row.amount)), token: settlement.symbol, settled: settled(integer(row.amount)) })),
      count: (where) => db.badDebt.count({ where }),
    },
    {
      kinds: ['LIQUIDITY'],
      read: async (where, take) =>
        (await db.liquidityChange.findMany({ where, orderBy: order, take })).map((row) => found(row, 'LIQUIDITY', { market: marketOf(row.marketId), size: e18Of(row.baseDeltaE18), notional: e18Of(row.quoteDeltaE18), fee: e18Of(row.feeE18), lowerTick: row.lowerTick, upperTick: row.upperTick })),
      count: (where) => db.liquidityChange.count({ where }),
    },
    {
      kinds: ['FUNDING'],
      read: async (where, take) => (await db.fundingPayment.findMany({ where, orderBy: order, take })).map((row) => found(row, 'FUNDING', { market: marketOf(row.marketId), notional: e18Of(row.amountE18) })),
      count: (where) => db.fundingPayment.count({ where }),
    },
  ]
  const asked = readers.filter((one) => one.kinds.some((kind) => kinds.has(kind)))
  const own = (reader: Reader): Where => {
    const [only] = reader.kinds.filter((kind) => kinds.has(kind))
    return { accountId: account.id, ...(reader.kinds.length > 1 && reader.kinds.some((kind) => !kinds.has(kind)) ? { kind: only === 'DEPOSIT' ? 'DEPOSIT' : 'WITHDRAW' } : {}) }
  }
  const newestFirst = (a: Found, b: Found): number => (a.blockNumber !== b.blockNumber ? (a.blockNumber > b.blockNumber ? -1 : 1) : b.logIndex - a.logIndex || (a.id > b.id ? -1 : 1))
  const places = new Map<Event, Found>()
  const source: PageSource<Event> = {
    list: `history of ${account.id}, newest first`,
    parts: ['int64', 'int32', 'text'],
    key: (event) => {
      const { blockNumber, logIndex, id } = places.get(event) as Found
      return [blockNumber.toString(), String(logIndex), id]
    },
    rows: async (key, take) => {
      const all: Found[] = []
      // One after the other: they share the request's transaction.
      for (const reader of asked) all.push(...(await reader.read(key === null ? own(reader) : { AND: [own(reader), olderThan(key)] }, take)))
      const newest = all.sort(newestFirst).slice(0, take)
      for (const one of newest) places.set(one.event, one)
      return newest.map(({ event }) => event)
    },
    total: async () => {
      let sum = 0
      for (const reader of asked) sum += await reader.count(own(reader))
      return sum
    },
  }
  return await page(source, args)
}
