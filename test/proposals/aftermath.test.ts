/** What was predicted against what came of it, out of the index. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { AFTERMATH_SEC, readAftermath } from '../../proposals/aftermath.ts'
import type { IndexedBlock, ProposalRecord } from '../../proposals/store.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

const address = (n: number): Address => `0x${n.toString(16).padStart(40, '0')}`
const hash = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`
const [ROOT, MARKET, FORETOLD, SPARED, SURPRISE, BEFORE] = [1, 2, 3, 4, 5, 6].map(address) as [Address, Address, Address, Address, Address, Address]
const EXECUTED = { block: 100n, sec: 1_000_000n, tx: hash(7) }

let postgres: TestPostgres
let prisma: PrismaClient
beforeAll(async () => {
  postgres = await startTestPostgres()
  prisma = createPrisma(await postgres.freshDatabase())
})
afterAll(async () => {
  await prisma?.$disconnect()
  await postgres?.stop()
})

const proposal = {
  changes: [{ parameter: 'collateralRatio', scope: 'COLLATERAL', subject: MARKET, subjectLabel: 'WETH', from: 700_000n, to: 600_000n }],
  executionTxHash: EXECUTED.tx, executedAtBlock: EXECUTED.block,
  events: [{ at: new Date(Number(EXECUTED.sec) * 1000), fromState: 'READY', toState: 'EXECUTED', note: '' }],
} as unknown as ProposalRecord
const at = (sinceSec: bigint): IndexedBlock => ({ number: EXECUTED.block + sinceSec / 2n, hash: hash(8), timestamp: EXECUTED.sec + sinceSec })

const fact = (sec: bigint, logIndex = 0) => ({ blockNumber: EXECUTED.block + sec / 2n, timestamp: EXECUTED.sec + sec, transactionHash: hash(9), logIndex })
const position = (id: string, accountId: Address, notionalE18: string, sec: bigint) =>
  prisma.liquidation.create({ data: { id, accountId, marketId: MARKET, liquidator: ROOT, sizeE18: '1', notionalE18, penaltyE18: '0', liquidatorFeeE18: '0', sizeAfterE18: '0', ...fact(sec) } })
const value = (raw: string) => prisma.parameter.create({ data: { id: 'p', protocolId: ROOT, name: 'collateralRatio', scope: 'COLLATERAL', subject: MARKET, contract: ROOT, value: raw, source: 'EVENT', changeCount: 1, updatedAtBlock: EXECUTED.block, updatedAtTimestamp: EXECUTED.sec } })

beforeEach(async () => {
  await prisma.$executeRaw`TRUNCATE "Parameter", "ParameterChange", "Liquidation", "CollateralLiquidation", "BadDebt"`
})

describe('what came of it', () => {
  test('behavior: predicted against actual: values, liquidations of those foretold and of others, within 24 h and not a second more', async () => {
    await value('600000')
    await position('a', BEFORE, '9000', -2n)
    await position('b', FORETOLD, '300', 10n)
    await position('c', FORETOLD, '40', AFTERMATH_SEC)
    await position('d', SPARED, '5000', AFTERMATH_SEC + 1n)
    await prisma.collateralLiquidation.create({ data: { id: 'e', accountId: SURPRISE, token: MARKET, liquidator: ROOT, amount: '1', repaid: '1', insuranceFundFee: '0', discountRatioE6: 0, ...fact(20n) } })
    await prisma.badDebt.create({ data: { id: 'f', accountId: FORETOLD, amount: '17', ...fact(30n) } })
    const whole = await readAftermath(prisma, proposal, at(AFTERMATH_SEC + 10n), [FORETOLD, SPARED])
    expect(whole).toEqual({
      untilSec: String(EXECUTED.sec + AFTERMATH_SEC),
      complete: true,
      parameters: [{ parameter: 'collateralRatio', subject: MARKET, predicted: '600000', actual: '600000', kept: true }],
      // Two accounts in three liquidations: 300 + 40 of notional.
      liquidations: { predicted: { accounts: 2, liquidated: 1 }, accounts: 2, count: 3, notionalE18: '340', others: [SURPRISE], badDebt: '17' },
    })
    expect(await readAftermath(prisma, proposal, at(15n), [FORETOLD, SPARED])).toMatchObject({ untilSec: String(EXECUTED.sec + 15n), complete: false, liquidations: { accounts: 1, count: 1, notionalE18: '300', others: [], badDebt: '0' } })
  })

  test('behavior: a value that was changed again is told, and nothing foretold is not a foretold nobody', async () => {
    await value('650000')
    expect(await readAftermath(prisma, proposal, at(2n), null)).toMatchObject({ parameters: [{ predicted: '600000', actual: '650000', kept: false }], liquidations: { predicted: null, accounts: 0 } })
    expect((await readAftermath(prisma, proposal, at(2n), [])).liquidations.predicted).toEqual({ accounts: 0, liquidated: 0 })
  })

  test('behavior: the day begins with the announced change, and with the execution where none announced it', async () => {
    await value('600000')
    expect((await readAftermath(prisma, proposal, at(AFTERMATH_SEC), [])).complete).toBe(true)
    await prisma.parameterChange.create({ data: { id: 'g', parameterId: 'p', name: 'collateralRatio', scope: 'COLLATERAL', subject: MARKET, contract: ROOT, newValue: '600000', source: 'EVENT', sender: ROOT, ...fact(60n), transactionHash: EXECUTED.tx } })
    expect((await readAftermath(prisma, proposal, at(AFTERMATH_SEC), [])).complete).toBe(false)
    expect((await readAftermath(prisma, proposal, at(AFTERMATH_SEC + 60n), [])).complete).toBe(true)
  })
})
