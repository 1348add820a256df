import { BadInputError } from '../../core/errors.ts'

/** Margin ratios as fractions of notional, and what set them. */
export type DynamicMargin = {
  readonly initial: number
  readonly maintenance: number
  /** ES of one unit of notional over each horizon, worse side. */
  readonly initialShortfall: number
  readonly maintenanceShortfall: number
  readonly binding: 'current volatility' | 'long-run floor' | 'ratio to maintenance' | 'policy bound'
}

/**
 * Volatility-dynamic margins.
 *
 * MM = max(ES99 now, ES99 at long-run volatility)(h_liquidation) + impact + penalty.
 * IM = clamp(max(long-run floor, 1.25·ES99_FHS(h_detection + h_liquidation)), min, max) + impact, and at least ratio·MM (1.3).
 * All fractions ≥ 0. The 1.25 is EMIR's 25 % buffer, the long-run floor its look-back floor.
 * Source: Commission Delegated Regulation (EU) 153/2013, art. 28(1)(a) and (c); risk models §7 and §8.
 */
export function dynamicMargin(input: {
  /** ES99 over the IM horizon at today's volatility, and at the whole window's. */
  initialNow: number
  initialLongRun: number
  /** The same over the liquidation horizon. */
  maintenanceNow: number
  maintenanceLongRun: number
  impact: number
  penalty: number
  buffer: number
  minRatio: number
  min: number
  max: number
}): DynamicMargin {
  const { initialNow, initialLongRun, maintenanceNow, maintenanceLongRun, impact, penalty, buffer, minRatio, min, max } = input
  const all = [initialNow, initialLongRun, maintenanceNow, maintenanceLongRun, impact, penalty, buffer, minRatio]
  if (!all.every((x) => x >= 0 && Number.isFinite(x)) || !(min <= max)) throw new BadInputError(`Found margin inputs ${all.join(', ')} between ${min} and ${max}, allowed are numbers from 0 and bounds in order; check the statistics`)
  const maintenanceShortfall = Math.max(maintenanceNow, maintenanceLongRun)
  const maintenance = maintenanceShortfall + impact + penalty
  const buffered = (1 + buffer) * initialNow
  const unclamped = Math.max(initialLongRun, buffered)
  const clamped = Math.min(max, Math.max(min, unclamped))
  const own = clamped + impact
  const initial = Math.max(own, minRatio * maintenance)
  const binding = initial > own ? 'ratio to maintenance' : clamped !== unclamped ? 'policy bound' : initialLongRun > buffered ? 'long-run floor' : 'current volatility'
  return { initial, maintenance, initialShortfall: Math.max(initialNow, initialLongRun), maintenanceShortfall, binding }
}
