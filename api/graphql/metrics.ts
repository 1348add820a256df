/** What Prometheus reads at /metrics. Names follow its conventions: base units, `_total` for what only grows. */
import type { ApolloServerPlugin } from '@apollo/server'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { StatusService } from './status.ts'

export type Metrics = {
  readonly contentType: string
  /** The text that Prometheus reads; it never throws for a part that is down. */
  text(): Promise<string>
  observeJob(job: string, outcome: 'done' | 'waited' | 'failed', seconds: number): void
  /** Times GraphQL requests. */
  readonly plugin: ApolloServerPlugin
}

const HEALTHS = ['UP', 'DEGRADED', 'DOWN'] as const

export function createMetrics(status: StatusService): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> => new Gauge({ name, help, labelNames: [...labelNames], registers })
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> => new Counter({ name, help, labelNames: [...labelNames], registers })

  const indexedBlock = gauge('bulwark_indexed_block', 'Block that all figures of the API stand on')
  const headBlock = gauge('bulwark_chain_head_block', "Block at the chain's head")
  const graphNodeBlock = gauge('bulwark_graph_node_block', 'Last block that graph-node has indexed, as the mirror saw it')
  const lagBlocks = gauge('bulwark_lag_blocks', 'Chain head minus indexed block')
  const lagSeconds = gauge('bulwark_lag_seconds', "Chain head's time minus the indexed block's")
  const syncShare = gauge('bulwark_sync_ratio', "Blocks indexed of all since the protocol's first, 0 to 1")
  const partHealth = gauge('bulwark_part_health', '1 for the health that a part has, 0 for the others', ['part', 'health'])
  const trouble = gauge('bulwark_mirror_trouble', '1 for what keeps the mirror from following, by kind; none while nothing does', ['kind', 'part'])
  const rows = counter('bulwark_mirror_rows_total', 'Rows that the mirror has stored')
  const steps = counter('bulwark_mirror_steps_total', 'Steps that the mirror has stored, a transaction each')
  const stepSeconds = counter('bulwark_mirror_step_seconds_total', 'Time that those steps took')
  const reorgs = counter('bulwark_mirror_reorgs_total', 'Reorganisations of the chain that were rewound')
  const reorgBlocks = counter('bulwark_mirror_reorg_blocks_total', 'Blocks that reorganisations took back')
  const rebuilds = counter('bulwark_mirror_rebuilds_total', 'Times that all rows were taken from the index anew')
  const errors = counter('bulwark_mirror_errors_total', 'Times that each kind of trouble began', ['kind'])
  const requests = new Histogram({ name: 'bulwark_graphql_request_seconds', help: 'Time of a GraphQL request', labelNames: ['operation', 'outcome'], buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20], registers })
  const jobs = new Histogram({ name: 'bulwark_job_seconds', help: 'Time of a run of a background job', labelNames: ['job', 'outcome'], buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120], registers })

  const set = (one: Gauge, value: bigint | number | null | undefined): void => (value == null ? one.remove() : one.set(Number(value)))
  /** The mirror keeps its own counts in the database: they outlive this process, and it may be another one's mirror. */
  const count = (one: Counter, value: bigint | number): void => {
    one.reset()
    one.inc(Number(value))
  }

  const look = async (): Promise<void> => {
    const { indexed, lagBlocks: behind, ageSec, parts, sync } = await status.read()
    const mirror = status.mirror()
    set(indexedBlock, indexed?.number)
    set(headBlock, sync?.headBlock)
    set(graphNodeBlock, mirror?.graphNodeBlock)
    set(lagBlocks, behind)
    set(lagSeconds, ageSec)
    set(syncShare, sync?.share)
    partHealth.reset()
    for (const part of parts) for (const health of HEALTHS) partHealth.set({ part: part.name, health }, part.health === health ? 1 : 0)
    trouble.reset()
    if (mirror === null) return
    if (mirror.error !== null) trouble.set({ kind: mirror.errorKind ?? 'UNKNOWN', part: mirror.errorPart ?? 'index' }, 1)
    count(rows, mirror.rowCount)
    count(steps, mirror.stepCount)
    count(stepSeconds, Number(mirror.stepMs) / 1000)
    count(reorgs, mirror.reorgCount)
    count(reorgBlocks, mirror.reorgBlocks)
    count(rebuilds, mirror.rebuildCount)
    errors.reset()
    for (const [kind, times] of Object.entries((mirror.errorCounts ?? {}) as Record<string, number>)) errors.inc({ kind }, times)
  }

  return {
    contentType: registry.contentType,
    text: async () => {
      await look()
      return registry.metrics()
    },
    observeJob: (job, outcome, seconds) => jobs.observe({ job, outcome }, seconds),
    plugin: {
      requestDidStart: async () => {
        const started = performance.now()
        return {
          willSendResponse: async ({ operation, response, errors: failures }) => {
            // Names that clients choose are not labels: there is no end to them.
            const failed = (failures?.length ?? 0) > 0 || (response.body.kind === 'single' && (response.body.singleResult.errors?.length ?? 0) > 0)
            requests.observe({ operation: operation?.operation ?? 'none', outcome: failed ? 'error' : 'ok' }, (performance.now() - started) / 1000)
          },
        }
      },
    },
  }
}
