import { describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { PROJECT } from '../../cli/options.ts'
import { CONFIG_SCHEMA } from '../../core/config.ts'

type Service = { image?: string; build?: unknown; ports?: string[]; command?: string[]; environment?: Record<string, string>; depends_on?: Record<string, { condition: string }>; healthcheck?: { disable?: boolean; test?: string[] }; volumes?: string[]; networks?: string[] }
const file = join(PROJECT, 'compose.yaml')
const text = readFileSync(file, 'utf8')
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, unknown>; networks: Record<string, unknown> }
const services = Object.entries(compose.services)

/** Docker's plugin, or the program of the same file format that Debian has. */
const programs = [['docker', 'compose'], ['docker-compose']] as const
const program = programs.find(([name, ...args]) => spawnSync(name, [...args, 'version'], { stdio: 'ignore' }).status === 0)
const config = (env: Record<string, string>) => spawnSync(program![0], [...program!.slice(1), '-f', file, '--project-directory', '/', 'config'], { env: { PATH: process.env['PATH'] ?? '', ...env }, encoding: 'utf8' })

const skipped = (): void => void process.stderr.write('skipped: there is neither docker compose nor docker-compose (apt-get install docker-compose)\n')

describe('compose.yaml', () => {
  test('behavior: docker compose config accepts it', () => {
    if (program === undefined) return skipped()
    const run = config({ RPC_URL: 'https://host/KEY', POSTGRES_PASSWORD: 'abc' })
    expect([run.status, run.stderr]).toEqual([0, ''])
    const resolved = parse(run.stdout) as typeof compose
    expect(Object.keys(resolved.services).toSorted()).toEqual(['api', 'deploy-subgraph', 'graph-node', 'ipfs', 'migrate', 'mirror', 'postgres'])
    expect(resolved.services['graph-node']!.environment).toMatchObject({ ETHEREUM_RPC: 'optimism:https://host/KEY', POSTGRES_URL: 'postgresql://bulwark:abc@postgres:5432/graph' })
  })

  test('error: without the RPC or the password it says what is missing', () => {
    if (program === undefined) return skipped()
    expect(config({ POSTGRES_PASSWORD: 'abc' }).stderr).toContain('put the JSON-RPC endpoint of an archive node into .env')
    expect(config({ RPC_URL: 'https://host/KEY' }).stderr).toContain('put a password of letters and digits into .env')
  })

  test('behavior: nothing but the API has a port outside, and that on the loopback address', () => {
    expect(services.filter(([, { ports }]) => ports !== undefined).map(([name, { ports }]) => [name, ports])).toEqual([['api', ['127.0.0.1:${API_PORT:-4000}:4000']]])
  })

  test('behavior: every image of others has a version', () => {
    for (const [name, { image }] of services.filter(([, { build }]) => build === undefined)) expect([name, image]).toEqual([name, expect.stringMatching(/:[^:}]*\d/)])
  })

  test('behavior: what is waited for exists, and is waited for in a way that it can end', () => {
    const waits = services.flatMap(([name, { depends_on }]) => Object.entries(depends_on ?? {}).map(([other, { condition }]) => ({ name, other, condition, service: compose.services[other] })))
    const canEnd = ({ condition, service }: (typeof waits)[number]): boolean => (condition === 'service_healthy' ? service?.healthcheck?.test !== undefined : service?.command?.includes('cli/main.ts') === true)
    expect(waits.length).toBeGreaterThan(5)
    expect(waits.filter((wait) => !canEnd(wait))).toEqual([])
  })

  test('behavior: volumes and networks are declared', () => {
    for (const [, { volumes = [], networks = [] }] of services) {
      for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
      for (const network of networks) expect(Object.keys(compose.networks)).toContain(network)
    }
  })

  test('error: holds no secret of its own, and puts none on a command line', () => {
    expect(text).not.toMatch(/(password|key|secret)\w*['"]?:\s*['"]?(?!\$\{|put )[a-z0-9]{4,}/i)
    for (const [name, { command = [] }] of services) expect([name, command.join(' ').match(/RPC_URL|PASSWORD|API_KEY/)]).toEqual([name, null])
  })

  test('behavior: our processes get keys of the configuration alone, each of which exists', () => {
    const own = new Set(['GRAPH_DATABASE_URL', 'BULWARK_LOG_LEVEL', 'HOME', ...Object.keys(CONFIG_SCHEMA)])
    for (const name of ['api', 'mirror', 'migrate', 'deploy-subgraph']) for (const key of Object.keys(compose.services[name]!.environment ?? {})) expect([name, key, own.has(key)]).toEqual([name, key, true])
  })
})
