import { BadInputError } from '../../core/errors.ts'
import type { Charges, Grid, GridScenario, SkewRule, VolatilityRule } from './grids.ts'
import { blackGreeks, blackPrice, greeksChange, sumGreeks, type EuropeanOption, type Greeks } from './options.ts'

/** One position. `size` in units of base, signed: negative is short. `asset` names the price that moves it. */
export type Leg =
  /** A perpetual or dated future; `mark` is its own price where that is not the index. */
  | { readonly kind: 'perp'; readonly asset: string; readonly size: number; readonly mark?: number }
  /** The asset itself, as collateral or debt. */
  | { readonly kind: 'spot'; readonly asset: string; readonly size: number }
  /** A European option; its forward is the index where left out. */
  | {
      readonly kind: 'option'
      readonly asset: string
      readonly size: number
      readonly call: boolean
      readonly strike: number
      readonly years: number
      readonly volatility: number
      readonly forward?: number
      readonly discount?: number
    }

/** An account’s positions, or a hypothetical one’s, in quote. */
export type Book = {
  /** Index price of each asset. */
  readonly prices: Readonly<Record<string, number>>
  readonly legs: readonly Leg[]
  /** What no price moves: settlement balance, unrealised profit of perpetuals, unsettled funding. 0 where left out. */
  readonly cash?: number
  /** Price of the settlement token; 1 where left out. */
  readonly stablePrice?: number
}

/** How options are valued under a shock: in full, by their sensitivities, or by those except near strikes and expiry. */
export type Revaluation = 'full' | 'greeks' | 'near strikes in full'

/** Days to expiry below which the sensitivities change too fast to be used. */
export const NEAR_EXPIRY_DAYS = 7

/** The most legs that a book may have. */
export const MAX_LEGS = 1000

/** The largest notional of a leg, quote: beyond it cents are lost in float64. */
export const MAX_NOTIONAL = 1e13

/** One asset’s part in a scan. */
export type AssetScan = {
  readonly asset: string
  /** Loss at this asset’s own worst row, quote, ≥ 0. */
  readonly loss: number
  /** That row; `basis` where the forward’s parting decides, null where nothing loses. */
  readonly scenario: string | null
  /** Weighted profit or loss of each row, signed, in the grid’s order. */
  readonly profits: Float64Array
  /** Sensitivities of all its legs; a perpetual has delta alone. */
  readonly greeks: Greeks
  /** The profit of its worst row by sensitivity; null where nothing loses or the basis decides. */
  readonly explained: RowExplained | null
  /** Σ |size|·price over its legs. */
  readonly grossNotional: number
}

/** Weighted profit of one row by what caused it, signed quote; they add up to the row’s profit. `rest`: what full revaluation and discounts add. */
export type RowExplained = { readonly delta: number; readonly gamma: number; readonly vega: number; readonly vanna: number; readonly volga: number; readonly rest: number }

/** A part of a requirement, quote. */
export type RequirementPart = { readonly name: 'worst scenario' | 'perpetuals' | 'spot' | 'short options' | 'short option minimum'; readonly initial: number; readonly maintenance: number }

/** A scenario margin with what it is made of. Quote. */
export type Scan = {
  readonly model: 'scenario-scan'
  readonly version: '1'
  readonly grid: string
  readonly source: string
  /** Loss of the worst row, ≥ 0, by the grid’s rule across assets. */
  readonly scan: number
  /** Row that decides where all assets stand at the same one; else null, and each asset names its own. */
  readonly scenario: string | null
  /** Weighted profit of the whole book in each row, gains in full. */
  readonly profits: Float64Array
  readonly assets: readonly AssetScan[]
  readonly initial: number
  readonly maintenance: number
  readonly parts: readonly RequirementPart[]
  /** What a loss is multiplied with, a broken peg included. */
  readonly lossFactors: { readonly initial: number; readonly maintenance: number }
  /** Cash, spot and options at today’s prices. */
  readonly value: number
  /** value − requirement: negative is what is missing. */
  readonly initialMargin: number
  readonly maintenanceMargin: number
  readonly revaluation: { readonly inFull: number; readonly byGreeks: number }
}

