/** What must hold between Curie's parameters, and no `require` of the contracts says so. Values are raw, ratios 1e6 = 100 %. */
import { formatPercentE6 as percent, mulDiv } from '../../core/units.ts'
import type { Invariant } from '../onchain.ts'

const ONE = 1_000_000n

type Values = readonly bigint[]

function invariant(name: string, scope: Invariant['scope'], parameters: readonly string[], check: (values: Values) => { readonly holds: boolean; readonly text: string }): Invariant {
  return {
    name,
    scope,
    parameters,
    check: (valueOf) => {
      const values = parameters.map(valueOf)
      return values.includes(null) ? null : check(values as Values)
    },
  }
}

export const invariants: readonly Invariant[] = [
  invariant('initial margin above maintenance margin', 'PROTOCOL', ['imRatio', 'mmRatio'], ([im = 0n, mm = 0n]) => ({ holds: im > mm, text: `initial margin ${percent(im)}, maintenance margin ${percent(mm)}` })),
  // At or above it, an account that is liquidated the moment that it may be leaves a debt.
  invariant('liquidation penalty below maintenance margin', 'PROTOCOL', ['liquidationPenaltyRatio', 'mmRatio'], ([penalty = 0n, mm = 0n]) => ({ holds: penalty < mm, text: `penalty ${percent(penalty)}, maintenance margin ${percent(mm)}` })),
  invariant('collateral liquidation requirement at most 100 %', 'PROTOCOL', ['mmRatioBuffer', 'mmRatio'], ([buffer = 0n, mm = 0n]) => ({ holds: buffer + mm <= ONE, text: `buffer ${percent(buffer)} and maintenance margin ${percent(mm)}` })),
  // Above it, an account that was just allowed to open a position could have its collateral liquidated at once.
  invariant('collateral liquidation requirement at most the initial margin', 'PROTOCOL', ['mmRatioBuffer', 'mmRatio', 'imRatio'], ([buffer = 0n, mm = 0n, im = 0n]) => ({ holds: buffer + mm <= im, text: `buffer ${percent(buffer)} and maintenance margin ${percent(mm)}, initial margin ${percent(im)}` })),
  // A liquidator pays 1 − discount of the price: less than what the collateral counts for would leave a debt behind.
  invariant('collateral counts for no more than its liquidation brings', 'COLLATERAL', ['collateralRatio', 'discountRatio'], ([ratio = 0n, discount = 0n]) => ({ holds: ratio + discount <= ONE, text: `collateral ratio ${percent(ratio)}, discount ${percent(discount)}` })),
  // A debt of debtRatio · ratio · value falls due when the collateral brings (1 − discount) · (1 − fund's share) · value.
  invariant('a debt falls due while the collateral still pays it', 'COLLATERAL', ['collateralRatio', 'discountRatio', 'debtNonSettlementTokenValueRatio', 'clInsuranceFundFeeRatio'], ([ratio = 0n, discount = 0n, debt = 0n, fee = 0n]) => {
    const due = mulDiv(debt, ratio, ONE)
    const brings = mulDiv(ONE - discount, ONE - fee, ONE)
    return { holds: due <= brings, text: `a debt of ${percent(due)} of the collateral's value falls due, its liquidation brings ${percent(brings)}` }
  }),
  invariant('collateral liquidation can pay anything at all', 'PROTOCOL', ['clInsuranceFundFeeRatio', 'liquidationRatio'], ([fee = 0n, share = 0n]) => ({ holds: fee < ONE && share > 0n, text: `insurance fund's share ${percent(fee)}, share of a debt that one liquidation repays ${percent(share)}` })),
]
