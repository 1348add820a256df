/** Signers who use nothing but the file and `verify`, on proposals that the whole of drafting and simulating has made. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLogger } from '../../core/log.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { createProposals, loadPolicy, signWithKey } from '../../proposals/index.ts'
import type { Proposals } from '../../proposals/index.ts'
import { reportHtml } from '../../proposals/report.ts'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import { safeTxFromJson } from '../../proposals/safe.ts'
import { firstTrust, initQuestions, parseTrust, trustedTarget } from '../../proposals/trust.ts'
import type { Trust } from '../../proposals/trust.ts'
import { verifyReview } from '../../proposals/verify.ts'
import type { Verdict } from '../../proposals/verify.ts'
import { rpcWitness } from '../../proposals/witness.ts'
import type { Deployment } from '../../protocols/adapter.ts'
import { curie } from '../../protocols/curie/index.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { executor, handToTimelock, mirrorChain, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

describe.each(['SAFE', 'TIMELOCK'] as const)('a signer of a proposal by way of %s', (kind) => {
  let chain: TestChain
  let postgres: TestPostgres
  let prisma: PrismaClient
  let proposals: Proposals
  let deployment: Deployment
  let trust: Trust

  beforeAll(async () => {
    ;[chain, postgres] = await Promise.all([startTestChain(), startTestPostgres()])
    deployment = kind === 'SAFE' ? chain.deployment : await handToTimelock(chain, 86_400)
    const target = { catalog: curie.catalog, deployment }
    prisma = createPrisma(await postgres.freshDatabase())
    proposals = createProposals({ prisma, catalog: curie.catalog, policy: await loadPolicy(target, null), deployment, rpcUrl: chain.url, stateDir: chain.stateDir, log: createLogger('test', 'silent') })
    await mirrorChain(prisma, chain)
    const witness = rpcWitness(target, chain.url)
    const said = await witness.state(initQuestions(target), (await witness.head()).number)
    trust = parseTrust(firstTrust(curie, deployment, said, { sources: [witness.name], machineSec: 0n }))
  })
  afterAll(async () => {
    await prisma?.$disconnect()
    await postgres?.stop()
    await chain?.stop()
  })

  const check = (text: string): Promise<Verdict> => verifyReview(text, trust, { witnesses: [rpcWitness(trustedTarget(trust).target, chain.url)], machineSec: 0n })

  test('behavior: READY on what was really simulated, signed from the file alone, executed, and refused once the chain has moved', async () => {
    const market = deployment.markets[0]!
    const { id } = await proposals.draft({ title: 'Tighten the band of vETH', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: market.symbol, to: 90_000n }] })
    expect((await proposals.simulate(id)).state).toBe('SIMULATED')
    await proposals.requestSignatures(id)
    const text = serializeReview(await proposals.exportReview(id))
    const unsigned = await check(text)
    expect(unsigned.findings).toEqual([])
    expect(unsigned.headline).toMatch(/^READY \(single-source: /)
    expect(unsigned.changes.map((each) => each.sentence)).toEqual(['Price band of vETH: 10.00 % → 9.00 % (raw 100000 → 90000)'])

    // Nothing but the file: its transaction is signed only because the check above derived the same hash.
    const { batch, safe, chainId } = parseReview(text)
    expect(unsigned.hashes!.safeTxHash).toBe(batch.hashes.safeTxHash)
    for (const owner of owners.slice(0, 2)) {
      const { signer, signature } = await signWithKey(owner.privateKey, { chainId, safe }, safeTxFromJson(batch.safeTx))
      await proposals.addSignature(id, signer, signature)
    }
    const signed = await proposals.exportReview(id)
    expect((await check(serializeReview(signed))).signatures).toEqual(owners.slice(0, 2).map((owner) => ({ signer: owner.address.toLowerCase(), valid: true })).toSorted((a, b) => (a.signer < b.signer ? -1 : 1)))
    // The same file but for the signatures.
    expect(signed.digest).toBe(parseReview(text).digest)
    expect(reportHtml(signed, unsigned)).toContain('No account becomes liquidatable')

    await proposals.execute(id, executor)
    const after = await check(serializeReview(signed))
    expect(after.ready).toBe(false)
    expect(after.findings.map((each) => each.rule)).toEqual(kind === 'SAFE' ? ['nonce-used', 'drift'] : ['nonce-used'])
  })
})
