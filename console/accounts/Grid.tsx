/** A grid of as many rows as there are accounts, of which those on the screen exist. Arrows move in it, Enter opens, Ctrl C copies the address. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useCallback, useEffect, useId, useRef, useState, useSyncExternalStore } from 'react'
import type { KeyboardEvent, MouseEvent } from 'react'
import { useLocation } from 'wouter'
import { whole } from '../ui/format.ts'
import { COLUMNS, type Column, type Order } from './columns.tsx'
import type { Row, Rows } from './rows.ts'

const ROW_PX = 29
const CARD_PX = 68
const NARROW = matchMedia('(max-width: 760px)')
const useNarrow = (): boolean =>
  useSyncExternalStore(
    (changed) => {
      NARROW.addEventListener('change', changed)
      return () => NARROW.removeEventListener('change', changed)
    },
    () => NARROW.matches,
  )

const TRACKS = COLUMNS.map(({ width }) => `minmax(${width}px, ${width}fr)`).join(' ')
const WIDTH = COLUMNS.reduce((sum, { width }) => sum + width, 0)

export function Grid({ rows, viewKey, order, falling, onSort }: { rows: Rows; viewKey: string; order: Order; falling: boolean; onSort: (order: Order) => void }) {
  const box = useRef<HTMLDivElement>(null)
  const id = useId()
  const [, go] = useLocation()
  const narrow = useNarrow()
  const rowPx = narrow ? CARD_PX : ROW_PX
  const total = rows.shown?.total ?? 0
  const [active, setActive] = useState(0)
  const virtual = useVirtualizer({ count: total, getScrollElement: () => box.current, estimateSize: () => rowPx, overscan: 6, scrollPaddingStart: narrow ? 0 : 32 })
  useEffect(() => virtual.measure(), [virtual, rowPx])
  useEffect(() => { if (total > 0 && active >= total) setActive(total - 1) }, [active, total])

  const items = virtual.getVirtualItems()
  /** Rows that scroll out of the window are filled anew at its other end, which is cheaper than to make them. */
  const slots = useRef(1)
  slots.current = Math.max(slots.current, items.length)
  // What the window shows; the rows beyond it are made, and read a moment later.
  const [first, last] = [virtual.range?.startIndex ?? 0, virtual.range?.endIndex ?? 0]
  const { look, at } = rows
  useEffect(() => look(first, last), [look, first, last])
  // Another order or filter begins at its top, and with as many rows: told before it is asked for, since a child's effects run first, and after the place that is left.
  useEffect(() => {
    // Asked of the box itself, where it stands would have all of it laid out first.
    if (virtual.scrollOffset !== 0) box.current?.scrollTo({ top: 0 })
    setActive(0)
    look(0, last - first)
    // What the window shows later is told above.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [viewKey])

  // Heard before the rows are drawn: what is not there yet is asked for at once.
  const onScroll = (): void => {
    const { scrollTop, scrollLeft, clientHeight, classList } = box.current as HTMLDivElement
    classList.toggle('aside', scrollLeft > 0)
    look(Math.floor(scrollTop / rowPx), Math.min(total, Math.ceil((scrollTop + clientHeight) / rowPx)) - 1)
  }
  const onClick = (event: MouseEvent<HTMLDivElement>): void => {
    const place = (event.target as Element).closest('a')?.getAttribute('href')
    if (place == null || event.button !== 0 || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
    event.preventDefault()
    go(place)
  }
  const move = (to: number): void => {
    const next = Math.max(0, Math.min(total - 1, to))
    setActive(next)
    virtual.scrollToIndex(next, { align: 'auto' })
  }
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (event.altKey || event.target !== event.currentTarget) return
    const address = at(active)?.row.account
    const screen = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowPx) - 2)
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + screen, PageUp: active - screen, Home: 0, End: total - 1 }[event.key]
    if (to !== undefined) move(to)
    else if (event.key === 'Enter' && address !== undefined) go(`/accounts/${address}`)
    else if (event.key === 'c' && (event.ctrlKey || event.metaKey) && address !== undefined && getSelection()?.isCollapsed !== false) void navigator.clipboard?.writeText(address)
    else return
    event.preventDefault()
  }
  const pick = useCallback((index: number) => setActive(index), [])

  return (
    <div
      ref={box} className="accounts-grid" role="grid" aria-label="Accounts" aria-rowcount={total + 1} aria-colcount={COLUMNS.length} aria-busy={rows.waiting} aria-multiselectable="false"
      tabIndex={0} aria-activedescendant={total > 0 ? `${id}-${active}` : undefined} onKeyDown={onKeyDown} onScrollCapture={onScroll} onClick={onClick}
    >
      <div className="accounts-head" role="row" aria-rowindex={1} style={narrow ? undefined : { gridTemplateColumns: TRACKS, minWidth: WIDTH }}>
        {COLUMNS.map((column, index) => <Head key={column.head} column={column} index={index} active={column.order === order} falling={falling} onSort={onSort} />)}
      </div>
      <div role="rowgroup" className="accounts-body" style={{ height: virtual.getTotalSize(), minWidth: narrow ? undefined : WIDTH }}>
        {items.map(({ index, start }) => {
          const found = at(index)
          return <Line key={index % slots.current} id={`${id}-${index}`} index={index} start={start} height={rowPx} row={found?.row} stale={found?.stale ?? false} active={index === active} narrow={narrow} onPick={pick} />
        })}
      </div>
    </div>
  )
}

function Head({ column, index, active, falling, onSort }: { column: Column; index: number; active: boolean; falling: boolean; onSort: (order: Order) => void }) {
  const { order, head, unit, numeric } = column
  const text = <>{head}{unit && <small> {unit}</small>}</>
  return (
    <div role="columnheader" aria-colindex={index + 1} className={numeric ? 'n' : undefined} aria-sort={active ? (falling ? 'descending' : 'ascending') : undefined}>
      {order === null ? <span>{text}</span> : <button type="button" onClick={() => onSort(order)}>{text}<i aria-hidden="true">{active ? (falling ? '↓' : '↑') : ''}</i></button>}
    </div>
  )
}

type LineProps = { id: string; index: number; start: number; height: number; row: Row | undefined; stale: boolean; active: boolean; narrow: boolean; onPick: (index: number) => void }

/** Drawn again only where something of it has changed. */
const Line = memo(function Line({ id, index, start, height, row, stale, active, narrow, onPick }: LineProps) {
  return (
    <div
      id={id} role="row" aria-rowindex={index + 2} aria-selected={active} className={`accounts-row${active ? ' active' : ''}${stale ? ' stale' : ''}${row?.liquidatable ? ' hot' : ''}`}
      title={stale ? 'Of an earlier block; it is being read again' : undefined} style={{ transform: `translateY(${start}px)`, height, ...(narrow ? {} : { gridTemplateColumns: TRACKS }) }} onMouseDown={() => onPick(index)}
    >
      {row === undefined
        ? <div role="gridcell" className="accounts-missing">{whole(index + 1)} …</div>
        : <Cells row={row} narrow={narrow} />}
    </div>
  )
})

const Cells = memo(function Cells({ row, narrow }: { row: Row; narrow: boolean }) {
  return COLUMNS.map((column, index) => (narrow && column.wide ? null : <div key={column.head} role={index === 0 ? 'rowheader' : 'gridcell'} aria-colindex={index + 1} className={column.numeric ? 'n' : undefined} data-label={narrow ? column.head : undefined}>{column.cell(row)}</div>))
})
