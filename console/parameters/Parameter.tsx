/** One parameter of one subject: its value, its limits, who changed it when, and what the models say. */
import { useEffect, useState } from 'react'
import { Link } from 'wouter'
import { ask, useAnswer } from '../data/client.ts'
import { useConnection } from '../data/live.ts'
import { ParameterHistoryDocument, ParameterPageDocument } from '../generated/operations.ts'
import type { ParameterChangePartsFragment, ParameterPageQuery } from '../generated/operations.ts'
import { BasketButton } from '../recommendations/BasketButton.tsx'
import { HistoryChart } from '../recommendations/Charts.tsx'
import { Runs } from '../recommendations/Runs.tsx'
import { heldBy, isHeld, itemOf, whyAdvisory } from '../recommendations/recommendation.ts'
import { dateTime, duration, percent, whole, words } from '../ui/format.ts'
import { Address, Empty, Facts, Loaded, Notice, PageHead, Panel, Sums, Tag, Time, sentence } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { changeHref, isAmount, range, step, unscaled } from './values.ts'
import './parameters.css'

export default function Parameter({ name, subject }: { name: string; subject: string }) {
  const asked = useAnswer(ParameterPageDocument, { name, subject }, 'minute')
  return <Loaded of={asked} height={640} title="Parameter">{(data) => (data.parameter ? <Shown of={data.parameter} data={data} /> : <><PageHead title="Parameter" /><Empty>The index holds no {name} of {subject}: see <Link href="/parameters">all parameters</Link>.</Empty></>)}</Loaded>
}

function Shown({ of, data }: { of: NonNullable<ParameterPageQuery['parameter']>; data: ParameterPageQuery }) {
  const contract = data.contracts.find(({ id }) => id === of.contract)?.name
  const rule = data.policy.parameters.find(({ name }) => name === of.name)
  const model = data.parameterModels.find(({ parameter }) => parameter === of.name)
  const recommendation = data.recommendations.find((one) => one.parameter === of.name && one.subject === of.subject)
  const steps = rule ? [rule.maxStepRelative !== null && `${percent(rule.maxStepRelative, 0)} of the value`, rule.maxStepRaw !== null && of.inputDecimals !== null && `${unscaled(rule.maxStepRaw, of.inputDecimals)} ${of.unit.replace('%', 'points')}`].filter(Boolean) : []
  return (
    <>
      <PageHead title={`${of.title}, ${of.subjectLabel}`} note={<><Link href="/parameters">Parameters</Link> · <code>{of.name}</code></>}>
        {of.settable ? <Link className="button" href={changeHref(of)}>Change by hand</Link> : <Tag>no setter</Tag>}
      </PageHead>
      {of.irreversible && <Notice kind="degraded" title="There is no way back from this change.">A draft of it asks for the change in words.</Notice>}
      <section className="panel parameter-head" aria-label="Value">
        <p>{of.description}</p>
        <Sums of={[
          ['Value', of.unit === 'address' ? <Address of={of.display} whole /> : of.display, isAmount(of) ? <>raw <code className="parameter-raw">{of.raw}</code></> : null],
          ['Changes', whole(of.changeCount), of.changeCount === 0 ? 'none since the start' : <>last <Time at={of.updatedAtTimestamp} /></>],
        ]} />
      </section>
      <div className="desk">
        <Past of={of} untilSec={Number(data.status.indexed?.timestamp ?? of.updatedAtTimestamp)} />
        <div className="stack">
          <Panel id="asked" title="What the models say" actions={recommendation && !isHeld(recommendation) && recommendation.settable ? <BasketButton item={itemOf(recommendation)} /> : undefined}>
            {recommendation ? (
              <div className="body"><p><Link href={`/recommendations/${encodeURIComponent(recommendation.id)}`}><b>{isHeld(recommendation) ? `Held at ${recommendation.currentDisplay}` : `${recommendation.currentDisplay} → ${recommendation.recommendedDisplay}`}</b></Link>{isHeld(recommendation) && <span className="muted"> {heldBy(recommendation)}</span>}</p><p className="muted">{recommendation.reason}.</p><p className="muted">{recommendation.model} {recommendation.modelVersion}, block {whole(recommendation.block.number)}</p></div>
            ) : <p className="empty">{model?.reason ? `No model recommends it: ${model.reason}.` : model?.model ? `The model ${model.model} has said nothing in the latest run.` : 'It is not in the catalog of models.'}</p>}
          </Panel>
          <Panel id="limits" title="Limits">
            <Facts of={[
              ['Contract', <Address of={of.contract} label="Contract" name={contract} />],
              ['It accepts', <>{isAmount(of) ? range(of.bounds.min, of.bounds.max, of.inputDecimals, of.unit) : of.unit}{of.bounds.note && <span className="note"> {of.bounds.note}</span>}</>],
              ['Can be set', of.settable ? 'by its setter, through the Safe' : `no: ${of.advisory ?? whyAdvisory({ advisory: null })}`],
              ['Policy allows', rule ? range(rule.minRaw, rule.maxRaw, of.inputDecimals, of.unit) : 'It is not in the policy: it may not be proposed'],
              ...(rule ? [
                ['Largest step', steps.length > 0 ? steps.join(', at most ') : 'any'] as const,
                ['Least time between changes', rule.minDelaySec > 0 ? duration(rule.minDelaySec) : 'none'] as const,
                ...(rule.exemptRaw.length > 0 ? [['May be gone to at any time', `raw ${rule.exemptRaw.join(', ')}`] as const] : []),
              ] : []),
            ]} />
          </Panel>
        </div>
      </div>
    </>
  )
}

