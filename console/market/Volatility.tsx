/** Every volatility model's word on the next move, and how right each was. */
import { useQueries } from '@tanstack/react-query'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { ask, useAnswer } from '../data/client.ts'
import { subscribe } from '../data/live.ts'
import { BacktestRunDocument, MarketBacktestDocument, StartBacktestDocument, VolatilityDocument } from '../generated/operations.ts'
import type { BacktestWordsFragment, Side, VolatilityModel, VolatilityQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { dateTime, duration, float, percent, time, whole } from '../ui/format.ts'
import { Copy, Empty, Hint, Loaded, Provenance, Sums, Tag, Unknown, sentence } from '../ui/parts.tsx'
import { CsvButton, Table, cellsOf } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { useHours, useWindow } from './Price.tsx'
import { Choice, Unknowns, Warnings, useChoice } from './parts.tsx'

type Answer = NonNullable<VolatilityQuery['volatility']>
type Forecast = Answer['forecasts'][number]

const MODELS: Readonly<Record<VolatilityModel, string>> = { NORMAL_EWMA: 'Normal, EWMA', NORMAL_GARCH: 'Normal, GARCH', FHS_EWMA: 'Filtered history, EWMA', FHS_GARCH: 'Filtered history, GARCH', HISTORICAL: 'History' }
const SHORT: Readonly<Record<VolatilityModel, string>> = { NORMAL_EWMA: 'normal EWMA', NORMAL_GARCH: 'normal GARCH', FHS_EWMA: 'filtered EWMA', FHS_GARCH: 'filtered GARCH', HISTORICAL: 'history' }
const HURTS: Readonly<Record<Side, string>> = { DOWN: 'long', UP: 'short' }
const HORIZONS = [['3600', '1 h'], ['14400', '4 h'], ['86400', '1 d'], ['604800', '7 d']] as const
const LEVELS = [['0.95', '95 %'], ['0.99', '99 %'], ['0.999', '99.9 %']] as const
const BARS = [['300', '5 min'], ['3600', '1 h'], ['86400', '1 d']] as const

const part = (value: number | null, why: string) => (value === null ? <Unknown why={why} /> : percent(value))

const FORECASTS: readonly Column<Forecast>[] = [
  { key: 'model', head: 'Model', value: ({ model }) => MODELS[model] },
  { key: 'side', head: 'Hurts a', value: ({ side }) => HURTS[side], cell: ({ side }) => <span className={HURTS[side]}>{HURTS[side]}</span> },
  { key: 'var', head: 'VaR', name: 'VaR, fraction of notional', numeric: true, value: ({ valueAtRisk }) => valueAtRisk, cell: (row) => part(row.valueAtRisk, row.unknown?.message ?? 'The sample gives none') },
  { key: 'low', head: 'from', name: 'VaR 95 % interval from', numeric: true, value: ({ valueAtRiskLow }) => valueAtRiskLow, cell: (row) => part(row.valueAtRiskLow, row.unknown?.message ?? 'This model gives no interval') },
  { key: 'high', head: 'to', name: 'VaR 95 % interval to', numeric: true, value: ({ valueAtRiskHigh }) => valueAtRiskHigh, cell: (row) => part(row.valueAtRiskHigh, row.unknown?.message ?? 'This model gives no interval') },
  { key: 'es', head: 'ES', name: 'Expected shortfall, fraction of notional', numeric: true, value: ({ expectedShortfall }) => expectedShortfall, cell: (row) => part(row.expectedShortfall, row.unknown?.message ?? 'The sample gives none') },
  { key: 'tail', head: 'Tail', name: 'Observations beyond the VaR', numeric: true, value: ({ tailPoints }) => tailPoints, cell: ({ model, tailPoints, observations, scaling, valueAtRisk, unknown }) => (valueAtRisk === null ? <Unknown why={unknown?.message} /> : <Hint text={model === 'HISTORICAL' ? `${scaling ?? 'overlapping returns'}, of which ${whole(observations)} do not overlap` : `${whole(observations)} observations${scaling ? `, ${scaling}` : ''}`}>{whole(tailPoints)}</Hint>) },
]

export function Volatility({ market, symbol, nowSec }: { market: string; symbol: string; nowSec: number }) {
  const [horizon, setHorizon] = useChoice('horizon', HORIZONS.map(([one]) => one), '3600')
  const [level, setLevel] = useChoice('level', LEVELS.map(([one]) => one), '0.99')
  const [bar, setBar] = useChoice('bars', BARS.map(([one]) => one), '300')
  const answer = useAnswer(VolatilityDocument, { market, level: Number(level), horizonSec: Number(horizon), barSec: Number(bar) }, 'minute')
  return (
    <>
      <div className="controls">
        <Choice label="A loss may take" of={HORIZONS} value={horizon} onChoice={setHorizon} />
        <Choice label="Confidence" of={LEVELS} value={level} onChoice={setLevel} />
        <Choice label="Bars" of={BARS} value={bar} onChoice={setBar} />
      </div>
      <Loaded of={answer} height={560}>
        {({ volatility }) => (volatility ? <Forecasts of={volatility} market={market} symbol={symbol} nowSec={nowSec} horizon={Number(horizon)} level={Number(level)} /> : <Empty>This market has no index prices yet that a volatility could be measured from.</Empty>)}
      </Loaded>
    </>
  )
}

function Forecasts({ of: { sample, ewma, garch, unknown, forecasts, provenance }, market, symbol, nowSec, horizon, level }: { of: Answer; market: string; symbol: string; nowSec: number; horizon: number; level: number }) {
  const why = unknown[0]?.message
  const title = `VaR and expected shortfall, ${symbol}`
  const option = useCallback((colours: Palette) => forecastOption(colours, forecasts), [forecasts])
  const data = useMemo((): ChartData => cellsOf(FORECASTS, forecasts), [forecasts])
  return (
    <>
      <div className="market-tight"><Sums of={[
        ['EWMA now', ewma ? percent(ewma.nowPerYear, 1) : <Unknown why={why} />, ewma ? `a year; halves in ${duration(ewma.halfLifeSec)}` : ' '],
        ['EWMA, 30 days', ewma ? percent(ewma.longRunPerYear, 1) : <Unknown why={why} />, 'a year'],
        ['GARCH now', garch ? percent(garch.nowPerYear, 1) : <Unknown why={unknown.find(({ message }) => message.includes('GARCH'))?.message ?? why} />, garch ? `a year; persistence ${garch.persistence.toFixed(3)}` : 'does not fit'],
        ['GARCH, long run', garch ? percent(garch.longRunPerYear, 1) : <Unknown why={unknown.find(({ message }) => message.includes('GARCH'))?.message ?? why} />, garch ? `a shock halves in ${float(garch.halfLifeBars, 0)} bars` : ' '],
        ['Sample', whole(sample.returns), `returns of ${duration(sample.barSec)}, ${whole(sample.gapBars)} bars without a price`],
      ]} /></div>
      <Realised market={market} symbol={symbol} nowSec={nowSec} ewma={ewma?.nowPerYear ?? null} />
      <Chart title={title} summary={`Of one unit of notional within ${duration(horizon)}, at ${Number((level * 100).toFixed(2))} %. Circles are VaR with its 95 % interval, diamonds expected shortfall; “(?)” is unknown.`} option={option} data={data} height={300} />
      <div className="market-head"><CsvButton title={title} columns={FORECASTS} rows={forecasts} /></div>
      <Table title="Forecasts by model and side" columns={FORECASTS} rows={forecasts} rowKey={({ model, side }) => `${model} ${side}`} />
      <Unknowns of={unknown} />
      <Warnings of={[...forecasts.flatMap(({ warnings }) => warnings), ...(garch?.warnings ?? [])]} />
      <Provenance of={provenance} />
    </>
  )
}

/** Realised volatility of each hour in the price chart's window, against the model's of now. */
function Realised({ market, symbol, nowSec, ewma }: { market: string; symbol: string; nowSec: number; ewma: number | null }) {
  const { from, to } = useWindow(nowSec)
  const hours = useHours(market, from, true)
  const shown = useMemo(() => (hours.data ?? []).filter(({ timestamp }) => Number(timestamp) >= from && Number(timestamp) < to).toReversed(), [hours.data, from, to])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 64, right: 20, top: 26, bottom: 44 },
    tooltip: tooltip((parameters) => {
      const at = (parameters as readonly { value: readonly [number, number] }[])[0]?.value
      return at ? [['Hour from', dateTime(at[0] / 1000 - 1800)], ['Realised', `${percent(at[1], 1)} a year`]] : []
    }),
    xAxis: axis(colours, 'Time, UTC', { type: 'time', min: from * 1000, max: to * 1000, nameGap: 26, splitLine: { show: false } }),
    yAxis: axis(colours, 'A year', { type: 'value', splitNumber: 3, nameGap: 50, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => percent(value, 0) } }),
    series: [{ name: 'Realised', type: 'bar', barMaxWidth: 6, itemStyle: { color: colours.series[5] }, data: shown.map((hour) => [(Number(hour.timestamp) + 1800) * 1000, hour.realizedVolatilityAnnualised]), ...(ewma === null ? {} : { markLine: { silent: true, symbol: 'none', label: { formatter: 'EWMA now', color: colours.text, backgroundColor: colours.panel, padding: [1, 4], fontSize: 11, position: 'insideEndTop' }, lineStyle: { color: colours.accent, type: 'dashed' }, data: [{ yAxis: ewma }] } }) }],
  }), [shown, from, to, ewma])
  const data = useMemo((): ChartData => ({ head: ['Hour from, Unix s', 'Hour from', 'Realised volatility a year, fraction', 'Prices in it'], rows: shown.map((hour) => [hour.timestamp, time(hour.timestamp), hour.realizedVolatilityAnnualised, hour.samples]) }), [shown])
  return <Loaded of={hours} height={210}>{() => (shown.length === 0 ? <Empty>No completed hour with a price lies in this window.</Empty> : <Chart title={`Realised volatility, ${symbol}`} summary="Of each completed hour, a year." option={option} data={data} height={170} />)}</Loaded>
}

