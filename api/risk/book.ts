/**
 * A whole book of accounts as arrays of numbers in shared memory, so that threads and a WebAssembly kernel read it without a copy, and its
 * figures at today's prices, kept current account by account.
 *
 * **Where amounts become float64.** Accounts come as `StressAccount`: each amount is one `toFloat` of core/units.ts from the chain's integer, a
 * position's value the product of two; nothing here rounds to a unit. Error of an account's value with n positions and collaterals:
 * |error| ≤ (n + 4)·2^-52·(|cash| + Σ|position| + Σ|collateral|), for each of its two values. An account nearer to its requirement than that may fall on either side of it;
 * `account.ts` decides such a case in integers. Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §4.2.
 */
import { BadInputError } from '../../core/errors.ts'
import type { StressAccount } from './fund.ts'
import { amountsBetween, sqrtPriceAt } from './liquidity.ts'
import type { LiquidationRules } from './liquidation.ts'

/** Scenarios that are computed side by side. */
export const LANES = 32
/** Bytes of one row (one side of one asset) of a tile of scenarios. */
const ROW_BYTES = LANES * 8
/** Accounts whose figures are summed together; sums are added in this order whoever computes them. */
const BLOCK = 1024
/** Most memory that a book and a run over it may take: 32,768 pages are 2 GiB, addresses alone until used. */
export const MOST_PAGES = 32_768
const PAGE_BYTES = 65_536
/** A coefficient that is at `maxImpact` for whatever notional: a market whose volume is unknown. */
export const UNKNOWN_DEPTH = 1e200

/** A price of the book: a market's or a collateral's. */
export type BookAsset = {
  readonly asset: string
  /** k in: impact = min(maxImpact, k·√(notional / liquidity factor)), per √quote; `impactCoefficient` makes it. null where the depth is unknown: then always maxImpact. */
  readonly impact: number | null
  /** Fraction from 0 to 2/3. Beyond, a lower price would make a forced sale cheaper by more than it makes the position worth less. */
  readonly maxImpact: number
}

/** k = Y·σ_D / √V_D of the square-root impact, per √quote. σ_D fraction, V_D quote above 0. Source: as squareRootImpact. */
export function impactCoefficient({ dailyVolatility, dailyVolume, y = 1 }: { dailyVolatility: number; dailyVolume: number; y?: number }): number {
  if (!(dailyVolatility >= 0) || !(dailyVolume > 0) || !(y >= 0)) throw new BadInputError(`Found volatility ${dailyVolatility} and daily volume ${dailyVolume}, allowed are a volatility from 0 and a volume above 0; check the market's volume`)
  return (y * dailyVolatility) / Math.sqrt(dailyVolume)
}

/** What a book needs of a protocol's rules; `penalty` from 0 to 2/3. */
export type BookRules = Pick<LiquidationRules, 'fullBelow' | 'partialShare' | 'wholeUpTo' | 'penalty'>

/** A range with its ends as √price, and its price at the book's reference. */
type HeldRange = { readonly price: number; readonly lower: number; readonly upper: number; readonly liquidity: number; readonly baseDebt: number; readonly quoteDebt: number }

/** An account with liquidity: it moves with its prices on a curve, so it is computed apart. Amounts at the book's reference prices. */
type Maker = {
  readonly cash: number
  readonly margin: number
  readonly nets: readonly { readonly asset: number; readonly held: number; readonly ranges: readonly HeldRange[] }[]
  readonly collateral: readonly HeldCollateral[]
}

/** Collateral at the book's reference price: as it counts for margin, and as it pays. */
type HeldCollateral = { readonly asset: number; readonly counted: number; readonly recovered: number }

/** Figures of a book under one set of prices; quote and counts. */
export type BookFigures = {
  /** Σ account value (as it counts for margin) and Σ maintenance requirement of all accounts. */
  readonly value: number
  readonly requirement: number
  /** Accounts below their requirement, and their gross notional. */
  readonly liquidatable: number
  readonly liquidatableNotional: number
  /** Of it, what the rules let liquidators take at once: all of an account far below, a part of others. */
  readonly liquidatedNotional: number
  /** Σ of what accounts leave behind: max(0, closing cost − recoverable value) of a liquidatable one, max(0, −recoverable value) of others; its largest one and two; how many leave any. */
  readonly shortfall: number
  readonly cover1: number
  readonly cover2: number
  readonly accountsInLoss: number
}

