/**
 * Calldata → what it does, read strictly: every byte has to be one that our own encoding would have written, so nothing can
 * hide between what one decoder reads and another skips. The opposite direction of `build`, in other lines of code. Pure.
 */
import { decodeFunctionData, encodeFunctionData, parseAbi } from 'viem'
import type { Abi } from 'viem'
import type { Address, Call, Hex, ParameterRef } from '../protocols/adapter.ts'
import { labelOf } from './draft.ts'
import type { Target } from './draft.ts'
import { GUARD_ABI } from './guard.ts'
import { TIMELOCK_ABI } from './paths.ts'
import { lower } from './safe.ts'
import type { SafeTx } from './safe.ts'
import { durationWords, nameOfAddress, timeWords, valueWords } from './words.ts'

const MULTI_SEND_ABI = parseAbi(['function multiSend(bytes transactions) payable'])

export type PackedCall = Call & { /** 0 is a call, 1 a delegatecall. */ readonly operation: number }

/** One thing that a transaction does. `depth`: how many calls it is wrapped in. `call`: its very bytes. */
export type Deed = { readonly depth: number; readonly call: Call } & (
  | { readonly kind: 'DELEGATECALL'; readonly to: Address }
  | { readonly kind: 'PRECONDITION'; readonly expectations: readonly { readonly target: Address; readonly callData: Hex; readonly word: bigint; readonly expected: Hex }[]; readonly deadlineSec: bigint }
  | { readonly kind: 'SCHEDULE'; readonly timelock: Address; readonly delaySec: bigint; readonly predecessor: Hex; readonly salt: Hex }
  | { readonly kind: 'CHANGE'; readonly to: Address; readonly ref: ParameterRef; readonly value: bigint }
  | { readonly kind: 'UNDECODED'; readonly to: Address; readonly value: bigint; readonly data: Hex; readonly why: string }
)

/** The contracts that are more than a parameter's. */
export type KnownContracts = { readonly multiSendCallOnly: Address; readonly precondition: Address; readonly timelock: Address | null }

/** Everything that a Safe's transaction does, in order. What cannot be read to the last byte is UNDECODED; never throws. */
export function deedsOf(target: Target, known: KnownContracts, tx: Pick<SafeTx, 'to' | 'value' | 'data' | 'operation'>): readonly Deed[] {
  if (tx.operation === 0) return deedsOfCall(target, known, tx, 0)
  if (tx.to !== known.multiSendCallOnly) return [{ kind: 'DELEGATECALL', to: tx.to, depth: 0, call: bytesOf(tx) }]
  if (tx.value !== 0n) return [undecoded(tx, 'it sends ether to itself', 0)]
  const packed = unpackMultiSend(tx.data)
  if (packed === null) return [undecoded(tx, 'it is not a MultiSend batch to the last byte', 0)]
  return packed.flatMap((call): readonly Deed[] => (call.operation === 0 ? deedsOfCall(target, known, call, 1) : [{ kind: 'DELEGATECALL', to: call.to, depth: 1, call: bytesOf(call) }]))
}

function deedsOfCall(target: Target, known: KnownContracts, call: Call, depth: number): readonly Deed[] {
  if (call.value !== 0n) return [undecoded(call, `it sends ${call.value} wei`, depth)]
  if (call.to === known.precondition) {
    const args = exactly<readonly [Extract<Deed, { kind: 'PRECONDITION' }>['expectations'], bigint]>(GUARD_ABI, 'check', call.data)
    if (args === null) return [undecoded(call, 'it is not the precondition to the last byte', depth)]
    const expectations = args[0].map((each) => ({ ...each, target: each.target.toLowerCase() as Address }))
    return [{ kind: 'PRECONDITION', expectations, deadlineSec: args[1], depth, call: bytesOf(call) }]
  }
  if (known.timelock !== null && call.to === known.timelock) {
    const args = exactly<readonly [readonly Address[], readonly bigint[], readonly Hex[], Hex, Hex, bigint]>(TIMELOCK_ABI, 'scheduleBatch', call.data)
    if (args === null || depth > 1) return [undecoded(call, 'it is not a schedule of calls to the last byte', depth)]
    const [targets, values, payloads, predecessor, salt, delaySec] = args
    if (targets.length !== values.length || targets.length !== payloads.length) return [undecoded(call, 'it schedules lists of different lengths', depth)]
    const inner = targets.flatMap((to, i) => deedsOfCall(target, known, { to: to.toLowerCase() as Address, value: values[i]!, data: payloads[i]! }, depth + 1))
    return [{ kind: 'SCHEDULE', timelock: call.to, delaySec, predecessor, salt, depth, call: bytesOf(call) }, ...inner]
  }
  const change = target.catalog.decodeChange(target.deployment, call)
  if (change === null) return [undecoded(call, 'it is no parameter change of the deployed contracts', depth)]
  return [{ kind: 'CHANGE', to: call.to, ref: change.ref, value: change.value, depth, call: bytesOf(call) }]
}

const undecoded = (call: Call, why: string, depth: number): Deed => ({ kind: 'UNDECODED', to: call.to, value: call.value, data: call.data, why, depth, call: bytesOf(call) })

const bytesOf = ({ to, value, data }: Call): Call => ({ to, value, data })

