/** A small book of rows: three markets, seven accounts, flows and changes, with amounts that a float cannot hold. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { createPublicClient, http } from 'viem'
import type { Chain } from '../../api/graphql/chain.ts'
import { createMargins } from '../../api/graphql/margins.ts'
import type { Services } from '../../api/graphql/context.ts'
import { createEvents } from '../../api/graphql/events.ts'
import { createRiskBooks } from '../../api/graphql/risk/book.ts'
import { createDesk } from '../../api/graphql/risk/desk.ts'
import { createBreakers } from '../../api/graphql/risk/breakers.ts'
import type { Risk } from '../../api/graphql/risk/index.ts'
import { createRuns } from '../../api/graphql/risk/runs.ts'
import { createStatus } from '../../api/graphql/status.ts'
import type { Job } from '../../api/graphql/status.ts'
import { createRoleBook } from '../../api/auth/roles.ts'
import { createSessions } from '../../api/auth/session.ts'
import { UnavailableError } from '../../core/errors.ts'
import { createLogger } from '../../core/log.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { createProposals, loadPolicy } from '../../proposals/index.ts'
import type { Proposals } from '../../proposals/index.ts'
import type { Address, Deployment, Hex } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { encodeRow, keys, type Kind, type RowOf } from '../../protocols/curie/replay-rows.ts'

export const log = createLogger('test', 'silent')
export const deployment: Deployment = curie.deployments['devnet']!
export const BLOCK = { number: 1000n, hash: `0x${'ab'.repeat(32)}`, timestamp: 1_700_000_000n }
/** 1e27 + 1: beyond 2^53, and beyond the 17 figures of a float64. */
export const LARGE = '1000000000000000000000000001'

export const addressOf = (n: number): string => `0x${n.toString(16).padStart(40, '0')}`
const hashOf = (n: number): string => `0x${n.toString(16).padStart(64, '0')}`
const lower = (text: string): string => text.toLowerCase()

/** A chain that nobody answers for. */
export const noChain: Chain = {
  client: { getChainId: () => Promise.reject(new Error('connect ECONNREFUSED 127.0.0.1:1')) } as unknown as Chain['client'],
  head: () => Promise.reject(new Error('connect ECONNREFUSED 127.0.0.1:1')),
  callAll: () => Promise.reject(new UnavailableError({ part: 'chain', found: 'it does not answer', action: 'start it' })),
}

/** A chain that answers `head` and gives the same bytes for every call. */
export const chainAt = (number: bigint, timestamp: bigint, answers: (to: string, data: string) => Hex | null): Chain => ({
  client: { getChainId: async () => deployment.chainId } as unknown as Chain['client'],
  head: async () => ({ number, hash: BLOCK.hash as Hex, timestamp }),
  callAll: async (calls) => calls.map(({ to, data }) => answers(to, data)),
})

/** The devnet's policy: who its stewards are. */
export const policy = await loadPolicy({ catalog: curie.catalog, deployment }, null)

/** Sessions that need no chain, and the owners that the deployment records. */
const authOf = (prisma: PrismaClient): Services['auth'] => ({
  policy,
  sessions: createSessions({ prisma, chainId: deployment.chainId, client: createPublicClient({ transport: http('http://127.0.0.1:9', { retryCount: 0 }) }), secret: null }),
  roles: createRoleBook({ stewards: policy.stewards, owners: async () => deployment.safe!.owners }),
})

export function services(prisma: PrismaClient, chain: Chain, options: { jobs?: readonly Job[]; proposals?: Partial<Proposals>; now?: () => number; marginsPrisma?: PrismaClient; risk?: Partial<Risk> } = {}): Services {
  const margins = createMargins({ prisma: options.marginsPrisma ?? prisma, protocol: curie, deployment, log })
  const status = createStatus({ prisma, chain, deployment, margins, jobs: options.jobs ?? [], ...(options.now ? { now: options.now } : {}) })
  const events = createEvents({ prisma, log })
  const risk: Risk = { events, books: createRiskBooks({ desk: createDesk({ prisma: options.marginsPrisma ?? prisma, protocol: curie, deployment, threads: 1 }) }), runs: createRuns({ prisma, log, changed: (id) => events.publish('run', id) }), breakers: createBreakers({ prisma, deployment }), compare: null, ...options.risk }
  // On a chain that nobody answers for: what is asked of it alone is UNAVAILABLE.
  const proposals = { ...createProposals({ prisma, catalog: curie.catalog, deployment, policy, rpcUrl: 'http://127.0.0.1:9', stateDir: tmpdir(), log }), ...options.proposals }
  return { prisma, protocol: curie, deployment, margins, status, risk, auth: authOf(prisma), proposals }
}

