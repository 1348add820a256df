import { describe, expect, test } from '@jest/globals'
import { chargeOf, detailOf, flowOf, type Event } from '../../console/accounts/history.ts'

const at = { id: '1', market: null, size: null, notional: null, price: null, fee: null, realizedPnl: null, sizeAfter: null, amount: null, token: null, settled: null, liquidator: null, lowerTick: null, upperTick: null, block: '1', timestamp: '1', transactionHash: '0x1' }
const of = (value: string): { value: string } => ({ value })
const eventOf = (more: Partial<Event> & Pick<Event, 'kind'>): Event => ({ ...at, ...more })
const LIQUIDATOR = '0x0000000000000000000000000000000000000009'

/** Signs as Curie's events have them: https://github.com/perpetual-protocol/perp-curie-contract, IClearingHouseEvent, IOrderBook and IVault of v2.6.0. */
describe('what an event moved into the account', () => {
  // exchangedPositionNotional is quote received: 0.5 bought at 2783.08 is 1391.54 paid.
  const bought = eventOf({ kind: 'TRADE', size: of('0.5'), notional: of('-1391.54'), price: of('2783.08'), fee: of('1.39'), realizedPnl: of('0'), sizeAfter: of('0.5') })
  const sold = eventOf({ kind: 'TRADE', size: of('-0.5'), notional: of('1391.54'), price: of('2783.08'), fee: of('1.39'), realizedPnl: of('-2.5'), sizeAfter: of('0') })

  test('behavior: what was paid for a purchase is out of it, what a sale brought is into it, and words agree with the sign', () => {
    expect([flowOf(bought), flowOf(sold)]).toEqual([{ value: '-1391.54' }, { value: '1391.54' }])
    expect(detailOf(bought)).toBe('bought 0.50000 at 2,783.08 USD, paid 1,391.54 USD, realised 0.00 USD; 0.50000 left')
    expect(detailOf(sold)).toBe('sold 0.50000 at 2,783.08 USD, received 1,391.54 USD, realised −2.50 USD; 0 left')
    expect(chargeOf(bought)).toBe('1.39')
  })

  // fundingPayment is paid by the trader when positive.
  test('behavior: funding received is into it, funding paid is out of it', () => {
    const funding = (notional: string): Event => eventOf({ kind: 'FUNDING', notional: of(notional) })
    expect(['-15.56', '15.56', '0'].map((one) => flowOf(funding(one)))).toEqual([{ value: '15.56' }, { value: '-15.56' }, { value: '0' }])
    expect(['-15.56', '15.56', '-0.00001'].map((one) => detailOf(funding(one)))).toEqual(['15.5600 USD received', '15.5600 USD paid', '< 0.0001 USD received'])
  })

  // PositionLiquidated follows the PositionChanged that moved the quote.
  test('behavior: a liquidation moves no value beside the trade of its transaction; its size stands unsigned in the words, its penalty is a charge', () => {
    const liquidated = eventOf({ kind: 'LIQUIDATION', size: of('2'), notional: of('3800'), price: of('1900'), fee: of('95'), sizeAfter: of('-1'), liquidator: LIQUIDATOR })
    expect(flowOf(liquidated)).toEqual({ value: null, none: expect.stringMatching(/trade in the same transaction/) })
    expect(detailOf(liquidated)).toBe('2.000 taken at 1,900.00 USD, 3,800.00 USD in all, by 0x000000…000009; −1.000 left')
    expect(chargeOf(liquidated)).toBe('95')
  })

  // LiquidityChanged: base and quote are negative where liquidity was removed; quoteFee is paid out to the maker.
  test('behavior: liquidity stays in the account; the fees that a change of it collects are into it, and no charge', () => {
    const change = (size: string, notional: string, fee: string): Event => eventOf({ kind: 'LIQUIDITY', size: of(size), notional: of(notional), fee: of(fee), lowerTick: -60, upperTick: 120 })
    const [added, removed, collected] = [change('1', '1900', '0'), change('-1', '-1900', '3.8'), change('0', '0', '3.8')]
    expect(flowOf(added)).toEqual({ value: null, none: expect.stringMatching(/its own range/) })
    expect([flowOf(removed), flowOf(collected)]).toEqual([{ value: '3.8' }, { value: '3.8' }])
    expect([added, removed, collected].map(chargeOf)).toEqual([null, null, null])
    expect(detailOf(added)).toBe('1.000 base and 1,900.00 USD into its range -60 to 120 (ticks)')
    expect(detailOf(removed)).toBe('1.000 base and 1,900.00 USD out of its range -60 to 120 (ticks); 3.8000 USD of fees collected')
    expect(detailOf(collected)).toBe('3.8000 USD of fees collected from its range -60 to 120 (ticks)')
    // A range on one side of the price takes quote alone.
    expect(detailOf(change('0', '-1900', '0'))).toBe('0 base and 1,900.00 USD out of its range -60 to 120 (ticks)')
  })

  // BadDebtSettled raises the trader's settlement balance by the debt; Deposited and Withdrawn give tokens.
  test('behavior: settlement tokens count one to one as USD, into it and out of it; other tokens have no value, and none is not 0', () => {
    const tokens = (kind: Event['kind'], settled: string | null): Event => eventOf({ kind, amount: of('7'), token: settled === null ? 'WETH' : 'USDC', settled: settled === null ? null : of(settled) })
    expect([tokens('DEPOSIT', '7'), tokens('WITHDRAWAL', '-7'), tokens('BAD_DEBT', '7'), tokens('WITHDRAWAL', '0')].map(flowOf)).toEqual([{ value: '7' }, { value: '-7' }, { value: '7' }, { value: '0' }])
    for (const kind of ['DEPOSIT', 'WITHDRAWAL'] as const) expect(flowOf(tokens(kind, null))).toEqual({ value: null, none: expect.stringMatching(/a price .* would be a guess/) })
    expect([tokens('DEPOSIT', '7'), tokens('WITHDRAWAL', null)].map(detailOf)).toEqual(['7.000 USDC paid in', '7.000 WETH taken out'])
  })

  // CollateralLiquidated: of 2,700 that the liquidator paid, the account got 2,619 and the insurance fund 81.
  test('behavior: what a liquidator paid for collateral is into it, and the fund’s share of that a charge', () => {
    const sold = eventOf({ kind: 'COLLATERAL_LIQUIDATION', amount: of('2'), token: 'WETH', settled: of('2700'), fee: of('81'), liquidator: LIQUIDATOR })
    expect([flowOf(sold), chargeOf(sold)]).toEqual([{ value: '2700' }, '81'])
    expect(detailOf(sold)).toBe('2.000 WETH sold off for 2,700.00 USD by 0x000000…000009')
  })
})
