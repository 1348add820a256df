/** What Curie can do when a breaker asks: parameter changes with their side effects, or the reason why there is none. Pure. */
import { BadInputError } from '../../core/errors.ts'
import { max, min } from '../../core/units.ts'
import { buildPlaybooks, type Activity, type EmergencyAction, type NotDone, type Playbook, type PlaybookAdapter, type PlaybookSubject, type Prepared, type PreparedChange, type ReplayOptions } from '../risk/index.ts'
import { effectiveOf } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'

/** No narrower than this: below it a feed's own deviation threshold stops trades. */
const NARROWEST_BAND_E6 = 10_000n
const FEWEST_TICKS = 50n
/** Most of the trading fee that a policy gives to the fund in an emergency. */
const FUND_SHARE_E6 = 500_000n

/** The protocol as it stands, raw units. */
export type CurieMoment = {
  /** Current value of a parameter; null where it is not indexed. */
  readonly currentOf: (parameter: string, subject: string) => bigint | null
  /** Subject of parameters of the whole protocol. */
  readonly protocol: string
  readonly markets: readonly { readonly id: string; readonly symbol: string }[]
  /** `held`: tokens in the vault; `haircutRatioE6`: collateral ratio that the haircut model gives under stress, null where it gives none. */
  readonly collaterals: readonly { readonly id: string; readonly symbol: string; readonly held: bigint; readonly haircutRatioE6: bigint | null }[]
}

/** Curie v2's liquidation, for the queue and the tiers; `penalty` is the current liquidationPenaltyRatio. */
export { liquidationRules as curieLiquidationRules } from '../../protocols/curie/risk.ts'

/** What Curie's actions stop, for replays: it has no reduce-only, so RESTRICT stops deposits alone; a tick cap of 0 stops closing too. */
export const CURIE_STOPS: ReplayOptions['stops'] = { NORMAL: [], WATCH: [], RESTRICT: ['deposit'], HALT: ['increase', 'decrease', 'deposit'] }

const NONE: Prepared = { changes: [], notDone: [] }

