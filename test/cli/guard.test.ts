import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hex } from 'viem'
import { freePort } from '../../core/ports.ts'
import { deployGuard, placeGuard } from '../../cli/guard.ts'
import { startAnvil } from '../../devnet/anvil.ts'
import type { Anvil } from '../../devnet/anvil.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { DEPLOYMENT_PROXY, GUARD_ADDRESS, PRECONDITION } from '../../proposals/guard.ts'

/** A chain that has nothing but accounts with ether. */
let anvil: Anvil
let stateDir: string
const key = devnetAccounts('spare', DEVNET_CHAIN_ID)[0]!.privateKey

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'bulwark-guard-'))
  anvil = await startAnvil({ port: await freePort(), stateDir })
  await anvil.rpc.call('evm_setAutomine', [true])
})
afterAll(async () => {
  await anvil?.stop()
  await rm(stateDir, { recursive: true, force: true })
})

test('behavior: is refused without the deployment proxy, then printed, then sent, then there already', async () => {
  await expect(placeGuard(anvil.url, key)).rejects.toThrow(`chain: chain ${DEVNET_CHAIN_ID} has no deterministic deployment proxy at ${DEPLOYMENT_PROXY}; put it there first, as `)
  // What the proxy's published transaction leaves on every chain.
  await anvil.rpc.call('anvil_setCode', [DEPLOYMENT_PROXY, '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'])
  const printed = await placeGuard(anvil.url, null)
  expect(printed).toEqual({ address: GUARD_ADDRESS, state: 'TO_SEND', transaction: { to: DEPLOYMENT_PROXY, data: `0x${'00'.repeat(32)}${PRECONDITION.bytecode.slice(2)}`, value: '0' }, txHash: null })
  expect(await anvil.rpc.call('eth_getCode', [GUARD_ADDRESS, 'latest'])).toBe('0x')
  expect(await placeGuard(anvil.url, key)).toMatchObject({ state: 'SENT', txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
  expect(await anvil.rpc.call<Hex>('eth_getCode', [GUARD_ADDRESS, 'latest'])).toBe(PRECONDITION.runtime)
  expect(await placeGuard(anvil.url, null)).toEqual({ address: GUARD_ADDRESS, state: 'PRESENT', transaction: null, txHash: null })
})

test('error: other code at its address is never taken for it', async () => {
  await anvil.rpc.call('anvil_setCode', [GUARD_ADDRESS, '0x00'])
  await expect(placeGuard(anvil.url, key)).rejects.toMatchObject({ code: 'GUARD_MISSING' })
})

test('error: a chain that does not answer is named without its address, and a wrong key without the key', async () => {
  await expect(placeGuard('http://127.0.0.1:20499/secret-key', key)).rejects.toThrow(/^chain: (?!.*secret-key)/)
  process.env['DEPLOYER_KEY'] = '0x1234'
  try {
    await expect(deployGuard(['--rpc-url', anvil.url])).rejects.toThrow(/^Found something else than a private key in DEPLOYER_KEY, (?!.*0x1234)/)
    await expect(deployGuard(['--rpc-url', 'ftp://x'])).rejects.toThrow('Found no http address of a chain')
    await expect(deployGuard(['--key', '0x12'])).rejects.toThrow('allowed are --rpc-url and --json')
  } finally {
    delete process.env['DEPLOYER_KEY']
  }
})
