/** The page's small parts. What opens, drags or selects is Base UI's; these only show. */
import { Tooltip } from '@base-ui/react/tooltip'
import { Component, useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import type { Asked } from '../data/client.ts'
import { useFault } from '../data/live.ts'
import { arrive } from './arrive.ts'
import { short, time } from './format.ts'

/** A titled part of a page. `id` makes it a deep link; `actions` stand at the right of its head. */
export function Panel({ id, title, note, actions, className, children }: { id: string; title: ReactNode; note?: ReactNode; actions?: ReactNode; className?: string | undefined; children: ReactNode }) {
  const part = useRef<HTMLElement>(null)
  useEffect(() => (part.current ? arrive(part.current) : undefined), [])
  return (
    <section ref={part} id={id} className={`panel${className ? ` ${className}` : ''}`} aria-labelledby={`${id}-title`}>
      <header><h2 id={`${id}-title`}>{title}</h2>{note && <small>{note}</small>}{actions && <div className="actions">{actions}</div>}</header>
      <Boundary>{children}</Boundary>
    </section>
  )
}

/** A page's head: what it is about, and what can be done with all of it. */
export function PageHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  const name = typeof title === 'string' ? title : undefined
  useEffect(() => { if (name) document.title = `${name} · Bulwark` }, [name])
  return <div className="pagehead"><h1>{title}</h1>{note && <p>{note}</p>}{children && <div className="actions">{children}</div>}</div>
}

/** A fault in one part leaves the others standing. `retry` is what to do about it; to show it again where left out. */
export class Boundary extends Component<{ children: ReactNode; retry?: { readonly name: string; run(): void } }, { fault: string | null }> {
  override state: { fault: string | null } = { fault: null }
  static getDerivedStateFromError(error: unknown) { return { fault: sentence(error) } }
  override render() {
    if (this.state.fault === null) return this.props.children
    const retry = this.props.retry ?? { name: 'Show it again', run: () => this.setState({ fault: null }) }
    return <Notice kind="down" title="This part of the page failed.">{this.state.fault} <button type="button" onClick={() => retry.run()}>{retry.name}</button></Notice>
  }
}

/**
 * What an answer becomes: a space of the final height while it is asked for, the reason where it cannot be had, else its content.
 * A renewal that fails leaves the last content, and says so above it, unless the shell says that the whole API is away. While another question is
 * asked (other variables), the former's answer stays, pale and marked busy, so that it cannot be taken for the new one's. `title` is the page's
 * head until the content brings its own, at the same place.
 */
export function Loaded<Data>({ of, height = 96, title, children }: { of: Asked<Data>; height?: number; title?: string; children: (data: Data) => ReactNode }) {
  const { data, error, refetch } = of
  const fault = useFault(error)
  const again = <button type="button" onClick={() => void refetch()}>Ask again</button>
  if (data === undefined) return <>{title && <PageHead title={title} />}{error ? <Notice kind="down" title={sentence(error)}>{again}</Notice> : <div className="loading" style={{ minHeight: height }} role="status"><span className="sr">Loading …</span></div>}</>
  return <div className="answer" aria-busy={of.isPlaceholderData}>{of.isPlaceholderData && <span className="sr" role="status">Asking again …</span>}{fault && <Notice kind="degraded" title={sentence(fault)}>What stands below is the last that came. {again}</Notice>}{children(data)}</div>
}

/** An error's sentence, with a full stop. */
export const sentence = (error: unknown): string => `${error instanceof Error ? error.message : String(error)}`.replace(/\.?$/, '.')

/** Nothing here: what would make something appear. */
export const Empty = ({ children }: { children: ReactNode }) => <p className="empty">{children}</p>

export const Notice = ({ kind, title, children }: { kind: 'down' | 'degraded' | 'good'; title: ReactNode; children?: ReactNode }) => <div className={`notice ${kind}`} role={kind === 'down' ? 'alert' : 'status'}><b>{title}</b> {children}</div>

/** What nobody knows, and why: never zero. */
export const Unknown = ({ why = 'Unknown at this block' }: { why?: string | undefined }) => <Hint text={why}><span className="unknown">—<span className="sr"> unknown: {why}</span></span></Hint>

/** A rounded figure with its unit; the exact one on hover and for screen readers' descriptions. */
export const Figure = ({ exact, unit, note, children }: { exact: string; unit: string; note?: string | undefined; children: ReactNode }) => <span className="figure" title={`${exact} ${unit}${note ? ` (${note})` : ''}`}>{children}</span>

