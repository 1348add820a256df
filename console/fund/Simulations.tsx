/** What the fund may have to pay: the simulated shortfall of all accounts, and runs of one's own. */
import { useCallback, useMemo, useState } from 'react'
import { ask, renew, useAnswer } from '../data/client.ts'
import { FundRunDocument, FundRunsDocument, StartFundDocument } from '../generated/operations.ts'
import type { RunHeadFragment, SimulationFragment, StartFundMutationVariables } from '../generated/operations.ts'
import { Follow, RunState, RunTag, StartedAt, isOver } from '../stress/runs.tsx'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { read } from '../ui/Dial.tsx'
import type { Range } from '../ui/Dial.tsx'
import { ActButton, useLanding } from '../ui/focus.tsx'
import type { Landing } from '../ui/focus.tsx'
import { Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { compact, duration, float, percent, whole } from '../ui/format.ts'
import { Copy, Empty, Figure, Hint, Loaded, Notice, Panel, Sums, Time, Unknown, sentence } from '../ui/parts.tsx'
import type { FundTarget } from './Target.tsx'

type Put = (changes: Readonly<Record<string, string | null>>) => void
type Input = StartFundMutationVariables['input']

/** `target` is undefined while it is asked for, null where there is none; `whatIf` is the run that the what-if stands on. */
export function Simulations({ target, whatIf, runId, put }: { target: FundTarget | null | undefined; whatIf: string | null; runId: string | null; put: Put }) {
  const runs = useAnswer(FundRunsDocument, {}, 'minute')
  const id = runId ?? target?.simulation?.run ?? null
  const [given, setGiven] = useState<string | null>(null)
  const landing = useLanding()
  const start = async (input: Input): Promise<string | null> => {
    setGiven(null)
    landing.expect()
    try {
      const { startRiskRun: run } = await ask(StartFundDocument, { input })
      setGiven(run.state === 'DONE' ? run.id : null)
      put({ run: run.id })
      await renew('FundRuns')
      return null
    } catch (error) {
      return sentence(error)
    }
  }
  return (
    <Panel id="shortfall" title="Simulated shortfall" note={runId === null ? 'the policy’s own run, which recommendations stand on' : whatIf === runId ? 'a run that you chose: the what-if above stands on it' : 'a run that you chose'} actions={runId !== null && <button type="button" onClick={() => put({ run: null })}>Back to the policy’s own</button>}>
      {id === null ? <None target={target} /> : <Shown key={id} id={id} given={given === id} landing={landing} fund={target?.fund ?? null} again={(input) => void start(input)} />}
      <div className="fund-two fund-runs">
        <Start start={start} landing={landing} />
        <Loaded of={runs} height={140}>{({ riskRuns }) => <Runs runs={riskRuns} shown={id} put={put} />}</Loaded>
      </div>
    </Panel>
  )
}

function None({ target }: { target: FundTarget | null | undefined }) {
  if (target === null) return <Empty>Nothing is indexed yet: the policy’s own simulation follows the first indexed block.</Empty>
  if (target === undefined) return <div className="loading" style={{ minHeight: 380 }} role="status"><span className="sr">Loading …</span></div>
  return <Empty><Unknown why={target.simulationUnknown?.message} /> {target.simulationUnknown?.message}.</Empty>
}

function Shown({ id, given, landing, fund, again }: { id: string; given: boolean; landing: Landing; fund: number | null; again: (input: Input) => void }) {
  const answer = useAnswer(FundRunDocument, { id }, 'event')
  return (
    <Loaded of={answer} height={380}>
      {({ riskRun: run }) => run === null || run.kind !== 'FUND' ? <Notice kind="degraded" title="This run is no longer kept.">Found no simulation {id.slice(0, 36)}; the newest 200 runs are kept. Start one below, or go back to the policy’s own.</Notice> : (
        <>
          <RunState run={run} operations={['FundRun', 'FundRuns', 'FundTargetNow']} landing={landing} again={() => again(run.input as Input)}>
            {given && <div ref={landing.land} tabIndex={-1}><Notice kind="good" title="This question had been answered.">The same was asked of the same inputs before: nothing was computed again, and this is that run.</Notice></div>}
          </RunState>
          {run.fund && <Distribution of={run.fund} inputsDigest={run.inputsDigest} fund={fund} again={() => again(run.input as Input)} />}
        </>
      )}
    </Loaded>
  )
}

/** 0.999 is `99.9 %`: a level has no more places than it was given. */
export const level = (share: number): string => `${Number((share * 100).toPrecision(6))} %`

const Money = ({ of }: { of: number }) => <Figure exact={String(of)} unit="USD">{float(of, of >= 100 || of === 0 ? 0 : 2)}</Figure>

function Distribution({ of, inputsDigest, fund, again }: { of: SimulationFragment; inputsDigest: string; fund: number | null; again: () => void }) {
  return (
    <>
      <Sums of={[
        [`${level(of.level)} quantile`, <Money of={of.quantile} />, `${level(of.confidence)} interval ${compact(of.lower)} to ${of.upper === null ? 'unknown: too few paths beyond' : compact(of.upper)}`],
        ['Expected shortfall', <Money of={of.expectedShortfall} />, 'mean beyond the quantile'],
        ['Mean of a path', <><Money of={of.mean} /> <small>± {float(of.standardError)}</small></>, 'and its standard error'],
        ['Paths with a loss', percent(of.lossShare), `of ${whole(of.paths)}`],
        ['Ran out of depth', percent(of.capacityBoundShare), 'paths on which liquidators did'],
        ['Length of a path', duration(of.horizonSec), `seed ${of.seed}`],
      ]} />
      {of.histogram === null ? (
        <Notice kind="degraded" title="Its distribution is unknown.">{of.histogramUnknown?.message}. <button type="button" onClick={again}>Run it again</button></Notice>
      ) : of.lossShare === 0 ? <Empty>None of {whole(of.paths)} paths leaves a loss behind: there is no distribution to draw.</Empty> : <div className="fund-two"><Histogram of={of} bins={of.histogram} fund={fund} /><Exceedance of={of} bins={of.histogram} fund={fund} /></div>}
      <p className="provenance"><Hint text="api/risk/shortfall.ts: filtered historical simulation, Barone-Adesi, Giannopoulos, Vosper 1999; interval by order statistics">simulated shortfall</Hint> · block <b>{whole(of.block.number)}</b>, <Time at={of.block.timestamp} /> · {whole(of.paths)} paths, seed {of.seed} · inputs <Copy text={inputsDigest} label="SHA-256 of the inputs"><code>{inputsDigest.slice(0, 10)}</code></Copy></p>
    </>
  )
}

type Bins = NonNullable<SimulationFragment['histogram']>

/** Losses on an axis of equal ratios, four steps to a decade as the bins are; up to 1 USD is one step. */
const place = (loss: number): number => (loss <= 0 ? -1 : Math.max(-1, 4 * Math.log10(loss)))
const unplace = (at: number): string => (at <= -1 ? '0' : compact(Number((10 ** (at / 4)).toPrecision(2))))

const lossAxis = (colours: Palette, bins: Bins, fund: number | null) => {
  const low = place(bins[1]?.from ?? 0)
  const high = Math.max(place(bins.at(-1)?.to ?? 1), fund !== null && fund > 0 && place(fund) < place(bins.at(-1)?.to ?? 1) + 8 ? place(fund) + 0.5 : 0)
  const decades = [...(low <= -1 ? [-1] : []), ...Array.from({ length: 16 }, (_, k) => 4 * k).filter((at) => at >= low && at <= high)]
  return { ...axis(colours, 'Loss of a path, USD, equal ratios', { nameGap: 26 }), type: 'value', min: Math.floor(low), max: Math.ceil(high), splitLine: { show: false }, axisTick: { lineStyle: { color: colours.line }, customValues: decades }, axisLabel: { color: colours.muted, fontSize: 11, hideOverlap: true, formatter: unplace, customValues: decades } }
}

const marks = (colours: Palette, of: SimulationFragment, fund: number | null) => [
  { xAxis: place(of.quantile), lineStyle: { color: colours.warn, type: 'solid' }, label: { formatter: level(of.level), color: colours.text } },
  { xAxis: place(of.expectedShortfall), lineStyle: { color: colours.down, type: 'dashed' }, label: { formatter: 'ES', color: colours.text, distance: 16 } },
  ...(fund !== null && fund > 0 ? [{ xAxis: place(fund), lineStyle: { color: colours.up, type: 'solid', width: 2 }, label: { formatter: 'Fund', color: colours.text } }] : []),
]

type Coord = { coord(point: readonly [number, number]): [number, number]; value(index: number): number; style(extra?: object): object }

function Histogram({ of, bins, fund }: { of: SimulationFragment; bins: Bins; fund: number | null }) {
  const losses = useMemo(() => bins.slice(1), [bins])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 58, right: 18, top: 30, bottom: 46 },
    xAxis: lossAxis(colours, bins, fund),
    yAxis: { ...axis(colours, 'Paths', { nameGap: 42 }), type: 'value', axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } },
    series: [{
      type: 'custom', data: losses.map(({ from, to, paths }) => [place(from), place(to), paths]), encode: { x: [0, 1], y: 2 }, itemStyle: { color: colours.series[0] },
      renderItem: (_: unknown, api: Coord) => {
        const [x0, top] = api.coord([api.value(0), api.value(2)])
        const [x1, bottom] = api.coord([api.value(1), 0])
        return { type: 'group', children: [
          { type: 'rect', shape: { x: x0 + 0.5, y: top, width: Math.max(1, x1 - x0 - 1), height: bottom - top }, style: { fill: colours.series[0] } },
          ...(api.value(2) > 0 && x1 - x0 > 15 ? [{ type: 'text', style: { text: compact(api.value(2)), x: (x0 + x1) / 2, y: top - 3, textAlign: 'center', textVerticalAlign: 'bottom', fill: colours.text, fontSize: 10 } }] : []),
        ] }
      },
    }, {
      type: 'line', data: [], markLine: { symbol: 'none', silent: true, animation: false, label: { fontSize: 11 }, data: marks(colours, of, fund) },
      markArea: { silent: true, itemStyle: { color: colours.warn, opacity: 0.14 }, data: of.upper === null ? [] : [[{ xAxis: place(of.lower) }, { xAxis: place(of.upper) }]] },
    }],
    tooltip: tooltip((parameter) => {
      const { value } = parameter as { value: [number, number, number] }
      return [[`${unplace(value[0])} to ${unplace(value[1])} USD`, `${whole(value[2])} paths`]]
    }, { trigger: 'item' }),
  }), [losses, bins, of, fund])
  const none = bins[0]?.paths ?? 0
  return (
    <Chart
      title="Losses of the paths" height={260} option={option}
      summary={`${whole(none)} of ${whole(of.paths)} paths lose nothing and are not drawn. Shaded: the interval of the quantile. ES: expected shortfall.`}
      data={{ head: ['Loss above, USD', 'Loss up to, USD', 'Paths'], rows: bins.map(({ from, to, paths }) => [from, to, paths]) }}
    />
  )
}

