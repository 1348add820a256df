/**
 * Auto-deleveraging: when neither an account nor the fund can pay, winners on the other side give up profit. Who, in which order, how much.
 * Amounts are exact (bigint); rankings are statistics (float64).
 */
import { BadInputError } from '../../core/errors.ts'
import { abs, E18, max, min, mulDiv, toFloat } from '../../core/units.ts'

export const ADL_METHODS = ['bitmex', 'binance', 'prorata', 'riskAware'] as const
export type AdlMethod = (typeof ADL_METHODS)[number]

/** A position that may be deleveraged. */
export type AdlPosition = {
  readonly id: string
  /** Base, signed. */
  readonly sizeE18: bigint
  readonly entryPriceE18: bigint
  readonly markPriceE18: bigint
  /** Price at which its account has nothing left; null where there is none. */
  readonly bankruptcyPriceE18: bigint | null
  /** Margin of the account without unrealised PnL, and its maintenance margin, quote. */
  readonly walletE18: bigint
  readonly maintenanceMarginE18: bigint
  /** Unrealised PnL of the account over all of its positions, this one included: what is lost elsewhere is no equity here. */
  readonly accountPnlE18: bigint
}

export type AdlEntry = {
  readonly id: string
  readonly sizeE18: bigint
  /** size·(mark − entry), towards zero. */
  readonly unrealizedPnlE18: bigint
  readonly score: number
  /** Notional over the account's equity (wallet + PnL of all its positions); Infinity without equity. */
  readonly leverage: number
  /** 1 for the first to be deleveraged. */
  readonly rank: number
  /** rank / n, in (0, 1]; the top fifth shows five lights at venues that show them. */
  readonly quantile: number
  readonly lights: 1 | 2 | 3 | 4 | 5
}

const pnlOf = (p: AdlPosition): bigint => mulDiv(p.sizeE18, p.markPriceE18 - p.entryPriceE18, E18)

/**
 * BitMEX score: PnL%·effective leverage where PnL% > 0, else PnL% / effective leverage.
 *
 * PnL% = (mark − entry)/entry in the position's favour; effective leverage = mark / |mark − bankruptcy|. (entry 4000, mark 3600,
 * bankruptcy 4400, short) gives 0.1·4.5 = 0.45. Without a bankruptcy price the leverage is 1. Source: BitMEX support, Auto-deleveraging.
 */
export function bitmexScore(p: AdlPosition): number {
  const [entry, mark] = [toFloat(p.entryPriceE18, 18), toFloat(p.markPriceE18, 18)]
  const share = ((mark - entry) / entry) * (p.sizeE18 > 0n ? 1 : -1)
  const bankruptcy = p.bankruptcyPriceE18 === null ? null : toFloat(p.bankruptcyPriceE18, 18)
  const leverage = bankruptcy === null ? 1 : mark / Math.max(1e-12 * mark, Math.abs(mark - bankruptcy))
  return share > 0 ? share * leverage : share / leverage
}

/**
 * Binance score: max(0, PnL)/max(1, wallet) · maintenance margin/(wallet + PnL of the account), the second factor being the margin ratio.
 *
 * (40.2/4.27)·0.1342 gives 1.2634. An account without equity has margin ratio 1. Source: Binance developer forum 17801.
 */
export function binanceScore(p: AdlPosition): number {
  const pnl = toFloat(pnlOf(p), 18)
  const wallet = toFloat(p.walletE18, 18)
  const equity = wallet + toFloat(p.accountPnlE18, 18)
  const ratio = equity > 0 ? toFloat(p.maintenanceMarginE18, 18) / equity : 1
  return (Math.max(0, pnl) / Math.max(1, wallet)) * ratio
}

/** Notional over the account's equity; Infinity without equity. */
export function leverageOf(p: AdlPosition): number {
  const equity = toFloat(p.walletE18 + p.accountPnlE18, 18)
  return equity > 0 ? Math.abs(toFloat(mulDiv(p.sizeE18, p.markPriceE18, E18), 18)) / equity : Infinity
}

/** A weight that stays finite: nobody counts for more than a thousandfold leverage. */
const MAX_LEVERAGE = 1_000

