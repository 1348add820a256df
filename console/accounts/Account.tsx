/** One account: what it holds, how far it is from liquidation and what would take it there, what a portfolio margin would ask, and what happened to it. */
import { useCallback, useMemo } from 'react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useSearchParams } from 'wouter'
import { ask, useAnswer } from '../data/client.ts'
import { AccountDocument, AccountHistoryDocument, AccountParametersDocument, AccountPortfolioDocument, AccountTierDocument } from '../generated/operations.ts'
import type { AccountEventKind, AccountPortfolioQuery, AccountQuery } from '../generated/operations.ts'
import { Chart, axis, tooltip } from '../ui/Chart.tsx'
import { compact, decimal, float, percent, price, signedPercent, size, usd, whole, words } from '../ui/format.ts'
import { Address, Empty, Facts, Figure, Hint, Loaded, Notice, PageHead, Panel, Provenance, Sums, Tag, Time, Unknown, sentence } from '../ui/parts.tsx'
import { CsvButton, Table, type Column } from '../ui/Table.tsx'
import { Tier } from './columns.tsx'
import { chargeOf, detailOf, flowOf, sizeOf, type Event } from './history.ts'
import './accounts.css'

type Of = NonNullable<AccountQuery['account']>
type Margin = NonNullable<Of['margin']>
type Amount = { readonly value: string }

export default function Account({ id }: { id: string }) {
  const account = useAnswer(AccountDocument, { id }, 'block')
  return (
    <>
      <PageHead title="Account" note={<Address of={id.toLowerCase()} whole />}><Link href="/accounts">All accounts</Link></PageHead>
      <Loaded of={account} height={900}>
        {({ account: of, protocol }) => (of ? <Page of={of} settlement={protocol?.settlementToken ?? ''} /> : <Empty>The index holds no account of this address: it never deposited or traded by this block. Check the address, or <Link href={`/accounts?address=${id.slice(0, 10)}`}>look for accounts that begin like it</Link>.</Empty>)}
      </Loaded>
    </>
  )
}

function Page({ of, settlement }: { of: Of; settlement: string }) {
  return (
    <div className="stack">
      <div className="desk">
        <Standing of={of} />
        <Requirements of={of} />
      </div>
      <Moves of={of} />
      <Positions of={of} />
      <div className="grid">
        <Collateral of={of} settlement={settlement} />
        <Ranges of={of} />
      </div>
      {of.margin && of.margin.positions.length > 0 && <Portfolio id={of.id} />}
      <History id={of.id} />
    </div>
  )
}

const Usd = ({ of, places }: { of: Amount; places?: number }) => <Figure exact={of.value} unit="USD"><span className={of.value.startsWith('-') ? 'down' : undefined}>{places === undefined ? usd(of.value) : decimal(of.value, places)}</span> <u>USD</u></Figure>

const NO_MARGIN = 'A price or funding that its margin needs is unknown at this block; the health of “margin” in the bar above says which'

function Standing({ of }: { of: Of }) {
  const { margin } = of
  if (!margin) return <Panel id="standing" title="Cross-margin"><Notice kind="degraded" title="The margin of this account is unknown.">{NO_MARGIN}.</Notice></Panel>
  const exposed = margin.positions.length > 0
  return (
    <Panel id="standing" title="Cross-margin" note="over all its markets" actions={exposed && <><Tier of={margin.tier} />{margin.liquidatable && <Tag kind="down">can be liquidated now</Tag>}</>}>
      <Sums of={[
        ['Account value', <Usd of={margin.accountValue} />, 'collateral and unrealised PnL'],
        ['Maintenance margin', exposed ? <Usd of={margin.maintenanceMargin} /> : <None />, 'liquidated below it'],
        ['Margin ratio', margin.marginRatio == null ? <None /> : percent(margin.marginRatio), 'value / position value'],
        ['Distance to liquidation', margin.distanceToLiquidation == null ? <None /> : <span className={margin.distanceToLiquidation < 0 ? 'down' : undefined}>{signedPercent(margin.distanceToLiquidation)}</span>, 'of position value'],
        ['Position value', <Usd of={margin.positionValue} />, 'Σ |size · mark|'],
        ['Leverage', margin.leverage == null ? <None why="Nothing is left to lever" /> : `${float(margin.leverage, 2)} ×`, 'position value / value'],
        ['Free collateral', <Usd of={margin.freeCollateral} />, 'to open or withdraw'],
        ['Unrealised PnL', <Usd of={margin.unrealizedPnl} />],
      ]} />
      {margin.exactness === 'LOWER_BOUND' && <Notice kind="degraded" title="A lower bound.">Left out, because it is unknown and can only add: {margin.missing.join(', ')}.</Notice>}
      <Provenance of={margin.provenance} />
    </Panel>
  )
}

