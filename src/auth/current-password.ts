import type { Scope } from '../core/scope.ts'
import { type Budget, guessBudgets } from './budget.ts'
import { authFaults } from './faults.ts'
import { verifyPassword } from './password.ts'
import type { Settings } from './settings.ts'
import type { Amr, SessionRow } from './wire.ts'

/** How someone comes in who may have forgotten the password: GoTrue asks none of them for it. */
const withoutPassword: readonly string[] = ['otp', 'magiclink', 'recovery']

interface Shown {
  userId: string
  password?: string | undefined
  currentPassword?: string | undefined
  network?: string | null | undefined
}

/** What a guess at the current password spends: whoever has found a session must not find the password by it. */
export const currentBudgets = async (
  settings: Settings,
  scope: Scope,
  { userId, password, currentPassword, network }: Shown,
): Promise<Budget[]> =>
  password && currentPassword ? guessBudgets(settings, scope, { target: userId, network }) : []

/**
 * Checks the password that a new one replaces (ASVS 5.0, 6.2.3). One that is shown must be right, whether or not it had to be;
 * GoTrue looks at it only where it must.
 *
 * @throws {Fault} `current_password_required`, `current_password_invalid` (400 each).
 */
export async function checkCurrent(
  { password: { requireCurrent, formats } }: Settings,
  row: Pick<SessionRow, 'password' | 'amr'>,
  shown: string | undefined,
): Promise<void> {
  const amr = JSON.parse(row.amr) as Amr[]
  if (!row.password || amr.some(({ method }) => withoutPassword.includes(method))) return
  if (!shown) {
    if (requireCurrent) throw authFaults.current_password_required()
    return
  }
  if (!(await verifyPassword(row.password, shown, formats)))
    throw authFaults.current_password_invalid()
}
