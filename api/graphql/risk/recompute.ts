/** A recommendation computed again from its stored inputs, and those inputs against graph-node at their block. */
import { endpointOf } from '../../../core/endpoint.ts'
import { BulwarkError } from '../../../core/errors.ts'
import { canonicalJson, digestOf, inputsOf, recompute, runInputsOf, type RunInputs } from '../../recommendations/index.ts'
import { firstLine, type Chain } from '../chain.ts'
import type { Context, IndexedBlock } from '../context.ts'
import type { Maybe } from '../generated/resolvers.ts'
import type { Answer } from './answer.ts'

export type Comparison = Omit<Answer<'IndexComparison'>, 'block'>

/** Compares a run's inputs with the index at their block. */
export type CompareWithIndex = (block: IndexedBlock, inputs: RunInputs) => Promise<Comparison>

const TIMEOUT_MS = 10_000
/** Rows of one entity that are fetched, 1,000 a page; a larger book is compared but for that. */
const MAX_ROWS = 50_000
const PAGE = 1_000
const ENTITIES = `parameters(first: 1000, block: $at) { name subject value }
  markets(first: 1000, block: $at) { id sqrtPriceX96 openInterestLongE18 openInterestShortE18 }
  oracleFeeds(first: 1000, block: $at) { id priceE18 priceTimestamp freezeReason fallback }
  insuranceFunds(first: 1, block: $at) { id walletBalance inTransit vaultBalanceE18 }`
/** Lists that grow with the book, by pages: fields, and which rows are inputs of a run. */
const LISTS = {
  accounts: { fields: 'settlementBalance owedRealizedPnlE18', where: '' },
  positions: { fields: 'account { id } market { id } sizeE18 openNotionalE18', where: 'or: [{ sizeE18_not: 0, id_gt: $after }, { openNotionalE18_not: 0, id_gt: $after }]' },
  collateralBalances: { fields: 'account { id } asset { id } amount', where: 'amount_not: 0' },
  liquidityRanges: { fields: 'account { id } market { id } lowerTick upperTick liquidity baseDebtE18 quoteDebtE18', where: 'liquidity_gt: 0' },
} as const
/** A feed's answers by the oracle's own time, as a run's series takes them: of one time the last of the chain counts. */
const pricesQuery = (feeds: readonly string[], asOfSec: number): string => feeds.map((feed, i) => `f${i}: priceUpdates(first: 20, orderBy: priceTimestamp, orderDirection: desc, where: { feed: "${feed}", freezeReason: 0, priceE18_gt: 0, priceTimestamp_lt: ${asOfSec} }, block: $at) { priceE18 priceTimestamp blockNumber logIndex }`).join('\n')

type Id = { readonly id: string }
type PriceRow = { readonly priceE18: string; readonly priceTimestamp: string; readonly blockNumber: string; readonly logIndex: number }
export type IndexRows = {
  readonly parameters: readonly { name: string; subject: string; value: string }[]
  readonly markets: readonly { id: string; sqrtPriceX96: string | null; openInterestLongE18: string; openInterestShortE18: string }[]
  readonly oracleFeeds: readonly { id: string; priceE18: string | null; priceTimestamp: string | null; freezeReason: number; fallback: boolean }[]
  readonly insuranceFunds: readonly { id: string; walletBalance: string; inTransit: string; vaultBalanceE18: string }[]
  /** Whole lists; null where the index holds more than MAX_ROWS. */
  readonly accounts: readonly { id: string; settlementBalance: string; owedRealizedPnlE18: string }[] | null
  readonly positions: readonly { account: Id; market: Id; sizeE18: string; openNotionalE18: string }[] | null
  readonly collateralBalances: readonly { account: Id; asset: Id; amount: string }[] | null
  readonly liquidityRanges: readonly { account: Id; market: Id; lowerTick: number; upperTick: number; liquidity: string; baseDebtE18: string; quoteDebtE18: string }[] | null
  /** By feed, the latest oracle time first. */
  readonly prices: Readonly<Record<string, readonly PriceRow[]>>
}

