/**
 * What a change does to accounts before anyone signs it: who falls due, who would if prices move first, what it costs and who
 * pays, which couplings it breaks on the way, and what its breakers would have refused. By the contracts' own getters on the
 * fork, and by the risk engine over the mirror's rows; where the two differ, the report says so.
 */
import { InvariantError, UnavailableError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { abs, max, mulDiv, toFloat } from '../core/units.ts'
import type { Prisma, PrismaClient } from '../prisma/client.ts'
import type { Address, Deployment, Protocol } from '../protocols/adapter.ts'
import { protocols } from '../protocols/index.ts'
import { isUnreadable, type OnChain, type Standing, type Unreadable } from '../protocols/onchain.ts'
import { readMarginInputs, type MarginInputs } from '../api/mirror/margins.ts'
import { readAtCheckpoint, toBigInt } from '../api/mirror/read.ts'
import { createContext, type RunContext } from '../api/recommendations/context.ts'
import { swapsOf } from '../api/recommendations/gather.ts'
import { DEFAULT_POLICY, gather, type Policy, type RunInputs } from '../api/recommendations/index.ts'
import { modelOf } from '../api/recommendations/model.ts'
import { fundData } from '../api/recommendations/parameters/distribution-threshold.ts'
import { SampleTooSmallError, directionOf, fundTarget, normalCdf, normalPdf, scaleVolatility, type BreakerBoard, type BreakerLevel } from '../api/risk/index.ts'
import type { Plan } from './build.ts'
import { build } from './build.ts'
import { keyOf, labelOf } from './draft.ts'
import type { Change, Target } from './draft.ts'
import { replayTrades, type MarketEvent, type Trade, type TradeReplay } from './replay.ts'
import { rollbackOf } from './rollback.ts'
import { simulate } from './simulate.ts'
import type { Seen, SimulationResult } from './simulate.ts'
import type { IndexedBlock } from './store.ts'

const RATIO_ONE = 1_000_000n
const DAY_SEC = 86_400
/** Index price moves before execution, 1e6 = 100 %. */
export const MOVES_E6 = [-50_000n, -30_000n, -10_000n, 10_000n, 30_000n, 50_000n] as const
/** Accounts whose margins are read from the contracts, at about 50 ms each; of more, those nearest to liquidation. */
const READ_MAX = 250
const REPLAY_DAYS = 7
/** Accounts without a margin that are named for each reason. */
const NAMED = 20

// ─── Results ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Decimal strings, E18 quote. */
export type MarginJson = { readonly valueE18: string; readonly requirementE18: string; readonly collateralRequirementE18: string; readonly debtE18: string; /** value / gross exposure, rounded down; null without positions. */ readonly marginRatioE6: string | null }

export type AccountImpact = {
  readonly account: Address
  /** Whose figures these are. */
  readonly source: 'CONTRACTS' | 'ENGINE'
  /** What may be liquidated now and could not before. */
  readonly falls: readonly ('POSITIONS' | 'COLLATERAL')[]
  /** Its liquidity has to be cancelled first; anybody may do that while it is below maintenance. */
  readonly afterCancelling: boolean
  readonly before: MarginJson
  readonly after: MarginJson
  /** Σ |size · price|. */
  readonly grossE18: string
  readonly positions: readonly { readonly market: Address; readonly label: string; readonly sizeE18: string; readonly valueE18: string; /** null: the contract reverts, or it was not asked. */ readonly liquidatableE18: string | null }[]
  /** What one liquidation of each collateral takes (its decimals) and repays (settlement decimals); null where the contracts were not asked. */
  readonly collateral: readonly { readonly token: Address; readonly label: string; readonly amount: string; readonly repaid: string }[] | null
  /** What it would owe if it were closed now at the price that positions are valued at, the penalty paid. */
  readonly badDebtE18: string
  /** The same on average over the time that liquidators take; null where a volatility is unknown. */
  readonly expectedBadDebtE18: string | null
}

export type NearMiss = {
  readonly moveE6: string
  /** Accounts that would be due at that price, without and with the change. */
  readonly without: number
  readonly with: number
  /** Those that the change adds there, and does not add at today's price. */
  readonly added: readonly { readonly account: Address; readonly falls: AccountImpact['falls']; readonly valueE18: string; readonly requirementE18: string; readonly grossE18: string; readonly badDebtE18: string }[]
}

export type Difference = { readonly account: Address; readonly when: 'before' | 'after'; readonly field: string; readonly contracts: string; readonly engine: string }

export type InvariantStep = {
  /** 0 before the batch, then after each call. */
  readonly step: number
  readonly after: string
  readonly broken: readonly { readonly name: string; readonly subject: string; readonly text: string; /** It was broken before the batch already. */ readonly before: boolean }[]
  /** Those that could not be checked for want of a value. */
  readonly unknown: readonly string[]
}

export type Impact = {
  readonly version: 2
  /** The pinned block, and the chain time at which margins were compared. */
  readonly block: string
  readonly blockHash: string
  readonly timestampSec: string
  readonly accounts: {
    readonly indexed: number
    readonly readFromContracts: number
    /** More than are read: those nearest to liquidation were. */
    readonly cut: boolean
    readonly unreadable: readonly { readonly account: Address; readonly when: 'before' | 'after'; readonly reason: string }[]
    /** With a margin before and after, by the contracts or by the engine: every total and every count of `nearMiss` is of these. */
    readonly valued: number
    /** All others, by what stands in the way: how many, and the first of them. */
    readonly unvalued: readonly { readonly reason: string; readonly count: number; readonly accounts: readonly Address[] }[]
  }
  /** Largest gross first. */
  readonly newlyLiquidatable: readonly AccountImpact[]
  /** Accounts that may be liquidated now and could not be any more. */
  readonly noLongerLiquidatable: readonly Address[]
  readonly totals: {
    readonly grossE18: string
    readonly badDebtE18: string
    readonly expectedBadDebtE18: string | null
    readonly fundE18: string | null
    /** fund / expected bad debt (bad debt where that is unknown), 1e6 = 100 %; null where there is none, or the fund is unknown. */
    readonly coverE6: string | null
    /** What the fund could not pay of it. */
    readonly uncoveredE18: string | null
  }
  readonly nearMiss: readonly NearMiss[]
  readonly engine: {
    /** Why the engine's figures after the change cannot be compared; null where they can. */
    readonly gap: string | null
    readonly comparedBefore: number
    readonly comparedAfter: number
    /** Every figure in which contracts and engine disagree. */
    readonly differences: readonly Difference[]
  }
  readonly invariants: { readonly checked: number; readonly steps: readonly InvariantStep[]; /** Broken at a step and not before the batch. */ readonly newlyBroken: number }
  readonly fund: { readonly targetBefore: string | null; readonly targetAfter: string | null; readonly bindingAfter: string | null; readonly capacityE18: string | null; /** Why there is no target; null where there is. */ readonly gap: string | null }
  readonly breakers: {
    readonly levels: readonly { readonly subject: string; readonly label: string; readonly level: BreakerLevel }[]
    /** Changes that loosen while a breaker of their market, or of the protocol, is above NORMAL. */
    readonly loosening: readonly string[]
    readonly replays: readonly TradeReplay[]
  }
  /** What was assumed, one sentence each. */
  readonly notes: readonly string[]
}

// ─── Inputs ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Out of the mirror, as of one block. */
export type ImpactInputs = {
  readonly block: IndexedBlock
  readonly margin: MarginInputs
  /** For volatilities and the fund's target. */
  readonly run: RunInputs
  readonly breakers: Impact['breakers']['levels']
  readonly history: readonly { readonly parameter: string; readonly market: Address; readonly fromSec: number; readonly toSec: number; readonly trades: readonly Trade[]; readonly events: readonly MarketEvent[] }[]
}

type Tx = Prisma.TransactionClient

/** `tx` must be one snapshot that stands on the block (readAtCheckpoint). */
export async function readImpactInputs(tx: Tx, block: IndexedBlock, options: { readonly protocol: Protocol; readonly deployment: Deployment; readonly changes: readonly Change[]; readonly policy?: Policy }): Promise<ImpactInputs> {
  const { protocol, deployment, changes, policy = DEFAULT_POLICY } = options
  const margin = await readMarginInputs(tx, { protocol, deployment, withCollateral: true }, block)
  const run = await gather(tx, block, { protocol, deployment, policy })
  const board = await tx.breakerBoard.findFirst({ where: { blockNumber: { lte: block.number } }, orderBy: { blockNumber: 'desc' } })
  const kept = board?.board as unknown as BreakerBoard | undefined
  const markets = new Map(deployment.markets.map((market) => [market.baseToken.toLowerCase(), market.symbol]))
  const breakers = kept === undefined ? [] : [{ subject: 'protocol', label: 'protocol', level: kept.protocol.level }, ...Object.entries(kept.markets).map(([id, state]) => ({ subject: id, label: markets.get(id) ?? id, level: state.level }))]
  const history = []
  for (const change of changes) {
    const breaker = protocol.onChain?.tradeBreakers.find((each) => each.parameter === change.parameter)
    if (breaker !== undefined) history.push({ parameter: breaker.parameter, market: change.subject, ...(await tradesOf(tx, change.subject, block)) })
  }
  return { block, margin, run, breakers, history }
}

async function tradesOf(tx: Tx, market: Address, block: IndexedBlock): Promise<Pick<ImpactInputs['history'][number], 'fromSec' | 'toSec' | 'trades' | 'events'>> {
  const toSec = Number(block.timestamp)
  const fromSec = toSec - REPLAY_DAYS * DAY_SEC
  const timestamp = { gte: BigInt(fromSec), lte: block.timestamp }
  const order = [{ blockNumber: 'asc' as const }, { logIndex: 'asc' as const }]
  const changes = await tx.positionChange.findMany({ where: { marketId: market, timestamp }, orderBy: order })
  const before = await tx.positionChange.findFirst({ where: { marketId: market, timestamp: { lt: BigInt(fromSec) }, sqrtPriceAfterX96: { not: null } }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }] })
  const feedId = (await tx.market.findUnique({ where: { id: market } }))?.feedId ?? null
  const select = { priceE18: true, blockNumber: true, logIndex: true } as const
  const priced = feedId === null ? null : { feedId, freezeReason: 0, priceE18: { gt: 0 } }
  const first = priced === null ? null : await tx.priceUpdate.findFirst({ where: { ...priced, timestamp: { lt: BigInt(fromSec) } }, orderBy: [{ blockNumber: 'desc' }, { logIndex: 'desc' }], select })
  const updates = priced === null ? [] : [...(first === null ? [] : [first]), ...(await tx.priceUpdate.findMany({ where: { ...priced, timestamp }, orderBy: order, select }))]
  const liquidations = await tx.liquidation.findMany({ where: { marketId: market, timestamp }, select: { timestamp: true, accountId: true, notionalE18: true } })
  const rows = changes.map((row) => ({ ...row, sqrtPriceAfterX96: row.sqrtPriceAfterX96?.toFixed(0) ?? null, fee: row.feeE18.toFixed(0) }))
  const swaps = new Set(swapsOf(rows, before?.sqrtPriceAfterX96?.toFixed(0) ?? null))
  let last = before?.sqrtPriceAfterX96 == null ? null : toBigInt(before.sqrtPriceAfterX96)
  let next = 0
  let indexE18: bigint | null = null
  const trades: Trade[] = []
  for (const row of rows) {
    for (let u = updates[next]; u !== undefined && (u.blockNumber < row.blockNumber || (u.blockNumber === row.blockNumber && u.logIndex < row.logIndex)); u = updates[++next]) indexE18 = toBigInt(u.priceE18)
    if (row.sqrtPriceAfterX96 === null) continue
    const sqrtAfterX96 = BigInt(row.sqrtPriceAfterX96)
    if (swaps.has(row)) {
      const [after, delta] = [toBigInt(row.sizeAfterE18), toBigInt(row.sizeDeltaE18)]
      trades.push({ timestampSec: Number(row.timestamp), block: Number(row.blockNumber), account: row.accountId, sqrtBeforeX96: last, sqrtAfterX96, indexE18, notionalE18: abs(toBigInt(row.notionalDeltaE18)), reduces: abs(after) < abs(after - delta) })
    }
    last = sqrtAfterX96
  }
  return { fromSec, toSec, trades, events: liquidations.map((row) => ({ timestampSec: Number(row.timestamp), account: row.accountId, kind: 'liquidation' as const, amount: toFloat(toBigInt(row.notionalE18), 18) })) }
}

