/**
 * What is compared: every getter of the protocol that says something about an account, a market or the fund, what each of
 * its outputs is called, and how exactly our own figure has to agree with it. One list, read by the recorder and by the
 * comparison; `Fields` makes the compiler ask our side for every one of them.
 */
import { decodeFunctionResult, encodeFunctionData, prepareEncodeFunctionData, type Abi, type Hex } from 'viem'
import { curie, uniswap } from '../../devnet/artifacts.ts'
import type { Address, Deployment, ParameterRef } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'

/**
 * A value as it is compared and kept: an integer in decimal digits, `true` or `false`, a sorted list joined by commas, or
 * `revert: REASON` where the contract refuses to answer. `unknown` is our side's alone, and agrees with nothing.
 */
export type Value = string

export const REVERT = 'revert: '
export const UNKNOWN: Value = 'unknown'

/**
 * How a figure has to agree. `exact`: the same value. `timed`: it depends on an average that moves with time or on funding
 * accrued since the last interaction, and may differ by 1e-9 of max(|x|, one unit).
 */
export type Agreement = 'exact' | 'timed'

/** What one unit of a figure is; it decides what a difference of one wei weighs. */
export type Unit = 'E18' | 'E8' | 'settlement' | 'X96' | 'count'

export const ONE: Readonly<Record<Unit, bigint>> = { E18: 10n ** 18n, E8: 10n ** 8n, settlement: 10n ** 6n, X96: 2n ** 96n, count: 1n }

/** One figure out of a getter's answer. */
export type Output = { readonly agreement: Agreement; readonly unit: Unit; readonly pick: (answer: unknown) => unknown }

/** What the arguments of some getters are: read at the same block first. */
export type Context = {
  readonly imRatioE6: number
  readonly mmRatioE6: number
  /** Averages that the protocol itself asks for at this block, s: funding, mark price, premium, and Vault's 900. */
  readonly intervalsSec: { readonly funding: number; readonly markPrice: number; readonly premium: number; readonly vault: number }
}

export type Account = { readonly account: Address }
export type AccountMarket = Account & { readonly market: Address }
export type AccountToken = Account & { readonly token: Address }
export type Range = AccountMarket & { readonly lowerTick: number; readonly upperTick: number }
export type Market = { readonly market: Address }
export type Collateral = { readonly token: Address }
export type Protocol = Readonly<Record<never, never>>

/** What a getter is asked about. */
export type Subjects = { account: Account; accountMarket: AccountMarket; accountToken: AccountToken; range: Range; market: Market; collateral: Collateral; protocol: Protocol }
export type Scope = keyof Subjects

type Getter<S, O extends Readonly<Record<string, Output>>> = {
  readonly abi: Abi
  readonly to: (deployment: Deployment, subject: S) => Address
  readonly name: string
  readonly args: (subject: S, context: Context, deployment: Deployment) => readonly unknown[]
  readonly outputs: O
}

const asIs = (answer: unknown): unknown => answer
const nth = (index: number) => (answer: unknown): unknown => (answer as readonly unknown[])[index]
const field = (name: string) => (answer: unknown): unknown => (answer as Readonly<Record<string, unknown>>)[name]
const exact = (unit: Unit, pick: Output['pick'] = asIs): Output => ({ agreement: 'exact', unit, pick })
const timed = (unit: Unit, pick: Output['pick'] = asIs): Output => ({ agreement: 'timed', unit, pick })
const only = <O extends Output>(value: O): { readonly value: O } => ({ value })

type ContractKey = 'clearingHouse' | 'vault' | 'accountBalance' | 'orderBook' | 'exchange' | 'insuranceFund' | 'collateralManager'
const ARTIFACT: Readonly<Record<ContractKey, string>> = {
  clearingHouse: 'ClearingHouse', vault: 'Vault', accountBalance: 'AccountBalance', orderBook: 'OrderBook', exchange: 'Exchange', insuranceFund: 'InsuranceFund', collateralManager: 'CollateralManager',
}
const of = (contract: ContractKey) => ({ abi: curie(ARTIFACT[contract]).abi, to: (deployment: Deployment): Address => deployment.contracts[contract] })

