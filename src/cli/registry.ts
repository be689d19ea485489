import type { Migrated, Migration } from '../core/migrate.ts'

/**
 * Every import `leanto/<name>` of a host, with its tables. In the order in which their migrations are written. A module's
 * `migrations.ts` is imported alone, because its `index.ts` may import WebAssembly, which is for workerd only.
 */
const registry: Record<string, () => Promise<readonly Migration[]>> = {
  auth: async () => (await import('../auth/migrations.ts')).authMigrations,
  data: async () => [],
  jwks: async () => [],
}

export const moduleNames: readonly string[] = Object.keys(registry)

/** @param names In any order; what is not in the registry is left out. */
export const migratedModules = (names: ReadonlySet<string>): Promise<Migrated[]> =>
  Promise.all(
    moduleNames
      .filter((name) => names.has(name))
      .map(async (name) => ({ name, migrations: await (registry[name]?.() ?? []) })),
  )
