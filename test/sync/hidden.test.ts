import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Ask, freshDatabase, makeBase, mount } from '../kit/world.ts'
import { makeDocs } from './store.ts'

const docs = makeDocs(makeBase())
const ask = mount({ '/': docs })
const member = 'user-ann.red'

interface Made {
  id: string
  hidden: boolean
  edits: number
  deleted: boolean
  attached: boolean
  conflict: boolean
}

const made = fc.array(
  fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', '_design/x'),
    hidden: fc.boolean(),
    edits: fc.integer({ min: 1, max: 3 }),
    deleted: fc.boolean(),
    attached: fc.boolean(),
    conflict: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
)

const service = (path: string, more: Ask = {}) => ask(`/board${path}`, { key: 'secret', ...more })

async function make(list: readonly Made[], branches: boolean) {
  await freshDatabase([docs])
  await ask('/board', { token: 'user-ann.red' })
  for (const { id: name, hidden, edits, deleted, attached, conflict } of list) {
    const id = `${name}${hidden ? '-hidden' : ''}`
    const channels = hidden ? ['blue'] : ['red']
    let rev: string | undefined
    for (let v = 0; v < edits; v++) {
      const response = await service(`/${encodeURIComponent(id)}`, {
        method: 'PUT',
        body: {
          v,
          in: channels,
          ...(rev ? { _rev: rev } : {}),
          ...(attached ? { _attachments: { t: { data: btoa(`bytes ${v}`) } } } : {}),
        },
      })
      if (response.status !== 201) break
      rev = ((await response.json()) as { rev: string }).rev
    }
    if (branches && conflict && rev)
      await service('/_bulk_docs', {
        body: {
          new_edits: false,
          docs: [{ _id: id, _rev: '1-00', in: ['blue'], v: 'other side' }],
        },
      })
    // Where the other side would win, the document is hidden as a whole: that is no secret kept.
    if (deleted && rev && !conflict)
      await service(`/${encodeURIComponent(id)}?rev=${rev}`, { method: 'DELETE' })
  }
}

const post = (body: unknown): Ask => ({ method: 'POST', body })

/** Everything that a member may ask, writes of their own among it. */
const questions: [path: string, ask?: Ask][] = [
  [''],
  ['/_all_docs?include_docs=true&conflicts=true&attachments=true&update_seq=false'],
  ['/_all_docs?skip=1&limit=2'],
  ['/_all_docs', post({ keys: ['a', 'a-hidden', 'b-hidden', 'none'], include_docs: true })],
  ['/_all_docs/queries', post({ queries: [{ limit: 1 }, { keys: ['a-hidden'] }] })],
  ['/_design_docs'],
  ['/_design_docs/queries', post({ queries: [{}, { keys: ['_design/x-hidden', 'a-hidden'] }] })],
  ['/_design/x-hidden/_info'],
  ['/_local_docs'],
  ['/_changes?include_docs=true&style=all_docs&conflicts=true&attachments=true'],
  ['/_changes?descending=true'],
  ['/_changes?limit=2'],
  ['/_changes?filter=_doc_ids', post({ doc_ids: ['a', 'a-hidden', 'b-hidden'] })],
  ['/_changes?filter=_selector', post({ selector: { v: { $gte: 0 } } })],
  [
    '/_bulk_get?revs=true&latest=true',
    post({ docs: [{ id: 'a-hidden' }, { id: 'a' }, { id: 'a-hidden', rev: '1-00' }] }),
  ],
  ['/_missing_revs', post({ 'a-hidden': ['1-00'], 'b-hidden': ['1-00'] })],
  ['/_revs_diff', post({ 'a-hidden': ['1-00'], 'b-hidden': ['1-00'] })],
  ['/_find', post({ selector: { v: { $gte: 0 } }, execution_stats: false })],
  ['/_find', post({ selector: {}, conflicts: true })],
  ['/_explain', post({ selector: { v: 1 } })],
  ['/_index'],
  ['/_snapshot'],
  ['/a-hidden'],
  ['/a-hidden?rev=1-00'],
  ['/a?conflicts=true&revs_info=true'],
  ['/a?open_revs=all'],
  ['/b?open_revs=["1-00"]'],
  ['/a-hidden?open_revs=all'],
  ['/a-hidden?open_revs=["1-00"]'],
  ['/a-hidden/t'],
  ['/b-hidden/t?rev=1-00'],
  ['/_design%2Fx-hidden'],
]

async function answers() {
  const all: unknown[] = []
  for (const [path, more] of questions) {
    const response = await ask(`/board${path}`, { token: member, ...more })
    const text = new TextDecoder().decode(await response.arrayBuffer())
    all.push([
      path,
      response.status,
      // Sequences are those of all that is written; times and names of databases are new each time.
      text
        .replace(/"(seq|last_seq|update_seq|_local_seq)":\d+/g, '"$1":0')
        .replace(/"pending":\d+/g, '"pending":0')
        .replace(/"(instance_start_time|uuid)":"[^"]*"/g, '"$1":""'),
    ])
  }
  return all
}

describe('what someone may not see', () => {
  it('changes no answer but sequences', async () => {
    await fc.assert(
      fc.asyncProperty(made, async (list) => {
        await make(list, true)
        const withHidden = await answers()
        // Neither documents nor branches that are not theirs.
        await make(
          list.filter(({ hidden }) => !hidden),
          false,
        )
        expect(withHidden).toEqual(await answers())
      }),
      { numRuns: 25 },
    )
  }, 120_000)
})
