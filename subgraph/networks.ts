import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { deployments } from '../protocols/curie/deployments.ts'
import type { Deployment } from '../protocols/curie/deployments.ts'

/** A contract of a network: where it is and the first block to index it from. */
export type NetworkContract = { readonly address: string; readonly startBlock: number }

/** Contracts by name, by network: the content of networks.json. */
export type Networks = Readonly<Record<string, Readonly<Record<string, NetworkContract>>>>

export function readNetworks(): Networks {
  return JSON.parse(readFileSync(new URL('./networks.json', import.meta.url), 'utf8')) as Networks
}

/** Every contract of a deployment that the index follows, by the name that networks.json gives it. */
export function contractsOf(deployment: Deployment): Readonly<Record<string, string>> {
  const { contracts, settlementToken, markets, collaterals } = deployment
  return {
    ClearingHouse: contracts.clearingHouse,
    AccountBalance: contracts.accountBalance,
    Vault: contracts.vault,
    InsuranceFund: contracts.insuranceFund,
    SettlementToken: settlementToken.address,
    Exchange: contracts.exchange,
    OrderBook: contracts.orderBook,
    MarketRegistry: contracts.marketRegistry,
    ClearingHouseConfig: contracts.clearingHouseConfig,
    CollateralManager: contracts.collateralManager,
    QuoteToken: contracts.quoteToken,
    ProxyAdmin: contracts.proxyAdmin,
    ...Object.fromEntries(markets.flatMap((market) => [
      [market.symbol, market.baseToken],
      [`${market.symbol}/PriceFeedDispatcher`, market.priceFeed],
      [`${market.symbol}/ChainlinkPriceFeedV3`, market.chainlinkFeed],
    ])),
    ...Object.fromEntries(collaterals.flatMap((collateral) => [
      [collateral.symbol, collateral.token],
      [`${collateral.symbol}/PriceFeed`, collateral.priceFeed],
    ])),
  }
}

/** networks.json for these deployments. createdAt: block of creation by lower-case address, where it is on record. */
export function networksOf(all: readonly Deployment[], createdAt: ReadonlyMap<string, number>): Networks {
  return Object.fromEntries(all.map((deployment) => [
    deployment.network,
    Object.fromEntries(Object.entries(contractsOf(deployment)).map(([name, address]) => {
      const id = address.toLowerCase()
      // A block number tells of one chain alone.
      const created = deployment.network === 'optimism' ? createdAt.get(id) : undefined
      return [name, { address: id, startBlock: created ?? deployment.startBlock }]
    })),
  ]))
}

/** Blocks in which the contracts of Optimism were created, from the deployments package. */
export function optimismCreationBlocks(): ReadonlyMap<string, number> {
  const file = createRequire(import.meta.url).resolve('@perp/curie-deployments/optimism/core/metadata.json')
  const metadata = JSON.parse(readFileSync(file, 'utf8')) as { contracts: Record<string, { address: string; createdBlockNumber: number }> }
  return new Map(Object.values(metadata.contracts).map((contract) => [contract.address.toLowerCase(), contract.createdBlockNumber]))
}

/** Writes networks.json anew from the deployments: `npx tsx subgraph/networks.ts`. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const networks = networksOf(Object.values(deployments), optimismCreationBlocks())
  writeFileSync(new URL('./networks.json', import.meta.url), `${JSON.stringify(networks, null, 2)}\n`)
}
