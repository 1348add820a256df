/** The market's circuit breaker: its level, how near each trigger is to the next one, what it asks for, what it did. */
import type { ReactNode } from 'react'
import type { Asked } from '../data/client.ts'
import type { MarketBreakersQuery } from '../generated/operations.ts'
import { LevelTag, TRIGGERS as WORDS, showTrigger } from '../ui/breakers.tsx'
import { dateTime, float, time, words } from '../ui/format.ts'
import { Address, Empty, Hint, Loaded, Provenance, Unknown } from '../ui/parts.tsx'
import { Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { Assumed } from './parts.tsx'

type Row = NonNullable<MarketBreakersQuery['circuitBreakers']>['markets'][number]
type Trigger = Row['triggers'][number]
type Change = Row['history']['nodes'][number]

const never = <span className="muted" title="It never asks for this level">never</span>
const entry = (value: number | null): ReactNode => (value === null ? never : float(value, 2))

const TRIGGERS: readonly Column<Trigger>[] = [
  { key: 'name', head: 'Trigger', value: ({ name }) => name, cell: ({ name }) => <Hint text={WORDS[name]?.what ?? name}>{WORDS[name]?.title ?? name}</Hint> },
  { key: 'value', head: 'Now', numeric: true, value: ({ value }) => value, cell: ({ name, value, state, why }) => (value !== null ? showTrigger(name, value) : state === 'NOT_APPLICABLE' ? <Unknown why={`Does not apply: ${why ?? ''}`} /> : <Unknown why="The index cannot tell it now: no alarm, and no proof of calm" />) },
  { key: 'level', head: 'Asks for', value: ({ level }) => level, cell: ({ level, state }) => (state === 'MEASURED' ? <LevelTag level={level} /> : <span className="muted">{words(state)}</span>) },
  { key: 'watch', head: 'Watch', name: 'Watch from', numeric: true, value: ({ watch }) => watch, cell: ({ watch }) => entry(watch) },
  { key: 'restrict', head: 'Restrict', name: 'Restrict from', numeric: true, value: ({ restrict }) => restrict, cell: ({ restrict }) => entry(restrict) },
  { key: 'halt', head: 'Halt', name: 'Halt from', numeric: true, value: ({ halt }) => halt, cell: ({ halt }) => entry(halt) },
]

const HISTORY: readonly Column<Change>[] = [
  { key: 'at', head: 'Time', value: ({ seenAt }) => seenAt, cell: ({ seenAt }) => <time title={time(seenAt)}>{dateTime(seenAt)}</time> },
  { key: 'to', head: 'To', value: ({ to }) => to, cell: ({ from, to }) => <><span className="muted">{words(from)} → </span><LevelTag level={to} /></> },
  { key: 'why', head: 'Why', value: ({ why }) => why, cell: ({ why, resetBy }) => <>{why}{resetBy && <> by <Address of={resetBy} /></>}</> },
]

export function Breaker({ of, market }: { of: Asked<MarketBreakersQuery>; market: string }) {
  return (
    <Loaded of={of} height={320}>
      {({ circuitBreakers }) => {
        const row = circuitBreakers?.markets.find(({ subject }) => subject === market)
        if (!circuitBreakers || !row) return <Empty>No breaker has been observed yet: the first observation follows the first indexed block.</Empty>
        const applicable = row.triggers.filter(({ state }) => state !== 'NOT_APPLICABLE')
        return (
          <>
            <p className="market-line">
              <LevelTag level={row.level} /> {Number(row.since) > 0 ? <>since <time title={time(row.since)}>{dateTime(row.since)}</time></> : 'since it is observed'}
              {row.latched && <> · <b>latched</b>: it falls only after a person has reset it</>}
              {row.effective !== row.level && <> · the protocol’s own breaker stands higher: <LevelTag level={row.effective} /></>}
              {' · '}<Assumed of={circuitBreakers.assumptions} />
            </p>
            <Table title="Triggers of the breaker" columns={TRIGGERS} rows={applicable} rowKey={({ name }) => name} />
            {row.asks.length > 0 && <ul className="market-words">{row.asks.map(({ action, why }) => <li key={action}>It asks to {words(action)}: {why}.</li>)}</ul>}
            {row.history.nodes.length > 0 ? <Table title="Changes of the breaker" columns={HISTORY} rows={row.history.nodes} rowKey={({ id }) => id} few={4} /> : <p className="market-words">It has not left normal since it is observed.</p>}
            <Provenance of={circuitBreakers.provenance} />
          </>
        )
      }}
    </Loaded>
  )
}
