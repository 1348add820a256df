/** What anybody may send once enough owners have signed: from a proposal's file alone, everything checked once more. */
import { BaseError, createPublicClient, http } from 'viem'
import { BadInputError, UnavailableError } from '../../core/errors.ts'
import type { Target } from '../../proposals/draft.ts'
import { execute, executeCancellation, executeQueued, executableOf } from '../../proposals/execute.ts'
import type { Executable, Execution } from '../../proposals/execute.ts'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import type { ReviewFile } from '../../proposals/review.ts'
import { lower, safeTxFromJson, hashesOf } from '../../proposals/safe.ts'
import { checkSignature, parseSignature } from '../../proposals/sign.ts'
import type { OwnerSignature, SignatureFile } from '../../proposals/sign.ts'
import type { Cancellation } from '../../proposals/store.ts'
import { trustedTarget } from '../../proposals/trust.ts'
import { verdictText } from '../../proposals/verify.ts'
import { time } from '../analysis/format.ts'
import { printJson } from '../analysis/io.ts'
import type { Flags, Given, Io } from '../analysis/io.ts'
import { loadEnvFile } from '../options.ts'
import { checkedUrl, textOf, verdictOn } from '../review.ts'
import type { Desk } from './desk.ts'
import { targetOf } from './desk.ts'
import { KEY_FLAGS, neededKey } from './keys.ts'
import { CANCEL_SIGN_FLAGS, CHECK_FLAGS, cancellationIn, checkValues, NotReadyError, oneOf, trustOf } from './sign.ts'
import type { ProposalView } from './view.ts'

const SIGNATURE_FLAG: Flags = { signature: { type: 'string', multiple: true, value: 'FILE', about: 'a signature that the proposal does not hold yet' } }

export const EXECUTE_FLAGS: Flags = {
  ...CHECK_FLAGS,
  ...KEY_FLAGS,
  ...SIGNATURE_FLAG,
  cancellation: { type: 'boolean', about: 'send what keeps the proposal from happening, in its place' },
  'timelock-nonce': CANCEL_SIGN_FLAGS['timelock-nonce']!,
}
export const EXECUTE_QUEUED_FLAGS: Flags = { trust: CHECK_FLAGS['trust']!, 'rpc-url': CHECK_FLAGS['rpc-url']!, ...KEY_FLAGS }

/** A path as people write one; an id of a proposal has neither. */
export const isFile = (operand: string): boolean => /[./\\]/.test(operand)

type Sendable = { readonly text: string; readonly file: ReviewFile; readonly view: ProposalView | null }

/** The proposal's file, read from disk or asked of the desk. */
async function sendable(operand: string, desk: () => Promise<Desk>): Promise<Sendable> {
  if (isFile(operand)) {
    const text = await textOf(operand, 'the proposal')
    return { text, file: parseReview(text), view: null }
  }
  const open = await desk()
  const [file, view] = await Promise.all([open.reviewFile(operand), open.get(operand)])
  const text = serializeReview(file)
  return { text, file: parseReview(text), view }
}

/** The deployment that a file is for: as the signer trusts it, or as the installed package records it. */
export async function targetFor(file: Pick<ReviewFile, 'network' | 'protocol'>, given: Given): Promise<Target> {
  return given.text('trust') === undefined ? targetOf(file.network, file.protocol) : trustedTarget(await trustOf(given)).target
}

/** A proposal's signatures and those of other files, each checked: by an owner, over these very bytes, once. Throws SignatureRefusedError, BadInputError. */
export async function joined(target: Target, kind: SignatureFile['kind'], safeTxHash: `0x${string}`, have: readonly OwnerSignature[], files: readonly SignatureFile[]): Promise<readonly OwnerSignature[]> {
  const owners = target.deployment.safe?.owners ?? []
  const all: OwnerSignature[] = []
  for (const each of have) all.push(await checkSignature({ safeTxHash, owners, signed: all.map(({ signer }) => signer), ...each }))
  for (const each of files) {
    if (each.kind !== kind) throw new BadInputError(`Found a signature by ${each.signer} of a ${each.kind.toLowerCase()}, needed is one of a ${kind.toLowerCase()}; leave it out`)
    // The same signature again, from a file that was passed on twice, is no fault.
    if (all.some(({ signer, signature }) => signer === each.signer && signature === each.signature)) continue
    all.push(await checkSignature({ safeTxHash, owners, signed: all.map(({ signer }) => signer), signer: each.signer, signature: each.signature }))
  }
  return all
}

