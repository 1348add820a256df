import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { PORTS, PROJECT, REAL_PARTS } from '../../cli/options.ts'

test('behavior: .env.example names every port with its default', () => {
  const example = parseEnv(readFileSync(join(PROJECT, '.env.example'), 'utf8'))
  for (const { variable, fallback } of Object.values(PORTS)) expect(example).toMatchObject({ [variable]: String(fallback) })
})

test('behavior: .env.example names every part that can be replaced, and replaces none', () => {
  const example = parseEnv(readFileSync(join(PROJECT, '.env.example'), 'utf8'))
  for (const { variable } of Object.values(REAL_PARTS)) expect(example).toMatchObject({ [variable]: '' })
})

test("behavior: the README's table explains every variable of .env.example", () => {
  const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8')
  for (const name of Object.keys(parseEnv(readFileSync(join(PROJECT, '.env.example'), 'utf8')))) expect(readme).toContain(`\`${name}\``)
})