// ─── The engine's standings ────────────────────────────────────────────────────────────────────────────────────────

type Book = ReadonlyMap<Address, Standing>

/** Standings of all indexed accounts at a time, with parameters as they are or as the changes leave them. */
function engineBook(protocol: Protocol, onChain: OnChain, deployment: Deployment, margin: MarginInputs, changes: readonly Change[], timestampSec: bigint): { readonly book: Book; readonly gaps: readonly string[] } {
  if (margin.gap !== null) return { book: new Map(), gaps: [margin.gap] }
  const set = new Map(changes.map((change) => [keyOf(change), change.to]))
  const known = margin.states.parameters.map((each) => ({ ...each, value: set.get(keyOf({ parameter: each.name, subject: each.subject })) ?? each.value }))
  const names = new Set(known.map((each) => keyOf({ parameter: each.name, subject: each.subject })))
  const added = changes.filter((change) => !names.has(keyOf(change))).map((change) => ({ name: change.parameter, subject: change.subject as string, value: change.to }))
  const states = { ...margin.states, parameters: [...known, ...added] }
  const book = protocol.margins.book({ deployment, rows: margin.rows, states, timestampSec: Number(timestampSec) })
  const values = new Map(states.parameters.map((each) => [keyOf({ parameter: each.name, subject: each.subject }), each.value]))
  const root = deployment.contracts.clearingHouse
  const ranged = new Set(states.ranges.map((range) => range.accountId))
  const holding = new Set(states.balances.flatMap((balance) => (balance.amount === 0n ? [] : [balance.accountId])))
  const standings = states.accounts.flatMap(({ id }): (readonly [Address, Standing])[] => {
    const account = id.toLowerCase() as Address
    const health = book.health(id)
    const standing =
      health &&
      onChain.standingOf(health, deployment, {
        account,
        hasRanges: ranged.has(id),
        holdsCollateral: holding.has(id),
        isOpen: (market) => (values.get(keyOf({ parameter: 'marketStatus', subject: market })) ?? 0n) === 0n,
        valueOf: (parameter) => values.get(keyOf({ parameter, subject: account })) ?? values.get(keyOf({ parameter, subject: root })) ?? null,
      })
    return standing === null ? [] : [[account, standing]]
  })
  return { book: new Map(standings), gaps: book.gaps }
}