/** Where each array lies in the memory, bytes. */
export type BookLayout = { readonly cash: number; readonly margin: number; readonly partial: number; readonly start: number; readonly middle: number; readonly end: number; readonly amount: number; readonly row: number; readonly cap: number; readonly free: number }

/** Made by `createAccountBook`; read it as you like, write it with the functions here alone. */
export type AccountBook = {
  readonly memory: WebAssembly.Memory
  readonly layout: BookLayout
  readonly rules: BookRules
  assets: readonly BookAsset[]
  /** Rows of a tile: asset i has row 2i for longs and collateral, 2i + 1 for shorts. */
  readonly rows: number
  readonly indexOf: ReadonlyMap<string, number>
  readonly ids: string[]
  readonly places: Map<string, number>
  accounts: number
  /** Entries in use, with the holes that accounts left which grew. */
  entries: number
  /** Runs that read the book now; it must not change under them. */
  readers: number
  /** True while a run has its place in the memory. */
  running: boolean
  /** Positions of all accounts, those of makers included. */
  positions: number
  readonly cash: Float64Array
  readonly margin: Float64Array
  /** Share that may be taken of an account that is below its requirement, yet not below fullBelow of it. */
  readonly partial: Float64Array
  /** An account's positions are the entries from start to middle, its collateral those from middle to end: two for each, what counts of it and what it recovers. */
  readonly start: Int32Array
  readonly middle: Int32Array
  readonly end: Int32Array
  /** Entries that an account may hold where it stands, and positions that it holds. */
  readonly room: Int32Array
  readonly held: Int32Array
  /** Signed notional or collateral value of an entry at the reference price, quote. */
  readonly amount: Float64Array
  /** Offset of its row in a tile, bytes. */
  readonly row: Int32Array
  /** maxImpact by row. */
  readonly cap: Float64Array
  /** Price now / reference price, by asset. */
  readonly price: Float64Array
  readonly makers: Map<number, Maker>
  /** Bit i mod 32 for each asset i of an account. */
  readonly touches: Uint32Array
  readonly base: { readonly value: Float64Array; readonly gross: Float64Array; readonly loss: Float64Array; readonly taken: Float64Array; readonly blocks: Float64Array }
}

/** An account at given prices: the value that decides and the one that pays, gross notional, cost of closing it (where it is due); `sides` are what a maker holds, by row. Overwritten by each call. */
export type Standing = { value: number; recoverable: number; gross: number; cost: number; margin: number; readonly sides: { row: number; held: number }[] }

/** Figures of a block and of a task, in this order. */
export const FIGURES = ['value', 'requirement', 'liquidatable', 'liquidatableNotional', 'shortfall', 'accountsInLoss', 'cover1', 'second'] as const
const BLOCK_FIGURES = FIGURES.length + 1

/**
 * A book of accounts.
 *
 * Positions of one account in one market are added up. `spare` is the share of room kept for accounts and positions to come (with at least 64 of
 * each). The arrays live in a shared WebAssembly memory. Throws BadInputError for an asset that `assets` does not name, an account id that comes
 * twice, a number that is not finite, a margin outside 0 to 1, an impact or rules outside their ranges.
 */