/** There is none by nature; not unknown. */
const None = ({ why = 'It has no positions' }: { why?: string }) => <Hint text={why}><span className="muted">none</span></Hint>

function Requirements({ of }: { of: Of }) {
  const { margin } = of
  const tier = useAnswer(AccountTierDocument, { id: of.id }, 'minute')
  const row = (amount: Amount | undefined) => (amount ? <Usd of={amount} /> : <Unknown why={NO_MARGIN} />)
  return (
    <Panel id="requirements" title="Requirements and balances">
      <Facts of={[
        ['Initial margin', row(margin?.initialMargin)],
        ['Maintenance margin', row(margin?.maintenanceMargin)],
        ['Collateral sold off below', row(margin?.collateralMaintenanceMargin)],
        ['Free collateral to reduce', row(margin?.freeCollateralToReduce)],
        ['Collateral value', row(margin?.collateralValue)],
        ['Settlement balance', <Usd of={of.settlementBalance} />],
        ['Owed realised PnL', <Usd of={of.owedRealizedPnl} />],
        ['Liquidated so far', `${whole(of.liquidationCount)} times`],
        ['Bad debt taken by the fund', <Usd of={of.badDebt} />],
      ]} />
      {margin && margin.positions.length > 0 && (
        <Loaded of={tier} height={58}>
          {({ account, status }) => {
            const state = account?.liquidation
            if (!state) return <p className="accounts-words"><Unknown why="Its tier in the whole book is unknown where its margin is" /></p>
            return (
              <div className="accounts-words">
                <p>In the whole book{status.indexed && <> at block {whole(status.indexed.number)}</>}: <b>{state.why}</b>.{state.deficit ? <> A deficit of {float(state.deficit, 2)} USD: the fund pays {state.fromFund == null ? '—' : float(state.fromFund, 2)}, winners {state.fromWinners == null ? '—' : float(state.fromWinners, 2)}, everyone {state.socialised == null ? '—' : float(state.socialised, 2)}.</> : null} Closing all of it costs {state.closingCost == null ? <Unknown why={state.unknown?.message} /> : `${float(state.closingCost, 2)} USD`}.</p>
                {state.unknown && <p className="muted">Unknown: {state.unknown.message}.</p>}
              </div>
            )
          }}
        </Loaded>
      )}
    </Panel>
  )
}

type Move = NonNullable<Of['moves']>[number]
const nameOf = (move: Move): string => move.market?.symbol ?? 'All prices together'
const changeOf = (change: number | null | undefined, none: string) => (change == null ? <Hint text={none}><span className="muted">none</span></Hint> : <span className={change < 0 ? 'down' : 'up'}>{signedPercent(change)}</span>)
const NEVER = 'No price above 0 takes it there, the other prices as they are'

