import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { numberToHex, toHex } from 'viem'
import { devnetAccounts } from '../../devnet/keys.ts'
import { curie } from '../../protocols/curie/index.ts'
import { parseDesired } from '../../proposals/desired.ts'
import { reviewOf, serializeReview } from '../../proposals/review.ts'
import { rollbackOf } from '../../proposals/rollback.ts'
import { drawHonest, statementToJson, worldOf } from '../../proposals/tamper/honest.ts'
import type { Honest, World } from '../../proposals/tamper/honest.ts'
import { firstTrust, initQuestions, parseTrust, trustedTarget } from '../../proposals/trust.ts'
import type { Trust } from '../../proposals/trust.ts'
import { verdictText, verifyReview } from '../../proposals/verify.ts'
import type { Verdict, VerifyOptions } from '../../proposals/verify.ts'
import { rpcWitness } from '../../proposals/witness.ts'
import type { Statement } from '../../proposals/witness.ts'
import { startTestChain } from './chain.ts'
import type { TestChain } from './chain.ts'

const run = promisify(execFile)
const PROJECT = join(import.meta.dirname, '../..')
const RECORD = join(PROJECT, 'proposals/tamper/chain.json')

/** An RPC in front of another that may answer otherwise: `lie` gets the method, its parameters and the honest result. */
async function proxy(url: string, lie: (method: string, params: unknown, result: unknown) => unknown): Promise<{ url: string; server: Server }> {
  type Request = { id: number; method: string; params: unknown }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Request | Request[]
    const answers = (await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) })).json()) as { id: number; result: unknown } | { id: number; result: unknown }[]
    const changed = (one: { id: number; result: unknown }) => {
      const call = (Array.isArray(asked) ? asked : [asked]).find((each) => each.id === one.id)!
      return { ...one, result: lie(call.method, call.params, one.result) }
    }
    response.end(JSON.stringify(Array.isArray(answers) ? answers.map(changed) : changed(answers)))
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

