import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { encodeAbiParameters, size, slice, toFunctionSelector, toFunctionSignature, zeroAddress, type Abi, type AbiFunction } from 'viem'
import { NotSettableError, OutOfBoundsError, UnknownParameterError, UnknownSubjectError, UnreadableAnswerError, type Address, type Call, type Hex, type ParameterRef } from '../../protocols/adapter.ts'
import * as abis from '../../protocols/curie/abi.ts'
import { deploymentOf, devnet, optimism, UnknownNetworkError } from '../../protocols/curie/deployments.ts'
import { optimismFromMetadata } from '../../protocols/curie/generate-optimism.ts'
import { boundsOf, catalog, checkBounds } from '../../protocols/curie/parameters.ts'

const ARTIFACTS = new URL('../../node_modules/@perp/curie-deployments/optimism/core/artifacts/contracts/', import.meta.url)
const artifactAbi = (contract: string): Abi => (JSON.parse(readFileSync(new URL(`${contract}.sol/${contract}.json`, ARTIFACTS), 'utf8')) as { abi: Abi }).abi

const full = (item: AbiFunction): string => `${toFunctionSignature(item)} → ${JSON.stringify(item.outputs.map((output) => ('components' in output ? output.components.map((part) => `${part.type} ${part.name}`) : output.type)))}`
const functions = (abi: Abi): AbiFunction[] => abi.filter((item): item is AbiFunction => item.type === 'function')

const ETH = '0x8c835dfaa34e2ae61775e80ee29e2c724c6ae2bb'
const WETH = '0x4200000000000000000000000000000000000006'
const CLEARING_HOUSE = '0x82ac2ce43e33683c58be4cdc40975e73aa50f459'
const TRADER = '0x00000000000000000000000000000000000000aa'

describe('abi', () => {
  test.each([
    ['ClearingHouse', abis.clearingHouseAbi],
    ['ClearingHouseConfig', abis.clearingHouseConfigAbi],
    ['MarketRegistry', abis.marketRegistryAbi],
    ['Exchange', abis.exchangeAbi],
    ['Vault', abis.vaultAbi],
    ['InsuranceFund', abis.insuranceFundAbi],
    ['CollateralManager', abis.collateralManagerAbi],
    ['BaseToken', abis.baseTokenAbi],
    ['AccountBalance', abis.accountBalanceAbi],
    ['OrderBook', abis.orderBookAbi],
  ] as [string, Abi][])('%s: every function is one of the deployed contract, with the same answer', (contract, abi) => {
    const deployed = new Set(functions(artifactAbi(contract)).map(full))
    expect(functions(abi).map(full).filter((signature) => !deployed.has(signature))).toEqual([])
  })
})

describe('deployments', () => {
  test('behavior: the committed Optimism deployment is what the package records', () => {
    expect(optimism).toEqual(optimismFromMetadata())
  })

  // Addresses as the protocol published them (risk-models §1.3), not as the generator reads them.
  test('behavior: Optimism has 20 markets, 4 collaterals and its published addresses', () => {
    expect(optimism.markets).toHaveLength(20)
    expect(optimism.collaterals.map((collateral) => collateral.symbol)).toEqual(['WETH', 'FRAX', 'OP', 'USDT'])
    expect(optimism.contracts.clearingHouse).toBe(CLEARING_HOUSE)
    expect(optimism.contracts.collateralManager).toBe('0x8ac835c05530f10595c8015467339523154b4d85')
    expect(optimism.contracts.proxyAdmin).toBe('0xde6a7377b64734fabb3b0ed4724a5479ee391705')
    expect(optimism.markets.find((market) => market.symbol === 'vETH')).toEqual({
      symbol: 'vETH',
      baseToken: ETH,
      pool: '0x36b18618c4131d8564a714fb6b4d2b1edadc0042',
      priceFeed: '0xe1fdaefe7531bfeaf7d9ba5497c675adcb05837f',
      chainlinkFeed: '0xc31bf706e2309de50727ec86ee2b607e7869fa5a',
      aggregator: null,
    })
  })

  test.each([['optimism', optimism], ['devnet', devnet]] as const)('behavior: %s holds lowercase addresses alone, and no base token twice', (name, deployment) => {
    expect(deploymentOf(name)).toBe(deployment)
    const addresses = JSON.stringify(deployment).match(/0x[0-9a-fA-F]{40}/g) ?? []
    expect(addresses.filter((address) => address !== address.toLowerCase())).toEqual([])
    expect(new Set(deployment.markets.map((market) => market.baseToken)).size).toBe(deployment.markets.length)
  })

  test('error: an unknown network is named, with the known ones', () => {
    expect(() => deploymentOf('mainnet')).toThrow(UnknownNetworkError)
    expect(() => deploymentOf('mainnet')).toThrow('Found network "mainnet", allowed are devnet, optimism; take one of these')
    expect(() => deploymentOf('toString')).toThrow(UnknownNetworkError)
  })
})

