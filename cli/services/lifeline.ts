/**
 * How a supervised process speaks: JSON lines on stdout are its events, stderr is its log, and a closed stdin
 * (the supervisor is gone, however it went) or SIGINT/SIGTERM ends it.
 */

/** Tells the supervisor something. */
export function emit(event: Readonly<Record<string, unknown>> & { readonly event: string }): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

/** Runs `stop` once when this process is to end, then exits with 0 (or 1 when `stop` failed). */
export function onEnd(stop: () => Promise<void>): void {
  let ending = false
  const end = (): void => {
    if (ending) return
    ending = true
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        process.exit(1)
      },
    )
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  process.stdin.on('end', end)
  process.stdin.on('close', end)
  process.stdin.resume()
}