/** Throws BadInputError, with the field in its facts, for a book that cannot be. */
export function requireBook(book: Book): void {
  const fail = (field: string, found: unknown, allowed: string): never => {
    throw new BadInputError(`${field}: found ${String(found)}, allowed is ${allowed}; correct the book`, { field })
  }
  const positive = (field: string, value: number): unknown => (value > 0 && Number.isFinite(value)) || fail(field, value, 'a number above 0')
  if (book.legs.length > MAX_LEGS) fail('legs', book.legs.length, `at most ${MAX_LEGS} of them`)
  for (const [asset, price] of Object.entries(book.prices)) positive(`prices.${asset}`, price)
  if (book.cash !== undefined && !Number.isFinite(book.cash)) fail('cash', book.cash, 'a finite number')
  if (book.stablePrice !== undefined) positive('stablePrice', book.stablePrice)
  book.legs.forEach((leg, i) => {
    const at = `legs[${i}]`
    if (!Object.hasOwn(book.prices, leg.asset)) fail(`${at}.asset`, leg.asset, `one of the priced ones (${Object.keys(book.prices).join(', ')})`)
    if (!Number.isFinite(leg.size) || leg.size === 0) fail(`${at}.size`, leg.size, 'a finite number other than 0')
    if (Math.abs(leg.size) * (book.prices[leg.asset] as number) > MAX_NOTIONAL) fail(`${at}.size`, leg.size, `a notional of at most ${MAX_NOTIONAL}`)
    if (leg.kind === 'perp' && leg.mark !== undefined) positive(`${at}.mark`, leg.mark)
    if (leg.kind !== 'option') return
    positive(`${at}.strike`, leg.strike)
    if (leg.forward !== undefined) positive(`${at}.forward`, leg.forward)
    if (leg.discount !== undefined) positive(`${at}.discount`, leg.discount)
    if (!(leg.years >= 0 && leg.years <= 10)) fail(`${at}.years`, leg.years, '0 to 10')
    if (!(leg.volatility > 0 && leg.volatility <= 20)) fail(`${at}.volatility`, leg.volatility, 'above 0 up to 20; 0.6 means 60 %')
  })
}

type OptionLeg = Extract<Leg, { kind: 'option' }>

const optionOf = (leg: OptionLeg, index: number): EuropeanOption => ({
  call: leg.call,
  forward: leg.forward ?? index,
  strike: leg.strike,
  years: leg.years,
  volatility: leg.volatility,
  discount: leg.discount ?? 1,
})

const days = (years: number): number => years * 365

/** Volatility of an option in a row. */
function shiftedVolatility(option: EuropeanOption, row: GridScenario, rule: VolatilityRule): number {
  const { volatility } = option
  if (row.volatility === 'none' || rule.kind === 'held') return volatility
  if (row.volatility === 'skew' || row.volatility === 'smile') return rule.kind === 'relative' && rule.skew !== undefined ? volatility * tilt(option, row.volatility, rule.skew) : volatility
  if (rule.kind === 'points') return Math.max(0, volatility + (row.volatility === 'up' ? rule.up : -rule.down))
  const term = (30 / Math.max(days(option.years), rule.floorDays)) ** (days(option.years) <= 30 ? rule.shortPower : rule.longPower)
  return row.volatility === 'up' ? Math.max(rule.minimumUp, volatility * (1 + rule.up * term)) : volatility * Math.max(0, 1 - rule.down * term)
}

function tilt({ forward, strike, years }: EuropeanOption, kind: 'skew' | 'smile', rule: SkewRule): number {
  const root = Math.sqrt(years)
  const cap = rule[kind].cap + rule[kind].capPerRootYear * root
  const flat = Math.max(rule.minimum, root * rule.width * (rule.level + rule.levelPerRootYear * root))
  const k = Math.log(strike / forward)
  const distance = kind === 'skew' ? k : Math.abs(k)
  const slope = (distance * cap) / flat
  return Math.max(0, 1 + (distance >= 0 ? Math.min(cap, slope) : Math.max(-cap, slope)))
}

