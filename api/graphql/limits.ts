/**
 * How large a query may be, and which characters no argument may hold: tokens (in the parser), aliases, depth, and cost. The same for
 * queries and subscriptions. Requests that hold several operations (batches) are not taken at all.
 * The cost of a field is 1 plus, for a list, its page size times the cost of what is asked of each node.
 */
import type { ApolloServerPlugin } from '@apollo/server'
import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases'
import { BREAK, GraphQLError, Kind, getNamedType, getOperationAST, specifiedRules, isListType, isNonNullType, isObjectType, isInterfaceType, visit } from 'graphql'
import type { ArgumentNode, DocumentNode, FragmentDefinitionNode, GraphQLNamedType, GraphQLOutputType, GraphQLSchema, OperationDefinitionNode, SelectionSetNode, ValidationRule } from 'graphql'

export type Limits = {
  readonly maxTokens: number
  /** Names given to fields in one document: each is a field asked for again. */
  readonly maxAliases: number
  readonly maxDepth: number
  readonly maxCost: number
  /** Nodes counted for a list that has no page size. */
  readonly listSize: number
  /** What the lists allow at most: a larger page is not weighed, because its field refuses it with a sentence of its own. */
  readonly largestPage: number
}

export const LIMITS: Limits = { maxTokens: 4000, maxAliases: 30, maxDepth: 12, maxCost: 50_000, listSize: 10, largestPage: 2000 }

type Size = { readonly depth: number; readonly cost: number }

/** What fields cost beyond what is asked of them: those that run a model over the whole book or a whole series, and those that derive a proposal's bytes again. */
const DEAR: Readonly<Record<string, number>> = { stressTest: 5_000, volatility: 5_000, backtest: 5_000, dynamicMargin: 5_000, portfolioMargin: 2_500, replayBreaker: 5_000, liquidationLadder: 2_500, liquidationReview: 2_500, keeperEconomics: 1_000, liquidationQueue: 1_000, playbooks: 1_000, collateralHaircuts: 1_000, recomputeRecommendation: 1_000, liquidationStates: 1_000, deleveraging: 1_000, backstopOffers: 1_000, antiProcyclicality: 2_500, target: 2_500, validateDraft: 5_000, proposalExecution: 2_500, reviewFile: 200, batchFile: 50, rollback: 50, deeds: 50, queue: 10, history: 15, moves: 15 }

/** Types that these are fields of. */
const WITH_DEAR: ReadonlySet<string> = new Set(['Query', 'InsuranceFund', 'Proposal', 'Account'])

/** Lists whose length is the page size of the field that they are in. */
const PAGED: ReadonlySet<string> = new Set(['nodes', 'rows', 'entries', 'reviews'])

/** Depth and cost of an operation. Introspection counts 1: graphql-js bounds it by a rule of its own. */
export function measure(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Record<string, unknown>, limits: Limits = LIMITS): Size {
  const { listSize } = limits
  const fragments = new Map(document.definitions.filter((d): d is FragmentDefinitionNode => d.kind === Kind.FRAGMENT_DEFINITION).map((d) => [d.name.value, d]))
  const defaults = new Map((operation.variableDefinitions ?? []).map((d) => [d.variable.name.value, d.defaultValue?.kind === Kind.INT ? Number(d.defaultValue.value) : undefined]))
  // A fragment's size depends on the fragment alone, so each is measured once: nested spreads cannot make this exponential.
  const measured = new Map<string, Size>()

  const pageSize = (args: readonly ArgumentNode[], fieldDefault: number): number => {
    const arg = args.find((a) => a.name.value === 'first' || a.name.value === 'last')
    const value =
      arg?.value.kind === Kind.INT ? Number(arg.value.value)
      : arg?.value.kind === Kind.VARIABLE ? (variables[arg.value.name.value] ?? defaults.get(arg.value.name.value))
      : undefined
    return typeof value === 'number' && Number.isFinite(value) ? Math.min(Math.max(1, value), limits.largestPage) : fieldDefault
  }

  const selection = (type: GraphQLNamedType | undefined, set: SelectionSetNode): Size => {
    let depth = 0
    let cost = 0
    for (const node of set.selections) {
      let size: Size
      if (node.kind === Kind.FIELD) size = field(type, node.name.value, node.arguments ?? [], node.selectionSet)
      else if (node.kind === Kind.INLINE_FRAGMENT) size = selection(node.typeCondition ? schema.getType(node.typeCondition.name.value) : type, node.selectionSet)
      else size = fragment(node.name.value)
      depth = Math.max(depth, size.depth)
      cost += size.cost
    }
    return { depth, cost }
  }

  const fragment = (name: string): Size => {
    const known = measured.get(name)
    if (known) return known
    const definition = fragments.get(name)
    const size = definition ? selection(schema.getType(definition.typeCondition.name.value), definition.selectionSet) : { depth: 0, cost: 0 }
    measured.set(name, size)
    return size
  }

  const field = (parent: GraphQLNamedType | undefined, name: string, args: readonly ArgumentNode[], set: SelectionSetNode | undefined): Size => {
    if (name.startsWith('__')) return { depth: 1, cost: 1 }
    const definition = parent && (isObjectType(parent) || isInterfaceType(parent)) ? parent.getFields()[name] : undefined
    const inner = set && definition ? selection(getNamedType(definition.type), set) : { depth: 0, cost: 0 }
    const pageArg = definition?.args.find((a) => a.name === 'first' || a.name === 'last')
    const nodes =
      pageArg ? pageSize(args, typeof pageArg.defaultValue === 'number' ? pageArg.defaultValue : listSize)
      : definition && !PAGED.has(name) && isList(definition.type) ? listSize
      : 1
    const dear = parent !== undefined && WITH_DEAR.has(parent.name) ? (DEAR[name] ?? 0) : 0
    return { depth: 1 + inner.depth, cost: 1 + dear + nodes * inner.cost }
  }

  return selection(schema.getRootType(operation.operation) ?? undefined, operation.selectionSet)
}