const nothing = (state: Comparison['state'], detail: string): Comparison => ({ state, compared: 0, differs: [], notCompared: [], detail })

/** graph-node answers a hash that is no longer canonical with the canonical data of that height, so the chain is asked first. */
export function createComparison({ graphNodeUrl, apiKey, chain }: { readonly graphNodeUrl: string; readonly apiKey: string | null; readonly chain: Chain }): CompareWithIndex {
  const { url, headers } = endpointOf(graphNodeUrl, apiKey)
  return async (block, inputs) => {
    try {
      const canonical = await chain.client.getBlock({ blockNumber: block.number })
      if (canonical.hash.toLowerCase() !== block.hash.toLowerCase()) return nothing('NOT_KEPT', `Block ${block.number} is another one now (${canonical.hash}): a reorganisation took back the one that these inputs stood on.`)
    } catch (error) {
      return nothing('UNAVAILABLE', `The chain does not say which block ${block.number} is canonical (${firstLine(error)}).`)
    }
    const ask = async <T>(query: string, variables: object): Promise<T> => {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables: { at: { hash: block.hash }, ...variables } }), signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => { throw new NoAnswer('UNAVAILABLE', `graph-node did not answer (${firstLine(error)}).`) })
      if (!response.ok) throw new NoAnswer('UNAVAILABLE', `graph-node answered HTTP ${response.status}.`)
      const { data, errors = [] } = (await response.json()) as { data?: T | null; errors?: readonly { message: string }[] }
      if (data == null) throw new NoAnswer('NOT_KEPT', `graph-node does not give block ${block.number} any more (${errors.map((e) => e.message).join(' ').slice(0, 200)}).`)
      return data
    }
    type Row<Name extends keyof typeof LISTS> = NonNullable<IndexRows[Name]>[number] & Id
    const list = async <Name extends keyof typeof LISTS>(name: Name): Promise<readonly Row<Name>[] | null> => {
      const { fields, where } = LISTS[name]
      const rows: Row<Name>[] = []
      for (let after = '0x'; ; after = rows.at(-1)?.id ?? after) {
        const page = (await ask<Record<string, Row<Name>[]>>(`query ($at: Block_height!, $after: Bytes!) { ${name}(first: ${PAGE}, block: $at, where: { ${where.startsWith('or:') ? where : `${where} id_gt: $after`} }) { id ${fields} } }`, { after }))[name] ?? []
        rows.push(...page)
        if (page.length < PAGE) return rows
        if (rows.length >= MAX_ROWS) return null
      }
    }
    let rows: IndexRows
    try {
      const feeds = inputs.series.map(({ feed }) => feed)
      const fixed = await ask<Omit<IndexRows, keyof typeof LISTS | 'prices'>>(`query ($at: Block_height!) { ${ENTITIES} }`, {})
      const prices = feeds.length === 0 ? {} : await ask<Record<string, readonly PriceRow[]>>(`query ($at: Block_height!) { ${pricesQuery(feeds, inputs.asOfSec)} }`, {})
      rows = { ...fixed, accounts: await list('accounts'), positions: await list('positions'), collateralBalances: await list('collateralBalances'), liquidityRanges: await list('liquidityRanges'), prices: Object.fromEntries(feeds.map((feed, i) => [feed, prices[`f${i}`] ?? []])) }
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      return nothing(error.state, error.message)
    }
    const { compared, differs, notCompared } = compareRows(inputs, rows)
    return { state: differs.length === 0 ? 'SAME' : 'DIFFERENT', compared, differs, notCompared, detail: `${compared} values were compared at block ${block.number}, ${differs.length} differ.` }
  }
}

/** Why there is nothing to compare with; caught by the comparison itself. */
class NoAnswer extends Error {
  readonly state: 'NOT_KEPT' | 'UNAVAILABLE'
  constructor(state: 'NOT_KEPT' | 'UNAVAILABLE', message: string) {
    super(message)
    this.state = state
  }
}

