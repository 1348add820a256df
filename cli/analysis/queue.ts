import type { QueueQuery } from '../generated/analysis.ts'
import { duration, money, number, percent, plural, sentence, signedPercent, words } from './format.ts'
import { numberIn, printJson, type Command, type Io } from './io.ts'
import { footer, known } from './standing.ts'
import { renderFacts, renderTable } from './table.ts'

export const queue: Command = {
  name: 'queue',
  about: 'accounts near liquidation, nearest first, and the backlog against what can be taken',
  flags: {
    first: { type: 'string', value: 'N', about: 'accounts listed, 1 to 200 (default: 50)' },
    capacity: { type: 'string', value: 'USD', about: "notional that liquidators take an hour (default: what the pools' depth allows)" },
  },
  examples: ['', '--capacity 1000000 --first 10'],
  run: async (given, ask, io) => {
    const answer = await ask.one<QueueQuery>('queue', 'Queue', { first: numberIn(given, 'first', 1, 200, 'whole') ?? 50, capacityPerHour: numberIn(given, 'capacity', 0, 1e15) ?? null })
    if (given.on('json')) return printJson(io, answer)
    io.out(queueText(answer, io))
  },
}

/** Backlog in hours, in words: without capacity what is due waits for ever, and what is not due waits for nothing. */
export const backlogText = (one: { readonly backlogHours: number | null; readonly dueNotional: number }): string =>
  one.dueNotional === 0 ? 'none' : one.backlogHours === null ? 'nothing can be taken' : duration(one.backlogHours * 3600)

function queueText({ status, liquidationQueue }: QueueQuery, { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const all = known(liquidationQueue)
  const table = all.entries.length === 0
    ? 'No account stands within 5 % of its requirement.\n'
    : renderTable(
        [
          { head: 'Account', of: (one) => one.account },
          { head: 'Distance', right: true, of: (one) => signedPercent(one.distance, 2) },
          { head: 'Tier', of: (one) => words(one.tier) },
          { head: 'Notional USD', right: true, of: (one) => money(one.gross) },
          { head: 'Due now USD', right: true, of: (one) => money(one.dueNotional) },
          { head: 'Value USD', right: true, of: (one) => money(one.value) },
          { head: 'Requirement USD', right: true, of: (one) => money(one.requirement) },
          { head: 'Largest position', of: (one) => (one.positions[0] === undefined ? 'ranges alone' : `${one.positions[0].market.symbol} ${one.positions[0].notional < 0 ? 'short' : 'long'}`) },
        ],
        all.entries,
        { width, bold, notes: (one) => [...(one.due ? [sentence(one.why)] : []), ...(one.hindered === null ? [] : [`Hindered: ${sentence(one.hindered)}`])] },
      )
  const listed = all.entries.length < all.entryCount ? `${all.entries.length} of ${all.entryCount} accounts within 5 % of gross notional of their requirement are listed` : `${plural(all.entryCount, 'account')} within 5 % of gross notional of ${all.entryCount === 1 ? 'its' : 'their'} requirement`
  const facts = renderFacts(
    [
      ['Queue', listed],
      ['Due now', all.dueAccounts === 0 ? 'nothing' : `${plural(all.dueAccounts, 'account')}, ${money(all.dueNotional)} USD, of which nothing hinders ${money(all.takeableNotional)} USD`],
      ['Capacity', `${money(all.capacityPerHour)} USD an hour`],
      ['Backlog', backlogText(all)],
      ['Liquidated in 15 min', all.velocity === null ? 'unknown: no open interest' : `${percent(all.velocity)} of open interest`],
      ['All accounts', all.tiers.filter((one) => one.accounts > 0).map((one) => `${number(one.accounts)} ${words(one.tier)}${one.deficit === null ? ' (deficit unknown)' : one.deficit > 0 ? ` (deficit ${money(one.deficit)} USD)` : ''}`).join(', ')],
      ...all.unknown.map(({ message }): [string, string] => ['Unknown', message]),
    ],
    width,
  )
  return `${table}\n${facts}\n${footer(status, all.provenance, width)}`
}
