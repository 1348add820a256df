/** After a run of Jest: what jestSetup.js started ends. */
export default () => globalThis.stopTestPostgres()
