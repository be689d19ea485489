import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { clock } from '../kit/world.ts'

/** What a proof is made of; what a test changes of it. */
export interface Made {
  header?: object
  payload?: object
  /** Signs in the place of the key that is shown. */
  key?: CryptoKey
}

const sha256 = async (text: string): Promise<string> =>
  Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).toString(
    'base64url',
  )

export const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A client's key, and the proofs that it signs. */
export async function makeProver(alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = await exportJWK(publicKey)
  const jkt = await calculateJwkThumbprint(jwk)
  let made = 0
  /** @param token The access token that the proof is shown with. */
  const prove = async (
    method: string,
    url: string,
    token?: string,
    { header, payload, key = privateKey }: Made = {},
  ): Promise<string> => {
    made += 1
    const claims = {
      jti: `${jkt}-${made}`,
      htm: method,
      htu: url.replace(/[?#].*$/, ''),
      iat: Math.floor(clock.now() / 1000),
      ...(token === undefined ? {} : { ath: await sha256(token) }),
      ...payload,
    }
    return new SignJWT(claims)
      .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header })
      .sign(key)
  }
  return { jwk, jkt, publicKey, privateKey, prove }
}

export type Prover = Awaited<ReturnType<typeof makeProver>>
