import { type Fault, faults as table } from '../core/fault.ts'

const faults = table({
  identity_unavailable: [503, 'Sign-in cannot be checked just now; try again shortly'],
})

/** The issuer's keys cannot be had. @param cause Private: logged, never sent. */
export const unavailable = (cause?: unknown): Fault =>
  faults.identity_unavailable({ cause, headers: { 'retry-after': '5' } })
