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

/** ABI name in the manifest → artifact in the deployments package. */
const ABIS: Readonly<Record<string, string>> = {
  AccountBalance: 'contracts/AccountBalance.sol/AccountBalance.json',
  BaseToken: 'contracts/BaseToken.sol/BaseToken.json',
  ChainlinkPriceFeedV3: 'oracle-contracts/contracts/ChainlinkPriceFeedV3.sol/ChainlinkPriceFeedV3.json',
  ClearingHouse: 'contracts/ClearingHouse.sol/ClearingHouse.json',
  ClearingHouseConfig: 'contracts/ClearingHouseConfig.sol/ClearingHouseConfig.json',
  CollateralManager: 'contracts/CollateralManager.sol/CollateralManager.json',
  ERC20: 'contracts/interface/IERC20Metadata.sol/IERC20Metadata.json',
  Exchange: 'contracts/Exchange.sol/Exchange.json',
  InsuranceFund: 'contracts/InsuranceFund.sol/InsuranceFund.json',
  MarketRegistry: 'contracts/MarketRegistry.sol/MarketRegistry.json',
  PriceFeedDispatcher: 'oracle-contracts/contracts/PriceFeedDispatcher.sol/PriceFeedDispatcher.json',
  Vault: 'contracts/Vault.sol/Vault.json',
}

export class SubgraphBuildError extends BulwarkError {
  constructor(facts: { step: string; exitCode: number; output: string }) {
    super(`The subgraph's ${facts.step} ended with exit code ${facts.exitCode}; correct what it says: ${facts.output}`, { code: 'SUBGRAPH_BUILD', facts })
  }
}

/** The ABI that the manifest calls `name`, from the deployments package. Throws BadInputError for a name it does not have. */
export async function abiOf(name: string): Promise<readonly unknown[]> {
  const artifact = ABIS[name]
  if (artifact === undefined) throw new BadInputError(`Found ABI name "${name}", allowed are ${Object.keys(ABIS).join(', ')}; take one of these`)
  const file = require.resolve(`@perp/curie-deployments/optimism/core/artifacts/${artifact}`)
  return (JSON.parse(await readFile(file, 'utf8')) as { abi: readonly unknown[] }).abi
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