/** Which share of paths loses more than an amount, at the edges of the bins: counts alone, nothing is interpolated. */
function Exceedance({ of, bins, fund }: { of: SimulationFragment; bins: Bins; fund: number | null }) {
  const points = useMemo(() => {
    let beyond = bins.slice(1).reduce((sum, { paths }) => sum + paths, 0)
    return bins.slice(1).map(({ from, paths }) => {
      const point = { loss: from, beyond }
      beyond -= paths
      return point
    })
  }, [bins])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 66, right: 18, top: 30, bottom: 46 },
    xAxis: lossAxis(colours, bins, fund),
    yAxis: { ...axis(colours, 'Share of paths that lose more', { nameGap: 52 }), type: 'log', max: 1, min: 1 / of.paths, axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => (value === 1 ? '100 %' : `${Number((value * 100).toPrecision(1))} %`) } },
    series: [{
      type: 'line', step: 'end', symbol: 'none', lineStyle: { width: 2, color: colours.series[0] },
      data: [...points.map(({ loss, beyond }) => [place(loss), beyond / of.paths]), [place(bins.at(-1)?.to ?? 1), 1 / of.paths]],
      markLine: { symbol: 'none', silent: true, animation: false, label: { fontSize: 11 }, data: marks(colours, of, fund) },
    }],
    tooltip: tooltip((parameters) => (parameters as { value: [number, number] }[]).slice(0, 1).map(({ value: [loss, share] }) => [`more than ${unplace(loss)} USD`, percent(share, 3)])),
  }), [points, bins, of, fund])
  const most = bins.at(-1)
  return (
    <Chart
      title="Share of paths that lose more" height={260} option={option}
      summary={`${percent(of.lossShare)} lose anything, ${level(1 - of.level)} more than ${compact(of.quantile)}, none more than ${compact(most?.to ?? 0)}.${fund === null ? '' : fund >= (most?.to ?? 0) ? ` The fund of ${compact(fund)} pays each of them.` : ''}`}
      data={{ head: ['Loss above, USD', 'Paths', 'Share of paths'], rows: points.map(({ loss, beyond }) => [loss, beyond, beyond / of.paths]) }}
    />
  )
}

