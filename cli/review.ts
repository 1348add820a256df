/** What signers run on their own machine: a trust file made once, proposals checked against it, reports made from them. */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { BadInputError } from '../core/errors.ts'
import { parseDesired } from '../proposals/desired.ts'
import { reportHtml, reportMarkdown } from '../proposals/report.ts'
import { parseReview } from '../proposals/review.ts'
import { firstTrust, initQuestions, parseTrust, trustedTarget } from '../proposals/trust.ts'
import type { Trust } from '../proposals/trust.ts'
import { verdictText, verifyReview } from '../proposals/verify.ts'
import type { Verdict } from '../proposals/verify.ts'
import { differencesOf, rpcWitness } from '../proposals/witness.ts'
import type { Witness } from '../proposals/witness.ts'
import { protocolByName } from '../protocols/index.ts'

const VERIFY_USAGE = 'npm run bulwark -- verify proposal.json --trust trust.yaml [--rpc-url URL …] [--offline] [--expect desired.yaml] [--digest SHA256] [--hash 0x…] [--confirm NAME …] [--json]'

/** What `verify`, and whatever verifies before it acts, is asked by. */
export const CHECK_OPTIONS = {
  trust: { type: 'string' },
  'rpc-url': { type: 'string', multiple: true },
  offline: { type: 'boolean' },
  expect: { type: 'string' },
  digest: { type: 'string' },
  hash: { type: 'string' },
  confirm: { type: 'string', multiple: true },
  json: { type: 'boolean' },
} as const

/** Seconds of this machine's clock. */
const machineSec = (): bigint => BigInt(Math.floor(Date.now() / 1000))

/** `verify`: exit code 0 READY, 1 NOT READY, 2 where it was asked wrongly. */
export async function verify(args: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(args, CHECK_OPTIONS, VERIFY_USAGE)
  const [path, ...more] = positionals
  if (path === undefined || more.length > 0) throw new BadInputError(`Found ${positionals.length} files, needed is one proposal; ask: ${VERIFY_USAGE}`)
  if (values.trust === undefined) throw new BadInputError(`Found no --trust, needed is your own trust file; make one with "npm run bulwark -- trust init", then ask: ${VERIFY_USAGE}`)
  const trust = parseTrust(await textOf(values.trust, 'the trust file'))
  const verdict = await verdictOn(await textOf(path, 'the proposal'), trust, values)
  process.stdout.write(values.json === true ? `${JSON.stringify(verdict)}\n` : verdictText(verdict))
  process.exitCode = verdict.ready ? 0 : 1
}

export type CheckValues = { readonly [K in keyof typeof CHECK_OPTIONS]?: string | boolean | readonly string[] | undefined }

/** What `verify` would answer. */
export async function verdictOn(text: string, trust: Trust, values: CheckValues): Promise<Verdict> {
  const { target } = trustedTarget(trust)
  const urls = values.offline === true ? [] : [...new Set([...((values['rpc-url'] as readonly string[] | undefined) ?? []), ...trust.rpcUrls])]
  if (values.offline === true && values['rpc-url'] !== undefined) throw new BadInputError('Found --offline and --rpc-url, allowed is one of them; leave one out')
  const desired = typeof values.expect === 'string' ? parseDesired(target, await textOf(values.expect, 'the file of desired values')) : undefined
  return verifyReview(text, trust, {
    witnesses: urls.map((url) => rpcWitness(target, checkedUrl(url))),
    machineSec: machineSec(),
    expected: {
      ...(desired === undefined ? {} : { desired }),
      ...(typeof values.digest === 'string' ? { digest: values.digest } : {}),
      ...(typeof values.hash === 'string' ? { safeTxHash: values.hash } : {}),
    },
    confirmed: (values.confirm as readonly string[] | undefined) ?? [],
  })
}

const TRUST_USAGE = 'npm run bulwark -- trust init --rpc-url URL [--rpc-url URL] [--network devnet] [--protocol curie] [--out trust.yaml]'

