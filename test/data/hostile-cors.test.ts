import { beforeEach, describe, expect, it } from 'vitest'
import { makeBase, mount, site } from '../kit/world.ts'
import { seed } from './intact.ts'
import { makeStore } from './store.ts'

beforeEach(seed)

describe('CORS (case 65)', () => {
  const origins = {
    none: mount({ '/rest/v1': makeStore(makeBase()) }),
    list: mount({ '/rest/v1': makeStore(makeBase({ origins: ['https://web.example'] })) }),
    any: mount({ '/rest/v1': makeStore(makeBase({ origins: '*' })) }),
  }
  const preflight = (which: keyof typeof origins, origin: string) =>
    origins[which]('/rest/v1/notes', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization, apikey, prefer',
      },
    })
  const allowed = async (which: keyof typeof origins, origin: string) => {
    const responses = [
      await preflight(which, origin),
      await origins[which]('/rest/v1/notes', { headers: { origin } }),
      await origins[which]('/rest/v1/notes', { headers: { origin }, token: 'bad' }),
      await origins[which]('/rest/v1/notes', { headers: { origin }, body: { title: 'x' } }),
    ]
    for (const { headers } of responses) {
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      if (which === 'list') expect(headers.get('vary')).toContain('Origin')
    }
    const found = new Set(
      responses.map(({ headers }) => headers.get('access-control-allow-origin')),
    )
    expect(found.size).toBe(1)
    return [...found][0]
  }

  it('none: no header for anyone', async () => {
    for (const origin of ['https://web.example', 'null', site])
      expect(await allowed('none', origin)).toBeNull()
  })
  it('a list: those, exactly', async () => {
    expect(await allowed('list', 'https://web.example')).toBe('https://web.example')
    for (const origin of [
      'https://web.example.evil.example',
      'https://evil.example',
      'http://web.example',
      'https://web.example:8443',
      'https://WEB.example',
      'https://sub.web.example',
      'null',
      'https://web.example,https://evil.example',
    ])
      expect(await allowed('list', origin)).toBeNull()
  })
  it('any: a star, never the origin itself', async () => {
    for (const origin of ['https://evil.example', 'null'])
      expect(await allowed('any', origin)).toBe('*')
  })
  it('a preflight says methods and headers, and shows the range to the page', async () => {
    const { status, headers } = await preflight('list', 'https://web.example')
    expect(status).toBe(204)
    const methods = headers.get('access-control-allow-methods')?.split(', ').sort()
    expect(methods).toEqual(['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'])
    expect(headers.get('access-control-allow-headers')).toBe('authorization, apikey, prefer')
    const actual = await origins.list('/rest/v1/notes', {
      headers: { origin: 'https://web.example' },
    })
    expect(actual.headers.get('access-control-expose-headers')).toContain('content-range')
    const injected = await origins.list('/rest/v1/notes', {
      method: 'OPTIONS',
      headers: { origin: 'https://web.example', 'access-control-request-headers': 'a;b<script>' },
    })
    expect(injected.headers.get('access-control-allow-headers')).toBeNull()
  })
})
