import { decodeFunctionResult, encodeFunctionData, type Hex } from 'viem'
import type { Address, Deployment } from '../protocols/curie/deployments.ts'
import { curie, type OwnArtifacts } from './artifacts.ts'
import type { RpcClient } from './rpc.ts'

/** Where the lens's code stands for the time of a call. */
const LENS_ADDRESS = '0x000000000000000000000000000000000000b0b0'
const CALL_GAS = '0x11e1a300'

/** A market as a trader sees it; prices in USD as floats, good enough for decisions. */
export type MarketView = { readonly poolPriceUsd: number; readonly sqrtPriceX96: bigint; readonly tick: number; readonly markUsd: number }

/** An account's health; USD floats except what is sent back to the chain. */
export type AccountView = {
  readonly address: Address
  readonly valueUsd: number
  readonly requirementUsd: number
  /** By the initial margin ratio; negative when nothing may be opened. */
  readonly freeUsd: number
  readonly settlementUsd: number
  readonly collateralE18: bigint
  readonly withdrawableE6: bigint
  readonly withdrawableCollateralE18: bigint
  readonly collateralLiquidatable: boolean
  readonly hasOrder: boolean
  /** Taker position of each market, in base tokens; negative is short. */
  readonly sizes: readonly number[]
  readonly sizesE18: readonly bigint[]
}

/** What is known of the chain at one moment. */
export type Sight = { readonly markets: readonly MarketView[]; readonly accounts: readonly AccountView[] }

type RawAccount = {
  accountValue: bigint; requirement: bigint; freeCollateral: bigint; settlementValue: bigint; collateral: bigint; withdrawableSettlement: bigint; withdrawableCollateral: bigint
  collateralLiquidatable: boolean; hasOrder: boolean; sizes: readonly bigint[]
}

export type Lens = ReturnType<typeof lensOf>

/** Reads for the market's scripts: all markets and any number of accounts in one round trip. */
export function lensOf(rpc: RpcClient, deployment: Deployment, own: OwnArtifacts) {
  const bases = deployment.markets.map((m) => m.baseToken)
  const pools = deployment.markets.map((m) => m.pool)
  const { clearingHouse, accountBalance, vault, orderBook } = deployment.contracts
  const abi = own.Lens.abi
  const override = { [LENS_ADDRESS]: { code: own.Lens.runtime } }
  const marketData = encodeFunctionData({ abi, functionName: 'markets', args: [accountBalance, bases, pools] })
  const call = (to: Address, data: Hex) => ({ to, data, gas: CALL_GAS })

  const decodeMarkets = (data: Hex): MarketView[] => {
    const [marks, sqrtPrices, ticks] = decodeFunctionResult({ abi, functionName: 'markets', data }) as [readonly bigint[], readonly bigint[], readonly number[]]
    return bases.map((_, i) => {
      const sqrtPriceX96 = sqrtPrices[i] ?? 0n
      return { sqrtPriceX96, poolPriceUsd: (Number(sqrtPriceX96) / 2 ** 96) ** 2, tick: ticks[i] ?? 0, markUsd: Number(marks[i] ?? 0n) / 1e18 }
    })
  }
  const decodeAccounts = (data: Hex, traders: readonly Address[]): AccountView[] => {
    const accounts = decodeFunctionResult({ abi, functionName: 'accounts', data }) as readonly RawAccount[]
    return accounts.map((a, i) => ({
      address: traders[i] as Address,
      valueUsd: Number(a.accountValue) / 1e18,
      requirementUsd: Number(a.requirement) / 1e18,
      freeUsd: Number(a.freeCollateral) / 1e6,
      settlementUsd: Number(a.settlementValue) / 1e6,
      collateralE18: a.collateral,
      withdrawableE6: a.withdrawableSettlement,
      withdrawableCollateralE18: a.withdrawableCollateral,
      collateralLiquidatable: a.collateralLiquidatable,
      hasOrder: a.hasOrder,
      sizes: a.sizes.map((s) => Number(s) / 1e18),
      sizesE18: a.sizes,
    }))
  }

  return {
    /** Markets and accounts as of the latest block. */
    async read(traders: readonly Address[]): Promise<{ markets: MarketView[]; accounts: AccountView[] }> {
      const accountData = encodeFunctionData({ abi, functionName: 'accounts', args: [clearingHouse, accountBalance, vault, deployment.settlementToken.address, deployment.collaterals[0]?.token, bases, traders] })
      const [markets, accounts] = (await rpc.batch([
        ['eth_call', [call(LENS_ADDRESS, marketData), 'latest', override]],
        ['eth_call', [call(LENS_ADDRESS, accountData), 'latest', override]],
      ])) as [Hex, Hex]
      return { markets: decodeMarkets(markets), accounts: decodeAccounts(accounts, traders) }
    },

    /** Liquidity of one maker's range. */
    async rangeLiquidity(maker: Address, base: Address, lowerTick: number, upperTick: number): Promise<bigint> {
      const orderBookAbi = curie('OrderBook').abi
      const data = await rpc.call<Hex>('eth_call', [call(orderBook, encodeFunctionData({ abi: orderBookAbi, functionName: 'getOpenOrder', args: [maker, base, lowerTick, upperTick] })), 'latest'])
      return (decodeFunctionResult({ abi: orderBookAbi, functionName: 'getOpenOrder', data }) as { liquidity: bigint }).liquidity
    },

    /** How much of an account's collateral a liquidator may take now. */
    async liquidatableCollateral(trader: Address, token: Address): Promise<bigint> {
      const vaultAbi = curie('Vault').abi
      const functionName = 'getMaxRepaidSettlementAndLiquidatableCollateral'
      const data = await rpc.call<Hex>('eth_call', [call(vault, encodeFunctionData({ abi: vaultAbi, functionName, args: [trader, token] })), 'latest'])
      return (decodeFunctionResult({ abi: vaultAbi, functionName, data }) as readonly [bigint, bigint])[1]
    },

    /** What the insurance fund holds in the vault, USDC with 6 decimals; negative after bad debt. */
    async fundSettlementE6(): Promise<bigint> {
      const vaultAbi = curie('Vault').abi
      const functionName = 'getSettlementTokenValue'
      const data = await rpc.call<Hex>('eth_call', [call(vault, encodeFunctionData({ abi: vaultAbi, functionName, args: [deployment.contracts.insuranceFund] })), 'latest'])
      return decodeFunctionResult({ abi: vaultAbi, functionName, data }) as bigint
    },
  }
}

