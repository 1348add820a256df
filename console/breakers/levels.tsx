/** Levels of breakers as words and on the time axis. */
import { useCallback } from 'react'
import type { BreakerLevel } from '../generated/operations.ts'
import { LEVELS, LEVEL_MARK } from '../ui/breakers.tsx'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { dateTime, duration, time } from '../ui/format.ts'
import type { Span } from './spans.ts'

const colourOf = (colours: Palette, level: BreakerLevel): string => ({ NORMAL: colours.up, WATCH: colours.warn, RESTRICT: colours.series[1] ?? colours.warn, HALT: colours.down })[level]

const stoodAt = ({ level, observed }: Span): string => (observed ? level : `${level}, or not observed yet`)

type Drawing = { value(at: number): number; coord(point: readonly number[]): number[]; size(size: readonly number[]): number[] }

/** A band per breaker; the higher the level, the higher the block, so that it is told without colour. */
export function LevelsChart({ title, summary, rows, from, to }: { title: string; summary: string; rows: readonly { readonly label: string; readonly spans: readonly Span[] }[]; from: number; to: number }) {
  const option = useCallback((colours: Palette) => {
    const spans = rows.flatMap(({ label, spans: own }, row) => own.map((span) => ({ ...span, label, row })))
    return {
      grid: { left: 76, right: 20, top: 10, bottom: 46 },
      xAxis: { ...axis(colours, 'Block time, UTC', { nameGap: 28 }), type: 'time', min: from * 1000, max: to * 1000, splitLine: { show: false }, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, formatter: (ms: number) => dateTime(ms / 1000).replace(' 00:00 UTC', '').replace(' UTC', '') } },
      yAxis: { ...axis(colours, ''), type: 'category', inverse: true, data: rows.map(({ label }) => label), axisTick: { show: false }, splitLine: { show: true, lineStyle: { color: colours.line } }, axisLabel: { color: colours.text, fontSize: 12 } },
      tooltip: tooltip((at) => {
        const span = spans[(at as { dataIndex: number }).dataIndex]
        return span ? [[span.label, `${LEVEL_MARK[span.level]} ${stoodAt(span)}`], ['From', time(span.from)], ['For', duration(span.to - span.from)], ...(span.why ? [['Why', span.why] as const] : [])] : []
      }, { trigger: 'item' }),
      series: [{
        type: 'custom',
        data: spans.map((span) => ({ value: [span.row, span.from * 1000, span.to * 1000, LEVELS.indexOf(span.level), span.observed ? 1 : 0] })),
        encode: { x: [1, 2], y: 0 },
        renderItem: (_: unknown, api: Drawing) => {
          const [row, start, end, level] = [api.value(0), api.value(1), api.value(2), api.value(3)]
          const [left = 0, middle = 0] = api.coord([start, row])
          const [right = 0] = api.coord([end, row])
          const [, band = 0] = api.size([0, 1])
          const height = band * (0.16 + 0.2 * level)
          return { type: 'rect', shape: { x: left, y: middle + band * 0.38 - height, width: Math.max(2, right - left), height }, style: api.value(4) === 1 ? { fill: colourOf(colours, LEVELS[level] ?? 'NORMAL'), opacity: level === 0 ? 0.55 : 1 } : { fill: 'transparent', stroke: colours.muted, lineWidth: 1, lineDash: [3, 3] } }
        },
      }],
    }
  }, [rows, from, to])
  const data = rows.flatMap(({ label, spans }) => spans.map((span) => [label, stoodAt(span), time(span.from), time(span.to), span.to - span.from, span.why]))
  return <Chart title={title} summary={summary} option={option} data={{ head: ['Breaker', 'Level', 'From', 'To', 'Seconds', 'Why'], rows: data }} height={66 + rows.length * 46} />
}