/** What stands in no entity of the index as it is, or is no fact of one block. */
const NEVER_COMPARED = [
  'prices before the last one of each feed',
  'volumes, fees and spreads of the window, which are sums over its trades',
  'times of liquidations and gaps between prices, which are statistics of the window',
  'what stood recommended, the fund’s simulation and the breakers’ levels, which this server keeps itself',
] as const

/**
 * Every value of the inputs that stands in the index as it is: parameters, pool prices, open interest, oracles, the fund, balances of each account;
 * positions, collateral and ranges by count and by SHA-256 over all of their amounts; the last price of each feed.
 */
export function compareRows(inputs: RunInputs, rows: IndexRows): { readonly compared: number; readonly differs: string[]; readonly notCompared: string[] } {
  const differs: string[] = []
  let compared = 0
  const same = (what: string, stored: unknown, found: unknown): void => {
    compared++
    if (String(stored) !== String(found)) differs.push(`${what}: stored ${String(stored)}, graph-node has ${String(found)}`)
  }
  const values = new Map(rows.parameters.map((row) => [`${row.name}:${row.subject}`, row.value]))
  // A parameter that no event has announced was read from the chain, and is not in the index.
  for (const p of inputs.parameters) if (values.has(`${p.name}:${p.subject}`)) same(`${p.name} of ${p.subjectLabel}`, p.current, values.get(`${p.name}:${p.subject}`))
  const markets = new Map(rows.markets.map((row) => [row.id, row]))
  for (const m of inputs.markets) {
    const found = markets.get(m.id)
    same(`pool price of ${m.symbol}`, m.sqrtPriceX96, found?.sqrtPriceX96)
    same(`long open interest of ${m.symbol}`, m.openInterestLongE18, found?.openInterestLongE18)
    same(`short open interest of ${m.symbol}`, m.openInterestShortE18, found?.openInterestShortE18)
  }
  const feeds = new Map(rows.oracleFeeds.map((row) => [row.id, row]))
  for (const { symbol, oracle } of [...inputs.markets, ...inputs.collaterals]) {
    if (oracle === null) continue
    const found = feeds.get(oracle.feed)
    same(`index price of ${symbol}`, oracle.priceE18, found?.priceE18)
    same(`time of the index price of ${symbol}`, oracle.priceTimestampSec, found?.priceTimestamp)
    same(`freeze reason of ${symbol}`, oracle.freezeReason, found?.freezeReason)
    same(`fallback of ${symbol}`, oracle.fallback, found?.fallback)
  }
  const [fund] = rows.insuranceFunds
  for (const key of ['walletBalance', 'inTransit', 'vaultBalanceE18'] as const) if (inputs.fund !== null) same(`fund’s ${key}`, inputs.fund[key], fund?.[key])

  const notCompared: string[] = []
  const whole = <T>(what: string, list: readonly T[] | null, use: (list: readonly T[]) => void): void => void (list === null ? notCompared.push(`${what}: the index holds more than ${MAX_ROWS}`) : use(list))
  const set = (what: string, stored: readonly (readonly unknown[])[], found: readonly (readonly unknown[])[]): void => {
    same(`number of ${what}`, stored.length, found.length)
    same(`SHA-256 of the amounts of ${what}`, digestOfSet(stored), digestOfSet(found))
  }
  const marketIds = new Set(inputs.markets.map((m) => m.id))
  const assetIds = new Set(inputs.collaterals.map((c) => c.id))
  whole('accounts', rows.accounts, (list) => {
    const byId = new Map(list.map((row) => [row.id, row]))
    for (const { id, settlementBalance, owedRealizedPnlE18 } of inputs.accounts) {
      same(`settlement balance of ${id}`, settlementBalance, byId.get(id)?.settlementBalance)
      same(`owed realised PnL of ${id}`, owedRealizedPnlE18, byId.get(id)?.owedRealizedPnlE18)
    }
  })
  whole('positions', rows.positions, (list) => {
    // The fund's own account is no trader, and not among the accounts.
    const own = list.filter(({ account, market }) => marketIds.has(market.id) && account.id !== fund?.id)
    same('number of accounts with positions', inputs.accounts.filter(({ positions }) => positions.length > 0).length, new Set(own.map(({ account }) => account.id)).size)
    set('positions', inputs.accounts.flatMap(({ id, positions }) => positions.map((p) => [id, p.market, p.sizeE18, p.openNotionalE18])), own.map((p) => [p.account.id, p.market.id, p.sizeE18, p.openNotionalE18]))
  })
  whole('balances of collateral', rows.collateralBalances, (list) => {
    set('balances of collateral', inputs.accounts.flatMap(({ id, collaterals }) => collaterals.map((c) => [id, c.asset, c.amount])), list.filter(({ account, asset }) => assetIds.has(asset.id) && account.id !== fund?.id).map((c) => [c.account.id, c.asset.id, c.amount]))
  })
  whole('liquidity ranges', rows.liquidityRanges, (list) => {
    set('liquidity ranges', inputs.markets.flatMap(({ id, ranges }) => ranges.map((r) => [r.account, id, r.lowerTick, r.upperTick, r.liquidity, r.baseDebtE18, r.quoteDebtE18])), list.filter(({ market }) => marketIds.has(market.id)).map((r) => [r.account.id, r.market.id, r.lowerTick, r.upperTick, r.liquidity, r.baseDebtE18, r.quoteDebtE18]))
  })
  for (const { feed, bars } of inputs.series) {
    // Of prices of one oracle time the last of the chain counts.
    const [last] = [...(rows.prices[feed] ?? [])].sort((a, b) => Number(b.priceTimestamp) - Number(a.priceTimestamp) || Number(b.blockNumber) - Number(a.blockNumber) || b.logIndex - a.logIndex)
    const stored = bars.at(-1)
    if (stored !== undefined || last !== undefined) same(`last price in the series of ${feed}`, stored?.[1], last?.priceE18)
  }
  return { compared, differs, notCompared: [...notCompared, ...NEVER_COMPARED] }
}

