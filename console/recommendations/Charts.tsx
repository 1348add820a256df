/** Charts of one recommendation: its evidence, the way from the model's value to the recommended one, and the parameter's past. */
import { useCallback, useMemo } from 'react'
import { leadingNumber, onAxis } from '../parameters/values.ts'
import type { Measure } from '../parameters/values.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { compact, dateTime, duration, float, whole } from '../ui/format.ts'
import type { EvidenceChart as Evidence } from './evidence.ts'
import { isHeld } from './recommendation.ts'
import type { Recommendation } from './recommendation.ts'

const levelColour = (colours: Palette, kind: 'now' | 'recommended' | 'limit'): string => (kind === 'recommended' ? colours.accent : kind === 'now' ? colours.text : colours.muted)

/** Vertical lines with their words above the plot; two that stand close have theirs one above the other. */
function levels(colours: Palette, of: readonly { readonly label: string; readonly value: number; readonly kind: 'now' | 'recommended' | 'limit' }[], inverse = true): object {
  return {
    symbol: 'none',
    silent: true,
    animation: false,
    data: of.map(({ label, value, kind }, index) => ({ xAxis: value, lineStyle: { color: levelColour(colours, kind), width: kind === 'limit' ? 1 : 1.5, type: kind === 'recommended' ? 'solid' : kind === 'now' ? 'dashed' : 'dotted' }, label: { formatter: label, position: inverse ? 'start' : 'end', distance: 4 + (of.length - 1 - index) * 15, color: levelColour(colours, kind), fontSize: 11 } })),
  }
}

/** A category axis of rows that are read from the top. */
const rowsAxis = (colours: Palette, names: readonly string[], width: number): object => ({ ...axis(colours, ''), type: 'category', inverse: true, data: names, axisTick: { show: false }, splitLine: { show: false }, axisLabel: { color: colours.text, fontSize: 12, width, overflow: 'break', lineHeight: 14 } })

const narrow = (): boolean => innerWidth < 760
const labelWidth = (): number => (narrow() ? 110 : 210)

export function EvidenceChart({ of }: { of: Evidence }) {
  const { bars, unit } = of
  const option = useCallback((colours: Palette) => {
    const names = [...new Set(bars.filter(({ parts }) => parts.length > 1).flatMap(({ parts }) => parts.map(({ name }) => name)))]
    const width = labelWidth()
    const series = [
      ...names.map((name, index) => ({ name, type: 'bar', stack: 'all', barMaxWidth: 16, itemStyle: { color: colours.series[(index + 1) % colours.series.length] }, data: bars.map(({ parts }) => (parts.length > 1 ? (parts.find((part) => part.name === name)?.value ?? 0) : 0)) })),
      { name: 'Alone', type: 'bar', stack: 'all', barMaxWidth: 16, itemStyle: { color: colours.series[0] }, data: bars.map(({ parts }) => (parts.length === 1 ? (parts[0]?.value ?? 0) : 0)) },
      { name: 'Sum', type: 'bar', stack: 'all', barMaxWidth: 16, silent: true, data: bars.map(() => 0), label: { show: true, position: 'right', color: colours.text, fontSize: 11, formatter: ({ dataIndex }: { dataIndex: number }) => totalText(bars[dataIndex], unit) }, markLine: levels(colours, of.levels) },
    ]
    const most = Math.max(...of.levels.map(({ value }) => value), ...bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0)))
    return {
      grid: { left: width + 14, right: 92, top: 12 + of.levels.length * 15, bottom: 44 + (names.length > 0 ? 24 : 0) },
      legend: names.length > 0 ? { data: names, bottom: 0, itemWidth: 10, itemHeight: 10, icon: 'rect', textStyle: { color: colours.muted, fontSize: 11 } } : undefined,
      xAxis: { ...axis(colours, of.axis, { nameGap: 26 }), type: 'value', min: 0, max: most * 1.02, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, showMaxLabel: false, formatter: (value: number) => compact(value) } },
      yAxis: rowsAxis(colours, bars.map(({ label }) => label), width),
      tooltip: tooltip((at) => {
        const [first] = at as { dataIndex: number }[]
        const bar = first && bars[first.dataIndex]
        return bar ? bar.parts.map(({ name, text }) => [name, text] as const) : []
      }, { axisPointer: { type: 'shadow', shadowStyle: { color: colours.line, opacity: 0.3 } } }),
      series,
    }
  }, [of, bars, unit])
  const rows = [...bars.flatMap(({ label, parts }) => parts.map((part) => [label, part.name, part.text])), ...of.levels.map(({ label, kind }) => ['Line', kind, label])]
  return <Chart title={of.title} summary={of.summary} option={option} data={{ head: ['Bar', 'Part', 'Figure'], rows }} height={Math.max(170, 96 + bars.length * 30)} />
}

