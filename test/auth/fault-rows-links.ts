import { expect } from 'vitest'
import { site } from '../kit/world.ts'
import { ann, expectPeople, other } from './fault-steps.ts'
import { answers, type Row, token, type World } from './fault-world.ts'
import { begin, comeBack, departed, fragment, profile } from './oauth-world.ts'
import { expectStatus, getUser, post } from './world.ts'

/* Links that come back to a browser without the flow's cookie: held for a code's verifier, or asked about on a page. */

const verifier = 'v'.repeat(43)
const pkce = `&code_challenge=${verifier}&code_challenge_method=plain`
const linked = { ...ann, ways: 'email,google' }

const start = async (world: World, more = '') =>
  departed(
    await world.ask(`/auth/v1/user/identities/authorize?provider=google${more}`, token(world)),
  )
const back = ({ ask }: World, { state }: { state: string }) =>
  ask(`/auth/v1/callback?code=it&state=${state}`)
const codeOf = (response: Response) =>
  new URL(response.headers.get('location') as string).searchParams.get('code')
const tokenOf = async (response: Response) =>
  (await response.text()).match(/name="token" value="([\w-]+)"/)?.[1]
const exchange = ({ ask }: World, code: string | null) =>
  post(ask, '/token?grant_type=pkce', { auth_code: code, code_verifier: verifier })
const answer = ({ ask }: World, form: string | undefined, said: string) =>
  ask('/auth/v1/callback/link', {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'same-origin',
      origin: site,
    },
    body: `token=${form}&answer=${said}`,
  })

const held =
  (more: string): Row['prepare'] =>
  async (world) => {
    answers.it = profile('1', other)
    world.made = await start(world, more)
  }
const heldFurther =
  <T>(more: string, found: (response: Response) => T): Row['prepare'] =>
  async (world) => {
    await held(more)?.(world)
    world.made = await found(await back(world, world.made))
  }

/** Linked already, or not: whoever begins anew gets there, and the provider signs in to this very account. */
const beginsAnew: Row['call'] = async (world) => {
  const response = await back(world, await start(world, pkce))
  const code = codeOf(response)
  if (code) return exchange(world, code)
  expect(response.headers.get('location')).toContain('identity_already_exists')
  const url = await comeBack(world.ask, await begin(world.ask, 'provider=google'), 'it')
  const user = await expectStatus(await getUser(world.ask, fragment(url).access_token), 200)
  expect(user.id).toBe(world.session.user.id)
  return Response.json(user)
}

export const links: Row[] = [
  {
    name: 'GET /callback, held for a code',
    prepare: held(pkce),
    call: (world) => back(world, world.made),
    retry: async (world) => back(world, await start(world, pkce)),
    answers: [303],
    end: expectPeople(ann),
  },
  {
    name: 'GET /callback, asked about on a page',
    prepare: held(''),
    call: (world) => back(world, world.made),
    retry: async (world) => back(world, await start(world)),
    end: expectPeople(ann),
  },
  {
    name: 'POST /token, linked by a held code',
    prepare: heldFurther(pkce, codeOf),
    call: (world) => exchange(world, world.made),
    retry: async (world) => {
      const response = await exchange(world, world.made)
      return response.status < 400 ? response : beginsAnew(world)
    },
    end: expectPeople(linked),
  },
  {
    name: 'POST /callback/link, a yes',
    prepare: heldFurther('', tokenOf),
    call: (world) => answer(world, world.made, 'link'),
    retry: beginsAnew,
    end: expectPeople(linked),
  },
  {
    name: 'POST /callback/link, a no',
    // A no leads back with an error, as a failure does.
    prepare: heldFurther('', tokenOf),
    call: async (world) => {
      const response = await answer(world, world.made, 'cancel')
      const denied = response.headers.get('location')?.includes('error=access_denied')
      return denied ? new Response(null, { status: 204 }) : response
    },
    retry: async (world) => {
      const response = await answer(world, world.made, 'link')
      // The no was heard, or can be said again.
      const url = new URL(response.headers.get('location') as string)
      expect(url.href).toMatch(/access_token=|flow_state_not_found/)
      return new Response(null, { status: 200 })
    },
  },
]
