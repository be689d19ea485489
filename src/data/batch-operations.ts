import { dataFaults } from './faults.ts'

/** One operation of a batch, checked as far as its form goes. */
export interface Operation {
  /** What later ones, and the results, call it: its index, unless it has a name. */
  readonly id: string
  readonly method: string
  /** `/table?query` */
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: unknown
}

const methods = ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE']
const withBody = ['POST', 'PATCH', 'PUT']
const keys = ['id', 'method', 'path', 'headers', 'body']

// Who asks is said once, for all of them: no header of an operation can say it again.
const headerNames = [
  'accept',
  'accept-profile',
  'content-profile',
  'if-match',
  'if-none-match',
  'prefer',
  'range',
]

/**
 * The operations of a batch's body.
 *
 * @param operations How many there may be.
 * @throws {Fault} PT400, which says where it is not of the form.
 */
export function parseOperations(
  body: unknown,
  { operations: max }: { operations: number },
): Operation[] {
  if (!isObject(body) || !Array.isArray(body.operations) || Object.keys(body).length !== 1)
    throw wrong('the body', 'must be { "operations": [ … ] }')
  const { operations } = body
  if (operations.length === 0 || operations.length > max)
    throw wrong('operations', `must hold 1 to ${max} operations`)
  const read = operations.map(readOperation)
  const ids = read.map(({ id }) => id)
  const twice = ids.findIndex((id, i) => ids.indexOf(id) !== i)
  if (twice >= 0) throw wrong(`operations[${twice}].id`, 'is that of another operation')
  return read
}

function readOperation(operation: unknown, index: number): Operation {
  const at = `operations[${index}]`
  if (!isObject(operation)) throw wrong(at, 'must be an object')
  const unknown = Object.keys(operation).find((key) => !keys.includes(key))
  if (unknown !== undefined)
    throw wrong(at, `has an unknown key ${JSON.stringify(unknown.slice(0, 50))}`)
  const { id = String(index), method, path, headers = {}, body } = operation
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id))
    throw wrong(`${at}.id`, 'must be 1 to 64 letters, digits, "_" or "-"')
  // Its index is another one's name already.
  if (/^\d+$/.test(id) && id !== String(index)) throw wrong(`${at}.id`, 'must not be a number')
  if (typeof method !== 'string' || !methods.includes(method))
    throw wrong(`${at}.method`, `must be one of ${methods.join(', ')}`)
  if (typeof path !== 'string' || !/^\/[^/?#\\]+(\?[^#]*)?$/.test(path))
    throw wrong(`${at}.path`, 'must be /table or /table?query')
  if ('body' in operation !== withBody.includes(method))
    throw wrong(`${at}.body`, withBody.includes(method) ? 'is missing' : `is nothing for ${method}`)
  return { id, method, path, headers: headersOf(headers, at), body }
}

function headersOf(headers: unknown, at: string): Record<string, string> {
  if (!isObject(headers)) throw wrong(`${at}.headers`, 'must be an object')
  const read: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (!headerNames.includes(lower))
      throw wrong(`${at}.headers`, `may hold ${headerNames.join(', ')}, and nothing else`)
    if (typeof value !== 'string' || !/^[\x20-\x7e]{0,1000}$/.test(value))
      throw wrong(`${at}.headers`, `has a wrong value of ${lower}`)
    if (lower in read) throw wrong(`${at}.headers`, `names ${lower} twice`)
    read[lower] = value
  }
  return read
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const wrong = (where: string, what: string) => dataFaults.PT400({ message: `${where} ${what}` })
