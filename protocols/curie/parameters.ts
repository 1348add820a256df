/**
 * Every governable parameter of the deployed Curie contracts (v2.6.0): what it means, what the contract accepts,
 * how to read it, how to change it, and how to tell from a call what it changes.
 *
 * The table below is the whole truth; everything else here walks it. Bounds are what the contract's own `require`s
 * and argument types accept; `note` says what they fail to refuse, or what a legal value does that surprises.
 */
import { decodeFunctionData, decodeFunctionResult, encodeFunctionData, getAbiItem, isAddress, numberToHex, slice, toFunctionSelector, type Abi, type AbiFunction } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import {
  NotSettableError,
  OutOfBoundsError,
  UnknownParameterError,
  UnknownSubjectError,
  UnreadableAnswerError,
  type Address,
  type Call,
  type Deployment,
  type Hex,
  type ParameterCatalog,
  type ParameterRef,
  type ParameterSpec,
  type ParameterUnit,
  type Scope,
  type ZeroIs,
} from '../adapter.ts'
import { baseTokenAbi, clearingHouseAbi, clearingHouseConfigAbi, collateralManagerAbi, exchangeAbi, insuranceFundAbi, marketRegistryAbi, vaultAbi } from './abi.ts'

type ContractKey = 'clearingHouse' | 'clearingHouseConfig' | 'marketRegistry' | 'exchange' | 'vault' | 'insuranceFund' | 'collateralManager' | 'baseToken'

/** One row: the public spec, and how its getter and setter are spoken. */
type Row = {
  readonly spec: ParameterSpec
  readonly contract: ContractKey
  readonly abi: Abi
  readonly getter: Getter
  readonly setters: readonly Setter[]
}

/** A function that answers a parameter. `word`: which 32-byte word of its answer holds it. `isZero`: the answer is a flag that is set where the value is 0. */
type Getter = { readonly name: string; readonly word: number; readonly isZero?: true }

/** A function that sets a parameter. `value`: what it sets where it takes no value, null where it takes one. */
type Setter = { readonly name: string; readonly value: bigint | null }

const ABIS: Readonly<Record<ContractKey, Abi>> = {
  clearingHouse: clearingHouseAbi,
  clearingHouseConfig: clearingHouseConfigAbi,
  marketRegistry: marketRegistryAbi,
  exchange: exchangeAbi,
  vault: vaultAbi,
  insuranceFund: insuranceFundAbi,
  collateralManager: collateralManagerAbi,
  baseToken: baseTokenAbi,
}

const RATIO: ParameterUnit = { kind: 'RATIO', decimals: 6 }
const RATIO_PER_DAY: ParameterUnit = { kind: 'RATIO_PER_DAY', decimals: 6 }
const SECONDS: ParameterUnit = { kind: 'SECONDS', decimals: 0 }
const COUNT: ParameterUnit = { kind: 'COUNT', decimals: 0 }
const TICKS: ParameterUnit = { kind: 'TICKS', decimals: 0 }
// Vault.initialize refuses other tokens' decimals above 18; both deployments settle in a 6-decimal token.
const SETTLEMENT: ParameterUnit = { kind: 'SETTLEMENT_TOKEN', decimals: 6 }
const COLLATERAL: ParameterUnit = { kind: 'COLLATERAL_TOKEN', decimals: null }
const ADDRESS: ParameterUnit = { kind: 'ADDRESS', decimals: 0 }
const BOOLEAN: ParameterUnit = { kind: 'BOOLEAN', decimals: 0 }

const UINT8_MAX = 2n ** 8n - 1n
const UINT24_MAX = 2n ** 24n - 1n
const UINT32_MAX = 2n ** 32n - 1n
const UINT256_MAX = 2n ** 256n - 1n
const ADDRESS_MAX = 2n ** 160n - 1n
const RATIO_MAX = 1_000_000n

/** Maintenance margin that every deployment was initialised with (ClearingHouseConfig.initialize), and which has no setter. */
const INITIAL_MM_RATIO_E6 = 62_500n