const isList = (type: GraphQLOutputType): boolean => isListType(isNonNullType(type) ? type.ofType : type)

/** Rules beside GraphQL's own. */
export const limitRules = ({ maxAliases }: Limits): ValidationRule[] => [
  maxAliasesRule({
    n: maxAliases,
    // Reported as every other fault of a document is, instead of thrown.
    propagateOnRejection: false,
    onReject: [(context) => context?.reportError(new GraphQLError(`Found a query of more than ${maxAliases} aliases, allowed are ${maxAliases}; ask in several requests`, { extensions: { http: { status: 400 }, code: 'TOO_MANY_ALIASES', facts: { max: maxAliases } } }))],
  }),
]

/** All rules that a document has to follow. */
export const validationRules = (limits: Limits): ValidationRule[] => [...specifiedRules, ...limitRules(limits)]

/** Throws GraphQLError where an operation is over the limits, or an argument holds a NUL. */
export function checkOperation(schema: GraphQLSchema, document: DocumentNode, operationName: string | null, variables: Record<string, unknown>, limits: Limits = LIMITS): void {
  const operation = getOperationAST(document, operationName)
  if (!operation) return
  if (holdsNul(variables) || documentHoldsNul(document)) {
    throw new GraphQLError('Found a NUL character in an argument, allowed is text without one; take it out', { extensions: { http: { status: 400 }, code: 'BAD_INPUT' } })
  }
  const size = measure(schema, document, operation, variables, limits)
  if (size.depth > limits.maxDepth) {
    throw new GraphQLError(`Found a query ${size.depth} levels deep, allowed is ${limits.maxDepth}; ask for the inner part in a query of its own`, { extensions: { http: { status: 400 }, code: 'QUERY_TOO_DEEP', facts: { depth: size.depth, max: limits.maxDepth } } })
  }
  if (size.cost > limits.maxCost) {
    throw new GraphQLError(`Found a query of cost ${size.cost}, allowed is ${limits.maxCost}; ask for fewer nodes with \`first\`, or for fewer fields of each`, { extensions: { http: { status: 400 }, code: 'QUERY_TOO_LARGE', facts: { cost: size.cost, max: limits.maxCost } } })
  }
}

/** Refuses operations over the limits, before anything is resolved. */
export function limitsPlugin<Context extends object>(limits: Limits = LIMITS): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async () => ({
      didResolveOperation: async ({ schema, document, operationName, request }) => checkOperation(schema, document, operationName, request.variables ?? {}, limits),
    }),
  }
}

/** PostgreSQL holds no NUL in a text, so no argument with one can name anything. */
const holdsNul = (value: unknown): boolean => (typeof value === 'string' ? value.includes('\0') : typeof value === 'object' && value !== null && Object.values(value).some(holdsNul))

function documentHoldsNul(document: DocumentNode): boolean {
  let found = false
  visit(document, {
    StringValue: (node) => {
      found ||= node.value.includes('\0')
      return found ? BREAK : undefined
    },
  })
  return found
}
