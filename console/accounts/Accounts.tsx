/** Every account: sorted and filtered by the server, a screenful at a time, all of one block. */
import { memo, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { ApiError, useAnswer } from '../data/client.ts'
import { useFault } from '../data/live.ts'
import { AccountChoicesDocument } from '../generated/operations.ts'
import { download } from '../ui/export.ts'
import { whole } from '../ui/format.ts'
import { typedNumber } from '../ui/number.ts'
import { Empty, Notice, PageHead, Time, sentence } from '../ui/parts.tsx'
import { COLUMNS, RISING, orderName, type Order } from './columns.tsx'
import { Grid } from './Grid.tsx'
import { useRows, type Block, type View } from './rows.ts'
import './accounts.css'

const ORDERS = COLUMNS.flatMap(({ order }) => (order === null ? [] : [order]))
/** Choices of the tier: `due` may be liquidated now. */
const STATES = [['', 'any'], ['due', 'liquidatable now'], ['WARN', 'warn'], ['PARTIAL', 'partial'], ['FULL', 'full'], ['BAD_DEBT', 'bad debt'], ['HEALTHY', 'healthy'], ['unknown', 'margin unknown']] as const
type Tier = NonNullable<NonNullable<View['filter']['tiers']>>[number]

/** What the address of the page says, and nothing that the API would refuse. */
function viewOf(search: URLSearchParams): View {
  const orderBy = ORDERS.find((one) => one === search.get('sort')) ?? 'MARGIN_RATIO'
  const direction = search.get('dir')
  const [address, market, side, collateral, state, holds, least] = ['address', 'market', 'side', 'collateral', 'tier', 'positions', 'min'].map((name) => search.get(name) ?? '')
  const leastValue = typedNumber(least ?? '')
  const tier = STATES.find(([value]) => value === state)?.[0] ?? ''
  return {
    orderBy,
    direction: direction === 'ASC' || direction === 'DESC' ? direction : RISING.has(orderBy) ? 'ASC' : 'DESC',
    filter: {
      ...(address ? { address } : {}),
      ...(market ? { market } : {}),
      ...(side === 'LONG' || side === 'SHORT' ? { side } : {}),
      ...(collateral ? { collateral } : {}),
      ...(tier === 'due' ? { liquidatable: true } : tier === 'unknown' ? { unknownMargin: true } : tier === '' ? {} : { tiers: [tier as Tier] }),
      ...(holds === 'yes' || holds === 'no' ? { withPositions: holds === 'yes' } : {}),
      ...(leastValue !== null && leastValue > 0 ? { minPositionValue: leastValue } : {}),
    },
  }
}

export default function Accounts() {
  const [search, setSearch] = useSearchParams()
  const text = search.toString()
  const view = useMemo(() => viewOf(new URLSearchParams(text)), [text])
  const rows = useRows(view)
  const set = useCallback((changes: Readonly<Record<string, string | null>>) => {
    setSearch((before) => {
      const next = new URLSearchParams(before)
      for (const [name, value] of Object.entries(changes)) if (value) next.set(name, value)
      else next.delete(name)
      return next
    }, { replace: true })
  }, [setSearch])
  const falling = view.direction === 'DESC'
  const sort = useCallback((order: Order) => {
    const down = order === view.orderBy ? !falling : !RISING.has(order)
    set({ sort: order === 'MARGIN_RATIO' ? null : order, dir: down === !RISING.has(order) ? null : down ? 'DESC' : 'ASC' })
  }, [set, view.orderBy, falling])

  const { shown } = rows
  const fault = useFault(rows.error)
  const error = shown === undefined ? rows.error : fault
  const filters = Object.keys(view.filter).length
  const refused = error instanceof ApiError && error.code === 'BAD_INPUT'
  return (
    <div className="accounts-page">
      <PageHead title="Accounts" note={shown ? <span className="accounts-note" aria-busy={rows.waiting}><b role="status" className="n">{rows.waiting ? '…' : whole(shown.total)}</b> {filters > 0 ? 'pass the filter' : 'in all'}, by {orderName(view.orderBy).toLowerCase()} {falling ? '↓' : '↑'} · block {whole(shown.block.number)}, <Time at={shown.block.timestamp} /></span> : undefined}>
        <Csv view={view} block={shown?.block} />
      </PageHead>
      <Filters text={text} view={view} set={set} sort={sort} />
      {search.get('min') && typedNumber(search.get('min') ?? '') === null && <Notice kind="degraded" title={`Found “${search.get('min')}” as the least value, allowed is an amount of USD such as 1000, with a point before decimals.`}>The list is not filtered by it.</Notice>}
      {error && <Notice kind={refused ? 'down' : 'degraded'} title={sentence(error)}>{shown && !refused && 'What stands below is the last that came. '}{!refused && <button type="button" onClick={rows.again}>Ask again</button>}</Notice>}
      <div className={`panel accounts-panel${rows.waiting ? ' waiting' : ''}`}>
        {shown === undefined && !error && <div className="loading accounts-loading" role="status"><span className="sr">Loading …</span></div>}
        {shown === null && <Empty>No block is indexed yet. Accounts appear with the first one; the bar above says how far the index is.</Empty>}
        {shown?.total === 0 && <Empty>No account passes the filter. Clear it, or take one condition out.</Empty>}
        {shown && shown.total > 0 && <Grid rows={rows} viewKey={JSON.stringify(view)} order={view.orderBy} falling={falling} onSort={sort} />}
      </div>
    </div>
  )
}

type FiltersProps = { text: string; view: View; set: (changes: Readonly<Record<string, string | null>>) => void; sort: (order: Order) => void }

/** Beside rows that come and go, it changes seldom. */
const Filters = memo(function Filters({ text, view, set, sort }: FiltersProps) {
  const search = new URLSearchParams(text)
  const choices = useAnswer(AccountChoicesDocument, {}, 'minute')
  return (
    <form className="accounts-filters" role="search" aria-label="Filter accounts" onSubmit={(event) => event.preventDefault()}>
      <Field label="Address begins"><Typed value={search.get('address') ?? ''} onChange={(address) => set({ address })} placeholder="0x…" spellCheck={false} size={14} /></Field>
      <Field label="Tier"><Choice value={search.get('tier') ?? ''} of={STATES} onChange={(tier) => set({ tier })} /></Field>
      <Field label="Market"><Choice value={search.get('market') ?? ''} of={[['', 'any'], ...(choices.data?.markets ?? []).map(({ symbol }) => [symbol, symbol] as const)]} onChange={(market) => set({ market })} /></Field>
      <Field label="Side"><Choice value={search.get('side') ?? ''} of={[['', 'any'], ['LONG', 'long'], ['SHORT', 'short']]} onChange={(side) => set({ side })} /></Field>
      <Field label="Collateral"><Choice value={search.get('collateral') ?? ''} of={[['', 'any'], ...(choices.data?.collaterals ?? []).map(({ symbol }) => [symbol, symbol] as const)]} onChange={(collateral) => set({ collateral })} /></Field>
      <Field label="Positions"><Choice value={search.get('positions') ?? ''} of={[['', 'with or without'], ['yes', 'with'], ['no', 'without']]} onChange={(positions) => set({ positions })} /></Field>
      <Field label="Value from, USD"><Typed value={search.get('min') ?? ''} onChange={(min) => set({ min })} inputMode="decimal" size={8} placeholder="0" /></Field>
      <Field label="Sort by" className="accounts-sort"><Choice value={view.orderBy} of={ORDERS.map((order) => [order, orderName(order)] as const)} onChange={(order) => sort(order as Order)} /></Field>
      <button type="button" className="quiet accounts-sort" onClick={() => sort(view.orderBy)}>{view.direction === 'DESC' ? '↓ falling' : '↑ rising'}</button>
      {Object.keys(view.filter).length > 0 && <button type="button" className="quiet" onClick={() => set({ address: null, tier: null, market: null, side: null, collateral: null, positions: null, min: null })}>Clear</button>}
    </form>
  )
})

const Field = ({ label, className, children }: { label: string; className?: string; children: ReactNode }) => <label className={className}><span>{label}</span>{children}</label>

/** Drawn once for a value: choices are many, and a click in the grid changes none of them. */
function Choice({ value, of, onChange }: { value: string; of: readonly (readonly [string, string])[]; onChange: (value: string) => void }) {
  // A choice that is not known yet (markets come with an answer) stays chosen.
  const known = of.some(([one]) => one === value)
  return <select value={value} onChange={(event) => onChange(event.target.value)}>{!known && <option value={value}>{value}</option>}{of.map(([one, name]) => <option key={one} value={one}>{name}</option>)}</select>
}

const TYPING_MS = 150

/** Text that is asked for once nobody has typed for a moment. */
function Typed({ value, onChange, ...more }: { value: string; onChange: (value: string) => void; placeholder?: string; size?: number; spellCheck?: boolean; inputMode?: 'decimal' }) {
  const [text, setText] = useState(value)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => setText(value), [value])
  useEffect(() => () => clearTimeout(timer.current), [])
  return (
    <input
      type="text" {...more} value={text}
      onChange={(event) => {
        const next = event.target.value.trim()
        setText(event.target.value)
        clearTimeout(timer.current)
        timer.current = setTimeout(() => onChange(next), TYPING_MS)
      }}
    />
  )
}

/** The whole list, not what is on the screen: streamed by the API, of the block that is shown. */
function Csv({ view, block }: { view: View; block: Block | undefined }) {
  const [state, setState] = useState<string | null>(null)
  const save = async ({ hash, number }: Block): Promise<void> => {
    setState('Reading …')
    try {
      const query = new URLSearchParams({ orderBy: view.orderBy, direction: view.direction, filter: JSON.stringify(view.filter), block: hash })
      const answer = await fetch(`/export/accounts.csv?${query}`)
      if (!answer.ok) throw new Error(((await answer.json()) as { errors?: { message: string }[] }).errors?.[0]?.message ?? `The API answered with status ${answer.status}`)
      download(`accounts-block-${number}.csv`, await answer.blob())
      setState(null)
    } catch (error) {
      setState(error instanceof TypeError ? 'The API does not answer.' : sentence(error))
    }
  }
  return <>{state !== null && <span role="status" className="muted">{state}</span>}<button type="button" className="quiet" disabled={block === undefined || state === 'Reading …'} onClick={() => block && void save(block)}>CSV of all</button></>
}