/** `trust init`: a first trust file for a human to check, on stdout or into `--out`, which must not exist. */
export async function trust(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args
  if (command !== 'init') throw new BadInputError(`Found "${command ?? ''}" after trust, allowed is init; ask: ${TRUST_USAGE}`)
  const { values, positionals } = parsed(rest, { 'rpc-url': { type: 'string', multiple: true }, network: { type: 'string' }, protocol: { type: 'string' }, out: { type: 'string' } }, TRUST_USAGE)
  const urls = values['rpc-url'] ?? []
  if (urls.length === 0 || positionals.length > 0) throw new BadInputError(`Found ${urls.length === 0 ? 'no --rpc-url' : positionals.join(' ')}, needed is an RPC of the chain; ask: ${TRUST_USAGE}`)
  const protocol = protocolByName(values.protocol ?? 'curie')
  const network = values.network ?? 'devnet'
  const deployment = Object.hasOwn(protocol.deployments, network) ? protocol.deployments[network]! : null
  if (deployment === null) throw new BadInputError(`Found network "${network}", allowed are ${Object.keys(protocol.deployments).join(', ')}; take one of these`)
  const target = { catalog: protocol.catalog, deployment }
  const witnesses = [...new Set(urls)].map((url) => rpcWitness(target, checkedUrl(url)))
  const heads = await Promise.all(witnesses.map((each) => heard(each, each.head())))
  const at = heads.map((each) => each.number).reduce((a, b) => (a < b ? a : b))
  const [facts, ...others] = await Promise.all(witnesses.map((each) => heard(each, each.state(initQuestions(target), at))))
  for (const [i, other] of others.entries()) {
    const parts = differencesOf(facts!, other)
    if (parts.length > 0) throw new BadInputError(`Found ${witnesses[0]!.name} and ${witnesses[i + 1]!.name} to answer otherwise for ${parts.join(', ')}, needed are RPCs that agree; find out which is right`)
  }
  const text = firstTrust(protocol, deployment, facts!, { sources: witnesses.map((each) => each.name), machineSec: machineSec() })
  if (values.out === undefined) process.stdout.write(text)
  else {
    await writeFile(values.out, text, { flag: 'wx' }).catch(() => {
      throw new BadInputError(`Found that ${values.out} cannot be made, allowed is a new file in a folder that exists; a trust file is never overwritten`)
    })
    process.stdout.write(`Wrote ${values.out}: compare every line with what you know from elsewhere before you rely on it\n`)
  }
}

const REPORT_USAGE = 'npm run bulwark -- proposal report proposal.json [--trust trust.yaml] [--rpc-url URL …] --out report.md|report.html'

/** `proposal report`: Markdown or HTML, by the name of `--out`. With `--trust`, the answer of `verify` stands in it. */
export async function report(args: readonly string[]): Promise<void> {
  const { values, positionals } = parsed(args, { ...CHECK_OPTIONS, out: { type: 'string' } }, REPORT_USAGE)
  const [path, ...more] = positionals
  const out = values.out
  if (path === undefined || more.length > 0 || out === undefined || !/\.(?:md|html)$/.test(out)) throw new BadInputError(`Found ${out === undefined ? 'no --out' : `--out ${out}`} for ${positionals.length} files, needed are one proposal and a name that ends in .md or .html; ask: ${REPORT_USAGE}`)
  const text = await textOf(path, 'the proposal')
  const file = parseReview(text)
  const verdict = values.trust === undefined ? null : await verdictOn(text, parseTrust(await textOf(values.trust, 'the trust file')), values)
  await writeFile(out, out.endsWith('.md') ? reportMarkdown(file, verdict) : reportHtml(file, verdict))
  process.stdout.write(`Wrote ${out}${verdict === null ? '; with --trust it would say whether the proposal is READY' : `: ${verdict.headline}`}\n`)
}

function parsed<T extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(args: readonly string[], options: T, usage: string) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new BadInputError(`Found ${(error as Error).message.split('. ')[0]}; ask: ${usage}`)
  }
}

export async function textOf(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    throw new BadInputError(`Found no readable file ${path} for ${what}; check the path`)
  }
}

export function checkedUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : null
  // The value is never in the sentence: it may hold a key.
  if (protocol !== 'http:' && protocol !== 'https:') throw new BadInputError('Found an --rpc-url of another form, allowed is one that begins with http:// or https://; correct it')
  return url
}

async function heard<T>(witness: Witness, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch {
    throw new BadInputError(`Found no answer of ${witness.name} about the Safe, needed is an RPC of the network; check that it runs`)
  }
}
