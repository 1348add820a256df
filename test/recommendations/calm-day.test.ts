import { describe, expect, test } from '@jest/globals'
import { recomputeRun } from '../../api/recommendations/run.ts'
import type { RunInputs, SeriesInput } from '../../api/recommendations/inputs.ts'
import { AS_OF_SEC, book, FEEDS, normals, walk } from './book.ts'

const HOUR_BARS = 12
const DAY_HOURS = 24

/** A walk that goes on for a day beyond the window with the same volatility. */
function longWalk(feed: string, sigma: number, last: number, seed: number): SeriesInput {
  const past = walk(feed, { sigma, last, everyBars: 4, seed, updates: 2_160 })
  let price = last
  const bars = [...past.bars]
  normals((DAY_HOURS * HOUR_BARS) / 4, seed + 1).forEach((z, i) => {
    price *= Math.exp(z * sigma * 2)
    bars.push([2_160 * 4 + i * 4, `${BigInt(Math.round(price * 1e8))}0000000000`])
  })
  return { ...past, bars }
}

/** The window that ends `hours` after the book's. */
function windowAt(series: SeriesInput, hours: number): SeriesInput {
  const shift = hours * HOUR_BARS
  const count = (series.endSec - series.startSec) / 300
  return { ...series, startSec: series.startSec + shift * 300, endSec: series.endSec + shift * 300, bars: series.bars.filter(([i]) => i >= shift && i < shift + count).map(([i, p]) => [i - shift, p] as const) }
}

describe('recommendations over a calm day', () => {
  test('behavior: settled parameters stay where they are, hour after hour, while prices walk on at their usual volatility', () => {
    const walks = [longWalk(FEEDS.OP, 0.004, 2, 17), longWalk(FEEDS.ETH, 0.0041, 3_000, 13)]
    const at = (inputs: RunInputs, hours: number): RunInputs => ({
      ...inputs,
      asOfSec: AS_OF_SEC + hours * 3_600,
      series: walks.map((s) => windowAt(s, hours)),
      markets: inputs.markets.map((m) => ({ ...m, oracle: m.oracle === null ? null : { ...m.oracle, priceTimestampSec: AS_OF_SEC + hours * 3_600 - 600 } })),
      collaterals: inputs.collaterals.map((c) => ({ ...c, oracle: c.oracle === null ? null : { ...c.oracle, priceTimestampSec: AS_OF_SEC + hours * 3_600 - 600 } })),
    })
    const applied = (inputs: RunInputs, changedAtSec: number | null): RunInputs => {
      const next = new Map(recomputeRun(inputs).map((r) => [`${r.parameter}:${r.subject}`, r]))
      return { ...inputs, parameters: inputs.parameters.map((p) => {
        const found = next.get(`${p.name}:${p.subject}`)
        return found === undefined || found.direction === 'HOLD' ? p : { ...p, current: found.recommended.toString(), changedAtSec }
      }) }
    }
    // Set once, step after step, as people would over weeks.
    let state = at(book(), 0)
    for (let i = 0; i < 15; i++) state = applied(state, null)
    const settled = state.parameters.map((p) => p.current)

    const moves: string[] = []
    const bands = new Set<number | null>()
    for (let hour = 1; hour <= DAY_HOURS; hour++) {
      state = at(state, hour)
      for (const r of recomputeRun(state)) {
        if (r.direction !== 'HOLD') moves.push(`${hour}: ${r.parameter} ${r.subjectLabel} ${r.direction}`)
        if (r.parameter === 'marketMaxPriceSpreadRatio') bands.add(r.modelValue)
      }
      state = applied(state, state.asOfSec)
    }
    expect(moves).toEqual([])
    // The models did speak: what they ask for moved from hour to hour.
    expect(bands.size).toBeGreaterThan(DAY_HOURS)
    expect(state.parameters.map((p) => p.current)).toEqual(settled)
  }, 120_000)
})
