import { coreFaults, type Fault, faults } from '../core/fault.ts'

/** PostgREST's and Postgres's codes: https://docs.postgrest.org/en/v14/references/errors.html */
export const dataFaults = faults({
  PGRST001: [503, 'Could not reach the database'],
  PGRST100: [400, 'Could not parse the query string'],
  PGRST101: [405, 'Cannot use the method on RPC'],
  PGRST102: [400, 'Empty or invalid json'],
  PGRST103: [416, 'Requested range not satisfiable'],
  PGRST105: [405, "Filters must include all and only primary key columns with 'eq' operators"],
  PGRST106: [406, 'Invalid schema'],
  PGRST107: [406, 'None of these media types are available'],
  PGRST108: [400, 'Not an embedded resource in this request'],
  PGRST109: [400, "A 'limit' was applied without an explicit 'order'"],
  PGRST114: [400, 'limit/offset querystring parameters are not allowed for PUT'],
  PGRST115: [400, 'Payload values do not match URL in primary key column(s)'],
  PGRST116: [406, 'Cannot coerce the result to a single JSON object'],
  PGRST118: [400, 'A related order is only possible on to-one relationships'],
  PGRST122: [400, 'Invalid preferences given with handling=strict'],
  PGRST124: [400, 'Query result exceeds max-affected preference constraint'],
  PGRST127: [400, 'Feature not implemented'],
  PGRST128: [
    400,
    'Function must return SETOF or TABLE when max-affected preference is used with handling=strict',
  ],
  PGRST200: [400, 'Could not find a relationship'],
  PGRST201: [300, 'Could not embed because more than one relationship was found'],
  PGRST202: [404, 'Could not find the function in the schema cache'],
  PGRST204: [400, 'Could not find the column in the schema cache'],
  PGRST205: [404, 'Could not find the table in the schema cache'],
  PGRST301: [401, 'JWT is not valid'],
  '22001': [400, 'value too long for its column'],
  '22003': [400, 'value out of range for its column'],
  '22007': [400, 'invalid input syntax for a date'],
  '22008': [400, 'date/time field value out of range'],
  '22023': [400, 'invalid value'],
  '2201B': [400, 'invalid regular expression'],
  '22025': [400, 'LIKE pattern must not end with escape character'],
  '22P02': [400, 'invalid input syntax'],
  '22P05': [400, 'unsupported Unicode escape sequence'],
  '23502': [400, 'null value violates not-null constraint'],
  '23503': [409, 'violates foreign key constraint'],
  '23505': [409, 'duplicate key value violates unique constraint'],
  '23514': [400, 'new row violates check constraint'],
  '428C9': [400, 'cannot write to a generated column'],
  '25006': [405, 'cannot write in a read-only transaction'],
  '42501': [403, 'permission denied'],
  '42601': [400, 'syntax error'],
  '42703': [400, 'column does not exist'],
  '42704': [400, 'type does not exist'],
  '42803': [400, 'column must appear in the GROUP BY clause or be used in an aggregate function'],
  '42846': [400, 'cannot cast'],
  '42804': [400, 'the column is of another type'],
  '42883': [404, 'operator does not exist'],
  '42P10': [
    400,
    'there is no unique or exclusion constraint matching the ON CONFLICT specification',
  ],
  '54000': [400, 'statement too complex'],
  P0001: [400, 'refused by a trigger'],
  PT400: [400, 'Bad request'],
  PT409: [409, 'The answer can no longer be told'],
  PT412: [412, 'The row is not as the precondition says'],
  PT413: [413, 'Request body is too large'],
  PT422: [422, 'The Idempotency-Key was used for another request'],
  PT424: [424, 'An earlier operation has no such row'],
  PT429: [429, 'Too many requests'],
  PT500: [500, 'The server is not configured'],
})

/** How `core`'s faults are called in PostgREST's words. */
const translated = new Map<string, (fault: Fault) => Fault>(
  Object.entries({
    [coreFaults.bad_json().code]: 'PGRST102',
    [coreFaults.bad_request().code]: 'PGRST102',
    [coreFaults.bad_token().code]: 'PGRST301',
    [coreFaults.bad_api_key().code]: 'PGRST301',
    [coreFaults.unauthenticated().code]: 'PGRST301',
    [coreFaults.too_large().code]: 'PT413',
    [coreFaults.rate_limited().code]: 'PT429',
    [coreFaults.misconfigured().code]: 'PT500',
  } satisfies Record<string, keyof typeof dataFaults>).map(([from, to]) => [
    from,
    ({ message, details, hint, headers, cause }) =>
      dataFaults[to]({
        // PostgREST has its own words for this one, which clients look for.
        ...(to === 'PGRST102' ? {} : { message }),
        ...(typeof details === 'string' ? { details } : {}),
        hint,
        headers: to === 'PGRST301' ? { 'www-authenticate': 'Bearer', ...headers } : headers,
        cause,
      }),
  ]),
)

/** A Fault in PostgREST's error body: `{ code, message, details, hint }`. */
export function renderFault(fault: Fault): Response {
  const { code, status, message, details, hint, headers } =
    translated.get(fault.code)?.(fault) ?? fault
  return Response.json(
    { code, message, details: details ?? null, hint: hint ?? null },
    { status, headers: { ...headers, 'proxy-status': `leanto; error=${code}` } },
  )
}

export const renderBug = (): Response =>
  Response.json(
    { code: 'XX000', message: 'Internal server error', details: null, hint: null },
    { status: 500 },
  )