describe('catalog', () => {
  // Setters that configure parts rather than risk: wiring, ownership, forwarders, and adding a market or collateral.
  const WIRING = /^(set(Vault|ClearingHouse|CollateralManager|Exchange|AccountBalance|WETH9|TrustedForwarder|DelegateApproval|Owner)|updateOwner|renounceOwnership|initialize|addPool|addCollateral)$/

  test('behavior: covers every owner function of the deployed contracts that is not wiring', () => {
    const setters = new Set(catalog.specs.flatMap((spec) => (spec.setter === null ? [] : [`${spec.contract}.${spec.setter}`])))
    const missing: string[] = []
    for (const [key, contract] of [['clearingHouseConfig', 'ClearingHouseConfig'], ['marketRegistry', 'MarketRegistry'], ['exchange', 'Exchange'], ['collateralManager', 'CollateralManager'], ['insuranceFund', 'InsuranceFund'], ['vault', 'Vault'], ['clearingHouse', 'ClearingHouse'], ['baseToken', 'BaseToken'], ['orderBook', 'OrderBook'], ['accountBalance', 'AccountBalance']] as const) {
      for (const item of functions(artifactAbi(contract))) {
        const governs = /^(set[A-Z]|pause$)/.test(item.name) && !WIRING.test(item.name)
        if (governs && !setters.has(`${key}.${toFunctionSignature(item)}`)) missing.push(`${contract}.${toFunctionSignature(item)}`)
      }
    }
    expect(missing).toEqual([])
  })

  test('behavior: initial and maintenance margin are advisory, all else has a setter', () => {
    expect(catalog.specs.filter((spec) => spec.setter === null).map((spec) => spec.name)).toEqual(['imRatio', 'mmRatio'])
    expect(catalog.specs.filter((spec) => (spec.advisoryReason === null) === (spec.setter === null))).toEqual([])
    expect(catalog.specs.filter((spec) => spec.irreversible).map((spec) => spec.name)).toEqual(['marketStatus'])
  })

  test('behavior: lists every parameter of every subject, accounts excluded', () => {
    const count = (scope: string): number => catalog.specs.filter((spec) => spec.scope === scope).length
    expect(catalog.refs(optimism)).toHaveLength(count('PROTOCOL') + 20 * count('MARKET') + 4 * count('COLLATERAL'))
    expect(catalog.refs(optimism)).toContainEqual({ name: 'twapInterval', subject: CLEARING_HOUSE })
  })

  // Selectors from the deployed ABI (4byte: setMarketMaxPriceSpreadRatio(address,uint24) etc. are checked against the artifact above);
  // the words are hand-encoded.
  test('behavior: encodes a change as the setter on the right contract', () => {
    const word = (hex: string): string => hex.padStart(64, '0')
    const collateral = catalog.encodeChange(optimism, { name: 'collateralRatio', subject: WETH }, 650_000n)
    expect(collateral.to).toBe(optimism.contracts.collateralManager)
    expect(collateral.value).toBe(0n)
    expect(collateral.data.slice(10)).toBe(word(WETH.slice(2)) + word('9eb10')) // 650000 = 0x9eb10
    const feed = catalog.encodeChange(optimism, { name: 'baseTokenPriceFeed', subject: ETH }, BigInt(TRADER))
    expect(feed).toEqual({ to: ETH, value: 0n, data: `0x724e78da${word('aa')}` }) // setPriceFeed(address)
    expect(catalog.encodeChange(optimism, { name: 'clearingHousePaused', subject: CLEARING_HOUSE }, 1n).data).toBe('0x8456cb59') // pause()
    expect(catalog.encodeChange(optimism, { name: 'clearingHousePaused', subject: CLEARING_HOUSE }, 0n).data).toBe('0x3f4ba83a') // unpause()
  })

  test('behavior: takes a subject in any letter case and answers in lowercase', () => {
    const checksummed = '0x8C835DFaA34e2AE61775e80EE29E2c724c6AE2BB'
    const call = catalog.encodeChange(optimism, { name: 'feeRatio', subject: checksummed }, 1000n)
    expect(catalog.decodeChange(optimism, { ...call, to: '0xd5820eE0F55205f6cdE8BB0647072143b3060067' })).toEqual({ ref: { name: 'feeRatio', subject: ETH }, value: 1000n })
  })

  const settable = catalog.specs.filter((spec) => spec.setter !== null)
  const subjects: Readonly<Record<string, readonly Address[]>> = { PROTOCOL: [CLEARING_HOUSE], MARKET: optimism.markets.map((market) => market.baseToken), COLLATERAL: optimism.collaterals.map((collateral) => collateral.token), ACCOUNT: [TRADER, ETH] }
  const change = fc.constantFrom(...settable).chain((spec) =>
    fc.record({
      ref: fc.constantFrom(...(subjects[spec.scope] ?? [])).map((subject): ParameterRef => ({ name: spec.name, subject })),
      value: fc.bigInt({ min: spec.bounds.min, max: spec.bounds.max }),
    }),
  )

  test('behavior: decoding gives back what was encoded', () => {
    fc.assert(fc.property(change, ({ ref, value }) => {
      expect(catalog.decodeChange(optimism, catalog.encodeChange(optimism, ref, value))).toEqual({ ref, value })
    }), { numRuns: 500 })
  })

  test('behavior: expects of every getter the word that its answer holds the value in, at the place and by the type that the deployed ABI says', () => {
    const cases = [...catalog.refs(optimism), { name: 'whitelistedDebtThreshold', subject: TRADER } as ParameterRef]
    fc.assert(
      fc.property(fc.constantFrom(...cases), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (ref, seed) => {
        const { bounds, unit } = catalog.find(ref.name)
        // An open market is 0, which no change of it can set.
        const min = ref.name === 'marketStatus' ? 0n : bounds.min
        const value = min + (seed % (bounds.max - min + 1n))
        const { target, callData, word, expected } = catalog.expectation(optimism, ref, value)
        const read = catalog.encodeRead(optimism, ref)
        expect([target, callData, size(expected)]).toEqual([read.to, read.data, 32])
        expect(catalog.valueOfWord(ref, expected)).toBe(value)

        const contract = `${catalog.find(ref.name).contract[0]!.toUpperCase()}${catalog.find(ref.name).contract.slice(1)}`
        const abi = artifactAbi(contract)
        const getter = functions(abi).find((item) => toFunctionSelector(item) === callData.slice(0, 10))!
        const parts = getter.outputs.flatMap((output) => ('components' in output ? output.components : [output]))
        const of = (type: string, at: number): unknown => {
          if (type === 'bool') return at === Number(word) && (ref.name === 'marketStatus' ? value === 0n : value === 1n)
          if (type === 'address') return at === Number(word) && unit.kind === 'ADDRESS' ? `0x${value.toString(16).padStart(40, '0')}` : zeroAddress
          return at === Number(word) ? value : 0n
        }
        const answer = encodeAbiParameters(parts, parts.map((part, at) => of(part.type, at)))
        expect(slice(answer, Number(word) * 32, Number(word) * 32 + 32)).toBe(expected)
        expect(catalog.decodeRead(ref, answer)).toBe(value)
      }),
    )
  })

  test('behavior: decodes nothing but the one canonical encoding', () => {
    fc.assert(fc.property(change, fc.uint8Array({ minLength: 1, maxLength: 32 }), fc.nat(), (given, tail, at) => {
      const call = catalog.encodeChange(optimism, given.ref, given.value)
      const decode = (data: string, more: Partial<Call> = {}): unknown => catalog.decodeChange(optimism, { ...call, ...more, data: data as Hex })
      expect(decode(call.data + Buffer.from(tail).toString('hex'))).toBeNull()
      expect(decode(call.data, { value: 1n })).toBeNull()
      expect(decode(call.data, { to: TRADER })).toBeNull()
      expect(decode(call.data.slice(0, -2))).toBeNull()
      // Any flipped bit is another change, or none: never the same one.
      const digit = 2 + (at % (call.data.length - 2))
      const flipped = call.data.slice(0, digit) + (Number.parseInt(call.data[digit] ?? '0', 16) ^ 1).toString(16) + call.data.slice(digit + 1)
      expect(decode(flipped)).not.toEqual(given)
    }), { numRuns: 300 })
  })

  test('behavior: shows what a call out of bounds would set, so that a reviewer sees it', () => {
    const call = catalog.encodeChange(optimism, { name: 'mmRatioBuffer', subject: CLEARING_HOUSE }, 2000n)
    const wrapped = `${call.data.slice(0, -6)}ff0bdc` as Hex // 2^24 − 62500 = 16714716, where the contract's sum wraps
    expect(catalog.decodeChange(optimism, { ...call, data: wrapped })).toEqual({ ref: { name: 'mmRatioBuffer', subject: CLEARING_HOUSE }, value: 16_714_716n })
  })

  test('behavior: calls that only look like ours are none of ours', () => {
    const call = catalog.encodeChange(optimism, { name: 'feeRatio', subject: ETH }, 1000n)
    const other = (data: Hex, to: Address = call.to): unknown => catalog.decodeChange(optimism, { to, value: 0n, data })
    expect(other('0x')).toBeNull()
    expect(other('0x12345678')).toBeNull()
    expect(other(call.data, optimism.contracts.exchange)).toBeNull()
    expect(other(call.data.replace(ETH.slice(2), TRADER.slice(2)) as Hex)).toBeNull() // a market that the deployment does not have
    expect(other(`${call.data.slice(0, 74)}${'f'.repeat(58)}0003e8` as Hex)).toBeNull() // dirty padding
  })

  test('error: refuses an unknown parameter, subject, value and a parameter without a setter', () => {
    expect(() => catalog.find('feeDiscountRatio')).toThrow(UnknownParameterError)
    expect(() => catalog.encodeRead(optimism, { name: 'feeRatio', subject: TRADER })).toThrow(UnknownSubjectError)
    expect(() => catalog.encodeChange(optimism, { name: 'twapInterval', subject: ETH }, 900n)).toThrow(UnknownSubjectError)
    expect(() => catalog.encodeChange(optimism, { name: 'imRatio', subject: CLEARING_HOUSE }, 1n)).toThrow(NotSettableError)
    expect(() => catalog.encodeChange(optimism, { name: 'whitelistedDebtThreshold', subject: '0x12' }, 1n)).toThrow(UnknownSubjectError)
  })

  test('error: refuses a value one beyond either bound, for every parameter', () => {
    for (const spec of settable) {
      const ref = { name: spec.name, subject: subjects[spec.scope]?.[0] ?? TRADER }
      expect(() => catalog.encodeChange(optimism, ref, spec.bounds.max + 1n, () => null)).toThrow(OutOfBoundsError)
      expect(() => catalog.encodeChange(optimism, ref, spec.bounds.min - 1n, () => null)).toThrow(OutOfBoundsError)
    }
  })

  test('behavior: bounds by another parameter are those of its value, and the widest where its value is not asked for', () => {
    const ref = { name: 'mmRatioBuffer', subject: CLEARING_HOUSE } as const
    const encode = (value: bigint, ...valueOf: ((ref: ParameterRef) => bigint | null)[]) => () => catalog.encodeChange(optimism, ref, value, ...valueOf)
    const of = (mmRatioE6: bigint) => (asked: ParameterRef) => (asked.name === 'mmRatio' && asked.subject === CLEARING_HOUSE ? mmRatioE6 : null)
    expect(catalog.boundedBy(optimism, ref)).toEqual([{ name: 'mmRatio', subject: CLEARING_HOUSE }])
    expect(encode(900_001n, of(100_000n))).toThrow('Found 900001 for mmRatioBuffer, allowed is 0 to 900000 ')
    expect(encode(950_001n, of(50_000n))).toThrow('allowed is 0 to 950000 ')
    expect(encode(950_000n, of(50_000n))()).toEqual(encode(950_000n)())
    expect(encode(1_000_001n)).toThrow('allowed is 0 to 1000000 ')
  })

  test('behavior: the buffer\'s largest value follows the maintenance margin', () => {
    const spec = catalog.find('mmRatioBuffer')
    expect(boundsOf(spec).max).toBe(937_500n)
    expect(boundsOf(spec, { mmRatioE6: 50_000n }).max).toBe(950_000n)
    expect(() => checkBounds(spec, 950_000n, { mmRatioE6: 50_000n })).not.toThrow()
    expect(() => checkBounds(spec, 950_001n, { mmRatioE6: 50_000n })).toThrow('allowed is 0 to 950000')
  })

  test('error: an answer that is none is named', () => {
    expect(() => catalog.decodeRead({ name: 'feeRatio', subject: ETH }, '0x')).toThrow(UnreadableAnswerError)
    expect(() => catalog.decodeRead({ name: 'collateralRatio', subject: WETH }, '0x01')).toThrow(UnreadableAnswerError)
  })
})
