import { readFileSync, writeFileSync } from 'node:fs'
import { concatHex, encodeAbiParameters, encodeDeployData, encodeFunctionData, encodePacked, getContractAddress, type Hex, keccak256, maxUint256, pad, zeroAddress, zeroHash } from 'viem'
import { sign } from 'viem/accounts'
import { BadInputError, InvariantError } from '../core/errors.ts'
import type { Address, Deployment } from '../protocols/curie/deployments.ts'
import { type Artifact, curie, openZeppelin, oracle, type OwnArtifacts, precondition, safe, uniswap, weth } from './artifacts.ts'
import { GENESIS_TIMESTAMP_SEC } from './genesis.ts'
import type { Draft, RawBlock, Signer } from './chain.ts'
import { DEVNET_CHAIN_ID, type DevnetAccount, devnetAccounts } from './keys.ts'
import { COLLATERAL, COLLATERAL_RULES, DISTRIBUTION_THRESHOLD_E6, FEED_TIMEOUT_SEC, FEED_TWAP_SEC, MARKETS, POOL_FEE_E6, POOL_OBSERVATIONS, SAFE_THRESHOLD, SETTLEMENT_CAP_E6 } from './markets.ts'

/** Contracts that the market's scripts use besides the protocol's own. */
export type Tools = {
  readonly priceKeeper: Address
  /** One aggregator per market, in the order of `MARKETS`. */
  readonly aggregators: readonly Address[]
  /** Every ChainlinkPriceFeedV3: the markets' in their order, then the collateral's. */
  readonly feeds: readonly Address[]
  readonly uniswapFactory: Address
  readonly delegateApproval: Address
  readonly surplusBeneficiary: Address
}

export type Plan = { readonly deployment: Deployment; readonly tools: Tools; /** A transaction that is signed already stands as its bytes. */ readonly blocks: readonly (readonly (Draft | Hex)[])[] }

const GAS = { deploy: 7_000_000n, call: 1_000_000n, observations: 12_000_000n, handover: 4_000_000n } as const

/**
 * The deterministic deployment proxy, by the one transaction that makes it on every chain: signed without a chain id by a key
 * that nobody knows. Source: https://github.com/Arachnid/deterministic-deployment-proxy.
 */
const DEPLOYMENT_PROXY: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c'
const PROXY_DEPLOYER: Address = '0x3fab184622dc19b6109349b94811493bf2a45362'
const PROXY_DEPLOYER_NEEDS = 10_000_000_000_000_000n
const DEPLOYMENT_PROXY_TRANSACTION: Hex =
  '0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222'

/** Block that holds the first contract of the protocol. */
const START_BLOCK = 2

/** Seconds between two blocks of the deployment. */
const DEPLOY_BLOCK_SEC = 2

const one = <T>(list: readonly T[]): T => {
  const [first] = list
  if (first === undefined) throw new InvariantError('the devnet has a role without an account')
  return first
}

/**
 * The whole deployment, worked out without a chain: which transactions make it, and at which addresses it ends.
 * An address follows from its deployer and nonce, so the same sources give the same addresses on every machine.
 */