type Change = ParameterChangePartsFragment
type Pages = { readonly nodes: readonly Change[]; readonly after: string | null; readonly total: number }

function Past({ of, untilSec }: { of: NonNullable<ParameterPageQuery['parameter']>; untilSec: number }) {
  const first = useAnswer(ParameterHistoryDocument, { name: of.name, subject: of.subject, after: null }, 'minute')
  const [older, setOlder] = useState<Pages | null>(null)
  const [problem, setProblem] = useState('')
  const [loading, setLoading] = useState(false)
  const { connection } = useConnection()
  const latest = first.data?.parameterChanges
  useEffect(() => setOlder(null), [latest?.totalCount])
  const nodes = [...(latest?.nodes ?? []), ...(older?.nodes ?? [])]
  const after = older ? older.after : (latest?.pageInfo.endCursor ?? null)
  const more = latest !== undefined && nodes.length < latest.totalCount && after !== null
  const load = async () => {
    setLoading(true)
    try {
      const { parameterChanges } = await ask(ParameterHistoryDocument, { name: of.name, subject: of.subject, after })
      setOlder({ nodes: [...(older?.nodes ?? []), ...parameterChanges.nodes], after: parameterChanges.pageInfo.endCursor, total: parameterChanges.totalCount })
      setProblem('')
    } catch (error) {
      setProblem(sentence(error))
    } finally {
      setLoading(false)
    }
  }
  const columns: readonly Column<Change>[] = [
    { key: 'at', head: 'Block time', value: (row) => row.timestamp, cell: (row) => <Time at={row.timestamp}>{dateTime(row.timestamp)}</Time> },
    { key: 'change', head: 'From → to', value: (row) => `${row.oldDisplay ?? 'unknown'} → ${row.newDisplay}`, cell: (row) => (of.unit === 'address' ? <>{row.oldDisplay ? <Address of={row.oldDisplay} /> : '—'} → <Address of={row.newDisplay} /></> : <span className="parameter-what"><span>{row.oldDisplay ?? <span title="The value before was neither announced nor read">—</span>} → <b>{row.newDisplay}</b></span>{row.oldRaw !== null && isAmount(of) && <small>{step(row.oldRaw, row.newRaw, of)}</small>}</span>) },
    { key: 'by', head: 'Made by', value: (row) => row.executor ?? row.sender, cell: (row) => <Made of={row} /> },
    { key: 'source', head: 'Known by', value: (row) => words(row.source), cell: (row) => (row.source === 'EVENT' ? 'its event' : 'reading the contract') },
    { key: 'block', head: 'Block', numeric: true, value: (row) => row.block, cell: (row) => whole(row.block) },
    { key: 'transaction', head: 'Transaction', value: (row) => row.transactionHash, cell: (row) => <Address of={row.transactionHash} label="Transaction" /> },
  ]
  return (
    <Panel id="history" title="History" note={latest ? `${whole(latest.totalCount)} since the start` : undefined} actions={<CsvButton title={`History of ${of.title}, ${of.subjectLabel}`} columns={columns} rows={nodes} />}>
      <Loaded of={first} height={420}>{() => (
        <>
          {of.inputDecimals !== null && <HistoryChart title={`${of.title}, ${of.subjectLabel}`} of={of} changes={nodes} untilSec={untilSec} earlier={of.recommendations.nodes} />}
          <Table title="Changes" columns={columns} rows={nodes} rowKey={({ id }) => id} empty="No change since the start of the index." />
          {of.recommendations.totalCount > 0 && <Runs of={of.recommendations} />}
          {problem && <Notice kind="down" title={problem} />}
          {more && <button type="button" className="all" disabled={loading || connection === 'lost'} onClick={() => void load()}>{loading ? 'Loading …' : `Older changes (${whole(latest.totalCount - nodes.length)} more)`}</button>}
        </>
      )}</Loaded>
    </Panel>
  )
}

/** Who the contract let do it, and the Safe transaction that carried it. */
function Made({ of }: { of: Change }) {
  const operation = of.governance.find((one) => one.operation)?.operation
  if (of.source === 'CALL') return <span className="muted">unknown: it was read</span>
  return <span className="parameter-what"><Address of={of.executor ?? of.sender} label={of.executor ? 'Owner of the contract' : 'Sender'} />{operation && <small>Safe transaction <Address of={operation} label="Safe transaction" /></small>}</span>
}
