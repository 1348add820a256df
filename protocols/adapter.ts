/**
 * What every protocol folder gives. The rest of Bulwark speaks of protocols in these words alone.
 */
import { BadInputError, BulwarkError } from '../core/errors.ts'
import type { OnChain } from './onchain.ts'

export type Hex = `0x${string}`

/** 0x-prefixed 20-byte address. */
export type Address = `0x${string}`

/** One market of a deployment. */
export type MarketDeployment = {
  /** As the base token names itself, e.g. `vETH`. */
  readonly symbol: string
  readonly baseToken: Address
  /** Uniswap V3 pool that the market trades on. */
  readonly pool: Address
  /** What the base token asks for its index price (PriceFeedDispatcher). */
  readonly priceFeed: Address
  /** ChainlinkPriceFeedV3 behind the dispatcher. */
  readonly chainlinkFeed: Address
  /** Chainlink aggregator behind that feed; null where it is not part of the deployment's records. */
  readonly aggregator: Address | null
}

/** A token other than the settlement token that backs positions. */
export type CollateralDeployment = {
  readonly symbol: string
  readonly token: Address
  readonly decimals: number
  readonly priceFeed: Address
}

/** The Safe that owns the protocol, and the Safe contracts that its transactions go through. */
export type SafeDeployment = {
  readonly address: Address
  readonly version: string
  readonly owners: readonly Address[]
  readonly threshold: number
  readonly singleton: Address
  readonly proxyFactory: Address
  readonly fallbackHandler: Address
  readonly multiSend: Address
  readonly multiSendCallOnly: Address
}

/**
 * What stands between the Safe and every contract of the protocol.
 * SAFE: the Safe owns them. TIMELOCK: an OpenZeppelin TimelockController owns them, where the Safe proposes and cancels.
 */
export type Governance = { readonly kind: 'SAFE' } | { readonly kind: 'TIMELOCK'; readonly address: Address; /** What getMinDelay() answers. */ readonly minDelaySec: number }

/** Where a protocol lives on one network. */
export type Deployment = {
  readonly network: string
  readonly chainId: number
  /** First block with a contract of the protocol: indexing starts here. */
  readonly startBlock: number
  readonly contracts: {
    readonly clearingHouse: Address
    readonly clearingHouseConfig: Address
    readonly marketRegistry: Address
    readonly exchange: Address
    readonly orderBook: Address
    readonly accountBalance: Address
    readonly vault: Address
    readonly insuranceFund: Address
    readonly collateralManager: Address
    readonly quoteToken: Address
    /** Admin of the upgradeable proxies. */
    readonly proxyAdmin: Address
  }
  readonly settlementToken: { readonly address: Address; readonly symbol: string; readonly decimals: number }
  readonly markets: readonly MarketDeployment[]
  readonly collaterals: readonly CollateralDeployment[]
  /** null where the owner is not recorded. */
  readonly safe: SafeDeployment | null
  /** SAFE where left out. */
  readonly governance?: Governance
}

/** What a parameter's value belongs to. */
export type Scope = 'PROTOCOL' | 'MARKET' | 'COLLATERAL' | 'ACCOUNT'

/** How a raw value is read: the unit a person sees, and the decimals between the two. */
export type ParameterUnit =
  | { readonly kind: 'RATIO'; readonly decimals: 6 }
  | { readonly kind: 'RATIO_PER_DAY'; readonly decimals: 6 }
  | { readonly kind: 'SECONDS'; readonly decimals: 0 }
  | { readonly kind: 'COUNT'; readonly decimals: 0 }
  | { readonly kind: 'TICKS'; readonly decimals: 0 }
  | { readonly kind: 'SETTLEMENT_TOKEN'; readonly decimals: number }
  /** Decimals are those of the collateral that the value belongs to. */
  | { readonly kind: 'COLLATERAL_TOKEN'; readonly decimals: null }
  | { readonly kind: 'ADDRESS'; readonly decimals: 0 }
  | { readonly kind: 'BOOLEAN'; readonly decimals: 0 }

/** `words`: `no distribution`. `of`: the protocol's parameter whose value the contract takes and its getter answers instead; null where it answers 0. */
export type ZeroIs = { readonly words: string; readonly of: string | null }