type Definition = {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly contract: ContractKey
  readonly scope: Scope
  readonly unit: ParameterUnit
  readonly min?: bigint
  readonly max: bigint
  readonly note?: string
  readonly zeroMeans?: bigint
  readonly zeroIs?: ZeroIs
  readonly getter: string
  readonly word?: number
  readonly setter: string | null
  readonly advisoryReason?: string
}

function defined(definition: Definition): Row {
  const abi = ABIS[definition.contract]
  return {
    contract: definition.contract,
    abi,
    getter: { name: definition.getter, word: definition.word ?? 0 },
    setters: definition.setter === null ? [] : [{ name: definition.setter, value: null }],
    spec: {
      name: definition.name,
      title: definition.title,
      description: definition.description,
      contract: definition.contract,
      scope: definition.scope,
      unit: definition.unit,
      bounds: { min: definition.min ?? 0n, max: definition.max, note: definition.note ?? null },
      zeroMeans: definition.zeroMeans ?? null,
      zeroIs: definition.zeroIs ?? null,
      setter: definition.setter === null ? null : signatureOf(abi, definition.setter),
      advisoryReason: definition.advisoryReason ?? null,
      irreversible: false,
    },
  }
}

function pausable(contract: 'clearingHouse' | 'vault' | 'collateralManager' | 'insuranceFund', title: string, description: string, note: string): Row {
  const abi = ABIS[contract]
  return {
    contract,
    abi,
    getter: { name: 'paused', word: 0 },
    setters: [
      { name: 'pause', value: 1n },
      { name: 'unpause', value: 0n },
    ],
    spec: {
      name: `${contract}Paused`,
      title,
      description: `${description} 1 is set by pause(), 0 by unpause().`,
      contract,
      scope: 'PROTOCOL',
      unit: BOOLEAN,
      bounds: { min: 0n, max: 1n, note },
      zeroMeans: null,
      zeroIs: null,
      setter: signatureOf(abi, 'pause'),
      advisoryReason: null,
      irreversible: false,
    },
  }
}

const NO_MARGIN_SETTER = 'ClearingHouseConfig writes it in initialize() alone; a change needs a new implementation behind its proxy'
const ZERO_STOPS_NEW = 'The contract accepts 0, which refuses every new one.'

/** Where a field of Collateral.Config stands in what getCollateralConfig answers. */
const CONFIG = { priceFeed: 0, collateralRatio: 1, discountRatio: 2, depositCap: 3 } as const

