/**
 * Stress over a whole book: every account under every scenario, cut into tasks that any number of threads may do in any order with the same
 * result, and the cascade of liquidations that a scenario sets off. `api/engine` runs the tasks on threads; here they run one after another.
 */
import { BadInputError } from '../../core/errors.ts'
import { FIGURES, LANES, MOST_PAGES, standingAt, UNKNOWN_DEPTH, type AccountBook, type BookFigures, type Standing } from './book.ts'
import { KERNEL_ADDRESSES } from './kernel.ts'
import { shockOf, type StressAsset, type StressScenario } from './stress.ts'

/** Accounts of a task; together with a tile of scenarios they fit the cache of a core. Sums depend on it, so it is no setting. */
const SHARD = 8192
// Of this module: what another exports is asked for anew at each use, which the innermost loop would feel.
const WIDTH = LANES
const COUNT = FIGURES.length
const TILE_BYTES = LANES * 8
const PAGE_BYTES = 65_536
const FIGURE_BYTES = FIGURES.length * TILE_BYTES

/** One move of all prices at once. Assets as the book names them. */
export type BookScenario = {
  readonly id: string
  /** Relative change of a price from today's, above −1. */
  readonly changeOf: (asset: string) => number
  /** Liquidity left in a market, 1 = as usual, above 0; 1 where left out. Impact grows with 1/√ of it. */
  readonly liquidityOf?: (asset: string) => number
  /** Share of a collateral's changed price that is left after a haircut beyond those that its two values already bear, 0 to 1; 1 where left out. It takes from both: what counts and what is recovered. A position's price knows no haircut. */
  readonly recoveryOf?: (asset: string) => number
}

/** What liquidators take of one market, quote at the scenario's prices before any push: what they have to sell (longs) and to buy back (shorts). */
export type Taken = { readonly asset: string; readonly longs: number; readonly shorts: number }

/** The book under one scenario. */
export type BookStress = BookFigures & { readonly id: string; readonly taken: readonly Taken[] }

/** How far forced sales and purchases have moved each asset, fraction of its scenario's price, ≥ 0. By asset. */
type Push = { readonly down: Float64Array; readonly up: Float64Array }

/** A run over a book, laid out in its memory. Tasks are numbered from 0. */
export type StressPlan = {
  readonly scenarios: readonly BookScenario[]
  readonly tiles: number
  readonly shards: number
  readonly tasks: number
  /** Addresses of factors, impacts and results, bytes. */
  readonly f: number
  readonly h: number
  readonly out: number
  /** Price factor of each scenario and asset before any push. */
  readonly factors: Float64Array
  readonly tileBytes: number
  readonly resultBytes: number
}

/** Writes a scenario's factors and impacts into a lane of a tile, and what they are before any push into `factors`. */
function layOut(book: AccountBook, scenario: BookScenario, push: Push | undefined, f: Float64Array, h: Float64Array, lane: number, factors: Float64Array): void {
  book.assets.forEach(({ asset, impact, maxImpact }, i) => {
    const change = scenario.changeOf(asset)
    const left = scenario.liquidityOf?.(asset) ?? 1
    const recovery = scenario.recoveryOf?.(asset) ?? 1
    if (!(change > -1 && Number.isFinite(change))) throw new BadInputError(`Found a change of ${change} for ${asset} in ${scenario.id}, allowed are numbers above -1; -0.3 means a fall of 30 %`, { field: asset })
    if (!(left > 0 && Number.isFinite(left))) throw new BadInputError(`Found a liquidity of ${left} for ${asset} in ${scenario.id}, allowed are numbers above 0; 0.2 means a fifth`, { field: asset })
    if (!(recovery >= 0 && recovery <= 1)) throw new BadInputError(`Found a recovery of ${recovery} for ${asset} in ${scenario.id}, allowed are fractions from 0 to 1; 0.9 means a haircut of 10 %`, { field: asset })
    // A haircut of 100 % leaves nothing, yet no factor is 0: a maker's inventory is divided by it.
    const factor = Math.max(Number.MIN_VALUE, (book.price[i] as number) * ((1 + change) * recovery))
    factors[i] = factor
    for (const [side, pushed] of [factor * (1 - (push?.down[i] ?? 0)), factor * (1 + (push?.up[i] ?? 0))].entries()) {
      const at = (2 * i + side) * LANES + lane
      f[at] = pushed
      h[at] = impact === null ? (maxImpact === 0 ? 0 : UNKNOWN_DEPTH) : impact * Math.sqrt(pushed / left)
    }
  })
}

