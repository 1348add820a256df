import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { Kind, buildSchema, parse } from 'graphql'
import { measure } from '../../api/graphql/limits.ts'
import * as operations from '../../console/generated/operations.ts'

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
const size = (query: string, variables: Record<string, unknown> = {}) => {
  const document = parse(query)
  const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION)!
  return measure(schema, document, operation, variables)
}

describe('size of a query', () => {
  test('behavior: a field costs 1, and a page its size times what is asked of each node', () => {
    expect(size('{ status { network } }')).toEqual({ depth: 2, cost: 2 })
    // accounts 1 + 200 · (nodes 1 + id 1)
    expect(size('{ accounts(first: 200) { nodes { id } } }')).toEqual({ depth: 3, cost: 401 })
    // The schema's default page is 50.
    expect(size('{ accounts { nodes { id } } }').cost).toBe(101)
    // A queue's page size is that of its entries: 1 + 1,000 for the model, 200 · (entries 1 + account 1).
    expect(size('{ liquidationQueue(first: 200) { entries { account } } }').cost).toBe(1_401)
    // A list without a page counts 10: markets 1 + 10 · symbol 1.
    expect(size('{ markets { symbol } }').cost).toBe(11)
  })

  test('behavior: page sizes in variables and their defaults count', () => {
    expect(size('query($n: Int) { accounts(first: $n) { nodes { id } } }', { n: 20 }).cost).toBe(41)
    expect(size('query($n: Int = 30) { accounts(first: $n) { nodes { id } } }').cost).toBe(61)
  })

  test('behavior: aliases and fragments count each time', () => {
    expect(size('{ a: status { ...S } b: status { ...S } } fragment S on Status { network chainId }')).toEqual({ depth: 2, cost: 6 })
  })

  test('behavior: fragments that double forty times are weighed at once', () => {
    const doubled = Array.from({ length: 40 }, (_, n) => `fragment F${n} on Status { ${n === 39 ? 'network' : `...F${n + 1} ...F${n + 1}`} }`).join(' ')
    const started = performance.now()
    expect(size(`{ status { ...F0 } } ${doubled}`).cost).toBe(1 + 2 ** 39)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test('behavior: the console’s own queries are far below the limit', () => {
    const documents = Object.entries(operations).filter(([name]) => name.endsWith('Document'))
    expect(documents.length).toBeGreaterThan(20)
    const large = documents.map(([name, document]) => ({ name, ...size(String(document)) })).filter(({ depth, cost }) => depth > 9 || cost > 25_000)
    expect(large).toEqual([])
  })
})
