import { Fault, faults } from '../core/fault.ts'

/** Every code that a client may meet, as problem+json (RFC 9457). */
export const jobsFaults = faults({
  bad_request: [400, 'Request is not valid'],
  unauthenticated: [401, 'Sign in first'],
  bad_token: [401, 'Invalid or expired token'],
  bad_api_key: [401, 'Invalid API key'],
  forbidden: [403, 'Only the service may do this'],
  job_not_found: [404, 'There is no such job'],
  job_ended: [409, 'The job has ended already'],
  job_not_dead: [409, 'The job is not a dead letter'],
  misconfigured: [500, 'The server is not configured'],
  database_unavailable: [503, 'The database could not be reached'],
})

const passing =
  /overloaded|network connection lost|to be reset|was reset|reset because|transient issue|timed? ?out/i

/** What D1 throws when it cannot be reached is no bug: 503. */
export const unavailable = (error: unknown): unknown =>
  error instanceof Error && !(error instanceof Fault) && passing.test(error.message)
    ? jobsFaults.database_unavailable({ cause: error, headers: { 'retry-after': '1' } })
    : error