function forecastOption(colours: Palette, forecasts: readonly Forecast[]) {
  const rows = forecasts.toReversed()
  const colour = (side: Side): string => (side === 'DOWN' ? colours.long : colours.short)
  const known = rows.flatMap((row, at) => (row.valueAtRisk === null ? [] : [{ row, at }]))
  return {
    grid: { left: 150, right: 24, top: 8, bottom: 44 },
    tooltip: tooltip((parameters) => {
      const at = (parameters as readonly { value: readonly [number, number] }[])[0]?.value[1]
      const row = at === undefined ? undefined : rows[at]
      return row ? [[MODELS[row.model], `hurts a ${HURTS[row.side]}`], ['VaR', row.valueAtRisk === null ? '—' : percent(row.valueAtRisk)], ...(row.valueAtRiskLow !== null && row.valueAtRiskHigh !== null ? [['95 % interval', `${percent(row.valueAtRiskLow)} to ${percent(row.valueAtRiskHigh)}`] as const] : []), ['Expected shortfall', row.expectedShortfall === null ? '—' : percent(row.expectedShortfall)]] : []
    }, { axisPointer: { axis: 'y', type: 'shadow' } }),
    xAxis: axis(colours, 'Loss, fraction of notional', { type: 'value', min: 0, nameGap: 26, splitNumber: 4, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, formatter: (value: number) => `${Number((value * 100).toFixed(1))} %` } }),
    yAxis: { type: 'category', data: rows.map((row) => `${SHORT[row.model]} · ${HURTS[row.side]}${row.valueAtRisk === null ? ' (?)' : ''}`), axisLabel: { color: colours.muted, fontSize: 11 }, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.line } }, splitLine: { show: true, lineStyle: { color: colours.line, opacity: 0.6 } } },
    series: [
      ...known.filter(({ row }) => row.valueAtRiskLow !== null && row.valueAtRiskHigh !== null).map(({ row, at }) => ({ name: 'interval', type: 'line', silent: true, showSymbol: true, symbol: 'rect', symbolSize: [1.5, 9], lineStyle: { color: colour(row.side), width: 1.5 }, itemStyle: { color: colour(row.side) }, data: [[row.valueAtRiskLow, at], [row.valueAtRiskHigh, at]] })),
      { name: 'VaR', type: 'scatter', symbol: 'circle', symbolSize: 9, z: 4, data: known.map(({ row, at }) => ({ value: [row.valueAtRisk, at], itemStyle: { color: colour(row.side), borderColor: colours.panel, borderWidth: 1 } })) },
      { name: 'Expected shortfall', type: 'scatter', symbol: 'diamond', symbolSize: 11, z: 4, data: known.map(({ row, at }) => ({ value: [row.expectedShortfall, at], itemStyle: { color: colour(row.side), borderColor: colours.panel, borderWidth: 1 } })) },
    ],
  }
}

