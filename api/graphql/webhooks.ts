/**
 * Alerts to receivers of one's own: an outbox in the database, filled once per event and receiver, sent until it was taken.
 *
 * Each request carries `Bulwark-Delivery`, also as `Idempotency-Key` (the same at every attempt: a receiver drops what it has seen), `Bulwark-Timestamp` (Unix seconds
 * of this attempt) and `Bulwark-Signature: v1=<hex>`, HMAC-SHA256 under the shared secret over `<timestamp>.<body>`. A receiver checks the
 * signature and that the timestamp is recent. Any 2xx takes a delivery. What was taken or given up stays in the outbox for 30 days, and longer
 * while it still lasts.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Logger } from '../../core/log.ts'
import { maskUrls } from '../../core/log.ts'
import type { PrismaClient } from '../../prisma/client.ts'
import type { CancellationJson } from '../../proposals/store.ts'
import { changeAnswer } from './risk/breakers.ts'

export type WebhookOptions = {
  readonly prisma: PrismaClient
  readonly log: Logger
  readonly urls: readonly string[]
  /** At least 16 characters. */
  readonly secret: string
  /** From this urgency on a recommendation is an alert, 0 to 100. */
  readonly urgency?: number
  readonly now?: () => number
  readonly backoffMs?: (attempt: number) => number
  readonly send?: typeof fetch
}

export type Webhooks = {
  /** Puts what happened since into the outbox and sends what is due. Calls of several servers may overlap. */
  run(): Promise<{ readonly queued: number; readonly sent: number; readonly failed: number }>
}

const URGENT = 60
/** Breaker changes that are alerts, chain time, s. */
const RECENT_SEC = 86_400n
const MAX_ATTEMPTS = 14
const TIMEOUT_MS = 10_000
/** A delivery that is being sent belongs to its sender for so long, ms. */
const CLAIM_MS = 60_000
const BATCH = 20
/** A delivery that was taken or given up is kept for so long, ms. */
const KEEP_MS = 30 * 86_400_000
/** 5 s, 10 s, 20 s … up to an hour: 14 attempts reach about four hours. */
const backoff = (attempt: number): number => Math.min(3_600_000, 5_000 * 2 ** (attempt - 1))

export const signatureOf = (secret: string, timestamp: string, body: string): string => `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`

/** Whether a request is ours and recent: what a receiver does. */
export function verifySignature(request: { readonly secret: string; readonly timestamp: string; readonly body: string; readonly signature: string; readonly nowSec: number; readonly toleranceSec?: number }): boolean {
  const { secret, timestamp, body, signature, nowSec, toleranceSec = 300 } = request
  const [expected, found] = [Buffer.from(signatureOf(secret, timestamp, body)), Buffer.from(signature)]
  return /^\d+$/.test(timestamp) && Math.abs(nowSec - Number(timestamp)) <= toleranceSec && expected.length === found.length && timingSafeEqual(expected, found)
}

type Event = { readonly kind: 'BREAKER_CHANGE' | 'URGENT_RECOMMENDATION' | 'PROPOSAL_AWAITS_SIGNATURE'; readonly key: string; readonly data: unknown }

const plain = (value: unknown): string => JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))