/** Words that appear on hover and focus. What is in them alone may not be needed to understand the page. */
export function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger render={<span className="hinted" tabIndex={0} />}>{children}</Tooltip.Trigger>
      <Tooltip.Portal><Tooltip.Positioner sideOffset={6}><Tooltip.Popup className="hint">{text}</Tooltip.Popup></Tooltip.Positioner></Tooltip.Portal>
    </Tooltip.Root>
  )
}

/** A word with a meaning of its colour; the word alone says it. */
export const Tag = ({ kind = 'quiet', children }: { kind?: 'down' | 'warn' | 'good' | 'accent' | 'quiet'; children: ReactNode }) => <span className={`tag ${kind}`}>{children}</span>

/** A labelled list of figures in columns: [label, figure, note]. */
export const Sums = ({ of }: { of: readonly (readonly [label: ReactNode, figure: ReactNode, note?: ReactNode])[] }) => <dl className="sums">{of.map(([label, figure, note], index) => <div key={index}><dt>{label}</dt><dd>{figure ?? <Unknown />}</dd>{note && <dd className="note">{note}</dd>}</div>)}</dl>

/** Label and value, one line each. */
export const Facts = ({ of }: { of: readonly (readonly [label: ReactNode, value: ReactNode])[] }) => <dl className="facts">{of.map(([label, value], index) => <div key={index}><dt>{label}</dt><dd>{value ?? <Unknown />}</dd></div>)}</dl>

export const Time = ({ at, children }: { at: string | number; children?: ReactNode }) => <time dateTime={new Date(Number(at) * 1000).toISOString()} title={time(at)}>{children ?? time(at)}</time>

/** The way that a page without a secure context has (http on a network of one's own): what is selected is copied. Whether it was. */
function copyBySelection(text: string): boolean {
  const { activeElement } = document
  const field = document.createElement('textarea')
  field.className = 'sr'
  field.readOnly = true
  field.value = text
  // Inside an open dialog, which keeps the focus to itself.
  ;(activeElement?.closest('[role$=dialog]') ?? document.body).append(field)
  field.select()
  try {
    return document.execCommand('copy')
  } catch {
    return false
  } finally {
    field.remove()
    if (activeElement instanceof HTMLElement) activeElement.focus()
  }
}

/** A click, or Enter, copies `text`; what was said of it disappears after a moment. */
export function Copy({ text, label, children }: { text: string; label: string; children?: ReactNode }) {
  const [said, setSaid] = useState('')
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const copy = async (event: { preventDefault(): void; stopPropagation(): void }) => {
    event.preventDefault()
    event.stopPropagation()
    try {
      await navigator.clipboard.writeText(text)
      setSaid('copied')
    } catch {
      setSaid(copyBySelection(text) ? 'copied' : 'not copied: select it by hand')
    }
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setSaid(''), 1500)
  }
  return (
    <button type="button" className="copy" title={`${label}: ${text} (click copies)`} onClick={(event) => void copy(event)}>
      {children ?? text}<span className="sr">, copy {label}</span><span className="said" role="status">{said}</span>
    </button>
  )
}

/** An address or hash, six digits at each end (look-alikes are made to match four), whole on hover and on paper, copied by a click. */
export const Address = ({ of, label = 'Address', name, whole = false }: { of: string; label?: string; name?: ReactNode; whole?: boolean }) => <span className="address"><Copy text={of} label={label}>{name && <b>{name} </b>}<code data-whole={whole ? undefined : of}>{whole ? of : short(of)}</code></Copy></span>

/** What a figure stands on: its model, version, block and inputs. */
export const Provenance = ({ of }: { of: { readonly model: string; readonly version: string; readonly source?: string; readonly block: { readonly number: string; readonly timestamp: string }; readonly inputsDigest: string } }) => (
  <p className="provenance">
    {of.source ? <Hint text={of.source}>{of.model} {of.version}</Hint> : <>{of.model} {of.version}</>} · block <b>{Number(of.block.number).toLocaleString('en')}</b>, <Time at={of.block.timestamp} /> · inputs <Copy text={of.inputsDigest} label="SHA-256 of the inputs"><code>{of.inputsDigest.slice(0, 10)}</code></Copy>
  </p>
)
