/**
 * The environment, parsed once per process. Every fault is shown together; values never are, since a URL may carry a
 * password or a key.
 */
import { z } from 'zod'
import { BulwarkError } from './errors.ts'

const url = (protocols: readonly string[]) =>
  z.string().refine(
    (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol),
    { message: `has another form, allowed is a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}` },
  )

const port = z
  .string()
  .regex(/^\d{1,5}$/, 'is not a port, allowed are the integers 1 to 65535')
  .transform(Number)
  .refine((value) => value >= 1 && value <= 65_535, { message: 'is not a port, allowed are the integers 1 to 65535' })

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `is not a whole number, allowed are ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, { message: `is out of range, allowed are ${min} to ${max}` })

/** Every key, its rule and what it is for. A process asks for the keys that it reads, and `npm start` gives them to its parts. */
export const CONFIG_SCHEMA = {
  DATABASE_URL: url(['postgresql:', 'postgres:']).describe('PostgreSQL database of the console'),
  GRAPH_NODE_URL: url(['http:', 'https:']).describe("graph-node's GraphQL endpoint of the subgraph"),
  GRAPH_NODE_API_KEY: z.string().regex(/^[\x21-\x7e]+$/, 'has a character that no header may hold, allowed are printable ones without spaces').nullable().default(null).describe('key of a hosted graph-node or of The Graph Network, sent as "Authorization: Bearer"'),
  GRAPH_NODE_STATUS_URL: url(['http:', 'https:']).nullable().default(null).describe("graph-node's status endpoint, which says why a deployment failed"),
  RPC_URL: url(['http:', 'https:']).describe('JSON-RPC endpoint of the chain that graph-node indexes'),
  RPC_BATCH: wholeNumber(1, 1000).default('100').describe('most calls that the RPC takes in one request'),
  NETWORK: z.enum(['devnet', 'optimism'], { errorMap: () => ({ message: 'is not a network, allowed are devnet and optimism' }) }).default('devnet').describe('network that the protocol is deployed on'),
  API_HOST: z.string().min(1).default('127.0.0.1').describe('address that the API listens on'),
  API_PORT: port.default('4000').describe('port that the API listens on'),
  API_NAMES: z
    .string()
    .default('')
    .transform((text) => text.split(',').map((name) => name.trim()).filter((name) => name !== ''))
    .refine((names) => names.every((name) => /^[a-z0-9.-]+$/i.test(name)), { message: 'has a name with other characters, allowed are host names with commas between them' })
    .describe('host names that the API is reached by, beside localhost and IP addresses'),
  API_PROXIES: wholeNumber(0, 9).default('0').describe('reverse proxies in front of the API, whose X-Forwarded-For and X-Forwarded-Proto count'),
  CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').map((one) => one.trim()).filter((one) => one !== ''))
    .refine((all) => all.every((one) => URL.canParse(one) && ['http:', 'https:'].includes(new URL(one).protocol) && new URL(one).origin === one.toLowerCase().replace(/\/$/, '')), { message: 'has another form, allowed are origins such as https://risk.example, with commas between them' })
    .describe('pages elsewhere that may ask the API, by their origin'),
  SESSION_SECRET: z.string().min(32, 'is too short, allowed are 32 characters or more').nullable().default(null).describe('what sessions are signed with, the same for every API of one database'),
  WEBHOOK_URLS: z
    .string()
    .default('')
    .transform((text) => text.split(',').map((one) => one.trim()).filter((one) => one !== ''))
    .refine((all) => all.every((one) => URL.canParse(one) && ['http:', 'https:'].includes(new URL(one).protocol)), { message: 'has another form, allowed are URLs that begin with https:// or http://, with commas between them' })
    .describe('receivers of alerts'),
  WEBHOOK_SECRET: z.string().min(16, 'is too short, allowed are 16 characters or more').nullable().default(null).describe('what alerts are signed with (HMAC-SHA256); the receivers know it too'),
  POLICY_FILE: z.string().min(1).nullable().default(null).describe("the DAO's policy (YAML); policies/<network>.yaml of this project where it is not set"),
  SAFE_SERVICE_URL: url(['http:', 'https:']).nullable().default(null).describe('Safe Transaction Service, up to and with /api'),
  SAFE_SERVICE_KEY: z.string().min(1).nullable().default(null).describe('key of the Safe Transaction Service'),
  MIRROR_POLL_MS: wholeNumber(50, 60_000).default('200').describe('pause of the mirror between two looks at graph-node and the chain, ms'),
  STATE_DIR: z.string().min(1).default('.bulwark').describe('folder of everything that a run keeps'),
} as const

type Schema = typeof CONFIG_SCHEMA
export type ConfigKey = keyof Schema
export type Config = { readonly [K in ConfigKey]: z.output<Schema[K]> }

/** The environment is incomplete or wrong. `faults` holds one sentence per key. */
export class ConfigError extends BulwarkError {
  constructor(faults: readonly string[]) {
    super(`The environment has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}: ${faults.join('; ')}; correct it in .env or in the shell`, { code: 'CONFIG', facts: { faults } })
  }
}

/**
 * The named keys of the environment, parsed. An empty value counts as none. Throws ConfigError with all faults.
 * @example loadConfig(['DATABASE_URL', 'RPC_URL']).RPC_URL // 'http://127.0.0.1:8545'
 */
export function loadConfig<K extends ConfigKey>(keys: readonly K[], env: Readonly<Record<string, string | undefined>> = process.env): Pick<Config, K> {
  const faults: string[] = []
  const config: Partial<Record<ConfigKey, unknown>> = {}
  for (const key of keys) {
    const value = env[key] === '' ? undefined : env[key]
    const parsed = CONFIG_SCHEMA[key].safeParse(value)
    if (parsed.success) config[key] = parsed.data
    else faults.push(value === undefined ? `${key} is not set, needed is the ${CONFIG_SCHEMA[key].description}` : `${key} ${parsed.error.issues[0]?.message ?? 'is not valid'}`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return config as Pick<Config, K>
}
