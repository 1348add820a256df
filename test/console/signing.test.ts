/** What the page derives before it lets a wallet sign or send: held against protocol-kit's and against what a lying API could tell. */
import { describe, expect, test } from '@jest/globals'
import { calculateSafeTransactionHash } from '@safe-global/protocol-kit'
import { getMultiSendCallOnlyDeployments } from '@safe-global/safe-deployments'
import { ChainMismatchError, InternalRpcError, ResourceUnavailableRpcError, TransactionExecutionError, UserRejectedRequestError, defineChain } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { ConnectorAccountNotFoundError } from 'wagmi'
import { hindranceOfOpen, hindranceOfSafe } from '../../console/proposal/hindrance.ts'
import { wrongWithExecution, wrongWithQueued } from '../../console/wallet/execution.ts'
import { MULTI_SEND_CODES, PRECONDITION, PRECONDITION_CODE } from '../../console/wallet/deeds.ts'
import { check, signerOf } from '../../console/wallet/safeTx.ts'
import { WalletError, isUndone, walletWords } from '../../console/wallet/words.ts'
import type { Now, Opened } from '../../console/proposal/hindrance.ts'
import type { Told } from '../../console/wallet/safeTx.ts'
import { devnetAccounts } from '../../devnet/keys.ts'
import { devnet as deployment } from '../../protocols/curie/deployments.ts'
import type { Address } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { build, cancellation, rejection } from '../../proposals/build.ts'
import type { Plan } from '../../proposals/build.ts'
import { deedWords, deedsOf } from '../../proposals/decode.ts'
import { draftChanges } from '../../proposals/draft.ts'
import type { Target } from '../../proposals/draft.ts'
import { GUARD_ADDRESS, PRECONDITION as GUARD } from '../../proposals/guard.ts'
import { executeQueuedCall } from '../../proposals/paths.ts'
import { encodeExecution, hashesOf, lower, safeTxToJson } from '../../proposals/safe.ts'
import type { SafeTx } from '../../proposals/safe.ts'
import { joinSignatures, typedDataOf } from '../../proposals/sign.ts'

const target = { catalog, deployment }
const safe = deployment.safe!
const domain = { chainId: deployment.chainId, safe: lower(safe.address) }
const changes = draftChanges(target, [{ parameter: 'feeRatio', subject: 'vETH', to: 5n }, { parameter: 'liquidationPenaltyRatio', to: 2n }], () => 1n)
const known = { multiSendCallOnly: lower(safe.multiSendCallOnly), precondition: GUARD_ADDRESS, timelock: null }
const served = { chainId: deployment.chainId, safe: safe.address }

/** What an honest API tells of a plan, whose words come from `words` where it lies. */
function telling(of: Target, plan: Plan, timelock: Address | null = null, delaySec = 0) {
  const derived = build(of, plan)
  const deeds = deedsOf(of, { ...known, timelock }, derived.safeTx).map((deed) => {
    const { function: signature, args } = deedWords(of, deed)
    return { kind: deed.kind, depth: deed.depth, to: deed.call.to, value: String(deed.call.value), data: deed.call.data, function: signature, arguments: args.map(({ type, value }) => ({ type, value })) }
  })
  const shown = plan.changes.map(({ scope, subject, from, to }) => ({ title: 'A parameter', subjectLabel: 'of something', scope, subject, fromRaw: String(from), toRaw: String(to) }))
  return { built: derived, doing: { kind: 'CHANGE', deeds, changes: shown, validUntil: String(plan.validUntilSec), governance: { timelock, delaySec } } as const }
}

const plan: Plan = { changes, validUntilSec: 1_800_000_000n, nonce: 7n }
const { built, doing } = telling(target, plan)
const { deeds } = doing

/** As JSON carries it from the API to the page. */
const overWire = <T>(value: T): T => JSON.parse(JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))) as T
/** With hashes and typed data that are made of the very fields: a lie that agrees with itself. */
const toldOf = (safeTx: SafeTx): Told => overWire({ ...domain, nonce: Number(safeTx.nonce), safeTx: safeTxToJson(safeTx), ...hashesOf(domain, safeTx), typedData: typedDataOf(domain, safeTx) })
const told = (): Told => toldOf(built.safeTx)
/** The same, for whoever changes it on the way. */
type Lied = Record<string, unknown> & { safeTx: Record<string, unknown>; typedData: { domain: Record<string, unknown>; types: { SafeTx: unknown[] }; primaryType: string; message: Record<string, unknown> } }

