/** One number by a slider and by typing: the slider is for finding it, the field for saying it exactly. What was typed stays as it was typed. */
import { Slider } from '@base-ui/react/slider'
import { useId } from 'react'
import type { ReactNode } from 'react'
import { typedNumber } from './number.ts'

/** Where a value stands on the slider: steps of the keyboard are those of the position. */
export type Scale = { readonly min: number; readonly max: number; readonly step?: number; readonly toPosition: (value: number) => number; readonly fromPosition: (position: number) => number }

export type Range = { readonly name: string; readonly low: number; readonly high: number; readonly unit: string; readonly whole?: boolean }

export const linear = (min: number, max: number, step: number): Scale => ({ min, max, step, toPosition: (value) => value, fromPosition: (position) => Number(position.toPrecision(12)) })

/** Equal steps of the slider are equal ratios: `steps` of them from `min` to `max`, values rounded to `digits` figures. */
export const geometric = (min: number, max: number, steps: number, digits = 2): Scale => ({
  min: 0,
  max: steps,
  toPosition: (value) => Math.round((steps * Math.log(value / min)) / Math.log(max / min)),
  fromPosition: (position) => (position >= steps ? max : position <= 0 ? min : Number((min * (max / min) ** (position / steps)).toPrecision(digits))),
})

/** The slider rests on these values alone; the field takes all between them. */
export const stops = (values: readonly number[]): Scale => ({
  min: 0,
  max: values.length - 1,
  toPosition: (value) => values.reduce((best, one, index) => (Math.abs(one - value) < Math.abs((values[best] as number) - value) ? index : best), 0),
  fromPosition: (position) => values[position] as number,
})

/** The number that a text says, or what is wrong with it, in one sentence. */
export function read(text: string, { name, low, high, unit, whole = false }: Range): { readonly value: number; readonly fault: null } | { readonly value: null; readonly fault: string } {
  const value = typedNumber(text)
  const found = text.trim()
  const allowed = `allowed is ${whole ? 'a whole number' : 'a number'} from ${said(low)} to ${said(high)}${unit && ` ${unit}`}`
  if (value === null) return { value: null, fault: `${name}: found ${found === '' ? 'nothing' : `“${found.slice(0, 30)}”`}, ${allowed}${found.includes(',') ? ', with a point before its decimals' : ''}; correct it.` }
  if (value < low || value > high || (whole && !Number.isInteger(value))) return { value: null, fault: `${name}: found ${said(value)}${unit && ` ${unit}`}, ${allowed}; correct it.` }
  return { value, fault: null }
}

const said = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: 6 }).replace('-', '−')

/** `commit` hears what was settled on: after a drag, a key, or a typed number; `change` everything. Ends of the slider are written below it. */
export function Dial({ range, label, text, scale, change, ends, valueText, aside, quiet = false, children }: {
  range: Range
  label: ReactNode
  text: string
  scale: Scale
  change: (text: string) => void
  ends?: readonly [string, string]
  valueText?: (value: number) => string
  /** Beside the label: a button that sets it back. */
  aside?: ReactNode
  /** The value is not its own. */
  quiet?: boolean
  children?: ReactNode
}) {
  const id = useId()
  const { value, fault } = read(text, range)
  const shown = value === null ? scale.min : Math.min(scale.max, Math.max(scale.min, scale.toPosition(value)))
  const spoken = valueText ?? ((one: number) => `${said(one)} ${range.unit}`)
  return (
    <div className={quiet ? 'dial quiet' : 'dial'}>
      <span className="dial-label"><label htmlFor={id}>{label}</label>{aside}</span>
      <Slider.Root value={shown} min={scale.min} max={scale.max} step={scale.step ?? 1} thumbAlignment="edge" onValueChange={(position) => change(String(scale.fromPosition(position)))}>
        <Slider.Control className="dial-control">
          <Slider.Track className="dial-track">
            <Slider.Indicator className="dial-indicator" />
            <Slider.Thumb className="dial-thumb" getAriaLabel={() => range.name} getAriaValueText={(_, position) => spoken(scale.fromPosition(position))} />
          </Slider.Track>
        </Slider.Control>
        {ends && <span className="dial-ends" aria-hidden="true"><span>{ends[0]}</span><span>{ends[1]}</span></span>}
      </Slider.Root>
      <span className="dial-field">
        <input id={id} inputMode="decimal" autoComplete="off" spellCheck={false} value={text} aria-invalid={fault !== null} aria-describedby={fault === null ? undefined : `${id}-fault`} onChange={(event) => change(event.target.value)} />
        {range.unit && <span className="dial-unit">{range.unit}</span>}
      </span>
      {fault !== null && <p className="dial-fault" id={`${id}-fault`} role="alert">{fault}</p>}
      {children && <p className="dial-note">{children}</p>}
    </div>
  )
}
