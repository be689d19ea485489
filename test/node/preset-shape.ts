/*
 * Each preset as its provider's documentation has it: what the authorisation request must be, how the token endpoint is
 * asked, and what the provider answers.
 */

export interface Shape {
  name: string
  /** The call, as TypeScript over `p`. */
  call: string
  authorize: string
  /** Exactly what is asked besides `state`, `client_id`, `redirect_uri`, `response_type`, PKCE and nonce. */
  parameters: Record<string, string>
  pkce: boolean
  nonce?: boolean
  /** What the client adds, as `queryParams`. */
  query?: string
  token: string
  auth: 'post' | 'basic' | 'jwt'
  /** Over a plain token answer. */
  answer?: Record<string, unknown>
  /** Claims of the ID token, if there is one; and where its keys are. */
  claims?: Record<string, unknown>
  keys?: string
  /** What the API answers, by URL. */
  api?: Record<string, unknown>
  /** Headers that the API wants to see. */
  headers?: Record<string, string>
  /** The form's other members, where the answer is a POST. */
  form?: string
  subject: string
  /** `null`: nobody's address is known to be theirs. */
  email: string | null
  data: Record<string, unknown>
  /** The same person with an address that is not verified: over the claims, or the API. */
  unverified?: { claims?: Record<string, unknown>; api?: Record<string, unknown> }
}

export const of = (name: string, more = '') =>
  `p.${name}({ clientId: 'the-client', secret: 'the/secret', ${more} })`
