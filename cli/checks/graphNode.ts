/** Whether a graph-node that is already there serves our subgraph of the right network, explained in a sentence each. */
import type { Deployment } from '../../protocols/adapter.ts'
import type { Finding } from './finding.ts'
import { describe, Fault, postJson } from './http.ts'

/** Behind the chain by more than this, it is said how far, blocks. */
const BEHIND_BLOCKS = 30

type Meta = { readonly block: { readonly number: number; readonly hash: string | null }; readonly deployment: string; readonly hasIndexingErrors: boolean }
type Answer = { readonly data?: { readonly _meta?: Meta | null; readonly protocols?: readonly { readonly id: string; readonly name: string }[] } | null; readonly errors?: readonly { readonly message: string }[] }

/** Entities that only this version of our subgraph has: a subgraph without one of them is another, or an older one. */
const QUERY = '{ _meta { block { number hash } deployment hasIndexingErrors } protocols(first: 1) { id name } contracts(first: 1) { id } parameterChanges(first: 1) { id source executor } poolSwaps(first: 1) { id } }'

export async function examineGraphNode(options: {
  readonly url: string
  readonly apiKey: string | null
  readonly rpcUrl: string
  readonly deployment: Deployment
  /** Deployment id whose rows are stored; null where none is. */
  readonly stored: string | null
}): Promise<readonly Finding[]> {
  const { url, apiKey, rpcUrl, deployment, stored } = options
  const name = `graph-node ${new URL(url).host}`
  const one = (level: Finding['level'], sentence: string): readonly Finding[] => [{ level, part: 'graph-node', sentence: `${name}: ${sentence}` }]

  let answer: Answer
  try {
    answer = (await postJson(url, { query: QUERY }, { apiKey })) as Answer
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return one('stop', `${describe(error)}; needed is the query endpoint of the subgraph; ${remedy(error, apiKey)}`)
  }
  const words = (answer.errors ?? []).map(({ message }) => message).join(' ').slice(0, 300)
  if (/auth error|api key|authorization header|not authorized|payment required/i.test(words)) {
    return one('stop', `it refused the query: "${words}"; needed is a valid key; ${apiKey === null ? 'set GRAPH_NODE_API_KEY' : 'correct GRAPH_NODE_API_KEY, and allow the subgraph for it'}`)
  }
  if (/has no field|cannot query field|unknown field/i.test(words)) {
    return one('stop', `it serves another subgraph, or another version of ours: "${words}"; deploy the subgraph of this version (npm run bulwark -- deploy-subgraph) and name its endpoint`)
  }
  if (/not found|does not exist|no allocations|no indexers|bad indexers/i.test(words)) {
    return one('stop', `it does not serve a subgraph there: "${words}"; check the name or id at the end of GRAPH_NODE_URL, and that the subgraph is deployed`)
  }
  if (/has not started syncing|no block/i.test(words)) return one('warn', 'the subgraph has not indexed a block yet; figures come when it has')
  if (/indexing_error|indexing error/i.test(words)) {
    return one('stop', `the subgraph there has failed: "${words}"; read its error at graph-node's status endpoint, and deploy a corrected version; nothing newer will come from it`)
  }
  const meta = answer.data?._meta
  if (meta === null || meta === undefined) return one('stop', `its answer is no subgraph's (${words === '' ? 'no _meta' : `"${words}"`}); needed is the query endpoint of the subgraph, such as http://host:8000/subgraphs/name/bulwark; correct GRAPH_NODE_URL`)

  const protocol = answer.data?.protocols?.[0]
  if (protocol !== undefined && protocol.id !== deployment.contracts.clearingHouse) {
    return one('stop', `it serves the protocol at ${protocol.id}, ${deployment.network} has it at ${deployment.contracts.clearingHouse}; name the subgraph of ${deployment.network}, or another --network`)
  }
  if (meta.hasIndexingErrors) return one('stop', `the subgraph there failed at block ${meta.block.number}; read its error at graph-node's status endpoint, and deploy a corrected version; nothing newer will come from it`)

  const block = async (at: string): Promise<{ number: string; hash: string } | null> => ((await postJson(rpcUrl, { jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params: [at, false] })) as { result?: { number: string; hash: string } | null }).result ?? null
  let latest: { number: string; hash: string } | null
  let same: { hash: string } | null
  try {
    ;[latest, same] = await Promise.all([block('latest'), block(`0x${meta.block.number.toString(16)}`)])
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return one('warn', `it stands at block ${meta.block.number}; whether that is the RPC's chain could not be asked, ${describe(error)}`)
  }
  const head = latest === null ? null : Number(latest.number)
  if (head !== null && head - meta.block.number > 10 && same !== null && meta.block.hash !== null && same.hash.toLowerCase() !== meta.block.hash.toLowerCase()) {
    return one('stop', `its block ${meta.block.number} is ${meta.block.hash}, the RPC's is ${same.hash}: two chains; name a graph-node and an RPC of the same one`)
  }
  if (stored !== null && stored !== meta.deployment) {
    return one('warn', `it serves deployment ${meta.deployment}, stored is ${stored}; the stored rows are replaced once it has indexed as far, and served until then`)
  }
  const behind = head === null ? 0 : head - meta.block.number
  if (behind > BEHIND_BLOCKS) return one('warn', `it stands at block ${format(meta.block.number)}, ${format(behind)} blocks behind the chain; figures are as old as that until it has caught up`)
  return one('good', `deployment ${meta.deployment} at block ${format(meta.block.number)}`)
}

function remedy({ kind }: Fault, apiKey: string | null): string {
  switch (kind) {
    case 'unauthorized':
      return apiKey === null ? 'set GRAPH_NODE_API_KEY' : 'correct GRAPH_NODE_API_KEY'
    case 'rate-limited':
      return 'wait, or take a plan that allows more queries'
    case 'html':
    case 'not-json':
    case 'not-found':
      return 'GRAPH_NODE_URL must end in the subgraph, such as /subgraphs/name/bulwark or /subgraphs/id/…'
    default:
      return 'check GRAPH_NODE_URL, and that graph-node runs'
  }
}

const format = (value: number): string => value.toLocaleString('en-US')
