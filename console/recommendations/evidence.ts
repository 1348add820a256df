/**
 * What a recommendation's evidence shows, as bars against the value now and the recommended one. Figures are the evidence's own, as the API words
 * them; where one that a chart needs is missing or unknown, its bar is left out and named in `missing`.
 */
import { leadingNumber } from '../parameters/values.ts'

export type Evidence = { readonly label: string; readonly value: string; readonly unit: string; readonly source: string }
export type Bar = { readonly label: string; readonly parts: readonly { readonly name: string; readonly value: number; readonly text: string }[] }
export type Level = { readonly label: string; readonly value: number; readonly kind: 'now' | 'recommended' | 'limit' }
export type EvidenceChart = { readonly title: string; readonly axis: string; readonly unit: string; readonly bars: readonly Bar[]; readonly levels: readonly Level[]; readonly summary: string; readonly missing: readonly string[] }

type Of = { readonly model: string; readonly parameter: string; readonly currentDisplay: string; readonly recommendedDisplay: string; readonly evidence: readonly Evidence[] }

const percentText = (value: number): string => `${Number(value.toFixed(2))} %`

/** The chart of this model's evidence; null for a model that none is known for, or whose evidence has too little of it. */
export function evidenceChart(of: Of): EvidenceChart | null {
  const missing: string[] = []
  const find = (label: string | RegExp): Evidence | undefined => of.evidence.find((one) => (typeof label === 'string' ? one.label === label : label.test(one.label)))
  const single = (label: string | RegExp): Bar[] => {
    const one = find(label)
    const value = one && leadingNumber(one.value)
    if (one && value == null) missing.push(`${one.label}: ${one.value} (${one.source})`)
    return one && value != null ? [{ label: one.label, parts: [{ name: one.label, value, text: one.value }] }] : []
  }
  const all = (label: RegExp): Bar[] => of.evidence.filter((one) => label.test(one.label)).flatMap((one) => single(one.label))
  const stacked = (label: string, bars: readonly Bar[]): Bar[] => (bars.length === 0 ? [] : [{ label, parts: bars.flatMap(({ parts }) => parts) }])
  const level = (label: string, value: number | null, kind: Level['kind']): Level[] => (value === null ? [] : [{ label, value, kind }])
  const now = leadingNumber(of.currentDisplay)
  const next = leadingNumber(of.recommendedDisplay)
  const ownLevels = [...level(`now ${of.currentDisplay}`, now, 'now'), ...level(`recommended ${of.recommendedDisplay}`, next, 'recommended')]
  const chart = (title: string, axis: string, unit: string, bars: readonly Bar[], levels: readonly Level[], summary: string): EvidenceChart | null => (bars.length === 0 ? null : { title, axis, unit, bars, levels, summary, missing })

  switch (of.model) {
    case 'dynamic-margin': {
      const asked = all(/^Asked for by /)
      const [worst] = asked.toSorted((a, b) => (b.parts[0]?.value ?? 0) - (a.parts[0]?.value ?? 0))
      const shortfalls = all(/^ES .* over /).toSorted((a, b) => (b.parts[0]?.value ?? 0) - (a.parts[0]?.value ?? 0))
      const terms = [...shortfalls.slice(0, 1), ...single('Impact of closing'), ...single('Liquidation penalty')]
      const sum = terms.reduce((total, { parts }) => total + (parts[0]?.value ?? 0), 0)
      // The initial margin may be a multiple of the maintenance margin: its terms do not add up to it, and stand one by one.
      const adds = worst?.parts[0] && Math.abs(sum - worst.parts[0].value) < 0.05
      const bars = adds ? [...stacked(`${worst.label.replace('Asked for by ', '')}: what adds up`, terms), ...asked] : [...asked, ...shortfalls, ...single('Impact of closing'), ...single('Liquidation penalty')]
      return chart('What the models ask for', 'Of notional, %', '%', bars, ownLevels, `${asked.map(({ label, parts }) => `${label.replace('Asked for by ', '')} ${parts[0]?.text}`).join(', ')}; it is ${of.currentDisplay}. One ratio stands for all markets, so the largest decides.`)
    }
    case 'volatility-band':
    case 'volatility-band-ticks': {
      const ticks = of.model === 'volatility-band-ticks'
      const move = (value: number | null): number | null => (value === null ? null : ticks ? (1.0001 ** value - 1) * 100 : value)
      const factor = (label: string, times: string, by: readonly Bar[]): Bar[] => {
        const many = leadingNumber(find(times)?.value ?? '')
        const [largest] = by.toSorted((a, b) => (b.parts[0]?.value ?? 0) - (a.parts[0]?.value ?? 0))
        const value = largest?.parts[0]?.value
        return many === null || value === undefined ? [] : [{ label: `${many} × ${label}`, parts: [{ name: label, value: many * value, text: percentText(many * value) }] }]
      }
      const sigmas = [...single('5-minute volatility now'), ...single('5-minute volatility of the window')]
      const spread = single(/^Spread that /)
      const bars = [...sigmas, ...factor('the larger of these', 'Volatilities in the band', sigmas), ...spread, ...factor('that spread', 'Usual spreads in the band', spread), ...single('Narrowest band')]
      const at = (display: string, value: number | null): string => (ticks && value !== null ? `${display}, ${percentText(value)}` : display)
      const [a, b] = [move(now), move(next)]
      return chart('What the band is for', ticks ? 'Move of the price, %' : 'From the index price, %', '%', bars, [...level(`now ${at(of.currentDisplay, a)}`, a, 'now'), ...level(`recommended ${at(of.recommendedDisplay, b)}`, b, 'recommended')], `The widest of several volatilities, usual spreads and the narrowest that the policy allows is asked for; it is ${at(of.currentDisplay, a)}.`)
    }
    case 'haircut': {
      const parts = all(/^Haircut for /)
      const total = parts.reduce((sum, bar) => sum + (bar.parts[0]?.value ?? 0), 0)
      const not = (value: number | null): number | null => (value === null ? null : 100 - value)
      const [a, b] = [not(now), not(next)]
      return chart('What should not be counted', 'Of value, %', '%', [...stacked('Haircut, what adds up', parts), ...single('Smallest haircut')], [...level(`not counted now ${a === null ? '' : percentText(a)}`, a, 'now'), ...level(`recommended ${b === null ? '' : percentText(b)}`, b, 'recommended')], `${parts.map((bar) => `${bar.label.replace('Haircut for ', '')} ${bar.parts[0]?.text}`).join(', ')}: ${percentText(total)} together; ${a === null ? 'unknown' : percentText(a)} is not counted now.`)
    }
    case 'keeper-cost': {
      const costs = all(/^Cost: /)
      return chart('What a liquidation costs and what penalty pays it', 'Of notional, %', '%', [...stacked('Costs in the market that needs most', costs), ...all(/^Penalty that .* needs$/), ...single('Cap')], ownLevels, `${costs.map((bar) => `${bar.label.replace('Cost: ', '')} ${bar.parts[0]?.text}`).join(', ')}; the keeper gets a share of the penalty alone, so it has to be larger than the costs.`)
    }
    case 'fund-target': {
      const unit = of.currentDisplay.split(' ').at(-1) ?? ''
      const decided = find('Decided by')
      return chart('What the fund should be able to pay', unit, unit, [...single('Cover-1'), ...single('Cover-2'), ...single('Expected shortfall over scenarios'), ...single(/^Simulated shortfall, .* quantile$/), ...single('Simulated shortfall'), ...single(/ of open interest$/), ...single('Fund now')], ownLevels, `${decided ? `Decided by ${decided.value}, ${decided.source}. ` : ''}The threshold is ${of.currentDisplay}.`)
    }
    case 'fund-filling': {
      const fees = find('Trading fees')
      const perDay = fees && leadingNumber(fees.value)
      const unit = fees?.unit.split(' ')[0] ?? ''
      const share = (label: string, ratio: number | null): Bar[] => (perDay == null || ratio === null ? [] : [{ label, parts: [{ name: 'Fees to the fund', value: (perDay * ratio) / 100, text: `${((perDay * ratio) / 100).toFixed(2)} ${unit}` }] }])
      return chart('What the market pays into the fund and may cost it', `${unit} a day`, `${unit} a day`, [...share(`Fees at ${of.currentDisplay}`, now), ...(next === now ? [] : share(`Fees at ${of.recommendedDisplay}`, next)), ...single('Expected losses')], [], `Of ${fees?.value ?? 'unknown'} of trading fees a day, its mean over the window; losses are those of the fund’s simulation.`)
    }
    default:
      return null
  }
}
