/**
 * A wallet for tests in a browser: an EIP-1193 provider that announces itself by EIP-6963. What it is asked is answered here, in
 * Node, by accounts whose keys the devnet publishes and by the devnet's RPC. It asks nobody, unless a test tells it to refuse.
 */
import { createWalletClient, http, isHex } from 'viem'
import type { Hex } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import type { Page } from 'playwright-core'
import { DEVNET_CHAIN_ID } from '../../devnet/keys.ts'

export type TestWallet = {
  /** Every method that the page asked, in order. */
  readonly asked: readonly string[]
  /** Another account is chosen in the wallet. */
  use(account: PrivateKeyAccount): Promise<void>
  /** Another network is chosen in the wallet. */
  goTo(chainId: number): Promise<void>
  /** The next request that a person would be asked about is refused. */
  refuseNext(): void
  /** The next such request errs with this, `afterwards`: once it was done. */
  failNext(code: number, message: string, afterwards?: boolean): void
  /** The next such request is not answered until what is returned is called. */
  holdNext(): () => void
}

type Asked = { readonly method: string; readonly params?: readonly unknown[] }
type Reply = { readonly result: unknown } | { readonly error: { readonly code: number; readonly message: string } }

/** What a wallet shows its owner before it answers. */
const PROMPTED = new Set(['eth_requestAccounts', 'wallet_requestPermissions', 'wallet_switchEthereumChain', 'personal_sign', 'eth_signTypedData_v4', 'eth_sendTransaction'])

class Refusal extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** A node of the test's own, and the address of one. */
type Node = { readonly rpcUrl: string } | { readonly node: (method: string, params: readonly unknown[]) => unknown }

