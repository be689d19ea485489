import { mfa } from 'leanto/auth/mfa'
import { beforeEach, describe, expect, it } from 'vitest'
import { clock, freshDatabase } from '../kit/world.ts'
import { codeOf } from './mfa-world.ts'
import { stockClient } from './stock.ts'
import { count, type Json, makeAuth, mountAuth, password } from './world.ts'

// New for each test: an isolate that has cached the keys of a database that is gone would sign with them.
let users = makeAuth({ with: [mfa()] })
let ask = mountAuth(users)
beforeEach(async () => {
  users = makeAuth({ with: [mfa()] })
  ask = mountAuth(users)
  await freshDatabase([users])
})

describe('a stock client', () => {
  const client = () => stockClient(ask)

  it('enrolls, lists, challenges, verifies and unenrolls', async () => {
    const auth = await client()
    await auth.signUp({ email: 'ann@example.com', password })
    const before = await auth.mfa.getAuthenticatorAssuranceLevel()
    expect(before.data).toMatchObject({ currentLevel: 'aal1', nextLevel: 'aal1' })

    const enrolled = await auth.mfa.enroll({
      factorType: 'totp',
      friendlyName: 'Phone',
      issuer: 'Notes',
    })
    expect(enrolled.error).toBeNull()
    const { id, totp } = enrolled.data as Json
    expect(totp.qr_code).toMatch(/^data:image\/svg\+xml;utf-8,<svg /)
    expect(totp.uri).toBe(
      `otpauth://totp/Notes:ann%40example.com?algorithm=SHA1&digits=6&issuer=Notes&period=30&secret=${totp.secret}`,
    )
    const listed = await auth.mfa.listFactors()
    expect(listed.data).toMatchObject({
      all: [{ id, friendly_name: 'Phone', factor_type: 'totp', status: 'unverified' }],
      totp: [],
    })

    const verified = await auth.mfa.challengeAndVerify({
      factorId: id,
      code: await codeOf(totp.secret),
    })
    expect(verified.error).toBeNull()
    const level = await auth.mfa.getAuthenticatorAssuranceLevel()
    expect(level.data).toMatchObject({ currentLevel: 'aal2', nextLevel: 'aal2' })
    expect(level.data?.currentAuthenticationMethods.map((entry: Json) => entry.method)).toEqual([
      'totp',
      'password',
    ])
    expect((await auth.mfa.listFactors()).data?.totp).toMatchObject([{ id, status: 'verified' }])

    // A new session starts below, and the client knows.
    await auth.signInWithPassword({ email: 'ann@example.com', password })
    expect((await auth.mfa.getAuthenticatorAssuranceLevel()).data).toMatchObject({
      currentLevel: 'aal1',
      nextLevel: 'aal2',
    })
    const refused = await auth.mfa.unenroll({ factorId: id })
    expect(refused.error).toMatchObject({ status: 422, code: 'insufficient_aal' })
    clock.advance(30)
    const challenged = await auth.mfa.challenge({ factorId: id })
    expect(challenged.data).toMatchObject({ type: 'totp', expires_at: clock.now() / 1000 + 300 })
    const again = await auth.mfa.verify({
      factorId: id,
      challengeId: challenged.data?.id as string,
      code: await codeOf(totp.secret),
    })
    expect(again.error).toBeNull()
    expect((await auth.refreshSession()).error).toBeNull()
    expect((await auth.mfa.unenroll({ factorId: id })).data).toEqual({ id })
    expect((await auth.mfa.listFactors()).data?.all).toEqual([])
    await auth.refreshSession()
    expect((await auth.mfa.getAuthenticatorAssuranceLevel()).data?.currentLevel).toBe('aal1')
  })

  it('uses recovery codes', async () => {
    const auth = await client()
    await auth.signUp({ email: 'ann@example.com', password })
    const { recoveryCodes } = auth.mfa
    expect((await recoveryCodes.getStatus()).error).toMatchObject({
      status: 404,
      code: 'mfa_factor_not_found',
    })
    expect((await recoveryCodes.generate()).error?.code).toBe('insufficient_aal')
    const { data } = await auth.mfa.enroll({ factorType: 'totp' })
    const { id, totp } = data as Json
    await auth.mfa.challengeAndVerify({ factorId: id, code: await codeOf(totp.secret) })

    const made = await recoveryCodes.generate({ friendlyName: 'Backup' })
    expect(made.data).toMatchObject({ type: 'recovery_code', friendly_name: 'Backup', total: 10 })
    expect(new Set(made.data?.codes).size).toBe(10)
    expect((await recoveryCodes.generate()).error?.code).toBe('mfa_verified_factor_exists')
    expect((await auth.mfa.unenroll({ factorId: id })).error?.code).toBe(
      'mfa_recovery_codes_sole_factor',
    )

    await auth.signInWithPassword({ email: 'ann@example.com', password })
    const [first = '', second = ''] = made.data?.codes ?? []
    const typed = first.toUpperCase().replace(/(.{4})/g, '$1-')
    const used = await recoveryCodes.verify({ code: typed })
    expect(used.error).toBeNull()
    const level = await auth.mfa.getAuthenticatorAssuranceLevel()
    expect(level.data?.currentLevel).toBe('aal2')
    expect(level.data?.currentAuthenticationMethods[0]).toMatchObject({
      method: 'mfa/recovery_code',
    })
    expect((await recoveryCodes.verify({ code: first })).error).toMatchObject({
      status: 422,
      code: 'mfa_verification_failed',
    })
    expect((await recoveryCodes.getStatus()).data).toMatchObject({ total: 10, remaining: 9 })

    const renewed = await recoveryCodes.regenerate()
    expect(renewed.data).toMatchObject({ id: made.data?.id, friendly_name: 'Backup', total: 10 })
    expect((await recoveryCodes.verify({ code: second })).error?.code).toBe(
      'mfa_verification_failed',
    )
    expect((await recoveryCodes.getStatus()).data?.remaining).toBe(10)
    expect((await recoveryCodes.unenroll()).data).toEqual({ id: made.data?.id })
    expect(await count('recovery_codes')).toBe(0)
  })
})
