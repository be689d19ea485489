import { env } from 'cloudflare:workers'
import { apiKeys, developmentSecret, Fault, open, seal, uuidv7 } from 'leanto'
import { describe, expect, it } from 'vitest'
import { checkSecret, equal } from '../../src/core/secret.ts'
import { clock, makeBase, testSecret } from '../kit/world.ts'

const source = { env } as never

describe('the secret (case 73)', () => {
  it.each([
    [undefined, 'is missing'],
    ['', 'is missing'],
    ['tiny', 'is shorter than 32 characters'],
    [developmentSecret, 'is the development value'],
  ])('refuses %j and says how to set it', (secret, why) => {
    const refused = (() => {
      try {
        checkSecret(secret, false)
      } catch (error) {
        return error as Fault
      }
    })()
    expect(refused).toBeInstanceOf(Fault)
    expect(refused?.message).toContain(why)
    expect(refused?.message).toContain('npx leanto secret')
    if (secret) expect(refused?.message).not.toContain(secret)
  })

  it('takes the development value locally, and a real one anywhere', () => {
    expect(checkSecret(developmentSecret, true)).toBe(developmentSecret)
    expect(checkSecret(testSecret, false)).toBe(testSecret)
  })

  it('does not show in a scope that is printed', () => {
    const scope = makeBase().scope(source)
    expect(JSON.stringify(scope)).not.toContain(testSecret)
  })
})

describe('sealing', () => {
  it('opens for the same purpose and secret only', async () => {
    const scope = makeBase().scope(source)
    const sealed = await seal(scope, 'test', 'text')
    expect(sealed).not.toContain('text')
    expect(await open(scope, 'test', sealed)).toBe('text')
    expect(await open(scope, 'other', sealed)).toBeNull()
    const other = makeBase({ secret: () => `${testSecret}x` }).scope(source)
    expect(await open(other, 'test', sealed)).toBeNull()
    expect(await open(scope, 'test', `${sealed.slice(0, -2)}AA`)).toBeNull()
    expect(await seal(scope, 'test', 'text')).not.toBe(sealed)
  })
})

it('compares in constant time, unequal lengths too', async () => {
  expect(await equal('abc', 'abc')).toBe(true)
  expect(await equal('abc', 'abcd')).toBe(false)
  expect(await equal('', 'a')).toBe(false)
})

it('derives API keys from the secret', async () => {
  const keys = await apiKeys(testSecret)
  expect(keys).toEqual(await apiKeys(testSecret))
  expect(keys.publishable).toMatch(/^sb_publishable_[\w-]{22}$/)
  expect(keys.secret).toMatch(/^sb_secret_[\w-]{43}$/)
  expect(await apiKeys(`${testSecret}x`)).not.toEqual(keys)
})

it('makes UUIDv7 ids that sort by time', () => {
  const early = uuidv7(clock.now())
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(Number.parseInt(early.replaceAll('-', '').slice(0, 12), 16)).toBe(clock.now())
  expect(uuidv7(clock.now() + 1) > early).toBe(true)
  expect(new Set(Array.from({ length: 1000 }, () => uuidv7(clock.now()))).size).toBe(1000)
})