/** Puts a wallet into a page before anything of the page runs. `accounts[0]` is chosen. */
export async function injectWallet(page: Page, { accounts, chainId = DEVNET_CHAIN_ID, ...node }: Node & { readonly accounts: readonly [PrivateKeyAccount, ...PrivateKeyAccount[]]; readonly chainId?: number }): Promise<TestWallet> {
  const asked: string[] = []
  let chosen = accounts[0]
  let chain = chainId
  let connected = false
  let fault: { readonly refusal: Refusal; readonly afterwards: boolean } | null = null
  let held: Promise<void> | null = null
  const tell = (event: string, payload: unknown): Promise<void> => page.evaluate(([name, value]) => (globalThis as unknown as { testWalletTells: (name: unknown, value: unknown) => void }).testWalletTells(name, value), [event, payload] as const)
  const hexChain = (): Hex => `0x${chain.toString(16)}`
  const signer = (address: unknown): PrivateKeyAccount => {
    if (!connected || String(address).toLowerCase() !== chosen.address.toLowerCase()) throw new Refusal(4100, 'The requested account has not been authorised')
    return chosen
  }
  const pass = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    if ('node' in node) return node.node(method, params)
    const response = await fetch(node.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
    const answer = (await response.json()) as { result?: unknown; error?: { code: number; message: string } }
    if (answer.error !== undefined) throw new Refusal(answer.error.code, answer.error.message)
    return answer.result
  }

  const answer = async (request: Asked): Promise<unknown> => {
    asked.push(request.method)
    const [now, wait] = PROMPTED.has(request.method) ? [fault, held] : [null, null]
    if (now !== null) fault = null
    if (wait !== null) held = null
    await wait
    if (now !== null && !now.afterwards) throw now.refusal
    const result = await done(request)
    if (now !== null) throw now.refusal
    return result
  }
  const done = async ({ method, params = [] }: Asked): Promise<unknown> => {
    switch (method) {
      case 'eth_requestAccounts':
        connected = true
        return [chosen.address]
      case 'wallet_requestPermissions':
        connected = true
        return [{ parentCapability: 'eth_accounts', caveats: [{ type: 'restrictReturnedAccounts', value: [chosen.address] }] }]
      case 'wallet_revokePermissions':
        connected = false
        return null
      case 'eth_accounts':
        return connected ? [chosen.address] : []
      case 'eth_chainId':
        return hexChain()
      case 'net_version':
        return String(chain)
      case 'wallet_switchEthereumChain':
        chain = Number((params[0] as { chainId: Hex }).chainId)
        await tell('chainChanged', hexChain())
        return null
      case 'personal_sign': {
        const [message, address] = params as [string, string]
        return signer(address).signMessage({ message: isHex(message) ? { raw: message } : message })
      }
      case 'eth_signTypedData_v4': {
        const [address, text] = params as [string, string]
        const typed = JSON.parse(text) as Parameters<PrivateKeyAccount['signTypedData']>[0] & { domain: { chainId?: number | string } }
        // As real wallets do: data for another chain than the one chosen is not signed.
        if (Number(typed.domain.chainId) !== chain) throw new Refusal(-32603, `Provided chainId "${typed.domain.chainId}" must match the active chainId "${chain}"`)
        return signer(address).signTypedData(typed)
      }
      case 'eth_sendTransaction': {
        const { from, to, data, value, gas } = params[0] as { from: Hex; to: Hex; data?: Hex; value?: Hex; gas?: Hex }
        const account = signer(from)
        if ('node' in node) return node.node(method, params)
        const client = createWalletClient({ account, transport: http(node.rpcUrl) })
        return client.sendTransaction({ chain: null, to, ...(data === undefined ? {} : { data }), value: BigInt(value ?? 0), ...(gas === undefined ? {} : { gas: BigInt(gas) }) })
      }
      default:
        if (/^(eth_(get|call|estimateGas|blockNumber|gasPrice|feeHistory|maxPriorityFeePerGas)|web3_)/.test(method)) return pass(method, params)
        throw new Refusal(4200, `The wallet does not know ${method}`)
    }
  }

  await page.exposeBinding('testWalletAsk', async (_, request: Asked): Promise<Reply> => {
    try {
      return { result: await answer(request) }
    } catch (error) {
      return { error: { code: error instanceof Refusal ? error.code : -32603, message: error instanceof Error ? error.message : String(error) } }
    }
  })
  await page.addInitScript(() => {
    const there = globalThis as unknown as { testWalletAsk: (request: Asked) => Promise<Reply>; testWalletTells: (name: string, value: unknown) => void }
    const listeners = new Map<string, Set<(value: unknown) => void>>()
    const provider = {
      request: async ({ method, params }: Asked) => {
        const reply = await there.testWalletAsk(params === undefined ? { method } : { method, params })
        if ('error' in reply) throw Object.assign(new Error(reply.error.message), { code: reply.error.code })
        return reply.result
      },
      on: (name: string, listener: (value: unknown) => void) => {
        listeners.set(name, (listeners.get(name) ?? new Set()).add(listener))
        return provider
      },
      removeListener: (name: string, listener: (value: unknown) => void) => {
        listeners.get(name)?.delete(listener)
        return provider
      },
    }
    there.testWalletTells = (name, value) => { for (const listener of listeners.get(name) ?? []) listener(value) }
    const info = Object.freeze({ uuid: '0b9d1c5e-6a0f-4d0e-9f0d-2c1f5b7a9e31', name: 'Test wallet', rdns: 'test.bulwark.wallet', icon: 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"/>' })
    const announce = (): boolean => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }))
    addEventListener('eip6963:requestProvider', announce)
    announce()
  })

  return {
    asked,
    use: async (account) => {
      chosen = account
      if (connected) await tell('accountsChanged', [account.address])
    },
    goTo: async (next) => {
      chain = next
      await tell('chainChanged', hexChain())
    },
    refuseNext: () => void (fault = { refusal: new Refusal(4001, 'User rejected the request.'), afterwards: false }),
    failNext: (code, message, afterwards = false) => void (fault = { refusal: new Refusal(code, message), afterwards }),
    holdNext: () => {
      let answer = (): void => {}
      held = new Promise((resolve) => { answer = resolve })
      return answer
    },
  }
}
