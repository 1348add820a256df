/**
 * Facts out of a block's logs, as the index writes them, for the reducer alone. What the index reads by calls is read here by
 * calls as well, at the end of the same block.
 */
import { decodeFunctionResult, encodeFunctionData, parseAbi, parseEventLogs, type Abi } from 'viem'
import { curie, oracle, uniswap } from '../../devnet/artifacts.ts'
import type { RpcClient } from '../../devnet/rpc.ts'
import type { Address, Deployment, Fact, Hex } from '../../protocols/adapter.ts'

const AGGREGATOR = parseAbi(['event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt)', 'function latestRoundData() view returns (uint80, int256, uint256, uint256, uint80)'])

type Log = { readonly address: Address; readonly topics: [Hex, ...Hex[]]; readonly data: Hex; readonly transactionHash: Hex; readonly logIndex: Hex; readonly blockNumber: Hex }
type Args = Readonly<Record<string, never>>
type Event = { readonly eventName: string; readonly args: Args }
type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>

const lower = (address: string): Address => address.toLowerCase() as Address
const str = (value: unknown): string => (typeof value === 'string' ? value.toLowerCase() : String(value))

/** Decodes block by block; what was announced in one block (markets, feeds) is followed from there on. */
export class FactReader {
  readonly #rpc: RpcClient
  readonly #deployment: Deployment
  readonly #abis = new Map<Address, Abi>()
  readonly #marketOfPool = new Map<Address, Address>()
  readonly #feeds = new Set<Address>()
  readonly #dispatchers = new Set<Address>()
  #hasProtocol = false

  constructor(rpc: RpcClient, deployment: Deployment) {
    this.#rpc = rpc
    this.#deployment = deployment
    const { clearingHouse, clearingHouseConfig, marketRegistry, exchange, collateralManager } = deployment.contracts
    for (const [address, name] of [[clearingHouse, 'ClearingHouse'], [clearingHouseConfig, 'ClearingHouseConfig'], [marketRegistry, 'MarketRegistry'], [exchange, 'Exchange'], [collateralManager, 'CollateralManager']] as const) this.#abis.set(lower(address), curie(name).abi)
  }

