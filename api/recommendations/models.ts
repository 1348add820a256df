/** Which model recommends a parameter, or why none does: every parameter of the catalog stands here. */

import { InvariantError } from '../../core/errors.ts'

/** `model` is the name that recommendations carry; `reason` is for people: why nothing recommends it, and what decides it instead. */
export type ModelEntry = { readonly model: string; readonly reason: null } | { readonly model: null; readonly reason: string }

const by = (model: string): ModelEntry => ({ model, reason: null })
const none = (reason: string): ModelEntry => ({ model: null, reason })

const PAUSE = 'a switch that people turn in an emergency, not an amount; the playbooks name what to turn instead'
const FEED = 'an address, not an amount: a feed is chosen and checked by people; oracle health says when the present one cannot be trusted'
const COUNT_LIMIT = 'bounds the work of one transaction (gas of a liquidation over all markets), which no market statistic decides; people set it by the block gas limit'
const MARK_INTERVAL = 'trades manipulation against lag; a model needs the cost of moving the pool for its length, which the index does not measure yet. Lint holds it within 60 s to 3600 s'

/** By the parameter's name in Curie's catalog. */
export const PARAMETER_MODELS: Readonly<Record<string, ModelEntry>> = {
  imRatio: by('dynamic-margin'),
  mmRatio: by('dynamic-margin'),
  liquidationPenaltyRatio: by('keeper-cost'),
  partialCloseRatio: none('decides how much of a close goes through where the tick cap stops the rest: it follows the tick cap, which has a model, and no loss depends on it alone'),
  twapInterval: none(MARK_INTERVAL),
  maxMarketsPerAccount: none(COUNT_LIMIT),
  settlementTokenBalanceCap: none('settlement tokens carry no price risk against what they settle, so no haircut bounds them; the cap is how much trust people put in the contracts'),
  maxFundingRate: none('a cap that binds only in a squeeze: it trades convergence of the pool against what holders can bear, a choice of the market’s design. Lint warns at 0 and above 20 % a day'),
  markPriceMarketTwapInterval: none(MARK_INTERVAL),
  markPricePremiumInterval: none(MARK_INTERVAL),
  maxOrdersPerMarket: none(COUNT_LIMIT),
  feeRatio: none('a price that competes for volume, not a risk limit; the fund’s share of it has a model'),
  insuranceFundFeeRatio: by('fund-filling'),
  marketMaxPriceSpreadRatio: by('volatility-band'),
  maxTickCrossedWithinBlock: by('volatility-band-ticks'),
  collateralPriceFeed: none(FEED),
  collateralRatio: by('haircut'),
  discountRatio: none('what a collateral liquidator needs over the index price depends on venues outside the chain; it enters the haircut model as it stands, and liquidators’ economics show whether it pays their gas'),
  depositCap: none('needs the token’s volume and supply elsewhere, which the chain does not show; depositCap in api/risk computes it from figures that people give'),
  maxCollateralTokensPerAccount: none(COUNT_LIMIT),
  mmRatioBuffer: none('sets how much earlier collateral is sold than positions are liquidated; it follows the maintenance margin, which has no setter, and its wrap in 24 bits is held by the bounds'),
  debtNonSettlementTokenValueRatio: none('follows the collateral ratio: below it, debt would be called before margin is short; people keep it at the haircut that the haircut model gives'),
  liquidationRatio: none('how much of a debt one liquidation repays: a choice between speed and harm to the account, with no loss that a statistic could weigh'),
  clInsuranceFundFeeRatio: none('what the fund takes of a collateral liquidation, out of the discount; it follows discountRatio, and liquidators’ economics show what is left for them'),
  debtThreshold: none('the debt of one account that is left alone: a choice of how much credit to give; lint warns above what the insurance fund can pay'),
  collateralValueDust: none('the debt below which one liquidation repays all: it only spares gas'),
  whitelistedDebtThreshold: none('credit given to one named account by people'),
  distributionThreshold: by('fund-target'),
  surplusBeneficiary: none('an address, not an amount: who receives the surplus is a decision of governance'),
  baseTokenPriceFeed: none(FEED),
  marketStatus: none('pausing a market cannot be undone and stops its liquidation; people decide it when nothing else is left'),
  clearingHousePaused: none(`${PAUSE}; pausing the clearing house would stop liquidation`),
  vaultPaused: none(`${PAUSE}; pausing the vault would stop withdrawals and collateral liquidation`),
  collateralManagerPaused: none('it stops nothing: no function of the deployed contract asks for it'),
  insuranceFundPaused: none(`${PAUSE}; a distribution threshold of 0 stops distribution and leaves repayment of bad debt alone`),
}

/** What recommends a parameter of the catalog, or why nothing does. Throws InvariantError for one that stands in no table. */
export function modelEntryOf(parameter: string): ModelEntry {
  const found = PARAMETER_MODELS[parameter]
  if (found === undefined) throw new InvariantError(`Found no entry for ${parameter}, needed is a model or a reason for every parameter of the catalog; add it to PARAMETER_MODELS`)
  return found
}
