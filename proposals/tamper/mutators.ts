/**
 * Attacks on honest proposals. Each one changes something, then repairs everything behind it as a compromised server would:
 * packing, hashes, digests, the way back, the simulation, even signatures by keys that are no owner's. Each says before anybody
 * has looked which rule must catch it, and what a signer needs for that.
 */
import { concatHex, encodeFunctionData, hexToBigInt, keccak256, numberToHex, parseAbi, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { digestOf } from '../../api/recommendations/canonical.ts'
import type { Address, Governance, Hex } from '../../protocols/adapter.ts'
import { build } from '../build.ts'
import type { Plan } from '../build.ts'
import { keyOf, labelOf } from '../draft.ts'
import { guardCall } from '../guard.ts'
import { queueCall, queuedOperation } from '../paths.ts'
import type { DaoPolicy } from '../policy.ts'
import { batchJson, planJson, reviewDigest, serializeReview } from '../review.ts'
import type { ReviewBatch, ReviewFile } from '../review.ts'
import { rollbackOf } from '../rollback.ts'
import { encodeMultiSend, hashesOf, lower, safeTxFromJson } from '../safe.ts'
import { signWithKey } from '../sign.ts'
import type { RuleId } from '../verify.ts'
import { headAt, simulationOf } from './honest.ts'
import type { Draw, Honest } from './honest.ts'

/**
 * What a signer has who catches it. TRUST: the trust file, no network. CHAIN: RPCs too. EXPECTATION: and what was agreed
 * elsewhere, as a file of desired values, a safeTxHash or a file's digest; without it no check of any kind can tell one valid
 * intent from another.
 */
export type Need = 'TRUST' | 'CHAIN' | 'EXPECTATION'

export type Mutant = {
  readonly text: string
  readonly need: Need
  /** One of these must be named. */
  readonly rules: readonly [RuleId, ...RuleId[]]
}

export type Mutator = { readonly name: string; make(input: Input): Promise<readonly Mutant[]> | readonly Mutant[] }
export type Input = { readonly honest: Honest; /** Another honest proposal of the same Safe. */ readonly other: Honest; /** Which of the honest proposals it is, from 0. */ readonly index: number; readonly policy: DaoPolicy; readonly draw: Draw }

/** A file that is being changed. */
type Draft = ReviewFile

/** A key that is no owner's. */
const OUTSIDER: Hex = keccak256(toHex('an outsider'))
const OUTSIDER_ADDRESS = lower(privateKeyToAccount(OUTSIDER).address)
const DAY = 86_400n

const copy = (file: ReviewFile): Draft => structuredClone(file)

/** The address that begins and ends like another one. */
const lookAlike = (address: string): Hex => `0x${address.slice(2, 6)}${keccak256(toHex(address)).slice(2, 34)}${address.slice(-4)}`

// ─── Repairs ───────────────────────────────────────────────────────────────────────────────────────────────────────

function repairDigests(file: Draft): Draft {
  for (const claim of [file.simulation, file.impact]) if (claim !== null) claim.digest = digestOf(claim.result)
  file.digest = reviewDigest(file)
  return file
}

function repairHashes(file: Draft): Draft {
  for (const batch of [file.batch, ...(file.rollback === null ? [] : [file.rollback.batch])]) batch.hashes = { ...hashesOf({ chainId: file.chainId, safe: file.safe }, safeTxFromJson(batch.safeTx)) }
  return repairDigests(file)
}

/** The Safe transaction around the file's own calls, whatever these are. */
function repairPacking(honest: Honest, file: Draft): Draft {
  const { deployment } = honest.world.target
  const calls = file.batch.calls.map((call) => ({ ...call, value: BigInt(call.value) }))
  const { queued } = honest.built
  let safeCalls = calls
  if (queued !== null) {
    const forged = { ...queuedOperation(deployment, deployment.safe!.address, honest.plan, calls)!, salt: queued.salt }
    file.batch.queued = batchJson({ ...honest.built, queued: forged }).queued
    safeCalls = [guardCall(honest.world.target, honest.plan.changes, queued.queueUntilSec), queueCall(forged)]
  }
  file.batch.safeTx.data = encodeMultiSend(safeCalls)
  return repairHashes(file)
}

/** Everything from the file's own intent on, as an honest server would make it: a lie that is the same everywhere. */
function rebuild(honest: Honest, file: Draft): Draft | null {
  const { target, said } = honest.world
  try {
    const plan = planOf(honest, file)
    const built = build(target, plan)
    const back = rollbackOf(target, plan)
    file.batch = batchJson(built)
    file.rollback = back.plan === null ? null : ({ intent: planJson(back.plan) as NonNullable<Draft['rollback']>['intent'], batch: batchJson(back.built) })
    if (file.simulation !== null) file.simulation.result = JSON.parse(JSON.stringify(simulationOf(plan, built, back.plan === null ? null : back, { ...headAt(said, BigInt(file.block.number)), hash: file.block.hash, timestampSec: BigInt(file.block.timestampSec) }))) as never
    if (file.impact !== null) Object.assign(file.impact.result as object, { block: file.block.number, blockHash: file.block.hash })
    return repairDigests(file)
  } catch {
    return null
  }
}

function planOf(honest: Honest, file: Draft): Plan {
  const { deployment } = honest.world.target
  const changes = file.intent.changes.map((change) => ({ ...change, subjectLabel: labelOf(deployment, change.scope, change.subject), from: BigInt(change.from), to: BigInt(change.to) }))
  return { changes: changes as unknown as Plan['changes'], validUntilSec: BigInt(file.intent.validUntilSec), nonce: BigInt(file.intent.nonce) }
}

/** Signatures of the forger: none, an outsider's under the outsider's name, or an outsider's under an owner's. */
async function signAsForger(honest: Honest, file: Draft, draw: Draw): Promise<Draft> {
  const way = draw.pick(['keep', 'drop', 'outsider', 'as-owner'])
  if (way === 'keep') return file
  const { signature } = await signWithKey(OUTSIDER, { chainId: file.chainId, safe: file.safe }, safeTxFromJson(file.batch.safeTx))
  const owner = lower(honest.world.target.deployment.safe!.owners[0]!)
  file.signatures = way === 'drop' ? [] : [{ signer: way === 'outsider' ? OUTSIDER_ADDRESS : owner, signature }]
  return file
}

const mutant = (file: Draft, rules: Mutant['rules'], need: Need = 'TRUST'): Mutant => ({ text: serializeReview(file), need, rules })

/** A lie in the intent that is a valid proposal in itself: signed ones give it away, the others need to be expected otherwise. */
function validLie(file: Draft, rule: RuleId): Mutant {
  return file.signatures.length > 0 ? mutant(file, ['signature-bytes']) : mutant(file, [rule], 'EXPECTATION')
}

/** Whether a change keeps to the signer's limits, in lines of its own. */
function keepsToPolicy(policy: DaoPolicy, change: Draft['intent']['changes'][number]): boolean {
  const limits = policy.parameters.get(change.parameter)
  if (limits === undefined) return false
  const [from, to] = [BigInt(change.from), BigInt(change.to)]
  const step = to > from ? to - from : from - to
  return (limits.min === null || to >= limits.min) && (limits.max === null || to <= limits.max) && (limits.step.relativeE6 === null || step * 1_000_000n <= from * limits.step.relativeE6)
}

// ─── The intent ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Numbers as they are mistaken for one another: decimals, percent for ratio, basis points, signs of overflow. */
const SLIPS: readonly ((value: bigint) => bigint)[] = [10n, 100n, 1_000n, 10_000n, 10n ** 6n, 10n ** 12n, 10n ** 18n].flatMap((factor) => [(value: bigint) => value * factor, (value: bigint) => value / factor])

const intentMutators: readonly Mutator[] = [
  {
    name: 'unit slip in a new value, everything made again',
    make: ({ honest, policy }) =>
      SLIPS.flatMap((slip, i) => {
        const file = copy(honest.file)
        const change = file.intent.changes[i % file.intent.changes.length]!
        change.to = slip(BigInt(change.to)).toString()
        if (BigInt(change.to) >= 2n ** 256n || change.to === change.from) return []
        const kept = keepsToPolicy(policy, change)
        if (rebuild(honest, file) === null) return [mutant(repairDigests(file), ['intent'])]
        return [kept ? validLie(file, 'expected-change') : mutant(file, ['policy-bounds', 'policy-step'])]
      }),
  },
  {
    name: 'another new value within the limits, everything made again',
    make: ({ honest, policy, draw }) => {
      const file = copy(honest.file)
      const change = draw.pick(file.intent.changes)
      change.to = (BigInt(change.to) + (BigInt(change.to) > BigInt(change.from) ? -1n : 1n)).toString()
      if (change.to === change.from || !keepsToPolicy(policy, change) || rebuild(honest, file) === null) return []
      const unsigned = copy(file)
      unsigned.signatures = []
      return [validLie(file, 'expected-change'), validLie(unsigned, 'expected-change')]
    },
  },
  {
    name: 'another old value, everything made again',
    make: ({ honest, draw }) =>
      [1n, -1n].flatMap((by) => {
        const file = copy(honest.file)
        const change = draw.pick(file.intent.changes)
        const from = BigInt(change.from) + by
        if (from < 0n || from.toString() === change.to) return []
        change.from = from.toString()
        return rebuild(honest, file) === null ? [] : [mutant(file, ['drift'], 'CHAIN')]
      }),
  },
  {
    name: 'a parameter that the signer does not allow, everything made again',
    make: ({ honest, policy }) => {
      const { catalog, deployment } = honest.world.target
      return catalog.specs.filter((spec) => !policy.parameters.has(spec.name)).flatMap((spec) => {
        const ref = catalog.refs(deployment).find((each) => each.name === spec.name)
        if (ref === undefined) return []
        const file = copy(honest.file)
        const from = honest.world.said.values[keyOf({ parameter: ref.name, subject: ref.subject })] ?? 0n
        const to = from === spec.bounds.max ? spec.bounds.min : spec.bounds.max
        file.intent.changes.push({ parameter: spec.name, scope: spec.scope, subject: lower(ref.subject), from: from.toString(), to: to.toString() })
        if (rebuild(honest, file) === null) return [mutant(repairDigests(file), ['intent'])]
        return [mutant(file, [spec.irreversible ? 'irreversible' : 'policy-parameter']), mutant(file, ['policy-parameter'])]
      })
    },
  },
  {
    name: 'a change added, everything made again',
    make: ({ honest, other }) => {
      const file = copy(honest.file)
      const more = other.file.intent.changes.find((each) => file.intent.changes.every((one) => keyOf(one) !== keyOf(each)))
      if (more === undefined) return []
      file.intent.changes.push({ ...more })
      return rebuild(honest, file) === null ? [] : [validLie(file, 'expected-change')]
    },
  },
  {
    name: 'a change left out, everything made again',
    make: ({ honest, draw }) => {
      const file = copy(honest.file)
      if (file.intent.changes.length < 2) return []
      file.intent.changes.splice(draw.below(file.intent.changes.length), 1)
      return rebuild(honest, file) === null ? [] : [validLie(file, 'expected-change')]
    },
  },
  {
    name: 'the changes in another order, everything made again',
    make: ({ honest }) => {
      const file = copy(honest.file)
      if (file.intent.changes.length < 2) return []
      file.intent.changes.reverse()
      return rebuild(honest, file) === null ? [] : [validLie(file, 'expected-hash')]
    },
  },
  {
    name: 'another market, collateral or account, everything made again',
    make: ({ honest }) => {
      const { catalog, deployment } = honest.world.target
      return honest.file.intent.changes.flatMap((change, i) => {
        const others = catalog.refs(deployment).filter((ref) => ref.name === change.parameter && lower(ref.subject) !== change.subject).map((ref) => lower(ref.subject))
        const twin = lookAlike(change.subject)
        const known = change.scope === 'MARKET' || change.scope === 'COLLATERAL'
        return [...others, twin].flatMap((subject) => {
          const file = copy(honest.file)
          if (file.intent.changes.some((each) => each.parameter === change.parameter && each.subject === subject)) return []
          file.intent.changes[i]!.subject = subject
          if (rebuild(honest, file) === null) return [mutant(repairDigests(file), ['intent']), ...(known && subject === twin ? [mutant(file, ['look-alike'])] : [])]
          return [file.signatures.length > 0 ? mutant(file, ['signature-bytes']) : mutant(file, ['expected-change'], 'EXPECTATION')]
        })
      })
    },
  },
  {
    name: 'an intent that means nothing',
    make: ({ honest, draw }) => {
      const spoil = (change: (one: Draft['intent']['changes'][number], file: Draft) => void, rules: Mutant['rules']): readonly Mutant[] => {
        const file = copy(honest.file)
        change(draw.pick(file.intent.changes), file)
        return [mutant(repairDigests(file), rules)]
      }
      const { catalog } = honest.world.target
      const advisory = catalog.specs.filter((spec) => spec.advisoryReason !== null)
      return [
        ...spoil((one) => void (one.parameter = 'upgradeTo'), ['intent']),
        ...spoil((one) => void (one.parameter = `${one.parameter}x`), ['intent']),
        ...spoil((one) => void (one.scope = one.scope === 'ACCOUNT' ? 'PROTOCOL' : 'ACCOUNT'), ['intent']),
        ...spoil((one) => void (one.parameter = draw.pick(advisory).name), ['intent']),
        ...spoil((one) => void (one.to = one.from), ['intent-unchanged']),
        ...spoil((one, file) => void file.intent.changes.push({ ...one }), ['intent-twice']),
        ...spoil((one) => {
          const { max, min } = catalog.find(one.parameter).bounds
          one.to = (max < 2n ** 256n - 1n ? max + 1n : min > 0n ? min - 1n : 2n ** 256n - 1n).toString()
        }, ['intent', 'call-data']),
      ]
    },
  },
  {
    name: 'another deadline, everything made again',
    make: ({ honest, policy }) => {
      const delay = BigInt(honest.world.target.deployment.governance?.kind === 'TIMELOCK' ? honest.world.target.deployment.governance.minDelaySec : 0)
      const drafted = BigInt(honest.file.block.timestampSec)
      const until = (sec: bigint, rules: Mutant['rules'], need: Need = 'TRUST'): readonly Mutant[] => {
        const file = copy(honest.file)
        file.intent.validUntilSec = sec.toString()
        return sec.toString() === honest.file.intent.validUntilSec || rebuild(honest, file) === null ? [] : [need === 'EXPECTATION' ? validLie(file, rules[0]) : mutant(file, rules, need)]
      }
      return [
        ...until(drafted + BigInt(policy.validity.maxSec) + 1n, ['policy-validity']),
        ...until(drafted + 365n * DAY, ['policy-validity']),
        ...until(2n ** 256n - 1n, ['policy-validity']),
        ...until(drafted + delay, ['deadline']),
        ...(drafted + 1n < honest.world.said.at.timestampSec ? until(drafted + delay + 1n, ['deadline'], 'CHAIN') : []),
        ...until(BigInt(honest.file.intent.validUntilSec) + 1n, ['expected-hash'], 'EXPECTATION'),
      ]
    },
  },
  {
    name: 'another nonce, everything made again',
    make: ({ honest }) => {
      const now = honest.world.said.safe.nonce
      const at = (nonce: bigint, rules: Mutant['rules'], need: Need): readonly Mutant[] => {
        const file = copy(honest.file)
        file.intent.nonce = nonce.toString()
        return nonce < 0n || nonce.toString() === honest.file.intent.nonce || rebuild(honest, file) === null ? [] : [need === 'EXPECTATION' ? validLie(file, rules[0]) : mutant(file, rules, need)]
      }
      return [...at(now - 1n, ['nonce-used'], 'CHAIN'), ...at(now + 1_000n, ['nonce-ahead'], 'CHAIN'), ...at(2n ** 60n, ['second-opinion'], 'TRUST'), ...at(BigInt(honest.file.intent.nonce) + 1n, ['expected-hash'], 'EXPECTATION')]
    },
  },
  {
    name: 'another title',
    make: ({ honest }) => {
      const file = copy(honest.file)
      file.intent.title = `${file.intent.title} (reviewed by all owners)`
      return [mutant(repairDigests(file), ['expected-digest'], 'EXPECTATION')]
    },
  },
]

// ─── The calls ─────────────────────────────────────────────────────────────────────────────────────────────────────

const EVIL_ABI = parseAbi([
  'function transferOwnership(address newOwner)',
  'function setOwner(address newOwner)',
  'function approve(address spender, uint256 amount)',
  'function addOwnerWithThreshold(address owner, uint256 _threshold)',
  'function enableModule(address module)',
  'function setGuard(address guard)',
  'function upgrade(address proxy, address implementation)',
])

const callMutators: readonly Mutator[] = [
  {
    name: 'a call added, packed and hashed again',
    make: async ({ honest, other, draw }) => {
      const { deployment } = honest.world.target
      const { contracts, safe } = deployment
      const evil = (to: string, functionName: 'transferOwnership' | 'setOwner' | 'enableModule' | 'setGuard') => ({ to, data: encodeFunctionData({ abi: EVIL_ABI, functionName, args: [OUTSIDER_ADDRESS] }) })
      const added = [
        evil(contracts.clearingHouse, 'transferOwnership'),
        evil(contracts.vault, 'setOwner'),
        evil(safe!.address, 'enableModule'),
        evil(safe!.address, 'setGuard'),
        { to: safe!.address, data: encodeFunctionData({ abi: EVIL_ABI, functionName: 'addOwnerWithThreshold', args: [OUTSIDER_ADDRESS, 1n] }) },
        { to: deployment.settlementToken.address, data: encodeFunctionData({ abi: EVIL_ABI, functionName: 'approve', args: [OUTSIDER_ADDRESS, 2n ** 256n - 1n] }) },
        { to: contracts.proxyAdmin, data: encodeFunctionData({ abi: EVIL_ABI, functionName: 'upgrade', args: [contracts.vault, OUTSIDER_ADDRESS] }) },
        { to: OUTSIDER_ADDRESS, data: '0x' as Hex },
        { to: lookAlike(contracts.vault), data: honest.file.batch.calls[1]!.data },
        { ...other.file.batch.calls[1]! },
        { ...honest.file.batch.calls[0]! },
        { ...honest.file.batch.calls[1]! },
      ]
      return Promise.all(
        added.map(async (call) => {
          const file = copy(honest.file)
          file.batch.calls.splice(draw.below(file.batch.calls.length + 1), 0, { to: lower(call.to as Address), value: '0', data: call.data })
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['call-extra'])
        }),
      )
    },
  },
  {
    name: 'a call removed, packed and hashed again',
    make: async ({ honest, draw }) =>
      Promise.all(
        honest.file.batch.calls.map(async (_, i) => {
          const file = copy(honest.file)
          file.batch.calls.splice(i, 1)
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['call-missing'])
        }),
      ),
  },
  {
    name: 'the batch reordered, packed and hashed again',
    make: async ({ honest, draw }) => {
      const reversed = copy(honest.file)
      reversed.batch.calls.reverse()
      const last = copy(honest.file)
      last.batch.calls.push(last.batch.calls.shift()!)
      return Promise.all([reversed, last].map(async (file) => mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['call-order'])))
    },
  },
  {
    name: 'another target of a call, packed and hashed again',
    make: async ({ honest, draw }) => {
      const { contracts } = honest.world.target.deployment
      return Promise.all(
        honest.file.batch.calls.flatMap((call, i) => [[OUTSIDER_ADDRESS, 'call-target'], [lookAlike(call.to), 'look-alike'], [`0x${'00'.repeat(20)}`, 'call-target'], [lower(contracts.quoteToken), 'call-target']].map(async ([to, rule]) => {
          const file = copy(honest.file)
          file.batch.calls[i]!.to = to as Address
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), [rule as RuleId])
        })),
      )
    },
  },
  {
    name: 'ether with a call, packed and hashed again',
    make: async ({ honest, draw }) =>
      Promise.all(
        ['1', (10n ** 18n).toString()].map(async (value) => {
          const file = copy(honest.file)
          draw.pick(file.batch.calls).value = value
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['call-value'])
        }),
      ),
  },
  {
    name: 'other bytes in a call, packed and hashed again',
    make: async ({ honest, draw }) => {
      const spoilt = (call: { data: Hex }): readonly Hex[] => {
        const at = 2 + draw.below(call.data.length - 2)
        return [
          flip(call.data, at),
          flip(call.data, 2 + draw.below(8)),
          flip(call.data, call.data.length - 1),
          // Solidity does not look at what stands behind the arguments, and here it could hide something.
          concatHex([call.data, '0x00']),
          concatHex([call.data, numberToHex(1n, { size: 32 })]),
          call.data.slice(0, -2) as Hex,
          call.data.slice(0, 10) as Hex,
          '0x',
        ]
      }
      return Promise.all(
        honest.file.batch.calls.flatMap((call, i) => spoilt(call).filter((data) => data !== call.data).map(async (data) => {
          const file = copy(honest.file)
          file.batch.calls[i]!.data = data
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['call-data'])
        })),
      )
    },
  },
  {
    name: 'a precondition that guards less, packed and hashed again',
    make: async ({ honest, draw }) => {
      const { target } = honest.world
      const { changes, validUntilSec } = honest.plan
      const weaker = [
        guardCall(target, changes.slice(1), validUntilSec),
        guardCall(target, [], validUntilSec),
        guardCall(target, changes, 2n ** 256n - 1n),
        guardCall(target, changes.map((change) => ({ ...change, from: change.to })), validUntilSec),
        guardCall(target, changes.map(() => changes[0]), validUntilSec),
      ]
      return Promise.all(
        weaker.filter((call) => call.data !== honest.built.calls[0].data).map(async (call) => {
          const file = copy(honest.file)
          file.batch.calls[0]!.data = call.data
          return mutant(await signAsForger(honest, repairPacking(honest, file), draw), ['decoded-intent'])
        }),
      )
    },
  },
]

