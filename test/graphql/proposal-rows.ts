/** Proposals as rows, over the small book of support.ts: what is derived in them is derived by `build`. */
import type { Prisma } from '../../prisma/client.ts'
import { build } from '../../proposals/build.ts'
import { changeToJson } from '../../proposals/draft.ts'
import type { Change } from '../../proposals/draft.ts'
import type { Impact } from '../../proposals/index.ts'
import { lower, safeTxToJson } from '../../proposals/safe.ts'
import type { Deployment, Hex } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { BLOCK, addressOf, deployment } from './support.ts'

const { catalog } = curie
/** The same contracts behind a timelock of an hour. */
export const delayed: Deployment = { ...deployment, governance: { kind: 'TIMELOCK', address: '0x00000000000000000000000000000000000070c1', minDelaySec: 3_600 } }
export const market = deployment.markets[0]!
export const band: Change = { parameter: 'marketMaxPriceSpreadRatio', scope: 'MARKET', subject: lower(market.baseToken), subjectLabel: market.symbol, from: 100_000n, to: 62_500n }
export const stop: Change = { parameter: 'marketStatus', scope: 'MARKET', subject: lower(market.baseToken), subjectLabel: market.symbol, from: 0n, to: 1n }
export const validUntil = BLOCK.timestamp + 259_200n

export const rowOf = (id: string, target: Deployment, changes: readonly [Change, ...Change[]], nonce: number, more: Partial<Prisma.ProposalUncheckedCreateInput> = {}): Prisma.ProposalUncheckedCreateInput => {
  const built = build({ catalog, deployment: target }, { changes, validUntilSec: validUntil, nonce: BigInt(nonce) })
  return {
    id, title: id, state: 'AWAITING_SIGNATURES', network: 'devnet', chainId: deployment.chainId, safe: lower(deployment.safe!.address), threshold: 2, nonce,
    changes: changes.map(changeToJson), calls: built.calls.map((call) => ({ ...call, value: call.value.toString() })), safeTx: safeTxToJson(built.safeTx), ...built.hashes,
    draftedAtBlock: BLOCK.number, draftedAtBlockHash: BLOCK.hash, draftedAtTimestamp: BLOCK.timestamp, validUntil, recommendationIds: [], ...more,
  }
}

const margin = (valueE18: string) => ({ valueE18, requirementE18: '7000000000000000000', collateralRequirementE18: '0', debtE18: '0', marginRatioE6: '-12345' })
/** Of 49 accounts, 41 are valued. */
export const impact: Impact = {
  version: 2, block: '1000', blockHash: BLOCK.hash, timestampSec: BLOCK.timestamp.toString(),
  accounts: { indexed: 49, readFromContracts: 5, cut: true, unreadable: [], valued: 41, unvalued: [{ reason: 'not read from the contracts', count: 8, accounts: [addressOf(5) as Hex] }] },
  newlyLiquidatable: [{ account: addressOf(3) as Hex, source: 'CONTRACTS', falls: ['POSITIONS'], afterCancelling: false, before: margin('9000000000000000000'), after: margin('-1'), grossE18: '100000000000000000000', positions: [], collateral: [], badDebtE18: '1', expectedBadDebtE18: null }],
  noLongerLiquidatable: [],
  totals: { grossE18: '100000000000000000000', badDebtE18: '1', expectedBadDebtE18: null, fundE18: '-500000000000000000', coverE6: '250000', uncoveredE18: '3' },
  nearMiss: [{ moveE6: '-30000', without: 1, with: 2, added: [{ account: addressOf(4) as Hex, falls: ['POSITIONS'], valueE18: '1', requirementE18: '2', grossE18: '3', badDebtE18: '0' }] }],
  engine: { gap: null, comparedBefore: 10, comparedAfter: 10, differences: [] },
  invariants: { checked: 4, steps: [], newlyBroken: 0 },
  fund: { targetBefore: '1', targetAfter: '2', bindingAfter: null, capacityE18: null, gap: null },
  breakers: { levels: [], loosening: [], replays: [] },
  notes: ['Prices stand still.'],
}
