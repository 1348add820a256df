/**
 * A signer's own check of `proposal.json`: trusts neither the server nor the file.
 *
 * The intent is taken from the file, everything else is derived from it again and held against what the file says, what the
 * signer's `trust.yaml` allows and what RPCs answer. Every rule has a name. Whatever cannot be shown to be right is wrong, and
 * an error of any kind is NOT READY. Without witnesses nothing here needs a network.
 */
import { calculateSafeTransactionHash, encodeMultiSendData } from '@safe-global/protocol-kit'
import { decodeFunctionData, getAddress, isAddress, parseAbi } from 'viem'
import { z } from 'zod'
import { canonicalJson, digestOf } from '../api/recommendations/canonical.ts'
import { BulwarkError } from '../core/errors.ts'
import type { Address, Hex } from '../protocols/adapter.ts'
import { build } from './build.ts'
import type { Built, Plan } from './build.ts'
import { deedWords, deedsOf } from './decode.ts'
import type { Deed } from './decode.ts'
import type { DesiredState } from './desired.ts'
import { confirmationOf, keyOf, labelOf } from './draft.ts'
import type { Change, Target } from './draft.ts'
import { delayOf, safeDeadlineSec } from './paths.ts'
import { checkPolicy } from './policy.ts'
import type { PolicyRule } from './policy.ts'
import { batchJson, parseReview, plain, planJson, reviewDigest } from './review.ts'
import type { ReviewBatch, ReviewFile } from './review.ts'
import { rollbackOf } from './rollback.ts'
import { lower, safeTxToJson } from './safe.ts'
import type { SafeTxJson } from './safe.ts'
import { checkSignature } from './sign.ts'
import { contractsOf, trustedTarget } from './trust.ts'
import type { Trust } from './trust.ts'
import { differencesOf } from './witness.ts'
import type { Questions, Statement, Witness } from './witness.ts'
import { changeWords, coverageWords, durationWords, pathWords, timeWords, valueWords } from './words.ts'
import type { ChangeWords } from './words.ts'

/** Every rule, and what to do where it is broken. */
export const RULES = {
  format: 'get the file again from its drafter',
  'file-digest': 'the file was changed after it was made: get it again, and compare digests with another owner',
  'claim-digest': 'a simulation or impact was put in place of another: do not rely on it, simulate again',
  package: 'install the package again from a source that you trust, or correct the trust file',
  network: 'this proposal is for something else: take the trust file that belongs to it',
  'chain-id': 'do not sign: the signature would count on another chain',
  'safe-address': 'do not sign: the signature would count for another Safe',
  governance: 'do not sign: the calls would take another way than the one you trust',
  'look-alike': 'do not sign: compare every character of the address',
  intent: 'the intent means nothing to the deployed contracts: draft it again',
  'intent-twice': 'leave one of them out, and draft it again',
  'intent-unchanged': 'leave it out, and draft it again',
  irreversible: 'type the name to confirm (--confirm), if it is what you want',
  'call-missing': 'do not sign: the calls are not those of the intent',
  'call-extra': 'do not sign: somebody added a call',
  'call-order': 'do not sign: the calls are in another order than the intent',
  'call-target': 'do not sign: a call goes elsewhere',
  'call-value': 'do not sign: a call sends ether',
  'call-data': 'do not sign: a call does something else than the intent says',
  'safe-tx-to': 'do not sign: the transaction goes elsewhere',
  'safe-tx-value': 'do not sign: the transaction sends ether',
  'safe-tx-data': 'do not sign: the transaction does something else than the intent says',
  'safe-tx-operation': 'do not sign: a delegatecall can do anything to the Safe',
  'safe-tx-gas': 'do not sign: gas fields can hide a payment out of the Safe',
  'safe-tx-nonce': 'do not sign: the transaction has another place in the order than the intent says',
  queued: 'do not sign: what is queued is not what the intent says',
  'domain-hash': 'do not sign: the hash is for another Safe or chain',
  'message-hash': 'do not sign: the hash is of another transaction',
  'safe-tx-hash': 'do not sign: the hash is of another transaction',
  'second-opinion': 'do not sign: two implementations disagree about the same transaction; report it',
  undecoded: 'do not sign what nobody can read',
  delegatecall: 'do not sign: a delegatecall can do anything to the Safe',
  'extra-target': 'do not sign: a call leaves the contracts that you trust',
  'decoded-intent': 'do not sign: the bytes say something else than the intent',
  rollback: 'do not rely on the way back: draft the proposal again',
  'policy-parameter': 'leave it out, or change your own limits if you agree',
  'policy-bounds': 'ask for another value, or change your own limits if you agree',
  'policy-step': 'ask for smaller steps, or change your own limits if you agree',
  'policy-delay': 'wait',
  'policy-validity': 'ask for a shorter deadline',
  'policy-evidence-age': 'ask for a new draft on a new block',
  'policy-invariant': 'ask for values that go together',
  'policy-together': 'ask for one batch',
  deadline: 'ask for a new draft',
  'signature-owner': 'take it out: it counts for nothing',
  'signature-bytes': 'take it out: it is not by its owner over this transaction',
  'signature-twice': 'take one of them out',
  simulation: 'do not rely on it: simulate again',
  impact: 'do not rely on it: simulate again',
  'expected-change': 'this is not what you meant: ask its drafter',
  'expected-digest': 'your file is not the one that others have: compare them',
  'expected-hash': 'this is not the transaction that others sign: compare the files',
  'chain-unchecked': 'name RPCs with --rpc-url, or allow this in the trust file (readiness.agreeingRpcs)',
  'single-source': 'name another RPC with --rpc-url, or allow this in the trust file (readiness.agreeingRpcs)',
  'rpc-failed': 'name an RPC that answers',
  'rpc-disagree': 'one of them is wrong: name a third, and believe none until two agree',
  'rpc-stale': 'name an RPC that follows the chain, and check the clock of this machine',
  'rpc-chain': 'name an RPC of the right chain',
  'safe-code': 'do not sign: this Safe is not the contract that you trust',
  'safe-version': 'do not sign: this Safe is not the contract that you trust',
  'safe-owners': 'find out who changed the owners, then correct the trust file',
  'safe-threshold': 'find out who changed the threshold, then correct the trust file',
  'safe-guard': 'find out who set the guard, then correct the trust file',
  'safe-modules': 'do not sign: a module acts for the Safe without signatures; find out who enabled it',
  'safe-fallback': 'find out who set the handler, then correct the trust file',
  'multisend-code': 'do not sign: the contract that is delegate-called is not MultiSendCallOnly',
  'precondition-code': 'do not sign: without the precondition contract an old signature can execute a stale change',
  timelock: 'do not sign: the timelock is not as you trust it',
  'nonce-used': 'ask for a new draft: another transaction took this place',
  'nonce-ahead': 'execute what is queued before it first, or raise maxQueuedAhead in the trust file',
  drift: 'ask for a new draft: the precondition would revert this one',
  block: 'ask for a new draft on a block that exists',
  'safe-own-hash': 'do not sign: the Safe itself hashes this transaction otherwise',
  unforeseen: 'do not sign; report it',
} as const satisfies Record<string, string> & Record<PolicyRule, string>

