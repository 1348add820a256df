/** Storage slots and events of a trace by their names: the protocol's own, the Safe's, a timelock's; what has none is named as undecoded. */
import type { Abi } from 'viem'
import { decodeEventLog, encodeAbiParameters, keccak256, numberToHex, parseAbi } from 'viem'
import type { Address, Deployment, Hex } from '../protocols/adapter.ts'
import type { ContractView, StorageEntry, StorageKey, StorageVariable } from '../protocols/onchain.ts'
import { lower } from './safe.ts'

/** One variable that a transaction changed. Values: decimal strings, addresses, `true` and `false`. */
export type VariableChange = { readonly label: string; readonly from: string; readonly to: string; /** The catalog's parameter that it is, or belongs to; null where it is none. */ readonly parameter: { readonly name: string; readonly subject: Address } | null }

/** One slot that a transaction changed. */
export type SlotChange = {
  readonly address: Address
  /** null: no contract that is known. */
  readonly contract: string | null
  readonly slot: Hex
  readonly from: Hex
  readonly to: Hex
  /** What of it is known; empty where nothing is. */
  readonly variables: readonly VariableChange[]
  /** Some of the bits that changed belong to no variable that is known. */
  readonly undecoded: boolean
}

/** A log. `name` null: it is none of the events that are known of this contract, and `raw` is all there is; null otherwise. Long bytes are given by their hash. */
export type EventSeen = { readonly address: Address; readonly contract: string | null; readonly name: string | null; readonly args: Readonly<Record<string, string>>; readonly raw: { readonly topics: readonly Hex[]; readonly data: Hex } | null }

/** What may stand in a mapping's key. */
export type Keys = Readonly<Record<StorageKey, readonly { readonly key: Hex; readonly label: string }[]>>

const WORD_BITS = 256n
const ZERO: Hex = `0x${'00'.repeat(32)}`

const variable = (label: string, kind: StorageVariable['kind'], bytes: number, offset = 0): StorageVariable => ({ label, kind, bytes, offset, parameter: null })
const entry = (slot: bigint, ...variables: readonly StorageVariable[]): StorageEntry => ({ slot, keys: [], words: [variables] })

/** EIP-1967: where a proxy keeps what it runs, and who may change that. */
const PROXY: readonly StorageEntry[] = [
  entry(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbcn, variable('EIP-1967 implementation', 'address', 20)),
  entry(0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103n, variable('EIP-1967 admin', 'address', 20)),
]

/** Slots of a Safe from 1.3.0 to 1.4.1. */
const SAFE: readonly StorageEntry[] = [
  entry(0n, variable('singleton', 'address', 20)),
  { slot: 1n, keys: ['ACCOUNT'], words: [[variable('modules', 'address', 20)]] },
  { slot: 2n, keys: ['ACCOUNT'], words: [[variable('owners', 'address', 20)]] },
  entry(3n, variable('ownerCount', 'uint', 32)),
  entry(4n, variable('threshold', 'uint', 32)),
  entry(5n, variable('nonce', 'uint', 32)),
  { slot: 7n, keys: ['BYTES32'], words: [[variable('signedMessages', 'uint', 32)]] },
  { slot: 8n, keys: ['ACCOUNT', 'BYTES32'], words: [[variable('approvedHashes', 'uint', 32)]] },
  entry(0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8n, variable('guard', 'address', 20)),
  entry(0x6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5n, variable('fallbackHandler', 'address', 20)),
]
const SAFE_EVENTS = parseAbi([
  'event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)',
  'event ExecutionFailure(bytes32 indexed txHash, uint256 payment)',
  'event SafeMultiSigTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures, bytes additionalInfo)',
  'event ExecutionFromModuleSuccess(address indexed module)',
  'event ExecutionFromModuleFailure(address indexed module)',
  'event EnabledModule(address indexed module)',
  'event DisabledModule(address indexed module)',
  'event ChangedGuard(address indexed guard)',
  'event AddedOwner(address indexed owner)',
  'event RemovedOwner(address indexed owner)',
  'event ChangedThreshold(uint256 threshold)',
  'event ChangedFallbackHandler(address indexed handler)',
])

/** OpenZeppelin TimelockController 5.x: AccessControl's roles, then its own. */
const TIMELOCK: readonly StorageEntry[] = [{ slot: 1n, keys: ['BYTES32'], words: [[variable('timestamps', 'uint', 32)]] }, entry(2n, variable('minDelay', 'uint', 32))]
const TIMELOCK_EVENTS = parseAbi([
  'event CallScheduled(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data, bytes32 predecessor, uint256 delay)',
  'event CallExecuted(bytes32 indexed id, uint256 indexed index, address target, uint256 value, bytes data)',
  'event CallSalt(bytes32 indexed id, bytes32 salt)',
  'event Cancelled(bytes32 indexed id)',
  'event MinDelayChange(uint256 oldDuration, uint256 newDuration)',
])

