/** What supabase-js gives for an error, of sign-in or of data: both have a code, in their protocol's words. */
interface Problem {
  name?: string
  code?: string
  status?: number
  message?: string
  retryAfter?: number
}

/** By the protocols' own codes: GoTrue's are words, Postgres's and PostgREST's have five characters or a prefix. */
const byCode: Record<string, string> = {
  invalid_credentials: 'E-mail and password do not match.',
  user_already_exists: 'There is an account with this e-mail already. Sign in instead.',
  email_exists: 'There is an account with this e-mail already. Sign in instead.',
  weak_password:
    'This password is too easy to guess. Take at least 8 characters that are not in every list.',
  same_password: 'This is the password that you have already.',
  signup_disabled: 'New accounts are not taken here at the moment.',
  user_banned: 'This account is closed.',
  over_request_rate_limit: 'Too many tries. Wait a minute, then try again.',
  webauthn_credential_not_found:
    'This passkey is not known here any more. Use another, or your password.',
  webauthn_challenge_expired: 'That took too long. Try again.',
  webauthn_challenge_not_found: 'That took too long. Try again.',
  webauthn_verification_failed: 'This passkey was not accepted. Use another, or your password.',
  webauthn_credential_exists: 'This device has a passkey for your notes already.',
  ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED: 'This device has a passkey for your notes already.',
  ERROR_PASSTHROUGH_SEE_CAUSE_PROPERTY:
    'Your device gave no passkey. Try again, or use your password.',
  ERROR_CEREMONY_ABORTED: 'Your device gave no passkey. Try again, or use your password.',
  too_many_passkeys: 'You have as many passkeys as you may. Delete one first.',
  quota_exceeded: 'You have translated as much as you may for now.',
  too_large: 'This note is too long to be translated.',
  no_translator: 'This server has no translator, so nothing was translated.',
  no_mailer: 'This server sends no mail, so nothing was sent.',
  no_note: 'This note is not there any more.',
  rate_limited: 'That was often enough for now.',
  recipient_limited: 'Your address has had enough mail for now.',
  not_allowed: 'Your account has no address that it could be sent to.',
  service_unavailable: 'The translator cannot be reached.',
  upstream_failed: 'The translator gave no usable answer.',
  upstream_timeout: 'The translator did not answer in time.',
  PT413: 'This note is too long to be saved.',
  PT429: 'Too many changes at once. Wait a minute, then try again.',
  '23514': 'This note is too long to be saved.',
  '42501': 'This note is not yours to change.',
  PGRST116: 'This note is not there any more.',
}

const over = new Set([
  'bad_jwt',
  'bad_token',
  'unauthenticated',
  'no_authorization',
  'session_not_found',
  'session_expired',
  'PGRST301',
  'PGRST303',
])

/** Whether it means that one is not signed in any more. */
export const isOver = (error: unknown): boolean => {
  const { name, code } = error as Problem
  return name === 'AuthSessionMissingError' || over.has(code ?? '')
}

/** Whether it means that the server could not be reached. */
const isUnreachable = ({ name, message, status }: Problem): boolean =>
  (name === 'AuthRetryableFetchError' && !status) ||
  /failed to fetch|networkerror|load failed|fetch failed/i.test(message ?? '')

/** @param seconds As in `Retry-After`. */
function later(seconds: number): string {
  if (seconds <= 60) return 'Try again shortly.'
  const [count, unit] =
    seconds < 5400 ? [Math.ceil(seconds / 60), 'minute'] : [Math.ceil(seconds / 3600), 'hour']
  return `Try again in ${count} ${unit}${count === 1 ? '' : 's'}.`
}

/** An error in plain words. What the server said is kept back unless nothing better is known. */
export function inWords(error: unknown): string {
  const problem = error as Problem
  if (isUnreachable(problem))
    return navigator.onLine
      ? 'The server cannot be reached. Try again shortly.'
      : 'You are offline. Try again when the connection is back.'
  if (isOver(problem)) return 'Your session has ended. Sign in again.'
  const known = byCode[problem.code ?? '']
  if (known) return problem.retryAfter ? `${known} ${later(problem.retryAfter)}` : known
  if (problem.status === 429) return 'Too many tries. Wait a minute, then try again.'
  if ((problem.status ?? 0) >= 500) return 'The server has a problem. Try again shortly.'
  return `That did not work: ${problem.message ?? 'no reason was given'}.`.replace(/\.+$/, '.')
}
