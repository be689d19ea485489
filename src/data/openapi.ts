import { guest } from '../core/identity.ts'
import { allows, every, fieldOf, type View } from './compile.ts'
import type { Field, Resource } from './expose.ts'
import { type Who, whoOf } from './who.ts'
import type { WireType } from './wire.ts'

/*
 * The root's description of itself, OpenAPI 2.0 as PostgREST writes it, which its tools read:
 * https://docs.postgrest.org/en/v14/references/api/openapi.html. It shows the caller no table, verb or column that is
 * closed to him.
 */

type Json = Record<string, unknown>

const verbs = [
  ['get', 'select'],
  ['post', 'insert'],
  ['patch', 'update'],
  ['delete', 'delete'],
] as const

/** What the description says of a function: the JSON schema of its arguments, as far as it is known, and whether GET calls it. */
export interface DescribedFunction {
  readonly schema: Json
  readonly readOnly: boolean
}

/** @param functions By their names under `/rpc`: those that the caller may call. */
export function openApi(
  url: URL,
  who: Who,
  resources: Iterable<Resource>,
  functions: Readonly<Record<string, DescribedFunction>> = {},
): Json {
  const paths: Json = {
    '/': {
      get: {
        tags: ['Introspection'],
        summary: 'OpenAPI description (this document)',
        produces: ['application/openapi+json', 'application/json'],
        responses: { 200: { description: 'OK' } },
      },
    },
  }
  const definitions: Json = {}
  const parameters: Json = { ...sharedParameters }
  for (const resource of resources) {
    const view: View = { resource, who }
    const open = verbs.filter(([, operation]) => isOpen(view, operation))
    if (open.length === 0) continue
    const fields = [...resource.fields.values()].filter((field) => fieldOf(view, field.name))
    paths[`/${resource.name}`] = Object.fromEntries(
      open.map(([method]) => [method, operationOf(resource, method, fields)]),
    )
    definitions[resource.name] = definitionOf(resource, who, fields)
    parameters[`body.${resource.name}`] = {
      name: resource.name,
      in: 'body',
      required: false,
      schema: ref('definitions', resource.name),
    }
    for (const field of fields)
      parameters[`rowFilter.${resource.name}.${field.name}`] = {
        name: field.name,
        in: 'query',
        required: false,
        type: 'string',
        format: field.type.name,
      }
  }
  for (const [name, described] of Object.entries(functions))
    paths[`/rpc/${name}`] = callsOf(name, described)
  return {
    swagger: '2.0',
    info: { title: 'leanto data', description: 'PostgREST over D1', version: '14' },
    host: url.host,
    basePath: url.pathname.replace(/\/$/, '') || '/',
    schemes: [url.protocol.replace(':', '')],
    consumes: ['application/json', 'text/csv', 'application/x-www-form-urlencoded'],
    produces: ['application/json', 'application/vnd.pgrst.object+json', 'text/csv'],
    paths,
    definitions,
    parameters,
    externalDocs: {
      description: 'PostgREST documentation',
      url: 'https://docs.postgrest.org/en/v14/references/api.html',
    },
  }
}

/** How a function is called: by POST, and, if it only reads, by GET with its arguments in the query string. */
function callsOf(name: string, { schema, readOnly }: DescribedFunction): Json {
  const about = { tags: [`(rpc) ${name}`], responses: { 200: { description: 'OK' } } }
  const required = (schema.required ?? []) as readonly string[]
  const args = Object.keys((schema.properties ?? {}) as Json).map((argument) => ({
    name: argument,
    in: 'query',
    type: 'string',
    required: required.includes(argument),
  }))
  const body = { name: 'args', in: 'body', required: true, schema }
  return {
    ...(readOnly ? { get: { ...about, parameters: args } } : {}),
    post: { ...about, parameters: [body, ref('parameters', 'preferParams')] },
  }
}

const ref = (kind: 'definitions' | 'parameters', name: string) => ({ $ref: `#/${kind}/${name}` })

/** Whether a table is there for the caller, as far as this tells. */
export const opens = (view: View): boolean => verbs.some(([, operation]) => isOpen(view, operation))