const ROWS: readonly Row[] = [
  defined({
    name: 'imRatio', title: 'Initial margin', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of a position\'s debt value that must be covered to open, increase or withdraw.',
    getter: 'getImRatio', setter: null, advisoryReason: NO_MARGIN_SETTER,
  }),
  defined({
    name: 'mmRatio', title: 'Maintenance margin', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of the gross position value below which an account may be liquidated.',
    getter: 'getMmRatio', setter: null, advisoryReason: NO_MARGIN_SETTER,
  }),
  defined({
    name: 'liquidationPenaltyRatio', title: 'Liquidation penalty', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of the liquidated notional that the trader pays, half to the liquidator and half to the insurance fund.',
    note: 'The contract accepts a penalty above the maintenance margin, which turns every liquidation into bad debt.',
    getter: 'getLiquidationPenaltyRatio', setter: 'setLiquidationPenaltyRatio',
  }),
  defined({
    name: 'partialCloseRatio', title: 'Partial close', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: RATIO, min: 1n, max: RATIO_MAX,
    description: 'Share of a position that is closed when closing all of it would cross the tick cap.',
    note: 'At 100 % a close that crosses the tick cap reverts instead of closing a part.',
    getter: 'getPartialCloseRatio', setter: 'setPartialCloseRatio',
  }),
  defined({
    name: 'twapInterval', title: 'Funding TWAP interval', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: SECONDS, max: UINT32_MAX,
    description: 'Length of the market and index averages that funding is computed from.',
    note: 'The contract checks nothing: below 10 s the market average is the spot price, and an interval beyond the pool\'s observations stops every trade in the market.',
    getter: 'getTwapInterval', setter: 'setTwapInterval',
  }),
  defined({
    name: 'maxMarketsPerAccount', title: 'Markets per account', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: COUNT, max: UINT8_MAX,
    description: 'Number of markets in which one account may hold a position or liquidity.',
    note: `${ZERO_STOPS_NEW} It also counts for liquidators, who must take the position over.`,
    getter: 'getMaxMarketsPerAccount', setter: 'setMaxMarketsPerAccount',
  }),
  defined({
    name: 'settlementTokenBalanceCap', title: 'Settlement token cap', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: SETTLEMENT, max: UINT256_MAX,
    description: 'Settlement tokens that the vault may hold after a deposit.',
    note: 'The contract accepts a cap below what the vault holds, which refuses every deposit; 0 is no exception.',
    getter: 'getSettlementTokenBalanceCap', setter: 'setSettlementTokenBalanceCap',
  }),
  defined({
    name: 'maxFundingRate', title: 'Funding rate cap', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: RATIO_PER_DAY, max: UINT24_MAX,
    description: 'Largest premium, as a share of the index average, that funding is paid on; one day of it is one premium.',
    note: 'The contract checks nothing: 0 stops funding, and 16777215 (1677.7 % a day) is accepted.',
    getter: 'getMaxFundingRate', setter: 'setMaxFundingRate',
  }),
  defined({
    name: 'markPriceMarketTwapInterval', title: 'Mark price: market TWAP', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: SECONDS, min: 1n, max: UINT32_MAX,
    description: 'Length of the market average that is one of the mark price\'s three candidates.',
    note: 'Below 10 s the average is the spot price; beyond the pool\'s observations the mark price reverts, and liquidation with it.',
    getter: 'getMarkPriceConfig', word: 0, setter: 'setMarkPriceMarketTwapInterval',
  }),
  defined({
    name: 'markPricePremiumInterval', title: 'Mark price: premium TWAP', contract: 'clearingHouseConfig', scope: 'PROTOCOL', unit: SECONDS, min: 1n, max: UINT32_MAX,
    description: 'Length of the average premium (market less index) that is added to the index price as one of the mark price\'s three candidates.',
    note: 'Below 10 s the average is the spot price; beyond the pool\'s observations the mark price reverts, and liquidation with it.',
    getter: 'getMarkPriceConfig', word: 1, setter: 'setMarkPricePremiumInterval',
  }),

  defined({
    name: 'maxOrdersPerMarket', title: 'Ranges per market', contract: 'marketRegistry', scope: 'PROTOCOL', unit: COUNT, max: UINT8_MAX,
    description: 'Number of liquidity ranges that one account may hold in one market.', note: ZERO_STOPS_NEW,
    getter: 'getMaxOrdersPerMarket', setter: 'setMaxOrdersPerMarket',
  }),
  defined({
    name: 'feeRatio', title: 'Trading fee', contract: 'marketRegistry', scope: 'MARKET', unit: RATIO, max: RATIO_MAX,
    description: 'Share of a trade\'s notional that the taker pays.',
    note: 'The contract accepts 100 %, at which buying reverts and selling pays all of its proceeds.',
    getter: 'getFeeRatio', setter: 'setFeeRatio',
  }),
  defined({
    name: 'insuranceFundFeeRatio', title: 'Insurance fund\'s share of fees', contract: 'marketRegistry', scope: 'MARKET', unit: RATIO, max: RATIO_MAX,
    description: 'Share of the trading fee that goes to the insurance fund; the rest goes to makers.',
    getter: 'getInsuranceFundFeeRatio', setter: 'setInsuranceFundFeeRatio',
  }),
  defined({
    name: 'marketMaxPriceSpreadRatio', title: 'Price band', contract: 'marketRegistry', scope: 'MARKET', unit: RATIO, max: UINT24_MAX,
    description: 'How far from the index price a trade may move the market price.',
    note: 'The contract checks nothing, not even that the market exists. 0 means 10 %: the getter then answers 100000.', zeroMeans: 100_000n,
    getter: 'getMarketMaxPriceSpreadRatio', setter: 'setMarketMaxPriceSpreadRatio',
  }),

  defined({
    name: 'maxTickCrossedWithinBlock', title: 'Tick cap', contract: 'exchange', scope: 'MARKET', unit: TICKS, max: 1000n,
    description: 'Ticks that the price may move from where it stood at the last update (at least 15 s apart); 1000 ticks are 10.5 %.',
    note: '0 stops every trade in the market (EX_MIP) while liquidation goes on.',
    getter: 'getMaxTickCrossedWithinBlock', setter: 'setMaxTickCrossedWithinBlock',
  }),

  defined({
    name: 'collateralPriceFeed', title: 'Collateral\'s price feed', contract: 'collateralManager', scope: 'COLLATERAL', unit: ADDRESS, min: 1n, max: ADDRESS_MAX,
    description: 'Contract that gives the collateral\'s price; its address as an unsigned integer.',
    note: 'The contract asks only that it is a contract, not that it answers prices.',
    getter: 'getCollateralConfig', word: CONFIG.priceFeed, setter: 'setPriceFeed',
  }),
  defined({
    name: 'collateralRatio', title: 'Collateral ratio', contract: 'collateralManager', scope: 'COLLATERAL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of the collateral\'s value that counts as margin; 100 % less the haircut.',
    note: 'At 0 the amount that may be withdrawn divides by zero, and withdrawing this collateral reverts.',
    getter: 'getCollateralConfig', word: CONFIG.collateralRatio, setter: 'setCollateralRatio',
  }),
  defined({
    name: 'discountRatio', title: 'Liquidation discount', contract: 'collateralManager', scope: 'COLLATERAL', unit: RATIO, max: RATIO_MAX,
    description: 'How far below the index price a liquidator buys the collateral.',
    note: 'The contract accepts 100 %, at which liquidating this collateral divides by zero and reverts.',
    getter: 'getCollateralConfig', word: CONFIG.discountRatio, setter: 'setDiscountRatio',
  }),
  defined({
    name: 'depositCap', title: 'Deposit cap', contract: 'collateralManager', scope: 'COLLATERAL', unit: COLLATERAL, max: UINT256_MAX,
    description: 'Tokens of the collateral that the vault may hold after a deposit.',
    note: 'The contract accepts a cap below what the vault holds, which refuses every deposit.',
    getter: 'getCollateralConfig', word: CONFIG.depositCap, setter: 'setDepositCap',
  }),
  defined({
    name: 'maxCollateralTokensPerAccount', title: 'Collaterals per account', contract: 'collateralManager', scope: 'PROTOCOL', unit: COUNT, max: UINT8_MAX,
    description: 'Number of collaterals other than the settlement token that one account may hold.', note: ZERO_STOPS_NEW,
    getter: 'getMaxCollateralTokensPerAccount', setter: 'setMaxCollateralTokensPerAccount',
  }),
  defined({
    name: 'mmRatioBuffer', title: 'Collateral liquidation buffer', contract: 'collateralManager', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX - INITIAL_MM_RATIO_E6,
    description: 'Added to the maintenance margin: below the sum, an account\'s collateral may be liquidated.',
    note: 'The contract adds in 24 bits without a check: from 16777216 − mmRatio (16714716 at 6.25 %) on, the sum wraps and is accepted. Allowed here is 1000000 − mmRatio.',
    getter: 'getMmRatioBuffer', setter: 'setMmRatioBuffer',
  }),
  defined({
    name: 'debtNonSettlementTokenValueRatio', title: 'Debt to collateral', contract: 'collateralManager', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Settlement token debt, as a share of the other collaterals\' value, above which collateral may be liquidated.',
    getter: 'getDebtNonSettlementTokenValueRatio', setter: 'setDebtNonSettlementTokenValueRatio',
  }),
  defined({
    name: 'liquidationRatio', title: 'Collateral liquidation share', contract: 'collateralManager', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of an account\'s debt that one collateral liquidation may repay.',
    note: 'The contract accepts 0, at which debts above the dust threshold cannot be liquidated.',
    getter: 'getLiquidationRatio', setter: 'setLiquidationRatio',
  }),
  defined({
    name: 'clInsuranceFundFeeRatio', title: 'Insurance fund\'s share of collateral liquidations', contract: 'collateralManager', scope: 'PROTOCOL', unit: RATIO, max: RATIO_MAX,
    description: 'Share of what a collateral liquidator pays that goes to the insurance fund.',
    note: 'The contract accepts 100 %, at which collateral liquidation divides by zero and reverts.',
    getter: 'getCLInsuranceFundFeeRatio', setter: 'setCLInsuranceFundFeeRatio',
  }),
  defined({
    name: 'debtThreshold', title: 'Debt threshold', contract: 'collateralManager', scope: 'PROTOCOL', unit: SETTLEMENT, min: 1n, max: UINT256_MAX,
    description: 'Settlement token debt of one account above which its collateral may be liquidated.',
    getter: 'getDebtThreshold', setter: 'setDebtThreshold',
  }),
  defined({
    name: 'collateralValueDust', title: 'Dust threshold', contract: 'collateralManager', scope: 'PROTOCOL', unit: SETTLEMENT, max: UINT256_MAX,
    description: 'Debts up to this are repaid whole by one collateral liquidation.',
    note: 'The contract checks nothing: a value beyond 2^256 / 10^12 overflows, and collateral liquidation reverts.',
    getter: 'getCollateralValueDust', setter: 'setCollateralValueDust',
  }),
  defined({
    name: 'whitelistedDebtThreshold', title: 'Account\'s debt threshold', contract: 'collateralManager', scope: 'ACCOUNT', unit: SETTLEMENT, max: UINT256_MAX,
    description: 'The debt threshold of one account in place of the general one.',
    note: '0 means the general threshold: the getter then answers debtThreshold. The sum over all accounts must fit 256 bits.', zeroIs: { words: 'the general debt threshold', of: 'debtThreshold' },
    getter: 'getDebtThresholdByTrader', setter: 'setWhitelistedDebtThreshold',
  }),

  defined({
    name: 'distributionThreshold', title: 'Distribution threshold', contract: 'insuranceFund', scope: 'PROTOCOL', unit: SETTLEMENT, max: UINT256_MAX,
    description: 'Capacity that the insurance fund keeps; what stands above it may be distributed.',
    note: '0 stops distribution, and so does a value beyond 2^255 − 1.', zeroIs: { words: 'no distribution', of: null },
    getter: 'getDistributionThreshold', setter: 'setDistributionThreshold',
  }),
  defined({
    name: 'surplusBeneficiary', title: 'Surplus beneficiary', contract: 'insuranceFund', scope: 'PROTOCOL', unit: ADDRESS, min: 1n, max: ADDRESS_MAX,
    description: 'Contract that receives the insurance fund\'s surplus; its address as an unsigned integer.',
    note: 'It must be a contract whose getToken() is the settlement token.',
    getter: 'getSurplusBeneficiary', setter: 'setSurplusBeneficiary',
  }),

  defined({
    name: 'baseTokenPriceFeed', title: 'Market\'s price feed', contract: 'baseToken', scope: 'MARKET', unit: ADDRESS, min: 1n, max: ADDRESS_MAX,
    description: 'PriceFeedDispatcher that gives the market\'s index price; its address as an unsigned integer.',
    note: 'The contract asks only for decimals() of at most 18, not for a price.',
    getter: 'getPriceFeed', setter: 'setPriceFeed',
  }),
  {
    contract: 'baseToken',
    abi: baseTokenAbi,
    // No getter tells all three apart. The two that differ in what the market accepts are open and not open.
    getter: { name: 'isOpen', word: 0, isZero: true },
    setters: [{ name: 'pause', value: 1n }],
    spec: {
      name: 'marketStatus',
      title: 'Market status',
      description: '0 open, 1 paused, 2 closed. A paused market stops trading and liquidation for good; positions stand at the 15 min index average of that moment until it is closed.',
      contract: 'baseToken',
      scope: 'MARKET',
      unit: COUNT,
      bounds: {
        min: 1n,
        max: 1n,
        note: 'Only pausing is a change of this parameter: close(price) takes a price, close() is open to anyone five days after the pause, and nothing opens a market again. The getter answers 0 or 1, 1 for closed too; marketStatusReads tells them apart.',
      },
      zeroMeans: null,
      zeroIs: null,
      setter: 'pause()',
      advisoryReason: null,
      irreversible: true,
    },
  },

  pausable('clearingHouse', 'Clearing house paused', 'Stops trading, liquidity changes and liquidation in every market.', 'Liquidation stops too; a tick cap of 0 stops trades alone.'),
  pausable('vault', 'Vault paused', 'Stops deposits, withdrawals and collateral liquidation.', 'Collateral liquidation stops too.'),
  pausable('collateralManager', 'Collateral manager paused', 'Sets the flag that no function of the deployed contract asks.', 'It stops nothing.'),
  pausable('insuranceFund', 'Insurance fund paused', 'Stops repayment to the vault and distribution of the surplus.', 'Fees still flow in and bad debt out.'),
]

