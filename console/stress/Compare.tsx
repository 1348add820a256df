/** Two stress runs side by side: what each scenario costs more or less in the second. */
import { useCallback, useMemo } from 'react'
import type { RunHeadFragment } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { compact, duration, float, whole } from '../ui/format.ts'
import { Figure, Notice, Panel, Provenance, Tag, Time, Unknown } from '../ui/parts.tsx'
import { RoundSwitch, ScenarioName, figuresOf, keyOf, nameOf, severitiesOf, useMedia } from './Results.tsx'
import type { Figures, Round, Scenario, StressResult } from './Results.tsx'
import { differencesOf } from './differences.ts'
import type { Asked, Difference } from './differences.ts'
import { questionOf } from './question.ts'

type Side = { readonly run: RunHeadFragment; readonly result: StressResult }
type Pair = { readonly key: string; readonly any: Scenario; readonly a: Scenario | undefined; readonly b: Scenario | undefined }
type Field = keyof Omit<Figures, 'worstAccounts'>

export function Compare({ a, b, round, setRound, close }: { a: Side; b: Side; round: Round; setRound: (round: Round) => void; close: () => void }) {
  const pairs = useMemo<readonly Pair[]>(() => {
    const others = new Map(b.result.scenarios.map((one) => [keyOf(one), one]))
    const known = new Set(a.result.scenarios.map(keyOf))
    return [
      ...a.result.scenarios.map((one) => ({ key: keyOf(one), any: one, a: one, b: others.get(keyOf(one)) })),
      ...b.result.scenarios.filter((one) => !known.has(keyOf(one))).map((one) => ({ key: keyOf(one), any: one, a: undefined, b: one })),
    ]
  }, [a, b])
  const narrow = useMedia('(max-width: 760px)')
  const several = severitiesOf(pairs.map(({ any }) => any)).length > 1
  const columns = useMemo(() => columnsOf(round, several), [round, several])
  const files = useMemo<readonly Column<Pair>[]>(() => [
    { key: 'id', head: 'Scenario', value: ({ any }) => any.id },
    { key: 'severity', head: 'Severity', value: ({ any }) => any.severity },
    ...FIELDS.flatMap(([field, head]): Column<Pair>[] => [
      { key: `${field}-a`, head: `${head}, A`, value: (pair) => valueOf(pair.a, round, field) },
      { key: `${field}-b`, head: `${head}, B`, value: (pair) => valueOf(pair.b, round, field) },
      { key: `${field}-d`, head: `${head}, B − A`, value: (pair) => deltaOf(pair, round, field) },
    ]),
  ], [round])
  const differences = useMemo(() => differencesOf(askedOf(a), askedOf(b)), [a, b])
  const moved = pairs.filter((pair) => pair.a && pair.b && JSON.stringify(pair.a.moves) !== JSON.stringify(pair.b.moves) && !differences.some(({ what }) => pair.any.severity === null && what.startsWith(`Shock ${pair.any.id},`)))
  return (
    <Panel id="compare" title="A against B" note="differences are B − A" actions={<><RoundSwitch round={round} setRound={setRound} /><CsvButton title={`Stress, A ${a.result.provenance.block.number} against B ${b.result.provenance.block.number}`} columns={files} rows={pairs} /><button type="button" className="quiet" onClick={close}>Close</button></>}>
      <dl className="stress-sides">
        {([['A', a], ['B', b]] as const).map(([name, side]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>block <b>{whole(side.result.provenance.block.number)}</b>, <Time at={side.result.provenance.block.timestamp} /> · {whole(side.result.accounts)} accounts · open interest {compact(side.result.openInterest)} · fund {side.result.fund === null ? <Unknown why="Unknown at its block" /> : compact(side.result.fund)}</dd>
          </div>
        ))}
      </dl>
      <Unlike a={a} b={b} differences={differences} />
      {moved.length > 0 && <Notice kind="degraded" title={`${moved.length === 1 ? 'One scenario moves' : `${moved.length} scenarios move`} prices differently in A and B.`}>{moved.map(({ any }) => nameOf(any)).join('; ')}: A and B were asked the same of them, but betas are measured anew at each block.</Notice>}
      <Bars pairs={pairs} round={round} />
      <Table title="A against B" columns={columns} rows={pairs} rowKey={({ key }) => key} few={narrow ? 6 : 20} />
      <Provenance of={a.result.provenance} />
      <Provenance of={b.result.provenance} />
    </Panel>
  )
}

/** `all` stands for the regimes that were run. */
function askedOf({ run, result }: Side): Asked {
  const question = questionOf(run.input)
  const known = result.scenarios.flatMap(({ id, severity }) => (severity === null ? [] : [id]))
  return { ...question, regimes: question.regimes === 'all' ? [...new Set(known)] : question.regimes }
}

const UNLIKE: readonly Column<Difference>[] = [
  { key: 'what', head: 'Of the question', value: ({ what }) => what },
  { key: 'a', head: 'A', words: true, value: ({ a }) => a },
  { key: 'b', head: 'B', words: true, value: ({ b }) => b },
]

/** Whether the two may be compared: what else than the answer differs. */
function Unlike({ a, b, differences }: { a: Side; b: Side; differences: readonly Difference[] }) {
  const [from, to] = [a.result.provenance, b.result.provenance]
  const blocks = from.block.number === to.block.number ? 'over the same block' : `over two blocks, ${duration(Math.abs(Number(to.block.timestamp) - Number(from.block.timestamp)))} apart`
  const models = from.model === to.model && from.version === to.version ? '' : `, answered by ${from.model} ${from.version} (A) and ${to.model} ${to.version} (B)`
  if (differences.length === 0) return <p className="stress-asked">A and B were asked the same question {blocks}{models}.</p>
  return (
    <>
      <Notice kind="degraded" title={`A and B were asked different questions ${blocks}${models}.`}>Their figures differ by all of this together:</Notice>
      <div className="stress-unlike"><Table title="In what the questions differ" columns={UNLIKE} rows={differences} rowKey={({ what }) => what} /></div>
    </>
  )
}

