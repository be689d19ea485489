import * as v from 'valibot'
import type { Setting } from '../definition.ts'
import {
  type Answered,
  type Call,
  type Service,
  type ServiceOptions,
  service,
} from '../definition.ts'

export interface LlmOptions<Env>
  extends Partial<
    Pick<
      ServiceOptions<Env>,
      'quota' | 'budget' | 'access' | 'cache' | 'fallback' | 'fetch' | 'timeout'
    >
  > {
  /** Of a server with OpenAI's API. @default 'https://api.openai.com' */
  origin?: Setting<Env>
  key: (env: Env) => string
  /** The models that may be asked; others are 400. Each is somebody's money. */
  models: readonly [string, ...string[]]
  /** The most tokens of one answer; also what an answer gets if the client does not say. @default 1024 */
  maxTokens?: number
  /** What a million tokens cost, the dearest of those that are used. @default 0 */
  perMillion?: number
  /** In bytes of the request: text, and pictures as text. @default 262_144 */
  bytes?: number
}

/**
 * `POST /v1/chat/completions` and `POST /v1/embeddings` by OpenAI's API
 * (https://platform.openai.com/docs/api-reference), streamed or whole. Units are tokens: reserved are the most that there
 * can be, settled is what `usage` says.
 */
export function llm<Env>(options: LlmOptions<Env>): Service<Env> {
  const { origin = 'https://api.openai.com', key, models, maxTokens = 1024, ...more } = options
  const { perMillion, bytes, ...rest } = more
  const model = v.picklist(models)
  const tokens = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxTokens)))
  // Loose, for the API grows; but for what makes more than one answer, or one that nobody counts.
  const chat = v.pipe(
    v.looseObject({
      model,
      messages: v.pipe(v.array(v.looseObject({ role: v.string() })), v.minLength(1)),
      max_tokens: tokens,
      max_completion_tokens: tokens,
      n: v.optional(v.literal(1)),
      stream: v.optional(v.boolean()),
      store: v.optional(v.literal(false)),
      service_tier: v.optional(v.picklist(['auto', 'default'])),
      tools: v.optional(v.array(v.looseObject({ type: v.literal('function') }))),
      web_search_options: v.optional(v.never()),
      background: v.optional(v.never()),
      best_of: v.optional(v.never()),
      audio: v.optional(v.never()),
      modalities: v.optional(v.tuple([v.literal('text')])),
    }),
    v.transform(({ max_tokens, max_completion_tokens, ...body }) => ({
      ...body,
      // Never without one, or an answer may be as long as the model can.
      ...(max_tokens === undefined
        ? { max_completion_tokens: max_completion_tokens ?? maxTokens }
        : { max_tokens }),
      // Only so the last event of a stream says what was used.
      ...(body.stream ? { stream_options: { include_usage: true } } : {}),
    })),
  )
  const embeddings = v.strictObject({
    model,
    input: v.union([v.string(), v.array(v.string())]),
    dimensions: v.optional(v.number()),
    encoding_format: v.optional(v.picklist(['float', 'base64'])),
  })
  const limited = bytes === undefined ? {} : { bytes }
  return service<Env>({
    origin,
    auth: { header: 'authorization', value: (env) => `Bearer ${key(env)}` },
    allow: [
      { method: 'POST', path: '/v1/chat/completions', body: chat, ...limited },
      { method: 'POST', path: '/v1/embeddings', body: embeddings, ...limited },
    ],
    meter: { unit: 'tokens', most: mostOf, used: usedOf },
    ...(perMillion === undefined ? {} : { price: { unit: perMillion / 1_000_000 } }),
    ...rest,
  })
}

/** A token is a byte at least, in every tokeniser of bytes; a picture by its address is what it may be at most. */
function mostOf({ body }: Call): number {
  const { max_tokens, max_completion_tokens = 0 } = body as Record<string, number>
  const text = JSON.stringify(body)
  const pictures = text.split('"image_url"').length - 1
  return (
    new TextEncoder().encode(text).length + pictures * 3000 + (max_tokens ?? max_completion_tokens)
  )
}

/** Of a stream, by its last event with `usage`. */
function usedOf(_call: Call, { headers, text }: Answered): number | undefined {
  const events = /^text\/event-stream/i.test(headers.get('content-type') ?? '')
    ? text
        .split('\n')
        .filter((line) => line.startsWith('data:') && line.includes('"usage"'))
        .map((line) => line.slice('data:'.length))
    : [text]
  for (const event of events.reverse()) {
    const used = usageOf(event)
    if (used !== undefined) return used
  }
  return undefined
}

function usageOf(json: string): number | undefined {
  try {
    const total = JSON.parse(json)?.usage?.total_tokens
    return typeof total === 'number' ? total : undefined
  } catch {
    return undefined
  }
}
