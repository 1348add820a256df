/** Return series of the tests: seeded, so that every run sees the same numbers. */
import { createRandom, generateReturns, type GarchParameters, type Returns } from '../../api/risk/index.ts'

/** Log returns over one bar each. */
export const unbroken = (values: readonly number[], barSec = 86_400): Returns => ({
  barSec,
  barCount: values.length + 1,
  values: Float64Array.from(values),
  spans: new Float64Array(values.length).fill(1),
  gapBars: 0,
  dropped: 0,
})

/** n standard normal numbers. */
export function normals(n: number, seed: number): number[] {
  const random = createRandom(seed)
  return Array.from({ length: n }, () => random.normal())
}

/** n returns of a GARCH(1,1) that starts at its long-run variance. */
export const garchReturns = (parameters: GarchParameters, n: number, seed: number): number[] => [...generateReturns(parameters, { bars: n, barSec: 86_400, seed }).values]
