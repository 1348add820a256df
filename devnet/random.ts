/** Deterministic pseudo-random numbers: the same seed gives the same sequence on every machine. */
export type Random = {
  /** Uniform in [0, 1). */
  unit(): number
  /** Uniform in [from, to). */
  between(from: number, to: number): number
  /** Integer in [0, count). */
  index(count: number): number
  /** Standard normal (Box–Muller). */
  normal(): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
}

/** Small fast counter generator (sfc32), 128 bits of state. Source: C. Doty-Humphrey, PractRand. */
export function random(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed >>> 0
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 15; i++) next()
  const between = (from: number, to: number) => from + (to - from) * next()
  const index = (count: number) => Math.floor(next() * count)
  return {
    unit: next,
    between,
    index,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    chance: (probability) => next() < probability,
    pick: <T>(list: readonly T[]) => list[index(list.length)] as T,
  }
}
