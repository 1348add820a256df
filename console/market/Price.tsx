/** The index price on a time axis, the band that trades may move the pool within, and what happened: breakers, liquidations, refused answers, gaps. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { ask, useAnswer } from '../data/client.ts'
import type { Asked } from '../data/client.ts'
import { useFault } from '../data/live.ts'
import { MarketBandDocument, MarketHoursDocument, MarketLiquidationsDocument, MarketPricesDocument, MarketReplayDocument } from '../generated/operations.ts'
import type { MarketBreakersQuery, MarketHoursQuery, MarketQuery } from '../generated/operations.ts'
import { effectiveOf } from '../parameters/values.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { dateTime, duration, price as priceText, time, usd, words } from '../ui/format.ts'
import { Loaded, Notice, Provenance, sentence } from '../ui/parts.tsx'
import { Choice, Toggle, useChoice, usePlace } from './parts.tsx'
import { RANGES, bandWords, freezeWords, gapsOf, holed, levelSpans, standing, stepsOf } from './series.ts'
import type { Point, Span } from './series.ts'

type MarketRow = NonNullable<MarketQuery['market']>
type Hour = NonNullable<NonNullable<MarketHoursQuery['market']>['oracle']>['stats']['nodes'][number]
type Mark = { readonly sec: number; readonly price: number; readonly notional: string; readonly account: string }

/** Where a feed does not say how long it may be silent. */
const USUAL_SILENCE_SEC = 3600
const HOUR_SEC = 3600
const DAY_SEC = 86_400
/** Most prices that the API gives at once. */
const MOST_PRICES = 2000
const HEIGHT = 380

/** Hours of a feed from a time on, newest first. */
async function hoursSince(id: string, fromSec: number, signal: AbortSignal): Promise<Hour[]> {
  const hours: Hour[] = []
  let after: string | null = null
  do {
    const answer: MarketHoursQuery = await ask(MarketHoursDocument, { id, after }, signal)
    const stats = answer.market?.oracle?.stats
    if (!stats) break
    hours.push(...stats.nodes)
    after = stats.pageInfo.hasNextPage && Number(hours.at(-1)?.timestamp) > fromSec ? stats.pageInfo.endCursor : null
  } while (after !== null)
  return hours
}

/** Completed hours of the market's feed from a time on, newest first. */
export const useHours = (id: string, fromSec: number, enabled: boolean) => useQuery<Hour[]>({ queryKey: ['minute', 'MarketHours', { id, from: Math.floor(fromSec / HOUR_SEC) }], queryFn: ({ signal }) => hoursSince(id, fromSec, signal), enabled, staleTime: 60_000, placeholderData: keepPreviousData })

/** The part of the time axis that is shown, from the address: a range up to now, or a window within it. */
export function useWindow(nowSec: number): { range: keyof typeof RANGES; setRange: (range: keyof typeof RANGES) => void; from: number; to: number; zoomed: boolean; zoom: (from: number, to: number) => void; whole: () => void } {
  const [range, setRange] = useChoice('range', ['1d', '7d', '30d'], '7d')
  const [place, setPlace] = usePlace('zoom')
  // Whole minutes: an axis that moved with every block would move under the reader's pointer.
  const end = Math.ceil(nowSec / 60) * 60
  const match = /^(\d{9,11})-(\d{9,11})$/.exec(place ?? '')
  const zoomed = match !== null && Number(match[1]) < Number(match[2])
  const [from, to] = zoomed ? [Number(match[1]), Number(match[2])] : [end - RANGES[range], end]
  const zoom = useCallback((nextFrom: number, nextTo: number) => setPlace(`${Math.round(nextFrom)}-${Math.round(nextTo)}`), [setPlace])
  return { range, setRange: useCallback((next: keyof typeof RANGES) => { setRange(next) }, [setRange]), from, to, zoomed, zoom, whole: useCallback(() => setPlace(null), [setPlace]) }
}

