/** The whole protocol on a chain of its own, everyone impersonated, its facts reduced block by block as the mirror would. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeFunctionResult, encodeFunctionData, numberToHex, pad, parseAbi, type Abi } from 'viem'
import { startAnvil, type Anvil } from '../../devnet/anvil.ts'
import { compileOwnContracts, curie as artifact, oracle, uniswap, type OwnArtifacts } from '../../devnet/artifacts.ts'
import { Signer } from '../../devnet/chain.ts'
import { deploymentBlocks, planDeployment, type Tools } from '../../devnet/deploy.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { RpcError } from '../../devnet/rpc.ts'
import type { Address, Deployment, Fact, Hex, Json, ReplayRow } from '../../protocols/adapter.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { reducer } from '../../protocols/curie/reducer.ts'
import { valuation, type IndexStates, type Valuation } from '../../protocols/curie/valuation.ts'
import { FactReader } from './facts.ts'

export type Call = { readonly from: Address; readonly to: Address; readonly data: Hex; readonly value?: bigint }
/** What a getter answers: its value, or the reason of its revert. */
export type Seen = { readonly value: unknown } | { readonly reverted: string }

type Read = { readonly call: Readonly<Record<string, unknown>>; readonly resolve: (answer: Hex) => void; readonly reject: (error: unknown) => void }

/** In one request. */
const READS = 200
const STRANGER: Address = '0x00000000000000000000000000000000000000aa'
const GAS = numberToHex(20_000_000)
const lowercase = <T>(value: T): T => JSON.parse(JSON.stringify(value), (_key, text: unknown) => (typeof text === 'string' && /^0x[0-9a-fA-F]{40}$/.test(text) ? text.toLowerCase() : text)) as T
export const deployment: Deployment = lowercase(devnet)

export const ABIS = {
  house: artifact('ClearingHouse').abi, vault: artifact('Vault').abi, exchange: artifact('Exchange').abi, orderBook: artifact('OrderBook').abi, accountBalance: artifact('AccountBalance').abi,
  baseToken: artifact('BaseToken').abi, collateralManager: artifact('CollateralManager').abi, config: artifact('ClearingHouseConfig').abi, registry: artifact('MarketRegistry').abi,
  pool: uniswap('UniswapV3Pool').abi, dispatcher: oracle('PriceFeedDispatcher').abi, feed: oracle('ChainlinkPriceFeedV3').abi, insuranceFund: artifact('InsuranceFund').abi,
  aggregator: parseAbi(['function report(int256 answer, uint256 updatedAt)']),
  erc20: parseAbi(['function approve(address,uint256) returns (bool)', 'function mint(address[],uint256[])']),
} satisfies Record<string, Abi>

/** Rows as a table keeps them, by kind and key. */
export class RowStore {
  readonly rows = new Map<string, ReplayRow>()

  /** One step, given no more than the reducer asks for. */
  step(facts: readonly Fact[]): void {
    const needs = reducer.needs(facts)
    const given = [...this.rows.values()].filter((row) => needs.some((need) => need.kind === row.kind && row.key.startsWith(need.prefix)))
    for (const row of reducer.reduce(given, facts)) this.rows.set(`${row.kind}:${row.key}`, JSON.parse(JSON.stringify(row)) as ReplayRow)
  }

