/**
 * `proposal.json`: everything that a signer needs of one proposal, in one file that a person can send.
 *
 * The file is a claim, and `verify` treats it as one: intent (parameter, subject, from, to), deadline and nonce are what
 * everything else is derived from again; calldata, hashes, rollback and digests are there so that a difference shows.
 * Pure: no network, no clock.
 */
import { z } from 'zod'
import { canonicalJson, digestOf } from '../api/recommendations/canonical.ts'
import type { Json } from '../api/recommendations/canonical.ts'
import { BadInputError } from '../core/errors.ts'
import type { Address, Call, Governance, Hex } from '../protocols/adapter.ts'
import { lower, safeTxToJson } from './safe.ts'
import type { SafeTx, SafeTxHashes } from './safe.ts'

export const REVIEW_FORMAT = 'bulwark-proposal'
/** Raised when a field is added, removed or read otherwise. A reader knows one version, and refuses every other. */
export const REVIEW_VERSION = 1

/** More than a person can be shown is not a proposal. Bytes of the whole file. */
export const REVIEW_BYTES_MAX = 4 * 1024 * 1024
const CHANGES_MAX = 50
const SIGNATURES_MAX = 100
const EVIDENCE_MAX = 200
const DEPTH_MAX = 24

const UINT256_MAX = 2n ** 256n - 1n

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`), `is not ${bytes} bytes of lower-case hex`) as unknown as z.ZodType<Hex>
const data = z.string().max(400_002).regex(/^0x(?:[0-9a-f]{2})*$/, 'is not lower-case hex of whole bytes') as unknown as z.ZodType<Hex>
export const addressJson = hex(20) as z.ZodType<Address>
/** One spelling per number: decimal, no sign, no leading zero. */
export const uintJson = z
  .string()
  .max(78)
  .regex(/^(?:0|[1-9][0-9]*)$/, 'is not an unsigned integer in decimal digits')
  // Asked of texts of another form, too.
  .refine((text) => !/^[0-9]{1,78}$/.test(text) || BigInt(text) <= UINT256_MAX, 'does not fit 256 bits')
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in lower-case hex')
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, 'is not a name of letters, digits, dot, dash and underscore')
/** One line that shows as what it is: no control, no invisible and no right-to-left override characters. */
const line = (max: number) => z.string().min(1).max(max).regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]*$/u, 'holds a control or an invisible character')
const sec = z.number().int().min(0).max(2 ** 40)

const scope = z.enum(['PROTOCOL', 'MARKET', 'COLLATERAL', 'ACCOUNT'])
const change = z.object({ parameter: name, scope, subject: addressJson, from: uintJson, to: uintJson }).strict()
const plan = { changes: z.array(change).min(1).max(CHANGES_MAX), validUntilSec: uintJson, nonce: uintJson }
const call = z.object({ to: addressJson, value: uintJson, data }).strict()
const safeTx = z
  .object({
    to: addressJson, value: uintJson, data, operation: z.union([z.literal(0), z.literal(1)]), safeTxGas: uintJson, baseGas: uintJson, gasPrice: uintJson, gasToken: addressJson, refundReceiver: addressJson, nonce: uintJson,
  })
  .strict()
const hashes = z.object({ domainHash: hex(32), messageHash: hex(32), safeTxHash: hex(32) }).strict()
export const governanceJson = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('SAFE') }).strict(),
  z.object({ kind: z.literal('TIMELOCK'), address: addressJson, minDelaySec: sec }).strict(),
])

/** Any JSON of bounded depth: what a part of ours computed, held by its digest. */
const json: z.ZodType<Json> = z.custom<Json>((value) => isJson(value, DEPTH_MAX), 'is not plain JSON of bounded depth')
const jsonObject = json.refine((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is not an object')
/** `digest`: SHA-256 of the result's canonical JSON. */
const digested = z.object({ digest: sha256, result: jsonObject }).strict()

const calls = z.array(call).max(CHANGES_MAX + 1)
/** How a delayed path is executed and cancelled later. */
const queued = z.object({ kind: z.literal('TIMELOCK'), address: addressJson, id: hex(32), calls, predecessor: hex(32), salt: hex(32), delaySec: uintJson, queueUntilSec: uintJson, executeUntilSec: uintJson }).strict()
/** What is derived from a plan. `queued`: null where the Safe acts at once. */
const batch = z.object({ calls, safeTx, hashes, queued: queued.nullable() }).strict()

const reviewSchema = z
  .object({
    format: z.literal(REVIEW_FORMAT),
    version: z.literal(REVIEW_VERSION),
    protocol: name,
    network: name,
    chainId: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
    safe: addressJson,
    governance: governanceJson,
    /** What is wanted. `title` is the drafter's own words and decides nothing. */
    intent: z.object({ title: line(200), ...plan }).strict(),
    /** The indexed block that current values and evidence stand on. */
    block: z.object({ number: uintJson, hash: hex(32), timestampSec: uintJson }).strict(),
    evidence: z.array(z.object({ recommendation: line(200), digest: sha256 }).strict()).max(EVIDENCE_MAX),
    batch,
    /** The way back, built beside it; null where the chain has none. */
    rollback: z.object({ intent: z.object(plan).strict(), batch }).strict().nullable(),
    simulation: digested.nullable(),
    impact: digested.nullable(),
    /** SHA-256 of the canonical JSON of all the above: what people compare over another channel. */
    digest: sha256,
    signatures: z.array(z.object({ signer: addressJson, signature: data }).strict()).max(SIGNATURES_MAX),
  })
  .strict()

export type ReviewFile = z.infer<typeof reviewSchema>
export type ReviewBatch = ReviewFile['batch']
export type ReviewChange = ReviewFile['intent']['changes'][number]

/** A `proposal.json` that cannot be read as one. One sentence part each in `facts.faults`. */
export class ReviewFormatError extends BadInputError {
  constructor(faults: readonly string[]) {
    super(`Found a proposal file in which ${faults.join('; ')}; allowed is a file as "bulwark proposal export" writes it, get it again from its drafter`, { faults })
  }
}

type PlanLike = { readonly changes: readonly { readonly parameter: string; readonly scope: ReviewChange['scope']; readonly subject: string; readonly from: bigint; readonly to: bigint }[]; readonly validUntilSec: bigint; readonly nonce: bigint }
type BuiltLike = { readonly calls: readonly Call[]; readonly safeTx: SafeTx; readonly hashes: SafeTxHashes; readonly queued: unknown }

/** What a file is made of, in the types of the parts that make it. */
export type ReviewParts = {
  readonly protocol: string
  readonly network: string
  readonly chainId: number
  readonly safe: Address
  readonly governance: Governance
  readonly title: string
  readonly plan: PlanLike
  readonly built: BuiltLike
  readonly rollback: { readonly plan: PlanLike; readonly built: BuiltLike } | null
  readonly block: { readonly number: bigint; readonly hash: Hex; readonly timestamp: bigint }
  readonly evidence: readonly { readonly recommendation: string; readonly digest: string }[]
  /** As simulate and impact give them; integers may be bigint. */
  readonly simulation: unknown
  readonly impact: unknown
  readonly signatures: readonly { readonly signer: string; readonly signature: string }[]
}

/** The file of a proposal: addresses in lower case, signatures by ascending signer, digests made. Throws ReviewFormatError. */
export function reviewOf(parts: ReviewParts): ReviewFile {
  const unsigned = {
    format: REVIEW_FORMAT,
    version: REVIEW_VERSION,
    protocol: parts.protocol,
    network: parts.network,
    chainId: parts.chainId,
    safe: lower(parts.safe),
    governance: lowered(parts.governance),
    intent: { title: parts.title, ...planJson(parts.plan) },
    block: { number: parts.block.number.toString(), hash: parts.block.hash.toLowerCase(), timestampSec: parts.block.timestamp.toString() },
    evidence: parts.evidence.map(({ recommendation, digest }) => ({ recommendation, digest })),
    batch: batchJson(parts.built),
    rollback: parts.rollback === null ? null : { intent: planJson(parts.rollback.plan), batch: batchJson(parts.rollback.built) },
    simulation: digestedOf(parts.simulation),
    impact: digestedOf(parts.impact),
  }
  const signatures = parts.signatures.map(({ signer, signature }) => ({ signer: signer.toLowerCase(), signature: signature.toLowerCase() })).toSorted((a, b) => (a.signer < b.signer ? -1 : a.signer > b.signer ? 1 : 0))
  return checked({ ...unsigned, digest: digestOf(unsigned), signatures })
}

export const planJson = (plan: PlanLike) => ({
  changes: plan.changes.map(({ parameter, scope, subject, from, to }) => ({ parameter, scope, subject: subject.toLowerCase(), from: from.toString(), to: to.toString() })),
  validUntilSec: plan.validUntilSec.toString(),
  nonce: plan.nonce.toString(),
})

/** What `build` gives, as the file has it. */
export const batchJson = (built: BuiltLike): ReviewBatch =>
  ({
    calls: built.calls.map((each) => ({ to: lower(each.to), value: each.value.toString(), data: each.data.toLowerCase() })),
    safeTx: lowered(safeTxToJson(built.safeTx)),
    hashes: { domainHash: built.hashes.domainHash, messageHash: built.hashes.messageHash, safeTxHash: built.hashes.safeTxHash },
    queued: built.queued === null || built.queued === undefined ? null : lowered(built.queued),
  }) as ReviewBatch

const digestedOf = (result: unknown) => (result === null || result === undefined ? null : { digest: digestOf(result), result: JSON.parse(canonicalJson(result)) as Json })

/** Hex and addresses in lower case, bigints as decimal strings: the one spelling of the file. */
function lowered(value: unknown): Json {
  return JSON.parse(canonicalJson(value), (_, each: unknown) => (typeof each === 'string' && /^0x[0-9a-fA-F]*$/.test(each) ? each.toLowerCase() : each)) as Json
}

/** The digest that the file should carry: over everything but itself and the signatures. */
export function reviewDigest(file: ReviewFile): string {
  const { digest: _, signatures: __, ...unsigned } = file
  return digestOf(unsigned)
}

/** The one text of a proposal's file: keys sorted, two spaces of indent, a line feed at the end. Same proposal, same bytes. */
export function serializeReview(file: ReviewFile): string {
  return `${JSON.stringify(JSON.parse(canonicalJson(file)), null, 2)}\n`
}

/**
 * A file's text → the proposal. White space and the order of keys decide nothing; a key that is unknown or stands twice
 * is refused, because another reader could take the other one. Throws ReviewFormatError with all faults.
 */
export function parseReview(text: string): ReviewFile {
  const bytes = Buffer.byteLength(text, 'utf8')
  if (bytes > REVIEW_BYTES_MAX) throw new ReviewFormatError([`the file has ${bytes} bytes, allowed are up to ${REVIEW_BYTES_MAX}`])
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ReviewFormatError(['the file is not JSON'])
  }
  const twice = duplicateKey(text)
  if (twice !== null) throw new ReviewFormatError([plain(`the key ${twice} stands twice in one object`)])
  return checked(value)
}

function checked(value: unknown): ReviewFile {
  const parsed = reviewSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new ReviewFormatError(parsed.error.issues.slice(0, 20).map((issue) => plain(`${issue.path.join('.') || 'the file'} ${issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase())}`)))
}

/** Text that may hold a piece of somebody's file, safe for a terminal: no control, invisible or right-to-left character, and no end. */
export const plain = (text: string): string => (text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, '\uFFFD')

function isJson(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (depth === 0 || typeof value !== 'object') return false
  return Array.isArray(value) ? value.every((each) => isJson(each, depth - 1)) : Object.values(value).every((each) => isJson(each, depth - 1))
}

/** The first key that one object of a valid JSON text holds twice, quoted; null where there is none. JSON.parse keeps the last and says nothing. */
function duplicateKey(text: string): string | null {
  // Every token that matters: strings, and the signs that open, close and divide.
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g
  const open: (Set<string> | null)[] = []
  let previous: string | null = null
  for (const [token] of text.matchAll(tokens)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const keys = open.at(-1)
      // Escapes can spell one key in several ways.
      const key = JSON.parse(previous!) as string
      if (keys?.has(key) === true) return JSON.stringify(key)
      keys?.add(key)
    }
    previous = token
  }
  return null
}
