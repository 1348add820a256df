/** Words for circuit breakers: what each trigger counts, as schema.graphql says it of BreakerTrigger, and the levels. */
import type { BreakerLevel } from '../generated/operations.ts'
import { float, percent } from './format.ts'
import { Tag } from './parts.tsx'

type Known = { readonly title: string; readonly unit: 'heartbeats' | 'bands' | 'capacity' | 'share'; readonly what: string }

export const TRIGGERS: Readonly<Record<string, Known>> = {
  staleness: { title: 'Oracle’s age', unit: 'heartbeats', what: 'Age of the oracle’s price, in heartbeats of its feed' },
  deviation: { title: 'Market from index', unit: 'bands', what: 'Distance of the market’s price from the index, in multiples of the price band' },
  band: { title: '5-minute move', unit: 'bands', what: 'Move of five minutes, in multiples of the price band' },
  velocity: { title: 'Liquidations', unit: 'capacity', what: 'Liquidations of 15 minutes over what the pools take in that time, if they are as deep again every 600 s' },
  fundDrawdown: { title: 'Fund lost in 24 h', unit: 'share', what: 'Share of the insurance fund lost in 24 h; surplus paid out and transfers left out' },
  utilisation: { title: 'Utilisation', unit: 'share', what: 'Share of what backs the market that is in use; nothing is lent out in Curie' },
}

const UNIT: Readonly<Record<Exclude<Known['unit'], 'share'>, string>> = { heartbeats: 'heartbeats', bands: '× band', capacity: '× capacity' }

/** A trigger's value with its unit: `0.81 heartbeats`, `12.00 %`. */
export function showTrigger(name: string, value: number): string {
  const unit = TRIGGERS[name]?.unit
  return unit === 'share' ? percent(value) : `${float(value, 2)}${unit ? ` ${UNIT[unit]}` : ''}`
}

/** The unit that its entries are typed in. */
export const unitOf = (name: string): string => {
  const unit = TRIGGERS[name]?.unit
  return unit === undefined ? '' : unit === 'share' ? 'share, 0.1 is 10 %' : UNIT[unit]
}

/** In order of severity. */
export const LEVELS = ['NORMAL', 'WATCH', 'RESTRICT', 'HALT'] as const satisfies readonly BreakerLevel[]
export const severityOf = (level: BreakerLevel): number => LEVELS.indexOf(level)

/** Told apart without colour. */
export const LEVEL_MARK: Record<BreakerLevel, string> = { NORMAL: '●', WATCH: '▲', RESTRICT: '◆', HALT: '■' }

export const LevelTag = ({ level }: { level: BreakerLevel }) => <Tag kind={level === 'NORMAL' ? 'good' : level === 'WATCH' ? 'warn' : 'down'}>{LEVEL_MARK[level]} {level}</Tag>
