/** A query page that needs no internet: write, run, read the answer and the schema's own words. */
import { useEffect, useState } from 'react'
import type { KeyboardEvent } from 'react'
import { createRoot } from 'react-dom/client'
import { send } from './data/client.ts'

type TypeRef = { kind: string; name: string | null; ofType: TypeRef | null }
type Arg = { name: string; description: string | null; defaultValue: string | null; type: TypeRef }
type Field = { name: string; description: string | null; args: Arg[]; type: TypeRef }
type SchemaType = { kind: string; name: string; description: string | null; fields: Field[] | null; inputFields: Arg[] | null; enumValues: { name: string; description: string | null }[] | null }

const REF = 'kind name ofType { kind name ofType { kind name ofType { kind name } } }'
const DOCS = `{ __schema { types { kind name description
  fields { name description args { name description defaultValue type { ${REF} } } type { ${REF} } }
  inputFields { name description defaultValue type { ${REF} } }
  enumValues { name description } } } }`

const FIRST = `# Ctrl+Enter runs it. Amounts are exact: raw / 10^decimals = value.
{
  status { network indexed { number timestamp } ageSec health parts { name health detail } }
  markets { symbol indexPrice { value } markPrice { value } premium }
  accounts(first: 5, orderBy: MARGIN_RATIO) {
    totalCount
    nodes { id margin { marginRatio accountValue { value } maintenanceMargin { value } } }
    pageInfo { hasNextPage endCursor }
  }
  recommendations(settableOnly: true) { subjectLabel title currentDisplay recommendedDisplay direction urgency reason }
}
`

const named = (type: TypeRef): string => (type.kind === 'NON_NULL' && type.ofType ? `${named(type.ofType)}!` : type.kind === 'LIST' && type.ofType ? `[${named(type.ofType)}]` : (type.name ?? '?'))

function Sandbox() {
  const [query, setQuery] = useState(FIRST)
  const [variables, setVariables] = useState('')
  const [answer, setAnswer] = useState('')
  const [note, setNote] = useState('')
  const [running, setRunning] = useState(false)
  const run = async () => {
    let values: Record<string, unknown>
    try {
      values = variables.trim() === '' ? {} : (JSON.parse(variables) as Record<string, unknown>)
    } catch {
      setNote('The variables are no JSON object; write for example {"first": 10} or leave them empty.')
      return
    }
    setRunning(true)
    const start = performance.now()
    try {
      const result = await send(query, values)
      setAnswer(JSON.stringify(result, null, 2))
      setNote(`${result.errors?.length ? 'Answered with errors' : 'Answered'} in ${Math.round(performance.now() - start)} ms.`)
    } catch (error) {
      setNote(`${error instanceof Error ? error.message : String(error)}. Run it again once the API is back.`)
    } finally {
      setRunning(false)
    }
  }
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      void run()
    }
  }
  return (
    <>
      <header className="bar"><strong className="brand">Bulwark</strong><span className="pill">query</span><a href="/">Console</a></header>
      <main className="sandbox">
        <section className="panel" aria-label="Query" onKeyDown={keys}>
          <textarea aria-label="GraphQL query" spellCheck={false} rows={18} value={query} onChange={(event) => setQuery(event.target.value)} />
          <textarea aria-label="Variables, JSON" className="variables" placeholder='Variables as JSON, e.g. {"first": 10}' spellCheck={false} rows={3} value={variables} onChange={(event) => setVariables(event.target.value)} />
          <div className="run"><button type="button" disabled={running} onClick={() => void run()}>Run</button><span role="status">{running ? 'Asking …' : note || 'Ctrl+Enter runs it'}</span></div>
        </section>
        <section className="panel" aria-label="Answer"><pre tabIndex={0}>{answer || 'The answer appears here.'}</pre></section>
        <Docs />
      </main>
    </>
  )
}

function Docs() {
  const [types, setTypes] = useState<readonly SchemaType[]>([])
  const [problem, setProblem] = useState('')
  useEffect(() => {
    send(DOCS).then(
      (result) => {
        const all = (result.data as { __schema: { types: SchemaType[] } } | null | undefined)?.__schema.types ?? []
        const order = ['Query', 'Mutation']
        setTypes(all.filter((type) => !type.name.startsWith('__')).toSorted((a, b) => Number(order.includes(b.name)) - Number(order.includes(a.name)) || order.indexOf(a.name) - order.indexOf(b.name) || a.name.localeCompare(b.name)))
      },
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    )
  }, [])
  return (
    <section className="panel docs" aria-labelledby="docs-title">
      <h2 id="docs-title">Schema</h2>
      {problem && <p className="empty">{problem}. Reload this page once the API is back.</p>}
      {types.map((type) => (
        <details key={type.name} open={type.name === 'Query'}>
          <summary><b>{type.name}</b><span>{type.description ?? type.kind.toLowerCase().replaceAll('_', ' ')}</span></summary>
          {(type.fields ?? []).map((field) => (
            <div className="field" key={field.name}>
              <code><b>{field.name}</b>{field.args.length > 0 && `(${field.args.map((arg) => `${arg.name}: ${named(arg.type)}${arg.defaultValue === null ? '' : ` = ${arg.defaultValue}`}`).join(', ')})`}: {named(field.type)}</code>
              {field.description && <p>{field.description}</p>}
            </div>
          ))}
          {(type.inputFields ?? []).map((field) => <div className="field" key={field.name}><code><b>{field.name}</b>: {named(field.type)}{field.defaultValue === null ? '' : ` = ${field.defaultValue}`}</code>{field.description && <p>{field.description}</p>}</div>)}
          {(type.enumValues ?? []).map((value) => <div className="field" key={value.name}><code><b>{value.name}</b></code>{value.description && <p>{value.description}</p>}</div>)}
        </details>
      ))}
    </section>
  )
}

const root = document.getElementById('root')
if (root) createRoot(root).render(<Sandbox />)
