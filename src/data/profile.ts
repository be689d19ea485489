import { dataFaults } from './faults.ts'

/** The only schema is `public`, which supabase-js names. @throws {Fault} PGRST106 */
export function checkProfile({ headers }: Request) {
  for (const header of ['accept-profile', 'content-profile']) {
    const schema = headers.get(header)
    if (schema && schema !== 'public')
      throw dataFaults.PGRST106({
        message: `Invalid schema: ${schema.slice(0, 100)}`,
        hint: 'Only the following schemas are exposed: public',
      })
  }
}