const byAccount = <O extends Readonly<Record<string, Output>>>(contract: ContractKey, name: string, outputs: O, more: (context: Context) => readonly unknown[] = () => []): Getter<Account, O> => ({
  ...of(contract), name, outputs, args: ({ account }, context) => [account, ...more(context)],
})
/** Asked about all markets, whether the account is in them or not. */
const ofMarkets = <O extends Readonly<Record<string, Output>>>(name: string, outputs: O): Getter<Account, O> => ({
  ...of('orderBook'), name, outputs, args: ({ account }, _, deployment) => [account, deployment.markets.map((m) => m.baseToken)],
})
const byAccountMarket = <O extends Readonly<Record<string, Output>>>(contract: ContractKey, name: string, outputs: O, more: readonly unknown[] = []): Getter<AccountMarket, O> => ({
  ...of(contract), name, outputs, args: ({ account, market }) => [account, market, ...more],
})
const byAccountToken = <O extends Readonly<Record<string, Output>>>(contract: ContractKey, name: string, outputs: O): Getter<AccountToken, O> => ({
  ...of(contract), name, outputs, args: ({ account, token }) => [account, token],
})
const byRange = <O extends Readonly<Record<string, Output>>>(contract: ContractKey, name: string, outputs: O): Getter<Range, O> => ({
  ...of(contract), name, outputs, args: ({ account, market, lowerTick, upperTick }) => [account, market, lowerTick, upperTick],
})
const byMarket = <O extends Readonly<Record<string, Output>>>(contract: ContractKey, name: string, outputs: O, more: (context: Context) => readonly unknown[] = () => []): Getter<Market, O> => ({
  ...of(contract), name, outputs, args: ({ market }, context) => [market, ...more(context)],
})
const ofBaseToken = <O extends Readonly<Record<string, Output>>>(name: string, outputs: O, args: (context: Context) => readonly unknown[] = () => []): Getter<Market, O> => ({
  abi: curie('BaseToken').abi, to: (_, { market }) => market, name, outputs, args: (_, context) => args(context),
})
const marketOf = (deployment: Deployment, { market }: Market): Deployment['markets'][number] => deployment.markets.find((m) => m.baseToken === market) as Deployment['markets'][number]
const ofPool = <O extends Readonly<Record<string, Output>>>(name: string, outputs: O): Getter<Market, O> => ({
  abi: uniswap('UniswapV3Pool').abi, to: (deployment, subject) => marketOf(deployment, subject).pool, name, outputs, args: () => [],
})
const ofFund = <O extends Readonly<Record<string, Output>>>(name: string, outputs: O): Getter<Protocol, O> => ({ ...of('insuranceFund'), name, outputs, args: () => [] })

/** Amounts that the conversions between a collateral and the settlement token are asked about: 1.5 ether, 1,234.567891 USDC. */
export const PROBE = { collateral: 15n * 10n ** 17n, settlement: 1_234_567_891n } as const

