/** A signer's own work: nothing but the proposal's file, the trust file and a key; no server, and no network where it says so. */
import { writeFile } from 'node:fs/promises'
import { BadInputError, BulwarkError } from '../../core/errors.ts'
import { cancellation as cancellationOf, rejection, verify } from '../../proposals/build.ts'
import type { Signable } from '../../proposals/build.ts'
import { executableOf } from '../../proposals/execute.ts'
import { parseReview } from '../../proposals/review.ts'
import { hashesOf, safeTxToJson } from '../../proposals/safe.ts'
import { checkSignature, serializeSignature, signWithKey } from '../../proposals/sign.ts'
import type { SignatureFile } from '../../proposals/sign.ts'
import type { SignatureKind } from '../../proposals/store.ts'
import { parseTrust, trustedTarget } from '../../proposals/trust.ts'
import type { Trust } from '../../proposals/trust.ts'
import { verdictText } from '../../proposals/verify.ts'
import type { Verdict } from '../../proposals/verify.ts'
import { changeWords } from '../../proposals/words.ts'
import { printJson } from '../analysis/io.ts'
import type { Flags, Given, Io } from '../analysis/io.ts'
import { renderFacts } from '../analysis/table.ts'
import { CHECK_OPTIONS, textOf, verdictOn } from '../review.ts'
import type { CheckValues } from '../review.ts'
import { KEY_FLAGS, neededKey, typedAt } from './keys.ts'

/** The proposal is not as the signer's trust file wants it: nothing was signed or sent. */
export class NotReadyError extends BulwarkError {
  constructor(verdict: Verdict, what: string) {
    super(`${verdict.headline} (${[...new Set(verdict.findings.map((each) => each.rule))].join(', ')}); ${what}`, { code: 'NOT_READY', facts: { rules: verdict.findings.map((each) => each.rule) } })
  }
}

const ABOUT: Readonly<Record<keyof typeof CHECK_OPTIONS, readonly [value: string | null, about: string]>> = {
  trust: ['FILE', "the signer's own trust file (npm run bulwark -- trust init)"],
  'rpc-url': ['URL', 'JSON-RPC of the chain, beside those of the trust file'],
  offline: [null, 'ask no chain, and say so'],
  expect: ['FILE', 'a file of desired values that the proposal must come to'],
  digest: ['SHA256', "the file's digest, as another owner tells it"],
  hash: ['0x…', 'the safeTxHash, as another owner tells it'],
  confirm: ['NAME', 'a change that cannot be undone, by its name'],
  json: [null, 'JSON on stdout, and nothing else'],
}

/** Those of `verify`, but for `--json`, which every command here has. */
export const CHECK_FLAGS: Flags = Object.fromEntries(
  (Object.keys(CHECK_OPTIONS) as (keyof typeof CHECK_OPTIONS)[]).filter((name) => name !== 'json').map((name) => {
    const [value, about] = ABOUT[name]
    return [name, { ...CHECK_OPTIONS[name], ...(value === null ? {} : { value }), about }]
  }),
)

export const checkValues = (given: Given): CheckValues => ({
  ...Object.fromEntries((['trust', 'expect', 'digest', 'hash'] as const).map((name) => [name, given.text(name)])),
  ...(given.texts('rpc-url').length === 0 ? {} : { 'rpc-url': given.texts('rpc-url') }),
  confirm: given.texts('confirm'),
  offline: given.on('offline'),
})

export async function trustOf(given: Given): Promise<Trust> {
  const path = given.text('trust')
  if (path === undefined) throw new BadInputError('Found no --trust, needed is your own trust file; make one with "npm run bulwark -- trust init"')
  return parseTrust(await textOf(path, 'the trust file'))
}

export const SIGN_FLAGS: Flags = {
  ...CHECK_FLAGS,
  ...KEY_FLAGS,
  'yes-hash': { type: 'string', value: '0x…', about: 'the safeTxHash that is to be signed, in place of the question' },
  out: { type: 'string', value: 'FILE', about: 'where the signature goes (default: stdout)' },
}