/** Values elsewhere on chain that narrow a parameter's bounds. */
export type BoundsContext = {
  /** ClearingHouseConfig.getMmRatio(); 62500 where it is not given. */
  readonly mmRatioE6?: bigint
}

/** The raw values allowed for a parameter as the chain stands, inclusive: `spec.bounds` but for mmRatioBuffer, whose largest value is 1e6 − mmRatio. */
export function boundsOf(spec: ParameterSpec, context: BoundsContext = {}): { readonly min: bigint; readonly max: bigint } {
  if (spec.name === 'mmRatioBuffer' && context.mmRatioE6 !== undefined) return { min: 0n, max: RATIO_MAX - context.mmRatioE6 }
  return { min: spec.bounds.min, max: spec.bounds.max }
}

/** Throws OutOfBoundsError where `value` is outside `boundsOf(spec, context)`. */
export function checkBounds(spec: ParameterSpec, value: bigint, context: BoundsContext = {}): void {
  const { min, max } = boundsOf(spec, context)
  if (value < min || value > max) throw new OutOfBoundsError({ parameter: spec.name, found: value, min, max })
}

const ROW_BY_NAME: ReadonlyMap<string, Row> = new Map(ROWS.map((row) => [row.spec.name, row]))

function rowOf(name: string): Row {
  const row = ROW_BY_NAME.get(name)
  if (row === undefined) throw new UnknownParameterError({ found: name, allowed: [...ROW_BY_NAME.keys()] })
  return row
}