const SYNCHRONOUS = ['NORMAL_EWMA', 'FHS_EWMA', 'HISTORICAL'] as const
type Tested = { readonly model: VolatilityModel; readonly test: BacktestWordsFragment | null; readonly why: string }

const pValue = ({ pValue: p, rejected, likelihoodRatio }: BacktestWordsFragment['coverage']) => <><span title={`Likelihood ratio ${likelihoodRatio.toFixed(3)}`}>{p < 0.0001 ? '< 0.0001' : p.toFixed(4)}</span> <Tag kind={rejected ? 'down' : 'quiet'}>{rejected ? 'rejected' : 'holds'}</Tag></>
const zone = (name: string | null) => (name === null ? <Unknown why="Fewer than 250 forecasts" /> : <Tag kind={name === 'green' ? 'good' : name === 'yellow' ? 'warn' : 'down'}>{name}</Tag>)
const told = (row: Tested, cell: (test: BacktestWordsFragment) => React.ReactNode) => (row.test ? cell(row.test) : <Unknown why={row.why} />)

const windowOf = ({ from, to, returns }: BacktestWordsFragment['sample']): string => `${dateTime(from)} to ${dateTime(to)}, ${whole(returns)} returns`
const standsOn = ({ provenance: { model, version, block, inputsDigest }, sample }: BacktestWordsFragment): string => `${model} ${version}, block ${block.number}, ${windowOf(sample)}, inputs ${inputsDigest}`

