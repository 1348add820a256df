import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { draftChanges } from '../../proposals/draft.ts'
import { checkPolicy, parsePolicy, policyOf, type PolicyFacts, type PolicyFile } from '../../proposals/policy.ts'
import { parseValue } from '../../proposals/values.ts'
import { valueWords } from '../../proposals/words.ts'
import type { Address } from '../../protocols/adapter.ts'
import { devnet as deployment, optimism } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'

const target = { catalog, deployment }
const ROOT = deployment.contracts.clearingHouse.toLowerCase() as Address
const ETH = deployment.markets[0]!.baseToken.toLowerCase() as Address
const BTC = deployment.markets[1]!.baseToken.toLowerCase() as Address
const WETH = deployment.collaterals[0]!.token.toLowerCase() as Address
const DAY = 86_400

const file = (more: Partial<PolicyFile> = {}): PolicyFile => ({
  version: 1, network: 'devnet', validity: { default: '3 d', max: '14 d' }, evidenceMaxAge: '6 h',
  parameters: { marketMaxPriceSpreadRatio: { min: '1 %', max: '20 %', step: { relative: '50 %', absolute: '2 %' }, minDelay: '6 h', exempt: ['50 %'] }, maxTickCrossedWithinBlock: null, liquidationPenaltyRatio: null, mmRatioBuffer: null, collateralRatio: null, discountRatio: null },
  ...more,
})
const change = (parameter: string, from: bigint, to: bigint, subject: Address = ROOT) => ({ parameter, subject, from, to })
const band = (from: bigint, to: bigint) => change('marketMaxPriceSpreadRatio', from, to, ETH)
const facts = (changes: PolicyFacts['changes'], more: Partial<PolicyFacts> = {}): PolicyFacts => ({
  changes, currentOf: (parameter, subject) => ({ mmRatio: 62_500n, imRatio: 100_000n, discountRatio: 50_000n, collateralRatio: 850_000n })[parameter] ?? changes.find((one) => one.parameter === parameter && one.subject === subject)?.from ?? null,
  lastChangeSec: () => 0, nowSec: 100 * DAY, validUntilSec: BigInt(103 * DAY), draftedSec: 100 * DAY, evidenceSec: 100 * DAY, ...more,
})
const found = (changes: PolicyFacts['changes'], more: Partial<PolicyFacts> = {}, policy: Partial<PolicyFile> = {}): string[] => checkPolicy(target, policyOf(target, file(policy)), facts(changes, more)).map((one) => `${one.severity} ${one.rule}`)

