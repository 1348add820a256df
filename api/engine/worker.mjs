/**
 * A thread of the stress engine: takes task after task of a job until none is left or the run is cancelled. It knows nothing of books: a task is
 * the numbers that the kernel is called with. Plain JavaScript, since a thread would have to load a compiler to read anything else.
 */
import { parentPort, workerData } from 'node:worker_threads'

/** @param {import('./pool.ts').Job} job */
function run({ memory, control, calls, tasks, fullBelow, penalty }) {
  const { stress } = new WebAssembly.Instance(workerData.module, { env: { memory } }).exports
  const [next, done, cancelled] = [0, 1, 2]
  const words = calls.length / tasks
  while (Atomics.load(control, cancelled) === 0) {
    const task = Atomics.add(control, next, 1)
    if (task >= tasks) return
    stress(...calls.subarray(task * words, (task + 1) * words), fullBelow, penalty)
    Atomics.add(control, done, 1)
  }
}

parentPort?.on('message', (job) => {
  let error = null
  try {
    run(job)
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown)
  }
  parentPort?.postMessage({ error })
})