/** One governable (or only readable) parameter of a protocol. */
export type ParameterSpec = {
  /** Stable name, as in the index and in recommendations, e.g. `marketMaxPriceSpreadRatio`. */
  readonly name: string
  /** For people: `Price band`. */
  readonly title: string
  readonly description: string
  readonly contract: string
  readonly scope: Scope
  readonly unit: ParameterUnit
  /** What the contract accepts, inclusive raw values; `note` says what it fails to check. */
  readonly bounds: { readonly min: bigint; readonly max: bigint; readonly note: string | null }
  /** Raw value that the contract takes where a raw 0 is stored; null where 0 is 0, or `zeroIs` says what it is. */
  readonly zeroMeans: bigint | null
  /** What a stored raw 0 is where it is no value of its own; null where it is one, or `zeroMeans` says which. */
  readonly zeroIs: ZeroIs | null
  /** Solidity signature of the setter; null where the deployed protocol has none. */
  readonly setter: string | null
  /** Why a change is advisory; null where there is a setter. */
  readonly advisoryReason: string | null
  /** True where the chain has no way back. */
  readonly irreversible: boolean
}

/** The raw value that the contract works with where `raw` is stored. */
export const effectiveOf = ({ zeroMeans }: Pick<ParameterSpec, 'zeroMeans'>, raw: bigint): bigint => (raw === 0n && zeroMeans !== null ? zeroMeans : raw)

/** What `raw` is in words where it is a 0 that is no value of its own: `no distribution (raw 0)`; null for any other. */
export const zeroWords = ({ zeroIs }: Pick<ParameterSpec, 'zeroIs'>, raw: bigint): string | null => (raw === 0n && zeroIs !== null ? `${zeroIs.words} (raw 0)` : null)

/** A parameter of one subject: the protocol, a market, a collateral or an account. */
export type ParameterRef = { readonly name: string; readonly subject: Address }

/** A call that a Safe can make. */
export type Call = { readonly to: Address; readonly value: bigint; readonly data: Hex }

/** `signature`: `setFeeRatio(address,uint24)`. An argument's value is a decimal number or hex; `role` says whether it names the subject or the new value. */
export type CalledFunction = { readonly signature: string; readonly args: readonly { readonly name: string; readonly type: string; readonly value: string; readonly role: 'SUBJECT' | 'VALUE' }[] }

/** What a getter answers where a parameter has a value: the 32-byte word `word` (from 0) of its answer is `expected`. */
export type Expectation = { readonly target: Address; readonly callData: Hex; readonly word: bigint; readonly expected: Hex }

/** A protocol's parameters: how to name, read, bound and change them. Pure: no network. */
export type ParameterCatalog = {
  readonly specs: readonly ParameterSpec[]
  /** Throws UnknownParameterError. */
  find(name: string): ParameterSpec
  /** Calldata of the getter. Throws UnknownParameterError. */
  encodeRead(deployment: Deployment, ref: ParameterRef): Call
  /** Raw value out of the getter's answer. */
  decodeRead(ref: ParameterRef, data: Hex): bigint
  /** What the getter answers where the parameter is `value`. `decodeRead` of such an answer is `value`. Throws UnknownParameterError, UnknownSubjectError. */
  expectation(deployment: Deployment, ref: ParameterRef, value: bigint): Expectation
  /** Raw value out of the word of the answer that `expectation` names. */
  valueOfWord(ref: ParameterRef, word: Hex): bigint
  /** The parameters whose values decide another's bounds; none for most. */
  boundedBy(deployment: Deployment, ref: ParameterRef): readonly ParameterRef[]
  /**
   * Calldata of the setter. Where bounds depend on other parameters, `valueOf` gives the values of `boundedBy` (null where
   * it has none: `spec.bounds` then). Without it, bounds are the widest that any values allow, so that a change that was
   * accepted encodes again without the chain.
   * Throws UnknownParameterError, NotSettableError, OutOfBoundsError, UnknownSubjectError.
   */
  encodeChange(deployment: Deployment, ref: ParameterRef, value: bigint, valueOf?: (ref: ParameterRef) => bigint | null): Call
  /** The change that a call makes; null where the call is none of ours. `decodeChange(encodeChange(x)) = x`. */
  decodeChange(deployment: Deployment, call: Call): { ref: ParameterRef; value: bigint } | null
  /** The function of the deployed contract that such a call is, with its arguments; null where `decodeChange` says null. */
  functionOf(deployment: Deployment, call: Call): CalledFunction | null
  /** Every parameter × subject of the deployment, whose value can be read (ACCOUNT scope excluded). */
  refs(deployment: Deployment): readonly ParameterRef[]
}

