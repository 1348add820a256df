/**
 * Charts of the report as SVG text, drawn by Apache ECharts on the server. The same options give the same bytes.
 * White ground of their own, so that they read on a dark page; title and description for readers who do not see them.
 */
import { BarChart, LineChart, ScatterChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { init, use, type EChartsCoreOption } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([BarChart, LineChart, ScatterChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer])

export type Chart = { readonly title: string; readonly description: string; readonly svg: string }

const WIDTH = 900
/** Okabe and Ito, Color Universal Design (2008): told apart by colour-blind readers. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9']
const DASHES = ['solid', 'dashed', 'dotted'] as const
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond'] as const
const INK = '#1f2328'
const FAINT = '#d8dee4'
const FONT = 'Helvetica, Arial, sans-serif'

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]!)

/** ECharts' text without what only a page with a pointer uses (hover styles, event data), whose names count up from chart to chart. */
function still(svg: string): string {
  return svg
    .replace(/<style[\s\S]*?<\/style>\s*/g, '')
    .replace(/ (?:class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/\bzr\d+-/g, 'c-')
}

function draw(title: string, description: string, height: number, option: EChartsCoreOption): Chart {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      color: COLOURS,
      textStyle: { fontFamily: FONT, color: INK, fontSize: 13 },
      ...option,
    })
    const svg = still(chart.renderToSVGString())
    const head = /^<svg [^>]*>/.exec(svg)![0]
    return { title, description, svg: `${head.slice(0, -1)} role="img" aria-labelledby="title desc">\n<title id="title">${escaped(title)}</title>\n<desc id="desc">${escaped(description)}</desc>${svg.slice(head.length)}\n` }
  } finally {
    chart.dispose()
  }
}

const heading = (text: string, top = 12) => ({ text, left: 16, top, textStyle: { fontSize: 16, fontWeight: 'bold', color: INK, fontFamily: FONT } })
const label = { color: INK, fontSize: 12, fontFamily: FONT }
const axis = (name: string) => ({ name, nameLocation: 'middle', nameTextStyle: { ...label, fontSize: 13 }, axisLabel: label, axisLine: { lineStyle: { color: INK } }, splitLine: { lineStyle: { color: FAINT } } })

/** 1,200,000 is `1.2M`: ticks of an axis. */
export function compact(value: number): string {
  const size = Math.abs(value)
  const [divisor, unit] = size >= 1e9 ? [1e9, 'B'] : size >= 1e6 ? [1e6, 'M'] : size >= 1e3 ? [1e3, 'k'] : [1, '']
  return `${value < 0 ? '−' : ''}${Number((size / divisor).toPrecision(3))}${unit}`
}

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8 and 10 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)))
  return power * ([1, 1.5, 2, 3, 4, 5, 6, 8].find((step) => step * power >= value) ?? 10)
}

const percentTick = (value: number): string => `${value > 0 ? '+' : value < 0 ? '−' : ''}${Number((Math.abs(value) * 100).toFixed(1))} %`

export type StressBar = { readonly label: string; readonly fundUsed: number; readonly uncovered: number; /** Bad debt once forced trades have moved prices; null where unknown. */ readonly cascade: number | null }

