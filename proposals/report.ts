/**
 * A report of one proposal from its file: Markdown, and HTML that opens without a network and runs nothing.
 *
 * Words, calls and hashes are derived from the intent by the installed package; what the file only claims (simulation,
 * impact, evidence) stands under that name. Every text is escaped: the file may come from anybody. Pure.
 */
import { z } from 'zod'
import { grouped } from '../api/recommendations/format.ts'
import { formatUnits } from '../core/units.ts'
import { build } from './build.ts'
import type { Json } from '../api/recommendations/canonical.ts'
import { protocolByName } from '../protocols/index.ts'
import type { Change, Target } from './draft.ts'
import { labelOf } from './draft.ts'
import type { ReviewFile } from './review.ts'
import type { Verdict } from './verify.ts'
import { changeWords, coverageWords, pathWords, timeWords } from './words.ts'

type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
type Section = { readonly title: string; readonly blocks: readonly Block[] }

const text = (value: string): Block => ({ kind: 'text', text: value })
const list = (items: readonly string[]): Block => ({ kind: 'list', items })
const table = (head: readonly string[], rows: readonly (readonly string[])[]): Block => ({ kind: 'table', head, rows })

/** More lines of a claim than a person reads. */
const CLAIM_LINES_MAX = 400

function sectionsOf(file: ReviewFile, verdict: Verdict | null): readonly Section[] {
  const target = targetOf(file)
  const derived = derive(file, target)
  const answer: Block[] =
    verdict === null
      ? [text('NOT CHECKED: this report was made without a trust file. Only your own check says whether you can sign.')]
      : [text(verdict.headline), list(verdict.findings.map((each) => `[${each.rule}] ${each.text}; ${each.action}`))]
  const rollback = file.rollback === null ? text('None: the chain cannot take these changes back, or the file leaves the way back out.') : list(file.rollback.intent.changes.map((change) => sentenceOf(target, change)))
  return [
    { title: 'Answer', blocks: answer },
    {
      title: 'What it does',
      blocks: [
        text("In the words of the installed package's catalog, from the intent alone."),
        list(file.intent.changes.map((change) => sentenceOf(target, change))),
        table(['Parameter', 'Of', 'Before', 'After', 'Step'], derived.words.map((each) => [each.title, each.subject, each.from, each.to, each.step])),
        ...derived.words.flatMap((each) => (each.note === null ? [] : [text(`${each.title}: ${each.note}`)])),
        ...(derived.path === null ? [] : [text(derived.path)]),
      ],
    },
    { title: 'Compare with your signing device', blocks: [table(['Hash', 'Derived here'], derived.hashes)] },
    { title: 'Calls', blocks: verdict === null ? [text('Decoded only when it is checked against a trust file.')] : [table(['To', 'Contract', 'Does'], verdict.calls.map((each) => [each.to, each.toName, `${'· '.repeat(each.depth)}${each.does}`]))] },
    { title: 'The way back', blocks: [rollback] },
    { title: 'Impact, as the file claims', blocks: impactBlocks(file, target) },
    { title: 'Simulation, as the file claims', blocks: claim(file.simulation) },
    {
      title: 'What it stands on',
      blocks: [
        list([
          `Chain ${file.chainId}, network ${file.network}, protocol ${file.protocol}`,
          `Safe ${file.safe}, nonce ${file.intent.nonce}`,
          `Block ${file.block.number} (${file.block.hash}), ${timeWords(BigInt(file.block.timestampSec))}`,
          ...file.evidence.map((each) => `Evidence of recommendation ${each.recommendation}: ${each.digest}`),
          `Digest of the file: ${file.digest}`,
        ]),
      ],
    },
    { title: 'Signatures in the file', blocks: [verdict === null ? list(file.signatures.map((each) => `${each.signer} (not checked)`)) : list(verdict.signatures.map((each) => `${each.signer}: ${each.valid ? 'valid' : 'NOT VALID'}`))] },
    ...(verdict === null ? [] : [{ title: 'Not checked', blocks: [list([...verdict.notes, ...verdict.unchecked])] }]),
    { title: 'Check it yourself', blocks: [{ kind: 'code', text: 'npm run bulwark -- verify proposal.json --trust trust.yaml --rpc-url URL --rpc-url ANOTHER_URL' }] },
  ]
}

