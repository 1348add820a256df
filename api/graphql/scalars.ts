import { GraphQLError, GraphQLScalarType, Kind } from 'graphql'

const refuse = (type: string, found: unknown, allowed: string, action: string): GraphQLError =>
  new GraphQLError(`Found ${JSON.stringify(typeof found === 'bigint' ? found.toString() : found) ?? 'nothing'} for ${type}, allowed is ${allowed}; ${action}`, { extensions: { code: 'BAD_INPUT' } })

const parseBigInt = (value: unknown): bigint => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value === 'string' && /^-?\d{1,78}$/.test(value)) return BigInt(value)
  throw refuse('BigInt', value, 'a whole number as decimal text of at most 78 digits', 'send for example "1000000"')
}

const parseHex = (type: string, length: number | null, value: unknown): string => {
  const pattern = length === null ? /^0x([0-9a-f]{2})*$/i : new RegExp(`^0x[0-9a-f]{${length * 2}}$`, 'i')
  if (typeof value === 'string' && pattern.test(value)) return value.toLowerCase()
  throw refuse(type, value, length === null ? '0x and whole bytes in hexadecimal' : `0x and ${length} bytes in hexadecimal`, 'check that it was copied whole')
}

const text = (name: string, parse: (value: unknown) => unknown): GraphQLScalarType =>
  new GraphQLScalarType({
    name,
    serialize: (value) => (typeof value === 'string' ? value.toLowerCase() : String(value)),
    parseValue: parse,
    parseLiteral: (node) => parse(node.kind === Kind.STRING || node.kind === Kind.INT ? node.value : undefined),
  })

export const scalars = {
  BigInt: text('BigInt', parseBigInt),
  Address: text('Address', (value) => parseHex('Address', 20, value)),
  Hex: text('Hex', (value) => parseHex('Hex', null, value)),
  /** Out only. Integers beyond 2^53 are sent as text. */
  JSON: new GraphQLScalarType({
    name: 'JSON',
    serialize: (value) => JSON.parse(JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))) as unknown,
  }),
}
