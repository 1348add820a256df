/** `bulwark proposal …`: from a wish to a parameter that is changed, command by command. */
import { writeFile } from 'node:fs/promises'
import { BadInputError } from '../../core/errors.ts'
import type { Hex } from '../../protocols/adapter.ts'
import { intentsOf, parseDesired } from '../../proposals/desired.ts'
import { confirmationOf, keyOf, labelOf, resolveSubject } from '../../proposals/draft.ts'
import type { Intent, Target } from '../../proposals/draft.ts'
import { parseBatch } from '../../proposals/import.ts'
import { parseReview, serializeReview } from '../../proposals/review.ts'
import { PROPOSAL_STATES } from '../../proposals/state.ts'
import { parseDuration, parseValue } from '../../proposals/values.ts'
import { apiUrl, givenOf, HELP_FLAG, helpOf, printJson, URL_FLAG } from '../analysis/io.ts'
import type { Described, Flags, Given, Io } from '../analysis/io.ts'
import { report, textOf } from '../review.ts'
import type { Desk, Wish } from './desk.ts'
import { KEY_FLAGS, neededKey } from './keys.ts'
import { EXECUTE_FLAGS, EXECUTE_QUEUED_FLAGS, isFile, joined, send, sendQueued, signatureFiles, targetFor } from './send.ts'
import { CANCEL_CHECK_FLAGS, CANCEL_SIGN_FLAGS, cancelCheck, cancelSign, CHECK_FLAGS, oneOf, sign, SIGN_FLAGS } from './sign.ts'
import { listText, proposalText, stepText } from './view.ts'
import type { ProposalView } from './view.ts'

type ProposalCommand = Described & {
  /** Nothing but files: no server is asked. */
  readonly alone?: boolean
  readonly run: (given: Given, desk: () => Promise<Desk>, io: Io) => Promise<void>
}

const JSON_FLAG: Flags = { json: { type: 'boolean', about: 'JSON on stdout, and nothing else' }, help: HELP_FLAG }
const DESK_FLAGS: Flags = {
  url: URL_FLAG,
  direct: { type: 'boolean', about: 'on DATABASE_URL and RPC_URL without the API: for whoever runs the stack' },
  ...JSON_FLAG,
}
const EXITS = '0; 1 where it is not READY, refused by what it stands on, or something is out of reach; 2 where the command line or a file is wrong; 130 after Ctrl-C'

const DRAFT_FLAGS: Flags = {
  title: { type: 'string', value: 'TEXT', about: 'one line for people (default: made of the changes)' },
  recommendation: { type: 'string', multiple: true, value: 'ID', about: 'what a recommendation says' },
  change: { type: 'string', multiple: true, value: 'PARAM[:SUBJECT]=VALUE', about: 'a value with its unit: marketMaxPriceSpreadRatio:vETH="7 %"' },
  confirm: { type: 'string', multiple: true, value: 'NAME', about: 'a change that cannot be undone, by its name: "marketStatus of vETH"' },
  'valid-for': { type: 'string', value: 'TIME', about: "how long signers have: 6 h, 3 d (default: the policy's)" },
  playbook: { type: 'string', value: 'NAME', about: 'the playbook that the changes come from' },
  ...KEY_FLAGS,
}

const one = (name: string, about: string, run: (desk: Desk, id: string) => Promise<ProposalView>, show: (view: ProposalView, io: Io) => string = (view) => stepText(view)): ProposalCommand => ({
  name, about, operands: 'ID', flags: KEY_FLAGS, examples: ['3-1a2b3c4d'],
  run: async (given, desk, io) => {
    const view = await run(await desk(), oneOf(given, "a proposal's id"))
    if (given.on('json')) printJson(io, view)
    else io.out(show(view, io))
  },
})