/** Bad debt per scenario, worst on top: what the fund pays and what it does not, what the cascade makes of it, and the fund's own size. */
export function stressChart(bars: readonly StressBar[], fund: number | null, description: string): Chart {
  const rows = bars.toReversed()
  const split = fund !== null
  const largest = Math.max(0, ...bars.map(({ fundUsed, uncovered, cascade }) => Math.max(fundUsed + uncovered, cascade ?? 0)))
  const inView = split && fund <= 4 * largest
  const title = 'Bad debt by scenario, USD'
  const bar = { type: 'bar', stack: 'debt', barMaxWidth: 22 }
  return draw(title, description, 130 + 30 * Math.max(3, bars.length), {
    title: heading(title),
    legend: { top: 12, right: 16, textStyle: label, selectedMode: false },
    grid: { left: 210, right: 90, top: 72, bottom: 52 },
    xAxis: { type: 'value', ...axis('Bad debt, USD'), nameGap: 30, axisLabel: { ...label, formatter: compact }, ...(inView ? { max: roundUp(Math.max(largest, fund)) } : {}) },
    yAxis: { type: 'category', data: rows.map((one) => one.label), axisLabel: label, axisTick: { show: false } },
    series: [
      {
        ...bar,
        name: split ? 'paid by the insurance fund' : 'bad debt (the fund is unknown)',
        data: rows.map((one) => one.fundUsed),
        ...(inView ? { markLine: { symbol: 'none', silent: true, lineStyle: { color: INK, type: 'dashed', width: 1.5 }, label: { formatter: `fund ${compact(fund)}`, position: 'end', color: INK, fontFamily: FONT }, data: [{ xAxis: fund }] } } : {}),
      },
      ...(split ? [{ ...bar, name: 'uncovered', data: rows.map((one) => one.uncovered) }] : []),
      ...(bars.some(({ cascade }) => cascade !== null) ? [{ type: 'scatter', name: 'after the cascade, at most', symbol: 'diamond', symbolSize: 11, z: 5, itemStyle: { color: '#ffffff', borderColor: INK, borderWidth: 1.5 }, data: rows.flatMap((one, i) => (one.cascade === null ? [] : [[one.cascade, i]])) }] : []),
      // The total stands at the end of each bar, whatever it is made of.
      { ...bar, name: '', silent: true, itemStyle: { color: 'transparent' }, data: rows.map((one) => ({ value: 0, label: { show: true, position: 'right', distance: 14, formatter: compact(one.fundUsed + one.uncovered), color: INK, fontFamily: FONT } })) },
    ],
  })
}

export type LadderLine = { readonly label: string; readonly rungs: readonly { readonly change: number; readonly notional: number; readonly badDebt: number }[] }

/** Less is not drawn: a logarithm has no zero. */
const LEAST_USD = 1

/** What each price sets off: notional that becomes liquidatable above, bad debt below, one line per market and one for the first with all others by their betas. */
export function ladderChart(lines: readonly LadderLine[], fund: number | null, description: string): Chart {
  const title = 'Liquidation ladder: what a price change sets off (no point: below 1 USD)'
  const debts = lines.flatMap((line) => line.rungs.map((rung) => rung.badDebt))
  const inView = fund !== null && fund >= LEAST_USD && fund <= 10 * Math.max(0, ...debts)
  const series = (of: 'notional' | 'badDebt', grid: number) =>
    lines.map((line, i) => ({
      type: 'line',
      name: line.label,
      xAxisIndex: grid,
      yAxisIndex: grid,
      symbol: SYMBOLS[i % SYMBOLS.length],
      symbolSize: 5,
      lineStyle: { width: 2, type: DASHES[i % DASHES.length] },
      data: line.rungs.map((rung) => [rung.change, rung[of] < LEAST_USD ? null : rung[of]]),
      ...(of === 'badDebt' && i === 0 && inView ? { markLine: { symbol: 'none', silent: true, lineStyle: { color: INK, type: 'dashed' }, label: { formatter: `fund ${compact(fund)}`, position: 'insideEndTop', color: INK, fontFamily: FONT }, data: [{ yAxis: fund }] } } : {}),
    }))
  const changes = lines.flatMap((line) => line.rungs.map((rung) => rung.change))
  const xAxis = { type: 'value', ...axis('Change of the price'), nameGap: 28, min: Math.min(...changes), max: Math.max(...changes), interval: 0.1, axisLine: { onZero: false, lineStyle: { color: INK } }, axisLabel: { ...label, formatter: percentTick } }
  const yAxis = (name: string) => ({ type: 'log', ...axis(`${name} (log scale)`), nameGap: 52, axisLine: { onZero: false, show: true, lineStyle: { color: INK } }, axisLabel: { ...label, formatter: compact } })
  return draw(title, description, 620, {
    title: heading(title),
    legend: { top: 40, left: 16, textStyle: label, selectedMode: false, itemWidth: 34 },
    grid: [{ left: 84, right: 28, top: 78, height: 205 }, { left: 84, right: 28, top: 348, height: 205 }],
    xAxis: [{ ...xAxis, gridIndex: 0 }, { ...xAxis, gridIndex: 1 }],
    yAxis: [{ ...yAxis('Liquidatable notional, USD'), gridIndex: 0 }, { ...yAxis('Bad debt, USD'), gridIndex: 1 }],
    series: [...series('notional', 0), ...series('badDebt', 1)],
  })
}

