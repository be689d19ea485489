import type { Setting } from '../../definition.ts'
import { answerOf, type Provider, type ProviderOptions, post, settingOf } from '../provider.ts'

export interface LibreOptions<Env> extends ProviderOptions<Env> {
  /** Where it runs: `https://libretranslate.com`, or your own. */
  origin: Setting<Env>
  /** Where the server wants one. */
  key?: Setting<Env>
}

/** LibreTranslate: https://docs.libretranslate.com/api/operations/translate/ */
export function libre<Env>({ origin, key, perMillion, ...options }: LibreOptions<Env>): Provider {
  const name = 'libre'
  return {
    name,
    batch: 50,
    detects: true,
    html: true,
    ...(perMillion === undefined ? {} : { perMillion }),
    async translate(scope, { texts, source, target, html }) {
      const body = {
        q: texts,
        source: source?.split('-')[0] ?? 'auto',
        target,
        format: html ? 'html' : 'text',
        ...(key === undefined ? {} : { api_key: settingOf(scope, key) }),
      }
      const answer = (await post(
        scope,
        { ...options, origin },
        { path: '/translate', body, name },
      )) as {
        translatedText?: unknown
        detectedLanguage?: { language?: unknown } | { language?: unknown }[]
      } | null
      const [found] = [answer?.detectedLanguage].flat()
      return answerOf(name, texts.length, {
        texts: answer?.translatedText,
        source: found?.language,
      })
    },
  }
}