export const PROPOSAL_COMMANDS: readonly ProposalCommand[] = [
  {
    name: 'draft', about: 'one Safe transaction out of desired values, recommendations or changes', operands: '[desired.yaml]', flags: DRAFT_FLAGS,
    examples: ['desired.yaml --keystore steward.json', '--change marketMaxPriceSpreadRatio:vETH="7 %" --key-env STEWARD_KEY', '--recommendation 2236-0a1b2c3d:marketMaxPriceSpreadRatio:0x… --valid-for "3 d"'],
    run: async (given, desk, io) => drafted(await desk(), await wishOf(await desk(), given), given, io),
  },
  {
    name: 'list', about: 'proposals, newest first', flags: { state: { type: 'string', value: 'STATE', about: `only those: ${PROPOSAL_STATES.join(', ')}` } }, examples: ['', '--state READY --json'],
    run: async (given, desk, io) => {
      const state = given.text('state')?.toUpperCase() ?? null
      if (state !== null && !(PROPOSAL_STATES as readonly string[]).includes(state)) throw new BadInputError(`Found --state ${state.slice(0, 40)}, allowed are ${PROPOSAL_STATES.join(', ')}; take one of these`)
      const found = await (await desk()).list(state)
      if (given.on('json')) printJson(io, found)
      else io.out(listText(found, io))
    },
  },
  { ...one('show', 'one proposal: changes, hashes, signatures, findings, history', (desk, id) => desk.get(id), proposalText), flags: {} },
  one('simulate', 'tries it out on a fork of the chain, with its impact on accounts', (desk, id) => desk.simulate(id)),
  one('request', 'asks the owners for signatures', (desk, id) => desk.request(id)),
  {
    name: 'export', about: 'the file that signers verify, or the batch file of Transaction Builder', operands: 'ID',
    flags: { out: { type: 'string', value: 'FILE', about: 'proposal.json' }, batch: { type: 'string', value: 'FILE', about: 'batch.json for other tools' } },
    examples: ['3-1a2b3c4d --out proposal.json', '3-1a2b3c4d --batch batch.json'],
    run: async (given, desk, io) => {
      const id = oneOf(given, "a proposal's id")
      const [out, batch] = [given.text('out'), given.text('batch')]
      const open = await desk()
      const file = batch !== undefined && out === undefined ? null : await open.reviewFile(id)
      if (out !== undefined) await writeFile(out, serializeReview(file!))
      if (batch !== undefined) await writeFile(batch, `${JSON.stringify(await open.batchFile(id), null, 2)}\n`)
      if (out === undefined && file !== null) io.out(serializeReview(file))
      else if (given.on('json')) printJson(io, { out: out ?? null, batch: batch ?? null, digest: file?.digest ?? null })
      else io.out([...(out === undefined ? [] : [`Wrote ${out}: digest ${file!.digest}`]), ...(batch === undefined ? [] : [`Wrote ${batch}: it holds no nonce, compare the safeTxHash of the app that loads it`])].map((line) => `${line}\n`).join(''))
    },
  },
  {
    name: 'import', about: 'a draft out of a batch file of Transaction Builder', operands: 'batch.json', flags: { ...DRAFT_FLAGS, title: { ...DRAFT_FLAGS['title']!, about: "one line for people (default: the file's name for it)" } }, examples: ['batch.json --key-env STEWARD_KEY'],
    run: async (given, desk, io) => {
      const open = await desk()
      const { title, intents, notes } = parseBatch(open.target, await textOf(oneOf(given, 'a batch.json'), 'the batch'))
      for (const note of notes) io.err(`${note}\n`)
      await drafted(open, { title: given.text('title') ?? (title === '' ? titleOf(open.target, intents) : title), recommendationIds: [], changes: confirmed(open.target, intents, given), validForSec: validFor(given), playbook: given.text('playbook') ?? null }, given, io)
    },
  },
  {
    name: 'sign', about: "an owner's signature, after the owner's own check; needs no server, and no network with --offline", operands: 'proposal.json', flags: SIGN_FLAGS, alone: true,
    examples: ['proposal.json --trust trust.yaml --rpc-url URL --keystore owner.json --out signature.json', 'proposal.json --trust trust.yaml --offline --key-env OWNER_KEY --yes-hash 0x… > signature.json'],
    run: (given, _, io) => sign(given, io),
  },
  {
    name: 'attach', about: 'puts signatures to a proposal, or into its file', operands: 'ID|proposal.json signature.json …', flags: { ...KEY_FLAGS, trust: CHECK_FLAGS['trust']!, out: { type: 'string', value: 'FILE', about: 'where the file with the signatures goes (default: the file itself)' } },
    examples: ['3-1a2b3c4d signature.json --key-env OWNER_KEY', 'proposal.json alice.json bob.json --out signed.json'],
    run: attach,
  },
  one('publish', 'puts its signatures into the Safe Transaction Service', (desk, id) => desk.publish(id)),
  one('pull', 'takes the signatures that the Safe Transaction Service holds', (desk, id) => desk.pull(id)),
  {
    name: 'execute', about: 'sends a signed proposal, from its file or by its id; any account may, and pays the gas', operands: 'ID|proposal.json', flags: EXECUTE_FLAGS,
    examples: ['proposal.json --trust trust.yaml --signature alice.json --signature bob.json --rpc-url URL --key-env SENDER_KEY', '3-1a2b3c4d --rpc-url URL --keystore sender.json', '3-1a2b3c4d --cancellation --rpc-url URL --keystore sender.json'],
    run: async (given, desk, io) => {
      await send(given, desk, io)
      await trackAfter(given, desk)
    },
  },
  {
    name: 'execute-queued', about: 'sends what a timelock holds, once its delay is over', operands: 'ID|proposal.json', flags: EXECUTE_QUEUED_FLAGS, examples: ['proposal.json --trust trust.yaml --rpc-url URL --key-env SENDER_KEY'],
    run: async (given, desk, io) => {
      await sendQueued(given, desk, io)
      await trackAfter(given, desk)
    },
  },
  one('rollback', 'drafts the way back from a proposal that is executed', (desk, id) => desk.rollback(id)),
  one('cancel', 'withdraws it, or begins what the owners sign to keep it from happening', (desk, id) => desk.cancel(id)),
  { name: 'cancel-check', about: 'the three hashes of what keeps a proposal from happening, derived from its file; signs nothing', operands: 'proposal.json', flags: CANCEL_CHECK_FLAGS, alone: true, examples: ['proposal.json --trust trust.yaml'], run: (given, _, io) => cancelCheck(given, io) },
  { name: 'cancel-sign', about: "an owner's signature of what keeps a proposal from happening, derived from its file", operands: 'proposal.json', flags: CANCEL_SIGN_FLAGS, alone: true, examples: ['proposal.json --trust trust.yaml --keystore owner.json --out cancel.json'], run: (given, _, io) => cancelSign(given, io) },
  {
    name: 'track', about: "what chain and index have done since: with --direct alone, since the API's process sees to it by itself", flags: {}, examples: ['--direct'],
    run: async (given, desk, io) => {
      const { track } = await desk()
      if (track === null) throw new BadInputError('Found track without --direct, which the API does by itself every second; see npm run bulwark -- proposal list')
      const moved = await track()
      if (given.on('json')) printJson(io, moved)
      else io.out(moved.length === 0 ? 'Nothing moved.\n' : moved.map((each) => `${each.id}: ${each.from} → ${each.to}. ${each.note}\n`).join(''))
    },
  },
]

