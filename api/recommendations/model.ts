import { InvariantError } from '../../core/errors.ts'
import type { TightWay } from '../risk/index.ts'
import type { Json } from './canonical.ts'
import type { Confidence, RunContext } from './context.ts'
import type { ParameterInput } from './inputs.ts'

/** One line of evidence: a number, what it means, and where it comes from. */
export type Evidence = { readonly label: string; readonly value: string; readonly unit: string; readonly source: string }

/** What a model concludes, before bounds and limits. */
export type Outcome = {
  /** Raw units of the parameter. */
  readonly raw: bigint
  /** The same in the parameter's human unit (a fraction, ticks, whole tokens). */
  readonly value: number
  /** First half of a sentence with numbers: `5-minute volatility of 0.41 % over 8,640 bars asks for a band of 2.5 %`. */
  readonly because: string
  readonly evidence: readonly Evidence[]
  readonly confidence: Confidence
  /** Raw value → size of the risk that it stands for, for urgency; the raw value itself where left out. */
  readonly riskOf?: (raw: bigint) => number
}

/** A model of one parameter. It gathers what it needs from a run (`prepare`), and concludes from that alone (`evaluate`). Both pure. */
export type ParameterModel<Data> = {
  /** Name in the protocol's catalog. */
  readonly parameter: string
  readonly model: string
  /** Raised whenever `evaluate` can answer otherwise for the same data. */
  readonly version: string
  /** Which way the raw value moves when it protects more. */
  readonly tightWay: TightWay
  /** What a current value of 0 says where 0 is a switch and no small amount: the parameter is then held, and people turn it back. */
  readonly atZero?: string
  /** Canonical JSON data. Throws SampleTooSmallError where the recommendation must be "unknown". */
  prepare(context: RunContext, parameter: ParameterInput): Data
  evaluate(data: Data, parameter: ParameterInput, settlementSymbol: string): Outcome
}

const registry = new Map<string, ParameterModel<Json>>()

/** Adds a model; each file under parameters/ calls this once. Throws InvariantError for a second model of one parameter. */
export function register<Data>(model: ParameterModel<Data>): void {
  if (registry.has(model.parameter)) throw new InvariantError(`Found a second model for ${model.parameter}, allowed is one; remove either`)
  registry.set(model.parameter, model as unknown as ParameterModel<Json>)
}

/** All models, by parameter name. */
export const models = (): readonly ParameterModel<Json>[] => [...registry.values()].sort((a, b) => (a.parameter < b.parameter ? -1 : 1))

/** The model of a parameter; undefined where there is none. */
export const modelOf = (parameter: string): ParameterModel<Json> | undefined => registry.get(parameter)