export type RuleId = keyof typeof RULES
/** What is wrong: `text` says what was found and what is allowed, `action` what to do. */
export type Finding = { readonly rule: RuleId; readonly text: string; readonly action: string }

/** What a signer knows from elsewhere; every part is optional. */
export type Expectations = {
  /** The signer's own file of desired values. */
  readonly desired?: DesiredState
  /** The file's digest, as told by another owner. */
  readonly digest?: string
  readonly safeTxHash?: string
}

export type VerifyOptions = {
  readonly witnesses: readonly Witness[]
  /** This machine's clock, s. */
  readonly machineSec: bigint
  readonly expected?: Expectations
  /** Names typed by the signer: `marketStatus of vETH`. */
  readonly confirmed?: readonly string[]
}

export type SignatureStanding = { readonly signer: Address; readonly valid: boolean }

/** The answer. `hashes`, `words` and `calls` are derived here, and null where the intent cannot be derived from. */
export type Verdict = {
  readonly ready: boolean
  /** `READY`, `READY (offline: chain state not checked)`, `READY (single-source: …)` or `NOT READY: 2 rules are broken`. */
  readonly headline: string
  readonly findings: readonly Finding[]
  /** What nobody looked at, one sentence each. */
  readonly unchecked: readonly string[]
  readonly notes: readonly string[]
  readonly changes: readonly ChangeWords[]
  readonly path: string | null
  readonly hashes: Built['hashes'] | null
  readonly calls: readonly DecodedCall[]
  readonly nonce: string | null
  readonly digest: string | null
  readonly signatures: readonly SignatureStanding[]
  readonly threshold: number
  readonly sources: readonly string[]
  /** The drafter's own words, which decide nothing. */
  readonly title: string | null
}

/** One line per thing that the derived transaction does. */
export type DecodedCall = { readonly to: Address; readonly toName: string; readonly does: string; readonly depth: number }

/** Checks a file's text. Never throws: what fails unforeseen is a finding. */
export async function verifyReview(text: string, trust: Trust, options: VerifyOptions): Promise<Verdict> {
  const report = newReport()
  try {
    await examine(text, trust, options, report)
  } catch (error) {
    report.found('unforeseen', `the check stopped: ${error instanceof BulwarkError ? error.message : String(error)}`)
  }
  return verdictOf(report, trust, options)
}

type Report = {
  found(rule: RuleId, text: string): void
  readonly findings: Finding[]
  readonly unchecked: string[]
  readonly notes: string[]
  sources: string[]
  changes: ChangeWords[]
  path: string | null
  built: Built | null
  calls: DecodedCall[]
  file: ReviewFile | null
  signatures: SignatureStanding[]
}

function newReport(): Report {
  const findings: Finding[] = []
  return {
    found: (rule, said) => {
      const text = plain(said)
      if (!findings.some((each) => each.rule === rule && each.text === text)) findings.push({ rule, text, action: RULES[rule] })
    },
    findings, unchecked: [], notes: [], sources: [], changes: [], path: null, built: null, calls: [], file: null, signatures: [],
  }
}

function verdictOf(report: Report, trust: Trust, options: VerifyOptions): Verdict {
  const rules = new Set(report.findings.map((each) => each.rule)).size
  const ready = rules === 0 && report.built !== null
  const qualified = options.witnesses.length === 0 ? 'READY (offline: chain state not checked)' : report.sources.length < 2 ? `READY (single-source: ${report.sources[0]} alone was asked)` : 'READY'
  return {
    ready,
    headline: ready ? qualified : `NOT READY: ${rules === 1 ? '1 rule is broken' : `${rules} rules are broken`}`,
    findings: report.findings,
    unchecked: report.unchecked,
    notes: report.notes,
    changes: report.changes,
    path: report.path,
    hashes: report.built?.hashes ?? null,
    calls: report.calls,
    nonce: report.built?.safeTx.nonce.toString() ?? null,
    digest: report.file === null ? null : reviewDigest(report.file),
    signatures: report.signatures,
    threshold: trust.safe.threshold,
    sources: report.sources,
    title: report.file?.intent.title ?? null,
  }
}

async function examine(text: string, trust: Trust, options: VerifyOptions, report: Report): Promise<void> {
  let file: ReviewFile
  try {
    file = parseReview(text)
  } catch (error) {
    if (!(error instanceof BulwarkError)) throw error
    return report.found('format', error.message)
  }
  report.file = file
  const { target, policy, differences } = trustedTarget(trust)
  for (const difference of differences) report.found('package', difference)
  compareDigests(file, options.expected ?? {}, report)
  compareIdentity(file, trust, report)
  compareAddresses(file, trust, target, report)

  const plan = planOf(file, target, options.confirmed ?? [], report)
  if (plan === null) return
  report.changes = plan.changes.map((change) => changeWords(target, change))
  report.path = pathWords(target.deployment.governance ?? { kind: 'SAFE' }, plan.validUntilSec)
  let built: Built
  try {
    built = build(target, plan)
  } catch (error) {
    if (!(error instanceof BulwarkError)) throw error
    return report.found('intent', error.message)
  }
  report.built = built
  compareBatch('', file.batch, batchJson(built), trust, report)
  askSecondOpinion(trust, built, report)
  readDeeds(file, plan, built, trust, target, report)
  compareRollback(file, plan, target, trust, report)
  compareClaims(file, plan, built, report)
  await compareSignatures(file, built, trust, report)
  const statement = await hearWitnesses(file, plan, built, trust, target, options, report)
  compareExpectations(plan, built, target, options.expected ?? {}, statement?.values ?? null, report)
  const machineSec = trust.readiness.clock === 'machine' ? options.machineSec : null
  const clockSec = statement?.at.timestampSec ?? machineSec
  compareTime(file, plan, target, clockSec !== null && machineSec !== null && machineSec > clockSec ? machineSec : clockSec, trust, options, report)
  const values = statement?.values ?? {}
  const valueOf = (parameter: string, subject: Address): bigint | null => values[keyOf({ parameter, subject })] ?? null
  const seconds = (sec: bigint): number => Number(sec > 2n ** 52n ? 2n ** 52n : sec)
  const draftedSec = BigInt(file.block.timestampSec)
  const outside = checkPolicy(target, policy, {
    changes: plan.changes,
    currentOf: valueOf,
    lastChangeSec: () => null,
    nowSec: clockSec === null ? null : seconds(clockSec),
    // The deadline counts from the block, and not from a later time than now: the block's time is the file's own claim.
    validUntilSec: plan.validUntilSec > 2n ** 52n ? 2n ** 52n : plan.validUntilSec,
    draftedSec: seconds(clockSec !== null && clockSec < draftedSec ? clockSec : draftedSec),
    // The file has digests of the evidence alone; drafting holds its age.
    evidenceSec: null,
  })
  for (const each of outside) {
    if (each.severity === 'BLOCK') report.found(each.rule, each.text)
    // How long ago a parameter was changed is in no getter; what RPCs were asked for and left open is a fault.
    else if (each.rule === 'policy-delay' || statement === null) report.unchecked.push(plain(each.text))
    else report.found(each.rule, each.text)
  }
  if (policy.network !== trust.network) report.found('network', `the policy is for network ${policy.network}, the trust file for ${trust.network}`)
}

