/** What a stress run is asked: as the page holds it, as an address carries it, as the API takes it. Texts are kept as they were typed. */
import { geometric, read, stops } from '../ui/Dial.tsx'
import type { Range, Scale } from '../ui/Dial.tsx'
import { words } from '../ui/format.ts'
import { typedNumber } from '../ui/number.ts'
import type { Severity, StartStressMutationVariables } from '../generated/operations.ts'

type StressInput = StartStressMutationVariables['input']

export const SEVERITIES = ['BASE', 'SEVERE', 'DAY'] as const satisfies readonly Severity[]
export const SEVERITY_SAYS: Record<Severity, string> = { BASE: 'worst hour, open to low', SEVERE: 'worst hour, high to low', DAY: 'worst 24 hours, high to low' }

/** A shock of one's own: percent of price, share of the usual volume, seconds, each as typed. A market without a text moves as `others` do. */
export type Shock = { readonly id: string; readonly moves: Readonly<Record<string, string>>; readonly others: string; readonly volume: string; readonly freeze: string; readonly outage: string }

export type Question = {
  readonly severities: readonly Severity[]
  /** Ids of the library; `all` stays all where the library grows. */
  readonly regimes: 'all' | readonly string[]
  readonly shocks: readonly Shock[]
  readonly cascade: boolean
  readonly persistence: string
}

export const ASKED: Question = { severities: ['SEVERE'], regimes: 'all', shocks: [], cascade: true, persistence: '1' }
export const newShock = (taken: readonly Shock[]): Shock => {
  const ids = new Set(taken.map(({ id }) => id))
  let number = 1
  while (ids.has(`shock-${number}`)) number++
  return { id: `shock-${number}`, moves: {}, others: '0', volume: '1', freeze: '0', outage: '0' }
}

/** As many accounts of each scenario as the page lists. */
const WORST = 10

export const MOVE: Omit<Range, 'name'> = { low: -99, high: 1000, unit: '%' }
export const VOLUME: Range = { name: 'Volume left', low: 0.001, high: 10, unit: '× usual' }
export const SECONDS: Omit<Range, 'name'> = { low: 0, high: 604_800, unit: 's' }
export const PERSISTENCE: Range = { name: 'Persistence', low: 0, high: 1, unit: '' }

/** A percent a step up to +50 %, beyond it in equal ratios up to +1,000 %. */
export const MOVE_SCALE: Scale = {
  min: -99,
  max: 100,
  toPosition: (value) => (value <= 50 ? Math.round(value) : 50 + Math.round((50 * Math.log(value / 50)) / Math.log(20))),
  fromPosition: (position) => (position <= 50 ? position : Math.round(50 * 20 ** ((position - 50) / 50))),
}
export const VOLUME_SCALE = geometric(0.001, 10, 80)
export const SECONDS_SCALE = stops([0, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 259_200, 432_000, 604_800])

const ID = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/

/** Regimes that a question names and the library has not: an address may say anything. None while the library is not known (empty). */
export const strangersOf = ({ regimes }: Question, library: readonly string[]): readonly string[] => (regimes === 'all' || library.length === 0 ? [] : [...new Set(regimes)].filter((id) => !library.includes(id)))

/** A question without them. */
export function withoutStrangers(question: Question, library: readonly string[]): Question {
  const { regimes } = question
  return regimes === 'all' || library.length === 0 ? question : { ...question, regimes: library.filter((id) => regimes.includes(id)) }
}

