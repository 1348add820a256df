/** Is a liquidation worth a liquidator's while: by size of position, at quiet and at congested gas prices. */
import { BadInputError } from '../../core/errors.ts'
import { quantile } from './tail.ts'

const WEI = 1e18

/** Costs and rewards of one liquidation, the same for every size. Fractions of notional unless said otherwise. */
export type KeeperMarket = {
  /** Penalty that the account pays, and the keeper's share of it in (0, 1]. */
  readonly penalty: number
  readonly keeperShare: number
  /** Fee for closing what was taken over. */
  readonly tradingFee: number
  /** Y·σ_D/√V_D: impact of closing n quote is impactPerRoot·√n. */
  readonly impactPerRoot: number
  /** What the price may move against the keeper until it has closed. */
  readonly latencyCost: number
  /** Profit below which nobody bothers, quote. */
  readonly minProfit: number
}

/** Gas of one liquidation. */
export type GasCost = {
  readonly gasUnits: number
  /** Fee paid to the settlement chain for the transaction's data, quote; 0 where there is none. */
  readonly dataFee: number
  /** Price of the gas token, quote. */
  readonly gasTokenPrice: number
}

/** Gas for one transaction in quote: units · price · token price / 1e18 + data fee. `gasPriceWei` ≥ 0. */
export const gasCost = (gas: GasCost, gasPriceWei: number): number => (gas.gasUnits * gasPriceWei * gas.gasTokenPrice) / WEI + gas.dataFee

/**
 * Profit of taking `notional` and closing it: n·(penalty·share − fee − latency) − impactPerRoot·n^1.5 − gas. Quote; negative is a loss.
 * Source: square-root impact as in risk models §8; Curie pays the liquidator half of the penalty.
 */
export function keeperProfit(market: KeeperMarket, notional: number, gas: number): number {
  const edge = market.penalty * market.keeperShare - market.tradingFee - market.latencyCost
  return edge * notional - market.impactPerRoot * notional ** 1.5 - gas
}

/** What a keeper takes of a position. */
export type KeeperChoice = {
  /** Smallest and largest notional that pay; null where none does. */
  readonly breakEven: number | null
  readonly largestWorthwhile: number | null
  /** Notional that pays most, and what it pays; Infinity where impact is 0 and every size pays more than a smaller one. */
  readonly best: number
  readonly bestProfit: number
}

function checkMarket(market: KeeperMarket): void {
  const { penalty, keeperShare, tradingFee, impactPerRoot, latencyCost, minProfit } = market
  if (!(keeperShare > 0 && keeperShare <= 1) || ![penalty, tradingFee, impactPerRoot, latencyCost, minProfit].every((x) => x >= 0 && Number.isFinite(x))) {
    throw new BadInputError(`Found keeper costs ${JSON.stringify(market)}, allowed are numbers from 0 and a share above 0 up to 1; check the market`)
  }
}

/** Where a function that changes sign between a and b crosses 0, by bisection to a billionth. */
function crossing(f: (x: number) => number, a: number, b: number): number {
  const rising = f(b) > f(a)
  let [low, high] = [a, b]
  for (let i = 0; i < 200 && high - low > 1e-9 * Math.max(1, high); i++) {
    const middle = (low + high) / 2
    if (f(middle) >= 0 === rising) high = middle
    else low = middle
  }
  return rising ? high : low
}

/**
 * The sizes that pay, for one gas cost: profit(n) = e·n − c·n^1.5 − gas is concave, largest at n* = (2e / 3c)².
 *
 * No size pays where the edge e is 0 or less, or profit(n*) is below minProfit. `gas` in quote, ≥ 0.
 */
export function keeperChoice(market: KeeperMarket, gas: number): KeeperChoice {
  checkMarket(market)
  if (!(gas >= 0)) throw new BadInputError(`Found gas of ${gas}, allowed is a number from 0; give its cost in quote`)
  const edge = market.penalty * market.keeperShare - market.tradingFee - market.latencyCost
  if (edge <= 0) return { breakEven: null, largestWorthwhile: null, best: 0, bestProfit: -gas }
  const worth = (n: number): number => keeperProfit(market, n, gas) - market.minProfit
  if (market.impactPerRoot === 0) return { breakEven: (gas + market.minProfit) / edge, largestWorthwhile: Infinity, best: Infinity, bestProfit: Infinity }
  const best = ((2 * edge) / (3 * market.impactPerRoot)) ** 2
  if (worth(best) < 0) return { breakEven: null, largestWorthwhile: null, best, bestProfit: keeperProfit(market, best, gas) }
  // Beyond (e/c)² the edge is eaten by impact alone.
  const breakEven = worth(0) >= 0 ? 0 : crossing(worth, 0, best)
  return { breakEven, largestWorthwhile: crossing(worth, best, (edge / market.impactPerRoot) ** 2 + best), best, bestProfit: keeperProfit(market, best, gas) }
}

