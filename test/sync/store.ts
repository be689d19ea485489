import type { Base, Identity } from 'leanto'
import { owned, type Rules, shared, sync, unauthorized } from 'leanto/sync'
import { find } from 'leanto/sync/find'
import { snapshot } from 'leanto/sync/snapshot'
import { upkeep } from 'leanto/sync/upkeep'
import { coreFaults } from '../../src/core/fault.ts'
import { apiKeys, guest } from '../../src/core/identity.ts'
import { type Env, testSecret } from '../kit/world.ts'

export const alice = 'user-alice'
export const bob = 'user-bob'

/** `Bearer user-<name>` is that user, `user-<name>.red` one of that channel; a key is the service. */
export const people: Identity = {
  async principal(_, request) {
    const { secret } = await apiKeys(testSecret)
    if (request.headers.get('apikey') === secret)
      return { id: null as unknown as string, role: 'service', claims: {} }
    const header = request.headers.get('authorization')
    if (header === null) return guest
    if (header === `Bearer ${secret}`)
      return { id: null as unknown as string, role: 'service', claims: {} }
    const [, name, channels = ''] = header.match(/^Bearer user-([a-z]+)([\w.*]*)$/) ?? []
    if (!name) throw coreFaults.bad_token()
    return {
      id: name,
      role: 'authenticated',
      claims: { channels: channels.split('.').filter(Boolean) },
    }
  },
}

const anyone = () => true
export const open = { read: anyone, write: anyone, admin: anyone }

const isAlice = ({ id }: { id: string | null }) => id === 'alice'

const rules: Rules = {
  validate(doc, _, who) {
    if (doc.by !== undefined && doc.by !== who.id) throw unauthorized('Sign your own name.')
  },
}

/** Databases of every kind. */
export const makeDocs = (base: Base<Env>) =>
  sync(base, {
    identity: people,
    parts: [find, upkeep, snapshot],
    databases: {
      notes: owned(),
      /** Alice's: others only read, guests do not. */
      club: shared({
        read: ({ role }) => role === 'authenticated',
        write: isAlice,
        admin: isAlice,
        ...rules,
        limits: { document: 2000, attachment: 1000, database: 20_000, request: 100_000 },
      }),
      board: shared({
        ...open,
        read: ({ role }) => role === 'authenticated',
        write: ({ role }) => role === 'authenticated',
        channels: (doc) => (Array.isArray(doc.in) ? (doc.in as string[]) : []),
        member: ({ claims }) => (claims.channels ?? []) as string[],
      }),
      closed: shared({}),
      'open-*': shared({ ...open, keepRevisions: true, revsLimit: 1000 }),
      'lean-*': shared({
        ...open,
        revsLimit: 3,
        tombstones: 30,
        views: { 'all/ids': { map: (doc, emit) => emit(doc._id), reduce: '_count' } },
        filters: { 'all/odd': (doc) => Number(doc.n) % 2 === 1 },
      }),
    },
  })
