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
  reporters: ['default', '<rootDir>/test/support/skipped.js'],
}