const lower = (address: Address): Address => address.toLowerCase() as Address

/** Subjects that a deployment has in a scope; null where any account is one. */
function subjectsIn(deployment: Deployment, scope: Scope): readonly Address[] | null {
  switch (scope) {
    case 'PROTOCOL':
      return [lower(deployment.contracts.clearingHouse)]
    case 'MARKET':
      return deployment.markets.map((market) => lower(market.baseToken))
    case 'COLLATERAL':
      return deployment.collaterals.map((collateral) => lower(collateral.token))
    case 'ACCOUNT':
      return null
  }
}

function isSubject(deployment: Deployment, scope: Scope, subject: Address): boolean {
  const subjects = subjectsIn(deployment, scope)
  return subjects === null ? isAddress(subject, { strict: false }) : subjects.includes(subject)
}

/** The subject in lowercase. Throws UnknownSubjectError. */
function checkedSubject(deployment: Deployment, row: Row, ref: ParameterRef): Address {
  const subject = lower(ref.subject)
  if (isSubject(deployment, row.spec.scope, subject)) return subject
  throw new UnknownSubjectError({ parameter: ref.name, found: ref.subject, allowed: subjectsIn(deployment, row.spec.scope) ?? ['any account address'] })
}

function targetOf(deployment: Deployment, contract: ContractKey, subject: Address): Address {
  return contract === 'baseToken' ? subject : lower(deployment.contracts[contract])
}

