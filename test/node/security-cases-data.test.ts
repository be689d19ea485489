import { describe, expect, it } from 'vitest'
import { namedCases } from '../kit/case-index.ts'

/*
 * The index of the attacks that `data` must stand (sections F, G, K and L of the project's list, and H 53 and 54). A test's
 * name says `case 35` or `cases 35 and 36`.
 */

const cases: Record<number, string> = {
  35: 'a hidden column serves no filter, order, group, embed, search or function',
  36: 'no answer depends on what is hidden; unknown keys of the query are refused',
  37: 'another name unmasks nothing',
  38: 'tables of the system and of the module, and closed join tables, are not reached',
  39: 'ids that mean something elsewhere grant nothing',
  40: 'no way of writing assigns what is read-only, hidden or the server’s',
  41: 'a guest who names a user is no user',
  42: 'another one’s row by its id is not there',
  44: 'side doors apply the same rules',
  45: 'of a key given twice, policy and writer see the same one',
  46: 'names that every object has are no table, column or function',
  47: 'names, aliases, orders and paths with quotes and dots are no SQL',
  48: 'patterns are literal where they should be, and bounded',
  49: 'depth, terms and batches end before they are evaluated',
  50: 'no expression of a client is compiled, and a wrong one is 400',
  51: 'no word of SQL or the driver in an error',
  53: 'bodies have a limit, whatever they claim',
  54: 'no spelling of a route, and no batch, reaches what is closed',
  64: 'cookies authenticate nothing',
  65: 'credentials never go with a reflected origin',
  66: 'no answer may be stored',
  67: 'the limit of a body holds without, with a false, and with no length',
  68: 'who could see a row that is gone is told by what it was',
  69: 'changes of what is hidden are told to nobody',
  70: 'interleaved requests of two tenants never mix',
  72: 'one operation has one verdict, whichever way it comes',
}

/** Of the same sections, but not of this module. */
const elsewhere: Record<number, string> = {
  43: 'invitations: of auth',
  71: 'sockets: of realtime',
}

const index = namedCases(['test/data', 'test/core'])

describe('every attack that touches data is played', () => {
  it.each(Object.entries(cases))('case %s: %s', (number) => {
    expect([...(index.get(Number(number)) ?? [])]).not.toEqual([])
  })
})

it('nothing of these sections is left out', () => {
  const span = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i)
  const sections = [...span(35, 51), 53, 54, ...span(64, 72)]
  const listed = [...Object.keys(cases), ...Object.keys(elsewhere)].map(Number)
  expect(listed.sort((a, b) => a - b)).toEqual(sections)
})
