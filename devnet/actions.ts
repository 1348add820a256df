import { encodeFunctionData, type Hex, maxUint256, zeroHash } from 'viem'
import type { Address, Deployment } from '../protocols/curie/deployments.ts'
import { curie, weth } from './artifacts.ts'
import type { Draft } from './chain.ts'
import type { DevnetAccount } from './keys.ts'

/** Enough for the dearest call of the protocol; gas is free here. */
const GAS = 4_000_000n

const clearingHouseAbi = curie('ClearingHouse').abi
const vaultAbi = curie('Vault').abi
const insuranceFundAbi = curie('InsuranceFund').abi

/** An order to the pool. `limit` stops the fill at a price (√price · 2^96), 0 is no limit. */
export type Order = { readonly base: Address; readonly side: 'long' | 'short'; readonly amountE18: bigint; readonly unit: 'base' | 'quote'; readonly limitX96?: bigint }

/** The transactions that people send to the protocol. */
export function actionsOf(deployment: Deployment) {
  const { clearingHouse, vault, insuranceFund } = deployment.contracts
  const usdc = deployment.settlementToken.address
  const toHouse = (from: DevnetAccount, functionName: string, args: readonly unknown[]): Draft => ({ from, to: clearingHouse, data: encodeFunctionData({ abi: clearingHouseAbi, functionName, args }), gas: GAS })
  const toVault = (from: DevnetAccount, functionName: string, args: readonly unknown[], value = 0n): Draft => ({ from, to: vault, data: encodeFunctionData({ abi: vaultAbi, functionName, args }), value, gas: GAS })
  const toFund = (from: DevnetAccount, functionName: string): Draft => ({ from, to: insuranceFund, data: encodeFunctionData({ abi: insuranceFundAbi, functionName }), gas: GAS })

  return {
    deposit: (from: DevnetAccount, amountE6: bigint): Draft => toVault(from, 'deposit', [usdc, amountE6]),
    depositEther: (from: DevnetAccount, amountE18: bigint): Draft => toVault(from, 'depositEther', [], amountE18),
    withdraw: (from: DevnetAccount, token: Address, amount: bigint): Draft => toVault(from, 'withdraw', [token, amount]),

    trade: (from: DevnetAccount, order: Order): Draft => {
      const isBaseToQuote = order.side === 'short'
      // Selling base or paying quote is the exact input; the other unit is the exact output.
      const isExactInput = isBaseToQuote === (order.unit === 'base')
      return toHouse(from, 'openPosition', [
        { baseToken: order.base, isBaseToQuote, isExactInput, amount: order.amountE18, oppositeAmountBound: 0n, deadline: maxUint256, sqrtPriceLimitX96: order.limitX96 ?? 0n, referralCode: zeroHash },
      ])
    },
    close: (from: DevnetAccount, base: Address): Draft =>
      toHouse(from, 'closePosition', [{ baseToken: base, sqrtPriceLimitX96: 0n, oppositeAmountBound: 0n, deadline: maxUint256, referralCode: zeroHash }]),
    addLiquidity: (from: DevnetAccount, range: { base: Address; baseE18: bigint; quoteE18: bigint; lowerTick: number; upperTick: number }): Draft =>
      toHouse(from, 'addLiquidity', [
        { baseToken: range.base, base: range.baseE18, quote: range.quoteE18, lowerTick: range.lowerTick, upperTick: range.upperTick, minBase: 0n, minQuote: 0n, useTakerBalance: false, deadline: maxUint256 },
      ]),
    /** With a liquidity of 0 it only collects fees. */
    removeLiquidity: (from: DevnetAccount, range: { base: Address; lowerTick: number; upperTick: number; liquidity: bigint }): Draft =>
      toHouse(from, 'removeLiquidity', [{ baseToken: range.base, lowerTick: range.lowerTick, upperTick: range.upperTick, liquidity: range.liquidity, minBase: 0n, minQuote: 0n, deadline: maxUint256 }]),
    settleFunding: (from: DevnetAccount): Draft => toHouse(from, 'settleAllFunding', [from.address]),

    /** Takes over as much of the position as the protocol allows. */
    liquidate: (from: DevnetAccount, trader: Address, base: Address): Draft => ({ ...toHouse(from, 'liquidate', [trader, base]), affects: trader }),
    cancelOrders: (from: DevnetAccount, maker: Address, base: Address): Draft => ({ ...toHouse(from, 'cancelAllExcessOrders', [maker, base]), affects: maker }),
    liquidateCollateral: (from: DevnetAccount, trader: Address, token: Address, collateral: bigint): Draft => ({ ...toVault(from, 'liquidateCollateral', [trader, token, collateral, false]), affects: trader }),
    settleBadDebt: (from: DevnetAccount, trader: Address): Draft => ({ ...toVault(from, 'settleBadDebt', [trader]), affects: trader }),

    payInsuranceFund: (from: DevnetAccount, amountE6: bigint): Draft => ({ from, to: usdc, data: encodeFunctionData({ abi: weth().abi, functionName: 'transfer', args: [insuranceFund, amountE6] }), gas: GAS }),
    repayInsuranceFund: (from: DevnetAccount): Draft => toFund(from, 'repay'),
    distributeFee: (from: DevnetAccount): Draft => toFund(from, 'distributeFee'),
  }
}

export type Actions = ReturnType<typeof actionsOf>

/** A call that the Safe makes to one of the protocol's contracts. */
export const governanceCall = (contract: string, to: Address, functionName: string, args: readonly unknown[]): { to: Address; data: Hex } => ({
  to,
  data: encodeFunctionData({ abi: curie(contract).abi, functionName, args }),
})
