import type { Ask } from '../kit/world.ts'
import { full } from './preferences.ts'
import { alice } from './store.ts'
import { call } from './writing-world.ts'

/** An operation of `POST /batch`. */
export interface Operation {
  id?: string
  method: string
  path: string
  headers?: Record<string, string>
  body?: unknown
}

export const batch = (operations: readonly Operation[], options: Ask & { prefer?: string } = {}) =>
  call('/batch', { token: alice, ...options, body: { operations } })

/** The headers of an operation whose rows are wanted. */
export const prefer = { prefer: full }

/** A value of an earlier operation, in a body and in a filter. */
export const ref = (text: string) => ({ $ref: text })
export const inFilter = (text: string) => encodeURIComponent(JSON.stringify(ref(text)))

export const note: Operation = { id: 'a', method: 'POST', path: '/notes', body: { title: 'new' } }

export const bodies = ({ body }: Awaited<ReturnType<typeof call>>) =>
  body.results.map((result: { body: unknown }) => result.body)