/** Subject as the function's leading argument: contracts that hold all subjects take it, the subject's own contract does not. */
function subjectArgs(row: Row, subject: Address): readonly unknown[] {
  return row.spec.scope === 'PROTOCOL' || row.contract === 'baseToken' ? [] : [subject]
}

const addressOf = (value: bigint): Address => `0x${value.toString(16).padStart(40, '0')}`

function functionOf(abi: Abi, name: string): AbiFunction {
  const item = getAbiItem({ abi, name }) as AbiFunction | undefined
  if (item === undefined) throw new InvariantError(`The catalog names ${name}, which abi.ts does not have`)
  return item
}

function signatureOf(abi: Abi, name: string): string {
  return `${name}(${functionOf(abi, name).inputs.map((input) => input.type).join(',')})`
}

function encodeCall(row: Row, name: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: row.abi, functionName: name, args })
}

/** Solidity type of a setter's value argument, as viem takes it: small integers are numbers. */
function valueArg(row: Row, name: string, value: bigint): unknown {
  if (row.spec.unit.kind === 'ADDRESS') return addressOf(value)
  const type = functionOf(row.abi, name).inputs.at(-1)?.type
  return type === 'uint256' ? value : Number(value)
}

/** Whether a value decoded for a setter fits the argument's width, which viem does not check when it decodes. */
function fitsType(setter: SetterOfRow, value: bigint): boolean {
  if (setter.value !== null) return true
  const width = /^uint(\d+)$/.exec(functionOf(setter.row.abi, setter.name).inputs.at(-1)?.type ?? '')?.[1]
  return width === undefined || value < 2n ** BigInt(width)
}