export const signatureFiles = (paths: readonly string[]): Promise<readonly SignatureFile[]> => Promise.all(paths.map(async (path) => parseSignature(await textOf(path, 'a signature'))))

/** `execute`: by any account, which pays the gas. Where a timelock stands between, this queues the changes there. */
export async function send(given: Given, desk: () => Promise<Desk>, io: Io): Promise<void> {
  const { text, file, view } = await sendable(oneOf(given, "a proposal's id or its file"), desk)
  const target = await targetFor(file, given)
  const rpcUrl = rpcOf(given)
  const signatures = await signatureFiles(given.texts('signature'))
  if (given.on('cancellation')) {
    const derived = executableOf(target, file, 'CANCELLING')
    const told = view?.cancellation ?? null
    const safeTx = told === null ? cancellationIn(target, derived, given) : { kind: told.kind as Cancellation['kind'], safeTx: safeTxFromJson(told.safeTx), hashes: hashesOf({ chainId: file.chainId, safe: file.safe }, safeTxFromJson(told.safeTx)) }
    const all = await joined(target, 'CANCELLATION', safeTx.hashes.safeTxHash, told?.signatures ?? [], signatures)
    return sent(given, io, target, rpcUrl, { ...derived, cancellation: { ...safeTx, signatures: all } }, executeCancellation)
  }
  if (given.text('trust') !== undefined) {
    const trust = await trustOf(given)
    const verdict = await verdictOn(text, trust, { ...checkValues(given), 'rpc-url': [rpcUrl, ...given.texts('rpc-url')] })
    io.err(`${verdictText(verdict)}\n`)
    if (!verdict.ready) throw new NotReadyError(verdict, 'nothing was sent')
  }
  const all = await joined(target, 'CHANGE', file.batch.hashes.safeTxHash, file.signatures, signatures)
  await sent(given, io, target, rpcUrl, { ...executableOf(target, file, 'READY'), signatures: all }, execute)
}

/** `execute-queued`: what a timelock holds, once its delay is over, by whoever may. */
export async function sendQueued(given: Given, desk: () => Promise<Desk>, io: Io): Promise<void> {
  const { file } = await sendable(oneOf(given, "a proposal's id or its file"), desk)
  const target = await targetFor(file, given)
  await sent(given, io, target, rpcOf(given), executableOf(target, file, 'QUEUED'), executeQueued)
}

async function sent(given: Given, io: Io, target: Target, rpcUrl: string, proposal: Executable, by: typeof execute): Promise<void> {
  const { account } = await neededKey(given, target.deployment.chainId, 'to send with')
  const client = createPublicClient({ transport: http(rpcUrl), cacheTime: 0 })
  let done: Execution
  try {
    done = await by(target, client, rpcUrl, proposal, account)
  } catch (error) {
    // Without the cause, whose text names the RPC's URL and its key.
    if (error instanceof BaseError) throw new UnavailableError({ part: 'chain', found: error.shortMessage, action: 'check that the chain runs and try again' })
    throw error
  }
  const { txHash, block, timestamp, gasUsed } = done
  if (given.on('json')) printJson(io, { proposal: proposal.id, safeTxHash: proposal.hashes.safeTxHash, sender: lower(account.address), txHash, block: String(block), timestamp: String(timestamp), gasUsed: String(gasUsed) })
  else io.out(`${proposal.id}: transaction ${txHash} in block ${block} of ${time(String(timestamp))}, ${gasUsed} gas\n`)
}

function rpcOf(given: Given): string {
  const [first] = given.texts('rpc-url')
  if (first !== undefined) return checkedUrl(first)
  loadEnvFile()
  const set = process.env['RPC_URL']
  if (set === undefined || set === '') throw new BadInputError('Found no RPC to send by, needed is one in --rpc-url or RPC_URL; give it')
  return checkedUrl(set)
}