/**
 * A fact of the index as the mirror keeps it: an immutable row, by entity name of subgraph/schema.graphql. Fields have the
 * mirror's column names (a reference ends in `Id`). Every BigInt is a decimal string, Int a number, Bytes lower-case hex.
 */
export type Fact = {
  readonly entity: string
  readonly id: string
  readonly blockNumber: string
  /** Of the block, s. */
  readonly timestamp: string
  readonly transactionHash: string
  readonly logIndex: number
} & Readonly<Record<string, string | number | boolean | null>>

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** A row of what a reducer keeps. Integers that may pass 2^53 are decimal strings in it. */
export type ReplayRow = { readonly kind: string; /** The reducer's own key, unique within the kind. */ readonly key: string; readonly value: Json }

/** Rows of a kind whose key starts with `prefix`: a whole key asks for one row. */
export type ReplayNeed = { readonly kind: string; readonly prefix: string }

/**
 * What no event says and the facts decide: fees and funding that are pending, liquidity by tick, averages. Pure; the mirror
 * runs it over the facts of a step, inside the step's transaction, and its rows are rewound with the index's.
 * Reducing facts in one go or in any number of pieces (whole blocks) gives the same rows.
 */
export type Reducer = {
  /** Raised when the same facts would give other rows: the mirror then computes all rows again from the facts it has. */
  readonly version: number
  /** Names of the entities whose facts it takes. */
  readonly facts: readonly string[]
  /** Which rows these facts read or change. */
  needs(facts: readonly Fact[]): readonly ReplayNeed[]
  /**
   * The rows that these facts, in the order of the chain (block, log index, id), leave changed; what is not in it stays.
   * `rows` hold at least what `needs(facts)` asked for. Facts that contradict each other are kept as a reason for which what
   * depends on them is unknown. Throws InvariantError where a fact lacks a field.
   */
  reduce(rows: readonly ReplayRow[], facts: readonly Fact[]): readonly ReplayRow[]
}

// ─── Margins ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** HEALTHY; WARN below 1.2 times the requirement; PARTIAL and FULL say how much may be liquidated; BAD_DEBT: nothing is left. */
export type MarginTier = 'HEALTHY' | 'WARN' | 'PARTIAL' | 'FULL' | 'BAD_DEBT'

export type PositionHealth = {
  readonly market: Address
  /** Taker size plus what ranges hold less their debt; 0 below 10 wei. */
  readonly totalSizeE18: bigint
  /** Quote paid (−) or received (+) for it, ranges included. */
  readonly totalOpenNotionalE18: bigint
  /** totalSize · markPrice, signed. */
  readonly positionValueE18: bigint
  /** positionValue + totalOpenNotional. */
  readonly unrealizedPnlE18: bigint
  /** What a liquidator may take now, signed as the position; 0 where nothing; null where the contract reverts. */
  readonly liquidatableSizeE18: bigint | null
  /** Mark price at which the account's value meets its requirement, all else equal; null where there is none. */
  readonly liquidationPriceE18: bigint | null
  /** Mark price at which the account's value is 0, all else equal; null where there is none. */
  readonly bankruptcyPriceE18: bigint | null
  /** How far the mark price may move against the position until the liquidation price, as a share of the mark price (1e6 = 100 %); negative beyond it. */
  readonly distanceToLiquidationE6: bigint | null
}

