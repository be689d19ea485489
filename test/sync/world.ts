import { freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeDocs } from './store.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
export type Json = any

export interface Answer {
  status: number
  body: Json
  headers: Headers
}

/** A database that anyone may do anything with, and ways to ask it. */
export async function openDatabase(name = 'open-a', base = makeBase()) {
  const docs = makeDocs(base)
  await freshDatabase([docs])
  const ask = mount({ '/': docs })
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const response = await ask(path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = new TextDecoder().decode(await response.arrayBuffer())
    let parsed: Json = text
    try {
      parsed = JSON.parse(text)
    } catch {}
    return { status: response.status, body: parsed, headers: response.headers }
  }
  await call('PUT', `/${name}`)
  const at = (path: string) => `/${name}${path}`
  return {
    docs,
    ask,
    call,
    get: (path: string, headers?: Record<string, string>) =>
      call('GET', at(path), undefined, headers),
    put: (path: string, body: unknown, headers?: Record<string, string>) =>
      call('PUT', at(path), body, headers),
    post: (path: string, body: unknown, headers?: Record<string, string>) =>
      call('POST', at(path), body, headers),
    del: (path: string, headers?: Record<string, string>) =>
      call('DELETE', at(path), undefined, headers),
  }
}

export type Open = Awaited<ReturnType<typeof openDatabase>>
