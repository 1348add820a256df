/** What a stress run found: its scenarios side by side, one of them from shock to fund, whom it hurts, where prices end. */
import { useCallback, useMemo, useSyncExternalStore } from 'react'
import { Link } from 'wouter'
import type { StressRunQuery, StressedFragment } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { compact, float, signedPercent, whole, words } from '../ui/format.ts'
import { Address, Figure, Hint, Panel, Provenance, Sums, Tag, Unknown } from '../ui/parts.tsx'

export type StressResult = NonNullable<NonNullable<StressRunQuery['riskRun']>['stress']>
export type Scenario = StressResult['scenarios'][number]
export type Round = 'first' | 'cascade'
/** Of one round of a scenario; null where the cascade is unknown or was not asked for. */
export type Figures = Pick<Scenario, 'liquidatableAccounts' | 'liquidatableNotional' | 'liquidatedNotional' | 'badDebt' | 'fundUsed' | 'uncovered' | 'cover1' | 'cover2' | 'worstAccounts'>

export const keyOf = ({ id, severity }: Pick<Scenario, 'id' | 'severity'>): string => `${id}.${severity ?? 'own'}`
export const figuresOf = (scenario: Scenario, round: Round): Figures | null => (round === 'first' ? scenario : scenario.cascade)
/** The severity stands beside it, and says what a title's end says. */
export const nameOf = ({ id, title, severity }: Scenario): string => (severity === null ? id : title.replace(/, (high|open) to low of .*$/, ''))
const whyNot = ({ cascadeUnknown }: Scenario): string => cascadeUnknown?.message ?? 'This run was asked without the cascade'
const NO_FUND = 'The insurance fund is unknown, so who pays is, too'

export const Money = ({ of, why }: { of: number | null | undefined; why?: string | undefined }) => (of == null ? <Unknown why={why} /> : <Figure exact={String(of)} unit="USD">{float(of, Math.abs(of) >= 100 || of === 0 ? 0 : 2)}</Figure>)
const Signed = ({ of }: { of: number }) => <Figure exact={String(of)} unit="as a fraction">{signedPercent(of)}</Figure>

/** Severities are told apart where there are several. */
export const ScenarioName = ({ of, several }: { of: Scenario; several: boolean }) => (
  <span className="stress-name">{nameOf(of)}{of.severity === null ? <> <Tag kind="accent">own shock</Tag></> : several && <> <Tag>{words(of.severity)}</Tag></>}</span>
)

export const severitiesOf = (scenarios: readonly Scenario[]): readonly string[] => [...new Set(scenarios.flatMap(({ severity }) => (severity === null ? [] : [words(severity)])))]

export function Results({ of, chosen, choose, round, setRound }: { of: StressResult; chosen: string | null; choose: (key: string) => void; round: Round; setRound: (round: Round) => void }) {
  const scenario = of.scenarios.find((one) => keyOf(one) === chosen) ?? of.scenarios[0]
  const cascades = of.scenarios.some(({ cascade, cascadeUnknown }) => cascade !== null || cascadeUnknown !== null)
  const shown: Round = cascades ? round : 'first'
  return (
    <>
      <Panel
        id="scenarios" title="Scenarios" note={[`${of.scenarios.length} over ${whole(of.accounts)} accounts`, severitiesOf(of.scenarios).join(' and ')].filter(Boolean).join(', ')}
        actions={<>{cascades && <RoundSwitch round={shown} setRound={setRound} />}<ScenarioCsv of={of} /></>}
      >
        <Sums of={[
          ['Open interest', <Money of={of.openInterest} />, 'larger side, index price'],
          ['Insurance fund', <Money of={of.fund} why={NO_FUND} />, 'wallet and vault'],
          ['Most bad debt', <Money of={most(of, shown, 'badDebt')} why="Unknown in at least one scenario" />, shown === 'first' ? 'first round' : 'after the cascade'],
          ['Most uncovered', <Money of={most(of, shown, 'uncovered')} why={of.fund === null ? NO_FUND : 'Unknown in at least one scenario'} />, 'beyond the fund'],
        ]} />
        <Scenarios of={of} chosen={scenario ? keyOf(scenario) : null} choose={choose} round={shown} />
        <Provenance of={of.provenance} />
      </Panel>
      {scenario && <OneScenario key={keyOf(scenario)} scenario={scenario} round={shown} fund={of.fund} provenance={of.provenance} />}
      <Panel id="left-out" title="What these figures leave out">
        <ul className="stress-words">
          {of.unknown.map(({ what, message }) => <li key={what}><Tag kind="warn">unknown</Tag> {message}.</li>)}
          {of.approximations.map((text) => <li key={text}>{text[0]?.toUpperCase()}{text.slice(1)}.</li>)}
        </ul>
        <Provenance of={of.provenance} />
      </Panel>
    </>
  )
}

