import { join } from 'node:path'
import { maskUrls } from '../core/log.ts'
import { followSync } from './sync.ts'
import { parseRunOptions, PROJECT } from './options.ts'
import { createProgress } from './progress.ts'
import { startStack } from './stack.ts'

/** `npm start`: runs the console until Ctrl-C. */
export async function start(args: readonly string[]): Promise<void> {
  const options = await parseRunOptions(args, { stateDir: join(PROJECT, '.bulwark'), ephemeral: false })
  const interruption = new AbortController()
  const interrupted = new Promise<void>((resolve) => interruption.signal.addEventListener('abort', () => resolve(), { once: true }))
  process.once('SIGINT', () => interruption.abort())
  process.once('SIGTERM', () => interruption.abort())
  const progress = createProgress()
  const stack = await startStack(options, progress, interruption.signal)
  process.stdout.write(`
Bulwark runs on ${stack.deployment.network}.
  Console      ${stack.apiUrl}/
  GraphQL      ${stack.apiUrl}/graphql
  Subgraph     ${options.real.graphNodeUrl === null ? stack.graphNodeUrl : maskUrls(stack.graphNodeUrl)}
  Chain (RPC)  ${maskUrls(stack.rpcUrl)}
  State        ${stack.stateDir}
Ctrl-C stops everything.
`)
  if (stack.head === null) void followSync(stack.apiUrl, progress, interruption.signal)
  await interrupted
  progress('stop', 'stopping every part')
  await stack.stop()
}