/**
 * Lays the scenarios out in the book's memory, in which one run at a time has its place. `pushes` as many as scenarios, or none.
 * Throws BadInputError while another run is there, for a change at or below −1, a liquidity at or below 0, a recovery outside 0 to 1, or a run
 * beyond 2 GiB.
 */
export function planStress(book: AccountBook, scenarios: readonly BookScenario[], pushes?: readonly Push[]): StressPlan {
  if (book.running) throw new BadInputError('Found a run over the book under way, allowed is one at a time; await or cancel it first')
  const { rows, assets } = book
  const tiles = Math.ceil(scenarios.length / LANES)
  const shards = Math.ceil(book.accounts / SHARD)
  const tileBytes = rows * TILE_BYTES
  const resultBytes = FIGURE_BYTES + tileBytes
  const f = book.layout.free
  const h = f + tiles * tileBytes
  const out = h + tiles * tileBytes
  // One more for the makers.
  const needed = out + tiles * (shards + 1) * resultBytes
  const pages = Math.ceil(needed / PAGE_BYTES)
  if (pages > MOST_PAGES) throw new BadInputError(`Found a run of ${Math.ceil(needed / 2 ** 20)} MiB, allowed are 2048; ask for fewer scenarios at a time`)
  const have = book.memory.buffer.byteLength / PAGE_BYTES
  if (pages > have) book.memory.grow(pages - have)
  const { buffer } = book.memory
  // Lanes that the last tile does not use stand at today's reference prices.
  new Float64Array(buffer, f, (tiles * tileBytes) / 8).fill(1)
  new Float64Array(buffer, h, (tiles * tileBytes) / 8).fill(0)
  new Float64Array(buffer, out, (tiles * (shards + 1) * resultBytes) / 8).fill(0)
  const factors = new Float64Array(scenarios.length * assets.length)
  scenarios.forEach((scenario, s) => {
    const at = Math.floor(s / LANES) * tileBytes
    layOut(book, scenario, pushes?.[s], new Float64Array(buffer, f + at, tileBytes / 8), new Float64Array(buffer, h + at, tileBytes / 8), s % LANES, factors.subarray(s * assets.length))
  })
  return { scenarios, tiles, shards, tasks: tiles * shards, f, h, out, factors, tileBytes, resultBytes }
}

/** Addresses and accounts that the kernel is called with for a task; its rules follow. A task is a shard's number times the tiles, plus the tile's: a shard stays in the cache from one to the next. */
export function kernelCall(book: AccountBook, plan: StressPlan, task: number): number[] {
  const values: Readonly<Record<string, number>> = { ...book.layout, ...partOf(book, plan, task) }
  return KERNEL_ADDRESSES.map((name) => values[name] as number)
}

function partOf(book: AccountBook, plan: StressPlan, task: number) {
  const shard = Math.floor(task / plan.tiles)
  const tile = task % plan.tiles
  const out = plan.out + task * plan.resultBytes
  return { f: plan.f + tile * plan.tileBytes, h: plan.h + tile * plan.tileBytes, out, taken: out + FIGURE_BYTES, from: shard * SHARD, to: Math.min(book.accounts, (shard + 1) * SHARD) }
}

const emptyStanding = (): Standing => ({ value: 0, recoverable: 0, gross: 0, cost: 0, margin: 0, sides: [] })

/** Adds one account under one lane to the figures of a task. */
function add(book: AccountBook, a: number, standing: Standing, lane: number, out: Float64Array, taken: Float64Array): void {
  const { value, recoverable, gross, cost, margin } = standing
  const requirement = margin * gross
  out[lane]! += value
  out[WIDTH + lane]! += requirement
  if (value >= requirement && recoverable >= 0) return
  const due = gross > 0 && value < requirement
  if (due) {
    const share = value < book.rules.fullBelow * requirement ? 1 : (book.partial[a] as number)
    out[2 * WIDTH + lane]! += 1
    out[3 * WIDTH + lane]! += gross
    if (standing.sides.length > 0) for (const { row, held } of standing.sides) taken[row * WIDTH + lane]! += share * held
    for (let e = book.start[a] as number; e < (book.middle[a] as number); e++) taken[((book.row[e] as number) >> 3) + lane]! += share * Math.abs(book.amount[e] as number)
  }
  const loss = Math.max(0, (due ? cost : 0) - recoverable)
  out[4 * WIDTH + lane]! += loss
  out[5 * WIDTH + lane]! += loss > 0 ? 1 : 0
  out[7 * WIDTH + lane] = Math.max(out[7 * WIDTH + lane]!, Math.min(out[6 * WIDTH + lane]!, loss))
  out[6 * WIDTH + lane] = Math.max(out[6 * WIDTH + lane]!, loss)
}

