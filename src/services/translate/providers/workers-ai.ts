import { answerOf, type Provider, unusable } from '../provider.ts'

/** The part of a Workers AI binding that is used. */
export interface Ai {
  run(model: string, input: Record<string, unknown>): Promise<unknown>
}

export interface WorkersAiOptions<Env> {
  ai: (env: Env) => Ai
  /** One that takes `{ text, source_lang, target_lang }`. @default '@cf/meta/m2m100-1.2b' */
  model?: string
  /** What a million characters cost. @default 0 */
  perMillion?: number
}

/**
 * Workers AI: https://developers.cloudflare.com/workers-ai/models/m2m100-1.2b/. It does not find out languages and takes
 * no HTML: without a `source` the next provider is asked, and what is kept in a sentence cuts it into pieces.
 */
export function workersAi<Env>({ ai, model, perMillion }: WorkersAiOptions<Env>): Provider {
  const name = 'workers-ai'
  return {
    name,
    // One run each, and six at once are what a Worker may have open.
    batch: 6,
    detects: false,
    html: false,
    ...(perMillion === undefined ? {} : { perMillion }),
    async translate(scope, { texts, source, target }) {
      const base = (language: string | undefined) => language?.split('-')[0]
      const run = async (text: string): Promise<unknown> => {
        const input = { text, source_lang: base(source), target_lang: base(target) }
        const answer = await ai(scope.env as Env).run(model ?? '@cf/meta/m2m100-1.2b', input)
        return (answer as { translated_text?: unknown } | null)?.translated_text
      }
      try {
        const made = await Promise.all(texts.map(run))
        return answerOf(name, texts.length, { texts: made, source: undefined })
      } catch (error) {
        throw unusable(`${name}: ${error}`)
      }
    },
  }
}