/** Accounts to read from the contracts: all, or those that are nearest to liquidation under the change. */
function accountsToRead(margin: MarginInputs, after: Book, limit: number): readonly Address[] {
  const ids = margin.states.accounts.map(({ id }) => id.toLowerCase() as Address)
  if (ids.length <= limit) return ids
  const room = (account: Address): number => {
    const standing = after.get(account)
    if (standing === undefined) return -Infinity
    const least = [standing.valueE18 - standing.requirementE18, ...(standing.holdsCollateral ? [standing.valueE18 - standing.collateralRequirementE18, standing.debtLimitE18 + standing.settlementValueE18] : [])].reduce((a, b) => (b < a ? b : a))
    return Number(least) / Number(max(1n, standing.grossE18))
  }
  return ids.map((account) => ({ account, room: room(account) })).toSorted((a, b) => a.room - b.room || (a.account < b.account ? -1 : 1)).slice(0, limit).map(({ account }) => account)
}

/** Figures in which the two are held against each other. Whole units of the chain: equal or listed. */
const COMPARED = ['valueE18', 'requirementE18', 'grossE18', 'settlementValueE18', 'collateralRequirementE18', 'belowMaintenance', 'liquidatable', 'collateralLiquidatable'] as const

function differencesOf(when: Difference['when'], chain: readonly (Standing | Unreadable)[], engine: Book): { readonly compared: number; readonly differences: readonly Difference[] } {
  let compared = 0
  const differences = chain.flatMap((standing): Difference[] => {
    const ours = engine.get(standing.account)
    if (isUnreadable(standing) || ours === undefined) {
      if (isUnreadable(standing) && ours === undefined) return []
      return [{ account: standing.account, when, field: 'margin', contracts: isUnreadable(standing) ? standing.reason : 'known', engine: ours === undefined ? 'unknown' : 'known' }]
    }
    compared++
    return COMPARED.flatMap((field) => (standing[field] === ours[field] ? [] : [{ account: standing.account, when, field, contracts: String(standing[field]), engine: String(ours[field]) }]))
  })
  return { compared, differences }
}

