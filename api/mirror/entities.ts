import { readFileSync } from 'node:fs'
import { Kind, parse, type DirectiveNode, type FieldDefinitionNode, type ObjectTypeDefinitionNode, type ValueNode } from 'graphql'
import { InvariantError } from '../../core/errors.ts'

export type EntityColumn = {
  /** Field of the entity in the index; null where the mirror fills the column itself. */
  readonly field: string | null
  /** Column of the table: the field's name, or `<field>Id` for a reference. */
  readonly column: string
  /** PostgreSQL type of the column. */
  readonly sqlType: string
  /** True where the field is another entity, of which only the id is stored. */
  readonly reference: boolean
}

/** An entity of the index: a query field of graph-node and a table of ours with the same name. */
export type Entity = {
  readonly name: string
  /** Field of graph-node's Query type that lists it. */
  readonly queryField: string
  /** STATE changes in place; a FACT never changes after it is written; a ROLLUP is an aggregation, a row per completed bucket. */
  readonly kind: 'STATE' | 'FACT' | 'ROLLUP'
  readonly columns: readonly EntityColumn[]
  /** How a ROLLUP comes about; null for the others. */
  readonly rollup: Rollup | null
}

/** Length of a rollup's buckets, as graph-node names it. */
export type Interval = 'hour' | 'day'

export const INTERVAL_SEC: Readonly<Record<Interval, bigint>> = { hour: 3_600n, day: 86_400n }

export type AggregateFn = 'sum' | 'min' | 'max' | 'first' | 'last' | 'count'

export type Rollup = {
  /** Shortest first; each is a whole multiple of the one before. */
  readonly intervals: readonly Interval[]
  /** Field of graph-node's Query type that lists the points. */
  readonly sourceField: string
  /** What a bucket's row is of: references and values that the points carry. */
  readonly dimensions: readonly EntityColumn[]
  /** `field` of the points, null where they are only counted. */
  readonly aggregates: readonly { readonly column: string; readonly fn: AggregateFn; readonly field: string | null }[]
}

const SCALARS: Readonly<Record<string, string>> = { ID: 'text', Bytes: 'text', String: 'text', Int: 'int4', Int8: 'int8', Boolean: 'boolean', Timestamp: 'int8' }

/** Block numbers and times fit int8; every other BigInt may be any 256-bit integer. The same rule stands behind index.prisma. */
const INT8_NAME = /(^timestamp|Timestamp|^blockNumber|Block)$/

/** graph-node's plural of an entity's name: `Position` → `positions`. */
function queryFieldOf(name: string): string {
  const singular = name.charAt(0).toLowerCase() + name.slice(1)
  if (/[^aeiou]y$/.test(singular)) return `${singular.slice(0, -1)}ies`
  return /(s|x|ch|sh)$/.test(singular) ? `${singular}es` : `${singular}s`
}

const directive = (type: ObjectTypeDefinitionNode, name: string): DirectiveNode | undefined => type.directives?.find((d) => d.name.value === name)
const isTrue = (node: DirectiveNode | undefined, argument: string): boolean => node?.arguments?.some((a) => a.name.value === argument && a.value.kind === Kind.BOOLEAN && a.value.value) === true

const FUNCTIONS: readonly string[] = ['sum', 'min', 'max', 'first', 'last', 'count'] satisfies AggregateFn[]

