import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { type Glossary, translate } from 'leanto/services/translate'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { keys, providers, shout, Translator, translator } from './translate-world.ts'
import { counters } from './world.ts'

let one: Translator
let log: ReturnType<typeof vi.spyOn>

beforeEach(async () => {
  one = new Translator('deepl')
  log = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freshDatabase([translator([providers.deepl(one)]).module])
})
afterEach(() => log.mockRestore())

const make = (options: Parameters<typeof translator>[1] = {}) =>
  translator([providers.deepl(one)], options)

const units = async () => (await counters())['translate:user:ada:month']

describe('POST /translate', () => {
  it('translates a text, and says from which language', async () => {
    const { status, json, headers } = await make().ask({ text: 'Bonjour le monde.', target: 'de' })
    expect(status).toBe(200)
    expect(json).toEqual({
      text: 'BONJOUR LE MONDE.',
      source: 'fr',
      target: 'de',
      known: 0,
      characters: 17,
      providers: ['deepl'],
    })
    expect(headers.get('x-ratelimit-limit')).toBe('100000')
    expect(headers.get('x-ratelimit-remaining')).toBe(String(100_000 - 17))
  })

  it('translates many in one call, in their order', async () => {
    const texts = ['One.', 'Two.', '', '  ', '42', 'One.']
    const { json } = await make().ask({ texts, source: 'en', target: 'de' })
    expect(json.texts).toEqual(['ONE.', 'TWO.', '', '  ', '42', 'ONE.'])
    expect(json.source).toBe('en')
    // Each sentence once, and nothing that has no letter.
    expect(one.texts).toEqual(['One.', 'Two.'])
    expect(one.asked).toHaveLength(1)
  })

  it.each([
    {},
    { text: 'a' },
    { target: 'de' },
    { text: 'a', texts: ['a'], target: 'de' },
    { texts: [], target: 'de' },
    { texts: 'a', target: 'de' },
    { text: ['a'], target: 'de' },
    { text: 'a', target: 'german' },
    { text: 'a', target: 'de-' },
    { text: 'a', target: '../de' },
    { text: 'a', target: 'de', source: '' },
    { text: 'a', target: 'de', format: 'pdf' },
    { text: 'a', target: 'de', provider: 'google' },
    { text: 'a', target: 'de', __proto__x: 1 },
    [],
    'text',
  ])('refuses %j', async (body) => {
    expect((await make().ask(body as object)).status).toBe(400)
    expect(one.asked).toEqual([])
  })

  it('is for whom may', async () => {
    const { raw, ask } = make()
    expect((await raw('/translate', { body: { text: 'Hi', target: 'de' } })).status).toBe(401)
    const closed = make({ access: ({ id }) => id === 'eve' })
    expect((await closed.ask({ text: 'Hi', target: 'de' })).status).toBe(403)
    expect((await ask({ text: 'Hi', target: 'de' })).status).toBe(200)
  })

  it('is bounded in characters, sentences and bytes', async () => {
    const { ask } = make({ limits: { characters: 20, sentences: 3 } })
    expect((await ask({ text: 'x'.repeat(21), target: 'de' })).status).toBe(413)
    expect((await ask({ text: 'A.\nB.\nC.\nD.', target: 'de' })).status).toBe(413)
    expect((await ask({ text: 'A.\nB.\nC.\nC.', target: 'de' })).status).toBe(200)
    expect((await ask({ text: 'x'.repeat(600_000), target: 'de' })).status).toBe(413)
    expect(await units()).toMatchObject({ requests: 1 })
  })
})

