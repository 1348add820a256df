/** The table of proposals/README.md: what signers get here, each with the tests that show it. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

const rows = [...read('../../proposals/README.md').matchAll(/^\| (\d+) \| (.+?) \| (.+) \|$/gm)].map(([, number, what, shown]) => ({
  number: Number(number),
  what: what!,
  shown: shown!.split('<br>').map((each) => /^`([a-z]+\.test\.ts)`: (.+)$/.exec(each)?.slice(1) as [string, string] | undefined),
}))

/** Names of the tests in a file that run: neither skipped nor to be done. */
const testsIn = (file: string): readonly string[] => [...read(`./${file}`).matchAll(/^\s*test\((['"])(.+?)\1, /gm)].map(([, , name]) => name!.replaceAll("\\'", "'"))

describe('what no tool offered its signers', () => {
  test('behavior: there are ten things, in order', () => {
    expect(rows.map((row) => row.number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test.each(rows.map((row) => [row.number, row.what, row.shown] as const))('behavior: %i, %s, has a test that shows it', (_, __, shown) => {
    expect(shown.length).toBeGreaterThan(0)
    for (const each of shown) {
      const [file, name] = each ?? ['', '']
      expect(testsIn(file)).toContain(name)
    }
  })
})
