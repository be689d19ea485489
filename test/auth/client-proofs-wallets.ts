import { expect } from 'vitest'
import type { Proof } from './client-proofs.ts'
import { fine, type World } from './client-world.ts'
import { ethereum, personalSign, solana } from './wallets-world.ts'
import type { Json } from './world.ts'

/* The stock client with the interfaces that wallets put into pages. */

const options = { url: 'https://app.example/account' }
const textOf = (hex: string) =>
  new TextDecoder().decode(
    Uint8Array.from(hex.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
  )

/** EIP-1193. */
function metamask() {
  const { key, address } = ethereum()
  const answers: Record<string, (params: string[]) => unknown> = {
    eth_requestAccounts: () => [address],
    eth_chainId: () => '0x1',
    personal_sign: ([message = '']) => personalSign(textOf(message), key),
  }
  const wallet = {
    request: async ({ method, params = [] }: { method: string; params?: string[] }) =>
      answers[method]?.(params),
  }
  return { address, wallet }
}

async function phantom() {
  const { address, sign } = await solana()
  const wallet = {
    publicKey: { toBase58: () => address },
    signMessage: (bytes: Uint8Array) => sign(new TextDecoder().decode(bytes)),
  }
  return { address, wallet }
}

const statement = 'I accept the terms.'

async function signIn({ auth }: World, chain: string, wallet: unknown): Promise<Json> {
  return fine(await auth.signInWithWeb3({ chain, wallet, statement, options } as never))
}

export const walletProofs: Record<string, Proof> = {
  async signInWithWeb3(world) {
    const { address, wallet } = metamask()
    const { user, session } = await signIn(world, 'ethereum', wallet)
    expect(user.identities[0].id).toBe(`web3:ethereum:${address}`)
    expect(fine(await world.auth.getUser()).user.id).toBe(user.id)
    expect(fine(await world.auth.getClaims(session.access_token)).claims.amr).toMatchObject([
      { method: 'web3' },
    ])
    const other = await phantom()
    const second = await signIn(world, 'solana', other.wallet)
    expect(second.user.identities[0].id).toBe(`web3:solana:${other.address}`)
    // A page elsewhere has had it signed.
    const elsewhere = { chain: 'ethereum', wallet, options: { url: 'https://evil.example/' } }
    const { error } = await world.auth.signInWithWeb3(elsewhere as never)
    expect(error).toMatchObject({ code: 'invalid_credentials', status: 400 })
  },
}
