/** Prints what happens, a line each, on stderr: seconds since the start, the part, what it did. */
export function createProgress(): (step: string, detail: string) => void {
  const startedAt = performance.now()
  const last = new Map<string, string>()
  return (step, detail) => {
    if (last.get(step) === detail) return
    last.set(step, detail)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)
    process.stderr.write(`${seconds} s  ${step.padEnd(10)}  ${detail}\n`)
  }
}
