import { readFileSync } from 'node:fs'
import { BadInputError } from '../../core/errors.ts'
import type { Deployment } from '../adapter.ts'

/** Where addresses are taken from here, so are the types that they have. */
export type { Address, Deployment } from '../adapter.ts'

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
