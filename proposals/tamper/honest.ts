/** Honest proposals, drawn from a seed: real parameters of the deployed protocol, built and signed as the real thing is. */
import { hexToBytes, keccak256, numberToHex, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Deployment, Governance, Hex, ParameterRef, Protocol } from '../../protocols/adapter.ts'
import { build } from '../build.ts'
import type { Built, Plan } from '../build.ts'
import { keyOf, labelOf } from '../draft.ts'
import type { Impact } from '../impact.ts'
import type { Change, Target } from '../draft.ts'
import { checkPolicy } from '../policy.ts'
import type { DaoPolicy } from '../policy.ts'
import { reviewOf } from '../review.ts'
import type { ReviewFile } from '../review.ts'
import { rollbackOf } from '../rollback.ts'
import { hashesOf, lower } from '../safe.ts'
import { signWithKey } from '../sign.ts'
import type { OwnerSignature } from '../sign.ts'
import type { BatchResult, SimulationResult } from '../simulate.ts'
import type { Head, Questions, Statement, Witness } from '../witness.ts'

/** Where proposals are drawn from: a protocol, its deployment, and what the chain answered at one block. */
export type World = { readonly protocol: Protocol; readonly target: Target; readonly said: Statement; readonly signers: readonly Hex[] }

/** A timelock that no chain has to hold: what a proposal through it is made of is the same. */
export const TIMELOCK: Governance = { kind: 'TIMELOCK', address: '0x71c7656ec7ab88b098defb751b7401b5f6d8976f', minDelaySec: 86_400 }

export function worldOf(protocol: Protocol, deployment: Deployment, said: Statement, signers: readonly Hex[], governance: Governance): World {
  const timelock = governance.kind === 'SAFE' ? null : { minDelaySec: BigInt(governance.minDelaySec), safeMay: true }
  return { protocol, target: { catalog: protocol.catalog, deployment: { ...deployment, governance } }, said: { ...said, timelock }, signers }
}

/** An RPC that answers from the world; `lie` changes its answers. */
export function worldWitness(world: World, name: string, lie: (statement: Statement) => Statement = (statement) => statement): Witness {
  const { said } = world
  return {
    name,
    head: () => Promise.resolve(lie(said).at),
    state: (questions) => Promise.resolve(lie(statementOf(world, questions))),
  }
}

function statementOf({ said, target }: World, questions: Questions): Statement {
  const values = Object.fromEntries(questions.refs.map((ref) => keyOf({ parameter: ref.name, subject: ref.subject })).map((key) => [key, said.values[key] ?? null]))
  const block = questions.block === null || questions.block > said.at.number || questions.block <= said.at.number - BLOCKS_KEPT ? null : headAt(said, questions.block)
  // A real Safe's getter is asked in test/proposals/verify.test.ts; here it is the specification's arithmetic.
  const { deployment } = target
  const safeTxHash = questions.safeTx === null ? null : hashesOf({ chainId: deployment.chainId, safe: questions.safe }, questions.safeTx).safeTxHash
  return { ...said, block, values, safeTxHash }
}

/** A xorshift generator: the same seed draws the same proposals on every machine. */
export function generator(seed: number): { below(n: number): number; pick<T>(items: readonly T[]): T; chance(percent: number): boolean } {
  let state = (seed * 2_654_435_761) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  const below = (n: number): number => next() % n
  return { below, pick: (items) => items[below(items.length)]!, chance: (percent) => below(100) < percent }
}

/** A statement as JSON, and back: integers of the chain are decimal strings. */
export const statementToJson = (said: Statement): unknown => JSON.parse(JSON.stringify(said, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)))
export const statementFromJson = (text: string): Statement => JSON.parse(text, (_, value: unknown) => (typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value)) as Statement

const BLOCKS_KEPT = 1_000n

/** The chain of a world before its last block: blocks 2 s apart, each with a hash of its own. */
export const headAt = (said: Statement, number: bigint): Head =>
  number === said.at.number ? said.at : { number, hash: keccak256(toHex(`block ${number}`)), timestampSec: said.at.timestampSec - 2n * (said.at.number - number) }

export type Honest = { readonly world: World; readonly file: ReviewFile; readonly plan: Plan; readonly built: Built }

export type Draw = ReturnType<typeof generator>