describe('check', () => {
  test('default: derives the hashes that protocol-kit derives, and finds nothing', () => {
    const { hashes, typedData, faults } = check(told(), doing, served)
    expect(faults).toEqual([])
    expect(hashes).toEqual(built.hashes)
    expect(hashes!.safeTxHash).toBe(calculateSafeTransactionHash(safe.address, { ...safeTxToJson(built.safeTx), nonce: 7 }, safe.version, BigInt(deployment.chainId)))
    expect(typedData!.message.data).toBe(built.safeTx.data)
  })

  test('error: whatever one thing the API tells otherwise, there is a fault', () => {
    const lies: readonly ((of: Lied) => void)[] = [
      (of) => (of['chainId'] = 1),
      (of) => (of['safe'] = `0x${'11'.repeat(20)}`),
      (of) => (of['nonce'] = 8),
      ...['domainHash', 'messageHash', 'safeTxHash'].map((name) => (of: Lied) => (of[name] = `0x${'22'.repeat(32)}`)),
      ...['value', 'safeTxGas', 'baseGas', 'gasPrice', 'nonce'].map((name) => (of: Lied) => (of.safeTx[name] = '9')),
      ...['to', 'gasToken', 'refundReceiver'].map((name) => (of: Lied) => (of.safeTx[name] = `0x${'33'.repeat(20)}`)),
      (of) => (of.safeTx['operation'] = 0),
      (of) => (of.safeTx['data'] = String(of.safeTx['data']).replace(/.$/, 'f')),
      (of) => (of.safeTx['more'] = '1'),
      (of) => delete of.safeTx['nonce'],
      (of) => (of.safeTx['value'] = '-1'),
      (of) => (of.safeTx['data'] = '0xabc'),
      (of) => (of.typedData.domain['chainId'] = 1),
      (of) => (of.typedData.primaryType = 'SafeMessage'),
      (of) => of.typedData.types.SafeTx.pop(),
      (of) => (of.typedData.message['to'] = `0x${'44'.repeat(20)}`),
    ]
    for (const lie of lies) {
      const of = told()
      lie(of as unknown as Lied)
      expect(check(of, doing, served).faults).not.toEqual([])
    }
  })

  test('error: calls shown that are not those in the bytes, one left out, one that cannot be read', () => {
    for (const other of [deeds.slice(1), [...deeds, deeds[0]!], deeds.map((deed, i) => (i === 1 ? { ...deed, data: deed.data.replace(/.$/, '6') } : deed)), deeds.map((deed, i) => (i === 0 ? { ...deed, kind: 'UNDECODED' } : deed))]) {
      expect(check(told(), { ...doing, deeds: other }, served).faults).not.toEqual([])
    }
  })

  test('error: bytes of another value, subject, start or deadline under the honest words, and honest bytes under other words', () => {
    const [fee, penalty] = changes
    const others: readonly Plan[] = [
      { ...plan, changes: [{ ...fee, to: 900n }, penalty!] },
      { ...plan, changes: [{ ...fee, subject: lower(deployment.markets[1]!.baseToken) }, penalty!] },
      { ...plan, changes: [{ ...fee, from: 3n }, penalty!] },
      { ...plan, changes: [penalty!, fee] },
      { ...plan, validUntilSec: 1_900_000_000n },
    ]
    for (const other of others) {
      const lie = telling(target, other)
      // The bytes, the hashes and the raw data of each call are the other's; what is read beside them is the honest one's.
      const words = lie.doing.deeds.map((deed, i) => ({ ...deed, function: deeds[i]!.function, arguments: deeds[i]!.arguments }))
      for (const shown of [{ ...doing, deeds: lie.doing.deeds }, { ...doing, deeds: words }]) {
        expect(check(toldOf(lie.built.safeTx), shown, served).faults).not.toEqual([])
        expect(check(toldOf(lie.built.safeTx), lie.doing, served).faults).toEqual([])
      }
    }
    expect(check(told(), { ...doing, changes: doing.changes.map((change, i) => (i === 0 ? { ...change, toRaw: '6' } : change)) }, served).faults).toEqual([expect.stringContaining('Found a call that sets 5, shown is')])
  })

  test('behavior: through a timelock, the calls shown are those that are scheduled', () => {
    const timelock = `0x${'99'.repeat(20)}` as const
    const delayed = { catalog, deployment: { ...deployment, governance: { kind: 'TIMELOCK', address: timelock, minDelaySec: 3600 } as const } }
    const { built: queued, doing: shown } = telling(delayed, plan, timelock, 3600)
    expect(shown.deeds.map(({ kind, depth }) => `${kind} ${depth}`)).toEqual(['PRECONDITION 1', 'SCHEDULE 1', 'PRECONDITION 2', 'CHANGE 2', 'CHANGE 2'])
    // Arguments of a schedule are told in part alone: the page reads them from the bytes.
    expect(check(toldOf(queued.safeTx), shown, served).faults).toEqual([])
    const other = telling(delayed, { ...plan, changes: [{ ...changes[0], to: 900n }, changes[1]!] }, timelock, 3600)
    const inner = shown.deeds.map((deed, i) => (deed.depth === 2 ? deed : other.doing.deeds[i]!))
    expect(check(toldOf(other.built.safeTx), { ...shown, deeds: inner }, served).faults).toEqual(['Found scheduled calls that are not those shown; do not sign'])
    expect(check(toldOf(queued.safeTx), { ...shown, governance: { timelock, delaySec: 60 } }, served).faults).not.toEqual([])
    expect(wrongWithQueued({ chainId: deployment.chainId, to: timelock, value: '0', data: executeQueuedCall(queued.queued!).data, gas: '1' }, deployment.chainId, timelock, shown.deeds.filter(({ depth }) => depth === 2))).toBeNull()
    const taken = cancellation(delayed.deployment, queued.queued!, 8n)
    expect(check(toldOf(taken.safeTx), { kind: 'TIMELOCK', timelock, operation: queued.queued!.id }, served).faults).toEqual([])
    expect(check(toldOf(taken.safeTx), { kind: 'TIMELOCK', timelock, operation: `0x${'00'.repeat(32)}` }, served).faults).not.toEqual([])
  })

  test('behavior: setters without an argument, of addresses and of switches', () => {
    for (const [parameter, subject, to] of [['clearingHousePaused', null, 1n], ['marketStatus', 'vETH', 1n], ['surplusBeneficiary', null, 0x1234n], ['baseTokenPriceFeed', 'vETH', 0x5678n], ['depositCap', 'WETH', 10n ** 22n]] as const) {
      const [change] = draftChanges(target, [{ parameter, subject, to, confirm: 'marketStatus of vETH' }], () => 0n)
      const honest = telling(target, { ...plan, changes: [change] })
      expect({ parameter, faults: check(toldOf(honest.built.safeTx), honest.doing, served).faults }).toEqual({ parameter, faults: [] })
    }
  })

  test('default: the code that the Safe may delegate-call, and that of the precondition, are those of their own packages', () => {
    expect(MULTI_SEND_CODES).toEqual(['1.3.0', '1.4.1', '1.5.0'].map((version) => getMultiSendCallOnlyDeployments({ version })!.deployments.canonical!.codeHash))
    expect([PRECONDITION, PRECONDITION_CODE]).toEqual([GUARD_ADDRESS, GUARD.codeHash])
  })

  test('behavior: a rejection is the empty transaction of the Safe to itself, and nothing else', () => {
    const of = toldOf(rejection(deployment, 7n).safeTx)
    expect(check(of, { kind: 'REJECTION' }, served).faults).toEqual([])
    expect(check(told(), { kind: 'REJECTION' }, served).faults).not.toEqual([])
    expect(check(of, doing, served).faults).not.toEqual([])
  })
})

