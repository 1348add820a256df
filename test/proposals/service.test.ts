import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { hashesOf, type SafeTx } from '../../proposals/safe.ts'
import { createTransactionService, type TransactionService } from '../../proposals/service.ts'
import { signWithKey } from '../../proposals/sign.ts'
import { devnet } from '../../protocols/curie/deployments.ts'
import { owners } from './chain.ts'
import { startServiceDouble, type ServiceDouble } from './service-double.ts'

const safe = devnet.safe!
const domain = { chainId: devnet.chainId, safe: safe.address }
const ZERO = `0x${'0'.repeat(40)}` as const
const tx = (nonce: bigint): SafeTx => ({ to: safe.multiSendCallOnly, value: 0n, data: '0x8d80ff0a', operation: 1, safeTxGas: 0n, baseGas: 0n, gasPrice: 0n, gasToken: ZERO, refundReceiver: ZERO, nonce })
const sign = (each: SafeTx, owner: number) => signWithKey(owners[owner]!.privateKey, domain, each)
const publish = async (each: SafeTx, owner: number): Promise<void> => service.publish(each, hashesOf(domain, each), await sign(each, owner), 'note')

let double: ServiceDouble
let service: TransactionService
let nonce = 3n

beforeEach(async () => {
  nonce = 3n
  double = await startServiceDouble({ chainId: devnet.chainId, address: safe.address, owners: safe.owners, nonce: async () => nonce })
  service = createTransactionService({ url: double.url, apiKey: null, chainId: devnet.chainId, safe: safe.address })
})
afterEach(() => double.close())

describe('Safe Transaction Service', () => {
  test('behavior: what is published stands in the queue with its signature, and a second owner adds theirs', async () => {
    await publish(tx(4n), 0)
    await publish(tx(4n), 1)
    const [queued, ...others] = await service.queue(3n)
    expect(others).toEqual([])
    expect(queued).toMatchObject({ nonce: 4n, safeTx: tx(4n), safeTxHash: hashesOf(domain, tx(4n)).safeTxHash })
    const expected = [await sign(tx(4n), 0), await sign(tx(4n), 1)]
    expect(queued!.signatures).toEqual(expected)
    expect(await service.signatures(queued!.safeTxHash)).toEqual(expected)
  })

  test('behavior: the queue begins at the nonce that is asked for, over as many pages as there are', async () => {
    for (let n = 3n; n < 8n; n++) await publish(tx(n), 0)
    for (const stored of double.stored.values()) if (stored.nonce === 7) stored.executed = true
    expect((await service.queue(5n)).map((each) => Number(each.nonce)).toSorted((a, b) => a - b)).toEqual([5, 6])
  })

  test('behavior: a transaction that the service shows with other fields than its hash has is left out', async () => {
    await publish(tx(4n), 0)
    await publish(tx(5n), 0)
    const stored = double.stored.get(hashesOf(domain, tx(5n)).safeTxHash)!
    stored.fields['to'] = safe.address
    expect((await service.queue(3n)).map((each) => each.nonce)).toEqual([4n])
  })

  test('behavior: a transaction that the service does not know has no signatures', async () => {
    expect(await service.signatures(hashesOf(domain, tx(9n)).safeTxHash)).toEqual([])
  })

  test('error: says what the service answered, without its address', async () => {
    nonce = 10n
    const refused = publish(tx(4n), 0)
    await expect(refused).rejects.toThrow(/^Safe Transaction Service: status 422: .*Nonce=4 already executed/)
    double.failWith = 500
    const failed = service.queue(3n)
    await expect(failed).rejects.toThrow(/^Safe Transaction Service: status 500: out of order; check SAFE_SERVICE_URL and its key, or pass signatures on by file$/)
    const error = await failed.then(() => null, (each: unknown) => each as Error)
    expect(`${error?.message} ${error?.stack} ${String(error?.cause)}`).not.toContain(double.url)
    await double.close()
    await expect(service.queue(3n)).rejects.toThrow(/^Safe Transaction Service: no answer; /)
    double = await startServiceDouble({ chainId: devnet.chainId, address: safe.address, owners: safe.owners, nonce: async () => nonce })
  })
})