export function createAccountBook(accounts: readonly StressAccount[], options: { readonly assets: readonly BookAsset[]; readonly rules: BookRules; readonly spare?: number }): AccountBook {
  const { assets, rules, spare = 0.125 } = options
  checkAssets(assets)
  if (!(rules.fullBelow >= 0 && rules.fullBelow <= 1) || !(rules.partialShare > 0 && rules.partialShare <= 1) || !(rules.wholeUpTo >= 0) || !(rules.penalty >= 0 && rules.penalty <= 2 / 3)) {
    throw new BadInputError(`Found liquidation rules ${JSON.stringify(rules)}, allowed are shares from 0 to 1, amounts from 0 and a penalty from 0 to 2/3; correct the adapter`)
  }
  const indexOf = new Map(assets.map(({ asset }, i) => [asset, i]))
  if (indexOf.size !== assets.length) throw new BadInputError(`Found ${assets.length} assets with ${indexOf.size} names, allowed is one entry for each; merge them`)
  let entries = 0
  for (const account of accounts) entries += account.positions.length + 2 * account.collateral.length
  const roomFor = (n: number): number => n + Math.max(64, Math.ceil(n * spare))
  const accountRoom = roomFor(accounts.length)
  const entryRoom = roomFor(entries)
  const rows = 2 * assets.length
  let at = 64
  const place = (bytes: number): number => {
    const here = at
    at = (at + bytes + 63) & ~63
    return here
  }
  const layout = {
    cash: place(accountRoom * 8), margin: place(accountRoom * 8), partial: place(accountRoom * 8), start: place(accountRoom * 4), middle: place(accountRoom * 4), end: place(accountRoom * 4),
    amount: place(entryRoom * 8), row: place(entryRoom * 4), cap: place(rows * 8),
  }
  const pages = Math.ceil(at / PAGE_BYTES)
  if (pages > MOST_PAGES) throw new BadInputError(`Found a book of ${Math.ceil(at / 2 ** 20)} MiB, allowed are 2048; split it`)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: MOST_PAGES, shared: true })
  const { buffer } = memory
  const book: AccountBook = {
    memory, layout: { ...layout, free: at }, rules, assets, rows, indexOf,
    ids: [], places: new Map(), accounts: 0, entries: 0, readers: 0, running: false, positions: 0,
    cash: new Float64Array(buffer, layout.cash, accountRoom),
    margin: new Float64Array(buffer, layout.margin, accountRoom),
    partial: new Float64Array(buffer, layout.partial, accountRoom),
    start: new Int32Array(buffer, layout.start, accountRoom),
    middle: new Int32Array(buffer, layout.middle, accountRoom),
    end: new Int32Array(buffer, layout.end, accountRoom),
    room: new Int32Array(accountRoom),
    held: new Int32Array(accountRoom),
    amount: new Float64Array(buffer, layout.amount, entryRoom),
    row: new Int32Array(buffer, layout.row, entryRoom),
    cap: new Float64Array(buffer, layout.cap, rows),
    price: new Float64Array(assets.length).fill(1),
    makers: new Map(),
    touches: new Uint32Array(accountRoom),
    base: {
      value: new Float64Array(accountRoom), gross: new Float64Array(accountRoom), loss: new Float64Array(accountRoom), taken: new Float64Array(accountRoom),
      blocks: new Float64Array(Math.ceil(accountRoom / BLOCK) * BLOCK_FIGURES),
    },
  }
  assets.forEach(({ maxImpact }, i) => book.cap.fill(maxImpact, 2 * i, 2 * i + 2))
  for (const account of accounts) {
    if (book.places.has(account.id)) throw new BadInputError(`Found account ${account.id} twice, allowed is once; merge them`)
    write(book, account)
  }
  refresh(book, null)
  return book
}

function checkAssets(assets: readonly BookAsset[]): void {
  for (const { asset, impact, maxImpact } of assets) {
    if (!(maxImpact >= 0 && maxImpact <= 2 / 3) || (impact !== null && !(impact >= 0 && impact <= UNKNOWN_DEPTH))) {
      throw new BadInputError(`Found impact ${impact} up to ${maxImpact} for ${asset}, allowed are a coefficient from 0 and a cap from 0 to 2/3; check the market's statistics`, { field: asset })
    }
  }
}

const finite = (id: string, what: string, x: number): number => {
  if (!Number.isFinite(x)) throw new BadInputError(`Found ${what} of ${x} in account ${id}, allowed are finite numbers; check its inputs`, { field: what })
  return x
}

function assetOf(book: AccountBook, name: string, id: string): number {
  const index = book.indexOf.get(name)
  if (index === undefined) throw new BadInputError(`Found ${name} in account ${id}, allowed are ${book.assets.map((a) => a.asset).join(', ')}; name its price when the book is made`, { field: name })
  return index
}

