/** Every call that the signed transaction makes, read back from its bytes. */
import type { ReviewFragment } from '../generated/operations.ts'
import { short, whole } from '../ui/format.ts'
import { Address, Copy, Panel, Tag } from '../ui/parts.tsx'

const KIND = { PRECONDITION: 'quiet', SCHEDULE: 'accent', CHANGE: 'accent', DELEGATECALL: 'down', UNDECODED: 'down' } as const

export function CallsPanel({ of: proposal }: { of: ReviewFragment }) {
  const { deeds } = proposal
  return (
    <Panel id="calls" title="Every call, decoded" note={`${deeds.length} in one transaction: all of them happen, or none`}>
      <ol className="proposal-calls">
        {deeds.map((deed, index) => (
          <li key={index} className={deed.depth > 1 ? 'inner' : undefined}>
            <p><Tag kind={KIND[deed.kind]}>{deed.kind.toLowerCase()}</Tag> <b>{deed.contract ?? 'unknown contract'}</b> <Address of={deed.to} label="Contract" /> <span className={deed.kind === 'UNDECODED' || deed.kind === 'DELEGATECALL' ? 'down' : undefined}>{deed.does}</span></p>
            {deed.function !== null && (
              <details>
                <summary><code>{deed.function.split('(')[0]}</code> with {deed.arguments.length} {deed.arguments.length === 1 ? 'argument' : 'arguments'}, {whole((deed.data.length - 2) / 2)} bytes</summary>
                <table>
                  <thead><tr><th scope="col">Argument</th><th scope="col">In words</th><th scope="col">Raw</th></tr></thead>
                  <tbody>{deed.arguments.map((each) => <tr key={each.name}><td><code>{each.name}</code> <span className="muted">{each.type}</span></td><td>{each.words ?? ''}</td><td><Copy text={each.value} label={each.name}><code data-whole={each.value.length > 44 ? each.value : undefined}>{each.value.length > 44 ? short(each.value.replace(/[()]/g, '')) : each.value}</code></Copy></td></tr>)}</tbody>
                </table>
                <p><Copy text={deed.data} label="Raw data">copy raw data</Copy></p>
                <pre className="proposal-raw">{deed.data}</pre>
              </details>
            )}
            {deed.function === null && <pre className="proposal-raw">{deed.data}</pre>}
          </li>
        ))}
      </ol>
    </Panel>
  )
}
