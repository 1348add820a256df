/** What a command of analysis stands on: where it prints, how wide, and the API that it asks. */
import { readFileSync } from 'node:fs'
import { parseArgs, styleText } from 'node:util'
import { BadInputError } from '../../core/errors.ts'
import { ApiError, queryApi, queryPartly, type Partly } from '../graphql.ts'
import { loadEnvFile, PORTS } from '../options.ts'

export type Io = {
  /** Results alone. */
  readonly out: (text: string) => void
  /** Progress and remarks. */
  readonly err: (text: string) => void
  /** Columns of the terminal; null where the output goes elsewhere. */
  readonly width: number | null
  readonly bold: (text: string) => string
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

/** The process's own. Colours follow the terminal, NO_COLOR and FORCE_COLOR (Node's `styleText`). */
export function processIo(): Io {
  const interruption = new AbortController()
  process.once('SIGINT', () => interruption.abort())
  process.once('SIGTERM', () => interruption.abort())
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    width: process.stdout.isTTY ? process.stdout.columns : null,
    bold: (text) => styleText('bold', text, { stream: process.stdout }),
    signal: interruption.signal,
  }
}

export type Flag = { readonly type: 'string' | 'boolean'; readonly multiple?: boolean; /** Shown in the help, after the flag. */ readonly value?: string; readonly about: string }
export type Flags = Readonly<Record<string, Flag>>
export type Given = { readonly text: (name: string) => string | undefined; readonly texts: (name: string) => readonly string[]; readonly on: (name: string) => boolean; readonly rest: readonly string[] }

export type Command = {
  readonly name: string
  readonly about: string
  /** Positional arguments as the usage line shows them. */
  readonly operands?: string
  readonly flags: Flags
  readonly examples: readonly string[]
  readonly run: (given: Given, ask: Ask, io: Io) => Promise<void>
}

/** What a command line is read and explained by. */
export type Described = Omit<Command, 'run'>

export const URL_FLAG: Flag = { type: 'string', value: 'URL', about: 'the API (default: what npm start serves here)' }
export const HELP_FLAG: Flag = { type: 'boolean', about: 'this text' }
const COMMON: Flags = {
  url: URL_FLAG,
  json: { type: 'boolean', about: "the API's answer as JSON, and nothing else on stdout" },
  help: HELP_FLAG,
}
const EXITS = '0, 1 where the API is out of reach or what was asked failed, 2 where the command line is wrong, 130 after Ctrl-C'

const spelled = ([name, { value }]: readonly [string, Flag]): string => `--${name}${value === undefined ? '' : ` ${value}`}`

export function helpOf({ name, about, operands, flags, examples }: Described, common: Flags = COMMON, exits: string = EXITS): string {
  const all = Object.entries({ ...flags, ...common })
  const width = Math.max(...all.map((flag) => spelled(flag).length))
  return `${about[0]!.toUpperCase()}${about.slice(1)}.

Usage: npm run bulwark -- ${name}${operands === undefined ? '' : ` ${operands}`} [OPTIONS]

${all.map((flag) => `  ${spelled(flag).padEnd(width)}  ${flag[1].about}${flag[1].multiple === true ? '; may be given again' : ''}`).join('\n')}

${examples.map((example) => `  npm run bulwark -- ${name}${example === '' ? '' : ` ${example}`}`).join('\n')}

Exit code: ${exits}.
`
}

/** A command line, read; null where `--help` asks for the text. Throws BadInputError. */
export function givenOf(command: Described, args: readonly string[], common: Flags = COMMON): Given | null {
  const flags: Flags = { ...command.flags, ...common }
  let parsed: { values: Record<string, unknown>; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: command.operands !== undefined, options: Object.fromEntries(Object.entries(flags).map(([name, { type, multiple }]) => [name, { type, ...(multiple === true ? { multiple } : {}) }])) })
  } catch (error) {
    throw new BadInputError(`Found ${lowerFirst((error as Error).message.split('. ')[0]!)}, allowed are ${Object.entries(flags).map(spelled).join(', ')}; see npm run bulwark -- ${command.name} --help`)
  }
  const { values, positionals } = parsed
  if (values['help'] === true) return null
  return {
    text: (name) => values[name] as string | undefined,
    texts: (name) => (values[name] as string[] | undefined) ?? [],
    on: (name) => values[name] === true,
    rest: positionals,
  }
}

/** Runs a command of analysis. Throws BadInputError for what the command line or the API refuses. */
export async function runCommand(command: Command, args: readonly string[], io: Io): Promise<void> {
  const given = givenOf(command, args)
  if (given === null) return io.out(helpOf(command))
  await command.run(given, asker(apiUrl(given.text('url')), command, io.signal), io)
}

const lowerFirst = (text: string): string => `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`

/** Base address of the API: what was given, else the port that `npm start` takes here. Throws BadInputError. */
export function apiUrl(given: string | undefined): string {
  if (given === undefined) {
    loadEnvFile()
    const port = process.env['API_PORT']
    return `http://127.0.0.1:${port === undefined || port === '' ? PORTS.api.fallback : port}`
  }
  if (!URL.canParse(given) || !['http:', 'https:'].includes(new URL(given).protocol)) throw new BadInputError(`Found --url "${given}", allowed is an address that begins with http:// or https://; give the one that npm start names`)
  return given.replace(/\/+$/, '').replace(/\/graphql$/, '')
}

