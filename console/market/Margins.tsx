/** Margins that volatility and the measured liquidation horizon ask for, beside what stands, and how they would be kept from jumping. */
import { useCallback, useMemo } from 'react'
import { Link } from 'wouter'
import { useAnswer } from '../data/client.ts'
import { AntiProcyclicalDocument, MarginsDocument } from '../generated/operations.ts'
import type { AntiProcyclicalQuery, MarginsQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { duration, float, percent, words } from '../ui/format.ts'
import { Empty, Loaded, Provenance, Sums, Tag, Unknown } from '../ui/parts.tsx'
import { Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { Choice, Unknowns, Warnings, useChoice } from './parts.tsx'

type Answer = NonNullable<MarginsQuery['dynamicMargin']>
type Horizon = Answer['horizon'][number]
type Way = NonNullable<AntiProcyclicalQuery['antiProcyclicality']>['ways'][number]

const PARTS: Readonly<Record<string, string>> = { oracleAgeSec: 'Oracle’s age', detectionSec: 'Until it is noticed', liquidationSec: 'Until it is closed' }
const WAYS: Readonly<Record<string, string>> = { buffer: 'Buffer that may be used up', stress: 'Weight on stressed days', floor: 'Floor of the long run' }

const HORIZON: readonly Column<Horizon>[] = [
  { key: 'name', head: 'Part', value: ({ name }) => PARTS[name] ?? name },
  { key: 'value', head: 'Time', name: 'Time, s', numeric: true, value: ({ value }) => value, cell: ({ value }) => duration(value) },
  { key: 'origin', head: 'Origin', value: ({ origin }) => origin, cell: ({ origin }) => <Tag kind={origin === 'MEASURED' ? 'good' : 'warn'}>{words(origin)}</Tag> },
  { key: 'why', head: 'From', value: ({ why }) => why, cell: ({ why }) => <span className="market-why">{why.replaceAll(/\d{5,}/g, (digits) => Number(digits).toLocaleString('en'))}</span> },
]

const WAY: readonly Column<Way>[] = [
  { key: 'way', head: 'Way', value: ({ way }) => WAYS[way] ?? way },
  { key: 'margin', head: 'Margin', name: 'Margin, fraction', numeric: true, value: ({ margin }) => margin, cell: ({ margin }) => percent(margin) },
  { key: 'binding', head: 'Decided by', value: ({ binding }) => binding },
  { key: 'meets', head: 'EU 153/2013', value: ({ meetsRegulation }) => meetsRegulation, cell: ({ meetsRegulation }) => <Tag kind={meetsRegulation ? 'good' : 'quiet'}>{meetsRegulation ? 'meets its numbers' : 'does not'}</Tag> },
]

export function Margins({ market, symbol }: { market: string; symbol: string }) {
  const [level, setLevel] = useChoice('margin', ['0.95', '0.99', '0.999'], '0.99')
  const [garch, setGarch] = useChoice('garch', ['0', '1'], '0')
  const margins = useAnswer(MarginsDocument, { market, level: Number(level), garch: garch === '1' }, 'minute')
  const smoothed = useAnswer(AntiProcyclicalDocument, { market, level: Number(level) }, 'minute')
  return (
    <>
      <div className="controls">
        <Choice label="Confidence" of={[['0.95', '95 %'], ['0.99', '99 %'], ['0.999', '99.9 %']]} value={level} onChoice={setLevel} />
        <Choice label="Volatility by" of={[['0', 'EWMA'], ['1', 'GARCH']]} value={garch} onChoice={setGarch} />
      </div>
      <Loaded of={margins} height={560}>{({ dynamicMargin }) => (dynamicMargin ? <Asked of={dynamicMargin} symbol={symbol} /> : <Empty>This market has no index prices yet that a margin could be computed from.</Empty>)}</Loaded>
      <h3 className="market-h3">Kept from jumping</h3>
      <Loaded of={smoothed} height={260}>
        {({ antiProcyclicality: answer }) => (answer ? (
          <>
            <div className="market-tight"><Sums of={[
              ['Core, a day', percent(answer.core), 'at the volatility of now'],
              ['Of the window', percent(answer.longRun), 'at that of 30 days'],
              ['Stressed', percent(answer.stressed), answer.stressRegime],
              ['Swing', answer.swing ? `× ${float(answer.swing.peakToTrough, 1)}` : <Unknown why={answer.unknown?.message} />, answer.swing ? `largest over smallest of ${answer.swing.observations} days; × ${float(answer.swing.largestJump, 1)} within five` : ' '],
            ]} /></div>
            <Table title="Ways to keep a margin from jumping" columns={WAY} rows={answer.ways} rowKey={({ way }) => way} />
            <Unknowns of={answer.unknown ? [answer.unknown] : []} />
            <Provenance of={answer.provenance} />
          </>
        ) : <Empty>This market has no index prices yet that a margin could be computed from.</Empty>)}
      </Loaded>
    </>
  )
}

function Asked({ of: margin, symbol }: { of: Answer; symbol: string }) {
  const option = useCallback((colours: Palette) => chartOption(colours, margin), [margin])
  const data = useMemo((): ChartData => ({
    head: ['What', 'Fraction of notional'],
    rows: [...margin.components.map(({ name, value }) => [`Maintenance asked for: ${name}`, value]), ['Maintenance asked for', margin.maintenance], ['Maintenance now', margin.currentMaintenance], ['Initial asked for', margin.initial], ['Initial now', margin.currentInitial]],
  }), [margin])
  const notIndexed = 'The protocol’s ratio is not indexed'
  const step = (asked: number, now: number | null) => (now === null ? <Unknown why={notIndexed} /> : <>{percent(asked)} <Tag kind={asked > now ? 'warn' : 'quiet'}>{asked > now ? 'more than now' : 'not more than now'}</Tag></>)
  return (
    <>
      <div className="market-tight"><Sums of={[
        ['Maintenance asked for', step(margin.maintenance, margin.currentMaintenance), `covers ${duration(margin.horizonSec)}`],
        ['Maintenance now', margin.currentMaintenance === null ? <Unknown why={notIndexed} /> : percent(margin.currentMaintenance), 'of every market'],
        ['Initial asked for', step(margin.initial, margin.currentInitial), `by ${margin.binding}`],
        ['Initial now', margin.currentInitial === null ? <Unknown why={notIndexed} /> : percent(margin.currentInitial), 'of every market'],
      ]} /></div>
      <Chart title={`Margins asked for and standing, ${symbol}`} summary={`At the worse side: losses of a ${margin.side === 'DOWN' ? 'long' : 'short'}. Ratios are the protocol's; a change needs new code (see Parameters).`} option={option} data={data} height={190} />
      <Table title="Parts of the horizon" columns={HORIZON} rows={margin.horizon} rowKey={({ name }) => name} />
      <Warnings of={margin.warnings} />
      <p className="market-words"><Link href="/recommendations">See what the models recommend of this</Link>.</p>
      <Provenance of={margin.provenance} />
    </>
  )
}

function chartOption(colours: Palette, margin: Answer) {
  const rows = ['Initial now', 'Initial asked for', 'Maintenance now', 'Maintenance asked for']
  const bar = (name: string, colour: string | undefined, values: readonly (number | null)[], decal?: string) => ({ name, type: 'bar', stack: 'margin', barWidth: 16, itemStyle: { color: colour, ...(decal ? { decal: { symbol: decal } } : {}) }, data: values })
  return {
    grid: { left: 150, right: 24, top: 32, bottom: 44 },
    legend: { top: 0, left: 146, itemWidth: 10, itemHeight: 10, textStyle: { color: colours.muted, fontSize: 11 }, selectedMode: false },
    tooltip: tooltip((parameters) => {
      const shown = parameters as readonly { name: string; seriesName: string; value: number | null }[]
      return [[shown[0]?.name ?? '', ''], ...shown.flatMap(({ seriesName, value }) => (value ? [[seriesName, percent(value)] as const] : []))]
    }, { axisPointer: { type: 'shadow' } }),
    xAxis: axis(colours, 'Fraction of notional', { type: 'value', min: 0, nameGap: 26, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => percent(value, 0) } }),
    yAxis: { type: 'category', data: rows, axisLabel: { color: colours.muted, fontSize: 11 }, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } } },
    series: [
      bar('now', colours.series[5], [margin.currentInitial, null, margin.currentMaintenance, null]),
      bar('asked for', colours.series[0], [null, margin.initial, null, null]),
      ...margin.components.map(({ name, value }, i) => bar(name, colours.series[i + 1], [null, null, null, value])),
    ],
  }
}
