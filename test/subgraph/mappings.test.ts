import { beforeAll, describe, expect, test } from '@jest/globals'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runMappingTests } from '../../subgraph/test.ts'
import type { MappingTestResult } from '../../subgraph/test.ts'

const TESTS = join(import.meta.dirname, '../../subgraph/curie/tests')
const files = readdirSync(TESTS).filter((file) => file.endsWith('.json')).sort()

describe('Curie mappings, run by graph-node', () => {
  let results: readonly MappingTestResult[]
  beforeAll(async () => {
    results = await runMappingTests({ cacheDir: join(import.meta.dirname, '../../.bulwark/cache') })
  }, 300_000)

  test.each(files.map((file) => [(JSON.parse(readFileSync(join(TESTS, file), 'utf8')) as { name: string }).name, file]))('%s', (_, file) => {
    const result = results.find((candidate) => candidate.file === file)
    expect(result?.isPassed === true ? 'pass' : result?.output).toBe('pass')
  })
})
