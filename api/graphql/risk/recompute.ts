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
const ENTITIES = `parameters(first: 1000, block: $at) { name subject value }
  markets(first: 1000, block: $at) { id sqrtPriceX96 openInterestLongE18 openInterestShortE18 }
  oracleFeeds(first: 1000, block: $at) { id priceE18 priceTimestamp freezeReason fallback }
  insuranceFunds(first: 1, block: $at) { walletBalance inTransit vaultBalanceE18 }`

type Rows = {
  readonly parameters: readonly { name: string; subject: string; value: string }[]
  readonly markets: readonly { id: string; sqrtPriceX96: string | null; openInterestLongE18: string; openInterestShortE18: string }[]
  readonly oracleFeeds: readonly { id: string; priceE18: string | null; priceTimestamp: string | null; freezeReason: number; fallback: boolean }[]
  readonly insuranceFunds: readonly { walletBalance: string; inTransit: string; vaultBalanceE18: string }[]
}

const nothing = (state: Comparison['state'], detail: string): Comparison => ({ state, compared: 0, differs: [], detail })

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
    let answer: { data?: Rows | null; errors?: readonly { message: string }[] }
    try {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query: `query ($at: Block_height!) { ${ENTITIES} }`, variables: { at: { hash: block.hash } } }), signal: AbortSignal.timeout(TIMEOUT_MS) })
      if (!response.ok) return nothing('UNAVAILABLE', `graph-node answered HTTP ${response.status}.`)
      answer = (await response.json()) as typeof answer
    } catch (error) {
      return nothing('UNAVAILABLE', `graph-node did not answer (${firstLine(error)}).`)
    }
    if (answer.data == null) return nothing('NOT_KEPT', `graph-node does not give block ${block.number} any more (${(answer.errors ?? []).map((e) => e.message).join(' ').slice(0, 200)}).`)
    const { compared, differs } = compareRows(inputs, answer.data)
    return { state: differs.length === 0 ? 'SAME' : 'DIFFERENT', compared, differs, detail: `${compared} values were compared at block ${block.number}, ${differs.length} differ.` }
  }
}

/** Every value of the inputs that stands in the index as it is: parameters, pool prices, open interest, oracles, the fund. */
export function compareRows(inputs: RunInputs, rows: Rows): { readonly compared: number; readonly differs: string[] } {
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
  return { compared, differs }
}

const FIELDS = ['parameter', 'scope', 'subject', 'subjectLabel', 'current', 'recommended', 'modelValue', 'direction', 'urgency', 'confidence', 'reason', 'evidence', 'adjustments', 'model', 'modelVersion', 'settable', 'advisory'] as const

export async function resolveRecomputation(_: unknown, { id }: { id: string }, context: Context): Promise<Maybe<Answer<'Recomputation'>>> {
  const row = await (await context.db()).recommendation.findUnique({ where: { id }, include: { run: true } })
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