function targetOf(file: ReviewFile): Target | null {
  try {
    const { catalog, deployments } = protocolByName(file.protocol)
    const deployment = Object.hasOwn(deployments, file.network) ? deployments[file.network]! : null
    return deployment === null ? null : { catalog, deployment: { ...deployment, governance: file.governance, ...(deployment.safe === null ? {} : { safe: { ...deployment.safe, address: file.safe } }) } }
  } catch {
    return null
  }
}

/** What can be derived of the file; what cannot be is left out, and `verify` says why. */
function derive(file: ReviewFile, target: Target | null) {
  const words = target === null ? [] : file.intent.changes.flatMap((change) => attempt(() => [changeWords(target, { ...change, from: BigInt(change.from), to: BigInt(change.to) })]) ?? [])
  const hashes = attempt(() => {
    const changes = file.intent.changes.map((change): Change => ({ ...change, subjectLabel: labelOf(target!.deployment, change.scope, change.subject), from: BigInt(change.from), to: BigInt(change.to) }))
    return build(target!, { changes: changes as unknown as readonly [Change, ...Change[]], validUntilSec: BigInt(file.intent.validUntilSec), nonce: BigInt(file.intent.nonce) }).hashes
  })
  return {
    words,
    path: attempt(() => pathWords(file.governance, BigInt(file.intent.validUntilSec))),
    hashes: hashes === null ? [['none', 'The intent cannot be derived from']] : [['Domain hash', hashes.domainHash], ['Message hash', hashes.messageHash], ['safeTxHash', hashes.safeTxHash]],
  }
}

const attempt = <T>(make: () => T): T | null => {
  try {
    return make()
  } catch {
    return null
  }
}

function sentenceOf(target: Target | null, change: ReviewFile['intent']['changes'][number]): string {
  const told = target === null ? null : attempt(() => changeWords(target, { ...change, from: BigInt(change.from), to: BigInt(change.to) }))
  return told?.sentence ?? `The installed package has no words for ${change.parameter} of ${change.subject} (raw ${change.from} → ${change.to})`
}

function claim(found: ReviewFile['simulation']): readonly Block[] {
  if (found === null) return [text('The file has none.')]
  const lines = flatten(found.result, '')
  return [
    text(`Computed by whoever made the file, digest ${found.digest}. A check without a chain cannot repeat it.`),
    table(['What', 'Value'], lines.slice(0, CLAIM_LINES_MAX)),
    ...(lines.length > CLAIM_LINES_MAX ? [text(`${lines.length - CLAIM_LINES_MAX} more lines are in the file.`)] : []),
  ]
}

const text18 = z.string().regex(/^-?[0-9]{1,90}$/)
const margin = z.object({ valueE18: text18, requirementE18: text18, marginRatioE6: text18.nullable() })
/** What of an impact is told in words; the whole of it stands in the file. */
const impactTold = z.object({
  accounts: z.object({ indexed: z.number(), readFromContracts: z.number(), cut: z.boolean(), valued: z.number(), unvalued: z.array(z.object({ reason: z.string(), count: z.number(), accounts: z.array(z.string()) })) }),
  newlyLiquidatable: z.array(z.object({ account: z.string(), source: z.string(), falls: z.array(z.string()), before: margin, after: margin, grossE18: text18, badDebtE18: text18, expectedBadDebtE18: text18.nullable() })),
  noLongerLiquidatable: z.array(z.string()),
  totals: z.object({ grossE18: text18, badDebtE18: text18, expectedBadDebtE18: text18.nullable(), fundE18: text18.nullable(), coverE6: text18.nullable(), uncoveredE18: text18.nullable() }),
  nearMiss: z.array(z.object({ moveE6: text18, without: z.number(), with: z.number(), added: z.array(z.unknown()) })),
  engine: z.object({ gap: z.string().nullable(), comparedBefore: z.number(), comparedAfter: z.number(), differences: z.array(z.unknown()) }),
  invariants: z.object({ checked: z.number(), newlyBroken: z.number(), steps: z.array(z.object({ step: z.number(), after: z.string(), broken: z.array(z.object({ text: z.string() })) })) }),
  fund: z.object({ targetBefore: text18.nullable(), targetAfter: text18.nullable(), gap: z.string().nullable() }),
  breakers: z.object({ loosening: z.array(z.string()), replays: z.array(z.unknown()) }),
  notes: z.array(z.string()),
})

