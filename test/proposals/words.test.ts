import { describe, expect, test } from '@jest/globals'
import { devnet as deployment } from '../../protocols/curie/deployments.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { changeWords, durationWords, pathWords, timeWords, valueWords } from '../../proposals/words.ts'

const target = { catalog, deployment }
const root = deployment.contracts.clearingHouse
const [vETH] = deployment.markets
const [weth] = deployment.collaterals
const words = (parameter: string, subject: `0x${string}`, raw: bigint): string => valueWords(target, catalog.find(parameter), subject, raw)

describe('words', () => {
  test('default: a change is told in its unit and raw', () => {
    const told = changeWords(target, { parameter: 'marketMaxPriceSpreadRatio', subject: vETH!.baseToken, from: 50_000n, to: 40_000n })
    expect(told.sentence).toBe('Price band of vETH: 5.00 % → 4.00 % (raw 50000 → 40000)')
    expect(told.step).toBe('−20.00 %')
    expect(told.note).toContain('0 means 10 %')
  })

  test('behavior: a raw 0 that means something else is told, and stepped from and to, as that', () => {
    const step = (from: bigint, to: bigint) => changeWords(target, { parameter: 'marketMaxPriceSpreadRatio', subject: vETH!.baseToken, from, to })
    expect(step(200_000n, 0n)).toMatchObject({ sentence: 'Price band of vETH: 20.00 % → 10.00 % (raw 0) (raw 200000 → 0)', step: '−50.00 %' })
    expect(step(0n, 50_000n)).toMatchObject({ from: '10.00 % (raw 0)', step: '−50.00 %' })
    expect(step(0n, 100_000n).step).toBe('none')
  })

  test('behavior: a step too small for its places is told as less than them, in its direction', () => {
    const step = (from: bigint, to: bigint) => changeWords(target, { parameter: 'depositCap', subject: weth!.token, from, to }).step
    const one = 10n ** 18n
    expect(step(one, one + 1n)).toBe('+less than 0.01 %')
    expect(step(one, one - 1n)).toBe('−less than 0.01 %')
    expect(step(10_000n, 10_001n)).toBe('+0.01 %')
  })

  // By hand: a ratio's raw 1e6 is 100 %; 1.0001^250 = 1.02531; 2^160 − 1 is 20 bytes of ff.
  test.each<[string, `0x${string}`, bigint, string]>([
    ['liquidationPenaltyRatio', root, 25_000n, '2.50 %'],
    ['liquidationPenaltyRatio', root, 25_001n, '2.5001 %'],
    ['liquidationPenaltyRatio', root, 1n, '0.0001 %'],
    ['maxFundingRate', root, 100_000n, '10.00 % a day'],
    ['twapInterval', root, 900n, '900 s (15 min)'],
    ['twapInterval', root, 59n, '59 s'],
    ['maxMarketsPerAccount', root, 5n, '5'],
    ['maxTickCrossedWithinBlock', vETH!.baseToken, 250n, '250 ticks (2.53 %)'],
    ['settlementTokenBalanceCap', root, 1_000_500_000n, '1,000.50 USDC'],
    ['settlementTokenBalanceCap', root, 1_234_567_000_001n, '1,234,567.000001 USDC'],
    ['settlementTokenBalanceCap', root, 2n ** 256n - 1n, '2^256 − 1, that is no limit (USDC)'],
    ['depositCap', weth!.token, 1_500n * 10n ** 18n, '1,500.00 WETH'],
    ['depositCap', weth!.token, 1n, '0.000000000000000001 WETH'],
    ['clearingHousePaused', root, 1n, 'yes'],
    ['clearingHousePaused', root, 0n, 'no'],
    ['surplusBeneficiary', root, 2n ** 160n - 1n, '0xFFfFfFffFFfffFFfFFfFFFFFffFFFffffFfFFFfF (an address that the deployment does not know)'],
    ['baseTokenPriceFeed', vETH!.baseToken, BigInt(vETH!.priceFeed), '0x959922bE3CAee4b8Cd9a407cc3ac1C251C2007B1 (price feed of vETH)'],
  ])('default: %s of %s at %s', (parameter, subject, raw, text) => {
    expect(words(parameter, subject, raw)).toBe(text)
  })

  test('behavior: two different raw values never read the same', () => {
    for (const spec of catalog.specs) {
      const subject = spec.scope === 'MARKET' ? vETH!.baseToken : spec.scope === 'COLLATERAL' ? weth!.token : root
      const values = [0n, 1n, 9n, 10n, 99_999n, 100_000n, 100_001n, 1_000_000n, 10n ** 18n].filter((each) => each <= spec.bounds.max)
      expect(new Set(values.map((raw) => words(spec.name, subject, raw))).size).toBe(values.length)
    }
  })

  test('behavior: an account is told by its whole address, a step from nothing has no share, one from what is no value is none', () => {
    const told = changeWords(target, { parameter: 'whitelistedDebtThreshold', subject: `0x${'ab'.repeat(20)}`, from: 0n, to: 5n })
    expect(told.sentence).toMatch(/^Account's debt threshold of account 0x(?:ab){20}: the general debt threshold \(raw 0\) → 0\.000005 USDC \(raw 0 → 5\)$/i)
    expect(told.step).toBe('switched')
    expect(changeWords(target, { parameter: 'distributionThreshold', subject: root, from: 10n ** 10n, to: 0n })).toMatchObject({ from: '10,000.00 USDC', to: 'no distribution (raw 0)', step: 'switched' })
    expect(changeWords(target, { parameter: 'collateralValueDust', subject: root, from: 0n, to: 5n }).step).toBe('from 0')
  })

  test('behavior: times and paths', () => {
    expect(durationWords(90_061n)).toBe('90,061 s (1 d 1 h 1 min 1 s)')
    // 2026-01-01T00:00:00Z is 1767225600.
    expect(timeWords(1_767_225_600n)).toBe('2026-01-01 00:00:00 UTC')
    expect(pathWords({ kind: 'TIMELOCK', address: root, minDelaySec: 86_400 }, 1_767_225_600n)).toContain('86,400 s (1 d) after that, not after 2026-01-01 00:00:00 UTC')
  })
})
