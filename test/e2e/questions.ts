/** What the live stack is asked of the risk engine: every query with every field of its answer, and what a market's own prices say by a second method. */
import { readFileSync } from 'node:fs'
import { buildSchema, getNamedType, isNonNullType, isObjectType, type GraphQLObjectType, type GraphQLOutputType } from 'graphql'
import { decodeEventLog, parseAbi, toEventSelector, type Hex } from 'viem'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))

/** Types whose own fields are other parts of the API: named, and not asked through. */
const NAMED: Readonly<Record<string, string>> = { Market: '{ symbol }', CollateralAsset: '{ symbol }', Liquidation: '{ id account block }' }
/** Running a model over the whole book inside another answer is another question. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = { InsuranceFund: ['flows', 'stats'], Breaker: ['history'] }

/** Selects every field of a type that takes no argument that has to be given. */
function selection(type: GraphQLObjectType, seen: readonly string[] = []): string {
  const fields = Object.values(type.getFields()).flatMap((field): string[] => {
    if (field.args.some((arg) => isNonNullType(arg.type) && arg.defaultValue === undefined) || LEFT_OUT[type.name]?.includes(field.name) === true) return []
    const named = getNamedType(field.type)
    if (!isObjectType(named)) return [field.name]
    if (NAMED[named.name] !== undefined) return [`${field.name} ${NAMED[named.name]}`]
    return seen.includes(named.name) ? [] : [`${field.name} ${selection(named, [...seen, type.name])}`]
  })
  return `{ ${fields.join(' ')} }`
}

/** `query { field(args) { everything } }`. */
export function ask(field: string, args = ''): string {
  const [first = '', ...path] = field.split('.')
  let type = schema.getQueryType()?.getFields()[first]?.type as GraphQLOutputType
  for (const name of path) type = (getNamedType(type) as GraphQLObjectType).getFields()[name]?.type as GraphQLOutputType
  const named = getNamedType(type) as GraphQLObjectType
  const body = `${path.at(-1) ?? first}${args} ${selection(named)}`
  return path.length === 0 ? `{ ${body} }` : `{ ${first} { ${body} } }`
}

/** Queries of the index and of proposals, and of one's own runs: what is left is the risk engine. */
const OTHER = new Set([
  'status', 'protocol', 'markets', 'market', 'accounts', 'accountTable', 'account', 'positions', 'liquidations', 'collateralLiquidations', 'insuranceFund', 'collaterals', 'parameters', 'parameter', 'parameterChanges', 'contracts', 'contractUpgrades', 'governanceEvents',
  'recommendation', 'riskRun', 'riskRuns', 'proposals', 'proposal', 'proposalExecution', 'validateDraft', 'policy', 'viewer', 'auditLog',
])

/** Queries of the risk engine in the schema. */
export const riskQueries = (): string[] => Object.keys(schema.getQueryType()?.getFields() ?? {}).filter((name) => !OTHER.has(name))

