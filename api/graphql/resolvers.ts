/** Resolvers translate and call; what they know of the protocol stands in the catalog and in the margin book. */
import { Kind } from 'graphql'
import type { GraphQLResolveInfo } from 'graphql'
import { BadInputError } from '../../core/errors.ts'
import { formatUnits, toFloat } from '../../core/units.ts'
import type { Address } from '../../protocols/adapter.ts'
import { priceOfSqrtX96 } from '../../protocols/curie/uniswap-v3.ts'
import { labelOf } from '../../proposals/draft.ts'
import { readIndexed } from '../../proposals/store.ts'
import { byUrgency, modelEntryOf } from '../recommendations/index.ts'
import { accountRowFields, accountTable, accountTableFields, historyOf, movesOf } from './accounts.ts'
import { transactionKey } from './context.ts'
import type { Context } from './context.ts'
import { displayUnit, displayValue, inputDecimals, specOf } from './display.ts'
import type { Direction, Adjustment, Evidence, MutationResolvers, Resolvers } from './generated/resolvers.ts'
import { guarded } from './guarded.ts'
import { address, findMarket, marketId, subject } from './lookup.ts'
import { PROPOSAL_PARTS, accounts, facts, openPositions, proposals, recommendationsOf, stats } from './lists.ts'
import { e18, fundCapacityE18, integer } from './model.ts'
import type { AmountNode, CollateralAssetNode, ContractNode, MarketNode, ParameterNode } from './model.ts'
import { checkFirst, page } from './paging.ts'
import { proposalFields, proposalMutations, proposalQueries, safeFields } from './proposals.ts'
import { breakerFields, resetOf } from './risk/breakers.ts'
import { riskQueries } from './risk/index.ts'
import { marginParts } from './risk/liquidations.ts'
import { resolveFundTarget } from './risk/reserves.ts'
import { resolveState } from './risk/rules.ts'
import { runById, runFields, runsList, startRun } from './risk/runs.ts'
import { scalars } from './scalars.ts'
import { subscriptions } from './subscriptions.ts'

const amount = (raw: { toFixed(places: number): string }, decimals = 18): AmountNode => ({ raw: integer(raw), decimals })

/** Truncated E18 ratio as a float, for display and order alone. */
const ratio = (valueE18: bigint | null): number | null => (valueE18 === null ? null : toFloat(valueE18, 18))

async function found<T>(row: Promise<T | null | undefined>, what: string): Promise<T> {
  const value = await row
  if (value == null) throw new BadInputError(`Found a row that refers to a ${what} the index does not hold, allowed is one that it holds; ask again after the next block`)
  return value
}

const market = (context: Context, id: string): Promise<MarketNode> => found(context.markets().then((all) => all.get(id)), 'market')
const contract = (context: Context, id: string): Promise<ContractNode> => found(context.contracts().then((all) => all.get(id)), 'contract')
const collateral = (context: Context, id: string): Promise<CollateralAssetNode> => found(context.collaterals().then((all) => all.get(id)), 'collateral')

const parametersOf = async (context: Context, subjectId: string): Promise<ParameterNode[]> => (await context.parameters()).filter((row) => row.subject === subjectId)

const indexPrice = (row: { feed: MarketNode['feed'] }): AmountNode | null => (row.feed?.priceE18 == null ? null : amount(row.feed.priceE18))

/** Filter by a contract's address; none where none is named. Throws BadInputError. */
const ofContract = (id: string | null | undefined): object => (id == null ? {} : { contractId: address('a contract', id, 'contract') })

/** Seconds from an oracle's price to the indexed block. */
const ageOf = (priceTimestamp: bigint | null | undefined, block: { readonly timestamp: bigint } | null): number | null => (block === null || priceTimestamp == null ? null : Number(block.timestamp - priceTimestamp))

const INTERVAL_SEC = { HOUR: 3_600, DAY: 86_400 } as const
const YEAR_SEC = 365 * 86_400

const intervalOf = ({ interval }: { readonly interval: string }): 'HOUR' | 'DAY' => (interval === 'day' ? 'DAY' : 'HOUR')

