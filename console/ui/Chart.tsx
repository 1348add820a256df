/** A chart by Apache ECharts: drawn in the theme's colours, given out as PNG, SVG and CSV, and beside it the same figures as a table. */
import { Menu } from '@base-ui/react/menu'
import { useEffect, useId, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import type { ECharts, EChartsCoreOption } from './echarts.ts'
import { csv, download, fileName } from './export.ts'
import type { Cell } from './export.ts'
import { Notice } from './parts.tsx'
import { useDark } from './theme.ts'

/** Colours by meaning, as the page's own style has them now. */
export type Palette = {
  readonly text: string
  readonly muted: string
  readonly line: string
  readonly panel: string
  readonly accent: string
  readonly up: string
  readonly warn: string
  readonly down: string
  /** Long and short: told apart without red and green. */
  readonly long: string
  readonly short: string
  /** Okabe and Ito's series, adjusted to the ground for contrast. */
  readonly series: readonly string[]
}

function palette(): Palette {
  const probe = document.body.appendChild(document.createElement('span'))
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  try {
    return {
      text: colour('text'), muted: colour('muted'), line: colour('line'), panel: colour('panel'), accent: colour('accent'), up: colour('up'), warn: colour('warn'), down: colour('down'), long: colour('long'), short: colour('short'),
      series: [1, 2, 3, 4, 5, 6].map((index) => colour(`s${index}`)),
    }
  } finally {
    probe.remove()
  }
}

export type ChartData = { readonly head: readonly string[]; readonly rows: readonly (readonly Cell[])[] }

const FONT = "'Inter Variable', system-ui, sans-serif"

/** What every chart has, whatever it shows. */
function base(colours: Palette): EChartsCoreOption {
  return {
    animation: false,
    backgroundColor: 'transparent',
    color: [...colours.series],
    textStyle: { fontFamily: FONT, fontSize: 12, color: colours.text },
    aria: { enabled: false },
    // Every time on the page is UTC and says so.
    useUTC: true,
  }
}

/** An axis with its name and unit, quiet lines and readable labels. Spread into `xAxis` or `yAxis`. */
export const axis = (colours: Palette, name: string, more: object = {}): object => ({
  name,
  nameLocation: 'middle',
  nameGap: 34,
  nameTextStyle: { color: colours.muted, fontSize: 12, fontFamily: FONT },
  axisLabel: { color: colours.muted, fontSize: 11, fontFamily: FONT, hideOverlap: true },
  axisLine: { lineStyle: { color: colours.line } },
  axisTick: { lineStyle: { color: colours.line } },
  splitLine: { lineStyle: { color: colours.line, opacity: 0.6 } },
  ...more,
})

/** A tooltip in the page's own style; `lines` gives its words as [label, figure]. The content security policy refuses markup with styles in it, so it is made of elements. */
export const tooltip = (lines: (parameters: unknown) => readonly (readonly [string, string])[], more: object = {}): object => ({
  trigger: 'axis',
  confine: true,
  appendTo: undefined,
  className: 'hint chart-hint',
  backgroundColor: undefined,
  borderWidth: 0,
  padding: 0,
  extraCssText: 'box-shadow: none',
  formatter: (parameters: unknown) => {
    const list = document.createElement('dl')
    for (const [label, figure] of lines(parameters)) {
      const term = list.appendChild(document.createElement('dt'))
      term.textContent = label
      list.appendChild(document.createElement('dd')).textContent = figure
    }
    return list
  },
  ...more,
})

/**
 * `option` is asked again when the colours or what it closes over change. `title` names the chart and its files; `summary` says in words
 * what it shows; `data` is the same as a table. `onReady` may add handlers and gives back how to take them off.
 */
export function Chart({ title, summary, option, data, height = 260, onReady, children }: {
  title: string
  summary: string
  option: (colours: Palette) => EChartsCoreOption
  data: ChartData
  height?: number
  onReady?: (chart: ECharts) => (() => void) | undefined
  children?: ReactNode
}) {
  const box = useRef<HTMLDivElement>(null)
  const [ready, setReady] = useState<ECharts>()
  const [table, setTable] = useState(false)
  const [fault, setFault] = useState(false)
  const dark = useDark()
  const id = useId()
  useEffect(() => {
    let gone = false
    let made: ECharts | undefined
    let observer: ResizeObserver | undefined
    void import('./echarts.ts').then(({ init }) => {
      if (gone || !box.current) return
      const drawn = (made = init(box.current, null, { renderer: 'canvas' }))
      observer = new ResizeObserver(() => drawn.resize())
      observer.observe(box.current)
      setReady(drawn)
    }, () => { if (!gone) setFault(true) })
    return () => {
      gone = true
      observer?.disconnect()
      made?.dispose()
    }
  }, [])
  useEffect(() => {
    if (!ready || ready.isDisposed()) return
    const colours = palette()
    ready.setOption({ ...base(colours), ...option(colours) }, { notMerge: true, lazyUpdate: false })
  }, [ready, option, dark])
  useEffect(() => (ready && onReady ? onReady(ready) : undefined), [ready, onReady])

  const picture = async (kind: 'png' | 'svg') => {
    // It is asked for of a chart that is still on its way, too.
    const { clientWidth: width, clientHeight } = box.current!
    const library = await import('./echarts.ts').catch(() => setFault(true))
    if (!library) return
    const colours = palette()
    const host = document.createElement('div')
    const copy = library.init(host, null, { renderer: kind === 'svg' ? 'svg' : 'canvas', width, height: clientHeight, devicePixelRatio: 2 })
    try {
      copy.setOption({ ...base(colours), ...option(colours), backgroundColor: colours.panel })
      if (kind === 'svg') download(`${fileName(title)}.svg`, copy.renderToSVGString(), 'image/svg+xml')
      else (copy.renderToCanvas({ backgroundColor: colours.panel, pixelRatio: 2 })).toBlob((blob) => { if (blob) download(`${fileName(title)}.png`, blob) })
    } finally {
      // toBlob reads the canvas later; it belongs to the copy no more.
      copy.dispose()
    }
  }
  return (
    <figure className="chart" aria-labelledby={`${id}-caption`}>
      <figcaption id={`${id}-caption`}>
        <b>{title}</b><span className="summary">{summary}</span>
        <Menu.Root>
          <Menu.Trigger className="quiet" aria-label={`Save or read ${title}`}>⋯</Menu.Trigger>
          <Menu.Portal><Menu.Positioner sideOffset={4} align="end"><Menu.Popup className="menu">
            <Menu.Item onClick={() => setTable(!table)}>{table ? 'Hide the table' : 'Show as a table'}</Menu.Item>
            <Menu.Item onClick={() => download(`${fileName(title)}.csv`, csv(data.head, data.rows), 'text/csv')}>Save as CSV</Menu.Item>
            <Menu.Item onClick={() => void picture('png')}>Save as PNG</Menu.Item>
            <Menu.Item onClick={() => void picture('svg')}>Save as SVG</Menu.Item>
          </Menu.Popup></Menu.Positioner></Menu.Portal>
        </Menu.Root>
      </figcaption>
      {fault && <Notice kind="degraded" title="The chart could not be loaded.">Its figures can be had as a table or CSV (⋯). Load the page again for the chart.</Notice>}
      <div ref={box} className="canvas" style={{ height }} role="img" aria-label={`${title}. ${summary}`} />
      {children}
      {table && (
        <div className="scroll tall" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table><thead><tr>{data.head.map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead><tbody>{data.rows.slice(0, 500).map((row, index) => <tr key={index}>{row.map((cell, at) => <td key={at}>{cell == null ? '—' : String(cell)}</td>)}</tr>)}</tbody></table>
          {data.rows.length > 500 && <p className="empty">The first 500 of {data.rows.length} rows; the CSV holds all.</p>}
        </div>
      )}
    </figure>
  )
}