// ─── What the file says of itself ──────────────────────────────────────────────────────────────────────────────────

function compareDigests(file: ReviewFile, expected: Expectations, report: Report): void {
  const digest = reviewDigest(file)
  if (file.digest !== digest) report.found('file-digest', `the file says its digest is ${file.digest}, computed is ${digest}`)
  if (expected.digest !== undefined && expected.digest.toLowerCase().replace(/^0x/, '') !== digest) report.found('expected-digest', `the file's digest is ${digest}, you were told ${expected.digest}`)
  for (const [what, claim] of [['simulation', file.simulation], ['impact', file.impact]] as const) {
    if (claim === null) continue
    const computed = digestOf(claim.result)
    if (claim.digest !== computed) report.found('claim-digest', `the ${what} says its digest is ${claim.digest}, computed is ${computed}`)
  }
}

function compareIdentity(file: ReviewFile, trust: Trust, report: Report): void {
  if (file.protocol !== trust.protocol) report.found('network', `the file is for protocol ${file.protocol}, you trust ${trust.protocol}`)
  if (file.network !== trust.network) report.found('network', `the file is for network ${file.network}, you trust ${trust.network}`)
  if (file.chainId !== trust.chainId) report.found('chain-id', `the file is for chain ${file.chainId}, you trust chain ${trust.chainId}`)
  if (file.safe !== trust.safe.address) report.found('safe-address', `the file is for Safe ${file.safe}, you trust ${trust.safe.address}`)
  if (canonicalJson(file.governance) !== canonicalJson(trust.governance)) report.found('governance', `the file's path is ${canonicalJson(file.governance)}, you trust ${canonicalJson(trust.governance)}`)
}

/** First and last characters that a person compares. */
const SHOWN = 3

/** Addresses that resemble one that is trusted without being it. */
function compareAddresses(file: ReviewFile, trust: Trust, target: Target, report: Report): void {
  const { deployment } = target
  const known = new Map<string, string>([
    ...Object.entries(contractsOf(deployment)).map(([name, each]) => [each, name] as const),
    ...deployment.markets.flatMap((market) => [[lower(market.priceFeed), `price feed of ${market.symbol}`], [lower(market.chainlinkFeed), `Chainlink feed of ${market.symbol}`], [lower(market.pool), `pool of ${market.symbol}`]] as const),
    ...deployment.collaterals.map((each) => [lower(each.priceFeed), `price feed of ${each.symbol}`] as const),
    ...trust.safe.owners.map((owner) => [owner, 'an owner'] as const),
    ...(trust.governance.kind === 'SAFE' ? [] : [[trust.governance.address, 'the timelock'] as const]),
    [trust.safe.address, 'the Safe'],
    [trust.safe.singleton.address, 'the singleton'],
    [trust.multiSendCallOnly.address, 'MultiSendCallOnly'],
    [trust.precondition.address, 'the precondition contract'],
  ])
  const ends = (each: string): string => each.slice(2, 2 + SHOWN) + each.slice(-SHOWN)
  const byEnds = new Map([...known.keys()].map((each) => [ends(each), each]))
  for (const each of addressesIn(file, target)) {
    const twin = known.has(each) || BigInt(each) === 0n ? undefined : byEnds.get(ends(each))
    if (twin !== undefined) report.found('look-alike', `${each} is not ${known.get(twin)} (${twin}), it only begins and ends like it`)
  }
}

/** Every address that the file names: in fields, as a word of any calldata, as the value of a parameter that is one. */
function addressesIn(file: ReviewFile, target: Target): ReadonlySet<string> {
  const found = new Set<string>()
  const take = (value: unknown): void => {
    if (typeof value === 'string') {
      if (isAddress(value, { strict: false })) found.add(value.toLowerCase())
      else if (/^0x[0-9a-f]{64,}$/.test(value)) {
        // Words of calldata after the selector, or of a list without one: twelve zero bytes and an address.
        for (const start of [2, 10]) for (let at = start; at + 64 <= value.length; at += 64) if (value.startsWith('000000000000000000000000', at) && !value.startsWith('0000', at + 24)) found.add(`0x${value.slice(at + 24, at + 64)}`)
      }
    } else if (Array.isArray(value)) for (const each of value) take(each)
    else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) take(each)
  }
  // What was simulated names accounts of the protocol's users, which anybody can make.
  take({ ...file, simulation: null, impact: null, evidence: null })
  for (const change of file.intent.changes) {
    const spec = target.catalog.specs.find((each) => each.name === change.parameter)
    if (spec?.unit.kind === 'ADDRESS') for (const raw of [change.from, change.to]) if (BigInt(raw) < 2n ** 160n) found.add(`0x${BigInt(raw).toString(16).padStart(40, '0')}`)
  }
  return found
}

// ─── What is derived again ─────────────────────────────────────────────────────────────────────────────────────────

