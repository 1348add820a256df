/** Proposals over the API, signed in by Sign-In with Ethereum where something is to be done. */
import { readFileSync } from 'node:fs'
import { BadInputError, NotFoundError } from '../../core/errors.ts'
import type { Address, Hex } from '../../protocols/adapter.ts'
import type { BatchFile } from '../../proposals/export.ts'
import { keyOf } from '../../proposals/draft.ts'
import { parseReview } from '../../proposals/review.ts'
import type { SafeTxJson } from '../../proposals/safe.ts'
import { asRefusal, operationIn } from '../analysis/io.ts'
import type { AddSignatureMutation, CancelProposalMutation, DraftRollbackMutation, CurrentValuesQuery, DraftMutation, FilesQuery, GetQuery, ListQuery, NetworkQuery, ProposalFieldsFragment, ProposalState, PublishMutation, PullMutation, RequestSignaturesMutation, SimulateMutation } from '../generated/proposals.ts'
import { queryApi } from '../graphql.ts'
import { signIn } from '../signIn.ts'
import { targetOf } from './desk.ts'
import type { Desk } from './desk.ts'
import type { SigningKey } from './keys.ts'
import type { ProposalView } from './view.ts'

const DOCUMENT = readFileSync(new URL('./proposals.graphql', import.meta.url), 'utf8')

/** `key` gives the account to sign in with, and throws where there is none; it is asked for what only stewards or owners may do. */
export async function apiDesk(url: string, key: (chainId: number) => Promise<SigningKey>, signal: AbortSignal): Promise<Desk> {
  let token: Promise<string> | null = null
  const ask = async <T>(operation: string, variables: Readonly<Record<string, unknown>> = {}, as?: string): Promise<T> => {
    try {
      return await queryApi<T>(url, operationIn(DOCUMENT, operation), variables, signal, as)
    } catch (error) {
      throw asRefusal(error)
    }
  }
  const { status } = await ask<NetworkQuery>('Network')
  const target = targetOf(status.network)
  /** As whoever the key is of. */
  const act = async <T>(operation: string, variables: Readonly<Record<string, unknown>>): Promise<T> => {
    token ??= key(target.deployment.chainId).then(({ account }) => signIn(url, account))
    return ask<T>(operation, variables, await token)
  }
  const found = <T>(id: string, proposal: T | null | undefined): T => {
    if (proposal == null) throw new NotFoundError({ what: 'proposal', id: id.slice(0, 100), hint: 'list the proposals to see their ids' })
    return proposal
  }
  const files = async (id: string, wanted: { readonly review: boolean; readonly batch: boolean }) => found(id, (await ask<FilesQuery>('Files', { id, ...wanted })).proposal)

  return {
    target,
    currentValues: async () => new Map((await ask<CurrentValuesQuery>('CurrentValues')).parameters.map((each) => [keyOf({ parameter: each.name, subject: each.subject }), BigInt(each.raw)])),
    list: async (state) => {
      const all: ProposalView[] = []
      for (let after: string | null = null; ; ) {
        const { proposals }: ListQuery = await ask<ListQuery>('List', { state: state as ProposalState | null, after })
        all.push(...proposals.nodes.map(viewOf))
        if (!proposals.pageInfo.hasNextPage) return all
        after = proposals.pageInfo.endCursor
      }
    },
    get: async (id) => viewOf(found(id, (await ask<GetQuery>('Get', { id })).proposal)),
    draft: async ({ title, recommendationIds, changes, validForSec, playbook }) => {
      const input = { title, recommendationIds, changes: changes.map((each) => ({ parameter: each.parameter, subject: each.subject ?? null, toRaw: String(each.to), confirm: each.confirm ?? null })), validForSec, playbook }
      return viewOf((await act<DraftMutation>('Draft', { input })).draftProposal)
    },
    simulate: async (id) => viewOf((await act<SimulateMutation>('Simulate', { id })).simulateProposal),
    request: async (id) => viewOf((await act<RequestSignaturesMutation>('RequestSignatures', { id })).requestSignatures),
    attach: async (id, signer, signature, of) => viewOf((await act<AddSignatureMutation>('AddSignature', { id, signer, signature, of })).addSignature),
    rollback: async (id) => viewOf((await act<DraftRollbackMutation>('DraftRollback', { id })).draftRollback),
    cancel: async (id) => viewOf((await act<CancelProposalMutation>('CancelProposal', { id })).cancelProposal),
    publish: async (id) => viewOf((await act<PublishMutation>('Publish', { id })).publishProposal),
    pull: async (id) => viewOf((await act<PullMutation>('Pull', { id })).pullSignatures),
    // Read as strictly as a file from anywhere: a server is not trusted either.
    reviewFile: async (id) => parseReview(JSON.stringify((await files(id, { review: true, batch: false })).reviewFile)),
    batchFile: async (id) => {
      const { batchFile } = await files(id, { review: false, batch: true })
      if (batchFile === undefined) throw new BadInputError('The API answered without the batch file; ask again')
      return batchFile as BatchFile
    },
    track: null,
    close: () => Promise.resolve(),
  }
}

const signed = (all: readonly { readonly signer: string; readonly signature: string }[]): ProposalView['signatures'] => all.map(({ signer, signature }) => ({ signer: signer as Address, signature: signature as Hex }))

function viewOf({ queue, cancellation, ...rest }: ProposalFieldsFragment): ProposalView {
  return {
    ...(rest as unknown as ProposalView),
    signatures: signed(rest.signatures),
    cancellation: cancellation === null ? null : { kind: cancellation.kind, safeTx: cancellation.safeTx as SafeTxJson, safeTxHash: cancellation.safeTxHash as Hex, signatures: signed(cancellation.signatures) },
    scheduled: queue === null || queue.scheduledTxHash === null || queue.readyAt === null ? null : { txHash: queue.scheduledTxHash as Hex, readyAtSec: queue.readyAt },
  }
}
