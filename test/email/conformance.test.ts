import { Hono } from 'hono'
import { type Fault, type Module, problem } from 'leanto'
import type { Message } from 'leanto/email'
import { capture } from 'leanto/email/capture'
import { resendEvents } from 'leanto/email/resend'
import { conforms, type World } from '../kit/conformance.ts'
import { asker, makeBase } from '../kit/world.ts'
import { inScope, linkOf, mail, makeEmail, transport, url } from './world.ts'

const webhooks = [resendEvents({ secret: `whsec_${btoa('a secret of thirty-two characters')}` })]
const make = (base = makeBase()) =>
  makeEmail({ transport: capture({ otherwise: transport }), webhooks }, base)

/** The host's own route that sends, and answers a Fault as it is. */
const sending =
  (message: Partial<Message>, mailer = make()) =>
  () =>
    asker(
      new Hono().post('/', async (c) => {
        try {
          await mailer.send(makeBase().scope(c as never), { ...mail, ...message })
          return c.body(null, 204)
        } catch (error) {
          return problem(error as Fault)
        }
      }),
    )('/', { method: 'POST' })

const send =
  (body: unknown, token = 'user-ann') =>
  (world: World) =>
    world.ask('/email/send', { body, token })
const note = { template: 'share-note', params: { note: 'milk' } }
/** Not there: nobody asks from this machine. */
const nowhere = (route: string, path: string, method = 'GET') => ({
  route,
  ask: () => ({ path, method }),
  answers: { guest: 404, owner: 404, stranger: 404, service: 404 },
})
const all = (status: number) => ({
  guest: status,
  owner: status,
  stranger: status,
  service: status,
})
const id = '01900000-0000-7000-8000-000000000001'

conforms('email', {
  make: (base): Module => make(base),
  mount: '/email',
  migrations: {
    '0001_email': 'ludwduCMbsTy_NFUuPj9fTjAps7gByuNfUnxctTcZAM',
    '0002_captured': 'LT6OPhYXo7iWLLHnbUwks6zfgW1giLqNWMPD5aiU6YQ',
  },
  async prepare(world) {
    world.tokens = { owner: 'user-ann', stranger: 'user-bob' }
    const link = await inScope((scope) =>
      linkOf(scope, { address: 'ann@example.com', list: 'news' }),
    )
    world.made = { link: link.slice(url.length) }
  },
  matrix: [
    {
      route: 'POST /send',
      ask: () => ({ path: '/send', body: note }),
      answers: { guest: 401, owner: 202, stranger: 403, service: 202 },
    },
    {
      route: 'GET /unsubscribe',
      ask: ({ made }) => ({ path: made.link ?? '' }),
      answers: all(200),
    },
    {
      route: 'POST /unsubscribe',
      ask: ({ made }) => ({ path: made.link ?? '', method: 'POST' }),
      answers: all(200),
    },
    {
      route: 'POST /webhooks/resend',
      ask: () => ({ path: '/webhooks/resend', body: {} }),
      answers: all(401),
    },
    nowhere('GET /inbox', '/inbox'),
    nowhere('POST /inbox', '/inbox', 'POST'),
    nowhere('GET /inbox/:id', `/inbox/${id}`),
    nowhere('GET /inbox/:id/html', `/inbox/${id}/html`),
    nowhere('GET /inbox/:id/attachments/:n', `/inbox/${id}/attachments/0`),
  ],
  faults: {
    bad_message: sending({ subject: 'a\r\nBcc: eve@example.com' }),
    bad_address: sending({ to: 'nobody' }),
    too_many_recipients: sending({ to: Array.from({ length: 51 }, (_, i) => `a${i}@example.com`) }),
    message_too_large: sending({ text: 'x'.repeat(4_000_000) }),
    bad_link: (world) => world.ask('/email/unsubscribe?t=x'),
    bad_signature: (world) => world.ask('/email/webhooks/resend', { body: {} }),
    not_allowed: send(note, 'user-bob'),
    unknown_template: send({ template: 'other' }),
    not_found: (world) => world.ask('/email/inbox'),
    async recipient_limited() {
      const limited = makeEmail({ limits: { recipient: { max: 1, seconds: 60 } } })
      await sending({}, limited)()
      return sending({}, limited)()
    },
  },
})
