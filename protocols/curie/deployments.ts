import { readFileSync } from 'node:fs'

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
}

/** The devnet's addresses: the same seed and deployer give the same ones, and `devnet/` refuses to start on any other. */
export const devnet: Deployment = JSON.parse(readFileSync(new URL('./devnet.json', import.meta.url), 'utf8')) as Deployment
