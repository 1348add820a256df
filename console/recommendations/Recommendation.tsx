/** One recommendation: its sentence, what the evidence shows, how it came about, and whether it can be computed again. */
import { useState } from 'react'
import { Link } from 'wouter'
import { ask, renew, useAnswer } from '../data/client.ts'
import { useEvents } from '../data/live.ts'
import { BandPricesDocument, RecommendationDocument, RecommendationsAddedDocument, RecommendationsDocument, RecommendedParameterDocument, RecomputeDocument } from '../generated/operations.ts'
import type { RecommendationQuery, RecommendedParameterQuery, RecomputeQuery } from '../generated/operations.ts'
import { keyOf, leadingNumber, onAxis, range, step } from '../parameters/values.ts'
import { percent, whole } from '../ui/format.ts'
import { Copy, Empty, Facts, Loaded, Notice, PageHead, Panel, Sums, Tag, Time, sentence } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { BasketButton } from './BasketButton.tsx'
import { EvidenceChart, HistoryChart, MovesChart, PathChart } from './Charts.tsx'
import { Runs } from './Runs.tsx'
import { evidenceChart } from './evidence.ts'
import { directionText, isHeld, itemOf, whyAdvisory } from './recommendation.ts'
import './recommendations.css'

type Whole = NonNullable<RecommendationQuery['recommendation']>

/** An id has colons, and what links to it may have escaped them. */
function unescaped(id: string): string {
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}

export default function Recommendation({ id: escaped }: { id: string }) {
  const id = unescaped(escaped)
  const one = useAnswer(RecommendationDocument, { id }, 'never')
  return (
    <Loaded of={one} height={640} title="Recommendation">{({ recommendation }) => (recommendation ? <Beside of={recommendation} /> : (
      <><PageHead title="Recommendation" /><Empty>There is no recommendation {id}. Runs are kept for a while alone, and those that a proposal names: see <Link href="/recommendations">the latest</Link>.</Empty></>
    ))}</Loaded>
  )
}

/** Its parameter as it is now comes first, so that nothing on the page moves when it arrives; without it the page stands, too. */
function Beside({ of }: { of: Whole }) {
  const asked = useAnswer(RecommendedParameterDocument, { name: of.parameter, subject: of.subject }, 'minute')
  if (asked.isPending) return <div className="loading" style={{ minHeight: 640 }} role="status"><span className="sr">Loading …</span></div>
  return <Shown of={of} now={asked.data} problem={asked.error} />
}

