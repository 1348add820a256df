import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort } from '../../core/ports.ts'
import { type Anvil, startAnvil } from '../../devnet/anvil.ts'
import { compileOwnContracts } from '../../devnet/artifacts.ts'
import { planDeployment } from '../../devnet/deploy.ts'

/** The cache that `npm start` uses too: what one has made, the other need not make again. */
export const CACHE_DIR = resolve('.bulwark/cache')

export const plan = async () => {
  const own = await compileOwnContracts(CACHE_DIR)
  return { own, plan: await planDeployment(own) }
}

/** A folder of its own, removed afterwards. */
export async function withFolder<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'bulwark-devnet-'))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** An empty chain, stopped afterwards. */
export const withChain = <T>(work: (anvil: Anvil) => Promise<T>): Promise<T> =>
  withFolder(async (dir) => {
    const anvil = await startAnvil({ port: await freePort(), stateDir: dir })
    try {
      return await work(anvil)
    } finally {
      await anvil.stop()
    }
  })
