/** What is typed into the console as a number, and what an address carries of a stress question. */
import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { differencesOf } from '../../console/stress/differences.ts'
import type { Asked } from '../../console/stress/differences.ts'
import { faultsOf, inputOf, newShock, parse, strangersOf, withoutStrangers, write, ASKED, SEVERITIES } from '../../console/stress/question.ts'
import type { Question, Shock } from '../../console/stress/question.ts'
import { read } from '../../console/ui/Dial.tsx'
import { unscaled } from '../../console/parameters/values.ts'
import { sortOf, sortText } from '../../console/ui/Table.tsx'
import { decimalOf, typedNumber, rawOf } from '../../console/ui/number.ts'

describe('a number as people type it', () => {
  test.each([
    ['12.5', '12.5'], [' -12.50 ', '-12.50'], ['−3', '-3'], ['+3', '3'], ['.5', '0.5'], ['5.', '5'], ['0', '0'], ['007', '007'],
    ['1,000', '1000'], ['12,345,678.9', '12345678.9'], ['-1,234.5', '-1234.5'], ['123456789012345678901234567890.1', '123456789012345678901234567890.1'],
  ])('behavior: “%s” is %s', (text, decimal) => expect(decimalOf(text)).toBe(decimal))

  // A decimal comma, groups that are none, spaces, and all that JavaScript takes for a number.
  test.each(['-3,5', '0,5', '2,5', '12,50', '1,0000', '1000,000', ',5', '5,', ',500', '1,,000', '1,000,00', '0,050', '0,500', '1.000,5', '1 000', '1\u00a0000', '-12 .5', '- 30', '', ' ', '-', '.', '-.', '1e3', '0x10', 'Infinity', 'NaN', '1.2.3', '--1', 'abc', '٣'])('error: “%s” is no number', (text) => {
    expect(decimalOf(text)).toBeNull()
    expect(typedNumber(text)).toBeNull()
  })

  test('error: a number beyond what a float holds is none', () => expect(typedNumber('9'.repeat(400))).toBeNull())

  test('behavior: what is shown grouped by thousands is read as the same number', () => {
    fc.assert(fc.property(fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }), (value) => expect(typedNumber(value.toLocaleString('en'))).toBe(value === 0 ? 0 : value)))
  })
})

describe('an amount in chain units', () => {
  test('behavior: what is written and what the contract takes are the same number, exactly', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.integer({ min: 0, max: 18 }), (raw, decimals) => rawOf(unscaled(String(raw), decimals), decimals) === raw))
  })

  test.each([['6.25', 4, 62_500n], ['6.250000', 4, 62_500n], ['1,000,000.5', 6, 1_000_000_500_000n], ['.5', 2, 50n], ['5.', 2, 500n], ['0', 0, 0n]])('behavior: %s with %d decimals', (text, decimals, raw) => {
    expect(rawOf(text, decimals)).toBe(raw)
  })

  test.each([['', 4], ['.', 4], ['-1', 4], ['1e3', 4], ['6.25001', 4], ['1,00', 2], ['0x10', 0], ['ten', 0], ['1.5', 0], ['1 000', 2], ['0,050', 3]])('error: "%s" with %d decimals is no value', (text, decimals) => {
    expect(rawOf(text, decimals)).toBeNull()
  })
})

describe('a dial', () => {
  const fee = { name: 'Fee of turnover', low: 0, high: 500, unit: 'bp' }

  test('error: a decimal comma is told with what is allowed, and is no fee ten times as large', () => {
    expect(read('2,5', fee)).toEqual({ value: null, fault: 'Fee of turnover: found “2,5”, allowed is a number from 0 to 500 bp, with a point before its decimals; correct it.' })
    expect(read('1 000', fee)).toEqual({ value: null, fault: 'Fee of turnover: found “1 000”, allowed is a number from 0 to 500 bp; correct it.' })
    expect(read('2.5', fee)).toEqual({ value: 2.5, fault: null })
  })
})

