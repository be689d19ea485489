import { coreFaults, type Fault, type FaultOptions, faults } from '../core/fault.ts'

/** CouchDB's error words: https://docs.couchdb.org/en/stable/api/basics.html#http-status-codes */
export const syncFaults = faults({
  bad_request: [400, 'invalid UTF-8 JSON'],
  illegal_database_name: [400, 'Illegal database name'],
  illegal_docid: [400, 'Only reserved document ids may start with underscore.'],
  doc_validation: [400, 'Bad special document member'],
  query_parse_error: [400, 'Invalid query parameter'],
  invalid_selector_json: [400, 'Selector must be a JSON object'],
  invalid_operator: [400, 'Invalid operator'],
  bad_arg: [400, 'Bad argument'],
  unauthorized: [401, 'You are not authorized to access this db.'],
  forbidden: [403, 'You are not allowed to do this.'],
  not_found: [404, 'missing'],
  method_not_allowed: [405, 'Method not allowed here'],
  conflict: [409, 'Document update conflict.'],
  missing_rev: [409, 'missing_rev'],
  checkpoint_expired: [
    410,
    'Deletions after this checkpoint are gone: empty the local database and replicate from the start.',
  ],
  file_exists: [412, 'The database could not be created, the file already exists.'],
  missing_stub: [412, 'Invalid attachment stub'],
  too_large: [413, 'the request entity is too large'],
  document_too_large: [413, 'The document is too large'],
  attachment_too_large: [413, 'The attachment is too large'],
  database_full: [413, 'The database has reached its size limit'],
  bad_content_type: [415, 'Content-Type must be application/json'],
  requested_range_not_satisfiable: [416, 'Requested range not satisfiable'],
  too_many_requests: [429, 'Too many requests'],
  misconfigured: [500, 'The server is not configured'],
  service_unavailable: [503, 'The database could not be reached'],
})

type Code = keyof typeof syncFaults

/** How `core`'s faults are called in CouchDB's words. */
const translated: Record<string, Code> = {
  [coreFaults.bad_json().code]: 'bad_request',
  [coreFaults.bad_request().code]: 'bad_request',
  [coreFaults.unsupported_content().code]: 'bad_content_type',
  [coreFaults.too_large().code]: 'too_large',
  [coreFaults.bad_api_key().code]: 'unauthorized',
  [coreFaults.bad_token().code]: 'unauthorized',
  [coreFaults.unauthenticated().code]: 'unauthorized',
  [coreFaults.insufficient_aal().code]: 'unauthorized',
  [coreFaults.rate_limited().code]: 'too_many_requests',
  [coreFaults.misconfigured().code]: 'misconfigured',
  // What an attachment is to be put to: CouchDB has its error of one status, its status of another.
  missing_rev: 'not_found',
}

/** What a Fault is called in an answer, also in one line of a bulk answer: `{ error, reason }`. */
export const errorOf = ({ code, message }: Fault): { error: string; reason: string } => {
  const error = translated[code] ?? code
  // CouchDB's own words for what is no JSON, which clients look for.
  const own = code === 'bad_json' || code === 'unsupported_content'
  return { error, reason: own ? syncFaults[error as Code]().message : message }
}

/** A Fault in CouchDB's error body: `{ error, reason }`. */
export function renderFault(fault: Fault): Response {
  const headers = new Headers(fault.headers)
  if (fault.status === 401 && !headers.has('www-authenticate'))
    headers.set('www-authenticate', 'Bearer')
  return Response.json(errorOf(fault), { status: fault.status, headers })
}

export const renderBug = (): Response =>
  Response.json({ error: 'internal_server_error', reason: 'Unexpected error' }, { status: 500 })

/** A fault with CouchDB's reason for this very case. */
export const bad = (code: Code, message: string, options: FaultOptions = {}): Fault =>
  syncFaults[code]({ ...options, message })
