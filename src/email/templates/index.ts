import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Context } from 'hono'
import { readJson } from '../../core/body.ts'
import { coreFaults } from '../../core/fault.ts'
import { type Limit, networkOf } from '../../core/limit.ts'
import type { Identity, Principal } from '../../core/ports.ts'
import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'
import { validate } from '../../core/validate.ts'
import type { Recipient } from '../address.ts'
import { emailFaults } from '../faults.ts'
import type { Message } from '../message.ts'
import type { Part } from '../part.ts'
import { type Sending, send } from '../send.ts'

/** What a client's mail may have: all but whom it goes to and comes from. */
export type Rendered = Omit<Message, 'to' | 'cc' | 'bcc' | 'from'>

export interface Asked {
  who: Principal
  scope: Scope
  /** The language that the client asks for (BCP 47). */
  locale: string | undefined
}

/** A mail that clients may send. It says all of it but `params`. */
export interface Template<Params> {
  /** What the client says: any Standard Schema. Length is limited by it and by nothing else. */
  readonly params: StandardSchemaV1<unknown, Params>
  /** Whether they may send this to whom it would go. */
  readonly policy: (params: Params, asked: Asked) => boolean | Promise<boolean>
  /** The one recipient. Never as the client says, unless `policy` knows that they may write to it. */
  readonly to: (params: Params, asked: Asked) => Recipient | Promise<Recipient>
  /** How many each user sends, or for guests each network. */
  readonly quota: Limit
  readonly render: (params: Params, asked: Asked) => Rendered | Promise<Rendered>
}

/** Declares a mail that clients may send by `POST /send`. Its functions know the type of `params` by the schema. */
export const template = <Params>(declared: Template<Params>): Template<Params> =>
  Object.freeze({ ...declared })

// biome-ignore lint/suspicious/noExplicitAny: each template has parameters of its own.
type Templates = Readonly<Record<string, Template<any>>>

/** @throws {TypeError} */
function checkTemplates(templates: Templates): void {
  for (const [name, declared] of Object.entries(templates)) {
    const wrong = (what: string) => new TypeError(`templates: \`templates.${name}\` ${what}`)
    if (!/^[a-z][\w-]{0,63}$/.test(name))
      throw wrong('is no name: lower-case letters, digits, - and _')
    if (!declared?.params?.['~standard']) throw wrong('needs `params`, a Standard Schema')
    for (const part of ['policy', 'to', 'render'] as const)
      if (typeof declared[part] !== 'function') throw wrong(`needs \`${part}\`, a function`)
    const { max, seconds } = declared.quota ?? {}
    if (!(Number.isInteger(max) && max > 0 && Number.isInteger(seconds) && seconds > 0))
      throw wrong('needs `quota`, such as { max: 10, seconds: 3600 }')
  }
}

export interface TemplatesOptions {
  /** Who asks. As a function where that, such as `auth`, is made with this mailer. */
  identity: Identity | (() => Identity)
  /** What clients may send: `template(…)` by name. */
  templates: Templates
}

/**
 * `POST /send` with `{ template, params, locale? }`, and `Idempotency-Key` if the client may ask again. A part of `email`:
 * `email(base, { …, parts: [templates({ identity: users, templates: { note: template({ … }) } })] })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function templates({ identity, templates: declared }: TemplatesOptions): Part {
  if (typeof identity !== 'function' && typeof identity?.principal !== 'function')
    throw new TypeError(
      'templates: `identity` must have principal(scope, request): pass auth(…) or jwks(…)',
    )
  checkTemplates(declared)
  return Object.freeze<Part>({
    routes: (sending) => [['POST', '/send', sendDeclared(sending, identity, declared)]],
  })
}

const sendDeclared =
  <Env>(sending: Sending<Env>, identity: TemplatesOptions['identity'], templates: Templates) =>
  async (scope: Scope, c: Context): Promise<Response> => {
    const asking = typeof identity === 'function' ? identity() : identity
    const who = await asking.principal(scope, c.req.raw)
    const body = await readJson(c.req.raw, 64 * 1024)
    const { template: name, params, locale } = (body ?? {}) as Record<string, unknown>
    if (typeof name !== 'string' || !Object.hasOwn(templates, name))
      throw emailFaults.unknown_template()
    const declared = templates[name] as Template<unknown>
    if (locale !== undefined && (typeof locale !== 'string' || !/^[a-z\d-]{2,35}$/i.test(locale)))
      throw coreFaults.bad_request({ message: 'locale: must be a language tag, such as de-AT' })
    const asked: Asked = { who, scope, locale }
    const checked = await validate(declared.params, params)
    if ((await declared.policy(checked, asked)) !== true)
      throw who.role === 'anon' ? coreFaults.unauthenticated() : emailFaults.not_allowed()
    const to = await declared.to(checked, asked)
    if (Array.isArray(to))
      throw new TypeError(`templates: \`templates.${name}.to\` must answer one recipient`)
    const sender = who.id ?? (who.role === 'service' ? 'service' : `guest ${networkOf(c.req.raw)}`)
    const budget = `email:send:${name}:${await hash(sender)}`
    const id = await send(
      sending,
      scope as Scope<Env>,
      // Last, so that no template widens whom it goes to.
      { ...(await declared.render(checked, asked)), ...noMore, to },
      {
        ...keyOf(c.req.raw, `${budget}:`),
        more: [{ key: budget, limit: declared.quota, recipient: false }],
      },
    )
    return Response.json({ id }, { status: 202 })
  }

const noMore = { cc: [], bcc: [] } satisfies Partial<Message>

/** The client's key, among its own. */
function keyOf(request: Request, prefix: string): { key?: string } {
  const key = request.headers.get('idempotency-key')
  if (key === null) return {}
  if (!/^[\x21-\x7e]{1,100}$/.test(key))
    throw coreFaults.bad_request({ message: 'Idempotency-Key must be 1 to 100 visible characters' })
  return { key: prefix + key }
}
