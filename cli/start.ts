import { join } from 'node:path'
import { parseRunOptions, PROJECT } from './options.ts'
import { createProgress } from './progress.ts'
import { startStack } from './stack.ts'

/** `npm start`: runs the console until Ctrl-C. */
export async function start(args: readonly string[]): Promise<void> {
  const options = await parseRunOptions(args, { stateDir: join(PROJECT, '.bulwark'), ephemeral: false })
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  const progress = createProgress()
  const starting = startStack(options, progress)
  const stack = await Promise.race([starting, interrupted.then(() => null)])
  if (stack !== null) {
    process.stdout.write(`
Bulwark runs on ${options.network}.
  Console      ${stack.apiUrl}/
  GraphQL      ${stack.apiUrl}/graphql
  Subgraph     ${stack.graphNodeUrl}
  Chain (RPC)  ${stack.rpcUrl}
  State        ${stack.stateDir}
Ctrl-C stops everything.
`)
    await interrupted
  }
  progress('stop', 'stopping every part')
  await (await starting).stop()
}
