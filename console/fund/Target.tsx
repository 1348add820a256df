/** What the fund should hold by the policy, which term decides, how long it lasts; beside it, what a fee, a share of open interest, another number of days or a run of one's own would change. All of it is the API's answer. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Asked } from '../data/client.ts'
import { useAnswer } from '../data/client.ts'
import { FundTargetNowDocument } from '../generated/operations.ts'
import type { FundTargetNowQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import type { Palette } from '../ui/Chart.tsx'
import { Dial, geometric, linear, read } from '../ui/Dial.tsx'
import type { Range, Scale } from '../ui/Dial.tsx'
import { CsvButton, Table } from '../ui/Table.tsx'
import type { Column } from '../ui/Table.tsx'
import { compact, float, grouped, percent, whole } from '../ui/format.ts'
import { Empty, Figure, Loaded, Panel, Provenance, Sums, Tag, Unknown } from '../ui/parts.tsx'
import { level } from './Simulations.tsx'

export type FundTarget = NonNullable<NonNullable<FundTargetNowQuery['insuranceFund']>['target']>

const KAPPA: Range = { name: 'Share of open interest', low: 0, high: 100, unit: '%' }
const DAYS: Range = { name: 'Days to fill the gap', low: 1, high: 3650, unit: 'days' }
const FEE: Range = { name: 'Fee of turnover', low: 0, high: 500, unit: 'bp' }
const FEE_LOW = 0.01
/** Nothing, and from a hundredth of a basis point in equal ratios. */
const FEE_SCALE: Scale = (() => {
  const above = geometric(FEE_LOW, FEE.high, 99)
  return { min: 0, max: 100, toPosition: (value) => (value < FEE_LOW / 2 ? 0 : 1 + Math.max(0, above.toPosition(value))), fromPosition: (position) => (position === 0 ? 0 : above.fromPosition(position - 1)) }
})()
/** The curve of days by fee is asked at these, in basis points. */
const CURVE = Array.from({ length: 41 }, (_, i) => Number((0.01 * 10 ** (i / 10)).toPrecision(3)))

const STARTS = { kappa: '1', days: '90', fee: '1' } as const
/** Least share of open interest that the API's target asks for by itself, fraction. */
const KAPPA_OF_POLICY = 0.01
type Texts = { readonly kappa: string; readonly days: string; readonly fee: string }
const RANGES = { kappa: KAPPA, days: DAYS, fee: FEE } as const

/** A drag asks the API after it has rested for so long, ms. */
const ASK_AFTER_MS = 200

/** `simulation`: the run that the what-if stands on; null: the policy's own. `kappa`: the share of open interest that `answer` is of, fraction. */
export type WhatIf = { readonly texts: Texts; readonly change: (change: Partial<Texts>) => void; readonly faulty: boolean; readonly answer: Asked<FundTargetNowQuery>; readonly kappa: number; readonly simulation: string | null }

/** The target that the policy asks for and recommendations stand on, whatever is typed or chosen on this page. */
export const useTarget = (): Asked<FundTargetNowQuery> => useAnswer(FundTargetNowDocument, { kappa: KAPPA_OF_POLICY, days: 90, simulation: null, fees: [] }, 'minute')

