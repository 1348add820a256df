import { expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { maskUrls } from '../../core/log.ts'

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

test('behavior: an address in an error is cut to its origin, in message, stack, causes, fields and nested objects', () => {
  const script = `
    import { createLogger } from '${join(import.meta.dirname, '../../core/log.ts')}'
    import { createPublicClient, http } from 'viem'
    const log = createLogger('test', 'info')
    for (const url of ['http://127.0.0.1:1/v2/sesame', 'http://me:sesame@127.0.0.1:1/', 'http://127.0.0.1:1/?key=sesame']) {
      const viem = await createPublicClient({ transport: http(url, { retryCount: 0 }) }).getBlockNumber().catch((error) => error)
      const own = new Error('no answer of ' + url, { cause: viem })
      log.error({ err: own }, 'top')
      log.error({ cause: own, inner: { err: own, cause: viem } }, 'nested')
      log.error({ list: [viem, { request: { to: url } }] }, 'at ' + url)
      log.fatal(own)
      log.child({ at: url }).warn('child')
    }
  `
  const { stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } })
  expect(stderr.trim().split('\n').map((line) => (JSON.parse(line) as { level: number }).level)).toEqual(Array.from({ length: 3 }, () => [50, 50, 50, 60, 40]).flat())
  expect(stderr).toContain('no answer of http://127.0.0.1:1')
  expect(stderr).not.toContain('sesame')
  // Stack traces keep their places.
  expect(stderr).toMatch(/at .*(file:\/\/\/|node:)/)
})

test.each([
  ['https://host:8545/v2/KEY', 'https://host:8545'],
  ['see (https://KEY@host), or https://a:KEY@host/x?KEY.', 'see (https://host), or https://host'],
  ['https://host?k=KEY and wss://host#KEY', 'https://host and wss://host'],
  ['postgresql://u:p@KEY@h:5432/d', 'postgresql://h:5432'],
  // Where the host begins is not known here.
  ['postgresql://u:KEY/y@h/d', 'postgresql://[secret]'],
  ['http://[::1]:80/KEY', 'http://[::1]:80'],
  ['at file:///srv/api/main.ts:3:4', 'at file:///srv/api/main.ts:3:4'],
  ['nothing // to: hide', 'nothing // to: hide'],
])('behavior: %s is written as %s', (text, masked) => expect(maskUrls(text)).toBe(masked))