describe('verify', () => {
  let chain: TestChain
  let second: { url: string; server: Server }
  let said: Statement
  let trustText: string
  let trust: Trust
  let honest: Honest
  let text: string
  let dir: string
  const servers: Server[] = []
  const keys = devnetAccounts('safeOwner', 31_337).map((each) => each.privateKey)

  beforeAll(async () => {
    chain = await startTestChain()
    dir = await mkdtemp(join(tmpdir(), 'bulwark-verify-'))
    second = await proxy(chain.url, (_method, _params, result) => result)
    servers.push(second.server)
    const target = { catalog: curie.catalog, deployment: chain.deployment }
    // Blocks to stand on that are not the last.
    await chain.rpc.call('anvil_mine', ['0x100'])
    const witness = rpcWitness(target, chain.url)
    said = await witness.state(initQuestions(target), (await witness.head()).number)
    trustText = firstTrust(curie, chain.deployment, said, { sources: [witness.name], machineSec: BigInt(Math.floor(Date.now() / 1000)) })
    trust = parseTrust(trustText)
    const world: World = worldOf(curie, chain.deployment, said, keys.slice(0, 2), { kind: 'SAFE' })
    // The block that it stands on is a real one.
    const drawn = await drawHonest(world, trustedTarget(trust).policy, 3)
    const block = await chain.client.getBlock({ blockNumber: BigInt(drawn.file.block.number) })
    const back = rollbackOf(world.target, drawn.plan)
    const file = reviewOf({
      ...drawn.file, title: drawn.file.intent.title, plan: drawn.plan, built: drawn.built, rollback: back.plan === null ? null : back,
      block: { number: block.number, hash: block.hash, timestamp: block.timestamp }, simulation: null, impact: null,
    })
    honest = { ...drawn, file }
    text = serializeReview(honest.file)
  })

  afterAll(async () => {
    for (const server of servers) server.close()
    await chain.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const check = (urls: readonly string[], options: Partial<VerifyOptions> = {}, file = text, by = trust): Promise<Verdict> => {
    const { target } = trustedTarget(by)
    return verifyReview(file, by, { witnesses: urls.map((url) => rpcWitness(target, url)), machineSec: BigInt(Math.floor(Date.now() / 1000)), ...options })
  }
  const rules = (verdict: Verdict): readonly string[] => [...new Set(verdict.findings.map((each) => each.rule))]

  test('default: two RPCs that agree make an honest proposal READY, with the three hashes and the words', async () => {
    const verdict = await check([chain.url, second.url])
    expect(verdict.findings).toEqual([])
    expect(verdict.headline).toBe('READY')
    expect(verdict.hashes).toEqual(honest.built.hashes)
    expect(verdictText(verdict)).toContain(`safeTxHash    ${honest.built.hashes.safeTxHash}`)
    expect(verdict.changes).toHaveLength(honest.plan.changes.length)
  })

  test('behavior: an answer of one RPC is named single-source, and refused where the signer wants two', async () => {
    expect((await check([chain.url])).headline).toMatch(/^READY \(single-source: 127\.0\.0\.1:\d+ alone was asked\)$/)
    const strict = parseTrust(trustText.replace('agreeingRpcs: 0', 'agreeingRpcs: 2'))
    expect(rules(await check([chain.url], {}, text, strict))).toEqual(['single-source'])
    expect((await check([chain.url, second.url], {}, text, strict)).headline).toBe('READY')
    // The same RPC twice is one source.
    expect(rules(await check([chain.url, chain.url], {}, text, strict))).toEqual(['single-source'])
  })

  test('behavior: without a chain the answer says so, and is NOT READY where the signer wants a chain', async () => {
    const verdict = await check([])
    expect(verdict.headline).toBe('READY (offline: chain state not checked)')
    expect(verdict.unchecked.join(' ')).toContain('nonce, owners, threshold, guard and modules')
    expect(rules(await check([], {}, text, parseTrust(trustText.replace('agreeingRpcs: 0', 'agreeingRpcs: 1'))))).toEqual(['chain-unchecked'])
  })

  test.each<[string, string, (method: string, params: unknown, result: unknown) => unknown]>([
    ['the nonce', 'rpc-disagree', (method, params, result) => (method === 'eth_call' && JSON.stringify(params).includes('0xaffed0e0') ? numberToHex(7n, { size: 32 }) : result)],
    ['the code of MultiSendCallOnly', 'rpc-disagree', (method, _, result) => (method === 'eth_getCode' ? `${String(result)}00` : result)],
    ['a block hash', 'rpc-disagree', (method, _, result) => (method === 'eth_getBlockByNumber' ? { ...(result as object), hash: toHex(1, { size: 32 }) } : result)],
    ['everything, with an error', 'rpc-failed', () => undefined],
  ])('error: a second RPC that lies about %s', async (_, rule, lie) => {
    const liar = await proxy(chain.url, lie)
    servers.push(liar.server)
    expect(rules(await check([chain.url, liar.url]))).toContain(rule)
    expect((await check([chain.url, liar.url])).ready).toBe(false)
  })

  test('error: an RPC that nobody listens at is named, and nothing is READY', async () => {
    const verdict = await check([chain.url, 'http://127.0.0.1:9'])
    expect(rules(verdict)).toEqual(['rpc-failed'])
    expect(verdict.ready).toBe(false)
  })

  test('behavior: the trust file is commented on every line and says what the chain says', () => {
    const lines = trustText.trimEnd().split('\n')
    expect(lines.filter((line) => !line.includes('#'))).toEqual([])
    expect(trust.safe.owners).toEqual(said.safe.owners)
    expect(trust.multiSendCallOnly.codeHash).toBe(said.codeHashes[trust.multiSendCallOnly.address])
    expect(trustedTarget(trust).differences).toEqual([])
  })

  test('error: a trust file that loses digits, names a key twice or has one too many is refused', () => {
    expect(() => parseTrust(trustText.replace(/address: "(0x[0-9a-f]{40})"/, 'address: $1'))).toThrow(/safe\.address is not in quotes/)
    expect(() => parseTrust(`${trustText}chainId: 1\n`)).toThrow(/cannot be read/)
    expect(() => parseTrust(`${trustText}more: 1\n`)).toThrow(/unrecognized key/)
    expect(() => parseTrust(trustText.replace('threshold: 2', 'threshold: 4'))).toThrow(/threshold above the number of owners/)
  })

  test('behavior: what a signer expects is held against the proposal', async () => {
    const { target } = trustedTarget(trust)
    const [change] = honest.plan.changes
    const group = change.scope === 'PROTOCOL' ? `protocol: { ${change.parameter}: "raw ${change.to + 1n}" }` : `${{ MARKET: 'markets', COLLATERAL: 'collaterals', ACCOUNT: 'accounts' }[change.scope]}: { "${change.subject}": { ${change.parameter}: "raw ${change.to + 1n}" } }`
    const desired = parseDesired(target, `title: mine\n${group}\n`)
    expect(rules(await check([], { expected: { desired } }))).toEqual(['expected-change'])
    expect(rules(await check([], { expected: { digest: '00'.repeat(32) } }))).toEqual(['expected-digest'])
    expect(rules(await check([], { expected: { safeTxHash: toHex(1, { size: 32 }) } }))).toEqual(['expected-hash'])
    expect((await check([], { expected: { digest: honest.file.digest, safeTxHash: honest.built.hashes.safeTxHash } })).ready).toBe(true)
  })

  describe('as a command', () => {
    const bulwark = async (args: readonly string[], before: readonly string[] = []): Promise<{ code: number; out: string; err: string }> => {
      const [file, ...rest] = [...before, process.execPath, '--import', 'tsx', 'cli/main.ts', ...args]
      return run(file!, rest, { cwd: PROJECT }).then(
        ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
        (error: { code: number; stdout: string; stderr: string }) => ({ code: error.code, out: error.stdout, err: error.stderr }),
      )
    }
    let proposal: string
    let trustPath: string
    beforeAll(async () => {
      proposal = join(dir, 'proposal.json')
      trustPath = join(dir, 'trust.yaml')
      await writeFile(proposal, text)
      await writeFile(trustPath, trustText)
    })

    test('behavior: READY without any network, where the kernel lets a program be cut off from it', async () => {
      const isolated = await run('unshare', ['-rn', 'true']).then(() => true, () => false)
      const { code, out } = await bulwark(['verify', proposal, '--trust', trustPath], isolated ? ['unshare', '-rn'] : [])
      expect(out).toMatch(/^READY \(offline: chain state not checked\)\n/)
      expect(code).toBe(0)
    })

    test('behavior: exit code 1 and the rule where a byte was changed, 2 where it is asked wrongly', async () => {
      const tampered = join(dir, 'tampered.json')
      await writeFile(tampered, text.replace('"gasPrice": "0"', '"gasPrice": "1"'))
      const wrong = await bulwark(['verify', tampered, '--trust', trustPath, '--json'])
      expect(wrong.code).toBe(1)
      expect((JSON.parse(wrong.out) as Verdict).findings.map((each) => each.rule)).toEqual(expect.arrayContaining(['safe-tx-gas', 'file-digest']))
      expect((await bulwark(['verify', proposal])).code).toBe(2)
      expect((await bulwark(['verify', join(dir, 'none.json'), '--trust', trustPath])).code).toBe(2)
      expect((await bulwark(['verify', proposal, '--trust', proposal])).code).toBe(2)
      await writeFile(join(dir, 'broken.json'), '{')
      expect((await bulwark(['verify', join(dir, 'broken.json'), '--trust', trustPath])).code).toBe(1)
    })

    test('behavior: trust init writes a file that verify takes, and never overwrites one', async () => {
      const out = join(dir, 'first.yaml')
      const first = await bulwark(['trust', 'init', '--rpc-url', chain.url, '--rpc-url', second.url, '--out', out])
      expect(first).toMatchObject({ code: 0, err: '' })
      expect((await bulwark(['trust', 'init', '--rpc-url', chain.url, '--out', out])).code).toBe(2)
      const { code, out: answer } = await bulwark(['verify', proposal, '--trust', out, '--rpc-url', chain.url, '--rpc-url', second.url])
      expect(answer).toMatch(/^READY\n/)
      expect(code).toBe(0)
    })
  })

  test('behavior: the chain that the attack corpus runs on is the one that the devnet makes', () => {
    const fresh = statementToJson(said)
    // BULWARK_RECORD=1 writes it anew, after a change of the deployment.
    if (process.env['BULWARK_RECORD'] === '1') writeFileSync(RECORD, `${JSON.stringify(fresh, null, 1)}\n`)
    expect(JSON.parse(readFileSync(RECORD, 'utf8'))).toEqual(fresh)
  })

  describe('when the chain has moved', () => {
    test('error: another value is drift, a used nonce, a new module, guard, owner or threshold is named', async () => {
      const safe = chain.deployment.safe!.address
      const snapshot = await chain.rpc.call('evm_snapshot', [])
      const slot = (index: bigint, value: bigint) => chain.rpc.call('anvil_setStorageAt', [safe, numberToHex(index, { size: 32 }), numberToHex(value, { size: 32 })])
      await slot(5n, BigInt(honest.file.intent.nonce) + 1n)
      await slot(4n, 1n)
      await slot(BigInt('0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8'), BigInt(chain.deployment.contracts.vault))
      await slot(BigInt('0x6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5'), 5n)
      await chain.rpc.call('anvil_setCode', [chain.deployment.safe!.multiSendCallOnly, '0x00'])
      await chain.rpc.call('anvil_mine', ['0x1'])
      const found = rules(await check([chain.url]))
      expect(found).toEqual(expect.arrayContaining(['nonce-used', 'safe-threshold', 'safe-guard', 'safe-fallback', 'multisend-code']))
      await chain.rpc.call('evm_revert', [snapshot])
    })
  })
})
