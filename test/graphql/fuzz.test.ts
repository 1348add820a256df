/** Every query, asked with anything that its arguments can hold: an answer or a sentence, never a fault of ours, and never a number below 0 that its words do not announce. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { buildSchema, getNamedType, getNullableType, isEnumType, isInputObjectType, isListType, isNonNullType, isObjectType, type GraphQLArgument, type GraphQLField, type GraphQLInputType, type GraphQLOutputType } from 'graphql'
import { addressOf, deployment, log, noChain, seed, services } from './support.ts'
import { seedRisk } from './risk-support.ts'
import type { Services } from '../../api/graphql/context.ts'
import { startServer } from '../../api/graphql/server.ts'
import type { ApiServer } from '../../api/graphql/server.ts'
import { createPrisma } from '../../prisma/client.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import { startTestPostgres } from '../support/postgres.ts'
import type { TestPostgres } from '../support/postgres.ts'

jest.setTimeout(300_000)

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 6)
const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
const query = schema.getQueryType()!
const fields = Object.values(query.getFields())

type World = { readonly prisma: PrismaClient; readonly shared: Services; readonly server: ApiServer }
let postgres: TestPostgres
const worlds: World[] = []

async function world(fill: (prisma: PrismaClient) => Promise<void>): Promise<World> {
  const prisma = createPrisma(await postgres.freshDatabase())
  await fill(prisma)
  const shared = services(prisma, noChain)
  const made = { prisma, shared, server: await startServer({ ...shared, log, host: '127.0.0.1', port: 0 }) }
  worlds.push(made)
  return made
}

beforeAll(async () => {
  postgres = await startTestPostgres()
}, 240_000)
afterAll(async () => {
  for (const { prisma, shared, server } of worlds) {
    await shared.risk.runs.stop()
    await server.close()
    await prisma.$disconnect()
  }
  await postgres?.stop()
}, 60_000)

/** JSON has no infinity, but 1e999 is one once it is parsed. */
const INFINITE = '__infinite__'
type Answer = { readonly data?: Record<string, unknown> | null; readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string; readonly path?: unknown } }[] }
const ask = async ({ server }: World, text: string, variables: object): Promise<Answer> =>
  (await (await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: text, variables }).replaceAll(`"-${INFINITE}"`, '-1e999').replaceAll(`"${INFINITE}"`, '1e999') })).json()) as Answer

const NAMES = ['vETH', 'vBTC', 'WETH', 'protocol', 'staleness', 'band', 'velocity', 'covid-2020-03-12', 'SPAN-16', 'DERIBIT-27', 'PMRM-23', 'REGIMES', 'HALT', 'depeg', 'mmRatio', 'imRatio', 'GOLD', '1000-aaaa', 'p0', addressOf(1), addressOf(3), deployment.markets[0]!.baseToken, deployment.contracts.clearingHouse]
const text = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...NAMES) }, fc.string({ maxLength: 40 }), fc.constantFrom('', ' ', '__proto__', 'constructor', 'toString', '0x', 'x'.repeat(3_000), '\u0000', '💥', '-1', '1e400'))
const float = fc.oneof({ weight: 4, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom<number | string>(0, 1, -1, 0.5, 0.99, 1e-300, 5e-324, 1e15, 1e300, -1e300, INFINITE, `-${INFINITE}`, 300, 3_600, 86_400))
const int = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 400 }) }, fc.constantFrom<number | string>(-1, 0, 1, 300, 600, 3_600, 86_400, 200, 201, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 1.5, INFINITE))
const bigint = fc.oneof(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 24n }).map(String), fc.constantFrom('0', '1', '-1', '9'.repeat(78), `-${'9'.repeat(78)}`, '9'.repeat(79), 'much'))