/** The impact in sentences and tables; as plain lines where it has another form. */
function impactBlocks(file: ReviewFile, target: Target | null): readonly Block[] {
  const told = file.impact === null ? null : impactTold.safeParse(file.impact.result)
  if (file.impact === null || told === null || !told.success) return claim(file.impact)
  const impact = told.data
  const symbol = target?.deployment.settlementToken.symbol ?? ''
  const money = (e18: string | null): string => (e18 === null ? 'unknown' : `${grouped(formatUnits(BigInt(e18), 18).replace(/(\.\d{2})\d+$/, '$1'))} ${symbol}`)
  const share = (e6: string | null): string => (e6 === null ? 'none' : `${grouped(formatUnits(BigInt(e6), 4))} %`)
  const { totals, accounts, engine, invariants, fund, breakers } = impact
  const due = impact.newlyLiquidatable
  const coverage = coverageWords(accounts)
  return [
    text(`Computed by whoever made the file, digest ${file.impact.digest}. A check without a chain cannot repeat it.`),
    text(
      due.length === 0
        ? `No account becomes liquidatable, ${coverage}.`
        : `${due.length === 1 ? 'One account becomes' : `${due.length} accounts become`} liquidatable, ${coverage}: ${money(totals.grossE18)} of positions, bad debt ${money(totals.badDebtE18)}, expected ${money(totals.expectedBadDebtE18)}; the insurance fund holds ${money(totals.fundE18)}, which covers ${share(totals.coverE6)} of it (not covered: ${money(totals.uncoveredE18)}).`,
    ),
    ...(due.length === 0 ? [] : [table(['Account', 'What falls due', 'Margin before', 'Margin after', 'Requirement after', 'Positions', 'Bad debt', 'By'], due.slice(0, CLAIM_LINES_MAX).map((each) => [each.account, each.falls.join(', '), share(each.before.marginRatioE6), share(each.after.marginRatioE6), money(each.after.requirementE18), money(each.grossE18), money(each.badDebtE18), each.source]))]),
    ...(impact.noLongerLiquidatable.length === 0 ? [] : [text(`No longer liquidatable: ${impact.noLongerLiquidatable.length} accounts, ${coverage}.`)]),
    text(`If prices move before it is executed, so many accounts are due at that price, ${coverage}:`),
    table(['Price', 'Without the change', 'With it', 'Added by it'], impact.nearMiss.map((each) => [`${each.moveE6.startsWith('-') ? '' : '+'}${share(each.moveE6)}`, String(each.without), String(each.with), String(each.added.length)])),
    list([
      `Couplings of parameters: ${invariants.checked} checked after every call, ${invariants.newlyBroken} newly broken`,
      ...invariants.steps.flatMap((step) => step.broken.map((each) => `After ${step.after}: ${each.text}`)),
      fund.gap === null ? `Insurance fund's target: ${money(fund.targetBefore)} before, ${money(fund.targetAfter)} after` : `Insurance fund's target: ${fund.gap}`,
      engine.gap === null ? `Contracts and risk engine: ${engine.comparedBefore + engine.comparedAfter} figures compared, ${engine.differences.length} differ` : `Contracts and risk engine: not compared, ${engine.gap}`,
      ...breakers.loosening.map((each) => `Loosens while a breaker is up: ${each}`),
      `Read from the contracts: ${accounts.readFromContracts} of ${accounts.indexed} accounts${accounts.cut ? ', those nearest to liquidation' : ''}`,
      ...accounts.unvalued.map((each) => `Unknown, ${each.count === 1 ? 'one account' : `${each.count} accounts`} (${each.accounts.join(', ')}${each.count > each.accounts.length ? ', …' : ''}): ${each.reason}`),
      ...impact.notes,
    ]),
    ...(breakers.replays.length === 0 ? [] : [text('Replay of the last days under the new breaker:'), table(['What', 'Value'], flatten(breakers.replays as Json, 'replay').slice(0, CLAIM_LINES_MAX))]),
  ]
}