describe('signerOf', () => {
  const owner = privateKeyToAccount(devnetAccounts('safeOwner', 31337)[0]!.privateKey)

  test('behavior: tells who signed exactly these bytes, as typed data or by eth_sign', async () => {
    const signature = await owner.signTypedData(typedDataOf(domain, built.safeTx))
    expect(await signerOf(built.hashes.safeTxHash, signature)).toBe(owner.address)
    const prefixed = await owner.signMessage({ message: { raw: built.hashes.safeTxHash } })
    const marked = `${prefixed.slice(0, -2)}${(Number.parseInt(prefixed.slice(-2), 16) + 4).toString(16)}`
    expect(await signerOf(built.hashes.safeTxHash, marked)).toBe(owner.address)
    expect(await signerOf(built.hashes.messageHash, signature)).not.toBe(owner.address)
  })

  test.each(['0x', '0x12', `0x${'00'.repeat(65)}`, `0x${'ff'.repeat(65)}`, 'nothing'])('error: nobody signed %s', async (signature) => {
    expect(await signerOf(built.hashes.safeTxHash, signature)).toBeNull()
  })
})

describe('wrongWithExecution', () => {
  const signatures = devnetAccounts('safeOwner', 31337).slice(0, 2).map(({ address }, i) => ({ signer: lower(address), signature: `0x${`${i + 1}${i + 1}`.repeat(65)}` as const }))
  const { typedData } = check(told(), doing, served)
  const honest = { chainId: deployment.chainId, to: lower(safe.address), value: '0', data: encodeExecution(built.safeTx, joinSignatures(signatures, 2)), gas: '1' }

  test('default: the Safe’s execTransaction of what was derived, with the signatures that are shown', () => {
    expect(wrongWithExecution(honest, typedData!, signatures)).toBeNull()
  })

  test('error: another target, ether, another chain, another function, other fields, other signatures', () => {
    const others = [
      { ...honest, to: `0x${'55'.repeat(20)}` },
      { ...honest, value: '1' },
      { ...honest, chainId: 1 },
      { ...honest, data: '0xa9059cbb' },
      { ...honest, data: encodeExecution({ ...built.safeTx, to: `0x${'66'.repeat(20)}` }, joinSignatures(signatures, 2)) },
      { ...honest, data: encodeExecution(built.safeTx, `0x${'77'.repeat(130)}`) },
    ]
    for (const other of others) expect(wrongWithExecution(other, typedData!, signatures)).toMatch(/nothing was sent$/)
    expect(wrongWithQueued(honest, deployment.chainId, `0x${'88'.repeat(20)}`, [])).toMatch(/nothing was sent$/)
  })
})

