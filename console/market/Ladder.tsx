/** What each price of the market would set off. The handle stands at one price, and its figures are the API's own for that price. */
import { Slider } from '@base-ui/react/slider'
import { useCallback, useEffect, useId, useMemo, useState } from 'react'
import { useAnswer } from '../data/client.ts'
import { LadderDocument } from '../generated/operations.ts'
import type { LadderQuery } from '../generated/operations.ts'
import { Chart, axis } from '../ui/Chart.tsx'
import type { ChartData, Palette } from '../ui/Chart.tsx'
import { bars, plot } from '../ui/bars.ts'
import { compact, decimal, price as priceText, signedPercent, usd, whole } from '../ui/format.ts'
import { Empty, Figure, Hint, Loaded, Provenance, Sums, Unknown } from '../ui/parts.tsx'
import { typedNumber } from '../ui/number.ts'
import { Choice, Unknowns, text, useChoice, usePlace } from './parts.tsx'
import { clean, roundStep } from './series.ts'

type Answer = NonNullable<LadderQuery['liquidationLadder']>
type Rung = Answer['rungs'][number]

/** Every 2.5 %, as far as the handle goes. */
const SPAN = 0.5
const CHANGES = Array.from({ length: 41 }, (_, i) => clean(-SPAN + i * 0.025))
/** After the handle has stood still for so long its price is asked for. */
const ASK_MS = 120
/** Where nobody has chosen a price. */
const FIRST_CHANGE = -0.1

/** Of the plot within the chart, px: the slider lies over it. */
const GRID = { left: 64, right: 24, top: 34, bottom: 46 }
const PLOT = 116
/** What a chart has below its plot. */
const FOOT = 6
const HEIGHT = GRID.top + 2 * PLOT + 20 + GRID.bottom

/** 1,420 of 1,420.00: a price that somebody chose. */
const chosen = (value: number): string => decimal(text(clean(value)), 6).replace(/\.?0+$/, '')

export function Ladder({ market, symbol }: { market: string; symbol: string }) {
  const [joint, setJoint] = useChoice('joint', ['0', '1'], '0')
  const ladder = useAnswer(LadderDocument, { market, changes: CHANGES, joint: joint === '1' }, 'minute')
  return (
    <>
      <Loaded of={ladder} height={HEIGHT + 268}>
        {({ liquidationLadder }) => (liquidationLadder ? <Rungs ladder={liquidationLadder} market={market} symbol={symbol} joint={joint === '1'} onJoint={(on) => setJoint(on ? '1' : '0')} /> : <Empty>The API has no index price of this market yet, so nothing can be said of others.</Empty>)}
      </Loaded>
    </>
  )
}

