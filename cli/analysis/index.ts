/** Commands of analysis: clients of the API, nothing more. */
import { fund } from './fund.ts'
import { breakers, oracles } from './health.ts'
import type { Command } from './io.ts'
import { queue } from './queue.ts'
import { recommend, recompute } from './recommend.ts'
import { report } from './report.ts'
import { stress } from './stress.ts'

export const ANALYSIS: readonly Command[] = [stress, recommend, recompute, queue, breakers, oracles, fund, report]
