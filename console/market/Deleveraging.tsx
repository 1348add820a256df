/** Who would give up profit, in which order, and how much for a deficit of one's choosing. */
import { useId, useState } from 'react'
import { useAnswer } from '../data/client.ts'
import { AdlDocument } from '../generated/operations.ts'
import type { AdlQuery } from '../generated/operations.ts'
import { float, size, usd, whole } from '../ui/format.ts'
import { Address, Empty, Figure, Loaded, Provenance, Sums, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { decimalOf, rawOf } from '../ui/number.ts'
import { Choice, useChoice, usePlace } from './parts.tsx'

type Entry = NonNullable<AdlQuery['adlQueue']>['entries'][number]

const METHODS = [['RISK_AWARE', 'risk-aware'], ['BITMEX', 'BitMEX'], ['BINANCE', 'Binance'], ['PRORATA', 'pro rata']] as const
const signed = (value: string, unit: string, shown: (value: string) => string) => <Figure exact={value} unit={unit}>{shown(value)}</Figure>

const columns = (asked: boolean): readonly Column<Entry>[] => [
  { key: 'rank', head: 'Rank', numeric: true, value: ({ rank }) => rank },
  { key: 'lights', head: 'Lights', name: 'Lights of 5', value: ({ lights }) => lights, cell: ({ lights }) => <span className="market-lights" role="img" aria-label={`${lights} of 5 lights`} title={`${lights} of 5`}>{'●'.repeat(lights)}<i>{'●'.repeat(5 - lights)}</i></span> },
  { key: 'account', head: 'Account', value: ({ account }) => account, cell: ({ account }) => <Address of={account} label="Account" /> },
  { key: 'size', head: 'Size, base', numeric: true, value: (entry) => entry.size.value, cell: (entry) => <span className={entry.size.value.startsWith('-') ? 'short' : 'long'}>{signed(entry.size.value, 'base', size)}</span> },
  { key: 'pnl', head: 'Profit, USD', numeric: true, value: ({ unrealizedPnl }) => unrealizedPnl.value, cell: ({ unrealizedPnl }) => signed(unrealizedPnl.value, 'USD', usd) },
  { key: 'leverage', head: 'Leverage', numeric: true, value: ({ leverage }) => leverage, cell: ({ leverage }) => (leverage === null ? <Unknown why="The account has no equity" /> : `× ${float(leverage, 2)}`) },
  ...(asked ? [
    { key: 'haircut', head: 'Gives up, USD', numeric: true, value: ({ haircut }: Entry) => haircut.value, cell: ({ haircut }: Entry) => signed(haircut.value, 'USD', usd) },
    { key: 'closed', head: 'Closed, base', numeric: true, value: ({ closedSize }: Entry) => closedSize.value, cell: ({ closedSize }: Entry) => signed(closedSize.value, 'base', size) },
  ] : []),
]

export function Deleveraging({ market, symbol }: { market: string; symbol: string }) {
  const [method, setMethod] = useChoice('adl', METHODS.map(([one]) => one), 'RISK_AWARE')
  const [side, setSide] = useChoice('winners', ['ALL', 'LONG', 'SHORT'], 'ALL')
  const [place, setPlace] = usePlace('deficit')
  const raw = rawOf(place ?? '0', 18)?.toString() ?? '0'
  const answer = useAnswer(AdlDocument, { market, method, deficit: raw, side: side === 'ALL' ? null : side }, 'minute')
  return (
    <>
      <div className="controls">
        <Choice label="Ranked as by" of={METHODS} value={method} onChoice={setMethod} />
        <Choice label="Winners" of={[['ALL', 'all'], ['LONG', 'long'], ['SHORT', 'short']]} value={side} onChoice={setSide} />
        <Deficit value={place ?? ''} onValue={setPlace} />
      </div>
      <Loaded of={answer} height={380}>
        {({ adlQueue: queue }) => {
          if (!queue) return <Empty>The API has no index price of this market yet, so nobody’s profit can be told.</Empty>
          const asked = raw !== '0'
          const shown = columns(asked)
          return (
            <>
              {asked && <div className="market-tight"><Sums of={[['Deficit', signed(queue.deficit.value, 'USD', usd), 'USD, as asked'], ['Winners pay', signed(queue.paid.value, 'USD', usd), 'USD'], ['Left for everyone', signed(queue.socialised.value, 'USD', usd), 'USD']]} /></div>}
              <div className="market-head"><span className="muted">{whole(queue.entryCount)} positions stand in the queue{queue.entryCount > queue.entries.length ? `; the first ${queue.entries.length} are here` : ''}</span><CsvButton title={`Deleveraging queue ${symbol}`} columns={shown} rows={queue.entries} /></div>
              <Table title="Deleveraging queue" columns={shown} rows={queue.entries} rowKey={({ account }) => account} few={8} empty={`No position of ${symbol} is open.`} />
              <Provenance of={queue.provenance} />
            </>
          )
        }}
      </Loaded>
    </>
  )
}

function Deficit({ value, onValue }: { value: string; onValue: (value: string | null) => void }) {
  const id = useId()
  const [typed, setTyped] = useState<string | null>(null)
  // What came by the address is judged as what is typed.
  const shown = typed ?? value
  const wrong = shown.trim() !== '' && rawOf(shown, 18) === null
  const take = () => {
    if (typed === null || wrong) return
    setTyped(null)
    onValue(decimalOf(typed))
  }
  return (
    <div className="field market-typed">
      <label htmlFor={id}>For a deficit of, USD</label>
      <input id={id} inputMode="decimal" autoComplete="off" placeholder="0" value={shown} aria-invalid={wrong} aria-describedby={wrong ? `${id}-wrong` : undefined} onChange={(event) => setTyped(event.target.value)} onBlur={take} onKeyDown={(event) => { if (event.key === 'Enter') take(); if (event.key === 'Escape') setTyped(null) }} />
      {wrong && <span id={`${id}-wrong`} className="down">Found “{shown}”, allowed is an amount of USD from 0, with a point before its decimals, at most 18; correct it.{typed === null && ' The queue below is for none.'}</span>}
    </div>
  )
}

