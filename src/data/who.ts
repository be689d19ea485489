import type { Identity, Membership, Principal } from '../core/ports.ts'

/** Who asks, as policies see them. */
export interface Who extends Principal {
  /** Their organisations; empty for guests, and where the identity knows of none. */
  readonly orgs: readonly Membership[]
  /**
   * The one of them that their session is for. With none its `id` is `null` at run time, as a guest's is, so that in SQL it
   * equals nothing.
   */
  readonly org: Membership
}

const nowhere: Membership = Object.freeze({ id: null as unknown as string, role: '', teams: [] })

export const whoOf = (principal: Principal): Who => ({ orgs: [], org: nowhere, ...principal })

export const whoAsks = async (
  identity: Identity,
  ...asked: Parameters<Identity['principal']>
): Promise<Who> => whoOf(await identity.principal(...asked))