const totalText = (bar: Evidence['bars'][number] | undefined, unit: string): string => (bar === undefined ? '' : bar.parts.length === 1 ? (bar.parts[0]?.text ?? '') : `${float(bar.parts.reduce((sum, { value }) => sum + value, 0), 2)} ${unit}`)

/** From what the model says to what is recommended, each step of the controller on the parameter's own axis. */
export function PathChart({ of, unit, policy }: { of: Recommendation; unit: string; policy: { readonly min: number | null; readonly max: number | null } }) {
  const points = useMemo(() => pathOf(of), [of])
  const now = leadingNumber(of.currentDisplay)
  const option = useCallback((colours: Palette) => {
    const width = labelWidth()
    const values = [...points.map(({ value }) => value), ...(now === null ? [] : [now])]
    const [low, high] = [Math.min(...values), Math.max(...values)]
    const room = (high - low || Math.abs(high) || 1) * 0.12
    const [least, most] = [Math.max(low >= 0 ? 0 : -Infinity, low - room), high + room]
    const limits = ([['policy’s least', policy.min], ['policy’s most', policy.max]] as const).flatMap(([label, value]) => (value !== null && value >= least && value <= most ? [{ label: `${label} ${float(value)} ${unit}`, value, kind: 'limit' as const }] : []))
    const lines = [...limits, ...(now === null ? [] : [{ label: `now ${of.currentDisplay}`, value: now, kind: 'now' as const }])]
    return {
      grid: { left: width + 14, right: 124, top: 12 + lines.length * 15, bottom: 44 },
      xAxis: { ...axis(colours, `${of.title}${unit ? `, ${unit}` : ''}`, { nameGap: 26 }), type: 'value', min: least, max: most, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: (value: number) => compact(value) } },
      yAxis: rowsAxis(colours, points.map(({ name }) => name), width),
      tooltip: tooltip((at) => {
        const [first] = at as { dataIndex: number }[]
        const point = first && points[first.dataIndex]
        return point ? [[point.name, point.text]] : []
      }, { trigger: 'item' }),
      series: [{
        type: 'line', symbol: 'circle', symbolSize: 9, lineStyle: { color: colours.muted, width: 1.5 }, itemStyle: { color: colours.series[0] },
        data: points.map(({ value }, index) => ({ value: [value, index], ...(index === points.length - 1 ? { itemStyle: { color: colours.accent }, symbolSize: 12 } : {}) })),
        label: { show: true, position: 'right', distance: 8, color: colours.text, fontSize: 11, formatter: ({ dataIndex }: { dataIndex: number }) => points[dataIndex]?.text ?? '' },
        markLine: levels(colours, lines),
      }],
    }
  }, [of, points, now, policy, unit])
  const summary = `${points.map(({ name, text }) => `${name} ${text}`).join('; ')}; it is ${of.currentDisplay}.`
  return <Chart title="From the model’s value to the recommended one" summary={summary} option={option} data={{ head: ['Step', 'Value', 'Why'], rows: points.map(({ name, text, why }) => [name, text, why]) }} height={Math.max(150, 100 + points.length * 34)} />
}

