import { UnavailableError } from '../../core/errors.ts'

/** What can be wrong with following, by kind: the keys of MirrorStatus.errorCounts. */
export const TROUBLE_KINDS = [
  /** graph-node does not answer, or not in GraphQL. */
  'GRAPH_NODE_UNREACHABLE',
  /** It refused a query. */
  'GRAPH_NODE_REFUSED',
  /** The deployment failed: it indexes no further by itself. */
  'GRAPH_NODE_FAILED',
  /** It stands still while the chain goes on. */
  'GRAPH_NODE_STUCK',
  /** It was near the chain's head and has fallen behind. */
  'GRAPH_NODE_BEHIND',
  /** It does not agree with the chain on what is canonical. */
  'GRAPH_NODE_UNSETTLED',
  /** It serves another deployment than the stored one, which is not far enough yet. */
  'OTHER_DEPLOYMENT',
  'CHAIN_UNREACHABLE',
  /** The node's head lies below what is stored. */
  'CHAIN_BEHIND',
  'DATABASE_UNREACHABLE',
  /** PostgreSQL refused a statement. */
  'DATABASE_REFUSED',
  /** The protocol's reducer refused the facts. */
  'REPLAY_FAILED',
  /** A defect of ours. */
  'STEP_FAILED',
] as const

export type TroubleKind = (typeof TROUBLE_KINDS)[number]

const PART = { GRAPH: 'graph-node', CHAIN: 'chain', DATABASE: 'database' } as const
const partOf = (kind: TroubleKind): string => PART[kind.slice(0, kind.indexOf('_')) as keyof typeof PART] ?? (kind === 'OTHER_DEPLOYMENT' ? 'graph-node' : 'index')

/** Something that the mirror cannot go on with now; it tries again by itself, and what is stored stays. */
export class TroubleError extends UnavailableError {
  readonly kind: TroubleKind

  constructor(kind: TroubleKind, found: string, action: string, cause?: unknown) {
    super({ part: partOf(kind), found, action }, cause)
    this.kind = kind
  }
}
