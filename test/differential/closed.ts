/**
 * What the API should answer about margins, from the contracts' own answers at a block: their getters where there is one, and
 * otherwise the closed form over them, written here a second time and without `protocols/`. Amounts to the last wei of 18
 * decimals, which the getters themselves round to the settlement token's 6.
 */
import type { Address, Deployment } from '../../protocols/adapter.ts'
import { keyOf, REVERT, type Value } from './getters.ts'
import type { Recorded } from './record.ts'

export type Answers = Pick<Recorded, 'accounts' | 'values'>

/** What stands for a figure that the API gives as null. */
export const NULL: Value = 'null'

const E18 = 10n ** 18n
const E12 = 10n ** 12n
const RATIO = 1_000_000n
const DUST_E18 = 10n

const abs = (x: bigint): bigint => (x < 0n ? -x : x)
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)
/** Rounded down, whatever the signs. */
const floorDiv = (a: bigint, b: bigint): bigint => (a % b !== 0n && a < 0n !== b < 0n ? a / b - 1n : a / b)
/** 18 decimals as the nearest float64 of its decimal text. */
const decimal = (x: bigint): number => Number(`${x}e-18`)

/** Quote in float64 as a whole number of millionths: what a thousand products of float64 round away is below that. */
export const micro = (quote: number): string => String(Math.round(quote * 1e6))

/** A contract's refusal, which makes the figures that need the answer unknown. */
class Refused extends Error {}

export class Contracts {
  readonly #values: Answers['values']
  readonly #deployment: Deployment

  constructor(deployment: Deployment, values: Answers['values']) {
    this.#deployment = deployment
    this.#values = values
  }

  /** An answer in the contract's words. Throws Refused where it refused. */
  say(field: string, key: string): Value {
    const value = this.#values[field]?.[key]
    if (value === undefined || value.startsWith(REVERT)) throw new Refused(`${field} ${key}: ${value ?? 'not asked'}`)
    return value
  }

  number(field: string, key: string): bigint {
    return BigInt(this.say(field, key))
  }

  ratioE6(name: string, subject?: string): bigint {
    const [first] = Object.keys(this.#values[`parameter ${name}`] ?? {})
    return this.number(`parameter ${name}`, subject ?? first ?? '')
  }

  /** Ratios that the API's margins depend on, and figures of one account. */
  account(account: Address): AccountAnswers {
    const number = (field: string): bigint => this.number(field, account)
    const [im, mm] = [this.ratioE6('imRatio'), this.ratioE6('mmRatio')]
    const settlementE18 = number('Vault.getBalance') * E12 + number('AccountBalance.getPnlAndPendingFee.owedRealizedPnl') + number('AccountBalance.getPnlAndPendingFee.pendingFee') - number('Exchange.getAllPendingFundingPayment')
    const collateralsE18 = this.#deployment.collaterals.map(({ token, decimals }) => {
      const amount = this.number('Vault.getBalanceByToken', keyOf.accountToken({ account, token }))
      if (amount === 0n) return 0n
      const price = this.number('CollateralManager.getPrice', token)
      const scale = 10n ** this.number('CollateralManager.getPriceFeedDecimals', token)
      return ((amount * 10n ** BigInt(18 - decimals) * price) / scale) * this.ratioE6('collateralRatio', token) / RATIO
    })
    const collateralE18 = collateralsE18.reduce((sum, one) => sum + one, settlementE18)
    const unrealizedE18 = number('AccountBalance.getPnlAndPendingFee.unrealizedPnl')
    const debtE18 = number('AccountBalance.getTotalDebtValue')
    const positionsE18 = number('AccountBalance.getTotalAbsPositionValue')
    const valueE18 = collateralE18 + unrealizedE18
    const requirementE18 = number('AccountBalance.getMarginRequirementForLiquidation')
    return {
      im, mm, collateralE18, unrealizedE18, positionsE18, valueE18, requirementE18, debtE18,
      initialE18: (debtE18 * im) / RATIO,
      freeE18: least(collateralE18, valueE18) - (debtE18 * im) / RATIO,
      freeToReduceE18: least(collateralE18, valueE18) - (debtE18 * mm) / RATIO,
      collateralRequirementE18: number('Vault.getMarginRequirementForCollateralLiquidation'),
      isBelow: this.say('liquidatable', account) === 'true',
      hasOrder: this.say('AccountBalance.hasOrder', account) === 'true',
    }
  }

  /** Whether the contract lets anyone liquidate the account in this market (ClearingHouse.liquidate's first four demands). */
  mayLiquidate(of: AccountAnswers, account: Address, market: Address): boolean {
    return of.isBelow && !of.hasOrder && this.say('BaseToken.isOpen', market) === 'true' && this.number('AccountBalance.getTakerPositionSize', keyOf.accountMarket({ account, market })) !== 0n
  }

  /** Price that positions in a market are valued at. */
  price(market: Address): bigint {
    return this.say('BaseToken.isClosed', market) === 'true' ? this.number('BaseToken.getClosedPrice', market) : this.number('AccountBalance.getMarkPrice', market)
  }

  /**
   * Mark price at which the account's value is `ratio` of its positions, the others as they are; down for a long, up for a short.
   *   value(P) = value + size · (P − price),  requirement(P) = ratio · (Σ|other values| + |size| · P)
   */
  priceAt(of: AccountAnswers, account: Address, market: Address, ratioE6: bigint): bigint | null {
    const key = keyOf.accountMarket({ account, market })
    const size = this.number('AccountBalance.getTotalPositionSize', key)
    const isFixed = this.say('BaseToken.isOpen', market) !== 'true' || this.say('OrderBook.getOpenOrderIds', key) !== ''
    if (size === 0n || isFixed) return null
    const otherE18 = of.positionsE18 - abs(this.number('AccountBalance.getTotalPositionValue', key))
    // value(P) = requirement(P), both times 1e18 · 1e6.
    const fixed = (of.valueE18 * E18 - size * this.price(market)) * RATIO
    const other = otherE18 * E18 * ratioE6
    const price = size > 0n ? floorDiv(other - fixed, size * (RATIO - ratioE6)) : -floorDiv(other - fixed, -size * (RATIO + ratioE6))
    return price > 0n ? price : null
  }
}

