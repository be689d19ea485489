import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { fresh, ids } from './search-world.ts'

beforeAll(fresh)

describe('whatever is asked', () => {
  const pieces = fc.constantFrom(
    ...[
      'cat',
      'fat',
      'the',
      'or',
      'OR',
      'AND',
      'NOT',
      'NEAR',
      ' ',
      ' ',
      '"',
      "'",
      '-',
      '!',
      '&',
      '|',
      '(',
      ')',
      '<->',
      '<2>',
    ],
    ...[
      '<',
      ':',
      ':*',
      ':A',
      '*',
      '\\',
      '^',
      '{',
      '}',
      '+',
      ',',
      '.',
      ';',
      'title',
      ':',
      '\0',
      '\ud800',
      'é',
      '́',
      '字',
      '😀',
      'ꟺ',
      '\n',
    ],
  )
  const text = fc.oneof(
    fc.array(pieces, { maxLength: 14 }).map((all) => all.join('')),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const operator = fc.constantFrom(
    'fts',
    'plfts',
    'phfts',
    'wfts',
    'not.fts',
    'not.wfts',
    'fts(english)',
  )
  const column = fc.constantFrom('title', 'body', 'whole')

  it('the answer is rows or a fault, and those whose grammar takes anything give rows', async () => {
    await fc.assert(
      fc.asyncProperty(text, operator, column, async (query, operator, column) => {
        const answer = await ids(column, `${operator}.${query}`)
        const refusals = ['400 22P05', '400 22P02', '400 54000']
        if (/^(?:not\.)?fts/.test(operator)) refusals.push('400 42601', '400 PGRST127')
        if (typeof answer === 'string') expect(refusals).toContain(answer)
        else expect(answer).not.toContain(3)
      }),
      { numRuns: 600 },
    )
  })

  it('a query and its negation part the rows, and what is joined is what it says', async () => {
    const word = fc.constantFrom('cat', 'fat', 'rat', 'dog', "'fat rat'", 'ra:*', 'zebra')
    const query = fc.letrec<{ query: string }>((tie) => ({
      query: fc.oneof(
        { maxDepth: 3 },
        word,
        tie('query').map((one) => `!(${one})`),
        fc
          .tuple(tie('query'), fc.constantFrom('&', '|'), tie('query'))
          .map(([one, sign, other]) => `(${one}) ${sign} (${other})`),
      ),
    })).query
    const get = async (query: string) => (await ids('title', `fts.${query}`)) as number[]
    await fc.assert(
      fc.asyncProperty(query, query, async (one, other) => {
        const [a, b, not, and, or] = await Promise.all(
          [one, other, `!(${one})`, `(${one}) & (${other})`, `(${one}) | (${other})`].map(get),
        )
        if (![a, b, not, and, or].every(Array.isArray)) return
        const all = [1, 2, 4, 5]
        expect(not).toEqual(all.filter((id) => !a?.includes(id)))
        expect(await ids('title', `not.fts.${one}`)).toEqual(not)
        expect(and).toEqual(all.filter((id) => a?.includes(id) && b?.includes(id)))
        expect(or).toEqual(all.filter((id) => a?.includes(id) || b?.includes(id)))
      }),
      { numRuns: 200 },
    )
  })
})
