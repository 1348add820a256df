/** What the GraphQL API answers about margins at the block that the mirror stands on: its own server over HTTP, with no chain to ask. */
import { startServer } from '../../api/graphql/server.ts'
import { InvariantError } from '../../core/errors.ts'
import { createPrisma } from '../../prisma/client.ts'
import { log, noChain, services } from '../graphql/support.ts'
import { micro, NULL } from './closed.ts'
import type { Value } from './getters.ts'
import { ASKED_ELSEWHERE, MEETS } from './prices.ts'
import type { Values } from './record.ts'

type Amount = { readonly raw: string } | null
type Scalar = string | number | boolean | null
type Position = Readonly<Record<'size' | 'value' | 'unrealizedPnl' | 'initialMargin' | 'maintenanceMargin' | 'liquidatableSize' | 'liquidationPrice' | 'bankruptcyPrice', Amount>> & { readonly market: { readonly id: string }; readonly distanceToLiquidation: number | null }
type Margin = { readonly positions: readonly Position[] } & Readonly<Record<string, Amount | Scalar>>
type Account = { readonly id: string; readonly margin: Margin | null; readonly positions: readonly (Readonly<Record<string, Amount>> & { readonly market: { readonly id: string } })[] }
type Answer = {
  readonly status: { readonly indexed: { readonly hash: string } }
  readonly accounts: { readonly nodes: readonly Account[]; readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null } }
  readonly markets: readonly { readonly id: string; readonly markPrice: Amount }[]
  readonly insuranceFund: { readonly capacity: { readonly raw: string } } | null
}
type QueueAnswer = {
  readonly status: { readonly indexed: { readonly hash: string } }
  readonly liquidationStates: { readonly totalCount: number; readonly unknownMargins: number; readonly nodes: readonly { readonly account: string; readonly value: number; readonly requirement: number; readonly distance: number | null }[] }
  readonly liquidationQueue: { readonly entryCount: number; readonly dueAccounts: number; readonly entries: readonly QueueEntry[] }
}
type QueueEntry = { readonly account: string; readonly value: number; readonly requirement: number; readonly gross: number; readonly distance: number; readonly due: boolean; readonly positions: readonly { readonly market: { readonly id: string }; readonly takeable: number | null }[] }

const AMOUNTS = ['accountValue', 'collateralValue', 'unrealizedPnl', 'positionValue', 'initialMargin', 'maintenanceMargin', 'freeCollateral', 'freeCollateralToReduce', 'collateralMaintenanceMargin'] as const
const SCALARS = ['marginRatio', 'distanceToLiquidation', 'leverage', 'tier', 'liquidatable', 'exactness'] as const
const IN_SETTLEMENT = ['accountValue', 'freeCollateral', 'freeCollateralToReduce'] as const
const POSITION = ['size', 'value', 'unrealizedPnl', 'initialMargin', 'maintenanceMargin', 'liquidatableSize', 'liquidationPrice', 'bankruptcyPrice'] as const
const TAKER = ['size', 'openNotional', 'entryPrice', 'unrealizedPnl', 'liquidationPrice', 'bankruptcyPrice'] as const

const raw = (names: readonly string[]): string => names.map((name) => `${name} { raw }`).join(' ')
const QUERY = `query ($after: String) {
  status { indexed { hash } }
  markets { id markPrice { raw } }
  insuranceFund { capacity { raw } }
  accounts(first: 50, after: $after, orderBy: ID) {
    nodes {
      id
      margin { ${raw(AMOUNTS)} ${SCALARS.join(' ')} positions { market { id } ${raw(POSITION)} distanceToLiquidation } }
      positions { market { id } ${raw(TAKER)} }
    }
    pageInfo { hasNextPage endCursor }
  }
}`

const QUEUE = '{ status { indexed { hash } } liquidationStates(first: 200) { totalCount unknownMargins nodes { account value requirement distance } } liquidationQueue(first: 200) { entryCount dueAccounts entries { account value requirement gross distance due positions { market { id } takeable } } } }'

/** Names of the margin figures that are asked for: the schema's own, so that one that is added there is missed here. */
export const ASKED = { AccountMargin: [...AMOUNTS, ...SCALARS, 'positions'], PositionMargin: ['market', ...POSITION, 'distanceToLiquidation'], Position: ['market', ...TAKER] } as const

export type Api = {
  /** Figures by field and subject, and the accounts that the API knows. Throws InvariantError where it stands on another block. */
  at(block: { readonly hash: string }): Promise<{ readonly values: Record<string, Record<string, Value>>; readonly ids: ReadonlySet<string> }>
  close(): Promise<void>
}

/** 18 decimals to 6, rounded down as the contracts do. */
const settlement = (text: string): bigint => {
  const value = BigInt(text)
  return value >= 0n || value % 10n ** 12n === 0n ? value / 10n ** 12n : value / 10n ** 12n - 1n
}