const FIELDS = [['liquidatableAccounts', 'Accounts'], ['liquidatedNotional', 'Liquidated, USD'], ['badDebt', 'Bad debt, USD'], ['fundUsed', 'Fund pays, USD'], ['uncovered', 'Uncovered, USD'], ['cover2', 'Cover-2, USD']] as const satisfies readonly (readonly [Field, string])[]

const valueOf = (scenario: Scenario | undefined, round: Round, field: Field): number | null => (scenario === undefined ? null : (figuresOf(scenario, round)?.[field] ?? null))
function deltaOf({ a, b }: Pair, round: Round, field: Field): number | null {
  const [from, to] = [valueOf(a, round, field), valueOf(b, round, field)]
  return from === null || to === null ? null : to - from
}

const text = (value: number | null): string => (value === null ? '—' : float(value, Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2))
const signed = (value: number): string => (value === 0 ? '0' : `${value > 0 ? '+' : ''}${text(value)}`)

const why = ({ a, b, any }: Pair): string => (a === undefined ? 'A has no such scenario' : b === undefined ? 'B has no such scenario' : (any.cascadeUnknown?.message ?? 'One of the two was asked without the cascade, or its fund is unknown'))

const columnsOf = (round: Round, several: boolean): readonly Column<Pair>[] => [
  { key: 'scenario', head: 'Scenario', value: ({ any }) => nameOf(any), cell: (pair) => <><ScenarioName of={pair.any} several={several} />{pair.a === undefined && <> <Tag kind="warn">only in B</Tag></>}{pair.b === undefined && <> <Tag kind="warn">only in A</Tag></>}</> },
  ...FIELDS.map(([field, head]): Column<Pair> => ({
    key: field, head: head.replace(', USD', ''), name: `${head}, B − A`, numeric: true, value: (pair) => deltaOf(pair, round, field),
    cell: (pair) => {
      const [from, to, delta] = [valueOf(pair.a, round, field), valueOf(pair.b, round, field), deltaOf(pair, round, field)]
      return (
        <span className="stress-delta">
          {delta === null ? <Unknown why={why(pair)} /> : <b className={delta === 0 ? 'muted' : undefined}><Figure exact={String(delta)} unit={field === 'liquidatableAccounts' ? 'accounts' : 'USD'}>{signed(delta)}</Figure></b>}
          <small>{text(from)} → {text(to)}</small>
        </span>
      )
    },
  })),
]

/** Bad debt of both, the scenarios that cost most. */
function Bars({ pairs, round }: { pairs: readonly Pair[]; round: Round }) {
  const narrow = useMedia('(max-width: 760px)')
  const shown = useMemo(() => pairs.filter((pair) => [pair.a, pair.b].some((one) => (valueOf(one, round, 'badDebt') ?? 0) > 0)).toSorted((x, y) => Math.max(valueOf(y.a, round, 'badDebt') ?? 0, valueOf(y.b, round, 'badDebt') ?? 0) - Math.max(valueOf(x.a, round, 'badDebt') ?? 0, valueOf(x.b, round, 'badDebt') ?? 0)).slice(0, 8), [pairs, round])
  const label = ({ any }: Pair) => `${any.id}${any.severity === null ? '' : `, ${any.severity.toLowerCase()}`}`
  const option = useCallback((colours: Palette) => ({
    legend: { data: ['A', 'B'], top: 2, right: 12, textStyle: { color: colours.text }, itemWidth: 12, itemHeight: 10, selectedMode: false },
    grid: { left: 12, right: 70, top: 26, bottom: 38, containLabel: true },
    xAxis: { ...axis(colours, 'Bad debt, USD', { nameGap: 26 }), type: 'value', axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } },
    yAxis: { ...axis(colours, ''), type: 'category', inverse: true, data: shown.map(label), axisLabel: { color: colours.text, fontSize: 11, width: narrow ? 110 : 220, overflow: 'truncate' }, axisTick: { show: false } },
    series: (['a', 'b'] as const).map((side, index) => ({ type: 'bar', name: side.toUpperCase(), data: shown.map((pair) => valueOf(pair[side], round, 'badDebt')), itemStyle: { color: colours.series[index] }, barMaxWidth: 14, label: { show: true, position: 'right', color: colours.text, fontSize: 11, formatter: ({ value }: { value: number | null }) => (value === null ? '' : compact(value)) } })),
    tooltip: tooltip((parameters) => (parameters as { seriesName: string; value: number | null; name: string }[]).map(({ seriesName, value, name }) => [`${name}, ${seriesName}`, value == null ? 'unknown' : `${float(value, 2)} USD`])),
  }), [shown, round, narrow])
  if (shown.length === 0) return <p className="empty">Neither run leaves bad debt {round === 'first' ? 'in the first round' : 'after the cascade'}.</p>
  return (
    <Chart
      title={`Bad debt, A against B, ${round === 'first' ? 'first round' : 'after the cascade'}`}
      summary={`The ${shown.length === 1 ? 'scenario' : `${shown.length} scenarios`} with most bad debt in either run.`}
      option={option} height={60 + shown.length * 38}
      data={{ head: ['Scenario', 'A, USD', 'B, USD'], rows: shown.map((pair) => [label(pair), valueOf(pair.a, round, 'badDebt'), valueOf(pair.b, round, 'badDebt')]) }}
    />
  )
}