function flatten(value: Json, path: string): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[path, value === null ? 'none' : String(value)]]
  const entries = Array.isArray(value) ? value.map((each: Json, i) => [String(i + 1), each] as const) : Object.entries(value as Record<string, Json>)
  return entries.flatMap(([key, each]) => flatten(each, path === '' ? key : `${path} / ${key}`))
}

/** The report as Markdown. `verdict`: of the same file; null where none was asked for. */
export function reportMarkdown(file: ReviewFile, verdict: Verdict | null): string {
  const blocks = (block: Block): string => {
    switch (block.kind) {
      case 'text':
        return md(block.text)
      case 'list':
        return block.items.length === 0 ? 'None.' : block.items.map((item) => `- ${md(item)}`).join('\n')
      case 'code':
        return `\`\`\`\n${block.text}\n\`\`\``
      case 'table':
        return block.rows.length === 0 ? 'None.' : [block.head, block.head.map(() => '---'), ...block.rows.map((row) => row.map(md))].map((row) => `| ${row.join(' | ')} |`).join('\n')
    }
  }
  return `# Proposal: ${md(file.intent.title)}\n\n${sectionsOf(file, verdict)
    .map((section) => `## ${section.title}\n\n${section.blocks.map(blocks).join('\n\n')}`)
    .join('\n\n')}\n`
}

/** Characters that Markdown or HTML inside it could take for more than text. */
const md = (value: string): string => value.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]<>()#+!|~&]/g, (sign) => (sign === '<' ? '&lt;' : sign === '>' ? '&gt;' : sign === '&' ? '&amp;' : `\\${sign}`))

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}h1,h2{line-height:1.2}table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}th,td{border:1px solid #bbb;padding:.3rem .6rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}.answer p:first-child{font-size:1.4rem;font-weight:700;border:3px solid #111;padding:.6rem 1rem}pre{background:#f3f3f3;padding:.8rem;overflow-x:auto}.hashes td{font:1.05rem/1.6 ui-monospace,monospace}@media(prefers-color-scheme:dark){body{color:#eee;background:#111}th,td{border-color:#555}.answer p:first-child{border-color:#eee}pre{background:#222}}'

/** The report as one HTML page: no script, nothing loaded from anywhere, and a policy that would refuse both. */
export function reportHtml(file: ReviewFile, verdict: Verdict | null): string {
  const blocks = (block: Block): string => {
    switch (block.kind) {
      case 'text':
        return `<p>${html(block.text)}</p>`
      case 'list':
        return block.items.length === 0 ? '<p>None.</p>' : `<ul>${block.items.map((item) => `<li>${html(item)}</li>`).join('')}</ul>`
      case 'code':
        return `<pre>${html(block.text)}</pre>`
      case 'table':
        return block.rows.length === 0
          ? '<p>None.</p>'
          : `<table><thead><tr>${block.head.map((cell) => `<th>${html(cell)}</th>`).join('')}</tr></thead><tbody>${block.rows.map((row) => `<tr>${row.map((cell) => `<td>${html(cell)}</td>`).join('')}</tr>`).join('')}</tbody></table>`
    }
  }
  const className = (title: string): string => (title === 'Answer' ? ' class="answer"' : title.startsWith('Compare') ? ' class="hashes"' : '')
  const body = sectionsOf(file, verdict)
    .map((section) => `<section${className(section.title)}><h2>${html(section.title)}</h2>${section.blocks.map(blocks).join('')}</section>`)
    .join('\n')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Proposal: ${html(file.intent.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Proposal: ${html(file.intent.title)}</h1>
${body}
</body>
</html>
`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const html = (value: string): string => value.replace(/[&<>"']/g, (sign) => ESCAPES[sign]!)