function Moves({ of }: { of: Of }) {
  const [search, setSearch] = useSearchParams()
  const moves = of.moves
  const chosen = moves?.find((move) => nameOf(move) === search.get('move')) ?? moves?.at(-1)
  const choose = (move: Move) => setSearch((before) => {
    const next = new URLSearchParams(before)
    next.set('move', nameOf(move))
    return next
  }, { replace: true })
  const positions = new Map(of.margin?.positions.map((position) => [position.market.id, position]))
  const columns: Column<Move>[] = [
    { key: 'what', head: 'What moves', value: nameOf, cell: (move) => <button type="button" className={`quiet accounts-pick`} aria-pressed={move === chosen} onClick={() => choose(move)}>{move.market ? move.market.symbol : <>All prices together <small>collateral’s, too</small></>}</button> },
    { key: 'mark', head: <span>Mark price <u>USD</u></span>, name: 'mark price (USD)', numeric: true, value: (move) => positions.get(move.market?.id ?? '')?.market.markPrice?.value, cell: (move) => markOf(positions.get(move.market?.id ?? '')?.market.markPrice, move) },
    { key: 'liquidation', head: <span>Liquidated at <u>USD</u></span>, name: 'liquidation price (USD)', numeric: true, value: (move) => positions.get(move.market?.id ?? '')?.liquidationPrice?.value, cell: (move) => markOf(positions.get(move.market?.id ?? '')?.liquidationPrice, move, NEVER) },
    { key: 'change', head: 'by a move of', name: 'move to liquidation (fraction)', numeric: true, value: (move) => move.liquidationChange, cell: (move) => (move.unknown ? <Unknown why={move.unknown} /> : changeOf(move.liquidationChange, NEVER)) },
    { key: 'bankrupt', head: <span>Worth 0 at <u>USD</u></span>, name: 'bankruptcy price (USD)', numeric: true, value: (move) => positions.get(move.market?.id ?? '')?.bankruptcyPrice?.value, cell: (move) => markOf(positions.get(move.market?.id ?? '')?.bankruptcyPrice, move, NEVER) },
    { key: 'bankruptChange', head: 'by a move of', name: 'move to bankruptcy (fraction)', numeric: true, value: (move) => move.bankruptcyChange, cell: (move) => (move.unknown ? <Unknown why={move.unknown} /> : changeOf(move.bankruptcyChange, NEVER)) },
  ]
  return (
    <Panel id="moves" title="What moves it to liquidation" note="all else equal; it does nothing, and nobody liquidates it on the way" actions={moves && moves.length > 0 && <CsvButton title={`moves of ${of.id}`} columns={columns} rows={moves} />}>
      {moves == null ? <p className="empty"><Unknown why={NO_MARGIN} /> {NO_MARGIN}.</p>
        : moves.length === 0 ? <Empty>It has no positions: no price can have it liquidated. Only its own debt may let its collateral be sold off.</Empty>
        : <div className="accounts-moves"><Table title="Moves that liquidate it" columns={columns} rows={moves} rowKey={nameOf} />{chosen && <MoveChart of={chosen} />}</div>}
    </Panel>
  )
}

const markOf = (amount: Amount | null | undefined, move: Move, none = 'The mark price is unknown at this block') =>
  move.market === null || move.market === undefined ? <span className="muted" title="Each market has its own">·</span>
  : amount == null ? (move.unknown ? <Unknown why={move.unknown} /> : <Hint text={none}><span className="muted">none</span></Hint>)
  : <Figure exact={amount.value} unit="USD">{price(amount.value)}</Figure>

function MoveChart({ of }: { of: Move }) {
  const title = of.market ? `Value if ${of.market.symbol} moves` : 'Value if all prices move together'
  // Drawn again only where the figures changed.
  const key = JSON.stringify(of.points)
  const points = useMemo(() => JSON.parse(key) as Move['points'], [key])
  const at = of.liquidationChange
  const option = useCallback((colours: Parameters<Parameters<typeof Chart>[0]['option']>[0]) => ({
    grid: { left: 64, right: 18, top: 26, bottom: 44 },
    tooltip: tooltip((parameters) => {
      const point = points[(parameters as { dataIndex: number }[])[0]?.dataIndex ?? 0]
      return point ? [['Price move', signedPercent(point.change)], ['Account value', `${usd(point.accountValue.value)} USD`], ['Maintenance margin', `${usd(point.maintenanceMargin.value)} USD`]] : []
    }),
    xAxis: axis(colours, 'Price move, %', { type: 'value', min: -50, max: 50, nameGap: 26, axisLabel: { color: colours.muted, formatter: (value: number) => `${value > 0 ? '+' : value < 0 ? '−' : ''}${Math.abs(value)}` } }),
    yAxis: axis(colours, 'USD', { type: 'value', nameGap: 48, axisLabel: { color: colours.muted, formatter: (value: number) => compact(value) } }),
    series: [
      { name: 'Account value', type: 'line', symbol: 'none', lineStyle: { width: 2, color: colours.series[0] }, data: points.map(({ change, accountValue }) => [change * 100, Number(accountValue.value)]), markLine: { silent: true, symbol: 'none', label: { color: colours.text, fontSize: 11, position: 'end', rotate: 0, distance: 4, formatter: '{b}' }, lineStyle: { color: colours.down, type: 'solid' }, data: [{ name: at != null && Math.abs(at) < 0.2 ? '' : 'now', xAxis: 0, lineStyle: { color: colours.muted, type: 'dashed' } }, ...(at != null && Math.abs(at) <= 0.5 ? [{ name: `liquidated at ${signedPercent(at)}`, xAxis: at * 100 }] : [])] } },
      { name: 'Maintenance margin', type: 'line', symbol: 'none', lineStyle: { width: 2, type: 'dashed', color: colours.down }, data: points.map(({ change, maintenanceMargin }) => [change * 100, Number(maintenanceMargin.value)]) },
    ],
  }), [points, at])
  if (of.unknown) return <p className="empty">{of.unknown}: where it would be liquidated is no straight line, and is not drawn.</p>
  const summary = at == null ? 'No move liquidates it; the solid line is its value, the dashed one what it must keep.' : at === 0 ? 'It is at its requirement now.' : `The solid line is its value, the dashed one what it must keep; they meet at ${signedPercent(at)}.`
  return <Chart title={title} summary={summary} height={240} option={option} data={{ head: ['price move (fraction)', 'account value (USD)', 'maintenance margin (USD)'], rows: points.map((point) => [point.change, point.accountValue.value, point.maintenanceMargin.value]) }} />
}

