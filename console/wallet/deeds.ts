/**
 * Whether what the page shows of a transaction is what its bytes do: each call is made again from the function and the arguments
 * shown, and each change has to be in one. What a value means in words stays the server's telling. Pure.
 */
import { decodeFunctionData, encodeFunctionData, parseAbi, parseAbiItem } from 'viem'
import type { Abi, Hex } from 'viem'

/** Where the precondition contract stands on every chain that has it: its address follows from its bytes. */
export const PRECONDITION = '0x71509fa44e59d0a7c10971137599506a4e3a9f29'
/** keccak256 of its code at run time. */
export const PRECONDITION_CODE: Hex = '0x5305fe7728e55138d4b8e5266b173ac15ab469add0e4da4726ae4c2080b3eac2'
/** The same of MultiSendCallOnly, the one contract that a Safe is to delegate-call: Safe's own deployments of 1.3.0, 1.4.1 and 1.5.0. */
export const MULTI_SEND_CODES: readonly Hex[] = [
  '0xa9865ac2d9c7a1591619b188c4d88167b50df6cc0c5327fcbd1c8c75f7c066ad',
  '0xecd5bd14a08c5d2122379900b2f272bdf107a7e92423c10dd5fe3254386c9939',
  '0xcdbdcec38d2f1c7d961b0029ff8416b7e86e9974d6f0e9c9580c7d17fcfb6663',
]

const ABI = parseAbi([
  'struct Expectation { address target; bytes callData; uint256 word; bytes32 expected; }',
  'function check(Expectation[] expectations, uint256 deadline) view',
  'function scheduleBatch(address[] targets, uint256[] values, bytes[] payloads, bytes32 predecessor, bytes32 salt, uint256 delay)',
])

export type Deed = { readonly kind: string; readonly depth: number; readonly to: string; readonly value: string; readonly data: string; readonly function: string | null; readonly arguments: readonly { readonly type: string; readonly value: string }[] }
export type Shown = {
  readonly deeds: readonly Deed[]
  readonly changes: readonly { readonly title: string; readonly subjectLabel: string; readonly scope: string; readonly subject: string; readonly fromRaw: string; readonly toRaw: string }[]
  /** Unix seconds. */
  readonly validUntil: string
  readonly governance: { readonly timelock: string | null; readonly delaySec: number }
}

/** Functions without an argument set a value that is theirs alone. */
const FIXED: Readonly<Record<string, bigint>> = { 'pause()': 1n, 'unpause()': 0n }