/** `sign`: verifies, shows, asks, signs. Throws NotReadyError. */
export async function sign(given: Given, io: Io): Promise<void> {
  const text = await textOf(oneOf(given, 'a proposal.json'), 'the proposal')
  const trust = await trustOf(given)
  const verdict = await verdictOn(text, trust, checkValues(given))
  io.err(`${verdictText(verdict)}\n`)
  if (!verdict.ready || verdict.hashes === null) throw new NotReadyError(verdict, 'nothing was signed')
  if (verdict.sources.length === 0 && !given.on('offline')) throw new BadInputError('Found no RPC to ask, needed is one in --rpc-url or in the trust file, or --offline; say which')
  const file = parseReview(text)
  const { safeTx } = executableOf(trustedTarget(trust).target, file, 'AWAITING_SIGNATURES')
  // The very bytes that are signed, hashed once more.
  const { safeTxHash } = hashesOf({ chainId: trust.chainId, safe: trust.safe.address }, safeTx)
  if (safeTxHash !== verdict.hashes.safeTxHash) throw new BulwarkError(`Found safeTxHash ${safeTxHash} where ${verdict.hashes.safeTxHash} was verified; nothing was signed, report it`, { code: 'TAMPERED' })
  await signed('CHANGE', { safeTx, hashes: verdict.hashes }, trust, given, io)
}

export const CANCEL_CHECK_FLAGS: Flags = {
  trust: SIGN_FLAGS['trust']!,
  'timelock-nonce': { type: 'string', value: 'N', about: 'take it out of the timelock, by a transaction with this nonce of the Safe, in place of a rejection at its own' },
}

export const CANCEL_SIGN_FLAGS: Flags = { ...CANCEL_CHECK_FLAGS, ...KEY_FLAGS, 'yes-hash': SIGN_FLAGS['yes-hash']!, out: SIGN_FLAGS['out']! }

/**
 * The transaction that keeps a proposal from happening, derived from its file: the empty one at its nonce, or the one that takes it
 * out of the timelock, and its facts for people. The file must be what its intent derives to; it need not be READY.
 */
async function cancelling(given: Given): Promise<{ readonly trust: Trust; readonly cancelled: ReturnType<typeof cancellationIn>; readonly facts: readonly (readonly [string, string])[] }> {
  const file = parseReview(await textOf(oneOf(given, 'a proposal.json'), 'the proposal'))
  const trust = await trustOf(given)
  const { target } = trustedTarget(trust)
  const cancelled = cancellationIn(target, executableOf(target, file, 'CANCELLING'), given)
  const { kind, safeTx, hashes } = cancelled
  return {
    trust,
    cancelled,
    facts: [
      ['Keeps from happening', `${file.batch.hashes.safeTxHash} (nonce ${file.intent.nonce})`],
      ...file.intent.changes.map((each): readonly [string, string] => ['', changeWords(target, { ...each, from: BigInt(each.from), to: BigInt(each.to) }).sentence]),
      ['By', kind === 'REJECTION' ? `the empty transaction of the Safe to itself at nonce ${safeTx.nonce}: nothing else at this nonce can be executed then` : `the Safe's transaction at nonce ${safeTx.nonce} that cancels it at the timelock ${safeTx.to}`],
      ['Domain hash', hashes.domainHash],
      ['Message hash', hashes.messageHash],
      ['safeTxHash', hashes.safeTxHash],
    ],
  }
}

/** `cancel-check`: shows what `cancel-sign` would sign, and signs nothing. Asks no chain: whether owners and nonce still are those, it does not say. */
export async function cancelCheck(given: Given, io: Io): Promise<void> {
  const { cancelled: { kind, safeTx, hashes }, facts } = await cancelling(given)
  if (given.on('json')) return printJson(io, { kind, safeTx: safeTxToJson(safeTx), ...hashes })
  io.out(`${renderFacts(facts, io.width)}Derived from the file alone; no chain was asked, and nothing was signed. Compare the three hashes with your device's own screen.\n`)
}