function Rungs({ ladder, market, symbol, joint, onJoint }: { ladder: Answer; market: string; symbol: string; joint: boolean; onJoint: (joint: boolean) => void }) {
  const [place, setPlace] = usePlace('at')
  const placed = Number(place)
  const kept = place !== null && placed > 0 && Number.isFinite(placed) ? placed : null
  // While it is dragged the handle runs ahead of the address.
  const [dragged, setDragged] = useState<number | null>(null)
  const [base, setBase] = useState({ price: ladder.price, block: ladder.provenance.block.number })
  const tick = roundStep(ladder.price * 0.0025)
  const [low, high] = [clean(Math.ceil((ladder.price * (1 - SPAN)) / tick) * tick), clean(Math.floor((ladder.price * (1 + SPAN)) / tick) * tick)]
  const at = dragged ?? kept ?? clean(Math.round((ladder.price * (1 + FIRST_CHANGE)) / tick) * tick)
  const newest = Number(ladder.provenance.block.number) > Number(base.block) ? { price: ladder.price, block: ladder.provenance.block.number } : base

  const [asked, setAsked] = useState(at)
  useEffect(() => {
    const timer = setTimeout(() => setAsked(at), ASK_MS)
    return () => clearTimeout(timer)
  }, [at])
  const change = asked / newest.price - 1
  const answer = useAnswer(LadderDocument, { market, changes: [change], joint }, 'minute')
  const found = answer.isPlaceholderData ? undefined : (answer.data?.liquidationLadder ?? undefined)
  // The index moved since: the same price is another change of it.
  useEffect(() => { if (found && Number(found.provenance.block.number) > Number(base.block)) setBase({ price: found.price, block: found.provenance.block.number }) }, [found, base])
  const rung = found?.rungs[0]
  const exact = rung && asked === at && Math.abs(rung.price / at - 1) < 1e-9 ? rung : undefined

  const rungs = ladder.rungs
  const below = rungs.findLast((one) => one.price <= at)
  const above = rungs.find((one) => one.price >= at)
  const sentence = exact ? `At ${chosen(at)}: ${wordsOf(exact)}.` : answer.error ? `At ${chosen(at)}: not known. ${answer.error.message}.` : `At ${chosen(at)}: asking. ${between(below, above)}`

  const option = useCallback((colours: Palette) => chartOption(colours, rungs, exact, ladder.price, [low, high], symbol), [rungs, exact, ladder.price, low, high, symbol])
  const data = useMemo((): ChartData => ({
    head: ['Change of the price, fraction', 'Price, USD', 'Accounts below their requirement', 'Their notional, USD', 'of it in this market, USD', 'Bad debt, USD', 'Paid by the fund, USD', 'Uncovered, USD'],
    rows: [...rungs, ...(exact && !rungs.some((one) => one.price === exact.price) ? [exact] : [])].toSorted((a, b) => a.price - b.price).map((one) => [one.change, one.price, one.accounts, one.notional, one.notionalInMarket, one.badDebt, one.fundUsed, one.uncovered]),
  }), [rungs, exact])
  const move = (value: number) => setDragged(clean(value))
  const settle = (value: number) => { setDragged(null); setPlace(String(clean(value))) }
  return (
    <>
      <div>
        <output className="market-said" aria-live="polite">{sentence}</output>
        <div className="controls">
          <PriceInput at={at} low={low} high={high} onPrice={settle} />
          <Choice label="All other prices" of={[['0', 'stand still'], ['1', 'move by their betas']]} value={joint ? '1' : '0'} onChoice={(next) => onJoint(next === '1')} />
        </div>
      </div>
      <Chart title={`Liquidation ladder, ${symbol}`} summary={`Bars every 2.5 % of the price now, ${priceText(text(ladder.price))}; the line is the price asked about.`} option={option} data={data} height={HEIGHT}>
        <Slider.Root className="market-slider" style={{ left: GRID.left, right: GRID.right, bottom: GRID.bottom + FOOT, height: HEIGHT - GRID.top - GRID.bottom }} value={Math.min(high, Math.max(low, at))} min={low} max={high} step={tick} largeStep={tick * 10} onValueChange={move} onValueCommitted={settle} aria-label={`Price of ${symbol} that is asked about, USD`}>
          <Slider.Control className="market-plot"><Slider.Track className="market-track"><Slider.Thumb className="market-handle" getAriaLabel={() => `Price of ${symbol} that is asked about, USD`} getAriaValueText={() => sentence} /></Slider.Track></Slider.Control>
        </Slider.Root>
      </Chart>
      <div className="market-tight"><Sums of={[
        ['Price', <Figure key="p" exact={String(exact?.price ?? at)} unit="USD">{priceText(text(at))}</Figure>, exact ? `${signedPercent(exact.change)} of the index` : `${signedPercent(at / ladder.price - 1)} of the index`],
        ['Accounts', exact ? whole(exact.accounts) : '…', 'below their requirement'],
        ['Notional', figure(exact, exact?.notional), exact ? `${compact(exact.notionalInMarket)} in this market` : ' '],
        ['Bad debt', figure(exact, exact?.badDebt), 'closing costs included'],
        ['Fund pays', figure(exact, exact?.fundUsed, 'The insurance fund is not indexed'), ladder.fund === null ? 'the fund is unknown' : `of ${compact(ladder.fund)}`],
        ['Uncovered', figure(exact, exact?.uncovered, 'The insurance fund is not indexed'), 'paid by nobody'],
      ]} /></div>
      <p className="market-betas">Per 1 % of {symbol}: {ladder.betas.map(({ name, value }) => `${name} ${value.toFixed(2)} %`).join(' · ') || 'nothing else has a price'}. {joint ? 'Betas of hourly returns over 30 days; 1 for collateral that is the same coin.' : <>Others stand still, but for collateral that is the same coin. <Hint text="All accounts are valued at that one price; nobody is liquidated on the way there.">No path</Hint>.</>}</p>
      <Unknowns of={ladder.unknown} />
      <Provenance of={(exact ? found : undefined)?.provenance ?? ladder.provenance} />
    </>
  )
}

const figure = (exact: Rung | undefined, value: number | null | undefined, why?: string) => (!exact ? '…' : value == null ? <Unknown why={why} /> : <Figure exact={String(value)} unit="USD">{usd(text(value))}</Figure>)

function wordsOf({ accounts, notional, badDebt, fundUsed, uncovered }: Rung): string {
  if (accounts === 0) return 'no account below its requirement'
  const fund = fundUsed === null || uncovered === null ? 'what the fund pays is unknown' : badDebt === 0 ? null : `the fund pays ${compact(fundUsed)}, ${uncovered === 0 ? 'nothing is uncovered' : `${compact(uncovered)} uncovered`}`
  return [`${whole(accounts)} ${accounts === 1 ? 'account' : 'accounts'}`, compact(notional), `${badDebt === 0 ? 'no' : compact(badDebt)} bad debt`, ...(fund ? [fund] : [])].join(', ')
}