/** Of its bucket, not annualised: sqrt(sum of squared returns). */
const volatility = ({ squaredReturnE18 }: { readonly squaredReturnE18: { toFixed(places: number): string } }): number => Math.sqrt(toFloat(integer(squaredReturnE18), 18))

/**
 * Whether an operation asks for one field of the query and nothing beside it. What that reads in one question is of one block without a
 * snapshot, and none is held then while the chain is asked.
 */
function isAlone({ operation: { selectionSet: { selections } } }: GraphQLResolveInfo): boolean {
  return selections.length === 1 && selections[0]?.kind === Kind.FIELD
}

export const resolvers: Resolvers<Context> = {
  ...scalars,

  Query: {
    // The database may be down, which the status itself then says.
    status: async (_, __, context, info) => context.status.read(await (isAlone(info) ? readIndexed(context.prisma) : context.indexed()).catch(() => null)),
    protocol: async (_, __, context, info) => (isAlone(info) ? context.prisma : await context.db()).protocol.findFirst(),
    markets: async (_, __, context) => [...(await context.markets()).values()],
    market: (_, { id }, context) => findMarket(context, id),
    accounts: async (_, args, context) => page(await accounts(context, args), args),
    accountTable,
    account: (_, { id }, context) => context.accounts.load(address('an account', id, 'id')),
    positions: async (_, args, context) => page(openPositions(context, await marketId(context, args.market)), args),
    liquidations: async (_, args, context) => {
      const inMarket = await marketId(context, args.market)
      const where = { ...(inMarket === null ? {} : { marketId: inMarket }), ...(args.account == null ? {} : { accountId: address('an account', args.account, 'account') }) }
      return page(facts(context, 'liquidation', where), args)
    },
    collateralLiquidations: (_, args, context) => page(facts(context, 'collateralLiquidation', {}), args),
    insuranceFund: async (_, __, context) => (await context.db()).insuranceFund.findFirst(),
    collaterals: async (_, __, context) => [...(await context.collaterals()).values()],
    parameters: async (_, args, context) => {
      const subjectId = args.subject == null ? null : await subject(context, args.subject)
      return (await context.parameters()).filter((row) => (args.scope == null || row.scope === args.scope) && (subjectId === null || row.subject === subjectId))
    },
    parameter: async (_, args, context) => {
      const { scope } = context.protocol.catalog.find(args.name)
      const subjectId = args.subject == null ? null : await subject(context, args.subject)
      if (subjectId === null && scope !== 'PROTOCOL') throw new BadInputError(`Found no subject for ${args.name}, which every ${scope.toLowerCase()} has; name one with \`subject\``)
      return (await context.parameters()).find((row) => row.name === args.name && (subjectId === null || row.subject === subjectId)) ?? null
    },
    parameterChanges: async (_, args, context) => {
      const where = { ...(args.name == null ? {} : { name: context.protocol.catalog.find(args.name).name }), ...(args.subject == null ? {} : { subject: await subject(context, args.subject) }) }
      return page(facts(context, 'parameterChange', where), args)
    },
    contracts: async (_, __, context) => [...(await context.contracts()).values()],
    contractUpgrades: (_, args, context) => page(facts(context, 'contractUpgrade', ofContract(args.contract)), args),
    governanceEvents: (_, args, context) => page(facts(context, 'governanceEvent', ofContract(args.contract)), args),
    recommendations: async (_, args, context) => {
      const block = await context.indexed()
      if (block === null) return []
      const db = await context.db()
      const run = await db.recommendationRun.findFirst({ where: { blockNumber: { lte: block.number } }, orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], omit: { inputs: true } })
      if (run === null) return []
      const rows = await db.recommendation.findMany({ where: { runId: run.id, ...(args.settableOnly ? { settable: true } : {}) }, omit: { inputs: true } })
      return rows.toSorted(byUrgency).map((row) => ({ ...row, run }))
    },
    recommendation: async (_, { id }, context) => (await context.db()).recommendation.findUnique({ where: { id }, omit: { inputs: true }, include: { run: { omit: { inputs: true } } } }),
    parameterModels: (_, __, { protocol }) =>
      protocol.catalog.specs.map(({ name, title, scope }) => {
        const { model, reason } = modelEntryOf(name)
        return { parameter: name, title, scope, model, reason }
      }),
    ...riskQueries,
    ...proposalQueries,
    riskRun: (_, { id }, { prisma }) => runById(prisma, id),
    riskRuns: runsList,
    proposals: (_, args, context) => page(proposals(context, { chainId: context.deployment.chainId, AND: [args.state == null ? {} : { state: args.state }, args.states == null ? {} : { state: { in: [...args.states] } }] }), args),
    proposal: async (_, { id }, context) => (await context.db()).proposal.findUnique({ where: { id }, include: PROPOSAL_PARTS }),
  },

  Mutation: guarded({
    ...proposalMutations,
    startRiskRun: startRun,
    cancelRiskRun: (_, { id }, { risk }) => risk.runs.cancel(id),
    resetBreaker: resetOf,
  } satisfies MutationResolvers<Context>),

  Subscription: subscriptions,

  Amount: { value: ({ raw, decimals }) => formatUnits(raw, decimals) },

  Protocol: {
    contracts: (_, __, { deployment }) => deployment.contracts,
    safe: (_, __, { deployment }) => deployment.safe,
  },

  Safe: safeFields,

  Market: {
    indexPrice,
    marketPrice: ({ sqrtPriceX96 }) => (sqrtPriceX96 === null ? null : e18(priceOfSqrtX96(integer(sqrtPriceX96)))),
    markPrice: async ({ id }, _, context) => {
      const price = (await context.prices())?.markPricesE18.get(id)
      return price === undefined ? null : e18(price)
    },
    premium: ({ sqrtPriceX96, feed }) => {
      if (sqrtPriceX96 === null || feed?.priceE18 == null || feed.priceE18.isZero()) return null
      return toFloat(priceOfSqrtX96(integer(sqrtPriceX96)), 18) / toFloat(integer(feed.priceE18), 18) - 1
    },
    oracleAgeSec: async ({ feed }, _, context) => ageOf(feed?.priceTimestamp, await context.indexed()),
    oracleFreezeReason: ({ feed }) => feed?.freezeReason ?? null,
    oracleFallback: ({ feed }) => feed?.fallback ?? null,
    openInterestLong: (row) => amount(row.openInterestLongE18),
    openInterestShort: (row) => amount(row.openInterestShortE18),
    volume: (row) => amount(row.volumeE18),
    liquidatedNotional: (row) => amount(row.liquidatedNotionalE18),
    parameters: ({ id }, _, context) => parametersOf(context, id),
    depth: async ({ id }, args, context) => {
      const move = args.move ?? 0.02
      const moveE6 = Number.isFinite(move) ? BigInt(Math.round(move * 1e6)) : 0n
      if (moveE6 <= 0n || moveE6 >= 1_000_000n) throw new BadInputError(`Found move: ${move}, allowed is above 0 and below 1 (0.02 is 2 %); choose one in that range`, { move })
      const depth = (await context.prices())?.depth(id, moveE6)
      if (depth == null) return null
      return { move: Number(moveE6) / 1e6, buyBase: e18(depth.up.baseE18), buyQuote: e18(depth.up.quoteE18), sellBase: e18(depth.down.baseE18), sellQuote: e18(depth.down.quoteE18) }
    },
    oracle: ({ feed }) => feed,
    stats: ({ id }, args, context) => page(stats(context, 'marketStats', args.interval ?? 'HOUR', { marketId: id }), args),
    prices: async ({ feedId }, { last }, context) => {
      const take = checkFirst(last, 'last', 2000)
      if (feedId === null) return []
      const rows = await (await context.db()).priceUpdate.findMany({ where: { feedId }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], take })
      return rows.toReversed().map((row) => ({ timestamp: row.priceTimestamp, price: amount(row.priceE18), freezeReason: row.freezeReason }))
    },
    poolPrices: async ({ id }, { last }, context) => {
      const take = checkFirst(last, 'last', 2000)
      const rows = await (await context.db()).positionChange.findMany({ where: { marketId: id, sqrtPriceAfterX96: { not: null } }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], take, select: { timestamp: true, sqrtPriceAfterX96: true } })
      return rows.toReversed().flatMap(({ timestamp, sqrtPriceAfterX96 }) => (sqrtPriceAfterX96 === null ? [] : [{ timestamp, price: e18(priceOfSqrtX96(integer(sqrtPriceAfterX96))) }]))
    },
  },

  CollateralAsset: {
    totalBalance: (row) => amount(row.totalBalance, row.decimals),
    price: indexPrice,
    oracle: ({ feed }) => feed,
    parameters: ({ id }, _, context) => parametersOf(context, id),
  },

  Account: {
    margin: async (row, _, context) => {
      const health = await context.healthOf(row)
      if (!health) return null
      return {
        accountValue: e18(health.accountValueE18),
        collateralValue: e18(health.totalCollateralValueE18),
        unrealizedPnl: e18(health.unrealizedPnlE18),
        positionValue: e18(health.totalAbsPositionValueE18),
        initialMargin: e18(health.initialMarginE18),
        maintenanceMargin: e18(health.marginRequirementE18),
        freeCollateral: e18(health.freeCollateralImE18),
        marginRatio: ratio(health.marginRatioE18),
        distanceToLiquidation: ratio(health.distanceE18),
        liquidatable: health.liquidatable,
        ...(await marginParts(context, row.id, health)),
        exactness: health.exactness,
        missing: [...health.missing],
      }
    },
    liquidation: resolveState,
    settlementBalance: (row, _, { deployment }) => amount(row.settlementBalance, deployment.settlementToken.decimals),
    owedRealizedPnl: (row) => amount(row.owedRealizedPnlE18),
    badDebt: (row) => amount(row.badDebtE18),
    collaterals: ({ id }, _, context) => context.balancesOf.load(id),
    positions: ({ id }, _, context) => context.positionsOf.load(id),
    ranges: ({ id }, _, context) => context.rangesOf.load(id),
    moves: movesOf,
    history: historyOf,
  },

  AccountTable: accountTableFields,
  AccountRow: accountRowFields,

  CollateralBalance: {
    asset: ({ assetId }, _, context) => collateral(context, assetId),
    amount: async (row, _, context) => amount(row.amount, (await collateral(context, row.assetId)).decimals),
  },

  Position: {
    account: ({ accountId }) => accountId,
    market: ({ marketId: id }, _, context) => market(context, id),
    size: (row) => amount(row.sizeE18),
    openNotional: (row) => amount(row.openNotionalE18),
    entryPrice: (row) => {
      const size = integer(row.sizeE18)
      return size === 0n ? null : e18((-integer(row.openNotionalE18) * 10n ** 18n) / size)
    },
    unrealizedPnl: async (row, _, context) => {
      const mark = (await context.prices())?.markPricesE18.get(row.marketId)
      return mark === undefined ? null : e18((integer(row.sizeE18) * mark) / 10n ** 18n + integer(row.openNotionalE18))
    },
    liquidationPrice: async (row, _, context) => priceOrNull((await positionHealth(context, row))?.liquidationPriceE18),
    bankruptcyPrice: async (row, _, context) => priceOrNull((await positionHealth(context, row))?.bankruptcyPriceE18),
    realizedPnl: (row) => amount(row.realizedPnlE18),
    fundingPaid: (row) => amount(row.fundingPaidE18),
  },

  LiquidityRange: {
    market: ({ marketId: id }, _, context) => market(context, id),
    liquidity: (row) => integer(row.liquidity),
  },

  Liquidation: {
    account: ({ accountId }) => accountId,
    market: ({ marketId: id }, _, context) => market(context, id),
    size: (row) => amount(row.sizeE18),
    notional: (row) => amount(row.notionalE18),
    penalty: (row) => amount(row.penaltyE18),
    liquidatorFee: (row) => amount(row.liquidatorFeeE18),
    block: ({ blockNumber }) => blockNumber,
  },

  CollateralLiquidation: {
    account: ({ accountId }) => accountId,
    asset: ({ token }, _, context) => collateral(context, token),
    amount: async (row, _, context) => amount(row.amount, (await collateral(context, row.token)).decimals),
    repaid: (row, _, { deployment }) => amount(row.repaid, deployment.settlementToken.decimals),
    insuranceFundFee: (row, _, { deployment }) => amount(row.insuranceFundFee, deployment.settlementToken.decimals),
    block: ({ blockNumber }) => blockNumber,
  },

  InsuranceFund: {
    capacity: (row, _, { deployment }) => e18(fundCapacityE18(row, deployment.settlementToken.decimals)),
    wallet: (row, _, { deployment }) => amount(row.walletBalance, deployment.settlementToken.decimals),
    vault: (row) => amount(row.vaultBalanceE18),
    inflow: (row) => amount(row.inflowE18),
    outflow: (row) => amount(row.outflowE18),
    badDebt: (row) => amount(row.badDebtE18),
    target: resolveFundTarget,
    flows: ({ id }, args, context) => page(facts(context, 'insuranceFundFlow', { fundId: id, ...(args.kinds == null ? {} : { kind: { in: [...args.kinds] } }) }), args),
    stats: ({ id }, args, context) => page(stats(context, 'fundStats', args.interval ?? 'DAY', { fundId: id }), args),
  },

  Breaker: breakerFields,

  RiskRun: runFields,

  MarketStats: {
    interval: intervalOf,
    volume: (row) => amount(row.volumeE18),
    fees: (row) => amount(row.feesE18),
    liquidatedNotional: (row) => amount(row.liquidatedNotionalE18),
    openInterestLong: (row) => amount(row.openInterestLongE18),
    openInterestShort: (row) => amount(row.openInterestShortE18),
  },

  FundStats: {
    interval: intervalOf,
    balance: (row) => amount(row.balanceE18),
    lowest: (row) => amount(row.lowestE18),
    inflow: (row) => amount(row.inflowE18),
    outflow: (row) => amount(row.outflowE18),
    badDebt: (row) => amount(row.badDebtE18),
  },

  PriceStats: {
    interval: intervalOf,
    price: (row) => amount(row.priceE18),
    high: (row) => amount(row.highE18),
    low: (row) => amount(row.lowE18),
    realizedVolatility: volatility,
    realizedVolatilityAnnualised: (row) => volatility(row) * Math.sqrt(YEAR_SEC / INTERVAL_SEC[intervalOf(row)]),
  },

  OracleFeed: {
    price: (row) => (row.priceE18 === null ? null : amount(row.priceE18)),
    ageSec: async ({ priceTimestamp }, _, context) => ageOf(priceTimestamp, await context.indexed()),
    timeoutSec: (row) => (row.timeoutSec === null ? null : integer(row.timeoutSec)),
    stale: async ({ priceTimestamp, timeoutSec }, _, context) => {
      const ageSec = ageOf(priceTimestamp, await context.indexed())
      return ageSec === null || timeoutSec === null ? null : BigInt(ageSec) > integer(timeoutSec)
    },
    updates: ({ id }, args, context) => page(facts(context, 'priceUpdate', { feedId: id }), args),
    sourceChanges: ({ id }, args, context) => page(facts(context, 'oracleSourceChange', { feedId: id }), args),
    stats: ({ id }, args, context) => page(stats(context, 'priceStats', args.interval ?? 'HOUR', { feedId: id }), args),
  },

  PriceUpdate: {
    price: (row) => amount(row.priceE18),
    ageSec: (row) => (row.ageSec === null ? null : integer(row.ageSec)),
    block: ({ blockNumber }) => blockNumber,
  },

  OracleSourceChange: { block: ({ blockNumber }) => blockNumber },

  Contract: {
    ownerName: async ({ owner }, _, context) => (owner === null ? null : ((await context.contracts()).get(owner)?.name ?? null)),
    upgrades: ({ id }, args, context) => page(facts(context, 'contractUpgrade', { contractId: id }), args),
    ownershipChanges: ({ id }, args, context) => page(facts(context, 'ownershipChange', { contractId: id }), args),
  },

  ContractUpgrade: {
    contract: ({ contractId }, _, context) => contract(context, contractId),
    block: ({ blockNumber }) => blockNumber,
  },

  OwnershipChange: { block: ({ blockNumber }) => blockNumber },

  GovernanceEvent: {
    contract: ({ contractId }, _, context) => contract(context, contractId),
    value: (row) => (row.value === null ? null : integer(row.value)),
    block: ({ blockNumber }) => blockNumber,
  },

  InsuranceFundFlow: {
    amount: (row) => amount(row.amountE18),
    balanceAfter: (row) => amount(row.balanceAfterE18),
    block: ({ blockNumber }) => blockNumber,
  },

  Parameter: {
    title: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).title,
    description: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).description,
    subjectLabel: (row, _, { deployment }) => labelOf(deployment, row.scope, row.subject as Address),
    raw: (row) => integer(row.value),
    zeroMeansRaw: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).zeroMeans,
    zeroWords: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).zeroIs?.words ?? null,
    display: (row, _, { protocol, deployment }) => displayValue(specOf(protocol.catalog, row.name, row.scope), integer(row.value), row.subject, deployment),
    unit: (row, _, { protocol, deployment }) => displayUnit(specOf(protocol.catalog, row.name, row.scope), row.subject, deployment),
    inputDecimals: (row, _, { protocol, deployment }) => inputDecimals(specOf(protocol.catalog, row.name, row.scope), row.subject, deployment),
    bounds: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).bounds,
    settable: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).setter !== null,
    advisory: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).advisoryReason,
    irreversible: (row, _, { protocol }) => specOf(protocol.catalog, row.name, row.scope).irreversible,
    history: ({ id }, args, context) => page(facts(context, 'parameterChange', { parameterId: id }), args),
    recommendations: (row, args, context) => page(recommendationsOf(context, row), args),
  },

  ParameterChange: {
    governance: (row, _, context) => context.governanceIn.load(transactionKey(row)),
    subjectLabel: (row, _, { deployment }) => labelOf(deployment, row.scope, row.subject as Address),
    oldRaw: (row) => (row.oldValue === null ? null : integer(row.oldValue)),
    newRaw: (row) => integer(row.newValue),
    oldDisplay: (row, _, { protocol, deployment }) => (row.oldValue === null ? null : displayValue(specOf(protocol.catalog, row.name, row.scope), integer(row.oldValue), row.subject, deployment)),
    newDisplay: (row, _, { protocol, deployment }) => displayValue(specOf(protocol.catalog, row.name, row.scope), integer(row.newValue), row.subject, deployment),
    block: ({ blockNumber }) => blockNumber,
  },

  Recommendation: {
    scope: (row) => row.scope as ParameterNode['scope'],
    title: (row, _, { protocol }) => specOf(protocol.catalog, row.parameter, row.scope as ParameterNode['scope']).title,
    currentRaw: (row) => integer(row.current),
    currentDisplay: (row, _, { protocol, deployment }) => displayValue(specOf(protocol.catalog, row.parameter, row.scope as ParameterNode['scope']), integer(row.current), row.subject, deployment),
    recommendedRaw: (row) => integer(row.recommended),
    recommendedDisplay: (row, _, { protocol, deployment }) => displayValue(specOf(protocol.catalog, row.parameter, row.scope as ParameterNode['scope']), integer(row.recommended), row.subject, deployment),
    direction: (row) => row.direction as Direction,
    evidence: (row) => (row.evidence as unknown as Evidence[]).map(({ label, value, unit, source }) => ({ label, value: String(value), unit, source })),
    adjustments: (row, _, { protocol, deployment }) => {
      const spec = specOf(protocol.catalog, row.parameter, row.scope as ParameterNode['scope'])
      // Stored as raw integers; anything else is words already.
      const display = (text: string): string => (/^-?\d+$/.test(text) ? displayValue(spec, BigInt(text), row.subject, deployment) : text)
      return (row.adjustments as unknown as Adjustment[]).map(({ step, from, to, why }) => ({ step, from: display(String(from)), to: display(String(to)), why }))
    },
    block: ({ run }) => ({ number: run.blockNumber, hash: run.blockHash, timestamp: run.blockTimestamp }),
  },

  Proposal: proposalFields,
}

const priceOrNull = (priceE18: bigint | null | undefined): AmountNode | null => (priceE18 == null ? null : e18(priceE18))

async function positionHealth(context: Context, row: { accountId: string; marketId: string }) {
  const health = (await context.book())?.exposed(row.accountId)
  return health?.positions.find((position) => position.market.toLowerCase() === row.marketId)
}
