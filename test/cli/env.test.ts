import { expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { PORTS, PROJECT } from '../../cli/options.ts'

test('behavior: .env.example names every port with its default', () => {
  const example = parseEnv(readFileSync(join(PROJECT, '.env.example'), 'utf8'))
  for (const { variable, fallback } of Object.values(PORTS)) expect(example).toMatchObject({ [variable]: String(fallback) })
})
