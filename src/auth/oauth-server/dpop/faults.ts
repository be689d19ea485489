import { faults } from '../../../core/fault.ts'

/** As a token endpoint answers them (RFC 9449, 5 and 8). What guards a resource answers 401 with the same word in its challenge. */
export const dpopFaults = faults({
  invalid_dpop_proof: [400, 'DPoP proof is missing or not valid'],
  use_dpop_nonce: [400, 'DPoP proof must have the nonce of DPoP-Nonce'],
})