type Held = Margin['positions'][number] & { readonly taker: Of['positions'][number] | undefined }

function Positions({ of }: { of: Of }) {
  const taker = new Map(of.positions.map((position) => [position.market.id, position]))
  const held: Held[] = (of.margin?.positions ?? []).map((position) => ({ ...position, taker: taker.get(position.market.id) }))
  const amount = (key: string, head: string, unit: string, pick: (row: Held) => Amount | null | undefined, show: (value: string) => string, none?: string): Column<Held> => ({
    key, head: <span>{head} <u>{unit}</u></span>, name: `${head.toLowerCase()} (${unit})`, numeric: true, value: (row) => pick(row)?.value,
    cell: (row) => {
      const found = pick(row)
      return found == null ? (none ? <Hint text={none}><span className="muted">none</span></Hint> : <Unknown />) : <Figure exact={found.value} unit={unit}><span className={found.value.startsWith('-') && key !== 'size' ? 'down' : undefined}>{show(found.value)}</span></Figure>
    },
  })
  const columns: Column<Held>[] = [
    { key: 'market', head: 'Market', value: (row) => row.market.symbol, cell: (row) => <><Link href={`/markets/${row.market.symbol}`}>{row.market.symbol}</Link> <span className={row.size.value.startsWith('-') ? 'short' : 'long'}>{row.size.value.startsWith('-') ? 'short' : row.size.value === '0' ? '' : 'long'}</span></> },
    amount('size', 'Size', 'base', (row) => row.size, sizeOf),
    amount('entry', 'Entry', 'USD', (row) => row.taker?.entryPrice, price, 'All of it stands in ranges'),
    amount('mark', 'Mark', 'USD', (row) => row.market.markPrice, price),
    amount('value', 'Value', 'USD', (row) => row.value, usd),
    amount('pnl', 'Unrealised PnL', 'USD', (row) => row.unrealizedPnl, usd),
    amount('liquidation', 'Liquidated at', 'USD', (row) => row.liquidationPrice, price, 'No price, or it has liquidity in this market'),
    amount('im', 'Initial margin', 'USD', (row) => row.initialMargin, usd),
    amount('mm', 'Maintenance', 'USD', (row) => row.maintenanceMargin, usd),
    amount('takeable', 'Can be taken now', 'base', (row) => row.liquidatableSize, sizeOf),
    amount('realized', 'Realised PnL', 'USD', (row) => row.taker?.realizedPnl, usd, 'No position of its own'),
    amount('funding', 'Funding paid', 'USD', (row) => row.taker?.fundingPaid, usd, 'No position of its own'),
  ]
  return (
    <Panel id="positions" title="Positions" note="what ranges hold included" actions={<CsvButton title={`positions of ${of.id}`} columns={columns} rows={held} />}>
      {of.margin === null || of.margin === undefined ? <p className="empty"><Unknown why={NO_MARGIN} /> {NO_MARGIN}.</p> : <Table title="Positions" columns={columns} rows={held} rowKey={(row) => row.market.id} empty="It has no open position." />}
    </Panel>
  )
}

