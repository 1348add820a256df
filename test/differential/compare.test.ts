import { describe, expect, test } from '@jest/globals'
import { compareBlock, type FieldResult, type Mismatch } from './compare.ts'
import { chooseBlocks } from './run.ts'
import type { Values } from './record.ts'

function compare(ours: Values, theirs: Values): { results: ReadonlyMap<string, FieldResult>; mismatches: readonly Mismatch[] } {
  const into = { byField: new Map<string, FieldResult>(), mismatches: [] as Mismatch[] }
  compareBlock(7, ours, theirs, into)
  return { results: into.byField, mismatches: into.mismatches }
}
const SIZE = 'AccountBalance.getTakerPositionSize' // exact, E18
const VALUE = 'ClearingHouse.getAccountValue' // depends on time, E18
const MARK = 'AccountBalance.getMarkPrice'

describe('what counts as agreement', () => {
  test('behavior: an exact figure agrees to the wei and not one off', () => {
    expect(compare({ [SIZE]: { a: '1000000000000000000' } }, { [SIZE]: { a: '1000000000000000000' } }).mismatches).toEqual([])
    const { mismatches, results } = compare({ [SIZE]: { a: '1000000000000000001' } }, { [SIZE]: { a: '1000000000000000000' } })
    expect(mismatches).toEqual([{ block: 7, field: SIZE, subject: 'a', ours: '1000000000000000001', theirs: '1000000000000000000' }])
    expect(results.get(SIZE)).toMatchObject({ comparisons: 1, mismatches: 1, exact: 0, maxAbsWei: 1n })
  })

  test('behavior: what depends on time may differ by 1e-9 of it, and by 1e-9 of one unit where it is less than one', () => {
    // 2,000 units: 2e-6 units are 2e12 wei.
    expect(compare({ [VALUE]: { a: '2000000002000000000000' } }, { [VALUE]: { a: '2000000000000000000000' } }).mismatches).toHaveLength(0)
    expect(compare({ [VALUE]: { a: '2000000002000000000001' } }, { [VALUE]: { a: '2000000000000000000000' } }).mismatches).toHaveLength(1)
    // Less than one unit: 1e9 wei.
    expect(compare({ [VALUE]: { a: '1000000000' } }, { [VALUE]: { a: '0' } }).mismatches).toHaveLength(0)
    expect(compare({ [VALUE]: { a: '1000000001' } }, { [VALUE]: { a: '0' } }).mismatches).toHaveLength(1)
  })

  test('behavior: a refusal agrees with the same refusal alone', () => {
    expect(compare({ [MARK]: { m: 'revert: OLD' } }, { [MARK]: { m: 'revert: OLD' } })).toMatchObject({ mismatches: [] })
    for (const ours of ['1', 'revert: other', 'unknown']) expect(compare({ [MARK]: { m: ours } }, { [MARK]: { m: 'revert: OLD' } }).mismatches).toHaveLength(1)
  })

  test('behavior: what one side leaves out or does not know never agrees', () => {
    expect(compare({}, { [SIZE]: { a: '0' } }).mismatches).toHaveLength(1)
    expect(compare({ [SIZE]: { a: '0' } }, {}).mismatches).toHaveLength(1)
    expect(compare({ [SIZE]: { a: '0' } }, { [SIZE]: { a: '0', b: '0' } }).mismatches).toHaveLength(1)
    expect(compare({ [SIZE]: { a: 'unknown' } }, { [SIZE]: { a: 'unknown' } }).mismatches).toHaveLength(1)
  })
})

describe('the choice of blocks', () => {
  test('behavior: the same seed chooses the same blocks, ascending, none twice, all in reach', () => {
    const chosen = chooseBlocks(3, 50, 14, 2_236)
    expect(chosen).toEqual(chooseBlocks(3, 50, 14, 2_236))
    expect(new Set(chosen).size).toBe(50)
    expect(chosen).toEqual(chosen.toSorted((a, b) => a - b))
    expect(Math.min(...chosen)).toBeGreaterThanOrEqual(14)
    expect(Math.max(...chosen)).toBeLessThanOrEqual(2_236)
    expect(chooseBlocks(4, 50, 14, 2_236)).not.toEqual(chosen)
    expect(chooseBlocks(1, 500, 14, 20)).toEqual([14, 15, 16, 17, 18, 19, 20])
  })
})