/** Anything that a type can hold, and now and then something that it cannot. */
function valueOf(type: GraphQLInputType, depth = 0): fc.Arbitrary<unknown> {
  if (isNonNullType(type)) return valueOf(type.ofType, depth)
  if (isListType(type)) return fc.array(valueOf(type.ofType, depth + 1), { maxLength: 3 })
  if (isEnumType(type)) return fc.constantFrom(...type.getValues().map((value) => value.name))
  if (isInputObjectType(type)) {
    const all = Object.values(type.getFields())
    const required = all.filter((field) => isNonNullType(field.type)).map((field) => field.name)
    return fc.record(Object.fromEntries(all.map((field) => [field.name, optional(field.type, depth + 1)])), { requiredKeys: required })
  }
  switch (type.name) {
    case 'Float':
      return float
    case 'Int':
      return int
    case 'Boolean':
      return fc.boolean()
    case 'BigInt':
      return bigint
    default:
      return text
  }
}
const optional = (type: GraphQLInputType, depth: number): fc.Arbitrary<unknown> => (isNonNullType(type) ? valueOf(type, depth) : fc.option(valueOf(type, depth), { freq: 6 }))
const argumentsOf = (args: readonly GraphQLArgument[]): fc.Arbitrary<Record<string, unknown>> => fc.record(Object.fromEntries(args.map((arg) => [arg.name, optional(arg.type, 0)])), { requiredKeys: args.filter((arg) => isNonNullType(arg.type)).map((arg) => arg.name) })

/** Everything that can be asked of a type without arguments of its own, a few levels down. */
function selectionOf(type: GraphQLOutputType, depth: number, above: readonly string[] = []): string {
  const named = getNamedType(type)
  if (!isObjectType(named)) return ''
  const inner = Object.values(named.getFields()).flatMap((field) => {
    const of = getNamedType(field.type)
    if (field.args.some((arg) => isNonNullType(arg.type))) return []
    if (!isObjectType(of)) return [field.name]
    if (depth <= 0 || above.includes(of.name) || field.args.length > 0) return []
    const selected = selectionOf(of, depth - 1, [...above, named.name])
    return selected === '' ? [] : [`${field.name} ${selected}`]
  })
  return inner.length === 0 ? '' : `{ ${inner.join(' ')} }`
}
const textOf = ({ name, args, type }: GraphQLField<unknown, unknown>): string => {
  const variables = args.length === 0 ? '' : `(${args.map((arg) => `$${arg.name}: ${String(arg.type)}`).join(', ')})`
  const passed = args.length === 0 ? '' : `(${args.map((arg) => `${arg.name}: $${arg.name}`).join(', ')})`
  return `query ${name}${variables} { ${name}${passed} ${selectionOf(type, name === 'markets' || name === 'accounts' ? 1 : 3)} }`
}

/** Numbers below 0 whose words do not say that they may be. */
function unannounced(type: GraphQLOutputType, value: unknown, words: string, at: string): string[] {
  const bare = getNullableType(type)
  if (value == null) return []
  if (isListType(bare)) return (value as unknown[]).flatMap((one, i) => unannounced(bare.ofType, one, words, `${at}.${i}`))
  const below = (found: unknown): boolean => (typeof found === 'number' ? found < 0 : typeof found === 'string' && /^-\d/.test(found))
  const says = /signed|negative|-1 to 1/i.test(words)
  if (!isObjectType(bare)) return ['Int', 'Float', 'BigInt'].includes((bare as { name: string }).name) && below(value) && !says ? [`${at} = ${JSON.stringify(value)}: ${words}`] : []
  const row = value as Record<string, unknown>
  // What these hold is told by the field that holds them.
  if (bare.name === 'Amount') return below(row['value'] ?? row['raw']) && !says ? [`${at} = ${String(row['value'])}: ${words}`] : []
  if (bare.name === 'NamedNumber') return below(row['value']) && !says ? [`${at} = ${String(row['value'])}: ${words}`] : []
  return Object.values(bare.getFields()).flatMap((field) => (field.name in row ? unannounced(field.type, row[field.name], field.description ?? '', `${at}.${field.name}`) : []))
}