export async function createApi(databaseUrl: string): Promise<Api> {
  const prisma = createPrisma(databaseUrl)
  const server = await startServer({ ...services(prisma, noChain), log, host: '127.0.0.1', port: 0 })
  const ask = async <T extends { readonly status: { readonly indexed: { readonly hash: string } } }>(hash: string, query: string, variables: object = {}): Promise<T> => {
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) })
    const { data, errors } = (await response.json()) as { data?: T; errors?: unknown }
    if (data === undefined || errors !== undefined) throw new InvariantError(`the API answered ${JSON.stringify(errors)}`)
    if (data.status.indexed.hash !== hash) throw new InvariantError(`the API stands on ${data.status.indexed.hash}, asked was ${hash}`)
    return data
  }
  return {
    at: async ({ hash }) => {
      const values: Record<string, Record<string, Value>> = {}
      const put = (field: string, key: string, value: Amount | Scalar | bigint): void => {
        ;(values[`API ${field}`] ??= {})[key] = value === null ? NULL : typeof value === 'object' ? value.raw : String(value)
      }
      const ids = new Set<string>()
      for (let after: string | null = null, more = true; more; ) {
        const answer: Answer = await ask(hash, QUERY, { after })
        for (const account of answer.accounts.nodes) {
          ids.add(account.id)
          takeAccount(account, put)
        }
        for (const market of answer.markets) put('market.markPrice', market.id, market.markPrice)
        put('insuranceFund.capacity in settlement decimals', 'protocol', answer.insuranceFund === null ? 0n : settlement(answer.insuranceFund.capacity.raw))
        more = answer.accounts.pageInfo.hasNextPage
        after = answer.accounts.pageInfo.endCursor
      }
      const { liquidationQueue, liquidationStates } = await ask<QueueAnswer>(hash, QUEUE)
      takeQueue(liquidationQueue, put)
      put('liquidationStates.totalCount', 'protocol', liquidationStates.totalCount)
      put('liquidationStates.unknownMargins', 'protocol', liquidationStates.unknownMargins)
      for (const { account, value, requirement, distance } of liquidationStates.nodes) {
        for (const [name, figure] of Object.entries({ value, requirement, distance: distance === null ? null : micro(distance * 1e6) })) put(`liquidationStates.nodes.${name}`, account, figure)
      }
      return { values, ids }
    },
    close: async () => {
      await server.close()
      await prisma.$disconnect()
    },
  }
}

function takeAccount({ id, margin, positions }: Account, put: (field: string, key: string, value: Amount | Scalar | bigint) => void): void {
  put('account.margin', id, margin === null ? null : 'known')
  if (margin === null) return
  for (const name of [...AMOUNTS, ...SCALARS]) put(`margin.${name}`, id, margin[name] as Amount | Scalar)
  for (const name of IN_SETTLEMENT) put(`margin.${name} in settlement decimals`, id, settlement((margin[name] as { raw: string }).raw))
  for (const position of margin.positions) {
    const key = `${id}/${position.market.id}`
    for (const name of POSITION) put(`margin.positions.${name}`, key, position[name])
    put('margin.positions.distanceToLiquidation', key, position.distanceToLiquidation)
  }
  for (const position of positions) for (const name of TAKER) put(`positions.${name}`, `${id}/${position.market.id}`, position[name] ?? null)
}

function takeQueue({ entryCount, dueAccounts, entries }: QueueAnswer['liquidationQueue'], put: (field: string, key: string, value: Scalar) => void): void {
  put('liquidationQueue.entryCount', 'protocol', entryCount)
  put('liquidationQueue.dueAccounts', 'protocol', dueAccounts)
  for (const { account, positions, value, requirement, due, gross, distance } of entries) {
    for (const [name, figure] of Object.entries({ value, requirement, due, gross: micro(gross), distance: micro(distance * 1e6) })) put(`liquidationQueue.entries.${name}`, account, figure)
    for (const { market, takeable } of positions) put('liquidationQueue.entries.positions.takeable', `${account}/${market.id}`, takeable === null ? null : micro(takeable))
  }
}

/** What the API's figures claim of the contracts at other prices: that value and requirement meet wherever it names a price, and that a liquidation would pass. */
export function elsewhereOf(values: Values, theirs: Values): Values {
  const named = (field: string): Record<string, Value> => Object.fromEntries(Object.entries(values[field] ?? {}).flatMap(([key, value]) => (value === NULL ? [] : [[key, MEETS] as const])))
  const liquidatable = values['API margin.liquidatable'] ?? {}
  return {
    [ASKED_ELSEWHERE.liquidation]: named('API margin.positions.liquidationPrice'),
    [ASKED_ELSEWHERE.bankruptcy]: named('API margin.positions.bankruptcyPrice'),
    [ASKED_ELSEWHERE.liquidate]: Object.fromEntries(Object.keys(theirs[ASKED_ELSEWHERE.liquidate] ?? {}).flatMap((key) => (key in liquidatable ? [[key, liquidatable[key] as Value] as const] : []))),
  }
}

/** The figures of accounts that the API knows; a key begins with the account. */
export const onlyOf = (values: Values, ids: ReadonlySet<string>): Values => Object.fromEntries(Object.entries(values).map(([field, rows]) => [field, Object.fromEntries(Object.entries(rows).filter(([key]) => ids.has(key.split('/')[0] ?? '')))]))
