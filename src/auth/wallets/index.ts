import * as v from 'valibot'
import { networkOf } from '../../core/limit.ts'
import { body, clientOf, refuse, text } from '../body.ts'
import type { AuthPart, Doors } from '../part.ts'
import { signInWithWallet } from './sign-in.ts'

type Chain = 'ethereum' | 'solana'

export interface WalletOptions {
  /** @default ['ethereum', 'solana'] */
  chains?: readonly Chain[]
  /** Other places than `site` for which a message may be signed, such as `https://app.notes.dev`. @default [] */
  origins?: readonly string[]
  /** Which networks a message may name (`Chain ID`), such as `['1']` for Ethereum's main one. @default any, or none */
  chainIds?: readonly string[]
}

/** The options, checked and filled in. */
export interface WalletSettings {
  readonly chains: readonly Chain[]
  readonly origins: readonly string[]
  readonly chainIds: readonly string[] | undefined
}

const wrong = (option: string, fix: string) => new TypeError(`wallets: \`${option}\` ${fix}`)

const isChain = (value: unknown): value is Chain => value === 'ethereum' || value === 'solana'
const isOrigin = (value: unknown): value is string =>
  typeof value === 'string' && /^https?:/.test(value) && URL.parse(value)?.origin === value

function walletSettings({ chains, origins = [], chainIds }: WalletOptions): WalletSettings {
  const listed = chains ?? ['ethereum', 'solana']
  if (!Array.isArray(listed) || listed.length === 0 || !listed.every(isChain))
    throw wrong('chains', "must list 'ethereum', 'solana' or both")
  if (!Array.isArray(origins) || !origins.every(isOrigin))
    throw wrong('origins', 'must list origins, such as https://app.notes.dev, without a path')
  if (chainIds && !(Array.isArray(chainIds) && chainIds.every((id) => typeof id === 'string')))
    throw wrong('chainIds', "must list chain ids as text, such as ['1']")
  return Object.freeze({ chains: listed, origins, chainIds })
}

const web3Body = v.object({ chain: text, message: text, signature: text })

/**
 * Sign-in by wallets as GoTrue has it: `/token?grant_type=web3`, Ethereum (EIP-4361, keys only) and Solana. The account is
 * the address; it has no mailbox, so whoever loses the key has lost it, unless another way in was linked.
 *
 * @throws {TypeError} if an option is wrong.
 */
export function wallets(options: WalletOptions = {}): AuthPart {
  const settings = walletSettings(options)
  return Object.freeze({
    name: 'wallets',
    grants: {
      web3:
        ({ settings: auth, reply }: Doors) =>
        async (scope, c) => {
          const { chain, message, signature } = await body(c, web3Body)
          if (!chain) throw refuse('chain is required')
          if (!message) throw refuse('message is required')
          if (!signature) throw refuse('signature is required')
          const network = networkOf(c.req.raw)
          const input = { chain, message, signature, network, client: clientOf(c.req.raw) }
          return reply(scope, c.req.raw, await signInWithWallet(auth, settings)(scope, input))
        },
    },
  } satisfies AuthPart)
}