/**
 * What the reducer would have kept: pools and feeds that have stood still for hours, vETH at 1,800 USD, the others at 1,000,
 * WETH at 1,500. The parameters below make every average of one second, so that the mark price is the pool's; no funding is pending.
 */
async function seedReplay(prisma: PrismaClient): Promise<void> {
  const rows: { id: string; kind: string; value: object }[] = []
  const put = <K extends Kind>(kind: K, key: string, row: RowOf<K>): void => void rows.push({ id: `${kind}:${key}`, kind, value: encodeRow(kind, row) as object })
  const since = Number(BLOCK.timestamp) - 10_000
  const feed = (id: string, dispatcher: string, oracle: string, usd: bigint): void => {
    const priceE18 = usd * 10n ** 18n
    put('dispatcher', dispatcher, { feed: id as Address, fallbackSource: null, fallback: false })
    put('feed', id, { decimals: 8, timeoutSec: 2_400n, answerSource: oracle as Address, snapshotBlock: 2n, priceE18, priceSec: since, observationIndex: 0, observationPriceE18: priceE18, observationPriceCumulativeE18: 0n, observationSec: since, observationsComplete: true, contradiction: null })
    put('feedObservation', keys.feedObservation(id, 0), { timestampSec: since, priceE18, priceCumulativeE18: 0n })
    put('oracle', oracle, { answer: usd * 10n ** 8n, roundId: 1n, answerSec: since })
  }
  put('protocol', keys.protocol, { twapIntervalSec: 1, maxFundingRateE6: 1n })
  for (const [index, market] of deployment.markets.entries()) {
    const [id, usd] = [lower(market.baseToken), index === 0 ? 1_800n : 1_000n]
    // √1800 · 2^96 and √1000 · 2^96, rounded up: the contract's price rounds down to the whole dollar.
    const sqrtPriceX96 = index === 0 ? 3361366258487168395123916293648n : 2505414483750479311864138015697n
    put('market', id, {
      pool: lower(market.pool) as Address, poolFeeE6: 3_000n, tickSpacing: 60, snapshotBlock: 2n, sqrtPriceX96, tick: index === 0 ? 74_959 : 69_081, liquidity: 0n,
      observationIndex: 0, observationCardinality: 1, observationCardinalityNext: 1, observationSec: since, observationTickCumulative: 0n, observationsComplete: true,
      feeGrowthGlobalX128: 0n, twPremiumX96: 0n, twPremiumDivBySqrtPriceX96: 0n, lastSettledSec: 0, firstTradedSec: 0, fundingAtSec: null, fundingIntervalSec: null, fundingIndexTwapE18: null,
      state: 'OPEN', pausedAtSec: null, pausedIndexPriceE18: null, closedPriceE18: null, contradiction: null,
    })
    put('observation', keys.observation(id, 0), { timestampSec: since, tickCumulative: 0n })
    put('marketParameters', id, { feeRatioE6: 1_000n, insuranceFundFeeRatioE6: 100_000n, priceFeed: lower(market.priceFeed) as Address })
    feed(lower(market.chainlinkFeed), lower(market.priceFeed), lower(market.aggregator ?? ''), usd)
  }
  const weth = deployment.collaterals[0]!
  put('collateral', lower(weth.token), { priceFeed: lower(weth.priceFeed) as Address })
  feed(lower(weth.priceFeed), lower(weth.priceFeed), addressOf(78), 1_500n)
  await prisma.replayRow.createMany({ data: rows })
  await prisma.replayStatus.create({ data: { id: 1, version: curie.reducer.version, blockNumber: BLOCK.number } })
}

