import type { Api } from './api.ts'

/** Whether this browser has passkeys at all. */
export const canUsePasskeys = 'PublicKeyCredential' in window

let offered: AbortController | undefined

export const stopOffering = () => offered?.abort()

/**
 * Lets the browser offer passkeys in the e-mail field, until one is chosen or the gate closes. Nobody has asked for it, so only
 * what comes of a passkey that someone has chosen is told.
 */
export async function offerPasskeys(api: Api, tell: (error: unknown) => void) {
  stopOffering()
  if (!canUsePasskeys) return
  const mine = new AbortController()
  offered = mine
  const { signal } = mine
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.()) || signal.aborted) return
  const { error } = await api.auth.signInWithPasskey({
    options: { mediation: 'conditional', signal },
  })
  if (signal.aborted || !error?.code?.startsWith('webauthn_')) return
  tell(error)
  await offerPasskeys(api, tell)
}

/** By the browser's own dialog: nobody has to say who they are. */
export function signInWithPasskey(api: Api) {
  stopOffering()
  return api.auth.signInWithPasskey()
}
