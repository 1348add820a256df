/** What the resolvers hand from one to the next: the mirror's rows, with what was fetched beside them. */
import type { Account, CollateralAsset, CollateralBalance, CollateralLiquidation, Contract, ContractUpgrade, FundStats, GovernanceEvent, InsuranceFund, InsuranceFundFlow, Liquidation, LiquidityRange, Market, MarketStats, OracleFeed, OracleSourceChange, OwnershipChange, Parameter, ParameterChange, Position, PriceStats, PriceUpdate, Proposal, ProposalEvent, ProposalSignature, Protocol, Recommendation, RecommendationRun, RiskRun } from '../../prisma/generated/client.ts'
import type { Prisma } from '../../prisma/client.ts'
import type { SafeDeployment } from '../../protocols/adapter.ts'
import type { BreakerLevel, BreakerState, BreakerValues } from '../risk/index.ts'
import { toE18 } from '../../core/units.ts'

/** The database within one transaction. */
export type Db = Prisma.TransactionClient

export type AmountNode = { readonly raw: bigint; readonly decimals: number }
export type ProtocolNode = Protocol
export type MarketNode = Market & { readonly feed: OracleFeed | null }
export type CollateralAssetNode = CollateralAsset & { readonly feed: OracleFeed | null }
export type AccountNode = Account
export type CollateralBalanceNode = CollateralBalance
export type PositionNode = Position
export type LiquidityRangeNode = LiquidityRange
export type LiquidationNode = Liquidation
export type CollateralLiquidationNode = CollateralLiquidation
export type InsuranceFundNode = InsuranceFund
export type InsuranceFundFlowNode = InsuranceFundFlow
export type ParameterNode = Parameter
export type ParameterChangeNode = ParameterChange
export type OracleFeedNode = OracleFeed
export type PriceUpdateNode = PriceUpdate
export type OracleSourceChangeNode = OracleSourceChange
export type ContractNode = Contract
export type ContractUpgradeNode = ContractUpgrade
export type OwnershipChangeNode = OwnershipChange
export type GovernanceEventNode = GovernanceEvent
export type MarketStatsNode = MarketStats
export type PriceStatsNode = PriceStats
export type FundStatsNode = FundStats
/** Without the inputs, which are large and are for recomputing alone. */
export type RecommendationNode = Omit<Recommendation, 'inputs'> & { readonly run: Omit<RecommendationRun, 'inputs'> }
export type RiskRunNode = RiskRun
export type ProposalNode = Proposal & { readonly signatures: ProposalSignature[]; readonly events: ProposalEvent[] }

/** As the deployment records it. */
export type SafeNode = SafeDeployment

/** A breaker at the last observed block. */
export type BreakerNode = { readonly subject: string; readonly label: string; readonly state: BreakerState; readonly effective: BreakerLevel; readonly values: BreakerValues }

/** A numeric(78, 0) column as the integer it is. */
export const integer = (value: { toFixed(places: number): string }): bigint => BigInt(value.toFixed(0))

export const e18 = (raw: bigint): AmountNode => ({ raw, decimals: 18 })

/** Wallet and what is on its way from it (settlement decimals), plus vault, E18. */
export const fundCapacityE18 = (fund: InsuranceFund, settlementDecimals: number): bigint => toE18(integer(fund.walletBalance) + integer(fund.inTransit), settlementDecimals) + integer(fund.vaultBalanceE18)

/** Rows by a key, in their order. */
export function groupBy<Row>(rows: readonly Row[], key: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(key(row))
    if (group) group.push(row)
    else groups.set(key(row), [row])
  }
  return groups
}
