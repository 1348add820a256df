/**
 * How accounts stand against liquidation of positions and of collateral: by the deployed contracts' own getters, and out of
 * a margin that `valuation.ts` worked out, in the same words, so that the two can be laid side by side.
 */
import { decodeFunctionResult, encodeFunctionData, parseAbi, type Abi } from 'viem'
import { abs, max, mulDiv } from '../../core/units.ts'
import type { Address, Call, Deployment, Health, Hex } from '../adapter.ts'
import type { Backing, IndexedFacts, OnChain, ReadMany, Seizable, Standing, StandingPosition, Unreadable } from '../onchain.ts'
import { accountBalanceAbi, clearingHouseAbi, collateralManagerAbi, clearingHouseConfigAbi, insuranceFundAbi, vaultAbi, baseTokenAbi } from './abi.ts'
import { tradeBreakers } from './breakers.ts'
import { invariants } from './invariants.ts'
import { formatSettlement, parseSettlement } from './margin.ts'
import { views } from './storage.ts'

const RATIO_ONE = 1_000_000n
/** Sizes below this count as none (AccountBalance._DUST). */
const DUST_E18 = 10n

const houseAbi: Abi = [...clearingHouseAbi]
const accountsAbi: Abi = [
  ...accountBalanceAbi,
  ...parseAbi(['function hasOrder(address trader) view returns (bool)', 'function getTotalPositionValue(address trader, address baseToken) view returns (int256)']),
]

type Question = { readonly to: Address; readonly abi: Abi; readonly name: string; readonly args: readonly unknown[] }

/** What several getters answer; null where one reverts. */
async function ask(read: ReadMany, questions: readonly Question[]): Promise<readonly unknown[]> {
  const calls = questions.map(({ to, abi, name, args }): Call => ({ to, value: 0n, data: encodeFunctionData({ abi, functionName: name, args }) }))
  const answers = calls.length === 0 ? [] : await read(calls)
  return questions.map(({ abi, name }, i) => {
    const data = answers[i]
    return data === null || data === undefined || data === '0x' ? null : decodeFunctionResult({ abi, functionName: name, data: data as Hex })
  })
}

const lower = (address: string): Address => address.toLowerCase() as Address

/** What is asked of each account first. */
const FIRST = ['getAccountValue', 'getMarginRequirementForLiquidation', 'getTotalAbsPositionValue', 'getSettlementTokenValue', 'getMarginRequirementForCollateralLiquidation', 'isLiquidatable', 'getCollateralTokens', 'hasOrder', 'getDebtThresholdByTrader', 'getBaseTokens'] as const
type First = (typeof FIRST)[number]

function firstQuestions({ contracts }: Deployment, account: Address): readonly Question[] {
  const of: Readonly<Record<First, readonly [Address, Abi]>> = {
    getAccountValue: [contracts.clearingHouse, houseAbi],
    getMarginRequirementForLiquidation: [contracts.accountBalance, accountsAbi],
    getTotalAbsPositionValue: [contracts.accountBalance, accountsAbi],
    getSettlementTokenValue: [contracts.vault, vaultAbi],
    getMarginRequirementForCollateralLiquidation: [contracts.vault, vaultAbi],
    isLiquidatable: [contracts.vault, vaultAbi],
    getCollateralTokens: [contracts.vault, vaultAbi],
    hasOrder: [contracts.accountBalance, accountsAbi],
    getDebtThresholdByTrader: [contracts.collateralManager, collateralManagerAbi],
    getBaseTokens: [contracts.accountBalance, accountsAbi],
  }
  return FIRST.map((name) => ({ to: of[name][0], abi: of[name][1], name, args: [account] }))
}

