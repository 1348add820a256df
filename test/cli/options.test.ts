import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createServer, type Server } from 'node:net'
import { assertPortsFree, parseRunOptions, PORTS } from '../../cli/options.ts'
import { freePort } from '../../cli/services/ports.ts'

const defaults = { stateDir: '/tmp/bulwark-unused', ephemeral: true }

describe('options of a run', () => {
  test.each([
    [['--api-port', 'eighty'], /Found --api-port "eighty", allowed is a whole number from 1 to 65535/],
    [['--rpc-port', '70000'], /Found --rpc-port "70000", allowed is a whole number from 1 to 65535/],
    [['--api-port', '4010', '--rpc-port', '4010'], /Found port 4010 for both the API and the console and the chain/],
    [['--network', 'mainnet'], /Found network "mainnet", allowed is devnet/],
    [['--colour'], /Found Unknown option '--colour', allowed are --network, --state-dir/],
  ])('error: refuses %p in one sentence', async (args, sentence) => {
    await expect(parseRunOptions(args, defaults)).rejects.toThrow(sentence)
    await expect(parseRunOptions(args, defaults)).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  test('behavior: a flag goes over its variable', async () => {
    process.env['API_PORT'] = '4999'
    try {
      expect((await parseRunOptions(['--api-port', '4998'], { ...defaults, ephemeral: false })).ports.api).toBe(4998)
      expect((await parseRunOptions([], { ...defaults, ephemeral: false })).ports.api).toBe(4999)
    } finally {
      delete process.env['API_PORT']
    }
  })

  test('behavior: ephemeral ports differ from each other', async () => {
    const { ports } = await parseRunOptions([], defaults)
    expect(new Set(Object.values(ports)).size).toBe(Object.keys(PORTS).length)
  })
})

describe('a taken port', () => {
  let server: Server
  let port: number
  beforeEach(async () => {
    port = await freePort()
    server = createServer()
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  })
  afterEach(() => new Promise<void>((resolve) => server.close(() => resolve())))

  test('error: is named with its part and the flag that moves it', async () => {
    const { ports } = await parseRunOptions(['--graph-http-port', String(port)], defaults)
    await expect(assertPortsFree(ports)).rejects.toThrow(`Port ${port} for graph-node's queries is taken, allowed is any free port; stop what uses it or choose another with --graph-http-port`)
  })
})
