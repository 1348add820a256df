/** Who stands how near to liquidation, what is due, what can be taken, and what each price would set off. */
import { BadInputError } from '../../core/errors.ts'
import { accountUnder, type StressAccount } from './fund.ts'

/** How a protocol liquidates, as its adapter gives it. Amounts in quote, shares as fractions. */
export type LiquidationRules = {
  /** Below this multiple of the requirement an account is warned, above 1. */
  readonly warnAt: number
  /** Below this share of the requirement positions are taken whole. */
  readonly fullBelow: number
  /** Above it, at most this share of the account's gross notional at a time. */
  readonly partialShare: number
  /** Positions up to this notional are taken whole. */
  readonly wholeUpTo: number
  /** A position below this share of gross cannot be taken at all while value ≥ fullBelow·requirement (the contract reverts); 0 where every one can. */
  readonly smallestShare: number
  /** Penalty as a share of the notional taken. */
  readonly penalty: number
}

/** Risk models §8: warn at 1.2, half at a time above half of the requirement; no quirk. */
export const DEFAULT_LIQUIDATION_RULES: LiquidationRules = { warnAt: 1.2, fullBelow: 0.5, partialShare: 0.5, wholeUpTo: 100, smallestShare: 0, penalty: 0.025 }

/** An account as its protocol's arithmetic values it now, quote. */
export type LiquidationAccount = {
  readonly id: string
  /** What decides: collateral as it counts for margin. */
  readonly value: number
  /** What pays: the same with what a liquidation of other collateral brings in. */
  readonly recoverable: number
  readonly requirement: number
  readonly positions: readonly { readonly market: string; /** Signed: a short is negative. */ readonly notional: number }[]
  /** What closing all of it costs it, as `costOfClosing`, quote; at least this where a part is unknown. */
  readonly closingCost: number
  /** Why it cannot be liquidated now although it is below its requirement (open liquidity, a market that is not open); null where nothing hinders. */
  readonly hindered?: string | null
}

/** HEALTHY, then T0 to T6: warned; partly due; wholly due; equity that closing would use up; a deficit that the fund pays, that winners pay, that all pay. */
export const LIQUIDATION_TIERS = ['HEALTHY', 'WARN', 'PARTIAL', 'FULL', 'BACKSTOP', 'FUND', 'ADL', 'SOCIALISED'] as const
export type LiquidationTier = (typeof LIQUIDATION_TIERS)[number]

export type TieredAccount = {
  readonly id: string
  readonly tier: LiquidationTier
  /** Closing cost (of one that is due) − recoverable of an account that recovers less than nothing, quote, and who pays it; 0 for the others. */
  readonly deficit: number
  readonly fromFund: number
  readonly fromWinners: number
  readonly socialised: number
  readonly why: string
}

/** What an account leaves behind that recovers less than nothing, quote: with the cost of closing it where it is due. */
export const deficitOf = ({ value, recoverable, requirement, closingCost }: LiquidationAccount): number => (value < requirement ? closingCost : 0) - recoverable

const grossOf = (account: LiquidationAccount): number => account.positions.reduce((sum, p) => sum + Math.abs(p.notional), 0)

/** (value − requirement) / gross; −∞ for a deficit without positions, +∞ for an account that owes nothing. */
export function liquidationDistance(account: LiquidationAccount): number {
  const gross = grossOf(account)
  return gross > 0 ? (account.value - account.requirement) / gross : account.value < 0 ? -Infinity : Infinity
}

function checkRules(rules: LiquidationRules): void {
  const { warnAt, fullBelow, partialShare, wholeUpTo, smallestShare, penalty } = rules
  if (!(warnAt >= 1) || !(fullBelow >= 0 && fullBelow <= 1) || !(partialShare > 0 && partialShare <= 1) || !(wholeUpTo >= 0) || !(smallestShare >= 0 && smallestShare < 1) || !(penalty >= 0 && penalty < 1)) {
    throw new BadInputError(`Found liquidation rules ${JSON.stringify(rules)}, allowed are warnAt from 1, shares from 0 to 1 and amounts from 0; correct the adapter`)
  }
}

/** Accounts with their distances, the furthest below first; equal ones in order of id. */
function nearestFirst(accounts: readonly LiquidationAccount[]): readonly LiquidationAccount[] {
  const keyed = accounts.map((account) => ({ account, distance: liquidationDistance(account) }))
  keyed.sort((a, b) => (a.distance === b.distance ? (a.account.id < b.account.id ? -1 : 1) : a.distance < b.distance ? -1 : 1))
  return keyed.map((k) => k.account)
}

