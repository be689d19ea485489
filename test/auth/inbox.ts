import type { Mail } from 'leanto'
import type { Session } from 'leanto/auth'
import { expect } from 'vitest'
import { type Asker, expectStatus, type Json, password, post } from './world.ts'

/** A mailbox and a phone that take everything. */
export function makeInbox() {
  const mails: Mail[] = []
  const texts: { to: string; text: string }[] = []
  return {
    mails,
    texts,
    mailer: {
      async send(_: unknown, mail: Mail) {
        mails.push(mail)
      },
    },
    sms: async (_: unknown, sms: { to: string; text: string }) => {
      texts.push(sms)
    },
    clear() {
      mails.length = 0
      texts.length = 0
    },
    /** The newest mail to an address. */
    last(to: string): Mail {
      const mail = mails.filter((one) => one.to === to).at(-1)
      expect(mail, `a mail to ${to}`).toBeDefined()
      return mail as Mail
    },
    code(to: string): string {
      const text = texts.filter((one) => one.to === to).at(-1)?.text ?? this.last(to).text
      return text.match(/\b\d{6,10}\b/)?.[0] as string
    },
    link: (to: string, from = mails): URL => {
      const mail = from.filter((one) => one.to === to).at(-1)
      return new URL(mail?.text.match(/https?:\S+verify\S+/)?.[0] as string)
    },
    token(to: string): string {
      return this.link(to).searchParams.get('token') as string
    },
  }
}

export type Inbox = ReturnType<typeof makeInbox>

/** Asks to sign up where mailboxes must be proven. */
export const register = async (ask: Asker, email: string, more: object = {}): Promise<Json> =>
  expectStatus(await post(ask, '/signup', { email, password, ...more }), 200)

export const verify = (ask: Asker, body: object, more: object = {}) =>
  post(ask, '/verify', body, more)

/** Signs up and proves the mailbox. */
export async function member(ask: Asker, inbox: Inbox, email: string): Promise<Session> {
  await register(ask, email)
  const body = { type: 'signup', token_hash: inbox.token(email) }
  return expectStatus(await verify(ask, body), 200)
}

/** Opens a link as a browser would. */
export const open = (ask: Asker, link: URL): Promise<Response> => ask(link.pathname + link.search)

export const locationOf = (response: Response): URL => {
  expect(response.status).toBe(303)
  return new URL(response.headers.get('location') as string)
}

export const fragmentOf = (url: URL): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(url.hash.slice(1)))
