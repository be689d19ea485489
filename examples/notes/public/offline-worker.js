/*
 * Keeps the files of the offline notebook, so that it opens without the network. Notes are not its business: they are in
 * PouchDB's own database. The network is asked first, so that nobody works with an old page while there is one.
 */

const name = 'notebook'
const files = ['/offline', '/offline.js', '/offline.css', '/style.css', '/icon.svg', '/config.json']

/** How long a network that only seems to be there is waited for, in milliseconds. */
const patience = 2000

self.addEventListener('install', (event) => {
  const fresh = files.map((file) => new Request(file, { cache: 'reload' }))
  event.waitUntil(
    caches
      .open(name)
      .then((cache) => cache.addAll(fresh))
      .then(() => self.skipWaiting()),
  )
})

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method === 'GET' && origin === self.location.origin && files.includes(pathname))
    event.respondWith(answer(request, pathname))
})

async function answer(request, path) {
  const cache = await caches.open(name)
  const kept = await cache.match(path)
  const asked = fetch(request).then(async (response) => {
    if (response.ok) await cache.put(path, response.clone())
    return response.ok || !kept ? response : kept
  })
  if (!kept) return asked
  const late = new Promise((resolve) => setTimeout(resolve, patience, kept))
  return Promise.race([asked.catch(() => kept), late])
}
