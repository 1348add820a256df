import { describe, expect, test } from '@jest/globals'
import { countByHandler, handlersOf, matcherOf, parseManifest, signatureOf, type Log } from './triggers.ts'

// Topics from the published logs of mainnet: keccak256 of the canonical signature.
const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const APPROVAL = '0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925'

const TOKEN = '0x00000000000000000000000000000000000000aa'
const OTHER = '0x00000000000000000000000000000000000000bb'
const FUND = '0x00000000000000000000000000000000000000cc'
const topicOf = (address: string): string => `0x${'0'.repeat(24)}${address.slice(2)}`

const MANIFEST = `specVersion: 1.3.0
schema: { file: ./schema.graphql }
dataSources:
  - kind: ethereum
    name: Token
    network: devnet
    source: { address: '${TOKEN.toUpperCase().replace('0X', '0x')}', abi: ERC20, startBlock: 5 }
    mapping:
      file: ./src/mapping.ts
      abis: [{ name: ERC20, file: ./abis/ERC20.json }]
      eventHandlers:
        - { event: 'Transfer(indexed address,indexed address,uint256)', handler: handleReceived, topic2: ['${FUND}'] }
        - { event: 'Transfer(indexed address,indexed address,uint256)', handler: handleSent, topic1: ['${FUND}'] }
templates:
  - kind: ethereum
    name: Child
    network: devnet
    source: { abi: ERC20 }
    mapping:
      file: ./src/mapping.ts
      abis: [{ name: ERC20, file: ./abis/ERC20.json }]
      eventHandlers:
        - { event: 'Approval(indexed address,indexed address,uint256)', handler: handleApproval }
`

const handlers = handlersOf(parseManifest(MANIFEST))
const log = (address: string, topics: string[], blockNumber = 10): Log => ({ address, topics, blockNumber, logIndex: 0 })

describe('signatureOf', () => {
  test('behavior: leaves out `indexed` and blanks', () => {
    expect(signatureOf('Transfer(indexed address, indexed address,\n  uint256)')).toBe('Transfer(address,address,uint256)')
  })
  test('behavior: keeps a name that begins with indexed', () => {
    expect(signatureOf('indexedBy(indexed uint8)')).toBe('indexedBy(uint8)')
  })
})

describe('handlersOf', () => {
  test('behavior: takes the topic from the signature, the number from the order, templates last', () => {
    expect(handlers.map(({ handler, topic0, manifestIndex, address, startBlock }) => [handler, topic0, manifestIndex, address, startBlock])).toEqual([
      ['handleReceived', TRANSFER, 0, TOKEN, 5],
      ['handleSent', TRANSFER, 0, TOKEN, 5],
      ['handleApproval', APPROVAL, 1, null, 0],
    ])
  })
  test('error: refuses handlers of blocks, which it would not count', () => {
    expect(() => handlersOf(parseManifest(MANIFEST.replace('eventHandlers:\n        - { event: \'Approval', 'blockHandlers: [{ handler: handleBlock }]\n      eventHandlers:\n        - { event: \'Approval')))).toThrow('Found 1 call or block handlers in data source Child')
  })
})

describe('matcherOf', () => {
  const match = matcherOf(handlers, [{ manifestIndex: 1, address: OTHER, fromBlock: 8 }])
  const seenBy = (one: Log): string[] => match(one).map(({ handler }) => handler)

  test('behavior: a log between the same account is an event for each handler that its topics pass', () => {
    expect(seenBy(log(TOKEN, [TRANSFER, topicOf(FUND), topicOf(FUND)]))).toEqual(['handleReceived', 'handleSent'])
    expect(seenBy(log(TOKEN, [TRANSFER, topicOf(FUND), topicOf(OTHER)]))).toEqual(['handleSent'])
    expect(seenBy(log(TOKEN, [TRANSFER, topicOf(OTHER), topicOf(OTHER)]))).toEqual([])
  })
  test('behavior: an address is the same however it is written', () => {
    expect(seenBy(log(TOKEN.toUpperCase().replace('0X', '0x'), [TRANSFER, topicOf(FUND), topicOf(OTHER)]))).toEqual(['handleSent'])
  })
  test('behavior: a template sees its instances alone, from their block on', () => {
    expect(seenBy(log(OTHER, [APPROVAL, topicOf(FUND), topicOf(FUND)], 8))).toEqual(['handleApproval'])
    expect(seenBy(log(OTHER, [APPROVAL, topicOf(FUND), topicOf(FUND)], 7))).toEqual([])
    expect(seenBy(log(TOKEN, [APPROVAL, topicOf(FUND), topicOf(FUND)]))).toEqual([])
  })
  test('behavior: a data source sees nothing before its start block', () => {
    expect(seenBy(log(TOKEN, [TRANSFER, topicOf(FUND), topicOf(OTHER)], 4))).toEqual([])
  })
  test('behavior: the same signature with other arguments indexed is another event', () => {
    expect(seenBy(log(OTHER, [APPROVAL]))).toEqual([])
  })
  test('behavior: counts come most frequent first', () => {
    const sent = log(TOKEN, [TRANSFER, topicOf(FUND), topicOf(OTHER)])
    expect([...countByHandler([log(OTHER, [APPROVAL, topicOf(FUND), topicOf(FUND)]), sent, sent], match)]).toEqual([['handleSent', 2], ['handleApproval', 1]])
  })
})
