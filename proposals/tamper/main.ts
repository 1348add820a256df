/** `npm run tamper`: the attack corpus. Exit code 0 only when every mutant was caught and no honest proposal was refused. */
import { parseArgs } from 'node:util'
import { protocolByName } from '../../protocols/index.ts'
import { tamper } from './run.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' }, bases: { type: 'string', default: '7' }, honest: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' } } })
const result = await tamper({ bases: Number(values.bases), honest: Number(values.honest), seed: Number(values.seed), protocol: protocolByName('curie') })
const { mutants, caught, byRule, missed, byNeed, honest, situations, seconds } = result
if (values.json === true) process.stdout.write(`${JSON.stringify(result)}\n`)
else {
  const lines = [
    `${caught} of ${mutants} mutants were caught under the rule that was named for them, in ${seconds} s`,
    `  by the trust file alone ${byNeed.TRUST}, with RPCs ${byNeed.CHAIN}, with what was agreed elsewhere ${byNeed.EXPECTATION}`,
    `${honest.falseAlarms.length} of ${honest.checks} checks of ${honest.proposals} honest proposals were false alarms`,
    `${situations.caught} of ${situations.number} situations of a chain that has moved, or an RPC that lies, were caught`,
    '',
    ...Object.entries(byRule).map(([rule, count]) => `  ${rule.padEnd(22)} ${count}`),
    ...missed.map((each) => `MISSED ${each.mutator} (${each.need}, seed ${each.seed}): expected ${each.expected.join(' or ')}, found ${each.found.join(', ') || 'nothing'}`),
    ...situations.missed.map((each) => `MISSED ${each.name}: expected ${each.expected}, found ${each.found.join(', ') || 'nothing'}`),
    ...honest.falseAlarms.map((each) => `FALSE ALARM of seed ${each.seed}: ${each.found.join('; ')}`),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
process.exitCode = missed.length === 0 && situations.missed.length === 0 && honest.falseAlarms.length === 0 && mutants === caught ? 0 : 1
