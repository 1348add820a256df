import { join, sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPublicClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { BadInputError, BulwarkError } from '../core/errors.ts'
import { createLogger } from '../core/log.ts'
import { devnetAccounts } from '../devnet/keys.ts'
import { createPrisma } from '../prisma/client.ts'
import { createProposals, loadPolicy, safeTxFromJson, signWithKey, verify } from '../proposals/index.ts'
import { catalog } from '../protocols/curie/parameters.ts'
import type { Address, Hex } from '../protocols/adapter.ts'
import { queryApi } from './graphql.ts'
import { signIn } from './signIn.ts'
import { parseRunOptions, PROJECT } from './options.ts'
import { createProgress } from './progress.ts'
import { emptyState } from './lock.ts'
import { startStack, type Stack } from './stack.ts'

/** Longest wait for something that the chain, the index or the models owe us. */
const PATIENCE_MS = 90_000

type Recommendation = {
  id: string
  block: { number: string }
  parameter: string
  title: string
  scope: string
  subject: Address
  subjectLabel: string
  currentRaw: string
  currentDisplay: string
  recommendedRaw: string
  recommendedDisplay: string
  urgency: number
  reason: string
  direction: string
}

type ProposalView = {
  id: string
  state: string
  stateReason: string | null
  safeTxHash: Hex
  domainHash: Hex
  messageHash: Hex
  nonce: number
  validUntil: string
  safe: Address
  calls: { to: Address; value: string; data: Hex }[]
  safeTx: Parameters<typeof safeTxFromJson>[0]
  changes: { parameter: string; scope: string; subject: Address; subjectLabel: string; fromRaw: string; toRaw: string }[]
  executionTxHash: Hex | null
  executedAtBlock: string | null
  appliedAtBlock: string | null
  simulation: { success: boolean; failure: string | null; gasUsed: string | null } | null
}

const PROPOSAL_FIELDS = `id state stateReason safe nonce validUntil safeTx safeTxHash domainHash messageHash executionTxHash executedAtBlock appliedAtBlock
  calls { to value data } changes { parameter scope subject subjectLabel fromRaw toRaw } simulation { success failure gasUsed }`

/** What the demo prints with `--json`, as its last line. */
export type DemoResult = {
  network: string
  block: number
  markets: number
  accounts: number
  positions: number
  liquidations: number
  insuranceFundFlows: number
  parameters: number
  recommendations: number
  proposal: { id: string; safeTxHash: Hex; state: string }
  parameter: { name: string; scope: string; subject: string; before: string; recommended: string; onChain: string }
  seconds: number
}

class DemoStuckError extends BulwarkError {
  constructor(facts: { waitedFor: string; last: string; logs: string }) {
    super(`Waited ${PATIENCE_MS / 1000} s for ${facts.waitedFor}, found ${facts.last}; the logs in ${facts.logs} say why`, { code: 'DEMO_STUCK', facts })
  }
}

/** Asks until the answer is complete. Throws DemoStuckError with the last answer when patience ends. */
async function waitFor<T>(what: string, stack: Stack, ask: () => Promise<T>, isThere: (answer: T) => boolean, describe: (answer: T) => string): Promise<T> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask()
    if (isThere(answer)) return answer
    if (performance.now() > until) throw new DemoStuckError({ waitedFor: what, last: describe(answer), logs: join(stack.stateDir, 'logs') })
    await sleep(250)
  }
}

/** `npm run demo`: from nothing to a parameter changed on chain. Exit code 0 only when it is applied and equals the recommendation. */
export async function demo(args: readonly string[]): Promise<void> {
  const startedAt = performance.now()
  const options = await parseRunOptions(args, { stateDir: join(PROJECT, '.bulwark', 'demo'), ephemeral: true })
  if (`${options.cacheDir}${sep}`.startsWith(`${options.stateDir}${sep}`)) {
    throw new BadInputError(`Found --state-dir ${options.stateDir}, which holds the caches, allowed is a folder that the demo may empty; leave it out or give another`)
  }
  await emptyState(options.stateDir)
  const progress = createProgress()
  const interruption = new AbortController()
  const interrupted = new Promise<never>((_, reject) => {
    interruption.signal.addEventListener('abort', () => reject(new BulwarkError('The demo was interrupted; run it again whenever you like', { code: 'INTERRUPTED' })), { once: true })
  })
  interrupted.catch(() => {})
  process.once('SIGINT', () => interruption.abort())
  process.once('SIGTERM', () => interruption.abort())
  const stack = await startStack(options, progress, interruption.signal)
  try {
    const result = await Promise.race([steward(stack, progress, startedAt), interrupted])
    if (result.proposal.state !== 'APPLIED' || result.parameter.onChain !== result.parameter.recommended) process.exitCode = 1
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  } finally {
    await stack.stop()
  }
}