/** `simulation`: a run that is done. What is typed here, kept in the address, and the API's answer to it; what cannot be asked leaves the last answer. */
export function useWhatIf(params: URLSearchParams, put: (changes: Readonly<Record<string, string | null>>) => void, simulation: string | null): WhatIf {
  const inAddress: Texts = { kappa: params.get('kappa') ?? STARTS.kappa, days: params.get('days') ?? STARTS.days, fee: params.get('fee') ?? STARTS.fee }
  const [texts, setTexts] = useState(inAddress)
  const held = JSON.stringify(texts)
  const shared = JSON.stringify(inAddress)
  const known = useRef(shared)
  useEffect(() => {
    if (shared === known.current) return
    known.current = shared
    setTexts(JSON.parse(shared) as Texts)
  }, [shared])
  useEffect(() => {
    if (held === known.current) return
    const timer = setTimeout(() => {
      known.current = held
      const { kappa, days, fee } = JSON.parse(held) as Texts
      put({ kappa: kappa === STARTS.kappa ? null : kappa, days: days === STARTS.days ? null : days, fee: fee === STARTS.fee ? null : fee })
    }, ASK_AFTER_MS)
    return () => clearTimeout(timer)
  }, [held, put])

  const valueOf = (name: keyof Texts): number | null => read(inAddress[name], RANGES[name]).value
  const [kappa, days, fee] = [valueOf('kappa'), valueOf('days'), valueOf('fee')]
  const asked = useRef({ kappa: KAPPA_OF_POLICY, days: 90, fee: 0.0001 })
  if (kappa !== null && days !== null && fee !== null) asked.current = { kappa: fraction(kappa, 100), days, fee: fraction(fee, 10_000) }
  const answer = useAnswer(FundTargetNowDocument, { kappa: asked.current.kappa, days: asked.current.days, simulation, fees: [asked.current.fee, ...CURVE.map((bp) => fraction(bp, 10_000))] }, 'minute')
  const change = useCallback((one: Partial<Texts>) => setTexts((before) => ({ ...before, ...one })), [])
  return { texts, change, faulty: kappa === null || days === null || fee === null, answer, kappa: asked.current.kappa, simulation }
}

const fraction = (value: number, of: number): number => Number((value / of).toPrecision(12))

const Money = ({ of, why }: { of: number | null; why?: string | undefined }) => (of === null ? <Unknown why={why} /> : <Figure exact={String(of)} unit="USD">{float(of, Math.abs(of) >= 100 || of === 0 ? 0 : 2)}</Figure>)
const bp = (share: number): string => `${float(share * 10_000, share * 10_000 >= 100 ? 0 : 2)} bp`
const daysOf = (days: number): string => (days > 36_500 ? 'more than 100 years' : days === 0 ? 'at once' : `${float(days, days >= 10 ? 0 : 1)} days`)

export function Target({ of, whatIf: { texts, change, faulty, answer, kappa, simulation } }: { of: Asked<FundTargetNowQuery>; whatIf: WhatIf }) {
  const policy = of.data?.insuranceFund?.target ?? null
  return (
    <>
      <Panel id="target" title="Target" note="what it should hold by the policy" actions={<TermsCsv of={policy} />}>
        <Loaded of={of} height={330}>
          {({ insuranceFund }) => {
            const target = insuranceFund?.target
            if (!target) return <Empty>Nothing is indexed yet: the target appears with the first indexed block.</Empty>
            return (
              <>
                <Sums of={[
                  ['Fund', <Money of={target.fund} why={target.fundUnknown?.message} />, `not below 0, block ${whole(target.provenance.block.number)}`],
                  ['Target', <Money of={target.target} />, target.binding],
                  [target.gap !== null && target.gap <= 0 ? 'Surplus' : 'Missing', <span className={target.gap !== null && target.gap > 0 ? 'down' : undefined}><Money of={target.gap === null ? null : Math.abs(target.gap)} why={target.fundUnknown?.message} /></span>, target.gap !== null && target.gap <= 0 ? 'above the target' : 'up to the target'],
                  ['Runway', <Runway of={target} />, 'expected loss less income'],
                  ['Expected loss a day', <Money of={target.simulation?.meanPerDay ?? null} why={target.simulationUnknown?.message} />, 'simulated mean'],
                  ['Income a day', <Money of={target.incomePerDay} />, 'its share of fees, 30 days'],
                ]} />
                <div className="fund-two">
                  <Terms of={target} />
                  <TermsTable of={target} />
                </div>
                <p className="fund-why">{target.why[0]?.toUpperCase()}{grouped(target.why.slice(1))}.</p>
                <Provenance of={target.provenance} />
              </>
            )
          }}
        </Loaded>
      </Panel>
      <Panel id="fee" title="What if" note={simulation === null ? 'the API answers for these' : 'the API answers for these, on the run that you chose below'}>
        <div className="fund-two">
          <div className="fund-dials">
            <Dial range={KAPPA} label="Of open interest" text={texts.kappa} scale={linear(0, 25, 0.25)} change={(kappa) => change({ kappa })} ends={['0 %', '25 %']} />
            <Dial range={DAYS} label="Fill it in" text={texts.days} scale={geometric(1, 3650, 100)} change={(days) => change({ days })} ends={['1 day', '10 years']} />
            <Dial range={FEE} label="Fee of turnover" text={texts.fee} scale={FEE_SCALE} change={(fee) => change({ fee })} ends={['0', '500 bp']} />
            <Loaded of={answer} height={230}>{({ insuranceFund }) => (insuranceFund?.target ? <Answers of={insuranceFund.target} policy={policy} kappa={kappa} stale={faulty || answer.isPlaceholderData} /> : null)}</Loaded>
          </div>
          <div className="fund-curve" aria-busy={answer.isPlaceholderData}>{answer.data?.insuranceFund?.target && <Curve of={answer.data.insuranceFund.target} />}</div>
        </div>
        {answer.data?.insuranceFund?.target && <Provenance of={answer.data.insuranceFund.target.provenance} />}
      </Panel>
    </>
  )
}

