/* A certificate that vouches for itself (RFC 5280), for servers of tests: Node can read them, but makes none. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'

export interface Certified {
  key: KeyObject
  /** PEM. */
  keyPem: string
  /** PEM. */
  certificate: string
}

/** An element of DER: tag, length, contents. */
function element(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...contents: Buffer[]) => element(0x30, ...contents)
const identifier = (hex: string) => element(0x06, Buffer.from(hex, 'hex'))
const integer = (value: number) => element(0x02, Buffer.from([value]))
const bits = (content: Buffer) => element(0x03, Buffer.from([0]), content)
const time = (at: number) => {
  const digits = new Date(at).toISOString().replaceAll(/\D/g, '')
  return element(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}

const algorithms = {
  // ecdsa-with-SHA256 (RFC 5758)
  ec: sequence(identifier('2a8648ce3d040302')),
  // sha256WithRSAEncryption (RFC 4055)
  rsa: sequence(identifier('2a864886f70d01010b'), element(0x05)),
}

/**
 * @param name A host name.
 * @param authority Whether it may vouch for others, as who is trusted for itself must.
 */
export function selfSigned(name: string, kind: 'ec' | 'rsa' = 'ec', authority = true): Certified {
  const { privateKey, publicKey } =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const named = sequence(
    element(0x31, sequence(identifier('550403'), element(0x0c, Buffer.from(name)))),
  )
  const day = 86_400_000
  const alternative = sequence(element(0x82, Buffer.from(name)))
  const body = sequence(
    element(0xa0, integer(2)),
    integer(1),
    algorithms[kind],
    named,
    sequence(time(Date.now() - day), time(Date.now() + day)),
    named,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(
      0xa3,
      sequence(
        sequence(identifier('551d11'), element(0x04, alternative)),
        // basicConstraints: whether it is its own authority.
        sequence(
          identifier('551d13'),
          element(0x04, sequence(...(authority ? [element(0x01, Buffer.from([0xff]))] : []))),
        ),
      ),
    ),
  )
  const signature = createSign('sha256').update(body).sign(privateKey)
  const whole = sequence(body, algorithms[kind], bits(signature)).toString('base64')
  return {
    key: privateKey,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: `-----BEGIN CERTIFICATE-----\n${whole.replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  }
}
