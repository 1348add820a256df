/** The `bulwark` command. */
import { BadInputError, BulwarkError } from '../core/errors.ts'
import { visible } from './analysis/format.ts'
import { ANALYSIS } from './analysis/index.ts'
import { processIo, runCommand } from './analysis/io.ts'
import { build } from './build.ts'

const COMMANDS: Readonly<Record<string, { readonly about: string; readonly run: (args: readonly string[]) => Promise<void> }>> = {
  start: { about: 'run the console until Ctrl-C', run: async (args) => (await built(() => import('./start.ts'))).start(args) },
  demo: { about: 'from nothing to a parameter changed on chain, then stop', run: async (args) => (await built(() => import('./demo.ts'))).demo(args) },
  check: { about: 'examine the RPC, graph-node and database that are named, and start nothing', run: async (args) => (await import('./servers.ts')).check(args) },
  migrate: { about: 'bring DATABASE_URL up to date', run: async (args) => (await import('./servers.ts')).migrate(args) },
  'deploy-subgraph': { about: 'put the subgraph into a graph-node that runs elsewhere', run: async (args) => (await import('./deploy.ts')).deploySubgraph(args) },
  'deploy-guard': { about: 'put the precondition contract of proposals onto a network', run: async (args) => (await import('./guard.ts')).deployGuard(args) },
  trust: { about: 'trust init: write a first trust file for a signer to check', run: async (args) => (await import('./review.ts')).trust(args) },
  verify: { about: 'check a proposal.json as a signer: answers READY or what is wrong', run: async (args) => (await import('./review.ts')).verify(args) },
  proposal: { about: 'draft, simulate, sign, execute, follow: npm run bulwark -- proposal help', run: async (args) => (await import('./proposals/index.ts')).proposal(args, processIo(), () => built(() => Promise.resolve())) },
  reset: { about: 'empty the state folder', run: async (args) => (await import('./reset.ts')).reset(args) },
  ...Object.fromEntries(ANALYSIS.map((command) => [command.name, { about: command.about, run: (args: readonly string[]) => runCommand(command, args, processIo()) }])),
}

/** Commands that start processes: those import the generated database client, which a fresh checkout does not have yet. */
async function built<T>(load: () => Promise<T>): Promise<T> {
  await build((name) => process.stderr.write(`making the ${name}\n`))
  return load()
}

const USAGE = `Usage: npm run bulwark -- COMMAND [OPTIONS]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(16)} ${about}`)
  .join('\n')}
`

async function main(): Promise<void> {
  const [name, ...args] = process.argv.slice(2)
  if (name === undefined || name === 'help' || name === '--help') {
    process.stdout.write(USAGE)
    return
  }
  const command = COMMANDS[name]
  if (command === undefined) throw new BadInputError(`Found command "${name}", allowed are ${Object.keys(COMMANDS).join(', ')}; take one of these`)
  await command.run(args)
}

main().then(
  () => process.exit(process.exitCode ?? 0),
  (error: unknown) => {
    if (error instanceof BulwarkError) process.stderr.write(`${visible(error.message)}\n`)
    else process.stderr.write(`Found an error that nobody foresaw: ${visible(String(error))}\n${process.env['BULWARK_LOG_LEVEL'] === 'debug' && error instanceof Error ? `${error.stack ?? ''}\n` : 'Run again with BULWARK_LOG_LEVEL=debug for where it arose.\n'}`)
    process.exit(error instanceof BadInputError ? 2 : error instanceof BulwarkError && error.code === 'INTERRUPTED' ? 130 : 1)
  },
)