/** The file's intent as a plan, every fault named; null where nothing can be derived from it. */
function planOf(file: ReviewFile, target: Target, confirmed: readonly string[], report: Report): Plan | null {
  const { catalog, deployment } = target
  const changes: Change[] = []
  const seen = new Set<string>()
  for (const each of file.intent.changes) {
    const spec = catalog.specs.find((one) => one.name === each.parameter)
    if (spec === undefined) {
      report.found('intent', `the deployed contracts have no parameter ${each.parameter}`)
      continue
    }
    if (spec.scope !== each.scope) report.found('intent', `${each.parameter} belongs to a ${spec.scope.toLowerCase()}, the file says ${each.scope.toLowerCase()}`)
    const change: Change = { parameter: spec.name, scope: spec.scope, subject: each.subject, subjectLabel: labelOf(deployment, spec.scope, each.subject), from: BigInt(each.from), to: BigInt(each.to) }
    const name = `${spec.title} of ${change.subjectLabel}`
    if (seen.has(keyOf(change))) report.found('intent-twice', `${name} is changed twice`)
    seen.add(keyOf(change))
    if (change.from === change.to) report.found('intent-unchanged', `${name} stays at ${valueWords(target, spec, change.subject, change.to)}`)
    if (spec.irreversible && !confirmed.includes(confirmationOf(change))) report.found('irreversible', `${name} cannot be undone: no rollback exists; to confirm it, type "${confirmationOf(change)}"`)
    changes.push(change)
  }
  const [first, ...rest] = changes
  if (first === undefined || changes.length !== file.intent.changes.length) return null
  return { changes: [first, ...rest], validUntilSec: BigInt(file.intent.validUntilSec), nonce: BigInt(file.intent.nonce) }
}

const GAS_FIELDS = ['safeTxGas', 'baseGas', 'gasPrice', 'gasToken', 'refundReceiver'] as const satisfies readonly (keyof SafeTxJson)[]

/** A batch of the file against the derived one, field by field. `of`: ` of the rollback`, or nothing. */
function compareBatch(of: string, found: ReviewBatch, derived: ReviewBatch, trust: Trust, report: Report): void {
  compareCalls(of, found.calls, derived.calls, report)
  const differs = (rule: RuleId, field: keyof SafeTxJson): void => {
    const [a, b] = [String(found.safeTx[field]), String(derived.safeTx[field])]
    if (a !== b) report.found(rule, `Safe transaction field ${field}${of} is ${short(a)}, derived is ${short(b)}`)
  }
  differs('safe-tx-to', 'to')
  differs('safe-tx-value', 'value')
  differs('safe-tx-data', 'data')
  differs('safe-tx-operation', 'operation')
  for (const field of GAS_FIELDS) differs('safe-tx-gas', field)
  differs('safe-tx-nonce', 'nonce')
  if (found.safeTx.operation === 1 && found.safeTx.to !== trust.multiSendCallOnly.address) report.found('delegatecall', `the Safe transaction${of} delegate-calls ${found.safeTx.to}, allowed is MultiSendCallOnly at ${trust.multiSendCallOnly.address} alone`)
  if (canonicalJson(found.queued) !== canonicalJson(derived.queued)) report.found('queued', `what is queued${of} is ${short(canonicalJson(found.queued))}, derived is ${short(canonicalJson(derived.queued))}`)
  for (const [rule, field] of [['domain-hash', 'domainHash'], ['message-hash', 'messageHash'], ['safe-tx-hash', 'safeTxHash']] as const) {
    if (found.hashes[field] !== derived.hashes[field]) report.found(rule, `${field}${of} is ${found.hashes[field]}, derived is ${derived.hashes[field]}`)
  }
}

function compareCalls(of: string, found: ReviewBatch['calls'], derived: ReviewBatch['calls'], report: Report): void {
  const text = (call: ReviewBatch['calls'][number]): string => canonicalJson(call)
  const [have, want] = [found.map(text), derived.map(text)]
  if (have.join() === want.join()) return
  if (found.length > derived.length) report.found('call-extra', `${found.length} calls${of}, derived are ${derived.length}; more is a call to ${found.find((call) => !want.includes(text(call)))?.to ?? found.at(-1)!.to}`)
  if (found.length < derived.length) report.found('call-missing', `${found.length} calls${of}, derived are ${derived.length}`)
  if (found.length !== derived.length) return
  if (have.toSorted().join() === want.toSorted().join()) return report.found('call-order', `the calls${of} are the derived ones in another order`)
  for (const [index, call] of found.entries()) {
    const other = derived[index]!
    const where = `call ${index + 1} of ${found.length}${of}`
    if (call.to !== other.to) report.found('call-target', `${where} goes to ${call.to}, derived is ${other.to}`)
    if (call.value !== other.value) report.found('call-value', `${where} sends ${call.value} wei, derived is ${other.value}`)
    if (call.data !== other.data) report.found('call-data', `${where} carries ${short(call.data)}, derived is ${short(other.data)}`)
  }
}

const MULTI_SEND_ABI = parseAbi(['function multiSend(bytes transactions) payable'])

/** The derived transaction by protocol-kit, offline: its hash, and its packing of the same calls. */
function askSecondOpinion(trust: Trust, built: Built, report: Report): void {
  const { safeTx, hashes, safeCalls } = built
  // The kit takes the nonce as a number: beyond what one holds it would hash another one.
  if (safeTx.nonce > BigInt(Number.MAX_SAFE_INTEGER)) return report.found('second-opinion', `nonce ${safeTx.nonce} is beyond what protocol-kit can hash`)
  const data = { ...safeTxToJson(safeTx), nonce: Number(safeTx.nonce) }
  const hash = calculateSafeTransactionHash(trust.safe.address, data, trust.safe.version, BigInt(trust.chainId))
  if (hash !== hashes.safeTxHash) report.found('second-opinion', `protocol-kit hashes the transaction to ${hash}, our own lines to ${hashes.safeTxHash}`)
  const packed = encodeMultiSendData(safeCalls.map((call) => ({ to: getAddress(call.to), value: call.value.toString(), data: call.data, operation: 0 })))
  const [ours] = decodeFunctionData({ abi: MULTI_SEND_ABI, data: safeTx.data }).args
  if (packed.toLowerCase() !== ours) report.found('second-opinion', `protocol-kit packs the calls to ${short(packed)}, our own lines to ${short(ours)}`)
}