/**
 * The tier of each account, with who pays its deficit: the fund first, then the profits of winners, then everyone.
 *
 *   WARN      value < warnAt·requirement
 *   PARTIAL   value < requirement: a part may be taken
 *   FULL      value < fullBelow·requirement
 *   BACKSTOP  value < requirement and 0 ≤ recoverable < cost of closing: a keeper would leave a deficit, so a backstop has to take it at a discount
 *   FUND, ADL, SOCIALISED  recoverable < 0, by the last pocket that the deficit takes from
 *
 * Deficits are paid in the order of the queue, furthest below first. `fund` and `winnersProfit` in quote, from 0. Same order as given.
 * Source: risk models §8 (tiers), with Curie's liquidation steps and Derive's auction as precedents; §9 and §10 for the waterfall.
 */
export function liquidationTiers(accounts: readonly LiquidationAccount[], options: { readonly rules: LiquidationRules; readonly fund: number; readonly winnersProfit: number }): readonly TieredAccount[] {
  const { rules } = options
  checkRules(rules)
  if (!(options.fund >= 0) || !(options.winnersProfit >= 0)) throw new BadInputError(`Found a fund of ${options.fund} and profits of ${options.winnersProfit}, allowed are numbers from 0; check the fund`)
  let fund = options.fund
  let profits = options.winnersProfit
  const tiers = new Map<string, TieredAccount>()
  const deficits: LiquidationAccount[] = []
  for (const account of accounts) {
    const { id, value, recoverable, requirement, closingCost } = account
    const plain = (tier: LiquidationTier, why: string): void => void tiers.set(id, { id, tier, deficit: 0, fromFund: 0, fromWinners: 0, socialised: 0, why })
    const ratio = (): string => `${((value / requirement) * 100).toFixed(1)} % of its requirement`
    if (recoverable < 0) deficits.push(account)
    else if (value >= rules.warnAt * requirement) plain('HEALTHY', 'holds more than its requirement asks a warning for')
    else if (value >= requirement) plain('WARN', `holds ${ratio()}, warned below ${(rules.warnAt * 100).toFixed(0)} %`)
    // No loss yet: whoever takes it for less than closing costs leaves none.
    else if (recoverable < closingCost) plain('BACKSTOP', `can recover ${recoverable.toFixed(2)}, closing costs ${closingCost.toFixed(2)}`)
    else if (value < rules.fullBelow * requirement) plain('FULL', `holds ${ratio()}, taken whole below ${(rules.fullBelow * 100).toFixed(0)} %`)
    else plain('PARTIAL', `holds ${ratio()}, a part may be taken`)
  }
  for (const account of nearestFirst(deficits)) {
    const { id } = account
    const deficit = deficitOf(account)
    const fromFund = Math.min(fund, deficit)
    fund -= fromFund
    const fromWinners = Math.min(profits, deficit - fromFund)
    profits -= fromWinners
    const socialised = Math.max(0, deficit - fromFund - fromWinners)
    const tier = socialised > 0 ? 'SOCIALISED' : fromWinners > 0 ? 'ADL' : 'FUND'
    tiers.set(id, { id, tier, deficit, fromFund, fromWinners, socialised, why: `lacks ${deficit.toFixed(2)}: the fund pays ${fromFund.toFixed(2)}, winners ${fromWinners.toFixed(2)}, all ${socialised.toFixed(2)}` })
  }
  return accounts.map((a) => tiers.get(a.id) as TieredAccount)
}

export type QueuedPosition = {
  readonly market: string
  readonly notional: number
  /** Most that may be taken now, |quote|; null where the contract would revert. */
  readonly takeable: number | null
  readonly blocked: string | null
}

export type QueueEntry = {
  readonly id: string
  /** (value − requirement) / gross, fraction; negative is due. */
  readonly distance: number
  readonly value: number
  readonly requirement: number
  readonly gross: number
  readonly due: boolean
  /** Notional that falls to liquidators now: all of it, or partialShare of it. */
  readonly dueNotional: number
  /** Least notional whose taking brings value back to the requirement: (requirement − value) / (mm − penalty); null where none does. */
  readonly cureNotional: number | null
  readonly hindered: string | null
  /** In the order to take them: largest first. */
  readonly positions: readonly QueuedPosition[]
}

export type QueueBucket = { readonly from: number; readonly to: number; readonly accounts: number; readonly notional: number }