/** An honest proposal of a world that keeps to the policy. */
export async function drawHonest(world: World, policy: DaoPolicy, seed: number): Promise<Honest> {
  const draw = generator(seed)
  const { target, said, protocol } = world
  const { deployment } = target
  const head = headAt(said, said.at.number - BigInt(draw.below(200)))
  const delaySec = deployment.governance?.kind === 'TIMELOCK' ? deployment.governance.minDelaySec : 0
  const validUntilSec = head.timestampSec + BigInt(3_600 + delaySec + draw.below(policy.validity.maxSec - 3_600 - delaySec))
  const plan: Plan = { changes: drawChanges(world, policy, draw), validUntilSec, nonce: said.safe.nonce + BigInt(draw.below(4)) }
  const built = build(target, plan)
  const back = rollbackOf(target, plan)
  const signatures: OwnerSignature[] = []
  for (const key of world.signers.slice(0, draw.below(world.signers.length + 1))) signatures.push(await sign(world, built, key, draw.chance(25)))
  const simulation = draw.chance(80) ? simulationOf(plan, built, back.plan === null ? null : back, head) : null
  const file = reviewOf({
    protocol: protocol.name,
    network: deployment.network,
    chainId: deployment.chainId,
    safe: deployment.safe!.address,
    governance: deployment.governance ?? { kind: 'SAFE' },
    title: draw.pick(['Tighten what moves too far', 'Loosen after the storm – step 2', 'Größere Reserve für den Fonds', '保険基金を増やす']),
    plan,
    built,
    rollback: back.plan === null ? null : back,
    block: { number: head.number, hash: head.hash, timestamp: head.timestampSec },
    evidence: Array.from({ length: draw.below(3) }, (_, i) => ({ recommendation: `${plan.changes[0].parameter}-${i}`, digest: keccak256(toHex(`evidence ${seed} ${i}`)).slice(2) })),
    simulation,
    impact: simulation !== null && draw.chance(70) ? impactOf(plan, head, draw) : null,
    signatures,
  })
  return { world, file, plan, built }
}

/** By EIP-712, or by `eth_sign` as some wallets do. */
async function sign(world: World, built: Built, key: Hex, prefixed: boolean): Promise<OwnerSignature> {
  const { deployment } = world.target
  if (!prefixed) return signWithKey(key, { chainId: deployment.chainId, safe: deployment.safe!.address }, built.safeTx)
  const account = privateKeyToAccount(key)
  const signature = await account.signMessage({ message: { raw: hexToBytes(built.hashes.safeTxHash) } })
  return { signer: lower(account.address), signature: `${signature.slice(0, -2)}${numberToHex(Number.parseInt(signature.slice(-2), 16) + 4).slice(2)}` as Hex }
}

function drawChanges(world: World, policy: DaoPolicy, draw: Draw): readonly [Change, ...Change[]] {
  const { target, said } = world
  const changes: Change[] = []
  const wanted = 1 + draw.below(6)
  for (let tries = 0; tries < 200 && changes.length < wanted; tries++) {
    const ref = drawRef(target, policy, draw)
    const from = said.values[keyOf({ parameter: ref.name, subject: ref.subject })] ?? 0n
    const to = drawValue(target, policy, ref, from, draw)
    if (to === from || to === null) continue
    const spec = target.catalog.find(ref.name)
    const change: Change = { parameter: ref.name, scope: spec.scope, subject: lower(ref.subject), subjectLabel: labelOf(target.deployment, spec.scope, ref.subject), from, to }
    if (changes.some((each) => keyOf(each) === keyOf(change))) continue
    const faults = checkPolicy(target, policy, {
      changes: [...changes, change],
      currentOf: (parameter, subject) => said.values[keyOf({ parameter, subject })] ?? null,
      lastChangeSec: () => 0,
      nowSec: Number(said.at.timestampSec),
      validUntilSec: said.at.timestampSec,
      draftedSec: Number(said.at.timestampSec),
      evidenceSec: null,
    })
    if (faults.length === 0) changes.push(change)
  }
  return changes as unknown as readonly [Change, ...Change[]]
}

function drawRef(target: Target, policy: DaoPolicy, draw: Draw): ParameterRef {
  const name = draw.pick([...policy.parameters.keys()])
  const spec = target.catalog.find(name)
  if (spec.scope === 'ACCOUNT') return { name, subject: numberToHex(BigInt(keccak256(toHex(`account ${draw.below(1_000)}`))) >> 96n, { size: 20 }) }
  return draw.pick(target.catalog.refs(target.deployment).filter((ref) => ref.name === name))
}

