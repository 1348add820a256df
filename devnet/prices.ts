import { GENESIS_TIMESTAMP_SEC } from './genesis.ts'
import { MARKETS } from './markets.ts'
import type { Random } from './random.ts'

export type Regime = 'calm' | 'volatile' | 'crash' | 'squeeze' | 'slide'

/** What the world does at one moment of the history. Lists are in the order of `MARKETS`. */
export type PriceStep = {
  readonly timestampSec: number
  /** Hours since the markets opened. */
  readonly hour: number
  readonly regime: Regime
  readonly pricesUsd: readonly number[]
  /** Markets whose source reports now; the others keep silent. */
  readonly reporting: readonly number[]
  /** A market whose source answers 0 now, as a broken one would. */
  readonly broken: number | null
  /** Liquidators are offline in the worst minutes of the worst crash: that is how bad debt comes about. */
  readonly liquidatorsAwake: boolean
}

/** Time that the pools need before the mark price can average over 30 minutes. */
export const OPENING_SEC = GENESIS_TIMESTAMP_SEC + 2_700

const HOUR_SEC = 3_600
const HOURS_PER_YEAR = 8_766

/** Seconds between two steps: about the heartbeat (20 minutes) of a Chainlink feed on Optimism; finer when things move. */
const STEP_SEC = 1_380
const FAST_STEP_SEC = 120

/** Hourly log-drift of each market and the annual volatility around it. */
type Weather = { readonly regime: Regime; readonly volatility: readonly number[]; readonly driftPerHour: readonly number[]; readonly fast: boolean }

const CALM = [0.5, 0.4, 0.8]
const VOLATILE = [1.1, 0.9, 1.6]
const WILD = [2.2, 1.8, 3]

/**
 * Two crashes in the sizes of 2022-05-12 (Terra) and 2021-05-19 as hourly candles recorded them: what the worst hour
 * and the worst 24 hours lost, as log returns. The third market, thinner, loses about 1.3 times what ETH loses.
 */
const CRASHES = [
  { hour: 292, worstHour: [-0.132, -0.082, -0.18], restOfDay: [-0.177, -0.104, -0.19], liquidatorsAsleep: false },
  { hour: 482, worstHour: [-0.3285, -0.174, -0.42], restOfDay: [-0.28, -0.204, -0.38], liquidatorsAsleep: true },
] as const

/** Hours of the slide that a crash begins with, and of the rebound that follows it. */
const SLIDE_HOURS = 12
const REBOUND_HOURS = 8
const REBOUND_SHARE = 0.45

const SQUEEZE = { hour: 575, hours: 3, rise: [0.18, 0.11, 0.24] } as const
const FINAL_SLIDE = { hours: 4, fall: [-0.03, -0.022, -0.034] } as const

/** The third market's source falls silent for hours; the first one's answers 0 for a while. */
const SILENCE = { market: 2, fromHour: 420, toHour: 427 } as const
const BREAKAGE = { market: 0, fromHour: 440, toHour: 441.5 } as const

const zero = MARKETS.map(() => 0)
const scaled = (list: readonly number[], factor: number) => list.map((x) => x * factor)

