/** What an argument names: markets, subjects and addresses. */
import { BadInputError } from '../../core/errors.ts'
import type { Context } from './context.ts'
import type { MarketNode } from './model.ts'

const sameText = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

export async function findMarket(context: Context, id: string): Promise<MarketNode | null> {
  const markets = await context.markets()
  return markets.get(id.toLowerCase()) ?? [...markets.values()].find((market) => sameText(market.symbol, id)) ?? null
}

/** Id of the market that an argument names; null where it names none. Throws BadInputError for an unknown one. */
export async function marketId(context: Context, id: string | null | undefined, field = 'market'): Promise<string | null> {
  if (id == null) return null
  const market = await findMarket(context, id)
  if (market) return market.id
  const known = [...(await context.markets()).values()].map((one) => one.symbol)
  throw new BadInputError(`Found market "${id.slice(0, 60)}", allowed are ${known.length ? known.join(', ') : 'none yet'} and their base token addresses; take one of these`, { field, found: id, allowed: known })
}

/** `field`: the argument that holds it, where the caller names none. */
export function address(what: string, id: string, field?: string): string {
  if (!/^0x[0-9a-f]{40}$/i.test(id)) throw new BadInputError(`Found "${id.slice(0, 60)}" for ${what}, allowed is 0x and 40 hexadecimal digits; check that it was copied whole`, { ...(field === undefined ? {} : { field }), found: id })
  return id.toLowerCase()
}

/** Address of the subject that an argument names: an address, a symbol, or `protocol`. */
export async function subject(context: Context, id: string): Promise<string> {
  const { catalog } = context.protocol
  if (sameText(id, 'protocol')) return catalog.refs(context.deployment).find((ref) => catalog.find(ref.name).scope === 'PROTOCOL')?.subject.toLowerCase() ?? ''
  const market = await findMarket(context, id)
  const collateral = [...(await context.collaterals()).values()].find((one) => sameText(one.symbol, id))
  return market?.id ?? collateral?.id ?? address('a subject (a symbol, `protocol` or an address)', id, 'subject')
}
