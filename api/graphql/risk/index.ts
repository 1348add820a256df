/** The risk engine's answers: models of api/risk over the inputs of one indexed block. */
import type { Events } from '../events.ts'
import type { RiskBooks } from './book.ts'
import { resolveBreakers, resolvePlaybooks, resolveReplay, type Breakers } from './breakers.ts'
import { resolveAdl, resolveDeleveraging, resolveKeepers, resolveLadder, resolveQueue, resolveReview, resolveTiming } from './liquidations.ts'
import { resolveRecomputation, type CompareWithIndex } from './recompute.ts'
import { resolveHaircuts, resolveOracles } from './reserves.ts'
import { resolveBackstop, resolveCapacity, resolveDiscount, resolveOption, resolveProcyclicality, resolveStates } from './rules.ts'
import type { RiskRuns } from './runs.ts'
import { resolveBacktest, resolveDynamicMargin, resolvePortfolio, resolveVolatility } from './statistics.ts'
import { resolveRegimes, resolveStress } from './stress.ts'

/** What lives as long as the server. */
export type Risk = {
  readonly books: RiskBooks
  readonly runs: RiskRuns
  readonly breakers: Breakers
  readonly events: Events
  /** null where the server knows no graph-node. */
  readonly compare: CompareWithIndex | null
}

export const riskQueries = {
  stressRegimes: resolveRegimes,
  liquidationQueue: resolveQueue,
  liquidationLadder: resolveLadder,
  stressTest: resolveStress,
  portfolioMargin: resolvePortfolio,
  volatility: resolveVolatility,
  backtest: resolveBacktest,
  dynamicMargin: resolveDynamicMargin,
  liquidationTiming: resolveTiming,
  circuitBreakers: resolveBreakers,
  replayBreaker: resolveReplay,
  playbooks: resolvePlaybooks,
  adlQueue: resolveAdl,
  deleveraging: resolveDeleveraging,
  liquidationStates: resolveStates,
  backstopOffers: resolveBackstop,
  marketCapacity: resolveCapacity,
  optionValue: resolveOption,
  antiProcyclicality: resolveProcyclicality,
  collateralDiscount: resolveDiscount,
  collateralHaircuts: resolveHaircuts,
  oracleHealth: resolveOracles,
  keeperEconomics: resolveKeepers,
  liquidationReview: resolveReview,
  recomputeRecommendation: resolveRecomputation,
}
