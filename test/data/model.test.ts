import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import { answerOf, filterOf, paramsOf, type Query, queryOf, shape, visible } from './model.ts'
import { build, seen } from './model-store.ts'

const runs = 60
const queriesPerRun = 40

const urlOf = (query: Query) => `/r/t?${new URLSearchParams(paramsOf(query))}`

beforeAll(() => freshDatabase([]))

describe('against a plain model', () => {
  it(`${runs} random tables, ${queriesPerRun} random queries each`, {
    timeout: 120_000,
  }, async () => {
    let cases = 0
    await fc.assert(
      fc.asyncProperty(
        shape.chain((one) =>
          fc.tuple(
            fc.constant(one),
            fc.option(filterOf(one.columns)),
            fc.array(queryOf(one.columns), { minLength: queriesPerRun, maxLength: queriesPerRun }),
          ),
        ),
        async ([one, policy, queries]) => {
          const ask = await build([{ name: 't', shape: one, rows: one.rows, policy }])
          const readable = visible(one.rows, policy)
          for (const query of queries) {
            const url = urlOf(query)
            const response = await ask(url, { headers: { prefer: 'count=exact' } })
            const body = await response.json()
            const expected = answerOf(readable, query)
            cases++
            if (query.offset > expected.matching) {
              expect({ url, status: response.status }).toEqual({ url, status: 416 })
              continue
            }
            expect({
              url,
              body,
              total: response.headers.get('content-range')?.split('/')[1],
            }).toEqual({
              url,
              body: expected.rows,
              total: String(expected.matching),
            })
          }
        },
      ),
      { numRuns: runs },
    )
    expect(cases).toBeGreaterThanOrEqual(runs * queriesPerRun)
  })
})

describe('35, 36: what may not be seen', () => {
  it('changes no answer by a byte: rows', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        shape.chain((one) =>
          fc.tuple(
            fc.constant(one),
            filterOf(one.columns),
            fc.array(queryOf(one.columns), { minLength: 20, maxLength: 20 }),
          ),
        ),
        async ([one, policy, queries]) => {
          const whole = await build([{ name: 't', shape: one, rows: one.rows, policy }])
          const urls = queries.flatMap((query) => {
            const url = urlOf(query)
            const [first] = one.columns
            const name = encodeURIComponent(`"${first?.name}"`)
            return [
              url,
              `${url}&select=count()`.replace(/[?&]order=[^&]*/, ''),
              `${url.replace(/[?&]offset=[^&]*/, '')}&cursor=`,
              `${url}&select=id,x:${name}`,
              `${url}&select=id,x:${name}::int`,
              `${url}&select=id,x:${name}.max()`,
            ]
          })
          const variants = [
            {},
            { prefer: 'count=exact' },
            { accept: 'application/vnd.pgrst.object+json' },
            { accept: 'text/csv' },
          ]
          const answers = (ask: typeof whole) =>
            Promise.all(
              urls.map((url, i) =>
                seen(ask, url, variants[i % variants.length] as Record<string, string>),
              ),
            )
          const before = await answers(whole)
          const less = await build([
            { name: 't', shape: one, rows: visible(one.rows, policy), policy },
          ])
          const after = await answers(less)
          for (const [i, url] of urls.entries()) expect([url, after[i]]).toEqual([url, before[i]])
        },
      ),
      { numRuns: 30 },
    )
  })
})