/** The steps with a place on the axis. Whatever the last of them says, it ends at the recommended value. */
export function pathOf(of: Recommendation): { name: string; text: string; value: number; why: string }[] {
  const [first] = of.adjustments
  const steps = [
    { name: 'Model’s value', text: first?.from ?? of.recommendedDisplay, why: of.model },
    ...of.adjustments.map(({ step, to, why }) => ({ name: `after ${step}`, text: to, why })),
    { name: of.direction === 'HOLD' ? 'Held' : 'Recommended', text: of.recommendedDisplay, why: '' },
  ]
  return steps.flatMap((one) => {
    const value = leadingNumber(one.text)
    return value === null ? [] : [{ ...one, value }]
  })
}

export type Change = { readonly oldRaw: string | null; readonly newRaw: string; readonly newDisplay: string; readonly timestamp: string }
export type Earlier = { readonly recommendedRaw: string; readonly recommendedDisplay: string; readonly direction: Recommendation['direction']; readonly reason: string; readonly block: { readonly number: string; readonly timestamp: string } }

const NONE: readonly Earlier[] = []

/** A parameter's value on the time axis, and what the runs that are kept said of it: a change, or that it is held. */
export function HistoryChart({ title, of, changes, untilSec, earlier = NONE, height = 240 }: { title: string; of: Measure & { readonly raw: string; readonly display: string }; changes: readonly Change[]; untilSec: number | null; earlier?: readonly Earlier[] | undefined; height?: number }) {
  const { steps, last } = useMemo(() => {
    const oldest = changes.toSorted((a, b) => Number(a.timestamp) - Number(b.timestamp))
    const steps = oldest.map((one) => ({ at: Number(one.timestamp), value: onAxis(one.newRaw, of), text: one.newDisplay }))
    return { steps, last: Math.max(untilSec ?? 0, steps.at(-1)?.at ?? 0) }
  }, [changes, of, untilSec])
  const points = useMemo(() => [...steps, { at: last, value: onAxis(of.raw, of), text: of.display }], [steps, last, of])
  const said = useMemo(() => [{ name: 'Recommended', runs: earlier.filter((one) => !isHeld(one)) }, { name: 'Held', runs: earlier.filter(isHeld) }].filter(({ runs }) => runs.length > 0), [earlier])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 76, right: 24, top: 16, bottom: said.length > 0 ? 68 : 46 },
    legend: said.length > 0 ? { bottom: 0, data: ['Value', ...said.map(({ name }) => name)], itemWidth: 14, itemHeight: 8, textStyle: { color: colours.muted, fontSize: 11 } } : undefined,
    xAxis: { ...axis(colours, 'Block time, UTC', { nameGap: 28 }), type: 'time', splitLine: { show: false }, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, formatter: (ms: number) => dateTime(ms / 1000).replace(' 00:00 UTC', '').replace(' UTC', '') } },
    yAxis: { ...axis(colours, of.unit || 'Value', { nameGap: 58 }), type: 'value', scale: true, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => compact(value) } },
    tooltip: tooltip((at) => (at as { seriesName: string; dataIndex: number }[]).flatMap(({ seriesName, dataIndex }) => {
      if (seriesName === 'Value') return points[dataIndex] ? [[dateTime(points[dataIndex].at), points[dataIndex].text] as const] : []
      const one = said.find(({ name }) => name === seriesName)?.runs[dataIndex]
      return one ? [[`${seriesName} at block ${whole(one.block.number)}`, one.recommendedDisplay] as const] : []
    })),
    series: [
      { name: 'Value', type: 'line', step: 'end', symbol: 'circle', symbolSize: 5, color: colours.series[0], lineStyle: { width: 1.75 }, data: points.map(({ at, value }) => [at * 1000, value]) },
      ...said.map(({ name, runs }) => ({ name, type: 'scatter', z: 3, ...(name === 'Held' ? { symbol: 'emptyCircle', symbolSize: 7, color: colours.muted } : { symbol: 'diamond', symbolSize: 8, color: colours.series[1] }), data: runs.map((one) => [Number(one.block.timestamp) * 1000, onAxis(one.recommendedRaw, of)]) })),
    ],
  }), [points, said, of])
  const first = steps[0]
  const asked = earlier.filter((one) => !isHeld(one)).length
  const summary = steps.length === 0 ? `Never changed by an event; it is ${of.display}.` : `${steps.length} ${steps.length === 1 ? 'value' : 'values'} since ${first ? dateTime(first.at) : ''}; it is ${of.display}.${earlier.length > 0 ? ` Of ${earlier.length} runs that are kept ${asked} asked for a change and ${earlier.length - asked} held it.` : ''}`
  const rows = [...steps.map(({ at, text }) => [at, 'value', text]), ...earlier.map((one) => [Number(one.block.timestamp), isHeld(one) ? 'held' : 'recommended', one.recommendedDisplay, Number(one.block.number), one.reason])]
  return <Chart title={title} summary={summary} option={option} data={{ head: ['Block time, Unix seconds', 'What', 'Value', 'Run of block', 'Why'], rows: rows.toSorted((a, b) => Number(a[0]) - Number(b[0])) }} height={height} />
}