/** Does one task here: what the kernel does elsewhere, bit by bit. Makers are left to `runMakers` by both. */
export function runTask(book: AccountBook, plan: StressPlan, task: number): void {
  const { buffer } = book.memory
  const part = partOf(book, plan, task)
  const f = new Float64Array(buffer, part.f, plan.tileBytes / 8)
  const h = new Float64Array(buffer, part.h, plan.tileBytes / 8)
  const out = new Float64Array(buffer, part.out, COUNT * WIDTH)
  const taken = new Float64Array(buffer, part.taken, plan.tileBytes / 8)
  const standing = emptyStanding()
  const value = standingAt
  for (let a = part.from; a < part.to; a++) {
    if (book.makers.size > 0 && book.makers.has(a)) continue
    for (let lane = 0; lane < WIDTH; lane++) {
      value(book, a, f, h, lane, standing)
      add(book, a, standing, lane, out, taken)
    }
  }
}

/** Does the makers under the scenarios of one tile, of `plan.tiles`. They may be done while others do the tasks. */
export function runMakers(book: AccountBook, plan: StressPlan, tile: number): void {
  if (book.makers.size === 0) return
  const { buffer } = book.memory
  const part = partOf(book, plan, plan.tasks + tile)
  const f = new Float64Array(buffer, part.f, plan.tileBytes / 8)
  const h = new Float64Array(buffer, part.h, plan.tileBytes / 8)
  const out = new Float64Array(buffer, part.out, COUNT * WIDTH)
  const taken = new Float64Array(buffer, part.taken, plan.tileBytes / 8)
  const lanes = Math.min(WIDTH, plan.scenarios.length - tile * WIDTH)
  const standing = emptyStanding()
  for (const a of book.makers.keys()) {
    for (let lane = 0; lane < lanes; lane++) {
      standingAt(book, a, f, h, lane, standing)
      add(book, a, standing, lane, out, taken)
    }
  }
}

/** Sums the tasks, shard by shard, and the makers: the same bits whoever did them. One result per scenario, in their order. */
export function finishStress(book: AccountBook, plan: StressPlan): readonly BookStress[] {
  const { buffer } = book.memory
  const { rows, assets } = book
  const results: BookStress[] = []
  for (let tile = 0; tile < plan.tiles; tile++) {
    const figures = new Float64Array(FIGURES.length * LANES)
    const taken = new Float64Array(rows * LANES)
    const lanes = Math.min(LANES, plan.scenarios.length - tile * LANES)
    for (let shard = 0; shard <= plan.shards; shard++) {
      const at = plan.out + (shard * plan.tiles + tile) * plan.resultBytes
      const part = new Float64Array(buffer, at, plan.resultBytes / 8)
      for (let i = 0; i < 6 * LANES; i++) figures[i]! += part[i] as number
      for (let lane = 0; lane < LANES; lane++) {
        const first = 6 * LANES + lane
        const second = 7 * LANES + lane
        figures[second] = Math.max(figures[second]!, part[second] as number, Math.min(figures[first]!, part[first] as number))
        figures[first] = Math.max(figures[first]!, part[first] as number)
      }
      for (let i = 0; i < rows * LANES; i++) taken[i]! += part[FIGURES.length * LANES + i] as number
    }
    for (let lane = 0; lane < lanes; lane++) {
      const s = tile * LANES + lane
      const figure = (i: number): number => figures[i * LANES + lane] as number
      const byAsset = assets.map(({ asset }, i): Taken => {
        const factor = plan.factors[s * assets.length + i] as number
        return { asset, longs: (taken[2 * i * LANES + lane] as number) * factor, shorts: (taken[(2 * i + 1) * LANES + lane] as number) * factor }
      })
      results.push({
        id: plan.scenarios[s]!.id,
        value: figure(0), requirement: figure(1), liquidatable: figure(2), liquidatableNotional: figure(3), liquidatedNotional: byAsset.reduce((sum, t) => sum + t.longs + t.shorts, 0),
        shortfall: figure(4), cover1: figure(6), cover2: figure(6) + figure(7), accountsInLoss: figure(5),
        taken: byAsset,
      })
    }
  }
  return results
}

