import type { RiskRules } from '../adapter.ts'
import { priceOfSqrtX96 } from './uniswap-v3.ts'

/**
 * Half at a time while the value is at least half of the requirement, positions up to 100 whole, and nothing below 2.98 % of gross at that time,
 * because totalAbsPositionValue / (2·position) must fit 24 bits of 1e6. Source: AccountBalance.getLiquidatablePositionSize.
 */
export const liquidationRules: RiskRules['liquidationRules'] = (penalty) => ({ warnAt: 1.2, fullBelow: 0.5, partialShare: 0.5, wholeUpTo: 100, smallestShare: 1 / (2 * 16.777215), penalty })

export const risk: RiskRules = {
  indexId: ({ contracts }) => contracts.clearingHouse.toLowerCase(),
  poolPriceE18: priceOfSqrtX96,
  liquidationRules,
  parameters: {
    initialMargin: 'imRatio', maintenanceMargin: 'mmRatio', liquidationPenalty: 'liquidationPenaltyRatio', collateralRatio: 'collateralRatio', collateralDiscount: 'discountRatio', tradingFee: 'feeRatio', fundShareOfFees: 'insuranceFundFeeRatio',
  },
}