describe('walletWords', () => {
  const chain = defineChain({ id: 31_337, name: 'devnet', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [] } } })
  /** As viem's sendTransaction throws. */
  const sending = (cause: Error) => new TransactionExecutionError(cause as never, { account: null, chain })
  const of = (message: string) => new InternalRpcError(new Error(message))

  test.each<readonly [string, unknown, boolean, RegExp]>([
    ['a refusal', new UserRejectedRequestError(new Error('no')), true, /^The request was refused in the wallet\. Nothing was sent; ask it again when you are ready$/],
    ['a refusal of a transaction', sending(new UserRejectedRequestError(new Error('no'))), true, /^The request was refused in the wallet\. Nothing was sent;/],
    ['a refusal as the wallet throws it', Object.assign(new Error('no'), { code: 4001 }), true, /^The request was refused in the wallet/],
    ['another account in the wallet', new ConnectorAccountNotFoundError({ address: `0x${'70'.repeat(20)}`, connector: { name: 'Test wallet' } as never }), true, /^The wallet is at another account than this page shows, or lets this page use none: choose the account in the wallet, then ask again\. Nothing was sent$/],
    ['another network', sending(new ChainMismatchError({ chain, currentChainId: 1 })), true, /^The wallet is on another network than this page serves: switch it, then ask again\. Nothing was sent$/],
    ['no wallet', new WalletError('Found no connected wallet'), true, /^Found no connected wallet$/],
    ['another network, as a wallet says it', of('Provided chainId "31337" must match the active chainId "1"'), false, /^The wallet is on another network/],
    ['a fault after which it may have been sent', sending(of('request timed out')), false, /^The wallet says: An internal error was received: request timed out\. Nobody knows$/],
    ['a device', of('Ledger device: Condition of use not satisfied (denied by the user?) (0x6985)'), false, /^The device refused it, or was not unlocked: Ledger device: Condition of use not satisfied/],
    ['a request that is open', new ResourceUnavailableRpcError(new Error('already pending')), false, /^Another request is open in the wallet: answer it there, then ask again\. Nobody knows$/],
    ['no error of a wallet', new TypeError('Found nothing to send'), false, /^Found nothing to send$/],
  ])('error: %s', (_, error, undone, sentence) => {
    expect(isUndone(error)).toBe(undone)
    expect(walletWords(error, undone ? 'Nothing was sent' : 'Nobody knows')).toMatch(sentence)
  })
})

describe('hindranceOfSafe', () => {
  test.each([[7, 7], [6, 7]])('default: the Safe at nonce %d has nothing against nonce %d', (next, nonce) => {
    expect(hindranceOfSafe({ nonce: next, mismatch: null }, nonce, false)).toBeNull()
  })

  test.each([
    ['another Safe on chain than the deployment records', { nonce: 7, mismatch: 'Found 1 owner, recorded are 3.' }, false, /does not record.*sign nothing/],
    ['a nonce that is used', { nonce: 8, mismatch: null }, false, /^Found the Safe at nonce 8, so nonce 7 is used.*sign nothing\.$/],
    ['a Safe that could not be asked last', { nonce: 7, mismatch: null }, true, /did not say who owns the Safe now.*signing waits/],
    ['a used nonce, though the Safe could not be asked last', { nonce: 8, mismatch: null }, true, /nonce 7 is used/],
  ] as const)('error: %s', (_, onChain, unasked, sentence) => {
    expect(hindranceOfSafe(onChain, 7, unasked)).toMatch(sentence)
  })
})