// TAMPERED: the proposals of the test's data are none that their changes derive to.
const CODES = new Set(['TAMPERED', 'BAD_USER_INPUT', 'BAD_INPUT', 'SAMPLE_TOO_SMALL', 'MODEL_FIT', 'UNKNOWN_PARAMETER', 'NOT_FOUND', 'UNAVAILABLE', 'QUERY_TOO_LARGE', 'GRAPHQL_VALIDATION_FAILED'])
const check = (name: string, variables: object, { data, errors }: Answer): void => {
  const where = `${name}(${JSON.stringify(variables)})`
  expect({ where, faults: (errors ?? []).filter((error) => !CODES.has(error.extensions.code)) }).toEqual({ where, faults: [] })
  expect({ where, pathless: (errors ?? []).filter((error) => error.extensions.code === 'BAD_USER_INPUT' && !Array.isArray(error.extensions.path)) }).toEqual({ where, pathless: [] })
  expect({ where, unannounced: unannounced(query.getFields()[name]!.type, data?.[name], '', name) }).toEqual({ where, unannounced: [] })
}

/** Arguments that are as they should be, where a query does not do without. */
const GOOD: Readonly<Record<string, object>> = {
  market: { id: 'vETH' }, account: { id: addressOf(1) }, parameter: { name: 'mmRatio' }, recommendation: { id: 'x' }, liquidationLadder: { market: 'vETH' }, portfolioMargin: { input: { legs: [{ kind: 'PERP', asset: 'vETH', size: 1 }] } },
  volatility: { market: 'vETH' }, backtest: { input: { market: 'vETH' } }, dynamicMargin: { market: 'vETH' }, replayBreaker: { input: { days: 1 } }, adlQueue: { market: 'vETH' }, keeperEconomics: { market: 'vETH' }, recomputeRecommendation: { id: 'x' }, riskRun: { id: 'x' }, proposal: { id: 'x' },
  backstopOffers: { account: addressOf(1) }, marketCapacity: { market: 'vETH' }, deleveraging: { market: 'vETH', size: '1', price: '1' }, optionValue: { input: { call: true, forward: 1, strike: 1, years: 1, volatility: 1 } }, antiProcyclicality: { market: 'vETH' }, collateralDiscount: { asset: 'WETH', amount: 1, skewScale: 1 },
}

describe('a full book', () => {
  let full: World
  beforeAll(async () => {
    full = await world(async (prisma) => {
      await seed(prisma)
      await seedRisk(prisma)
    })
    await full.shared.risk.breakers.observe()
  }, 240_000)

  test.each(fields.map((field) => [field.name] as const))('behavior: %s answers, or says in a sentence why not', async (name) => {
    const field = query.getFields()[name]!
    const variables = GOOD[name] ?? {}
    check(name, variables, await ask(full, textOf(field), variables))
    if (field.args.length > 0) await fc.assert(fc.asyncProperty(argumentsOf(field.args), async (given) => check(name, given, await ask(full, textOf(field), given))), { numRuns: RUNS, interruptAfterTimeLimit: 20_000, endOnFailure: true })
  })
})

describe('no book', () => {
  test('behavior: before the first block every query answers with nothing, or says what is missing', async () => {
    const none = await world(async () => {})
    for (const field of fields) check(field.name, {}, await ask(none, textOf(field), GOOD[field.name] ?? {}))
  })

  test('behavior: a protocol with prices and no account is answered too', async () => {
    const empty = await world(async (prisma) => {
      await seed(prisma)
      await seedRisk(prisma)
      for (const table of ['position', 'liquidityRange', 'collateralBalance', 'liquidation', 'collateralLiquidation', 'positionChange', 'insuranceFundFlow'] as const) await (prisma[table] as unknown as { deleteMany(): Promise<unknown> }).deleteMany()
      await prisma.account.updateMany({ data: { openPositionCount: 0, openRangeCount: 0 } })
    })
    for (const field of fields) check(field.name, {}, await ask(empty, textOf(field), GOOD[field.name] ?? {}))
  })
})
