import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { floorManifest, floorMapping, rowsFor } from './floor.ts'
import { handlersOf, parseManifest } from './triggers.ts'

const MANIFEST = `specVersion: 1.3.0
indexerHints: { prune: never }
schema: { file: ./schema.graphql }
dataSources:
  - kind: ethereum
    name: Vault
    network: devnet
    source: { address: '0x00000000000000000000000000000000000000Aa', abi: Vault, startBlock: 5 }
    mapping:
      file: ./src/mapping.ts
      abis: [{ name: Vault, file: ./abis/Vault.json }, { name: ERC20, file: ./abis/ERC20.json }]
      eventHandlers:
        - event: Deposited(indexed address,indexed address,uint256)
          handler: handleDeposited
          topic1: ['0x00000000000000000000000000000000000000cc']
          calls: { price: 'Vault[event.address].price()' }
        - { event: 'Paused(address)', handler: handlePaused }
templates:
  - kind: ethereum
    name: Feed
    network: devnet
    source: { abi: Feed }
    mapping:
      file: ./src/mapping.ts
      abis: [{ name: Feed, file: ./abis/Feed.json }]
      eventHandlers: [{ event: 'Updated(uint256)', handler: handleUpdated }]
`
const manifest = parseManifest(MANIFEST)
const instances = [
  { manifestIndex: 1, address: '0x00000000000000000000000000000000000000F1', fromBlock: 7 },
  { manifestIndex: 1, address: '0x00000000000000000000000000000000000000F2', fromBlock: 9 },
]
const floor = floorManifest(manifest, instances)

describe('floorManifest', () => {
  test('behavior: has every event at every address, and a data source of its own for each instance of a template', () => {
    expect(handlersOf(floor).map(({ dataSource, address, startBlock, event }) => [dataSource, address, startBlock, event])).toEqual([
      ['Vault', '0x00000000000000000000000000000000000000aa', 5, 'Deposited(indexed address,indexed address,uint256)'],
      ['Vault', '0x00000000000000000000000000000000000000aa', 5, 'Paused(address)'],
      ['Feed0', '0x00000000000000000000000000000000000000f1', 7, 'Updated(uint256)'],
      ['Feed1', '0x00000000000000000000000000000000000000f2', 9, 'Updated(uint256)'],
    ])
    expect(floor.templates).toBeUndefined()
  })
  test('behavior: keeps topic filters and pruning, and declares no calls', () => {
    const [vault] = floor.dataSources
    expect(vault?.mapping.eventHandlers?.[0]).toEqual({ event: 'Deposited(indexed address,indexed address,uint256)', handler: 'handle0', topic1: ['0x00000000000000000000000000000000000000cc'] })
    expect(floor.indexerHints).toEqual({ prune: 'never' })
  })
  test('behavior: each handler of ours has one of its own, which the mapping exports', () => {
    const mapping = floorMapping(handlersOf(manifest).length, { facts: 1, states: 0, samples: 0 })
    for (const { handler } of handlersOf(floor)) expect(mapping).toContain(`export function ${handler}(event: ethereum.Event)`)
    expect(handlersOf(floor).map(({ handler }) => handler)).toEqual(['handle0', 'handle1', 'handle2', 'handle2'])
  })
})

describe('rowsFor', () => {
  test('property: is the whole part of the rate, or one more', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 8, noNaN: true }), fc.nat(2), fc.nat(1_000_000), fc.nat(2_000), (rate, kind, block, index) => {
        const permille = Math.round(rate * 1_000)
        expect([Math.floor(permille / 1_000), Math.ceil(permille / 1_000)]).toContain(rowsFor(rate, kind, block, index))
      }),
    )
  })
  test('behavior: adds up to the rate over the logs of a chain, within five per cent', () => {
    for (const rate of [0.123, 0.912, 1.5, 2.34]) {
      let rows = 0
      for (let block = 1; block <= 500; block++) for (let index = 3; index < 43; index += 2) rows += rowsFor(rate, 1, block, index)
      expect(Math.abs(rows / 10_000 / rate - 1)).toBeLessThan(0.05)
    }
  })
})
