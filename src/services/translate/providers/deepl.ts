import type { Setting } from '../../definition.ts'
import { answerOf, type Provider, type ProviderOptions, post, settingOf } from '../provider.ts'

export interface DeeplOptions<Env> extends ProviderOptions<Env> {
  /** A key that ends with `:fx` is one of the free plan, which has a host of its own. */
  key: Setting<Env>
}

/** Those that DeepL wants a region or script of, as a target. */
const regions: Record<string, string> = { en: 'EN-US', pt: 'PT-PT', zh: 'ZH-HANS' }

/** DeepL: https://developers.deepl.com/docs/api-reference/translate */
export function deepl<Env>({ key, perMillion, ...options }: DeeplOptions<Env>): Provider {
  const name = 'deepl'
  return {
    name,
    batch: 50,
    detects: true,
    html: true,
    ...(perMillion === undefined ? {} : { perMillion }),
    async translate(scope, { texts, source, target, html }) {
      const origin = settingOf(scope, key).endsWith(':fx')
        ? 'https://api-free.deepl.com'
        : 'https://api.deepl.com'
      const value = () => `DeepL-Auth-Key ${settingOf(scope, key)}`
      const body = {
        text: texts,
        // As a source, a language has no region.
        ...(source ? { source_lang: source.split('-')[0]?.toUpperCase() } : {}),
        target_lang: regions[target.toLowerCase()] ?? target.toUpperCase(),
        // Each text is one sentence.
        split_sentences: '0',
        preserve_formatting: true,
        ...(html ? { tag_handling: 'html' } : {}),
      }
      const auth = { header: 'authorization', value }
      const to = { ...options, origin, auth }
      const answer = (await post(scope, to, { path: '/v2/translate', body, name })) as {
        translations?: { text?: unknown; detected_source_language?: unknown }[]
      } | null
      const all = Array.isArray(answer?.translations) ? answer.translations : []
      return answerOf(name, texts.length, {
        texts: all.map((one) => one?.text),
        source: all[0]?.detected_source_language,
      })
    },
  }
}
