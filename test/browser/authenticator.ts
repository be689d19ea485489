import type { Page } from 'playwright-core'

/** A phone, as Chromium's debugging protocol plays one (WebAuthn Level 3, 11). */
const phone = {
  protocol: 'ctap2',
  ctap2Version: 'ctap2_1',
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  automaticPresenceSimulation: true,
} as const

export interface PluggedIn {
  /** How many passkeys it holds. */
  held(): Promise<number>
  /** Whether its user touches it when it asks. */
  answers(enabled: boolean): Promise<unknown>
  /** Whether it does not know its user's finger. */
  refuses(refused: boolean): Promise<unknown>
}

/** Plugs a device in whose user says yes at once, until they do not. */
export async function plugIn(page: Page): Promise<PluggedIn> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: phone,
  })
  return {
    held: async () =>
      (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length,
    answers: (enabled) =>
      cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled }),
    refuses: (refused) =>
      cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: !refused }),
  }
}