// ─── Losses ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** max(0, penalty · gross − value): what is missing once every position is closed at the price that it is valued at. */
function badDebt(standing: Standing): bigint {
  return max(0n, mulDiv(standing.grossE18, standing.penaltyE6, RATIO_ONE) - standing.valueE18)
}

/**
 * E[max(0, penalty · gross − value − X)] for a normal X with mean 0 and standard deviation s = Σ |exposure|·σ over the time
 * that liquidators take, all exposures falling together: s·(φ(d) − d·(1 − Φ(d))) with d = (value − penalty·gross)/s.
 * Source: Bachelier's formula for a put at 0.
 */
export function expectedBadDebt(equity: number, deviation: number): number {
  if (!(deviation > 0)) return Math.max(0, -equity)
  const d = equity / deviation
  return Math.max(0, deviation * (normalPdf(d) - d * normalCdf(-d)))
}

/** Standard deviation of an account's value over the policy's liquidation horizon, quote; null where a volatility is unknown. */
function deviationOf(standing: Standing, context: RunContext): number | null {
  const { policy } = context
  const sigma = (feed: string | null, what: string): number => {
    const found = context.volatility(feed, what)
    return scaleVolatility(Math.max(found.now, found.longRun), policy.barSec, policy.margin.assumedLiquidationSec)
  }
  try {
    const positions = standing.positions.reduce((sum, each) => {
      const { input } = context.market(each.market)
      return sum + (each.open ? Math.abs(toFloat(each.valueE18, 18)) * sigma(input.oracle?.feed ?? null, input.symbol) : 0)
    }, 0)
    // Which collateral it is does not show in a standing: the most volatile of them stands for all.
    const collaterals = standing.collateralValueE18 === 0n ? [] : context.inputs.collaterals.map((each) => sigma(each.oracle?.feed ?? null, each.symbol))
    return positions + toFloat(abs(standing.collateralValueE18), 18) * Math.max(0, ...collaterals)
  } catch (error) {
    if (error instanceof SampleTooSmallError || error instanceof InvariantError) return null
    throw error
  }
}