/** A value that is one policy's step away at most; null where there is none. */
function drawValue(target: Target, policy: DaoPolicy, ref: ParameterRef, from: bigint, draw: Draw): bigint | null {
  const spec = target.catalog.find(ref.name)
  const limits = policy.parameters.get(ref.name)!
  if (spec.unit.kind === 'BOOLEAN') return 1n - from
  if (spec.unit.kind === 'ADDRESS') return BigInt(draw.pick([...target.deployment.markets.map((each) => each.priceFeed), ...target.deployment.collaterals.map((each) => each.priceFeed)]))
  const reach = limits.step.relativeE6 === null ? from + 1_000n : (from * limits.step.relativeE6) / 1_000_000n
  const low = [from - reach, limits.min ?? 0n, spec.bounds.min].reduce((a, b) => (a > b ? a : b))
  const high = [from + reach, limits.max ?? spec.bounds.max, spec.bounds.max].reduce((a, b) => (a < b ? a : b))
  if (high <= low) return null
  return low + ((high - low) * BigInt(draw.below(1_001))) / 1_000n
}

/** What a simulation says of a batch that does what it is for. */
export function simulationOf(plan: Plan, built: Built, back: { plan: Plan; built: Built } | null, head: Head): SimulationResult {
  const result = (of: Plan, from: Built): BatchResult => ({
    success: true,
    failure: null,
    gasUsed: String(90_000 + 40_000 * of.changes.length),
    stages: [{ what: 'execTransaction', timestampSec: (head.timestampSec + 1n).toString(), success: true, gasUsed: '90000' }],
    results: from.calls.map((call, i) => ({ to: call.to, what: i === 0 ? 'precondition' : of.changes[i - 1]!.parameter, success: true, gasUsed: '40000', error: null })),
    parameters: of.changes.map((change) => ({ name: change.parameter, subject: change.subject, before: change.from.toString(), after: change.to.toString(), expected: change.to.toString() })),
    others: { read: 40, changed: [] },
    events: [],
    storage: [],
    accounts: [],
    warnings: [],
  })
  return { ...result(plan, built), version: 2, block: head.number.toString(), blockHash: head.hash, timestampSec: head.timestampSec.toString(), rollback: back === null ? null : result(back.plan, back.built) }
}

/** What an impact says of changes that nobody suffers much from. */
function impactOf(plan: Plan, head: Head, draw: Draw): Impact {
  const margin = (valueE18: bigint) => ({ valueE18: valueE18.toString(), requirementE18: (10n ** 20n).toString(), collateralRequirementE18: '0', debtE18: '0', marginRatioE6: '62000' })
  const account = (i: number): Impact['newlyLiquidatable'][number] => ({
    account: `0x${keccak256(toHex(`due ${i}`)).slice(2, 42)}`, source: 'CONTRACTS', falls: ['POSITIONS'], afterCancelling: false, before: margin(101n * 10n ** 18n), after: margin(99n * 10n ** 18n), grossE18: (16n * 10n ** 20n).toString(), positions: [], collateral: [], badDebtE18: '0', expectedBadDebtE18: null,
  })
  return {
    version: 2,
    block: head.number.toString(),
    blockHash: head.hash,
    timestampSec: head.timestampSec.toString(),
    accounts: { indexed: 50, readFromContracts: 50, cut: false, unreadable: [], valued: 50, unvalued: [] },
    newlyLiquidatable: Array.from({ length: draw.below(3) }, (_, i) => account(i)),
    noLongerLiquidatable: [],
    totals: { grossE18: '0', badDebtE18: '0', expectedBadDebtE18: null, fundE18: (10n ** 22n).toString(), coverE6: null, uncoveredE18: '0' },
    nearMiss: ['-50000', '50000'].map((moveE6) => ({ moveE6, without: 1, with: 2, added: [] })),
    engine: { gap: null, comparedBefore: 50, comparedAfter: 50, differences: [] },
    invariants: { checked: 4, steps: plan.changes.map((change, i) => ({ step: i + 1, after: change.parameter, broken: [], unknown: [] })), newlyBroken: 0 },
    fund: { targetBefore: null, targetAfter: null, bindingAfter: null, capacityE18: null, gap: 'no volatility yet' },
    breakers: { levels: [], loosening: [], replays: [] },
    notes: [],
  }
}
