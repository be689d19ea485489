import { geocode, llm } from 'leanto/services/presets'
import { beforeEach, describe, expect, it } from 'vitest'
import { type Env, freshDatabase } from '../kit/world.ts'
import { client, counters, gateway, key, Upstream } from './world.ts'

let upstream: Upstream
const limits = { quota: { user: { units: { day: 100_000 }, requests: { day: 50 } } } }

const model = (options = {}) =>
  client(
    gateway({
      ai: llm<Env>({
        key: () => key,
        models: ['small', 'large'],
        maxTokens: 500,
        perMillion: 2,
        fetch: upstream.fetch,
        ...limits,
        ...options,
      }),
    }),
  )

beforeEach(async () => {
  upstream = new Upstream()
  await freshDatabase([gateway({})])
})

const messages = [{ role: 'user', content: 'Hi' }]
const chat = { model: 'small', messages }

describe('llm', () => {
  const complete = (body: object, options = {}) =>
    model(options)('/ai/v1/chat/completions', { body, token: 'ada' })
  const sent = () => JSON.parse(upstream.last.body)
  const units = async () => (await counters())['ai:user:ada:day']?.units

  it('passes a chat on, never without a limit, and counts what was used', async () => {
    upstream.answer = () => Response.json({ choices: [], usage: { total_tokens: 42 } })
    expect((await complete({ ...chat, temperature: 0.5 })).status).toBe(200)
    expect(upstream.last.request.url).toBe('https://api.openai.com/v1/chat/completions')
    expect(upstream.last.request.headers.get('authorization')).toBe(`Bearer ${key}`)
    expect(sent()).toEqual({ ...chat, temperature: 0.5, max_completion_tokens: 500 })
    expect(await units()).toBe(42)
  })

  it('reserves all that an answer may be', async () => {
    upstream.answer = () => Response.json({ choices: [] })
    await complete({ ...chat, max_tokens: 77 })
    expect(await units()).toBe(JSON.stringify(sent()).length + 77)
    expect(sent()).not.toHaveProperty('max_completion_tokens')
  })

  it('streams, and reads what was used from the last event', async () => {
    const events = [
      { choices: [{ delta: { content: 'Hal' } }] },
      { choices: [{ delta: { content: '"usage"' } }], usage: null },
      { choices: [], usage: { total_tokens: 9 } },
    ].map((event) => `data: ${JSON.stringify(event)}\n\n`)
    const text = `${events.join('')}data: [DONE]\n\n`
    upstream.answer = () =>
      new Response(text, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
    const answer = await complete({
      ...chat,
      stream: true,
      stream_options: { include_usage: false },
    })
    expect(answer.text).toBe(text)
    expect(sent().stream_options).toEqual({ include_usage: true })
    expect(await units()).toBe(9)
  })

  it.each([
    { ...chat, model: 'huge' },
    { ...chat, n: 2 },
    { ...chat, max_tokens: 501 },
    { ...chat, max_completion_tokens: 501 },
    { ...chat, max_tokens: -5 },
    { ...chat, max_tokens: 1.5 },
    { ...chat, store: true },
    { ...chat, tools: [{ type: 'web_search' }] },
    { ...chat, web_search_options: {} },
    { ...chat, service_tier: 'priority' },
    { ...chat, modalities: ['audio'] },
    { ...chat, messages: [] },
    { ...chat, messages: 'Hi' },
  ])('refuses %j', async (body) => {
    expect((await complete(body)).status).toBe(400)
    expect(upstream.seen).toEqual([])
  })

  it('embeds', async () => {
    upstream.answer = () => Response.json({ data: [], usage: { total_tokens: 3 } })
    const embed = (body: object) => model()('/ai/v1/embeddings', { body, token: 'ada' })
    expect((await embed({ model: 'large', input: ['a', 'b'] })).status).toBe(200)
    expect(await units()).toBe(3)
    expect((await embed({ model: 'large', input: [1] })).status).toBe(400)
    expect((await model()('/ai/v1/models', { token: 'ada' })).status).toBe(404)
  })

  it('is money by the million', async () => {
    upstream.answer = () => Response.json({ usage: { total_tokens: 1000 } })
    await complete(chat, { budget: { money: 1 } })
    expect((await counters())['ai:app::month']?.micros).toBe(2000)
  })
})

describe('geocode', () => {
  const places = (options = {}) =>
    client(
      gateway({
        places: geocode<Env>({
          origin: 'https://places.example',
          prefix: '/v1',
          key: () => key,
          price: 0.001,
          fetch: upstream.fetch,
          ...limits,
          quota: { user: { requests: { day: 5 } } },
          ...options,
        }),
      }),
    )

  it('asks once for a place, with the key that nobody sees', async () => {
    upstream.answer = () => Response.json([{ lat: '52.5', lon: '13.4' }])
    const ask = places()
    const search = (token: string) => ask('/places/v1/search?q=Berlin&format=json', { token })
    const first = await search('ada')
    expect(first.json).toEqual([{ lat: '52.5', lon: '13.4' }])
    expect((await search('bob')).text).toBe(first.text)
    expect(upstream.seen).toHaveLength(1)
    const url = new URL(upstream.last.request.url)
    expect(url.pathname).toBe('/v1/search')
    expect(Object.fromEntries(url.searchParams)).toEqual({ q: 'Berlin', format: 'json', key })
  })

  it('finds what is at a place, and nothing else', async () => {
    const ask = places()
    expect((await ask('/places/v1/reverse?lat=1&lon=2', { token: 'ada' })).status).toBe(200)
    expect((await ask('/places/v1/reverse?lat=1&q=2', { token: 'ada' })).status).toBe(400)
    expect((await ask('/places/v1/lookup?id=2', { token: 'ada' })).status).toBe(404)
    expect((await ask('/places/v1/search?q=a&key=mine', { token: 'ada' })).status).toBe(400)
  })
})
