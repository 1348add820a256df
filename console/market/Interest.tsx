/** Open interest by side over time and now, against what the market can carry. */
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { ask, useAnswer } from '../data/client.ts'
import { CapacityDocument, InterestDocument } from '../generated/operations.ts'
import type { CapacityQuery, InterestQuery, MarketQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { bars, intervals, plot, pointed } from '../ui/bars.ts'
import { compact, dateTime, share, size, time, usd } from '../ui/format.ts'
import { Empty, Facts, Figure, Loaded, Provenance, Unknown } from '../ui/parts.tsx'
import { useWindow } from './Price.tsx'
import { Unknowns, text } from './parts.tsx'

type MarketRow = NonNullable<MarketQuery['market']>
type Hour = NonNullable<InterestQuery['market']>['stats']['nodes'][number]
type Capacity = NonNullable<CapacityQuery['marketCapacity']>

const HOUR_SEC = 3600
const HEIGHT = 300

/** Hours in which something happened, oldest first, from the last one before the window on: its open interest stands at the window's start. */
async function hoursSince(id: string, fromSec: number, signal: AbortSignal): Promise<Hour[]> {
  const hours: Hour[] = []
  let after: string | null = null
  do {
    const answer: InterestQuery = await ask(InterestDocument, { id, interval: 'HOUR', after }, signal)
    if (!answer.market) break
    const { nodes, pageInfo } = answer.market.stats
    hours.push(...nodes)
    after = pageInfo.hasNextPage && Number(hours.at(-1)?.timestamp) > fromSec ? pageInfo.endCursor : null
  } while (after !== null)
  const first = hours.findIndex(({ timestamp }) => Number(timestamp) + HOUR_SEC < fromSec)
  return (first === -1 ? hours : hours.slice(0, first + 1)).reverse()
}

export function Interest({ market: { id: market, symbol, openInterestLong: { value: long }, openInterestShort: { value: short } }, nowSec }: { market: MarketRow; nowSec: number }) {
  const { from, to, zoomed } = useWindow(nowSec)
  const capacity = useAnswer(CapacityDocument, { market }, 'minute')
  const hours = useQuery<Hour[]>({ queryKey: ['minute', 'Interest', { market, from: Math.floor(from / HOUR_SEC) }], queryFn: ({ signal }) => hoursSince(market, from, signal), staleTime: 60_000, placeholderData: keepPreviousData })
  const now = nowSec - (nowSec % 60)
  const shown = useMemo(() => (hours.data ?? []).filter(({ timestamp }) => Number(timestamp) < to), [hours.data, to])
  const option = useCallback((colours: Palette) => chartOption(colours, shown, from, to, now, zoomed ? undefined : { long, short }), [shown, from, to, now, zoomed, long, short])
  const data = useMemo((): ChartData => ({
    head: ['Hour from, Unix s', 'Hour from', 'Long, base', 'Short, base', 'Volume, USD', 'Fees, USD', 'Liquidated, USD'],
    rows: shown.map((hour) => [hour.timestamp, time(hour.timestamp), hour.openInterestLong.value, hour.openInterestShort.value, hour.volume.value, hour.fees.value, hour.liquidatedNotional.value]),
  }), [shown])
  return (
    <>
      <Loaded of={capacity} height={246}>{({ marketCapacity }) => (marketCapacity ? <Carried of={marketCapacity} /> : <Empty>The API has no index price of this market yet, so its capacity is unknown.</Empty>)}</Loaded>
      <Loaded of={hours} height={HEIGHT + 56}>
        {() => (shown.length > 0
          ? <Chart title={`Open interest and volume, ${symbol}`} summary={`By completed hour, ${dateTime(from)} to ${dateTime(to)}: the price chart's window.`} option={option} data={data} height={HEIGHT} />
          : <Empty>Nothing was traded in this window. A longer range shows what was before.</Empty>)}
      </Loaded>
      {capacity.data?.marketCapacity && <Provenance of={capacity.data.marketCapacity.provenance} />}
    </>
  )
}

function Carried({ of: capacity }: { of: Capacity }) {
  const { cap, unknown } = capacity
  const why = unknown?.message
  const side = (name: 'Long' | 'Short', quote: number | null) => (
    <div className="market-carried">
      <span>{name}</span>
      <span className="market-track-bar" aria-hidden="true">{quote !== null && cap !== null && cap > 0 && <i className={quote > cap ? 'over' : name.toLowerCase()} style={{ width: `${Math.min(100, (quote / cap) * 100)}%` }} />}</span>
      <b>{quote === null ? <Unknown why="The market has no index price" /> : <Figure exact={text(quote)} unit="USD">{compact(quote)}</Figure>}</b>
      <span className="n">{quote === null || cap === null ? <Unknown why={why} /> : share(quote / cap, 1)}</span>
    </div>
  )
  const money = (value: number | null) => (value === null ? <Unknown why={why} /> : <Figure exact={text(value)} unit="USD">{usd(text(value))}</Figure>)
  return (
    <div className="market-capacity">
      {side('Long', capacity.openInterestLong)}
      {side('Short', capacity.openInterestShort)}
      <Facts of={[
        ['Capacity of a side, USD', <>{money(cap)}{capacity.binding && <span className="muted"> bound by {capacity.binding}</span>}</>],
        ['By impact, USD', <>{money(capacity.impactTerm)}<span className="muted"> closed in a day for at most 10 % of the price</span></>],
        ['By the fund, USD', <>{money(capacity.fundTerm)}<span className="muted"> of which the fund is 1 %</span></>],
        ['Traded a day, USD', <>{money(capacity.dailyVolume)}<span className="muted"> mean of 30 days</span></>],
        ['Depth at 1 %, USD', <>{money(capacity.depth)}<span className="muted"> the thinner side</span></>],
        ['Skew scale', capacity.skewScale === null ? <Unknown why={why ?? 'The pool’s depth is unknown'} /> : <Figure exact={text(capacity.skewScale)} unit="base">{size(text(capacity.skewScale))} base</Figure>],
      ]} />
      <Unknowns of={unknown ? [unknown] : []} />
    </div>
  )
}

/** An hour in words; open interest of an hour in which nothing happened is the one before it. */
function toldOf(hours: readonly Hour[], start: number, nowSec: number): (readonly [string, string])[] {
  const name = ['Hour from', dateTime(start)] as const
  if (start + HOUR_SEC > nowSec) return [name, ['It is not over yet', '']]
  const last = hours.findLast(({ timestamp }) => Number(timestamp) <= start)
  const happened = last !== undefined && Number(last.timestamp) === start
  return [
    name,
    ...(last ? [['Long at its end', `${size(last.openInterestLong.value)} base`], ['Short at its end', `${size(last.openInterestShort.value)} base`]] as const : []),
    ...(happened ? [['Volume', `${usd(last.volume.value)} USD`], ['Liquidated', `${usd(last.liquidatedNotional.value)} USD`]] as const : [['Volume', 'none recorded']] as const),
  ]
}

function chartOption(colours: Palette, hours: readonly Hour[], from: number, to: number, nowSec: number, now: { readonly long: string; readonly short: string } | undefined) {
  const ms = (hour: Hour): number => (Number(hour.timestamp) + HOUR_SEC) * 1000
  const across = { type: 'time', min: from * 1000, max: to * 1000, splitLine: { show: false }, axisPointer: { snap: false } }
  const label = { color: colours.muted, fontSize: 11, formatter: compact }
  const last = hours.at(-1)
  const line = (name: string, colour: string, type: 'solid' | 'dashed', latest: string | undefined, value: (hour: Hour) => string) => ({
    name, type: 'line', step: 'end', showSymbol: false, lineStyle: { color: colour, width: 1.6, type }, itemStyle: { color: colour },
    data: [...hours.map((hour) => [ms(hour), Number(value(hour))]), ...(latest !== undefined ? [[to * 1000, Number(latest)]] : last ? [[to * 1000, Number(value(last))]] : [])],
  })
  const lower = { xAxisIndex: 1, yAxisIndex: 1 }
  const bar = (name: string, colour: string, value: (hour: Hour) => string) => bars(name, colour, hours.map((hour) => [Number(hour.timestamp) * 1000, ms(hour), 0, Number(value(hour))]), lower)
  return {
    grid: [plot({ left: 64, right: 20, top: 30, height: 118 }), plot({ left: 64, right: 20, bottom: 44, height: 84 })],
    legend: { data: ['Long', 'Short', 'Volume', 'Liquidated'], top: 0, left: 60, itemWidth: 18, itemHeight: 8, textStyle: { color: colours.muted, fontSize: 11 }, selectedMode: false },
    axisPointer: { link: [{ xAxisIndex: 'all' }] },
    tooltip: tooltip((parameters) => {
      const start = pointed(parameters, HOUR_SEC)
      return start === undefined ? [] : toldOf(hours, start, nowSec)
    }),
    xAxis: [axis(colours, '', { ...across, gridIndex: 0, axisLabel: { show: false } }), axis(colours, 'Time, UTC', { ...across, gridIndex: 1, nameGap: 26 })],
    yAxis: [axis(colours, 'Base', { type: 'value', gridIndex: 0, splitNumber: 3, nameGap: 48, axisLabel: label }), axis(colours, 'USD an hour', { type: 'value', gridIndex: 1, splitNumber: 2, nameGap: 48, axisLabel: label })],
    series: [
      line('Long', colours.long, 'solid', now?.long, (hour) => hour.openInterestLong.value),
      line('Short', colours.short, 'dashed', now?.short, (hour) => hour.openInterestShort.value),
      bar('Volume', colours.series[5] as string, (hour) => hour.volume.value),
      bar('Liquidated', colours.down, (hour) => hour.liquidatedNotional.value),
      intervals(from, Math.min(to, nowSec), HOUR_SEC, lower),
    ],
  }
}