/** One hex digit changed. */
const flip = (data: Hex, at: number): Hex => `${data.slice(0, at)}${(Number.parseInt(data[at]!, 16) ^ 1).toString(16)}${data.slice(at + 1)}` as Hex

// ─── The Safe's transaction ────────────────────────────────────────────────────────────────────────────────────────

const SELECTOR = 10

const transactionMutators: readonly Mutator[] = [
  {
    name: 'a field of the Safe transaction, hashed again',
    make: async ({ honest, draw }) => {
      const { safe, contracts } = honest.world.target.deployment
      const tx = honest.file.batch.safeTx
      const fields: readonly (readonly [Partial<ReviewBatch['safeTx']>, RuleId])[] = [
        [{ to: lower(safe!.multiSend) }, 'delegatecall'],
        [{ to: OUTSIDER_ADDRESS }, 'delegatecall'],
        [{ to: lookAlike(tx.to) }, 'look-alike'],
        [{ to: lookAlike(tx.to) }, 'delegatecall'],
        [{ to: lower(contracts.vault) }, 'safe-tx-to'],
        [{ to: lower(safe!.address), operation: 0 }, 'safe-tx-to'],
        [{ operation: 0 }, 'safe-tx-operation'],
        [{ value: '1' }, 'safe-tx-value'],
        [{ value: (2n ** 256n - 1n).toString() }, 'safe-tx-value'],
        [{ safeTxGas: '1' }, 'safe-tx-gas'],
        [{ safeTxGas: (2n ** 255n).toString() }, 'safe-tx-gas'],
        [{ baseGas: '21000' }, 'safe-tx-gas'],
        [{ gasPrice: '1' }, 'safe-tx-gas'],
        [{ gasPrice: (10n ** 12n).toString(), baseGas: (10n ** 9n).toString(), refundReceiver: OUTSIDER_ADDRESS }, 'safe-tx-gas'],
        [{ gasToken: lower(honest.world.target.deployment.settlementToken.address) }, 'safe-tx-gas'],
        [{ refundReceiver: OUTSIDER_ADDRESS }, 'safe-tx-gas'],
        [{ nonce: (BigInt(tx.nonce) + 1n).toString() }, 'safe-tx-nonce'],
        [{ nonce: (2n ** 64n + BigInt(tx.nonce)).toString() }, 'safe-tx-nonce'],
        [{ data: '0x' }, 'undecoded'],
        [{ data: concatHex([tx.data, '0x00']) }, 'undecoded'],
        [{ data: tx.data.slice(0, -2) as Hex }, 'undecoded'],
        [{ data: flip(tx.data, 2 + draw.below(8)) }, 'undecoded'],
        [{ data: flip(tx.data, SELECTOR + draw.below(tx.data.length - SELECTOR)) }, 'safe-tx-data'],
        [{ data: flip(tx.data, tx.data.length - 1 - draw.below(400)) }, 'safe-tx-data'],
      ]
      return Promise.all(
        fields.map(async ([field, rule]) => {
          const file = copy(honest.file)
          Object.assign(file.batch.safeTx, field)
          return mutant(await signAsForger(honest, repairHashes(file), draw), [rule])
        }),
      )
    },
  },
  {
    name: 'a delegatecall inside the batch, hashed again',
    make: async ({ honest, draw }) => {
      const packedAt = SELECTOR + 128
      const tx = honest.file.batch.safeTx
      const evil = encodeFunctionData({ abi: EVIL_ABI, functionName: 'enableModule', args: [OUTSIDER_ADDRESS] })
      const nested = encodeMultiSend([...honest.built.safeCalls, { to: OUTSIDER_ADDRESS, value: 0n, data: evil }]).replace(`00${OUTSIDER_ADDRESS.slice(2)}${'00'.repeat(32)}`, `01${OUTSIDER_ADDRESS.slice(2)}${'00'.repeat(32)}`) as Hex
      const first = `${tx.data.slice(0, packedAt)}01${tx.data.slice(packedAt + 2)}` as Hex
      const unknown = `${tx.data.slice(0, packedAt)}02${tx.data.slice(packedAt + 2)}` as Hex
      return Promise.all(
        [nested, first, unknown].map(async (data) => {
          const file = copy(honest.file)
          file.batch.safeTx.data = data
          return mutant(await signAsForger(honest, repairHashes(file), draw), ['delegatecall'])
        }),
      )
    },
  },
  {
    name: 'a lie about the length inside the batch, hashed again',
    make: ({ honest }) => {
      const at = SELECTOR + 128 + 2 + 40 + 64
      const tx = honest.file.batch.safeTx
      return [0n, 1n, 2n ** 32n, 2n ** 255n].map((length) => {
        const file = copy(honest.file)
        file.batch.safeTx.data = `${tx.data.slice(0, at)}${numberToHex(length, { size: 32 }).slice(2)}${tx.data.slice(at + 64)}` as Hex
        return mutant(repairHashes(file), ['safe-tx-data'])
      })
    },
  },
  {
    name: 'another hash',
    make: ({ honest, other, draw }) =>
      (['domainHash', 'messageHash', 'safeTxHash'] as const).flatMap((field) => {
        const rule = ({ domainHash: 'domain-hash', messageHash: 'message-hash', safeTxHash: 'safe-tx-hash' } as const)[field]
        const foreign = hashesOf({ chainId: 10, safe: honest.file.safe }, honest.built.safeTx)
        return [flip(honest.file.batch.hashes[field], 2 + draw.below(64)), other.file.batch.hashes[field], foreign[field]].filter((hash) => hash !== honest.file.batch.hashes[field]).map((hash) => {
          const file = copy(honest.file)
          file.batch.hashes[field] = hash
          return mutant(repairDigests(file), [rule])
        })
      }),
  },
  {
    name: 'another chain, Safe, network or path, hashed again',
    make: async ({ honest, draw }) => {
      const { deployment } = honest.world.target
      const kinds: readonly Governance[] = [
        { kind: 'SAFE' },
        { kind: 'TIMELOCK', address: OUTSIDER_ADDRESS, minDelaySec: 0 },
        { kind: 'TIMELOCK', address: deployment.governance?.kind === 'TIMELOCK' ? lookAlike(deployment.governance.address) : OUTSIDER_ADDRESS, minDelaySec: 86_400 },
        ...(deployment.governance?.kind === 'TIMELOCK' ? [{ ...deployment.governance, minDelaySec: 60 }] : []),
      ]
      const paths = kinds.filter((each) => JSON.stringify(each) !== JSON.stringify(honest.file.governance)).map((governance): Draft | null => {
        const world = { ...honest.world, target: { ...honest.world.target, deployment: { ...deployment, governance } } }
        const file = copy(honest.file)
        file.governance = { ...governance } as Draft['governance']
        return rebuild({ ...honest, world }, file)
      })
      const elsewhere = (set: Partial<ReviewFile>, rules: Mutant['rules']): readonly [Draft, Mutant['rules']] => [repairHashes(Object.assign(copy(honest.file), set)), rules]
      const all: readonly (readonly [Draft, Mutant['rules']])[] = [
        elsewhere({ chainId: 10 }, ['chain-id']),
        elsewhere({ chainId: 1 }, ['chain-id']),
        elsewhere({ safe: OUTSIDER_ADDRESS }, ['safe-address']),
        elsewhere({ safe: lookAlike(honest.file.safe) }, ['look-alike']),
        elsewhere({ safe: lookAlike(honest.file.safe) }, ['safe-address']),
        elsewhere({ network: 'optimism' }, ['network']),
        elsewhere({ network: 'optimism', chainId: 10 }, ['network']),
        elsewhere({ protocol: 'synthetix' }, ['network']),
        ...paths.flatMap((file): readonly (readonly [Draft, Mutant['rules']])[] => (file === null ? [] : [[file, ['governance']]])),
      ]
      return Promise.all(all.map(async ([file, rules]) => mutant(await signAsForger(honest, file, draw), rules)))
    },
  },
  {
    name: 'what is queued',
    make: ({ honest, draw }) => {
      const { queued } = honest.built
      if (queued === null) return []
      const spoil = (change: (queued: Record<string, unknown>) => void): Mutant => {
        const file = copy(honest.file)
        change(file.batch.queued as unknown as Record<string, unknown>)
        return mutant(repairDigests(file), ['queued'])
      }
      const scheduled = (change: Partial<typeof queued>): Mutant => {
        const file = copy(honest.file)
        const forged = { ...queued, ...change }
        file.batch.queued = batchJson({ ...honest.built, queued: forged }).queued
        file.batch.safeTx.data = encodeMultiSend([honest.built.safeCalls[0], queueCall(forged)])
        return mutant(repairHashes(file), ['safe-tx-data'])
      }
      return [
        spoil((each) => void (each['id'] = flip(queued.id, 2 + draw.below(64)))),
        spoil((each) => void (each['salt'] = flip(queued.salt, 2 + draw.below(64)))),
        spoil((each) => void (each['predecessor'] = queued.id)),
        spoil((each) => void (each['delaySec'] = '0')),
        spoil((each) => void (each['executeUntilSec'] = '9999999999')),
        spoil((each) => void (each['address'] = OUTSIDER_ADDRESS)),
        spoil((each) => void (each['calls'] = [])),
        scheduled({ delaySec: 0n }),
        scheduled({ predecessor: queued.id }),
        scheduled({ salt: keccak256(queued.salt) }),
        scheduled({ address: OUTSIDER_ADDRESS }),
        scheduled({ calls: queued.calls.slice(1) }),
      ]
    },
  },
]

