import type { Migrated, Migration } from '../core/migrate.ts'

type Load = () => Promise<readonly Migration[]>

interface Entry {
  module: string
  load: Load
  /** The function of that import whose module has more migrations: those that follow what the host gives it. */
  follows?: string
}

/**
 * Every import `leanto/<name>` of a host, with the module whose tables it brings. In the order in which their migrations
 * are written. A `migrations.ts` is imported alone, because an `index.ts` may import WebAssembly, which is for workerd
 * only.
 */
const registry: Record<string, Entry> = {
  auth: {
    module: 'auth',
    load: async () => (await import('../auth/migrations.ts')).authMigrations,
  },
  'auth/mfa': {
    module: 'auth',
    load: async () => (await import('../auth/mfa/migrations.ts')).mfaMigrations,
  },
  'auth/admin': {
    module: 'auth',
    load: async () => (await import('../auth/admin/migrations.ts')).auditMigrations,
  },
  'auth/parts': {
    module: 'auth',
    load: async () => (await import('../auth/parts/migrations.ts')).partsMigrations,
  },
  'auth/passkeys': {
    module: 'auth',
    load: async () => (await import('../auth/passkeys/migrations.ts')).passkeyMigrations,
  },
  'auth/custom-providers': {
    module: 'auth',
    load: async () =>
      (await import('../auth/custom-providers/migrations.ts')).customProviderMigrations,
  },
  'auth/organizations': {
    module: 'auth',
    load: async () => (await import('../auth/organizations/migrations.ts')).organizationMigrations,
  },
  'auth/scim': {
    module: 'auth',
    load: async () => (await import('../auth/scim/migrations.ts')).scimMigrations,
  },
  'auth/oauth-server': {
    module: 'auth',
    load: async () => (await import('../auth/oauth-server/migrations.ts')).oauthServerMigrations,
  },
  'auth/oauth-server/dpop': {
    module: 'auth',
    load: async () => (await import('../auth/oauth-server/dpop/migrations.ts')).dpopMigrations,
  },
  'auth/oauth-server/device': {
    module: 'auth',
    load: async () => (await import('../auth/oauth-server/device/migrations.ts')).deviceMigrations,
  },
  'auth/wallets': { module: 'auth', load: async () => [] },
  'auth/impersonation': {
    module: 'auth',
    load: async () => (await import('../auth/impersonation/migrations.ts')).impersonationMigrations,
  },
  'auth/moving': { module: 'auth', load: async () => [] },
  'auth/passwords': { module: 'auth', load: async () => [] },
  'auth/providers': { module: 'auth', load: async () => [] },
  data: {
    module: 'data',
    load: async () => (await import('../data/migrations.ts')).dataMigrations,
    follows: 'data',
  },
  sync: {
    module: 'sync',
    load: async () => (await import('../sync/migrations.ts')).syncMigrations,
  },
  'sync/find': {
    module: 'sync',
    load: async () => (await import('../sync/find/migrations.ts')).findMigrations,
  },
  'sync/snapshot': { module: 'sync', load: async () => [] },
  'sync/upkeep': { module: 'sync', load: async () => [] },
  'sync/scripts': { module: 'sync', load: async () => [] },
  'sync/notifier': { module: 'sync', load: async () => [] },
  jobs: {
    module: 'jobs',
    load: async () => (await import('../jobs/migrations.ts')).jobsMigrations,
  },
  'jobs/cron': { module: 'jobs', load: async () => [] },
  'jobs/webhooks': {
    module: 'jobs',
    load: async () => (await import('../jobs/webhooks/migrations.ts')).webhooksMigrations,
  },
  services: {
    module: 'services',
    load: async () => (await import('../services/migrations.ts')).servicesMigrations,
  },
  ...Object.fromEntries(
    ['alerts', 'cache', 'presets', 'streamed', 'translate', 'usage'].map((part) => [
      `services/${part}`,
      { module: 'services', load: async () => [] },
    ]),
  ),
  email: {
    module: 'email',
    load: async () => (await import('../email/migrations.ts')).emailMigrations,
  },
  'email/capture': {
    module: 'email',
    load: async () => (await import('../email/capture/migrations.ts')).captureMigrations,
  },
  ...Object.fromEntries(
    [
      ...['binding', 'mailgun', 'postmark', 'resend', 'sendgrid', 'ses', 'smtp'],
      ...['events', 'jobs', 'templates', 'unsubscribe'],
    ].map((name) => [`email/${name}`, { module: 'email', load: async () => [] }]),
  ),
  jwks: { module: 'jwks', load: async () => [] },
}

export const moduleNames: readonly string[] = Object.keys(registry)

/** @param names In any order; what is not in the registry is left out. */
export const migratedModules = (names: ReadonlySet<string>): Promise<Migrated[]> =>
  Promise.all(
    Object.entries(registry)
      .filter(([name]) => names.has(name))
      .map(async ([, { module, load }]) => ({ name: module, migrations: await load() })),
  )

/** The imports whose modules have migrations that follow what the host gives them, each with its function. */
export const following: ReadonlyMap<string, string> = new Map(
  Object.entries(registry).flatMap(([name, { follows }]) =>
    follows === undefined ? [] : [[`leanto/${name}`, follows]],
  ),
)