async function standings(deployment: Deployment, accounts: readonly Address[], read: ReadMany): Promise<readonly (Standing | Unreadable)[]> {
  const { contracts, settlementToken } = deployment
  const markets = deployment.markets.map((market) => lower(market.baseToken))
  const [debtRatio, penalty, ...opens] = await ask(read, [
    { to: contracts.collateralManager, abi: collateralManagerAbi, name: 'getDebtNonSettlementTokenValueRatio', args: [] },
    { to: contracts.clearingHouseConfig, abi: clearingHouseConfigAbi, name: 'getLiquidationPenaltyRatio', args: [] },
    ...markets.map((market) => ({ to: market, abi: baseTokenAbi, name: 'isOpen', args: [] })),
  ])
  const isOpen = new Map(markets.map((market, i) => [market, opens[i] === true]))
  const firsts = await ask(read, accounts.flatMap((account) => firstQuestions(deployment, account)))
  const answered = accounts.map((account, i) => ({ account, found: Object.fromEntries(FIRST.map((name, j) => [name, firsts[i * FIRST.length + j]])) as Readonly<Record<First, unknown>> }))
  const held = answered.flatMap(({ account, found }) => (found.getAccountValue === null ? [] : ((found.getBaseTokens ?? []) as readonly string[]).map((market) => ({ account, market: lower(market), value: found.getAccountValue as bigint }))))
  const seconds = await ask(read, held.flatMap(({ account, market, value }): Question[] => [
    { to: contracts.accountBalance, abi: accountsAbi, name: 'getTotalPositionSize', args: [account, market] },
    { to: contracts.accountBalance, abi: accountsAbi, name: 'getTotalPositionValue', args: [account, market] },
    { to: contracts.accountBalance, abi: accountsAbi, name: 'getLiquidatablePositionSize', args: [account, market, value] },
  ]))
  const positionsOf = new Map<Address, StandingPosition[]>()
  held.forEach(({ account, market }, i) => {
    const [sizeE18, valueE18, liquidatableE18] = [0, 1, 2].map((k) => seconds[3 * i + k] as bigint | null) as [bigint | null, bigint | null, bigint | null]
    if (sizeE18 === null || valueE18 === null || sizeE18 === 0n) return
    const open = isOpen.get(market) ?? false
    positionsOf.set(account, [...(positionsOf.get(account) ?? []), { market, sizeE18, valueE18, open, liquidatableE18: open ? liquidatableE18 : 0n }])
  })
  const owing = answered.flatMap(({ account, found }) => (found.isLiquidatable === true ? ((found.getCollateralTokens ?? []) as readonly string[]).map((token) => ({ account, token: lower(token) })) : []))
  const thirds = await ask(read, owing.map(({ account, token }) => ({ to: contracts.vault, abi: vaultAbi, name: 'getMaxRepaidSettlementAndLiquidatableCollateral', args: [account, token] })))
  const seizableOf = new Map<Address, Seizable[]>()
  owing.forEach(({ account, token }, i) => {
    const [repaid, amount] = (thirds[i] ?? [0n, 0n]) as readonly [bigint, bigint]
    if (amount !== 0n) seizableOf.set(account, [...(seizableOf.get(account) ?? []), { token, repaid, amount }])
  })
  const ratios = { debtRatioE6: BigInt((debtRatio as number | null) ?? 0), penaltyE6: BigInt((penalty as number | null) ?? 0) }
  return answered.map(({ account, found }): Standing | Unreadable => {
    const refused = FIRST.find((name) => found[name] === null)
    if (refused !== undefined) return { account, reason: `${refused} reverts` }
    const valueE18 = found.getAccountValue as bigint
    const settlementValueE18 = parseSettlement(found.getSettlementTokenValue as bigint, settlementToken.decimals)
    const requirementE18 = found.getMarginRequirementForLiquidation as bigint
    const hasRanges = found.hasOrder as boolean
    const belowMaintenance = valueE18 < requirementE18
    const positions = (positionsOf.get(account) ?? []).map((each) => (hasRanges ? { ...each, liquidatableE18: 0n } : each))
    return {
      account,
      valueE18,
      requirementE18,
      grossE18: found.getTotalAbsPositionValue as bigint,
      settlementValueE18,
      collateralValueE18: valueE18 - settlementValueE18,
      collateralRequirementE18: found.getMarginRequirementForCollateralLiquidation as bigint,
      ...ratios,
      debtLimitE18: parseSettlement(found.getDebtThresholdByTrader as bigint, settlementToken.decimals),
      holdsCollateral: (found.getCollateralTokens as readonly string[]).length > 0,
      hasRanges,
      belowMaintenance,
      liquidatable: belowMaintenance && !hasRanges && positions.some(mayBeTaken),
      collateralLiquidatable: found.isLiquidatable as boolean,
      positions,
      seizable: seizableOf.get(account) ?? [],
    }
  })
}

const mayBeTaken = (position: StandingPosition): boolean => position.open && abs(position.sizeE18) >= DUST_E18

async function backing({ contracts, settlementToken }: Deployment, read: ReadMany): Promise<Backing> {
  const [capacity] = await ask(read, [{ to: contracts.insuranceFund, abi: insuranceFundAbi, name: 'getInsuranceFundCapacity', args: [] }])
  return { fundE18: capacity === null || capacity === undefined ? null : parseSettlement(capacity as bigint, settlementToken.decimals) }
}