/** The largest of all scenarios; unknown where one of them is, since it might be that one. */
function most({ scenarios }: StressResult, round: Round, field: 'badDebt' | 'uncovered'): number | null {
  const values = scenarios.map((one) => figuresOf(one, round)?.[field] ?? null)
  return values.includes(null) ? null : Math.max(...(values as number[]))
}

export function RoundSwitch({ round, setRound }: { round: Round; setRound: (round: Round) => void }) {
  return (
    <span className="stress-toggles" role="group" aria-label="Figures of">
      <button type="button" aria-pressed={round === 'first'} onClick={() => setRound('first')}>First round</button>
      <button type="button" aria-pressed={round === 'cascade'} onClick={() => setRound('cascade')}>After the cascade</button>
    </span>
  )
}

function columnsOf(round: Round, several: boolean, chosen: string | null, choose: (key: string) => void): readonly Column<Scenario>[] {
  const figure = (key: string, head: string, field: keyof Omit<Figures, 'worstAccounts'>): Column<Scenario> => ({
    key, head, numeric: true,
    value: (row) => figuresOf(row, round)?.[field] ?? null,
    cell: (row) => <Money of={figuresOf(row, round)?.[field]} why={figuresOf(row, round) === null ? whyNot(row) : NO_FUND} />,
  })
  return [
    { key: 'scenario', head: 'Scenario', value: nameOf, cell: (row) => <button type="button" className="stress-choose" aria-pressed={keyOf(row) === chosen} onClick={() => choose(keyOf(row))}><ScenarioName of={row} several={several} /></button> },
    { key: 'accounts', head: 'Accounts', numeric: true, value: (row) => figuresOf(row, round)?.liquidatableAccounts ?? null, cell: (row) => { const count = figuresOf(row, round)?.liquidatableAccounts; return count === undefined ? <Unknown why={whyNot(row)} /> : whole(count) } },
    figure('due', 'Falls due', 'liquidatableNotional'),
    figure('taken', 'Liquidated', 'liquidatedNotional'),
    { key: 'first', head: <>Bad debt,<br />first</>, name: 'Bad debt, first', numeric: true, value: (row) => row.badDebt, cell: (row) => <Money of={row.badDebt} /> },
    { key: 'last', head: <>Bad debt,<br />cascade</>, name: 'Bad debt, cascade', numeric: true, value: (row) => row.cascade?.badDebt ?? null, cell: (row) => <>{row.cascade && !row.cascade.settled && <Hint text="The rounds ran out at 100 before the cascade came to rest: at least this much">≥ </Hint>}<Money of={row.cascade?.badDebt} why={whyNot(row)} /></> },
    figure('fund', 'Fund pays', 'fundUsed'),
    figure('uncovered', 'Uncovered', 'uncovered'),
    figure('cover1', 'Cover‑1', 'cover1'),
    figure('cover2', 'Cover‑2', 'cover2'),
  ]
}