const fromQuote = (value: number): bigint => BigInt(Math.ceil(value * 1e6)) * 10n ** 12n

// ─── The report ────────────────────────────────────────────────────────────────────────────────────────────────────

type Falls = AccountImpact['falls']

function fallsOf(before: Standing | undefined, after: Standing): Falls {
  const positions = after.belowMaintenance && after.positions.some((each) => each.open) && !(before?.belowMaintenance ?? false)
  const collateral = after.collateralLiquidatable && !(before?.collateralLiquidatable ?? false)
  return [...(positions ? (['POSITIONS'] as const) : []), ...(collateral ? (['COLLATERAL'] as const) : [])]
}

const isDue = (standing: Standing): boolean => (standing.belowMaintenance && standing.positions.some((each) => each.open)) || standing.collateralLiquidatable

const marginJson = (standing: Standing): MarginJson => ({
  valueE18: standing.valueE18.toString(),
  requirementE18: standing.requirementE18.toString(),
  collateralRequirementE18: standing.collateralRequirementE18.toString(),
  debtE18: max(0n, -standing.settlementValueE18).toString(),
  marginRatioE6: standing.grossE18 === 0n ? null : mulDiv(standing.valueE18, RATIO_ONE, standing.grossE18, 'floor').toString(),
})

export type ImpactOf = {
  readonly target: Target
  readonly protocol: Protocol
  readonly plan: Plan
  readonly inputs: ImpactInputs
  readonly seen: Seen
  /** Every account was read, or only a part. */
  readonly cut: boolean
}