describe('hindranceOfOpen', () => {
  const safeNow = { nonce: 7, mismatch: null, owners: ['0xAa', '0xbb'], threshold: 2 }
  const hash = `0x${'12'.repeat(32)}`
  const sign: Opened = { deed: 'sign', kind: 'CHANGE', safeTxHash: hash, nonce: 7, state: 'AWAITING_SIGNATURES', account: '0xAa', safe: safeNow }
  const send: Opened = { ...sign, deed: 'send', state: 'READY' }
  const same: Now = { kind: 'CHANGE', safeTxHash: hash, state: 'AWAITING_SIGNATURES', stateReason: null, account: '0xAa', isElsewhere: false, safe: { ...safeNow, owners: ['0xbb', '0xaa'] }, unasked: false, isDerived: true, refused: null }

  test.each<readonly [string, Opened, Partial<Now>]>([
    ['a signature while nothing moves', sign, {}],
    ['a signature of one that has become ready by others', sign, { state: 'READY' }],
    ['a transaction while nothing moves', send, { state: 'READY' }],
    ['a cancellation’s signature', { ...sign, kind: 'CANCELLATION', state: 'CANCELLING' }, { kind: 'CANCELLATION', state: 'CANCELLING' }],
    ['what a timelock holds, whose nonce the Safe has used', { ...send, state: 'QUEUED' }, { state: 'QUEUED', safe: { ...safeNow, nonce: 8 } }],
  ])('default: nothing speaks against %s', (_, opened, now) => {
    expect(hindranceOfOpen(opened, { ...same, ...now })).toBeNull()
  })

  test.each<readonly [string, Opened, Partial<Now>, RegExp]>([
    ['cancelled', sign, { state: 'CANCELLING', kind: 'CANCELLATION', safeTxHash: '0x34' }, /became “cancelling” while this was open; sign nothing/],
    ['a value that moved', sign, { state: 'STALE', stateReason: 'feeRatio of vETH is 5, expected 4.' }, /became “stale” while this was open: feeRatio of vETH is 5, expected 4; sign nothing/],
    ['executed by another', send, { state: 'EXECUTED' }, /became “executed”.*send nothing/],
    ['signatures taken back', send, { state: 'AWAITING_SIGNATURES' }, /became “awaiting signatures”.*send nothing/],
    ['other bytes', sign, { safeTxHash: '0x56' }, /What the API tells changed.*sign nothing/],
    ['bytes that this page does not derive', send, { state: 'READY', isDerived: false }, /What the API tells changed.*send nothing/],
    ['a nonce that was used', sign, { safe: { ...safeNow, nonce: 8 } }, /^Found the Safe at nonce 8, so nonce 7 is used.*sign nothing\.$/],
    ['a nonce that was used, before it was sent', send, { state: 'READY', safe: { ...safeNow, nonce: 8 } }, /nonce 7 is used.*send nothing\.$/],
    ['another Safe than recorded', send, { state: 'READY', safe: { ...safeNow, mismatch: 'Found 1 owner.' } }, /does not record.*send nothing/],
    ['a Safe that could not be asked', sign, { unasked: true }, /did not say who owns the Safe now.*signing waits/],
    ['another threshold', sign, { safe: { ...safeNow, threshold: 1 } }, /owners, or how many of them it wants, changed/],
    ['another owner', sign, { safe: { ...safeNow, owners: ['0xaa', '0xcc'] } }, /owners, or how many of them it wants, changed/],
    ['a Safe that is not known', sign, { safe: null }, /owners, or how many of them it wants, changed/],
    ['another account in the wallet', sign, { account: '0xbb' }, /another account or network/],
    ['another network', sign, { isElsewhere: true }, /another account or network/],
    ['a transaction that does not go through any more', send, { state: 'READY', refused: 'Found a deadline that is over.' }, /^Found a deadline that is over\.$/],
  ])('error: %s', (_, opened, now, sentence) => {
    expect(hindranceOfOpen(opened, { ...same, ...now })).toMatch(sentence)
  })
})