const TESTS: readonly Column<Tested>[] = [
  { key: 'model', head: 'Model', value: ({ model }) => MODELS[model] },
  { key: 'exceptions', head: 'Exceptions', numeric: true, value: ({ test }) => test?.exceptions, cell: (row) => told(row, ({ exceptions, expected, observations }) => <span title={`Of ${whole(observations)} forecasts`}>{whole(exceptions)} <span className="muted">of {float(expected, 1)} expected</span></span>) },
  { key: 'kupiec', head: 'Kupiec', name: 'Kupiec, p', numeric: true, value: ({ test }) => test?.coverage.pValue, cell: (row) => told(row, ({ coverage }) => pValue(coverage)) },
  { key: 'christoffersen', head: 'Christoffersen', name: 'Christoffersen, independence, p', numeric: true, value: ({ test }) => test?.independence.pValue, cell: (row) => told(row, ({ independence }) => pValue(independence)) },
  { key: 'joint', head: 'Joint', name: 'Conditional coverage, p', numeric: true, value: ({ test }) => test?.conditional.pValue, cell: (row) => told(row, ({ conditional }) => pValue(conditional)) },
  { key: 'zone', head: 'Zone, last · worst', name: 'Basel zone of the last 250', value: ({ test }) => test?.zone, cell: (row) => told(row, (test) => <>{zone(test.zone)} {zone(test.worstZone)}</>) },
  { key: 'es', head: 'ES test, Z', numeric: true, value: ({ test }) => test?.shortfallZ, cell: (row) => told(row, ({ shortfallZ, shortfallRejected }) => <>{float(shortfallZ, 2)} <Tag kind={shortfallRejected ? 'down' : 'quiet'}>{shortfallRejected ? 'rejected' : 'holds'}</Tag></>) },
  { key: 'stands', head: 'Stands on', words: true, value: ({ test }) => test && standsOn(test), cell: (row) => told(row, ({ provenance: { model, version, source, block, inputsDigest }, sample }) => <span className="market-stands"><span><Hint text={source}>{model} {version}</Hint> · block <b>{whole(block.number)}</b> · inputs <Copy text={inputsDigest} label={`SHA-256 of the inputs of ${MODELS[row.model]}`}><code>{inputsDigest.slice(0, 10)}</code></Copy></span><small>{windowOf(sample)}</small></span>) },
]