function scoreOf(p: AdlPosition, method: AdlMethod): number {
  switch (method) {
    case 'bitmex':
      return bitmexScore(p)
    case 'binance':
      return binanceScore(p)
    case 'prorata':
      return Math.max(0, toFloat(pnlOf(p), 18))
    case 'riskAware':
      return Math.max(0, toFloat(pnlOf(p), 18)) * Math.min(MAX_LEVERAGE, leverageOf(p))
  }
}

/**
 * Positions in the order in which they would be deleveraged, with rank and quantile.
 *
 * `side` keeps the counterparties of a bankrupt position: winners against a long are shorts. Equal scores keep the order of their ids.
 * prorata and riskAware rank by their weights (PnL⁺, PnL⁺·leverage), which is how much each gives up rather than who comes first.
 * Throws BadInputError for a price at or below 0. Source: risk models §9; Chitra, arXiv:2512.01112 and 2602.15182, for risk-aware weights.
 */
export function adlQueue(positions: readonly AdlPosition[], method: AdlMethod, side?: 'long' | 'short'): readonly AdlEntry[] {
  for (const p of positions) if (p.markPriceE18 <= 0n || p.entryPriceE18 <= 0n) throw new BadInputError(`${p.id}: found an entry of ${p.entryPriceE18} and a mark of ${p.markPriceE18}, allowed are prices above 0; give both`, { field: 'markPriceE18', id: p.id })
  const wanted = positions.filter((p) => p.sizeE18 !== 0n && (side === undefined || p.sizeE18 > 0n === (side === 'long')))
  const scored = wanted.map((p) => ({ p, score: scoreOf(p, method) }))
  scored.sort((a, b) => (a.score === b.score ? (a.p.id < b.p.id ? -1 : a.p.id > b.p.id ? 1 : 0) : b.score - a.score))
  return scored.map(({ p, score }, i) => ({
    id: p.id,
    sizeE18: p.sizeE18,
    unrealizedPnlE18: pnlOf(p),
    score,
    leverage: leverageOf(p),
    rank: i + 1,
    quantile: (i + 1) / scored.length,
    lights: Math.min(5, 5 - Math.floor((i * 5) / scored.length)) as AdlEntry['lights'],
  }))
}

/** What one account gives up. */
export type AdlShare = {
  readonly id: string
  /** Profit given up, E18 quote, from 0 up to its profit. */
  readonly haircutE18: bigint
  /** Profit that is left. */
  readonly keptE18: bigint
  /** Size that is closed at the mark price to realise it: size·haircut/PnL, signed, towards zero. */
  readonly closedSizeE18: bigint
}

export type AdlAllocation = {
  readonly method: AdlMethod
  readonly deficitE18: bigint
  /** Σ haircuts = min(deficit, Σ profits), exactly. */
  readonly paidE18: bigint
  /** Deficit beyond all profits: for everyone to carry. */
  readonly socialisedE18: bigint
  /** In the queue's order, accounts that give up nothing left out. */
  readonly shares: readonly AdlShare[]
}

/** `total` over weights, none above its cap, exact to the wei: what a cap turns away goes to the others in proportion; the last wei to the largest remainders. */
function proportional(total: bigint, weights: readonly bigint[], caps: readonly bigint[]): bigint[] {
  const out = weights.map(() => 0n)
  const open = weights.map((w, i) => w > 0n && (caps[i] as bigint) > 0n)
  let left = total
  for (;;) {
    const sum = weights.reduce((a, w, i) => (open[i] === true ? a + w : a), 0n)
    if (sum === 0n || left === 0n) return out
    // Whoever would be asked for more than it has gives all and leaves the round.
    const full = weights.map((w, i) => open[i] === true && (left * w) / sum >= (caps[i] as bigint))
    if (!full.includes(true)) {
      const parts = weights.map((w, i) => (open[i] === true ? (left * w) / sum : 0n))
      const rest = left - parts.reduce((a, b) => a + b, 0n)
      const order = weights
        .map((w, i) => ({ i, remainder: open[i] === true ? (left * w) % sum : -1n }))
        .filter((r) => r.remainder > 0n)
        .sort((a, b) => (a.remainder === b.remainder ? a.i - b.i : b.remainder > a.remainder ? 1 : -1))
      parts.forEach((part, i) => {
        if (open[i] === true) out[i] = part
      })
      for (let k = 0; BigInt(k) < rest; k++) {
        const i = (order[k] as { i: number }).i
        out[i] = (out[i] as bigint) + 1n
      }
      return out
    }
    full.forEach((isFull, i) => {
      if (!isFull) return
      out[i] = caps[i] as bigint
      left -= caps[i] as bigint
      open[i] = false
    })
  }
}