export type LiquidationQueue = {
  /** Nearest first, healthy accounts beyond the last bucket left out. */
  readonly entries: readonly QueueEntry[]
  readonly buckets: readonly QueueBucket[]
  readonly dueAccounts: number
  readonly dueNotional: number
  /** Of it, what nothing hinders. */
  readonly takeableNotional: number
  /** due notional / capacity per hour, hours; null without capacity. Above 1 the queue is longer than an hour. */
  readonly backlogRatio: number | null
  /** Time to take all that is due at that capacity, s; null without. */
  readonly etaSec: number | null
  /** Notional liquidated in the last 15 minutes / open interest, fraction; null without open interest. */
  readonly velocity: number | null
}

/** Upper edges of the buckets: due, within 1 %, 3 % and 5 % of gross. Source: risk models §8. */
export const QUEUE_EDGES = [0, 0.01, 0.03, 0.05] as const

/**
 * Most of one position that may be taken, quote: all of it when it is small or value < fullBelow·requirement, else at most
 * partialShare·gross; null where its share of gross is below smallestShare and the contract reverts. 0 for an account that is not due.
 */
export function takeableOf(account: LiquidationAccount, notional: number, rules: LiquidationRules): number | null {
  if (account.value >= account.requirement) return 0
  const size = Math.abs(notional)
  if (size <= rules.wholeUpTo || account.value < rules.fullBelow * account.requirement) return size
  const gross = grossOf(account)
  return size < rules.smallestShare * gross ? null : Math.min(size, rules.partialShare * gross)
}

function entryOf(account: LiquidationAccount, rules: LiquidationRules): QueueEntry {
  const gross = grossOf(account)
  const due = account.value < account.requirement
  const whole = account.value < rules.fullBelow * account.requirement || gross <= rules.wholeUpTo
  const keep = gross > 0 ? account.requirement / gross - rules.penalty : 0
  const hindered = account.hindered ?? null
  return {
    id: account.id,
    distance: liquidationDistance(account),
    value: account.value,
    requirement: account.requirement,
    gross,
    due,
    dueNotional: !due ? 0 : whole ? gross : rules.partialShare * gross,
    cureNotional: !due || keep <= 0 || account.value < 0 ? null : Math.min(gross, (account.requirement - account.value) / keep),
    hindered,
    positions: [...account.positions]
      .sort((a, b) => Math.abs(b.notional) - Math.abs(a.notional) || (a.market < b.market ? -1 : 1))
      .map((p) => {
        const takeable = hindered === null ? takeableOf(account, p.notional, rules) : 0
        return {
          market: p.market,
          notional: p.notional,
          takeable,
          blocked: takeable === null ? `less than ${(rules.smallestShare * 100).toFixed(2)} % of the account's gross notional: the contract reverts, take the largest position first` : hindered,
        }
      }),
  }
}

/**
 * Accounts by distance to liquidation, the nearest first, with what is due against what can be taken.
 *
 * backlog ratio = Σ due notional / capacity per hour; velocity = notional liquidated in 15 minutes / open interest. `capacityPerHour` and
 * notionals in quote, from 0. Accounts at equal distance come in order of id. Source: risk models §8.
 */
export function liquidationQueue(
  accounts: readonly LiquidationAccount[],
  options: { readonly rules: LiquidationRules; readonly capacityPerHour: number; readonly liquidated15Min: number; readonly openInterest: number },
): LiquidationQueue {
  const { rules, capacityPerHour, liquidated15Min, openInterest } = options
  checkRules(rules)
  if (![capacityPerHour, liquidated15Min, openInterest].every((x) => x >= 0 && Number.isFinite(x))) {
    throw new BadInputError(`Found a capacity of ${capacityPerHour}, ${liquidated15Min} liquidated and open interest ${openInterest}, allowed are numbers from 0; check the market's figures`)
  }
  const last = QUEUE_EDGES[QUEUE_EDGES.length - 1] as number
  const entries = nearestFirst(accounts.filter((a) => liquidationDistance(a) < last && grossOf(a) > 0)).map((a) => entryOf(a, rules))
  const buckets = QUEUE_EDGES.map((to, i): QueueBucket => {
    const from = i === 0 ? -Infinity : (QUEUE_EDGES[i - 1] as number)
    const inside = entries.filter((e) => e.distance >= from && e.distance < to)
    return { from, to, accounts: inside.length, notional: inside.reduce((sum, e) => sum + e.gross, 0) }
  })
  const dueNotional = entries.reduce((sum, e) => sum + e.dueNotional, 0)
  const takeableNotional = entries.reduce((sum, e) => sum + (e.hindered === null ? e.dueNotional : 0), 0)
  const backlogRatio = capacityPerHour > 0 ? dueNotional / capacityPerHour : dueNotional === 0 ? 0 : null
  return {
    entries,
    buckets,
    dueAccounts: entries.filter((e) => e.due).length,
    dueNotional,
    takeableNotional,
    backlogRatio,
    etaSec: backlogRatio === null ? null : backlogRatio * 3_600,
    velocity: openInterest > 0 ? liquidated15Min / openInterest : null,
  }
}