/** Accounts 1–5 hold positions (1: 2 vETH long, 2: 1 vETH short, 3: vBTC long, 4 and 5: vETH long), 6 and 7 hold none. */
export async function seed(prisma: PrismaClient): Promise<void> {
  const at = { createdAtBlock: 10n, createdAtTimestamp: 1_699_000_000n, updatedAtBlock: 900n, updatedAtTimestamp: 1_699_999_000n }
  const updated = { updatedAtBlock: 900n, updatedAtTimestamp: 1_699_999_000n }
  const protocolId = lower(deployment.contracts.clearingHouse)
  await prisma.protocol.create({ data: { id: protocolId, name: 'curie', settlementToken: lower(deployment.settlementToken.address), settlementTokenDecimals: 6, marketCount: 3, accountCount: 7, openPositionCount: 5, liquidationCount: 5, ...updated } })

  for (const [index, market] of deployment.markets.entries()) {
    const feedId = lower(market.chainlinkFeed)
    await prisma.oracleFeed.create({ data: { id: feedId, dispatcher: lower(market.priceFeed), priceE18: index === 0 ? '2000000000000000000001' : '40000000000000000000000', priceTimestamp: BLOCK.timestamp - 30n, freezeReason: 0, fallback: false, updateCount: 3, ...updated } })
    for (let i = 0; i < 3; i++) await prisma.priceUpdate.create({ data: { id: `${hashOf(index * 10 + i)}00`, feedId, priceE18: `${1990 + i * 5}000000000000000000`, priceTimestamp: BLOCK.timestamp - 90n + BigInt(i) * 30n, freezeReason: 0, ageSec: '0', ...fact(800 + i, 0) } })
    await prisma.market.create({
      data: {
        id: lower(market.baseToken), protocolId, symbol: market.symbol, pool: lower(market.pool), poolFeeE6: 3000, state: 'OPEN', feedId,
        // sqrt(2000) · 2^96, rounded down.
        sqrtPriceX96: index === 0 ? '3543191142285914205922034323214' : null,
        openInterestLongE18: LARGE, openInterestShortE18: '1000000000000000000', volumeE18: '5', liquidatedNotionalE18: '123000000000000000000', liquidationCount: 5, feesE18: '0', ...at,
      },
    })
  }
  const weth = deployment.collaterals[0]!
  await prisma.collateralAsset.create({ data: { id: lower(weth.token), protocolId, symbol: weth.symbol, decimals: weth.decimals, priceFeed: lower(weth.priceFeed), totalBalance: '3000000000000000001', ...updated } })

  const [eth, btc] = deployment.markets
  for (let n = 1; n <= 7; n++) {
    const id = addressOf(n)
    await prisma.account.create({ data: { id, protocolId, owedRealizedPnlE18: '0', settlementBalance: n === 7 ? '-1' : '1000000000', openPositionCount: n <= 5 ? 1 : 0, openRangeCount: 0, liquidationCount: n === 1 ? 5 : 0, badDebtE18: n === 7 ? LARGE : '0', ...at } })
    if (n > 5) continue
    const market = n === 3 ? btc! : eth!
    const short = n === 2
    const size = n === 1 ? 2n : 1n
    await prisma.position.create({
      data: {
        id: `${id}${lower(market.baseToken).slice(2)}`, accountId: id, marketId: lower(market.baseToken),
        sizeE18: `${(short ? -size : size) * 10n ** 18n}`, rawSizeE18: `${(short ? -size : size) * 10n ** 18n}`, openRangeCount: 0, openNotionalE18: `${(short ? 1n : -1n) * size * 1900n * 10n ** 18n}`, realizedPnlE18: '0', fundingPaidE18: '1', ...at,
      },
    })
  }
  await prisma.position.create({ data: { id: `${addressOf(6)}${lower(eth!.baseToken).slice(2)}`, accountId: addressOf(6), marketId: lower(eth!.baseToken), sizeE18: '0', rawSizeE18: '0', openRangeCount: 0, openNotionalE18: '0', realizedPnlE18: '5', fundingPaidE18: '0', ...at } })
  await prisma.collateralBalance.create({ data: { id: `${addressOf(6)}${lower(weth.token).slice(2)}`, accountId: addressOf(6), assetId: lower(weth.token), amount: '3000000000000000001', ...updated } })

  for (let i = 0; i < 5; i++) {
    // Two in one block: the log index decides between them.
    await prisma.liquidation.create({ data: { id: `${hashOf(100 + i)}0${i}`, accountId: addressOf(1), marketId: lower(eth!.baseToken), liquidator: addressOf(9), sizeE18: '1', notionalE18: `${i}`, penaltyE18: '3', liquidatorFeeE18: '1', sizeAfterE18: '0', ...fact(500 + Math.floor(i / 2), i) } })
  }

  const fundId = lower(deployment.contracts.insuranceFund)
  await prisma.insuranceFund.create({ data: { id: fundId, protocolId, walletBalance: '1500000', vaultBalanceE18: '-500000000000000001', inTransit: '0', inflowE18: LARGE, outflowE18: '7', badDebtE18: '7', ...updated } })
  await prisma.insuranceFundFlow.create({ data: { id: `${hashOf(200)}00`, fundId, kind: 'BAD_DEBT', amountE18: '-7', counterparty: addressOf(7), balanceAfterE18: '999999999999999999', ...fact(700, 1) } })

  const values: Record<string, bigint> = { imRatio: 100_000n, mmRatio: 62_500n, mmRatioBuffer: 2000n, debtNonSettlementTokenValueRatio: 750_000n, debtThreshold: 10_000_000_000n, collateralRatio: 700_000n, marketMaxPriceSpreadRatio: 100_000n }
  for (const ref of curie.catalog.refs(deployment)) {
    const spec = curie.catalog.find(ref.name)
    const subject = lower(ref.subject)
    const id = parameterId(ref.name, subject)
    await prisma.parameter.create({ data: { id, protocolId, name: ref.name, scope: spec.scope, subject, contract: addressOf(77), value: (values[ref.name] ?? 1n).toString(), source: 'EVENT', changeCount: 1, ...updated } })
  }
  const band = { name: 'marketMaxPriceSpreadRatio', subject: lower(eth!.baseToken) }
  for (let i = 0; i < 3; i++) {
    await prisma.parameterChange.create({ data: { id: `${hashOf(300 + i)}00`, parameterId: parameterId(band.name, band.subject), ...band, scope: 'MARKET', contract: addressOf(77), oldValue: i === 0 ? null : '62500', newValue: i === 2 ? '100000' : '62500', source: 'EVENT', sender: addressOf(8), ...fact(600 + i, 0) } })
  }

  await seedReplay(prisma)
  await prisma.checkpoint.create({ data: { blockNumber: BLOCK.number, blockHash: BLOCK.hash, blockTimestamp: BLOCK.timestamp, rowCount: 1 } })
  await prisma.mirrorStatus.create({ data: { id: 1, state: 'FOLLOWING', indexedBlock: BLOCK.number, indexedHash: BLOCK.hash, indexedTimestamp: BLOCK.timestamp, graphNodeBlock: BLOCK.number, chainBlock: BLOCK.number + 1n, chainTimestamp: BLOCK.timestamp + 2n } })

  await prisma.recommendationRun.create({ data: { id: '1000-aaaa', blockNumber: BLOCK.number, blockHash: BLOCK.hash, blockTimestamp: BLOCK.timestamp, inputsDigest: 'aa'.repeat(32), codeVersion: '1', inputs: {} } })
  await prisma.recommendation.create({ data: recommendation('1000-aaaa', band, { urgency: 80, settable: true, direction: 'TIGHTEN', current: '100000', recommended: '62500' }) })
  await prisma.recommendation.create({ data: recommendation('1000-aaaa', { name: 'mmRatio', subject: protocolId }, { urgency: 90, settable: false, direction: 'TIGHTEN', current: '62500', recommended: '70000' }) })
  await prisma.recommendationRun.create({ data: { id: '990-bbbb', blockNumber: 990n, blockHash: BLOCK.hash, blockTimestamp: BLOCK.timestamp, inputsDigest: 'bb'.repeat(32), codeVersion: '1', inputs: {} } })
  await prisma.recommendation.create({ data: recommendation('990-bbbb', band, { urgency: 100, settable: true, direction: 'TIGHTEN', current: '100000', recommended: '1' }) })

  for (let i = 0; i < 3; i++) {
    await prisma.proposal.create({
      data: {
        id: `p${i}`, title: `Proposal ${i}`, state: i === 0 ? 'APPLIED' : 'AWAITING_SIGNATURES', network: 'devnet', chainId: deployment.chainId, safe: lower(deployment.safe!.address), threshold: 2, nonce: i,
        changes: [{ parameter: band.name, scope: 'MARKET', subject: band.subject, subjectLabel: 'vETH', from: '100000', to: '62500' }],
        calls: [{ to: addressOf(77), value: '0', data: '0x1234' }], safeTx: { to: addressOf(77), value: '0', data: '0x1234', operation: 0, safeTxGas: '0', baseGas: '0', gasPrice: '0', gasToken: addressOf(0), refundReceiver: addressOf(0), nonce: String(i) }, safeTxHash: hashOf(400 + i), domainHash: hashOf(500), messageHash: hashOf(600 + i),
        draftedAtBlock: 900n, draftedAtBlockHash: BLOCK.hash, draftedAtTimestamp: BLOCK.timestamp, validUntil: BLOCK.timestamp + 259_200n,
        simulation: { block: '900', blockHash: BLOCK.hash, success: true, failure: null, gasUsed: '123456', results: [], parameters: [{ name: band.name, subject: band.subject, before: '100000', after: '62500', expected: '62500' }] },
        recommendationIds: [], signatures: { create: i === 0 ? [] : [{ signer: addressOf(50), signature: '0x12' }] }, events: { create: [{ fromState: null, toState: 'DRAFT', note: 'Drafted' }] },
      },
    })
  }
}