describe('a sentence', () => {
  const long = `First one. Second one! Third, e.g. this one?\n\n  Fourth.\tFifth…  `

  it('is the unit: what stands between comes back as it was', async () => {
    const { json } = await make().ask({ text: long, source: 'en', target: 'de' })
    expect(json.text).toBe(long.toUpperCase())
    expect(one.texts.slice(0, 2)).toEqual(['First one.', 'Second one!'])
  })

  it('is bought once', async () => {
    const { ask } = make()
    const first = await ask({ text: 'A cat. A dog.', source: 'en', target: 'de' })
    expect(first.json).toMatchObject({ known: 0, characters: 12 })
    const second = await ask({ text: 'A dog. A bird.', source: 'en', target: 'de' }, 'bob')
    expect(second.json).toMatchObject({ text: 'A DOG. A BIRD.', known: 1, characters: 7 })
    const third = await ask({ text: 'A bird.', source: 'en', target: 'de' })
    expect(third.json).toMatchObject({ known: 1, characters: 0, providers: [] })
    expect(third.cost.trips).toBe(1)
    expect(one.texts).toEqual(['A cat.', 'A dog.', 'A bird.'])
    // Another language is another sentence.
    await ask({ text: 'A bird.', source: 'en', target: 'fr' })
    expect(one.texts).toHaveLength(4)
  })

  it('is known with its language, where that was found', async () => {
    const { ask } = make()
    await ask({ text: 'Un chat.', target: 'de' })
    expect((await ask({ text: 'Un chat.', target: 'de' })).json).toMatchObject({
      source: 'fr',
      known: 1,
    })
  })

  it('is bought by each user where it is kept per user, and always where it is not kept', async () => {
    const body = { text: 'A cat.', source: 'en', target: 'de' }
    const own = make({ cache: { seconds: 60, per: 'user' } })
    for (const token of ['ada', 'bob', 'ada']) await own.ask(body, token)
    expect(one.texts).toHaveLength(2)
    const never = make({ cache: false })
    await never.ask(body)
    await never.ask(body)
    expect(one.texts).toHaveLength(4)
  })

  it('is in no key of the cache (case 57)', async () => {
    await make().ask({ text: 'A secret cat.', target: 'de' })
    const { keys: names } = await env.KV.list()
    expect(names.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^leanto:services:translate:[\w-]{43}$/),
    ])
  })

  it('that is very long is cut at spaces, and between no two halves of a character', async () => {
    const words = `${'word '.repeat(900)}${'😀'.repeat(3000)}`
    const { json } = await make().ask({ text: words, source: 'en', target: 'de' })
    expect(json.text).toBe(words.toUpperCase())
    expect(one.texts.every((text) => text.length <= 2000 && text.isWellFormed())).toBe(true)
  })

  it('is bought anew if what is kept of it is spoilt', async () => {
    const { ask } = make()
    const body = { text: 'Hi {name}.', source: 'en', target: 'de' }
    await ask(body)
    const [entry] = (await env.KV.list()).keys
    await env.KV.put(entry?.name as string, JSON.stringify({ html: 'HI.' }))
    expect((await ask(body)).json.text).toBe('HI {name}.')
    await env.KV.put(entry?.name as string, 'no json')
    expect((await ask(body)).json.text).toBe('HI {name}.')
  })
})

