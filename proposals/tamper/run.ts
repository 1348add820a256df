/** Runs the attack corpus in process: honest proposals, mutants of them, and what `verify` says of each. */
import { readFileSync } from 'node:fs'
import { mnemonicToAccount } from 'viem/accounts'
import { toHex } from 'viem'
import { InvariantError } from '../../core/errors.ts'
import type { Governance, Protocol } from '../../protocols/adapter.ts'
import type { DesiredState } from '../desired.ts'
import { parseReview, serializeReview } from '../review.ts'
import { firstTrust, parseTrust, trustedTarget } from '../trust.ts'
import type { Trust } from '../trust.ts'
import { verdictText, verifyReview } from '../verify.ts'
import type { RuleId, Verdict } from '../verify.ts'
import { drawHonest, generator, statementFromJson, TIMELOCK, worldOf, worldWitness } from './honest.ts'
import type { Honest, World } from './honest.ts'
import type { Witness } from '../witness.ts'
import { MUTATORS } from './mutators.ts'
import type { Mutant, Need } from './mutators.ts'

/** The mnemonic that anvil publishes; accounts 1 to 3 own the devnet's Safe. */
const MNEMONIC = 'test test test test test test test test test test test junk'

export type TamperResult = {
  readonly mutants: number
  readonly caught: number
  /** How many mutants each rule was named for; one mutant may break several. */
  readonly byRule: Readonly<Record<string, number>>
  readonly missed: readonly { readonly mutator: string; readonly need: Need; readonly expected: readonly RuleId[]; readonly found: readonly RuleId[]; readonly seed: number; /** The mutant itself. */ readonly text: string }[]
  /** How many mutants a signer with a trust file alone catches, with RPCs, and with what was agreed elsewhere. */
  readonly byNeed: Readonly<Record<Need, number>>
  readonly byMutator: Readonly<Record<string, number>>
  /** Mutants that came out as the same proposal; they count nowhere. */
  readonly same: number
  readonly honest: { readonly proposals: number; readonly checks: number; readonly falseAlarms: readonly { readonly seed: number; readonly found: readonly string[] }[] }
  /** The chain moved, or an RPC lied, while the file stayed honest. */
  readonly situations: { readonly number: number; readonly caught: number; readonly missed: readonly { readonly name: string; readonly expected: RuleId; readonly found: readonly RuleId[] }[] }
  readonly seconds: number
}

type Signer = { readonly world: World; readonly trust: Trust; readonly trustText: string; readonly machineSec: bigint }

/** Two signers, as the recorded chain makes them: behind the Safe itself, and behind a timelock. */
function signersOf(protocol: Protocol): readonly [Signer, Signer] {
  const said = statementFromJson(readFileSync(new URL('./chain.json', import.meta.url), 'utf8'))
  const deployment = protocol.deployments['devnet']
  if (deployment === undefined) throw new InvariantError(`${protocol.name} has no devnet, on which the corpus stands`)
  const keys = [1, 2].map((addressIndex) => toHex(mnemonicToAccount(MNEMONIC, { addressIndex }).getHdKey().privateKey!))
  const signer = (governance: Governance): Signer => {
    const world = worldOf(protocol, deployment, said, keys, governance)
    const text = firstTrust(protocol, world.target.deployment, world.said, { sources: ['recorded'], machineSec: said.at.timestampSec })
    // What no steward should propose in a batch: the corpus has to see that it is refused.
    const strict = text.replace(/^ {4}(?:surplusBeneficiary|vaultPaused|insuranceFundPaused):.*\n(?: {6}.*\n)*/gm, '')
    return { world, trust: parseTrust(strict), trustText: strict, machineSec: said.at.timestampSec + 5n }
  }
  return [signer({ kind: 'SAFE' }), signer(TIMELOCK)]
}

const desiredOf = (honest: Honest): DesiredState => ({ title: honest.file.intent.title, validForSec: null, values: honest.plan.changes.map((change) => ({ name: change.parameter, subject: change.subject, value: change.to, confirm: null })) })

/** What the signer who is named by `need` sees. */
function look(signer: Signer, honest: Honest, text: string, need: Need): Promise<Verdict> {
  const { world, trust, machineSec } = signer
  return verifyReview(text, trust, {
    witnesses: need === 'TRUST' ? [] : [worldWitness(world, 'one'), worldWitness(world, 'another')],
    machineSec,
    ...(need === 'EXPECTATION' ? { expected: { desired: desiredOf(honest), digest: honest.file.digest, safeTxHash: honest.built.hashes.safeTxHash } } : {}),
  })
}

