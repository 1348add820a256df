/**
 * Compiles Precondition.sol with the solc that npm installed. Run by itself it writes the artifact beside the source; the
 * artifact is committed, because the address of the contract follows from its bytes, and a test compiles it again.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Abi } from 'viem'
import { keccak256 } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import type { Hex } from '../../protocols/adapter.ts'

/** A compiled contract and all that its bytes follow from. */
export type PreconditionArtifact = {
  readonly contract: 'Precondition'
  readonly compiler: string
  readonly settings: unknown
  /** keccak256 of the source. */
  readonly sourceHash: Hex
  readonly abi: Abi
  /** Creation code: what the deployment proxy is sent. */
  readonly bytecode: Hex
  /** What stands on chain: no immutables, no libraries, no metadata. */
  readonly runtime: Hex
  /** keccak256 of `runtime`. */
  readonly codeHash: Hex
}

/** Paris: no opcode that a chain of today lacks. Without metadata, comments and paths leave the bytes as they are. */
const SETTINGS = { evmVersion: 'paris', optimizer: { enabled: true, runs: 10_000 }, metadata: { bytecodeHash: 'none', appendCBOR: false } } as const
export const ARTIFACT_FILE = new URL('./Precondition.json', import.meta.url)
const SOURCE_FILE = new URL('./Precondition.sol', import.meta.url)

type Output = { errors?: readonly { formattedMessage: string }[]; contracts?: Record<string, Record<string, { abi: Abi; evm: { bytecode: { object: string }; deployedBytecode: { object: string } } }>> }

/** Throws InvariantError where solc has an error or as little as a warning. */
export async function compilePrecondition(): Promise<PreconditionArtifact> {
  const { default: solc } = (await import('solc')) as unknown as { default: { compile(input: string): string } }
  const content = readFileSync(SOURCE_FILE, 'utf8')
  const settings = { ...SETTINGS, outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } } }
  const output = JSON.parse(solc.compile(JSON.stringify({ language: 'Solidity', sources: { 'Precondition.sol': { content } }, settings }))) as Output
  const compiled = output.contracts?.['Precondition.sol']?.['Precondition']
  if (output.errors !== undefined || compiled === undefined) throw new InvariantError(`Precondition.sol does not compile cleanly: ${(output.errors ?? []).map((each) => each.formattedMessage).join('; ')}`)
  const runtime: Hex = `0x${compiled.evm.deployedBytecode.object}`
  const { version } = createRequire(import.meta.url)('solc/package.json') as { version: string }
  return { contract: 'Precondition', compiler: `solc ${version}`, settings: SETTINGS, sourceHash: keccak256(Buffer.from(content)), abi: compiled.abi, bytecode: `0x${compiled.evm.bytecode.object}`, runtime, codeHash: keccak256(runtime) }
}

if (process.argv[1] === import.meta.filename) writeFileSync(ARTIFACT_FILE, `${JSON.stringify(await compilePrecondition(), null, 2)}\n`)
