import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { BindOptions, Identity, Principal, Scope, Statement } from 'leanto'
import {
  type EmailOptions,
  email,
  html,
  type Outgoing,
  type Transport,
  Undelivered,
} from 'leanto/email'
import { type EventsOptions, events } from 'leanto/email/events'
import { type TemplatesOptions, template, templates } from 'leanto/email/templates'
import { unsubscribing } from 'leanto/email/unsubscribe'
import * as v from 'valibot'
import { identity } from '../../src/core/identity.ts'
import { type Env, freshDatabase, makeBase } from '../kit/world.ts'

/** A user's token is `user-<id>`. */
export const people: Identity = identity(
  async (_, token): Promise<Principal> => ({
    id: token.replace('user-', ''),
    role: 'authenticated',
    claims: { email: `${token.replace('user-', '')}@example.com` },
  }),
)

/** What the tests' transport was handed. */
export const sent: Outgoing[] = []
/** What it does with the next ones; `undefined` takes them all. */
export const world: { fails: ((mail: Outgoing, attempt: number) => unknown) | undefined } = {
  fails: undefined,
}
let attempts = 0

export const transport: Transport<Env> = {
  name: 'test',
  async send(_, mail) {
    const failure = world.fails?.(mail, ++attempts)
    if (failure) throw failure
    sent.push(mail)
    return { id: `remote-${sent.length}` }
  },
}

export const down = (final = false) => new Undelivered('the provider is down', { final })

/** Ann may mail her own notes, to herself. */
export const shareNote = template({
  params: v.object({ note: v.pipe(v.string(), v.maxLength(200)), to: v.optional(v.string()) }),
  policy: (_, { who }) => who.role === 'service' || who.id === 'ann',
  to: (_, { who }) => (who.claims.email as string) ?? 'service@example.com',
  quota: { max: 3, seconds: 3600 },
  render: ({ note }, { locale }) => ({
    subject: locale === 'de' ? `Notiz: ${note}` : `Note: ${note}`,
    html: html`<p>${note}</p>`,
  }),
})

export const url = 'https://app.example/email'

interface WithParts extends EmailOptions<Env>, TemplatesOptions {
  url: string
  webhooks: EventsOptions<Env>['webhooks']
  event: NonNullable<EventsOptions<Env>['after']>
}

/** Every part; what is `undefined` is not mounted. */
export function makeEmail(more: Partial<WithParts> = {}, base = makeBase()) {
  const {
    identity,
    templates: declared,
    url: at,
    webhooks,
    event,
    parts = [],
    ...rest
  } = {
    identity: people,
    templates: { 'share-note': shareNote },
    url,
    webhooks: undefined,
    event: undefined,
    ...more,
  }
  return email(base, {
    from: 'Notes <hi@notes.example>',
    transport,
    ...rest,
    parts: [
      ...(declared ? [templates({ identity, templates: declared })] : []),
      ...(at ? [unsubscribing({ url: at })] : []),
      ...(webhooks ? [events({ webhooks, ...(event ? { after: event } : {}) })] : []),
      ...parts,
    ],
  })
}

/** Where someone unsubscribes. */
export const linkOf = (scope: Scope<Env>, who: { address: string; list: string }) =>
  unsubscribing<Env>({ url }).link(scope, who)

export async function fresh() {
  await freshDatabase([makeEmail()])
  sent.length = 0
  world.fails = undefined
  attempts = 0
}

/** Runs in a scope as a cron's is, and waits for what goes on after it. */
export async function inScope<T>(
  work: (scope: Scope<Env>) => T | Promise<T>,
  bound: Partial<BindOptions<Env>> = {},
): Promise<T> {
  const executionCtx = createExecutionContext()
  const scope = makeBase(bound).scope({ env: env as never, executionCtx: executionCtx as never })
  try {
    return await work(scope)
  } finally {
    await waitOnExecutionContext(executionCtx as never)
  }
}

export const rows = async <Row = Record<string, unknown>>(sql: string): Promise<Row[]> =>
  (await env.DB.prepare(sql).all<Row>()).results as Row[]

export const outbox = () =>
  rows<{
    id: string
    state: string
    attempts: number
    due_at: number
    error: string | null
    body: string | null
  }>('SELECT * FROM leanto_email_outbox ORDER BY id')

export const mail = { to: 'ann@example.com', subject: 'Hello', text: 'Hi' }

export const insertion = (scope: Scope, title: string): Statement =>
  scope.db.prepare('INSERT INTO notes (title) VALUES (?)').bind(title)