// ─── What stands beside it ─────────────────────────────────────────────────────────────────────────────────────────

/** Order of secp256k1. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const besideMutators: readonly Mutator[] = [
  {
    name: 'forged, replayed and doubled signatures',
    make: async ({ honest, other, draw }) => {
      const domain = { chainId: honest.file.chainId, safe: honest.file.safe }
      const [owner, second] = honest.world.target.deployment.safe!.owners.map(lower)
      const own = await signWithKey(honest.world.signers[0]!, domain, honest.built.safeTx)
      const outsider = await signWithKey(OUTSIDER, domain, honest.built.safeTx)
      const replayed = await signWithKey(honest.world.signers[0]!, domain, other.built.safeTx)
      const elsewhere = await signWithKey(honest.world.signers[0]!, { ...domain, chainId: 10 }, honest.built.safeTx)
      const s = hexToBigInt(`0x${own.signature.slice(66, 130)}`)
      const second_form = `${own.signature.slice(0, 66)}${numberToHex(ORDER - s, { size: 32 }).slice(2)}${own.signature.endsWith('1b') ? '1c' : '1b'}` as Hex
      const sets: readonly (readonly [readonly Draft['signatures'][number][], RuleId])[] = [
        [[outsider], 'signature-owner'],
        [[{ ...outsider, signer: owner! }], 'signature-bytes'],
        [[{ ...own, signer: second! }], 'signature-bytes'],
        [[{ ...own, signer: lookAlike(owner!) }], 'look-alike'],
        [[own, own], 'signature-twice'],
        [[{ ...own, signature: flip(own.signature, 2 + draw.below(128)) }], 'signature-bytes'],
        [[{ ...own, signature: own.signature.slice(0, -2) as Hex }], 'signature-bytes'],
        [[{ ...own, signature: concatHex([own.signature, '0x00']) }], 'signature-bytes'],
        [[{ ...own, signature: '0x' }], 'signature-bytes'],
        [[{ ...own, signature: second_form }], 'signature-bytes'],
        // The Safe takes v = 1 for "the sender approves", and v = 0 for "ask this contract".
        [[{ signer: owner!, signature: concatHex([numberToHex(BigInt(owner!), { size: 32 }), numberToHex(0n, { size: 32 }), '0x01']) }], 'signature-bytes'],
        [[{ signer: owner!, signature: concatHex([numberToHex(BigInt(owner!), { size: 32 }), numberToHex(65n, { size: 32 }), '0x00']) }], 'signature-bytes'],
        ...(replayed.signature === own.signature ? [] : [[[replayed], 'signature-bytes'] as const]),
        [[elsewhere], 'signature-bytes'],
      ]
      return sets.map(([signatures, rule]) => {
        const file = copy(honest.file)
        file.signatures = signatures.map((each) => ({ ...each }))
        return mutant(file, [rule])
      })
    },
  },
  {
    name: 'the way back',
    make: ({ honest, other, draw }) => {
      if (honest.file.rollback === null) return []
      const spoil = (change: (rollback: NonNullable<Draft['rollback']>, file: Draft) => void): Mutant => {
        const file = copy(honest.file)
        change(file.rollback!, file)
        return mutant(repairHashes(file), ['rollback'])
      }
      return [
        spoil((_, file) => void (file.rollback = null)),
        spoil((back) => void (draw.pick(back.intent.changes).to = '7')),
        spoil((back) => void (draw.pick(back.intent.changes).from = '7')),
        ...(honest.file.rollback.intent.changes.length < 2 ? [] : [spoil((back) => void back.intent.changes.pop())]),
        spoil((back, file) => void (back.intent.nonce = file.intent.nonce)),
        spoil((back) => void (back.intent.validUntilSec = '1')),
        spoil((back) => void (back.batch.safeTx.gasPrice = '1')),
        spoil((back) => void (back.batch.safeTx.to = OUTSIDER_ADDRESS)),
        spoil((back) => void (back.batch.safeTx.operation = 0)),
        spoil((back) => void (back.batch.safeTx.data = flip(back.batch.safeTx.data, SELECTOR + draw.below(back.batch.safeTx.data.length - SELECTOR)))),
        spoil((back) => void back.batch.calls.push({ to: OUTSIDER_ADDRESS, value: '0', data: '0x' })),
        spoil((back, file) => void (back.batch = structuredClone(file.batch))),
        ...(other.file.rollback === null ? [] : [spoil((_, file) => void (file.rollback = structuredClone(other.file.rollback)))]),
      ]
    },
  },
  {
    name: 'the block that it stands on',
    make: ({ honest, policy }) => {
      const { said } = honest.world
      const on = (block: { number?: bigint; hash?: Hex; timestampSec?: bigint }, rules: Mutant['rules'], need: Need): readonly Mutant[] => {
        const file = copy(honest.file)
        if (block.number !== undefined) file.block.number = block.number.toString()
        if (block.hash !== undefined) file.block.hash = block.hash
        if (block.timestampSec !== undefined) file.block.timestampSec = block.timestampSec.toString()
        return rebuild(honest, file) === null ? [] : [mutant(file, rules, need)]
      }
      const drafted = BigInt(honest.file.block.timestampSec)
      const old = said.at.timestampSec - BigInt(policy.validity.maxSec) - 3_600n
      return [
        ...on({ hash: keccak256(honest.file.block.hash) }, ['block'], 'CHAIN'),
        ...on({ number: said.at.number + 1_000n }, ['block'], 'CHAIN'),
        ...on({ number: BigInt(honest.file.block.number) - 1n }, ['block'], 'CHAIN'),
        ...on({ timestampSec: drafted + 1n }, ['block'], 'CHAIN'),
        ...on({ timestampSec: old }, ['block'], 'CHAIN'),
        ...on({ timestampSec: old }, ['policy-validity'], 'TRUST'),
        ...on({ timestampSec: BigInt(honest.file.intent.validUntilSec) }, ['deadline'], 'TRUST'),
        ...on({ timestampSec: 2n ** 200n }, ['deadline'], 'TRUST'),
      ]
    },
  },
  {
    name: 'what was simulated',
    make: ({ honest, draw }) => {
      if (honest.file.simulation === null) return []
      type Result = { success: boolean; block: string; blockHash: string; gasUsed: string; parameters: { before: string; after: string; expected: string; subject: string }[]; results: { to: string; success: boolean }[]; others: { changed: unknown[] }; events: unknown[] }
      const spoil = (change: (result: Result) => void, rule: RuleId = 'simulation', need: Need = 'TRUST'): Mutant => {
        const file = copy(honest.file)
        change(file.simulation!.result as unknown as Result)
        return mutant(repairDigests(file), [rule], need)
      }
      const unrepaired = copy(honest.file)
      unrepaired.simulation!.digest = keccak256(toHex('another')).slice(2)
      unrepaired.digest = reviewDigest(unrepaired)
      return [
        mutant(unrepaired, ['claim-digest']),
        spoil((each) => void (each.success = false)),
        spoil((each) => void (draw.pick(each.parameters).before = '7777')),
        spoil((each) => void (draw.pick(each.parameters).after = '7777')),
        spoil((each) => void (draw.pick(each.parameters).expected = '7777')),
        spoil((each) => void (draw.pick(each.parameters).subject = OUTSIDER_ADDRESS)),
        spoil((each) => void each.parameters.pop()),
        spoil((each) => void each.results.pop()),
        spoil((each) => void (draw.pick(each.results).success = false)),
        spoil((each) => void (draw.pick(each.results).to = OUTSIDER_ADDRESS)),
        spoil((each) => void (each.block = '1')),
        spoil((each) => void (each.blockHash = OUTSIDER)),
        spoil((each) => void each.others.changed.push({ name: 'owner' })),
        spoil((each) => void delete (each as Partial<Result>).parameters),
        spoil((each) => void (each.gasUsed = '1'), 'expected-digest', 'EXPECTATION'),
        spoil((each) => void each.events.push({ name: 'Nothing' }), 'expected-digest', 'EXPECTATION'),
      ]
    },
  },
  {
    name: 'what the impact says',
    make: ({ honest }) => {
      if (honest.file.impact === null) return []
      const spoil = (change: (result: Record<string, unknown>, file: Draft) => void, rule: RuleId = 'impact', need: Need = 'TRUST'): Mutant => {
        const file = copy(honest.file)
        change(file.impact!.result as unknown as Record<string, unknown>, file)
        return mutant(repairDigests(file), [rule], need)
      }
      const unrepaired = copy(honest.file)
      unrepaired.impact!.digest = keccak256(toHex('another')).slice(2)
      unrepaired.digest = reviewDigest(unrepaired)
      return [
        mutant(unrepaired, ['claim-digest']),
        spoil((each) => void (each['block'] = '1')),
        spoil((each) => void (each['blockHash'] = OUTSIDER)),
        spoil((each) => void (each['invariants'] = { newlyBroken: 2 })),
        spoil((each) => void delete each['newlyLiquidatable']),
        spoil((each) => void delete (each['accounts'] as Record<string, unknown>)['valued']),
        spoil((each) => void Object.assign(each['accounts'] as object, { valued: 1_000 })),
        spoil((_, file) => void (file.simulation = null)),
        spoil((each) => void (each['newlyLiquidatable'] = [{}, {}, {}, {}, {}]), 'expected-digest', 'EXPECTATION'),
        spoil((each) => void (each['nearMiss'] = []), 'expected-digest', 'EXPECTATION'),
        spoil((_, file) => void (file.impact = null), 'expected-digest', 'EXPECTATION'),
      ]
    },
  },
  {
    name: 'evidence and digests',
    make: ({ honest }) => {
      const added = copy(honest.file)
      added.evidence.push({ recommendation: 'reviewed-by-auditors', digest: 'ab'.repeat(32) })
      const removed = copy(honest.file)
      removed.evidence = []
      const digest = copy(honest.file)
      digest.digest = digestOf(digest.digest)
      return [mutant(repairDigests(added), ['expected-digest'], 'EXPECTATION'), ...(honest.file.evidence.length === 0 ? [] : [mutant(repairDigests(removed), ['expected-digest'], 'EXPECTATION')]), mutant(digest, ['file-digest'])]
    },
  },
]

// ─── Every field, and the file itself ──────────────────────────────────────────────────────────────────────────────

type Path = readonly (string | number)[]

function leavesOf(value: unknown, path: Path = []): readonly (readonly [Path, string | number | boolean | null])[] {
  if (typeof value !== 'object' || value === null) return [[path, value as string | number | boolean | null]]
  return (Array.isArray(value) ? value.map((each, i) => [i, each] as const) : Object.entries(value)).flatMap(([key, each]) => leavesOf(each, [...path, key]))
}

function setAt(value: unknown, path: Path, to: unknown): void {
  let at = value as Record<string | number, unknown>
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
  at[path.at(-1)!] = to
}

/** The rule that holds a field, where it is changed to another value of the same form and digests are repaired. */
function ruleOf(path: Path): readonly [Mutant['rules'], Need] | null {
  const [first, second, third] = path
  const field = path.at(-1)
  // Of a path there are few kinds, and another word is none of them.
  if (field === 'kind' && first !== 'simulation' && first !== 'impact') return [['format'], 'TRUST']
  const batch = (key: unknown): Mutant['rules'] => {
    if (key === 'calls') return field === 'to' ? ['call-target'] : field === 'value' ? ['call-value'] : ['call-data']
    if (key === 'queued') return ['queued']
    if (key === 'hashes') return field === 'domainHash' ? ['domain-hash'] : field === 'messageHash' ? ['message-hash'] : ['safe-tx-hash']
    return field === 'to' ? ['safe-tx-to'] : field === 'value' ? ['safe-tx-value'] : field === 'data' ? ['safe-tx-data'] : field === 'operation' ? ['safe-tx-operation'] : field === 'nonce' ? ['safe-tx-nonce'] : ['safe-tx-gas']
  }
  switch (first) {
    case 'format':
    case 'version':
      return [['format'], 'TRUST']
    case 'protocol':
    case 'network':
      return [['network'], 'TRUST']
    case 'chainId':
      return [['chain-id'], 'TRUST']
    case 'safe':
      return [['safe-address'], 'TRUST']
    case 'governance':
      return [['governance'], 'TRUST']
    case 'intent':
      if (second === 'title') return [['expected-digest'], 'EXPECTATION']
      if (second === 'nonce') return [['safe-tx-nonce'], 'TRUST']
      if (second === 'validUntilSec') return [['call-data'], 'TRUST']
      return [field === 'scope' ? ['format', 'intent'] : field === 'parameter' ? ['intent'] : ['call-data', 'call-target', 'intent', 'intent-unchanged'], 'TRUST']
    case 'block':
      return [['block'], 'CHAIN']
    case 'evidence':
      return [['expected-digest'], 'EXPECTATION']
    case 'batch':
      return [batch(second), 'TRUST']
    case 'rollback':
      return [second === 'intent' && field === 'scope' ? ['format', 'rollback'] : ['rollback'], 'TRUST']
    case 'simulation':
      if (second === 'digest') return [['claim-digest'], 'TRUST']
      // What the intent says as well is compared with it; the rest is the word of whoever simulated.
      return [['simulation', 'expected-digest'], third === 'success' ? 'TRUST' : 'EXPECTATION']
    case 'impact':
      if (second === 'digest') return [['claim-digest'], 'TRUST']
      return [['impact', 'expected-digest'], 'EXPECTATION']
    case 'digest':
      return [['file-digest'], 'TRUST']
    case 'signatures':
      return [field === 'signer' ? ['signature-owner'] : ['signature-bytes'], 'TRUST']
    default:
      return null
  }
}