/** An account this close to liquidation is read again instead of estimated. */
const DANGER = 1.12

/**
 * Keeps sight of many accounts without reading all of them in every block: an account that sent nothing changes only
 * with prices, which is worked out here; those that acted or are in danger are read again, and the rest by turns.
 */
export class Watch {
  readonly #lens: Lens
  readonly #addresses: readonly Address[]
  readonly #known = new Map<Address, { view: AccountView; markets: readonly MarketView[] }>()
  #markets: readonly MarketView[] = []
  #turn = 0

  constructor(lens: Lens, addresses: readonly Address[]) {
    this.#lens = lens
    this.#addresses = addresses
  }

  get sight(): Sight {
    return { markets: this.#markets, accounts: this.#addresses.flatMap((address) => this.#estimate(address)) }
  }

  /** Reads every account. */
  async start(): Promise<void> {
    await this.#read(this.#addresses)
  }

  /** Takes notice of a block in which these accounts acted. */
  async update(touched: Iterable<Address>): Promise<Sight> {
    const stale = new Set([...touched].filter((a) => this.#known.has(a)))
    stale.add(this.#addresses[this.#turn++ % this.#addresses.length] as Address)
    await this.#read([...stale])
    const endangered = this.sight.accounts.filter((a) => !stale.has(a.address) && isEndangered(a, this.#markets)).map((a) => a.address)
    if (endangered.length > 0) await this.#read(endangered)
    return this.sight
  }

  async #read(addresses: readonly Address[]): Promise<void> {
    const { markets, accounts } = await this.#lens.read(addresses)
    this.#markets = markets
    for (const view of accounts) this.#known.set(view.address, { view, markets })
  }

  #estimate(address: Address): AccountView[] {
    const known = this.#known.get(address)
    if (known === undefined) return []
    const { view, markets } = known
    const move = view.sizes.map((size, i) => size * ((this.#markets[i]?.markUsd ?? 0) - (markets[i]?.markUsd ?? 0)))
    const gain = move.reduce((a, b) => a + b, 0)
    const grown = view.sizes.reduce((total, size, i) => total + Math.abs(size) * (this.#markets[i]?.markUsd ?? 0), 0)
    const was = view.sizes.reduce((total, size, i) => total + Math.abs(size) * (markets[i]?.markUsd ?? 0), 0)
    // The collateral is ether, the first market's underlying.
    const collateralGain = (Number(view.collateralE18) / 1e18) * 0.85 * ((this.#markets[0]?.poolPriceUsd ?? 0) - (markets[0]?.poolPriceUsd ?? 0))
    return [
      {
        ...view,
        valueUsd: view.valueUsd + gain + collateralGain,
        settlementUsd: view.settlementUsd + gain,
        requirementUsd: was === 0 ? view.requirementUsd : (view.requirementUsd * grown) / was,
        freeUsd: view.freeUsd + Math.min(0, gain + collateralGain),
      },
    ]
  }
}

function isEndangered(account: AccountView, markets: readonly MarketView[]): boolean {
  if (account.hasOrder) return account.valueUsd < 2 * account.requirementUsd
  if (account.valueUsd < DANGER * account.requirementUsd) return true
  if (account.collateralE18 === 0n) return false
  const collateralUsd = (Number(account.collateralE18) / 1e18) * (markets[0]?.poolPriceUsd ?? 0)
  return account.settlementUsd < -0.5 * collateralUsd || account.settlementUsd < -9_000
}
