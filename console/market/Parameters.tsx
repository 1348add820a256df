/** The market's parameters: what stands, what the contract takes, who changed them when, what recommends them, and the way to a proposal. */
import { useCallback, useMemo } from 'react'
import { Link } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { MarketParameterHistoryDocument, MarketParametersDocument } from '../generated/operations.ts'
import type { MarketParameterHistoryQuery, MarketParametersQuery, ParameterPartsFragment } from '../generated/operations.ts'
import { onAxis, range } from '../parameters/values.ts'
import { BasketButton } from '../recommendations/BasketButton.tsx'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { compact, dateTime, short, time, words } from '../ui/format.ts'
import { Address, Empty, Hint, Loaded, Tag, Time, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table, cellsOf } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { Choice, useChoice, usePlace } from './parts.tsx'

type Recommendation = MarketParametersQuery['recommendations'][number]
type Row = { readonly parameter: ParameterPartsFragment; readonly recommendation: Recommendation | undefined; readonly model: string | null; readonly reason: string | null }
type History = NonNullable<MarketParameterHistoryQuery['parameter']>
type Change = History['history']['nodes'][number]

const HEIGHT = 200
const keyOf = ({ name, scope }: ParameterPartsFragment): string => (scope === 'PROTOCOL' ? `${name}:protocol` : name)
/** A value for people; addresses shortened. */
const shown = (display: string) => (/^0x[0-9a-f]{40}$/i.test(display) ? <Address of={display} label="Value" /> : display)

export function Parameters({ market, nowSec }: { market: string; symbol: string; nowSec: number }) {
  const [whose, setWhose] = useChoice('whose', ['market', 'all'], 'market')
  const [chosen, setChosen] = usePlace('parameter')
  const answer = useAnswer(MarketParametersDocument, { id: market }, 'minute')
  const rows = useMemo((): Row[] => {
    if (!answer.data?.market) return []
    const { market: { parameters }, protocol, recommendations, parameterModels } = answer.data
    return [...parameters, ...(whose === 'all' ? protocol : [])].map((parameter) => {
      const model = parameterModels.find((one) => one.parameter === parameter.name && one.scope === parameter.scope)
      return { parameter, recommendation: recommendations.find((one) => one.parameter === parameter.name && one.subject === parameter.subject), model: model?.model ?? null, reason: model?.reason ?? null }
    })
  }, [answer.data, whose])
  const current = rows.find(({ parameter }) => keyOf(parameter) === chosen)?.parameter ?? rows.find(({ parameter }) => parameter.name === 'marketMaxPriceSpreadRatio')?.parameter ?? rows[0]?.parameter
  const columns = useMemo(() => columnsOf(current ? keyOf(current) : '', setChosen), [current, setChosen])
  return (
    <>
      <div className="controls">
        <Choice label="Parameters of" of={[['market', 'this market'], ['all', 'this market and the protocol']]} value={whose} onChoice={setWhose} />
        <div className="actions"><CsvButton title="Parameters" columns={columns} rows={rows} /></div>
      </div>
      <Loaded of={answer} height={500}>{() => <Table title="Parameters" columns={columns} rows={rows} rowKey={({ parameter }) => parameter.id} empty="No parameter of this market is indexed yet." />}</Loaded>
      {current && <HistoryOf key={keyOf(current)} parameter={current} nowSec={nowSec} />}
    </>
  )
}

