/** A batch file of Safe's Transaction Builder, made by somebody else → wishes: every call in it has to be a parameter's setter. Pure. */
import { encodeFunctionData } from 'viem'
import type { AbiFunction } from 'viem'
import { z } from 'zod'
import { deedsOf } from './decode.ts'
import type { Intent, Target } from './draft.ts'
import { DraftRefusedError } from './errors.ts'
import { batchChecksum } from './export.ts'
import { GUARD_ADDRESS } from './guard.ts'
import { lower } from './safe.ts'
import { safeOf } from './build.ts'
import type { Address, Hex } from '../protocols/adapter.ts'

const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/, 'is not an address').transform((text) => text.toLowerCase() as Address)
const argument: z.ZodType<{ name?: string | undefined; type: string; internalType?: string | undefined; components?: unknown[] | undefined }> = z.object({ name: z.string().optional(), type: z.string().max(100), internalType: z.string().optional(), components: z.array(z.unknown()).optional() })
const transaction = z.object({
  to: address,
  value: z.string().regex(/^\d{1,78}$/, 'is not a decimal number in quotes'),
  data: z.string().regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'is not hex of whole bytes').nullish().transform((text) => text?.toLowerCase() as Hex | undefined),
  contractMethod: z.object({ name: z.string().min(1), inputs: z.array(argument), payable: z.boolean().optional() }).nullish(),
  contractInputsValues: z.record(z.string()).nullish(),
})
const batchSchema = z.object({
  version: z.literal('1.0'),
  chainId: z.string().regex(/^\d{1,16}$/, 'is not a chain id in quotes'),
  meta: z.object({ name: z.string().default(''), checksum: z.string().nullish(), createdFromSafeAddress: z.union([address, z.literal('')]).nullish() }).passthrough(),
  transactions: z.array(transaction).min(1).max(100),
})

export type ImportedBatch = { readonly title: string; readonly intents: readonly Intent[]; /** What a reader should know of the file. */ readonly notes: readonly string[] }

/**
 * Wishes out of a batch file, also of what it schedules at the deployment's own timelock. Its precondition, if it has one, is left out:
 * drafting makes its own for the values of now. A checksum that fits says that the file is whole, and nothing of who made it.
 * Throws DraftRefusedError with every fault: another chain or Safe, a wrong checksum, ether, a call that cannot be read.
 */
export function parseBatch(target: Target, text: string): ImportedBatch {
  const { deployment } = target
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  const parsed = batchSchema.safeParse(value)
  if (!parsed.success) throw new DraftRefusedError(parsed.error.issues.slice(0, 10).map((issue) => `Found ${issue.path.join('.') || 'the file'} ${issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase())}, allowed is a batch file of Transaction Builder, version 1.0; make it again`))
  const { chainId, meta, transactions } = parsed.data
  const safe = lower(safeOf(deployment).address)
  const timelock = deployment.governance?.kind === 'TIMELOCK' ? lower(deployment.governance.address) : null
  const faults: string[] = []
  const notes: string[] = []
  if (chainId !== String(deployment.chainId)) faults.push(`Found a batch for chain ${chainId}, allowed is ${deployment.chainId}; take the file of this network`)
  if (meta.createdFromSafeAddress != null && meta.createdFromSafeAddress !== '' && meta.createdFromSafeAddress !== safe) faults.push(`Found a batch made for Safe ${meta.createdFromSafeAddress}, allowed is ${safe}; take the file of this Safe`)
  if (meta.checksum == null) notes.push('The file has no checksum.')
  else {
    const computed = batchChecksum(value as Parameters<typeof batchChecksum>[0])
    if (meta.checksum.toLowerCase() !== computed) faults.push(`Found checksum ${meta.checksum.slice(0, 80)}, computed is ${computed}; the file was damaged or edited, get it again`)
  }
  const intents = transactions.flatMap((each, i): Intent[] => {
    const where = `call ${i + 1} of ${transactions.length}`
    const data = each.data === undefined || each.data === '0x' ? encoded(each) : each.data
    if (data === null) {
      faults.push(`Found ${where} with neither data nor a method whose arguments can be encoded, needed is one of them; make the file again`)
      return []
    }
    const deeds = deedsOf(target, { multiSendCallOnly: lower(safeOf(deployment).multiSendCallOnly), precondition: GUARD_ADDRESS, timelock }, { to: each.to, value: BigInt(each.value), data, operation: 0 })
    return deeds.flatMap((deed): Intent[] => {
      if (deed.kind === 'CHANGE') return [{ parameter: deed.ref.name, subject: deed.ref.subject, to: deed.value }]
      if (deed.kind === 'PRECONDITION') notes.push("The file's own precondition is left out: the draft gets one for the values of now.")
      else if (deed.kind === 'SCHEDULE') notes.push('The file schedules at the timelock: the draft makes a schedule of its own.')
      else faults.push(`Found ${where} to ${each.to} that is no parameter's setter${deed.kind === 'UNDECODED' ? ` (${deed.why})` : ''}, allowed are setters of the deployed contracts alone; take it out`)
      return []
    })
  })
  if (faults.length > 0) throw new DraftRefusedError(faults)
  return { title: meta.name.trim(), intents, notes: [...new Set(notes)] }
}

/** Calldata of a method with its arguments as the Builder's forms hold them: texts, arrays and tuples as JSON. null where they do not fit. */
function encoded({ contractMethod: method, contractInputsValues: values }: z.output<typeof transaction>): Hex | null {
  if (method == null) return null
  const abi = { type: 'function', name: method.name, inputs: method.inputs, outputs: [], stateMutability: 'payable' } as unknown as AbiFunction
  try {
    return encodeFunctionData({ abi: [abi], functionName: method.name, args: method.inputs.map((each) => valueOf(each.type, values?.[each.name ?? ''])) })
  } catch {
    return null
  }
}

function valueOf(type: string, text: string | undefined): unknown {
  if (text === undefined) throw new TypeError('an argument is missing')
  // Integers of any depth stay text until they are bigints: JSON's numbers lose digits.
  if (type.endsWith(']') || type.startsWith('tuple')) return JSON.parse(text.replace(/(?<=[[,:]\s*)-?\d+(?=\s*[\],}])/g, '"$&"')) as unknown
  if (/^u?int/.test(type)) return BigInt(text)
  if (type === 'bool') {
    if (text !== 'true' && text !== 'false') throw new TypeError('not a boolean')
    return text === 'true'
  }
  return text
}