/** One honest proposal and the check of a signer who has a trust file and no network. */
export async function honestFile({ seed, protocol }: Pick<TamperOptions, 'seed' | 'protocol'>): Promise<{ readonly honest: Honest; readonly text: string; readonly check: (text: string) => Promise<Verdict> }> {
  const [signer] = signersOf(protocol)
  const honest = await drawHonest(signer.world, trustedTarget(signer.trust).policy, seed)
  return { honest, text: serializeReview(honest.file), check: (text) => look(signer, honest, text, 'TRUST') }
}

const reversed = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(reversed) : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).toReversed().map(([key, each]) => [key, reversed(each)])) : value

export type TamperOptions = {
  /** Honest proposals that are mutated. */
  readonly bases: number
  /** Honest proposals that must be READY. */
  readonly honest: number
  readonly seed: number
  readonly protocol: Protocol
}

/** The same options give the same mutants on every machine. */
export async function tamper({ bases, honest: honestCount, seed, protocol }: TamperOptions): Promise<TamperResult> {
  const startedAt = performance.now()
  const signers = signersOf(protocol)
  const signerOf = (index: number): Signer => signers[index % 3 === 2 ? 1 : 0]!
  const drawn = new Map<number, Promise<Honest>>()
  const draw = (index: number): Promise<Honest> => {
    const made = drawn.get(index) ?? drawHonest(signerOf(index).world, trustedTarget(signerOf(index).trust).policy, seed + index)
    drawn.set(index, made)
    return made
  }

  const falseAlarms: { seed: number; found: readonly string[] }[] = []
  let checks = 0
  for (let i = 0; i < honestCount; i++) {
    const honest = await draw(i)
    const canonical = serializeReview(honest.file)
    // The same proposal in other white space and another order of keys is still honest.
    for (const [text, need] of [[canonical, 'TRUST'], [JSON.stringify(reversed(honest.file)), 'EXPECTATION']] as const) {
      checks++
      const verdict = await look(signerOf(i), honest, text, need)
      if (!verdict.ready) falseAlarms.push({ seed: seed + i, found: verdict.findings.map((each) => `${each.rule}: ${each.text}`) })
    }
  }

  const byRule: Record<string, number> = {}
  const byNeed: Record<Need, number> = { TRUST: 0, CHAIN: 0, EXPECTATION: 0 }
  const byMutator: Record<string, number> = {}
  const missed: TamperResult['missed'][number][] = []
  const seen = new Set<string>()
  let [mutants, caught, same] = [0, 0, 0]
  for (let i = 0; i < bases; i++) {
    const honest = await draw(i)
    const other = await draw(i + 3 * (1 + (i % 7)))
    const canonical = serializeReview(honest.file)
    for (const mutator of MUTATORS) {
      const made = await mutator.make({ honest, other, index: i, policy: trustedTarget(signerOf(i).trust).policy, draw: generator(seed + 7_919 * i + mutator.name.length) })
      for (const mutant of made) {
        const key = `${mutant.need} ${mutant.rules.join()} ${mutant.text}`
        if (seen.has(key)) continue
        seen.add(key)
        if (isSame(mutant, canonical)) {
          same++
          continue
        }
        mutants++
        const verdict = await look(signerOf(i), honest, mutant.text, mutant.need)
        const found = [...new Set(verdict.findings.map((each) => each.rule))]
        // What is printed may hold pieces of the file: none of them may move a cursor or turn the text around.
        const named = mutant.rules.some((rule) => found.includes(rule)) && !/[\p{Cc}\p{Cf}]/u.test(verdictText(verdict).replaceAll('\n', ''))
        for (const rule of found) byRule[rule] = (byRule[rule] ?? 0) + 1
        if (!verdict.ready && named) {
          caught++
          byNeed[mutant.need]++
          byMutator[mutator.name] = (byMutator[mutator.name] ?? 0) + 1
        } else missed.push({ mutator: mutator.name, need: mutant.need, expected: mutant.rules, found, seed: seed + i, text: mutant.text })
      }
    }
  }
  const situations = await situationsOf(signers, (i) => draw(i), byRule)
  return { mutants, caught, byRule: Object.fromEntries(Object.entries(byRule).toSorted(([a], [b]) => (a < b ? -1 : 1))), missed, byNeed, byMutator, same, honest: { proposals: honestCount, checks, falseAlarms }, situations, seconds: Math.round((performance.now() - startedAt) / 100) / 10 }
}

/** A mutant that reads as the honest proposal is none. */
function isSame(mutant: Mutant, canonical: string): boolean {
  // Most mutants are written in the canonical form, in which the same proposal is the same bytes.
  if (mutant.text.startsWith(CANONICAL_START)) return mutant.text === canonical
  try {
    return serializeReview(parseReview(mutant.text)) === canonical
  } catch {
    return false
  }
}

const CANONICAL_START = '{\n  "batch": {\n'

