/*
 * Whose notebook this device keeps. Both pages have this file: who signs out on either of them leaves nothing behind.
 */

export interface Owner {
  id: string
  email: string
}

const key = 'notebook-owner'

export const databaseOf = (id: string) => `notebook-${id}`

/** Whose notebook is here, also while nobody can be asked who is signed in. */
export function keptOwner(): Owner | undefined {
  const text = localStorage.getItem(key)
  return text ? (JSON.parse(text) as Owner) : undefined
}

export const keepOwner = (owner: Owner) => localStorage.setItem(key, JSON.stringify(owner))

/** Deletes the notebook that is here, if there is one, with what has not reached the server. */
export function forgetNotebook(): Promise<void> {
  const owner = keptOwner()
  localStorage.removeItem(key)
  if (!owner) return Promise.resolve()
  return new Promise((resolve, reject) => {
    // As PouchDB calls it.
    const asked = indexedDB.deleteDatabase(`_pouch_${databaseOf(owner.id)}`)
    asked.onsuccess = () => resolve()
    asked.onerror = () => reject(asked.error)
  })
}