describe('policy', () => {
  test.each<[string, string[], string[]]>([
    ['a step of the largest absolute size', found([band(100_000n, 120_000n)]), []],
    ['a step above it, though the share allows it', found([band(100_000n, 120_001n)]), ['BLOCK policy-step']],
    ['a step of the largest share', found([band(20_000n, 30_000n)]), []],
    ['a step above it, though the size is allowed', found([band(20_000n, 30_001n)]), ['BLOCK policy-step']],
    ['a step above both', found([band(20_000n, 50_000n)]), ['BLOCK policy-step', 'BLOCK policy-step']],
    ['the smallest value', found([band(12_000n, 10_000n)]), []],
    ['below it', found([band(12_000n, 9_999n)]), ['BLOCK policy-bounds']],
    ['the largest value', found([band(190_000n, 200_000n)]), []],
    ['above it', found([band(190_000n, 200_001n)]), ['BLOCK policy-bounds']],
    ['to an exempt value, out of bounds and of step', found([band(200_000n, 500_000n)], { lastChangeSec: () => 100 * DAY }), []],
    ['back from an exempt value in one step', found([band(500_000n, 200_000n)], { lastChangeSec: () => 100 * DAY }), []],
    ['a parameter that is not listed', found([change('feeRatio', 1_000n, 1_001n, ETH)]), ['BLOCK policy-parameter']],
    ['a change as long after the last as is wanted', found([band(100_000n, 99_000n)], { lastChangeSec: () => 100 * DAY - 21_600 }), []],
    ['one second sooner', found([band(100_000n, 99_000n)], { lastChangeSec: () => 100 * DAY - 21_599 }), ['BLOCK policy-delay']],
    ['no word on the last change', found([band(100_000n, 99_000n)], { lastChangeSec: () => null }), ['UNKNOWN policy-delay']],
    ['the longest validity', found([band(100_000n, 99_000n)], { validUntilSec: BigInt(114 * DAY) }), []],
    ['a second more', found([band(100_000n, 99_000n)], { validUntilSec: BigInt(114 * DAY + 1) }), ['BLOCK policy-validity']],
    ['the oldest evidence', found([band(100_000n, 99_000n)], { evidenceSec: 100 * DAY - 21_600 }), []],
    ['older evidence', found([band(100_000n, 99_000n)], { evidenceSec: 100 * DAY - 21_601 }), ['BLOCK policy-evidence-age']],
    ['no clock', found([band(100_000n, 99_000n)], { nowSec: null }), ['UNKNOWN policy-delay']],
    ['fresh evidence, signed days later', found([band(100_000n, 99_000n)], { nowSec: 102 * DAY }), []],
    ['no evidence claimed', found([band(100_000n, 99_000n)], { evidenceSec: null }), []],
  ])('behavior: %s', (_, findings, expected) => {
    expect(findings).toEqual(expected)
  })

  test('behavior: what is tied together is changed together', () => {
    const together = [['marketMaxPriceSpreadRatio', 'maxTickCrossedWithinBlock']]
    const ticks = (subject: Address) => change('maxTickCrossedWithinBlock', 300n, 200n, subject)
    expect(found([band(100_000n, 99_000n)], {}, { together })).toEqual(['BLOCK policy-together'])
    expect(found([band(100_000n, 99_000n), ticks(BTC)], {}, { together })).toEqual(['BLOCK policy-together', 'BLOCK policy-together'])
    expect(found([band(100_000n, 99_000n), ticks(ETH)], {}, { together })).toEqual([])
  })

  describe('invariants', () => {
    const penalty = { invariants: [{ name: 'penalty below half of the margin', sum: { liquidationPenaltyRatio: 2, mmRatio: -1 }, atMost: 0 }] }
    const collateral = { invariants: [{ name: 'room', sum: { collateralRatio: 1, discountRatio: 1 }, atMost: '90 %' }] }

    test('behavior: hold up to the limit and break above it', () => {
      expect(found([change('liquidationPenaltyRatio', 25_000n, 31_250n)], {}, penalty)).toEqual([])
      expect(found([change('liquidationPenaltyRatio', 25_000n, 31_251n)], {}, penalty)).toEqual(['BLOCK policy-invariant'])
    })

    test('behavior: are held after every single call: the same changes pass in one order and not in the other', () => {
      const [up, down] = [change('collateralRatio', 850_000n, 880_000n, WETH), change('discountRatio', 50_000n, 20_000n, WETH)]
      expect(found([down, up], {}, collateral)).toEqual([])
      const [first] = checkPolicy(target, policyOf(target, file(collateral)), facts([up, down]))
      expect(first).toMatchObject({ rule: 'policy-invariant', parameter: 'collateralRatio', text: expect.stringContaining('call 1 of 2 breaks "room" for WETH: 1 × collateralRatio (880000) + 1 × discountRatio (50000) = 930000, allowed is at most 900000') })
    })

    test('behavior: let a broken one be mended in steps, and not be made worse', () => {
      const broken = { currentOf: (parameter: string) => ({ collateralRatio: 950_000n, discountRatio: 50_000n })[parameter] ?? null }
      expect(found([change('collateralRatio', 950_000n, 900_000n, WETH)], broken, collateral)).toEqual([])
      expect(found([change('collateralRatio', 950_000n, 951_000n, WETH)], broken, collateral)).toEqual(['BLOCK policy-invariant'])
    })

    test('behavior: say when a term is unknown', () => {
      expect(found([change('liquidationPenaltyRatio', 25_000n, 26_000n)], { currentOf: () => null }, penalty)).toEqual(['UNKNOWN policy-invariant'])
    })

    test('behavior: touch every market where a protocol-wide term moves', () => {
      const mixed = { invariants: [{ name: 'fee', sum: { liquidationPenaltyRatio: 1, marketMaxPriceSpreadRatio: -1 }, atMost: 0 }] }
      const currentOf = (parameter: string, subject: Address): bigint => (parameter === 'marketMaxPriceSpreadRatio' ? (subject === BTC ? 26_000n : 100_000n) : 25_000n)
      const findings = checkPolicy(target, policyOf(target, file(mixed)), facts([change('liquidationPenaltyRatio', 25_000n, 27_000n)], { currentOf }))
      expect(findings.map((one) => one.text)).toEqual([expect.stringContaining('for vBTC')])
    })
  })

  test('property: a step within both limits and bounds is never blocked, and one that leaves either always is', () => {
    const policy = policyOf(target, file())
    fc.assert(
      fc.property(fc.bigInt({ min: 10_000n, max: 200_000n }), fc.bigInt({ min: 0n, max: 250_000n }), (from, to) => {
        fc.pre(from !== to)
        const step = to > from ? to - from : from - to
        const kept = step <= 20_000n && 2n * step <= from && to >= 10_000n && to <= 200_000n
        expect(checkPolicy(target, policy, facts([band(from, to)])).length === 0).toBe(kept)
      }),
    )
  })

  test.each<[string, string, RegExp]>([
    ['no YAML', 'a: [', /^Found a policy that is no YAML/],
    ['an unknown key', 'version: 1\nnetwork: devnet\nparameters: {}\nnonsense: 1\n', /Unrecognized key.*nonsense/],
    ['an unknown parameter', 'version: 1\nnetwork: devnet\nparameters: { nope: }\n', /Found parameter "nope"/],
    ['another network', 'version: 1\nnetwork: optimism\nparameters: {}\n', /network optimism, allowed is devnet/],
    ['a value without a unit', 'version: 1\nnetwork: devnet\nparameters: { feeRatio: { max: 5 } }\n', /Found "5" for feeRatio, allowed is a percentage such as "5 %"/],
    ['a minimum above the maximum', 'version: 1\nnetwork: devnet\nparameters: { feeRatio: { min: 2 %, max: 1 % } }\n', /feeRatio has a minimum above its maximum/],
    ['a limit in tokens for all collaterals', 'version: 1\nnetwork: devnet\nparameters: { depositCap: { max: 10 WETH } }\n', /depositCap has a limit in tokens/],
    ['units that cannot be added', 'version: 1\nnetwork: devnet\nparameters: {}\ninvariants: [{ name: x, sum: { feeRatio: 1, maxTickCrossedWithinBlock: 1 }, atMost: 0 }]\n', /adds different units/],
    ['an exempt value that no draft may set', 'version: 1\nnetwork: devnet\nparameters: { marketMaxPriceSpreadRatio: { exempt: [0 %] } }\n', /exempts 0 of marketMaxPriceSpreadRatio, which the contract takes as 100000: no draft may set it/],
    ['one that is another parameter’s value', 'version: 1\nnetwork: devnet\nparameters: { whitelistedDebtThreshold: { exempt: [0 USDC] } }\n', /exempts 0 of whitelistedDebtThreshold, which the contract takes as the general debt threshold: no draft may set it/],
    ['a steward that is no address', 'version: 1\nnetwork: devnet\nstewards: [me]\nparameters: {}\n', /stewards\.0 is not an address/],
  ])('error: refuses %s', (_, yaml, sentence) => {
    expect(() => parsePolicy(target, yaml)).toThrow(sentence)
  })

  test("behavior: the devnet's policy lists every parameter that has a setter", () => {
    const policy = parsePolicy(target, readFileSync(new URL('../../policies/devnet.yaml', import.meta.url), 'utf8'))
    expect([...policy.parameters.keys()].toSorted()).toEqual(catalog.specs.filter((spec) => spec.setter !== null).map((spec) => spec.name).toSorted())
    expect(policy.stewards).toHaveLength(2)
  })

  test.each([['devnet.yaml', deployment], ['optimism.yaml', optimism]] as const)('behavior: every value that %s exempts can be drafted', (name, of) => {
    const ours = { catalog, deployment: of }
    const exempt = [...parsePolicy(ours, readFileSync(new URL(`../../policies/${name}`, import.meta.url), 'utf8')).parameters].flatMap(([parameter, limits]) => limits.exempt.map((to) => ({ parameter, subject: catalog.refs(of).find((ref) => ref.name === parameter)!.subject, to })))
    // A tick cap of 0 stops trades, a distribution threshold of 0 distribution.
    expect(exempt.map(({ parameter, to }) => [parameter, to])).toEqual([['maxTickCrossedWithinBlock', 0n], ['distributionThreshold', 0n]])
    for (const intent of exempt) expect(draftChanges(ours, [intent], () => 1n)).toMatchObject([{ to: intent.to }])
  })
})

