import { describe, expect, test } from '@jest/globals'
import { buildSchema, graphql } from 'graphql'
import { page } from '../../api/graphql/paging.ts'

const schema = buildSchema('type Query { list: List! } type List { nodes: [Int!]! pageInfo: Info! totalCount: Int! } type Info { hasNextPage: Boolean! endCursor: String }')

describe('a page', () => {
  const ask = async (selection: string) => {
    let counts = 0
    const source = { list: 'numbers', parts: ['integer'] as const, key: (row: number) => [String(row)], rows: async (_: unknown, take: number) => [1, 2, 3].slice(0, take), total: async () => (counts++, 3) }
    const { data, errors } = await graphql({ schema, source: `{ list { ${selection} } }`, rootValue: { list: () => page(source, { first: 2 }) } })
    return { data: JSON.parse(JSON.stringify(data)), errors, counts }
  }

  test('behavior: counts the whole list only where the query selects the count, and then once', async () => {
    expect(await ask('nodes pageInfo { hasNextPage }')).toEqual({ data: { list: { nodes: [1, 2], pageInfo: { hasNextPage: true } } }, errors: undefined, counts: 0 })
    expect(await ask('totalCount again: totalCount')).toEqual({ data: { list: { totalCount: 3, again: 3 } }, errors: undefined, counts: 1 })
  })
})
