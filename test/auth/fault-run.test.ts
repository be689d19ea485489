import { expect, it } from 'vitest'
import { account } from './fault-rows-account.ts'
import { addresses, changing } from './fault-rows-addresses.ts'
import { adminRows } from './fault-rows-admin.ts'
import { cookieRows } from './fault-rows-cookies.ts'
import { customRows } from './fault-rows-custom.ts'
import { deviceRows } from './fault-rows-devices.ts'
import { factors } from './fault-rows-factors.ts'
import { impersonationRows } from './fault-rows-impersonation.ts'
import { links } from './fault-rows-links.ts'
import { oauthServerRows } from './fault-rows-oauth-server.ts'
import { organizationRows } from './fault-rows-organizations.ts'
import { passkeyRows } from './fault-rows-passkeys.ts'
import { phones } from './fault-rows-phones.ts'
import { providers } from './fault-rows-providers.ts'
import { scimRows } from './fault-rows-scim.ts'
import { other } from './fault-steps.ts'
import { email, endpointOf, endpoints, failing, faultRun, freshWorld } from './fault-world.ts'
import { password, post } from './world.ts'

const table = [
  ...account,
  ...factors,
  ...phones,
  ...addresses,
  ...providers,
  ...links,
  ...adminRows,
  ...cookieRows,
  ...passkeyRows,
  ...impersonationRows,
  ...customRows,
  ...organizationRows,
  ...scimRows,
  ...oauthServerRows,
  ...deviceRows,
]

it('has a row for every endpoint', () => {
  expect([...new Set(table.map(endpointOf))].sort()).toEqual(endpoints().sort())
})

it('has a name for every row', () => {
  const names = table.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})

faultRun(table)

it.each([
  ['/otp', { email }],
  ['/recover', { email }],
  ['/resend', { type: 'signup', email: other }],
  ['/resend', { type: 'email_change', email }],
])('a failure of ours at %s %j spends no message', async (path, body) => {
  const world = await freshWorld({
    autoconfirm: false,
    prepare: async (made) => {
      await post(made.ask, '/signup', { email: other, password })
      await changing(made)
    },
  })
  // More often than messages may be asked for; the second trip is the one that stores what is sent.
  for (let i = 0; i < 10; i++)
    expect((await failing(2, () => post(world.ask, path, body))).status).toBe(500)
  expect((await post(world.ask, path, body)).status).toBe(200)
})
