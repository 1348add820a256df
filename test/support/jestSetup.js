import { createServer } from 'node:http'
import { tsImport } from 'tsx/esm/api'

/** Before a run of Jest: whoever first asks at TEST_POSTGRES starts the PostgreSQL of the run, and every one gets its URL. */
export default async function setup() {
  let server
  const start = async () => (await tsImport('./postgres.ts', import.meta.url)).startMigrated()
  const door = createServer((_request, response) => {
    server ??= start()
    server.then((postgres) => response.end(postgres.url('postgres')), (error) => response.writeHead(500).end(String(error)))
  })
  await new Promise((resolve) => door.listen(0, '127.0.0.1', resolve))
  process.env.TEST_POSTGRES = `http://127.0.0.1:${door.address().port}`
  globalThis.stopTestPostgres = async () => {
    door.close()
    door.closeAllConnections()
    await (await server?.catch(() => undefined))?.stop()
  }
}