/** Checks an account wholly before it changes anything; returns its index. */
function write(book: AccountBook, account: StressAccount): number {
  const { id, maintenanceMargin } = account
  finite(id, 'cash', account.cash)
  if (!(maintenanceMargin >= 0 && maintenanceMargin <= 1)) throw new BadInputError(`Found a maintenance margin of ${maintenanceMargin} in account ${id}, allowed are fractions from 0 to 1; 0.0625 means 6.25 %`)
  const positions = new Map<number, number>()
  let touches = 0
  const add = (name: string, value: number): number => {
    const asset = assetOf(book, name, id)
    touches |= 1 << (asset & 31)
    // What comes is worth this at the price now; the book keeps it at the reference price.
    return finite(id, name, value) / (book.price[asset] as number)
  }
  for (const p of account.positions) {
    const held = add(p.asset, p.value)
    const asset = book.indexOf.get(p.asset) as number
    positions.set(asset, (positions.get(asset) ?? 0) + held)
  }
  const collateral = account.collateral.map((c): HeldCollateral => ({ counted: add(c.asset, c.counted), recovered: add(c.asset, c.recovered), asset: book.indexOf.get(c.asset) as number }))
  for (const r of account.ranges) {
    if (!(r.price > 0)) throw new BadInputError(`Found a price of ${r.price} in a range of account ${id}, allowed are prices above 0; check the market`)
    for (const x of [add(r.asset, r.price), r.baseDebt, r.quoteDebt, r.range.liquidity]) finite(id, r.asset, x)
  }

  const known = book.places.get(id)
  const plain = account.ranges.length === 0
  const needed = plain ? positions.size + 2 * collateral.length : 0
  const fits = known !== undefined && needed <= (book.room[known] as number)
  if ((known === undefined && book.accounts === book.cash.length) || (!fits && book.entries + needed > book.amount.length)) {
    throw new BadInputError(`Found no room for account ${id} in a book of ${book.cash.length} accounts and ${book.amount.length} entries, allowed is what its spare holds; make the book anew`)
  }
  const a = known ?? book.accounts
  if (known === undefined) {
    book.accounts++
    book.ids[a] = id
    book.places.set(id, a)
  }
  if (!fits) {
    book.start[a] = book.entries
    book.room[a] = needed
    book.entries += needed
  }
  book.touches[a] = touches
  // The kernel sees a maker as an account without anything, which adds nothing to any figure.
  let e = book.start[a] as number
  book.cash[a] = plain ? account.cash : 0
  book.margin[a] = plain ? maintenanceMargin : 0
  if (plain) {
    book.makers.delete(a)
    for (const [asset, held] of positions) {
      book.amount[e] = held
      book.row[e++] = (2 * asset + (held < 0 ? 1 : 0)) * ROW_BYTES
    }
  } else {
    const nets = new Map([...positions].map(([asset, held]) => [asset, { asset, held, ranges: [] as HeldRange[] }]))
    for (const r of account.ranges) {
      const asset = book.indexOf.get(r.asset) as number
      const net = nets.get(asset) ?? { asset, held: 0, ranges: [] }
      net.ranges.push({
        price: r.price / (book.price[asset] as number), lower: sqrtPriceAt(r.range.lowerTick), upper: sqrtPriceAt(r.range.upperTick), liquidity: r.range.liquidity, baseDebt: r.baseDebt, quoteDebt: r.quoteDebt,
      })
      nets.set(asset, net)
    }
    book.makers.set(a, { cash: account.cash, margin: maintenanceMargin, nets: [...nets.values()], collateral })
  }
  book.middle[a] = e
  const nets = book.makers.get(a)?.nets.length ?? positions.size
  book.positions += nets - (book.held[a] as number)
  book.held[a] = nets
  if (plain) {
    for (const { asset, counted, recovered } of collateral) {
      for (const held of [counted, recovered]) {
        book.amount[e] = held
        book.row[e++] = 2 * asset * ROW_BYTES
      }
    }
  }
  book.end[a] = e
  return a
}

/**
 * An account under lane `lane` of a tile: `f` holds each row's price factor, `h` its impact per √notional at the reference price.
 *
 * value = cash + Σ held·f + Σ counted·f; recoverable = cash + Σ held·f + Σ recovered·f; gross = Σ |held·f|; cost = Σ |held·f|·costOfClosing(min(maxImpact, √|held|·h), penalty).
 * A maker's market is taken at the row of longs or that of shorts, whichever leaves it nearer to liquidation (they differ in a cascade alone).
 */
export function standingAt(book: AccountBook, a: number, f: Float64Array, h: Float64Array, lane: number, out: Standing): void {
  out.cost = 0
  if (out.sides.length > 0) out.sides.length = 0
  const maker = book.makers.size === 0 ? undefined : book.makers.get(a)
  if (maker !== undefined) return makerAt(book, maker, f, h, lane, out)
  const { amount, row, cap } = book
  const middle = book.middle[a] as number
  const end = book.end[a] as number
  let value = book.cash[a] as number
  let gross = 0
  let e = book.start[a] as number
  for (; e < middle; e++) {
    const notional = (amount[e] as number) * (f[((row[e] as number) >> 3) + lane] as number)
    value += notional
    gross += Math.abs(notional)
  }
  let recoverable = value
  for (; e < end; e += 2) {
    const factor = f[((row[e] as number) >> 3) + lane] as number
    value += (amount[e] as number) * factor
    recoverable += (amount[e + 1] as number) * factor
  }
  const margin = book.margin[a] as number
  out.value = value
  out.recoverable = recoverable
  out.gross = gross
  out.margin = margin
  if (value >= margin * gross) return
  for (e = book.start[a] as number; e < middle; e++) {
    const at = ((row[e] as number) >> 3) + lane
    const held = Math.abs(amount[e] as number)
    out.cost += held * (f[at] as number) * Math.max(book.rules.penalty, Math.min(cap[(row[e] as number) / ROW_BYTES] as number, Math.sqrt(held) * (h[at] as number)))
  }
}

