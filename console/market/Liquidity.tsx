/** What can be traded at once until the pool's price has moved by so much. */
import { useCallback, useMemo } from 'react'
import { useAnswer } from '../data/client.ts'
import { DepthDocument } from '../generated/operations.ts'
import type { DepthSidesFragment } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { compact, percent, price, size, usd } from '../ui/format.ts'
import { Empty, Figure, Loaded } from '../ui/parts.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'

const HEIGHT = 260

const COLUMNS: readonly Column<DepthSidesFragment>[] = [
  { key: 'move', head: 'Move', name: 'Move, fraction', numeric: true, value: ({ move }) => move, cell: ({ move }) => percent(move) },
  ...([['sellQuote', 'Sold for, USD'], ['sellBase', 'Sold, base'], ['buyBase', 'Bought, base'], ['buyQuote', 'Bought for, USD']] as const).map(([key, head]): Column<DepthSidesFragment> => ({ key, head, numeric: true, value: (row) => row[key].value, cell: (row) => <Figure exact={row[key].value} unit={key.endsWith('Quote') ? 'USD' : 'base'}>{key.endsWith('Quote') ? usd(row[key].value) : size(row[key].value)}</Figure> })),
]

export function Liquidity({ market, symbol }: { market: string; symbol: string }) {
  const answer = useAnswer(DepthDocument, { id: market }, 'minute')
  const depth = answer.data?.market
  const rows = useMemo(() => (depth ? [depth.d0025, depth.d005, depth.d01, depth.d015, depth.d02, depth.d03, depth.d05, depth.d075, depth.d10, depth.d15, depth.d20].filter((row) => row !== null) : []), [depth])
  const pool = depth?.marketPrice?.value
  const option = useCallback((colours: Palette) => chartOption(colours, rows, Number(pool), symbol), [rows, pool, symbol])
  const data = useMemo((): ChartData => ({ head: ['Move, fraction', 'Sold until the price is', 'Sold for, USD', 'Sold, base', 'Bought until the price is', 'Bought for, USD', 'Bought, base'], rows: rows.map((row) => [row.move, Number(pool) * (1 - row.move), row.sellQuote.value, row.sellBase.value, Number(pool) * (1 + row.move), row.buyQuote.value, row.buyBase.value]) }), [rows, pool])
  return (
    <Loaded of={answer} height={480}>
      {() => (rows.length === 0 || pool === undefined
        ? <Empty>The pool’s liquidity is not indexed for this market, so its depth is unknown. It is known from the first liquidity that is added on.</Empty>
        : (
          <>
            <Chart title={`Depth of the pool, ${symbol}`} summary={`Without fees, from the pool's price ${price(pool)}. Points are computed; lines only join them.`} option={option} data={data} height={HEIGHT} />
            <div className="market-head"><CsvButton title={`Depth ${symbol}`} columns={COLUMNS} rows={rows} /></div>
            <Table title="Depth by move of the price" columns={COLUMNS} rows={rows} rowKey={({ move }) => String(move)} few={6} />
          </>
        ))}
    </Loaded>
  )
}

function chartOption(colours: Palette, rows: readonly DepthSidesFragment[], pool: number, symbol: string) {
  const side = (name: string, colour: string, symbolShape: string, sign: 1 | -1, value: (row: DepthSidesFragment) => string) => ({
    name, type: 'line', symbol: symbolShape, symbolSize: 6, lineStyle: { color: colour, width: 1.6 }, itemStyle: { color: colour }, areaStyle: { color: colour, opacity: 0.1 },
    data: [[pool, 0], ...rows.map((row) => [pool * (1 + sign * row.move), Number(value(row))])].toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0)),
  })
  return {
    grid: { left: 64, right: 24, top: 32, bottom: 44 },
    legend: { top: 0, left: 60, itemWidth: 18, itemHeight: 8, textStyle: { color: colours.muted, fontSize: 11 }, selectedMode: false },
    tooltip: tooltip((parameters) => {
      const at = (parameters as readonly { value: readonly [number, number]; seriesName: string }[])[0]
      return at ? [['Until the price is', price(String(at.value[0]))], [at.seriesName, `${usd(String(at.value[1]))} USD`]] : []
    }),
    xAxis: axis(colours, `Price of ${symbol}, USD`, { type: 'value', min: 'dataMin', max: 'dataMax', nameGap: 26, splitLine: { show: false }, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 6 }) } }),
    yAxis: axis(colours, 'USD', { type: 'value', min: 0, nameGap: 48, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } }),
    series: [
      { ...side('Sold into the pool', colours.short, 'triangle', -1, (row) => row.sellQuote.value), markLine: { silent: true, symbol: 'none', label: { formatter: 'pool now', color: colours.muted, fontSize: 11 }, lineStyle: { color: colours.muted, type: 'dashed' }, data: [{ xAxis: pool }] } },
      side('Bought from the pool', colours.long, 'circle', 1, (row) => row.buyQuote.value),
    ],
  }
}
