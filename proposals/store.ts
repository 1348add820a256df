/** Proposals in the database, and what is read there of the index. Every change of state writes its event in the same transaction. */
import type { Prisma, PrismaClient } from '../prisma/client.ts'
import { NotFoundError, UnavailableError } from '../core/errors.ts'
import type { Address, Call, Hex, Json, ParameterCatalog, ParameterRef } from '../protocols/adapter.ts'
import { changeFromJson, keyOf } from './draft.ts'
import type { Change, ChangeJson } from './draft.ts'
import type { Finding } from './guardrails.ts'
import { safeTxFromJson } from './safe.ts'
import type { SafeTx, SafeTxHashes, SafeTxJson } from './safe.ts'
import type { OwnerSignature } from './sign.ts'
import type { SimulationResult } from './simulate.ts'
import { assertTransition } from './state.ts'
import type { ProposalState } from './state.ts'

export type Db = PrismaClient | Prisma.TransactionClient

/** The block that the index stands on. Its timestamp is the clock of everything here. */
export type IndexedBlock = { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint }

/** A parameter as the index has it. */
export type IndexedValue = { readonly value: bigint; readonly updatedAtBlock: bigint }

/** What a recommendation that the proposal takes over was computed from. `blockTimestamp`: chain time, s. */
export type Evidence = { readonly recommendation: string; readonly digest: string; readonly blockTimestamp: bigint }

/** The Safe's transaction that keeps a proposal from happening: the empty one at its nonce, or the one that takes it out of the timelock. */
export type Cancellation = { readonly kind: 'REJECTION' | 'TIMELOCK'; readonly safeTx: SafeTx; readonly hashes: SafeTxHashes; readonly signatures: readonly OwnerSignature[] }
export type CancellationJson = { readonly kind: Cancellation['kind']; readonly safeTx: SafeTxJson; readonly hashes: SafeTxHashes }

/** One Safe transaction that owners sign. */
export type SignatureKind = 'CHANGE' | 'CANCELLATION'

export type ProposalRecord = {
  readonly id: string
  readonly title: string
  readonly state: ProposalState
  readonly stateReason: string | null
  readonly network: string
  readonly chainId: number
  readonly safe: Address
  readonly threshold: number
  readonly nonce: number
  readonly changes: readonly [Change, ...Change[]]
  readonly calls: readonly Call[]
  readonly safeTx: SafeTx
  readonly hashes: SafeTxHashes
  readonly safeTxHash: Hex
  readonly draftedAt: IndexedBlock
  /** Chain time, s. */
  readonly validUntil: bigint
  readonly simulation: SimulationResult | null
  readonly impact: Json
  readonly findings: readonly Finding[]
  readonly evidence: readonly Evidence[]
  readonly draftedBy: string | null
  readonly playbook: string | null
  readonly cancellation: Cancellation | null
  /** Where a timelock stands between: what queued it, and the first chain time at which it can be executed, s. */
  readonly scheduled: { readonly txHash: Hex; readonly block: bigint; readonly readyAtSec: bigint } | null
  readonly aftermath: Json
  readonly recommendationIds: readonly string[]
  readonly executionTxHash: Hex | null
  readonly executedAtBlock: bigint | null
  readonly appliedAtBlock: bigint | null
  readonly nonceUsedAtBlock: bigint | null
  readonly signatures: readonly OwnerSignature[]
  readonly events: readonly { readonly at: Date; readonly fromState: ProposalState | null; readonly toState: ProposalState; readonly note: string }[]
}

const include = { signatures: { orderBy: { signer: 'asc' } }, events: { orderBy: { id: 'asc' } } } as const
type Row = Prisma.ProposalGetPayload<{ include: { signatures: true; events: true } }>

const signaturesOf = (row: Row, kind: SignatureKind): OwnerSignature[] => row.signatures.filter((each) => each.kind === kind).map(({ signer, signature }) => ({ signer: signer as Address, signature: signature as Hex }))

function cancellationOf(row: Row): Cancellation | null {
  if (row.cancellation === null) return null
  const { kind, safeTx, hashes } = row.cancellation as unknown as CancellationJson
  return { kind, safeTx: safeTxFromJson(safeTx), hashes, signatures: signaturesOf(row, 'CANCELLATION') }
}

