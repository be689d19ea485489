import { base64url } from '../../src/core/secret.ts'
import { cbor, concat, type Written } from './cbor-written.ts'
import type { Json } from './world.ts'

/*
 * An authenticator with its browser: makes credentials and answers challenges as they do, and, when told, wrongly.
 */

const bytesOf = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))

export const fromHex = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

const sha256 = async (data: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', data))

export const flag = {
  present: 1,
  verified: 4,
  eligible: 8,
  backedUp: 16,
  attested: 64,
  extended: 128,
}
const usual = flag.present | flag.verified | flag.eligible | flag.backedUp

const kinds = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  EdDSA: { name: 'Ed25519' },
  RS256: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const
type Kind = keyof typeof kinds

/** What is done otherwise than it should be. */
export interface Quirks {
  origin?: string
  rpId?: string
  type?: string
  challenge?: string
  flags?: number
  counter?: number
  /** More fields of the client data, such as `crossOrigin`. */
  more?: object
  cose?: Uint8Array
  fmt?: string
  statement?: Map<unknown, Written>
  /** Comes after the authenticator's data. */
  trailing?: readonly number[]
  /** Changes a signature. */
  sign?: (signature: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
  /** More fields of the credential's JSON, over its own. */
  json?: object
  response?: object
}

export interface Credential {
  id: string
  kind: Kind
  keys: CryptoKeyPair
  counter: number
  userHandle: string
}

/** DER of an ECDSA signature, as authenticators send it. */
function der(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const integer = (bytes: Uint8Array) => {
    let at = 0
    while (at < 31 && bytes[at] === 0) at++
    const digits = [...bytes.slice(at)]
    const padded = (digits[0] as number) > 127 ? [0, ...digits] : digits
    return [2, padded.length, ...padded]
  }
  const body = [...integer(raw.slice(0, 32)), ...integer(raw.slice(32))]
  return Uint8Array.from([0x30, body.length, ...body])
}

export async function coseOf({ kind, keys }: Pick<Credential, 'kind' | 'keys'>) {
  const jwk = (await crypto.subtle.exportKey('jwk', keys.publicKey)) as Record<string, string>
  const bytes = (name: string) => bytesOf(jwk[name] as string)
  const entries: [number, Written][] =
    kind === 'ES256'
      ? [
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, bytes('x')],
          [-3, bytes('y')],
        ]
      : kind === 'EdDSA'
        ? [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, bytes('x')],
          ]
        : [
            [1, 3],
            [3, -257],
            [-1, bytes('n')],
            [-2, bytes('e')],
          ]
  return cbor(new Map(entries))
}

async function signed({ kind, keys }: Credential, data: Uint8Array<ArrayBuffer>) {
  const algorithm = kind === 'ES256' ? { name: 'ECDSA', hash: 'SHA-256' } : kinds[kind].name
  const raw = new Uint8Array(await crypto.subtle.sign(algorithm, keys.privateKey, data))
  return kind === 'ES256' ? der(raw) : raw
}

export function makeAuthenticator({
  origin = 'https://app.example',
  kind = 'ES256' as Kind,
  idLength = 32,
} = {}) {
  const credentials: Credential[] = []

  const clientData = (type: string, challenge: string, quirks: Quirks) =>
    new TextEncoder().encode(
      JSON.stringify({
        type: quirks.type ?? type,
        challenge: quirks.challenge ?? challenge,
        origin: quirks.origin ?? origin,
        crossOrigin: false,
        ...quirks.more,
      }),
    ) as Uint8Array<ArrayBuffer>

  async function data(rpId: string, flags: number, counter: number, attested: Uint8Array) {
    const hash = await sha256(new TextEncoder().encode(rpId) as Uint8Array<ArrayBuffer>)
    const count = [24, 16, 8, 0].map((shift) => (counter >>> shift) & 255)
    return concat(hash, [flags], count, attested)
  }

  return {
    credentials,

    /** @param options `PublicKeyCredentialCreationOptionsJSON`. @param again A credential of before, made anew. */
    async create(options: Json, quirks: Quirks = {}, again?: Credential): Promise<Json> {
      const credential: Credential = again ?? {
        id: base64url(crypto.getRandomValues(new Uint8Array(idLength))),
        kind,
        keys: (await crypto.subtle.generateKey(kinds[kind], true, [
          'sign',
          'verify',
        ])) as CryptoKeyPair,
        counter: 0,
        userHandle: options.user.id,
      }
      credentials.push(credential)
      const id = bytesOf(credential.id)
      const cose = quirks.cose ?? (await coseOf(credential))
      const attested = concat(
        new Uint8Array(16),
        [id.length >> 8, id.length & 255],
        id,
        cose,
        quirks.trailing ?? [],
      )
      const authData = await data(
        quirks.rpId ?? options.rp.id,
        quirks.flags ?? usual | flag.attested,
        quirks.counter ?? credential.counter,
        attested,
      )
      const client = clientData('webauthn.create', options.challenge, quirks)
      const statement = quirks.statement ?? new Map()
      if (quirks.fmt === 'packed' && !quirks.statement) {
        const signature = await signed(credential, concat(authData, await sha256(client)))
        statement.set('alg', { ES256: -7, EdDSA: -8, RS256: -257 }[kind])
        statement.set('sig', quirks.sign?.(signature) ?? signature)
      }
      const attestationObject = cbor(
        new Map<unknown, Written>([
          ['fmt', quirks.fmt ?? 'none'],
          ['attStmt', statement],
          ['authData', authData],
        ]),
      )
      return {
        id: credential.id,
        rawId: credential.id,
        type: 'public-key',
        clientExtensionResults: {},
        ...quirks.json,
        response: {
          clientDataJSON: base64url(client),
          attestationObject: base64url(attestationObject),
          transports: ['internal'],
          ...quirks.response,
        },
      }
    },

    /** @param options `PublicKeyCredentialRequestOptionsJSON`. */
    async get(options: Json, quirks: Quirks = {}, which = credentials[0]): Promise<Json> {
      const credential = which as Credential
      const authenticatorData = concat(
        await data(
          quirks.rpId ?? options.rpId,
          quirks.flags ?? usual,
          quirks.counter ?? credential.counter,
          new Uint8Array(),
        ),
        quirks.trailing ?? [],
      )
      const client = clientData('webauthn.get', options.challenge, quirks)
      const signature = await signed(credential, concat(authenticatorData, await sha256(client)))
      return {
        id: credential.id,
        rawId: credential.id,
        type: 'public-key',
        clientExtensionResults: {},
        ...quirks.json,
        response: {
          clientDataJSON: base64url(client),
          authenticatorData: base64url(authenticatorData),
          signature: base64url(quirks.sign?.(signature) ?? signature),
          userHandle: credential.userHandle,
          ...quirks.response,
        },
      }
    },
  }
}

export type Authenticator = ReturnType<typeof makeAuthenticator>
