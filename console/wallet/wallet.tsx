/**
 * The wallet in this browser, found by EIP-6963. The page has no RPC of its own: whatever it asks a chain goes through the wallet.
 * Nothing here belongs to the first page that is shown: it comes with the pages that sign.
 */
import { useMemo } from 'react'
import type { ReactNode } from 'react'
import { TransactionNotFoundError, TransactionReceiptNotFoundError, defineChain, keccak256 } from 'viem'
import type { Hex } from 'viem'
import { getCode, getTransaction, getTransactionReceipt } from 'viem/actions'
import { createSiweMessage } from 'viem/siwe'
import { WagmiContext, createConfig, createStorage, injected, unstable_connector, useConfig, useConnect, useConnection, useConnectors, useDisconnect } from 'wagmi'
import type { Config } from 'wagmi'
import { getConnectorClient, reconnect, sendTransaction, signMessage, signTypedData, switchChain } from 'wagmi/actions'
import { useAnswer } from '../data/client.ts'
import { signIn, signInNonce, useViewer } from '../data/session.ts'
import { StatusDocument } from '../generated/operations.ts'
import type { TypedData } from './safeTx.ts'
import { WalletError } from './words.ts'

let known: { readonly chainId: number; readonly config: Config } | undefined

/** One for the page: what is connected here is connected wherever a wallet is shown. */
function configFor(chainId: number, network: string): Config {
  if (known?.chainId === chainId) return known.config
  const chain = defineChain({ id: chainId, name: network, nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [] } } })
  const config = createConfig({
    chains: [chain],
    connectors: [injected()],
    multiInjectedProviderDiscovery: true,
    transports: { [chainId]: unstable_connector({ type: 'injected' }, { retryCount: 0 }) },
    storage: createStorage({ storage: localStorage, key: 'bulwark.wallet' }),
  })
  known = { chainId, config }
  // What was connected when the page was last open; the wallet is not asked anew.
  void reconnect(config)
  return config
}

/** Wallets for what is inside, on the network that the API serves. */
export function Wallets({ children, fallback = null }: { children: ReactNode; fallback?: ReactNode }) {
  const { data } = useAnswer(StatusDocument, {}, 'block')
  const status = data?.status
  const config = useMemo(() => (status ? configFor(status.chainId, status.network) : null), [status?.chainId, status?.network])
  // wagmi's own provider connects again whenever it is drawn.
  return config ? <WagmiContext.Provider value={config}>{children}</WagmiContext.Provider> : fallback
}

export type Wallet = {
  /** null: none is connected. */
  readonly account: Hex | null
  readonly name: string | null
  readonly network: string
  readonly chainId: number
  /** The wallet is on another chain than this page; its number. */
  readonly elsewhere: number | null
  /** Wallets that announced themselves. */
  readonly found: readonly { readonly id: string; readonly name: string; readonly connect: () => Promise<void> }[]
  readonly disconnect: () => void
  readonly switchNetwork: () => Promise<void>
  /** Signs in to the API with the connected account. */
  readonly signIn: () => Promise<void>
  readonly signTypedData: (data: TypedData) => Promise<Hex>
  readonly send: (transaction: { readonly to: Hex; readonly value: bigint; readonly data: Hex; readonly gas: bigint }) => Promise<Hex>
  /** keccak256 of a contract's code, as the wallet's own node has it; null where there is none. */
  readonly codeHash: (address: Hex) => Promise<Hex | null>
  /** How a transaction stands, as the wallet's own node tells it; null where that does not answer. */
  readonly standing: (hash: Hex) => Promise<Standing | null>
}

/** `unknown`: the node has no such transaction, mined or waiting. */
export type Standing = { readonly status: 'success' | 'reverted'; readonly block: bigint } | { readonly status: 'waiting' | 'unknown' }

export function useWallet(): Wallet {
  const config = useConfig()
  const { address, chainId: at, connector, status } = useConnection()
  const connectors = useConnectors()
  const { mutateAsync: connect } = useConnect()
  const { mutate: disconnect } = useDisconnect()
  const chain = config.chains[0]
  const account = status === 'connected' || status === 'reconnecting' ? (address ?? null) : null
  const named = connectors.filter(({ id }) => id !== 'injected')
  const plain = 'ethereum' in globalThis ? connectors.filter(({ id }) => id === 'injected') : []
  const on = (): { readonly account: Hex } => {
    if (account === null) throw new WalletError('Found no connected wallet, needed is one; connect it first')
    return { account }
  }
  return {
    account,
    name: connector?.name ?? null,
    network: chain.name,
    chainId: chain.id,
    elsewhere: account !== null && at !== undefined && at !== chain.id ? at : null,
    found: (named.length > 0 ? named : plain).map((each) => ({ id: each.uid, name: each.name, connect: async () => void (await connect({ connector: each })) })),
    disconnect: () => disconnect(),
    switchNetwork: async () => void (await switchChain(config, { chainId: chain.id })),
    signIn: async () => {
      const { nonce, chainId } = await signInNonce()
      const message = createSiweMessage({ address: on().account, chainId, domain: location.host, uri: location.origin, nonce, version: '1', issuedAt: new Date(), statement: 'Sign in to Bulwark. This moves nothing on chain.' })
      await signIn(message, await signMessage(config, { ...on(), message }))
    },
    signTypedData: (data) => signTypedData(config, { ...on(), ...data } as Parameters<typeof signTypedData>[1]),
    send: ({ to, value, data, gas }) => sendTransaction(config, { ...on(), to, value, data, gas, chainId: chain.id }),
    codeHash: async (address) => {
      // Of the wallet that is connected: wagmi's own reading client takes the first connector there is.
      const code = await getCode(await getConnectorClient(config), { address })
      return code === undefined ? null : keccak256(code)
    },
    standing: async (hash) => {
      try {
        const client = await getConnectorClient(config)
        try {
          const { status: how, blockNumber } = await getTransactionReceipt(client, { hash })
          return { status: how, block: blockNumber }
        } catch (error) {
          if (!(error instanceof TransactionReceiptNotFoundError)) throw error
          await getTransaction(client, { hash })
          return { status: 'waiting' }
        }
      } catch (error) {
        return error instanceof TransactionNotFoundError ? { status: 'unknown' } : null
      }
    },
  }
}

/** Who has signed in and with what: the account of the session is the one that the API asks about, the wallet's the one that signs. */
export function useSigner(): { readonly wallet: Wallet; readonly viewer: ReturnType<typeof useViewer>; readonly isWallets: boolean; readonly has: (role: 'STEWARD' | 'OWNER') => boolean } {
  const wallet = useWallet()
  const viewer = useViewer()
  return { wallet, viewer, isWallets: viewer != null && wallet.account !== null && viewer.address.toLowerCase() === wallet.account.toLowerCase(), has: (role) => viewer?.roles.includes(role) ?? false }
}