function Shown({ of, now, problem }: { of: Whole; now: RecommendedParameterQuery | undefined; problem: Error | null }) {
  const parameter = now?.parameter
  const unit = parameter?.unit ?? ''
  const rule = now?.policy.parameters.find(({ name }) => name === of.parameter)
  const limit = (raw: string | null | undefined) => (raw == null || parameter == null || parameter.inputDecimals === null ? null : onAxis(raw, parameter))
  const policy = { min: limit(rule?.minRaw), max: limit(rule?.maxRaw) }
  const chart = evidenceChart(of)
  const moved = parameter && parameter.raw !== of.currentRaw
  return (
    <>
      <PageHead title={`${of.title}, ${of.subjectLabel}`} note={<><Link href="/recommendations">Recommendations</Link> · run of block {whole(of.block.number)}, <Time at={of.block.timestamp} /></>}>
        {isHeld(of) ? <Tag>held</Tag> : of.settable ? <BasketButton item={itemOf(of)} /> : <Tag>advisory alone</Tag>}
      </PageHead>
      <Later of={of} />
      {problem && <Notice kind="degraded" title={sentence(problem)}>The parameter’s value and limits now are not known.</Notice>}
      {moved && <Notice kind="degraded" title={`It is ${parameter.display} by now.`}>This recommendation was made when it was {of.currentDisplay}; a proposal of it would be refused as drifted.</Notice>}
      <section className="panel recommendation-head" aria-label="Recommendation">
        <p className="recommendation-lead">{of.reason}.</p>
        {!of.settable && <p className="note">It cannot be set: {whyAdvisory(of)}.</p>}
        <Sums of={[
          ['Value at that block', of.currentDisplay, <>raw <code>{of.currentRaw}</code></>],
          [isHeld(of) ? 'Held at' : 'Recommended', of.recommendedDisplay, <>raw <code>{of.recommendedRaw}</code></>],
          ['Step', step(of.currentRaw, of.recommendedRaw, parameter ?? undefined) ?? '…', directionText(of.direction)],
          ['Urgency', <>{of.urgency} of 100</>, of.urgency === 0 ? 'nothing to do' : 'distance of the risk now from the one asked for, times confidence'],
          ['Confidence', percent(of.confidence, 0), 'how far sample and backtest carry the model'],
        ]} />
      </section>
      <div className="desk recommendation-desk">
        <div className="stack">
          {chart && <Panel id="evidence-chart" title="What the evidence shows" note="Figures of the evidence below, at the run’s block"><EvidenceChart of={chart} />{chart.missing.length > 0 && <p className="empty">Not drawn: {chart.missing.join('; ')}.</p>}</Panel>}
          {(of.model === 'volatility-band' || of.model === 'volatility-band-ticks') && <Moves of={of} />}
          <Panel id="path" title="From model to recommendation" note="The controller’s steps, in order">
            <PathChart of={of} unit={unit} policy={policy} />
            <Table title="Adjustments, in order" rowKey={({ step: name, from, to }) => `${name} ${from} ${to}`} rows={of.adjustments} empty="Nothing was adjusted: the model’s value stands." columns={[
              { key: 'step', head: 'Step', value: (row) => row.step },
              { key: 'from', head: 'From', numeric: true, value: (row) => row.from },
              { key: 'to', head: 'To', numeric: true, value: (row) => row.to },
              { key: 'why', head: 'Why', words: true, value: (row) => row.why },
            ]} />
          </Panel>
          <Past of={of} parameter={parameter} />
        </div>
        <div className="stack">
          <Panel id="evidence" title="Evidence" note={`${of.evidence.length} figures, each with its source`} actions={<CsvButton title={`Evidence for ${of.title}, ${of.subjectLabel}`} columns={EVIDENCE} rows={of.evidence} />}>
            <Table title="Evidence" columns={EVIDENCE_SHOWN} rows={of.evidence} rowKey={({ label, source }) => `${label} ${source}`} />
          </Panel>
          <Recompute id={of.id} />
          <Panel id="made" title="What it stands on">
            <Facts of={[
              ['Model', `${of.model}, version ${of.modelVersion}`],
              ['Block', <>{whole(of.block.number)}, <Time at={of.block.timestamp} /></>],
              ['SHA-256 of the inputs', <Copy text={of.inputsDigest} label="SHA-256 of the inputs"><code>{of.inputsDigest}</code></Copy>],
              ['Parameter', <Link href={`/parameters/${of.parameter}/${of.subject}`}>{of.parameter} of {of.subjectLabel}</Link>],
              ['Contract accepts', parameter ? <>{range(parameter.bounds.min, parameter.bounds.max, parameter.inputDecimals, unit)}{parameter.bounds.note && <span className="note"> {parameter.bounds.note}</span>}</> : null],
              ['Policy allows', rule ? range(rule.minRaw, rule.maxRaw, parameter?.inputDecimals, unit) : now ? 'It is not in the policy: it may not be proposed' : null],
            ]} />
          </Panel>
        </div>
      </div>
    </>
  )
}

const EVIDENCE: readonly Column<Whole['evidence'][number]>[] = [
  { key: 'label', head: 'What', value: (row) => row.label },
  { key: 'value', head: 'Figure', value: (row) => row.value },
  { key: 'unit', head: 'Unit', value: (row) => row.unit },
  { key: 'source', head: 'Source', value: (row) => row.source },
]
/** The same, with what belongs together in one place. */
const EVIDENCE_SHOWN: typeof EVIDENCE = [
  { key: 'label', head: 'What, and its source', value: (row) => row.label, cell: (row) => <span className="recommendation-what"><span>{row.label}</span><span className="recommendation-source">{row.source}</span></span> },
  { key: 'value', head: 'Figure', value: (row) => row.value, cell: (row) => <span className="recommendation-figure"><b>{row.value}</b>{row.unit && !row.value.endsWith(row.unit) && <> <small>{row.unit}</small></>}</span> },
]

/** A newer run says something else, or the same, about this parameter. */
function Later({ of }: { of: Whole }) {
  const latest = useAnswer(RecommendationsDocument, {}, 'event').data?.recommendations
  useEvents(RecommendationsAddedDocument, {}, () => void renew('Recommendations', 'RecommendedParameter'))
  const now = latest?.find((row) => keyOf(row) === keyOf(of))
  if (!latest?.[0]) return <p className="recommendation-later" />
  if (latest[0].block.number === of.block.number) return <p className="recommendation-later muted" role="status">It is of the latest run.</p>
  if (!now) return <p className="recommendation-later" role="status">The latest run, of block {whole(latest[0].block.number)}, says nothing of this parameter.</p>
  const same = now.recommendedRaw === of.recommendedRaw && now.direction === of.direction && now.currentRaw === of.currentRaw
  return <p className="recommendation-later" role="status">{same ? 'A newer run asks for the same: ' : <b>A newer run asks for something else: {now.currentDisplay} → {now.recommendedDisplay}. </b>}<Link href={`/recommendations/${encodeURIComponent(now.id)}`}>block {whole(now.block.number)}</Link></p>
}

