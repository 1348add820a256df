import { describe, expect, test } from '@jest/globals'
import { ConfigError, loadConfig } from '../../core/config.ts'

describe('loadConfig', () => {
  test('default: gives the keys asked for, parsed, and defaults for what is not set', () => {
    const config = loadConfig(['RPC_URL', 'API_PORT', 'NETWORK', 'API_HOST'], { RPC_URL: 'http://127.0.0.1:8545', API_PORT: '8080', API_HOST: '' })
    expect(config).toEqual({ RPC_URL: 'http://127.0.0.1:8545', API_PORT: 8080, NETWORK: 'devnet', API_HOST: '127.0.0.1' })
  })

  test('error: shows every fault together, each with what is allowed', () => {
    const load = (): unknown => loadConfig(['DATABASE_URL', 'RPC_URL', 'API_PORT', 'NETWORK'], { DATABASE_URL: 'mysql://host/db', API_PORT: '70000', NETWORK: 'mainnet' })
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(
      'The environment has 4 faults: DATABASE_URL has another form, allowed is a URL that begins with postgresql:// or postgres://; ' +
        'RPC_URL is not set, needed is the JSON-RPC endpoint of the chain that graph-node indexes; ' +
        'API_PORT is not a port, allowed are the integers 1 to 65535; NETWORK is not a network, allowed are devnet and optimism; correct it in .env or in the shell',
    )
  })

  test('error: never repeats a value, which may hold a password', () => {
    let caught: unknown
    try {
      loadConfig(['DATABASE_URL'], { DATABASE_URL: 'mysql://me:hunter2@host/db' })
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(ConfigError)
    const { message, facts } = caught as ConfigError
    expect(JSON.stringify({ message, facts })).not.toContain('hunter2')
  })

  test('behavior: who may ask and how sessions are signed: closed and of their own by default', () => {
    expect(loadConfig(['SESSION_SECRET', 'CORS_ORIGINS', 'API_PROXIES'], {})).toEqual({ SESSION_SECRET: null, CORS_ORIGINS: [], API_PROXIES: 0 })
    expect(loadConfig(['SESSION_SECRET', 'CORS_ORIGINS', 'API_PROXIES'], { SESSION_SECRET: 'x'.repeat(32), CORS_ORIGINS: 'https://risk.example, http://localhost:5173', API_PROXIES: '1' })).toEqual({ SESSION_SECRET: 'x'.repeat(32), CORS_ORIGINS: ['https://risk.example', 'http://localhost:5173'], API_PROXIES: 1 })
  })

  test.each([['SESSION_SECRET', 'x'.repeat(31), 'is too short'], ['CORS_ORIGINS', '*', 'has another form'], ['CORS_ORIGINS', 'https://risk.example/path', 'has another form'], ['CORS_ORIGINS', 'null', 'has another form'], ['API_PROXIES', 'true', 'is not a whole number']] as const)('error: %s takes no %s', (key, value, sentence) => {
    expect(() => loadConfig([key], { [key]: value })).toThrow(sentence)
  })
})
