/** What came of an applied proposal against what was predicted: its parameters, and who was liquidated in the day after. */
import type { Address, Hex, Json } from '../protocols/adapter.ts'
import { keyOf } from './draft.ts'
import type { Db, IndexedBlock, ProposalRecord } from './store.ts'

/** How long liquidations after a change are held against its prediction, s. */
export const AFTERMATH_SEC = 86_400n

/** Integers as decimal strings: it is stored as JSON. */
export type Aftermath = {
  /** Up to this block it is known, chain time s; `complete` once the whole day is indexed. */
  readonly untilSec: string
  readonly complete: boolean
  /** Present value in the index. `kept`: it still is what the proposal set. */
  readonly parameters: readonly { readonly parameter: string; readonly subject: Address; readonly predicted: string; readonly actual: string | null; readonly kept: boolean }[]
  readonly liquidations: {
    /** Accounts that the simulation said this change makes liquidatable, and how many of them were liquidated; null where nothing was predicted. */
    readonly predicted: { readonly accounts: number; readonly liquidated: number } | null
    /** Of all accounts, from the change's block on. Notional in quote, E18. */
    readonly accounts: number
    readonly count: number
    readonly notionalE18: string
    /** Liquidated, and not predicted: the market moved, or the prediction was wrong. */
    readonly others: readonly Address[]
    /** Settlement decimals. */
    readonly badDebt: string
  }
}

/** How many accounts are named. */
const NAMED = 50

/** Out of the index at `block`. `predicted`: accounts that the impact named as becoming liquidatable; null where there was no impact. */
export async function readAftermath(db: Db, proposal: ProposalRecord, block: IndexedBlock, predicted: readonly Address[] | null): Promise<Aftermath> {
  const start = proposal.executedAtBlock ?? block.number
  const first = await db.parameterChange.findFirst({ where: { transactionHash: (proposal.executionTxHash as Hex).toLowerCase() }, select: { timestamp: true } })
  // A value that no event announces was seen with the execution all the same.
  const seen = proposal.events.find((event) => event.toState === 'EXECUTED')
  const startSec = first?.timestamp ?? (seen === undefined ? block.timestamp : BigInt(Math.floor(seen.at.getTime() / 1000)))
  const untilSec = block.timestamp < startSec + AFTERMATH_SEC ? block.timestamp : startSec + AFTERMATH_SEC
  const window = { blockNumber: { gte: start }, timestamp: { lte: untilSec } }
  const [values, positions, collateral, badDebt] = await Promise.all([
    db.parameter.findMany({ where: { OR: proposal.changes.map((change) => ({ name: change.parameter, subject: change.subject })) } }),
    db.liquidation.findMany({ where: window, select: { accountId: true, notionalE18: true } }),
    db.collateralLiquidation.findMany({ where: window, select: { accountId: true } }),
    db.badDebt.aggregate({ where: window, _sum: { amount: true } }),
  ])
  const known = new Map(values.map((row) => [keyOf({ parameter: row.name, subject: row.subject }), row.value.toFixed(0)]))
  const liquidated = new Set([...positions, ...collateral].map((row) => row.accountId as Address))
  const foreseen = new Set(predicted)
  const notional = positions.reduce((sum, row) => sum + BigInt(row.notionalE18.toFixed(0)), 0n)
  return {
    untilSec: untilSec.toString(),
    complete: block.timestamp >= startSec + AFTERMATH_SEC,
    parameters: proposal.changes.map((change) => {
      const actual = known.get(keyOf(change)) ?? null
      return { parameter: change.parameter, subject: change.subject, predicted: change.to.toString(), actual, kept: actual === change.to.toString() }
    }),
    liquidations: {
      predicted: predicted === null ? null : { accounts: foreseen.size, liquidated: [...foreseen].filter((account) => liquidated.has(account)).length },
      accounts: liquidated.size,
      count: positions.length + collateral.length,
      notionalE18: notional.toString(),
      others: [...liquidated].filter((account) => !foreseen.has(account)).toSorted().slice(0, NAMED),
      badDebt: badDebt._sum?.amount?.toFixed(0) ?? '0',
    },
  }
}

export const aftermathJson = (aftermath: Aftermath): Json => aftermath as unknown as Json
