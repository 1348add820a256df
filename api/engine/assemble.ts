import { createRequire } from 'node:module'
import type Wabt from 'wabt'
import { KERNEL_TEXT } from '../risk/index.ts'

let assembled: Promise<WebAssembly.Module> | null = null

/** The stress kernel, assembled from its text once per process (some ten milliseconds). */
export function assembleKernel(): Promise<WebAssembly.Module> {
  assembled ??= (async () => {
    // wabt is a CommonJS module whose types call it a namespace.
    const load = createRequire(import.meta.url)('wabt') as typeof Wabt
    const wabt = await load()
    const parsed = wabt.parseWat('stress.wat', KERNEL_TEXT, { simd: true, threads: true })
    try {
      return await WebAssembly.compile(new Uint8Array(parsed.toBinary({}).buffer))
    } finally {
      parsed.destroy()
    }
  })()
  return assembled
}