function Runway({ of: { runwayDays, simulation, simulationUnknown, fund, fundUnknown } }: { of: FundTarget }) {
  if (runwayDays !== null) return <Figure exact={String(runwayDays)} unit="days">{daysOf(runwayDays)}</Figure>
  if (simulation !== null && fund !== null) return <span className="fund-endless">does not shrink</span>
  return <Unknown why={simulationUnknown?.message ?? fundUnknown?.message} />
}

type Term = { readonly key: string; readonly name: string; readonly says: string; readonly value: number | null; readonly why?: string | undefined; readonly counts: boolean }

const BINDING: Readonly<Record<string, string>> = { 'cover-2': 'cover2', 'expected shortfall over scenarios': 'scenarios', 'simulated quantile': 'simulated', 'share of open interest': 'interest' }

const termsOf = (of: FundTarget): readonly Term[] => [
  { key: 'cover2', name: 'Cover-2', says: `the two largest losses together, ${of.scenario}`, value: of.cover2, counts: true },
  { key: 'scenarios', name: 'Scenario shortfall', says: 'mean of the worst quarter of the scenarios', value: of.scenarioShortfall, counts: true },
  { key: 'simulated', name: 'Simulated quantile', says: of.simulation ? `${level(of.simulation.level)} of ${float(of.simulation.paths, 0)} paths lose less` : 'nothing was simulated', value: of.simulation?.quantile ?? null, why: of.simulationUnknown?.message, counts: true },
  { key: 'interest', name: 'Open interest', says: `${level(KAPPA_OF_POLICY)} of open interest`, value: of.openInterestTerm, counts: true },
  { key: 'cover1', name: 'Cover-1', says: 'the largest loss of one account; for comparison, it does not count', value: of.cover1, counts: false },
]

const columnsOf = (binding: string): readonly Column<Term>[] => [
  { key: 'name', head: 'Term', value: ({ name, says }) => `${name}: ${says}`, cell: ({ key, name, says }) => <span className="fund-term"><b>{name}</b>{BINDING[binding] === key && <> <Tag kind="accent">decides</Tag></>}<small>{says}</small></span> },
  { key: 'value', head: 'USD', numeric: true, value: ({ value }) => value, cell: ({ value, why }) => <Money of={value} why={why} /> },
]

function TermsTable({ of }: { of: FundTarget }) {
  const columns = useMemo(() => columnsOf(of.binding), [of.binding])
  return <Table title="Terms of the target" columns={columns} rows={termsOf(of)} rowKey={({ key }) => key} tone={({ counts }) => (counts ? undefined : 'muted')} />
}

const TermsCsv = ({ of }: { of: FundTarget | null }) => <CsvButton title="Fund target" columns={columnsOf('')} rows={of === null ? [] : [...termsOf(of), { key: 'target', name: 'Target', says: of.why, value: of.target, counts: true }, { key: 'fund', name: 'Fund', says: 'now', value: of.fund, counts: false }]} />

