import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { getContractAddress } from 'viem'
import { build, safeOf } from '../../proposals/build.ts'
import type { Change, Target } from '../../proposals/draft.ts'
import { labelOf, keyOf } from '../../proposals/draft.ts'
import { decodeEvent, decodeSlot, keysOf, knownContracts, locate, slotsOf } from '../../proposals/slots.ts'
import { simulate } from '../../proposals/simulate.ts'
import type { SimulationResult } from '../../proposals/simulate.ts'
import type { Address, ParameterRef } from '../../protocols/adapter.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { views } from '../../protocols/curie/storage.ts'
import { startTestChain, type TestChain } from './chain.ts'

let chain: TestChain
let target: Target
beforeAll(async () => {
  chain = await startTestChain()
  target = { catalog, deployment: chain.deployment }
})
afterAll(async () => await chain?.stop())

const ACCOUNT: Address = '0x00000000000000000000000000000000000a11ce'

async function read(ref: ParameterRef): Promise<bigint> {
  const call = catalog.encodeRead(chain.deployment, ref)
  const { data } = await chain.client.call({ to: call.to, data: call.data })
  return catalog.decodeRead(ref, data!)
}

/** Another value that the contracts accept, whatever it stands at. */
async function another(ref: ParameterRef, from: bigint): Promise<bigint> {
  const { deployment } = chain
  const spec = catalog.find(ref.name)
  switch (ref.name) {
    case 'baseTokenPriceFeed':
      return BigInt(deployment.markets.find((market) => BigInt(market.priceFeed) !== from)!.priceFeed)
    case 'collateralPriceFeed':
      return BigInt(deployment.markets.find((market) => BigInt(market.priceFeed) !== from)!.priceFeed)
    case 'surplusBeneficiary':
      throw new Error('is left out: it takes a second beneficiary contract')
    case 'marketStatus':
      return 1n
    default:
      return from + 1n <= spec.bounds.max ? from + 1n : from - 1n
  }
}

async function changeOf(ref: ParameterRef): Promise<Change> {
  const spec = catalog.find(ref.name)
  const from = await read(ref)
  return { parameter: ref.name, scope: spec.scope, subject: ref.subject, subjectLabel: labelOf(chain.deployment, spec.scope, ref.subject), from, to: await another(ref, from) }
}

async function tryOut(changes: readonly Change[]): Promise<SimulationResult> {
  const head = await chain.client.getBlock()
  const plan = { changes: changes as readonly [Change, ...Change[]], validUntilSec: head.timestamp + 3_600n, nonce: 7n }
  const { result } = await simulate(target, plan, build(target, plan), { rpcUrl: chain.url, stateDir: chain.stateDir, block: { number: head.number, hash: head.hash } })
  return result
}

/** What the storage says of a parameter's new value, in the getter's terms. */
const rawOf = (text: string): bigint => (text === 'true' ? 1n : text === 'false' ? 0n : BigInt(text))

describe('storage by name', () => {
  test('behavior: every parameter that can be set is written to the slot that the table names, with the value that its getter reads', async () => {
    const settable = catalog.refs(chain.deployment).filter((ref) => catalog.find(ref.name).setter !== null && ref.name !== 'surplusBeneficiary')
    const refs = [...settable, { name: 'whitelistedDebtThreshold', subject: ACCOUNT }]
    // Two markets and the collateral twice over: at most 50 changes a batch.
    const changes = await Promise.all(refs.map(changeOf))
    expect(new Set(changes.map((change) => change.parameter)).size).toBe(catalog.specs.filter((spec) => spec.setter !== null && spec.name !== 'surplusBeneficiary').length)
    for (let from = 0; from < changes.length; from += 25) {
      const part = changes.slice(from, from + 25)
      const result = await tryOut(part)
      expect(result.failure).toBeNull()
      expect(result.storage.filter((slot) => slot.undecoded)).toEqual([])
      expect(result.events.filter((event) => event.name === null).map((event) => event.contract)).toEqual([])
      expect(result.warnings).toEqual([])
      expect(result.others.changed).toEqual([])
      const written = result.storage.flatMap((slot) => slot.variables)
      for (const change of part) {
        const own = written.filter((each) => each.parameter !== null && each.parameter.name === change.parameter && (each.parameter.subject === change.subject || change.scope === 'ACCOUNT'))
        // A band that was never set is stored as 0 and read as 10 %; an account without a threshold of its own reads the general one.
        const stored = change.scope === 'ACCOUNT' || change.parameter === 'marketMaxPriceSpreadRatio' ? own.map((each) => rawOf(each.from)) : [change.from]
        expect({ change: keyOf(change), from: own.map((each) => rawOf(each.from)), to: own.map((each) => rawOf(each.to)) }).toEqual({ change: keyOf(change), from: expect.arrayContaining(stored), to: expect.arrayContaining([change.to]) })
      }
      // Beside the parameters only the Safe's nonce moves, by one.
      expect(written.filter((each) => each.parameter === null)).toEqual([{ label: 'nonce', from: '7', to: '8', parameter: null }])
    }
  })

  test('behavior: packed neighbours keep their values and stay out of the list', async () => {
    const change = await changeOf({ name: 'maxFundingRate', subject: chain.deployment.contracts.clearingHouse.toLowerCase() as Address })
    const result = await tryOut([change])
    const config = result.storage.find((slot) => slot.contract === 'clearingHouseConfig')
    expect(config).toMatchObject({ slot: `0x${'67'.padStart(64, '0')}`, variables: [{ label: '_maxFundingRate', from: String(change.from), to: String(change.to), parameter: { name: 'maxFundingRate' } }], undecoded: false })
    expect(result.events.map((event) => event.name)).toEqual(['SafeMultiSigTransaction', 'MaxFundingRateChanged', 'ExecutionSuccess'])
    expect(result.events[1]).toMatchObject({ contract: 'clearingHouseConfig', args: { rate: String(change.to) } })
  })
})

