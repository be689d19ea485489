import type { AuthOptions } from 'leanto/auth'
import { oauthPart } from '../../src/auth/oauth/part.ts'
import type { OAuthProvider, Profile } from '../../src/auth/oauth/provider.ts'
import { type Ask, type Env, freshDatabase } from '../kit/world.ts'
import { type Asker, makeAuth, mountAuth } from './world.ts'

/** What the fake providers say of whoever comes back with a code; a function may fail. */
export type Answers = Record<string, Profile | (() => Profile)>

export const profile = (
  subject: string,
  email?: string,
  verified = true,
  more: object = {},
): Profile => ({
  subject,
  emails: email === undefined ? [] : [{ email, verified, primary: true }],
  data: { iss: 'https://idp.example', sub: subject, provider_id: subject, name: 'Ann', ...more },
})

/** A provider as a literal: what it answers is what a test has put into `answers`. */
export const fake = (name: string, answers: Answers, more: Partial<OAuthProvider> = {}) =>
  oauthPart({
    name,
    async start(_scope, { state, redirectUri, scopes, parameters }) {
      const url = new URL(`https://${name}.example/authorize`)
      for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value)
      url.searchParams.set('state', state)
      url.searchParams.set('redirect_uri', redirectUri)
      url.searchParams.set('scope', scopes.join(' '))
      return { url: url.href, keep: `kept of ${name}` }
    },
    async finish(_scope, { parameters, keep }) {
      if (keep !== `kept of ${name}`) throw new Error('not what was kept')
      const answer = answers[parameters.get('code') ?? '']
      if (!answer) throw new Error('secret driver text')
      const found = typeof answer === 'function' ? answer() : answer
      return { profile: found, accessToken: `${name}-at`, refreshToken: `${name}-rt` }
    },
    async idToken(_scope, { token }) {
      const answer = answers[token]
      if (!answer || typeof answer === 'function') throw new Error('bad')
      return answer
    },
    issues: (issuer) => issuer === `https://${name}.example`,
    ...more,
  })

export const worldOf = async (options: Partial<AuthOptions<Env>>) => {
  const users = makeAuth(options)
  await freshDatabase([users])
  return { users, ask: mountAuth(users) }
}

export interface Departed {
  url: URL
  state: string
  cookie: string
  setCookie: string
}

export function departed(
  response: Response,
  url = response.headers.get('location') ?? '',
): Departed {
  const setCookie = response.headers.get('set-cookie') ?? ''
  const parsed = new URL(url)
  return {
    url: parsed,
    state: parsed.searchParams.get('state') ?? '',
    cookie: setCookie.split(';')[0] ?? '',
    setCookie,
  }
}

/** Begins a sign-in, as a browser would. */
export const begin = async (ask: Asker, query: string, more: Ask = {}): Promise<Departed> =>
  departed(await ask(`/auth/v1/authorize?${query}`, more))

/** Comes back from the provider with a code; answers where the browser is led. */
export const comeBack = async (
  ask: Asker,
  { state, cookie }: { state: string; cookie: string },
  code: string,
  more = '',
): Promise<URL> => {
  const response = await ask(`/auth/v1/callback?code=${code}&state=${state}${more}`, {
    headers: { cookie },
  })
  return new URL(response.headers.get('location') ?? 'none:')
}

export const fragment = (url: URL): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(url.hash.slice(1)))

/** Signs in by a provider; the answer's fragment. */
export const signInBy = async (ask: Asker, provider: string, code: string) =>
  fragment(await comeBack(ask, await begin(ask, `provider=${provider}`), code))
