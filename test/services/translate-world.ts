import { services } from 'leanto/services'
import {
  deepl,
  google,
  libre,
  type Provider,
  type TranslateOptions,
  translate,
  workersAi,
} from 'leanto/services/translate'
import { usage } from 'leanto/services/usage'
import { type Env, makeBase } from '../kit/world.ts'
import { client, people } from './world.ts'

/** What a fake translator makes of a text: every word in capitals. Markup stays. */
export const shout = (text: string) =>
  text.replaceAll(/<[^>]*>|&#?\w+;|[^<&]+/g, (part) =>
    /^[<&]/.test(part) ? part : part.toUpperCase(),
  )

/** A server that speaks the real API of one of the providers, and misbehaves as told. */
export class Translator {
  readonly asked: { url: string; headers: Headers; body: Record<string, unknown> }[] = []
  /** Instead of a good answer. */
  fails: ((body: Record<string, unknown>) => Response | Promise<Response> | undefined) | undefined
  make: (text: string, body: Record<string, unknown>) => string = (text, body) =>
    body.tag_handling || body.format === 'html' ? shout(text) : text.toUpperCase()

  readonly kind: 'deepl' | 'google' | 'libre'

  constructor(kind: Translator['kind']) {
    this.kind = kind
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const body = (await request.json()) as Record<string, unknown>
    this.asked.push({ url: request.url, headers: request.headers, body })
    const failed = await this.fails?.(body)
    return failed ?? Response.json(this.answer(body))
  }

  private answer(body: Record<string, unknown>) {
    const texts = (body.text ?? body.q) as string[]
    const made = texts.map((text) => this.make(text, body))
    if (this.kind === 'deepl')
      return {
        translations: made.map((text) => ({
          text,
          detected_source_language: body.source_lang ?? 'FR',
        })),
      }
    if (this.kind === 'google')
      return {
        data: {
          translations: made.map((translatedText) => ({
            translatedText,
            ...(body.source ? {} : { detectedSourceLanguage: 'fr' }),
          })),
        },
      }
    return {
      translatedText: made,
      ...(body.source === 'auto'
        ? { detectedLanguage: texts.map(() => ({ language: 'fr', confidence: 90 })) }
        : {}),
    }
  }

  /** All texts that it was sent. */
  get texts(): string[] {
    return this.asked.flatMap(({ body }) => (body.text ?? body.q) as string[])
  }
}

export const keys = { deepl: 'deepl-key-0123456789', google: 'google-key-0123456789' }

export const providers = {
  deepl: (of: Translator, more = {}) => deepl({ key: () => keys.deepl, fetch: of.fetch, ...more }),
  google: (of: Translator, more = {}) =>
    google({ key: () => keys.google, fetch: of.fetch, ...more }),
  libre: (of: Translator, more = {}) =>
    libre({ origin: 'https://libre.example', key: 'libre-key', fetch: of.fetch, ...more }),
  /** The recorded contract of `@cf/meta/m2m100-1.2b`: it can only run at Cloudflare. */
  ai: (run: (model: string, input: Record<string, unknown>) => Promise<unknown>, more = {}) =>
    workersAi({ ai: () => ({ run }), ...more }),
}

export function translator(
  list: readonly Provider[],
  options: Partial<TranslateOptions> = {},
  base = makeBase(),
) {
  const module = services<Env>(base, {
    identity: people,
    parts: [
      usage(),
      translate({ providers: list, quota: { user: { units: { month: 100_000 } } }, ...options }),
    ],
  })
  const ask = client(module, base)
  return {
    module,
    ask: (body: object, token: string | undefined = 'ada') => ask('/translate', { body, token }),
    raw: ask,
  }
}
