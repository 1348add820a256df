import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** Names of fields whose values never reach a log. */
const SECRET_PATHS = ['privateKey', 'password', 'databaseUrl', 'url', 'apiKey', 'authorization', '*.privateKey', '*.password', '*.databaseUrl', '*.apiKey', '*.authorization']

/** Structured logger of one part; JSON lines on stderr, so that stdout stays a command's own output. */
export function createLogger(part: string, level: string = process.env['BULWARK_LOG_LEVEL'] ?? 'info'): Logger {
  return pino({ name: part, level, base: { part }, redact: { paths: SECRET_PATHS, censor: '[secret]' } }, pino.destination({ fd: 2, sync: true }))
}