describe('values', () => {
  test('property: what the words say of a value is read back as the same value', () => {
    const refs = catalog.refs(deployment)
    fc.assert(
      fc.property(fc.constantFrom(...refs), fc.bigInt({ min: 0n, max: 2n ** 128n }), (ref, seed) => {
        const spec = catalog.find(ref.name)
        const { min, max } = spec.bounds
        const raw = min + (seed % (max - min + 1n))
        const subject = ref.subject.toLowerCase() as Address
        expect(parseValue(target, spec, subject, valueWords(target, spec, subject, raw))).toBe(raw)
        expect(parseValue(target, spec, subject, `raw ${raw}`)).toBe(raw)
      }),
    )
  })

  test('behavior: the ends of what every parameter may be are read back from their words, a 0 that stands for another value too', () => {
    for (const { name, subject } of catalog.refs(deployment)) {
      const spec = catalog.find(name)
      for (const raw of [spec.bounds.min, spec.bounds.max]) expect([name, parseValue(target, spec, subject.toLowerCase() as Address, valueWords(target, spec, subject.toLowerCase() as Address, raw))]).toEqual([name, raw])
    }
    const band = catalog.find('marketMaxPriceSpreadRatio')
    expect(parseValue(target, band, ROOT, '10.00 % (raw 0)')).toBe(0n)
    expect(parseValue(target, band, ROOT, '10 %')).toBe(100_000n)
    expect(parseValue(target, catalog.find('distributionThreshold'), ROOT, 'no distribution (raw 0)')).toBe(0n)
  })

  test.each(['11.00 % (raw 0)', '10.00 % (raw 1)', '10.00 % (about)', '(raw 0)'])('error: refuses "%s", whose brackets say something else', (written) => {
    expect(() => parseValue(target, catalog.find('marketMaxPriceSpreadRatio'), ROOT, written)).toThrow(/allowed is a percentage/)
  })

  test.each<[string, string, RegExp]>([
    ['liquidationPenaltyRatio', '2.5', /allowed is a percentage such as "5 %"/],
    ['liquidationPenaltyRatio', '0.025', /allowed is a percentage/],
    ['liquidationPenaltyRatio', '2.50005 %', /allowed are 4 digits after the point/],
    ['liquidationPenaltyRatio', '-2 %', /allowed is a percentage/],
    ['liquidationPenaltyRatio', '2,5 %', /allowed is a percentage/],
    ['maxFundingRate', '10 %', /allowed is a percentage a day/],
    ['twapInterval', '900', /allowed is a time/],
    ['debtThreshold', '10000', /allowed is an amount such as "10,000 USDC"/],
    ['debtThreshold', '10000 WETH', /allowed is an amount such as "10,000 USDC"/],
    ['clearingHousePaused', '1', /allowed is yes or no/],
    ['maxOrdersPerMarket', '1e3', /allowed is a whole number/],
    ['maxOrdersPerMarket', 'raw 01', /allowed is a whole number/],
    ['surplusBeneficiary', '0x0', /allowed is an address/],
  ])('error: refuses %s as "%s"', (name, written, sentence) => {
    expect(() => parseValue(target, catalog.find(name), ROOT, written)).toThrow(sentence)
  })
})
