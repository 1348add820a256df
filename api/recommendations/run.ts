/** From inputs to recommendations: pure, so that stored inputs give the same bytes again. */
import { BadInputError } from '../../core/errors.ts'
import { max, min, mulDiv } from '../../core/units.ts'
import { adjust, SampleTooSmallError, type Adjusted, type Direction } from '../risk/index.ts'
import { canonicalJson, digestOf, type Json } from './canonical.ts'
import { createContext, type Alarm, type RunContext } from './context.ts'
import { formatRaw, percent } from './format.ts'
import type { ParameterInput, RunInputs } from './inputs.ts'
import { modelOf, models, type Evidence, type Outcome } from './model.ts'
import './parameters/index.ts'
import type { ParameterPolicy } from './policy.ts'

/** What one recommendation is computed from, and nothing else. */
export type RecommendationInputs = {
  readonly version: '1'
  readonly model: string
  readonly modelVersion: string
  readonly settlementSymbol: string
  readonly parameter: ParameterInput
  readonly policy: ParameterPolicy
  readonly alarm: Alarm
  readonly asOfSec: number
  /** What the model prepared; null where it could not. */
  readonly data: Json
  /** Why it could not, in one sentence. */
  readonly unknown: string | null
}

export type AdjustmentText = { readonly step: string; readonly from: string; readonly to: string; readonly why: string }

/** A model's word on one parameter of one subject. Raw values in the catalog's unit. */
export type RecommendationContent = {
  readonly parameter: string
  readonly scope: ParameterInput['scope']
  readonly subject: string
  readonly subjectLabel: string
  readonly current: bigint
  readonly recommended: bigint
  /** Before bounds and limits, human unit; null is unknown. */
  readonly modelValue: number | null
  readonly direction: Direction
  readonly urgency: number
  readonly confidence: number
  readonly reason: string
  readonly evidence: readonly Evidence[]
  readonly adjustments: readonly AdjustmentText[]
  readonly model: string
  readonly modelVersion: string
  readonly inputsDigest: string
  readonly inputs: RecommendationInputs
  readonly settable: boolean
  readonly advisory: string | null
}

const PPM = 1_000_000n
const share = (raw: bigint, rel: number): bigint => mulDiv(raw, BigInt(Math.round(rel * 1e6)), PPM)

/** The controller over one model value, under the parameter's policy. */
function adjusted(inputs: RecommendationInputs, raw: bigint): Adjusted {
  const { parameter, policy } = inputs
  const model = modelFor(inputs)
  const current = BigInt(parameter.current)
  const step = (rel: number): bigint => max(share(current, rel), BigInt(policy.stepFloor))
  return adjust({
    model: raw,
    current,
    onChainBounds: { min: BigInt(parameter.min), max: BigInt(parameter.max) },
    policyBounds: { min: max(BigInt(policy.min), BigInt(parameter.min)), max: min(BigInt(policy.max), BigInt(parameter.max)) },
    rateLimit: { tighten: step(policy.tightenRel), loosen: step(policy.loosenRel) },
    deadband: max(share(current, policy.deadbandRel), BigInt(policy.deadbandFloor)),
    cooldown: { tightenSec: policy.tightenCooldownSec, loosenSec: policy.loosenCooldownSec },
    quantum: BigInt(policy.quantum),
    tightWay: model.tightWay,
    switchedOff: current === 0n ? (model.atZero ?? null) : null,
    breaker: inputs.alarm.level,
    standing: parameter.standing === null ? null : BigInt(parameter.standing),
    lastChangeTimestamp: parameter.changedAtSec,
    now: inputs.asOfSec,
    show: (amount) => formatRaw(amount, parameter.unit, parameter.decimals, inputs.settlementSymbol),
  })
}

function modelFor(inputs: RecommendationInputs): NonNullable<ReturnType<typeof modelOf>> {
  const model = modelOf(inputs.parameter.name)
  if (model === undefined || model.model !== inputs.model || model.version !== inputs.modelVersion) {
    throw new BadInputError(`Found model ${inputs.model} version ${inputs.modelVersion} for ${inputs.parameter.name}, allowed is ${model === undefined ? 'none' : `${model.model} version ${model.version}`}; recompute with the version that made it`)
  }
  return model
}

/**
 * Urgency 0 to 100: how far the risk that stands now is from the one that the model asks for, u = 100·(1 − e^−|ln(now / asked)|)·confidence.
 * Loosening counts 30 % of that: nobody is endangered by a parameter that is too tight. HOLD is 0.
 */
function urgencyOf(direction: Direction, current: bigint, outcome: Outcome, quantum: bigint): number {
  if (direction === 'HOLD') return 0
  const riskOf = outcome.riskOf ?? Number
  // One quantum keeps the logarithm finite at 0 and makes it blind to differences that cannot be set.
  const smallest = Math.abs(riskOf(current + quantum) - riskOf(current))
  const distance = Math.abs(Math.log((riskOf(current) + smallest) / (riskOf(outcome.raw) + smallest)))
  return Math.min(100, Math.round(100 * -Math.expm1(-distance) * outcome.confidence.value * (direction === 'LOOSEN' ? 0.3 : 1)))
}