/** SHA-256 over rows in an order of their own: two sets of the same rows have the same one. */
const digestOfSet = (rows: readonly (readonly unknown[])[]): string => digestOf(rows.map((row) => row.map(String)).toSorted((a, b) => (a.join() < b.join() ? -1 : 1)))

const FIELDS = ['parameter', 'scope', 'subject', 'subjectLabel', 'current', 'recommended', 'modelValue', 'direction', 'urgency', 'confidence', 'reason', 'evidence', 'adjustments', 'model', 'modelVersion', 'settable', 'advisory'] as const

export async function resolveRecomputation(_: unknown, { id }: { id: string }, context: Context): Promise<Maybe<Answer<'Recomputation'>>> {
  // Not of the snapshot, which would be held while graph-node gives its pages.
  const row = await context.prisma.recommendation.findUnique({ where: { id }, include: { run: true } })
  if (row === null) return null
  const inputs = inputsOf(row)
  const stored: Record<string, unknown> = { ...row, current: row.current.toFixed(0), recommended: row.recommended.toFixed(0) }
  const differs: string[] = []
  try {
    const content = recompute(inputs)
    for (const field of FIELDS) {
      const [was, is] = [canonicalJson(stored[field]), canonicalJson(content[field])]
      if (was !== is) differs.push(`${field}: stored ${was.slice(0, 120)}, computed now ${is.slice(0, 120)}`)
    }
  } catch (error) {
    // Another version of the model made it: that is what differs.
    if (!(error instanceof BulwarkError) || error.code !== 'BAD_INPUT') throw error
    differs.push(error.message)
  }
  const inputsDigest = digestOf(inputs)
  if (inputsDigest !== row.inputsDigest) differs.push(`inputs: stored under ${row.inputsDigest}, they are ${inputsDigest}`)
  const block = { number: row.run.blockNumber, hash: row.run.blockHash, timestamp: row.run.blockTimestamp }
  const { run, ...rest } = row
  const comparison = context.risk.compare === null ? nothing('UNAVAILABLE', 'This server was given no graph-node to compare with; set GRAPH_NODE_URL.') : await context.risk.compare(block, runInputsOf(run))
  return { recommendation: { ...rest, run }, identical: differs.length === 0, inputsDigest, differs, comparison: { ...comparison, block } }
}
