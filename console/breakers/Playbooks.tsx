/** Changes prepared for levels and emergencies: what each would set, what it stops on the side, and what it leaves to people. */
import { useState } from 'react'
import { Link, useSearchParams } from 'wouter'
import { inBasket, putInBasket, takeFromBasket, useBasket } from '../data/basket.ts'
import type { BasketItem } from '../data/basket.ts'
import { useAnswer } from '../data/client.ts'
import { PlaybooksDocument } from '../generated/operations.ts'
import type { BreakerPartsFragment, PlaybooksQuery } from '../generated/operations.ts'
import { words } from '../ui/format.ts'
import { Empty, Loaded, Panel, Provenance, Tag } from '../ui/parts.tsx'
import { Table } from '../ui/Table.tsx'

type Playbook = NonNullable<PlaybooksQuery['playbooks']>['playbooks'][number]

export function Playbooks({ breakers }: { breakers: readonly BreakerPartsFragment[] }) {
  const asked = useAnswer(PlaybooksDocument, {}, 'minute')
  const [params, setParams] = useSearchParams()
  const subject = params.get('subject') ?? ''
  const trigger = params.get('trigger') ?? ''
  const change = (name: string, value: string) => setParams((now) => { const next = new URLSearchParams(now); if (value) next.set(name, value); else next.delete(name); return next }, { replace: true })
  const all = asked.data?.playbooks?.playbooks ?? []
  return (
    <Panel id="playbooks" title="Playbooks" note="Changes prepared with the values of this block; nothing is sent from here" className="breakers-panel">
      <div className="controls">
        <label className="field">Subject<select value={subject} onChange={(event) => change('subject', event.target.value)}><option value="">All</option>{[...new Set(all.map(({ subjectLabel }) => subjectLabel))].map((one) => <option key={one}>{one}</option>)}</select></label>
        <label className="field">For<select value={trigger} onChange={(event) => change('trigger', event.target.value)}><option value="">All</option>{[...new Set(all.map((one) => one.trigger))].map((one) => <option key={one}>{one}</option>)}</select></label>
      </div>
      <Loaded of={asked} height={300}>{({ playbooks, parameterModels }) => {
        const titles = new Map(parameterModels.map(({ parameter, title }) => [parameter, title]))
        const chosen = playbooks?.playbooks.filter((one) => (!subject || one.subjectLabel === subject) && (!trigger || one.trigger === trigger)) ?? []
        const isAsked = (one: Playbook): boolean => breakers.some(({ subject: id, label, level }) => (id === one.subject || (label === 'protocol' && one.subjectLabel === 'the protocol')) && level === one.trigger)
        return (
          <>
            {chosen.length === 0 ? <Empty>{playbooks ? 'No playbook fits the filter.' : 'No block is indexed yet, and a playbook holds its values.'}</Empty> : <div className="breakers-list">{chosen.toSorted((a, b) => Number(isAsked(b)) - Number(isAsked(a))).map((one) => <One key={one.id} of={one} titles={titles} asked={isAsked(one)} />)}</div>}
            {playbooks && <Provenance of={playbooks.provenance} />}
          </>
        )
      }}</Loaded>
    </Panel>
  )
}