/** The terms against what the fund holds, on one scale. */
function Terms({ of }: { of: FundTarget }) {
  const terms = useMemo(() => termsOf(of), [of])
  const option = useCallback((colours: Palette) => ({
    grid: { left: 8, right: 58, top: 22, bottom: 36, containLabel: true },
    xAxis: { ...axis(colours, 'USD', { nameGap: 24 }), type: 'value', min: 0, max: Math.max(of.fund ?? 0, ...terms.map(({ value }) => value ?? 0)) * 1.02, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact, hideOverlap: true, showMaxLabel: false } },
    yAxis: { ...axis(colours, ''), type: 'category', inverse: true, data: terms.map(({ name }) => name), axisTick: { show: false }, axisLabel: { color: colours.text, fontSize: 12 } },
    series: [{
      type: 'bar', barMaxWidth: 18, data: terms.map(({ value, key, counts }) => ({ value, itemStyle: { color: BINDING[of.binding] === key ? colours.accent : counts ? colours.series[5] : colours.series[3] } })),
      label: { show: true, position: 'right', color: colours.text, fontSize: 11, formatter: ({ value }: { value: number | null }) => (value == null ? 'unknown' : compact(value)) },
      ...(of.fund === null ? {} : { markLine: { symbol: 'none', silent: true, lineStyle: { color: colours.up, type: 'solid', width: 2 }, label: { formatter: `Fund ${compact(of.fund)}`, color: colours.text, position: 'start', fontSize: 11 }, data: [{ xAxis: of.fund }] } }),
    }],
    tooltip: tooltip((parameters) => (parameters as { name: string; value: number | null }[]).map(({ name, value }) => [name, value == null ? 'unknown' : `${float(value, 2)} USD`])),
  }), [of, terms])
  const held = of.fund === null ? 'What the fund holds is unknown.' : of.gap !== null && of.gap <= 0 ? `The fund of ${compact(of.fund)} covers each term.` : `The fund of ${compact(of.fund)} is below the target by ${compact(of.gap ?? 0)}.`
  return <Chart title="Terms against the fund" summary={`${held} The largest term is the target.`} option={option} height={200} data={{ head: ['Term', 'USD'], rows: [...terms.map(({ name, value }) => [name, value]), ['Fund', of.fund]] }} />
}

/** The what-ifs in words: the target beside the policy's, days to a fee, and a fee to days. */
function Answers({ of, policy, kappa, stale }: { of: FundTarget; policy: FundTarget | null; kappa: number; stale: boolean }) {
  const at = of.atFees?.[0]
  return (
    <div className="fund-answers" aria-live="polite" aria-busy={stale}>
      <p>
        With at least {level(kappa)} of open interest, {float(of.openInterestTerm, 0)}, the target would be <b>{float(of.target, 0)}</b> ({of.binding}){policy && <>; the policy’s is {float(policy.target, 0)}</>}.
      </p>
      <p>
        {of.feeOfTurnover === null || of.feeShare === null ? <><Unknown why={of.feeUnknown?.message} /> {of.feeUnknown?.message}.</>
        : of.gap !== null && of.gap <= 0 ? <>Nothing is missing. <b>{bp(of.feeOfTurnover)}</b> of turnover, {percent(of.feeShare)} of trading fees, pays the expected loss.</>
        : <>To fill {float(of.gap ?? 0, 0)} in {daysOf(of.days)} the fund needs <b>{bp(of.feeOfTurnover)}</b> of turnover, {percent(of.feeShare)} of trading fees{of.feeReachable === false && <>: <b className="down">more than there is</b></>}.</>}
      </p>
      <p>
        {!at ? <><Unknown why={of.atFeesUnknown?.message} /> {of.atFeesUnknown?.message}.</> : (
          <>
            At <b>{bp(at.feeOfTurnover)}</b> of turnover it gets {float(at.incomePerDay)} a day{at.shareOfFees !== null && `, ${percent(at.shareOfFees)} of trading fees`}, {at.netPerDay < 0 ? 'which the expected loss exceeds' : `${float(at.netPerDay)} after the expected loss`}:{' '}
            <b>{at.days === null ? 'the gap is never filled' : at.days === 0 ? 'there is no gap to fill' : `the gap is filled in ${daysOf(at.days)}`}</b>
            {!at.reachable && <>, <span className="down">but trading fees do not bring as much</span></>}.
          </>
        )}
      </p>
      <p className="muted">Trading fees {float(of.feesPerDay, 0)} a day of {float(of.turnoverPerDay, 0)} turnover, {of.turnoverPerDay > 0 ? bp(of.feesPerDay / of.turnoverPerDay) : 'no'} of it; mean of 30 days.</p>
    </div>
  )
}