/** Options of one expiry and what each is worth today. */
type Expiry = { readonly years: number; readonly discount: number; readonly value: number; readonly legs: readonly { readonly leg: OptionLeg; readonly option: EuropeanOption; readonly greeks: Greeks; readonly inFull: boolean }[] }

const moveOf = (row: GridScenario, asset: string, unit: number): number => {
  const move = typeof row.move === 'number' ? row.move : row.move[asset]
  if (move === undefined) throw new BadInputError(`Found no move of ${asset} in ${row.id}, allowed are grids that move every asset of the book; name what stands for it`, { field: 'grid' })
  // A price does not pass 0, whatever the multiple of its range.
  return Math.max(-0.9999, move * unit)
}

/**
 * Scenario margin of a book: revalue it in every row of the grid; the requirement is the loss of the worst row times the loss factor, plus the charges.
 *
 * Perpetuals and spot move linearly, options by Black’s formula at the shocked forward and volatility (or by their sensitivities, see
 * `Revaluation`). Across assets by the grid’s rule. Homogeneous of degree 1 in the book; worst over two grids is the larger of the two.
 * Throws BadInputError with the field for a book that cannot be, or a grid without a move for one of its assets.
 * Source: CME, SPAN; Derive, PMRMLib.sol and PMRMLib_2.sol (discounts, basis, charges, factors); risk models §6.
 */
export function scanMargin(book: Book, grid: Grid, revaluation: Revaluation = 'full'): Scan {
  requireBook(book)
  const names = [...new Set(book.legs.map((leg) => leg.asset))]
  let inFull = 0
  let byGreeks = 0
  // What the grid covers in full tells how near a strike is.
  const near = Math.max(...grid.scenarios.filter((row) => !row.tail).flatMap((row) => (typeof row.move === 'number' ? [row.move] : Object.values(row.move)).map((move) => Math.abs(move * grid.moveUnit))), 0)

  const assets = names.map((asset): AssetScan & { readonly basis: number; readonly value: number } => {
    const index = book.prices[asset] as number
    const legs = book.legs.filter((leg) => leg.asset === asset)
    let linear = 0
    let value = 0
    let grossNotional = 0
    const all: { greeks: Greeks; size: number }[] = []
    const expiries = new Map<number, OptionLeg[]>()
    for (const leg of legs) {
      grossNotional += Math.abs(leg.size) * index
      if (leg.kind === 'option') {
        expiries.set(leg.years, [...(expiries.get(leg.years) ?? []), leg])
        continue
      }
      linear += leg.size * (leg.kind === 'perp' ? (leg.mark ?? index) : index)
      if (leg.kind === 'spot') value += leg.size * index
      all.push({ greeks: { price: leg.kind === 'spot' ? index : 0, delta: 1, gamma: 0, vega: 0, vanna: 0, volga: 0, theta: 0 }, size: leg.size })
    }
    const groups = [...expiries].map(([years, list]): Expiry => {
      const priced = list.map((leg) => {
        const option = optionOf(leg, index)
        const greeks = blackGreeks(option)
        all.push({ greeks, size: leg.size })
        const full = revaluation === 'full' || (revaluation === 'near strikes in full' && (Math.abs(option.strike / option.forward - 1) < near || days(years) < NEAR_EXPIRY_DAYS))
        if (full) inFull++
        else byGreeks++
        return { leg, option, greeks, inFull: full }
      })
      return { years, discount: list[0]?.discount ?? 1, value: priced.reduce((sum, p) => sum + p.leg.size * p.greeks.price, 0), legs: priced }
    })
    value += groups.reduce((sum, g) => sum + g.value, 0)

    const profitOf = (row: GridScenario): number => {
      const move = moveOf(row, asset, grid.moveUnit)
      let profit = linear * move
      for (const expiry of groups) {
        const change = discounted(shockedValue(expiry, move, (option) => shiftedVolatility(option, row, grid.volatility)), expiry, grid) - expiry.value
        // A tilt of the smile may go either way: what would gain is counted as lost.
        profit += row.volatility === 'skew' || row.volatility === 'smile' ? -Math.abs(change) : change
      }
      return row.weight * profit
    }
    const profits = Float64Array.from(grid.scenarios, profitOf)
    const worst = profits.reduce((best, profit, i) => (profit < (profits[best] as number) ? i : best), 0)
    const basis = basisLoss(groups, grid)
    const scanned = Math.max(0, -(profits[worst] as number))
    const loss = Math.max(scanned, basis)
    const scenario = loss === 0 ? null : basis > scanned ? 'basis' : (grid.scenarios[worst] as GridScenario).id
    const explained = loss === 0 || scenario === 'basis' ? null : explain(grid.scenarios[worst] as GridScenario, profits[worst] as number, { asset, linear, groups, grid })
    return { asset, loss, scenario, profits, greeks: sumGreeks(all), explained, grossNotional, basis, value }
  })

  const profits = Float64Array.from(grid.scenarios, (_, i) => assets.reduce((sum, a) => sum + (a.profits[i] as number), 0))
  const { scan, scenario } = across(assets, grid)
  const value = (book.cash ?? 0) + assets.reduce((sum, a) => sum + a.value, 0)
  const depeg = grid.depeg === null ? 0 : grid.depeg.factor * Math.max(0, grid.depeg.threshold - (book.stablePrice ?? 1))
  const lossFactors = { initial: grid.initial.lossFactor + depeg, maintenance: grid.maintenance.lossFactor }
  const parts = requirementParts(book, grid, scan, lossFactors)
  const [initial, maintenance] = [requirementOf(parts, 'initial'), requirementOf(parts, 'maintenance')]
  return {
    model: 'scenario-scan',
    version: '1',
    grid: grid.id,
    source: grid.source,
    scan,
    scenario,
    profits,
    assets: assets.map(({ basis: _basis, value: _value, ...rest }) => rest),
    initial,
    maintenance,
    parts,
    lossFactors,
    value,
    initialMargin: value - initial,
    maintenanceMargin: value - maintenance,
    revaluation: { inFull, byGreeks },
  }
}