/** Reads the file's own bytes in the other direction, and holds what they do against the intent. */
function readDeeds(file: ReviewFile, plan: Plan, built: Built, trust: Trust, target: Target, report: Report): void {
  const known = { multiSendCallOnly: trust.multiSendCallOnly.address, precondition: trust.precondition.address, timelock: trust.governance.kind === 'SAFE' ? null : trust.governance.address }
  const { to, value, data, operation } = file.batch.safeTx
  const deeds = deedsOf(target, known, { to, value: BigInt(value), data, operation })
  const allowed = new Set<string>([...Object.values(trust.contracts), known.precondition, ...(known.timelock === null ? [] : [known.timelock])])
  for (const deed of deeds) {
    if (deed.kind === 'DELEGATECALL') report.found('delegatecall', `the bytes delegate-call ${deed.to}, allowed is MultiSendCallOnly around everything alone`)
    if (deed.kind === 'UNDECODED') report.found('undecoded', `the bytes call ${deed.to} with ${short(deed.data)}, and ${deed.why}`)
    if ((deed.kind === 'UNDECODED' || deed.kind === 'CHANGE') && !allowed.has(deed.to)) report.found('extra-target', `the bytes call ${deed.to}, which is none of the contracts that you trust`)
  }
  report.calls = deedsOf(target, known, built.safeTx).map((deed) => describe(target, deed))
  const wrong = contradiction(deeds, plan, target)
  if (wrong !== null) report.found('decoded-intent', wrong)
}

/** Where decoded bytes and intent part, in one sentence; null where they say the same. */
function contradiction(deeds: readonly Deed[], plan: Plan, target: Target): string | null {
  const { catalog, deployment } = target
  const queued = delayOf(deployment) > 0n || deployment.governance?.kind === 'TIMELOCK'
  const kinds = deeds.map((deed) => deed.kind).join(' ')
  const each = ['PRECONDITION', ...plan.changes.map(() => 'CHANGE')]
  const wanted = (queued ? ['PRECONDITION', 'SCHEDULE', ...each] : each).join(' ')
  if (kinds !== wanted) return `the bytes decode to ${kinds}, the intent means ${wanted}`
  const deadlines = queued ? [safeDeadlineSec(deployment, plan.validUntilSec), plan.validUntilSec] : [plan.validUntilSec]
  for (const [index, deed] of deeds.filter((one) => one.kind === 'PRECONDITION').entries()) {
    if (deed.deadlineSec !== deadlines[index]) return `the bytes are valid until ${deed.deadlineSec}, the intent says ${deadlines[index]}`
    if (deed.expectations.length !== plan.changes.length) return `the precondition holds ${deed.expectations.length} values, the intent changes ${plan.changes.length}`
    for (const [i, change] of plan.changes.entries()) {
      const ref = { name: change.parameter, subject: change.subject }
      const found = deed.expectations[i]!
      const read = catalog.encodeRead(deployment, ref)
      if (found.target !== lower(read.to) || found.callData !== read.data) return `the precondition's value ${i + 1} is not ${change.parameter} of ${change.subjectLabel}`
      const expected = catalog.expectation(deployment, ref, change.from)
      if (found.word !== expected.word || found.expected !== expected.expected) return `the precondition expects ${found.expected} of ${change.parameter} of ${change.subjectLabel}, the intent starts from ${change.from}`
    }
  }
  for (const deed of deeds) if (deed.kind === 'SCHEDULE' && deed.delaySec !== delayOf(deployment)) return `the bytes schedule with a delay of ${deed.delaySec} s, you trust ${delayOf(deployment)} s`
  const made = deeds.filter((deed) => deed.kind === 'CHANGE')
  for (const [i, change] of plan.changes.entries()) {
    const { ref, value } = made[i]!
    if (ref.name !== change.parameter || lower(ref.subject) !== change.subject || value !== change.to) return `the bytes set ${ref.name} of ${ref.subject} to ${value}, the intent says ${change.parameter} of ${change.subject} to ${change.to}`
  }
  return null
}

function describe(target: Target, deed: Deed): DecodedCall {
  const { contract, does } = deedWords(target, deed)
  return { to: deed.call.to, toName: contract ?? '', does, depth: deed.depth }
}

function compareRollback(file: ReviewFile, plan: Plan, target: Target, trust: Trust, report: Report): void {
  const derived = rollbackOf(target, plan)
  if (derived.plan === null) {
    report.notes.push(plain(derived.reason))
    if (file.rollback !== null) report.found('rollback', `the file has a way back, but ${derived.reason}`)
    return
  }
  if (file.rollback === null) return report.found('rollback', 'the file has no way back, and there is one')
  // By hand, not by the function that made it: every change, from and to exchanged, in reverse.
  const inverse = plan.changes.toReversed().map((change) => ({ parameter: change.parameter, scope: change.scope, subject: change.subject, from: change.to.toString(), to: change.from.toString() }))
  if (canonicalJson(file.rollback.intent.changes) !== canonicalJson(inverse)) report.found('rollback', 'its changes are not those of the proposal backwards')
  if (BigInt(file.rollback.intent.nonce) <= plan.nonce) report.found('rollback', `its nonce is ${file.rollback.intent.nonce}, which is not after the proposal's ${plan.nonce}`)
  if (canonicalJson(file.rollback.intent) !== canonicalJson(planJson(derived.plan))) report.found('rollback', `its plan is ${short(canonicalJson(file.rollback.intent))}, derived is ${short(canonicalJson(planJson(derived.plan)))}`)
  const inner = newReport()
  compareBatch(' of the rollback', file.rollback.batch, batchJson(derived.built), trust, inner)
  for (const each of inner.findings) report.found('rollback', each.text)
}

// ─── What others claim ─────────────────────────────────────────────────────────────────────────────────────────────

const simulationClaim = z
  .object({
    block: z.string(),
    blockHash: z.string(),
    success: z.boolean(),
    parameters: z.array(z.object({ name: z.string(), subject: z.string(), before: z.string(), after: z.string(), expected: z.string() }).passthrough()),
    results: z.array(z.object({ to: z.string(), success: z.boolean() }).passthrough()),
    others: z.object({ changed: z.array(z.unknown()) }).passthrough(),
    warnings: z.array(z.string()),
  })
  .passthrough()

