import type { Provider } from 'leanto/services/translate'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock, freshDatabase, makeBase } from '../kit/world.ts'
import { keys, providers, Translator, translator } from './translate-world.ts'

let log: ReturnType<typeof vi.spyOn>

beforeEach(async () => {
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([translator([providers.deepl(new Translator('deepl'))]).module])
})
afterEach(() => log.mockRestore())

const hello = { text: 'Hello {name}.', source: 'en-GB', target: 'pt' }

describe('DeepL', () => {
  it('is asked as its reference says, at the host of the key’s plan', async () => {
    const one = new Translator('deepl')
    await translator([providers.deepl(one)]).ask(hello)
    await translator([providers.deepl(one, { key: () => 'free-key-01234:fx' })]).ask({
      text: 'Other',
      target: 'de',
    })
    const [paid, free] = one.asked
    expect(paid?.url).toBe('https://api.deepl.com/v2/translate')
    expect(paid?.headers.get('authorization')).toBe(`DeepL-Auth-Key ${keys.deepl}`)
    expect(paid?.body).toEqual({
      text: ['Hello <img id="0">.'],
      source_lang: 'EN',
      target_lang: 'PT-PT',
      split_sentences: '0',
      preserve_formatting: true,
      tag_handling: 'html',
    })
    expect(free?.url).toBe('https://api-free.deepl.com/v2/translate')
    expect(free?.body).toEqual({
      text: ['Other'],
      target_lang: 'DE',
      split_sentences: '0',
      preserve_formatting: true,
    })
  })
})

describe('Google', () => {
  it('is asked as its reference says, with the key in no address', async () => {
    const one = new Translator('google')
    one.make = (text, { format }) => (format === 'html' ? text : `${text} &#39;&amp;`)
    const { ask } = translator([providers.google(one)])
    expect((await ask(hello)).json.text).toBe('Hello {name}.')
    const plain = await ask({ text: 'Plain', target: 'de' })
    expect(plain.json).toMatchObject({ text: "Plain '&", source: 'fr' })
    expect(one.asked[0]?.url).toBe('https://translation.googleapis.com/language/translate/v2')
    expect(one.asked[0]?.headers.get('x-goog-api-key')).toBe(keys.google)
    expect(one.asked[0]?.body).toEqual({
      q: ['Hello <img id="0">.'],
      source: 'en-GB',
      target: 'pt',
      format: 'html',
    })
    expect(one.asked[1]?.body).toEqual({ q: ['Plain'], target: 'de', format: 'text' })
  })
})

describe('LibreTranslate', () => {
  it('is asked as its reference says', async () => {
    const one = new Translator('libre')
    const { ask } = translator([providers.libre(one)])
    const { json } = await ask({ text: 'Bonjour', target: 'de' })
    expect(json).toMatchObject({ text: 'BONJOUR', source: 'fr', providers: ['libre'] })
    expect(one.asked[0]?.url).toBe('https://libre.example/translate')
    expect(one.asked[0]?.body).toEqual({
      q: ['Bonjour'],
      source: 'auto',
      target: 'de',
      format: 'text',
      api_key: 'libre-key',
    })
  })
})

describe('Workers AI, by its recorded contract', () => {
  const run = vi.fn(async (_model: string, { text }: Record<string, unknown>) => ({
    translated_text: String(text).toUpperCase(),
  }))
  beforeEach(() => {
    run.mockClear()
  })

  it('is asked a text at a time, in pieces where something is kept', async () => {
    const { json } = await translator([providers.ai(run)]).ask(hello)
    expect(json).toMatchObject({ text: 'HELLO {name}.', providers: ['workers-ai'] })
    expect(run.mock.calls).toEqual([
      ['@cf/meta/m2m100-1.2b', { text: 'Hello', source_lang: 'en', target_lang: 'pt' }],
    ])
  })

  it('is not asked without a source', async () => {
    const two = new Translator('libre')
    const both = translator([providers.ai(run), providers.libre(two)])
    const { json } = await both.ask({ text: 'Hi', target: 'de' })
    expect(json.providers).toEqual(['libre'])
    const alone = await translator([providers.ai(run)]).ask({ text: 'Ho', target: 'de' })
    expect(alone.status).toBe(503)
    expect(run).not.toHaveBeenCalled()
  })

  it.each([{}, null, { translated_text: 7 }])('fails with an answer such as %j', async (answer) => {
    const { status } = await translator([providers.ai(async () => answer)]).ask(hello)
    expect(status).toBe(502)
  })
})

