import { describe, expect, test } from '@jest/globals'
import { isArchived } from '../../devnet/archive.ts'
import { devnetAccounts, ROLES } from '../../devnet/keys.ts'

describe('keys', () => {
  test('default: the first account is the one that anvil publishes', () => {
    expect(devnetAccounts('deployer', 31337)[0]).toEqual({
      address: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
      privateKey: '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
    })
  })
  test('error: refuses every other chain', () => {
    expect(() => devnetAccounts('safeOwner', 10)).toThrow('Found chain id 10, allowed is 31337')
  })
  test('behavior: no account has two roles', () => {
    const all = Object.values(ROLES).flat()
    expect(new Set(all).size).toBe(all.length)
  })
})

describe('archive', () => {
  const hash = `0x${'ab'.repeat(32)}`
  const blocks = { last: 10, hashes: new Set([hash]) }
  const call = (block: unknown) => ({ method: 'eth_call', params: [{ to: '0x00' }, block] })

  test('behavior: takes state reads of the first blocks, by number, by hash, by object', () => {
    for (const block of ['0x0', '0xa', hash, { blockHash: hash }, { blockNumber: '0x2' }]) expect(isArchived(call(block), blocks)).toBe(true)
    expect(isArchived({ method: 'eth_getStorageAt', params: ['0x00', '0x0', '0x3'] }, blocks)).toBe(true)
  })
  test('behavior: leaves everything else to the living chain', () => {
    for (const block of ['0xb', 'latest', undefined, `0x${'cd'.repeat(32)}`, { blockNumber: '0xff' }]) expect(isArchived(call(block), blocks)).toBe(false)
    expect(isArchived({ method: 'eth_getBlockByNumber', params: ['0x1', false] }, blocks)).toBe(false)
    expect(isArchived({}, blocks)).toBe(false)
  })
})