export type AccountHealth = {
  /** LOWER_BOUND: the true account value is this or more, because something that only adds is unknown. */
  readonly exactness: 'EXACT' | 'LOWER_BOUND'
  /** Names of the facts that were unknown. */
  readonly missing: readonly string[]
  /** Settlement balance with pending fee, pending funding and owed PnL. */
  readonly settlementBalanceE18: bigint
  /** That, with unrealised PnL; negative is a debt. */
  readonly settlementTokenValueE18: bigint
  /** Other collaterals after their haircut. */
  readonly nonSettlementTokenValueE18: bigint
  readonly totalCollateralValueE18: bigint
  readonly unrealizedPnlE18: bigint
  readonly accountValueE18: bigint
  /** Account value in settlement decimals, rounded down, as the contract's getter gives it and liquidation compares it. */
  readonly accountValue: bigint
  readonly totalAbsPositionValueE18: bigint
  readonly totalDebtValueE18: bigint
  /** Below this account value, positions may be liquidated. */
  readonly marginRequirementE18: bigint
  /** Below this account value, collateral may be liquidated. */
  readonly collateralMarginRequirementE18: bigint
  /** Free collateral at the initial margin ratio, signed: for opening, increasing and withdrawing. */
  readonly freeCollateralImE18: bigint
  /** Free collateral at the maintenance margin ratio, signed: for reducing. */
  readonly freeCollateralMmE18: bigint
  /** accountValue / totalAbsPositionValue, rounded down; null without positions. */
  readonly marginRatioE18: bigint | null
  /** (accountValue − marginRequirement) / totalAbsPositionValue, rounded down; null without positions. */
  readonly distanceE18: bigint | null
  readonly tier: MarginTier
  /** Account value below the requirement: its liquidity may be cancelled, and its positions liquidated once it has none. */
  readonly belowMaintenance: boolean
  /**
   * A position may be liquidated now: below maintenance, no liquidity in an open market, a taker position in one.
   * Two things outside the account can still stop it: the liquidator's own margin, and an insurance fund whose capacity
   * is less than the debt that would remain (CH_IIC).
   */
  readonly liquidatable: boolean
  readonly collateralLiquidatable: boolean
  readonly positions: readonly PositionHealth[]
}

/** The index's own rows that margins depend on, at one block, addresses in lowercase. What is not given counts as none. */
export type IndexStates = {
  readonly accounts: readonly { readonly id: string; readonly settlementBalance: bigint; readonly owedRealizedPnlE18: bigint }[]
  readonly positions: readonly { readonly accountId: string; readonly marketId: string; readonly rawSizeE18: bigint; readonly openNotionalE18: bigint }[]
  readonly ranges: readonly { readonly accountId: string; readonly marketId: string; readonly lowerTick: number; readonly upperTick: number; readonly liquidity: bigint; readonly baseDebtE18: bigint; readonly quoteDebtE18: bigint }[]
  readonly balances: readonly { readonly accountId: string; readonly assetId: string; readonly amount: bigint }[]
  readonly assets: readonly { readonly id: string; readonly decimals: number }[]
  readonly parameters: readonly { readonly name: string; readonly subject: string; readonly value: bigint }[]
}

export type Health = AccountHealth & {
  /** What the initial margin ratio takes off free collateral, E18, rounded down. */
  readonly initialMarginE18: bigint
}

/** What can be traded until the market's price has moved by a share of itself, without fees; E18, unsigned. */
export type MarketDepth = {
  /** Bought: base that comes out, quote that goes in. */
  readonly up: { readonly baseE18: bigint; readonly quoteE18: bigint }
  /** Sold: base that goes in, quote that comes out. */
  readonly down: { readonly baseE18: bigint; readonly quoteE18: bigint }
}

/** Margins and depth at one block. */
export type MarginBook = {
  /** Prices that are unknown or that the contracts do not answer, in words; empty where there are all. */
  readonly gaps: readonly string[]
  /** By market id, E18; a market without one is not in it. */
  readonly markPricesE18: ReadonlyMap<string, bigint>
  /** Of an account whose states were given; null where a figure of it is unknown, or has no answer. */
  health(account: string): Health | null
  /** moveE6: 1e6 = 100 %, above 0 and below 1e6. null where the market's liquidity is unknown. Throws BadInputError otherwise. */
  depth(market: string, moveE6: bigint): MarketDepth | null
  /** Of an account without positions and ranges: its collateral alone. */
  unexposed(account: IndexStates['accounts'][number], balances: IndexStates['balances']): Health | null
}

