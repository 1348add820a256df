/** What the fund held over time, with what came and went; the target is known of one block alone, and stands there. */
import { useCallback, useMemo } from 'react'
import { useAnswer } from '../data/client.ts'
import { FundBalanceDocument } from '../generated/operations.ts'
import type { FundBalanceQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { bars, intervals, plot, pointed } from '../ui/bars.ts'
import type { Bar } from '../ui/bars.ts'
import { compact, dateTime, decimal, time, whole } from '../ui/format.ts'
import { Empty, Loaded, Panel } from '../ui/parts.tsx'
import type { FundTarget } from './Target.tsx'

export function Balance({ target, hourly, setHourly }: { target: FundTarget | null; hourly: boolean; setHourly: (hourly: boolean) => void }) {
  const answer = useAnswer(FundBalanceDocument, hourly ? { interval: 'HOUR', first: 200 } : { interval: 'DAY', first: 120 }, 'minute')
  return (
    <Panel
      id="balance" title="Balance" note={hourly ? 'by hour, the last 200 with a flow' : 'by day, the last 120 with a flow'}
      actions={<span className="fund-toggles" role="group" aria-label="Length of a bucket"><button type="button" aria-pressed={hourly} onClick={() => setHourly(true)}>Hours</button><button type="button" aria-pressed={!hourly} onClick={() => setHourly(false)}>Days</button></span>}
    >
      <Loaded of={answer} height={340}>{(data) => <Series of={data} target={target} hourly={hourly} />}</Loaded>
    </Panel>
  )
}

function Series({ of: { insuranceFund: fund, status }, target, hourly }: { of: FundBalanceQuery; target: FundTarget | null; hourly: boolean }) {
  const buckets = useMemo(() => fund?.stats.nodes.toReversed() ?? [], [fund])
  const held = target?.target ?? null
  const block = target?.provenance.block
  const widthSec = hourly ? 3600 : 86_400
  const option = useCallback((colours: Palette) => {
    const at = (timestamp: string) => Number(timestamp) * 1000
    // A bucket's balance is the one at its end; now comes last.
    const balance = [...buckets.map((one) => [at(one.timestamp) + widthSec * 1000, Number(one.balance.value)]), ...(fund && status.indexed ? [[at(status.indexed.timestamp), Number(fund.capacity.value)]] : [])]
    const label = (value: number): string => {
      const [day, clock] = dateTime(value / 1000).replace(' UTC', '').split(/ (?=\d\d:)/)
      return !hourly || clock === '00:00' ? (day ?? '') : (clock ?? '')
    }
    const [from, to] = [at(buckets[0]?.timestamp ?? '0'), Math.max(balance.at(-1)?.[0] ?? 0, block === undefined ? 0 : at(block.timestamp))]
    const shared = { type: 'time', min: from, max: to, axisPointer: { snap: false }, axisLine: { lineStyle: { color: colours.line } }, axisTick: { lineStyle: { color: colours.line } }, splitLine: { show: false } }
    const lower = { xAxisIndex: 1, yAxisIndex: 1 }
    const bar = (name: string, colour: string | undefined, span: (one: (typeof buckets)[number]) => readonly [low: number, high: number]) => bars(name, colour ?? colours.accent, buckets.map((one): Bar => [at(one.timestamp), at(one.timestamp) + widthSec * 1000, ...span(one)]), lower)
    return {
      useUTC: true,
      legend: { data: ['Balance', 'In', 'Out', 'Bad debt'], top: 0, right: 12, textStyle: { color: colours.text }, itemWidth: 12, itemHeight: 9, selectedMode: false },
      grid: [plot({ left: 72, right: 16, top: 26, height: 170 }), plot({ left: 72, right: 16, top: 222, height: 84 })],
      axisPointer: { link: [{ xAxisIndex: 'all' }] },
      xAxis: [{ ...shared, gridIndex: 0, axisLabel: { show: false } }, { ...shared, gridIndex: 1, ...axis(colours, 'Time, UTC', { nameGap: 24 }), splitLine: { show: false }, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, formatter: label } }],
      yAxis: [
        { ...axis(colours, 'Held, USD', { nameGap: 50 }), gridIndex: 0, type: 'value', scale: true, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact, showMinLabel: held === null, showMaxLabel: held === null }, ...(held === null ? {} : { min: ({ min }: { min: number }) => min * (min < 0 ? 1.05 : 0.97), max: ({ max }: { max: number }) => max * 1.03 }), splitNumber: 4 },
        { ...axis(colours, 'Flow, USD', { nameGap: 50 }), gridIndex: 1, type: 'value', axisLabel: { color: colours.muted, fontSize: 11, formatter: compact }, splitNumber: 2 },
      ],
      series: [
        {
          type: 'line', name: 'Balance', data: balance, symbol: 'none', step: 'end', lineStyle: { width: 2, color: colours.series[0] }, itemStyle: { color: colours.series[0] },
        },
        ...(held === null || block === undefined ? [] : [{
          type: 'scatter', name: 'Target', data: [[at(block.timestamp), held]], symbol: 'diamond', symbolSize: 11, silent: true, clip: false, z: 4, itemStyle: { color: colours.warn },
          label: { show: true, position: 'left', distance: 6, formatter: `Target at block ${whole(block.number)}: ${compact(held)}`, color: colours.text, backgroundColor: colours.panel, padding: [1, 4], fontSize: 11 },
        }]),
        bar('In', colours.series[2], ({ inflow }) => [0, Number(inflow.value)]),
        bar('Out', colours.series[4], ({ outflow, badDebt }) => [Number(badDebt.value) - Number(outflow.value), 0]),
        bar('Bad debt', colours.down, ({ outflow, badDebt }) => [-Number(outflow.value), Number(badDebt.value) - Number(outflow.value)]),
        intervals(from / 1000, to / 1000, widthSec, lower),
      ],
      tooltip: tooltip((parameters) => {
        const start = pointed(parameters, widthSec)
        if (start === undefined) return []
        const name = [hourly ? `from ${dateTime(start)}` : time(start).slice(0, 10), ''] as const
        const bucket = buckets.find(({ timestamp }) => Number(timestamp) === start)
        if (!bucket) return [name, [start + widthSec > Number(status.indexed?.timestamp ?? 0) ? 'It is not over yet' : 'No flow recorded', '']]
        return [name, ['Held at its end', `${decimal(bucket.balance.value, 2)} USD`], ['Lowest', `${decimal(bucket.lowest.value, 2)} USD`], ['In', `${decimal(bucket.inflow.value, 2)} USD`], ['Out', `${decimal(bucket.outflow.value, 2)} USD`], ['of it bad debt', `${decimal(bucket.badDebt.value, 2)} USD`]]
      }),
    }
  }, [buckets, fund, status, held, block, hourly, widthSec])
  if (fund === null) return <Empty>The index holds no fund yet: it appears with the first indexed block.</Empty>
  if (buckets.length === 0) return <Empty>No {hourly ? 'hour' : 'day'} with a flow has ended yet.</Empty>
  const first = buckets[0]
  return (
    <Chart
      title="Balance of the fund" height={350} option={option}
      summary={`${first ? `From ${compact(Number(first.balance.value))} on ${time(first.timestamp).slice(0, 10)} to ` : ''}${compact(Number(fund.capacity.value))} now; the target ${held === null || block === undefined ? 'is not known yet' : `at block ${whole(block.number)} is ${compact(held)}, and of earlier blocks not known`}. The upper scale need not begin at 0.`}
      data={{ head: ['From, UTC', 'Held at its end, USD', 'Lowest, USD', 'In, USD', 'Out, USD', 'Of it bad debt, USD'], rows: buckets.map((one) => [time(one.timestamp), one.balance.value, one.lowest.value, one.inflow.value, one.outflow.value, one.badDebt.value]) }}
    />
  )
}
