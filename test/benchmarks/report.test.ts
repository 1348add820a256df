import { describe, expect, test } from '@jest/globals'
import { commitsIn, metricsOf, secondsOf } from './graph-node.ts'
import { summaryOf } from './latency.ts'
import { median, quantile, table } from './report.ts'

describe('quantile', () => {
  test('behavior: is linear between order statistics', () => {
    // 1..5: place of the 0.95 quantile is 3.8, between 4 and 5.
    expect(quantile([5, 1, 4, 2, 3], 0.95)).toBeCloseTo(4.8, 12)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([])).toBeNaN()
  })
})

test('table: numbers stand to the right, words to the left', () => {
  expect(table(['what', 'ms'], [['one', 5], ['eleven', 123]])).toBe('what     ms\none       5\neleven  123')
})

describe('what graph-node says of itself', () => {
  const log = [
    '\u001B[2mNov 23 05:03:04.300\u001B[0m INFO Starting Graph Node Dev',
    'Nov 23 05:03:07.100 INFO Start processing block, triggers: 1, block_number: 5, sgd: 2',
    'Nov 23 05:03:07.500 INFO Start processing block, triggers: 1, block_number: 6, sgd: 2',
    'Nov 23 05:03:09.000 INFO Committed write batch, time_ms: 491, weight: 2, entities: 4, block_count: 9, block_number: 12, sgd: 2',
    'Nov 23 05:03:09.350 INFO Committed write batch, time_ms: 22, weight: 2, entities: 4, block_count: 1, block_number: 13, sgd: 2',
  ].join('\n')

  test('behavior: an indexing lasts from the first block begun to the commit that holds the head', () => {
    expect(secondsOf(log, 13)).toBeCloseTo(2.25, 9)
    expect(secondsOf(log, 12)).toBeCloseTo(2.25, 9)
  })
  test('behavior: a block is there when the batch that ends with it is committed', () => {
    expect([...commitsIn(log, 2026)]).toEqual([[12, Date.UTC(2026, 10, 23, 5, 3, 9)], [13, Date.UTC(2026, 10, 23, 5, 3, 9, 350)]])
  })
  test('error: a log that does not hold the head gives no time', () => {
    expect(() => secondsOf(log, 14)).toThrow('does not say when it began and when it committed block 14')
  })
  test('behavior: counts and times of handlers and stages come from its metrics', () => {
    const { events, handlers, sections } = metricsOf(
      [
        '# HELP deployment_handler_execution_time Measures the execution time for handlers',
        'deployment_handler_execution_time_bucket{deployment="/a,b",handler="handleSwap",le="0.1"} 7',
        'deployment_handler_execution_time_sum{deployment="/a,b",handler="handleSwap"} 0.25',
        'deployment_handler_execution_time_count{deployment="/a,b",handler="handleSwap"} 7',
        'deployment_handler_execution_time_sum{deployment="/a,b",handler="handleMint"} 0.5',
        'deployment_handler_execution_time_count{deployment="/a,b",handler="handleMint"} 2',
        'deployment_sync_secs{deployment="/a,b",section="run_handler",shard="primary",stage="process"} 2.5',
      ].join('\n'),
    )
    expect(events).toBe(9)
    expect(handlers.get('handleSwap')).toEqual({ count: 7, seconds: 0.25 })
    expect([...sections]).toEqual([['process/run_handler', 2.5]])
  })
})

test('summaryOf: each part has what it added', () => {
  expect(summaryOf([{ number: 7, minedMs: 1_000, mirrorMs: 160, apiMs: 180 }], new Map([[7, 1_100]]))).toEqual({ blocks: 1, p50Ms: 180, p95Ms: 180, maxMs: 180, graphNodeMs: 100, mirrorMs: 60, apiMs: 20 })
})
