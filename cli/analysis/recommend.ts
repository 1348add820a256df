import { BadInputError, BulwarkError } from '../../core/errors.ts'
import type { RecommendQuery, RecomputeQuery } from '../generated/analysis.ts'
import { plural, sentence, short } from './format.ts'
import { printJson, type Command, type Io } from './io.ts'
import { standsOn } from './standing.ts'
import { paragraph, renderFacts, renderTable } from './table.ts'

export type Recommendation = RecommendQuery['recommendations'][number]

/** Whether it asks for another value. */
export const asksForChange = (one: Recommendation): boolean => one.direction !== 'HOLD' && one.currentRaw !== one.recommendedRaw

export const recommend: Command = {
  name: 'recommend',
  about: 'what each parameter should be and why, most urgent first',
  flags: { settable: { type: 'boolean', about: 'only what a setter of the protocol can change' } },
  examples: ['', '--settable --json'],
  run: async (given, ask, io) => {
    const answer = await ask.one<RecommendQuery>('recommend', 'Recommend', { settableOnly: given.on('settable') })
    if (given.on('json')) return printJson(io, answer)
    io.out(recommendText(answer, io))
  },
}

function recommendText({ status, recommendations }: RecommendQuery, { width, bold }: Pick<Io, 'width' | 'bold'>): string {
  const [first] = recommendations
  if (first === undefined) return `There are no recommendations yet: the first run follows the first indexed block (${status.indexed === null ? 'none yet' : `block ${status.indexed.number}`}).\n`
  const changes = recommendations.filter(asksForChange)
  const held = recommendations.filter((one) => !asksForChange(one))
  const table = changes.length === 0
    ? 'No parameter asks for a change.\n'
    : renderTable(
        [
          { head: 'Urgency (0–100)', right: true, of: (one) => String(one.urgency) },
          { head: 'Parameter', of: (one) => one.title },
          { head: 'Of', of: (one) => one.subjectLabel },
          { head: 'Current → recommended', of: (one) => `${one.currentDisplay} → ${one.recommendedDisplay}` },
          { head: 'Set by', of: (one) => (one.settable ? 'setter' : 'advisory') },
        ],
        changes,
        { width, bold, notes: (one) => [sentence(one.reason), ...(one.advisory === null ? [] : [sentence(one.advisory)])] },
      )
  const rest = held.length === 0
    ? ''
    : `\n${bold(`Held (${held.length})`)}\n${renderTable(
        [
          { head: 'Parameter', of: (one) => one.title },
          { head: 'Of', of: (one) => one.subjectLabel },
          { head: 'Stays at', of: (one) => one.currentDisplay },
        ],
        held,
        { width, bold },
      )}`
  return `${table}${rest}\n${paragraph(`${plural(recommendations.length, 'recommendation')}, computed on ${standsOn(status, first.block)}. Evidence: --json, or the report`, width)}`
}

export const recompute: Command = {
  name: 'recompute',
  about: 'a stored recommendation computed again from its inputs, and those compared with the index',
  operands: 'ID',
  flags: {},
  examples: ['2236-0a1b2c3d:marketMaxPriceSpreadRatio:0x…'],
  run: async (given, ask, io) => {
    const [id, ...more] = given.rest
    if (id === undefined || more.length > 0) throw new BadInputError(`Found ${id === undefined ? 'no id' : `${more.length + 1} ids`}, allowed is one recommendation's; see npm run bulwark -- recommend --json`)
    const answer = await ask.one<RecomputeQuery>('recommend', 'Recompute', { id })
    const found = answer.recomputeRecommendation
    if (found === null) throw new BadInputError(`Found no recommendation ${id.slice(0, 100)}, allowed is one that is stored; see npm run bulwark -- recommend --json`)
    if (given.on('json')) printJson(io, answer)
    else {
      const { recommendation: one, comparison } = found
      io.out(
        renderFacts(
          [
            ['Recommendation', `${one.title} of ${one.subjectLabel}: ${one.currentDisplay} → ${one.recommendedDisplay} (${one.model} ${one.modelVersion}, block ${one.block.number})`],
            ['Computed again', found.identical ? 'the same bytes' : `differs: ${found.differs.join('; ')}`],
            ['Inputs stored', one.inputsDigest],
            ['Inputs now', found.inputsDigest],
            ['Index at block', `${comparison.block.number} (${short(comparison.block.hash)}): ${comparison.state}`],
            ['', sentence([comparison.detail, ...comparison.differs].join('; '))],
            ...(comparison.notCompared.length === 0 ? [] : [['Not compared', comparison.notCompared.join('; ')] as [string, string]]),
          ],
          io.width,
        ),
      )
    }
    if (!found.identical || comparisonFails(found.comparison.state)) throw new BulwarkError(`The recommendation does not come out the same: ${[...found.differs, ...found.comparison.differs].join('; ')}; see what changed before signing for it`, { code: 'NOT_REPRODUCED' })
  },
}

const comparisonFails = (state: string): boolean => state === 'DIFFERENT'
