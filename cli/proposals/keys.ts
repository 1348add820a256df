/** Where the command line takes keys from: a variable of the environment or a keystore file. Nothing here keeps or prints one. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { isHex, size } from 'viem'
import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { PrivateKeyAccount } from 'viem/accounts'
import { BadInputError } from '../../core/errors.ts'
import { DEVNET_CHAIN_ID, isPublicAccount } from '../../devnet/keys.ts'
import type { Flags, Given } from '../analysis/io.ts'
import { InterruptedError } from '../graphql.ts'
import { textOf } from '../review.ts'
import { openKeystore } from './keystore.ts'

export const KEY_FLAGS: Flags = {
  'key-env': { type: 'string', value: 'NAME', about: 'variable of the environment that holds the private key' },
  keystore: { type: 'string', value: 'FILE', about: 'keystore file of geth or ethers (version 3)' },
  'password-env': { type: 'string', value: 'NAME', about: "variable that holds the keystore's password (default: it is asked for)" },
}

export type SigningKey = { readonly key: Hex; readonly account: PrivateKeyAccount }

/** The key that is named; null where none is. Throws BadInputError, also for a key that everybody has, on any chain but the devnet's. */
export async function keyOf(given: Given, chainId: number): Promise<SigningKey | null> {
  const [variable, file] = [given.text('key-env'), given.text('keystore')]
  if (variable === undefined && file === undefined) return null
  if (variable !== undefined && file !== undefined) throw new BadInputError('Found --key-env and --keystore, allowed is one of them; leave one out')
  const key = variable === undefined ? await openKeystore(await textOf(file!, 'the keystore'), await passwordOf(given)) : keyIn(variable)
  const account = privateKeyToAccount(key)
  if (chainId !== DEVNET_CHAIN_ID && isPublicAccount(account.address)) throw new BadInputError(`Found a key of the test mnemonic, which everybody has, for chain ${chainId}, allowed is chain ${DEVNET_CHAIN_ID}; use a key of your own`)
  return { key, account }
}

/** The same, where there has to be one. */
export async function neededKey(given: Given, chainId: number, what: string): Promise<SigningKey> {
  const found = await keyOf(given, chainId)
  if (found === null) throw new BadInputError(`Found no key ${what}, needed is one; name it with --keystore FILE or --key-env NAME`)
  return found
}

function keyIn(variable: string): Hex {
  const key = process.env[variable] ?? ''
  // The value is never in the sentence.
  if (!isHex(key) || size(key) !== 32) throw new BadInputError(`Found ${key === '' ? 'nothing' : 'something else than a private key'} in the variable ${variable.slice(0, 100)}, needed are 32 bytes in hex with 0x before them; set it`)
  return key
}

async function passwordOf(given: Given): Promise<string> {
  const variable = given.text('password-env')
  if (variable !== undefined) {
    const password = process.env[variable]
    if (password === undefined) throw new BadInputError(`Found nothing in the variable ${variable.slice(0, 100)}, needed is the keystore's password; set it`)
    return password
  }
  const typed = await typedAt('Password of the keystore: ', true)
  if (typed === null) throw new BadInputError('Found no terminal to ask for the password at, needed is --password-env; name the variable that holds it')
  return typed
}

/** A line that a person types; null where nobody is at a terminal. The question goes to stderr. `hidden` shows nothing of the answer. */
export async function typedAt(question: string, hidden = false): Promise<string | null> {
  if (process.stdin.isTTY !== true) return null
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  // Made before the question is shown: from here on, the terminal itself shows nothing of what is typed.
  const lines = createInterface({ input: process.stdin, output: hidden ? silent : process.stderr, terminal: true })
  try {
    if (hidden) process.stderr.write(question)
    return await new Promise<string>((resolve, reject) => {
      // Ctrl-C and Ctrl-D.
      for (const end of ['SIGINT', 'close']) lines.once(end, () => reject(new InterruptedError('The question')))
      lines.question(hidden ? '' : question).then(resolve, reject)
    })
  } finally {
    lines.close()
    if (hidden) process.stderr.write('\n')
  }
}
