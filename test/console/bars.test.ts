/** Bars that fill stretches of an axis, in the charts' own library without a page. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { init } from '../../console/ui/echarts.ts'
import type { ECharts } from '../../console/ui/echarts.ts'
import { bars, intervals, plot, pointed } from '../../console/ui/bars.ts'
import type { Bar } from '../../console/ui/bars.ts'

const HOUR_MS = 3_600_000
/** 1 January 2026 UTC, a day of hours from then on. */
const start = Date.UTC(2026, 0, 1)
const end = start + 24 * HOUR_MS
const [LEFT, WIDTH] = [60, 720]

describe('bars', () => {
  let chart: ECharts | undefined
  afterEach(() => {
    chart?.dispose()
    chart = undefined
  })

  /** A line above, bars below, both from `start` to `end` over 720 px: 30 px an hour. */
  const drawn = (...below: object[]): ECharts => {
    chart = init(null, null, { renderer: 'svg', ssr: true, width: 800, height: 300 })
    const across = (gridIndex: number) => ({ type: 'time', gridIndex, min: start, max: end })
    chart.setOption({
      animation: false, useUTC: true,
      grid: [plot({ left: LEFT, width: WIDTH, top: 10, height: 100 }), plot({ left: LEFT, width: WIDTH, top: 150, height: 100 })],
      xAxis: [across(0), across(1)], yAxis: [{ type: 'value', gridIndex: 0 }, { type: 'value', gridIndex: 1, min: 0, max: 10, name: 'Flow, USD', nameLocation: 'middle', nameGap: 50, axisLabel: { formatter: (value: number) => `${value},000,000` } }],
      series: [{ type: 'line', data: [[start, 1], [end, 2]] }, ...below],
    })
    return chart
  }
  /** Left, right, top and bottom of what is filled with a colour, px. */
  const rectangles = (made: ECharts, colour: string): number[][] =>
    [...made.renderToSVGString().matchAll(/<path d="M([\d.]+) ([\d.]+)l([\d.]+) 0l0 ([\d.]+)[^>]*fill="([^"]+)"/g)].filter((match) => match[5] === colour).map(([, x, y, width, height]) => [Number(x), Number(x) + Number(width), Number(y), Number(y) + Number(height)])
  const lower = { xAxisIndex: 1, yAxisIndex: 1 }

  test('behavior: two time axes over one another stay one, whatever bars are on one of them', () => {
    const hours = Array.from({ length: 24 }, (_, i): Bar => [start + i * HOUR_MS, start + (i + 1) * HOUR_MS, 0, 5])
    const made = drawn(bars('Volume', '#112233', hours, lower))
    // 30 px an hour: midnight at the plot's left edge, 06:00 a quarter of the way, the next midnight at its right edge, above and below.
    for (const [at, px] of [[start, LEFT], [start + 6 * HOUR_MS, LEFT + 180], [end, LEFT + WIDTH]] as const) {
      for (const xAxisIndex of [0, 1]) expect(made.convertToPixel({ xAxisIndex }, at)).toBeCloseTo(px, 6)
    }
  })

  test('behavior: a bar stands from its start to its end and from height to height, half a pixel less on either side', () => {
    const made = drawn(bars('Volume', '#112233', [[start + HOUR_MS, start + 2 * HOUR_MS, 0, 5], [start + 4 * HOUR_MS, start + 7 * HOUR_MS, 2, 10], [start + 9 * HOUR_MS, start + 10 * HOUR_MS, 0, 0]], lower))
    // The plot is 100 px for 10: 5 is 50 px above its foot at 250. Nothing stands where there is nothing.
    expect(rectangles(made, '#112233')).toEqual([[90.5, 119.5, 200, 250], [180.5, 269.5, 150, 230]])
  })

  test('behavior: what is narrower than `least` is as wide as that, about its middle', () => {
    const at = start + 12 * HOUR_MS
    expect(rectangles(drawn(bars('Rung', '#112233', [[at, at, 0, 1]], { least: 7, ...lower })), '#112233')).toEqual([[416.5, 423.5, 240, 250]])
  })

  test('behavior: the nearest of the unseen points is of the interval that the pointer is in', () => {
    // From 00:30 to 02:15: hours 0, 1 and 2, each at its half.
    const { name, data } = intervals(start / 1000 + 1800, start / 1000 + 8100, 3600) as { name: string; data: [number, number][] }
    expect(data.map(([at]) => (at - start) / HOUR_MS)).toEqual([0.5, 1.5, 2.5])
    expect(pointed([{ seriesName: 'Long', value: [start, 7] }, { seriesName: name, value: data[1] as [number, number] }], 3600)).toBe(start / 1000 + 3600)
    expect(pointed([{ seriesName: 'Long', value: [start, 7] }], 3600)).toBeUndefined()
  })
})
