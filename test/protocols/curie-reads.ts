/**
 * What to ask a Curie deployment, and how to understand the answers: pure, no network. A shell sends `calls` as
 * eth_calls at one block (one JSON-RPC batch) and gives the answers back in the same order, null for a call that
 * reverted; a value that could not be had is null, never zero.
 *
 * @example
 * const prices = priceReads(deployment, { indexIntervalSec: 900 })
 * const answers = await callAll(prices.calls, blockNumber) // (Hex | null)[]
 * prices.decode(answers).markets.get(base)?.markPriceE18
 */
import { decodeFunctionResult, encodeFunctionData, type Abi } from 'viem'
import { UnreadableAnswerError, type Address, type Call, type Deployment, type Hex } from '../../protocols/adapter.ts'
import { accountBalanceAbi, baseTokenAbi, collateralManagerAbi, exchangeAbi, orderBookAbi, poolAbi, vaultAbi } from '../../protocols/curie/abi.ts'

/** Interval over which the vault averages collateral prices (Vault._COLLATERAL_TWAP_INTERVAL). */
const COLLATERAL_TWAP_INTERVAL_SEC = 900

/** Calls to send together, and what their answers mean. */
export type Reads<T> = {
  readonly calls: readonly Call[]
  /** Answers in the order of `calls`; null where a call reverted. Throws UnreadableAnswerError. */
  decode(answers: readonly (Hex | null)[]): T
}

type ReadsOf<T> = T extends Reads<infer V> ? V : never

function read<T>(to: Address, abi: Abi, name: string, args: readonly unknown[], pick: (answer: never) => T): Reads<T | null> {
  return {
    calls: [{ to, value: 0n, data: encodeFunctionData({ abi, functionName: name, args }) }],
    decode([data]) {
      if (data === null || data === undefined) return null
      try {
        return pick(decodeFunctionResult({ abi, functionName: name, data }) as never)
      } catch (cause) {
        throw new UnreadableAnswerError({ what: to, call: name, found: data }, cause)
      }
    },
  }
}

const lower = (address: Address): Address => address.toLowerCase() as Address
const asIs = (answer: bigint): bigint => answer
const flag = (answer: boolean): boolean => answer

/** Several reads as one, the answers under the same names. */
export function all<R extends Readonly<Record<string, Reads<unknown>>>>(reads: R): Reads<{ readonly [K in keyof R]: ReadsOf<R[K]> }> {
  const entries = Object.entries(reads)
  return {
    calls: entries.flatMap(([, part]) => part.calls),
    decode(answers) {
      let at = 0
      const decoded = entries.map(([name, part]) => [name, part.decode(answers.slice(at, (at += part.calls.length)))] as const)
      return Object.fromEntries(decoded) as { readonly [K in keyof R]: ReadsOf<R[K]> }
    },
  }
}

/** The same reads of several subjects, the answers by subject. */
export function each<S extends string, T>(subjects: readonly S[], readsOf: (subject: S) => Reads<T>): Reads<ReadonlyMap<S, T>> {
  const parts = subjects.map((subject) => [subject, readsOf(subject)] as const)
  return {
    calls: parts.flatMap(([, part]) => part.calls),
    decode(answers) {
      let at = 0
      return new Map(parts.map(([subject, part]) => [subject, part.decode(answers.slice(at, (at += part.calls.length)))]))
    },
  }
}

// ─── Markets and collaterals ───────────────────────────────────────────────────────────────────────────────────────

export type MarketState = 'OPEN' | 'PAUSED' | 'CLOSED'

/** A market's state; the three flags that tell it apart, since no one getter does. */
export function marketStatusReads(baseToken: Address): Reads<MarketState | null> {
  const flags = all({ isOpen: read(baseToken, baseTokenAbi, 'isOpen', [], flag), isPaused: read(baseToken, baseTokenAbi, 'isPaused', [], flag), isClosed: read(baseToken, baseTokenAbi, 'isClosed', [], flag) })
  return {
    calls: flags.calls,
    decode(answers) {
      const { isOpen, isPaused, isClosed } = flags.decode(answers)
      return isOpen === true ? 'OPEN' : isPaused === true ? 'PAUSED' : isClosed === true ? 'CLOSED' : null
    },
  }
}

/** Index price of a market, E18, averaged over an interval; 0 s gives the latest. Source: BaseToken.getIndexPrice. */
export function indexPriceReads(baseToken: Address, intervalSec: number): Reads<bigint | null> {
  return read(baseToken, baseTokenAbi, 'getIndexPrice', [BigInt(intervalSec)], asIs)
}

