import { expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

test('behavior: secrets never reach a log, whatever object carries them', () => {
  const script = `
    import { createLogger } from '${join(import.meta.dirname, '../../core/log.ts')}'
    const log = createLogger('test', 'info')
    log.info({ privateKey: 'sesame', nested: { password: 'sesame', databaseUrl: 'postgresql://u:sesame@h/d' }, url: 'http://k:sesame@h' }, 'hello')
  `
  const { stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
  expect(stderr).toContain('hello')
  expect(stderr).not.toContain('sesame')
})
