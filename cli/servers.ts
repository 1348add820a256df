/** What is done once before the parts of a production layout start, each part being run by something else. */
import { migrate as applyMigrations } from '../prisma/migrate.ts'
import { examineDatabase, examineGraphDatabase } from './checks/database.ts'
import { assertFit, type Finding } from './checks/finding.ts'
import { parseRunOptions, type RealParts } from './options.ts'
import { examine } from './stack.ts'
import { BadInputError } from '../core/errors.ts'

const say = ({ sentence, level }: Finding): void => void process.stdout.write(`${level === 'warn' ? 'NOTE ' : ''}${sentence}\n`)
const options = (args: readonly string[], stateOnly: boolean) => parseRunOptions(args, { stateDir: '.bulwark', ephemeral: false, stateOnly })

/** `npm run bulwark -- migrate`: brings DATABASE_URL up to date, and makes graph-node's database where GRAPH_DATABASE_URL names one that is missing. */
export async function migrate(args: readonly string[]): Promise<void> {
  const { deployment, real } = await options(args, true)
  const { databaseUrl, graphDatabaseUrl }: RealParts = real
  if (databaseUrl === null) throw new BadInputError('Found no DATABASE_URL, needed is the PostgreSQL database of the console; set it in .env or in the shell')
  assertFit((await examineDatabase(databaseUrl, deployment)).findings, say)
  if (graphDatabaseUrl !== null) assertFit(await examineGraphDatabase(graphDatabaseUrl, { createFrom: databaseUrl }), say)
  const { applied } = await applyMigrations(databaseUrl)
  process.stdout.write(applied.length === 0 ? 'Nothing to apply\n' : `Applied ${applied.join(', ')}\n`)
}

/** `npm run bulwark -- check`: examines the parts that the environment names, starts nothing, and prints graph-node's settings for the RPC. */
export async function check(args: readonly string[]): Promise<void> {
  const { graphNodeEnv, rpcBatch } = await examine(await options(args, false), (_part, sentence) => process.stdout.write(`${sentence}\n`))
  for (const [name, value] of Object.entries({ ...graphNodeEnv, RPC_BATCH: String(rpcBatch) })) process.stdout.write(`${name}=${value}\n`)
}