export const parameterId = (name: string, subject: string): string => `0x${Buffer.from(name).toString('hex')}${subject.slice(2)}`

function fact(block: number, logIndex: number) {
  return { blockNumber: BigInt(block), timestamp: 1_699_000_000n + BigInt(block), transactionHash: hashOf(block), logIndex }
}

function recommendation(runId: string, of: { name: string; subject: string }, values: { urgency: number; settable: boolean; direction: string; current: string; recommended: string }) {
  const spec = curie.catalog.find(of.name)
  return {
    id: `${runId}:${of.name}:${of.subject}`, runId, parameter: of.name, scope: spec.scope, subject: of.subject, subjectLabel: spec.scope === 'MARKET' ? 'vETH' : 'protocol', modelValue: 0.0625, confidence: 0.8,
    reason: 'The 99 % move of 15 minutes is 4.1 %, and the band is 10 %.', evidence: [{ label: '99 % move of 15 minutes', value: '0.0412345678', unit: '', source: 'PriceUpdate of the last 30 days' }],
    adjustments: [{ step: 'clamp', from: '7 %', to: '6.25 %', why: 'policy bounds' }], model: 'volatility-band', modelVersion: '1', inputsDigest: 'cc'.repeat(32), inputs: {}, advisory: values.settable ? null : 'advisory: needs an upgrade', ...values,
  }
}

