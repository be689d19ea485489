/*
 * Where a client may have its users led back (RFC 9700, 4.1). What is registered is a whole address that no browser reads
 * in another way; what is asked for must be that, letter by letter.
 */

const isLoopback = (hostname: string): boolean =>
  /^(?:127\.0\.0\.1|\[::1\]|localhost)$/.test(hostname)

/**
 * Whether a client may register it: `https`, `http` on this very machine (RFC 8252, 7.3), or an app's own scheme, which is a
 * domain turned round (7.1) or one that the host has named. So neither `javascript:` nor `data:` (case 25).
 */
export function isSafeRedirect(uri: string, schemes: readonly string[]): boolean {
  // Printable ASCII without what browsers read otherwise than servers do (case 24).
  if (uri.length > 2048 || !/^[a-z][\w.+-]*:[!-~]+$/i.test(uri) || /[\\<>"`{}|^#*]/.test(uri))
    return false
  const url = URL.parse(uri)
  if (!url || url.username || url.password) return false
  const scheme = url.protocol.slice(0, -1)
  if (scheme === 'https' || scheme === 'http') {
    // Read as it is written: no encoded, decimal or upper case host, no dots to resolve.
    if (url.href !== uri && url.href !== `${uri}/`) return false
    return url.hostname !== '' && (scheme === 'https' || isLoopback(url.hostname))
  }
  return schemes.includes(scheme) || /^[a-z][\w-]*(?:\.[\w-]+)+$/.test(scheme)
}

/**
 * Whether it is one of those registered, exactly. Of a loopback address the port is free, for an app gets one from its system
 * as it runs (RFC 8252, 7.3).
 */
export const isRegistered = (uri: string, registered: readonly string[]): boolean =>
  registered.includes(uri) || registered.some((one) => isSameLoopback(uri, one))

function isSameLoopback(uri: string, registered: string): boolean {
  const [asked, known] = [loopback(uri), loopback(registered)]
  return asked !== null && known !== null && asked.host === known.host && asked.rest === known.rest
}

function loopback(uri: string): { host: string; rest: string } | null {
  const found = uri.match(/^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(\d{1,5}))?(\/[!-~]*)?$/)
  if (!found || Number(found[2] ?? 80) > 65_535 || !isSafeRedirect(uri, [])) return null
  return { host: found[1] as string, rest: found[3] ?? '' }
}

/** Puts the answer's parameters behind an address, which keeps its own (RFC 6749, 4.1.2). */
export function withAnswer(uri: string, answer: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(answer)) if (value !== null) query.set(name, value)
  return `${uri}${uri.includes('?') ? '&' : '?'}${query}`
}