function makerAt(book: AccountBook, maker: Maker, f: Float64Array, h: Float64Array, lane: number, out: Standing): void {
  out.value = maker.cash
  out.gross = 0
  out.margin = maker.margin
  for (const net of maker.nets) {
    let worst = { worth: Infinity, value: 0, notional: 0, factor: 1 }
    for (let side = 0; side < 2; side++) {
      const factor = f[(2 * net.asset + side) * LANES + lane] as number
      if (side === 1 && factor === worst.factor) break
      let value = net.held * factor
      let notional = value
      for (const { price, lower, upper, liquidity, baseDebt, quoteDebt } of net.ranges) {
        const after = price * factor
        const amounts = amountsBetween(lower, upper, liquidity, Math.sqrt(after))
        const inventory = (amounts.base - baseDebt) * after
        notional += inventory
        value += inventory + amounts.quote - quoteDebt
      }
      const worth = value - maker.margin * Math.abs(notional)
      if (worth < worst.worth) worst = { worth, value, notional, factor }
    }
    const { value, notional, factor } = worst
    const row = 2 * net.asset + (notional < 0 ? 1 : 0)
    const held = Math.abs(notional) / factor
    out.value += value
    out.gross += Math.abs(notional)
    out.cost += Math.abs(notional) * Math.max(book.rules.penalty, Math.min(book.cap[row] as number, Math.sqrt(held) * (h[row * LANES + lane] as number)))
    out.sides.push({ row, held })
  }
  out.recoverable = out.value
  for (const { asset, counted, recovered } of maker.collateral) {
    const factor = f[2 * asset * LANES + lane] as number
    out.value += counted * factor
    out.recoverable += recovered * factor
  }
}

/** Factors of today's prices, in lane 0 of a tile. */
function today(book: AccountBook): { f: Float64Array; h: Float64Array } {
  const f = new Float64Array(book.rows * LANES)
  const h = new Float64Array(book.rows * LANES)
  book.assets.forEach(({ impact }, i) => {
    for (const row of [2 * i, 2 * i + 1]) {
      f[row * LANES] = book.price[i] as number
      h[row * LANES] = (impact ?? UNKNOWN_DEPTH) * Math.sqrt(book.price[i] as number)
    }
  })
  return { f, h }
}

/** Computes the base figures of the accounts given (null: all), then the sums of their blocks. */
function refresh(book: AccountBook, which: Iterable<number> | null): void {
  const { f, h } = today(book)
  const { rules, base, partial } = book
  const standing: Standing = { value: 0, recoverable: 0, gross: 0, cost: 0, margin: 0, sides: [] }
  const blocks = new Set<number>()
  const one = (a: number): void => {
    standingAt(book, a, f, h, 0, standing)
    const { value, recoverable, gross, cost, margin } = standing
    const due = gross > 0 && value < margin * gross
    partial[a] = gross <= rules.wholeUpTo ? 1 : rules.partialShare
    base.value[a] = value
    base.gross[a] = gross
    base.loss[a] = Math.max(0, (due ? cost : 0) - recoverable)
    base.taken[a] = !due ? 0 : value < rules.fullBelow * (margin * gross) ? gross : (partial[a] as number) * gross
    blocks.add(Math.floor(a / BLOCK))
  }
  if (which === null) for (let a = 0; a < book.accounts; a++) one(a)
  else for (const a of which) one(a)
  for (const block of blocks) {
    const sums = new Float64Array(BLOCK_FIGURES)
    for (let a = block * BLOCK; a < Math.min(book.accounts, (block + 1) * BLOCK); a++) {
      const value = base.value[a] as number
      const gross = base.gross[a] as number
      const loss = base.loss[a] as number
      const requirement = marginOf(book, a) * gross
      sums[0]! += value
      sums[1]! += requirement
      if (gross > 0 && value < requirement) {
        sums[2]! += 1
        sums[3]! += gross
      }
      if (loss > 0) {
        sums[4]! += loss
        sums[5]! += 1
        sums[7] = Math.max(sums[7]!, Math.min(sums[6]!, loss))
        sums[6] = Math.max(sums[6]!, loss)
      }
      sums[8]! += base.taken[a] as number
    }
    base.blocks.set(sums, block * BLOCK_FIGURES)
  }
}