const HELP = `Usage: npm run bulwark -- proposal COMMAND [OPTIONS]

${[...PROPOSAL_COMMANDS.map(({ name, about }) => [name, about] as const), ['report', 'a report of its file, Markdown or HTML'] as const].map(([name, about]) => `  ${name.padEnd(15)} ${about}`).join('\n')}

npm run bulwark -- proposal COMMAND --help has the options of each.
`

/** `proposal COMMAND …`. `prepare` makes what only --direct needs. Throws BadInputError for what the command line is wrong in. */
export async function proposal(args: readonly string[], io: Io, prepare: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || name === '--help') return io.out(HELP)
  if (name === 'report') return report(rest)
  const command = PROPOSAL_COMMANDS.find((each) => each.name === name)
  if (command === undefined) throw new BadInputError(`Found "${name.slice(0, 40)}" after proposal, allowed are ${[...PROPOSAL_COMMANDS.map((each) => each.name), 'report'].join(', ')}; take one of these`)
  const common = command.alone === true ? JSON_FLAG : DESK_FLAGS
  const described = { ...command, name: `proposal ${command.name}` }
  const given = givenOf(described, rest, common)
  if (given === null) return io.out(helpOf(described, common, EXITS))
  let open: Promise<Desk> | null = null
  try {
    await command.run(given, () => (open ??= deskOf(given, io, prepare)), io)
  } finally {
    await (open as Promise<Desk> | null)?.then((desk) => desk.close()).catch(() => {})
  }
}

async function deskOf(given: Given, io: Io, prepare: () => Promise<void>): Promise<Desk> {
  if (!given.on('direct')) {
    const { apiDesk } = await import('./api.ts')
    return apiDesk(apiUrl(given.text('url')), (chainId) => neededKey(given, chainId, 'to sign in with'), io.signal)
  }
  if (given.text('url') !== undefined) throw new BadInputError('Found --url and --direct, allowed is one of them; leave one out')
  await prepare()
  const { directDesk } = await import('./direct.ts')
  return directDesk()
}

async function drafted(desk: Desk, wish: Wish, given: Given, io: Io): Promise<void> {
  if (wish.changes.length === 0 && wish.recommendationIds.length === 0) {
    if (given.on('json')) printJson(io, null)
    else io.out('Everything is as desired: there is nothing to propose.\n')
    return
  }
  const view = await desk.draft(wish)
  if (given.on('json')) printJson(io, view)
  else io.out(proposalText(view, io))
}

