import { expect } from 'vitest'
import { qrCode } from '../../src/auth/mfa/totp.ts'
import type { Proof } from './client-proofs.ts'
import { appCode, email, fine, phone, signedIn, strong, type World } from './client-world.ts'
import { type Json, password } from './world.ts'

const id = '00000000-0000-7000-8000-000000000000'

const factors: Record<string, Proof> = {
  async 'mfa.enroll'(world) {
    await signedIn(world)
    const { mfa } = world.auth
    const totp = fine(await mfa.enroll({ factorType: 'totp', friendlyName: 'App' }))
    expect(totp).toMatchObject({ type: 'totp', friendly_name: 'App' })
    // That it can be read is seen in a browser (test/browser/qr.test.ts).
    expect(totp.totp.qr_code).toBe(`data:image/svg+xml;utf-8,${qrCode(totp.totp.uri)}`)
    const other = fine(await mfa.enroll({ factorType: 'phone', phone }))
    expect(other).toMatchObject({ type: 'phone', phone: phone.slice(1) })
  },
  async 'mfa.challenge'(world) {
    await signedIn(world)
    const { mfa } = world.auth
    const factor = fine(await mfa.enroll({ factorType: 'phone', phone }))
    const challenge = fine(await mfa.challenge({ factorId: factor.id }))
    expect(challenge.type).toBe('phone')
    expect(world.inbox.code(phone.slice(1))).toMatch(/^\d{6}$/)
    expect((await mfa.challenge({ factorId: id })).error?.code).toBe('mfa_factor_not_found')
  },
  async 'mfa.verify'(world) {
    await signedIn(world)
    const { mfa } = world.auth
    const { id: factorId, totp } = fine(await mfa.enroll({ factorType: 'totp' }))
    const { id: challengeId } = fine(await mfa.challenge({ factorId }))
    const code = await appCode(totp.secret)
    const wrong = code === '000000' ? '111111' : '000000'
    const refused = await mfa.verify({ factorId, challengeId, code: wrong })
    expect(refused.error?.code).toBe('mfa_verification_failed')
    const { access_token, user } = fine(await mfa.verify({ factorId, challengeId, code }))
    expect(user.factors).toMatchObject([{ id: factorId, status: 'verified' }])
    expect(fine(await world.auth.getClaims(access_token)).claims.aal).toBe('aal2')
  },
  async 'mfa.challengeAndVerify'(world) {
    const factor = await strong(world)
    fine(await world.auth.signInWithPassword({ email, password }))
    const code = await appCode(factor.totp.secret, 1)
    fine(await world.auth.mfa.challengeAndVerify({ factorId: factor.id, code }))
  },
  async 'mfa.unenroll'(world) {
    const { id: factorId } = await strong(world)
    const { mfa } = world.auth
    expect(fine(await mfa.unenroll({ factorId }))).toEqual({ id: factorId })
    expect(fine(await mfa.listFactors()).all).toEqual([])
    expect((await mfa.unenroll({ factorId })).error?.code).toBe('mfa_factor_not_found')
  },
  async 'mfa.listFactors'(world) {
    const { id: factorId } = await strong(world)
    fine(await world.auth.mfa.enroll({ factorType: 'phone', phone }))
    const { all, totp, phone: phones } = fine(await world.auth.mfa.listFactors())
    expect([all.length, totp.length, phones.length]).toEqual([2, 1, 0])
    expect(totp[0]).toMatchObject({ id: factorId, status: 'verified' })
    expect(JSON.stringify(all)).not.toContain('secret')
  },
  async 'mfa.getAuthenticatorAssuranceLevel'(world) {
    await strong(world)
    const { mfa } = world.auth
    const level = async () => {
      const { currentLevel, nextLevel } = fine(await mfa.getAuthenticatorAssuranceLevel())
      return [currentLevel, nextLevel]
    }
    expect(await level()).toEqual(['aal2', 'aal2'])
    fine(await world.auth.signInWithPassword({ email, password }))
    expect(await level()).toEqual(['aal1', 'aal2'])
  },
}

const generated = async (world: World): Promise<string[]> => {
  await strong(world)
  return fine(await world.auth.mfa.recoveryCodes.generate()).codes
}

