import { createHash, randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import type { Deployment } from '../protocols/curie/deployments.ts'
import { contractsOf, readNetworks } from './networks.ts'

const HERE = dirname(fileURLToPath(import.meta.url))
const CURIE = join(HERE, 'curie')
const require = createRequire(import.meta.url)

/** Raise it when the steps of a build change, so that cached builds are made again. */
const BUILD_VERSION = 1

const CURIE_ARTIFACTS = '@perp/curie-deployments/optimism/core/artifacts'
const SAFE_ABIS = '@safe-global/safe-deployments/dist/assets'
const PROXY = '@openzeppelin/contracts/build/contracts/TransparentUpgradeableProxy.json'
const curie = (name: string): string => `${CURIE_ARTIFACTS}/contracts/${name}.sol/${name}.json`
const oracle = (name: string): string => `${CURIE_ARTIFACTS}/oracle-contracts/contracts/${name}.sol/${name}.json`

/** ABI name in the manifest → the files whose ABIs make it. A proxy's own events come from the address of what stands behind it. */
const ABIS: Readonly<Record<string, readonly string[]>> = {
  AccountBalance: [curie('AccountBalance'), PROXY],
  // Chainlink's interface, and what its proxies add.
  Aggregator: [join(HERE, 'abis', 'Aggregator.json')],
  BaseToken: [curie('BaseToken'), PROXY],
  ChainlinkPriceFeedV3: [oracle('ChainlinkPriceFeedV3')],
  ClearingHouse: [curie('ClearingHouse'), PROXY],
  ClearingHouseConfig: [curie('ClearingHouseConfig'), PROXY],
  CollateralManager: [curie('CollateralManager'), PROXY],
  ERC20: [`${CURIE_ARTIFACTS}/contracts/interface/IERC20Metadata.sol/IERC20Metadata.json`],
  Exchange: [curie('Exchange'), PROXY],
  InsuranceFund: [curie('InsuranceFund'), PROXY],
  MarketRegistry: [curie('MarketRegistry'), PROXY],
  OrderBook: [curie('OrderBook'), PROXY],
  // What tells a Safe from a timelock.
  Owner: [join(HERE, 'abis', 'Owner.json')],
  PriceFeedDispatcher: [oracle('PriceFeedDispatcher')],
  ProxyAdmin: ['@openzeppelin/contracts/build/contracts/ProxyAdmin.json'],
  QuoteToken: [curie('QuoteToken'), PROXY],
  // 1.4.1 announces by indexed arguments what 1.3.0 announces by others: same topic, another decoding.
  Safe: [`${SAFE_ABIS}/v1.3.0/gnosis_safe_l2.json`, `${SAFE_ABIS}/v1.4.1/safe_l2.json`, `${SAFE_ABIS}/v1.5.0/safe_l2.json`],
  // OpenZeppelin 3.4's; CallSalt came with 4.9.
  TimelockController: ['@openzeppelin/contracts/build/contracts/TimelockController.json', join(HERE, 'abis', 'CallSalt.json')],
  UniswapV3PriceFeed: [oracle('UniswapV3PriceFeed')],
  UniswapV3Pool: ['@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json'],
  Vault: [curie('Vault'), PROXY],
}

/** One item of an ABI, as far as it is told apart here. */
export type AbiItem = {
  readonly type: string
  readonly name?: string
  readonly inputs?: readonly { readonly name: string; readonly type: string; readonly indexed?: boolean }[]
}

export class SubgraphBuildError extends BulwarkError {
  constructor(facts: { step: string; exitCode: number; output: string }) {
    super(`The subgraph's ${facts.step} ended with exit code ${facts.exitCode}; correct what it says: ${facts.output}`, { code: 'SUBGRAPH_BUILD', facts })
  }
}

/** Names that the manifest's ABIs have. */
export function abiNames(): readonly string[] {
  return Object.keys(ABIS)
}

/** The ABI that the manifest calls `name`, each item once. Throws BadInputError for a name that it does not have. */
export async function abiOf(name: string): Promise<readonly AbiItem[]> {
  const files = ABIS[name]
  if (files === undefined) throw new BadInputError(`Found ABI name "${name}", allowed are ${Object.keys(ABIS).join(', ')}; take one of these`)
  const items = new Map<string, AbiItem>()
  for (const file of files) {
    const content = JSON.parse(await readFile(require.resolve(file), 'utf8')) as readonly AbiItem[] | { abi: readonly AbiItem[] }
    for (const item of 'abi' in content ? content.abi : content) {
      // The proxy's constructor, receive function and admin's functions are not what the index asks.
      if (file === PROXY && item.type !== 'event') continue
      const key = item.type === 'function' ? `function ${item.name}(${item.inputs?.map((input) => input.type).join(',')})` : `${item.type} ${eventSignature(item)}`
      if (!items.has(key)) items.set(key, item)
    }
  }
  return [...items.values()]
}

/** As the manifest writes it: `Deposited(indexed address,indexed address,uint256)`. */
export function eventSignature(event: AbiItem): string {
  return `${event.name}(${event.inputs?.map((input) => `${input.indexed === true ? 'indexed ' : ''}${input.type}`).join(',')})`
}

/**
 * Builds the index of a deployment with graph-cli, or answers with the build that has the same content.
 *
 * dir: `<cacheDir>/subgraph-<hash of all inputs>`, absolute; graph-node knows a deployment by its path, so other content has another
 * path. manifest: `<dir>/build/subgraph.yaml`. A build appears under its name when it is whole. Needs no network.
 * Throws SubgraphBuildError when graph-cli refuses the sources, BadInputError when `network` is not the deployment's.
 */
export async function buildSubgraph(options: { network: string; deployment: Deployment; cacheDir: string }): Promise<{ dir: string; manifest: string }> {
  const { network, deployment } = options
  if (network !== deployment.network) {
    throw new BadInputError(`Found network "${network}" with the deployment of "${deployment.network}"; pass the deployment of the same network`)
  }
  const inputs = await inputsOf(deployment)
  const dir = join(resolve(options.cacheDir), `subgraph-${hashOf(inputs)}`)
  const built = { dir, manifest: join(dir, 'build', 'subgraph.yaml') }
  if (existsSync(built.manifest)) return built

  const draft = `${dir}.${randomBytes(4).toString('hex')}`
  try {
    for (const [path, content] of inputs) {
      await mkdir(dirname(join(draft, path)), { recursive: true })
      await writeFile(join(draft, path), content)
    }
    // AssemblyScript finds graph-ts in a node_modules beside or above the sources; the cache may lie elsewhere.
    await symlink(nodeModules(), join(draft, 'node_modules'))
    const networkConstants = await readFile(join(draft, 'network.ts'), 'utf8')
    await graph('codegen', draft)
    await writeFile(join(draft, 'generated', 'network.ts'), networkConstants)
    await graph('build', draft)
    await rm(join(draft, 'node_modules'))
    await rename(draft, dir).catch((error: NodeJS.ErrnoException) => {
      // Another process finished the same build first; its content is the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return built
}

/** Everything that decides a build's content, by path in the build, in a fixed order. */
async function inputsOf(deployment: Deployment): Promise<readonly (readonly [string, string])[]> {
  const inputs: [string, string][] = [
    ['schema.graphql', await readFile(join(HERE, 'schema.graphql'), 'utf8')],
    ['subgraph.yaml', renderManifest(await readFile(join(CURIE, 'subgraph.yaml'), 'utf8'), deployment)],
    ['network.ts', renderNetwork(deployment)],
  ]
  for (const name of Object.keys(ABIS)) inputs.push([`abis/${name}.json`, JSON.stringify(await abiOf(name))])
  const sources = (await readdir(join(CURIE, 'src'))).filter((name) => name.endsWith('.ts')).sort()
  for (const name of sources) inputs.push([`src/${name}`, await readFile(join(CURIE, 'src', name), 'utf8')])
  return inputs
}

function hashOf(inputs: readonly (readonly [string, string])[]): string {
  const tools = ['@graphprotocol/graph-cli', '@graphprotocol/graph-ts'].map((name) => [name, versionOf(name)])
  return createHash('sha256').update(JSON.stringify([BUILD_VERSION, tools, inputs])).digest('hex').slice(0, 16)
}

/** The manifest with a deployment's addresses and start blocks in it. Throws BadInputError for a placeholder that nothing fills. */
export function renderManifest(template: string, deployment: Deployment): string {
  const recorded = readNetworks()[deployment.network] ?? {}
  const facts: Record<string, string> = { network: deployment.network }
  for (const [name, address] of Object.entries(contractsOf(deployment))) {
    const key = `${name.slice(0, 1).toLowerCase()}${name.slice(1)}`
    const record = recorded[name]
    const startBlock = record !== undefined && record.address === address.toLowerCase() ? record.startBlock : deployment.startBlock
    facts[`${key}.address`] = address.toLowerCase()
    // An address that was upgraded into the protocol late may have been created before it.
    facts[`${key}.startBlock`] = String(Math.max(startBlock, deployment.startBlock))
  }
  return template.replaceAll(/\{\{([\w.]+)\}\}/g, (placeholder, name: string) => {
    const fact = facts[name]
    if (fact === undefined) throw new BadInputError(`Found ${placeholder} in the manifest, allowed are ${Object.keys(facts).join(', ')}; take one of these`)
    return fact
  })
}

/** The AssemblyScript module that carries a deployment's addresses into the mappings. */
export function renderNetwork(deployment: Deployment): string {
  const { contracts, settlementToken, markets, collaterals } = deployment
  // Functions, because every event gets an instance of its own: a constant would be parsed again for each.
  const address = (name: string, value: string): string => `export function ${name}Address(): Address { return Address.fromString('${value.toLowerCase()}') }`
  const names = Object.entries(contractsOf(deployment)).filter(([name]) => !name.includes('/'))
  const pairs = (name: string, list: readonly (readonly [string, string])[]): string =>
    `export const ${name}: string[] = ${JSON.stringify(list.flatMap(([key, value]) => [key.toLowerCase(), value]))}`
  return [
    "import { Address } from '@graphprotocol/graph-ts'",
    "export const PROTOCOL_NAME = 'curie'",
    address('clearingHouse', contracts.clearingHouse),
    address('clearingHouseConfig', contracts.clearingHouseConfig),
    address('collateralManager', contracts.collateralManager),
    address('exchange', contracts.exchange),
    address('insuranceFund', contracts.insuranceFund),
    address('marketRegistry', contracts.marketRegistry),
    address('vault', contracts.vault),
    address('settlementToken', settlementToken.address),
    `export const SETTLEMENT_TOKEN_DECIMALS: i32 = ${settlementToken.decimals}`,
    '/** Contract, name. */',
    pairs('CONTRACTS', names.map(([name, address]) => [address, name] as const)),
    '/** Token, symbol. */',
    pairs('SYMBOLS', [...markets.map((market) => [market.baseToken, market.symbol] as const), ...collaterals.map((asset) => [asset.token, asset.symbol] as const)]),
    '/** Collateral, decimals. */',
    pairs('DECIMALS', collaterals.map((asset) => [asset.token, String(asset.decimals)] as const)),
    '/** Dispatcher, the feed behind it that emits prices. */',
    pairs('FEEDS', markets.filter((market) => market.priceFeed !== market.chainlinkFeed).map((market) => [market.priceFeed, market.chainlinkFeed.toLowerCase()] as const)),
    '',
  ].join('\n')
}

function packageDir(name: string): string {
  return dirname(require.resolve(`${name}/package.json`))
}

function nodeModules(): string {
  return resolve(packageDir('@graphprotocol/graph-ts'), '..', '..')
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version
}

async function graph(step: 'codegen' | 'build', dir: string): Promise<void> {
  const cli = join(packageDir('@graphprotocol/graph-cli'), 'bin', 'run.js')
  const child = spawn(process.execPath, [cli, step, 'subgraph.yaml'], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const exitCode = await new Promise<number>((done, fail) => {
    child.on('error', fail)
    child.on('close', (code) => done(code ?? 1))
  })
  if (exitCode !== 0) throw new SubgraphBuildError({ step, exitCode, output: compilerErrorsIn(output) })
}

/** What the AssemblyScript compiler refused, without the tool's progress and its own stack; everything where it refused nothing. */
function compilerErrorsIn(output: string): string {
  const start = output.search(/^ERROR /m)
  const end = output.indexOf('✖', start)
  return (start < 0 ? output : output.slice(start, end < 0 ? undefined : end)).trim().slice(0, 4000)
}
