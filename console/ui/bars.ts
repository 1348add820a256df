/** Bars over stretches of an axis, and which stretch the pointer is in. */

/** A bar from one place of the horizontal axis to another, and from one height to another. */
export type Bar = readonly [from: number, to: number, low: number, high: number]

/** Of a bar that is left free on either side, px, where it is wide enough. */
const GAP = 0.5

type Drawing = { readonly value: (dimension: number) => number; readonly coord: (at: readonly [number, number]) => readonly [number, number]; readonly visual: (name: 'color') => string }

/**
 * A series of bars that fill what they are about; `least` is the width of a narrower one, px, about its middle. Drawn by us: under a bar of
 * its own ECharts widens a value or time axis even where `min` and `max` are set, so that a place of it stands over another one of the next axis.
 */
export const bars = (name: string, colour: string, data: readonly Bar[], { least = 1, ...more }: { readonly least?: number } & Readonly<Record<string, unknown>> = {}): object => ({
  name, type: 'custom', clip: true, silent: true, itemStyle: { color: colour }, tooltip: { show: false },
  dimensions: ['from', 'to', 'low', 'high'], encode: { x: ['from', 'to'], y: ['low', 'high'] }, data,
  renderItem: (_: unknown, { value, coord, visual }: Drawing) => {
    const [left, bottom] = coord([value(0), value(2)])
    const [right, top] = coord([value(1), value(3)])
    if (top === bottom) return null
    const width = Math.max(least, right - left - 2 * GAP)
    return { type: 'rect', shape: { x: (left + right - width) / 2, y: Math.min(top, bottom), width, height: Math.abs(bottom - top) }, style: { fill: visual('color') } }
  },
  ...more,
})

/** A grid whose edges stand where they are told: ECharts would move them inwards where an axis has wide labels, and one plot away from the next. */
export const plot = (edges: object): object => ({ ...edges, outerBoundsMode: 'none' })

const POINTED = 'the interval under the pointer'

/**
 * An unseen point in the middle of every interval that touches [fromSec, toSec]: the one nearest to the pointer is of the interval that
 * the pointer is in, which `pointed` reads in a tooltip's `lines`. Its axes need `axisPointer: { snap: false }`, that points of lines draw no pointer away.
 */
export function intervals(fromSec: number, toSec: number, lengthSec: number, more: object = {}): object {
  const first = Math.floor(fromSec / lengthSec)
  const count = Math.max(0, Math.ceil(toSec / lengthSec) - first)
  return { name: POINTED, type: 'scatter', symbol: 'none', silent: true, data: Array.from({ length: count }, (_, i) => [(first + i + 0.5) * lengthSec * 1000, 0]), ...more }
}

/** Start of the interval that the pointer is in, Unix s. */
export function pointed(parameters: unknown, lengthSec: number): number | undefined {
  const middle = (parameters as readonly { seriesName: string; value: readonly number[] }[]).find(({ seriesName }) => seriesName === POINTED)?.value[0]
  return middle === undefined ? undefined : middle / 1000 - lengthSec / 2
}