function Collateral({ of, settlement }: { of: Of; settlement: string }) {
  type Line = { readonly id: string; readonly symbol: string; readonly amount: string; readonly price: string | null }
  const lines: Line[] = [{ id: settlement, symbol: 'Settlement token', amount: of.settlementBalance.value, price: '1' }, ...of.collaterals.map(({ asset, amount }) => ({ id: asset.id, symbol: asset.symbol, amount: amount.value, price: asset.price?.value ?? null }))]
  const columns: Column<Line>[] = [
    { key: 'token', head: 'Token', value: (line) => line.symbol, cell: (line) => <Hint text={line.id}>{line.symbol}</Hint> },
    { key: 'amount', head: <span>Amount <u>tokens</u></span>, name: 'amount (tokens)', numeric: true, value: (line) => line.amount, cell: (line) => <Figure exact={line.amount} unit={line.symbol}><span className={line.amount.startsWith('-') ? 'down' : undefined}>{size(line.amount)}</span></Figure> },
    { key: 'price', head: <span>Oracle price <u>USD</u></span>, name: 'oracle price (USD)', numeric: true, value: (line) => line.price, cell: (line) => (line.price === null ? <Unknown why="The oracle has given no price" /> : price(line.price)) },
  ]
  return (
    <Panel id="collateral" title="Collateral" note={of.margin ? <>counts <Usd of={of.margin.collateralValue} /> after haircuts, with owed PnL and funding</> : undefined} actions={<CsvButton title={`collateral of ${of.id}`} columns={columns} rows={lines} />}>
      <Table title="Collateral" columns={columns} rows={lines} rowKey={(line) => line.id} />
    </Panel>
  )
}

/** From here on a tick is an end of its pool: the largest one is 887,272, and ranges end on a multiple of the pool's spacing, which is at most 200 (UniswapV3Factory). */
const LAST_TICK = 887_200
const priceOfTick = (tick: number): string => (tick <= -LAST_TICK ? '0' : tick >= LAST_TICK ? '∞' : price(digits(priceAtTick(tick))))
/** Without an exponent: `toFixed` has one from 1e21 on. */
const digits = (value: number): string => (value < 1e21 ? value.toFixed(20) : BigInt(value).toString())
/** A price of Uniswap: display alone, five figures. */
const priceAtTick = (tick: number): number => 1.0001 ** tick
const inRange = (range: Of['ranges'][number]): boolean | null => {
  const now = range.market.marketPrice?.value
  return now === undefined ? null : Number(now) >= priceAtTick(range.lowerTick) && Number(now) < priceAtTick(range.upperTick)
}

function Ranges({ of }: { of: Of }) {
  type Range = Of['ranges'][number]
  const columns: Column<Range>[] = [
    { key: 'market', head: 'Market', value: (row) => row.market.symbol, cell: (row) => <Link href={`/markets/${row.market.symbol}`}>{row.market.symbol}</Link> },
    { key: 'lower', head: <span>From <u>USD</u></span>, name: 'from (tick)', numeric: true, value: (row) => row.lowerTick, cell: (row) => <span title={`tick ${row.lowerTick}`}>{priceOfTick(row.lowerTick)}</span> },
    { key: 'upper', head: <span>To <u>USD</u></span>, name: 'to (tick)', numeric: true, value: (row) => row.upperTick, cell: (row) => <span title={`tick ${row.upperTick}`}>{priceOfTick(row.upperTick)}</span> },
    { key: 'in', head: 'Now', value: (row) => (inRange(row) === null ? null : inRange(row) ? 'in range' : 'out of range'), cell: (row) => (inRange(row) === null ? null : inRange(row) ? <Tag kind="good">in range</Tag> : <Tag>out of range</Tag>) },
    { key: 'liquidity', head: <span>Liquidity <u>raw L</u></span>, name: 'liquidity (raw)', numeric: true, value: (row) => row.liquidity, cell: (row) => <span title={row.liquidity}>{compact(Number(row.liquidity))}</span> },
  ]
  return (
    <Panel id="ranges" title="Liquidity ranges" actions={of.ranges.length > 0 && <CsvButton title={`ranges of ${of.id}`} columns={columns} rows={of.ranges} />}>
      <Table title="Liquidity ranges" columns={columns} rows={of.ranges} rowKey={(row) => row.id} empty="It provides no liquidity." />
    </Panel>
  )
}

const GRIDS = ['SPAN-16', 'DERIBIT-27', 'PMRM-23', 'PMRM2-33', 'TIMS-10', 'REGIMES'] as const

