import { describe, expect, it } from 'vitest'
import { namedCases } from '../kit/case-index.ts'

/*
 * The index of the attacks that `auth` must stand (numbers of the project's list, sections A to E, H and M, and what of F is about organisations): each is named by
 * number in the tests that play it. A test's name says `case 19` or `cases 15 and 19`.
 */

const cases: Record<number, string> = {
  1: 'an unverified local account and a verified address of a provider are not linked by themselves',
  2: 'an address that the provider does not vouch for is nobody’s; a squatter’s identities go',
  3: 'the first proof of a mailbox drops the password, identities and sessions that were there',
  4: 'an ID token of another issuer is rejected; each provider’s issuer is pinned',
  5: 'a wrong, missing or listed audience is rejected',
  6: 'an identity is its issuer and subject; the same subject elsewhere is a stranger',
  7: 'an empty or partial profile signs nobody in or up',
  8: 'addresses are normalised before they are compared, and homoglyphs of @ refused',
  9: 'an address changes only once the new one has agreed; the old one is told',
  10: 'no header of a request changes a link',
  11: 'a new password ends every session and refresh token, whatever the body says',
  12: 'a ban or deletion ends cookie, token and key within the documented bound',
  13: 'expiry and revocation hold where keys are cached',
  14: 'no client writes a field of its session',
  15: 'of parallel refreshes there is one child; a replay ends the family',
  16: 'a session that gains something gets new tokens, and the old ones die',
  17: 'a session that waits for its second factor opens nothing',
  18: 'a credential for less cannot make one for more',
  19: 'whatever is used once is used once by 50 parallel calls',
  20: 'parallel wrong guesses stay within their budget, and a 500 spends none',
  21: 'parallel sign-ups of one identity make one user',
  22: 'objects, lists and numbers are refused where a string is expected',
  23: 'tokens are stored hashed, are of one kind, and codes live ten minutes',
  24: 'no redirect leads elsewhere, in success or in error',
  25: 'no client may be led to a script, nor to an address that is only like its own',
  26: 'a code needs its client and its verifier, and ends',
  27: 'state, nonce and issuer bind a flow to its browser and provider',
  28: 'a device is approved or refused only by the session that claimed its code',
  29: 'clients are made by one policy on every path; PKCE is S256; no algorithm is none',
  30: 'whatever a provider gets wrong denies',
  31: 'none, HS256 with a public key, and a missing alg are refused',
  32: 'nothing but an access token is one; aud, iss, exp and nbf hold',
  33: 'a malformed Authorization is a 401, never a 500',
  34: 'keys that a token brings along are ignored; unknown ones are asked for seldom',
  42: 'another organisation’s ids, and another directory’s, are not there',
  43: 'an invitation is for a proven address alone',
  52: 'a budget’s key is the address that Cloudflare saw, IPv6 by its /64',
  53: 'no field of a body rotates a key',
  54: 'no spelling of a route dodges its budget',
  55: 'known and unknown accounts get the same in the same time',
  73: 'no default or short secret works; what is configured wrongly is seen',
  74: 'no password, token, cookie or code is logged',
}

/** Of the same sections, but about what does not exist yet. */
const later: Record<number, string> = {}

const folders = ['test/auth', 'test/core', 'test/node', 'test/browser', 'test/jwks']

const index = namedCases(folders)

describe('every attack that touches what exists is played', () => {
  it.each(Object.entries(cases))('case %s: %s', (number) => {
    expect([...(index.get(Number(number)) ?? [])]).not.toEqual([])
  })
})

it('nothing of these sections is left out', () => {
  const sections = [...Array.from({ length: 34 }, (_, i) => i + 1), 42, 43, 52, 53, 54, 55, 73, 74]
  const listed = [...Object.keys(cases), ...Object.keys(later)].map(Number)
  expect(listed.sort((a, b) => a - b)).toEqual(sections)
})

it('no test names a case that there is not, nor one that is still to come', () => {
  const numbers = [...index.keys()]
  expect(numbers.filter((number) => number < 1 || number > 74)).toEqual([])
  expect(numbers.filter((number) => later[number])).toEqual([])
})