/** Every getter, by what it is asked about. A name with a suffix after ` ` is the same getter with other arguments. */
export const GETTERS = {
  account: {
    'AccountBalance.getPnlAndPendingFee': byAccount('accountBalance', 'getPnlAndPendingFee', { owedRealizedPnl: exact('E18', nth(0)), unrealizedPnl: timed('E18', nth(1)), pendingFee: exact('E18', nth(2)) }),
    'AccountBalance.getBaseTokens': byAccount('accountBalance', 'getBaseTokens', only(exact('count'))),
    'AccountBalance.hasOrder': byAccount('accountBalance', 'hasOrder', only(exact('count'))),
    'AccountBalance.getTotalAbsPositionValue': byAccount('accountBalance', 'getTotalAbsPositionValue', only(timed('E18'))),
    'AccountBalance.getTotalDebtValue': byAccount('accountBalance', 'getTotalDebtValue', only(timed('E18'))),
    'AccountBalance.getMarginRequirementForLiquidation': byAccount('accountBalance', 'getMarginRequirementForLiquidation', only(timed('E18'))),
    'Exchange.getAllPendingFundingPayment': byAccount('exchange', 'getAllPendingFundingPayment', only(timed('E18'))),
    'OrderBook.hasOrder': ofMarkets('hasOrder', only(exact('count'))),
    'OrderBook.getTotalQuoteBalanceAndPendingFee': ofMarkets('getTotalQuoteBalanceAndPendingFee', { totalQuoteAmountInPools: exact('E18', nth(0)), totalPendingFee: exact('E18', nth(1)) }),
    'Vault.getBalance': byAccount('vault', 'getBalance', only(exact('settlement'))),
    'Vault.getCollateralTokens': byAccount('vault', 'getCollateralTokens', only(exact('count'))),
    'Vault.getAccountValue': byAccount('vault', 'getAccountValue', only(timed('settlement'))),
    'Vault.getSettlementTokenValue': byAccount('vault', 'getSettlementTokenValue', only(timed('settlement'))),
    'Vault.getFreeCollateral': byAccount('vault', 'getFreeCollateral', only(timed('settlement'))),
    'Vault.getFreeCollateralByRatio imRatio': byAccount('vault', 'getFreeCollateralByRatio', only(timed('settlement')), ({ imRatioE6 }) => [imRatioE6]),
    'Vault.getFreeCollateralByRatio mmRatio': byAccount('vault', 'getFreeCollateralByRatio', only(timed('settlement')), ({ mmRatioE6 }) => [mmRatioE6]),
    'Vault.getMarginRequirementForCollateralLiquidation': byAccount('vault', 'getMarginRequirementForCollateralLiquidation', only(timed('E18'))),
    'Vault.isLiquidatable': byAccount('vault', 'isLiquidatable', only(exact('count'))),
    'ClearingHouse.getAccountValue': byAccount('clearingHouse', 'getAccountValue', only(timed('E18'))),
    'CollateralManager.getDebtThresholdByTrader': byAccount('collateralManager', 'getDebtThresholdByTrader', only(exact('settlement'))),
  },
  accountMarket: {
    'AccountBalance.getTakerPositionSize': byAccountMarket('accountBalance', 'getTakerPositionSize', only(exact('E18'))),
    'AccountBalance.getTakerOpenNotional': byAccountMarket('accountBalance', 'getTakerOpenNotional', only(exact('E18'))),
    'AccountBalance.getTotalPositionSize': byAccountMarket('accountBalance', 'getTotalPositionSize', only(exact('E18'))),
    'AccountBalance.getTotalOpenNotional': byAccountMarket('accountBalance', 'getTotalOpenNotional', only(exact('E18'))),
    'AccountBalance.getTotalPositionValue': byAccountMarket('accountBalance', 'getTotalPositionValue', only(timed('E18'))),
    'AccountBalance.getBase': byAccountMarket('accountBalance', 'getBase', only(exact('E18'))),
    'AccountBalance.getQuote': byAccountMarket('accountBalance', 'getQuote', only(exact('E18'))),
    'AccountBalance.getAccountInfo': byAccountMarket('accountBalance', 'getAccountInfo', {
      takerPositionSize: exact('E18', field('takerPositionSize')),
      takerOpenNotional: exact('E18', field('takerOpenNotional')),
      lastTwPremiumGrowthGlobalX96: exact('X96', field('lastTwPremiumGrowthGlobalX96')),
    }),
    'Exchange.getPendingFundingPayment': byAccountMarket('exchange', 'getPendingFundingPayment', only(timed('E18'))),
    'OrderBook.getOpenOrderIds': byAccountMarket('orderBook', 'getOpenOrderIds', only(exact('count'))),
    'OrderBook.getTotalOrderDebt base': byAccountMarket('orderBook', 'getTotalOrderDebt', only(exact('E18')), [true]),
    'OrderBook.getTotalOrderDebt quote': byAccountMarket('orderBook', 'getTotalOrderDebt', only(exact('E18')), [false]),
    'OrderBook.getTotalTokenAmountInPoolAndPendingFee base': byAccountMarket('orderBook', 'getTotalTokenAmountInPoolAndPendingFee', { tokenAmount: exact('E18', nth(0)), pendingFee: exact('E18', nth(1)) }, [true]),
    'OrderBook.getTotalTokenAmountInPoolAndPendingFee quote': byAccountMarket('orderBook', 'getTotalTokenAmountInPoolAndPendingFee', { tokenAmount: exact('E18', nth(0)), pendingFee: exact('E18', nth(1)) }, [false]),
  },
  accountToken: {
    'Vault.getBalanceByToken': byAccountToken('vault', 'getBalanceByToken', only(exact('E18'))),
    'Vault.getFreeCollateralByToken': byAccountToken('vault', 'getFreeCollateralByToken', only(timed('settlement'))),
    'Vault.getMaxRepaidSettlementAndLiquidatableCollateral': byAccountToken('vault', 'getMaxRepaidSettlementAndLiquidatableCollateral', { maxRepaidSettlement: timed('settlement', nth(0)), maxLiquidatableCollateral: timed('E18', nth(1)) }),
  },
  range: {
    'OrderBook.getPendingFee': byRange('orderBook', 'getPendingFee', only(exact('E18'))),
    'OrderBook.getOpenOrder': byRange('orderBook', 'getOpenOrder', {
      liquidity: exact('count', field('liquidity')),
      lowerTick: exact('count', field('lowerTick')),
      upperTick: exact('count', field('upperTick')),
      lastFeeGrowthInsideX128: exact('count', field('lastFeeGrowthInsideX128')),
      lastTwPremiumGrowthInsideX96: exact('X96', field('lastTwPremiumGrowthInsideX96')),
      lastTwPremiumGrowthBelowX96: exact('X96', field('lastTwPremiumGrowthBelowX96')),
      lastTwPremiumDivBySqrtPriceGrowthInsideX96: exact('X96', field('lastTwPremiumDivBySqrtPriceGrowthInsideX96')),
      baseDebt: exact('E18', field('baseDebt')),
      quoteDebt: exact('E18', field('quoteDebt')),
    }),
  },
  market: {
    'Pool.liquidity': ofPool('liquidity', only(exact('count'))),
    'Pool.slot0': ofPool('slot0', {
      sqrtPriceX96: exact('X96', nth(0)),
      tick: exact('count', nth(1)),
      observationIndex: exact('count', nth(2)),
      observationCardinality: exact('count', nth(3)),
      observationCardinalityNext: exact('count', nth(4)),
    }),
    'BaseToken.getIndexPrice 0': ofBaseToken('getIndexPrice', only(exact('E18')), () => [0n]),
    'BaseToken.getIndexPrice funding': ofBaseToken('getIndexPrice', only(timed('E18')), ({ intervalsSec }) => [BigInt(intervalsSec.funding)]),
    'BaseToken.getIndexPrice premium': ofBaseToken('getIndexPrice', only(timed('E18')), ({ intervalsSec }) => [BigInt(intervalsSec.premium)]),
    'BaseToken.getIndexPrice vault': ofBaseToken('getIndexPrice', only(timed('E18')), ({ intervalsSec }) => [BigInt(intervalsSec.vault)]),
    'BaseToken.getPausedIndexPrice': ofBaseToken('getPausedIndexPrice', only(exact('E18'))),
    'BaseToken.getPausedTimestamp': ofBaseToken('getPausedTimestamp', only(exact('count'))),
    'BaseToken.getClosedPrice': ofBaseToken('getClosedPrice', only(exact('E18'))),
    'BaseToken.isOpen': ofBaseToken('isOpen', only(exact('count'))),
    'BaseToken.isPaused': ofBaseToken('isPaused', only(exact('count'))),
    'BaseToken.isClosed': ofBaseToken('isClosed', only(exact('count'))),
    'AccountBalance.getMarkPrice': byMarket('accountBalance', 'getMarkPrice', only(timed('E18'))),
    'Exchange.getSqrtMarketTwapX96 funding': byMarket('exchange', 'getSqrtMarketTwapX96', only(timed('X96')), ({ intervalsSec }) => [intervalsSec.funding]),
    'Exchange.getSqrtMarketTwapX96 markPrice': byMarket('exchange', 'getSqrtMarketTwapX96', only(timed('X96')), ({ intervalsSec }) => [intervalsSec.markPrice]),
    'Exchange.getSqrtMarketTwapX96 premium': byMarket('exchange', 'getSqrtMarketTwapX96', only(timed('X96')), ({ intervalsSec }) => [intervalsSec.premium]),
    'Exchange.isOverPriceSpread': byMarket('exchange', 'isOverPriceSpread', only(exact('count'))),
  },
  collateral: {
    'CollateralManager.getPrice': { ...of('collateralManager'), name: 'getPrice', outputs: only(timed('E8')), args: ({ token }, { intervalsSec }) => [token, BigInt(intervalsSec.vault)] } satisfies Getter<Collateral, { value: Output }>,
    'CollateralManager.getPriceFeedDecimals': { ...of('collateralManager'), name: 'getPriceFeedDecimals', outputs: only(exact('count')), args: ({ token }) => [token] } satisfies Getter<Collateral, { value: Output }>,
    'Vault.getRepaidSettlementByCollateral': { ...of('vault'), name: 'getRepaidSettlementByCollateral', outputs: only(timed('settlement')), args: ({ token }) => [token, PROBE.collateral] } satisfies Getter<Collateral, { value: Output }>,
    'Vault.getLiquidatableCollateralBySettlement': { ...of('vault'), name: 'getLiquidatableCollateralBySettlement', outputs: only(timed('E18')), args: ({ token }) => [token, PROBE.settlement] } satisfies Getter<Collateral, { value: Output }>,
  },
  protocol: {
    'Vault.getCollateralMmRatio': { ...of('vault'), name: 'getCollateralMmRatio', outputs: only(exact('count')), args: () => [] } satisfies Getter<Protocol, { value: Output }>,
    'CollateralManager.getTotalWhitelistedDebtThreshold': { ...of('collateralManager'), name: 'getTotalWhitelistedDebtThreshold', outputs: only(exact('settlement')), args: () => [] } satisfies Getter<Protocol, { value: Output }>,
    'InsuranceFund.getInsuranceFundCapacity': ofFund('getInsuranceFundCapacity', only(exact('settlement'))),
  },
} as const