export type MarketPrices = {
  /** What positions are valued at, E18; null where the contract has none (too few observations, a dead feed). */
  readonly markPriceE18: bigint | null
  /** Index price averaged over the interval asked for, E18. */
  readonly indexTwapE18: bigint | null
  /** Latest index price, E18. */
  readonly indexPriceE18: bigint | null
  /** The pool's spot price. */
  readonly sqrtPriceX96: bigint | null
  readonly tick: number | null
  readonly state: MarketState | null
  /** What a closed market settles at, E18; null until it is. */
  readonly closedPriceE18: bigint | null
}

/**
 * Prices of one market. `markPriceE18` is AccountBalance.getMarkPrice; of a closed market, whose positions stand at the
 * closed price, it is that price.
 */
function marketPriceReads(deployment: Deployment, baseToken: Address, options: { readonly indexIntervalSec: number }): Reads<MarketPrices> {
  const pool = deployment.markets.find((market) => lower(market.baseToken) === lower(baseToken))?.pool ?? baseToken
  const parts = all({
    mark: read(deployment.contracts.accountBalance, accountBalanceAbi, 'getMarkPrice', [baseToken], asIs),
    indexTwap: indexPriceReads(baseToken, options.indexIntervalSec),
    index: indexPriceReads(baseToken, 0),
    slot0: read(pool, poolAbi, 'slot0', [], (answer: readonly [bigint, number]) => ({ sqrtPriceX96: answer[0], tick: answer[1] })),
    state: marketStatusReads(baseToken),
    closed: read(baseToken, baseTokenAbi, 'getClosedPrice', [], asIs),
  })
  return {
    calls: parts.calls,
    decode(answers) {
      const { mark, indexTwap, index, slot0, state, closed } = parts.decode(answers)
      return {
        markPriceE18: state === 'CLOSED' ? closed : mark,
        indexTwapE18: indexTwap,
        indexPriceE18: index,
        sqrtPriceX96: slot0?.sqrtPriceX96 ?? null,
        tick: slot0?.tick ?? null,
        state,
        closedPriceE18: closed,
      }
    },
  }
}

export type CollateralPrice = {
  /** Average over 900 s as the vault values it, E18. */
  readonly priceE18: bigint
  /** The same in the feed's own decimals. */
  readonly price: bigint
  readonly feedDecimals: number
}

/** Price that the vault values a collateral at. Source: CollateralManager.getPrice. */
export function collateralPriceReads(deployment: Deployment, token: Address): Reads<CollateralPrice | null> {
  const manager = deployment.contracts.collateralManager
  const parts = all({
    price: read(manager, collateralManagerAbi, 'getPrice', [token, BigInt(COLLATERAL_TWAP_INTERVAL_SEC)], asIs),
    feedDecimals: read(manager, collateralManagerAbi, 'getPriceFeedDecimals', [token], (answer: number) => answer),
  })
  return {
    calls: parts.calls,
    decode(answers) {
      const { price, feedDecimals } = parts.decode(answers)
      if (price === null || feedDecimals === null) return null
      return { price, feedDecimals, priceE18: feedDecimals <= 18 ? price * 10n ** BigInt(18 - feedDecimals) : price / 10n ** BigInt(feedDecimals - 18) }
    },
  }
}

/** Every price that margin needs, of all markets and collaterals of a deployment, by lowercase address. */
export function priceReads(
  deployment: Deployment,
  options: { readonly indexIntervalSec: number },
): Reads<{ readonly markets: ReadonlyMap<Address, MarketPrices>; readonly collaterals: ReadonlyMap<Address, CollateralPrice | null> }> {
  return all({
    markets: each(deployment.markets.map((market) => lower(market.baseToken)), (baseToken) => marketPriceReads(deployment, baseToken, options)),
    collaterals: each(deployment.collaterals.map((collateral) => lower(collateral.token)), (token) => collateralPriceReads(deployment, token)),
  })
}

// ─── Accounts ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the contracts themselves say of an account, to compare with `accountHealth`. Amounts without a suffix are in settlement decimals. */
export type AccountAnswers = {
  readonly accountValue: bigint | null
  readonly settlementTokenValue: bigint | null
  /** At the initial margin ratio, never below 0. */
  readonly freeCollateral: bigint | null
  readonly freeCollateralIm: bigint | null
  readonly freeCollateralMm: bigint | null
  readonly marginRequirementE18: bigint | null
  readonly collateralMarginRequirementE18: bigint | null
  readonly totalAbsPositionValueE18: bigint | null
  readonly totalDebtValueE18: bigint | null
  /** All markets; + is owed by the account. */
  readonly pendingFundingE18: bigint | null
  readonly owedRealizedPnlE18: bigint | null
  readonly unrealizedPnlE18: bigint | null
  readonly pendingFeeE18: bigint | null
  readonly collateralLiquidatable: boolean | null
}