  async #read(to: Address, abi: Abi, functionName: string, args: readonly unknown[] = []): Promise<unknown> {
    const data = await this.#rpc.call<Hex>('eth_call', [{ to, data: encodeFunctionData({ abi, functionName, args }) }, 'latest'])
    return decodeFunctionResult({ abi, functionName, data })
  }

  /** Facts of the latest block, in the order of the chain. */
  async latest(): Promise<Fact[]> {
    const block = await this.#rpc.call<{ number: Hex; timestamp: Hex }>('eth_getBlockByNumber', ['latest', false])
    const logs = await this.#rpc.call<Log[]>('eth_getLogs', [{ fromBlock: block.number, toBlock: block.number }])
    const facts: Fact[] = []
    for (const log of logs) {
      const abi = this.#abis.get(lower(log.address))
      if (abi === undefined) continue
      const [event] = parseEventLogs({ abi, logs: [log] as never, strict: true }) as unknown as Event[]
      if (event === undefined) continue
      let part = 0
      const add = (entity: string, fields: Fields): void => {
        facts.push({ entity, id: `${log.transactionHash}${log.logIndex.slice(2).padStart(8, '0')}${part}`, blockNumber: String(BigInt(block.number)), timestamp: String(BigInt(block.timestamp)), transactionHash: log.transactionHash, logIndex: Number(log.logIndex), ...fields } as Fact)
        part += 1
      }
      await this.#decode(lower(log.address), event, add)
    }
    return facts
  }

  async #decode(from: Address, { eventName, args }: Event, add: (entity: string, fields: Fields) => void): Promise<void> {
    const market = this.#marketOfPool.get(from) ?? null
    const position = (): Fields => ({ accountId: str(args['trader']), marketId: str(args['baseToken']) })
    const parameter = (name: string, scope: string, subject: unknown, value: unknown): void => add('ParameterChange', { name, scope, subject: str(subject), newValue: String(value) })
    switch (eventName) {
      case 'PositionChanged':
        return add('PositionChange', { ...position(), notionalDeltaE18: str(args['exchangedPositionNotional']), sizeDeltaE18: str(args['exchangedPositionSize']), feeE18: str(args['fee']), sqrtPriceAfterX96: str(args['sqrtPriceAfterX96']) })
      case 'PositionClosed':
        return add('PositionChange', { ...position(), notionalDeltaE18: str(args['closedPositionNotional']), sizeDeltaE18: str(args['closedPositionSize']), feeE18: '0', sqrtPriceAfterX96: null })
      case 'LiquidityChanged':
        return add('LiquidityChange', { accountId: str(args['maker']), marketId: str(args['baseToken']), lowerTick: args['lowerTick'], upperTick: args['upperTick'], liquidityDelta: str(args['liquidity']), feeE18: str(args['quoteFee']) })
      case 'FundingPaymentSettled':
        return add('FundingPayment', { ...position(), amountE18: str(args['fundingPayment']) })
      case 'FundingUpdated':
        return add('FundingUpdate', { marketId: str(args['baseToken']), marketTwapE18: str(args['marketTwap']), indexTwapE18: str(args['indexTwap']) })
      case 'Swap':
        return add('PoolSwap', { marketId: market, baseDeltaE18: str(args['amount0']), quoteDeltaE18: str(args['amount1']), sqrtPriceX96: str(args['sqrtPriceX96']), liquidity: str(args['liquidity']), tick: args['tick'] })
      case 'Mint':
      case 'Burn':
        if (BigInt(args['amount'] ?? 0) === 0n) return undefined
        return add('PoolLiquidityChange', { marketId: market, lowerTick: args['tickLower'], upperTick: args['tickUpper'], liquidityDelta: `${eventName === 'Burn' ? '-' : ''}${str(args['amount'])}` })
      case 'IncreaseObservationCardinalityNext':
        return add('PoolObservationsIncrease', { marketId: market, oldCardinalityNext: args['observationCardinalityNextOld'], newCardinalityNext: args['observationCardinalityNextNew'] })
      case 'ChainlinkPriceUpdated':
        return add('PriceUpdate', { feedId: from, priceE18: String(BigInt(args['price'] ?? 0) * 10n ** 10n), priceTimestamp: str(args['timestamp']), freezeReason: args['freezedReason'] })
      case 'AnswerUpdated':
        return add('OracleAnswer', { aggregator: from, answer: str(args['current']), roundId: str(args['roundId']), answerTimestamp: str(args['updatedAt']) })
      case 'UniswapV3PriceFeedUpdated':
        add('WiringChange', { contractId: from, role: 'fallbackSource', newAddress: str(args['uniswapV3PriceFeed']) })
        return add('WiringChange', { contractId: from, role: 'fallbackPool', newAddress: str(await this.#read(lower(str(args['uniswapV3PriceFeed'])), oracle('UniswapV3PriceFeed').abi, 'pool')) })
      case 'StatusUpdated':
        return this.#status(from, Number(args['status']), add)
      case 'FeeRatioChanged':
        return parameter('feeRatio', 'MARKET', args['baseToken'], args['feeRatio'])
      case 'InsuranceFundFeeRatioChanged':
        return parameter('insuranceFundFeeRatio', 'MARKET', args['baseToken'], args['feeRatio'])
      case 'TwapIntervalChanged':
        return parameter('twapInterval', 'PROTOCOL', this.#deployment.contracts.clearingHouse, args['twapInterval'])
      case 'MaxFundingRateChanged':
        return parameter('maxFundingRate', 'PROTOCOL', this.#deployment.contracts.clearingHouse, args['rate'])
      case 'PriceFeedChanged':
        parameter(args['token'] === undefined ? 'baseTokenPriceFeed' : 'collateralPriceFeed', args['token'] === undefined ? 'MARKET' : 'COLLATERAL', args['token'] ?? from, BigInt(str(args['priceFeed'])))
        return this.#follow(lower(str(args['priceFeed'])), add)
      case 'CollateralAdded':
        parameter('collateralPriceFeed', 'COLLATERAL', args['token'], BigInt(str(args['priceFeed'])))
        return this.#follow(lower(str(args['priceFeed'])), add)
      case 'PoolAdded':
        return this.#market(lower(str(args['baseToken'])), lower(str(args['pool'])), Number(args['feeRatio']), add)
      default:
        return undefined
    }
  }

  async #status(from: Address, status: number, add: (entity: string, fields: Fields) => void): Promise<void> {
    if (this.#dispatchers.has(from)) return add('OracleSourceChange', { dispatcher: from, fallback: status === 1 })
    const priceE18 = status === 0 ? null : str(await this.#read(from, curie('BaseToken').abi, status === 1 ? 'getPausedIndexPrice' : 'getClosedPrice'))
    return add('MarketStatusChange', { marketId: from, newState: ['OPEN', 'PAUSED', 'CLOSED'][status], priceE18 })
  }

  async #market(baseToken: Address, pool: Address, feeE6: number, add: (entity: string, fields: Fields) => void): Promise<void> {
    this.#abis.set(baseToken, curie('BaseToken').abi)
    this.#abis.set(pool, uniswap('UniswapV3Pool').abi)
    this.#marketOfPool.set(pool, baseToken)
    const { clearingHouse, clearingHouseConfig, marketRegistry } = this.#deployment.contracts
    const parameter = (name: string, scope: string, subject: string, value: unknown): void => add('ParameterChange', { name, scope, subject: lower(subject), newValue: String(value) })
    if (!this.#hasProtocol) {
      this.#hasProtocol = true
      parameter('twapInterval', 'PROTOCOL', clearingHouse, await this.#read(clearingHouseConfig, curie('ClearingHouseConfig').abi, 'getTwapInterval'))
      parameter('maxFundingRate', 'PROTOCOL', clearingHouse, await this.#read(clearingHouseConfig, curie('ClearingHouseConfig').abi, 'getMaxFundingRate'))
    }
    parameter('feeRatio', 'MARKET', baseToken, feeE6)
    parameter('insuranceFundFeeRatio', 'MARKET', baseToken, await this.#read(marketRegistry, curie('MarketRegistry').abi, 'getInsuranceFundFeeRatio', [baseToken]))
    const priceFeed = lower(str(await this.#read(baseToken, curie('BaseToken').abi, 'getPriceFeed')))
    parameter('baseTokenPriceFeed', 'MARKET', baseToken, BigInt(priceFeed))
    await this.#follow(priceFeed, add)

    const poolAbi = uniswap('UniswapV3Pool').abi
    const slot0 = (await this.#read(pool, poolAbi, 'slot0')) as readonly [bigint, number, number, number, number]
    const [observationTimestamp, observationTickCumulative] = (await this.#read(pool, poolAbi, 'observations', [BigInt(slot0[2])])) as readonly [number, bigint]
    add('PoolSnapshot', {
      marketId: baseToken, pool, feeE6,
      sqrtPriceX96: String(slot0[0]), tick: slot0[1], observationIndex: slot0[2], observationCardinality: slot0[3], observationCardinalityNext: slot0[4],
      liquidity: str(await this.#read(pool, poolAbi, 'liquidity')),
      tickSpacing: Number(await this.#read(pool, poolAbi, 'tickSpacing')),
      observationTimestamp: String(observationTimestamp),
      observationTickCumulative: String(observationTickCumulative),
    })
  }

  async #follow(asked: Address, add: (entity: string, fields: Fields) => void): Promise<void> {
    if (this.#dispatchers.has(asked)) return
    this.#dispatchers.add(asked)
    const dispatcherAbi = oracle('PriceFeedDispatcher').abi
    const feedAbi = oracle('ChainlinkPriceFeedV3').abi
    const behind = await this.#read(asked, dispatcherAbi, 'getChainlinkPriceFeedV3').catch(() => null)
    const feed = behind === null ? asked : lower(str(behind))
    const fallbackSource = behind === null ? null : lower(str(await this.#read(asked, dispatcherAbi, 'getUniswapV3PriceFeed')))
    if (behind !== null) this.#abis.set(asked, dispatcherAbi)
    this.#abis.set(feed, feedAbi)
    this.#feeds.add(feed)
    const aggregator = lower(str(await this.#read(feed, feedAbi, 'getAggregator')))
    this.#abis.set(aggregator, AGGREGATOR)
    const price = (await this.#read(feed, feedAbi, 'getLastValidPrice')) as bigint
    const index = Number(await this.#read(feed, feedAbi, 'currentObservationIndex'))
    const newest = (await this.#read(feed, feedAbi, 'observations', [BigInt(index)])) as readonly [bigint, bigint, bigint]
    const round = (await this.#read(aggregator, AGGREGATOR, 'latestRoundData')) as readonly [bigint, bigint, bigint, bigint, bigint]
    add('FeedSnapshot', {
      feedId: feed, dispatcher: asked, aggregator, answerSource: aggregator, decimals: 8,
      fallbackSource: fallbackSource !== null && BigInt(fallbackSource) === 0n ? null : fallbackSource,
      timeoutSec: str(await this.#read(feed, feedAbi, 'getTimeout')),
      priceE18: price === 0n ? null : String(price * 10n ** 10n),
      priceTimestamp: price === 0n ? null : str(await this.#read(feed, feedAbi, 'getLastValidTimestamp')),
      observationIndex: index,
      observationPriceE18: newest[2] === 0n ? null : String(newest[0] * 10n ** 10n),
      observationPriceCumulativeE18: newest[2] === 0n ? null : String(newest[1] * 10n ** 10n),
      observationTimestamp: newest[2] === 0n ? null : String(newest[2]),
      answer: String(round[1]), roundId: String(round[0]), answerTimestamp: String(round[3]),
    })
  }
}
