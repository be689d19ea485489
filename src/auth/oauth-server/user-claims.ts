import type { User } from '../wire.ts'

type Claims = Record<string, unknown>

/** The claims that scopes give of a user (OpenID Connect Core, 5.4), under its names. */
export const claimsOf = (user: User, words: readonly string[]): Claims & { sub: string } => ({
  ...(words.includes('email') && user.email ? emailOf(user) : {}),
  ...(words.includes('phone') && user.phone ? phoneOf(user) : {}),
  ...(words.includes('profile') ? profileOf(user) : {}),
  sub: user.id,
})

const emailOf = ({ email, email_confirmed_at }: User): Claims => ({
  email,
  email_verified: email_confirmed_at !== undefined,
})

const phoneOf = ({ phone, phone_confirmed_at }: User): Claims => ({
  phone_number: `+${phone}`,
  phone_number_verified: phone_confirmed_at !== undefined,
})

/** Where each claim of a profile may be in `user_metadata`, which providers fill and users write. */
const places: Readonly<Record<string, readonly string[]>> = {
  name: ['name', 'full_name'],
  picture: ['picture', 'avatar_url'],
  preferred_username: ['preferred_username', 'user_name'],
}

function profileOf({ user_metadata, updated_at }: User): Claims {
  const claims: Claims = { updated_at: Math.floor(Date.parse(updated_at) / 1000) }
  for (const [claim, names] of Object.entries(places)) {
    const found = names
      .map((name) => (Object.hasOwn(user_metadata, name) ? user_metadata[name] : undefined))
      .find((value) => typeof value === 'string' && value !== '')
    if (found !== undefined) claims[claim] = found
  }
  return claims
}
