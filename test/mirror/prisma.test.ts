import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createPrisma } from '../../prisma/client.ts'
import { migrate, pendingDiff } from '../../prisma/migrate.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  await postgres.stop()
})

describe('migrations', () => {
  test('behavior: apply to an empty database once, and to a migrated one not at all', async () => {
    const url = await postgres.freshDatabase({ migrated: false })
    const first = await migrate(url)
    expect(first.applied.length).toBeGreaterThan(0)
    expect(await migrate(url)).toEqual({ applied: [] })
  })

  test('behavior: lead to prisma/schema exactly', async () => {
    expect(await pendingDiff(postgres.url('postgres'))).toBe('')
  })

  test('default: the client writes and reads a migrated database, 256-bit integers included', async () => {
    const prisma = createPrisma(await postgres.freshDatabase())
    const largest = (2n ** 256n - 1n).toString()
    await prisma.collateralAsset.create({
      data: { id: '0x01', protocolId: '0x02', symbol: 'WETH', decimals: 18, priceFeed: '0x03', totalBalance: largest, updatedAtBlock: 1n, updatedAtTimestamp: 2n },
    })
    const [row] = await prisma.collateralAsset.findMany()
    expect(row?.totalBalance.toFixed()).toBe(largest)
    expect(row?.feedId).toBeNull()
    await prisma.$disconnect()
  })

  test('error: a database that does not answer is named with what to do', async () => {
    await expect(migrate('postgresql://postgres:scratch@127.0.0.1:9/none')).rejects.toThrow(/database: .*check DATABASE_URL/)
  })
})

/**
 * `type Name @entity … { field: Type! }` read from the index's own schema, without the code under test. Samples of a timeseries stay in
 * graph-node; an aggregation of them is stored with the interval that it is asked for by, and with an id that says what it is of.
 */
function indexSchema(): Map<string, Map<string, { type: string; required: boolean }>> {
  const text = readFileSync(new URL('../../subgraph/schema.graphql', import.meta.url), 'utf8').replaceAll(/"[^"\n]*"/g, '')
  const types = new Map<string, Map<string, { type: string; required: boolean }>>()
  for (const [, name = '', kind = '', body = ''] of text.matchAll(/type (\w+) @(entity\(immutable|aggregation)[^{]*\{([^}]*)\}/g)) {
    types.set(name, new Map([...body.matchAll(/(\w+):\s*(\w+)(!?)/g)].map(([, field = '', type = '', bang]) => [field, { type, required: bang === '!' }])))
    if (kind === 'aggregation') for (const field of ['id', 'interval']) types.get(name)?.set(field, { type: 'String', required: true })
  }
  return types
}

describe('index.prisma', () => {
  const prismaText = readFileSync(new URL('../../prisma/schema/index.prisma', import.meta.url), 'utf8').replaceAll(/\/\/.*$/gm, '')
  const models = new Map([...prismaText.matchAll(/model (\w+) \{([^}]*)\}/g)].map(([, name = '', body = '']) => [name, body]))
  const index = indexSchema()
  const enums = new Map([...prismaText.matchAll(/enum (\w+) \{([^}]*)\}/g)].map(([, name = '', body = '']) => [name, body.trim().split(/\s+/)]))

  test('behavior: has one model per entity of subgraph/schema.graphql', () => {
    expect(index.size).toBeGreaterThan(20)
    expect([...models.keys()].toSorted()).toEqual([...index.keys()].toSorted())
  })

  test('behavior: has the same enums', () => {
    const text = readFileSync(new URL('../../subgraph/schema.graphql', import.meta.url), 'utf8')
    const expected = [...text.matchAll(/enum (\w+) \{([^}]*)\}/g)].map(([, name = '', body = '']) => [name, body.trim().split(/\s+/)])
    expect(Object.fromEntries(enums)).toEqual(Object.fromEntries(expected))
  })

  test.each([...index.keys()])('behavior: %s has the same fields, types and nullability', (name) => {
    const columns = [...(models.get(name) ?? '').matchAll(/^ {2}(\w+) +(\w+)(\??)(?: +(.*))?$/gm)]
      .filter(([, , type = '', , rest = '']) => !index.has(type) && !rest.includes('@relation'))
      .map(([, field, type, optional, rest = '']) => `${field} ${type}${optional} ${rest.includes('@db.Decimal(78, 0)') ? '78' : ''}`.trim())
    const expected = [...(index.get(name) ?? [])].map(([field, { type, required }]) => {
      const optional = required ? '' : '?'
      if (index.has(type)) return `${field}Id String${optional}`
      if (type === 'Bytes' || type === 'String') return `${field} String${optional}`
      if (type === 'Int8' || type === 'Timestamp') return `${field} BigInt${optional}`
      if (type === 'BigInt') return /(^timestamp|Timestamp|^blockNumber|Block)$/.test(field) ? `${field} BigInt${optional}` : `${field} Decimal${optional} 78`
      return `${field} ${type}${optional}`
    })
    expect(columns.toSorted()).toEqual(expected.toSorted())
  })
})