export async function planDeployment(own: OwnArtifacts): Promise<Plan> {
  const deployer = one(devnetAccounts('deployer', DEVNET_CHAIN_ID))
  const keeper = one(devnetAccounts('keeper', DEVNET_CHAIN_ID))
  const owners = devnetAccounts('safeOwner', DEVNET_CHAIN_ID)
  const blocks: (Draft | Hex)[][] = []
  let nonce = 0

  const begin = () => blocks.push([])
  const send = (draft: Draft) => {
    blocks.at(-1)?.push(draft)
    nonce += 1
  }
  const nextAddress = (offset = 0) => getContractAddress({ from: deployer.address, nonce: BigInt(nonce + offset) })
  const create = (artifact: Artifact, args: readonly unknown[] = []): Address => {
    const address = nextAddress()
    send({ from: deployer, to: null, data: encodeDeployData({ abi: artifact.abi, bytecode: artifact.bytecode, args }), gas: GAS.deploy })
    return address
  }
  const call = (to: Address, artifact: Pick<Artifact, 'abi'>, functionName: string, args: readonly unknown[], gas: bigint = GAS.call) =>
    send({ from: deployer, to, data: encodeFunctionData({ abi: artifact.abi, functionName, args }), gas })

  // Block 1: what the protocol finds on any network.
  begin()
  const usdc = create(own.TestUSDC, [deployer.address])
  const wethToken = create(weth())
  const uniswapFactory = create(uniswap('UniswapV3Factory'))
  const singleton = create(safe('SafeL2'))
  const proxyFactory = create(safe('proxies/SafeProxyFactory'))
  const fallbackHandler = create(safe('handler/CompatibilityFallbackHandler'))
  const multiSend = create(safe('libraries/MultiSend'))
  const multiSendCallOnly = create(safe('libraries/MultiSendCallOnly'))
  const setup = encodeFunctionData({
    abi: safe('SafeL2').abi,
    functionName: 'setup',
    args: [owners.map((o) => o.address), BigInt(SAFE_THRESHOLD), zeroAddress, '0x', fallbackHandler, zeroAddress, 0n, zeroAddress],
  })
  const safeAddress = getContractAddress({
    opcode: 'CREATE2',
    from: proxyFactory,
    salt: keccak256(encodePacked(['bytes32', 'uint256'], [keccak256(setup), 0n])),
    bytecode: concatHex([safe('proxies/SafeProxy').bytecode, pad(singleton)]),
  })
  call(proxyFactory, safe('proxies/SafeProxyFactory'), 'createProxyWithNonce', [singleton, setup, 0n])
  blocks.at(-1)?.push({ from: keeper, to: PROXY_DEPLOYER, data: '0x', value: PROXY_DEPLOYER_NEEDS, gas: 21_000n })

  // Block 2: prices, then the protocol behind its proxies.
  begin()
  blocks.at(-1)?.push(DEPLOYMENT_PROXY_TRANSACTION)
  const priceKeeper = create(own.PriceKeeper, [keeper.address])
  const aggregators = MARKETS.map((m) => create(own.Aggregator, [m.pair, priceKeeper]))
  const marketFeeds = aggregators.map((aggregator) => create(oracle('ChainlinkPriceFeedV3'), [aggregator, BigInt(FEED_TIMEOUT_SEC), BigInt(FEED_TWAP_SEC)]))
  const dispatchers = marketFeeds.map((feed) => create(oracle('PriceFeedDispatcher'), [feed]))
  const collateralFeed = create(oracle('ChainlinkPriceFeedV3'), [aggregators[0], BigInt(FEED_TIMEOUT_SEC), BigInt(FEED_TWAP_SEC)])
  const proxyAdmin = create(openZeppelin('ProxyAdmin'))

  begin()
  blocks.at(-1)?.push({ from: keeper, to: DEPLOYMENT_PROXY, data: concatHex([zeroHash, precondition().bytecode]), gas: GAS.call })
  const logic = (name: string): Address => create(curie(name))
  const behindProxy = (implementation: Address, artifact: Artifact, args: readonly unknown[]): Address =>
    create(openZeppelin('TransparentUpgradeableProxy'), [implementation, proxyAdmin, encodeFunctionData({ abi: artifact.abi, functionName: 'initialize', args })])
  const proxied = (name: string, args: readonly unknown[]): Address => behindProxy(logic(name), curie(name), args)

  const quoteLogic = logic('QuoteToken')
  const baseLogic = logic('BaseToken')
  // Curie wants every base token's address below the quote token's, so the highest of the next addresses is the quote token's.
  const virtualAddresses = [...MARKETS, null].map((_, i) => nextAddress(i))
  const quoteAddress = virtualAddresses.reduce((highest, a) => (BigInt(a) > BigInt(highest) ? a : highest))
  const baseTokens: Address[] = []
  let quoteToken: Address | undefined
  for (const address of virtualAddresses) {
    if (address === quoteAddress) quoteToken = behindProxy(quoteLogic, curie('QuoteToken'), ['Virtual USD', 'vUSD'])
    else {
      const market = MARKETS[baseTokens.length]
      baseTokens.push(behindProxy(baseLogic, curie('BaseToken'), [market?.name, market?.symbol, dispatchers[baseTokens.length]]))
    }
  }
  if (quoteToken === undefined) throw new InvariantError('the quote token has no address')
  const quote: Address = quoteToken
  const clearingHouseConfig = proxied('ClearingHouseConfig', [])
  const marketRegistry = proxied('MarketRegistry', [uniswapFactory, quote])
  const orderBook = proxied('OrderBook', [marketRegistry])
  const exchange = proxied('Exchange', [marketRegistry, orderBook, clearingHouseConfig])
  const accountBalance = proxied('AccountBalance', [clearingHouseConfig, orderBook])
  const insuranceFund = proxied('InsuranceFund', [usdc])

  begin()
  const vault = proxied('Vault', [insuranceFund, clearingHouseConfig, accountBalance, exchange])
  const collateralManager = proxied('CollateralManager', [
    clearingHouseConfig, vault, COLLATERAL_RULES.maxCollateralTokensPerAccount, COLLATERAL_RULES.debtNonSettlementTokenValueRatioE6, COLLATERAL_RULES.liquidationRatioE6,
    COLLATERAL_RULES.mmRatioBufferE6, COLLATERAL_RULES.insuranceFundFeeRatioE6, COLLATERAL_RULES.debtThresholdE6, COLLATERAL_RULES.collateralValueDustE6,
  ])
  const clearingHouse = proxied('ClearingHouse', [clearingHouseConfig, vault, quote, uniswapFactory, exchange, accountBalance, insuranceFund])
  const delegateApproval = proxied('DelegateApproval', [])
  const surplusBeneficiary = create(own.SurplusBeneficiary, [safeAddress, usdc])

  // Who knows whom.
  begin()
  call(exchange, curie('Exchange'), 'setAccountBalance', [accountBalance])
  call(exchange, curie('Exchange'), 'setClearingHouse', [clearingHouse])
  call(orderBook, curie('OrderBook'), 'setClearingHouse', [clearingHouse])
  call(orderBook, curie('OrderBook'), 'setExchange', [exchange])
  call(accountBalance, curie('AccountBalance'), 'setClearingHouse', [clearingHouse])
  call(accountBalance, curie('AccountBalance'), 'setVault', [vault])
  call(marketRegistry, curie('MarketRegistry'), 'setClearingHouse', [clearingHouse])
  call(vault, curie('Vault'), 'setClearingHouse', [clearingHouse])
  call(vault, curie('Vault'), 'setCollateralManager', [collateralManager])
  call(vault, curie('Vault'), 'setWETH9', [wethToken])
  call(insuranceFund, curie('InsuranceFund'), 'setVault', [vault])
  call(insuranceFund, curie('InsuranceFund'), 'setSurplusBeneficiary', [surplusBeneficiary])
  call(insuranceFund, curie('InsuranceFund'), 'setDistributionThreshold', [DISTRIBUTION_THRESHOLD_E6])
  call(clearingHouse, curie('ClearingHouse'), 'setDelegateApproval', [delegateApproval])
  call(clearingHouseConfig, curie('ClearingHouseConfig'), 'setSettlementTokenBalanceCap', [SETTLEMENT_CAP_E6])
  call(quote, curie('QuoteToken'), 'mintMaximumTo', [clearingHouse])
  call(quote, curie('QuoteToken'), 'addWhitelist', [clearingHouse])
  const feeds = [...marketFeeds, collateralFeed]
  blocks.at(-1)?.push({ from: keeper, to: priceKeeper, data: priceCall(own, { aggregators, feeds }, MARKETS.map((m) => m.initialPriceUsd), MARKETS.map((_, i) => i), true), gas: 3_000_000n })
  call(collateralManager, curie('CollateralManager'), 'addCollateral', [
    wethToken,
    { priceFeed: collateralFeed, collateralRatio: COLLATERAL.collateralRatioE6, discountRatio: COLLATERAL.discountRatioE6, depositCap: COLLATERAL.depositCap },
  ])

  // Markets.
  const pools = MARKETS.map((market, i) => {
    begin()
    const base = at(baseTokens, i)
    call(uniswapFactory, uniswap('UniswapV3Factory'), 'createPool', [base, quote, POOL_FEE_E6], GAS.deploy)
    const pool = getContractAddress({
      opcode: 'CREATE2',
      from: uniswapFactory,
      salt: keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'address' }, { type: 'uint24' }], [base, quote, POOL_FEE_E6])),
      bytecode: uniswap('UniswapV3Pool').bytecode,
    })
    call(pool, uniswap('UniswapV3Pool'), 'initialize', [sqrtPriceX96(market.initialPriceUsd)])
    call(pool, uniswap('UniswapV3Pool'), 'increaseObservationCardinalityNext', [POOL_OBSERVATIONS], GAS.observations)
    call(base, curie('BaseToken'), 'mintMaximumTo', [clearingHouse])
    call(base, curie('BaseToken'), 'addWhitelist', [clearingHouse])
    call(base, curie('BaseToken'), 'addWhitelist', [pool])
    call(quote, curie('QuoteToken'), 'addWhitelist', [pool])
    call(marketRegistry, curie('MarketRegistry'), 'addPool', [base, POOL_FEE_E6])
    call(marketRegistry, curie('MarketRegistry'), 'setFeeRatio', [base, market.feeRatioE6])
    call(marketRegistry, curie('MarketRegistry'), 'setInsuranceFundFeeRatio', [base, market.insuranceFundFeeRatioE6])
    if (market.maxPriceSpreadRatioE6 !== 0) call(marketRegistry, curie('MarketRegistry'), 'setMarketMaxPriceSpreadRatio', [base, market.maxPriceSpreadRatioE6])
    call(exchange, curie('Exchange'), 'setMaxTickCrossedWithinBlock', [base, market.maxTickCrossed])
    return pool
  })

  // The Safe takes over: two-step contracts name it as candidate and it accepts them in one batch.
  begin()
  const twoStep: Address[] = [
    clearingHouse, clearingHouseConfig, marketRegistry, exchange, orderBook, accountBalance, vault, insuranceFund, collateralManager, delegateApproval, quote, ...baseTokens,
  ]
  for (const contract of twoStep) call(contract, curie('Vault'), 'setOwner', [safeAddress])
  for (const dispatcher of dispatchers) call(dispatcher, oracle('PriceFeedDispatcher'), 'transferOwnership', [safeAddress])
  call(proxyAdmin, openZeppelin('ProxyAdmin'), 'transferOwnership', [safeAddress])
  call(uniswapFactory, uniswap('UniswapV3Factory'), 'setOwner', [safeAddress])
  begin()
  const accept = encodeFunctionData({ abi: curie('Vault').abi, functionName: 'updateOwner' })
  const safeDeployment = { address: safeAddress, version: '1.4.1', owners: owners.map((o) => o.address), threshold: SAFE_THRESHOLD, singleton, proxyFactory, fallbackHandler, multiSend, multiSendCallOnly }
  blocks.at(-1)?.push(await safeTransaction(safeDeployment, 0, twoStep.map((to) => ({ to, data: accept })), GAS.handover))

  const deployment: Deployment = {
    network: 'devnet',
    chainId: DEVNET_CHAIN_ID,
    startBlock: START_BLOCK,
    contracts: { clearingHouse, clearingHouseConfig, marketRegistry, exchange, orderBook, accountBalance, vault, insuranceFund, collateralManager, quoteToken: quote, proxyAdmin },
    settlementToken: { address: usdc, symbol: 'USDC', decimals: 6 },
    markets: MARKETS.map((m, i) => ({
      symbol: m.symbol, baseToken: at(baseTokens, i), pool: at(pools, i), priceFeed: at(dispatchers, i), chainlinkFeed: at(marketFeeds, i), aggregator: at(aggregators, i),
    })),
    collaterals: [{ symbol: COLLATERAL.symbol, token: wethToken, decimals: 18, priceFeed: collateralFeed }],
    safe: safeDeployment,
  }
  return { deployment, tools: { priceKeeper, aggregators, feeds, uniswapFactory, delegateApproval, surplusBeneficiary }, blocks }
}

