import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createServer, type Server } from 'node:net'
import { freePort } from '../../core/ports.ts'
import { assertPortsFree, parseRunOptions, PORTS, usedPorts } from '../../cli/options.ts'

const defaults = { stateDir: '/tmp/bulwark-unused', ephemeral: true }

describe('options of a run', () => {
  test.each([
    [['--api-port', 'eighty'], /Found --api-port "eighty", allowed is a whole number from 1 to 65535/],
    [['--rpc-port', '70000'], /Found --rpc-port "70000", allowed is a whole number from 1 to 65535/],
    [['--api-port', '4010', '--rpc-port', '4010'], /Found port 4010 for both the API and the console and the chain/],
    [['--network', 'mainnet'], /Found network "mainnet", allowed are devnet, optimism; take one of these/],
    [['--network', 'optimism'], /Found --network optimism for the demo, allowed is the devnet that it starts itself/],
    [['--rpc-url', 'http://127.0.0.1:1'], /Found --rpc-url for the demo/],
    [['--rpc-url', 'wss://host/key'], /Found a websocket address \(wss:\/\/\) for --rpc-url, allowed is http:\/\/ or https:\/\//],
    [['--graph-node-url', 'host/key'], /Found no URL for --graph-node-url, allowed is one that begins with http:\/\/ or https:\/\/; correct it/],
    [['--colour'], /Found Unknown option '--colour', allowed are --network, --rpc-url, --graph-node-url, --state-dir/],
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

describe('options of a real network', () => {
  const start = { stateDir: '/tmp/bulwark-unused', ephemeral: false }
  const withEnv = async (env: Record<string, string>, run: () => Promise<void>): Promise<void> => {
    Object.assign(process.env, env)
    try {
      await run()
    } finally {
      for (const name of Object.keys(env)) delete process.env[name]
    }
  }

  test('error: optimism without an RPC says what is needed', async () => {
    await expect(parseRunOptions(['--network', 'optimism'], start)).rejects.toThrow('Found no RPC for optimism, needed is the JSON-RPC endpoint of an archive node of chain 10; set RPC_URL in .env or in the shell, or give --rpc-url')
  })

  test('behavior: its state lies beside the devnet’s', async () => {
    const { stateDir, deployment, real } = await parseRunOptions(['--network', 'optimism', '--rpc-url', 'https://host/key'], start)
    expect(stateDir).toBe('/tmp/bulwark-unused/networks/optimism')
    expect([deployment.chainId, real.rpcUrl]).toEqual([10, 'https://host/key'])
  })

  test('behavior: the environment names parts, an empty variable none', async () => {
    await withEnv({ RPC_URL: 'https://host/key', NETWORK: 'optimism', GRAPH_NODE_URL: 'https://graph/subgraphs/id/x', GRAPH_NODE_API_KEY: 'key', DATABASE_URL: 'postgresql://u:p@db/x', GRAPH_DATABASE_URL: '' }, async () => {
      const { real, deployment } = await parseRunOptions([], start)
      expect(deployment.network).toBe('optimism')
      expect(real).toEqual({ rpcUrl: 'https://host/key', graphNodeUrl: 'https://graph/subgraphs/id/x', graphNodeApiKey: 'key', databaseUrl: 'postgresql://u:p@db/x', graphDatabaseUrl: null })
      expect(usedPorts({ real })).toEqual(['api'])
    })
  })

  test('error: a wrong address in the environment is named without its value', async () => {
    await withEnv({ DATABASE_URL: 'mysql://u:secret@db/x' }, async () => {
      await expect(parseRunOptions([], start)).rejects.toThrow(/^Found a URL that begins with mysql:\/\/ for DATABASE_URL, allowed is one that begins with postgresql:\/\/ or postgres:\/\/; correct it$/)
    })
  })

  test('behavior: reset needs no RPC', async () => {
    expect((await parseRunOptions(['--network', 'optimism'], { ...start, stateOnly: true })).stateDir).toBe('/tmp/bulwark-unused/networks/optimism')
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
