import { beforeAll, describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { digestOf } from '../../api/recommendations/canonical.ts'
import { curie } from '../../protocols/curie/index.ts'
import { reportHtml, reportMarkdown } from '../../proposals/report.ts'
import { reviewDigest } from '../../proposals/review.ts'
import type { ReviewFile } from '../../proposals/review.ts'
import { serializeReview } from '../../proposals/review.ts'
import { drawHonest, statementFromJson, worldOf } from '../../proposals/tamper/honest.ts'
import { firstTrust, parseTrust, trustedTarget } from '../../proposals/trust.ts'
import { verifyReview } from '../../proposals/verify.ts'
import type { Verdict } from '../../proposals/verify.ts'

const said = statementFromJson(readFileSync(new URL('../../proposals/tamper/chain.json', import.meta.url), 'utf8'))
const deployment = curie.deployments.devnet!
const trust = parseTrust(firstTrust(curie, deployment, said, { sources: ['recorded'], machineSec: 0n }))

describe('report', () => {
  let file: ReviewFile
  let verdict: Verdict
  beforeAll(async () => {
    const world = worldOf(curie, deployment, said, [], { kind: 'SAFE' })
    // The first that has all parts.
    for (let seed = 1; ; seed++) {
      ;({ file } = await drawHonest(world, trustedTarget(trust).policy, seed))
      if (file.impact !== null && (file.impact.result as { newlyLiquidatable: unknown[] }).newlyLiquidatable.length > 0 && file.evidence.length > 0) break
    }
    verdict = await verifyReview(serializeReview(file), trust, { witnesses: [], machineSec: 0n })
  })

  test('default: words, before and after, impact, decoded calls, the three hashes and the way back stand in both forms', () => {
    const parts = [verdict.headline, verdict.hashes!.domainHash, verdict.hashes!.messageHash, verdict.hashes!.safeTxHash, 'account', 'liquidatable', 'npm run bulwark -- verify proposal.json', file.digest, file.evidence[0]!.digest]
    // Without the escapes of each form.
    const [markdown, html] = [reportMarkdown(file, verdict).replaceAll('\\', ''), reportHtml(file, verdict).replaceAll('&#39;', "'").replaceAll('&amp;', '&')]
    for (const part of [...parts, ...verdict.changes.flatMap((each) => [each.sentence, each.step])]) {
      expect(markdown).toContain(part)
      expect(html).toContain(part)
    }
    for (const call of verdict.calls) expect(html).toContain(call.to)
  })

  test('behavior: of how many accounts totals and near misses are stands beside them, in the report and in what a signer is told', async () => {
    const result = file.impact!.result as { accounts: object; newlyLiquidatable: readonly { account: string }[] }
    // 41 + 7 + 1 of 49.
    const unvalued = [{ reason: 'not read from the contracts, and the mirror is behind', count: 7, accounts: [`0x${'a7'.repeat(20)}`] }, { reason: 'getAccountValue reverts before the change', count: 1, accounts: [`0x${'b1'.repeat(20)}`] }]
    const saying = (due: number, accounts: object): ReviewFile => {
      const impact = { ...result, accounts: { ...result.accounts, ...accounts }, newlyLiquidatable: result.newlyLiquidatable.slice(0, due) } as never
      const partial: ReviewFile = { ...file, impact: { digest: digestOf(impact), result: impact } }
      return { ...partial, digest: reviewDigest(partial) }
    }
    const part = saying(1, { indexed: 49, valued: 41, unvalued })
    const words = [/One account becomes liquidatable, of 41 valued; 8 unknown: /, /accounts are due at that price, of 41 valued; 8 unknown:/, new RegExp(`Unknown, 7 accounts \\(0x${'a7'.repeat(20)}, …\\): not read from the contracts, and the mirror is behind`), new RegExp(`Unknown, one account \\(0x${'b1'.repeat(20)}\\): getAccountValue reverts before the change`)]
    for (const text of [reportMarkdown(part, null).replaceAll('\\', ''), reportHtml(part, null)]) for (const each of words) expect(text).toMatch(each)
    const told = async (of: ReviewFile) => await verifyReview(serializeReview(of), trust, { witnesses: [], machineSec: 0n })
    expect((await told(part)).notes.join('\n')).toContain('one account becomes liquidatable by this change, of 41 valued; 8 unknown; nobody has repeated that here')
    expect((await told(saying(0, { indexed: 49, valued: 49, unvalued: [] }))).notes.join('\n')).toContain('no account becomes liquidatable by this change, of all 49 indexed; nobody')
    for (const odd of [{ indexed: 49, valued: 50 }, { indexed: 49, valued: null }]) expect((await told(saying(1, odd))).findings.map(({ rule }) => rule)).toContain('impact')
  })

  test('behavior: without a trust file it says that nobody has checked it', () => {
    expect(reportMarkdown(file, null)).toContain('NOT CHECKED: this report was made without a trust file.')
    expect(reportHtml(file, null)).toContain('NOT CHECKED')
  })

  test('error: nothing that a file says becomes markup, a link or a script', () => {
    const evil = '<img src=x onerror=alert(1)><script>alert(1)</script>[x](javascript:alert(1))|`"\'&'
    const tampered: ReviewFile = {
      ...file,
      intent: { ...file.intent, title: evil },
      evidence: [{ recommendation: evil, digest: 'ab'.repeat(32) }],
      simulation: { digest: '00'.repeat(32), result: { [evil]: evil } },
      impact: { digest: '00'.repeat(32), result: { ...(file.impact!.result as object), notes: [evil] } as never },
    }
    tampered.digest = reviewDigest(tampered)
    for (const answer of [null, { ...verdict, findings: [{ rule: 'format', text: evil, action: evil }] } as Verdict]) {
      const html = reportHtml(tampered, answer)
      expect(html).not.toMatch(/<(?:script|img|a|iframe|link|form|object|svg|base)\b/i)
      expect(html.match(/<meta /g)).toHaveLength(4)
      expect(html).toContain("default-src 'none'; style-src 'unsafe-inline'")
      const markdown = reportMarkdown(tampered, answer)
      expect(markdown).not.toMatch(/<(?:script|img)/)
      expect(markdown).not.toMatch(/(?<!\\)\]\(/)
      // A bar that is not escaped would begin another cell.
      for (const line of markdown.split('\n').filter((each) => each.includes('onerror') && each.startsWith('|'))) expect(line.match(/(?<!\\)\|/g)).toHaveLength(3)
    }
  })

  test('behavior: a page asks nobody for anything', () => {
    expect(reportHtml(file, verdict)).not.toMatch(/\b(?:src|href)=|url\(|@import|https?:/)
  })

  test('behavior: what has no words is said to have none', () => {
    const odd: ReviewFile = { ...file, intent: { ...file.intent, changes: [{ ...file.intent.changes[0]!, parameter: 'upgradeTo' }] } }
    expect(reportMarkdown(odd, null).replaceAll('\\', '')).toContain('The installed package has no words for upgradeTo')
    expect(reportHtml({ ...file, protocol: 'unknown' }, null)).toContain('The installed package has no words for')
  })
})