/**
 * Figures that come out of several answers: what liquidation decides and asks, what a market's accounts add up to. On their
 * side, from the contracts' answers.
 */
export const DERIVED = {
  account: {
    /** ClearingHouse.liquidate goes on exactly where this holds: account value < requirement. */
    'liquidatable': exact('count'),
  },
  accountMarket: {
    /** Asked with the account value that ClearingHouse.getAccountValue answers. */
    'AccountBalance.getLiquidatablePositionSize': timed('E18'),
  },
  market: {
    /** Sums of the taker sizes of all accounts. */
    'openInterestLong': exact('E18'),
    'openInterestShort': exact('E18'),
  },
} as const

export type DerivedName = { [S in keyof typeof DERIVED]: keyof (typeof DERIVED)[S] }[keyof typeof DERIVED]

type Getters = typeof GETTERS
type NamesOf<G> = { [K in keyof G & string]: G[K] extends { readonly outputs: infer O } ? (keyof O extends 'value' ? K : `${K}.${Exclude<keyof O, 'value'> & string}`) : never }[keyof G & string]

/** Names of all figures of one kind of subject. */
export type FieldName<S extends Scope> = NamesOf<Getters[S]> | (S extends keyof typeof DERIVED ? keyof (typeof DERIVED)[S] & string : never)

