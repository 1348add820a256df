import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { assertNotRunning, emptyState, takeState } from '../../cli/lock.ts'
import { PROJECT } from '../../cli/options.ts'
import { endProcesses, isRunning, processesOn } from '../../cli/services/orphans.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bulwark-lock-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('a state folder', () => {
  test('behavior: a pid file that another program has inherited is no obstacle', () => {
    writeFileSync(join(dir, 'supervisor.pid'), '1')
    expect(() => assertNotRunning(dir)).not.toThrow()
  })

  test('behavior: what a run has taken can be emptied', async () => {
    const state = await takeState(dir)
    writeFileSync(join(dir, 'something'), '')
    state.release()
    await emptyState(dir)
    expect(existsSync(dir)).toBe(false)
  })

  test('error: what another network has taken is not taken over', async () => {
    ;(await takeState(dir, 'devnet')).release()
    const state = await takeState(dir, 'optimism')
    mkdirSync(join(dir, 'postgres'))
    state.release()
    await expect(takeState(dir, 'devnet')).rejects.toThrow(`Found the state of optimism in ${dir}, allowed is that of devnet or an empty folder; give another --state-dir`)
    ;(await takeState(dir, 'optimism')).release()
  })

  test('behavior: emptying the devnet’s leaves those of other networks', async () => {
    const state = await takeState(dir)
    mkdirSync(join(dir, 'networks', 'optimism'), { recursive: true })
    writeFileSync(join(dir, 'something'), '')
    state.release()
    await emptyState(dir)
    expect(readdirSync(dir)).toEqual(['networks'])
  })

  test('error: a folder that no run has made is not emptied', async () => {
    writeFileSync(join(dir, 'thesis.tex'), '')
    await expect(emptyState(dir)).rejects.toThrow(/no state folder of a run, allowed is one that npm start or npm run demo made; nothing was removed/)
    expect(readdirSync(dir)).toEqual(['thesis.tex'])
  })

  test.each([PROJECT, dirname(PROJECT), '/'])('error: %s is not emptied', async (folder) => {
    await expect(emptyState(folder)).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  test('error: a file in its place is named in one sentence', async () => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    await expect(takeState(file)).rejects.toThrow(/Found state folder .*file not to be written \(EEXIST\), allowed is a folder of your own; give another --state-dir/)
  })
})

describe('processes that a killed run left', () => {
  test('behavior: those that carry the folder are found and ended, a neighbour whose folder begins alike is not', async () => {
    const below = join(dir, 'devnet')
    const neighbour = `${below}-other`
    for (const folder of [below, neighbour]) mkdirSync(folder)
    const wait = ['-e', 'setInterval(() => {}, 1000)', '--']
    const ours = spawn(process.execPath, [...wait, join(below, 'x')])
    const theirs = spawn(process.execPath, [...wait, join(neighbour, 'x')])
    try {
      expect(processesOn(dir, [below])).toEqual([ours.pid])
      await endProcesses([ours.pid!], 0)
      expect(isRunning(ours.pid!)).toBe(false)
      expect(isRunning(theirs.pid!)).toBe(true)
    } finally {
      ours.kill('SIGKILL')
      theirs.kill('SIGKILL')
    }
  })
})