/** A simulation cannot be repeated without a chain; what it says must at least be of this proposal, and good. */
function compareClaims(file: ReviewFile, plan: Plan, built: Built, report: Report): void {
  if (file.evidence.length > 0) report.unchecked.push(`The ${file.evidence.length === 1 ? 'evidence' : `${file.evidence.length} pieces of evidence`} of the recommendation: the file has digests alone.`)
  compareImpact(file, report)
  if (file.simulation === null) {
    report.unchecked.push('What the batch does when executed: the file has no simulation.')
    return
  }
  report.unchecked.push("The simulation's events, storage and gas: the file says what its maker saw.")
  const claim = simulationClaim.safeParse(file.simulation.result)
  if (!claim.success) return report.found('simulation', `the simulation lacks ${claim.error.issues[0]!.path.join('.')}`)
  const { success, parameters, results, block } = claim.data
  if (!success) report.found('simulation', 'the simulation says that the batch fails')
  if (!/^\d{1,20}$/.test(block) || BigInt(block) < BigInt(file.block.number)) report.found('simulation', `it ran at block ${short(block)}, the proposal stands on block ${file.block.number}`)
  else if (block === file.block.number && claim.data.blockHash !== file.block.hash) report.found('simulation', `it ran at block ${short(claim.data.blockHash)}, the proposal stands on ${file.block.hash}`)
  if (results.length < built.calls.length || results.some((each) => !each.success)) report.found('simulation', `it shows ${results.filter((each) => each.success).length} calls that succeed, the batch has ${built.calls.length}`)
  if (results.slice(-built.calls.length).some((each, i) => each.to.toLowerCase() !== built.calls[i]!.to)) report.found('simulation', 'its calls go elsewhere than those of the batch')
  if (claim.data.others.changed.length > 0) report.found('simulation', `it saw ${claim.data.others.changed.length} other parameters change`)
  if (claim.data.warnings.length > 0) report.notes.push(`The simulation carries ${claim.data.warnings.length === 1 ? 'a warning' : `${claim.data.warnings.length} warnings`}: read them in the report.`)
  for (const change of plan.changes) {
    const seen = parameters.find((each) => each.name === change.parameter && each.subject.toLowerCase() === change.subject)
    const [from, to] = [change.from.toString(), change.to.toString()]
    if (seen === undefined) report.found('simulation', `it says nothing of ${change.parameter} of ${change.subjectLabel}`)
    else if (seen.before !== from || seen.after !== to || seen.expected !== to) report.found('simulation', `it saw ${change.parameter} of ${change.subjectLabel} go from ${short(seen.before)} to ${short(seen.after)}, the intent says from ${from} to ${to}`)
  }
}

const impactClaim = z
  .object({
    block: z.string(),
    blockHash: z.string(),
    accounts: z.object({ indexed: z.number().int().min(0), valued: z.number().int().min(0) }).passthrough(),
    newlyLiquidatable: z.array(z.unknown()),
    invariants: z.object({ newlyBroken: z.number().int().min(0) }).passthrough(),
    breakers: z.object({ loosening: z.array(z.string()) }).passthrough(),
  })
  .passthrough()

/** The impact is worked out beside the simulation, at the same block; what it says is a claim, and worth reading. */
function compareImpact(file: ReviewFile, report: Report): void {
  if (file.impact === null) return void report.unchecked.push('The impact on accounts: the file has none.')
  const claim = impactClaim.safeParse(file.impact.result)
  if (!claim.success) return report.found('impact', `the impact lacks ${claim.error.issues[0]!.path.join('.')}`)
  const { block, blockHash, accounts, newlyLiquidatable, invariants, breakers } = claim.data
  const simulated = file.simulation?.result as { readonly block?: unknown; readonly blockHash?: unknown } | undefined
  if (simulated === undefined) report.found('impact', 'the file has an impact and no simulation that it stands on')
  else if (simulated.block !== block || simulated.blockHash !== blockHash) report.found('impact', `it is of block ${short(block)} (${short(blockHash)}), the simulation is of another`)
  if (accounts.valued > accounts.indexed) report.found('impact', `it values ${accounts.valued} accounts of ${accounts.indexed} that are indexed`)
  if (invariants.newlyBroken > 0) report.found('impact', `it says that ${invariants.newlyBroken} couplings of parameters break on the way`)
  report.notes.push(`The file claims that ${newlyLiquidatable.length === 0 ? 'no account becomes' : newlyLiquidatable.length === 1 ? 'one account becomes' : `${newlyLiquidatable.length} accounts become`} liquidatable by this change, ${coverageWords(accounts)}; nobody has repeated that here.`)
  if (breakers.loosening.length > 0) report.notes.push(plain(`The file claims that this loosens while a breaker is up: ${breakers.loosening.join(', ')}.`))
}

async function compareSignatures(file: ReviewFile, built: Built, trust: Trust, report: Report): Promise<void> {
  const signed: Address[] = []
  for (const { signer, signature } of file.signatures) {
    const twice = signed.includes(signer)
    if (!trust.safe.owners.includes(signer)) report.found('signature-owner', `${signer} signed, the owners are ${trust.safe.owners.join(', ')}`)
    if (twice) report.found('signature-twice', `${signer} signed twice`)
    const fault = await checkSignature({ safeTxHash: built.hashes.safeTxHash, owners: [...trust.safe.owners, signer], signed: [], signer, signature }).then(
      () => null,
      (error: unknown) => (error instanceof BulwarkError ? error.message.split(', allowed')[0]! : `the signature by ${signer} cannot be read`),
    )
    if (fault !== null) report.found('signature-bytes', fault)
    report.signatures.push({ signer, valid: fault === null && !twice && trust.safe.owners.includes(signer) })
    signed.push(signer)
  }
}

// ─── What the signer knows ─────────────────────────────────────────────────────────────────────────────────────────

