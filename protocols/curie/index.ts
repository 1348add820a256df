import type { Protocol } from '../adapter.ts'
import { deployments } from './deployments.ts'
import { catalog } from './parameters.ts'
import { reducer } from './reducer.ts'
import { risk } from './risk.ts'
import { onChain } from './standings.ts'
import { margins } from './valuation.ts'

/** Perpetual Protocol v2 (Curie) v2.6.0. */
export const curie = { name: 'curie', title: 'Perpetual Protocol v2 (Curie)', deployments, catalog, reducer, margins, risk, onChain } as const satisfies Protocol