function Scenarios({ of, chosen, choose, round }: { of: StressResult; chosen: string | null; choose: (key: string) => void; round: Round }) {
  const narrow = useMedia('(max-width: 760px)')
  const several = severitiesOf(of.scenarios).length > 1
  const columns = useMemo(() => columnsOf(round, several, chosen, choose), [round, several, chosen, choose])
  return (
    <div className="stress-scenarios">
      <Table title="Scenarios" columns={columns} rows={of.scenarios} rowKey={keyOf} few={narrow ? 6 : 20} tone={(row) => ((figuresOf(row, round)?.uncovered ?? 0) > 0 ? 'hot' : undefined)} />
    </div>
  )
}

/** Everything of both rounds, not what is shown alone. */
function ScenarioCsv({ of }: { of: StressResult }) {
  const columns = useMemo<readonly Column<Scenario>[]>(() => [
    { key: 'id', head: 'Scenario', value: ({ id }) => id },
    { key: 'title', head: 'Title', value: ({ title }) => title },
    { key: 'severity', head: 'Severity', value: ({ severity }) => severity },
    ...(['first', 'cascade'] as const).flatMap((round) => (['liquidatableAccounts', 'liquidatableNotional', 'liquidatedNotional', 'badDebt', 'fundUsed', 'uncovered', 'cover1', 'cover2'] as const).map((field): Column<Scenario> => ({ key: `${round}-${field}`, head: `${round === 'first' ? 'First round' : 'Cascade'}: ${field}${field === 'liquidatableAccounts' ? '' : ', USD'}`, value: (row) => figuresOf(row, round)?.[field] ?? null }))),
    { key: 'block', head: 'Block', value: () => of.provenance.block.number },
  ], [of])
  return <CsvButton title={`Stress, block ${of.provenance.block.number}`} columns={columns} rows={of.scenarios} />
}

const ROUND_SAYS = { first: 'First round', cascade: 'After the cascade' } as const

function OneScenario({ scenario, round, fund, provenance }: { scenario: Scenario; round: Round; fund: number | null; provenance: StressResult['provenance'] }) {
  const figures = figuresOf(scenario, round)
  const moves = scenario.moves.map(({ name, value }) => `${name} ${signedPercent(value)}`).join(', ')
  return (
    <Panel id="scenario" title={nameOf(scenario)} note={scenario.severity === null ? 'own shock' : words(scenario.severity)}>
      <p className="stress-moves">{moves}. <span className="muted">Source: {scenario.source}.</span></p>
      <Waterfall scenario={scenario} fund={fund} />
      <div className="stress-two">
        <section aria-label="Worst accounts">
          <header><h3>Worst accounts, {ROUND_SAYS[round].toLowerCase()}</h3>{figures && figures.worstAccounts.length > 0 && <CsvButton title={`Worst accounts, ${scenario.id}`} columns={ACCOUNTS} rows={figures.worstAccounts} />}</header>
          {figures === null ? <p className="empty"><Unknown why={whyNot(scenario)} /> {whyNot(scenario)}.</p> : <Table title="Worst accounts" columns={ACCOUNTS} rows={figures.worstAccounts} rowKey={({ account }) => account} few={10} empty="No account leaves bad debt behind." />}
        </section>
        <section aria-label="Final prices">
          <header><h3>Where the cascade leaves prices</h3>{scenario.cascade && <small>{scenario.cascade.rounds === 1 ? 'no forced trade moved a price' : `${scenario.cascade.rounds} rounds${scenario.cascade.settled ? ', come to rest' : ', not come to rest'}`}</small>}</header>
          {scenario.cascade === null ? <p className="empty">{whyNot(scenario)}.</p> : <Table title="Final prices" columns={PRICES} rows={scenario.cascade.prices} rowKey={({ name }) => name} />}
        </section>
      </div>
      <Provenance of={provenance} />
    </Panel>
  )
}