/** Arguments of calldata that encodes back to the very same bytes; null otherwise. */
function exactly<T>(abi: Abi, functionName: string, data: Hex): T | null {
  try {
    const decoded = decodeFunctionData({ abi, data })
    if (decoded.functionName !== functionName) return null
    return encodeFunctionData({ abi, functionName, args: decoded.args as never }) === data ? (decoded.args as T) : null
  } catch {
    return null
  }
}

const HEADER = 1 + 20 + 32 + 32

/** The calls in `multiSend(bytes)` calldata; null unless every byte is accounted for. Operations above 1 are kept as they are. */
export function unpackMultiSend(data: Hex): readonly PackedCall[] | null {
  const args = exactly<readonly [Hex]>(MULTI_SEND_ABI, 'multiSend', data)
  if (args === null) return null
  const bytes = args[0].slice(2)
  const field = (at: number, size: number): string => bytes.slice(at * 2, (at + size) * 2)
  const calls: PackedCall[] = []
  let at = 0
  while (at * 2 < bytes.length) {
    if ((at + HEADER) * 2 > bytes.length) return null
    const length = BigInt(`0x${field(at + 53, 32)}`)
    if (BigInt(at + HEADER) + length > BigInt(bytes.length / 2)) return null
    const size = Number(length)
    calls.push({ operation: Number.parseInt(field(at, 1), 16), to: `0x${field(at + 1, 20)}`, value: BigInt(`0x${field(at + 21, 32)}`), data: `0x${field(at + HEADER, size)}` })
    at += HEADER + size
  }
  return calls.length === 0 ? null : calls
}

/** An argument as the contract takes it; `words` where it means something to people. */
export type ToldArgument = { readonly name: string; readonly type: string; readonly value: string; readonly words: string | null }

export type DeedWords = {
  /** What the deployment calls the contract; null where it knows none there. */
  readonly contract: string | null
  /** `setFeeRatio(address,uint24)`; null where the bytes cannot be read. */
  readonly function: string | null
  readonly args: readonly ToldArgument[]
  readonly does: string
}

/** A deed in words. `refs`: the parameters that a precondition may name beside those of the catalog, such as an account's. */
export function deedWords(target: Target, deed: Deed, refs: readonly ParameterRef[] = []): DeedWords {
  const { catalog, deployment } = target
  const contract = nameOfAddress(target, deed.call.to)
  switch (deed.kind) {
    case 'PRECONDITION': {
      const held = deed.expectations.length === 1 ? 'one value is' : `${deed.expectations.length} values are`
      const args = deed.expectations.map((each, i): ToldArgument => ({ name: `expectations[${i}]`, type: '(address,bytes,uint256,bytes32)', value: `(${each.target}, ${each.callData}, ${each.word}, ${each.expected})`, words: expectationWords(target, each, [...refs, ...catalog.refs(deployment)]) }))
      return {
        contract: 'precondition',
        function: 'check((address,bytes,uint256,bytes32)[],uint256)',
        args: [...args, { name: 'deadline', type: 'uint256', value: deed.deadlineSec.toString(), words: timeWords(deed.deadlineSec) }],
        does: `reverts everything unless ${held} as before, or after ${timeWords(deed.deadlineSec)}`,
      }
    }
    case 'SCHEDULE':
      return {
        contract: 'timelock',
        function: 'scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)',
        args: [
          { name: 'predecessor', type: 'bytes32', value: deed.predecessor, words: null },
          { name: 'salt', type: 'bytes32', value: deed.salt, words: null },
          { name: 'delay', type: 'uint256', value: deed.delaySec.toString(), words: durationWords(deed.delaySec) },
        ],
        does: `schedules the calls below, ${durationWords(deed.delaySec)} from then`,
      }
    case 'CHANGE': {
      const spec = catalog.find(deed.ref.name)
      const [of, to] = [labelOf(deployment, spec.scope, deed.ref.subject), valueWords(target, spec, deed.ref.subject, deed.value)]
      const called = catalog.functionOf(deployment, deed.call)
      return {
        contract,
        function: called?.signature ?? null,
        args: (called?.args ?? []).map(({ role, ...each }) => ({ ...each, words: role === 'SUBJECT' ? of : to })),
        does: `sets ${spec.title} of ${of} to ${to} (raw ${deed.value})`,
      }
    }
    case 'DELEGATECALL':
      return { contract, function: null, args: [], does: 'IS DELEGATE-CALLED' }
    case 'UNDECODED':
      return { contract, function: null, args: [], does: `CANNOT BE READ: ${deed.why}` }
  }
}

/** `Fee ratio of vETH is 0.10 % (raw 1000)`; null where it is no parameter's value. */
function expectationWords(target: Target, found: Extract<Deed, { kind: 'PRECONDITION' }>['expectations'][number], refs: readonly ParameterRef[]): string | null {
  const { catalog, deployment } = target
  const ref = refs.find((each) => {
    const { target: at, callData, word } = catalog.expectation(deployment, each, 0n)
    return lower(at) === found.target && callData === found.callData && word === found.word
  })
  if (ref === undefined) return null
  const [spec, raw] = [catalog.find(ref.name), catalog.valueOfWord(ref, found.expected)]
  return `${spec.title} of ${labelOf(deployment, spec.scope, ref.subject)} is ${valueWords(target, spec, ref.subject, raw)} (raw ${raw})`
}