function rawValue(answer: unknown): bigint {
  if (typeof answer === 'boolean') return answer ? 1n : 0n
  return BigInt(answer as string | number | bigint)
}

function valueOfWord(getter: Getter, word: Hex): bigint {
  return getter.isZero === true ? BigInt(BigInt(word) === 0n) : BigInt(word)
}

function encodeSetter(deployment: Deployment, row: Row, subject: Address, value: bigint): Call | null {
  const setter = row.setters.find((one) => one.value === null || one.value === value)
  if (setter === undefined) return null
  const args = setter.value === null ? [...subjectArgs(row, subject), valueArg(row, setter.name, value)] : subjectArgs(row, subject)
  return { to: targetOf(deployment, row.contract, subject), value: 0n, data: encodeCall(row, setter.name, args) }
}

type SetterOfRow = Setter & { readonly row: Row }

/** Setters by contract and selector. */
const SETTERS: ReadonlyMap<string, SetterOfRow> = new Map(
  ROWS.flatMap((row) => row.setters.map((setter): [string, SetterOfRow] => [`${row.contract}:${toFunctionSelector(functionOf(row.abi, setter.name))}`, { row, ...setter }])),
)

/** What calldata sets, decoded without regard to bounds; null where viem cannot decode it. */
function decodeSetter(setter: SetterOfRow, to: Address, data: Hex, deployment: Deployment): { subject: Address; value: bigint } | null {
  const { row } = setter
  let args: readonly unknown[]
  try {
    args = decodeFunctionData({ abi: row.abi, data }).args ?? []
  } catch {
    return null
  }
  const takesSubject = subjectArgs(row, to).length === 1
  const subject = takesSubject ? lower(args[0] as Address) : row.contract === 'baseToken' ? to : lower(deployment.contracts.clearingHouse)
  return { subject, value: setter.value ?? rawValue(args.at(-1)) }
}

