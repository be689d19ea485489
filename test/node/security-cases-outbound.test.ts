import { describe, expect, it } from 'vitest'
import { namedCases } from '../kit/case-index.ts'

/*
 * The index of the attacks that `services`, `email` and `jobs` must stand (sections J and K of the project's list, and I 60):
 * each is played in the tests of every module that it can touch, by number.
 */

const cases: Record<number, [what: string, ...modules: string[]]> = {
  60: ['HEAD, ranges and parts obey the rule of the whole', 'services', 'email', 'jobs'],
  61: ['no address inside is called, in no spelling and by no redirect', 'services', 'jobs'],
  62: ['nothing of the user’s goes along, nor what `Connection` lists', 'services', 'jobs'],
  63: ['a webhook’s signature is over body and time, and no replay counts', 'email', 'jobs'],
  66: ['no personal answer may be stored', 'services', 'email', 'jobs'],
  67: ['the limit of a body holds without, with a false, and with no length', 'services', 'email'],
}

describe.each(Object.entries(cases))('case %s: %s', (number, [, ...modules]) => {
  it.each(modules)('is played in %s', (module) => {
    expect([...(namedCases([`test/${module}`]).get(Number(number)) ?? [])]).not.toEqual([])
  })
})