describe('what is kept', () => {
  const translated = async (text: string, more = {}, options = {}) =>
    (await make(options).ask({ text, source: 'en', target: 'de', ...more })).json.text

  it.each([
    ['Hello {name}, you have {{ count }} mails.', 'HELLO {name}, YOU HAVE {{ count }} MAILS.'],
    ['Pay %1$s or %d now', 'PAY %1$s OR %d NOW'],
    [`Use $\{value} and %(total)s`, `USE $\{value} AND %(total)s`],
    ['See https://a.example/b?c=d for it', 'SEE https://a.example/b?c=d FOR IT'],
    ['a < b & c > d "q"', 'A < B & C > D "Q"'],
    ['an \uFFFC in it', 'AN \uFFFC IN IT'],
    ['<img id="0"> {x} is text', '<IMG ID="0"> {x} IS TEXT'],
    ['$& and $1 {a}', '$& AND $1 {a}'],
  ])('in a text: %s', async (text, wanted) => {
    expect(await translated(text)).toBe(wanted)
  })

  it.each([
    ['<p>Hello <b>dear</b> world!</p>', '<p>HELLO <b>DEAR</b> WORLD!</p>'],
    [
      '<a href="https://x.example/?a=1&amp;b=2">See</a> it',
      '<a href="https://x.example/?a=1&amp;b=2">SEE</a> IT',
    ],
    ['<p title="a > b">One</p><p>two</p>', '<p title="a > b">ONE</p><p>TWO</p>'],
    ['a &amp; b &lt; c&nbsp;d &eacute;', 'A &amp; B &lt; C&nbsp;D &eacute;'],
    [
      '<!-- no --><script>let x = "<p>a</p>"</script>yes',
      '<!-- no --><script>let x = "<p>a</p>"</script>YES',
    ],
    ['run <code>npm ci</code> now', 'RUN <code>npm ci</code> NOW'],
    ['my <span translate="no">Brand</span> is', 'MY <span translate="no">Brand</span> IS'],
    ['<ul>\n  <li>one</li>\n</ul>', '<ul>\n  <li>ONE</li>\n</ul>'],
    ['hello {name} <br/> there', 'HELLO {name} <br/> THERE'],
    ['1 < 2 and <b', '1 &lt; 2 AND &lt;B'],
    ['never <!-- closed', 'NEVER <!-- closed'],
    ['never <script> closed', 'NEVER <script> closed'],
    ['', ''],
  ])('in HTML: %s', async (text, wanted) => {
    expect(await translated(text, { format: 'html' })).toBe(wanted)
  })

  it('shares a sentence whose placeholders are called otherwise', async () => {
    const { ask } = make()
    await ask({ text: 'Hi {name}!', source: 'en', target: 'de' })
    const { json } = await ask({ text: 'Hi {user}!', source: 'en', target: 'de' })
    expect(json).toMatchObject({ text: 'HI {user}!', known: 1 })
  })

  it.each([
    ['loses it', (text: string) => shout(text).replace(/<img[^>]*>/, '')],
    ['doubles it', (text: string) => shout(text).replace(/(<img[^>]*>)/, '$1$1')],
    ['makes up another', (text: string) => `${shout(text)}<img id="7">`],
    ['adds markup', (text: string) => `${shout(text)}<script>alert(1)</script>`],
    ['swaps tags', (text: string) => shout(text).replace(/(<img[^>]*>)(.*)(<img[^>]*>)/, '$3$2$1')],
  ])('comes back though the service %s: it is sent in pieces then', async (_what, spoil) => {
    one.make = (text, body) => (body.tag_handling ? spoil(text) : shout(text))
    const text = 'Hello <b>dear</b> world'
    const { json } = await make().ask({ text, source: 'en', target: 'de', format: 'html' })
    expect(json.text).toBe('HELLO <b>DEAR</b> WORLD')
    expect(one.texts.slice(1)).toEqual(['Hello', 'dear', 'world'])
    // Both ways were bought.
    expect(json.characters).toBe(16 + 14)
    expect(await units()).toMatchObject({ units: 30 })
  })

  it('may change places with another placeholder', async () => {
    one.make = (text) => shout(text).replace(/(<img[^>]*>)(.*)(<img[^>]*>)/, '$3$2$1')
    expect(await translated('{a} of {b}')).toBe('{b} OF {a}')
    expect(one.asked).toHaveLength(1)
  })

  it('never becomes markup: what a service answers is text', async () => {
    one.make = () => '<script>alert(1)</script> & more'
    expect(await translated('Hello', { format: 'html' })).toBe(
      '&lt;script&gt;alert(1)&lt;/script&gt; &amp; more',
    )
  })

  it('comes out of any text and any HTML as it went in', async () => {
    // A service that changes nothing: whatever is taken apart must be joined again.
    one.make = (text) => text
    const { ask } = make()
    const piece = fc.constantFrom(
      ...[
        'a',
        'B. ',
        '\n',
        '<b>',
        '</b>',
        '<p class="x">',
        '{x}',
        '%s',
        '&amp;',
        '&nbsp;',
        '\uFFFC',
      ],
      ...[
        'Hi! ',
        '<br>',
        '<!--',
        '-->',
        '<code>',
        '</code>',
        ' ',
        '😀',
        '"',
        "'",
        '&#39',
        '$1',
        '<',
      ],
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 25 }), async (all) => {
        const text = all.join('')
        const plain = await ask({ text, source: 'en', target: 'de' })
        expect(plain.json.text).toBe(text)
        const html = await ask({ text, source: 'en', target: 'de', format: 'html' })
        // A bare `<` or `&` is written as HTML wants it; nothing else changes.
        const bare = (one: string) =>
          one.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
        expect(bare(html.json.text)).toBe(bare(text))
      }),
      { numRuns: 150 },
    )
  })

  it('is found in time, whatever the HTML', async () => {
    const { ask } = make({ limits: { characters: 100_000 }, quota: 'unsafeUnlimited' })
    for (const bad of [
      '<',
      '<!--',
      '<script>',
      '<a "',
      "<a '",
      '<a <',
      '&',
      '{',
      '{{',
      '%(',
      '<b>',
    ]) {
      const started = Date.now()
      await ask({ text: bad.repeat(50_000 / bad.length), target: 'de', format: 'html' })
      expect(Date.now() - started, bad).toBeLessThan(2500)
    }
  })
})

