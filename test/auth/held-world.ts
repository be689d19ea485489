import { mfa } from 'leanto/auth/mfa'
import { expect } from 'vitest'
import { site } from '../kit/world.ts'
import { makeInbox, member } from './inbox.ts'
import { type Answers, comeBack, departed, fake, profile, worldOf } from './oauth-world.ts'
import { type Asker, claimsOf, expectStatus, type Json, post, rows } from './world.ts'

/*
 * A link that comes back to a browser without the flow's cookie: that of a page on another origin, or of somebody whom an
 * attacker has sent the provider's address of a link to his own account.
 */

let asker: Asker
export const ask: Asker = (path, more) => asker(path, more)
/** Asks another module over the same tables. */
export const askThrough = (other: Asker) => {
  asker = other
}
const answers: Answers = {
  victim: profile('v', 'victim@example.com'),
  nameless: profile('n', undefined, false, { name: '<b>Nel</b> & "co"' }),
  own: profile('a', 'other@example.com'),
}
export const inbox = makeInbox()
export const options = () => ({
  mailer: inbox.mailer,
  sms: inbox.sms,
  anonymous: true,
  redirects: ['https://other.example/**', 'notes://login'],
  with: [
    fake('google', answers),
    fake('github', answers),
    fake('spotify', answers, { emailOptional: true }),
    mfa(),
  ],
})

/** Starts anew. @returns The session of who begins the links. */
export async function setUp(): Promise<Json> {
  asker = (await worldOf(options())).ask
  const attacker = await member(ask, inbox, 'attacker@example.com')
  inbox.clear()
  return attacker
}

export const verifier = 'v'.repeat(43)
export const app = 'https://other.example/app'
export const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`

/** As auth-js asks, from a page on another origin: the cookie of the answer is dropped. */
export async function start(token: string, more = '', provider = 'github') {
  const response = await ask(
    `/auth/v1/user/identities/authorize?provider=${provider}&skip_http_redirect=true&redirect_to=${encodeURIComponent(app)}${more}`,
    { token },
  )
  const { url } = await expectStatus(response.clone(), 200)
  return { ...departed(response, url), cookie: '' }
}
export const callback = ({ state }: { state: string }, code = 'victim', cookie = '') =>
  ask(`/auth/v1/callback?code=${code}&state=${state}`, { headers: { cookie } })
export const exchange = (code: string | null, code_verifier = verifier) =>
  post(ask, '/token?grant_type=pkce', { auth_code: code, code_verifier })
export const codeOf = async (flow: { state: string }, code = 'victim'): Promise<string> => {
  const url = await comeBack(ask, { ...flow, cookie: '' }, code)
  expect(url.href).toMatch(/^https:\/\/other\.example\/app\?code=[\da-f-]{14}8[\da-f-]{21}$/)
  return url.searchParams.get('code') as string
}
export const own = { 'sec-fetch-site': 'same-origin', origin: site }
export const answer = (body: Record<string, string>, headers: Record<string, string> = own) =>
  ask('/auth/v1/callback/link', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(body).toString(),
  })
const tokenIn = (html: string) => html.match(/name="token" value="([\w-]{43})"/)?.[1] as string
export const asked = async (flow: { state: string }, code = 'victim') => {
  const response = await callback(flow, code)
  expect(response.status).toBe(200)
  const html = await response.text()
  return { response, html, token: tokenIn(html) }
}
export const leadsTo = (response: Response): URL => {
  expect(response.status).toBe(303)
  return new URL(response.headers.get('location') as string)
}
export const identities = () =>
  rows('SELECT provider, subject, user_id FROM leanto_auth_identities')
export const subOf = (session: Record<string, string>) =>
  claimsOf(session.access_token as string).sub
