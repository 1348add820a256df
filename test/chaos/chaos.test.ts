import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { startProxy } from './proxy.ts'
import { runChaos, type ChaosReport } from './run.ts'
import { DEEPEST, scheduleOf, type Entry } from './schedule.ts'

const lines: string[] = []
const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function run(schedule: readonly Entry[] | undefined, seed: number, port: number, deepest: number = DEEPEST): Promise<ChaosReport> {
  const workDir = mkdtempSync(join(tmpdir(), 'bulwark-chaos-'))
  folders.push(workDir)
  lines.length = 0
  return await runChaos({ kills: 2, reorgs: 2, seed, days: 0.5, port, workDir, cacheDir: resolve('.bulwark/cache'), deepest, log: (line) => lines.push(line), ...(schedule === undefined ? {} : { schedule }) })
}

describe('the schedule', () => {
  test('default: is a function of the seed alone', () => {
    expect(scheduleOf(5, 20, 20)).toEqual(scheduleOf(5, 20, 20))
    expect(scheduleOf(5, 20, 20)).not.toEqual(scheduleOf(6, 20, 20))
  })

  test('behavior: kills every part as often as the others, and reorganises up to 64 blocks', () => {
    const happenings = scheduleOf(9, 20, 20).map(({ happening }) => happening)
    const targets = happenings.flatMap((happening) => (happening.kind === 'kill' ? [happening.target] : []))
    expect(['follower', 'graph-node', 'postgres', 'connection'].map((target) => targets.filter((one) => one === target).length)).toEqual([5, 5, 5, 5])
    const depths = happenings.flatMap((happening) => (happening.kind === 'reorg' ? [happening.depth] : []))
    expect(depths.length).toBe(20)
    expect(Math.max(...depths)).toBe(64)
    expect(Math.min(...depths)).toBeGreaterThan(0)
  })
})

describe('the proxy', () => {
  test('behavior: gives answers through, spoils them in bad weather, and lets nothing pass while it is cut', async () => {
    const server = createServer((_, response) => response.end('{"result":"0x1234567890"}'))
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const proxy = await startProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 0)
    const ask = async (): Promise<string> => {
      const response = await fetch(proxy.url, { method: 'POST', body: '{}' })
      return `${response.status} ${await response.text()}`
    }
    expect(await ask()).toBe('200 {"result":"0x1234567890"}')
    proxy.weather(['429'], 1, 1)
    expect(await ask()).toBe('429 too many requests')
    proxy.weather(['truncated'], 1, 1)
    expect(await ask()).toBe('200 {"result":"0')
    proxy.weather(['reset'], 1, 1)
    await expect(ask()).rejects.toThrow('fetch failed')
    proxy.weather([], 0, 0)
    proxy.cut(true)
    await expect(ask()).rejects.toThrow('fetch failed')
    proxy.cut(false)
    expect(await ask()).toBe('200 {"result":"0x1234567890"}')
    expect([...proxy.injected].map(([fault, count]) => [fault, count > 0])).toEqual([['429', true], ['truncated', true], ['reset', true], ['cut', true]])
    await proxy.stop()
    await new Promise((done) => server.close(done))
  })
})

const exact = { mismatchedRows: 0, mismatchedBuckets: 0, sameDeployment: true, stuck: 0 }

describe('everything real, everything killed', () => {
  test('behavior: two kills, two reorgs and faults leave every table as a clean run makes it', async () => {
    const report = await run(undefined, 1, 14_220)
    expect(report.examples).toEqual([])
    expect(report).toMatchObject({ ...exact, kills: 2, reorgs: 2 })
    expect(report.rows).toBeGreaterThan(1_000)
    expect(report.faults).toBeGreaterThan(0)
  }, 600_000)

  test('behavior: a reorg of 250 blocks is rewound, not built again', async () => {
    const report = await run([{ blocks: 30, everyMs: 100, followed: true, happening: { kind: 'reorg', depth: 250 } }], 2, 14_240, 250)
    expect(report.examples).toEqual([])
    expect(report).toMatchObject({ ...exact, deepestReorg: 250, rewinds: 1, rebuilds: 0 })
    expect(report.rewoundBlocks).toBeGreaterThanOrEqual(250)
  }, 600_000)
})
