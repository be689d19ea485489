import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { addressOf } from '../../src/auth/wallets/ethereum.ts'
import { base64url } from '../../src/core/secret.ts'
import { clock, site } from '../kit/world.ts'

/* Wallets, as their makers write them: a key, and what it signs. */

const { host } = new URL(site)
const hex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export interface Fields {
  domain?: string
  uri?: string
  statement?: string
  version?: string
  chainId?: string | null
  nonce?: string
  issuedAt?: string
  more?: readonly string[]
}

const iso = (offset = 0) => new Date(clock.now() + offset).toISOString()
export const at = iso

function messageOf(account: string, address: string, fields: Fields): string {
  const { domain = host, uri = `${site}/`, statement, version = '1', nonce, more = [] } = fields
  const chainId = fields.chainId === undefined ? '1' : fields.chainId
  return [
    `${domain} wants you to sign in with your ${account} account:`,
    address,
    '',
    ...(statement === undefined ? [''] : [statement, '']),
    `URI: ${uri}`,
    `Version: ${version}`,
    ...(chainId === null ? [] : [`Chain ID: ${chainId}`]),
    ...(nonce === undefined ? [] : [`Nonce: ${nonce}`]),
    `Issued At: ${fields.issuedAt ?? iso()}`,
    ...more,
  ].join('\n')
}

/** EIP-191: what `personal_sign` answers. */
export function personalSign(message: string, key: Uint8Array): string {
  const text = new TextEncoder().encode(message)
  const prefix = new TextEncoder().encode(`\x19Ethereum Signed Message:\n${text.length}`)
  const digest = keccak_256(Uint8Array.from([...prefix, ...text]))
  const signed = secp256k1.sign(digest, key, { prehash: false, format: 'recovered' })
  return `0x${hex(signed.slice(1))}${(27 + (signed[0] as number)).toString(16)}`
}

export function ethereum() {
  const key = secp256k1.utils.randomSecretKey()
  const address = addressOf(secp256k1.getPublicKey(key, false))
  return {
    key,
    address,
    show(fields: Fields = {}) {
      const message = messageOf('Ethereum', address, fields)
      return { chain: 'ethereum', message, signature: personalSign(message, key) }
    },
  }
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

export function base58(bytes: Uint8Array): string {
  let number = BigInt(`0x${hex(bytes) || '0'}`)
  let text = ''
  for (; number > 0n; number /= 58n) text = alphabet[Number(number % 58n)] + text
  const zeros = bytes.findIndex((byte) => byte !== 0)
  return '1'.repeat(zeros < 0 ? bytes.length : zeros) + text
}

export async function solana() {
  const keys = (await crypto.subtle.generateKey({ name: 'Ed25519' }, true, [
    'sign',
    'verify',
  ])) as CryptoKeyPair
  const raw = new Uint8Array((await crypto.subtle.exportKey('raw', keys.publicKey)) as ArrayBuffer)
  const address = base58(raw)
  const sign = async (message: string) =>
    new Uint8Array(
      await crypto.subtle.sign('Ed25519', keys.privateKey, new TextEncoder().encode(message)),
    )
  return {
    address,
    sign,
    async show(fields: Fields = {}) {
      const message = messageOf('Solana', address, { chainId: null, ...fields })
      return { chain: 'solana', message, signature: base64url(await sign(message)) }
    },
  }
}