/** What is wrong with a question to this library, a sentence each; empty where it can be asked. */
export function faultsOf(question: Question, library: readonly string[]): readonly string[] {
  const { severities, regimes, shocks, persistence, cascade } = question
  const faults: string[] = []
  const check = (text: string, range: Range) => {
    const { fault } = read(text, range)
    if (fault !== null) faults.push(fault)
  }
  const strangers = strangersOf(question, library)
  if (strangers.length > 0) faults.push(`Regimes: found ${listed(strangers)}, allowed are the ${library.length} of the list; choose there, or leave ${strangers.length === 1 ? 'it' : 'them'} out.`)
  if (regimes !== 'all' && regimes.length === 0 && shocks.length === 0) faults.push('Found no scenario, needed is at least one; choose a regime, or add a shock of your own.')
  if (severities.length === 0 && (regimes === 'all' || regimes.length > 0)) faults.push('Found no severity, needed is at least one for regimes of history; choose one.')
  shocks.forEach((shock, index) => {
    const of = (name: string) => (shocks.length > 1 ? `${shock.id || `Shock ${index + 1}`}, ${name}` : name)
    if (!ID.test(shock.id)) faults.push(`Name of shock ${index + 1}: found “${shock.id.slice(0, 30)}”, allowed are 1 to 64 letters, digits and hyphens; rename it.`)
    else if (shocks.findIndex(({ id }) => id === shock.id) < index) faults.push(`Name of shock ${index + 1}: found “${shock.id}” twice, allowed is each once; rename one.`)
    for (const [symbol, text] of Object.entries(shock.moves)) check(text, { name: of(symbol), ...MOVE })
    check(shock.others, { name: of('All others'), ...MOVE })
    check(shock.volume, { ...VOLUME, name: of(VOLUME.name) })
    check(shock.freeze, { name: of('Oracle freeze'), ...SECONDS })
    check(shock.outage, { name: of('Outage'), ...SECONDS })
    if (changesNothing(shock)) faults.push(`${shock.id || `Shock ${index + 1}`}: found a shock that changes nothing, needed is at least one move, volume, freeze or outage; move one, or remove it.`)
  })
  if (cascade) check(persistence, PERSISTENCE)
  return faults
}

/** Three at most by name, as much of each as tells it. */
const listed = (names: readonly string[]): string => {
  const said = [...names.slice(0, 3).map((name) => `“${name.slice(0, 30)}”`), ...(names.length > 3 ? [`${names.length - 3} more`] : [])]
  return said.length === 1 ? said.join('') : `${said.slice(0, -1).join(', ')} and ${said.at(-1)}`
}

const changesNothing = ({ moves, others, volume, freeze, outage }: Shock): boolean => [...Object.values(moves), others, freeze, outage].every((text) => typedNumber(text) === 0) && typedNumber(volume) === 1

/** NaN, which no request carries, where a text is no number. */
const valueOf = (text: string): number => typedNumber(text) ?? NaN

/** 12.5 percent as the fraction that decimal text would give, not a float's quotient. */
const fraction = (percent: string): number => Number((valueOf(percent) / 100).toPrecision(12))
const percentText = (value: number): string => String(Number((value * 100).toPrecision(12)))