function explain(row: GridScenario, profit: number, of: { asset: string; linear: number; groups: readonly Expiry[]; grid: Grid }): RowExplained {
  const move = moveOf(row, of.asset, of.grid.moveUnit)
  const out = { delta: row.weight * of.linear * move, gamma: 0, vega: 0, vanna: 0, volga: 0 }
  for (const { leg, option, greeks } of of.groups.flatMap((g) => g.legs)) {
    const size = row.weight * leg.size
    const f = option.forward * move
    const s = shiftedVolatility(option, row, of.grid.volatility) - option.volatility
    out.delta += size * greeks.delta * f
    out.gamma += (size * greeks.gamma * f * f) / 2
    out.vega += size * greeks.vega * s
    out.vanna += size * greeks.vanna * f * s
    out.volga += (size * greeks.volga * s * s) / 2
  }
  return { ...out, rest: profit - Object.values(out).reduce((sum, x) => sum + x, 0) }
}

function shockedValue(expiry: Expiry, move: number, volatilityOf: (option: EuropeanOption) => number): number {
  let value = 0
  for (const { leg, option, greeks, inFull } of expiry.legs) {
    const volatility = volatilityOf(option)
    const price = inFull
      ? blackPrice({ ...option, forward: option.forward * (1 + move), volatility })
      : greeks.price + greeksChange(greeks, { price: option.forward * move, volatility: volatility - option.volatility })
    value += leg.size * price
  }
  return value
}