/** `values`: what the chain has; null where none was asked. */
function compareExpectations(plan: Plan, built: Built, target: Target, expected: Expectations, values: Statement['values'] | null, report: Report): void {
  if (expected.safeTxHash !== undefined && expected.safeTxHash.toLowerCase() !== built.hashes.safeTxHash) report.found('expected-hash', `safeTxHash is ${built.hashes.safeTxHash}, you were told ${expected.safeTxHash}`)
  const { desired } = expected
  if (desired === undefined) return
  const nameOf = (parameter: string, subject: Address): string => {
    const spec = target.catalog.find(parameter)
    return `${spec.title} of ${labelOf(target.deployment, spec.scope, subject)}`
  }
  for (const change of plan.changes) {
    const wish = desired.values.find((each) => each.name === change.parameter && lower(each.subject) === change.subject)
    const words = (raw: bigint): string => valueWords(target, target.catalog.find(change.parameter), change.subject, raw)
    if (wish === undefined) report.found('expected-change', `the proposal changes ${nameOf(change.parameter, change.subject)}, of which your file says nothing`)
    else if (wish.value !== change.to) report.found('expected-change', `the proposal sets ${nameOf(change.parameter, change.subject)} to ${words(change.to)}, your file says ${words(wish.value)}`)
  }
  for (const wish of desired.values) {
    if (plan.changes.some((change) => change.parameter === wish.name && change.subject === lower(wish.subject))) continue
    const now = values?.[keyOf({ parameter: wish.name, subject: wish.subject })] ?? null
    const wants = `your file wants ${nameOf(wish.name, wish.subject)} at ${wish.value} (raw), which the proposal leaves as it is`
    if (values === null) report.unchecked.push(`Without a chain: ${wants}.`)
    else if (now !== wish.value) report.found('expected-change', `${wants}: ${now === null ? 'unreadable' : `${now} (raw)`}`)
  }
}

// ─── What the chain says ───────────────────────────────────────────────────────────────────────────────────────────

/** RPCs whose heads are further apart in time are not at the same chain's end, s. */
const HEADS_APART_SEC = 300n
/** A head older than this by the machine's clock is not the chain's end, s. */
const HEAD_AGE_SEC = 3_600n

/** All statements at one block, held against each other and against the trust file; null where no chain was asked or none answered. */
async function hearWitnesses(file: ReviewFile, plan: Plan, built: Built, trust: Trust, target: Target, options: VerifyOptions, report: Report): Promise<Statement | null> {
  const { witnesses } = options
  const needed = trust.readiness.agreeingRpcs
  if (witnesses.length === 0) {
    report.unchecked.push("The chain: the Safe's nonce, owners, threshold, guard and modules, the code behind the addresses, whether values have moved, and the block that the proposal stands on.")
    if (needed > 0) report.found('chain-unchecked', `no RPC was asked, your trust file wants ${needed}`)
    return null
  }
  const heads = await Promise.all(witnesses.map((each) => each.head().catch(() => null)))
  for (const [i, head] of heads.entries()) if (head === null) report.found('rpc-failed', `${witnesses[i]!.name} does not answer`)
  const answering = heads.filter((each) => each !== null)
  const times = answering.map((each) => each.timestampSec)
  const [oldest, newest] = [times.reduce((a, b) => (a < b ? a : b), times[0] ?? 0n), times.reduce((a, b) => (a > b ? a : b), 0n)]
  if (newest - oldest > HEADS_APART_SEC) report.found('rpc-disagree', `their newest blocks are ${durationWords(newest - oldest)} apart, allowed are ${durationWords(HEADS_APART_SEC)}`)
  if (answering.length > 0 && trust.readiness.clock === 'machine' && options.machineSec - oldest > HEAD_AGE_SEC) report.found('rpc-stale', `the newest block is ${durationWords(options.machineSec - oldest)} old by this machine's clock, allowed are ${durationWords(HEAD_AGE_SEC)}`)
  if (answering.length === 0) return null

  const at = answering.map((each) => each.number).reduce((a, b) => (a < b ? a : b))
  const questions = questionsOf(file, plan, built, trust, target, options.expected ?? {})
  const statements: Statement[] = []
  const names: string[] = []
  for (const [i, witness] of witnesses.entries()) {
    if (heads[i] === null) continue
    try {
      statements.push(await witness.state(questions, at))
      names.push(witness.name)
    } catch {
      report.found('rpc-failed', `${witness.name} does not answer what is asked of block ${at}`)
    }
  }
  const [first, ...others] = statements
  if (first === undefined) return null
  for (const [i, other] of others.entries()) {
    const parts = differencesOf(first, other)
    if (parts.length > 0) report.found('rpc-disagree', `${names[0]} and ${names[i + 1]} answer otherwise for ${parts.join(', ')} at block ${at}`)
  }
  // A head says a time beside a number: where the block of that number is older, all would be asked about a past of the chain.
  if (newest - first.at.timestampSec > HEADS_APART_SEC) report.found('rpc-stale', `they were asked at block ${at}, which is ${durationWords(newest - first.at.timestampSec)} older than the newest block that one of them names, allowed are ${durationWords(HEADS_APART_SEC)}`)
  report.sources = [...new Set(names)]
  if (report.sources.length < needed) report.found('single-source', `${report.sources.length === 1 ? `${report.sources[0]} alone was` : `${report.sources.length} RPCs were`} asked, your trust file wants ${needed}`)
  else if (report.sources.length === 1) report.notes.push(`single-source: everything below about the chain is the word of ${report.sources[0]} alone.`)
  compareChain(file, plan, built, trust, target, first, report)
  return first
}

function questionsOf(file: ReviewFile, plan: Plan, built: Built, trust: Trust, target: Target, expected: Expectations): Questions {
  const { safe } = trust
  const own = [...plan.changes.map((change) => ({ name: change.parameter, subject: change.subject })), ...(expected.desired?.values ?? [])]
  const refs = new Map([...target.catalog.refs(target.deployment), ...own].map((ref) => [keyOf({ parameter: ref.name, subject: ref.subject }), ref]))
  return {
    safe: safe.address,
    code: [safe.address, safe.singleton.address, trust.multiSendCallOnly.address, trust.precondition.address],
    block: BigInt(file.block.number),
    refs: [...refs.values()],
    safeTx: built.safeTx,
    timelock: trust.governance.kind === 'SAFE' ? null : trust.governance.address,
  }
}

