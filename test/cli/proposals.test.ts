/** What the commands of proposals take from a person: keys, signature files, batch files and the command line. The whole path is test/proposals/path.test.ts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { encodeFunctionData, parseAbi, zeroHash } from 'viem'
import type { Hex } from 'viem'
import type { Given } from '../../cli/analysis/io.ts'
import { keyOf } from '../../cli/proposals/keys.ts'
import { openKeystore } from '../../cli/proposals/keystore.ts'
import { PROPOSAL_COMMANDS, proposal } from '../../cli/proposals/index.ts'
import { listText, proposalText, stepText } from '../../cli/proposals/view.ts'
import type { ProposalView } from '../../cli/proposals/view.ts'
import { devnetAccounts } from '../../devnet/keys.ts'
import { batchChecksum } from '../../proposals/export.ts'
import { parseBatch } from '../../proposals/import.ts'
import { parseSignature, serializeSignature } from '../../proposals/sign.ts'
import type { SignatureFile } from '../../proposals/sign.ts'
import { curie } from '../../protocols/curie/index.ts'

const dir = mkdtempSync(join(tmpdir(), 'bulwark-cli-proposals-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Web3 Secret Storage Definition, test vector with PBKDF2, password `testpassword`. */
const SECRET = '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d'
const PBKDF2 = {
  crypto: {
    cipher: 'aes-128-ctr', cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' }, ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2', kdfparams: { c: 262144, dklen: 32, prf: 'hmac-sha256', salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd' }, mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6', version: 3,
}
/** go-ethereum, accounts/keystore/testdata/v3_test_vector.json: "31_byte_key". */
const SCRYPT = {
  crypto: {
    cipher: 'aes-128-ctr', cipherparams: { iv: 'e0c41130a323adc1446fc82f724bca2f' }, ciphertext: '9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984',
    kdf: 'scrypt', kdfparams: { dklen: 32, n: 2, r: 8, p: 1, salt: '711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63' }, mac: 'd5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5',
  },
  id: 'fecfc4ce-e956-48fd-953b-30f8b52ed66c', version: 3,
}

describe('what a server says', () => {
  const view: ProposalView = {
    id: '3-ab', title: 'Fine\u001b[2J\u202e\u0007', state: 'DRAFT', stateReason: 'a\nb', safe: '0x00', threshold: 2, nonce: 3, changes: [], safeTxHash: '0x01', domainHash: '0x02', messageHash: '0x03', draftedAt: { number: '1', timestamp: '1' }, draftedBy: null, validUntil: '2',
    simulation: null, findings: [], signatures: [], cancellation: null, scheduled: null, executionTxHash: null, executedAtBlock: null, appliedAtBlock: null, aftermath: null, events: [{ at: '2026-01-01T00:00:00.000Z', toState: 'DRAFT', note: 'x\u009b1A' }],
  }

  test('error: a title or note with escape characters moves no cursor and turns no text around', () => {
    const io = { width: null, bold: (text: string) => text }
    for (const text of [listText([view], io), proposalText(view, io), stepText(view)]) expect(text).not.toMatch(/(?!\n)\p{C}/u)
    expect(listText([view], io)).toContain('Fine\uFFFD[2J\uFFFD\uFFFD')
  })
})

describe('keys', () => {
  test.each([['pbkdf2', PBKDF2, 'testpassword', SECRET], ['scrypt', SCRYPT, 'foo', '0x00fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35']])('behavior: opens the published keystore with %s', async (_, file, password, key) => {
    expect(await openKeystore(JSON.stringify(file), password)).toBe(key)
    await expect(openKeystore(JSON.stringify(file), `${password} `)).rejects.toThrow('Found another password than the keystore was made with')
  })

  test('error: another account, an unknown cipher, or no JSON is said without a value of the file', async () => {
    await expect(openKeystore(JSON.stringify({ ...PBKDF2, address: '00'.repeat(20) }), 'testpassword')).rejects.toThrow('in a keystore that names another account')
    const other = JSON.stringify({ ...PBKDF2, crypto: { ...PBKDF2.crypto, cipher: 'aes-256-gcm' } })
    await expect(openKeystore(other, 'testpassword')).rejects.toThrow('crypto.cipher is not as version 3 has it')
    // RFC 7914 does not know these; the definition's own vector with scrypt has them.
    const strange = JSON.stringify({ ...SCRYPT, crypto: { ...SCRYPT.crypto, kdfparams: { ...SCRYPT.crypto.kdfparams, n: 262_144, r: 1 } } })
    await expect(openKeystore(strange, 'foo')).rejects.toThrow('crypto.kdfparams is not as version 3 has it')
    await expect(openKeystore(SECRET, '')).rejects.toThrow(/^(?!.*7a28b5ba).*allowed is a JSON file of geth or ethers/)
  })

  const given = (texts: Readonly<Record<string, string>>): Given => ({ text: (name) => texts[name], texts: () => [], on: () => false, rest: [] })

  test('error: a key that everybody has is refused on any chain but the devnet’s', async () => {
    process.env['EVERYBODYS'] = devnetAccounts('safeOwner', 31337)[0]!.privateKey
    expect((await keyOf(given({ 'key-env': 'EVERYBODYS' }), 31337))!.account.address).toBe(devnetAccounts('safeOwner', 31337)[0]!.address)
    await expect(keyOf(given({ 'key-env': 'EVERYBODYS' }), 10)).rejects.toThrow('Found a key of the test mnemonic, which everybody has, for chain 10, allowed is chain 31337; use a key of your own')
    process.env['MINE'] = SECRET
    expect(await keyOf(given({ 'key-env': 'MINE' }), 10)).toMatchObject({ key: SECRET })
  })

  test('error: a variable that is empty or holds something else is named, and its value is not', async () => {
    process.env['BROKEN'] = 'hunter2'
    await expect(keyOf(given({ 'key-env': 'BROKEN' }), 31337)).rejects.toThrow(/^(?!.*hunter2)Found something else than a private key in the variable BROKEN/)
    await expect(keyOf(given({ 'key-env': 'NOT_SET' }), 31337)).rejects.toThrow('Found nothing in the variable NOT_SET')
    await expect(keyOf(given({ 'key-env': 'MINE', keystore: 'x' }), 31337)).rejects.toThrow('Found --key-env and --keystore')
    expect(await keyOf(given({}), 31337)).toBeNull()
  })

  test('error: without a terminal, a keystore’s password has to be in a variable', async () => {
    const path = join(dir, 'keystore.json')
    writeFileSync(path, JSON.stringify(PBKDF2))
    await expect(keyOf(given({ keystore: path }), 10)).rejects.toThrow('Found no terminal to ask for the password at, needed is --password-env')
    process.env['ITS_PASSWORD'] = 'testpassword'
    expect(await keyOf(given({ keystore: path, 'password-env': 'ITS_PASSWORD' }), 10)).toMatchObject({ key: SECRET })
  })
})

describe('a signature file', () => {
  const file: SignatureFile = { format: 'bulwark-signature', version: 1, kind: 'CHANGE', chainId: 10, safe: `0x${'ab'.repeat(20)}`, nonce: '7', safeTxHash: zeroHash, signer: `0x${'cd'.repeat(20)}`, signature: `0x${'ef'.repeat(65)}` }

  test('behavior: reads back what was written, upper case made lower', () => {
    expect(parseSignature(serializeSignature(file))).toEqual(file)
    expect(parseSignature(JSON.stringify({ ...file, signer: `0x${'CD'.repeat(20)}` }))).toEqual(file)
  })

  test.each<[string, unknown, string]>([
    ['no JSON', '{', 'the file expected object'],
    ['another version', { ...file, version: 2 }, 'version invalid literal value'],
    ['a short signature', { ...file, signature: '0x1234' }, 'signature is not 65 bytes of hex'],
    ['a key that is unknown', { ...file, note: 'x' }, "the file unrecognized key(s) in object: 'note'"],
    ['a private key in its place', SECRET, 'the file expected object'],
  ])('error: %s is refused in one sentence', (_, value, sentence) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    expect(() => parseSignature(text)).toThrow(sentence)
    expect(() => parseSignature(text)).toThrow(/^(?!.*7a28b5ba)Found a signature file in which .+; allowed is a file as "bulwark proposal sign" writes it/)
  })
})

describe('a batch file of Transaction Builder', () => {
  const deployment = curie.deployments['devnet']!
  const target = { catalog: curie.catalog, deployment }
  const market = deployment.markets[0]!
  const registry = deployment.contracts.marketRegistry
  const method = { name: 'setMarketMaxPriceSpreadRatio', payable: false, inputs: [{ internalType: 'address', name: 'baseToken', type: 'address' }, { internalType: 'uint24', name: 'ratio', type: 'uint24' }] }
  const batch = (transactions: readonly unknown[], more: object = {}): string => JSON.stringify({ version: '1.0', chainId: '31337', createdAt: 1, meta: { name: 'By hand' }, transactions, ...more })
  const data = (ratio: number): Hex => encodeFunctionData({ abi: parseAbi(['function setMarketMaxPriceSpreadRatio(address baseToken, uint24 ratio)']), args: [market.baseToken, ratio] })

  test('behavior: a call is read from its data, and from its method where there is none; data that is there wins', () => {
    const wish = { parameter: 'marketMaxPriceSpreadRatio', subject: market.baseToken.toLowerCase(), to: 70_000n }
    const values = { baseToken: market.baseToken, ratio: '70000' }
    for (const call of [{ data: data(70_000) }, { data: null, contractMethod: method, contractInputsValues: values }, { data: data(70_000), contractMethod: method, contractInputsValues: { ...values, ratio: '90000' } }]) {
      const { intents, title } = parseBatch(target, batch([{ to: registry, value: '0', ...call }]))
      expect(intents.map((each) => ({ ...each, subject: each.subject!.toLowerCase() }))).toEqual([wish])
      expect(title).toBe('By hand')
    }
  })

  test('error: every fault at once: another chain, ether, a call that is no setter, a method without its argument', () => {
    const text = batch(
      [
        { to: registry, value: '1', data: data(70_000) },
        { to: deployment.safe!.address, value: '0', data: '0x12345678' },
        { to: registry, value: '0', data: null, contractMethod: method, contractInputsValues: {} },
      ],
      { chainId: '10' },
    )
    expect(() => parseBatch(target, text)).toThrow(/^Found 4 faults in the draft: \(1\) Found a batch for chain 10.+\(2\) Found call 1 of 3 .+sends 1 wei.+\(3\) Found call 2 of 3 .+no parameter.+\(4\) Found call 3 of 3 with neither data nor a method/)
  })

  test('error: a checksum that is not the file’s, a Safe that is another, numbers without quotes', () => {
    const call = { to: registry, value: '0', data: data(70_000) }
    const file = { version: '1.0', chainId: '31337', meta: { name: 'x', createdFromSafeAddress: deployment.safe!.address }, transactions: [call] }
    const checksum = batchChecksum(file)
    expect(parseBatch(target, JSON.stringify({ ...file, meta: { ...file.meta, checksum } })).notes).toEqual([])
    expect(() => parseBatch(target, JSON.stringify({ ...file, transactions: [{ ...call, data: data(70_001) }], meta: { ...file.meta, checksum } }))).toThrow('the file was damaged or edited')
    expect(() => parseBatch(target, batch([call], { meta: { createdFromSafeAddress: registry } }))).toThrow('Found a batch made for Safe')
    expect(() => parseBatch(target, batch([{ ...call, value: 0 }]))).toThrow('transactions.0.value')
  })
})

describe('the command line', () => {
  const run = async (...args: string[]): Promise<string> => {
    let out = ''
    await proposal(args, { out: (text) => void (out += text), err: () => {}, width: null, bold: (text) => text, signal: new AbortController().signal })
    return out
  }

  test('behavior: the help names every command, and each command its flags', async () => {
    const help = await run('help')
    for (const { name, flags } of PROPOSAL_COMMANDS) {
      expect(help).toContain(`\n  ${name} `)
      const own = await run(name, '--help')
      for (const flag of Object.keys(flags)) expect(own).toContain(`--${flag}`)
      expect(own).toContain('Exit code: 0; 1 where')
    }
  })

  test.each<[string, string[], string]>([
    ['an unknown command', ['dance'], 'Found "dance" after proposal, allowed are draft, list,'],
    ['an unknown flag', ['list', '--loud'], 'allowed are --state STATE, --url URL, --direct'],
    ['a file that is missing', ['sign', '/nowhere/proposal.json', '--trust', 'x'], 'Found no readable file /nowhere/proposal.json for the proposal'],
    ['no trust file', ['cancel-sign', join(import.meta.dirname, '../../package.json')], 'Found a proposal file in which'],
    ['a server for a signer', ['sign', 'proposal.json', '--url', 'http://127.0.0.1:1'], "unknown option '--url'"],
    ['two ways at once', ['list', '--direct', '--url', 'http://127.0.0.1:1'], 'Found --url and --direct'],
    ['a state that does not exist', ['list', '--state', 'GONE'], 'Found --state GONE, allowed are DRAFT, SIMULATED'],
  ])('error: %s', async (_, args, sentence) => {
    await expect(run(...args)).rejects.toMatchObject({ code: 'BAD_INPUT', message: expect.stringContaining(sentence) })
  })

  test('error: an API that is not there is named', async () => {
    await expect(run('list', '--url', 'http://127.0.0.1:9')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})
