/** In what two stress questions differ, in words and units: figures of unlike questions are not each other's change. */
import { duration, words } from '../ui/format.ts'
import { typedNumber } from '../ui/number.ts'
import type { Severity } from '../generated/operations.ts'
import { SEVERITY_SAYS } from './question.ts'
import type { Question, Shock } from './question.ts'

/** A question with its regimes by name: what `all` stood for when it was answered. */
export type Asked = Question & { readonly regimes: readonly string[] }

export type Difference = { readonly what: string; readonly a: string; readonly b: string }

const NOT_ASKED = 'not asked'

const move = (text: string): string => `${(typedNumber(text) ?? 0) > 0 ? '+' : ''}${text.replace('-', '−')} %`
const seconds = (text: string): string => duration(typedNumber(text) ?? NaN)
const severities = (of: readonly Severity[]): string => of.map((one) => `${words(one)} (${SEVERITY_SAYS[one]})`).join('; ')
const cascade = ({ cascade: on, persistence }: Question): string => (on ? `on, persistence ${persistence}` : 'off')

/** How many, and which the other has not. */
function regimes(own: readonly string[], other: readonly string[]): string {
  const alone = own.filter((id) => !other.includes(id))
  return own.length === 0 ? 'none' : alone.length === 0 ? String(own.length) : `${own.length}, only here: ${alone.join(', ')}`
}

/** Of a shock, each of its fields; `symbols` are those that either of two shocks names. */
const fieldsOf = ({ moves, others, volume, freeze, outage }: Shock, symbols: readonly string[]): readonly (readonly [what: string, said: string])[] => [
  ...symbols.map((symbol) => [symbol, move(moves[symbol] ?? others)] as const),
  ['all others', move(others)],
  ['volume left', `${volume} × usual`],
  ['oracle freeze', seconds(freeze)],
  ['outage', seconds(outage)],
]

const whole = (shock: Shock): string => fieldsOf(shock, Object.keys(shock.moves)).map(([what, said]) => `${what} ${said}`).join(', ')

function ofShock(id: string, a: Shock | undefined, b: Shock | undefined): Difference[] {
  if (!a || !b) return [{ what: `Shock ${id}`, a: a ? whole(a) : NOT_ASKED, b: b ? whole(b) : NOT_ASKED }]
  const symbols = [...new Set([...Object.keys(a.moves), ...Object.keys(b.moves)])].toSorted()
  const others = fieldsOf(b, symbols)
  return fieldsOf(a, symbols).map(([what, said], index) => ({ what: `Shock ${id}, ${what}`, a: said, b: others[index]?.[1] ?? '' }))
}

/** All in which two questions differ that moves a figure; empty where they ask the same. How many accounts a run lists moves none. */
export function differencesOf(a: Asked, b: Asked): readonly Difference[] {
  const shocks = [...new Set([...a.shocks, ...b.shocks].map(({ id }) => id))]
  return [
    { what: 'Regimes', a: regimes(a.regimes, b.regimes), b: regimes(b.regimes, a.regimes) },
    // Without regimes there is nothing that a severity would be of.
    ...(a.regimes.length > 0 && b.regimes.length > 0 ? [{ what: 'Severities', a: severities(a.severities), b: severities(b.severities) }] : []),
    ...shocks.flatMap((id) => ofShock(id, a.shocks.find((one) => one.id === id), b.shocks.find((one) => one.id === id))),
    a.cascade && b.cascade ? { what: 'Persistence of impact', a: a.persistence, b: b.persistence } : { what: 'Cascade', a: cascade(a), b: cascade(b) },
  ].filter((one) => one.a !== one.b)
}