export function Price({ market, nowSec, breakers }: { market: MarketRow; nowSec: number; breakers: Asked<MarketBreakersQuery> }) {
  const { id } = market
  const breaker = breakers.data?.circuitBreakers?.markets.find(({ subject }) => subject === id)
  const view = useWindow(nowSec)
  const [banded, setBanded] = useChoice('band', ['1', '0'], '1')
  const [replayed, setReplayed] = useChoice('replay', ['0', '1'], '0')
  const prices = useAnswer(MarketPricesDocument, { id }, 'minute')
  const band = useAnswer(MarketBandDocument, { market: id }, 'minute')
  const liquidations = useAnswer(MarketLiquidationsDocument, { market: id }, 'minute')
  const replay = useAnswer(MarketReplayDocument, { market: id, days: Math.min(30, Math.max(1, Math.ceil((nowSec - view.from) / DAY_SEC))) }, 'event', replayed === '1')

  const all = prices.data?.market?.prices
  const oldest = all?.[0]
  // All prices of a market fit into one answer, or the range is longer than they reach: then its hours are asked for.
  const hourly = all?.length === MOST_PRICES && Number(oldest?.timestamp) > view.from
  const hours = useHours(id, view.from, hourly)

  const [minute, hour] = [Math.ceil(nowSec / 60) * 60, hourly]
  const drawn = useMemo(() => (all && (!hour || hours.data) ? drawing(all, hour ? hours.data : undefined, Number(market.oracle?.timeoutSec ?? USUAL_SILENCE_SEC), minute, view.from, view.to) : undefined), [all, hour, hours.data, market.oracle?.timeoutSec, minute, view.from, view.to])
  const steps = useMemo(() => {
    const parameter = band.data?.parameter
    return parameter ? stepsOf(parameter.history.nodes, ({ newRaw }) => Number(effectiveOf(parameter, newRaw)) / 1e6) : []
  }, [band.data])
  const marks = useMemo(() => (liquidations.data?.liquidations.nodes ?? []).flatMap(({ timestamp, size, notional, account }): Mark[] => {
    const sec = Number(timestamp)
    return sec >= view.from && sec <= view.to ? [{ sec, price: Number(notional.value) / Number(size.value), notional: notional.value, account }] : []
  }), [liquidations.data, view.from, view.to])
  const levels = useMemo(() => levelSpans((breaker?.history.nodes ?? []).map(({ to, seenAt, why }) => ({ to, sec: Number(seenAt), why })), minute).filter((span) => span.to >= view.from && span.from <= view.to), [breaker, minute, view.from, view.to])
  const would = useMemo(() => (replayed === '1' && replay.data?.replayBreaker ? levelSpans(replay.data.replayBreaker.transitions.toReversed().map(({ to, timestamp, why }) => ({ to, sec: Number(timestamp), why })), Number(replay.data.replayBreaker.to)).filter((span) => span.to >= view.from && span.from <= view.to) : []), [replayed, replay.data, view.from, view.to])
  const trades = prices.data?.market?.poolPrices
  const pool = useMemo(() => pooled(trades ?? [], view.from, view.to, minute), [trades, view.from, view.to, minute])
  const now = { mark: market.markPrice?.value }
  const withBand = banded === '1'
  const option = useCallback((colours: Palette) => chartOption(colours, { drawn, pool, steps: withBand ? steps : [], marks, levels, would, from: view.from, to: view.to, endsNow: view.to >= minute, now: { mark: now.mark }, symbol: market.symbol }), [drawn, pool, steps, withBand, marks, levels, would, view.from, view.to, minute, now.mark, market.symbol])
  const data = useMemo((): ChartData => tableOf(drawn, pool, steps, marks, levels, would), [drawn, pool, steps, marks, levels, would])
  // What stands beside prices is asked for by itself: without it a chart, or its file, would look as if nothing had happened.
  const beside: readonly (readonly [what: string, asked: { readonly isPending: boolean; readonly data: unknown }, fault: Error | null])[] = [
    ['The band', band, useFault(band.error)],
    ['Liquidations', liquidations, useFault(liquidations.error)],
    ['Breaker levels', breakers, useFault(breakers.error)],
    [`Prices before ${dateTime(Number(oldest?.timestamp ?? 0))}`, { isPending: hourly && hours.isPending, data: hours.data }, useFault(hours.error)],
  ]
  const length = view.to - view.from
  const middle = (view.from + view.to) / 2
  return (
    <>
      <div className="controls">
        <Choice label="Range" of={[['1d', '1 d'], ['7d', '7 d'], ['30d', '30 d']]} value={view.range} onChoice={(next) => { view.whole(); view.setRange(next) }} />
        <div className="market-choice" role="group" aria-label="Window within the range"><span aria-hidden="true">Window</span><div>
          <button type="button" aria-label="Earlier" title="Earlier" onClick={() => view.zoom(view.from - length / 2, view.to - length / 2)}>←</button>
          <button type="button" aria-label="Zoom in" title="Zoom in" disabled={length <= 600} onClick={() => view.zoom(middle - length / 4, middle + length / 4)}>+</button>
          <button type="button" aria-label="Zoom out" title="Zoom out" disabled={length >= 90 * DAY_SEC} onClick={() => view.zoom(middle - length, middle + length)}>−</button>
          <button type="button" aria-label="Later" title="Later" disabled={view.to >= minute} onClick={() => view.zoom(view.from + length / 2, view.to + length / 2)}>→</button>
          <button type="button" disabled={!view.zoomed} onClick={view.whole}>Whole range</button>
        </div></div>
        <div className="actions">
          <Toggle on={withBand} onToggle={(on) => setBanded(on ? '1' : '0')} why="Index price ± how far a trade may move the pool">Band</Toggle>
          <Toggle on={replayed === '1'} onToggle={(on) => setReplayed(on ? '1' : '0')} why="What the breaker's setting of now would have done with the facts of then">Replay the breaker</Toggle>
        </div>
      </div>
      <Loaded of={prices} height={HEIGHT + 90}>
        {() => (beside.some(([, asked]) => asked.isPending) ? <div className="loading" style={{ minHeight: HEIGHT + 90 }} role="status"><span className="sr">Loading …</span></div> : (
          <div className="answer" aria-busy={hourly && hours.isPlaceholderData}>
            {beside.map(([what, { data: had }, fault]) => fault && <Notice key={what} kind="degraded" title={sentence(fault)}>{what}: {had === undefined ? 'not known, and missing below' : 'below are the last that came'}.</Notice>)}
            <Chart title={`Price of ${market.symbol}`} summary={summaryOf(view.from, view.to, hourly, bandWords(steps, view.from, view.to), marks.length, levels.length, drawn?.silent ?? [], drawn?.refused ?? [])} option={option} data={data} height={HEIGHT} />
            <Happened levels={levels} would={would} drawn={drawn} liquidations={marks.length} cut={(liquidations.data?.liquidations.totalCount ?? 0) > (liquidations.data?.liquidations.nodes.length ?? 0)} />
            {replayed === '1' && (replay.data?.replayBreaker ? <Provenance of={replay.data.replayBreaker.provenance} /> : <p className="market-words" role="status">{replay.error ? sentence(replay.error) : 'Replaying the breaker …'}</p>)}
          </div>
        ))}
      </Loaded>
    </>
  )
}