/** A position that may fall to keepers. */
export type KeeperPosition = { readonly id: string; /** Most of it that may be taken at a time, quote. */ readonly takeable: number; /** Share of the penalty where it differs (an account below 0 pays all to the keeper). */ readonly keeperShare?: number }

/** A named gas price, wei. */
export type GasLevel = { readonly name: string; readonly gasPriceWei: number }

/**
 * Gas prices to judge by, from past ones: median, 95 %, 99 % and the highest. Each ≥ 0, wei. Throws SampleTooSmallError without any.
 */
export function congestionLevels(gasPricesWei: readonly number[]): readonly GasLevel[] {
  return [
    { name: 'median', gasPriceWei: quantile(gasPricesWei, 0.5) },
    { name: 'p95', gasPriceWei: quantile(gasPricesWei, 0.95) },
    { name: 'p99', gasPriceWei: quantile(gasPricesWei, 0.99) },
    { name: 'highest', gasPriceWei: quantile(gasPricesWei, 1) },
  ]
}

/** A position that nobody would liquidate. */
export type Orphan = {
  readonly id: string
  readonly takeable: number
  /** Best profit that any part of it gives, quote. */
  readonly bestProfit: number
  /** Penalty at which taking all that may be taken would just pay. */
  readonly penaltyNeeded: number
}

export type KeeperLevel = GasLevel & {
  readonly gas: number
  readonly choice: KeeperChoice
  /** Profit by size, for a table. */
  readonly bySize: readonly { readonly notional: number; readonly profit: number; readonly worthwhile: boolean }[]
  /** In the order given. */
  readonly orphans: readonly Orphan[]
  readonly orphanNotional: number
  /** Orphans' share of the notional that may be taken, fraction; 0 for an empty book. */
  readonly orphanShare: number
}

/**
 * At each gas price: which sizes pay, and which positions nobody would liquidate because no part of them does.
 *
 * A keeper may take any part up to `takeable`, so that only positions below the break-even size (or every one, where no size pays) are left.
 * Sizes and notionals in quote. Throws BadInputError for costs out of range.
 */
export function keeperEconomics(p: { readonly market: KeeperMarket; readonly gas: GasCost; readonly levels: readonly GasLevel[]; readonly sizes: readonly number[]; readonly positions: readonly KeeperPosition[] }): readonly KeeperLevel[] {
  const total = p.positions.reduce((sum, x) => sum + x.takeable, 0)
  return p.levels.map((level) => {
    const gas = gasCost(p.gas, level.gasPriceWei)
    const choice = keeperChoice(p.market, gas)
    const orphans: Orphan[] = []
    for (const { id, takeable, keeperShare = p.market.keeperShare } of p.positions) {
      const market = { ...p.market, keeperShare }
      const own = keeperShare === p.market.keeperShare ? choice : keeperChoice(market, gas)
      if (own.breakEven !== null && takeable >= own.breakEven) continue
      const costs = market.tradingFee + market.latencyCost + market.impactPerRoot * Math.sqrt(takeable) + (takeable > 0 ? (gas + market.minProfit) / takeable : Infinity)
      orphans.push({ id, takeable, bestProfit: keeperProfit(market, Math.min(takeable, own.best), gas), penaltyNeeded: costs / keeperShare })
    }
    const orphanNotional = orphans.reduce((sum, o) => sum + o.takeable, 0)
    return {
      ...level,
      gas,
      choice,
      bySize: p.sizes.map((notional) => {
        const profit = keeperProfit(p.market, notional, gas)
        return { notional, profit, worthwhile: profit >= p.market.minProfit }
      }),
      orphans,
      orphanNotional,
      orphanShare: total > 0 ? orphanNotional / total : 0,
    }
  })
}