/** What the change does, out of what was seen on the fork and what the mirror holds. Pure. Throws InvariantError for a protocol whose contracts cannot be read. */
export function impactOf({ target, protocol, plan, inputs, seen, cut }: ImpactOf): Impact {
  const { deployment } = target
  const { onChain } = protocol
  if (onChain === undefined) throw new InvariantError(`Found no getters of accounts for ${protocol.name}, allowed are protocols that have them`)
  const { changes } = plan
  const { margin } = inputs
  const unfollowed = changes.filter((change) => onChain.marginParameters[change.parameter] === 'NOT_FOLLOWED')
  const engineBefore = engineBook(protocol, onChain, deployment, margin, [], seen.timestampSec)
  const engineAfter = engineBook(protocol, onChain, deployment, margin, changes, seen.timestampSec)
  const gap =
    margin.gap ??
    (unfollowed.length === 0 ? null : `the engine's margins do not follow ${unfollowed.map((change) => `${change.parameter} of ${change.subjectLabel}`).join(', ')}: the contracts' figures alone count after the change`)

  const read = (list: readonly (Standing | Unreadable)[]): Book => new Map(list.flatMap((each) => (isUnreadable(each) ? [] : [[each.account, each] as const])))
  const [chainBefore, chainAfter] = [read(seen.before), read(seen.after)]
  const unreadable = (['before', 'after'] as const).flatMap((when) => seen[when].flatMap((each) => (isUnreadable(each) ? [{ account: each.account, when, reason: each.reason }] : [])))
  const refused = new Map(unreadable.toReversed().map((each) => [each.account, `${each.reason} ${each.when} the change`]))
  const all = margin.states.accounts.map(({ id }) => id.toLowerCase() as Address)
  // The contracts' word where they were asked, and the engine's for the rest; an account that they refuse to answer for is unknown.
  const anyBefore: Book = new Map([...engineBefore.book, ...chainBefore])
  const anyAfter: Book = new Map([...(unfollowed.length === 0 ? engineAfter.book : []), ...chainAfter])
  const valued = new Set(all.filter((account) => !refused.has(account) && anyBefore.has(account) && anyAfter.has(account)))
  const ofValued = (book: Book): Book => new Map([...book].filter(([account]) => valued.has(account)))
  const [before, after] = [ofValued(anyBefore), ofValued(anyAfter)]
  const unvalued = new Map<string, Address[]>()
  for (const account of all.filter((each) => !valued.has(each)).toSorted()) {
    const reason = refused.get(account) ?? `not read from the contracts, and ${gap ?? 'the risk engine lacks a figure of it'}`
    unvalued.set(reason, [...(unvalued.get(reason) ?? []), account])
  }
  const symbols = new Map(deployment.markets.map((market) => [market.baseToken.toLowerCase(), market.symbol]))
  const context = createContext(inputs.run)

  const accounts = [...after.values()].flatMap((now): AccountImpact[] => {
    const was = before.get(now.account)
    const falls = fallsOf(was, now)
    if (falls.length === 0 || was === undefined) return []
    const deviation = deviationOf(now, context)
    const equity = toFloat(now.valueE18 - mulDiv(now.grossE18, now.penaltyE6, RATIO_ONE), 18)
    return [
      {
        account: now.account,
        source: chainAfter.has(now.account) ? 'CONTRACTS' : 'ENGINE',
        falls,
        afterCancelling: falls.includes('POSITIONS') && now.hasRanges,
        before: marginJson(was),
        after: marginJson(now),
        grossE18: now.grossE18.toString(),
        positions: now.positions.map((each) => ({ market: each.market, label: symbols.get(each.market) ?? each.market, sizeE18: each.sizeE18.toString(), valueE18: each.valueE18.toString(), liquidatableE18: each.liquidatableE18?.toString() ?? null })),
        collateral: now.seizable?.map((each) => ({ token: each.token, label: labelOf(deployment, 'COLLATERAL', each.token), amount: each.amount.toString(), repaid: each.repaid.toString() })) ?? null,
        badDebtE18: badDebt(now).toString(),
        expectedBadDebtE18: deviation === null ? null : fromQuote(expectedBadDebt(equity, deviation)).toString(),
      },
    ]
  })
  accounts.sort((a, b) => (BigInt(b.grossE18) > BigInt(a.grossE18) ? 1 : BigInt(b.grossE18) < BigInt(a.grossE18) ? -1 : a.account < b.account ? -1 : 1))
  const nowDue = new Set(accounts.map((each) => each.account))
  const sum = (pick: (each: AccountImpact) => string): bigint => accounts.reduce((total, each) => total + BigInt(pick(each)), 0n)
  const expected = accounts.some((each) => each.expectedBadDebtE18 === null) ? null : sum((each) => each.expectedBadDebtE18 ?? '0')
  const debt = sum((each) => each.badDebtE18)
  const loss = expected ?? debt
  const { fundE18 } = seen.backingAfter

  const compareBefore = differencesOf('before', seen.before, engineBefore.book)
  const compareAfter = gap === null ? differencesOf('after', seen.after, engineAfter.book) : { compared: 0, differences: [] }

  return {
    version: 2,
    block: inputs.block.number.toString(),
    blockHash: inputs.block.hash,
    timestampSec: seen.timestampSec.toString(),
    accounts: { indexed: margin.states.accounts.length, readFromContracts: seen.after.length, cut, unreadable, valued: valued.size, unvalued: [...unvalued].map(([reason, accounts]) => ({ reason, count: accounts.length, accounts: accounts.slice(0, NAMED) })) },
    newlyLiquidatable: accounts,
    noLongerLiquidatable: [...before.values()].flatMap((was) => { const now = after.get(was.account); return isDue(was) && now !== undefined && !isDue(now) ? [was.account] : [] }).toSorted(),
    totals: {
      grossE18: sum((each) => each.grossE18).toString(),
      badDebtE18: debt.toString(),
      expectedBadDebtE18: expected?.toString() ?? null,
      fundE18: fundE18?.toString() ?? null,
      coverE6: fundE18 === null || loss === 0n ? null : mulDiv(max(0n, fundE18), RATIO_ONE, loss).toString(),
      uncoveredE18: fundE18 === null ? null : max(0n, loss - max(0n, fundE18)).toString(),
    },
    nearMiss: MOVES_E6.map((moveE6) => nearMissAt(onChain, before, after, nowDue, moveE6)),
    engine: { gap, comparedBefore: compareBefore.compared, comparedAfter: compareAfter.compared, differences: [...compareBefore.differences, ...compareAfter.differences] },
    invariants: invariantsOf(target, onChain, changes, margin),
    fund: fundOf(context, inputs.run, changes, fundE18),
    breakers: { levels: inputs.breakers, loosening: looseningOf(changes, inputs.breakers), replays: replaysOf(onChain, changes, inputs.history) },
    notes: [
      'margins before and after are read at the same chain time: nothing but the change lies between them',
      ...(seen.timestampSec > inputs.block.timestamp + 1n ? [`margins are those of the first second in which what is queued may be executed, ${seen.timestampSec - inputs.block.timestamp} s after the block, at the prices of the block`] : []),
      'a price move takes every index price, and the price that positions are valued at, by the same share; ranges keep what they hold, and funding stands still',
      `expected bad debt: all of an account's exposures fall together, normally distributed, over ${context.policy.margin.assumedLiquidationSec} s`,
      'the risk engine’s own breakers are set by its policy and not by parameters: what changes is the market’s price band and tick cap, which are replayed',
      ...new Set([...engineBefore.gaps, ...engineAfter.gaps]),
    ],
  }
}

