import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '../..')

test('behavior: without a browser its tests are skipped, and the run says so once and how to have them', async () => {
  const { code, stderr } = await new Promise<{ code: number; stderr: string }>((resolve) => {
    execFile(process.execPath, ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', 'test/console/pages.test.ts'], { cwd: PROJECT, env: { ...process.env, CHROMIUM: '/nowhere/chromium' } }, (error, _stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stderr }))
  })
  const said = stderr.split('\n').filter((line) => line.startsWith('Skipped'))
  expect([code, said]).toEqual([0, ['Skipped the tests of 1 file: found no /nowhere/chromium, which browser tests need; run apt-get install chromium, or name another in CHROMIUM']])
  expect(stderr).toMatch(/Tests: +\d+ skipped, \d+ total/)
}, 60_000)
