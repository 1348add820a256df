import { expect, test } from '@jest/globals'
import type { Entity } from '../../api/mirror/entities.ts'
import { copyLines } from './writes.ts'

test('copyLines: nulls, tabs, line ends and backslashes as COPY reads them', () => {
  const columns = ['id', 'name', 'amount'].map((column) => ({ field: column, column, sqlType: 'text', reference: false }))
  const entity: Entity = { name: 'Thing', queryField: 'things', kind: 'STATE', rollup: null, columns }
  // Source: PostgreSQL documentation, COPY, "Text Format".
  expect(copyLines(entity, [{ id: '0x1', name: 'a\tb\\c\nd', amount: null }])).toBe('0x1\ta\\tb\\\\c\\nd\t\\N\n')
})
