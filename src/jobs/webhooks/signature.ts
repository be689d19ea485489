const prefix = 'whsec_'

const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

/** A signing secret: `whsec_` and 32 random bytes in base64. */
export const newSecret = (): string => prefix + toBase64(crypto.getRandomValues(new Uint8Array(32)))

/** @returns The key's bytes, or `null` unless it is `whsec_` and base64 of 24 to 64 bytes. */
function keyOf(secret: string): Uint8Array<ArrayBuffer> | null {
  if (!secret.startsWith(prefix)) return null
  try {
    const bytes = Uint8Array.from(atob(secret.slice(prefix.length)), (char) => char.charCodeAt(0))
    return bytes.length >= 24 && bytes.length <= 64 ? bytes : null
  } catch {
    return null
  }
}

export const isSecret = (secret: unknown): secret is string =>
  typeof secret === 'string' && keyOf(secret) !== null

/** What is signed. */
export interface Signed {
  readonly id: string
  /** Unix seconds. */
  readonly timestamp: number
  readonly body: string
}

/**
 * The value of `webhook-signature`: one signature a secret, so that a receiver may hold either while they are rotated.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
 */
export async function signatureOf(
  { id, timestamp, body }: Signed,
  secrets: readonly string[],
): Promise<string> {
  const text = new TextEncoder().encode(`${id}.${timestamp}.${body}`)
  const signatures = await Promise.all(
    secrets.map(async (secret) => {
      const algorithm = { name: 'HMAC', hash: 'SHA-256' }
      const bytes = keyOf(secret)
      if (!bytes) throw new TypeError('webhooks: what was sealed is no secret')
      const key = await crypto.subtle.importKey('raw', bytes, algorithm, false, ['sign'])
      return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, text)))}`
    }),
  )
  return signatures.join(' ')
}
