import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'

export function Panel({ id, title, note, children }: { id: string; title: string; note?: string | undefined; children: ReactNode }) {
  return (
    <section id={id} className="panel" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}{note && <small>{note}</small>}</h2>
      {children}
    </section>
  )
}

/** A table that becomes labelled cards on a narrow screen; the roles keep it a table for screen readers there. */
export function Table({ label, head, numeric, children }: { label: string; head: readonly string[]; numeric: readonly number[]; children: ReactNode }) {
  return (
    <table role="table" aria-label={label}>
      <thead role="rowgroup"><tr role="row">{head.map((name, index) => <th key={name} role="columnheader" scope="col" className={numeric.includes(index) ? 'n' : undefined}>{name}</th>)}</tr></thead>
      <tbody role="rowgroup">{children}</tbody>
    </table>
  )
}

/** Cells as [column, content]; no content is "unknown". A column whose content is right-aligned follows its head. */
export function Row({ cells, tone }: { cells: readonly (readonly [string, ReactNode])[]; tone?: string | undefined }) {
  return <tr role="row" className={tone}>{cells.map(([name, content], index) => <td key={name} role={index === 0 ? 'rowheader' : 'cell'} data-label={name}><div>{content || <span className="unknown" title="Unknown at this block">—</span>}</div></td>)}</tr>
}

/** A rounded figure; the exact one, with its unit, is its title. */
export const Figure = ({ exact, unit, note, children }: { exact: string; unit: string; note?: string | undefined; children: ReactNode }) => <span title={`${exact} ${unit}${note ? ` (${note})` : ''}`}>{children}</span>

export const Tag = ({ kind, children }: { kind: 'down' | 'quiet'; children: ReactNode }) => <span className={`tag ${kind}`}>{children}</span>

export const Notice = ({ kind, title, children }: { kind: 'down' | 'degraded'; title: string; children: ReactNode }) => <p className={`notice ${kind}`}><b>{title}</b> {children}</p>

/** Shows a short form; the whole text is its title, and a click or Enter copies it. */
export function Copyable({ text, label, children }: { text: string; label: string; children: ReactNode }) {
  const [said, setSaid] = useState('')
  useEffect(() => {
    if (said === '') return
    const timer = setTimeout(() => setSaid(''), 1500)
    return () => clearTimeout(timer)
  }, [said])
  const copy = async (event: { preventDefault(): void; stopPropagation(): void }) => {
    event.preventDefault()
    event.stopPropagation()
    try {
      await navigator.clipboard.writeText(text)
      setSaid('copied')
    } catch {
      // A page without a secure context has no clipboard; the title still shows the whole text.
      setSaid('not copied')
    }
  }
  return (
    <button type="button" className="copy" title={`${label}: ${text} (click copies)`} aria-label={`${label} ${text}, copy`} onClick={(event) => void copy(event)}>
      {children}<span className="said" role="status">{said}</span>
    </button>
  )
}