/** A price that something announced, or that still stands at an edge of the window. */
type Stood = Point & { readonly stands?: true }
type Drawn = { readonly points: readonly Stood[]; readonly hourly: readonly Hour[] | undefined; readonly longestSec: number; readonly silent: readonly { from: number; to: number }[]; readonly refused: readonly Span[] }

/** The window's prices (the one before it, too: it still stands at its start), where the feed was silent, and where it refused what it was given. */
function drawing(prices: readonly { readonly timestamp: string; readonly price: { readonly value: string }; readonly freezeReason: number }[], hours: readonly Hour[] | undefined, timeoutSec: number, nowSec: number, from: number, to: number): Drawn {
  const longestSec = hours ? Math.max(2 * HOUR_SEC, timeoutSec) : timeoutSec
  const valid = prices.filter(({ freezeReason }) => freezeReason === 0)
  const points = hours
    // An hour's last price stands at its end, the running one's at now.
    ? hours.toReversed().map(({ timestamp, price }) => ({ sec: Math.min(nowSec, Number(timestamp) + HOUR_SEC), value: Number(price.value) }))
    : valid.map(({ timestamp, price }) => ({ sec: Number(timestamp), value: Number(price.value) }))
  const last = points.at(-1)
  const secs = [...valid.map(({ timestamp }) => Number(timestamp)), nowSec]
  const inside = ({ from: start, to: end }: { from: number; to: number }): boolean => end >= from && start <= to
  const silent = (hours ? gapsOf([...points.map(({ sec }) => sec), nowSec], longestSec) : gapsOf(secs, longestSec)).filter(inside)
  // What was refused carries the time of the last good price: it lies between that and the next good one.
  const byStart = new Map<number, { reasons: Set<string>; count: number }>()
  for (const { timestamp, freezeReason } of prices) {
    if (freezeReason === 0) continue
    const entry = byStart.get(Number(timestamp)) ?? { reasons: new Set(), count: 0 }
    entry.reasons.add(freezeWords(freezeReason))
    entry.count++
    byStart.set(Number(timestamp), entry)
  }
  const refused = [...byStart].map(([start, { reasons, count }]) => ({ from: start, to: secs.find((sec) => sec > start) ?? nowSec, words: `${count} refused: ${[...reasons].join(', ')}` })).filter(inside)
  const before = points.findLast(({ sec }) => sec < from)
  const within = points.filter(({ sec }) => sec >= from && sec <= to)
  const stands = last && nowSec <= to && nowSec - last.sec <= longestSec && nowSec > last.sec ? [{ sec: nowSec, value: last.value, stands: true as const }] : []
  return { points: [...(before ? [{ ...before, stands: true as const }] : []), ...within, ...(within.length > 0 || before === last ? stands : [])], hourly: hours, longestSec, silent, refused }
}

