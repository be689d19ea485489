import { type Fault, faults, problem } from '../core/fault.ts'

/** What a client may meet besides `core`'s faults; each as problem+json (RFC 9457). */
export const servicesFaults = faults({
  forbidden: [403, 'You may not use this service'],
  method_not_allowed: [405, 'Method not allowed here'],
  quota_exceeded: [429, 'You have used what you may use of this service for now'],
  upstream_failed: [502, 'The service gave no usable answer'],
  upstream_refused: [502, 'The service refused this app'],
  budget_exhausted: [503, 'This app has spent what it may spend on this service for now'],
  service_unavailable: [503, 'The service cannot be had just now; try again later'],
  upstream_timeout: [504, 'The service did not answer in time'],
})

export const renderFault = (fault: Fault): Response => {
  const response = problem(fault)
  if (fault.status === 401 && !response.headers.has('www-authenticate'))
    response.headers.set('www-authenticate', 'Bearer')
  return response
}

export const renderBug = (): Response =>
  Response.json(
    { type: 'about:blank', title: 'Internal Server Error', status: 500 },
    { status: 500, headers: { 'content-type': 'application/problem+json' } },
  )