/** Losses over one bar; confidence and bars are those chosen above. */
export function Backtests({ market }: { market: string }) {
  const [levelText] = useChoice('level', LEVELS.map(([one]) => one), '0.99')
  const [barText] = useChoice('bars', BARS.map(([one]) => one), '300')
  const [level, barSec] = [Number(levelText), Number(barText)]
  const [side, setSide] = useChoice('side', ['DOWN', 'UP'], 'DOWN')
  const tests = useQueries({
    queries: SYNCHRONOUS.map((model) => {
      const input = { market, model, level, side, barSec }
      return { queryKey: ['event', 'MarketBacktest', { input }], queryFn: async ({ signal }: { signal: AbortSignal }) => (await ask(MarketBacktestDocument, { input }, signal)).backtest, staleTime: 5 * 60_000 }
    }),
  })
  const run = useRun({ market, level, side, barSec })
  const rows: Tested[] = [
    ...SYNCHRONOUS.map((model, i): Tested => ({ model, test: tests[i]?.data ?? null, why: tests[i]?.error ? sentence(tests[i].error) : tests[i]?.isPending ? 'It is being computed' : 'This market has no index prices to test with' })),
    { model: 'FHS_GARCH', test: run.test, why: run.why },
  ]
  const warnings = rows.flatMap(({ test }) => test?.warnings ?? [])
  return (
    <>
      <div className="controls">
        <Choice label="Losses of a" of={[['DOWN', 'long'], ['UP', 'short']]} value={side} onChoice={setSide} />
        {!run.test && <button type="button" disabled={run.going} onClick={run.start}>{run.going ? `Fitting GARCH … ${percent(run.progress, 0)}` : 'Test GARCH, too (takes a while)'}</button>}
        <span className="muted">VaR of one bar of {duration(barSec)} at {Number((level * 100).toFixed(2))} %, chosen under Volatility</span>
        <div className="actions"><CsvButton title="Backtests" columns={TESTS} rows={rows} /></div>
      </div>
      <Table title="Backtests by model" columns={TESTS} rows={rows} rowKey={({ model }) => model} />
      <Unknowns of={rows.flatMap(({ model, test, why }) => (test || model === 'FHS_GARCH' ? [] : [{ message: `${MODELS[model]}: ${why.replace(/\.$/, '')}` }]))} />
      <Warnings of={warnings} />
    </>
  )
}

/** The one model that is fitted in the background. */
function useRun(input: { market: string; level: number; side: Side; barSec: number }): { test: BacktestWordsFragment | null; why: string; going: boolean; progress: number; start: () => void } {
  const key = JSON.stringify(input)
  const idle = { key, id: null as string | null, test: null as BacktestWordsFragment | null, why: 'Not tested yet: its fits take a while, so they run in the background when asked for', going: false, progress: 0 }
  const [state, setState] = useState(idle)
  const current = state.key === key ? state : idle
  useEffect(() => {
    if (state.id === null) return
    return subscribe(BacktestRunDocument, { id: state.id }, ({ riskRun }) => setState((before) => (before.id !== riskRun.id ? before : {
      ...before,
      progress: riskRun.progress,
      going: riskRun.state === 'QUEUED' || riskRun.state === 'RUNNING',
      test: riskRun.backtest,
      why: riskRun.error ?? (riskRun.state === 'CANCELLED' ? 'The run was cancelled' : before.why),
    })))
  }, [state.id])
  const start = () => {
    setState({ ...idle, going: true })
    ask(StartBacktestDocument, { input: { ...input, model: 'FHS_GARCH' } })
      .then(({ startRiskRun: { id } }) => setState((before) => (before.key === key ? { ...before, id } : before)))
      .catch((error: unknown) => setState({ ...idle, why: sentence(error) }))
  }
  return { ...current, start }
}