function between(below: Rung | undefined, above: Rung | undefined): string {
  const one = (rung: Rung): string => `${chosen(Number(rung.price.toPrecision(6)))} (${rung.accounts} accounts, ${compact(rung.badDebt)} bad debt)`
  return below && above ? `Known beside it: ${one(below)} and ${one(above)}` : below ?? above ? `Known beside it: ${one((below ?? above) as Rung)}` : ''
}

function PriceInput({ at, low, high, onPrice }: { at: number; low: number; high: number; onPrice: (price: number) => void }) {
  const id = useId()
  const [typed, setTyped] = useState<string | null>(null)
  const value = typedNumber(typed ?? '')
  const wrong = typed !== null && (value === null || value < low || value > high)
  const take = () => {
    if (value === null || wrong) return
    setTyped(null)
    onPrice(value)
  }
  return (
    <div className="field market-typed">
      <label htmlFor={id}>Price, USD</label>
      <input id={id} inputMode="decimal" autoComplete="off" value={typed ?? chosen(at)} aria-invalid={wrong} aria-describedby={wrong ? `${id}-wrong` : undefined} onChange={(event) => setTyped(event.target.value)} onBlur={take} onKeyDown={(event) => { if (event.key === 'Enter') take(); if (event.key === 'Escape') setTyped(null) }} />
      {wrong && <span id={`${id}-wrong`} className="down">Found {typed.trim() === '' ? 'nothing' : `“${typed.trim()}”`}, allowed is {chosen(low)} to {chosen(high)}.</span>}
    </div>
  )
}

function chartOption(colours: Palette, rungs: readonly Rung[], exact: Rung | undefined, now: number, [low, high]: readonly [number, number], symbol: string) {
  // A rung is of one price; those at the ends of the axis are drawn whole.
  const drawn = (name: string, colour: string, at: 0 | 1, value: (rung: Rung) => number, above: (rung: Rung) => number = () => 0) =>
    bars(name, colour, rungs.map((rung) => [rung.price, rung.price, above(rung), above(rung) + value(rung)]), { least: 5, clip: false, xAxisIndex: at, yAxisIndex: at })
  const dot = (at: 0 | 1, colour: string, value: (rung: Rung) => number) => (exact ? [{ name: 'At the price asked about', type: 'scatter', xAxisIndex: at, yAxisIndex: at, symbol: 'circle', symbolSize: 10, z: 5, itemStyle: { color: colour, borderColor: colours.panel, borderWidth: 2 }, data: [[exact.price, value(exact)]] }] : [])
  const label = { color: colours.muted, fontSize: 11, hideOverlap: true }
  const known = rungs.every(({ fundUsed, uncovered }) => fundUsed !== null && uncovered !== null)
  const across = { type: 'value', min: low, max: high, splitLine: { show: false } }
  const up = (name: string, gridIndex: 0 | 1) => axis(colours, name, { type: 'value', gridIndex, min: 0, splitNumber: 3, nameGap: 48, axisLabel: { ...label, formatter: compact } })
  const index = (named: boolean) => ({ silent: true, symbol: 'none', label: { show: named, formatter: 'index now', color: colours.muted, fontSize: 11, position: 'end', distance: 3 }, lineStyle: { color: colours.muted, type: 'dashed' }, data: [{ xAxis: now }] })
  return {
    grid: [plot({ left: GRID.left, right: GRID.right, top: GRID.top, height: PLOT }), plot({ left: GRID.left, right: GRID.right, bottom: GRID.bottom, height: PLOT })],
    legend: { top: 0, left: 10, itemGap: 8, itemWidth: 10, itemHeight: 10, textStyle: { color: colours.muted, fontSize: 11 }, selectedMode: false, data: ['Notional', ...(known ? ['Bad debt, fund pays', 'Bad debt, uncovered'] : ['Bad debt, who pays is unknown'])] },
    xAxis: [
      axis(colours, '', { ...across, gridIndex: 0, axisLabel: { show: false } }),
      axis(colours, `Price of ${symbol}, USD`, { ...across, gridIndex: 1, nameGap: 26, axisLabel: { ...label, formatter: (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 6 }) } }),
    ],
    yAxis: [up('Notional, USD', 0), up('Bad debt, USD', 1)],
    series: [
      { ...drawn('Notional', colours.series[0] as string, 0, (rung) => rung.notional), markLine: index(true) },
      ...(known
        ? [{ ...drawn('Bad debt, fund pays', colours.warn, 1, (rung) => rung.fundUsed ?? 0), markLine: index(false) }, drawn('Bad debt, uncovered', colours.down, 1, (rung) => rung.uncovered ?? 0, (rung) => rung.fundUsed ?? 0)]
        : [{ ...drawn('Bad debt, who pays is unknown', colours.series[5] as string, 1, (rung) => rung.badDebt), markLine: index(false) }]),
      ...dot(0, colours.series[0] as string, (rung) => rung.notional),
      ...dot(1, !known ? colours.series[5] as string : exact?.uncovered ? colours.down : colours.warn, (rung) => rung.badDebt),
    ],
  }
}