function nearMissAt(onChain: OnChain, before: Book, after: Book, nowDue: ReadonlySet<Address>, moveE6: bigint): NearMiss {
  const at = (book: Book): Book => new Map([...book].map(([account, standing]) => [account, onChain.moved(standing, moveE6)]))
  const [without, withChange] = [at(before), at(after)]
  const count = (book: Book): number => [...book.values()].filter(isDue).length
  const added = [...withChange.values()].flatMap((now) => {
    const falls = nowDue.has(now.account) ? [] : fallsOf(without.get(now.account), now)
    return falls.length === 0 ? [] : [{ account: now.account, falls, valueE18: now.valueE18.toString(), requirementE18: now.requirementE18.toString(), grossE18: now.grossE18.toString(), badDebtE18: badDebt(now).toString() }]
  })
  return { moveE6: moveE6.toString(), without: count(without), with: count(withChange), added: added.toSorted((a, b) => (a.account < b.account ? -1 : 1)) }
}

/** Couplings between parameters before the batch and after each of its calls. */
function invariantsOf(target: Target, onChain: OnChain, changes: readonly Change[], margin: MarginInputs): Impact['invariants'] {
  const { deployment, catalog } = target
  const root = deployment.contracts.clearingHouse
  const values = new Map(margin.states.parameters.map((each) => [keyOf({ parameter: each.name, subject: each.subject }), each.value]))
  const subjectsOf = { PROTOCOL: [root], MARKET: deployment.markets.map((each) => each.baseToken), COLLATERAL: deployment.collaterals.map((each) => each.token) }
  const touched = new Set(changes.map((change) => change.parameter))
  const checks = onChain.invariants.filter((each) => each.parameters.some((name) => touched.has(name))).flatMap((invariant) => subjectsOf[invariant.scope].map((subject) => ({ invariant, subject, label: labelOf(deployment, invariant.scope, subject) })))
  const look = (step: number, after: string, start: ReadonlySet<string>): InvariantStep => {
    const broken: InvariantStep['broken'][number][] = []
    const unknown: string[] = []
    for (const { invariant, subject, label } of checks) {
      const found = invariant.check((parameter) => values.get(keyOf({ parameter, subject: catalog.find(parameter).scope === 'PROTOCOL' ? root : subject })) ?? null)
      if (found === null) unknown.push(`${invariant.name} of ${label}`)
      else if (!found.holds) broken.push({ name: invariant.name, subject: label, text: found.text, before: start.has(`${invariant.name}:${label}`) })
    }
    return { step, after, broken, unknown }
  }
  const first = look(0, 'before the batch', new Set())
  const start = new Set(first.broken.map((each) => `${each.name}:${each.subject}`))
  const steps: InvariantStep[] = [{ ...first, broken: first.broken.map((each) => ({ ...each, before: true })) }]
  changes.forEach((change, i) => {
    values.set(keyOf(change), change.to)
    steps.push(look(i + 1, `${change.parameter} of ${change.subjectLabel}`, start))
  })
  return { checked: checks.length, steps, newlyBroken: steps.reduce((total, each) => total + each.broken.filter((one) => !one.before).length, 0) }
}

