/** The protocols that Bulwark knows. Adding one is adding its folder and one line here. */
import { UnknownProtocolError, type Protocol } from './adapter.ts'
import { curie } from './curie/index.ts'

export const protocols: readonly Protocol[] = [curie]

/** The protocol whose folder is called so. Throws UnknownProtocolError. */
export function protocolByName(name: string): Protocol {
  const found = protocols.find((protocol) => protocol.name === name)
  if (found === undefined) throw new UnknownProtocolError({ found: name, allowed: protocols.map((protocol) => protocol.name) })
  return found
}