const ACCOUNTS: readonly Column<StressedFragment>[] = [
  { key: 'account', head: 'Account', value: ({ account }) => account, cell: ({ account }) => <span className="stress-account"><Address of={account} /> <Link href={`/accounts/${account}`}>Open</Link></span> },
  { key: 'shortfall', head: 'Leaves behind', name: 'Leaves behind, USD', numeric: true, value: ({ shortfall }) => shortfall, cell: ({ shortfall }) => <Money of={shortfall} /> },
  { key: 'value', head: 'Value', name: 'Account value, USD', numeric: true, value: ({ value }) => value, cell: ({ value }) => <Money of={value} /> },
  { key: 'recoverable', head: 'Recoverable', name: 'Recoverable, USD', numeric: true, value: ({ recoverable }) => recoverable, cell: ({ recoverable }) => <Money of={recoverable} /> },
  { key: 'requirement', head: 'Requirement', name: 'Requirement, USD', numeric: true, value: ({ requirement }) => requirement, cell: ({ requirement }) => <Money of={requirement} /> },
  { key: 'gross', head: 'Gross notional', name: 'Gross notional, USD', numeric: true, value: ({ gross }) => gross, cell: ({ gross }) => <Money of={gross} /> },
]

const PRICES: readonly Column<NonNullable<Scenario['cascade']>['prices'][number]>[] = [
  { key: 'name', head: 'Market', value: ({ name }) => name },
  { key: 'move', head: 'Shock', name: 'Shock, fraction', numeric: true, value: ({ move }) => move, cell: ({ move }) => <Signed of={move} /> },
  { key: 'low', head: 'Longs valued at', name: 'After forced sales, fraction', numeric: true, value: ({ low }) => low, cell: ({ low }) => <Signed of={low} /> },
  { key: 'high', head: 'Shorts valued at', name: 'After forced purchases, fraction', numeric: true, value: ({ high }) => high, cell: ({ high }) => <Signed of={high} /> },
]

const STEPS = [['Falls due', 'liquidatableNotional'], ['Liquidated', 'liquidatedNotional'], ['Bad debt', 'badDebt'], ['Fund pays', 'fundUsed'], ['Uncovered', 'uncovered']] as const

/** How many times a power of ten apart: `about 300 times` of two figures. */
const times = (large: number, small: number): string => whole(Number((large / small).toPrecision(large / small >= 10 ? 2 : 1)))

function sayOf(scenario: Scenario, round: Round, fund: number | null): string {
  const of = figuresOf(scenario, round)
  if (of === null) return `${ROUND_SAYS[round]}: unknown. ${whyNot(scenario)}.`
  if (of.liquidatableNotional === 0) return `${ROUND_SAYS[round]}: no account falls below its requirement.`
  const debt = of.badDebt === 0 ? 'it leaves no bad debt' : `${compact(of.badDebt)} of bad debt is left, ${of.fundUsed === null || of.uncovered === null ? 'and who pays it is unknown, since the fund is' : of.uncovered === 0 ? `paid by the fund of ${compact(fund ?? 0)}` : `of which the fund pays ${compact(of.fundUsed)} and nobody ${compact(of.uncovered)}`}`
  return `${ROUND_SAYS[round]}: ${compact(of.liquidatableNotional)} falls below its requirement, ${compact(of.liquidatedNotional)} is liquidated, ${debt}.`
}

