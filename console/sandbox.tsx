/** A query page that needs no internet: write, run, read the answer and the schema's own words. */
import './ui/theme.ts'
import { useEffect, useMemo, useState } from 'react'
import type { KeyboardEvent } from 'react'
import { createRoot } from 'react-dom/client'
import { send } from './data/client.ts'
import { ThemeButton } from './ui/ThemeButton.tsx'
import { download } from './ui/export.ts'
import { Empty, Notice, PageHead, Panel, sentence } from './ui/parts.tsx'
import './sandbox.css'

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

/** What a link to this page brings along: `?text=…&variables=…`. `query` is the API's own, which would answer it. */
const link = new URLSearchParams(location.search)

function Sandbox() {
  const [query, setQuery] = useState(link.get('text') ?? FIRST)
  const [variables, setVariables] = useState(link.get('variables') ?? '')
  const [answer, setAnswer] = useState('')
  const [note, setNote] = useState('')
  const [problem, setProblem] = useState('')
  const [running, setRunning] = useState(false)
  const run = async () => {
    let values: Record<string, unknown>
    setProblem('')
    try {
      const parsed: unknown = variables.trim() === '' ? {} : JSON.parse(variables)
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new SyntaxError('no object')
      values = parsed as Record<string, unknown>
    } catch {
      setProblem('The variables are no JSON object; write for example {"first": 10} or leave them empty.')
      return
    }
    setRunning(true)
    const start = performance.now()
    try {
      const result = await send(query, values)
      setAnswer(JSON.stringify(result, null, 2))
      setNote(`${result.errors?.length ? 'Answered with errors' : 'Answered'} in ${Math.round(performance.now() - start)} ms.`)
    } catch (error) {
      setProblem(`${sentence(error)} Run it again once the API is back.`)
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
  const share = async () => {
    const url = new URL(location.pathname, location.origin)
    url.searchParams.set('text', query)
    if (variables.trim() !== '') url.searchParams.set('variables', variables)
    history.replaceState(null, '', url)
    try {
      await navigator.clipboard.writeText(url.href)
      setNote('The link is copied, and stands in the address bar.')
    } catch {
      setNote('The link stands in the address bar.')
    }
  }
  return (
    <>
      <a className="skip" href="#main">Skip to the page</a>
      <header className="bar"><a href="/" className="brand">Bulwark</a><nav className="pages" aria-label="Pages"><a href="/">Console</a><a href="/graphql" aria-current="page">Query</a></nav><div className="standing"><ThemeButton /></div></header>
      <main id="main" tabIndex={-1}>
        <PageHead title="Query the API" note="The same address answers programs: POST a query as JSON. Nothing here leaves this server" />
        <div className="sandbox">
          <Panel id="query" title="Query" actions={<button type="button" className="quiet" onClick={() => void share()}>Link</button>}>
            <div onKeyDown={keys}>
              <textarea aria-label="GraphQL query" spellCheck={false} wrap="off" rows={18} value={query} onChange={(event) => setQuery(event.target.value)} />
              <h3 id="variables-title">Variables</h3>
              <textarea aria-labelledby="variables-title" className="variables" placeholder='As JSON, e.g. {"first": 10}' spellCheck={false} rows={3} value={variables} onChange={(event) => setVariables(event.target.value)} />
            </div>
            {problem && <Notice kind="down" title={problem} />}
            <div className="run"><button type="button" className="main" disabled={running} onClick={() => void run()}>Run</button><span role="status">{running ? 'Asking …' : note || 'Ctrl+Enter runs it'}</span></div>
          </Panel>
          <Panel id="answer" title="Answer" actions={<button type="button" className="quiet" disabled={answer === ''} onClick={() => download('bulwark-answer.json', answer, 'application/json')}>Save as JSON</button>}>
            {answer ? <pre tabIndex={0} aria-label="Answer, JSON">{answer}</pre> : <Empty>The answer appears here.</Empty>}
          </Panel>
          <Docs />
        </div>
      </main>
    </>
  )
}

const textOf = (type: SchemaType): string => [type.name, type.description, ...[...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])].flatMap(({ name, description }) => [name, description])].join(' ').toLowerCase()

function Docs() {
  const [types, setTypes] = useState<readonly SchemaType[]>([])
  const [problem, setProblem] = useState('')
  const [search, setSearch] = useState('')
  useEffect(() => {
    send(DOCS).then(
      (result) => {
        const all = (result.data as { __schema: { types: SchemaType[] } } | null | undefined)?.__schema.types ?? []
        const order = ['Query', 'Mutation', 'Subscription']
        setTypes(all.filter((type) => !type.name.startsWith('__')).toSorted((a, b) => Number(order.includes(b.name)) - Number(order.includes(a.name)) || order.indexOf(a.name) - order.indexOf(b.name) || a.name.localeCompare(b.name)))
      },
      (error: unknown) => setProblem(sentence(error)),
    )
  }, [])
  const texts = useMemo(() => new Map(types.map((type) => [type.name, textOf(type)])), [types])
  const wanted = search.trim().toLowerCase()
  const shown = types.filter(({ name }) => wanted === '' || texts.get(name)?.includes(wanted))
  return (
    <Panel id="docs" title="Schema" note={types.length > 0 ? `${shown.length}${shown.length < types.length ? ` of ${types.length}` : ''} types` : undefined} className="docs">
      <div className="controls"><label className="field">Find<input type="search" value={search} placeholder="Type, field or word" onChange={(event) => setSearch(event.target.value)} /></label></div>
      {problem && <Notice kind="down" title={problem}>Reload this page once the API is back.</Notice>}
      {types.length > 0 && shown.length === 0 && <Empty>No type has that word in it.</Empty>}
      {shown.map((type) => (
        <details key={type.name} open={wanted === '' ? type.name === 'Query' : shown.length <= 5}>
          <summary><b>{type.name}</b><span>{type.description ?? type.kind.toLowerCase().replaceAll('_', ' ')}</span></summary>
          <dl>
            {(type.fields ?? []).map((field) => <div key={field.name}><dt><b>{field.name}</b>{field.args.length > 0 && `(${field.args.map((arg) => `${arg.name}: ${named(arg.type)}${arg.defaultValue === null ? '' : ` = ${arg.defaultValue}`}`).join(', ')})`}: {named(field.type)}</dt>{field.description && <dd>{field.description}</dd>}</div>)}
            {(type.inputFields ?? []).map((field) => <div key={field.name}><dt><b>{field.name}</b>: {named(field.type)}{field.defaultValue === null ? '' : ` = ${field.defaultValue}`}</dt>{field.description && <dd>{field.description}</dd>}</div>)}
            {(type.enumValues ?? []).map((value) => <div key={value.name}><dt><b>{value.name}</b></dt>{value.description && <dd>{value.description}</dd>}</div>)}
          </dl>
        </details>
      ))}
    </Panel>
  )
}

const root = document.getElementById('root')
if (root) createRoot(root).render(<Sandbox />)
