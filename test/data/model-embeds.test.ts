import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { freshDatabase } from '../kit/world.ts'
import {
  answerOf,
  type Filter,
  filterOf,
  paramsOf,
  type Query,
  queryOf,
  type Row,
  type Shape,
  shape,
  visible,
} from './model.ts'
import { build, type Modelled, seen } from './model-store.ts'

beforeAll(() => freshDatabase([]))

/** A table of parents, and one of children whose first column names a parent, or nobody. */
interface Family {
  parents: Shape
  children: Shape
  policies: [Filter | null, Filter | null]
}

const parentColumn = { name: 'parent id', kind: 'int' as const }

const family: fc.Arbitrary<Family> = fc
  .tuple(
    shape,
    shape,
    fc.array(fc.option(fc.integer({ min: 1, max: 6 }), { freq: 4 }), {
      minLength: 12,
      maxLength: 12,
    }),
  )
  .chain(([parents, few, owners]) => {
    const children: Shape = {
      columns: [parentColumn, ...few.columns],
      rows: few.rows.map((row, i) => ({ ...row, 'parent id': owners[i] ?? null })),
    }
    return fc.record({
      parents: fc.constant(parents),
      children: fc.constant(children),
      policies: fc.tuple(
        fc.option(filterOf(parents.columns)),
        fc.option(filterOf(children.columns)),
      ),
    })
  })

const embedding = (one: Family) =>
  fc.record({
    outer: queryOf(one.parents.columns),
    inner: queryOf(one.children.columns),
    join: fc.constantFrom('', '!inner'),
    test: fc.constantFrom('', 'is.null', 'not.is.null'),
  })

const tables = ({ parents, children, policies }: Family): Modelled[] => [
  { name: 't', shape: parents, rows: parents.rows, policy: policies[0] },
  {
    name: 'kids',
    shape: children,
    rows: children.rows,
    policy: policies[1],
    references: { c0: 't.id' },
  },
]

interface Embedding {
  outer: Query
  inner: Query
  join: string
  test: string
}

const urlOf = ({ outer, inner, join, test }: Embedding) =>
  `/r/t?${new URLSearchParams([
    ['select', `*,kids${join}(*)`],
    ...paramsOf(outer),
    ...paramsOf(inner, 'kids.'),
    ...(test ? [['kids', test]] : []),
  ] as [string, string][])}`

function expectedOf(
  { parents, children, policies }: Family,
  { outer, inner, join, test }: Embedding,
) {
  const readable = visible(children.rows, policies[1])
  const kidsOf = (parent: Row) => readable.filter((kid) => kid['parent id'] === parent.id)
  const has = (parent: Row) =>
    answerOf(kidsOf(parent), { ...inner, offset: 0, limit: 1 }).matching > 0
  const kept = visible(parents.rows, policies[0]).filter(
    (parent) => (!join || has(parent)) && (!test || has(parent) === (test === 'not.is.null')),
  )
  const { matching, rows } = answerOf(kept, outer)
  return {
    matching,
    rows: rows.map((row) => ({ ...row, kids: answerOf(kidsOf(row), inner).rows })),
  }
}

describe('embeds against a plain model', () => {
  it('50 random families, 30 random queries each', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        family.chain((one) =>
          fc.tuple(fc.constant(one), fc.array(embedding(one), { minLength: 30, maxLength: 30 })),
        ),
        async ([one, queries]) => {
          const ask = await build(tables(one))
          for (const query of queries) {
            const url = urlOf(query)
            const response = await ask(url, { headers: { prefer: 'count=exact' } })
            const { matching, rows } = expectedOf(one, query)
            if (query.outer.offset > matching) {
              expect({ url, status: response.status }).toEqual({ url, status: 416 })
              continue
            }
            expect({
              url,
              body: await response.json(),
              total: response.headers.get('content-range')?.split('/')[1],
            }).toEqual({ url, body: rows, total: String(matching) })
          }
        },
      ),
      { numRuns: 50 },
    )
  })
})

describe('35, 36: what may not be seen of another table', () => {
  it('changes no answer by a byte: its rows, and its hidden columns', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        family.chain((one) =>
          fc.tuple(
            fc.constant(one),
            fc.array(embedding(one), { minLength: 12, maxLength: 12 }),
            fc.array(fc.string({ maxLength: 3 }), { minLength: 12, maxLength: 12 }),
          ),
        ),
        async ([one, queries, secrets]) => {
          // A column that nobody may see, of which the contents differ.
          const withSecret = (spare: readonly string[]): Modelled[] =>
            tables(one).map((table, at) => ({
              ...table,
              shape: {
                ...table.shape,
                columns: [...table.shape.columns, { name: 'secret', kind: 'text' as const }],
              },
              rows: (spare.length > 0
                ? table.rows
                : visible(table.rows, one.policies[at] ?? null)
              ).map((row, i) => ({
                ...row,
                secret: spare[i] ?? 'none',
              })),
              hidden: ['secret'],
            }))
          const urls = queries.flatMap((query) => {
            const url = urlOf(query)
            const swap = (select: string) =>
              url.replace(/select=[^&]*/, `select=${encodeURIComponent(select)}`)
            return [
              url,
              swap(`id,kids${query.join}(count())`),
              swap('id,...kids(id)'),
              swap('id,kids(secret)'),
              `${swap('id,kids(id)')}&kids.secret=eq.a`,
              `${swap('id,kids(id)')}&kids.order=secret`,
              `/r/kids?select=id,t!inner(id,secret)`,
              `/r/kids?select=id,t(id)&order=t(secret)`,
              `/r/kids?select=id,t!inner(id)&order=t(id).desc`,
              `/r/kids?select=id,...t(x:id)&t.secret=gt.a`,
            ]
          })
          const headers = [{}, { prefer: 'count=exact' }, { accept: 'text/csv' }]
          const answers = async (modelled: Modelled[]) => {
            const ask = await build(modelled)
            return Promise.all(
              urls.map((url, i) => seen(ask, url, headers[i % 3] as Record<string, string>)),
            )
          }
          const before = await answers(withSecret(secrets))
          const after = await answers(withSecret([]))
          for (const [i, url] of urls.entries()) expect([url, after[i]]).toEqual([url, before[i]])
        },
      ),
      { numRuns: 25 },
    )
  })
})