describe('what has no name', () => {
  const at = (address: Address, slot: bigint, from: bigint, to: bigint) => {
    const word = (value: bigint) => `0x${value.toString(16).padStart(64, '0')}` as const
    const known = knownContracts(chain.deployment, views(chain.deployment))
    return decodeSlot(locate(known, keysOf(chain.deployment, [], [])), chain.deployment, { address, slot: word(slot), from: word(from), to: word(to) })
  }

  test('behavior: a slot of a contract that is not known is undecoded', () => {
    expect(at(ACCOUNT, 5n, 1n, 2n)).toMatchObject({ contract: null, variables: [], undecoded: true })
  })

  test('behavior: bits beside the variables of a known slot make it undecoded', () => {
    const { clearingHouseConfig } = chain.deployment.contracts
    expect(at(clearingHouseConfig, 103n, 0n, 1n)).toMatchObject({ contract: 'clearingHouseConfig', variables: [{ label: '_maxMarketsPerAccount', from: '0', to: '1' }], undecoded: false })
    expect(at(clearingHouseConfig, 103n, 0n, 1n << 200n)).toMatchObject({ variables: [], undecoded: true })
  })

  test('behavior: the threshold, the owners, the guard and the implementation are named', () => {
    const { address } = safeOf(chain.deployment)
    expect(at(address, 4n, 2n, 1n).variables).toMatchObject([{ label: 'threshold', from: '2', to: '1' }])
    expect(at(address, 0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8n, 0n, 9n).variables).toMatchObject([{ label: 'guard' }])
    expect(at(chain.deployment.contracts.vault, 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbcn, 1n, 9n).variables).toMatchObject([{ label: 'EIP-1967 implementation' }])
  })

  test('behavior: an event that the contract is not known to emit keeps its topics and has no name', () => {
    const known = knownContracts(chain.deployment, views(chain.deployment))
    const log = { address: chain.deployment.contracts.vault, topics: [`0x${'ab'.repeat(32)}`] as const, data: '0x' as const }
    expect(decodeEvent(known, log)).toMatchObject({ contract: 'vault', name: null, args: {}, raw: { topics: log.topics, data: '0x' } })
    expect(decodeEvent(known, { ...log, address: getContractAddress({ from: ACCOUNT, nonce: 0n }) })).toMatchObject({ contract: null, name: null })
  })

  test('behavior: a slot that was or becomes zero is left out of one side of the trace, and counted', () => {
    const slot = `0x${'0'.repeat(63)}1` as const
    const one = `0x${'0'.repeat(63)}1` as const
    const zero = `0x${'0'.repeat(64)}` as const
    expect(slotsOf({ pre: { [ACCOUNT]: {} }, post: { [ACCOUNT]: { storage: { [slot]: one } } } })).toEqual([{ address: ACCOUNT, slot, from: zero, to: one }])
    expect(slotsOf({ pre: { [ACCOUNT]: { storage: { [slot]: one } } }, post: { [ACCOUNT]: {} } })).toEqual([{ address: ACCOUNT, slot, from: one, to: zero }])
  })
})