/** The pool's prices within the window; the one before it still stands at its start, the last one until now. */
function pooled(trades: readonly { readonly timestamp: string; readonly price: { readonly value: string } }[], from: number, to: number, nowSec: number): Stood[] {
  const points = trades.map(({ timestamp, price }) => ({ sec: Number(timestamp), value: Number(price.value) }))
  const before = points.findLast(({ sec }) => sec < from)
  const within = points.filter(({ sec }) => sec >= from && sec <= to)
  const last = within.at(-1) ?? before
  return [...(before ? [{ sec: from, value: before.value, stands: true as const }] : []), ...within, ...(last ? [{ sec: Math.min(to, nowSec), value: last.value, stands: true as const }] : [])]
}

const summaryOf = (from: number, to: number, hourly: boolean, band: string, liquidations: number, levels: number, silent: readonly unknown[], refused: readonly unknown[]): string =>
  [`${dateTime(from)} to ${dateTime(to)}`, hourly ? 'last price of each hour' : 'each price of the oracle', band, `${liquidations} ${liquidations === 1 ? 'liquidation' : 'liquidations'}`, ...(levels > 0 ? [`${levels} breaker ${levels === 1 ? 'level' : 'levels'}`] : []), ...(silent.length + refused.length > 0 ? [`${Math.max(silent.length, refused.length)} ${Math.max(silent.length, refused.length) === 1 ? 'gap' : 'gaps'} of the feed`] : [])].join(' · ')

/** What is shaded, in words: no colour alone says it. */
function Happened({ levels, would, drawn, cut }: { levels: readonly (Span & { level: string })[]; would: readonly (Span & { level: string })[]; drawn: Drawn | undefined; liquidations: number; cut: boolean }) {
  const events = [
    ...levels.map((span) => ({ ...span, what: `Breaker ${words(span.level)}` })),
    ...would.map((span) => ({ ...span, what: `Replayed: ${words(span.level)}` })),
    ...(drawn?.refused ?? []).map((span) => ({ ...span, what: 'Feed frozen' })),
    ...(drawn?.silent ?? []).filter((gap) => !drawn?.refused.some(({ from }) => from === gap.from)).map((gap) => ({ ...gap, words: 'no price in this time', what: 'Feed silent' })),
  ].toSorted((a, b) => b.from - a.from)
  return (
    <>
      {events.length > 0 && <ul className="market-events">{events.slice(0, 6).map((event) => <li key={`${event.what}${event.from}`}><b>{event.what}</b> <time dateTime={new Date(event.from * 1000).toISOString()} title={time(event.from)}>{dateTime(event.from)}</time>, {duration(event.to - event.from)}: {event.words}</li>)}{events.length > 6 && <li className="muted">and {events.length - 6} earlier in this window; the chart’s table has all</li>}</ul>}
      {cut && <p className="market-words">The newest 200 liquidations of this market are marked; older ones are not.</p>}
    </>
  )
}

type Scene = { readonly drawn: Drawn | undefined; readonly pool: readonly Stood[]; readonly steps: readonly Point[]; readonly marks: readonly Mark[]; readonly levels: readonly (Span & { level: string })[]; readonly would: readonly (Span & { level: string })[]; readonly from: number; readonly to: number; readonly endsNow: boolean; readonly now: { readonly mark: string | undefined }; readonly symbol: string }

