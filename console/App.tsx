/** Which address shows which page. Each page but the overview is a chunk of its own. */
import { CSPProvider } from '@base-ui/react/csp-provider'
import { Tooltip } from '@base-ui/react/tooltip'
import { QueryClientProvider } from '@tanstack/react-query'
import { Suspense, lazy, useEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import { Link, Redirect, Route, Router, Switch, useLocation } from 'wouter'
import { useSearch } from 'wouter/use-browser-location'
import { queryClient } from './data/client.ts'
import { Overview } from './overview/Overview.tsx'
import { Shell } from './shell/Shell.tsx'
import { Boundary, Empty, PageHead } from './ui/parts.tsx'

const Markets = lazy(() => import('./market/Markets.tsx'))
const Market = lazy(() => import('./market/Market.tsx'))
const Accounts = lazy(() => import('./accounts/Accounts.tsx'))
const Account = lazy(() => import('./accounts/Account.tsx'))
const Stress = lazy(() => import('./stress/Stress.tsx'))
const Fund = lazy(() => import('./fund/Fund.tsx'))
const Recommendations = lazy(() => import('./recommendations/Recommendations.tsx'))
const Recommendation = lazy(() => import('./recommendations/Recommendation.tsx'))
const Breakers = lazy(() => import('./breakers/Breakers.tsx'))
const Parameters = lazy(() => import('./parameters/Parameters.tsx'))
const Parameter = lazy(() => import('./parameters/Parameter.tsx'))
const Audit = lazy(() => import('./audit/Audit.tsx'))
const Proposals = lazy(() => import('./proposal/Proposals.tsx'))
const Draft = lazy(() => import('./proposal/Draft.tsx'))
const Proposal = lazy(() => import('./proposal/Proposal.tsx'))

/** The query of the address as it stands there: wouter decodes it once before it is read as parameters, which would make `A` of a `%41` that was typed. */
const useQueryAsItIs = (): string => useSearch().replaceAll('%', '%25')

export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <Router searchHook={useQueryAsItIs}>
        {/* The content security policy takes no style elements; style.css holds what they would say. */}
        <CSPProvider disableStyleElements>
          <Tooltip.Provider delay={300}>
            <Shell>
              <Arrival />
              <Pages>
                <Suspense fallback={<div className="loading page" role="status"><span className="sr">Loading …</span></div>}>
                  <Switch>
                    <Route path="/" component={Overview} />
                    <Route path="/markets" component={Markets} />
                    <Route path="/markets/:id">{({ id }) => <Market key={id} id={id} />}</Route>
                    <Route path="/accounts" component={Accounts} />
                    <Route path="/accounts/:id">{({ id }) => <Account key={id} id={id} />}</Route>
                    <Route path="/stress" component={Stress} />
                    <Route path="/fund" component={Fund} />
                    <Route path="/recommendations" component={Recommendations} />
                    <Route path="/recommendations/:id">{({ id }) => <Recommendation key={id} id={id} />}</Route>
                    <Route path="/breakers" component={Breakers} />
                    <Route path="/parameters" component={Parameters} />
                    <Route path="/parameters/:name/:subject">{({ name, subject }) => <Parameter key={`${name}:${subject}`} name={name} subject={subject} />}</Route>
                    <Route path="/audit" component={Audit} />
                    <Route path="/proposals" component={Proposals} />
                    <Route path="/proposals/new" component={Draft} />
                    <Route path="/proposals/:id">{({ id }) => <Proposal key={id} id={id} />}</Route>
                    <Route path="/index.html"><Redirect to="/" /></Route>
                    <Route><PageHead title="No such page" /><Empty>The address leads nowhere here. <Link href="/">Go to the overview</Link>.</Empty></Route>
                  </Switch>
                </Suspense>
              </Pages>
            </Shell>
          </Tooltip.Provider>
        </CSPProvider>
      </Router>
    </QueryClientProvider>
  )
}

/** A page that fails, or cannot be had because the API is away or was renewed, leaves the shell standing; another page is another attempt. */
function Pages({ children }: { children: ReactNode }) {
  const [path] = useLocation()
  return <Boundary key={path} retry={{ name: 'Load the page again', run: () => location.reload() }}>{children}</Boundary>
}

/** A new page begins at its top, with the focus there; the first one, and one whose address names a part, leave that to the browser and the part. */
function Arrival() {
  const [path] = useLocation()
  const before = useRef(path)
  useEffect(() => {
    if (before.current === path) return
    before.current = path
    if (location.hash === '') scrollTo(0, 0)
    document.getElementById('main')?.focus({ preventScroll: true })
  }, [path])
  return null
}
