/** Sign-In with Ethereum at our API, by an account whose key is at hand. */
import type { LocalAccount } from 'viem'
import { createSiweMessage } from 'viem/siwe'
import { UnavailableError } from '../core/errors.ts'
import { ApiError } from './graphql.ts'

/** A session's token, good for half an hour. Throws ApiError with the API's sentence, UnavailableError where it does not answer. */
export async function signIn(apiUrl: string, account: Pick<LocalAccount, 'address' | 'signMessage'>): Promise<string> {
  const { nonce, chainId } = await post<{ nonce: string; chainId: number }>(apiUrl, 'nonce', {})
  const message = createSiweMessage({ address: account.address, chainId, domain: new URL(apiUrl).host, uri: new URL(apiUrl).origin, nonce, version: '1', issuedAt: new Date(), statement: 'Sign in to Bulwark. This moves nothing on chain.' })
  const { token } = await post<{ token: string }>(apiUrl, 'sign-in', { message, signature: await account.signMessage({ message }) })
  return token
}

async function post<T>(apiUrl: string, path: string, body: object): Promise<T> {
  let answer: T & { errors?: { message: string; extensions?: { code?: string } }[] }
  try {
    const response = await fetch(`${apiUrl}/auth/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    answer = (await response.json()) as typeof answer
  } catch (error) {
    throw new UnavailableError({ part: 'API', found: `no answer at ${apiUrl}`, action: 'see whether it runs (npm start)' }, error)
  }
  const [first] = answer.errors ?? []
  if (first !== undefined) throw new ApiError(first.message, { code: first.extensions?.code ?? 'API' })
  return answer
}
