/** What the table of accounts shows of each, in which unit, and what the server sorts by. */
import type { ReactNode } from 'react'
import type { AccountTableQueryVariables } from '../generated/operations.ts'
import { float, percent, short, signedPercent, size, usd, words } from '../ui/format.ts'
import { Tag } from '../ui/parts.tsx'
import type { Row } from './rows.ts'

export type Order = AccountTableQueryVariables['orderBy']

export type Column = {
  readonly order: Order | null
  readonly head: string
  readonly unit?: string
  /** Of the column, px; the rest of the line is shared out in proportion. */
  readonly width: number
  readonly numeric?: boolean
  /** Not on a narrow screen. */
  readonly wide?: boolean
  readonly cell: (row: Row) => ReactNode
}

/** Upwards first: what is small is what is dangerous. */
export const RISING: ReadonlySet<Order> = new Set<Order>(['MARGIN_RATIO', 'DISTANCE_TO_LIQUIDATION', 'FREE_COLLATERAL', 'UNREALIZED_PNL', 'ID'])

const TIERS = { HEALTHY: ['quiet', 'healthy'], WARN: ['warn', 'warn'], PARTIAL: ['down', 'partial'], FULL: ['down', 'full'], BAD_DEBT: ['down', 'bad debt'] } as const

export const Tier = ({ of }: { of: keyof typeof TIERS }) => <Tag kind={TIERS[of][0]}>{TIERS[of][1]}</Tag>

/** Why a figure of a row is not there: it is unknown, or there is none by nature. */
const none = (row: Row, why = 'no positions'): ReactNode => (row.unknownMargin ? <span className="unknown" title="A price that its margin needs is unknown">—</span> : <span className="unknown" title={why}>·</span>)

const money = (pick: (row: Row) => { readonly value: string } | null | undefined) => (row: Row): ReactNode => {
  const amount = pick(row)
  return amount == null ? none(row) : <span title={`${amount.value} USD`} className={amount.value.startsWith('-') ? 'down' : undefined}>{usd(amount.value)}</span>
}

export const COLUMNS: readonly Column[] = [
  {
    order: 'ID', head: 'Account', width: 158,
    // Followed by the grid: a link of the router listens for every change of the address.
    cell: (row) => <a href={`/accounts/${row.account}`} tabIndex={-1} title={row.account}><code>{short(row.account)}</code></a>,
  },
  { order: null, head: 'Tier', width: 80, cell: (row) => (row.tier == null ? none(row) : <Tier of={row.tier} />) },
  { order: 'MARGIN_RATIO', head: 'Margin ratio', unit: '%', width: 112, numeric: true, cell: (row) => (row.marginRatio == null ? none(row) : percent(row.marginRatio)) },
  { order: 'DISTANCE_TO_LIQUIDATION', head: 'Distance', unit: '%', width: 94, numeric: true, cell: (row) => (row.distanceToLiquidation == null ? none(row) : <span className={row.distanceToLiquidation < 0 ? 'down' : undefined}>{signedPercent(row.distanceToLiquidation)}</span>) },
  { order: 'LEVERAGE', head: 'Leverage', unit: '×', width: 90, numeric: true, wide: true, cell: (row) => (row.leverage == null ? none(row, row.positionValue ? 'nothing is left to lever' : 'no positions') : `${float(row.leverage, 2)} ×`) },
  { order: 'ACCOUNT_VALUE', head: 'Account value', unit: 'USD', width: 130, numeric: true, cell: money((row) => row.accountValue) },
  { order: 'POSITION_VALUE', head: 'Position value', unit: 'USD', width: 134, numeric: true, cell: money((row) => row.positionValue) },
  { order: 'FREE_COLLATERAL', head: 'Free collateral', unit: 'USD', width: 134, numeric: true, wide: true, cell: money((row) => row.freeCollateral) },
  { order: 'UNREALIZED_PNL', head: 'Unrealised PnL', unit: 'USD', width: 136, numeric: true, wide: true, cell: money((row) => row.unrealizedPnl) },
  {
    order: null, head: 'Positions', unit: 'base', width: 150, wide: true,
    cell: (row) => (row.positions.length === 0 ? none(row) : <span className="accounts-held" title={row.positions.map(({ symbol, size: held }) => `${held.value} ${symbol}`).join(', ')}>{row.positions.map(({ symbol, size: held }, i) => <span key={symbol} className={held.value.startsWith('-') ? 'short' : 'long'}>{i > 0 && ', '}{held.value.startsWith('-') ? 'S' : 'L'} {size(held.value.replace('-', ''))} {symbol}</span>)}</span>),
  },
  { order: 'LIQUIDATIONS', head: 'Liquidations', width: 98, numeric: true, wide: true, cell: (row) => row.liquidationCount },
  { order: 'BAD_DEBT', head: 'Bad debt', unit: 'USD', width: 92, numeric: true, wide: true, cell: (row) => (row.badDebt.value === '0' ? '0' : <span className="down" title={`${row.badDebt.value} USD`}>{usd(row.badDebt.value)}</span>) },
  { order: 'MAINTENANCE_MARGIN', head: 'Maintenance', unit: 'USD', width: 124, numeric: true, wide: true, cell: money((row) => row.maintenanceMargin) },
]

export const orderName = (order: Order): string => COLUMNS.find((column) => column.order === order)?.head ?? words(order)
