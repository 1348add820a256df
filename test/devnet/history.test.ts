import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { decodeFunctionResult, encodeFunctionData, type Hex } from 'viem'
import { curie } from '../../devnet/artifacts.ts'
import { readHead, Signer } from '../../devnet/chain.ts'
import { deploymentText } from '../../devnet/deploy.ts'
import { generateHistory, type History, replay } from '../../devnet/history.ts'
import type { Address } from '../../protocols/curie/deployments.ts'
import { plan, withChain } from './world.ts'

const SHORT = { days: 0.25, seed: 1 }
const nobody = () => undefined

describe('a short history', () => {
  let history: History
  const generate = async (seed: number): Promise<History> => {
    const world = await plan()
    return withChain((anvil) => generateHistory({ rpc: anvil.rpc, ...world, signer: new Signer() }, { ...SHORT, seed }, nobody))
  }

  test('behavior: the same seed ends in the same head hash', async () => {
    history = await generate(1)
    expect((await generate(1)).head).toEqual(history.head)
  })

  test('behavior: another seed ends in another head hash', async () => {
    expect((await generate(2)).head.hash).not.toBe(history.head.hash)
  })

  test('behavior: replaying the recorded blocks ends in the same head hash, and the Safe owns every contract', async () => {
    await withChain(async ({ rpc }) => {
      await replay(rpc, history, nobody)
      expect(await readHead(rpc)).toEqual(history.head)

      const { deployment, tools } = (await plan()).plan
      const c = deployment.contracts
      const owned: Address[] = [
        ...Object.values(c), ...deployment.markets.flatMap((m) => [m.baseToken, m.priceFeed]), tools.uniswapFactory, tools.delegateApproval, tools.surplusBeneficiary,
      ]
      const { abi } = curie('Vault')
      const data = encodeFunctionData({ abi, functionName: 'owner' })
      const owners = (await rpc.batch(owned.map((to) => ['eth_call', [{ to, data }, 'latest']]))) as Hex[]
      expect(owners.map((o) => decodeFunctionResult({ abi, functionName: 'owner', data: o }))).toEqual(owned.map(() => deployment.safe?.address))

      // Every proxy's admin is the ProxyAdmin (EIP-1967 slot).
      const adminSlot = '0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103'
      const { proxyAdmin, ...proxies } = c
      const proxied = [...Object.values(proxies), ...deployment.markets.map((m) => m.baseToken)]
      const admins = (await rpc.batch(proxied.map((to) => ['eth_getStorageAt', [to, adminSlot, 'latest']]))) as Hex[]
      expect(admins.map((a) => a.slice(-40))).toEqual(proxied.map(() => proxyAdmin.slice(2).toLowerCase()))
    })
  })

  test('error: a recorded block that is missing is found by the hash', async () => {
    await withChain(async ({ rpc }) => {
      const shortened = { ...history, blocks: history.blocks.slice(0, -1) }
      await expect(replay(rpc, shortened, nobody)).rejects.toThrow(/the replayed history ends at block/)
    })
  })
})

test('behavior: the committed addresses are those that the sources deploy', async () => {
  expect(deploymentText((await plan()).plan.deployment)).toBe(readFileSync('protocols/curie/devnet.json', 'utf8'))
})
