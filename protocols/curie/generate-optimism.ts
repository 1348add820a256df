/**
 * Writes optimism.json from the records in @perp/curie-deployments: `npx tsx protocols/curie/generate-optimism.ts`.
 * A test holds the committed file to what this gives.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { InvariantError } from '../../core/errors.ts'
import type { Address, CollateralDeployment, Deployment, MarketDeployment } from '../adapter.ts'

type Metadata = {
  readonly network: string
  readonly chainId: number
  readonly contracts: Readonly<Record<string, { readonly address: string; readonly createdBlockNumber: number }>>
  readonly externalContracts: Readonly<Record<string, string>>
  readonly collaterals: readonly { readonly symbol: string; readonly address: string; readonly decimals: number; readonly priceFeedAddress: string }[]
  readonly pools: readonly { readonly address: string; readonly baseAddress: string; readonly baseSymbol: string }[]
}

const METADATA = new URL('../../node_modules/@perp/curie-deployments/optimism/core/metadata.json', import.meta.url)
const TARGET = new URL('./optimism.json', import.meta.url)

/** The Optimism deployment as the package records it. */
export function optimismFromMetadata(): Deployment {
  const metadata = JSON.parse(readFileSync(METADATA, 'utf8')) as Metadata
  const recorded = (name: string): Address | null => {
    const address = metadata.contracts[name]?.address ?? metadata.externalContracts[name]
    return address === undefined ? null : (address.toLowerCase() as Address)
  }
  const required = (name: string): Address => {
    const address = recorded(name)
    if (address === null) throw new InvariantError(`Found no ${name} in the deployments package, allowed is a recorded address; check the package's version`)
    return address
  }

  const markets = metadata.pools.map((pool): MarketDeployment => {
    const ticker = pool.baseSymbol.slice(1)
    // Markets that were closed before the dispatchers came (vLUNA, vONE) ask their last feed directly: there the feed
    // stands in both places.
    const lastFeed = recorded(`${ticker}USDChainlinkPriceFeedV3`) ?? recorded(`${ticker}USDChainlinkPriceFeedV2`) ?? required(`${ticker}USDBandPriceFeed`)
    return {
      symbol: pool.baseSymbol,
      baseToken: pool.baseAddress.toLowerCase() as Address,
      pool: pool.address.toLowerCase() as Address,
      priceFeed: recorded(`${ticker}USDMarketPriceFeedDispatcher`) ?? lastFeed,
      chainlinkFeed: lastFeed,
      aggregator: null,
    }
  })
  const collaterals = metadata.collaterals.map(
    (collateral): CollateralDeployment => ({
      symbol: collateral.symbol,
      token: collateral.address.toLowerCase() as Address,
      decimals: collateral.decimals,
      priceFeed: collateral.priceFeedAddress.toLowerCase() as Address,
    }),
  )

  return {
    network: metadata.network,
    chainId: metadata.chainId,
    startBlock: Math.min(...Object.values(metadata.contracts).map((contract) => contract.createdBlockNumber)),
    contracts: {
      clearingHouse: required('ClearingHouse'),
      clearingHouseConfig: required('ClearingHouseConfig'),
      marketRegistry: required('MarketRegistry'),
      exchange: required('Exchange'),
      orderBook: required('OrderBook'),
      accountBalance: required('AccountBalance'),
      vault: required('Vault'),
      insuranceFund: required('InsuranceFund'),
      collateralManager: required('CollateralManager'),
      quoteToken: required('QuoteToken'),
      proxyAdmin: required('DefaultProxyAdmin'),
    },
    settlementToken: { address: required('USDC'), symbol: 'USDC', decimals: 6 },
    markets,
    collaterals,
    safe: null,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TARGET, `${JSON.stringify(optimismFromMetadata(), null, 2)}\n`)
}