/** What our side has to give for one subject: a value for each of its figures. A new getter above is a type error there. */
export type Fields<S extends Scope> = { readonly [K in FieldName<S>]: Value }

export type AnyGetter = Getter<never, Readonly<Record<string, Output>>>

/** Getters of one kind of subject, without their types. */
export const gettersOf = (scope: Scope): readonly (readonly [string, AnyGetter])[] => Object.entries(GETTERS[scope])

/** `Contract.getter` alone where there is one figure, else with its name. */
export const fieldName = (getter: string, output: string): string => (output === 'value' ? getter : `${getter}.${output}`)

/** Agreement and unit by field name. Parameters of the catalog are `parameter NAME` and exact. */
export const AGREEMENTS: ReadonlyMap<string, Pick<Output, 'agreement' | 'unit'>> = new Map([
  ...(Object.keys(GETTERS) as Scope[]).flatMap((scope) => gettersOf(scope).flatMap(([name, { outputs }]) => Object.entries(outputs).map(([output, how]) => [fieldName(name, output), how] as const))),
  ...Object.values(DERIVED).flatMap((group) => Object.entries(group)),
  ...catalog.specs.filter(({ scope }) => scope !== 'ACCOUNT').map(({ name }) => [`parameter ${name}`, exact('count')] as const),
])

