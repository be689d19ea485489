import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import {
  acme,
  admin,
  calm,
  change,
  changed,
  create,
  created,
  customWorld,
  depart,
  idToken,
  outside,
  plain,
} from './custom-world.ts'
import { comeBack, fragment } from './oauth-world.ts'
import { type Asker, count, expectStatus, type Json, post, rows } from './world.ts'

let ask: Asker
beforeEach(async () => {
  calm()
  ask = (await customWorld()).ask
})
afterEach(() => {
  vi.restoreAllMocks()
})

const many = <T>(work: (i: number) => Promise<T>, times = 50): Promise<T[]> =>
  Promise.all(Array.from({ length: times }, (_, i) => work(i)))
const tally = async (answers: Response[]): Promise<Record<string, number>> => {
  const said: Record<string, number> = {}
  for (const response of answers) {
    const text = await response.text()
    const { error_code = 'fine' } = text ? JSON.parse(text) : {}
    said[`${response.status} ${error_code}`] = (said[`${response.status} ${error_code}`] ?? 0) + 1
  }
  return said
}

it('of 50 that add one name, one does', async () => {
  const answers = await many((i) => create(ask, { ...plain, name: `Number ${i}` }))
  expect(await tally(answers)).toEqual({ '201 fine': 1, '400 conflict': 49 })
  expect(await count('custom_providers')).toBe(1)
})

it('of 50 that add one domain, one does, and no half of any other is left', async () => {
  const answers = await many((i) =>
    create(ask, { ...acme, identifier: `custom:p${i}`, domains: [`own${i}.example`, 'acme.test'] }),
  )
  expect(await tally(answers)).toEqual({ '201 fine': 1, '400 sso_domain_already_exists': 49 })
  expect(await count('custom_providers')).toBe(1)
  expect(await count('sso_domains')).toBe(2)
})

it('50 at once do not pass the number that there may be', async () => {
  const few = (await customWorld({}, { maxProviders: 5 })).ask
  const answers = await many((i) => create(few, { ...plain, identifier: `custom:p${i}` }))
  expect(await tally(answers)).toEqual({ '201 fine': 5, '400 over_custom_provider_quota': 45 })
  expect(await count('custom_providers')).toBe(5)
})

it('changes at once lose nothing: each is there, or says that it is not', async () => {
  await created(ask)
  const fields = ['name', 'client_id', 'scopes', 'email_optional', 'authorization_params']
  const values: Json[] = ['New', 'new-client', ['openid', 'x'], true, { prompt: 'login' }]
  const answers = await many(
    (i) => change(ask, 'custom:acme', { [fields[i] as string]: values[i] }),
    fields.length,
  )
  const shown: Json = await expectStatus(await admin(ask, '/custom:acme'), 200)
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
  answers.forEach(({ status }, i) => {
    if (status === 200) expect(shown[fields[i] as string]).toEqual(values[i])
    else expect(status).toBe(409)
  })
})

it('domains that two changes set at once are those that the provider shows', async () => {
  await created(ask, { ...acme, domains: ['old.example'] })
  const answers = await many(
    (i) => change(ask, 'custom:acme', { domains: [`a${i}.example`, `b${i}.example`] }),
    10,
  )
  for (const { status } of answers) expect([200, 409]).toContain(status)
  const { domains } = await expectStatus(await admin(ask, '/custom:acme'), 200)
  const stored = await rows('SELECT domain FROM leanto_auth_sso_domains ORDER BY 1')
  expect(stored.map(({ domain }) => domain)).toEqual([...domains].sort())
})

it('of 50 deletions one does it', async () => {
  await created(ask, { ...acme, domains: ['acme.example'] })
  const answers = await many(() => admin(ask, '/custom:acme', { method: 'DELETE' }))
  expect(await tally(answers)).toEqual({ '204 fine': 1, '404 custom_provider_not_found': 49 })
  expect(await count('sso_domains')).toBe(0)
})

it('case 21: 50 first sign-ins of one person make one user', async () => {
  await created(ask)
  const body = { provider: 'custom:acme', id_token: await idToken() }
  const answers = await many(() => post(ask, '/token?grant_type=id_token', body))
  for (const { status } of answers) expect([200, 409]).toContain(status)
  expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
  expect([await count('users'), await count('identities')]).toEqual([1, 1])
})

it('case 19: of 50 answers to one sign-in one is taken, and one code sent', async () => {
  await created(ask)
  const flow = await depart(ask)
  const urls = await many(() => comeBack(ask, flow, 'c'))
  const came = urls.filter((url) => fragment(url).access_token)
  expect(came).toHaveLength(1)
  expect(outside.calls.filter((call) => call.endsWith('/token'))).toHaveLength(1)
})

it('sign-ins that begin while it is disabled: none begins after', async () => {
  await created(ask)
  const [, ...begun] = await Promise.all([
    changed(ask, 'custom:acme', { enabled: false }),
    ...Array.from({ length: 30 }, () => ask('/auth/v1/authorize?provider=custom:acme')),
  ])
  for (const { status } of begun) expect([303, 400]).toContain(status)
  expect(await count('flows')).toBe(0)
})
