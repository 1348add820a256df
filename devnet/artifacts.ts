import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Abi, Hex } from 'viem'
import { InvariantError } from '../core/errors.ts'

const require = createRequire(import.meta.url)

/** What a contract is deployed and called with. */
export type Artifact = { readonly abi: Abi; readonly bytecode: Hex }

/** Our own Solidity files, one contract each, named as the file. */
const OWN_CONTRACTS = ['Aggregator', 'PriceKeeper', 'TestUSDC', 'SurplusBeneficiary', 'Lens'] as const
export type OwnContract = (typeof OWN_CONTRACTS)[number]
export type OwnArtifacts = Readonly<Record<OwnContract, Artifact & { readonly runtime: Hex }>>

const COMPILER_SETTINGS = {
  evmVersion: 'paris',
  optimizer: { enabled: true, runs: 10_000 },
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
} as const

type CompilerOutput = {
  errors?: readonly { severity: string; formattedMessage: string }[]
  contracts?: Record<string, Record<string, { abi: Abi; evm: { bytecode: { object: string }; deployedBytecode: { object: string } } }>>
}

/**
 * Compiles `devnet/contracts/` with the solc that npm installed, once per content: the result is kept under
 * `<cacheDir>/contracts/<hash of sources, settings and compiler version>.json`.
 */
export async function compileOwnContracts(cacheDir: string): Promise<OwnArtifacts> {
  const sources = Object.fromEntries(OWN_CONTRACTS.map((name) => [`${name}.sol`, { content: readFileSync(new URL(`./contracts/${name}.sol`, import.meta.url), 'utf8') }]))
  const compilerVersion = (require('solc/package.json') as { version: string }).version
  const input = { language: 'Solidity', sources, settings: COMPILER_SETTINGS }
  const key = createHash('sha256').update(compilerVersion).update(JSON.stringify(input)).digest('hex').slice(0, 16)
  const file = join(cacheDir, 'contracts', `${key}.json`)
  const cached = readJson(file)
  if (cached !== undefined) return cached as OwnArtifacts

  const solc = (await import('solc')) as unknown as { default: { compile(input: string): string } }
  const output = JSON.parse(solc.default.compile(JSON.stringify(input))) as CompilerOutput
  const failures = (output.errors ?? []).filter((e) => e.severity === 'error')
  if (failures.length > 0) throw new InvariantError(`devnet/contracts does not compile: ${failures.map((e) => e.formattedMessage).join('; ')}`)
  const artifacts = Object.fromEntries(
    OWN_CONTRACTS.map((name) => {
      const compiled = output.contracts?.[`${name}.sol`]?.[name]
      if (compiled === undefined) throw new InvariantError(`devnet/contracts/${name}.sol holds no contract ${name}`)
      return [name, { abi: compiled.abi, bytecode: `0x${compiled.evm.bytecode.object}`, runtime: `0x${compiled.evm.deployedBytecode.object}` }]
    }),
  ) as unknown as OwnArtifacts
  mkdirSync(join(cacheDir, 'contracts'), { recursive: true })
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(artifacts))
  renameSync(`${file}.${process.pid}`, file)
  return artifacts
}

/** A contract of the protocol as deployed on Optimism, e.g. `curie('Vault')`. */
export const curie = (name: string): Artifact => load(`@perp/curie-deployments/optimism/core/artifacts/contracts/${name}.sol/${name}.json`)

/** A contract of the protocol's oracle package, e.g. `oracle('ChainlinkPriceFeedV3')`. */
export const oracle = (name: string): Artifact => load(`@perp/curie-deployments/optimism/core/artifacts/oracle-contracts/contracts/${name}.sol/${name}.json`)

/** A contract of Safe 1.4.1, by its path below `contracts/`, e.g. `safe('proxies/SafeProxyFactory')`. */
export const safe = (path: string): Artifact => load(`@safe-global/safe-contracts/build/artifacts/contracts/${path}.sol/${path.split('/').at(-1)}.json`)

/** A contract of OpenZeppelin 3.4, e.g. `openZeppelin('ProxyAdmin')`. */
export const openZeppelin = (name: string): Artifact => load(`@openzeppelin/contracts/build/contracts/${name}.json`)

/** A contract of Uniswap v3 core. */
export const uniswap = (name: string): Artifact => load(`@uniswap/v3-core/artifacts/contracts/${name}.sol/${name}.json`)

export const weth = (): Artifact => load('canonical-weth/build/contracts/WETH9.json')

/** The contract that every batch's first call goes to, as committed. */
export const precondition = (): Artifact => load('../proposals/contracts/Precondition.json')

const loaded = new Map<string, Artifact>()

/** By its path below node_modules. */
function load(path: string): Artifact {
  const known = loaded.get(path)
  if (known !== undefined) return known
  const { abi, bytecode } = JSON.parse(readFileSync(new URL(`../node_modules/${path}`, import.meta.url), 'utf8')) as { abi: Abi; bytecode: Hex }
  const artifact = { abi, bytecode }
  loaded.set(path, artifact)
  return artifact
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
