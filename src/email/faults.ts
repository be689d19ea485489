import { faults } from '../core/fault.ts'

/** What a sender or a client of `email` may meet. Nothing has been sent when one is thrown. */
export const emailFaults = faults({
  bad_message: [400, 'The message is not valid'],
  bad_address: [400, 'Not an e-mail address'],
  too_many_recipients: [400, 'A message has at most 50 recipients'],
  bad_link: [400, 'This link is not valid'],
  bad_signature: [401, 'The signature of the webhook is not valid'],
  not_allowed: [403, 'You are not allowed to send this'],
  unknown_template: [404, 'There is no such template'],
  not_found: [404, 'Not found'],
  message_too_large: [413, 'A message has at most 5 MB'],
  recipient_limited: [429, 'This recipient has had enough mail for now'],
})
