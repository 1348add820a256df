import { readFileSync } from 'node:fs'
import { Kind, parse, type FieldDefinitionNode, type ObjectTypeDefinitionNode } from 'graphql'
import { InvariantError } from '../../core/errors.ts'

export type EntityColumn = {
  /** Field of the entity in the index. */
  readonly field: string
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
  /** Never changes after it is written. */
  readonly immutable: boolean
  readonly columns: readonly EntityColumn[]
}

const SCALARS: Readonly<Record<string, string>> = { ID: 'text', Bytes: 'text', String: 'text', Int: 'int4', Int8: 'int8', Boolean: 'boolean' }

/** Block numbers and times fit int8; every other BigInt may be any 256-bit integer. The same rule stands behind index.prisma. */
const INT8_NAME = /(^timestamp|Timestamp|^blockNumber|Block)$/

/** graph-node's plural of an entity's name: `Position` → `positions`. */
function queryFieldOf(name: string): string {
  const singular = name.charAt(0).toLowerCase() + name.slice(1)
  if (/[^aeiou]y$/.test(singular)) return `${singular.slice(0, -1)}ies`
  return /(s|x|ch|sh)$/.test(singular) ? `${singular}es` : `${singular}s`
}

/** The index's own schema, read: adding an entity to subgraph/schema.graphql and to prisma/schema is all it takes. */
export function readEntities(schemaText: string = readFileSync(new URL('../../subgraph/schema.graphql', import.meta.url), 'utf8')): readonly Entity[] {
  const { definitions } = parse(schemaText)
  const types = definitions.filter((node): node is ObjectTypeDefinitionNode => node.kind === Kind.OBJECT_TYPE_DEFINITION && node.directives?.some((d) => d.name.value === 'entity') === true)
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
    const immutable = type.directives?.some((d) => d.arguments?.some((a) => a.name.value === 'immutable' && a.value.kind === Kind.BOOLEAN && a.value.value)) === true
    const fields = (type.fields ?? []).filter((field) => field.directives?.some((d) => d.name.value === 'derivedFrom') !== true)
    return { name: type.name.value, queryField: queryFieldOf(type.name.value), immutable, columns: fields.map((field) => columnOf(type.name.value, field)) }
  })
}
