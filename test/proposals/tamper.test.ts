import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import { honestFile, tamper } from '../../proposals/tamper/run.ts'
import type { TamperResult } from '../../proposals/tamper/run.ts'
import { RULES } from '../../proposals/verify.ts'
import { curie } from '../../protocols/curie/index.ts'

/** Rules that no file and no chain can break: what they need is in neither, so `verify` names it as not checked. */
const NEVER: readonly string[] = ['policy-delay', 'policy-evidence-age']

// A slice of `npm run tamper`, from another seed.
describe('attack corpus', () => {
  let result: TamperResult
  beforeAll(async () => {
    result = await tamper({ bases: 4, honest: 40, seed: 4_242, protocol: curie })
  })

  test('behavior: every mutant is caught under the rule that was named for it beforehand', () => {
    expect(result.missed.map((each) => ({ ...each, text: '' }))).toEqual([])
    expect(result.caught).toBe(result.mutants)
    expect(result.mutants).toBeGreaterThan(1_000)
  })

  test('behavior: no honest proposal is refused, in whatever white space and order of keys', () => {
    expect(result.honest).toEqual({ proposals: 40, checks: 80, falseAlarms: [] })
  })

  test('behavior: a chain that has moved and an RPC that lies are named', () => {
    expect(result.situations.missed).toEqual([])
    expect(result.situations.number).toBeGreaterThan(40)
  })

  test('behavior: every rule catches something', () => {
    expect(Object.keys(RULES).filter((rule) => !NEVER.includes(rule) && result.byRule[rule] === undefined)).toEqual([])
  })

  test('error: no random edit of a file is READY, unless it is the same proposal still', async () => {
    const { honest, text, check } = await honestFile({ seed: 77, protocol: curie })
    expect((await check(text)).ready).toBe(true)
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.nat(3), fc.string({ maxLength: 2, unit: fc.constantFrom('0', '1', '9', 'a', 'f', '"', '{', '}', '[', ']', ',', ':', 'x', ' ', '\\', '-') }), async (at, cut, put) => {
        const edited = text.slice(0, at) + put + text.slice(at + cut)
        const verdict = await check(edited)
        // Signatures are not part of the digest: an edit of one is caught by itself, and one that is taken out leaves an honest file.
        const same = verdict.ready && serializeReview({ ...parseReview(edited), signatures: [] }) === serializeReview({ ...honest.file, signatures: [] })
        expect(verdict.ready).toBe(same)
      }),
      { numRuns: 400 },
    )
  })

  test('behavior: most attacks need nothing but the trust file', () => {
    expect(result.byNeed.TRUST / result.mutants).toBeGreaterThan(0.7)
  })
})
