import * as v from 'valibot'
import { readJson } from '../../core/body.ts'
import { validate } from '../../core/validate.ts'
import { checkMetered } from '../check.ts'
import type { Budget, Quotas, ServiceOptions } from '../definition.ts'
import { askedBy, demandAccess, type Part } from '../gate.ts'
import type { Memory } from './memory.ts'
import type { Provider } from './provider.ts'
import { type Glossary, type Settings, translateTexts } from './verb.ts'

export type { Memory } from './memory.ts'
export type { Provider, ProviderAnswer, ProviderInput, ProviderOptions } from './provider.ts'
export { type DeeplOptions, deepl } from './providers/deepl.ts'
export { type GoogleOptions, google } from './providers/google.ts'
export { type LibreOptions, libre } from './providers/libre.ts'
export { type Ai, type WorkersAiOptions, workersAi } from './providers/workers-ai.ts'
export type { Glossary } from './verb.ts'

export interface TranslateOptions {
  /** In the order in which they are asked. */
  providers: readonly Provider[]
  /** Units are characters. Must be given, or a budget; `'unsafeUnlimited'` says that none is meant. */
  quota?: Quotas | 'unsafeUnlimited'
  budget?: Budget
  /** Who may. @default whoever is signed in, and the secret API key */
  access?: ServiceOptions<never>['access']
  /** @default [] */
  glossaries?: readonly Glossary[]
  /** For how long a sentence is bought once; `false`: never. @default { seconds: 2_592_000, per: 'shared' }, 30 days */
  cache?: Memory | false
  /** The most of one call. @default { characters: 50_000, sentences: 400 } */
  limits?: { characters?: number; sentences?: number }
}

/** In bytes: 50,000 characters of any script, and their escapes. */
const bodyLimit = 512 * 1024

function isLanguage(tag: string): boolean {
  try {
    return /^[a-z]{2,3}(?:-|$)/i.test(tag) && Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}

const language = v.pipe(
  v.string(),
  v.maxLength(35),
  v.check(isLanguage, 'must be a language such as de or pt-BR'),
)
const rest = {
  source: v.optional(language),
  target: language,
  format: v.optional(v.picklist(['text', 'html']), 'text'),
}
const one = v.strictObject({ text: v.string(), ...rest })
const many = v.strictObject({
  texts: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(400)),
  ...rest,
})

/**
 * `POST /translate`: `{ text | texts, source?, target, format? }` is answered by
 * `{ text | texts, source, target, known, characters, providers }`. A part of `services`:
 * `services(base, { identity, parts: [translate({ providers: [deepl({ key })], quota })] })`.
 *
 * @throws {TypeError} if an option is missing or wrong.
 */
export function translate(options: TranslateOptions): Part {
  const { providers, quota, budget, access, glossaries = [], limits } = options
  if (!Array.isArray(providers) || providers.length === 0)
    throw new TypeError('translate: `providers` must name at least one: [deepl({ key })]')
  const price = providers.some(({ perMillion }) => perMillion) ? {} : undefined
  checkMetered({ quota, budget, meter: true, price })
  const metered = {
    name: 'translate',
    unit: 'characters',
    ...(quota ? { quota } : {}),
    ...(budget ? { budget } : {}),
  }
  const { cache = { seconds: 30 * 24 * 60 * 60, per: 'shared' } } = options
  const settings: Settings = {
    metered,
    providers,
    glossaries,
    memory: cache || null,
    most: { characters: 50_000, sentences: 400, ...limits },
  }
  return Object.freeze<Part>({
    name: 'translate',
    metered,
    access,
    routes: (gate) => [
      [
        'POST',
        '/translate',
        async (scope, c) => {
          const caller = await askedBy(gate, scope, c.req.raw)
          demandAccess(access, caller.who)
          const body = await readJson(c.req.raw, bodyLimit)
          const single = typeof body === 'object' && body !== null && 'text' in body
          const asked = single
            ? await validate(one, body)
            : { text: undefined, ...(await validate(many, body)) }
          const texts = 'texts' in asked ? asked.texts : [asked.text]
          const { translated, headers } = await translateTexts(gate, scope, {
            settings,
            caller,
            input: { texts, source: asked.source, target: asked.target, format: asked.format },
          })
          const { texts: made, ...about } = translated
          const answer = single ? { text: made[0], ...about } : { texts: made, ...about }
          return Response.json(answer, { headers })
        },
      ],
    ],
  })
}
