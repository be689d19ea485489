/** Standard or URL-safe base64, with or without padding. @throws if it is none. */
export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(
    atob(text.replaceAll('-', '+').replaceAll('_', '/').replaceAll('=', '')),
    (char) => char.charCodeAt(0),
  )

/** Whether such a text may be one: none is one character longer than a multiple of four. */
export const mayBeBase64 = (text: string): boolean => text.replaceAll('=', '').length % 4 !== 1

export const fromHex = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