const ms = (sec: number): number => sec * 1000

/** The band at every price, and where it was changed between two. */
function bandOf(drawn: Drawn, steps: readonly Point[]): { sec: number; low: number; high: number }[] {
  const { points } = drawn
  const changes = steps.flatMap(({ sec }): Point[] => {
    const price = standing(points, sec)
    return price !== null && sec > (points[0]?.sec ?? 0) && sec < (points.at(-1)?.sec ?? 0) ? [{ sec, value: price }] : []
  })
  return [...points, ...changes].toSorted((a, b) => a.sec - b.sec).flatMap(({ sec, value }) => {
    const ratio = standing(steps, sec)
    return ratio === null ? [] : [{ sec, low: value * (1 - ratio), high: value * (1 + ratio) }]
  })
}

function chartOption(colours: Palette, { drawn, pool, steps, marks, levels, would, from, to, endsNow, now, symbol }: Scene) {
  const points = drawn?.points ?? []
  const longest = drawn?.longestSec ?? USUAL_SILENCE_SEC
  const band = drawn && steps.length > 0 ? bandOf(drawn, steps) : []
  const step = drawn?.hourly ? {} : { step: 'end' }
  const lows = holed(band.map(({ sec, low }) => ({ sec, value: low })), longest)
  const widths = holed(band.map(({ sec, low, high }) => ({ sec, value: high - low })), longest)
  const quiet = { type: 'line', showSymbol: false, silent: true, ...step }
  const soft = (colour: string, opacity: number) => ({ color: colour, opacity })
  const colourOf = (level: string): string => (level === 'WATCH' ? colours.warn : colours.down)
  const area = (span: Span, name: string, style: object, position: string) => [{ name, xAxis: ms(Math.max(from, span.from)), itemStyle: style, label: { show: span.to - span.from > (to - from) / 12, position, color: colours.muted, fontSize: 11 } }, { xAxis: ms(Math.min(to, span.to)) }]
  const areas = [
    ...levels.map((span) => area(span, words(span.level).toUpperCase(), soft(colourOf(span.level), span.level === 'HALT' ? 0.3 : 0.16), 'insideTop')),
    ...would.map((span) => area(span, `replayed ${words(span.level)}`, { ...soft(colourOf(span.level), 0.07), borderColor: colourOf(span.level), borderWidth: 1, borderType: 'dashed' }, 'insideBottom')),
    ...(drawn?.silent ?? []).map((gap) => area({ ...gap, words: '' }, drawn?.refused.some((span) => span.from === gap.from) ? 'feed frozen' : 'feed silent', soft(colours.muted, 0.14), 'inside')),
    ...(drawn?.refused ?? []).filter((span) => !drawn?.silent.some((gap) => gap.from === span.from)).map((span) => area(span, 'refused', soft(colours.muted, 0.14), 'inside')),
  ]
  const largest = Math.max(1, ...marks.map(({ notional }) => Number(notional)))
  const dot = (name: string, value: string | undefined, shape: string, colour: string) => ({ name, type: 'scatter', symbol: shape, symbolSize: 9, z: 6, itemStyle: { color: colour, borderColor: colours.panel, borderWidth: 1.5 }, data: endsNow && value !== undefined ? [[ms(to), Number(value)]] : [] })
  return {
    grid: { left: 64, right: 20, top: 34, bottom: 44 },
    legend: { top: 4, left: 10, itemGap: 8, itemWidth: 12, itemHeight: 8, textStyle: { color: colours.muted, fontSize: 11 }, data: ['Index', ...(pool.length > 0 ? ['Pool'] : []), ...(band.length > 0 ? ['Band'] : []), ...(marks.length > 0 ? ['Liquidation'] : []), ...(endsNow && now.mark !== undefined ? ['Mark now'] : [])], selectedMode: false },
    tooltip: tooltip((parameters) => {
      const shown = parameters as readonly { seriesName: string; value: readonly (number | null)[] }[]
      const at = shown[0]?.value[0]
      if (at == null) return []
      const sec = at / 1000
      const index = standing(points, sec)
      const traded = standing(pool, sec)
      const ratio = standing(steps, sec)
      const near = marks.filter((mark) => Math.abs(mark.sec - sec) <= (to - from) / 200)
      return [
        ['Time', dateTime(sec)],
        ...(index === null ? [] : [['Index', priceText(String(index))] as const]),
        ...(traded === null ? [] : [['Pool', priceText(String(traded))] as const]),
        ...(index === null || ratio === null ? [] : [['Band', `${priceText(String(index * (1 - ratio)))} to ${priceText(String(index * (1 + ratio)))}`] as const]),
        ...near.slice(0, 3).map((mark) => [`Liquidation ${dateTime(mark.sec)}`, `${usd(mark.notional)} at ${priceText(String(mark.price))}`] as const),
        ...(near.length > 3 ? [['', `and ${near.length - 3} more`] as const] : []),
      ]
    }),
    xAxis: axis(colours, 'Time, UTC', { type: 'time', min: ms(from), max: ms(to), nameGap: 26, splitLine: { show: false } }),
    yAxis: axis(colours, `${symbol}, USD`, { type: 'value', scale: true, nameGap: 50, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 6 }) } }),
    series: [
      { ...quiet, name: 'band from', stack: 'band', stackStrategy: 'all', lineStyle: { color: colours.accent, width: 1, opacity: 0.55, type: 'dashed' }, data: lows },
      { ...quiet, name: 'Band', stack: 'band', stackStrategy: 'all', lineStyle: { color: colours.accent, width: 1, opacity: 0.55, type: 'dashed' }, itemStyle: { color: colours.accent }, areaStyle: { color: colours.accent, opacity: 0.07 }, data: widths },
      { name: 'Index', type: 'line', showSymbol: false, ...step, z: 4, lineStyle: { width: 1.6, color: colours.text }, itemStyle: { color: colours.text }, data: holed(points, longest), markArea: { silent: true, data: areas } },
      { ...quiet, step: 'end', name: 'Pool', z: 3, lineStyle: { width: 1, color: colours.series[0], opacity: 0.8 }, itemStyle: { color: colours.series[0] }, data: pool.map(({ sec, value }) => [ms(sec), value]) },
      { name: 'Liquidation', type: 'scatter', z: 5, symbol: 'diamond', symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => 7 + 9 * Math.sqrt(Number(marks[dataIndex]?.notional ?? 0) / largest), itemStyle: { color: colours.down, opacity: 0.8, borderColor: colours.panel, borderWidth: 1 }, data: marks.map(({ sec, price }) => [ms(sec), price]) },
      dot('Mark now', now.mark, 'rect', colours.series[1] as string),
    ],
  }
}