/** From shock to fund. Notional and losses are orders of magnitude apart, so each has its own scale, named and compared in words. */
function Waterfall({ scenario, fund }: { scenario: Scenario; fund: number | null }) {
  const narrow = useMedia('(max-width: 760px)')
  const rounds = useMemo<readonly Round[]>(() => (scenario.cascade === null ? ['first'] : ['first', 'cascade']), [scenario])
  const option = useCallback((colours: Palette) => {
    const [left, right] = narrow ? [{ left: 62, right: 14, top: 42, height: 150 }, { left: 62, right: 14, top: 262, height: 150 }] : [{ left: 66, right: '60%', top: 42, bottom: 44 }, { left: '48%', right: 14, top: 42, bottom: 44 }]
    const part = (round: Round, grid: 0 | 1) => {
      const of = figuresOf(scenario, round)
      const colour = round === 'first' ? colours.series[0] : colours.series[1]
      const steps = grid === 0 ? STEPS.slice(0, 2) : STEPS.slice(2)
      const values = steps.map(([, field]) => of?.[field] ?? null)
      // What the fund pays hangs from the bad debt; what nobody pays is what is left below it.
      const floors = steps.map(([, field]) => (field === 'fundUsed' ? (of?.uncovered ?? 0) : 0))
      const name = ROUND_SAYS[round]
      return [
        { type: 'bar', name: `${name} floor`, stack: `${round}${grid}`, xAxisIndex: grid, yAxisIndex: grid, silent: true, itemStyle: { color: 'transparent' }, emphasis: { disabled: true }, data: floors, barMaxWidth: 46 },
        { type: 'bar', name, stack: `${round}${grid}`, xAxisIndex: grid, yAxisIndex: grid, data: values, barMaxWidth: 46, itemStyle: { color: colour }, label: { show: true, position: 'top', color: colours.text, fontSize: 11, formatter: ({ value }: { value: number | null }) => (value === null ? '' : compact(value)) } },
      ]
    }
    return {
      legend: { data: rounds.map((round) => ROUND_SAYS[round]), top: 4, left: 12, textStyle: { color: colours.text, fontSize: 12 }, itemWidth: 12, itemHeight: 10, selectedMode: false },
      grid: [left, right],
      xAxis: [0, 1].map((grid) => ({ ...axis(colours, ''), gridIndex: grid, type: 'category', data: (grid === 0 ? STEPS.slice(0, 2) : STEPS.slice(2)).map(([name]) => name), axisTick: { show: false }, axisLabel: { color: colours.text, fontSize: 12, interval: 0 } })),
      yAxis: ['Notional, USD', 'Loss, USD'].map((name, grid) => ({ ...axis(colours, name, { nameGap: 48 }), gridIndex: grid, type: 'value', min: 0, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact }, splitNumber: 4 })),
      series: rounds.flatMap((round) => [...part(round, 0), ...part(round, 1)]),
      tooltip: tooltip((parameters) => (parameters as { seriesName: string; value: number | null; name: string }[]).filter(({ seriesName }) => !seriesName.endsWith('floor')).map(({ seriesName, value, name }) => [`${name}, ${seriesName.toLowerCase()}`, value === null ? 'unknown' : `${float(value, 2)} USD`])),
    }
  }, [scenario, rounds, narrow])
  const largest = (fields: readonly (typeof STEPS)[number][1][]) => Math.max(0, ...rounds.flatMap((round) => fields.map((field) => figuresOf(scenario, round)?.[field] ?? 0)))
  const [notional, loss] = [largest(['liquidatableNotional', 'liquidatedNotional']), largest(['badDebt'])]
  const scales = loss > 0 && notional / loss >= 3 ? ` The scale of losses is ${times(notional, loss)} times as fine as that of notional.` : ''
  const summary = `${rounds.map((round) => sayOf(scenario, round, fund)).join(' ')}${scenario.cascade === null && scenario.cascadeUnknown ? ` ${sayOf(scenario, 'cascade', fund)}` : ''}${scales}`
  const data = { head: ['Step', ...rounds.map((round) => `${ROUND_SAYS[round]}, USD`)], rows: STEPS.map(([name, field]) => [name, ...rounds.map((round) => figuresOf(scenario, round)?.[field] ?? null)]) }
  return <Chart title="From shock to fund" summary={summary} option={option} data={data} height={narrow ? 460 : 250} />
}

/** Whether the window is of such a kind, now and as it changes. */
export function useMedia(query: string): boolean {
  const watch = useCallback((changed: () => void) => {
    const list = matchMedia(query)
    list.addEventListener('change', changed)
    return () => list.removeEventListener('change', changed)
  }, [query])
  return useSyncExternalStore(watch, () => matchMedia(query).matches)
}
