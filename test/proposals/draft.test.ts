import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { devnet as deployment, optimism } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { build, verify } from '../../proposals/build.ts'
import { callsOf, changeFromJson, changeToJson, checkedTitle, draftChanges, hiddenZero, refsOf } from '../../proposals/draft.ts'
import type { Intent } from '../../proposals/draft.ts'

const target = { catalog, deployment }
// The maintenance margin, by which another parameter is bounded, is that of every deployment.
const draft = (intents: readonly Intent[], current: bigint | null = 1n) => draftChanges(target, intents, (ref) => (ref.name === 'mmRatio' ? 62_500n : current))
const market = deployment.markets[0]!
const settable = catalog.specs.filter((spec) => spec.setter !== null && !spec.irreversible && spec.scope !== 'ACCOUNT')

describe('draft', () => {
  test('behavior: a market is named by symbol or by address, the protocol by nothing', () => {
    const [bySymbol, byAddress, protocol] = refsOf(target, [
      { parameter: 'marketMaxPriceSpreadRatio', subject: market.symbol.toLowerCase(), to: 1n },
      { parameter: 'marketMaxPriceSpreadRatio', subject: market.baseToken, to: 1n },
      { parameter: 'liquidationPenaltyRatio', to: 1n },
    ])
    expect(bySymbol).toEqual({ name: 'marketMaxPriceSpreadRatio', subject: market.baseToken.toLowerCase() })
    expect(byAddress).toEqual(bySymbol)
    expect(protocol!.subject).toBe(deployment.contracts.clearingHouse.toLowerCase())
  })

  test('behavior: every settable parameter becomes a call that decodes to the same change', () => {
    fc.assert(
      fc.property(fc.constantFrom(...settable), fc.bigInt({ min: 0n, max: 2n ** 20n }), (spec, seed) => {
        const ref = catalog.refs(deployment).find((each) => each.name === spec.name)!
        const span = spec.bounds.max - spec.bounds.min
        const to = spec.bounds.min + (span === 0n ? 0n : seed % (span + 1n))
        fc.pre(to !== 0n || hiddenZero(spec) === null)
        const changes = draft([{ parameter: spec.name, subject: ref.subject, to }], to + 1n)
        const [call] = callsOf(target, changes)
        expect(catalog.decodeChange(deployment, call)).toEqual({ ref: { name: spec.name, subject: changes[0].subject }, value: to })
        expect(changes.map(changeToJson).map(changeFromJson)).toEqual(changes)
      }),
    )
  })

  test.each<[string, readonly Intent[], RegExp]>([
    ['nothing', [], /^Found a draft without changes, allowed is one or more; /],
    ['51 changes', Array.from({ length: 51 }, () => ({ parameter: 'nope', to: 1n })), /^Found a draft of 51 changes, allowed are at most 50; split it into several proposals$/],
    ['an unknown parameter', [{ parameter: 'nope', to: 1n }], /^Found parameter "nope", allowed are .+; take one of these$/],
    ['a parameter without a setter', [{ parameter: 'imRatio', to: 2n }], /^imRatio has no setter: .+; propose an upgrade instead$/],
    ['a ratio above 100 %', [{ parameter: 'liquidationPenaltyRatio', to: 1_000_001n }], /^Found 1000001 for liquidationPenaltyRatio, allowed is 0 to 1000000 /],
    ['an unknown market', [{ parameter: 'feeRatio', subject: 'vDOGE', to: 5n }], /^Found subject vDOGE for feeRatio, allowed are vETH \(0x/],
    ['a market left out', [{ parameter: 'feeRatio', to: 5n }], /^Found subject none for feeRatio, allowed are /],
    ['an unchanged value', [{ parameter: 'liquidationPenaltyRatio', to: 1n }], /^Found 1 for liquidationPenaltyRatio of protocol, which is its value already; /],
    ['two changes of one parameter', [{ parameter: 'feeRatio', subject: 'vETH', to: 5n }, { parameter: 'feeRatio', subject: market.baseToken, to: 6n }], /^Found two changes of feeRatio of vETH, allowed is one per proposal; /],
  ])('error: refuses %s', (_, intents, sentence) => {
    expect(() => draft(intents)).toThrow(sentence)
  })

  test('error: a 0 that the contract takes as a default is refused with that default, which is chosen instead', () => {
    expect(() => draft([{ parameter: 'marketMaxPriceSpreadRatio', subject: 'vETH', to: 0n }])).toThrow('Found 0 for marketMaxPriceSpreadRatio of vETH, which the contract takes as 100000 and answers by that: nobody could confirm that it is in force; choose 100000 where that is meant')
    expect(draft([{ parameter: 'marketMaxPriceSpreadRatio', subject: 'vETH', to: 100_000n }])).toMatchObject([{ to: 100_000n }])
    expect(draft([{ parameter: 'maxTickCrossedWithinBlock', subject: 'vETH', to: 0n }])).toMatchObject([{ to: 0n }])
  })

  test('error: a 0 that is never read back is refused; one that is a switch is not', () => {
    const subject = `0x${'0'.repeat(39)}1`
    expect(() => draft([{ parameter: 'whitelistedDebtThreshold', subject, to: 0n }])).toThrow(`Found 0 for whitelistedDebtThreshold of ${subject}, which the contract takes as the general debt threshold and answers by that: nobody could confirm that it is in force; choose the value of debtThreshold where that is meant`)
    expect(draft([{ parameter: 'distributionThreshold', to: 0n }])).toMatchObject([{ to: 0n }])
  })

  test('error: refuses what the chain cannot take back, and what is not indexed', () => {
    const irreversible = catalog.specs.filter((spec) => spec.irreversible)
    for (const spec of irreversible) {
      const subject = catalog.refs(deployment).find((ref) => ref.name === spec.name)!.subject
      expect(() => draft([{ parameter: spec.name, subject, to: spec.bounds.max }], 0n)).toThrow(/which the chain cannot take back|has no setter/)
    }
    expect(() => draft([{ parameter: 'liquidationPenaltyRatio', to: 2n }], null)).toThrow(/^Found no current value of liquidationPenaltyRatio of protocol in the index, /)
  })

  test('behavior: 50 changes are not too many', () => {
    const accounts = Array.from({ length: 50 }, (_, i) => `0x${(i + 1).toString(16).padStart(40, '0')}`)
    expect(draft(accounts.map((subject) => ({ parameter: 'whitelistedDebtThreshold', subject, to: 2n })))).toHaveLength(50)
  })

  test('behavior: a title is one line of 1 to 200 characters, without the space around it', () => {
    expect(checkedTitle(' Tighten the band – vETH \n')).toBe('Tighten the band – vETH')
    expect(checkedTitle('x'.repeat(200))).toHaveLength(200)
    expect(() => checkedTitle(' \n ')).toThrow('Found a title of 0 characters, allowed are 1 to 200; ')
    expect(() => checkedTitle('x'.repeat(201))).toThrow('Found a title of 201 characters, allowed are 1 to 200; ')
  })

  test.each([['0000', 0x0], ['0009', 0x9], ['000A', 0xa], ['000D', 0xd], ['001B', 0x1b], ['0085', 0x85], ['2028', 0x2028], ['200B', 0x200b], ['202E', 0x202e]])('error: refuses a title with character U+%s', (name, code) => {
    expect(() => checkedTitle(`Tighten${String.fromCharCode(code)}the band`)).toThrow(`Found character U+${name} in the title, allowed is a single line without control and invisible characters; write it in one line`)
  })

  test('error: names every fault at once', () => {
    expect(() => draft([{ parameter: 'nope', to: 1n }, { parameter: 'feeRatio', subject: 'vDOGE', to: 1n }])).toThrow(/^Found 2 faults in the draft: \(1\) Found parameter "nope".+ \(2\) Found subject vDOGE/)
  })
})

describe('build', () => {
  const changes = draft([{ parameter: 'feeRatio', subject: 'vETH', to: 5n }, { parameter: 'liquidationPenaltyRatio', to: 2n }])
  const plan = { changes, validUntilSec: 1_800_000_000n, nonce: 7n }
  const stored = () => ({ changes, validUntil: plan.validUntilSec, ...build(target, plan), safe: deployment.safe!.address, chainId: deployment.chainId })

  test('error: refuses a network without a recorded Safe', () => {
    expect(() => build({ catalog, deployment: optimism }, plan)).toThrow(/^Found no Safe recorded for network optimism; /)
  })

  test('behavior: what was built verifies, and any changed byte is named', () => {
    expect(verify(target, stored()).hashes).toEqual(stored().hashes)
    const { safeTx, hashes } = stored()
    expect(() => verify(target, { ...stored(), safeTx: { ...safeTx, gasPrice: 1n } })).toThrow(/^Found Safe transaction field gasPrice 1, derived is 0; do not sign or execute/)
    expect(() => verify(target, { ...stored(), hashes: { ...hashes, safeTxHash: hashes.domainHash } })).toThrow(/^Found safeTxHash /)
    expect(() => verify(target, { ...stored(), calls: stored().calls.slice(0, 1) })).toThrow(/^Found calls /)
    expect(() => verify(target, { ...stored(), chainId: 10 })).toThrow(/^Found chain id 10, derived is 31337/)
  })
})
