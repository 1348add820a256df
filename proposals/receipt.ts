/** A sent transaction's receipt. */
import { setTimeout as pause } from 'node:timers/promises'
import { TransactionReceiptNotFoundError } from 'viem'
import type { PublicActions, TransactionReceipt } from 'viem'
import type { Hex } from '../protocols/adapter.ts'

/**
 * Asks for the receipt itself, again and again, until it is there; null after `timeoutMs`. viem's `waitForTransactionReceipt` looks again
 * at a new block only, and on a chain that mines for one transaction at a time the next block may never come.
 */
export async function receiptOf(client: Pick<PublicActions, 'getTransactionReceipt'>, hash: Hex, options: { readonly timeoutMs: number; readonly everyMs: number }): Promise<TransactionReceipt | null> {
  const until = performance.now() + options.timeoutMs
  for (;;) {
    const receipt = await client.getTransactionReceipt({ hash }).catch((error: unknown) => {
      if (error instanceof TransactionReceiptNotFoundError) return null
      throw error
    })
    if (receipt !== null || performance.now() > until) return receipt
    await pause(options.everyMs)
  }
}