const columnsOf = (chosen: string, choose: (name: string) => void): readonly Column<Row>[] => [
  { key: 'title', head: 'Parameter', value: ({ parameter }) => parameter.title, cell: ({ parameter }) => <><Hint text={<>{parameter.description}{parameter.bounds.note && <> {parameter.bounds.note}</>}</>}>{parameter.title}</Hint> {parameter.scope === 'PROTOCOL' && <Tag>protocol</Tag>} {parameter.irreversible && <Tag kind="down">no way back</Tag>}</> },
  { key: 'value', head: 'Now', value: ({ parameter }) => parameter.display, cell: ({ parameter }) => <span title={`Raw ${parameter.raw}`}>{shown(parameter.display)}</span> },
  { key: 'bounds', head: 'The contract takes', value: ({ parameter }) => range(parameter.bounds.min, parameter.bounds.max, parameter.inputDecimals, parameter.unit), cell: ({ parameter }) => (parameter.unit === 'address' ? <span className="muted">an address</span> : parameter.inputDecimals === null ? <span className="muted">yes or no</span> : range(parameter.bounds.min, parameter.bounds.max, parameter.inputDecimals, parameter.unit)) },
  { key: 'changed', head: 'Last change', value: ({ parameter }) => parameter.updatedAtTimestamp, cell: ({ parameter }) => <><Time at={parameter.updatedAtTimestamp}>{dateTime(parameter.updatedAtTimestamp)}</Time> <span className="muted">{parameter.changeCount === 0 ? 'as set up' : parameter.changeCount === 1 ? '1 change' : `${parameter.changeCount} changes`}</span></> },
  { key: 'recommended', head: 'Recommended', value: ({ recommendation }) => recommendation?.recommendedDisplay, cell: recommended },
  { key: 'actions', head: <span className="sr">What can be done</span>, name: 'Settable', value: ({ parameter }) => parameter.settable, cell: ({ parameter, recommendation }) => (
    <div className="market-actions">
      <button type="button" className="quiet" aria-pressed={keyOf(parameter) === chosen} aria-label={`History of ${parameter.title}`} onClick={() => choose(keyOf(parameter))}>History</button>
      {parameter.settable
        ? <>{recommendation && recommendation.direction !== 'HOLD' && recommendation.settable && <BasketButton item={{ recommendationId: recommendation.id, parameter: parameter.name, subject: parameter.subject, subjectLabel: parameter.subjectLabel, title: parameter.title, fromRaw: parameter.raw, fromDisplay: parameter.display, toRaw: recommendation.recommendedRaw, toDisplay: recommendation.recommendedDisplay }} />}<Link href={`/proposals/new?parameter=${parameter.name}&subject=${parameter.subject}`} className="button" aria-label={`Propose a value of ${parameter.title}`}>Propose a value</Link></>
        : <Hint text={parameter.advisory ?? 'No setter changes it'}><span className="muted">no setter</span></Hint>}
    </div>
  ) },
]

function recommended({ recommendation, model, reason }: Row) {
  if (recommendation) return <><Link href={`/recommendations/${encodeURIComponent(recommendation.id)}`}>{shown(recommendation.recommendedDisplay)}</Link> <Tag kind={recommendation.direction === 'HOLD' ? 'quiet' : recommendation.urgency >= 60 ? 'down' : 'warn'}>{words(recommendation.direction)}</Tag></>
  return <Unknown why={model ? `The latest run of ${model} has nothing for it` : (reason ?? 'No model recommends it')} />
}

function HistoryOf({ parameter, nowSec }: { parameter: ParameterPartsFragment; nowSec: number }) {
  const answer = useAnswer(MarketParameterHistoryDocument, { name: parameter.name, subject: parameter.scope === 'PROTOCOL' ? null : parameter.subject }, 'minute')
  const history = answer.data?.parameter
  const minute = Math.ceil(nowSec / 60) * 60
  const nodes = useMemo(() => history?.history.nodes ?? [], [history])
  const unit = history?.unit ?? ''
  const isNumber = history !== null && history !== undefined && unit !== 'address'
  const option = useCallback((colours: Palette) => chartOption(colours, nodes, parameter, minute), [nodes, parameter, minute])
  const title = `History of ${parameter.title}, ${parameter.subjectLabel}`
  const data = useMemo((): ChartData => cellsOf(HISTORY, nodes), [nodes])
  return (
    <Loaded of={answer} height={HEIGHT + 200}>
      {() => (!history ? <Empty>The index holds no history of {parameter.title}.</Empty> : (
        <>
          {isNumber && <Chart title={title} summary={`Now ${parameter.display}. Each step is a change${unit === 'yes or no' ? '; 1 is yes' : ''}.`} option={option} data={data} height={HEIGHT} />}
          <div className="market-head"><span className="muted">{history.history.totalCount > nodes.length ? `The newest ${nodes.length} of ${history.history.totalCount} changes. ` : ''}<Link href={`/parameters/${parameter.name}/${parameter.subject}`}>All about {parameter.title}</Link></span><CsvButton title={title} columns={HISTORY} rows={nodes} /></div>
          <Table title={title} columns={HISTORY} rows={nodes} rowKey={({ id }) => id} few={5} empty="It has stood unchanged since the contract was set up." />
        </>
      ))}
    </Loaded>
  )
}