function standingOf(health: Health, deployment: Deployment, facts: IndexedFacts): Standing | null {
  const { account } = facts
  const valueOf = (parameter: string): bigint | null => facts.valueOf(parameter)
  const { decimals } = deployment.settlementToken
  const [debtRatioE6, penaltyE6, threshold] = [valueOf('debtNonSettlementTokenValueRatio'), valueOf('liquidationPenaltyRatio'), valueOf('debtThreshold')]
  if (debtRatioE6 === null || penaltyE6 === null || threshold === null) return null
  const valueE18 = parseSettlement(health.accountValue, decimals)
  const settlementValueE18 = parseSettlement(formatSettlement(health.settlementTokenValueE18, decimals), decimals)
  return {
    account: lower(account),
    valueE18,
    requirementE18: health.marginRequirementE18,
    grossE18: health.totalAbsPositionValueE18,
    settlementValueE18,
    collateralValueE18: valueE18 - settlementValueE18,
    collateralRequirementE18: health.collateralMarginRequirementE18,
    debtRatioE6,
    debtLimitE18: parseSettlement(valueOf('whitelistedDebtThreshold') || threshold, decimals),
    penaltyE6,
    holdsCollateral: facts.holdsCollateral,
    hasRanges: facts.hasRanges,
    belowMaintenance: health.belowMaintenance,
    liquidatable: health.liquidatable,
    collateralLiquidatable: health.collateralLiquidatable,
    positions: health.positions.flatMap((each) => (each.totalSizeE18 === 0n ? [] : [{ market: lower(each.market), sizeE18: each.totalSizeE18, valueE18: each.positionValueE18, open: facts.isOpen(lower(each.market)), liquidatableE18: each.liquidatableSizeE18 }])),
    seizable: null,
  }
}

function moved(standing: Standing, moveE6: bigint): Standing {
  const by = (amountE18: bigint): bigint => mulDiv(amountE18, moveE6, RATIO_ONE)
  const exposureE18 = standing.positions.reduce((sum, each) => sum + by(each.valueE18), 0n)
  const collateralValueE18 = standing.collateralValueE18 + by(standing.collateralValueE18)
  const settlementValueE18 = standing.settlementValueE18 + exposureE18
  const valueE18 = collateralValueE18 + settlementValueE18
  const requirementE18 = standing.requirementE18 + by(standing.requirementE18)
  const collateralRequirementE18 = standing.collateralRequirementE18 + by(standing.collateralRequirementE18)
  const belowMaintenance = valueE18 < requirementE18
  const debtE18 = max(-settlementValueE18, 0n)
  return {
    ...standing,
    valueE18,
    requirementE18,
    grossE18: standing.grossE18 + by(standing.grossE18),
    settlementValueE18,
    collateralValueE18,
    collateralRequirementE18,
    belowMaintenance,
    liquidatable: belowMaintenance && !standing.hasRanges && standing.positions.some(mayBeTaken),
    collateralLiquidatable: standing.holdsCollateral && (valueE18 < collateralRequirementE18 || debtE18 > mulDiv(collateralValueE18, standing.debtRatioE6, RATIO_ONE) || debtE18 > standing.debtLimitE18),
    positions: standing.positions.map((each) => ({ ...each, valueE18: each.valueE18 + by(each.valueE18), liquidatableE18: null })),
    seizable: null,
  }
}

export const onChain: OnChain = {
  views,
  callsPerAccount: (deployment) => FIRST.length + 3 * deployment.markets.length,
  standings,
  backing,
  standingOf,
  moved,
  invariants,
  tradeBreakers,
  marginParameters: {
    imRatio: 'FOLLOWED',
    mmRatio: 'FOLLOWED',
    mmRatioBuffer: 'FOLLOWED',
    debtNonSettlementTokenValueRatio: 'FOLLOWED',
    debtThreshold: 'FOLLOWED',
    whitelistedDebtThreshold: 'FOLLOWED',
    collateralRatio: 'FOLLOWED',
    twapInterval: 'FOLLOWED',
    maxFundingRate: 'FOLLOWED',
    markPriceMarketTwapInterval: 'FOLLOWED',
    markPricePremiumInterval: 'FOLLOWED',
    liquidationPenaltyRatio: 'FOLLOWED',
    // The index names a feed's prices, and not what another feed would answer.
    baseTokenPriceFeed: 'NOT_FOLLOWED',
    collateralPriceFeed: 'NOT_FOLLOWED',
    marketStatus: 'NOT_FOLLOWED',
  },
}