const fromRow = (row: Row): ProposalRecord => ({
  id: row.id,
  title: row.title,
  state: row.state,
  stateReason: row.stateReason,
  network: row.network,
  chainId: row.chainId,
  safe: row.safe as Address,
  threshold: row.threshold,
  nonce: row.nonce,
  changes: (row.changes as unknown as ChangeJson[]).map(changeFromJson) as unknown as readonly [Change, ...Change[]],
  calls: (row.calls as unknown as { to: Address; value: string; data: Hex }[]).map((call) => ({ ...call, value: BigInt(call.value) })),
  safeTx: safeTxFromJson(row.safeTx as unknown as SafeTxJson),
  hashes: { domainHash: row.domainHash as Hex, messageHash: row.messageHash as Hex, safeTxHash: row.safeTxHash as Hex },
  safeTxHash: row.safeTxHash as Hex,
  draftedAt: { number: row.draftedAtBlock, hash: row.draftedAtBlockHash as Hex, timestamp: row.draftedAtTimestamp },
  validUntil: row.validUntil,
  simulation: row.simulation as unknown as SimulationResult | null,
  impact: row.impact as Json,
  findings: row.findings as unknown as Finding[],
  evidence: (row.evidence as unknown as { recommendation: string; digest: string; blockTimestamp: string }[]).map((each) => ({ ...each, blockTimestamp: BigInt(each.blockTimestamp) })),
  draftedBy: row.draftedBy,
  playbook: row.playbook,
  cancellation: cancellationOf(row),
  scheduled: row.scheduledTxHash === null || row.scheduledAtBlock === null || row.readyAtSec === null ? null : { txHash: row.scheduledTxHash as Hex, block: row.scheduledAtBlock, readyAtSec: row.readyAtSec },
  aftermath: row.aftermath as Json,
  recommendationIds: row.recommendationIds,
  executionTxHash: row.executionTxHash as Hex | null,
  executedAtBlock: row.executedAtBlock,
  appliedAtBlock: row.appliedAtBlock,
  nonceUsedAtBlock: row.nonceUsedAtBlock,
  signatures: signaturesOf(row, 'CHANGE'),
  events: row.events.map(({ at, fromState, toState, note }) => ({ at, fromState, toState, note })),
})

/** Throws NotFoundError. */
export async function load(db: Db, id: string): Promise<ProposalRecord> {
  const row = await db.proposal.findUnique({ where: { id }, include })
  if (row === null) throw new NotFoundError({ what: 'proposal', id, hint: 'list the proposals to see their ids' })
  return fromRow(row)
}

/** Newest first. */
export async function find(db: Db, where: Prisma.ProposalWhereInput): Promise<readonly ProposalRecord[]> {
  const rows = await db.proposal.findMany({ where, include, orderBy: [{ draftedAtBlock: 'desc' }, { nonce: 'desc' }, { id: 'desc' }] })
  return rows.map(fromRow)
}

/** A move to another state, or null to stay without a trace. `data` is written with it. */
export type Step = { readonly to: ProposalState; readonly note: string; readonly data?: Prisma.ProposalUpdateInput } | null

/**
 * Locks the proposal, lets `decide` look at it as it is now, and writes state, data and event together. `atSec` is chain time.
 * Throws NotFoundError, WrongStateError, and what `decide` throws; then nothing is written.
 */
export async function move(prisma: PrismaClient, id: string, atSec: bigint, decide: (record: ProposalRecord, tx: Prisma.TransactionClient) => Step | Promise<Step>): Promise<ProposalRecord> {
  return prisma.$transaction(
    async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM "Proposal" WHERE "id" = ${id} FOR UPDATE`
      const record = await load(tx, id)
      const step = await decide(record, tx)
      if (step === null) return record
      assertTransition(id, record.state, step.to)
      await tx.proposal.update({ where: { id }, data: { ...step.data, state: step.to } })
      await appendEvent(tx, id, record.state, step.to, step.note, atSec)
      return load(tx, id)
    },
    { timeout: 30_000, maxWait: 10_000 },
  )
}

export async function appendEvent(tx: Prisma.TransactionClient, proposalId: string, fromState: ProposalState | null, toState: ProposalState, note: string, atSec: bigint): Promise<void> {
  await tx.proposalEvent.create({ data: { proposalId, fromState, toState, note, at: toDate(atSec) } })
}

export const toDate = (sec: bigint): Date => new Date(Number(sec) * 1000)

/** Throws UnavailableError while nothing is indexed. */
export async function readIndexed(db: Db): Promise<IndexedBlock> {
  const row = await db.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' } })
  if (row === null) throw new UnavailableError({ part: 'mirror', found: 'nothing is indexed yet', action: 'wait for the first indexed block' })
  return { number: row.blockNumber, hash: row.blockHash as Hex, timestamp: row.blockTimestamp }
}

/** Current raw values by `keyOf`. What the index does not have is not in the map: neither is a 0 for which the contract answers another parameter's value. */
export async function readValues(db: Db, catalog: ParameterCatalog, refs: readonly ParameterRef[]): Promise<ReadonlyMap<string, IndexedValue>> {
  if (refs.length === 0) return new Map()
  const rows = await db.parameter.findMany({ where: { OR: refs.map((ref) => ({ name: ref.name, subject: ref.subject.toLowerCase() })) } })
  const values = rows.map((row) => ({ name: row.name, key: keyOf({ parameter: row.name, subject: row.subject }), value: BigInt(row.value.toFixed(0)), updatedAtBlock: row.updatedAtBlock }))
  return new Map(values.filter(({ name, value }) => value !== 0n || catalog.find(name).zeroIs?.of == null).map(({ key, value, updatedAtBlock }) => [key, { value, updatedAtBlock }]))
}

/** The new raw values that one transaction announced, by `keyOf`; the last one where there are several. */
export async function readAnnounced(db: Db, txHash: Hex): Promise<ReadonlyMap<string, bigint>> {
  const rows = await db.parameterChange.findMany({ where: { transactionHash: txHash.toLowerCase() }, orderBy: { logIndex: 'asc' } })
  return new Map(rows.map((row) => [keyOf({ parameter: row.name, subject: row.subject }), BigInt(row.newValue.toFixed(0))]))
}