/** The deployment's blocks, signed. Advances the signer's nonces. */
export async function deploymentBlocks(plan: Plan, signer: Signer): Promise<RawBlock[]> {
  const blocks: RawBlock[] = []
  for (const drafts of plan.blocks) {
    const transactions: Hex[] = []
    for (const draft of drafts) transactions.push(typeof draft === 'string' ? draft : await signer.sign(draft))
    blocks.push({ timestampSec: GENESIS_TIMESTAMP_SEC + DEPLOY_BLOCK_SEC * (blocks.length + 1), transactions })
  }
  return blocks
}

/**
 * Calldata of PriceKeeper.push: the price in USD of each market in `markets`, whose feeds take it over.
 * The collateral's feed reads the first market's aggregator whenever it is asked; `withCollateral` makes it remember.
 */
export function priceCall(own: OwnArtifacts, tools: Pick<Tools, 'aggregators' | 'feeds'>, pricesUsd: readonly number[], markets: readonly number[], withCollateral: boolean): Hex {
  const answers = markets.map((i) => BigInt(Math.round(at(pricesUsd, i) * 1e8)))
  const feeds = tools.feeds.filter((_, i) => markets.includes(i) || (i === tools.aggregators.length && withCollateral))
  return encodeFunctionData({ abi: own.PriceKeeper.abi, functionName: 'push', args: [markets.map((i) => at(tools.aggregators, i)), answers, feeds, BigInt(FEED_TWAP_SEC)] })
}

