import { expect, test } from '@jest/globals'
import { createRandom } from '../../api/risk/index.ts'
import { benchStress, generateAccounts, generateScenarios, largestDifference } from './stress.ts'

test('a generated book has four positions per account in different markets, and is the same every time', () => {
  const accounts = generateAccounts(500, createRandom(1))
  expect(accounts.reduce((sum, a) => sum + a.positions.length, 0)).toBe(2_000)
  for (const { positions } of accounts) expect(new Set(positions.map((p) => p.asset)).size).toBe(positions.length)
  expect(generateAccounts(500, createRandom(1))).toEqual(accounts)
  expect(new Set(generateScenarios(40, createRandom(1)).map((s) => s.changeOf('market 1'))).size).toBe(40)
})

test('behavior: the two ways are compared in every figure', async () => {
  const result = await benchStress({ accounts: 500, scenarios: 40, rounds: 1, progress: () => {} })
  expect(result).toMatchObject({ accounts: 500, positions: 2_000, markets: 20, collaterals: 4, scenarios: 40, straightforwardScenarios: 1 })
  expect(result.largestDifference).toBeLessThan(1e-9)
  expect(result.liquidatableShare).toBeGreaterThan(0)
  const figures = { value: 1, requirement: 1, liquidatable: 1, liquidatableNotional: 1, liquidatedNotional: 1, shortfall: 1, cover1: 1, cover2: 1, accountsInLoss: 1 }
  const ours = { ...figures, id: 'x', taken: [] }
  expect(largestDifference([ours], [figures], 100)).toBe(0)
  expect(() => largestDifference([{ ...ours, shortfall: 1.1 }], [figures], 100)).toThrow('Found shortfall of 1.1 against 1')
})