  /** For comparisons: fields in alphabetical order, as jsonb has them or not. */
  plain(): Record<string, Json> {
    return Object.fromEntries([...this.rows].map(([id, { value }]) => [id, value] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
}

export class World {
  readonly anvil: Anvil
  readonly own: OwnArtifacts
  readonly tools: Tools
  readonly store = new RowStore()
  /** All facts so far, by block. */
  readonly history: Fact[][] = []
  nowSec = 0
  readonly #reads: Read[] = []
  readonly #folder: string
  readonly #reader: FactReader

  private constructor(anvil: Anvil, own: OwnArtifacts, tools: Tools, folder: string) {
    this.anvil = anvil
    this.own = own
    this.tools = tools
    this.#folder = folder
    this.#reader = new FactReader(anvil.rpc, deployment)
  }

  static async start(port: number): Promise<World> {
    const own = await compileOwnContracts('.bulwark/cache')
    const plan = await planDeployment(own)
    const folder = mkdtempSync(join(tmpdir(), 'curie-replay-'))
    const world = new World(await startAnvil({ port, stateDir: folder }), own, plan.tools, folder)
    for (const block of await deploymentBlocks(plan, new Signer())) {
      for (const raw of block.transactions) await world.rpc('eth_sendRawTransaction', [raw])
      await world.#mineAt(block.timestampSec)
    }
    await world.rpc('anvil_autoImpersonateAccount', [true])
    return world
  }

  async stop(): Promise<void> {
    await this.anvil.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  rpc<T>(method: string, params: readonly unknown[] = []): Promise<T> {
    return this.anvil.rpc.call<T>(method, params)
  }

  async #mineAt(timestampSec: number): Promise<void> {
    await this.rpc('evm_mine', [timestampSec])
    this.nowSec = timestampSec
    const facts = await this.#reader.latest()
    this.history.push(facts)
    this.store.step(facts)
  }

  /** Mines one block with these calls and reduces its facts. Answers which of them went through. */
  async mine(afterSec: number, calls: readonly Call[]): Promise<boolean[]> {
    const hashes: Hex[] = []
    for (const call of calls) hashes.push(await this.rpc<Hex>('eth_sendTransaction', [{ from: call.from, to: call.to, data: call.data, gas: GAS, gasPrice: '0x0', value: numberToHex(call.value ?? 0n) }]))
    await this.#mineAt(this.nowSec + afterSec)
    const outcomes: boolean[] = []
    for (const hash of hashes) outcomes.push((await this.rpc<{ status: Hex } | null>('eth_getTransactionReceipt', [hash]))?.status === '0x1')
    return outcomes
  }

  async fund(accounts: readonly Address[]): Promise<void> {
    for (const account of accounts) await this.rpc('anvil_setBalance', [account, numberToHex(10n ** 24n)])
  }

  /** Reads that are asked for together go in one request: a comparison is thousands of them. Throws RpcError. */
  #read(call: Readonly<Record<string, unknown>>): Promise<Hex> {
    return new Promise((resolve, reject) => {
      if (this.#reads.push({ call, resolve, reject }) === 1) setImmediate(() => void this.#send(this.#reads.splice(0)))
    })
  }

  async #send(reads: readonly Read[]): Promise<void> {
    for (let from = 0; from < reads.length; from += READS) {
      const some = reads.slice(from, from + READS)
      try {
        const response = await fetch(this.anvil.rpc.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(some.map(({ call }, id) => ({ jsonrpc: '2.0', id, method: 'eth_call', params: [call, 'latest'] }))) })
        for (const { id, result, error } of (await response.json()) as { id: number; result: Hex; error?: { message: string } }[]) {
          if (error === undefined) some[id]?.resolve(result)
          else some[id]?.reject(new RpcError('eth_call', error.message))
        }
      } catch (error) {
        for (const { reject } of some) reject(error)
      }
    }
  }

  async see(to: Address, abi: Abi, functionName: string, args: readonly unknown[] = []): Promise<Seen> {
    try {
      const data = await this.#read({ from: STRANGER, to, data: encodeFunctionData({ abi, functionName, args }), gas: GAS })
      return { value: decodeFunctionResult({ abi, functionName, data }) }
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      return { reverted: error.message.replace(/^.*execution reverted(: revert)?:? ?/, '') }
    }
  }

  async value<T>(to: Address, abi: Abi, functionName: string, args: readonly unknown[] = []): Promise<T> {
    const seen = await this.see(to, abi, functionName, args)
    if ('reverted' in seen) throw new Error(`${functionName} reverts: ${seen.reverted}`)
    return seen.value as T
  }

  /** What the index would hold of these accounts, out of the contracts' storage getters. */
  async states(accounts: readonly Address[]): Promise<IndexStates> {
    const { accountBalance, orderBook, vault } = deployment.contracts
    type Order = { lowerTick: number; upperTick: number; liquidity: bigint; baseDebt: bigint; quoteDebt: bigint }
    const held = await Promise.all(
      accounts.map(async (id) => ({
        account: { id, settlementBalance: await this.value<bigint>(vault, ABIS.vault, 'getBalance', [id]), owedRealizedPnlE18: (await this.value<readonly bigint[]>(accountBalance, ABIS.accountBalance, 'getPnlAndPendingFee', [id]).catch(() => [0n]))[0] ?? 0n },
        balances: await Promise.all(deployment.collaterals.map(async ({ token }) => ({ accountId: id, assetId: token, amount: await this.value<bigint>(vault, ABIS.vault, 'getBalanceByToken', [id, token]) }))),
        positions: await Promise.all(
          deployment.markets.map(async ({ baseToken }) => {
            const info = await this.value<{ takerPositionSize: bigint; takerOpenNotional: bigint }>(accountBalance, ABIS.accountBalance, 'getAccountInfo', [id, baseToken])
            return { accountId: id, marketId: baseToken, rawSizeE18: info.takerPositionSize, openNotionalE18: info.takerOpenNotional }
          }),
        ),
        ranges: (
          await Promise.all(
            deployment.markets.map(async ({ baseToken }) => {
              const ids = await this.value<readonly Hex[]>(orderBook, ABIS.orderBook, 'getOpenOrderIds', [id, baseToken])
              return Promise.all(
                ids.map(async (order) => {
                  const { lowerTick, upperTick, liquidity, baseDebt, quoteDebt } = await this.value<Order>(orderBook, ABIS.orderBook, 'getOpenOrderById', [order])
                  return { accountId: id, marketId: baseToken, lowerTick, upperTick, liquidity, baseDebtE18: baseDebt, quoteDebtE18: quoteDebt }
                }),
              )
            }),
          )
        ).flat(),
      })),
    )
    const parameters = await Promise.all(
      catalog.refs(deployment).map(async (ref) => {
        const call = catalog.encodeRead(deployment, ref)
        return { name: ref.name, subject: ref.subject.toLowerCase(), value: catalog.decodeRead(ref, await this.#read({ to: call.to, data: call.data })) }
      }),
    )
    return {
      accounts: held.map(({ account }) => account),
      balances: held.flatMap(({ balances }) => balances),
      positions: held.flatMap(({ positions }) => positions),
      ranges: held.flatMap(({ ranges }) => ranges),
      assets: deployment.collaterals.map(({ token, decimals }) => ({ id: token, decimals })),
      parameters,
    }
  }

  valuation(states: IndexStates): Valuation {
    return valuation({ rows: [...this.store.rows.values()], states, timestampSec: this.nowSec, settlementDecimals: 6 })
  }

  // ─── Calls ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reports prices and has the feeds take them over, as the devnet's keeper does. */
  push(pricesUsd: readonly number[]): Call {
    const answers = pricesUsd.map((price) => BigInt(Math.round(price * 1e8)))
    return { from: KEEPER, to: this.tools.priceKeeper, data: encodeFunctionData({ abi: this.own.PriceKeeper.abi, functionName: 'push', args: [this.tools.aggregators, answers, this.tools.feeds, 900n] }) }
  }

  /** An answer of one market's oracle that no feed has taken over yet. */
  report(market: number, answer: bigint, updatedAtSec: number): Call {
    return { from: this.tools.priceKeeper, to: this.tools.aggregators[market] ?? STRANGER, data: encodeFunctionData({ abi: ABIS.aggregator, functionName: 'report', args: [answer, BigInt(updatedAtSec)] }) }
  }
}

const accountOf = (role: 'keeper' | 'deployer'): Address => devnetAccounts(role, DEVNET_CHAIN_ID)[0]?.address ?? STRANGER
export const KEEPER = accountOf('keeper')
export const DEPLOYER = accountOf('deployer')
export const SAFE: Address = deployment.safe?.address ?? STRANGER
export const person = (index: number): Address => pad(numberToHex(0xbeef0000 + index), { size: 20 })
export const callOf = (from: Address, to: Address, abi: Abi, functionName: string, args: readonly unknown[], value = 0n): Call => ({ from, to, data: encodeFunctionData({ abi, functionName, args }), value })