/** Honest files on a chain that is not as it was, or told by an RPC that lies. */
async function situationsOf([safe, timelock]: readonly [Signer, Signer], draw: (index: number) => Promise<Honest>, byRule: Record<string, number>): Promise<TamperResult['situations']> {
  const evil = '0x00000000000000000000000000000000000000ee'
  const code = toHex(1, { size: 32 })
  type Said = World['said']
  const moved: readonly (readonly [string, RuleId, (said: Said, honest: Honest) => Said])[] = [
    ['a parameter has moved', 'drift', (said, honest) => ({ ...said, values: Object.fromEntries(Object.entries(said.values).map(([key, value]) => [key, key.startsWith(`${honest.plan.changes[0].parameter}:`) ? (value ?? 0n) + 1n : value])) })],
    ['the nonce is used', 'nonce-used', (said) => ({ ...said, safe: { ...said.safe, nonce: said.safe.nonce + 1_000n } })],
    ['an owner was added', 'safe-owners', (said) => ({ ...said, safe: { ...said.safe, owners: [...said.safe.owners, evil] } })],
    ['an owner was replaced', 'safe-owners', (said) => ({ ...said, safe: { ...said.safe, owners: [...said.safe.owners.slice(1), evil] } })],
    ['the threshold was lowered', 'safe-threshold', (said) => ({ ...said, safe: { ...said.safe, threshold: 1 } })],
    ['a guard was set', 'safe-guard', (said) => ({ ...said, safe: { ...said.safe, guard: evil } })],
    ['a module was enabled', 'safe-modules', (said) => ({ ...said, safe: { ...said.safe, modules: [evil] } })],
    ['the fallback handler was changed', 'safe-fallback', (said) => ({ ...said, safe: { ...said.safe, fallbackHandler: evil } })],
    ['the singleton was changed', 'safe-code', (said) => ({ ...said, safe: { ...said.safe, singleton: evil } })],
    ['the version was changed', 'safe-version', (said) => ({ ...said, safe: { ...said.safe, version: '1.0.0' } })],
    ['it is another chain', 'rpc-chain', (said) => ({ ...said, chainId: 10 })],
    ['the deadline has passed', 'deadline', (said) => ({ ...said, at: { ...said.at, timestampSec: said.at.timestampSec + 30n * 86_400n } })],
    ['the block was reorganised away', 'block', (said) => ({ ...said, block: { ...said.at, hash: code } })],
    ['the chain is shorter than the block', 'block', (said) => ({ ...said, block: null })],
    ['the Safe hashes otherwise', 'safe-own-hash', (said) => ({ ...said, safeTxHash: code })],
  ]
  const codes: readonly (readonly [string, RuleId, (trust: Trust) => string])[] = [
    ['MultiSendCallOnly has other code', 'multisend-code', (trust) => trust.multiSendCallOnly.address],
    ['the precondition contract is missing', 'precondition-code', (trust) => trust.precondition.address],
    ['the Safe has other code', 'safe-code', (trust) => trust.safe.address],
    ['the singleton has other code', 'safe-code', (trust) => trust.safe.singleton.address],
  ]
  const missed: { name: string; expected: RuleId; found: readonly RuleId[] }[] = []
  let number = 0
  const check = async (name: string, expected: RuleId, index: number, lie: (said: Said, honest: Honest) => Said, second: 'same' | 'honest' | 'silent'): Promise<void> => {
    number++
    const signer = index % 3 === 2 ? timelock : safe
    const honest = await draw(index)
    const witness = worldWitness(signer.world, 'one', (said) => lie(said, honest))
    const silent = { name: 'another', head: () => Promise.reject(new Error('no answer')), state: () => Promise.reject(new Error('no answer')) }
    const other = second === 'same' ? { ...witness, name: 'another' } : second === 'honest' ? worldWitness(signer.world, 'another') : silent
    const verdict = await verifyReview(serializeReview(honest.file), signer.trust, { witnesses: [witness, other], machineSec: signer.machineSec })
    const found = [...new Set(verdict.findings.map((each) => each.rule))]
    for (const rule of found) byRule[rule] = (byRule[rule] ?? 0) + 1
    if (verdict.ready || !found.includes(expected)) missed.push({ name, expected, found })
  }
  for (const [i, [name, rule, lie]] of moved.entries()) {
    await check(name, rule, i, lie, 'same')
    await check(`${name}, says one of two`, 'rpc-disagree', i, lie, 'honest')
  }
  for (const [i, [name, rule, of]] of codes.entries()) {
    const lie = (said: Said): Said => ({ ...said, codeHashes: { ...said.codeHashes, [of(safe.trust)]: i % 2 === 0 ? code : null } })
    await check(name, rule, i, lie, 'same')
    await check(`${name}, says one of two`, 'rpc-disagree', i, lie, 'honest')
  }
  await check('one RPC is silent', 'rpc-failed', 0, (said) => said, 'silent')
  await check('the clock of the machine is far ahead', 'rpc-stale', 0, (said) => ({ ...said, at: { ...said.at, timestampSec: said.at.timestampSec - 2n * 3_600n } }), 'same')
  await check('the timelock is shorter', 'timelock', 2, (said) => ({ ...said, timelock: { minDelaySec: 60n, safeMay: true } }), 'same')
  await check('the Safe may not schedule any more', 'timelock', 2, (said) => ({ ...said, timelock: { minDelaySec: 86_400n, safeMay: false } }), 'same')
  const strictly = async (name: string, expected: RuleId, index: number, edit: (trust: string) => string, witnesses: number): Promise<void> => {
    number++
    const signer = index % 3 === 2 ? timelock : safe
    const honest = await draw(index)
    const trust = parseTrust(edit(signer.trustText))
    const verdict = await verifyReview(serializeReview(honest.file), trust, { witnesses: ['one', 'another'].slice(0, witnesses).map((each) => worldWitness(signer.world, each)), machineSec: signer.machineSec })
    const found = [...new Set(verdict.findings.map((each) => each.rule))]
    for (const rule of found) byRule[rule] = (byRule[rule] ?? 0) + 1
    if (verdict.ready || !found.includes(expected)) missed.push({ name, expected, found })
  }
  await strictly('the package knows another vault', 'package', 0, (text) => text.replace(/ {2}vault: "0x[0-9a-f]{40}"/, `  vault: "${evil}"`), 2)
  await strictly('the signer wants two RPCs', 'single-source', 0, (text) => text.replace('agreeingRpcs: 0', 'agreeingRpcs: 2'), 1)
  await strictly('the signer wants a chain', 'chain-unchecked', 0, (text) => text.replace('agreeingRpcs: 0', 'agreeingRpcs: 1'), 0)
  const rising = await firstWith(draw, (honest) => honest.plan.changes.findIndex((change) => change.to > change.from && safe.world.target.catalog.find(change.parameter).unit.kind === 'RATIO'))
  const raised = rising.honest.plan.changes[rising.change]!
  await strictly('a coupling that the signer holds to breaks', 'policy-invariant', rising.index, (text) => text.replace('  invariants: ', `  invariants:\n    - { name: no more than now, sum: { ${raised.parameter}: 1 }, atMost: raw ${raised.from} } `), 2)
  const tied = safe.world.target.catalog.specs.find((spec) => spec.scope === raised.scope && rising.honest.plan.changes.every((change) => change.parameter !== spec.name))!
  await strictly('what the signer ties together is changed alone', 'policy-together', rising.index, (text) => text.replace('  invariants: ', `  together: [[${raised.parameter}, ${tied.name}]]\n  invariants: `), 2)
  // A new head beside a small number: everything would be asked of a block at which an old value still held.
  number++
  const past = (name: string): Witness => ({ ...worldWitness(safe.world, name, (said) => ({ ...said, at: { ...said.at, timestampSec: said.at.timestampSec - 7_200n } })), head: () => Promise.resolve(safe.world.said.at) })
  const old = await verifyReview(serializeReview((await draw(0)).file), safe.trust, { witnesses: [past('one'), past('another')], machineSec: safe.machineSec })
  for (const { rule } of old.findings) byRule[rule] = (byRule[rule] ?? 0) + 1
  if (old.ready || !old.findings.some((each) => each.rule === 'rpc-stale')) missed.push({ name: 'an RPC names a new head and an old block', expected: 'rpc-stale', found: old.findings.map((each) => each.rule) })
  // An answer of no form at all must not pass for one.
  number++
  const nonsense = { name: 'one', head: () => Promise.resolve(safe.world.said.at), state: () => Promise.resolve(null as unknown as Said) }
  const verdict = await verifyReview(serializeReview((await draw(0)).file), safe.trust, { witnesses: [nonsense], machineSec: safe.machineSec })
  for (const { rule } of verdict.findings) byRule[rule] = (byRule[rule] ?? 0) + 1
  if (verdict.ready || !verdict.findings.some((each) => each.rule === 'unforeseen')) missed.push({ name: 'an RPC answers nonsense', expected: 'unforeseen', found: verdict.findings.map((each) => each.rule) })
  return { number, caught: number - missed.length, missed }
}

/** The first honest proposal with a change that `find` accepts. */
async function firstWith(draw: (index: number) => Promise<Honest>, find: (honest: Honest) => number): Promise<{ honest: Honest; index: number; change: number }> {
  for (let index = 0; index < 300; index++) {
    const honest = await draw(index)
    const change = find(honest)
    if (change >= 0) return { honest, index, change }
  }
  throw new InvariantError('Found no honest proposal of the kind that is looked for, in 300 that were drawn')
}