/** The fund's target before and after, by the recommendations' own model. */
function fundOf(context: RunContext, run: RunInputs, changes: readonly Change[], fundE18: bigint | null): Impact['fund'] {
  const targetOf = (of: RunContext): { readonly target: string; readonly binding: string } => {
    const data = fundData(of)
    const { target, binding } = fundTarget(data.shortfalls, data.openInterest, data.kappa)
    return { target: fromQuote(target).toString(), binding }
  }
  const capacityE18 = fundE18?.toString() ?? null
  try {
    const set = new Map(changes.map((change) => [keyOf(change), change.to.toString()]))
    const parameters = run.parameters.map((each) => ({ ...each, current: set.get(keyOf({ parameter: each.name, subject: each.subject })) ?? each.current }))
    const now = targetOf(context)
    const then = targetOf(createContext({ ...run, parameters }))
    return { targetBefore: now.target, targetAfter: then.target, bindingAfter: then.binding, capacityE18, gap: null }
  } catch (error) {
    if (!(error instanceof SampleTooSmallError)) throw error
    return { targetBefore: null, targetAfter: null, bindingAfter: null, capacityE18, gap: error.message }
  }
}

function looseningOf(changes: readonly Change[], levels: Impact['breakers']['levels']): readonly string[] {
  return changes.flatMap((change) => {
    const model = modelOf(change.parameter)
    const alarmed = levels.filter((each) => each.level !== 'NORMAL' && (each.subject === 'protocol' || each.subject === change.subject))
    if (model === undefined || alarmed.length === 0 || directionOf(change.from, change.to, model.tightWay) !== 'LOOSEN') return []
    return [`${change.parameter} of ${change.subjectLabel} loosens while the breaker of ${alarmed.map((each) => `${each.label} is in ${each.level}`).join(', ')}`]
  })
}

const replaysOf = (onChain: OnChain, changes: readonly Change[], history: ImpactInputs['history']): readonly TradeReplay[] =>
  history.flatMap(({ parameter, market, ...rest }) => {
    const change = changes.find((each) => each.parameter === parameter && each.subject === market)
    const breaker = onChain.tradeBreakers.find((each) => each.parameter === parameter)
    return change === undefined || breaker === undefined ? [] : [replayTrades(breaker, { market: change.subjectLabel, from: change.from, to: change.to, ...rest })]
  })

// ─── Everything at once ────────────────────────────────────────────────────────────────────────────────────────────

export type Examined = { readonly block: IndexedBlock; readonly simulation: SimulationResult; /** null where the batch does not go through: it then changes nothing. */ readonly impact: Impact | null }

export type ExamineOptions = { readonly prisma: PrismaClient; readonly target: Target; readonly rpcUrl: string; readonly stateDir: string; readonly log?: Logger; readonly policy?: Policy; /** Accounts read from the contracts at most. */ readonly readMax?: number }

/**
 * Simulates a plan with its way back at the indexed block, and works out its impact from the same block. Throws
 * UnavailableError where nothing is indexed, or the chain or the fork does not answer.
 */
export async function examine(plan: Plan, { prisma, target, rpcUrl, stateDir, log, policy = DEFAULT_POLICY, readMax = READ_MAX }: ExamineOptions): Promise<Examined> {
  const { deployment } = target
  const protocol = protocols.find((each) => each.catalog === target.catalog)
  if (protocol === undefined) throw new InvariantError('Found a catalog of no protocol, allowed are those of protocols/index.ts')
  const started = performance.now()
  const inputs = await readAtCheckpoint(prisma, async (tx, found) => {
    if (found === null) return null
    const block: IndexedBlock = { number: found.number, hash: found.hash as IndexedBlock['hash'], timestamp: found.timestamp }
    return readImpactInputs(tx, block, { protocol, deployment, changes: plan.changes, policy })
  })
  if (inputs === null) throw new UnavailableError({ part: 'mirror', found: 'nothing is indexed yet', action: 'wait for the first indexed block' })
  const { block, margin } = inputs
  const { onChain } = protocol
  const engine = onChain === undefined || margin.states.accounts.length <= readMax ? new Map<Address, Standing>() : engineBook(protocol, onChain, deployment, margin, plan.changes, block.timestamp).book
  const accounts = onChain === undefined ? [] : accountsToRead(margin, engine, readMax)
  const back = rollbackOf(target, plan)
  const readMs = performance.now() - started
  const { result, seen } = await simulate(target, plan, build(target, plan), { rpcUrl, stateDir, block, rollback: back.plan === null ? null : back, accounts })
  const simulatedMs = performance.now() - started
  const impact = seen === null ? null : impactOf({ target, protocol, plan, inputs, seen, cut: accounts.length < margin.states.accounts.length })
  log?.info({ block: block.number.toString(), accounts: accounts.length, readMs: Math.round(readMs), simulateMs: Math.round(simulatedMs - readMs), impactMs: Math.round(performance.now() - started - simulatedMs) }, 'change examined')
  return { block, simulation: result, impact }
}