/** What one price would set off. Quote; counts of accounts. */
export type LadderRung = {
  /** Relative change of the asset's price, and the price. */
  readonly change: number
  readonly price: number
  readonly accounts: number
  /** Gross notional of those accounts at that price, and the part of it in the asset. */
  readonly notional: number
  readonly notionalInAsset: number
  /** What they leave behind, closing costs included; who pays it. */
  readonly badDebt: number
  readonly fundUsed: number
  readonly uncovered: number
}

/**
 * The ladder of one asset: what happens were its price to jump to each step, nobody having been liquidated on the way.
 *
 * A rung is the whole book at that price, not what it adds to the one before: bad debt therefore never counts an account twice. `moveOf`
 * says how far another asset moves when this one moves by `change` (0 where left out; the asset itself always moves by it): beta · change for a
 * joint move, `change` for a collateral that is the same coin. `fund` in quote from 0. Steps are relative changes above −1, in any order; rungs
 * come in order of price. Throws BadInputError without steps or for a price at or below 0. Source: risk models §8 and §10.
 */
export function liquidationLadder(
  accounts: readonly StressAccount[],
  options: {
    readonly asset: string
    readonly price: number
    readonly changes: readonly number[]
    readonly fund: number
    readonly moveOf?: (asset: string, change: number) => number
    /** As `Shock.costOf`. */
    readonly costOf: (asset: string, notional: number) => number
  },
): readonly LadderRung[] {
  const { asset, price, changes, fund, moveOf, costOf } = options
  if (changes.length === 0 || !changes.every((c) => c > -1 && Number.isFinite(c))) throw new BadInputError(`Found changes ${changes.join(', ')}, allowed is at least one number above -1; -0.1 means 10 % down`, { field: 'changes' })
  if (!(price > 0) || !(fund >= 0)) throw new BadInputError(`Found a price of ${price} and a fund of ${fund}, allowed are a price above 0 and a fund from 0; check the market`, { field: 'price' })
  const steps = [...changes].sort((a, b) => a - b)
  const changeOf = (other: string, change: number): number => (other === asset ? change : Math.max(-0.99, moveOf?.(other, change) ?? 0))
  const moving = new Map<string, boolean>()
  const moves = (other: string): boolean => {
    const known = moving.get(other) ?? steps.some((change) => changeOf(other, change) !== 0)
    moving.set(other, known)
    return known
  }
  // Accounts that no step touches stand the same on every rung.
  const touched: StressAccount[] = []
  const untouched: StressAccount[] = []
  for (const account of accounts) (account.positions.some((p) => moves(p.asset)) || account.ranges.some((r) => moves(r.asset)) || account.collateral.some((c) => moves(c.asset)) ? touched : untouched).push(account)

  const countUnder = (list: readonly StressAccount[], change: number) => {
    const factors = new Map<string, number>()
    const shock = {
      id: `${asset} ${change}`,
      changeOf: (other: string): number => {
        const known = factors.get(other) ?? changeOf(other, change)
        factors.set(other, known)
        return known
      },
      costOf,
    }
    const sum = { accounts: 0, notional: 0, notionalInAsset: 0, badDebt: 0 }
    for (const account of list) {
      const { value, recoverable, gross, cost } = accountUnder(account, shock)
      const due = gross > 0 && value < account.maintenanceMargin * gross
      sum.badDebt += Math.max(0, (due ? cost : 0) - recoverable)
      if (!due) continue
      sum.accounts++
      sum.notional += gross
      for (const p of account.positions) if (p.asset === asset) sum.notionalInAsset += Math.abs(p.value) * (1 + change)
    }
    return sum
  }
  const still = countUnder(untouched, 0)
  return steps.map((change) => {
    const own = countUnder(touched, change)
    const badDebt = own.badDebt + still.badDebt
    const fundUsed = Math.min(fund, badDebt)
    return { change, price: price * (1 + change), accounts: own.accounts + still.accounts, notional: own.notional + still.notional, notionalInAsset: own.notionalInAsset, badDebt, fundUsed, uncovered: badDebt - fundUsed }
  })
}
