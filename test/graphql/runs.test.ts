import { once } from 'node:events'
import { serialize } from 'node:v8'
import { describe, expect, jest, test } from '@jest/globals'
import { makeBook } from '../../api/graphql/risk/book.ts'
import { forkWorker } from '../../api/graphql/risk/desk.ts'
import { createEngine } from '../../api/graphql/risk/engine.ts'
import { computeStress, type Asked } from '../../api/graphql/risk/stress.ts'
import type { RunMessage, RunOrder, RunTask } from '../../api/graphql/risk/worker.ts'
import { stressScenarios } from '../../api/risk/index.ts'
import { book } from '../recommendations/book.ts'

jest.setTimeout(120_000)

const BLOCK = { number: 7n, hash: '0x07', timestamp: 1_800_000_000n }
const SCENARIOS: readonly Asked[] = (['base', 'severe', 'day'] as const).flatMap((severity) => stressScenarios(severity).map((scenario) => ({ scenario, severity: null })))
const task = (asked: readonly Asked[]): RunTask => ({ kind: 'STRESS', task: { asked, worst: 3, persistence: 1, args: null } })

/** The small book, its traders `times` over. */
function inputs(times: number) {
  const base = book()
  return { ...base, accounts: Array.from({ length: times }, (_, i) => base.accounts.map((a) => (i === 0 ? a : { ...a, id: `${a.id}.${i}` }))).flat() }
}

/** A run's process: what it says, and how it ended. */
function start(order: RunOrder) {
  const worker = forkWorker('run')
  const said: RunMessage[] = []
  worker.on('message', (message) => void said.push(message as RunMessage))
  const ended = once(worker, 'exit').then(([code, signal]: (number | string | null)[]) => ({ code, signal }))
  worker.send(order)
  return { worker, said, ended }
}

describe('the process of a long run', () => {
  test('behavior: computes on threads what the desk answers, and ends', async () => {
    const engine = createEngine({ threads: 1 })
    const expected = await computeStress(makeBook(BLOCK, inputs(1)), engine, (task(SCENARIOS) as Extract<RunTask, { kind: 'STRESS' }>).task)
    await engine.close()
    const { said, ended } = start({ book: serialize({ block: BLOCK, inputs: inputs(1) }), task: task(SCENARIOS) })
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(said.at(-1)).toEqual({ result: expected })
  })

  test('behavior: says how far it is, and cancelled ends by the signal that its threads hear, without a result', async () => {
    const many = Array.from({ length: 8 }, () => SCENARIOS).flat()
    const { worker, said, ended } = start({ book: serialize({ block: BLOCK, inputs: inputs(25_000) }), task: task(many) })
    await once(worker, 'message')
    worker.send({ cancel: true } satisfies RunOrder)
    // Nobody killed it.
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(said.length).toBeGreaterThan(0)
    for (const message of said) {
      if (!('progress' in message)) throw new Error(`a cancelled run said ${Object.keys(message).join(', ')}`)
      expect(message.progress).toBeLessThan(1)
    }
  })

  test('error: a book that lacks a price is told by its code', async () => {
    const of = inputs(1)
    const { said, ended } = start({ book: serialize({ block: BLOCK, inputs: { ...of, collaterals: of.collaterals.map((c) => ({ ...c, oracle: null })) } }), task: task(SCENARIOS) })
    await ended
    expect(said.at(-1)).toMatchObject({ error: { code: 'SAMPLE_TOO_SMALL', message: expect.stringContaining('prices of WETH') } })
  })
})
