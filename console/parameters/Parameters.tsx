/** Every governable value of every subject: what it is, what may be set, when it last changed, and what the models ask for. */
import { useMemo } from 'react'
import { Link, useSearchParams } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { ParametersDocument } from '../generated/operations.ts'
import type { ParametersQuery } from '../generated/operations.ts'
import { dateTime } from '../ui/format.ts'
import { Address, Empty, Hint, Loaded, PageHead, Panel, Tag, Time } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { changeHref, isAmount, keyOf, range } from './values.ts'
import './parameters.css'

export default function Parameters() {
  const asked = useAnswer(ParametersDocument, {}, 'minute')
  return (
    <>
      <PageHead title="Parameters" note="Every governable value, as the index has it, with what its contract accepts" />
      <Loaded of={asked} height={700}>{(data) => (data.parameters.length === 0 ? <Empty>No parameter is indexed yet: they come with the first step of the mirror.</Empty> : <All of={data} />)}</Loaded>
    </>
  )
}

type Row = ParametersQuery['parameters'][number]

/** What a file of them holds: raw values and bounds as the contract has them. */
const FILE: readonly Column<Row>[] = ([
  ['Subject', (row) => row.subjectLabel], ['Parameter', (row) => row.title], ['Value', (row) => row.display], ['Unit', (row) => row.unit], ['Name', (row) => row.name], ['Subject address', (row) => row.subject],
  ['Raw', (row) => row.raw], ['Least, raw', (row) => row.bounds.min], ['Most, raw', (row) => row.bounds.max], ['Contract', (row) => row.contract], ['Can be set', (row) => (row.settable ? 'yes' : (row.advisory ?? 'no'))], ['Changes', (row) => row.changeCount], ['Last change, Unix seconds', (row) => row.updatedAtTimestamp],
] satisfies [string, Column<Row>['value']][]).map(([head, value]) => ({ key: head, head, value }))

function All({ of }: { of: ParametersQuery }) {
  const [params, setParams] = useSearchParams()
  const subject = params.get('subject') ?? ''
  const text = params.get('text') ?? ''
  const only = params.get('only') ?? ''
  const change = (name: string, value: string) => setParams((now) => { const next = new URLSearchParams(now); if (value) next.set(name, value); else next.delete(name); return next }, { replace: true })
  const { columns, asked } = useMemo(() => {
    const asked = new Map(of.recommendations.filter(({ direction }) => direction !== 'HOLD').map((one) => [keyOf(one), one]))
    const held = new Map(of.recommendations.map((one) => [keyOf(one), one]))
    const models = new Map(of.parameterModels.map(({ parameter, model }) => [parameter, model]))
    const contracts = new Map(of.contracts.map(({ id, name }) => [id, name]))
    const columns: readonly Column<Row>[] = [
      { key: 'title', head: 'Parameter', value: (row) => `${row.subjectLabel} ${row.title} (${row.name})`, cell: (row) => <span className="parameter-what"><span><Link href={`/parameters/${row.name}/${row.subject}`}><b>{row.title}</b></Link> <span className="muted">{row.subjectLabel}</span>{row.irreversible && <> <Hint text="Nothing takes this change back"><Tag kind="warn">no way back</Tag></Hint></>}</span><code>{row.name}</code></span> },
      { key: 'value', head: 'Value', value: (row) => row.display, cell: (row) => <Value of={row} /> },
      { key: 'bounds', head: 'Contract accepts', value: (row) => (isAmount(row) ? range(row.bounds.min, row.bounds.max, row.inputDecimals, row.unit) : row.unit), cell: (row) => { const shown = isAmount(row) ? range(row.bounds.min, row.bounds.max, row.inputDecimals, row.unit) : row.unit; return row.bounds.note ? <Hint text={row.bounds.note}>{shown}</Hint> : shown } },
      { key: 'asked', head: 'Models ask for', value: (row) => asked.get(keyOf(row))?.recommendedDisplay ?? '', cell: (row) => { const one = asked.get(keyOf(row)); const still = held.get(keyOf(row)); return one ? <Link href={`/recommendations/${encodeURIComponent(one.id)}`}>{one.recommendedDisplay}</Link> : still ? <Link href={`/recommendations/${encodeURIComponent(still.id)}`}>held</Link> : <span className="muted">{models.get(row.name) ? 'nothing yet' : 'no model'}</span> } },
      { key: 'change', head: 'Proposal', value: (row) => (row.settable ? 'can be set' : (row.advisory ?? '')), cell: (row) => (row.settable ? <Link className="button" href={changeHref(row)} aria-label={`Change ${row.title} of ${row.subjectLabel}`}>Change</Link> : <Hint text={row.advisory ?? 'It has no setter'}><Tag>no setter</Tag></Hint>) },
      { key: 'changed', head: 'Last change', value: (row) => (row.changeCount === 0 ? null : row.updatedAtTimestamp), cell: (row) => (row.changeCount === 0 ? <span className="muted">none</span> : <span className="parameter-what"><Time at={row.updatedAtTimestamp}>{dateTime(row.updatedAtTimestamp)}</Time><small>{row.changeCount} {row.changeCount === 1 ? 'change' : 'changes'}</small></span>) },
      { key: 'contract', head: 'Contract', value: (row) => row.contract, cell: (row) => <span className="parameter-what"><span>{contracts.get(row.contract) ?? 'unnamed'}</span><Address of={row.contract} label="Contract" /></span> },
    ]
    return { columns, asked }
  }, [of])
  const subjects = [...new Set(of.parameters.map((row) => row.subjectLabel))]
  const rows = of.parameters.filter((row) =>
    (!subject || row.subjectLabel === subject) && (only !== 'asked' || asked.has(keyOf(row))) && (only !== 'changed' || row.changeCount > 0) && (only !== 'settable' || row.settable) &&
    (!text || `${row.title} ${row.name} ${row.subjectLabel} ${row.description}`.toLowerCase().includes(text.toLowerCase())))
  return (
    <Panel id="parameters" title="All parameters" note={`${rows.length}${rows.length < of.parameters.length ? ` of ${of.parameters.length}` : ''}`} actions={<CsvButton title="Parameters" columns={FILE} rows={rows} />}>
      <div className="controls" role="search">
        <label className="field">Subject<select value={subject} onChange={(event) => change('subject', event.target.value)}><option value="">All</option>{subjects.map((one) => <option key={one}>{one}</option>)}</select></label>
        <label className="field">Only those<select value={only} onChange={(event) => change('only', event.target.value)}><option value="">All</option><option value="asked">that models want changed</option><option value="changed">that were changed</option><option value="settable">that can be set</option></select></label>
        <label className="field">Text<input type="search" className="parameters-text" value={text} placeholder="Name, subject, description" onChange={(event) => change('text', event.target.value)} /></label>
        {(subject || text || only) && <button type="button" className="quiet" onClick={() => setParams((now) => { const next = new URLSearchParams(now); for (const name of ['subject', 'text', 'only']) next.delete(name); return next }, { replace: true })}>Clear</button>}
      </div>
      <Table title="Parameters" columns={columns} rows={rows} rowKey={({ id }) => id} empty="No parameter fits the filter." />
    </Panel>
  )
}

export function Value({ of: { display, raw, unit } }: { of: Pick<Row, 'display' | 'raw' | 'unit'> }) {
  if (unit === 'address') return <Address of={display} />
  return <span className="parameter-what"><b>{display}</b><small title={`raw ${raw}`}>raw {raw.length > 24 ? `${raw.slice(0, 10)}… (${raw.length} digits)` : raw}</small></span>
}
