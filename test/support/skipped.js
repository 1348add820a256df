/** A Jest reporter: says at the end which tests were skipped for something that this machine lacks. Their group's title says "(skipped: why)". */
export default class Skipped {
  onRunComplete(_contexts, { testResults }) {
    const files = new Map()
    for (const { testFilePath, testResults: tests } of testResults) {
      for (const { status, ancestorTitles } of tests) {
        const why = status === 'pending' ? /\(skipped: (.+)\)$/.exec(ancestorTitles[0] ?? '')?.[1] : undefined
        if (why !== undefined) files.set(why, (files.get(why) ?? new Set()).add(testFilePath))
      }
    }
    for (const [why, paths] of files) process.stderr.write(`Skipped the tests of ${paths.size} ${paths.size === 1 ? 'file' : 'files'}: ${why}\n`)
  }
}