describe('a stress question', () => {
  const shock = { ...newShock([]), others: '-3.5', volume: '0.5' }
  const question: Question = { ...ASKED, regimes: [], shocks: [shock] }

  test('error: a decimal comma in any of its numbers is a fault, one sentence each', () => {
    expect(faultsOf({ ...question, shocks: [{ ...shock, moves: { vETH: '-4,5' }, others: '-3,5', volume: '0,5', freeze: '1,5', outage: '2,5' }], persistence: '0,5' }, [])).toEqual([
      'vETH: found “-4,5”, allowed is a number from −99 to 1,000 %, with a point before its decimals; correct it.',
      'All others: found “-3,5”, allowed is a number from −99 to 1,000 %, with a point before its decimals; correct it.',
      'Volume left: found “0,5”, allowed is a number from 0.001 to 10 × usual, with a point before its decimals; correct it.',
      'Oracle freeze: found “1,5”, allowed is a number from 0 to 604,800 s, with a point before its decimals; correct it.',
      'Outage: found “2,5”, allowed is a number from 0 to 604,800 s, with a point before its decimals; correct it.',
      'Persistence: found “0,5”, allowed is a number from 0 to 1, with a point before its decimals; correct it.',
    ])
    expect(faultsOf(question, [])).toEqual([])
  })

  test('behavior: percent become fractions, digit for digit', () => {
    expect(inputOf(question, []).shocks).toEqual([{ id: 'shock-1', moves: [], others: -0.035, volumeFactor: 0.5, oracleFreezeSec: 0, outageSec: 0 }])
    expect(inputOf({ ...question, shocks: [{ ...shock, others: '1,000' }] }, []).shocks?.[0]?.others).toBe(10)
  })

  test('error: what is no number is never asked for as one', () => {
    expect(inputOf({ ...question, shocks: [{ ...shock, others: '-3,5', volume: '0,5' }] }, []).shocks?.[0]).toMatchObject({ others: NaN, volumeFactor: NaN })
  })

  test('behavior: an address carries whatever was typed, and gives back the same', () => {
    const carried = (asked: Question): Question => parse(new URLSearchParams(write(asked, new URLSearchParams('run=1')).toString()))
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('1 000', '-12 .5', '- 30', '', ' ', '−30', '%41', '%2520', '100%', 'a*b', '~20~', '.others', 'a+b', '&x=1', '#'))
    const typed = fc.record({ id: text, moves: fc.dictionary(text, text), others: text, volume: text, freeze: text, outage: text }, { noNullPrototype: true })
    fc.assert(fc.property(fc.record({ severities: fc.subarray([...SEVERITIES]), regimes: fc.oneof(fc.constant('all' as const), fc.subarray(['covid-2020-03-12', 'ftx-2022-11'])), shocks: fc.array(typed, { maxLength: 3 }), cascade: fc.boolean(), persistence: text }, { noNullPrototype: true }), (asked) => {
      expect(JSON.stringify(carried(asked))).toBe(JSON.stringify(asked))
    }), { numRuns: 200 })
  })

  test('behavior: an address says plainly what is plain', () => {
    expect(write({ ...question, shocks: [{ ...shock, moves: { vETH: '-45', 'USDC.e': '1' } }] }, new URLSearchParams()).toString()).toBe('severity=severe&regimes=&shock=shock-1+vETH*-45+USDC.e*1+.others*-3.5+.volume*0.5')
  })
})

describe('regimes that the library has not', () => {
  const library = ['covid', 'terra', 'ftx']

  test('error: are said once, with what is allowed and what to do, however many there are', () => {
    expect(faultsOf({ ...ASKED, regimes: ['nosuch'] }, library)).toEqual(['Regimes: found “nosuch”, allowed are the 3 of the list; choose there, or leave it out.'])
    expect(faultsOf({ ...ASKED, regimes: ['a', 'covid', 'b', 'a', 'c', 'd', 'e'] }, library)).toEqual(['Regimes: found “a”, “b”, “c” and 2 more, allowed are the 3 of the list; choose there, or leave them out.'])
    expect(faultsOf({ ...ASKED, regimes: ['covid', 'ftx'] }, library)).toEqual([])
  })

  test('behavior: without them all else of a question stays, and before the library is known nothing is one', () => {
    const question: Question = { ...ASKED, severities: ['DAY'], regimes: ['ftx', 'nosuch', 'covid'], shocks: [newShock([])], persistence: '0.5' }
    expect(withoutStrangers(question, library)).toEqual({ ...question, regimes: ['covid', 'ftx'] })
    expect([strangersOf(question, library), strangersOf(question, []), strangersOf(ASKED, library)]).toEqual([['nosuch'], [], []])
    expect(withoutStrangers(question, [])).toEqual(question)
  })
})

