/*
 * For `npm start`: what stands in for a translator, in the shape of LibreTranslate's API. It knows no language, and says
 * so in each sentence; but the whole way is gone, with the quota, what is kept, and what must not change.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** @returns Its origin, on loopback. It does not keep the process alive. */
export async function startTranslator(): Promise<string> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  const tell = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (request.method !== 'POST' || request.url !== '/translate')
    return void tell(404, { error: 'Not found' })
  const { q, target } = JSON.parse(text) as { q: string[]; target: string }
  tell(200, { translatedText: q.map((sentence) => `[not really ${target}] ${sentence}`) })
}