/** Days by fee, both in equal ratios. Fees that never fill the gap, and a gap that there is not, have no point. */
function Curve({ of }: { of: FundTarget }) {
  const points = useMemo(() => (of.atFees ?? []).slice(1), [of])
  const chosen = of.atFees?.[0]
  const option = useCallback((colours: Palette) => {
    const drawn = points.flatMap(({ feeOfTurnover, days }) => (days === null || days <= 0 ? [] : [[feeOfTurnover * 10_000, days]]))
    const most = of.turnoverPerDay > 0 ? (of.feesPerDay / of.turnoverPerDay) * 10_000 : null
    return {
      grid: { left: 62, right: 20, top: 28, bottom: 46 },
      xAxis: { ...axis(colours, 'Fee, bp of turnover', { nameGap: 28 }), type: 'log', min: CURVE[0], max: CURVE.at(-1), axisLabel: { color: colours.muted, fontSize: 11, formatter: (value: number) => String(Number(value.toPrecision(3))) } },
      yAxis: { ...axis(colours, 'Days to fill the gap', { nameGap: 46 }), type: 'log', min: 1, axisLabel: { color: colours.muted, fontSize: 11, formatter: compact } },
      series: [{
        type: 'line', symbol: 'none', data: drawn, lineStyle: { width: 2, color: colours.accent },
        markLine: { symbol: 'none', silent: true, label: { color: colours.text, fontSize: 11, position: 'insideEndTop' }, data: [
          ...(most === null ? [] : [{ xAxis: most, lineStyle: { color: colours.down, type: 'dashed' }, label: { formatter: 'all trading fees' } }]),
          ...(of.gap !== null && of.gap > 0 ? [{ yAxis: of.days, lineStyle: { color: colours.muted, type: 'dotted' }, label: { formatter: `${float(of.days, 0)} days`, position: 'insideStartTop' } }] : []),
        ] },
      }, {
        type: 'scatter', symbolSize: 10, itemStyle: { color: colours.text }, data: chosen?.days == null || chosen.days <= 0 ? [] : [[chosen.feeOfTurnover * 10_000, chosen.days]],
      }],
      tooltip: tooltip((parameters) => (parameters as { value: [number, number] }[]).slice(0, 1).map(({ value: [fee, days] }) => [`${float(fee, 2)} bp`, daysOf(days)])),
    }
  }, [points, chosen, of])
  if (of.atFees === null) return <Empty><Unknown why={of.atFeesUnknown?.message} /> {of.atFeesUnknown?.message}.</Empty>
  const none = of.gap !== null && of.gap <= 0
  if (none) return <Empty>The fund holds its target, so that no fee has a gap to fill. Raise the share of open interest to see what a larger target would take.</Empty>
  return (
    <Chart
      title="Days to fill the gap by fee" height={240} option={option}
      summary={chosen ? `At ${bp(chosen.feeOfTurnover)}: ${chosen.days === null ? 'never' : daysOf(chosen.days)}. Fees left of the line never fill it: the expected loss takes them.` : ''}
      data={{ head: ['Fee, fraction of turnover', 'Days to fill the gap', 'Income, USD a day', 'Net, USD a day', 'Share of trading fees'], rows: [...(of.atFees ?? [])].toSorted((a, b) => a.feeOfTurnover - b.feeOfTurnover).map((one) => [one.feeOfTurnover, one.days, one.incomePerDay, one.netPerDay, one.shareOfFees]) }}
    />
  )
}