function reasonOf(inputs: RecommendationInputs, outcome: Outcome, result: Adjusted): string {
  const { parameter } = inputs
  const text = (raw: bigint): string => formatRaw(raw, parameter.unit, parameter.decimals, inputs.settlementSymbol)
  const current = BigInt(parameter.current)
  const start = `${outcome.because.charAt(0).toUpperCase()}${outcome.because.slice(1)}, it is ${text(current)}`
  const last = result.adjustments.at(-1)
  if (result.direction === 'HOLD') {
    return last === undefined ? start : `${start}; held (${last.step}: ${last.why})`
  }
  const limited = result.adjustments.find((a) => a.step === 'rate limit') ?? result.adjustments.find((a) => a.step !== 'quantise' && a.step !== 'standing')
  return limited === undefined ? start : `${start}; this step goes to ${text(result.value)} (${limited.step})`
}

/**
 * One recommendation from its stored inputs, byte for byte (`canonicalJson` of the result is stable).
 * Throws BadInputError where the inputs come from a model version that is not here.
 */
export function recompute(inputs: RecommendationInputs): RecommendationContent {
  const { parameter } = inputs
  const model = modelFor(inputs)
  const current = BigInt(parameter.current)
  const shared = {
    parameter: parameter.name,
    scope: parameter.scope,
    subject: parameter.subject,
    subjectLabel: parameter.subjectLabel,
    current,
    model: inputs.model,
    modelVersion: inputs.modelVersion,
    inputsDigest: digestOf(inputs),
    inputs,
    settable: parameter.settable,
    advisory: parameter.settable ? null : `advisory: needs an upgrade${parameter.advisory === null ? '' : ` (${parameter.advisory})`}`,
  }
  if (inputs.unknown !== null) {
    return {
      ...shared,
      recommended: current,
      modelValue: null,
      direction: 'HOLD',
      urgency: 0,
      confidence: 0,
      reason: `Unknown: ${inputs.unknown}`,
      evidence: [{ label: 'Model value', value: 'unknown', unit: '', source: inputs.unknown }],
      adjustments: [],
    }
  }
  const outcome = model.evaluate(inputs.data, parameter, inputs.settlementSymbol)
  const result = adjusted(inputs, outcome.raw)
  const alarms = inputs.alarm.reasons.map((reason): Evidence => ({ label: 'Alarm', value: reason, unit: '', source: 'nothing is loosened meanwhile' }))
  return {
    ...shared,
    recommended: result.value,
    modelValue: outcome.value,
    direction: result.direction,
    urgency: urgencyOf(result.direction, current, outcome, BigInt(inputs.policy.quantum)),
    confidence: outcome.confidence.value,
    reason: reasonOf(inputs, outcome, result),
    evidence: [...outcome.evidence, ...alarms, { label: 'Confidence', value: percent(outcome.confidence.value), unit: '', source: outcome.confidence.because }],
    adjustments: result.adjustments.map((a) => ({ step: a.step, from: a.from.toString(), to: a.to.toString(), why: a.why })),
  }
}

/** All recommendations of a run from its stored inputs, ordered by parameter, then by the subject's order in the inputs. `context`: of these inputs, where there is one already. Throws BadInputError for inputs of another version. */
export function recomputeRun(inputs: RunInputs, context?: RunContext): readonly RecommendationContent[] {
  if (inputs.version !== '3') throw new BadInputError(`Found run inputs of version ${String(inputs.version)}, allowed is 3; recompute with the version that made them`)
  context ??= createContext(inputs)
  const out: RecommendationContent[] = []
  for (const model of models()) {
    const policy = inputs.policy.parameters[model.parameter]
    if (policy === undefined) continue
    for (const parameter of inputs.parameters) {
      if (parameter.name !== model.parameter) continue
      if (parameter.scope === 'MARKET' && !context.market(parameter.subject).input.open) continue
      let data: Json = null
      let unknown: string | null = null
      try {
        data = model.prepare(context, parameter)
      } catch (error) {
        if (!(error instanceof SampleTooSmallError)) throw error
        unknown = error.message
      }
      out.push(
        recompute({ version: '1', model: model.model, modelVersion: model.version, settlementSymbol: inputs.settlement.symbol, parameter, policy, alarm: context.alarmOf(parameter.scope, parameter.subject), asOfSec: inputs.asOfSec, data, unknown }),
      )
    }
  }
  return out
}

/** Digest of what the book and its market say: the inputs without what was simulated from earlier ones and what was recommended before. */
export const bookDigest = (inputs: RunInputs): string => digestOf({ ...inputs, simulation: null, parameters: inputs.parameters.map((p) => ({ ...p, standing: null })) })

/** What the order of urgency looks at; rows and contents both fit. */
export type Ranked = { readonly urgency: number; readonly parameter: string; readonly subject: string }

/** What `mostUrgentSettable` looks at. */
export type Urgent = Ranked & { readonly settable: boolean; readonly direction: string }

/** The one order of urgency, for `sort`: highest first, then parameter, then subject by code unit, so that equal ones always come in the same order. */
export function byUrgency(a: Ranked, b: Ranked): number {
  if (a.urgency !== b.urgency) return b.urgency - a.urgency
  if (a.parameter !== b.parameter) return a.parameter < b.parameter ? -1 : 1
  return a.subject === b.subject ? 0 : a.subject < b.subject ? -1 : 1
}

/** The recommendation to act on first: settable, with a change to make, most urgent; null where there is none. */
export function mostUrgentSettable<T extends Urgent>(recommendations: readonly T[]): T | null {
  return recommendations.filter((r) => r.settable && r.direction !== 'HOLD').toSorted(byUrgency)[0] ?? null
}

export { canonicalJson, digestOf }