/**
 * What a deficit would do to whom.
 *
 * bitmex, binance: down the queue, each gives all its profit until the deficit is paid. prorata: h_i = D·PnL⁺_i / ΣPnL⁺. riskAware: in
 * proportion to PnL⁺·leverage, capped at each one's profit, the rest over the others. Σ h_i = min(D, ΣPnL⁺) and 0 ≤ h_i ≤ PnL⁺_i, to the wei.
 * (100 over profits of 300 and 100 gives 75 and 25.) `deficitE18` ≥ 0. Source: risk models §9.
 */
export function adlAllocate(positions: readonly AdlPosition[], options: { readonly method: AdlMethod; readonly deficitE18: bigint; readonly side?: 'long' | 'short' }): AdlAllocation {
  const { method, deficitE18, side } = options
  if (deficitE18 < 0n) throw new BadInputError(`Found a deficit of ${deficitE18}, allowed is 0 or more; give what is missing as a positive amount`, { field: 'deficitE18' })
  const queue = adlQueue(positions, method, side)
  const profits = queue.map((e) => max(0n, e.unrealizedPnlE18))
  const payable = min(deficitE18, profits.reduce((a, b) => a + b, 0n))
  let haircuts: bigint[]
  if (method === 'prorata' || method === 'riskAware') {
    const weights = method === 'prorata' ? profits : profits.map((profit, i) => profit * BigInt(Math.max(1, Math.round(Math.min(MAX_LEVERAGE, (queue[i] as AdlEntry).leverage) * 1e6))))
    haircuts = proportional(payable, weights, profits)
  } else {
    let left = payable
    haircuts = profits.map((profit) => {
      const part = min(left, profit)
      left -= part
      return part
    })
  }
  const shares = queue.map((entry, i): AdlShare => {
    const haircutE18 = haircuts[i] as bigint
    const profit = profits[i] as bigint
    return { id: entry.id, haircutE18, keptE18: profit - haircutE18, closedSizeE18: profit === 0n ? 0n : mulDiv(entry.sizeE18, haircutE18, profit) }
  })
  return { method, deficitE18, paidE18: payable, socialisedE18: deficitE18 - payable, shares: shares.filter((s) => s.haircutE18 > 0n) }
}

/** A position taken over from the queue. */
export type AdlFill = { readonly id: string; /** Closed of it, signed as it stood. */ readonly sizeE18: bigint; /** What closing there instead of at the mark gives up, quote; negative is a gain. */ readonly forgoneE18: bigint }

/**
 * Deleveraging by size, as venues do it: the bankrupt size is closed against the queue at the bankruptcy price, first come first.
 *
 * `sizeE18` is the bankrupt position (a long is closed against shorts), `priceE18` its bankruptcy price. Each fill takes at most the
 * counterparty's size; `leftE18` is what no counterparty held, signed as the bankrupt position. Source: dYdX v4, deleveraging; risk models §4 and §9.
 */
export function deleverage(positions: readonly AdlPosition[], options: { readonly method: AdlMethod; readonly sizeE18: bigint; readonly priceE18: bigint }): { readonly fills: readonly AdlFill[]; readonly leftE18: bigint } {
  const { method, sizeE18, priceE18 } = options
  if (priceE18 <= 0n) throw new BadInputError(`Found a bankruptcy price of ${priceE18}, allowed is above 0; give the price at which the account has nothing left`, { field: 'priceE18' })
  const marks = new Map(positions.map((p) => [p.id, p.markPriceE18]))
  let left = abs(sizeE18)
  const fills: AdlFill[] = []
  for (const entry of adlQueue(positions, method, sizeE18 > 0n ? 'short' : 'long')) {
    const taken = min(left, abs(entry.sizeE18))
    if (taken === 0n) continue
    left -= taken
    const signed = entry.sizeE18 > 0n ? taken : -taken
    fills.push({ id: entry.id, sizeE18: signed, forgoneE18: mulDiv(signed, (marks.get(entry.id) as bigint) - priceE18, E18) })
  }
  return { fills, leftE18: sizeE18 < 0n ? -left : left }
}
