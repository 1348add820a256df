/** What was done here or attempted, and by whom: append-only, each entry with a hash over the one before. */
import { useState } from 'react'
import { Link, useSearchParams } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { AuditDocument } from '../generated/operations.ts'
import type { AuditQuery } from '../generated/operations.ts'
import { ActButton } from '../ui/focus.tsx'
import { whole, words } from '../ui/format.ts'
import { Address, Copy, Empty, Loaded, PageHead, Panel, Tag } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import './audit.css'

type Entry = AuditQuery['auditLog']['nodes'][number]

const isAddress = (text: string): boolean => /^0x[0-9a-f]{40}$/i.test(text)
const when = (iso: string): string => `${iso.slice(0, 19).replace('T', ' ')} UTC`

const COLUMNS: readonly Column<Entry>[] = [
  { key: 'at', head: 'When', value: (row) => row.at, cell: (row) => <time dateTime={row.at}>{when(row.at)}</time> },
  { key: 'actor', head: 'Who', value: (row) => row.actor ?? 'nobody signed in', cell: (row) => (row.actor ? <span className="audit-who"><Address of={row.actor} /><small>{row.roles.map((role) => words(role)).join(', ') || 'no role'}</small></span> : <span className="muted">nobody signed in</span>) },
  { key: 'action', head: 'What', value: (row) => row.action, cell: (row) => <code>{row.action}</code> },
  { key: 'subject', head: 'Of', value: (row) => row.subject ?? '', cell: (row) => <Subject of={row} /> },
  { key: 'outcome', head: 'Outcome', value: (row) => row.outcome, cell: (row) => <Tag kind={row.outcome === 'OK' ? 'good' : 'warn'}>{row.outcome === 'OK' ? 'done' : words(row.outcome)}</Tag> },
  { key: 'details', head: 'With', words: true, value: (row) => JSON.stringify(row.details), cell: (row) => <Details of={row.details} /> },
  { key: 'hash', head: 'Hash', value: (row) => row.hash, cell: (row) => <Copy text={row.hash} label="SHA-256 of this entry and the hash before"><code>{row.hash.slice(0, 10)}</code></Copy> },
]

function Subject({ of: { subject, action } }: { of: Entry }) {
  if (subject === null) return <span className="muted">nothing named</span>
  if (/proposal|signature/i.test(action) || action === 'draftRollback' || action === 'importBatch') return <Link href={`/proposals/${encodeURIComponent(subject)}`}>{subject.length > 18 ? `${subject.slice(0, 18)}…` : subject}</Link>
  if (action === 'resetBreaker') return <Link href="/breakers">{isAddress(subject) ? `${subject.slice(0, 8)}…${subject.slice(-6)}` : subject}</Link>
  return isAddress(subject) ? <Address of={subject} /> : <Copy text={subject} label="Subject"><code>{subject.length > 18 ? `${subject.slice(0, 18)}…` : subject}</code></Copy>
}

function Details({ of }: { of: unknown }) {
  const text = JSON.stringify(of)
  if (text === '{}' || text === 'null') return <span className="muted">nothing</span>
  return <details className="audit-details"><summary>{text.length > 60 ? `${text.slice(0, 60)}…` : text}</summary><pre>{JSON.stringify(of, null, 2)}</pre></details>
}

export default function Audit() {
  const [params, setParams] = useSearchParams()
  const actor = params.get('actor') ?? ''
  const subject = params.get('subject') ?? ''
  const after = params.get('after')
  // Cursors of the pages before this one, for the way back; a link into the middle goes back to the newest.
  const [before, setBefore] = useState<readonly (string | null)[]>([])
  const wrong = actor !== '' && !isAddress(actor)
  const asked = useAnswer(AuditDocument, { actor: actor === '' || wrong ? null : actor.toLowerCase(), subject: subject || null, after }, after === null ? 'minute' : 'event', !wrong)
  const filter = (name: string, value: string) => { setBefore([]); setParams((now) => { const next = new URLSearchParams(now); next.delete('after'); if (value) next.set(name, value); else next.delete(name); return next }, { replace: true }) }
  const go = (cursor: string | null) => setParams((now) => { const next = new URLSearchParams(now); if (cursor === null) next.delete('after'); else next.set('after', cursor); return next })
  // Entries of another filter or page are none of this one's: they carry no total, no file is made of them, and no way leads on from them.
  const log = asked.isPlaceholderData ? undefined : asked.data?.auditLog
  return (
    <>
      <PageHead title="Audit log" note="Every mutation and every sign-in, also those that were refused, newest first. Times are this server’s clock" />
      <Panel id="audit" title="Entries" note={log ? `${whole(log.totalCount)}${actor || subject ? ' that fit' : ''}` : undefined} actions={<><button type="button" onClick={() => void asked.refetch()}>Ask again</button><CsvButton title="Audit log" columns={COLUMNS} rows={log?.nodes ?? []} /></>}>
        <div className="controls" role="search">
          <label className="field">Who, address<input type="search" className="audit-text" value={actor} placeholder="0x…" aria-invalid={wrong || undefined} aria-describedby={wrong ? 'audit-wrong' : undefined} onChange={(event) => filter('actor', event.target.value.trim())} />{wrong && <span id="audit-wrong" className="down">Found {actor.length} characters, allowed is a whole address: 0x and 40 hexadecimal digits</span>}</label>
          <label className="field">Of, exactly<input type="search" className="audit-text" value={subject} placeholder="Proposal’s id, breaker’s subject, session" onChange={(event) => filter('subject', event.target.value.trim())} /></label>
          {(actor || subject) && <button type="button" className="quiet" onClick={() => { setBefore([]); setParams({}, { replace: true }) }}>Clear</button>}
        </div>
        {wrong ? <Empty>No entry is asked for: the address is not whole.</Empty> : <Loaded of={asked} height={420}>{({ auditLog }) => (
          <>
            <Table title="Entries" columns={COLUMNS} rows={auditLog.nodes} rowKey={({ id }) => id} empty={actor || subject ? 'No entry fits the filter.' : 'Nothing was done here yet, and nobody has signed in.'} />
            {(after !== null || auditLog.pageInfo.hasNextPage) && (
              <div className="controls">
                <ActButton busy={asked.isPlaceholderData} disabled={after === null} onClick={() => { go(before.at(-1) ?? null); setBefore(before.slice(0, -1)) }}>Newer</ActButton>
                <ActButton busy={asked.isPlaceholderData} disabled={!auditLog.pageInfo.hasNextPage} onClick={() => { setBefore([...before, after]); go(auditLog.pageInfo.endCursor) }}>Older</ActButton>
              </div>
            )}
          </>
        )}</Loaded>}
        <p className="provenance">Each hash is the SHA-256 of the hash before and of this entry’s fields: a changed, inserted or missing entry breaks the chain from there. The table takes no change and no deletion.</p>
      </Panel>
    </>
  )
}