/** How a subject is written in recordings and reports. */
export const keyOf = {
  account: ({ account }: Account): string => account,
  accountMarket: ({ account, market }: AccountMarket): string => `${account}/${market}`,
  accountToken: ({ account, token }: AccountToken): string => `${account}/${token}`,
  range: ({ account, market, lowerTick, upperTick }: Range): string => `${account}/${market}/${lowerTick}/${upperTick}`,
  market: ({ market }: Market): string => market,
  collateral: ({ token }: Collateral): string => token,
  protocol: (): string => 'protocol',
} satisfies { readonly [S in Scope]: (subject: Subjects[S]) => string }

/** A call and what becomes of its answer. */
export type Asked = { readonly to: Address; readonly data: Hex; readonly read: (answer: Hex) => readonly (readonly [field: string, value: Value])[]; readonly fields: readonly string[]; readonly key: string }

/** An answer as it is compared: lists sorted, everything as text. */
export function valueOf(answer: unknown): Value {
  if (Array.isArray(answer)) return answer.map((item) => String(item).toLowerCase()).toSorted().join(',')
  return String(answer)
}

/** The one function of a getter out of its contract's ABI: looking it up and hashing it for every call would take most of a recording's time. */
const prepared = new Map<AnyGetter, { readonly abi: Abi; readonly functionName: Hex }>()
function prepare(getter: AnyGetter): { readonly abi: Abi; readonly functionName: Hex } {
  let found = prepared.get(getter)
  if (found === undefined) prepared.set(getter, (found = prepareEncodeFunctionData({ abi: getter.abi, functionName: getter.name })))
  return found
}

/** The call of one getter about one subject. */
export function ask(scope: Scope, name: string, getter: AnyGetter, deployment: Deployment, subject: Subjects[Scope], context: Context): Asked {
  const { outputs } = getter
  const { abi, functionName } = prepare(getter)
  return {
    to: getter.to(deployment, subject as never),
    data: encodeFunctionData({ abi, functionName, args: getter.args(subject as never, context, deployment) }),
    read: (data) => {
      const answer: unknown = decodeFunctionResult({ abi, functionName: getter.name, data })
      return Object.entries(outputs).map(([output, { pick }]) => [fieldName(name, output), valueOf(pick(answer))] as const)
    },
    fields: Object.keys(outputs).map((output) => fieldName(name, output)),
    key: keyOf[scope](subject as never),
  }
}

/** The call that reads a parameter of the catalog. */
export function askParameter(deployment: Deployment, ref: ParameterRef): Asked {
  const { to, data } = catalog.encodeRead(deployment, ref)
  const field = `parameter ${ref.name}`
  return { to, data, read: (answer) => [[field, String(catalog.decodeRead(ref, answer))]], fields: [field], key: ref.subject }
}