/** Every account under every scenario, here and now. For large books: `createStressPool` of api/engine. */
export function stressBook(book: AccountBook, scenarios: readonly BookScenario[]): readonly BookStress[] {
  return runHere(book, planStress(book, scenarios))
}

function runHere(book: AccountBook, plan: StressPlan): readonly BookStress[] {
  for (let task = 0; task < plan.tasks; task++) runTask(book, plan, task)
  for (let tile = 0; tile < plan.tiles; tile++) runMakers(book, plan, tile)
  return finishStress(book, plan)
}

/** Every account under one scenario, in the order of the book's ids; quote. */
export type AccountsUnder = { readonly value: Float64Array; readonly recoverable: Float64Array; readonly gross: Float64Array; readonly requirement: Float64Array; readonly loss: Float64Array }

/**
 * Each account's two values (as it counts for margin, and what can be recovered), gross notional, maintenance requirement and loss (as in `BookFigures.shortfall`) under one scenario: the accounts behind a total.
 * With `pushed` of a cascade, at the prices on which it settled. Needs no place in the book's memory.
 */
export function accountsUnder(book: AccountBook, scenario: BookScenario, pushed: CascadeStress['pushed'] = []): AccountsUnder {
  const f = new Float64Array(book.rows * LANES)
  const h = new Float64Array(book.rows * LANES)
  const push: Push = { down: new Float64Array(book.assets.length), up: new Float64Array(book.assets.length) }
  for (const { asset, down, up } of pushed) {
    const i = book.indexOf.get(asset)
    if (i === undefined) throw new BadInputError(`Found a push of ${asset}, allowed are ${book.assets.map((a) => a.asset).join(', ')}; give what a cascade of this book answered`, { field: asset })
    push.down[i] = down
    push.up[i] = up
  }
  layOut(book, scenario, push, f, h, 0, new Float64Array(book.assets.length))
  const standing = emptyStanding()
  const result = { value: new Float64Array(book.accounts), recoverable: new Float64Array(book.accounts), gross: new Float64Array(book.accounts), requirement: new Float64Array(book.accounts), loss: new Float64Array(book.accounts) }
  for (let a = 0; a < book.accounts; a++) {
    standingAt(book, a, f, h, 0, standing)
    const { value, recoverable, gross, cost, margin } = standing
    result.value[a] = value
    result.recoverable[a] = recoverable
    result.gross[a] = gross
    result.requirement[a] = margin * gross
    result.loss[a] = Math.max(0, (gross > 0 && value < margin * gross ? cost : 0) - recoverable)
  }
  return result
}

/** What an asset of a book is to the scenario library; `frozen` for a market that stands at its price whatever the oracle says. */
export type AssetKind = { readonly standsFor: StressAsset; readonly beta?: number; readonly frozen?: boolean }

/**
 * A regime of the library, or a user's own shock, over a book: prices as `shockOf`, liquidity by its volume factor.
 * Its outage or frozen oracle needs nothing more: the book is valued once, after the whole move, and nobody was liquidated on the way.
 */
export function bookScenario(scenario: StressScenario, kindOf: (asset: string) => AssetKind): BookScenario {
  return {
    id: scenario.id,
    changeOf: (asset) => {
      const { standsFor, beta, frozen } = kindOf(asset)
      return frozen === true ? 0 : shockOf(scenario, standsFor, beta, asset)
    },
    liquidityOf: () => scenario.volumeFactor,
  }
}

/** Most rounds of a cascade; one that has not settled by then is a lower bound, and says so. */
export const MAX_CASCADE_ROUNDS = 100

export type CascadeOptions = {
  /** Share of a forced trade's impact that still stands when the next one comes: 1 within minutes; about 2/3 once it has relaxed (Farmer, Gerig, Lillo, Waelbroeck, How efficiency shapes market impact, 2013). 0 moves no price. */
  readonly persistence: number
  /** At most MAX_CASCADE_ROUNDS, which is what it is where left out. */
  readonly maxRounds?: number
}

export type CascadeStress = BookStress & {
  /** The same scenario without a cascade. */
  readonly before: BookFigures
  /** Valuations of the book until nothing further fell due: 1 where no forced trade moved a price. */
  readonly rounds: number
  /** False where the rounds ran out: then every figure is a lower bound. */
  readonly settled: boolean
  /** How far forced trades moved the price from the scenario's, fractions: sales of longs below 0, purchases for shorts above. Assets that did not move are left out. */
  readonly pushed: readonly { readonly asset: string; readonly down: number; readonly up: number }[]
}