/** Every query of the risk engine, with arguments. */
export const questions = (account: string, recommendation: string): readonly (readonly [field: string, args: string])[] => [
  ['liquidationQueue', ''],
  ['liquidationStates', ''],
  ['backstopOffers', `(account: "${account}")`],
  ['marketCapacity', '(market: "vETH")'],
  ['deleveraging', '(market: "vETH", size: "1000000000000000000", price: "2000000000000000000000")'],
  ['optionValue', '(input: { call: true, forward: 2000, strike: 2100, years: 0.25, volatility: 0.6 })'],
  ['antiProcyclicality', '(market: "vETH")'],
  ['collateralDiscount', '(asset: "WETH", amount: 100, skewScale: 1000, scalar: 0.5)'],
  ['parameterModels', ''],
  ['liquidationLadder', '(market: "vETH")'],
  ['stressRegimes', ''],
  ['stressTest', '(input: { regimes: ["covid-2020-03-12", "up-squeeze"], shocks: [{ id: "mine", others: -0.1 }] })'],
  ['portfolioMargin', `(input: { account: "${account}" })`],
  ['portfolioMargin', '(input: { legs: [{ kind: PERP, asset: "vETH", size: 10 }, { kind: OPTION, asset: "vETH", size: 10, call: false, strike: 2000, years: 0.25, volatility: 0.6 }, { kind: SPOT, asset: "WETH", size: 1 }] })'],
  ['volatility', '(market: "vETH")'],
  ['backtest', '(input: { market: "vBTC", model: NORMAL_EWMA, side: UP })'],
  ['dynamicMargin', '(market: "vETH")'],
  ['liquidationTiming', ''],
  ['circuitBreakers', ''],
  ['replayBreaker', '(input: { market: "vETH", days: 7 })'],
  ['playbooks', ''],
  ['adlQueue', '(market: "vETH", deficit: "1000000000000000000000")'],
  ['collateralHaircuts', ''],
  ['oracleHealth', ''],
  ['keeperEconomics', '(market: "vETH")'],
  ['liquidationReview', '(first: 20)'],
  ['insuranceFund.target', ''],
  ['recommendations', ''],
  ['recomputeRecommendation', `(id: "${recommendation}")`],
]

// ─── A backtest by a second method ─────────────────────────────────────────────────────────────────────────────────────

const PRICE_EVENT = parseAbi(['event ChainlinkPriceUpdated(uint256 price, uint256 timestamp, uint8 freezedReason)'])
export const PRICE_TOPIC = toEventSelector('ChainlinkPriceUpdated(uint256,uint256,uint8)')

export type PriceLog = { readonly topics: [Hex, ...Hex[]]; readonly data: Hex; readonly blockNumber: Hex }

export type Series = { readonly values: readonly number[]; readonly spans: readonly number[] }

/**
 * A feed's logs → log returns between 5-minute bars by the last price of each, those over more than an hour left out. The window ends
 * with the last whole bar before `nowSec` and reaches 30 days back.
 */
export function returnsOf(logs: readonly PriceLog[], nowSec: number, barSec = 300): Series {
  const endSec = Math.floor(nowSec / barSec) * barSec
  const fromSec = endSec - 30 * 86_400
  const closes = new Map<number, number>()
  const prices = logs
    .map(({ topics, data }) => decodeEventLog({ abi: PRICE_EVENT, topics, data }).args)
    .filter(({ freezedReason }) => freezedReason === 0)
    .map(({ price, timestamp }) => ({ price: Number(price) / 1e8, sec: Number(timestamp) }))
    .toSorted((a, b) => a.sec - b.sec)
  for (const { price, sec } of prices) if (sec >= fromSec && sec < endSec) closes.set(Math.floor(sec / barSec), price)
  const bars = [...closes].toSorted(([a], [b]) => a - b)
  const steps = bars.slice(1).map(([bar, price], i) => ({ value: Math.log(price / (bars[i] as [number, number])[1]), span: bar - (bars[i] as [number, number])[0] }))
  const kept = steps.filter(({ span }) => span * barSec <= 3_600)
  return { values: kept.map(({ value }) => value), spans: kept.map(({ span }) => span) }
}

/** Losses that fewer than 1 % of all earlier ones reached: plain historical simulation, by counting. */
export function historicalExceptions({ values, spans }: Series, level = 0.99): { observations: number; exceptions: number } {
  const needed = Math.ceil(5 / (1 - level) - 1e-9)
  const losses = values.map((value, i) => -value / Math.sqrt(spans[i] as number))
  const isException = (loss: number, i: number): boolean => losses.slice(0, i).filter((one) => one >= loss).length < Math.floor(i * (1 - level) + 1e-9)
  return { observations: losses.length - needed, exceptions: losses.filter((loss, i) => i >= needed && isException(loss, i)).length }
}
