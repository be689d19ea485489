import { describe, expect, it } from 'vitest'
import { base32, fromBase32 } from '../../src/auth/mfa/base32.ts'
import { newRecoveryCode, normaliseRecoveryCode } from '../../src/auth/mfa/recovery.ts'
import { newSecret, qrCode, stepAt, stepOf, totpCode, totpUri } from '../../src/auth/mfa/totp.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('base32', () => {
  // RFC 4648, 10.
  it.each([
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])('writes %j as %s, and reads it back', (text, encoded) => {
    expect(base32(bytes(text))).toBe(encoded)
    expect(fromBase32(encoded)).toEqual(bytes(text))
    expect(fromBase32(`${encoded}===`)).toEqual(bytes(text))
  })

  it('round-trips whatever there is, and refuses what is no base32', () => {
    for (let size = 0; size < 70; size++) {
      const random = crypto.getRandomValues(new Uint8Array(size))
      expect(fromBase32(base32(random))).toEqual(random)
    }
    for (const wrong of ['my', 'M1', 'M Y', 'M=Y']) expect(fromBase32(wrong)).toBeNull()
  })
})

describe('a time-based code', () => {
  // RFC 6238, appendix B: SHA-1, of which six digits are the last six.
  const secret = base32(bytes('12345678901234567890'))
  it.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ])('at %i is %s', async (seconds, code) => {
    expect(await totpCode(secret, stepAt(seconds * 1000))).toBe(code)
    expect(await stepOf(secret, code, seconds * 1000)).toBe(Math.floor(seconds / 30))
  })

  it('is good one step before and after, and no more', async () => {
    const now = 1_700_000_010_000
    const step = stepAt(now)
    for (const [offset, found] of [
      [-2, null],
      [-1, step - 1],
      [0, step],
      [1, step + 1],
      [2, null],
    ] as const)
      expect(await stepOf(secret, await totpCode(secret, step + offset), now)).toBe(found)
    for (const wrong of ['', '0', '0000000', 'abcdef', '２８７０８２'])
      expect(await stepOf(secret, wrong, now)).toBeNull()
  })

  it('comes of 160 random bits', () => {
    const secrets = Array.from({ length: 100 }, newSecret)
    expect(new Set(secrets).size).toBe(100)
    for (const made of secrets) expect(made).toMatch(/^[A-Z2-7]{32}$/)
  })

  it('has a URI that nothing in a name breaks out of, and a picture that fits a data: URL', () => {
    const uri = totpUri(secret, { issuer: 'A & B:c?', account: 'ann+x@example.com' })
    const { protocol, host, pathname, searchParams } = new URL(uri)
    expect([protocol, host]).toEqual(['otpauth:', 'totp'])
    expect(decodeURIComponent(pathname)).toBe('/A & B:c?:ann+x@example.com')
    expect(Object.fromEntries(searchParams)).toEqual({
      secret,
      issuer: 'A & B:c?',
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    })
    const svg = qrCode(uri)
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" [^#%]+<\/svg>$/)
    expect(svg.length).toBeLessThan(15_000)
  })
})

describe('a recovery code', () => {
  it('has 120 random bits and no letter that looks like another', () => {
    const codes = Array.from({ length: 200 }, newRecoveryCode)
    expect(new Set(codes).size).toBe(200)
    for (const code of codes) {
      expect(code).toMatch(/^[0-9a-z]{24}$/)
      expect(code).not.toMatch(/[ilou]/)
      expect(normaliseRecoveryCode(code)).toBe(code)
    }
  })

  it('is read as people write it', () => {
    expect(normaliseRecoveryCode(' ABCD-EFGH jkmn-pqrs-tvwx-yz0O ')).toBe(
      'abcdefghjkmnpqrstvwxyz00',
    )
    expect(normaliseRecoveryCode('Il0o'.repeat(6))).toBe('1100'.repeat(6))
    for (const wrong of ['', 'a'.repeat(23), 'a'.repeat(25), 'u'.repeat(24), '％'.repeat(24)])
      expect(normaliseRecoveryCode(wrong)).toBeNull()
  })
})
