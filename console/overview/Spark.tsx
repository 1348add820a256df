/** A line without axes, for a glance; the figures stand beside it. */

const [WIDTH, HEIGHT, PAD] = [100, 24, 2]

/** `of`: [time, value], oldest first. */
export function Spark({ of, label, className }: { of: readonly (readonly [at: number, value: number])[]; label: string; className?: string }) {
  const times = of.map(([at]) => at)
  const values = of.map(([, value]) => value)
  const [from = 0, to = 1] = [times[0], times.at(-1)]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const x = (at: number): number => (to === from ? WIDTH / 2 : ((at - from) / (to - from)) * WIDTH)
  const y = (value: number): number => (high === low ? HEIGHT / 2 : HEIGHT - PAD - ((value - low) / (high - low)) * (HEIGHT - 2 * PAD))
  const path = of.map(([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('')
  return <svg className={`spark${className ? ` ${className}` : ''}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>{of.length > 1 && <path d={path} />}</svg>
}