export function createWebhooks({ prisma, log, urls, secret, urgency = URGENT, now = Date.now, backoffMs = backoff, send = fetch }: WebhookOptions): Webhooks {
  /** What is to be told now. An event keeps its key for as long as it is the same, so that it is told once. */
  const happened = async (): Promise<Event[]> => {
    const head = await prisma.checkpoint.findFirst({ orderBy: { blockNumber: 'desc' }, select: { blockTimestamp: true } })
    // A receiver that is new is not told of what is long over.
    const changes = await prisma.breakerChange.findMany({ where: { blockTimestamp: { gte: (head?.blockTimestamp ?? 0n) - RECENT_SEC } }, orderBy: { sequence: 'desc' }, take: 100 })
    const run = await prisma.recommendationRun.findFirst({ orderBy: [{ blockNumber: 'desc' }, { id: 'desc' }], omit: { inputs: true } })
    const urgent = run === null ? [] : await prisma.recommendation.findMany({ where: { runId: run.id, urgency: { gte: urgency }, direction: { not: 'HOLD' } }, omit: { inputs: true } })
    const episodes: { row: (typeof urgent)[number]; key: string }[] = []
    for (const row of urgent) episodes.push({ row, key: await episodeKey(row, run?.blockNumber ?? 0n) })
    const proposals = await prisma.proposal.findMany({ where: { state: { in: ['AWAITING_SIGNATURES', 'CANCELLING'] } }, include: { signatures: { select: { kind: true, signer: true } } } })
    return [
      ...changes.map((row): Event => ({ kind: 'BREAKER_CHANGE', key: `breaker:${row.id}:${row.blockHash}`, data: changeAnswer(row) })),
      ...episodes.map(({ row, key }): Event => ({
        kind: 'URGENT_RECOMMENDATION',
        key,
        data: { id: row.id, parameter: row.parameter, scope: row.scope, subject: row.subject, subjectLabel: row.subjectLabel, current: row.current.toFixed(0), recommended: row.recommended.toFixed(0), direction: row.direction, urgency: row.urgency, confidence: row.confidence, reason: row.reason, settable: row.settable, block: run?.blockNumber },
      })),
      ...proposals.map((row): Event => {
        // What waits then is the transaction that keeps it from happening.
        const cancellation = row.state === 'CANCELLING' ? (row.cancellation as unknown as CancellationJson | null) : null
        const of = cancellation === null ? 'CHANGE' : 'CANCELLATION'
        return {
          kind: 'PROPOSAL_AWAITS_SIGNATURE',
          key: `proposal:${row.id}${cancellation === null ? '' : `:${cancellation.hashes.safeTxHash}`}`,
          data: { id: row.id, title: row.title, of, safe: row.safe, nonce: cancellation === null ? row.nonce : Number(cancellation.safeTx.nonce), safeTxHash: cancellation?.hashes.safeTxHash ?? row.safeTxHash, threshold: row.threshold, signers: row.signatures.filter((one) => one.kind === of).map((one) => one.signer), validUntil: row.validUntil },
        }
      }),
    ]
  }

  /**
   * Every run finds the same parameter urgent: it is told again only when it asks for another value, or after a run that asked for none (or found
   * another value in force). The block at which it was first told names the episode.
   */
  const episodeKey = async (row: { readonly parameter: string; readonly subject: string; readonly current: { toFixed(places: number): string }; readonly recommended: { toFixed(places: number): string } }, block: bigint): Promise<string> => {
    const base = `recommendation:${row.parameter}:${row.subject}:${row.current.toFixed(0)}:${row.recommended.toFixed(0)}:`
    const told = await prisma.webhookDelivery.findFirst({ where: { eventKey: { startsWith: base } }, orderBy: [{ createdAt: 'desc' }, { eventKey: 'desc' }], select: { eventKey: true } })
    if (told === null) return `${base}${block}`
    const since = BigInt(told.eventKey.slice(base.length))
    const ended = await prisma.recommendation.findFirst({ where: { parameter: row.parameter, subject: row.subject, run: { blockNumber: { gt: since, lte: block } }, OR: [{ direction: 'HOLD' }, { current: { not: row.current.toFixed(0) } }] }, select: { id: true } })
    return ended === null ? told.eventKey : `${base}${block}`
  }

  const enqueue = async (): Promise<number> => {
    const createdAt = new Date(now())
    const events = await happened()
    const over = { lt: new Date(now() - KEEP_MS) }
    await prisma.webhookDelivery.deleteMany({ where: { OR: [{ deliveredAt: over }, { givenUpAt: over }], eventKey: { notIn: events.map(({ key }) => key) } } })
    const rows = events.flatMap(({ kind, key, data }) => urls.map((url) => ({ url, kind, eventKey: key, body: plain({ kind, key, createdAt: createdAt.toISOString(), data }), nextAttemptAt: createdAt, createdAt })))
    const { count } = rows.length === 0 ? { count: 0 } : await prisma.webhookDelivery.createMany({ data: rows, skipDuplicates: true })
    return count
  }

  /** Deliveries that are due, taken for this sender: another one skips them while they are sent. */
  const claim = async (): Promise<{ id: string; url: string; kind: string; body: string; attempts: number }[]> => {
    const at = now()
    return await prisma.$queryRaw`
      UPDATE "WebhookDelivery" SET "attempts" = "attempts" + 1, "nextAttemptAt" = ${new Date(at + CLAIM_MS)}
      WHERE "id" IN (SELECT "id" FROM "WebhookDelivery" WHERE "deliveredAt" IS NULL AND "givenUpAt" IS NULL AND "nextAttemptAt" <= ${new Date(at)} AND "url" = ANY(${[...urls]}) ORDER BY "createdAt", "id" LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
      RETURNING "id", "url", "kind", "body", "attempts"`
  }

  const deliver = async (one: { id: string; url: string; kind: string; body: string; attempts: number }): Promise<boolean> => {
    const timestamp = String(Math.floor(now() / 1000))
    let fault: string
    try {
      const response = await send(one.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'bulwark', 'bulwark-delivery': one.id, 'idempotency-key': one.id, 'bulwark-event': one.kind, 'bulwark-timestamp': timestamp, 'bulwark-signature': signatureOf(secret, timestamp, one.body) },
        body: one.body,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      await response.body?.cancel()
      if (response.ok) {
        await prisma.webhookDelivery.update({ where: { id: one.id }, data: { deliveredAt: new Date(now()), lastError: null } })
        return true
      }
      fault = `it answered HTTP ${response.status}`
    } catch (error) {
      fault = maskUrls(error instanceof Error ? error.message : String(error)).slice(0, 200)
    }
    const over = one.attempts >= MAX_ATTEMPTS
    log.warn({ delivery: one.id, kind: one.kind, receiver: new URL(one.url).origin, attempts: one.attempts, fault }, over ? 'an alert was given up' : 'an alert was not taken; it is sent again')
    await prisma.webhookDelivery.update({ where: { id: one.id }, data: { lastError: fault, ...(over ? { givenUpAt: new Date(now()) } : { nextAttemptAt: new Date(now() + backoffMs(one.attempts)) }) } })
    return false
  }

  return {
    run: async () => {
      if (urls.length === 0) return { queued: 0, sent: 0, failed: 0 }
      const queued = await enqueue()
      const results = await Promise.all((await claim()).map(deliver))
      const sent = results.filter(Boolean).length
      return { queued, sent, failed: results.length - sent }
    },
  }
}
