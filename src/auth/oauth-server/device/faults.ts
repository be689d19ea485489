import { faults } from '../../../core/fault.ts'

/** What a device is told while it polls (RFC 8628, 3.5), and what the page is told. */
export const deviceFaults = faults({
  access_denied: [400, 'The user has refused'],
  authorization_pending: [400, 'The user has not answered yet'],
  expired_token: [400, 'The device code has ended: begin anew'],
  oauth_device_not_found: [404, 'No device shows this code, or it has ended'],
  slow_down: [400, 'Ask less often: wait 5 seconds longer from now on'],
})