/** Asks for one operation of a document beside this file, with the fragments that it and `fragments.graphql` hold: `ask.one<StressQuery>('stress', 'Stress', { input })`. */
export type Ask = {
  readonly one: <T>(file: string, operation: string, variables?: Readonly<Record<string, unknown>>) => Promise<T>
  /** The same, whatever Ctrl-C says. */
  readonly still: Ask['one']
  /** Fields may be null for a reason whose code is in `unknown`. */
  readonly partly: <T>(file: string, operation: string, variables: Readonly<Record<string, unknown>>, unknown: ReadonlySet<string>) => Promise<Partly<T>>
}

const documents = new Map<string, string>()

function documentOf(file: string): string {
  const known = documents.get(file)
  if (known !== undefined) return known
  const read = (name: string): string => readFileSync(new URL(`./${name}.graphql`, import.meta.url), 'utf8')
  const text = `${read(file)}\n${read('fragments')}`
  documents.set(file, text)
  return text
}

/** An operation with the fragments that it spreads: what else stands in the file is not sent, because unused fragments are refused. */
export function operationIn(document: string, operation: string): string {
  const parts = document.split(/\n(?=query |mutation |fragment )/)
  const named = (kind: string, name: string): string => parts.find((part) => new RegExp(`^(?:${kind}) ${name}\\b`).test(part)) ?? ''
  const taken: string[] = []
  const take = (text: string): void => {
    if (text === '' || taken.includes(text)) return
    taken.push(text)
    for (const [, name] of text.matchAll(/\.\.\.(\w+)/g)) take(named('fragment', name!))
  }
  take(named('query|mutation', operation))
  return taken.join('\n')
}

const REFUSALS = new Set(['BAD_USER_INPUT', 'BAD_INPUT', 'GRAPHQL_VALIDATION_FAILED'])

/** What the API refuses because of what it was given is the command line's own fault; any other error comes back as it is. */
export const asRefusal = (error: unknown): unknown => (error instanceof ApiError && REFUSALS.has(error.code) ? new BadInputError(error.message, error.facts) : error)

/** Paths of the API's arguments, as they are called on the command line. */
const FLAG_OF: readonly (readonly [RegExp, string])[] = [
  [/^input\.(?:stress\.)?regimes\.\d+/, '--regime'],
  [/^input\.(?:stress\.)?shocks\.0\.moves\.(.+)/, '--shock $1'],
  [/^input\.(?:stress\.)?shocks\.0\.volumeFactor/, '--volume'],
  [/^input\.(?:stress\.)?shocks\.0\.others/, '--shock others'],
  [/^input\.(?:stress\.)?shocks(?:\.0)?(?:\.moves)?$/, '--shock'],
  [/^input\.(?:stress\.)?worst$/, '--worst'],
  [/^input\.(?:fund\.)?(\w+)$/, '--$1'],
  [/^capacityPerHour$/, '--capacity'],
]

function asker(url: string, command: Command, signal: AbortSignal): Ask {
  const named = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      if (!(error instanceof ApiError) || !REFUSALS.has(error.code)) throw error
      const field = typeof error.facts['field'] === 'string' ? error.facts['field'] : ''
      const [pattern, flag] = FLAG_OF.find(([path]) => path.test(field)) ?? [/$^/, '']
      const sentence = error.message.startsWith(`${field}: `) ? error.message.slice(field.length + 2) : error.message
      throw new BadInputError(flag === '' ? error.message : `${field.replace(pattern, flag)}: ${sentence} (npm run bulwark -- ${command.name} --help)`, { field })
    }
  }
  return {
    one: (file, operation, variables = {}) => named(queryApi(url, operationIn(documentOf(file), operation), variables, signal)),
    still: (file, operation, variables = {}) => named(queryApi(url, operationIn(documentOf(file), operation), variables)),
    partly: (file, operation, variables, unknown) => named(queryPartly(url, operationIn(documentOf(file), operation), variables, unknown, signal)),
  }
}

/** A number of the command line. Throws BadInputError. */
export function numberIn(given: Given, name: string, low: number, high: number, kind: 'any' | 'whole' = 'any'): number | undefined {
  const text = given.text(name)
  if (text === undefined) return undefined
  return numberOf(`--${name}`, text, low, high, kind)
}

export function numberOf(what: string, text: string, low: number, high: number, kind: 'any' | 'whole' = 'any'): number {
  const value = Number(text)
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) || !(value >= low && value <= high) || (kind === 'whole' && !Number.isInteger(value))) {
    throw new BadInputError(`Found ${what} "${text}", allowed is a ${kind === 'whole' ? 'whole ' : ''}number from ${low} to ${high}; choose one of those`)
  }
  return value
}

export const printJson = (io: Io, answer: unknown): void => io.out(`${JSON.stringify(answer, null, 2)}\n`)
