export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  transform: {
    '^.+\\.tsx?$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript', tsx: false } }, module: { type: 'es6' } }],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/.bulwark/'],
  modulePathIgnorePatterns: ['<rootDir>/.bulwark/'],
  maxWorkers: 2,
  // Of one test or hook: a hang is told, and a slow machine is none.
  testTimeout: 300_000,
  // Modules of a test file are never given back.
  workerIdleMemoryLimit: '900MB',
  globalSetup: '<rootDir>/test/support/jestSetup.js',
  globalTeardown: '<rootDir>/test/support/jestTeardown.js',
  testSequencer: '<rootDir>/test/support/sequencer.js',
  reporters: ['default', '<rootDir>/test/support/skipped.js'],
}