/** Whether any row could pass: a policy that is `false` outright closes the verb. */
function isOpen({ resource, who }: View, operation: 'select' | 'insert' | 'update' | 'delete') {
  const policy = resource.policies[operation]
  return who.role === 'service' || (policy !== undefined && allows(policy, who) !== every([never]))
}

const never = allows(undefined, whoOf(guest))

function operationOf(resource: Resource, method: string, fields: readonly Field[]): Json {
  const { name } = resource
  const filters = fields.map((field) => ref('parameters', `rowFilter.${name}.${field.name}`))
  const shared = (names: readonly string[]) =>
    names.map((parameter) => ref('parameters', parameter))
  const body = ref('parameters', `body.${name}`)
  switch (method) {
    case 'get':
      return {
        tags: [name],
        parameters: [
          ...filters,
          ...shared(['select', 'order', 'range', 'rangeUnit', 'offset', 'limit', 'preferCount']),
        ],
        responses: {
          200: { description: 'OK', schema: { type: 'array', items: ref('definitions', name) } },
          206: { description: 'Partial Content' },
        },
      }
    case 'post':
      return {
        tags: [name],
        parameters: [body, ...shared(['select', 'preferPost'])],
        responses: { 201: { description: 'Created' } },
      }
    default:
      return {
        tags: [name],
        parameters: [
          ...filters,
          ...(method === 'patch' ? [body] : []),
          ...shared(['preferReturn']),
        ],
        responses: { 204: { description: 'No Content' } },
      }
  }
}

function definitionOf(resource: Resource, who: Who, fields: readonly Field[]): Json {
  const required = fields.filter(
    ({ column, generated, readOnly }) =>
      column.notNull && !column.hasDefault && !generated && !(readOnly && who.role !== 'service'),
  )
  return {
    type: 'object',
    required: required.map(({ name }) => name),
    properties: Object.fromEntries(
      fields.map((field) => [field.name, propertyOf({ resource, who }, field)]),
    ),
  }
}

function propertyOf({ resource, who }: View, field: Field): Json {
  const notes: string[] = []
  if (resource.primaryKey.includes(field)) notes.push('Note:\nThis is a Primary Key.<pk/>')
  const link = resource.relations.find(
    ({ refers, target, columns }) =>
      refers &&
      columns.length === 1 &&
      columns[0]?.[0] === field.name &&
      isOpen({ resource: target, who }, 'select') &&
      fieldOf({ resource: target, who }, columns[0][1]),
  )
  const [, column] = link?.columns[0] ?? []
  if (link)
    notes.push(
      `Note:\nThis is a Foreign Key to \`${link.target.name}.${column}\`.<fk table='${link.target.name}' column='${column}'/>`,
    )
  const { enumValues } = field.column
  return {
    ...typeOf(field.type),
    ...(enumValues && enumValues.length > 0 ? { enum: enumValues } : {}),
    ...(notes.length > 0 ? { description: notes.join('\n') } : {}),
  }
}

function typeOf({ name }: WireType): Json {
  if (name === 'integer' || name === 'boolean') return { type: name, format: name }
  if (name === 'double precision') return { type: 'number', format: name }
  return name === 'json' ? { format: name } : { type: 'string', format: name }
}

const query = (name: string, description: string) => ({
  name,
  description,
  in: 'query',
  required: false,
  type: 'string',
})
const header = (name: string, more: Json = {}) => ({
  name,
  in: 'header',
  required: false,
  type: 'string',
  ...more,
})

const sharedParameters = {
  select: query('select', 'Filtering Columns'),
  order: query('order', 'Ordering'),
  offset: query('offset', 'Limiting and Pagination'),
  limit: query('limit', 'Limiting and Pagination'),
  range: header('Range'),
  rangeUnit: header('Range-Unit', { default: 'items' }),
  preferParams: header('Prefer'),
  preferCount: header('Prefer', { enum: ['count=exact', 'count=planned', 'count=estimated'] }),
  preferReturn: header('Prefer', {
    enum: ['return=representation', 'return=minimal', 'return=headers-only'],
  }),
  preferPost: header('Prefer', {
    enum: [
      'return=representation',
      'return=minimal',
      'resolution=merge-duplicates',
      'resolution=ignore-duplicates',
    ],
  }),
}
