/**
 * What the contracts say: a history is replayed into an anvil of our own, which stops after each chosen block and is asked
 * every getter of `getters.ts` about every account that has ever interacted, every range that ever was, and every market.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { decodeAbiParameters, decodeErrorResult, decodeEventLog, decodeFunctionResult, encodeFunctionData, numberToHex, parseAbi, prepareEncodeFunctionData, toEventSelector, type Abi, type AbiEvent, type Hex } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import { curie } from '../../devnet/artifacts.ts'
import { mineBlock, readHead, type Head } from '../../devnet/chain.ts'
import type { History, Progress } from '../../devnet/history.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Address, Deployment } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { createElsewhere } from './prices.ts'
import { ask, askParameter, gettersOf, keyOf, REVERT, type AccountMarket, type Asked, type Context, type DerivedName, type Range, type Scope, type Subjects, type Value } from './getters.ts'

/** Values by field, then by subject. */
export type Values = Readonly<Record<string, Readonly<Record<string, Value>>>>

/** What the contracts answered at one block. */
export type Recorded = {
  readonly number: number
  readonly hash: Hex
  readonly timestampSec: number
  readonly context: Context
  /** Who had interacted by then, the insurance fund, and one who never does. */
  readonly accounts: readonly Address[]
  /** Every range that anyone had opened by then, closed ones included. */
  readonly ranges: readonly Range[]
  readonly values: Values
  /** What they answered at prices that markets did not have, and what they would have refused (prices.ts). */
  readonly elsewhere: Values
}

/** Someone who never touches the protocol: getters answer for anyone. */
export const STRANGER: Address = '0x00000000000000000000000000000000000000aa'

const MANY_ADDRESS = '0x000000000000000000000000000000000000b0b1'
/** Dearest getter seen: 1.4 million gas (free collateral of a maker in three markets with many observations to search). */
const GAS_EACH = 8_000_000n
const CALL_GAS = '0x11e1a300'
/** Calls to one eth_call, and eth_calls to one request. */
const CALLS_EACH = 150

const require = createRequire(import.meta.url)
const manyAbi = parseAbi([
  'struct Call { address to; bytes data; }',
  'struct Answer { bool success; bytes data; }',
  'function ask(uint256 gasEach, Call[] calls) view returns (uint256 number, uint256 timestampSec, Answer[] answers)',
])

/** Runtime code of Many.sol; compiled once per content, kept in the cache. */
async function manyCode(cacheDir: string): Promise<Hex> {
  const source = readFileSync(new URL('./Many.sol', import.meta.url), 'utf8')
  const input = JSON.stringify({
    language: 'Solidity',
    sources: { 'Many.sol': { content: source } },
    settings: { evmVersion: 'paris', optimizer: { enabled: true, runs: 10_000 }, metadata: { bytecodeHash: 'none', appendCBOR: false }, outputSelection: { '*': { '*': ['evm.deployedBytecode.object'] } } },
  })
  const key = createHash('sha256').update((require('solc/package.json') as { version: string }).version).update(input).digest('hex').slice(0, 16)
  const file = join(cacheDir, 'contracts', `many-${key}.hex`)
  try {
    return readFileSync(file, 'utf8') as Hex
  } catch {
    const solc = (await import('solc')) as unknown as { default: { compile(input: string): string } }
    const output = JSON.parse(solc.default.compile(input)) as { contracts?: Record<string, Record<string, { evm: { deployedBytecode: { object: string } } }>> }
    const object = output.contracts?.['Many.sol']?.['Many']?.evm.deployedBytecode.object
    if (object === undefined) throw new InvariantError('test/differential/Many.sol does not compile')
    write(file, `0x${object}`)
    return `0x${object}`
  }
}