/** Shocked value of an expiry after the grid’s discount: what is owned counts for less, what is owed for more. */
function discounted(value: number, { years, discount }: Expiry, { discount: rule }: Grid): number {
  if (rule === null) return value
  const rate = years > 0 ? -Math.log(discount) / years : 0
  const factor = ({ rateFactor, rateSpread }: { rateFactor: number; rateSpread: number }): number => Math.exp(-years * (rate * rateFactor + rateSpread))
  if (value >= 0) return value * rule.long.base * factor(rule.long)
  return rule.short === null ? value : value * Math.min(1 / discount, rule.short.base / factor(rule.short))
}

function basisLoss(expiries: readonly Expiry[], { basis }: Grid): number {
  if (basis === null) return 0
  let loss = 0
  for (const expiry of expiries) {
    const change = (move: number): number => shockedValue(expiry, move, (option) => option.volatility) - expiry.value
    loss += Math.max(0, -Math.min(change(basis.up), change(basis.down))) * (basis.add + basis.perYear * expiry.years)
  }
  return loss
}

function across(assets: readonly { readonly loss: number; readonly basis: number; readonly profits: Float64Array; readonly scenario: string | null }[], grid: Grid): { scan: number; scenario: string | null } {
  if (grid.across === 'separate') return { scan: assets.reduce((sum, a) => sum + a.loss, 0), scenario: assets.length === 1 ? (assets[0]?.scenario ?? null) : null }
  const { gainShare } = grid.across
  let scan = 0
  let scenario: string | null = null
  grid.scenarios.forEach((row, i) => {
    let loss = 0
    for (const { profits } of assets) {
      const profit = profits[i] as number
      loss -= profit > 0 ? gainShare * profit : profit
    }
    if (loss > scan) [scan, scenario] = [loss, row.id]
  })
  const basis = assets.reduce((sum, a) => sum + a.basis, 0)
  return basis > scan ? { scan: basis, scenario: 'basis' } : { scan, scenario }
}

/** Sum of the parts, or the minimum for short options where that is more. */
export function requirementOf(parts: readonly RequirementPart[], which: 'initial' | 'maintenance'): number {
  const minimum = parts.find((p) => p.name === 'short option minimum')?.[which] ?? 0
  return Math.max(minimum, parts.reduce((sum, p) => sum + (p.name === 'short option minimum' ? 0 : p[which]), 0))
}

function requirementParts(book: Book, grid: Grid, scan: number, lossFactors: Scan['lossFactors']): RequirementPart[] {
  let perp = 0
  let spot = 0
  const strikes = new Map<string, { size: number[]; price: number }>()
  for (const leg of book.legs) {
    const price = book.prices[leg.asset] as number
    if (leg.kind === 'perp') perp += Math.abs(leg.size) * price
    else if (leg.kind === 'spot') spot += Math.abs(leg.size) * price
    else {
      const key = JSON.stringify([leg.asset, leg.years, leg.strike])
      const found = strikes.get(key) ?? { size: [0, 0], price }
      found.size[leg.call ? 1 : 0] = (found.size[leg.call ? 1 : 0] as number) + leg.size
      strikes.set(key, found)
    }
  }
  // A long option covers a short one of the same strike and expiry, call or put: only what is short after that is bare.
  let short = 0
  for (const { size, price } of strikes.values()) {
    const [put, call] = size as [number, number]
    short += (put < 0 && call < 0 ? -put - call : Math.max(0, -(Math.min(put, call) + Math.max(0, put, call)))) * price
  }
  const of = (charges: Charges, factor: number, onCharges: boolean): Record<RequirementPart['name'], number> => {
    const times = onCharges ? factor : 1
    return {
      'worst scenario': factor * scan,
      perpetuals: times * charges.perp * perp,
      spot: times * charges.spot * spot,
      'short options': times * charges.shortOption * short,
      'short option minimum': charges.shortOptionMinimum * short,
    }
  }
  const initial = of(grid.initial, lossFactors.initial, grid.factorOnCharges)
  const maintenance = of(grid.maintenance, lossFactors.maintenance, false)
  return (Object.keys(initial) as RequirementPart['name'][]).map((name) => ({ name, initial: initial[name], maintenance: maintenance[name] })).filter((p) => p.initial !== 0 || p.maintenance !== 0)
}
