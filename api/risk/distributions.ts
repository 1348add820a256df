/** Distribution functions that the tests and the option model stand on. */
import { BadInputError } from '../../core/errors.ts'

/**
 * Complementary error function, any x, relative error below 1e-12: its power series up to 2.5, Lentz's continued fraction beyond.
 * Source: Abramowitz, Stegun, Handbook of Mathematical Functions, 7.1.6 and 7.1.14.
 */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x)
  if (x < 2.5) {
    let term = x
    let sum = x
    for (let k = 1; k < 200 && Math.abs(term) > 1e-17 * sum; k++) {
      term *= (2 * x * x) / (2 * k + 1)
      sum += term
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
  }
  let fraction = 0
  for (let k = 120; k > 0; k--) fraction = k / 2 / (x + fraction)
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction)
}

/** Standard normal density φ(x) = e^(−x²/2) / √(2π). */
export const normalPdf = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)

/** Standard normal distribution Φ(x) = ½·erfc(−x/√2); exact in both tails. */
export const normalCdf = (x: number): number => erfc(-x / Math.SQRT2) / 2

/**
 * Standard normal quantile Φ⁻¹(p), p in (0, 1), relative error below 1e-12.
 *
 * A rational first guess, sharpened by Halley's method on Φ. Throws BadInputError outside (0, 1).
 * Source: Abramowitz, Stegun, 26.2.23 (the guess); Press et al., Numerical Recipes, 3rd ed., §6.2 (the step).
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new BadInputError(`Found a probability of ${p}, allowed is above 0 and below 1; 0.99 means 99 %`)
  if (p > 0.5) return -normalQuantile(1 - p)
  const t = Math.sqrt(-2 * Math.log(p))
  let x = -(t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3))
  for (let i = 0; i < 3; i++) {
    const step = (normalCdf(x) - p) / normalPdf(x)
    x -= step / (1 + (x * step) / 2)
  }
  return x
}

/**
 * Probability that a χ² variable with 1 or 2 degrees of freedom exceeds x: erfc(√(x/2)) and e^(−x/2). x ≥ 0.
 * Source: Abramowitz, Stegun, 26.4.18 and 26.4.19.
 */
export const chiSquareSurvival = (x: number, degrees: 1 | 2): number => (degrees === 1 ? erfc(Math.sqrt(x / 2)) : Math.exp(-x / 2))

/** Probability of at most x successes in n tries of probability p in (0, 1): the binomial distribution, summed in logs. x and n whole. */
export function binomialCdf(x: number, n: number, p: number): number {
  let log = n * Math.log1p(-p)
  let sum = Math.exp(log)
  for (let k = 1; k <= Math.min(x, n); k++) {
    log += Math.log(((n - k + 1) * p) / (k * (1 - p)))
    sum += Math.exp(log)
  }
  return Math.min(1, sum)
}
