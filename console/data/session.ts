/** Who has signed in. The token itself stays in a cookie that no script reads. */
import { useEffect } from 'react'
import { ViewerDocument } from '../generated/operations.ts'
import type { ViewerQuery } from '../generated/operations.ts'
import { ApiError, renew, useAnswer } from './client.ts'

export type Viewer = NonNullable<ViewerQuery['viewer']>

/** null: nobody; undefined: not known yet. Asked again when the session ends. */
export function useViewer(): Viewer | null | undefined {
  const viewer = useAnswer(ViewerDocument, {}, 'event').data?.viewer
  const expiresAt = viewer?.expiresAt
  useEffect(() => {
    if (expiresAt === undefined) return
    const timer = setTimeout(() => void renew('Viewer'), Math.max(1000, Date.parse(expiresAt) - Date.now() + 500))
    return () => clearTimeout(timer)
  }, [expiresAt])
  return viewer
}

type AuthAnswer = { readonly nonce?: string; readonly chainId?: number; readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[] }

const TIMEOUT_MS = 30_000

async function post(path: string, body: object): Promise<AuthAnswer> {
  let answer: AuthAnswer
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const response = await fetch(`/auth/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal })
    answer = (await response.json()) as AuthAnswer
  } catch {
    throw new ApiError(signal.aborted ? `The API did not answer within ${TIMEOUT_MS / 1000} s` : 'The API does not answer', 'OUT_OF_REACH')
  }
  const [error] = answer.errors ?? []
  if (error) throw new ApiError(error.message, error.extensions?.code ?? 'INTERNAL')
  return answer
}

/** What a wallet's owner signs next, and for which chain. */
export async function signInNonce(): Promise<{ nonce: string; chainId: number }> {
  const { nonce, chainId } = await post('nonce', {})
  if (!nonce || !chainId) throw new ApiError('The API gave no nonce to sign', 'INTERNAL')
  return { nonce, chainId }
}

export async function signIn(message: string, signature: string): Promise<void> {
  await post('sign-in', { message, signature })
  await renew('Viewer')
}

export async function signOut(): Promise<void> {
  await post('sign-out', {})
  await renew('Viewer')
}