/** The `@aggregation` and `@aggregate` directives of a type. */
function rollupOf(type: ObjectTypeDefinitionNode, columns: readonly EntityColumn[]): Rollup {
  const name = type.name.value
  const argument = (node: DirectiveNode | undefined, key: string): ValueNode | undefined => node?.arguments?.find((a) => a.name.value === key)?.value
  const text = (value: ValueNode | undefined): string => (value?.kind === Kind.STRING ? value.value : '')
  const aggregation = directive(type, 'aggregation')
  const listed = argument(aggregation, 'intervals')
  const intervals = (listed?.kind === Kind.LIST ? listed.values.map(text) : []).map((interval): Interval => {
    if (interval === 'hour' || interval === 'day') return interval
    throw new InvariantError(`${name} has buckets of a ${interval}, the mirror knows ${Object.keys(INTERVAL_SEC).join(', ')}; give it a length in api/mirror/entities.ts`)
  })
  const dimensions: EntityColumn[] = []
  const aggregates: { column: string; fn: AggregateFn; field: string | null }[] = []
  for (const node of type.fields ?? []) {
    const column = columns.find(({ field }) => field === node.name.value)
    if (column === undefined || column.field === 'id' || column.field === 'timestamp') continue
    const aggregate = node.directives?.find((d) => d.name.value === 'aggregate')
    if (aggregate === undefined) {
      dimensions.push(column)
      continue
    }
    const fn = text(argument(aggregate, 'fn'))
    const field = fn === 'count' ? null : text(argument(aggregate, 'arg'))
    if (!FUNCTIONS.includes(fn) || (field !== null && !/^\w+$/.test(field)) || argument(aggregate, 'cumulative') !== undefined) {
      throw new InvariantError(`${name}.${node.name.value} is ${fn}(${field ?? ''}), the mirror computes ${FUNCTIONS.join(', ')} of single fields, not cumulative; write the value into the timeseries`)
    }
    aggregates.push({ column: column.column, fn: fn as AggregateFn, field })
  }
  return { intervals: intervals.toSorted((a, b) => Number(INTERVAL_SEC[a] - INTERVAL_SEC[b])), sourceField: queryFieldOf(text(argument(aggregation, 'source'))), dimensions, aggregates }
}

/** Columns that a rollup's table has and graph-node's answer has not: an id that says what the row is, and the bucket's length. */
const ROLLUP_COLUMNS: readonly EntityColumn[] = ['id', 'interval'].map((column) => ({ field: null, column, sqlType: 'text', reference: false }))

/**
 * The index's own schema, read: adding an entity to subgraph/schema.graphql and to prisma/schema is all it takes.
 * Timeseries are no entities here: their points are read for the aggregations over them, and not kept.
 */
export function readEntities(schemaText: string = readFileSync(new URL('../../subgraph/schema.graphql', import.meta.url), 'utf8')): readonly Entity[] {
  const { definitions } = parse(schemaText)
  const objects = definitions.filter((node): node is ObjectTypeDefinitionNode => node.kind === Kind.OBJECT_TYPE_DEFINITION)
  const types = objects.filter((type) => (directive(type, 'entity') !== undefined && !isTrue(directive(type, 'entity'), 'timeseries')) || directive(type, 'aggregation') !== undefined)
  const entityNames = new Set(types.map((type) => type.name.value))
  const enumNames = new Set(definitions.flatMap((node) => (node.kind === Kind.ENUM_TYPE_DEFINITION ? [node.name.value] : [])))

  const columnOf = (entity: string, node: FieldDefinitionNode): EntityColumn => {
    const type = node.type.kind === Kind.NON_NULL_TYPE ? node.type.type : node.type
    if (type.kind === Kind.LIST_TYPE) throw new InvariantError(`${entity}.${node.name.value} is a list, the mirror stores scalars and references; split it into an entity`)
    const field = node.name.value
    const name = type.name.value
    if (entityNames.has(name)) return { field, column: `${field}Id`, sqlType: 'text', reference: true }
    if (enumNames.has(name)) return { field, column: field, sqlType: `"${name}"`, reference: false }
    const sqlType = name === 'BigInt' ? (INT8_NAME.test(field) ? 'int8' : 'numeric') : SCALARS[name]
    if (sqlType === undefined) throw new InvariantError(`${entity}.${field} is a ${name}, the mirror stores ${Object.keys(SCALARS).join(', ')}, BigInt, enums and references; give it a column type in api/mirror/entities.ts`)
    return { field, column: field, sqlType, reference: false }
  }

  return types.map((type) => {
    const name = type.name.value
    const columns = (type.fields ?? []).filter((field) => field.directives?.some((d) => d.name.value === 'derivedFrom') !== true).map((field) => columnOf(name, field))
    const queryField = queryFieldOf(name)
    if (directive(type, 'aggregation') !== undefined) {
      return { name, queryField, kind: 'ROLLUP', rollup: rollupOf(type, columns), columns: [...ROLLUP_COLUMNS, ...columns.filter(({ column }) => column !== 'id')] }
    }
    return { name, queryField, kind: isTrue(directive(type, 'entity'), 'immutable') ? 'FACT' : 'STATE', rollup: null, columns }
  })
}