function write(file: string, content: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.${process.pid}`, content)
  renameSync(`${file}.${process.pid}`, file)
}

/** Why a call was refused, in the contract's own words. */
function reasonOf(data: Hex): string {
  if (data === '0x') return ''
  const known: Abi = parseAbi(['error Error(string message)', 'error Panic(uint256 code)'])
  try {
    const { errorName, args } = decodeErrorResult({ abi: known, data })
    return errorName === 'Error' ? String(args?.[0]) : `panic ${String(args?.[0])}`
  } catch {
    return data
  }
}

/** Asks the latest block, which must be the one that is expected. */
async function askAll(rpc: RpcClient, code: Hex, head: Head, asked: readonly Asked[]): Promise<Map<string, Map<string, Value>>> {
  const values = new Map<string, Map<string, Value>>()
  const put = (field: string, key: string, value: Value): void => {
    const row = values.get(field) ?? new Map<string, Value>()
    row.set(key, value)
    values.set(field, row)
  }
  const chunks = Array.from({ length: Math.ceil(asked.length / CALLS_EACH) }, (_, i) => asked.slice(i * CALLS_EACH, (i + 1) * CALLS_EACH))
  const override = { [MANY_ADDRESS]: { code } }
  const answers = await Promise.all(chunks.map((chunk) => {
    const data = encodeFunctionData({ abi: manyAbi, functionName: 'ask', args: [GAS_EACH, chunk.map(({ to, data }) => ({ to, data }))] })
    return rpc.call<Hex>('eth_call', [{ to: MANY_ADDRESS, data, gas: CALL_GAS }, 'latest', override])
  }))
  for (const [i, chunk] of chunks.entries()) {
    const [number, timestampSec, results] = decodeFunctionResult({ abi: manyAbi, functionName: 'ask', data: answers[i] ?? '0x' })
    if (number !== BigInt(head.number) || timestampSec !== BigInt(head.timestampSec)) {
      throw new InvariantError(`the chain answered as of block ${number} at ${timestampSec} s, asked was block ${head.number} at ${head.timestampSec} s`)
    }
    for (const [j, one] of chunk.entries()) {
      const result = results[j]
      if (result === undefined) throw new InvariantError('an answer is missing')
      if (result.success) for (const [field, value] of one.read(result.data)) put(field, one.key, value)
      else for (const field of one.fields) put(field, one.key, `${REVERT}${reasonOf(result.data)}`)
    }
  }
  return values
}

type Log = { readonly topics: [Hex, ...Hex[]]; readonly data: Hex; readonly address: Address }

/** Who and which ranges the logs of the protocol name. */
class Census {
  readonly accounts = new Set<Address>()
  readonly ranges = new Map<string, Range>()
  readonly #events = new Map<Hex, Abi>()

  constructor(deployment: Deployment) {
    this.accounts.add(deployment.contracts.insuranceFund).add(STRANGER)
    for (const name of ['ClearingHouse', 'Vault', 'AccountBalance', 'CollateralManager']) {
      for (const item of curie(name).abi) if (item.type === 'event') this.#events.set(toEventSelector(item as AbiEvent), [item])
    }
  }

  take(logs: readonly Log[]): void {
    for (const { topics, data } of logs) {
      const abi = this.#events.get(topics[0])
      if (abi === undefined) continue
      const args = (decodeEventLog({ abi, topics, data, strict: false }).args ?? {}) as unknown as Readonly<Record<string, unknown>>
      for (const role of ['trader', 'maker', 'liquidator']) {
        const who = args[role]
        if (typeof who === 'string') this.accounts.add(who.toLowerCase() as Address)
      }
      if ('lowerTick' in args && 'maker' in args) {
        const range: Range = {
          account: String(args['maker']).toLowerCase() as Address, market: String(args['baseToken']).toLowerCase() as Address,
          lowerTick: Number(args['lowerTick']), upperTick: Number(args['upperTick']),
        }
        this.ranges.set(keyOf.range(range), range)
      }
    }
  }
}

/** What some getters' arguments are at the latest block. */
async function contextOf(rpc: RpcClient, deployment: Deployment): Promise<Context> {
  const { abi } = curie('ClearingHouseConfig')
  const names = ['getImRatio', 'getMmRatio', 'getTwapInterval', 'getMarkPriceConfig'] as const
  const answers = (await rpc.batch(names.map((functionName) => ['eth_call', [{ to: deployment.contracts.clearingHouseConfig, data: encodeFunctionData({ abi, functionName }) }, 'latest']]))) as Hex[]
  const [imRatioE6, mmRatioE6, funding] = answers.slice(0, 3).map((data) => Number(decodeAbiParameters([{ type: 'uint256' }], data)[0])) as [number, number, number]
  const [markPrice, premium] = decodeAbiParameters([{ type: 'uint32' }, { type: 'uint32' }], answers[3] ?? '0x')
  return { imRatioE6, mmRatioE6, intervalsSec: { funding, markPrice, premium, vault: 900 } }
}

/** Everything that is asked at one block. */
function questions(deployment: Deployment, census: Census, context: Context): Asked[] {
  const accounts = [...census.accounts].map((account) => ({ account }))
  const markets = deployment.markets.map(({ baseToken }) => ({ market: baseToken }))
  const tokens = [deployment.settlementToken.address, ...deployment.collaterals.map(({ token }) => token)]
  const subjects: { readonly [S in Scope]: readonly Subjects[S][] } = {
    account: accounts,
    accountMarket: accounts.flatMap((a): AccountMarket[] => markets.map((m) => ({ ...a, ...m }))),
    accountToken: accounts.flatMap((a) => tokens.map((token) => ({ ...a, token }))),
    range: [...census.ranges.values()],
    market: markets,
    collateral: deployment.collaterals.map(({ token }) => ({ token })),
    protocol: [{}],
  }
  return [
    ...(Object.keys(subjects) as Scope[]).flatMap((scope) => gettersOf(scope).flatMap(([name, getter]) => subjects[scope].map((subject) => ask(scope, name, getter, deployment, subject, context)))),
    // The status has no getter of its own; it is put together below.
    ...catalog.refs(deployment).filter(({ name }) => name !== 'marketStatus').map((ref) => askParameter(deployment, ref)),
  ]
}

/** What is asked with an answer of the same block in hand. */
function followUps(deployment: Deployment, accounts: readonly Address[], values: ReadonlyMap<string, ReadonlyMap<string, Value>>): { asked: Asked[]; refused: (readonly [string, Value])[] } {
  const abi = parseAbi(['function getLiquidatablePositionSize(address trader, address baseToken, int256 accountValue) view returns (int256)'])
  const field: DerivedName = 'AccountBalance.getLiquidatablePositionSize'
  const one = prepareEncodeFunctionData({ abi, functionName: 'getLiquidatablePositionSize' })
  const asked: Asked[] = []
  const refused: (readonly [string, Value])[] = []
  for (const account of accounts) {
    const value = values.get('ClearingHouse.getAccountValue')?.get(account) ?? `${REVERT}it was not asked`
    for (const { baseToken: market } of deployment.markets) {
      const key = keyOf.accountMarket({ account, market })
      if (value.startsWith(REVERT)) refused.push([key, value])
      else asked.push({ to: deployment.contracts.accountBalance, data: encodeFunctionData({ ...one, args: [account, market, BigInt(value)] }), key, fields: [field], read: (data) => [[field, String(BigInt.asIntN(256, BigInt(data)))]] })
    }
  }
  return { asked, refused }
}

/** Figures that follow from several answers, from the contracts' answers. */
function derive(deployment: Deployment, accounts: readonly Address[], values: Map<string, Map<string, Value>>): void {
  const at = (field: string, key: string): Value => {
    const value = values.get(field)?.get(key)
    if (value === undefined) throw new InvariantError(`${field} of ${key} was not asked`)
    return value
  }
  const set = (field: DerivedName | 'parameter marketStatus', rows: readonly (readonly [string, Value])[]): unknown => values.set(field, new Map(rows))
  set('liquidatable', accounts.map((account) => {
    const value = at('ClearingHouse.getAccountValue', account)
    const requirement = at('AccountBalance.getMarginRequirementForLiquidation', account)
    const refusal = [value, requirement].find((v) => v.startsWith(REVERT))
    return [account, refusal ?? String(BigInt(value) < BigInt(requirement))]
  }))
  set('parameter marketStatus', deployment.markets.map(({ baseToken: market }) => [market, at('BaseToken.isClosed', market) === 'true' ? '2' : at('BaseToken.isPaused', market) === 'true' ? '1' : '0']))
  const sums = deployment.markets.map(({ baseToken: market }) => {
    const sizes = accounts.map((account) => BigInt(at('AccountBalance.getTakerPositionSize', keyOf.accountMarket({ account, market }))))
    const total = (list: readonly bigint[]): bigint => list.reduce((a, b) => a + b, 0n)
    return { market, long: total(sizes.filter((s) => s > 0n)), short: -total(sizes.filter((s) => s < 0n)) }
  })
  set('openInterestLong', sums.map(({ market, long }) => [market, String(long)]))
  set('openInterestShort', sums.map(({ market, short }) => [market, String(short)]))
}

/** Replays a history, and asks everything after each of the chosen blocks. The chain stands at the history's end afterwards. */
export async function record(chain: { rpc: RpcClient; deployment: Deployment; cacheDir: string }, history: History, blocks: readonly number[], onProgress: Progress): Promise<Recorded[]> {
  const { rpc, deployment } = chain
  const code = await manyCode(chain.cacheDir)
  const census = new Census(deployment)
  const elsewhere = createElsewhere(rpc, deployment)
  const chosen = new Set(blocks)
  const recorded: Recorded[] = []
  let logsUpTo = 0
  for (const [i, block] of history.blocks.entries()) {
    await mineBlock(rpc, block)
    const number = i + 1
    if (!chosen.has(number)) continue
    const head = await readHead(rpc)
    if (head.number !== number) throw new InvariantError(`the chain stands at block ${head.number} after ${number} blocks were replayed`)
    census.take(await rpc.call<Log[]>('eth_getLogs', [{ fromBlock: numberToHex(logsUpTo + 1), toBlock: numberToHex(number), address: Object.values(deployment.contracts) }]))
    logsUpTo = number
    const context = await contextOf(rpc, deployment)
    const values = await askAll(rpc, code, head, questions(deployment, census, context))
    const accounts = [...census.accounts]
    const { asked, refused } = followUps(deployment, accounts, values)
    for (const [field, rows] of await askAll(rpc, code, head, asked)) values.set(field, new Map([...rows, ...refused]))
    derive(deployment, accounts, values)
    const plain = Object.fromEntries([...values].map(([field, rows]) => [field, Object.fromEntries(rows)]))
    recorded.push({ number, hash: head.hash, timestampSec: head.timestampSec, context, accounts, ranges: [...census.ranges.values()], values: plain, elsewhere: await elsewhere.ask({ accounts, values: plain }) })
    onProgress(recorded.length, blocks.length)
  }
  const head = await readHead(rpc)
  if (head.hash !== history.head.hash) throw new InvariantError(`the replayed history ends at block ${head.number} ${head.hash}, recorded is ${history.head.number} ${history.head.hash}`)
  return recorded
}

/** Names a recording in the cache: by the history, the blocks, and the text of everything that decides what is asked. */
export function recordingFile(cacheDir: string, historyKey: string, blocks: readonly number[]): string {
  const hash = createHash('sha256').update(historyKey).update(JSON.stringify(blocks)).update(JSON.stringify(catalog.specs.map(({ name }) => name)))
  for (const file of ['getters.ts', 'record.ts', 'prices.ts', 'closed.ts', 'Many.sol']) hash.update(readFileSync(new URL(file, import.meta.url)))
  return join(cacheDir, `differential-${hash.digest('hex').slice(0, 16)}.json.gz`)
}

export function loadRecording(file: string): readonly Recorded[] | undefined {
  try {
    return JSON.parse(gunzipSync(readFileSync(file)).toString('utf8')) as Recorded[]
  } catch {
    return undefined
  }
}

export const saveRecording = (file: string, recorded: readonly Recorded[]): void => write(file, gzipSync(JSON.stringify(recorded), { level: 3 }))
