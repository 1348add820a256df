/** Recommendations: models over the mirror, with their evidence. */
export { canonicalJson, digestOf, type Json } from './canonical.ts'
export { gather, type ChainReads } from './gather.ts'
export type { RunInputs, ParameterInput } from './inputs.ts'
export { models, type Evidence, type ParameterModel } from './model.ts'
export { DEFAULT_POLICY, type ParameterPolicy, type Policy } from './policy.ts'
export { CODE_VERSION, createRecommender, inputsOf, runInputsOf, runRecommendations, type Run, type RunOptions } from './recommender.ts'
export { byUrgency, mostUrgentSettable, recompute, recomputeRun, type AdjustmentText, type Ranked, type RecommendationContent, type RecommendationInputs, type Urgent } from './run.ts'