/** Safe, upgrade, owner, oracle and statistics of the same book: what changed the bands in blocks 600 to 602, and who did. */
export async function seedHistory(prisma: PrismaClient): Promise<void> {
  const updated = { updatedAtBlock: 900n, updatedAtTimestamp: 1_699_999_000n }
  const protocolId = lower(deployment.contracts.clearingHouse)
  const [safe, registry] = [lower(deployment.safe!.address), lower(deployment.contracts.marketRegistry)]
  await prisma.contract.createMany({
    data: [
      { id: safe, protocolId, name: 'Safe', ...updated },
      { id: registry, protocolId, name: 'MarketRegistry', owner: safe, implementation: addressOf(61), ...updated },
    ],
  })
  await prisma.parameterChange.updateMany({ where: { blockNumber: 601n }, data: { executor: safe } })
  for (const [logIndex, kind, operation] of [[3, 'SAFE_EXECUTED', hashOf(400)], [1, 'SAFE_HASH_APPROVED', null]] as const) {
    await prisma.governanceEvent.create({ data: { id: `${hashOf(601)}0${logIndex}`, contractId: safe, kind, operation, subject: null, value: null, sender: addressOf(8), ...fact(601, logIndex) } })
  }
  // In the same block, by another transaction.
  await prisma.governanceEvent.create({ data: { id: `${hashOf(699)}05`, contractId: safe, kind: 'SAFE_THRESHOLD_CHANGED', operation: null, subject: null, value: '3', sender: addressOf(8), ...fact(601, 5), transactionHash: hashOf(699) } })
  await prisma.contractUpgrade.create({ data: { id: `${hashOf(610)}00`, contractId: registry, oldImplementation: null, newImplementation: addressOf(61), sender: addressOf(8), ...fact(610, 0) } })
  await prisma.ownershipChange.create({ data: { id: `${hashOf(611)}00`, contractId: registry, oldOwner: addressOf(8), newOwner: safe, sender: addressOf(8), ...fact(611, 0) } })

  const eth = deployment.markets[0]!
  const feedId = lower(eth.chainlinkFeed)
  await prisma.oracleFeed.update({ where: { id: feedId }, data: { aggregator: eth.aggregator, decimals: 8, timeoutSec: '29' } })
  await prisma.oracleSourceChange.create({ data: { id: `${hashOf(620)}00`, feedId, dispatcher: lower(eth.priceFeed), fallback: true, ...fact(620, 0) } })
  const fundId = lower(deployment.contracts.insuranceFund)
  for (let hour = 0; hour < 5; hour++) {
    const timestamp = 1_699_200_000n + BigInt(hour) * 3600n
    await prisma.marketStats.create({ data: { id: `hour:${eth.symbol}:${hour}`, interval: 'hour', timestamp, marketId: lower(eth.baseToken), volumeE18: LARGE, feesE18: '1', liquidatedNotionalE18: '2', openInterestLongE18: '3', openInterestShortE18: '4', samples: 5n } })
    // Returns of 1 % and 2 %: squares 1e-4 and 4e-4, sum 5e-4.
    await prisma.priceStats.create({ data: { id: `hour:${feedId}:${hour}`, interval: 'hour', timestamp, feedId, priceE18: '2000', highE18: '2010', lowE18: '1990', squaredReturnE18: '500000000000000', samples: 2n } })
  }
  await prisma.fundStats.create({ data: { id: 'day:fund:0', interval: 'day', timestamp: 1_699_142_400n, fundId, balanceE18: '-7', lowestE18: '-9', inflowE18: '2', outflowE18: '11', badDebtE18: '11' } })
}

/** The mirror steps to a block that touches nothing. */
export async function stepTo(prisma: PrismaClient, number: bigint, timestamp: bigint): Promise<void> {
  await prisma.checkpoint.create({ data: { blockNumber: number, blockHash: `0x${number.toString(16).padStart(64, '0')}`, blockTimestamp: timestamp, rowCount: 1 } })
  await prisma.replayStatus.update({ where: { id: 1 }, data: { blockNumber: number } })
}

/** A node whose every getter says 1, over HTTP: for a desk in a process of its own, which reads there what no event announced. */
export async function startGetters(): Promise<{ readonly url: string; close(): void }> {
  const answer = (call: { id: number }) => ({ jsonrpc: '2.0', id: call.id, result: `0x${'1'.padStart(64, '0')}` })
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString())).on('end', () => {
      const calls = JSON.parse(body) as { id: number } | { id: number }[]
      response.setHeader('content-type', 'application/json').end(JSON.stringify(Array.isArray(calls) ? calls.map(answer) : answer(calls)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() }
}