function Portfolio({ id }: { id: string }) {
  const [search, setSearch] = useSearchParams()
  const grid = GRIDS.find((one) => one === search.get('grid')) ?? 'SPAN-16'
  const answer = useAnswer(AccountPortfolioDocument, { id, grid }, 'minute')
  const choose = (value: string) => setSearch((before) => {
    const next = new URLSearchParams(before)
    next.set('grid', value)
    return next
  }, { replace: true })
  return (
    <Panel id="portfolio" title="Portfolio margin against gross" note="what this book would need as a whole; the protocol margins each position by itself" actions={<label className="accounts-label">Scenarios <select value={grid} onChange={(event) => choose(event.target.value)}>{GRIDS.map((one) => <option key={one}>{one}</option>)}</select></label>}>
      <Loaded of={answer} height={420}>{({ portfolioMargin: of, account }) => (of ? <PortfolioFigures of={of} asked={account?.margin ?? null} /> : <Empty>No block is indexed yet.</Empty>)}</Loaded>
    </Panel>
  )
}

type PortfolioOf = NonNullable<AccountPortfolioQuery['portfolioMargin']>
type Asked = NonNullable<AccountPortfolioQuery['account']>['margin']

/** What leads from gross to the whole, by what decided it: `PortfolioMargin.binding`. */
const OFFSETS: Readonly<Record<string, string>> = { 'correlated risk': 'Diversification between assets', 'worst scenario': 'The worst scenario of all at once', 'credit cap': 'Offsets, as far as their cap lets' }

const took = (value: number): string => (Math.abs(value) < 0.005 ? 'takes nothing off' : value > 0 ? `takes ${float(value, 2)} off` : `adds ${float(-value, 2)}`)