function weatherAt(hour: number, totalHours: number): Weather {
  const untilEnd = totalHours - hour
  if (untilEnd <= FINAL_SLIDE.hours) return { regime: 'slide', volatility: scaled(CALM, 0.6), driftPerHour: scaled(FINAL_SLIDE.fall, 1 / FINAL_SLIDE.hours), fast: false }
  for (const crash of CRASHES) {
    const into = hour - crash.hour
    if (into >= -SLIDE_HOURS && into < 0) return { regime: 'volatile', volatility: VOLATILE, driftPerHour: scaled(crash.restOfDay, 1 / SLIDE_HOURS), fast: into >= -1 }
    if (into >= 0 && into < 1) return { regime: 'crash', volatility: WILD, driftPerHour: crash.worstHour, fast: true }
    if (into >= 1 && into < 1 + REBOUND_HOURS) return { regime: 'volatile', volatility: VOLATILE, driftPerHour: scaled(crash.worstHour, -REBOUND_SHARE / REBOUND_HOURS), fast: into < 2 }
    if (into >= 1 + REBOUND_HOURS && into < 72) return { regime: 'volatile', volatility: VOLATILE, driftPerHour: [0.0012, 0.0008, 0.0015], fast: false }
  }
  const intoSqueeze = hour - SQUEEZE.hour
  if (intoSqueeze >= 0 && intoSqueeze < SQUEEZE.hours) return { regime: 'squeeze', volatility: VOLATILE, driftPerHour: scaled(SQUEEZE.rise, 1 / SQUEEZE.hours), fast: true }
  if (hour >= 190 && hour < 280) return { regime: 'volatile', volatility: VOLATILE, driftPerHour: zero, fast: false }
  return { regime: 'calm', volatility: CALM, driftPerHour: zero, fast: false }
}

/** Correlated standard normals: ETH leads, BTC follows with ρ 0.8, the third market with ρ 0.75 to ETH. */
export function correlated(rng: Random): number[] {
  const lead = rng.normal()
  return MARKETS.map((_, i) => {
    if (i === 0) return lead
    const rho = i === 1 ? 0.8 : 0.75
    return rho * lead + Math.sqrt(1 - rho * rho) * rng.normal()
  })
}

/** The price path of `days` days: geometric Brownian motion whose drift and volatility follow the weather. */
export function pricePath(rng: Random, days: number): PriceStep[] {
  const totalHours = days * 24
  const steps: PriceStep[] = []
  let logs = MARKETS.map((m) => Math.log(m.initialPriceUsd))
  let second = 0
  while (second <= totalHours * HOUR_SEC) {
    const hour = second / HOUR_SEC
    const weather = weatherAt(hour, totalHours)
    const stepSec = weather.fast ? FAST_STEP_SEC : STEP_SEC
    if (second > 0) {
      const dtHours = stepSec / HOUR_SEC
      const noise = correlated(rng)
      logs = logs.map((log, i) => {
        const sigma = (weather.volatility[i] ?? 0) * Math.sqrt(dtHours / HOURS_PER_YEAR)
        return log + (weather.driftPerHour[i] ?? 0) * dtHours + sigma * (noise[i] ?? 0) - (sigma * sigma) / 2
      })
    }
    const silent = hour >= SILENCE.fromHour && hour < SILENCE.toHour ? SILENCE.market : null
    const broken = hour >= BREAKAGE.fromHour && hour < BREAKAGE.toHour ? BREAKAGE.market : null
    steps.push({
      timestampSec: OPENING_SEC + second,
      hour,
      regime: weather.regime,
      pricesUsd: logs.map((log) => Math.exp(log)),
      reporting: MARKETS.map((_, i) => i).filter((i) => i !== silent),
      broken,
      liquidatorsAwake: !CRASHES.some((c) => c.liquidatorsAsleep && hour >= c.hour && hour < c.hour + 0.9),
    })
    second += stepSec
  }
  return steps
}

/** A live source reports when the price has left its last report by this fraction, or when the report is this old: the habits of real feeds. */
export const REPORT_DEVIATION = 0.003
export const REPORT_HEARTBEAT_SEC = 1_200

/** What a source said last. */
export type Report = { readonly priceUsd: number; readonly timestampSec: number }

/** Whether a source has to report now, so that no report grows older than the heartbeat; it is asked again `nextSec` seconds from now. */
export function isReportDue(last: Report, priceUsd: number, nowSec: number, nextSec: number): boolean {
  return Math.abs(priceUsd / last.priceUsd - 1) >= REPORT_DEVIATION || nowSec + nextSec - last.timestampSec > REPORT_HEARTBEAT_SEC
}
