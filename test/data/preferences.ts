/** Preferences that many tests send. */
export const full = 'return=representation'
export const merge = 'resolution=merge-duplicates'

/** One object instead of a list of them. */
export const one = { accept: 'application/vnd.pgrst.object+json' }