function tableOf(drawn: Drawn | undefined, pool: readonly Stood[], steps: readonly Point[], marks: readonly Mark[], levels: readonly (Span & { level: string })[], would: readonly (Span & { level: string })[]): ChartData {
  const priced = (drawn?.points ?? []).map(({ sec, value, stands }) => {
    const ratio = standing(steps, sec)
    const hour = drawn?.hourly?.find(({ timestamp }) => Number(timestamp) + HOUR_SEC === sec)
    return [sec, time(sec), 'price', value, hour?.low.value ?? null, hour?.high.value ?? null, ratio === null ? null : value * (1 - ratio), ratio === null ? null : value * (1 + ratio), stands ? 'still stands' : ''] as const
  })
  const event = (sec: number, what: string, price: number | null, told: string) => [sec, time(sec), what, price, null, null, null, null, told] as const
  return {
    head: ['Unix s', 'Time', 'What', 'Price, USD', 'Low of the hour, USD', 'High of the hour, USD', 'Band from, USD', 'Band to, USD', 'Words'],
    rows: [
      ...priced,
      ...pool.map(({ sec, value, stands }) => event(sec, 'pool', value, stands ? 'still stands' : '')),
      ...marks.map((mark) => event(mark.sec, 'liquidation', mark.price, `${mark.notional} USD of ${mark.account}`)),
      ...levels.map((span) => event(span.from, `breaker ${span.level}`, null, `until ${time(span.to)}: ${span.words}`)),
      ...would.map((span) => event(span.from, `replayed ${span.level}`, null, `until ${time(span.to)}: ${span.words}`)),
      ...(drawn?.refused ?? []).map((span) => event(span.from, 'feed frozen', null, `until ${time(span.to)}: ${span.words}`)),
      ...(drawn?.silent ?? []).map((gap) => event(gap.from, 'feed silent', null, `until ${time(gap.to)}`)),
    ].toSorted((a, b) => a[0] - b[0]),
  }
}

