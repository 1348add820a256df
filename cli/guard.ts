/** `npm run bulwark -- deploy-guard`: the precondition contract onto a network that does not have it yet, once and by anybody. */
import { parseArgs } from 'node:util'
import { BaseError, createPublicClient, createWalletClient, http, isHex, size } from 'viem'
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { BadInputError, UnavailableError } from '../core/errors.ts'
import { endpointOf } from '../core/endpoint.ts'
import { DEPLOYMENT_PROXY, GUARD_ADDRESS, assertGuard, guardDeployment } from '../proposals/guard.ts'
import { receiptOf } from '../proposals/receipt.ts'
import { loadEnvFile } from './options.ts'

/** Where the key of a paying account may stand; never on the command line, where others can read it. */
const KEY_VARIABLE = 'DEPLOYER_KEY'

export type GuardDeployment = { readonly address: Hex; readonly state: 'PRESENT' | 'SENT' | 'TO_SEND'; readonly transaction: { readonly to: Hex; readonly data: Hex; readonly value: '0' } | null; readonly txHash: Hex | null }

/** Prints the transaction that deploys it, or sends it where DEPLOYER_KEY is set; says so where the contract is there already. */
export async function deployGuard(args: readonly string[]): Promise<void> {
  loadEnvFile()
  let values: { 'rpc-url'?: string; json?: boolean }
  try {
    ;({ values } = parseArgs({ args: [...args], options: { 'rpc-url': { type: 'string' }, json: { type: 'boolean' } } }))
  } catch (error) {
    throw new BadInputError(`Found ${(error as Error).message.split('. ')[0]}, allowed are --rpc-url and --json; correct the command line`)
  }
  const rpcUrl = values['rpc-url'] ?? (process.env['RPC_URL'] || undefined)
  if (rpcUrl === undefined || !URL.canParse(rpcUrl) || !['http:', 'https:'].includes(new URL(rpcUrl).protocol)) throw new BadInputError('Found no http address of a chain, needed is one in --rpc-url or RPC_URL; give it')
  const key = process.env[KEY_VARIABLE] || null
  if (key !== null && (!isHex(key) || size(key) !== 32)) throw new BadInputError(`Found something else than a private key in ${KEY_VARIABLE}, allowed are 32 bytes in hex with 0x before them; correct it, or leave it out to have the transaction printed`)
  const done = await placeGuard(rpcUrl, key)
  if (values.json === true) process.stdout.write(`${JSON.stringify(done)}\n`)
  else if (done.state === 'TO_SEND') process.stdout.write(`Send this from any account of the network:\n  to    ${done.transaction!.to}\n  value 0\n  data  ${done.transaction!.data}\nIt puts the precondition contract at ${done.address}. With ${KEY_VARIABLE} set, this command sends it.\n`)
  else process.stdout.write(`The precondition contract is at ${done.address}${done.txHash === null ? ' already' : `, by transaction ${done.txHash}`}.\n`)
}

/** Throws UnavailableError where the chain does not answer, lacks the deployment proxy, or refuses the transaction. */
export async function placeGuard(rpcUrl: string, key: Hex | null): Promise<GuardDeployment> {
  const { url, headers } = endpointOf(rpcUrl)
  const transport = http(url, { fetchOptions: { headers } })
  const client = createPublicClient({ transport, cacheTime: 0 })
  try {
    const chainId = await client.getChainId()
    if (await client.getCode({ address: GUARD_ADDRESS }).then((code) => code !== undefined)) {
      await assertGuard(client, `with chain id ${chainId}`)
      return { address: GUARD_ADDRESS, state: 'PRESENT', transaction: null, txHash: null }
    }
    if ((await client.getCode({ address: DEPLOYMENT_PROXY })) === undefined) {
      throw new UnavailableError({ part: 'chain', found: `chain ${chainId} has no deterministic deployment proxy at ${DEPLOYMENT_PROXY}`, action: 'put it there first, as https://github.com/Arachnid/deterministic-deployment-proxy says' })
    }
    const call = guardDeployment()
    const transaction = { to: call.to, data: call.data, value: '0' as const }
    if (key === null) return { address: GUARD_ADDRESS, state: 'TO_SEND', transaction, txHash: null }
    const wallet = createWalletClient({ account: privateKeyToAccount(key), transport })
    const txHash = await wallet.sendTransaction({ chain: null, to: call.to, data: call.data })
    const receipt = await receiptOf(client, txHash, { timeoutMs: 120_000, everyMs: 250 })
    if (receipt === null) throw new UnavailableError({ part: 'chain', found: `transaction ${txHash} is not mined after 120 s`, action: 'do not send it again: look whether it is there later' })
    if (receipt.status !== 'success') throw new UnavailableError({ part: 'chain', found: `transaction ${txHash} reverted`, action: 'look at it on the chain, and try again with more gas' })
    await assertGuard(client, `with chain id ${chainId}`)
    return { address: GUARD_ADDRESS, state: 'SENT', transaction, txHash }
  } catch (error) {
    // Without the cause, whose text names the RPC's URL and its key.
    if (error instanceof BaseError) throw new UnavailableError({ part: 'chain', found: error.shortMessage, action: 'check that the chain runs, and that the account can pay' })
    throw error
  }
}
