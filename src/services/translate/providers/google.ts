import type { Setting } from '../../definition.ts'
import { decodeEntities } from '../markup.ts'
import { answerOf, type Provider, type ProviderOptions, post, settingOf } from '../provider.ts'

export interface GoogleOptions<Env> extends ProviderOptions<Env> {
  key: Setting<Env>
}

/** Google Cloud Translation, basic (v2): https://cloud.google.com/translate/docs/reference/rest/v2/translate */
export function google<Env>({ key, perMillion, ...options }: GoogleOptions<Env>): Provider {
  const name = 'google'
  return {
    name,
    batch: 128,
    detects: true,
    html: true,
    ...(perMillion === undefined ? {} : { perMillion }),
    async translate(scope, { texts, source, target, html }) {
      const format = html ? 'html' : 'text'
      const body = { q: texts, ...(source ? { source } : {}), target, format }
      const to = {
        ...options,
        origin: 'https://translation.googleapis.com',
        // By its header, for an address is written into logs.
        auth: { header: 'x-goog-api-key', value: () => settingOf(scope, key) },
      }
      const path = '/language/translate/v2'
      const answer = (await post(scope, to, { path, body, name })) as {
        data?: { translations?: { translatedText?: unknown; detectedSourceLanguage?: unknown }[] }
      } | null
      const found = answer?.data?.translations
      const all = Array.isArray(found) ? found : []
      const { texts: made, ...rest } = answerOf(name, texts.length, {
        texts: all.map((one) => one?.translatedText),
        source: all[0]?.detectedSourceLanguage,
      })
      // Plain texts come with entities in them all the same.
      return { ...rest, texts: html ? made : made.map(decodeEntities) }
    },
  }
}