/** What a change may call: everything else moves, hands over or grants something. */
const SETTER = /^(set[A-Z]\w*|pause|unpause)\(/

const same = (a: unknown, b: unknown): boolean => String(a).toLowerCase() === String(b).toLowerCase()

/** Everything in which words and bytes part, one sentence each. */
export function wrongWithDeeds({ deeds, changes, validUntil, governance }: Shown): readonly string[] {
  const { timelock } = governance
  const made = ['PRECONDITION', ...changes.map(() => 'CHANGE')]
  const wanted = timelock === null ? made.map((kind) => `${kind} 1`) : ['PRECONDITION 1', 'SCHEDULE 1', ...made.map((kind) => `${kind} 2`)]
  const found = deeds.map(({ kind, depth }) => `${kind} ${depth}`)
  if (found.join() !== wanted.join()) return [`Found calls that are ${found.join(', ')}, the changes mean ${wanted.join(', ')}; do not sign`]
  const faults: string[] = []
  const settings = deeds.filter(({ kind }) => kind === 'CHANGE')
  for (const deed of deeds) {
    if (deed.value !== '0') faults.push(`Found a call that sends ${deed.value} wei, allowed is none; do not sign`)
    try {
      if (deed.kind === 'PRECONDITION') holdPrecondition(deed, deed.depth === 1 && timelock !== null ? BigInt(validUntil) - BigInt(governance.delaySec) : BigInt(validUntil), changes, faults)
      if (deed.kind === 'SCHEDULE') holdSchedule(deed, deeds.filter(({ depth }) => depth === 2), governance, faults)
    } catch {
      faults.push(`Found a ${deed.kind.toLowerCase()} that cannot be read, allowed is one to the last byte; do not sign`)
    }
  }
  for (const [index, change] of changes.entries()) {
    const wrong = wrongWithChange(settings[index]!, change)
    if (wrong !== null) faults.push(`Found a call that ${wrong}, shown is ${change.title} of ${change.subjectLabel} to raw ${change.toRaw}; do not sign`)
  }
  return faults
}

function holdPrecondition({ to, data }: Deed, deadline: bigint, changes: Shown['changes'], faults: string[]): void {
  if (!same(to, PRECONDITION)) faults.push(`Found a precondition at ${to}, it stands at ${PRECONDITION}; do not sign`)
  const { functionName, args } = exactly(data)
  if (functionName !== 'check') throw new TypeError('not the precondition')
  const [expectations, until] = args
  if (until !== deadline) faults.push(`Found a deadline of ${until} in the bytes, shown is ${deadline}; do not sign`)
  const held = expectations.length === changes.length && changes.every(({ fromRaw }, index) => {
    const [expected, from] = [BigInt(expectations[index]!.expected), BigInt(fromRaw)]
    // A getter may answer whether a value is 0.
    return expected === from || expected === BigInt(from === 0n)
  })
  if (!held) faults.push('Found a precondition that does not hold the values shown as before; do not sign')
}

function holdSchedule({ to, data }: Deed, inner: readonly Deed[], { timelock, delaySec }: Shown['governance'], faults: string[]): void {
  if (!same(to, timelock)) faults.push(`Found a schedule at ${to}, the timelock is ${timelock}; do not sign`)
  const { functionName, args } = exactly(data)
  if (functionName !== 'scheduleBatch') throw new TypeError('not a schedule')
  const [targets, values, payloads, , , delay] = args
  if (delay !== BigInt(delaySec)) faults.push(`Found a delay of ${delay} s in the bytes, shown are ${delaySec} s; do not sign`)
  const agree = targets.length === inner.length && values.length === inner.length && payloads.length === inner.length && inner.every((call, index) => same(call.to, targets[index]) && same(call.value, values[index]) && same(call.data, payloads[index]))
  if (!agree) faults.push('Found scheduled calls that are not those shown; do not sign')
}

/** Decoded, where the bytes are the one encoding of what they decode to. */
function exactly(data: string) {
  const decoded = decodeFunctionData({ abi: ABI, data: data as Hex })
  if (!same(encodeFunctionData({ abi: ABI as Abi, functionName: decoded.functionName, args: decoded.args as never }), data)) throw new TypeError('another encoding')
  return decoded
}

function wrongWithChange(deed: Deed, { scope, subject, toRaw }: Shown['changes'][number]): string | null {
  if (deed.function === null) return 'cannot be read'
  if (!SETTER.test(deed.function)) return `is ${deed.function}, which sets nothing`
  let bytes: Hex
  try {
    const item = parseAbiItem(`function ${deed.function}`)
    bytes = encodeFunctionData({ abi: [item] as Abi, functionName: deed.function.slice(0, deed.function.indexOf('(')), args: deed.arguments.map(({ type, value }) => (type === 'bool' ? value === 'true' : /^u?int/.test(type) ? BigInt(value) : value)) })
  } catch {
    return `is no ${deed.function}`
  }
  if (!same(bytes, deed.data)) return `does not have the bytes of ${deed.function} with the arguments shown`
  if (scope !== 'PROTOCOL' && !same(deed.to, subject) && !same(deed.arguments[0]?.value, subject)) return 'is for something else'
  const last = deed.arguments.at(-1)
  const fixed = FIXED[deed.function]
  const set = last === undefined ? fixed : last.value === 'true' ? 1n : last.value === 'false' ? 0n : BigInt(last.value)
  return set === BigInt(toRaw) ? null : set === undefined ? 'sets nothing that is known' : `sets ${set}`
}
