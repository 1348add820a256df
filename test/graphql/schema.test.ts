/** The contract's words: what an analyst reads instead of the code. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { buildSchema, getNamedType, isInputObjectType, isObjectType, type GraphQLArgument, type GraphQLField, type GraphQLInputField, type GraphQLObjectType } from 'graphql'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
const own = Object.values(schema.getTypeMap()).filter((type) => !type.name.startsWith('__'))
const objects = own.filter((type): type is GraphQLObjectType => isObjectType(type))

/** Scalars and pairs that hold a number. */
const NUMBERS = new Set(['Int', 'Float', 'BigInt', 'Amount', 'NamedNumber', 'NamedNumberInput'])
type Place = { readonly name: string; readonly type: string; readonly words: string }
const place = (name: string, it: GraphQLField<unknown, unknown> | GraphQLArgument | GraphQLInputField, words = it.description): Place => ({ name, type: getNamedType(it.type).name, words: words ?? '' })

const fields = (): Place[] => own.flatMap((type) => (isObjectType(type) || isInputObjectType(type) ? Object.values(type.getFields()).map((field) => place(`${type.name}.${field.name}`, field)) : []))
/** An argument may be told of in its field's words, by its name. */
const args = (): Place[] =>
  objects.flatMap((type) =>
    Object.values(type.getFields()).flatMap((field) =>
      field.args.map((arg) => place(`${type.name}.${field.name}(${arg.name})`, arg, arg.description ?? (field.description?.includes(`\`${arg.name}\``) || arg.name === 'after' ? field.description : ''))),
    ),
  )
const numeric = (places: readonly Place[]): Place[] => places.filter((one) => NUMBERS.has(one.type))

/** Words for a unit, or for a number that has none. */
const UNIT = /\b(quote|USD|base|tokens?|settlement decimals|wei|gwei|gas|fractions?|shares?|ratios?|s|seconds|hours?|days?|years?|bars?|blocks?|rows?|count(s|ed)?|number of|how many|decimals|ticks?|raw|rank|nonce|paths|observations|accounts?|no unit|units?|seed|pages?|confidence|probability|heartbeats|per|multiples?|USD)\b|0 to 1|²/i
/** Words for the sign, or for what has none. */
const SIGN = /signed|negative|≥ 0|> 0|≥ 1|above 0|from 0|\b0 to |0 or (above|more)|[([]0, 1[)\]]|-?1 to 1|positive|unsigned|\d to \d|\brank\b|Unix seconds|\bblock|nonce|count|how many|number of|at least/i

describe('every number of the API', () => {
  test('behavior: a field says its unit', () => {
    expect(numeric(fields()).filter((one) => !UNIT.test(one.words)).map((one) => `${one.name}: ${one.words}`)).toEqual([])
  })

  test('behavior: a field says its sign, or that it cannot be negative', () => {
    expect(numeric(fields()).filter((one) => !SIGN.test(one.words)).map((one) => `${one.name}: ${one.words}`)).toEqual([])
  })

  test('behavior: an argument says what it may be, in its own words or by its name in those of its field', () => {
    // Pages are one rule for all lists, told once at the query’s head.
    expect(numeric(args()).filter((one) => !/\((first|last)\)$/.test(one.name) && !(UNIT.test(one.words) && SIGN.test(one.words))).map((one) => `${one.name}: ${one.words}`)).toEqual([])
    expect(schema.getQueryType()?.description).toMatch(/`first`.*1 to 200/s)
  })
})

describe('every type of the API', () => {
  const holders = (type: GraphQLObjectType): GraphQLObjectType[] => objects.filter((other) => other !== type && Object.values(other.getFields()).some((field) => getNamedType(field.type) === type))
  /** Says its source itself, or is a part of answers that all do. */
  const sourced = (type: GraphQLObjectType, above: readonly GraphQLObjectType[] = []): boolean => {
    if (/Sources?:/.test(type.description ?? '')) return true
    const parents = holders(type).filter((one) => !above.includes(one))
    return parents.length > 0 && parents.every((one) => !ROOTS.has(one.name) && sourced(one, [...above, type]))
  }
  const ROOTS = new Set(['Query', 'Mutation', 'Subscription'])
  /** Building blocks, which stand in many answers and are of none. */
  const PLUMBING = new Set(['Amount', 'BlockRef', 'PageInfo', 'NamedNumber', 'Provenance', 'Unknown'])

  test('behavior: what stands on a model says where the model comes from, by author, standard or contract', () => {
    const models = objects.filter((type) => type.getFields()['provenance'] !== undefined)
    expect(models.length).toBeGreaterThan(15)
    expect(models.filter((type) => !/Sources?: \S.{10,}/s.test(type.description ?? '')).map((type) => type.name)).toEqual([])
  })

  test('behavior: every type with a number in it says its source, or is a part of answers that do', () => {
    const silent = objects.filter((type) => !ROOTS.has(type.name) && !PLUMBING.has(type.name) && !type.name.endsWith('Connection') && Object.values(type.getFields()).some((field) => NUMBERS.has(getNamedType(field.type).name)) && !sourced(type))
    expect(silent.map((type) => type.name)).toEqual([])
  })

  test('behavior: every field of a root says what it answers', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]
    expect(roots.flatMap((root) => Object.values(root?.getFields() ?? {}).flatMap((field) => (field.description ? [] : [field.name])))).toEqual([])
  })

  test('behavior: every question that the engine answers has its name', () => {
    const query = schema.getQueryType()?.getFields() ?? {}
    const named = ['liquidationQueue', 'liquidationLadder', 'stressTest', 'portfolioMargin', 'volatility', 'backtest', 'circuitBreakers', 'replayBreaker', 'adlQueue', 'collateralHaircuts', 'oracleHealth', 'recommendations', 'recomputeRecommendation']
    expect(named.filter((name) => query[name] === undefined)).toEqual([])
    expect(Object.keys((schema.getType('Account') as GraphQLObjectType).getFields())).toContain('margin')
    expect(Object.keys((schema.getType('InsuranceFund') as GraphQLObjectType).getFields())).toContain('target')
  })
})