/** `asked`: what the protocol asks at the same block; null where it is unknown. */
function PortfolioFigures({ of, asked }: { of: PortfolioOf; asked: Asked }) {
  const offsets = OFFSETS[of.binding] ?? of.binding
  const bars = useMemo(() => [
    ['Each position alone', of.isolated], ['Netting within assets', -of.netting], ['Gross: each asset alone', of.gross], [offsets, -of.diversification], ['As a whole', of.margin],
  ] as const, [of, offsets])
  const option = useCallback((colours: Parameters<Parameters<typeof Chart>[0]['option']>[0]) => {
    const tops = [of.isolated, of.isolated, of.gross, of.gross, of.margin]
    return {
      grid: { left: 64, right: 18, top: 22, bottom: 46 },
      tooltip: tooltip((parameters) => {
        const index = (parameters as { dataIndex: number }[])[0]?.dataIndex ?? 0
        return [[bars[index]?.[0] ?? '', `${float(bars[index]?.[1] ?? 0, 2)} USD`]]
      }),
      xAxis: axis(colours, '', { type: 'category', data: bars.map(([name]) => name), axisLabel: { color: colours.muted, fontSize: 11, lineHeight: 13, interval: 0, width: 110, overflow: 'break' } }),
      yAxis: axis(colours, 'Margin, USD', { type: 'value', nameGap: 48, axisLabel: { color: colours.muted, formatter: (value: number) => compact(value) } }),
      series: [
        { type: 'bar', stack: 'fall', silent: true, itemStyle: { color: 'transparent' }, data: bars.map(([, value], i) => (i % 2 === 1 ? Math.min(tops[i] ?? 0, (tops[i] ?? 0) + value) : 0)) },
        { type: 'bar', stack: 'fall', barWidth: '56%', data: bars.map(([, value], i) => ({ value: Math.abs(value), itemStyle: { color: i % 2 === 1 ? (value <= 0 ? colours.up : colours.down) : colours.series[0] } })), label: { show: true, position: 'top', color: colours.text, fontSize: 11, formatter: ({ dataIndex }: { dataIndex: number }) => { const value = bars[dataIndex]?.[1] ?? 0; return Math.abs(value) < 0.005 ? '0' : compact(value) } } },
      ],
    }
  }, [of, bars])
  const assets: Column<PortfolioOf['assets'][number]>[] = [
    { key: 'asset', head: 'Asset', value: (row) => row.asset },
    { key: 'gross', head: <span>Gross notional <u>USD</u></span>, name: 'gross notional (USD)', numeric: true, value: (row) => row.grossNotional, cell: (row) => float(row.grossNotional, 2) },
    { key: 'delta', head: <span>Long or short of <u>USD</u></span>, name: 'delta notional (USD)', numeric: true, value: (row) => row.deltaNotional, cell: (row) => <span className={row.deltaNotional < 0 ? 'short' : 'long'}>{float(row.deltaNotional, 2)}</span> },
    { key: 'volatility', head: <span>Volatility <u>a day</u></span>, name: 'volatility over the horizon (fraction)', numeric: true, value: (row) => row.volatility, cell: (row) => percent(row.volatility) },
    { key: 'alone', head: <span>Margin alone <u>USD</u></span>, name: 'margin alone (USD)', numeric: true, value: (row) => row.alone, cell: (row) => float(row.alone, 2) },
    { key: 'scan', head: <span>Worst loss <u>USD</u></span>, name: 'worst loss of the grid (USD)', numeric: true, value: (row) => row.scanLoss, cell: (row) => float(row.scanLoss, 2) },
    { key: 'scenario', head: 'Worst row', value: (row) => row.scenario, cell: (row) => row.scenario ?? <span className="muted" title="Nothing in the grid loses">nothing loses</span> },
  ]
  return (
    <>
      <Sums of={[
        ['Portfolio, initial', <>{float(of.initial, 2)} <u>USD</u></>, <>the protocol asks {asked ? <Usd of={asked.initialMargin} /> : <Unknown why={NO_MARGIN} />}</>],
        ['Portfolio, maintenance', <>{float(of.maintenance, 2)} <u>USD</u></>, <>the protocol asks {asked ? <Usd of={asked.maintenanceMargin} /> : <Unknown why={NO_MARGIN} />}</>],
        ['Value less initial', <><span className={of.initialSurplus < 0 ? 'down' : 'up'}>{float(of.initialSurplus, 2)}</span> <u>USD</u></>, of.initialSurplus < 0 ? 'missing' : 'to spare'],
        ['Value less maintenance', <><span className={of.maintenanceSurplus < 0 ? 'down' : 'up'}>{float(of.maintenanceSurplus, 2)}</span> <u>USD</u></>, of.maintenanceSurplus < 0 ? 'missing' : 'to spare'],
        ['Offsets take off', percent(of.offsetCredit), `of gross, at most ${percent(of.creditCap, 0)}`],
        ['Decided by', of.binding, of.scenario ? <>{of.scenario}: {float(of.scenarioLoss, 2)} USD</> : undefined],
      ]} />
      <Chart title="From single positions to the whole" summary={`${float(of.isolated, 2)} USD each alone; netting ${took(of.netting)}, ${offsets.toLowerCase()} ${took(of.diversification)}; ${float(of.margin, 2)} as a whole.`} height={230} option={option} data={{ head: ['step', 'margin (USD)'], rows: bars.map(([name, value]) => [name, value]) }} />
      <Table title="Margin by asset" columns={assets} rows={of.assets} rowKey={(row) => row.asset} />
      {of.correlations.length > 0 && (
        <ul className="accounts-words">
          {of.correlations.map((pair) => <li key={pair.assets.join()}>{pair.assets.join(' and ')}: {pair.unknown ? <>correlation unknown ({pair.unknown.message}); the worse of 0 and 1 counts</> : <>correlation {pair.median?.toFixed(2) ?? '—'}, {pair.low?.toFixed(2) ?? '—'} to {pair.high?.toFixed(2) ?? '—'} in 9 of 10 windows of 90 h</>}.</li>)}
        </ul>
      )}
      <Provenance of={of.provenance} />
    </>
  )
}

const KINDS: readonly AccountEventKind[] = ['TRADE', 'LIQUIDATION', 'COLLATERAL_LIQUIDATION', 'DEPOSIT', 'WITHDRAWAL', 'BAD_DEBT', 'LIQUIDITY', 'FUNDING']
const HISTORY_PAGE = 50

function flowCell(event: Event) {
  const flow = flowOf(event)
  return flow.value === null ? <Hint text={flow.none}><span className="muted">–</span></Hint> : <Figure exact={flow.value} unit="USD">{signedUsd(flow.value)}</Figure>
}
const signedUsd = (value: string): string => `${Number(value) >= 0.005 ? '+' : ''}${usd(value)}`

