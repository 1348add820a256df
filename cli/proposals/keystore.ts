/** Keystore files as geth and ethers write them (Web3 Secret Storage, version 3), read by node:crypto alone. */
import { createDecipheriv, pbkdf2, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { concatHex, keccak256, pad, toHex } from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import type { Hex } from 'viem'
import { z } from 'zod'
import { BadInputError } from '../../core/errors.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^(?:0x)?[0-9a-fA-F]{${bytes * 2}}$`), `is not ${bytes} bytes of hex`).transform((text) => Buffer.from(text.replace(/^0x/, ''), 'hex'))
const hexUpTo = (bytes: number) => z.string().regex(new RegExp(`^(?:0x)?(?:[0-9a-fA-F]{2}){1,${bytes}}$`), `is not 1 to ${bytes} bytes of hex`).transform((text) => Buffer.from(text.replace(/^0x/, ''), 'hex'))
const salt = hexUpTo(64)
const powerOfTwo = z.number().int().min(2).max(2 ** 22).refine((n) => (n & (n - 1)) === 0, 'is not a power of 2')

const cipher = { cipher: z.literal('aes-128-ctr'), cipherparams: z.object({ iv: hex(16) }), ciphertext: hexUpTo(32), mac: hex(32) }
const crypto = z.discriminatedUnion('kdf', [
  z.object({
    kdf: z.literal('scrypt'),
    // RFC 7914, section 2: N is less than 2^(128 · r / 8). OpenSSL holds to it.
    kdfparams: z.object({ n: powerOfTwo, r: z.number().int().min(1).max(32), p: z.number().int().min(1).max(32), dklen: z.literal(32), salt }).refine(({ n, r }) => r >= 2 || n < 2 ** 16, 'has too large an n for its r'),
    ...cipher,
  }),
  z.object({ kdf: z.literal('pbkdf2'), kdfparams: z.object({ c: z.number().int().min(1).max(10_000_000), prf: z.literal('hmac-sha256'), dklen: z.literal(32), salt }), ...cipher }),
])
const keystore = z.object({ version: z.literal(3), address: z.string().optional(), crypto })

/** Enough for n 2^20 with r 8, bytes. */
const SCRYPT_MEMORY_MAX = 2 ** 31 - 1

/** The private key in a keystore file. Throws BadInputError: no such file, another password, or another account's key in it. */
export async function openKeystore(text: string, password: string): Promise<Hex> {
  const { crypto: sealed, address } = parsed(text)
  const secret = Buffer.from(password.normalize('NFKC'), 'utf8')
  const derived =
    sealed.kdf === 'scrypt'
      ? await (promisify(scrypt) as (password: Buffer, salt: Buffer, length: number, options: object) => Promise<Buffer>)(secret, sealed.kdfparams.salt, 32, { N: sealed.kdfparams.n, r: sealed.kdfparams.r, p: sealed.kdfparams.p, maxmem: SCRYPT_MEMORY_MAX })
      : await promisify(pbkdf2)(secret, sealed.kdfparams.salt, sealed.kdfparams.c, 32, 'sha256')
  const mac = keccak256(concatHex([toHex(derived.subarray(16, 32)), toHex(sealed.ciphertext)]))
  if (mac !== toHex(sealed.mac)) throw new BadInputError('Found another password than the keystore was made with; type it again')
  const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), sealed.cipherparams.iv)
  // Some old tools left out leading zeros of the key.
  const key = pad(toHex(Buffer.concat([decipher.update(sealed.ciphertext), decipher.final()])), { size: 32 })
  const owner = privateKeyToAddress(key).slice(2).toLowerCase()
  if (address !== undefined && address.replace(/^0x/, '').toLowerCase() !== owner) throw new BadInputError(`Found the key of 0x${owner} in a keystore that names another account; take the file of the account that is meant`)
  return key
}

function parsed(text: string): z.output<typeof keystore> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  // ethers writes `Crypto` where others write `crypto`.
  const lowered = typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key === 'Crypto' ? 'crypto' : key, each as unknown])) : value
  const found = keystore.safeParse(lowered)
  if (found.success) return found.data
  // Without any value of it: the file is secret.
  throw new BadInputError(`Found a keystore in which ${found.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.') || 'the file'} is not as version 3 has it`).join('; ')}; allowed is a JSON file of geth or ethers with scrypt or pbkdf2`)
}