describe('from provider to provider', () => {
  let first: Translator
  let second: Translator
  const both = (options = {}) =>
    translator([providers.deepl(first, { timeout: 30 }), providers.google(second)], options)

  beforeEach(() => {
    first = new Translator('deepl')
    second = new Translator('google')
  })

  const json = (body: unknown) => () => Response.json(body)
  it.each([
    ['fails', () => new Response('', { status: 500 })],
    ['refuses the key', () => new Response('', { status: 403 })],
    ['has a quota of its own', () => new Response('', { status: 456 })],
    ['is asked too often', () => new Response('', { status: 429 })],
    ['does not know the language', () => new Response('', { status: 400 })],
    ['redirects inside', () => Response.redirect('http://169.254.169.254/', 302)],
    ['cuts the connection', () => Promise.reject(new Error('reset'))],
    ['does not answer in time', () => new Promise<Response>(() => {})],
    ['answers no JSON', () => new Response('<html>')],
    ['answers half a JSON', () => new Response('{"translations":[{"te')],
    ['answers fewer texts', json({ translations: [] })],
    ['answers other shapes', json({ translations: [{ text: 7 }] })],
    ['answers nothing', json(null)],
    ['answers too much', () => new Response('x'.repeat(5 * 1024 * 1024))],
  ])('the next is asked where one %s', async (what, answer) => {
    first.fails = answer
    if (what.includes('in time')) {
      // As fetch does, which the fake one does not do by itself.
      const fetch = (request: Request) =>
        new Promise<Response>((_, reject) =>
          request.signal.addEventListener('abort', () => reject(new Error('aborted'))),
        )
      const list = [providers.deepl(first, { timeout: 30, fetch }), providers.google(second)]
      const { json: made } = await translator(list).ask(hello)
      expect(made).toMatchObject({ text: 'HELLO {name}.', providers: ['google'] })
      return
    }
    const answered = await both().ask(hello)
    expect(answered.json).toMatchObject({
      text: 'HELLO {name}.',
      providers: ['google'],
      characters: 7,
    })
    expect(first.asked.length).toBe(1)
  })

  it('only what is left is asked, and each is paid its own price', async () => {
    first.fails = ({ text }) =>
      first.asked.length > 1 && Array.isArray(text) ? new Response('', { status: 500 }) : undefined
    const texts = Array.from({ length: 60 }, (_, i) => `Text ${i}`)
    const { json: made } = await both().ask({ texts, source: 'en', target: 'de' })
    expect(made.texts).toEqual(texts.map((text) => text.toUpperCase()))
    expect(made.providers).toEqual(['deepl', 'google'])
    expect(second.texts).toEqual(texts.slice(50))
  })

  it('a language that nobody knows is the client’s mistake; a failure is not', async () => {
    first.fails = second.fails = () => new Response('', { status: 400 })
    expect((await both().ask(hello)).status).toBe(400)
    first.fails = () => new Response('', { status: 500 })
    expect((await both().ask(hello)).status).toBe(502)
  })

  it('one that keeps failing is not asked for a while', async () => {
    first.fails = () => new Response('', { status: 500 })
    const { ask } = both({ cache: false })
    for (let i = 0; i < 5; i++) expect((await ask(hello)).status).toBe(200)
    expect(first.asked).toHaveLength(3)
    clock.advance(31)
    await ask(hello)
    expect(first.asked).toHaveLength(4)
  })

  it('any object of the shape is one', async () => {
    const own: Provider = {
      name: 'own',
      batch: 10,
      detects: true,
      html: false,
      translate: async (_scope, { texts }) => ({ texts: texts.map((text) => `[${text}]`) }),
    }
    const { ask } = translator([own], {}, makeBase())
    expect((await ask({ text: 'A. B.', target: 'de' })).json.text).toBe('[A.] [B.]')
    const wrong = { ...own, translate: async () => ({ texts: [] }) }
    expect((await translator([wrong]).ask({ text: 'C.', target: 'de' })).status).toBe(502)
  })
})
