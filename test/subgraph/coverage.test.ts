import { describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { coverageOf, generatedManifest, handlersOf, readExcuses } from '../../subgraph/coverage.ts'
import { testedEvents } from '../../subgraph/test.ts'

const PROJECT = join(import.meta.dirname, '../..')
const require = createRequire(import.meta.url)
const manifest = generatedManifest()
const excuses = readExcuses()

/** Events of a deployed contract, counted without the code under test. */
function eventNames(artifact: string): readonly string[] {
  const { abi } = JSON.parse(readFileSync(require.resolve(`@perp/curie-deployments/optimism/core/artifacts/${artifact}`), 'utf8')) as { abi: { type: string; name: string }[] }
  return abi.filter((item) => item.type === 'event').map((item) => item.name).toSorted()
}

describe('coverage', () => {
  test('default: every event of every ABI is indexed or excused', async () => {
    const coverage = await coverageOf(manifest, excuses)
    expect(coverage.missing).toEqual([])
    expect(coverage.indexed + coverage.excused).toBe(coverage.events)
  })

  test.each([
    ...['ClearingHouse', 'Vault', 'InsuranceFund', 'ClearingHouseConfig', 'MarketRegistry', 'Exchange', 'OrderBook', 'CollateralManager', 'AccountBalance', 'BaseToken'].map((name) => [name, `contracts/${name}.sol/${name}.json`]),
    ...['PriceFeedDispatcher', 'ChainlinkPriceFeedV3'].map((name) => [name, `oracle-contracts/contracts/${name}.sol/${name}.json`]),
  ])('behavior: counts every event that %s has', async (abi = '', artifact = '') => {
    const { byAbi } = await coverageOf(manifest, excuses)
    const counted = [...(byAbi[abi]?.indexed ?? []), ...(byAbi[abi]?.excused ?? []).map((excuse) => excuse.event)].map((event) => event.replace(/\(.*/, ''))
    const ofProxy = ['Upgraded', 'AdminChanged']
    expect(counted.filter((name) => !ofProxy.includes(name)).toSorted()).toEqual(eventNames(artifact))
  })

  test('behavior: names an event that is neither indexed nor excused', async () => {
    const without = manifest.replace(/ {8}- event: BadDebtSettled.*\n.*\n/, '')
    expect(without).not.toBe(manifest)
    expect((await coverageOf(without, excuses)).missing).toEqual([{ abi: 'Vault', event: 'BadDebtSettled(indexed address,uint256)' }])
  })

  test('error: refuses an excuse of an event that is indexed', async () => {
    const excuse = { abi: 'Vault', event: 'BadDebtSettled(indexed address,uint256)', reason: 'none' }
    await expect(coverageOf(manifest, [...excuses, excuse])).rejects.toThrow('Found an excuse of Vault.BadDebtSettled(indexed address,uint256), which is indexed')
  })

  test('error: refuses an excuse of an event that no ABI has', async () => {
    await expect(coverageOf(manifest, [...excuses, { abi: 'Vault', event: 'Emptied()', reason: 'none' }])).rejects.toThrow('Found an excuse of Vault.Emptied()')
    await expect(coverageOf(manifest, [...excuses, { abi: 'Bank', event: 'Emptied()', reason: 'none' }])).rejects.toThrow('Found an excuse of Bank.Emptied()')
  })

  test('error: refuses an excuse that gives no reason, and one that is made twice', async () => {
    const [first, ...rest] = excuses
    if (first === undefined) throw new Error('there is an excuse')
    await expect(coverageOf(manifest, [{ ...first, reason: ' ' }, ...rest])).rejects.toThrow('without a reason')
    await expect(coverageOf(manifest, [...excuses, first])).rejects.toThrow('Found 2 excuses')
  })

  test('behavior: the command prints the counts, and ends with 0 while nothing is missing', async () => {
    const run = spawnSync(process.execPath, ['--import', 'tsx', 'subgraph/coverage.ts', '--json'], { cwd: PROJECT, encoding: 'utf8' })
    const { events, indexed, excused } = await coverageOf(manifest, excuses)
    expect(JSON.parse(run.stdout)).toEqual({ events, indexed, excused, missing: [] })
    expect(run.status).toBe(0)
  }, 30_000)
})

describe('handlers', () => {
  test('behavior: every event that the manifest handles is sent by some mapping test', async () => {
    const tested = await testedEvents()
    const handled = [...handlersOf(manifest)].flatMap(([abi, handlers]) => [...handlers.keys()].map((event) => `${abi}.${event}`))
    expect(handled.filter((event) => !tested.has(event))).toEqual([])
  })

  test('behavior: every handler that the manifest names is exported, and every one that is exported is named', () => {
    const exported = [...readFileSync(join(PROJECT, 'subgraph/curie/src/mapping.ts'), 'utf8').matchAll(/\bhandle\w+/g)].map(([name]) => name)
    const named = [...handlersOf(manifest).values()].flatMap((handlers) => [...handlers.values()].flat())
    expect([...new Set(exported)].toSorted()).toEqual([...new Set(named)].toSorted())
  })
})
