/**
 * `trust.yaml`: what a signer holds to be true, in the signer's own file. `verify` takes the chain, the Safe, its owners,
 * the addresses and the limits from here and from the installed package, never from a server and never from a proposal.
 */
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { BadInputError } from '../core/errors.ts'
import type { Address, Deployment, Hex, Protocol } from '../protocols/adapter.ts'
import { protocolByName } from '../protocols/index.ts'
import { DEFAULT_POLICY } from '../api/recommendations/policy.ts'
import { safeOf } from './build.ts'
import { keyOf, labelOf } from './draft.ts'
import type { Target } from './draft.ts'
import { GUARD_ADDRESS, PRECONDITION } from './guard.ts'
import { policyOf, policySchema } from './policy.ts'
import type { DaoPolicy } from './policy.ts'
import { SUPPORTED_SAFE_VERSIONS, lower } from './safe.ts'
import { durationWords, valueWords } from './words.ts'
import type { Questions, Statement } from './witness.ts'

/** A trust file that cannot be relied on. One sentence part each in `facts.faults`. */
export class TrustFormatError extends BadInputError {
  constructor(faults: readonly string[]) {
    super(`Found a trust file in which ${faults.join('; ')}; allowed is a file as "bulwark trust init" writes it, correct it by hand`, { faults })
  }
}

