import { BulwarkError } from '../../core/errors.ts'

/** What an examination found, in one sentence. `stop`: nothing can work like this. `warn`: it works, with a drawback. */
export type Finding = { readonly level: 'stop' | 'warn' | 'good'; readonly part: 'rpc' | 'graph-node' | 'database'; readonly sentence: string }

export class UnfitPartError extends BulwarkError {
  constructor(findings: readonly Finding[]) {
    super(findings.map(({ sentence }) => sentence).join('\n'), { code: 'UNFIT_PART', facts: { parts: [...new Set(findings.map(({ part }) => part))] } })
  }
}

/** Says each finding; throws UnfitPartError with every one that stops. */
export function assertFit(findings: readonly Finding[], say: (finding: Finding) => void): void {
  const stops = findings.filter(({ level }) => level === 'stop')
  findings.filter(({ level }) => level !== 'stop').forEach(say)
  if (stops.length > 0) throw new UnfitPartError(stops)
}
