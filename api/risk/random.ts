/** Seeded randomness: the same seed gives the same numbers on every machine. Never for secrets. */
import { BadInputError } from '../../core/errors.ts'

/** A stream of numbers. */
export type Random = {
  /** Uniform in [0, 1), 32 bits. */
  next(): number
  /** Uniform integer in [0, n), n from 1 to 2^32. */
  below(n: number): number
  /** Standard normal. */
  normal(): number
}

/**
 * xoshiro128** seeded from a whole number by splitmix32, period 2^128 − 1.
 * `stream` separates the paths of a run, so that they may be drawn in any order. Seed and stream in [0, 2^32).
 * Source: Blackman, Vigna, Scrambled linear pseudorandom number generators, 2021; normals by Marsaglia's polar method, 1964.
 */
export function createRandom(seed: number, stream = 0): Random {
  for (const whole of [seed, stream]) if (!Number.isInteger(whole) || whole < 0 || whole > 0xffff_ffff) throw new BadInputError(`Found a seed of ${whole}, allowed are whole numbers from 0 to 4294967295; choose one of these`)
  let mixed = (seed ^ Math.imul(stream, 0x9e37_79b9)) >>> 0
  // The stream enters twice, so that no (seed, stream) pair is a shift of another.
  let salt = stream >>> 0
  const mix = (): number => {
    mixed = (mixed + 0x9e37_79b9) >>> 0
    salt = (Math.imul(salt, 0x0019_660d) + 0x3c6e_f35f) >>> 0
    let z = (mixed ^ salt) >>> 0
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  let a = mix()
  let b = mix()
  let c = mix()
  let d = mix()
  if ((a | b | c | d) === 0) a = 1
  const rotl = (x: number, k: number): number => (x << k) | (x >>> (32 - k))
  const bits = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotl(d, 11)
    return result
  }
  const next = (): number => bits() / 4_294_967_296
  let spare: number | null = null
  return {
    next,
    below: (n) => Math.floor(next() * n),
    normal: () => {
      if (spare !== null) {
        const kept = spare
        spare = null
        return kept
      }
      for (;;) {
        const u = 2 * next() - 1
        const v = 2 * next() - 1
        const s = u * u + v * v
        if (s > 0 && s < 1) {
          const factor = Math.sqrt((-2 * Math.log(s)) / s)
          spare = v * factor
          return u * factor
        }
      }
    },
  }
}