export type AccountAnswers = {
  readonly im: bigint
  readonly mm: bigint
  readonly collateralE18: bigint
  readonly unrealizedE18: bigint
  readonly positionsE18: bigint
  readonly valueE18: bigint
  readonly requirementE18: bigint
  readonly debtE18: bigint
  readonly initialE18: bigint
  readonly freeE18: bigint
  readonly freeToReduceE18: bigint
  readonly collateralRequirementE18: bigint
  readonly isBelow: boolean
  readonly hasOrder: boolean
}

/** What a call of `of` gives, or null where a contract refused what it needs. */
export function known<T>(of: () => T): T | null {
  try {
    return of()
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
}

const share = (amountE18: bigint, ofE18: bigint): Value => (ofE18 === 0n ? NULL : String(decimal(floorDiv(amountE18 * E18, ofE18))))

/** Tiers by the getter's value, which has lost what is below the settlement token's decimals. */
function tierOf(valueE18: bigint, requirementE18: bigint): string {
  if (valueE18 < 0n) return 'BAD_DEBT'
  if (valueE18 < requirementE18 / 2n) return 'FULL'
  if (valueE18 < requirementE18) return 'PARTIAL'
  return valueE18 * 5n < requirementE18 * 6n ? 'WARN' : 'HEALTHY'
}

/** Accounts are listed up to this distance, fraction of gross. */
const QUEUE_EDGE = 0.05

/** `account.margin` and the taker positions of every account, by the names of the API's fields. */
export function expectedOf(deployment: Deployment, { accounts, values }: Answers, ids: ReadonlySet<string>): Record<string, Record<string, Value>> {
  const contracts = new Contracts(deployment, values)
  const out: Record<string, Record<string, Value>> = {}
  const put = (field: string, key: string, value: bigint | boolean | string | null): void => void ((out[`API ${field}`] ??= {})[key] = value === null ? NULL : String(value))
  let [queued, due, staged, unknown] = [0, 0, 0, 0]
  for (const account of accounts) {
    if (!ids.has(account)) continue
    const of = known(() => contracts.account(account))
    put('account.margin', account, of === null ? NULL : 'known')
    const isExposed = contracts.say('AccountBalance.getBaseTokens', account) !== ''
    if (isExposed && of === null) unknown++
    if (of === null) continue
    if (isExposed) {
      staged++
      const [value, requirement, gross] = [decimal(of.valueE18), decimal(of.requirementE18), decimal(of.positionsE18)]
      for (const [name, figure] of Object.entries({ value, requirement, distance: gross === 0 ? null : micro(((value - requirement) / gross) * 1e6) })) put(`liquidationStates.nodes.${name}`, account, figure === null ? null : String(figure))
    }
    const comparedE18 = contracts.number('ClearingHouse.getAccountValue', account)
    put('margin.accountValue', account, of.valueE18)
    // What the getters round to 6 decimals themselves.
    put('margin.accountValue in settlement decimals', account, contracts.number('Vault.getAccountValue', account))
    put('margin.freeCollateral in settlement decimals', account, contracts.number('Vault.getFreeCollateralByRatio imRatio', account))
    put('margin.freeCollateralToReduce in settlement decimals', account, contracts.number('Vault.getFreeCollateralByRatio mmRatio', account))
    put('margin.collateralValue', account, of.collateralE18)
    put('margin.unrealizedPnl', account, of.unrealizedE18)
    put('margin.positionValue', account, of.positionsE18)
    put('margin.initialMargin', account, of.initialE18)
    put('margin.maintenanceMargin', account, of.requirementE18)
    put('margin.freeCollateral', account, of.freeE18)
    put('margin.freeCollateralToReduce', account, of.freeToReduceE18)
    put('margin.collateralMaintenanceMargin', account, of.collateralRequirementE18)
    put('margin.marginRatio', account, share(of.valueE18, of.positionsE18))
    put('margin.distanceToLiquidation', account, share(of.valueE18 - of.requirementE18, of.positionsE18))
    put('margin.leverage', account, of.valueE18 > 0n ? String(decimal(of.positionsE18) / decimal(of.valueE18)) : NULL)
    put('margin.tier', account, tierOf(comparedE18, of.requirementE18))
    put('margin.liquidatable', account, deployment.markets.some(({ baseToken }) => contracts.mayLiquidate(of, account, baseToken)))
    put('margin.exactness', account, 'EXACT')
    for (const { baseToken: market } of deployment.markets) positionOf(contracts, of, account, market, put)
    if (queueEntryOf(contracts, of, account, deployment, put)) queued++
    if (of.positionsE18 > 0n && of.valueE18 < of.requirementE18) due++
  }
  put('liquidationStates.totalCount', 'protocol', String(staged))
  put('liquidationStates.unknownMargins', 'protocol', String(unknown))
  put('liquidationQueue.entryCount', 'protocol', String(queued))
  put('liquidationQueue.dueAccounts', 'protocol', String(due))
  for (const { baseToken: market } of deployment.markets) {
    put('market.markPrice', market, known(() => contracts.price(market)))
  }
  put('insuranceFund.capacity in settlement decimals', 'protocol', known(() => contracts.number('InsuranceFund.getInsuranceFundCapacity', 'protocol')))
  return out
}

/** Whether the account is near enough to be in the queue; its entry, in float64. */
function queueEntryOf(contracts: Contracts, of: AccountAnswers, account: Address, deployment: Deployment, put: (field: string, key: string, value: bigint | boolean | string | null) => void): boolean {
  const [value, requirement, gross] = [decimal(of.valueE18), decimal(of.requirementE18), decimal(of.positionsE18)]
  const distance = (value - requirement) / gross
  if (gross === 0 || distance >= QUEUE_EDGE) return false
  for (const [name, figure] of Object.entries({ value, requirement, due: value < requirement, gross: micro(gross), distance: micro(distance * 1e6) })) put(`liquidationQueue.entries.${name}`, account, String(figure))
  for (const { baseToken: market } of deployment.markets) {
    const key = keyOf.accountMarket({ account, market })
    if (!contracts.say('AccountBalance.getBaseTokens', account).split(',').includes(market)) continue
    const taken = contracts.mayLiquidate(of, account, market) ? known(() => contracts.number('AccountBalance.getLiquidatablePositionSize', key)) : 0n
    put('liquidationQueue.entries.positions.takeable', key, taken === null ? null : micro(decimal((abs(taken) * contracts.price(market)) / E18)))
  }
  return true
}

function positionOf(contracts: Contracts, of: AccountAnswers, account: Address, market: Address, put: (field: string, key: string, value: bigint | boolean | string | null) => void): void {
  const key = keyOf.accountMarket({ account, market })
  if (!contracts.say('AccountBalance.getBaseTokens', account).split(',').includes(market)) return
  const size = contracts.number('AccountBalance.getTotalPositionSize', key)
  const value = contracts.number('AccountBalance.getTotalPositionValue', key)
  const open = contracts.number('AccountBalance.getTotalOpenNotional', key)
  const price = known(() => contracts.price(market))
  const [liquidation, bankruptcy] = [contracts.priceAt(of, account, market, of.mm), contracts.priceAt(of, account, market, 0n)]
  const alone = (ratioE6: bigint): bigint => -floorDiv(-abs(value) * ratioE6, RATIO)
  put('margin.positions.size', key, size)
  put('margin.positions.value', key, value)
  put('margin.positions.unrealizedPnl', key, value + open)
  put('margin.positions.initialMargin', key, alone(of.im))
  put('margin.positions.maintenanceMargin', key, alone(of.mm))
  put('margin.positions.liquidatableSize', key, contracts.mayLiquidate(of, account, market) ? known(() => contracts.number('AccountBalance.getLiquidatablePositionSize', key)) : 0n)
  put('margin.positions.liquidationPrice', key, liquidation)
  put('margin.positions.bankruptcyPrice', key, bankruptcy)
  const away = liquidation === null || price === null || price === 0n ? null : size > 0n ? price - liquidation : liquidation - price
  put('margin.positions.distanceToLiquidation', key, away === null || price === null ? NULL : String(Number(floorDiv(away * RATIO, price)) / 1e6))
  // Positions alone, without what stands in ranges.
  const taker = contracts.number('AccountBalance.getTakerPositionSize', key)
  if (taker === 0n || abs(taker) < DUST_E18) return
  const notional = contracts.number('AccountBalance.getTakerOpenNotional', key)
  put('positions.size', key, taker)
  put('positions.openNotional', key, notional)
  put('positions.entryPrice', key, (-notional * E18) / taker)
  put('positions.unrealizedPnl', key, price === null ? NULL : (taker * price) / E18 + notional)
  put('positions.liquidationPrice', key, liquidation)
  put('positions.bankruptcyPrice', key, bankruptcy)
}