const recoveryCodes: Record<string, Proof> = {
  async 'mfa.recoveryCodes.generate'(world) {
    expect(new Set(await generated(world)).size).toBe(10)
    const again = await world.auth.mfa.recoveryCodes.generate()
    expect(again.error?.code).toBe('mfa_verified_factor_exists')
  },
  async 'mfa.recoveryCodes.getStatus'(world) {
    await generated(world)
    const status = fine(await world.auth.mfa.recoveryCodes.getStatus())
    expect(status).toMatchObject({ total: 10, remaining: 10 })
    expect(status.codes).toBeUndefined()
  },
  async 'mfa.recoveryCodes.verify'(world) {
    const [code = ''] = await generated(world)
    const { recoveryCodes } = world.auth.mfa
    fine(await world.auth.signInWithPassword({ email, password }))
    const { access_token } = fine(await recoveryCodes.verify({ code }))
    expect(fine(await world.auth.getClaims(access_token)).claims.aal).toBe('aal2')
    expect((await recoveryCodes.verify({ code })).error?.code).toBe('mfa_verification_failed')
  },
  async 'mfa.recoveryCodes.regenerate'(world) {
    const old = await generated(world)
    const { codes } = fine(await world.auth.mfa.recoveryCodes.regenerate())
    expect(codes).toHaveLength(10)
    expect(codes.filter((code: string) => old.includes(code))).toEqual([])
  },
  async 'mfa.recoveryCodes.unenroll'(world) {
    await generated(world)
    const { recoveryCodes } = world.auth.mfa
    fine(await recoveryCodes.unenroll())
    expect((await recoveryCodes.getStatus()).error?.code).toBe('mfa_factor_not_found')
  },
}

export const mfaProofs: Record<string, Proof> = { ...factors, ...recoveryCodes }

/** Of `GoTrueAdminApi`. */
export const adminProofs: Record<string, Proof> = {
  async createUser({ admin, auth }) {
    const { user } = fine(
      await admin.createUser({ email, password, email_confirm: true, app_metadata: { a: 1 } }),
    )
    expect(user.app_metadata.a).toBe(1)
    expect(fine(await auth.signInWithPassword({ email, password })).user.id).toBe(user.id)
    expect((await admin.createUser({ email })).error?.code).toBe('email_exists')
  },
  async listUsers({ admin }) {
    for (const name of ['a', 'b', 'c']) fine(await admin.createUser({ email: `${name}@x.example` }))
    const { users, total, lastPage } = fine(await admin.listUsers({ page: 1, perPage: 2 }))
    expect([users.length, total, lastPage]).toEqual([2, 3, 2])
  },
  async getUserById({ admin }) {
    const { user } = fine(await admin.createUser({ email }))
    expect(fine(await admin.getUserById(user.id)).user.email).toBe(email)
    expect((await admin.getUserById(id)).error?.code).toBe('user_not_found')
  },
  async updateUserById(world) {
    const { user, refresh_token } = await signedIn(world)
    const changed = fine(
      await world.admin.updateUserById(user.id, { ban_duration: '1h', user_metadata: { b: 2 } }),
    )
    expect(changed.user.user_metadata).toEqual({ b: 2 })
    expect(changed.user.banned_until).toBeTruthy()
    expect((await world.auth.refreshSession({ refresh_token })).error).not.toBeNull()
  },
  async deleteUser({ admin }) {
    const { user } = fine(await admin.createUser({ email }))
    expect((await admin.deleteUser(user.id)).error).toBeNull()
    expect((await admin.getUserById(user.id)).error?.code).toBe('user_not_found')
  },
  async inviteUserByEmail({ admin, auth, inbox }) {
    const { user } = fine(await admin.inviteUserByEmail(email, { data: { team: 'a' } }))
    const shown = { type: 'invite', token_hash: inbox.token(email) } as const
    expect(fine(await auth.verifyOtp(shown)).user).toMatchObject({
      id: user.id,
      user_metadata: { team: 'a' },
    })
  },
  async generateLink({ admin, auth, inbox }) {
    const made = fine(await admin.generateLink({ type: 'signup', email, password }))
    expect(inbox.mails).toEqual([])
    const shown = { type: 'signup', token_hash: made.properties.hashed_token } as const
    expect(fine(await auth.verifyOtp(shown)).user.id).toBe(made.user.id)
  },
  async signOut(world) {
    const { access_token } = await signedIn(world)
    expect((await world.admin.signOut(access_token)).error).toBeNull()
    expect((await world.auth.getUser(access_token)).error).not.toBeNull()
  },
  async 'mfa.listFactors'(world) {
    const { id: factorId } = await strong(world)
    const { user } = fine(await world.auth.getSession()).session
    const { factors: found } = fine(await world.admin.mfa.listFactors({ userId: user.id }))
    expect(found.map((one: Json) => [one.id, one.status])).toEqual([[factorId, 'verified']])
  },
  async 'mfa.deleteFactor'(world) {
    const { id: factorId } = await strong(world)
    const { user, access_token } = fine(await world.auth.getSession()).session
    const { mfa } = world.admin
    fine(await mfa.deleteFactor({ userId: user.id, id: factorId }))
    expect(fine(await mfa.listFactors({ userId: user.id })).factors).toEqual([])
    // Whoever had shown it is signed out.
    expect((await world.auth.getUser(access_token)).error).not.toBeNull()
  },
}