/** The steward's, the signers' and the executor's work against a running console. */
async function steward(stack: Stack, progress: (step: string, detail: string) => void, startedAt: number): Promise<DemoResult> {
  const { apiUrl, deployment } = stack
  const head = stack.head?.number ?? 0
  const ask = <T>(query: string, variables: Record<string, unknown> = {}, token?: string): Promise<T> => queryApi<T>(apiUrl, query, variables, undefined, token)
  const policy = await loadPolicy({ catalog, deployment }, null)

  // Recommendations of an earlier block would compare with parameters that have changed since.
  const isCurrent = (recommendation: Recommendation): boolean => Number(recommendation.block.number) >= head
  const { recommendations } = await waitFor(
    `a settable recommendation of block ${head} or later that changes something`,
    stack,
    () => ask<{ recommendations: Recommendation[] }>('{ recommendations(settableOnly: true) { block { number } id parameter title scope subject subjectLabel currentRaw currentDisplay recommendedRaw recommendedDisplay urgency reason direction } }'),
    (answer) => answer.recommendations.some((each) => isChange(each) && isCurrent(each)),
    (answer) => `${answer.recommendations.length} recommendations, none of which changes anything`,
  )
  const chosen = await permitted(recommendations.filter(isChange), ask, progress)
  progress('steward', `${chosen.title} of ${chosen.subjectLabel}: ${chosen.currentDisplay} → ${chosen.recommendedDisplay} (urgency ${chosen.urgency})`)
  progress('steward', chosen.reason)

  const account = devnetAccounts('spare', deployment.chainId).find((each) => policy.stewards.some((steward) => steward.toLowerCase() === each.address.toLowerCase()))
  if (account === undefined) throw new BulwarkError('Found no steward of the policy among the accounts of the devnet, needed is one whose key is known; name one in policies/devnet.yaml', { code: 'DEMO_STUCK' })
  const stewardship = await signIn(apiUrl, privateKeyToAccount(account.privateKey))
  progress('steward', `${account.address} signed in`)
  const { draftProposal } = await ask<{ draftProposal: ProposalView }>(`mutation ($input: DraftProposalInput!) { draftProposal(input: $input) { ${PROPOSAL_FIELDS} } }`, {
    input: { title: titleOf(chosen), recommendationIds: [chosen.id] },
  }, stewardship)
  const { id } = draftProposal
  // What the change starts from is the proposal's own reading, not the recommendation's.
  const before = draftProposal.changes[0]!.fromRaw
  progress('steward', `drafted ${id}, safeTxHash ${draftProposal.safeTxHash}`)
  const { simulateProposal } = await ask<{ simulateProposal: ProposalView }>(`mutation ($id: ID!) { simulateProposal(id: $id) { ${PROPOSAL_FIELDS} } }`, { id }, stewardship)
  progress('steward', `simulated: ${simulateProposal.simulation?.success === true ? `succeeds with ${simulateProposal.simulation.gasUsed} gas` : `fails, ${simulateProposal.simulation?.failure}`}`)
  const { requestSignatures } = await ask<{ requestSignatures: ProposalView }>(`mutation ($id: ID!) { requestSignatures(id: $id) { ${PROPOSAL_FIELDS} } }`, { id }, stewardship)

  // Each signer derives the bytes again from the intent and signs only what comes out equal.
  const safeTx = safeTxFromJson(requestSignatures.safeTx)
  const domain = { chainId: deployment.chainId, safe: requestSignatures.safe }
  const changes = requestSignatures.changes.map((change) => ({ ...change, from: BigInt(change.fromRaw), to: BigInt(change.toRaw) }))
  verify({ catalog, deployment }, {
    changes: changes as unknown as Parameters<typeof verify>[1]['changes'],
    validUntil: BigInt(requestSignatures.validUntil),
    calls: requestSignatures.calls.map((call) => ({ ...call, value: BigInt(call.value) })),
    safeTx,
    hashes: { domainHash: requestSignatures.domainHash, messageHash: requestSignatures.messageHash, safeTxHash: requestSignatures.safeTxHash },
    safe: requestSignatures.safe,
    chainId: deployment.chainId,
  })
  for (const owner of devnetAccounts('safeOwner', deployment.chainId).slice(0, 2)) {
    const { signer, signature } = await signWithKey(owner.privateKey, domain, safeTx)
    const ownership = await signIn(apiUrl, privateKeyToAccount(owner.privateKey))
    await ask('mutation ($id: ID!, $signer: Address!, $signature: Hex!) { addSignature(id: $id, signer: $signer, signature: $signature) { state } }', { id, signer, signature }, ownership)
    progress('signer', `${signer} verified and signed`)
  }

  const prisma = createPrisma(stack.databaseUrl)
  try {
    const executor = devnetAccounts('spare', deployment.chainId)[0]!
    const proposals = createProposals({ prisma, catalog, deployment, policy, rpcUrl: stack.rpcUrl, stateDir: stack.stateDir, log: createLogger('demo', 'warn') })
    await proposals.execute(id, privateKeyToAccount(executor.privateKey))
  } finally {
    await prisma.$disconnect()
  }
  progress('executor', 'the Safe executed it; waiting for the index')
  const { proposal } = await waitFor(
    'the proposal to be APPLIED',
    stack,
    () => ask<{ proposal: ProposalView }>(`query ($id: ID!) { proposal(id: $id) { ${PROPOSAL_FIELDS} } }`, { id }),
    (answer) => !['READY', 'EXECUTED'].includes(answer.proposal.state),
    (answer) => `state ${answer.proposal.state}`,
  )
  progress('index', `${proposal.state}${proposal.stateReason === null ? '' : `: ${proposal.stateReason}`}`)

  const ref = { name: chosen.parameter, subject: chosen.subject }
  const client = createPublicClient({ transport: http(stack.rpcUrl) })
  const { data } = await client.call(catalog.encodeRead(deployment, ref))
  const onChain = data === undefined ? 'unknown' : catalog.decodeRead(ref, data).toString()

  const counts = await ask<{
    status: { network: string; indexed: { number: string } }
    markets: unknown[]
    accounts: { totalCount: number }
    positions: { totalCount: number }
    liquidations: { totalCount: number }
    insuranceFund: { flows: { totalCount: number } }
    parameters: unknown[]
    recommendations: unknown[]
  }>('{ status { network indexed { number } } markets { id } accounts(first: 1) { totalCount } positions(first: 1) { totalCount } liquidations(first: 1) { totalCount } insuranceFund { flows(first: 1) { totalCount } } parameters { id } recommendations { id } }')
  const result: DemoResult = {
    network: counts.status.network,
    block: Number(counts.status.indexed.number),
    markets: counts.markets.length,
    accounts: counts.accounts.totalCount,
    positions: counts.positions.totalCount,
    liquidations: counts.liquidations.totalCount,
    insuranceFundFlows: counts.insuranceFund.flows.totalCount,
    parameters: counts.parameters.length,
    recommendations: counts.recommendations.length,
    proposal: { id, safeTxHash: proposal.safeTxHash, state: proposal.state },
    parameter: { name: chosen.parameter, scope: chosen.scope, subject: chosen.subjectLabel, before, recommended: chosen.recommendedRaw, onChain },
    seconds: Number(((performance.now() - startedAt) / 1000).toFixed(1)),
  }
  printTable([
    ['Network', result.network],
    ['Indexed block', String(result.block)],
    ['Markets, accounts, open positions', `${result.markets}, ${result.accounts}, ${result.positions}`],
    ['Liquidations, insurance fund flows', `${result.liquidations}, ${result.insuranceFundFlows}`],
    ['Parameters, recommendations', `${result.parameters}, ${result.recommendations}`],
    ['Chosen', `${chosen.title} of ${chosen.subjectLabel} (${chosen.direction}, urgency ${chosen.urgency})`],
    ['Why', chosen.reason],
    ['Before', `${chosen.currentDisplay} (raw ${result.parameter.before})`],
    ['Recommended', `${chosen.recommendedDisplay} (raw ${result.parameter.recommended})`],
    ['On chain now', `raw ${onChain}`],
    ['Safe transaction', proposal.safeTxHash],
    ['Executed in', `${proposal.executionTxHash} (block ${proposal.executedAtBlock})`],
    ['Seen by the index', `block ${proposal.appliedAtBlock}`],
    ['State', proposal.state],
    ['Time', `${result.seconds} s`],
  ])
  return result
}