/** The adapter for one moment. Throws BadInputError for a subject that the moment does not have. */
export function curiePlaybookAdapter(moment: CurieMoment): PlaybookAdapter {
  const change = (action: EmergencyAction, subject: PlaybookSubject, parameter: string, to: (from: bigint) => bigint, text: { readonly why: string; readonly sideEffects: readonly string[]; readonly stops: readonly Activity[]; readonly how?: string; readonly already: string }): Prepared => {
    const from = moment.currentOf(parameter, subject.id)
    const skipped = (why: string): Prepared => ({ changes: [], notDone: [{ action, subjectLabel: subject.label, why }] })
    if (from === null) return skipped(`the current value of ${parameter} is not known`)
    const next = to(effectiveOf(catalog.find(parameter), from))
    if (next === from) return skipped(`${parameter}: ${text.already}`)
    const prepared: PreparedChange = { parameter, subject: subject.id, subjectLabel: subject.label, from, to: next, why: text.why, sideEffects: text.sideEffects, stops: text.stops, undo: { to: from, how: text.how ?? `set ${parameter} back to ${from}` } }
    return { changes: [prepared], notDone: [] }
  }
  const notDone = (action: EmergencyAction, subject: PlaybookSubject, why: string): Prepared => ({ changes: [], notDone: [{ action, subjectLabel: subject.label, why }] satisfies NotDone[] })
  const both = (...parts: readonly Prepared[]): Prepared => ({ changes: parts.flatMap((p) => p.changes), notDone: parts.flatMap((p) => p.notDone) })
  const collateralOf = (subject: PlaybookSubject): CurieMoment['collaterals'][number] => {
    const found = moment.collaterals.find((c) => c.id === subject.id)
    if (found === undefined) throw new BadInputError(`Found no collateral ${subject.id}, allowed are ${moment.collaterals.map((c) => c.id).join(', ')}; take one of these`)
    return found
  }

  const prepare = (action: EmergencyAction, subject: PlaybookSubject): Prepared => {
    switch (action) {
      case 'hold-loosening':
        return NONE
      case 'narrow-price-band':
        return both(
          change(action, subject, 'marketMaxPriceSpreadRatio', (from) => min(from, max(NARROWEST_BAND_E6, from / 2n)), {
            why: 'halves how far from the index a trade may end',
            sideEffects: ['trades that would end beyond the band revert (EX_OPB), closing ones too', 'where the market stands beyond it already, trades may only bring it back'],
            stops: [],
            already: 'already at its narrowest',
          }),
          change(action, subject, 'maxTickCrossedWithinBlock', (from) => (from === 0n ? 0n : min(from, max(FEWEST_TICKS, from / 2n))), {
            why: 'halves how far one block may move the price',
            sideEffects: ['an opening trade that would cross it reverts (EX_OPLAS); a close that would is cut to partialCloseRatio'],
            stops: [],
            already: 'already at its least, or trading is stopped',
          }),
        )
      case 'stop-increasing-risk':
        return notDone(action, subject, 'Curie has no reduce-only: a tick cap of 0 stops closing too, and fewer markets per account would keep liquidators out')
      case 'stop-collateral-deposits': {
        const { held } = collateralOf(subject)
        return change(action, subject, 'depositCap', (from) => min(from, held), {
          why: 'caps the deposits at what the vault holds',
          sideEffects: ['every deposit of it reverts (V_GTDC), also one that would save an account', 'a withdrawal makes room for as much again'],
          stops: ['deposit'],
          already: 'the cap is already at or below what is held',
        })
      }
      case 'keep-fund':
        return change(action, subject, 'distributionThreshold', () => 0n, { why: 'switches the distribution of the surplus off', sideEffects: ['distributeFee reverts (IF_DTEZ) until it is set back; repayment of bad debt goes on'], stops: ['distribute'], already: 'the distribution is already off' })
      case 'stop-trading':
        return change(action, subject, 'maxTickCrossedWithinBlock', () => 0n, {
          why: 'stops every trade in the market, and nothing else',
          sideEffects: [
            'closing by trade is stopped too (EX_MIP); accounts can only add collateral',
            'liquidation goes on, since it moves the position at the mark price without a trade',
            'the mark price comes to stand where the pool does: once the market average has caught up with the spot price, two of its three candidates are the same, and liquidations go on at that price however far the index moves',
            'funding runs on the difference between pool and index, up to maxFundingRate',
            'makers may still add and remove liquidity',
          ],
          stops: ['open', 'close'],
          already: 'trading is already stopped',
        })
      case 'lower-collateral-value': {
        const { haircutRatioE6 } = collateralOf(subject)
        if (haircutRatioE6 === null) return notDone(action, subject, 'the haircut model gives no ratio for it; set collateralRatio by hand')
        return change(action, subject, 'collateralRatio', (from) => max(1n, min(from, haircutRatioE6)), {
          why: 'values the collateral at what the haircut model gives under stress',
          sideEffects: ['accounts that stand on it lose free collateral at once, and some fall due for liquidation: read the impact before signing', 'at 0 withdrawals of it would revert, so it is never set there'],
          stops: [],
          already: 'it already counts for no more than that',
        })
      }
      case 'raise-fund-share':
        return change(action, subject, 'insuranceFundFeeRatio', (from) => max(from, FUND_SHARE_E6), { why: 'gives half of the market’s fees to the fund', sideEffects: ['makers earn the less; some may leave and take depth with them'], stops: [], already: 'the fund already has that share' })
      case 'replace-feed':
        return notDone(action, subject, 'a second feed has to be deployed and checked first; then collateralPriceFeed or baseTokenPriceFeed names it. A dispatcher that fell back does not return by itself')
      case 'settle-market':
        return notDone(action, subject, 'BaseToken.pause() would stop liquidation and cannot be undone; people decide it, with a typed confirmation, when nothing else is left')
    }
  }
  return { prepare }
}

/** Every playbook of Curie at one moment. */
export function curiePlaybooks(moment: CurieMoment): readonly Playbook[] {
  return buildPlaybooks({
    adapter: curiePlaybookAdapter(moment),
    protocol: { kind: 'protocol', id: moment.protocol, label: 'the protocol' },
    markets: moment.markets.map((m): PlaybookSubject => ({ kind: 'market', id: m.id, label: m.symbol })),
    collaterals: moment.collaterals.map((c): PlaybookSubject => ({ kind: 'collateral', id: c.id, label: c.symbol })),
  })
}