/** Getters of one account: 12 calls. */
export function accountReads(deployment: Deployment, account: Address, ratios: { readonly imRatioE6: bigint; readonly mmRatioE6: bigint }): Reads<AccountAnswers> {
  const { vault, accountBalance, exchange } = deployment.contracts
  const ofVault = (name: string, ...more: readonly unknown[]): Reads<bigint | null> => read(vault, vaultAbi, name, [account, ...more], asIs)
  const ofBalance = (name: string): Reads<bigint | null> => read(accountBalance, accountBalanceAbi, name, [account], asIs)
  const parts = all({
    accountValue: ofVault('getAccountValue'),
    settlementTokenValue: ofVault('getSettlementTokenValue'),
    freeCollateral: ofVault('getFreeCollateral'),
    freeCollateralIm: ofVault('getFreeCollateralByRatio', Number(ratios.imRatioE6)),
    freeCollateralMm: ofVault('getFreeCollateralByRatio', Number(ratios.mmRatioE6)),
    marginRequirementE18: ofBalance('getMarginRequirementForLiquidation'),
    collateralMarginRequirementE18: ofVault('getMarginRequirementForCollateralLiquidation'),
    totalAbsPositionValueE18: ofBalance('getTotalAbsPositionValue'),
    totalDebtValueE18: ofBalance('getTotalDebtValue'),
    pendingFundingE18: read(exchange, exchangeAbi, 'getAllPendingFundingPayment', [account], asIs),
    pnl: read(accountBalance, accountBalanceAbi, 'getPnlAndPendingFee', [account], (answer: readonly [bigint, bigint, bigint]) => answer),
    collateralLiquidatable: read(vault, vaultAbi, 'isLiquidatable', [account], flag),
  })
  return {
    calls: parts.calls,
    decode(answers) {
      const { pnl, ...rest } = parts.decode(answers)
      return { ...rest, owedRealizedPnlE18: pnl?.[0] ?? null, unrealizedPnlE18: pnl?.[1] ?? null, pendingFeeE18: pnl?.[2] ?? null }
    },
  }
}

/** What a liquidator may take of a position if the account's value were `accountValueE18`; null where the contract reverts. */
export function liquidatableSizeReads(deployment: Deployment, account: Address, baseToken: Address, accountValueE18: bigint): Reads<bigint | null> {
  return read(deployment.contracts.accountBalance, accountBalanceAbi, 'getLiquidatablePositionSize', [account, baseToken, accountValueE18], asIs)
}

/** Markets, taker balances, ranges and collaterals of an account are asked in steps, because one answer says what to ask next. */
export const holdings = {
  markets: (deployment: Deployment, account: Address): Reads<readonly Address[] | null> =>
    read(deployment.contracts.accountBalance, accountBalanceAbi, 'getBaseTokens', [account], (answer: readonly Address[]) => answer.map(lower)),
  taker: (deployment: Deployment, account: Address, baseToken: Address): Reads<{ readonly sizeE18: bigint; readonly openNotionalE18: bigint } | null> =>
    read(deployment.contracts.accountBalance, accountBalanceAbi, 'getAccountInfo', [account, baseToken], (answer: { takerPositionSize: bigint; takerOpenNotional: bigint }) => ({
      sizeE18: answer.takerPositionSize,
      openNotionalE18: answer.takerOpenNotional,
    })),
  rangeIds: (deployment: Deployment, account: Address, baseToken: Address): Reads<readonly Hex[] | null> =>
    read(deployment.contracts.orderBook, orderBookAbi, 'getOpenOrderIds', [account, baseToken], (answer: readonly Hex[]) => answer),
  range: (deployment: Deployment, id: Hex): Reads<{ readonly lowerTick: number; readonly upperTick: number; readonly liquidity: bigint; readonly baseDebtE18: bigint; readonly quoteDebtE18: bigint } | null> =>
    read(deployment.contracts.orderBook, orderBookAbi, 'getOpenOrderById', [id], (answer: { lowerTick: number; upperTick: number; liquidity: bigint; baseDebt: bigint; quoteDebt: bigint }) => ({
      lowerTick: answer.lowerTick,
      upperTick: answer.upperTick,
      liquidity: answer.liquidity,
      baseDebtE18: answer.baseDebt,
      quoteDebtE18: answer.quoteDebt,
    })),
  /** Balance of any token in the vault, token decimals; of the settlement token it may be negative. */
  balance: (deployment: Deployment, account: Address, token: Address): Reads<bigint | null> => read(deployment.contracts.vault, vaultAbi, 'getBalanceByToken', [account, token], asIs),
}
