import { faults } from '../../core/fault.ts'

/** What only the admin API answers; everyone else is not told which numbers are taken. */
export const adminFaults = faults({
  phone_exists: [422, 'Phone number already registered by another user'],
})