export type VolatilityLine = { readonly label: string; readonly days: readonly { readonly timestampSec: number; readonly perYear: number }[]; readonly exceptions: number | null; readonly expected: number | null; readonly rejected: boolean }

/** Realised volatility of each day above; below, how often the forecast was exceeded against how often it should have been. */
export function volatilityChart(lines: readonly VolatilityLine[], forecast: string, description: string): Chart {
  const title = 'Volatility of index prices, and the backtest of its forecast'
  const tested = lines.filter((line) => line.exceptions !== null && line.expected !== null)
  const day = (sec: number): string => new Date(sec * 1000).toISOString().slice(5, 10)
  const days = [...new Set(lines.flatMap((line) => line.days.map((one) => one.timestampSec)))].toSorted((a, b) => a - b)
  const bar = { type: 'bar', xAxisIndex: 1, yAxisIndex: 1, barMaxWidth: 46 }
  return draw(title, description, 600, {
    title: [heading(days.length === 0 ? `${title} (no completed day yet)` : title), { ...heading('', 328), text: `Times that the ${forecast} was exceeded`, textStyle: { fontSize: 13, fontWeight: 'bold', color: INK, fontFamily: FONT } }],
    legend: [
      { top: 40, left: 16, textStyle: label, selectedMode: false, itemWidth: 34, data: lines.map((line) => line.label) },
      { top: 326, right: 16, textStyle: label, selectedMode: false, data: ['exceeded', 'expected of a right forecast'] },
    ],
    grid: [{ left: 84, right: 28, top: 78, height: 190 }, { left: 84, right: 28, top: 362, height: 170 }],
    xAxis: [
      { type: 'category', gridIndex: 0, data: days.map(day), ...axis('Day (UTC)'), nameGap: 30 },
      { type: 'category', gridIndex: 1, data: tested.map((line) => `${line.label}${line.rejected ? ' (rejected)' : ''}`), ...axis(''), axisTick: { show: false } },
    ],
    yAxis: [
      { type: 'value', gridIndex: 0, ...axis('Realised volatility, % a year'), nameGap: 52, min: 0, axisLabel: { ...label, formatter: (value: number) => `${Number((value * 100).toFixed(1))} %` } },
      { type: 'value', gridIndex: 1, ...axis('Bars exceeded, count'), nameGap: 52, min: 0, minInterval: 1, boundaryGap: [0, '15%'] },
    ],
    series: [
      ...lines.map((line, i) => ({ type: 'line', name: line.label, xAxisIndex: 0, yAxisIndex: 0, symbol: SYMBOLS[i % SYMBOLS.length], symbolSize: 5, itemStyle: { color: COLOURS[i % COLOURS.length] }, lineStyle: { width: 2, type: DASHES[i % DASHES.length] }, data: days.map((sec) => line.days.find((one) => one.timestampSec === sec)?.perYear ?? null) })),
      { ...bar, name: 'exceeded', itemStyle: { color: COLOURS[1] }, label: { show: true, position: 'top', color: INK, fontFamily: FONT }, data: tested.map((line) => line.exceptions) },
      { ...bar, name: 'expected of a right forecast', itemStyle: { color: '#8c959f' }, label: { show: true, position: 'top', color: INK, fontFamily: FONT }, data: tested.map((line) => Number(line.expected!.toFixed(1))) },
    ],
  })
}