const BINS = 60
/** Moves from one index price to the next, against the band. Now, not at the recommendation's block. */
export function MovesChart({ symbol, prices, now, next, ticks }: { symbol: string; prices: readonly { readonly timestamp: string; readonly price: { readonly value: string }; readonly freezeReason: number }[]; now: number | null; next: number | null; ticks: boolean }) {
  const { counts, width, moves, largest, gapSec } = useMemo(() => {
    const valid = prices.filter(({ freezeReason }) => freezeReason === 0)
    const pairs = valid.slice(1).map((one, index) => [valid[index]!, one] as const)
    const moves = pairs.map(([a, b]) => Math.abs(Number(b.price.value) / Number(a.price.value) - 1) * 100)
    const gaps = pairs.map(([a, b]) => Number(b.timestamp) - Number(a.timestamp)).toSorted((a, b) => a - b)
    const largest = Math.max(0, ...moves)
    const width = Math.max(largest, now ?? 0, next ?? 0) / BINS || 1
    const counts = Array.from({ length: BINS + 1 }, () => 0)
    for (const move of moves) counts[Math.min(BINS, Math.floor(move / width))]! += 1
    return { counts, width, moves, largest, gapSec: gaps[Math.floor(gaps.length / 2)] ?? 0 }
  }, [prices, now, next])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 60, right: 30, top: 44, bottom: 46 },
    xAxis: { ...axis(colours, 'Move from one price to the next, %', { nameGap: 28 }), type: 'value', min: 0, max: width * (BINS + 1), axisLabel: { color: colours.muted, fontSize: 11, showMaxLabel: false, formatter: (value: number) => String(Number(value.toFixed(2))) } },
    yAxis: { ...axis(colours, 'Moves (log)', { nameGap: 44 }), type: 'log', min: 0.8, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => (value < 1 ? '' : compact(value)) } },
    tooltip: tooltip((at) => {
      const [first] = at as { dataIndex: number }[]
      const count = first === undefined ? undefined : counts[first.dataIndex]
      return first === undefined || count === undefined ? [] : [[`${float(first.dataIndex * width, 2)} to ${float((first.dataIndex + 1) * width, 2)} %`, `${count} moves`]]
    }),
    series: [{ type: 'bar', barWidth: '90%', color: colours.series[0], data: counts.map((count, index) => [(index + 0.5) * width, count === 0 ? null : count]), markLine: levels(colours, [...(now === null ? [] : [{ label: `now ${float(now, 2)} %`, value: now, kind: 'now' as const }]), ...(next === null ? [] : [{ label: `recommended ${float(next, 2)} %`, value: next, kind: 'recommended' as const }])], false) }],
  }), [counts, width, now, next])
  const beyond = next === null ? null : moves.filter((move) => move > next).length
  return <Chart title={`Moves of ${symbol}’s index price`} summary={`${moves.length} moves from one price to the next, half of them within ${duration(gapSec)}, up to ${float(largest, 2)} %; ${beyond === null ? '' : `${beyond} of them beyond ${ticks ? 'what the recommended ticks allow' : 'the recommended band'}.`}`} option={option} data={{ head: ['From, %', 'To, %', 'Moves'], rows: counts.map((count, index) => [(index * width).toFixed(4), ((index + 1) * width).toFixed(4), count]) }} height={230} />
}