function One({ of, titles, asked }: { of: Playbook; titles: ReadonlyMap<string, string>; asked: boolean }) {
  return (
    <details className="breakers-book" id={`playbook-${of.id}`} open={asked && of.changes.length > 0}>
      <summary>
        <b>{of.title}</b>{asked && <Tag kind="warn">stands now</Tag>}
        <small>{of.changes.length === 0 ? 'no change on chain' : `${of.changes.length} ${of.changes.length === 1 ? 'change' : 'changes'}`}{of.stops.length > 0 && `, stops ${of.stops.map((one) => words(one)).join(', ')}`}{of.notDone.length > 0 && `, ${of.notDone.length} left to people`}</small>
      </summary>
      <p className="breaker-line">When {of.when}.</p>
      {of.changes.length > 0 ? (
        <>
          <Table title={`Changes of ${of.title}`} rowKey={(row) => `${row.parameter}:${row.subject}`} rows={of.changes} columns={[
            { key: 'parameter', head: 'Change', value: (row) => `${row.subjectLabel} ${row.parameter}`, cell: (row) => <span className="breakers-change"><span><Link href={`/parameters/${row.parameter}/${row.subject}`}><b>{titles.get(row.parameter) ?? row.parameter}</b></Link> {row.subjectLabel}</span><small>{row.why}</small></span> },
            { key: 'values', head: 'Now → then', value: (row) => `${row.fromDisplay} → ${row.toDisplay}`, cell: (row) => <span className="breakers-change"><span>{row.fromDisplay} → <b>{row.toDisplay}</b></span><small>raw {row.fromRaw} → {row.toRaw}</small></span> },
            { key: 'side', head: 'Side effects', words: true, value: (row) => row.sideEffects.join('; '), cell: (row) => <ul className="breakers-effects">{row.sideEffects.map((one) => <li key={one}>{one}</li>)}{row.stops.length > 0 && <li>Stops {row.stops.map((one) => words(one)).join(', ')}</li>}</ul> },
            { key: 'undo', head: 'Taken back by', words: true, value: (row) => row.undo },
          ]} />
          {of.refused.length > 0 && <div className="breaker-line"><b>The contracts would refuse:</b><ul className="breakers-effects">{of.refused.map((one) => <li key={one}>{one}</li>)}</ul></div>}
          <div className="breaker-line"><Put of={of} titles={titles} /></div>
        </>
      ) : <p className="breaker-line">It asks for no change on chain{of.notDone.length === 0 ? ': parameters are not loosened meanwhile, and that is all' : ''}.</p>}
      {of.notDone.length > 0 && <div className="breaker-line"><b>Not done by it:</b><ul className="breakers-effects">{of.notDone.map((one) => <li key={`${one.action} ${one.subjectLabel}`}><b>{words(one.action.replaceAll('-', '_'))}</b>, {one.subjectLabel}: {one.why}</li>)}</ul></div>}
    </details>
  )
}

/** All of its changes into the basket, under its name; undone, what stood there before is back. */
function Put({ of, titles }: { of: Playbook; titles: ReadonlyMap<string, string> }) {
  const basket = useBasket()
  const [before, setBefore] = useState<readonly (readonly [BasketItem, BasketItem | undefined])[]>([])
  const items = of.changes.filter((one) => one.fromRaw !== one.toRaw).map((one): BasketItem => ({ recommendationId: null, parameter: one.parameter, subject: one.subject, subjectLabel: one.subjectLabel, title: titles.get(one.parameter) ?? one.parameter, fromRaw: one.fromRaw, fromDisplay: one.fromDisplay, toRaw: one.toRaw, toDisplay: one.toDisplay, playbook: of.id }))
  const there = items.filter((item) => { const found = inBasket(basket, item); return found?.toRaw === item.toRaw && found.playbook === item.playbook })
  if (items.length === 0) return <span className="muted">All its values stand already.</span>
  const isIn = there.length === items.length
  const undo = () => {
    for (const item of items) {
      const old = before.find(([one]) => one.parameter === item.parameter && one.subject === item.subject)?.[1]
      if (old) putInBasket(old)
      else takeFromBasket(item)
    }
    setBefore([])
  }
  const put = () => {
    setBefore(items.map((item) => [item, inBasket(basket, item)]))
    for (const item of items) putInBasket(item)
  }
  // One button for both, so that the focus stays where it is.
  return (
    <span className="actions">
      {isIn && <Link href="/proposals/new">✓ In the basket</Link>}
      <button type="button" className={isIn ? 'quiet' : undefined} onClick={isIn ? undo : put} aria-label={isIn ? `Undo: take ${of.title} out of the basket` : `Put into a proposal: ${of.title}`}>{isIn ? 'Undo' : 'Put into a proposal'}</button>
    </span>
  )
}
