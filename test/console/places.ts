/** Every page of the console over a stack, with something on it to be seen. */
import { createClient } from 'graphql-ws'
import type { Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { queryApi } from '../../cli/graphql.ts'
import { signIn } from '../../cli/signIn.ts'
import { DEVNET_CHAIN_ID, devnetAccounts } from '../../devnet/keys.ts'
import { safeTxFromJson, signWithKey } from '../../proposals/index.ts'
import { owners, steward } from '../support/signIn.ts'

export type Place = { readonly name: string; readonly path: string }

/** Fixed ones, and one market, account, recommendation and proposal. */
export async function placesOf(url: string): Promise<Place[]> {
  const ask = <T>(query: string): Promise<T> => queryApi<T>(url, query)
  const { accounts, markets, recommendations } = await ask<{ accounts: { nodes: { id: string }[] }; markets: { id: string }[]; recommendations: { id: string }[] }>('{ markets { id } accounts(first: 1, orderBy: MARGIN_RATIO) { nodes { id } } recommendations { id } }')
  return [
    { name: 'overview', path: '/' },
    { name: 'markets', path: '/markets' },
    { name: 'market', path: '/markets/vETH' },
    { name: 'accounts', path: '/accounts' },
    { name: 'account', path: `/accounts/${accounts.nodes[0]!.id}` },
    { name: 'stress', path: `/stress?run=${await stressRun(url)}` },
    { name: 'fund', path: '/fund' },
    { name: 'recommendations', path: '/recommendations' },
    { name: 'recommendation', path: `/recommendations/${encodeURIComponent(recommendations[0]!.id)}` },
    { name: 'breakers', path: '/breakers' },
    { name: 'parameters', path: '/parameters' },
    { name: 'parameter', path: `/parameters/marketMaxPriceSpreadRatio/${markets[0]!.id}` },
    { name: 'audit', path: '/audit' },
    { name: 'proposals', path: '/proposals' },
    { name: 'draft', path: '/proposals/new' },
    { name: 'proposal', path: `/proposals/${encodeURIComponent(await awaitingProposal(url))}` },
    { name: 'query', path: '/graphql' },
    { name: 'nowhere', path: '/nowhere' },
  ]
}

/** Of the whole book under every regime, done. */
async function stressRun(url: string): Promise<string> {
  const { startRiskRun: run } = await queryApi<{ startRiskRun: { id: string } }>(url, 'mutation { startRiskRun(input: { stress: {} }) { id } }')
  const ws = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, retryAttempts: 0 })
  try {
    // It ends with the run.
    for await (const _ of ws.iterate({ query: 'subscription ($id: ID!) { riskRun(id: $id) { state } }', variables: { id: run.id } }));
  } finally {
    await ws.dispose()
  }
  return run.id
}

type Drafted = { id: string; safe: `0x${string}`; safeTx: Parameters<typeof safeTxFromJson>[0] }

/** A proposal that has been simulated and awaits the second of its signatures: what the policy lets pass of the models' recommendations. */
async function awaitingProposal(url: string): Promise<string> {
  const { recommendations } = await queryApi<{ recommendations: { id: string; direction: string; currentRaw: string; recommendedRaw: string }[] }>(url, '{ recommendations(settableOnly: true) { id direction currentRaw recommendedRaw } }')
  const passed: string[] = []
  for (const { id, direction, currentRaw, recommendedRaw } of recommendations) {
    if (direction === 'HOLD' || currentRaw === recommendedRaw) continue
    const { validateDraft } = await queryApi<{ validateDraft: { ok: boolean } }>(url, 'query ($input: DraftProposalInput!) { validateDraft(input: $input) { ok } }', { input: { title: 'Two steps', recommendationIds: [...passed, id] } })
    if (validateDraft.ok && passed.length < 2) passed.push(id)
  }
  const token = await signIn(url, steward)
  const mutate = <T>(query: string, variables: Record<string, unknown>, by = token): Promise<T> => queryApi<T>(url, query, variables, undefined, by)
  // On a young devnet the policy may let none of them pass: then a fee, by 0.01 %.
  const { parameters } = await queryApi<{ parameters: { name: string; subject: string; subjectLabel: string; raw: string }[] }>(url, '{ parameters { name subject subjectLabel raw } }')
  const fee = parameters.find(({ name, subjectLabel }) => name === 'feeRatio' && subjectLabel === 'vETH')!
  const input = passed.length > 0
    ? { title: 'What the models ask for', recommendationIds: passed }
    : { title: 'A trading fee of 0.01 % more', changes: [{ parameter: fee.name, subject: fee.subject, toRaw: (BigInt(fee.raw) + 100n).toString() }] }
  const { draftProposal } = await mutate<{ draftProposal: { id: string } }>('mutation ($input: DraftProposalInput!) { draftProposal(input: $input) { id } }', { input })
  const { id } = draftProposal
  await mutate('mutation ($id: ID!) { simulateProposal(id: $id) { id } }', { id })
  const { requestSignatures } = await mutate<{ requestSignatures: Drafted }>('mutation ($id: ID!) { requestSignatures(id: $id) { id safe safeTx } }', { id })
  const owner = devnetAccounts('safeOwner', DEVNET_CHAIN_ID)[0]!
  const { signer, signature } = await signWithKey(owner.privateKey, { chainId: DEVNET_CHAIN_ID, safe: requestSignatures.safe }, safeTxFromJson(requestSignatures.safeTx))
  await mutate('mutation ($id: ID!, $signer: Address!, $signature: Hex!) { addSignature(id: $id, signer: $signer, signature: $signature) { state } }', { id, signer, signature }, await signIn(url, owners[0]!))
  return id
}

/** Until the page has shown `count` more blocks. */
export async function blocksLater(page: Page, count: number): Promise<void> {
  const block = page.locator('.standing .block')
  for (let seen = 0; seen < count; seen++) {
    const before = await block.innerText()
    await page.waitForFunction((text) => document.querySelector<HTMLElement>('.standing .block')?.innerText !== text, before)
  }
}
