import type { Statement } from '../../core/database.ts'
import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { type DatabaseRow, databaseId, type Place, placed, securityOf } from '../database.ts'
import type { Doc } from '../definition.ts'
import { isObject } from '../document.ts'
import { bad } from '../faults.ts'
import type { Validator } from '../stored.ts'
import { type DesignRow, isScript, memberOf, Realms, unwrap } from './design.ts'
import { scriptsFaults } from './faults.ts'
import { contextOf } from './request.ts'
import { isBuiltIn } from './view.ts'

const name = 'validate_doc_update'

/** Reads the design documents that have a say in what is written. */
export const designsStatement = (scope: Scope, place: Place): Statement =>
  placed(
    scope,
    place,
    `SELECT id, body FROM leanto_sync_documents WHERE db = ${databaseId} AND id >= '_design/' AND id < '_design0'
     AND deleted = 0 AND instr(body, ?3) > 0 ORDER BY id`,
    [`"${name}"`],
  )

/**
 * Asks every `validate_doc_update` about each version that is written: what fails otherwise than by `forbidden` or
 * `unauthorized` refuses it too. Design documents are not asked about; what they have has to compile.
 *
 * @see https://docs.couchdb.org/en/stable/ddocs/ddocs.html#validate-document-update-functions
 */
export function validatorOf(
  place: Place,
  database: DatabaseRow,
  rows: readonly unknown[],
): Validator {
  const designs = (rows as DesignRow[]).filter(
    ({ body }) => memberOf(JSON.parse(body), [name]) !== undefined,
  )
  const realms = new Realms()
  const user = JSON.stringify(contextOf(place))
  const security = JSON.stringify(securityOf(database))
  return async (doc, old) => {
    if (doc._id.startsWith('_design/')) return checkDesign(doc)
    for (const design of designs) {
      try {
        const { realm, fn } = await compiled(realms, design)
        unwrap(realm.call('validate', fn, textOf(doc), textOf(old), user, security))
      } catch (fault) {
        // Of what has been asked for nothing is written: it would look as if each were refused for what it is.
        if (realms.spent) throw scriptsFaults.os_process_error()
        throw refusal(design, fault)
      }
    }
  }
}

function compiled(realms: Realms, design: DesignRow) {
  if (!isScript(JSON.parse(design.body))) throw bad('forbidden', 'it is not in JavaScript')
  return realms.compile(design, [name])
}

/** What is not told by the function itself is a refusal too, of this document alone. */
function refusal({ id }: DesignRow, fault: unknown): unknown {
  if (!(fault instanceof Fault) || fault.status === 401 || fault.status === 403) return fault
  return bad('forbidden', `${name} of ${id}: ${fault.message}`)
}

/** A version as its functions see it: attachments are stubs. */
function textOf(doc: Doc | null): string {
  if (!isObject(doc?._attachments)) return JSON.stringify(doc)
  const stubs = Object.entries(doc._attachments as Record<string, Record<string, unknown>>).map(
    ([file, { hash: _, ...attachment }]) => [file, { ...attachment, stub: true }],
  )
  return JSON.stringify({ ...doc, _attachments: Object.fromEntries(stubs) })
}

type Shape = 'string' | 'object' | 'boolean'

/** What a design document's members have to be; `*` is any of an object's. */
const shapes: readonly (readonly [path: string, ...shapes: Shape[]])[] = [
  ['filters', 'object'],
  ['filters.*', 'object', 'string'],
  ['language', 'string'],
  ['lists', 'object'],
  ['lists.*', 'object', 'string'],
  ['options', 'object'],
  ['options.include_design', 'boolean'],
  ['options.local_seq', 'boolean'],
  ['shows', 'object'],
  ['shows.*', 'object', 'string'],
  ['updates', 'object'],
  ['updates.*', 'object', 'string'],
  ['validate_doc_update', 'string'],
  ['views', 'object'],
  ['views.*', 'object'],
  ['views.*.map', 'string'],
  ['views.*.reduce', 'string'],
]

/** What is at a path, by its name there. */
function membersAt(value: unknown, [step, ...rest]: readonly string[]): [string, unknown][] {
  if (step === undefined) return [['', value]]
  if (!isObject(value)) return []
  const names = step === '*' ? Object.keys(value) : [step]
  return names
    .filter((name) => Object.hasOwn(value, name))
    .flatMap((name) =>
      membersAt(value[name], rest).map(([path, one]): [string, unknown] => [
        path ? `${name}.${path}` : name,
        one,
      ]),
    )
}

const has = (value: unknown, shape: Shape): boolean =>
  shape === 'object' ? isObject(value) : typeof value === shape

/** @throws {Fault} `invalid_design_doc` (400), as CouchDB's: https://docs.couchdb.org/en/stable/ddocs/ddocs.html */
function checkShape(doc: Doc): void {
  const refuse = (message: string) => scriptsFaults.invalid_design_doc({ message })
  for (const [path, ...allowed] of shapes)
    for (const [at, value] of membersAt(doc, path.split('.')))
      if (!allowed.some((shape) => has(value, shape)))
        throw refuse(`\`${at}\` field must have ${allowed.join(' or ')} type`)
  const { rewrites } = doc
  if (rewrites !== undefined && typeof rewrites !== 'string' && !Array.isArray(rewrites))
    throw refuse('`rewrites` field must have string or array type')
  for (const [view, value] of membersAt(doc, ['views', '*'])) {
    if (view === 'views.lib') continue
    const { map, reduce } = value as { map?: string; reduce?: string }
    if (map === undefined) throw refuse(`View \`${view.slice(6)}\` must contain map function`)
    if (reduce?.trim().startsWith('_') && !isBuiltIn(reduce))
      throw refuse(`\`${reduce}\` is not a supported reduce function.`)
  }
}

/** @throws {Fault} `invalid_design_doc`, `compilation_error` (400), as CouchDB does. */
async function checkDesign(doc: Doc): Promise<void> {
  if (doc._deleted || !(isScript(doc) || typeof doc.language !== 'string')) return
  checkShape(doc)
  const realms = new Realms()
  const design = { id: doc._id, body: JSON.stringify(doc) }
  for (const path of functionsOf(doc)) {
    const source = memberOf(doc, path)
    const builtIn = path.at(-1) === 'reduce' && typeof source === 'string' && /^\s*_/.test(source)
    if (source !== undefined && !builtIn) await realms.compile(design, path)
  }
}

function functionsOf(doc: Doc): string[][] {
  const views = isObject(doc.views) ? Object.keys(doc.views) : []
  return [
    [name],
    ...views
      .filter((view) => memberOf(doc, ['views', view, 'map']) !== undefined)
      .flatMap((view) => [
        ['views', view, 'map'],
        ['views', view, 'reduce'],
      ]),
  ]
}
