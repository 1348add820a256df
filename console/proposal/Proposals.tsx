/** All proposals by state, and the way to a new one. */
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useSearchParams } from 'wouter'
import { useBasket } from '../data/basket.ts'
import { ask, renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { ProposalChangedDocument, ProposalsDocument, StatusDocument } from '../generated/operations.ts'
import type { ProposalState, ProposalsQuery } from '../generated/operations.ts'
import { ActButton, useLanding } from '../ui/focus.tsx'
import { duration, time, whole, words } from '../ui/format.ts'
import { Loaded, PageHead, Panel, Time } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { StateTag } from './state.tsx'
import './proposal.css'

type Row = ProposalsQuery['proposals']['nodes'][number]

const PAGE = 50
const STATES: readonly ProposalState[] = ['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'EXECUTED', 'APPLIED', 'STALE', 'EXPIRED', 'REPLACED', 'WITHDRAWN', 'CANCELLING', 'CANCELLED']
const OPEN: ReadonlySet<ProposalState> = new Set(['DRAFT', 'SIMULATED', 'AWAITING_SIGNATURES', 'READY', 'QUEUED', 'CANCELLING'])

const columnsAt = (now: number | null): readonly Column<Row>[] => [
  { key: 'title', head: 'Proposal', value: (row) => row.title, cell: (row) => <span className="proposal-name"><Link href={`/proposals/${row.id}`}>{row.title}</Link> <small className="muted">{row.id}</small></span> },
  { key: 'state', head: 'State', value: (row) => words(row.state), cell: (row) => <span title={row.stateReason ?? undefined}><StateTag of={row.state} /></span> },
  { key: 'signed', head: 'Signed', numeric: true, value: (row) => row.signatures.length, cell: (row) => `${row.signatures.length} of ${row.threshold}` },
  { key: 'changes', head: 'Changes', value: (row) => row.changes.map(({ sentence }) => sentence).join('; '), cell: (row) => <ul className="proposal-sentences">{row.changes.slice(0, 3).map(({ parameter, subject, sentence }) => <li key={parameter + subject}>{sentence.replace(/ \(raw .*\)$/, '')}</li>)}{row.changes.length > 3 && <li className="muted">and {row.changes.length - 3} more</li>}</ul> },
  { key: 'until', head: 'Valid until', value: (row) => time(row.validUntil), cell: (row) => {
    const left = now === null ? null : Number(row.validUntil) - now
    return OPEN.has(row.state) && left !== null ? (left > 0 ? <Time at={row.validUntil}>{duration(left)} left</Time> : <Time at={row.validUntil}><span className="down">over</span></Time>) : <Time at={row.validUntil} />
  } },
  { key: 'drafted', head: 'Drafted', value: (row) => time(row.draftedAt.timestamp), cell: (row) => <Time at={row.draftedAt.timestamp} /> },
  { key: 'nonce', head: 'Nonce', numeric: true, value: (row) => row.nonce },
]

export default function Proposals() {
  const [params, setParams] = useSearchParams()
  const asked = params.get('state')?.toUpperCase() ?? ''
  const state = STATES.find((each) => each === asked) ?? null
  const found = useInfiniteQuery({
    // All of its pages are read again each time.
    queryKey: ['minute', 'Proposals', state],
    queryFn: ({ pageParam, signal }) => ask(ProposalsDocument, { first: PAGE, after: pageParam, ...(state === null ? {} : { state }) }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ proposals: { pageInfo } }) => (pageInfo.hasNextPage ? pageInfo.endCursor : null),
    placeholderData: (before) => before,
  })
  useEvents(ProposalChangedDocument, {}, () => void renew('Proposals'))
  const basket = useBasket()
  const { expect, land } = useLanding()
  const now = useAnswer(StatusDocument, {}, 'block').data?.status.indexed?.timestamp
  const columns = columnsAt(now === undefined ? null : Number(now))
  // Another state's rows are none of this one: they carry no total, and no file is made of them.
  const pages = found.isPlaceholderData ? [] : (found.data?.pages ?? [])
  const rows = pages.flatMap(({ proposals }) => proposals.nodes)
  const total = pages[0]?.proposals.totalCount
  const left = total === undefined ? 0 : Math.max(0, total - rows.length)
  const part = left === 0 ? '' : `, newest ${rows.length} of ${total}`
  return (
    <>
      <PageHead title="Proposals" note="Safe transactions that were drafted here">
        <Link href="/proposals/new" className="button main">{basket.length > 0 ? `Draft the ${basket.length} in the basket` : 'New proposal'}</Link>
      </PageHead>
      <Panel id="proposals" title="By state" note={total === undefined ? undefined : left === 0 ? `${whole(total)} in all` : `newest ${whole(rows.length)} of ${whole(total)}`} actions={<CsvButton title={`Proposals${state === null ? '' : `, ${words(state)}`}${part}`} columns={columns} rows={rows} />}>
        <div className="controls">
          <label>State{' '}
            <select value={state ?? ''} onChange={(event) => setParams(event.target.value === '' ? {} : { state: event.target.value.toLowerCase() })}>
              <option value="">all</option>
              {STATES.map((each) => <option key={each} value={each}>{words(each)}</option>)}
            </select>
          </label>
        </div>
        <Loaded of={found} height={240}>
          {({ pages: shown }) => <Table title="Proposals" columns={columns} rows={shown.flatMap(({ proposals }) => proposals.nodes)} rowKey={({ id }) => id} tone={(row) => (OPEN.has(row.state) ? undefined : 'muted')} empty={state === null ? <>No proposal yet. Put recommendations into the basket, or <Link href="/proposals/new">change a parameter by hand</Link>.</> : <>None is {words(state)}. <button type="button" onClick={() => setParams({})}>Show all</button></>} />}
        </Loaded>
        {found.hasNextPage && !found.isPlaceholderData && <ActButton className="all" busy={found.isFetchingNextPage} onClick={() => { expect(); void found.fetchNextPage() }}>{found.isFetchingNextPage ? 'Reading …' : `Show older (${whole(left)} more)`}</ActButton>}
        {pages.length > 1 && !found.hasNextPage && <p ref={land} tabIndex={-1} className="provenance">All {whole(rows.length)} are shown.</p>}
      </Panel>
    </>
  )
}