/** Every contract whose storage and events are known by name, the protocol's and those in front of it. */
export function knownContracts(deployment: Deployment, own: readonly ContractView[]): readonly ContractView[] {
  const { safe, governance } = deployment
  return [
    ...own.map((each) => ({ ...each, storage: [...each.storage, ...PROXY] })),
    ...(safe === null ? [] : [{ name: 'Safe', address: lower(safe.address), storage: SAFE, events: SAFE_EVENTS }]),
    ...(governance?.kind === 'TIMELOCK' ? [{ name: 'TimelockController', address: lower(governance.address), storage: TIMELOCK, events: TIMELOCK_EVENTS }] : []),
  ]
}

/** Keys to try: the deployment's markets and collaterals, accounts that the calls name, and 32-byte words that the logs name. */
export function keysOf(deployment: Deployment, accounts: readonly Address[], words: readonly Hex[]): Keys {
  const padded = (address: string): Hex => `0x${address.slice(2).toLowerCase().padStart(64, '0')}`
  const collaterals = [...deployment.collaterals.map((each) => ({ key: padded(each.token), label: each.symbol })), { key: padded(deployment.settlementToken.address), label: deployment.settlementToken.symbol }]
  return {
    MARKET: deployment.markets.map((each) => ({ key: padded(each.baseToken), label: each.symbol })),
    COLLATERAL: collaterals,
    ACCOUNT: [...new Set(accounts.map(lower))].map((account) => ({ key: padded(account), label: account })),
    BYTES32: [...new Set(words)].map((word) => ({ key: word, label: word })),
  }
}

type Named = { readonly variables: readonly StorageVariable[]; /** `[vETH]`, or nothing. */ readonly suffix: string; /** Address that the first key stands for. */ readonly subject: Address | null }
type Located = { readonly view: ContractView; readonly slots: ReadonlyMap<Hex, Named> }

/** Slots of all variables that the keys reach, by contract. */
export function locate(views: readonly ContractView[], keys: Keys): ReadonlyMap<Address, Located> {
  return new Map(views.map((view) => [view.address, { view, slots: new Map(view.storage.flatMap((each) => placesOf(each, keys))) }]))
}

function placesOf(each: StorageEntry, keys: Keys): readonly (readonly [Hex, Named])[] {
  let bases: { readonly slot: bigint; readonly suffix: string; readonly subject: Address | null }[] = [{ slot: each.slot, suffix: '', subject: null }]
  for (const kind of each.keys) {
    bases = bases.flatMap((base) =>
      keys[kind].map(({ key, label }) => ({
        slot: BigInt(keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }], [key, base.slot]))),
        suffix: `${base.suffix}[${label}]`,
        subject: base.subject ?? (kind === 'BYTES32' ? null : (`0x${key.slice(-40)}` as Address)),
      })),
    )
  }
  return bases.flatMap((base) => each.words.map((variables, i) => [numberToHex((base.slot + BigInt(i)) % (1n << WORD_BITS), { size: 32 }), { variables, suffix: base.suffix, subject: base.subject }] as const))
}

/** Which variables differ between two words of one slot. `protocolSubject`: what a parameter without a key of its own belongs to. */
export function decodeSlot(located: ReadonlyMap<Address, Located>, deployment: Deployment, change: { readonly address: Address; readonly slot: Hex; readonly from: Hex; readonly to: Hex }): SlotChange {
  const address = lower(change.address)
  const contract = located.get(address)
  const named = contract?.slots.get(change.slot)
  let rest = BigInt(change.from) ^ BigInt(change.to)
  const variables = (named?.variables ?? []).flatMap((each): VariableChange[] => {
    const shift = BigInt(each.offset * 8)
    const mask = ((1n << BigInt(each.bytes * 8)) - 1n) << shift
    const [from, to] = [change.from, change.to].map((word) => (BigInt(word) & mask) >> shift) as [bigint, bigint]
    rest &= ~mask
    if (from === to) return []
    return [{ label: labelOf(each.label, named!.suffix), from: show(each, from), to: show(each, to), parameter: each.parameter === null ? null : { name: each.parameter, subject: subjectOf(deployment, contract!.view, named!.subject) } }]
  })
  return { address, contract: contract?.view.name ?? null, slot: change.slot, from: change.from, to: change.to, variables, undecoded: rest !== 0n }
}

