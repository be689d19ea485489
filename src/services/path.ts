/** What may stand for a parameter. No `%`: what is encoded twice is decoded by someone (double encoding, `..%2f`). */
const segment = /^[\w\-.~:@+=,]{1,200}$/

export const isPattern = (path: string): boolean =>
  /^(?:\/(?::[a-zA-Z]\w*|[\w\-.~:@]+))+$/.test(path) &&
  !path.split('/').some((part) => part === '.' || part === '..')

const isValue = (value: string | undefined): boolean =>
  value !== undefined && segment.test(value) && value !== '.' && value !== '..'

/** @returns The real path, made anew from the pattern; `null` if a parameter is not one. */
export function fill(pattern: string, param: (name: string) => string | undefined): string | null {
  const parts = pattern
    .split('/')
    .map((part) => (part.startsWith(':') ? param(part.slice(1)) : part))
  return parts.slice(1).every(isValue) ? parts.join('/') : null
}

/** Whether a real path is one of a pattern. */
export function fits(pattern: string, path: string): boolean {
  const parts = path.split('/')
  const wanted = pattern.split('/')
  return (
    parts.length === wanted.length &&
    wanted.every((part, i) => (part.startsWith(':') ? isValue(parts[i]) : part === parts[i]))
  )
}
