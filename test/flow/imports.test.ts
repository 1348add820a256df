import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const PROJECT = join(import.meta.dirname, '../..')
let tree: string

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'bulwark-flow-'))
  copyFileSync(join(PROJECT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'))
  symlinkSync(join(PROJECT, 'node_modules'), join(tree, 'node_modules'))
})
afterAll(() => rmSync(tree, { recursive: true, force: true }))

/** Lints one file that holds `code` at `path` of an otherwise empty project. */
function lint(path: string, code: string): { ok: boolean; output: string } {
  const file = join(tree, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, code)
  const { status, stdout } = spawnSync(join(PROJECT, 'node_modules/.bin/oxlint'), [path], { cwd: tree, encoding: 'utf8' })
  rmSync(file)
  return { ok: status === 0, output: stdout }
}

describe('the way data flows', () => {
  test.each([
    ['core/a.ts', '../protocols/adapter.ts'],
    ['protocols/curie/a.ts', '../../api/mirror/read.ts'],
    ['protocols/curie/a.ts', '../../api/risk/index.ts'],
    ['api/risk/a.ts', '../../protocols/adapter.ts'],
    ['api/risk/a.ts', '../../prisma/client.ts'],
    ['api/mirror/a.ts', '../risk/index.ts'],
    ['api/recommendations/a.ts', '../../proposals/index.ts'],
    ['proposals/a.ts', '../api/graphql/server.ts'],
    ['api/graphql/a.ts', '../../cli/stack.ts'],
    ['devnet/a.ts', '../prisma/client.ts'],
    ['console/a.tsx', '../core/units.ts'],
    ['cli/a.ts', '../console/api.ts'],
  ])('error: refuses an import from %s of %s', (path, target) => {
    const { ok, output } = lint(path, `import { x } from '${target}'\nexport const y = x\n`)
    expect(output).toContain('no-restricted-imports')
    expect(ok).toBe(false)
  })

  test.each([
    ['protocols/curie/a.ts', '../../core/units.ts'],
    ['api/risk/a.ts', '../../core/units.ts'],
    ['api/mirror/a.ts', '../../protocols/adapter.ts'],
    ['proposals/a.ts', '../api/recommendations/index.ts'],
    ['api/graphql/a.ts', '../../proposals/index.ts'],
    ['cli/a.ts', '../devnet/keys.ts'],
  ])('behavior: allows an import from %s of %s', (path, target) => {
    expect(lint(path, `import { x } from '${target}'\nexport const y = x\n`)).toMatchObject({ ok: true })
  })

  test.each(['Date.now()', "fetch('http://x')", 'process.env', 'setTimeout(() => {}, 1)'])('error: keeps %s out of the pure parts', (code) => {
    expect(lint('api/risk/a.ts', `export const y = ${code}\n`).ok).toBe(false)
    expect(lint('protocols/curie/a.ts', `export const y = ${code}\n`).ok).toBe(false)
  })

  test.each(['node:fs', 'pg', 'pino'])('error: keeps %s out of the pure parts', (name) => {
    expect(lint('api/risk/a.ts', `import x from '${name}'\nexport const y = x\n`).ok).toBe(false)
  })
})
