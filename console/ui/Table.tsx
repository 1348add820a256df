/** A table of rows that are all here: sorted by a click on a head, which its page's address keeps, given out as CSV, cards of labelled figures on a narrow screen. */
import { useMemo, useState } from 'react'
import type { ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { csv, download, fileName } from './export.ts'
import type { Cell } from './export.ts'
import { Unknown } from './parts.tsx'

export type Column<Row> = {
  readonly key: string
  readonly head: ReactNode
  /** Plain text of `head` with its unit, for CSV and cards; `head` where that is text. */
  readonly name?: string
  readonly numeric?: boolean
  /** Sentences: a line of its own where rows are cards. */
  readonly words?: boolean
  /** What it is sorted by and written as in CSV: exact decimal text or a number; null is unknown and sorts last. */
  readonly value: (row: Row) => Cell
  /** What is shown; `value` where left out. null is shown as unknown. */
  readonly cell?: (row: Row) => ReactNode
}

const nameOf = <Row,>(column: Column<Row>): string => column.name ?? (typeof column.head === 'string' ? column.head : column.key)

const NUMBER = /^[−-]?\d+(\.\d+)?(e[+-]?\d+)?$/i

/** Numbers, and numbers as text, by size; all else by the alphabet; unknown last in both directions. */
export function compare(a: Cell, b: Cell, falling: boolean): number {
  if (a == null || b == null) return a == null ? (b == null ? 0 : 1) : -1
  const numbers = NUMBER.test(String(a)) && NUMBER.test(String(b))
  const order = numbers ? Number(a) - Number(b) : String(a).localeCompare(String(b), 'en', { numeric: true })
  return falling ? -order : order
}

/** The same as plain cells: what its CSV holds, and a chart of the same rows shows as its table. */
export const cellsOf = <Row,>(columns: readonly Column<Row>[], rows: readonly Row[]): { head: string[]; rows: Cell[][] } => ({ head: columns.map(nameOf), rows: rows.map((row) => columns.map((column) => column.value(row))) })

export function tableCsv<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = cellsOf(columns, rows)
  return csv(cells.head, cells.rows)
}

export const CsvButton = <Row,>({ title, columns, rows }: { title: string; columns: readonly Column<Row>[]; rows: readonly Row[] }) => (
  <button type="button" className="quiet" disabled={rows.length === 0} onClick={() => download(`${fileName(title)}.csv`, tableCsv(columns, rows), 'text/csv')}>CSV</button>
)

export type Sort = { readonly key: string; readonly falling: boolean }

/** What an address says of an order: `value` rises, `-value` falls, nothing is the rows' own order. */
export const sortText = (sort: Sort | undefined): string => (sort ? `${sort.falling ? '-' : ''}${sort.key}` : '')

/** The order that an address asks for; `first` where it says nothing, or names a column that there is not. */
export function sortOf(text: string | null, keys: readonly string[], first: Sort | undefined): Sort | undefined {
  if (text === null || text === '') return text === null ? first : undefined
  // A key may begin by a hyphen itself.
  return keys.includes(text) ? { key: text, falling: false } : text.startsWith('-') && keys.includes(text.slice(1)) ? { key: text.slice(1), falling: true } : first
}

/** The order of a table, kept in the address under the table's title, since a page may have several; how it starts is not written. */
function useSort(title: string, columns: readonly { readonly key: string }[], first: Sort | undefined): readonly [Sort | undefined, (sort: Sort | undefined) => void] {
  const [params, setParams] = useSearchParams()
  const name = `sort-${title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`
  const put = (sort: Sort | undefined) => setParams((before) => {
    const next = new URLSearchParams(before)
    if (sortText(sort) === sortText(first)) next.delete(name)
    else next.set(name, sortText(sort))
    return next
  }, { replace: true })
  const text = params.get(name)
  // The same order is the same object: rows are sorted anew only for another.
  const sort = useMemo(() => sortOf(text, columns.map(({ key }) => key), first), [text, columns, first?.key, first?.falling])
  return [sort, put]
}

/** `sort` is how it starts, the rows' own order where left out. `few`: how many rows show before all are asked for. */
export function Table<Row>({ title, columns, rows, rowKey, sort: first, tone, few, empty }: {
  title: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  rowKey: (row: Row) => string
  sort?: Sort
  tone?: (row: Row) => 'hot' | 'muted' | undefined
  few?: number
  empty?: ReactNode
}) {
  const [sort, setSort] = useSort(title, columns, first)
  const [all, setAll] = useState(false)
  const sorted = useMemo(() => {
    const column = columns.find(({ key }) => key === sort?.key)
    return column && sort ? rows.toSorted((a, b) => compare(column.value(a), column.value(b), sort.falling)) : rows
  }, [rows, columns, sort])
  if (rows.length === 0 && empty) return <p className="empty">{empty}</p>
  const shown = few !== undefined && !all ? sorted.slice(0, few) : sorted
  return (
    <>
      {/* Where rows are cards there are no heads to click. */}
      {rows.length > 3 && (
        <div className="sortby">
          <label>Sort by <select value={sort?.key ?? ''} onChange={(event) => setSort(event.target.value === '' ? undefined : { key: event.target.value, falling: columns.find(({ key }) => key === event.target.value)?.numeric === true })}>
            <option value="">as given</option>
            {columns.map((column) => <option key={column.key} value={column.key}>{nameOf(column)}</option>)}
          </select></label>
          {sort && <button type="button" className="quiet" onClick={() => setSort({ ...sort, falling: !sort.falling })}>{sort.falling ? '↓ falling' : '↑ rising'}</button>}
        </div>
      )}
      <div className="scroll">
        <table role="table" aria-label={title}>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map((column) => {
                const active = sort?.key === column.key
                return (
                  <th key={column.key} role="columnheader" scope="col" className={column.numeric ? 'n' : undefined} aria-sort={active ? (sort.falling ? 'descending' : 'ascending') : 'none'}>
                    <button type="button" onClick={() => setSort({ key: column.key, falling: active ? !sort.falling : column.numeric === true })}>{column.head}<i aria-hidden="true">{active ? (sort.falling ? '↓' : '↑') : ''}</i></button>
                  </th>
                )
              })}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.map((row) => (
              <tr key={rowKey(row)} role="row" className={tone?.(row)}>
                {columns.map((column, index) => {
                  const content = column.cell ? column.cell(row) : column.value(row)
                  return <td key={column.key} role={index === 0 ? 'rowheader' : 'cell'} className={column.numeric ? 'n' : column.words ? 'words' : undefined} data-label={nameOf(column)}><div>{content ?? <Unknown />}</div></td>
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {few !== undefined && rows.length > few && <button type="button" className="all" aria-expanded={all} onClick={() => setAll(!all)}>{all ? `Show ${few}` : `Show all ${rows.length}`}</button>}
    </>
  )
}