const titleOf = (recommendation: Recommendation): string => `${recommendation.title} of ${recommendation.subjectLabel} to ${recommendation.recommendedDisplay}`

/** The most urgent one that the DAO's policy and the lint let pass. Throws where none does, with why. */
async function permitted(recommendations: readonly Recommendation[], ask: <T>(query: string, variables: Record<string, unknown>) => Promise<T>, progress: (step: string, detail: string) => void): Promise<Recommendation> {
  const refused: string[] = []
  for (const one of recommendations) {
    const { validateDraft } = await ask<{ validateDraft: { ok: boolean; findings: { rule: string; severity: string; text: string }[] } }>('query ($input: DraftProposalInput!) { validateDraft(input: $input) { ok findings { rule severity text } } }', { input: { title: titleOf(one), recommendationIds: [one.id] } })
    if (validateDraft.ok) return one
    const why = validateDraft.findings.filter(({ severity }) => severity === 'BLOCK').map(({ rule, text }) => `rule ${rule}: ${text}`).join('; ')
    refused.push(why)
    progress('policy', `${one.title} of ${one.subjectLabel} to ${one.recommendedDisplay} may not be proposed by ${why}`)
  }
  throw new BulwarkError(`Found no recommendation that the policy lets pass: ${refused.join(' | ')}; correct policies/devnet.yaml`, { code: 'DEMO_STUCK' })
}

const isChange = (recommendation: Recommendation): boolean => recommendation.currentRaw !== recommendation.recommendedRaw && recommendation.direction !== 'HOLD'

function printTable(rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([label]) => label.length))
  process.stdout.write(`\n${rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`).join('\n')}\n\n`)
}