describe('a glossary', () => {
  const glossaries: Glossary[] = [
    { source: 'en', target: 'de', terms: { 'lean-to': 'Anbau', Worker: 'Worker', 'a.b': 'c' } },
    { target: 'fr', terms: { Worker: 'Ouvrier' } },
  ]
  const say = async (text: string, more: object) =>
    (await make({ glossaries }).ask({ text, ...more })).json.text

  it('makes of a term what it says, as a whole word and in its language', async () => {
    const de = { source: 'en-GB', target: 'de-AT' }
    expect(await say('The lean-to of a Worker, Workers, a.b axb', de)).toBe(
      'THE Anbau OF A Worker, WORKERS, c AXB',
    )
    expect(await say('A Worker', { source: 'es', target: 'de' })).toBe('A WORKER')
    expect(await say('A Worker', { target: 'fr' })).toBe('A Ouvrier')
  })
})

describe('what it costs', () => {
  it('is counted in characters, as they are in Unicode', async () => {
    await make().ask({ text: 'Grüße 😀 {x}', source: 'de', target: 'en' })
    expect(await units()).toEqual({ requests: 1, units: 8, micros: 0 })
  })

  it('is refused before anything is bought', async () => {
    const { ask } = make({ quota: { user: { units: { day: 10 } } } })
    expect((await ask({ text: '12345 letters', target: 'de' })).json).toMatchObject({
      code: 'quota_exceeded',
      details: { amount: 'units', limit: 10 },
    })
    expect(one.asked).toEqual([])
  })

  it('is money by what the provider takes, in a budget with the others', async () => {
    const list = [providers.deepl(one, { perMillion: 20 })]
    const { ask, raw } = translator(list, { budget: { money: 0.001 } })
    expect((await ask({ text: 'x'.repeat(50), target: 'de' })).status).toBe(200)
    expect((await counters())['translate:app::month']?.micros).toBe(1000)
    expect((await ask({ text: 'y', target: 'de' })).json.code).toBe('budget_exhausted')
    const { json } = await raw('/usage', { key: 'secret' })
    expect(json.services.translate).toMatchObject({ unit: 'characters' })
  })

  it('is one trip where all that was reserved was used', async () => {
    const { ask } = make()
    expect((await ask({ text: 'Plain.', target: 'de' })).cost.trips).toBe(1)
    // Room for a second try in pieces, given back.
    expect((await ask({ text: 'With {x}.', target: 'de' })).cost.trips).toBe(2)
  })

  it('is never more than the quota by 200 parallel calls', async () => {
    const { ask } = make({ quota: { user: { units: { day: 100 } } }, cache: false })
    const all = await Promise.all(
      Array.from({ length: 200 }, () => ask({ text: 'abcd', source: 'en', target: 'de' })),
    )
    expect(all.filter(({ status }) => status === 200)).toHaveLength(25)
    expect(one.texts).toHaveLength(25)
  })

  it('is what was really bought if a provider fails in the middle', async () => {
    const texts = Array.from({ length: 120 }, (_, i) => `Sentence ${i}.`)
    one.fails = () => (one.asked.length > 1 ? new Response('', { status: 500 }) : undefined)
    const { ask } = make()
    expect((await ask({ texts, source: 'en', target: 'de' })).status).toBe(502)
    const bought = texts.slice(0, 50).join('').length
    expect(await units()).toMatchObject({ units: bought })
    one.fails = undefined
    const { json } = await ask({ texts, source: 'en', target: 'de' })
    expect(json.known).toBe(50)
    expect(json.texts).toEqual(texts.map((text) => text.toUpperCase()))
  })
})

describe('options', () => {
  it('are refused where they are wrong', () => {
    expect(() => translate({ providers: [] })).toThrow('`providers`')
    expect(() => translate({ providers: [providers.deepl(one)] })).toThrow('unsafeUnlimited')
    expect(() => translate({ providers: [providers.deepl(one)], budget: { money: 1 } })).toThrow(
      'price',
    )
  })

  it('keep the key from answers and the log', async () => {
    one.fails = () => new Response(`bad key ${keys.deepl}`, { status: 403 })
    const { text, status } = await make().ask({ text: 'Hi', target: 'de' })
    expect(status).toBe(502)
    expect(text + log.mock.calls.flat().map(String).join()).not.toContain(keys.deepl)
  })
})
