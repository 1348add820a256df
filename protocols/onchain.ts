/**
 * What a protocol's folder says for reading a fork of the chain: which variable a storage slot holds, what its contracts
 * emit, and how accounts stand by the contracts' own getters.
 */
import type { Abi } from 'viem'
import type { Address, Call, Deployment, Health, Hex } from './adapter.ts'

/** What the key of a mapping may be. */
export type StorageKey = 'MARKET' | 'COLLATERAL' | 'ACCOUNT' | 'BYTES32'

/** One variable inside a 32-byte word; `offset` counts bytes from the right, as Solidity packs them. */
export type StorageVariable = {
  readonly label: string
  readonly kind: 'uint' | 'int' | 'bool' | 'address' | 'bytes'
  readonly bytes: number
  readonly offset: number
  /** Name in the catalog where it is a parameter's own. */
  readonly parameter: string | null
}

/** Consecutive words from a slot on; with keys, from keccak256(key ‖ slot) on, once per key from left to right. */
export type StorageEntry = { readonly slot: bigint; readonly keys: readonly StorageKey[]; readonly words: readonly (readonly StorageVariable[])[] }

/** A contract as far as its storage and its events are known. */
export type ContractView = { readonly name: string; readonly address: Address; readonly storage: readonly StorageEntry[]; readonly events: Abi }

/** One account's margin, by the contracts' getters or worked out from the index, in the same words. E18 quote unless said otherwise. */
export type Standing = {
  readonly account: Address
  /** As liquidation compares it. */
  readonly valueE18: bigint
  /** Below it, positions may be liquidated. */
  readonly requirementE18: bigint
  /** Σ |size · price|. */
  readonly grossE18: bigint
  /** Settlement token value with unrealised profit; negative is a debt. */
  readonly settlementValueE18: bigint
  /** Other collaterals after their haircut. */
  readonly collateralValueE18: bigint
  /** Below it, collateral may be liquidated. */
  readonly collateralRequirementE18: bigint
  /** A debt above this share of `collateralValueE18`, 1e6 = 100 %, or above this amount, lets collateral be liquidated as well. */
  readonly debtRatioE6: bigint
  readonly debtLimitE18: bigint
  /** Share of the liquidated notional that the account pays, 1e6 = 100 %. */
  readonly penaltyE6: bigint
  readonly holdsCollateral: boolean
  /** Liquidity in an open market: it has to be cancelled before a position can be liquidated. */
  readonly hasRanges: boolean
  readonly belowMaintenance: boolean
  /** A position may be liquidated now. */
  readonly liquidatable: boolean
  readonly collateralLiquidatable: boolean
  readonly positions: readonly StandingPosition[]
  /** What one liquidation of each collateral may take now, by the contracts; empty where none may, null where they were not asked. */
  readonly seizable: readonly Seizable[] | null
}

/** `repaid` in settlement decimals, what a liquidator pays; `amount` in the collateral's, what it gets. */
export type Seizable = { readonly token: Address; readonly repaid: bigint; readonly amount: bigint }

export type StandingPosition = {
  readonly market: Address
  /** Signed, base. */
  readonly sizeE18: bigint
  /** Signed, size · price. */
  readonly valueE18: bigint
  readonly open: boolean
  /** What a liquidator may take, signed as the position; 0 where nothing, null where the contract reverts. */
  readonly liquidatableE18: bigint | null
}

/** An account that a getter refuses to answer for. */
export type Unreadable = { readonly account: Address; readonly reason: string }

/** Answers in the order of the calls; null where one reverts. */
export type ReadMany = (calls: readonly Call[]) => Promise<readonly (Hex | null)[]>

/** What the index says of an account beside its margin. */
export type IndexedFacts = {
  readonly account: Address
  readonly hasRanges: boolean
  readonly holdsCollateral: boolean
  isOpen(market: Address): boolean
  /** Raw value of a parameter of the protocol, or of this account. */
  valueOf(parameter: string): bigint | null
}

/** What stands behind the accounts. */
export type Backing = { /** What the insurance fund can pay, E18, signed; null where the getter reverts. */ readonly fundE18: bigint | null }

export type OnChain = {
  /** Contracts of the protocol, whose storage and events are known. */
  views(deployment: Deployment): readonly ContractView[]
  /** Largest number of calls that one account takes, for sizing batches. */
  callsPerAccount(deployment: Deployment): number
  /** How accounts stand by the contracts' getters, in the order given. */
  standings(deployment: Deployment, accounts: readonly Address[], read: ReadMany): Promise<readonly (Standing | Unreadable)[]>
  backing(deployment: Deployment, read: ReadMany): Promise<Backing>
  /** The same out of a margin that was worked out from the index; null where a parameter that it takes is not indexed. */
  standingOf(health: Health, deployment: Deployment, facts: IndexedFacts): Standing | null
  /**
   * The standing were every index price, and the price that positions are valued at with it, to move by `moveE6` (1e6 =
   * 100 %, above −1e6), all else equal: ranges keep what they hold, funding stands still. `liquidatableE18` is not worked out.
   */
  moved(standing: Standing, moveE6: bigint): Standing
  readonly invariants: readonly Invariant[]
  readonly tradeBreakers: readonly TradeBreaker[]
  /** Parameters whose change may change a margin, and whether margins worked out from the index follow it. */
  readonly marginParameters: Readonly<Record<string, 'FOLLOWED' | 'NOT_FOLLOWED'>>
}

/** What must hold between parameters; a batch may break it for as long as the calls between two of its steps take. */
export type Invariant = {
  readonly name: string
  /** Whose values it ties together: one subject of this scope at a time, with those of the whole protocol. */
  readonly scope: 'PROTOCOL' | 'MARKET' | 'COLLATERAL'
  readonly parameters: readonly string[]
  /** null: a value that it takes is unknown. `text` says the numbers. */
  check(valueOf: (parameter: string) => bigint | null): { readonly holds: boolean; readonly text: string } | null
}

/** A swap as the index has it. `indexE18`: the index price that stood then; null where none is known. */
export type Swap = { readonly timestampSec: number; readonly sqrtBeforeX96: bigint | null; readonly sqrtAfterX96: bigint; readonly indexE18: bigint | null }

/** A parameter of a market that stops trades by itself. */
export type TradeBreaker = {
  readonly parameter: string
  /** Which of a market's swaps, in the order of the chain, a value refuses; null where a price is unknown. */
  refused(swaps: readonly Swap[], value: bigint): readonly (boolean | null)[]
  /** How far a swap ends, 1 at the limit; null where a price is unknown. Left out where the limit has no such distance. */
  distance?(swap: Swap, value: bigint): number | null
  /** What the answer leaves out. */
  readonly note: string
}

export const isUnreadable = (standing: Standing | Unreadable): standing is Unreadable => 'reason' in standing