/** The Safe transaction that carried a change, of what Safes and timelocks said in its transaction. */
const carrier = ({ governance }: Change) => governance.findLast(({ operation }) => operation !== null)

const HISTORY: readonly Column<Change>[] = [
  { key: 'timestamp', head: 'Time', value: ({ timestamp }) => time(timestamp), cell: ({ timestamp }) => <Time at={timestamp}>{dateTime(timestamp)}</Time> },
  { key: 'block', head: 'Block', numeric: true, value: ({ block }) => block, cell: ({ block }) => Number(block).toLocaleString('en') },
  { key: 'from', head: 'From', value: ({ oldDisplay }) => oldDisplay, cell: ({ oldDisplay, oldRaw }) => (oldDisplay === null ? <Unknown why="The value before was neither announced nor read" /> : <span title={`Raw ${oldRaw}`}>{shown(oldDisplay)}</span>) },
  { key: 'to', head: 'To', value: ({ newDisplay }) => newDisplay, cell: ({ newDisplay, newRaw }) => <span title={`Raw ${newRaw}`}>{shown(newDisplay)}</span> },
  { key: 'raw', head: 'Raw', numeric: true, value: ({ newRaw }) => newRaw, cell: ({ newRaw }) => (newRaw.length > 24 ? short(newRaw) : newRaw) },
  { key: 'who', head: 'By', value: ({ executor, sender }) => executor ?? sender, cell: (change) => (change.source === 'CALL' ? <Hint text="No event announced it: the value was read from the contract"><span className="muted">read</span></Hint> : <Address of={change.executor ?? change.sender} label={change.executor ? 'Owner of the contract' : 'Sender'} name={carrier(change)?.contract.name} />) },
  { key: 'transaction', head: 'Safe transaction', value: (change) => carrier(change)?.operation, cell: (change) => { const by = carrier(change); return by?.operation ? <Address of={by.operation} label="Hash of the Safe transaction" /> : <Hint text="No Safe or timelock said anything in that transaction"><span className="muted">none</span></Hint> } },
  { key: 'hash', head: 'Transaction', value: ({ transactionHash }) => transactionHash, cell: ({ transactionHash }) => <Address of={transactionHash} label="Transaction" /> },
]

function chartOption(colours: Palette, nodes: readonly Change[], of: ParameterPartsFragment, nowSec: number) {
  const { unit, title } = of
  const value = (raw: string): number | null => onAxis(raw, of)
  const steps = nodes.toReversed()
  const points = steps.map((node) => [Number(node.timestamp) * 1000, value(node.newRaw)])
  const last = steps.at(-1)
  return {
    grid: { left: 64, right: 24, top: 16, bottom: 44 },
    tooltip: tooltip((parameters) => {
      const at = (parameters as readonly { value: readonly [number, number] }[])[0]?.value[0]
      const change = at === undefined ? undefined : steps.findLast((node) => Number(node.timestamp) * 1000 <= at)
      return change ? [['From', dateTime(change.timestamp)], [title, change.newDisplay], ['Before', change.oldDisplay ?? '—']] : []
    }),
    xAxis: axis(colours, 'Time, UTC', { type: 'time', max: nowSec * 1000, nameGap: 26, splitLine: { show: false } }),
    yAxis: axis(colours, unit === '' ? title : unit, { type: 'value', scale: true, nameGap: 48, minInterval: unit === 'yes or no' ? 1 : undefined, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } }),
    series: [{ name: title, type: 'line', step: 'end', symbol: 'circle', symbolSize: 7, lineStyle: { color: colours.accent, width: 1.8 }, itemStyle: { color: colours.accent }, data: [...points, ...(last ? [{ value: [nowSec * 1000, value(last.newRaw)], symbol: 'none' }] : [])] }],
  }
}
