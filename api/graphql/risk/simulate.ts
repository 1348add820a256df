/** The insurance fund's simulated shortfall over a book: what its paths are drawn from, in parts that can be reported on. */
import { simulateFund, type FundSimulation, type FundTask } from '../../recommendations/simulation.ts'
import type { FundSimulationInput } from '../generated/resolvers.ts'
import { wholeWithin, within } from './answer.ts'
import type { DeskBook } from './book.ts'

export type { FundTask }

/** Throws UserInputError. */
export const fundTask = (input: FundSimulationInput, path = 'input'): FundTask => ({
  paths: wholeWithin(`${path}.paths`, input.paths ?? 10_000, 10_000, 1_000_000, 'paths'),
  hours: wholeWithin(`${path}.hours`, input.hours ?? 24, 1, 168, 'hours of a path'),
  seed: wholeWithin(`${path}.seed`, input.seed ?? 1, 0, 2 ** 31 - 1, 'any of these'),
  level: within(`${path}.level`, input.level ?? 0.999, 0.5, 0.9999, '0.999 means 99.9 %'),
  confidence: within(`${path}.confidence`, input.confidence ?? 0.95, 0.5, 0.999, '0.95 means 95 %'),
})

/** Runs the paths part by part; `report` hears the share that is done. Throws SampleTooSmallError. */
export const computeFund = (book: DeskBook, task: FundTask, report: (share: number) => void): FundSimulation => simulateFund(book.context, task, report)
