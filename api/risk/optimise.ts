/** What a search found and how sure it is. */
export type Minimum = {
  readonly x: readonly number[]
  readonly value: number
  readonly iterations: number
  /** Difference between the best and the worst corner of the last simplex. */
  readonly spread: number
  readonly converged: boolean
}

/**
 * Smallest value of a function of a few variables, without derivatives: the downhill simplex, started again from what it found until that gains nothing.
 *
 * `step` is the first simplex's size in each variable; converged once a whole restart gains at most tolerance·(1 + |value|).
 * A value that is not a number counts as infinite, so a domain is kept by returning NaN outside of it.
 * Source: Nelder, Mead, A simplex method for function minimization, 1965; Press et al., Numerical Recipes, 3rd ed., §10.5 (restarts).
 */
export function minimise(f: (x: readonly number[]) => number, start: readonly number[], options: { step: number; tolerance: number; maxIterations: number }): Minimum {
  const at = (x: readonly number[]): number => {
    const value = f(x)
    return Number.isNaN(value) ? Infinity : value
  }
  let best = { x: [...start], value: at(start) }
  let iterations = 0
  let spread = Infinity
  for (let restart = 0; restart < 20 && iterations < options.maxIterations; restart++) {
    const found = simplex(at, best.x, options.step / (restart + 1), options.tolerance / 10, options.maxIterations - iterations)
    iterations += found.iterations
    spread = found.spread
    const gain = best.value - found.value
    if (found.value <= best.value) best = { x: [...found.x], value: found.value }
    if (restart > 0 && gain <= options.tolerance * (1 + Math.abs(best.value)) && found.converged) return { ...best, iterations, spread, converged: true }
  }
  return { ...best, iterations, spread, converged: false }
}

function simplex(f: (x: readonly number[]) => number, start: readonly number[], step: number, tolerance: number, maxIterations: number): Minimum {
  const n = start.length
  const corners = [start, ...start.map((_, i) => start.map((x, j) => (i === j ? x + step : x)))].map((x) => ({ x: [...x], value: f(x) }))
  const move = (from: readonly number[], to: readonly number[], by: number): { x: number[]; value: number } => {
    const x = from.map((a, i) => a + by * ((to[i] as number) - a))
    return { x, value: f(x) }
  }
  let iterations = 0
  for (; iterations < maxIterations; iterations++) {
    corners.sort((a, b) => a.value - b.value)
    const best = corners[0] as { x: number[]; value: number }
    const worst = corners[n] as { x: number[]; value: number }
    if (worst.value - best.value <= tolerance * (1 + Math.abs(best.value))) return { ...best, iterations, spread: worst.value - best.value, converged: true }
    const centre = best.x.map((_, i) => corners.slice(0, n).reduce((sum, c) => sum + (c.x[i] as number), 0) / n)
    const reflected = move(centre, worst.x, -1)
    if (reflected.value < best.value) {
      const expanded = move(centre, worst.x, -2)
      corners[n] = expanded.value < reflected.value ? expanded : reflected
    } else if (reflected.value < (corners[n - 1] as { value: number }).value) corners[n] = reflected
    else {
      const contracted = reflected.value < worst.value ? move(centre, reflected.x, 0.5) : move(centre, worst.x, 0.5)
      if (contracted.value < Math.min(reflected.value, worst.value)) corners[n] = contracted
      else for (let i = 1; i <= n; i++) corners[i] = move(best.x, (corners[i] as { x: number[] }).x, 0.5)
    }
  }
  corners.sort((a, b) => a.value - b.value)
  const best = corners[0] as { x: number[]; value: number }
  return { ...best, iterations, spread: (corners[n] as { value: number }).value - best.value, converged: false }
}
