import { describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createChain, firstLine } from '../../api/graphql/chain.ts'

describe('the chain as the API asks it', () => {
  test.each(['/v2/sesame', '/?key=sesame'])('error: a refused call says nothing of the RPC’s address %s, in its words or its causes', async (path) => {
    const server = createServer((_, response) => response.writeHead(429).end('slow down'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const chain = createChain(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
    const error: unknown = await chain.callAll([{ to: `0x${'11'.repeat(20)}`, data: '0x', value: 0n }], `0x${'22'.repeat(32)}`).catch((thrown: unknown) => thrown)
    server.closeAllConnections()
    server.close()
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/^chain: a call at block 0x22.* was refused/) })
    expect((error as Error).cause).toBeUndefined()
    expect((error as Error).message).not.toContain('sesame')
  })

  test('error: a reason that names an address gives its origin', () => {
    expect(firstLine(new TypeError('Failed to parse URL from https://me:sesame@host/sesame?sesame'))).toBe('Failed to parse URL from https://host')
  })
})
