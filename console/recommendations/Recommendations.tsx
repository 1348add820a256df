/** What the models ask for in the latest run, most urgent first. */
import { useMemo, useRef, useState } from 'react'
import { Link, useSearchParams } from 'wouter'
import { renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { RecommendationsAddedDocument, RecommendationsDocument, UnitsDocument, WithoutModelDocument } from '../generated/operations.ts'
import { keyOf, step } from '../parameters/values.ts'
import { percent, whole, words } from '../ui/format.ts'
import { Empty, Loaded, PageHead, Panel, Tag, Time } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { BasketButton } from './BasketButton.tsx'
import { difference, directionText, heldBy, isHeld, itemOf, newsOf, seen, seenOf, whyAdvisory } from './recommendation.ts'
import type { Recommendation, Seen } from './recommendation.ts'
import './recommendations.css'

export default function Recommendations() {
  const latest = useAnswer(RecommendationsDocument, {}, 'event')
  useEvents(RecommendationsAddedDocument, {}, () => void renew('Recommendations'))
  return (
    <>
      <PageHead title="Recommendations" note="What the models ask for, after bounds, rate limit, deadband and cooldown" />
      <Loaded of={latest} height={560}>{({ recommendations }) => (recommendations.length === 0 ? <Empty>No run of the models yet. The first comes with the first step of the mirror; the status bar says whether it is on its way.</Empty> : <Run latest={recommendations} />)}</Loaded>
    </>
  )
}

/** What is shown stays until its reader takes the newer run over. */
function Run({ latest }: { latest: readonly Recommendation[] }) {
  const [shown, setShown] = useState(latest)
  // What was seen before this visit; what is shown now counts as seen from here on.
  const before = useRef<Seen | null>(undefined as never)
  if (before.current === undefined) {
    before.current = seen.get()
    seen.set(seenOf(latest))
  }
  const accept = () => {
    before.current = seenOf(shown)
    seen.set(seenOf(latest))
    setShown(latest)
  }
  const [run] = shown
  const [next] = latest
  if (!run || !next) return null
  const { fresh, changed, gone } = difference(shown, latest)
  const parts = [[fresh, 'new'], [changed, 'changed'], [gone, 'gone']].filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`)
  return (
    <>
      <p className="recommendations-run" role="status">
        <span>Run of block {whole(run.block.number)}, <Time at={run.block.timestamp} />.</span>
        {next.id === run.id ? <span className="muted">It is the latest.</span> : (
          <><span><b>Newer: block {whole(next.block.number)}</b>, {parts.length > 0 ? parts.join(', ') : 'the same values'}.</span> <button type="button" onClick={accept}>Show it</button></>
        )}
      </p>
      <List rows={shown} before={before.current} />
      <WithoutModel />
    </>
  )
}

/** What a file of them holds: raw values and ids, too, and the held ones. */
const FILE: readonly Column<Recommendation>[] = ([
  ['Subject', (row) => row.subjectLabel], ['Parameter', (row) => row.title], ['Now', (row) => row.currentDisplay], ['Recommended', (row) => row.recommendedDisplay], ['Direction', (row) => words(row.direction)],
  ['Urgency, 0 to 100', (row) => row.urgency], ['Confidence, 0 to 1', (row) => row.confidence], ['Reason', (row) => row.reason], ['Can be set', (row) => (row.settable ? 'yes' : whyAdvisory(row))],
  ['Model', (row) => `${row.model} ${row.modelVersion}`], ['Block', (row) => row.block.number], ['Block time, Unix seconds', (row) => row.block.timestamp],
  ['Name', (row) => row.parameter], ['Subject address', (row) => row.subject], ['Now, raw', (row) => row.currentRaw], ['Recommended, raw', (row) => row.recommendedRaw], ['SHA-256 of the inputs', (row) => row.inputsDigest], ['Id', (row) => row.id],
] satisfies [string, Column<Recommendation>['value']][]).map(([head, value]) => ({ key: head, head, value }))

function List({ rows, before }: { rows: readonly Recommendation[]; before: Seen | null }) {
  const [params, setParams] = useSearchParams()
  const units = useAnswer(UnitsDocument, {}, 'event').data?.parameters
  const subject = params.get('subject') ?? ''
  const direction = params.get('direction') ?? ''
  const set = params.get('set') ?? ''
  const text = params.get('text') ?? ''
  const change = (name: string, value: string) => setParams((now) => { const next = new URLSearchParams(now); if (value) next.set(name, value); else next.delete(name); return next }, { replace: true })
  const subjects = useMemo(() => [...new Set(rows.map((row) => row.subjectLabel))].toSorted((a, b) => Number(b === 'protocol') - Number(a === 'protocol') || a.localeCompare(b)), [rows])
  const chosen = rows.filter((row) =>
    (!subject || row.subjectLabel === subject) && (!direction || row.direction === direction) && (!set || row.settable === (set === 'yes')) &&
    (!text || `${row.title} ${row.parameter} ${row.subjectLabel} ${row.reason} ${row.model}`.toLowerCase().includes(text.toLowerCase())))
  const asked = chosen.filter((row) => !isHeld(row))
  const held = chosen.filter(isHeld)
  const columns = useMemo((): readonly Column<Recommendation>[] => {
    const unitOf = new Map(units?.map((one) => [keyOf(one), one]))
    const stepOf = (row: Recommendation) => step(row.currentRaw, row.recommendedRaw, unitOf.get(keyOf(row)))
    return [
      { key: 'parameter', head: 'Parameter', value: (row) => `${row.subjectLabel} ${row.title}`, cell: (row) => <Sentence of={row} before={before} /> },
      { key: 'change', head: 'Now → recommended', value: (row) => `${row.currentDisplay} → ${row.recommendedDisplay}`, cell: (row) => (
        <span className="recommendation-change"><span>{row.currentDisplay} → <b>{row.recommendedDisplay}</b></span><small>{[stepOf(row), directionText(row.direction)].filter(Boolean).join(' · ')}</small></span>
      ) },
      { key: 'urgency', head: 'Urgency', numeric: true, value: (row) => row.urgency, cell: (row) => <span className="recommendation-urgency"><meter min={0} max={100} low={34} high={67} optimum={0} value={row.urgency} aria-hidden="true" /><span>{row.urgency}</span><span className="sr"> of 100</span></span> },
      { key: 'confidence', head: 'Confidence', numeric: true, value: (row) => row.confidence, cell: (row) => percent(row.confidence, 0) },
      { key: 'model', head: 'Model', value: (row) => `${row.model} ${row.modelVersion}`, cell: (row) => <span className="recommendation-model">{row.model} {row.modelVersion}<small>block {whole(row.block.number)}</small></span> },
      { key: 'basket', head: 'Proposal', value: (row) => (row.settable ? 'can be set' : `advisory: ${whyAdvisory(row)}`), cell: (row) => (row.settable ? <BasketButton item={itemOf(row)} /> : <Tag>advisory alone</Tag>) },
    ]
  }, [units, before])
  return (
    <>
      <Panel id="recommendations" title="Changes asked for" note={`${asked.length}${asked.length + held.length < rows.length ? ` of ${rows.filter((row) => !isHeld(row)).length}` : ''}, most urgent first`} actions={<CsvButton title="Recommendations" columns={FILE} rows={chosen} />} className="recommendations">
        <div className="controls" role="search">
          <label className="field">Subject<select value={subject} onChange={(event) => change('subject', event.target.value)}><option value="">All</option>{subjects.map((one) => <option key={one}>{one}</option>)}</select></label>
          <label className="field">Direction<select value={direction} onChange={(event) => change('direction', event.target.value)}><option value="">All</option><option value="TIGHTEN">Tighten</option><option value="LOOSEN">Loosen</option><option value="HOLD">Hold</option></select></label>
          <label className="field">Can be set<select value={set} onChange={(event) => change('set', event.target.value)}><option value="">All</option><option value="yes">By a setter</option><option value="no">Advisory alone</option></select></label>
          <label className="field recommendations-text">Text<input type="search" value={text} placeholder="Parameter, market, model, sentence" onChange={(event) => change('text', event.target.value)} /></label>
          {(subject || direction || set || text) && <button type="button" className="quiet" onClick={() => setParams({}, { replace: true })}>Clear</button>}
        </div>
        {asked.length > 0 ? <Table title="Changes asked for" columns={columns} rows={asked} rowKey={keyOf} /> : <Empty>{rows.some((row) => !isHeld(row)) ? 'No change that fits the filter.' : 'The models ask for no change.'}</Empty>}
      </Panel>
      {held.length > 0 && (
        <details className="panel recommendations-held" open={direction === 'HOLD'}>
          <summary><h2>Held: {held.length}</h2><small>The model asks for nothing more, or something keeps the value as it is</small></summary>
          <Table title="Held" rowKey={keyOf} rows={held} columns={[
            { key: 'parameter', head: 'Parameter', value: (row) => `${row.subjectLabel} ${row.title}`, cell: (row) => <Sentence of={row} before={before} /> },
            { key: 'value', head: 'Stays at', value: (row) => row.currentDisplay },
            { key: 'why', head: 'Held by', words: true, value: (row) => heldBy(row) },
            { key: 'confidence', head: 'Confidence', numeric: true, value: (row) => row.confidence, cell: (row) => percent(row.confidence, 0) },
          ]} />
        </details>
      )}
    </>
  )
}

function Sentence({ of, before }: { of: Recommendation; before: Seen | null }) {
  const news = newsOf(of, before)
  return (
    <span className="recommendation-what">
      <span><Link href={`/recommendations/${encodeURIComponent(of.id)}`}><b>{of.title}</b></Link> <span className="muted">{of.subjectLabel}</span>{news && <> <Tag kind="accent">{news}</Tag></>}</span>
      <span className="recommendation-sentence">{of.reason}.</span>
      {!of.settable && <span className="recommendation-sentence">It cannot be set: {whyAdvisory(of)}.</span>}
    </span>
  )
}

function WithoutModel() {
  const models = useAnswer(WithoutModelDocument, {}, 'never')
  return (
    <details className="panel recommendations-held">
      <summary><h2>Parameters that no model recommends</h2><small>{models.data ? `${models.data.parameterModels.filter(({ model }) => model === null).length} of ${models.data.parameterModels.length}, and what decides them instead` : ''}</small></summary>
      <Loaded of={models}>{({ parameterModels }) => (
        <Table title="Parameters that no model recommends" rowKey={({ parameter }) => parameter} rows={parameterModels.filter(({ model }) => model === null)} columns={[
          { key: 'title', head: 'Parameter', value: (row) => row.title, cell: (row) => <Link href={`/parameters?text=${encodeURIComponent(row.parameter)}`}>{row.title}</Link> },
          { key: 'scope', head: 'Of each', value: (row) => words(row.scope) },
          { key: 'reason', head: 'Why, and what decides it', words: true, value: (row) => row.reason },
        ]} />
      )}</Loaded>
    </details>
  )
}