/** A protocol's margins, worked out from the index and the reducer's rows alone. Pure. */
export type Margins = {
  /** Kinds of rows whose keys begin with an account: those of the accounts given are enough. */
  readonly accountKinds: readonly string[]
  /** Kinds of rows that are a series in time of what their key names before its last colon; `field`: the time in their value, s. From `sinceSec` on, with the last one before it, is enough. */
  readonly series: { readonly kinds: readonly string[]; readonly field: string }
  /** `rows`: those that are in no series. */
  sinceSec(rows: readonly ReplayRow[], states: IndexStates, timestampSec: number): number
  book(input: { readonly deployment: Deployment; readonly rows: readonly ReplayRow[]; readonly states: IndexStates; /** Of the block, s. */ readonly timestampSec: number }): MarginBook
}

/** What risk models need to know of a protocol's own rules. Pure. */
export type RiskRules = {
  /** Id of the protocol's row in the index. */
  indexId(deployment: Deployment): string
  /** Quote per base, E18, that a pool's square root price stands for, rounded as the protocol rounds it. */
  readonly poolPriceE18: (sqrtPriceX96: bigint) => bigint
  /** How positions are liquidated at a penalty (fraction of notional). Shares are fractions, `wholeUpTo` is quote. */
  liquidationRules(penalty: number): {
    /** Below this multiple of the requirement an account is warned. */
    readonly warnAt: number
    /** Below this share of the requirement positions are taken whole; above it at most `partialShare` of gross at a time. */
    readonly fullBelow: number
    readonly partialShare: number
    readonly wholeUpTo: number
    /** A smaller share of gross cannot be taken while only a part may be; 0 where every one can. */
    readonly smallestShare: number
    readonly penalty: number
  }
  /** Names in the catalog of what models read. */
  readonly parameters: Readonly<Record<'initialMargin' | 'maintenanceMargin' | 'liquidationPenalty' | 'collateralRatio' | 'collateralDiscount' | 'tradingFee' | 'fundShareOfFees', string>>
}

/** What the rest of Bulwark takes from a protocol's folder. */
export type Protocol = {
  /** Name of the folder, and of the protocol in the index. */
  readonly name: string
  readonly title: string
  /** By network name. */
  readonly deployments: Readonly<Record<string, Deployment>>
  readonly catalog: ParameterCatalog
  /** Where the index's own states do not say all that the protocol's figures need. */
  readonly reducer?: Reducer
  readonly margins: Margins
  /** Where it is known what a fork of the chain shows: without it, storage and events of a simulation stay undecoded, and accounts are not read. */
  readonly onChain?: OnChain
  readonly risk: RiskRules
}

export class UnknownProtocolError extends BadInputError {
  constructor(facts: { found: string; allowed: readonly string[] }) {
    super(`Found protocol "${facts.found}", allowed are ${facts.allowed.join(', ')}; take one of these`, facts)
  }
}

export class UnknownParameterError extends BadInputError {
  constructor(facts: { found: string; allowed: readonly string[] }) {
    super(`Found parameter "${facts.found}", allowed are ${facts.allowed.join(', ')}; take one of these`, facts)
  }
}

export class UnknownSubjectError extends BadInputError {
  constructor(facts: { parameter: string; found: string; allowed: readonly string[] }) {
    super(`Found subject ${facts.found} for ${facts.parameter}, allowed are ${facts.allowed.join(', ')}; take one of these`, facts)
  }
}

export class OutOfBoundsError extends BadInputError {
  constructor(facts: { parameter: string; found: bigint; min: bigint; max: bigint }) {
    super(`Found ${facts.found} for ${facts.parameter}, allowed is ${facts.min} to ${facts.max} (raw units); choose a value in that range`, facts)
  }
}

export class NotSettableError extends BulwarkError {
  constructor(facts: { parameter: string; reason: string }) {
    super(`${facts.parameter} has no setter: ${facts.reason}; propose an upgrade instead`, { code: 'NOT_SETTABLE', facts })
  }
}

/** A contract answered what its getter cannot answer: it is not the contract that the deployment says, or the call reverted. */
export class UnreadableAnswerError extends BulwarkError {
  constructor(facts: { what: string; call: string; found: string }, cause?: unknown) {
    super(`Found "${facts.found.slice(0, 74)}" as the answer to ${facts.call} for ${facts.what}, allowed is its encoded result; check the network and the block`, {
      code: 'UNREADABLE_ANSWER',
      facts,
      cause,
    })
  }
}
