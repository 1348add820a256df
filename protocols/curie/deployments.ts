import { readFileSync } from 'node:fs'
import { BadInputError } from '../../core/errors.ts'

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

/** A recorded deployment, its addresses in lowercase: they are compared and joined as text. */
function load(file: string): Deployment {
  const lowercase = (_key: string, value: unknown): unknown => (typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value) ? value.toLowerCase() : value)
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'), lowercase) as Deployment
}

/** The devnet's addresses: the same seed and deployer give the same ones, and `devnet/` refuses to start on any other. */
export const devnet: Deployment = load('./devnet.json')

/**
 * Optimism mainnet as recorded on 2023-04-12 (contracts v2.6.0), written by generate-optimism.ts.
 * The package records no owner (`safe: null`) and no aggregators. vLUNA and vONE closed before dispatchers existed:
 * `priceFeed` and `chainlinkFeed` are both the feed that they ask directly, which emits no price events.
 */
export const optimism: Deployment = load('./optimism.json')

/** Deployments by network name. */
export const deployments: Readonly<Record<string, Deployment>> = { devnet, optimism }

/** The deployment on a network. Throws UnknownNetworkError. */
export function deploymentOf(network: string): Deployment {
  const deployment = Object.hasOwn(deployments, network) ? deployments[network] : undefined
  if (deployment === undefined) throw new UnknownNetworkError({ found: network, allowed: Object.keys(deployments) })
  return deployment
}

export class UnknownNetworkError extends BadInputError {
  constructor(facts: { found: string; allowed: readonly string[] }) {
    super(`Found network "${facts.found}", allowed are ${facts.allowed.join(', ')}; take one of these`, facts)
  }
}
