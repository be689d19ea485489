import { auth } from 'leanto/auth'
import { conforms } from '../kit/conformance.ts'
import { makeBase, site } from '../kit/world.ts'
import {
  baseFaults,
  baseMatrix,
  baseMigrations,
  everyone,
  mountAt,
  prepare,
  reaching,
  users,
} from './conformance-world.ts'

conforms('auth', {
  make: (base) => auth(base, { site, ...reaching }),
  mount: mountAt,
  migrations: baseMigrations,
  prepare,
  matrix: [
    ...baseMatrix,
    // What answers where no provider is mounted.
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
  faults: baseFaults((options) => auth(makeBase(), { site, ...options })),
})