/** `cancel-sign`: shows the same, asks, signs. */
export async function cancelSign(given: Given, io: Io): Promise<void> {
  const { trust, cancelled, facts } = await cancelling(given)
  io.err(renderFacts(facts, io.width))
  await signed('CANCELLATION', cancelled, trust, given, io)
}

/** What cancels a proposal. Throws TamperedError where the file is not what its intent derives to. */
export function cancellationIn(target: ReturnType<typeof trustedTarget>['target'], proposal: ReturnType<typeof executableOf>, given: Given): Signable & { readonly kind: 'REJECTION' | 'TIMELOCK' } {
  const { queued } = verify(target, proposal)
  const nonce = given.text('timelock-nonce')
  if (nonce === undefined) return { kind: 'REJECTION', ...rejection(target.deployment, BigInt(proposal.nonce)) }
  if (!/^\d{1,15}$/.test(nonce)) throw new BadInputError(`Found --timelock-nonce "${nonce.slice(0, 40)}", allowed is a whole number; take the one that the proposal's cancellation has`)
  if (queued === null) throw new BadInputError('Found --timelock-nonce for a proposal that no timelock holds, allowed is a rejection at its own nonce; leave it out')
  return { kind: 'TIMELOCK', ...cancellationOf(target.deployment, queued, BigInt(nonce)) }
}

async function signed(kind: SignatureKind, { safeTx, hashes }: Signable, trust: Trust, given: Given, io: Io): Promise<void> {
  const { safeTxHash } = hashes
  await agreed(safeTxHash, given)
  const { key, account } = await neededKey(given, trust.chainId, 'to sign with')
  const made = await signWithKey(key, { chainId: trust.chainId, safe: trust.safe.address }, safeTx)
  const checked = await checkSignature({ safeTxHash, owners: trust.safe.owners, signed: [], ...made })
  const file: SignatureFile = { format: 'bulwark-signature', version: 1, kind, chainId: trust.chainId, safe: trust.safe.address, nonce: String(safeTx.nonce), safeTxHash, ...checked }
  const out = given.text('out')
  if (out === undefined) return io.out(serializeSignature(file))
  await writeFile(out, serializeSignature(file))
  io.out(given.on('json') ? serializeSignature(file) : `${account.address} signed ${safeTxHash}; wrote ${out}: send it to whoever collects the signatures\n`)
}

const TYPED = 8

/** A person compares the hash with the signing device or another owner, and types its end. Throws BadInputError. */
async function agreed(safeTxHash: string, given: Given): Promise<void> {
  const told = given.text('yes-hash')
  if (told !== undefined) {
    if (told.toLowerCase() === safeTxHash) return
    throw new BadInputError(`Found --yes-hash ${told.slice(0, 70)}, this transaction's safeTxHash is ${safeTxHash}; nothing was signed, compare the files`)
  }
  const typed = await typedAt(`To sign, type the last ${TYPED} characters of the safeTxHash that you compared: `)
  if (typed === null) throw new BadInputError('Found no terminal to ask at, needed is --yes-hash with the safeTxHash that you compared; give it')
  if (typed.trim().toLowerCase() !== safeTxHash.slice(-TYPED)) throw new BadInputError(`Found "${typed.trim().slice(0, 20)}", the safeTxHash ends with other characters; nothing was signed`)
}

export function oneOf(given: Given, what: string): string {
  const [one, ...more] = given.rest
  if (one === undefined || more.length > 0) throw new BadInputError(`Found ${given.rest.length === 0 ? 'nothing' : `${given.rest.length} things`}, needed is ${what}; see --help`)
  return one
}
