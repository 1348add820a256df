/** Whether liquidations pay those who do them, by gas price. */
import { useCallback, useMemo } from 'react'
import { useAnswer } from '../data/client.ts'
import { KeepersDocument } from '../generated/operations.ts'
import type { KeepersQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { compact, decimal, duration, percent, usd, whole } from '../ui/format.ts'
import { Address, Empty, Figure, Loaded, Provenance, Unknown } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { text, useChoice } from './parts.tsx'

type Answer = NonNullable<KeepersQuery['keeperEconomics']>
type Level = Answer['levels'][number]
type Orphan = Level['orphans'][number]

const HEIGHT = 190
const money = (value: number | null, why: string) => (value === null ? <Unknown why={why} /> : <Figure exact={text(value)} unit="USD">{usd(text(value))}</Figure>)

const LEVELS: readonly Column<Level>[] = [
  { key: 'name', head: 'Gas price', value: ({ name }) => name },
  { key: 'gas', head: 'Gas, USD', numeric: true, value: ({ gas }) => gas, cell: ({ gas }) => <Figure exact={text(gas)} unit="USD">{decimal(text(gas), gas < 1 ? 4 : 2)}</Figure> },
  { key: 'breakEven', head: 'Pays from, USD', numeric: true, value: ({ breakEven }) => breakEven, cell: ({ breakEven }) => money(breakEven, 'No size pays at this gas price') },
  { key: 'largest', head: 'up to, USD', name: 'Pays up to, USD', numeric: true, value: ({ largestWorthwhile }) => largestWorthwhile, cell: ({ largestWorthwhile, breakEven }) => money(largestWorthwhile, breakEven === null ? 'No size pays at this gas price' : 'There is no largest size that pays') },
  { key: 'orphans', head: 'Nobody’s', name: 'Positions that nobody would liquidate', numeric: true, value: ({ orphanCount }) => orphanCount, cell: ({ orphanCount }) => whole(orphanCount) },
  { key: 'share', head: 'of all', name: 'Their share of what may be taken', numeric: true, value: ({ orphanShare }) => orphanShare, cell: ({ orphanShare, orphanNotional }) => <Figure exact={text(orphanNotional)} unit="USD may be taken of them">{percent(orphanShare)}</Figure> },
]

const ORPHANS: readonly Column<Orphan>[] = [
  { key: 'account', head: 'Account', value: ({ account }) => account, cell: ({ account }) => <Address of={account} label="Account" /> },
  { key: 'takeable', head: 'May be taken, USD', numeric: true, value: ({ takeable }) => takeable, cell: ({ takeable }) => money(takeable, '') },
  { key: 'profit', head: 'Best profit, USD', numeric: true, value: ({ bestProfit }) => bestProfit, cell: ({ bestProfit }) => money(bestProfit, '') },
  { key: 'needed', head: 'Penalty needed', numeric: true, value: ({ penaltyNeeded }) => penaltyNeeded, cell: ({ penaltyNeeded }) => percent(penaltyNeeded) },
]

/** Words and unit of what the model assumes. */
const ASSUMED: Readonly<Record<string, readonly [string, (value: number) => string]>> = {
  penalty: ['penalty', (value) => percent(value)],
  keeperShare: ['of it the keeper’s', (value) => percent(value, 0)],
  tradingFee: ['trading fee', (value) => percent(value)],
  latencyCost: ['cost of waiting', (value) => percent(value)],
  latencySec: ['waiting', duration],
  gasUnits: ['gas of a liquidation', (value) => whole(value)],
  gasTokenPrice: ['gas token, USD', (value) => usd(text(value))],
  dailyVolume: ['traded a day, USD', (value) => usd(text(value))],
  dataFee: ['data fee, USD', (value) => usd(text(value))],
  minProfit: ['least profit, USD', (value) => usd(text(value))],
}

export function Keepers({ market, symbol }: { market: string; symbol: string }) {
  const answer = useAnswer(KeepersDocument, { market }, 'minute')
  return (
    <Loaded of={answer} height={480}>
      {({ keeperEconomics }) => (keeperEconomics ? <Paid of={keeperEconomics} symbol={symbol} /> : <Empty>The API has no prices or parameters of this market yet that the cost of a liquidation could be told from.</Empty>)}
    </Loaded>
  )
}

function Paid({ of: keepers, symbol }: { of: Answer; symbol: string }) {
  const { levels } = keepers
  const [name, setName] = useChoice('gas', levels.map((level) => level.name), levels[2]?.name ?? levels[0]?.name ?? '')
  const level = levels.find((one) => one.name === name)
  const option = useCallback((colours: Palette) => chartOption(colours, levels), [levels])
  const data = useMemo((): ChartData => ({ head: ['Gas price', 'Taken, USD', 'Profit, USD'], rows: levels.flatMap((one) => one.sizes.map(({ notional, profit }) => [one.name, notional, profit])) }), [levels])
  return (
    <>
      <div className="market-head"><CsvButton title={`Keepers ${symbol}`} columns={LEVELS} rows={levels} /></div>
      <Table title="Keepers by gas price" columns={LEVELS} rows={levels} rowKey={(one) => one.name} />
      <Chart title={`Sizes of a liquidation that pay, ${symbol}`} summary="From the least notional whose share of the penalty covers gas to the most before its own impact eats it." option={option} data={data} height={HEIGHT} />
      {level && level.orphanCount > 0 && (
        <>
          <div className="controls"><label className="field">Nobody’s positions at<select value={name} onChange={(event) => setName(event.target.value)}>{levels.map((one) => <option key={one.name} value={one.name}>{one.name} ({one.orphanCount})</option>)}</select></label></div>
          <Table title="Positions that nobody would liquidate" columns={ORPHANS} rows={level.orphans} rowKey={({ account }) => account} few={4} />
        </>
      )}
      <p className="market-words">Assumed: {keepers.assumptions.flatMap(({ name: key, value }) => (ASSUMED[key] ? [`${ASSUMED[key][0]} ${ASSUMED[key][1](value)}`] : [])).join(' · ')}.</p>
      <Provenance of={keepers.provenance} />
    </>
  )
}

function chartOption(colours: Palette, levels: readonly Level[]) {
  const rows = levels.toReversed()
  return {
    grid: { left: 90, right: 24, top: 10, bottom: 44 },
    tooltip: tooltip((parameters) => {
      const level = rows[(parameters as readonly { value: readonly [number, number] }[])[0]?.value[1] ?? -1]
      return level ? [['Gas price', level.name], ['Pays from', level.breakEven === null ? 'no size' : `${usd(text(level.breakEven))} USD`], ['Pays up to', level.largestWorthwhile === null ? 'any size' : `${usd(text(level.largestWorthwhile))} USD`]] : []
    }, { axisPointer: { axis: 'y', type: 'shadow' } }),
    xAxis: axis(colours, 'Notional taken, USD, logarithmic', { type: 'log', nameGap: 26, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } }),
    yAxis: { type: 'category', data: rows.map(({ name, breakEven }) => (breakEven === null ? `${name} (never)` : name)), axisLabel: { color: colours.muted, fontSize: 11 }, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } } },
    // Where there is no largest size that pays the line goes on to the largest of all, and has no end.
    series: rows.flatMap(({ name, breakEven, largestWorthwhile }, at) => (breakEven === null ? [] : [{ name, type: 'line', symbol: 'circle', symbolSize: 8, lineStyle: { color: colours.series[0], width: 6, cap: 'round', opacity: 0.55 }, itemStyle: { color: colours.series[0] }, data: [[breakEven, at], { value: [largestWorthwhile ?? Math.max(...rows.flatMap((one) => [one.largestWorthwhile ?? 0, ...one.sizes.map((size) => size.notional)])), at], symbol: largestWorthwhile === null ? 'none' : 'circle' }] }])),
  }
}
