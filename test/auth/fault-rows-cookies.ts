import { expect } from 'vitest'
import { setsNoCookie } from './fault-steps.ts'
import { email, type Row, type World } from './fault-world.ts'
import { password, signIn } from './world.ts'

const own = { 'sec-fetch-site': 'same-origin', prefer: 'session=cookie' }
const cookieOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
const byCookie = async (world: World) => {
  world.made = cookieOf(await signIn(world.ask, email, password, { headers: own }))
}

export const cookieRows: Row[] = [
  {
    name: 'POST /cookie',
    prepare: async (world) => {
      const response = await signIn(world.ask, email, password, { headers: own })
      world.made = response.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; ')
    },
    call: (world) =>
      world.ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: world.made } }),
  },
  {
    name: 'DELETE /cookie',
    prepare: async (world) => {
      const response = await signIn(world.ask, email, password, { headers: own })
      world.made = response.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; ')
    },
    call: (world) =>
      world.ask('/auth/v1/cookie', { method: 'DELETE', headers: { ...own, cookie: world.made } }),
    answers: [204],
  },
  {
    name: 'POST /token, for a cookie',
    call: ({ ask }) => signIn(ask, email, password, { headers: own }),
    failed: setsNoCookie,
  },
  {
    name: 'POST /cookie, and the browser keeps what it has',
    prepare: byCookie,
    call: ({ ask, made }) =>
      ask('/auth/v1/cookie', { method: 'POST', headers: { ...own, cookie: made } }),
    failed: setsNoCookie,
    end: async ({ ask, made }) => {
      // The cookie of a lost answer still opens the way to the one that was made.
      const headers = { ...own, cookie: made }
      const again = await ask('/auth/v1/cookie', { method: 'POST', headers })
      expect(again.status).toBe(200)
      const renewed = { ...own, cookie: cookieOf(again) }
      expect((await ask('/auth/v1/user', { headers: renewed })).status).toBe(200)
    },
  },
  {
    name: 'GET /user by a cookie',
    prepare: byCookie,
    call: ({ ask, made }) => ask('/auth/v1/user', { headers: { ...own, cookie: made } }),
    failed: setsNoCookie,
  },
]
