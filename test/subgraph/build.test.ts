import { describe, expect, test } from '@jest/globals'
import { readFileSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { deployments, devnet, optimism } from '../../protocols/curie/deployments.ts'
import { abiOf, buildSubgraph, eventSignature, renderManifest, renderNetwork } from '../../subgraph/build.ts'
import { networksOf, optimismCreationBlocks, readNetworks } from '../../subgraph/networks.ts'

const manifest = readFileSync(join(import.meta.dirname, '../../subgraph/curie/subgraph.yaml'), 'utf8')

describe('networks.json', () => {
  test('behavior: is what the deployments and the creation blocks on record give', () => {
    expect(readNetworks()).toEqual(networksOf(Object.values(deployments), optimismCreationBlocks()))
  })

  test('behavior: starts each contract of Optimism at the block of its creation', () => {
    // contracts.Vault and contracts.CollateralManager in the deployments package's metadata.json.
    expect(readNetworks()['optimism']?.['Vault']?.startBlock).toBe(513580)
    expect(readNetworks()['optimism']?.['CollateralManager']?.startBlock).toBe(6465083)
  })
})

describe('renderManifest', () => {
  test.each([devnet, optimism])('behavior: leaves no placeholder for $network', (deployment) => {
    const rendered = renderManifest(manifest.replace(/^#.*$/gm, ''), deployment)
    expect(rendered).not.toContain('{{')
    expect(rendered).toContain(deployment.contracts.vault.toLowerCase())
  })

  test('behavior: starts at the deployment when an address is not the recorded one', () => {
    const moved = { ...optimism, contracts: { ...optimism.contracts, vault: '0x00000000000000000000000000000000000000aa' as const } }
    const rendered = renderManifest("{{vault.address}} {{vault.startBlock}} {{exchange.startBlock}}", moved)
    expect(rendered).toBe(`0x00000000000000000000000000000000000000aa ${optimism.startBlock} 513559`)
  })

  test('error: refuses a placeholder that nothing fills', () => {
    expect(() => renderManifest('{{vault.adress}}', devnet)).toThrow('Found {{vault.adress}} in the manifest')
  })

  test('behavior: handles only events that the deployed ABIs have, with the same arguments', async () => {
    const sources = manifest.split(/^  - kind: ethereum$/m).slice(1)
    expect(sources).toHaveLength(19)
    for (const source of sources) {
      const name = /source:[^]*?abi: (\w+)/.exec(source)?.[1] ?? ''
      const signatures = (await abiOf(name)).filter((item) => item.type === 'event').map(eventSignature)
      for (const [, event] of source.matchAll(/- event: (.+)/g)) expect(signatures).toContain(event)
    }
  })
})

describe('renderNetwork', () => {
  test('behavior: names a feed behind a dispatcher, and none where the market asks the feed itself', () => {
    const rendered = renderNetwork(optimism)
    // vLUNA closed before dispatchers existed; vETH asks one.
    const veth = optimism.markets.find((market) => market.symbol === 'vETH')
    const direct = optimism.markets.find((market) => market.priceFeed === market.chainlinkFeed)
    const feeds = /FEEDS: string\[\] = (.*)/.exec(rendered)?.[1] ?? ''
    expect(feeds).toContain(`"${veth?.priceFeed.toLowerCase()}","${veth?.chainlinkFeed.toLowerCase()}"`)
    expect(direct).toBeDefined()
    expect(feeds).not.toContain(direct?.chainlinkFeed.toLowerCase())
  })
})

describe('buildSubgraph', () => {
  test('error: refuses a network that is not the deployment\'s', async () => {
    await expect(buildSubgraph({ network: 'optimism', deployment: devnet, cacheDir: tmpdir() })).rejects.toThrow('Found network "optimism" with the deployment of "devnet"')
  })

  test('behavior: has one path for one content, answers at once the second time, and leaves nothing half built', async () => {
    const cacheDir = join(import.meta.dirname, '../../.bulwark/cache')
    const first = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
    const started = performance.now()
    const second = await buildSubgraph({ network: 'devnet', deployment: devnet, cacheDir })
    expect(second).toEqual(first)
    expect(performance.now() - started).toBeLessThan(2000)
    expect(readFileSync(first.manifest, 'utf8')).toContain(devnet.contracts.vault.toLowerCase())
    expect(readdirSync(first.dir)).not.toContain('node_modules')
    expect(readdirSync(cacheDir).filter((name) => name.startsWith(`${basename(first.dir)}.`))).toEqual([])
  }, 180_000)
})
