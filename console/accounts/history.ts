/** What an event of an account's history says, and what it moved into the account. */
import type { AccountHistoryQuery } from '../generated/operations.ts'
import { figure, price, short, size, usd } from '../ui/format.ts'

export type Event = NonNullable<AccountHistoryQuery['account']>['history']['nodes'][number]
type Amount = { readonly value: string }

/** Value into the account, USD, exact decimal text: out of it is negative, fees and penalties that the event charges are not in it. `none`: why the event has no such value. */
export type Flow = { readonly value: string } | { readonly value: null; readonly none: string }

/**
 * All flows of an account have one sign, which events do not: PositionChanged gives quote received, FundingPaymentSettled quote paid.
 * Nothing counts twice: a liquidation's quote is in the PositionChanged of its own transaction, and liquidity stays the account's.
 * Source: ClearingHouse.sol, OrderBook.sol and Vault.sol of Curie v2.6.0, as read in subgraph/curie.
 */
export function flowOf(event: Event): Flow {
  const known = (amount: Amount | null | undefined): Flow => (amount == null ? { value: null, none: 'The API gives no amount of it' } : { value: amount.value })
  switch (event.kind) {
    case 'TRADE': return known(event.notional)
    case 'FUNDING': return known(event.notional && { value: negated(event.notional.value) })
    case 'LIQUIDATION': return { value: null, none: 'What the position was taken for is the value of the trade in the same transaction' }
    // Fees are paid out with each change of a range.
    case 'LIQUIDITY': return event.fee && !isNought(event.fee.value) ? known(event.fee) : { value: null, none: 'It moves between the account and its own range, and no fees were collected' }
    // The settlement token is what the protocol counts as 1 USD.
    case 'DEPOSIT': case 'WITHDRAWAL': return event.settled == null ? { value: null, none: 'It moves tokens that do not settle, and a price for them would be a guess: their amount stands in the detail' } : known(event.settled)
    case 'COLLATERAL_LIQUIDATION': case 'BAD_DEBT': return known(event.settled)
  }
}

/** What the event charged the account, USD, exact decimal text ≥ 0; null where it charges nothing by nature. */
export const chargeOf = (event: Event): string | null => (event.kind === 'LIQUIDITY' ? null : (event.fee?.value ?? null))

const isNought = (value: string): boolean => /^-?0(\.0*)?$/.test(value)
const negated = (value: string): string => (isNought(value) ? '0' : value.startsWith('-') ? value.slice(1) : `-${value}`)
const unsigned = (value: string): string => value.replace(/^-/, '')

/** A nought is no 0.00000. */
export const sizeOf = (value: string): string => (isNought(value) ? '0' : size(value))

/** What is left of the event's figures, in words: sizes are unsigned, words give their direction. */
export function detailOf(event: Event): string {
  const amount = (of: Amount | null | undefined, show: (value: string) => string): string => (of == null ? '—' : show(of.value))
  const amountOf = (of: Amount | null | undefined, show: (value: string) => string): string => amount(of, (value) => show(unsigned(value)))
  const isNegative = (of: Amount | null | undefined): boolean => of?.value.startsWith('-') === true
  switch (event.kind) {
    case 'TRADE': return `${isNegative(event.size) ? 'sold' : 'bought'} ${amountOf(event.size, size)} at ${amount(event.price, price)} USD, ${isNegative(event.notional) ? 'paid' : 'received'} ${amountOf(event.notional, usd)} USD, realised ${amount(event.realizedPnl, usd)} USD; ${amount(event.sizeAfter, sizeOf)} left`
    case 'LIQUIDATION': return `${amount(event.size, size)} taken at ${amount(event.price, price)} USD, ${amount(event.notional, usd)} USD in all, by ${short(event.liquidator ?? '')}; ${amount(event.sizeAfter, sizeOf)} left`
    case 'COLLATERAL_LIQUIDATION': return `${amount(event.amount, size)} ${event.token} sold off for ${amount(event.settled, usd)} USD by ${short(event.liquidator ?? '')}`
    case 'DEPOSIT': return `${amount(event.amount, size)} ${event.token} paid in`
    case 'WITHDRAWAL': return `${amount(event.amount, size)} ${event.token} taken out`
    case 'BAD_DEBT': return `${amount(event.amount, size)} ${event.token} of debt taken over by the fund`
    case 'LIQUIDITY': {
      const range = `${event.lowerTick ?? '—'} to ${event.upperTick ?? '—'} (ticks)`
      const fees = event.fee && !isNought(event.fee.value) ? `${figure(event.fee.value, 4)} USD of fees collected` : null
      // Both have the sign of the liquidity, and both are 0 where fees alone are collected.
      const isStill = [event.size, event.notional].every((of) => of != null && isNought(of.value))
      const moved = isStill ? null : `${amountOf(event.size, sizeOf)} base and ${amountOf(event.notional, usd)} USD ${isNegative(event.size) || isNegative(event.notional) ? 'out of' : 'into'} its range ${range}`
      return [moved, fees && (moved ? fees : `${fees} from its range ${range}`)].filter(Boolean).join('; ') || `nothing moved in its range ${range}`
    }
    case 'FUNDING': return `${amountOf(event.notional, (value) => figure(value, 4))} USD ${isNegative(event.notional) ? 'received' : 'paid'}`
  }
}
