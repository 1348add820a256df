import { readFileSync } from 'node:fs'
import { Kind, parse, type DirectiveNode, type FieldDefinitionNode, type ObjectTypeDefinitionNode } from 'graphql'
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
  /** STATE changes in place; a FACT never changes after it is written; a ROLLUP is graph-node's aggregation, a row per completed bucket. */
  readonly kind: 'STATE' | 'FACT' | 'ROLLUP'
  readonly columns: readonly EntityColumn[]
  /** Lengths of a ROLLUP's buckets; none for the others. */
  readonly intervals: readonly Interval[]
}

/** Length of a rollup's buckets, as graph-node names it. */
export type Interval = 'hour' | 'day'

export const INTERVAL_SEC: Readonly<Record<Interval, bigint>> = { hour: 3_600n, day: 86_400n }

const SCALARS: Readonly<Record<string, string>> = { ID: 'text', Bytes: 'text', String: 'text', Int: 'int4', Int8: 'int8', Boolean: 'boolean', Timestamp: 'int8' }

/** Block numbers and times fit int8; every other BigInt may be any 256-bit integer. The same rule stands behind index.prisma. */
const INT8_NAME = /(^timestamp|Timestamp|^blockNumber|Block)$/

/** graph-node's plural of an entity's name: `Position` → `positions`, `MarketStats` → `marketStats_collection`. */
function queryFieldOf(name: string): string {
  const singular = name.charAt(0).toLowerCase() + name.slice(1)
  if (/[^aeiou]y$/.test(singular)) return `${singular.slice(0, -1)}ies`
  // Its rules leave a word that ends in a single s as it is, and what is its own plural gets a name of its own.
  if (/[^su]s$/.test(singular)) return `${singular}_collection`
  return /(s|x|ch|sh)$/.test(singular) ? `${singular}es` : `${singular}s`
}

const directive = (type: ObjectTypeDefinitionNode, name: string): DirectiveNode | undefined => type.directives?.find((d) => d.name.value === name)
const isTrue = (node: DirectiveNode | undefined, argument: string): boolean => node?.arguments?.some((a) => a.name.value === argument && a.value.kind === Kind.BOOLEAN && a.value.value) === true

function intervalsOf(type: ObjectTypeDefinitionNode): readonly Interval[] {
  const value = directive(type, 'aggregation')?.arguments?.find((a) => a.name.value === 'intervals')?.value
  const names = value?.kind === Kind.LIST ? value.values.flatMap((v) => (v.kind === Kind.STRING ? [v.value] : [])) : []
  return names.map((name) => {
    if (name === 'hour' || name === 'day') return name
    throw new InvariantError(`${type.name.value} has buckets of a ${name}, the mirror knows ${Object.keys(INTERVAL_SEC).join(', ')}; give it a length in api/mirror/entities.ts`)
  })
}

/** Columns that a rollup's table has and graph-node's answer has not: an id that says what the row is, and the bucket's length. */
const ROLLUP_COLUMNS: readonly EntityColumn[] = ['id', 'interval'].map((column) => ({ field: null, column, sqlType: 'text', reference: false }))

/**
 * The index's own schema, read: adding an entity to subgraph/schema.graphql and to prisma/schema is all it takes.
 * Timeseries are left out: their points serve graph-node's aggregations, which are mirrored.
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
    const intervals = intervalsOf(type)
    const columns = (type.fields ?? []).filter((field) => field.directives?.some((d) => d.name.value === 'derivedFrom') !== true).map((field) => columnOf(name, field))
    const kind = intervals.length > 0 ? 'ROLLUP' : isTrue(directive(type, 'entity'), 'immutable') ? 'FACT' : 'STATE'
    return { name, queryField: queryFieldOf(name), kind, intervals, columns: kind === 'ROLLUP' ? [...ROLLUP_COLUMNS, ...columns.filter(({ column }) => column !== 'id')] : columns }
  })
}
