import type { Scope } from '../../core/scope.ts'
import { hash } from '../../core/secret.ts'
import { checkSpent, flowBudgets, spendAll, within } from '../budget.ts'
import { and } from '../condition.ts'
import { authFaults } from '../faults.ts'
import { arrive } from '../oauth/arrive.ts'
import { personOf } from '../oauth/person.ts'
import type { Client } from '../session.ts'
import type { Settings } from '../settings.ts'
import type { Session } from '../wire.ts'
import { signerOf } from './ethereum.ts'
import type { WalletSettings } from './index.ts'
import { readMessage, type WalletMessage } from './message.ts'
import { hasSigned } from './solana.ts'

export interface SignInWithWallet {
  chain: string
  /** What was signed, to the letter. */
  message: string
  /** Of Ethereum in hex, of Solana in base64url. */
  signature: string
  client?: Client | undefined
  network?: string | null | undefined
}

/** Milliseconds that a message may be old, and that clocks may differ by. */
const oldest = 600_000
const skew = 60_000

/**
 * Signs in by a message that a wallet has signed; makes an account at the first time. Three trips; none for a signature that
 * is not good. A message is good once, also where it has no nonce.
 *
 * @throws {Fault} `web3_provider_disabled`, `validation_failed`, `invalid_credentials`, `rate_limited`, and what
 * `arrive` throws.
 */
export const signInWithWallet =
  (settings: Settings, wallets: WalletSettings) =>
  async (scope: Scope, input: SignInWithWallet): Promise<Session> => {
    const { chain, message: text, signature } = input
    if (chain !== 'ethereum' && chain !== 'solana') throw refuse('Unsupported chain')
    if (!wallets.chains.includes(chain)) throw authFaults.web3_provider_disabled()
    const message = readMessage(text, chain === 'ethereum' ? 'Ethereum' : 'Solana')
    if (!message) throw refuse(`message is not a valid ${chain} sign-in message`)
    checkMessage(settings, wallets, scope, message)
    const address = chain === 'ethereum' ? message.address.toLowerCase() : message.address
    const signed =
      chain === 'ethereum'
        ? signerOf(text, signature) === address
        : await hasSigned(address, text, signature)
    if (!signed) throw denied('Signature does not match address in message')
    await takeMessage(settings, scope, input)
    const { domain, statement, chainId: network } = message
    const subject = `web3:${chain}:${address}`
    const claims = { address, chain, network, domain, statement }
    const arrived = await arrive(settings, scope, {
      person: personOf('web3', {
        subject,
        emails: [],
        data: { sub: subject, custom_claims: claims },
      }),
      emailOptional: true,
      method: 'web3',
      client: input.client,
      network: input.network ?? null,
    })
    if ('code' in arrived) throw new Error('leanto: a wallet has no PKCE flow')
    return arrived.session
  }

const refuse = (message: string) => authFaults.validation_failed({ message })
const denied = (message: string) => authFaults.invalid_credentials({ message })

/** That it was signed for us, here and now: a page elsewhere can have anything signed, but not in our name. */
function checkMessage(
  settings: Settings,
  { origins, chainIds }: WalletSettings,
  scope: Scope,
  { domain, uri, nonce, chainId, issuedAt, expiresAt, notBefore }: WalletMessage,
): void {
  const now = scope.now()
  const url = URL.parse(uri)
  const ours = [settings.site(scope), ...origins]
  if (!url || !ours.includes(url.origin)) throw denied('Message is for a URI that is not allowed')
  if (url.host !== domain) throw denied('Message is for a domain that is not that of its URI')
  if (nonce !== undefined && !/^[A-Za-z\d]{8,128}$/.test(nonce))
    throw refuse('nonce must be 8 to 128 letters and digits')
  if (chainIds && !chainIds.includes(chainId ?? '')) throw denied('Message is for another chain')
  if (issuedAt < now - oldest) throw denied('Message was issued too long ago')
  if (issuedAt > now + skew) throw denied('Message was issued in the future')
  if (expiresAt !== undefined && expiresAt <= now) throw denied('Message has expired')
  if (notBefore !== undefined && notBefore > now + skew) throw denied('Message is not yet valid')
}

/** Uses a message up: of many calls with it, one statement stores it (case 19). */
async function takeMessage(
  settings: Settings,
  scope: Scope,
  { chain, message, network }: SignInWithWallet,
): Promise<void> {
  const budgets = flowBudgets(settings, scope, network)
  const now = scope.now()
  const may = and(...budgets.map(within))
  const insert = scope.db
    .prepare(
      `INSERT INTO leanto_auth_flows (id, kind, created_at, expires_at)
       SELECT ?, 'web3', ?, ? WHERE ${may.sql} ON CONFLICT DO NOTHING RETURNING id`,
    )
    // For as long as it could be shown again.
    .bind(await hash(`web3:${chain}:${message}`), now, now + oldest + 2 * skew, ...may.values)
  const results = await scope.db.batch([...spendAll(scope, budgets), insert])
  checkSpent(scope, budgets, results)
  if (results.at(-1)?.results.length !== 1) throw denied('Message was used before')
}
