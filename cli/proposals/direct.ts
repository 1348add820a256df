/** Proposals on the database and the chain of one's own stack: DATABASE_URL, RPC_URL, NETWORK, POLICY_FILE, SAFE_SERVICE_URL. */
import { resolve } from 'node:path'
import { loadConfig } from '../../core/config.ts'
import { createLogger } from '../../core/log.ts'
import { createPrisma } from '../../prisma/client.ts'
import { createProposals, createTransactionService, loadPolicy } from '../../proposals/index.ts'
import type { ProposalState } from '../../proposals/index.ts'
import { readValues } from '../../proposals/store.ts'
import { loadEnvFile, PROJECT } from '../options.ts'
import { targetOf, viewOf } from './desk.ts'
import type { Desk } from './desk.ts'

/** Throws ConfigError with everything that the environment lacks. */
export async function directDesk(): Promise<Desk> {
  loadEnvFile()
  const config = loadConfig(['DATABASE_URL', 'RPC_URL', 'NETWORK', 'POLICY_FILE', 'SAFE_SERVICE_URL', 'SAFE_SERVICE_KEY', 'STATE_DIR'])
  const target = targetOf(config.NETWORK)
  const { deployment, catalog } = target
  const prisma = createPrisma(config.DATABASE_URL)
  const service = deployment.safe === null || config.SAFE_SERVICE_URL === null ? null : createTransactionService({ url: config.SAFE_SERVICE_URL, apiKey: config.SAFE_SERVICE_KEY, chainId: deployment.chainId, safe: deployment.safe.address })
  const proposals = createProposals({ prisma, catalog, deployment, rpcUrl: config.RPC_URL, policy: await loadPolicy(target, config.POLICY_FILE), service, stateDir: resolve(PROJECT, config.STATE_DIR), log: createLogger('proposals', 'warn') })
  const view = async (record: Promise<Parameters<typeof viewOf>[1]>) => viewOf(target, await record)
  return {
    target,
    currentValues: async () => new Map([...(await readValues(prisma, catalog, catalog.refs(deployment)))].map(([key, { value }]) => [key, value])),
    list: async (state) => (await proposals.list(state === null ? {} : { state: state as ProposalState })).map((each) => viewOf(target, each)),
    get: (id) => view(proposals.get(id)),
    draft: (wish) => view(proposals.draft({ ...wish, by: 'cli' })),
    simulate: (id) => view(proposals.simulate(id)),
    request: (id) => view(proposals.requestSignatures(id)),
    attach: (id, signer, signature, of) => view(proposals.addSignature(id, signer, signature, of)),
    rollback: (id) => view(proposals.draftRollback(id, 'cli')),
    cancel: (id) => view(proposals.cancel(id, 'cli')),
    publish: (id) => view(proposals.publish(id)),
    pull: (id) => view(proposals.pull(id).then(({ proposal }) => proposal)),
    reviewFile: (id) => proposals.exportReview(id),
    batchFile: (id) => proposals.exportBatch(id),
    track: () => proposals.track(),
    close: () => prisma.$disconnect(),
  }
}
