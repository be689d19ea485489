import type { Scope } from '../../core/scope.ts'
import { base64url, hash } from '../../core/secret.ts'
import { condition } from '../condition.ts'
import { happened } from '../part.ts'
import type { Grant, TokenRequest } from './extension.ts'
import { oauthServerFaults } from './faults.ts'
import { invalidRequest } from './form.ts'
import { checkResource, targetsOf } from './resource.ts'
import { answerGrant, type GrantRow, newGrantId, startGrant } from './tokens.ts'

/** A row of `leanto_auth_oauth_codes`, with what the exchange asks of it. */
interface Looked {
  client_id: string
  redirect_uri: string
  nonce: string | null
  resource: string
  jkt: string | null
  session_id: string | null
  expires_at: number
  verified: number
}

const invalidGrant = (message: string) => oauthServerFaults.invalid_grant({ message })

/** RFC 7636, 4.1. */
const verifierShape = /^[\w.~-]{43,128}$/

/**
 * `grant_type=authorization_code` (OAuth 2.1, 4.1.3). The batch is the whole decision: it uses the code up and starts the
 * session, or, if the code was used before, ends what it gave (RFC 6749, 4.1.2). A wrong verifier, another client or a request
 * that does not fit leaves the code to the right one.
 */
export const codeGrant: Grant = async (server, scope, asked) => {
  const { settings } = server
  const { form, client, binding, device } = asked
  const shown = readCode(asked)
  const wanted = targetsOf(form)
  const [codeHash, challenge] = await Promise.all([hash(shown.code), challengeOf(shown.verifier)])
  const now = scope.now()
  const id = newGrantId(scope)
  const look = scope.db
    .prepare(
      `SELECT client_id, redirect_uri, nonce, resource, jkt, session_id, expires_at,
         code_challenge = ? AS verified FROM leanto_auth_oauth_codes WHERE hash = ?`,
    )
    .bind(challenge, codeHash)
  // Whoever has been signed out, or in anew, since the answer has taken it back.
  const take = scope.db
    .prepare(
      `UPDATE leanto_auth_oauth_codes AS c SET session_id = ? WHERE c.hash = ?
         AND c.session_id IS NULL AND c.expires_at > ? AND c.client_id = ? AND c.code_challenge = ?
         AND coalesce(?, c.redirect_uri) = c.redirect_uri AND coalesce(c.jkt, ?) IS ?
         AND NOT EXISTS (SELECT 1 FROM json_each(?) r
           WHERE r.value NOT IN (SELECT value FROM json_each(c.resource)))
         AND (c.approved_in IS NULL OR EXISTS (
           SELECT 1 FROM leanto_auth_sessions s WHERE s.id = c.approved_in))
         AND EXISTS (SELECT 1 FROM leanto_auth_oauth_clients k WHERE k.id = c.client_id)
         AND EXISTS (SELECT 1 FROM leanto_auth_users u WHERE u.id = c.user_id
           AND coalesce(u.banned_until, 0) <= ? AND u.deleted_at IS NULL)`,
    )
    .bind(
      ...[id, codeHash, now, client.id, challenge, shown.redirectUri],
      ...[binding?.jkt ?? null, binding?.jkt ?? null, JSON.stringify(wanted), now],
    )
  const replayed = scope.db
    .prepare(
      `DELETE FROM leanto_auth_sessions WHERE id = (
         SELECT session_id FROM leanto_auth_oauth_codes
         WHERE hash = ? AND client_id = ? AND session_id <> ?)`,
    )
    .bind(codeHash, client.id, id)
  const from = condition(
    'leanto_auth_oauth_codes g WHERE g.hash = ? AND g.session_id = ?',
    codeHash,
    id,
  )
  const started = await startGrant(server, scope, { id, from, client, binding, device })
  const results = await settings.keys.batch(scope, [look, take, replayed, ...started.statements])
  const row = results.at(-1)?.results[0] as GrantRow | undefined
  const looked = results[0]?.results[0] as Looked | undefined
  if (!row || !looked) throw why(scope, looked, asked, wanted)
  const data = { client_id: client.id, scope: row.scope }
  happened(settings, scope, { action: 'login', userId: row.id, network: asked.network, data })
  const resource = wanted.length > 0 ? wanted : undefined
  return answerGrant(server, scope, {
    row,
    refreshToken: started.refreshToken,
    binding,
    nonce: looked.nonce,
    resource,
  })
}

function readCode({ form }: TokenRequest) {
  const code = form.get('code')
  const verifier = form.get('code_verifier')
  if (!code) throw invalidRequest('code is required')
  if (!verifier) throw invalidRequest('code_verifier is required')
  if (!verifierShape.test(verifier)) throw invalidGrant('code_verifier is not of its form')
  return { code, verifier, redirectUri: form.get('redirect_uri') || null }
}

/** S256, of RFC 7636, 4.2; there is no other. */
const challengeOf = async (verifier: string): Promise<string> =>
  base64url(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)))

/** Says no more of a code than its own client may know. */
function why(
  scope: Scope,
  looked: Looked | undefined,
  { client, form, binding }: TokenRequest,
  wanted: readonly string[],
): Error {
  if (!looked || looked.client_id !== client.id || looked.expires_at <= scope.now())
    return invalidGrant('The code is not valid, or has ended')
  if (looked.session_id !== null)
    return invalidGrant('The code has been used: what it gave has ended')
  const redirectUri = form.get('redirect_uri')
  if (redirectUri && redirectUri !== looked.redirect_uri)
    return invalidGrant('redirect_uri is not the one that the code was asked for with')
  if (looked.verified !== 1) return invalidGrant('code_verifier is not the challenge’s')
  if (looked.jkt !== null && looked.jkt !== binding?.jkt)
    return invalidGrant('The code is bound to another key')
  return (
    checkResource(wanted, looked.resource) ?? invalidGrant('Its user has been signed out since')
  )
}