/** One transaction of the Safe, signed by as many owners as its threshold asks for; several calls go through MultiSendCallOnly. */
export async function safeTransaction(target: NonNullable<Deployment['safe']>, nonce: number, calls: readonly { to: Address; data: Hex }[], gas: bigint): Promise<Draft> {
  const owners = devnetAccounts('safeOwner', DEVNET_CHAIN_ID)
  const single = calls.length === 1 ? calls[0] : undefined
  const to = single?.to ?? target.multiSendCallOnly
  const data = single?.data ?? encodeFunctionData({
    abi: safe('libraries/MultiSendCallOnly').abi,
    functionName: 'multiSend',
    args: [concatHex(calls.map((c) => encodePacked(['uint8', 'address', 'uint256', 'uint256', 'bytes'], [0, c.to, 0n, BigInt((c.data.length - 2) / 2), c.data])))],
  })
  const operation = single === undefined ? 1 : 0
  const hash = safeTransactionHash(target.address, { to, data, operation, nonce })
  const signers = owners.slice(0, target.threshold).toSorted((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1))
  const signatures: Hex[] = []
  for (const signer of signers) {
    const { r, s, yParity } = await sign({ hash, privateKey: signer.privateKey })
    signatures.push(concatHex([pad(r), pad(s), yParity === 0 ? '0x1b' : '0x1c']))
  }
  return {
    from: one(owners),
    to: target.address,
    data: encodeFunctionData({
      abi: safe('SafeL2').abi,
      functionName: 'execTransaction',
      args: [to, 0n, data, operation, 0n, 0n, 0n, zeroAddress, zeroAddress, concatHex(signatures)],
    }),
    gas,
  }
}