/** Curie's parameter catalog. */
export const catalog: ParameterCatalog = {
  specs: ROWS.map((row) => row.spec),

  find: (name) => rowOf(name).spec,

  encodeRead(deployment, ref) {
    const row = rowOf(ref.name)
    const subject = checkedSubject(deployment, row, ref)
    return { to: targetOf(deployment, row.contract, subject), value: 0n, data: encodeCall(row, row.getter.name, subjectArgs(row, subject)) }
  },

  decodeRead(ref, data) {
    const row = rowOf(ref.name)
    try {
      // viem refuses what is too short or no encoding of the answer's types.
      decodeFunctionResult({ abi: row.abi, functionName: row.getter.name, data })
      return valueOfWord(row.getter, slice(data, 32 * row.getter.word, 32 * row.getter.word + 32))
    } catch (cause) {
      throw new UnreadableAnswerError({ what: `${ref.name} of ${ref.subject}`, call: signatureOf(row.abi, row.getter.name), found: data }, cause)
    }
  },

  expectation(deployment, ref, value) {
    const { getter } = rowOf(ref.name)
    const read = catalog.encodeRead(deployment, ref)
    return { target: read.to, callData: read.data, word: BigInt(getter.word), expected: numberToHex(getter.isZero === true ? BigInt(value === 0n) : value, { size: 32 }) }
  },

  valueOfWord: (ref, word) => valueOfWord(rowOf(ref.name).getter, word),

  boundedBy: (deployment, ref) => (ref.name === 'mmRatioBuffer' ? [{ name: 'mmRatio', subject: lower(deployment.contracts.clearingHouse) }] : []),

  encodeChange(deployment, ref, value, valueOf) {
    const row = rowOf(ref.name)
    const subject = checkedSubject(deployment, row, ref)
    if (row.spec.advisoryReason !== null) throw new NotSettableError({ parameter: ref.name, reason: row.spec.advisoryReason })
    const [mmRatio] = catalog.boundedBy(deployment, ref)
    const mmRatioE6 = mmRatio === undefined || valueOf === undefined ? 0n : valueOf(mmRatio)
    checkBounds(row.spec, value, mmRatioE6 === null ? {} : { mmRatioE6 })
    const call = encodeSetter(deployment, row, subject, value)
    if (call === null) throw new InvariantError(`${ref.name} has neither a setter nor a reason for having none`)
    return call
  },

  decodeChange(deployment, call) {
    const to = lower(call.to)
    const data = call.data.toLowerCase() as Hex
    if (call.value !== 0n) return null
    const contract = contractAt(deployment, to)
    const setter = contract === null ? undefined : SETTERS.get(`${contract}:${data.slice(0, 10)}`)
    if (setter === undefined) return null
    const change = decodeSetter(setter, to, data, deployment)
    if (change === null || !isSubject(deployment, setter.row.spec.scope, change.subject)) return null
    // Solidity ignores trailing bytes and refuses dirty padding: a call that is not the one encoding of its change is none of ours.
    if (!fitsType(setter, change.value) || encodeSetter(deployment, setter.row, change.subject, change.value)?.data !== data) return null
    return { ref: { name: setter.row.spec.name, subject: change.subject }, value: change.value }
  },

  functionOf(deployment, call) {
    if (catalog.decodeChange(deployment, call) === null) return null
    const { row, name } = SETTERS.get(`${contractAt(deployment, lower(call.to))}:${call.data.slice(0, 10).toLowerCase()}`)!
    const values = decodeFunctionData({ abi: row.abi, data: call.data }).args ?? []
    const takesSubject = subjectArgs(row, lower(call.to)).length === 1
    const args = functionOf(row.abi, name).inputs.map((input, i) => ({ name: input.name ?? '', type: input.type, value: String(values[i]).toLowerCase(), role: takesSubject && i === 0 ? ('SUBJECT' as const) : ('VALUE' as const) }))
    return { signature: signatureOf(row.abi, name), args }
  },

  refs: (deployment) => ROWS.flatMap((row) => (subjectsIn(deployment, row.spec.scope) ?? []).map((subject): ParameterRef => ({ name: row.spec.name, subject }))),
}

function contractAt(deployment: Deployment, address: Address): ContractKey | null {
  if (deployment.markets.some((market) => lower(market.baseToken) === address)) return 'baseToken'
  const keys = Object.keys(ABIS) as ContractKey[]
  return keys.find((key) => key !== 'baseToken' && lower(deployment.contracts[key]) === address) ?? null
}
