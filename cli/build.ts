/**
 * What must be made once before anything runs: the Prisma client and the console page.
 * Each is made again only when its inputs have changed.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { BulwarkError } from '../core/errors.ts'

const run = promisify(execFile)
const PROJECT = join(import.meta.dirname, '..')

class BuildFailedError extends BulwarkError {
  constructor(facts: { step: string; output: string }) {
    super(`Building the ${facts.step} failed: ${facts.output}; run npm ci and try again`, { code: 'BUILD_FAILED', facts })
  }
}

type BuildStep = {
  readonly name: string
  /** Files and folders whose content decides whether the output is still right. */
  readonly inputs: readonly string[]
  /** A file that exists once it has been made. */
  readonly output: string
  /** One after the other. */
  readonly commands: readonly (readonly string[])[]
}

const STEPS: readonly BuildStep[] = [
  { name: 'database client', inputs: ['prisma/schema', 'prisma/generate.ts', 'package-lock.json'], output: 'prisma/generated/client.ts', commands: [['--import', 'tsx', 'prisma/generate.ts']] },
  {
    name: 'console page',
    inputs: ['console', 'schema.graphql', 'codegen.ts', 'vite.config.ts', 'package-lock.json'],
    output: 'console/dist/index.html',
    commands: [['node_modules/@graphql-codegen/cli/esm/bin.js'], ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn']],
  },
]

function hashInto(hash: ReturnType<typeof createHash>, path: string): void {
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).toSorted()) {
      if (name !== 'dist' && name !== 'generated') hashInto(hash, join(path, name))
    }
  } else {
    hash.update(path).update('\0').update(readFileSync(path)).update('\0')
  }
}

/** Changes when a file in them does, or its name. */
export function digest(paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) hashInto(hash, path)
  return hash.digest('hex')
}

/** Runs the steps whose inputs have changed. Throws BuildFailedError. */
export async function build(onStep: (name: string) => void): Promise<void> {
  for (const step of STEPS) {
    const stamp = join(PROJECT, dirname(step.output), '.inputs')
    const inputs = digest(step.inputs.map((input) => join(PROJECT, input)))
    if (existsSync(join(PROJECT, step.output)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) continue
    onStep(step.name)
    try {
      for (const command of step.commands) await run(process.execPath, command, { cwd: PROJECT, env: { ...process.env, NODE_ENV: 'production' } })
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string }
      throw new BuildFailedError({ step: step.name, output: (stderr ?? message).trim().split('\n').slice(-3).join(' ') })
    }
    mkdirSync(dirname(stamp), { recursive: true })
    writeFileSync(stamp, inputs)
  }
}
