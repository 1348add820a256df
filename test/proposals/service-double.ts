/**
 * A Safe Transaction Service on this machine that speaks the same HTTP as the real one, which is on the internet: paths, fields and
 * status codes of its v1 and v2 API as @safe-global/api-kit 5 asks for them. As the real one, it takes a transaction only with the
 * signature of an owner over the hash that its fields give.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { getAddress, recoverAddress, type Hex } from 'viem'
import { hashesOf, type SafeTx } from '../../proposals/safe.ts'
import type { Address } from '../../protocols/adapter.ts'

type Stored = { readonly fields: Record<string, unknown>; readonly safeTxHash: Hex; readonly nonce: number; readonly origin: unknown; confirmations: { owner: Address; signature: Hex; submissionDate: string }[]; executed: boolean }

export type ServiceDouble = {
  readonly url: string
  readonly stored: Map<Hex, Stored>
  /** Answers every request with this status until it is null again. */
  failWith: number | null
  close(): Promise<void>
}

export async function startServiceDouble(safe: { readonly chainId: number; readonly address: Address; readonly owners: readonly Address[]; nonce: () => Promise<bigint> }): Promise<ServiceDouble> {
  const stored = new Map<Hex, Stored>()
  const owners = new Set(safe.owners.map((owner) => getAddress(owner)))
  const fits = async (hash: Hex, signature: Hex): Promise<Address | null> => {
    const signer = await recoverAddress({ hash, signature }).catch(() => null)
    return signer !== null && owners.has(signer) ? signer : null
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = (status: number, body?: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? '' : JSON.stringify(body))
    if (double.failWith !== null) return answer(double.failWith, { detail: 'out of order' })
    const url = new URL(request.url ?? '/', 'http://x')
    const body = request.method === 'POST' ? ((await json(request)) as Record<string, unknown>) : {}
    const shown = (tx: Stored) => ({ ...tx.fields, safe: getAddress(safe.address), safeTxHash: tx.safeTxHash, isExecuted: tx.executed, origin: tx.origin, confirmationsRequired: 2, confirmations: tx.confirmations })
    const one = /^\/api\/v1\/multisig-transactions\/(0x[0-9a-f]{64})\/confirmations\/$/.exec(url.pathname)
    const whole = /^\/api\/v[12]\/multisig-transactions\/(0x[0-9a-f]{64})\/$/.exec(url.pathname)
    const list = /^\/api\/v2\/safes\/(0x[0-9a-fA-F]{40})\/multisig-transactions\/$/.exec(url.pathname)
    if (one !== null || whole !== null) {
      const tx = stored.get((one ?? whole)![1] as Hex)
      if (tx === undefined) return answer(404, { detail: 'Not found.' })
      if (whole !== null) return answer(200, shown(tx))
      if (request.method === 'GET') return answer(200, { count: tx.confirmations.length, next: null, previous: null, results: tx.confirmations })
      const owner = await fits(tx.safeTxHash, body['signature'] as Hex)
      if (owner === null) return answer(400, { nonFieldErrors: ['Signature does not match any owner'] })
      tx.confirmations = [...tx.confirmations.filter((each) => each.owner !== owner), { owner, signature: body['signature'] as Hex, submissionDate: '2026-01-01T00:00:00Z' }]
      return answer(201, { signature: body['signature'] })
    }
    if (list !== null) {
      if (list[1] !== getAddress(list[1] as Address)) return answer(422, { code: 1, message: 'Checksum address validation failed', arguments: [list[1]] })
      if (list[1] !== getAddress(safe.address)) return answer(404, { detail: 'Not found.' })
      if (request.method === 'GET') {
        const least = Number(url.searchParams.get('nonce__gte') ?? 0)
        const [limit, offset] = [Number(url.searchParams.get('limit') ?? 100), Number(url.searchParams.get('offset') ?? 0)]
        const all = [...stored.values()].filter((tx) => tx.nonce >= least && !tx.executed).toSorted((a, b) => b.nonce - a.nonce)
        return answer(200, { count: all.length, next: offset + limit < all.length ? 'more' : null, previous: null, results: all.slice(offset, offset + limit).map(shown) })
      }
      const { contractTransactionHash, sender, signature, origin, ...fields } = body
      const tx = { to: String(fields['to']).toLowerCase(), value: BigInt(String(fields['value'])), data: fields['data'] ?? '0x', operation: Number(fields['operation']), safeTxGas: BigInt(String(fields['safeTxGas'])), baseGas: BigInt(String(fields['baseGas'])), gasPrice: BigInt(String(fields['gasPrice'])), gasToken: fields['gasToken'], refundReceiver: fields['refundReceiver'], nonce: BigInt(String(fields['nonce'])) } as SafeTx
      const { safeTxHash } = hashesOf({ chainId: safe.chainId, safe: safe.address }, tx)
      if (safeTxHash !== contractTransactionHash) return answer(422, { nonFieldErrors: [`Contract-transaction-hash=${safeTxHash} does not match provided contract-tx-hash=${String(contractTransactionHash)}`] })
      if (tx.nonce < (await safe.nonce())) return answer(422, { nonFieldErrors: [`Nonce=${tx.nonce} already executed`] })
      const owner = await fits(safeTxHash, signature as Hex)
      if (owner === null || owner !== sender) return answer(422, { nonFieldErrors: [`Sender=${String(sender)} is not an owner`] })
      stored.set(safeTxHash, { fields, safeTxHash, nonce: Number(tx.nonce), origin, confirmations: [{ owner, signature: signature as Hex, submissionDate: '2026-01-01T00:00:00Z' }], executed: false })
      return answer(201)
    }
    if (url.pathname === `/api/v1/safes/${getAddress(safe.address)}/`) return answer(200, { address: getAddress(safe.address), nonce: String(await safe.nonce()), threshold: 2, owners: [...owners] })
    answer(404, { detail: 'Not found.' })
  }
  const server: Server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const double: ServiceDouble = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    stored,
    failWith: null,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return double
}