function Moves({ of }: { of: Whole }) {
  const asked = useAnswer(BandPricesDocument, { market: of.subject }, 'minute')
  const ticks = of.model === 'volatility-band-ticks'
  const move = (display: string): number | null => {
    const value = leadingNumber(display)
    return value === null ? null : ticks ? (1.0001 ** value - 1) * 100 : value
  }
  return (
    <Panel id="moves" title="How the price moves" note="Index prices up to the indexed block, not that of the run">
      <Loaded of={asked} height={280}>{({ market }) => (market && market.prices.length > 1 ? <MovesChart symbol={market.symbol} prices={market.prices} now={move(of.currentDisplay)} next={isHeld(of) ? null : move(of.recommendedDisplay)} ticks={ticks} /> : <Empty>No two index prices are indexed yet.</Empty>)}</Loaded>
    </Panel>
  )
}

function Past({ of, parameter }: { of: Whole; parameter: RecommendedParameterQuery['parameter'] | undefined }) {
  const runs = parameter?.recommendations
  return (
    <Panel id="past" title="Before" note="Values of the parameter, and what the runs that are kept said of it" actions={<Link href={`/parameters/${of.parameter}/${of.subject}`}>All changes</Link>}>
      {parameter && parameter.inputDecimals !== null ? <HistoryChart title={`${of.title}, ${of.subjectLabel}`} of={parameter} changes={parameter.history.nodes} untilSec={Math.max(Number(of.block.timestamp), Number(runs?.nodes[0]?.block.timestamp ?? 0))} earlier={runs?.nodes} /> : <Empty>The parameter’s own past is not known now.</Empty>}
      {runs && <Runs of={runs} shown={of.id} />}
    </Panel>
  )
}

type Recomputed = NonNullable<RecomputeQuery['recomputeRecommendation']>
const COMPARED: Record<Recomputed['comparison']['state'], string> = {
  SAME: 'The chain’s index gives the same inputs at that block.',
  DIFFERENT: 'The chain’s index gives other inputs at that block than those that were stored.',
  NOT_KEPT: 'The inputs could not be compared with the chain’s index: the state of that block is no longer kept, or the block is not the canonical one.',
  UNAVAILABLE: 'The inputs could not be compared with the chain’s index: it is not asked, or does not answer.',
}

/** Computes it again from its stored inputs on the server, and compares these with the chain's index. */
function Recompute({ id }: { id: string }) {
  const [state, setState] = useState<{ running: boolean; result?: Recomputed; problem?: string }>({ running: false })
  const run = async () => {
    setState((now) => ({ ...now, running: true }))
    try {
      const { recomputeRecommendation } = await ask(RecomputeDocument, { id })
      setState(recomputeRecommendation ? { running: false, result: recomputeRecommendation } : { running: false, problem: 'It is not kept any more: runs are kept for a while alone.' })
    } catch (error) {
      setState((now) => ({ ...now, running: false, problem: sentence(error) }))
    }
  }
  const { result, problem, running } = state
  return (
    <Panel id="recompute" title="Recompute" note="From its stored inputs, by the model’s code of today" actions={<button type="button" disabled={running} onClick={() => void run()}>{running ? 'Computing …' : result ? 'Recompute again' : 'Recompute'}</button>}>
      {problem && <Notice kind="down" title={problem} />}
      {!result && !problem && <p className="empty">The server computes it again and says whether it is the same to the byte, and whether the chain’s index still gives the same inputs at that block.</p>}
      {result && (
        <div className="body recommendation-recomputed" role="status">
          {result.identical ? <Notice kind="good" title="Identical.">Every field of the recommendation comes out the same.</Notice> : <Notice kind="down" title="It differs."><ul>{result.differs.map((one) => <li key={one}>{one}</li>)}</ul>Do not propose it before somebody knows why.</Notice>}
          <Notice kind={result.comparison.state === 'SAME' ? 'good' : result.comparison.state === 'DIFFERENT' ? 'down' : 'degraded'} title={COMPARED[result.comparison.state]}>{result.comparison.detail}{result.comparison.differs.length > 0 && <ul>{result.comparison.differs.map((one) => <li key={one}>{one}</li>)}</ul>}</Notice>
          {result.comparison.notCompared.length > 0 && <><h3>Not compared</h3><ul className="recommendation-list">{result.comparison.notCompared.map((one) => <li key={one}>{one}</li>)}</ul></>}
          <p className="note">SHA-256 of the stored inputs, computed now: <Copy text={result.inputsDigest} label="SHA-256 of the inputs now"><code>{result.inputsDigest}</code></Copy></p>
        </div>
      )}
    </Panel>
  )
}