const EVENT_COLUMNS: readonly Column<Event>[] = [
  { key: 'time', head: <span>Time <u>UTC</u></span>, name: 'time (unix s)', value: (row) => row.timestamp, cell: (row) => <Time at={row.timestamp} /> },
  { key: 'kind', head: 'What', value: (row) => words(row.kind), cell: (row) => (row.kind === 'LIQUIDATION' || row.kind === 'BAD_DEBT' || row.kind === 'COLLATERAL_LIQUIDATION' ? <Tag kind="down">{words(row.kind)}</Tag> : <Tag>{words(row.kind)}</Tag>) },
  { key: 'market', head: 'Market', value: (row) => row.market?.symbol ?? row.token ?? '', cell: (row) => (row.market ? <Link href={`/markets/${row.market.symbol}`}>{row.market.symbol}</Link> : (row.token ?? '')) },
  { key: 'detail', head: 'Detail', words: true, value: detailOf },
  { key: 'value', head: <span title="Into the account is +, out of it −; what it paid in fees and penalties is not in it">Value into it <u>USD</u></span>, name: 'Value into the account, USD', numeric: true, value: (row) => flowOf(row).value, cell: flowCell },
  { key: 'fee', head: <span>Fee or penalty <u>USD</u></span>, name: 'Fee or penalty paid, USD', numeric: true, value: chargeOf, cell: (row) => { const charge = chargeOf(row); return charge === null ? <span className="muted">·</span> : <Figure exact={charge} unit="USD">{usd(charge)}</Figure> } },
  { key: 'block', head: 'Block', numeric: true, value: (row) => row.block, cell: (row) => whole(row.block) },
  { key: 'transaction', head: 'Transaction', value: (row) => row.transactionHash, cell: (row) => <Address of={row.transactionHash} label="Transaction" /> },
]

function History({ id }: { id: string }) {
  const [search, setSearch] = useSearchParams()
  const kind = KINDS.find((one) => one === search.get('kind')) ?? null
  const answer = useInfiniteQuery({
    // All of its pages are read again each time.
    queryKey: ['minute', 'AccountHistory', id, kind],
    queryFn: ({ pageParam, signal }) => ask(AccountHistoryDocument, { id, first: HISTORY_PAGE, after: pageParam, kinds: kind === null ? null : [kind] }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => (last.account?.history.pageInfo.hasNextPage ? last.account.history.pageInfo.endCursor : null),
    placeholderData: (before) => before,
  })
  const parameters = useAnswer(AccountParametersDocument, { id }, 'minute')
  const choose = (value: string) => setSearch((before) => {
    const next = new URLSearchParams(before)
    if (value) next.set('kind', value)
    else next.delete('kind')
    return next
  }, { replace: true })
  const { data, error, hasNextPage, isFetchingNextPage, isPlaceholderData, fetchNextPage, refetch } = answer
  const events = data?.pages.flatMap((page) => page.account?.history.nodes ?? []) ?? []
  // The former kind's rows are no rows of this one: they carry no total, and no file is made of them.
  const newest = isPlaceholderData ? undefined : data?.pages[0]
  const count = newest?.account?.history.totalCount
  const block = newest?.status.indexed?.number
  return (
    <Panel id="history" title="History" note={count === undefined ? undefined : `${whole(count)} in all${block === undefined ? '' : ` by block ${whole(block)}`}, newest first`} actions={<><label className="accounts-label">Show <select value={kind ?? ''} onChange={(event) => choose(event.target.value)}><option value="">everything</option>{KINDS.map((one) => <option key={one} value={one}>{words(one)}</option>)}</select></label>{!isPlaceholderData && <CsvButton title={`history of ${id}`} columns={EVENT_COLUMNS} rows={events} />}</>}>
      {error && <Notice kind="degraded" title={sentence(error)}><button type="button" onClick={() => void refetch()}>Ask again</button></Notice>}
      {data === undefined && !error && <div className="loading accounts-history" role="status"><span className="sr">Loading …</span></div>}
      {data && (
        <div className="answer" aria-busy={isPlaceholderData}>
          {isPlaceholderData && <span className="sr" role="status">Asking again …</span>}
          <Table title="History" columns={EVENT_COLUMNS} rows={events} rowKey={(row) => row.id} empty={isPlaceholderData ? 'Asking again …' : kind === null ? 'Nothing happened to it by this block.' : `No ${words(kind)} by this block.`} />
        </div>
      )}
      {hasNextPage && <button type="button" className="all" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>{isFetchingNextPage ? 'Reading …' : 'Show older'}</button>}
      {parameters.data && parameters.data.parameterChanges.nodes.length > 0 && (
        <ul className="accounts-words">{parameters.data.parameterChanges.nodes.map((change) => <li key={change.id}><Time at={change.timestamp} /> {change.name}: {change.oldDisplay ?? '—'} → <b>{change.newDisplay}</b>, by <Address of={change.sender} label="Sender" /></li>)}</ul>
      )}
    </Panel>
  )
}