/** `_map.field` of a key reads `_map[key].field`. */
const labelOf = (label: string, suffix: string): string => (label.includes('.') ? label.replace('.', `${suffix}.`) : `${label}${suffix}`)

/** The catalog's subject: the key where there is one, the market where the contract is one, else the protocol. */
function subjectOf(deployment: Deployment, view: ContractView, key: Address | null): Address {
  if (key !== null) return lower(key)
  const isMarket = deployment.markets.some((market) => lower(market.baseToken) === view.address)
  return isMarket ? view.address : lower(deployment.contracts.clearingHouse)
}

function show(each: StorageVariable, value: bigint): string {
  switch (each.kind) {
    case 'bool':
      return String(value !== 0n)
    case 'address':
    case 'bytes':
      return numberToHex(value, { size: each.bytes })
    case 'int':
      return BigInt.asIntN(each.bytes * 8, value).toString()
    case 'uint':
      return value.toString()
  }
}

/** A log by the events that are known of its contract. */
export function decodeEvent(views: readonly ContractView[], log: { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex }): EventSeen {
  const address = lower(log.address)
  const view = views.find((each) => each.address === address)
  const unnamed: EventSeen = { address, contract: view?.name ?? null, name: null, args: {}, raw: { topics: log.topics, data: log.data } }
  if (view === undefined || log.topics.length === 0) return unnamed
  try {
    const decoded = decodeEventLog({ abi: view.events as Abi, topics: log.topics as [Hex, ...Hex[]], data: log.data, strict: true })
    if (decoded.eventName === undefined) return unnamed
    const args = Object.entries((decoded.args ?? {}) as Record<string, unknown>).map(([name, value]) => [name, showArg(value)] as const)
    return { ...unnamed, name: decoded.eventName, args: Object.fromEntries(args), raw: null }
  } catch {
    return unnamed
  }
}

const LONG = 200

function showArg(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('0x')) return String(value)
  return value.length <= LONG ? value.toLowerCase() : `${value.length / 2 - 1} bytes with keccak256 ${keccak256(value as Hex)}`
}

/** anvil's and geth's prestateTracer in diff mode: of a slot that was or becomes 0 one side is left out. */
export type PrestateDiff = { readonly pre: Readonly<Record<Address, AccountState>>; readonly post: Readonly<Record<Address, AccountState>> }
type AccountState = { readonly balance?: Hex; readonly nonce?: number; readonly code?: Hex; readonly storage?: Readonly<Record<Hex, Hex>> }

export type RawSlotChange = { readonly address: Address; readonly slot: Hex; readonly from: Hex; readonly to: Hex }

/** All slots that differ, by address and slot. */
export function slotsOf({ pre, post }: PrestateDiff): readonly RawSlotChange[] {
  return [...new Set([...Object.keys(pre), ...Object.keys(post)] as Address[])].toSorted().flatMap((address) => {
    const [before, after] = [pre[address]?.storage ?? {}, post[address]?.storage ?? {}]
    return [...new Set([...Object.keys(before), ...Object.keys(after)] as Hex[])].toSorted().flatMap((slot): RawSlotChange[] => {
      const [from, to] = [before[slot] ?? ZERO, after[slot] ?? ZERO]
      return BigInt(from) === BigInt(to) ? [] : [{ address: lower(address), slot: numberToHex(BigInt(slot), { size: 32 }), from: numberToHex(BigInt(from), { size: 32 }), to: numberToHex(BigInt(to), { size: 32 }) }]
    })
  })
}

/** Wei that accounts gained (+) or lost (−), of those whose balance or code changed; `except` pay the gas. */
export function othersOf({ pre, post }: PrestateDiff, except: readonly Address[]): readonly { readonly address: Address; readonly what: 'balance' | 'code'; readonly from: string; readonly to: string }[] {
  const ignored = new Set(except.map(lower))
  return [...new Set([...Object.keys(pre), ...Object.keys(post)] as Address[])].toSorted().flatMap((address) => {
    if (ignored.has(lower(address))) return []
    const [before, after] = [pre[address], post[address]]
    const balance = after?.balance === undefined || BigInt(after.balance) === BigInt(before?.balance ?? 0) ? [] : [{ address: lower(address), what: 'balance' as const, from: BigInt(before?.balance ?? 0).toString(), to: BigInt(after.balance).toString() }]
    const code = after?.code === undefined || after.code === (before?.code ?? '0x') ? [] : [{ address: lower(address), what: 'code' as const, from: keccak256(before?.code ?? '0x'), to: keccak256(after.code) }]
    return [...balance, ...code]
  })
}