/** What the command line asks for: the file's values that differ from the present, recommendations, and changes. */
async function wishOf(desk: Desk, given: Given): Promise<Wish> {
  const { target } = desk
  if (given.rest.length > 1) throw new BadInputError(`Found ${given.rest.length} files, allowed is one of desired values; put them into one`)
  const [path] = given.rest
  const desired = path === undefined ? null : parseDesired(target, await textOf(path, 'the desired values'))
  const recommendationIds = given.texts('recommendation')
  const texts = given.texts('change')
  if (desired === null && recommendationIds.length === 0 && texts.length === 0) throw new BadInputError('Found nothing to propose, needed is a file of desired values, --recommendation or --change; see npm run bulwark -- proposal draft --help')
  const current = desired === null ? null : await desk.currentValues()
  const fromFile = desired === null ? [] : intentsOf(desired, (ref) => current!.get(keyOf({ parameter: ref.name, subject: ref.subject })) ?? null)
  const changes = confirmed(target, [...fromFile, ...texts.map((text) => changeOf(target, text))], given)
  return {
    title: given.text('title') ?? desired?.title ?? (changes.length === 0 ? `What ${recommendationIds.length === 1 ? 'a recommendation asks' : `${recommendationIds.length} recommendations ask`} for` : titleOf(target, changes)),
    recommendationIds,
    changes,
    validForSec: validFor(given) ?? desired?.validForSec ?? null,
    playbook: given.text('playbook') ?? null,
  }
}

/** `PARAM[:SUBJECT]=VALUE`. */
function changeOf(target: Target, text: string): Intent {
  const found = /^([A-Za-z][A-Za-z0-9]*)(?::([^=]+))?=(.+)$/.exec(text)
  if (found === null) throw new BadInputError(`Found --change "${text.slice(0, 80)}", allowed is PARAM[:SUBJECT]=VALUE, such as marketMaxPriceSpreadRatio:vETH="7 %"; write it so`)
  const spec = target.catalog.find(found[1]!)
  const subject = resolveSubject(target, spec, found[2] ?? null)
  return { parameter: spec.name, subject, to: parseValue(target, spec, subject, found[3]!) }
}

/** What was typed to confirm goes to the changes that it names; a name that none has is a slip. */
function confirmed(target: Target, intents: readonly Intent[], given: Given): readonly Intent[] {
  const names = given.texts('confirm')
  const nameOf = (intent: Intent): string => {
    const spec = target.catalog.find(intent.parameter)
    return confirmationOf({ parameter: spec.name, subjectLabel: labelOf(target.deployment, spec.scope, resolveSubject(target, spec, intent.subject)) })
  }
  const stray = names.find((name) => !intents.some((intent) => nameOf(intent) === name))
  if (stray !== undefined) throw new BadInputError(`Found --confirm "${stray.slice(0, 80)}" for a change that is not there, allowed are ${intents.map(nameOf).join(', ') || 'none'}; correct it`)
  return intents.map((intent) => (names.includes(nameOf(intent)) ? { ...intent, confirm: nameOf(intent) } : intent))
}

function titleOf(target: Target, intents: readonly Intent[]): string {
  const names = intents.map((intent) => {
    const spec = target.catalog.find(intent.parameter)
    return `${spec.title} of ${labelOf(target.deployment, spec.scope, resolveSubject(target, spec, intent.subject))}`
  })
  return names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', ')
}

function validFor(given: Given): number | null {
  const text = given.text('valid-for')
  if (text === undefined) return null
  const seconds = parseDuration(text)
  if (seconds === null) throw new BadInputError(`Found --valid-for "${text.slice(0, 40)}", allowed is a time such as "6 h" or "3 d"; write it so`)
  return Number(seconds)
}

async function attach(given: Given, desk: () => Promise<Desk>, io: Io): Promise<void> {
  const [operand, ...paths] = given.rest
  if (operand === undefined || paths.length === 0) throw new BadInputError("Found too little, needed are a proposal's id or file and one signature file or more; see npm run bulwark -- proposal attach --help")
  const signatures = await signatureFiles(paths)
  if (!isFile(operand)) {
    const open = await desk()
    let view: ProposalView | null = null
    for (const each of signatures) view = await open.attach(operand, each.signer as Hex, each.signature, each.kind)
    if (given.on('json')) printJson(io, view)
    else io.out(stepText(view!))
    return
  }
  const file = parseReview(await textOf(operand, 'the proposal'))
  const target = await targetFor(file, given)
  const all = await joined(target, 'CHANGE', file.batch.hashes.safeTxHash, file.signatures, signatures)
  const out = given.text('out') ?? operand
  await writeFile(out, serializeReview({ ...file, signatures: all.map((each) => ({ ...each })).toSorted((a, b) => (a.signer < b.signer ? -1 : 1)) }))
  if (given.on('json')) printJson(io, { out, signatures: all.length })
  else io.out(`Wrote ${out} with ${all.length} of ${target.deployment.safe?.threshold ?? 'unknown'} signatures\n`)
}

/** Where nobody else tracks, what was just sent is looked for at once. */
async function trackAfter(given: Given, desk: () => Promise<Desk>): Promise<void> {
  const operand = given.rest[0]
  if (given.on('direct') && operand !== undefined && !isFile(operand)) await (await desk()).track?.()
}
