import { pbkdf2Sync } from 'node:crypto'
import { type Hex, toHex } from 'viem'
import { HDKey, privateKeyToAccount } from 'viem/accounts'
import { BadInputError } from '../core/errors.ts'
import type { Address } from '../protocols/curie/deployments.ts'

/** The mnemonic that anvil and hardhat publish: whoever reads this knows its keys, so they guard nothing of worth. */
export const MNEMONIC = 'test test test test test test test test test test test junk'

/** Chain id of the devnet, and the only one for which a key is handed out. */
export const DEVNET_CHAIN_ID = 31337

/** How many accounts anvil funds; every role below lies within. */
export const ACCOUNT_COUNT = 80

/** What each derivation index (m/44'/60'/0'/0/i) is for. */
export const ROLES = {
  deployer: [0],
  safeOwner: [1, 2, 3],
  keeper: [4],
  donor: [5],
  maker: [6, 7, 8, 9, 10],
  liquidator: [11, 12],
  arbitrageur: [13],
  taker: range(14, 64),
  /** Left to people: no script uses them. */
  spare: range(70, 80),
} as const

export type Role = keyof typeof ROLES
export type DevnetAccount = { readonly address: Address; readonly privateKey: Hex }

/**
 * The accounts of a role, with their private keys.
 * Throws BadInputError unless `chainId` is the devnet's: these keys are public, anything they own elsewhere is lost.
 */
export function devnetAccounts(role: Role, chainId: number): readonly DevnetAccount[] {
  if (chainId !== DEVNET_CHAIN_ID) {
    throw new BadInputError(`Found chain id ${chainId}, allowed is ${DEVNET_CHAIN_ID} (the devnet): its keys are public, sign with a wallet of your own instead`, { chainId })
  }
  return ROLES[role].map(account)
}

/** Whether an address is one of the test mnemonic's, whose keys everybody has. */
export const isPublicAccount = (address: string): boolean => Array.from({ length: ACCOUNT_COUNT }, (_, i) => account(i).address.toLowerCase()).includes(address.toLowerCase())

const accounts = new Map<number, DevnetAccount>()
let branch: HDKey | undefined

function account(index: number): DevnetAccount {
  const known = accounts.get(index)
  if (known !== undefined) return known
  branch ??= HDKey.fromMasterSeed(pbkdf2Sync(MNEMONIC, 'mnemonic', 2048, 64, 'sha512')).derive("m/44'/60'/0'/0")
  const key = branch.deriveChild(index).privateKey
  if (key === null) throw new BadInputError(`Found no key at index ${index}, allowed are 0 to ${ACCOUNT_COUNT - 1}`)
  const privateKey = toHex(key)
  const derived = { address: privateKeyToAccount(privateKey).address, privateKey }
  accounts.set(index, derived)
  return derived
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