/** What the API is asked, where a question has no faults. The same question is the same input, however it was clicked together. */
export function inputOf(question: Question, library: readonly string[]): StressInput {
  const { severities, regimes, shocks, cascade, persistence } = question
  const chosen = regimes === 'all' ? library : library.filter((id) => regimes.includes(id))
  return {
    severities: chosen.length === 0 ? ['SEVERE'] : SEVERITIES.filter((one) => severities.includes(one)),
    regimes: [...chosen],
    shocks: shocks.map(({ id, moves, others, volume, freeze, outage }) => ({
      id,
      moves: Object.entries(moves).map(([name, text]) => ({ name, value: fraction(text) })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      others: fraction(others),
      volumeFactor: valueOf(volume),
      oracleFreezeSec: valueOf(freeze),
      outageSec: valueOf(outage),
    })),
    worst: WORST,
    cascade,
    persistence: cascade ? valueOf(persistence) : 1,
  }
}

/** What a run was asked, as a question again. Other clients leave fields out: their defaults are those of the API. */
export function questionOf(input: unknown): Question {
  const { severities, regimes, shocks, cascade, persistence } = (input ?? {}) as Partial<StressInput>
  const own = shocks ?? []
  return {
    severities: severities ? SEVERITIES.filter((one) => severities.includes(one)) : ['SEVERE'],
    regimes: regimes ?? (own.length > 0 ? [] : 'all'),
    shocks: own.map((shock) => ({
      id: shock.id,
      moves: Object.fromEntries((shock.moves ?? []).map(({ name, value }) => [name, percentText(value)])),
      others: percentText(shock.others ?? 0),
      volume: String(shock.volumeFactor ?? 1),
      freeze: String(shock.oracleFreezeSec ?? 0),
      outage: String(shock.outageSec ?? 0),
    })),
    cascade: cascade !== false,
    persistence: String(persistence ?? 1),
  }
}

/** Whether two questions ask the same of this library. */
export const sameQuestion = (a: Question, b: Question, library: readonly string[]): boolean => JSON.stringify(inputOf(a, library)) === JSON.stringify(inputOf(b, library))

/** `18 regimes, severe · 1 own shock · cascade, persistence 1`. */
export function describe({ severities, regimes, shocks, cascade, persistence }: Question, library: readonly string[]): string {
  const count = regimes === 'all' ? library.length : regimes.length
  const of = regimes === 'all' || (library.length > 0 && count === library.length) ? `all ${library.length || ''} regimes`.replace('  ', ' ') : `${count} regime${count === 1 ? '' : 's'}`
  return [
    ...(count > 0 || regimes === 'all' ? [`${of}, ${severities.map(words).join(' and ')}`] : []),
    ...(shocks.length > 0 ? [`${shocks.length} own shock${shocks.length === 1 ? '' : 's'}`] : []),
    cascade ? `cascade, persistence ${persistence}` : 'no cascade',
  ].join(' · ')
}

const KEYS = ['severity', 'regimes', 'shock', 'cascade', 'persistence'] as const

/** What a shock has where an address says nothing of it; a market or collateral is named as such, the rest with a dot before it. */
const UNSAID: Readonly<Record<string, string>> = { '.others': '0', '.volume': '1', '.freeze': '0', '.outage': '0' }

/** A text as letters, digits, points and hyphens, all else by its code point between tildes: no space and no asterisk, which part what stands in a shock. */
const escaped = (text: string): string => text.replace(/[^A-Za-z0-9.-]/gu, (one) => `~${(one.codePointAt(0) as number).toString(16)}~`)
const unescaped = (text: string): string => text.replace(/~([0-9a-f]{1,5}|10[0-9a-f]{4})~/g, (_, hex: string) => String.fromCodePoint(parseInt(hex, 16)))
/** A name that begins by a point is none of the shock's own fields. */
const escapedName = (name: string): string => escaped(name).replace(/^\./, '~2e~')

/** Whether an address carries a question, or only where to look. */
export const carriesQuestion = (params: URLSearchParams): boolean => KEYS.some((key) => params.has(key))

/** Writes a question into an address, in place of the one in it; what is as it starts is left out. */
export function write(question: Question, params: URLSearchParams): URLSearchParams {
  const next = new URLSearchParams(params)
  for (const key of KEYS) next.delete(key)
  const { severities, regimes, shocks, cascade, persistence } = question
  next.set('severity', severities.map((one) => one.toLowerCase()).join(' '))
  next.set('regimes', regimes === 'all' ? 'all' : regimes.join(' '))
  for (const { id, moves, others, volume, freeze, outage } of shocks) {
    const own = [['.others', others], ['.volume', volume], ['.freeze', freeze], ['.outage', outage]] as const
    const said = [...Object.entries(moves).map(([name, text]) => [escapedName(name), text] as const), ...own.filter(([name, text]) => UNSAID[name] !== text)]
    next.append('shock', [escaped(id), ...said.map(([name, text]) => `${name}*${escaped(text)}`)].join(' '))
  }
  if (!cascade) next.set('cascade', 'off')
  if (persistence !== ASKED.persistence) next.set('persistence', escaped(persistence))
  return next
}

export function parse(params: URLSearchParams): Question {
  const severity = params.get('severity')?.split(' ')
  const regimes = params.get('regimes')
  return {
    severities: severity ? SEVERITIES.filter((one) => severity.includes(one.toLowerCase())) : ASKED.severities,
    regimes: regimes === null || regimes === 'all' ? 'all' : regimes.split(' ').filter(Boolean),
    shocks: params.getAll('shock').map((text) => {
      const [id = '', ...parts] = text.split(' ')
      const pairs = parts.filter((part) => part.includes('*')).map((part) => [part.slice(0, part.indexOf('*')), unescaped(part.slice(part.indexOf('*') + 1))] as const)
      const own = (name: string) => pairs.find(([key]) => key === name)?.[1] ?? UNSAID[name] ?? ''
      return { id: unescaped(id), moves: Object.fromEntries(pairs.filter(([key]) => !key.startsWith('.')).map(([key, move]) => [unescaped(key), move])), others: own('.others'), volume: own('.volume'), freeze: own('.freeze'), outage: own('.outage') }
    }),
    cascade: params.get('cascade') !== 'off',
    persistence: unescaped(params.get('persistence') ?? ASKED.persistence),
  }
}