const marginOf = (book: AccountBook, a: number): number => (book.makers.size === 0 ? undefined : book.makers.get(a))?.margin ?? (book.margin[a] as number)

/** Figures of the book at today's prices, from the sums of its blocks; always current. */
export function baseFigures(book: AccountBook): BookFigures {
  const sums = new Float64Array(BLOCK_FIGURES)
  const { blocks } = book.base
  for (let at = 0; at < Math.ceil(book.accounts / BLOCK) * BLOCK_FIGURES; at += BLOCK_FIGURES) {
    for (const i of [0, 1, 2, 3, 4, 5, 8]) sums[i]! += blocks[at + i] as number
    sums[7] = Math.max(sums[7]!, blocks[at + 7] as number, Math.min(sums[6]!, blocks[at + 6] as number))
    sums[6] = Math.max(sums[6]!, blocks[at + 6] as number)
  }
  return {
    value: sums[0]!, requirement: sums[1]!, liquidatable: sums[2]!, liquidatableNotional: sums[3]!, liquidatedNotional: sums[8]!,
    shortfall: sums[4]!, cover1: sums[6]!, cover2: sums[6]! + sums[7]!, accountsInLoss: sums[5]!,
  }
}

/** An account at today's prices; null for one that the book does not hold. Quote. */
export function accountAt(book: AccountBook, id: string): { value: number; requirement: number; gross: number; liquidatable: boolean; loss: number } | null {
  const a = book.places.get(id)
  if (a === undefined) return null
  const value = book.base.value[a] as number
  const gross = book.base.gross[a] as number
  const requirement = marginOf(book, a) * gross
  return { value, requirement, gross, liquidatable: gross > 0 && value < requirement, loss: book.base.loss[a] as number }
}

function unread(book: AccountBook): void {
  if (book.readers > 0) throw new BadInputError('Found a run that still reads the book, allowed are changes between runs; await or cancel it first')
}

/**
 * Replaces accounts (by id) or adds them, at today's prices, and brings the base figures up to date: time grows with the accounts given, not with
 * the book. Of an account that has closed everything, give its empty rest. Throws as createAccountBook does, and where the spare room is used up: then
 * the accounts before the one named are in.
 */
export function updateAccounts(book: AccountBook, accounts: readonly StressAccount[]): void {
  unread(book)
  const touched = new Set<number>()
  try {
    for (const account of accounts) touched.add(write(book, account))
  } finally {
    refresh(book, touched)
  }
}

/** Replaces what closing costs: the same assets in the same order, with other impacts. Brings the base figures up to date. Throws as createAccountBook does. */
export function setImpacts(book: AccountBook, assets: readonly BookAsset[]): void {
  unread(book)
  if (assets.length !== book.assets.length || assets.some(({ asset }, i) => asset !== book.assets[i]?.asset)) throw new BadInputError(`Found the assets ${assets.map((a) => a.asset).join(', ')}, allowed are ${book.assets.map((a) => a.asset).join(', ')}; make the book anew`)
  checkAssets(assets)
  book.assets = assets
  assets.forEach(({ maxImpact }, i) => book.cap.fill(maxImpact, 2 * i, 2 * i + 2))
  refresh(book, null)
}

/** Moves prices by relative changes above −1 from where they stand, and brings the base figures of the accounts that hold them up to date. */
export function movePrices(book: AccountBook, changes: Readonly<Record<string, number>>): void {
  unread(book)
  let moved = 0
  for (const [name, change] of Object.entries(changes)) {
    if (!book.indexOf.has(name)) throw new BadInputError(`Found a move of ${name}, allowed are ${book.assets.map((a) => a.asset).join(', ')}; correct its name`, { field: name })
    if (!(change > -1 && Number.isFinite(change))) throw new BadInputError(`Found a move of ${change} for ${name}, allowed are numbers above -1; -0.1 means 10 % down`, { field: name })
  }
  for (const [name, change] of Object.entries(changes)) {
    const asset = book.indexOf.get(name) as number
    book.price[asset]! *= 1 + change
    moved |= 1 << (asset & 31)
  }
  const holders: number[] = []
  for (let a = 0; a < book.accounts; a++) if (((book.touches[a] as number) & moved) !== 0) holders.push(a)
  refresh(book, holders)
}
