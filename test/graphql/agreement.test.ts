/** What different queries say of one book at one block: the same accounts are due, with the same values. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { BLOCK, addressOf, deployment, log, noChain, seed, services } from './support.ts'
import { seedRisk } from './risk-support.ts'
import { startServer, type ApiServer } from '../../api/graphql/server.ts'
import type { Services } from '../../api/graphql/context.ts'
import { createPrisma, type PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

jest.setTimeout(60_000)

let postgres: TestPostgres
let prisma: PrismaClient
let shared: Services
let server: ApiServer

beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
  await seed(prisma)
  await seedRisk(prisma)
  // 1 holds 2 vETH bought at 1,900 and worth 1,800: 3,600 of gross asks 225. WETH stands at 1,500, counts at 70 %, recovers 95 %.
  // 4 and 5 hold 1 vETH bought at 1,900: 1,800 asks 112.50.
  const weth = deployment.collaterals[0]!.token.toLowerCase()
  for (const [account, cash, milliWeth] of [
    // 200 − 200 + 300·0.7 = 210, below 225; 285 are recovered.
    [1, 200, 200],
    // 20 − 100 + 300·0.7 = 130, above.
    [4, 20, 200],
    // −50 − 100 + 300·0.7 = 60: below, and above half of it; 135 are recovered.
    [5, -50, 200],
  ] as const) {
    const id = addressOf(account)
    await prisma.account.update({ where: { id }, data: { settlementBalance: `${cash * 1_000_000}` } })
    await prisma.collateralBalance.create({ data: { id: `${id}${weth.slice(2)}`, accountId: id, assetId: weth, amount: `${BigInt(milliWeth) * 10n ** 15n}`, updatedAtBlock: BLOCK.number, updatedAtTimestamp: BLOCK.timestamp } })
  }
  shared = services(prisma, noChain)
  server = await startServer({ ...shared, log, host: '127.0.0.1', port: 0 })
}, 240_000)
afterAll(async () => {
  await shared?.risk.runs.stop()
  await server?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
}, 30_000)

type Figures = { readonly value: number; readonly requirement: number }

test('behavior: accounts whose collateral counts for less than it recovers are due in margins, queue, tiers, stress without a move and the ladder’s rung at 0 alike', async () => {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: `query ($still: StressInput, $down: StressInput) {
        accounts(first: 50) { nodes { id margin { liquidatable accountValue { value } maintenanceMargin { value } } } }
        liquidationQueue { dueAccounts entries { account due value requirement gross } }
        liquidationStates(first: 50) { nodes { account tier value recoverable requirement } }
        liquidationLadder(market: "vETH", changes: [0]) { rungs { accounts notional } }
        still: stressTest(input: $still) { scenarios { liquidatableAccounts liquidatableNotional } }
        down: stressTest(input: $down) { scenarios { worstAccounts { account value recoverable gross requirement shortfall } } }
      }`,
      variables: {
        still: { cascade: false, shocks: [{ id: 'still', moves: [], volumeFactor: 0.999 }] },
        down: { cascade: false, shocks: [{ id: 'down', moves: [{ name: 'vETH', value: -0.1 }, { name: 'WETH', value: -0.1 }] }] },
      },
    }),
  })
  const { data, errors } = (await response.json()) as { data: any; errors?: unknown } // oxlint-disable-line typescript/no-explicit-any
  expect(errors).toBeUndefined()

  const margins = new Map<string, Figures & { liquidatable: boolean }>(
    data.accounts.nodes.map((node: any) => [node.id, { value: Number(node.margin.accountValue.value), requirement: Number(node.margin.maintenanceMargin.value), liquidatable: node.margin.liquidatable }]), // oxlint-disable-line typescript/no-explicit-any
  )
  expect(margins.get(addressOf(1))).toEqual({ value: 210, requirement: 225, liquidatable: true })
  const due = [...margins].flatMap(([id, { liquidatable }]) => (liquidatable ? [id] : [])).sort()
  expect(due).toEqual([addressOf(1), addressOf(5)].sort())

  const queue = data.liquidationQueue
  expect(queue.dueAccounts).toBe(2)
  const queued = queue.entries.filter((one: { due: boolean }) => one.due) as (Figures & { account: string; gross: number })[]
  expect(queued.map((one) => one.account).sort()).toEqual(due)
  for (const { account, value, requirement } of queued) expect({ value, requirement }).toEqual({ value: margins.get(account)!.value, requirement: margins.get(account)!.requirement })
  const states = new Map(data.liquidationStates.nodes.map((one: { account: string }) => [one.account, one]))
  expect(states.get(addressOf(1))).toEqual({ account: addressOf(1), tier: 'PARTIAL', value: 210, recoverable: 285, requirement: 225 })
  expect(states.get(addressOf(5))).toEqual({ account: addressOf(5), tier: 'PARTIAL', value: 60, recoverable: 135, requirement: 112.5 })

  const notional = 3_600 + 1_800
  expect(queued.reduce((sum, one) => sum + one.gross, 0)).toBe(notional)
  expect(data.liquidationLadder.rungs).toEqual([{ accounts: 2, notional }])
  expect(data.still.scenarios).toEqual([{ liquidatableAccounts: 2, liquidatableNotional: notional }])

  // At −10 %: 1 is worth 200 − 3,800 + 3,240 + 270·0.7 = −171 and recovers −360 + 270·0.95 = −103.50; closing 3,240 costs at least 2.5 %, 81.
  const [first] = data.down.scenarios[0].worstAccounts
  expect(first).toMatchObject({ account: addressOf(1), gross: 3_240, requirement: 202.5 })
  expect(first.value).toBeCloseTo(-171, 9)
  expect(first.recoverable).toBeCloseTo(-103.5, 9)
  expect(first.shortfall).toBeGreaterThanOrEqual(184.5 - 1e-9)
})