/** EIP-712 hash of a Safe 1.4.1 transaction without gas refund. Source: Safe 1.4.1, `getTransactionHash`. */
function safeTransactionHash(safeAddress: Address, tx: { to: Address; data: Hex; operation: 0 | 1; nonce: number }): Hex {
  const domainTypehash = '0x47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218'
  const messageTypehash = '0xbb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8'
  const words = (types: readonly string[], values: readonly unknown[]) => keccak256(encodeAbiParameters(types.map((type) => ({ type })), values))
  const domain = words(['bytes32', 'uint256', 'address'], [domainTypehash, BigInt(DEVNET_CHAIN_ID), safeAddress])
  const message = words(
    ['bytes32', 'address', 'uint256', 'bytes32', 'uint8', 'uint256', 'uint256', 'uint256', 'address', 'address', 'uint256'],
    [messageTypehash, tx.to, 0n, keccak256(tx.data), tx.operation, 0n, 0n, 0n, zeroAddress, zeroAddress, BigInt(tx.nonce)],
  )
  return keccak256(concatHex(['0x1901', domain, message]))
}

const DEPLOYMENT_FILE = new URL('../protocols/curie/devnet.json', import.meta.url)

/** The committed record of the addresses, as text: what `npm run devnet:addresses` writes. */
export const deploymentText = (deployment: Deployment): string => `${JSON.stringify(deployment, null, 2)}\n`

export function writeDeployment(deployment: Deployment): void {
  writeFileSync(DEPLOYMENT_FILE, deploymentText(deployment))
}

/** Throws BadInputError when the committed addresses are not the ones that this deployment ends at. */
export function assertRecorded(deployment: Deployment): void {
  let recorded: string
  try {
    recorded = readFileSync(DEPLOYMENT_FILE, 'utf8')
  } catch {
    recorded = ''
  }
  if (recorded === deploymentText(deployment)) return
  throw new BadInputError('Found addresses in protocols/curie/devnet.json that differ from what devnet/ deploys, allowed are equal ones; run `npx tsx devnet/main.ts --write-addresses` and rebuild the subgraph')
}

/** √price · 2^96 for two tokens of 18 decimals. Relative error below 2^-50. */
export function sqrtPriceX96(priceUsd: number): bigint {
  return BigInt(Math.round(Math.sqrt(priceUsd) * 2 ** 48)) << 48n
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index]
  if (item === undefined) throw new InvariantError(`the devnet has no item ${index} in a list of ${list.length}`)
  return item
}

/** Gives a spender as much of a token as it will ever ask for. */
export const approveAll = (from: DevnetAccount, token: Address, spender: Address): Draft => ({
  from, to: token, data: encodeFunctionData({ abi: weth().abi, functionName: 'approve', args: [spender, maxUint256] }), gas: 100_000n,
})