describe('two questions of a comparison', () => {
  const asked: Asked = { severities: ['SEVERE'], regimes: ['covid', 'terra'], shocks: [{ ...newShock([]), id: 'mine', moves: { vETH: '-45' }, others: '0.5' }], cascade: true, persistence: '1' }
  const mine = asked.shocks[0] as Shock

  test('behavior: the same question has no difference, however it was clicked together', () => {
    expect(differencesOf(asked, asked)).toEqual([])
    expect(differencesOf(asked, { ...asked, regimes: ['terra', 'covid'] })).toEqual([])
    // Where nothing is liquidated twice, persistence is of nothing.
    expect(differencesOf({ ...asked, cascade: false }, { ...asked, cascade: false, persistence: '0.5' })).toEqual([])
    // A market that is named and moves as all others is none of its own.
    expect(differencesOf(asked, { ...asked, shocks: [{ ...mine, moves: { vETH: '-45', vBTC: '0.5' } }] })).toEqual([])
  })

  test('behavior: each difference is said with both sides, in words and units', () => {
    expect(differencesOf(asked, { ...asked, persistence: '0.5' })).toEqual([{ what: 'Persistence of impact', a: '1', b: '0.5' }])
    expect(differencesOf(asked, { ...asked, cascade: false })).toEqual([{ what: 'Cascade', a: 'on, persistence 1', b: 'off' }])
    expect(differencesOf(asked, { ...asked, severities: ['SEVERE', 'DAY'] })).toEqual([{ what: 'Severities', a: 'severe (worst hour, high to low)', b: 'severe (worst hour, high to low); day (worst 24 hours, high to low)' }])
    expect(differencesOf(asked, { ...asked, regimes: ['covid', 'ftx', 'svb'] })).toEqual([{ what: 'Regimes', a: '2, only here: terra', b: '3, only here: ftx, svb' }])
    expect(differencesOf(asked, { ...asked, regimes: ['covid'] })).toEqual([{ what: 'Regimes', a: '2, only here: terra', b: '1' }])
    // Of no regime there is no severity.
    expect(differencesOf(asked, { ...asked, regimes: [], severities: ['DAY'] })).toEqual([{ what: 'Regimes', a: '2, only here: covid, terra', b: 'none' }])
    expect(differencesOf(asked, { ...asked, shocks: [] })).toEqual([{ what: 'Shock mine', a: 'vETH −45 %, all others +0.5 %, volume left 1 × usual, oracle freeze 0 s, outage 0 s', b: 'not asked' }])
    expect(differencesOf(asked, { ...asked, shocks: [{ ...mine, moves: { vBTC: '-10' }, volume: '0.2', freeze: '5400', outage: '30' }] })).toEqual([
      { what: 'Shock mine, vBTC', a: '+0.5 %', b: '−10 %' },
      { what: 'Shock mine, vETH', a: '−45 %', b: '+0.5 %' },
      { what: 'Shock mine, volume left', a: '1 × usual', b: '0.2 × usual' },
      { what: 'Shock mine, oracle freeze', a: '0 s', b: '90 min' },
      { what: 'Shock mine, outage', a: '0 s', b: '30 s' },
    ])
  })
})

describe('the order of a table', () => {
  const first = { key: 'value', falling: true }
  test('behavior: an address gives back the order that was written into it, and the first one where it says nothing or nonsense', () => {
    const keys = ['value', 'head-a', '-odd']
    for (const sort of [{ key: 'value', falling: false }, { key: 'value', falling: true }, { key: 'head-a', falling: true }, { key: '-odd', falling: true }, undefined]) expect(sortOf(sortText(sort), keys, first)).toEqual(sort)
    expect([sortOf(null, keys, first), sortOf('nonsense', keys, first), sortOf('-', keys, first), sortOf(null, keys, undefined)]).toEqual([first, first, first, undefined])
  })
})