/** What a cascade wants valued next. */
export type CascadeRound = { readonly scenarios: readonly BookScenario[]; readonly pushes: readonly Push[] | undefined }

/**
 * A cascade as rounds: what is liquidated moves prices, at the moved prices more is liquidated, until a round adds nothing.
 *
 *   push = min(maxImpact, persistence·k·√(Q / liquidity)),  Q = all that is taken of one side of a market, at the scenario's price
 *
 * It is an upper bound, so that it cannot understate: longs are valued where forced sales have pushed the price and shorts where forced purchases
 * have, the two never offset each other, nobody earns from a push, what is taken from an account still bears the moves that follow, and what its
 * own closing costs comes on top. Each account is therefore worth less with every round, liquidated accounts stay so, and the rounds end: the
 * result is the least fixed point. It never falls when impact, persistence or the lack of liquidity grow (but for what makers lose: their markets
 * stand at the end that is worse for their margin). Without impact it is the plain stress after one round.
 * The square root of all that is taken, not of each round's part: slicing an order makes it no cheaper. Source: own design over §8's impact.
 */
export function* cascadeRounds(book: AccountBook, scenarios: readonly BookScenario[], options: CascadeOptions): Generator<CascadeRound, readonly CascadeStress[], readonly BookStress[]> {
  const { persistence, maxRounds = MAX_CASCADE_ROUNDS } = options
  if (!(persistence >= 0 && persistence <= 1)) throw new BadInputError(`Found a persistence of ${persistence}, allowed are fractions from 0 to 1; 1 lets no price recover`, { field: 'persistence' })
  if (!(Number.isInteger(maxRounds) && maxRounds >= 1 && maxRounds <= MAX_CASCADE_ROUNDS)) throw new BadInputError(`Found ${maxRounds} rounds, allowed are 1 to ${MAX_CASCADE_ROUNDS}; choose one of these`, { field: 'maxRounds' })
  const n = book.assets.length
  const states = scenarios.map((scenario) => ({ scenario, push: { down: new Float64Array(n), up: new Float64Array(n) }, before: null as BookStress | null, last: null as BookStress | null, rounds: 0, settled: false }))
  let open = states
  for (let round = 1; open.length > 0 && round <= maxRounds; round++) {
    const results = yield { scenarios: open.map((s) => s.scenario), pushes: round === 1 ? undefined : open.map((s) => s.push) }
    open.forEach((state, i) => {
      const result = results[i] as BookStress
      state.before ??= result
      state.last = result
      state.rounds = round
      let moved = false
      result.taken.forEach(({ asset, longs, shorts }, k) => {
        const { impact, maxImpact } = book.assets[k] as AccountBook['assets'][number]
        const liquidity = state.scenario.liquidityOf?.(asset) ?? 1
        const pushOf = (taken: number): number => (taken === 0 ? 0 : persistence * (impact === null ? maxImpact : Math.min(maxImpact, impact * Math.sqrt(taken / liquidity))))
        for (const [side, taken] of [[state.push.down, longs], [state.push.up, shorts]] as const) {
          const push = pushOf(taken)
          // Sums of the same accounts are the same bits, so what has settled stands still exactly.
          if (push > (side[k] as number)) {
            side[k] = push
            moved = true
          }
        }
      })
      state.settled = !moved
    })
    open = open.filter((s) => !s.settled)
  }
  return states.map(({ push, before, last, rounds, settled }): CascadeStress => {
    const { id: _id, taken: _taken, ...plain } = before as BookStress
    return {
      ...(last as BookStress), before: plain, rounds, settled,
      pushed: book.assets.flatMap(({ asset }, i) => ((push.down[i] as number) > 0 || (push.up[i] as number) > 0 ? [{ asset, down: push.down[i] as number, up: push.up[i] as number }] : [])),
    }
  })
}

/** Cascades of all scenarios, here and now. For large books: `createStressPool` of api/engine. */
export function cascadeBook(book: AccountBook, scenarios: readonly BookScenario[], options: CascadeOptions): readonly CascadeStress[] {
  const rounds = cascadeRounds(book, scenarios, options)
  let step = rounds.next()
  while (step.done !== true) {
    step = rounds.next(runHere(book, planStress(book, step.value.scenarios, step.value.pushes)))
  }
  return step.value
}