// YAML takes an address without quotes for a number, and loses digits of it: then it is no text, and refused.
const hexText = (bytes: number, what: string) => z.string({ invalid_type_error: `is not in quotes, without which YAML reads ${what} as a number` }).regex(new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`), `is not ${what}`)
const address = hexText(20, 'an address of 20 bytes').transform((text) => text.toLowerCase() as Address)
const codeHash = hexText(32, 'a hash of 32 bytes').transform((text) => text.toLowerCase() as Hex)
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'is not a name')
const integer = (min: number, max: number) => z.number().int().min(min).max(max)
const contract = z.object({ address, codeHash }).strict()
const optional = <T extends z.ZodTypeAny>(schema: T) => z.union([z.literal('none').transform(() => null), schema])
const SEC_MAX = 2 ** 40

/** As in a policy file, left as it is written: `policyOf` reads its values in the catalog's units. */
const policyAsWritten = z.unknown().superRefine((value, context) => {
  const parsed = policySchema.safeParse(value)
  if (!parsed.success) for (const issue of parsed.error.issues) context.addIssue(issue)
})

const trustSchema = z
  .object({
    version: z.literal(1),
    protocol: name,
    network: name,
    chainId: integer(1, Number.MAX_SAFE_INTEGER),
    safe: z
      .object({
        address,
        codeHash,
        version: z.enum(SUPPORTED_SAFE_VERSIONS),
        singleton: contract,
        owners: z.array(address).min(1).refine((all) => new Set(all).size === all.length, 'names an owner twice'),
        threshold: integer(1, 1000),
        guard: optional(contract),
        modules: z.array(address),
        fallbackHandler: optional(address),
      })
      .strict()
      .refine((safe) => safe.threshold <= safe.owners.length, 'has a threshold above the number of owners'),
    multiSendCallOnly: contract,
    precondition: contract,
    governance: z.discriminatedUnion('kind', [z.object({ kind: z.literal('SAFE') }).strict(), z.object({ kind: z.literal('TIMELOCK'), address, minDelaySec: integer(0, SEC_MAX) }).strict()]),
    contracts: z.record(name, address),
    policy: policyAsWritten,
    /** Transactions that may stand before it in the Safe's order. */
    maxQueuedAhead: integer(0, 1000),
    readiness: z.object({ agreeingRpcs: integer(0, 10), clock: z.enum(['machine', 'chain']) }).strict(),
    rpcUrls: z.array(z.string().regex(/^https?:\/\/\S+$/, 'is not an http address')),
  })
  .strict()

export type Trust = z.output<typeof trustSchema>

/** A trust file's text, checked. Throws TrustFormatError with all faults. */
export function parseTrust(text: string): Trust {
  let value: unknown
  try {
    value = parseYaml(text, { strict: true, uniqueKeys: true, maxAliasCount: 0 })
  } catch (error) {
    throw new TrustFormatError([`the YAML cannot be read (${(error as Error).message.split('\n')[0]})`])
  }
  const parsed = trustSchema.safeParse(value)
  if (!parsed.success) throw new TrustFormatError(parsed.error.issues.slice(0, 20).map((issue) => `${issue.path.join('.') || 'the file'} ${issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase())}`))
  return parsed.data
}

/** Contracts of a deployment that parameter changes can go to, by name: the protocol's own, the markets' and collaterals' tokens. */
export function contractsOf(deployment: Deployment): Readonly<Record<string, Address>> {
  return Object.fromEntries([
    ...Object.entries(deployment.contracts).map(([key, each]) => [key, lower(each)] as const),
    ...deployment.markets.map((market) => [market.symbol, lower(market.baseToken)] as const),
    ...deployment.collaterals.map((collateral) => [`collateral.${collateral.symbol}`, lower(collateral.token)] as const),
  ])
}

export type TrustedTarget = { readonly protocol: Protocol; readonly target: Target; readonly policy: DaoPolicy; readonly differences: readonly string[] }

/**
 * The protocol as the installed package knows it, behind the Safe that the signer trusts, and the signer's own limits.
 * `differences` names every contract whose address the package and the trust file tell otherwise.
 */
export function trustedTarget(trust: Trust): TrustedTarget {
  const known = TARGETS.get(trust)
  if (known !== undefined) return known
  const made = targetOf(trust)
  TARGETS.set(trust, made)
  return made
}

/** A trust file does not change once it is read, and reading its limits takes longer than a proposal's check. */
const TARGETS = new WeakMap<Trust, TrustedTarget>()

function targetOf(trust: Trust): TrustedTarget {
  const protocol = protocolByName(trust.protocol)
  const deployment = Object.hasOwn(protocol.deployments, trust.network) ? protocol.deployments[trust.network]! : null
  if (deployment === null) throw new TrustFormatError([`network ${trust.network} is none that the installed package has for ${trust.protocol} (${Object.keys(protocol.deployments).join(', ')})`])
  const known = contractsOf(deployment)
  const names = new Set([...Object.keys(known), ...Object.keys(trust.contracts)])
  const differences = [...names].flatMap((each) => (known[each] === trust.contracts[each] ? [] : [`${each} is ${known[each] ?? 'unknown'} in the installed package and ${trust.contracts[each] ?? 'unknown'} in the trust file`]))
  if (deployment.chainId !== trust.chainId) differences.push(`chain id is ${deployment.chainId} in the installed package and ${trust.chainId} in the trust file`)
  if (trust.precondition.address !== GUARD_ADDRESS) differences.push(`the precondition contract is ${GUARD_ADDRESS} in the installed package and ${trust.precondition.address} in the trust file`)
  const { safe } = trust
  const recorded = deployment.safe
  const target: Target = {
    catalog: protocol.catalog,
    deployment: {
      ...deployment,
      governance: trust.governance,
      safe: {
        address: safe.address,
        version: safe.version,
        owners: safe.owners,
        threshold: safe.threshold,
        singleton: safe.singleton.address,
        multiSendCallOnly: trust.multiSendCallOnly.address,
        // None of these is part of what a batch is made of.
        fallbackHandler: safe.fallbackHandler ?? safe.singleton.address,
        proxyFactory: recorded?.proxyFactory ?? safe.singleton.address,
        multiSend: recorded?.multiSend ?? trust.multiSendCallOnly.address,
      },
    },
  }
  return { protocol, target, policy: policyOf(target, trust.policy), differences }
}

/** What `trust init` has to ask of each RPC. */
export function initQuestions(target: Target): Questions {
  const safe = safeOf(target.deployment)
  return { safe: lower(safe.address), code: [safe.address, safe.singleton, safe.multiSendCallOnly, GUARD_ADDRESS], block: null, refs: target.catalog.refs(target.deployment), safeTx: null, timelock: target.deployment.governance?.kind === 'TIMELOCK' ? target.deployment.governance.address : null }
}

/**
 * A first trust file, a comment on every line, from the installed package and what RPCs that agree have answered.
 * It is a proposal too: whoever will rely on it compares each line with what they know from elsewhere.
 * Throws BadInputError where the chain is not the one that the package records.
 */
export function firstTrust(protocol: Protocol, deployment: Deployment, facts: Statement, options: { readonly sources: readonly string[]; readonly machineSec: bigint }): string {
  const target = { catalog: protocol.catalog, deployment }
  const recorded = safeOf(deployment)
  const code = (of: Address, what: string): Hex => {
    const hash = facts.codeHashes[lower(of)]
    if (hash === undefined || hash === null) throw new BadInputError(`Found no code at ${lower(of)}, where ${what} has to be; check the network and the RPC, and make the trust file again`)
    return hash
  }
  const agree = (what: string, found: string, expected: string): void => {
    if (found !== expected) throw new BadInputError(`Found ${what} ${found} on chain, the installed package records ${expected}; find out which is right before you trust either`)
  }
  agree('chain id', String(facts.chainId), String(deployment.chainId))
  agree('Safe version', facts.safe.version, recorded.version)
  agree('singleton', facts.safe.singleton, lower(recorded.singleton))
  agree('owners', facts.safe.owners.join(', '), recorded.owners.map(lower).toSorted().join(', '))
  agree('threshold', String(facts.safe.threshold), String(recorded.threshold))
  agree('code hash of the precondition contract', code(GUARD_ADDRESS, 'the precondition contract'), PRECONDITION.codeHash)

  const heard = options.sources.length > 1 ? `${options.sources.length} RPCs agree (${options.sources.join(', ')})` : `one RPC alone says so (${options.sources.join()})`
  const governance = deployment.governance ?? { kind: 'SAFE' as const }
  const age = options.machineSec > facts.at.timestampSec ? options.machineSec - facts.at.timestampSec : facts.at.timestampSec - options.machineSec
  const clock = age < 3_600n ? 'machine' : 'chain'
  const lines: string[] = [
    '# What you hold to be true before you sign. Compare every line with what you know from elsewhere: a forum post, a',
    '# block explorer, another owner of the Safe. What is wrong here, no check can find.',
    `# Written from the installed package and from block ${facts.at.number} (${facts.at.hash}): ${heard}.`,
  ]
  const say = (indent: number, text: string, comment: string): void => void lines.push(`${' '.repeat(indent)}${text}${' '.repeat(Math.max(1, 64 - indent - text.length))}# ${comment}`)
  say(0, 'version: 1', 'of this format')
  say(0, `protocol: ${protocol.name}`, protocol.title)
  say(0, `network: ${deployment.network}`, 'whose addresses the installed package holds')
  say(0, `chainId: ${deployment.chainId}`, 'signed with: a signature counts on this chain alone')
  say(0, 'safe:', 'who decides')
  say(2, `address: "${lower(recorded.address)}"`, 'signed with: a signature counts for this Safe alone')
  say(2, `codeHash: "${code(recorded.address, 'the Safe')}"`, `of the Safe's proxy; ${heard}`)
  say(2, `version: ${facts.safe.version}`, heard)
  say(2, 'singleton:', 'the contract that the proxy runs')
  say(4, `address: "${facts.safe.singleton}"`, 'slot 0 of the Safe')
  say(4, `codeHash: "${code(facts.safe.singleton, 'the singleton')}"`, 'compare it with the same Safe version on another chain')
  say(2, 'owners:', 'ask each of them which address is theirs')
  for (const owner of facts.safe.owners) say(4, `- "${owner}"`, heard)
  say(2, `threshold: ${facts.safe.threshold}`, `of ${facts.safe.owners.length} owners`)
  if (facts.safe.guard === null) say(2, 'guard: none', 'none is set; { address, codeHash } where there is one')
  else {
    say(2, 'guard:', 'asked by the Safe before and after each transaction')
    say(4, `address: "${facts.safe.guard}"`, heard)
    say(4, `codeHash: "${code(facts.safe.guard, "the Safe's guard")}"`, heard)
  }
  if (facts.safe.modules.length === 0) say(2, 'modules: []', 'none is enabled; a module acts without any signature')
  else {
    say(2, 'modules:', 'each acts for the Safe without any signature')
    for (const module of facts.safe.modules) say(4, `- "${module}"`, heard)
  }
  say(2, `fallbackHandler: ${facts.safe.fallbackHandler === null ? 'none' : `"${facts.safe.fallbackHandler}"`}`, 'answers calls that the Safe does not know')
  say(0, 'multiSendCallOnly:', 'the one contract that may be delegate-called')
  say(2, `address: "${lower(recorded.multiSendCallOnly)}"`, 'from the installed package')
  say(2, `codeHash: "${code(recorded.multiSendCallOnly, 'MultiSendCallOnly')}"`, heard)
  say(0, 'precondition:', 'the first call of each batch: reverts what has drifted or expired')
  say(2, `address: "${GUARD_ADDRESS}"`, 'the same on every chain: it follows from its code')
  say(2, `codeHash: "${PRECONDITION.codeHash}"`, `of the installed package's; ${heard}`)
  say(0, 'governance:', 'what stands between the Safe and the protocol')
  for (const [key, each] of Object.entries(governance)) say(2, `${key}: ${String(each).startsWith('0x') ? `"${String(each).toLowerCase()}"` : String(each)}`, key === 'kind' ? 'SAFE, TIMELOCK or DELAY' : 'from the installed package')
  say(0, 'contracts:', 'where calls may go; another address of the package blocks signing')
  for (const [key, each] of Object.entries(contractsOf(deployment))) say(2, `${key}: "${each}"`, 'from the installed package')
  say(0, 'policy:', 'what you would sign at all, in the form of a policy file; anything beyond is refused')
  say(2, 'version: 1', "of the policy's form")
  say(2, `network: ${deployment.network}`, 'the same as above')
  say(2, 'validity: { default: 3 d, max: 7 d }', 'how long a proposal may stay executable')
  say(2, 'evidenceMaxAge: 6 h', 'how old evidence may be when a proposal is drafted')
  say(2, 'parameters:', 'a parameter that is not here may not be changed')
  for (const spec of protocol.catalog.specs) {
    if (spec.setter === null || spec.irreversible) continue
    const usual = DEFAULT_POLICY.parameters[spec.name]
    const refs = protocol.catalog.refs(deployment).filter((ref) => ref.name === spec.name)
    const words = (raw: bigint): string => (refs[0] === undefined ? raw.toString() : valueWords(target, spec, refs[0].subject, raw))
    const now = refs.flatMap((ref) => {
      const value = facts.values[keyOf({ parameter: ref.name, subject: ref.subject })]
      return value === null || value === undefined ? [] : [`${spec.scope === 'PROTOCOL' ? '' : `${labelOf(deployment, spec.scope, ref.subject)} `}${valueWords(target, spec, ref.subject, value)}`]
    })
    const [min, max] = [BigInt(usual?.min ?? spec.bounds.min), BigInt(usual?.max ?? spec.bounds.max)]
    say(4, `${spec.name}:`, `${spec.title}; now ${now.length === 0 ? 'unknown' : now.join(', ')}`)
    // A limit in tokens would have to name the collateral whose tokens they are.
    if (spec.unit.kind !== 'COLLATERAL_TOKEN') {
      say(6, `min: raw ${min}`, words(min))
      say(6, `max: raw ${max}`, words(max))
    }
    // A switch and an address have no size of step.
    if (spec.unit.kind !== 'BOOLEAN' && spec.unit.kind !== 'ADDRESS') say(6, `step: { relative: ${usual === undefined ? 50 : Math.round(Math.max(usual.tightenRel, usual.loosenRel) * 100)} % }`, 'of the old value, at a time')
  }
  say(2, 'invariants:', 'sums over coupled parameters, after every single call')
  for (const each of firstInvariants(protocol)) {
    say(4, `- name: ${each.name}`, 'for people')
    say(6, 'sum:', 'factor × value, added up')
    for (const [parameter, factor] of Object.entries(each.sum)) say(8, `${parameter}: ${factor}`, protocol.catalog.find(parameter).title)
    say(6, `atMost: ${each.atMost}`, 'more than this is refused')
  }
  say(0, 'maxQueuedAhead: 10', "transactions that may stand before it in the Safe's order")
  say(0, 'readiness:', 'when the answer may be READY')
  say(2, 'agreeingRpcs: 0', '2: only when two RPCs agree; 0: without a chain too, and says so')
  say(2, `clock: ${clock}`, clock === 'machine' ? 'deadlines are held against this machine too' : `chain time is ${durationWords(age)} from this machine's: only the chain's counts`)
  say(0, 'rpcUrls: []', 'asked each time, beside those of --rpc-url')
  const text = `${lines.join('\n')}\n`
  // What it writes, it can read.
  trustedTarget(parseTrust(text))
  return text
}

/** Couplings that no contract holds. */
function firstInvariants(protocol: Protocol): readonly { name: string; sum: Readonly<Record<string, number>>; atMost: string }[] {
  const known = new Set(protocol.catalog.specs.map((spec) => spec.name))
  return [
    { name: 'the liquidation penalty stays below the maintenance margin', sum: { liquidationPenaltyRatio: 1, mmRatio: -1 }, atMost: '0' },
    { name: 'the maintenance margin stays below the initial margin', sum: { mmRatio: 1, imRatio: -1 }, atMost: '0' },
    { name: 'collateral ratio and liquidation discount leave room for each other', sum: { collateralRatio: 1, discountRatio: 1 }, atMost: '100 %' },
    { name: 'the maintenance margin with its buffer stays below all of the position', sum: { mmRatio: 1, mmRatioBuffer: 1 }, atMost: '100 %' },
  ].filter((each) => Object.keys(each.sum).every((parameter) => known.has(parameter)))
}
