/** A proposal's whole path on the real protocol and Safe: by the command line alone, by the API alone, and by signers who have nothing but the file. */
import { execFile } from 'node:child_process'
import { createCipheriv, randomBytes, scryptSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { calculateSafeTransactionHash } from '@safe-global/protocol-kit'
import { concatHex, createWalletClient, getAddress, http, keccak256, toHex, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { Services } from '../../api/graphql/context.ts'
import { RATES } from '../../api/graphql/rates.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { queryApi } from '../../cli/graphql.ts'
import { signIn } from '../../cli/signIn.ts'
import { proposal } from '../../cli/proposals/index.ts'
import type { ProposalView } from '../../cli/proposals/view.ts'
import { PROJECT } from '../../cli/options.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { createLogger } from '../../core/log.ts'
import { createProposals, createTransactionService } from '../../proposals/index.ts'
import type { Proposals } from '../../proposals/index.ts'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import { SAFE_ABI, encodeExecution, lower, safeTxFromJson } from '../../proposals/safe.ts'
import type { SafeTxJson } from '../../proposals/safe.ts'
import { joinSignatures, signWithKey } from '../../proposals/sign.ts'
import type { OwnerSignature, SignatureFile } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { firstTrust, initQuestions } from '../../proposals/trust.ts'
import { rpcWitness } from '../../proposals/witness.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { curie } from '../../protocols/curie/index.ts'
import type { Deployment, Hex } from '../../protocols/adapter.ts'
import { noChain, policy, services } from '../graphql/support.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { executor, handToTimelock, mined, minedReceipt, mirrorChain, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'
import { startServiceDouble } from './service-double.ts'
import type { ServiceDouble } from './service-double.ts'
import { devnetAccounts } from '../../devnet/keys.ts'

// Some seconds on an idle machine; two busy cores take longer.
const run = promisify(execFile)
const SPARE = devnetAccounts('spare', 31337)[0]!

let chain: TestChain
let postgres: TestPostgres
let prisma: PrismaClient
let databaseUrl: string
let snapshot: string
let dir: string
let trustPath: string
let proposals: Proposals
let shared: Services
let server: ApiServer
let service: ServiceDouble

beforeAll(async () => {
  ;[chain, postgres] = await Promise.all([startTestChain(), startTestPostgres()])
  databaseUrl = await postgres.freshDatabase()
  prisma = createPrisma(databaseUrl)
  dir = chain.stateDir
  trustPath = await trustFile(chain.deployment)
  const safe = chain.deployment.safe!
  service = await startServiceDouble({ chainId: 31337, address: safe.address, owners: safe.owners, nonce: () => chain.client.readContract({ address: safe.address, abi: SAFE_ABI, functionName: 'nonce' }) })
  proposals = createProposals({ prisma, catalog, deployment: chain.deployment, policy, service: createTransactionService({ url: service.url, apiKey: null, chainId: 31337, safe: safe.address }), rpcUrl: chain.url, stateDir: dir, log: createLogger('test', 'silent') })
  shared = services(prisma, noChain, { proposals })
  server = await startServer({ ...shared, log: createLogger('test', 'silent'), host: '127.0.0.1', port: 0, rates: { ...RATES, auth: 1_000, costly: {} } })
  const [stranger, steward] = [false, true].map((is) => devnetAccounts('spare', 31337).find(({ address }) => policy.stewards.some((each) => lower(each) === lower(address)) === is)!)
  Object.assign(process.env, { STEWARD_KEY: steward!.privateKey, STRANGER_KEY: stranger!.privateKey })
  Object.assign(process.env, { DATABASE_URL: databaseUrl, RPC_URL: chain.url, NETWORK: 'devnet', STATE_DIR: dir, ...Object.fromEntries(owners.map((owner, i) => [`OWNER_${i}`, owner.privateKey])), SENDER_KEY: SPARE.privateKey })
})

afterAll(async () => {
  await shared?.risk.runs.stop()
  await server?.close()
  await service?.close()
  await prisma?.$disconnect()
  await postgres?.stop()
  await chain?.stop()
})

beforeEach(async () => {
  if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
  snapshot = (await chain.rpc.call('evm_snapshot')) as string
  await prisma.$executeRaw`TRUNCATE "Proposal", "ProposalSignature", "ProposalEvent", "Parameter", "Checkpoint", "Recommendation", "RecommendationRun"`
  service.stored.clear()
  await mirrorChain(prisma, chain)
})

/** What a signer makes once and then checks by hand. */
async function trustFile(deployment: Deployment): Promise<string> {
  const witness = rpcWitness({ catalog, deployment }, chain.url)
  const said = await witness.state(initQuestions({ catalog, deployment }), (await witness.head()).number)
  const path = join(dir, `trust-${deployment.governance?.kind ?? 'SAFE'}.yaml`)
  await writeFile(path, firstTrust(curie, deployment, said, { sources: [witness.name], machineSec: BigInt(Math.floor(Date.now() / 1000)) }))
  return path
}

type Ran = { readonly out: string; readonly err: string }

/** A command as the process runs it. */
async function bulwark(...args: string[]): Promise<Ran> {
  const ran = { out: '', err: '' }
  await started(ran, args)
  return ran
}
/** One that is refused, with what it had shown by then. */
async function refused(...args: string[]): Promise<Ran & { readonly error: unknown }> {
  const ran = { out: '', err: '' }
  const error: unknown = await started(ran, args).then(() => null, (each: unknown) => each)
  return { ...ran, error }
}
const started = (ran: { out: string; err: string }, args: readonly string[]): Promise<void> =>
  proposal(args, { out: (text) => void (ran.out += text), err: (text) => void (ran.err += text), width: null, bold: (text) => text, signal: new AbortController().signal })
const asJson = async <T = ProposalView>(...args: string[]): Promise<T> => JSON.parse((await bulwark(...args, '--json')).out) as T

/** The same as a process of its own, cut off from every network where the kernel lets a program be. */
async function alone(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Ran & { readonly code: number }> {
  const isolated = await run('unshare', ['-rn', 'true']).then(() => true, () => false)
  const [file, ...rest] = [...(isolated ? ['unshare', '-rn'] : []), process.execPath, '--import', 'tsx', 'cli/main.ts', 'proposal', ...args]
  return run(file!, rest, { cwd: PROJECT, env: { PATH: process.env['PATH'] ?? '', HOME: dir, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ code: error.code, out: error.stdout, err: error.stderr }),
  )
}

/** A keystore as geth writes one, with a cheap scrypt. */
async function keystore(name: string, key: Hex, password: string): Promise<string> {
  const [salt, iv] = [randomBytes(32), randomBytes(16)]
  const derived = scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 })
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
  const ciphertext = Buffer.concat([cipher.update(Buffer.from(key.slice(2), 'hex')), cipher.final()])
  const mac = keccak256(concatHex([toHex(derived.subarray(16, 32)), toHex(ciphertext)])).slice(2)
  const path = join(dir, name)
  const crypto = { cipher: 'aes-128-ctr', cipherparams: { iv: iv.toString('hex') }, ciphertext: ciphertext.toString('hex'), kdf: 'scrypt', kdfparams: { dklen: 32, n: 1024, r: 8, p: 1, salt: salt.toString('hex') }, mac }
  await writeFile(path, JSON.stringify({ version: 3, id: '3198bc9c-6672-5ab3-d995-4942343ae5b6', crypto }))
  return path
}

const market = () => chain.deployment.markets[0]!
const onChain = (parameter: string, subject = market().baseToken) => readParameter({ catalog, deployment: chain.deployment }, chain.client, { parameter, subject })

/** Drafted, simulated and open for signatures, with its file written. */
async function proposed(...change: string[]): Promise<{ readonly id: string; readonly path: string; readonly safeTxHash: Hex }> {
  const { id, safeTxHash } = await asJson('draft', '--direct', ...change)
  await asJson('simulate', id, '--direct')
  await asJson('request', id, '--direct')
  const path = join(dir, `${id}.json`)
  await bulwark('export', id, '--direct', '--out', path)
  return { id, path, safeTxHash }
}

describe('by the command line alone', () => {
  test('behavior: desired values in a file become parameters on chain, and what came of it is told', async () => {
    const before = await onChain('marketMaxPriceSpreadRatio')
    const desired = join(dir, 'desired.yaml')
    await writeFile(desired, `title: A band that holds\nvalidFor: 2 d\nprotocol: { liquidationPenaltyRatio: ${Number(await onChain('liquidationPenaltyRatio', chain.deployment.contracts.clearingHouse)) / 10_000} % }\nmarkets: { ${market().symbol}: { marketMaxPriceSpreadRatio: 7 % } }\n`)
    const drafted = await asJson('draft', desired, '--direct')
    // What stands there already is no change.
    expect(drafted).toMatchObject({ state: 'DRAFT', title: 'A band that holds', draftedBy: 'cli', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subjectLabel: market().symbol, fromRaw: String(before), toRaw: '70000', toDisplay: '7.00 %' }] })
    const { id, safeTxHash } = drafted
    expect(await asJson('simulate', id, '--direct')).toMatchObject({ state: 'SIMULATED', simulation: { success: true } })
    expect((await bulwark('request', id, '--direct')).out).toContain('AWAITING_SIGNATURES (0 signatures of 2); give it to the signers: npm run bulwark -- proposal export')
    expect(await asJson<ProposalView[]>('list', '--direct', '--state', 'awaiting_signatures')).toMatchObject([{ id }])

    const [file, batch, signature] = ['proposal.json', 'batch.json', 'signature.json'].map((name) => join(dir, name))
    expect((await bulwark('export', id, '--direct', '--out', file!, '--batch', batch!)).out).toContain(`Wrote ${file}: digest ${parseReview(await readFile(file!, 'utf8')).digest}\n`)
    const ask = ['sign', file!, '--trust', trustPath, '--rpc-url', chain.url]
    const shown = await bulwark(...ask, '--key-env', 'OWNER_0', '--yes-hash', safeTxHash, '--out', signature!)
    expect(shown.err).toContain('READY (single-source')
    expect(shown.err).toContain(`safeTxHash    ${safeTxHash}`)
    expect(shown.err).toContain('→ 7.00 %')
    expect(shown.out).toBe(`${owners[0]!.address} signed ${safeTxHash}; wrote ${signature}: send it to whoever collects the signatures\n`)
    process.env['KEYSTORE_PASSWORD'] = 'not the best'
    const second = JSON.parse((await bulwark(...ask, '--keystore', await keystore('owner.json', owners[2]!.privateKey, 'not the best'), '--password-env', 'KEYSTORE_PASSWORD', '--yes-hash', safeTxHash)).out) as SignatureFile
    expect(second).toMatchObject({ format: 'bulwark-signature', kind: 'CHANGE', chainId: 31337, nonce: String(drafted.nonce), safeTxHash, signer: lower(owners[2]!.address) })
    await writeFile(join(dir, 'second.json'), JSON.stringify(second))

    expect(await asJson('attach', id, signature!, '--direct')).toMatchObject({ state: 'AWAITING_SIGNATURES' })
    expect(await asJson('attach', id, join(dir, 'second.json'), '--direct')).toMatchObject({ state: 'READY' })
    const sent = await asJson<{ txHash: Hex; sender: string }>('execute', id, '--direct', '--rpc-url', chain.url, '--key-env', 'SENDER_KEY')
    expect(sent).toMatchObject({ sender: lower(executor.address), txHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(70_000n)
    expect(await asJson('show', id, '--direct')).toMatchObject({ state: 'EXECUTED', executionTxHash: sent.txHash })
    await mirrorChain(prisma, chain)
    expect(await asJson('track', '--direct')).toMatchObject([{ id, from: 'EXECUTED', to: 'APPLIED' }])
    const { out } = await bulwark('show', id, '--direct')
    expect(out).toMatch(/^Proposal +\d+-[0-9a-f]{8}\nTitle +A band that holds\nState +APPLIED/)
    expect(out).toContain('Afterwards, until ')
    expect((await bulwark('draft', desired, '--direct')).out).toBe('Everything is as desired: there is nothing to propose.\n')
  })

  test('behavior: over the API, each signed in as who they are: a steward drafts, owners attach, anybody executes', async () => {
    const [api, steward, stranger] = [['--url', server.url], ['--key-env', 'STEWARD_KEY'], ['--key-env', 'STRANGER_KEY']]
    const draft = ['draft', '--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`, ...api]
    await expect(bulwark(...draft)).rejects.toThrow('Found no key to sign in with, needed is one; name it with --keystore FILE or --key-env NAME')
    await expect(bulwark(...draft, ...stranger)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(bulwark('draft', '--change', `marketMaxPriceSpreadRatio:${market().symbol}=25 %`, ...api, ...steward)).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining('Rule policy-bounds') })
    const { id, safeTxHash, ...drafted } = await asJson(...draft, ...steward, '--title', 'By the API')
    expect(drafted).toMatchObject({ state: 'DRAFT', title: 'By the API', draftedBy: lower(privateKeyToAccount(process.env['STEWARD_KEY'] as Hex).address), changes: [{ toRaw: '70000' }] })
    expect(await asJson('simulate', id, ...api, ...steward)).toMatchObject({ state: 'SIMULATED', simulation: { success: true } })
    expect(await asJson('request', id, ...api, ...steward)).toMatchObject({ state: 'AWAITING_SIGNATURES' })
    const path = join(dir, 'by-api.json')
    await bulwark('export', id, ...api, '--out', path, '--batch', join(dir, 'by-api-batch.json'))
    const signature = join(dir, 'by-api-0.json')
    await bulwark('sign', path, '--trust', trustPath, '--rpc-url', chain.url, '--key-env', 'OWNER_0', '--yes-hash', safeTxHash, '--out', signature)
    await expect(bulwark('attach', id, signature, ...api, ...steward)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await bulwark('attach', id, signature, ...api, '--key-env', 'OWNER_0')
    // The second owner knows the Transaction Service alone.
    await bulwark('publish', id, ...api, ...steward)
    const { safeTx } = parseReview(await readFile(path, 'utf8')).batch
    const elsewhere = await signWithKey(owners[1]!.privateKey, { chainId: 31337, safe: chain.deployment.safe!.address }, safeTxFromJson(safeTx))
    service.stored.get(safeTxHash)!.confirmations.push({ owner: getAddress(elsewhere.signer), signature: elsewhere.signature, submissionDate: '' })
    expect(await asJson('pull', id, ...api, ...steward)).toMatchObject({ state: 'READY' })
    expect(await asJson<ProposalView[]>('list', ...api)).toMatchObject([{ id, state: 'READY', signatures: [{}, {}] }])
    await expect(bulwark('track', ...api)).rejects.toThrow('Found track without --direct, which the API does by itself')
    await bulwark('execute', id, ...api, '--rpc-url', chain.url, '--key-env', 'SENDER_KEY')
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(70_000n)
    await mirrorChain(prisma, chain)
    await proposals.track()
    await proposals.track()
    const { out } = await bulwark('show', id, ...api)
    expect(out).toMatch(/\nState +APPLIED/)
    expect(out).toContain('1 of 1 value as set')
    await expect(bulwark('show', 'none', ...api)).rejects.toThrow('There is no proposal none; list the proposals to see their ids')
  })

  test('behavior: a batch file of Transaction Builder becomes a draft with the same changes', async () => {
    const { id, title, changes } = await asJson('draft', '--direct', '--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`, '--change', 'liquidationPenaltyRatio=3.1 %')
    const batch = join(dir, 'made.json')
    await bulwark('export', id, '--direct', '--batch', batch)
    expect(await asJson('cancel', id, '--direct')).toMatchObject({ state: 'WITHDRAWN' })
    expect(await asJson('import', batch, '--direct')).toMatchObject({ title, changes })
    const text = await readFile(batch, 'utf8')
    await writeFile(batch, text.replace('"31337"', '"10"'))
    await expect(bulwark('import', batch, '--direct')).rejects.toThrow(/^Found 2 faults in the draft: \(1\) Found a batch for chain 10, allowed is 31337; .+\(2\) Found checksum 0x/)
  })

  test('behavior: a proposal that is out with its signers is cancelled by their signatures of its rejection', async () => {
    const { id, path } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`)
    expect(await asJson('cancel', id, '--direct')).toMatchObject({ state: 'CANCELLING', cancellation: { kind: 'REJECTION' } })
    const { cancellation } = await asJson('show', id, '--direct')
    // The empty transaction at the proposal's nonce, hashed by another implementation.
    const empty = { to: chain.deployment.safe!.address, value: '0', data: '0x', operation: 0, safeTxGas: '0', baseGas: '0', gasPrice: '0', gasToken: zeroAddress, refundReceiver: zeroAddress, nonce: parseReview(await readFile(path, 'utf8')).intent.nonce }
    expect(await asJson('cancel-check', path, '--trust', trustPath)).toMatchObject({ kind: 'REJECTION', safeTxHash: calculateSafeTransactionHash(chain.deployment.safe!.address, { ...empty, nonce: Number(empty.nonce) }, chain.deployment.safe!.version, BigInt(chain.deployment.chainId)) })
    for (const i of [0, 1]) {
      const signature = join(dir, `cancel-${i}.json`)
      await bulwark('cancel-sign', path, '--trust', trustPath, '--key-env', `OWNER_${i}`, '--yes-hash', cancellation!.safeTxHash, '--out', signature)
      await bulwark('attach', id, signature, '--direct')
    }
    const { proposalExecution } = await queryApi<{ proposalExecution: object }>(server.url, 'query ($id: ID!) { proposalExecution(id: $id, of: CANCELLATION) { transaction { to } reason } }', { id })
    expect(proposalExecution).toEqual({ transaction: { to: lower(chain.deployment.safe!.address) }, reason: null })
    await bulwark('execute', id, '--cancellation', '--direct', '--rpc-url', chain.url, '--key-env', 'SENDER_KEY')
    expect(await asJson('show', id, '--direct')).toMatchObject({ state: 'CANCELLED' })
  })
})

describe('by the API alone', () => {
  /** A wallet: signs in, signs typed data, sends transactions. */
  const wallet = async (key: string) => {
    const account = privateKeyToAccount(process.env[key] as Hex)
    const token = await signIn(server.url, account)
    return { account, ask: <T>(query: string, variables: object = {}) => queryApi<T>(server.url, query, variables as Record<string, unknown>, undefined, token) }
  }

  test('behavior: from a wish to APPLIED with nothing but GraphQL and wallets, and all of it is in the audit log', async () => {
    const steward = await wallet('STEWARD_KEY')
    const desired = `title: By GraphQL\nmarkets: { ${market().symbol}: { marketMaxPriceSpreadRatio: 7 % } }\n`
    const { validateDraft } = await steward.ask<{ validateDraft: { ok: boolean; changes: { sentence: string }[] } }>('query ($desired: String!) { validateDraft(input: { desired: $desired }) { ok changes { sentence } } }', { desired })
    expect(validateDraft).toMatchObject({ ok: true, changes: [{ sentence: expect.stringMatching(/→ 7\.00 %/) }] })
    const { draftProposal } = await steward.ask<{ draftProposal: { id: string; state: string; rollback: { exists: boolean } } }>('mutation ($desired: String!) { draftProposal(input: { desired: $desired }) { id state rollback { exists } } }', { desired })
    expect(draftProposal).toMatchObject({ state: 'DRAFT', rollback: { exists: true } })
    const { id } = draftProposal
    const { simulateProposal } = await steward.ask<{ simulateProposal: object }>('mutation ($id: ID!) { simulateProposal(id: $id) { state simulation { success rollback { success } } impact { newlyLiquidatable { account } nearMiss { move with without } invariantsNewlyBroken } } }', { id })
    expect(simulateProposal).toMatchObject({ state: 'SIMULATED', simulation: { success: true, rollback: { success: true } }, impact: { newlyLiquidatable: [], invariantsNewlyBroken: 0 } })
    await steward.ask('mutation ($id: ID!) { requestSignatures(id: $id) { state } }', { id })
    for (const key of ['OWNER_1', 'OWNER_2']) {
      const { account, ask } = await wallet(key)
      const { proposal: view } = await ask<{ proposal: { typedData: Parameters<typeof account.signTypedData>[0] } }>('query ($id: ID!) { proposal(id: $id) { typedData } }', { id })
      const signature = await account.signTypedData(view.typedData)
      await ask('mutation ($id: ID!, $signer: Address!, $signature: Hex!) { addSignature(id: $id, signer: $signer, signature: $signature) { state } }', { id, signer: account.address, signature })
    }
    // Nobody executes by the API: any wallet sends what it tells.
    type Told = { proposal: { state: string; safe: Hex; threshold: number; safeTx: SafeTxJson; signatures: OwnerSignature[] }; proposalExecution: { transaction: { chainId: number; to: Hex; value: string; data: Hex; gas: string }; reason: null } }
    const told = await queryApi<Told>(server.url, 'query ($id: ID!, $sender: Address) { proposal(id: $id) { state safe threshold safeTx signatures { signer signature } } proposalExecution(id: $id, sender: $sender) { transaction { chainId to value data gas } reason } }', { id, sender: SPARE.address })
    expect(told.proposal.state).toBe('READY')
    const { transaction } = told.proposalExecution
    expect(transaction).toMatchObject({ chainId: 31337, to: told.proposal.safe, value: '0', data: encodeExecution(safeTxFromJson(told.proposal.safeTx), joinSignatures(told.proposal.signatures, told.proposal.threshold)) })
    const sender = createWalletClient({ account: privateKeyToAccount(SPARE.privateKey), transport: http(chain.url) })
    await minedReceipt(chain.client, await sender.sendTransaction({ chain: null, to: transaction.to, data: transaction.data, gas: BigInt(transaction.gas) }))
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(70_000n)
    // Sent a second time it could only fail: that is said beforehand.
    const again = await queryApi<{ proposalExecution: object; none: null }>(server.url, 'query ($id: ID!) { proposalExecution(id: $id) { transaction { to } reason code } none: proposalExecution(id: "nope") { code } }', { id })
    expect(again).toEqual({ proposalExecution: { transaction: null, reason: expect.stringMatching(/marketMaxPriceSpreadRatio of .* at 70000, it was/), code: 'STALE_PROPOSAL' }, none: null })
    await mirrorChain(prisma, chain)
    await proposals.track()
    await proposals.track()
    const done = await queryApi<{ proposal: object; auditLog: { nodes: { action: string; outcome: string }[] } }>(server.url, 'query ($id: ID!, $subject: String!) { proposal(id: $id) { state appliedAtBlock aftermath { complete parameters { kept } liquidations { accounts } } } auditLog(first: 4, subject: $subject) { nodes { action outcome } } }', { id, subject: id })
    expect(done.proposal).toMatchObject({ state: 'APPLIED', aftermath: { complete: false, parameters: [{ kept: true }], liquidations: { accounts: 0 } } })
    // Newest first.
    expect(done.auditLog.nodes).toEqual(['addSignature', 'addSignature', 'requestSignatures', 'simulateProposal'].map((action) => ({ action, outcome: 'OK' })))
  })
})

describe('by signers who have the file and nothing else', () => {
  test('behavior: two owners sign without any network, one by keystore and one by a variable, and a third party executes from the file', async () => {
    const { path, safeTxHash } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`, '--title', 'For two owners')
    const offline = ['sign', path, '--trust', trustPath, '--offline', '--yes-hash', safeTxHash]
    const [byKeystore, byVariable] = await Promise.all([
      keystore('alone.json', owners[1]!.privateKey, 'pass').then((file) => alone({ SECRET: 'pass' }, ...offline, '--keystore', file, '--password-env', 'SECRET')),
      alone({ KEY: owners[0]!.privateKey }, ...offline, '--key-env', 'KEY', '--out', join(dir, 'b.json')),
    ])
    expect(byKeystore.err).toContain('READY (offline: chain state not checked)')
    expect(byKeystore).toMatchObject({ code: 0 })
    expect(byVariable).toMatchObject({ code: 0 })
    await expect(bulwark(...offline.slice(0, -1), `0x${'12'.repeat(32)}`, '--key-env', 'OWNER_0')).rejects.toThrow(/^Found --yes-hash 0x1212.+nothing was signed, compare the files$/)
    await writeFile(join(dir, 'a.json'), byKeystore.out)
    const signed = join(dir, 'signed.json')
    expect((await bulwark('attach', path, join(dir, 'a.json'), join(dir, 'b.json'), '--out', signed)).out).toBe(`Wrote ${signed} with 2 of 2 signatures\n`)
    // Signatures are no part of what the digest holds.
    expect(parseReview(await readFile(signed, 'utf8')).digest).toBe(parseReview(await readFile(path, 'utf8')).digest)
    const send = ['--trust', trustPath, '--rpc-url', chain.url, '--key-env', 'SENDER_KEY']
    await expect(bulwark('execute', path, ...send, '--signature', join(dir, 'a.json'))).rejects.toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining('with 1 of 2 signatures') })
    expect((await bulwark('execute', signed, ...send)).out).toMatch(/: transaction 0x[0-9a-f]{64} in block \d+ of .+ UTC, \d+ gas\n$/)
    expect(await onChain('marketMaxPriceSpreadRatio')).toBe(70_000n)
    // Who looks afterwards finds it by the Safe's log.
    await mirrorChain(prisma, chain)
    expect(await asJson('track', '--direct')).toMatchObject([{ from: 'AWAITING_SIGNATURES', to: 'EXECUTED' }])
    expect(await asJson('track', '--direct')).toMatchObject([{ from: 'EXECUTED', to: 'APPLIED' }])
  })

  test('error: a file in which one byte was changed is signed by nobody and sent by nobody', async () => {
    const { path, safeTxHash } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`)
    const text = await readFile(path, 'utf8')
    const tampered = join(dir, 'tampered.json')
    await writeFile(tampered, text.replaceAll('"to": "70000"', '"to": "90000"'))
    const ask = ['sign', tampered, '--trust', trustPath, '--offline', '--key-env', 'OWNER_0', '--yes-hash', safeTxHash]
    await expect(bulwark(...ask)).rejects.toMatchObject({ code: 'NOT_READY', facts: { rules: expect.arrayContaining(['file-digest', 'safe-tx-hash']) } })
    await expect(bulwark('execute', tampered, '--rpc-url', chain.url, '--key-env', 'SENDER_KEY')).rejects.toMatchObject({ code: 'TAMPERED' })
    await expect(bulwark('sign', path, '--trust', trustPath, '--key-env', 'OWNER_0', '--yes-hash', safeTxHash)).rejects.toThrow('Found no RPC to ask')
    await expect(bulwark('sign', path, '--trust', trustPath, '--offline', '--key-env', 'SENDER_KEY', '--yes-hash', safeTxHash)).rejects.toThrow("allowed are the Safe's owners")
  })
})

describe('what holds on the way', () => {
  test('behavior: a value that moved is told by what it was and is, the signatures are stale, and nobody executes them', async () => {
    const before = await onChain('marketMaxPriceSpreadRatio')
    const { id, path, safeTxHash } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`)
    const check = ['--trust', trustPath, '--rpc-url', chain.url]
    for (const i of [0, 1]) {
      await bulwark('sign', path, ...check, '--key-env', `OWNER_${i}`, '--yes-hash', safeTxHash, '--out', join(dir, `drift-${i}.json`))
      await bulwark('attach', path, join(dir, `drift-${i}.json`))
    }
    expect(await asJson('attach', id, join(dir, 'drift-0.json'), join(dir, 'drift-1.json'), '--direct')).toMatchObject({ state: 'READY' })
    // Somebody else sets the same value: impersonating the registry's owner is that somebody.
    const call = catalog.encodeChange(chain.deployment, { name: 'marketMaxPriceSpreadRatio', subject: market().baseToken }, before - 2_500n)
    await chain.rpc.call('anvil_impersonateAccount', [chain.deployment.safe!.address])
    await mined(chain, { from: chain.deployment.safe!.address, to: call.to, data: call.data })
    const words = (raw: bigint): string => `${(Number(raw) / 10_000).toFixed(2)} % (raw ${raw})`
    const drifted = `was ${words(before)} when proposed, is ${words(before - 2_500n)} now`

    const again = await refused('sign', path, ...check, '--key-env', 'OWNER_2', '--yes-hash', safeTxHash)
    expect(again).toMatchObject({ out: '', err: expect.stringContaining(drifted), error: { code: 'NOT_READY', facts: { rules: ['drift'] } } })
    await expect(bulwark('execute', path, ...check, '--key-env', 'SENDER_KEY')).rejects.toMatchObject({ code: 'NOT_READY' })
    await expect(bulwark('execute', id, '--direct', '--key-env', 'SENDER_KEY')).rejects.toMatchObject({ code: 'STALE_PROPOSAL' })
    // Sent past every check of ours, it is the precondition that reverts it.
    const file = parseReview(await readFile(path, 'utf8'))
    const data = encodeExecution(safeTxFromJson(file.batch.safeTx), joinSignatures(file.signatures, 2))
    await expect(chain.client.call({ account: executor.address, to: file.safe, data })).rejects.toThrow('GS013')
    // Once the index has seen it, it is simulated again: that fails, and what was signed is stale.
    await mirrorChain(prisma, chain)
    const stale = await asJson('simulate', id, '--direct')
    expect(stale).toMatchObject({ state: 'STALE', simulation: { success: false }, stateReason: `marketMaxPriceSpreadRatio of vETH was ${before} when drafted and is ${before - 2_500n} at the simulated block` })
    await expect(bulwark('attach', id, join(dir, 'drift-0.json'), '--direct')).rejects.toMatchObject({ code: 'WRONG_STATE' })
  })

  test('behavior: guardrails stop a draft, a signature and an execution, each by its rule, and the deadline is the chain’s', async () => {
    await expect(bulwark('draft', '--direct', '--change', `marketMaxPriceSpreadRatio:${market().symbol}=25 %`)).rejects.toThrow('Rule policy-bounds: found 25.00 %')
    const { id, path, safeTxHash } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`, '--valid-for', '1 h')
    for (const i of [0, 1]) await bulwark('sign', path, '--trust', trustPath, '--offline', '--key-env', `OWNER_${i}`, '--yes-hash', safeTxHash, '--out', join(dir, `rail-${i}.json`))
    // An owner whose own limits are narrower does not sign it, and whoever trusts those limits does not send it.
    const strict = join(dir, 'strict.yaml')
    const trust = await readFile(trustPath, 'utf8')
    await writeFile(strict, trust.replace(/(marketMaxPriceSpreadRatio:.*\n +min: raw) \d+/, '$1 80000'))
    expect(await readFile(strict, 'utf8')).not.toBe(trust)
    await expect(bulwark('sign', path, '--trust', strict, '--offline', '--key-env', 'OWNER_2', '--yes-hash', safeTxHash)).rejects.toMatchObject({ code: 'NOT_READY', facts: { rules: expect.arrayContaining(['policy-bounds']) } })
    const send = ['--rpc-url', chain.url, '--key-env', 'SENDER_KEY', '--signature', join(dir, 'rail-0.json'), '--signature', join(dir, 'rail-1.json')]
    await expect(bulwark('execute', path, '--trust', strict, ...send)).rejects.toMatchObject({ code: 'NOT_READY', facts: { rules: expect.arrayContaining(['policy-bounds']) } })
    // Valid until: past it, nobody executes, and the chain itself refuses.
    const { validUntil } = await asJson('show', id, '--direct')
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number(validUntil) + 1])
    await chain.rpc.call('evm_mine')
    await expect(bulwark('execute', path, '--trust', trustPath, ...send)).rejects.toMatchObject({ code: 'NOT_READY', facts: { rules: expect.arrayContaining(['deadline']) } })
    await expect(bulwark('execute', path, ...send)).rejects.toMatchObject({ code: 'STALE_PROPOSAL' })
    expect(await asJson('track', '--direct')).toMatchObject([{ id, to: 'EXPIRED' }])
  })
})

describe('through a timelock', () => {
  test('behavior: signed, queued, waited for and executed from the file; another is taken out again by the owners', async () => {
    const DELAY = 3_600
    const deployment = await handToTimelock(chain, DELAY)
    const trust = ['--trust', await trustFile(deployment)]
    const send = [...trust, '--rpc-url', chain.url, '--key-env', 'SENDER_KEY']
    await mirrorChain(prisma, chain)
    const later = createProposals({ prisma, catalog, deployment, policy, rpcUrl: chain.url, stateDir: dir, log: createLogger('test', 'silent') })
    const [queuedFile, cancelledFile] = await Promise.all(
      deployment.markets.slice(0, 2).map(async ({ symbol }) => {
        const { id } = await later.draft({ title: 'Later', changes: [{ parameter: 'marketMaxPriceSpreadRatio', subject: symbol, to: 70_000n }] })
        const path = join(dir, `later-${symbol}.json`)
        await writeFile(path, serializeReview(await later.exportReview(id)))
        return path
      }),
    )
    const inOrder = [queuedFile!, cancelledFile!].toSorted((a, b) => (nonceIn(a) < nonceIn(b) ? -1 : 1))
    for (const path of inOrder) {
      const { safeTxHash } = parseReview(await readFile(path, 'utf8')).batch.hashes
      for (const i of [0, 1]) {
        const signature = join(dir, `later-${i}.json`)
        await bulwark('sign', path, ...trust, '--offline', '--key-env', `OWNER_${i}`, '--yes-hash', safeTxHash, '--out', signature)
        await bulwark('attach', path, ...trust, signature)
      }
      await bulwark('execute', path, ...send)
    }
    const [kept, taken] = inOrder
    // Both wait now. The owners take one of them out; the other is executed by anybody once its delay is over.
    const nonce = String(await chain.client.readContract({ address: deployment.safe!.address, abi: SAFE_ABI, functionName: 'nonce' }))
    const cancel = ['--timelock-nonce', nonce]
    const wrong = await refused('cancel-sign', taken!, ...trust, ...cancel, '--key-env', 'OWNER_0', '--yes-hash', `0x${'00'.repeat(32)}`)
    const hash = /safeTxHash +(0x[0-9a-f]{64})/.exec(wrong.err)![1]!
    expect(wrong.err).toContain('that cancels it at the timelock')
    for (const i of [0, 1]) await bulwark('cancel-sign', taken!, ...trust, ...cancel, '--key-env', `OWNER_${i}`, '--yes-hash', hash, '--out', join(dir, `out-${i}.json`))
    await bulwark('execute', taken!, '--cancellation', ...cancel, ...send, '--signature', join(dir, 'out-0.json'), '--signature', join(dir, 'out-1.json'))
    await expect(bulwark('execute-queued', kept!, ...send)).rejects.toThrow(/^Found the operation WAITING in the timelock, for \d+ s more, allowed is READY; wait$/)
    await chain.rpc.call('evm_setNextBlockTimestamp', [Number((await chain.client.getBlock()).timestamp) + DELAY])
    await chain.rpc.call('evm_mine')
    await expect(bulwark('execute-queued', taken!, ...send)).rejects.toMatchObject({ code: 'STALE_PROPOSAL' })
    expect((await bulwark('execute-queued', kept!, ...send)).out).toMatch(/: transaction 0x[0-9a-f]{64} in block/)
    const values = await Promise.all([kept, taken].map(async (path) => onChain('marketMaxPriceSpreadRatio', parseReview(await readFile(path!, 'utf8')).intent.changes[0]!.subject)))
    expect(values.map((value) => value === 70_000n)).toEqual([true, false])
  })
})

const nonceIn = (path: string): bigint => BigInt(parseReview(readFileSync(path, 'utf8')).intent.nonce)
