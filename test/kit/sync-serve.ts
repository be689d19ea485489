/* Serves what the tests of sync use, for other clients: `PORT=5984 node test/kit/sync-serve.ts`. */
import { startSync } from './sync-server.ts'

const { PORT, PERSIST } = process.env
const server = await startSync({
  ...(PORT ? { port: Number(PORT) } : {}),
  ...(PERSIST ? { persist: PERSIST } : {}),
})
console.log(`sync: ${server.url}`)
process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)))