type Field = Range & { readonly key: keyof Input; readonly start: string; readonly as: (value: number) => number }
const percentOf = (value: number): number => Number((value / 100).toPrecision(12))
const FIELDS: readonly Field[] = [
  { key: 'paths', name: 'Paths', low: 10_000, high: 1_000_000, unit: '', whole: true, start: '10,000', as: Number },
  { key: 'hours', name: 'Length', low: 1, high: 168, unit: 'h', whole: true, start: '24', as: Number },
  { key: 'level', name: 'Quantile', low: 50, high: 99.99, unit: '%', start: '99.9', as: percentOf },
  { key: 'confidence', name: 'Interval', low: 50, high: 99.9, unit: '%', start: '95', as: percentOf },
  { key: 'seed', name: 'Seed', low: 0, high: 2_147_483_647, unit: '', whole: true, start: '1', as: Number },
]

function Start({ start, landing }: { start: (input: Input) => Promise<string | null>; landing: Landing }) {
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>(Object.fromEntries(FIELDS.map(({ key, start: text }) => [key, text])))
  const [fault, setFault] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const found = FIELDS.map((field) => ({ field, ...read(texts[field.key] ?? '', field) }))
  const faults = found.flatMap((one) => (one.fault === null ? [] : [one.fault]))
  const go = async () => {
    setBusy(true)
    setFault(null)
    setFault(await start(Object.fromEntries(found.map(({ field, value }) => [field.key, field.as(value ?? 0)])) as Input))
    setBusy(false)
  }
  return (
    <form className="fund-start" aria-label="A simulation of your own" onSubmit={(event) => { event.preventDefault(); if (faults.length === 0 && !busy) void go() }}>
      <h3>A simulation of your own</h3>
      <div className="fund-fields">
        {found.map(({ field: { key, name, unit }, fault: wrong }) => (
          <label key={key}>{name}{unit && `, ${unit}`}<input inputMode="decimal" autoComplete="off" value={texts[key] ?? ''} aria-invalid={wrong !== null} onChange={(event) => setTexts({ ...texts, [key]: event.target.value })} /></label>
        ))}
      </div>
      <div className="fund-go">
        <ActButton type="submit" className="main" disabled={faults.length > 0} busy={busy}>{busy ? 'Starting …' : 'Simulate'}</ActButton>
        <div aria-live="polite">{faults.map((text) => <p key={text} className="down">{text}</p>)}{fault && <p className="down" role="alert" ref={landing.land} tabIndex={-1}>{fault}</p>}{faults.length === 0 && !fault && <p className="muted">With other settings than the policy’s it moves no recommendation; the target above stands on it while it is shown.</p>}</div>
      </div>
    </form>
  )
}

