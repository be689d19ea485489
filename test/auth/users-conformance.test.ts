import type { Base } from 'leanto'
import { auth } from 'leanto/auth'
import { moving } from 'leanto/auth/moving'
import { conforms, type Row } from '../kit/conformance.ts'
import { type Env, makeBase, site } from '../kit/world.ts'
import {
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  mountAt,
  type Options,
  prepare,
  reaching,
  users,
} from './conformance-world.ts'
import { ndjson, user } from './users-world.ts'

const make = (base: Base<Env>, options: Options) =>
  auth(base, { site, with: [moving()], ...options })

/** For the service alone: who is signed in is told so, a guest to show who they are. */
const service = { guest: 401, owner: 403, stranger: 403, service: 200 }

const matrix: Row[] = [
  {
    route: 'POST /admin/users/import',
    ask: () => ({
      path: '/admin/users/import',
      method: 'POST',
      // What it is called makes it no other's (cases 40 and 41).
      body: ndjson([user(1, { role: 'service_role', app_metadata: { role: 'admin' } })]),
    }),
    answers: service,
  },
  {
    route: 'GET /admin/users/export',
    ask: () => ({ path: '/admin/users/export' }),
    answers: service,
  },
]

conforms('auth', {
  make: (base) => make(base, reaching),
  mount: mountAt,
  migrations: baseMigrations,
  prepare,
  matrix: [
    ...baseMatrix,
    ...matrix,
    {
      route: 'GET /authorize',
      ask: () => ({ path: '/authorize?provider=google' }),
      answers: everyone(400),
    },
    {
      route: 'GET /user/identities/authorize',
      ask: () => ({ path: '/user/identities/authorize?provider=google' }),
      answers: users(400),
    },
  ],
  faults: baseFaults((options) => make(makeBase(), options)),
})
