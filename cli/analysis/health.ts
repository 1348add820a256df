import type { BreakersQuery, OraclesQuery } from '../generated/analysis.ts'
import { duration, figures, money, percent, short, signedPercent, time, words } from './format.ts'
import { printJson, type Command, type Io } from './io.ts'
import { footer, known } from './standing.ts'
import { renderTable } from './table.ts'

export type Breaker = NonNullable<BreakersQuery['circuitBreakers']>['protocol']

/** What raised a breaker, or what nobody knows of it. */
export const triggersText = (one: Breaker): string => {
  const raised = one.triggers.filter(({ level }) => level !== 'NORMAL')
  return raised.length > 0 ? raised.map(({ name, value, level }) => `${words(name)} ${figures(value)} asks for ${level}`).join(', ') : one.level === 'NORMAL' || one.quietSince === null ? 'none' : `none since ${time(one.quietSince)}`
}

/** Triggers that the index cannot tell now: no alarm, and no proof of calm. Those that do not apply to the subject are none of them. */
export const unknownTriggers = (one: Breaker): readonly string[] => one.triggers.filter(({ state }) => state === 'UNKNOWN').map(({ name }) => name)

export const sinceText = (one: Pick<Breaker, 'since'>): string => (one.since === '0' ? 'the start' : time(one.since))

export const breakers: Command = {
  name: 'breakers',
  about: 'circuit breakers of the protocol and of each market',
  flags: {},
  examples: ['', '--json'],
  run: async (given, ask, io) => {
    const answer = await ask.one<BreakersQuery>('health', 'Breakers')
    if (given.on('json')) return printJson(io, answer)
    io.out(breakersText(answer, io))
  },
}

function breakersText({ status, circuitBreakers }: BreakersQuery, { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const all = known(circuitBreakers)
  const table = renderTable(
    [
      { head: 'Subject', of: (one) => one.label },
      { head: 'Level', of: (one) => `${one.level}${one.latched ? ' (latched)' : ''}` },
      { head: 'With the protocol’s', of: (one) => one.effective },
      { head: 'Since', of: sinceText },
      { head: 'Raised by', of: triggersText },
      { head: 'Unknown', of: (one) => unknownTriggers(one).join(', ') || 'nothing' },
    ],
    [all.protocol, ...all.markets],
    { width, bold, notes: (one) => one.asks.map(({ action, why }) => `Asks for ${action}: ${why}`) },
  )
  return `${table}\n${footer(status, all.provenance, width)}`
}

export const oracles: Command = {
  name: 'oracles',
  about: 'how far each price feed can be trusted now',
  flags: {},
  examples: ['', '--json'],
  run: async (given, ask, io) => {
    const answer = await ask.one<OraclesQuery>('health', 'Oracles')
    if (given.on('json')) return printJson(io, answer)
    io.out(oraclesText(answer, io))
  },
}

function oraclesText({ status, oracleHealth }: OraclesQuery, { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const all = known(oracleHealth)
  const table = renderTable(
    [
      { head: 'Prices', of: (one) => one.symbols.join(', ') },
      { head: 'Feed', of: (one) => short(one.feed) },
      { head: 'Status', of: (one) => one.status },
      { head: 'Age', right: true, of: (one) => duration(one.ageSec) },
      { head: 'Heartbeat', right: true, of: (one) => duration(one.heartbeatSec) },
      { head: 'Off the market', right: true, of: (one) => signedPercent(one.deviation, 2) },
      { head: 'Limit', right: true, of: (one) => percent(one.deviationLimit) },
      { head: 'Move its age can hide', right: true, of: (one) => percent(one.stalenessLoss) },
      { head: 'Expected loss USD', right: true, of: (one) => money(one.expectedLoss) },
      { head: 'Source', of: (one) => (one.fallback ? 'fallback' : 'first') },
    ],
    all.feeds,
    { width, bold, notes: (one) => one.flags.map(({ severity, text }) => `${words(severity)}: ${text}`) },
  )
  return `${table}\n${footer(status, all.provenance, width)}`
}
