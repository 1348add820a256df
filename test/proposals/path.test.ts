/** A proposal's whole path on the real protocol and Safe: by the command line alone, by the API alone, and by signers who have nothing but the file. */
import { execFile } from 'node:child_process'
import { createCipheriv, randomBytes, scryptSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { concatHex, keccak256, toHex } from 'viem'
import { proposal } from '../../cli/proposals/index.ts'
import type { ProposalView } from '../../cli/proposals/view.ts'
import { PROJECT } from '../../cli/options.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { parseReview } from '../../proposals/review.ts'
import { lower } from '../../proposals/safe.ts'
import type { SignatureFile } from '../../proposals/sign.ts'
import { readParameter } from '../../proposals/simulate.ts'
import { firstTrust, initQuestions } from '../../proposals/trust.ts'
import { rpcWitness } from '../../proposals/witness.ts'
import { catalog } from '../../protocols/curie/parameters.ts'
import { curie } from '../../protocols/curie/index.ts'
import type { Deployment, Hex } from '../../protocols/adapter.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'
import { executor, mirrorChain, owners, startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'
import { devnetAccounts } from '../../devnet/keys.ts'

// Some seconds on an idle machine; two busy cores take longer.
jest.setTimeout(180_000)

const run = promisify(execFile)
const SPARE = devnetAccounts('spare', 31337)[0]!

let chain: TestChain
let postgres: TestPostgres
let prisma: PrismaClient
let databaseUrl: string
let snapshot: string
let dir: string
let trustPath: string

beforeAll(async () => {
  ;[chain, postgres] = await Promise.all([startTestChain(), startTestPostgres()])
  databaseUrl = await postgres.freshDatabase()
  prisma = createPrisma(databaseUrl)
  dir = chain.stateDir
  trustPath = await trustFile(chain.deployment)
  Object.assign(process.env, { DATABASE_URL: databaseUrl, RPC_URL: chain.url, NETWORK: 'devnet', STATE_DIR: dir, ...Object.fromEntries(owners.map((owner, i) => [`OWNER_${i}`, owner.privateKey])), SENDER_KEY: SPARE.privateKey })
})

afterAll(async () => {
  await prisma?.$disconnect()
  await postgres?.stop()
  await chain?.stop()
})

beforeEach(async () => {
  if (snapshot !== undefined) await chain.rpc.call('evm_revert', [snapshot])
  snapshot = (await chain.rpc.call('evm_snapshot')) as string
  await prisma.$executeRaw`TRUNCATE "Proposal", "ProposalSignature", "ProposalEvent", "Parameter", "Checkpoint", "Recommendation", "RecommendationRun"`
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
  await proposal(args, { out: (text) => void (ran.out += text), err: (text) => void (ran.err += text), width: null, bold: (text) => text, signal: new AbortController().signal })
  return ran
}
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
    for (const i of [0, 1]) {
      const signature = join(dir, `cancel-${i}.json`)
      await bulwark('cancel-sign', path, '--trust', trustPath, '--key-env', `OWNER_${i}`, '--yes-hash', cancellation!.safeTxHash, '--out', signature)
      await bulwark('attach', id, signature, '--direct')
    }
    await bulwark('execute', id, '--cancellation', '--direct', '--rpc-url', chain.url, '--key-env', 'SENDER_KEY')
    expect(await asJson('show', id, '--direct')).toMatchObject({ state: 'CANCELLED' })
  })
})

describe('by signers who have the file and nothing else', () => {
  test('behavior: two owners sign without any network, one by keystore and one by a variable, and a third party executes from the file', async () => {
    const { path, safeTxHash } = await proposed('--change', `marketMaxPriceSpreadRatio:${market().symbol}=7 %`, '--title', 'For two owners')
    const offline = ['sign', path, '--trust', trustPath, '--offline', '--yes-hash', safeTxHash]
    const [byKeystore, byVariable, wrongHash] = await Promise.all([
      keystore('alone.json', owners[1]!.privateKey, 'pass').then((file) => alone({ SECRET: 'pass' }, ...offline, '--keystore', file, '--password-env', 'SECRET')),
      alone({ KEY: owners[0]!.privateKey }, ...offline, '--key-env', 'KEY', '--out', join(dir, 'b.json')),
      alone({ KEY: owners[0]!.privateKey }, ...offline.slice(0, -1), `0x${'12'.repeat(32)}`, '--key-env', 'KEY'),
    ])
    expect(byKeystore.err).toContain('READY (offline: chain state not checked)')
    expect(byKeystore).toMatchObject({ code: 0 })
    expect(byVariable).toMatchObject({ code: 0 })
    expect(wrongHash).toMatchObject({ code: 2, out: '' })
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