const LISTS = ['FundRuns']

function Runs({ runs, shown, put }: { runs: readonly RunHeadFragment[]; shown: string | null; put: Put }) {
  const columns = useMemo<readonly Column<RunHeadFragment>[]>(() => [
    { key: 'asked', head: 'Asked', value: ({ startedAt }) => startedAt, cell: (run) => <span className="fund-term"><StartedAt at={run.startedAt} /><small>{describe(run.input)}</small></span> },
    { key: 'block', head: 'Block', numeric: true, value: ({ block }) => block.number, cell: ({ block }) => whole(block.number) },
    { key: 'state', head: 'State', value: ({ state }) => state, cell: (run) => <><RunTag state={run.state} />{!isOver(run) && <Follow id={run.id} operations={LISTS} />}</> },
    { key: 'show', head: 'Show', value: ({ id }) => (id === shown ? 'shown' : ''), cell: (run) => <button type="button" aria-pressed={run.id === shown} aria-label={`Show the simulation of block ${run.block.number}, asked ${run.startedAt}`} onClick={() => put({ run: run.id })}>Show</button> },
  ], [shown, put])
  return <Table title="Simulations" columns={columns} rows={runs} rowKey={({ id }) => id} few={5} empty="Nothing has been simulated yet." />
}

function describe(input: unknown): string {
  const asked = (input ?? {}) as Partial<Record<'paths' | 'hours' | 'level' | 'seed', number>>
  const { paths, hours, seed } = asked
  return [paths === undefined ? null : `${whole(paths)} paths`, hours === undefined ? null : `${hours} h`, asked.level === undefined ? null : level(asked.level), seed === undefined ? null : `seed ${seed}`].filter(Boolean).join(', ')
}