/** Another value of the same form. */
function another(value: string | number | boolean, draw: Draw): unknown {
  if (typeof value === 'number') return value === 0 ? 1 : value === 1 ? 0 : value + 1
  if (typeof value === 'boolean') return !value
  if (/^0x[0-9a-f]+$/.test(value)) return flip(value as Hex, 2 + draw.below(value.length - 2))
  if (/^[0-9]+$/.test(value)) return (BigInt(value) === 2n ** 256n - 1n ? BigInt(value) - 1n : BigInt(value) + 1n).toString()
  if (/^[0-9a-f]{64}$/.test(value)) return flip(`0x${value}`, 2 + draw.below(64)).slice(2)
  return value === '0x' ? '0x00' : `${value}x`
}

/** Every fourth field, from another one on each time: four honest proposals walk through all of them, and the next four again. */
const turn = <T>(all: readonly T[], index: number): readonly T[] => all.filter((_, i) => i % 4 === index % 4)

const fileMutators: readonly Mutator[] = [
  {
    name: 'every field, one after the other',
    make: ({ honest, draw, index }) =>
      turn(leavesOf(honest.file), index).flatMap(([path, value]) => {
        const held = ruleOf(path)
        if (held === null || value === null) return []
        const file = copy(honest.file)
        setAt(file, path, another(value, draw))
        const [rules, need] = held
        const claimed = path[0] === 'digest' || ((path[0] === 'simulation' || path[0] === 'impact') && path[1] === 'digest')
        if (!claimed) repairDigests(file)
        else if (path[0] !== 'digest') file.digest = reviewDigest(file)
        return [mutant(file, rules, need)]
      }),
  },
  {
    name: 'every field in another spelling or type',
    make: ({ honest, draw, index }) =>
      turn(leavesOf({ ...honest.file, simulation: null, impact: null }), index).flatMap(([path, value]) => {
        const spellings: unknown[] = typeof value === 'string' ? (/^[0-9]+$/.test(value) ? [`0${value}`, `+${value}`, ` ${value}`, `${value}.0`, `0x${BigInt(value).toString(16)}`, Number(value), `-${value}`] : value.startsWith('0x') ? [value.toUpperCase(), value.slice(2), `${value} `] : [value.length]) : [String(value), null, [value]]
        const spelling = draw.pick(spellings)
        if (spelling === value || (path.join('.') === 'rollback' && spelling === null) || value === null) return []
        const file = copy(honest.file)
        setAt(file, path, spelling)
        // Digests of what has another spelling cannot be repaired before it is read; the form is refused first.
        return [{ text: JSON.stringify(file), need: 'TRUST', rules: ['format'] }]
      }),
  },
  {
    name: 'the file as a file',
    make: ({ honest }) => {
      const text = serializeReview(honest.file)
      const key = (extra: string, inside: string): string => text.replace(inside, `${inside}\n${extra},`)
      const broken = [
        text.slice(0, text.length / 2),
        `${text}${text}`,
        `\uFEFF${text}`,
        `/* */${text}`,
        `[${text}]`,
        text.replace('\n  "version": 1', '\n  "version": 2'),
        text.replace('\n  "version": 1', '\n  "version": "1"'),
        key('"approved": true', '"batch": {'),
        key('"\\u001b[2J\\nREADY\\n": true', '"batch": {'),
        key('"\\u202eYDAER": true', '"intent": {'),
        key('"operation": 0', '"safeTx": {'),
        key('"__proto__": {"ready": true}', '"intent": {'),
        key('"to": "0x0000000000000000000000000000000000000000"', '"safeTx": {'),
        key('"t\\u006f": "0x0000000000000000000000000000000000000000"', '"safeTx": {'),
        text.replace(/"nonce": "\d+",?\s*/, ''),
        text.replace('"calls": [', '"calls": [[],'),
        text.replace('"title": "', '"title": "\u202e'),
        text.replace('"title": "', '"title": "\\u0000'),
        text.replace('"title": "', '"title": "READY\\n'),
        'null',
        '""',
        '{}',
        '',
      ]
      return broken.filter((each) => each !== text).map((each): Mutant => ({ text: each, need: 'TRUST', rules: ['format'] }))
    },
  },
]

export const MUTATORS: readonly Mutator[] = [...intentMutators, ...callMutators, ...transactionMutators, ...besideMutators, ...fileMutators]