function compareChain(file: ReviewFile, plan: Plan, built: Built, trust: Trust, target: Target, said: Statement, report: Report): void {
  const { safe } = trust
  if (said.chainId !== trust.chainId) report.found('rpc-chain', `the RPC is of chain ${said.chainId}, you trust chain ${trust.chainId}`)
  const code = (rule: RuleId, what: string, contract: { address: Address; codeHash: Hex }): void => {
    const found = said.codeHashes[contract.address] ?? null
    if (found !== contract.codeHash) report.found(rule, `${what} at ${contract.address} has ${found === null ? 'no code' : `code ${found}`}, you trust ${contract.codeHash}`)
  }
  code('safe-code', 'the Safe', safe)
  code('safe-code', 'the singleton', safe.singleton)
  code('multisend-code', 'MultiSendCallOnly', trust.multiSendCallOnly)
  code('precondition-code', 'the precondition contract', trust.precondition)
  if (safe.guard !== null) code('safe-guard', "the Safe's guard", safe.guard)
  const same = (rule: RuleId, what: string, found: string, expected: string): void => {
    if (found !== expected) report.found(rule, `${what} is ${found}, you trust ${expected}`)
  }
  same('safe-version', "the Safe's version", said.safe.version, safe.version)
  same('safe-code', 'the contract that the Safe runs', said.safe.singleton, safe.singleton.address)
  same('safe-owners', "the Safe's owners", said.safe.owners.join(', '), safe.owners.toSorted().join(', '))
  same('safe-threshold', "the Safe's threshold", String(said.safe.threshold), String(safe.threshold))
  same('safe-guard', "the Safe's guard", said.safe.guard ?? 'none', safe.guard?.address ?? 'none')
  same('safe-modules', "the Safe's modules", said.safe.modules.join(', ') || 'none', safe.modules.toSorted().join(', ') || 'none')
  same('safe-fallback', "the Safe's fallback handler", said.safe.fallbackHandler ?? 'none', safe.fallbackHandler ?? 'none')
  if (trust.governance.kind === 'TIMELOCK') {
    same('timelock', "the timelock's delay", `${said.timelock?.minDelaySec ?? 'unknown'} s`, `${trust.governance.minDelaySec} s`)
    same('timelock', "the Safe's right to schedule and cancel at the timelock", said.timelock === null ? 'unknown' : said.timelock.safeMay ? 'given' : 'missing', 'given')
  }
  if (said.safeTxHash !== built.hashes.safeTxHash) report.found('safe-own-hash', `the Safe hashes the transaction to ${said.safeTxHash ?? 'nothing'}, our own lines to ${built.hashes.safeTxHash}`)

  const ahead = plan.nonce - said.safe.nonce
  if (ahead < 0n) report.found('nonce-used', `the transaction has nonce ${plan.nonce}, the Safe is at ${said.safe.nonce}`)
  else if (ahead > BigInt(trust.maxQueuedAhead)) report.found('nonce-ahead', `the transaction has nonce ${plan.nonce}, the Safe is at ${said.safe.nonce}: ${ahead} others stand before it, you allow ${trust.maxQueuedAhead}`)
  else if (ahead > 0n) report.notes.push(`${ahead === 1n ? 'One other transaction has' : `${ahead} other transactions have`} to be executed before this one: the Safe is at nonce ${said.safe.nonce}.`)

  for (const change of plan.changes) {
    const now = said.values[keyOf(change)] ?? null
    const spec = target.catalog.find(change.parameter)
    const words = (raw: bigint): string => `${valueWords(target, spec, change.subject, raw)} (raw ${raw})`
    if (now !== change.from) report.found('drift', `${spec.title} of ${change.subjectLabel} was ${words(change.from)} when proposed, is ${now === null ? 'unreadable' : words(now)} now`)
  }
  const number = BigInt(file.block.number)
  if (said.block === null) report.found('block', `block ${number} does not exist: the chain is at ${said.at.number}`)
  else {
    same('block', `the hash of block ${number}`, said.block.hash, file.block.hash)
    same('block', `the time of block ${number}`, said.block.timestampSec.toString(), file.block.timestampSec)
  }
}

/** `nowSec`: the chain's time, or this machine's where that is later and the trust file counts it; null where neither is known. */
function compareTime(file: ReviewFile, plan: Plan, target: Target, nowSec: bigint | null, trust: Trust, options: VerifyOptions, report: Report): void {
  const lastSec = safeDeadlineSec(target.deployment, plan.validUntilSec)
  const drafted = BigInt(file.block.timestampSec)
  if (lastSec <= drafted) report.found('deadline', `it can be executed until ${timeWords(lastSec)}, and stands on a block of ${timeWords(drafted)}`)
  if (nowSec === null) report.unchecked.push(`Whether it is still in time: it can be executed until ${timeWords(lastSec)} by the chain's clock, which nobody asked.`)
  else if (nowSec > lastSec) report.found('deadline', `it could be executed until ${timeWords(lastSec)}, now is ${timeWords(nowSec)}`)
  // Clocks of machines differ by minutes, not by more.
  const latest = options.machineSec + 900n
  if (trust.readiness.clock === 'machine' && drafted > latest) report.found('block', `it stands on a block of ${timeWords(drafted)}, which is in the future`)
}

/** Long values by their ends: all of them would hide the sentence. */
const short = (text: string): string => (text.length <= 140 ? text : `${text.slice(0, 90)}…${text.slice(-20)} (${text.length} characters)`)

/** The answer for a terminal. The title is the one text in it that comes from the file; its characters are checked. */
export function verdictText(verdict: Verdict): string {
  const lines = [verdict.headline, '']
  const section = (title: string, items: readonly string[]): void => void (items.length > 0 && lines.push(title, ...items.map((item) => `  ${item}`), ''))
  section('What is wrong', verdict.findings.map((each) => `[${each.rule}] ${each.text}; ${each.action}`))
  section("What it does, in the words of the installed package's catalog", [
    ...verdict.changes.flatMap((each, i) => [`${i + 1}. ${each.sentence}  ${each.step}`, ...(each.note === null ? [] : [`   ${each.note}`]), ...(each.irreversible ? ['   THIS CANNOT BE UNDONE.'] : [])]),
    ...(verdict.path === null ? [] : [verdict.path]),
  ])
  if (verdict.hashes !== null) {
    section('Compare these with your signing device, character by character', [`domain hash   ${verdict.hashes.domainHash}`, `message hash  ${verdict.hashes.messageHash}`, `safeTxHash    ${verdict.hashes.safeTxHash}`])
  }
  section('The calls, as decoded here', verdict.calls.map((each) => `${'  '.repeat(each.depth)}${each.to} ${each.toName}: ${each.does}`))
  const valid = verdict.signatures.filter((each) => each.valid)
  section('Signatures', [`${valid.length} of ${verdict.threshold} needed are there${valid.length === 0 ? '' : `: ${valid.map((each) => each.signer).join(', ')}`}`])
  section('Notes', verdict.notes)
  section('Not checked', verdict.unchecked)
  section('Compare with other owners', [
    ...(verdict.digest === null ? [] : [`digest of the file  ${verdict.digest}`]),
    ...(verdict.nonce === null ? [] : [`nonce               ${verdict.nonce}`]),
    ...(verdict.title === null ? [] : [`title, in the drafter's words  ${verdict.title}`]),
  ])
  return `${lines.join('\n').trimEnd()}\n`
}
